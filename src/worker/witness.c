/*
 * witness.c
 *		What the audit writer says of itself: that it started, stopped, and what nobody witnessed.
 *
 * A start without the stop of the writer before means a crash: what was in the ring is lost.  That
 * is exact, for the stop is the last record of a writer that has drained its ring, and a writer
 * that dies while the server goes on is followed by another on the same ring.
 *
 * Did the server run without us?  Each run that ends in order, and each recovery after a crash,
 * leaves one shutdown checkpoint in the WAL, also when the run wrote nothing else.  The records of
 * a writer tell their place in the WAL.  After the stop at a shutdown, and after a start that
 * ended in a crash, there must be exactly one such checkpoint until now, after any other stop
 * none.  One more ends a run in which no writer of this database took part.  The launcher leaves a
 * mark in the WAL when it starts, so a run without a mark was one without the library (or one that
 * ended before the launcher began), and a run with it one in which the writer found no slot, no
 * ring or no time. This needs no clock and no files of our own, but WAL: where that has been
 * recycled already, nothing can be said, and after an orderly stop the record says that.  While
 * nothing is guarded nobody needs to watch.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "catalog/pg_control.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "utils/timestamp.h"

#include "audit/record.h"
#include "audit/seal.h"
#include "audit/segment.h"
#include "compat.h"
#include "worker/witness.h"

#define OPERATION_STOP "stop"

/* The system and the database, and where the server is in its history. */
#define PLACE_FORMAT                                                                               \
	"{\"system_identifier\": \"" UINT64_FORMAT "\", \"database\": %u, \"timeline\": %u, "          \
	"\"lsn\": \"%X/%X\", \"next_transaction\": \"" UINT64_FORMAT "\", \"library\": \"%s\"}"

typedef struct LastWords
{
	bool known; /* this database has some of itself */
	bool stopped;
	char reason[64];
	char place[256];
	XLogRecPtr lsn;
} LastWords;

/* What the WAL tells of the time since then. */
typedef enum Runs
{
	RUNS_UNKNOWN,
	RUNS_NONE,      /* no run but that of the last words, and this one */
	RUNS_UNWATCHED, /* one with the library, and without a writer here */
	RUNS_ABSENT     /* one without the library */
} Runs;

static LastWords last;
static Runs runs = RUNS_UNKNOWN;

#define MARK "privacy_guard run"

/* A longer way through the WAL would keep the sessions waiting that wait for the writer. */
#define LONGEST_READ ((uint64) 256 * 1024 * 1024)

/* ---- recalling ---- */

static void
copy_text(char *target, Size size, const RecordValue *value)
{
	Size length = value->present ? Min(value->length, size - 1) : 0;

	if (length > 0)
		memcpy(target, value->data, length);
	target[length] = '\0';
}

static void
take_words(const RecordFields *fields)
{
	unsigned long long system;
	unsigned int database;
	unsigned int timeline;
	uint32 high;
	uint32 low;
	char operation[16];

	copy_text(operation, sizeof(operation), &fields->value[FIELD_OPERATION]);
	copy_text(last.reason, sizeof(last.reason), &fields->value[FIELD_REASON]);
	copy_text(last.place, sizeof(last.place), &fields->value[FIELD_NEW]);
	last.stopped = strcmp(operation, OPERATION_STOP) == 0;
	last.known = sscanf(last.place,
	                    "{\"system_identifier\": \"%llu\", \"database\": %u, \"timeline\": %u, "
	                    "\"lsn\": \"%X/%X\"",
	                    &system, &database, &timeline, &high, &low) == 5 &&
	             system == GetSystemIdentifier() && database == MyDatabaseId;
	if (last.known)
		last.lsn = (uint64) high << 32 | low;
}

/* The last record of a writer among those of a segment. */
static void
search_segment(const uint8 *at, const uint8 *end)
{
	const uint8 *record;
	Size length;

	while (segment_next_record(&at, end, &record, &length))
	{
		RecordFields fields;

		if (record_parse(record, length, &fields) &&
		    fields.value[FIELD_KIND].number == RECORD_WRITER)
			take_words(&fields);
	}
	if (at != end)
		elog(ERROR, "a segment of the audit log is damaged");
}

