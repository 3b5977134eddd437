-- How many actions entered each state, and what was posted, by rule: what monitors ask for every few seconds.
-- To count it, all events and postings would have to be read. The triggers of both add to the two tables here what
-- a statement appends, and nobody else may write them.

CREATE TABLE ledger.event_totals (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    rule TEXT NOT NULL,
    state TEXT NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (country, rule, state)
);
COMMENT ON TABLE ledger.event_totals IS
    'How many actions entered each state; follows from ledger.action_events, and only their trigger writes it.';
COMMENT ON COLUMN ledger.event_totals.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.event_totals.rule IS 'as the rulebook names it';
COMMENT ON COLUMN ledger.event_totals.state IS 'proposed, alerted, implemented, reversed, withdrawn or expired';
COMMENT ON COLUMN ledger.event_totals.events IS 'how many actions of the rule have ever entered the state';

CREATE TABLE ledger.posting_totals (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    postings BIGINT NOT NULL,
    amount NUMERIC(20, 2) NOT NULL,
    PRIMARY KEY (country, rule, kind, currency)
);
COMMENT ON TABLE ledger.posting_totals IS
    'What was posted by rule; follows from ledger.postings, and only their trigger writes it.';
COMMENT ON COLUMN ledger.posting_totals.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.posting_totals.rule IS 'as the rulebook names it';
COMMENT ON COLUMN ledger.posting_totals.kind IS 'debit or reversal';
COMMENT ON COLUMN ledger.posting_totals.currency IS 'ISO 4217';
COMMENT ON COLUMN ledger.posting_totals.postings IS 'how many there are';
COMMENT ON COLUMN ledger.posting_totals.amount IS 'their sum, exact; of reversals negative';

INSERT INTO ledger.event_totals
SELECT a.country, a.rule, e.state, count(*)
FROM ledger.action_events e
JOIN ledger.actions a ON a.action_id = e.action_id
GROUP BY a.country, a.rule, e.state;

INSERT INTO ledger.posting_totals
SELECT a.country, a.rule, p.kind, p.currency, count(*), sum(p.amount)
FROM ledger.postings p
JOIN ledger.actions a ON a.action_id = p.action_id
GROUP BY a.country, a.rule, p.kind, p.currency;

-- Both look up each action by its index, as the guards do (0011). The rows are written in one order, so that two
-- writers of one ledger never wait for each other both.
CREATE FUNCTION ledger.add_up_events() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO ledger.event_totals AS t
    SELECT a.country, a.rule, e.state, count(*)
    FROM added e
    CROSS JOIN LATERAL (
        SELECT x.country, x.rule FROM ledger.actions x WHERE x.action_id = e.action_id OFFSET 0
    ) a
    GROUP BY a.country, a.rule, e.state
    ORDER BY a.country, a.rule, e.state
    ON CONFLICT (country, rule, state) DO UPDATE SET events = t.events + EXCLUDED.events;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_totals AFTER INSERT ON ledger.action_events
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.add_up_events();

CREATE FUNCTION ledger.add_up_postings() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO ledger.posting_totals AS t
    SELECT a.country, a.rule, p.kind, p.currency, count(*), sum(p.amount)
    FROM added p
    CROSS JOIN LATERAL (
        SELECT x.country, x.rule FROM ledger.actions x WHERE x.action_id = p.action_id OFFSET 0
    ) a
    GROUP BY a.country, a.rule, p.kind, p.currency
    ORDER BY a.country, a.rule, p.kind, p.currency
    ON CONFLICT (country, rule, kind, currency)
    DO UPDATE SET postings = t.postings + EXCLUDED.postings, amount = t.amount + EXCLUDED.amount;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_totals AFTER INSERT ON ledger.postings
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.add_up_postings();

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['event_totals', 'posting_totals'] LOOP
        -- The depth is 0 outside of any trigger.
        EXECUTE format(
            'CREATE TRIGGER not_by_hand BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) '
            'EXECUTE FUNCTION ledger.refuse_by_hand()', relation
        );
    END LOOP;
END $$;
