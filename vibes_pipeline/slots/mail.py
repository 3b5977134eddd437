"""The last step of a slot: its notices go out and it is recorded as finished (Rulebook §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import KIND_OF_SLOT
from vibes_pipeline.ledger.notices import count_notices, not_accepted, open_notices
from vibes_pipeline.ledger.states import Status
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.slots.run import SlotRun

Warn = Callable[[str], None]


def _no_one(warning: str) -> None:
    """The log and operators are told all the same."""


def deliver(run: SlotRun, ledger: Ledger, clock: Clock, warn: Warn = _no_one) -> Counter[str]:
    """Attempt every open notice due at the slot's instant; return the notices per outcome."""
    return deliver_notices(ledger, run.policy, run.settings, clock, slot_now=run.now, warn=warn)


def finish(run: SlotRun, ledger: Ledger, clock: Clock, warn: Warn = _no_one) -> Counter[str]:
    """Send the slot's notices, record the slot as finished; return the notices per outcome.

    `warn` is told, once, when alerts go out too slowly for their notice.

    `MailError` when no notice was accepted and several wait: then the slot is not finished.
    """
    outcomes = deliver(run, ledger, clock, warn)
    _require_any_sent(run, ledger, clock)
    ledger.record_finished(run.slot, run.period, clock.now())
    return outcomes


def _require_any_sent(run: SlotRun, ledger: Ledger, clock: Clock) -> None:
    """Notices deferred shortly before may not be due yet, so `deliver` may have raised nothing."""
    kind = KIND_OF_SLOT[run.slot]
    unsent = len(not_accepted(ledger, kind, run.period))
    if unsent <= 1 or unsent < count_notices(ledger, kind, run.period):
        return
    waiting = [
        notice
        for notice in open_notices(ledger, clock.now())
        if (notice.kind, notice.period) == (kind, run.period)
        and notice.status in (Status.QUEUED, Status.DEFERRED)
    ]
    if len(waiting) > 1:
        raise MailError(
            f"none of the {unsent} notices is sent yet, {len(waiting)} wait for another attempt; "
            "`vibes export notices` has the server's words"
        )
