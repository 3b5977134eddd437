-- What a column of the ledger means, by its name, which means the same in every table and view.

COMMENT ON TABLE ledger.notice_actions IS 'Which actions a notice is about: one row for each.';

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
            ('country', 'ISO 3166 alpha-2'),
            ('is_simulated', 'whether its times were given rather than the clock''s; for good'),
            ('opened_at', 'the instant of its first slot'),
            ('policy_version', 'the hash of the policy that it was decided by'),
            ('content', 'the policy''s text'),
            ('recorded_at', 'when it was first decided by'),
            ('cycle', 'the Monday of the observed week; of a late order, the day'),
            ('frozen_at', 'the instant of the alert slot that froze it'),
            ('proposal_hash', 'over every action of the proposal; what is implemented must make it too'),
            ('actions', 'how many the proposal has'),
            ('slot', 'weekly-alert, weekly-implementation, late-alert or late-cancellation'),
            ('period', 'the cycle''s Monday, or the day'),
            ('due_at', 'when it was due'),
            ('effected_at', 'the instant that its effects bear; null: none yet'),
            ('finished_at', 'when its mail was handled; null: not yet'),
            ('outcome', 'done, or skipped'),
            ('detail', 'what was said of it: the mail server''s words, why a slot was skipped'),
            ('action_id', 'UUIDv5 of country, rule and subject, so that nothing is done twice'),
            ('reference', 'short for the action, as mails and claims quote it'),
            ('rule', 'as the rulebook names it'),
            ('seller_id', 'the vendor, store or account'),
            ('sku', 'one product of the seller; null where it is not about one'),
            ('order_number', 'the order; null where it is not about one'),
            ('order_item_id', 'one unit of one product in the order; null where it is not about one'),
            ('amount', 'money, exact; of a reversal negative'),
            ('currency', 'ISO 4217'),
            ('band', 'the row of the order regulation''s table, from 0'),
            ('daily_order_limit', 'orders a day'),
            ('pending_to_shipped_limit', 'orders'),
            ('grounds', 'of a sales regulation: rejection_rate, return_rate or both'),
            ('occurrence', 'its ordinal; null where the regulation does not count'),
            ('event_at', 'when that happened for which it is'),
            ('notice_hours', 'how long before its implementation the alert must have been accepted'),
            ('evidence', 'what it was decided on, as counts and rates'),
            ('event_id', 'rises with every change of the ledger'),
            ('state', 'of an action: proposed, alerted, implemented, reversed, withdrawn or expired; of a claim: incomplete, out_of_time, redirected, accepted, upheld or rejected'),
            ('at', 'the slot''s instant; of a delivery, the moment of the server''s reply'),
            ('cause', 'why it was withdrawn, reversed or expired'),
            ('claim_id', 'the claim, or the one that caused it'),
            ('notice_id', 'one mail to one seller; of an action''s event, the one that told of it'),
            ('posting_id', 'the same whenever it is read'),
            ('kind', 'of a posting: debit or reversal; of a notice: which mail it is'),
            ('posted_at', 'the instant of the slot that posted it'),
            ('statement_period', 'the Monday of the local week in which it was posted'),
            ('is_alert', 'whether actions wait for it'),
            ('planned_at', 'the instant of the slot that planned it'),
            ('pointless_at', 'from when on it is not sent any more; null: never'),
            ('claim_event_id', 'the intake or decision that it tells of; null where it is not about a claim'),
            ('attempt', 'from 1'),
            ('status', 'of the last attempt: queued, sending, sent, deferred, failed, unknown, undeliverable or stored'),
            ('code', 'the mail server''s; 250 is acceptance'),
            ('address_hash', 'of the address that was tried, to know a mended one; the address is not kept'),
            ('quality_returns', 'in the observed week'),
            ('dropoff_failures', 'in the observed week'),
            ('counterfeits', 'in the observed week'),
            ('category', 'what the claim is about'),
            ('action_reference', 'the action that the claim names; null: none'),
            ('raised_at', 'when the seller raised it'),
            ('faults', 'each field that is missing or unknown'),
            ('content_hash', 'over what the claim stated, to know one stated anew'),
            ('decision', 'a person''s: upheld or rejected; null: none yet'),
            ('decided_at', 'when the person decided'),
            ('is_matched', 'whether that was found which the claim is about'),
            ('event', 'what is excused: stock, lateness, return, rejection, dropoff_qc or counterfeit'),
            ('shop_name', 'the newest known; the seller''s own words'),
            ('proposed_at', 'the instant of the slot that proposed it'),
            ('alerted_at', 'the instant of the slot in which the mail server accepted its alert'),
            ('implemented_at', 'the instant of the slot that implemented it'),
            ('reversed_at', 'the instant of the slot that reversed it'),
            ('withdrawn_at', 'the instant of the slot that withdrew it'),
            ('expired_at', 'the instant of the slot at which it expired'),
            ('attempts', 'how many there were'),
            ('last_at', 'when the last was made'),
            ('unknowns', 'how many of them nobody knows the outcome of'),
            ('day', 'the local day'),
            ('reason', 'late_pending or late_ready_to_ship'),
            ('cancelled_at', 'the instant of the slot that cancelled it'),
            ('intake_state', 'what intake made of it, before anybody decided'),
            ('taken_in_at', 'the instant of the slot that took it in'),
            ('applied_at', 'the instant of the slot that applied the decision')
        ) AS m (column_name, meaning) ON c.column_name = m.column_name
        WHERE c.table_schema = 'ledger'
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN ledger.%I.%I IS %L', found.table_name, found.column_name, found.meaning
        );
    END LOOP;
END $$;
