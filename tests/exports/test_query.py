"""One read-only statement over all there is: what it may name, what it may not do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from ledger import made
from patience import PATIENCE_SECONDS
from split import split
from warehouse import warehouses

from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import UsageError, WarehouseError
from vibes_pipeline.exports import query
from vibes_pipeline.exports.query import ONLY_READING, Library
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import load_policy
from vibes_pipeline.settings import Settings

SELLER_WEEK = pl.DataFrame({"seller_id": ["S-1", "S-2"], "shipped_items": [5, 3]})


@pytest.fixture(scope="module")
def library(
    module_ledger_url: sa.URL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    """A cycle implemented and the next one decided; two cycles' partitions; a small warehouse."""
    tmp_path = tmp_path_factory.mktemp("library")
    ledger = Ledger(database.connect(module_ledger_url), "NG")
    made.freeze_cycle(ledger, made.a_handful(), names={"S-1": "=1+1"})
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    ledger.close()
    settings = Settings.from_environment(
        {
            "VIBES_HOME": str(tmp_path / "it's home"),
            "VIBES_WAREHOUSE": str(warehouses.build(tmp_path, warehouses.DUCKDB_FILE)),
            "VIBES_POSTGRES_URL": module_ledger_url.render_as_string(hide_password=False),
        }
    )
    for cycle, frame in (
        (made.CYCLE, SELLER_WEEK),
        (made.NEXT_CYCLE, SELLER_WEEK.with_columns(is_exempt=pl.lit(True))),
        (made.NEXT_CYCLE + made.WEEK, SELLER_WEEK),
    ):
        folder = settings.lake / "NG" / "weekly-alert" / cycle.isoformat() / "metrics"
        folder.mkdir(parents=True)
        frame.write_parquet(folder / "seller_week.parquet")
        if cycle == made.NEXT_CYCLE:
            split(folder / "seller_week.parquet")
    opened = Library(settings, load_policy("ng"))
    yield opened
    opened._ledger.close()


# --- what may be named ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "statement", "rows"),
    [
        (
            "the warehouse",
            "SELECT shop_name FROM raw.sellers ORDER BY 1",
            [("O'Hara & ₦",), (None,)],
        ),
        ("an optional table", "SELECT attachments FROM raw.claims", [(["a.pdf", "b.pdf"],)]),
        ("the policy", "SELECT DISTINCT in_force_days FROM policy.order_regulation", [(7,)]),
        (
            "a model, of the decided cycles alone",
            "SELECT cycle, sum(shipped_items) FROM metrics.seller_week GROUP BY 1 ORDER BY 1",
            [(made.CYCLE, 8), (made.NEXT_CYCLE, 8)],
        ),
        (
            "a column that only later cycles have",
            "SELECT DISTINCT cycle FROM metrics.seller_week WHERE is_exempt IS NULL",
            [(made.CYCLE,)],
        ),
        (
            "finance's views",
            "SELECT seller_id, net, statement_period FROM finance.seller_statements ORDER BY 1",
            [
                ("S-1", Decimal("4234.50"), date(2026, 11, 16)),
                ("S-2", Decimal("50000.00"), date(2026, 11, 16)),
            ],
        ),
        ("enforcement's", "SELECT sku FROM enforcement.product_delistings", [("SKU-A",)]),
        (
            "evidence",
            "SELECT evidence ->> '$.in_force_days' FROM ledger.actions WHERE band IS NOT NULL",
            [("7",)],
        ),
        (
            "several kinds at once, through names of the statement's own",
            "WITH w AS (FROM metrics.seller_week WHERE cycle = '2026-11-09') "
            "SELECT count(*) FROM w JOIN ledger.action_states USING (seller_id)",
            [(6,)],
        ),
        ("capitals", "SELECT count(*) FROM RAW.Sellers", [(2,)]),
        ("nothing", "SELECT 1;", [(1,)]),
    ],
)
def test_a_statement_reads(
    library: Library, why: str, statement: str, rows: list[tuple[object, ...]]
) -> None:
    assert library.ask(statement).rows == rows


@pytest.mark.parametrize(
    "statement", ["DESCRIBE", "SUMMARIZE", "EXPLAIN FROM", "EXPLAIN ANALYZE FROM"]
)
def test_what_explains_a_relation_is_answered(library: Library, statement: str) -> None:
    assert library.ask(f"{statement} raw.sellers").rows


def test_all_relations_are_shown_with_what_they_are(library: Library) -> None:
    shown = dict(library.ask("show tables;").rows)
    assert shown["finance.charges"].startswith("One row per posting")
    assert shown["metrics.seller_week"]
    assert set(shown) == library._names
    assert {m.relation for m in weekly_models()} < set(shown)


@pytest.mark.parametrize(
    ("relation", "column"),
    [
        ("raw.sellers", ("email", "VARCHAR", "the address that the seller is written to")),
        ("policy.order_regulation", ("in_force_days", "Int64", "days from the implementation")),
        ("metrics.seller_week", ("shipped_items", "BIGINT", "items shipped in the window")),
        ("Decisions.order_regulations", ("cycle", "", "the observed week's Monday")),
        ("finance.charges", ("amount", "NUMERIC(14, 2)", "Debits positive, reversals negative.")),
    ],
)
def test_a_relation_shows_its_columns_and_what_they_mean(
    library: Library, relation: str, column: tuple[str, str, str]
) -> None:
    assert column in [(c.name, c.type, c.description) for c in library.columns(relation)]


def test_every_relation_and_every_column_says_what_it_means(library: Library) -> None:
    assert all(meaning for _, meaning in library.listed().rows)
    columns = {name: library.columns(name) for name in library._names}
    assert [f"{n}.{c.name}" for n in columns for c in columns[n] if not c.description] == []


