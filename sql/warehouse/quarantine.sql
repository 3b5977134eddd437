-- Every bad row of every table with its reason, one row per stored row (Rulebook §13).
-- grain: every stored row
SELECT
    'sellers' AS table_name,    -- the raw table
    row_id,                     -- the row's id as stored; null where that is the fault
    seller_id,                  -- the seller the row belongs to, if known
    faults,                     -- every reason, separated by semicolons
    stored_row                  -- the row as stored, as JSON
FROM warehouse.bad_sellers
UNION ALL
SELECT 'products' AS table_name, row_id, seller_id, faults, stored_row
FROM warehouse.bad_products
UNION ALL
SELECT 'order_items' AS table_name, row_id, seller_id, faults, stored_row
FROM warehouse.bad_order_items
UNION ALL
SELECT 'dropoff_qc' AS table_name, row_id, seller_id, faults, stored_row
FROM warehouse.bad_dropoff_qc
UNION ALL
SELECT 'counterfeit_cases' AS table_name, row_id, seller_id, faults, stored_row
FROM warehouse.bad_counterfeit_cases
UNION ALL
SELECT 'account_decisions' AS table_name, row_id, seller_id, faults, stored_row
FROM warehouse.bad_account_decisions
