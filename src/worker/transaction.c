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

static const WorkerManner *manner = NULL;

static WorkerError last_error;

/* The last one in the log, as long as it goes on. */
static int logged_sqlstate = 0;
static char logged_message[sizeof(last_error.message)];

static volatile sig_atomic_t in_step = false;
static volatile sig_atomic_t committing = false;
static volatile sig_atomic_t timed_out = false;

void
worker_begin(const WorkerManner *how)
{
	manner = how;
	for (int i = 0; i < lengthof(settings); i++)
		if (GetConfigOption(settings[i].name, true, false) != NULL)
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	if (!manner->waits_for_standbys)
		SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
}

const WorkerError *
worker_error(void)
{
	return &last_error;
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

void
worker_handle_cancel(SIGNAL_ARGS)
{
	if (get_timeout_indicator(STATEMENT_TIMEOUT, false))
		timed_out = true;
	if (in_step)
		StatementCancelHandler(postgres_signal_arg);
}

static void
begin_step(void)
{
	timed_out = false;
	in_step = true;
	if (manner->timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, manner->timeout);
}

/* A cancel that came too late is for nobody. */
static void
end_step(void)
{
	if (manner->timeout > 0)
		disable_timeout(STATEMENT_TIMEOUT, false);
	in_step = false;
	QueryCancelPending = false;
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

	SetCurrentStatementStartTimestamp(); /* what now() says */
	StartTransactionCommand();
	begin_step();
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
	end_step();
	return result;
}

/*
 * Messages of the server name objects.  Those that are about a value, and those that others' code
 * makes up, may say anything.
 */
static bool
may_hold_values(const ErrorData *error)
{
	static const char *const harmless = "0A 23 25 40 42 53 54 55 57 58 XX ";
	static const char *const own = "PL/pgSQL function privacy_guard_internal.";
	char class[4] = "";

	if (!manner->runs_others_code ||
	    (error->context != NULL && strncmp(error->context, own, strlen(own)) == 0))
		return false;
	memcpy(class, unpack_sql_state(error->sqlerrcode), 2);
	class[2] = ' ';
	return strstr(harmless, class) == NULL ||
	       (error->funcname != NULL && strcmp(error->funcname, "exec_stmt_raise") == 0);
}

static void
note(const ErrorData *error)
{
	last_error.sqlstate = error->sqlerrcode;
	last_error.timed_out = timed_out;
	strlcpy(last_error.message,
	        may_hold_values(error) ? "its message is left out, because it may hold values"
	                               : error->message,
	        sizeof(last_error.message));
}

static void
report(const char *what)
{
	const char *message = last_error.message;

	if (last_error.sqlstate == logged_sqlstate && strcmp(message, logged_message) == 0)
		return;
	logged_sqlstate = last_error.sqlstate;
	strlcpy(logged_message, message, sizeof(logged_message));
	ereport(LOG, (errcode(logged_sqlstate),
	              errmsg("could not %s: %s (SQLSTATE %s)", what, message,
	                     unpack_sql_state(logged_sqlstate)),
	              errhint("%s", manner->hint)));
}

static void
recover(MemoryContext context, const char *what)
{
	ErrorData *error;

	HOLD_INTERRUPTS();
	committing = false;
	end_step();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	verb_end_worker();
	MemoryContextSwitchTo(context);
	note(error);
	if (what != NULL)
		report(what);
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
		logged_sqlstate = 0;
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
