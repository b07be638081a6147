/*
 * purpose_set_ops.c
 *		Operators, operator classes and the aggregate of privacy_guard.purpose_set.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "types/item_array.h"
#include "types/purpose_path.h"
#include "types/purpose_set.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define PG_GETARG_PURPOSE_SET(n) DatumGetPurposeSetP(PG_GETARG_DATUM(n))

/* Strategies of the GIN class, as in types.sql. */
#define PURPOSE_SET_CONTAINS_STRATEGY 7
#define PURPOSE_SET_OVERLAPS_STRATEGY 8
#define PURPOSE_SET_COVERS_STRATEGY 9

PG_FUNCTION_INFO_V1(purpose_set_covers_text);
PG_FUNCTION_INFO_V1(purpose_set_contains);
PG_FUNCTION_INFO_V1(purpose_set_contained);
PG_FUNCTION_INFO_V1(purpose_set_overlaps);
PG_FUNCTION_INFO_V1(purpose_set_union);
PG_FUNCTION_INFO_V1(purpose_set_add);
PG_FUNCTION_INFO_V1(purpose_set_difference);
PG_FUNCTION_INFO_V1(purpose_set_remove);
PG_FUNCTION_INFO_V1(purpose_set_agg_step);
PG_FUNCTION_INFO_V1(purpose_set_agg_final);
PG_FUNCTION_INFO_V1(purpose_set_eq);
PG_FUNCTION_INFO_V1(purpose_set_ne);
PG_FUNCTION_INFO_V1(purpose_set_lt);
PG_FUNCTION_INFO_V1(purpose_set_le);
PG_FUNCTION_INFO_V1(purpose_set_gt);
PG_FUNCTION_INFO_V1(purpose_set_ge);
PG_FUNCTION_INFO_V1(purpose_set_cmp);
PG_FUNCTION_INFO_V1(purpose_set_hash);
PG_FUNCTION_INFO_V1(purpose_set_hash_extended);
PG_FUNCTION_INFO_V1(purpose_set_gin_extract_value);
PG_FUNCTION_INFO_V1(purpose_set_gin_extract_query);
PG_FUNCTION_INFO_V1(purpose_set_gin_triconsistent);

/* Which members of two sets walk() keeps. */
typedef enum WalkKeep
{
	KEEP_ALL,
	KEEP_LEFT_ONLY,
	KEEP_COMMON
} WalkKeep;

static int walk(const PurposeSet *left, const PurposeSet *right, WalkKeep keep,
                PurposeSetMember *out);
static PurposeSet *walk_form(const PurposeSet *left, const PurposeSet *right, WalkKeep keep);
static PurposeSet *single(const text *path);
static int compare(const PurposeSet *left, const PurposeSet *right);

Datum
purpose_set_covers_text(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = PG_GETARG_PURPOSE_SET(0);
	const text *path = PG_GETARG_TEXT_PP(1);

	purpose_path_check(VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));
	(void) purpose_set_count(set);
	PG_RETURN_BOOL(purpose_set_covers(set, VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path)));
}

Datum
purpose_set_contains(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(walk(PG_GETARG_PURPOSE_SET(1), PG_GETARG_PURPOSE_SET(0), KEEP_LEFT_ONLY, NULL) ==
	               0);
}

Datum
purpose_set_contained(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(walk(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1), KEEP_LEFT_ONLY, NULL) ==
	               0);
}

Datum
purpose_set_overlaps(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(walk(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1), KEEP_COMMON, NULL) > 0);
}

Datum
purpose_set_union(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(walk_form(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1), KEEP_ALL));
}

Datum
purpose_set_add(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(walk_form(PG_GETARG_PURPOSE_SET(0), single(PG_GETARG_TEXT_PP(1)), KEEP_ALL));
}

Datum
purpose_set_difference(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(
	    walk_form(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1), KEEP_LEFT_ONLY));
}

Datum
purpose_set_remove(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(
	    walk_form(PG_GETARG_PURPOSE_SET(0), single(PG_GETARG_TEXT_PP(1)), KEEP_LEFT_ONLY));
}

/* The state is the array of all paths so far; NULLs are skipped. */
Datum
purpose_set_agg_step(PG_FUNCTION_ARGS)
{
	ArrayBuildState *state = PG_ARGISNULL(0) ? NULL : (ArrayBuildState *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "purpose_set_agg_step called in non-aggregate context");
	if (!PG_ARGISNULL(1))
	{
		const text *path = PG_GETARG_TEXT_PP(1);

		purpose_path_check(VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));
		state = accumArrayResult(state, PointerGetDatum(path), false, TEXTOID, context);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* The empty set where there were no paths: it is what "none" means to every operator. */
Datum
purpose_set_agg_final(PG_FUNCTION_ARGS)
{
	ArrayBuildState *state = PG_ARGISNULL(0) ? NULL : (ArrayBuildState *) PG_GETARG_POINTER(0);
	int count = state != NULL ? state->nelems : 0;
	PurposeSetMember *members = palloc(sizeof(PurposeSetMember) * (count + 1));

	for (int i = 0; i < count; i++)
	{
		text *path = DatumGetTextPP(state->dvalues[i]);

		members[i].path = VARDATA_ANY(path);
		members[i].len = VARSIZE_ANY_EXHDR(path);
	}
	PG_RETURN_POINTER(purpose_set_form(members, count));
}

Datum
purpose_set_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(item_array_equal(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)));
}

Datum
purpose_set_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!item_array_equal(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)));
}

Datum
purpose_set_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)) < 0);
}

Datum
purpose_set_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)) <= 0);
}

Datum
purpose_set_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)) > 0);
}

