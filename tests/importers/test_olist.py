"""The Olist import: each mapping rule on a folder of a few rows, and the whole data set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from vibes_pipeline.errors import UsageError, WarehouseError
from vibes_pipeline.importers.olist import import_olist
from vibes_pipeline.warehouse.contract import CONTRACT

REAL_DATA = Path(__file__).parents[3] / "shared" / "data" / "olist"

# Two sellers with the same first eight characters, both selling product `boots`.
TWIN_A = "aaaaaaaa0000000000000000000000a1"
TWIN_B = "aaaaaaaa0000000000000000000000b2"
SELLER_C = "cccccccc0000000000000000000000c3"

SOURCE = {
    "orders": """
        SELECT * FROM (VALUES
            ('o-plain', 'c1', 'delivered', '2018-03-05 10:00', '2018-03-05 11:00',
                '2018-03-06 12:30', '2018-03-12 18:00'),
            ('o-unapproved', 'c2', 'delivered', '2018-03-05 10:00', NULL,
                '2018-03-06 12:30', '2018-03-12 18:00'),
            ('o-canceled', 'c3', 'canceled', '2018-03-05 10:00', '2018-03-05 11:00', NULL, NULL),
            ('o-unavailable', 'c4', 'unavailable', '2018-03-05 10:00', '2018-03-05 11:00',
                NULL, NULL),
            ('o-canceled-late', 'c5', 'canceled', '2018-03-05 10:00', '2018-03-05 11:00',
                '2018-03-06 12:30', '2018-03-12 18:00'),
            ('o-early', 'c1', 'shipped', '2018-03-05 10:00', '2018-03-07 11:00',
                '2018-03-06 12:30', NULL),
            ('o-summer', 'c2', 'delivered', '2018-01-15 10:00', '2018-01-15 11:00',
                '2018-01-16 12:30', '2018-01-20 18:00'),
            ('o-empty', 'c3', 'unavailable', '2018-03-05 10:00', '2018-03-05 11:00', NULL, NULL)
        ) AS t (order_id, customer_id, order_status, order_purchase_timestamp, order_approved_at,
            order_delivered_carrier_date, order_delivered_customer_date)
    """,
    "order_items": f"""
        SELECT order_id, nr::INTEGER AS order_item_id, product_id, seller_id,
            '2018-03-09 09:00' AS shipping_limit_date, price::DECIMAL(10, 2) AS price
        FROM (VALUES
            ('o-plain', 1, 'boots', '{TWIN_A}', 19.90), ('o-plain', 2, 'boots', '{TWIN_B}', 0.11),
            ('o-unapproved', 1, 'lamp', '{SELLER_C}', 10), ('o-canceled', 1, 'lamp',
            '{SELLER_C}', 10), ('o-unavailable', 1, 'lamp', '{SELLER_C}', 10),
            ('o-canceled-late', 1, 'boots', '{SELLER_C}', 10),
            ('o-early', 1, 'thing', '{SELLER_C}', 10), ('o-summer', 1, 'lamp', '{TWIN_A}', 10)
        ) AS t (order_id, nr, product_id, seller_id, price)
    """,
    "customers": """
        SELECT 'c' || n AS customer_id, 'person-' || n % 3 AS customer_unique_id
        FROM range(1, 6) AS r (n)
    """,
    "products": """
        SELECT * FROM (VALUES ('boots', 'fashion_calcados'), ('lamp', 'casa_conforto'),
            ('thing', NULL)) AS t (product_id, product_category_name)
    """,
    "sellers": f"""
        SELECT * FROM (VALUES ('{TWIN_A}', 'rio branco', 'AC'), ('{TWIN_B}', 'manaus', 'AM'),
            ('{SELLER_C}', 'itu', 'SP'), ('never-sold', 'itu', 'SP'))
            AS t (seller_id, seller_city, seller_state)
    """,
    "category_translation": """
        SELECT 'fashion_calcados' AS product_category_name,
            'fashion_shoes' AS product_category_name_english
    """,
}
TIMES = {
    "orders": (
        *("order_purchase_timestamp", "order_approved_at"),
        *("order_delivered_carrier_date", "order_delivered_customer_date"),
    ),
    "order_items": ("shipping_limit_date",),
}


def write_source(folder: Path, **other: str) -> Path:
    """The folder of a few rows; `other` replaces a table's SQL."""
    folder.mkdir()
    with duckdb.connect() as con:
        for table, sql in (SOURCE | other).items():
            casts = ", ".join(f"{c}::TIMESTAMP AS {c}" for c in TIMES.get(table, ()))
            replaced = f"SELECT * REPLACE ({casts}) FROM ({sql})" if casts else sql
            con.sql(replaced).write_parquet(str(folder / f"{table}.parquet"))
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("olist")
    out = folder / "warehouse.duckdb"
    import_olist(write_source(folder / "source"), out, country="NG")
    with duckdb.connect(str(out), read_only=True) as con:
        yield con


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


