/*
 * erasing.c
 *		Keeping rows of a data subject from appearing while he is being erased.
 *
 * Whoever erases a subject cannot see rows that others have written and not committed, and they
 * cannot see yet that the subject is erased.  So
 *
 * - an eraser takes a heavyweight lock of the subject, raises the counter of erasures under way,
 *   and waits for every transaction that holds a lock to write into one of the guarded tables.
 *   Then it looks for rows.
 * - a writer, who holds that lock on his table already, looks at the counter for each new row.  As
 *   long as it is not zero he tries the lock of the row's subject, and is refused where it is
 *   taken.  He gives it back at once: if he came before the eraser, the eraser waits for him.
 *
 * The counter goes down after the eraser's commit is visible and its invalidations are sent, and
 * the epoch goes up before that: a writer who sees no erasure, but a new epoch, takes these
 * invalidations in before he asks the rules whether somebody was erased.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/resowner.h"

#include "policy/catalog.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "retention/erasing.h"

typedef struct Erasing
{
	pg_atomic_uint32 under_way;
	pg_atomic_uint64 epoch; /* goes up when an erasure ends */
} Erasing;

static Erasing *shared = NULL;

static uint32 own_erasures = 0; /* of the running transaction */
static uint64 seen_epoch = 0;

static void release(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg);

PG_FUNCTION_INFO_V1(erasing_begin);
PG_FUNCTION_INFO_V1(erasing_await_writers);

Size
erasing_shmem_size(void)
{
	return sizeof(Erasing);
}

void
erasing_shmem_attach(void)
{
	bool found;

	shared = ShmemInitStruct("privacy_guard erasing", sizeof(Erasing), &found);
	if (!found)
	{
		pg_atomic_init_u32(&shared->under_way, 0);
		pg_atomic_init_u64(&shared->epoch, 0);
	}
}

void
erasing_init(void)
{
	RegisterResourceReleaseCallback(release, NULL);
}

/* After the locks: at that point the invalidations of a commit have been sent. */
static void
release(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !is_top_level || own_erasures == 0)
		return;
	pg_atomic_fetch_add_u64(&shared->epoch, 1);
	pg_atomic_fetch_sub_u32(&shared->under_way, own_erasures);
	own_erasures = 0;
}

/* A lock that no SQL takes.  Two subjects may share one; then one waits, or is refused, in vain. */
static LOCKTAG
subject_lock(int32 category, const char *key, Size length)
{
	uint32 hash = hash_combine(hash_bytes((const unsigned char *) key, (int) length),
	                           hash_bytes_uint32((uint32) category));
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, catalog_relid(CATALOG_SUPPRESSED), hash, 0);
	return tag;
}

bool
erasing_any(void)
{
	uint64 epoch;

	if (pg_atomic_read_u32(&shared->under_way) > 0)
		return true;
	pg_read_barrier();
	epoch = pg_atomic_read_u64(&shared->epoch);
	if (epoch != seen_epoch)
	{
		AcceptInvalidationMessages();
		seen_epoch = epoch;
	}
	return false;
}

bool
erasing_is_under_way(int32 category, const char *key, Size length)
{
	LOCKTAG tag = subject_lock(category, key, length);

	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}

/* privacy_guard_internal.begin_erasing(category_id, canonical key) */
Datum
erasing_begin(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(1);
	LOCKTAG tag;

	(void) verb_invoker(); /* only from within a verb */
	(void) policy_state(); /* finds where the extension's tables are */
	tag = subject_lock(PG_GETARG_INT32(0), VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	own_erasures++;
	pg_atomic_fetch_add_u32(&shared->under_way, 1);
	PG_RETURN_VOID();
}

static List *
locks_of(Oid relid, List *tags)
{
	List *members = find_all_inheritors(relid, NoLock, NULL);
	ListCell *cell;

	foreach (cell, members)
	{
		LOCKTAG *tag = palloc(sizeof(LOCKTAG));

		SET_LOCKTAG_RELATION(*tag, MyDatabaseId, lfirst_oid(cell));
		tags = lappend(tags, tag);
	}
	return tags;
}

/*
 * privacy_guard_internal.await_writers(relations): of these tables and their children; returns when
 * every transaction has ended that was writing into one of them when it was called.
 */
Datum
erasing_await_writers(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	List *tags = NIL;
	Datum *relids;
	int n;

	(void) verb_invoker();
	deconstruct_array(array, ARR_ELEMTYPE(array), sizeof(Oid), true, TYPALIGN_INT, &relids, NULL,
	                  &n);
	for (int i = 0; i < n; i++)
		tags = locks_of(DatumGetObjectId(relids[i]), tags);
	WaitForLockersMultiple(tags, ShareLock, false);
	PG_RETURN_VOID();
}
