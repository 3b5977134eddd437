-- Order items set aside: one row per stored row that breaks the raw contract, with why (Rulebook §13).
-- Judged as stored, also where a time has not come yet. Every copy of a repeated id is bad, so whether
-- an item is good depends on its id alone. Items of other countries' sellers are not considered.
-- grain: every stored row
WITH repeated AS (
    SELECT order_item_id
    FROM warehouse.stored_items
    WHERE order_item_id IS NOT NULL
    GROUP BY order_item_id
    HAVING COUNT(*) > 1
),

-- Each fault is a condition first, and only the rows with one are put into words. An id that begins
-- with a visible ASCII character is not empty; only other ids are searched for a visible one.
judged AS (
    SELECT
        i.*,
        CASE
            WHEN i.order_item_id IS NULL THEN 'order_item_id is null'
            WHEN NOT i.order_item_id BETWEEN '!' AND '~' AND NOT REGEXP_MATCHES(i.order_item_id, $visible)
                THEN 'order_item_id is empty'
            WHEN CONTAINS(i.order_item_id, CHR(0)) THEN 'order_item_id holds a NUL character'
            WHEN LENGTH(i.order_item_id) > $longest_id THEN 'order_item_id is too long'
        END AS id_fault,
        r.order_item_id IS NOT NULL AS is_repeated,
        CASE
            WHEN i.order_number IS NULL THEN 'order_number is null'
            WHEN NOT i.order_number BETWEEN '!' AND '~' AND NOT REGEXP_MATCHES(i.order_number, $visible)
                THEN 'order_number is empty'
            WHEN CONTAINS(i.order_number, CHR(0)) THEN 'order_number holds a NUL character'
            WHEN LENGTH(i.order_number) > $longest_id THEN 'order_number is too long'
        END AS number_fault,
        s.seller_id IS NULL AS has_no_seller,
        p.sku IS NULL AS has_no_product,
        COALESCE(p.seller_id <> i.seller_id, FALSE) AS is_of_another_seller,
        i.pending_at IS NULL AS has_no_pending_at,
        i.item_price IS NULL AS has_no_price,
        COALESCE(i.item_price < 0, FALSE) AS has_negative_price,
        i.commission IS NULL AS has_no_commission,
        COALESCE(i.commission < 0, FALSE) AS has_negative_commission,
        COALESCE(i.pending_at < $earliest_instant OR i.pending_at >= $latest_instant, FALSE) AS has_odd_pending_at,
        COALESCE(i.ready_to_ship_at < $earliest_instant OR i.ready_to_ship_at >= $latest_instant, FALSE) AS has_odd_ready_to_ship_at,
        COALESCE(i.shipped_at < $earliest_instant OR i.shipped_at >= $latest_instant, FALSE) AS has_odd_shipped_at,
        COALESCE(i.delivered_at < $earliest_instant OR i.delivered_at >= $latest_instant, FALSE) AS has_odd_delivered_at,
        COALESCE(i.cancelled_at < $earliest_instant OR i.cancelled_at >= $latest_instant, FALSE) AS has_odd_cancelled_at,
        COALESCE(i.rejected_at < $earliest_instant OR i.rejected_at >= $latest_instant, FALSE) AS has_odd_rejected_at,
        COALESCE(i.returned_at < $earliest_instant OR i.returned_at >= $latest_instant, FALSE) AS has_odd_returned_at,
        COALESCE(i.ready_to_ship_at < i.pending_at, FALSE) AS has_early_ready_to_ship_at,
        COALESCE(i.shipped_at < i.pending_at, FALSE) AS has_early_shipped_at,
        COALESCE(i.delivered_at < i.pending_at, FALSE) AS has_early_delivered_at,
        COALESCE(i.cancelled_at < i.pending_at, FALSE) AS has_early_cancelled_at,
        COALESCE(i.rejected_at < i.pending_at, FALSE) AS has_early_rejected_at,
        COALESCE(i.returned_at < i.pending_at, FALSE) AS has_early_returned_at,
        i.delivered_at IS NOT NULL AND i.rejected_at IS NOT NULL AS is_both,
        i.cancelled_at IS NOT NULL AND c.reason IS NULL AS lacks_cancel_reason,
        i.returned_at IS NOT NULL AND t.reason IS NULL AS lacks_return_reason
    FROM warehouse.stored_items AS i
    LEFT JOIN repeated AS r ON i.order_item_id = r.order_item_id
    LEFT JOIN warehouse.sellers AS s ON i.seller_id = s.seller_id
    LEFT JOIN warehouse.products AS p ON i.sku = p.sku
    LEFT JOIN warehouse.foreign_sellers AS f ON i.seller_id = f.seller_id
    LEFT JOIN (SELECT DISTINCT reason FROM policy.cancel_reasons) AS c ON i.cancel_reason = c.reason
    LEFT JOIN (SELECT DISTINCT reason FROM policy.return_reasons) AS t ON i.return_reason = t.reason
    WHERE f.seller_id IS NULL
),

