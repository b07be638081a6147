/*
 * foreign.c
 *		Code that may tell, or keep, what it is given.
 *
 * A function of somebody's own can raise a notice, call home, or write; of the built-in ones, only
 * those declared volatile can, as set_config().
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "enforce/foreign.h"
#include "policy/policy.h"

static bool
is_foreign_function(Oid function, void *context)
{
	return function != policy_guard_function() &&
	       (function >= FirstNormalObjectId || func_volatile(function) == PROVOLATILE_VOLATILE);
}

static bool
foreign_join(Join *join, EState *estate)
{
	return foreign_code((Node *) join->joinqual, estate);
}

/* The expressions of a plan node that somebody may have written, beside targets and conditions. */
static bool
foreign_particulars(Plan *plan, EState *estate)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			return foreign_code(((Result *) plan)->resconstantqual, estate);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return foreign_join((Join *) plan, estate);
		case T_FunctionScan:
			return foreign_code((Node *) ((FunctionScan *) plan)->functions, estate);
		case T_TableFuncScan:
			return foreign_code((Node *) ((TableFuncScan *) plan)->tablefunc, estate);
		case T_ValuesScan:
			return foreign_code((Node *) ((ValuesScan *) plan)->values_lists, estate);
		case T_Limit:
			return foreign_code(((Limit *) plan)->limitOffset, estate) ||
			       foreign_code(((Limit *) plan)->limitCount, estate);
		default:
			return false;
	}
}

static bool
foreign_plan(PlanState *node, EState *estate)
{
	return foreign_code((Node *) node->plan->targetlist, estate) ||
	       foreign_code((Node *) node->plan->qual, estate) ||
	       foreign_particulars(node->plan, estate) ||
	       planstate_tree_walker(node, foreign_plan, estate);
}

/* One that is given nothing of the row runs as it would anywhere. */
static bool
foreign_subplan(const SubPlan *subplan, EState *estate)
{
	return subplan->parParam != NIL &&
	       foreign_plan(list_nth(estate->es_subplanstates, subplan->plan_id - 1), estate);
}

bool
foreign_code(Node *expression, EState *estate)
{
	if (expression == NULL)
		return false;
	if (check_functions_in_node(expression, is_foreign_function, NULL))
		return true;
	if (IsA(expression, SubPlan) && foreign_subplan((SubPlan *) expression, estate))
		return true;
	return expression_tree_walker(expression, foreign_code, estate);
}
