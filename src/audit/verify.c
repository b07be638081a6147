/*
 * verify.c
 *		Walking the audit log: does everything that is stored fit together?
 *
 * WalkedSegment by segment, so that memory stays bounded: framing, the encoding of each record, its
 * hash against the mark, the hashes of 256 leaves, the tree after the segment, what readers choose
 * segments by, and every checkpoint on the way. After a segment that does not fit the walk goes on
 * from the tree that is stored with it, so that one change is found where it is and not in all that
 * follows. Reads under one snapshot; no locks beyond those of the queries.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/record.h"
#include "audit/segment.h"
#include "audit/store.h"
#include "audit/stored_tree.h"
#include "audit/verify.h"

#define SEGMENTS_AT_ONCE 32 /* their large columns are read one by one */

typedef struct WalkedSegment
{
	int64 first;
	int32 leaves;
	TimestampTz sealed_at;
	TimestampTz first_time;
	TimestampTz last_time;
	int32 kinds;
	bytea *records;
	bytea *marks;
	bytea *nodes;
	bytea *frontier;
	VerifySubjects *subjects; /* NULL: not even a set */

	/* Found on the way */
	int64 first_unmarked; /* the first record whose hash is not its mark; -1: none */
	int64 first_bad_node; /* the first leaf of the first 256 with another hash; -1: none */
	int64 first_astray;   /* the first record outside of the times, kinds or subjects; -1: none */
	Size n_nodes;
	bool whole;
} WalkedSegment;

PG_FUNCTION_INFO_V1(verify_log);

static const char *const changed_hint =
    "Compare with a backup. A checkpoint kept elsewhere tells since when.";

/* ---- findings ---- */

void
verify_report(Verification *v, int64 leaf, const char *hint, const char *finding, ...)
{
	MemoryContext caller;
	Finding *entry;
	char text[512];
	va_list arguments;

	if (++v->n_findings > VERIFY_MAX_FINDINGS)
		return;
	va_start(arguments, finding);
	(void) vsnprintf(text, sizeof(text), finding, arguments);
	va_end(arguments);
	caller = MemoryContextSwitchTo(v->context);
	entry = palloc(sizeof(Finding));
	entry->first_bad_leaf = leaf;
	entry->finding = pstrdup(text);
	entry->hint = hint ? pstrdup(hint) : NULL;
	v->findings = lappend(v->findings, entry);
	MemoryContextSwitchTo(caller);
}

/* ---- one segment ---- */

static void
check_place(Verification *v, const WalkedSegment *s)
{
	int64 next = (int64) v->tree.size;

	if (s->first > next)
		verify_report(v, next, "Segments were removed.",
		              "records " INT64_FORMAT " to " INT64_FORMAT " are missing", next,
		              s->first - 1);
	else if (s->first < next)
		verify_report(v, s->first, "Segments were inserted or moved.",
		              "a segment begins at record " INT64_FORMAT
		              ", the one before ends at " INT64_FORMAT,
		              s->first, next);
	if (s->sealed_at < v->last_sealed)
		verify_report(v, s->first, "Segments were reordered, or their times changed.",
		              "the segment at record " INT64_FORMAT " was sealed before the one it follows",
		              s->first);
	v->follows &= s->first == next;
	v->last_sealed = s->sealed_at;
}

/* What readers choose segments by must not hide a record. */
static bool
is_astray(const WalkedSegment *s, const RecordFields *fields)
{
	uint64 kind = fields->value[FIELD_KIND].number;
	TimestampTz time;

	return kind > 30 || (s->kinds >> kind & 1) == 0 ||
	       !record_value_time(&fields->value[FIELD_TIME], &time) || time < s->first_time ||
	       time > s->last_time || !verify_subjects_within(s->subjects, fields);
}

