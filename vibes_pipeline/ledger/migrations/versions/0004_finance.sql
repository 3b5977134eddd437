-- What others read of the ledger: finance its charges and statements, the systems that apply
-- regulations what is in force now (Rulebook §5 to §9). Each has a schema of its own and a role that
-- reads nothing else. Views read with their owner's rights, so the roles need none in the ledger.

CREATE TABLE ledger.shops (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    seller_id TEXT NOT NULL,
    shop_name TEXT,
    PRIMARY KEY (country, seller_id)
);
COMMENT ON TABLE ledger.shops IS
    'The newest shop name of every seller that an action strikes, as the last frozen cycle that saw it had it; rewritten then.';

CREATE VIEW ledger.moments AS
SELECT
    l.country,
    CASE
        WHEN l.is_simulated THEN greatest(
            l.opened_at,
            (SELECT max(s.effected_at) FROM ledger.slots s WHERE s.country = l.country)
        )
        ELSE now()
    END AS at
FROM ledger.ledgers l;
COMMENT ON VIEW ledger.moments IS
    'What time it is for each ledger: now, for a simulated one the instant of its newest slot.';

-- Finance ----------------------------------------------------------------------------------------

CREATE SCHEMA finance;
COMMENT ON SCHEMA finance IS 'What finance pulls: postings, and their sums by seller and by rule.';

CREATE VIEW finance.charges AS
SELECT
    p.posting_id,
    p.action_id,
    a.reference,
    p.kind,
    p.amount,
    p.currency,
    p.posted_at,
    p.statement_period,
    a.seller_id,
    s.shop_name,
    a.rule,
    a.order_number,
    a.order_item_id,
    a.sku,
    a.cycle,
    p.claim_id,
    a.country
FROM ledger.postings p
JOIN ledger.actions a ON a.action_id = p.action_id
LEFT JOIN ledger.shops s ON s.country = a.country AND s.seller_id = a.seller_id;
COMMENT ON VIEW finance.charges IS 'One row per posting: a charge''s debit, or the credit that reverses it.';
COMMENT ON COLUMN finance.charges.posting_id IS 'The posting; the same whenever it is read.';
COMMENT ON COLUMN finance.charges.action_id IS 'The charge it posts; a debit and its reversal share it.';
COMMENT ON COLUMN finance.charges.reference IS 'The charge''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN finance.charges.kind IS 'debit, or reversal of one.';
COMMENT ON COLUMN finance.charges.amount IS 'Debits positive, reversals negative.';
COMMENT ON COLUMN finance.charges.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.charges.posted_at IS 'When it was posted: the instant of the slot that did it.';
COMMENT ON COLUMN finance.charges.statement_period IS 'The Monday of the local week in which it was posted.';
COMMENT ON COLUMN finance.charges.seller_id IS 'The seller charged or credited.';
COMMENT ON COLUMN finance.charges.shop_name IS 'The newest known name of their shop, as they wrote it.';
COMMENT ON COLUMN finance.charges.rule IS 'The rule of the charge.';
COMMENT ON COLUMN finance.charges.order_number IS 'The order that holds the item.';
COMMENT ON COLUMN finance.charges.order_item_id IS 'The item charged for.';
COMMENT ON COLUMN finance.charges.sku IS 'The item''s product.';
COMMENT ON COLUMN finance.charges.cycle IS 'The Monday of the observed week in whose cycle the charge was decided.';
COMMENT ON COLUMN finance.charges.claim_id IS 'The claim that caused it, of a reversal; null: none.';
COMMENT ON COLUMN finance.charges.country IS 'ISO 3166 alpha-2.';

