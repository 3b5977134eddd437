"""A real ledger with a long past, made by SQL for the benchmarks.

Here belongs how the rows are made: charges of one country over many weeks, with their events,
postings, notices and deliveries, as slots would have left them. The triggers are switched off
meanwhile, which only a superuser of a server that is thrown away may do.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vibes_pipeline.ledger.ledger import Ledger

CHARGES_A_WEEK = 20_000
SELLERS = 3_000
SELLERS_WITHOUT_REGULATIONS = 150
COUNTRY = "NG"
# The observed week of the newest charges.
LAST_CYCLE = date(2026, 11, 2)

# In the order in which they are to be made; %(…)s are bound by the driver.
STATEMENTS = (
    "SET session_replication_role = replica",
    "SET synchronous_commit = off",
    """
    INSERT INTO ledger.ledgers VALUES (%(country)s, true, %(opened_at)s)
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO ledger.policies VALUES ('made', %(country)s, 'a made policy', %(opened_at)s)
    ON CONFLICT DO NOTHING
    """,
    """
    CREATE TEMP TABLE week AS
    SELECT
        n,
        %(last_cycle)s::date - 7 * (%(weeks)s - 1 - n) AS cycle,
        (%(last_cycle)s::date - 7 * (%(weeks)s - 1 - n) + 9 + time '07:00')
            AT TIME ZONE 'Africa/Lagos' AS alert_at,
        (%(last_cycle)s::date - 7 * (%(weeks)s - 1 - n) + 12 + time '09:00')
            AT TIME ZONE 'Africa/Lagos' AS implemented_at
    FROM generate_series(0, %(weeks)s - 1) AS n
    """,
    """
    INSERT INTO ledger.cycles
    SELECT %(country)s, cycle, alert_at, md5(cycle::text), %(a_week)s, 'made' FROM week
    """,
    """
    INSERT INTO ledger.slots (country, slot, period, due_at, effected_at, finished_at)
    SELECT %(country)s, slot, cycle, at, at, at
    FROM week, LATERAL (
        VALUES ('weekly-alert', alert_at), ('weekly-implementation', implemented_at)
    ) AS due (slot, at)
    """,
    """
    INSERT INTO ledger.slots (country, slot, period, due_at, effected_at, finished_at)
    SELECT %(country)s, slot, day::date, at, at, at
    FROM generate_series(
        (SELECT min(cycle) + 9 FROM week), (SELECT max(cycle) + 15 FROM week), interval '1 day'
    ) AS day, LATERAL (
        VALUES
            ('late-alert', (day + time '06:00') AT TIME ZONE 'Africa/Lagos'),
            ('late-cancellation', (day + time '23:00') AT TIME ZONE 'Africa/Lagos')
    ) AS due (slot, at)
    """,
    """
    CREATE TEMP TABLE made AS
    SELECT
        i,
        md5('charge ' || i)::uuid AS action_id,
        md5('posting ' || i)::uuid AS posting_id,
        w.cycle,
        w.alert_at,
        w.implemented_at,
        (
            ARRAY['out_of_stock_charge', 'late_fulfilment_charge', 'returns_charge',
            'dropoff_qc_charge', 'counterfeit_charge']
        )[1 + i %% 5] AS rule,
        (%(sellers)s::text[])[1 + (hashint8(i) & 1073741823) %% cardinality(%(sellers)s::text[])]
            AS seller_id,
        ((100 + i * 37 %% 249900)::numeric / 100)::numeric(14, 2) AS amount
    FROM generate_series(0, %(charges)s - 1) AS i
    JOIN week w ON w.n = %(weeks)s - 1 - i / %(a_week)s
    """,
    """
    INSERT INTO ledger.shops
    SELECT %(country)s, seller_id, 'Shop "' || n || '", Lagos'
    FROM unnest(%(sellers)s::text[]) WITH ORDINALITY AS s (seller_id, n)
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO ledger.actions (
        action_id, reference, country, rule, cycle, seller_id, sku, order_number, order_item_id,
        amount, currency, event_at, notice_hours, evidence, policy_version
    )
    SELECT
        action_id, 'NG-' || upper(left(md5(i::text), 8)), %(country)s, rule, cycle, seller_id,
        'SKU-' || i %% 200000, 'PAST-' || i / 2, 'PAST-' || i / 2 || '-' || i %% 2,
        amount, 'NGN', alert_at - interval '5 days', 72,
        '{"reason": "defective_item", "commission": "120.00"}'::jsonb, 'made'
    FROM made
    """,
    """
    INSERT INTO ledger.action_events (action_id, state, at, cause)
    SELECT action_id, state, at, 'made'
    FROM made, LATERAL (
        VALUES ('proposed', alert_at), ('alerted', alert_at), ('implemented', implemented_at)
    ) AS event (state, at)
    """,
    """
    INSERT INTO ledger.postings
    SELECT
        posting_id, action_id, 'debit', amount, 'NGN', implemented_at,
        (implemented_at AT TIME ZONE 'Africa/Lagos')::date - 5, NULL
    FROM made
    """,
    """
    CREATE TEMP TABLE told AS
    SELECT
        md5(kind || cycle || seller_id)::uuid AS notice_id, kind, is_alert, cycle, seller_id, at
    FROM (SELECT DISTINCT cycle, seller_id, alert_at, implemented_at FROM made) AS struck,
        LATERAL (
            VALUES
                ('weekly_alert', true, alert_at), ('weekly_implementation', false, implemented_at)
        ) AS told (kind, is_alert, at)
    """,
    """
    INSERT INTO ledger.notices (notice_id, country, kind, is_alert, period, seller_id, planned_at)
    SELECT notice_id, %(country)s, kind, is_alert, cycle, seller_id, at FROM told
    """,
    """
    INSERT INTO ledger.notice_actions
    SELECT md5(kind || cycle || seller_id)::uuid, action_id
    FROM made, unnest(ARRAY['weekly_alert', 'weekly_implementation']) AS kind
    """,
    """
    INSERT INTO ledger.deliveries (notice_id, attempt, status, at, code)
    SELECT notice_id, 1, status, at, code
    FROM told, LATERAL (VALUES ('sending', NULL), ('sent', 250)) AS outcome (status, code)
    """,
    # What else a week leaves: regulations, late cancellations, reviews.
    """
    CREATE TEMP TABLE more AS
    SELECT
        md5(rule || n || ' ' || i)::uuid AS action_id, rule, w.cycle, w.alert_at, w.implemented_at,
        i + w.n * 10000 AS nth,
        -- The first sellers have none: a claim of theirs would need the cycle's partitions.
        (%(sellers)s::text[])[%(sellers_without)s + 1 + (hashint8(i * 31 + w.n) & 1073741823)
            %% (cardinality(%(sellers)s::text[]) - %(sellers_without)s)] AS seller_id
    FROM week w, LATERAL (
        VALUES
            ('order_regulation', 300), ('sales_regulation', 400), ('late_pending_cancellation', 500)
    ) AS a_week (rule, actions), generate_series(1, actions) AS i
    WHERE %(charges)s > 0
    """,
    """
    INSERT INTO ledger.actions (
        action_id, reference, country, rule, cycle, seller_id, sku, order_item_id, band, grounds,
        occurrence, notice_hours, evidence, policy_version
    )
    SELECT
        action_id, 'NG-' || upper(left(md5(action_id::text), 8)), %(country)s, rule, cycle,
        seller_id, CASE WHEN rule <> 'order_regulation' THEN 'SKU-' || nth %% 200000 END,
        CASE WHEN rule = 'late_pending_cancellation' THEN 'LATE-' || nth END,
        CASE WHEN rule = 'order_regulation' THEN 1 END,
        CASE WHEN rule = 'sales_regulation' THEN 'return_rate' END,
        CASE WHEN rule = 'sales_regulation' THEN 1 END, 72, '{"in_force_days": 7}'::jsonb, 'made'
    FROM more
    """,
    """
    INSERT INTO ledger.action_events (action_id, state, at, cause)
    SELECT action_id, state, at, 'made'
    FROM more, LATERAL (
        VALUES ('proposed', alert_at), ('alerted', alert_at), ('implemented', implemented_at)
    ) AS event (state, at)
    """,
    """
    INSERT INTO ledger.account_reviews
    SELECT %(country)s, cycle, seller_id, 1, 0, 0
    FROM more WHERE rule = 'order_regulation'
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO ledger.reviewed_counterfeits
    SELECT %(country)s, cycle, seller_id, 'PAST-CC-' || nth
    FROM more WHERE rule = 'order_regulation' AND nth %% 6 = 0
    """,
    "DROP TABLE week, made, more, told",
)


def open_made(
    home: Path,
    charges: int,
    *,
    weeks: int | None = None,
) -> Ledger:
    """A simulated ledger of so many implemented charges in an embedded server under `home`.

    It has run for so many `weeks`, by default as many as there are charges for. The ledger of an
    earlier run is used again if it holds as many.
    """
    import sqlalchemy as sa

    from vibes_pipeline.ledger import schema
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.settings import Settings

    ledger = Ledger.open(Settings.from_environment({"VIBES_HOME": str(home)}), COUNTRY)
    with ledger.reading() as connection:
        there = connection.scalar(sa.select(sa.func.count()).select_from(schema.postings))
        is_used = connection.scalar(sa.select(sa.func.count()).select_from(schema.ledgers))
    if not is_used or there != charges:
        if is_used:
            raise SystemExit(f"{home} holds {there:,} charges, not {charges:,}: remove it")
        make(ledger, charges, weeks or max(1, -(-charges // CHARGES_A_WEEK)))
    return ledger


def make(ledger: Ledger, charges: int, weeks: int) -> None:
    """Fill an empty ledger; the indexes are made anew afterwards, which takes less."""
    first_cycle = LAST_CYCLE - timedelta(weeks=weeks - 1)
    values = {
        "country": COUNTRY,
        "charges": charges,
        "weeks": weeks,
        "sellers_without": SELLERS_WITHOUT_REGULATIONS,
        "a_week": CHARGES_A_WEEK,
        "last_cycle": LAST_CYCLE,
        "opened_at": f"{first_cycle + timedelta(days=9)}T07:00+01:00",
        "sellers": [f"S{n:05d}" for n in range(SELLERS)],
    }
    driver = ledger.engine.raw_connection()
    try:
        with driver.cursor() as cursor:
            indexes = _dropped_indexes(cursor)
            for statement in STATEMENTS:
                cursor.execute(statement, values)
            for index in indexes:
                cursor.execute(index)
            driver.commit()
            cursor.execute("RESET session_replication_role")
            driver.commit()
        driver.driver_connection.autocommit = True
        with driver.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        driver.driver_connection.autocommit = False
    finally:
        driver.invalidate()


def _dropped_indexes(cursor: object) -> list[str]:
    """Drop the indexes of the large tables that no constraint needs; what makes each again."""
    cursor.execute(  # type: ignore[attr-defined]
        """
        SELECT c.oid::regclass::text, pg_get_indexdef(c.oid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT i.indisprimary
            AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid)
            AND i.indrelid IN (
                'ledger.actions'::regclass, 'ledger.action_events'::regclass,
                'ledger.notice_actions'::regclass, 'ledger.deliveries'::regclass,
                'ledger.notices'::regclass
            )
        """
    )
    found = cursor.fetchall()  # type: ignore[attr-defined]
    for name, _ in found:
        cursor.execute(f"DROP INDEX {name}")  # type: ignore[attr-defined]
    return [definition for _, definition in found]
