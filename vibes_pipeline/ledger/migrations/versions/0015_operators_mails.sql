-- Mails to operators (Rulebook §17): each is a row before it is sent, with its words, so that it is sent once to
-- each operator however often a slot is tried, whoever sends it and whatever fails in between.
-- A run may fail before the ledger's first slot has opened it, so no row of ledger.ledgers is asked for.

CREATE TABLE ledger.operators_mails (
    mail_id UUID PRIMARY KEY,
    country TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('morning', 'failed_run')),
    about TEXT NOT NULL,
    told JSONB NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL,
    pointless_at TIMESTAMPTZ NOT NULL CHECK (pointless_at > planned_at),
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    html TEXT
);
COMMENT ON TABLE ledger.operators_mails IS
    'Mails to operators as they were worded: one each morning, and one about each cause for which a slot fails.';
COMMENT ON COLUMN ledger.operators_mails.mail_id IS 'UUIDv5 of what it is about, so that nothing is told twice';
COMMENT ON COLUMN ledger.operators_mails.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.operators_mails.kind IS 'morning or failed_run';
COMMENT ON COLUMN ledger.operators_mails.about IS 'of a morning''s mail the day; else the job, and its period if it has one';
COMMENT ON COLUMN ledger.operators_mails.told IS
    'what the next mail is compared with: how many waited by cause, or why the run failed, numbers and ids aside';
COMMENT ON COLUMN ledger.operators_mails.planned_at IS 'the instant that it tells of';
COMMENT ON COLUMN ledger.operators_mails.pointless_at IS 'from when on it is not sent any more';
COMMENT ON COLUMN ledger.operators_mails.subject IS 'as worded';
COMMENT ON COLUMN ledger.operators_mails.body IS 'the words as plain text, which may hold ids that sellers wrote: hostile text';
COMMENT ON COLUMN ledger.operators_mails.html IS 'the same words as HTML; null: plain text alone';
CREATE UNIQUE INDEX one_mail_a_morning ON ledger.operators_mails (country, about) WHERE kind = 'morning';
CREATE INDEX operators_mails_about ON ledger.operators_mails (country, kind, about, planned_at);
CREATE INDEX operators_mails_by_end ON ledger.operators_mails (country, pointless_at);

CREATE TABLE ledger.operators_deliveries (
    mail_id UUID NOT NULL REFERENCES ledger.operators_mails,
    address_hash TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    status TEXT NOT NULL CHECK (
        status IN ('queued', 'sending', 'sent', 'stored', 'deferred', 'failed', 'unknown')
    ),
    at TIMESTAMPTZ NOT NULL,
    code INTEGER,
    detail TEXT,
    PRIMARY KEY (mail_id, address_hash, attempt, status),
    CHECK (status <> 'sent' OR code IS NOT DISTINCT FROM 250),
    CHECK ((attempt = 0) = (status = 'queued'))
);
COMMENT ON TABLE ledger.operators_deliveries IS
    'To whom a mail to operators goes, and every attempt to send it: sending before, the outcome after.';
COMMENT ON COLUMN ledger.operators_deliveries.mail_id IS 'the mail';
COMMENT ON COLUMN ledger.operators_deliveries.address_hash IS
    'of the operator''s address, with the home''s key; the address is not kept';
COMMENT ON COLUMN ledger.operators_deliveries.attempt IS 'from 1; 0: the mail is to go to this address';
COMMENT ON COLUMN ledger.operators_deliveries.status IS
    'queued, sending, sent, stored, deferred, failed or unknown';
COMMENT ON COLUMN ledger.operators_deliveries.at IS 'when it was planned, begun or answered';
COMMENT ON COLUMN ledger.operators_deliveries.code IS 'the mail server''s; 250 is acceptance';
COMMENT ON COLUMN ledger.operators_deliveries.detail IS 'the mail server''s words';
CREATE UNIQUE INDEX one_outcome_per_operators_attempt ON ledger.operators_deliveries (mail_id, address_hash, attempt)
WHERE status <> 'sending';
CREATE UNIQUE INDEX sent_to_an_operator_at_most_once ON ledger.operators_deliveries (mail_id, address_hash)
WHERE status = 'sent';

CREATE VIEW ledger.operators_mail_states AS
SELECT
    m.mail_id,
    m.country,
    m.kind,
    m.about,
    m.planned_at,
    m.pointless_at,
    d.address_hash,
    d.status,
    d.attempt,
    d.at AS last_at,
    d.code,
    d.detail,
    (
        SELECT count(*) FROM ledger.operators_deliveries u
        WHERE u.mail_id = m.mail_id AND u.address_hash = d.address_hash AND u.status = 'unknown'
    ) AS unknowns
FROM ledger.operators_mails m
JOIN LATERAL (
    SELECT DISTINCT ON (x.address_hash) x.*
    FROM ledger.operators_deliveries x
    WHERE x.mail_id = m.mail_id
    ORDER BY x.address_hash, x.attempt DESC, (x.status = 'sending')
) d ON true;
COMMENT ON VIEW ledger.operators_mail_states IS
    'Every mail to operators, once for each operator that it goes to, with the outcome of its last attempt.';
COMMENT ON COLUMN ledger.operators_mail_states.last_at IS 'when the last attempt was begun or answered';
COMMENT ON COLUMN ledger.operators_mail_states.unknowns IS 'how often its answer was lost';

-- Any other column means the same as in its table.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT
            a.attname AS column_name,
            col_description(a.attrelid, a.attnum) AS meaning
        FROM pg_attribute v
        JOIN pg_attribute a
            ON a.attname = v.attname
            AND a.attrelid IN ('ledger.operators_mails'::regclass, 'ledger.operators_deliveries'::regclass)
        WHERE v.attrelid = 'ledger.operators_mail_states'::regclass AND v.attnum > 0
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN ledger.operators_mail_states.%I IS %L', found.column_name, found.meaning
        );
    END LOOP;
END $$;

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['operators_mails', 'operators_deliveries'] LOOP
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
