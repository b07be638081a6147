/*
 * ring.c
 *		The way from the backends to the audit writer: the producers' side.
 *
 * Messages lie in the ring one after the other and wrap around its end at any byte, so that what
 * was reserved is exactly what can be pushed.  Always used + reserved <= size: therefore a push
 * finds its room, and needs nothing but the ring's lock.
 *
 * Most statements need one record of some hundred bytes.  For these a backend keeps a small
 * standing reservation, renewed while it holds the lock to push: the reservation itself then
 * touches nothing shared.  Standing reservations stop at half the ring, so that idle sessions
 * cannot fill it.
 *
 * Locking: see ring_shared.h.  What this file keeps to itself is of one backend.  Everything that a
 * backend reserved and did not push goes back when it exits, in on_shmem_exit, which comes after
 * the abort of its transaction.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "audit/ring_hold.h"
#include "audit/ring_registry.h"
#include "audit/ring_shared.h"
#include "compat.h"
#include "guc.h"

/* Room for a usual record and then some. */
#define STANDING 1024

/* How often a wait that may not be interrupted looks whether it is worth while, in ms. */
#define SLICE 100

static AuditRing *ring = NULL;
static Size reserved = 0; /* asked for and not yet pushed */
static Size standing = 0; /* besides */
static RingPosition pushed = 0;

static uint32 room_event = PG_WAIT_EXTENSION;
static uint32 flush_event = PG_WAIT_EXTENSION;

/* ---- joining ---- */

static void
leave(int code, Datum arg)
{
	Latch *writer = NULL;

	if (ring == NULL)
		return;
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->reserved -= reserved + standing;
	ring->producers--;
	if (ring->draining && ring->producers == 0)
		writer = ring->writer;
	LWLockRelease(&ring->lock);
	LWLockRelease(&audit_rings->lock);
	ConditionVariableBroadcast(&ring->room);
	if (writer != NULL)
		SetLatch(writer);
	ring = NULL;
	reserved = standing = 0;
}

static void
refuse_closed(void)
{
	ereport(ERROR, (errcode(ERRCODE_ADMIN_SHUTDOWN), errmsg("the audit log is closed"),
	                errhint("The server is shutting down. Connect again when it is back.")));
}

static void
refuse_without_ring(void)
{
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
	                errmsg("there is no room for the audit log of another database"),
	                errhint("Raise privacy_guard.audit_databases and restart the server.")));
}

static bool
join(bool may_fail)
{
	static bool registered = false;
	AuditRing *mine;
	bool closed;

	if (!registered)
	{
		on_shmem_exit(leave, (Datum) 0);
		room_event = COMPAT_WAIT_EVENT("PrivacyGuardAuditRoom");
		flush_event = COMPAT_WAIT_EVENT("PrivacyGuardAuditFlush");
		registered = true;
	}
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	mine = audit_ring_assign(MyDatabaseId);
	closed = mine != NULL && mine->closed;
	if (mine != NULL && !closed)
	{
		mine->producers++;
		mine->wanted = true;
		ring = mine;
	}
	LWLockRelease(&audit_rings->lock);

	if (may_fail && closed)
		refuse_closed();
	if (may_fail && ring == NULL)
		refuse_without_ring();
	return ring != NULL;
}

/*
 * Is somebody there to write?  Who sent the writer away himself, for his command on the database,
 * must not wait for it.
 */
static bool
is_served(void)
{
	return pg_atomic_read_u32(&ring->writer_pid) != 0 || audit_hold_is_mine(MyDatabaseId);
}

/* ---- reserving ---- */

/* The caller holds the lock. */
static bool
take(Size size)
{
	uint64 used = audit_ring_pending(ring) + ring->reserved;

	if (used + size > audit_ring_size())
		return false;
	ring->reserved += size;
	return true;
}

/* The caller holds the lock. */
static void
renew_standing(void)
{
	Size missing = STANDING - Min(standing, STANDING);

	if (audit_ring_pending(ring) + ring->reserved < audit_ring_size() / 2 && take(missing))
		standing += missing;
}

