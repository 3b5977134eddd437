-- Charges for items that failed their quality check at drop-off, one row per item (Rulebook §6): those first
-- failed checks of which this cycle makes a charge. No exemptions.
-- grain: order_item_id
SELECT
    order_item_id,          -- the item
    order_number,           -- its order
    seller_id,              -- its seller
    sku,                    -- its product
    event_at,               -- when the check failed
    amount,                 -- naira
    reason,                 -- wrong, defective or used
    qc_id                   -- the check
FROM rulings.dropoff_qc_charges
WHERE code IS NULL AND charging_cycle = CAST($cycle AS DATE)
