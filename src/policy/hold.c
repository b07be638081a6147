/*
 * hold.c
 *		Legal holds: which rows may not be erased.
 *
 * The set of holds is a part of the policy's generation.  A hold on a data subject in a table that
 * reaches its subjects through foreign keys binds this subject's rows on the way as well: without
 * them nobody could tell any more whose the row is.
 *
 * The lock of a table's holds is a heavyweight lock on an object: of class privacy_guard.hold, with
 * the guarded table's oid.  RowExclusiveLock is for those who erase, ShareLock for those who hold.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "policy/catalog.h"
#include "policy/foreign_key.h"
#include "policy/hold.h"
#include "policy/subject_key.h"
#include "policy/verb.h"

typedef struct HeldTable
{
	Oid relid;
	bool whole;
} HeldTable;

typedef struct HeldSubject
{
	int32 category;
	Oid relid; /* InvalidOid: wherever it is */
	SubjectKey key;
} HeldSubject;

/* A column by which a guarded table reaches its data subjects, at the table that it references. */
typedef struct KeyColumn
{
	Oid relid;
	NameData name;
} KeyColumn;

struct HoldSet
{
	bool any;
	Bitmapset *categories; /* with subjects that are held wherever they are */
	Bitmapset *lost; /* those of held subjects that are no longer on record: all rows are held */
	HTAB *tables;    /* HeldTable: those that a hold names, and those on the way */
	HTAB *subjects;  /* HeldSubject */
	List *keys;      /* KeyColumn */
};

/* A row of privacy_guard.hold. */
typedef struct HoldRow
{
	Oid relid;
	int64 subject; /* 0: none */
	int32 category;
} HoldRow;

PG_FUNCTION_INFO_V1(hold_lock_tables);

/* ---- the way to the subject ---- */

/* The table that the table reaches its data subjects through; false where it knows them itself. */
static bool
next_on_way(const GuardedTable *table, ForeignKey *key)
{
	return table->n_subjects == 0 &&
	       foreign_key_find(table->relid, get_attnum(table->relid, NameStr(table->via)), key);
}

/* The table and those on the way from it to the data subject. */
static List *
tables_on_way(HTAB *tables, Oid relid)
{
	List *way = NIL;
	const GuardedTable *table;
	ForeignKey key = {.referenced = relid};

	do
	{
		table = hash_search(tables, &key.referenced, HASH_FIND, NULL);
		if (table == NULL || list_member_oid(way, table->relid))
			break;
		way = lappend_oid(way, table->relid);
	} while (next_on_way(table, &key));
	return way;
}

static List *
read_keys(HTAB *tables)
{
	List *keys = NIL;
	HASH_SEQ_STATUS seq;
	const GuardedTable *table;
	ForeignKey key;

	hash_seq_init(&seq, tables);
	while ((table = hash_seq_search(&seq)) != NULL)
		if (next_on_way(table, &key))
		{
			KeyColumn *column = palloc0(sizeof(KeyColumn));

			column->relid = key.referenced;
			namestrcpy(&column->name, get_attname(key.referenced, key.column, false));
			keys = lappend(keys, column);
		}
	return keys;
}

/* ---- reading ---- */

static void
read_hold(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List **rows = arg;
	HoldRow *row = palloc0(sizeof(HoldRow));
	bool isnull;
	Datum value;

	value = catalog_column(tuple, desc, HOLD_SUBJECT, &isnull);
	if (!isnull)
		row->subject = DatumGetInt64(value);
	row->category = catalog_int4(tuple, desc, HOLD_CATEGORY);
	value = catalog_column(tuple, desc, HOLD_RELATION, &isnull);
	if (!isnull)
		row->relid = DatumGetObjectId(value);
	*rows = lappend(*rows, row);
}

static void
read_subject(HeapTuple tuple, TupleDesc desc, void *arg)
{
	HeldSubject *subject = arg;
	bool isnull;
	Datum number = catalog_column(tuple, desc, STATE_KEY_INT, &isnull);
	char *text;

	subject->category = catalog_int4(tuple, desc, STATE_CATEGORY);
	if (!isnull)
	{
		subject->key = (SubjectKey){{(uint64) DatumGetInt64(number), 0}};
		return;
	}
	text = catalog_text(tuple, desc, STATE_KEY);
	if (policy_category_kind(subject->category) == KEY_UUID)
		subject->key = subject_key_uuid(
		    DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)))->data);
	else
		subject->key = subject_key_text(text, strlen(text));
}

static void
note_table(HoldSet *set, Oid relid, bool whole)
{
	bool found;
	HeldTable *table = hash_search(set->tables, &relid, HASH_ENTER, &found);

	table->whole = whole || (found && table->whole);
}

