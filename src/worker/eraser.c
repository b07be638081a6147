/*
 * eraser.c
 *		The eraser of a database: it erases what is past its storage duration.
 *
 * The launcher starts it when something may be due.  It asks for what is to be done, does each task
 * in batches, each in a transaction of its own, and leaves.  What is erased, in which order, and
 * what is on record of it, is decided in src/sql/retention_run.sql.  As long as there are such
 * tasks, it comes each erase_interval, for rows that end soon may be inserted at any time; else it
 * asks when there will be some.
 *
 * It is patient, for nobody waits for it: the rows are out of sight already.  A lock that it does
 * not get soon, and a batch that takes long, are errors.  An error aborts the batch, is noted with
 * the task, which then rests for a while, and the next task is done.  Between batches it leaves
 * when it is terminated, when a command needs the database alone, or when erase_interval becomes 0.
 *
 * It holds no locks but those of the batch, and keeps nothing that a crash could lose.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "policy/policy.h"
#include "retention/eraser_shared.h"
#include "worker/eraser.h"
#include "worker/pace.h"
#include "worker/transaction.h"

#define LOCK_TIMEOUT_TEXT "1s"
#define BATCH_TIMEOUT 10000 /* ms */

/* A batch that took too long is tried again with so many times fewer rows. */
#define SHRINK 4

/* So many batches in a row without a row are enough for this time. */
#define EMPTY_BATCHES 100

typedef struct TaskKind
{
	const char *name;
	const char *words; /* what it does, for people */
	bool whole;        /* the size of the batch has no say in it */
} TaskKind;

typedef struct Task
{
	const TaskKind *kind;
	Oid relation; /* invalid: it concerns no table */
	char *words;  /* with the table */
} Task;

static const TaskKind kinds[] = {
    {"rows", "erase rows"},
    {"unneeded", "erase rows that nobody needs"},
    {"expire_consents", "record that consents have ended"},
    {"erasures", "erase data subjects", true},
    {"proofs", "end the proofs of data subjects that were erased"},
};

static const WorkerManner manner = {
    .hint = "It is tried again after a while. Meanwhile the rows are hidden; "
            "privacy_guard.retention_status says what is left.",
    .timeout = BATCH_TIMEOUT,
    .runs_others_code = true};

static uint32 pause_event = PG_WAIT_EXTENSION;
static Pace pace;

/* Between a step and the transaction around it. */
static bool in_force = false;
static List *tasks = NIL;
static Task *task = NULL;
static int batch_size = 0;
static int64 batch_rows = 0;
static bool task_done = false;
static TimestampTz next_due = DT_NOEND;

/* ---- steps, each in its transaction ---- */

/* Or closed: nobody is there, and what is copied from it begins with a finish_restore(). */
static bool
is_template(void)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Form_pg_database form;
	bool result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	form = (Form_pg_database) GETSTRUCT(tuple);
	result = form->datistemplate || !form->datallowconn;
	ReleaseSysCache(tuple);
	return result;
}

static const TaskKind *
kind_of(const char *name)
{
	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(name, kinds[i].name) == 0)
			return &kinds[i];
	elog(ERROR, "unknown task \"%s\"", name);
}

static char *
describe(const TaskKind *kind, Oid relation)
{
	char *table = get_rel_name(relation);

	if (table == NULL)
		return pstrdup(kind->words);
	return psprintf(
	    "%s of %s", kind->words,
	    quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), table));
}

static void
add_task(HeapTuple row, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Task *new = palloc0(sizeof(Task));
	bool isnull;

	MemoryContextSwitchTo(old);
	new->kind = kind_of(SPI_getvalue(row, desc, 1));
	new->relation = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
	if (isnull)
		new->relation = InvalidOid;
	new->words = MemoryContextStrdup(TopMemoryContext, describe(new->kind, new->relation));
	old = MemoryContextSwitchTo(TopMemoryContext);
	tasks = lappend(tasks, new);
	MemoryContextSwitchTo(old);
}

