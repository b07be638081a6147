/*
 * subject_set_gin.c
 *		Index support of privacy_guard.subject_set: which sets hold a subject.
 *
 * Keys are bigints. A member is its own key. Where a set is dense, a key for each member would
 * make inserting slow and the index large; there, a block of 2^16 numbers (a container of the set)
 * has the one key -1 - block, which is below all members. Which blocks of a set these are is the
 * index's affair: a query looks for a member and for its block, and rechecks what it found by
 * block.
 *
 * A query is a list of ranges of numbers, each with two keys: one that matches members in the
 * range, one that matches their blocks. Of many ranges near each other are made fewer and wider
 * ones; the row is rechecked then.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/stratnum.h"
#include "fmgr.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"

/* Strategies, as in subject_set.sql. */
#define CONTAINS_SET_STRATEGY 7
#define OVERLAPS_STRATEGY 8
#define CONTAINS_NUMBER_STRATEGY 9

/* A block with more members than this has one key; fewer when the set would get too many keys. */
#define MOST_MEMBERS_IN_BLOCK 4096
#define MOST_KEYS 65536

/* Looking for more would take longer than rechecking what fewer let through. */
#define MOST_QUERY_RANGES 256

PG_FUNCTION_INFO_V1(subject_set_gin_extract_value);
PG_FUNCTION_INFO_V1(subject_set_gin_extract_query);
PG_FUNCTION_INFO_V1(subject_set_gin_compare_partial);
PG_FUNCTION_INFO_V1(subject_set_gin_triconsistent);

typedef struct QueryRange
{
	int64 first;
	int64 last;
} QueryRange;

/* What belongs to a query's key. */
typedef struct QueryKey
{
	int64 last; /* of the keys that match */
	bool exact; /* whether a match is one for sure */
} QueryKey;

static int64
block_key(uint64 number)
{
	return -1 - (int64) (number >> 16);
}

/* How many keys a set has when blocks of more members have one key. */
static uint64
count_keys(const char *portable, uint32 most_members)
{
	RoaringReader reader;
	RoaringContainer container;
	uint64 keys = 0;

	roaring_begin(&reader, portable);
	while (roaring_next_container(&reader, &container))
		keys += container.cardinality <= most_members ? container.cardinality : 1;
	return keys;
}

Datum
subject_set_gin_extract_value(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	Size size;
	const char *portable = subject_set_portable(PG_GETARG_SUBJECT_SET(0), &size);
	uint32 most_members = MOST_MEMBERS_IN_BLOCK;
	RoaringReader reader;
	RoaringContainer container;
	Datum *keys;

	while (most_members > 0 && count_keys(portable, most_members) > MOST_KEYS)
		most_members /= 2;
	keys = palloc(sizeof(Datum) * (count_keys(portable, most_members) + 1));
	*nkeys = 0;
	roaring_begin(&reader, portable);
	while (roaring_next_container(&reader, &container))
	{
		uint64 first;
		uint64 last;

		if (container.cardinality > most_members)
		{
			keys[(*nkeys)++] = Int64GetDatum(block_key(container.key << 16));
			continue;
		}
		while (roaring_next_range(&container, &first, &last))
		{
			for (; first <= last; first++)
				keys[(*nkeys)++] = Int64GetDatum(first);
		}
	}
	PG_RETURN_POINTER(keys);
}

/*
 * The ranges of a set; those no further apart than this are taken together. -1 when they are too
 * many; otherwise sets whether every number in them is a member.
 */
static int
list_ranges(const char *portable, uint64 gap, QueryRange *list, bool *exact)
{
	RoaringRanges ranges;
	uint64 first;
	uint64 last;
	int count = 0;

	*exact = true;
	roaring_ranges_begin(&ranges, portable);
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		if (count > 0 && first - list[count - 1].last <= gap)
		{
			list[count - 1].last = last;
			*exact = false;
			continue;
		}
		if (count == MOST_QUERY_RANGES)
			return -1;
		list[count].first = first;
		list[count++].last = last;
	}
	return count;
}

/* For "overlaps": ranges that hold all members. */
static int
overlap_ranges(const char *portable, QueryRange *list, bool *exact)
{
	int shift = 0;
	int count;

	while ((count = list_ranges(portable, (UINT64CONST(1) << shift) - 1, list, exact)) < 0)
		shift += 4;
	return count;
}

