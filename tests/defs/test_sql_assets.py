"""What the UI shows of a model's rows: exact figures, and nobody's name (Design §3, Dagster)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from vibes_pipeline.defs.sql_assets import SAMPLE_ROWS, frame_metadata
from vibes_pipeline.policy import load_policy

NIGERIA = load_policy("ng")
CHARGES = pl.DataFrame(
    {
        "seller_id": [f"S-{number}" for number in range(1_000)],
        "email": ["somebody@shop.example"] * 1_000,
        # No sum of floats comes to their sum.
        "amount": [Decimal("90000000000.10")] * 999 + [None],
    },
    schema_overrides={"amount": pl.Decimal(14, 2)},
)


@pytest.fixture(params=["in memory", "on disk"])
def charges(tmp_path: Path, request: pytest.FixtureRequest) -> pl.DataFrame | pl.LazyFrame:
    if request.param == "in memory":
        return CHARGES
    CHARGES.write_parquet(tmp_path / "charges.parquet")
    return pl.scan_parquet(tmp_path / "charges.parquet")


def test_rows_are_counted_and_amounts_summed_exactly(
    charges: pl.DataFrame | pl.LazyFrame,
) -> None:
    metadata = frame_metadata(NIGERIA, charges)
    assert metadata["dagster/row_count"] == 1_000
    assert metadata["total"] == "₦89,910,000,000,099.90"


def test_the_first_rows_are_shown_without_whom_to_write_to(
    charges: pl.DataFrame | pl.LazyFrame,
) -> None:
    header, _, *rows = frame_metadata(NIGERIA, charges)["sample"].value.splitlines()
    assert header == "| seller_id | amount |"
    assert rows == [f"| S-{number} | 90000000000.10 |" for number in range(SAMPLE_ROWS)]


def test_no_rows_are_no_naira() -> None:
    metadata = frame_metadata(NIGERIA, CHARGES.clear())
    assert (metadata["dagster/row_count"], metadata["total"]) == (0, "₦0.00")
    assert metadata["sample"].value == "no rows"


def test_text_in_a_row_is_no_markup() -> None:
    hostile = pl.DataFrame({"sku": ["a|b\n[click](javascript:x)<b>"]})
    assert frame_metadata(NIGERIA, hostile)["sample"].value.endswith(
        "| a b  click  javascript:x  b  |"
    )
