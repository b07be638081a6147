/*
 * witness.c
 *		What the audit writer says of itself: that it started, stopped, and what nobody witnessed.
 *
 * A start without the stop of the writer before means a crash: what was in the ring is lost.  That
 *is exact, for the stop is the last record of a writer that has drained its ring, and a writer that
 * dies while the server goes on is followed by another on the same ring.
 *
 * Did the server run without the library?  Each run that ends in order, and each recovery after a
 * crash, leaves one shutdown checkpoint in the WAL.  The stop of a writer tells its place in the
 *WAL; so between it and now there must be exactly one such checkpoint, that of the shutdown which
 *the writer stopped for, or none when it stopped for another reason.  One more is a run in which no
 * writer of this database took part.  This needs neither clock nor files of our own, and holds for
 * runs that wrote nothing.  It cannot tell a server without the library from one with it whose
 *writer found no worker slot.  When the WAL at the stop has been recycled already, nothing can be
 *said, and the record says that.  While nothing is guarded nobody needs to watch.
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
#include "utils/timestamp.h"

#include "audit/record.h"
#include "audit/seal.h"
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

static LastWords last;

/* Shutdown checkpoints since the last words; -1: not known.  Two are as many as more. */
static int shutdowns = -1;

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
	while (end - at >= 4)
	{
		Size length = (Size) at[0] << 24 | (Size) at[1] << 16 | (Size) at[2] << 8 | at[3];
		RecordFields fields;

		at += 4;
		if (length > end - at)
			elog(ERROR, "a segment of the audit log is damaged");
		if (record_parse(at, length, &fields) && fields.value[FIELD_KIND].number == RECORD_WRITER)
			take_words(&fields);
		at += length;
	}
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

void
witness_read_wal(void)
{
	ReadLocalXLogPageNoWaitPrivate position = {.end_of_wal = false};
	XLogReaderState *reader;
	int found = 0;

	shutdowns = -1;
	if (!last.known || !last.stopped)
		return;
	reader = XLogReaderAllocate(wal_segment_size, NULL,
	                            XL_ROUTINE(.page_read = &read_local_xlog_page_no_wait,
	                                       .segment_open = &wal_segment_open,
	                                       .segment_close = &wal_segment_close),
	                            &position);
	if (reader == NULL)
		elog(ERROR, "out of memory");
	if (XLogRecPtrIsInvalid(XLogFindNextRecord(reader, last.lsn)) && !position.end_of_wal)
		elog(ERROR, "no WAL after the last record of the audit writer");
	while (found < 2 && !position.end_of_wal && next_record(reader))
	{
		CHECK_FOR_INTERRUPTS();
		found += is_shutdown(reader) ? 1 : 0;
	}
	XLogReaderFree(reader);
	shutdowns = found;
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

/* NULL when there is none. */
static const char *
gap(void)
{
	int expected = strcmp(last.reason, STOP_SHUTDOWN) == 0 ? 1 : 0;

	if (!last.known)
		return NULL;
	if (!last.stopped)
		return "crash";
	if (strcmp(last.reason, STOP_UNGUARDED) == 0)
		return NULL;
	if (shutdowns < 0)
		return "not witnessed";
	if (shutdowns > expected)
		return expected == 1 ? "library absent" : "writer absent";
	return NULL;
}

void
witness_start(bool first)
{
	const char *reason = first ? gap() : NULL;

	if (reason != NULL)
	{
		say("gap", reason, last.place);
		ereport(LOG,
		        (errmsg("the audit log has a gap: %s", reason),
		         errhint("It is on record, with the places in the WAL between which it lies.")));
	}
	say("start", first ? "server started" : "restarted", NULL);
}

void
witness_stop(const char *reason)
{
	say(OPERATION_STOP, reason, NULL);
}
