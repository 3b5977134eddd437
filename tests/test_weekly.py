"""The weekly cycle over several weeks: what is promised on Wednesday is what happens on Saturday.

Small marketplaces, a real ledger and the steps of `weekly` as a slot runs them, without Dagster
(Rulebook §2, §6, §7, §8). What a rule decides of one week is tested in `rules`; here is what
becomes of decisions when slots are late, addresses break and the warehouse changes meanwhile.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from itertools import count
from pathlib import Path

import pytest
import slots_direct
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made
from notices.mail_server import Post, serving
from properties import courses
from rules.marketplace import NIGERIA, Item, Marketplace, Row, amended

from vibes_pipeline.calendar import Slot
from vibes_pipeline.clock import SimulatedClock
from vibes_pipeline.errors import LedgerError, MailError, StaleWarehouse, TooManyBadRows
from vibes_pipeline.ledger import database, schema
from vibes_pipeline.ledger.implementation import Implementation
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import FrozenCycle, frozen_cycle, is_unchanged
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slot_run import SlotRun

# The template of `tests/conftest.py`.
MIGRATED = "migrated"
WEEK = timedelta(weeks=1)
# An item of long ago, which no rule looks at but for what happened to it since.
OLD = Item(pending_at="Mon-3 09:00", ready_to_ship_at="Mon-3 10:00", shipped_at="Mon-3 11:00")
GOOD = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00", shipped_at="Mon 11:00")


@dataclass
class Programme:
    """A marketplace, a simulated ledger, and the weekly slots run over them.

    Cycles are counted from the marketplace's observed week, which is 0; a slot happens when it is
    due unless told otherwise. The warehouse is read as `market` stands at that moment.
    """

    ledger: Ledger
    home: Path
    market: Marketplace = field(default_factory=Marketplace)
    policy: Policy = NIGERIA
    environment: dict[str, str] = field(default_factory=dict)

    def seller(self, name: str, **columns: object) -> str:
        """A seller with an address of their own and one product."""
        self.market.seller(seller_id=name, **{"email": address(name), **columns})
        self.market.product(name, sku=sku(name))
        return name

    def item(self, seller: str, name: str, columns: Item) -> Row:
        """An item of the seller's product; gives its row, which later slots read as it then is."""
        given: Item = {**columns, "seller_id": seller, "sku": sku(seller), "order_item_id": name}
        self.market.item(given)
        return self.market.raw["order_items"][-1]

    def row(self, table: str, row_id: str) -> Row:
        """The one row of that id; to change it is to change the warehouse."""
        (row,) = (r for r in self.market.raw[table] if row_id == next(iter(r.values())))
        return row

    def alert(self, cycle: int = 0, at: str | None = None) -> FrozenCycle:
        """The whole `weekly-alert` slot, as the job's assets and checks run it."""
        run = self._begin(Slot.WEEKLY_ALERT, cycle, at)
        frozen = slots_direct.weekly_alert(run, self.ledger)
        self._finish(run)
        return frozen

    def implement(self, cycle: int = 0, at: str | None = None) -> Implementation:
        """The whole `weekly-implementation` slot."""
        run = self._begin(Slot.WEEKLY_IMPLEMENTATION, cycle, at)
        done = slots_direct.weekly_implementation(run, self.ledger)
        self._finish(run)
        return done

    def deliver(self, at: datetime) -> Counter[str]:
        """What is open goes out, between slots."""
        clock, settings = SimulatedClock(at), self._settings()
        outcomes: Counter[str] = deliver_notices(
            self.ledger, self.policy, settings, clock, slot_now=at
        )
        return outcomes

    def cycle(self, number: int) -> date:
        return self.market.monday + number * WEEK

    def _begin(self, slot: Slot, cycle: int, at: str | None) -> SlotRun:
        period = self.cycle(cycle)
        due_at = self.policy.slot_calendar.due_at(slot, period)
        now = self.market.at(at) if at else due_at
        self.ledger.require_mode(is_simulated=True)
        return SlotRun.begin(
            slot, period, self.policy, self._settings(), now=now, is_simulated=True
        )

    def _finish(self, run: SlotRun) -> None:
        self.deliver(run.now)
        self.ledger.record_finished(run.slot, run.period, run.now)

    def _settings(self) -> Settings:
        warehouse = self.market.write(self.home / "raw")
        return Settings.from_environment(
            {
                "VIBES_HOME": str(self.home),
                "VIBES_WAREHOUSE": str(warehouse),
                **self.environment,
            }
        )

    # --- what came of it ---

    def state(self, rule: str, subject: str) -> str | None:
        """The present state of a charge of an item, or a regulation of a product or seller."""
        return made.states(self.ledger).get((rule, subject))

    def times(self, rule: str, subject: str) -> dict[str, datetime]:
        """When the action came into each of its states."""
        a, e = schema.actions.c, schema.action_events.c
        struck = sa.func.coalesce(a.order_item_id, a.sku, a.seller_id)
        with self.ledger.reading() as connection:
            found = connection.execute(
                sa.select(e.state, e.at)
                .join(schema.actions, a.action_id == e.action_id)
                .where(a.rule == rule, struck == subject)
            )
            return {state: at.astimezone(self.policy.time_zone) for state, at in found}

    def postings(self) -> dict[str, Decimal]:
        """Naira posted by item."""
        a, p = schema.actions.c, schema.postings.c
        totals: Counter[str] = Counter()
        with self.ledger.reading() as connection:
            for item, amount in connection.execute(
                sa.select(a.order_item_id, p.amount).join(
                    schema.actions, a.action_id == p.action_id
                )
            ):
                totals[item] += amount
        return dict(totals)  # type: ignore[arg-type]

    def mails(self) -> int:
        """How many mails lie in the Maildir."""
        return len(list((self.home / "mail" / "new").glob("*")))


