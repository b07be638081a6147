/*
 * roaring_format.c
 *		Reading and checking the portable 64-bit Roaring format.
 *
 * A 32-bit bitmap begins with one of two cookies. The one that allows runs counts the containers in
 * its upper half and is followed by a flag for each container; after the other the count follows.
 * Then the heads of all containers, their offsets (left out in a bitmap of fewer than four
 * containers with runs), and the containers: an array of uint16; a count of runs and for each its
 * start and its length - 1; or 2^16 bits.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "types/roaring_format.h"
#include "utils/memutils.h"

#define COOKIE_WITH_RUNS 12347
#define COOKIE_WITHOUT_RUNS 12346

/* Bitmaps with runs and fewer containers have no offsets. */
#define OFFSETS_FROM 4

#define HEAD_BYTES 4
#define RUN_BYTES 4

/* No number is above 2^63 - 1. */
#define MAX_HIGH PG_INT32_MAX

static inline uint16
read16(const uint8 *at)
{
	return at[0] | (uint16) at[1] << 8;
}

static inline uint32
read32(const uint8 *at)
{
	return read16(at) | (uint32) read16(at + 2) << 16;
}

static inline uint64
read64(const uint8 *at)
{
	return read32(at) | (uint64) read32(at + 4) << 32;
}

static inline uint16
container_key(const RoaringBucket *bucket, uint32 i)
{
	return read16(bucket->heads + i * HEAD_BYTES);
}

static inline uint32
container_cardinality(const RoaringBucket *bucket, uint32 i)
{
	return read16(bucket->heads + i * HEAD_BYTES + 2) + 1;
}

static inline bool
container_has_runs(const RoaringBucket *bucket, uint32 i)
{
	return bucket->run_flags != NULL && (bucket->run_flags[i / 8] >> i % 8 & 1) != 0;
}

/* Describes container i, which starts at a known place. */
static inline void
describe_container(const RoaringBucket *bucket, uint32 i, const uint8 *at,
                   RoaringContainer *container)
{
	container->key = (uint64) bucket->high << 16 | container_key(bucket, i);
	container->cardinality = container_cardinality(bucket, i);
	container->items = container->cardinality;
	container->data = at;
	container->position = 0;
	if (container_has_runs(bucket, i))
	{
		container->kind = ROARING_RUNS;
		container->items = read16(at);
		container->data = at + sizeof(uint16);
	}
	else if (container->cardinality <= ROARING_ARRAY_MAX)
		container->kind = ROARING_ARRAY;
	else
		container->kind = ROARING_BITS;
}

static inline const uint8 *
container_end(const RoaringContainer *container)
{
	switch (container->kind)
	{
		case ROARING_ARRAY:
			return container->data + container->items * sizeof(uint16);
		case ROARING_RUNS:
			return container->data + container->items * RUN_BYTES;
		default:
			return container->data + ROARING_BITS_BYTES;
	}
}

static void
get_container(const RoaringBucket *bucket, uint32 i, RoaringContainer *container)
{
	if (bucket->offsets != NULL)
		describe_container(bucket, i, bucket->start + read32(bucket->offsets + i * sizeof(uint32)),
		                   container);
	else
	{
		const uint8 *at = bucket->data;

		for (uint32 before = 0; before < i; before++)
		{
			describe_container(bucket, before, at, container);
			at = container_end(container);
		}
		describe_container(bucket, i, at, container);
	}
}

/*
 * Finds the parts of the bucket that starts here; false when there are not enough bytes for what
 * stands before its containers, or when that is no bitmap.
 */
static bool
open_bucket(RoaringBucket *bucket, const uint8 *at, Size available)
{
	Size needed = 2 * sizeof(uint32);
	uint32 cookie;

	if (available < needed + sizeof(uint32))
		return false;
	bucket->high = read32(at);
	at += sizeof(uint32);
	available -= sizeof(uint32);
	bucket->start = at;
	cookie = read32(at);
	bucket->run_flags = NULL;
	bucket->offsets = NULL;
	if ((cookie & 0xFFFF) == COOKIE_WITH_RUNS)
	{
		bucket->containers = (cookie >> 16) + 1;
		bucket->run_flags = at + sizeof(uint32);
		bucket->heads = bucket->run_flags + (bucket->containers + 7) / 8;
	}
	else if (cookie == COOKIE_WITHOUT_RUNS)
	{
		bucket->containers = read32(at + sizeof(uint32));
		bucket->heads = at + 2 * sizeof(uint32);
	}
	else
		return false;
	if (bucket->containers == 0 || bucket->containers > PG_UINT16_MAX + 1)
		return false;
	bucket->data = bucket->heads + bucket->containers * HEAD_BYTES;
	if (bucket->run_flags == NULL || bucket->containers >= OFFSETS_FROM)
	{
		bucket->offsets = bucket->data;
		bucket->data += bucket->containers * sizeof(uint32);
	}
	return bucket->data - at <= available;
}

