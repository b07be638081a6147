-- Fills the CRM: about 2 million rows for 100,000 customers, by SQL alone.
--
--   psql -v scale=0.01 -f data.sql     a hundredth of it, for tests
--   psql -v seed=7     -f data.sql     other people, the same shape
--   psql -v today=2025-06-30 ...       dates count back from here (default: the current date)
--
-- Chance comes from a hash of the row's number, not from random(): the same scale, seed and today
-- give the same rows, whatever plan is chosen.
\set ON_ERROR_STOP on
\if :{?scale} \else \set scale 1 \endif
\if :{?seed} \else \set seed 20240229 \endif
\if :{?today}
\else
    SELECT current_date AS today \gset
\endif
SET client_min_messages = warning;
SET search_path = crm, public;
SET synchronous_commit = off;
SET jit = off;
SET timezone = 'UTC';
SET ROLE crm_owner;

BEGIN;

SELECT greatest(100, (100000 * :scale)::int) AS customers \gset
SELECT (:customers * 1.30)::int AS contacts,      (:customers * 0.12)::int AS leads,
       (:customers * 0.15)::int AS referrals,     (:customers * 0.85)::int AS accounts,
       (:customers * 5.20)::int AS interactions,  (:customers * 3.00)::int AS orders,
       (:customers * 0.80)::int AS tickets \gset

-- u(row, salt): uniform in [0, 1). pick(words, u): a word, the first ones more often.
CREATE FUNCTION pg_temp.u(row_no bigint, salt integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(row_no, salt + :seed) & 9007199254740991) / 9007199254740992.0;
CREATE FUNCTION pg_temp.pick(words text[], u double precision) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN words[1 + floor(u * u * cardinality(words))::int];
-- Most customers buy, call and complain little, a few a lot; who they are is scattered over the ids.
CREATE FUNCTION pg_temp.who(u double precision) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 1 + (floor(power(u, 1.4) * :customers)::bigint * 7919) % :customers;
-- More lately than long ago: the business grows. Never in the future.
CREATE FUNCTION pg_temp.past(u double precision, years double precision) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN timestamptz :'today' - make_interval(secs => power(u, 1.4) * years * 31557600);

-- A partition for each quarter, from two years back to the next quarter.
SELECT format('CREATE TABLE interactions_%s PARTITION OF interactions FOR VALUES FROM (%L) TO (%L)',
              to_char(start, 'YYYY"q"Q'), start, start + interval '3 months')
FROM generate_series(date_trunc('quarter', timestamp :'today' - interval '2 years 1 day'),
                     timestamp :'today' + interval '3 months', interval '3 months') AS start
WHERE start < timestamp :'today' + interval '3 months' \gexec

CREATE TEMP TABLE words AS SELECT
    ARRAY['Maria','Peter','Anna','Thomas','Sophie','Michael','Laura','Stefan','Julia','Andreas','Emma','Daniel','Lena','Markus','Clara',
          'Jonas','Elif','Mehmet','Katarzyna','Piotr','Giulia','Luca','Camille','Antoine','Ingrid','Lars','Fatima','Youssef','Zoë','Björn',
          'Nguyen','Olena','Dmytro','Aisha','Ravi','Mei','Kofi','Ines','Mateo','Freya'] AS first_names,
    ARRAY['Müller','Schmidt','Schneider','Fischer','Weber','Meyer','Wagner','Becker','Schulz','Hoffmann','Koch','Bauer','Richter','Klein',
          'Wolf','Neumann','Schwarz','Braun','Zimmermann','Krüger','Hartmann','Lange','Werner','Krause','Lehmann','Yılmaz','Kowalski',
          'Rossi','Martin','Dubois','Jensen','Novák','García','O''Brien','de Vries','Öztürk','Andersson','Nguyen','Haddad','Kovács'] AS last_names,
    ARRAY['Hauptstraße','Schulstraße','Bahnhofstraße','Gartenweg','Dorfstraße','Bergstraße','Lindenallee','Kirchgasse','Am Markt','Mühlweg'] AS streets,
    ARRAY['Bavaria','North Rhine-Westphalia','Baden-Württemberg','Lower Saxony','Hesse','Berlin','Saxony','Hamburg','Tyrol','Zürich','Saarland','Bremen'] AS regions,
    ARRAY['Munich','Cologne','Stuttgart','Hanover','Frankfurt','Berlin','Leipzig','Hamburg','Innsbruck','Zürich','Saarbrücken','Bremen'] AS cities,
    ARRAY['kerstin.vogel','tim.arnold','nadja.petrov','oliver.lang','sara.kaya','ben.hughes','marta.silva','jan.peeters'] AS agents,
    ARRAY['Question about an invoice','Delivery date','Change of address','Complaint: item damaged','Product advice','Return','Password reset',
          'Extension of the contract','Bank details','Cancellation'] AS topics;

