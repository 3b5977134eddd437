-- What operators were mailed on Friday morning; the relay did not take it at once.
INSERT INTO ledger.operators_mails (
    mail_id, country, kind, about, told, planned_at, pointless_at, subject, body
)
VALUES (
    '00000000-0000-4000-8000-0000000000f1', 'NG', 'morning', '2026-11-27', '{"claims_over_target": 2}',
    '2026-11-27 07:30+01', '2026-11-28 07:30+01', 'VIBES NG: 2 things wait for a person', '2 things wait'
);
INSERT INTO ledger.operators_deliveries (mail_id, address_hash, attempt, status, at, code) VALUES
('00000000-0000-4000-8000-0000000000f1', 'operator', 0, 'queued', '2026-11-27 07:30+01', NULL),
('00000000-0000-4000-8000-0000000000f1', 'operator', 1, 'deferred', '2026-11-27 07:30+01', NULL),
('00000000-0000-4000-8000-0000000000f1', 'operator', 2, 'sending', '2026-11-27 07:31+01', NULL),
('00000000-0000-4000-8000-0000000000f1', 'operator', 2, 'sent', '2026-11-27 07:31+01', 250);
