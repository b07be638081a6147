/*
 * subject_set_ops.c
 *		Operators, order, hash and the aggregates of privacy_guard.subject_set.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(subject_set_cardinality);
PG_FUNCTION_INFO_V1(subject_set_subjects);
PG_FUNCTION_INFO_V1(subject_set_contains_number);
PG_FUNCTION_INFO_V1(subject_set_number_contained);
PG_FUNCTION_INFO_V1(subject_set_contains_set);
PG_FUNCTION_INFO_V1(subject_set_contained);
PG_FUNCTION_INFO_V1(subject_set_overlaps);
PG_FUNCTION_INFO_V1(subject_set_union);
PG_FUNCTION_INFO_V1(subject_set_add);
PG_FUNCTION_INFO_V1(subject_set_intersection);
PG_FUNCTION_INFO_V1(subject_set_difference);
PG_FUNCTION_INFO_V1(subject_set_remove);
PG_FUNCTION_INFO_V1(subject_set_agg_step);
PG_FUNCTION_INFO_V1(subject_set_union_step);
PG_FUNCTION_INFO_V1(subject_set_agg_combine);
PG_FUNCTION_INFO_V1(subject_set_agg_serial);
PG_FUNCTION_INFO_V1(subject_set_agg_deserial);
PG_FUNCTION_INFO_V1(subject_set_agg_final);
PG_FUNCTION_INFO_V1(subject_set_eq);
PG_FUNCTION_INFO_V1(subject_set_ne);
PG_FUNCTION_INFO_V1(subject_set_lt);
PG_FUNCTION_INFO_V1(subject_set_le);
PG_FUNCTION_INFO_V1(subject_set_gt);
PG_FUNCTION_INFO_V1(subject_set_ge);
PG_FUNCTION_INFO_V1(subject_set_cmp);
PG_FUNCTION_INFO_V1(subject_set_hash);
PG_FUNCTION_INFO_V1(subject_set_hash_extended);

/* So many members are looked up in another set one by one. */
#define FEW_MEMBERS 64

/* subjects() between its rows: the range that it is in the middle of. */
typedef struct SubjectRows
{
	RoaringRanges ranges;
	uint64 next;
	uint64 last;
} SubjectRows;

static SubjectBits *argument_bits(FunctionCallInfo fcinfo, int argument);
static Datum form_and_clear(SubjectBits *bits, SubjectBits *other);
static uint64 checked_number(int64 number);
static SubjectBits *agg_state(FunctionCallInfo fcinfo);
static bool contains(const SubjectSet *outer, const SubjectSet *inner);
static bool overlaps(const SubjectSet *left, const SubjectSet *right);
static bool is_equal(FunctionCallInfo fcinfo);
static int compare(FunctionCallInfo fcinfo);

Datum
subject_set_cardinality(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(subject_set_count(PG_GETARG_SUBJECT_SET(0)));
}

Datum
subject_set_subjects(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	SubjectRows *rows;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		Size size;

		call = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		rows = palloc(sizeof(SubjectRows));
		roaring_ranges_begin(
		    &rows->ranges,
		    subject_set_portable((SubjectSet *) PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)), &size));
		rows->next = 1;
		rows->last = 0;
		call->user_fctx = rows;
		MemoryContextSwitchTo(caller);
	}
	call = SRF_PERCALL_SETUP();
	rows = call->user_fctx;
	if (rows->next > rows->last && !roaring_ranges_next(&rows->ranges, &rows->next, &rows->last))
		SRF_RETURN_DONE(call);
	SRF_RETURN_NEXT(call, Int64GetDatum(rows->next++));
}

Datum
subject_set_contains_number(PG_FUNCTION_ARGS)
{
	int64 number = PG_GETARG_INT64(1);

	PG_RETURN_BOOL(number >= 1 && subject_set_contains(PG_GETARG_SUBJECT_SET(0), number));
}

Datum
subject_set_number_contained(PG_FUNCTION_ARGS)
{
	int64 number = PG_GETARG_INT64(0);

	PG_RETURN_BOOL(number >= 1 && subject_set_contains(PG_GETARG_SUBJECT_SET(1), number));
}

Datum
subject_set_contains_set(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains(PG_GETARG_SUBJECT_SET(0), PG_GETARG_SUBJECT_SET(1)));
}

Datum
subject_set_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(contains(PG_GETARG_SUBJECT_SET(1), PG_GETARG_SUBJECT_SET(0)));
}

