-- Row-level security with EXISTS on an indexed consent table.
CREATE POLICY consented ON customer USING (EXISTS (
    SELECT FROM consent c WHERE c.customer_id = customer.id AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()));
CREATE POLICY consented ON customer_u USING (EXISTS (
    SELECT FROM consent_u c WHERE c.customer_id = customer_u.id AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()));
CREATE POLICY consented ON orders USING (EXISTS (
    SELECT FROM consent c WHERE c.customer_id = orders.customer_id AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()));
CREATE POLICY consented ON history USING (EXISTS (
    SELECT FROM consent c WHERE c.customer_id = history.customer_id AND c.purpose = current_setting('app.purpose')
       AND c.status = 'given' AND c.valid_until > now()));
-- The orders that this sees are filtered by their own policy.
CREATE POLICY consented ON order_line USING (EXISTS (SELECT FROM orders o WHERE o.id = order_line.order_id));
