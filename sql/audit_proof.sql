-- The audit log's Merkle tree: published vectors, and who may use the functions.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS privacy_guard CASCADE;
RESET client_min_messages;
\t on
-- The leaves and roots that implementations of RFC 6962 test with.
CREATE TEMP TABLE leaves AS
SELECT '{"", "\\x00", "\\x10", "\\x2021", "\\x3031", "\\x40414243", "\\x5051525354555657",
         "\\x606162636465666768696a6b6c6d6e6f"}'::bytea[] AS record;
SELECT n, encode(privacy_guard.merkle_root(record[1:n]), 'hex') FROM leaves, generate_series(0, 8) n;
CREATE FUNCTION pg_temp.root(n int) RETURNS bytea LANGUAGE sql AS $$ SELECT privacy_guard.merkle_root(record[1:n]) FROM leaves $$;
-- An inclusion proof and two consistency proofs of theirs
CREATE FUNCTION pg_temp.proof(VARIADIC hash text[]) RETURNS bytea[] LANGUAGE sql AS
$$ SELECT array_agg(decode(h, 'hex') ORDER BY n) FROM unnest(hash) WITH ORDINALITY u (h, n) $$;
SELECT privacy_guard.verify_inclusion('\x40414243', 5, 8, proof, pg_temp.root(8)) AS holds,
       privacy_guard.verify_inclusion('\x40414243', 4, 8, proof, pg_temp.root(8)) AS elsewhere,
       privacy_guard.verify_inclusion('\x40414243', 5, 16, proof, pg_temp.root(8)) AS other_size,
       privacy_guard.verify_inclusion('\x4041424344', 5, 8, proof, pg_temp.root(8)) AS other_record,
       privacy_guard.verify_inclusion('\x40414243', 5, 8, proof, pg_temp.root(7)) AS other_root
  FROM pg_temp.proof('bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
                     'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
                     'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7') proof;
SELECT privacy_guard.verify_consistency(6, pg_temp.root(6), 8, pg_temp.root(8),
           pg_temp.proof('0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
                         'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
                         'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7')),
       privacy_guard.verify_consistency(2, pg_temp.root(2), 5, pg_temp.root(5),
           pg_temp.proof('5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
                         'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b'));
-- A tree of one record needs no proof, and the same tree none either
SELECT privacy_guard.verify_inclusion('', 0, 1, '{}', pg_temp.root(1)),
       privacy_guard.verify_consistency(3, pg_temp.root(3), 3, pg_temp.root(3), '{}');
-- Nonsense proves nothing
SELECT privacy_guard.verify_inclusion('', 0, 0, '{}', pg_temp.root(0)),
       privacy_guard.verify_inclusion('', -1, 1, '{}', pg_temp.root(1)),
       privacy_guard.verify_inclusion('', 1, 1, '{}', pg_temp.root(1)),
       privacy_guard.verify_inclusion('', 0, 1, '{}', ''),
       privacy_guard.verify_inclusion('', 0, 2, '{"\\x00"}', pg_temp.root(2)),
       privacy_guard.verify_inclusion('', 0, 9223372036854775807, array_fill(''::bytea, '{100}'), pg_temp.root(2)),
       privacy_guard.verify_consistency(0, pg_temp.root(0), 1, pg_temp.root(1), '{}'),
       privacy_guard.verify_consistency(2, pg_temp.root(2), 1, pg_temp.root(1), '{}'),
       privacy_guard.verify_consistency(1, pg_temp.root(1), 2, pg_temp.root(2), '{}'),
       privacy_guard.verify_consistency(1, pg_temp.root(1), 9223372036854775807, pg_temp.root(2), array_fill(pg_temp.root(0), '{64}'));
SELECT privacy_guard.merkle_root(ARRAY['\x00', NULL]::bytea[]);
SELECT privacy_guard.verify_inclusion('', 0, 1, ARRAY[NULL]::bytea[], '');
-- What reads the log is for auditors
CREATE ROLE regress_nobody;
CREATE ROLE regress_super SUPERUSER;
SET ROLE regress_nobody;
SELECT privacy_guard.merkle_root('{}') = sha256('');
SELECT privacy_guard.audit_tree_head();
SELECT privacy_guard.audit_inclusion_proof(0);
SELECT privacy_guard.audit_consistency_proof(1);
SELECT privacy_guard.audit_checkpoint();
SELECT privacy_guard.checkpoint_public_key();
SELECT privacy_guard.verify_audit_log();
SELECT privacy_guard.prune_audit_log('2020-01-01');
SELECT privacy_guard_internal.verify_audit_log();
SET ROLE regress_super;
SELECT privacy_guard.prune_audit_log('2020-01-01');
SELECT privacy_guard.verify_audit_log();
RESET ROLE;
DROP ROLE regress_nobody, regress_super;
