"""Sending what the ledger has planned: the outbox put together from warehouse, policy and settings.

Addresses and names come from `directory`; what a mail says of actions comes from the ledger alone.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from vibes_pipeline.calendar import Slot, SlotCalendar, in_utc
from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import MailError
from vibes_pipeline.keys import home_key
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import OpenNotice, claims_of_notices, is_any_open
from vibes_pipeline.ledger.states import REFUSED
from vibes_pipeline.notices.content import Notice, NoticeAction, NoticeClaim
from vibes_pipeline.notices.directory import Directory, read_directory
from vibes_pipeline.notices.mails import ListedActions, Mails, Telling, Worded
from vibes_pipeline.notices.message import Wording, composed
from vibes_pipeline.notices.operators import write_to_operators
from vibes_pipeline.notices.outbox import Outbox, is_obstacle_gone
from vibes_pipeline.notices.programme import programme
from vibes_pipeline.notices.transports import transport_for
from vibes_pipeline.notices.workshop import Workshop, processes_for
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import CYCLE_BOUND_RULES
from vibes_pipeline.settings import DEFAULT_SENDER, Settings

log = logging.getLogger(__name__)


def deliver_notices(
    ledger: Ledger,
    policy: Policy,
    settings: Settings,
    clock: Clock,
    *,
    slot_now: datetime,
    only: Collection[UUID] | None = None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Callable[[], None] = lambda: None,
) -> Counter[str]:
    """Attempt every open notice that is due; give how many ended in which status.

    `slot_now` is the instant that the slot's events bear; `only`, if given, are the notices that a
    person wants sent now, whatever keeps them back. `warn` is told, as are the log and operators,
    when alerts go out too slowly for their notice. Raises `MailError` when the mail server cannot
    be reached, refuses whoever a mail is to, or no sender is set for it; nothing is lost by that.
    """
    if settings.smtp_url and settings.sender == DEFAULT_SENDER and not clock.is_simulated:
        raise MailError(
            "VIBES_SMTP_URL is set but VIBES_MAIL_FROM is not; name the address that sellers are "
            "written from"
        )
    if not is_any_open(ledger, clock.now()):
        return Counter()
    directory = read_directory(policy, settings)
    outbox = Outbox(
        ledger=ledger,
        transport=transport_for(
            smtp_url=settings.smtp_url,
            mail_catcher_url=settings.mail_catcher_url,
            is_simulated=clock.is_simulated,
            maildir_path=settings.maildir,
        ),
        mails=SellerMails(ledger, policy, directory, settings.sender),
        addresses=directory.addresses,
        key=home_key(settings.home),
        clock=clock,
        slot_now=slot_now,
        journal_file=settings.outbox_journal(policy.country),
        connections=settings.smtp_connections,
        rate=settings.smtp_rate,
        warn=lambda text: _warn(text, policy, settings, clock, warn),
        only=only,
    )
    return outbox.deliver(progress)


def _warn(
    text: str, policy: Policy, settings: Settings, clock: Clock, warn: Callable[[str], None]
) -> None:
    """Tell the log, the caller and operators, without keeping the mails waiting."""
    log.warning("%s", text)
    warn(text)

    def write() -> None:
        try:
            write_to_operators(
                settings,
                f"VIBES {policy.country}: alerts go out too slowly",
                text,
                at=clock.now().astimezone(policy.time_zone),
                is_simulated=clock.is_simulated,
            )
        except MailError as failure:
            log.warning("operators were not told: %s", failure)

    if settings.operators:
        threading.Thread(target=write, name="operators", daemon=True).start()


def can_go_out(
    waiting: Sequence[OpenNotice], policy: Policy, settings: Settings, patience_seconds: float
) -> bool:
    """Whether to attempt again a notice that a server refused, or that was only stored.

    A refused one once the warehouse has another address of the seller, a stored one once there is
    a server.
    """
    is_any_refused = any(notice.status in REFUSED for notice in waiting)
    addresses = (
        read_directory(policy, settings, patience_seconds).addresses if is_any_refused else {}
    )
    key = home_key(settings.home)
    return any(
        is_obstacle_gone(n, addresses.get(n.seller_id), key, has_server=bool(settings.smtp_url))
        for n in waiting
    )


@dataclass
class SellerMails(Mails):
    """Builds the mails to sellers out of ledger, policy and the warehouse's directory."""

    ledger: Ledger
    policy: Policy
    directory: Directory
    sender: str
    _workshop: Workshop | None = field(default=None, init=False)

    @contextmanager
    def ready_for(self, count: int) -> Iterator[None]:
        """Many mails are worded by processes of their own."""
        if not (processes := processes_for(count)):
            yield
            return
        self._workshop = Workshop(processes)
        # One more than there are processes, so that none waits for the next.
        self.lanes = processes + 1
        try:
            yield
        finally:
            self._workshop.close()
            self._workshop, self.lanes = None, 1

    def worth_listing(
        self, notice: OpenNotice, listed: ListedActions, at: datetime
    ) -> ListedActions:
        """All but regulations that would end before an alert sent this late takes effect (§2)."""
        if notice.kind != NoticeKind.WEEKLY_ALERT:
            return listed
        next_cycle = self.policy.slot_calendar.due_at(
            Slot.WEEKLY_ALERT, notice.period + timedelta(weeks=1)
        )
        if self._takes_effect_at(notice, at) < next_cycle:
            return listed
        return [action for action in listed if action["rule"] not in CYCLE_BOUND_RULES]

    def true_until(self, notice: OpenNotice, at: datetime) -> datetime | None:
        """A weekly alert: till its seller has no longer the notice that its date needs (§2)."""
        return self.in_time_until(notice, at) if notice.kind == NoticeKind.WEEKLY_ALERT else None

    def in_time_until(self, notice: OpenNotice, at: datetime) -> datetime | None:
        """So many hours before that from which the alert's actions are to take effect (§2)."""
        if not notice.is_alert:
            return None
        hours = timedelta(hours=notice.notice_hours or 0)
        limit = in_utc(self._takes_effect_at(notice, at)) - hours
        return limit.astimezone(self.policy.time_zone)

    def word(self, tellings: Sequence[Telling], at: datetime) -> Future[Sequence[Worded]]:
        """The mails, as of the attempt."""
        wording = self.wording(tellings, at)
        if self._workshop is not None:
            return self._workshop.word(wording)
        done: Future[Sequence[Worded]] = Future()
        done.set_result(composed(wording))
        return done

    def wording(self, tellings: Sequence[Telling], at: datetime) -> Wording:
        """All that the wording of some mails needs, and nothing that it must ask for."""
        claims = claims_of_notices(
            self.ledger, {t.notice.claim_event_id for t in tellings if t.notice.claim_event_id}
        )
        return Wording(
            [self._content(telling, claims, at) for telling in tellings],
            {day: programme(self.policy, day) for day in {t.notice.period for t in tellings}},
            self.sender,
            at.astimezone(self.policy.time_zone),
        )

    def _content(
        self, telling: Telling, claims: Mapping[int, Mapping[str, Any]], at: datetime
    ) -> Notice:
        notice, listed = telling
        event = notice.claim_event_id
        return Notice(
            notice_id=notice.notice_id,
            kind=notice.kind,
            country=self.policy.country,
            period=notice.period,
            seller_id=notice.seller_id,
            shop_name=self.directory.shop_names.get(notice.seller_id, notice.seller_id),
            address=self.directory.addresses.get(notice.seller_id),
            actions=[self._action(row) for row in listed],
            takes_effect_at=self._takes_effect_at(notice, at) if notice.is_alert else None,
            implemented_at=_implemented_at(notice, listed),
            claim=_claim(claims[event]) if event is not None else None,
        )

    def _takes_effect_at(self, notice: OpenNotice, at: datetime) -> datetime:
        """As of this attempt: an alert that is sent late takes effect later (Rulebook §2)."""
        calendar, hours = self.policy.slot_calendar, notice.notice_hours or 0
        return _effective_at(calendar, notice.kind, notice.period, hours, at)

    def _action(self, row: Mapping[str, Any]) -> NoticeAction:
        given = {name: row[name] for name in NoticeAction.__dataclass_fields__ if name in row}
        name = self.directory.product_names.get(row["sku"]) if row["sku"] else None
        return NoticeAction(product_name=name, **given)


# The same for nearly all notices of a batch.
@lru_cache(maxsize=64)
def _effective_at(
    calendar: SlotCalendar, kind: str, period: date, notice_hours: int, at: datetime
) -> datetime:
    if kind == NoticeKind.LATE_ALERT:
        return calendar.due_at(Slot.LATE_CANCELLATION, period)
    return calendar.takes_effect_at(at, notice_hours)


def _claim(claim: Mapping[str, Any]) -> NoticeClaim:
    given = {name: claim[name] for name in NoticeClaim.__dataclass_fields__}
    return NoticeClaim(**{**given, "is_matched": claim["is_matched"] is not False})


def _implemented_at(notice: OpenNotice, listed: ListedActions) -> datetime | None:
    if notice.is_alert or notice.is_about_a_claim:
        return None
    implemented_at: datetime = listed[0]["implemented_at"]
    return implemented_at
