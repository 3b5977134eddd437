-- When each item's hours of running clock are full, one row per item and state it entered
-- (Rulebook §3): pending, and ready to ship for items not shipped. The clock stands still outside
-- fulfilment days; a deadline is the instant at which the calendar's running clock reaches the clock
-- of the start plus the policy's hours. An instant that is full exactly at a day's end belongs to
-- that day, not to the next running one.
WITH entered AS (
    SELECT
        order_item_id,
        'pending' AS entered_state,
        pending_at AS entered_at
    FROM warehouse.order_items
    UNION ALL
    SELECT
        order_item_id,
        'ready_to_ship' AS entered_state,
        ready_to_ship_at AS entered_at
    FROM warehouse.order_items
    WHERE ready_to_ship_at IS NOT NULL AND shipped_from IS NULL
),

started AS (
    SELECT
        e.order_item_id,
        e.entered_state,
        e.entered_at,
        1000000 * (c.clock_before + 3600 * f.hours)
        + CASE WHEN c.is_fulfilment_day THEN DATE_DIFF('microsecond', c.starts_at, e.entered_at) ELSE 0 END
            AS full_at_clock_us
    FROM entered AS e
    INNER JOIN policy.calendar AS c ON c.day = CAST(e.entered_at AS DATE)
    INNER JOIN policy.fulfilment AS f ON c.day >= f.valid_from AND c.day < f.valid_until
),

filled AS (
    SELECT
        s.order_item_id,
        s.entered_state,
        s.entered_at,
        d.starts_at,
        s.full_at_clock_us - 1000000 * d.clock_before AS us_into_day
    FROM started AS s
    INNER JOIN policy.calendar AS d
        ON
            d.is_fulfilment_day
            AND s.full_at_clock_us > 1000000 * d.clock_before
            AND s.full_at_clock_us <= 1000000 * d.clock_after
)

SELECT
    order_item_id,      -- the item
    entered_state,      -- pending or ready_to_ship
    entered_at,         -- when it entered the state
    starts_at
    + CAST(us_into_day // 1000000 AS INTEGER) * INTERVAL '1' SECOND
    + CAST(us_into_day % 1000000 AS INTEGER) * INTERVAL '1' MICROSECOND
        AS deadline_at  -- by then it must have left the state; exactly then is in time
FROM filled