# --- what may not be done -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("INSERT INTO raw.sellers (seller_id) VALUES ('S-9')", ONLY_READING),
        ("DELETE FROM finance.charges", ONLY_READING),
        ("COPY raw.sellers TO 'sellers.csv'", ONLY_READING),
        ("EXPLAIN ANALYZE COPY raw.sellers TO 'sellers.csv'", ONLY_READING),
        ("EXPLAIN (ANALYZE) CREATE TABLE t AS SELECT 1", ONLY_READING),
        ("SET enable_external_access = true", ONLY_READING),
        ("ATTACH 'other.duckdb'", ONLY_READING),
        ("INSTALL postgres", ONLY_READING),
        ("SELECT 1; DROP VIEW raw.sellers", ONLY_READING),
        ("SELECT 1; SELECT 2", f"one statement at a time: {ONLY_READING}"),
        ("", f"one statement at a time: {ONLY_READING}"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        (
            "SELECT TIMESTAMPTZ '9999-12-31 23:59:59+00'",
            "a time in the answer is too far away to be shown; cast it to VARCHAR",
        ),
        (
            "FROM metrics.nothing",
            "no relation 'metrics.nothing'; `vibes sql --describe` lists them",
        ),
        ("FROM charges", "'charges' needs its schema: finance.charges"),
        (
            "FROM decisions.order_regulations",
            "nothing is decided yet of decisions.order_regulations; run `vibes run weekly-alert`",
        ),
    ],
)
def test_anything_else_is_refused_in_one_line(library: Library, statement: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        library.ask(statement)
    assert str(error.value) == said


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM glob('/*')",
        "SELECT *, (SELECT count(*) FROM read_csv('{file}')) FROM raw.sellers",
        "SELECT nothing FROM raw.sellers",
        "WITH gone AS (DELETE FROM raw.sellers RETURNING *) SELECT * FROM gone",
    ],
)
def test_no_other_file_is_read_and_what_fails_is_one_line(
    library: Library, tmp_path: Path, statement: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(UsageError) as error:
        library.ask(statement.format(file=secret))
    assert "\n" not in str(error.value)
    assert len(library.ask("FROM raw.sellers").rows) == 2


def test_a_relation_that_is_none_has_no_columns(library: Library) -> None:
    with pytest.raises(
        UsageError,
        match=r"no relation 'raw.sell' \(did you mean raw.sellers.*; `vibes sql --describe` lists them",
    ):
        library.columns("raw.sell")


# --- how much, how long ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "rows", "is_cut"), [(None, 10, False), (10, 10, False), (9, 9, True)]
)
def test_no_more_rows_are_given_than_were_asked_for(
    library: Library, limit: int | None, rows: int, is_cut: bool
) -> None:
    answer = library.ask("SELECT range FROM range(10) ORDER BY 1 DESC", limit)
    assert [row[0] for row in answer.rows] == [*range(9, 9 - rows, -1)]
    assert answer.is_cut == is_cut


def test_the_warehouse_is_held_only_while_a_statement_runs(library: Library) -> None:
    library.ask("FROM raw.sellers")
    with duckdb.connect(str(library.settings.warehouse)) as loader:
        loader.execute("CREATE TABLE raw.not_of_the_contract (n INTEGER)")
    assert len(library.ask("FROM raw.sellers").rows) == 2


def test_a_warehouse_being_loaded_stops_only_what_reads_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "PATIENCE_SECONDS", 0.0)
    holds = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    )
    loader = subprocess.Popen(
        [sys.executable, "-c", holds, library.settings.warehouse],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert loader.stdout is not None
        assert loader.stdout.readline() == b"held\n"
        assert library.ask("SELECT count(*) FROM finance.charges").rows == [(3,)]
        with pytest.raises(WarehouseError, match="is locked by another process"):
            library.ask("FROM raw.sellers")
    finally:
        loader.communicate(b"\n", timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("name", ["h?", "week [46]", "cycle=2026"])
def test_a_home_and_a_warehouse_of_any_name_are_read(
    library: Library, tmp_path: Path, name: str
) -> None:
    home = tmp_path / name
    home.mkdir()
    warehouse = warehouses.build(home, warehouses.PARQUET_FOLDERS)
    odd = replace(library, settings=replace(library.settings, home=home, warehouse=warehouse))
    part = odd.settings.lake / "NG/weekly-alert/2026-11-09/metrics/seller_week.parquet"
    part.parent.mkdir(parents=True)
    SELLER_WEEK.write_parquet(part)
    asked = "SELECT count(*) FROM raw.sellers AS s JOIN metrics.seller_week USING (seller_id)"
    assert odd.ask(asked).rows == [(2,)]


def test_a_warehouse_that_cannot_be_read_is_no_fault_of_the_statement(
    library: Library, tmp_path: Path
) -> None:
    path = warehouses.build(tmp_path, warehouses.PARQUET_FILES)
    part = path / "sellers.parquet"
    content = part.read_bytes()
    # Its footer is whole: only the rows cannot be read.
    part.write_bytes(b"\x55" * 200 + content[200:])
    broken = replace(library, settings=replace(library.settings, warehouse=path))
    with pytest.raises(WarehouseError, match=r"sellers\.parquet.*; write it anew"):
        broken.ask("FROM raw.sellers")


def test_nothing_of_a_statement_stays_in_the_ledger(library: Library) -> None:
    library.ask("SELECT count(*) FROM ledger.action_states")
    select = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    with library._ledger.engine.connect() as connection:
        assert connection.execute(sa.text(select)).scalar() == 0