CREATE VIEW finance.seller_statements AS
SELECT
    c.statement_period,
    c.seller_id,
    c.shop_name,
    c.currency,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit' AND c.rule = 'out_of_stock_charge'), 0))::NUMERIC(18, 2) AS out_of_stock_charge,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit' AND c.rule = 'late_fulfilment_charge'), 0))::NUMERIC(18, 2) AS late_fulfilment_charge,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit' AND c.rule = 'returns_charge'), 0))::NUMERIC(18, 2) AS returns_charge,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit' AND c.rule = 'dropoff_qc_charge'), 0))::NUMERIC(18, 2) AS dropoff_qc_charge,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit' AND c.rule = 'counterfeit_charge'), 0))::NUMERIC(18, 2) AS counterfeit_charge,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit'), 0))::NUMERIC(18, 2) AS debits,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'reversal'), 0))::NUMERIC(18, 2) AS reversals,
    sum(c.amount)::NUMERIC(18, 2) AS net,
    count(*) AS postings,
    c.country
FROM finance.charges c
GROUP BY c.country, c.statement_period, c.seller_id, c.shop_name, c.currency;
COMMENT ON VIEW finance.seller_statements IS 'One row per seller and statement period in which something was posted to them.';
COMMENT ON COLUMN finance.seller_statements.statement_period IS 'The Monday of the local week in which was posted.';
COMMENT ON COLUMN finance.seller_statements.seller_id IS 'The seller.';
COMMENT ON COLUMN finance.seller_statements.shop_name IS 'The newest known name of their shop, as they wrote it.';
COMMENT ON COLUMN finance.seller_statements.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.seller_statements.out_of_stock_charge IS 'Debits for items cancelled as out of stock.';
COMMENT ON COLUMN finance.seller_statements.late_fulfilment_charge IS 'Debits for items not ready to ship in time.';
COMMENT ON COLUMN finance.seller_statements.returns_charge IS 'Debits for items returned for quality.';
COMMENT ON COLUMN finance.seller_statements.dropoff_qc_charge IS 'Debits for items that failed their check at drop-off.';
COMMENT ON COLUMN finance.seller_statements.counterfeit_charge IS 'Debits for items proven counterfeit.';
COMMENT ON COLUMN finance.seller_statements.debits IS 'All debits: the sum of the five columns before.';
COMMENT ON COLUMN finance.seller_statements.reversals IS 'All reversals posted in the period, of whatever period''s debits; zero or negative.';
COMMENT ON COLUMN finance.seller_statements.net IS 'Debits and reversals together: what the seller owes for the period, or gets back if negative.';
COMMENT ON COLUMN finance.seller_statements.postings IS 'How many postings it sums.';
COMMENT ON COLUMN finance.seller_statements.country IS 'ISO 3166 alpha-2.';

CREATE VIEW finance.charge_totals AS
SELECT
    c.statement_period,
    c.rule,
    c.currency,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit'), 0))::NUMERIC(18, 2) AS debits,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'reversal'), 0))::NUMERIC(18, 2) AS reversals,
    sum(c.amount)::NUMERIC(18, 2) AS net,
    count(*) FILTER (WHERE c.kind = 'debit') AS debit_postings,
    count(*) FILTER (WHERE c.kind = 'reversal') AS reversal_postings,
    c.country
FROM finance.charges c
GROUP BY c.country, c.statement_period, c.rule, c.currency;
COMMENT ON VIEW finance.charge_totals IS 'One row per statement period and rule of charge in which something was posted.';
COMMENT ON COLUMN finance.charge_totals.statement_period IS 'The Monday of the local week in which was posted.';
COMMENT ON COLUMN finance.charge_totals.rule IS 'The rule of the charges.';
COMMENT ON COLUMN finance.charge_totals.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.charge_totals.debits IS 'All debits.';
COMMENT ON COLUMN finance.charge_totals.reversals IS 'All reversals posted in the period, of whatever period''s debits; zero or negative.';
COMMENT ON COLUMN finance.charge_totals.net IS 'Debits and reversals together.';
COMMENT ON COLUMN finance.charge_totals.debit_postings IS 'How many debits.';
COMMENT ON COLUMN finance.charge_totals.reversal_postings IS 'How many reversals.';
COMMENT ON COLUMN finance.charge_totals.country IS 'ISO 3166 alpha-2.';

-- Enforcement ------------------------------------------------------------------------------------

CREATE SCHEMA enforcement;
COMMENT ON SCHEMA enforcement IS 'What the systems that apply regulations pull: what is in force now, and cancellations.';

