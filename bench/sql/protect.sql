-- Guards, and what they permit. Variables: audit_level.
SET client_min_messages = warning;
SELECT privacy_guard.protect('customer', subject_column => 'id', audit_level => :'audit_level');
SELECT privacy_guard.protect('customer_u', subject_column => 'id', subject_category => 'customer_u', audit_level => :'audit_level');
SELECT privacy_guard.protect('orders', subject_column => 'customer_id', audit_level => :'audit_level');
SELECT privacy_guard.protect('order_line', subject_via => 'order_id', audit_level => :'audit_level');
SELECT privacy_guard.protect('history', subject_column => 'customer_id', audit_level => :'audit_level');
SELECT privacy_guard.permit(t, p)
  FROM unnest('{customer,customer_u,orders,order_line,history}'::regclass[]) t, unnest('{service,marketing}'::text[]) p;
SELECT privacy_guard.grant_purpose(p, 'bench_app') FROM unnest('{service,marketing}'::text[]) p;
GRANT privacy_guard_auditor TO postgres;
ALTER ROLE bench_app SET privacy_guard.purpose = 'service';
