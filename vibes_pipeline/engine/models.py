"""The SQL files as models, one SELECT each: `sql/metrics/seller_week.sql` is `metrics.seller_week`.

The header comment says what a row is and why, and its grain; with the line `-- ephemeral` no
partition keeps the rows. The comment behind each output column documents the column. Which
relations a model reads, which parameters it takes and which columns it gives is read from the SQL
itself, by its words: a parser takes half a second for all files, and each command would wait for
it. A test holds the words against a parser.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from types import MappingProxyType

from vibes_pipeline.engine.grain import MARK, Grain, read_grain
from vibes_pipeline.paths import sql_dir

EPHEMERAL = "-- ephemeral"
COMMENT = re.compile(r"--.*")
# `stage.name` behind FROM or JOIN, but not the column of `a IS DISTINCT FROM b.c`.
RELATION = re.compile(r"(?<!\bDISTINCT )\b(?:FROM|JOIN)\s+(\w+\.\w+)")
PARAMETER = re.compile(r"\$(\w+)")
# The output columns stand between a SELECT and a FROM that begin their lines; of a UNION the first
# one's. A column's name ends its line, before its comment.
OUTPUT = re.compile(r"^SELECT\b(.*?)(?:^FROM\b|\Z)", re.MULTILINE | re.DOTALL)
COLUMN = re.compile(r"(\w+),?[ \t]*--[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# Schemas whose relations no model makes: the warehouse as stored, the policy, the ledger's history.
GIVEN_SCHEMAS = frozenset({"raw", "policy", "ledger"})


@dataclass(frozen=True)
class Model:
    """One SELECT, named like its file."""

    stage: str
    name: str
    sql: str
    description: str
    depends_on: tuple[str, ...]
    parameters: frozenset[str]
    grain: Grain
    is_ephemeral: bool

    @property
    def relation(self) -> str:
        """The name by which other models read it, `stage.name`."""
        return f"{self.stage}.{self.name}"

    @property
    def is_view(self) -> bool:
        """Whether the rows need not even be held: an ephemeral model over kept relations alone.

        The warehouse's tables are there for one query at a time, and a view takes no parameters.
        """
        return self.is_ephemeral and not self.parameters and not self.reads_raw

    @property
    def reads_raw(self) -> bool:
        """Whether it reads the order warehouse itself."""
        return any(relation.startswith("raw.") for relation in self.depends_on)

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The output columns, each with its comment."""
        (selected, *_) = OUTPUT.findall(self.sql)
        return dict(COLUMN.findall(selected))

    @property
    def upstream(self) -> tuple[str, ...]:
        """The models among the relations it reads."""
        return tuple(r for r in self.depends_on if r.split(".")[0] not in GIVEN_SCHEMAS)


@cache
def load_models(folder: Path | None = None) -> Mapping[str, Model]:
    """All models by relation, each after those it reads."""
    models = {m.relation: m for m in map(_read, sorted((folder or sql_dir()).glob("*/*.sql")))}
    order = TopologicalSorter({m.relation: m.upstream for m in models.values()}).static_order()
    return {relation: models[relation] for relation in order}


def closure(targets: Iterable[str], made: Collection[str] = ()) -> tuple[Model, ...]:
    """The targets and every model they depend on, each after those it reads.

    Relations `made` by another step are left out, and so is what only they depend on.
    """
    models = load_models()
    wanted: set[str] = set()
    pending = list(targets)
    while pending:
        relation = pending.pop()
        if relation not in wanted and relation not in made:
            wanted.add(relation)
            pending.extend(models[relation].upstream)
    return tuple(model for relation, model in models.items() if relation in wanted)


def sources(
    relations: Iterable[str],
    made: Collection[str] = (),
    stand_ins: Mapping[str, str] = MappingProxyType({}),
) -> frozenset[str]:
    """Where the rows of relations come from: `raw.*`, `policy.*`, `ledger.*`, and relations `made`.

    `made` are relations that another step has made: they are sources as they are. Any other
    model's relation is replaced by what its own SQL reads. `stand_ins` maps a relation to the one
    that is read in its place.
    """
    models = load_models()
    found: set[str] = set()
    seen: set[str] = set()
    pending = list(relations)
    while pending:
        named = pending.pop()
        relation = stand_ins.get(named, named)
        if relation in seen:
            continue
        seen.add(relation)
        if relation in made or relation.split(".")[0] in GIVEN_SCHEMAS:
            found.add(relation)
        else:
            pending.extend(models[relation].depends_on)
    return frozenset(found)


def _read(file: Path) -> Model:
    sql = file.read_text(encoding="utf-8")
    code = COMMENT.sub("", sql)
    return Model(
        stage=file.parent.name,
        name=file.stem,
        sql=sql,
        description=_header(sql),
        depends_on=tuple(sorted(set(RELATION.findall(code)))),
        parameters=frozenset(PARAMETER.findall(code)),
        grain=_grain(file, sql),
        is_ephemeral=EPHEMERAL in sql.splitlines(),
    )


def _grain(file: Path, sql: str) -> Grain:
    grain = read_grain(sql)
    if grain is None:
        raise ValueError(f"{file} does not say its grain: add `-- grain: column, column`")
    return grain


def _header(sql: str) -> str:
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        if not line.startswith((MARK, EPHEMERAL)):
            lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