static bool
check_array(const RoaringContainer *container)
{
	for (uint32 i = 1; i < container->items; i++)
	{
		if (read16(container->data + 2 * i) <= read16(container->data + 2 * i - 2))
			return false;
	}
	return true;
}

static bool
check_runs(const RoaringContainer *container)
{
	uint32 cardinality = 0;
	int64 previous = -2;

	for (uint32 i = 0; i < container->items; i++)
	{
		uint32 first = read16(container->data + i * RUN_BYTES);
		uint32 last = first + read16(container->data + i * RUN_BYTES + 2);

		if (first <= previous + 1 || last > PG_UINT16_MAX)
			return false;
		cardinality += last - first + 1;
		previous = last;
	}
	return container->items > 0 && cardinality == container->cardinality;
}

/* Checks a container that starts here and sets where it ends. */
static bool
check_container(const RoaringBucket *bucket, uint32 i, const uint8 **at, const uint8 *end)
{
	RoaringContainer container;

	if (end - *at < sizeof(uint16))
		return false;
	describe_container(bucket, i, *at, &container);
	if (container_end(&container) - *at > end - *at)
		return false;
	*at = container_end(&container);
	if (container.key == 0)
	{
		RoaringContainer first = container;
		uint64 number;
		uint64 last;

		if (roaring_next_range(&first, &number, &last) && number == 0)
			return false;
	}
	switch (container.kind)
	{
		case ROARING_ARRAY:
			return check_array(&container);
		case ROARING_RUNS:
			return check_runs(&container);
		default:
			return pg_popcount((const char *) container.data, ROARING_BITS_BYTES) ==
			       container.cardinality;
	}
}

static const char *
check_bucket(const RoaringBucket *bucket, const uint8 **at, const uint8 *end)
{
	uint32 containers = bucket->containers;

	if (bucket->run_flags != NULL && containers % 8 != 0 &&
	    bucket->run_flags[containers / 8] >> containers % 8 != 0)
		return "flag";
	*at = bucket->data;
	for (uint32 i = 0; i < containers; i++)
	{
		if (i > 0 && container_key(bucket, i) <= container_key(bucket, i - 1))
			return "order of containers";
		if (bucket->offsets != NULL &&
		    read32(bucket->offsets + i * sizeof(uint32)) != *at - bucket->start)
			return "offset";
		if (!check_container(bucket, i, at, end))
			return "container";
	}
	return NULL;
}

const char *
roaring_check(const void *bytes, Size size)
{
	const uint8 *at = bytes;
	const uint8 *end = at + size;
	uint64 buckets;
	uint64 containers = 0;
	int64 previous_high = -1;

	if (size < ROARING_EMPTY_BYTES)
		return "number of buckets";
	buckets = read64(at);
	at += sizeof(uint64);
	for (uint64 i = 0; i < buckets; i++)
	{
		RoaringBucket bucket;
		const char *problem;

		if (!open_bucket(&bucket, at, end - at))
			return "bucket";
		if (bucket.high <= previous_high || bucket.high > MAX_HIGH)
			return "order of buckets";
		previous_high = bucket.high;
		containers += bucket.containers;
		if (containers > ROARING_MAX_CONTAINERS)
			return "number of containers";
		problem = check_bucket(&bucket, &at, end);
		if (problem != NULL)
			return problem;
	}
	return at == end ? NULL : "length";
}

Size
roaring_bucket_size(const RoaringBucket *bucket)
{
	RoaringContainer last;

	get_container(bucket, bucket->containers - 1, &last);
	return container_end(&last) - bucket->start;
}

void
roaring_begin(RoaringReader *reader, const void *bytes)
{
	reader->buckets_left = read64(bytes);
	reader->next = (const uint8 *) bytes + sizeof(uint64);
	reader->bucket.containers = 0;
	reader->containers_done = 0;
}

bool
roaring_next_bucket(RoaringReader *reader)
{
	if (reader->buckets_left == 0)
		return false;
	reader->buckets_left--;
	if (!open_bucket(&reader->bucket, reader->next, MaxAllocHugeSize))
		ereport(ERROR,
		        (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a stored set of subjects is damaged"),
		         errhint("Restore the table that it is in from a backup.")));
	reader->containers_done = 0;
	reader->next = reader->bucket.start + roaring_bucket_size(&reader->bucket);
	return true;
}

bool
roaring_next_container(RoaringReader *reader, RoaringContainer *container)
{
	if (reader->containers_done == reader->bucket.containers && !roaring_next_bucket(reader))
		return false;
	get_container(&reader->bucket, reader->containers_done++, container);
	return true;
}

