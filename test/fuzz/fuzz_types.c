/*
 * fuzz_types.c
 *		Feeds random and mutated inputs to the input functions of the types.
 *
 *		fuzz_types TARGET SEED COUNT [FIRST]
 *
 * Input number i of a target depends only on SEED and i, so that one failing input is repeated
 * with COUNT 1 and FIRST i. An input must be refused with a fitting SQLSTATE and a hint, or give a
 * value that comes back byte for byte through each of its forms and that answers like a naive
 * reading of the rules. The sanitizers watch memory.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "fuzz_input.h"
#include "lib/stringinfo.h"
#include "server_shim.h"
#include "types/consent.h"
#include "types/item_array.h"
#include "types/purpose_path.h"
#include "types/purpose_set.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"
#include "utils/memutils.h"

extern Datum consent_in(PG_FUNCTION_ARGS);
extern Datum consent_out(PG_FUNCTION_ARGS);
extern Datum consent_recv(PG_FUNCTION_ARGS);
extern Datum consent_send(PG_FUNCTION_ARGS);
extern Datum consent_from_jsonb(PG_FUNCTION_ARGS);
extern Datum consent_to_jsonb(PG_FUNCTION_ARGS);
extern Datum purpose_set_in(PG_FUNCTION_ARGS);
extern Datum purpose_set_out(PG_FUNCTION_ARGS);
extern Datum purpose_set_recv(PG_FUNCTION_ARGS);
extern Datum purpose_set_send(PG_FUNCTION_ARGS);
extern Datum purpose_set_from_jsonb(PG_FUNCTION_ARGS);
extern Datum purpose_set_to_jsonb(PG_FUNCTION_ARGS);
extern Datum subject_set_in(PG_FUNCTION_ARGS);
extern Datum subject_set_out(PG_FUNCTION_ARGS);
extern Datum subject_set_recv(PG_FUNCTION_ARGS);
extern Datum subject_set_send(PG_FUNCTION_ARGS);
extern Datum subject_set_from_jsonb(PG_FUNCTION_ARGS);
extern Datum subject_set_to_jsonb(PG_FUNCTION_ARGS);

typedef struct TypeFunctions
{
	PGFunction in;
	PGFunction out;
	PGFunction recv;
	PGFunction send;
	PGFunction from_jsonb;
	PGFunction to_jsonb;
} TypeFunctions;

static const TypeFunctions consent_functions = {consent_in,   consent_out,        consent_recv,
                                                consent_send, consent_from_jsonb, consent_to_jsonb};
static const TypeFunctions purpose_set_functions = {purpose_set_in,         purpose_set_out,
                                                    purpose_set_recv,       purpose_set_send,
                                                    purpose_set_from_jsonb, purpose_set_to_jsonb};
static const TypeFunctions subject_set_functions = {subject_set_in,         subject_set_out,
                                                    subject_set_recv,       subject_set_send,
                                                    subject_set_from_jsonb, subject_set_to_jsonb};

/* Larger sets have their own ways besides jsonb. */
#define MOST_IN_JSONB 2000

typedef struct Target
{
	const char *name;
	const TypeFunctions *functions;
	PGFunction reader;
	int refusals[3]; /* SQLSTATEs of what is malformed or too much, up to a 0 */
	Datum (*make_input)(void);
} Target;

/* Checks. A failed one says what and ends the run. */

static void
fail(const char *what)
{
	fprintf(stderr, "failed: %s (sqlstate %d, %s)\n", what, shim_sqlstate, shim_message);
	abort();
}

static Datum
must(PGFunction function, Datum argument, const char *what)
{
	Datum result = 0;

	if (!shim_call(function, argument, &result))
		fail(what);
	return result;
}

static void
check_same(Datum left, Datum right, const char *what)
{
	if (!item_array_equal(DatumGetPointer(left), DatumGetPointer(right)))
		fail(what);
}

