-- Decisions on claims and accounts that people record here (Rulebook §11). Each counts like one in the order
-- warehouse; of several the order of their instants decides. The ledger itself sets the instant, so that none can
-- be back-dated.

CREATE TABLE ledger.recorded_decisions (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    claim_id TEXT,
    seller_id TEXT,
    decision TEXT NOT NULL CHECK (decision IN ('upheld', 'rejected', 'delist', 'keep')),
    decided_by TEXT NOT NULL,
    note TEXT,
    decided_at TIMESTAMPTZ NOT NULL,
    CHECK ((claim_id IS NOT NULL) = (decision IN ('upheld', 'rejected'))),
    CHECK (claim_id IS NOT NULL OR seller_id IS NOT NULL)
);
COMMENT ON TABLE ledger.recorded_decisions IS
    'What people decided of claims and of accounts listed for review, recorded here: one row for each decision.';
COMMENT ON COLUMN ledger.recorded_decisions.event_id IS 'Rises with every decision.';
COMMENT ON COLUMN ledger.recorded_decisions.country IS 'ISO 3166 alpha-2.';
COMMENT ON COLUMN ledger.recorded_decisions.claim_id IS 'The claim decided; null: the decision is on an account.';
COMMENT ON COLUMN ledger.recorded_decisions.seller_id IS 'The seller who claims, or whose account it is.';
COMMENT ON COLUMN ledger.recorded_decisions.decision IS 'Of a claim upheld or rejected, of an account delist or keep.';
COMMENT ON COLUMN ledger.recorded_decisions.decided_by IS 'Who decided.';
COMMENT ON COLUMN ledger.recorded_decisions.note IS 'Why, in that person''s words; null: not stated.';
COMMENT ON COLUMN ledger.recorded_decisions.decided_at IS
    'The instant of recording: the database''s clock, on a simulated ledger the instant that was given.';
CREATE INDEX recorded_decisions_of_claims ON ledger.recorded_decisions (country, claim_id);
CREATE INDEX recorded_decisions_of_accounts ON ledger.recorded_decisions (country, seller_id) WHERE claim_id IS NULL;