CREATE VIEW enforcement.order_regulations_in_force AS
WITH implemented AS (
    SELECT
        a.*,
        -- A day is 24 hours, whatever the time zone of the session that asks.
        a.implemented_at
        + make_interval(hours => 24 * (a.evidence ->> 'in_force_days')::INTEGER) AS ends_at,
        lead(a.implemented_at) OVER (
            PARTITION BY a.country, a.seller_id ORDER BY a.implemented_at, a.cycle
        ) AS succeeded_at
    FROM ledger.action_states a
    WHERE a.rule = 'order_regulation' AND a.implemented_at IS NOT NULL
)
SELECT
    i.seller_id,
    i.daily_order_limit,
    i.pending_to_shipped_limit,
    i.band,
    i.implemented_at AS in_force_from,
    i.ends_at AS in_force_until,
    i.reference,
    i.action_id,
    i.cycle,
    i.country
FROM implemented i
JOIN ledger.moments m ON m.country = i.country
WHERE i.state = 'implemented' AND i.succeeded_at IS NULL
    AND i.implemented_at <= m.at AND m.at < i.ends_at;
COMMENT ON VIEW enforcement.order_regulations_in_force IS
    'The daily order limits in force now, at most one row per seller; a seller without a row has no limit (Rulebook §5).';
COMMENT ON COLUMN enforcement.order_regulations_in_force.seller_id IS 'The seller whose orders are limited.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.daily_order_limit IS 'Orders a day, at most.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.pending_to_shipped_limit IS 'Orders between pending and shipped at a time, at most.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.band IS 'The row of the rule''s table, counted from 0.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.in_force_from IS 'When it was implemented.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.in_force_until IS 'When it ends, that instant excluded; sooner if it is reversed or the seller''s next one is implemented.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.reference IS 'The action''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.action_id IS 'The action.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.cycle IS 'The Monday of the observed week.';
COMMENT ON COLUMN enforcement.order_regulations_in_force.country IS 'ISO 3166 alpha-2.';

CREATE VIEW enforcement.sales_regulations_in_force AS
WITH implemented AS (
    SELECT
        a.*,
        a.implemented_at
        + make_interval(hours => 24 * (a.evidence ->> 'in_force_days')::INTEGER) AS ends_at
    FROM ledger.action_states a
    WHERE a.rule = 'sales_regulation' AND a.state = 'implemented'
)
SELECT
    i.seller_id,
    i.sku,
    i.grounds,
    i.occurrence,
    i.implemented_at AS in_force_from,
    i.ends_at AS in_force_until,
    i.reference,
    i.action_id,
    i.cycle,
    i.country
FROM implemented i
JOIN ledger.moments m ON m.country = i.country
WHERE i.implemented_at <= m.at AND m.at < i.ends_at;
COMMENT ON VIEW enforcement.sales_regulations_in_force IS
    'The regulations of products in force now; a product has two rows while one that was implemented late overlaps the next (Rulebook §7).';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.seller_id IS 'The product''s seller.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.sku IS 'The product regulated.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.grounds IS 'rejection_rate, return_rate, or both with a comma between.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.occurrence IS 'Its ordinal toward delisting; null: it does not count.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.in_force_from IS 'When it was implemented.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.in_force_until IS 'When it ends, that instant excluded; sooner if it is reversed.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.reference IS 'The action''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.action_id IS 'The action.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.cycle IS 'The Monday of the observed week.';
COMMENT ON COLUMN enforcement.sales_regulations_in_force.country IS 'ISO 3166 alpha-2.';

CREATE VIEW enforcement.product_delistings AS
SELECT
    a.seller_id,
    a.sku,
    a.implemented_at AS in_force_from,
    a.reference,
    a.action_id,
    a.cycle,
    a.country
FROM ledger.action_states a
JOIN ledger.moments m ON m.country = a.country
WHERE a.rule = 'product_delisting' AND a.state = 'implemented' AND a.implemented_at <= m.at;
COMMENT ON VIEW enforcement.product_delistings IS
    'The products delisted now, until reversed: then their row is gone (Rulebook §8).';
