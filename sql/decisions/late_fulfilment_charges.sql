-- Charges for items not ready to ship by their deadline, one row per item (Rulebook §6): those items of which this
-- cycle makes a charge.
-- grain: order_item_id
SELECT
    order_item_id,                  -- the item
    order_number,                   -- its order
    seller_id,                      -- its seller
    sku,                            -- its product
    event_at,                       -- its deadline
    amount,                         -- naira
    reason,                         -- late
    commission,                     -- naira
    commission_multiple,            -- times the commission
    cap,                            -- naira, at most
    pending_at,                     -- when the clock started
    event_at AS deadline_at,        -- when its 24 hours were full
    ready_from                      -- when it became ready; null: not by the slot's instant
FROM rulings.late_fulfilment_charges
WHERE code IS NULL AND charging_cycle = CAST($cycle AS DATE)
