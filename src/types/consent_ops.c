/*
 * consent_ops.c
 *		SQL functions, operators and operator classes of privacy_guard.consent.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "types/consent.h"
#include "types/item_array.h"
#include "types/purpose_path.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define PG_GETARG_CONSENT(n) DatumGetConsentP(PG_GETARG_DATUM(n))

/* Strategies of the GIN class, as in types.sql. */
#define CONSENT_CONTAINS_STRATEGY 7
#define CONSENT_OVERLAPS_STRATEGY 8
#define CONSENT_PERMITS_STRATEGY 9

#define DECISION_COLUMNS 8

PG_FUNCTION_INFO_V1(consent_make);
PG_FUNCTION_INFO_V1(consent_decisions);
PG_FUNCTION_INFO_V1(consent_is_permitted);
PG_FUNCTION_INFO_V1(consent_permits_now);
PG_FUNCTION_INFO_V1(consent_next_expiry);
PG_FUNCTION_INFO_V1(consent_contains);
PG_FUNCTION_INFO_V1(consent_contained);
PG_FUNCTION_INFO_V1(consent_overlaps);
PG_FUNCTION_INFO_V1(consent_merge);
PG_FUNCTION_INFO_V1(consent_without);
PG_FUNCTION_INFO_V1(consent_eq);
PG_FUNCTION_INFO_V1(consent_ne);
PG_FUNCTION_INFO_V1(consent_lt);
PG_FUNCTION_INFO_V1(consent_le);
PG_FUNCTION_INFO_V1(consent_gt);
PG_FUNCTION_INFO_V1(consent_ge);
PG_FUNCTION_INFO_V1(consent_cmp);
PG_FUNCTION_INFO_V1(consent_hash);
PG_FUNCTION_INFO_V1(consent_hash_extended);
PG_FUNCTION_INFO_V1(consent_gin_extract_value);
PG_FUNCTION_INFO_V1(consent_gin_extract_query);
PG_FUNCTION_INFO_V1(consent_gin_triconsistent);

static bool contains(const Consent *whole, const Consent *part);
static int compare(const Consent *left, const Consent *right);

static const char *
make_label(FunctionCallInfo fcinfo, int arg, const char *what, uint8 *len)
{
	text *label;

	*len = 0;
	if (PG_ARGISNULL(arg))
		return "";
	label = PG_GETARG_TEXT_PP(arg);
	if (!purpose_path_is_label(VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label)))
		ereport(
		    ERROR,
		    (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid %s", what),
		     errhint("Write a lower-case letter followed by up to 62 lower-case letters, digits, "
		             "underscores or hyphens.")));
	*len = VARSIZE_ANY_EXHDR(label);
	return VARDATA_ANY(label);
}

static void
make_check_time(TimestampTz time, const char *what)
{
	if (!CONSENT_TIME_IS_VALID(time))
		ereport(ERROR,
		        (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("%s out of range", what),
		         errhint("Times of a consent lie in the years 0001 to 9999.")));
}

/* The name of an enum argument; its own values are text to C. */
static const char *
enum_name(FunctionCallInfo fcinfo, int arg)
{
	return DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(arg)));
}

/* (purpose, status, consent_type, event_time, valid_until, channel, recipient, version) */
Datum
consent_make(PG_FUNCTION_ARGS)
{
	ConsentDecision decision = {0};
	const char *name;
	text *purpose;

	for (int arg = 0; arg < 4; arg++)
	{
		if (PG_ARGISNULL(arg))
			PG_RETURN_NULL();
	}
	purpose = PG_GETARG_TEXT_PP(0);
	purpose_path_check(VARDATA_ANY(purpose), VARSIZE_ANY_EXHDR(purpose));
	decision.purpose = VARDATA_ANY(purpose);
	decision.purpose_len = VARSIZE_ANY_EXHDR(purpose);
	name = enum_name(fcinfo, 1);
	if (!consent_status_parse(name, strlen(name), &decision.status))
		elog(ERROR, "unexpected consent status");
	name = enum_name(fcinfo, 2);
	if (!consent_type_parse(name, strlen(name), &decision.type))
		elog(ERROR, "unexpected consent type");
	decision.event_time = PG_GETARG_TIMESTAMPTZ(3);
	make_check_time(decision.event_time, "event time");
	decision.valid_until = PG_ARGISNULL(4) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(4);
	if (decision.valid_until != DT_NOEND)
		make_check_time(decision.valid_until, "end of validity");
	decision.channel = make_label(fcinfo, 5, "channel", &decision.channel_len);
	decision.recipient = make_label(fcinfo, 6, "recipient", &decision.recipient_len);
	decision.version = PG_ARGISNULL(7) ? 1 : PG_GETARG_INT16(7);
	if (decision.version < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("invalid version of a purpose"), errhint("Versions count from 1.")));
	PG_RETURN_POINTER(consent_form(&decision, 1));
}

