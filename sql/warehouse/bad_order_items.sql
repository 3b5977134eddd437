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

-- The few rows that may have a fault, found by conditions that are cheap to try on every row. An id that begins with
-- a visible ASCII character is not empty. A product of the row's seller has a seller who is known.
suspected AS (
    SELECT
        i.*,
        r.order_item_id IS NOT NULL AS is_repeated,
        p.seller_id AS seller_of_product,
        c.reason AS known_cancel_reason,
        t.reason AS known_return_reason
    FROM warehouse.stored_items AS i
    LEFT JOIN repeated AS r ON i.order_item_id = r.order_item_id
    LEFT JOIN warehouse.products AS p ON i.sku = p.sku
    LEFT JOIN (SELECT DISTINCT reason FROM policy.cancel_reasons) AS c ON i.cancel_reason = c.reason
    LEFT JOIN (SELECT DISTINCT reason FROM policy.return_reasons) AS t ON i.return_reason = t.reason
    LEFT JOIN warehouse.foreign_sellers AS f ON i.seller_id = f.seller_id
    WHERE
        f.seller_id IS NULL
        AND (
            COALESCE(NOT i.order_item_id BETWEEN '!' AND '~', TRUE)
            OR COALESCE(NOT i.order_number BETWEEN '!' AND '~', TRUE)
            OR CONTAINS(i.order_item_id, CHR(0))
            OR CONTAINS(i.order_number, CHR(0))
            OR LENGTH(i.order_item_id) > $longest_id
            OR LENGTH(i.order_number) > $longest_id
            OR r.order_item_id IS NOT NULL
            OR COALESCE(i.seller_id <> p.seller_id, TRUE)
            OR COALESCE(i.item_price < 0, TRUE)
            OR COALESCE(i.commission < 0, TRUE)
            OR COALESCE(i.pending_at < $earliest_instant, TRUE)
            OR LEAST(
                i.ready_to_ship_at, i.shipped_at, i.delivered_at, i.cancelled_at, i.rejected_at, i.returned_at
            ) < i.pending_at
            OR GREATEST(
                i.pending_at, i.ready_to_ship_at, i.shipped_at, i.delivered_at, i.cancelled_at, i.rejected_at,
                i.returned_at
            ) >= $latest_instant
            OR (i.delivered_at IS NOT NULL AND i.rejected_at IS NOT NULL)
            OR (i.cancelled_at IS NOT NULL AND c.reason IS NULL)
            OR (i.returned_at IS NOT NULL AND t.reason IS NULL)
        )
),

judged AS (
    SELECT
        i.*,
        CONCAT_WS(
            '; ',
            CASE
                WHEN i.order_item_id IS NULL THEN 'order_item_id is null'
                WHEN NOT REGEXP_MATCHES(i.order_item_id, $visible) THEN 'order_item_id is empty'
                WHEN CONTAINS(i.order_item_id, CHR(0)) THEN 'order_item_id holds a NUL character'
                WHEN LENGTH(i.order_item_id) > $longest_id THEN 'order_item_id is too long'
            END,
            CASE WHEN i.is_repeated THEN 'order_item_id occurs more than once' END,
            CASE
                WHEN i.order_number IS NULL THEN 'order_number is null'
                WHEN NOT REGEXP_MATCHES(i.order_number, $visible) THEN 'order_number is empty'
                WHEN CONTAINS(i.order_number, CHR(0)) THEN 'order_number holds a NUL character'
                WHEN LENGTH(i.order_number) > $longest_id THEN 'order_number is too long'
            END,
            CASE WHEN s.seller_id IS NULL THEN 'seller is unknown or set aside' END,
            CASE WHEN i.seller_of_product IS NULL THEN 'SKU is unknown or set aside' END,
            CASE WHEN i.seller_of_product <> i.seller_id THEN 'SKU is another seller''s' END,
            CASE WHEN i.pending_at IS NULL THEN 'pending_at is null' END,
            CASE WHEN i.item_price IS NULL THEN 'item_price is null' END,
            CASE WHEN i.item_price < 0 THEN 'item_price is negative' END,
            CASE WHEN i.commission IS NULL THEN 'commission is null' END,
            CASE WHEN i.commission < 0 THEN 'commission is negative' END,
            CASE
                WHEN i.pending_at < $earliest_instant OR i.pending_at >= $latest_instant
                    THEN 'pending_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.ready_to_ship_at < $earliest_instant OR i.ready_to_ship_at >= $latest_instant
                    THEN 'ready_to_ship_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.shipped_at < $earliest_instant OR i.shipped_at >= $latest_instant
                    THEN 'shipped_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.delivered_at < $earliest_instant OR i.delivered_at >= $latest_instant
                    THEN 'delivered_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.cancelled_at < $earliest_instant OR i.cancelled_at >= $latest_instant
                    THEN 'cancelled_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.rejected_at < $earliest_instant OR i.rejected_at >= $latest_instant
                    THEN 'rejected_at is outside the years 1970 to 2200'
            END,
            CASE
                WHEN i.returned_at < $earliest_instant OR i.returned_at >= $latest_instant
                    THEN 'returned_at is outside the years 1970 to 2200'
            END,
            CASE WHEN i.ready_to_ship_at < i.pending_at THEN 'ready_to_ship_at is before pending_at' END,
            CASE WHEN i.shipped_at < i.pending_at THEN 'shipped_at is before pending_at' END,
            CASE WHEN i.delivered_at < i.pending_at THEN 'delivered_at is before pending_at' END,
            CASE WHEN i.cancelled_at < i.pending_at THEN 'cancelled_at is before pending_at' END,
            CASE WHEN i.rejected_at < i.pending_at THEN 'rejected_at is before pending_at' END,
            CASE WHEN i.returned_at < i.pending_at THEN 'returned_at is before pending_at' END,
            CASE WHEN i.delivered_at IS NOT NULL AND i.rejected_at IS NOT NULL THEN 'both delivered and rejected' END,
            CASE
                WHEN i.cancelled_at IS NOT NULL AND i.known_cancel_reason IS NULL
                    THEN 'cancelled_at without a known reason'
            END,
            CASE
                WHEN i.returned_at IS NOT NULL AND i.known_return_reason IS NULL
                    THEN 'returned_at without a known reason'
            END
        ) AS faults
    FROM suspected AS i
    LEFT JOIN warehouse.sellers AS s ON i.seller_id = s.seller_id
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
FROM judged
WHERE faults <> ''
