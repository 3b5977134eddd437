"""Rulebook §13: the share of bad rows among the observed week's, and the limit that stops the alert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from marketplace import Case, Item, Marketplace

from vibes_pipeline.engine.models import closure
from vibes_pipeline.errors import TooManyBadRows
from vibes_pipeline.slots import weekly

SHARE = "warehouse.bad_row_share"
GOOD, BAD = "0.00", "-1.00"
BEFORE, AFTER = "Sun-1 23:59:59.999999", "Mon+1 00:00"


def rows(count: int, commission: str = GOOD, **columns: Any) -> Callable[[Marketplace], None]:
    return lambda marketplace: marketplace.items(count, {"commission": commission, **columns})


def foreign(marketplace: Marketplace) -> None:
    seller = marketplace.seller(country="KE")
    marketplace.items(5, Item(seller_id=seller, commission=BAD))


# Expected: (rows of the week, bad ones among them).
SHARES = [
    Case("an empty week", [], (0, 0)),
    Case("good and bad", [rows(3), rows(2, BAD)], (5, 2)),
    Case(
        "rows of other weeks", [rows(2, BAD, pending_at=BEFORE), rows(1, pending_at=AFTER)], (0, 0)
    ),
    Case("rows of other countries", [rows(1), foreign], (1, 0)),
    Case("on Monday 00:00", [rows(1, BAD, pending_at="Mon 00:00")], (1, 1)),
    Case("in Sunday's last microsecond", [rows(1, BAD, pending_at="Sun 23:59:59.999999")], (1, 1)),
    Case(
        "ready in the week", [rows(1, BAD, pending_at=BEFORE, ready_to_ship_at="Tue 10:00")], (1, 1)
    ),
    Case("shipped in it", [rows(1, BAD, pending_at=BEFORE, shipped_at="Tue 10:00")], (1, 1)),
    Case("delivered in it", [rows(1, BAD, pending_at=BEFORE, delivered_at="Tue 10:00")], (1, 1)),
    Case("rejected in it", [rows(1, BAD, pending_at=BEFORE, rejected_at="Tue 10:00")], (1, 1)),
    Case(
        "cancelled in it, without reason",
        [rows(1, pending_at=BEFORE, cancelled_at="Tue 10:00")],
        (1, 1),
    ),
    Case(
        "returned in it, without reason",
        [rows(1, pending_at=BEFORE, returned_at="Tue 10:00")],
        (1, 1),
    ),
    Case(
        "pending unknown, shipped in it", [rows(1, pending_at=None, shipped_at="Tue 10:00")], (1, 1)
    ),
    Case("no time at all", [rows(1, pending_at=None)], (0, 0)),
    Case(
        "several times in the week are one row",
        [rows(1, BAD, shipped_at="Tue 10:00", delivered_at="Wed 10:00")],
        (1, 1),
    ),
    Case("every copy of a repeated row", [rows(2, order_item_id="same")], (2, 2)),
]


@pytest.mark.parametrize(
    ("given", "expected"), [pytest.param(c.given, c.expected, id=c.sentence) for c in SHARES]
)
def test_the_share_is_of_the_weeks_rows(
    tmp_path: Path,
    given: list[Callable[[Marketplace], None]],
    expected: tuple[int, int],
) -> None:
    marketplace = Marketplace()
    for add in given:
        add(marketplace)
    row = marketplace.decide(tmp_path, SHARE).row(SHARE)
    assert row == {"rows_in_week": expected[0], "bad_rows_in_week": expected[1]}


@pytest.mark.parametrize(
    ("good", "bad", "is_stopped", "reason"),
    [
        (99, 1, False, "exactly 1% is not more than 1%"),
        (98, 1, True, "1 of 99 is"),
        (0, 0, False, "a week without rows has no bad ones"),
    ],
)
def test_more_than_the_limit_of_bad_rows_stops_the_alert(
    tmp_path: Path, good: int, bad: int, is_stopped: bool, reason: str
) -> None:
    marketplace = Marketplace()
    marketplace.items(good, Item())
    marketplace.items(bad, Item(commission=BAD))
    run = marketplace.begin(tmp_path)
    for model in closure([SHARE]):
        run.engine.materialize(model, run.parameters())
    if not is_stopped:
        weekly.require_few_bad_rows(run)
        assert weekly.bad_row_share(run) == (good + bad, bad), reason
    else:
        with pytest.raises(
            TooManyBadRows, match="1 of the 99 order items of the week of 2026-11-09"
        ):
            weekly.require_few_bad_rows(run)