static void
check_round_trips(const TypeFunctions *functions, Datum value)
{
	Datum text = must(functions->out, value, "output");
	Datum again = must(functions->in, text, "input of output");
	bytea *sent = DatumGetByteaPP(must(functions->send, value, "send"));
	StringInfoData message = {.data = palloc(VARSIZE(sent) - VARHDRSZ),
	                          .len = VARSIZE(sent) - VARHDRSZ};

	check_same(value, again, "text round trip");
	if (strcmp(DatumGetCString(text),
	           DatumGetCString(must(functions->out, again, "output of input"))) != 0)
		fail("canonical text");
	memcpy(message.data, VARDATA(sent), message.len);
	check_same(value, must(functions->recv, PointerGetDatum(&message), "receive of send"),
	           "binary round trip");
	if (message.cursor != message.len)
		fail("binary form read to its end");
	if (functions == &subject_set_functions &&
	    subject_set_count((SubjectSet *) DatumGetPointer(value)) > MOST_IN_JSONB)
		return;
	check_same(
	    value,
	    must(functions->from_jsonb, must(functions->to_jsonb, value, "to jsonb"), "from own jsonb"),
	    "jsonb round trip");
}

/* The same value with a one-byte header, at an odd address, where it is short enough. */
static const void *
packed_copy(const void *value)
{
	Size size = VARSIZE_ANY_EXHDR(value) + VARHDRSZ_SHORT;
	char *copy;

	if (size > VARATT_SHORT_MAX)
		return value;
	copy = (char *) palloc(size + 1) + 1;
	SET_VARSIZE_SHORT(copy, size);
	memcpy(copy + VARHDRSZ_SHORT, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	return copy;
}

static bool
is_below(const char *path, int len, const char *ancestor, int ancestor_len)
{
	return len > ancestor_len && path[ancestor_len] == '.' &&
	       memcmp(path, ancestor, ancestor_len) == 0;
}

/* The rules of consent_evaluate(), read naively for one moment. */
static void
naive_verdict(const Consent *consent, const char *path, int len, int version, TimestampTz at,
              int *level, bool *refused, ConsentDecision *own, bool *has_own)
{
	bool above = false;
	bool stale;
	TimestampTz newest = DT_NOBEGIN;

	*has_own = false;
	for (int i = 0; i < consent_count(consent); i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		if (decision.channel_len > 0 || decision.recipient_len > 0)
			continue;
		if (decision.purpose_len == len && memcmp(decision.purpose, path, len) == 0)
		{
			*own = decision;
			*has_own = true;
		}
		else if (is_below(path, len, decision.purpose, decision.purpose_len) &&
		         CONSENT_IS_NEGATIVE(decision.status))
		{
			above = true;
			newest = Max(newest, decision.event_time);
		}
	}
	stale = above && (!*has_own || own->event_time > at || newest >= own->event_time);
	*refused = stale || (*has_own && CONSENT_IS_NEGATIVE(own->status));
	*level = 0;
	if (*has_own && !*refused && CONSENT_IS_POSITIVE(own->status) && own->event_time <= at &&
	    at < own->valid_until && (version <= 0 || version == own->version))
		*level = own->type;
}

static void
check_verdict(const Consent *consent, const char *path, int len, int version, TimestampTz at)
{
	ConsentVerdict verdict;
	ConsentDecision own;
	TimestampTz changes_at = DT_NOEND;
	bool has_own;
	bool refused;
	int level;

	consent_evaluate(packed_copy(consent), path, len, version, at, &verdict);
	naive_verdict(consent, path, len, version, at, &level, &refused, &own, &has_own);
	if (verdict.level != level || verdict.refused != refused)
		fail("verdict");
	for (int i = 0; has_own && i < 2; i++)
	{
		TimestampTz candidate = i == 0 ? own.event_time : own.valid_until;
		int then_level;
		bool then_refused;

		if (candidate <= at || candidate >= changes_at)
			continue;
		naive_verdict(consent, path, len, version, candidate, &then_level, &then_refused, &own,
		              &has_own);
		if (then_level != level || then_refused != refused)
			changes_at = candidate;
	}
	if (verdict.changes_at != changes_at)
		fail("time of change");
}

/* Once its time is over, a record that a decision has expired takes its place and permits as
 * little. */
static void
check_expiry(const Consent *consent, const ConsentDecision *decision)
{
	ConsentDecision expired = *decision;
	const char *path = decision->purpose;
	int len = decision->purpose_len;
	const Consent *after;
	ConsentVerdict verdict;
	ConsentVerdict verdict_after;

	expired.status = CONSENT_EXPIRED;
	expired.event_time = consent_decision_ends_at(decision);
	expired.valid_until = DT_NOEND;
	after = consent_combine(consent, consent_form(&expired, 1));
	for (int i = 0; i < consent_count(after); i++)
	{
		ConsentDecision found;

		consent_get(after, i, &found);
		if (consent_compare_keys(&found, &expired) == 0 && found.status != CONSENT_EXPIRED)
			fail("expired decision");
	}
	consent_evaluate(consent, path, len, 0, expired.event_time, &verdict);
	consent_evaluate(after, path, len, 0, expired.event_time, &verdict_after);
	if (verdict.level != verdict_after.level)
		fail("verdict after expiry");
}

static void
check_ends_at(const Consent *consent)
{
	TimestampTz first = DT_NOEND;

	for (int i = 0; i < consent_count(consent); i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		if ((decision.status != CONSENT_GIVEN && decision.status != CONSENT_RENEWED) ||
		    decision.valid_until == DT_NOEND)
			continue;
		first = Min(first, Max(decision.valid_until, decision.event_time));
		check_expiry(consent, &decision);
	}
	if (consent_ends_at(packed_copy(consent)) != first)
		fail("next expiry");
}

static void
check_consent(Datum value)
{
	static Consent *previous;
	const Consent *consent = (Consent *) DatumGetPointer(value);
	const Consent *merged;
	int count = consent_count(consent);

	for (int i = 0; i < count; i++)
	{
		ConsentDecision decision;
		char path[PURPOSE_PATH_MAX_BYTES + 8];
		TimestampTz times[] = {0, 0, 0, 0};
		int len;

		consent_get(consent, i, &decision);
		len = decision.purpose_len;
		memcpy(path, decision.purpose, len);
		if (fuzz_one_in(2))
		{
			memcpy(path + len, ".a.b", 4);
			len += fuzz_one_in(2) ? 2 : 4;
		}
		times[1] = decision.event_time;
		times[2] = decision.event_time - 1;
		times[3] = decision.valid_until;
		check_verdict(consent, path, len, fuzz_below(4), PICK(times));
	}
	check_ends_at(consent);

	/* Merging with the value of an earlier input: same result either way, and nothing new. */
	if (previous != NULL)
	{
		merged = consent_combine(consent, previous);
		check_same(PointerGetDatum(merged), PointerGetDatum(consent_combine(previous, consent)),
		           "merge in either order");
		check_same(PointerGetDatum(merged), PointerGetDatum(consent_combine(merged, consent)),
		           "merge twice");
	}
	if (previous == NULL || fuzz_one_in(16))
	{
		free(previous);
		previous = malloc(VARSIZE_ANY(consent));
		memcpy(previous, consent, VARSIZE_ANY(consent));
	}
}

static void
check_purpose_set(Datum value)
{
	const PurposeSet *set = (PurposeSet *) DatumGetPointer(value);
	const char *path = fuzz_input;
	int len;
	bool has = false;
	bool covers = false;

	fuzz_input_len = 0;
	fuzz_put_path();
	len = fuzz_input_len;
	for (int i = 0; i < purpose_set_count(set); i++)
	{
		PurposeSetMember member;

		purpose_set_get(set, i, &member);
		if (member.len == len && memcmp(member.path, path, len) == 0)
			has = covers = true;
		if (is_below(path, len, member.path, member.len))
			covers = true;
	}
	if (purpose_set_has(packed_copy(set), path, len) != has)
		fail("membership");
	if (purpose_set_covers(packed_copy(set), path, len) != covers)
		fail("cover");
}

typedef struct NaiveSet
{
	uint64 (*ranges)[2];
	int count;
	uint64 members;
} NaiveSet;

static void
naive_read(const char *text, NaiveSet *naive)
{
	naive->ranges = palloc((strlen(text) / 2 + 1) * sizeof(*naive->ranges));
	naive->count = 0;
	naive->members = 0;
	for (const char *at = text + 1; *at != '\0' && *at != '}';)
	{
		uint64 *range = naive->ranges[naive->count++];
		char *end;

		range[0] = range[1] = strtoull(at, &end, 10);
		if (*end == '-')
			range[1] = strtoull(end + 1, &end, 10);
		naive->members += range[1] - range[0] + 1;
		at = *end == ',' ? end + 1 : end;
	}
}

static bool
naive_has(const NaiveSet *naive, uint64 number)
{
	for (int i = 0; i < naive->count; i++)
	{
		if (number >= naive->ranges[i][0] && number <= naive->ranges[i][1])
			return true;
	}
	return false;
}

static void
check_bytes(const SubjectBits *bits)
{
	Size size = subject_bits_serialized_size(bits);
	char *bytes = palloc(size);

	subject_bits_serialize(bits, bytes);
	if (roaring_check(bytes, size) != NULL)
		fail("bytes of a set");
	if (roaring_cardinality(bytes) != subject_bits_count(bits))
		fail("number of members in bytes");
}

static void
check_subject_set(Datum value)
{
	static SubjectSet *previous;
	const SubjectSet *set = (SubjectSet *) DatumGetPointer(value);
	const char *text = DatumGetCString(must(subject_set_out, value, "output"));
	SubjectBits *bits = subject_set_bits(CurrentMemoryContext, set);
	NaiveSet naive;

	naive_read(text, &naive);
	for (int i = 0; i < 10; i++)
	{
		uint64 number = fuzz_subject();

		if (subject_set_contains(packed_copy(set), number) != naive_has(&naive, number))
			fail("membership");
	}
	if (subject_set_count(set) != naive.members || subject_bits_count(bits) != naive.members)
		fail("number of members");

	/* With the value of an earlier input: what is common, what is not, and all of it. */
	if (previous != NULL)
	{
		SubjectBits *other = subject_set_bits(CurrentMemoryContext, previous);
		SubjectBits *common = subject_set_bits(CurrentMemoryContext, set);
		SubjectBits *rest = subject_set_bits(CurrentMemoryContext, set);

		subject_bits_and(common, other);
		subject_bits_subtract(rest, other);
		check_bytes(common);
		check_bytes(rest);
		if (subject_bits_overlap(bits, other) == subject_bits_is_empty(common) ||
		    subject_bits_contain(other, bits) != subject_bits_is_empty(rest) ||
		    subject_bits_overlap(common, rest))
			fail("parts of a set");
		subject_bits_or(rest, common);
		check_same(value, PointerGetDatum(subject_set_from_bits(rest)), "parts together");
		subject_bits_or(bits, other);
		check_bytes(bits);
		if (subject_bits_count(bits) !=
		    naive.members + subject_set_count(previous) - subject_bits_count(common))
			fail("union");
	}
	if (VARSIZE_ANY(set) < 50000 && (previous == NULL || fuzz_one_in(16)))
	{
		free(previous);
		previous = malloc(VARSIZE_ANY(set));
		memcpy(previous, set, VARSIZE_ANY(set));
	}
}

static const Target targets[] = {
    {"consent_in",
     &consent_functions,
     consent_in,
     {ERRCODE_INVALID_TEXT_REPRESENTATION},
     fuzz_make_consent_text},
    {"consent_recv",
     &consent_functions,
     consent_recv,
     {ERRCODE_INVALID_BINARY_REPRESENTATION},
     fuzz_make_consent_wire},
    {"consent_from_jsonb",
     &consent_functions,
     consent_from_jsonb,
     {ERRCODE_INVALID_TEXT_REPRESENTATION},
     fuzz_make_consent_json},
    {"purpose_set_in",
     &purpose_set_functions,
     purpose_set_in,
     {ERRCODE_INVALID_TEXT_REPRESENTATION},
     fuzz_make_purpose_set_text},
    {"purpose_set_recv",
     &purpose_set_functions,
     purpose_set_recv,
     {ERRCODE_INVALID_BINARY_REPRESENTATION},
     fuzz_make_purpose_set_wire},
    {"purpose_set_from_jsonb",
     &purpose_set_functions,
     purpose_set_from_jsonb,
     {ERRCODE_INVALID_TEXT_REPRESENTATION},
     fuzz_make_purpose_set_json},
    {"subject_set_in",
     &subject_set_functions,
     subject_set_in,
     {ERRCODE_INVALID_TEXT_REPRESENTATION, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
      ERRCODE_PROGRAM_LIMIT_EXCEEDED},
     fuzz_make_subject_set_text},
    {"subject_set_recv",
     &subject_set_functions,
     subject_set_recv,
     {ERRCODE_INVALID_BINARY_REPRESENTATION},
     fuzz_make_subject_set_wire},
    {"subject_set_from_jsonb",
     &subject_set_functions,
     subject_set_from_jsonb,
     {ERRCODE_INVALID_TEXT_REPRESENTATION, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE},
     fuzz_make_subject_set_json},
};

static bool
refuses_with(const Target *target, int sqlstate)
{
	for (int i = 0; i < lengthof(target->refusals); i++)
	{
		if (sqlstate != 0 && target->refusals[i] == sqlstate)
			return true;
	}
	return false;
}

/* Returns whether the input was valid. */
static bool
run_input(const Target *target)
{
	Datum value;

	if (!shim_call(target->reader, target->make_input(), &value))
	{
		if (!refuses_with(target, shim_sqlstate) || !shim_has_hint)
			fail("refusal");
		return false;
	}
	check_round_trips(target->functions, value);
	if (target->functions == &consent_functions)
		check_consent(value);
	else if (target->functions == &purpose_set_functions)
		check_purpose_set(value);
	else
		check_subject_set(value);
	return true;
}

static int
run_target(const Target *target, uint64 seed, int64 count, int64 first)
{
	int64 valid = 0;

	for (int64 i = first; i < first + count; i++)
	{
		fuzz_random_state = seed;
		fuzz_random_state = fuzz_next_random() ^ (uint64) i;
		fuzz_input_len = 0;
		if (i % 4096 == 0 || count == 1)
			fprintf(stderr, "%s %lld\n", target->name, (long long) i);
		valid += run_input(target);
		shim_reset();
	}
	printf("%s: %lld inputs, %lld of them valid, 0 crashes\n", target->name, (long long) count,
	       (long long) valid);
	return valid > count / 10 && valid < count ? 0 : 1;
}

int
main(int argc, char **argv)
{
	if (argc < 4)
	{
		fprintf(stderr, "usage: fuzz_types TARGET SEED COUNT [FIRST]\n");
		return 2;
	}
	for (int i = 0; i < lengthof(targets); i++)
	{
		if (strcmp(argv[1], targets[i].name) == 0)
			return run_target(&targets[i], strtoull(argv[2], NULL, 0), strtoll(argv[3], NULL, 0),
			                  argc > 4 ? strtoll(argv[4], NULL, 0) : 0);
	}
	fprintf(stderr, "no such target\n");
	return 2;
}
