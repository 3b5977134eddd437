"""An asset of the weekly alert names the engine that made its rows."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pytest
from defs.factory import Factory
from engine.sail import sail

CHARGES = "decisions/out_of_stock_charges"


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


def test_an_asset_names_the_engine_that_made_its_rows(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of DuckDB stands in `test_run_outcome`."""
    pytest.importorskip("pysail", reason="the extra `test` brings Sail")
    with sail() as url:
        monkeypatch.setenv("VIBES_ENGINE", url)
        factory.alert()
        place = url.removeprefix("sc://")
        named = f"Spark Connect 4.2.0 at {place}, server "
        assert str(shown(factory, CHARGES)["computed_by"]).startswith(named)
        assert "computed_by" not in shown(factory, "ledger/frozen_cycle")
        # A frozen cycle's rows are those of before: no engine makes them again.
        factory.alert()
        assert "computed_by" not in shown(factory, CHARGES)
