/*
 * subject_bits.c
 *		Sets of subjects' numbers that grow, over CRoaring's bitmaps of 32-bit numbers.
 *
 * The oldest CRoaring that is supported (0.2.66) has no 64-bit bitmaps in C, so a set is an array
 * of buckets as in the 64-bit format: the high 32 bits of the members, and a bitmap of the low
 * ones. Buckets ascend and none is empty, except for one whose filling an error cut short.
 *
 * CRoaring does not check malloc() everywhere, and its later hooks for memory cannot raise errors
 * in the middle of a change. So before each change the memory that it may need is asked for and
 * given back (require_memory()); the sizes are estimates from above of the allocations in
 * CRoaring's containers.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include <roaring/roaring.h>

#include "types/roaring_format.h"
#include "types/subject_bits.h"
#include "utils/memutils.h"

#ifdef WORDS_BIGENDIAN
#error "CRoaring before 2.1 writes the portable format on little-endian machines only"
#endif

/* Its name before CRoaring 0.3. */
#ifndef RUN_CONTAINER_TYPE
#define RUN_CONTAINER_TYPE RUN_CONTAINER_TYPE_CODE
#endif

/* Numbers that reach CRoaring in one call. */
#define ADD_CHUNK 1024

/* Most that changing one container takes. */
#define CONTAINER_MEMORY (ROARING_BITS_BYTES + 256)

/* A container's share of the array of containers, which is copied when it grows. */
#define SLOT_MEMORY 32

/* What an allocated container takes besides its data. */
#define CONTAINER_OVERHEAD 128

/* CRoaring's writer keeps a flag for each container for a moment. */
#define WRITER_MEMORY (PG_UINT16_MAX / 8 + 1)

typedef struct Bucket
{
	uint32 high;
	roaring_bitmap_t *bitmap;
} Bucket;

struct SubjectBits
{
	MemoryContext context;
	MemoryContextCallback callback;
	Bucket *buckets;
	uint32 count;
	uint32 capacity;
	uint32 last;             /* the bucket used last */
	uint64 containers;       /* in all buckets */
	roaring_bitmap_t *guest; /* a bitmap read from bytes, until it is merged */
};

/* Given back for the moment in which CRoaring's writer needs memory. */
static void *writer_reserve;

static void
out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory for a set of subjects"),
	                errhint("Give the server more memory, or the statement fewer subjects.")));
}

/* Raises an error unless malloc() has this much; what it has once it has again. */
static void
require_memory(Size bytes)
{
	void *volatile probe = malloc(bytes);

	if (probe == NULL)
		out_of_memory();
	free(probe);
}

static inline uint32
bitmap_containers(const roaring_bitmap_t *bitmap)
{
	return bitmap->high_low_container.size;
}

static void
free_guest(SubjectBits *bits)
{
	if (bits->guest != NULL)
		roaring_bitmap_free(bits->guest);
	bits->guest = NULL;
}

void
subject_bits_clear(SubjectBits *bits)
{
	free_guest(bits);
	for (uint32 i = 0; i < bits->count; i++)
		roaring_bitmap_free(bits->buckets[i].bitmap);
	bits->count = 0;
	bits->last = 0;
	bits->containers = 0;
}

static void
clear_callback(void *arg)
{
	subject_bits_clear(arg);
}

SubjectBits *
subject_bits_create(MemoryContext context)
{
	SubjectBits *bits = MemoryContextAllocZero(context, sizeof(SubjectBits));

	if (writer_reserve == NULL)
		writer_reserve = malloc(WRITER_MEMORY);
	if (writer_reserve == NULL)
		out_of_memory();
	bits->context = context;
	bits->callback.func = clear_callback;
	bits->callback.arg = bits;
	MemoryContextRegisterResetCallback(context, &bits->callback);
	return bits;
}

