/*
 * roaring_format.h
 *		Reading the portable 64-bit Roaring format in place.
 *
 * The format is that of the Roaring format specification, with its extension to 64 bits: how many
 * buckets, then for each the high 32 bits of its members and a 32-bit bitmap. A bitmap is a row of
 * containers, each for 2^16 numbers and stored as an array, as runs or as bits, whichever is
 * smallest (Lemire et al., "Roaring Bitmaps: Implementation of an Optimized Software Library",
 * 2018). All of it is little-endian and nothing is aligned.
 *
 * roaring_check() is the one function that takes bytes of unknown origin; the others trust them.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_ROARING_FORMAT_H
#define PRIVACY_GUARD_ROARING_FORMAT_H

/* An array holds at most this many members, bits hold more. */
#define ROARING_ARRAY_MAX 4096
#define ROARING_BITS_BYTES 8192

/* Of a set without members: no buckets. */
#define ROARING_EMPTY_BYTES sizeof(uint64)

/* No set has more containers, so that a short text such as {1-9223372036854775807} is refused. */
#define ROARING_MAX_CONTAINERS (1 << 20)

typedef enum RoaringKind
{
	ROARING_ARRAY,
	ROARING_RUNS,
	ROARING_BITS
} RoaringKind;

typedef struct RoaringContainer
{
	RoaringKind kind;
	uint64 key; /* its members >> 16 */
	uint32 cardinality;
	uint32 items;      /* of an array or runs: how many */
	const uint8 *data; /* the items or the bits */
	uint32 position;   /* where roaring_next_range() goes on */
} RoaringContainer;

/* One 32-bit bitmap among the bytes of a set. */
typedef struct RoaringBucket
{
	uint32 high;
	uint32 containers;
	const uint8 *start;
	const uint8 *run_flags; /* NULL: no container has runs */
	const uint8 *heads;     /* a key and a cardinality - 1 for each container */
	const uint8 *offsets;   /* from start; NULL: the containers follow each other */
	const uint8 *data;
} RoaringBucket;

typedef struct RoaringReader
{
	const uint8 *next; /* behind the buckets that were opened */
	uint64 buckets_left;
	RoaringBucket bucket;
	uint32 containers_done; /* of the open bucket */
} RoaringReader;

/*
 * What is wrong with the bytes, as a noun for a message, or NULL. Right are the bytes of a set of
 * numbers from 1 to 2^63 - 1 in which each count is true, buckets, containers and items ascend, no
 * bucket or container is empty, runs do not touch, and no byte is left over. Never allocates, never
 * raises an error.
 */
extern const char *roaring_check(const void *bytes, Size size);

/* Visiting buckets or, bucket by bucket, containers, in ascending order. */
extern void roaring_begin(RoaringReader *reader, const void *bytes);
extern bool roaring_next_bucket(RoaringReader *reader);
extern bool roaring_next_container(RoaringReader *reader, RoaringContainer *container);

/* Bytes of the 32-bit bitmap of a bucket. */
extern Size roaring_bucket_size(const RoaringBucket *bucket);

/* The next maximal range of members in a container. */
extern bool roaring_next_range(RoaringContainer *container, uint64 *first, uint64 *last);

/* How many members. */
extern uint64 roaring_cardinality(const void *bytes);

/* Whether the set has the number: two binary searches. */
extern bool roaring_contains(const void *bytes, uint64 number);

/* The maximal ranges of a whole set, across the bounds of containers. */
typedef struct RoaringRanges
{
	RoaringReader reader;
	RoaringContainer container;
	bool has_container;
	bool has_pending;
	uint64 pending_first;
	uint64 pending_last;
} RoaringRanges;

extern void roaring_ranges_begin(RoaringRanges *ranges, const void *bytes);
extern bool roaring_ranges_next(RoaringRanges *ranges, uint64 *first, uint64 *last);

#endif /* PRIVACY_GUARD_ROARING_FORMAT_H */
