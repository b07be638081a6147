/*
 * placement.c
 *		Security qualification or plain one: where in a query the guard does its work.
 *
 * Before a security qualification only leakproof operators may run, so LIKE, lower(x) = ..., jsonb
 * @>, full-text search and numeric comparisons would lose their indexes.  Where every function that
 * could be evaluated before the guard is on the list below, nothing can tell about a hidden row,
 * and the guard becomes a plain qualification of the scan.
 *
 * The list holds functions of core that neither have side effects nor raise an error that depends
 * on the values of a row.  What could be pushed down to a scan counts: conditions at every level,
 * the target lists of subqueries, functions in FROM.  The outermost target list is computed from
 * rows that have passed.
 */
#include "postgres.h"

#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "enforce/placement.h"

static const Oid harmless_functions[] = {
    /* text */
    F_TEXTEQ,
    F_TEXTNE,
    F_TEXT_LT,
    F_TEXT_LE,
    F_TEXT_GT,
    F_TEXT_GE,
    F_TEXTLIKE,
    F_TEXTNLIKE,
    F_TEXTICLIKE,
    F_TEXTICNLIKE,
    F_LOWER_TEXT,
    F_UPPER_TEXT,
    F_INITCAP,
    F_BTRIM_TEXT,
    F_LTRIM_TEXT,
    F_RTRIM_TEXT,
    F_LENGTH_TEXT,
    F_STARTS_WITH,
    F_TEXTCAT,
    F_BPCHAREQ,
    F_BPCHARNE,
    F_BPCHARLIKE,
    F_BPCHARNLIKE,
    F_TEXT_BPCHAR,
    F_NAMEEQTEXT,
    F_TEXTEQNAME,
    F_TEXT_PATTERN_LT,
    F_TEXT_PATTERN_LE,
    F_TEXT_PATTERN_GE,
    F_TEXT_PATTERN_GT,
    /* integers */
    F_INT2EQ,
    F_INT2NE,
    F_INT2LT,
    F_INT2LE,
    F_INT2GT,
    F_INT2GE,
    F_INT4EQ,
    F_INT4NE,
    F_INT4LT,
    F_INT4LE,
    F_INT4GT,
    F_INT4GE,
    F_INT8EQ,
    F_INT8NE,
    F_INT8LT,
    F_INT8LE,
    F_INT8GT,
    F_INT8GE,
    F_INT24EQ,
    F_INT42EQ,
    F_INT28EQ,
    F_INT82EQ,
    F_INT48EQ,
    F_INT48NE,
    F_INT48LT,
    F_INT48LE,
    F_INT48GT,
    F_INT48GE,
    F_INT84EQ,
    F_INT84NE,
    F_INT84LT,
    F_INT84LE,
    F_INT84GT,
    F_INT84GE,
    F_INT8_INT4,
    F_INT4_INT2,
    F_INT8_INT2,
    /* other numbers */
    F_NUMERIC_EQ,
    F_NUMERIC_NE,
    F_NUMERIC_LT,
    F_NUMERIC_LE,
    F_NUMERIC_GT,
    F_NUMERIC_GE,
    F_FLOAT8EQ,
    F_FLOAT8NE,
    F_FLOAT8LT,
    F_FLOAT8LE,
    F_FLOAT8GT,
    F_FLOAT8GE,
    F_NUMERIC_INT4,
    F_NUMERIC_INT8,
    F_FLOAT8_INT4,
    /* dates and times */
    F_DATE_EQ,
    F_DATE_NE,
    F_DATE_LT,
    F_DATE_LE,
    F_DATE_GT,
    F_DATE_GE,
    F_TIMESTAMP_EQ,
    F_TIMESTAMP_NE,
    F_TIMESTAMP_LT,
    F_TIMESTAMP_LE,
    F_TIMESTAMP_GT,
    F_TIMESTAMP_GE,
    F_TIMESTAMPTZ_EQ,
    F_TIMESTAMPTZ_NE,
    F_TIMESTAMPTZ_LT,
    F_TIMESTAMPTZ_LE,
    F_TIMESTAMPTZ_GT,
    F_TIMESTAMPTZ_GE,
    F_NOW,
    /* uuid, boolean, jsonb, full text */
    F_UUID_EQ,
    F_UUID_NE,
    F_UUID_LT,
    F_UUID_LE,
    F_UUID_GT,
    F_UUID_GE,
    F_BOOLEQ,
    F_BOOLNE,
    F_JSONB_CONTAINS,
    F_JSONB_CONTAINED,
    F_JSONB_EXISTS,
    F_JSONB_EXISTS_ANY,
    F_JSONB_EXISTS_ALL,
    F_JSONB_OBJECT_FIELD,
    F_JSONB_OBJECT_FIELD_TEXT,
    F_JSONB_EQ,
    F_TS_MATCH_VQ,
    F_TS_MATCH_QV,
};

