/*
 * fuzz_input.c
 *		Pieces of consents and of sets of purposes and subjects, put together and damaged at random.
 *
 * Names and times come from small sets, so that ancestors, equal keys and equal times are frequent.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "fuzz_input.h"
#include "lib/stringinfo.h"
#include "server_shim.h"
#include "types/consent.h"
#include "types/roaring_format.h"

uint64 fuzz_random_state;
char fuzz_input[MAX_INPUT + 64];
int fuzz_input_len;

/* splitmix64 */
uint64
fuzz_next_random(void)
{
	uint64 z = (fuzz_random_state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int
fuzz_below(int limit)
{
	return fuzz_next_random() % limit;
}

bool
fuzz_one_in(int chance)
{
	return fuzz_below(chance) == 0;
}

/* Text pieces, appended to the input. */

static void
put_bytes(const void *bytes, int len)
{
	len = Min(len, MAX_INPUT - fuzz_input_len);
	memcpy(fuzz_input + fuzz_input_len, bytes, len);
	fuzz_input_len += len;
}

static void
put(const char *string)
{
	put_bytes(string, strlen(string));
}

static void
put_space(void)
{
	static const char *const spaces[] = {"", "", "", " ", " ", "  ", "\t", "\n", " \r\n", "\f\v"};

	put(PICK(spaces));
}

static void
put_label(bool allow_hyphen)
{
	static const char *const labels[] = {"a", "b", "c", "a1", "b_", "email", "marketing"};
	static const char *const odd[] = {"A", "1a", "_a", "a-b", "\xc3\xa4", "a b", "", "a\x80"};
	int len;

	if (!fuzz_one_in(40))
	{
		put(PICK(labels));
		if (allow_hyphen && fuzz_one_in(3))
			put("-x");
		return;
	}
	if (fuzz_one_in(2))
	{
		put(PICK(odd));
		return;
	}
	for (len = 61 + fuzz_below(5); len > 0; len--)
		put("z");
}

void
fuzz_put_path(void)
{
	int labels = fuzz_one_in(60) ? 14 + fuzz_below(5) : 1 + fuzz_below(4);

	while (labels-- > 0)
	{
		put_label(false);
		if (labels > 0)
			put(".");
	}
}

static void
put_time(void)
{
	static const char *const times[] = {"2026-01-01T00:00:00Z",
	                                    "2026-01-01T00:00:00.000001Z",
	                                    "2026-06-30T12:30:00.5Z",
	                                    "2027-01-01T00:00:00+01:00",
	                                    "0001-01-01T00:00:00Z",
	                                    "9999-12-31T23:59:59.999999Z",
	                                    "0001-01-01T00:00:00+00:01",
	                                    "9999-12-31T23:59:59-00:01",
	                                    "2024-02-29T00:00:00Z",
	                                    "2023-02-29T00:00:00Z",
	                                    "1900-02-29T00:00:00Z",
	                                    "0000-01-01T00:00:00Z",
	                                    "2026-01-01T00:00:00.Z",
	                                    "2026-01-01T24:00:00Z",
	                                    "2026-01-01T00:00:00.1234567Z",
	                                    "2026-01-01T00:00:00",
	                                    "infinity",
	                                    "-infinity",
	                                    "294276-12-31T23:59:59Z",
	                                    "now"};
	static const char *const zones[] = {"Z", "Z", "+00", "+05:30", "-15:59", "+16"};
	char time[64];

	if (!fuzz_one_in(4))
	{
		put(fuzz_one_in(20) ? PICK(times) : times[fuzz_below(5)]);
		return;
	}
	snprintf(time, sizeof(time), "%04d-%02d-%02dT%02d:%02d:%02d", fuzz_below(10000),
	         1 + fuzz_below(12), 1 + fuzz_below(fuzz_one_in(10) ? 32 : 28), fuzz_below(24),
	         fuzz_below(60), fuzz_below(60));
	put(time);
	if (fuzz_one_in(2))
	{
		snprintf(time, sizeof(time), ".%0*d", 1 + fuzz_below(6), fuzz_below(10));
		put(time);
	}
	put(PICK(zones));
}

static const char *
random_status(void)
{
	static const char *const statuses[] = {
	    "given",   "given",   "given",   "renewed",     "withdrawn", "withdrawn",       "revoked",
	    "refused", "expired", "unknown", "invalidated", "requested", "request_deferred"};

	return fuzz_one_in(50) ? "giv" : PICK(statuses);
}

static const char *
random_type(void)
{
	static const char *const types[] = {"implied", "expressed", "explicitly_expressed"};

	return fuzz_one_in(50) ? "expr" : PICK(types);
}

static void
put_decision(void)
{
	char version[32];

	fuzz_put_path();
	if (fuzz_one_in(4))
	{
		put("/");
		put_label(true);
	}
	if (fuzz_one_in(4))
	{
		put("@");
		put_label(true);
	}
	put_space();
	put(":");
	put_space();
	put(random_status());
	put(" ");
	put_space();
	if (fuzz_one_in(2))
	{
		put(random_type());
		put(" ");
	}
	if (fuzz_one_in(4))
	{
		snprintf(version, sizeof(version), "v%d ",
		         fuzz_one_in(10) ? fuzz_below(70000) : 1 + fuzz_below(3));
		put(version);
	}
	put_time();
	if (fuzz_one_in(3))
	{
		put(" until ");
		if (fuzz_one_in(8))
			put("infinity");
		else
			put_time();
	}
}

/* Flips, drops, inserts, repeats or cuts a few bytes. */
static void
mutate(void)
{
	for (int rounds = 1 + fuzz_below(3); rounds > 0 && fuzz_input_len > 0; rounds--)
	{
		int at = fuzz_below(fuzz_input_len);
		int span = 1 + fuzz_below(8);

		span = Min(span, fuzz_input_len - at);
		switch (fuzz_below(6))
		{
			case 0:
				fuzz_input[at] ^= 1 << fuzz_below(8);
				break;
			case 1:
				fuzz_input[at] = fuzz_next_random();
				break;
			case 2:
				memmove(fuzz_input + at, fuzz_input + at + span, fuzz_input_len - at - span);
				fuzz_input_len -= span;
				break;
			case 3:
				fuzz_input_len = at;
				break;
			case 4:
				if (fuzz_input_len + span <= MAX_INPUT)
				{
					memmove(fuzz_input + at + span, fuzz_input + at, fuzz_input_len - at);
					fuzz_input_len += span;
				}
				break;
			default:
				fuzz_input[at] = "{}:,/@. vZT-+"[fuzz_below(13)];
		}
	}
}

static void
random_bytes(void)
{
	for (int len = fuzz_below(64); len > 0; len--)
		fuzz_input[fuzz_input_len++] =
		    fuzz_one_in(3) ? fuzz_next_random() : "{}:,/@. vZT-+az019"[fuzz_below(18)];
}

/* The input as a C string in a block of exactly its size; ends at a NUL, as it would in a server.
 */
static Datum
input_cstring(void)
{
	fuzz_input[fuzz_input_len] = '\0';
	return CStringGetDatum(pnstrdup(fuzz_input, strlen(fuzz_input)));
}

static Datum
input_message(void)
{
	StringInfo message = palloc(sizeof(StringInfoData));

	message->data = palloc(fuzz_input_len);
	message->len = fuzz_input_len;
	message->maxlen = fuzz_input_len;
	message->cursor = 0;
	memcpy(message->data, fuzz_input, fuzz_input_len);
	return PointerGetDatum(message);
}

Datum
fuzz_make_consent_text(void)
{
	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		put_space();
		put("{");
		for (int decisions = fuzz_below(5); decisions > 0; decisions--)
		{
			put_space();
			put_decision();
			put_space();
			if (decisions > 1)
				put(",");
		}
		put("}");
		put_space();
		if (fuzz_one_in(3))
			mutate();
	}
	return input_cstring();
}

Datum
fuzz_make_purpose_set_text(void)
{
	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		bool bare = fuzz_one_in(10);

		put(bare ? "" : "{");
		for (int members = bare ? 1 : fuzz_below(9); members > 0; members--)
		{
			put_space();
			fuzz_put_path();
			put_space();
			if (members > 1)
				put(",");
		}
		put(bare ? "" : "}");
		if (fuzz_one_in(3))
			mutate();
	}
	return input_cstring();
}