COMMENT ON COLUMN enforcement.product_delistings.seller_id IS 'The product''s seller.';
COMMENT ON COLUMN enforcement.product_delistings.sku IS 'The product delisted.';
COMMENT ON COLUMN enforcement.product_delistings.in_force_from IS 'When it was implemented.';
COMMENT ON COLUMN enforcement.product_delistings.reference IS 'The action''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN enforcement.product_delistings.action_id IS 'The action.';
COMMENT ON COLUMN enforcement.product_delistings.cycle IS 'The Monday of the observed week.';
COMMENT ON COLUMN enforcement.product_delistings.country IS 'ISO 3166 alpha-2.';

CREATE VIEW enforcement.account_delistings AS
SELECT
    a.seller_id,
    a.implemented_at AS in_force_from,
    a.reference,
    a.action_id,
    a.cycle,
    a.country
FROM ledger.action_states a
JOIN ledger.moments m ON m.country = a.country
WHERE a.rule = 'account_delisting' AND a.state = 'implemented' AND a.implemented_at <= m.at;
COMMENT ON VIEW enforcement.account_delistings IS
    'The accounts delisted now by a person''s decision, until reversed: then their row is gone (Rulebook §8).';
COMMENT ON COLUMN enforcement.account_delistings.seller_id IS 'The seller whose account is delisted.';
COMMENT ON COLUMN enforcement.account_delistings.in_force_from IS 'When it was implemented.';
COMMENT ON COLUMN enforcement.account_delistings.reference IS 'The action''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN enforcement.account_delistings.action_id IS 'The action.';
COMMENT ON COLUMN enforcement.account_delistings.cycle IS 'The Monday of the observed week.';
COMMENT ON COLUMN enforcement.account_delistings.country IS 'ISO 3166 alpha-2.';

CREATE VIEW enforcement.cancellations AS
SELECT
    c.day,
    c.order_item_id,
    c.order_number,
    c.seller_id,
    c.sku,
    c.reason,
    c.cancelled_at,
    c.reference,
    c.action_id,
    c.reversed_at,
    c.claim_id,
    c.country
FROM ledger.cancellations c;
COMMENT ON VIEW enforcement.cancellations IS
    'Every item cancelled for lateness, ever: the order system takes those since it last looked (Rulebook §9).';
COMMENT ON COLUMN enforcement.cancellations.day IS 'The day of the night that cancelled it.';
COMMENT ON COLUMN enforcement.cancellations.order_item_id IS 'The item.';
COMMENT ON COLUMN enforcement.cancellations.order_number IS 'The order that holds it.';
COMMENT ON COLUMN enforcement.cancellations.seller_id IS 'Its seller.';
COMMENT ON COLUMN enforcement.cancellations.sku IS 'Its product.';
COMMENT ON COLUMN enforcement.cancellations.reason IS 'The cancel reason to record.';
COMMENT ON COLUMN enforcement.cancellations.cancelled_at IS 'When it was cancelled: the instant of that night''s slot.';
COMMENT ON COLUMN enforcement.cancellations.reference IS 'The action''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN enforcement.cancellations.action_id IS 'The action.';
COMMENT ON COLUMN enforcement.cancellations.reversed_at IS 'Cancelled in error, and marked so then; null: it stands.';
COMMENT ON COLUMN enforcement.cancellations.claim_id IS 'The claim that showed the error.';
COMMENT ON COLUMN enforcement.cancellations.country IS 'ISO 3166 alpha-2.';

-- Who may read -----------------------------------------------------------------------------------

-- Roles belong to the whole cluster: another ledger in it may have made them, or be making them now.
-- A user who may make no roles still gets the views; docs/finance.md says what to grant by hand.
DO $$
DECLARE
    reader RECORD;
BEGIN
    FOR reader IN
        SELECT * FROM (VALUES ('vibes_finance', 'finance'), ('vibes_enforcement', 'enforcement'))
        AS readers (role, relations)
    LOOP
        IF to_regrole(reader.role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', reader.role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role % could not be made', reader.role;
                    CONTINUE;
            END;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', reader.relations, reader.role);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', reader.relations, reader.role);
    END LOOP;
END $$;