INSERT INTO products
SELECT i, format('SKU-%s', lpad(i::text, 5, '0')), format('%s %s', (ARRAY['Desk','Chair','Lamp','Shelf','Sofa','Bed','Rug','Mirror'])[1 + i % 8], 100 + i),
       (ARRAY['office','living','sleeping','light'])[1 + i % 4], round((9 + 590 * power(pg_temp.u(i, 1), 3))::numeric, 2)
FROM generate_series(1, 500) AS i;

INSERT INTO customers
SELECT i, format('C-%s', lpad(i::text, 8, '0')),
       CASE WHEN pg_temp.u(i, 10) < 0.48 THEN 'Mr' WHEN pg_temp.u(i, 10) < 0.96 THEN 'Ms' END,
       pg_temp.pick(first_names, pg_temp.u(i, 11)), pg_temp.pick(last_names, pg_temp.u(i, 12)),
       -- Adults around 47, hardly anybody over 90; one in twenty did not say.
       CASE WHEN pg_temp.u(i, 13) > 0.05
            THEN (date :'today' - (365.25 * (18 + 72 * (pg_temp.u(i, 14) + pg_temp.u(i, 15) + pg_temp.u(i, 16)) / 3))::int) END,
       CASE WHEN pg_temp.u(i, 17) < 0.9 THEN format('+49 15%s %s', floor(pg_temp.u(i, 18) * 9)::int, lpad(floor(pg_temp.u(i, 19) * 1e7)::int::text, 7, '0')) END,
       format('%s %s', pg_temp.pick(streets, pg_temp.u(i, 20)), 1 + floor(140 * power(pg_temp.u(i, 21), 2))::int),
       lpad((10000 + floor(pg_temp.u(i, 22) * 89999))::int::text, 5, '0'),
       cities[place], regions[place],
       CASE regions[place] WHEN 'Tyrol' THEN 'AT' WHEN 'Zürich' THEN 'CH' ELSE 'DE' END,
       CASE WHEN pg_temp.u(i, 24) < 0.93 THEN 'de' ELSE 'en' END,
       CASE WHEN pg_temp.u(i, 25) < 0.72 THEN 'standard' WHEN pg_temp.u(i, 25) < 0.94 THEN 'plus' ELSE 'premium' END,
       CASE WHEN pg_temp.u(i, 25) < 0.72 THEN 500 WHEN pg_temp.u(i, 25) < 0.94 THEN 2000 ELSE 10000 END,
       CASE WHEN pg_temp.u(i, 25) >= 0.94 THEN pg_temp.pick(agents, pg_temp.u(i, 26)) END,
       joined, joined + (timestamptz :'today' - joined) * pg_temp.u(i, 28)
FROM words, generate_series(1, :customers) AS i,
     LATERAL (SELECT 1 + floor(power(pg_temp.u(i, 23), 2) * cardinality(regions))::int AS place,
                     pg_temp.past(pg_temp.u(i, 27), 8) AS joined) AS x;

INSERT INTO contacts
SELECT i, customer, CASE WHEN i <= :customers THEN c.first_name ELSE pg_temp.pick(first_names, pg_temp.u(i, 31)) END,
       CASE WHEN i <= :customers OR pg_temp.u(i, 32) < 0.6 THEN c.last_name ELSE pg_temp.pick(last_names, pg_temp.u(i, 33)) END,
       CASE WHEN i <= :customers THEN 'self' ELSE pg_temp.pick(ARRAY['partner','child','assistant','legal guardian'], pg_temp.u(i, 34)) END,
       c.phone, CASE WHEN pg_temp.u(i, 35) < 0.4 THEN format('+49 17%s', lpad(floor(pg_temp.u(i, 36) * 1e8)::int::text, 8, '0')) END,
       i <= :customers, c.created_at
FROM words, generate_series(1, :contacts) AS i,
     LATERAL (SELECT CASE WHEN i <= :customers THEN i ELSE 1 + floor(pg_temp.u(i, 30) * :customers)::bigint END AS customer) AS x
     JOIN customers c ON c.id = customer;

