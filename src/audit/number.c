/*
 * number.c
 *		From the keys of data subjects to the numbers that stand for them in records.
 *
 * The log must not wait for somebody's transaction.  So keys are looked up with a dirty snapshot,
 * which also sees what is not committed yet: a key that another session has just inserted gets the
 * number of that row, and an alias says so for the case that it never commits.  Only keys that
 * nobody holds are inserted, in subtransactions and with a short lock_timeout, for the moment in
 * between; what fails is looked up again.
 *
 * An erased subject keeps the number that he had, and his key does not come back into the tables.
 *
 * A key that cannot be on record (too long, or its category is gone) gets a number that leads
 * nowhere: how many subjects were seen is true all the same.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "audit/key_block.h"
#include "audit/number.h"
#include "audit/ring.h"
#include "audit/store.h"
#include "compat.h"
#include "policy/suppression.h"

/* As privacy_guard_internal.canonical_key() has it. */
#define MAX_KEY_LENGTH 1024

/* So many new subjects are inserted by one statement. */
#define CHUNK 10000

/* So often keys that were free a moment ago are looked up again. */
#define ATTEMPTS 3

#define LOCK_TIMEOUT "50ms"

/* The keys of one category. */
typedef struct KeySet
{
	int32 category;
	AuditKeyBlock kind;
	AuditKey *key; /* ascending and distinct once they are resolved */
	Size n;
	Size capacity;
	bool category_asked;
	bool category_exists;
} KeySet;

static MemoryContext batch_context = NULL;
static List *sets = NIL;
static bool secret_missed = false; /* in this batch; said once */

/* ---- gathering ---- */

static KeySet *
find_set(int32 category, AuditKeyBlock kind)
{
	ListCell *cell;

	foreach (cell, sets)
	{
		KeySet *set = lfirst(cell);

		if (set->category == category && set->kind == kind)
			return set;
	}
	return NULL;
}

static KeySet *
make_set(int32 category, AuditKeyBlock kind)
{
	MemoryContext old = MemoryContextSwitchTo(batch_context);
	KeySet *set = palloc0(sizeof(KeySet));

	set->category = category;
	set->kind = kind;
	set->capacity = 64;
	set->key = palloc(set->capacity * sizeof(AuditKey));
	sets = lappend(sets, set);
	MemoryContextSwitchTo(old);
	return set;
}

static void
reserve(KeySet *set, Size more)
{
	if (set->n + more <= set->capacity)
		return;
	set->capacity = Max(set->capacity * 2, set->n + more);
	set->key = repalloc_huge(set->key, set->capacity * sizeof(AuditKey));
}

void
number_begin(MemoryContext context)
{
	batch_context = context;
	sets = NIL;
	secret_missed = false;
}

static bool
block_is_known(const KeyBlock *block)
{
	return block->kind == AUDIT_BLOCK_NUMBERS || block->kind == AUDIT_BLOCK_BITMAP;
}

bool
number_gather(const uint8 *blocks, Size length)
{
	const uint8 *at = blocks;
	const uint8 *end = blocks + length;
	KeyBlock block;

	if (!key_blocks_are_sound(blocks, length))
		return false;
	while (at < end && key_block_next(&at, end, &block))
	{
		AuditKey ignored;
		KeySet *set = NULL;

		if (!block_is_known(&block))
		{
			set = find_set(block.category, block.kind);
			if (set == NULL)
				set = make_set(block.category, block.kind);
			reserve(set, block.count);
		}
		for (uint32 i = 0; i < block.count; i++)
			(void) key_block_member(block.kind, &at, end, set ? &set->key[set->n++] : &ignored);
	}
	return true;
}

static int
compare_integers(const void *a, const void *b)
{
	int64 left = ((const AuditKey *) a)->value.integer;
	int64 right = ((const AuditKey *) b)->value.integer;

	return left < right ? -1 : left > right;
}

static int
compare_bytes(const void *a, const void *b)
{
	const AuditKey *left = a;
	const AuditKey *right = b;
	int order = memcmp(left->value.bytes, right->value.bytes, Min(left->length, right->length));

	return order != 0 ? order : (left->length < right->length ? -1 : left->length > right->length);
}

