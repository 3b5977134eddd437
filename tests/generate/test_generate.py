"""A made marketplace: the same for the same seed, well-formed, and with something of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from vibes_pipeline.errors import UsageError
from vibes_pipeline.generate import MadeMarketplace, generate_marketplace, marketplace
from vibes_pipeline.warehouse.contract import CONTRACT

LAGOS = ZoneInfo("Africa/Lagos")
MONDAY = date(2026, 9, 7)
DEMO: dict[str, Any] = {"sellers": 150, "weeks": 8, "first_week": MONDAY, "seed": 1}
SMALL: dict[str, Any] = {"sellers": 12, "weeks": 2, "first_week": MONDAY, "items": 3_000}
TIMES = [
    (table, column)
    for table, columns in ((t.name, t.columns) for t in CONTRACT.values())
    for column, type_ in columns.items()
    if type_ == "TIMESTAMP WITH TIME ZONE"
]

Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def demo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo.duckdb"


@pytest.fixture(scope="module")
def demo(demo_path: Path) -> MadeMarketplace:
    return generate_marketplace(demo_path, **DEMO)


@pytest.fixture(scope="module")
def query(demo: MadeMarketplace) -> Iterator[Query]:
    """Runs SQL over the demo; `good` are its items without the rows that are torn on purpose."""
    with duckdb.connect(str(demo.path), read_only=True) as con:
        con.execute("SET TimeZone = 'Africa/Lagos'")
        con.execute(f"CREATE TEMP VIEW torn AS {TORN_ITEMS}")
        con.execute(
            "CREATE TEMP VIEW good AS SELECT i.* FROM raw.order_items AS i "
            "ANTI JOIN torn ON torn.row_id = i.rowid"
        )
        yield lambda sql: con.execute(sql).fetchall()


# The kinds of Rulebook §13, each row once for each way it is bad.
TORN_ITEMS = """
SELECT i.rowid AS row_id, unnest(list_filter([
    CASE WHEN i.order_item_id IS NULL THEN 'no id' END,
    CASE WHEN count(*) OVER (PARTITION BY i.order_item_id) > 1 THEN 'repeated id' END,
    CASE WHEN s.seller_id IS NULL THEN 'unknown seller' END,
    CASE WHEN p.sku IS NULL THEN 'unknown sku' END,
    CASE WHEN p.seller_id <> i.seller_id AND s.seller_id IS NOT NULL THEN 'foreign sku' END,
    CASE WHEN i.pending_at IS NULL THEN 'never pending' END,
    CASE WHEN i.commission IS NULL THEN 'no commission' END,
    CASE WHEN i.commission < 0 THEN 'negative commission' END,
    CASE WHEN i.item_price IS NULL THEN 'no price' END,
    CASE WHEN i.item_price < 0 THEN 'negative price' END,
    CASE WHEN least(i.ready_to_ship_at, i.shipped_at, i.delivered_at, i.cancelled_at,
        i.rejected_at, i.returned_at) < i.pending_at THEN 'before pending' END,
    CASE WHEN i.delivered_at IS NOT NULL AND i.rejected_at IS NOT NULL THEN 'both' END,
    CASE WHEN i.cancelled_at IS NOT NULL AND coalesce(i.cancel_reason, '') NOT IN (
        'out_of_stock', 'late_pending', 'late_ready_to_ship', 'customer_request',
        'payment_failed', 'wrong_order', 'other') THEN 'cancelled without reason' END,
    CASE WHEN i.returned_at IS NOT NULL AND coalesce(i.return_reason, '') NOT IN (
        'wrong_item', 'defective_item', 'used_refurbished', 'change_of_mind', 'other')
        THEN 'returned without reason' END
], lambda kind: kind IS NOT NULL)) AS kind
FROM raw.order_items AS i
LEFT JOIN raw.sellers AS s USING (seller_id)
LEFT JOIN raw.products AS p USING (sku)
"""


def all_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect() as con:
        return {
            table: sorted(con.read_parquet(str(path / f"{table}.parquet")).fetchall(), key=repr)
            for table in CONTRACT
        }


def test_the_same_seed_makes_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("again", 7), ("other", 8)):
        generate_marketplace(tmp_path / name, **SMALL, seed=seed)
    first, again, other = (all_rows(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first["order_items"] != other["order_items"]
    assert first["sellers"] != other["sellers"]


def test_an_item_is_the_same_in_whatever_block_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_marketplace(tmp_path / "one block", **SMALL)
    monkeypatch.setattr(marketplace, "ITEMS_PER_BLOCK", 701)
    seen: list[tuple[int, int]] = []
    generate_marketplace(
        tmp_path / "blocks", **SMALL, progress=lambda made, of: seen.append((made, of))
    )
    assert all_rows(tmp_path / "blocks") == all_rows(tmp_path / "one block")
    assert seen == [(made, 3_000) for made in (701, 1402, 2103, 2804, 3000)]


def test_a_database_and_a_folder_hold_the_same_rows(
    tmp_path: Path, demo: MadeMarketplace, query: Query
) -> None:
    generate_marketplace(tmp_path / "folder", **DEMO)
    rows = all_rows(tmp_path / "folder")
    with duckdb.connect(str(demo.path), read_only=True) as con:
        for table in CONTRACT:
            assert sorted(con.table(f"raw.{table}").fetchall(), key=repr) == rows[table], table


def test_the_summary_says_what_is_there(demo: MadeMarketplace, query: Query) -> None:
    assert demo.rows == {t: query(f"SELECT count(*) FROM raw.{t}")[0][0] for t in CONTRACT}
    assert demo.rows["sellers"] == 150
    assert (demo.first_week, demo.last_week) == (MONDAY, MONDAY + timedelta(weeks=7))
    assert demo.loaded_through == datetime(2026, 11, 9, tzinfo=LAGOS)


def test_the_number_of_items_is_exactly_the_one_asked_for(tmp_path: Path) -> None:
    made = generate_marketplace(tmp_path / "made", **SMALL | {"items": 1_237})
    assert made.rows["order_items"] == 1_237


@pytest.mark.parametrize(("sellers", "items"), [(1, 1), (1, 40), (2, 9), (3, 2)])
def test_the_smallest_marketplaces_can_be_made(tmp_path: Path, sellers: int, items: int) -> None:
    made = generate_marketplace(
        tmp_path / "made", sellers=sellers, weeks=1, first_week=MONDAY, items=items
    )
    assert (made.rows["sellers"], made.rows["order_items"]) == (sellers, items)


@pytest.mark.parametrize(("table", "column"), TIMES)
def test_no_event_lies_beyond_the_span(
    query: Query, demo: MadeMarketplace, table: str, column: str
) -> None:
    ((latest, filled),) = query(f"SELECT max({column}), count({column}) FROM raw.{table}")
    assert filled > 0
    assert latest <= demo.loaded_through
    if table != "loads":
        assert latest < demo.loaded_through


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "Europe/Berlin", "America/New_York"])
def test_a_change_of_the_clock_moves_no_event_beyond_the_span(tmp_path: Path, zone: str) -> None:
    made = generate_marketplace(
        tmp_path / "made.duckdb",
        **SMALL | {"first_week": date(2027, 3, 15), "weeks": 2},
        time_zone=zone,
    )
    assert made.loaded_through == datetime(2027, 4, 5, tzinfo=ZoneInfo(zone))
    with duckdb.connect(str(made.path), read_only=True) as con:
        ((count, latest),) = con.execute(
            "SELECT count(pending_at), max(greatest(pending_at, returned_at)) FROM raw.order_items"
        ).fetchall()
    assert count >= 2_990
    assert latest < made.loaded_through


def test_every_table_is_complete_through_the_end_of_the_running_week(
    query: Query, demo: MadeMarketplace
) -> None:
    loads: dict[str, datetime] = dict(query("SELECT * FROM raw.loads"))
    assert loads == dict.fromkeys(set(CONTRACT) - {"loads"}, demo.loaded_through)


def test_orders_come_in_evenly_and_seldom_at_night(query: Query) -> None:
    weeks = query(
        "SELECT count(*) FROM raw.order_items WHERE pending_at IS NOT NULL "
        "GROUP BY date_trunc('week', pending_at)"
    )
    assert len(weeks) == 9
    assert all(2_240 <= count <= 2_250 for (count,) in weeks)
    ((night,),) = query("SELECT avg((hour(pending_at) < 6)::INT) FROM raw.order_items")
    assert 0 < night < 0.06


def test_orders_hold_up_to_four_items_some_of_several_sellers(query: Query) -> None:
    sizes = query(
        "SELECT n, count(*) FROM (SELECT count(*) AS n FROM raw.order_items GROUP BY order_number) "
        "GROUP BY n ORDER BY n"
    )
    assert [size for size, _ in sizes] == [1, 2, 3, 4]
    ((mixed,),) = query(
        "SELECT count(*) FROM (SELECT order_number FROM good GROUP BY order_number "
        "HAVING count(DISTINCT seller_id) > 1 AND count(DISTINCT pending_at) = 1)"
    )
    assert mixed > 100


def test_a_few_sellers_sell_the_most_and_all_sell_something(query: Query) -> None:
    counts = [n for (n,) in query("SELECT count(*) FROM good GROUP BY seller_id ORDER BY 1 DESC")]
    assert len(counts) == 150
    assert sum(counts[:15]) > 0.3 * sum(counts)
    assert sum(counts[75:]) < 0.35 * sum(counts)


def test_prices_and_commissions_keep_to_their_bounds(query: Query) -> None:
    ((lowest, highest, least_share, most_share),) = query(
        "SELECT min(item_price), max(item_price), min(commission / item_price), "
        "max(commission / item_price) FROM good"
    )
    assert lowest >= 500
    assert highest <= 400_000
    assert least_share >= 0.0499
    assert most_share <= 0.2001


def test_every_address_ends_in_example_or_is_no_address(query: Query) -> None:
    addresses = [address for (address,) in query("SELECT email FROM raw.sellers")]
    usable = [a for a in addresses if a and a.endswith(".example")]
    assert 3 <= len(addresses) - len(usable) <= 10
    assert all(a.count("@") == 1 and a == a.lower() and " " not in a for a in usable)


def test_no_two_shops_have_one_name(query: Query) -> None:
    assert query("SELECT count(DISTINCT shop_name) FROM raw.sellers") == [(150,)]


EVENTS = [
    *(
        (f"cancelled: {reason}", f"SELECT count(*) FROM good WHERE cancel_reason = '{reason}'", 20)
        for reason in (
            *("out_of_stock", "late_pending", "late_ready_to_ship", "customer_request"),
            *("payment_failed", "wrong_order", "other"),
        )
    ),
    *(
        (f"returned: {reason}", f"SELECT count(*) FROM good WHERE return_reason = '{reason}'", 10)
        for reason in (
            *("wrong_item", "defective_item", "used_refurbished", "change_of_mind", "other"),
        )
    ),
    *(
        (
            f"failed at drop-off: {reason}",
            f"SELECT count(*) FROM raw.dropoff_qc WHERE failure_reason = '{reason}'",
            5,
        )
        for reason in ("wrong_item", "defective_item", "used_refurbished")
    ),
    ("passed at drop-off", "SELECT count(*) FROM raw.dropoff_qc WHERE result = 'passed'", 500),
    (
        "failed twice at drop-off",
        "SELECT count(*) FROM (SELECT order_item_id FROM raw.dropoff_qc WHERE result = 'failed' "
        "GROUP BY 1 HAVING count(*) = 2)",
        5,
    ),
    ("rejected at the door", "SELECT count(*) FROM good WHERE rejected_at IS NOT NULL", 100),
    ("delivered", "SELECT count(*) FROM good WHERE delivered_at IS NOT NULL", 15_000),
    (
        "ready more than two days after the order",
        "SELECT count(*) FROM good WHERE ready_to_ship_at > pending_at + INTERVAL 60 HOUR",
        50,
    ),
    (
        "found out of stock in a later week than the deadline's",
        "SELECT count(*) FROM good WHERE cancel_reason = 'out_of_stock' AND date_trunc('week', "
        "cancelled_at) > date_trunc('week', pending_at + INTERVAL 2 DAY)",
        10,
    ),
    (
        "out of stock at a seller in the first 30 days",
        "SELECT count(*) FROM good JOIN raw.sellers USING (seller_id) "
        "WHERE cancel_reason = 'out_of_stock' AND cancelled_at < onboarded_at + INTERVAL 720 HOUR",
        3,
    ),
    (
        "late at a seller in the first 30 days",
        "SELECT count(*) FROM good JOIN raw.sellers USING (seller_id) "
        "WHERE ready_to_ship_at > pending_at + INTERVAL 48 HOUR "
        "AND ready_to_ship_at < onboarded_at + INTERVAL 720 HOUR",
        3,
    ),
    (
        "counterfeit and proven",
        "SELECT count(*) FROM raw.counterfeit_cases WHERE proven_at > notified_at",
        5,
    ),
    (
        "suspected, not proven",
        "SELECT count(*) FROM raw.counterfeit_cases WHERE proven_at IS NULL",
        2,
    ),
    (
        "suspected on the last Friday: the time for evidence still runs, proven or not",
        "SELECT count(DISTINCT proven_at IS NULL) FROM raw.counterfeit_cases "
        "WHERE notified_at = TIMESTAMPTZ '2026-11-06 15:00:00+01'",
        2,
    ),
    *(
        (f"claim: {category}", f"SELECT count(*) FROM raw.claims WHERE category = '{category}'", 3)
        for category in (
            *("counterfeit", "seko_warehouse", "cancel_wrong_orders", "bill_problem"),
            "vibes_action",
        )
    ),
    *(
        (f"claim {fate}", f"SELECT count(*) FROM raw.claims WHERE decision = '{fate}'", 8)
        for fate in ("upheld", "rejected")
    ),
    ("claim undecided", "SELECT count(*) FROM raw.claims WHERE decision IS NULL", 8),
    ("claim without a shop name", "SELECT count(*) FROM raw.claims WHERE shop_name IS NULL", 3),
    (
        "delisted for good: a quality return in a week before, and no other decision after",
        "SELECT count(DISTINCT d.seller_id) FROM raw.account_decisions AS d "
        "JOIN good AS i USING (seller_id) WHERE d.decision = 'delist' "
        "AND i.return_reason IN ('wrong_item', 'defective_item', 'used_refurbished') "
        "AND i.returned_at < date_trunc('week', d.decided_at) AND NOT EXISTS (FROM "
        "raw.account_decisions AS l WHERE l.seller_id = d.seller_id "
        "AND l.decided_at > d.decided_at)",
        2,
    ),
    (
        "delisted and later kept",
        "SELECT count(*) FROM raw.account_decisions AS d JOIN raw.account_decisions AS l "
        "ON l.seller_id = d.seller_id AND l.decided_at > d.decided_at "
        "WHERE d.decision = 'delist' AND l.decision = 'keep'",
        1,
    ),
    (
        "still pending two days before the end",
        "SELECT count(*) FROM good WHERE ready_to_ship_at IS NULL AND cancelled_at IS NULL "
        "AND pending_at < TIMESTAMPTZ '2026-11-07 00:00:00+01'",
        5,
    ),
    (
        "ready two days before the end, still not shipped",
        "SELECT count(*) FROM good WHERE shipped_at IS NULL AND cancelled_at IS NULL "
        "AND ready_to_ship_at < TIMESTAMPTZ '2026-11-07 00:00:00+01'",
        2,
    ),
]


@pytest.mark.parametrize(("sql", "at_least"), [e[1:] for e in EVENTS], ids=[e[0] for e in EVENTS])
def test_the_demo_holds_events_of_every_kind(query: Query, sql: str, at_least: int) -> None:
    ((count,),) = query(sql)
    assert count >= at_least


def test_a_reason_is_given_exactly_where_something_happened(query: Query) -> None:
    assert query(
        "SELECT count(*) FROM good WHERE (cancelled_at IS NULL) <> (cancel_reason IS NULL) "
        "OR (returned_at IS NULL) <> (return_reason IS NULL)"
    ) == [(0,)]
    assert query(
        "SELECT count(*) FROM raw.claims WHERE (decision IS NULL) <> (decided_at IS NULL) "
        "OR (decision IS NULL) <> (decided_by IS NULL) OR decided_at <= raised_at"
    ) == [(0,)]


def test_an_item_goes_forward_only_and_nowhere_after_its_cancellation(query: Query) -> None:
    assert query(
        "SELECT count(*) FROM good WHERE ready_to_ship_at > shipped_at "
        "OR shipped_at > coalesce(delivered_at, rejected_at) OR delivered_at > returned_at "
        "OR (shipped_at IS NULL AND coalesce(delivered_at, rejected_at, returned_at) IS NOT NULL) "
        "OR cancelled_at < coalesce(shipped_at, ready_to_ship_at) "
        "OR (cancelled_at IS NOT NULL AND shipped_at IS NOT NULL)"
    ) == [(0,)]


def test_every_day_of_the_running_week_finds_overdue_items_that_are_not_cancelled_yet(
    query: Query,
) -> None:
    """Items of each state open for 24 to 72 hours at 23:00, Monday to Saturday."""
    days = query(
        "SELECT d, count(*) FILTER (ready_to_ship_at IS NULL OR ready_to_ship_at > d), "
        "count(*) FILTER (ready_to_ship_at < d - INTERVAL 24 HOUR) "
        "FROM generate_series(TIMESTAMPTZ '2026-11-02 23:00:00+01', "
        "TIMESTAMPTZ '2026-11-07 23:00:00+01', INTERVAL 24 HOUR) AS days (d) "
        "JOIN good AS i ON pending_at BETWEEN d - INTERVAL 72 HOUR AND d - INTERVAL 24 HOUR "
        "AND coalesce(shipped_at > d, TRUE) AND coalesce(cancelled_at > d, TRUE) GROUP BY d"
    )
    assert len(days) == 6
    assert all(pending > 0 for _, pending, _ in days)
    assert sum(ready for _, _, ready in days) > 0


BANDS = [(-0.01, 0.025), (0.025, 0.05), (0.05, 0.10), (0.10, 1.01)]


@pytest.mark.parametrize("is_exempt", [False, True])
@pytest.mark.parametrize("band", BANDS)
def test_weekly_cancellation_rates_reach_every_band_on_express_and_off(
    query: Query, band: tuple[float, float], is_exempt: bool
) -> None:
    ((count,),) = query(
        f"""
        WITH fates AS (
            SELECT seller_id, cancelled_at AS fell, 1.0 AS is_cancelled FROM good
            WHERE cancel_reason IN ('out_of_stock', 'late_pending', 'late_ready_to_ship')
            UNION ALL SELECT seller_id, shipped_at, 0 FROM good WHERE shipped_at IS NOT NULL
        )
        SELECT count(*) FROM (
            SELECT seller_id, avg(is_cancelled) AS rate FROM fates
            GROUP BY seller_id, date_trunc('week', fell)
        ) JOIN raw.sellers USING (seller_id)
        WHERE is_jumia_express = {is_exempt} AND rate > {band[0]} AND rate < {band[1]}
        """
    )
    assert count >= 3


@pytest.mark.parametrize("product_type", ["GM", "Fashion"])
@pytest.mark.parametrize(
    ("event", "customers"),
    [("rejected_at", 1), ("returned_at", 2)],
    ids=["rejections, which are judged by the month", "returns, which are judged by the week"],
)
def test_some_products_are_bad_for_four_weeks_and_more(
    query: Query, event: str, customers: int, product_type: str
) -> None:
    """Four bad weeks, with time left for the fourth to be acted on: so a delisting happens."""
    streaks = query(
        f"""
        SELECT count(*) FROM (
            SELECT sku, date_trunc('week', {event}) AS week FROM good
            JOIN raw.products USING (sku)
            WHERE product_type = '{product_type}' AND {event} IS NOT NULL
                AND {event} < TIMESTAMPTZ '2026-10-26 00:00:00+01'
                AND coalesce(return_reason, '') NOT IN ('change_of_mind', 'other')
            GROUP BY ALL HAVING count(DISTINCT customer_id) >= {customers}
        ) GROUP BY sku HAVING count(*) >= 4
        """
    )
    assert streaks


def test_newcomers_sell_nothing_before_they_are_there(query: Query) -> None:
    ((newcomers, early),) = query(
        "SELECT count(DISTINCT seller_id), count(*) FILTER (pending_at < onboarded_at) "
        "FROM good JOIN raw.sellers USING (seller_id) "
        "WHERE onboarded_at > TIMESTAMPTZ '2026-08-01 00:00:00+01'"
    )
    assert newcomers >= 10
    assert early == 0


def test_bad_rows_are_of_every_kind_and_well_below_a_hundredth_of_each_week(query: Query) -> None:
    kinds = {kind for (kind,) in query("SELECT DISTINCT kind FROM torn")}
    assert kinds == {
        *("no id", "repeated id", "unknown seller", "unknown sku", "foreign sku"),
        *("never pending", "no commission", "negative commission", "no price", "negative price"),
        *("before pending", "both", "cancelled without reason", "returned without reason"),
    }
    shares = query(
        "SELECT count(torn.row_id) / count(*) FROM raw.order_items AS i "
        "LEFT JOIN (SELECT DISTINCT row_id FROM torn) AS torn ON torn.row_id = i.rowid "
        "GROUP BY date_trunc('week', coalesce(pending_at, ready_to_ship_at, cancelled_at))"
    )
    assert all(share < 0.005 for (share,) in shares)


def test_a_market_so_small_that_a_bad_row_would_stop_it_has_none(tmp_path: Path) -> None:
    made = generate_marketplace(tmp_path / "made.duckdb", **SMALL | {"items": 1_400})
    with duckdb.connect(str(made.path), read_only=True) as con:
        assert con.execute(TORN_ITEMS).fetchall() == []


@pytest.mark.parametrize("country", ["NG", "KE"])
def test_sellers_and_claims_are_of_the_country_asked_for(tmp_path: Path, country: str) -> None:
    made = generate_marketplace(tmp_path / "made.duckdb", **SMALL, country=country)
    with duckdb.connect(str(made.path), read_only=True) as con:
        found = con.execute(
            "SELECT DISTINCT country FROM raw.sellers UNION SELECT DISTINCT country FROM raw.claims"
        ).fetchall()
    assert found == [(country,)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sellers": 0}, "needs at least 1 of its sellers, not 0"),
        ({"weeks": 0}, "needs at least 1 of its weeks, not 0"),
        ({"items": -5}, "needs at least 1 of its items, not -5"),
        ({"first_week": date(2026, 9, 8)}, "named by its Monday; 2026-09-08 is a Tuesday"),
        ({"time_zone": "Africa/Lagoos"}, "Africa/Lagoos is no known time zone"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        generate_marketplace(tmp_path / "made", **SMALL | wrong)
    assert list(tmp_path.iterdir()) == []
