-- Charges for items proven counterfeit, one row per item (Rulebook §6): of the item's cases the first that
-- qualifies, in the order of their proof, then of their id.
-- grain: order_item_id
WITH qualifying AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY order_item_id ORDER BY event_at, case_id) AS nth
    FROM rulings.counterfeit_charges
    WHERE code IS NULL AND charging_cycle = CAST($cycle AS DATE)
)

SELECT
    order_item_id,          -- the item
    order_number,           -- its order
    seller_id,              -- its seller
    sku,                    -- its product
    event_at,               -- when it was proven
    amount,                 -- naira
    reason,                 -- counterfeit
    case_id,                -- the case
    notified_at,            -- when the seller was told
    evidence_closes_at      -- end of the evidence window
FROM qualifying
WHERE nth = 1