static void
check_node(WalkedSegment *s, int64 leaf, const TreeHash *node)
{
	Size at = s->n_nodes++ * TREE_HASH_SIZE;

	if (s->first_bad_node < 0 && (at + TREE_HASH_SIZE > VARSIZE_ANY_EXHDR(s->nodes) ||
	                              memcmp(VARDATA_ANY(s->nodes) + at, node, TREE_HASH_SIZE) != 0))
		s->first_bad_node = Max(leaf + 1 - TREE_NODE_LEAVES, 0);
}

/* Of a record that is the sealed one. */
static void
check_content(Verification *v, WalkedSegment *s, int64 leaf, const uint8 *record, Size length)
{
	RecordFields fields;

	if (!record_parse(record, length, &fields))
		verify_report(v, leaf, changed_hint, "record " INT64_FORMAT " is not a record", leaf);
	else if (s->first_astray < 0 && is_astray(s, &fields))
		s->first_astray = leaf;
}

static void
check_record(Verification *v, WalkedSegment *s, int32 n, const uint8 *record, Size length)
{
	int64 leaf = s->first + n;
	const char *mark = VARDATA_ANY(s->marks) + (Size) n * SEGMENT_MARK_SIZE;
	TreeHash hash;
	TreeHash node;

	tree_leaf_hash(record, length, &hash);
	if (s->first_unmarked < 0 &&
	    ((Size) (n + 1) * SEGMENT_MARK_SIZE > VARSIZE_ANY_EXHDR(s->marks) ||
	     memcmp(mark, &hash, SEGMENT_MARK_SIZE) != 0))
		s->first_unmarked = leaf;
	if (s->first_unmarked < 0)
		check_content(v, s, leaf, record, length);
	if (!v->follows)
		return;
	if (tree_append(&v->tree, &hash, &node))
		check_node(s, leaf, &node);
	if (v->tree.size == v->next_size && n + 1 < s->leaves)
		verify_heads_meet(v, s->first_unmarked < 0);
}

static void
walk_records(Verification *v, WalkedSegment *s)
{
	const uint8 *at = (const uint8 *) VARDATA_ANY(s->records);
	const uint8 *end = at + VARSIZE_ANY_EXHDR(s->records);

	for (int32 n = 0; n < s->leaves; n++)
	{
		const uint8 *record;
		Size length;

		if (n % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!segment_next_record(&at, end, &record, &length))
		{
			verify_report(v, s->first_unmarked < 0 ? s->first + n : s->first_unmarked, changed_hint,
			              "the segment at record " INT64_FORMAT " ends within record " INT64_FORMAT,
			              s->first, s->first + n);
			s->whole = false;
			return;
		}
		check_record(v, s, n, record, length);
	}
	if (at != end)
	{
		verify_report(v, s->first_unmarked < 0 ? s->first + s->leaves : s->first_unmarked,
		              changed_hint,
		              "the segment at record " INT64_FORMAT " holds more than its %d records",
		              s->first, s->leaves);
		s->whole = false;
	}
}

/* The records were walked; v->tree is that of them where it could be computed. */
static void
report_segment(Verification *v, const WalkedSegment *s)
{
	bool computed = v->follows && s->whole;
	bool tree_fits =
	    computed && tree_frontier_bytes(&v->tree) == VARSIZE_ANY_EXHDR(s->frontier) &&
	    memcmp(v->tree.peak, VARDATA_ANY(s->frontier), tree_frontier_bytes(&v->tree)) == 0;

	if (s->first_unmarked >= 0 && tree_fits)
		verify_report(v, s->first_unmarked, "The records are whole: column marks was changed.",
		              "the mark of record " INT64_FORMAT " is wrong", s->first_unmarked);
	else if (s->first_unmarked >= 0)
		verify_report(v, s->first_unmarked, changed_hint,
		              "record " INT64_FORMAT " is not the one that was sealed", s->first_unmarked);
	else if (computed && s->first_bad_node >= 0)
		verify_report(v, s->first_bad_node, changed_hint,
		              "the hash of records " INT64_FORMAT " to " INT64_FORMAT " is wrong",
		              s->first_bad_node, s->first_bad_node + TREE_NODE_LEAVES - 1);
	else if (computed && s->n_nodes * TREE_HASH_SIZE != VARSIZE_ANY_EXHDR(s->nodes))
		verify_report(v, s->first, changed_hint,
		              "the segment at record " INT64_FORMAT " has hashes of no records", s->first);
	else if (computed && !tree_fits)
		verify_report(v, s->first, changed_hint,
		              "the tree after the segment at record " INT64_FORMAT
		              " does not follow from the one before",
		              s->first);
	if (s->first_astray >= 0)
		verify_report(
		    v, s->first_astray,
		    "Readers would not have found it: its segment's times, kinds or subjects were changed.",
		    "record " INT64_FORMAT " is outside of what its segment says it holds",
		    s->first_astray);
}

