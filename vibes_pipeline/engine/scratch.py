"""An engine that leaves no file: its relations are tables of its session, and end with it.

Here belongs what a slot looks up and does not keep, such as the claims that wait, or the items of
which a few are overdue. `engine.duckdb` keeps in partitions what explains a decision.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

import polars as pl

from vibes_pipeline.engine.duckdb import DuckDBEngine
from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Engine, Parameters, require_grain
from vibes_pipeline.parquet import ZONED
from vibes_pipeline.warehouse.contract import BOUNDS

# The parameters that all slots of a country give alike.
ALIKE = {"country", *BOUNDS}
# Who asks about some items, or about the open charges, judges only the rows of these.
ASKED = {
    "warehouse.stored_items": "warehouse.asked_order_items",
    "warehouse.stored_products": "warehouse.asked_products",
    "warehouse.stored_checks": "warehouse.asked_checks",
    "warehouse.stored_cases": "warehouse.asked_cases",
}


@dataclass(frozen=True)
class ScratchEngine(DuckDBEngine):
    """Keeps its relations in memory; reads all other relations from the folder's partitions.

    `stand_ins` maps a relation to the one whose rows are read in its place.
    """

    stand_ins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def over(cls, engine: Engine, stand_ins: Mapping[str, str] | None = None) -> Self:
        """An engine over the same warehouse, policy and partitions as another engine."""
        return cls(
            engine.warehouse, engine.folder, engine.time_zone, engine.policy, stand_ins or {}
        )

    def write(self, relation: str, rows: pl.DataFrame) -> None:
        """Put rows that no model makes where models read them."""
        self._put(relation, rows)

    def materialize(self, model: Model, parameters: Parameters) -> None:
        """Run one model and keep its rows; `BrokenGrain` when the rows break its grain."""
        read = [relation for relation in model.depends_on if not self._is_stored(relation)]
        if not self._is_alike_in_all_slots(model, read):
            self._hold_in_session(model, parameters)
            self._require_grain(model, model.relation)
            return
        for relation in read:
            self._mount(relation, parameters)
        given = sorted((name, parameters[name]) for name in model.parameters)
        key = (*given, *(self._shared[relation] for relation in read))
        self._share(model.relation, key, lambda table: self._make(table, model, parameters))

    def _is_alike_in_all_slots(self, model: Model, read: Collection[str]) -> bool:
        """Whether its rows follow from warehouse and policy alone, whatever the slot's instant."""
        return model.parameters <= ALIKE and all(
            relation.startswith("policy.") or relation in self._shared for relation in read
        )

    def _make(self, table: str, model: Model, parameters: Parameters) -> None:
        with self._given(model, parameters) as (select, given):
            self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS\n{select}", given)
        self._require_grain(model, table)

    def _require_grain(self, model: Model, table: str) -> None:
        keys = ", ".join(model.grain.columns) or "*"
        if model.grain.can_be_broken:
            require_grain(model, self._rows(f"SELECT {keys} FROM {table}"))

    def scan(self, relation: str) -> pl.LazyFrame:
        """A relation made here or before; instants are in UTC, as a partition has them."""
        if relation not in self._mounted:
            return super().scan(relation)
        return self._rows(f"FROM {relation}").with_columns(ZONED.dt.convert_time_zone("UTC"))

    def _rows(self, query: str) -> pl.LazyFrame:
        frame: pl.DataFrame = self._connection.sql(query).pl()
        return frame.lazy()

    def _hold(self, model: Model, parameters: Parameters) -> None:
        self._hold_in_session(model, parameters)

    def _mount(self, relation: str, parameters: Parameters) -> None:
        if relation in self.stand_ins and relation not in self._mounted:
            self._mount(self.stand_ins[relation], parameters)
            self._define("VIEW", relation, f"FROM {self.stand_ins[relation]}")
        super()._mount(relation, parameters)
