-- The guards of what a slot records by the hundred thousand look at all rows of a statement at once;
-- before, at each row by itself. They refuse what they refused, with the same words (Rulebook §2, §12).
--
-- A session keeps the plans of a guard, and they must suit one row as well as a hundred thousand, in tables
-- that were empty when the plan was made. So every row is looked up by an index: OFFSET 0 keeps a lateral
-- subquery one, and enable_seqscan is off.

-- Of an action each state comes once: the guard below says so with better words, and comes first if this is
-- asked at the end of the transaction.
ALTER TABLE ledger.action_events DROP CONSTRAINT action_events_action_id_state_key;
ALTER TABLE ledger.action_events ADD CONSTRAINT action_events_action_id_state_key
UNIQUE (action_id, state) DEFERRABLE INITIALLY DEFERRED;

DROP TRIGGER in_order ON ledger.action_events;
DROP FUNCTION ledger.check_event();

CREATE FUNCTION ledger.check_events() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    written RECORD;
    fault RECORD;
BEGIN
    FOR written IN
        SELECT a.country, max(e.at) AS newest_at
        FROM added e
        CROSS JOIN LATERAL (
            SELECT x.country FROM ledger.actions x WHERE x.action_id = e.action_id OFFSET 0
        ) a
        GROUP BY a.country
        ORDER BY a.country
    LOOP
        -- Two writers of one ledger take turns: the second sees below what the first has written.
        PERFORM 1 FROM ledger.ledgers l WHERE l.country = written.country FOR NO KEY UPDATE;
        PERFORM ledger.refuse_future(written.country, written.newest_at);
    END LOOP;

    -- All events of an action, for a writer that had to wait may have drawn a lower number.
    SELECT f.action_id, f.state, f.latest INTO fault
    FROM (SELECT DISTINCT e.action_id FROM added e) d
    CROSS JOIN LATERAL (
        SELECT
            x.action_id,
            x.event_id,
            x.state,
            lag(x.state) OVER (ORDER BY x.event_id) AS latest
        FROM ledger.action_events x
        WHERE x.action_id = d.action_id
    ) f
    WHERE (CASE f.state
        WHEN 'proposed' THEN f.latest IS NULL
        WHEN 'alerted' THEN f.latest = 'proposed'
        WHEN 'implemented' THEN f.latest = 'alerted'
        WHEN 'withdrawn' THEN f.latest IN ('proposed', 'alerted')
        WHEN 'expired' THEN f.latest IN ('proposed', 'alerted')
        WHEN 'reversed' THEN f.latest = 'implemented'
    END) IS NOT TRUE
    ORDER BY f.event_id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'action %: % does not follow %',
            (SELECT a.reference FROM ledger.actions a WHERE a.action_id = fault.action_id),
            fault.state, coalesce(fault.latest, 'nothing')
            USING ERRCODE = 'check_violation';
    END IF;

    SELECT e.action_id INTO fault
    FROM added e
    WHERE e.state = 'alerted' AND (
        SELECT na.action_id
        FROM ledger.notice_actions na
        WHERE na.notice_id = e.notice_id AND na.action_id = e.action_id
            AND (SELECT n.is_alert FROM ledger.notices n WHERE n.notice_id = na.notice_id)
            AND (
                SELECT d.at FROM ledger.deliveries d
                WHERE d.notice_id = na.notice_id AND d.status = 'sent'
            ) IS NOT NULL
    ) IS NULL
    ORDER BY e.event_id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'action %: no accepted alert lists it',
            (SELECT a.reference FROM ledger.actions a WHERE a.action_id = fault.action_id)
            USING ERRCODE = 'check_violation';
    END IF;

    SELECT a.reference, a.notice_hours, e.at INTO fault
    FROM added e
    CROSS JOIN LATERAL (
        SELECT x.reference, x.notice_hours FROM ledger.actions x WHERE x.action_id = e.action_id OFFSET 0
    ) a
    WHERE e.state = 'implemented' AND ((
        SELECT min((
            SELECT d.at FROM ledger.deliveries d
            WHERE d.notice_id = na.notice_id AND d.status = 'sent'
        ))
        FROM ledger.notice_actions na
        WHERE na.action_id = e.action_id
            AND (SELECT n.is_alert FROM ledger.notices n WHERE n.notice_id = na.notice_id)
    ) <= e.at - make_interval(hours => a.notice_hours)) IS NOT TRUE
    ORDER BY e.event_id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'action %: no alert that lists it was accepted % hours before %',
            fault.reference, fault.notice_hours, fault.at
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER in_order AFTER INSERT ON ledger.action_events
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_events();

