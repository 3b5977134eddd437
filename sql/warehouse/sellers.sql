-- The sellers of the policy's country, one row per seller (Rulebook §13). Their names and addresses are
-- read where they are needed (`warehouse.directory`) and not kept.
-- grain: seller_id
SELECT
    s.seller_id,                                                    -- id of the seller
    s.country,                                                      -- ISO 3166 alpha-2
    COALESCE(s.is_jumia_express, FALSE) AS is_jumia_express,        -- null means false
    s.onboarded_at                                                  -- a fact, never masked by the as-of view
FROM raw.sellers AS s
LEFT JOIN warehouse.bad_sellers AS b ON s.seller_id = b.row_id
WHERE s.country = $country AND s.seller_id IS NOT NULL AND b.row_id IS NULL
