-- Row-level security with a function, so that the rule is written once.
CREATE FUNCTION consented(customer bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT EXISTS (SELECT FROM consent c WHERE c.customer_id = customer AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()) $$;
CREATE FUNCTION consented(customer uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT EXISTS (SELECT FROM consent_u c WHERE c.customer_id = customer AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()) $$;
CREATE FUNCTION order_consented(order_id bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT EXISTS (SELECT FROM orders o WHERE o.id = order_id AND consented(o.customer_id)) $$;
CREATE POLICY consented ON customer USING (consented(id));
CREATE POLICY consented ON customer_u USING (consented(id));
CREATE POLICY consented ON orders USING (consented(customer_id));
CREATE POLICY consented ON history USING (consented(customer_id));
CREATE POLICY consented ON order_line USING (order_consented(order_id));
