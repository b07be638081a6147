-- Commands that run a user's expression over every row, past planner and executor.

-- ## a CHECK constraint is validated
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
ALTER TABLE customer ADD CHECK (noisy(note));

-- ## a CHECK constraint is validated later
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
ALTER TABLE customer ADD CONSTRAINT evil CHECK (noisy(note)) NOT VALID;
ALTER TABLE customer VALIDATE CONSTRAINT evil;

-- ## CHECK as an oracle
-- stock: leaks
-- guarded: known (migrations add checks; the owner learns one bit from each that fails)
\c - owner
ALTER TABLE customer ADD CHECK (note NOT LIKE 'sec' || 'ret note of 5');
SELECT 'sec' || 'ret customer 5 was found' WHERE :'LAST_ERROR_SQLSTATE' = '23514';

-- ## a domain gets a CHECK constraint
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
ALTER DOMAIN remark ADD CHECK (noisy(VALUE));

-- ## a domain's constraint as an oracle
-- stock: leaks
-- guarded: known (migrations add checks; the owner learns one bit from each that fails)
\c - owner
ALTER DOMAIN remark ADD CHECK (VALUE NOT LIKE 'sec' || 'ret note of 5');
SELECT 'sec' || 'ret customer 5 was found' WHERE :'LAST_ERROR_SQLSTATE' = '23514';

-- ## an index on an expression
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
CREATE INDEX ON customer (noisy(note));

-- ## an index with a predicate
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
CREATE INDEX ON customer (id) WHERE noisy(note);

-- ## an index with an operator class of one's own
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE FUNCTION noisy(text, text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN bttextcmp($1, $2); END $$;
CREATE OPERATOR CLASS evil FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 noisy(text, text);
\c - owner
CREATE INDEX ON customer (note evil);

-- ## the expression of an index that was there before is changed, and the index rebuilt
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
REINDEX INDEX evil;
REINDEX TABLE ticket;
CLUSTER ticket USING ticket_pkey;
VACUUM FULL ticket;
ANALYZE ticket;

-- ## a column is retyped by an expression
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$;
ALTER TABLE customer ALTER COLUMN name TYPE text USING noisy(note);

-- ## a generated column
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$;
ALTER TABLE customer ADD COLUMN evil text GENERATED ALWAYS AS (noisy(note)) STORED;

-- ## extended statistics on an expression
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$;
CREATE STATISTICS evil ON noisy(note), id FROM customer;
ANALYZE customer;

-- ## a column's default is moved in by a cast of one's own
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE TYPE evil AS (x text);
CREATE FUNCTION noisy(text) RETURNS evil LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN ROW($1); END $$;
CREATE CAST (text AS evil) WITH FUNCTION noisy(text) AS ASSIGNMENT;
ALTER TABLE customer ALTER COLUMN name TYPE evil;

-- ## a unique index on values that are there twice
-- stock: holds (says nothing where row security is forced)
-- guarded: refused (42501|23505|23P01)
\c - super
CREATE UNIQUE INDEX ON customer (name);
ALTER TABLE customer ADD UNIQUE (name);

-- ## a unique index that is built concurrently
-- stock: holds (says nothing where row security is forced)
-- guarded: refused (42501|23505|23P01)
\c - super
CREATE UNIQUE INDEX CONCURRENTLY ON customer (name);

-- ## an exclusion constraint
-- stock: holds (says nothing where row security is forced)
-- guarded: refused (42501|23505|23P01)
\c - super
ALTER TABLE customer ADD EXCLUDE USING btree (name WITH =);

-- ## a partition is attached with a check that looks at rows
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION noisy(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
ALTER TABLE event_1 ADD CHECK (noisy(note));

-- ## an event trigger runs inside the steward's own calls
-- stock: leaks
-- guarded: filtered
\c - super
CREATE FUNCTION evil() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '%', (SELECT string_agg(note, ', ') FROM public.customer);
END $$;
CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION evil();
ALTER EVENT TRIGGER evil ENABLE ALWAYS;
CREATE TABLE other (id bigint);
\if :guarded
\c - steward
BEGIN; SET LOCAL privacy_guard.purpose = 'marketing';
SELECT privacy_guard.protect('other', subject_column => 'id');
ROLLBACK;
\endif