Datum
subject_set_overlaps(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(overlaps(PG_GETARG_SUBJECT_SET(0), PG_GETARG_SUBJECT_SET(1)));
}

Datum
subject_set_union(PG_FUNCTION_ARGS)
{
	SubjectBits *bits = argument_bits(fcinfo, 0);
	Size size;
	const char *portable = subject_set_portable(PG_GETARG_SUBJECT_SET(1), &size);

	subject_bits_or_serialized(bits, portable, size);
	return form_and_clear(bits, NULL);
}

Datum
subject_set_add(PG_FUNCTION_ARGS)
{
	uint64 number = checked_number(PG_GETARG_INT64(1));
	SubjectBits *bits = argument_bits(fcinfo, 0);

	subject_bits_add(bits, number);
	return form_and_clear(bits, NULL);
}

Datum
subject_set_intersection(PG_FUNCTION_ARGS)
{
	SubjectBits *bits = argument_bits(fcinfo, 0);
	SubjectBits *other = argument_bits(fcinfo, 1);

	subject_bits_and(bits, other);
	return form_and_clear(bits, other);
}

Datum
subject_set_difference(PG_FUNCTION_ARGS)
{
	SubjectBits *bits = argument_bits(fcinfo, 0);
	SubjectBits *other = argument_bits(fcinfo, 1);

	subject_bits_subtract(bits, other);
	return form_and_clear(bits, other);
}

Datum
subject_set_remove(PG_FUNCTION_ARGS)
{
	uint64 number = checked_number(PG_GETARG_INT64(1));
	SubjectBits *bits = argument_bits(fcinfo, 0);
	SubjectBits *other = subject_bits_create(CurrentMemoryContext);

	subject_bits_add(other, number);
	subject_bits_subtract(bits, other);
	return form_and_clear(bits, other);
}

/* The aggregates share a state, a growing set; they differ in what a step puts in. */

Datum
subject_set_agg_step(PG_FUNCTION_ARGS)
{
	SubjectBits *state = agg_state(fcinfo);

	if (!PG_ARGISNULL(1))
		subject_bits_add(state, checked_number(PG_GETARG_INT64(1)));
	PG_RETURN_POINTER(state);
}

Datum
subject_set_union_step(PG_FUNCTION_ARGS)
{
	SubjectBits *state = agg_state(fcinfo);

	if (!PG_ARGISNULL(1))
	{
		Size size;
		const char *portable = subject_set_portable(PG_GETARG_SUBJECT_SET(1), &size);

		subject_bits_or_serialized(state, portable, size);
	}
	PG_RETURN_POINTER(state);
}

Datum
subject_set_agg_combine(PG_FUNCTION_ARGS)
{
	SubjectBits *state = agg_state(fcinfo);

	if (!PG_ARGISNULL(1))
		subject_bits_or(state, (SubjectBits *) PG_GETARG_POINTER(1));
	PG_RETURN_POINTER(state);
}

/* For a parallel worker's leader: a value of the type, as a bytea. */
Datum
subject_set_agg_serial(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(subject_set_from_bits((SubjectBits *) PG_GETARG_POINTER(0)));
}

Datum
subject_set_agg_deserial(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(argument_bits(fcinfo, 0));
}

/* The empty set where there was nothing: it is what "none" means to every operator. */
Datum
subject_set_agg_final(PG_FUNCTION_ARGS)
{
	SubjectBits *state = PG_ARGISNULL(0) ? NULL : (SubjectBits *) PG_GETARG_POINTER(0);

	if (state == NULL)
		state = subject_bits_create(CurrentMemoryContext);
	PG_RETURN_POINTER(subject_set_from_bits(state));
}

Datum
subject_set_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_equal(fcinfo));
}

Datum
subject_set_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!is_equal(fcinfo));
}

Datum
subject_set_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
subject_set_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
subject_set_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
subject_set_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
subject_set_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

Datum
subject_set_hash(PG_FUNCTION_ARGS)
{
	const SubjectSet *set = PG_GETARG_SUBJECT_SET(0);

	return hash_any((const unsigned char *) VARDATA_ANY(set), VARSIZE_ANY_EXHDR(set));
}

Datum
subject_set_hash_extended(PG_FUNCTION_ARGS)
{
	const SubjectSet *set = PG_GETARG_SUBJECT_SET(0);

	return hash_any_extended((const unsigned char *) VARDATA_ANY(set), VARSIZE_ANY_EXHDR(set),
	                         PG_GETARG_INT64(1));
}

