-- When each item's 24 hours of running clock are full, one row per item of the working set
-- (Rulebook §3). The clock stands still outside fulfilment days; a deadline is the instant at which
-- the calendar's running clock reaches the clock of the start plus the policy's hours. An instant
-- that is full exactly at a day's end belongs to that day, not to the next running one.
WITH started AS (
    SELECT
        i.order_item_id,
        1000000 * (c.clock_before + 3600 * f.hours)
        + CASE WHEN c.is_fulfilment_day THEN DATE_DIFF('microsecond', c.starts_at, i.pending_at) ELSE 0 END
            AS full_at_clock_us
    FROM warehouse.order_items AS i
    INNER JOIN policy.calendar AS c ON c.day = CAST(i.pending_at AS DATE)
    INNER JOIN policy.fulfilment AS f ON c.day >= f.valid_from AND c.day < f.valid_until
)

SELECT
    s.order_item_id,    -- the item
    d.starts_at + TO_MICROSECONDS(s.full_at_clock_us - 1000000 * d.clock_before)
        AS pending_deadline_at      -- by then it must be ready to ship; exactly then is in time
FROM started AS s
INNER JOIN policy.calendar AS d
    ON
        d.is_fulfilment_day
        AND s.full_at_clock_us > 1000000 * d.clock_before
        AND s.full_at_clock_us <= 1000000 * d.clock_after
