/*
 * ring_writer.c
 *		The consumer's side of a ring.
 *
 * The writer reads what lies between durable and head without a lock: nobody changes it before it
 * is freed.  It frees only what it has committed, so an error of its own neither loses nor repeats
 * a message.  Locking: see ring_shared.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/ring_registry.h"
#include "audit/ring_shared.h"
#include "audit/ring_writer.h"
#include "compat.h"

/* How long messages may wait for company when nobody waits for them, in ms. */
#define GATHER_TIME 200

static AuditRing *ring = NULL;
static RingPosition readable = 0;      /* what was head when it was last asked */
static TimestampTz gathering_ends = 0; /* 0 when the ring was empty */
static uint8 *unwrapped = NULL;        /* a message that went around the end of the ring */
static Size unwrapped_size = 0;
static uint32 rest_event = PG_WAIT_EXTENSION;

/* ---- coming and going ---- */

bool
audit_ring_is_writer(void)
{
	return ring != NULL;
}

bool
audit_ring_is_wanted(void)
{
	AuditRing *mine;
	bool wanted = false;

	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	mine = audit_ring_find(MyDatabaseId);
	if (mine != NULL)
	{
		LWLockAcquire(&mine->lock, LW_SHARED);
		wanted = mine->wanted || mine->producers > 0 || audit_ring_pending(mine) > 0;
		LWLockRelease(&mine->lock);
	}
	LWLockRelease(&audit_rings->lock);
	return wanted;
}

/* The caller holds AuditRings.lock exclusively. */
static void
set_writer(AuditRing *of, int pid, Latch *latch)
{
	LWLockAcquire(&of->lock, LW_EXCLUSIVE);
	of->writer = latch;
	of->sleep = RING_AWAKE;
	pg_atomic_write_u32(&of->writer_pid, pid);
	LWLockRelease(&of->lock);
}

static void
detach_at_exit(int code, Datum arg)
{
	if (ring != NULL)
		(void) audit_ring_detach_writer(true);
}

bool
audit_ring_attach_writer(void)
{
	AuditRing *mine;
	bool no_room;

	on_shmem_exit(detach_at_exit, (Datum) 0);
	rest_event = COMPAT_WAIT_EVENT("PrivacyGuardAuditWriterMain");
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	mine = audit_ring_assign(MyDatabaseId);
	no_room = mine == NULL;
	if (!no_room && pg_atomic_read_u32(&mine->writer_pid) == 0 &&
	    !audit_hold_exists_locked(MyDatabaseId))
	{
		mine->wanted = true;
		set_writer(mine, MyProcPid, MyLatch);
		ring = mine;
	}
	LWLockRelease(&audit_rings->lock);
	if (no_room)
		ereport(LOG, (errmsg("there is no room for the audit log of another database"),
		              errhint("Raise privacy_guard.audit_databases and restart the server.")));
	if (ring == NULL)
		return false;
	ConditionVariableBroadcast(&ring->room);
	audit_ring_wake_launcher();
	return true;
}

bool
audit_ring_detach_writer(bool wanted)
{
	bool leaves;

	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	leaves = wanted || (audit_ring_pending(ring) == 0);
	LWLockRelease(&ring->lock);
	if (leaves)
	{
		ring->wanted = wanted;
		set_writer(ring, 0, NULL);
		ring = NULL;
	}
	LWLockRelease(&audit_rings->lock);
	audit_ring_wake_launcher();
	return leaves;
}

bool
audit_ring_was_served(void)
{
	bool served;

	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	served = ring->served;
	LWLockRelease(&audit_rings->lock);
	return served;
}

void
audit_ring_set_served(void)
{
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	ring->served = true;
	LWLockRelease(&audit_rings->lock);
}

bool
audit_ring_close(void)
{
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	LWLockAcquire(&ring->lock, LW_SHARED);
	ring->draining = true;
	ring->closed = ring->producers == 0 && audit_ring_pending(ring) == 0;
	LWLockRelease(&ring->lock);
	LWLockRelease(&audit_rings->lock);
	return ring->closed;
}

/* ---- waiting ---- */

/* How long to sleep, or 0 when there is work.  The caller holds the lock. */
static long
time_to_sleep(long timeout, RingCall *call)
{
	uint64 pending = audit_ring_pending(ring);
	TimestampTz now;
	long left;

	*call = RING_QUIET;
	ring->sleep = RING_AWAKE;
	if (pending == 0)
	{
		gathering_ends = 0;
		ring->sleep = timeout > 0 ? RING_IDLES : RING_AWAKE;
		return timeout;
	}
	now = GetCurrentTimestamp();
	if (gathering_ends == 0)
		gathering_ends = TimestampTzPlusMilliseconds(now, GATHER_TIME);
	left = TimestampDifferenceMilliseconds(now, gathering_ends);
	if (left <= 0 || ring->wished > pg_atomic_read_u64(&ring->durable) ||
	    pending >= audit_ring_size() / 2)
	{
		*call = RING_FLUSH;
		return 0;
	}
	ring->sleep = timeout > 0 ? RING_GATHERS : RING_AWAKE;
	return Min(timeout, left);
}

static long
look(long timeout, RingCall *call)
{
	long sleep;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	sleep = time_to_sleep(timeout, call);
	LWLockRelease(&ring->lock);
	return sleep;
}

RingCall
audit_ring_rest(long timeout)
{
	RingCall call;
	long sleep = look(timeout, &call);

	if (sleep <= 0)
		return call;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep, rest_event);
	ResetLatch(MyLatch);
	(void) look(0, &call);
	return call;
}

/* ---- reading and freeing ---- */

RingPosition
audit_ring_durable(void)
{
	return pg_atomic_read_u64(&ring->durable);
}

bool
audit_ring_is_empty(void)
{
	return audit_ring_head_of(ring) == audit_ring_durable();
}

static void
copy_out(RingPosition position, void *target, Size length)
{
	Size size = audit_ring_size();
	Size offset = position % size;
	Size first = Min(length, size - offset);
	const uint8 *source = audit_ring_bytes(ring);

	memcpy(target, source + offset, first);
	memcpy((uint8 *) target + first, source, length - first);
}

static const AuditMessage *
unwrap(RingPosition position, Size length)
{
	if (unwrapped_size < length)
	{
		if (unwrapped != NULL)
			pfree(unwrapped);
		unwrapped = NULL;
		unwrapped_size = 0;
		unwrapped = MemoryContextAlloc(TopMemoryContext, length);
		unwrapped_size = length;
	}
	copy_out(position, unwrapped, length);
	return (const AuditMessage *) unwrapped;
}

const AuditMessage *
audit_ring_read(RingPosition *position)
{
	RingPosition at = *position;
	AuditMessage message;

	if (at >= readable)
		readable = audit_ring_head_of(ring);
	if (at >= readable)
		return NULL;
	copy_out(at, &message, sizeof(message));
	if (message.length < sizeof(message) || message.length > readable - at ||
	    AUDIT_MESSAGE_SIZE(message.record_length, message.keys_length) != message.length)
		elog(PANIC, "audit ring is corrupt");
	*position += message.length;
	if (at % audit_ring_size() + message.length <= audit_ring_size())
		return (const AuditMessage *) (audit_ring_bytes(ring) + at % audit_ring_size());
	return unwrap(at, message.length);
}

void
audit_ring_free(RingPosition position)
{
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	pg_atomic_write_u64(&ring->durable, position);
	LWLockRelease(&ring->lock);
	gathering_ends = 0;
	ConditionVariableBroadcast(&ring->flushed);
	ConditionVariableBroadcast(&ring->room);
}