-- A listing without its notice or its action, and a posting without its action, have always been refused by
-- the guard before the foreign key was asked, and neither notices nor actions are ever deleted: the keys
-- checked each row once more for nothing.
ALTER TABLE ledger.notice_actions DROP CONSTRAINT notice_actions_notice_id_fkey;
ALTER TABLE ledger.notice_actions DROP CONSTRAINT notice_actions_action_id_fkey;
ALTER TABLE ledger.postings DROP CONSTRAINT postings_action_id_fkey;

DROP TRIGGER to_its_seller ON ledger.notice_actions;
DROP FUNCTION ledger.check_listing();

CREATE FUNCTION ledger.check_listings() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    fault RECORD;
BEGIN
    -- A delivery of a notice waits until what is listed in it is there, and the other way round.
    PERFORM 1
    FROM (SELECT DISTINCT x.notice_id FROM added x ORDER BY x.notice_id) l
    CROSS JOIN LATERAL (
        SELECT 1 FROM ledger.notices x WHERE x.notice_id = l.notice_id FOR NO KEY UPDATE
    ) n;

    SELECT l.notice_id INTO fault
    FROM (SELECT DISTINCT x.notice_id FROM added x) l
    CROSS JOIN LATERAL (
        SELECT 1 FROM ledger.deliveries x WHERE x.notice_id = l.notice_id LIMIT 1
    ) d
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notice % is being sent: nothing is listed in it any more', fault.notice_id
            USING ERRCODE = 'check_violation';
    END IF;

    SELECT l.notice_id, l.action_id INTO fault
    FROM added l
    LEFT JOIN LATERAL (
        SELECT x.country, x.seller_id FROM ledger.notices x WHERE x.notice_id = l.notice_id OFFSET 0
    ) n ON true
    LEFT JOIN LATERAL (
        SELECT x.country, x.seller_id FROM ledger.actions x WHERE x.action_id = l.action_id OFFSET 0
    ) a ON true
    WHERE (a.seller_id = n.seller_id AND a.country = n.country) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notice % is not to the seller of action %', fault.notice_id, fault.action_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER to_its_seller AFTER INSERT ON ledger.notice_actions
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_listings();

DROP TRIGGER ties_to_event ON ledger.postings;
DROP FUNCTION ledger.check_posting();

CREATE FUNCTION ledger.check_postings() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    fault RECORD;
BEGIN
    SELECT a.reference, p.amount, p.currency INTO fault
    FROM added p
    LEFT JOIN LATERAL (
        SELECT x.reference, x.amount, x.currency
        FROM ledger.actions x WHERE x.action_id = p.action_id OFFSET 0
    ) a ON true
    WHERE a.amount IS NULL
        OR p.currency <> a.currency
        OR p.amount <> (CASE p.kind WHEN 'debit' THEN a.amount ELSE -a.amount END)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting of action %: % % is not the action''s amount',
            fault.reference, fault.amount, fault.currency USING ERRCODE = 'check_violation';
    END IF;

    SELECT p.action_id, p.posted_at, p.kind INTO fault
    FROM added p
    WHERE (
        SELECT e.at FROM ledger.action_events e
        WHERE e.action_id = p.action_id
            AND e.state = CASE p.kind WHEN 'debit' THEN 'implemented' ELSE 'reversed' END
    ) IS DISTINCT FROM p.posted_at
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting of action %: no event of % causes a %',
            (SELECT a.reference FROM ledger.actions a WHERE a.action_id = fault.action_id),
            fault.posted_at, fault.kind USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ties_to_event AFTER INSERT ON ledger.postings
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_postings();

-- That an event is posted can be asked only at the end of the transaction, so of each row; but in one query.
CREATE OR REPLACE FUNCTION ledger.check_event_is_posted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM ledger.actions a
        WHERE a.action_id = NEW.action_id AND a.amount IS NOT NULL
            AND (
                SELECT p.posting_id FROM ledger.postings p
                WHERE p.action_id = NEW.action_id
                    AND p.kind = CASE NEW.state WHEN 'implemented' THEN 'debit' ELSE 'reversal' END
            ) IS NULL
    ) THEN
        RAISE EXCEPTION 'action %: % without its posting', NEW.action_id, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- Deliveries are still looked at row by row; their look-ups must not read the whole table either, whose plan
-- is made when it is small.
ALTER FUNCTION ledger.check_delivery() SET enable_seqscan = off;
