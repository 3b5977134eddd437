-- What a slot asks of the ledger is bounded by what is at hand, not by the ledger's age (Rulebook §2, §9).
-- An action's or a notice's state follows from its newest event, so which are open could be told only by looking
-- at all of them. The two tables here list them: the events' own triggers keep them, and nobody else may.

CREATE TABLE ledger.open_actions (
    action_id UUID PRIMARY KEY
);
COMMENT ON TABLE ledger.open_actions IS
    'The actions proposed or alerted now; follows from ledger.action_events, and only their trigger writes it.';
COMMENT ON COLUMN ledger.open_actions.action_id IS 'an action that is neither implemented, withdrawn nor expired';

CREATE TABLE ledger.unsent_notices (
    notice_id UUID PRIMARY KEY
);
COMMENT ON TABLE ledger.unsent_notices IS
    'The notices that no mail server has accepted; follows from ledger.deliveries, and only their triggers write it.';
COMMENT ON COLUMN ledger.unsent_notices.notice_id IS 'a notice without an accepted delivery';

INSERT INTO ledger.open_actions
SELECT e.action_id
FROM ledger.action_events e
GROUP BY e.action_id
HAVING bool_and(e.state IN ('proposed', 'alerted'));

INSERT INTO ledger.unsent_notices
SELECT n.notice_id
FROM ledger.notices n
WHERE NOT EXISTS (
    SELECT 1 FROM ledger.deliveries d WHERE d.notice_id = n.notice_id AND d.status = 'sent'
);

-- With the owner's rights: who runs slots may delete nothing in the ledger.
CREATE FUNCTION ledger.keep_open_actions() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO ledger.open_actions
    SELECT e.action_id FROM added e WHERE e.state = 'proposed';
    DELETE FROM ledger.open_actions o
    USING added e
    WHERE o.action_id = e.action_id AND e.state IN ('implemented', 'withdrawn', 'expired');
    RETURN NULL;
END $$;

CREATE TRIGGER keep_open_actions AFTER INSERT ON ledger.action_events
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.keep_open_actions();

CREATE FUNCTION ledger.note_unsent_notices() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO ledger.unsent_notices SELECT n.notice_id FROM added n;
    RETURN NULL;
END $$;

CREATE TRIGGER note_unsent_notices AFTER INSERT ON ledger.notices
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.note_unsent_notices();

CREATE FUNCTION ledger.forget_sent_notices() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    DELETE FROM ledger.unsent_notices u
    USING added d
    WHERE u.notice_id = d.notice_id AND d.status = 'sent';
    RETURN NULL;
END $$;

CREATE TRIGGER forget_sent_notices AFTER INSERT ON ledger.deliveries
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.forget_sent_notices();

CREATE FUNCTION ledger.refuse_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% follows from what is appended elsewhere: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['open_actions', 'unsent_notices'] LOOP
        -- The depth is 0 outside of any trigger.
        EXECUTE format(
            'CREATE TRIGGER not_by_hand BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) '
            'EXECUTE FUNCTION ledger.refuse_by_hand()', relation
        );
    END LOOP;
END $$;

-- The few actions that rules ask for by product or account, among many of other rules.
CREATE INDEX actions_of_products ON ledger.actions (country, sku, cycle)
WHERE rule IN ('sales_regulation', 'product_delisting');
CREATE INDEX actions_of_accounts ON ledger.actions (country, seller_id)
WHERE rule = 'account_delisting';
CREATE INDEX reviews_of_sellers ON ledger.account_reviews (country, seller_id);
CREATE INDEX reviewed_counterfeits_of_items ON ledger.reviewed_counterfeits (country, order_item_id);
-- A slot looks at its own notices by kind and period; the one that keeps them unique has no claims' notices.
CREATE INDEX notices_of_slots ON ledger.notices (country, kind, period);
