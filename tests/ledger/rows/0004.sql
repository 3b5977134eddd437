-- A shop's name as its seller wrote it, and one that has none.
INSERT INTO ledger.shops VALUES ('NG', 'S-1', '=HYPERLINK("₦")'), ('NG', 'S-2', NULL);
