-- A seller's statement with one row per rule: a rule that is added later has its rows here without
-- a revision. The view with a column per rule stays for those who read it, and sums these rows.

CREATE VIEW finance.seller_statement_lines AS
SELECT
    c.statement_period,
    c.seller_id,
    c.shop_name,
    c.rule,
    c.currency,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'debit'), 0))::NUMERIC(18, 2) AS debits,
    (coalesce(sum(c.amount) FILTER (WHERE c.kind = 'reversal'), 0))::NUMERIC(18, 2) AS reversals,
    sum(c.amount)::NUMERIC(18, 2) AS net,
    count(*) FILTER (WHERE c.kind = 'debit') AS debit_postings,
    count(*) FILTER (WHERE c.kind = 'reversal') AS reversal_postings,
    c.country
FROM finance.charges c
GROUP BY c.country, c.statement_period, c.seller_id, c.shop_name, c.rule, c.currency;
COMMENT ON VIEW finance.seller_statement_lines IS
    'One row per seller, statement period and rule of charge in which something was posted to the seller.';
COMMENT ON COLUMN finance.seller_statement_lines.statement_period IS 'The Monday of the local week in which it was posted.';
COMMENT ON COLUMN finance.seller_statement_lines.seller_id IS 'The seller.';
COMMENT ON COLUMN finance.seller_statement_lines.shop_name IS 'The newest known name of their shop, as they wrote it.';
COMMENT ON COLUMN finance.seller_statement_lines.rule IS 'The rule of the charges.';
COMMENT ON COLUMN finance.seller_statement_lines.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.seller_statement_lines.debits IS 'All debits of the rule.';
COMMENT ON COLUMN finance.seller_statement_lines.reversals IS 'All reversals of the rule''s debits that were posted in the period, of whatever period''s debits; zero or negative.';
COMMENT ON COLUMN finance.seller_statement_lines.net IS 'Debits and reversals together: what the seller owes for the rule and the period, or gets back if negative.';
COMMENT ON COLUMN finance.seller_statement_lines.debit_postings IS 'How many debits.';
COMMENT ON COLUMN finance.seller_statement_lines.reversal_postings IS 'How many reversals.';
COMMENT ON COLUMN finance.seller_statement_lines.country IS 'ISO 3166 alpha-2.';

-- The same columns, in the same order and of the same types.
CREATE OR REPLACE VIEW finance.seller_statements AS
SELECT
    l.statement_period,
    l.seller_id,
    l.shop_name,
    l.currency,
    (coalesce(sum(l.debits) FILTER (WHERE l.rule = 'out_of_stock_charge'), 0))::NUMERIC(18, 2) AS out_of_stock_charge,
    (coalesce(sum(l.debits) FILTER (WHERE l.rule = 'late_fulfilment_charge'), 0))::NUMERIC(18, 2) AS late_fulfilment_charge,
    (coalesce(sum(l.debits) FILTER (WHERE l.rule = 'returns_charge'), 0))::NUMERIC(18, 2) AS returns_charge,
    (coalesce(sum(l.debits) FILTER (WHERE l.rule = 'dropoff_qc_charge'), 0))::NUMERIC(18, 2) AS dropoff_qc_charge,
    (coalesce(sum(l.debits) FILTER (WHERE l.rule = 'counterfeit_charge'), 0))::NUMERIC(18, 2) AS counterfeit_charge,
    sum(l.debits)::NUMERIC(18, 2) AS debits,
    sum(l.reversals)::NUMERIC(18, 2) AS reversals,
    sum(l.net)::NUMERIC(18, 2) AS net,
    sum(l.debit_postings + l.reversal_postings)::BIGINT AS postings,
    l.country
FROM finance.seller_statement_lines l
GROUP BY l.country, l.statement_period, l.seller_id, l.shop_name, l.currency;
COMMENT ON COLUMN finance.seller_statements.debits IS
    'All debits, also those of a rule without a column here; by rule they are in finance.seller_statement_lines.';

-- The role is missing where the ledger's owner may make no roles and nobody has made it since.
DO $$
BEGIN
    IF to_regrole('vibes_finance') IS NOT NULL THEN
        GRANT SELECT ON finance.seller_statement_lines TO vibes_finance;
    END IF;
END $$;
