-- A claim and an account that people decided on in the ledger.
INSERT INTO ledger.account_reviews VALUES ('NG', '2026-11-09', 'S-2', 2, 0, 0);
INSERT INTO ledger.recorded_decisions (country, claim_id, decision, decided_by, note, decided_at)
VALUES ('NG', 'C-2', 'rejected', 'Ada', 'no statement of the brand', '2026-11-28 10:00+01');
INSERT INTO ledger.recorded_decisions (country, seller_id, decision, decided_by, decided_at)
VALUES ('NG', 'S-2', 'delist', 'Ada', '2026-11-28 10:00+01');
