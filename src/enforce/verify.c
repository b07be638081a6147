/*
 * verify.c
 *		Layer 3: is the guard really in the plan?
 *
 * Each node that scans a guarded relation must have the guard as a member of its top-level AND,
 * with the right table and columns; each target of new rows must have the checking trigger, always
 * enabled; ON CONFLICT DO UPDATE must check the existing row.  Whatever node is not known here and
 * reads a guarded relation is refused.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "enforce/guard.h"
#include "enforce/verify.h"
#include "policy/policy.h"
#include "retention/owner_code.h"

typedef struct VerifyContext
{
	PlannedStmt *plan;
	VerifyResult *result;
} VerifyContext;

static void verify_node(VerifyContext *context, Plan *node);

static const GuardedRelation *
guarded(VerifyContext *context, Index rti)
{
	RangeTblEntry *rte = rt_fetch(rti, context->plan->rtable);

	return rte->rtekind == RTE_RELATION ? policy_guarded(rte->relid) : NULL;
}

static void
found_unguarded(VerifyContext *context, const GuardedRelation *relation)
{
	context->result->unguarded = relation->relid;
}

/* Does the argument stand for this column of the scanned row? */
static bool
is_column(Node *arg, Scan *scan, AttrNumber column)
{
	Var *var = (Var *) arg;

	if (!IsA(arg, Var))
		return false;
	if (IsA(scan, IndexOnlyScan) && var->varno == INDEX_VAR)
	{
		List *columns = ((IndexOnlyScan *) scan)->indextlist;
		TargetEntry *entry;

		if (var->varattno < 1 || var->varattno > list_length(columns))
			return false;
		entry = list_nth_node(TargetEntry, columns, var->varattno - 1);
		return IsA(entry->expr, Var) && ((Var *) entry->expr)->varattno == column;
	}
	return var->varno == scan->scanrelid && var->varattno == column;
}

static bool
is_guard_of(Node *qual, Scan *scan, const GuardedRelation *relation)
{
	FuncExpr *call = (FuncExpr *) qual;
	Const *table;
	int i = 0;
	ListCell *cell;

	if (!IsA(qual, FuncExpr) || call->funcid != policy_guard_function() ||
	    list_length(call->args) != relation->n_args + 2)
		return false;
	table = (Const *) lsecond(call->args);
	if (!IsA(linitial(call->args), Const) || !IsA(table, Const) || table->constisnull ||
	    table->consttype != REGCLASSOID ||
	    DatumGetObjectId(table->constvalue) != relation->table->relid)
		return false;
	for_each_from(cell, call->args,
	              2) if (!is_column(lfirst(cell), scan, relation->arg[i++])) return false;
	return true;
}

static void
verify_scan(VerifyContext *context, Scan *scan)
{
	const GuardedRelation *relation;
	ListCell *cell;

	if (scan->scanrelid == 0 || (relation = guarded(context, scan->scanrelid)) == NULL)
		return;
	foreach (cell, scan->plan.qual)
	{
		if (is_guard_of(lfirst(cell), scan, relation))
		{
			context->result->any_guard = true;
			return;
		}
		/* Whatever a user's function is declared to be, it sees no row before the guard. */
		if (owner_code_calls_user_function(lfirst(cell)))
			break;
	}
	found_unguarded(context, relation);
}

/* A foreign or custom scan may do anything with what it reads. */
static void
refuse_guarded(VerifyContext *context, Scan *scan, Bitmapset *relids)
{
	int rti = -1;

	if (scan->scanrelid > 0)
		relids = bms_add_member(bms_copy(relids), scan->scanrelid);
	while ((rti = bms_next_member(relids, rti)) >= 0)
		if (guarded(context, rti) != NULL)
			found_unguarded(context, guarded(context, rti));
}

bool
verify_has_row_check(Oid relid)
{
	Relation rel = table_open(relid, NoLock);
	TriggerDesc *triggers = rel->trigdesc;
	bool found = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgfoid == policy_trigger_function() &&
		    trigger->tgenabled == TRIGGER_FIRES_ALWAYS && trigger->tgqual == NULL &&
		    trigger->tgnattr == 0 && TRIGGER_FOR_ROW(trigger->tgtype) &&
		    TRIGGER_FOR_AFTER(trigger->tgtype) && TRIGGER_FOR_INSERT(trigger->tgtype) &&
		    TRIGGER_FOR_UPDATE(trigger->tgtype) && TRIGGER_FOR_DELETE(trigger->tgtype))
			found = true;
	}
	table_close(rel, NoLock);
	return found;
}

static bool
has_conflict_check(ModifyTable *node)
{
	ListCell *cell;

	if (node->withCheckOptionLists == NIL)
		return false;
	foreach (cell, (List *) linitial(node->withCheckOptionLists))
	{
		WithCheckOption *check = lfirst_node(WithCheckOption, cell);
		List *quals = (List *) check->qual;

		if (check->kind == WCO_RLS_CONFLICT_CHECK && list_length(quals) == 1 &&
		    guard_is_call(linitial(quals)))
			return true;
	}
	return false;
}

static void
verify_modify(VerifyContext *context, ModifyTable *node)
{
	ListCell *cell;

	foreach (cell, node->resultRelations)
	{
		const GuardedRelation *relation = guarded(context, lfirst_int(cell));

		if (relation == NULL || node->operation == CMD_DELETE)
			continue;
		if (!verify_has_row_check(relation->relid) ||
		    (node->onConflictAction == ONCONFLICT_UPDATE && !has_conflict_check(node)))
			found_unguarded(context, relation);
	}
}

static void
verify_list(VerifyContext *context, List *nodes)
{
	ListCell *cell;

	foreach (cell, nodes)
		verify_node(context, lfirst(cell));
}

static void
verify_node(VerifyContext *context, Plan *node)
{
	if (node == NULL)
		return;
	switch (nodeTag(node))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
			verify_scan(context, (Scan *) node);
			break;
		case T_ForeignScan:
			refuse_guarded(context, (Scan *) node, ((ForeignScan *) node)->fs_relids);
			break;
		case T_CustomScan:
			refuse_guarded(context, (Scan *) node, ((CustomScan *) node)->custom_relids);
			verify_list(context, ((CustomScan *) node)->custom_plans);
			break;
		case T_SubqueryScan:
			verify_node(context, ((SubqueryScan *) node)->subplan);
			break;
		case T_Append:
			verify_list(context, ((Append *) node)->appendplans);
			break;
		case T_MergeAppend:
			verify_list(context, ((MergeAppend *) node)->mergeplans);
			break;
		case T_ModifyTable:
			verify_modify(context, (ModifyTable *) node);
			break;
		default:
			break;
	}
	verify_node(context, outerPlan(node));
	verify_node(context, innerPlan(node));
}

VerifyResult
verify_plan(PlannedStmt *plan)
{
	VerifyResult result = {.unguarded = InvalidOid};
	VerifyContext context = {.plan = plan, .result = &result};

	verify_node(&context, plan->planTree);
	verify_list(&context, plan->subplans);
	return result;
}
