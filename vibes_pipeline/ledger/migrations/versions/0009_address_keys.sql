-- By which key the hashes of addresses are made, so that another key is noticed. Hashes recorded before are
-- without a key; they stay, for deliveries are only appended.

CREATE TABLE ledger.address_keys (
    key_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    country TEXT NOT NULL REFERENCES ledger.ledgers,
    fingerprint TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ledger.address_keys IS
    'The keys with which addresses are hashed: the newest is the one in use, the others were lost.';
COMMENT ON COLUMN ledger.address_keys.key_id IS 'rises with every key';
COMMENT ON COLUMN ledger.address_keys.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN ledger.address_keys.fingerprint IS 'tells keys apart; the key is a file of VIBES_HOME';
COMMENT ON COLUMN ledger.address_keys.at IS 'since when it is in use';

CREATE TRIGGER only_appended BEFORE UPDATE OR DELETE ON ledger.address_keys
FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger.address_keys
FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

COMMENT ON COLUMN ledger.deliveries.address_hash IS
    'of the address that was tried, with the home''s key, to know a mended one; the address is not kept';
COMMENT ON COLUMN ledger.notice_states.address_hash IS
    'of the address that was tried, with the home''s key, to know a mended one; the address is not kept';
