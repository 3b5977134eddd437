"""Late orders day after day: what is told at six is what is cancelled at eleven (Rulebook §2, §9).

Small marketplaces, a real ledger, the steps of `late_orders` and the outbox as a slot runs them.
What is overdue on one day is tested in `test_overdue_items`; here is what becomes of it when slots
are late or missed, addresses break and the warehouse changes meanwhile.
"""

from __future__ import annotations

import threading
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest
import sqlalchemy as sa
from ledger import made
from notices.mail_server import serving
from rules.marketplace import NIGERIA, Item
from slots.late_orders.days import (
    ALERTED,
    CANCELLED,
    DUE,
    PENDING,
    PROPOSED,
    READY,
    READY_DUE,
    Days,
    with_holiday,
)
from slots.whole_slots import address

from vibes_pipeline.ledger import schema

VIBES = uuid5(NAMESPACE_URL, "vibes")


@dataclass
class Ticking:
    """A clock that stands at `before` for a while, then at `after`: a reply takes its time."""

    before: datetime
    after: datetime
    reads_before: int = 2  # which notices are open; the attempt begins
    is_simulated: bool = True
    _reads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        with self._lock:
            self._reads += 1
            return self.before if self._reads <= self.reads_before else self.after


# --- one day --------------------------------------------------------------------------------------


def test_what_is_told_at_six_is_cancelled_at_eleven_and_the_order_system_reads_it(
    days: Days,
) -> None:
    days.pending_item("I-pending", DUE)
    days.pending_item("I-ready", READY_DUE)
    days.pending_item("I-fresh", Item(pending_at="Thu 05:00"))

    told = days.late_alert("Thu 06:00")
    assert told.counts == {PENDING: 1, READY: 1}
    assert (days.state("I-pending"), days.state("I-ready", READY)) == (ALERTED, ALERTED)
    assert days.feed() == []

    done = days.late_cancel("Thu 23:00")
    assert done.counts == {PENDING: 1, READY: 1}
    assert days.item_times("I-pending") == {
        "proposed": made.local("2026-11-12 06:00"),
        "alerted": made.local("2026-11-12 06:00"),
        "implemented": made.local("2026-11-12 23:00"),
    }
    assert days.state("I-fresh") is None
    assert days.mails() == 2  # one at six, one at eleven: one seller
    assert [(row["order_item_id"], row["reason"]) for row in days.feed()] == [
        ("I-pending", "late_pending"),
        ("I-ready", "late_ready_to_ship"),
    ]


def test_the_feed_names_each_item_its_reason_and_the_action_s_id_of_the_rulebook(
    days: Days,
) -> None:
    days.pending_item("I-1", DUE)
    days.pending_item("I-2", READY_DUE)
    days.late_alert("Thu 06:00")
    days.late_cancel("Thu 23:00")
    for row, reason, rule in zip(
        days.feed(), ("late_pending", "late_ready_to_ship"), (PENDING, READY), strict=True
    ):
        action = uuid5(VIBES, f"NG|{rule}|{row['order_item_id']}")
        assert (row["reason"], row["action_id"]) == (reason, str(action))
        assert row["reference"] == f"NG-{b32encode(action.bytes).decode()[:8]}"
        assert row["cancelled_at"] == made.local("2026-11-12 23:00")
        assert (row["seller_id"], row["sku"], row["reversed_at"]) == ("S-1", "K-S-1", None)
        assert row["order_number"] == days.row("order_items", row["order_item_id"])["order_number"]
        # The reason is one that the warehouse may bear, and counts as the seller's lateness.
        assert reason in NIGERIA.warehouse.cancel_reasons.on(days.day("Thu"))


