-- What people wrote of claims and accounts that cannot be read (Rulebook §11, §13): each value once, and
-- what became of it, so that operators are told of it once. And which counterfeits account reviews have
-- counted (Rulebook §8), so that an item counts once though its charge comes in a later cycle.

CREATE TABLE ledger.undecipherable_values (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    content_hash TEXT NOT NULL,
    table_name TEXT NOT NULL CHECK (table_name IN ('claims', 'account_decisions')),
    row_id TEXT,
    seller_id TEXT,
    faults TEXT NOT NULL,
    written TEXT NOT NULL,
    PRIMARY KEY (country, content_hash)
);
COMMENT ON TABLE ledger.undecipherable_values IS
    'What was written of a claim or an account and cannot be read, with why: one row for each value.';

CREATE TABLE ledger.undecipherable_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    country TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('seen', 'told', 'corrected')),
    at TIMESTAMPTZ NOT NULL,
    FOREIGN KEY (country, content_hash) REFERENCES ledger.undecipherable_values
);
COMMENT ON TABLE ledger.undecipherable_events IS
    'What became of an undecipherable value: a slot saw it, operators were told of it, it was corrected.';
CREATE INDEX undecipherable_events_of ON ledger.undecipherable_events (country, content_hash, event_id);

CREATE VIEW ledger.undecipherable_states AS
SELECT
    v.*,
    e.state,
    e.at AS last_at,
    (
        SELECT max(s.at) FROM ledger.undecipherable_events s
        WHERE s.country = v.country AND s.content_hash = v.content_hash AND s.state = 'seen'
    ) AS seen_at
FROM ledger.undecipherable_values v
JOIN LATERAL (
    SELECT * FROM ledger.undecipherable_events x
    WHERE x.country = v.country AND x.content_hash = v.content_hash
    ORDER BY x.event_id DESC
    LIMIT 1
) e ON true;
COMMENT ON VIEW ledger.undecipherable_states IS
    'Every undecipherable value with its one state; it stands unless it was corrected.';

CREATE TABLE ledger.reviewed_counterfeits (
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    cycle DATE NOT NULL,
    seller_id TEXT NOT NULL,
    order_item_id TEXT NOT NULL,
    PRIMARY KEY (country, cycle, seller_id, order_item_id)
);
COMMENT ON TABLE ledger.reviewed_counterfeits IS
    'Items proven counterfeit that the account review of a cycle counted.';

-- What was charged before was counted in its week.
INSERT INTO ledger.reviewed_counterfeits (country, cycle, seller_id, order_item_id)
SELECT country, cycle, seller_id, order_item_id
FROM ledger.actions
WHERE rule = 'counterfeit_charge';

DO $$
DECLARE
    relation TEXT;
BEGIN
    FOREACH relation IN ARRAY ARRAY[
        'undecipherable_values', 'undecipherable_events', 'reviewed_counterfeits'
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

DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT
            c.table_name,
            c.column_name,
            m.meaning
        FROM information_schema.columns AS c
        INNER JOIN (
            VALUES
            ('undecipherable', 'country', 'ISO 3166 alpha-2'),
            ('undecipherable', 'content_hash', 'over the row''s id and what was written, to know it again'),
            ('undecipherable', 'table_name', 'the raw table that holds it'),
            ('undecipherable', 'row_id', 'the claim, or the decision on an account; null where that is the fault'),
            ('undecipherable', 'seller_id', 'whose, as stated'),
            ('undecipherable', 'faults', 'why it cannot be read, separated by semicolons'),
            ('undecipherable', 'written', 'instants and decision as written, on one line: hostile text'),
            ('undecipherable', 'event_id', 'rises with every change'),
            ('undecipherable', 'state', 'seen, told (to operators) or corrected'),
            ('undecipherable', 'at', 'the slot''s instant'),
            ('undecipherable', 'last_at', 'the instant of the slot that gave it this state'),
            ('undecipherable', 'seen_at', 'the instant of the slot that saw it last appear'),
            ('reviewed_counterfeits', 'country', 'ISO 3166 alpha-2'),
            ('reviewed_counterfeits', 'cycle', 'the Monday of the observed week'),
            ('reviewed_counterfeits', 'seller_id', 'the vendor, store or account'),
            ('reviewed_counterfeits', 'order_item_id', 'one unit of one product in one order'),
            ('account_reviews', 'quality_returns', 'items, of the observed week or taken in late with it'),
            ('account_reviews', 'dropoff_failures', 'items, of the observed week or taken in late with it'),
            ('account_reviews', 'counterfeits', 'items, of the observed week or taken in late with it')
        ) AS m (relations, column_name, meaning)
            ON c.column_name = m.column_name AND starts_with(c.table_name, m.relations)
        WHERE c.table_schema = 'ledger'
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN ledger.%I.%I IS %L', found.table_name, found.column_name, found.meaning
        );
    END LOOP;
END $$;
