-- Sellers whose account a person may decide to delist, one row per seller with a quality return, a
-- drop-off failure or a counterfeit finding in the observed week (Rulebook §8). A right, not an
-- automatism: this lists, people decide.
WITH happened AS (
    SELECT seller_id, 1 AS quality_returns, 0 AS dropoff_failures, 0 AS counterfeits
    FROM events.quality_returns
    WHERE event_at >= $week_start AND event_at < $week_end
    UNION ALL
    SELECT seller_id, 0 AS quality_returns, 1 AS dropoff_failures, 0 AS counterfeits
    FROM events.dropoff_qc_failures
    WHERE event_at >= $week_start AND event_at < $week_end
    UNION ALL
    SELECT seller_id, 0 AS quality_returns, 0 AS dropoff_failures, 1 AS counterfeits
    FROM events.counterfeit_findings
    WHERE event_at >= $week_start AND event_at < $week_end
)

SELECT
    seller_id,                                                  -- the seller to review
    CAST(SUM(quality_returns) AS INTEGER) AS quality_returns,   -- items returned for quality
    CAST(SUM(dropoff_failures) AS INTEGER) AS dropoff_failures, -- items that failed at drop-off
    CAST(SUM(counterfeits) AS INTEGER) AS counterfeits          -- items proven counterfeit
FROM happened
GROUP BY seller_id
