-- Sellers whose account a person may decide to delist, one row per seller with a quality return, a
-- drop-off failure or a counterfeit finding in the observed week (Rulebook §8). A right, not an
-- automatism: this lists, people decide.
-- Which events list a seller is policy.
WITH happened AS (
    SELECT 'return' AS event, seller_id, 1 AS quality_returns, 0 AS dropoff_failures, 0 AS counterfeits
    FROM events.quality_returns
    WHERE event_at >= $week_start AND event_at < $week_end
    UNION ALL
    SELECT 'dropoff_qc' AS event, seller_id, 0 AS quality_returns, 1 AS dropoff_failures, 0 AS counterfeits
    FROM events.dropoff_qc_failures
    WHERE event_at >= $week_start AND event_at < $week_end
    UNION ALL
    SELECT 'counterfeit' AS event, seller_id, 0 AS quality_returns, 0 AS dropoff_failures, 1 AS counterfeits
    FROM events.counterfeit_findings
    WHERE event_at >= $week_start AND event_at < $week_end
)

SELECT
    h.seller_id,                                                    -- the seller to review
    CAST(SUM(h.quality_returns) AS INTEGER) AS quality_returns,     -- items returned for quality
    CAST(SUM(h.dropoff_failures) AS INTEGER) AS dropoff_failures,   -- items that failed at drop-off
    CAST(SUM(h.counterfeits) AS INTEGER) AS counterfeits            -- items proven counterfeit
FROM happened AS h
INNER JOIN policy.review_events AS p
    ON
        h.event = p.event
        AND CAST($cycle AS DATE) >= p.valid_from
        AND CAST($cycle AS DATE) < p.valid_until
GROUP BY h.seller_id
