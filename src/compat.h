/*
 * compat.h
 *		The differences between the supported PostgreSQL versions, in one place.
 *
 * No other file looks at PG_VERSION_NUM.
 */
#ifndef PRIVACY_GUARD_COMPAT_H
#define PRIVACY_GUARD_COMPAT_H

#include "postgres.h"

#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "privacy_guard supports PostgreSQL 15 to 18"
#endif

/* PostgreSQL 18 dropped execute_once: the executor works it out by itself. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count
#define COMPAT_RUN_ARGS query, direction, count
#else
#define COMPAT_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define COMPAT_RUN_ARGS query, direction, count, execute_once
#endif

/* PostgreSQL 16 took the macros for variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* PostgreSQL 16 made query identifiers a matter of nodes. */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/* PostgreSQL 18 counts the searches of index scans. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_INDEX_BEGINSCAN(rel, index, snapshot, n_keys)                                       \
	index_beginscan(rel, index, snapshot, NULL, n_keys, 0)
#else
#define COMPAT_INDEX_BEGINSCAN(rel, index, snapshot, n_keys)                                       \
	index_beginscan(rel, index, snapshot, n_keys, 0)
#endif

/* PostgreSQL 17 took the number of a process out of PGPROC. */
#if PG_VERSION_NUM >= 170000
#define compat_proc_number(proc) GetNumberFromPGProc(proc)
#else
#define compat_proc_number(proc) ((proc)->pgprocno)
#endif

/* PostgreSQL 16 took the permissions that are asked for out of the range table. */
#if PG_VERSION_NUM >= 160000
typedef RTEPermissionInfo CompatPermissions;
#define compat_rte_is_named(rte) ((rte)->perminfoindex != 0)
#define compat_rte_permissions(plan, rte) getRTEPermissionInfo((plan)->permInfos, (rte))
#else
typedef RangeTblEntry CompatPermissions;
#define compat_rte_is_named(rte) ((rte)->requiredPerms != 0)
#define compat_rte_permissions(plan, rte) (rte)
#endif

/* The columns that are read or written; it may be the plan's own set. */
static inline const Bitmapset *
compat_columns(const CompatPermissions *permissions)
{
	if (permissions->insertedCols == NULL && permissions->updatedCols == NULL)
		return permissions->selectedCols;
	return bms_union(bms_union(permissions->selectedCols, permissions->insertedCols),
	                 permissions->updatedCols);
}

/* Waits of extensions have names since PostgreSQL 17. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_WAIT_EVENT(name) WaitEventExtensionNew(name)
#else
#define COMPAT_WAIT_EVENT(name) PG_WAIT_EXTENSION
#endif

/* PostgreSQL 16 asks for the ownership of all kinds of objects in one function. */
#if PG_VERSION_NUM >= 160000
#define compat_owns_database(database, role) object_ownercheck(DatabaseRelationId, database, role)
#else
#define compat_owns_database(database, role) pg_database_ownercheck(database, role)
#endif

/* PostgreSQL 17 can flush a message with the WAL at once. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_LOG_MESSAGE(prefix, message, size)                                                  \
	LogLogicalMessage(prefix, message, size, false, false)
#else
#define COMPAT_LOG_MESSAGE(prefix, message, size) LogLogicalMessage(prefix, message, size, false)
#endif

/* Left behind by a DROP DATABASE that was interrupted; so marked since 15.4 and 16. */
#ifdef DATCONNLIMIT_INVALID_DB
#define compat_database_is_invalid(form) ((form)->datconnlimit == DATCONNLIMIT_INVALID_DB)
#else
#define compat_database_is_invalid(form) false
#endif

/* ALTER COLUMN ... SET EXPRESSION came with PostgreSQL 17. */
#if PG_VERSION_NUM >= 170000
#define compat_alter_sets_expression(kind) ((kind) == AT_SetExpression)
#else
#define compat_alter_sets_expression(kind) false
#endif

#endif
