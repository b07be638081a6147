/*
 * lineage.c
 *		Where the values that a plan writes come from.
 *
 * Each value that INSERT, UPDATE or MERGE stores is followed down the plan, column by column, to
 * the scans.  What cannot be followed counts as a value of a guarded row.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "enforce/lineage.h"
#include "policy/policy.h"

typedef struct Lineage
{
	PlannedStmt *stmt;
	Plan *plan; /* whose columns the variables name */
	bool merge; /* an action of MERGE: its source is the plan's outer child */
} Lineage;

static bool derives(Node *node, Lineage *lineage);

static bool
column_derives(PlannedStmt *stmt, Plan *plan, AttrNumber column)
{
	Lineage lineage = {.stmt = stmt, .plan = plan};

	/* A whole row, or what a data-modifying CTE returns. */
	if (plan == NULL || column < 1 || column > list_length(plan->targetlist) ||
	    IsA(plan, ModifyTable))
		return true;
	return derives((Node *) list_nth_node(TargetEntry, plan->targetlist, column - 1)->expr,
	               &lineage);
}

static bool
any_column_derives(PlannedStmt *stmt, List *plans, AttrNumber column)
{
	ListCell *cell;

	foreach (cell, plans)
		if (column_derives(stmt, lfirst(cell), column))
			return true;
	return false;
}

static bool
is_guarded(PlannedStmt *stmt, Index rti)
{
	RangeTblEntry *rte = rt_fetch(rti, stmt->rtable);

	if (rte->rtekind != RTE_RELATION)
		return rte->rtekind != RTE_VALUES;
	return policy_guarded(rte->relid) != NULL;
}

static bool
variable_derives(Var *var, Lineage *lineage)
{
	PlannedStmt *stmt = lineage->stmt;
	Plan *plan = lineage->plan;

	if (var->varno == OUTER_VAR || (var->varno == INNER_VAR && lineage->merge))
	{
		if (IsA(plan, Append))
			return any_column_derives(stmt, ((Append *) plan)->appendplans, var->varattno);
		if (IsA(plan, MergeAppend))
			return any_column_derives(stmt, ((MergeAppend *) plan)->mergeplans, var->varattno);
		return column_derives(stmt, outerPlan(plan), var->varattno);
	}
	if (var->varno == INNER_VAR)
		return column_derives(stmt, innerPlan(plan), var->varattno);
	if (IsA(plan, SubqueryScan))
		return column_derives(stmt, ((SubqueryScan *) plan)->subplan, var->varattno);
	if (IsA(plan, CteScan))
		return column_derives(stmt, list_nth(stmt->subplans, ((CteScan *) plan)->ctePlanId - 1),
		                      var->varattno);
	if (var->varno == INDEX_VAR)
		return !IsA(plan, IndexOnlyScan) || is_guarded(stmt, ((Scan *) plan)->scanrelid);
	return IS_SPECIAL_VARNO(var->varno) || is_guarded(stmt, var->varno);
}

static bool
derives(Node *node, Lineage *lineage)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			return variable_derives((Var *) node, lineage);
		case T_Param:
			return ((Param *) node)->paramkind != PARAM_EXTERN;
		case T_SubPlan:
		case T_AlternativeSubPlan:
			return true;
		default:
			return expression_tree_walker(node, derives, lineage);
	}
}

/* The values of the new rows; junk columns only find the old ones. */
static bool
list_derives(List *targetlist, Lineage *lineage)
{
	ListCell *cell;

	foreach (cell, targetlist)
		if (!lfirst_node(TargetEntry, cell)->resjunk && derives(lfirst(cell), lineage))
			return true;
	return false;
}

static bool
writes_guarded_values(PlannedStmt *stmt, ModifyTable *node)
{
	Lineage below = {.stmt = stmt, .plan = outerPlan(node)};
	Lineage actions = {.stmt = stmt, .plan = (Plan *) node, .merge = true};
	ListCell *list;
	ListCell *action;

	switch (node->operation)
	{
		case CMD_DELETE:
			return false;
		case CMD_INSERT:
		case CMD_UPDATE:
			return list_derives(outerPlan(node)->targetlist, &below);
		case CMD_MERGE:
			foreach (list, node->mergeActionLists)
				foreach (action, (List *) lfirst(list))
					if (list_derives(lfirst_node(MergeAction, action)->targetList, &actions))
						return true;
			return false;
		default:
			return true;
	}
}

static Oid
unguarded_target(PlannedStmt *stmt, Plan *plan)
{
	ModifyTable *node = (ModifyTable *) plan;
	ListCell *cell;

	if (plan == NULL || !IsA(plan, ModifyTable))
		return InvalidOid;
	foreach (cell, node->resultRelations)
	{
		Oid relid = rt_fetch(lfirst_int(cell), stmt->rtable)->relid;

		if (relid >= FirstNormalObjectId && policy_relation(relid) == NULL &&
		    get_rel_persistence(relid) != RELPERSISTENCE_TEMP && writes_guarded_values(stmt, node))
			return relid;
	}
	return InvalidOid;
}

Oid
lineage_unguarded_target(PlannedStmt *stmt)
{
	Oid found = unguarded_target(stmt, stmt->planTree);
	ListCell *cell;

	/* Data-modifying CTEs are subplans. */
	foreach (cell, stmt->subplans)
		if (!OidIsValid(found))
			found = unguarded_target(stmt, lfirst(cell));
	return found;
}
