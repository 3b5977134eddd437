"""Why each charge rule did or did not strike an item: the rulebook's §14 read by another hand.

Here belongs a slow evaluator, item by item in plain Python, written from the text of the rulebook (§14
and what it refers to) alone. It reads the raw tables and what the ledger exports; it shares nothing
with the SQL that decides and answers. Instants are zone-aware, days are local.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple
from unicodedata import category

from answers.read import Exported
from deadlines import evidence_closes_at, fulfilment_deadline

from vibes_pipeline.policy import Policy
from vibes_pipeline.warehouse.contract import LONGEST_ID

Row = Mapping[str, Any]

RULES = (
    "out_of_stock_charge",
    "late_fulfilment_charge",
    "returns_charge",
    "dropoff_qc_charge",
    "counterfeit_charge",
)
CANCEL_REASONS = {
    *("out_of_stock", "late_pending", "late_ready_to_ship", "customer_request"),
    *("payment_failed", "wrong_order", "other"),
}
QUALITY = {"wrong_item", "defective_item", "used_refurbished"}
RETURN_REASONS = QUALITY | {"change_of_mind", "other"}
LATER = (
    *("ready_to_ship_at", "shipped_at", "delivered_at", "cancelled_at", "rejected_at"),
    "returned_at",
)
# §11: what an upheld claim of a category excuses, and what each rule rests on.
OF_CATEGORY = {
    "counterfeit": {"counterfeit"},
    "cancel_wrong_orders": {"stock", "lateness"},
    "seko_warehouse": {"lateness", "dropoff_qc"},
}
OF_RULE = {
    "out_of_stock_charge": {"stock"},
    "late_fulfilment_charge": {"lateness"},
    "late_pending_cancellation": {"lateness"},
    "late_ready_to_ship_cancellation": {"lateness"},
    "returns_charge": {"return"},
    "dropoff_qc_charge": {"dropoff_qc"},
    "counterfeit_charge": {"counterfeit"},
    "order_regulation": {"stock", "lateness"},
    "sales_regulation": {"rejection", "return"},
}
ALL = {"stock", "lateness", "return", "rejection", "dropoff_qc", "counterfeit"}
YEARS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC))


class Answer(NamedTuple):
    """A code, with the action's reference, the claim and the cycle where the code has one."""

    code: str
    action: str | None = None
    claim: str | None = None
    cycle: date | None = None


