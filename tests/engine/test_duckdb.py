"""The engine: partitions written in one step, local dates, what a model may read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest

from vibes_pipeline.engine.duckdb import DuckDBEngine
from vibes_pipeline.engine.models import Model, load_models
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.errors import BrokenGrain, WarehouseError
from vibes_pipeline.memory import Memory
from vibes_pipeline.warehouse.contract import RAW_TABLES
from vibes_pipeline.warehouse.file import new_warehouse
from vibes_pipeline.warehouse.source import Warehouse

LAGOS = ZoneInfo("Africa/Lagos")
NOW = datetime(2026, 11, 18, 7, tzinfo=LAGOS)
LATE_EVENING = datetime(2026, 11, 15, 23, 30, tzinfo=UTC)  # Monday 00:30 in Lagos


@pytest.fixture(params=["orders.duckdb", "orders"])
def warehouse(tmp_path: Path, request: pytest.FixtureRequest) -> Warehouse:
    """Two sellers, in either form."""
    with new_warehouse(tmp_path / request.param) as connection:
        connection.execute(
            "INSERT INTO raw.sellers BY NAME "
            "SELECT unnest(['S1', 'S2']) AS seller_id, $at::TIMESTAMPTZ AS onboarded_at",
            {"at": LATE_EVENING},
        )
    return Warehouse(tmp_path / request.param)


@pytest.fixture
def engine(tmp_path: Path, warehouse: Warehouse) -> DuckDBEngine:
    terms = pl.DataFrame({"limit": [5]})
    return DuckDBEngine(warehouse, tmp_path / "slot", LAGOS, {"terms": terms})


def model(tmp_path: Path, relation: str, sql: str, grain: str = "every stored row") -> Model:
    """A model made of the SQL, beside those made before."""
    stage, name = relation.split(".")
    folder = tmp_path / "sql"
    (folder / stage).mkdir(parents=True, exist_ok=True)
    (folder / stage / f"{name}.sql").write_text(
        f"-- Made.\n-- grain: {grain}\n{sql}", encoding="utf-8"
    )
    # Read anew: the folder's models are not those of a moment ago.
    return load_models.__wrapped__(folder)[relation]


def made(
    engine: DuckDBEngine, model: Model, parameters: Parameters | None = None
) -> list[tuple[Any, ...]]:
    """The rows that the model leaves in its partition."""
    engine.materialize(model, parameters or {})
    return engine.read(model.relation).rows()


def files(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


# --- partitions -----------------------------------------------------------------------------------


def test_a_model_leaves_one_parquet_file_named_like_it(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    sellers = model(tmp_path, "metrics.sellers", "SELECT COUNT(*) AS n FROM raw.sellers")
    assert made(engine, sellers) == [(2,)]
    assert files(engine.folder) == ["metrics/sellers.parquet"]


def test_a_failing_query_leaves_the_old_partition_and_no_other_file(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    made(engine, model(tmp_path, "metrics.m", "SELECT 'old' AS which FROM raw.sellers LIMIT 1"))
    # Fails only once rows are being written.
    failing = "SELECT CAST(seller_id AS INTEGER) AS which FROM raw.sellers"
    with pytest.raises(duckdb.ConversionException):
        engine.materialize(model(tmp_path, "metrics.m", failing), {})
    assert engine.read("metrics.m").rows() == [("old",)]
    assert files(engine.folder) == ["metrics/m.parquet"]


def test_a_first_query_that_fails_leaves_nothing(tmp_path: Path, engine: DuckDBEngine) -> None:
    failing = model(
        tmp_path, "metrics.m", "SELECT CAST(seller_id AS INTEGER) AS n FROM raw.sellers"
    )
    with pytest.raises(duckdb.ConversionException):
        engine.materialize(failing, {})
    assert files(engine.folder) == []


def test_the_engine_goes_on_after_a_failure(tmp_path: Path, engine: DuckDBEngine) -> None:
    failing = model(
        tmp_path, "metrics.m", "SELECT CAST(seller_id AS INTEGER) AS n FROM raw.sellers"
    )
    with pytest.raises(duckdb.ConversionException):
        engine.materialize(failing, {})
    assert made(engine, model(tmp_path, "metrics.m", "SELECT COUNT(*) AS n FROM raw.sellers")) == [
        (2,)
    ]


def test_a_partition_made_again_is_replaced_and_read_anew_by_those_that_rest_on_it(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    for n in (1, 2, 300):
        upstream = model(tmp_path, "metrics.m", f"SELECT {n} AS n FROM raw.sellers LIMIT 1")
        engine.materialize(upstream, {})
        downstream = model(tmp_path, "decisions.d", "SELECT SUM(n) AS n FROM metrics.m")
        assert made(engine, downstream) == [(n,)]


def test_a_reader_holds_on_to_the_partition_that_it_opened(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    engine.materialize(model(tmp_path, "metrics.m", "SELECT 1 AS n FROM raw.sellers LIMIT 1"), {})
    with engine.partition("metrics.m").open("rb") as reader:
        engine.materialize(
            model(tmp_path, "metrics.m", "SELECT 2 AS n FROM raw.sellers LIMIT 1"), {}
        )
        assert pl.read_parquet(reader).rows() == [(1,)]


def test_an_ephemeral_model_is_run_when_another_names_it_and_leaves_no_file(
    tmp_path: Path, engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = model(tmp_path, "warehouse.held", "-- ephemeral\nSELECT seller_id FROM raw.sellers")
    reads = model(tmp_path, "warehouse.reads", "SELECT COUNT(*) AS n FROM warehouse.held")
    monkeypatch.setattr("vibes_pipeline.engine.duckdb.load_models", lambda: {held.relation: held})
    assert made(engine, reads) == [(2,)]
    engine.release()
    assert made(engine, reads) == [(2,)], "made again"
    engine.materialize(held, {})
    assert files(tmp_path / "slot") == ["warehouse/reads.parquet"]


def test_what_comes_from_the_warehouse_is_held_in_a_file_that_goes_with_the_engine(
    tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = model(tmp_path, "warehouse.held", "-- ephemeral\nSELECT seller_id FROM raw.sellers")
    reads = model(tmp_path, "warehouse.reads", "SELECT COUNT(*) AS n FROM warehouse.held")
    monkeypatch.setattr("vibes_pipeline.engine.duckdb.load_models", lambda: {held.relation: held})
    spill = tmp_path / "spill"
    limited = replace(warehouse, memory=Memory("1GB", spill))
    engine = DuckDBEngine(limited, tmp_path / "slot", LAGOS, {})
    assert made(engine, reads) == [(2,)]
    assert [Path(name).name for name in files(spill)] == ["warehouse.held.parquet"]
    engine.release()
    assert files(spill) == []
    assert made(engine, reads) == [(2,)], "made again"
    del engine
    assert list(spill.iterdir()) == []


def test_evaluating_keeps_nothing(tmp_path: Path, engine: DuckDBEngine) -> None:
    sellers = model(tmp_path, "metrics.sellers", "SELECT COUNT(*) AS n FROM raw.sellers")
    assert engine.evaluate(sellers, {}).rows() == [(2,)]
    assert files(engine.folder) == []


def test_a_folder_of_any_name_will_do(tmp_path: Path, engine: DuckDBEngine) -> None:
    odd = replace(engine, folder=tmp_path / "Ng's lake; DROP")
    made(odd, model(tmp_path, "metrics.m", "SELECT 1 AS n FROM raw.sellers LIMIT 1"))
    assert made(odd, model(tmp_path, "decisions.d", "SELECT n FROM metrics.m")) == [(1,)]


# --- local time -----------------------------------------------------------------------------------


def test_dates_and_weeks_are_those_of_the_policys_time_zone(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    sql = """
        SELECT DISTINCT
            CAST(onboarded_at AS DATE) AS day,
            CAST(DATE_TRUNC('week', onboarded_at) AS DATE) AS week
        FROM raw.sellers
    """
    days = model(tmp_path, "metrics.days", sql)
    assert made(engine, days) == [(date(2026, 11, 16), date(2026, 11, 16))]
    in_utc = replace(engine, time_zone=ZoneInfo("UTC"))
    assert made(in_utc, days) == [(date(2026, 11, 15), date(2026, 11, 9))]


def test_an_instant_goes_through_unchanged(tmp_path: Path, engine: DuckDBEngine) -> None:
    instants = model(tmp_path, "metrics.i", "SELECT DISTINCT onboarded_at AS at FROM raw.sellers")
    assert made(engine, instants) == [(LATE_EVENING,)]


def test_an_instant_bound_to_a_parameter_is_that_instant(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    sql = "SELECT $now AS at, CAST($now AS DATE) AS day FROM raw.sellers LIMIT 1"
    now = model(tmp_path, "metrics.now", sql)
    assert made(engine, now, {"now": NOW.astimezone(UTC)}) == [(NOW, date(2026, 11, 18))]


# --- what a model reads ---------------------------------------------------------------------------


def test_a_model_reads_raw_policy_ledger_and_earlier_models(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    history = engine.partition("ledger.past")
    history.parent.mkdir(parents=True)
    pl.DataFrame({"seller_id": ["S1"]}).write_parquet(history)
    engine.materialize(model(tmp_path, "metrics.m", "SELECT seller_id FROM raw.sellers"), {})
    sql = """
        SELECT m.seller_id, t.limit
        FROM metrics.m AS m
        INNER JOIN ledger.past AS p ON m.seller_id = p.seller_id
        CROSS JOIN policy.terms AS t
    """
    assert made(engine, model(tmp_path, "decisions.d", sql)) == [("S1", 5)]


def test_only_the_parameters_that_a_model_names_are_bound(
    tmp_path: Path, engine: DuckDBEngine
) -> None:
    sql = "SELECT seller_id FROM raw.sellers WHERE seller_id = $country"
    one = model(tmp_path, "metrics.one", sql)
    assert made(engine, one, {"country": "S2", "now": NOW}) == [("S2",)]


def test_a_parameter_is_never_part_of_the_sql(tmp_path: Path, engine: DuckDBEngine) -> None:
    sql = "SELECT COUNT(*) AS n FROM raw.sellers WHERE seller_id = $country"
    none = model(tmp_path, "metrics.none", sql)
    assert made(engine, none, {"country": "' OR '1' = '1"}) == [(0,)]


def test_an_absent_table_that_may_be_absent_is_empty(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    engine = DuckDBEngine(Warehouse(folder), tmp_path / "slot", LAGOS, {})
    checks = model(tmp_path, "metrics.checks", "SELECT * FROM raw.dropoff_qc")
    engine.materialize(checks, {})
    frame = engine.read("metrics.checks")
    assert (frame.height, frame.columns) == (0, list(RAW_TABLES["dropoff_qc"].columns))


def put_seller(file: Path, seller_id: str) -> None:
    """Rename a warehouse with this one seller into place."""
    with new_warehouse(file, overwrite=True) as connection:
        connection.execute("INSERT INTO raw.sellers BY NAME SELECT $1 AS seller_id", [seller_id])


def test_all_models_of_a_slot_read_one_state_of_a_warehouse_that_is_renamed_into_place(
    tmp_path: Path,
) -> None:
    file = tmp_path / "orders.duckdb"
    put_seller(file, "S1")
    engine = DuckDBEngine(Warehouse(file), tmp_path / "slot", LAGOS, {})
    sellers = model(tmp_path, "metrics.m", "SELECT seller_id FROM raw.sellers")
    assert made(engine, sellers) == [("S1",)]
    put_seller(file, "S2")
    assert made(engine, sellers) == [("S1",)]
    # A step with a folder of its own, as claims have one, is of the same slot.
    assert made(replace(engine, folder=tmp_path / "aside"), sellers) == [("S1",)]
    assert made(replace(engine, warehouse=Warehouse(file)), sellers) == [("S2",)]


def test_a_loader_may_write_while_no_model_is_run_and_the_next_model_stops(tmp_path: Path) -> None:
    file = tmp_path / "orders.duckdb"
    put_seller(file, "S1")
    engine = DuckDBEngine(Warehouse(file), tmp_path / "slot", LAGOS, {})
    sellers = model(tmp_path, "metrics.m", "SELECT seller_id FROM raw.sellers")
    assert made(engine, sellers) == [("S1",)]
    with duckdb.connect(str(file)) as loader:
        loader.execute("UPDATE raw.sellers SET seller_id = 'S2'")
    with pytest.raises(WarehouseError, match="was changed while it was read; run the same again"):
        engine.materialize(sellers, {})
    assert engine.read("metrics.m").rows() == [("S1",)]
    assert made(replace(engine, warehouse=Warehouse(file)), sellers) == [("S2",)]


@pytest.mark.parametrize(("home", "neighbour"), [("h?", "h1"), ("cycle=x", "x"), ("a [1]", "a 1")])
def test_the_lake_of_another_home_is_never_read(
    tmp_path: Path, warehouse: Warehouse, home: str, neighbour: str
) -> None:
    made_of = {
        name: DuckDBEngine(warehouse, tmp_path / name, LAGOS, {}) for name in (home, neighbour)
    }
    for name, engine in made_of.items():
        sql = f"SELECT '{name}' AS home, 'stored' AS cycle FROM raw.sellers LIMIT 1"
        engine.materialize(model(tmp_path, "metrics.m", sql), {})
    downstream = model(tmp_path, "decisions.d", "SELECT home, cycle FROM metrics.m")
    assert made(made_of[home], downstream) == [(home, "stored")]
    assert made_of[home].scan("metrics.m").collect().rows() == [(home, "stored")]


@pytest.mark.parametrize(
    ("grain", "rows", "first"),
    [
        pytest.param("id", "(1, 'a'), (2, 'b'), (1, 'c')", "1", id="a repeated key"),
        pytest.param("id", "(1, 'a'), (NULL, 'b')", "None", id="a key that is null"),
        pytest.param("id, kind?", "(1, NULL), (1, NULL)", "1, None", id="twice without a kind"),
        pytest.param("one row", "(1, 'a'), (2, 'b')", "2", id="two rows instead of one"),
    ],
)
def test_rows_that_are_not_what_a_row_is_leave_no_partition(
    tmp_path: Path, engine: DuckDBEngine, grain: str, rows: str, first: str
) -> None:
    broken = model(tmp_path, "events.rows", f"SELECT * FROM (VALUES {rows}) AS r (id, kind)", grain)
    with pytest.raises(
        BrokenGrain, match=rf"^events\.rows has rows that break its grain .*, such as {first}:"
    ):
        engine.materialize(broken, {})
    assert not engine.partition("events.rows").exists()


@pytest.mark.parametrize(
    ("grain", "rows"),
    [
        ("id", "(1, 'a'), (2, 'a')"),
        ("id, kind", "(1, 'a'), (1, 'b')"),
        ("id, kind?", "(1, 'a'), (1, NULL)"),
        ("one row", "(1, 'a')"),
        ("every stored row", "(1, 'a'), (1, 'a'), (NULL, NULL)"),
    ],
)
def test_rows_that_keep_to_their_grain_are_kept(
    tmp_path: Path, engine: DuckDBEngine, grain: str, rows: str
) -> None:
    sound = model(tmp_path, "events.rows", f"SELECT * FROM (VALUES {rows}) AS r (id, kind)", grain)
    assert len(made(engine, sound)) == rows.count("(")
