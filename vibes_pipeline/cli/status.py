"""`vibes status`: how things stand, with an exit status for monitors."""

from __future__ import annotations

import sys

import click

from vibes_pipeline.cli.common import JSON, say_all, say_json, settings_and_policy, style_option


@click.command(name="status")
@style_option
def command(style: str) -> None:
    """Say whether all is well: each slot's last and next time, what waits, how fresh the data is.

    Nothing is changed, and no run is started. An embedded PostgreSQL that does not run is started
    for it, as for every command that reads the ledger.

    \b
    Exit status:
      0  no slot is late or has failed; things may wait for a person (verdict ok or attention)
      1  a slot is late or has failed, none can start, or the ledger cannot be asked (failing)
      2  wrong usage
    """
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.operations.status import Sources, read_status
    from vibes_pipeline.operations.status_text import document, lines
    from vibes_pipeline.operations.verdict import Verdict, points, verdict_of

    settings, policy = settings_and_policy()
    ledger = Ledger.open_as_it_is(settings, policy.country)
    status = read_status(ledger, policy, Sources(settings))
    if style == JSON:
        say_json(document(status))
    else:
        say_all(lines(status))
    sys.exit(int(verdict_of(points(status)) is Verdict.FAILING))
