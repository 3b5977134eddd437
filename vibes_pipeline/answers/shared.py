"""What both sides of a simulation compute alike is computed once (Rulebook §16).

A model's rows follow from its SQL, its parameters and the rows of what it reads. Where these are
the same on both sides, as mostly in all that comes before the decisions, the side that comes first
computes the rows, and the other takes them. It waits until the first has done all that rests on no
action of the past: that is one piece of work, over order items that are read once for all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Self

import polars as pl

from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.files import held
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.run import SlotRun


class Shared:
    """A slot's models, computed once for all processes that name the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys: dict[str, str] = {}
        self._turn = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._turn.close()

    def compute(self, run: SlotRun, ledger: Ledger, model: Model) -> None:
        """Run one model of the weekly alert, unless the other side has, for the same inputs."""
        if model.relation in weekly.resting_on_past():
            self._turn.close()
        elif not self._keys:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._turn.enter_context(held(self.folder))
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
