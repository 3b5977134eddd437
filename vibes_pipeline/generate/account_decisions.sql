-- account_decisions: what people decided about sellers with quality returns. Grain: one decision.
-- Midway one seller is delisted, one kept, and one delisted and twelve days later kept after all;
-- at the end one of those whose products are bad is delisted too.
INSERT INTO raw.account_decisions BY NAME
WITH blamed AS (
    SELECT
        i.seller_id,
        s.temperament = 'shoddy' AS is_shoddy,
        min(epoch(i.returned_at))::BIGINT - getvariable('start_epoch') AS first_return
    FROM raw.order_items AS i
    JOIN made_sellers AS s USING (seller_id)
    WHERE i.return_reason IN ('wrong_item', 'defective_item', 'used_refurbished')
    GROUP BY ALL
),
-- A decision falls on a Thursday at 14:00, on a return of an earlier week.
timed AS (
    SELECT *, CASE WHEN is_shoddy THEN $last_week ELSE $middle_week END * 604800 AS week_start
    FROM blamed
),
placed AS (
    SELECT
        seller_id,
        is_shoddy,
        week_start + 309600 AS decided,
        row_number() OVER (
            PARTITION BY is_shoddy ORDER BY u(seller_id, 'account'), seller_id
        ) AS place
    FROM timed
    WHERE first_return < week_start
    QUALIFY place <= CASE WHEN is_shoddy THEN 1 ELSE 3 END
),
decisions AS (
    SELECT seller_id, decided, CASE WHEN place = 2 THEN 'keep' ELSE 'delist' END AS decision
    FROM placed
    UNION ALL
    SELECT seller_id, decided + 1036800, 'keep'
    FROM placed
    WHERE place = 3 AND decided + 1036800 < $span_seconds
)
SELECT
    'D-' || row_number() OVER (ORDER BY decided, seller_id) AS decision_id,
    seller_id,
    decision,
    seen(decided) AS decided_at,
    'account-review' AS decided_by,
    CASE decision
        WHEN 'delist' THEN 'Quality returns in spite of earlier warnings.'
        ELSE 'The cause has been found and removed.'
    END AS reason
FROM decisions