static void
put_number(int64 number, int size)
{
	while (size-- > 0)
	{
		char byte = number >> (8 * size);

		put_bytes(&byte, 1);
	}
}

static void
put_wire_time(bool may_end)
{
	static const int64 times[] = {0, 1, -1, CONSENT_TIME_MIN, CONSENT_TIME_END - 1};
	static const int64 odd[] = {CONSENT_TIME_MIN - 1, CONSENT_TIME_END, PG_INT64_MIN, PG_INT64_MAX};

	if (may_end && fuzz_one_in(2))
		put_number(DT_NOEND, 8);
	else
		put_number(fuzz_one_in(40) ? PICK(odd) : PICK(times), 8);
}

static void
put_wire_decision(void)
{
	int lengths_at;
	int start;

	put_number(fuzz_one_in(60) ? fuzz_below(256) : fuzz_below(CONSENT_STATUS_COUNT), 1);
	put_number(fuzz_one_in(60) ? fuzz_below(256) : 1 + fuzz_below(3), 1);
	put_number(fuzz_one_in(40) ? fuzz_below(65536) : 1 + fuzz_below(2), 2);
	put_wire_time(false);
	put_wire_time(true);
	lengths_at = fuzz_input_len;
	put_number(0, 3);
	start = fuzz_input_len;
	fuzz_put_path();
	fuzz_input[lengths_at] = fuzz_input_len - start;
	start = fuzz_input_len;
	if (fuzz_one_in(3))
		put_label(true);
	fuzz_input[lengths_at + 1] = fuzz_input_len - start;
	start = fuzz_input_len;
	if (fuzz_one_in(3))
		put_label(true);
	fuzz_input[lengths_at + 2] = fuzz_input_len - start;
}

