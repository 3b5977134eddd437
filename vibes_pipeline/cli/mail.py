"""`vibes mail`: what sellers are written."""

from __future__ import annotations

from pathlib import Path

import click

from vibes_pipeline.cli.common import console, settings_and_policy


@click.group(name="mail")
def command() -> None:
    """Look at the mails that sellers get."""


@command.command(name="preview")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder; by default mail-preview under VIBES_HOME.",
)
def preview(out: Path | None) -> None:
    """Write a sample of each kind of mail, and a page that shows them all.

    They are real notices of the ledger, worded as they are sent. Nothing is sent or recorded.
    """
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.notices.preview import samples, write_gallery

    settings, policy = settings_and_policy()
    ledger = Ledger.open(settings, policy.country)
    index = write_gallery(samples(ledger, policy, settings), out or settings.home / "mail-preview")
    console.print(f"the mails are in {index}", soft_wrap=True, markup=False)
