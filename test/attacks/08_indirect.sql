-- Commands that reach the rows of a table they do not name, or by code that they do not show.

-- ## an index's function is replaced, then everything is analysed
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
\if :guarded
\c - steward
SELECT privacy_guard.unprotect('ticket');
\c - owner
CREATE INDEX evil ON ticket (noisy(body));
\c - steward
SELECT privacy_guard.protect('ticket', subject_column => 'customer');
SELECT privacy_guard.permit('ticket', 'marketing');
\c - owner
\else
CREATE INDEX evil ON ticket (noisy(body));
\endif
CREATE OR REPLACE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
ANALYZE;

-- ## an index's function is replaced, then a schema or database is reindexed
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
\if :guarded
\c - steward
SELECT privacy_guard.unprotect('ticket');
\c - super
CREATE INDEX evil ON ticket (noisy(body));
\c - steward
SELECT privacy_guard.protect('ticket', subject_column => 'customer');
SELECT privacy_guard.permit('ticket', 'marketing');
\c - super
\else
CREATE INDEX evil ON ticket (noisy(body));
\endif
CREATE OR REPLACE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
REINDEX SCHEMA public;
REINDEX DATABASE attack;
VACUUM FULL;
CLUSTER;

-- ## a column is retyped to a domain whose check talks
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
CREATE DOMAIN evil AS text CHECK (noisy(VALUE));
ALTER TABLE customer ALTER COLUMN name TYPE evil;

-- ## a column is retyped through a cast that a text representation makes
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE TYPE evil;
CREATE FUNCTION evil_in(cstring) RETURNS evil LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION evil_out(evil) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE evil (INPUT = evil_in, OUTPUT = evil_out, LIKE = text);
CREATE FUNCTION noisy(text) RETURNS evil LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN NULL; END $$;
CREATE CAST (text AS evil) WITH FUNCTION noisy(text) AS IMPLICIT;
\c - owner
ALTER TABLE customer ALTER COLUMN name TYPE evil;