CREATE FUNCTION ledger.refuse_decision(why TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', why USING ERRCODE = 'check_violation';
END $$;

-- Refuses what nobody could have decided, and sets the seller and the instant. It looks at more than those may see
-- who record decisions, so it has its owner's rights.
CREATE FUNCTION ledger.check_recorded_decision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ledger_of RECORD;
    claim RECORD;
    before RECORD;
    earliest TIMESTAMPTZ;
BEGIN
    SELECT l.is_simulated, m.at INTO ledger_of
    FROM ledger.ledgers l JOIN ledger.moments m ON m.country = l.country
    WHERE l.country = NEW.country;
    IF NOT FOUND THEN
        PERFORM ledger.refuse_decision(format('there is no ledger of %s', NEW.country));
    END IF;
    -- Those who decide at the same time take turns: the second sees below what the first has recorded.
    PERFORM pg_advisory_xact_lock(hashtextextended('vibes decisions of ' || NEW.country, 0));

    IF coalesce(NEW.decided_by, '') !~ '[^[:space:]]' OR NEW.decided_by ~ '[[:cntrl:]]' THEN
        PERFORM ledger.refuse_decision('a decision bears the name of the person who made it');
    END IF;
    IF length(NEW.decided_by) > 100 OR length(NEW.note) > 2000 THEN
        PERFORM ledger.refuse_decision('a name has at most 100 characters, a note at most 2000');
    END IF;

    IF NEW.claim_id IS NOT NULL THEN
        IF NEW.decision NOT IN ('upheld', 'rejected') THEN
            PERFORM ledger.refuse_decision(format(
                'claim %s: %s is no decision on a claim; upheld and rejected are', NEW.claim_id, NEW.decision
            ));
        END IF;
        SELECT c.seller_id, c.raised_at, c.taken_in_at INTO claim
        FROM ledger.claim_states c
        WHERE c.country = NEW.country AND c.claim_id = NEW.claim_id;
        IF NOT FOUND THEN
            PERFORM ledger.refuse_decision(format(
                'the ledger of %s has taken in no claim %s', NEW.country, NEW.claim_id
            ));
        END IF;
        IF NEW.seller_id <> coalesce(claim.seller_id, '') THEN
            PERFORM ledger.refuse_decision(format(
                'claim %s is not of seller %s', NEW.claim_id, NEW.seller_id
            ));
        END IF;
        NEW.seller_id := claim.seller_id;
        earliest := greatest(claim.raised_at, claim.taken_in_at);
        -- Rejected first and upheld later is upheld; upheld stays.
        SELECT d.decision, d.decided_by, d.decided_at INTO before
        FROM (
            SELECT r.decision, r.decided_by, r.decided_at
            FROM ledger.recorded_decisions r
            WHERE r.country = NEW.country AND r.claim_id = NEW.claim_id
                AND r.seller_id IS NOT DISTINCT FROM NEW.seller_id
            UNION ALL
            SELECT x.decision, NULL, x.decided_at
            FROM ledger.claim_decisions x
            WHERE x.country = NEW.country AND x.claim_id = NEW.claim_id
        ) d
        WHERE d.decision IN ('upheld', NEW.decision)
        ORDER BY d.decision DESC, d.decided_by NULLS LAST
        LIMIT 1;
        IF FOUND THEN
            PERFORM ledger.refuse_decision(format(
                'claim %s was %s already, by %s at %s', NEW.claim_id, before.decision,
                coalesce(before.decided_by, 'a decision in the order warehouse'),
                to_char(before.decided_at, 'YYYY-MM-DD HH24:MI:SS TZ')
            ));
        END IF;
    ELSE
        IF NEW.decision NOT IN ('delist', 'keep') THEN
            PERFORM ledger.refuse_decision(format(
                'seller %s: %s is no decision on an account; delist and keep are', NEW.seller_id, NEW.decision
            ));
        END IF;
        SELECT max(c.frozen_at) INTO earliest
        FROM ledger.account_reviews a JOIN ledger.cycles c ON c.country = a.country AND c.cycle = a.cycle
        WHERE a.country = NEW.country AND a.seller_id = NEW.seller_id;
        IF earliest IS NULL THEN
            PERFORM ledger.refuse_decision(format(
                'the ledger of %s lists no seller %s for review', NEW.country, NEW.seller_id
            ));
        END IF;
        SELECT r.decision, r.decided_by, r.decided_at INTO before
        FROM ledger.recorded_decisions r
        WHERE r.country = NEW.country AND r.seller_id = NEW.seller_id AND r.claim_id IS NULL
        ORDER BY r.event_id DESC
        LIMIT 1;
        -- The same again is a decision only on what a later cycle listed.
        IF before.decision = NEW.decision AND before.decided_at >= earliest THEN
            PERFORM ledger.refuse_decision(format(
                'seller %s: %s was decided already, by %s at %s', NEW.seller_id, before.decision,
                before.decided_by, to_char(before.decided_at, 'YYYY-MM-DD HH24:MI:SS TZ')
            ));
        END IF;
    END IF;

    earliest := greatest(earliest, (
        SELECT max(r.decided_at) FROM ledger.recorded_decisions r WHERE r.country = NEW.country
    ));
    IF NOT ledger_of.is_simulated THEN
        IF NEW.decided_at IS NOT NULL THEN
            PERFORM ledger.refuse_decision(format(
                'the ledger of %s is live: it sets the instant of a decision itself, none is given to it',
                NEW.country
            ));
        END IF;
        NEW.decided_at := greatest(earliest, clock_timestamp());
        RETURN NEW;
    END IF;
    IF NEW.decided_at IS NULL OR NOT isfinite(NEW.decided_at) THEN
        PERFORM ledger.refuse_decision(format(
            'the ledger of %s is simulated: a decision needs the instant at which it is made', NEW.country
        ));
    END IF;
    earliest := greatest(earliest, ledger_of.at);
    IF NEW.decided_at < earliest THEN
        PERFORM ledger.refuse_decision(format(
            'a decision is not back-dated: at the earliest it is of %s',
            to_char(earliest, 'YYYY-MM-DD HH24:MI:SS TZ')
        ));
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER as_it_is_made BEFORE INSERT ON ledger.recorded_decisions
FOR EACH ROW EXECUTE FUNCTION ledger.check_recorded_decision();
CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE ON ledger.recorded_decisions
FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger.recorded_decisions
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Who may record decisions, and nothing else: what the commands on claims and reviews read, and this one table to
-- append to. The role is of the whole cluster: another ledger in it may have made it, or be making it now. A user
-- who may make no roles still gets the table; deploy/roles.sql makes the role.
DO $$
BEGIN
    IF to_regrole('vibes_operations') IS NULL THEN
        BEGIN
            CREATE ROLE vibes_operations NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role vibes_operations could not be made';
                RETURN;
        END;
    END IF;
    GRANT SELECT ON public.ledger_version TO vibes_operations;
    GRANT USAGE ON SCHEMA ledger TO vibes_operations;
    GRANT SELECT ON
        ledger.account_reviews, ledger.action_events, ledger.action_states, ledger.actions,
        ledger.claim_decisions, ledger.claim_intakes, ledger.claim_states, ledger.cycles, ledger.excuses,
        ledger.ledgers, ledger.moments, ledger.notice_actions, ledger.notice_states, ledger.open_actions,
        ledger.policies, ledger.postings, ledger.recorded_decisions, ledger.slots
    TO vibes_operations;
    GRANT INSERT ON ledger.recorded_decisions TO vibes_operations;
END $$;
