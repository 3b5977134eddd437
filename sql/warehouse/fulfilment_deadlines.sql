-- When each item's hours of running clock are full, one row per item and state it entered (Rulebook §3):
-- pending and, for items not shipped, ready to ship. The clock stands still outside fulfilment days. A deadline
-- is the instant at which the calendar's running clock reaches the clock of the start plus the policy's hours.
-- Hours that are full exactly at the end of a day have that day's end as their deadline, not the start of the
-- next running day: Saturday 00:00 gives Sunday 00:00. Days are matched with days first, and items with their
-- day then: items joined to the calendar by a range would be compared with every day of it. What rules ask of an
-- item beside its deadline comes along: to join millions of items to themselves takes longer than all else here.
-- ephemeral
-- grain: order_item_id, entered_state
WITH entered AS (
    SELECT
        *,
        'pending' AS entered_state,
        pending_at AS entered_at
    FROM warehouse.order_items
    UNION ALL
    SELECT
        *,
        'ready_to_ship' AS entered_state,
        ready_to_ship_at AS entered_at
    FROM warehouse.order_items
    WHERE ready_to_ship_at IS NOT NULL AND shipped_from IS NULL
),

span AS (
    SELECT
        CAST(MIN(pending_at) AS DATE) AS first_day,
        CAST(GREATEST(MAX(pending_at), MAX(ready_to_ship_at)) AS DATE) AS last_day
    FROM warehouse.order_items
),

-- Per day of entering, the day or two on which the hours can be full, for clocks that start after
-- started_after and by started_until. All clocks that start on the same day and are full on the same
-- day run equally long.
waits AS (
    SELECT
        c.day,
        c.starts_at,
        c.is_fulfilment_day,
        c.starts_at + CAST(d.clock_before - c.clock_before - 3600 * f.hours AS INTEGER) * INTERVAL '1' SECOND
            AS started_after,
        c.starts_at + CAST(d.clock_after - c.clock_before - 3600 * f.hours AS INTEGER) * INTERVAL '1' SECOND
            AS started_until,
        CAST(
            DATE_DIFF('second', c.starts_at, d.starts_at) + c.clock_before + 3600 * f.hours - d.clock_before
            AS INTEGER
        ) AS wait_seconds
    FROM policy.calendar AS c
    INNER JOIN span AS s ON c.day >= s.first_day AND c.day <= s.last_day
    INNER JOIN policy.fulfilment AS f ON c.day >= f.valid_from AND c.day < f.valid_until
    INNER JOIN policy.calendar AS d
        ON
            d.is_fulfilment_day
            AND d.clock_after >= c.clock_before + 3600 * f.hours
            AND d.clock_before < c.clock_after + 3600 * f.hours
),

started AS (
    SELECT
        e.*,
        CASE WHEN w.is_fulfilment_day THEN e.entered_at ELSE w.starts_at END AS started_at,
        w.started_after,
        w.started_until,
        w.wait_seconds
    FROM entered AS e
    INNER JOIN waits AS w ON CAST(e.entered_at AS DATE) = w.day
)

SELECT
    order_item_id,      -- the item
    order_number,       -- its order
    seller_id,          -- its seller
    sku,                -- its product
    commission,         -- naira
    pending_at,         -- when it entered Pending
    ready_from,         -- ready to ship from; null: not ready
    shipped_from,       -- shipped from; null: not shipped
    cancelled_at,       -- when it was cancelled; null: it was not
    entered_state,      -- pending or ready_to_ship
    entered_at,         -- when it entered the state
    started_at + wait_seconds * INTERVAL '1' SECOND
        AS deadline_at  -- by then it must have left the state; exactly then is in time
FROM started
WHERE started_at > started_after AND started_at <= started_until
