"""`vibes mail`: show samples of mails, send notices that were not sent, accept a new key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import UUID

import click

from vibes_pipeline.calendar import parse_day
from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.clock import WallClock
from vibes_pipeline.errors import MailError, UsageError, did_you_mean, near
from vibes_pipeline.ledger.states import NOT_SENT
from vibes_pipeline.listing import counted


@click.group(name="mail")
def command() -> None:
    """Look at the mails that sellers and operators get, or send those that were not sent."""


@command.command(name="preview", short_help="Write a sample of each kind of mail.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder; by default mail-preview under VIBES_HOME.",
)
def preview(out: Path | None) -> None:
    """Write a sample of each kind of mail, and a page that shows them all.

    They are real notices of the ledger, and the operators' mail as it would go out now, built as
    they are sent. Nothing is sent or recorded.
    """
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.notices.preview import Sample, samples, write_gallery
    from vibes_pipeline.operations import morning

    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    to_operators = morning.sample(ledger, settings, policy, WallClock().now())
    made = [*samples(ledger, policy, settings), Sample("operators_mail", to_operators)]
    index = write_gallery(made, out or settings.home / "mail-preview")
    console.print(f"the mails are in {index}", soft_wrap=True, markup=False)


@command.command(name="accept-key")
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept_key(yes: bool) -> None:
    """Go on with the key of this VIBES_HOME when the one that the ledger knows is lost for good.

    The ledger keeps addresses as hashes made with a key. With another key it cannot tell an address
    that was refused from one that was mended: each mail that was refused is sent once more.
    """
    from vibes_pipeline.keys import home_key
    from vibes_pipeline.ledger import address_keys
    from vibes_pipeline.ledger.ledger import Ledger, LedgerMode

    settings, policy = settings_and_policy()
    ledger, key = Ledger.open_existing(settings, policy.country), home_key(settings.home)
    if ledger.mode() is LedgerMode.EMPTY:
        raise UsageError(f"the ledger of {policy.country} is not used yet: it knows no key")
    if not yes:
        click.confirm(f"Use {key.file} from now on?", abort=True)
    address_keys.accept(ledger, key, WallClock().now())
    console.print(f"the ledger of {policy.country} goes on with {key.file}", markup=False)


@command.command(name="resend", short_help="Send notices now that were not sent.")
@click.argument("notice_id", type=click.UUID, required=False)
@click.option(
    "--status",
    type=click.Choice(sorted(status.value for status in NOT_SENT)),
    help="Those in this status.",
)
@click.option("--kind", help="Those of this kind, such as weekly_alert.")
@click.option("--period", metavar="DATE", help="Those of this cycle's Monday, or of this day.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def resend(
    notice_id: UUID | None, status: str | None, kind: str | None, period: str | None, yes: bool
) -> None:
    """Send notices now that were not sent, whatever keeps them back: one, or all that match.

    Shows first how many of which kind and status they are. Only a mail that the server accepts
    counts as notice. Of one whose answer was lost, `unknown`, ask the relay's log first: if it did
    go out, the seller gets it once more; so one that waits for a person is sent only if it is
    named by its id or by `--status unknown`.
    """
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.ledger.notices import open_notices
    from vibes_pipeline.notices.delivery import deliver_notices
    from vibes_pipeline.notices.outbox import awaits_a_person
    from vibes_pipeline.notices.preview import kinds

    if (notice_id is None) == (status is None and kind is None and period is None):
        raise UsageError("name one notice, or give --status, --kind or --period for those to send")
    if kind is not None and kind not in kinds():
        raise UsageError(
            f"{kind!r} is no kind of notice{did_you_mean(near(kind, kinds()))}; they are "
            f"{', '.join(kinds())}"
        )
    day = parse_day(period) if period else None
    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    ledger.require_mode(is_simulated=False)
    if not settings.smtp_url:
        raise MailError("VIBES_SMTP_URL is not set: there is no mail server to send with")
    clock = WallClock()
    wanted = [
        notice
        for notice in open_notices(ledger, clock.now())
        if notice.notice_id == (notice_id or notice.notice_id)
        and notice.status == (status or notice.status)
        and notice.kind == (kind or notice.kind)
        and notice.period == (day or notice.period)
        and (notice_id or status == "unknown" or not awaits_a_person(notice))
    ]
    if not wanted and notice_id:
        raise UsageError(
            f"no notice {notice_id} waits to be sent: `vibes export notices` shows what became of "
            "each; one that is sent, or has nothing left to tell, is not sent again"
        )
    if not wanted:
        console.print("no notice that matches waits to be sent")
        return
    for (of_kind, in_status), count in sorted(Counter((n.kind, n.status) for n in wanted).items()):
        console.print(f"{count:>8,}  {of_kind}, {in_status}", markup=False)
    if not yes:
        click.confirm("Send them now?", abort=True)
    outcomes = deliver_notices(
        ledger,
        policy,
        settings,
        clock,
        slot_now=clock.now(),
        only={notice.notice_id for notice in wanted},
    )
    if unsent := outcomes.total() - outcomes["sent"]:
        told = ", ".join(f"{count} {status}" for status, count in sorted(outcomes.items()))
        are = "is" if unsent == 1 else "are"
        raise MailError(
            f"{unsent} of {counted(outcomes.total(), 'notice')} {are} not sent ({told}): "
            "`vibes export notices` has the server's words; of one that is unknown ask the relay's "
            "log"
        )
    console.print(f"{outcomes['sent']:,} sent")
