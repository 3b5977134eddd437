"""Which models the weekly alert computes: every rule's, and what people look at besides."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import polars as pl

from vibes_pipeline.engine.models import Model, closure, load_models
from vibes_pipeline.rules import WEEKLY_RULES

BAD_ROW_SHARE = "warehouse.bad_row_share"
# What people look at besides the decisions; the slot itself reads the share of bad rows.
SHOWN_BESIDE = (
    "decisions.account_reviews",
    "claims.held_counterfeit_cases",
    "warehouse.quarantine",
    BAD_ROW_SHARE,
    "warehouse.older_open_items",
)


def decision(rule: str) -> Model:
    """The model that decides a rule."""
    return load_models()[f"decisions.{rule}s"]


def resting_on(relations: Collection[str], models: Iterable[Model] = ()) -> frozenset[str]:
    """Those models that read one of the relations, by themselves or through others.

    Without `models` those of the weekly alert; each comes after those it reads.
    """
    reached = set(relations)
    for model in models or _needed():
        if reached & set(model.depends_on):
            reached.add(model.relation)
    return frozenset(reached - set(relations))


def weekly_models() -> tuple[Model, ...]:
    """Every model of the weekly alert whose rows are kept, each after those it reads."""
    return tuple(model for model in _needed() if not model.is_ephemeral)


def counting_events(events: pl.LazyFrame) -> pl.LazyFrame:
    """The events that no claim excuses; cycles of earlier versions kept no others."""
    if "excused_by" not in events.collect_schema():
        return events
    return events.filter(pl.col("excused_by").is_null())


def _needed() -> tuple[Model, ...]:
    """The same with those whose rows are not kept."""
    return closure([*(decision(rule).relation for rule in WEEKLY_RULES), *SHOWN_BESIDE])
