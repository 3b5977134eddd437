"""The day's read of an old warehouse: what DuckDB scans of it does not grow with its years (§9).

Not a timed test: DuckDB tells how many row groups of the table each read had to look into.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from vibes_pipeline.engine.models import load_models

NOW = datetime(2026, 11, 20, 5, tzinfo=UTC)
SINCE = NOW - timedelta(days=18)
# Enough for a dozen row groups, in the order of `pending_at` as a loader appends them; one row in
# ten thousand has none, so that no group is without.
ROWS = 1_500_000
OLD = f"""
    CREATE TABLE old.raw.order_items AS
    SELECT
        printf('I%09d', n) AS order_item_id,
        CASE WHEN n % 10_000 <> 0 THEN $now::TIMESTAMPTZ - to_minutes({ROWS} - n) END AS pending_at,
        CASE WHEN n % 7 <> 0 THEN pending_at + INTERVAL 1 DAY END AS ready_to_ship_at,
        CASE WHEN n % 5 <> 0 THEN ready_to_ship_at + INTERVAL 1 DAY END AS shipped_at,
        NULL::TIMESTAMPTZ AS cancelled_at,
        shipped_at + INTERVAL 3 DAY AS delivered_at,
        NULL::TIMESTAMPTZ AS rejected_at,
        NULL::TIMESTAMPTZ AS returned_at,
        '' AS order_number, '' AS seller_id, '' AS sku, '' AS customer_id,
        0 AS item_price, 0 AS commission, '' AS tracking_number,
        NULL AS cancel_reason, NULL AS return_reason
    FROM range({ROWS}) AS r (n)
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """An old warehouse, attached as a slot attaches it."""
    file = tmp_path_factory.mktemp("old") / "old.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{file}' AS old")
        connection.execute("CREATE SCHEMA old.raw")
        connection.execute(OLD, {"now": NOW})
        connection.execute("DETACH old")
        connection.execute(f"ATTACH '{file}' AS old (READ_ONLY)")
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA warehouse; CREATE SCHEMA ledger")
        connection.execute("CREATE VIEW raw.order_items AS FROM old.raw.order_items")
        connection.execute("CREATE TABLE ledger.open_late_cancellations (order_item_id VARCHAR)")
        yield connection


def scanned(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[int, int]:
    """Row groups that a model's reads of the order items looked into, and those of one full read."""
    sql = f"EXPLAIN (ANALYZE, FORMAT json) {load_models()[relation].sql}"
    row = connection.execute(sql, {"now": NOW, "since": SINCE}).fetchone()
    assert row is not None
    reads = list(_reads(json.loads(row[1])["operator"]))
    return sum(looked for looked, _ in reads), max(whole for _, whole in reads)


def _reads(operators: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    for operator in operators:
        if operator["type"] == "TABLE_SCAN" and operator["total_row_groups_to_scan"] > 1:
            yield operator["row_groups_scanned"], operator["total_row_groups_to_scan"]
        yield from _reads(operator.get("children", []))


def test_the_reads_of_a_day_skip_the_years_before(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    looked, whole = scanned(warehouse, "warehouse.open_items")
    assert whole >= 12
    assert looked <= 4

    file = tmp_path / "open_items.parquet"
    opened = load_models()["warehouse.open_items"].sql
    warehouse.sql(opened, params={"now": NOW, "since": SINCE}).write_parquet(str(file))
    warehouse.execute(f"CREATE VIEW warehouse.open_items AS FROM '{file}'")
    looked, whole = scanned(warehouse, "warehouse.recent_order_items")
    assert whole >= 12
    assert looked <= 8, "four reads, of which each needs one or two row groups"
