/*
 * utility_table.c
 *		Commands that name tables: an allow-list.
 *
 * Before the command.  What a migration of the owner needs is allowed; what is not known here is
 * refused.  Of most commands utility_objects.c sees what they really do; here is what leaves no
 * such trace (switches of row security, inheritance, partitions), and what must be known before:
 * foreign keys that core is going to validate, and expressions that would run over guarded rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_trigger.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "parser/parse_utilcmd.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "audit/trail.h"
#include "compat.h"
#include "enforce/hold_check.h"
#include "enforce/utility_depend.h"
#include "enforce/utility_function.h"
#include "enforce/utility_objects.h"
#include "enforce/utility_table.h"
#include "policy/policy.h"

static Oid
find_table(const RangeVar *name, LOCKMODE lock)
{
	return name == NULL
	           ? InvalidOid
	           : RangeVarGetRelidExtended(name, lock, RVR_MISSING_OK,
	                                      lock == NoLock ? NULL : RangeVarCallbackOwnsRelation,
	                                      NULL);
}

/* A restore makes and attaches what a dump holds of the audit log. */
static void
refuse_if_ours(Oid relid)
{
	if (OidIsValid(relid) && policy_state() != POLICY_PENDING &&
	    utility_namespace_is_ours(get_rel_namespace(relid)))
		utility_refuse_internal(get_rel_name(relid));
}

static void
note_adopted(UtilityCommand *command, Oid root)
{
	MemoryContext old = MemoryContextSwitchTo(command->context);

	command->adopted = list_append_unique_oid(command->adopted, root);
	MemoryContextSwitchTo(old);
}

static void
note_released(UtilityCommand *command, Oid child)
{
	MemoryContext old = MemoryContextSwitchTo(command->context);

	if (OidIsValid(child))
		command->released = list_append_unique_oid(command->released, child);
	MemoryContextSwitchTo(old);
}

/* ---- partitions and children ---- */

static void
refuse_foreign(Oid parent)
{
	ereport(ERROR,
	        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	         errmsg("guarded table \"%s\" cannot have foreign or temporary children",
	                get_rel_name(parent)),
	         errhint("Rows outside of permanent tables of this database cannot be guarded.")));
}

/* Code of the child that would run on rows of the parent. */
static bool
has_own_trigger(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool found = false;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!trigger->tgisinternal && !trigger->tgisclone &&
		    !policy_is_guard_trigger(trigger->tgfoid))
			found = true;
	}
	table_close(rel, AccessShareLock);
	return found;
}

/* child becomes a part of parent; one of them or both are guarded. */
static void
check_joins(UtilityCommand *command, Oid child, Oid parent)
{
	const GuardedRelation *above = policy_relation(parent);

	if (above == NULL || above->table == NULL)
	{
		if (OidIsValid(utility_guarded_root(child)) && command->authority == AUTHORITY_NONE)
			utility_refuse(child, "put under an unguarded parent");
		return;
	}
	if (get_rel_relkind(child) == RELKIND_FOREIGN_TABLE ||
	    get_rel_persistence(child) == RELPERSISTENCE_TEMP)
		refuse_foreign(parent);
	if (OidIsValid(utility_guarded_root(child)))
		utility_refuse_always(child, "put under another guarded table");
	if (command->authority == AUTHORITY_NONE)
	{
		Oid function = utility_loose_function_of_table(child);

		if (has_own_trigger(child))
			utility_refuse(parent, "attach a table with triggers to");
		if (OidIsValid(function))
			utility_refuse_function(function);
	}
	note_adopted(command, above->table->relid);
}

static void
check_create(UtilityCommand *command, const CreateStmt *statement, bool foreign)
{
	ListCell *cell;

	foreach (cell, statement->inhRelations)
	{
		Oid parent = find_table(lfirst_node(RangeVar, cell), NoLock);
		const GuardedRelation *relation = policy_guarded(parent);
		bool temporary = statement->relation->relpersistence == RELPERSISTENCE_TEMP;

		refuse_if_ours(parent);
		if (relation == NULL)
			continue;
		if (foreign || temporary)
			refuse_foreign(parent);
		note_adopted(command, relation->table->relid);
	}
}

