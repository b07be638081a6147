/*
 * via.c
 *		The data subjects of a row that knows them only through a foreign key.
 *
 * A path is resolved once per execution from pg_constraint: from each table to the one that its
 * single-column foreign key references, until a table with subject columns of its own is reached.
 * Rows are found by the referenced table's unique index.  A parent is remembered until
 * another takes its place, so that memory does not grow with the scan.
 *
 * Under a statement's snapshot tables, indexes and scans stay open from one row to the next, as
 * those of a plan do: they belong to the resource owner under which the execution runs, via_close()
 * gives them back when it is over, and after an error the owner does.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "consent/subject.h"
#include "enforce/via.h"
#include "policy/foreign_key.h"

#define MAX_STEPS 8
#define REMEMBERED 8192
#define MAX_COPIES 32768

/* Where the row of a step may be. */
typedef struct ViaSource
{
	Oid relid;
	Oid index;
	const GuardedRelation *relation; /* columns to go on with: a partition's may be elsewhere */
	Relation rel;                    /* NULL while nothing is open */
	Relation irel;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} ViaSource;

/* One foreign key: find the row of a table by its key, and take columns of it. */
typedef struct ViaStep
{
	Oid relid;
	Oid key_type;    /* of the referencing column */
	ScanKeyData key; /* its argument is set for each row */
	const GuardedRelation *relation;
	int n_sources; /* the table itself, or its leaf partitions */
	struct ViaSource *source;
} ViaStep;

typedef struct Remembered
{
	bool used;
	SubjectKey key;
	ViaRow row;
} Remembered;

struct ViaCache
{
	MemoryContext context; /* of copied columns; reset after MAX_COPIES rows */
	MemoryContext scans;   /* of what is open */
	int copies;
	Remembered *remembered; /* REMEMBERED of them, each in the place that its key says */
	int n_steps;
	ViaStep step[MAX_STEPS];
	ViaRow present; /* the last row read without a snapshot */
};

/* ---- the path ---- */

static void
add_source(ViaStep *step, Oid relid, Oid index)
{
	ViaSource *source = &step->source[step->n_sources++];

	source->relid = relid;
	source->index = index;
	source->relation = policy_relation(relid);
	if (source->relation == NULL)
		source->relation = step->relation;
}

static void
add_leaves(ViaStep *step, Oid index)
{
	List *members = find_all_inheritors(step->relid, AccessShareLock, NULL);
	ListCell *cell;

	step->source = palloc0(list_length(members) * sizeof(ViaSource));
	foreach (cell, members)
	{
		Relation leaf;
		Oid leaf_index;

		if (get_rel_relkind(lfirst_oid(cell)) != RELKIND_RELATION)
			continue;
		leaf = table_open(lfirst_oid(cell), NoLock);
		leaf_index = index_get_partition(leaf, index);
		table_close(leaf, NoLock);
		if (OidIsValid(leaf_index))
			add_source(step, lfirst_oid(cell), leaf_index);
	}
}

static void
make_step(ViaStep *step, const ForeignKey *key, Oid key_type)
{
	Relation index = index_open(key->index, AccessShareLock);
	Oid family = index->rd_opfamily[0];
	Oid indexed = index->rd_opcintype[0];
	Oid compared = key_type;
	Oid op;

	step->relid = key->referenced;
	step->key_type = key_type;
	op = get_opfamily_member(family, indexed, compared, BTEqualStrategyNumber);
	if (!OidIsValid(op)) /* as varchar to text: the same bytes */
	{
		compared = indexed;
		op = get_opfamily_member(family, indexed, compared, BTEqualStrategyNumber);
	}
	ScanKeyEntryInitialize(&step->key, 0, 1, BTEqualStrategyNumber, compared,
	                       index->rd_indcollation[0], get_opcode(op), (Datum) 0);
	index_close(index, AccessShareLock);
	step->relation = policy_guarded(step->relid);
	if (step->relation == NULL)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("table \"%s\" is not guarded, but the data subject is reached through it",
		                get_rel_name(step->relid)),
		         errhint("Let a data steward protect() it.")));
	if (get_rel_relkind(step->relid) == RELKIND_PARTITIONED_TABLE)
	{
		add_leaves(step, key->index);
		return;
	}
	step->source = palloc0(sizeof(ViaSource));
	add_source(step, step->relid, key->index);
}

