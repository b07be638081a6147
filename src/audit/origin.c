/*
 * origin.c
 *		Where the log of this database began, and how far it has come.
 *
 * Only the audit writer calls this, in its own transaction; finish_restore() begins origins, too.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/origin.h"
#include "audit/store.h"

/* ---- which origin ---- */

static bool
is_pending(void)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT8OID, OIDOID};
	Datum values[] = {Int64GetDatum((int64) GetSystemIdentifier()), ObjectIdGetDatum(MyDatabaseId)};

	return store_query(&plan,
	                   "SELECT FROM privacy_guard.guarded_table"
	                   " WHERE NOT EXISTS (SELECT FROM privacy_guard.identity i"
	                   "                    WHERE i.system_identifier = $1 AND i.database = $2)"
	                   " LIMIT 1",
	                   2, types, values, SPI_OK_SELECT) > 0;
}

/* The latest; NULL when it is the one of this database, or else why there must be another. */
static const char *
latest_origin(int32 *origin)
{
	static SPIPlanPtr plan = NULL;

	if (store_query(&plan,
	                "SELECT origin_id, system_identifier, database FROM privacy_guard.audit_origin"
	                " ORDER BY origin_id DESC LIMIT 1",
	                0, NULL, NULL, SPI_OK_SELECT) == 0)
		return "first start";
	*origin = DatumGetInt32(store_column(0, 1));
	if (DatumGetInt64(store_column(0, 2)) != (int64) GetSystemIdentifier() ||
	    DatumGetObjectId(store_column(0, 3)) != MyDatabaseId)
		return "restored";
	return NULL;
}

static int32
begin_origin(const char *reason)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(reason)};

	(void) store_query(&plan, "SELECT privacy_guard_internal.begin_audit_origin($1)", 1, types,
	                   values, SPI_OK_SELECT);
	return DatumGetInt32(store_column(0, 1));
}

/* ---- how far ---- */

static bool
read_last_segment(LogEnd *end)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(end->origin)};

	if (store_query(
	        &plan,
	        "SELECT first_leaf + leaves, frontier, sealed_at FROM privacy_guard.audit_segment"
	        " WHERE origin_id = $1 ORDER BY first_leaf DESC LIMIT 1",
	        1, types, values, SPI_OK_SELECT) == 0)
		return true;
	end->sealed_at = DatumGetTimestampTz(store_column(0, 3));
	return store_load_frontier(&end->frontier, DatumGetInt64(store_column(0, 1)),
	                           store_column(0, 2));
}

/* Everything may have been pruned. */
static bool
read_pruned(LogEnd *end)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(end->origin)};
	int64 size;

	if (store_query(&plan,
	                "SELECT tree_size, frontier FROM privacy_guard.audit_prune"
	                " WHERE origin_id = $1 ORDER BY tree_size DESC LIMIT 1",
	                1, types, values, SPI_OK_SELECT) == 0)
		return true;
	size = DatumGetInt64(store_column(0, 1));
	return size <= (int64) end->frontier.size ||
	       store_load_frontier(&end->frontier, size, store_column(0, 2));
}

/* Has a larger tree been signed?  Then two trees would go by one name. */
static bool
lacks_tail(const LogEnd *end)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8OID};
	Datum values[] = {Int32GetDatum(end->origin), Int64GetDatum((int64) end->frontier.size)};

	return store_query(&plan,
	                   "SELECT FROM privacy_guard.audit_checkpoint"
	                   " WHERE origin_id = $1 AND tree_size > $2 LIMIT 1",
	                   2, types, values, SPI_OK_SELECT) > 0;
}

/* NULL, or why the log cannot go on from there. */
static const char *
read_end(LogEnd *end)
{
	tree_init(&end->frontier);
	if (!read_last_segment(end) || !read_pruned(end))
		return "end unreadable";
	if (lacks_tail(end))
		return "end missing";
	return NULL;
}

static void
open_end(LogEnd *end)
{
	const char *reason = latest_origin(&end->origin);

	if (reason == NULL)
		reason = read_end(end);
	if (reason == NULL)
		return;
	end->origin = begin_origin(reason);
	tree_init(&end->frontier);
	end->sealed_at = 0;
	ereport(LOG, (errmsg("the audit log of this database begins anew: %s", reason),
	              errhint("Table privacy_guard.audit_origin says when and why. See "
	                      "privacy_guard.verify_audit_log().")));
}

bool
origin_open(LogEnd *end)
{
	bool pending;

	memset(end, 0, sizeof(*end));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	pending = is_pending();
	if (!pending)
		open_end(end);
	SPI_finish();
	return !pending;
}
