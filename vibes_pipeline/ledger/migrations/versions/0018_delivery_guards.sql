-- Deliveries are recorded by the hundred too: their guard looks at all rows of a statement at once, as the other
-- guards do since 0011, and by an index for the same reason. Before, it looked at each row by itself, and the
-- server planned its queries anew for each. It refuses what it refused (Rulebook §2).

-- A delivery without its notice is refused by the guard, and notices are never deleted: the key checked each row
-- once more for nothing.
ALTER TABLE ledger.deliveries DROP CONSTRAINT deliveries_notice_id_fkey;

DROP TRIGGER in_order ON ledger.deliveries;
DROP FUNCTION ledger.check_delivery();

CREATE FUNCTION ledger.check_deliveries() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    written RECORD;
    fault RECORD;
BEGIN
    -- What is listed in a notice waits until a delivery of it is there, and the other way round.
    PERFORM 1
    FROM (SELECT DISTINCT x.notice_id FROM added x ORDER BY x.notice_id) d
    CROSS JOIN LATERAL (
        SELECT 1 FROM ledger.notices x WHERE x.notice_id = d.notice_id FOR NO KEY UPDATE
    ) n;

    FOR written IN
        SELECT n.country, min(d.notice_id::text) AS a_notice, min(d.at) AS oldest_at, max(d.at) AS newest_at
        FROM added d
        LEFT JOIN LATERAL (
            SELECT x.country FROM ledger.notices x WHERE x.notice_id = d.notice_id OFFSET 0
        ) n ON true
        GROUP BY n.country
        ORDER BY n.country
    LOOP
        IF written.country IS NULL THEN
            RAISE EXCEPTION 'there is no notice %: it cannot be delivered', written.a_notice
                USING ERRCODE = 'foreign_key_violation';
        END IF;
        PERFORM ledger.refuse_future(written.country, written.newest_at);
        PERFORM ledger.refuse_back_dating(written.country, written.oldest_at);
    END LOOP;

    -- Of a notice accepted by this very statement, the rows up to its acceptance may be in it.
    SELECT d.notice_id INTO fault
    FROM (
        SELECT x.notice_id, bool_or(x.status = 'sent') AS is_accepted_now, max(x.attempt) AS latest
        FROM added x
        GROUP BY x.notice_id
    ) d
    CROSS JOIN LATERAL (
        SELECT x.attempt FROM ledger.deliveries x
        WHERE x.notice_id = d.notice_id AND x.status = 'sent' OFFSET 0
    ) accepted
    WHERE NOT d.is_accepted_now OR d.latest > accepted.attempt
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notice % was accepted before: a second mail is refused', fault.notice_id
            USING ERRCODE = 'check_violation';
    END IF;

    SELECT d.notice_id, d.attempt INTO fault
    FROM added d
    WHERE d.status NOT IN ('sending', 'undeliverable') AND (
        SELECT x.at FROM ledger.deliveries x
        WHERE x.notice_id = d.notice_id AND x.attempt = d.attempt AND x.status = 'sending'
    ) IS NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'notice %: attempt % has an outcome but no beginning', fault.notice_id, fault.attempt
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER in_order AFTER INSERT ON ledger.deliveries
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_deliveries();

-- Who records rows lets the server plan once what is checked of each row by itself. A guard of all rows of a
-- statement is planned each time, for one row as for a hundred thousand.
DO $$
DECLARE
    guard TEXT;
BEGIN
    FOREACH guard IN ARRAY ARRAY[
        'check_deliveries', 'check_events', 'check_listings', 'check_postings', 'keep_open_actions',
        'note_unsent_notices', 'forget_sent_notices', 'refuse_closed_periods', 'add_up_events', 'add_up_postings'
    ] LOOP
        EXECUTE format('ALTER FUNCTION ledger.%I() SET plan_cache_mode = force_custom_plan', guard);
    END LOOP;
END $$;
