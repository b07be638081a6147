/*
 * subject.c
 *		What is true of a data subject now.
 *
 * Facts come from the line that was read last, from the shared cache, or from the tables, in this
 * order.  The tables are read with a snapshot taken at that moment, never the transaction's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "consent/subject.h"
#include "policy/catalog.h"
#include "types/consent.h"
#include "types/purpose_set.h"

/* Of an exempt execution, which asks for nothing but numbers. */
static const Purpose no_purpose = {.path = "", .known = true};

void
subject_reader_init(SubjectReader *reader, const Purpose *purpose, int32 category, KeyKind key_kind,
                    const TimestampTz *now)
{
	memset(reader, 0, sizeof(*reader));
	reader->purpose = purpose != NULL ? purpose : &no_purpose;
	reader->category = category;
	reader->key_kind = key_kind;
	reader->now = now;
	reader->counter = consent_change_counter(0); /* differs from the empty line's */
}

/* ---- reading the tables ---- */

/* What is asked about one row of subject_state. */
typedef struct StateQuestion
{
	const Purpose *purpose;
	TimestampTz now;
	SubjectFacts facts;
	TimestampTz changes_at;
} StateQuestion;

static void
basis_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	StateQuestion *question = arg;
	bool isnull;
	char *purpose = catalog_text(tuple, desc, BASIS_PURPOSE);
	size_t length = strlen(purpose);
	TimestampTz until =
	    DatumGetTimestampTz(catalog_column(tuple, desc, BASIS_VALID_UNTIL, &isnull));
	int basis = catalog_enum_position(
	    DatumGetObjectId(catalog_column(tuple, desc, BASIS_LEGAL_BASIS, &isnull)));
	const char *path = question->purpose->path;

	/* Recorded for this purpose or one above it. */
	if (strncmp(path, purpose, length) != 0 || (path[length] != '\0' && path[length] != '.') ||
	    until <= question->now)
		return;
	question->facts |= FACT_BASIS(basis);
	question->changes_at = Min(question->changes_at, until);
}

static void
add_recorded_bases(StateQuestion *question, int64 subject)
{
	ScanKeyData key;

	ScanKeyInit(&key, BASIS_SUBJECT, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(subject));
	catalog_scan(CATALOG_SUBJECT_BASIS, &key, 1, basis_row, question);
}

static void
add_consent(StateQuestion *question, Datum consent)
{
	static const SubjectFacts given[] = {
	    0,
	    FACT_CONSENT_IMPLIED,
	    FACT_CONSENT_IMPLIED | FACT_CONSENT_EXPRESSED,
	    FACT_CONSENT_IMPLIED | FACT_CONSENT_EXPRESSED | FACT_CONSENT_EXPLICIT,
	};
	const Purpose *purpose = question->purpose;
	ConsentVerdict verdict;

	consent_evaluate(DatumGetConsentP(consent), purpose->path, strlen(purpose->path),
	                 purpose->version, question->now, &verdict);
	question->facts |= given[verdict.level] | (verdict.refused ? FACT_REFUSED : 0);
	question->changes_at = Min(question->changes_at, verdict.changes_at);
}

SubjectFacts
subject_state_facts(HeapTuple state, TupleDesc desc, const Purpose *purpose, TimestampTz now,
                    TimestampTz *changes_at)
{
	StateQuestion question = {purpose, now, FACT_KNOWN, DT_NOEND};
	bool isnull;

	if (purpose != &no_purpose)
	{
		Datum objections = catalog_column(state, desc, STATE_OBJECTIONS, &isnull);

		add_consent(&question, catalog_column(state, desc, STATE_CONSENT, &isnull));
		if (purpose_set_covers(DatumGetPurposeSetP(objections), purpose->path,
		                       strlen(purpose->path)))
			question.facts |= FACT_OBJECTED;
	}
	if (catalog_bool(state, desc, STATE_RESTRICTED))
		question.facts |= FACT_RESTRICTED;
	if (purpose->record_basis)
		add_recorded_bases(&question,
		                   DatumGetInt64(catalog_column(state, desc, STATE_SUBJECT, &isnull)));
	*changes_at = question.changes_at;
	return question.facts;
}