def address(seller: str) -> str:
    return f"{seller.lower()}@shop.example"


def sku(seller: str) -> str:
    return f"K-{seller}"


def returned(at: str = "Tue 10:00", reason: str = "wrong_item") -> Item:
    """An old item that came back for quality: a returns charge."""
    return {**OLD, "returned_at": at, "return_reason": reason}


def out_of_stock(at: str = "Tue 10:00", **columns: str) -> Item:
    """An item ready in time and then cancelled for want of stock: an out-of-stock charge."""
    ready = Item(pending_at="Mon 09:00", ready_to_ship_at="Mon 10:00")
    return {**ready, "cancelled_at": at, "cancel_reason": "out_of_stock", **columns}  # type: ignore[typeddict-item]


def rejected(at: str) -> Item:
    """An old item that its customer did not take; two of them regulate its product."""
    return {**OLD, "rejected_at": at}


@pytest.fixture
def programme(ledger: Ledger, tmp_path: Path) -> Programme:
    return Programme(ledger, tmp_path)


# --- the two slots of one cycle -------------------------------------------------------------------


def test_what_is_alerted_on_wednesday_is_implemented_and_posted_on_saturday(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-returned", returned())
    programme.item(seller, "I-gone", out_of_stock(commission="700.00"))
    programme.item(seller, "I-refused-1", rejected("Tue 10:00"))
    programme.item(seller, "I-refused-2", rejected("Wed 10:00"))

    programme.alert()
    assert made.states(programme.ledger) == {
        ("returns_charge", "I-returned"): "alerted",
        ("out_of_stock_charge", "I-gone"): "alerted",
        ("sales_regulation", "K-S-1"): "alerted",
        ("order_regulation", "S-1"): "alerted",
    }
    assert programme.postings() == {}

    done = programme.implement()
    assert set(made.states(programme.ledger).values()) == {"implemented"}
    assert programme.postings() == {"I-returned": Decimal(1500), "I-gone": Decimal(1400)}
    assert (done.posted, done.withdrawn) == (Decimal(2900), 0)
    assert programme.times("returns_charge", "I-returned") == {
        "proposed": made.local("2026-11-18 07:00"),
        "alerted": made.local("2026-11-18 07:00"),
        "implemented": made.local("2026-11-21 09:00"),
    }
    assert programme.mails() == 2  # one before, one after


def test_running_either_slot_again_changes_nothing_and_mails_nobody(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    first = programme.alert()
    programme.item("S-1", "I-2", returned())
    programme.row("order_items", "I-1")["return_reason"] = "used_refurbished"
    assert programme.alert(at="Fri+1 12:00") == first
    programme.row("order_items", "I-1")["return_reason"] = "wrong_item"
    done = programme.implement()
    before = made.counts(programme.ledger)

    assert programme.implement(at="Sun+1 09:00") == done
    assert programme.alert(at="Sun+1 10:00") == first
    assert made.counts(programme.ledger) == before
    assert programme.mails() == 2


def test_a_saturday_without_its_wednesday_implements_nothing(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    assert programme.implement().by_rule == {}
    assert made.states(programme.ledger) == {}


def test_cycles_are_frozen_in_order(programme: Programme) -> None:
    programme.alert(1)
    with pytest.raises(LedgerError, match=r"cycle 2026-11-09 comes before 2026-11-16, .* in order"):
        programme.alert(0)


def test_a_seller_s_actions_of_all_rules_are_in_one_mail(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", out_of_stock())
    programme.item(programme.seller("S-2"), "I-3", returned())
    with catching(programme) as post:
        programme.alert()
    assert post.copies() == {address("S-1"): 1, address("S-2"): 1}
    (mail,) = post.mails_to(address("S-1"))
    assert all(item in text_of(mail) for item in ("I-1", "I-2"))
    assert "I-3" not in text_of(mail)


# --- the notice guarantee -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alerted_at", "implemented_at", "is_implemented"),
    [
        pytest.param("Wed+1 07:00", "Sat+1 09:00", True, id="both on time"),
        pytest.param("Wed+1 09:00", "Sat+1 09:00", True, id="exactly 72 hours"),
        pytest.param("Wed+1 09:00:01", "Sat+1 09:00", False, id="a second less"),
        pytest.param("Wed+1 15:00", "Sat+1 09:00", False, id="alert 8 hours late"),
        pytest.param("Wed+1 15:00", "Sat+1 15:00", True, id="both as late as each other"),
        pytest.param(
            "Thu+1 10:00", "Sun+1 10:00", True, id="a day late both, 72 hours all the same"
        ),
        pytest.param("Thu+1 10:00", "Sun+1 09:59:59.999999", False, id="a microsecond less"),
    ],
)
def test_nothing_is_implemented_before_its_accepted_alert_is_72_hours_old(
    programme: Programme, alerted_at: str, implemented_at: str, is_implemented: bool
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", rejected("Tue 10:00"))
    programme.item(seller, "I-3", rejected("Tue 10:00"))
    programme.alert(at=alerted_at)
    programme.implement(at=implemented_at)
    state = "implemented" if is_implemented else "alerted"
    assert programme.state("returns_charge", "I-1") == state
    # A regulation of which the alert could only say that it takes effect after its end is not in it.
    is_told = alerted_at in ("Wed+1 07:00", "Wed+1 09:00")
    assert programme.state("sales_regulation", "K-S-1") == (state if is_told else "proposed")
    assert programme.postings() == ({"I-1": Decimal(1500)} if is_implemented else {})


def test_an_alert_sent_on_thursday_moves_charges_a_week_and_its_regulations_expire(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-returned", returned())
    programme.item(seller, "I-refused-1", rejected("Tue 10:00"))
    programme.item(seller, "I-refused-2", rejected("Tue 10:00"))
    programme.item(seller, "I-gone", out_of_stock())

    with catching(programme) as post:
        programme.alert(0, at="Thu+1 09:30")
    (mail,) = post.mails_to(address(seller))
    assert "Saturday 28 November 2026, 09:00" in text_of(mail)
    assert "Saturday 21 November 2026" not in text_of(mail)

    assert "Order Regulation" not in text_of(mail)

    programme.implement(0)
    assert made.states(programme.ledger) == {
        ("returns_charge", "I-returned"): "alerted",
        ("out_of_stock_charge", "I-gone"): "alerted",
        ("sales_regulation", "K-S-1"): "proposed",
        ("order_regulation", seller): "proposed",
    }

    programme.alert(1)
    assert programme.state("order_regulation", seller) == "expired"
    # Of the same two rejections the next cycle makes a regulation of its own; neither is new in its
    # week, so it is no occurrence.
    assert regulations(programme) == {0: ("expired", 1), 1: ("alerted", None)}
    assert programme.state("returns_charge", "I-returned") == "alerted"

    programme.implement(1)
    saturday = made.local("2026-11-28 09:00")
    assert programme.times("returns_charge", "I-returned")["implemented"] == saturday
    assert programme.times("out_of_stock_charge", "I-gone")["implemented"] == saturday
    assert regulations(programme) == {0: ("expired", 1), 1: ("implemented", None)}


def test_missed_weeks_are_caught_up_oldest_first_and_each_once(programme: Programme) -> None:
    seller = programme.seller("S-1")
    for week in range(3):
        programme.item(seller, f"I-{week}", returned(f"Tue+{week} 10:00"))
    # Down from the first Wednesday until the third week's Thursday.
    back = "Thu+3 12:00"
    for week in range(3):
        programme.alert(week, at=back)
        if week < 2:
            programme.implement(week, at=back)
    assert set(made.states(programme.ledger).values()) == {"alerted"}
    assert programme.mails() == 3
    programme.implement(2)
    assert programme.postings() == {}  # Saturday gives them 45 hours only
    programme.alert(3)
    done = programme.implement(3)
    assert done.by_rule == {"returns_charge": 3}
    assert set(programme.postings()) == {"I-0", "I-1", "I-2"}


# --- addresses ------------------------------------------------------------------------------------


def test_an_undeliverable_seller_s_charges_wait_until_the_address_is_mended(
    programme: Programme,
) -> None:
    # By which slot the address is mended; when its seller is then told, and charged.
    cases = {
        "S-whole": (None, "2026-11-18 07:00", "2026-11-21 09:00"),
        "S-by-saturday": ("Sat+1", "2026-11-21 09:00", "2026-11-28 09:00"),
        "S-by-wednesday": ("Wed+2", "2026-11-25 07:00", "2026-11-28 09:00"),
        "S-by-next-saturday": ("Sat+2", "2026-11-28 09:00", "2026-12-05 09:00"),
        "S-never": ("never", None, None),
    }
    for seller, (mended, *_) in cases.items():
        programme.seller(seller, email=None if mended else address(seller))
        programme.item(seller, f"I-{seller}", returned())
    for week in range(3):
        for slot, run in (
            (f"Wed+{week + 1}", programme.alert),
            (f"Sat+{week + 1}", programme.implement),
        ):
            for seller, (mended, *_) in cases.items():
                if slot == mended:
                    assert programme.state("returns_charge", f"I-{seller}") == "proposed"
                    programme.row("sellers", seller)["email"] = address(seller)
            run(week)
    for seller, (_, told_at, implemented_at) in cases.items():
        times = programme.times("returns_charge", f"I-{seller}")
        assert times.get("alerted") == (told_at and made.local(told_at)), seller
        assert times.get("implemented") == (implemented_at and made.local(implemented_at)), seller


def test_an_address_mended_between_slots_starts_the_72_hours_when_its_mail_is_accepted(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1", email="nobody"), "I-1", returned())
    programme.alert()
    assert programme.deliver(programme.market.at("Wed+1 08:00")) == {}
    programme.row("sellers", "S-1")["email"] = address("S-1")
    assert programme.deliver(programme.market.at("Wed+1 08:30")) == {"sent": 1}
    programme.implement()
    assert programme.times("returns_charge", "I-1")["implemented"] == made.IMPLEMENT_AT


def test_an_undeliverable_regulation_expires_with_its_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1", email=None)
    for item in ("I-1", "I-2"):
        programme.item(seller, item, rejected("Tue 10:00"))
    programme.alert(0)
    programme.implement(0)
    assert regulations(programme) == {0: ("proposed", 1)}
    programme.alert(1)
    assert regulations(programme) == {0: ("expired", 1), 1: ("proposed", None)}


def test_a_seller_whom_the_server_refuses_is_told_at_a_mended_address_once(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    with catching(programme) as post:
        post.answers[address("S-1")] = ["550 no such mailbox"]
        programme.alert(0)
        programme.implement(0)
        assert programme.state("returns_charge", "I-1") == "proposed"
        assert post.copies() == {address("S-1"): 1}
        programme.row("sellers", "S-1")["email"] = "new@shop.example"
        programme.alert(1)
        programme.implement(1)
    assert post.copies() == {address("S-1"): 1, "new@shop.example": 2}
    assert programme.state("returns_charge", "I-1") == "implemented"


def test_without_a_mail_server_the_proposal_stands_and_goes_out_with_the_next_run(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.environment["VIBES_MAIL_CATCHER_URL"] = "smtp://127.0.0.1:1"
    with pytest.raises(MailError, match=r"127\.0\.0\.1:1 .*VIBES_MAIL_CATCHER_URL"):
        programme.alert()
    assert programme.state("returns_charge", "I-1") == "proposed"
    with catching(programme) as post:
        programme.alert(at="Wed+1 08:00")
    assert post.copies() == {address("S-1"): 1}
    assert programme.times("returns_charge", "I-1") == {
        "proposed": made.local("2026-11-18 07:00"),
        "alerted": made.local("2026-11-18 08:00"),
    }


# --- a warehouse that changes ---------------------------------------------------------------------


def test_charges_whose_evidence_is_contradicted_by_saturday_are_withdrawn(
    programme: Programme,
) -> None:
    changes: dict[str, Row] = {
        "its reason was corrected": {"return_reason": "change_of_mind"},
        "even to a dearer one": {"return_reason": "defective_item"},
        "its return was undone": {"returned_at": None, "return_reason": None},
        "it is another seller's": {"seller_id": "S-2", "sku": sku("S-2")},
    }
    seller = programme.seller("S-1")
    programme.seller("S-2")
    for item in (*changes, "nothing has changed"):
        programme.item(seller, item, returned())
    programme.alert()
    for item, change in changes.items():
        programme.row("order_items", item).update(change)
    done = programme.implement()
    assert (done.withdrawn, done.by_rule) == (len(changes), {"returns_charge": 1})
    assert programme.postings() == {"nothing has changed": Decimal(1500)}
    s = schema.action_states.c
    assert set(made.rows(programme.ledger, s.order_item_id, s.state, s.cause)) == {
        ("nothing has changed", "implemented", "implemented"),
        *((item, "withdrawn", "evidence_gone") for item in changes),
    }


def test_a_withdrawn_charge_does_not_come_back_with_its_event(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.alert(0)
    programme.row("order_items", "I-1")["return_reason"] = "other"
    programme.implement(0)
    programme.row("order_items", "I-1")["return_reason"] = "wrong_item"
    programme.alert(1)
    programme.implement(1)
    assert programme.state("returns_charge", "I-1") == "withdrawn"
    assert programme.postings() == {}


def test_what_is_posted_is_what_was_alerted_whatever_the_commission_has_become(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    changes = {"lower": "1.00", "a little lower": "499.99", "higher": "500.01", "huge": "99999.00"}
    for item in changes:
        programme.item(seller, item, out_of_stock(commission="500.00"))
    programme.alert()
    for item, commission in changes.items():
        programme.row("order_items", item)["commission"] = commission
    programme.implement()
    assert programme.postings() == dict.fromkeys(changes, Decimal(1000))


def test_a_policy_amended_after_the_alert_does_not_touch_what_was_alerted(
    programme: Programme, tmp_path: Path
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.item("S-1", "I-2", returned("Tue+1 10:00"))
    programme.alert(0)
    programme.policy = amended(
        tmp_path, ("returns_charge.amounts.wrong_item", "2026-11-16", "1750")
    )
    programme.implement(0)
    programme.alert(1)
    programme.implement(1)
    assert programme.postings() == {"I-1": Decimal(1500), "I-2": Decimal(1750)}


def test_an_event_loaded_after_the_alert_waits_for_the_next_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.alert(0)
    programme.item(seller, "I-2", returned())  # of the same week, loaded only now
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(1500)}
    programme.alert(1)
    programme.implement(1)
    assert programme.times("returns_charge", "I-2") == {
        "proposed": made.local("2026-11-25 07:00"),
        "alerted": made.local("2026-11-25 07:00"),
        "implemented": made.local("2026-11-28 09:00"),
    }


def test_late_data_is_taken_up_for_28_days_and_since_the_first_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.alert(0)
    for cycle, event_at, item in (
        (1, "Tue 10:00", "a week late"),
        (1, "Sun-1 23:59:59", "of a week before this ledger's first cycle"),
        (4, "Mon 00:00", "its week began 28 days before"),
        (5, "Sun 23:59:59", "its week began 35 days before"),
    ):
        programme.item(seller, item, returned(event_at))
        programme.alert(cycle)
    assert made.states(programme.ledger) == {
        ("returns_charge", "a week late"): "alerted",
        ("returns_charge", "its week began 28 days before"): "alerted",
    }


def test_an_item_charged_late_and_then_found_out_of_stock_bears_the_difference(
    programme: Programme,
) -> None:
    late = Item(pending_at="Mon 09:00", commission="600.00")
    row = programme.item(programme.seller("S-1"), "I-1", late)
    programme.alert(0)
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(600)}
    row.update(cancelled_at="Mon+1 12:00", cancel_reason="out_of_stock")
    programme.alert(1)
    programme.implement(1)
    assert programme.state("out_of_stock_charge", "I-1") == "implemented"
    assert programme.postings() == {"I-1": Decimal(1200)}


def test_a_stale_warehouse_stops_the_alert_before_anything_is_done(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    tables = ("sellers", "products", "order_items")
    programme.market.loads = {**dict.fromkeys(tables, "Mon+1 00:00"), "order_items": "Sun 23:59:59"}
    with pytest.raises(StaleWarehouse, match=r"raw\.order_items \(2026-11-15 23:59\)"):
        programme.alert()
    assert not any(made.counts(programme.ledger).values())
    programme.market.loads["order_items"] = "Mon+1 00:00"
    programme.alert(at="Wed+1 08:00")
    assert programme.state("returns_charge", "I-1") == "alerted"


def test_too_many_bad_rows_stop_the_alert_but_not_the_implementation(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.alert(0)
    for item in ("I-2", "I-3"):
        programme.item(seller, item, {**returned("Tue+1 10:00"), "commission": "-1.00"})
    programme.implement(0)
    assert programme.postings() == {"I-1": Decimal(1500)}
    with pytest.raises(TooManyBadRows, match="2 of the 2 order items of the week of 2026-11-16"):
        programme.alert(1)
    assert frozen_cycle(programme.ledger, programme.cycle(1)) is None


# --- strikes --------------------------------------------------------------------------------------


def test_the_fourth_regulation_that_stands_brings_the_delisting_and_no_fifth(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    for week in range(6):
        for copy in "ab":
            programme.item(seller, f"I-{week}{copy}", rejected(f"Tue+{week} 10:00"))
    for week in range(6):
        # The second week's alert comes on Thursday, so its regulation is never implemented.
        programme.alert(week, at="Thu+2 10:00" if week == 1 else None)
        programme.implement(week)
    assert regulations(programme) == {
        0: ("implemented", 1),
        1: ("expired", 2),
        2: ("implemented", 2),
        3: ("implemented", 3),
        4: ("implemented", 4),
    }
    delistings = made.rows(
        programme.ledger,
        schema.action_states.c.cycle,
        schema.action_states.c.state,
    )
    assert (programme.cycle(4), "implemented") in delistings
    assert programme.state("product_delisting", "K-S-1") == "implemented"
    assert len(delistings) == 6


def test_a_delisting_decided_by_a_person_is_told_of_like_any_other_action(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", returned("Tue+1 10:00"))
    programme.alert(0)
    programme.implement(0)
    programme.market.account_decision(seller, "Mon+2 10:00", decision_id="D-1")
    programme.alert(1)
    assert programme.state("account_delisting", seller) == "alerted"
    programme.implement(1)
    assert programme.state("account_delisting", seller) == "implemented"
    # Charges go on.
    assert programme.postings() == {"I-1": Decimal(1500), "I-2": Decimal(1500)}


# --- whatever happens -----------------------------------------------------------------------------

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


@courses(4)
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


# --- helpers --------------------------------------------------------------------------------------


@contextmanager
def new_programme(administration: sa.Engine) -> Iterator[Programme]:
    """A programme with a ledger of its own, in which every seller loses an item every week."""
    name = f"chances_{next(_numbers)}"
    with administration.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {MIGRATED}"))
    ledger = Ledger(database.connect(administration.url.set(database=name)), "NG")
    try:
        with tempfile.TemporaryDirectory() as home:
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
    finally:
        ledger.close()
        with administration.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def catching(programme: Programme) -> Iterator[Post]:
    """The programme's mail goes to a server that counts it."""
    with serving() as post:
        programme.environment["VIBES_MAIL_CATCHER_URL"] = post.url
        yield post
        del programme.environment["VIBES_MAIL_CATCHER_URL"]


def regulations(programme: Programme) -> dict[int, tuple[str, int | None]]:
    """State and ordinal of each cycle's sales regulation, cycles counted from 0."""
    s = schema.action_states.c
    return {
        (cycle - programme.market.monday) // WEEK: (state, ordinal)
        for cycle, state, ordinal, rule in made.rows(
            programme.ledger, s.cycle, s.state, s.occurrence, s.rule
        )
        if rule == "sales_regulation"
    }


def rows_of(programme: Programme, query: str) -> list[tuple[object, ...]]:
    with programme.ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text


def notice_of(mail: EmailMessage) -> str:
    """The id of the notice that the mail is."""
    return str(mail["Message-ID"]).strip("<>").partition("@")[0]
