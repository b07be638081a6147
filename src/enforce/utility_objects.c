/*
 * utility_objects.c
 *		What commands do to single objects, also by CASCADE and by recursion.
 *
 * Core tells the object access hook of each object that it drops, before; those are refused on the
 * spot.  Of what it makes or alters it tells when the new catalog row cannot be read yet; so the
 * hook notes the object, with what it was, and the command is refused when it has ended.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "audit/trail.h"
#include "enforce/exempt.h"
#include "enforce/hold_check.h"
#include "enforce/rls.h"
#include "enforce/utility_function.h"
#include "enforce/utility_depend.h"
#include "enforce/utility_objects.h"
#include "guc.h"
#include "policy/policy.h"

/* What the guard reads in a column. */
typedef enum ColumnUse
{
	COLUMN_FREE,
	COLUMN_SUBJECT, /* or what leads to the subjects, or their consent */
	COLUMN_START    /* of the storage duration */
} ColumnUse;

/* An object that the command has made or altered; of a table or column also what it was. */
typedef struct Touched
{
	Oid class;
	Oid id;
	int32 sub;
	bool made;
	Oid owner;
	Oid namespace;
	Oid type;
	Oid file; /* which a rewrite replaces */
	NameData name;
	ColumnUse use;
	bool was_ours; /* the guard's own policy or trigger */
} Touched;

static object_access_hook_type prev_access_hook = NULL;

/* ---- which objects matter ---- */

bool
utility_namespace_is_ours(Oid namespace)
{
	return OidIsValid(namespace) &&
	       (namespace == policy_schema() ||
	        namespace == get_namespace_oid("privacy_guard_internal", true));
}

Oid
utility_guarded_root(Oid relid)
{
	const GuardedRelation *relation = policy_relation(relid);
	List *family;
	ListCell *cell;

	if (relation != NULL)
		return relation->table != NULL ? relation->table->relid : InvalidOid;
	if (relid < FirstNormalObjectId || !has_subclass(relid))
		return InvalidOid;
	family = find_all_inheritors(relid, NoLock, NULL);
	foreach (cell, family)
	{
		relation = policy_guarded(lfirst_oid(cell));
		if (relation != NULL)
			return relation->table->relid;
	}
	return InvalidOid;
}

/* Is it a column that the guard of this relation reads? */
static bool
is_guard_column(Oid relid, int32 column)
{
	const GuardedRelation *relation = policy_guarded(relid);

	for (int i = 0; relation != NULL && i < relation->n_args; i++)
		if (relation->arg[i] == column)
			return true;
	return false;
}

static ColumnUse
use_of_column(Oid relid, int32 column)
{
	const GuardedRelation *relation = policy_guarded(relid);

	if (!is_guard_column(relid, column))
		return COLUMN_FREE;
	return NameStr(relation->table->retention_start)[0] != '\0' &&
	               relation->arg[relation->n_args - 1] == column
	           ? COLUMN_START
	           : COLUMN_SUBJECT;
}

/* The deed may have been done, so that the guard cannot be asked any more. */
static void
refuse_column(Oid relid, ColumnUse use, const char *deed)
{
	if (use == COLUMN_SUBJECT)
		utility_refuse_always(relid, psprintf("%s a column that names the data subjects of", deed));
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("cannot %s the column from which the storage durations of guarded table "
	                       "\"%s\" count",
	                       deed, get_rel_name(relid)),
	                errhint("Let a data steward remove them first, with privacy_guard.unretain()."),
	                errdenial(relid, "ddl")));
}

/* Read one row of a system catalog by its oid; false where it is not visible (yet). */
typedef void (*ReadRow)(HeapTuple tuple, TupleDesc desc, void *arg);

