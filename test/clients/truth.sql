-- What each purpose may see, told by the consents that will be imported, before anything is guarded.
-- Prints one JSON object: {purpose: {table: rows}}, "all" for a purpose that needs no consent, and a few
-- customers to try things with.
SET search_path = crm, public;
-- Their storage duration, as demo/protect.sql says it; what is about to end would end between the two counts.
CREATE TEMPORARY TABLE lives (purpose text, since timestamptz);
INSERT INTO lives VALUES ('all', now() - interval '18 months'), ('analytics', now() - interval '18 months'),
    ('marketing', now() - interval '3 months');
DELETE FROM interactions i USING lives l
 WHERE i.occurred_at BETWEEN l.since - interval '1 day' AND l.since + interval '1 day';
WITH permitted AS MATERIALIZED (
    SELECT 'all' AS purpose, id FROM customers
    UNION ALL
    SELECT purpose, customer_id FROM legacy_consents WHERE state = 'given'
), counts (purpose, name, n) AS (
    SELECT purpose, 'customers', count(*) FROM permitted GROUP BY 1
    UNION ALL
    SELECT purpose, 'bavarians', count(*) FROM permitted JOIN customers c USING (id) WHERE c.region = 'Bavaria' GROUP BY 1
    UNION ALL
    SELECT purpose, 'contacts', count(*) FROM permitted p JOIN contacts t ON t.customer_id = p.id GROUP BY 1
    UNION ALL
    SELECT purpose, 'email_addresses', count(*) FROM permitted p JOIN email_addresses t ON t.customer_id = p.id GROUP BY 1
    UNION ALL
    SELECT p.purpose, 'interactions', count(*) FROM permitted p JOIN interactions t ON t.customer_id = p.id
      JOIN lives l ON l.purpose = split_part(p.purpose, '.', 1) AND t.occurred_at > l.since GROUP BY 1
    UNION ALL
    SELECT purpose, 'orders', count(*) FROM permitted p JOIN orders t ON t.customer_id = p.id GROUP BY 1
    UNION ALL
    SELECT purpose, 'order_lines', count(*) FROM permitted p JOIN orders t ON t.customer_id = p.id JOIN order_lines l ON l.order_id = t.id GROUP BY 1
    UNION ALL
    SELECT purpose, 'ticket_notes', count(*) FROM permitted p JOIN tickets t ON t.customer_id = p.id JOIN ticket_notes l ON l.ticket_id = t.id GROUP BY 1
    UNION ALL
    SELECT purpose, 'referrals', count(*) FROM referrals r JOIN permitted a ON a.id = r.referrer_id JOIN permitted b USING (purpose)
    WHERE b.id = r.referred_id GROUP BY 1
), whose AS (
    SELECT c.id, email.state = 'given' AS email, coalesce(phone.state, 'unknown') = 'given' AS phone
    FROM customers c JOIN legacy_consents email ON (email.customer_id, email.purpose) = (c.id, 'marketing.email')
         LEFT JOIN legacy_consents phone ON (phone.customer_id, phone.purpose) = (c.id, 'marketing.phone')
    WHERE c.id IN (SELECT customer_id FROM email_addresses WHERE contact_id = c.id)
)
SELECT jsonb_object_agg(purpose, tables) || (
           SELECT jsonb_build_object('email_only', min(id) FILTER (WHERE email AND NOT phone),
                                     'phone_only', min(id) FILTER (WHERE phone AND NOT email),
                                     'neither', min(id) FILTER (WHERE NOT phone AND NOT email)) FROM whose)
FROM (SELECT purpose, jsonb_object_agg(name, n) AS tables FROM counts GROUP BY purpose) AS x;