-- ## a new partition brings a check that copies what others write
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE FUNCTION steal(text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO evil VALUES ($1); RETURN true; END $$;
CREATE TABLE event_3 PARTITION OF event (CONSTRAINT evil CHECK (steal(note))) FOR VALUES FROM (200) TO (300);
CREATE TABLE event_4 (id int, customer bigint, note text CHECK (steal(note)));
ALTER TABLE event ATTACH PARTITION event_4 FOR VALUES FROM (200) TO (300);
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; INSERT INTO event VALUES (250, 5, 'sec' || 'ret'); COMMIT;
\c - owner
SELECT note FROM evil;

-- ## a new partition brings an index that copies what others write
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE FUNCTION really_steal(text) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO public.evil VALUES ($1)';
CREATE FUNCTION steal(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM public.really_steal($1); RETURN $1; END $$;
CREATE TABLE event_3 PARTITION OF event FOR VALUES FROM (200) TO (300);
CREATE INDEX ON event_3 (steal(note));
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; INSERT INTO event VALUES (250, 5, 'sec' || 'ret'); COMMIT;
\c - owner
SELECT note FROM evil;

-- ## an attached partition brings a trigger
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO evil VALUES (new.note); RETURN NULL; END $$;
CREATE TABLE event_3 (id int, customer bigint, note text);
CREATE TRIGGER evil AFTER INSERT ON event_3 FOR EACH ROW EXECUTE FUNCTION steal();
ALTER TABLE event ATTACH PARTITION event_3 FOR VALUES FROM (200) TO (300);
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; INSERT INTO event VALUES (250, 5, 'sec' || 'ret'); COMMIT;
\c - owner
SELECT note FROM evil;

-- ## elements of CREATE SCHEMA
-- stock: leaks
-- guarded: filtered
\c - super
GRANT CREATE ON DATABASE attack TO bypass;
\c - bypass
CREATE SCHEMA evil CREATE VIEW evil AS SELECT note FROM public.customer GRANT SELECT ON evil TO app;
SELECT note FROM evil.evil;

-- ## the function of a trigger that was there before is replaced
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
\if :guarded
\c - steward
SELECT privacy_guard.unprotect('ticket');
\c - owner
CREATE TRIGGER touch BEFORE UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION touch();
\c - steward
SELECT privacy_guard.protect('ticket', subject_column => 'customer');
SELECT privacy_guard.permit('ticket', p) FROM unnest('{marketing,billing}'::text[]) p;
\c - owner
\else
CREATE TRIGGER touch BEFORE UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION touch();
\endif
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO evil VALUES (old.body); RETURN new; END $$;
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; UPDATE ticket SET id = id; COMMIT;
\c - owner
SELECT note FROM evil;

-- ## code that runs while a foreign key is validated
-- stock: leaks
-- guarded: refused 42501
\c - bypass
CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT c.note FROM public.customer c LOOP RAISE NOTICE '%', r.note; END LOOP;
    FOR r IN SELECT c.note FROM ONLY public.customer c LEFT OUTER JOIN ONLY public.region p ON p.id = c.region WHERE p.id IS NOT NULL LOOP RAISE NOTICE '%', r.note; END LOOP;
    RETURN 1;
END $$;
\c - super
GRANT REFERENCES ON customer TO bypass;
\c - bypass
CREATE TABLE evil (customer bigint);
INSERT INTO evil VALUES (1);
ALTER TABLE evil ADD COLUMN x int DEFAULT evil(), ADD FOREIGN KEY (customer) REFERENCES customer;
ALTER TABLE evil ADD COLUMN y int CHECK (y = evil()) DEFAULT 1, ADD FOREIGN KEY (customer) REFERENCES customer;

-- ## an event trigger that runs while a foreign key is validated
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT c.note FROM public.customer c LOOP RAISE NOTICE '%', r.note; END LOOP;
END $$;
CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION evil();
CREATE EVENT TRIGGER evil_2 ON table_rewrite EXECUTE FUNCTION evil();
CREATE TABLE evil (customer bigint);
ALTER TABLE evil ADD FOREIGN KEY (customer) REFERENCES customer;
DROP EVENT TRIGGER evil;
DROP EVENT TRIGGER evil_2;

-- ## the definition of a helper in a rule, view or default is replaced
-- stock: leaks
-- guarded: filtered
\c - super
CREATE VIEW evil AS SELECT 1::bigint AS id, NULL::text AS note;
GRANT SELECT ON evil TO app;
CREATE OR REPLACE VIEW evil AS SELECT id, note::text FROM customer;
\c - app
SELECT note FROM evil;

-- ## DROP and CREATE under the same name
-- stock: none (rows go with the table)
-- guarded: filtered
\c - owner
BEGIN;
CREATE TEMP TABLE keep AS SELECT * FROM customer;
ALTER TABLE ticket DROP CONSTRAINT ticket_customer_fkey;
DROP TABLE customer;
CREATE TABLE customer (LIKE keep);
INSERT INTO customer SELECT * FROM keep;
COMMIT;
SELECT note FROM keep;
SELECT note FROM customer;

-- ## rows go through a temporary table
-- stock: leaks
-- guarded: known (a program may carry values through its own variables; it is on record as their reader)
CREATE TEMP TABLE evil AS SELECT * FROM customer;
SELECT ops.withdraw(1, 'marketing');
SELECT replace(note, 'open', 'sec' || 'ret') FROM evil WHERE id = 1;

-- ## large objects and files as a way out
-- stock: leaks
-- guarded: known (a program may carry values through its own variables; it is on record as their reader)
SELECT lo_from_bytea(0, convert_to(string_agg(note, E'\n'), 'UTF8')) AS lo FROM customer \gset
SELECT ops.withdraw(1, 'marketing');
SELECT replace(convert_from(lo_get(:lo), 'UTF8'), 'open', 'sec' || 'ret');

-- ## LOCK, and settings that make errors talk
-- stock: holds (nothing to see)
-- guarded: filtered
SET debug_print_plan = on;
SET client_min_messages = debug1;
SET log_statement_stats = on;
SELECT note FROM customer;

-- ## a prepared transaction takes the declared purpose along
-- stock: leaks
-- guarded: filtered
\c - clerk
BEGIN; SET :purpose = 'billing'; PREPARE TRANSACTION 'evil'; COMMIT PREPARED 'evil';
SELECT note FROM customer;

-- ## DISCARD ALL and RESET ALL in the middle
-- stock: holds (back to the default)
-- guarded: filtered
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; RESET ALL; SELECT note FROM customer; COMMIT;
DISCARD ALL;
SELECT note FROM customer;