/* The first position from this one on whose bit is set, or is clear; 2^16 when there is none. */
static uint32
find_bit(const uint8 *bits, uint32 position, bool set)
{
	while (position <= PG_UINT16_MAX)
	{
		uint64 word = read64(bits + position / 64 * sizeof(uint64));

		word = (set ? word : ~word) >> position % 64;
		if (word != 0)
			return position + pg_rightmost_one_pos64(word);
		position = (position / 64 + 1) * 64;
	}
	return position;
}

bool
roaring_next_range(RoaringContainer *container, uint64 *first, uint64 *last)
{
	const uint8 *data = container->data;
	uint32 i = container->position;
	uint64 base = container->key << 16;

	switch (container->kind)
	{
		case ROARING_ARRAY:
			if (i >= container->items)
				return false;
			*first = base + read16(data + 2 * i);
			while (i + 1 < container->items &&
			       read16(data + 2 * i + 2) == (uint32) read16(data + 2 * i) + 1)
				i++;
			*last = base + read16(data + 2 * i);
			container->position = i + 1;
			return true;
		case ROARING_RUNS:
			if (i >= container->items)
				return false;
			*first = base + read16(data + i * RUN_BYTES);
			*last = *first + read16(data + i * RUN_BYTES + 2);
			container->position = i + 1;
			return true;
		default:
			i = find_bit(data, i, true);
			if (i > PG_UINT16_MAX)
				return false;
			*first = base + i;
			container->position = find_bit(data, i, false);
			*last = base + container->position - 1;
			return true;
	}
}

uint64
roaring_cardinality(const void *bytes)
{
	RoaringReader reader;
	uint64 cardinality = 0;

	roaring_begin(&reader, bytes);
	while (roaring_next_bucket(&reader))
	{
		for (uint32 i = 0; i < reader.bucket.containers; i++)
			cardinality += container_cardinality(&reader.bucket, i);
	}
	return cardinality;
}

/* How many of the items, which are item_size apart and begin with an ascending uint16, are <= low.
 */
static uint32
items_up_to(const uint8 *items, uint32 count, Size item_size, uint16 low)
{
	uint32 from = 0;

	while (from < count)
	{
		uint32 middle = (from + count) / 2;

		if (read16(items + middle * item_size) <= low)
			from = middle + 1;
		else
			count = middle;
	}
	return from;
}

static bool
container_contains(const RoaringContainer *container, uint16 low)
{
	const uint8 *item;
	uint32 i;

	if (container->kind == ROARING_BITS)
		return (container->data[low / 8] >> low % 8 & 1) != 0;
	if (container->kind == ROARING_ARRAY)
	{
		i = items_up_to(container->data, container->items, sizeof(uint16), low);
		return i > 0 && read16(container->data + (i - 1) * sizeof(uint16)) == low;
	}
	i = items_up_to(container->data, container->items, RUN_BYTES, low);
	if (i == 0)
		return false;
	item = container->data + (i - 1) * RUN_BYTES;
	return low - read16(item) <= read16(item + 2);
}

bool
roaring_contains(const void *bytes, uint64 number)
{
	RoaringReader reader;
	RoaringContainer container;
	uint16 key = number >> 16;
	uint32 i;

	roaring_begin(&reader, bytes);
	do
	{
		if (!roaring_next_bucket(&reader) || reader.bucket.high > number >> 32)
			return false;
	} while (reader.bucket.high < number >> 32);
	i = items_up_to(reader.bucket.heads, reader.bucket.containers, HEAD_BYTES, key);
	if (i == 0 || container_key(&reader.bucket, i - 1) != key)
		return false;
	get_container(&reader.bucket, i - 1, &container);
	return container_contains(&container, number);
}

void
roaring_ranges_begin(RoaringRanges *ranges, const void *bytes)
{
	roaring_begin(&ranges->reader, bytes);
	ranges->has_container = false;
	ranges->has_pending = false;
}

/* The next range within a container. */
static bool
next_piece(RoaringRanges *ranges, uint64 *first, uint64 *last)
{
	for (;;)
	{
		if (ranges->has_container && roaring_next_range(&ranges->container, first, last))
			return true;
		ranges->has_container = roaring_next_container(&ranges->reader, &ranges->container);
		if (!ranges->has_container)
			return false;
	}
}

bool
roaring_ranges_next(RoaringRanges *ranges, uint64 *first, uint64 *last)
{
	bool has_next;

	if (!ranges->has_pending && !next_piece(ranges, &ranges->pending_first, &ranges->pending_last))
		return false;
	*first = ranges->pending_first;
	*last = ranges->pending_last;
	while ((has_next = next_piece(ranges, &ranges->pending_first, &ranges->pending_last)) &&
	       ranges->pending_first == *last + 1)
		*last = ranges->pending_last;
	ranges->has_pending = has_next;
	return true;
}
