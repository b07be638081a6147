/*
 * guard.h
 *		The function that lets a row pass, and its expression in a plan.
 */
#ifndef PRIVACY_GUARD_GUARD_H
#define PRIVACY_GUARD_GUARD_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "policy/policy.h"

struct Frame;
struct Judge;

/* guard(NULL::internal, guarded table, columns of the row) over range table entry varno. */
extern Node *guard_expression(const GuardedRelation *relation, Index varno);

/* The same as a check of ON CONFLICT's existing row: raises an error instead of hiding. */
extern Node *guard_conflict_expression(const GuardedRelation *relation, Index varno);

/*
 * Among the conditions of a scan, behind the guard: a row that comes here is shown to others, and
 * so on record.  The call is of no use before guard_set_note().
 */
extern Node *guard_note_expression(Oid guarded_relid);
extern void guard_set_note(FunctionCallInfo fcinfo, struct Judge *judge);

/*
 * The judge of a call that has been made ready for execution.  at_scan: whoever asks will say
 * which rows leave the scan.
 */
extern struct Judge *guard_judge(FunctionCallInfo fcinfo, struct Frame *frame, bool at_scan);

/* Is this a call of one of the two? */
extern bool guard_is_call(Node *node);

#endif