Datum
purpose_set_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)) >= 0);
}

Datum
purpose_set_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(PG_GETARG_PURPOSE_SET(0), PG_GETARG_PURPOSE_SET(1)));
}

Datum
purpose_set_hash(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = PG_GETARG_PURPOSE_SET(0);

	return hash_any((const unsigned char *) VARDATA_ANY(set), VARSIZE_ANY_EXHDR(set));
}

Datum
purpose_set_hash_extended(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = PG_GETARG_PURPOSE_SET(0);

	return hash_any_extended((const unsigned char *) VARDATA_ANY(set), VARSIZE_ANY_EXHDR(set),
	                         PG_GETARG_INT64(1));
}

static Datum *
member_keys(const PurposeSet *set, int32 *nkeys)
{
	int count = purpose_set_count(set);
	Datum *keys = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
	{
		PurposeSetMember member;

		purpose_set_get(set, i, &member);
		keys[i] = PointerGetDatum(cstring_to_text_with_len(member.path, member.len));
	}
	*nkeys = count;
	return keys;
}

Datum
purpose_set_gin_extract_value(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);

	PG_RETURN_POINTER(member_keys(PG_GETARG_PURPOSE_SET(0), nkeys));
}

/* For "covers", the path and its ancestors: a set covers it when it has one of them. */
Datum
purpose_set_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	int32 *search_mode = (int32 *) PG_GETARG_POINTER(6);
	Datum *keys;

	if (strategy == PURPOSE_SET_COVERS_STRATEGY)
	{
		const text *path = PG_GETARG_TEXT_PP(0);
		const char *bytes = VARDATA_ANY(path);
		int len = VARSIZE_ANY_EXHDR(path);

		purpose_path_check(bytes, len);
		keys = palloc(sizeof(Datum) * PURPOSE_PATH_MAX_LABELS);
		*nkeys = 0;
		for (; len > 0; len = purpose_path_parent(bytes, len))
			keys[(*nkeys)++] = PointerGetDatum(cstring_to_text_with_len(bytes, len));
		PG_RETURN_POINTER(keys);
	}
	keys = member_keys(PG_GETARG_PURPOSE_SET(0), nkeys);
	if (*nkeys == 0 && strategy == PURPOSE_SET_CONTAINS_STRATEGY)
		*search_mode = GIN_SEARCH_MODE_ALL;
	PG_RETURN_POINTER(keys);
}

/* Exact for all three strategies: the index holds the members themselves. */
Datum
purpose_set_gin_triconsistent(PG_FUNCTION_ARGS)
{
	GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	bool needs_all = PG_GETARG_UINT16(1) == PURPOSE_SET_CONTAINS_STRATEGY;
	int32 nkeys = PG_GETARG_INT32(3);
	GinTernaryValue decisive = needs_all ? GIN_FALSE : GIN_TRUE;
	GinTernaryValue result = needs_all ? GIN_TRUE : GIN_FALSE;

	for (int32 i = 0; i < nkeys; i++)
	{
		if (check[i] == decisive)
			PG_RETURN_GIN_TERNARY_VALUE(decisive);
		if (check[i] == GIN_MAYBE)
			result = GIN_MAYBE;
	}
	PG_RETURN_GIN_TERNARY_VALUE(result);
}

/* Counts the members to keep and, unless out is NULL, stores them in order. */
static int
walk(const PurposeSet *left, const PurposeSet *right, WalkKeep keep, PurposeSetMember *out)
{
	int left_count = purpose_set_count(left);
	int right_count = purpose_set_count(right);
	int kept = 0;

	for (int l = 0, r = 0; l < left_count || (keep == KEEP_ALL && r < right_count);)
	{
		PurposeSetMember from_left = {0};
		PurposeSetMember from_right = {0};
		int order = l < left_count ? -1 : 1;

		if (l < left_count)
			purpose_set_get(left, l, &from_left);
		if (r < right_count)
			purpose_set_get(right, r, &from_right);
		if (l < left_count && r < right_count)
			order = purpose_path_compare(from_left.path, from_left.len, from_right.path,
			                             from_right.len);
		l += order <= 0;
		r += order >= 0;
		if (keep == KEEP_ALL || (keep == KEEP_COMMON ? order == 0 : order < 0))
		{
			if (out != NULL)
				out[kept] = order <= 0 ? from_left : from_right;
			kept++;
		}
	}
	return kept;
}

static PurposeSet *
walk_form(const PurposeSet *left, const PurposeSet *right, WalkKeep keep)
{
	Size room = purpose_set_count(left) + purpose_set_count(right) + 1;
	PurposeSetMember *members = palloc(sizeof(PurposeSetMember) * room);

	return purpose_set_form(members, walk(left, right, keep, members));
}

static PurposeSet *
single(const text *path)
{
	PurposeSetMember member = {VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path)};

	purpose_path_check(member.path, member.len);
	return purpose_set_form(&member, 1);
}

/* Member by member; the shorter of two equal beginnings first. */
static int
compare(const PurposeSet *left, const PurposeSet *right)
{
	int left_count = purpose_set_count(left);
	int right_count = purpose_set_count(right);

	for (int i = 0; i < Min(left_count, right_count); i++)
	{
		PurposeSetMember from_left;
		PurposeSetMember from_right;
		int order;

		purpose_set_get(left, i, &from_left);
		purpose_set_get(right, i, &from_right);
		order =
		    purpose_path_compare(from_left.path, from_left.len, from_right.path, from_right.len);
		if (order != 0)
			return order < 0 ? -1 : 1;
	}
	return (left_count > right_count) - (left_count < right_count);
}
