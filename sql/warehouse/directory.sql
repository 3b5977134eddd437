-- How each of the country's sellers is named and written to, as the warehouse has it now, one row per
-- seller (Rulebook §2, §10). For mails and finance's table alone: these rows are never written to the lake.
-- grain: seller_id
SELECT
    s.seller_id,    -- id of the seller
    r.shop_name,    -- as the seller wrote it: hostile text
    r.email         -- as stored; may be unusable
FROM warehouse.sellers AS s
INNER JOIN raw.sellers AS r ON s.seller_id = r.seller_id
