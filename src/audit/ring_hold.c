/*
 * ring_hold.c
 *		Keeping the workers out of a database for a command that needs it alone.
 *
 * What is in the ring meanwhile stays there.  Holds are in shared memory beside the rings, also of
 * databases that have none, since a writer may be on its way to one.  AuditRings.lock guards them;
 * which of them are of this backend, it remembers itself.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"

#include "audit/ring_hold.h"
#include "audit/ring_registry.h"
#include "audit/ring_shared.h"

/* One transaction may rename several databases. */
#define MY_HOLDS 16

static Oid mine[MY_HOLDS];
static int n_mine = 0;

static RingHold *
find(Oid database)
{
	for (int i = 0; i < RING_HOLDS; i++)
		if (audit_rings->hold[i].holders > 0 && audit_rings->hold[i].database == database)
			return &audit_rings->hold[i];
	return NULL;
}

static RingHold *
find_free(void)
{
	for (int i = 0; i < RING_HOLDS; i++)
		if (audit_rings->hold[i].holders == 0)
			return &audit_rings->hold[i];
	return NULL;
}

static void
end_at_exit(int code, Datum arg)
{
	audit_hold_end_all();
}

/* The latch of the writer that has to leave, or NULL. */
static Latch *
hold(Oid database, int *pid)
{
	RingHold *entry = find(database);
	AuditRing *ring = audit_ring_find(database);

	if (entry == NULL)
		entry = find_free();
	if (entry == NULL)
		return NULL;
	entry->database = database;
	entry->holders++;
	mine[n_mine++] = database;
	*pid = ring ? (int) pg_atomic_read_u32(&ring->writer_pid) : 0;
	return ring ? ring->writer : NULL;
}

int
audit_hold_begin(Oid database)
{
	static bool registered = false;
	int before = n_mine;
	int pid = 0;
	Latch *writer;

	if (!registered)
	{
		on_shmem_exit(end_at_exit, (Datum) 0);
		registered = true;
	}
	if (audit_hold_is_mine(database))
		return 0;
	if (n_mine < MY_HOLDS)
	{
		LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
		writer = hold(database, &pid);
		LWLockRelease(&audit_rings->lock);
		if (writer != NULL)
			SetLatch(writer);
	}
	if (n_mine == before)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
		                errmsg("too many commands on databases at the same time"),
		                errhint("Try again when some of them have ended.")));
	return pid;
}

void
audit_hold_end_all(void)
{
	if (n_mine == 0)
		return;
	LWLockAcquire(&audit_rings->lock, LW_EXCLUSIVE);
	while (n_mine > 0)
		find(mine[--n_mine])->holders--;
	LWLockRelease(&audit_rings->lock);
	audit_ring_wake_launcher();
}

bool
audit_hold_is_mine(Oid database)
{
	for (int i = 0; i < n_mine; i++)
		if (mine[i] == database)
			return true;
	return false;
}

bool
audit_hold_exists_locked(Oid database)
{
	return find(database) != NULL;
}

bool
audit_hold_exists(Oid database)
{
	bool result;

	LWLockAcquire(&audit_rings->lock, LW_SHARED);
	result = audit_hold_exists_locked(database);
	LWLockRelease(&audit_rings->lock);
	return result;
}
