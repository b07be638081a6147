-- The types: what a data subject decided, and sets of purposes. Code: src/types/.
-- Their text forms need no table, so a dump restores in any order.

-- Terms of a decision.

CREATE TYPE privacy_guard.consent_status AS ENUM (
    'unknown', 'requested', 'request_deferred', 'refused', 'given',
    'renewed', 'withdrawn', 'revoked', 'expired', 'invalidated');
COMMENT ON TYPE privacy_guard.consent_status IS
    'State of a consent, in the terms of W3C DPV 2 (ConsentStatus). Only given and renewed permit.';

CREATE TYPE privacy_guard.consent_type AS ENUM ('implied', 'expressed', 'explicitly_expressed');
COMMENT ON TYPE privacy_guard.consent_type IS
    'How consent was expressed, in the terms of W3C DPV 2 (ConsentType), from weak to strong.';

-- consent: the type.

CREATE TYPE privacy_guard.consent;

CREATE FUNCTION privacy_guard.consent_in(cstring) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_in(cstring) IS
    'Reads {purpose[/channel][@recipient]: status [type] [vN] time [until time], ...}; 22P02 when malformed or when a key occurs twice. Grammar: src/types/consent_io.c.';

CREATE FUNCTION privacy_guard.consent_out(privacy_guard.consent) RETURNS cstring
    AS 'MODULE_PATHNAME', 'consent_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_out(privacy_guard.consent) IS
    'Canonical text: sorted by key, times in ISO 8601 UTC whatever DateStyle and TimeZone are. Source: src/types/consent_io.c.';

CREATE FUNCTION privacy_guard.consent_recv(internal) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_recv(internal) IS
    'Reads the binary form; 22P03 when malformed. Source: src/types/consent_io.c.';

CREATE FUNCTION privacy_guard.consent_send(privacy_guard.consent) RETURNS bytea
    AS 'MODULE_PATHNAME', 'consent_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_send(privacy_guard.consent) IS
    'Writes the binary form: a format byte, a count, then the decisions in key order, in network byte order. Source: src/types/consent_io.c.';

CREATE TYPE privacy_guard.consent (
    INPUT = privacy_guard.consent_in,
    OUTPUT = privacy_guard.consent_out,
    RECEIVE = privacy_guard.consent_recv,
    SEND = privacy_guard.consent_send,
    INTERNALLENGTH = VARIABLE,
    STORAGE = extended);
COMMENT ON TYPE privacy_guard.consent IS
    'The current decisions of one data subject, keyed by purpose and, where given, channel and recipient: status, type, time, end of validity, version of the purpose. {} is none.';

-- consent: making and reading.

CREATE FUNCTION privacy_guard.consent(
        purpose text,
        status privacy_guard.consent_status DEFAULT 'given',
        consent_type privacy_guard.consent_type DEFAULT 'expressed',
        event_time timestamptz DEFAULT pg_catalog.clock_timestamp(),
        valid_until timestamptz DEFAULT NULL,
        channel text DEFAULT NULL,
        recipient text DEFAULT NULL,
        version smallint DEFAULT 1) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_make' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent(text, privacy_guard.consent_status, privacy_guard.consent_type, timestamptz, timestamptz, text, text, smallint) IS
    'A consent of one decision. valid_until NULL or infinity: no end; channel, recipient NULL: none. NULL when one of the first four is. A lone literal needs its name or type, consent(purpose => ...): consent(literal) is a cast. 22P02 bad purpose, channel or recipient; 22008 time outside the years 0001 to 9999; 22023 version below 1. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.decisions(
        consent privacy_guard.consent,
        OUT purpose text,
        OUT channel text,
        OUT recipient text,
        OUT status privacy_guard.consent_status,
        OUT consent_type privacy_guard.consent_type,
        OUT event_time timestamptz,
        OUT valid_until timestamptz,
        OUT version smallint) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'consent_decisions' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION privacy_guard.decisions(privacy_guard.consent) IS
    'The decisions as rows, in key order. channel, recipient NULL: none; valid_until infinity: no end. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.is_permitted(
        consent privacy_guard.consent,
        purpose text,
        at timestamptz DEFAULT pg_catalog.clock_timestamp()) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_is_permitted' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.is_permitted(privacy_guard.consent, text, timestamptz) IS
    'Whether consent for exactly this purpose (no channel, no recipient) is given or renewed, expressed at least, and valid at that time, and no ancestor purpose was refused, withdrawn, revoked or invalidated since or at the same time. Any version of the purpose counts. 22P02 bad purpose. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_permits_now(consent privacy_guard.consent, purpose text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_permits_now' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_permits_now(privacy_guard.consent, text) IS
    'is_permitted() at clock_timestamp(); the function of consent ? purpose. 22P02 bad purpose. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_next_expiry(consent privacy_guard.consent) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'consent_next_expiry' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_next_expiry(privacy_guard.consent) IS
    'When the first of the decisions that are given or renewed ends, whatever its purpose, channel and recipient; infinity where none does. Source: src/types/consent.c.';