@dataclass(frozen=True)
class Evaluator:
    """Raw tables and exports as they stand at `at`."""

    tables: Mapping[str, Sequence[Row]]
    exported: Exported
    policy: Policy
    at: datetime
    _deadlines: dict[datetime, datetime] = field(default_factory=dict)

    def known(self) -> list[str]:
        """The items that the warehouse knows at the instant."""
        return sorted({i for i, rows in self._copies.items() if any(map(self._exists, rows))})

    def answers(self, item: str) -> dict[str, Answer]:
        """Each charge rule's answer; the first code in the table's order that applies."""
        return {rule: self._answer(item, rule) for rule in RULES}

    # --- §14, in the table's order ---

    def _answer(self, item: str, rule: str) -> Answer:
        for action in self._actions.get(item, ()):
            if action["rule"] == rule:
                return Answer("acted", action["reference"], None, action["cycle"])
        copies = self._copies.get(item, ())
        if not any(map(self._exists, copies)):
            return Answer("unknown")
        if len(copies) > 1 or self._is_bad(copies[0]):
            return Answer("set_aside")
        row = self._as_of(copies[0])
        match rule:
            case "out_of_stock_charge":
                return self._out_of_stock(row)
            case "late_fulfilment_charge":
                return self._late(row)
            case "returns_charge":
                if not self._happened(row["returned_at"]) or row["return_reason"] not in QUALITY:
                    return Answer("no_event")
                return self._event(
                    row,
                    rule,
                    "return",
                    row["returned_at"],
                    self._listed(rule, row, "return_reason"),
                )
            case "dropoff_qc_charge":
                return self._dropoff(row)
            case _:
                return self._counterfeit(row)

    def _out_of_stock(self, row: Row) -> Answer:
        rule = "out_of_stock_charge"
        if not self._happened(row["cancelled_at"]) or row["cancel_reason"] != "out_of_stock":
            return Answer("no_event")
        standing = [
            a["amount"]
            for a in self._actions.get(row["order_item_id"], ())
            if a["rule"] == "late_fulfilment_charge" and self._stands(a)
        ]
        whole = self._multiple(rule, row, row["cancelled_at"])
        is_in_family = bool(standing) and whole <= sum(standing)
        return self._event(
            row, rule, "stock", row["cancelled_at"], whole, is_in_family=is_in_family
        )

    def _late(self, row: Row) -> Answer:
        rule = "late_fulfilment_charge"
        if not self._happened(row["pending_at"]):
            return Answer("before_first_cycle")
        deadline = self._deadline(row["pending_at"])
        ready = [row[n] for n in (*LATER[:3], "rejected_at") if row[n] is not None]
        if row["cancelled_at"] is not None and row["cancelled_at"] < deadline:
            return Answer("cancelled_in_time")
        if ready and min(ready) <= deadline:
            return Answer("in_time")
        if deadline > self.at:
            return Answer("not_due")
        stock = self._answer(row["order_item_id"], "out_of_stock_charge")
        own = max(self._week(deadline), self._next_cycle)
        is_in_family = stock.code == "acted" or (
            stock.code == "awaits_cycle" and stock.cycle is not None and stock.cycle <= own
        )
        return self._event(
            row,
            rule,
            "lateness",
            deadline,
            self._multiple(rule, row, deadline),
            is_in_family=is_in_family,
        )

    def _dropoff(self, row: Row) -> Answer:
        failed = sorted(
            (
                c
                for c in self._checks.get(row["order_item_id"], ())
                if c["result"] == "failed" and c["checked_at"] <= self.at
            ),
            key=lambda c: (c["checked_at"], c["qc_id"]),
        )
        if not failed or not self._happened(failed[0]["checked_at"]):
            return Answer("no_event")
        first = failed[0]
        amount = self.policy.dropoff_qc_charge.amounts[first["failure_reason"]].on(
            self._day(first["checked_at"])
        )
        return self._event(row, "dropoff_qc_charge", "dropoff_qc", first["checked_at"], amount)

    def _counterfeit(self, row: Row) -> Answer:
        """Of several cases that which comes furthest in the table."""
        order = ["excused", "before_first_cycle", "not_notified", "evidence_open", "held"]
        order += ["no_amount", "awaits_cycle"]
        proven = [
            c
            for c in self._cases.get(row["order_item_id"], ())
            if self._happened(c["proven_at"]) and c["proven_at"] <= self.at
        ]
        if not proven:
            return Answer("no_event")
        answers = [
            self._case(row, c) for c in sorted(proven, key=lambda c: (c["proven_at"], c["case_id"]))
        ]
        furthest = max(order.index(a.code) for a in answers)
        return next(a for a in answers if order.index(a.code) == furthest)

    def _case(self, row: Row, case: Row) -> Answer:
        day = self._day(case["proven_at"])
        amount = self.policy.counterfeit_charge.amount.on(day)
        answer = self._event(row, "counterfeit_charge", "counterfeit", case["proven_at"], amount)
        if answer.code in ("excused", "before_first_cycle"):
            return answer
        notified = case["notified_at"]
        if notified is None or notified > self.at:
            return Answer("not_notified")
        days = self.policy.counterfeit_charge.evidence_working_days.on(self._day(notified))
        closes = evidence_closes_at(self.policy.calendar, notified, days)
        if closes > self.at:
            return Answer("evidence_open")
        holding = sorted(
            c["claim_id"]
            for c in self.exported.claims
            if c["category"] == "counterfeit"
            and c["taken_in_at"] <= self.at
            and c["intake_state"] != "incomplete"
            and (c["applied_at"] is None or c["applied_at"] > self.at)
            and (c["seller_id"], c["order_number"], c["sku"])
            == (row["seller_id"], row["order_number"], row["sku"])
            and c["raised_at"] < closes
        )
        if holding:
            return Answer("held", claim=holding[0])
        return answer

    def _event(
        self,
        row: Row,
        rule: str,
        event: str,
        at: datetime,
        amount: Decimal,
        *,
        is_in_family: bool = False,
    ) -> Answer:
        """What all rules have in common, once the event is there."""
        if claims := self._excused.get((row["order_item_id"], event)):
            return Answer("excused", claim=min(claims))
        if rule in RULES[:2]:
            onboarded_at = self._sellers[row["seller_id"]]["onboarded_at"]
            days = getattr(self.policy, rule).exempt_first_days.on(self._day(at))
            if onboarded_at is not None and at < onboarded_at + timedelta(hours=24 * days):
                return Answer("new_seller")
        week = self._week(at)
        if week < self._first_cycle:
            return Answer("before_first_cycle")
        if is_in_family:
            return Answer("in_family")
        if amount == 0:
            return Answer("no_amount")
        cycle = max(week, self._next_cycle)
        oldest = cycle - timedelta(days=self.policy.late_data.late_arrival_days.on(cycle))
        if rule != "counterfeit_charge" and week < oldest:
            return Answer("too_late")
        return Answer("awaits_cycle", cycle=cycle)

    # --- §6: amounts and times ---

    def _multiple(self, rule: str, row: Row, at: datetime) -> Decimal:
        charge, day = getattr(self.policy, rule), self._day(at)
        return min(charge.commission_multiple.on(day) * row["commission"], charge.cap.on(day))

    def _listed(self, rule: str, row: Row, column: str) -> Decimal:
        amount: Decimal = (
            getattr(self.policy, rule).amounts[row[column]].on(self._day(row["returned_at"]))
        )
        return amount

    def _deadline(self, pending_at: datetime) -> datetime:
        if pending_at not in self._deadlines:
            hours = self.policy.fulfilment.hours.on(self._day(pending_at))
            self._deadlines[pending_at] = fulfilment_deadline(
                self.policy.calendar, pending_at, hours
            )
        return self._deadlines[pending_at]

    def _happened(self, at: datetime | None) -> bool:
        """Before its first day the policy knows no events, and there is no cycle."""
        return at is not None and self._day(at) >= self.policy.calendar.first_day

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.policy.time_zone).date()

    def _week(self, at: datetime) -> date:
        day = self._day(at)
        return day - timedelta(days=day.weekday())

    @cached_property
    def _first_cycle(self) -> date:
        return min(self.exported.cycles)

    @cached_property
    def _next_cycle(self) -> date:
        """The first that is not frozen at the instant."""
        cycle = self._first_cycle
        while cycle in self.exported.cycles and self.exported.cycles[cycle] <= self.at:
            cycle += timedelta(weeks=1)
        return cycle

    # --- the ledger, as of the instant ---

    @cached_property
    def _actions(self) -> Mapping[str, list[Row]]:
        found = defaultdict(list)
        for action in self.exported.actions:
            if action["order_item_id"] is not None and action["proposed_at"] <= self.at:
                found[action["order_item_id"]].append(action)
        return found

    def _stands(self, action: Row, at: datetime | None = None) -> bool:
        ends = [action[n] for n in ("withdrawn_at", "expired_at", "reversed_at")]
        return not any(end is not None and end <= (at or self.at) for end in ends)

    @cached_property
    def _excused(self) -> Mapping[tuple[str, str], set[str]]:
        """§11: (item, event) and the upheld claims that excuse it."""
        found = defaultdict(set)
        for claim in self.exported.claims:
            if claim["state"] == "upheld" and claim["applied_at"] <= self.at:
                for item, event in self._excuses(claim):
                    found[item, event].add(claim["claim_id"])
        return found

    def _excuses(self, claim: Row) -> Iterator[tuple[str, str]]:
        seller, category = claim["seller_id"], claim["category"]
        stated = next(
            (r for r in self.tables["claims"] if r["claim_id"] == claim["claim_id"]), claim
        )
        if claim["action_reference"] is not None:
            meant = [
                a
                for a in self.exported.actions
                if a["seller_id"] == seller
                and a["reference"] == claim["action_reference"]
                and a["proposed_at"] <= claim["applied_at"]
            ]
        elif category == "bill_problem":
            meant = self._billed(claim, stated)
        else:
            events = OF_CATEGORY.get(category)
            if category == "vibes_action":
                reason = (stated["reason"] or "").strip()
                events = OF_RULE.get(reason, set()) if reason else ALL
            for row in self._items.values():
                is_meant = (
                    row["seller_id"] == seller
                    and row["order_number"] == claim["order_number"]
                    and claim["sku"] in (None, row["sku"])
                )
                if is_meant:
                    yield from ((row["order_item_id"], event) for event in events or ())
            return
        if len(meant) == 1 and meant[0]["order_item_id"] is not None:
            yield from ((meant[0]["order_item_id"], e) for e in OF_RULE[meant[0]["rule"]])

    def _billed(self, claim: Row, stated: Row) -> list[Row]:
        """The seller's standing charges with that amount and that statement period."""
        if stated["transaction_type"] != "penalty":
            return []
        debits = {
            p["action_id"]
            for p in self.exported.charges
            if p["kind"] == "debit"
            and p["posted_at"] <= claim["applied_at"]
            and p["amount"] == stated["amount"]
            and str(p["statement_period"]) == stated["statement_period"]
        }
        # A claim reverses what it is about at its own instant: it stood until then.
        before = claim["applied_at"] - timedelta(microseconds=1)
        return [
            a
            for a in self.exported.actions
            if a["action_id"] in debits and a["seller_id"] == claim["seller_id"]
            if self._stands(a, before)
        ]

    # --- §13: the warehouse, as of the instant ---

    def _exists(self, row: Row) -> bool:
        """Nothing is known yet of an item that is pending later; nor of another country's."""
        seller = self._sellers_of_others.get(row["seller_id"])
        pending_at = row["pending_at"]
        is_later = pending_at is not None and self.at < pending_at < YEARS[1]
        return seller is None and not is_later

    def _as_of(self, row: Row) -> Row:
        return {
            name: None if name in LATER and value is not None and value > self.at else value
            for name, value in row.items()
        }

    def _is_bad(self, row: Row) -> bool:
        product = self._products.get(row["sku"])
        pending_at = row["pending_at"]
        times = [row[n] for n in LATER if row[n] is not None]
        return (
            not _is_id(row["order_item_id"])
            or not _is_id(row["order_number"])
            or row["seller_id"] not in self._sellers
            or product is None
            or product["seller_id"] != row["seller_id"]
            or pending_at is None
            or any(row[n] is None or row[n] < 0 for n in ("commission", "item_price"))
            or any(not YEARS[0] <= t < YEARS[1] for t in (pending_at, *times))
            or any(t < pending_at for t in times)
            or (row["delivered_at"] is not None and row["rejected_at"] is not None)
            or (row["cancelled_at"] is not None and row["cancel_reason"] not in CANCEL_REASONS)
            or (row["returned_at"] is not None and row["return_reason"] not in RETURN_REASONS)
        )

    @cached_property
    def _copies(self) -> Mapping[str, list[Row]]:
        copies = defaultdict(list)
        for row in self.tables["order_items"]:
            if row["order_item_id"] is not None:
                copies[row["order_item_id"]].append(row)
        return copies

    @cached_property
    def _items(self) -> Mapping[str, Row]:
        """The good ones that are pending by now."""
        return {
            name: rows[0]
            for name, rows in self._copies.items()
            if len(rows) == 1 and self._exists(rows[0]) and not self._is_bad(rows[0])
        }

    @cached_property
    def _sellers_of_others(self) -> Mapping[str, Row]:
        return {name: row for name, row in self._once("sellers").items() if self._is_abroad(row)}

    def _is_abroad(self, row: Row) -> bool:
        country = row["country"]
        return (
            isinstance(country, str)
            and len(country) == 2
            and country.isascii()
            and country.isupper()
            and country != self.policy.country
        )

    @cached_property
    def _sellers(self) -> Mapping[str, Row]:
        return {
            name: row
            for name, row in self._once("sellers").items()
            if row["country"] == self.policy.country
            and (row["onboarded_at"] is None or YEARS[0] <= row["onboarded_at"] < YEARS[1])
        }

    @cached_property
    def _products(self) -> Mapping[str, Row]:
        return {
            name: row
            for name, row in self._once("products").items()
            if row["seller_id"] in self._sellers and row["product_type"] in ("GM", "Fashion")
        }

    @cached_property
    def _checks(self) -> Mapping[str, list[Row]]:
        found = defaultdict(list)
        for row in self._once("dropoff_qc").values():
            is_good = (
                row["order_item_id"] in self._items
                and row["checked_at"] is not None
                and YEARS[0] <= row["checked_at"] < YEARS[1]
                and row["result"] in ("passed", "failed")
                and (row["result"] == "passed" or row["failure_reason"] in QUALITY)
            )
            if is_good:
                found[row["order_item_id"]].append(row)
        return found

    @cached_property
    def _cases(self) -> Mapping[str, list[Row]]:
        found = defaultdict(list)
        for row in self._once("counterfeit_cases").values():
            times = [row[n] for n in ("notified_at", "proven_at") if row[n] is not None]
            if row["order_item_id"] in self._items and all(YEARS[0] <= t < YEARS[1] for t in times):
                found[row["order_item_id"]].append(row)
        return found

    def _once(self, table: str) -> dict[str, Row]:
        """The rows by id, without those whose id is null or another's too."""
        rows = self.tables.get(table, ())
        names = [next(iter(row.values())) for row in rows]
        often = Counter(names)
        return {
            name: row
            for name, row in zip(names, rows, strict=True)
            if _is_id(name) and often[name] == 1
        }


def _is_id(text: str | None) -> bool:
    """An id that a person can see and the ledger can hold."""
    is_visible = any(category(c)[0] not in "CZ" for c in text or "")
    return is_visible and text is not None and "\0" not in text and len(text) <= LONGEST_ID
