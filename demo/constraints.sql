-- Keys, indexes and foreign keys come last, as pg_restore does it: loading is several times faster.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET search_path = crm, public;
SET ROLE crm_owner;

BEGIN;
SET LOCAL maintenance_work_mem = '256MB';
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE contacts ADD PRIMARY KEY (id);
ALTER TABLE email_addresses ADD PRIMARY KEY (id);
ALTER TABLE leads ADD PRIMARY KEY (id);
ALTER TABLE referrals ADD PRIMARY KEY (id);
ALTER TABLE accounts ADD PRIMARY KEY (id);
ALTER TABLE interactions ADD PRIMARY KEY (id, occurred_at);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE order_lines ADD PRIMARY KEY (id);
ALTER TABLE tickets ADD PRIMARY KEY (id);
ALTER TABLE ticket_notes ADD PRIMARY KEY (id);
ALTER TABLE legacy_consents ADD PRIMARY KEY (customer_id, purpose);

CREATE UNIQUE INDEX customers_customer_no_key ON customers (customer_no);
CREATE INDEX customers_name_idx ON customers (last_name, first_name);
CREATE INDEX customers_region_idx ON customers (region);
CREATE INDEX contacts_customer_id_idx ON contacts (customer_id);
CREATE INDEX email_addresses_customer_id_idx ON email_addresses (customer_id);
CREATE INDEX email_addresses_address_idx ON email_addresses (lower(address));
CREATE INDEX leads_email_idx ON leads (email);
CREATE INDEX referrals_referrer_id_idx ON referrals (referrer_id);
CREATE INDEX referrals_referred_id_idx ON referrals (referred_id);
CREATE UNIQUE INDEX accounts_customer_id_key ON accounts (customer_id);
CREATE INDEX interactions_customer_id_idx ON interactions (customer_id, occurred_at);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
CREATE INDEX orders_ordered_at_idx ON orders (ordered_at);
CREATE UNIQUE INDEX order_lines_order_id_line_no_key ON order_lines (order_id, line_no);
CREATE INDEX tickets_customer_id_idx ON tickets (customer_id);
CREATE INDEX tickets_open_idx ON tickets (opened_at) WHERE status <> 'closed';
CREATE INDEX ticket_notes_ticket_id_idx ON ticket_notes (ticket_id);

ALTER TABLE contacts ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE;
ALTER TABLE email_addresses ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE,
    ADD FOREIGN KEY (contact_id) REFERENCES contacts ON DELETE CASCADE;
ALTER TABLE referrals ADD FOREIGN KEY (referrer_id) REFERENCES customers ON DELETE CASCADE,
    ADD FOREIGN KEY (referred_id) REFERENCES customers ON DELETE CASCADE;
ALTER TABLE accounts ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE;
ALTER TABLE interactions ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE,
    ADD FOREIGN KEY (contact_id) REFERENCES contacts;
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE CASCADE, ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE tickets ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE, ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE ticket_notes ADD FOREIGN KEY (ticket_id) REFERENCES tickets ON DELETE CASCADE;

-- Numbering goes on after the rows that brought their own numbers.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT table_name FROM information_schema.columns
                WHERE table_schema = 'crm' AND column_name = 'id' AND is_identity = 'YES' AND table_name NOT LIKE 'interactions\_%'
    LOOP
        EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), coalesce(max(id), 1)) FROM %I', name, name);
    END LOOP;
END $$;
COMMIT;

RESET ROLE;
ANALYZE;
