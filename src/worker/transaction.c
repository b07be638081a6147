/*
 * transaction.c
 *		A worker's transaction: as the extension's owner, and with errors reported, not raised.
 *
 * A worker must not stop for good after its first error, nor repeat the same one in the log for
 * ever. Details and contexts of errors are left out of the log, for they may hold values.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "policy/policy.h"
#include "policy/verb.h"
#include "worker/transaction.h"

static const struct
{
	const char *name;
	const char *value;
} settings[] = {
    {"search_path", "pg_catalog, pg_temp"},
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"transaction_timeout", "0"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_transaction_deferrable", "off"},
    {"session_replication_role", "origin"},
    {"zero_damaged_pages", "off"},
    {"standard_conforming_strings", "on"},
    {"transform_null_equals", "off"},
    {"DateStyle", "ISO"},
    {"IntervalStyle", "postgres"},
    {"max_parallel_workers_per_gather", "0"},
    {"jit", "off"},
};

/* The last error that was logged, as long as it goes on. */
static int last_sqlstate = 0;
static char last_message[256];

static volatile sig_atomic_t committing = false;

void
worker_fix_settings(void)
{
	for (int i = 0; i < lengthof(settings); i++)
		if (GetConfigOption(settings[i].name, true, false) != NULL)
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
}

void
worker_handle_sigterm(SIGNAL_ARGS)
{
	int save_errno = errno;

	ShutdownRequestPending = true;
	/* A standby that is gone must not keep the server from stopping. */
	if (committing)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

/* Nobody cancels the writer, but its own wait for a lock may be too long (lock_timeout). */
void
worker_handle_sigint(SIGNAL_ARGS)
{
	if (get_timeout_indicator(LOCK_TIMEOUT, false))
		StatementCancelHandler(postgres_signal_arg);
}

static void
commit(void)
{
	ForceSyncCommit();
	committing = true;
	if (ShutdownRequestPending)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	CommitTransactionCommand();
	committing = false;
	if (ShutdownRequestPending)
		QueryCancelPending = false;
}

static Oid
owner_of_log(void)
{
	Oid relid = get_relname_relid("audit_segment", policy_schema());
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "table of the audit log is missing");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static WorkerResult
run(WorkerStep step)
{
	WorkerResult result = WORKER_ABSENT;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (policy_state() != POLICY_ABSENT)
	{
		verb_begin_worker(owner_of_log());
		step();
		verb_end_worker();
		result = WORKER_DONE;
	}
	PopActiveSnapshot();
	commit();
	return result;
}

static void
report(const ErrorData *error, const char *what)
{
	if (error->sqlerrcode == last_sqlstate && strcmp(error->message, last_message) == 0)
		return;
	last_sqlstate = error->sqlerrcode;
	strlcpy(last_message, error->message, sizeof(last_message));
	ereport(LOG, (errcode(error->sqlerrcode), errmsg("could not %s: %s", what, error->message),
	              errhint("It is tried again until it succeeds. When the audit log cannot be "
	                      "written, guarded statements wait, and then fail.")));
}

static void
recover(MemoryContext context, const char *what)
{
	ErrorData *error;

	HOLD_INTERRUPTS();
	committing = false;
	QueryCancelPending = false;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	verb_end_worker();
	MemoryContextSwitchTo(context);
	if (what != NULL)
		report(error, what);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
}

WorkerResult
worker_run(WorkerStep step, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	WorkerResult result = WORKER_FAILED;

	pgstat_report_activity(STATE_RUNNING, what ? what : "");
	PG_TRY();
	{
		result = run(step);
		last_sqlstate = 0;
	}
	PG_CATCH();
	{
		recover(context, what);
		result = WORKER_FAILED;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	(void) pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return result;
}
