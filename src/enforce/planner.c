/*
 * planner.c
 *		Layer 2: the guard where row security was not asked.
 *
 * Superusers, BYPASSRLS, owners without FORCE, partitions read directly, a flag that somebody
 * cleared: before planning, every level of the query gets the guard on each guarded relation that
 * lacks it.  New rows are checked by a trigger after the statement, in all cases; so the checks
 * that core derived from the restrictive policy are dropped here, and only the existing row of
 * ON CONFLICT DO UPDATE is checked in the plan, before its values reach the SET list.
 *
 * SQL functions that core inlines later would escape, so while planning for a role that row
 * security skips, none are inlined.
 */
#include "postgres.h"

#include "access/transam.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "enforce/exempt.h"
#include "enforce/guard.h"
#include "enforce/placement.h"
#include "enforce/planner.h"
#include "enforce/rls.h"
#include "policy/policy.h"
#include "retention/own_statement.h"
#include "retention/pseudonym.h"

static planner_hook_type prev_planner_hook = NULL;
static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;

/* Above zero while planning for a role that row security skips. */
static int unpoliced_depth = 0;

static const GuardedRelation *
guarded(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION ? policy_guarded(rte->relid) : NULL;
}

/*
 * Drop what is true in any case: the stored policy's question whether the library is loaded, and
 * the permissive TRUE.  They would make a security barrier of nothing.
 */
static List *
without_truisms(List *quals)
{
	ListCell *cell;

	foreach (cell, quals)
	{
		Node *qual = lfirst(cell);
		Const *constant = (Const *) qual;

		if ((IsA(qual, FuncExpr) && ((FuncExpr *) qual)->funcid == policy_library_function()) ||
		    (IsA(qual, Const) && !constant->constisnull && DatumGetBool(constant->constvalue)))
			quals = foreach_delete_current(quals, cell);
	}
	return quals;
}

typedef struct GuardContext
{
	bool harmless; /* may the guard be a plain qualification in this query? */
	bool own;      /* a statement of ours */
} GuardContext;

static void
guard_relation(Query *query, Index varno, RangeTblEntry *rte, const GuardedRelation *relation,
               bool harmless)
{
	Node *expression = guard_expression(relation, varno);

	rte->securityQuals = without_truisms(list_delete(rte->securityQuals, expression));
	if (!harmless || !placement_in_jointree(query, varno, expression))
		rte->securityQuals = lcons(expression, rte->securityQuals);
}

static void
guard_reads(Query *query, bool harmless)
{
	ListCell *cell;
	Index varno = 0;

	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		const GuardedRelation *relation = guarded(rte);

		varno++;
		/* The target of an INSERT is not scanned. */
		if (relation != NULL &&
		    (varno != query->resultRelation || query->commandType != CMD_INSERT))
			guard_relation(query, varno, rte, relation, harmless);
	}
}

static void
guard_conflicts(Query *query)
{
	const GuardedRelation *relation;
	WithCheckOption *check;
	ListCell *cell;

	foreach (cell, query->withCheckOptions)
		if (guard_is_call(lfirst_node(WithCheckOption, cell)->qual))
			query->withCheckOptions = foreach_delete_current(query->withCheckOptions, cell);

	if (query->commandType != CMD_INSERT || query->onConflict == NULL ||
	    query->onConflict->action != ONCONFLICT_UPDATE)
		return;
	relation = guarded(list_nth_node(RangeTblEntry, query->rtable, query->resultRelation - 1));
	if (relation == NULL)
		return;
	check = makeNode(WithCheckOption);
	check->kind = WCO_RLS_CONFLICT_CHECK;
	check->relname = get_rel_name(relation->relid);
	check->polname = pstrdup(RLS_POLICY_NAME);
	check->qual = guard_conflict_expression(relation, query->resultRelation);
	query->withCheckOptions = lcons(check, query->withCheckOptions);
}

/* No policy has a say in what we do: it could hide rows from erasure, or run somebody's code. */
static void
drop_policies(Query *query)
{
	ListCell *cell;

	foreach (cell, query->rtable)
		lfirst_node(RangeTblEntry, cell)->securityQuals = NIL;
	query->withCheckOptions = NIL;
}

static bool
guard_query_walker(Node *node, GuardContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		if (query->commandType != CMD_UTILITY && !exempt_integrity_query(query))
		{
			if (context->own)
				drop_policies(query);
			guard_reads(query, context->harmless);
			guard_conflicts(query);
		}
		return query_tree_walker(query, guard_query_walker, context, 0);
	}
	if (context->own && IsA(node, FuncExpr))
		pseudonym_enable((FuncExpr *) node);
	return expression_tree_walker(node, guard_query_walker, context);
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursor_options, ParamListInfo params)
{
	if (prev_planner_hook)
		return prev_planner_hook(parse, query_string, cursor_options, params);
	return standard_planner(parse, query_string, cursor_options, params);
}

static PlannedStmt *
guarding_planner(Query *parse, const char *query_string, int cursor_options, ParamListInfo params)
{
	PlannedStmt *result;
	void *pin;
	int depth = unpoliced_depth;
	OwnStatement *own = own_statement(query_string);
	GuardContext context = {.own = own != NULL};

	if (policy_state() <= POLICY_EMPTY)
		return call_planner(parse, query_string, cursor_options, params);

	pin = policy_pin();
	PG_TRY();
	{
		/* What erases compares starts, places and keys, and finds them by index. */
		context.harmless = (own != NULL && OidIsValid(own->erases)) || placement_is_harmless(parse);
		guard_query_walker((Node *) parse, &context);
		unpoliced_depth = has_bypassrls_privilege(GetUserId()) ? 1 : 0;
		result = call_planner(parse, query_string, cursor_options, params);
	}
	PG_FINALLY();
	{
		unpoliced_depth = depth;
		policy_unpin(pin);
	}
	PG_END_TRY();
	return result;
}

/* Asked before a function is inlined; true prevents it. */
static bool
prevents_inlining(Oid function)
{
	if (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function))
		return true;
	return unpoliced_depth > 0 && function >= FirstNormalObjectId;
}

void
planner_init(void)
{
	prev_planner_hook = planner_hook;
	planner_hook = guarding_planner;
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = prevents_inlining;
}
