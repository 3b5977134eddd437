-- A late alert that loses its point on its own day.
INSERT INTO ledger.notices (notice_id, country, kind, is_alert, period, seller_id, planned_at, pointless_at)
VALUES ('00000000-0000-0000-0001-000000000005', 'NG', 'late_alert', true, '2026-11-21', 'S-2', '2026-11-21 06:00+01', '2026-11-21 11:00+01');
