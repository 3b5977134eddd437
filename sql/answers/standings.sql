-- Each seller's standing: the record of the part of the observed week before $week_end, the band and limits that it
-- would bring, and how far the next bands are, one row per seller (Rulebook §15). Without activity there is no
-- band; that counts as the lightest band without limit. Exempt and delisted sellers are shown, marked so.
-- How far a band is, follows from the counts. With c cancelled items of n, a further shipped item changes the base n
-- alone: a rate r percent is undercut by every base greater than 100 c / r. With s shipped items, a further
-- cancelled one changes the base too: a rate r is exceeded by every base greater than 100 s / (100 - r).
-- Percentages are taken in ten thousandths, so that all divisions are of whole numbers.
-- grain: seller_id
WITH bands AS (
    SELECT
        b.band,
        b.daily_order_limit IS NULL AND b.daily_share_pct IS NULL AS has_no_limit,
        CAST(10000 * b.from_pct AS BIGINT) AS from_rate,
        b.includes_from,
        CAST(10000 * b.to_pct AS BIGINT) AS to_rate,
        b.includes_to
    FROM policy.order_regulation_bands AS b
    WHERE CAST($cycle AS DATE) >= b.valid_from AND CAST($cycle AS DATE) < b.valid_until
),

unlimited AS (
    SELECT MIN(band) AS band
    FROM bands
    WHERE has_no_limit
),

counted AS (
    SELECT
        s.seller_id,
        COALESCE(m.shipped_items, 0) AS shipped_items,
        COALESCE(m.shipped_orders, 0) AS shipped_orders,
        COALESCE(m.cancelled_items, 0) AS cancelled_items,
        COALESCE(m.cancelled_items, 0) + COALESCE(m.shipped_items, 0) AS items,
        m.cancellation_rate_pct,
        b.band,
        COALESCE(b.band, u.band) AS counts_as,
        b.daily_order_limit,
        b.pending_to_shipped_limit,
        e.seller_id IS NOT NULL AS is_exempt,
        a.seller_id IS NOT NULL AS is_delisted
    FROM warehouse.sellers AS s
    CROSS JOIN unlimited AS u
    LEFT JOIN metrics.seller_week AS m ON s.seller_id = m.seller_id
    LEFT JOIN metrics.seller_bands AS b ON s.seller_id = b.seller_id
    LEFT JOIN metrics.exempt_sellers AS e ON s.seller_id = e.seller_id
    LEFT JOIN ledger.account_delistings AS a ON s.seller_id = a.seller_id AND a.is_standing
),

-- The bases, from the least to the greatest, at which each lighter band holds the rate of the items cancelled now.
lighter AS (
    SELECT
        c.seller_id,
        b.has_no_limit,
        GREATEST(
            c.items + 1,
            CASE
                WHEN b.includes_to THEN (1000000 * c.cancelled_items + b.to_rate - 1) // NULLIF(b.to_rate, 0)
                ELSE 1000000 * c.cancelled_items // NULLIF(b.to_rate, 0) + 1
            END
        ) AS least_items,
        CASE
            WHEN b.includes_from THEN 1000000 * c.cancelled_items // NULLIF(b.from_rate, 0)
            ELSE (1000000 * c.cancelled_items + b.from_rate - 1) // NULLIF(b.from_rate, 0) - 1
        END AS most_items
    FROM counted AS c
    INNER JOIN bands AS b ON c.counts_as > b.band
    WHERE b.to_rate > 0
),

shipments AS (
    SELECT
        l.seller_id,
        MIN(l.least_items) AS items_to_lighter_band,
        MIN(CASE WHEN l.has_no_limit THEN l.least_items END) AS items_to_no_limit
    FROM lighter AS l
    WHERE l.most_items IS NULL OR l.least_items <= l.most_items
    GROUP BY l.seller_id
),

-- The bases at which each heavier band holds the rate that further cancelled items would bring.
heavier AS (
    SELECT
        c.seller_id,
        GREATEST(
            c.items + 1,
            CASE
                WHEN c.shipped_items = 0 THEN 1
                WHEN b.includes_from
                    THEN (1000000 * c.shipped_items + 1000000 - b.from_rate - 1) // NULLIF(1000000 - b.from_rate, 0)
                ELSE 1000000 * c.shipped_items // NULLIF(1000000 - b.from_rate, 0) + 1
            END
        ) AS least_items,
        CASE
            WHEN b.to_rate IS NULL OR b.to_rate > 1000000 THEN NULL
            WHEN c.shipped_items = 0 THEN CASE WHEN b.to_rate = 1000000 AND b.includes_to THEN NULL ELSE 0 END
            WHEN b.includes_to THEN 1000000 * c.shipped_items // NULLIF(1000000 - b.to_rate, 0)
            ELSE (1000000 * c.shipped_items + 1000000 - b.to_rate - 1) // NULLIF(1000000 - b.to_rate, 0) - 1
        END AS most_items
    FROM counted AS c
    INNER JOIN bands AS b ON c.counts_as < b.band
    WHERE
        b.from_rate < 1000000
        OR (b.from_rate = 1000000 AND b.includes_from AND c.shipped_items = 0)
),

cancellations AS (
    SELECT
        h.seller_id,
        MIN(h.least_items) AS items_to_heavier_band
    FROM heavier AS h
    WHERE h.most_items IS NULL OR h.least_items <= h.most_items
    GROUP BY h.seller_id
)

SELECT
    c.seller_id,                                                                    -- the seller
    CAST($cycle AS DATE) AS week,                                                   -- the observed week, by its Monday
    c.shipped_items,                                                                -- items shipped so far
    c.shipped_orders,                                                               -- their distinct orders
    c.cancelled_items,                                                              -- cancelled for an accountable reason
    c.cancellation_rate_pct,                                                        -- rounded; null without activity
    c.band,                                                                         -- row of the rule's table, from 0
    c.daily_order_limit,                                                            -- orders a day; null: no limit
    c.pending_to_shipped_limit,                                                     -- orders; null: no limit
    CAST(s.items_to_lighter_band - c.items AS BIGINT) AS shipments_to_lighter_band, -- null: in the lightest
    CASE WHEN NOT o.has_no_limit THEN CAST(s.items_to_no_limit - c.items AS BIGINT) END
        AS shipments_to_no_limit,                                                   -- null: has no limit
    CAST(h.items_to_heavier_band - c.items AS BIGINT)
        AS cancellations_to_heavier_band,                                           -- null: in the heaviest
    c.is_exempt,                                                                    -- from order regulation
    c.is_delisted                                                                   -- the account
FROM counted AS c
LEFT JOIN bands AS o ON c.counts_as = o.band
LEFT JOIN shipments AS s ON c.seller_id = s.seller_id
LEFT JOIN cancellations AS h ON c.seller_id = h.seller_id
