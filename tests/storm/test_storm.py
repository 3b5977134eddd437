"""A small part of the storm; all of it: `cd tests && python -m storm --seeds 1000`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from storm.course import Place
from storm.run import Storms, Verdict

MIGRATED = "migrated"  # the template of `tests/conftest.py`
SEEDS = range(1, 9)


@pytest.fixture(scope="module")
def storms(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storms]:
    place = Place(administration, Path(tmp_path_factory.mktemp("storms")), MIGRATED)
    yield Storms(place)
    place.clear()


@pytest.fixture(scope="module")
def verdicts(storms: Storms) -> dict[int, Verdict]:
    return {verdict.number: verdict for verdict in storms.verdicts(SEEDS)}


def test_without_a_storm_every_rule_fires(storms: Storms) -> None:
    final = storms.undisturbed.actions[max(storms.undisturbed.actions)]
    assert {rule for _, rule, *_ in final} == {
        "order_regulation",
        "out_of_stock_charge",
        "late_fulfilment_charge",
        "returns_charge",
        "dropoff_qc_charge",
        "counterfeit_charge",
        "sales_regulation",
        "product_delisting",
        "account_delisting",
        "late_pending_cancellation",
        "late_ready_to_ship_cancellation",
    }
    assert {state for *_, state in final} >= {"implemented", "reversed", "withdrawn"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_stops_nobody_else_and_is_healed_by_the_next_good_load(
    verdicts: dict[int, Verdict], seed: int
) -> None:
    verdict = verdicts[seed]
    assert not verdict.faults, "\n".join([*verdict.told, *map(str, verdict.faults)])
