/*
 * consent_cache.c
 *		What is known of data subjects, shared by all backends, and when it stops being true.
 *
 * The cache is an array of 64-byte lines in sets of four, 64 sets to a group.  No lock guards it:
 * a line carries a sequence number, odd while somebody writes it.  A reader copies the line and
 * looks at the number again; a writer that does not get the line at once leaves it.  Losing an
 * entry costs one index lookup, so nothing ever waits here.
 *
 * An entry is valid only while the change counter of its subject's partition is the one that was
 * read *before* the snapshot that found the facts.  Writers advance the counter after their commit
 * has become visible and before their client hears of it, so a statement that starts after a
 * withdrawal was acknowledged cannot meet older facts.
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "consent/consent_cache.h"
#include "guc.h"

#define SET_LINES 4
#define GROUP_SETS 64 /* sets that neighbouring keys share; the smallest cache has four groups */

typedef struct CacheLine
{
	CacheTag tag;
	pg_atomic_uint32 sequence;
	uint32 change; /* 0: empty */
	TimestampTz changes_at;
	SubjectFacts facts[CACHE_LINE_SUBJECTS];
} CacheLine;

StaticAssertDecl(sizeof(CacheLine) == 64, "a cache line of facts is one cache line");

/* The numbers of a line's subjects, apart: only the audit looks at them. */
typedef struct NumberLine
{
	int64 number[CACHE_LINE_SUBJECTS];
} NumberLine;

typedef struct ConsentCache
{
	/* Would have to advance 2^32 times between two looks to be taken for unchanged. */
	pg_atomic_uint32 change[CHANGE_PARTITIONS];
	pg_atomic_uint32 strict_change[CHANGE_PARTITIONS];
	uint32 set_mask; /* number of sets, less one */
	char pad[60];    /* lines start at a cache line */
	CacheLine line[FLEXIBLE_ARRAY_MEMBER];
} ConsentCache;

static ConsentCache *cache = NULL;
static NumberLine *numbers = NULL; /* of the line with the same index, and under its sequence */

/* The greatest power of two of sets that fits into the setting. */
static uint32
cache_sets(void)
{
	uint64 fit = (uint64) guc_consent_cache_size * 1024 /
	             (SET_LINES * (sizeof(CacheLine) + sizeof(NumberLine)));
	uint32 sets = 1;

	while ((uint64) sets * 2 <= fit && sets < ((uint32) 1 << 28))
		sets *= 2;
	return sets;
}

Size
consent_cache_shmem_size(void)
{
	return add_size(offsetof(ConsentCache, line) + PG_CACHE_LINE_SIZE,
	                mul_size(cache_sets(), SET_LINES * (sizeof(CacheLine) + sizeof(NumberLine))));
}

void
consent_cache_shmem_attach(void)
{
	bool found;

	cache = ShmemInitStruct("privacy_guard consent cache", consent_cache_shmem_size(), &found);
	numbers = (NumberLine *) &cache->line[(Size) cache_sets() * SET_LINES];
	if (found)
		return;
	memset(cache, 0, consent_cache_shmem_size());
	cache->set_mask = cache_sets() - 1;
	for (int i = 0; i < CHANGE_PARTITIONS; i++)
	{
		pg_atomic_init_u32(&cache->change[i], 1);
		pg_atomic_init_u32(&cache->strict_change[i], 0);
	}
	for (uint64 i = 0; i < (uint64) cache_sets() * SET_LINES; i++)
		pg_atomic_init_u32(&cache->line[i].sequence, 0);
}

/* The finaliser of MurmurHash3. */
static inline uint64
mix(uint64 h)
{
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	return h ^ (h >> 33);
}

uint32
consent_cache_hash(const CacheTag *tag)
{
	uint64 h = (uint64) tag->purpose << 32 | (uint32) tag->category;

	h ^= (uint64) tag->database << 16;
	if (tag->key.word[1] != 0)
		return (uint32) mix(h ^ mix(tag->key.word[0]) ^ tag->key.word[1]);
	/* Neighbouring integers go to neighbouring sets, where the processor fetches ahead. */
	h = mix(h ^ tag->key.word[0] / GROUP_SETS);
	return (uint32) (h - h % GROUP_SETS + tag->key.word[0] % GROUP_SETS);
}

