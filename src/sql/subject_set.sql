-- subject_set: compressed sets of subjects' numbers, as the audit log keeps them. Code:
-- src/types/subject_set*.c, subject_bits.c (over CRoaring) and roaring_format.c.

-- The type.

CREATE TYPE privacy_guard.subject_set;

CREATE FUNCTION privacy_guard.subject_set_in(cstring) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_in(cstring) IS
    'Reads {item,...} or one bare item, in any order; an item is a number or a range first-last. 22P02 when malformed, 22003 for a number below 1 or above 2^63 - 1, 54000 for a set that is too large (see the type). Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.subject_set_out(privacy_guard.subject_set) RETURNS cstring
    AS 'MODULE_PATHNAME', 'subject_set_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_out(privacy_guard.subject_set) IS
    'Canonical text: ascending, three or more neighbours as a range, such as {1,2,5-9,4711}. 54000 above 1 GB. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.subject_set_recv(internal) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_recv(internal) IS
    'Reads the binary form and checks all of it; 22P03 when malformed. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.subject_set_send(privacy_guard.subject_set) RETURNS bytea
    AS 'MODULE_PATHNAME', 'subject_set_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_send(privacy_guard.subject_set) IS
    'Writes the binary form: a format byte, then the set in the portable 64-bit format of the Roaring format specification, which any Roaring library reads. Source: src/types/subject_set.c.';

CREATE TYPE privacy_guard.subject_set (
    INPUT = privacy_guard.subject_set_in,
    OUTPUT = privacy_guard.subject_set_out,
    RECEIVE = privacy_guard.subject_set_recv,
    SEND = privacy_guard.subject_set_send,
    INTERNALLENGTH = VARIABLE,
    STORAGE = external);
COMMENT ON TYPE privacy_guard.subject_set IS
    'A set of subjects'' numbers, from 1 to 2^63 - 1, compressed as in Lemire et al., Roaring Bitmaps (2018). {} is the empty set. At most 1 GB, and members in at most 1,048,576 blocks of 65,536 numbers: enough for any numbers below 2^36.';

-- Making and reading.

CREATE FUNCTION privacy_guard.subject_set(VARIADIC numbers bigint[]) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set(bigint[]) IS
    'The set of these numbers. 22003 for a number below 1, 22004 NULL element. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.to_array(privacy_guard.subject_set) RETURNS bigint[]
    AS 'MODULE_PATHNAME', 'subject_set_to_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_array(privacy_guard.subject_set) IS
    'The members, in order. 54000 above 1 GB. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.to_jsonb(privacy_guard.subject_set) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'subject_set_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_jsonb(privacy_guard.subject_set) IS
    'An array of numbers. 54000 above 16,777,216 members. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.to_subject_set(numbers jsonb) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_from_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_subject_set(jsonb) IS
    'Reads an array of numbers; 22P02 when it is something else, 22003 for a number below 1 or above 2^63 - 1. Source: src/types/subject_set.c.';

CREATE FUNCTION privacy_guard.cardinality(privacy_guard.subject_set) RETURNS bigint
    AS 'MODULE_PATHNAME', 'subject_set_cardinality' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.cardinality(privacy_guard.subject_set) IS
    'How many members; read from the heads of the containers. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subjects(privacy_guard.subject_set) RETURNS SETOF bigint
    AS 'MODULE_PATHNAME', 'subject_set_subjects' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION privacy_guard.subjects(privacy_guard.subject_set) IS
    'The members as rows, in order. Source: src/types/subject_set_ops.c.';

CREATE CAST (privacy_guard.subject_set AS jsonb) WITH FUNCTION privacy_guard.to_jsonb(privacy_guard.subject_set);
COMMENT ON CAST (privacy_guard.subject_set AS jsonb) IS 'An array of numbers.';
CREATE CAST (jsonb AS privacy_guard.subject_set) WITH FUNCTION privacy_guard.to_subject_set(jsonb);
COMMENT ON CAST (jsonb AS privacy_guard.subject_set) IS 'Reads an array of numbers.';
CREATE CAST (privacy_guard.subject_set AS bigint[]) WITH FUNCTION privacy_guard.to_array(privacy_guard.subject_set) AS ASSIGNMENT;
COMMENT ON CAST (privacy_guard.subject_set AS bigint[]) IS 'The members, in order.';
CREATE CAST (bigint[] AS privacy_guard.subject_set) WITH FUNCTION privacy_guard.subject_set(bigint[]) AS ASSIGNMENT;
COMMENT ON CAST (bigint[] AS privacy_guard.subject_set) IS 'The elements, each once.';

-- Operators.