void
witness_recall(void)
{
	char *query = psprintf("SELECT records FROM privacy_guard.audit_segment WHERE kinds & %d <> 0 "
	                       "ORDER BY origin_id DESC, first_leaf DESC LIMIT 1",
	                       1 << RECORD_WRITER);
	bytea *records;
	bool isnull;

	memset(&last, 0, sizeof(last));
	SPI_connect();
	if (SPI_execute(query, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the audit log");
	if (SPI_processed > 0)
	{
		records = DatumGetByteaPP(
		    SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		search_segment((uint8 *) VARDATA_ANY(records),
		               (uint8 *) VARDATA_ANY(records) + VARSIZE_ANY_EXHDR(records));
	}
	SPI_finish();
}

/* ---- the WAL since then ---- */

static bool
next_record(XLogReaderState *reader)
{
	ReadLocalXLogPageNoWaitPrivate *position = reader->private_data;
	char *message = NULL;

	if (XLogReadRecord(reader, &message) != NULL)
		return true;
	if (!position->end_of_wal)
		elog(ERROR, "could not read WAL: %s", message ? message : "no record");
	return false;
}

static bool
is_shutdown(XLogReaderState *reader)
{
	return XLogRecGetRmid(reader) == RM_XLOG_ID &&
	       (XLogRecGetInfo(reader) & ~XLR_INFO_MASK) == XLOG_CHECKPOINT_SHUTDOWN;
}

static bool
is_mark(XLogReaderState *reader)
{
	xl_logical_message *message = (xl_logical_message *) XLogRecGetData(reader);

	return XLogRecGetRmid(reader) == RM_LOGICALMSG_ID && message->prefix_size == sizeof(MARK) &&
	       memcmp(message->message, MARK, sizeof(MARK)) == 0;
}

/*
 * Of the checkpoints, so many end the run of the last words; each other one ends a further run, and
 * a mark in between says that it had the library.
 */
static Runs
count_runs(XLogReaderState *reader, int expected)
{
	ReadLocalXLogPageNoWaitPrivate *position = reader->private_data;
	Runs result = RUNS_NONE;
	bool marked = expected == 0;

	while (result != RUNS_ABSENT && !position->end_of_wal && next_record(reader))
	{
		CHECK_FOR_INTERRUPTS();
		if (reader->ReadRecPtr - last.lsn > LONGEST_READ)
			return result == RUNS_NONE ? RUNS_UNKNOWN : result;
		if (is_mark(reader))
			marked = true;
		if (!is_shutdown(reader))
			continue;
		if (expected-- <= 0)
			result = marked ? RUNS_UNWATCHED : RUNS_ABSENT;
		marked = false;
	}
	return result;
}

static int
expected_shutdowns(void)
{
	return !last.stopped || strcmp(last.reason, STOP_SHUTDOWN) == 0 ? 1 : 0;
}

void
witness_read_wal(void)
{
	ReadLocalXLogPageNoWaitPrivate position = {.end_of_wal = false};
	XLogReaderRoutine routine = {.page_read = read_local_xlog_page_no_wait,
	                             .segment_open = wal_segment_open,
	                             .segment_close = wal_segment_close};
	XLogReaderState *reader;

	runs = RUNS_UNKNOWN;
	if (!last.known)
		return;
	reader = XLogReaderAllocate(wal_segment_size, NULL, &routine, &position);
	if (reader == NULL)
		elog(ERROR, "out of memory");
	if (XLogRecPtrIsInvalid(XLogFindNextRecord(reader, last.lsn)) && !position.end_of_wal)
		elog(ERROR, "no WAL after the last record of the audit writer");
	runs = count_runs(reader, expected_shutdowns());
	XLogReaderFree(reader);
}

/* Not part of any transaction, nor of any database: no logical decoding sees it. */
void
witness_mark_run(void)
{
	COMPAT_LOG_MESSAGE(MARK, "", 0);
}

/* ---- saying ---- */

static char *
place_now(void)
{
	XLogRecPtr lsn = GetXLogInsertRecPtr();

	return psprintf(PLACE_FORMAT, GetSystemIdentifier(), MyDatabaseId, GetWALInsertionTimeLine(),
	                LSN_FORMAT_ARGS(lsn), U64FromFullTransactionId(ReadNextFullTransactionId()),
	                PRIVACY_GUARD_VERSION);
}

static void
say(const char *operation, const char *reason, const char *old_place)
{
	uint8 buffer[1024];
	RecordWriter writer;
	uint8 *start;
	Size length;

	record_begin(&writer, buffer, sizeof(buffer));
	record_uint(&writer, FIELD_KIND, RECORD_WRITER);
	record_time(&writer, GetCurrentTimestamp());
	record_uint(&writer, FIELD_PID, MyProcPid);
	record_text(&writer, FIELD_OPERATION, operation);
	record_text(&writer, FIELD_REASON, reason);
	record_text(&writer, FIELD_OLD, old_place);
	record_text(&writer, FIELD_NEW, place_now());
	if (!record_end(&writer, 0, &start, &length))
		elog(ERROR, "record of the audit writer is too long");
	seal_own(start, length);
}

static void
say_gap(const char *reason)
{
	say("gap", reason, last.place);
	ereport(LOG, (errmsg("the audit log has a gap: %s", reason),
	              errhint("It is on record, with the places in the WAL between which it lies.")));
}

static void
say_gaps(void)
{
	if (!last.known || (last.stopped && strcmp(last.reason, STOP_UNGUARDED) == 0))
		return;
	if (!last.stopped)
		say_gap("crash");
	else if (runs == RUNS_UNKNOWN)
		say_gap("not known");
	if (runs == RUNS_ABSENT)
		say_gap("library absent");
	else if (runs == RUNS_UNWATCHED)
		say_gap("writer absent");
}

void
witness_start(bool first)
{
	if (first)
		say_gaps();
	say("start", first ? "server started" : "restarted", NULL);
}

void
witness_stop(const char *reason)
{
	say(OPERATION_STOP, reason, NULL);
}
