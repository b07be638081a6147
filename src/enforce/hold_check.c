/*
 * hold_check.c
 *		Legal holds against whatever erases: rows, tables, columns.
 *
 * Rows are checked by the trigger check_new_row(), which also sees what core's cascades and
 * replication do.  To queue an event for each deleted row costs a third of the deletion; so the
 * executor's hook takes the lock of the table's holds at the start, and where none may bind a row
 * takes the trigger for deletions out of this execution's own copy of the list.  The lock keeps it
 * right until the transaction ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "audit/trail.h"
#include "enforce/frame.h"
#include "enforce/hold_check.h"
#include "enforce/verify.h"
#include "enforce/via.h"
#include "policy/hold.h"
#include "policy/policy.h"

#define HINT_HOLDS                                                                                 \
	"privacy_guard.holds lists the legal holds; a data steward can end one with "                  \
	"privacy_guard.release_hold()."

PG_FUNCTION_INFO_V1(check_truncate);
PG_FUNCTION_INFO_V1(hold_check_sql);
PG_FUNCTION_INFO_V1(hold_may_bind);

/* ---- refusals ---- */

static void
refuse_row(Oid relid)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("a row of guarded table \"%s\" is under a legal hold", get_rel_name(relid)),
	         errhint(HINT_HOLDS), errdenial(relid, "hold")));
}

static void
refuse_unchecked(Oid relid)
{
	ereport(ERROR,
	        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	         errmsg("the trigger that keeps legal holds is missing on guarded table \"%s\"",
	                get_rel_name(relid)),
	         errhint("Let a data steward call privacy_guard.finish_restore(), which mends it."),
	         errdenial(relid, "hold")));
}

/* ---- tables ---- */

/* Takes the lock that keeps the answer true. */
static bool
may_be_held(Oid relid)
{
	const GuardedRelation *relation = policy_guarded(relid);

	if (relation == NULL || policy_state() != POLICY_IN_FORCE)
		return false;
	hold_lock(relation->table->relid);
	relation = policy_guarded(relid);
	return relation != NULL && hold_any(relation->table);
}

void
hold_check_table(Oid relid, const char *deed)
{
	if (!may_be_held(relid))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("cannot %s guarded table \"%s\" while a legal hold may bind its rows",
	                       deed, get_rel_name(relid)),
	                errhint(HINT_HOLDS), errdenial(relid, "hold")));
}

void
hold_check_any(void)
{
	if (policy_state() == POLICY_IN_FORCE && hold_exists())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("cannot drop this extension while there are legal holds"),
		                errhint(HINT_HOLDS), errdenial(InvalidOid, "hold")));
}

/* check_truncate() is a BEFORE TRUNCATE trigger of guarded tables, partitions and children. */
Datum
check_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
	    !TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("check_truncate() is a BEFORE TRUNCATE trigger function")));
	hold_check_table(RelationGetRelid(trigger->tg_relation), "truncate");
	PG_RETURN_POINTER(NULL);
}

/* privacy_guard_internal.require_unheld(relation, deed) */
Datum
hold_check_sql(PG_FUNCTION_ARGS)
{
	hold_check_table(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* privacy_guard_internal.may_be_held(relation) */
Datum
hold_may_bind(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(may_be_held(PG_GETARG_OID(0)));
}

/* ---- rows ---- */

static bool
column_changed(const TriggerData *trigger, AttrNumber column)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Form_pg_attribute attr = TupleDescAttr(desc, column - 1);
	bool was_null;
	bool isnull;
	Datum was = heap_getattr(trigger->tg_trigtuple, column, desc, &was_null);
	Datum value = heap_getattr(trigger->tg_newtuple, column, desc, &isnull);

	return was_null != isnull ||
	       (!isnull && !datum_image_eq(was, value, attr->attbyval, attr->attlen));
}

/* Does the UPDATE take the row, or rows that reach their subject through it, from somebody? */
static bool
severs(const GuardedRelation *relation, const TriggerData *trigger)
{
	int n = Max(relation->table->n_subjects, 1); /* or the foreign key */
	ListCell *cell;

	for (int i = 0; i < n; i++)
		if (column_changed(trigger, relation->arg[i]))
			return true;
	foreach (cell, hold_key_columns(relation))
		if (column_changed(trigger, lfirst_int(cell)))
			return true;
	return false;
}

/* spec: the relation whose subject columns these are. */
static bool
subjects_held(const GuardedTable *table, const GuardedRelation *spec, const Datum *value,
              const bool *null)
{
	for (int i = 0; i < spec->table->n_subjects; i++)
		if (!null[i] && hold_binds(table, spec->table->category,
		                           getBaseType(get_atttype(spec->relid, spec->arg[i])), value[i]))
			return true;
	return false;
}

/* The path is that of the statement, where it has one. */
static ViaCache *
path_of(const GuardedTable *table)
{
	FrameTable *entry = frame_table(frame_current(), table->relid);

	return entry != NULL && entry->via != NULL ? entry->via
	                                           : via_create(table, CurrentMemoryContext);
}

/* The data subjects are those of the present: whoever leads to a held one cannot have gone. */
static bool
reached_subjects_held(const GuardedTable *table, Datum key, bool isnull)
{
	ViaCache *path;
	const ViaRow *row;

	if (isnull)
		return false;
	path = path_of(table);
	row = via_follow(path, key, NULL);
	return row->found && subjects_held(table, via_target(path), row->value, row->null);
}

static bool
row_is_held(const GuardedRelation *relation, const TriggerData *trigger)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Datum value[MAX_SUBJECT_COLUMNS + 1];
	bool null[MAX_SUBJECT_COLUMNS + 1];

	if (hold_on_table(relation->table))
		return true;
	for (int i = 0; i < relation->n_args; i++)
		value[i] = heap_getattr(trigger->tg_trigtuple, relation->arg[i], desc, &null[i]);
	if (relation->table->n_subjects > 0)
		return subjects_held(relation->table, relation, value, null);
	return reached_subjects_held(relation->table, value[0], null[0]);
}

