"""Names and addresses are those that the warehouse has now, whether or not it was read before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest
from rules.marketplace import NIGERIA

from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.errors import WarehouseError
from vibes_pipeline.notices import directory
from vibes_pipeline.notices.directory import read_directory
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.file import new_warehouse

FORMS = ["DuckDB file", "Parquet folder"]


def load(place: Path, addresses: Mapping[str, str]) -> None:
    """Put a warehouse with these sellers into place."""
    file = place if place.suffix else place.with_suffix(".made")
    with new_warehouse(file, overwrite=True) as connection:
        for seller_id, email in addresses.items():
            connection.execute(
                "INSERT INTO raw.sellers VALUES ($1, 'Loom', $2, 'NG', false, NULL)",
                [seller_id, email],
            )
        if not place.suffix:
            place.mkdir(exist_ok=True)
            for table in ("sellers", "products", "order_items"):
                connection.table(f"raw.{table}").write_parquet(str(place / f"{table}.parquet"))


def settings(folder: Path, form: str) -> Settings:
    name = "warehouse.duckdb" if form == "DuckDB file" else "warehouse"
    return Settings.from_environment(
        {"VIBES_HOME": str(folder / "home"), "VIBES_WAREHOUSE": str(folder / name)}
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which models were run."""
    told: list[str] = []
    run = ScratchEngine.materialize
    monkeypatch.setattr(
        ScratchEngine,
        "materialize",
        lambda self, model, given: (told.append(model.name), run(self, model, given))[1],
    )
    return told


@pytest.mark.parametrize("form", FORMS)
def test_a_warehouse_is_read_again_once_it_was_loaded(
    tmp_path: Path, form: str, runs: list[str]
) -> None:
    given = settings(tmp_path, form)
    load(given.warehouse, {"S-1": "one@shop.example"})
    assert read_directory(NIGERIA, given).addresses == {"S-1": "one@shop.example"}
    once = len(runs)
    assert read_directory(NIGERIA, given).addresses == {"S-1": "one@shop.example"}
    assert len(runs) == once
    load(given.warehouse, {"S-1": "new@shop.example"})
    assert read_directory(NIGERIA, given).addresses == {"S-1": "new@shop.example"}


def test_an_address_that_is_mended_in_the_file_itself_is_read(tmp_path: Path) -> None:
    given = settings(tmp_path, "DuckDB file")
    load(given.warehouse, {"S-1": "one@shop.example"})
    read_directory(NIGERIA, given)
    with duckdb.connect(str(given.warehouse)) as connection:
        connection.execute("UPDATE raw.sellers SET email = 'two@shop.example'")
    assert read_directory(NIGERIA, given).addresses == {"S-1": "two@shop.example"}


def test_a_load_that_was_cut_short_is_not_passed_over(tmp_path: Path) -> None:
    given = settings(tmp_path, "DuckDB file")
    load(given.warehouse, {"S-1": "one@shop.example"})
    read_directory(NIGERIA, given)
    given.warehouse.with_name("warehouse.duckdb.wal").write_bytes(b"half a load")
    with pytest.raises(WarehouseError, match="lies beside the warehouse"):
        read_directory(NIGERIA, given)


def test_a_directory_of_many_products_is_not_kept(
    tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_KEPT", -1)
    given = settings(tmp_path, "DuckDB file")
    load(given.warehouse, {"S-1": "one@shop.example"})
    read_directory(NIGERIA, given)
    once = len(runs)
    read_directory(NIGERIA, given)
    assert len(runs) == 2 * once
