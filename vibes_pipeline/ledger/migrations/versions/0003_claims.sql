-- Claims (Rulebook §11): how each was taken in and decided, which events the upheld ones excuse, and
-- the notices about them. An event id is drawn from one sequence with the actions' events, so that one
-- number tells whether anything has changed that a decision rests on.

CREATE TABLE ledger.claim_intakes (
    event_id BIGINT PRIMARY KEY DEFAULT nextval(pg_get_serial_sequence('ledger.action_events', 'event_id')),
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    claim_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('incomplete', 'out_of_time', 'redirected', 'accepted')),
    at TIMESTAMPTZ NOT NULL,
    category TEXT,
    seller_id TEXT,
    order_number TEXT,
    sku TEXT,
    action_reference TEXT,
    raised_at TIMESTAMPTZ,
    faults JSONB NOT NULL,
    content_hash TEXT NOT NULL,
    UNIQUE (country, claim_id, content_hash)
);
COMMENT ON TABLE ledger.claim_intakes IS
    'Every claim as it was taken in: its state, and for an incomplete one each field at fault with why. Stated anew, it is taken in again.';

CREATE TABLE ledger.claim_decisions (
    event_id BIGINT PRIMARY KEY DEFAULT nextval(pg_get_serial_sequence('ledger.action_events', 'event_id')),
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    claim_id TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('upheld', 'rejected')),
    decided_at TIMESTAMPTZ NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    is_matched BOOLEAN NOT NULL,
    UNIQUE (country, claim_id, decision)
);
COMMENT ON TABLE ledger.claim_decisions IS
    'A person''s decision on a claim, and at when it took its effects. is_matched: whether it is about anything of this seller''s.';

CREATE TABLE ledger.excuses (
    event_id BIGINT PRIMARY KEY DEFAULT nextval(pg_get_serial_sequence('ledger.action_events', 'event_id')),
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    claim_id TEXT NOT NULL,
    seller_id TEXT NOT NULL,
    order_number TEXT,
    sku TEXT,
    order_item_id TEXT,
    event TEXT NOT NULL CHECK (
        event IN ('stock', 'lateness', 'return', 'rejection', 'dropoff_qc', 'counterfeit')
    ),
    CHECK ((order_number IS NULL) <> (order_item_id IS NULL))
);
COMMENT ON TABLE ledger.excuses IS
    'Events that an upheld claim excuses: of one item, or of the seller''s items in an order, of one SKU if stated.';
CREATE UNIQUE INDEX an_excuse_once ON ledger.excuses (
    country, claim_id, event, coalesce(order_number, ''), coalesce(sku, ''), coalesce(order_item_id, '')
);
CREATE INDEX excuses_by_seller ON ledger.excuses (country, seller_id);

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['claim_intakes', 'claim_decisions', 'excuses'] LOOP
        EXECUTE format(
            'CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE ON ledger.%I '
            'FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change()', relation
        );
        EXECUTE format(
            'CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', relation
        );
    END LOOP;
END $$;

CREATE VIEW ledger.claim_states AS
SELECT
    i.country,
    i.claim_id,
    i.category,
    i.seller_id,
    i.order_number,
    i.sku,
    i.action_reference,
    i.raised_at,
    coalesce(d.decision, i.state) AS state,
    i.state AS intake_state,
    i.faults,
    i.at AS taken_in_at,
    i.content_hash,
    d.decision,
    d.decided_at,
    d.at AS applied_at,
    d.is_matched
FROM (
    SELECT DISTINCT ON (country, claim_id) *
    FROM ledger.claim_intakes
    ORDER BY country, claim_id, event_id DESC
) i
-- A claim rejected first and upheld then is upheld.
LEFT JOIN LATERAL (
    SELECT * FROM ledger.claim_decisions x
    WHERE x.country = i.country AND x.claim_id = i.claim_id
    ORDER BY x.decision DESC
    LIMIT 1
) d ON true;
COMMENT ON VIEW ledger.claim_states IS
    'Every claim with its one state: how it was taken in, or what a person decided (Rulebook §11).';

-- A claim undoes only what is its own seller's, and only once it is upheld.
CREATE FUNCTION ledger.check_claim_is_upheld() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM ledger.actions a
        JOIN ledger.claim_intakes i ON i.country = a.country AND i.seller_id = a.seller_id
        JOIN ledger.claim_decisions d ON d.country = i.country AND d.claim_id = i.claim_id
        WHERE a.action_id = NEW.action_id AND i.claim_id = NEW.claim_id AND d.decision = 'upheld'
    ) THEN
        RAISE EXCEPTION 'action %: claim % is no upheld claim of its seller', NEW.action_id, NEW.claim_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER by_an_upheld_claim BEFORE INSERT ON ledger.action_events
FOR EACH ROW WHEN (NEW.claim_id IS NOT NULL) EXECUTE FUNCTION ledger.check_claim_is_upheld();

CREATE FUNCTION ledger.check_excuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM ledger.claim_intakes i
        JOIN ledger.claim_decisions d ON d.country = i.country AND d.claim_id = i.claim_id
        WHERE i.country = NEW.country AND i.claim_id = NEW.claim_id
            AND i.seller_id = NEW.seller_id AND d.decision = 'upheld'
    ) THEN
        RAISE EXCEPTION 'claim % is no upheld claim of seller %: it excuses nothing', NEW.claim_id, NEW.seller_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER by_an_upheld_claim BEFORE INSERT ON ledger.excuses
FOR EACH ROW EXECUTE FUNCTION ledger.check_excuse();

CREATE INDEX events_by_claim ON ledger.action_events (claim_id) WHERE claim_id IS NOT NULL;

-- Notices about claims: one per intake and one per decision, several a day.
ALTER TABLE ledger.notices ADD COLUMN claim_event_id BIGINT;
COMMENT ON COLUMN ledger.notices.claim_event_id IS
    'The intake or decision that a notice about a claim tells of; null for every other notice.';
ALTER TABLE ledger.notices DROP CONSTRAINT notices_country_kind_period_seller_id_key;
CREATE UNIQUE INDEX one_notice_a_slot ON ledger.notices (country, kind, period, seller_id)
WHERE claim_event_id IS NULL;
CREATE UNIQUE INDEX one_notice_a_claim_event ON ledger.notices (claim_event_id);

DROP VIEW ledger.notice_states;
CREATE VIEW ledger.notice_states AS
SELECT
    n.*,
    coalesce(d.status, 'queued') AS status,
    coalesce(d.attempt, 0) AS attempts,
    d.at AS last_at,
    d.code,
    d.detail,
    d.address_hash,
    (
        SELECT count(*) FROM ledger.deliveries u
        WHERE u.notice_id = n.notice_id AND u.status = 'unknown'
    ) AS unknowns
FROM ledger.notices n
LEFT JOIN LATERAL (
    SELECT * FROM ledger.deliveries x
    WHERE x.notice_id = n.notice_id
    ORDER BY x.attempt DESC, (x.status = 'sending')
    LIMIT 1
) d ON true;
COMMENT ON VIEW ledger.notice_states IS 'Every notice with the outcome of its last attempt; queued before the first.';