static void
state_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SubjectReader *reader = arg;
	TimestampTz changes_at;
	bool isnull;
	Datum key_int = catalog_column(tuple, desc, STATE_KEY_INT, &isnull);
	int slot = 0;

	if (reader->key_kind == KEY_INT && !isnull)
		slot = (int) (DatumGetInt64(key_int) & (CACHE_LINE_SUBJECTS - 1));
	reader->line.facts[slot] =
	    subject_state_facts(tuple, desc, reader->purpose, *reader->now, &changes_at);
	reader->line.changes_at = Min(reader->line.changes_at, changes_at);
	/* A number that goes with this transaction would leave a record that leads nowhere. */
	if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
		reader->line.number[slot] =
		    DatumGetInt64(catalog_column(tuple, desc, STATE_SUBJECT, &isnull));
}

static void
read_state(SubjectReader *reader, const char *text_key, int length)
{
	ScanKeyData keys[3];
	int64 first = (int64) (reader->key.word[0] << 3);

	memset(reader->line.facts, 0, sizeof(reader->line.facts));
	memset(reader->line.number, 0, sizeof(reader->line.number));
	reader->line.changes_at = DT_NOEND;
	ScanKeyInit(&keys[0], STATE_CATEGORY, BTEqualStrategyNumber, F_INT4EQ,
	            Int32GetDatum(reader->category));
	if (reader->key_kind == KEY_INT)
	{
		ScanKeyInit(&keys[1], STATE_KEY_INT, BTGreaterEqualStrategyNumber, F_INT8GE,
		            Int64GetDatum(first));
		ScanKeyInit(&keys[2], STATE_KEY_INT, BTLessEqualStrategyNumber, F_INT8LE,
		            Int64GetDatum(first + (CACHE_LINE_SUBJECTS - 1)));
		catalog_scan(CATALOG_SUBJECT_STATE_INT, keys, 3, state_row, reader);
	}
	else
	{
		text *key;

		if (reader->key_kind == KEY_UUID)
			key = cstring_to_text(
			    DatumGetCString(DirectFunctionCall1(uuid_out, PointerGetDatum(&reader->key))));
		else
			key = cstring_to_text_with_len(text_key, length);
		ScanKeyInit(&keys[1], STATE_KEY, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(key));
		catalog_scan(CATALOG_SUBJECT_STATE, keys, 2, state_row, reader);
	}
}

/* ---- the line ---- */

void
subject_read_line(SubjectReader *reader, SubjectKey key, const char *text, int length)
{
	bool own = change_is_own();
	const Purpose *purpose = reader->purpose;
	CacheTag tag = {
	    .key = key,
	    .database = MyDatabaseId,
	    .category = reader->category,
	    .purpose = purpose->id,
	    .purpose_version = purpose->record_basis ? -purpose->version : purpose->version,
	};
	uint32 hash = consent_cache_hash(&tag);
	uint32 change;

	reader->key = key;
	reader->counter = consent_change_counter(consent_change_partition(reader->category, key));
	reader->own_change = change_own_count;
	if (!own && consent_cache_get(&tag, hash, reader->want_numbers, &reader->line) &&
	    reader->line.change == pg_atomic_read_u32(reader->counter) &&
	    *reader->now < reader->line.changes_at)
		return;

	/* The counter first, the snapshot after it; and no line at all if reading fails. */
	reader->line.change = 0;
	change = pg_atomic_read_u32(reader->counter);
	pg_memory_barrier();
	read_state(reader, text, length);
	reader->line.change = change;
	if (!own)
		consent_cache_put(&tag, hash, &reader->line);
}