static void
step_look(void)
{
	bool template = is_template();

	in_force = policy_state() == POLICY_IN_FORCE && !template;
	/* It may cease to be one without telling anybody. */
	next_due = template ? DT_NOBEGIN : DT_NOEND;
	if (!in_force)
		return;
	SPI_connect();
	if (SPI_execute("SELECT task, relation FROM privacy_guard_internal.retention_work()", false,
	                0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what is due");
	for (uint64 i = 0; i < SPI_processed; i++)
		add_task(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_finish();
}

/* Call with the task's name and table, and something else; the plan is kept for next time. */
static void
call_for_task(SPIPlanPtr *plan, const char *query, Oid type, Datum value)
{
	Oid types[] = {TEXTOID, REGCLASSOID, type};
	Datum values[] = {CStringGetTextDatum(task->kind->name), ObjectIdGetDatum(task->relation),
	                  value};
	char nulls[] = {' ', OidIsValid(task->relation) ? ' ' : 'n', ' '};

	if (*plan == NULL)
	{
		SPIPlanPtr prepared = SPI_prepare(query, lengthof(types), types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare what is due");
		*plan = prepared;
	}
	if (SPI_execute_plan(*plan, values, nulls, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not do what is due");
}

static void
step_batch(void)
{
	static SPIPlanPtr plan = NULL;
	HeapTuple row;
	bool isnull;

	SPI_connect();
	call_for_task(&plan,
	              "SELECT s.rows, s.done FROM privacy_guard_internal.retention_step($1, $2, $3) s",
	              INT4OID, Int32GetDatum(batch_size));
	row = SPI_tuptable->vals[0];
	batch_rows = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull)
		batch_rows = 0;
	task_done = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	SPI_finish();
}

static void
step_note_failure(void)
{
	static SPIPlanPtr plan = NULL;

	SPI_connect();
	call_for_task(&plan, "SELECT privacy_guard_internal.retention_failed($1, $2, $3)", TEXTOID,
	              CStringGetTextDatum(unpack_sql_state(worker_error()->sqlstate)));
	SPI_finish();
}

static void
step_ask_next(void)
{
	bool isnull;
	Datum due;

	SPI_connect();
	if (SPI_execute("SELECT privacy_guard_internal.retention_due_at()", false, 0) !=
	        SPI_OK_SELECT ||
	    SPI_processed != 1)
		elog(ERROR, "could not read when something is due");
	due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	next_due = isnull ? DT_NOEND : DatumGetTimestampTz(due);
	SPI_finish();
}

/* ---- tasks ---- */

static bool
must_leave(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return ShutdownRequestPending || guc_erase_interval == 0 || eraser_is_unwanted();
}

static uint64
clock_now(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MICROSEC(now);
}

/* Until the batch may begin; false when it is to leave instead. */
static bool
wait_for_turn(int limit)
{
	while (!must_leave())
	{
		long wait;

		batch_size = pace_batch(&pace, guc_erase_rate, Min(guc_erase_batch_size, limit));
		wait = pace_wait(&pace, batch_size, clock_now());
		if (wait == 0)
		{
			eraser_report_phase(ERASER_ERASES);
			return true;
		}
		eraser_report_phase(ERASER_PAUSES);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
		                 pause_event);
		ResetLatch(MyLatch);
	}
	return false;
}

/* What was erased in one go, as a partition, is no load, so it costs no more than a batch. */
static void
count_batch(void)
{
	pace_spend(&pace, Min(batch_rows, batch_size));
	eraser_report_batch(batch_rows);
}

/* False when not even the failure can be noted. */
static bool
do_task(void)
{
	int limit = INT_MAX;
	int empty = 0;

	eraser_report_task(task->kind->name, task->relation);
	task_done = false;
	while (!task_done && empty < EMPTY_BATCHES && wait_for_turn(limit))
	{
		switch (worker_run(step_batch, task->words))
		{
			case WORKER_DONE:
				count_batch();
				empty = batch_rows > 0 ? 0 : empty + 1;
				break;
			case WORKER_ABSENT:
				return true;
			default:
				if (!worker_error()->timed_out || batch_size == 1 || task->kind->whole)
					return worker_run(step_note_failure, "note that erasing failed") !=
					       WORKER_FAILED;
				limit = Max(batch_size / SHRINK, 1);
		}
	}
	return true;
}

static bool
do_tasks(void)
{
	ListCell *cell;

	foreach (cell, tasks)
	{
		task = lfirst(cell);
		if (must_leave())
			return true;
		if (!do_task())
			return false;
	}
	return true;
}

static bool
do_all(void)
{
	if (worker_run(step_look, "find what is due for erasure") == WORKER_FAILED)
		return false;
	if (!in_force)
		return true;
	if (tasks == NIL)
		return worker_run(step_ask_next, "find when something is due for erasure") != WORKER_FAILED;
	next_due = DT_NOBEGIN;
	return do_tasks();
}

/* ---- the process ---- */

static void
connect_to(Oid database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, worker_handle_sigterm);
	pqsignal(SIGINT, worker_handle_cancel);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	SetConfigOption("application_name", ERASER_TYPE, PGC_USERSET, PGC_S_SESSION);
	worker_begin(&manner);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT_TEXT, PGC_SUSET, PGC_S_OVERRIDE);
	/* A receipt must not be lost where the rows are gone. */
	SetConfigOption("privacy_guard.audit_durability", "transaction", PGC_SIGHUP, PGC_S_OVERRIDE);
	pause_event = COMPAT_WAIT_EVENT("PrivacyGuardEraserPause");
	pace_begin(&pace, clock_now());
}

void
privacy_guard_eraser_main(Datum database)
{
	bool failed;

	connect_to(DatumGetObjectId(database));
	if (!eraser_attach())
		proc_exit(0);
	failed = !must_leave() && !do_all();
	if (failed)
		eraser_detach_failed();
	else if (must_leave())
		eraser_detach_unfinished();
	else
		eraser_detach_done(next_due);
	proc_exit(0);
}
