/*
 * store.h
 *		Rows of the audit log's own tables, found and written.
 */
#ifndef PRIVACY_GUARD_STORE_H
#define PRIVACY_GUARD_STORE_H

#include "postgres.h"

#include "executor/spi.h"

#include "audit/tree.h"

#define STORE_MAX_COLUMNS 16

/* A table or index of schema privacy_guard, or of privacy_guard_internal; an error when missing. */
extern Oid store_table(const char *name);
extern Oid store_internal_table(const char *name, bool missing_ok);

/*
 * Inserts one row with all its columns, none of them null, and its index entries.  The audit
 * writer's hot path: no planner, no rewriter, no hooks; and no verb need be in progress, because no
 * statement is executed.
 */
extern void store_insert(Oid relid, const Datum *values);

/* A statement of ours, prepared once and kept in *plan. */
extern SPIPlanPtr store_plan(SPIPlanPtr *plan, const char *sql, int n, Oid *types);

/*
 * Runs a statement of ours, whose plan is kept in *plan, connected to SPI and with a snapshot taken
 * now; its result must be the expected one (SPI_OK_...).  Returns the number of rows.
 */
extern uint64 store_query(SPIPlanPtr *plan, const char *sql, int n, Oid *types, Datum *values,
                          int expected);

/* A column of the last result; nulls are an error. */
extern Datum store_column(uint64 row, int column);

/* A stored frontier of a tree of this size; false when it is none. */
extern bool store_load_frontier(TreeFrontier *frontier, int64 size, Datum stored);

#endif