/* ---- ALTER TABLE ---- */

typedef enum AlterVerdict
{
	ALTER_ALLOWED,
	ALTER_STEWARD, /* by a data steward only */
	ALTER_NEVER    /* by privacy_guard's own functions only */
} AlterVerdict;

static AlterVerdict
judge_alter(AlterTableType kind)
{
	switch (kind)
	{
		case AT_AddColumn:
		case AT_ColumnDefault:
		case AT_DropNotNull:
		case AT_SetNotNull:
		case AT_DropExpression:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_DropColumn:
		case AT_AddIndex:
		case AT_AddConstraint:
		case AT_AlterConstraint:
		case AT_ValidateConstraint:
		case AT_AddIndexConstraint:
		case AT_DropConstraint:
		case AT_AlterColumnType:
		case AT_ChangeOwner: /* judged by what comes of it */
		case AT_ClusterOn:
		case AT_DropCluster:
		case AT_SetLogged:
		case AT_SetUnLogged:
		case AT_DropOids:
		case AT_SetAccessMethod:
		case AT_SetTableSpace:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplicaIdentity:
		case AT_AttachPartition: /* these two are judged by the other table */
		case AT_AddInherit:
		case AT_AddIdentity:
		case AT_SetIdentity:
		case AT_DropIdentity:
			return ALTER_ALLOWED;
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
			return ALTER_NEVER;
		default:
			return compat_alter_sets_expression(kind) ? ALTER_ALLOWED : ALTER_STEWARD;
	}
}

static const char *
deed_of(AlterTableType kind)
{
	switch (kind)
	{
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
			return "switch row security of";
		case AT_DropInherit:
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			return "take partitions or children out of";
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
		case AT_DisableRule:
			return "switch rules of";
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
			return "switch triggers of";
		default:
			return "do this to";
	}
}

static bool
is_guarded(Oid relid)
{
	return OidIsValid(relid) && OidIsValid(utility_guarded_root(relid));
}

/* Does a foreign key connect the table with a guarded one? */
static bool
is_linked(Relation rel)
{
	bool found = false;

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
		found |= is_guarded(rel->trigdesc->triggers[i].tgconstrrelid);
	return found;
}

/* May the column be an end of a foreign key? */
static bool
is_key_column(Relation rel, const char *name)
{
	int column = get_attnum(RelationGetRelid(rel), name);
	Bitmapset *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	bool found = bms_is_member(column - FirstLowInvalidHeapAttributeNumber, keys);
	ListCell *cell;

	foreach (cell, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, cell);

		for (int i = 0; i < key->nkeys; i++)
			found |= key->conkey[i] == column;
	}
	return found;
}

static bool
constraint_validates(const Constraint *constraint, bool guarded)
{
	return constraint->contype == CONSTR_FOREIGN &&
	       (guarded || is_guarded(find_table(constraint->pktable, NoLock)));
}

/* Is core going to check a foreign key to or from a guarded table? */
static bool
validates_foreign_key(Relation rel, bool guarded, const AlterTableCmd *change)
{
	ListCell *cell;

	switch (change->subtype)
	{
		case AT_AddConstraint:
			return constraint_validates(castNode(Constraint, change->def), guarded);
		case AT_AddColumn:
			foreach (cell, castNode(ColumnDef, change->def)->constraints)
				if (constraint_validates(lfirst_node(Constraint, cell), guarded))
					return true;
			return false;
		case AT_ValidateConstraint:
		case AT_AttachPartition:
			return guarded || is_linked(rel);
		case AT_AlterColumnType:
			return (guarded || is_linked(rel)) && is_key_column(rel, change->name);
		default:
			return false;
	}
}

static Oid
other_table(const AlterTableCmd *change)
{
	switch (change->subtype)
	{
		case AT_AddInherit:
			return find_table((RangeVar *) change->def, NoLock);
		case AT_AttachPartition:
			return find_table(castNode(PartitionCmd, change->def)->name, NoLock);
		default:
			return InvalidOid;
	}
}

