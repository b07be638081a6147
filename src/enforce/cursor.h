/*
 * cursor.h
 *		Executions whose rows are fetched in pieces, or after their transaction.
 */
#ifndef PRIVACY_GUARD_CURSOR_H
#define PRIVACY_GUARD_CURSOR_H

#include "postgres.h"

#include "enforce/frame.h"
#include "utils/portal.h"

/* One run of a query of a portal that may be run again. */
typedef struct CursorRun
{
	struct CursorRun *outer;
	Portal portal;
	QueryDesc *query;
	Oid user;
	char purpose[MAX_PURPOSE_LENGTH];
} CursorRun;

/*
 * Around each run of the executor.  Begin refuses to go on with a portal whose rows the session
 * may have no more; it is false when the query belongs to no such portal, and then there is
 * nothing to end.
 */
extern bool cursor_begin(CursorRun *run, QueryDesc *query, uint64 count);
extern void cursor_end(CursorRun *run);

/* Around the run of a guarded execution, within any number of such portals. */
extern void cursor_watch(Frame *frame);
extern void cursor_collect(Frame *frame);

/* FETCH or MOVE: the rows of a portal held over its transaction pass no executor. */
extern void cursor_check_fetch(const char *portal_name);

#endif
