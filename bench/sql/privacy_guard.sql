-- The same consents and rules in privacy_guard.
SET client_min_messages = warning;
CREATE EXTENSION privacy_guard CASCADE;
SELECT privacy_guard.create_purpose('service', 'consent');
SELECT privacy_guard.create_purpose('marketing', 'consent');
SELECT privacy_guard.create_purpose('research', 'consent');

-- Before the first table is guarded, the state may be loaded as a restore would.
INSERT INTO privacy_guard.subject_category (name, key_type) VALUES ('customer', 'bigint'), ('customer_u', 'uuid');
CREATE TEMP TABLE choice AS
SELECT s, m, r, privacy_guard.consent_merge(privacy_guard.consent_merge(
           privacy_guard.consent('service', CASE WHEN s THEN 'given' ELSE 'refused' END::privacy_guard.consent_status),
           privacy_guard.consent('marketing', CASE WHEN m THEN 'given' ELSE 'refused' END::privacy_guard.consent_status)),
           privacy_guard.consent('research', CASE WHEN r THEN 'given' ELSE 'refused' END::privacy_guard.consent_status)) AS consent
  FROM (VALUES (true), (false)) s(s), (VALUES (true), (false)) m(m), (VALUES (true), (false)) r(r);
INSERT INTO privacy_guard.subject_state (category_id, key, key_int, consent)
SELECT g.category_id, c.id::text, c.id, h.consent
  FROM customer c JOIN choice h ON (h.s, h.m, h.r) = (agreed(c.id, 0), agreed(c.id, 1), agreed(c.id, 2)),
       privacy_guard.subject_category g
 WHERE g.name = 'customer';
INSERT INTO privacy_guard.subject_state (category_id, key, consent)
SELECT g.category_id, c.id::text, h.consent
  FROM customer_u c JOIN choice h ON (h.s, h.m, h.r) = (agreed(c.n, 0), agreed(c.n, 1), agreed(c.n, 2)),
       privacy_guard.subject_category g
 WHERE g.name = 'customer_u';
VACUUM (FREEZE, ANALYZE) privacy_guard.subject_state;

SELECT privacy_guard.protect('customer', subject_column => 'id');
SELECT privacy_guard.protect('customer_u', subject_column => 'id', subject_category => 'customer_u');
SELECT privacy_guard.protect('orders', subject_column => 'customer_id');
SELECT privacy_guard.protect('order_line', subject_via => 'order_id');
SELECT privacy_guard.protect('history', subject_column => 'customer_id');
SELECT privacy_guard.permit(t, p)
  FROM unnest('{customer,customer_u,orders,order_line,history}'::regclass[]) t, unnest('{service,marketing}'::text[]) p;
SELECT privacy_guard.grant_purpose(p, 'bench_app') FROM unnest('{service,marketing}'::text[]) p;
ALTER ROLE bench_app SET privacy_guard.purpose = 'service';
