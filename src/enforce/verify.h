/*
 * verify.h
 *		Layer 3: is the guard really in the plan?
 */
#ifndef PRIVACY_GUARD_VERIFY_H
#define PRIVACY_GUARD_VERIFY_H

#include "postgres.h"

#include "nodes/plannodes.h"

typedef struct VerifyResult
{
	Oid unguarded;  /* a guarded relation that some node reads or writes without guard */
	bool any_guard; /* was there a guard anywhere? */
} VerifyResult;

extern VerifyResult verify_plan(PlannedStmt *plan);

/* Does the always enabled trigger check new rows of this relation, which is locked? */
extern bool verify_has_row_check(Oid relid);

#endif
