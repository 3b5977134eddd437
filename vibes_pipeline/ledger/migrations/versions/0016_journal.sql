-- What accountants book, and what is closed once they have (Rulebook §12, §17).
--
-- The policy names the accounts of each charge rule by date. A posting keeps the accounts that its debit was
-- booked on, whatever the policy says later: so they are recorded here before the first debit that bears them.

CREATE TABLE ledger.charge_accounts (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    rule TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    receivable_account TEXT NOT NULL,
    income_account TEXT NOT NULL CHECK (income_account <> receivable_account),
    PRIMARY KEY (country, rule, since)
);
COMMENT ON TABLE ledger.charge_accounts IS
    'The accounts of a charge rule from an instant on, until its next row; its first row holds for what was debited before, too.';

-- Few rows of one week among those of all.
CREATE INDEX postings_by_period ON ledger.postings (statement_period);

CREATE FUNCTION ledger.check_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM ledger.ledgers l WHERE l.country = NEW.country FOR NO KEY UPDATE;
    PERFORM ledger.refuse_future(NEW.country, NEW.since);
    -- What is booked stays booked. The first accounts of a rule change nothing: there were none.
    IF EXISTS (
        SELECT 1 FROM ledger.charge_accounts c
        WHERE c.country = NEW.country AND c.rule = NEW.rule
    ) AND (
        EXISTS (
            SELECT 1 FROM ledger.charge_accounts c
            WHERE c.country = NEW.country AND c.rule = NEW.rule AND c.since >= NEW.since
        ) OR EXISTS (
            SELECT 1
            FROM ledger.postings p
            JOIN ledger.actions a ON a.action_id = p.action_id
            -- No local Monday is further from the day in UTC.
            WHERE p.statement_period >= (NEW.since AT TIME ZONE 'UTC')::DATE - 8
                AND p.posted_at >= NEW.since AND p.kind = 'debit'
                AND a.country = NEW.country AND a.rule = NEW.rule
        )
    ) THEN
        RAISE EXCEPTION 'accounts of %: what was debited at % or later is booked on others already',
            NEW.rule, NEW.since USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER change_nothing_booked BEFORE INSERT ON ledger.charge_accounts
FOR EACH ROW EXECUTE FUNCTION ledger.check_accounts();

CREATE VIEW finance.journal AS
WITH spans AS (
    SELECT
        c.*,
        row_number() OVER rows_of_rule = 1 AS is_first,
        coalesce(lead(c.since) OVER rows_of_rule, 'infinity') AS until
    FROM ledger.charge_accounts c
    WINDOW rows_of_rule AS (PARTITION BY c.country, c.rule ORDER BY c.since)
),
booked AS (
    SELECT
        p.*,
        a.reference,
        a.seller_id,
        a.rule,
        a.country,
        CASE WHEN p.kind = 'debit' THEN p.posted_at ELSE (
            SELECT d.posted_at FROM ledger.postings d
            WHERE d.action_id = p.action_id AND d.kind = 'debit'
        ) END AS debited_at
    FROM ledger.postings p
    JOIN ledger.actions a ON a.action_id = p.action_id
)
SELECT
    b.posted_at,
    b.statement_period,
    -- A debit is receivable against income, a reversal the other way round.
    CASE WHEN (b.kind = 'debit') = line.is_debit THEN s.receivable_account ELSE s.income_account END AS account,
    (CASE WHEN line.is_debit THEN abs(b.amount) ELSE 0 END)::NUMERIC(14, 2) AS debit,
    (CASE WHEN line.is_debit THEN 0 ELSE abs(b.amount) END)::NUMERIC(14, 2) AS credit,
    b.currency,
    b.reference,
    b.seller_id,
    b.rule,
    b.kind,
    b.posting_id,
    b.country
FROM booked b
CROSS JOIN (VALUES (true), (false)) AS line (is_debit)
LEFT JOIN spans s ON s.country = b.country AND s.rule = b.rule
    AND (s.is_first OR b.debited_at >= s.since) AND b.debited_at < s.until;
COMMENT ON VIEW finance.journal IS
    'Two lines per posting, one of them a debit and one a credit of the same amount: what accountants book (Rulebook §17).';