/* The place of the first bucket that is not below. */
static uint32
bucket_place(const SubjectBits *bits, uint32 high)
{
	uint32 from = 0;
	uint32 to = bits->count;

	while (from < to)
	{
		uint32 middle = (from + to) / 2;

		if (bits->buckets[middle].high < high)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static roaring_bitmap_t *
find_bitmap(const SubjectBits *bits, uint32 high)
{
	uint32 place = bucket_place(bits, high);

	if (place < bits->count && bits->buckets[place].high == high)
		return bits->buckets[place].bitmap;
	return NULL;
}

static void
insert_bucket(SubjectBits *bits, uint32 place, uint32 high)
{
	roaring_bitmap_t *bitmap;

	if (bits->count == bits->capacity)
	{
		uint32 capacity = bits->capacity > 0 ? bits->capacity * 2 : 2;

		bits->buckets = bits->buckets == NULL
		                    ? MemoryContextAlloc(bits->context, capacity * sizeof(Bucket))
		                    : repalloc(bits->buckets, capacity * sizeof(Bucket));
		bits->capacity = capacity;
	}
	bitmap = roaring_bitmap_create();
	if (bitmap == NULL)
		out_of_memory();
	memmove(bits->buckets + place + 1, bits->buckets + place,
	        (bits->count - place) * sizeof(Bucket));
	bits->buckets[place].high = high;
	bits->buckets[place].bitmap = bitmap;
	bits->count++;
}

/* The bitmap for these high bits, made if need be. */
static roaring_bitmap_t *
need_bitmap(SubjectBits *bits, uint32 high)
{
	if (bits->last >= bits->count || bits->buckets[bits->last].high != high)
	{
		bits->last = bucket_place(bits, high);
		if (bits->last == bits->count || bits->buckets[bits->last].high != high)
			insert_bucket(bits, bits->last, high);
	}
	return bits->buckets[bits->last].bitmap;
}

/* Keeps count after a bitmap got more containers. */
static void
count_containers(SubjectBits *bits, uint32 before, const roaring_bitmap_t *bitmap)
{
	bits->containers += bitmap_containers(bitmap) - before;
	if (bits->containers > ROARING_MAX_CONTAINERS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("a set of subjects reaches at most into %d blocks of 65536 numbers",
		                       ROARING_MAX_CONTAINERS),
		                errhint("Split the set into several.")));
}

void
subject_bits_add(SubjectBits *bits, uint64 number)
{
	subject_bits_add_many(bits, &number, 1);
}

void
subject_bits_add_many(SubjectBits *bits, const uint64 *numbers, Size count)
{
	uint32 lows[ADD_CHUNK];

	while (count > 0)
	{
		uint32 high = numbers[0] >> 32;
		uint32 taken = 0;
		uint32 touched = 1;
		uint32 before;
		roaring_bitmap_t *bitmap;

		for (; taken < Min(count, ADD_CHUNK) && numbers[taken] >> 32 == high; taken++)
		{
			Assert(numbers[taken] - 1 < SUBJECT_MAX);
			lows[taken] = numbers[taken];
			touched += lows[taken] >> 16 != lows[taken > 0 ? taken - 1 : 0] >> 16;
		}
		bitmap = need_bitmap(bits, high);
		before = bitmap_containers(bitmap);
		require_memory(touched * CONTAINER_MEMORY + (before + touched) * SLOT_MEMORY);
		roaring_bitmap_add_many(bitmap, taken, lows);
		count_containers(bits, before, bitmap);
		numbers += taken;
		count -= taken;
	}
}

void
subject_bits_add_range(SubjectBits *bits, uint64 first, uint64 last)
{
	Assert(first >= 1 && first <= last && last <= SUBJECT_MAX);
	for (uint64 high = first >> 32; high <= last >> 32; high++)
	{
		uint32 low_first = high == first >> 32 ? (uint32) first : 0;
		uint32 low_last = high == last >> 32 ? (uint32) last : PG_UINT32_MAX;
		uint32 span = (low_last >> 16) - (low_first >> 16) + 1;
		roaring_bitmap_t *bitmap = need_bitmap(bits, high);
		uint32 before = bitmap_containers(bitmap);

		require_memory(2 * CONTAINER_MEMORY + (before + span) * SLOT_MEMORY +
		               (Size) span * CONTAINER_OVERHEAD);
		roaring_bitmap_add_range_closed(bitmap, low_first, low_last);
		count_containers(bits, before, bitmap);
	}
}

/*
 * Raises an error unless there is memory for a set operation of these. It changes at most as many
 * containers as the second has; where these are many and small, the bytes are the better estimate.
 */
static void
require_for_both(const roaring_bitmap_t *mine, const roaring_bitmap_t *theirs)
{
	Size bytes =
	    roaring_bitmap_portable_size_in_bytes(mine) + roaring_bitmap_portable_size_in_bytes(theirs);
	Size changed = (Size) bitmap_containers(theirs) * CONTAINER_MEMORY;
	Size containers = bitmap_containers(mine) + bitmap_containers(theirs);

	require_memory(Min(2 * bytes, changed) + 2 * CONTAINER_MEMORY +
	               containers * CONTAINER_OVERHEAD);
}

static void
merge_bitmap(SubjectBits *bits, uint32 high, const roaring_bitmap_t *theirs)
{
	roaring_bitmap_t *mine = need_bitmap(bits, high);
	uint32 before = bitmap_containers(mine);

	require_for_both(mine, theirs);
	roaring_bitmap_or_inplace(mine, theirs);
	count_containers(bits, before, mine);
}

void
subject_bits_or_serialized(SubjectBits *bits, const char *portable, Size size)
{
	RoaringReader reader;

	roaring_begin(&reader, portable);
	while (roaring_next_bucket(&reader))
	{
		const char *start = (const char *) reader.bucket.start;
		Size length = roaring_bucket_size(&reader.bucket);

		Assert(start + length <= portable + size);
		free_guest(bits);
		require_memory(2 * length + reader.bucket.containers * CONTAINER_OVERHEAD);
		bits->guest = roaring_bitmap_portable_deserialize_safe(start, length);
		if (bits->guest == NULL)
			out_of_memory();
		merge_bitmap(bits, reader.bucket.high, bits->guest);
	}
	free_guest(bits);
}

void
subject_bits_or(SubjectBits *bits, const SubjectBits *other)
{
	for (uint32 i = 0; i < other->count; i++)
		merge_bitmap(bits, other->buckets[i].high, other->buckets[i].bitmap);
}

/* Applies a change to each bucket that both have, or that bits has, and drops what got empty. */
static void
change_buckets(SubjectBits *bits, const SubjectBits *other,
               void (*change)(roaring_bitmap_t *, const roaring_bitmap_t *), bool keeps_alone)
{
	uint32 kept = 0;

	for (uint32 i = 0; i < bits->count; i++)
	{
		const roaring_bitmap_t *theirs = find_bitmap(other, bits->buckets[i].high);

		if (theirs != NULL)
			require_for_both(bits->buckets[i].bitmap, theirs);
	}
	bits->containers = 0;
	for (uint32 i = 0; i < bits->count; i++)
	{
		Bucket bucket = bits->buckets[i];
		const roaring_bitmap_t *theirs = find_bitmap(other, bucket.high);

		if (theirs != NULL)
			change(bucket.bitmap, theirs);
		if ((theirs == NULL && !keeps_alone) || roaring_bitmap_is_empty(bucket.bitmap))
			roaring_bitmap_free(bucket.bitmap);
		else
		{
			bits->containers += bitmap_containers(bucket.bitmap);
			bits->buckets[kept++] = bucket;
		}
	}
	bits->count = kept;
	bits->last = 0;
}

void
subject_bits_and(SubjectBits *bits, const SubjectBits *other)
{
	change_buckets(bits, other, roaring_bitmap_and_inplace, false);
}

void
subject_bits_subtract(SubjectBits *bits, const SubjectBits *other)
{
	change_buckets(bits, other, roaring_bitmap_andnot_inplace, true);
}

uint64
subject_bits_count(const SubjectBits *bits)
{
	uint64 count = 0;

	for (uint32 i = 0; i < bits->count; i++)
		count += roaring_bitmap_get_cardinality(bits->buckets[i].bitmap);
	return count;
}

bool
subject_bits_is_empty(const SubjectBits *bits)
{
	return bits->containers == 0;
}

bool
subject_bits_contain(const SubjectBits *bits, const SubjectBits *other)
{
	for (uint32 i = 0; i < other->count; i++)
	{
		const roaring_bitmap_t *mine = find_bitmap(bits, other->buckets[i].high);

		if (mine == NULL || !roaring_bitmap_is_subset(other->buckets[i].bitmap, mine))
			return false;
	}
	return true;
}

bool
subject_bits_overlap(const SubjectBits *bits, const SubjectBits *other)
{
	for (uint32 i = 0; i < other->count; i++)
	{
		const roaring_bitmap_t *mine = find_bitmap(bits, other->buckets[i].high);

		if (mine != NULL && roaring_bitmap_intersect(mine, other->buckets[i].bitmap))
			return true;
	}
	return false;
}

void
subject_bits_iterate(const SubjectBits *bits, bool (*visit)(uint64 number, void *arg), void *arg)
{
	for (uint32 i = 0; i < bits->count; i++)
	{
		if (!roaring_iterate64(bits->buckets[i].bitmap, visit, (uint64) bits->buckets[i].high << 32,
		                       arg))
			return;
	}
}

/*
 * CRoaring makes runs of an array where they are shorter, and an array of runs where it is: where
 * both are as long, what a container is depends on its past. Here it becomes an array, so that
 * equal sets have equal bytes.
 */
static void
prefer_arrays(roaring_bitmap_t *bitmap)
{
	const roaring_array_t *array = &bitmap->high_low_container;
	uint32 members[ROARING_ARRAY_MAX];

	for (int i = 0; i < array->size; i++)
	{
		const run_container_t *container = (const run_container_t *) array->containers[i];
		uint32 base = (uint32) array->keys[i] << 16;
		uint32 cardinality = 0;
		uint32 filled = 0;

		if (array->typecodes[i] != RUN_CONTAINER_TYPE)
			continue;
		for (int run = 0; run < container->n_runs; run++)
			cardinality += container->runs[run].length + 1;
		if (cardinality != 2 * container->n_runs)
			continue;
		for (int run = 0; run < container->n_runs; run++)
		{
			for (uint32 offset = 0; offset <= container->runs[run].length; offset++)
				members[filled++] = base + container->runs[run].value + offset;
		}
		roaring_bitmap_remove_range_closed(bitmap, base, base + PG_UINT16_MAX);
		roaring_bitmap_add_many(bitmap, filled, members);
	}
}

void
subject_bits_optimize(SubjectBits *bits)
{
	for (uint32 i = 0; i < bits->count; i++)
	{
		roaring_bitmap_t *bitmap = bits->buckets[i].bitmap;

		require_memory(2 * CONTAINER_MEMORY + bitmap_containers(bitmap) * SLOT_MEMORY);
		roaring_bitmap_run_optimize(bitmap);
		prefer_arrays(bitmap);
	}
}

Size
subject_bits_serialized_size(const SubjectBits *bits)
{
	Size size = ROARING_EMPTY_BYTES;

	for (uint32 i = 0; i < bits->count; i++)
	{
		const roaring_bitmap_t *bitmap = bits->buckets[i].bitmap;

		if (bitmap_containers(bitmap) > 0)
			size += sizeof(uint32) + roaring_bitmap_portable_size_in_bytes(bitmap);
	}
	return size;
}

void
subject_bits_serialize(const SubjectBits *bits, char *out)
{
	char *at = out + sizeof(uint64);
	uint64 written = 0;

	free(writer_reserve);
	for (uint32 i = 0; i < bits->count; i++)
	{
		const Bucket *bucket = &bits->buckets[i];

		if (bitmap_containers(bucket->bitmap) == 0)
			continue;
		memcpy(at, &bucket->high, sizeof(uint32));
		at += sizeof(uint32);
		at += roaring_bitmap_portable_serialize(bucket->bitmap, at);
		written++;
	}
	memcpy(out, &written, sizeof(written));
	writer_reserve = malloc(WRITER_MEMORY);
}
