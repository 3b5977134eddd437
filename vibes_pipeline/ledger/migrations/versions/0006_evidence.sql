-- Evidence that slots looked for and did not find (Rulebook §2, §9): a load that failed neither
-- punishes a seller nor pardons one, so the action waits, and each slot that looked in vain counts.

CREATE TABLE ledger.missing_evidence (
    action_id UUID NOT NULL REFERENCES ledger.actions,
    slot TEXT NOT NULL CHECK (slot IN ('weekly-implementation', 'late-cancellation')),
    period DATE NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (action_id, slot, period)
);
COMMENT ON TABLE ledger.missing_evidence IS
    'One row per action and slot that looked for the row that the action rests on and did not find it.';
COMMENT ON COLUMN ledger.missing_evidence.action_id IS 'the action that was neither done nor withdrawn';
COMMENT ON COLUMN ledger.missing_evidence.slot IS 'weekly-implementation or late-cancellation';
COMMENT ON COLUMN ledger.missing_evidence.period IS 'the cycle''s Monday, or the day';
COMMENT ON COLUMN ledger.missing_evidence.at IS 'the slot''s instant';

CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE ON ledger.missing_evidence
FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger.missing_evidence
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- A slot that found the evidence again, and did not act for want of notice, begins the count anew.
CREATE VIEW ledger.awaiting_evidence AS
SELECT
    s.country,
    s.action_id,
    s.reference,
    s.rule,
    s.cycle,
    s.seller_id,
    s.sku,
    s.order_number,
    s.order_item_id,
    s.amount,
    s.currency,
    m.slots_in_vain,
    m.missing_since,
    m.last_looked_at
FROM (
    SELECT
        e.action_id,
        count(*) AS slots_in_vain,
        min(e.at) AS missing_since,
        max(e.at) AS last_looked_at
    FROM ledger.missing_evidence e
    JOIN ledger.actions a ON a.action_id = e.action_id
    WHERE NOT EXISTS (
        SELECT 1
        FROM ledger.slots l
        WHERE l.country = a.country AND l.slot = e.slot AND l.period > e.period
            AND l.outcome = 'done'
            AND NOT EXISTS (
                SELECT 1
                FROM ledger.missing_evidence x
                WHERE x.action_id = e.action_id AND x.slot = l.slot AND x.period = l.period
            )
    )
    GROUP BY e.action_id
) m
JOIN ledger.action_states s ON s.action_id = m.action_id
WHERE s.state IN ('proposed', 'alerted');
COMMENT ON VIEW ledger.awaiting_evidence IS
    'Every open action whose evidence the last slot did not find, and how many slots in a row have not (Rulebook §2, §9).';
COMMENT ON COLUMN ledger.awaiting_evidence.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.awaiting_evidence.action_id IS 'the action that is neither done nor withdrawn';
COMMENT ON COLUMN ledger.awaiting_evidence.reference IS 'short for the action, as mails and claims quote it';
COMMENT ON COLUMN ledger.awaiting_evidence.rule IS 'as the rulebook names it';
COMMENT ON COLUMN ledger.awaiting_evidence.cycle IS 'the Monday of the observed week; of a late order, the day';
COMMENT ON COLUMN ledger.awaiting_evidence.seller_id IS 'the vendor, store or account';
COMMENT ON COLUMN ledger.awaiting_evidence.sku IS 'the item''s product';
COMMENT ON COLUMN ledger.awaiting_evidence.order_number IS 'the order';
COMMENT ON COLUMN ledger.awaiting_evidence.order_item_id IS 'the item whose row, or whose check''s or case''s row, is missing';
COMMENT ON COLUMN ledger.awaiting_evidence.amount IS 'money, exact; null where nothing is charged';
COMMENT ON COLUMN ledger.awaiting_evidence.currency IS 'ISO 4217';
COMMENT ON COLUMN ledger.awaiting_evidence.slots_in_vain IS 'how many slots in a row looked for it in vain';
COMMENT ON COLUMN ledger.awaiting_evidence.missing_since IS 'the instant of the first of them';
COMMENT ON COLUMN ledger.awaiting_evidence.last_looked_at IS 'the instant of the last of them';