CREATE FUNCTION privacy_guard.subject_set_contains(privacy_guard.subject_set, bigint) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_contains_number' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_contains(privacy_guard.subject_set, bigint) IS
    'Whether the number is a member, found without unpacking the set. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_contained(bigint, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_number_contained' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_contained(bigint, privacy_guard.subject_set) IS
    'Whether the number is a member, found without unpacking the set. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_contains(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_contains_set' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_contains(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether every member of the second is a member of the first. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_contained(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_contained' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_contained(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether every member of the first is a member of the second. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_overlaps(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_overlaps' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_overlaps(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether they have a member in common. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_union(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_union' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_union(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'The members of both. 54000 for a set that is too large. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_add(privacy_guard.subject_set, bigint) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_add(privacy_guard.subject_set, bigint) IS
    'With one more member. 22003 for a number below 1, 54000 for a set that is too large. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_intersection(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_intersection' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_intersection(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'The members that both have. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_difference(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_difference' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_difference(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'The members of the first that the second does not have. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_remove(privacy_guard.subject_set, bigint) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_remove' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_remove(privacy_guard.subject_set, bigint) IS
    'Without this member. 22003 for a number below 1. Source: src/types/subject_set_ops.c.';

CREATE OPERATOR privacy_guard.@> (
    FUNCTION = privacy_guard.subject_set_contains, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.<@), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.@> (privacy_guard.subject_set, privacy_guard.subject_set) IS 'contains every member of';

CREATE OPERATOR privacy_guard.<@ (
    FUNCTION = privacy_guard.subject_set_contained, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.@>), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.<@ (privacy_guard.subject_set, privacy_guard.subject_set) IS 'every member is contained in';

CREATE OPERATOR privacy_guard.@> (
    FUNCTION = privacy_guard.subject_set_contains, LEFTARG = privacy_guard.subject_set, RIGHTARG = bigint,
    COMMUTATOR = OPERATOR(privacy_guard.<@), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.@> (privacy_guard.subject_set, bigint) IS 'has this member';

CREATE OPERATOR privacy_guard.<@ (
    FUNCTION = privacy_guard.subject_set_contained, LEFTARG = bigint, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.@>), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.<@ (bigint, privacy_guard.subject_set) IS 'is a member of';

CREATE OPERATOR privacy_guard.&& (
    FUNCTION = privacy_guard.subject_set_overlaps, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.&&), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.&& (privacy_guard.subject_set, privacy_guard.subject_set) IS 'has a member in common with';

CREATE OPERATOR privacy_guard.| (
    FUNCTION = privacy_guard.subject_set_union, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.|));
COMMENT ON OPERATOR privacy_guard.| (privacy_guard.subject_set, privacy_guard.subject_set) IS 'union';

CREATE OPERATOR privacy_guard.| (
    FUNCTION = privacy_guard.subject_set_add, LEFTARG = privacy_guard.subject_set, RIGHTARG = bigint);
COMMENT ON OPERATOR privacy_guard.| (privacy_guard.subject_set, bigint) IS 'with this member';

CREATE OPERATOR privacy_guard.& (
    FUNCTION = privacy_guard.subject_set_intersection, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.&));
COMMENT ON OPERATOR privacy_guard.& (privacy_guard.subject_set, privacy_guard.subject_set) IS 'intersection';

CREATE OPERATOR privacy_guard.- (
    FUNCTION = privacy_guard.subject_set_difference, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set);
COMMENT ON OPERATOR privacy_guard.- (privacy_guard.subject_set, privacy_guard.subject_set) IS 'difference';

CREATE OPERATOR privacy_guard.- (
    FUNCTION = privacy_guard.subject_set_remove, LEFTARG = privacy_guard.subject_set, RIGHTARG = bigint);
COMMENT ON OPERATOR privacy_guard.- (privacy_guard.subject_set, bigint) IS 'without this member';

-- Aggregates.

CREATE FUNCTION privacy_guard.subject_set_agg_step(internal, bigint) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_agg_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_agg_step(internal, bigint) IS
    'One row of subject_set_agg(). 22003 for a number below 1. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_union_step(internal, privacy_guard.subject_set) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_union_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_union_step(internal, privacy_guard.subject_set) IS
    'One row of subject_set_union(). 54000 for a set that is too large. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_agg_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_agg_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_agg_combine(internal, internal) IS
    'Joins what parallel workers gathered. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_agg_serial(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'subject_set_agg_serial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_agg_serial(internal) IS
    'What a parallel worker hands to its leader. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_agg_deserial(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_agg_deserial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_agg_deserial(bytea, internal) IS
    'What the leader makes of what a parallel worker gathered. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_agg_final(internal) RETURNS privacy_guard.subject_set
    AS 'MODULE_PATHNAME', 'subject_set_agg_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_agg_final(internal) IS
    'Result of subject_set_agg() and subject_set_union(). 54000 above 1 GB. Source: src/types/subject_set_ops.c.';

CREATE AGGREGATE privacy_guard.subject_set_agg(bigint) (
    SFUNC = privacy_guard.subject_set_agg_step, STYPE = internal,
    FINALFUNC = privacy_guard.subject_set_agg_final,
    COMBINEFUNC = privacy_guard.subject_set_agg_combine,
    SERIALFUNC = privacy_guard.subject_set_agg_serial,
    DESERIALFUNC = privacy_guard.subject_set_agg_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE privacy_guard.subject_set_agg(bigint) IS
    'The set of the numbers of all rows. NULLs are skipped; no row gives the empty set. 22003 for a number below 1.';

CREATE AGGREGATE privacy_guard.subject_set_union(privacy_guard.subject_set) (
    SFUNC = privacy_guard.subject_set_union_step, STYPE = internal,
    FINALFUNC = privacy_guard.subject_set_agg_final,
    COMBINEFUNC = privacy_guard.subject_set_agg_combine,
    SERIALFUNC = privacy_guard.subject_set_agg_serial,
    DESERIALFUNC = privacy_guard.subject_set_agg_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE privacy_guard.subject_set_union(privacy_guard.subject_set) IS
    'The members of the sets of all rows. NULLs are skipped; no row gives the empty set.';

-- Order and hash.

CREATE FUNCTION privacy_guard.subject_set_eq(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_eq(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether both are the same. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_ne(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_ne(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether the two differ. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_lt(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_lt(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether the first sorts before the second. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_le(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_le(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether the first sorts before the second or equals it. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_gt(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_gt(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether the first sorts after the second. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_ge(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'subject_set_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_ge(privacy_guard.subject_set, privacy_guard.subject_set) IS
    'Whether the first sorts after the second or equals it. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_cmp(privacy_guard.subject_set, privacy_guard.subject_set) RETURNS integer
    AS 'MODULE_PATHNAME', 'subject_set_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_cmp(privacy_guard.subject_set, privacy_guard.subject_set) IS
    '-1, 0 or 1, member by member. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_hash(privacy_guard.subject_set) RETURNS integer
    AS 'MODULE_PATHNAME', 'subject_set_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_hash(privacy_guard.subject_set) IS
    'Hash for hash joins, grouping and indexes. Source: src/types/subject_set_ops.c.';

CREATE FUNCTION privacy_guard.subject_set_hash_extended(privacy_guard.subject_set, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'subject_set_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_hash_extended(privacy_guard.subject_set, bigint) IS
    'Hash of 64 bits with a seed, for hash partitions. Source: src/types/subject_set_ops.c.';

CREATE OPERATOR privacy_guard.= (
    FUNCTION = privacy_guard.subject_set_eq, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.=), NEGATOR = OPERATOR(privacy_guard.<>),
    HASHES, MERGES,
    RESTRICT = eqsel, JOIN = eqjoinsel);
COMMENT ON OPERATOR privacy_guard.= (privacy_guard.subject_set, privacy_guard.subject_set) IS 'equal';

CREATE OPERATOR privacy_guard.<> (
    FUNCTION = privacy_guard.subject_set_ne, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.<>), NEGATOR = OPERATOR(privacy_guard.=),
    RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR privacy_guard.<> (privacy_guard.subject_set, privacy_guard.subject_set) IS 'not equal';

CREATE OPERATOR privacy_guard.< (
    FUNCTION = privacy_guard.subject_set_lt, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.>), NEGATOR = OPERATOR(privacy_guard.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR privacy_guard.< (privacy_guard.subject_set, privacy_guard.subject_set) IS 'less than';

CREATE OPERATOR privacy_guard.<= (
    FUNCTION = privacy_guard.subject_set_le, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.>=), NEGATOR = OPERATOR(privacy_guard.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR privacy_guard.<= (privacy_guard.subject_set, privacy_guard.subject_set) IS 'less than or equal';

CREATE OPERATOR privacy_guard.> (
    FUNCTION = privacy_guard.subject_set_gt, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.<), NEGATOR = OPERATOR(privacy_guard.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR privacy_guard.> (privacy_guard.subject_set, privacy_guard.subject_set) IS 'greater than';

CREATE OPERATOR privacy_guard.>= (
    FUNCTION = privacy_guard.subject_set_ge, LEFTARG = privacy_guard.subject_set, RIGHTARG = privacy_guard.subject_set,
    COMMUTATOR = OPERATOR(privacy_guard.<=), NEGATOR = OPERATOR(privacy_guard.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR privacy_guard.>= (privacy_guard.subject_set, privacy_guard.subject_set) IS 'greater than or equal';

CREATE OPERATOR CLASS privacy_guard.subject_set_ops DEFAULT FOR TYPE privacy_guard.subject_set USING btree AS
    OPERATOR 1 privacy_guard.<,
    OPERATOR 2 privacy_guard.<=,
    OPERATOR 3 privacy_guard.=,
    OPERATOR 4 privacy_guard.>=,
    OPERATOR 5 privacy_guard.>,
    FUNCTION 1 privacy_guard.subject_set_cmp(privacy_guard.subject_set, privacy_guard.subject_set);
COMMENT ON OPERATOR CLASS privacy_guard.subject_set_ops USING btree IS 'Order member by member.';
COMMENT ON OPERATOR FAMILY privacy_guard.subject_set_ops USING btree IS 'Order of privacy_guard.subject_set.';

CREATE OPERATOR CLASS privacy_guard.subject_set_ops DEFAULT FOR TYPE privacy_guard.subject_set USING hash AS
    OPERATOR 1 privacy_guard.=,
    FUNCTION 1 privacy_guard.subject_set_hash(privacy_guard.subject_set),
    FUNCTION 2 privacy_guard.subject_set_hash_extended(privacy_guard.subject_set, bigint);
COMMENT ON OPERATOR CLASS privacy_guard.subject_set_ops USING hash IS 'Equality of privacy_guard.subject_set.';
COMMENT ON OPERATOR FAMILY privacy_guard.subject_set_ops USING hash IS 'Equality of privacy_guard.subject_set.';

-- GIN.

CREATE FUNCTION privacy_guard.subject_set_gin_extract_value(privacy_guard.subject_set, internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_gin_extract_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_gin_extract_value(privacy_guard.subject_set, internal, internal) IS
    'Keys of an indexed value: its members, and one negative key for each block of 65,536 numbers of which it has many. Source: src/types/subject_set_gin.c.';

CREATE FUNCTION privacy_guard.subject_set_gin_extract_query(privacy_guard.subject_set, internal, smallint, internal, internal, internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'subject_set_gin_extract_query' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_gin_extract_query(privacy_guard.subject_set, internal, smallint, internal, internal, internal, internal) IS
    'Keys that a condition looks for, in pairs: members and blocks; its right-hand side may be a bigint. Source: src/types/subject_set_gin.c.';

CREATE FUNCTION privacy_guard.subject_set_gin_compare_partial(bigint, bigint, smallint, internal) RETURNS integer
    AS 'MODULE_PATHNAME', 'subject_set_gin_compare_partial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_gin_compare_partial(bigint, bigint, smallint, internal) IS
    'Whether a key is in a range that a condition looks for. Source: src/types/subject_set_gin.c.';

CREATE FUNCTION privacy_guard.subject_set_gin_triconsistent(internal, smallint, privacy_guard.subject_set, integer, internal, internal, internal) RETURNS "char"
    AS 'MODULE_PATHNAME', 'subject_set_gin_triconsistent' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.subject_set_gin_triconsistent(internal, smallint, privacy_guard.subject_set, integer, internal, internal, internal) IS
    'Whether the keys found can satisfy a condition. Source: src/types/subject_set_gin.c.';

CREATE OPERATOR CLASS privacy_guard.subject_set_ops DEFAULT FOR TYPE privacy_guard.subject_set USING gin AS
    OPERATOR 7 privacy_guard.@>,
    OPERATOR 8 privacy_guard.&&,
    OPERATOR 9 privacy_guard.@> (privacy_guard.subject_set, bigint),
    FUNCTION 1 pg_catalog.btint8cmp(bigint, bigint),
    FUNCTION 2 privacy_guard.subject_set_gin_extract_value(privacy_guard.subject_set, internal, internal),
    FUNCTION 3 privacy_guard.subject_set_gin_extract_query(privacy_guard.subject_set, internal, smallint, internal, internal, internal, internal),
    FUNCTION 5 privacy_guard.subject_set_gin_compare_partial(bigint, bigint, smallint, internal),
    FUNCTION 6 privacy_guard.subject_set_gin_triconsistent(internal, smallint, privacy_guard.subject_set, integer, internal, internal, internal),
    STORAGE bigint;
COMMENT ON OPERATOR CLASS privacy_guard.subject_set_ops USING gin IS '@> and &&; rows found by a block of numbers are rechecked.';
COMMENT ON OPERATOR FAMILY privacy_guard.subject_set_ops USING gin IS '@> and &&; rows found by a block of numbers are rechecked.';
