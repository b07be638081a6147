-- The hand-written consent table of the systems with row-level security.
CREATE TABLE consent (customer_id bigint, purpose text, status text NOT NULL, valid_until timestamptz NOT NULL);
INSERT INTO consent
SELECT c.id, p.name, CASE WHEN agreed(c.id, p.k) THEN 'given' ELSE 'refused' END, 'infinity'
  FROM customer c, (VALUES (0, 'service'), (1, 'marketing'), (2, 'research')) p(k, name);
ALTER TABLE consent ADD PRIMARY KEY (customer_id, purpose);

CREATE TABLE consent_u (customer_id uuid, purpose text, status text NOT NULL, valid_until timestamptz NOT NULL);
INSERT INTO consent_u
SELECT c.id, p.name, CASE WHEN agreed(c.n, p.k) THEN 'given' ELSE 'refused' END, 'infinity'
  FROM customer_u c, (VALUES (0, 'service'), (1, 'marketing'), (2, 'research')) p(k, name);
ALTER TABLE consent_u ADD PRIMARY KEY (customer_id, purpose);

GRANT SELECT ON consent, consent_u TO bench_app;
ALTER ROLE bench_app SET app.purpose = 'service';
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_u ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE history ENABLE ROW LEVEL SECURITY;
VACUUM (FREEZE, ANALYZE) consent, consent_u;