bad AS (
    SELECT
        *,
        CONCAT_WS(
            '; ',
            id_fault,
            CASE WHEN is_repeated THEN 'order_item_id occurs more than once' END,
            number_fault,
            CASE WHEN has_no_seller THEN 'seller is unknown or set aside' END,
            CASE WHEN has_no_product THEN 'SKU is unknown or set aside' END,
            CASE WHEN is_of_another_seller THEN 'SKU is another seller''s' END,
            CASE WHEN has_no_pending_at THEN 'pending_at is null' END,
            CASE WHEN has_no_price THEN 'item_price is null' END,
            CASE WHEN has_negative_price THEN 'item_price is negative' END,
            CASE WHEN has_no_commission THEN 'commission is null' END,
            CASE WHEN has_negative_commission THEN 'commission is negative' END,
            CASE WHEN has_odd_pending_at THEN 'pending_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_ready_to_ship_at THEN 'ready_to_ship_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_shipped_at THEN 'shipped_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_delivered_at THEN 'delivered_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_cancelled_at THEN 'cancelled_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_rejected_at THEN 'rejected_at is outside the years 1970 to 2200' END,
            CASE WHEN has_odd_returned_at THEN 'returned_at is outside the years 1970 to 2200' END,
            CASE WHEN has_early_ready_to_ship_at THEN 'ready_to_ship_at is before pending_at' END,
            CASE WHEN has_early_shipped_at THEN 'shipped_at is before pending_at' END,
            CASE WHEN has_early_delivered_at THEN 'delivered_at is before pending_at' END,
            CASE WHEN has_early_cancelled_at THEN 'cancelled_at is before pending_at' END,
            CASE WHEN has_early_rejected_at THEN 'rejected_at is before pending_at' END,
            CASE WHEN has_early_returned_at THEN 'returned_at is before pending_at' END,
            CASE WHEN is_both THEN 'both delivered and rejected' END,
            CASE WHEN lacks_cancel_reason THEN 'cancelled_at without a known reason' END,
            CASE WHEN lacks_return_reason THEN 'returned_at without a known reason' END
        ) AS faults
    FROM judged
    WHERE
        id_fault IS NOT NULL
        OR is_repeated
        OR number_fault IS NOT NULL
        OR has_no_seller
        OR has_no_product
        OR is_of_another_seller
        OR has_no_pending_at
        OR has_no_price
        OR has_negative_price
        OR has_no_commission
        OR has_negative_commission
        OR has_odd_pending_at
        OR has_odd_ready_to_ship_at
        OR has_odd_shipped_at
        OR has_odd_delivered_at
        OR has_odd_cancelled_at
        OR has_odd_rejected_at
        OR has_odd_returned_at
        OR has_early_ready_to_ship_at
        OR has_early_shipped_at
        OR has_early_delivered_at
        OR has_early_cancelled_at
        OR has_early_rejected_at
        OR has_early_returned_at
        OR is_both
        OR lacks_cancel_reason
        OR lacks_return_reason
)

SELECT
    order_item_id AS row_id,    -- the stored order_item_id; null where that is the fault
    seller_id,                  -- the seller the row names
    faults,                     -- every reason, separated by semicolons
    COALESCE(
        (pending_at >= $week_start AND pending_at < $week_end)
        OR (ready_to_ship_at >= $week_start AND ready_to_ship_at < $week_end)
        OR (shipped_at >= $week_start AND shipped_at < $week_end)
        OR (delivered_at >= $week_start AND delivered_at < $week_end)
        OR (cancelled_at >= $week_start AND cancelled_at < $week_end)
        OR (rejected_at >= $week_start AND rejected_at < $week_end)
        OR (returned_at >= $week_start AND returned_at < $week_end),
        FALSE
    ) AS is_in_observed_week,   -- whether any of its times lies in the observed week
    CAST(TO_JSON(STRUCT_PACK(
        order_item_id := order_item_id,
        order_number := order_number,
        seller_id := seller_id,
        sku := sku,
        item_price := CAST(item_price AS VARCHAR),
        commission := CAST(commission AS VARCHAR),
        pending_at := pending_at,
        ready_to_ship_at := ready_to_ship_at,
        shipped_at := shipped_at,
        delivered_at := delivered_at,
        cancelled_at := cancelled_at,
        cancel_reason := cancel_reason,
        rejected_at := rejected_at,
        returned_at := returned_at,
        return_reason := return_reason
    )) AS VARCHAR) AS stored_row            -- the row as stored, as JSON, the customer left out
FROM bad
