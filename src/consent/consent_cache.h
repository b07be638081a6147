/*
 * consent_cache.h
 *		What is known of data subjects, shared by all backends, and when it stops being true.
 */
#ifndef PRIVACY_GUARD_CONSENT_CACHE_H
#define PRIVACY_GUARD_CONSENT_CACHE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "policy/decision.h"
#include "policy/subject_key.h"
#include "port/atomics.h"

/* Neighbouring integer keys share a line; a uuid or text key has one of its own. */
#define CACHE_LINE_SUBJECTS 8

/* What a line is about. */
typedef struct CacheTag
{
	SubjectKey key;
	Oid database;
	int32 category;
	int32 purpose;
	int32 purpose_version; /* and whether a basis must be on record, as its sign */
} CacheTag;

/* A private copy of a line. */
typedef struct CacheFacts
{
	uint32 change;          /* the partition's change counter when the facts were read; 0: none */
	TimestampTz changes_at; /* until when they hold by themselves */
	SubjectFacts facts[CACHE_LINE_SUBJECTS];
	int64 number[CACHE_LINE_SUBJECTS]; /* of the subjects in records; 0: has none yet */
} CacheFacts;

extern Size consent_cache_shmem_size(void);
extern void consent_cache_shmem_attach(void);

extern uint32 consent_cache_hash(const CacheTag *tag);
/* The numbers only where they are wanted: they are a memory access more. */
extern bool consent_cache_get(const CacheTag *tag, uint32 hash, bool want_numbers, CacheFacts *out);
extern void consent_cache_put(const CacheTag *tag, uint32 hash, const CacheFacts *facts);

/*
 * Change counters, partitioned by subject.  A reader takes the counter, then its snapshot; a
 * writer advances it when its commit is visible.
 */
#define CHANGE_PARTITIONS 4096
extern uint32 consent_change_partition(int32 category, SubjectKey key);
extern pg_atomic_uint32 *consent_change_counter(uint32 partition); /* never 0 */
extern void consent_change_advance(uint32 partition);

/* Those among the changes that may have taken a permission away. */
extern uint32 consent_change_strict_counter(uint32 partition);
extern void consent_change_strict_advance(uint32 partition);

#endif