typedef int (*KeyOrder)(const void *, const void *);

static KeyOrder
order_of(const KeySet *set)
{
	return set->kind == AUDIT_BLOCK_INT ? compare_integers : compare_bytes;
}

static void
make_distinct(KeySet *set)
{
	KeyOrder order = order_of(set);
	Size n = 0;

	qsort(set->key, set->n, sizeof(AuditKey), order);
	for (Size i = 0; i < set->n; i++)
		if (n == 0 || order(&set->key[n - 1], &set->key[i]) != 0)
			set->key[n++] = set->key[i];
	set->n = n;
}

/* ---- the tables ---- */

static uint64
next_number(void)
{
	return nextval_internal(store_table("subject_state_subject_seq"), false);
}

static bool
is_key(const KeySet *set, const AuditKey *key)
{
	return set->kind != AUDIT_BLOCK_TEXT || (key->length >= 1 && key->length <= MAX_KEY_LENGTH);
}

/* The canonical text of a key, into a buffer that has room for it. */
static text *
key_text(const KeySet *set, const AuditKey *key, text *buffer)
{
	const char *bytes = (const char *) key->value.bytes;
	char digits[MAXINT8LEN + 1];
	Size length = key->length;

	if (set->kind == AUDIT_BLOCK_INT)
	{
		length = pg_lltoa(key->value.integer, digits);
		bytes = digits;
	}
	else if (set->kind == AUDIT_BLOCK_UUID)
	{
		pg_uuid_t uuid;

		memcpy(uuid.data, key->value.bytes, UUID_LEN);
		bytes = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
		length = strlen(bytes);
	}
	SET_VARSIZE(buffer, VARHDRSZ + length);
	memcpy(VARDATA(buffer), bytes, length);
	return buffer;
}

typedef struct Lookup
{
	const KeySet *set;
	Relation heap;
	Relation index;
	SnapshotData dirty;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData condition[2];
	text *key;
} Lookup;

/* Of a table that has its category, its key and its subject in these columns. */
static void
lookup_begin(Lookup *lookup, const KeySet *set, const char *table, const char *index, bool integer)
{
	lookup->set = set;
	lookup->heap = table_open(store_table(table), AccessShareLock);
	lookup->index = index_open(store_table(index), AccessShareLock);
	InitDirtySnapshot(lookup->dirty);
	lookup->scan = COMPAT_INDEX_BEGINSCAN(lookup->heap, lookup->index, &lookup->dirty, 2);
	lookup->slot = table_slot_create(lookup->heap, NULL);
	lookup->key = palloc(VARHDRSZ + MAX_KEY_LENGTH);
	ScanKeyInit(&lookup->condition[0], 1, BTEqualStrategyNumber, F_INT4EQ,
	            Int32GetDatum(set->category));
	ScanKeyInit(&lookup->condition[1], 2, BTEqualStrategyNumber, integer ? F_INT8EQ : F_TEXTEQ,
	            (Datum) 0);
}

static void
lookup_end(Lookup *lookup)
{
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_endscan(lookup->scan);
	index_close(lookup->index, NoLock);
	table_close(lookup->heap, NoLock);
}

/*
 * The lowest number in column subject among the rows with this key that are there to stay, or else,
 * with *held, the number of one whose transaction is still open.
 */
static uint64
lookup_number(Lookup *lookup, Datum key, int subject_column, bool *held)
{
	uint64 found = 0;
	uint64 uncommitted = 0;

	lookup->condition[1].sk_argument = key;
	index_rescan(lookup->scan, lookup->condition, 2, NULL, 0);
	while (index_getnext_slot(lookup->scan, ForwardScanDirection, lookup->slot))
	{
		bool isnull;
		uint64 number = DatumGetInt64(slot_getattr(lookup->slot, subject_column, &isnull));

		if (TransactionIdIsValid(lookup->dirty.xmin))
			uncommitted = number;
		else if (found == 0 || number < found)
			found = number;
	}
	ExecClearTuple(lookup->slot);
	*held = found == 0 && uncommitted != 0;
	return *held ? uncommitted : found;
}