INSERT INTO email_addresses
SELECT row_number() OVER (ORDER BY k.id, n), k.customer_id, k.id,
       translate(lower(format('%s.%s%s@%s', k.first_name, k.last_name, k.id, pg_temp.pick(CASE n
                       WHEN 1 THEN ARRAY['example.com','example.org','example.net','mail.example']
                       ELSE ARRAY['works.example','council.example','school.example','clinic.example'] END, pg_temp.u(k.id, 41)))),
                 ' ''äöüëçáéíóúığ', '--aoueecaeiouig'),
       CASE n WHEN 1 THEN 'home' ELSE 'work' END, n = 1 AND k.is_primary,
       CASE WHEN pg_temp.u(k.id, 44) < 0.88 THEN k.created_at + interval '3 minutes' END,
       CASE WHEN pg_temp.u(k.id, 45) > 0.985 THEN pg_temp.past(pg_temp.u(k.id, 46), 1) END
FROM contacts k, generate_series(1, 2) AS n
WHERE CASE n WHEN 1 THEN pg_temp.u(k.id, 47) < 0.94 ELSE pg_temp.u(k.id, 48) < 0.22 END;

INSERT INTO leads
SELECT i, pg_temp.pick(first_names, pg_temp.u(i, 51)), pg_temp.pick(last_names, pg_temp.u(i, 52)), format('lead%s@mail.example', i),
       CASE WHEN pg_temp.u(i, 53) < 0.5 THEN format('+49 16%s', lpad(floor(pg_temp.u(i, 54) * 1e8)::int::text, 8, '0')) END,
       pg_temp.pick(regions, pg_temp.u(i, 55)), pg_temp.pick(ARRAY['web form','fair','recommendation','purchased list'], pg_temp.u(i, 56)),
       pg_temp.pick(ARRAY['new','contacted','qualified','lost'], pg_temp.u(i, 57)), (100 * power(pg_temp.u(i, 58), 2))::int,
       pg_temp.past(pg_temp.u(i, 59), 1.5)
FROM words, generate_series(1, :leads) AS i;

INSERT INTO referrals
SELECT i, referrer, 1 + (referrer + floor(pg_temp.u(i, 62) * (:customers - 1))::bigint) % :customers,
       pg_temp.pick(ARRAY['bring-a-friend','spring','jubilee'], pg_temp.u(i, 63)), 5 * (1 + floor(pg_temp.u(i, 64) * 4)), pg_temp.past(pg_temp.u(i, 65), 3)
FROM generate_series(1, :referrals) AS i, LATERAL (SELECT pg_temp.who(pg_temp.u(i, 61)) AS referrer) AS x;

INSERT INTO accounts
SELECT md5(format('account %s %s', :seed, c.id))::uuid, c.id, format('user%s', c.id),
       CASE WHEN pg_temp.u(c.id, 71) < 0.91 THEN 'active' WHEN pg_temp.u(c.id, 71) < 0.98 THEN 'dormant' ELSE 'locked' END,
       pg_temp.u(c.id, 72) < 0.27, greatest(c.created_at, pg_temp.past(pg_temp.u(c.id, 73), 2)),
       inet '198.51.100.0' + (256 * pg_temp.u(c.id, 74))::bigint, c.created_at
FROM customers c WHERE c.id % 20 < 17;

-- In the order of time, as it grew.
INSERT INTO interactions
SELECT row_number() OVER (ORDER BY at), customer, CASE WHEN pg_temp.u(i, 82) < 0.8 THEN customer END, at, channel,
       CASE WHEN pg_temp.u(i, 84) < 0.64 THEN 'inbound' ELSE 'outbound' END, pg_temp.pick(agents, pg_temp.u(i, 85)), topic,
       CASE WHEN pg_temp.u(i, 87) < 0.7
            THEN format('%s. %s %s', topic, pg_temp.pick(ARRAY['Caller was friendly.','Will call back.','Sounded annoyed, second contact this week.',
                                        'Mentioned a stay in hospital.','Asked for a supervisor.'], pg_temp.u(i, 88)),
                        pg_temp.pick(ARRAY['Done.','Passed on to logistics.','Waiting for the customer.','Voucher sent.'], pg_temp.u(i, 89))) END,
       CASE channel WHEN 'call' THEN (20 + 1500 * power(pg_temp.u(i, 90), 3))::int END
FROM words, generate_series(1, :interactions) AS i,
     LATERAL (SELECT pg_temp.who(pg_temp.u(i, 80)) AS customer, pg_temp.past(pg_temp.u(i, 81), 2) AS at,
                     pg_temp.pick(ARRAY['email','call','chat','visit'], pg_temp.u(i, 83)) AS channel,
                     pg_temp.pick(topics, pg_temp.u(i, 86)) AS topic) AS x;