Datum
fuzz_make_consent_wire(void)
{
	int decisions = fuzz_below(5);

	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		put_number(fuzz_one_in(50) ? fuzz_below(256) : 1, 1);
		put_number(fuzz_one_in(50) ? (int64) fuzz_next_random() : decisions, 4);
		while (decisions-- > 0)
			put_wire_decision();
		if (fuzz_one_in(3))
			mutate();
	}
	return input_message();
}

Datum
fuzz_make_purpose_set_wire(void)
{
	int members = fuzz_below(9);

	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		put_number(fuzz_one_in(50) ? fuzz_below(256) : 1, 1);
		put_number(fuzz_one_in(50) ? (int64) fuzz_next_random() : members, 4);
		while (members-- > 0)
		{
			int length_at = fuzz_input_len;

			put_number(0, 1);
			fuzz_put_path();
			fuzz_input[length_at] = fuzz_input_len - length_at - 1;
		}
		if (fuzz_one_in(3))
			mutate();
	}
	return input_message();
}

/* A jsonb string of what the given piece writes. */
static void
json_piece(JsonbParseState **state, JsonbIteratorToken token)
{
	if (fuzz_one_in(40))
		mutate();
	shim_json_string(state, token, fuzz_input, fuzz_input_len);
	fuzz_input_len = 0;
}

/* Anything but what belongs here. */
static void
json_odd(JsonbParseState **state, JsonbIteratorToken token)
{
	switch (fuzz_below(5))
	{
		case 0:
			shim_json_other(state, token, jbvNull);
			break;
		case 1:
			shim_json_other(state, token, jbvBool);
			break;
		case 2:
			shim_json_number(state, token,
			                 (double) (int64) fuzz_next_random() / (1 + fuzz_below(1000)));
			break;
		case 3:
			random_bytes();
			json_piece(state, token);
			break;
		default:
			shim_json_begin(state, fuzz_one_in(2));
			shim_json_end(state, false);
	}
}

static void
put_name(void)
{
	put_label(true);
}

static void
put_status(void)
{
	put(random_status());
}

static void
put_type(void)
{
	put(random_type());
}

/* A key and, mostly, what the given piece writes. */
static void
json_member(JsonbParseState **state, const char *key, void (*piece)(void))
{
	put(key);
	json_piece(state, WJB_KEY);
	if (piece == NULL || fuzz_one_in(60))
		json_odd(state, WJB_VALUE);
	else
	{
		piece();
		json_piece(state, WJB_VALUE);
	}
}

