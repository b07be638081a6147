-- Row security by hand.
CREATE TABLE ops.consent (customer bigint, purpose text, valid_until timestamptz DEFAULT 'infinity', PRIMARY KEY (customer, purpose));
INSERT INTO ops.consent SELECT g, 'marketing' FROM generate_series(1, 4) g;
INSERT INTO ops.consent SELECT g, 'billing' FROM generate_series(1, 10) g;
GRANT SELECT ON ops.consent TO PUBLIC;
GRANT SET ON PARAMETER app.purpose TO PUBLIC;
CREATE FUNCTION ops.withdraw(customer bigint, purpose text) RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ DELETE FROM ops.consent c WHERE c.customer = withdraw.customer AND c.purpose = withdraw.purpose $$;
CREATE FUNCTION ops.give(customer bigint, purpose text, valid_for interval DEFAULT NULL) RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ INSERT INTO ops.consent VALUES (customer, purpose, coalesce(clock_timestamp() + valid_for, 'infinity'))
   ON CONFLICT ON CONSTRAINT consent_pkey DO UPDATE SET valid_until = excluded.valid_until $$;
SELECT format('ALTER TABLE %1$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
               CREATE POLICY purpose ON %1$I USING (EXISTS (
                   SELECT FROM ops.consent c WHERE c.customer = %1$I.%2$I AND c.valid_until > now()
                      AND c.purpose = current_setting(''app.purpose'', true)))', t, c)
  FROM (VALUES ('customer', 'id'), ('ticket', 'customer'), ('event', 'customer'), ('contact', 'customer')) v(t, c) \gexec
ALTER TABLE visit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY purpose ON visit USING (since > localtimestamp - interval '1 day' AND EXISTS (
    SELECT FROM ops.consent c WHERE c.customer = visit.customer AND c.valid_until > now()
       AND c.purpose = current_setting('app.purpose', true)));
-- An audit by hand: the application notes what it reads, or, more careful, the policy does, and a trigger what is changed.
CREATE TABLE ops.audit (at timestamptz DEFAULT clock_timestamp(), role text, customer bigint, application text, statement text);
GRANT INSERT ON ops.audit TO PUBLIC;
GRANT SELECT ON ops.audit TO auditor;
CREATE FUNCTION ops.note(customer bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ops.audit (role, customer, application, statement)
    VALUES (session_user, customer, current_setting('application_name') || current_setting('app.application_user', true), current_query());
    RETURN true;
END $$;
CREATE FUNCTION ops.note_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ops.note(OLD.customer); RETURN NULL; END $$;
CREATE FUNCTION ops.audit_reads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    ALTER POLICY purpose ON customer USING (CASE WHEN EXISTS (
        SELECT FROM ops.consent c WHERE c.customer = customer.id AND c.valid_until > now()
           AND c.purpose = current_setting('app.purpose', true)) THEN ops.note(id) END);
    CREATE TRIGGER audit AFTER UPDATE OR DELETE ON ticket FOR EACH ROW EXECUTE FUNCTION ops.note_change();
END $$;
CREATE FUNCTION ops.verdict(VARIADIC expected bigint[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN expected <@ coalesce(array_agg(customer), '{}') AND (expected <> '{}' OR count(*) = 0) THEN 'on record'
                ELSE 'secret: on record are ' || coalesce(array_agg(customer)::text, 'none') END FROM ops.audit $$;
CREATE FUNCTION ops.report() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', role, 'read customer', customer, application, statement), E'\n' ORDER BY at) FROM ops.audit $$;
-- Legal holds by hand: triggers that ask a table.
CREATE TABLE ops.held (customer bigint PRIMARY KEY);
CREATE FUNCTION ops.keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT FROM ops.held h WHERE TG_OP = 'TRUNCATE' OR h.customer = (to_jsonb(OLD) ->> TG_ARGV[0])::bigint) THEN
        RAISE insufficient_privilege;
    END IF;
    RETURN OLD;
END $$;
CREATE FUNCTION ops.hold(customer bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    t record;
BEGIN
    INSERT INTO ops.held VALUES (customer);
    IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'keep_row') THEN
        RETURN;
    END IF;
    FOR t IN VALUES ('customer', 'id'), ('ticket', 'customer'), ('event', 'customer'), ('contact', 'customer') LOOP
        EXECUTE format('CREATE TRIGGER keep_row BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION ops.keep(%L)', t.column1, t.column2);
        EXECUTE format('CREATE TRIGGER keep_all BEFORE TRUNCATE ON %I EXECUTE FUNCTION ops.keep()', t.column1);
    END LOOP;
END $$;
-- The right to be forgotten by hand: everything is deleted, a hash is kept, and triggers ask for it.
CREATE TABLE ops.forgotten (hash text PRIMARY KEY);
GRANT SELECT ON ops.forgotten TO PUBLIC;
CREATE FUNCTION ops.refuse_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM ops.forgotten f WHERE f.hash = md5(to_jsonb(NEW) ->> TG_ARGV[0])) THEN
        RAISE insufficient_privilege;
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION ops.forget(customer bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    t record;
BEGIN
    INSERT INTO ops.forgotten VALUES (md5(customer::text));
    FOR t IN VALUES ('ticket', 'customer'), ('event', 'customer'), ('contact', 'customer'), ('customer', 'id') LOOP
        EXECUTE format('DELETE FROM %I WHERE %I = $1', t.column1, t.column2) USING customer;
        EXECUTE format('CREATE TRIGGER forgotten BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION ops.refuse_forgotten(%L)', t.column1, t.column2);
    END LOOP;
    DELETE FROM ops.consent c WHERE c.customer = forget.customer;
END $$;
