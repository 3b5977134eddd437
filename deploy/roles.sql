-- The ledger's database and its roles, made once by an administrator in psql:
--   vibes_owner  owns the database and makes the schema: used when a version is installed
--   vibes        what the services run as: it reads and appends. It owns none of the ledger, so it
--                cannot switch off the triggers that refuse changes; it deletes nothing there.
-- Dagster's own tables are made by vibes itself, in schema public.
\set ON_ERROR_STOP on
\prompt 'Password of vibes_owner: ' owner_password
\prompt 'Password of vibes: ' password

CREATE ROLE vibes_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE vibes LOGIN PASSWORD :'password';
-- Who decides claims and reviews accounts: `vibes migrate` grants it that and nothing else.
CREATE ROLE vibes_operations NOLOGIN;
-- What others read: see docs/finance.md, docs/enforcement.md.
CREATE ROLE vibes_finance NOLOGIN;
CREATE ROLE vibes_enforcement NOLOGIN;

-- UTF8 keeps every name. Sorted by bytes, no index depends on the machine's locales.
CREATE DATABASE vibes OWNER vibes_owner
    ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
REVOKE CONNECT, TEMPORARY ON DATABASE vibes FROM PUBLIC;
GRANT CONNECT ON DATABASE vibes TO vibes, vibes_operations, vibes_finance, vibes_enforcement;

\connect vibes
GRANT CREATE ON SCHEMA public TO vibes;
-- Row locks need UPDATE; the triggers refuse every change of a row that is only appended.
ALTER DEFAULT PRIVILEGES FOR ROLE vibes_owner GRANT USAGE ON SCHEMAS TO vibes;
ALTER DEFAULT PRIVILEGES FOR ROLE vibes_owner GRANT SELECT, INSERT, UPDATE ON TABLES TO vibes;
ALTER DEFAULT PRIVILEGES FOR ROLE vibes_owner GRANT USAGE ON SEQUENCES TO vibes;

-- What the ledger's transactions set themselves, and Dagster's sessions too, unless a pooler refuses
-- their startup options: then only these say it.
ALTER ROLE vibes IN DATABASE vibes SET search_path = public;
ALTER ROLE vibes IN DATABASE vibes SET default_transaction_isolation = 'read committed';
ALTER ROLE vibes IN DATABASE vibes SET statement_timeout = 0;
ALTER ROLE vibes IN DATABASE vibes SET idle_session_timeout = 0;
ALTER ROLE vibes IN DATABASE vibes SET idle_in_transaction_session_timeout = 0;