/* For "contains": single members, all or, of a large set, some of each part. */
static int
member_ranges(const char *portable, QueryRange *list, bool *exact)
{
	uint64 every = (roaring_cardinality(portable) + MOST_QUERY_RANGES - 1) / MOST_QUERY_RANGES;
	RoaringRanges ranges;
	uint64 first;
	uint64 last;
	uint64 skip = 0;
	int count = 0;

	*exact = every <= 1;
	roaring_ranges_begin(&ranges, portable);
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		uint64 length = last - first + 1;

		for (; skip < length; skip += every)
		{
			list[count].first = list[count].last = first + skip;
			count++;
		}
		skip -= length;
	}
	return count;
}

Datum
subject_set_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32 *nkeys = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	bool **partial_matches = (bool **) PG_GETARG_POINTER(3);
	Pointer **extra_data = (Pointer **) PG_GETARG_POINTER(4);
	int32 *search_mode = (int32 *) PG_GETARG_POINTER(6);
	QueryRange list[MOST_QUERY_RANGES];
	bool exact = true;
	int count;
	Datum *keys;
	QueryKey *query_keys;

	if (strategy == CONTAINS_NUMBER_STRATEGY)
	{
		list[0].first = list[0].last = PG_GETARG_INT64(0);
		count = list[0].first >= 1;
	}
	else
	{
		Size size;
		const char *portable = subject_set_portable(PG_GETARG_SUBJECT_SET(0), &size);

		if (strategy == OVERLAPS_STRATEGY)
			count = overlap_ranges(portable, list, &exact);
		else
			count = member_ranges(portable, list, &exact);
		if (count == 0 && strategy == CONTAINS_SET_STRATEGY)
			*search_mode = GIN_SEARCH_MODE_ALL;
	}
	keys = palloc(sizeof(Datum) * (2 * count + 1));
	query_keys = palloc(sizeof(QueryKey) * (2 * count + 1));
	*partial_matches = palloc(sizeof(bool) * (2 * count + 1));
	*extra_data = palloc(sizeof(Pointer) * (2 * count + 1));
	*nkeys = 2 * count;
	for (int i = 0; i < 2 * count; i++)
	{
		const QueryRange *range = &list[i / 2];
		bool is_block = i % 2 == 1;
		int64 first = is_block ? block_key(range->last) : range->first;

		query_keys[i].last = is_block ? block_key(range->first) : range->last;
		query_keys[i].exact = exact && !is_block;
		keys[i] = Int64GetDatum(first);
		(*partial_matches)[i] = first != query_keys[i].last;
		(*extra_data)[i] = (Pointer) &query_keys[i];
	}
	PG_RETURN_POINTER(keys);
}

/* The scan begins at the key of the query, and ends behind the last one that matches. */
Datum
subject_set_gin_compare_partial(PG_FUNCTION_ARGS)
{
	int64 key = PG_GETARG_INT64(1);
	const QueryKey *query_key = (QueryKey *) PG_GETARG_POINTER(3);

	PG_RETURN_INT32(key > query_key->last ? 1 : 0);
}

/* Whether a set has a member in the range of which these are the two keys. */
static GinTernaryValue
range_matches(const GinTernaryValue *check, const Pointer *extra_data)
{
	const QueryKey *members = (const QueryKey *) extra_data[0];

	if (check[0] == GIN_TRUE && members->exact)
		return GIN_TRUE;
	return check[0] == GIN_FALSE && check[1] == GIN_FALSE ? GIN_FALSE : GIN_MAYBE;
}

Datum
subject_set_gin_triconsistent(PG_FUNCTION_ARGS)
{
	const GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	bool needs_all = PG_GETARG_UINT16(1) != OVERLAPS_STRATEGY;
	int32 nkeys = PG_GETARG_INT32(3);
	const Pointer *extra_data = (Pointer *) PG_GETARG_POINTER(4);
	GinTernaryValue decisive = needs_all ? GIN_FALSE : GIN_TRUE;
	GinTernaryValue result = needs_all ? GIN_TRUE : GIN_FALSE;

	for (int32 i = 0; i < nkeys; i += 2)
	{
		GinTernaryValue matches = range_matches(check + i, extra_data + i);

		if (matches == decisive)
			PG_RETURN_GIN_TERNARY_VALUE(decisive);
		if (matches == GIN_MAYBE)
			result = GIN_MAYBE;
	}
	PG_RETURN_GIN_TERNARY_VALUE(result);
}