static bool
reserve_at_once(Size size)
{
	bool done;

	if (size <= standing)
		standing -= size;
	else
	{
		LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
		done = take(size - standing);
		if (done)
		{
			standing = 0;
			renew_standing();
		}
		LWLockRelease(&ring->lock);
		if (!done)
			return false;
	}
	reserved += size;
	return true;
}

/* Have the writer come to this position soon. */
static void
wish(RingPosition position)
{
	Latch *writer = NULL;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	if (position > ring->wished)
		ring->wished = position;
	if (ring->sleep != RING_AWAKE)
	{
		ring->sleep = RING_AWAKE;
		writer = ring->writer;
	}
	LWLockRelease(&ring->lock);
	if (writer != NULL)
		SetLatch(writer);
}

static void
want_writer(void)
{
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	ring->wanted = true;
	LWLockRelease(&audit_rings->lock);
	audit_ring_wake_launcher();
}

static void
ask_for_writer_or_room(void)
{
	if (ring->closed)
		refuse_closed();
	if (is_served())
		wish(audit_ring_head_of(ring));
	else
		want_writer();
}

static void
raise_timeout(void)
{
	ereport(ERROR,
	        (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
	         errmsg("the audit log cannot be written in time"),
	         pg_atomic_read_u32(&ring->writer_pid) == 0
	             ? errhint("The database has no audit writer. The server's log says why; perhaps "
	                       "max_worker_processes leaves no room for one.")
	             : errhint("The audit writer does not keep up. The server's log says why; perhaps "
	                       "the disk is full, or privacy_guard.audit_buffers is too small.")));
}

/* Sleep until told, for the rest of the time.  False when there is none left. */
static bool
sleep_until(ConditionVariable *condition, TimestampTz deadline, uint32 event)
{
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	if (left <= 0)
		return false;
	(void) ConditionVariableTimedSleep(condition, left, event);
	return true;
}

static TimestampTz
deadline_from_now(void)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_audit_timeout);
}

static void
wait_for_room(Size size)
{
	TimestampTz deadline = deadline_from_now();

	while (!is_served() || !reserve_at_once(size))
	{
		ask_for_writer_or_room();
		if (!sleep_until(&ring->room, deadline, room_event))
		{
			ConditionVariableCancelSleep();
			raise_timeout();
		}
	}
	ConditionVariableCancelSleep();
}

void
audit_ring_reserve(Size size)
{
	if (size > audit_ring_max_message())
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("an audit record is too long for the ring"),
		                errhint("Raise privacy_guard.audit_buffers and restart the server.")));
	if (ring == NULL)
		(void) join(true);
	if (!is_served() || !reserve_at_once(size))
		wait_for_room(size);
}

bool
audit_ring_try_reserve(Size size)
{
	return size <= audit_ring_max_message() && (ring != NULL || join(false)) &&
	       reserve_at_once(size);
}

Size
audit_ring_reserved(void)
{
	return reserved;
}

void
audit_ring_release(Size size)
{
	Assert(size <= reserved);
	reserved -= size;
	standing += size;
	if (standing <= 2 * STANDING)
		return;
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->reserved -= standing - STANDING;
	standing = STANDING;
	LWLockRelease(&ring->lock);
	ConditionVariableBroadcast(&ring->room);
}

/* A quarter, so that a long one finds its room while others use the ring, too. */
Size
audit_ring_max_message(void)
{
	return audit_ring_size() / 4;
}

/* ---- pushing ---- */

static void
copy_in(Size *offset, const void *source, Size length)
{
	Size size = audit_ring_size();
	Size first = Min(length, size - *offset);
	uint8 *target = audit_ring_bytes(ring);

	memcpy(target + *offset, source, first);
	memcpy(target, (const uint8 *) source + first, length - first);
	*offset = first < length ? length - first : *offset + length;
}

