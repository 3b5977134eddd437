-- The ledger: what was decided, promised, posted and sent (Rulebook §2, §11, §12).
-- Rows of every table but `slots` are only ever appended; the triggers below refuse anything else,
-- whoever asks. They also refuse an `implemented` event without the accepted alert it needs.

CREATE SCHEMA IF NOT EXISTS ledger;

CREATE TABLE ledger.ledgers (
    country TEXT PRIMARY KEY CHECK (country ~ '^[A-Z]{2}$'),
    is_simulated BOOLEAN NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ledger.ledgers IS
    'One row per country: live or simulated, fixed by its first slot (Rulebook §2).';

CREATE TABLE ledger.policies (
    policy_version TEXT PRIMARY KEY,
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    content TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ledger.policies IS 'The text of every policy that an action was decided under.';

CREATE TABLE ledger.cycles (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    cycle DATE NOT NULL CHECK (extract(isodow FROM cycle) = 1),
    frozen_at TIMESTAMPTZ NOT NULL,
    proposal_hash TEXT NOT NULL,
    actions INTEGER NOT NULL,
    policy_version TEXT NOT NULL REFERENCES ledger.policies,
    PRIMARY KEY (country, cycle)
);
COMMENT ON TABLE ledger.cycles IS
    'One row per frozen weekly proposal, named by the observed week''s Monday; the hash covers its actions.';

CREATE TABLE ledger.slots (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    slot TEXT NOT NULL,
    period DATE NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    effected_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    outcome TEXT NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'skipped')),
    detail TEXT,
    PRIMARY KEY (country, slot, period)
);
COMMENT ON TABLE ledger.slots IS
    'What was due and done. effected_at: the slot''s instant, written with its effects; finished_at: its mail handled.';

CREATE TABLE ledger.actions (
    action_id UUID PRIMARY KEY,
    reference TEXT NOT NULL,
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    rule TEXT NOT NULL,
    cycle DATE NOT NULL,
    seller_id TEXT NOT NULL,
    sku TEXT,
    order_number TEXT,
    order_item_id TEXT,
    amount NUMERIC(14, 2) CHECK (amount > 0),
    currency TEXT,
    band INTEGER,
    daily_order_limit INTEGER,
    pending_to_shipped_limit INTEGER,
    grounds TEXT,
    occurrence INTEGER,
    event_at TIMESTAMPTZ,
    notice_hours INTEGER NOT NULL CHECK (notice_hours > 0),
    evidence JSONB NOT NULL,
    policy_version TEXT NOT NULL REFERENCES ledger.policies,
    CHECK ((amount IS NULL) = (currency IS NULL))
);
COMMENT ON TABLE ledger.actions IS
    'One thing done to one seller, product or item. cycle: the observed week''s Monday, for late orders the day.';
CREATE INDEX actions_by_cycle ON ledger.actions (country, cycle, rule);
CREATE INDEX actions_by_reference ON ledger.actions (reference);
CREATE INDEX actions_by_item ON ledger.actions (order_item_id);
CREATE INDEX actions_by_seller ON ledger.actions (country, seller_id);

CREATE TABLE ledger.notices (
    notice_id UUID PRIMARY KEY,
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    kind TEXT NOT NULL,
    is_alert BOOLEAN NOT NULL,
    period DATE NOT NULL,
    seller_id TEXT NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL,
    UNIQUE (country, kind, period, seller_id)
);
COMMENT ON TABLE ledger.notices IS 'One email to one seller about all their actions of one slot.';

CREATE TABLE ledger.notice_actions (
    notice_id UUID NOT NULL REFERENCES ledger.notices,
    action_id UUID NOT NULL REFERENCES ledger.actions,
    PRIMARY KEY (notice_id, action_id)
);
CREATE INDEX notice_actions_by_action ON ledger.notice_actions (action_id);