/* Go on from what is stored, whether or not it was computed. */
static void
take_stored_tree(Verification *v, const WalkedSegment *s)
{
	int64 end = s->first + s->leaves;

	verify_heads_pass(v, end);
	v->follows =
	    tree_frontier_load(&v->tree, end, VARDATA_ANY(s->frontier), VARSIZE_ANY_EXHDR(s->frontier));
	if (!v->follows)
	{
		verify_report(v, s->first, changed_hint,
		              "the segment at record " INT64_FORMAT " has a malformed tree", s->first);
		v->tree.size = end;
		verify_heads_pass(v, end + 1);
	}
	verify_heads_meet(v, true);
}

static void
verify_segment(Verification *v, WalkedSegment *s)
{
	s->first_unmarked = s->first_bad_node = s->first_astray = -1;
	s->n_nodes = 0;
	s->whole = true;
	if (s->leaves <= 0 || s->first < 0 || s->first > PG_INT64_MAX - s->leaves)
	{
		verify_report(v, -1, changed_hint, "a segment claims %d records from " INT64_FORMAT " on",
		              s->leaves, s->first);
		return;
	}
	check_place(v, s);
	verify_heads_pass(v, s->first);
	walk_records(v, s);
	report_segment(v, s);
	take_stored_tree(v, s);
}

/* ---- one origin ---- */

static void
read_segment(uint64 row, WalkedSegment *s)
{
	s->first = DatumGetInt64(store_column(row, 1));
	s->leaves = DatumGetInt32(store_column(row, 2));
	s->sealed_at = DatumGetTimestampTz(store_column(row, 3));
	s->first_time = DatumGetTimestampTz(store_column(row, 4));
	s->last_time = DatumGetTimestampTz(store_column(row, 5));
	s->kinds = DatumGetInt32(store_column(row, 6));
	s->records = DatumGetByteaPP(store_column(row, 7));
	s->marks = DatumGetByteaPP(store_column(row, 8));
	s->nodes = DatumGetByteaPP(store_column(row, 9));
	s->frontier = DatumGetByteaPP(store_column(row, 10));
	s->subjects = verify_subjects_open(store_column(row, 11));
}

static void
walk_segments(Verification *v)
{
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(v->origin_id)};
	Portal portal = SPI_cursor_open_with_args(
	    NULL,
	    "SELECT s.first_leaf, s.leaves, s.sealed_at, s.first_time, s.last_time, s.kinds, s.records,"
	    "       s.marks, s.nodes, s.frontier, s.subjects"
	    "  FROM privacy_guard.audit_segment s WHERE s.origin_id = $1 ORDER BY s.first_leaf",
	    1, types, values, NULL, true, 0);
	MemoryContext work =
	    AllocSetContextCreate(CurrentMemoryContext, "audit segment", ALLOCSET_DEFAULT_SIZES);

	for (SPI_cursor_fetch(portal, true, SEGMENTS_AT_ONCE); SPI_processed > 0;
	     SPI_cursor_fetch(portal, true, SEGMENTS_AT_ONCE))
	{
		SPITupleTable *rows = SPI_tuptable;
		uint64 n = SPI_processed;

		for (uint64 i = 0; i < n; i++)
		{
			MemoryContext caller = MemoryContextSwitchTo(work);
			WalkedSegment segment;

			SPI_tuptable = rows;
			read_segment(i, &segment);
			verify_segment(v, &segment);
			MemoryContextSwitchTo(caller);
			MemoryContextReset(work);
		}
		SPI_freetuptable(rows);
	}
	SPI_cursor_close(portal);
	MemoryContextDelete(work);
}

