-- Every slot asks for the newest event before it begins: no slot may go back behind it (Rulebook §2).
CREATE INDEX action_events_by_instant ON ledger.action_events (at);
