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
