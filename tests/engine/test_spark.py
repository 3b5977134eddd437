"""The same SQL over Spark Connect: every relation is equal row for row, on DuckDB and on Sail."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from busy_market import busy_market, of_clock_changes
from cli import troubles
from ledger import made
from rules.marketplace import NIGERIA, WEEK, Marketplace
from sail import sail
from served import cloned
from slots_direct import DirectSlots

from vibes_pipeline import spark_connect
from vibes_pipeline.calendar import Slot
from vibes_pipeline.engine import spark, spark_sql
from vibes_pipeline.engine.choice import engine_of
from vibes_pipeline.engine.models import closure, load_models
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.engine.spark import SparkEngine
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import EngineError, WarehouseError
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.schema import cycles
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import SlotRun

pytest.importorskip("pysail", reason="the extra `test` brings Sail")

CLOCKS_GO_BACK = "2026-10-26"
LONG_AGO = date(2016, 1, 4)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with sail() as url:
        yield url


# --- one market on two engines --------------------------------------------------------------------


@dataclass(frozen=True)
class Both:
    """A weekly alert to compute twice: on DuckDB, and on a server into a lake of its own."""

    run: SlotRun
    theirs: SparkEngine

    @classmethod
    def begin(cls, market: Marketplace, folder: Path, url: str) -> Both:
        run = market.begin(folder)
        ours = run.engine
        theirs = SparkEngine(ours.warehouse, folder / "theirs", ours.time_zone, ours.policy, url)
        shutil.copytree(ours.folder / "ledger", theirs.folder / "ledger")
        return cls(run, theirs)

    def write(self, relation: str, rows: pl.DataFrame) -> None:
        for engine in (self.run.engine, self.theirs):
            engine.write(relation, rows)

    def compute(self, relations: list[str], **more: Any) -> dict[str, str]:
        """Run the relations and all they rest on; what differs, by relation."""
        given = {**self.run.parameters(first_cycle=LONG_AGO), **more}
        models = [m for m in closure(relations) if not m.is_ephemeral]
        for engine in (self.run.engine, self.theirs):
            for model in models:
                engine.materialize(model, given)
        found = {m.relation: self._difference(m.relation) for m in models}
        return {relation: text for relation, text in found.items() if text}

    def _difference(self, relation: str) -> str:
        ours, theirs = (told(engine, relation) for engine in (self.run.engine, self.theirs))
        if ours.schema != theirs.schema:
            return f"{ours.schema} is not {theirs.schema}"
        only_ours, only_theirs = without(ours, theirs), without(theirs, ours)
        if only_ours.is_empty() and only_theirs.is_empty() and ours.height == theirs.height:
            return ""
        return f"{ours.height} and {theirs.height} rows: {only_ours.head(3)} {only_theirs.head(3)}"


def told(engine: Engine, relation: str) -> pl.DataFrame:
    """A relation's rows; what is put into words for people without its instants' spelling."""
    rows = engine.read(relation)
    if "stored_row" in rows.columns:
        plain = pl.col("stored_row").map_elements(without_instants, pl.String)
        rows = rows.with_columns(plain)
    return rows.drop("written", strict=False)


def without_instants(stored_row: str) -> str:
    row = json.loads(stored_row).items()
    kept = {k: "at" if k.endswith("_at") else v for k, v in row if v is not None}
    return json.dumps(kept, sort_keys=True)


def without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=rows.columns, how="anti", nulls_equal=True)


WEEKLY = [model.relation for model in weekly_models()]


@pytest.fixture(scope="module")
def lagos(server: str, tmp_path_factory: pytest.TempPathFactory) -> Both:
    market = busy_market(NIGERIA, WEEK)
    _claims(market)
    return Both.begin(market, tmp_path_factory.mktemp("lagos"), server)


def test_every_relation_of_the_weekly_alert_is_equal(lagos: Both) -> None:
    assert lagos.compute(WEEKLY) == {}
    heights = {relation: lagos.theirs.read(relation).height for relation in WEEKLY}
    assert [relation for relation, height in heights.items() if not height] == []


def test_every_relation_is_equal_over_two_workers(tmp_path: Path) -> None:
    with sail(workers=2) as url:
        both = Both.begin(busy_market(NIGERIA, WEEK), tmp_path, url)
        assert both.compute(WEEKLY) == {}


def test_every_relation_is_equal_where_clocks_change(server: str, tmp_path: Path) -> None:
    market = busy_market(of_clock_changes(tmp_path), CLOCKS_GO_BACK)
    assert Both.begin(market, tmp_path, server).compute(WEEKLY) == {}


def test_empty_results_are_equal_down_to_their_columns(server: str, tmp_path: Path) -> None:
    market = Marketplace()
    market.item()
    both = Both.begin(market, tmp_path, server)
    assert both.compute(WEEKLY) == {}
    assert both.theirs.read("decisions.returns_charges").is_empty()


def test_every_other_model_runs_too_and_is_equal_but_for_hashes_of_json(lagos: Both) -> None:
    """They run on DuckDB alone; that others could run them keeps the SQL portable."""
    for relation, rows in OTHER_HISTORY.items():
        lagos.write(f"ledger.{relation}", rows)
    # Sail divides by zero where NULLIF has made the divisor null.
    refused = {"answers.standings"}
    others = [m for m in load_models() if m not in WEEKLY and m not in refused]
    assert not load_models()["claims.stated_claims"].is_ephemeral
    differing = lagos.compute(
        others,
        day=lagos.run.period + timedelta(days=3),
        since=lagos.run.week.start,
        cancels_at=lagos.run.week.end,
        first_late_day=LONG_AGO,
        item="new 5",
        seller="S-1",
        product="SKU-1",
        of_charges=False,
    )
    hashed = {"claims.stated_claims", "claims.raised_claims", "claims.unsettled_claims"}
    assert set(differing) <= hashed | {"claims.undecipherable", "claims.decided_claims"}, differing


# --- a wrong transpilation ------------------------------------------------------------------------


def respelled(old: str, new: str) -> Callable[..., str]:
    return lambda *given: spark_sql.spark_sql(*given).replace(old, new)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        pytest.param("spark_sql", respelled(" >= ", " > "), id="a bound left out"),
        pytest.param("spark_sql", respelled("LEAST(", "GREATEST("), id="another function"),
        pytest.param(
            "selected", lambda columns, _: list(columns), id="instants mounted as they are stored"
        ),
    ],
)
def test_a_wrong_transpilation_is_found(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any
) -> None:
    monkeypatch.setattr(spark, name, wrong)
    both = Both.begin(busy_market(NIGERIA, WEEK), tmp_path, server)
    assert both.compute(["events.out_of_stock_cancellations", "events.late_fulfilments"])


# --- whole slots ----------------------------------------------------------------------------------


def test_a_weekly_alert_freezes_the_same_proposal(
    server: str, tmp_path: Path, administration: sa.Engine
) -> None:
    raw = troubles.market().write(tmp_path / "raw")
    hashes, homes = [], {"duckdb": tmp_path / "ours", server: tmp_path / "theirs"}
    for engine, home in homes.items():
        settings = Settings.from_environment(
            {"VIBES_HOME": str(home), "VIBES_WAREHOUSE": str(raw), "VIBES_ENGINE": engine}
        )
        with cloned(administration) as url:
            ledger = Ledger(database.connect(url), "NG")
            slots = DirectSlots(ledger, settings, NIGERIA)
            slots.run(Slot.WEEKLY_ALERT, made.CYCLE, made.local("2026-11-18 07:00"))
            with ledger.reading() as connection:
                hashes += connection.execute(sa.select(cycles.c.proposal_hash)).scalars()
            ledger.close()
    assert len(hashes) == 2
    assert hashes[0] == hashes[1]
    parts = homes[server] / "lake/NG/weekly-alert/2026-11-09/decisions/returns_charges.parquet"
    assert parts.is_dir()
    left = [file for file in homes[server].rglob("*.tmp") if file.is_dir()]
    assert left == []


def test_only_the_weekly_alert_runs_on_a_server(tmp_path: Path) -> None:
    run = Marketplace().begin(tmp_path)
    settings = replace(run.settings, engine="sc://127.0.0.1:1")
    over = (settings, run.engine.warehouse, tmp_path, run.engine.time_zone, run.engine.policy)
    on_a_server = [s for s in Slot if isinstance(engine_of(s, *over), SparkEngine)]
    assert on_a_server == [Slot.WEEKLY_ALERT]


# --- what cannot be used --------------------------------------------------------------------------


def unfit(engine: Engine) -> str:
    with pytest.raises((EngineError, WarehouseError)) as refused:
        engine.materialize(load_models()["events.charged_weeks"], PARAMETERS)
    assert "\n" not in str(refused.value)
    return str(refused.value)


PARAMETERS: Mapping[str, Any] = {"cycle": date(2026, 11, 9), "first_cycle": date(2026, 11, 9)}


@pytest.fixture
def engine(tmp_path: Path, server: str) -> SparkEngine:
    ours = Marketplace().begin(tmp_path).engine
    return SparkEngine(ours.warehouse, ours.folder, ours.time_zone, ours.policy, server)


def test_a_server_that_cannot_be_reached_is_one_line_without_the_token(engine: SparkEngine) -> None:
    said = unfit(replace(engine, url="sc://127.0.0.1:1/;token=secret"))
    assert said == (
        "nothing answers at 127.0.0.1:1, which VIBES_ENGINE names (Connection refused); start the "
        f"server, {spark_connect.OR_ELSE}"
    )


def test_a_server_of_another_kind_is_one_line(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vibes_pipeline.spark_connect.RETRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def refuse() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        said = unfit(replace(engine, url=f"sc://127.0.0.1:{port}"))
        # Closing alone does not wake who waits in `accept`; a thread left over would hold DuckDB's
        # objects past the end of the process, which are then listed as leaked.
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert said.startswith(f"the Spark Connect server at 127.0.0.1:{port} ")
    assert said.endswith(
        "look into its log, or, if the warehouse is a folder, set VIBES_ENGINE=duckdb"
    )


def test_a_folder_that_the_server_cannot_write_into_is_one_line(
    engine: SparkEngine, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.touch()
    with pytest.raises(EngineError, match=r"cannot write into .*a file.*VIBES_ENGINE=duckdb$"):
        spark_connect.require_shared(engine._session, file / "one.parquet", engine.url)


def test_rows_that_the_server_left_elsewhere_are_not_taken_for_none(
    engine: SparkEngine, tmp_path: Path
) -> None:
    rows = engine._session.sql("SELECT 1 AS one")
    with pytest.raises(EngineError, match=r"is not there on this machine: mount VIBES_HOME"):
        spark_connect.require_empty(rows, tmp_path / "elsewhere", engine.url)


def test_what_a_server_quotes_of_a_query_does_not_tell_the_key(
    engine: SparkEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    key = "c0ffee" * 10
    refused = "could not run metrics.m"
    with (
        pytest.raises(EngineError, match=refused) as told,
        spark_connect.told(engine.url, refused, key),
    ):
        engine._session.sql(f"SELECT `{key}` FROM nowhere").toArrow()
    assert key not in str(told.value) + capfd.readouterr().err
    assert told.value.__cause__ is None


def test_who_lets_go_of_a_session_does_not_wait_for_its_end(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It may be the server's own thread, in which Python collects garbage.
    is_let_go, is_closed = threading.Event(), threading.Event()

    def close(_: object) -> None:
        if is_let_go.wait(timeout=5):
            is_closed.set()

    monkeypatch.setattr(spark_connect, "close", close)
    owner = replace(engine)
    assert owner._session
    del owner
    is_let_go.set()
    assert is_closed.wait(timeout=5)


def test_a_view_reads_what_was_written_last(engine: SparkEngine) -> None:
    excuses = load_models()["events.charged_weeks"]
    late = engine.policy["late_data"]
    for days in (28, 7):
        changed = late.with_columns(pl.lit(days, late.schema["late_arrival_days"]).alias("n"))
        engine.write("ledger.charges", changed)
        counted = replace(
            excuses,
            sql="SELECT n FROM ledger.charges",
            depends_on=("ledger.charges",),
            parameters=frozenset(),
        )
        assert engine.evaluate(counted, {})["n"].unique().to_list() == [days]


def test_a_warehouse_that_only_duckdb_reads_is_one_line(
    engine: SparkEngine, tmp_path: Path
) -> None:
    file = tmp_path / "orders.duckdb"
    file.touch()
    said = unfit(replace(engine, warehouse=replace(engine.warehouse, path=file)))
    assert "is a DuckDB file, which no other engine reads" in said


@pytest.mark.parametrize("name", ["h?", "a [1]", "{a,b}"])
def test_a_folder_whose_name_is_a_pattern_is_refused(engine: SparkEngine, name: str) -> None:
    engine = replace(engine, folder=engine.folder.parent / name)
    engine.write("ledger.open_charges", pl.DataFrame({"a": [1]}))
    assert "has a character that Spark takes for a pattern" in unfit(engine)


# --- what claims and late orders read -------------------------------------------------------------

OTHER_HISTORY = {
    "charges": pl.DataFrame(
        {
            "rule": ["returns_charge"],
            "order_item_id": ["new 5"],
            "amount": [Decimal("1500.00")],
            "is_standing": [True],
            "reference": ["NG-AAAAAAAA"],
            "cycle": [date(2026, 11, 2)],
        },
        schema_overrides={"amount": pl.Decimal(14, 2)},
    ),
    "cycle_actions": pl.DataFrame(
        {
            "rule": ["order_regulation", "sales_regulation"],
            "seller_id": ["S-1", "S-1"],
            "sku": [None, "SKU-1"],
            "reference": ["NG-BBBBBBBB", "NG-CCCCCCCC"],
        }
    ),
    "claim_states": pl.DataFrame(
        {
            "claim_id": ["CL-2"],
            "seller_id": ["S-2"],
            "state": ["accepted"],
            "is_upheld": [False],
            "is_rejected": [False],
        }
    ),
    "claim_intakes": pl.DataFrame({"claim_id": ["CL-2"], "content_hash": ["another"]}),
    "recorded_claim_decisions": pl.DataFrame(
        {
            "claim_id": ["CL-2", "CL-3"],
            "seller_id": ["S-2", "S-1"],
            "decision": ["rejected", "upheld"],
            "decided_at": [datetime(2026, 11, 10, 9, tzinfo=UTC)] * 2,
        }
    ),
    "open_late_cancellations": pl.DataFrame(
        {
            "action_id": ["A-9"],
            "rule": ["late_pending_cancellation"],
            "seller_id": ["S-1"],
            "order_item_id": ["new 5"],
            "entered_state": ["pending"],
            "entered_at": ["2026-11-09T12:00:00+01:00"],
        }
    ),
    "late_cancellations": pl.DataFrame(
        {
            "action_id": ["A-9"],
            "rule": ["late_pending_cancellation"],
            "seller_id": ["S-1"],
            "order_item_id": ["new 5"],
            "is_open": [True],
            "is_implemented": [False],
        }
    ),
}


def _claims(market: Marketplace) -> None:
    texts = ("plain", 'it\'s \\ "quoted"', "two\nlines\t\x01", "₦😀", "  ", None)
    for number, text in enumerate(texts):
        stated = {"claim_id": f"CL-{number}", "comment": text, "shop_name": text}
        decided = {"decision": " Upheld\n", "decided_at": "Tue 10:00"} if number % 2 else {}
        market.add(
            "claims",
            f"CL-{number}",
            {
                **stated,
                **decided,
                "category": "vibes_action",
                "seller_id": f"S-{1 + number % 3}",
                "order_number": "O1",
                "amount": "12.50",
                "attachments": ["a.pdf", text],
                "raised_at": "Mon 00:00:00",
            },
        )