ViaCache *
via_create(const GuardedTable *table, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ViaCache *cache = palloc0(sizeof(ViaCache));
	const GuardedRelation *relation = policy_relation(table->relid);

	cache->context = AllocSetContextCreate(context, "privacy_guard via", ALLOCSET_DEFAULT_SIZES);
	cache->scans = AllocSetContextCreate(context, "privacy_guard via scans", ALLOCSET_SMALL_SIZES);
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
		if (!foreign_key_find(relation->relid, relation->arg[0], &key))
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
open_source(ViaSource *source, Snapshot snapshot)
{
	source->rel = table_open(source->relid, AccessShareLock);
	source->irel = index_open(source->index, AccessShareLock);
	source->slot = table_slot_create(source->rel, NULL);
	source->scan = COMPAT_INDEX_BEGINSCAN(source->rel, source->irel, snapshot, 1);
}

static void
close_source(ViaSource *source)
{
	index_endscan(source->scan);
	ExecDropSingleTupleTableSlot(source->slot);
	index_close(source->irel, NoLock);
	table_close(source->rel, NoLock);
	source->rel = NULL;
}

void
via_close(ViaCache *cache)
{
	for (int i = 0; i < cache->n_steps; i++)
		for (int j = 0; j < cache->step[i].n_sources; j++)
			if (cache->step[i].source[j].rel != NULL)
				close_source(&cache->step[i].source[j]);
	MemoryContextReset(cache->scans);
}

static void
copy_columns(const ViaSource *source, MemoryContext context, ViaRow *row)
{
	TupleDesc desc = RelationGetDescr(source->rel);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (int i = 0; i < source->relation->n_args; i++)
	{
		AttrNumber column = source->relation->arg[i];
		Form_pg_attribute attr = TupleDescAttr(desc, column - 1);

		row->value[i] = slot_getattr(source->slot, column, &row->null[i]);
		if (!row->null[i])
			row->value[i] = datumCopy(row->value[i], attr->attbyval, attr->attlen);
	}
	row->found = true;
	MemoryContextSwitchTo(old);
}

/* Runs in the memory context of the scans, where an index keeps what it needs for the next call. */
static void
read_source(ViaSource *source, ScanKey key, Snapshot snapshot, MemoryContext context, ViaRow *row)
{
	if (source->rel != NULL && source->scan->xs_snapshot != snapshot)
		close_source(source);
	if (source->rel == NULL)
		open_source(source, snapshot);
	index_rescan(source->scan, key, 1, NULL, 0);
	if (index_getnext_slot(source->scan, ForwardScanDirection, source->slot))
		copy_columns(source, context, row);
	ExecClearTuple(source->slot);
}

/* What is found is copied into the context. */
static void
walk(ViaCache *cache, Datum value, Snapshot snapshot, MemoryContext context, ViaRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(cache->scans);

	for (int i = 0; i < cache->n_steps; i++)
	{
		ViaStep *step = &cache->step[i];

		row->found = false;
		step->key.sk_argument = value;
		for (int j = 0; j < step->n_sources && !row->found; j++)
			read_source(&step->source[j], &step->key, snapshot, context, row);
		if (row->found && i + 1 < cache->n_steps && row->null[0])
			row->found = false;
		if (!row->found)
			break;
		value = row->value[0];
	}
	MemoryContextSwitchTo(old);
}

/* The present, and nothing stays open. */
static void
walk_now(ViaCache *cache, Datum value, ViaRow *row)
{
	Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(cache->step[0].relid));

	via_close(cache);
	walk(cache, value, snapshot, CurrentMemoryContext, row);
	via_close(cache);
	UnregisterSnapshot(snapshot);
}

static void
forget_rows(ViaCache *cache)
{
	MemoryContextReset(cache->context);
	cache->copies = 0;
	memset(cache->remembered, 0, REMEMBERED * sizeof(Remembered));
}

static Remembered *
place_of(ViaCache *cache, SubjectKey key)
{
	uint64 h = (key.word[0] ^ key.word[1]) * UINT64CONST(0x9e3779b97f4a7c15);

	return &cache->remembered[(h >> 32) % REMEMBERED];
}

const ViaRow *
via_follow(ViaCache *cache, Datum value, Snapshot snapshot)
{
	SubjectKey key;
	Remembered *entry;

	if (snapshot == NULL)
	{
		walk_now(cache, value, &cache->present);
		return &cache->present;
	}
	if (cache->remembered == NULL)
		cache->remembered =
		    MemoryContextAllocZero(GetMemoryChunkContext(cache), REMEMBERED * sizeof(Remembered));
	key = subject_key_of(cache->step[0].key_type, value);
	entry = place_of(cache, key);
	if (entry->used && memcmp(&entry->key, &key, sizeof(key)) == 0)
		return &entry->row;

	if (cache->copies++ >= MAX_COPIES)
		forget_rows(cache);
	entry->used = false; /* until the row has been read */
	walk(cache, value, snapshot, cache->context, &entry->row);
	entry->key = key;
	entry->used = true;
	return &entry->row;
}
