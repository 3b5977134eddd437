-- A decision that cannot be read, and what became of it.
INSERT INTO ledger.undecipherable_values
VALUES ('NG', 'written 1', 'claims', 'C-3', 'S-1', 'the decision is none', 'decision: upheald');
INSERT INTO ledger.undecipherable_events (country, content_hash, state, at) VALUES
('NG', 'written 1', 'seen', '2026-11-24 12:00+01'),
('NG', 'written 1', 'told', '2026-11-24 12:00+01');
