-- Every object of the extension says what it is for.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_guard;
RESET client_min_messages;
-- Left out: what PostgreSQL makes beside another object (array, row and toast types, indexes of
-- constraints, sequences of identity columns).
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_catalog.pg_depend d
     JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
     LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid
WHERE d.deptype = 'e' AND e.extname = 'privacy_guard'
  AND d.classid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_type'::regclass,
                    'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_namespace'::regclass)
  AND (c.oid IS NULL OR c.relkind IN ('r', 'p', 'v', 'm', 'f'))
  AND (t.oid IS NULL OR (t.typrelid = 0 AND t.typelem = 0))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_description c
                  WHERE c.classoid = d.classid AND c.objoid = d.objid AND c.objsubid = 0)
ORDER BY 1;
