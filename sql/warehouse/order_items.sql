-- Good order items as they stood at the slot's instant, one row per item
-- (Rulebook §13, as of). A time after that instant has not happened yet: it reads as null, and with
-- it its reason.
-- grain: order_item_id
WITH as_of AS (
    SELECT
        i.order_item_id,
        i.order_number,
        i.seller_id,
        i.sku,
        i.customer_hash,
        i.item_price,
        i.commission,
        i.pending_at,
        CASE WHEN i.ready_to_ship_at <= $now THEN i.ready_to_ship_at END AS ready_to_ship_at,
        CASE WHEN i.shipped_at <= $now THEN i.shipped_at END AS shipped_at,
        CASE WHEN i.delivered_at <= $now THEN i.delivered_at END AS delivered_at,
        CASE WHEN i.cancelled_at <= $now THEN i.cancelled_at END AS cancelled_at,
        CASE WHEN i.cancelled_at <= $now THEN i.cancel_reason END AS cancel_reason,
        CASE WHEN i.rejected_at <= $now THEN i.rejected_at END AS rejected_at,
        CASE WHEN i.returned_at <= $now THEN i.returned_at END AS returned_at,
        CASE WHEN i.returned_at <= $now THEN i.return_reason END AS return_reason
    FROM warehouse.stored_items AS i
    LEFT JOIN warehouse.foreign_sellers AS f ON i.seller_id = f.seller_id
    WHERE i.pending_at <= $now AND f.seller_id IS NULL
)

SELECT
    a.order_item_id,        -- one unit of one product in one order
    a.order_number,         -- the order it belongs to
    a.seller_id,            -- whose item it is
    a.sku,                  -- which product
    a.item_price,           -- naira
    a.commission,           -- naira
    a.pending_at,           -- when it entered Pending
    a.ready_to_ship_at,     -- when the seller set it ready to ship
    a.shipped_at,           -- when it was shipped, as recorded
    a.delivered_at,         -- when it was delivered
    a.cancelled_at,         -- when it was cancelled, by anyone
    a.cancel_reason,        -- one of the policy's cancel reasons
    a.rejected_at,          -- when the customer refused it
    a.returned_at,          -- when it was marked as returned
    a.return_reason,        -- one of the policy's return reasons
    CASE WHEN a.rejected_at IS NOT NULL OR a.returned_at IS NOT NULL THEN a.customer_hash END
        AS customer_hash,   -- who refused or returned it, hashed with the home's key; else null
    LEAST(a.ready_to_ship_at, a.shipped_at, a.delivered_at, a.rejected_at)
        AS ready_from,      -- ready to ship from (Rulebook §4)
    COALESCE(a.shipped_at, LEAST(a.delivered_at, a.rejected_at))
        AS shipped_from     -- shipped from (Rulebook §4)
FROM as_of AS a
LEFT JOIN warehouse.bad_order_items AS b ON a.order_item_id = b.row_id
WHERE a.order_item_id IS NOT NULL AND b.row_id IS NULL
