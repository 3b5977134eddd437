"""One read-only statement over every relation: warehouse, policy, every cycle's models, the ledger.

Each statement runs in a DuckDB in memory, made for it and thrown away. What it names is mounted
before, and nothing else; then DuckDB is locked: no other file, no setting, no write. The order
warehouse is held only meanwhile, and the ledger read in one read-only snapshot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import sqlalchemy as sa

from vibes_pipeline.engine.models import load_models
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import UsageError, did_you_mean, near
from vibes_pipeline.exports.tables import Source, decided_partitions, partitions
from vibes_pipeline.ledger import feeds, schema, views
from vibes_pipeline.ledger.frames import in_frame, read
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.parquet import parts, sql_rows, sql_text, without_wildcards
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy import tables as policy_tables
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.contract import CONTRACT, MEANINGS
from vibes_pipeline.warehouse.source import Warehouse

# A person waits for the answer, so a warehouse that its loader holds is waited for less than in a
# slot.
PATIENCE_SECONDS = 20.0
SHOW_TABLES = re.compile(r"\s*show\s+(all\s+)?tables\s*;?\s*", re.I)
EXPLAIN = re.compile(r"\s*explain\b\s*(analyze\b\s*)?(\(\s*(analyze|format)\b[^)]*\)\s*)?", re.I)
# DuckDB's words; which table of its own it thinks was meant helps nobody.
NO_TABLE = re.compile(r'Catalog Error: Table with name "?(.+?)"? does not exist')
ONLY_READING = "only SELECT, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN of one are answered here"
DESCRIBED = "`vibes sql --describe` lists them"


@dataclass(frozen=True)
class Answer:
    """Rows of a statement; `is_cut` if there are more than were asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    is_cut: bool = False


@dataclass(frozen=True)
class Column:
    """A relation's column; type and description as far as they are known."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Library:
    """All relations that a statement may name, by the settings and the policy they belong to."""

    settings: Settings
    policy: Policy

    def ask(self, statement: str, limit: int | None = None) -> Answer:
        """Run one statement; at most `limit` rows.

        Raises `UsageError` for anything but a reading statement, or one that fails, and
        `WarehouseError` or `LedgerError` when what it names cannot be read.
        """
        if SHOW_TABLES.fullmatch(statement):
            return self.listed()
        named = self._named(_parsed(statement))
        try:
            with (
                TemporaryDirectory(prefix="vibes-sql-") as scratch,
                duckdb.connect(config={"memory_limit": self.settings.most_memory}) as connection,
                self._mounted(connection, named) as folders,
            ):
                self._lock(connection, scratch, folders)
                found = connection.sql(statement)
                rows = (found if limit is None else found.limit(limit + 1)).fetchall()
                columns = list(found.columns)
        except duckdb.Error as error:
            if mistyped := NO_TABLE.match(str(error)):
                raise self._no_relation(mistyped[1].lower()) from None
            raise UsageError(_one_line(error)) from None
        except OverflowError:
            raise UsageError(
                "a time in the answer is too far away to be shown; cast it to VARCHAR"
            ) from None
        is_cut = limit is not None and len(rows) > limit
        return Answer(columns, rows[:limit] if is_cut else rows, is_cut)

    def listed(self) -> Answer:
        """Every relation with what a row of it is."""
        comments = {
            name: self._inspector.get_table_comment(table.name, table.schema)["text"] or ""
            for name, table in self._ledger_tables.items()
        }
        stored = "as the order warehouse stores it (Rulebook §13)"
        meanings = {
            **{f"raw.{name}": stored for name in CONTRACT},
            **{f"policy.{name}": meaning for name, meaning in policy_tables.RELATIONS.items()},
            **{m.relation: m.description for m in weekly_models()},
            **comments,
        }
        return Answer(["relation", "a row is"], list(meanings.items()))

    def columns(self, relation: str) -> list[Column]:
        """The columns of a relation; `UsageError` if there is none of that name."""
        name = relation.lower()
        if name not in self._names:
            raise self._no_relation(name)
        stage, _, table = name.partition(".")
        if stage == "raw":
            stored = CONTRACT[table].columns.items()
            return [Column(c, type_, MEANINGS[c]) for c, type_ in stored]
        if stage == "policy":
            dated = self._policy[table].schema.items()
            return [Column(c, str(type_), policy_tables.MEANINGS[c]) for c, type_ in dated]
        if name in self._ledger_tables:
            return [
                Column(c["name"], str(c["type"]), c.get("comment") or "")
                for c in self._inspector.get_columns(table, stage)
            ]
        types = {}
        if partitions(self._source, name):
            types = {row[0]: row[1] for row in self.ask(f"DESCRIBE {name}").rows}
        documented = {"cycle": "the observed week's Monday", **load_models()[name].columns}
        return [Column(c, types.get(c, ""), text) for c, text in documented.items()]

    @cached_property
    def _names(self) -> frozenset[str]:
        """Every relation, found without a database."""
        return frozenset(
            (
                *(f"raw.{name}" for name in CONTRACT),
                *(f"policy.{name}" for name in self._policy),
                *(m.relation for m in weekly_models()),
                *self._ledger_tables,
            )
        )

    def _named(self, parsed: Mapping[str, Any]) -> list[str]:
        """Those of our relations that a statement names; `UsageError` for one that is none."""
        ours = {name.partition(".")[0] for name in self._names}
        found = set()
        for stage, name in _tables(parsed):
            relation = f"{stage}.{name}"
            if relation in self._names:
                found.add(relation)
            elif stage in ours:
                raise self._no_relation(relation)
            elif not stage and name not in _common_tables(parsed):
                meant = sorted(r for r in self._names if r.endswith(f".{name}"))
                if meant:
                    raise UsageError(f"{name!r} needs its schema: {' or '.join(meant)}")
        return sorted(found)

    def _no_relation(self, name: str) -> UsageError:
        """Says which was meant; without its schema, by the name in it."""
        whole = {r if "." in name else r.partition(".")[2]: r for r in sorted(self._names)}
        meant = [whole[found] for found in near(name, whole)]
        return UsageError(f"no relation {name!r}{did_you_mean(meant)}; {DESCRIBED}")

    @contextmanager
    def _mounted(
        self, connection: duckdb.DuckDBPyConnection, relations: Iterable[str]
    ) -> Iterator[list[Path]]:
        """The relations by their names, for as long as the statement runs.

        Gives the folders of the order warehouse that they read.
        """
        raw, ledger = [], []
        connection.execute(f"SET TimeZone = '{self.policy.time_zone.key}'")
        for relation in relations:
            stage, _, name = relation.partition(".")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {stage}")
            if stage == "raw":
                raw.append(name)
            elif stage == "policy":
                _put(connection, relation, self._policy[name])
            elif relation in self._ledger_tables:
                ledger.append(relation)
            else:
                connection.execute(f"CREATE VIEW {relation} AS {self._of_each_cycle(relation)}")
        if ledger:
            with self._ledger.reading() as snapshot:
                for relation in ledger:
                    _put(connection, relation, self._read(snapshot, relation))
        warehouse = Warehouse.of(self.settings, PATIENCE_SECONDS)
        with warehouse.mounted(connection, raw):
            yield warehouse.folders if raw else []

    def _lock(
        self, connection: duckdb.DuckDBPyConnection, scratch: str, of_warehouse: list[Path]
    ) -> None:
        """From here on: no file but the lake's and the warehouse's, no setting changed."""
        folders = [f for f in (self.settings.lake, *of_warehouse) if f.is_dir()]
        # A path is held against this list as it is written, and again as the file that it means.
        allowed = ", ".join(map(sql_text, [*map(str, folders), *map(without_wildcards, folders)]))
        connection.execute(f"SET temp_directory = {sql_text(scratch)}")
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

    def _of_each_cycle(self, relation: str) -> str:
        """A model's rows of every decided cycle, with the cycle first."""
        decided = decided_partitions(self._source, relation)
        return " UNION ALL BY NAME ".join(_part(cycle, file) for cycle, file in decided)

    def _read(self, snapshot: sa.Connection, relation: str) -> pl.DataFrame:
        """A table or view of the ledger; ids and JSON as text."""
        table = self._ledger_tables[relation]
        return read(snapshot, sa.select(*map(in_frame, table.columns)), self._source.instant)

    @cached_property
    def _policy(self) -> Mapping[str, pl.DataFrame]:
        return policy_tables.policy_tables(self.policy)

    @property
    def _ledger_tables(self) -> Mapping[str, sa.Table]:
        metadata = (schema.metadata, views.metadata, *feeds.SCHEMAS.values())
        return {name: table for m in metadata for name, table in m.tables.items()}

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger.open_existing(self.settings, self.policy.country)

    @cached_property
    def _inspector(self) -> sa.Inspector:
        inspector: sa.Inspector = sa.inspect(self._ledger.engine)
        return inspector

    @property
    def _source(self) -> Source:
        return Source(self._ledger, self.settings.lake, self.policy.time_zone)