static bool
read_catalog(Oid catalog, Oid index, AttrNumber column, Oid value, ReadRow read, void *arg)
{
	Relation rel = table_open(catalog, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		read(tuple, RelationGetDescr(rel), arg);
		found = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* ---- parts of a table ---- */

typedef struct Part
{
	Oid relid;     /* the table it is a part of */
	bool by_core;  /* made by core for a constraint or from the parent's */
	bool is_ours;  /* the guard's own policy or trigger */
	bool computes; /* evaluates an expression over rows */
	bool is_path;  /* the foreign key through which a table reaches its subjects */
} Part;

static void
read_trigger(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

	*(Part *) arg = (Part){.relid = form->tgrelid,
	                       .by_core = form->tgisinternal || OidIsValid(form->tgparentid),
	                       .is_ours = policy_is_guard_trigger(form->tgfoid)};
}

static void
read_policy(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);

	*(Part *) arg = (Part){.relid = form->polrelid,
	                       .is_ours = strcmp(NameStr(form->polname), RLS_POLICY_NAME) == 0};
}

static void
read_rule(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(Part *) arg = (Part){.relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class};
}

static bool
is_subject_path(HeapTuple tuple, TupleDesc desc)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	const GuardedRelation *relation = policy_guarded(form->conrelid);
	bool isnull;
	Datum columns = heap_getattr(tuple, Anum_pg_constraint_conkey, desc, &isnull);
	ArrayType *array;

	if (form->contype != CONSTRAINT_FOREIGN || relation == NULL ||
	    relation->table->n_subjects > 0 || isnull)
		return false;
	array = DatumGetArrayTypeP(columns);
	return ARR_DIMS(array)[0] == 1 && *(int16 *) ARR_DATA_PTR(array) == relation->arg[0];
}

static void
read_constraint(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	*(Part *) arg =
	    (Part){.relid = form->conrelid, .computes = true, .is_path = is_subject_path(tuple, desc)};
}

static void
read_statistics(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(Part *) arg =
	    (Part){.relid = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid, .computes = true};
}

/* A plain default computes nothing from rows. */
static void
read_default(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Form_pg_attrdef form = (Form_pg_attrdef) GETSTRUCT(tuple);

	*(Part *) arg = (Part){.relid = form->adrelid,
	                       .computes = get_attgenerated(form->adrelid, form->adnum) != '\0'};
}

static bool
find_part(Oid class, Oid id, Part *part)
{
	static const struct
	{
		Oid class;
		Oid index;
		AttrNumber oid_column;
		ReadRow read;
	} kinds[] = {
	    {TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, read_trigger},
	    {PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, read_policy},
	    {RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, read_rule},
	    {ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid, read_constraint},
	    {StatisticExtRelationId, StatisticExtOidIndexId, Anum_pg_statistic_ext_oid,
	     read_statistics},
	    {AttrDefaultRelationId, AttrDefaultOidIndexId, Anum_pg_attrdef_oid, read_default},
	};

	for (int i = 0; i < lengthof(kinds); i++)
		if (kinds[i].class == class)
			return read_catalog(class, kinds[i].index, kinds[i].oid_column, id, kinds[i].read,
			                    part);
	if (class == RelationRelationId)
	{
		char kind = get_rel_relkind(id);

		*part = (Part){.computes = true};
		if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
			part->relid = IndexGetRelation(id, true);
		return OidIsValid(part->relid);
	}
	return false;
}

Oid
utility_table_of_part(Oid class, Oid id, bool *computes)
{
	Part part = {InvalidOid};

	if (!find_part(class, id, &part))
		return InvalidOid;
	if (computes != NULL)
		*computes = part.computes;
	return part.relid;
}

/* ---- made or altered ---- */

static void
note_table(Touched *object)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(object->id));

	if (!HeapTupleIsValid(tuple))
		return;
	object->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	object->namespace = ((Form_pg_class) GETSTRUCT(tuple))->relnamespace;
	object->file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
	ReleaseSysCache(tuple);
	if (object->sub <= 0)
		return;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(object->id), Int16GetDatum(object->sub));
	if (!HeapTupleIsValid(tuple))
		return;
	object->name = ((Form_pg_attribute) GETSTRUCT(tuple))->attname;
	object->type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
	ReleaseSysCache(tuple);
}