APPROVED, HANDED_OVER, DELIVERED = "2018-03-05 14:00", "2018-03-06 15:30", "2018-03-12 21:00"
LIMIT = "2018-03-09 12:00"


@pytest.mark.parametrize(
    ("item", "column", "expected"),
    [
        # São Paulo is three hours behind UTC, two in the summer time of that year.
        ("o-plain-01", "pending_at", APPROVED),
        ("o-unapproved-01", "pending_at", "2018-03-05 13:00"),
        ("o-plain-01", "ready_to_ship_at", HANDED_OVER),
        ("o-plain-01", "shipped_at", HANDED_OVER),
        ("o-plain-01", "delivered_at", DELIVERED),
        ("o-plain-01", "cancelled_at", None),
        ("o-summer-01", "pending_at", "2018-01-15 13:00"),
        ("o-canceled-01", "cancelled_at", LIMIT),
        ("o-unavailable-01", "cancelled_at", LIMIT),
        # What went on after a cancellation is kept as given.
        ("o-canceled-late-01", "cancelled_at", LIMIT),
        ("o-canceled-late-01", "delivered_at", DELIVERED),
        # Handed over before it was approved: not mended, the pipeline sets it aside.
        ("o-early-01", "pending_at", "2018-03-07 14:00"),
        ("o-early-01", "shipped_at", HANDED_OVER),
    ],
)
def test_times_are_sao_paulos_as_instants(
    imported: duckdb.DuckDBPyConnection, item: str, column: str, expected: str | None
) -> None:
    rows = imported.execute(
        f"SELECT {column} FROM raw.order_items WHERE order_item_id = $item", {"item": item}
    ).fetchall()
    assert rows == [(expected and utc(expected),)]


@pytest.mark.parametrize(
    ("item", "column", "expected"),
    [
        ("o-plain-02", "order_number", "o-plain"),
        ("o-plain-01", "customer_id", "person-1"),
        ("o-canceled-late-01", "customer_id", "person-2"),
        ("o-plain-01", "item_price", Decimal("1990.00")),
        ("o-plain-01", "commission", Decimal("298.50")),
        ("o-plain-02", "commission", Decimal("1.65")),
        ("o-canceled-01", "cancel_reason", "customer_request"),
        ("o-unavailable-01", "cancel_reason", "out_of_stock"),
        ("o-plain-01", "cancel_reason", None),
        ("o-plain-01", "rejected_at", None),
        ("o-plain-01", "returned_at", None),
        ("o-plain-01", "return_reason", None),
        # One SKU a seller, told apart by the whole id where eight characters do not do it.
        ("o-plain-01", "sku", f"boots-{TWIN_A}"),
        ("o-plain-02", "sku", f"boots-{TWIN_B}"),
        ("o-canceled-late-01", "sku", "boots-cccccccc"),
        ("o-summer-01", "sku", "lamp-aaaaaaaa"),
    ],
)
def test_items_say_what_olist_says(
    imported: duckdb.DuckDBPyConnection, item: str, column: str, expected: object
) -> None:
    rows = imported.execute(
        f"SELECT {column} FROM raw.order_items WHERE order_item_id = $item", {"item": item}
    ).fetchall()
    assert rows == [(expected,)]


