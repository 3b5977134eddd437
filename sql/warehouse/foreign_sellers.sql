-- Sellers of other countries, one row per seller: neither good nor bad, not considered (Rulebook §13).
-- grain: seller_id
SELECT DISTINCT s.seller_id     -- the seller
FROM raw.sellers AS s
LEFT JOIN warehouse.bad_sellers AS b ON s.seller_id = b.row_id
WHERE s.country <> $country AND s.seller_id IS NOT NULL AND b.row_id IS NULL