static void
note_touched(Oid class, Oid id, int sub, bool made)
{
	UtilityCommand *command = utility_current();
	MemoryContext old;
	Touched *object;

	if (command == NULL || command->authority == AUTHORITY_OURS)
		return;
	old = MemoryContextSwitchTo(command->context);
	object = palloc0(sizeof(Touched));
	object->class = class;
	object->id = id;
	object->sub = sub;
	object->made = made;
	if (class == RelationRelationId && !made)
	{
		note_table(object);
		object->use = sub > 0 ? use_of_column(id, sub) : COLUMN_FREE;
	}
	if ((class == PolicyRelationId || class == TriggerRelationId) && !made)
	{
		Part part = {InvalidOid};

		object->was_ours = find_part(class, id, &part) && part.is_ours;
	}
	command->objects = lappend(command->objects, object);
	MemoryContextSwitchTo(old);
}

static void
check_part(UtilityCommand *command, const Touched *object, const Part *part)
{
	const GuardedRelation *relation = policy_relation(part->relid);
	Oid loose;

	if (relation != NULL && relation->internal)
		utility_refuse_internal(get_rel_name(part->relid));
	if (!OidIsValid(utility_guarded_root(part->relid)) || part->by_core)
		return;
	if (part->is_ours || object->was_ours)
		utility_refuse_always(part->relid, "change the guard's policy or trigger on");
	if (command->authority == AUTHORITY_STEWARD)
		return;
	switch (object->class)
	{
		case TriggerRelationId:
			utility_refuse(part->relid, "make or change triggers of");
		case PolicyRelationId:
			utility_refuse(part->relid, "make or change row security policies of");
		case RewriteRelationId:
			utility_refuse(part->relid, "make or change rules of");
		default:
			break;
	}
	if (part->is_path && object->made && relation->table->relid == part->relid)
		utility_refuse(part->relid,
		               "add a foreign key to the column that leads to the subjects of");
	loose = part->computes && object->made ? utility_loose_function(object->class, object->id)
	                                       : InvalidOid;
	if (OidIsValid(loose))
		utility_refuse_function(loose);
}

static void
check_table(UtilityCommand *command, const Touched *object)
{
	Touched now = *object;

	note_table(&now);
	if (command->retypes && object->sub > 0 && now.file != object->file)
		hold_check_table(object->id, "rewrite a column of");
	if (object->use != COLUMN_FREE)
	{
		if (now.type != object->type)
			refuse_column(object->id, object->use, "retype");
		if (strcmp(NameStr(now.name), NameStr(object->name)) != 0)
			refuse_column(object->id, object->use, "rename");
	}
	else if (object->sub == 0 && now.owner != object->owner &&
	         command->authority == AUTHORITY_NONE && OidIsValid(utility_guarded_root(object->id)))
		utility_refuse(object->id, "give away");
}

/* Objects in one of our schemas, and the schemas themselves. */
static Oid
namespace_of(const Touched *object)
{
	ObjectAddress address = {object->class, object->id, 0};
	int cache;

	if (object->class == NamespaceRelationId)
		return object->id;
	if (!is_objectclass_supported(object->class) ||
	    get_object_attnum_namespace(object->class) == InvalidAttrNumber)
		return InvalidOid;
	cache = get_object_catcache_oid(object->class);
	if (cache < 0 || !SearchSysCacheExists1(cache, ObjectIdGetDatum(object->id)))
		return InvalidOid;
	return get_object_namespace(&address);
}

static void
read_published(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(Oid *) arg = ((Form_pg_publication_rel) GETSTRUCT(tuple))->prpubid;
}

static void
read_published_schema(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(Oid *) arg = ((Form_pg_publication_namespace) GETSTRUCT(tuple))->pnpubid;
}

