"""`vibes mail`: what sellers are written, and what to do when nobody knows if they were."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import MailError, UsageError


@click.group(name="mail")
def command() -> None:
    """Look at the mails that sellers get, or send one again."""


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


@command.command(name="resend")
@click.argument("notice_id", type=click.UUID)
def resend(notice_id: UUID) -> None:
    """Send a notice again whose answer from the mail server was lost twice.

    Its status is unknown, and it waits for a person. Ask the relay's log first: if the mail did go
    out, the seller gets it once more. Only a mail whose answer arrives counts as notice.
    """
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.notices import open_notices
    from vibes_pipeline.notices.delivery import deliver_notices
    from vibes_pipeline.notices.outbox import awaits_a_person

    settings, policy = settings_and_policy()
    ledger = Ledger.open(settings, policy.country)
    ledger.require_mode(is_simulated=False)
    clock = WallClock()

    def is_waiting() -> bool:
        waiting = filter(awaits_a_person, open_notices(ledger, clock.now()))
        return notice_id in (notice.notice_id for notice in waiting)

    if not is_waiting():
        raise UsageError(
            f"no notice {notice_id} waits for a person: `vibes export notices` shows what became "
            "of each, and all but a second `unknown` are sent by themselves"
        )
    deliver_notices(ledger, policy, settings, clock, slot_now=clock.now(), again=[notice_id])
    if is_waiting():
        raise MailError(f"the answer to notice {notice_id} was lost once more; ask the relay's log")
    console.print("the server has answered; `vibes export notices` shows how")
