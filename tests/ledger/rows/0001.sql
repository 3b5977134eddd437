-- A cycle from its alert to its end, and a night of late orders: an action of each outcome.
INSERT INTO ledger.ledgers VALUES ('NG', true, '2026-11-18 07:00+01');
INSERT INTO ledger.policies VALUES ('policy 1', 'NG', 'the text of a policy: ₦, 100%', '2026-11-18 07:00+01');
INSERT INTO ledger.cycles VALUES ('NG', '2026-11-09', '2026-11-18 07:00+01', 'hash 1', 5, 'policy 1');
INSERT INTO ledger.slots VALUES
('NG', 'weekly-alert', '2026-11-09', '2026-11-18 07:00+01', '2026-11-18 07:00+01', '2026-11-18 07:00+01', 'done', NULL),
('NG', 'late-alert', '2026-11-19', '2026-11-19 06:00+01', '2026-11-19 06:00+01', '2026-11-19 06:00+01', 'done', NULL),
('NG', 'late-cancellation', '2026-11-19', '2026-11-19 23:00+01', '2026-11-19 23:00+01', '2026-11-19 23:00+01', 'done', NULL),
('NG', 'late-alert', '2026-11-20', '2026-11-20 06:00+01', '2026-11-21 09:00+01', '2026-11-21 09:00+01', 'skipped', 'its day is over'),
('NG', 'weekly-implementation', '2026-11-09', '2026-11-21 09:00+01', '2026-11-21 09:00+01', NULL, 'done', NULL);
INSERT INTO ledger.actions (
    action_id, reference, country, rule, cycle, seller_id, sku, order_number, order_item_id, amount, currency,
    band, daily_order_limit, pending_to_shipped_limit, grounds, occurrence, event_at, notice_hours, evidence,
    policy_version
) VALUES
('00000000-0000-0000-0000-00000000000a', 'NG-A', 'NG', 'returns_charge', '2026-11-09', 'S-1', 'K-1', 'O-1', 'I-1', 3000.00, 'NGN', NULL, NULL, NULL, NULL, NULL, '2026-11-11 10:30+01', 72, '{"reason": "defective_item"}', 'policy 1'),
('00000000-0000-0000-0000-00000000000b', 'NG-B', 'NG', 'counterfeit_charge', '2026-11-09', 'S-1', 'K-1', 'O-2', 'I-2', 50000.00, 'NGN', NULL, NULL, NULL, NULL, NULL, '2026-11-12 10:30+01', 72, '{}', 'policy 1'),
('00000000-0000-0000-0000-00000000000c', 'NG-C', 'NG', 'order_regulation', '2026-11-09', 'S-1', NULL, NULL, NULL, NULL, NULL, 2, 21, 42, NULL, NULL, NULL, 72, '{"in_force_days": 7}', 'policy 1'),
('00000000-0000-0000-0000-00000000000d', 'NG-D', 'NG', 'sales_regulation', '2026-11-09', 'S-2', 'K-2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'return_rate', 3, NULL, 72, '{"in_force_days": 7}', 'policy 1'),
('00000000-0000-0000-0000-00000000000e', 'NG-E', 'NG', 'late_fulfilment_charge', '2026-11-09', 'S-2', 'K-2', 'O-3', 'I-3', 0.10, 'NGN', NULL, NULL, NULL, NULL, NULL, '2026-11-13 10:30+01', 72, '{}', 'policy 1'),
('00000000-0000-0000-0000-00000000000f', 'NG-F', 'NG', 'late_pending_cancellation', '2026-11-19', 'S-1', 'K-1', 'O-4', 'I-4', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-19 12:00+01', 12, '{}', 'policy 1');
INSERT INTO ledger.notices VALUES
('00000000-0000-0000-0001-000000000001', 'NG', 'weekly_alert', true, '2026-11-09', 'S-1', '2026-11-18 07:00+01'),
('00000000-0000-0000-0001-000000000002', 'NG', 'weekly_alert', true, '2026-11-09', 'S-2', '2026-11-18 07:00+01'),
('00000000-0000-0000-0001-000000000003', 'NG', 'late_alert', true, '2026-11-19', 'S-1', '2026-11-19 06:00+01'),
('00000000-0000-0000-0001-000000000004', 'NG', 'weekly_implementation', false, '2026-11-09', 'S-1', '2026-11-21 09:00+01');
INSERT INTO ledger.notice_actions
SELECT n.notice_id, a.action_id
FROM ledger.notices n JOIN ledger.actions a ON a.seller_id = n.seller_id AND a.cycle = n.period;
INSERT INTO ledger.action_events (action_id, state, at, cause)
SELECT action_id, 'proposed', '2026-11-18 07:00+01', 'decided' FROM ledger.actions WHERE cycle = '2026-11-09';
INSERT INTO ledger.action_events (action_id, state, at, cause)
VALUES ('00000000-0000-0000-0000-00000000000f', 'proposed', '2026-11-19 06:00+01', 'overdue');
INSERT INTO ledger.deliveries VALUES
('00000000-0000-0000-0001-000000000001', 1, 'sending', '2026-11-18 07:00+01', NULL, NULL, 'address 1'),
('00000000-0000-0000-0001-000000000001', 1, 'deferred', '2026-11-18 07:00+01', 451, '4.3.0 later', 'address 1'),
('00000000-0000-0000-0001-000000000001', 2, 'sending', '2026-11-18 07:01+01', NULL, NULL, 'address 1'),
('00000000-0000-0000-0001-000000000001', 2, 'sent', '2026-11-18 07:01+01', 250, '2.0.0 taken', 'address 1'),
('00000000-0000-0000-0001-000000000002', 1, 'sending', '2026-11-18 07:00+01', NULL, NULL, 'address 2'),
('00000000-0000-0000-0001-000000000002', 1, 'sent', '2026-11-18 07:00+01', 250, '2.0.0 taken', 'address 2'),
('00000000-0000-0000-0001-000000000003', 1, 'sending', '2026-11-19 06:00+01', NULL, NULL, 'address 1'),
('00000000-0000-0000-0001-000000000003', 1, 'sent', '2026-11-19 06:00+01', 250, '2.0.0 taken', 'address 1');
INSERT INTO ledger.action_events (action_id, state, at, cause, notice_id)
SELECT a.action_id, 'alerted', n.planned_at, 'accepted', n.notice_id
FROM ledger.actions a JOIN ledger.notices n ON n.seller_id = a.seller_id AND n.period = a.cycle AND n.is_alert
ORDER BY a.action_id;
INSERT INTO ledger.action_events (action_id, state, at, cause) VALUES
('00000000-0000-0000-0000-00000000000f', 'implemented', '2026-11-19 23:00+01', 'overdue still'),
('00000000-0000-0000-0000-00000000000c', 'implemented', '2026-11-21 09:00+01', 'implemented'),
('00000000-0000-0000-0000-00000000000d', 'expired', '2026-11-25 07:00+01', 'not implemented');
-- The script is one transaction, as a debit and its event must be, a reversal and its credit.
INSERT INTO ledger.action_events (action_id, state, at, cause) VALUES
('00000000-0000-0000-0000-00000000000a', 'implemented', '2026-11-21 10:00+01', 'implemented'),
('00000000-0000-0000-0000-00000000000b', 'implemented', '2026-11-21 10:00+01', 'implemented');
INSERT INTO ledger.postings VALUES
('00000000-0000-0000-0002-00000000000a', '00000000-0000-0000-0000-00000000000a', 'debit', 3000.00, 'NGN', '2026-11-21 10:00+01', '2026-11-16', NULL),
('00000000-0000-0000-0002-00000000000b', '00000000-0000-0000-0000-00000000000b', 'debit', 50000.00, 'NGN', '2026-11-21 10:00+01', '2026-11-16', NULL);
INSERT INTO ledger.action_events (action_id, state, at, cause, claim_id)
VALUES ('00000000-0000-0000-0000-00000000000a', 'reversed', '2026-11-23 10:00+01', 'upheld claim', 'C-0');
INSERT INTO ledger.postings
VALUES ('00000000-0000-0000-0002-00000000000c', '00000000-0000-0000-0000-00000000000a', 'reversal', -3000.00, 'NGN', '2026-11-23 10:00+01', '2026-11-23', 'C-0');
INSERT INTO ledger.account_reviews VALUES ('NG', '2026-11-09', 'S-1', 4, 2, 1);
