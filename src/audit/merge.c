/*
 * merge.c
 *		Makes few large rows of the log out of many small ones.
 *
 * Like a log-structured merge tree: 64 neighbours of one level become one row of the next, until
 * it is large.  A transaction inserts the large row and deletes the small ones, so that under any
 * snapshot each record is in one row.  What may still be merged is remembered in private memory,
 * and read from the tables when that is in doubt.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/merge.h"
#include "audit/store.h"
#include "types/subject_set.h"

#define RUN 64

/* A log that is quiet for so long is tidied up, also where there are fewer. */
#define QUIET_SECONDS 60

/* Then a row is merged with later ones unless it is so many times as large as all of them. */
#define QUIET_RATIO 4

/* How far back the tables are read for what may be merged. */
#define LOOK_BACK 16384

#define LOCK_TIMEOUT "100ms"

/* One row. */
typedef struct Extent
{
	int32 origin;
	int64 first_leaf;
	int32 leaves;
	Size bytes;
	int level; /* the column */
	int depth; /* how often it was merged */
	TimestampTz sealed_at;
	int month;
} Extent;

/* Neighbours in the list of extents. */
typedef struct Run
{
	int start;
	int n;
	bool is_last_merge; /* what comes of them cannot grow any more */
} Run;

/* The rows at the end of the log, in its order. */
static Extent *extent = NULL;
static int n_extents = 0;
static int capacity = 0;
static bool is_known = false;

/* What the transaction in progress merges, and into what. */
static Run in_progress;
static Extent result;

/* Rows before this leaf could not be merged, and are left alone. */
static int32 given_up_origin = 0;
static int64 given_up = 0;

/* ---- the list ---- */

static void
append(const Extent *new)
{
	if (n_extents == capacity)
	{
		int wanted = Max(256, capacity * 2);
		Extent *larger = MemoryContextAllocExtended(TopMemoryContext, wanted * sizeof(Extent),
		                                            MCXT_ALLOC_NO_OOM);

		if (larger == NULL)
		{
			is_known = false;
			return;
		}
		if (extent != NULL)
		{
			memcpy(larger, extent, n_extents * sizeof(Extent));
			pfree(extent);
		}
		extent = larger;
		capacity = wanted;
	}
	extent[n_extents] = *new;
	extent[n_extents++].month = segment_month(new->sealed_at);
}

static void
remove_extents(int start, int n)
{
	memmove(extent + start, extent + start + n, (n_extents - start - n) * sizeof(Extent));
	n_extents -= n;
}

void
merge_note(const Segment *segment, Size bytes)
{
	Extent new = {.origin = segment->origin,
	              .first_leaf = segment->first_leaf,
	              .leaves = segment->leaves,
	              .bytes = bytes,
	              .level = segment->level,
	              .sealed_at = segment->sealed_at};

	if (is_known)
		append(&new);
}

static void
apply_result(void)
{
	extent[in_progress.start] = result;
	remove_extents(in_progress.start + 1, in_progress.n - 1);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (in_progress.n == 0)
		return;
	if (event == XACT_EVENT_COMMIT)
		apply_result();
	else if (event == XACT_EVENT_ABORT)
	{
		given_up_origin = result.origin;
		given_up = result.first_leaf + result.leaves;
		is_known = false;
	}
	else
		return;
	in_progress.n = 0;
}

static void
read_extents(void)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(LOOK_BACK)};
	static bool is_registered = false;
	uint64 rows;

	if (!is_registered)
		RegisterXactCallback(end_of_transaction, NULL);
	is_registered = true;
	n_extents = 0;
	is_known = true;
	rows =
	    store_query(&plan,
	                "SELECT origin_id, first_leaf, leaves, octet_length(records), level, sealed_at"
	                "  FROM privacy_guard.audit_segment"
	                " WHERE origin_id = (SELECT max(origin_id) FROM privacy_guard.audit_origin)"
	                " ORDER BY first_leaf DESC LIMIT $1",
	                1, types, values, SPI_OK_SELECT);
	for (uint64 i = rows; i > 0; i--)
	{
		Extent row = {.origin = DatumGetInt32(store_column(i - 1, 1)),
		              .first_leaf = DatumGetInt64(store_column(i - 1, 2)),
		              .leaves = DatumGetInt32(store_column(i - 1, 3)),
		              .bytes = DatumGetInt32(store_column(i - 1, 4)),
		              .level = DatumGetInt16(store_column(i - 1, 5)),
		              .sealed_at = DatumGetTimestampTz(store_column(i - 1, 6))};

		append(&row);
	}
}