static Datum
label_datum(const char *label, int len, bool *isnull)
{
	*isnull = len == 0;
	return *isnull ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(label, len));
}

static Datum
enum_datum(const char *name, TupleDesc desc, int column)
{
	return DirectFunctionCall2(enum_in, CStringGetDatum(name),
	                           ObjectIdGetDatum(TupleDescAttr(desc, column)->atttypid));
}

static HeapTuple
decision_tuple(const ConsentDecision *decision, TupleDesc desc)
{
	Datum values[DECISION_COLUMNS];
	bool nulls[DECISION_COLUMNS] = {0};

	values[0] = label_datum(decision->purpose, decision->purpose_len, &nulls[0]);
	values[1] = label_datum(decision->channel, decision->channel_len, &nulls[1]);
	values[2] = label_datum(decision->recipient, decision->recipient_len, &nulls[2]);
	values[3] = enum_datum(consent_status_name(decision->status), desc, 3);
	values[4] = enum_datum(consent_type_name(decision->type), desc, 4);
	values[5] = TimestampTzGetDatum(decision->event_time);
	values[6] = TimestampTzGetDatum(decision->valid_until);
	values[7] = Int16GetDatum(decision->version);
	return heap_form_tuple(desc, values, nulls);
}

Datum
consent_decisions(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	ConsentDecision decision;
	const Consent *consent;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc desc;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		    desc->natts != DECISION_COLUMNS)
			elog(ERROR, "decisions of a consent need a row type of %d columns", DECISION_COLUMNS);
		call->tuple_desc = BlessTupleDesc(desc);
		call->user_fctx = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		call->max_calls = consent_count(call->user_fctx);
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	if (call->call_cntr >= call->max_calls)
		SRF_RETURN_DONE(call);
	consent = call->user_fctx;
	consent_get(consent, call->call_cntr, &decision);
	SRF_RETURN_NEXT(call, HeapTupleGetDatum(decision_tuple(&decision, call->tuple_desc)));
}

static bool
permits(const Consent *consent, const text *purpose, TimestampTz at)
{
	ConsentVerdict verdict;

	purpose_path_check(VARDATA_ANY(purpose), VARSIZE_ANY_EXHDR(purpose));
	(void) consent_count(consent);
	consent_evaluate(consent, VARDATA_ANY(purpose), VARSIZE_ANY_EXHDR(purpose), 0, at, &verdict);
	return verdict.level >= CONSENT_EXPRESSED && !verdict.refused;
}

/* (consent, purpose, at) */
Datum
consent_is_permitted(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(permits(PG_GETARG_CONSENT(0), PG_GETARG_TEXT_PP(1), PG_GETARG_TIMESTAMPTZ(2)));
}

Datum
consent_permits_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(permits(PG_GETARG_CONSENT(0), PG_GETARG_TEXT_PP(1), GetCurrentTimestamp()));
}

Datum
consent_next_expiry(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(consent_ends_at(PG_GETARG_CONSENT(0)));
}

Datum
consent_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)));
}

Datum
consent_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains(PG_GETARG_CONSENT(1), PG_GETARG_CONSENT(0)));
}

Datum
consent_overlaps(PG_FUNCTION_ARGS)
{
	const Consent *left = PG_GETARG_CONSENT(0);
	const Consent *right = PG_GETARG_CONSENT(1);
	int left_count = consent_count(left);
	int right_count = consent_count(right);

	for (int l = 0, r = 0; l < left_count && r < right_count;)
	{
		ConsentDecision from_left;
		ConsentDecision from_right;
		int order;

		consent_get(left, l, &from_left);
		consent_get(right, r, &from_right);
		order = consent_compare_keys(&from_left, &from_right);
		if (order == 0)
			PG_RETURN_BOOL(true);
		if (order < 0)
			l++;
		else
			r++;
	}
	PG_RETURN_BOOL(false);
}

Datum
consent_merge(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(consent_combine(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)));
}

/* Without the decisions of exactly this purpose, whatever their channel and recipient. */
Datum
consent_without(PG_FUNCTION_ARGS)
{
	const Consent *consent = PG_GETARG_CONSENT(0);
	const text *purpose = PG_GETARG_TEXT_PP(1);
	int count = consent_count(consent);
	ConsentDecision *kept = palloc(sizeof(ConsentDecision) * (count + 1));
	int kept_count = 0;

	purpose_path_check(VARDATA_ANY(purpose), VARSIZE_ANY_EXHDR(purpose));
	for (int i = 0; i < count; i++)
	{
		ConsentDecision *decision = &kept[kept_count];

		consent_get(consent, i, decision);
		if (purpose_path_compare(decision->purpose, decision->purpose_len, VARDATA_ANY(purpose),
		                         VARSIZE_ANY_EXHDR(purpose)) != 0)
			kept_count++;
	}
	PG_RETURN_POINTER(consent_form(kept, kept_count));
}

