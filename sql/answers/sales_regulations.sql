-- Why a product got a sales regulation in one cycle, or not: one row (Rulebook §14), with the facts that decide it.
-- grain: sku
WITH asked AS (
    SELECT CAST($product AS VARCHAR) AS sku
),

bad AS (
    SELECT
        row_id AS sku,
        MAX(faults) AS faults
    FROM warehouse.bad_products
    GROUP BY row_id
)

SELECT
    a.sku,                          -- the product asked for
    CASE
        WHEN c.sku IS NOT NULL THEN 'acted'
        WHEN b.sku IS NOT NULL THEN 'set_aside'
        WHEN p.sku IS NULL THEN 'unknown'
        WHEN d.sku IS NOT NULL THEN 'delisted'
        WHEN r.sku IS NULL THEN 'no_event'
        ELSE COALESCE(r.code, 'awaits_cycle')
    END AS code,                    -- why, or why not
    c.reference,                    -- of the action, if there is one
    b.faults,                       -- why the product is set aside
    p.seller_id,                    -- its seller
    r.grounds,                      -- rejection_rate, return_rate or both; empty: none
    r.occurrence,                   -- the ordinal; null: does not count
    p.product_type,                 -- GM or Fashion
    r.rejected_items,               -- numerator of the rejection rate
    r.rejection_base_items,         -- its denominator
    r.rejecting_customers,          -- distinct customers who rejected
    r.rejection_over_pct,           -- the threshold
    r.rejected_in_observed_week,    -- rejected in the observed week itself
    r.returned_items,               -- numerator of the return rate
    r.return_base_items,            -- its denominator
    r.returning_customers,          -- distinct customers who returned
    r.return_over_pct,              -- the threshold
    r.minimum_customers             -- that a ground needs
FROM asked AS a
LEFT JOIN ledger.cycle_actions AS c ON c.rule = 'sales_regulation' AND a.sku = c.sku
LEFT JOIN bad AS b ON a.sku = b.sku
LEFT JOIN warehouse.products AS p ON a.sku = p.sku
LEFT JOIN rulings.delisted_products AS d ON a.sku = d.sku
LEFT JOIN rulings.sales_regulations AS r ON a.sku = r.sku
