/*
 * stored_tree.h
 *		The Merkle tree of the audit log, as its stored segments hold it.
 *
 * What is read here is owned by the extension; callers run as its owner, between stored_begin() and
 * stored_end().
 */
#ifndef PRIVACY_GUARD_STORED_TREE_H
#define PRIVACY_GUARD_STORED_TREE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"

#include "audit/tree.h"

/*
 * Connects to SPI, under a snapshot taken now: an old one of the caller's must not hide what was
 * sealed since. After an error the abort of the (sub)transaction does what stored_end() does.
 */
extern void stored_begin(void);
extern void stored_end(void);

/* The end of the log of one origin. */
typedef struct StoredHead
{
	int32 origin_id;
	char *origin;
	TreeFrontier frontier;
} StoredHead;

/* Of an origin, or with a null one of the present. False when there is none. */
extern bool stored_head(const int32 *origin_id, StoredHead *out);

/* One of our own queries; its plan is kept in *plan. */
extern void stored_query(SPIPlanPtr *plan, const char *sql, int n, Oid *types, Datum *values,
                         const char *nulls);

#endif
