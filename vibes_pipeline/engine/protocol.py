"""What every engine does: it runs models, and keeps the rows of relations as partitions.

Here belongs what all engines have in common: where a relation's rows lie, and how they are read. A
partition is a Parquet file or a folder of Parquet files. How SQL is run is each engine's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from vibes_pipeline import parquet
from vibes_pipeline.engine.models import Model
from vibes_pipeline.errors import BrokenGrain
from vibes_pipeline.files import put_into_place
from vibes_pipeline.warehouse.source import Warehouse

Parameters = Mapping[str, date | datetime | str | int]


@dataclass(frozen=True)
class Engine(ABC):
    """Runs models over one warehouse; `folder` holds the partitions, `stage/name.parquet`.

    Models also read, by relation, what steps put there, such as the ledger's history.
    """

    warehouse: Warehouse
    folder: Path
    time_zone: ZoneInfo
    policy: Mapping[str, pl.DataFrame] = field(repr=False)

    def partition(self, relation: str) -> Path:
        """The file, or the folder, of a relation's rows, which need not exist yet."""
        stage, name = relation.split(".")
        return self.folder / stage / f"{name}.parquet"

    def write(self, relation: str, rows: pl.DataFrame) -> None:
        """Put rows that no model makes where models read them, such as the ledger's history."""
        with put_into_place(self.partition(relation)) as temporary:
            rows.write_parquet(temporary)

    @abstractmethod
    def materialize(self, model: Model, parameters: Parameters) -> None:
        """Run one model and keep its rows; they replace earlier rows in one step.

        Raises `BrokenGrain`, and keeps the earlier rows, when the new rows break the model's grain.
        """

    @abstractmethod
    def evaluate(self, model: Model, parameters: Parameters) -> pl.DataFrame:
        """Run one model and return its rows without keeping them."""

    @abstractmethod
    def release(self) -> None:
        """Let go of what is held for the next models; what is needed again is made again."""

    @cached_property
    def ran(self) -> dict[str, str | int]:
        """What ran the last model that was materialized, with its own numbers if it gives any."""
        return {}

    def read(self, relation: str) -> pl.DataFrame:
        """The rows of a relation made before."""
        return self.scan(relation).collect()

    def scan(self, relation: str) -> pl.LazyFrame:
        """The rows of a relation made before, not read yet; only what is asked for will be."""
        return parquet.scan(self.partition(relation))


def require_grain(model: Model, rows: pl.LazyFrame) -> None:
    """`BrokenGrain` when a key is repeated or null."""
    broken = model.grain.broken(rows)
    if not broken.is_empty():
        first = ", ".join(map(repr, broken.row(0)))
        raise BrokenGrain(
            f"{model.relation} has rows that break its grain ({model.grain}), such as {first}: the "
            f"fault is the pipeline's, in sql/{model.stage}/{model.name}.sql or in what it reads; "
            "nothing rests on them yet"
        )
