"""What the page of a simulation shows, as plain records: both policies and what they decide (§16).

Here belong the figures that follow from the differences of two histories. How the histories are
made is `answers.simulate`'s; how the page looks is in `simulation_page` and `simulation_plots`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from pydantic import BaseModel

from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.model import parameters
from vibes_pipeline.policy.parameter import OPEN_END, Parameter

CHANGES = ("added", "removed", "changed")
MOST_AFFECTED = 20

NET = (pl.col("amount_after").fill_null(0) - pl.col("amount_before").fill_null(0)).sum()


@dataclass(frozen=True)
class Amendment:
    """A value of the policy from a day on, under both policies; None where one has none then.

    `key` is spelled as an error about the file spells it: `order_regulation.bands[1].up_to_pct`.
    """

    key: str
    description: str
    from_: date
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Simulation:
    """Cycles `first` to `last`, decided by the policy `before` and by the draft `after`.

    `totals` has a row per rule, in the rulebook's order: `rule, actions_before, actions_after,
    amount_before, amount_after`. `differences` has a row per action that differs: `cycle, rule,
    subject, seller_id, change`, then columns that end in `_before` and `_after`. `weeks` has naira
    by cycle: `cycle, amount_before, amount_after`. Counted are actions that stand after the last
    slot; `sellers` is how many have one under either policy.
    """

    first: date
    last: date
    before: Policy
    after: Policy
    with_late_orders: bool
    totals: pl.DataFrame
    weeks: pl.DataFrame
    differences: pl.DataFrame
    sellers: int

    @property
    def changes(self) -> Mapping[str, int]:
        """How many actions were added, removed and changed."""
        counts = dict(self.differences.group_by("change").len().iter_rows())
        return {change: counts.get(change, 0) for change in CHANGES}

    @property
    def net(self) -> Decimal:
        """Naira charged more under the draft; less, if negative."""
        more: Decimal = self.totals.select(
            (pl.col("amount_after") - pl.col("amount_before")).sum()
        ).item()
        return more

    @property
    def by_rule(self) -> Mapping[str, Mapping[str, int]]:
        """Of each rule, how many of each change there are, and how many sellers they hit."""
        counted = self.differences.group_by("rule").agg(
            *((pl.col("change") == change).sum().alias(change) for change in CHANGES),
            pl.col("seller_id").n_unique().alias("sellers"),
        )
        rules = self.totals.select("rule").join(counted, on="rule", how="left").fill_null(0)
        return {row.pop("rule"): row for row in rules.iter_rows(named=True)}

    @property
    def by_seller(self) -> pl.DataFrame:
        """Every seller treated otherwise, most affected first: by naira, then by actions.

        Columns `seller_id`, `net` (naira more), `differences`, `added`, `removed`, `changed`,
        `rules` (the rules that differ).
        """
        return (
            self.differences.group_by("seller_id")
            .agg(
                NET.alias("net"),
                pl.len().alias("differences"),
                *((pl.col("change") == change).sum().alias(change) for change in CHANGES),
                pl.col("rule").unique().sort().alias("rules"),
            )
            .sort(
                pl.col("net").abs(),
                "differences",
                "seller_id",
                descending=[True, True, False],
            )
        )

    @property
    def most_affected(self) -> Sequence[Mapping[str, Any]]:
        """The sellers whom the draft changes most for."""
        return self.by_seller.head(MOST_AFFECTED).rows(named=True)

    @property
    def amendments(self) -> Sequence[Amendment]:
        """What the draft's values are other than those of the policy in force."""
        return list(_amendments(self.before, self.after))


def _amendments(before: Policy, after: Policy) -> Iterator[Amendment]:
    old, new = dict(parameters(before)), dict(parameters(after))
    for key in dict.fromkeys([*old, *new]):
        both = [parameter for parameter in (old.get(key), new.get(key)) if parameter is not None]
        shown: dict[str, tuple[str | None, str | None]] = {}
        for day in sorted({edge for parameter in both for edge in _edges(parameter)}):
            ours, theirs = (_parts_on(day, key, of.get(key)) for of in (old, new))
            for part in dict.fromkeys([*ours, *theirs]):
                values = ours.get(part), theirs.get(part)
                if values[0] != values[1] and values != shown.get(part):
                    yield Amendment(part, both[-1].description, day, *values)
                shown[part] = values


def _edges(parameter: Parameter[Any]) -> Iterator[date]:
    for start, end, _ in parameter.stretches():
        yield start
        if end != OPEN_END:
            yield end


def _parts_on(day: date, key: str, parameter: Parameter[Any] | None) -> dict[str, str]:
    """What a parameter's value on a day consists of, by key: a table of bands has many parts."""
    if parameter is None or not parameter.valid_from <= day < parameter.valid_until:
        return {}
    return dict(_parts(key, parameter.on(day)))


def _parts(key: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case BaseModel():
            for name in type(value).model_fields:
                yield from _parts(f"{key}.{name}", getattr(value, name))
        case Mapping():
            for name, part in value.items():
                yield from _parts(f"{key}.{name}", part)
        case tuple() | list():
            for number, part in enumerate(value):
                yield from _parts(f"{key}[{number}]", part)
        case Decimal():
            yield key, f"{value.normalize():,f}"
        case _:
            yield key, str(value)
