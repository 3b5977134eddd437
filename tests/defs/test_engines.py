"""An asset of the weekly alert names the engine that made its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
import duckdb
import pytest
from defs.factory import Factory
from engine.sail import sail

CHARGES = "decisions/out_of_stock_charges"


@pytest.fixture(params=["DuckDB", "Spark Connect"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How an engine's name begins, while that engine runs the weekly models."""
    if request.param == "DuckDB":
        yield f"DuckDB {duckdb.__version__}"
        return
    pytest.importorskip("pysail", reason="the extra `test` brings Sail")
    with sail() as url:
        monkeypatch.setenv("VIBES_ENGINE", url)
        yield f"Spark Connect 4.2.0 at {url.removeprefix('sc://')}, server "


def shown(factory: Factory, asset: str) -> Mapping[str, object]:
    """The metadata of an asset in the newest run."""
    (event,) = [
        entry.dagster_event
        for entry in factory.log()
        if entry.dagster_event
        and entry.dagster_event.is_step_materialization
        and entry.dagster_event.asset_key == dg.AssetKey(asset.split("/"))
    ]
    metadata = event.step_materialization_data.materialization.metadata
    return {name: value.value for name, value in metadata.items()}


def test_an_asset_names_the_engine_that_made_its_rows(factory: Factory, engine: str) -> None:
    factory.alert()
    assert str(shown(factory, CHARGES)["computed_by"]).startswith(engine)
    assert "computed_by" not in shown(factory, "ledger/frozen_cycle")
    # A frozen cycle's rows are those of before: no engine makes them again.
    factory.alert()
    assert "computed_by" not in shown(factory, CHARGES)
