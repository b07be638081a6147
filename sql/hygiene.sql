-- What an extension script must not leave open (cf. CVE-2018-1058, CVE-2020-14350).
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard;
RESET client_min_messages;
CREATE TEMP VIEW own_function AS
SELECT p.*, l.lanname
FROM pg_catalog.pg_proc p
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
     JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'privacy_guard';
-- A function whose SQL is looked up by name when it runs fixes where the names are looked up.
SELECT oid::regprocedure AS without_search_path
FROM own_function
WHERE prokind <> 'a' AND lanname <> 'c' AND prosqlbody IS NULL
  AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting WHERE setting ~ '^search_path=pg_catalog, pg_temp$')
ORDER BY 1;
-- What everyone may do with its tables is to read some of them.
SELECT c.oid::regclass AS public_may_write
FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
     JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     CROSS JOIN pg_catalog.aclexplode(c.relacl) AS granted
WHERE e.extname = 'privacy_guard' AND granted.grantee = 0 AND granted.privilege_type <> 'SELECT'
ORDER BY 1;
-- Nobody can put an object of his own where these functions look.
SELECT n.nspname AS public_may_create
FROM pg_catalog.pg_namespace n
     CROSS JOIN pg_catalog.aclexplode(n.nspacl) AS granted
WHERE n.nspname IN ('privacy_guard', 'privacy_guard_internal') AND granted.grantee = 0 AND granted.privilege_type = 'CREATE';
