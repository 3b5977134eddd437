"""The smallest numbers of a standing, against counting up one by one (Rulebook §15)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import courses
from rules.marketplace import Marketplace

from vibes_pipeline.engine.models import load_models
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.slots.standings import STANDINGS

# Further than the counts and rates below need.
FAR = 1_000
MODELS = ("metrics.seller_bands", STANDINGS)


class Record(NamedTuple):
    cancelled: int
    shipped: int


class Edge(NamedTuple):
    """Where two bands meet, in ten thousandths of a percent; which of them holds the rate itself."""

    rate: int
    is_below: bool


@dataclass(frozen=True)
class Bands:
    """Bands that meet at these edges, and which of them limit orders."""

    edges: Sequence[Edge]
    is_limited: Sequence[bool]

    def of(self, record: Record) -> int:
        """The band of a record, by trying each edge; without a rate the first without a limit."""
        items = record.cancelled + record.shipped
        if items == 0:
            return self.is_limited.index(False)
        rate = 1_000_000 * record.cancelled
        return sum(
            rate > e.rate * items or (rate == e.rate * items and not e.is_below) for e in self.edges
        )

    def rows(self, like: pl.DataFrame) -> pl.DataFrame:
        """The bands as the policy's relation has them."""
        lower, upper = [Edge(0, False), *self.edges], [*self.edges, None]
        rows = [
            {
                **like.row(0, named=True),
                "band": number,
                "from_pct": Decimal(below.rate) / 10_000,
                "includes_from": not below.is_below,
                "to_pct": None if above is None else Decimal(above.rate) / 10_000,
                "includes_to": above is not None and above.is_below,
                "daily_order_limit": 2 if is_limited else None,
                "pending_to_shipped_limit": 4 if is_limited else None,
            }
            for number, (below, above, is_limited) in enumerate(
                zip(lower, upper, self.is_limited, strict=True)
            )
        ]
        return pl.DataFrame(rows, schema=like.schema)

    def counted_up(self, record: Record) -> tuple[int | None, ...]:
        """The three numbers of one seller, by trying one more item at a time."""
        present = self.of(record)

        def fewest(found: Callable[[int], bool]) -> int | None:
            return next(filter(found, range(1, FAR)), None)

        def shipped(more: int) -> int:
            return self.of(record._replace(shipped=record.shipped + more))

        def cancelled(more: int) -> int:
            return self.of(record._replace(cancelled=record.cancelled + more))

        return (
            fewest(lambda more: shipped(more) < present),
            fewest(lambda more: shipped(more) < present and not self.is_limited[shipped(more)])
            if self.is_limited[present]
            else None,
            fewest(lambda more: cancelled(more) > present),
        )


JUMIA = Bands(
    [Edge(25_000, False), Edge(50_000, True), Edge(100_000, True)], [False, True, True, True]
)


@st.composite
def all_bands(draw: st.DrawFn) -> Bands:
    """Two to five bands that meet at rates of 1% to 100%; the lightest has no limit."""
    common = [10_000, 25_000, 50_000, 100_000, 333_333, 500_000, 666_667, 980_000, 1_000_000]
    rates = st.one_of(st.sampled_from(common), st.integers(10_000, 980_000))
    edges = sorted(draw(st.sets(rates, min_size=1, max_size=4)))
    flags = st.lists(st.booleans(), min_size=len(edges), max_size=len(edges))
    below = draw(flags)
    return Bands([Edge(*e) for e in zip(edges, below, strict=True)], [False, *draw(flags)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SlotRun:
    return Marketplace().begin(tmp_path_factory.mktemp("bands"))


def told(run: SlotRun, bands: Bands, records: Sequence[Record]) -> list[tuple[int | None, ...]]:
    """The three numbers of each record, as the model has them."""
    policy = run.engine.policy
    like = policy["order_regulation_bands"]
    engine = ScratchEngine.over(
        replace(run.engine, policy={**policy, "order_regulation_bands": bands.rows(like)})
    )
    sellers = [str(number) for number in range(len(records))]
    weeks = pl.DataFrame(
        {
            "seller_id": sellers,
            "shipped_items": [r.shipped for r in records],
            "shipped_orders": [r.shipped for r in records],
            "cancelled_items": [r.cancelled for r in records],
            "fulfilment_days": 6,
            "cancellation_rate_pct": Decimal("1.0000"),
            "is_exempt": False,
        }
    )
    engine.write("warehouse.sellers", pl.DataFrame({"seller_id": sellers}))
    engine.write("metrics.seller_week", weeks)
    engine.write("metrics.exempt_sellers", pl.DataFrame(schema={"seller_id": pl.String()}))
    for relation in MODELS:
        engine.materialize(load_models()[relation], run.parameters())
    numbers = (
        "shipments_to_lighter_band",
        "shipments_to_no_limit",
        "cancellations_to_heavier_band",
    )
    found = engine.read(STANDINGS).sort(pl.col("seller_id").cast(pl.Int32))
    return found.select(numbers).rows()


def test_of_jumia_s_bands_every_small_record_has_the_numbers_that_counting_up_gives(
    run: SlotRun,
) -> None:
    records = [Record(c, s) for c in range(12) for s in [*range(45), 78, 117, 118, 119, 156, 200]]
    assert told(run, JUMIA, records) == [JUMIA.counted_up(r) for r in records]


@courses(12)
@given(bands=all_bands(), seed=st.integers(0, 9))
def test_of_any_bands_too(run: SlotRun, bands: Bands, seed: int) -> None:
    records = [Record(c, s) for c in range(9) for s in range(9) if (c + s) % 3 == seed % 3]
    assert told(run, bands, records) == [bands.counted_up(r) for r in records]


def test_a_narrow_band_that_one_item_leaps_over_is_not_told(run: SlotRun) -> None:
    """One of two is 50%; a third item makes it 33.3%, and nothing between 40% and 45%."""
    bands = Bands([Edge(400_000, True), Edge(450_000, True)], [True, False, True])
    assert told(run, bands, [Record(1, 1)]) == [(1, None, None)]
