/*
 * ring_shared.c
 *		The rings in shared memory: how they are laid out, and which database has which.
 *
 * A database gets a ring when its first producer or its writer asks for one, and loses it when it
 * has neither, nothing is left in it, and nobody wants it to be served.  What the launcher needs to
 * know about rings is here, too.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "audit/ring_registry.h"
#include "audit/ring_shared.h"
#include "guc.h"

AuditRings *audit_rings = NULL;

static uint8 *bytes = NULL;

Size
audit_ring_size(void)
{
	return (Size) guc_audit_buffers * 1024;
}

static Size
header_size(void)
{
	return CACHELINEALIGN(
	    add_size(offsetof(AuditRings, ring), mul_size(guc_audit_databases, sizeof(AuditRing))));
}

Size
audit_ring_shmem_size(void)
{
	return add_size(header_size(), mul_size(guc_audit_databases, audit_ring_size()));
}

static void
ring_init(AuditRing *ring, int tranche)
{
	memset(ring, 0, sizeof(*ring));
	LWLockInitialize(&ring->lock, tranche);
	pg_atomic_init_u64(&ring->durable, 0);
	pg_atomic_init_u32(&ring->writer_pid, 0);
	ConditionVariableInit(&ring->room);
	ConditionVariableInit(&ring->flushed);
}

void
audit_ring_shmem_attach(void)
{
	bool found;

	audit_rings = ShmemInitStruct("privacy_guard audit rings", audit_ring_shmem_size(), &found);
	bytes = (uint8 *) audit_rings + header_size();
	if (!found)
	{
		int tranche = LWLockNewTrancheId();

		memset(audit_rings, 0, offsetof(AuditRings, ring));
		LWLockInitialize(&audit_rings->lock, tranche);
		for (int i = 0; i < guc_audit_databases; i++)
			ring_init(&audit_rings->ring[i], tranche);
	}
	LWLockRegisterTranche(audit_rings->lock.tranche, "privacy_guard_audit_ring");
}

uint8 *
audit_ring_bytes(const AuditRing *ring)
{
	return bytes + (ring - audit_rings->ring) * audit_ring_size();
}

RingPosition
audit_ring_head_of(AuditRing *ring)
{
	RingPosition head;

	LWLockAcquire(&ring->lock, LW_SHARED);
	head = ring->head;
	LWLockRelease(&ring->lock);
	return head;
}

uint64
audit_ring_pending(const AuditRing *ring)
{
	/* The lock is held, so durable stands still. */
	return ring->head - pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &ring->durable));
}

/* ---- assignment ---- */

AuditRing *
audit_ring_find(Oid database)
{
	for (int i = 0; i < guc_audit_databases; i++)
		if (audit_rings->ring[i].database == database)
			return &audit_rings->ring[i];
	return NULL;
}

/* Everything in it was pushed by producers that have left, so its head stands still. */
static bool
is_free(AuditRing *ring)
{
	return !OidIsValid(ring->database) ||
	       (ring->producers == 0 && !ring->wanted && pg_atomic_read_u32(&ring->writer_pid) == 0 &&
	        audit_ring_pending(ring) == 0);
}

AuditRing *
audit_ring_assign(Oid database)
{
	AuditRing *ring = audit_ring_find(database);

	for (int i = 0; ring == NULL && i < guc_audit_databases; i++)
		if (is_free(&audit_rings->ring[i]))
		{
			/* Positions go on, so that none that somebody remembers comes again. */
			ring = &audit_rings->ring[i];
			ring->database = database;
			ring->served = ring->draining = ring->closed = false;
		}
	return ring;
}

/* ---- the launcher ---- */

static void
launcher_gone(int code, Datum arg)
{
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	audit_rings->launcher = NULL;
	LWLockRelease(&audit_rings->lock);
}

void
audit_ring_register_launcher(void)
{
	on_shmem_exit(launcher_gone, (Datum) 0);
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	audit_rings->launcher = MyLatch;
	LWLockRelease(&audit_rings->lock);
}

void
audit_ring_wake_launcher(void)
{
	Latch *launcher = audit_rings->launcher;

	if (launcher != NULL)
		SetLatch(launcher);
}

static bool
lacks_writer(AuditRing *ring)
{
	return OidIsValid(ring->database) && !ring->closed &&
	       pg_atomic_read_u32(&ring->writer_pid) == 0 &&
	       (ring->wanted || audit_ring_pending(ring) > 0) &&
	       !audit_hold_exists_locked(ring->database);
}

List *
audit_ring_unserved(void)
{
	Oid *database = palloc(sizeof(Oid) * guc_audit_databases);
	int n = 0;
	List *result = NIL;

	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	for (int i = 0; i < guc_audit_databases; i++)
	{
		AuditRing *ring = &audit_rings->ring[i];

		LWLockAcquire(&ring->lock, LW_SHARED);
		if (lacks_writer(ring))
			database[n++] = ring->database;
		LWLockRelease(&ring->lock);
	}
	LWLockRelease(&audit_rings->lock);

	for (int i = 0; i < n; i++)
		result = lappend_oid(result, database[i]);
	pfree(database);
	return result;
}

bool
audit_ring_has_writer(Oid database)
{
	AuditRing *ring;
	bool result;

	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	ring = audit_ring_find(database);
	result = ring != NULL && pg_atomic_read_u32(&ring->writer_pid) != 0;
	LWLockRelease(&audit_rings->lock);
	return result;
}

void
audit_ring_forget(Oid database)
{
	AuditRing *ring;

	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	ring = audit_ring_find(database);
	if (ring != NULL && ring->producers == 0 && pg_atomic_read_u32(&ring->writer_pid) == 0)
	{
		ring->wanted = false;
		ring->database = InvalidOid;
		LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
		pg_atomic_write_u64(&ring->durable, ring->head);
		LWLockRelease(&ring->lock);
	}
	LWLockRelease(&audit_rings->lock);
}
