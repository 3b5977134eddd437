-- Charges for items cancelled as out of stock, one row per item (Rulebook §6): those cancellations of which this
-- cycle makes a charge.
-- grain: order_item_id
SELECT
    order_item_id,          -- the item
    order_number,           -- its order
    seller_id,              -- its seller
    sku,                    -- its product
    event_at,               -- when it was cancelled
    amount,                 -- naira
    reason,                 -- the reason recorded
    commission,             -- naira
    commission_multiple,    -- times the commission
    cap,                    -- naira, at most
    late_charge_deducted    -- naira, charged for lateness before
FROM rulings.out_of_stock_charges
WHERE code IS NULL AND charging_cycle = CAST($cycle AS DATE)
