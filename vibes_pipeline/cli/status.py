"""`vibes status`: how things stand, with an exit status for monitors."""

from __future__ import annotations

import json
import sys

import click

from vibes_pipeline.cli.common import printable, settings_and_policy


@click.command(name="status")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for tools.",
)
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
    if style == "json":
        # JSON in ASCII: no character of a path or an error can then move a terminal's cursor.
        click.echo(json.dumps(document(status), indent=1))
    else:
        for line in lines(status):
            click.echo(printable(line))
    sys.exit(int(verdict_of(points(status)) is Verdict.FAILING))
