-- Triggers and rules, and what runs inside core's own referential-integrity statements.

-- ## a trigger on the guarded table copies what others write
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO evil VALUES (old.note); RETURN NULL; END $$;
CREATE TRIGGER evil AFTER UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION evil();
\c - clerk
SET :purpose = 'billing';
BEGIN; SET LOCAL :purpose = 'billing'; UPDATE customer SET name = name; COMMIT;
\c - owner
SELECT note FROM evil;

-- ## a statement trigger with transition tables
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(note, ', ') FROM gone); RETURN NULL; END $$;
CREATE TRIGGER evil AFTER DELETE ON customer REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION evil();
DELETE FROM region;

-- ## a rule turns a harmless command into another
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil (note text);
CREATE RULE evil AS ON UPDATE TO customer DO ALSO INSERT INTO evil SELECT old.note;
\c - clerk
BEGIN; SET LOCAL :purpose = 'billing'; UPDATE customer SET name = name; COMMIT;
\c - owner
SELECT note FROM evil;

-- ## a trigger inside a cascade reads
-- stock: leaks
-- guarded: filtered
\c - owner
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', (SELECT string_agg(note, ', ') FROM customer); RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;

-- ## a trigger inside a cascade reads by a statement that looks like core's
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE TABLE evil (id bigint, note text);
INSERT INTO evil SELECT generate_series(1, 10);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE evil SET note = c.note FROM customer c WHERE c.id = evil.id; RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;
SELECT note FROM evil;
\if :guarded
SELECT note FROM customer; -- what is asserted is only that nothing came out
SET row_security = off; SELECT note FROM customer;
\endif

-- ## a trigger inside a cascade takes a customer by its key
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE k bigint; found_one int;
BEGIN
    FOR k IN 1 .. 10 LOOP
        SELECT 1 INTO found_one FROM customer x WHERE name = 'sec' || 'ret twin' AND id = k FOR KEY SHARE OF x;
        IF found_one = 1 THEN RAISE NOTICE '%', 'sec' || 'ret customer found'; END IF;
    END LOOP;
    RETURN OLD;
END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;
SELECT note FROM customer;

-- ## a trigger inside a cascade deletes
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM ticket WHERE body = 'sec' || 'ret ticket of 5'; DELETE FROM ticket WHERE id = 6; RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
SET privacy_guard.on_withheld = silent;
DELETE FROM evil_parent;
\c - app
SELECT note FROM customer;
\c - checker
SELECT 'sec' || 'ret tickets were deleted' FROM ticket WHERE id > 4 HAVING count(*) < 6;

-- ## a trigger inside a cascade moves rows to a customer who may be seen
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE k int;
BEGIN FOR k IN 5 .. 10 LOOP UPDATE ticket SET customer = 1 WHERE customer = k; END LOOP; RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
SET privacy_guard.on_withheld = silent;
DELETE FROM evil_parent;
\c - app
SELECT body FROM ticket;

-- ## a trigger inside a cascade writes what it may not
-- stock: leaks
-- guarded: refused 42501
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO customer VALUES (11, 1, 'x', 'sec' || 'ret'); RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;
\c - checker
SELECT note FROM customer WHERE id = 11;

-- ## a superuser's trigger inside a cascade writes the extension's tables and the catalog
-- stock: leaks
-- guarded: refused 42501
\c - super
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO privacy_guard.exempt_role (role, reason) VALUES ('super', 'evil');
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', sqlstate; END;
    UPDATE pg_class SET relrowsecurity = false WHERE relname = 'customer';
    RETURN OLD;
END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;
SELECT note FROM customer;

-- ## a trigger on a guarded child that was there before counts what cascades
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE evil_parent (id int PRIMARY KEY);
CREATE TABLE evil_child (id int REFERENCES evil_parent ON DELETE CASCADE);
CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% rows, of which not all are open', (SELECT count(*) FROM customer); IF (SELECT count(*) FROM customer) > 4 THEN RAISE NOTICE '%', 'sec' || 'ret rows counted'; END IF; RETURN OLD; END $$;
CREATE TRIGGER evil BEFORE DELETE ON evil_child FOR EACH ROW EXECUTE FUNCTION evil();
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
INSERT INTO evil_parent VALUES (1); INSERT INTO evil_child VALUES (1);
DELETE FROM evil_parent;

-- ## adding a foreign key: the orphan's key in the error
-- stock: holds (says nothing where row security is forced)
-- guarded: refused 23503
\c - super
CREATE TABLE evil (body text PRIMARY KEY);
ALTER TABLE ticket ADD FOREIGN KEY (body) REFERENCES evil;

-- ## adding a foreign key to a guarded table: valid rows pass, and say nothing
-- stock: leaks
-- guarded: filtered
\c - owner
CREATE TABLE evil (customer bigint);
INSERT INTO evil SELECT generate_series(1, 10);
ALTER TABLE evil ADD FOREIGN KEY (customer) REFERENCES customer;
SELECT 'sec' || 'ret customers do not exist' WHERE :'LAST_ERROR_SQLSTATE' = '23503';
\if :guarded
SELECT 'open';
\else
SELECT 'sec' || 'ret: the constraint was made without looking at row 5' FROM pg_constraint WHERE conrelid = 'evil'::regclass AND convalidated;
\endif

-- ## a NOT VALID foreign key is validated with orphans
-- stock: holds (says nothing where row security is forced)
-- guarded: refused 23503
\c - super
CREATE TABLE evil (body text PRIMARY KEY);
ALTER TABLE ticket ADD CONSTRAINT evil FOREIGN KEY (body) REFERENCES evil NOT VALID;
ALTER TABLE ticket VALIDATE CONSTRAINT evil;
