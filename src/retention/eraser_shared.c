/*
 * eraser_shared.c
 *		In shared memory: which databases need their eraser, when, and what it is doing.
 *
 * EraserShared.lock guards everything here.  It is held for a look at some slots, never while
 * waiting, and no other lock is taken meanwhile.
 *
 * The eraser comes at most every erase_interval, but soon when somebody wakes it, whose statement
 * may have made something due.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/ring_hold.h"
#include "audit/ring_registry.h"
#include "guc.h"
#include "retention/eraser_shared.h"

/* Between two starts for somebody who woke it, and after it was sent away, in ms. */
#define WAKE_PAUSE 1000

/* After failures of the eraser itself, in ms. */
#define FIRST_RETRY 1000
#define LAST_RETRY (60 * 60 * 1000)

/* What pg_stat_activity has no place for. */
typedef struct EraserProgress
{
	EraserPhase phase;
	TimestampTz started_at;
	int64 rows;
	char task[NAMEDATALEN]; /* "" before the first */
	Oid relation;           /* invalid where the task concerns no table */
	TimestampTz task_started_at;
	TimestampTz task_reported_at;
	int64 task_rows;
	int64 task_batches;
} EraserProgress;

typedef struct EraserSlot
{
	Oid database; /* invalid when the slot is free */
	int pid;      /* 0: it is not running */
	Latch *latch;
	bool woken;     /* since it was started */
	bool sent_away; /* since it was started */
	TimestampTz due;
	TimestampTz started_at;
	TimestampTz retry_at;
	int failures;
	EraserProgress progress; /* while it is running */
} EraserSlot;

typedef struct EraserShared
{
	LWLock lock;
	bool full; /* and the log says so */
	EraserSlot slot[FLEXIBLE_ARRAY_MEMBER];
} EraserShared;

static EraserShared *shared = NULL;
static EraserSlot *mine = NULL;
static bool wake_at_commit = false;

PG_FUNCTION_INFO_V1(eraser_wake_at_commit);
PG_FUNCTION_INFO_V1(eraser_next_run);
PG_FUNCTION_INFO_V1(eraser_progress);

Size
eraser_shmem_size(void)
{
	return add_size(offsetof(EraserShared, slot),
	                mul_size(guc_audit_databases, sizeof(EraserSlot)));
}

void
eraser_shmem_attach(void)
{
	bool found;

	shared = ShmemInitStruct("privacy_guard erasers", eraser_shmem_size(), &found);
	if (!found)
	{
		memset(shared, 0, eraser_shmem_size());
		LWLockInitialize(&shared->lock, LWLockNewTrancheId());
	}
	LWLockRegisterTranche(shared->lock.tranche, "privacy_guard_erasers");
}

/* ---- slots: the caller holds the lock ---- */

static EraserSlot *
find(Oid database)
{
	for (int i = 0; i < guc_audit_databases; i++)
		if (shared->slot[i].database == database)
			return &shared->slot[i];
	return NULL;
}

static bool
is_free(const EraserSlot *slot)
{
	return !OidIsValid(slot->database) || (slot->pid == 0 && !slot->woken && slot->due == DT_NOEND);
}

static EraserSlot *
assign(Oid database)
{
	EraserSlot *slot = find(database);

	for (int i = 0; slot == NULL && i < guc_audit_databases; i++)
		if (is_free(&shared->slot[i]))
		{
			slot = &shared->slot[i];
			memset(slot, 0, sizeof(*slot));
			slot->database = database;
			slot->due = DT_NOEND;
		}
	return slot;
}

/* How long after its last start, in ms. */
static int64
pause_of(const EraserSlot *slot)
{
	return slot->woken ? WAKE_PAUSE : (int64) guc_erase_interval * 1000;
}

/* A clock that was put back must not keep the eraser away. */
static TimestampTz
plausible(TimestampTz then, TimestampTz now, int64 longest)
{
	return then > TimestampTzPlusMilliseconds(now, longest) ? now : then;
}

static TimestampTz
next_start(const EraserSlot *slot, TimestampTz now)
{
	int64 pause = pause_of(slot);
	TimestampTz rested;

	if (!OidIsValid(slot->database) || slot->pid != 0 || guc_erase_interval == 0 ||
	    (slot->due == DT_NOEND && !slot->woken))
		return DT_NOEND;
	rested = plausible(TimestampTzPlusMilliseconds(slot->started_at, pause), now, pause);
	if (slot->woken)
		return rested;
	return Max(slot->due, Max(rested, plausible(slot->retry_at, now, LAST_RETRY)));
}