#define STATE_SUBJECT_COLUMN 1
#define ALIAS_SUBJECT_COLUMN 3

/* ---- one set ---- */

/* New rows in the making, for subject_state or subject_alias. */
typedef struct NewRows
{
	AuditKey *key[CHUNK];
	uint64 number[CHUNK];
	int n;
} NewRows;

/* Asked of the table itself, so that no message about changed rules can come late. */
static bool
any_suppressed(void)
{
	Relation suppressed = table_open(store_table("suppressed_subject"), AccessShareLock);
	bool any = RelationGetNumberOfBlocks(suppressed) > 0;

	table_close(suppressed, AccessShareLock);
	return any;
}

/*
 * The number of an erased subject; 0 where he is none.  Where that cannot be told, one that leads
 * nowhere: a row of his would let him come back.
 */
static uint64
erased_number(const KeySet *set, const AuditKey *key)
{
	text *buffer = palloc(VARHDRSZ + MAX_KEY_LENGTH);
	int64 number;

	(void) key_text(set, key, buffer);
	number = suppression_find(set->category, VARDATA(buffer), VARSIZE(buffer) - VARHDRSZ,
	                          secret_missed ? DEBUG1 : WARNING);
	pfree(buffer);
	secret_missed |= number == SUPPRESSION_UNKNOWN;
	return number == SUPPRESSION_UNKNOWN ? next_number() : (uint64) number;
}

static Datum
array_of(Datum *elements, int n, Oid type)
{
	return PointerGetDatum(
	    type == INT8OID
	        ? construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)
	        : construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
numbers_of(const NewRows *rows)
{
	Datum *elements = palloc(rows->n * sizeof(Datum));

	for (int i = 0; i < rows->n; i++)
		elements[i] = Int64GetDatum((int64) rows->number[i]);
	return array_of(elements, rows->n, INT8OID);
}

static Datum
keys_of(const KeySet *set, const NewRows *rows, bool as_text)
{
	Datum *elements = palloc(rows->n * sizeof(Datum));

	for (int i = 0; i < rows->n; i++)
	{
		AuditKey *key = rows->key[i];

		if (!as_text)
			elements[i] = Int64GetDatum(key->value.integer);
		else
			elements[i] = PointerGetDatum(
			    key_text(set, key, palloc(VARHDRSZ + Max(key->length, UUID_LEN * 3))));
	}
	return array_of(elements, rows->n, as_text ? TEXTOID : INT8OID);
}

static void
insert_states(const KeySet *set, const NewRows *rows)
{
	static SPIPlanPtr int_plan = NULL;
	static SPIPlanPtr text_plan = NULL;
	bool integer = set->kind == AUDIT_BLOCK_INT;
	Oid types[] = {INT4OID, INT8ARRAYOID, integer ? INT8ARRAYOID : TEXTARRAYOID};
	Datum values[] = {Int32GetDatum(set->category), numbers_of(rows), keys_of(set, rows, !integer)};

	if (integer)
		store_query(&int_plan,
		            "INSERT INTO privacy_guard.subject_state (subject, category_id, key, key_int)"
		            " SELECT k.subject, $1, k.key::text, k.key"
		            "   FROM unnest($2, $3) AS k(subject, key)",
		            3, types, values, SPI_OK_INSERT);
	else
		store_query(&text_plan,
		            "INSERT INTO privacy_guard.subject_state (subject, category_id, key)"
		            " SELECT k.subject, $1, k.key"
		            "   FROM unnest($2, $3) AS k(subject, key)",
		            3, types, values, SPI_OK_INSERT);
}

static void
insert_aliases(const KeySet *set, const NewRows *rows)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8ARRAYOID, TEXTARRAYOID};
	Datum values[] = {Int32GetDatum(set->category), numbers_of(rows), keys_of(set, rows, true)};

	store_query(&plan,
	            "INSERT INTO privacy_guard.subject_alias (category_id, key, subject)"
	            " SELECT $1, k.key, k.subject"
	            "   FROM unnest($2, $3) AS k(subject, key)"
	            " ON CONFLICT DO NOTHING",
	            3, types, values, SPI_OK_INSERT);
}

