-- A charge that waits for its evidence.
INSERT INTO ledger.missing_evidence
VALUES ('00000000-0000-0000-0000-00000000000e', 'weekly-implementation', '2026-11-09', '2026-11-21 09:00+01');
