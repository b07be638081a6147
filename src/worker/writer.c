/*
 * writer.c
 *		The audit writer of a database: it makes what lies in the ring durable.
 *
 * A loop of transactions: what is in the ring becomes a segment of the log, is committed, and only
 * then freed.  When the ring is quiet, small segments are merged and checkpoints made.  An error
 * aborts the transaction, is logged, and the same is tried again after a while: what is in the ring
 * cannot be dropped.
 *
 * It ends for one of four reasons: the server stops (then it stays until the last producer has left
 * and all is written); somebody terminated it (the launcher starts another); a command needs the
 * database alone (the same, afterwards); or nothing is guarded.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"

#include "audit/checkpoint.h"
#include "audit/merge.h"
#include "audit/ring_hold.h"
#include "audit/ring_writer.h"
#include "audit/seal.h"
#include "guc.h"
#include "policy/policy.h"
#include "retention/eraser_shared.h"
#include "worker/transaction.h"
#include "worker/witness.h"
#include "worker/writer.h"

/* All in milliseconds. */
#define FIRST_RETRY 100
#define LAST_RETRY 1000
#define DRAIN_POLL 100
#define LOOK_INTERVAL 10000 /* how often to look whether anything is guarded */

/* So often, in flushes, something else is done as well, also when the ring is never quiet. */
#define CHORE_EVERY 64

static const WorkerManner manner = {
    .hint = "It is tried again until it succeeds. When the audit log cannot be written, guarded "
            "statements wait, and then fail.",
    .waits_for_standbys = true};

static bool opened = false;  /* the end of the log is known */
static bool started = false; /* its start is on record */
static bool absent = false;  /* the extension has gone */

static int failures = 0;
static TimestampTz retry_at = 0;

/* What is left to be done when the ring is quiet. */
static bool merge_due = false;
static bool checkpoint_due = false;
static TimestampTz checkpoint_at = 0;
static TimestampTz look_at = 0;
static bool flushed_lately = true; /* since the last look: who was asked to come has a reason */
static bool unguarded = false; /* nothing is guarded, and nobody has pushed since the last look */

/* Between a step and the transaction around it. */
static PolicyState state;
static RingPosition batch_end;
static bool merged;
static const char *stop_reason;

static long
milliseconds_until(TimestampTz then)
{
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), then);
}

static TimestampTz
milliseconds_from_now(long milliseconds)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
}

static bool
succeeded(void)
{
	failures = 0;
	return true;
}

static bool
failed(void)
{
	retry_at = milliseconds_from_now(Min(FIRST_RETRY << Min(failures, 10), LAST_RETRY));
	failures++;
	return false;
}

/* ---- steps, each in its transaction ---- */

static void
step_look(void)
{
	state = policy_state();
}

static void
step_open(void)
{
	opened = seal_start();
}

static void
step_start(void)
{
	witness_start(!audit_ring_was_served());
	(void) seal_store();
}

static void
step_flush(void)
{
	const AuditMessage *message;

	batch_end = audit_ring_durable();
	while (!seal_is_full() && (message = audit_ring_read(&batch_end)) != NULL)
		seal_add(message);
	(void) seal_store();
}

static void
step_stop(void)
{
	witness_stop(stop_reason);
	(void) seal_store();
}

static void
step_merge(void)
{
	merged = merge_step();
}

static void
step_checkpoint(void)
{
	(void) checkpoint_make();
}

/* A step that adds to the log. */
static bool
add_to_log(WorkerStep step)
{
	switch (worker_run(step, "write the audit log"))
	{
		case WORKER_DONE:
			seal_committed();
			merge_due = checkpoint_due = true;
			return succeeded();
		case WORKER_ABSENT:
			absent = true;
			return succeeded();
		default:
			seal_aborted();
			return failed();
	}
}

/* The tables are gone, and with them what was to be written there. */
static void
discard(void)
{
	RingPosition position = audit_ring_durable();
	int n = 0;

	while (audit_ring_read(&position) != NULL)
		n++;
	audit_ring_free(position);
	if (n > 0)
		ereport(LOG, (errmsg("%d audit records have nowhere to go: the extension was dropped", n)));
}

static bool
flush(void)
{
	if (!add_to_log(step_flush))
		return false;
	if (absent)
		discard();
	else
		audit_ring_free(batch_end);
	flushed_lately = true;
	return true;
}

/* A database that was restored has a log only after finish_restore(). */
static bool
start(void)
{
	if (!opened && !add_to_log(step_open))
		return false;
	if (!opened)
		return absent || failed();
	if (!audit_ring_was_served())
	{
		if (worker_run(witness_recall, "read the audit log") == WORKER_FAILED)
			return failed();
		(void) worker_run(witness_read_wal, NULL);
	}
	if (!add_to_log(step_start))
		return false;
	if (!absent)
		audit_ring_set_served();
	started = !absent;
	/* Whoever has come to a database where something is guarded may be the first one there. */
	if (started)
		eraser_wake(MyDatabaseId);
	return true;
}

/* ---- while the ring is quiet ---- */

