/*
 * foreign_key.c
 *		Where a foreign key of one column leads.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "utils/fmgroids.h"

#include "policy/foreign_key.h"

bool
foreign_key_find(Oid relid, AttrNumber column, ForeignKey *key)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid found = InvalidOid;

	ScanKeyInit(&scankey, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(relid));
	scan =
	    systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true, NULL, 1, &scankey);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		AttrNumber conkey[INDEX_MAX_KEYS];
		AttrNumber confkey[INDEX_MAX_KEYS];
		Oid op[INDEX_MAX_KEYS];
		int n;

		if (form->contype != CONSTRAINT_FOREIGN || !form->convalidated)
			continue;
		DeconstructFkConstraintRow(tuple, &n, conkey, confkey, op, op, op, NULL, NULL);
		if (n != 1 || conkey[0] != column || (OidIsValid(found) && found < form->oid))
			continue;
		key->referenced = form->confrelid;
		key->column = confkey[0];
		key->index = form->conindid;
		found = form->oid;
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return OidIsValid(found);
}
