/*
 * utility_copy.h
 *		COPY of guarded tables.
 */
#ifndef PRIVACY_GUARD_UTILITY_COPY_H
#define PRIVACY_GUARD_UTILITY_COPY_H

#include "enforce/frame.h"
#include "enforce/utility.h"

/* COPY TO as COPY of a query, which planner and executor guard; otherwise the command as it is. */
extern PlannedStmt *utility_copy_out(PlannedStmt *planned);

/* The guarded table that COPY FROM writes, locked as the command will lock it; or InvalidOid. */
extern Oid utility_copy_in_target(const CopyStmt *statement);

/* The frame in which COPY FROM runs. */
extern Frame *utility_copy_in_frame(Oid relid);

/* Does core refuse the COPY FROM although only the guard covers the table for this role? */
extern bool utility_copy_in_is_ours(Oid relid);

/* COPY FROM of a role that row security covers. */
extern uint64 utility_copy_in(const PlannedStmt *planned, const char *source,
                              QueryEnvironment *environment);

#endif
