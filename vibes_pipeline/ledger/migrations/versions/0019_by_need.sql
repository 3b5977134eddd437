-- Which claims wait for a person (Rulebook §11), told without a look at all that were ever made: a claim's state
-- follows from its newest intake and its decisions. Their triggers keep the list, and nobody else may write it.

CREATE TABLE ledger.open_claims (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    claim_id TEXT NOT NULL,
    PRIMARY KEY (country, claim_id)
);
COMMENT ON TABLE ledger.open_claims IS
    'The claims accepted at intake and not decided; follows from ledger.claim_states, and only triggers write it.';
COMMENT ON COLUMN ledger.open_claims.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.open_claims.claim_id IS 'a claim that waits for a person''s decision';

INSERT INTO ledger.open_claims
SELECT country, claim_id FROM ledger.claim_states WHERE state = 'accepted';

-- With the owner's rights: who runs slots may delete nothing in the ledger. Each claim is looked up by its id.
CREATE FUNCTION ledger.keep_open_claims() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    DELETE FROM ledger.open_claims o
    USING added a
    WHERE o.country = a.country AND o.claim_id = a.claim_id;
    INSERT INTO ledger.open_claims
    SELECT DISTINCT a.country, a.claim_id
    FROM added a
    CROSS JOIN LATERAL (
        SELECT s.state FROM ledger.claim_states s
        WHERE s.country = a.country AND s.claim_id = a.claim_id
    ) c
    WHERE c.state = 'accepted';
    RETURN NULL;
END $$;

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['claim_intakes', 'claim_decisions'] LOOP
        EXECUTE format(
            'CREATE TRIGGER keep_open_claims AFTER INSERT ON ledger.%I REFERENCING NEW TABLE AS added '
            'FOR EACH STATEMENT EXECUTE FUNCTION ledger.keep_open_claims()', relation
        );
    END LOOP;
END $$;

-- The depth is 0 outside of any trigger.
CREATE TRIGGER not_by_hand BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ledger.open_claims
FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger.refuse_by_hand();

-- The few claims upheld about nothing that was found.
CREATE INDEX unmatched_claims ON ledger.claim_decisions (country, claim_id) WHERE NOT is_matched;

-- Most claims name an order: its actions are looked up without all that its seller was ever charged.
DROP INDEX ledger.actions_by_seller;
CREATE INDEX actions_by_seller ON ledger.actions (country, seller_id, order_number);

DO $$
BEGIN
    IF to_regrole('vibes_operations') IS NOT NULL THEN
        GRANT SELECT ON ledger.open_claims TO vibes_operations;
    END IF;
END $$;

-- Statistics of tables that have just grown, for the plans of what follows in the same transaction. PostgreSQL lets
-- only a table's owner refresh them (and, from version 17 on, whom the owner granted it); it passes over all others
-- with a warning. Whoever runs slots owns nothing here. Who may call it can read the ledger, and changes nothing by it.
CREATE FUNCTION ledger.count_anew(VARIADIC names TEXT []) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('ANALYZE ledger.%I', name);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION ledger.count_anew(TEXT []) TO PUBLIC;
