-- A claim that is upheld, what it excuses and undoes, and the notice about it; one that is incomplete, one that waits.
INSERT INTO ledger.claim_intakes (
    country, claim_id, state, at, category, seller_id, order_number, sku, raised_at, faults, content_hash
) VALUES
('NG', 'C-1', 'accepted', '2026-11-23 11:00+01', 'vibes_action', 'S-2', 'O-3', NULL, '2026-11-23 11:00+01', '{}', 'stated 1'),
('NG', 'C-2', 'incomplete', '2026-11-23 12:00+01', 'counterfeit', 'S-1', 'O-2', 'K-1', '2026-11-23 12:00+01', '{"attachments": "missing"}', 'stated 2'),
('NG', 'C-3', 'accepted', '2026-11-23 13:00+01', 'vibes_action', 'S-1', 'O-2', NULL, '2026-11-23 13:00+01', '{}', 'stated 3');
INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, is_matched)
VALUES ('NG', 'C-1', 'upheld', '2026-11-24 10:00+01', '2026-11-24 11:00+01', true);
INSERT INTO ledger.excuses (country, claim_id, seller_id, order_number, event)
VALUES ('NG', 'C-1', 'S-2', 'O-3', 'return');
INSERT INTO ledger.notices (notice_id, country, kind, is_alert, period, seller_id, planned_at, claim_event_id)
SELECT '00000000-0000-0000-0001-000000000006', 'NG', 'claim_outcome', false, '2026-11-24', 'S-2', at, event_id
FROM ledger.claim_decisions;