/* Returns true for a function that might tell something. */
static bool
may_tell(Oid function, void *context)
{
	for (int i = 0; i < lengthof(harmless_functions); i++)
		if (harmless_functions[i] == function)
			return false;
	/* Leakproof ones may run before the guard in any case; only superusers can call them so. */
	return !get_func_leakproof(function);
}

static bool
harmful_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, may_tell, context))
		return true;
	switch (nodeTag(node))
	{
		case T_Query:
			return query_tree_walker((Query *) node, harmful_walker, context, 0);
		/* Plain structure, and expressions that call nothing by themselves. */
		case T_List:
		case T_FromExpr:
		case T_JoinExpr:
		case T_RangeTblRef:
		case T_TargetEntry:
		case T_Var:
		case T_Const:
		case T_Param:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_RelabelType:
		case T_OpExpr:
		case T_FuncExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
		case T_SubLink:
		case T_CommonTableExpr:
		case T_RangeTblFunction:
		case T_SortGroupClause:
		case T_WindowClause:
		case T_SetOperationStmt:
		case T_WithCheckOption:
		case T_OnConflictExpr:
			return expression_tree_walker(node, harmful_walker, context);
		default:
			return true;
	}
}

bool
placement_is_harmless(Query *query)
{
	List *target_list = query->targetList;
	List *returning = query->returningList;
	bool harmful;

	if (query->commandType == CMD_MERGE)
		return false;
	query->targetList = NIL;
	query->returningList = NIL;
	harmful = query_tree_walker(query, harmful_walker, NULL, 0);
	query->targetList = target_list;
	query->returningList = returning;
	return !harmful;
}

/* ---- the jointree ---- */

typedef enum Placing
{
	NOT_HERE, /* the relation is not in this part */
	ABOVE,    /* it is, and any qualification above filters it */
	PLACED,
	IMPOSSIBLE
} Placing;

static Placing place(Node *node, Index varno, Node *condition);

static Placing
place_in_join(JoinExpr *join, Index varno, Node *condition)
{
	Placing left = place(join->larg, varno, condition);
	Placing found = left != NOT_HERE ? left : place(join->rarg, varno, condition);
	bool nullable;

	if (found != ABOVE)
		return found;
	if (join->jointype == JOIN_FULL)
		return IMPOSSIBLE;
	nullable = (join->jointype == JOIN_LEFT && left == NOT_HERE) ||
	           (join->jointype == JOIN_RIGHT && left != NOT_HERE);
	if (!nullable)
		return ABOVE;
	join->quals = make_and_qual(join->quals, condition);
	return PLACED;
}

static Placing
place(Node *node, Index varno, Node *condition)
{
	ListCell *cell;

	switch (nodeTag(node))
	{
		case T_RangeTblRef:
			return ((RangeTblRef *) node)->rtindex == varno ? ABOVE : NOT_HERE;
		case T_JoinExpr:
			return place_in_join((JoinExpr *) node, varno, condition);
		case T_FromExpr:
			foreach (cell, ((FromExpr *) node)->fromlist)
			{
				Placing found = place(lfirst(cell), varno, condition);

				if (found != NOT_HERE)
					return found;
			}
			return NOT_HERE;
		default:
			return IMPOSSIBLE;
	}
}

bool
placement_in_jointree(Query *query, Index varno, Node *condition)
{
	Placing placing = place((Node *) query->jointree, varno, condition);

	if (placing == ABOVE)
	{
		query->jointree->quals = make_and_qual(query->jointree->quals, condition);
		placing = PLACED;
	}
	return placing == PLACED;
}