static void
json_decision(JsonbParseState **state)
{
	shim_json_begin(state, true);
	if (!fuzz_one_in(60))
		json_member(state, "purpose", fuzz_put_path);
	if (fuzz_one_in(4))
		json_member(state, "channel", put_name);
	if (fuzz_one_in(4))
		json_member(state, "recipient", put_name);
	if (!fuzz_one_in(60))
		json_member(state, "event_state", put_status);
	if (fuzz_one_in(2))
		json_member(state, "consent_type", put_type);
	if (!fuzz_one_in(60))
		json_member(state, "event_time", put_time);
	if (fuzz_one_in(3))
		json_member(state, "valid_until", put_time);
	if (fuzz_one_in(40))
		json_member(state, "note", NULL);
	if (fuzz_one_in(3))
	{
		put("version");
		json_piece(state, WJB_KEY);
		shim_json_number(state, WJB_VALUE,
		                 fuzz_one_in(20) ? fuzz_below(90000) / 2.0 - 500 : 1 + fuzz_below(4));
	}
	shim_json_end(state, true);
}

static Datum
make_json(void (*element)(JsonbParseState **), int most)
{
	JsonbParseState *state = NULL;
	bool object = fuzz_one_in(50);

	shim_json_begin(&state, object);
	for (int elements = object ? 0 : fuzz_below(most); elements > 0; elements--)
	{
		if (fuzz_one_in(50))
			json_odd(&state, WJB_ELEM);
		else
			element(&state);
	}
	return PointerGetDatum(JsonbValueToJsonb(shim_json_end(&state, object)));
}

static void
json_path(JsonbParseState **state)
{
	fuzz_put_path();
	json_piece(state, WJB_ELEM);
}

Datum
fuzz_make_consent_json(void)
{
	return make_json(json_decision, 4);
}

Datum
fuzz_make_purpose_set_json(void)
{
	return make_json(json_path, 9);
}

/* Numbers of subjects. */

uint64
fuzz_subject(void)
{
	static const uint64 bases[] = {0, 0, 0, 100, 1000, 65536, 131072};
	static const uint64 odd[] = {UINT64CONST(1) << 32, UINT64CONST(1) << 36, UINT64CONST(1) << 62,
	                             PG_INT64_MAX - 9};

	if (fuzz_one_in(60))
		return PICK(odd) + fuzz_below(fuzz_one_in(20) ? 30 : 10);
	return PICK(bases) + (fuzz_one_in(30) ? 0 : 1) + fuzz_below(fuzz_one_in(2) ? 20 : 3000);
}

static void
put_subject(uint64 number)
{
	char digits[32];

	snprintf(digits, sizeof(digits), fuzz_one_in(50) ? "%024llu" : "%llu",
	         (unsigned long long) number);
	put(digits);
}

static void
put_subjects(void)
{
	uint64 number = fuzz_subject();

	put_subject(number);
	if (fuzz_one_in(3))
	{
		put_space();
		put("-");
		put_space();
		put_subject(number + fuzz_below(fuzz_one_in(20) ? 400000 : 40) - fuzz_one_in(30));
	}
}

Datum
fuzz_make_subject_set_text(void)
{
	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		bool bare = fuzz_one_in(10);

		put(bare ? "" : "{");
		for (int members = bare ? 1 : fuzz_below(12); members > 0; members--)
		{
			put_space();
			put_subjects();
			put_space();
			if (members > 1)
				put(",");
		}
		put(bare ? "" : "}");
		if (fuzz_one_in(3))
			mutate();
	}
	return input_cstring();
}

static void
put_little_endian(uint64 number, int size)
{
	for (; size > 0; size--, number >>= 8)
	{
		char byte = number;

		put_bytes(&byte, 1);
	}
}

