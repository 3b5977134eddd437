-- Events of items that upheld claims excuse, one row per item and event (Rulebook §11). An excused
-- event counts against nobody from then on, whenever it falls. A claim about an order excuses all its
-- seller's items in it, or those of one SKU; one about an action, the action's item.
-- grain: order_item_id, event
WITH excused AS (
    SELECT
        i.order_item_id,
        e.event,
        e.claim_id
    FROM ledger.excuses AS e
    INNER JOIN warehouse.order_items AS i
        ON
            e.seller_id = i.seller_id
            AND e.order_number = i.order_number
            AND (e.sku IS NULL OR e.sku = i.sku)
    UNION ALL
    SELECT
        order_item_id,
        event,
        claim_id
    FROM ledger.excuses
    WHERE order_item_id IS NOT NULL
)

SELECT
    order_item_id,              -- the item
    event,                      -- stock, lateness, return, rejection, dropoff_qc or counterfeit
    MIN(claim_id) AS claim_id   -- the claim; of several the one with the least id
FROM excused
GROUP BY order_item_id, event