/* What erases rows or values, or lets them be erased. */
static void
check_hold(UtilityCommand *command, Relation rel, const AlterTableCmd *change)
{
	switch (change->subtype)
	{
		case AT_AlterColumnType: /* whether it rewrites shows afterwards */
			command->retypes = true;
			break;
		case AT_SetUnLogged: /* gone after a crash */
			hold_check_table(RelationGetRelid(rel), "set to unlogged");
			break;
		case AT_DropInherit:
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			hold_check_table(RelationGetRelid(rel), deed_of(change->subtype));
			break;
		default:
			break;
	}
}

static void
check_change(UtilityCommand *command, Relation rel, bool guarded, const AlterTableCmd *change)
{
	Oid relid = RelationGetRelid(rel);
	Oid other = other_table(change);
	AlterVerdict verdict = judge_alter(change->subtype);

	if (validates_foreign_key(rel, guarded, change))
		command->validates = true;
	if (guarded)
		check_hold(command, rel, change);
	if (OidIsValid(other))
	{
		refuse_if_ours(other);
		if (change->subtype == AT_AddInherit)
			check_joins(command, relid, other);
		else
			check_joins(command, other, relid);
	}
	if (!guarded || verdict == ALTER_ALLOWED)
		return;
	if (change->subtype == AT_DropInherit)
		note_released(command, relid);
	else if (change->subtype == AT_DetachPartition || change->subtype == AT_DetachPartitionFinalize)
		note_released(command, find_table(castNode(PartitionCmd, change->def)->name, NoLock));
	if (verdict == ALTER_NEVER && policy_state() == POLICY_IN_FORCE)
		utility_refuse_always(relid, deed_of(change->subtype));
	if (command->authority == AUTHORITY_NONE)
		utility_refuse(relid, deed_of(change->subtype));
}

static void
check_alter(UtilityCommand *command, const AlterTableStmt *statement)
{
	Oid relid = find_table(statement->relation, AlterTableGetLockLevel(statement->cmds));
	Relation rel;
	bool guarded;
	ListCell *cell;

	if (!OidIsValid(relid))
		return;
	refuse_if_ours(relid);
	guarded = OidIsValid(utility_guarded_root(relid));
	if (guarded && command->authority == AUTHORITY_NONE)
		command->plain_expressions = true;
	rel = relation_open(relid, NoLock);
	foreach (cell, statement->cmds)
		check_change(command, rel, guarded, lfirst_node(AlterTableCmd, cell));
	relation_close(rel, NoLock);
}

/* ---- expressions that are stored ---- */

static bool
is_loose(Oid function, void *context)
{
	return !utility_function_is_plain(function);
}

static bool
calls_loose_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_loose, context))
		return true;
	return expression_tree_walker(node, calls_loose_function, context);
}

static void
refuse_expression(Oid relid)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("only a data steward may use functions that are not built in over rows of "
	                "guarded table \"%s\"",
	                get_rel_name(relid)),
	         errhint("Index columns, or expressions of built-in functions."),
	         errdenial(relid, "steward_only")));
}

/* Also built CONCURRENTLY, when it is too late to refuse it afterwards. */
/* Named, and neither core's nor an extension's: its functions see every key. */
static bool
has_own_operator_class(const IndexStmt *statement, Oid relid, const IndexElem *column)
{
	Oid type;
	Oid class;

	if (column->opclass == NIL)
		return false;
	type = column->expr != NULL ? exprType(column->expr)
	                            : get_atttype(relid, get_attnum(relid, column->name));
	class = ResolveOpClass(column->opclass, type, statement->accessMethod,
	                       get_index_am_oid(statement->accessMethod, false));
	return class >= FirstNormalObjectId &&
	       !OidIsValid(getExtensionOfObject(OperatorClassRelationId, class));
}