/* ---- what to merge ---- */

static bool
is_large(const Extent *row)
{
	return segment_is_large(row->leaves, row->bytes);
}

/* May the two, of which right follows left in the list, ever be in one row? */
static bool
are_mergeable(const Extent *left, const Extent *right)
{
	return !is_large(left) && !is_large(right) && left->origin == right->origin &&
	       left->first_leaf + left->leaves == right->first_leaf && left->month == right->month;
}

static bool
is_given_up(const Extent *row)
{
	return row->origin == given_up_origin && row->first_leaf < given_up;
}

/* How many from start on, up to end, fit into one row. */
static int
fitting(int start, int end)
{
	int64 leaves = 0;
	Size bytes = 0;
	int i;

	for (i = start; i < end; i++)
	{
		leaves += extent[i].leaves;
		bytes += extent[i].bytes;
		if (leaves > SEGMENT_MAX_LEAVES || bytes > SEGMENT_MAX_BYTES)
			break;
	}
	return i - start;
}

/*
 * The first rows of the list, when they can no longer grow together with later ones: merged as they
 * are, or taken from the list.  A single one must get into the index of subjects.
 */
static bool
find_closed(Run *run)
{
	while (n_extents > 0)
	{
		int end = 1;

		while (end < n_extents && are_mergeable(&extent[end - 1], &extent[end]))
			end++;
		if (end == n_extents && !is_large(&extent[0]))
			return false;
		*run = (Run){.n = Max(fitting(0, end), 1), .is_last_merge = true};
		if (!is_given_up(&extent[0]) && (run->n > 1 || extent[0].level == 0))
			return true;
		remove_extents(0, 1);
	}
	return false;
}

/* At the end of the list: enough neighbours of the depth of the last one, or less. */
static bool
find_depth(Run *run)
{
	int start = n_extents;

	while (start > 0 && extent[start - 1].depth <= extent[n_extents - 1].depth &&
	       !is_given_up(&extent[start - 1]))
		start--;
	*run = (Run){.start = start, .n = Min(fitting(start, n_extents), RUN)};
	return run->n == RUN || (run->n > 1 && start + run->n < n_extents);
}

static bool
is_quiet(void)
{
	return TimestampDifferenceExceeds(extent[n_extents - 1].sealed_at, GetCurrentTimestamp(),
	                                  QUIET_SECONDS * 1000);
}

static bool
find_quiet(Run *run)
{
	int start = n_extents - 1;
	Size bytes = extent[start].bytes;

	while (start > 0 && extent[start - 1].bytes <= QUIET_RATIO * bytes &&
	       !is_given_up(&extent[start - 1]))
		bytes += extent[--start].bytes;
	*run = (Run){.start = start, .n = fitting(start, n_extents)};
	return run->n > 1;
}

static bool
find_run(Run *run)
{
	if (find_closed(run))
		return true;
	return n_extents > 0 && (find_depth(run) || (is_quiet() && find_quiet(run)));
}

/* ---- merging ---- */

/* Deletes the rows of a run, which are then the result of the query. */
static void
take_rows(const Run *run)
{
	static SPIPlanPtr plan = NULL;
	static int planned_month = 0;
	const Extent *first = &extent[run->start];
	const Extent *last = first + run->n - 1;
	char partition[NAMEDATALEN];
	Oid types[] = {INT4OID, INT8OID, INT8OID};
	Datum values[] = {Int32GetDatum(first->origin), Int64GetDatum(first->first_leaf),
	                  Int64GetDatum(last->first_leaf)};

	if (plan != NULL && planned_month != first->month)
	{
		SPI_freeplan(plan);
		plan = NULL;
	}
	planned_month = first->month;
	segment_partition_name(first->month, partition);
	if (store_query(&plan,
	                psprintf("DELETE FROM privacy_guard_internal.%s"
	                         " WHERE origin_id = $1 AND first_leaf BETWEEN $2 AND $3 RETURNING *",
	                         quote_identifier(partition)),
	                3, types, values, SPI_OK_DELETE_RETURNING) != (uint64) run->n)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
		                errmsg("rows of the audit log have changed while they were to be merged"),
		                errhint("They are left as they are.")));
}