def test_what_was_updated_or_cancelled_meanwhile_is_withdrawn_with_the_reason(days: Days) -> None:
    updated = {
        "I-ready": (DUE, {"ready_to_ship_at": "Thu 12:00"}, PENDING, "updated"),
        "I-sent": (DUE, {"shipped_at": "Thu 12:00"}, PENDING, "updated"),
        "I-shipped": (READY_DUE, {"shipped_at": "Thu 22:59:59"}, READY, "updated"),
        "I-eleven": (READY_DUE, {"shipped_at": "Thu 23:00"}, READY, "updated"),
        "I-unwanted": (
            DUE,
            {"cancelled_at": "Thu 12:00", "cancel_reason": "customer_request"},
            PENDING,
            "cancelled",
        ),
        "I-sold-out": (
            READY_DUE,
            {"cancelled_at": "Thu 12:00", "cancel_reason": "out_of_stock"},
            READY,
            "cancelled",
        ),
        "I-other-seller": (DUE, {"seller_id": "S-2", "sku": "K-S-2"}, PENDING, "evidence_gone"),
        "I-late": (DUE, {"ready_to_ship_at": "Thu 23:00:01"}, PENDING, "cancelled by us"),
    }
    days.seller("S-2")
    for name, (before, *_) in updated.items():
        days.pending_item(name, before)
    days.late_alert("Thu 06:00")
    for name, (_, changes, *_) in updated.items():
        days.row("order_items", name).update(changes)
    done = days.late_cancel("Thu 23:00")

    for name, (_, _, rule, cause) in updated.items():
        expected = CANCELLED if cause == "cancelled by us" else ("withdrawn", cause)
        assert days.state(name, rule) == expected, name
    assert done.counts == {
        PENDING: 1,
        "withdrawn: cancelled": 2,
        "withdrawn: evidence_gone": 1,
        "withdrawn: updated": 4,
    }
    assert [row["order_item_id"] for row in days.feed()] == ["I-late"]
    assert days.told(days.day("Thu"), "late_cancellation") == {"S-1": {"I-late"}}