static void
check_index(UtilityCommand *command, IndexStmt *statement)
{
	Oid relid = find_table(statement->relation,
	                       statement->concurrent ? ShareUpdateExclusiveLock : ShareLock);
	ListCell *cell;

	if (!OidIsValid(relid))
		return;
	refuse_if_ours(relid);
	if (command->authority != AUTHORITY_NONE || !OidIsValid(utility_guarded_root(relid)))
		return;
	command->plain_expressions = true;
	statement = transformIndexStmt(relid, copyObject(statement), command->source);
	if (calls_loose_function(statement->whereClause, NULL))
		refuse_expression(relid);
	foreach (cell, statement->indexParams)
	{
		IndexElem *column = lfirst_node(IndexElem, cell);

		if (calls_loose_function(column->expr, NULL) ||
		    has_own_operator_class(statement, relid, column))
			refuse_expression(relid);
	}
}

/* Commands that compute stored expressions again. */
static void
check_recomputed(UtilityCommand *command, const RangeVar *name)
{
	Oid relid = find_table(name, NoLock);
	char kind = OidIsValid(relid) ? get_rel_relkind(relid) : 0;

	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	if (command->authority == AUTHORITY_NONE && OidIsValid(relid) &&
	    OidIsValid(utility_guarded_root(relid)))
		command->plain_expressions = true;
}

static bool
is_full(const VacuumStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "full") == 0 && defGetBoolean(option))
			return true;
	}
	return false;
}

static void
check_vacuum(UtilityCommand *command, const VacuumStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->rels)
	{
		RangeVar *name = lfirst_node(VacuumRelation, cell)->relation;

		/* It would keep everybody waiting for the audit log. */
		if (is_full(statement))
			refuse_if_ours(find_table(name, NoLock));
		check_recomputed(command, name);
	}
}

/* Is there a guarded table with a column of this type, or of one made of it? */
static bool
type_is_guarded(Oid type)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId)
			found = get_rel_relkind(form->objid) == RELKIND_COMPOSITE_TYPE
			            ? type_is_guarded(get_rel_type_id(form->objid))
			            : is_guarded(form->objid);
		else if (form->classid == TypeRelationId && form->objid != type)
			found = type_is_guarded(form->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* A domain's new check runs over every column of that type. */
static void
check_domain(UtilityCommand *command, const AlterDomainStmt *statement)
{
	Oid type;

	if (command->authority != AUTHORITY_NONE ||
	    (statement->subtype != 'C' && statement->subtype != 'V'))
		return;
	type = LookupTypeNameOid(NULL, makeTypeNameFromNameList(statement->typeName), true);
	if (OidIsValid(type) && type_is_guarded(type))
		command->plain_expressions = true;
}

/* ---- names ---- */

static void
check_rename(UtilityCommand *command, const RenameStmt *statement)
{
	Oid relid;

	if (statement->renameType == OBJECT_SCHEMA &&
	    utility_namespace_is_ours(get_namespace_oid(statement->subname, true)))
		utility_refuse_internal(statement->subname);
	relid = find_table(statement->relation, NoLock);
	refuse_if_ours(relid);
}

/* Afterwards it would not be ours by its schema any more. */
static void
check_schema(const AlterObjectSchemaStmt *statement)
{
	Node *name = statement->object;
	Relation relation = NULL;
	ObjectAddress object;

	if (statement->relation != NULL)
	{
		refuse_if_ours(find_table(statement->relation, NoLock));
		return;
	}
	if (statement->objectType == OBJECT_TYPE || statement->objectType == OBJECT_DOMAIN)
		name = (Node *) makeTypeNameFromNameList((List *) name);
	object = get_object_address(statement->objectType, name, &relation, AccessShareLock, true);
	if (OidIsValid(object.objectId) && utility_namespace_is_ours(get_object_namespace(&object)))
		utility_refuse_internal(NULL);
}

static void
check_grant(UtilityCommand *command, const GrantStmt *statement)
{
	ListCell *cell;

	if (command->authority == AUTHORITY_STEWARD)
		return;
	foreach (cell, statement->objects)
	{
		Node *object = lfirst(cell);
		Oid namespace = InvalidOid;

		if (IsA(object, RangeVar))
		{
			Oid relid = find_table((RangeVar *) object, NoLock);

			namespace = OidIsValid(relid) ? get_rel_namespace(relid) : InvalidOid;
		}
		else if (IsA(object, ObjectWithArgs))
		{
			Oid function = LookupFuncWithArgs(statement->objtype, (ObjectWithArgs *) object, true);

			namespace = OidIsValid(function) ? get_func_namespace(function) : InvalidOid;
		}
		else if (IsA(object, String) && (statement->objtype == OBJECT_SCHEMA ||
		                                 statement->targtype == ACL_TARGET_ALL_IN_SCHEMA))
		namespace = get_namespace_oid(strVal(object), true);
		if (utility_namespace_is_ours(namespace))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			                errmsg("only a data steward may change privileges on objects of "
			                       "privacy_guard"),
			                errhint("Membership in privacy_guard_steward, privacy_guard_auditor or "
			                        "privacy_guard_break_glass gives what a role needs."),
			                errdenial(InvalidOid, "steward_only")));
	}
}

