"""A slot in Dagster reads one state of the warehouse, from its claims step to its last (§2)."""

from pathlib import Path

import dagster as dg
import pytest
from defs.factory import Factory
from warehouse.parts import ids

from vibes_pipeline.calendar import Slot
from vibes_pipeline.definitions import location
from vibes_pipeline.defs.claims import assets as claims
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP
from vibes_pipeline.warehouse.file import new_warehouse

DAY = "2026-11-18"


def put_seller(file: Path, seller_id: str) -> None:
    """Rename a warehouse with this one seller into place."""
    with new_warehouse(file, overwrite=True) as connection:
        connection.execute("INSERT INTO raw.sellers BY NAME SELECT $1 AS seller_id", [seller_id])


def test_a_file_renamed_into_place_after_the_claims_step_is_read_by_the_next_run(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = factory.folder / "orders.duckdb"
    monkeypatch.setenv("VIBES_WAREHOUSE", str(file))
    loaded, read = iter(["new", "newer"]), []
    put_seller(file, "old")

    @dg.asset(deps=[CLAIMS_STEP])
    def load() -> None:
        put_seller(file, next(loaded))

    @dg.asset(deps=[load], partitions_def=location.daily)
    def last_step(context: dg.AssetExecutionContext, vibes: Vibes) -> None:
        read.append(ids(vibes.slot_run(Slot.LATE_ALERT, context).engine.warehouse))

    for _ in range(2):
        assert dg.materialize(
            [*claims.assets(location)[:1], load, last_step],
            instance=factory.instance,
            partition_key=DAY,
            resources={"vibes": Vibes(at=f"{DAY}T07:00")},
        ).success
    assert read == [["old"], ["new"]]
