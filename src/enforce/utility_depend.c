/*
 * utility_depend.c
 *		Code that guarded tables run without a command that names it.
 *
 * A function that an index or a trigger calls can be replaced later, and then sees every row that
 * ANALYZE, REINDEX or another role's UPDATE hands to it.  pg_depend knows who calls what.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "utils/fmgroids.h"

#include "enforce/utility_depend.h"
#include "enforce/utility_function.h"
#include "enforce/utility_objects.h"

/* What is asked of each object that depends on another; a valid oid ends the search. */
typedef Oid (*AskDependent)(Oid class, Oid object);

static Oid
ask_dependents(Oid class, Oid object, AskDependent ask)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid found = InvalidOid;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(class));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, key);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		found = ask(form->classid, form->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static Oid
guarded_table_of(Oid class, Oid object)
{
	Oid relid = utility_table_of_part(class, object, NULL);

	return OidIsValid(relid) ? utility_guarded_root(relid) : InvalidOid;
}

Oid
utility_guarded_caller(Oid function)
{
	return ask_dependents(ProcedureRelationId, function, guarded_table_of);
}

static Oid
loose_function_of_part(Oid class, Oid object)
{
	bool computes = false;

	return OidIsValid(utility_table_of_part(class, object, &computes)) && computes
	           ? utility_loose_function(class, object)
	           : InvalidOid;
}

Oid
utility_loose_function_of_table(Oid relid)
{
	return ask_dependents(RelationRelationId, relid, loose_function_of_part);
}
