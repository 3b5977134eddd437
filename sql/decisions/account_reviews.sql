-- Sellers whose account a person may decide to delist, one row per seller with a quality return, a
-- drop-off failure or a counterfeit finding (Rulebook §8). The list delists nobody: people decide.
-- The event is of the observed week, or of an earlier week and charged by this cycle: then it arrived after the
-- cycle of its own week was decided. Which events list a seller is policy.
-- grain: seller_id
WITH happened AS (
    SELECT 'return' AS event, seller_id, order_item_id
    FROM events.quality_returns
    WHERE excused_by IS NULL AND event_at >= $week_start AND event_at < $week_end
    UNION
    SELECT 'return' AS event, seller_id, order_item_id
    FROM decisions.returns_charges
    UNION
    SELECT 'dropoff_qc' AS event, seller_id, order_item_id
    FROM events.dropoff_qc_failures
    WHERE excused_by IS NULL AND event_at >= $week_start AND event_at < $week_end
    UNION
    SELECT 'dropoff_qc' AS event, seller_id, order_item_id
    FROM decisions.dropoff_qc_charges
    UNION
    SELECT 'counterfeit' AS event, seller_id, order_item_id
    FROM decisions.reviewed_counterfeits
)

SELECT
    h.seller_id,                                                                    -- the seller to review
    CAST(COUNT(CASE WHEN h.event = 'return' THEN 1 END) AS INTEGER)
        AS quality_returns,                                                         -- items returned for quality
    CAST(COUNT(CASE WHEN h.event = 'dropoff_qc' THEN 1 END) AS INTEGER)
        AS dropoff_failures,                                                        -- items that failed at drop-off
    CAST(COUNT(CASE WHEN h.event = 'counterfeit' THEN 1 END) AS INTEGER)
        AS counterfeits                                                             -- items proven counterfeit
FROM happened AS h
INNER JOIN policy.review_events AS p
    ON
        h.event = p.event
        AND CAST($cycle AS DATE) >= p.valid_from
        AND CAST($cycle AS DATE) < p.valid_until
GROUP BY h.seller_id