static int
compare_rows(const void *a, const void *b, void *arg)
{
	int64 left = DatumGetInt64(store_column(*(const uint64 *) a, SEGMENT_FIRST_LEAF));
	int64 right = DatumGetInt64(store_column(*(const uint64 *) b, SEGMENT_FIRST_LEAF));

	return left < right ? -1 : left > right;
}

static void
append_column(StringInfo bytes, uint64 row, int column)
{
	bytea *value = DatumGetByteaPP(store_column(row, column));

	appendBinaryStringInfo(bytes, VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
}

static void
append_row(Segment *merged, SubjectBits *subjects, uint64 row)
{
	SubjectSet *set = DatumGetSubjectSetP(store_column(row, SEGMENT_SUBJECTS));
	Size size;
	const char *portable = subject_set_portable(set, &size);

	if (DatumGetInt64(store_column(row, SEGMENT_FIRST_LEAF)) != merged->first_leaf + merged->leaves)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
		                errmsg("rows of the audit log do not follow each other"),
		                errhint("Ask privacy_guard.verify_audit_log() what is wrong.")));
	subject_bits_or_serialized(subjects, portable, size);
	merged->leaves += DatumGetInt32(store_column(row, SEGMENT_LEAVES));
	merged->first_time =
	    Min(merged->first_time, DatumGetTimestampTz(store_column(row, SEGMENT_FIRST_TIME)));
	merged->last_time =
	    Max(merged->last_time, DatumGetTimestampTz(store_column(row, SEGMENT_LAST_TIME)));
	merged->kinds |= DatumGetInt32(store_column(row, SEGMENT_KINDS));
	append_column(&merged->records, row, SEGMENT_RECORDS);
	append_column(&merged->marks, row, SEGMENT_MARKS);
	append_column(&merged->nodes, row, SEGMENT_NODES);
}

/* One row of those that were taken. */
static void
join_rows(const Run *run, Segment *merged)
{
	SubjectBits *subjects = subject_bits_create(CurrentMemoryContext);
	uint64 *order = palloc(run->n * sizeof(uint64));
	uint64 last;

	for (int i = 0; i < run->n; i++)
		order[i] = i;
	qsort_arg(order, run->n, sizeof(uint64), compare_rows, NULL);
	last = order[run->n - 1];

	memset(merged, 0, sizeof(*merged));
	segment_bytes_init(&merged->records);
	segment_bytes_init(&merged->marks);
	segment_bytes_init(&merged->nodes);
	segment_bytes_init(&merged->frontier);
	merged->origin = extent[run->start].origin;
	merged->first_leaf = extent[run->start].first_leaf;
	merged->first_time = DT_NOEND;
	merged->last_time = DT_NOBEGIN;
	for (int i = 0; i < run->n; i++)
		append_row(merged, subjects, order[i]);
	merged->level = run->is_last_merge ||
	                segment_is_large(merged->leaves, segment_bytes_length(&merged->records));
	merged->sealed_at = DatumGetTimestampTz(store_column(last, SEGMENT_SEALED_AT));
	append_column(&merged->frontier, last, SEGMENT_FRONTIER);
	merged->subjects = PointerGetDatum(subject_set_from_bits(subjects));
}

static void
merge_run(const Run *run)
{
	Segment merged;

	/* Somebody who prunes the log must not stop it. */
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_SESSION,
	                         GUC_ACTION_LOCAL, true, 0, false);
	result = extent[run->start];
	for (int i = 1; i < run->n; i++)
	{
		result.leaves += extent[run->start + i].leaves;
		result.depth = Max(result.depth, extent[run->start + i].depth);
	}
	result.depth++;
	in_progress = *run;
	take_rows(run);
	join_rows(run, &merged);
	result.leaves = merged.leaves;
	result.bytes = segment_bytes_length(&merged.records);
	result.level = merged.level;
	result.sealed_at = merged.sealed_at;
	segment_insert(&merged);
}

bool
merge_step(void)
{
	Run run;
	bool found;

	/* While somebody prunes the log, its rows stay as they are. */
	if (!ConditionalLockRelationOid(store_table("audit_prune"), RowExclusiveLock))
		return false;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (!is_known)
		read_extents();
	found = find_run(&run);
	if (found)
		merge_run(&run);
	SPI_finish();
	return found;
}
