/*
 * store.c
 *		Rows of the audit log's own tables, found and written.
 *
 * Only the audit writer of the database inserts, so there is nothing to be locked beyond the tables
 * themselves.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit/store.h"

static Oid
table_of(const char *schema, const char *name, bool missing_ok)
{
	Oid relid = get_relname_relid(name, get_namespace_oid(schema, false));

	if (!OidIsValid(relid) && !missing_ok)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("table \"%s\" of privacy_guard is missing", name),
		                errhint("Restore the extension's objects from a backup.")));
	return relid;
}

Oid
store_table(const char *name)
{
	return table_of("privacy_guard", name, false);
}

Oid
store_internal_table(const char *name, bool missing_ok)
{
	return table_of("privacy_guard_internal", name, missing_ok);
}

void
store_insert(Oid relid, const Datum *values)
{
	Relation rel = table_open(relid, RowExclusiveLock);
	int columns = RelationGetNumberOfAttributes(rel);
	EState *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	InitResultRelInfo(result, rel, 0, NULL, 0);
	ExecOpenIndices(result, false);
	slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), table_slot_callbacks(rel));
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, columns * sizeof(Datum));
	memset(slot->tts_isnull, 0, columns * sizeof(bool));
	ExecStoreVirtualTuple(slot);

	PushActiveSnapshot(GetTransactionSnapshot());
	ExecSimpleRelationInsert(result, estate, slot);
	PopActiveSnapshot();

	ExecCloseIndices(result);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

SPIPlanPtr
store_plan(SPIPlanPtr *plan, const char *sql, int n, Oid *types)
{
	SPIPlanPtr prepared;

	if (*plan != NULL)
		return *plan;
	prepared = SPI_prepare(sql, n, types);
	if (prepared == NULL || SPI_keepplan(prepared) != 0)
		elog(ERROR, "could not prepare a statement of the audit log");
	return *plan = prepared;
}

uint64
store_query(SPIPlanPtr *plan, const char *sql, int n, Oid *types, Datum *values, int expected)
{
	if (SPI_execute_plan(store_plan(plan, sql, n, types), values, NULL, false, 0) != expected)
		elog(ERROR, "a statement of the audit writer had an unexpected result");
	return SPI_processed;
}

Datum
store_column(uint64 row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		elog(ERROR, "column %d of the audit log is null", column);
	return value;
}

bool
store_load_frontier(TreeFrontier *frontier, int64 size, Datum stored)
{
	bytea *bytes = DatumGetByteaPP(stored);

	return size >= 0 &&
	       tree_frontier_load(frontier, size, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}