def _parsed(statement: str) -> Mapping[str, Any]:
    """The syntax tree of the one reading statement; `UsageError` for anything else.

    DuckDB's own parser makes it, which knows no other statement than SELECT and what becomes one.
    """
    if statement != statement.encode(errors="ignore").decode():
        # So Python marks bytes of an argument that are no text in the terminal's encoding.
        raise UsageError("the statement is not UTF-8 text; set LC_ALL=C.UTF-8 and write it as such")
    with duckdb.connect() as parser:
        text = EXPLAIN.sub("", statement, count=1) if EXPLAIN.match(statement) else statement
        row = parser.execute("SELECT json_serialize_sql($1)", [text]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {}
    if parsed.get("error_type") == "parser":
        raise UsageError(f"{_clean(parsed['error_message'])}")
    if parsed.get("error"):
        raise UsageError(ONLY_READING)
    if len(parsed["statements"]) != 1:
        raise UsageError("one statement at a time: " + ONLY_READING)
    return parsed


def _tables(node: object) -> Iterator[tuple[str, str]]:
    """Every table that a syntax tree names, as (schema, name) in small letters."""
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            yield node["schema_name"].lower(), node["table_name"].lower()
        for inner in node.values():
            yield from _tables(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _tables(inner)


def _common_tables(node: object) -> set[str]:
    """The names that a syntax tree gives to its own WITH clauses."""
    if isinstance(node, list):
        return {name for inner in node for name in _common_tables(inner)}
    if not isinstance(node, dict):
        return set()
    own = {entry["key"].lower() for entry in node.get("cte_map", {}).get("map", [])}
    return own.union(*(_common_tables(inner) for inner in node.values()))


def _part(cycle: date, file: Path) -> str:
    return f"SELECT DATE '{cycle}' AS cycle, * FROM {sql_rows(parts(file))}"


def _put(connection: duckdb.DuckDBPyConnection, relation: str, frame: pl.DataFrame) -> None:
    connection.register("a_frame", frame)
    connection.execute(f"CREATE TABLE {relation} AS SELECT * FROM a_frame")
    connection.unregister("a_frame")


def _one_line(error: Exception) -> str:
    """What DuckDB says, without the picture of the statement below it."""
    return _clean(str(error).partition("LINE ")[0])


def _clean(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
