"""What the order warehouse may hold, and how long what is computed from it is kept (§13, §17).

Here belong the codes, and the limits of bad, late and missing rows. Which tables and columns there
are is `warehouse.contract`'s.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from vibes_pipeline.policy.parameter import Group, Parameter, Strict, problem
from vibes_pipeline.policy.scalars import Code, Count, Flag, Percent, Whole


class CancelReason(Strict):
    """What a reason for cancelling an item means (Rulebook §4, §6, §11)."""

    is_accountable: Flag
    is_out_of_stock: Flag
    is_late: Flag


class ReturnReason(Strict):
    """What a reason for returning an item means (Rulebook §6)."""

    is_quality: Flag


class Warehouse(Group):
    """What the order warehouse may hold, and how fresh and clean it must be (Rulebook §13)."""

    cancel_reasons: Parameter[dict[Code, CancelReason]]
    return_reasons: Parameter[dict[Code, ReturnReason]]
    failure_reasons: Parameter[tuple[Code, ...]]
    product_types: Parameter[tuple[Code, ...]]
    bad_row_limit_pct: Parameter[Percent]
    max_staleness_minutes: Parameter[Whole]
    evidence_staleness_hours: Parameter[Whole]
    evidence_patience_slots: Parameter[Count]
    missing_evidence_minimum: Parameter[Count]

    @model_validator(mode="after")
    def _lists_hold_each_code_once(self) -> Self:
        for name in ("failure_reasons", "product_types"):
            for index, dated in enumerate(getattr(self, name).values):
                if len(set(dated.value)) < len(dated.value):
                    raise problem("names a code twice", name, "values", index, "value")
        return self


class Lake(Group):
    """How long what slots computed is kept (Rulebook §17)."""

    lake_retention_weeks: Parameter[Count]
