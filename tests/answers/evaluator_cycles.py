"""Why a seller or a product was regulated in a cycle, and where sellers stand, read by another hand.

Here belongs the slow evaluator of §14 for sellers and products and of §15's counts, in plain Python,
written from the text of the rulebook (§4, §5, §7, §14, §15) alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from answers.evaluator import QUALITY, Evaluator

from vibes_pipeline.calendar import day_start

Row = Mapping[str, Any]
ACCOUNTABLE = {
    "out_of_stock": "stock",
    "late_pending": "lateness",
    "late_ready_to_ship": "lateness",
}
# §7: percent of rejected, and of returned items, that a product must exceed.
OVER = {"GM": (3, 2), "Fashion": (6, 4)}
CUSTOMERS = 2


@dataclass(frozen=True)
class Record:
    """§4: what a seller shipped and cancelled in a span, and the fulfilment days that begin in it."""

    shipped: int
    orders: int
    cancelled: int
    days: int

    @property
    def rate(self) -> Fraction | None:
        items = self.shipped + self.cancelled
        return Fraction(100 * self.cancelled, items) if items else None

    @property
    def band(self) -> int | None:
        """§5, by the edges as the decision settles them."""
        if self.rate is None:
            return None
        if self.rate < Fraction("2.5"):
            return 0
        return 1 if self.rate <= 5 else 2 if self.rate <= 10 else 3

    @property
    def daily_limit(self) -> int | None:
        shares = {1: 75, 2: 50}
        if self.band in shares:
            return max(2, shares[self.band] * self.orders // (100 * max(self.days, 1)))
        return 2 if self.band == 3 else None

    @property
    def pending_limit(self) -> int | None:
        multiples = {1: 4, 2: 2}
        if self.band in multiples:
            assert self.daily_limit is not None
            return multiples[self.band] * self.daily_limit
        return 4 if self.band == 3 else None


@dataclass(frozen=True)
class Rates:
    """§7: a product's rejections and returns, each with its base and its customers."""

    rejected: int
    rejection_base: int
    rejecting: int
    returned: int
    return_base: int
    returning: int