/* ---- waking ---- */

static void
complain_of_room(void)
{
	ereport(LOG, (errmsg("there is no room for the eraser of another database"),
	              errhint("Raise privacy_guard.audit_databases and restart the server. Until then "
	                      "what is due there is hidden, but not erased.")));
}

void
eraser_wake(Oid database)
{
	EraserSlot *slot;
	bool complain;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	slot = assign(database);
	if (slot != NULL)
		slot->woken = true;
	complain = slot == NULL && !shared->full;
	shared->full = slot == NULL;
	LWLockRelease(&shared->lock);
	if (complain)
		complain_of_room();
	audit_ring_wake_launcher();
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	/* COMMIT PREPARED runs no callback, and the eraser would sleep on. */
	if (wake_at_commit && event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR,
		        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		         errmsg("cannot PREPARE a transaction that has changed storage durations or holds"),
		         errhint("Change them in a transaction of their own.")));
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (wake_at_commit && event == XACT_EVENT_COMMIT)
		eraser_wake(MyDatabaseId);
	wake_at_commit = false;
}

/* privacy_guard_internal.wake_eraser(), and as a trigger */
Datum
eraser_wake_at_commit(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(end_of_transaction, NULL);
	registered = true;
	wake_at_commit = true;
	PG_RETURN_POINTER(NULL);
}

/* ---- the launcher ---- */

List *
eraser_due(void)
{
	Oid *database = palloc(sizeof(Oid) * guc_audit_databases);
	TimestampTz now = GetCurrentTimestamp();
	List *result = NIL;
	int n = 0;

	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < guc_audit_databases; i++)
		if (next_start(&shared->slot[i], now) <= now)
			database[n++] = shared->slot[i].database;
	LWLockRelease(&shared->lock);

	for (int i = 0; i < n; i++)
		if (!audit_hold_exists(database[i]))
			result = lappend_oid(result, database[i]);
	pfree(database);
	return result;
}

TimestampTz
eraser_next_start(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;

	LWLockAcquire(&shared->lock, LW_SHARED);
	for (int i = 0; i < guc_audit_databases; i++)
		next = Min(next, next_start(&shared->slot[i], now));
	LWLockRelease(&shared->lock);
	return next;
}

bool
eraser_is_running(Oid database)
{
	EraserSlot *slot;
	bool result;

	LWLockAcquire(&shared->lock, LW_SHARED);
	slot = find(database);
	result = slot != NULL && slot->pid != 0;
	LWLockRelease(&shared->lock);
	return result;
}

void
eraser_forget(Oid database)
{
	EraserSlot *slot;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	slot = find(database);
	if (slot != NULL && slot->pid == 0)
		slot->database = InvalidOid;
	LWLockRelease(&shared->lock);
}

int
eraser_send_away(Oid database)
{
	EraserSlot *slot;
	Latch *latch = NULL;
	int pid = 0;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	slot = find(database);
	if (slot != NULL)
	{
		slot->sent_away = true;
		slot->started_at = GetCurrentTimestamp(); /* the command's hold comes before the next */
		latch = slot->latch;
		pid = slot->pid;
	}
	LWLockRelease(&shared->lock);
	if (latch != NULL)
		SetLatch(latch);
	return pid;
}

/* ---- the eraser ---- */

static void
fail_at_exit(int code, Datum arg)
{
	if (mine != NULL)
		eraser_detach_failed();
}

/* The caller holds the lock. */
static void
take(EraserSlot *slot)
{
	mine = slot;
	slot->pid = MyProcPid;
	slot->latch = MyLatch;
	slot->woken = slot->sent_away = false;
	slot->due = DT_NOBEGIN;
	slot->started_at = GetCurrentTimestamp();
	memset(&slot->progress, 0, sizeof(slot->progress));
	slot->progress.phase = ERASER_LOOKS;
	slot->progress.started_at = slot->started_at;
}

bool
eraser_attach(void)
{
	EraserSlot *slot;

	on_shmem_exit(fail_at_exit, (Datum) 0);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	slot = assign(MyDatabaseId);
	if (slot != NULL && slot->pid == 0)
		take(slot);
	LWLockRelease(&shared->lock);
	return mine != NULL;
}