/* Keeps the category until the end of the transaction.  False when it is gone, or going. */
static bool
hold_category(int32 category)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(category)};
	uint64 found;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	found = store_query(&plan,
	                    "SELECT FROM privacy_guard.subject_category c"
	                    " WHERE c.category_id = $1 FOR KEY SHARE SKIP LOCKED",
	                    1, types, values, SPI_OK_SELECT);
	SPI_finish();
	return found == 1;
}

static bool
has_category(KeySet *set)
{
	if (!set->category_asked)
		set->category_exists = hold_category(set->category);
	set->category_asked = true;
	return set->category_exists;
}

static bool
is_collision(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_UNIQUE_VIOLATION || sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
	       sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

static void
insert_without_waiting(const KeySet *set, const NewRows *rows)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_SESSION,
	                         GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	insert_states(set, rows);
	SPI_finish();
	AtEOXact_GUC(true, level);
	/* Erased since it was looked up: from now on that is seen, and cannot happen any more. */
	if (!any_suppressed())
		return;
	for (int i = 0; i < rows->n; i++)
		if (erased_number(set, rows->key[i]) != 0)
			ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
			                errmsg("a data subject was erased meanwhile")));
}

/* False when somebody else was inserting one of them. */
static bool
try_insert(const KeySet *set, const NewRows *rows)
{
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	volatile bool inserted = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old_context);
	PG_TRY();
	{
		insert_without_waiting(set, rows);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(old_context);
		error = CopyErrorData();
		if (!is_collision(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		FreeErrorData(error);
		RollbackAndReleaseCurrentSubTransaction();
		inserted = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	return inserted;
}

static void
accept(NewRows *rows)
{
	for (int i = 0; i < rows->n; i++)
		rows->key[i]->number = rows->number[i];
	rows->n = 0;
}

static void
flush_states(const KeySet *set, NewRows *rows)
{
	if (rows->n > 0 && try_insert(set, rows))
		accept(rows);
	rows->n = 0;
}

static void
flush_aliases(const KeySet *set, NewRows *rows)
{
	if (rows->n == 0)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	insert_aliases(set, rows);
	SPI_finish();
	accept(rows);
}

static void
add_row(NewRows *rows, AuditKey *key, uint64 number)
{
	rows->key[rows->n] = key;
	rows->number[rows->n++] = number;
}

/* What is on record about a key, in both tables. */
typedef struct Found
{
	uint64 state;
	bool held; /* by somebody's open transaction */
	uint64 alias;
	uint64 erased;
} Found;

typedef struct Tables
{
	Lookup state;
	Lookup alias;
	bool has_aliases;
	bool has_erased;
} Tables;

static void
tables_begin(Tables *tables, const KeySet *set)
{
	bool integer = set->kind == AUDIT_BLOCK_INT;

	lookup_begin(&tables->state, set, "subject_state",
	             integer ? "subject_state_key_int" : "subject_state_key", integer);
	lookup_begin(&tables->alias, set, "subject_alias", "subject_alias_key", false);
	tables->has_erased = any_suppressed();
	tables->has_aliases = RelationGetNumberOfBlocks(tables->alias.heap) > 0;
}

static void
tables_end(Tables *tables)
{
	lookup_end(&tables->state);
	lookup_end(&tables->alias);
}

static Found
find_key(Tables *tables, const AuditKey *key)
{
	const KeySet *set = tables->state.set;
	Datum value = set->kind == AUDIT_BLOCK_INT
	                  ? Int64GetDatum(key->value.integer)
	                  : PointerGetDatum(key_text(set, key, tables->state.key));
	Found found = {0};
	bool ignored;

	found.state = lookup_number(&tables->state, value, STATE_SUBJECT_COLUMN, &found.held);
	found.erased = found.state == 0 && tables->has_erased ? erased_number(set, key) : 0;
	if ((found.state == 0 || found.held) && tables->has_aliases)
		found.alias =
		    lookup_number(&tables->alias, PointerGetDatum(key_text(set, key, tables->alias.key)),
		                  ALIAS_SUBJECT_COLUMN, &ignored);
	return found;
}

/*
 * Look up every key whose number is not known, and make what is missing.  In the last attempt
 * aliases are given to those that still collide.
 */
static void
resolve_keys(KeySet *set, bool last)
{
	NewRows *states = palloc(sizeof(NewRows));
	NewRows *aliases = palloc(sizeof(NewRows));
	Tables tables;

	states->n = aliases->n = 0;
	tables_begin(&tables, set);
	for (Size i = 0; i < set->n; i++)
	{
		AuditKey *key = &set->key[i];
		Found found;

		if (key->number != 0)
			continue;
		CHECK_FOR_INTERRUPTS();
		found = find_key(&tables, key);
		if (found.state != 0 && !found.held)
			key->number = found.state;
		else if (found.held && found.alias != 0)
			key->number = found.alias;
		else if (found.held)
			add_row(aliases, key, found.state);
		else if (found.erased != 0)
			key->number = found.erased;
		else if (!has_category(set))
			key->number = next_number();
		else if (last && found.alias != 0)
			key->number = found.alias;
		else
			add_row(last ? aliases : states, key, found.alias != 0 ? found.alias : next_number());
		if (states->n == CHUNK)
			flush_states(set, states);
		if (aliases->n == CHUNK)
			flush_aliases(set, aliases);
	}
	tables_end(&tables);
	flush_states(set, states);
	flush_aliases(set, aliases);
	pfree(states);
	pfree(aliases);
}

static bool
is_complete(const KeySet *set)
{
	for (Size i = 0; i < set->n; i++)
		if (set->key[i].number == 0)
			return false;
	return true;
}

static void
resolve_set(KeySet *set)
{
	make_distinct(set);
	for (Size i = 0; i < set->n; i++)
		if (!is_key(set, &set->key[i]))
			set->key[i].number = next_number();
	for (int attempt = 1; attempt <= ATTEMPTS && !is_complete(set); attempt++)
		resolve_keys(set, attempt == ATTEMPTS);
}

void
number_resolve(void)
{
	MemoryContext work =
	    AllocSetContextCreate(batch_context, "privacy_guard numbers", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	ListCell *cell;

	foreach (cell, sets)
		resolve_set(lfirst(cell));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* ---- the numbers of one message ---- */

Size
number_count(const uint8 *blocks, Size length)
{
	const uint8 *at = blocks;
	const uint8 *end = blocks + length;
	Size count = 0;
	KeyBlock block;

	while (at < end && key_block_next(&at, end, &block))
	{
		AuditKey ignored;

		for (uint32 i = 0; i < block.count; i++)
			(void) key_block_member(block.kind, &at, end, &ignored);
		count += block.count;
	}
	return count;
}

void
number_put_bitmaps(const uint8 *blocks, Size length, SubjectBits *bits)
{
	const uint8 *at = blocks;
	const uint8 *end = blocks + length;
	KeyBlock block;

	while (at < end && key_block_next(&at, end, &block))
	{
		AuditKey ignored;

		if (block.bitmap != NULL)
			subject_bits_or_serialized(bits, (const char *) block.bitmap, block.bitmap_length);
		for (uint32 i = 0; i < block.count; i++)
			(void) key_block_member(block.kind, &at, end, &ignored);
	}
}

static uint64
number_of(const KeySet *set, const AuditKey *key)
{
	const AuditKey *found = bsearch(key, set->key, set->n, sizeof(AuditKey), order_of(set));

	if (found == NULL || found->number == 0)
		elog(ERROR, "a data subject has no number");
	return found->number;
}

Size
number_list(const uint8 *blocks, Size length, uint64 *out)
{
	const uint8 *at = blocks;
	const uint8 *end = blocks + length;
	Size count = 0;
	KeyBlock block;

	while (at < end && key_block_next(&at, end, &block))
	{
		KeySet *set = block_is_known(&block) ? NULL : find_set(block.category, block.kind);

		for (uint32 i = 0; i < block.count; i++)
		{
			AuditKey key;

			(void) key_block_member(block.kind, &at, end, &key);
			out[count++] = set == NULL ? (uint64) key.value.integer : number_of(set, &key);
		}
	}
	return count;
}