static void
look(void)
{
	if (worker_run(step_look, NULL) == WORKER_ABSENT)
		absent = true;
	unguarded = state != POLICY_IN_FORCE && !flushed_lately && audit_ring_is_empty();
	flushed_lately = false;
	merge_due = started; /* of a log that is quiet, fewer small rows */
	look_at = milliseconds_from_now(LOOK_INTERVAL);
}

/* When the next thing is to be done, in milliseconds. */
static long
quiet_time(void)
{
	long time = milliseconds_until(look_at);

	if (merge_due)
		return 0;
	if (checkpoint_due && guc_checkpoint_interval > 0)
		time = Min(time, milliseconds_until(checkpoint_at));
	return time;
}

static void
do_chores(void)
{
	if (checkpoint_due && guc_checkpoint_interval > 0 && milliseconds_until(checkpoint_at) == 0)
	{
		checkpoint_due =
		    worker_run(step_checkpoint, "make a checkpoint of the audit log") == WORKER_FAILED ||
		    checkpoint_is_pending();
		checkpoint_at = milliseconds_from_now((long) guc_checkpoint_interval * 1000);
	}
	else if (merge_due)
		merge_due =
		    worker_run(step_merge, "merge segments of the audit log") == WORKER_DONE && merged;
}

static void
work(void)
{
	static int flushes = 0; /* since the last chore */

	if (milliseconds_until(look_at) == 0)
		look();
	else if (!started)
		(void) start();
	else if (audit_ring_rest(quiet_time()) == RING_FLUSH && flushes < CHORE_EVERY)
		flushes += flush();
	else
	{
		flushes = 0;
		do_chores();
	}
}

/* ---- leaving ---- */

/* A child is not told why it is terminated, but the postmaster says in its file what it is about.
 */
static bool
server_is_stopping(void)
{
	FILE *file = fopen("postmaster.pid", "r");
	char line[MAXPGPATH] = "";
	bool whole = file != NULL;

	for (int i = 0; whole && i < LOCK_FILE_LINE_PM_STATUS; i++)
		whole = fgets(line, sizeof(line), file) != NULL;
	if (file != NULL)
		fclose(file);
	return whole && strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}

static void
write_stop(const char *reason)
{
	stop_reason = reason;
	if (started && !absent)
		(void) add_to_log(step_stop);
	started = false;
}

/* What comes into the ring later is for the next writer. */
static void
leave_to_another(const char *reason)
{
	RingPosition goal = audit_ring_head();

	while (started && !absent && audit_ring_durable() < goal && flush())
		;
	write_stop(reason);
	(void) audit_ring_detach_writer(true);
}

static void
leave_server(void)
{
	TimestampTz give_up = 0;

	while (!audit_ring_close())
	{
		bool idle = audit_ring_is_empty();

		if (idle || ((started || start()) && flush()))
			give_up = 0;
		else if (give_up == 0)
			give_up = milliseconds_from_now(guc_audit_timeout);
		else if (milliseconds_until(give_up) == 0)
		{
			ereport(LOG, (errmsg("the audit log could not be completed before the shutdown"),
			              errhint("The next start will record the gap.")));
			return;
		}
		if (idle || give_up != 0)
			(void) audit_ring_rest(DRAIN_POLL);
	}
	write_stop(STOP_SHUTDOWN);
}

/* False when somebody pushed meanwhile: then it starts anew. */
static bool
leave_unneeded(void)
{
	unguarded = false;
	if (absent)
		discard();
	write_stop(STOP_UNGUARDED);
	return audit_ring_detach_writer(false);
}

static bool
leaves(void)
{
	if (ShutdownRequestPending)
	{
		if (server_is_stopping())
			leave_server();
		else
			leave_to_another(STOP_TERMINATED);
		return true;
	}
	if (audit_hold_exists(MyDatabaseId))
	{
		leave_to_another(STOP_ASIDE);
		return true;
	}
	return (absent || unguarded) && leave_unneeded();
}

/* ---- the process ---- */

static void
connect_to(Oid database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, worker_handle_sigterm);
	pqsignal(SIGINT, worker_handle_sigint);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	SetConfigOption("application_name", WRITER_TYPE, PGC_USERSET, PGC_S_SESSION);
	worker_begin(&manner);
}

/* When it cannot tell, it is. */
static bool
is_needed(void)
{
	state = POLICY_IN_FORCE;
	absent = worker_run(step_look, NULL) == WORKER_ABSENT;
	look_at = milliseconds_from_now(LOOK_INTERVAL);
	return (!absent && state == POLICY_IN_FORCE) || audit_ring_is_wanted();
}

static void
reload(void)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

static void
rest_after_failure(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
	                 milliseconds_until(retry_at), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

void
privacy_guard_writer_main(Datum database)
{
	connect_to(DatumGetObjectId(database));
	if (!is_needed() || !audit_ring_attach_writer())
		proc_exit(0);
	while (!leaves())
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
			reload();
		if (failures > 0 && milliseconds_until(retry_at) > 0)
			rest_after_failure();
		else
			work();
	}
	proc_exit(0);
}