def test_products_are_fashion_by_their_category_and_gm_otherwise(
    imported: duckdb.DuckDBPyConnection,
) -> None:
    rows = imported.execute(
        "SELECT sku, category, product_type FROM raw.products ORDER BY sku"
    ).fetchall()
    assert rows == [
        (f"boots-{TWIN_A}", "fashion shoes", "Fashion"),
        (f"boots-{TWIN_B}", "fashion shoes", "Fashion"),
        ("boots-cccccccc", "fashion shoes", "Fashion"),
        ("lamp-aaaaaaaa", "casa conforto", "GM"),
        ("lamp-cccccccc", "casa conforto", "GM"),
        ("thing-cccccccc", "uncategorised", "GM"),
    ]


def test_every_product_belongs_to_the_seller_of_its_items(
    imported: duckdb.DuckDBPyConnection,
) -> None:
    ((orphans,),) = imported.execute(
        "SELECT count(*) FROM raw.order_items AS i ANTI JOIN raw.products AS p "
        "ON p.sku = i.sku AND p.seller_id = i.seller_id"
    ).fetchall()
    assert orphans == 0


def test_sellers_joined_a_year_before_their_first_order(
    imported: duckdb.DuckDBPyConnection,
) -> None:
    rows = imported.execute("SELECT * FROM raw.sellers ORDER BY seller_id").fetchall()
    year = timedelta(days=365)
    assert rows == [
        (
            *(TWIN_A, "Rio Branco Shop aaaaaaaa", f"{TWIN_A}@olist.example", "NG", False),
            utc("2018-01-15 13:00") - year,
        ),
        (
            *(TWIN_B, "Manaus Shop aaaaaaaa", f"{TWIN_B}@olist.example", "NG", False),
            utc(APPROVED) - year,
        ),
        (
            *(SELLER_C, "Itu Shop cccccccc", f"{SELLER_C}@olist.example", "NG", False),
            utc("2018-03-05 13:00") - year,
        ),
        ("never-sold", "Itu Shop never-so", "never-sold@olist.example", "NG", False, None),
    ]


def test_the_load_is_complete_through_the_midnight_after_the_last_event(
    imported: duckdb.DuckDBPyConnection,
) -> None:
    loads = dict(imported.execute("SELECT * FROM raw.loads").fetchall())
    assert loads == dict.fromkeys(set(CONTRACT) - {"loads"}, utc("2018-03-13 03:00"))


