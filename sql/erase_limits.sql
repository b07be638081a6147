-- What others do must neither lead the eraser astray nor hide how it fares.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
CREATE ROLE regress_limits_owner;
CREATE ROLE regress_limits_super SUPERUSER;
GRANT CREATE ON SCHEMA public TO regress_limits_owner;
SELECT privacy_guard.create_purpose('regress_limits', 'contract');

SET ROLE regress_limits_owner;
CREATE TABLE limits (id int PRIMARY KEY, subject bigint, since date, note text);
CREATE INDEX ON limits (since);
INSERT INTO limits SELECT g, g, current_date - g * 10, 'note' FROM generate_series(1, 9) g;
RESET ROLE;
SELECT privacy_guard.protect('limits', subject_column => 'subject', subject_category => 'regress_limits');
SELECT privacy_guard.permit('limits', 'regress_limits');

-- ---- masks that would make rows somebody else's ----
SELECT privacy_guard.retain('limits', '55 days', 'since', action => 'pseudonymise', masks => '{"subject": "range:10"}');
SELECT privacy_guard.retain('limits', '55 days', 'since', action => 'pseudonymise', masks => '{"subject": "null"}');

-- ---- an older snapshot knows rules that are gone ----
SELECT privacy_guard.retain('limits', '55 days', 'since', effective_from => now());
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT rows FROM privacy_guard.run_retention('limits');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT rows FROM privacy_guard.run_retention('limits');
ROLLBACK;

-- ---- what a COMMIT PREPARED would not tell the eraser ----
BEGIN;
SELECT privacy_guard.retain('limits', '55 days', 'since', effective_from => now());
PREPARE TRANSACTION 'regress_limits';

-- ---- names that format() would read ----
CREATE TABLE limits_kept ("at%s" int REFERENCES limits, "%1$s" int);
INSERT INTO limits_kept VALUES (9);
ALTER TABLE limits_kept OWNER TO regress_limits_owner;
SELECT rows, blocked, blocked_by FROM privacy_guard.run_retention('limits');
DROP TABLE limits_kept;

-- ---- an owner who may not read the table ----
REVOKE ALL ON limits FROM regress_limits_owner;
SELECT backlog, kept, null_starts, state FROM privacy_guard.retention_status WHERE table_name = 'limits'::regclass;
GRANT ALL ON limits TO regress_limits_owner;
SELECT backlog, kept, null_starts, state FROM privacy_guard.retention_status WHERE table_name = 'limits'::regclass;

-- ---- a superuser who is no data steward ----
SELECT privacy_guard.place_hold('regress limits', relation => 'limits');
SET SESSION AUTHORIZATION regress_limits_super;
CREATE FUNCTION release_hold(matter text) RETURNS void LANGUAGE c AS '$libdir/privacy_guard', 'verb_anyone';
SELECT release_hold('regress limits');
DROP FUNCTION release_hold;
SELECT privacy_guard_internal.erase_batch(NULL, NULL, NULL, NULL, NULL);
RESET SESSION AUTHORIZATION;
SELECT matter FROM privacy_guard.holds WHERE table_name = 'limits'::regclass;
SELECT privacy_guard.release_hold('regress limits');

-- ---- a partition that is detached stays out of sight ----
CREATE TABLE limits_part (id int, subject bigint, since date) PARTITION BY RANGE (since);
CREATE TABLE limits_part_1 PARTITION OF limits_part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE limits_part_2 PARTITION OF limits_part DEFAULT;
INSERT INTO limits_part VALUES (1, 1, '2020-02-01'), (2, 2, current_date);
SELECT privacy_guard.protect('limits_part', subject_column => 'subject', subject_category => 'regress_limits');
SELECT privacy_guard.permit('limits_part', 'regress_limits');
SELECT privacy_guard.grant_purpose('regress_limits', current_user::regrole);
SELECT privacy_guard.retain('limits_part', '1 year', 'since', partitions => 'detach', effective_from => now());
SELECT rows FROM privacy_guard.run_retention('limits_part');
BEGIN;
SET LOCAL privacy_guard.purpose = 'regress_limits';
SELECT id FROM limits_part;
SELECT id FROM limits_part_1;
ROLLBACK;
SELECT table_name, subject_columns FROM privacy_guard.guarded_tables WHERE table_name::text LIKE 'limits\_part%' ORDER BY 1;
SELECT privacy_guard.unprotect('limits_part_1'), privacy_guard.unprotect('limits_part');
DROP TABLE limits_part, limits_part_1;