static Oid
publication_of(const Touched *object)
{
	Oid publication = InvalidOid;

	if (object->class == PublicationRelationId)
		return object->id;
	if (object->class == PublicationRelRelationId)
		(void) read_catalog(PublicationRelRelationId, PublicationRelObjectIndexId,
		                    Anum_pg_publication_rel_oid, object->id, read_published, &publication);
	if (object->class == PublicationNamespaceRelationId)
		(void) read_catalog(PublicationNamespaceRelationId, PublicationNamespaceObjectIndexId,
		                    Anum_pg_publication_namespace_oid, object->id, read_published_schema,
		                    &publication);
	return publication;
}

/* By itself, by its schema, or by FOR ALL TABLES. */
static bool
is_published(Oid relid, Oid publication)
{
	return list_member_oid(GetRelationPublications(relid), publication) ||
	       list_member_oid(GetSchemaPublications(get_rel_namespace(relid)), publication) ||
	       list_member_oid(GetAllTablesPublications(), publication);
}

static void
check_publication(UtilityCommand *command, Oid publication)
{
	ListCell *cell;
	ListCell *member;

	if (command->authority == AUTHORITY_STEWARD)
		return;
	foreach (cell, policy_tables())
		foreach (member, find_all_inheritors(lfirst_oid(cell), NoLock, NULL))
			if (is_published(lfirst_oid(member), publication))
				utility_refuse(lfirst_oid(member), "publish");
}

static void
check_touched(UtilityCommand *command, const Touched *object)
{
	Oid publication = publication_of(object);
	Part part;

	if (utility_namespace_is_ours(namespace_of(object)))
		utility_refuse_internal(NULL);
	if (object->class == RelationRelationId && !object->made)
		check_table(command, object);
	else if (OidIsValid(publication))
		check_publication(command, publication);
	if (find_part(object->class, object->id, &part))
		check_part(command, object, &part);
	else if (object->class == ProcedureRelationId && command->authority == AUTHORITY_NONE &&
	         OidIsValid(utility_guarded_caller(object->id)))
		utility_refuse(utility_guarded_caller(object->id), "change a function that is called by");
}

void
utility_objects_check(UtilityCommand *command)
{
	ListCell *cell;

	if (command->authority == AUTHORITY_OURS || policy_state() != POLICY_IN_FORCE)
		return;
	foreach (cell, command->objects)
		check_touched(command, lfirst(cell));
}

/* ---- dropped ---- */

static void
drop_relation(UtilityCommand *command, Oid relid, int column)
{
	MemoryContext old;

	if (column != 0)
	{
		if (is_guard_column(relid, column))
			refuse_column(relid, use_of_column(relid, column), "drop");
		hold_check_table(relid, "drop a column of");
		return;
	}
	if (utility_namespace_is_ours(get_rel_namespace(relid)))
		utility_refuse_internal(get_rel_name(relid));
	if (policy_relation(relid) == NULL)
		return;
	if (command->authority == AUTHORITY_NONE)
		utility_refuse(relid, "drop");
	hold_check_table(relid, "drop");
	old = MemoryContextSwitchTo(command->context);
	command->dropped_tables = lappend_oid(command->dropped_tables, relid);
	MemoryContextSwitchTo(old);
}

/* A table takes its policies and triggers along, and they go first. */
static bool
names_part(const UtilityCommand *command)
{
	const DropStmt *statement = (const DropStmt *) command->planned->utilityStmt;

	return IsA(statement, DropStmt) &&
	       (statement->removeType == OBJECT_POLICY || statement->removeType == OBJECT_TRIGGER);
}

