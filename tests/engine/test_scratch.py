"""Engines that leave no file: what all over one warehouse share, and what stays each one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from vibes_pipeline.engine.models import Model, closure, load_models
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.warehouse.contract import BOUNDS
from vibes_pipeline.warehouse.file import new_warehouse
from vibes_pipeline.warehouse.source import Warehouse

BAD, GOOD = "warehouse.bad_products", "warehouse.products"
ASKED_PRODUCTS = "warehouse.asked_products"
LAGOS, NAIROBI = ZoneInfo("Africa/Lagos"), ZoneInfo("Africa/Nairobi")
POLICY = {"product_types": pl.DataFrame({"product_type": ["GM"]})}
FASHION = {"product_types": pl.DataFrame({"product_type": ["Fashion"]})}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A seller and a product in each of two countries; the Nigerian one is of type GM."""
    with new_warehouse(tmp_path / "orders.duckdb") as connection:
        for number, country in enumerate(("NG", "KE")):
            names = {"seller": f"S-{number}", "sku": f"P-{number}", "country": country}
            connection.execute(
                "INSERT INTO raw.sellers BY NAME SELECT $seller AS seller_id, $country AS country",
                {name: names[name] for name in ("seller", "country")},
            )
            connection.execute(
                "INSERT INTO raw.products BY NAME "
                "SELECT $sku AS sku, $seller AS seller_id, 'GM' AS product_type",
                {name: names[name] for name in ("seller", "sku")},
            )
    return Warehouse(tmp_path / "orders.duckdb")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shared relations that engines have made, each time that one was."""
    relations: list[str] = []
    make = ScratchEngine._make

    def noted(engine: ScratchEngine, table: str, model: Model, parameters: Parameters) -> None:
        relations.append(model.relation)
        make(engine, table, model, parameters)

    monkeypatch.setattr(ScratchEngine, "_make", noted)
    return relations


def engine_over(
    warehouse: Warehouse, policy: Mapping[str, pl.DataFrame] = POLICY, zone: ZoneInfo = LAGOS
) -> ScratchEngine:
    return ScratchEngine(warehouse, Path("no such folder"), zone, policy)


def products(engine: ScratchEngine, country: str = "NG") -> tuple[list[str], list[str]]:
    """The SKUs of the country that are bad, and those that are good."""
    for model in closure([BAD, GOOD], made=engine.stand_ins):
        if model.relation not in engine._mounted:
            engine.materialize(model, {"country": country, **BOUNDS})
    return engine.read(BAD)["row_id"].to_list(), engine.read(GOOD)["sku"].to_list()


def test_what_follows_from_the_warehouse_alone_is_made_once_for_all(
    warehouse: Warehouse, made: list[str]
) -> None:
    once = [model.relation for model in closure([BAD, GOOD])]
    for _ in range(2):
        assert products(engine_over(warehouse)) == ([], ["P-0"])
    assert made == once
    assert products(engine_over(Warehouse(warehouse.path))) == ([], ["P-0"])
    assert made == 2 * once, "another object may read another state of the warehouse"


def test_who_goes_by_another_country_policy_or_zone_has_its_own(
    warehouse: Warehouse, made: list[str]
) -> None:
    assert products(engine_over(warehouse)) == ([], ["P-0"])
    assert products(engine_over(warehouse), "KE") == ([], ["P-1"])
    made.clear()
    assert products(engine_over(warehouse, FASHION)) == (["P-0"], [])
    assert made == [BAD, GOOD], "of the policy these two alone know"
    made.clear()
    products(engine_over(warehouse, zone=NAIROBI))
    assert len(made) == len(closure([BAD, GOOD])), "an instant as text is in local time"
    assert products(engine_over(warehouse)) == ([], ["P-0"])


def test_what_rests_on_rows_of_a_session_s_own_stays_in_the_session(
    warehouse: Warehouse, made: list[str]
) -> None:
    assert products(engine_over(warehouse)) == ([], ["P-0"])
    made.clear()
    own = engine_over(warehouse)
    own.write("warehouse.sellers", pl.DataFrame(schema={"seller_id": pl.String}))
    assert products(own) == (["P-0"], [])
    assert BAD not in made
    assert products(engine_over(warehouse)) == ([], ["P-0"])


def test_a_stand_in_is_read_in_a_relation_s_place(warehouse: Warehouse, made: list[str]) -> None:
    stand_ins = {"warehouse.stored_products": ASKED_PRODUCTS}
    for asked in (["P-0"], ["P-1"]):
        engine = ScratchEngine(warehouse, Path("no such folder"), LAGOS, POLICY, stand_ins)
        engine.write("warehouse.asked_order_items", pl.DataFrame({"sku": asked}))
        about = {"item": "I-1", "seller": None, "product": None, "of_charges": False}
        engine.materialize(load_models()[ASKED_PRODUCTS], about)
        assert products(engine) == ([], [sku for sku in asked if sku == "P-0"])
        assert not {BAD, GOOD} & {*made}, "rows of a few products are not those of all"