-- ---- a cascade that comes back to the table ----
CREATE TABLE limits_tree (id int PRIMARY KEY, above int REFERENCES limits_tree ON DELETE CASCADE, subject bigint, since date);
INSERT INTO limits_tree VALUES (1, NULL, 1, '2020-01-01'), (2, 1, 2, '2020-02-01'), (3, 2, 3, current_date),
                               (4, NULL, 4, '2020-01-01'), (5, 4, 5, '2020-02-01'), (6, 6, 6, '2020-03-01');
SELECT privacy_guard.protect('limits_tree', subject_column => 'subject', subject_category => 'regress_limits');
SELECT privacy_guard.permit('limits_tree', 'regress_limits');
SELECT privacy_guard.retain('limits_tree', '1 year', 'since', effective_from => now());
SELECT rows, blocked, blocked_by FROM privacy_guard.run_retention('limits_tree');
SELECT rows, blocked, blocked_by FROM privacy_guard.run_retention('limits_tree');
SELECT privacy_guard.unprotect('limits_tree');
SELECT id FROM limits_tree ORDER BY id;
DROP TABLE limits_tree;

-- ---- the code of others, as superuser ----
-- The key of a partition.
CREATE FUNCTION limits_key(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN id; END $$;
ALTER FUNCTION limits_key OWNER TO regress_limits_owner;
CREATE TABLE limits_keyed (id int, subject bigint, since date) PARTITION BY RANGE (limits_key(id));
CREATE TABLE limits_keyed_1 PARTITION OF limits_keyed FOR VALUES FROM (0) TO (10);
INSERT INTO limits_keyed VALUES (1, 1, '2020-02-01');
SELECT privacy_guard.protect('limits_keyed', subject_column => 'subject', subject_category => 'regress_limits');
SELECT privacy_guard.permit('limits_keyed', 'regress_limits');
SELECT privacy_guard.retain('limits_keyed', '1 year', 'since', action => 'anonymise', effective_from => now());
SELECT rows, blocked, blocked_by FROM privacy_guard.run_retention('limits_keyed');
SELECT privacy_guard.unprotect('limits_keyed');
DROP TABLE limits_keyed;
-- A trigger that a table of the cascade gets while rows are erased.
SELECT privacy_guard.unprotect('limits');
CREATE TABLE limits_kid (id int REFERENCES limits ON DELETE CASCADE);
INSERT INTO limits_kid SELECT id FROM limits;
GRANT SELECT, TRIGGER ON limits_kid TO regress_limits_owner;
SET ROLE regress_limits_owner;
CREATE FUNCTION limits_evil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'runs as superuser: %', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    RETURN OLD;
END $$;
CREATE FUNCTION limits_plant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CREATE OR REPLACE TRIGGER evil BEFORE DELETE ON public.limits_kid FOR EACH ROW EXECUTE FUNCTION public.limits_evil();
    RETURN OLD;
END $$;
CREATE TRIGGER plant BEFORE DELETE ON limits FOR EACH ROW EXECUTE FUNCTION limits_plant();
RESET ROLE;
SELECT privacy_guard.protect('limits', subject_column => 'subject', subject_category => 'regress_limits');
SELECT privacy_guard.permit('limits', 'regress_limits');
SELECT privacy_guard.retain('limits', '25 days', 'since', effective_from => now());
SELECT rows, blocked, blocked_by FROM privacy_guard.run_retention('limits');
SELECT count(*) FROM limits_kid;

SELECT privacy_guard.unprotect('limits');
DROP TABLE limits_kid, limits;
DROP FUNCTION limits_plant, limits_evil, limits_key;
SELECT privacy_guard.revoke_purpose('regress_limits', current_user::regrole), privacy_guard.drop_purpose('regress_limits');
REVOKE CREATE ON SCHEMA public FROM regress_limits_owner;
DROP ROLE regress_limits_super, regress_limits_owner;
