-- sellers: the roster's sellers. Grain: one seller.
INSERT INTO raw.sellers BY NAME
SELECT
    seller_id,
    shop_name,
    email,
    $country AS country,
    is_jumia_express,
    make_timestamptz(
        (getvariable('start_epoch') - onboarded_hours_before_start * 3600)::BIGINT * 1000000
    ) AS onboarded_at
FROM made_sellers