static void
unpin(void *pin)
{
	policy_unpin(pin);
}

/* While it lives, what the rules have handed out stays valid: a cascade has no frame. */
static MemoryContext
pin_rules(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "privacy_guard hold check",
	                                              ALLOCSET_SMALL_SIZES);
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(*callback));

	callback->arg = policy_pin();
	callback->func = unpin;
	MemoryContextRegisterResetCallback(context, callback);
	return context;
}

static void
check_row(const GuardedRelation *relation, const TriggerData *trigger)
{
	/* A parent that the same statement has written must be seen. */
	if (relation->table->n_subjects == 0)
		CommandCounterIncrement();
	if (row_is_held(relation, trigger))
		refuse_row(relation->table->relid);
}

void
hold_check_row(const TriggerData *trigger)
{
	Oid relid = RelationGetRelid(trigger->tg_relation);
	const GuardedRelation *relation = policy_guarded(relid);
	MemoryContext context;
	MemoryContext old;

	if (relation == NULL || policy_state() != POLICY_IN_FORCE ||
	    (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) && !severs(relation, trigger)) ||
	    !may_be_held(relid))
		return;
	context = pin_rules();
	old = MemoryContextSwitchTo(context);
	relation = policy_guarded(relid);
	if (relation != NULL)
		check_row(relation, trigger);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- executions ---- */

static bool
deletes(const ModifyTable *node)
{
	ListCell *list;
	ListCell *cell;

	if (node->operation != CMD_MERGE)
		return node->operation == CMD_DELETE;
	foreach (list, node->mergeActionLists)
		foreach (cell, lfirst(list))
			if (lfirst_node(MergeAction, cell)->commandType == CMD_DELETE)
				return true;
	return false;
}

static void
spare_rows(TriggerDesc *triggers)
{
	bool others = false;

	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger *trigger = &triggers->triggers[i];

		if (trigger->tgfoid == policy_trigger_function())
			trigger->tgtype &= ~TRIGGER_TYPE_DELETE;
		others |= TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER,
		                               TRIGGER_TYPE_DELETE);
	}
	triggers->trig_delete_after_row = others;
}

static void
check_target(ResultRelInfo *target)
{
	Oid relid = RelationGetRelid(target->ri_RelationDesc);

	if (policy_guarded(relid) == NULL || policy_state() != POLICY_IN_FORCE)
		return;
	if (may_be_held(relid))
	{
		if (!verify_has_row_check(relid))
			refuse_unchecked(relid);
	}
	else if (target->ri_TrigDesc != NULL)
		spare_rows(target->ri_TrigDesc);
}

static void
check_node(EState *estate, Plan *plan)
{
	ModifyTable *node = (ModifyTable *) plan;
	ListCell *cell;

	if (plan == NULL || !IsA(plan, ModifyTable) || !deletes(node))
		return;
	foreach (cell, node->resultRelations)
	{
		ResultRelInfo *target = estate->es_result_relations[lfirst_int(cell) - 1];

		if (target != NULL) /* pruned */
			check_target(target);
	}
}

void
hold_check_start(QueryDesc *query, int eflags)
{
	PlannedStmt *plan = query->plannedstmt;
	ListCell *cell;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || plan->resultRelations == NIL)
		return;
	check_node(query->estate, plan->planTree);
	foreach (cell, plan->subplans)
		check_node(query->estate, lfirst(cell));
}
