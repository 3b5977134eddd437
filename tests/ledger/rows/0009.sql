-- The key with which addresses are hashed from now on.
INSERT INTO ledger.address_keys (country, fingerprint, at)
VALUES ('NG', 'made fingerprint', '2026-11-25 07:00+01');
