-- The windows in which products' rejections and returns are counted: one row (Rulebook §7). Returns are those of
-- an earlier week, because products are regulated "two weeks later based on their return rate".
-- ephemeral
-- grain: one row
SELECT
    w.starts_at AS rejections_from,         -- rejections: from then on, until the observed week's end
    first_day.starts_at AS returns_from,    -- returns: from then on
    next_week.starts_at AS returns_until    -- until then, excluded
FROM policy.sales_regulation AS p
INNER JOIN policy.calendar AS w ON w.day = CAST($cycle AS DATE) + 7 - CAST(p.rejection_window_days AS INTEGER)
INNER JOIN policy.calendar AS first_day
    ON first_day.day = CAST($cycle AS DATE) - 7 * CAST(p.return_lag_weeks AS INTEGER)
INNER JOIN policy.calendar AS next_week ON next_week.day = first_day.day + 7
WHERE CAST($cycle AS DATE) >= p.valid_from AND CAST($cycle AS DATE) < p.valid_until
