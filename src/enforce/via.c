/*
 * via.c
 *		The data subjects of a row that knows them only through a foreign key.
 *
 * A path is resolved once per execution from pg_constraint: from each table to the one that its
 * single-column foreign key references, until a table with subject columns of its own is reached.
 * Rows are found by the referenced table's unique index.  At most MAX_REMEMBERED parents are
 * remembered, so that memory does not grow with the scan.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "consent/subject.h"
#include "enforce/via.h"

#define MAX_STEPS 8
#define MAX_REMEMBERED 32768

/* One foreign key: find the row of a table by its key, and take columns of it. */
typedef struct ViaStep
{
	Oid relid;
	List *leaves;       /* of a partitioned table, else NIL */
	Oid index;          /* of the table, perhaps partitioned */
	Oid key_type;       /* of the referencing column */
	RegProcedure equal; /* key_type = the indexed type */
	Oid collation;
	const GuardedRelation *relation; /* columns to go on with */
} ViaStep;

typedef struct Remembered
{
	SubjectKey key;
	ViaRow row;
} Remembered;

struct ViaCache
{
	MemoryContext context; /* of the rows remembered; reset when there are too many */
	HTAB *rows;
	int n_steps;
	ViaStep step[MAX_STEPS];
	ViaRow present; /* the last row read without a snapshot */
};

/* ---- the path ---- */

typedef struct ForeignKey
{
	Oid referenced;
	Oid index;
} ForeignKey;

static bool
find_foreign_key(Oid relid, AttrNumber column, ForeignKey *key)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&scankey, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(relid));
	scan =
	    systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true, NULL, 1, &scankey);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		AttrNumber conkey[INDEX_MAX_KEYS];
		AttrNumber confkey[INDEX_MAX_KEYS];
		Oid op[INDEX_MAX_KEYS];
		int n;

		if (form->contype != CONSTRAINT_FOREIGN || !form->convalidated)
			continue;
		DeconstructFkConstraintRow(tuple, &n, conkey, confkey, op, op, op, NULL, NULL);
		if (n != 1 || conkey[0] != column)
			continue;
		key->referenced = form->confrelid;
		key->index = form->conindid;
		found = true;
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return found;
}

static void
make_step(ViaStep *step, const ForeignKey *key, Oid key_type)
{
	Relation index = index_open(key->index, AccessShareLock);
	Oid family = index->rd_opfamily[0];
	Oid indexed = index->rd_opcintype[0];
	Oid op;

	step->relid = key->referenced;
	step->index = key->index;
	step->key_type = key_type;
	step->collation = index->rd_indcollation[0];
	op = get_opfamily_member(family, indexed, key_type, BTEqualStrategyNumber);
	if (!OidIsValid(op)) /* as varchar to text: the same bytes */
		op = get_opfamily_member(family, indexed, indexed, BTEqualStrategyNumber);
	step->equal = get_opcode(op);
	index_close(index, AccessShareLock);
	if (get_rel_relkind(step->relid) == RELKIND_PARTITIONED_TABLE)
		step->leaves = find_all_inheritors(step->relid, AccessShareLock, NULL);
	step->relation = policy_relation(step->relid);
	if (step->relation == NULL || step->relation->table == NULL)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("table \"%s\" is not guarded, but the data subject is reached through it",
		                get_rel_name(step->relid)),
		         errhint("Let a data steward protect() it.")));
}

ViaCache *
via_create(const GuardedTable *table, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ViaCache *cache = palloc0(sizeof(ViaCache));
	const GuardedRelation *relation = policy_relation(table->relid);

	cache->context = AllocSetContextCreate(context, "privacy_guard via", ALLOCSET_DEFAULT_SIZES);
	while (relation->table->n_subjects == 0)
	{
		ForeignKey key;

		if (cache->n_steps == MAX_STEPS)
			ereport(
			    ERROR,
			    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			     errmsg(
			         "the way from guarded table \"%s\" to its data subject has more than %d steps",
			         get_rel_name(table->relid), MAX_STEPS),
			     errhint("Protect a table on the way by its own subject column.")));
		if (!find_foreign_key(relation->relid, relation->arg[0], &key))
			ereport(ERROR,
			        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			         errmsg("guarded table \"%s\" has lost the foreign key to its data subject",
			                get_rel_name(relation->relid)),
			         errhint("Add and validate the foreign key again.")));
		make_step(&cache->step[cache->n_steps], &key,
		          get_atttype(relation->relid, relation->arg[0]));
		relation = cache->step[cache->n_steps].relation;
		cache->n_steps++;
	}
	MemoryContextSwitchTo(old);
	return cache;
}

