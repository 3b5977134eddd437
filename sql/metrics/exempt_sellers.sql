-- Sellers exempt from order regulation, one row per seller (Rulebook §5).
-- ephemeral
-- grain: seller_id
SELECT s.seller_id      -- the seller
FROM warehouse.sellers AS s
INNER JOIN policy.order_regulation AS p
    ON
        p.exempts_jumia_express
        AND CAST($cycle AS DATE) >= p.valid_from
        AND CAST($cycle AS DATE) < p.valid_until
WHERE s.is_jumia_express