static inline bool
tag_equal(const CacheTag *a, const CacheTag *b)
{
	return a->key.word[0] == b->key.word[0] && a->key.word[1] == b->key.word[1] &&
	       a->purpose == b->purpose && a->purpose_version == b->purpose_version &&
	       a->category == b->category && a->database == b->database;
}

/*
 * The i-th line in which a key may be, in the order in which it would have taken one.  Lines of
 * neighbouring keys are neighbours in memory, so that a scan in the order of keys walks through it;
 * and where sets are not full, as most are not, the first line is the only one that is touched.
 */
static inline CacheLine *
set_line(uint32 hash, int i)
{
	uint32 set = hash & cache->set_mask;
	uint32 way = ((hash >> 28) + i) % SET_LINES;

	return &cache->line[(Size) (set - set % GROUP_SETS) * SET_LINES + way * GROUP_SETS +
	                    set % GROUP_SETS];
}

/* Whether the facts still hold is for the caller to see: change and changes_at come with them. */
bool
consent_cache_get(const CacheTag *tag, uint32 hash, bool want_numbers, CacheFacts *out)
{
	for (int i = 0; i < SET_LINES; i++)
	{
		CacheLine *line = set_line(hash, i);
		uint32 before = pg_atomic_read_u32(&line->sequence);
		bool hit;

		pg_read_barrier();
		hit = (before & 1) == 0 && line->change != 0 && tag_equal(&line->tag, tag);
		if (!hit)
			continue;
		out->change = line->change;
		out->changes_at = line->changes_at;
		memcpy(out->facts, line->facts, sizeof(out->facts));
		if (want_numbers)
			memcpy(out->number, numbers[line - cache->line].number, sizeof(out->number));
		pg_read_barrier();
		if (pg_atomic_read_u32(&line->sequence) == before)
			return true;
	}
	return false;
}

void
consent_cache_put(const CacheTag *tag, uint32 hash, const CacheFacts *facts)
{
	CacheLine *victim = set_line(hash, 0);
	uint32 before;

	for (int i = 0; i < SET_LINES; i++)
	{
		CacheLine *line = set_line(hash, i);

		if (line->change == 0 || tag_equal(&line->tag, tag))
		{
			victim = line;
			break;
		}
	}
	before = pg_atomic_read_u32(&victim->sequence);
	if ((before & 1) != 0 ||
	    !pg_atomic_compare_exchange_u32(&victim->sequence, &before, before + 1))
		return;
	pg_write_barrier();
	victim->tag = *tag;
	victim->change = facts->change;
	victim->changes_at = facts->changes_at;
	memcpy(victim->facts, facts->facts, sizeof(victim->facts));
	memcpy(numbers[victim - cache->line].number, facts->number, sizeof(facts->number));
	pg_write_barrier();
	pg_atomic_write_u32(&victim->sequence, before + 2);
}

uint32
consent_change_partition(int32 category, SubjectKey key)
{
	uint64 h = key.word[0] ^ (key.word[1] * UINT64CONST(0x9e3779b97f4a7c15));

	return (uint32) mix(h + (uint32) category) % CHANGE_PARTITIONS;
}

pg_atomic_uint32 *
consent_change_counter(uint32 partition)
{
	return &cache->change[partition];
}

void
consent_change_advance(uint32 partition)
{
	/* 0 marks an empty line. */
	if (pg_atomic_add_fetch_u32(&cache->change[partition], 1) == 0)
		pg_atomic_fetch_add_u32(&cache->change[partition], 1);
}

uint32
consent_change_strict_counter(uint32 partition)
{
	return pg_atomic_read_u32(&cache->strict_change[partition]);
}

void
consent_change_strict_advance(uint32 partition)
{
	pg_atomic_fetch_add_u32(&cache->strict_change[partition], 1);
}