INSERT INTO order_lines
SELECT row_number() OVER (), o, line, p.id, 1 + floor(6 * power(pg_temp.u(o * 8 + line, 102), 4))::int, p.list_price
FROM generate_series(1, :orders) AS o,
     LATERAL generate_series(1, 1 + floor(5 * power(pg_temp.u(o, 100), 2.2))::int) AS line, products p
WHERE p.id = 1 + floor(500 * power(pg_temp.u(o * 8 + line, 101), 2))::int;

INSERT INTO orders
SELECT o, c.id, format('O-%s', lpad(o::text, 9, '0')), at,
       CASE WHEN at > timestamptz :'today' - interval '12 days' THEN pg_temp.pick(ARRAY['shipped','paid','new'], pg_temp.u(o, 113))
            ELSE pg_temp.pick(ARRAY['completed','completed','completed','returned','cancelled'], pg_temp.u(o, 114)) END,
       pg_temp.pick(ARRAY['invoice','paypal','card','direct debit'], pg_temp.u(o, 115)), c.city, l.total
FROM (SELECT order_id AS o, sum(quantity * unit_price) AS total FROM order_lines GROUP BY order_id) AS l,
     LATERAL (SELECT pg_temp.who(pg_temp.u(o, 110)) AS customer, pg_temp.past(pg_temp.u(o, 111), 5) AS at) AS x
     JOIN customers c ON c.id = customer;

INSERT INTO tickets
SELECT i, customer, CASE WHEN pg_temp.u(i, 121) < 0.6 THEN x.some_order END, topic,
       CASE WHEN closed THEN 'closed' ELSE pg_temp.pick(ARRAY['open','waiting','new'], pg_temp.u(i, 124)) END,
       pg_temp.pick(ARRAY['normal','low','high','urgent'], pg_temp.u(i, 125)), pg_temp.pick(agents, pg_temp.u(i, 126)), at,
       CASE WHEN closed THEN least(timestamptz :'today', at + make_interval(hours => (2 + 300 * power(pg_temp.u(i, 127), 3))::int)) END
FROM words, generate_series(1, :tickets) AS i,
     -- A ticket is about one of the orders, so its customer is that order's.
     LATERAL (SELECT 1 + floor(pg_temp.u(i, 120) * :orders)::bigint AS some_order) AS x,
     LATERAL (SELECT pg_temp.who(pg_temp.u(some_order, 110)) AS customer, pg_temp.past(pg_temp.u(i, 122), 2) AS at, pg_temp.pick(topics, pg_temp.u(i, 123)) AS topic) AS y,
     LATERAL (SELECT at < timestamptz :'today' - interval '20 days' OR pg_temp.u(i, 128) < 0.55 AS closed) AS z;

INSERT INTO ticket_notes
SELECT row_number() OVER (ORDER BY t.id, n), t.id, CASE WHEN n % 2 = 1 THEN 'customer' ELSE t.assigned_to END, n % 2 = 0 AND pg_temp.u(t.id * 8 + n, 131) < 0.5,
       format('%s: %s', t.subject, pg_temp.pick(ARRAY['please see the attached photo','we have sent a replacement','still waiting',
              'my new number is on file now','refund issued'], pg_temp.u(t.id * 8 + n, 132))),
       t.opened_at + n * interval '5 hours'
FROM tickets t, LATERAL generate_series(1, 1 + floor(4 * power(pg_temp.u(t.id, 130), 1.6))::int) AS n;

-- One decision a customer and purpose: four in five agreed to mail, fewer to calls; some took it back, some never answered.
INSERT INTO legacy_consents
SELECT c.id, purpose,
       CASE WHEN v < given THEN 'given' WHEN v < given + withdrawn THEN 'withdrawn' ELSE 'refused' END,
       CASE WHEN pg_temp.u(c.id, 141) < 0.9 THEN 'expressed' ELSE 'explicitly_expressed' END,
       c.created_at + interval '1 minute', pg_temp.pick(ARRAY['web form','checkout','call centre','paper'], pg_temp.u(c.id, 142))
FROM (VALUES ('marketing.email', 143, 0.80, 0.09, 0.97), ('marketing.phone', 144, 0.31, 0.06, 0.60), ('analytics', 145, 0.55, 0.04, 0.85))
         AS p (purpose, salt, given, withdrawn, asked),
     customers c, LATERAL (SELECT pg_temp.u(c.id, salt) AS v) AS x
WHERE v < given + withdrawn OR pg_temp.u(c.id, salt + 10) < (asked - given - withdrawn) / (1 - given - withdrawn);

COMMIT;

RESET ROLE;
