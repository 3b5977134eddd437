-- Late orders (Rulebook §9): alerts that lose their point on their own day, and the feed of
-- cancellations that the order system reads.

ALTER TABLE ledger.notices ADD COLUMN pointless_at TIMESTAMPTZ;
COMMENT ON COLUMN ledger.notices.pointless_at IS
    'From then on sending it tells nothing any more: a late alert that leaves too few hours; null: never.';

DROP VIEW ledger.notice_states;
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

CREATE VIEW ledger.cancellations AS
SELECT
    a.country,
    (
        SELECT s.period FROM ledger.slots s
        WHERE s.country = a.country AND s.slot = 'late-cancellation'
            AND s.effected_at = a.implemented_at
    ) AS day,
    a.order_item_id,
    a.order_number,
    a.seller_id,
    a.sku,
    regexp_replace(a.rule, '_cancellation$', '') AS reason,
    a.implemented_at AS cancelled_at,
    a.reference,
    a.action_id,
    a.reversed_at,
    a.claim_id
FROM ledger.action_states a
WHERE a.rule IN ('late_pending_cancellation', 'late_ready_to_ship_cancellation')
    AND a.implemented_at IS NOT NULL;
COMMENT ON VIEW ledger.cancellations IS
    'The order system''s feed: every item we cancelled for lateness, by the day of its night, with the cancel reason to record. '
    'reversed_at: cancelled in error (Rulebook §9, §11).';