CREATE TABLE ledger.deliveries (
    notice_id UUID NOT NULL REFERENCES ledger.notices,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    status TEXT NOT NULL CHECK (
        status IN ('sending', 'sent', 'stored', 'deferred', 'failed', 'unknown', 'undeliverable')
    ),
    at TIMESTAMPTZ NOT NULL,
    code INTEGER,
    detail TEXT,
    address_hash TEXT,
    PRIMARY KEY (notice_id, attempt, status),
    CHECK (status <> 'sent' OR code IS NOT DISTINCT FROM 250)
);
COMMENT ON TABLE ledger.deliveries IS
    'Every attempt to send a notice: sending before, the outcome after. sent is the server''s 250 and nothing less.';
CREATE UNIQUE INDEX one_outcome_per_attempt ON ledger.deliveries (notice_id, attempt) WHERE status <> 'sending';
CREATE UNIQUE INDEX sent_at_most_once ON ledger.deliveries (notice_id) WHERE status = 'sent';

CREATE TABLE ledger.action_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id UUID NOT NULL REFERENCES ledger.actions,
    state TEXT NOT NULL CHECK (
        state IN ('proposed', 'alerted', 'implemented', 'withdrawn', 'expired', 'reversed')
    ),
    at TIMESTAMPTZ NOT NULL,
    cause TEXT NOT NULL,
    claim_id TEXT,
    notice_id UUID REFERENCES ledger.notices,
    UNIQUE (action_id, state)
);
COMMENT ON TABLE ledger.action_events IS
    'Every change of an action: its state, when, why, and the claim or notice that caused it (Rulebook §12).';

CREATE TABLE ledger.postings (
    posting_id UUID PRIMARY KEY,
    action_id UUID NOT NULL REFERENCES ledger.actions,
    kind TEXT NOT NULL CHECK (kind IN ('debit', 'reversal')),
    amount NUMERIC(14, 2) NOT NULL,
    currency TEXT NOT NULL,
    posted_at TIMESTAMPTZ NOT NULL,
    statement_period DATE NOT NULL CHECK (extract(isodow FROM statement_period) = 1),
    claim_id TEXT,
    UNIQUE (action_id, kind)
);
COMMENT ON TABLE ledger.postings IS
    'Finance''s lines: a debit when a charge is implemented, an equal credit when it is reversed.';

CREATE TABLE ledger.account_reviews (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    cycle DATE NOT NULL,
    seller_id TEXT NOT NULL,
    quality_returns INTEGER NOT NULL,
    dropoff_failures INTEGER NOT NULL,
    counterfeits INTEGER NOT NULL,
    PRIMARY KEY (country, cycle, seller_id)
);
COMMENT ON TABLE ledger.account_reviews IS
    'Sellers listed for a person''s review in a cycle, with their counts (Rulebook §8).';

-- Only appended ----------------------------------------------------------------------------------

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is only appended to: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'ledgers', 'policies', 'cycles', 'actions', 'notices', 'notice_actions',
        'deliveries', 'action_events', 'postings', 'account_reviews'
    ] LOOP
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

-- Live or simulated ------------------------------------------------------------------------------

CREATE FUNCTION ledger.refuse_future(country_code TEXT, instant TIMESTAMPTZ) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- A live ledger's instants are the wall clock's; a minute allows for two machines' clocks.
    IF instant > clock_timestamp() + INTERVAL '1 minute' AND NOT (
        SELECT l.is_simulated FROM ledger.ledgers l WHERE l.country = country_code
    ) THEN
        RAISE EXCEPTION 'the ledger of % is live: % has not happened yet', country_code, instant
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

CREATE FUNCTION ledger.refuse_back_dating(country_code TEXT, instant TIMESTAMPTZ) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- A delivery is recorded when the server answers; a quarter of an hour allows for slow ones.
    IF instant < clock_timestamp() - INTERVAL '15 minutes' AND NOT (
        SELECT l.is_simulated FROM ledger.ledgers l WHERE l.country = country_code
    ) THEN
        RAISE EXCEPTION 'the ledger of % is live: a delivery of % cannot be recorded now',
            country_code, instant USING ERRCODE = 'check_violation';
    END IF;
