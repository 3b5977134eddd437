"""What both sides of a simulation compute alike is computed once (Rulebook §16).

A model's rows follow from its SQL, its parameters and the rows of what it reads. Where these are
the same on both sides, as mostly in all that comes before the decisions, the side that comes first
computes the rows, and the other takes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import polars as pl

from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.files import held
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.run import SlotRun


@dataclass(frozen=True)
class Shared:
    """A slot's models, computed once for all processes that name the same folder."""

    folder: Path
    _keys: dict[str, str] = field(default_factory=dict)

    def compute(self, run: SlotRun, ledger: Ledger, model: Model) -> None:
        """Run one model of the weekly alert, unless the other side has, for the same inputs."""
        place = self.folder / self._key(run, model.relation)
        rows, partition = place / "rows.parquet", run.engine.partition(model.relation)
        place.mkdir(parents=True, exist_ok=True)
        with held(place):
            if rows.exists():
                partition.parent.mkdir(parents=True, exist_ok=True)
                os.link(rows, partition)
            else:
                weekly.compute(run, ledger, model)
                os.link(partition, rows)

    def _key(self, run: SlotRun, relation: str) -> str:
        """A hash of all that a relation's rows follow from."""
        if relation not in self._keys:
            made = sha256()
            for text in self._inputs(run, relation):
                made.update(f"{len(text)}:{text}".encode())
            self._keys[relation] = made.hexdigest()
        return self._keys[relation]

    def _inputs(self, run: SlotRun, relation: str) -> Iterator[str]:
        schema, name = relation.split(".")
        match schema:
            case "raw":
                # Both sides read one snapshot, as far as the instant sees.
                yield f"{relation} {run.now.isoformat()}"
            case "policy":
                yield _content(run.engine.policy[name])
            case "ledger":
                yield _content(run.engine.read(relation))
            case _:
                model = load_models()[relation]
                given = weekly.parameters_of(run)
                yield model.sql
                yield from (f"{name}={given[name]!r}" for name in sorted(model.parameters))
                yield from (self._key(run, read) for read in model.depends_on)


def _content(rows: pl.DataFrame) -> str:
    """All rows, in an order of their own."""
    return repr((rows.schema, sorted(map(repr, rows.rows()))))