COMMENT ON COLUMN finance.journal.posted_at IS 'When it was posted: the instant of the slot that did it.';
COMMENT ON COLUMN finance.journal.statement_period IS 'The Monday of the local week in which it was posted.';
COMMENT ON COLUMN finance.journal.account IS 'The account of the policy: receivable from sellers, or the rule''s income. Of a reversal those of its debit. Null: none is recorded yet.';
COMMENT ON COLUMN finance.journal.debit IS 'The amount, if the line is a debit of the account; else 0.00.';
COMMENT ON COLUMN finance.journal.credit IS 'The amount, if the line is a credit of the account; else 0.00.';
COMMENT ON COLUMN finance.journal.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.journal.reference IS 'The charge''s short reference, as mails and claims quote it.';
COMMENT ON COLUMN finance.journal.seller_id IS 'The seller charged or credited.';
COMMENT ON COLUMN finance.journal.rule IS 'The rule of the charge.';
COMMENT ON COLUMN finance.journal.kind IS 'debit: of a charge; reversal: of such a debit.';
COMMENT ON COLUMN finance.journal.posting_id IS 'The posting that both lines are of; the same whenever it is read.';
COMMENT ON COLUMN finance.journal.country IS 'ISO 3166 alpha-2.';

-- The close of a period ----------------------------------------------------------------------------

CREATE TABLE ledger.period_closes (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    statement_period DATE NOT NULL CHECK (extract(isodow FROM statement_period) = 1),
    ends_at TIMESTAMPTZ NOT NULL,
    closed_at TIMESTAMPTZ NOT NULL,
    postings BIGINT NOT NULL,
    sha256 TEXT NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (country, statement_period),
    CONSTRAINT is_over CHECK (closed_at >= ends_at),
    -- A local midnight is never further from that of UTC.
    CONSTRAINT ends_with_its_week CHECK (
        ends_at AT TIME ZONE 'UTC' - (statement_period + 7)::TIMESTAMP
        BETWEEN INTERVAL '-14 hours' AND INTERVAL '14 hours'
    )
);
COMMENT ON TABLE ledger.period_closes IS
    'The statement periods that are closed: nothing is posted into one any more, and its journal has the hash that is kept here.';

CREATE TABLE ledger.period_close_totals (
    country TEXT NOT NULL,
    statement_period DATE NOT NULL,
    rule TEXT NOT NULL,
    currency TEXT NOT NULL,
    debits NUMERIC(18, 2) NOT NULL,
    reversals NUMERIC(18, 2) NOT NULL,
    net NUMERIC(18, 2) NOT NULL,
    debit_postings BIGINT NOT NULL,
    reversal_postings BIGINT NOT NULL,
    PRIMARY KEY (country, statement_period, rule, currency),
    FOREIGN KEY (country, statement_period) REFERENCES ledger.period_closes
);
COMMENT ON TABLE ledger.period_close_totals IS
    'What a closed period''s postings of each rule summed to when it was closed.';

CREATE FUNCTION ledger.check_close() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    posted BIGINT;
BEGIN
    -- Who posts holds this lock before: what they post is either seen below, or sees this close.
    PERFORM 1 FROM ledger.ledgers l WHERE l.country = NEW.country FOR NO KEY UPDATE;
    PERFORM ledger.refuse_future(NEW.country, NEW.closed_at);
    SELECT count(*) INTO posted
    FROM ledger.postings p
    JOIN ledger.actions a ON a.action_id = p.action_id
    WHERE p.statement_period = NEW.statement_period AND a.country = NEW.country;
    IF posted <> NEW.postings THEN
        RAISE EXCEPTION 'statement period % of % has % postings, not %',
            NEW.statement_period, NEW.country, posted, NEW.postings USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER holds_all_postings BEFORE INSERT ON ledger.period_closes
FOR EACH ROW EXECUTE FUNCTION ledger.check_close();

CREATE FUNCTION ledger.refuse_closed_periods() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    fault RECORD;
BEGIN
    SELECT c.country, c.statement_period INTO fault
    FROM (SELECT DISTINCT p.statement_period FROM added p) w
    JOIN ledger.period_closes c ON c.statement_period = w.statement_period
    CROSS JOIN LATERAL (
        SELECT 1
        FROM added p
        CROSS JOIN LATERAL (
            SELECT x.country FROM ledger.actions x WHERE x.action_id = p.action_id OFFSET 0
        ) a
        WHERE p.statement_period = c.statement_period AND a.country = c.country
        LIMIT 1
    ) posted
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'statement period % of % is closed: nothing is posted into it any more',
            fault.statement_period, fault.country USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER into_an_open_period AFTER INSERT ON ledger.postings
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_closed_periods();

