-- The accounts that charges are booked on, others from a later instant on; a week that is closed.
INSERT INTO ledger.charge_accounts VALUES
('NG', 'returns_charge', '2026-11-25 07:00+01', '1310', '4530'),
('NG', 'counterfeit_charge', '2026-11-25 07:00+01', '1310', '4550'),
('NG', 'returns_charge', '2026-11-28 09:00+01', '1310', '4531');
INSERT INTO ledger.period_closes
VALUES ('NG', '2026-11-16', '2026-11-23 00:00+01', '2026-11-30 08:00+01', 2, repeat('0', 64));
INSERT INTO ledger.period_close_totals VALUES
('NG', '2026-11-16', 'returns_charge', 'NGN', 3000.00, 0.00, 3000.00, 1, 0),
('NG', '2026-11-16', 'counterfeit_charge', 'NGN', 50000.00, 0.00, 50000.00, 1, 0);
