/*
 * launcher.c
 *		The process that sees to it that each database has the workers that it needs.
 *
 * When it starts it sends an audit writer to every database that is not a template and lets in
 * connections, a few at a time; a writer that finds nothing to guard leaves at once.  Later it is
 * woken when a backend wants a writer (it sees that in the rings), and when one has gone.  Erasers
 * it starts when one is due (it sees that in their slots); writers that come wake them.
 *
 * Guarded statements wait for a writer, and nobody for an eraser.  So where no worker slot is left
 * for a writer, an eraser has to leave, and none is started until the writer has its slot.
 *
 * It connects to no database, so it is in nobody's way; of the catalogs it can read pg_database. It
 * keeps no lasting state: another one after it finds the workers where they said that they are.
 * After a crash of the server everything is as after a start.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit/ring_registry.h"
#include "compat.h"
#include "retention/eraser_shared.h"
#include "worker/eraser.h"
#include "worker/launcher.h"
#include "worker/witness.h"
#include "worker/writer.h"

#define LAUNCHER_TYPE "privacy_guard launcher"
#define RESTART_SECONDS 5

/* All in milliseconds. */
#define FIRST_RETRY 1000
#define LAST_RETRY 30000
#define STEADY_TIME 60000 /* who lived so long did not fail at the start */
#define SLOT_RETRY 5000

/* Writers that only look whether they are needed take slots from others, so only a few do. */
#define MAX_LOOKING 2

/* What to know of a kind of worker, of which a database has one at most. */
typedef struct Kind
{
	const char *name;
	const char *type;
	const char *function;
	const char *hint; /* where there is no slot for it */
	List *(*wanted)(void);
	bool (*is_there)(Oid database);
	void (*forget)(Oid database);
} Kind;

/* A database that has, or is to have, such a worker. */
typedef struct Post
{
	const Kind *kind;
	Oid database;
	NameData name;
	bool look;                      /* nobody asked, but there may be something to guard */
	bool ended;                     /* the worker that we started */
	bool missed;                    /* and it was still needed */
	bool dismissed;                 /* for the sake of a writer */
	bool no_slot;                   /* was free when it was to be started */
	BackgroundWorkerHandle *handle; /* NULL when there is none that we started */
	TimestampTz started_at;
	TimestampTz not_before;
	int failures;
} Post;

/* A row of pg_database. */
typedef struct Database
{
	Oid oid;
	NameData name;
	bool is_open; /* neither a template nor closed to connections */
} Database;

static const Kind writers = {
    "audit writer",      WRITER_TYPE,
    WRITER_FUNCTION,     "Until then guarded statements wait, and then fail.",
    audit_ring_unserved, audit_ring_has_writer,
    audit_ring_forget};

static const Kind erasers = {"eraser",        ERASER_TYPE,
                             ERASER_FUNCTION, "Until then what is due is hidden, but not erased.",
                             eraser_due,      eraser_is_running,
                             eraser_forget};

static List *posts = NIL;
static const Kind *slots_missing = NULL; /* for which kind, and the log says so */
static uint32 rest_event = PG_WAIT_EXTENSION;

void
launcher_init(void)
{
	BackgroundWorker worker;

	if (IsBinaryUpgrade)
		return;
	memset(&worker, 0, sizeof(worker));
	strlcpy(worker.bgw_name, LAUNCHER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_type, LAUNCHER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "privacy_guard", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "privacy_guard_launcher_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
}

/* ---- the databases ---- */

static Database *
make_database(Form_pg_database form)
{
	Database *database = palloc(sizeof(Database));

	database->oid = form->oid;
	database->name = form->datname;
	database->is_open =
	    form->datallowconn && !form->datistemplate && !compat_database_is_invalid(form);
	return database;
}

/* All of them, allocated in the caller's memory context. */
static List *
read_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List *databases = NIL;
	Relation relation;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		databases = lappend(databases, make_database((Form_pg_database) GETSTRUCT(tuple)));
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

static const Database *
find_database(List *databases, Oid oid)
{
	ListCell *cell;

	foreach (cell, databases)
		if (((Database *) lfirst(cell))->oid == oid)
			return lfirst(cell);
	return NULL;
}

/* ---- posts ---- */

static Post *
find_post(const Kind *kind, Oid database)
{
	ListCell *cell;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		if (post->kind == kind && post->database == database)
			return post;
	}
	return NULL;
}

static Post *
add_post(const Kind *kind, const Database *database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Post *post = palloc0(sizeof(Post));

	post->kind = kind;
	post->database = database->oid;
	post->name = database->name;
	posts = lappend(posts, post);
	MemoryContextSwitchTo(old);
	return post;
}

static void
look_everywhere(void)
{
	List *databases = read_databases();
	ListCell *cell;

	foreach (cell, databases)
	{
		const Database *database = lfirst(cell);

		if (database->is_open)
			add_post(&writers, database)->look = true;
	}
	list_free_deep(databases);
}

/* What was to be done in a database that has been dropped is forgotten. */
static void
add_wanted(const Kind *kind, List *wanted)
{
	List *databases = wanted != NIL ? read_databases() : NIL;
	ListCell *cell;

	foreach (cell, wanted)
	{
		const Database *database = find_database(databases, lfirst_oid(cell));
		Post *post = find_post(kind, lfirst_oid(cell));

		if (database == NULL)
			kind->forget(lfirst_oid(cell));
		else if (post == NULL)
			(void) add_post(kind, database);
		else
			post->name = database->name;
	}
	list_free_deep(databases);
}

/* ---- starting workers ---- */

static bool
register_worker(Post *post)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker;
	bool done;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", post->kind->type, post->database);
	strlcpy(worker.bgw_type, post->kind->type, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "privacy_guard", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, post->kind->function, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(post->database);
	worker.bgw_notify_pid = MyProcPid;
	done = RegisterDynamicBackgroundWorker(&worker, &post->handle);
	MemoryContextSwitchTo(old);
	return done;
}