/* Appends a container and returns how many members it has; runs are an array without the flag. */
static int
put_container(RoaringKind kind)
{
	int items = 1 + fuzz_below(5);
	int cardinality = 0;
	int next = 1;

	if (kind == ROARING_BITS)
	{
		char bits[ROARING_BITS_BYTES];
		bool sparse = fuzz_one_in(30);

		memset(bits, sparse ? 0xaa : 0xff, sizeof(bits));
		bits[0] &= ~1;
		for (int holes = fuzz_below(5); holes > 0; holes--)
			bits[fuzz_below(sizeof(bits))] &= ~(1 << fuzz_below(8));
		for (int byte = 0; byte < sizeof(bits); byte++)
			cardinality += __builtin_popcount((unsigned char) bits[byte]);
		put_bytes(bits, sizeof(bits));
		return cardinality;
	}
	if (kind == ROARING_RUNS)
		put_little_endian(items, 2);
	for (; items > 0; items--)
	{
		int length = kind == ROARING_RUNS ? 1 + fuzz_below(fuzz_one_in(5) ? 9000 : 4) : 1;

		put_little_endian(next, 2);
		if (kind == ROARING_RUNS)
			put_little_endian(length - 1, 2);
		cardinality += length;
		next += length + (kind == ROARING_RUNS) - fuzz_one_in(200) + fuzz_below(3);
	}
	return cardinality;
}

static void
overwrite(int at, uint64 number, int size)
{
	for (; size > 0; size--, number >>= 8)
		fuzz_input[at++] = number;
}

/* Heads and offsets are filled in as the containers are written. */
static void
put_bucket(void)
{
	int start = fuzz_input_len;
	int containers = 1 + fuzz_below(fuzz_one_in(10) ? 6 : 3);
	bool with_runs = fuzz_one_in(2);
	bool with_offsets = !with_runs || containers >= 4;
	int flags_at = start + 4;
	int heads_at;
	int offsets_at;
	int key = 0;

	if (with_runs)
	{
		put_little_endian(12347 | (containers - 1) << 16, 4);
		put_little_endian(0, 1);
	}
	else
	{
		put_little_endian(12346, 4);
		put_little_endian(containers, 4);
	}
	heads_at = fuzz_input_len;
	for (int i = 0; i < containers; i++)
		put_little_endian(0, 4);
	offsets_at = fuzz_input_len;
	for (int i = 0; i < containers && with_offsets; i++)
		put_little_endian(0, 4);
	for (int i = 0; i < containers; i++)
	{
		bool runs = with_runs && fuzz_one_in(2);
		RoaringKind kind = runs ? ROARING_RUNS : fuzz_one_in(6) ? ROARING_BITS : ROARING_ARRAY;

		if (fuzz_input_len > MAX_INPUT - 2 * ROARING_BITS_BYTES)
			kind = runs ? ROARING_RUNS : ROARING_ARRAY;
		if (with_offsets)
			overwrite(offsets_at + 4 * i, fuzz_input_len - start + (fuzz_one_in(200) ? 1 : 0), 4);
		if (runs)
			fuzz_input[flags_at] |= 1 << i;
		overwrite(heads_at + 4 * i, key, 2);
		overwrite(heads_at + 4 * i + 2, put_container(kind) - 1 + (fuzz_one_in(200) ? 1 : 0), 2);
		key += (fuzz_one_in(200) ? 0 : 1) + fuzz_below(3);
	}
}

Datum
fuzz_make_subject_set_wire(void)
{
	int buckets = fuzz_below(4);
	uint64 high = 0;

	if (fuzz_one_in(20))
		random_bytes();
	else
	{
		put_number(fuzz_one_in(50) ? fuzz_below(256) : 1, 1);
		put_little_endian(fuzz_one_in(50) ? fuzz_next_random() : buckets, 8);
		for (; buckets > 0; buckets--)
		{
			put_little_endian(high, 4);
			put_bucket();
			high += fuzz_one_in(50) ? PG_INT32_MAX : fuzz_one_in(50) ? 0 : 1 + fuzz_below(2);
		}
		if (fuzz_one_in(3))
			mutate();
	}
	return input_message();
}

static void
json_subject(JsonbParseState **state)
{
	long double number = fuzz_subject();

	if (fuzz_one_in(60))
		number = -number;
	if (fuzz_one_in(60))
		number += 0.5;
	shim_json_number(state, WJB_ELEM, number);
}

Datum
fuzz_make_subject_set_json(void)
{
	return make_json(json_subject, 30);
}
