-- When each item's hours of running clock are full, one row per item and state it entered
-- (Rulebook §3): pending, and ready to ship for items not shipped. The clock stands still outside
-- fulfilment days; a deadline is the instant at which the calendar's running clock reaches the clock
-- of the start plus the policy's hours. An instant that is full exactly at a day's end belongs to
-- that day, not to the next running one. Days are matched with days before any item is looked at,
-- for items joined to the calendar by a range are compared with every day of it.
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

-- Per day of entering, the day or two on which the hours can be full.
possible_days AS (
    SELECT
        c.day,
        c.starts_at,
        c.is_fulfilment_day,
        1000000 * (c.clock_before + 3600 * f.hours) AS full_at_start_us,
        d.starts_at AS deadline_day_starts_at,
        1000000 * d.clock_before AS clock_before_us,
        1000000 * d.clock_after AS clock_after_us
    FROM policy.calendar AS c
    INNER JOIN policy.fulfilment AS f ON c.day >= f.valid_from AND c.day < f.valid_until
    INNER JOIN policy.calendar AS d
        ON
            d.is_fulfilment_day
            AND c.clock_before + 3600 * f.hours <= d.clock_after
            AND c.clock_after + 3600 * f.hours > d.clock_before
    WHERE c.day IN (SELECT CAST(entered_at AS DATE) FROM entered)
),

placed AS (
    SELECT
        e.order_item_id,
        e.entered_state,
        e.entered_at,
        p.deadline_day_starts_at,
        p.clock_before_us,
        p.clock_after_us,
        p.full_at_start_us
        + CASE WHEN p.is_fulfilment_day THEN DATE_DIFF('microsecond', p.starts_at, e.entered_at) ELSE 0 END
            AS full_at_clock_us
    FROM entered AS e
    INNER JOIN possible_days AS p ON CAST(e.entered_at AS DATE) = p.day
),

filled AS (
    SELECT
        order_item_id,
        entered_state,
        entered_at,
        deadline_day_starts_at AS starts_at,
        full_at_clock_us - clock_before_us AS us_into_day
    FROM placed
    WHERE full_at_clock_us > clock_before_us AND full_at_clock_us <= clock_after_us
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