/* One at a time; its slot is free when it has ended. */
static void
dismiss_eraser(void)
{
	Post *chosen = NULL;
	ListCell *cell;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		if (post->kind == &erasers && post->handle != NULL)
			chosen = chosen != NULL && chosen->dismissed ? chosen : post;
	}
	if (chosen == NULL || chosen->dismissed)
		return;
	chosen->dismissed = true;
	TerminateBackgroundWorker(chosen->handle);
}

static void
start_worker(Post *post)
{
	TimestampTz now = GetCurrentTimestamp();

	if (post->missed)
		ereport(LOG, (errmsg("starting the %s of database \"%s\" again", post->kind->name,
		                     NameStr(post->name))));
	post->no_slot = !register_worker(post);
	if (!post->no_slot)
	{
		post->started_at = now;
		post->missed = post->dismissed = false;
		if (slots_missing == post->kind)
			slots_missing = NULL;
		return;
	}
	post->handle = NULL;
	post->not_before = TimestampTzPlusMilliseconds(now, SLOT_RETRY);
	if (post->kind == &writers)
		dismiss_eraser();
	if (slots_missing == NULL || (slots_missing != post->kind && post->kind == &writers))
	{
		ereport(LOG, (errmsg("no slot is free for the %s of database \"%s\"", post->kind->name,
		                     NameStr(post->name)),
		              errhint("Raise max_worker_processes and restart the server. %s",
		                      post->kind->hint)));
		slots_missing = post->kind;
	}
}

/* A worker that we started has ended. */
static void
note_end(Post *post, bool wanted)
{
	TimestampTz now = GetCurrentTimestamp();
	bool at_once = TimestampDifferenceExceeds(post->started_at, now, STEADY_TIME);

	pfree(post->handle);
	post->handle = NULL;
	post->ended = post->look = false;
	post->missed = wanted;
	post->failures = wanted && !at_once ? post->failures + 1 : 0;
	/* Once may be an accident, or somebody's wish. */
	if (post->failures > 1)
		post->not_before = TimestampTzPlusMilliseconds(
		    now, Min(FIRST_RETRY << Min(post->failures - 2, 10), LAST_RETRY));
}

/*
 * Before it is asked who is wanted, since who has ended is no more where he was.  There is a slot
 * now for who had none.
 */
static void
note_ended(void)
{
	bool any = false;
	ListCell *cell;
	pid_t pid;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		post->ended =
		    post->handle != NULL && GetBackgroundWorkerPid(post->handle, &pid) == BGWH_STOPPED;
		any |= post->ended;
	}
	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		if (any && post->no_slot)
			post->not_before = 0;
	}
}

static int
count_looking(void)
{
	ListCell *cell;
	int n = 0;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		n += post->look && post->handle != NULL && !post->kind->is_there(post->database);
	}
	return n;
}

static bool
writer_has_no_slot(void)
{
	ListCell *cell;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		if (post->kind == &writers && post->no_slot)
			return true;
	}
	return false;
}

/* See to one post; how long until it needs us again, in milliseconds. */
static long
tend(Post *post, bool wanted)
{
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), post->not_before);

	if (post->handle != NULL || !(wanted || post->look))
		return LAST_RETRY;
	if (left > 0)
		return left;
	if (!wanted && count_looking() >= MAX_LOOKING)
		return LAST_RETRY;
	if (post->kind == &erasers && writer_has_no_slot())
		return SLOT_RETRY;
	start_worker(post);
	return post->handle == NULL ? SLOT_RETRY : LAST_RETRY;
}

/* See to all of a kind; how long until one needs us again, in milliseconds. */
static long
tend_kind(const Kind *kind)
{
	List *wanted = kind->wanted();
	long sleep = LAST_RETRY;
	ListCell *cell;

	add_wanted(kind, wanted);
	foreach (cell, posts)
	{
		Post *post = lfirst(cell);
		bool is_wanted = list_member_oid(wanted, post->database);

		if (post->kind != kind)
			continue;
		if (post->ended)
			note_end(post, is_wanted);
		if (post->look && post->handle == NULL && kind->is_there(post->database))
			post->look = false;
		sleep = Min(sleep, tend(post, is_wanted));
		if (post->handle == NULL && !post->look && !is_wanted)
		{
			posts = foreach_delete_current(posts, cell);
			pfree(post);
		}
	}
	list_free(wanted);
	return sleep;
}

/* See to all; how long to sleep, in milliseconds, or -1 for until woken. */
static long
tend_all(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next;
	long sleep;

	note_ended();
	sleep = tend_kind(&writers);
	sleep = Min(sleep, tend_kind(&erasers));
	if (sleep < LAST_RETRY)
		return sleep;
	next = eraser_next_start();
	if (next == DT_NOEND)
		return -1;
	/* Who was due has been seen to. Not longer, for the clock may be put on. */
	return next <= now
	           ? LAST_RETRY
	           : Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1, LAST_RETRY);
}

/* ---- the process ---- */

void
privacy_guard_launcher_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, SIG_IGN);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	SetConfigOption("application_name", LAUNCHER_TYPE, PGC_USERSET, PGC_S_SESSION);
	rest_event = COMPAT_WAIT_EVENT("PrivacyGuardLauncherMain");

	audit_ring_register_launcher();
	witness_mark_run();
	look_everywhere();
	while (!ShutdownRequestPending)
	{
		long sleep = tend_all();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (sleep < 0 ? 0 : WL_TIMEOUT),
		                 sleep, rest_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* Whoever exits with 0 is not started again; the server's own end needs no other. */
	proc_exit(1);
}
