-- The same under privacy_guard.
CREATE EXTENSION privacy_guard CASCADE;
GRANT privacy_guard_steward TO steward;
GRANT privacy_guard_auditor TO auditor;
SET SESSION AUTHORIZATION steward;
SELECT privacy_guard.create_purpose('marketing', 'consent');
SELECT privacy_guard.create_purpose('billing', 'contract');
SELECT privacy_guard.protect('customer', subject_column => 'id');
SELECT privacy_guard.protect(t::regclass, subject_column => 'customer') FROM unnest('{ticket,event,contact,visit}'::text[]) t;
SELECT privacy_guard.permit(t::regclass, p)
  FROM unnest('{customer,ticket,event,contact,visit}'::text[]) t, unnest('{marketing,billing}'::text[]) p;
SELECT privacy_guard.grant_purpose('marketing', r) FROM unnest('{app,clerk,owner,bypass,creator,super}'::regrole[]) r;
SELECT privacy_guard.grant_purpose('billing', 'clerk');
SELECT privacy_guard.retain('visit', '1 day', 'since', effective_from => now());
SELECT privacy_guard.grant_collection('marketing', 'steward');
SELECT privacy_guard.record_consent(g::text, 'marketing') FROM generate_series(1, 4) g;
SELECT privacy_guard.exempt_role('checker', 'looks for what attacks have changed');
RESET SESSION AUTHORIZATION;
CREATE FUNCTION ops.withdraw(customer bigint, purpose text) RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ SELECT privacy_guard.withdraw_consent(customer::text, purpose) $$;
CREATE FUNCTION ops.give(customer bigint, purpose text, valid_for interval DEFAULT NULL) RETURNS void LANGUAGE sql SECURITY DEFINER AS
$$ SELECT privacy_guard.record_consent(customer::text, purpose, valid_for => give.valid_for) $$;
ALTER FUNCTION ops.withdraw(bigint, text) OWNER TO steward;
ALTER FUNCTION ops.give(bigint, text, interval) OWNER TO steward;
CREATE FUNCTION ops.audit_reads() RETURNS void LANGUAGE sql AS '';
-- Exactly these, neither more nor fewer.
CREATE FUNCTION ops.verdict(VARIADIC expected bigint[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
    found bigint[] := ARRAY(SELECT c FROM generate_series(1, 10) c WHERE EXISTS (SELECT FROM privacy_guard.accesses_to(c::text)));
BEGIN
    RETURN CASE WHEN found = expected THEN 'on record' ELSE 'secret: on record are ' || found::text END;
END $$;
-- A line for each record.
CREATE FUNCTION ops.report() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT string_agg(to_jsonb(r)::text, E'\n') FROM privacy_guard.audit_records(kinds => '{access}') r);
END $$;
CREATE FUNCTION ops.hold(customer bigint) RETURNS void LANGUAGE sql AS
$$ SELECT privacy_guard.place_hold('case', customer::text) $$;
CREATE FUNCTION ops.forget(customer bigint) RETURNS void LANGUAGE sql AS
$$ SELECT privacy_guard.erase_subject(customer::text, 'attack') $$;