Datum
consent_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(item_array_equal(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)));
}

Datum
consent_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!item_array_equal(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)));
}

Datum
consent_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)) < 0);
}

Datum
consent_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)) <= 0);
}

Datum
consent_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)) > 0);
}

Datum
consent_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)) >= 0);
}

Datum
consent_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(PG_GETARG_CONSENT(0), PG_GETARG_CONSENT(1)));
}

Datum
consent_hash(PG_FUNCTION_ARGS)
{
	const Consent *consent = PG_GETARG_CONSENT(0);

	return hash_any((const unsigned char *) VARDATA_ANY(consent), VARSIZE_ANY_EXHDR(consent));
}

Datum
consent_hash_extended(PG_FUNCTION_ARGS)
{
	const Consent *consent = PG_GETARG_CONSENT(0);

	return hash_any_extended((const unsigned char *) VARDATA_ANY(consent),
	                         VARSIZE_ANY_EXHDR(consent), PG_GETARG_INT64(1));
}

/* The purposes of a consent, each once, as text. */
static Datum *
purpose_keys(const Consent *consent, int32 *nkeys)
{
	int count = consent_count(consent);
	Datum *keys = palloc(sizeof(Datum) * (count + 1));
	ConsentDecision previous = {0};

	*nkeys = 0;
	for (int i = 0; i < count; i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		if (i == 0 || purpose_path_compare(decision.purpose, decision.purpose_len, previous.purpose,
		                                   previous.purpose_len) != 0)
			keys[(*nkeys)++] =
			    PointerGetDatum(cstring_to_text_with_len(decision.purpose, decision.purpose_len));
		previous = decision;
	}
	return keys;
}

Datum
consent_gin_extract_value(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);

	PG_RETURN_POINTER(purpose_keys(PG_GETARG_CONSENT(0), nkeys));
}

Datum
consent_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	int32 *search_mode = (int32 *) PG_GETARG_POINTER(6);
	Datum *keys;

	if (strategy == CONSENT_PERMITS_STRATEGY)
	{
		text *purpose = PG_GETARG_TEXT_PP(0);

		purpose_path_check(VARDATA_ANY(purpose), VARSIZE_ANY_EXHDR(purpose));
		keys = palloc(sizeof(Datum));
		keys[0] = PointerGetDatum(purpose);
		*nkeys = 1;
		PG_RETURN_POINTER(keys);
	}
	keys = purpose_keys(PG_GETARG_CONSENT(0), nkeys);
	if (*nkeys == 0 && strategy == CONSENT_CONTAINS_STRATEGY)
		*search_mode = GIN_SEARCH_MODE_ALL;
	PG_RETURN_POINTER(keys);
}

/*
 * The index knows purposes only, so a match is always rechecked. That the purpose itself is there
 * is necessary for every strategy: a consent never reaches down the tree.
 */
Datum
consent_gin_triconsistent(PG_FUNCTION_ARGS)
{
	GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	StrategyNumber strategy = PG_GETARG_UINT16(1);
	int32 nkeys = PG_GETARG_INT32(3);
	bool needs_all = strategy != CONSENT_OVERLAPS_STRATEGY;

	for (int32 i = 0; i < nkeys; i++)
	{
		if (needs_all && check[i] == GIN_FALSE)
			PG_RETURN_GIN_TERNARY_VALUE(GIN_FALSE);
		if (!needs_all && check[i] != GIN_FALSE)
			PG_RETURN_GIN_TERNARY_VALUE(GIN_MAYBE);
	}
	PG_RETURN_GIN_TERNARY_VALUE(needs_all ? GIN_MAYBE : GIN_FALSE);
}

static bool
contains(const Consent *whole, const Consent *part)
{
	int whole_count = consent_count(whole);
	int part_count = consent_count(part);
	int p = 0;

	for (int w = 0; w < whole_count && p < part_count; w++)
	{
		ConsentDecision from_whole;
		ConsentDecision from_part;
		int order;

		consent_get(whole, w, &from_whole);
		consent_get(part, p, &from_part);
		order = consent_compare_keys(&from_whole, &from_part);
		if (order > 0)
			return false;
		if (order < 0)
			continue;
		if (consent_compare_decisions(&from_whole, &from_part) != 0)
			return false;
		p++;
	}
	return p == part_count;
}

/* Decision by decision; the shorter of two equal beginnings first. */
static int
compare(const Consent *left, const Consent *right)
{
	int left_count = consent_count(left);
	int right_count = consent_count(right);

	for (int i = 0; i < Min(left_count, right_count); i++)
	{
		ConsentDecision from_left;
		ConsentDecision from_right;
		int order;

		consent_get(left, i, &from_left);
		consent_get(right, i, &from_right);
		order = consent_compare_decisions(&from_left, &from_right);
		if (order != 0)
			return order < 0 ? -1 : 1;
	}
	return (left_count > right_count) - (left_count < right_count);
}
