/*
 * owner_code.c
 *		Whose code a change of a table would run, and as whom.
 *
 * Statements of ours run as the owner of the table, and what core cascades to another table runs as
 * the owner of that one.  Where the owner is a superuser, whoever holds TRIGGER on the table, or
 * has been allowed an expression on it, could have anything done.  So there, nothing is done.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"

#include "retention/owner_code.h"

PG_FUNCTION_INFO_V1(owner_code_runs_foreign);

/* Somebody's trigger; those of constraints are core's. */
static bool
has_trigger(Relation rel, OwnerCodeEvent event)
{
	Oid ours = get_namespace_oid("privacy_guard_internal", false);

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &rel->trigdesc->triggers[i];
		bool fires = event == OWNER_CODE_DELETE ? TRIGGER_FOR_DELETE(trigger->tgtype)
		                                        : TRIGGER_FOR_UPDATE(trigger->tgtype);

		if (fires && !trigger->tgisinternal && trigger->tgenabled != TRIGGER_DISABLED &&
		    get_func_namespace(trigger->tgfoid) != ours)
			return true;
	}
	return false;
}

static bool
is_user_function(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

static bool
calls_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_user_function, NULL) ||
	       expression_tree_walker(node, calls_user_function, context);
}

bool
owner_code_calls_user_function(Node *node)
{
	return calls_user_function(node, NULL);
}

/* CHECK constraints, generated columns, keys of partitions, and the constraints of domains. */
static bool
has_row_code(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);
	TupleConstr *constr = desc->constr;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
		if (owner_code_calls_user_function(stringToNode(constr->check[i].ccbin)))
			return true;
	for (int i = 0; constr != NULL && constr->has_generated_stored && i < constr->num_defval; i++)
		if (owner_code_calls_user_function(stringToNode(constr->defval[i].adbin)))
			return true;
	if (rel->rd_rel->relispartition &&
	    owner_code_calls_user_function((Node *) RelationGetPartitionQual(rel)))
		return true;
	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
		    DomainHasConstraints(TupleDescAttr(desc, i)->atttypid))
			return true;
	return false;
}

static bool
has_index_code(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *cell;
	bool found = false;

	foreach (cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		found |= owner_code_calls_user_function((Node *) RelationGetIndexExpressions(index)) ||
		         owner_code_calls_user_function((Node *) RelationGetIndexPredicate(index));
		index_close(index, NoLock);
	}
	list_free(indexes);
	return found;
}

/* What happens to the rows of a table when foreign keys carry an event to it. */
typedef struct Cascade
{
	Oid relid;
	OwnerCodeEvent event;
} Cascade;

static bool
cascades(char action, OwnerCodeEvent *event)
{
	if (action == FKCONSTR_ACTION_SETNULL || action == FKCONSTR_ACTION_SETDEFAULT)
		*event = OWNER_CODE_UPDATE;
	return action == FKCONSTR_ACTION_CASCADE || action == FKCONSTR_ACTION_SETNULL ||
	       action == FKCONSTR_ACTION_SETDEFAULT;
}

static List *
add_step(List *list, Oid relid, OwnerCodeEvent event)
{
	ListCell *cell;
	Cascade *step;

	foreach (cell, list)
	{
		step = lfirst(cell);
		if (step->relid == relid && step->event == event)
			return list;
	}
	step = palloc(sizeof(Cascade));
	*step = (Cascade){relid, event};
	return lappend(list, step);
}

static List *
add_family(List *list, Oid relid, OwnerCodeEvent event)
{
	List *members = find_all_inheritors(relid, AccessShareLock, NULL);
	ListCell *cell;

	foreach (cell, members)
		list = add_step(list, lfirst_oid(cell), event);
	return list;
}

static List *
add_cascades(List *list, const Cascade *from)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(constraints, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		OwnerCodeEvent event = from->event;

		if (form->contype == CONSTRAINT_FOREIGN && form->confrelid == from->relid &&
		    cascades(from->event == OWNER_CODE_DELETE ? form->confdeltype : form->confupdtype,
		             &event))
			list = add_family(list, form->conrelid, event);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return list;
}

static bool
runs_as_superuser(Relation rel, OwnerCodeEvent event)
{
	return superuser_arg(rel->rd_rel->relowner) &&
	       (rel->rd_rules != NULL || has_trigger(rel, event) ||
	        (event == OWNER_CODE_UPDATE && (has_row_code(rel) || has_index_code(rel))));
}

bool
owner_code_of_table(Oid relid, OwnerCodeEvent event)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool foreign = rel->rd_rules != NULL || runs_as_superuser(rel, event);

	table_close(rel, NoLock);
	return foreign;
}

/* Of the table and of those that core cascades the event to. */
static bool
runs_foreign_code(Oid relid, OwnerCodeEvent event)
{
	List *list = add_step(NIL, relid, event);

	if (owner_code_of_table(relid, event))
		return true;
	for (int i = 0; i < list_length(list); i++)
	{
		Cascade *step = list_nth(list, i);
		Relation rel = table_open(step->relid, AccessShareLock);
		bool foreign = runs_as_superuser(rel, step->event);

		table_close(rel, NoLock);
		if (foreign)
			return true;
		list = add_cascades(list, step);
	}
	return false;
}

static void
refuse(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("changing table \"%s\" would run the code of others as superuser",
	                       get_rel_name(relid)),
	                errhint("Let a role without superuser rights own the table, or drop its "
	                        "triggers and rules.")));
}

/* Cheap, because it is asked for each statement: what cascades reach is asked beforehand. */
void
owner_code_check(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool foreign = rel->rd_rules != NULL ||
	               (superuser_arg(rel->rd_rel->relowner) &&
	                (has_trigger(rel, OWNER_CODE_DELETE) || has_trigger(rel, OWNER_CODE_UPDATE)));

	table_close(rel, NoLock);
	if (foreign)
		refuse(relid);
}

void
owner_code_check_cascade(Oid relid, OwnerCodeEvent event)
{
	if (owner_code_of_table(relid, event))
		refuse(relid);
}

/* privacy_guard_internal.runs_foreign_code(relation, event): 'DELETE' or 'UPDATE' */
Datum
owner_code_runs_foreign(PG_FUNCTION_ARGS)
{
	char *event = text_to_cstring(PG_GETARG_TEXT_PP(1));

	PG_RETURN_BOOL(runs_foreign_code(
	    PG_GETARG_OID(0), strcmp(event, "DELETE") == 0 ? OWNER_CODE_DELETE : OWNER_CODE_UPDATE));
}
