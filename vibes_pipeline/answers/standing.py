"""Where a seller stands: if the week ended now (Rulebook §15).

Here belong one seller's document and its words. How the rows are made is `slots.standings`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from vibes_pipeline.errors import UsageError, did_you_mean, near
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import standing_columns
from vibes_pipeline.listing import counted
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.rules import band_edges
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.rules import CHARGES
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots import standings as relations
from vibes_pipeline.slots.standings import PartWeek

Row = Mapping[str, Any]
FLAT = tuple(column.name for column in standing_columns())


@dataclass(frozen=True)
class Standing:
    """One seller's rows, at an instant."""

    seller_id: str
    now: datetime
    policy: Policy
    record: Row
    charges: Sequence[Row]
    due_items: Sequence[Row]
    products: Sequence[Row]

    def document(self) -> dict[str, Any]:
        """The answer for tools: times as ISO 8601 in local time, money as text."""
        return {
            **{name: _plain(self.record[name]) for name in FLAT},
            "charges": [
                {"rule": c["rule"], "count": c["charges"], "amount": str(c["amount"])}
                for c in self.charges
            ],
            "due_items": [
                {
                    "order_item_id": i["order_item_id"],
                    "deadline_at": i["deadline_at"].astimezone(self.policy.time_zone).isoformat(),
                    "stage": i["stage"],
                }
                for i in self.due_items
            ],
            "products": [
                {name: _plain(value) for name, value in p.items() if name != "seller_id"}
                for p in self.products
            ],
        }

    def lines(self) -> Iterator[str]:
        """The answer for people."""
        week = self.record["week"]
        yield (
            f"Standing of {self.seller_id} in the week of {week}, as of {self.now:%Y-%m-%d %H:%M}"
        )
        yield ""
        yield "Order regulation, if the week ended now"
        yield from (f"  {line}" for line in self._regulation())
        yield ""
        yield from _titled("Charges of this week's events so far", self._charge_lines())
        yield ""
        yield from _titled("Items overdue or due soon", self._item_lines())
        yield ""
        yield from _titled("Products rejected or returned", self._product_lines())

    def _regulation(self) -> Iterator[str]:
        r = self.record
        yield self._record_line()
        yield self._band_line()
        if r["is_exempt"]:
            yield "exempt from order regulation: no limit follows"
        if r["is_delisted"]:
            yield "the account is delisted: no limit follows"
        lighter, free = r["shipments_to_lighter_band"], r["shipments_to_no_limit"]
        if lighter is not None and lighter != free:
            yield f"{counted(lighter, 'more item')} shipped, none cancelled: a lighter band"
        if free is not None:
            yield f"{counted(free, 'more item')} shipped, none cancelled: no limit"
        if (heavier := r["cancellations_to_heavier_band"]) is not None:
            yield f"{counted(heavier, 'more item')} cancelled, none shipped: a heavier band"

    def _record_line(self) -> str:
        r = self.record
        shipped, cancelled = r["shipped_items"], r["cancelled_items"]
        line = (
            f"{counted(shipped, 'item')} shipped in {counted(r['shipped_orders'], 'order')}, "
            f"{cancelled:,} cancelled"
        )
        if r["cancellation_rate_pct"] is None:
            return line
        return (
            f"{line}: {cancelled:,} / {cancelled + shipped:,} = {r['cancellation_rate_pct']:.2f}%"
        )

    def _band_line(self) -> str:
        r = self.record
        if r["band"] is None:
            return "no rate yet: no limit"
        bands = self.policy.order_regulation.bands.on(r["week"])
        edges = list(band_edges(bands))[r["band"]]
        limits = "no limit"
        if r["daily_order_limit"] is not None:
            limits = (
                f"{counted(r['daily_order_limit'], 'order')} a day, "
                f"{r['pending_to_shipped_limit']:,} between pending and shipped"
            )
        return f"band {r['band']} ({edges.label}): {limits}"

    def _charge_lines(self) -> Iterator[str]:
        for c in self.charges:
            amount = self.policy.money(c["amount"])
            yield f"{self.policy.rules[c['rule']].title}: {counted(c['charges'], 'item')}, {amount}"

    def _item_lines(self) -> Iterator[str]:
        for i in self.due_items:
            when = i["deadline_at"].astimezone(self.policy.time_zone)
            since = "overdue since" if i["is_overdue"] else "due by"
            yield f"{i['order_item_id']}: {since} {when:%Y-%m-%d %H:%M}, {i['stage']}"

    def _product_lines(self) -> Iterator[str]:
        for p in self.products:
            rejected = _rate("rejected", p, "rejected_items", "rejection", "rejecting_customers")
            returned = _rate("returned", p, "returned_items", "return", "returning_customers")
            delisted = (
                "delisted"
                if p["is_delisted"]
                else (f"{p['occurrences']} of {p['delisted_from_occurrence']} occurrences")
            )
            yield f"{p['sku']}: {rejected}; {returned}; {delisted}"


def standing_of(
    seller_id: str, settings: Settings, policy: Policy, ledger: Ledger, now: datetime
) -> Standing:
    """One seller's standing; `UsageError` when the warehouse knows no such seller."""
    found = PartWeek.before(now, policy, settings).standings(ledger, seller=seller_id)
    sellers = found[relations.STANDINGS]
    mine = {name: frame.filter(pl.col("seller_id") == seller_id) for name, frame in found.items()}
    if mine[relations.STANDINGS].is_empty():
        meant = did_you_mean(near(seller_id, sellers["seller_id"].to_list()))
        raise UsageError(f"the warehouse has no seller {seller_id!r} of {policy.country}{meant}")
    charges = mine[relations.CHARGES].rows(named=True)
    return Standing(
        seller_id=seller_id,
        now=now,
        policy=policy,
        record=mine[relations.STANDINGS].row(0, named=True),
        charges=sorted(charges, key=lambda charge: CHARGES.index(charge["rule"])),
        due_items=mine[relations.DUE_ITEMS].sort("deadline_at", "order_item_id").rows(named=True),
        products=mine[relations.PRODUCTS].sort("sku").rows(named=True),
    )


def percent(number: Decimal) -> str:
    """`2.5%`, without zeros that say nothing."""
    return f"{short(number)}%"


def _rate(word: str, p: Row, counts: str, ground: str, customers: str) -> str:
    rate = p[f"{ground}_rate_pct"]
    of = f"{p[counts]:,} of {p[f'{ground}_base_items']:,} {word}"
    if rate is None:
        return of
    over = "over" if p[f"has_{ground}_ground"] else "regulated when over"
    return (
        f"{of} by {counted(p[customers], 'customer')} ({rate:.2f}%, {over} "
        f"{percent(p[f'{ground}_over_pct'])} by {p['minimum_customers']} or more)"
    )


def _titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    yield f"{title}: none" if not found else title
    yield from (f"  {line}" for line in found)


def _plain(value: Any) -> Any:
    """A value as JSON has it; a rate as a number."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