def test_a_seller_all_of_whose_items_are_updated_gets_no_second_mail(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1")["ready_to_ship_at"] = "Thu 12:00"
    days.late_cancel("Thu 23:00")
    assert (days.mails(), days.feed()) == (1, [])
    # The alert has nothing to say any more either: nothing goes out later.
    assert days.deliver("Fri 06:00") == {}


def test_each_seller_gets_one_alert_about_their_items_alone(days: Days) -> None:
    days.seller("S-2")
    for name, seller in (("I-1", "S-1"), ("I-2", "S-1"), ("I-3", "S-2")):
        days.pending_item(name, DUE, seller=seller)
    days.pending_item("I-4", READY_DUE, seller="S-1")
    with serving() as post:
        days.environment["VIBES_MAIL_CATCHER_URL"] = post.url
        days.late_alert("Thu 06:00")
    assert post.copies() == {address("S-1"): 1, address("S-2"): 1}
    (mail,) = post.mails_to(address("S-2"))
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert reference_of(days, "I-3") in text
    for other in ("I-1", "I-2", "I-4"):
        assert reference_of(days, other) not in text
    assert days.told(days.day("Thu")) == {"S-1": {"I-1", "I-2", "I-4"}, "S-2": {"I-3"}}


def test_both_slots_run_twice_change_nothing_and_mail_nobody(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.pending_item("I-2", READY_DUE)
    told = days.late_alert("Thu 06:00")
    before = made.counts(days.ledger)
    days.pending_item("I-3", DUE)
    days.row("order_items", "I-2")["shipped_at"] = "Thu 07:00"
    assert days.late_alert("Thu 08:00") == told
    assert made.counts(days.ledger) == before
    assert days.mails() == 1

    days.row("order_items", "I-2")["shipped_at"] = None
    done = days.late_cancel("Thu 23:00")
    before, feed = made.counts(days.ledger), days.feed()
    days.row("order_items", "I-1")["shipped_at"] = "Thu 22:00"
    assert days.late_cancel("Thu 23:30") == done
    assert days.late_alert("Thu 23:40") == told
    assert made.counts(days.ledger) == before
    assert (days.mails(), days.feed()) == (2, feed)


def test_a_night_without_its_morning_cancels_nothing(days: Days) -> None:
    days.pending_item("I-1", DUE)
    assert days.late_cancel("Thu 23:00").counts == {}
    assert days.state("I-1") is None
    assert days.mails() == 0


# --- the notice guarantee -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replied_at", "is_cancelled"),
    [
        pytest.param("Thu 06:00", True, id="at once"),
        pytest.param("Thu 11:00", True, id="exactly twelve hours before"),
        pytest.param("Thu 11:00:00.000001", False, id="a microsecond less"),
        pytest.param("Thu 12:00", False, id="at noon"),
    ],
)
def test_an_item_is_cancelled_only_twelve_hours_after_its_alert_was_accepted(
    days: Days, replied_at: str, is_cancelled: bool
) -> None:
    days.pending_item("I-1", DUE)
    clock = Ticking(days.market.at("Thu 06:00"), days.market.at(replied_at))
    days.late_alert("Thu 06:00", clock=clock)
    assert days.state("I-1") == ALERTED
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == (CANCELLED if is_cancelled else ALERTED)
    assert len(days.feed()) == is_cancelled


def test_an_item_told_of_too_late_is_in_the_next_morning_s_alert(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert(
        "Thu 06:00", clock=Ticking(days.market.at("Thu 06:00"), days.market.at("Thu 12:00"))
    )
    days.late_cancel("Thu 23:00")
    days.late_alert("Fri 06:00")
    assert days.told(days.day("Fri")) == {"S-1": {"I-1"}}
    days.late_cancel("Fri 23:00")
    assert days.item_times("I-1")["implemented"] == made.local("2026-11-13 23:00")
    assert days.mails() == 3


@pytest.mark.parametrize(
    ("attempted_at", "outcome"),
    [
        pytest.param("Thu 10:59:59.999999", {"sent": 1}, id="in time"),
        pytest.param("Thu 11:00:00.000001", {}, id="with less than twelve hours left"),
        pytest.param("Thu 12:00", {}, id="at noon"),
        pytest.param("Fri 05:00", {}, id="after its night"),
    ],
)
def test_an_alert_that_comes_too_late_for_its_night_is_not_sent(
    days: Days, attempted_at: str, outcome: dict[str, int]
) -> None:
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("sellers", "S-1")["email"] = address("S-1")
    assert days.deliver(attempted_at) == outcome
    assert days.state("I-1") == (ALERTED if outcome else PROPOSED)


# By seller: the address they have at first, when it is mended, and when their item is then told of
# and cancelled.
MENDED = {
    "S-before": (None, "Thu 05:00", "2026-11-12 06:00", "2026-11-12 23:00"),
    "S-same-morning": ("nobody at home", "Thu 08:00", "2026-11-12 08:00", "2026-11-12 23:00"),
    "S-too-late": (None, "Thu 12:00", "2026-11-13 06:00", "2026-11-13 23:00"),
    "S-days-later": ("a@b@c", "Sat 05:00", "2026-11-14 06:00", "2026-11-14 23:00"),
    "S-never": (None, "never", None, None),
}


def test_an_item_whose_seller_cannot_be_told_keeps_its_action_until_the_address_is_mended(
    days: Days,
) -> None:
    for seller, (email, *_) in MENDED.items():
        days.pending_item(f"I-{seller}", DUE, seller=days.seller(seller, email=email))

    def mend(at: str) -> None:
        for seller, (_, mended_at, *_) in MENDED.items():
            if mended_at == at:
                days.row("sellers", seller)["email"] = address(seller)

    for day in ("Thu", "Fri", "Sat"):
        mend(f"{day} 05:00")
        waiting = {s for s in MENDED if "alerted" not in days.item_times(f"I-{s}")}
        days.late_alert(f"{day} 06:00")
        assert set(days.told(days.day(day))) == waiting, day
        for at in (f"{day} 08:00", f"{day} 12:00"):
            mend(at)
            days.deliver(at)
        days.late_cancel(f"{day} 23:00")
    for seller, (_, _, told_at, cancelled_at) in MENDED.items():
        times = days.item_times(f"I-{seller}")
        assert times["proposed"] == made.local("2026-11-12 06:00"), seller
        assert times.get("alerted") == (told_at and made.local(told_at)), seller
        assert times.get("implemented") == (cancelled_at and made.local(cancelled_at)), seller
    assert days.state("I-S-never") == PROPOSED
    # To each but the last the alert that reached them and the mail of their night.
    assert days.mails() == 2 * (len(MENDED) - 1)


def test_an_alert_that_the_server_puts_off_past_eleven_leaves_the_item_to_the_next_day(
    days: Days,
) -> None:
    days.pending_item("I-1", DUE)
    with serving() as post:
        days.environment["VIBES_MAIL_CATCHER_URL"] = post.url
        post.answers[address("S-1")] = ["451 later", "451 later"]
        days.late_alert("Thu 06:00")
        assert days.deliver("Thu 10:00") == {"deferred": 1}
        assert days.deliver("Thu 12:00") == {}
        days.late_cancel("Thu 23:00")
        assert days.state("I-1") == PROPOSED
        days.late_alert("Fri 06:00")
        days.late_cancel("Fri 23:00")
        assert days.state("I-1") == CANCELLED


def test_an_item_updated_before_its_seller_could_be_told_is_withdrawn(days: Days) -> None:
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1")["ready_to_ship_at"] = "Thu 12:00"
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == ("withdrawn", "updated")
    days.row("sellers", "S-1")["email"] = address("S-1")
    assert days.deliver("Fri 08:00") == {}


# --- one item, two deadlines ----------------------------------------------------------------------


def test_an_item_updated_in_time_and_then_late_to_be_shipped_is_cancelled_under_the_other_rule(
    days: Days,
) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1")["ready_to_ship_at"] = "Thu 15:00"
    days.late_cancel("Thu 23:00")
    assert days.state("I-1", READY) is None
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert days.state("I-1", PENDING) == ("withdrawn", "updated")
    assert days.state("I-1", READY) == CANCELLED
    ids = dict(days.rows(sa.select(schema.actions.c.rule, schema.actions.c.action_id)))
    assert ids == {rule: uuid5(VIBES, f"NG|{rule}|I-1") for rule in (PENDING, READY)}
    assert [row["reason"] for row in days.feed()] == ["late_ready_to_ship"]


def test_an_item_that_we_cancelled_is_not_cancelled_again_whatever_the_warehouse_shows(
    days: Days,
) -> None:
    days.pending_item("I-open", DUE)
    days.pending_item("I-moves-on", DUE)
    days.late_alert("Thu 06:00")
    days.late_cancel("Thu 23:00")
    days.row("order_items", "I-moves-on")["ready_to_ship_at"] = "Fri 01:00"
    for day in ("Fri", "Mon+1"):
        assert days.late_alert(f"{day} 06:00").counts == {}
        assert days.late_cancel(f"{day} 23:00").counts == {}
    assert {row["order_item_id"] for row in days.feed()} == {"I-open", "I-moves-on"}
    assert days.mails() == 2


def test_an_item_that_moved_on_while_nights_were_missed_is_told_of_under_its_new_state(
    days: Days,
) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1")["ready_to_ship_at"] = "Thu 15:00"
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert days.state("I-1", PENDING) == ("withdrawn", "updated")
    assert days.state("I-1", READY) == CANCELLED


# --- the order system's feed ----------------------------------------------------------------------


def test_a_day_s_cancellations_are_the_same_whenever_they_are_read(days: Days) -> None:
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.late_cancel("Thu 23:00")
    thursday = days.feed(days.day("Thu"))
    assert [row["order_item_id"] for row in thursday] == ["I-1"]
    days.pending_item("I-2", Item(pending_at="Thu 09:00"))
    days.row("order_items", "I-1").update(cancelled_at="Thu 23:05", cancel_reason="late_pending")
    days.late_cancel("Thu 23:30")
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert days.feed(days.day("Thu")) == thursday
    assert [row["order_item_id"] for row in days.feed(days.day("Fri"))] == ["I-2"]


def test_a_day_s_cancellations_are_those_of_its_night(days: Days) -> None:
    """An order system that reads each night's cancellations must not miss a kept action's."""
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert [row["order_item_id"] for row in days.feed(days.day("Fri"))] == ["I-1"]
    assert days.feed(days.day("Thu")) == []


# --- a changed world ------------------------------------------------------------------------------


def test_an_item_whose_deadline_moved_is_neither_updated_nor_cancelled(
    days: Days, tmp_path: Path
) -> None:
    """A day of mourning declared at noon stops the clock; the item is due a day later."""
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.policy = with_holiday(tmp_path, "2026-11-12")
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == ALERTED
    days.late_alert("Fri 06:00")
    days.late_cancel("Fri 23:00")
    assert days.state("I-1") == CANCELLED


def test_an_item_that_turns_out_another_seller_s_stops_nobody_s_alert(days: Days) -> None:
    """Its action is the first seller's, and no notice to the second may list it."""
    days.seller("S-2")
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1").update(seller_id="S-2", sku="K-S-2")
    days.pending_item("I-2", DUE, seller="S-2")
    days.late_alert("Fri 06:00")
    assert days.state("I-2") == ALERTED


def test_an_item_that_turns_out_another_seller_s_is_not_cancelled(days: Days) -> None:
    """The second seller was not told of anything."""
    days.seller("S-2")
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1").update(seller_id="S-2", sku="K-S-2")
    days.late_cancel("Thu 23:00")
    assert days.state("I-1") == ("withdrawn", "evidence_gone")


def test_a_kept_item_whose_time_was_put_right_is_still_there(days: Days) -> None:
    days.row("sellers", "S-1")["email"] = None
    days.pending_item("I-1", DUE)
    days.late_alert("Thu 06:00")
    days.row("order_items", "I-1")["pending_at"] = "Wed 08:59"
    days.late_alert("Thu+3 06:00")
    days.late_cancel("Thu+3 23:00")
    assert days.state("I-1") == PROPOSED


def reference_of(days: Days, item: str) -> str:
    a = schema.actions.c
    ((reference,),) = days.rows(sa.select(a.reference).where(a.order_item_id == item))
    return str(reference)
