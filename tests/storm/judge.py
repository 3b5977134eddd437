"""What must hold after a storm, marketplace by marketplace; each fault is told in one line by kind.

Here belong the properties. They are stated against what the marketplace would have come to without
the storm, and against the rows that each slot saw.

- A slot decides or ends in one clear line; over the good load every slot is done.
- A charge is posted only if, in the warehouse that its alert saw and in that which its
  implementation saw, its item is good and its event true, of that seller and reason; and in the
  first of that order and product, and no higher (Rulebook §2, §6).
- As long as every slot is done, the actions of sellers whose rows the storm has not touched are
  what they are without it (§13: bad rows never stop the others).
- In the end finance has of every item what it has without the storm, and the order system the same
  cancellations, but where the rulebook has it otherwise (see `Judge._is_amended`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from storm.course import COURSE, Moment, Outcome, Record
from storm.oracle import LATER_TIMES, Seen
from storm.world import Row, Tables, micros

from vibes_pipeline.errors import (
    StaleWarehouse,
    TooManyBadRows,
    TooMuchMissingEvidence,
    WarehouseError,
)

LONGEST_LINE = 600
# One family of charges: what is made of the one decides on the other (Rulebook §6).
FAMILY = {
    "out_of_stock_charge": ("out_of_stock_charge", "late_fulfilment_charge"),
    "late_fulfilment_charge": ("late_fulfilment_charge", "out_of_stock_charge"),
}


# What of a charge the warehouse must show. Looked up again are the event and whose it is (§2): an
# item whose order number was corrected since is charged under the one that its seller was told.
SAME = {
    "proposed_at": ("seller_id", "order_number", "sku", "reason"),
    "implemented_at": ("seller_id", "reason"),
}


class Fault(NamedTuple):
    """What does not hold: its kind, and the case in one line."""

    kind: str
    told: str


@dataclass(frozen=True)
class Storm:
    """A marketplace's rows without and with the harm, and the moments at which it is harmed.

    `prefix` begins the ids that are judged; `table` is the one that is broken as a whole, if one is.
    """

    good: Tables
    harmed: Tables
    first: Moment
    last: Moment
    prefix: str = ""
    table: str | None = None

    def is_on(self, at: datetime) -> bool:
        return self.first.at <= at <= self.last.at


@dataclass(frozen=True)
class Judge:
    """A storm, what came of it and what would have come without."""

    storm: Storm
    record: Record
    undisturbed: Record

    def faults(self) -> Iterator[Fault]:
        yield from self._slots()
        for promise, rows in self.record.broken.items():
            yield Fault(f"broken: {promise}", str(rows[:3]))
        yield from self._charges_without_their_rows()
        yield from self._others_touched()
        yield from self._not_healed()

    # --- slots ---

    def _slots(self) -> Iterator[Fault]:
        for outcome in self.record.outcomes:
            slot = outcome.due.slot
            if outcome.crash is not None:
                yield Fault(f"{slot} crashes", _last_line(outcome.crash))
            elif outcome.error is not None:
                line = str(outcome.error)
                if not line.isprintable() or len(line) > LONGEST_LINE or not line.strip():
                    yield Fault(f"{slot} ends in no clear line", repr(line)[:300])
                elif not self.storm.is_on(outcome.at):
                    yield Fault(f"{slot} no longer runs", line)
                elif self.storm.table is None and not _may_stop(outcome):
                    yield Fault(f"{slot} is stopped by one row", line)
                elif type(outcome.error) is WarehouseError and f"{self.storm.table}" not in line:
                    yield Fault(f"{slot} does not name the table", line)

    # --- charges ---

    def _charges_without_their_rows(self) -> Iterator[Fault]:
        for charge in self._mine(self.record):
            if charge["implemented_at"] is None:
                continue
            for when in SAME:
                fact = self._seen(charge[when]).facts.get((charge["rule"], charge["order_item_id"]))
                what = f"{charge['rule']} of {charge['order_item_id']}"
                if fact is None:
                    yield Fault(f"charged without its event as of {when}", what)
                elif any(getattr(fact, name) != charge[name] for name in SAME[when]):
                    yield Fault(f"charged for another event as of {when}", f"{what}: {fact}")
                elif when == "proposed_at" and charge["amount"] > fact.highest:
                    yield Fault("charged too high", f"{what}: {charge['amount']} > {fact.highest}")

    # --- other sellers ---

    def _others_touched(self) -> Iterator[Fault]:
        if self.storm.table is not None:
            return
        touched = self.touched_sellers
        for moment in COURSE:
            if moment.at not in self.record.actions:
                continue
            if any(not o.is_done for o in self.record.outcomes if o.at <= moment.at):
                return
            mine = self._actions_of_others(self.record, moment.at, touched)
            theirs = self._actions_of_others(self.undisturbed, moment.at, touched)
            if mine != theirs:
                differing = sorted(map(str, mine ^ theirs))
                yield Fault("another seller's actions change", f"{moment.words}: {differing[:3]}")
                return

    def _actions_of_others(
        self, record: Record, at: datetime, touched: frozenset[str]
    ) -> frozenset[tuple[Any, ...]]:
        return frozenset(
            row
            for row in record.actions[at]
            if row[0] not in touched and str(row[0]).startswith(self.storm.prefix)
        )

    @cached_property
    def touched_sellers(self) -> frozenset[str]:
        """Whoever a changed row names, by itself or by its item, product or order."""
        names: set[str] = set()
        for table in self.storm.good:
            rows = [*self.storm.good[table], *self.storm.harmed[table]]
            before = Counter(map(_key, self.storm.good[table]))
            after = Counter(map(_key, self.storm.harmed[table]))
            changed = [row for row in rows if before[_key(row)] != after[_key(row)]]
            names |= {str(value) for row in changed for value in row.values()}
        # Every copy of a repeated id is bad (Rulebook §13), also the one that nobody changed.
        for tables in (self.storm.good, self.storm.harmed):
            for row in (row for rows in tables.values() for row in rows):
                if str(next(iter(row.values()))) in names:
                    names |= {str(value) for value in row.values()}
        related = set(names)
        for tables in (self.storm.good, self.storm.harmed):
            for row in (*tables["order_items"], *tables["products"]):
                if names & {row["sku"], row.get("order_item_id"), row.get("order_number")}:
                    related.add(str(row["seller_id"]))
        return frozenset(related)

    # --- in the end ---

    def _not_healed(self) -> Iterator[Fault]:
        mine, theirs = self._balance(self.record), self._balance(self.undisturbed)
        for key in sorted({*mine, *theirs}):
            if mine.get(key, 0) == theirs.get(key, 0) or self._is_accepted(*key):
                continue
            told = f"{key[0]} of {key[1]}: {mine.get(key)} in place of {theirs.get(key)}"
            kind = (
                "a charge is lost" if mine.get(key, 0) < theirs.get(key, 0) else "a charge too much"
            )
            yield Fault(kind, f"{told} ({self._state(*key)})")
        prefix = self.storm.prefix
        for item in sorted(self.record.cancelled ^ self.undisturbed.cancelled):
            if item.startswith(prefix) and not self._is_accepted_late(item):
                is_lost = item in self.undisturbed.cancelled
                yield Fault(f"a late cancellation {'is lost' if is_lost else 'too much'}", item)

    def _balance(self, record: Record) -> dict[tuple[str, str], Decimal]:
        return {
            (charge["rule"], charge["order_item_id"]): charge["net"]
            for charge in self._mine(record)
            if charge["net"]
        }

    def _is_accepted(self, rule: str, item: str) -> bool:
        return self._seller_claims_otherwise(item) or any(
            self._is_amended(family, item) for family in FAMILY.get(rule, (rule,))
        )

    def _is_amended(self, rule: str, item: str) -> bool:
        """Whether a slot of the storm saw the item good, the row of its event there, and another event.

        Then the rulebook lets the end be another: a charge contradicted at its implementation is
        withdrawn for good (§2, "one item bears each rule at most once" §6), an amount is that of
        the alert (§2), and what was charged and implemented as the warehouse said is undone by a
        claim only. A row that is missing or bad is no such case: it says nothing about the seller.
        Another one is a charge that names a check or a case which the good warehouse has under another id:
        that row is missing then, and the charge waits for it (§2).
        """
        for outcome in self.record.outcomes:
            if outcome.is_done and self.storm.is_on(outcome.at):
                seen, seen_good = self._seen(outcome.at), self._seen_good(outcome.at)
                good = seen_good.facts.get((rule, item))
                fact = seen.facts.get((rule, item))
                is_there = item in seen.items and (
                    good is None or seen.has_source(rule, good.source)
                )
                is_renamed = (
                    fact is not None
                    and good is not None
                    and not seen_good.has_source(rule, fact.source)
                )
                if (is_there and fact != good) or is_renamed:
                    return True
        return False

    def _is_accepted_late(self, item: str) -> bool:
        """Whether a slot of the storm saw the item good and elsewhere, or at other times."""
        names = ("seller_id", "sku", "pending_at", *LATER_TIMES)
        for outcome in self.record.outcomes:
            if outcome.is_done and self.storm.is_on(outcome.at):
                good = self._seen_good(outcome.at).items.get(item)
                seen = self._seen(outcome.at).items.get(item)
                if seen and any(good is None or seen[n] != good[n] for n in names):
                    return True
        return self._seller_claims_otherwise(item)

    def _seller_claims_otherwise(self, item: str) -> bool:
        """Whether the storm held a decision on a claim of the item's seller that is not the good one.

        What a person upheld stays upheld (§11), also if the warehouse says otherwise later.
        """
        sellers = {
            row["seller_id"]
            for tables in (self.storm.good, self.storm.harmed)
            for row in tables["order_items"]
            if row["order_item_id"] == item
        }
        decided = [
            {
                _key(row)
                for row in tables["claims"]
                if row["seller_id"] in sellers and _is_decided(row)
            }
            for tables in (self.storm.good, self.storm.harmed)
        ]
        return bool(decided[1] - decided[0])

    def _state(self, rule: str, item: str) -> str:
        for charge in self._mine(self.record):
            if (charge["rule"], charge["order_item_id"]) == (rule, item):
                return f"{charge['state']}, {charge['cause']}"
        return "no action"

    def _mine(self, record: Record) -> Iterator[Mapping[str, Any]]:
        for charge in record.charges:
            if str(charge["order_item_id"]).startswith(self.storm.prefix):
                yield charge

    def _seen(self, at: datetime) -> Seen:
        if not self.storm.is_on(at):
            return self._seen_good(at)
        return self._views.setdefault((True, at), Seen(self.storm.harmed, micros(at)))

    def _seen_good(self, at: datetime) -> Seen:
        return self._views.setdefault((False, at), Seen(self.storm.good, micros(at)))

    @cached_property
    def _views(self) -> dict[tuple[bool, datetime], Seen]:
        """By whether harmed, and when: what a view has judged it need not judge again."""
        return {}


def _may_stop(outcome: Outcome) -> bool:
    """Whether rows may stop the slot: too many of them bad or missing, or not loaded yet (§2, §13)."""
    return isinstance(outcome.error, (TooManyBadRows, TooMuchMissingEvidence, StaleWarehouse))


def _is_decided(row: Row) -> bool:
    decision = row["decision"]
    return isinstance(decision, str) and decision.strip().lower() in ("upheld", "rejected")


def _key(row: Row) -> str:
    return repr(sorted(row.items(), key=lambda cell: cell[0]))


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " | ".join(line.strip() for line in lines[-1:])[:300]