-- consent: casts.

CREATE FUNCTION privacy_guard.to_jsonb(consent privacy_guard.consent) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'consent_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_jsonb(privacy_guard.consent) IS
    'An array of objects with purpose, channel, recipient, event_state, consent_type, event_time, valid_until and version; what is none is left out. Source: src/types/consent_io.c.';

CREATE FUNCTION privacy_guard.to_consent(decisions jsonb) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_from_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_consent(jsonb) IS
    'Reads what to_jsonb() writes. purpose, event_state and event_time (ISO 8601 with a zone) must be there. 22P02 malformed, unknown keys included. Source: src/types/consent_io.c.';

CREATE CAST (privacy_guard.consent AS jsonb) WITH FUNCTION privacy_guard.to_jsonb(privacy_guard.consent);
COMMENT ON CAST (privacy_guard.consent AS jsonb) IS 'An array of objects, one a decision.';
CREATE CAST (jsonb AS privacy_guard.consent) WITH FUNCTION privacy_guard.to_consent(jsonb);
COMMENT ON CAST (jsonb AS privacy_guard.consent) IS 'Reads an array of objects, one a decision.';

-- consent: operators.

CREATE FUNCTION privacy_guard.consent_contains(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_contains' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_contains(privacy_guard.consent, privacy_guard.consent) IS
    'Whether every decision of the second is in the first, equal in all its parts. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_contained(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_contained' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_contained(privacy_guard.consent, privacy_guard.consent) IS
    'Whether every decision of the first is in the second, equal in all its parts. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_overlaps(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_overlaps' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_overlaps(privacy_guard.consent, privacy_guard.consent) IS
    'Whether both decide on the same purpose, channel and recipient, whatever they decide. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_merge(privacy_guard.consent, privacy_guard.consent) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_merge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_merge(privacy_guard.consent, privacy_guard.consent) IS
    'The decisions of both; of two with the same key the later event_time holds, on a tie the less permissive. 54000 above 65,535 decisions. Source: src/types/consent.c.';

CREATE FUNCTION privacy_guard.consent_without(consent privacy_guard.consent, purpose text) RETURNS privacy_guard.consent
    AS 'MODULE_PATHNAME', 'consent_without' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_without(privacy_guard.consent, text) IS
    'Without the decisions on exactly this purpose, whatever their channel and recipient. 22P02 bad purpose. Source: src/types/consent_ops.c.';

CREATE OPERATOR privacy_guard.? (
    FUNCTION = privacy_guard.consent_permits_now, LEFTARG = privacy_guard.consent, RIGHTARG = text,
    RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.? (privacy_guard.consent, text) IS 'permits this purpose now';

CREATE OPERATOR privacy_guard.@> (
    FUNCTION = privacy_guard.consent_contains, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.<@), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.@> (privacy_guard.consent, privacy_guard.consent) IS 'contains every decision of';

CREATE OPERATOR privacy_guard.<@ (
    FUNCTION = privacy_guard.consent_contained, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.@>), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.<@ (privacy_guard.consent, privacy_guard.consent) IS 'every decision is contained in';

CREATE OPERATOR privacy_guard.&& (
    FUNCTION = privacy_guard.consent_overlaps, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.&&), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.&& (privacy_guard.consent, privacy_guard.consent) IS 'decides on a key in common with';

CREATE OPERATOR privacy_guard.|| (
    FUNCTION = privacy_guard.consent_merge, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.||));
COMMENT ON OPERATOR privacy_guard.|| (privacy_guard.consent, privacy_guard.consent) IS 'merge: per key the latest decision';

CREATE OPERATOR privacy_guard.- (
    FUNCTION = privacy_guard.consent_without, LEFTARG = privacy_guard.consent, RIGHTARG = text);
COMMENT ON OPERATOR privacy_guard.- (privacy_guard.consent, text) IS 'without the decisions on this purpose';

CREATE AGGREGATE privacy_guard.consent_agg(privacy_guard.consent) (
    SFUNC = privacy_guard.consent_merge, STYPE = privacy_guard.consent,
    COMBINEFUNC = privacy_guard.consent_merge, PARALLEL = SAFE);
COMMENT ON AGGREGATE privacy_guard.consent_agg(privacy_guard.consent) IS
    'Merges as || does, in any order with the same result. NULL when there is none.';

-- consent: order and hash.

CREATE FUNCTION privacy_guard.consent_eq(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_eq(privacy_guard.consent, privacy_guard.consent) IS
    'Whether both are the same. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_ne(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_ne(privacy_guard.consent, privacy_guard.consent) IS
    'Whether the two differ. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_lt(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_lt(privacy_guard.consent, privacy_guard.consent) IS
    'Whether the first sorts before the second. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_le(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_le(privacy_guard.consent, privacy_guard.consent) IS
    'Whether the first sorts before the second or equals it. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_gt(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_gt(privacy_guard.consent, privacy_guard.consent) IS
    'Whether the first sorts after the second. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_ge(privacy_guard.consent, privacy_guard.consent) RETURNS boolean
    AS 'MODULE_PATHNAME', 'consent_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_ge(privacy_guard.consent, privacy_guard.consent) IS
    'Whether the first sorts after the second or equals it. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_cmp(privacy_guard.consent, privacy_guard.consent) RETURNS integer
    AS 'MODULE_PATHNAME', 'consent_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_cmp(privacy_guard.consent, privacy_guard.consent) IS
    '-1, 0 or 1, decision by decision. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_hash(privacy_guard.consent) RETURNS integer
    AS 'MODULE_PATHNAME', 'consent_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_hash(privacy_guard.consent) IS
    'Hash for hash joins, grouping and indexes. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_hash_extended(privacy_guard.consent, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'consent_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_hash_extended(privacy_guard.consent, bigint) IS
    'Hash of 64 bits with a seed, for hash partitions. Source: src/types/consent_ops.c.';

CREATE OPERATOR privacy_guard.= (
    FUNCTION = privacy_guard.consent_eq, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.=), NEGATOR = OPERATOR(privacy_guard.<>),
    HASHES, MERGES,
    RESTRICT = eqsel, JOIN = eqjoinsel);
COMMENT ON OPERATOR privacy_guard.= (privacy_guard.consent, privacy_guard.consent) IS 'equal';

CREATE OPERATOR privacy_guard.<> (
    FUNCTION = privacy_guard.consent_ne, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.<>), NEGATOR = OPERATOR(privacy_guard.=),
    RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR privacy_guard.<> (privacy_guard.consent, privacy_guard.consent) IS 'not equal';

CREATE OPERATOR privacy_guard.< (
    FUNCTION = privacy_guard.consent_lt, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.>), NEGATOR = OPERATOR(privacy_guard.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR privacy_guard.< (privacy_guard.consent, privacy_guard.consent) IS 'less than';

CREATE OPERATOR privacy_guard.<= (
    FUNCTION = privacy_guard.consent_le, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.>=), NEGATOR = OPERATOR(privacy_guard.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR privacy_guard.<= (privacy_guard.consent, privacy_guard.consent) IS 'less than or equal';

CREATE OPERATOR privacy_guard.> (
    FUNCTION = privacy_guard.consent_gt, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.<), NEGATOR = OPERATOR(privacy_guard.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR privacy_guard.> (privacy_guard.consent, privacy_guard.consent) IS 'greater than';

CREATE OPERATOR privacy_guard.>= (
    FUNCTION = privacy_guard.consent_ge, LEFTARG = privacy_guard.consent, RIGHTARG = privacy_guard.consent,
    COMMUTATOR = OPERATOR(privacy_guard.<=), NEGATOR = OPERATOR(privacy_guard.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR privacy_guard.>= (privacy_guard.consent, privacy_guard.consent) IS 'greater than or equal';

CREATE OPERATOR CLASS privacy_guard.consent_ops DEFAULT FOR TYPE privacy_guard.consent USING btree AS
    OPERATOR 1 privacy_guard.<,
    OPERATOR 2 privacy_guard.<=,
    OPERATOR 3 privacy_guard.=,
    OPERATOR 4 privacy_guard.>=,
    OPERATOR 5 privacy_guard.>,
    FUNCTION 1 privacy_guard.consent_cmp(privacy_guard.consent, privacy_guard.consent);
COMMENT ON OPERATOR CLASS privacy_guard.consent_ops USING btree IS 'Order decision by decision.';
COMMENT ON OPERATOR FAMILY privacy_guard.consent_ops USING btree IS 'Order of privacy_guard.consent.';

CREATE OPERATOR CLASS privacy_guard.consent_ops DEFAULT FOR TYPE privacy_guard.consent USING hash AS
    OPERATOR 1 privacy_guard.=,
    FUNCTION 1 privacy_guard.consent_hash(privacy_guard.consent),
    FUNCTION 2 privacy_guard.consent_hash_extended(privacy_guard.consent, bigint);
COMMENT ON OPERATOR CLASS privacy_guard.consent_ops USING hash IS 'Equality of privacy_guard.consent.';
COMMENT ON OPERATOR FAMILY privacy_guard.consent_ops USING hash IS 'Equality of privacy_guard.consent.';

-- consent: GIN.

CREATE FUNCTION privacy_guard.consent_gin_extract_value(privacy_guard.consent, internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'consent_gin_extract_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_gin_extract_value(privacy_guard.consent, internal, internal) IS
    'Keys of an indexed value: its purposes. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_gin_extract_query(privacy_guard.consent, internal, smallint, internal, internal, internal, internal)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'consent_gin_extract_query' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_gin_extract_query(privacy_guard.consent, internal, smallint, internal, internal, internal, internal) IS
    'Keys that a condition looks for; its right-hand side may be a text. Source: src/types/consent_ops.c.';

CREATE FUNCTION privacy_guard.consent_gin_triconsistent(internal, smallint, privacy_guard.consent, integer, internal, internal, internal)
    RETURNS "char"
    AS 'MODULE_PATHNAME', 'consent_gin_triconsistent' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.consent_gin_triconsistent(internal, smallint, privacy_guard.consent, integer, internal, internal, internal) IS
    'Whether the keys found can satisfy a condition. Source: src/types/consent_ops.c.';

CREATE OPERATOR CLASS privacy_guard.consent_gin_ops DEFAULT FOR TYPE privacy_guard.consent USING gin AS
    OPERATOR 7 privacy_guard.@>,
    OPERATOR 8 privacy_guard.&&,
    OPERATOR 9 privacy_guard.? (privacy_guard.consent, text),
    FUNCTION 1 pg_catalog.bttext_pattern_cmp(text, text),
    FUNCTION 2 privacy_guard.consent_gin_extract_value(privacy_guard.consent, internal, internal),
    FUNCTION 3 privacy_guard.consent_gin_extract_query(privacy_guard.consent, internal, smallint, internal, internal, internal, internal),
    FUNCTION 6 privacy_guard.consent_gin_triconsistent(internal, smallint, privacy_guard.consent, integer, internal, internal, internal),
    STORAGE text;
COMMENT ON OPERATOR CLASS privacy_guard.consent_gin_ops USING gin IS '@>, && and ?, by purpose, rechecked on the row: what ? answers changes with time.';
COMMENT ON OPERATOR FAMILY privacy_guard.consent_gin_ops USING gin IS '@>, && and ?, by purpose, rechecked on the row: what ? answers changes with time.';

-- purpose_set: the type.

CREATE TYPE privacy_guard.purpose_set;

CREATE FUNCTION privacy_guard.purpose_set_in(cstring) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_in(cstring) IS
    'Reads {purpose,...} or one bare purpose, in any order; 22P02 when malformed. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.purpose_set_out(privacy_guard.purpose_set) RETURNS cstring
    AS 'MODULE_PATHNAME', 'purpose_set_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_out(privacy_guard.purpose_set) IS
    'Canonical text: sorted, each purpose once, such as {billing,marketing.email}. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.purpose_set_recv(internal) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_recv(internal) IS
    'Reads the binary form; 22P03 when malformed. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.purpose_set_send(privacy_guard.purpose_set) RETURNS bytea
    AS 'MODULE_PATHNAME', 'purpose_set_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_send(privacy_guard.purpose_set) IS
    'Writes the binary form: a format byte, a count, then each purpose after its length. Source: src/types/purpose_set.c.';

CREATE TYPE privacy_guard.purpose_set (
    INPUT = privacy_guard.purpose_set_in,
    OUTPUT = privacy_guard.purpose_set_out,
    RECEIVE = privacy_guard.purpose_set_recv,
    SEND = privacy_guard.purpose_set_send,
    INTERNALLENGTH = VARIABLE,
    STORAGE = extended);
COMMENT ON TYPE privacy_guard.purpose_set IS
    'A set of purposes, dotted paths in a tree. {} is the empty set.';

-- purpose_set: casts.

CREATE FUNCTION privacy_guard.to_jsonb(privacy_guard.purpose_set) RETURNS jsonb
    AS 'MODULE_PATHNAME', 'purpose_set_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_jsonb(privacy_guard.purpose_set) IS
    'An array of strings. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.to_purpose_set(purposes jsonb) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_from_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_purpose_set(jsonb) IS
    'Reads an array of strings; 22P02 when it is something else. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.to_array(privacy_guard.purpose_set) RETURNS text[]
    AS 'MODULE_PATHNAME', 'purpose_set_to_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_array(privacy_guard.purpose_set) IS
    'The members, in order. Source: src/types/purpose_set.c.';

CREATE FUNCTION privacy_guard.to_purpose_set(purposes text[]) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.to_purpose_set(text[]) IS
    'The elements, each once. 22P02 bad purpose, 22004 NULL element. Source: src/types/purpose_set.c.';

CREATE CAST (privacy_guard.purpose_set AS jsonb) WITH FUNCTION privacy_guard.to_jsonb(privacy_guard.purpose_set);
COMMENT ON CAST (privacy_guard.purpose_set AS jsonb) IS 'An array of strings.';
CREATE CAST (jsonb AS privacy_guard.purpose_set) WITH FUNCTION privacy_guard.to_purpose_set(jsonb);
COMMENT ON CAST (jsonb AS privacy_guard.purpose_set) IS 'Reads an array of strings.';
CREATE CAST (privacy_guard.purpose_set AS text[]) WITH FUNCTION privacy_guard.to_array(privacy_guard.purpose_set) AS ASSIGNMENT;
COMMENT ON CAST (privacy_guard.purpose_set AS text[]) IS 'The members, in order.';
CREATE CAST (text[] AS privacy_guard.purpose_set) WITH FUNCTION privacy_guard.to_purpose_set(text[]) AS ASSIGNMENT;
COMMENT ON CAST (text[] AS privacy_guard.purpose_set) IS 'The elements, each once.';

-- purpose_set: operators.

CREATE FUNCTION privacy_guard.purpose_set_covers(privacy_guard.purpose_set, text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_covers_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_covers(privacy_guard.purpose_set, text) IS
    'Whether the purpose or one of its ancestors is in the set. 22P02 bad purpose. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_contains(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_contains' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_contains(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether every member of the second is a member of the first; the tree does not matter. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_contained(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_contained' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_contained(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether every member of the first is a member of the second; the tree does not matter. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_overlaps(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_overlaps' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_overlaps(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether they have a member in common; the tree does not matter. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_union(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_union' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_union(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'The members of both. 54000 above 65,535 members. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_add(privacy_guard.purpose_set, text) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_add(privacy_guard.purpose_set, text) IS
    'With one more member. 22P02 bad purpose, 54000 above 65,535 members. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_difference(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_difference' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_difference(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'The members of the first that are not members of the second. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_remove(privacy_guard.purpose_set, text) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_remove' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_remove(privacy_guard.purpose_set, text) IS
    'Without this member; its descendants stay. 22P02 bad purpose. Source: src/types/purpose_set_ops.c.';

CREATE OPERATOR privacy_guard.? (
    FUNCTION = privacy_guard.purpose_set_covers, LEFTARG = privacy_guard.purpose_set, RIGHTARG = text,
    RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.? (privacy_guard.purpose_set, text) IS 'has this purpose or an ancestor of it';

CREATE OPERATOR privacy_guard.@> (
    FUNCTION = privacy_guard.purpose_set_contains, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.<@), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.@> (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'contains every member of';

CREATE OPERATOR privacy_guard.<@ (
    FUNCTION = privacy_guard.purpose_set_contained, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.@>), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.<@ (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'every member is contained in';

CREATE OPERATOR privacy_guard.&& (
    FUNCTION = privacy_guard.purpose_set_overlaps, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.&&), RESTRICT = matchingsel, JOIN = matchingjoinsel);
COMMENT ON OPERATOR privacy_guard.&& (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'has a member in common with';

CREATE OPERATOR privacy_guard.|| (
    FUNCTION = privacy_guard.purpose_set_union, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.||));
COMMENT ON OPERATOR privacy_guard.|| (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'union';

CREATE OPERATOR privacy_guard.|| (
    FUNCTION = privacy_guard.purpose_set_add, LEFTARG = privacy_guard.purpose_set, RIGHTARG = text);
COMMENT ON OPERATOR privacy_guard.|| (privacy_guard.purpose_set, text) IS 'with one more member';

CREATE OPERATOR privacy_guard.- (
    FUNCTION = privacy_guard.purpose_set_difference, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set);
COMMENT ON OPERATOR privacy_guard.- (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'difference';

CREATE OPERATOR privacy_guard.- (
    FUNCTION = privacy_guard.purpose_set_remove, LEFTARG = privacy_guard.purpose_set, RIGHTARG = text);
COMMENT ON OPERATOR privacy_guard.- (privacy_guard.purpose_set, text) IS 'without this member';

CREATE FUNCTION privacy_guard.purpose_set_agg_step(internal, text) RETURNS internal
    AS 'MODULE_PATHNAME', 'purpose_set_agg_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_agg_step(internal, text) IS
    'One row of purpose_set_agg(). 22P02 bad purpose. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_agg_final(internal) RETURNS privacy_guard.purpose_set
    AS 'MODULE_PATHNAME', 'purpose_set_agg_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_agg_final(internal) IS
    'Result of purpose_set_agg(). 54000 above 65,535 members. Source: src/types/purpose_set_ops.c.';

CREATE AGGREGATE privacy_guard.purpose_set_agg(text) (
    SFUNC = privacy_guard.purpose_set_agg_step, STYPE = internal,
    FINALFUNC = privacy_guard.purpose_set_agg_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE privacy_guard.purpose_set_agg(text) IS
    'The set of the purposes of all rows. NULLs are skipped; no row gives the empty set.';

-- purpose_set: order and hash.

CREATE FUNCTION privacy_guard.purpose_set_eq(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_eq(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether both are the same. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_ne(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_ne(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether the two differ. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_lt(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_lt(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether the first sorts before the second. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_le(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_le(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether the first sorts before the second or equals it. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_gt(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_gt(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether the first sorts after the second. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_ge(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS boolean
    AS 'MODULE_PATHNAME', 'purpose_set_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_ge(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    'Whether the first sorts after the second or equals it. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_cmp(privacy_guard.purpose_set, privacy_guard.purpose_set) RETURNS integer
    AS 'MODULE_PATHNAME', 'purpose_set_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_cmp(privacy_guard.purpose_set, privacy_guard.purpose_set) IS
    '-1, 0 or 1, member by member. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_hash(privacy_guard.purpose_set) RETURNS integer
    AS 'MODULE_PATHNAME', 'purpose_set_hash' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_hash(privacy_guard.purpose_set) IS
    'Hash for hash joins, grouping and indexes. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_hash_extended(privacy_guard.purpose_set, bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'purpose_set_hash_extended' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_hash_extended(privacy_guard.purpose_set, bigint) IS
    'Hash of 64 bits with a seed, for hash partitions. Source: src/types/purpose_set_ops.c.';

CREATE OPERATOR privacy_guard.= (
    FUNCTION = privacy_guard.purpose_set_eq, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.=), NEGATOR = OPERATOR(privacy_guard.<>),
    HASHES, MERGES,
    RESTRICT = eqsel, JOIN = eqjoinsel);
COMMENT ON OPERATOR privacy_guard.= (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'equal';

CREATE OPERATOR privacy_guard.<> (
    FUNCTION = privacy_guard.purpose_set_ne, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.<>), NEGATOR = OPERATOR(privacy_guard.=),
    RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR privacy_guard.<> (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'not equal';

CREATE OPERATOR privacy_guard.< (
    FUNCTION = privacy_guard.purpose_set_lt, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.>), NEGATOR = OPERATOR(privacy_guard.>=),
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR privacy_guard.< (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'less than';

CREATE OPERATOR privacy_guard.<= (
    FUNCTION = privacy_guard.purpose_set_le, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.>=), NEGATOR = OPERATOR(privacy_guard.>),
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR privacy_guard.<= (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'less than or equal';

CREATE OPERATOR privacy_guard.> (
    FUNCTION = privacy_guard.purpose_set_gt, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.<), NEGATOR = OPERATOR(privacy_guard.<=),
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR privacy_guard.> (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'greater than';

CREATE OPERATOR privacy_guard.>= (
    FUNCTION = privacy_guard.purpose_set_ge, LEFTARG = privacy_guard.purpose_set, RIGHTARG = privacy_guard.purpose_set,
    COMMUTATOR = OPERATOR(privacy_guard.<=), NEGATOR = OPERATOR(privacy_guard.<),
    RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR privacy_guard.>= (privacy_guard.purpose_set, privacy_guard.purpose_set) IS 'greater than or equal';

CREATE OPERATOR CLASS privacy_guard.purpose_set_ops DEFAULT FOR TYPE privacy_guard.purpose_set USING btree AS
    OPERATOR 1 privacy_guard.<,
    OPERATOR 2 privacy_guard.<=,
    OPERATOR 3 privacy_guard.=,
    OPERATOR 4 privacy_guard.>=,
    OPERATOR 5 privacy_guard.>,
    FUNCTION 1 privacy_guard.purpose_set_cmp(privacy_guard.purpose_set, privacy_guard.purpose_set);
COMMENT ON OPERATOR CLASS privacy_guard.purpose_set_ops USING btree IS 'Order member by member.';
COMMENT ON OPERATOR FAMILY privacy_guard.purpose_set_ops USING btree IS 'Order of privacy_guard.purpose_set.';

CREATE OPERATOR CLASS privacy_guard.purpose_set_ops DEFAULT FOR TYPE privacy_guard.purpose_set USING hash AS
    OPERATOR 1 privacy_guard.=,
    FUNCTION 1 privacy_guard.purpose_set_hash(privacy_guard.purpose_set),
    FUNCTION 2 privacy_guard.purpose_set_hash_extended(privacy_guard.purpose_set, bigint);
COMMENT ON OPERATOR CLASS privacy_guard.purpose_set_ops USING hash IS 'Equality of privacy_guard.purpose_set.';
COMMENT ON OPERATOR FAMILY privacy_guard.purpose_set_ops USING hash IS 'Equality of privacy_guard.purpose_set.';

-- purpose_set: GIN.

CREATE FUNCTION privacy_guard.purpose_set_gin_extract_value(privacy_guard.purpose_set, internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'purpose_set_gin_extract_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_gin_extract_value(privacy_guard.purpose_set, internal, internal) IS
    'Keys of an indexed value: its members. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_gin_extract_query(privacy_guard.purpose_set, internal, smallint, internal, internal, internal, internal)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'purpose_set_gin_extract_query' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_gin_extract_query(privacy_guard.purpose_set, internal, smallint, internal, internal, internal, internal) IS
    'Keys that a condition looks for; its right-hand side may be a text. Source: src/types/purpose_set_ops.c.';

CREATE FUNCTION privacy_guard.purpose_set_gin_triconsistent(internal, smallint, privacy_guard.purpose_set, integer, internal, internal, internal)
    RETURNS "char"
    AS 'MODULE_PATHNAME', 'purpose_set_gin_triconsistent' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION privacy_guard.purpose_set_gin_triconsistent(internal, smallint, privacy_guard.purpose_set, integer, internal, internal, internal) IS
    'Whether the keys found can satisfy a condition. Source: src/types/purpose_set_ops.c.';

CREATE OPERATOR CLASS privacy_guard.purpose_set_gin_ops DEFAULT FOR TYPE privacy_guard.purpose_set USING gin AS
    OPERATOR 7 privacy_guard.@>,
    OPERATOR 8 privacy_guard.&&,
    OPERATOR 9 privacy_guard.? (privacy_guard.purpose_set, text),
    FUNCTION 1 pg_catalog.bttext_pattern_cmp(text, text),
    FUNCTION 2 privacy_guard.purpose_set_gin_extract_value(privacy_guard.purpose_set, internal, internal),
    FUNCTION 3 privacy_guard.purpose_set_gin_extract_query(privacy_guard.purpose_set, internal, smallint, internal, internal, internal, internal),
    FUNCTION 6 privacy_guard.purpose_set_gin_triconsistent(internal, smallint, privacy_guard.purpose_set, integer, internal, internal, internal),
    STORAGE text;
COMMENT ON OPERATOR CLASS privacy_guard.purpose_set_gin_ops USING gin IS '@>, && and ?, exact.';
COMMENT ON OPERATOR FAMILY privacy_guard.purpose_set_gin_ops USING gin IS '@>, && and ?, exact.';
