-- GDPRbench: a new record, of a user who does not object.
\set i :i + 1
\set key :records + 2 * :i + :client_id
\set usr random(0, :users - 1)
\set usr case when :usr % 20 = 7 then :usr - 1 else :usr end
INSERT INTO record (key, pur, ttl, usr, obj, dec, acl, shr, src, cat, data, ends_at)
VALUES (:key, :key % 25, ttl_of(:key), :usr, 'object' || :key % 100, 'decision' || :key % 2, 'acl' || :key % 10,
        'shared' || :key % 10, 'source' || :key % 10, 'category' || :key % 10, repeat(md5(:key::text), 3) || 'data',
        now() + ttl_of(:key) * interval '1 second');
