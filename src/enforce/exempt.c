/*
 * exempt.c
 *		Which single execution sees every row, and why.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "enforce/exempt.h"
#include "policy/policy.h"
#include "policy/verb.h"

/* Break-glass: announced in one transaction, open from its commit on. */
static TimestampTz glass_announced = 0;
static TimestampTz glass_open_until = 0;

/* Relations that core's cascades have written to in this transaction. */
static List *cascades = NIL;

static bool validating_foreign_key = false;

static void end_of_transaction(XactEvent event, void *arg);

PG_FUNCTION_INFO_V1(exempt_announce_break_glass);
PG_FUNCTION_INFO_V1(exempt_close_break_glass);

void
exempt_init(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && glass_announced != 0)
		glass_open_until = glass_announced;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		glass_announced = 0;
		list_free(cascades);
		cascades = NIL;
	}
}

/* Only once the record of it is committed does the glass open. */
Datum
exempt_announce_break_glass(PG_FUNCTION_ARGS)
{
	if (!verb_in_progress())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("break-glass is opened by privacy_guard.break_glass() only")));
	glass_announced = PG_GETARG_TIMESTAMPTZ(0);
	PG_RETURN_VOID();
}

Datum
exempt_close_break_glass(PG_FUNCTION_ARGS)
{
	bool was_open = exempt_glass_is_broken();

	glass_announced = glass_open_until = 0;
	PG_RETURN_BOOL(was_open);
}

bool
exempt_glass_is_broken(void)
{
	return glass_open_until != 0 && GetCurrentTimestamp() < glass_open_until;
}

bool
exempt_execution(Oid role)
{
	return verb_in_progress() || exempt_glass_is_broken() || policy_role_exempt(role);
}

/* ---- referential integrity ---- */

bool
exempt_set_validating(bool validating)
{
	bool was = validating_foreign_key;

	validating_foreign_key = validating;
	return was;
}

bool
exempt_is_validating(void)
{
	return validating_foreign_key;
}

bool
exempt_integrity_context(void)
{
	return InNoForceRLSOperation() || validating_foreign_key;
}

/* A column, a parameter or a constant, at most converted by a built-in cast. */
static bool
is_plain_operand(Node *node)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Param:
		case T_Const:
			return true;
		case T_RelabelType:
			return is_plain_operand((Node *) ((RelabelType *) node)->arg);
		case T_FuncExpr:
			return ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL &&
			       ((FuncExpr *) node)->funcid < FirstNormalObjectId &&
			       is_plain_operand(linitial(((FuncExpr *) node)->args));
		default:
			return false;
	}
}

/* Equality of plain operands, null tests, and AND and OR of these. */
static bool
is_plain_condition(Node *node)
{
	ListCell *cell;

	if (node == NULL)
		return true;
	switch (nodeTag(node))
	{
		case T_NullTest:
			return is_plain_operand((Node *) ((NullTest *) node)->arg);
		case T_OpExpr:
			if (((OpExpr *) node)->opno >= FirstNormalObjectId)
				return false;
			foreach (cell, ((OpExpr *) node)->args)
				if (!is_plain_operand(lfirst(cell)))
					return false;
			return true;
		case T_BoolExpr:
			foreach (cell, ((BoolExpr *) node)->args)
				if (!is_plain_condition(lfirst(cell)))
					return false;
			return true;
		case T_FromExpr:
			foreach (cell, ((FromExpr *) node)->fromlist)
				if (!is_plain_condition(lfirst(cell)))
					return false;
			return is_plain_condition(((FromExpr *) node)->quals);
		case T_JoinExpr:
			return is_plain_condition(((JoinExpr *) node)->larg) &&
			       is_plain_condition(((JoinExpr *) node)->rarg) &&
			       is_plain_condition(((JoinExpr *) node)->quals);
		case T_RangeTblRef:
			return true;
		default:
			return false;
	}
}

/*
 * Core asks SELECT 1 ... FOR KEY SHARE, and cascades by DELETE or UPDATE with parameters.  Only
 * while a foreign key is validated does it read columns, of the two tables' outer join.
 */
bool
exempt_integrity_query(const Query *query)
{
	ListCell *cell;
	bool lookup = query->commandType == CMD_SELECT && !validating_foreign_key;

	if (!exempt_integrity_context())
		return false;
	if (query->commandType == CMD_INSERT || query->commandType == CMD_MERGE ||
	    query->cteList != NIL || query->hasSubLinks || query->setOperations != NULL ||
	    query->returningList != NIL || query->hasAggs || query->hasTargetSRFs ||
	    query->hasWindowFuncs || query->limitCount != NULL || query->havingQual != NULL)
		return false;
	if (lookup && (query->rowMarks == NIL || list_length(query->rtable) != 1))
		return false;
	foreach (cell, query->rtable)
		if (lfirst_node(RangeTblEntry, cell)->rtekind != RTE_RELATION &&
		    lfirst_node(RangeTblEntry, cell)->rtekind != RTE_JOIN)
			return false;
	foreach (cell, query->targetList)
	{
		Node *expr = (Node *) lfirst_node(TargetEntry, cell)->expr;

		if (!is_plain_operand(expr) || (lookup && !IsA(expr, Const)))
			return false;
	}
	return is_plain_condition((Node *) query->jointree);
}

void
exempt_note_cascade(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	cascades = list_append_unique_oid(cascades, relid);
	MemoryContextSwitchTo(old);
}

bool
exempt_is_cascade(Oid relid)
{
	return list_member_oid(cascades, relid);
}