/* Where the log begins: at its first record, or where it was pruned. */
static void
begin_origin(Verification *v)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(v->origin_id)};
	bytea *stored_root;
	TreeHash root;

	v->findings = NIL;
	v->n_findings = 0;
	v->note = NULL;
	v->last_sealed = DT_NOBEGIN;
	v->follows = true;
	v->first = 0;
	tree_init(&v->tree);
	stored_query(&plan,
	             "SELECT p.tree_size, p.frontier, p.root FROM privacy_guard.audit_prune p"
	             " WHERE p.origin_id = $1 ORDER BY p.tree_size DESC LIMIT 1",
	             1, types, values, NULL);
	if (SPI_processed == 0)
		return;
	v->first = DatumGetInt64(store_column(0, 1));
	v->follows = store_load_frontier(&v->tree, v->first, store_column(0, 2));
	tree_root(&v->tree, &root);
	stored_root = DatumGetByteaPP(store_column(0, 3));
	if (!v->follows || VARSIZE_ANY_EXHDR(stored_root) != TREE_HASH_SIZE ||
	    memcmp(VARDATA_ANY(stored_root), &root, TREE_HASH_SIZE) != 0)
		verify_report(v, v->first, "Table privacy_guard.audit_prune was changed.",
		              "what is kept of the pruned records does not give their root");
	v->tree.size = v->first;
}

static void
put_row(ReturnSetInfo *set, const Verification *v, const Finding *finding)
{
	Datum values[7] = {BoolGetDatum(v->n_findings == 0)};
	bool nulls[7] = {false};
	bytea *root = palloc(VARHDRSZ + TREE_HASH_SIZE);

	SET_VARSIZE(root, VARHDRSZ + TREE_HASH_SIZE);
	nulls[1] = v->origin == NULL;
	if (v->origin)
		values[1] = CStringGetTextDatum(v->origin);
	values[2] = Int64GetDatum((int64) v->tree.size);
	nulls[3] = !v->follows;
	if (v->follows)
		tree_root(&v->tree, (TreeHash *) VARDATA(root));
	values[3] = PointerGetDatum(root);
	nulls[4] = finding->first_bad_leaf < 0;
	values[4] = Int64GetDatum(finding->first_bad_leaf);
	values[5] = CStringGetTextDatum(finding->finding);
	nulls[6] = finding->hint == NULL;
	if (finding->hint)
		values[6] = CStringGetTextDatum(finding->hint);
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

static void
put_origin(ReturnSetInfo *set, Verification *v)
{
	ListCell *cell;
	Finding well = {-1};
	const char *scope;

	foreach (cell, v->findings)
		put_row(set, v, lfirst(cell));
	if (v->n_findings > VERIFY_MAX_FINDINGS)
	{
		well.finding = psprintf("%d further findings", v->n_findings - VERIFY_MAX_FINDINGS);
		put_row(set, v, &well);
	}
	if (v->n_findings > 0)
		return;
	if (v->tree.size == 0)
		scope = "no records and";
	else if (v->tree.size == v->first)
		scope = psprintf("all " INT64_FORMAT " records were pruned;", v->first);
	else
		scope = psprintf("records " INT64_FORMAT " to " INT64_FORMAT " and", v->first,
		                 (int64) v->tree.size - 1);
	well.finding =
	    psprintf("%s " INT64_FORMAT " checkpoints (" INT64_FORMAT " signed) fit together", scope,
	             v->n_stored, v->n_signed);
	well.hint = v->note;
	if (well.hint == NULL && v->n_unknown_key > 0)
		well.hint =
		    psprintf(INT64_FORMAT " checkpoints are signed by keys that are not known here. "
		                          "Pass them as public_key.",
		             v->n_unknown_key);
	else if (well.hint == NULL && v->external_note == NULL)
		well.hint = "Only a checkpoint kept elsewhere tells whether the tail was cut off or "
		            "everything recomputed: pass one.";
	put_row(set, v, &well);
}

static void
verify_origin(Verification *v, ReturnSetInfo *set)
{
	begin_origin(v);
	if (v->origin == NULL)
	{
		v->origin = psprintf("origin %d", v->origin_id);
		verify_report(v, v->first, "Table privacy_guard.audit_origin was changed.",
		              "the origin of these records is not listed");
	}
	verify_heads_begin(v);
	verify_heads_meet(v, true);
	walk_segments(v);
	verify_heads_end(v);
	put_origin(set, v);
}

/* ---- the log ---- */

/* Also origins that are listed no more, found by stepping through the index. */
static const char *const origins_query =
    "WITH RECURSIVE stored (origin_id) AS ("
    "  SELECT min(s.origin_id) FROM privacy_guard.audit_segment s"
    "  UNION ALL"
    "  SELECT (SELECT min(s.origin_id) FROM privacy_guard.audit_segment s"
    "           WHERE s.origin_id > stored.origin_id) FROM stored WHERE stored.origin_id IS NOT "
    "NULL)"
    "SELECT origin_id, o.name FROM privacy_guard.audit_origin o"
    "  FULL JOIN (SELECT origin_id FROM stored WHERE origin_id IS NOT NULL"
    "             UNION SELECT c.origin_id FROM privacy_guard.audit_checkpoint c) s USING "
    "(origin_id)"
    " ORDER BY 1";

static void
verify_origins(Verification *v, ReturnSetInfo *set)
{
	static SPIPlanPtr plan = NULL;
	SPITupleTable *origins;
	uint64 n;

	stored_query(&plan, origins_query, 0, NULL, NULL, NULL);
	origins = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;

		v->origin_id = DatumGetInt32(SPI_getbinval(origins->vals[i], origins->tupdesc, 1, &isnull));
		v->origin = SPI_getvalue(origins->vals[i], origins->tupdesc, 2);
		verify_origin(v, set);
	}
	if (n == 0 && v->external_note == NULL)
	{
		Finding nothing = {-1, "there is no audit log yet", NULL};

		put_row(set, v, &nothing);
	}
}

