-- Charges for items returned for quality, one row per item (Rulebook §6): those returns of which this cycle makes
-- a charge. No exemptions.
-- grain: order_item_id
SELECT
    order_item_id,          -- the item
    order_number,           -- its order
    seller_id,              -- its seller
    sku,                    -- its product
    event_at,               -- when it was marked as returned
    amount,                 -- naira
    reason                  -- wrong, defective or used
FROM rulings.returns_charges
WHERE code IS NULL AND charging_cycle = CAST($cycle AS DATE)