END $$;

-- States of an action (Rulebook §12) and the notice guarantee (Rulebook §2) -----------------------

CREATE FUNCTION ledger.check_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    struck ledger.actions%ROWTYPE;
    latest TEXT;
BEGIN
    -- The lock makes two writers of one action take turns.
    SELECT * INTO struck FROM ledger.actions WHERE action_id = NEW.action_id FOR UPDATE;
    SELECT state INTO latest FROM ledger.action_events
    WHERE action_id = NEW.action_id ORDER BY event_id DESC LIMIT 1;
    PERFORM ledger.refuse_future(struck.country, NEW.at);

    IF (CASE NEW.state
        WHEN 'proposed' THEN latest IS NULL
        WHEN 'alerted' THEN latest = 'proposed'
        WHEN 'implemented' THEN latest = 'alerted'
        WHEN 'withdrawn' THEN latest IN ('proposed', 'alerted')
        WHEN 'expired' THEN latest IN ('proposed', 'alerted')
        WHEN 'reversed' THEN latest = 'implemented'
    END) IS NOT TRUE THEN
        RAISE EXCEPTION 'action %: % does not follow %', struck.reference, NEW.state, coalesce(latest, 'nothing')
            USING ERRCODE = 'check_violation';
    END IF;

    IF NEW.state = 'alerted' AND NOT EXISTS (
        SELECT 1
        FROM ledger.notice_actions na
        JOIN ledger.notices n ON n.notice_id = na.notice_id AND n.is_alert
        JOIN ledger.deliveries d ON d.notice_id = na.notice_id AND d.status = 'sent'
        WHERE na.action_id = NEW.action_id AND na.notice_id = NEW.notice_id
    ) THEN
        RAISE EXCEPTION 'action %: no accepted alert lists it', struck.reference
            USING ERRCODE = 'check_violation';
    END IF;

    IF NEW.state = 'implemented' AND NOT EXISTS (
        SELECT 1
        FROM ledger.notice_actions na
        JOIN ledger.notices n ON n.notice_id = na.notice_id AND n.is_alert
        JOIN ledger.deliveries d ON d.notice_id = na.notice_id AND d.status = 'sent'
        WHERE na.action_id = NEW.action_id
            AND d.at <= NEW.at - make_interval(hours => struck.notice_hours)
    ) THEN
        RAISE EXCEPTION 'action %: no alert that lists it was accepted % hours before %',
            struck.reference, struck.notice_hours, NEW.at
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER in_order BEFORE INSERT ON ledger.action_events
FOR EACH ROW EXECUTE FUNCTION ledger.check_event();

CREATE FUNCTION ledger.check_listing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM ledger.notices WHERE notice_id = NEW.notice_id FOR UPDATE;
    IF EXISTS (SELECT 1 FROM ledger.deliveries WHERE notice_id = NEW.notice_id) THEN
        RAISE EXCEPTION 'notice % is being sent: nothing is listed in it any more', NEW.notice_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM ledger.notices n
        JOIN ledger.actions a ON a.seller_id = n.seller_id AND a.country = n.country
        WHERE n.notice_id = NEW.notice_id AND a.action_id = NEW.action_id
    ) THEN
        RAISE EXCEPTION 'notice % is not to the seller of action %', NEW.notice_id, NEW.action_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER to_its_seller BEFORE INSERT ON ledger.notice_actions
FOR EACH ROW EXECUTE FUNCTION ledger.check_listing();

