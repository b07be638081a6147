/*
 * database.c
 *		Commands that need a database alone: its audit writer and its eraser step aside.
 *
 * CREATE DATABASE needs its template without sessions, DROP, RENAME and SET TABLESPACE the
 * database. The workers are two.  They are kept away from before the command until the end of the
 * transaction, when the locks that the command takes on the database are given back, too; a failed
 * command and a backend that dies end it as well.  Other sessions of the database are core's to
 * refuse.  The eraser leaves first, since what it erases is to be on record.
 *
 * Only who might run the command can send them away.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "audit/ring_hold.h"
#include "compat.h"
#include "guc.h"
#include "retention/eraser_shared.h"
#include "worker/database.h"

#define POLL 10 /* ms */

static char *
option(List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *element = lfirst_node(DefElem, cell);

		if (strcmp(element->defname, name) == 0 && element->arg != NULL)
			return defGetString(element);
	}
	return NULL;
}

/* The database that the command must have alone, or NULL. */
static const char *
database_needed(Node *statement)
{
	const char *template;

	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
			template = option(((CreatedbStmt *) statement)->options, "template");
			return template ? template : "template1";
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE
			           ? ((RenameStmt *) statement)->subname
			           : NULL;
		case T_AlterDatabaseStmt:
			return option(((AlterDatabaseStmt *) statement)->options, "tablespace")
			           ? ((AlterDatabaseStmt *) statement)->dbname
			           : NULL;
		default:
			return NULL;
	}
}

static bool
may_create_databases(void)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may || superuser();
}

static bool
is_template(Oid database)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool result = HeapTupleIsValid(tuple) && ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

/* As core asks; all other conditions it checks after we have sent them away for nothing. */
static bool
may_run(Node *statement, Oid database)
{
	bool owns = compat_owns_database(database, GetUserId());

	if (IsA(statement, CreatedbStmt))
		return may_create_databases() && (owns || is_template(database));
	return owns;
}

/* It leaves after what it is doing now; if that takes too long, core will complain of it. */
static void
wait_for_exit(int pid)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), guc_audit_timeout);

	while (pid != 0 && BackendPidGetProc(pid) != NULL && GetCurrentTimestamp() < deadline)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL,
		                 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
database_step_aside(Node *statement)
{
	const char *name = database_needed(statement);
	Oid database = name ? get_database_oid(name, true) : InvalidOid;

	if (!OidIsValid(database) || !may_run(statement, database))
		return;
	wait_for_exit(eraser_send_away(database));
	wait_for_exit(audit_hold_begin(database));
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		audit_hold_end_all();
}

void
database_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
}