CREATE VIEW finance.period_closes AS
SELECT
    c.statement_period,
    c.closed_at,
    c.postings,
    c.sha256,
    c.country
FROM ledger.period_closes c;
COMMENT ON VIEW finance.period_closes IS
    'One row per closed statement period: nothing is posted into it any more, and its journal has this hash.';
COMMENT ON COLUMN finance.period_closes.statement_period IS 'The Monday of the local week that is closed.';
COMMENT ON COLUMN finance.period_closes.closed_at IS 'When it was closed; of a simulated ledger by its own time.';
COMMENT ON COLUMN finance.period_closes.postings IS 'How many postings it holds.';
COMMENT ON COLUMN finance.period_closes.sha256 IS 'SHA-256 of the period''s journal as CSV, its lines in order of posting_id, the debit first.';
COMMENT ON COLUMN finance.period_closes.country IS 'ISO 3166 alpha-2.';

CREATE VIEW finance.period_close_totals AS
SELECT
    t.statement_period,
    t.rule,
    t.currency,
    t.debits,
    t.reversals,
    t.net,
    t.debit_postings,
    t.reversal_postings,
    t.country
FROM ledger.period_close_totals t;
COMMENT ON VIEW finance.period_close_totals IS
    'One row per closed statement period and rule: its row of finance.charge_totals as it was when the period was closed.';
COMMENT ON COLUMN finance.period_close_totals.statement_period IS 'The Monday of the local week that is closed.';
COMMENT ON COLUMN finance.period_close_totals.rule IS 'The rule of the charges.';
COMMENT ON COLUMN finance.period_close_totals.currency IS 'ISO 4217.';
COMMENT ON COLUMN finance.period_close_totals.debits IS 'All debits.';
COMMENT ON COLUMN finance.period_close_totals.reversals IS 'All reversals posted in the period, of whatever period''s debits; zero or negative.';
COMMENT ON COLUMN finance.period_close_totals.net IS 'Debits and reversals together.';
COMMENT ON COLUMN finance.period_close_totals.debit_postings IS 'How many debits.';
COMMENT ON COLUMN finance.period_close_totals.reversal_postings IS 'How many reversals.';
COMMENT ON COLUMN finance.period_close_totals.country IS 'ISO 3166 alpha-2.';

-- Only appended, and what the columns mean -----------------------------------------------------------

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY['charge_accounts', 'period_closes', 'period_close_totals'] LOOP
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

COMMENT ON COLUMN ledger.charge_accounts.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.charge_accounts.rule IS 'the rule of the charges';
COMMENT ON COLUMN ledger.charge_accounts.since IS 'what is debited from this instant on bears these accounts';
COMMENT ON COLUMN ledger.charge_accounts.receivable_account IS 'the policy''s account of what sellers owe';
COMMENT ON COLUMN ledger.charge_accounts.income_account IS 'the policy''s account of the rule''s income';
COMMENT ON COLUMN ledger.period_closes.ends_at IS 'the instant at which the period was over: the next Monday, 00:00 local time';

-- A column means the same in the table as in the view of its name.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT
            v.relation,
            a.attname AS column_name,
            col_description(a.attrelid, a.attnum) AS meaning
        FROM (VALUES ('period_closes'), ('period_close_totals')) AS v (relation)
        JOIN pg_attribute a ON a.attrelid = format('finance.%I', v.relation)::regclass AND a.attnum > 0
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN ledger.%I.%I IS %L', found.relation, found.column_name, found.meaning
        );
    END LOOP;
END $$;

-- The role is missing where the ledger's owner may make no roles and nobody has made it since.
DO $$
BEGIN
    IF to_regrole('vibes_finance') IS NOT NULL THEN
        GRANT SELECT ON finance.journal, finance.period_closes, finance.period_close_totals TO vibes_finance;
    END IF;
END $$;

-- Who records decisions is told the ledger's newest event, which a close may be.
DO $$
BEGIN
    IF to_regrole('vibes_operations') IS NOT NULL THEN
        GRANT SELECT ON ledger.period_closes TO vibes_operations;
    END IF;
END $$;