def test_the_summary_counts_rows_and_what_was_handed_over_too_early(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    summary = import_olist(source, tmp_path / "made", country="KE")
    assert summary.path == tmp_path / "made"
    assert summary.handed_over_before_approval == 1
    filled = {"sellers": 4, "products": 6, "order_items": 8, "loads": 7}
    assert summary.rows == dict.fromkeys(CONTRACT, 0) | filled


@pytest.mark.parametrize(
    ("rate", "price", "commission", "reason"),
    [
        (Decimal(1), "0.11", "0.02", "0.0165 rounds up"),
        (Decimal("0.9"), "0.10", "0.02", "the price first: 0.099 is 0.10, and half of 0.01 is up"),
        (Decimal("287.4321"), "31.62", "4.74", "0.11 x 287.4321 = 31.617531"),
    ],
)
def test_amounts_are_rounded_half_up_after_the_rate(
    tmp_path: Path, rate: Decimal, price: str, commission: str, reason: str
) -> None:
    out = tmp_path / "made.duckdb"
    import_olist(write_source(tmp_path / "source"), out, country="NG", rate=rate)
    with duckdb.connect(str(out), read_only=True) as con:
        rows = con.execute(
            "SELECT item_price, commission FROM raw.order_items WHERE order_item_id = 'o-plain-02'"
        ).fetchall()
    assert rows == [(Decimal(price), Decimal(commission))], reason


@pytest.mark.parametrize(
    ("item", "amounts", "reason"),
    [
        ("o-canceled-01", (0, 0), "the customer cancelled it: nobody owes anything for it"),
        ("o-unavailable-01", (None, None), "the charge for stock needs the price: a bad row"),
        ("o-early-01", (None, None), "it was sold, at a price that nobody knows: a bad row"),
    ],
)
def test_a_blank_price_is_zero_only_where_the_customer_cancelled(
    tmp_path: Path, item: str, amounts: tuple[int | None, int | None], reason: str
) -> None:
    blank = SOURCE["order_items"].replace("price::DECIMAL", "NULL::DECIMAL")
    out = tmp_path / "made.duckdb"
    import_olist(write_source(tmp_path / "source", order_items=blank), out, country="NG")
    with duckdb.connect(str(out), read_only=True) as con:
        rows = con.execute(
            "SELECT item_price, commission FROM raw.order_items WHERE order_item_id = $item",
            {"item": item},
        ).fetchall()
    assert rows == [amounts], reason


def without_file(source: Path) -> None:
    (source / "sellers.parquet").unlink()


def with_garbage(source: Path) -> None:
    (source / "sellers.parquet").write_bytes(b"seller_id,seller_city\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_file, r"sellers\.parquet is missing; the Olist folder needs it"),
        (with_garbage, r"sellers\.parquet is not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written(
    tmp_path: Path, spoil: Any, message: str
) -> None:
    source = write_source(tmp_path / "source")
    spoil(source)
    with pytest.raises(WarehouseError, match=message):
        import_olist(source, tmp_path / "made", country="NG")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("table", "sql", "message"),
    [
        (
            "sellers",
            "SELECT 'x' AS seller_id, 'SP' AS seller_state",
            r"sellers\.parquet has no column seller_city; the Olist import needs it",
        ),
        (
            "order_items",
            SOURCE["order_items"].replace("price::DECIMAL(10, 2)", "[price]"),
            r"a column is not of the published Olist type",
        ),
        (
            "customers",
            "SELECT 'c1' AS customer_id, 'person' AS customer_unique_id",
            r"has 8 items but 3 of them find one order, customer and seller .* do not belong",
        ),
    ],
    ids=["a column is missing", "a column is of another type", "customers are missing"],
)
def test_tables_that_do_not_fit_are_named_and_nothing_is_written(
    tmp_path: Path, table: str, sql: str, message: str
) -> None:
    source = write_source(tmp_path / "source", **{table: sql})
    with pytest.raises(WarehouseError, match=message):
        import_olist(source, tmp_path / "made", country="NG")
    assert list(tmp_path.iterdir()) == [source]


def test_what_stands_at_the_target_is_not_overwritten_unasked(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    import_olist(source, tmp_path / "made", country="NG")
    with pytest.raises(UsageError, match="already exists"):
        import_olist(source, tmp_path / "made", country="NG")
    import_olist(source, tmp_path / "made", country="NG", overwrite=True)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the Olist data set is not at ../shared/data")
def test_the_whole_data_set_comes_over(tmp_path: Path) -> None:
    out = tmp_path / "olist.duckdb"
    summary = import_olist(REAL_DATA, out, country="NG")
    filled = {"sellers": 3_095, "products": 34_448, "order_items": 112_650, "loads": 7}
    assert summary.rows == dict.fromkeys(CONTRACT, 0) | filled
    assert summary.handed_over_before_approval == 1_551
    with duckdb.connect(str(out), read_only=True) as con:
        ((items, skus, cancelled, sum_price),) = con.execute(
            "SELECT count(DISTINCT order_item_id), count(DISTINCT sku), count(cancel_reason), "
            "sum(item_price) FROM raw.order_items"
        ).fetchall()
        ((listed,),) = con.execute("SELECT count(DISTINCT sku) FROM raw.products").fetchall()
    assert (items, skus, listed, cancelled) == (112_650, 34_448, 34_448, 549)
    assert sum_price == Decimal("1359164370.00")
