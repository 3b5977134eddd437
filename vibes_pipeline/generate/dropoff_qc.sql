-- dropoff_qc: checks of shipped items at drop-off, between being ready and being shipped.
-- Grain: one check; an item that failed is checked again with its replacement until it passes.
INSERT INTO raw.dropoff_qc BY NAME
WITH handed_in AS (
    SELECT
        i.order_item_id,
        epoch(i.ready_to_ship_at)::BIGINT AS ready,
        (epoch(i.shipped_at) - epoch(i.ready_to_ship_at))::BIGINT AS taken,
        CASE
            WHEN u(i.order_item_id, 'qc') >= s.qc_failure THEN 0
            WHEN u(i.order_item_id, 'qc again') >= $qc_failed_again THEN 1
            ELSE 2
        END AS failures
    FROM raw.order_items AS i
    JOIN made_sellers AS s USING (seller_id)
    WHERE i.ready_to_ship_at < i.shipped_at
        AND u(i.order_item_id, 'qc') < s.qc_failure + $qc_sampled
),
checks AS (
    SELECT *, unnest(range(failures + 1)) AS attempt FROM handed_in
)
SELECT
    'Q' || order_item_id[2:] || '-' || (attempt + 1) AS qc_id,
    order_item_id,
    make_timestamptz((ready + taken * (attempt + 1) // 4) * 1000000) AS checked_at,
    CASE WHEN attempt < failures THEN 'failed' ELSE 'passed' END AS result,
    CASE
        WHEN attempt >= failures THEN NULL
        WHEN u(order_item_id, 'qc why') < $wrong_item THEN 'wrong_item'
        WHEN u(order_item_id, 'qc why') < $wrong_item + $defective_item THEN 'defective_item'
        ELSE 'used_refurbished'
    END AS failure_reason
FROM checks
UNION ALL
-- A torn row: a failure of an item that nobody knows, without a reason.
SELECT 'Q-TORN', 'I-UNKNOWN', seen($span_seconds // 2), 'failed', NULL WHERE $has_torn_rows
