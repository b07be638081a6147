/*
 * catalog.c
 *		Reading the extension's own tables.
 *
 * The scans go through systable_beginscan() with no snapshot given: for a table that is not a
 * system catalog that means a snapshot taken at this moment, whatever the transaction's own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_enum.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "policy/catalog.h"

typedef struct CatalogName
{
	const char *table;
	const char *index; /* NULL: read whole */
} CatalogName;

static const CatalogName names[CATALOG_TABLES] = {
    [CATALOG_PURPOSE] = {"purpose", "purpose_path_key"},
    [CATALOG_PURPOSE_GRANT] = {"purpose_grant", "purpose_grant_pkey"},
    [CATALOG_SUBJECT_CATEGORY] = {"subject_category", "subject_category_pkey"},
    [CATALOG_GUARDED_TABLE] = {"guarded_table", "guarded_table_pkey"},
    [CATALOG_GUARDED_CHILD] = {"guarded_child", "guarded_child_pkey"},
    [CATALOG_TABLE_MODE] = {"table_mode", "table_mode_pkey"},
    [CATALOG_RULE] = {"rule", "rule_key"},
    [CATALOG_RETENTION] = {"retention", "retention_key"},
    [CATALOG_HOLD] = {"hold", NULL},
    [CATALOG_SUPPRESSION] = {"suppression", "suppression_pkey"},
    [CATALOG_SUPPRESSED] = {"suppressed_subject", "suppressed_subject_key"},
    [CATALOG_SUBJECT_STATE] = {"subject_state", "subject_state_key"},
    [CATALOG_SUBJECT_STATE_INT] = {"subject_state", "subject_state_key_int"},
    [CATALOG_SUBJECT_STATE_NUMBER] = {"subject_state", "subject_state_pkey"},
    [CATALOG_SUBJECT_BASIS] = {"subject_basis", "subject_basis_pkey"},
    [CATALOG_EXEMPT_ROLE] = {"exempt_role", "exempt_role_pkey"},
    [CATALOG_IDENTITY] = {"identity", NULL},
};

typedef struct CatalogOids
{
	Oid table;
	Oid index;
} CatalogOids;

static CatalogOids oids[CATALOG_TABLES];

bool
catalog_locate(Oid schema)
{
	for (int i = 0; i < CATALOG_TABLES; i++)
	{
		oids[i].table = get_relname_relid(names[i].table, schema);
		oids[i].index = names[i].index ? get_relname_relid(names[i].index, schema) : InvalidOid;
		if (!OidIsValid(oids[i].table) || (names[i].index && !OidIsValid(oids[i].index)))
			return false;
	}
	return true;
}

Oid
catalog_relid(CatalogTable table)
{
	return oids[table].table;
}

void
catalog_scan(CatalogTable table, ScanKey keys, int n_keys, CatalogRow row, void *arg)
{
	Relation rel = table_open(oids[table].table, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, oids[table].index, OidIsValid(oids[table].index),
	                                      NULL, n_keys, keys);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		row(tuple, RelationGetDescr(rel), arg);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

Datum
catalog_column(HeapTuple tuple, TupleDesc desc, int column, bool *isnull)
{
	return heap_getattr(tuple, column, desc, isnull);
}

bool
catalog_bool(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = heap_getattr(tuple, column, desc, &isnull);

	return !isnull && DatumGetBool(value);
}

int32
catalog_int4(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = heap_getattr(tuple, column, desc, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

char *
catalog_text(HeapTuple tuple, TupleDesc desc, int column)
{
	bool isnull;
	Datum value = heap_getattr(tuple, column, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

int
catalog_enum_position(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	int position;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum label %u", label);
	/* CREATE TYPE numbers the labels 1, 2, 3, ... */
	position = (int) ((Form_pg_enum) GETSTRUCT(tuple))->enumsortorder - 1;
	ReleaseSysCache(tuple);
	return position;
}