/* ---- locks ---- */

static void refuse_lock(Oid relid);

/* Until PostgreSQL 15 a view is among its own relations. */
static bool
refuse_locks_of_query(Node *node, void *view)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relid != *(Oid *) view)
			refuse_lock(rte->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, refuse_locks_of_query, view,
		                         QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, refuse_locks_of_query, view);
}

/* Core locks what is behind a view as well. */
static void
refuse_lock(Oid relid)
{
	Relation rel;

	refuse_if_ours(relid);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_VIEW)
		return;
	rel = relation_open(relid, AccessShareLock);
	(void) refuse_locks_of_query((Node *) get_view_query(rel), &relid);
	relation_close(rel, AccessShareLock);
}

/* A lock on the audit log keeps everybody waiting.  That of a reader, as pg_dump's, is harmless. */
void
utility_table_check_lock(const LockStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->mode > AccessShareLock ? statement->relations : NIL)
		refuse_lock(find_table(lfirst_node(RangeVar, cell), NoLock));
}

/* ---- all of them ---- */

/* Of a data steward's, single objects are not judged. */
static void
check_drop(UtilityCommand *command, const DropStmt *statement)
{
	ListCell *cell;

	if (statement->removeType != OBJECT_EXTENSION || command->authority != AUTHORITY_STEWARD)
		return;
	if (statement->behavior == DROP_CASCADE)
		hold_check_any();
	foreach (cell, statement->objects)
		if (strcmp(strVal(lfirst(cell)), "privacy_guard") == 0)
			hold_check_any();
}

static void
check_contents(UtilityCommand *command, const AlterExtensionContentsStmt *statement)
{
	if (strcmp(statement->extname, "privacy_guard") == 0)
		utility_refuse_internal(NULL);
}

void
utility_table_check(UtilityCommand *command)
{
	Node *statement = command->planned->utilityStmt;

	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			check_alter(command, (AlterTableStmt *) statement);
			break;
		case T_CreateStmt:
			check_create(command, (CreateStmt *) statement, false);
			break;
		case T_CreateForeignTableStmt:
			check_create(command, &((CreateForeignTableStmt *) statement)->base, true);
			break;
		case T_DropStmt:
			check_drop(command, (DropStmt *) statement);
			break;
		case T_IndexStmt:
			check_index(command, (IndexStmt *) statement);
			break;
		case T_ReindexStmt:
			check_recomputed(command, ((ReindexStmt *) statement)->relation);
			break;
		case T_ClusterStmt:
			refuse_if_ours(find_table(((ClusterStmt *) statement)->relation, NoLock));
			check_recomputed(command, ((ClusterStmt *) statement)->relation);
			break;
		case T_VacuumStmt:
			check_vacuum(command, (VacuumStmt *) statement);
			break;
		case T_AlterDomainStmt:
			check_domain(command, (AlterDomainStmt *) statement);
			break;
		case T_RenameStmt:
			check_rename(command, (RenameStmt *) statement);
			break;
		case T_AlterObjectSchemaStmt:
			check_schema((AlterObjectSchemaStmt *) statement);
			break;
		case T_GrantStmt:
			check_grant(command, (GrantStmt *) statement);
			break;
		case T_AlterExtensionContentsStmt:
			check_contents(command, (AlterExtensionContentsStmt *) statement);
			break;
		default:
			break;
	}
}