CREATE FUNCTION ledger.check_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    country_code TEXT;
BEGIN
    PERFORM 1 FROM ledger.notices WHERE notice_id = NEW.notice_id FOR UPDATE;
    SELECT n.country INTO country_code FROM ledger.notices n WHERE n.notice_id = NEW.notice_id;
    PERFORM ledger.refuse_future(country_code, NEW.at);
    PERFORM ledger.refuse_back_dating(country_code, NEW.at);
    IF EXISTS (
        SELECT 1 FROM ledger.deliveries WHERE notice_id = NEW.notice_id AND status = 'sent'
    ) THEN
        RAISE EXCEPTION 'notice % was accepted before: a second mail is refused', NEW.notice_id
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status NOT IN ('sending', 'undeliverable') AND NOT EXISTS (
        SELECT 1 FROM ledger.deliveries
        WHERE notice_id = NEW.notice_id AND attempt = NEW.attempt AND status = 'sending'
    ) THEN
        RAISE EXCEPTION 'notice %: attempt % has an outcome but no beginning', NEW.notice_id, NEW.attempt
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER in_order BEFORE INSERT ON ledger.deliveries
FOR EACH ROW EXECUTE FUNCTION ledger.check_delivery();

-- Postings tie to the events that cause them ------------------------------------------------------

CREATE FUNCTION ledger.check_posting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    charge ledger.actions%ROWTYPE;
BEGIN
    SELECT * INTO charge FROM ledger.actions WHERE action_id = NEW.action_id;
    IF charge.amount IS NULL
        OR NEW.currency <> charge.currency
        OR NEW.amount <> (CASE NEW.kind WHEN 'debit' THEN charge.amount ELSE -charge.amount END)
    THEN
        RAISE EXCEPTION 'posting of action %: % % is not the action''s amount',
            charge.reference, NEW.amount, NEW.currency USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM ledger.action_events
        WHERE action_id = NEW.action_id AND at = NEW.posted_at
            AND state = CASE NEW.kind WHEN 'debit' THEN 'implemented' ELSE 'reversed' END
    ) THEN
        RAISE EXCEPTION 'posting of action %: no event of % causes a %',
            charge.reference, NEW.posted_at, NEW.kind USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER ties_to_event BEFORE INSERT ON ledger.postings
FOR EACH ROW EXECUTE FUNCTION ledger.check_posting();

CREATE FUNCTION ledger.check_event_is_posted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT a.amount FROM ledger.actions a WHERE a.action_id = NEW.action_id) IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM ledger.postings
            WHERE action_id = NEW.action_id
                AND kind = CASE NEW.state WHEN 'implemented' THEN 'debit' ELSE 'reversal' END
        )
    THEN
        RAISE EXCEPTION 'action %: % without its posting', NEW.action_id, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER is_posted AFTER INSERT ON ledger.action_events
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state IN ('implemented', 'reversed'))
EXECUTE FUNCTION ledger.check_event_is_posted();

-- Read views -------------------------------------------------------------------------------------

CREATE VIEW ledger.action_states AS
SELECT
    a.*,
    e.state,
    e.proposed_at,
    e.alerted_at,
    e.implemented_at,
    e.reversed_at,
    e.withdrawn_at,
    e.expired_at,
    e.cause,
    e.claim_id
FROM ledger.actions a
-- Lateral, so that asking for a few actions reads a few events.
CROSS JOIN LATERAL (
    SELECT
        (array_agg(x.state ORDER BY x.event_id DESC))[1] AS state,
        (array_agg(x.cause ORDER BY x.event_id DESC))[1] AS cause,
        (array_agg(x.claim_id ORDER BY x.event_id DESC))[1] AS claim_id,
        min(x.at) FILTER (WHERE x.state = 'proposed') AS proposed_at,
        min(x.at) FILTER (WHERE x.state = 'alerted') AS alerted_at,
        min(x.at) FILTER (WHERE x.state = 'implemented') AS implemented_at,
        min(x.at) FILTER (WHERE x.state = 'reversed') AS reversed_at,
        min(x.at) FILTER (WHERE x.state = 'withdrawn') AS withdrawn_at,
        min(x.at) FILTER (WHERE x.state = 'expired') AS expired_at
    FROM ledger.action_events x
    WHERE x.action_id = a.action_id
) e;
COMMENT ON VIEW ledger.action_states IS 'Every action with its present state and the time of each change.';

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
