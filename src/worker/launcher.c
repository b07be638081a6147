/*
 * launcher.c
 *		The process that sees to it that each database which needs an audit writer has one.
 *
 * When it starts it sends a writer to every database that is not a template and lets in
 * connections, a few at a time; a writer that finds nothing to guard leaves at once.  Later it is
 * woken when a backend wants a writer (it sees that in the rings), and when one has gone.
 *
 * It connects to no database, so it is in nobody's way; of the catalogs it can read pg_database. It
 * keeps no lasting state: another one after it finds the writers attached to their rings.  After a
 * crash of the server everything is as after a start.
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
#include "worker/launcher.h"
#include "worker/witness.h"
#include "worker/writer.h"

#define LAUNCHER_TYPE "privacy_guard audit launcher"
#define RESTART_SECONDS 5

/* All in milliseconds. */
#define FIRST_RETRY 1000
#define LAST_RETRY 30000
#define STEADY_TIME 60000 /* who lived so long did not fail at the start */
#define SLOT_RETRY 5000

/* Writers that only look whether they are needed take slots from others, so only a few do. */
#define MAX_LOOKING 2

/* A database that has, or is to have, a writer. */
typedef struct Post
{
	Oid database;
	NameData name;
	bool look;                      /* nobody asked, but there may be something to guard */
	bool ended;                     /* the writer that we started */
	bool missed;                    /* and it was still needed */
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

static List *posts = NIL;
static bool slots_missing = false; /* and the log says so */
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
find_post(Oid database)
{
	ListCell *cell;

	foreach (cell, posts)
		if (((Post *) lfirst(cell))->database == database)
			return lfirst(cell);
	return NULL;
}

static Post *
add_post(const Database *database)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Post *post = palloc0(sizeof(Post));

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
			add_post(database)->look = true;
	}
	list_free_deep(databases);
}

/* What was to be written in a database that has been dropped is forgotten. */
static void
add_wanted(List *unserved)
{
	List *databases = unserved != NIL ? read_databases() : NIL;
	ListCell *cell;

	foreach (cell, unserved)
	{
		const Database *database = find_database(databases, lfirst_oid(cell));
		Post *post = find_post(lfirst_oid(cell));

		if (database == NULL)
			audit_ring_forget(lfirst_oid(cell));
		else if (post == NULL)
			(void) add_post(database);
		else
			post->name = database->name;
	}
	list_free_deep(databases);
}

/* ---- starting writers ---- */

static bool
register_writer(Post *post)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker;
	bool done;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, WRITER_TYPE " for database %u", post->database);
	strlcpy(worker.bgw_type, WRITER_TYPE, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "privacy_guard", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, WRITER_FUNCTION, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(post->database);
	worker.bgw_notify_pid = MyProcPid;
	done = RegisterDynamicBackgroundWorker(&worker, &post->handle);
	MemoryContextSwitchTo(old);
	return done;
}

static void
start_writer(Post *post)
{
	TimestampTz now = GetCurrentTimestamp();

	if (post->missed)
		ereport(LOG, (errmsg("starting the audit writer of database \"%s\" again",
		                     NameStr(post->name))));
	if (register_writer(post))
	{
		post->started_at = now;
		post->missed = false;
		slots_missing = false;
		return;
	}
	post->handle = NULL;
	post->not_before = TimestampTzPlusMilliseconds(now, SLOT_RETRY);
	if (!slots_missing)
		ereport(LOG, (errmsg("no slot is free for the audit writer of database \"%s\"",
		                     NameStr(post->name)),
		              errhint("Raise max_worker_processes and restart the server. Until then "
		                      "guarded statements wait, and then fail.")));
	slots_missing = true;
}

/* A writer that we started has ended. */
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

/* Before the rings are looked at, since who has ended has left his ring. */
static void
note_ended(void)
{
	ListCell *cell;
	pid_t pid;

	foreach (cell, posts)
	{
		Post *post = lfirst(cell);

		post->ended =
		    post->handle != NULL && GetBackgroundWorkerPid(post->handle, &pid) == BGWH_STOPPED;
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

		n += post->look && post->handle != NULL && !audit_ring_has_writer(post->database);
	}
	return n;
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
	start_writer(post);
	return post->handle == NULL ? SLOT_RETRY : LAST_RETRY;
}

/* See to all; how long to sleep, in milliseconds. */
static long
tend_all(void)
{
	List *unserved;
	long sleep = LAST_RETRY;
	bool waits = false;
	ListCell *cell;

	note_ended();
	unserved = audit_ring_unserved();
	add_wanted(unserved);
	foreach (cell, posts)
	{
		Post *post = lfirst(cell);
		bool wanted = list_member_oid(unserved, post->database);
		long left;

		if (post->ended)
			note_end(post, wanted);
		if (post->look && post->handle == NULL && audit_ring_has_writer(post->database))
			post->look = false;
		left = tend(post, wanted);
		waits |= left < LAST_RETRY;
		sleep = Min(sleep, left);
		if (post->handle == NULL && !post->look && !wanted)
		{
			posts = foreach_delete_current(posts, cell);
			pfree(post);
		}
	}
	list_free(unserved);
	return waits ? sleep : -1;
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
	rest_event = COMPAT_WAIT_EVENT("PrivacyGuardAuditLauncherMain");

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