static SubjectBits *
argument_bits(FunctionCallInfo fcinfo, int argument)
{
	return subject_set_bits(CurrentMemoryContext, PG_GETARG_SUBJECT_SET(argument));
}

/* Makes the value to return; gives the memory of the sets back early. */
static Datum
form_and_clear(SubjectBits *bits, SubjectBits *other)
{
	SubjectSet *set = subject_set_from_bits(bits);

	subject_bits_clear(bits);
	if (other != NULL)
		subject_bits_clear(other);
	PG_RETURN_POINTER(set);
}

/* How many members of the first set, which has few, are in the second. */
static uint64
count_common(const SubjectSet *few, const SubjectSet *set)
{
	Size size;
	RoaringRanges ranges;
	uint64 first;
	uint64 last;
	uint64 count = 0;

	roaring_ranges_begin(&ranges, subject_set_portable(few, &size));
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		for (; first <= last; first++)
			count += subject_set_contains(set, first);
	}
	return count;
}

static bool
contains(const SubjectSet *outer, const SubjectSet *inner)
{
	uint64 inner_count = subject_set_count(inner);
	SubjectBits *outer_bits;
	SubjectBits *inner_bits;
	bool result;

	if (inner_count <= FEW_MEMBERS)
		return count_common(inner, outer) == inner_count;
	if (inner_count > subject_set_count(outer))
		return false;
	outer_bits = subject_set_bits(CurrentMemoryContext, outer);
	inner_bits = subject_set_bits(CurrentMemoryContext, inner);
	result = subject_bits_contain(outer_bits, inner_bits);
	subject_bits_clear(outer_bits);
	subject_bits_clear(inner_bits);
	return result;
}

static bool
overlaps(const SubjectSet *left, const SubjectSet *right)
{
	SubjectBits *left_bits;
	SubjectBits *right_bits;
	bool result;

	if (subject_set_count(left) <= FEW_MEMBERS)
		return count_common(left, right) > 0;
	if (subject_set_count(right) <= FEW_MEMBERS)
		return count_common(right, left) > 0;
	left_bits = subject_set_bits(CurrentMemoryContext, left);
	right_bits = subject_set_bits(CurrentMemoryContext, right);
	result = subject_bits_overlap(left_bits, right_bits);
	subject_bits_clear(left_bits);
	subject_bits_clear(right_bits);
	return result;
}

static uint64
checked_number(int64 number)
{
	if (number < 1)
		subject_set_out_of_range();
	return number;
}

/* The state so far, made when there is none. */
static SubjectBits *
agg_state(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate of subject sets called in non-aggregate context");
	if (!PG_ARGISNULL(0))
		return (SubjectBits *) PG_GETARG_POINTER(0);
	return subject_bits_create(context);
}

static bool
is_equal(FunctionCallInfo fcinfo)
{
	const SubjectSet *left = PG_GETARG_SUBJECT_SET(0);
	const SubjectSet *right = PG_GETARG_SUBJECT_SET(1);
	Size size = VARSIZE_ANY_EXHDR(left);

	return size == VARSIZE_ANY_EXHDR(right) &&
	       memcmp(VARDATA_ANY(left), VARDATA_ANY(right), size) == 0;
}

/* Member by member; the shorter of two equal beginnings first. */
static int
compare(FunctionCallInfo fcinfo)
{
	Size size;
	RoaringRanges left;
	RoaringRanges right;
	uint64 left_first;
	uint64 left_last;
	uint64 right_first;
	uint64 right_last;
	bool has_left;
	bool has_right;

	roaring_ranges_begin(&left, subject_set_portable(PG_GETARG_SUBJECT_SET(0), &size));
	roaring_ranges_begin(&right, subject_set_portable(PG_GETARG_SUBJECT_SET(1), &size));
	do
	{
		has_left = roaring_ranges_next(&left, &left_first, &left_last);
		has_right = roaring_ranges_next(&right, &right_first, &right_last);
		if (!has_left || !has_right)
			return (int) has_left - (int) has_right;
		if (left_first != right_first)
			return left_first < right_first ? -1 : 1;
	} while (left_last == right_last);
	/* Where one range ends, the other set goes on with the next number, its own set with a later.
	 */
	if (left_last < right_last)
		return roaring_ranges_next(&left, &left_first, &left_last) ? 1 : -1;
	return roaring_ranges_next(&right, &right_first, &right_last) ? -1 : 1;
}
