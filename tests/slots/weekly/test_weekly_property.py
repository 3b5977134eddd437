"""Whatever happens to slots, addresses and the warehouse, no promise is broken (§2, §6)."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made
from notices.mail_server import Post
from properties import courses
from served import own_ledger
from slots.weekly.programme import Programme, catching, notice_of, out_of_stock, rows_of, text_of

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.proposals import frozen_cycle, is_unchanged

WEEKS = 3
SELLERS = ("S-1", "S-2")
# How a slot fares.
ON_TIME, LATE, VERY_LATE = "on time", "4 hours late", "50 hours late"
TWICE, MISSED, NEVER = "run twice", "run with the next one", "never run"
NO_SERVER = "without a mail server, and again in 2 hours"
FATES = st.sampled_from([ON_TIME, ON_TIME, LATE, VERY_LATE, TWICE, MISSED, NEVER, NO_SERVER])
LATER = {LATE: timedelta(hours=4), VERY_LATE: timedelta(hours=50)}


def item_of(seller: str, week: int) -> str:
    return f"I-{seller}-{week}"


# What happens before a slot: to an address, or to the event behind a charge.
ITEMS = st.sampled_from([item_of(seller, week) for seller in SELLERS for week in range(WEEKS)])
HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["its address breaks", "it is mended", "its server refuses one mail"]),
            st.sampled_from(SELLERS),
        ),
        st.tuples(
            st.sampled_from(["its event is undone", "it is back", "its commission rises"]), ITEMS
        ),
    ),
    max_size=3,
)
COURSES = st.lists(st.tuples(HAPPENINGS, FATES, HAPPENINGS, FATES), min_size=WEEKS, max_size=WEEKS)
Happenings = list[tuple[str, str]]


@dataclass
class Chances:
    """A programme whose slots and warehouse fare as they are told; it keeps what must not change."""

    programme: Programme
    post: Post
    missed: list[tuple[Slot, int]] = field(default_factory=list)
    hashes: dict[date, str] = field(default_factory=dict)
    clock: datetime = made.ALERT_AT

    def happen(self, happenings: Happenings) -> None:
        for what, whom in happenings:
            row = self.programme.row("sellers" if whom in SELLERS else "order_items", whom)
            match what:
                case "its address breaks":
                    row["email"] = "nobody at home"
                case "it is mended":
                    row["email"] = f"mended{next(_numbers)}@shop.example"
                case "its server refuses one mail":
                    self.post.answers.setdefault(row["email"], []).append("550 refused")
                case "its event is undone":
                    row["cancel_reason"] = "customer_request"
                case "it is back":
                    row["cancel_reason"] = "out_of_stock"
                case "its commission rises":
                    row["commission"] = "1100.00"

    def slot(self, slot: Slot, cycle: int, fate: str) -> None:
        """Run a slot as its fate wills, and before it whatever was missed, oldest first."""
        if fate == NEVER:
            return
        self.missed.append((slot, cycle))
        if fate == MISSED:
            return
        due_at = self.programme.policy.slot_calendar.due_at(slot, self.programme.cycle(cycle))
        self.clock = max(self.clock, due_at + LATER.get(fate, timedelta()))
        if fate == NO_SERVER:
            with self._no_server(), suppress(MailError):
                self.catch_up()
            self.clock += timedelta(hours=2)
        self.catch_up()
        if fate == TWICE:
            self.clock += timedelta(hours=1)
            self._run(slot, cycle)

    def end(self) -> None:
        """Up again at last, when the last slot is due."""
        for slot, cycle in self.missed:
            due_at = self.programme.policy.slot_calendar.due_at(slot, self.programme.cycle(cycle))
            self.clock = max(self.clock, due_at)
        self.catch_up()

    def catch_up(self) -> None:
        """Run what was missed, oldest first; what fails stays to be run again."""
        while self.missed:
            self._run(*self.missed[0])
            self.missed.pop(0)

    def _run(self, slot: Slot, cycle: int) -> None:
        at = self.clock.isoformat()
        if slot is Slot.WEEKLY_ALERT:
            frozen = self.programme.alert(cycle, at)
            self.hashes.setdefault(frozen.cycle, frozen.proposal_hash)
            return
        before = set(self.programme.postings())
        self.programme.implement(cycle, at)
        newly_posted = set(self.programme.postings()) - before
        for item in newly_posted:
            row = self.programme.row("order_items", item)
            assert row["cancel_reason"] == "out_of_stock", f"{item} was charged without evidence"

    @contextmanager
    def _no_server(self) -> Iterator[None]:
        self.programme.environment["VIBES_MAIL_CATCHER_URL"] = "smtp://127.0.0.1:1"
        yield
        self.programme.environment["VIBES_MAIL_CATCHER_URL"] = self.post.url


_numbers = count(1)


@courses(2)
@given(course=COURSES)
def test_whatever_happens_no_promise_is_broken(
    administration: sa.Engine, course: list[tuple[Happenings, str, Happenings, str]]
) -> None:
    with new_programme(administration) as programme, catching(programme) as post:
        chances = Chances(programme, post)
        for week, (before_alert, alert, before_implementation, implementation) in enumerate(course):
            chances.happen(before_alert)
            chances.slot(Slot.WEEKLY_ALERT, week, alert)
            chances.happen(before_implementation)
            chances.slot(Slot.WEEKLY_IMPLEMENTATION, week, implementation)
        chances.end()

        for promise, broken in PROMISES.items():
            assert rows_of(programme, broken) == [], f"broken: {promise}"
        for cycle, hash_once in chances.hashes.items():
            frozen = frozen_cycle(programme.ledger, cycle)
            assert frozen is not None
            assert frozen.proposal_hash == hash_once
            assert is_unchanged(programme.ledger, frozen)
        mails = [mail for to in post.copies() for mail in post.mails_to(to)]
        # Each mail is one that the ledger knows the server's answer to, and the reverse.
        assert Counter(map(notice_of, mails)) == Counter(
            str(notice) for (notice,) in rows_of(programme, ANSWERED)
        )
        alerts = [text_of(m) for m in mails if m["Subject"].startswith("VIBES alert")]
        for (reference,) in rows_of(programme, IMPLEMENTED):
            assert any(str(reference) in alert for alert in alerts), f"no alert told of {reference}"


# The rows that break a promise.
PROMISES = {
    "nothing is implemented unless its alert was accepted 72 hours before": """
        SELECT reference FROM ledger.actions JOIN ledger.action_events e USING (action_id)
        WHERE state = 'implemented' AND NOT EXISTS (
            SELECT 1 FROM ledger.notice_actions l
            JOIN ledger.notices n USING (notice_id) JOIN ledger.deliveries d USING (notice_id)
            WHERE l.action_id = e.action_id AND n.kind = 'weekly_alert'
                AND d.status = 'sent' AND d.code = 250 AND d.at + INTERVAL '72 hours' <= e.at
        )
    """,
    "postings are the implemented charges, each once, at the amount that was frozen": """
        SELECT a.reference, a.amount, p.amount, e.at, p.posted_at
        FROM (SELECT * FROM ledger.action_events WHERE state = 'implemented') e
        JOIN (SELECT * FROM ledger.actions WHERE amount IS NOT NULL) a USING (action_id)
        FULL JOIN ledger.postings p USING (action_id)
        WHERE (p.kind, p.amount, p.posted_at) IS DISTINCT FROM ('debit', a.amount, e.at)
    """,
    "an item bears a rule once": """
        SELECT order_item_id, rule FROM ledger.actions WHERE order_item_id IS NOT NULL
        GROUP BY order_item_id, rule HAVING count(*) > 1
    """,
    "a notice is accepted once": """
        SELECT notice_id FROM ledger.deliveries WHERE status = 'sent'
        GROUP BY notice_id HAVING count(*) > 1
    """,
    "an action's events follow each other in time": """
        SELECT a.action_id FROM ledger.action_events a JOIN ledger.action_events b USING (action_id)
        WHERE a.event_id < b.event_id AND a.at > b.at
    """,
    "a regulation does not outlive its cycle": """
        SELECT reference FROM ledger.actions a JOIN ledger.action_events e USING (action_id)
        JOIN ledger.cycles c ON c.cycle > a.cycle AND c.frozen_at < e.at
        WHERE a.rule = 'order_regulation' AND e.state = 'implemented'
    """,
}
IMPLEMENTED = """
    SELECT reference FROM ledger.actions JOIN ledger.action_events USING (action_id)
    WHERE state = 'implemented'
"""
ANSWERED = "SELECT notice_id FROM ledger.deliveries WHERE status IN ('sent', 'failed')"


@contextmanager
def new_programme(administration: sa.Engine) -> Iterator[Programme]:
    """A programme with a ledger of its own, in which every seller loses an item every week."""
    with own_ledger(administration) as ledger, tempfile.TemporaryDirectory() as home:
        programme = Programme(ledger, Path(home))
        for seller in map(programme.seller, SELLERS):
            for week in range(WEEKS):
                lost = out_of_stock(
                    f"Tue+{week} 10:00",
                    pending_at=f"Mon+{week} 09:00",
                    ready_to_ship_at=f"Mon+{week} 10:00",
                )
                programme.item(seller, item_of(seller, week), lost)
        yield programme