class OfCycles(Evaluator):
    """The same tables and exports, asked about sellers and products."""

    def seller(self, seller: str, cycle: date) -> str:
        """The code of the order regulation, `acted` aside: the first that applies."""
        if seller not in self._sellers:
            return self._of_no_row("sellers", "seller_id", seller)
        record = self.record(seller, self._starts(cycle), self._starts(cycle + timedelta(days=7)))
        if record.rate is None:
            return "no_activity"
        if seller in self._delisted("account_delisting", "seller_id"):
            return "account_delisted"
        if self._sellers[seller]["is_jumia_express"]:
            return "exempt"
        return "below_bands" if record.band == 0 else "awaits_cycle"

    def product(self, sku: str, cycle: date) -> str:
        """The code of the sales regulation, `acted` aside."""
        if sku not in self._products:
            return self._of_no_row("products", "sku", sku)
        product = self._products[sku]
        is_delisted = sku in self._delisted("product_delisting", "sku")
        if is_delisted or product["seller_id"] in self._delisted("account_delisting", "seller_id"):
            return "delisted"
        rates = self.rates(sku, cycle)
        if not rates.rejected and not rates.returned:
            return "no_event"
        rejected_over, returned_over = OVER[product["product_type"]]
        customers_of_each_over = []
        if 100 * rates.rejected > rejected_over * rates.rejection_base:
            customers_of_each_over.append(rates.rejecting)
        if 100 * rates.returned > returned_over * rates.return_base:
            customers_of_each_over.append(rates.returning)
        if not customers_of_each_over:
            return "not_over"
        is_regulated = max(customers_of_each_over) >= CUSTOMERS
        return "awaits_cycle" if is_regulated else "too_few_customers"

    def record(self, seller: str, start: datetime, end: datetime) -> Record:
        """What counts of the seller's good items in a span."""
        mine = [self._as_of(row) for row in self._items.values() if row["seller_id"] == seller]
        shipped = [row for row in mine if _is_within(_shipped_from(row), start, end)]
        cancelled = [
            row
            for row in mine
            if _is_within(row["cancelled_at"], start, end)
            and (event := ACCOUNTABLE.get(row["cancel_reason"])) is not None
            and (row["order_item_id"], event) not in self._excused
        ]
        return Record(
            len(shipped),
            len({row["order_number"] for row in shipped}),
            len(cancelled),
            self._fulfilment_days(start, end),
        )

    def rates(self, sku: str, cycle: date) -> Rates:
        """Rejections of the days that end with the cycle's week, returns of the week before it."""
        start = self._starts(cycle)
        end = self._starts(cycle + timedelta(days=7))
        since = self._starts(cycle + timedelta(days=7 - 30))
        before = self._starts(cycle - timedelta(days=7))
        mine = [self._as_of(row) for row in self._items.values() if row["sku"] == sku]
        rejected = [
            row
            for row in mine
            if _is_within(row["rejected_at"], since, end)
            and (row["order_item_id"], "rejection") not in self._excused
        ]
        returned = [
            row
            for row in mine
            if _is_within(row["returned_at"], before, start)
            and row["return_reason"] in QUALITY
            and (row["order_item_id"], "return") not in self._excused
        ]
        delivered = sum(_is_within(row["delivered_at"], since, end) for row in mine)
        delivered_before = sum(_is_within(row["delivered_at"], before, start) for row in mine)
        return Rates(
            len(rejected),
            len(rejected) + delivered,
            _customers(rejected),
            len(returned),
            max(len(returned), delivered_before),
            _customers(returned),
        )

    def charges(self, seller: str, week: date) -> Counter[str]:
        """§15: how many charges of each rule the events of the running week would bring."""
        return Counter(
            rule
            for item, row in self._items.items()
            if row["seller_id"] == seller
            for rule, answer in self.answers(item).items()
            if answer.code == "awaits_cycle" and self._week_of_event(row, rule) == week
        )

    def due(self, seller: str, until: datetime) -> set[str]:
        """§15: items open whose deadline comes by then, or has passed."""
        return {
            item
            for item, row in self._items.items()
            if row["seller_id"] == seller
            and (item, "lateness") not in self._excused
            and self._is_open(row)
            and self._deadline(self._entered(row)) <= until
        }

    # --- what they rest on ---

    def _of_no_row(self, table: str, column: str, name: str) -> str:
        """Bad rows are of the country; of other countries' nothing is known."""
        rows = [row for row in self.tables[table] if row[column] == name]
        abroad = [row["seller_id"] in self._sellers_of_others for row in rows]
        return "unknown" if all(abroad) else "set_aside"

    def _delisted(self, rule: str, column: str) -> set[str]:
        """Of products only by what is implemented: what is not, does not outlive its cycle."""
        begins = "proposed_at" if rule == "account_delisting" else "implemented_at"
        return {
            a[column]
            for a in self.exported.actions
            if a["rule"] == rule
            and a[begins] is not None
            and a[begins] <= self.at
            and self._stands(a)
        }

    def _week_of_event(self, row: Row, rule: str) -> date:
        """The week of the event that brings the charge."""
        match rule:
            case "out_of_stock_charge":
                return self._week(row["cancelled_at"])
            case "late_fulfilment_charge":
                return self._week(self._deadline(row["pending_at"]))
            case "returns_charge":
                return self._week(row["returned_at"])
            case "dropoff_qc_charge":
                failed = [c for c in self._checks[row["order_item_id"]] if c["result"] == "failed"]
                return self._week(min(c["checked_at"] for c in failed))
        return self._week(min(c["proven_at"] for c in self._proven(row)))

    def _proven(self, row: Row) -> Iterator[Row]:
        for case in self._cases[row["order_item_id"]]:
            if case["proven_at"] is not None and case["proven_at"] <= self.at:
                yield case

    def _is_open(self, row: Row) -> bool:
        seen = self._as_of(row)
        return seen["cancelled_at"] is None and _shipped_from(seen) is None

    def _entered(self, row: Row) -> datetime:
        entered: datetime = self._as_of(row)["ready_to_ship_at"] or row["pending_at"]
        return entered

    def _fulfilment_days(self, start: datetime, end: datetime) -> int:
        """Those that have begun before the end."""
        day, count = start.date(), 0
        while self._starts(day) < end:
            count += self.policy.calendar.is_fulfilment_day(day)
            day += timedelta(days=1)
        return count

    def _starts(self, day: date) -> datetime:
        """Local 00:00 of a day."""
        return day_start(day, self.policy.time_zone)


def _shipped_from(row: Row) -> datetime | None:
    """§4."""
    if row["shipped_at"] is not None:
        shipped_at: datetime = row["shipped_at"]
        return shipped_at
    return min(
        (row[n] for n in ("delivered_at", "rejected_at") if row[n] is not None), default=None
    )


def _is_within(at: datetime | None, start: datetime, end: datetime) -> bool:
    return at is not None and start <= at < end


def _customers(rows: Iterable[Row]) -> int:
    return len({row["customer_id"] for row in rows} - {None})