const GuardedRelation *
via_target(const ViaCache *cache)
{
	return cache->step[cache->n_steps - 1].relation;
}

/* ---- rows ---- */

static void
copy_columns(Relation rel, HeapTuple tuple, const GuardedRelation *relation, ViaRow *row)
{
	const GuardedRelation *here = policy_relation(RelationGetRelid(rel));
	TupleDesc desc = RelationGetDescr(rel);

	/* A partition has the same columns, perhaps elsewhere. */
	if (here == NULL)
		here = relation;
	for (int i = 0; i < here->n_args; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, here->arg[i] - 1);

		row->value[i] = heap_getattr(tuple, here->arg[i], desc, &row->null[i]);
		if (!row->null[i])
			row->value[i] = datumCopy(row->value[i], attr->attbyval, attr->attlen);
	}
	row->found = true;
}

static void
read_from(Oid relid, Oid index, const ViaStep *step, Datum value, Snapshot snapshot, ViaRow *row)
{
	Relation rel = table_open(relid, AccessShareLock);
	ScanKeyData key;
	AttrNumber column;
	Relation irel = index_open(index, AccessShareLock);
	SysScanDesc scan;
	HeapTuple tuple;

	column = irel->rd_index->indkey.values[0];
	index_close(irel, NoLock);
	ScanKeyEntryInitialize(&key, 0, column, BTEqualStrategyNumber, step->key_type, step->collation,
	                       step->equal, value);
	scan = systable_beginscan(rel, index, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		copy_columns(rel, tuple, step->relation, row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_step(const ViaStep *step, Datum value, Snapshot snapshot, ViaRow *row)
{
	ListCell *cell;

	row->found = false;
	if (step->leaves == NIL)
	{
		read_from(step->relid, step->index, step, value, snapshot, row);
		return;
	}
	foreach (cell, step->leaves)
	{
		Relation leaf;
		Oid index;

		if (row->found || get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		leaf = table_open(lfirst_oid(cell), AccessShareLock);
		index = index_get_partition(leaf, step->index);
		table_close(leaf, NoLock);
		if (OidIsValid(index))
			read_from(lfirst_oid(cell), index, step, value, snapshot, row);
	}
}

static void
walk(ViaCache *cache, Datum value, Snapshot snapshot, ViaRow *row)
{
	for (int i = 0; i < cache->n_steps; i++)
	{
		read_step(&cache->step[i], value, snapshot, row);
		if (!row->found || (i + 1 < cache->n_steps && row->null[0]))
		{
			row->found = false;
			return;
		}
		value = row->value[0];
	}
}

static SubjectKey
remember_key(Oid type, Datum value)
{
	switch (type)
	{
		case INT8OID:
			return (SubjectKey){{(uint64) DatumGetInt64(value), 0}};
		case INT4OID:
			return (SubjectKey){{(uint64) (int64) DatumGetInt32(value), 0}};
		case INT2OID:
			return (SubjectKey){{(uint64) (int64) DatumGetInt16(value), 0}};
		case UUIDOID:
			return subject_key_uuid((const unsigned char *) DatumGetPointer(value));
		default:
		{
			struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

			return subject_key_text(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
		}
	}
}

static void
forget_rows(ViaCache *cache)
{
	HASHCTL info = {
	    .keysize = sizeof(SubjectKey), .entrysize = sizeof(Remembered), .hcxt = cache->context};

	MemoryContextReset(cache->context);
	cache->rows =
	    hash_create("privacy_guard parents", 256, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const ViaRow *
via_follow(ViaCache *cache, Datum value, Snapshot snapshot)
{
	SubjectKey key;
	Remembered *entry;
	MemoryContext old;
	ViaRow row = {.found = false};

	if (snapshot == NULL)
	{
		walk(cache, value, NULL, &row);
		cache->present = row;
		return &cache->present;
	}
	if (cache->rows == NULL || hash_get_num_entries(cache->rows) >= MAX_REMEMBERED)
		forget_rows(cache);
	key = remember_key(cache->step[0].key_type, value);
	entry = hash_search(cache->rows, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return &entry->row;

	old = MemoryContextSwitchTo(cache->context);
	walk(cache, value, snapshot, &row);
	MemoryContextSwitchTo(old);
	entry = hash_search(cache->rows, &key, HASH_ENTER, NULL);
	entry->row = row;
	return &entry->row;
}