bool
eraser_is_unwanted(void)
{
	bool sent_away;

	LWLockAcquire(&shared->lock, LW_SHARED);
	sent_away = mine->sent_away;
	LWLockRelease(&shared->lock);
	return sent_away || audit_hold_exists(MyDatabaseId);
}

static void
detach(TimestampTz due, TimestampTz retry_at, int failures)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	mine->pid = 0;
	mine->latch = NULL;
	mine->due = due;
	mine->retry_at = retry_at;
	mine->failures = failures;
	LWLockRelease(&shared->lock);
	mine = NULL;
	audit_ring_wake_launcher();
}

void
eraser_detach_done(TimestampTz due)
{
	detach(due, DT_NOBEGIN, 0);
}

/* Who sent it away does not want it back at once. */
void
eraser_detach_unfinished(void)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	mine->started_at = GetCurrentTimestamp();
	LWLockRelease(&shared->lock);
	detach(DT_NOBEGIN, DT_NOBEGIN, 0);
}

void
eraser_detach_failed(void)
{
	int failures = mine->failures; /* of no other process, while we have the slot */
	int64 pause = Min((int64) FIRST_RETRY << Min(failures, 20), LAST_RETRY);

	detach(DT_NOBEGIN, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause), failures + 1);
}

void
eraser_report_task(const char *task, Oid relation)
{
	EraserProgress *progress = &mine->progress;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	strlcpy(progress->task, task, sizeof(progress->task));
	progress->relation = relation;
	progress->task_started_at = progress->task_reported_at = GetCurrentTimestamp();
	progress->task_rows = progress->task_batches = 0;
	LWLockRelease(&shared->lock);
}

void
eraser_report_phase(EraserPhase phase)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	mine->progress.phase = phase;
	LWLockRelease(&shared->lock);
}

void
eraser_report_batch(int64 rows)
{
	EraserProgress *progress = &mine->progress;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	progress->rows += rows;
	progress->task_rows += rows;
	progress->task_batches++;
	progress->task_reported_at = GetCurrentTimestamp();
	LWLockRelease(&shared->lock);
}

/* ---- for people ---- */

/* privacy_guard_internal.eraser_next_run() RETURNS timestamptz: of this database */
Datum
eraser_next_run(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;
	EraserSlot *slot;

	LWLockAcquire(&shared->lock, LW_SHARED);
	slot = find(MyDatabaseId);
	if (slot != NULL)
		next = slot->pid != 0 ? now : next_start(slot, now);
	LWLockRelease(&shared->lock);
	if (next == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(Max(next, now));
}

static void
put_time(Datum *value, bool *isnull, TimestampTz time)
{
	*value = TimestampTzGetDatum(time);
	*isnull = time == 0;
}

/* The caller holds the lock. */
static void
put_row(ReturnSetInfo *result, const EraserSlot *slot)
{
	static const char *const phases[] = {"looking", "erasing", "pausing"};
	const EraserProgress *progress = &slot->progress;
	Datum values[11];
	bool nulls[11] = {false};

	values[0] = Int32GetDatum(slot->pid);
	values[1] = ObjectIdGetDatum(slot->database);
	values[2] = CStringGetTextDatum(phases[progress->phase]);
	put_time(&values[3], &nulls[3], progress->started_at);
	values[4] = Int64GetDatum(progress->rows);
	values[5] = CStringGetTextDatum(progress->task);
	nulls[5] = progress->task[0] == '\0';
	values[6] = ObjectIdGetDatum(progress->relation);
	nulls[6] = !OidIsValid(progress->relation);
	put_time(&values[7], &nulls[7], progress->task_started_at);
	put_time(&values[8], &nulls[8], progress->task_reported_at);
	values[9] = Int64GetDatum(progress->task_rows);
	values[10] = Int64GetDatum(progress->task_batches);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* privacy_guard_internal.eraser_progress(): those of all databases that are running */
Datum
eraser_progress(PG_FUNCTION_ARGS)
{
	Size size = mul_size(guc_audit_databases, sizeof(EraserSlot));
	EraserSlot *copy = palloc(size);

	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(&shared->lock, LW_SHARED);
	memcpy(copy, shared->slot, size);
	LWLockRelease(&shared->lock);
	for (int i = 0; i < guc_audit_databases; i++)
		if (OidIsValid(copy[i].database) && copy[i].pid != 0)
			put_row((ReturnSetInfo *) fcinfo->resultinfo, &copy[i]);
	return (Datum) 0;
}
