/*
 * item_array.h
 *		The stored form that consent and purpose_set share: a counted array of byte strings.
 *
 * After the varlena header, unaligned, numbers in the server's byte order:
 *
 *		uint8 format	version of the form; each type has its own
 *		uint8 flags		ITEM_ARRAY_WIDE, other bits are 0
 *		uint16 count
 *		count ends of items, counted from the first item: uint16, or uint32 when WIDE
 *		the items
 *
 * WIDE is set exactly when the items take more than 65,535 bytes: a value has one stored form, and
 * equality is memcmp. Every read is a memcpy, so that a value with a short header (detoasted
 * "packed") is read in place, without a copy.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_ITEM_ARRAY_H
#define PRIVACY_GUARD_ITEM_ARRAY_H

/* Part of postgres.h before PostgreSQL 16. */
#if __has_include("varatt.h")
#include "varatt.h"
#endif

#define ITEM_ARRAY_WIDE 0x01
#define ITEM_ARRAY_HEADER 4
#define ITEM_ARRAY_MAX_COUNT PG_UINT16_MAX

typedef struct ItemArray
{
	const char *ends;
	const char *items;
	int count;
	bool wide;
} ItemArray;

/* Opens a detoasted, possibly packed value; false when it has another format version. */
static inline bool
item_array_open(const void *value, uint8 format, ItemArray *array)
{
	const char *payload = VARDATA_ANY(value);
	uint16 count;

	if (VARSIZE_ANY_EXHDR(value) < ITEM_ARRAY_HEADER || (uint8) payload[0] != format)
		return false;
	memcpy(&count, payload + 2, sizeof(count));
	array->count = count;
	array->wide = (payload[1] & ITEM_ARRAY_WIDE) != 0;
	array->ends = payload + ITEM_ARRAY_HEADER;
	array->items = array->ends + count * (array->wide ? sizeof(uint32) : sizeof(uint16));
	return true;
}

static inline uint32
item_array_end(const ItemArray *array, int i)
{
	if (array->wide)
	{
		uint32 end;

		memcpy(&end, array->ends + i * sizeof(end), sizeof(end));
		return end;
	}
	else
	{
		uint16 end;

		memcpy(&end, array->ends + i * sizeof(end), sizeof(end));
		return end;
	}
}

static inline const char *
item_array_get(const ItemArray *array, int i, int *len)
{
	uint32 start = i > 0 ? item_array_end(array, i - 1) : 0;

	*len = item_array_end(array, i) - start;
	return array->items + start;
}

/*
 * Allocates a value for count items of item_bytes in all. The caller then writes each item at the
 * place that item_array_put() tells, in order.
 */
static inline struct varlena *
item_array_create(uint8 format, int count, Size item_bytes, ItemArray *array)
{
	bool wide = item_bytes > PG_UINT16_MAX;
	Size end_bytes = count * (wide ? sizeof(uint32) : sizeof(uint16));
	Size size = VARHDRSZ + ITEM_ARRAY_HEADER + end_bytes + item_bytes;
	struct varlena *value = palloc(size);
	char *payload = VARDATA(value);
	uint16 stored_count = count;

	Assert(count <= ITEM_ARRAY_MAX_COUNT);
	SET_VARSIZE(value, size);
	payload[0] = format;
	payload[1] = wide ? ITEM_ARRAY_WIDE : 0;
	memcpy(payload + 2, &stored_count, sizeof(stored_count));
	array->count = count;
	array->wide = wide;
	array->ends = payload + ITEM_ARRAY_HEADER;
	array->items = array->ends + end_bytes;
	return value;
}

/* Reserves the place of item i, of len bytes; items before it are complete. */
static inline char *
item_array_put(ItemArray *array, int i, int len)
{
	uint32 start = i > 0 ? item_array_end(array, i - 1) : 0;
	uint32 end = start + len;
	uint16 short_end = end;

	if (array->wide)
		memcpy((char *) array->ends + i * sizeof(end), &end, sizeof(end));
	else
		memcpy((char *) array->ends + i * sizeof(short_end), &short_end, sizeof(short_end));
	return (char *) array->items + start;
}

/* Of two values in their one stored form. */
static inline bool
item_array_equal(const void *left, const void *right)
{
	Size size = VARSIZE_ANY_EXHDR(left);

	return size == VARSIZE_ANY_EXHDR(right) &&
	       memcmp(VARDATA_ANY(left), VARDATA_ANY(right), size) == 0;
}

#endif /* PRIVACY_GUARD_ITEM_ARRAY_H */
