-- The guard itself: called, imitated, shadowed; consent forged; questions that have an answer.

-- ## an operator ahead of pg_catalog while the table is protected
-- stock: leaks
-- guarded: filtered
\c - super
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
CREATE FUNCTION evil.guard(regclass, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '-infinity' $$;
SET search_path = evil, public, pg_catalog;
\if :guarded
SET ROLE steward;
SELECT privacy_guard.unprotect('ticket');
SELECT privacy_guard.protect('ticket', subject_column => 'customer');
SELECT privacy_guard.permit('ticket', 'marketing');
RESET ROLE;
\c - steward
SET search_path = evil, public, pg_catalog;
SELECT privacy_guard.unprotect('ticket');
SELECT privacy_guard.protect('ticket', subject_column => 'customer');
SELECT privacy_guard.permit('ticket', 'marketing');
\else
DROP POLICY purpose ON ticket;
CREATE POLICY purpose ON ticket USING (EXISTS (
    SELECT FROM ops.consent c WHERE c.customer = ticket.customer AND c.purpose = current_setting('app.purpose', true)));
\endif
\c - app
SET search_path = evil, public, pg_catalog;
SELECT body FROM ticket;

-- ## an operator ahead of pg_catalog while rows are read
-- stock: holds (operators are bound when the policy is made)
-- guarded: filtered
\c - super
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
\c - app
SET search_path = evil, public, pg_catalog;
SELECT note FROM customer;
SELECT ops.withdraw(9, 'marketing');
SELECT note FROM customer WHERE id = 5;

-- ## temporary objects that shadow the extension's
-- stock: none (nothing to shadow)
-- guarded: filtered
CREATE TEMP TABLE guarded_table (relation regclass);
CREATE TEMP TABLE subject_state (LIKE pg_class);
CREATE TEMP TABLE purpose_grant (purpose text, role regrole, privilege text);
INSERT INTO purpose_grant VALUES ('billing', 'app', 'process');
CREATE FUNCTION pg_temp.covers(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION pg_temp.is_member(regrole, regrole) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION pg_temp.require(anyelement, text) RETURNS void LANGUAGE sql IMMUTABLE AS 'SELECT';
CREATE DOMAIN pg_temp.regclass AS text;
CREATE DOMAIN pg_temp.privacy_guard AS text;
SET search_path = pg_temp, privacy_guard, public, pg_catalog;
SELECT note FROM customer;
SELECT ops.withdraw(9, 'marketing');
SELECT privacy_guard.record_consent('5', 'marketing');
SELECT note FROM customer;

-- ## a temporary table in place of the customers
-- stock: holds (names are looked up as always)
-- guarded: filtered
CREATE TEMP TABLE customer (id bigint, region int, name text, note text);
INSERT INTO customer VALUES (1, 1, 'x', 'open');
SELECT note FROM customer;
SELECT note FROM public.customer;

-- ## the guard as an oracle
-- stock: leaks
-- guarded: refused 42883
\c - super
\if :guarded
SELECT privacy_guard_internal.guard(NULL, 'customer'::regclass, 1::bigint);
SELECT privacy_guard_internal.guard(NULL::internal, 'customer'::regclass, k) FROM customer, generate_series(1, 10) k;
SELECT privacy_guard_internal.guard_conflict(NULL, 'customer'::regclass, 5);
\else
SELECT 'sec' || 'ret consent of ' || customer FROM ops.consent;
\endif

-- ## the guard as a decoy
-- stock: none (no verifier)
-- guarded: refused 42883
\c - super
CREATE FUNCTION guard(internal, regclass, bigint) RETURNS boolean LANGUAGE internal AS 'int8up';
SELECT note FROM customer WHERE privacy_guard_internal.guard(NULL, 'customer'::regclass, id);
SELECT note FROM customer WHERE privacy_guard_internal.guard(NULL, 'ticket'::regclass, id) OR true;
CREATE VIEW evil AS SELECT note FROM customer WHERE privacy_guard_internal.guard(NULL, 'customer'::regclass, 1::bigint);
SELECT note FROM evil;

-- ## consent recorded by a role that may only read
-- stock: none (whoever may write its table may)
-- guarded: refused 42501
SELECT privacy_guard.record_consent('5', 'marketing');
SELECT privacy_guard.record_consent('5', 'billing');
SELECT note FROM customer;

-- ## consent recorded by a superuser
-- stock: leaks
-- guarded: refused 42501
\c - super
\if :guarded
SELECT privacy_guard.record_consent('5', 'marketing');
SELECT privacy_guard_internal.record_consent('5', 'marketing');
INSERT INTO privacy_guard.consent_record (purpose) VALUES ('marketing');
UPDATE privacy_guard.subject_state SET consent = (SELECT consent FROM privacy_guard.subject_state WHERE key = '1');
\else
INSERT INTO ops.consent VALUES (5, 'marketing');
\endif
\c - app
SELECT note FROM customer;

-- ## a customer who did not agree takes the key of one who did
-- stock: holds (a row that is not seen is not changed)
-- guarded: filtered
UPDATE customer SET id = 20 WHERE id = 1;
UPDATE customer SET id = 1 WHERE id = 5;
UPDATE ticket SET customer = 1 WHERE customer = 5;
UPDATE ticket SET customer = 1;
SELECT body FROM ticket;

-- ## consent in a column of the table, changed by UPDATE
-- stock: leaks
-- guarded: refused 42501
\if :guarded
\c - owner
ALTER TABLE ticket ADD COLUMN agreed privacy_guard.consent;
\c - steward
SELECT privacy_guard.unprotect('ticket');
SELECT privacy_guard.protect('ticket', subject_column => 'customer', consent_column => 'agreed');
SELECT privacy_guard.permit('ticket', 'marketing');
\c - checker
UPDATE ticket SET agreed = privacy_guard.consent('marketing', 'given', 'expressed', now()) WHERE customer <= 4;
\c - app
INSERT INTO ticket (id, customer, body, agreed) VALUES (30, 1, 'x', privacy_guard.consent('marketing', 'given', 'expressed', now()));
UPDATE ticket SET agreed = privacy_guard.consent('marketing', 'given', 'expressed', now());
\else
\c - owner
ALTER TABLE ticket ADD COLUMN agreed boolean;
DROP POLICY purpose ON ticket;
CREATE POLICY purpose ON ticket USING (agreed);
CREATE POLICY evil ON ticket FOR UPDATE USING (true);
\c - app
UPDATE ticket SET agreed = true;
\endif
SELECT body FROM ticket WHERE customer > 4;

-- ## somebody's decisions, asked for
-- stock: leaks
-- guarded: refused 42501
\c - postgres
CREATE ROLE evil LOGIN;
\c - evil
\if :guarded
SELECT privacy_guard.consent_of('5');
SELECT * FROM privacy_guard.consents;
SELECT * FROM privacy_guard.subject_state;
SELECT * FROM privacy_guard.consent_record;
\else
SELECT 'sec' || 'ret consent of ' || customer FROM ops.consent;
\endif

-- ## a leaky function that costs nothing
-- stock: holds (a security barrier)
-- guarded: filtered
CREATE FUNCTION leaky(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
SELECT note FROM customer WHERE leaky(note);
SELECT note FROM customer WHERE leaky(note) AND id = 5;
SELECT count(*) FROM customer a JOIN customer b ON leaky(a.note) AND a.id = b.id;
DELETE FROM customer WHERE leaky(note) AND false;
UPDATE customer SET name = name WHERE leaky(note);

-- ## the same for a superuser, whom row security does not touch
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION leaky(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
SELECT note FROM customer WHERE leaky(note);
SELECT note FROM event WHERE leaky(note);
SELECT note FROM event_1 WHERE leaky(note);
SELECT count(*) FROM customer a JOIN customer b ON leaky(a.note) AND a.id = b.id;

-- ## a superuser's leaky function that claims to be leakproof
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE FUNCTION leaky(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
\c - app
SELECT note FROM customer WHERE leaky(note);

-- ## division by zero
-- stock: holds (a security barrier)
-- guarded: filtered
SELECT note FROM customer WHERE 1 / (id - 5) IS NOT NULL;
SELECT 'sec' || 'ret customer 5 was found' WHERE :'LAST_ERROR_SQLSTATE' = '22012';

-- ## an operator with a selectivity estimator of one's own
-- stock: leaks
-- guarded: known (a superuser has vouched for the operator; the planner asks it about statistics)
\c - super
CREATE FUNCTION leaky(text, text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF STABLE AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$;
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = leaky, RESTRICT = scalarltsel);
ANALYZE customer;
\c - app
SELECT note FROM customer WHERE note <<< 'x';

-- ## EXPLAIN ANALYZE tells what is hidden from what is absent
-- stock: leaks
-- guarded: refused 42501
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM customer WHERE id = 5 \g |grep -q "Removed by Filter: 1\|rows=1" && echo "sec""ret customer 5 was found" || true
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM customer;

-- ## the statistics of the table
-- stock: leaks
-- guarded: known (a superuser reads statistics)
\c - super
ANALYZE customer;
SELECT most_common_vals FROM pg_stats WHERE tablename = 'customer' AND attname = 'name';
SELECT histogram_bounds FROM pg_stats WHERE tablename = 'customer' AND attname = 'note';

-- ## the statistics of a partition
-- stock: leaks
-- guarded: filtered
\c - owner
ANALYZE event;
\c - app
SELECT histogram_bounds FROM pg_stats WHERE tablename = 'event_1' AND attname = 'note';
SELECT note FROM event;

-- ## the extension's schema was there before, and is somebody's
-- stock: none (no extension)
-- guarded: refused 42501
\c - super
CREATE DATABASE attack2;
GRANT ALL ON DATABASE attack2 TO app;
\c attack2 app
CREATE SCHEMA privacy_guard;
CREATE FUNCTION privacy_guard.covers(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE privacy_guard.purpose (path text);
\c - super
CREATE EXTENSION privacy_guard CASCADE;
\c - app
DROP FUNCTION privacy_guard.covers(text, text);
DROP TABLE privacy_guard.purpose;
\c - super
CREATE EXTENSION privacy_guard CASCADE;
\c - app
CREATE TABLE privacy_guard.evil (id int);
ALTER SCHEMA privacy_guard RENAME TO evil;
SELECT 'sec' || 'ret: the schema belongs to ' || nspowner::regrole FROM pg_namespace JOIN pg_extension ON extnamespace = pg_namespace.oid WHERE extname = 'privacy_guard' AND nspowner::regrole::text = 'app';
DO $$ BEGIN RAISE insufficient_privilege; END $$;
