"""What this process asks of a lakehouse: models that are run where the order items are.

Copied whole, the order items would cost every late slot as much as the marketplace is large. Here
belongs the way there and back, in folders that server and pipeline share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

import duckdb

from vibes_pipeline import parquet
from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Engine, Parameters
from vibes_pipeline.engine.spark import SparkEngine
from vibes_pipeline.files import put_into_place
from vibes_pipeline.settings import Lakehouse


@dataclass(frozen=True)
class Remote(SparkEngine):
    """Runs models over a lakehouse for an engine that has their other relations."""

    @classmethod
    def over(cls, engine: Engine) -> Self:
        """A remote for an engine whose warehouse is a lakehouse."""
        warehouse = engine.warehouse
        assert isinstance(warehouse.path, Lakehouse)
        (copies,) = warehouse.folders
        folder = Path(mkdtemp(dir=copies, prefix="asked-"))
        zone, policy, server = engine.time_zone, engine.policy, warehouse.path.server
        return cls(warehouse, folder, zone, policy, server)

    def answered(
        self,
        model: Model,
        parameters: Parameters,
        others: Mapping[str, duckdb.DuckDBPyRelation],
    ) -> str:
        """SQL for the rows of a model; `others` are what it reads besides warehouse and policy."""
        for relation, rows in others.items():
            with put_into_place(self.partition(relation)) as temporary:
                rows.write_parquet(str(temporary))
            self._mount_partition(relation)
        self.materialize(replace(model, is_ephemeral=False), parameters)
        return f"FROM {parquet.sql_rows(parquet.parts(self.partition(model.relation)))}"
