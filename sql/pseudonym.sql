-- Pseudonymised: the same value has the same pseudonym, which nobody else can make; the row stays guarded and is done.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
CREATE ROLE regress_pseudonym_owner;
CREATE SCHEMA regress_pseudonym AUTHORIZATION regress_pseudonym_owner;
SET search_path = regress_pseudonym, public;
SET ROLE regress_pseudonym_owner;
CREATE TABLE visits (customer bigint, host bigint, came timestamptz, visitor text, device uuid, plate varchar(20));
RESET ROLE;
SET timezone = 'UTC';
INSERT INTO visits VALUES (101, 101, '2020-01-01'), (102, 101, '2020-01-02'), (103, 103, '2130-01-01');
UPDATE visits SET visitor = 'visitor ' || host, device = md5(host::text)::uuid, plate = 'plate ' || customer WHERE customer > 100;
SELECT privacy_guard.create_purpose('pseudonym_test', 'contract');
SELECT privacy_guard.protect('visits', subject_columns => '{customer,host}', subject_category => 'pseudonym_customer');
SELECT privacy_guard.permit('visits', 'pseudonym_test');
SELECT privacy_guard.retain('visits', '1 year', 'came', action => 'pseudonymise', effective_from => now(),
                            masks => '{"visitor": "pseudonym", "device": "pseudonym", "plate": "prefix:5"}');
GRANT privacy_guard_break_glass, privacy_guard_auditor TO CURRENT_USER;
SELECT privacy_guard.break_glass('looking at what is left', '1 hour') IS NOT NULL AS open;
SELECT * FROM privacy_guard.run_retention('visits');
SELECT rows, new ->> 'action' AS action, new ->> 'from' AS "from", new ->> 'to' AS "to" FROM privacy_guard.audit_log
 WHERE kind = 'retention' AND relation = 'regress_pseudonym.visits';
SELECT customer, host, came, length(visitor), visitor LIKE 'visitor %' AS is_clear, plate, device = md5(host::text)::uuid AS same_device FROM visits ORDER BY customer;
SELECT count(DISTINCT visitor), count(DISTINCT device) FROM visits WHERE customer < 103;
SELECT * FROM privacy_guard.run_retention('visits');
SELECT privacy_guard.pseudonym('visitor 101');
SET ROLE regress_pseudonym_owner;
SELECT privacy_guard.pseudonym('visitor 101');
SELECT privacy_guard_internal.pseudonym(NULL, 'visitor 101');
RESET ROLE;
-- Refused; minor releases differ in which error it is.
DO $$
BEGIN
    PERFORM privacy_guard_internal.pseudonym(NULL, 'visitor 101');
    RAISE EXCEPTION 'it was called';
EXCEPTION WHEN undefined_function OR feature_not_supported THEN
    NULL;
END $$;

SELECT privacy_guard.end_break_glass();
SELECT privacy_guard.unprotect('visits');
SELECT privacy_guard.drop_purpose('pseudonym_test');
REVOKE privacy_guard_break_glass, privacy_guard_auditor FROM CURRENT_USER;
DROP SCHEMA regress_pseudonym CASCADE;
DROP ROLE regress_pseudonym_owner;
