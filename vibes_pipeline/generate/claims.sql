-- claims: what sellers object to. Grain: one claim.
-- Of each kind of trouble a few items are picked by chance; by their number, every third claim is
-- upheld, every third rejected, the others undecided; every fifth lacks what it must state.
INSERT INTO raw.claims BY NAME
WITH item_times AS NOT MATERIALIZED (
    SELECT
        order_item_id,
        seller_id,
        sku,
        order_number,
        tracking_number,
        commission,
        cancel_reason,
        return_reason,
        delivered_at,
        rejected_at,
        epoch(pending_at)::BIGINT - getvariable('start_epoch') AS pending,
        epoch(ready_to_ship_at)::BIGINT - getvariable('start_epoch') AS ready,
        epoch(shipped_at)::BIGINT - getvariable('start_epoch') AS shipped,
        epoch(cancelled_at)::BIGINT - getvariable('start_epoch') AS cancelled,
        epoch(rejected_at)::BIGINT - getvariable('start_epoch') AS rejected,
        epoch(returned_at)::BIGINT - getvariable('start_epoch') AS returned
    FROM raw.order_items
    WHERE order_item_id IS NOT NULL AND pending_at IS NOT NULL
),
troubles AS (
    SELECT 'stock' AS trouble, order_item_id, cancelled AS known
    FROM item_times WHERE cancel_reason = 'out_of_stock'
    UNION ALL
    SELECT 'late', order_item_id, ready FROM item_times WHERE ready > a_day_after(pending)
    UNION ALL
    -- A bill can be read once the week after the deadline's is over.
    SELECT 'bill', order_item_id, (a_day_after(pending) // 604800 + 2) * 604800
    FROM item_times
    WHERE ready > a_day_after(pending) AND commission < $small_commission
    UNION ALL
    SELECT 'return', order_item_id, returned
    FROM item_times WHERE return_reason IN ('wrong_item', 'defective_item', 'used_refurbished')
    UNION ALL
    SELECT 'rejection', order_item_id, rejected FROM item_times WHERE rejected IS NOT NULL
    UNION ALL
    SELECT 'loss', order_item_id, shipped + 864000
    FROM item_times
    WHERE shipped IS NOT NULL AND delivered_at IS NULL AND rejected_at IS NULL
    UNION ALL
    SELECT 'qc', order_item_id, epoch(min(checked_at))::BIGINT - getvariable('start_epoch')
    FROM raw.dropoff_qc WHERE result = 'failed' GROUP BY order_item_id
    UNION ALL
    SELECT 'counterfeit', order_item_id,
        epoch(notified_at)::BIGINT - getvariable('start_epoch')
    FROM raw.counterfeit_cases WHERE notified_at IS NOT NULL
),
raised AS (
    SELECT
        *,
        by_day(known + CASE trouble
            WHEN 'counterfeit' THEN 7200 + floor(u(order_item_id, 'claim delay') * 72000)::BIGINT
            ELSE between_days(u(order_item_id, 'claim delay'), 1, 12)
        END) AS raised
    FROM troubles
),
picked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY trouble ORDER BY u(order_item_id, trouble), order_item_id
        ) AS place
    FROM raised
    WHERE raised < $span_seconds
    QUALIFY place <= $claims_per_trouble
),
handed_in AS (
    -- One counterfeit claim in four comes a week too late.
    SELECT
        * EXCLUDE (raised),
        raised + CASE WHEN trouble = 'counterfeit' AND place % 4 = 0 THEN 604800 ELSE 0 END
            AS raised,
        place % 5 = 0 AS is_incomplete
    FROM picked
),
outcomes AS (
    SELECT
        h.*,
        i.* EXCLUDE (order_item_id),
        by_day(h.raised + between_days(u(order_item_id, 'claim decision'), 1, 5)) AS decided,
        CASE WHEN NOT is_incomplete
            THEN CASE place % 3 WHEN 1 THEN 'upheld' WHEN 2 THEN 'rejected' END END AS outcome
    FROM item_times AS i
    JOIN handed_in AS h USING (order_item_id)
),
decided AS (
    SELECT
        * EXCLUDE (outcome),
        CASE WHEN decided < $span_seconds THEN outcome END AS decision
    FROM outcomes
)
SELECT
    'K-' || o.trouble || '-' || lpad(o.place::VARCHAR, 3, '0') AS claim_id,
    CASE
        WHEN o.trouble = 'counterfeit' THEN 'counterfeit'
        WHEN o.trouble IN ('loss', 'qc') THEN 'seko_warehouse'
        WHEN o.trouble = 'bill' THEN 'bill_problem'
        WHEN o.trouble = 'stock' AND o.place % 2 = 1 THEN 'cancel_wrong_orders'
        ELSE 'vibes_action'
    END AS category,
    CASE
        WHEN o.trouble = 'stock' AND o.place % 2 = 1 THEN [
            'store_on_holiday', 'api_issue', 'sku_deleted_still_ordered',
            'sku_deleted_alive_on_alice', 'sku_inactive_still_ordered',
            'sku_inactive_alive_on_alice'
        ][1 + o.place // 2 % 6]
        WHEN o.trouble = 'stock' THEN 'out_of_stock_charge'
        WHEN o.trouble = 'late' AND o.place % 2 = 1 THEN 'late_fulfilment_charge'
        WHEN o.trouble = 'return' THEN 'returns_charge'
        WHEN o.trouble = 'rejection' THEN 'sales_regulation'
        WHEN o.trouble = 'loss' AND o.place % 2 = 0 THEN 'package_loss'
    END AS reason,
    s.country,
    CASE WHEN NOT o.is_incomplete OR o.trouble = 'late' THEN s.shop_name END AS shop_name,
    o.seller_id,
    CASE WHEN o.trouble <> 'bill' AND NOT (o.is_incomplete AND o.trouble = 'late')
        THEN o.order_number END AS order_number,
    CASE WHEN o.trouble <> 'bill' THEN o.sku END AS sku,
    CASE WHEN o.trouble IN ('loss', 'qc') THEN o.tracking_number END AS tracking_number,
    CASE WHEN o.trouble = 'stock' AND o.place % 2 = 1 AND 1 + o.place // 2 % 6 = 2
        THEN 'https://api.shop.example/orders' END AS api_endpoint,
    CASE WHEN o.trouble = 'bill'
        THEN ($first_week::DATE + (a_day_after(o.pending) // 604800 + 1)::INTEGER * 7)::VARCHAR
    END AS statement_period,
    CASE WHEN o.trouble = 'bill' THEN 'penalty' END AS transaction_type,
    CASE WHEN o.trouble = 'bill' THEN o.commission END AS amount,
    NULL AS action_reference,
    CASE WHEN o.is_incomplete AND o.trouble IN ('return', 'rejection') THEN NULL ELSE
        CASE o.trouble
            WHEN 'stock' THEN 'The listing was closed before this order came in.'
            WHEN 'late' THEN 'The parcel stood ready in time; the status was not saved.'
            WHEN 'bill' THEN 'We do not recognise this penalty.'
            WHEN 'return' THEN 'The item sent back is not the one we sold.'
            WHEN 'rejection' THEN 'The buyer was not at home; nothing was wrong with the item.'
            WHEN 'loss' THEN 'The parcel was handed in and has not been seen since.'
            WHEN 'qc' THEN 'The check compared the item with another listing.'
            ELSE 'We are an authorised dealer of the brand.'
        END
    END AS comment,
    CASE
        WHEN o.is_incomplete THEN []
        WHEN o.trouble = 'counterfeit'
            THEN ['brand-authority.pdf', 'authenticity-statement.pdf']
        WHEN o.trouble IN ('loss', 'qc') THEN ['claim-table.xlsx']
        WHEN o.trouble = 'bill' THEN ['statement.pdf']
        ELSE []
    END::VARCHAR[] AS attachments,
    seen(o.raised) AS raised_at,
    o.decision,
    CASE WHEN o.decision IS NOT NULL THEN seen(o.decided) END AS decided_at,
    CASE WHEN o.decision IS NOT NULL THEN 'seller-support' END AS decided_by
FROM decided AS o
JOIN raw.sellers AS s USING (seller_id)
WHERE o.raised < $span_seconds
