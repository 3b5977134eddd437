"""What a week's report shows, as plain records: the figures, and the sums that follow from them.

How they are read is in `week` and `lake`, how they look in `plots` and `page`. Sums are exact and
tie to the ledger. A report covers its cycle's actions and, of all that is not bound to a cycle
(late orders, claims, notices), the time from the last implementation to this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from vibes_pipeline.ledger.states import State
from vibes_pipeline.policy import Policy

NOTHING = Decimal("0.00")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Span:
    """From one implementation to the next: after `since`, up to `until`; `days` are half-open."""

    since: datetime
    until: datetime
    days: tuple[date, date]

    @property
    def length(self) -> int:
        return (self.days[1] - self.days[0]).days


@dataclass(frozen=True)
class RuleFigures:
    """A rule's actions by present state, and the naira of those that were debited and credited."""

    rule: str
    states: Mapping[str, int]
    debited: Decimal
    credited: Decimal

    @property
    def decided(self) -> int:
        return sum(self.states.values())

    @property
    def implemented(self) -> int:
        """Those that took effect, whether or not reversed since."""
        return self.states.get(State.IMPLEMENTED, 0) + self.states.get(State.REVERSED, 0)

    def in_states(self, states: Iterable[str]) -> list[int]:
        """How many of its actions are in each of the states."""
        return [self.states.get(state, 0) for state in states]


@dataclass(frozen=True)
class Cancelled:
    """Actions of a rule withdrawn or reversed in the report's time, and the naira given back."""

    rule: str
    withdrawn: int
    reversed: int
    credited: Decimal


@dataclass(frozen=True)
class BandFigures:
    """Active sellers of one row of the order regulation's table; None is no row: see `label`."""

    band: int | None
    label: str
    limits: str
    sellers: int


@dataclass(frozen=True)
class Standings:
    """Where sellers stood at the newest late alert, `as_of`, in the part of its week before it.

    `nearly` has a row for each seller whom one more shipment would bring into a lighter band:
    `seller_id`, `cancellation_rate_pct`, `band` and `shipments_to_no_limit`.
    """

    as_of: datetime
    week: date
    bands: Sequence[BandFigures]
    nearly: Rows


@dataclass(frozen=True)
class Week:
    """All figures of a cycle's report.

    `charges` holds, for each of the last weeks, naira by rule after reversals. `rates` has a row
    per active seller who may be regulated and shipped or cancelled: `cancellation_rate_pct` and
    `band`. The last number of `occurrences` stands for itself and all above. `standings` are of the
    week that goes on, so only the newest cycle's report has them. Times are local.
    """

    cycle: date
    is_simulated: bool
    policy: Policy
    written_at: datetime
    frozen_at: datetime | None
    proposal_hash: str | None
    implemented_at: datetime | None
    span: Span
    rules: Sequence[RuleFigures]
    late_rules: Sequence[RuleFigures]
    sellers: int
    from_earlier: int
    from_earlier_debited: Decimal
    charges: Mapping[date, Mapping[str, Decimal]]
    bands: Sequence[BandFigures]
    rates: pl.DataFrame
    occurrences: Mapping[int | None, int]
    by_claims: Sequence[Cancelled]
    otherwise: Sequence[Cancelled]
    undelivered: Rows
    claims: Rows
    undecipherable: Rows
    awaiting_evidence: Rows
    reviews: Rows
    unchargeable_counterfeits: Rows
    bad_rows: Rows
    rows_of_week: tuple[int, int]
    older_open_items: Rows
    standings: Standings | None = None

    @property
    def debited(self) -> Decimal:
        return sum((rule.debited for rule in self.rules), NOTHING)

    @property
    def credited(self) -> Decimal:
        return sum((rule.credited for rule in self.rules), NOTHING)

    @property
    def decided(self) -> int:
        return sum(rule.decided for rule in self.rules)

    @property
    def implemented(self) -> int:
        return sum(rule.implemented for rule in self.rules)

    def in_states(self, states: Iterable[str]) -> list[int]:
        """How many of the week's actions are in each of the states."""
        return [sum(rule.states.get(state, 0) for rule in self.rules) for state in states]

    @property
    def awaiting(self) -> int:
        """How many things wait for a person."""
        open_items: int = sum(row["open_items"] for row in self.older_open_items)
        bad: int = sum(row["rows"] for row in self.bad_rows)
        return (
            len(self.claims)
            + len(self.undecipherable)
            + len(self.awaiting_evidence)
            + len(self.reviews)
            + len(self.unchargeable_counterfeits)
            + open_items
            + bad
        )


@dataclass(frozen=True)
class Cycle:
    """One line of the list of all weeks; naira after reversals."""

    cycle: date
    decided: int
    implemented: int
    charged: Decimal