static void
read_arguments(FunctionCallInfo fcinfo, Verification *v)
{
	if (!PG_ARGISNULL(0))
	{
		v->external_note = text_to_cstring(PG_GETARG_TEXT_PP(0));
		if (!checkpoint_parse(v->external_note, &v->external))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			                errmsg("the given text is not a checkpoint"),
			                errhint("Pass a whole note: its lines, the empty line and the "
			                        "signatures, as it was shipped.")));
	}
	if (PG_ARGISNULL(1))
		v->n_keys = note_key_load(LOG, &v->keys[0]) == NOTE_KEY_LOADED ? 1 : 0;
	else
		v->n_keys = note_keys_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)), v->keys);
	if (v->n_keys < 0)
		ereport(
		    ERROR,
		    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		     errmsg("the given text holds no Ed25519 public keys"),
		     errhint("Pass what checkpoint_public_key() returns, or \"openssl pkey -pubout\".")));
	explicit_bzero(v->keys[0].private_key, NOTE_KEY_SIZE);
}

/* privacy_guard_internal.walk_audit_log(checkpoint, public_key) */
Datum
verify_log(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Verification *v = palloc0(sizeof(Verification));

	InitMaterializedSRF(fcinfo, 0);
	v->context = CurrentMemoryContext;
	v->follows = true;
	read_arguments(fcinfo, v);
	stored_begin();
	verify_origins(v, set);
	if (v->external_note != NULL && !v->external_met)
	{
		v->findings = NIL;
		v->n_findings = 0;
		tree_init(&v->tree);
		verify_external_unmet(v);
		put_origin(set, v);
	}
	stored_end();
	return (Datum) 0;
}
