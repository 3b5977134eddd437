-- Each seller's newest standing (Rulebook §15). It decides nothing and can be calculated again for any instant,
-- so it is not among what is only appended: each late alert writes it anew.

CREATE TABLE ledger.standings (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    seller_id TEXT NOT NULL,
    as_of TIMESTAMPTZ NOT NULL,
    week DATE NOT NULL,
    shipped_items BIGINT NOT NULL,
    shipped_orders BIGINT NOT NULL,
    cancelled_items BIGINT NOT NULL,
    cancellation_rate_pct NUMERIC(9, 4),
    band INTEGER,
    daily_order_limit INTEGER,
    pending_to_shipped_limit INTEGER,
    shipments_to_lighter_band BIGINT,
    shipments_to_no_limit BIGINT,
    cancellations_to_heavier_band BIGINT,
    is_exempt BOOLEAN NOT NULL,
    is_delisted BOOLEAN NOT NULL,
    PRIMARY KEY (country, seller_id)
);
COMMENT ON TABLE ledger.standings IS
    'What each seller''s week would bring if it ended at as_of, the last late alert that saw the seller; rewritten then.';

CREATE VIEW finance.standings AS
SELECT
    s.seller_id,
    s.as_of,
    s.week,
    s.shipped_items,
    s.shipped_orders,
    s.cancelled_items,
    s.cancellation_rate_pct,
    s.band,
    s.daily_order_limit,
    s.pending_to_shipped_limit,
    s.shipments_to_lighter_band,
    s.shipments_to_no_limit,
    s.cancellations_to_heavier_band,
    s.is_exempt,
    s.is_delisted,
    s.country
FROM ledger.standings s
WHERE s.as_of = (SELECT max(x.as_of) FROM ledger.standings x WHERE x.country = s.country);
COMMENT ON VIEW finance.standings IS
    'One row per seller: what the week would bring if it ended at as_of, the newest late alert (Rulebook §15).';
COMMENT ON COLUMN finance.standings.seller_id IS 'The seller.';
COMMENT ON COLUMN finance.standings.as_of IS 'The instant of the late alert; the part of the week before it counts.';
COMMENT ON COLUMN finance.standings.week IS 'The observed week, by its Monday.';
COMMENT ON COLUMN finance.standings.shipped_items IS 'Items shipped so far.';
COMMENT ON COLUMN finance.standings.shipped_orders IS 'The distinct orders that hold them.';
COMMENT ON COLUMN finance.standings.cancelled_items IS 'Items cancelled so far for a reason that counts as the seller''s.';
COMMENT ON COLUMN finance.standings.cancellation_rate_pct IS 'Cancelled items out of cancelled and shipped ones, in percent, rounded; null: none of either.';
COMMENT ON COLUMN finance.standings.band IS 'The row of the rule''s table, counted from 0; null: no rate.';
COMMENT ON COLUMN finance.standings.daily_order_limit IS 'Orders a day that the band would allow; null: no limit.';
COMMENT ON COLUMN finance.standings.pending_to_shipped_limit IS 'Orders between pending and shipped that the band would allow; null: no limit.';
COMMENT ON COLUMN finance.standings.shipments_to_lighter_band IS 'The fewest further items shipped, none cancelled, that would bring a lighter band; null: there is none.';
COMMENT ON COLUMN finance.standings.shipments_to_no_limit IS 'The same for the band without a limit; null: it has none now.';
COMMENT ON COLUMN finance.standings.cancellations_to_heavier_band IS 'The fewest further items cancelled, none shipped, that would bring a heavier band; null: there is none.';
COMMENT ON COLUMN finance.standings.is_exempt IS 'Exempt from order regulation: no limit follows from the band.';
COMMENT ON COLUMN finance.standings.is_delisted IS 'The account is delisted, or is about to be.';
COMMENT ON COLUMN finance.standings.country IS 'ISO 3166 alpha-2.';

-- A column means the same in the table.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT
            a.attname AS column_name,
            col_description(a.attrelid, a.attnum) AS meaning
        FROM pg_attribute a
        WHERE a.attrelid = 'finance.standings'::regclass AND a.attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN ledger.standings.%I IS %L', found.column_name, found.meaning);
    END LOOP;
END $$;

-- The role is missing where the ledger's owner may make no roles and nobody has made it since.
DO $$
BEGIN
    IF to_regrole('vibes_finance') IS NOT NULL THEN
        GRANT SELECT ON finance.standings TO vibes_finance;
    END IF;
END $$;