static void
drop_part(UtilityCommand *command, Oid class, Oid id)
{
	const GuardedRelation *relation;
	Part part;

	if (!find_part(class, id, &part))
		return;
	relation = policy_relation(part.relid);
	if (relation == NULL)
		return;
	if (relation->internal)
		utility_refuse_internal(get_rel_name(part.relid));
	if (relation->table == NULL || part.by_core)
		return;
	if (part.is_ours && names_part(command))
		utility_refuse_always(part.relid, "drop the guard's policy or trigger of");
	if (part.is_path)
		hold_check_table(part.relid, "drop the foreign key that leads to the data subjects of");
	if (command->authority == AUTHORITY_STEWARD)
		return;
	if (class == TriggerRelationId)
		utility_refuse(part.relid, part.is_ours ? "drop" : "drop triggers of");
	if (class == PolicyRelationId)
		utility_refuse(part.relid, part.is_ours ? "drop" : "drop row security policies of");
	if (part.is_path)
		utility_refuse(part.relid, "drop the foreign key that leads to the data subjects of");
}

static void
truncate_table(const UtilityCommand *command, Oid relid)
{
	const GuardedRelation *relation = policy_relation(relid);

	if (relation == NULL || command->authority == AUTHORITY_OURS)
		return;
	/* A parallel restore empties what it is about to load. */
	if (relation->internal && policy_state() != POLICY_PENDING)
		utility_refuse_internal(get_rel_name(relid));
	if (command->authority == AUTHORITY_NONE && !exempt_glass_is_broken())
		utility_refuse(relid, "truncate");
	hold_check_table(relid, "truncate");
	relation = policy_guarded(relid);
	if (relation != NULL)
		trail_event(&(TrailEvent){.kind = RECORD_ACCESS,
		                          .operation = "Erase",
		                          .relation = relid,
		                          .reason = "truncate",
		                          .purpose = guc_purpose});
}

static void
drop_role(UtilityCommand *command, Oid role)
{
	MemoryContext old = MemoryContextSwitchTo(command->context);

	command->dropped_roles = lappend_oid(command->dropped_roles, role);
	MemoryContextSwitchTo(old);
}

static bool
drops_extension(const UtilityCommand *command)
{
	const DropStmt *statement = (const DropStmt *) command->planned->utilityStmt;

	return command->authority == AUTHORITY_STEWARD && IsA(statement, DropStmt) &&
	       statement->removeType == OBJECT_EXTENSION;
}

static void
drop(UtilityCommand *command, Oid class, Oid id, int sub)
{
	Touched object = {.class = class, .id = id};

	/* In its middle the rules cannot be read any more. */
	if (command->authority == AUTHORITY_OURS || drops_extension(command))
		return;
	if (class == AuthIdRelationId)
		drop_role(command, id);
	else if (class == ExtensionRelationId && id == get_extension_oid("privacy_guard", true))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("only a data steward may drop extension \"privacy_guard\" while "
		                       "tables are guarded"),
		                errhint("Let a data steward unprotect() them first."),
		                errdenial(InvalidOid, "steward_only")));
	else if (class == RelationRelationId)
		drop_relation(command, id, sub);
	else
	{
		if (utility_namespace_is_ours(namespace_of(&object)))
			utility_refuse_internal(NULL);
		drop_part(command, class, id);
	}
}

/* ---- the hook ---- */

static void
accessed(ObjectAccessType access, Oid class, Oid id, int sub, void *arg)
{
	UtilityCommand *command = utility_current();

	if (prev_access_hook)
		prev_access_hook(access, class, id, sub, arg);
	if (access == OAT_FUNCTION_EXECUTE)
		utility_function_execute(id);
	if (command == NULL || !IsTransactionState())
		return;
	switch (access)
	{
		case OAT_POST_CREATE:
			note_touched(class, id, sub, true);
			break;
		case OAT_POST_ALTER:
			note_touched(class, id, sub, false);
			break;
		case OAT_DROP:
			drop(command, class, id, sub);
			break;
		case OAT_TRUNCATE:
			truncate_table(command, id);
			break;
		default:
			break;
	}
}

void
utility_objects_init(void)
{
	prev_access_hook = object_access_hook;
	object_access_hook = accessed;
}