/* Must the writer be told of what was pushed?  The caller holds the lock. */
static Latch *
whom_to_wake(void)
{
	if (ring->sleep == RING_AWAKE ||
	    (ring->sleep == RING_GATHERS && audit_ring_pending(ring) < audit_ring_size() / 2))
		return NULL;
	ring->sleep = RING_AWAKE;
	return ring->writer;
}

/*
 * What the caller did not reserve is a mistake of his.  A record that is lost would be worse than a
 * restart.
 */
static void
cover_overdraft(Size length)
{
	Size missing = length - reserved;

	if (standing >= missing)
		standing -= missing;
	else if (!take(missing))
		elog(PANIC, "audit record without reserved space");
	reserved = length;
}

RingPosition
audit_ring_push(uint32 flags, const void *record, Size record_length, const void *keys,
                Size keys_length)
{
	AuditMessage message = {.length = AUDIT_MESSAGE_SIZE(record_length, keys_length),
	                        .record_length = record_length,
	                        .keys_length = keys_length,
	                        .flags = flags};
	Size offset;
	Latch *writer;
	bool unserved;

	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	if (message.length > reserved)
		cover_overdraft(message.length);
	offset = ring->head % audit_ring_size();
	copy_in(&offset, &message, sizeof(message));
	copy_in(&offset, record, record_length);
	if (keys != NULL)
		copy_in(&offset, keys, keys_length);
	ring->head += message.length;
	ring->reserved -= message.length;
	pushed = ring->head;
	reserved -= message.length;
	renew_standing();
	writer = whom_to_wake();
	unserved = ring->writer == NULL;
	LWLockRelease(&ring->lock);

	if (writer != NULL)
		SetLatch(writer);
	if (unserved)
		audit_ring_wake_launcher();
	return pushed;
}

RingPosition
audit_ring_pushed(void)
{
	return pushed;
}

RingPosition
audit_ring_head(void)
{
	AuditRing *mine;
	RingPosition head;

	if (ring != NULL)
		return audit_ring_head_of(ring);
	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	mine = audit_ring_find(MyDatabaseId);
	head = mine ? audit_ring_head_of(mine) : 0;
	LWLockRelease(&audit_rings->lock);
	return head;
}

/* ---- waiting for the log ---- */

static bool
is_durable(RingPosition position)
{
	return pg_atomic_read_u64(&ring->durable) >= position;
}

static bool
wait_interruptibly(RingPosition position, TimestampTz deadline)
{
	bool in_time = true;

	while (in_time && !is_durable(position))
	{
		if (pg_atomic_read_u32(&ring->writer_pid) == 0)
			want_writer();
		wish(position);
		in_time = sleep_until(&ring->flushed, deadline, flush_event);
	}
	ConditionVariableCancelSleep();
	return in_time;
}

/* Not for a cancel, only for the end of the session: its client will not hear of the end anyway. */
static bool
wait_uninterrupted(RingPosition position, TimestampTz deadline)
{
	bool in_time = true;

	HOLD_INTERRUPTS();
	while (in_time && !ProcDiePending && !is_durable(position))
	{
		TimestampTz slice = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SLICE);

		if (pg_atomic_read_u32(&ring->writer_pid) == 0)
			want_writer();
		wish(position);
		in_time = sleep_until(&ring->flushed, Min(slice, deadline), flush_event);
	}
	ConditionVariableCancelSleep();
	RESUME_INTERRUPTS();
	return is_durable(position);
}

bool
audit_ring_wait(RingPosition position, bool may_fail)
{
	TimestampTz deadline;

	if (position == 0 || (ring == NULL && !join(may_fail)))
		return position == 0;
	if (is_durable(position) || audit_hold_is_mine(MyDatabaseId))
		return true;
	if (!may_fail && proc_exit_inprogress)
		return false;
	deadline = deadline_from_now();
	if (!may_fail)
		return wait_uninterrupted(position, deadline);
	if (!wait_interruptibly(position, deadline))
		raise_timeout();
	return true;
}