static void
note_subject(HoldSet *set, HTAB *tables, const HoldRow *row)
{
	HeldSubject subject;
	ScanKeyData key;
	ListCell *cell;

	memset(&subject, 0, sizeof(subject));
	ScanKeyInit(&key, STATE_SUBJECT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(row->subject));
	catalog_scan(CATALOG_SUBJECT_STATE_NUMBER, &key, 1, read_subject, &subject);
	if (subject.category == 0) /* nobody knows any more whom it means */
		set->lost = bms_add_member(set->lost, row->category);
	if (!OidIsValid(row->relid))
	{
		set->categories = bms_add_member(set->categories, row->category);
		(void) hash_search(set->subjects, &subject, HASH_ENTER, NULL);
		return;
	}
	foreach (cell, tables_on_way(tables, row->relid))
	{
		subject.relid = lfirst_oid(cell);
		note_table(set, subject.relid, false);
		(void) hash_search(set->subjects, &subject, HASH_ENTER, NULL);
	}
}

static HTAB *
make_hash(const char *name, Size key, Size entry)
{
	HASHCTL info = {.keysize = key, .entrysize = entry, .hcxt = CurrentMemoryContext};

	return hash_create(name, 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
fill(HoldSet *set, HTAB *tables)
{
	List *rows = NIL;
	ListCell *cell;

	set->tables = make_hash("held tables", sizeof(Oid), sizeof(HeldTable));
	set->subjects = make_hash("held subjects", sizeof(HeldSubject), sizeof(HeldSubject));
	set->keys = read_keys(tables);
	catalog_scan(CATALOG_HOLD, NULL, 0, read_hold, &rows);
	set->any = rows != NIL;
	foreach (cell, rows)
	{
		const HoldRow *row = lfirst(cell);

		if (row->subject != 0)
			note_subject(set, tables, row);
		else
			note_table(set, row->relid, true);
	}
	list_free_deep(rows);
}

HoldSet *
hold_read(HTAB *tables, MemoryContext parent)
{
	MemoryContext context =
	    AllocSetContextCreate(CurrentMemoryContext, "privacy_guard holds", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HoldSet *set = palloc0(sizeof(HoldSet));

	fill(set, tables);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, parent);
	return set;
}

/* ---- asking ---- */

bool
hold_exists(void)
{
	return policy_holds()->any;
}

bool
hold_any(const GuardedTable *table)
{
	const HoldSet *set = policy_holds();

	return set->any && (bms_is_member(table->category, set->categories) ||
	                    bms_is_member(table->category, set->lost) ||
	                    hash_search(set->tables, &table->relid, HASH_FIND, NULL) != NULL);
}

bool
hold_on_table(const GuardedTable *table)
{
	const HoldSet *set = policy_holds();
	const HeldTable *held = hash_search(set->tables, &table->relid, HASH_FIND, NULL);

	return (held != NULL && held->whole) || bms_is_member(table->category, set->lost);
}

bool
hold_binds(const GuardedTable *table, int32 category, Oid key_type, Datum key)
{
	HeldSubject subject;

	if (!hold_any(table))
		return false;
	if (hold_on_table(table))
		return true;
	memset(&subject, 0, sizeof(subject));
	subject.category = category;
	subject.key = subject_key_of(key_type, key);
	if (hash_search(policy_holds()->subjects, &subject, HASH_FIND, NULL) != NULL)
		return true;
	subject.relid = table->relid;
	return hash_search(policy_holds()->subjects, &subject, HASH_FIND, NULL) != NULL;
}

List *
hold_key_columns(const GuardedRelation *relation)
{
	Oid relid = relation->relid;
	Oid root = relation->table->relid;
	List *columns = NIL;
	ListCell *cell;

	foreach (cell, policy_holds()->keys)
	{
		const KeyColumn *key = lfirst(cell);

		if (key->relid == root)
			columns = list_append_unique_int(columns, get_attnum(relid, NameStr(key->name)));
	}
	return columns;
}

/* ---- locks ---- */

void
hold_lock(Oid guarded_relid)
{
	LockDatabaseObject(catalog_relid(CATALOG_HOLD), guarded_relid, 0, RowExclusiveLock);
}

/*
 * privacy_guard_internal.hold_lock_tables(category, relation): waits for the erasures under way of
 * rows that a hold about to be placed could bind, and keeps others waiting.  Of a data subject: in
 * all tables of the category; category NULL: in the relation.  In the order of their oids, so that
 * two stewards do not wait for each other.
 */
Datum
hold_lock_tables(PG_FUNCTION_ARGS)
{
	List *relids = NIL;
	ListCell *cell;

	(void) verb_invoker(); /* only from within a verb */
	AcceptInvalidationMessages();
	foreach (cell, policy_tables())
	{
		const GuardedRelation *relation = policy_guarded(lfirst_oid(cell));

		if (relation != NULL && (PG_ARGISNULL(0) ? relation->relid == PG_GETARG_OID(1)
		                                         : relation->table->category == PG_GETARG_INT32(0)))
			relids = lappend_oid(relids, relation->relid);
	}
	foreach (cell, relids)
		LockDatabaseObject(catalog_relid(CATALOG_HOLD), lfirst_oid(cell), 0, ShareLock);
	PG_RETURN_VOID();
}
