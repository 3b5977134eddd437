"""What of a warehouse is good, and which charges its events would bring: another hand's reading.

Here belongs the rulebook's §13 and §6 in plain Python, for small tables, so that what slots did can
be held against the rows that they saw. It shares no code with the SQL of the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from deadlines import fulfilment_deadline
from rules.marketplace import NIGERIA
from storm.world import Row, Tables, instant, micros

from vibes_pipeline.errors import CalendarError
from vibes_pipeline.warehouse.contract import CONTRACT, INSTANT

CANCEL_REASONS = frozenset(
    {
        *("out_of_stock", "late_pending", "late_ready_to_ship", "customer_request"),
        *("payment_failed", "wrong_order", "other"),
    }
)
QUALITY_REASONS = frozenset({"wrong_item", "defective_item", "used_refurbished"})
RETURN_REASONS = QUALITY_REASONS | {"change_of_mind", "other"}
LATER_TIMES = (
    *("ready_to_ship_at", "shipped_at", "delivered_at", "cancelled_at", "rejected_at"),
    "returned_at",
)
END_OF_TIME = 7_289_654_400_000_000  # 2201


class Fact(NamedTuple):
    """An event that a charge rule strikes: whose, why, at most how much, on which row it rests.

    `onboarded_at` tells, where the rule exempts new sellers, whether this is one.
    """

    seller_id: str
    order_number: str
    sku: str
    reason: str
    highest: Decimal
    source: str | None = None
    onboarded_at: int | None = None


Facts = Mapping[tuple[str, str], Fact]  # by rule and item


@dataclass(frozen=True)
class Seen:
    """A warehouse as a slot sees it at an instant."""

    tables: Tables
    now: int

    @cached_property
    def sellers(self) -> dict[str, Row]:
        """Good sellers of Nigeria."""
        good = self._unique("sellers")
        return {
            name: row
            for name, row in good.items()
            if isinstance(row["country"], str)
            and row["country"] == "NG"
            and _is_timely(row, "sellers")
        }

    @cached_property
    def products(self) -> dict[str, Row]:
        return {
            name: row
            for name, row in self._unique("products").items()
            if row["seller_id"] in self.sellers and row["product_type"] in ("GM", "Fashion")
        }

    @cached_property
    def items(self) -> dict[str, Row]:
        """Good items that are pending by now, without what is yet to come."""
        return {
            name: self._as_of(row)
            for name, row in self._unique("order_items").items()
            if self._is_good_item(row) and row["pending_at"] <= self.now
        }

    @cached_property
    def checks(self) -> dict[str, Row]:
        return {
            name: row
            for name, row in self._unique("dropoff_qc").items()
            if row["order_item_id"] in self.items
            and _is_timely(row, "dropoff_qc")
            and row["checked_at"] is not None
            and row["checked_at"] <= self.now
            and (
                row["result"] == "passed"
                or (row["result"] == "failed" and row["failure_reason"] in QUALITY_REASONS)
            )
        }

    @cached_property
    def cases(self) -> dict[str, Row]:
        return {
            name: row
            for name, row in self._unique("counterfeit_cases").items()
            if row["order_item_id"] in self.items and _is_timely(row, "counterfeit_cases")
        }

    @cached_property
    def facts(self) -> Facts:
        """Every event that a charge rule strikes, whether or not a cycle takes it up."""
        return {(rule, item): fact for rule, item, fact in self._facts()}

    def _facts(self) -> Iterable[tuple[str, str, Fact]]:
        for name, row in self.items.items():
            if row["cancel_reason"] == "out_of_stock" and row["cancelled_at"] is not None:
                amount = _multiple("out_of_stock_charge", row, row["cancelled_at"])
                yield "out_of_stock_charge", name, self._of_old(row, "out_of_stock", amount)
            deadline = _deadline(row["pending_at"])
            if deadline is not None and self._is_late(row, deadline):
                amount = _multiple("late_fulfilment_charge", row, deadline)
                yield "late_fulfilment_charge", name, self._of_old(row, "late", amount)
            if row["returned_at"] is not None and row["return_reason"] in QUALITY_REASONS:
                reason = row["return_reason"]
                amount = _listed("returns_charge", reason, row["returned_at"])
                yield "returns_charge", name, _fact(row, reason, amount)
        failed = [row for row in self.checks.values() if row["result"] == "failed"]
        for check in sorted(failed, key=lambda r: (r["checked_at"], r["qc_id"]), reverse=True):
            item, reason = check["order_item_id"], check["failure_reason"]
            amount = _listed("dropoff_qc_charge", reason, check["checked_at"])
            yield "dropoff_qc_charge", item, _fact(self.items[item], reason, amount, check["qc_id"])
        proven = [
            row
            for row in self.cases.values()
            if row["proven_at"] is not None
            and row["proven_at"] <= self.now
            and row["notified_at"] is not None
            and row["notified_at"] <= self.now
        ]
        for case in sorted(proven, key=lambda r: (r["proven_at"], r["case_id"]), reverse=True):
            item = case["order_item_id"]
            amount = Decimal(50_000)
            yield (
                "counterfeit_charge",
                item,
                _fact(self.items[item], "counterfeit", amount, case["case_id"]),
            )

    def _of_old(self, row: Row, reason: str, amount: Decimal) -> Fact:
        onboarded_at = self.sellers[row["seller_id"]]["onboarded_at"]
        return _fact(row, reason, amount)._replace(onboarded_at=onboarded_at)

    def has_source(self, rule: str, source: str | None) -> bool:
        """Whether the row is there and good that an event rests on beside its item's."""
        if source is None:
            return True
        return source in (self.checks if rule == "dropoff_qc_charge" else self.cases)

    def _is_late(self, row: Row, deadline: int) -> bool:
        ready = [row[n] for n in (*LATER_TIMES[:3], "rejected_at") if row[n] is not None]
        return (
            deadline <= self.now
            and (not ready or min(ready) > deadline)
            and (row["cancelled_at"] is None or row["cancelled_at"] >= deadline)
        )

    def _is_good_item(self, row: Row) -> bool:
        product = self.products.get(row["sku"])
        pending = row["pending_at"]
        return bool(
            row["order_item_id"]
            and row["order_number"]
            and row["seller_id"] in self.sellers
            and product
            and product["seller_id"] == row["seller_id"]
            and pending is not None
            and all(row[n] is not None and row[n] >= 0 for n in ("item_price", "commission"))
            and _is_timely(row, "order_items")
            and all(row[n] is None or row[n] >= pending for n in LATER_TIMES)
            and (row["delivered_at"] is None or row["rejected_at"] is None)
            and (row["cancelled_at"] is None or row["cancel_reason"] in CANCEL_REASONS)
            and (row["returned_at"] is None or row["return_reason"] in RETURN_REASONS)
        )

    def _as_of(self, row: Row) -> Row:
        seen = {
            n: v if v is None or v <= self.now else None for n, v in row.items() if n in LATER_TIMES
        }
        return {**row, **seen}

    def _unique(self, table: str) -> dict[str, Row]:
        """The rows by id, without those whose id is null or another's too."""
        rows = self.tables[table]
        name = next(iter(CONTRACT[table].columns))
        often = Counter(row[name] for row in rows)
        return {row[name]: row for row in rows if row[name] is not None and often[row[name]] == 1}


def _fact(row: Row, reason: str, amount: Decimal, source: str | None = None) -> Fact:
    return Fact(row["seller_id"], row["order_number"], row["sku"], reason, amount, source)


def _is_timely(row: Row, table: str) -> bool:
    instants = [n for n, type_ in CONTRACT[table].columns.items() if type_ == INSTANT]
    return all(row[n] is None or 0 <= row[n] < END_OF_TIME for n in instants)


def _deadline(pending_at: int) -> int | None:
    try:
        return micros(fulfilment_deadline(NIGERIA.calendar, instant(pending_at), 24))
    except CalendarError:
        return None


def _multiple(rule: str, row: Row, at: int) -> Decimal:
    charge, day = getattr(NIGERIA, rule), _day(at)
    return min(charge.commission_multiple.on(day) * row["commission"], charge.cap.on(day))


def _listed(rule: str, reason: str, at: int) -> Decimal:
    amount: Decimal = getattr(NIGERIA, rule).amounts[reason].on(_day(at))
    return amount


def _day(at: int) -> date:
    """The local day of an event; the policy's first where it lies before, where no cycle charges."""
    return max(NIGERIA.local_date(instant(at)), NIGERIA.calendar.first_day)
