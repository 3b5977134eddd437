"""What two histories decide otherwise, action by action (Rulebook §16).

An action counts if it stands after the last slot: one that a claim reversed, or that was withdrawn
or expired, is done to nobody. The same action of both histories has the same cycle, rule and
subject.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from vibes_pipeline.ledger.states import STANDING
from vibes_pipeline.rules import REGISTRY, Rule

KEY = ("cycle", "rule", "subject")
# What is compared, of actions that both histories have.
OUTCOME = (
    "amount",
    "band",
    "daily_order_limit",
    "pending_to_shipped_limit",
    "grounds",
    "occurrence",
)
# Besides the key: what tells people which action it is.
NAMES = ("seller_id", "reference", "sku", "order_number")
SIDES = ("before", "after")


def differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """A row per action that only one history has, or that has another outcome in the other.

    Columns: `cycle, rule, subject, seller_id, change` (`added`, `removed`, `changed`), each of
    `OUTCOME` as `<name>_before` and `<name>_after`, `state_before`, `state_after` and the rest of
    `NAMES`. A side's outcome is null where its action does not stand; its state says why.
    """
    joined = _outcomes(before).join(
        _outcomes(after), on=KEY, how="full", coalesce=True, suffix="_after"
    )
    sides = joined.rename({name: f"{name}_before" for name in (*OUTCOME, "state", "stands")})
    stood, stands = (pl.col(f"stands_{side}").fill_null(False) for side in SIDES)
    is_other = pl.any_horizontal(
        pl.col(f"{name}_before").ne_missing(pl.col(f"{name}_after")) for name in OUTCOME
    )
    change = (
        pl.when(stands & ~stood)
        .then(pl.lit("added"))
        .when(stood & ~stands)
        .then(pl.lit("removed"))
        .when(stood & stands & is_other)
        .then(pl.lit("changed"))
    )
    return (
        sides.with_columns(
            change.alias("change"),
            *(pl.coalesce(name, f"{name}_after").alias(name) for name in NAMES),
        )
        .filter(pl.col("change").is_not_null())
        .select(
            *KEY,
            "seller_id",
            "change",
            *(f"{name}_{side}" for name in (*OUTCOME, "state") for side in SIDES),
            *NAMES[1:],
        )
        .sort("cycle", _place("rule"), "subject")
    )


def totals(before: pl.DataFrame, after: pl.DataFrame, rules: Sequence[str]) -> pl.DataFrame:
    """Of each rule: `rule, actions_before, actions_after, amount_before, amount_after`."""
    return _sums(before, after, "rule", pl.DataFrame({"rule": rules}))


def weeks(before: pl.DataFrame, after: pl.DataFrame, cycles: pl.Series) -> pl.DataFrame:
    """Of each cycle the naira charged: `cycle, amount_before, amount_after`."""
    return _sums(before, after, "cycle", pl.DataFrame({"cycle": cycles})).select(
        "cycle", "amount_before", "amount_after"
    )


def standing(actions: pl.DataFrame) -> pl.DataFrame:
    """The actions that count."""
    return actions.filter(pl.col("state").is_in(STANDING))


def _sums(before: pl.DataFrame, after: pl.DataFrame, by: str, groups: pl.DataFrame) -> pl.DataFrame:
    summed = groups
    for actions, side in ((before, "before"), (after, "after")):
        counted = (
            standing(actions)
            .group_by(by)
            .agg(
                pl.len().cast(pl.Int64).alias(f"actions_{side}"),
                pl.col("amount").sum().alias(f"amount_{side}"),
            )
        )
        summed = summed.join(counted, on=by, how="left", maintain_order="left")
    return summed.select(
        by,
        *(pl.col(f"actions_{side}").fill_null(0) for side in SIDES),
        *(pl.col(f"amount_{side}").fill_null(0) for side in SIDES),
    )


def _outcomes(actions: pl.DataFrame) -> pl.DataFrame:
    """The actions by the key, with an outcome only where they stand."""
    stands = pl.col("state").is_in(STANDING)
    return actions.select(
        "cycle",
        "rule",
        _subject().alias("subject"),
        *NAMES,
        *(pl.when(stands).then(pl.col(name)).alias(name) for name in OUTCOME),
        "state",
        stands.alias("stands"),
    )


def _subject() -> pl.Expr:
    """Whom or what an action's rule acts on."""
    rule = pl.col("rule")
    return pl.coalesce(
        pl.when(rule == name).then(pl.col(registered.subject.value))
        for name, registered in REGISTRY.items()
    )


def _place(column: str) -> pl.Expr:
    """A rule's place in the rulebook."""
    return pl.col(column).replace_strict({rule.value: n for n, rule in enumerate(Rule)})
