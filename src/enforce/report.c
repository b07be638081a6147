/*
 * report.c
 *		Counting what is withheld or, in monitor mode, would be.
 *
 * A hash table in shared memory of fixed size, one entry for each role, purpose, relation,
 * statement fingerprint and reason.  ReportShared.lock guards all of it; the counters are advanced
 * under the shared lock, entries are made under the exclusive one.  When it is full, statements of
 * further combinations are not counted, and the server's log says so once.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "enforce/frame.h"
#include "enforce/report.h"
#include "policy/policy.h"

#define REPORT_ENTRIES 4096

typedef struct ReportKey
{
	Oid database;
	Oid role;
	Oid relation;
	int32 purpose; /* its number; 0 for none */
	uint64 fingerprint;
	ReportReason reason;
	bool monitored;
} ReportKey;

typedef struct ReportEntry
{
	ReportKey key;
	pg_atomic_uint64 statements;
	pg_atomic_uint64 rows;
	TimestampTz first_seen;
	pg_atomic_uint64 last_seen;
} ReportEntry;

typedef struct ReportShared
{
	LWLock lock;
	bool full; /* an entry found no room since the last reset */
} ReportShared;

static ReportShared *shared = NULL;
static HTAB *entries = NULL;

PG_FUNCTION_INFO_V1(report_read);
PG_FUNCTION_INFO_V1(report_reset);

Size
report_shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(ReportShared)),
	                hash_estimate_size(REPORT_ENTRIES, sizeof(ReportEntry)));
}

void
report_shmem_attach(void)
{
	HASHCTL info = {.keysize = sizeof(ReportKey), .entrysize = sizeof(ReportEntry)};
	bool found;

	shared = ShmemInitStruct("privacy_guard report", sizeof(ReportShared), &found);
	if (!found)
	{
		LWLockInitialize(&shared->lock, LWLockNewTrancheId());
		shared->full = false;
	}
	LWLockRegisterTranche(shared->lock.tranche, "privacy_guard_report");
	entries = ShmemInitHash("privacy_guard report entries", REPORT_ENTRIES, REPORT_ENTRIES, &info,
	                        HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

static void
entry_count(ReportEntry *entry, uint64 rows)
{
	pg_atomic_fetch_add_u64(&entry->statements, 1);
	pg_atomic_fetch_add_u64(&entry->rows, rows);
	pg_atomic_write_u64(&entry->last_seen, (uint64) GetCurrentTimestamp());
}

static void
count(const ReportKey *key, uint64 rows)
{
	ReportEntry *entry;
	bool found;
	bool first_lost;

	LWLockAcquire(&shared->lock, LW_SHARED);
	entry = hash_search(entries, key, HASH_FIND, NULL);
	if (entry != NULL)
		entry_count(entry, rows);
	LWLockRelease(&shared->lock);
	if (entry != NULL)
		return;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	entry = hash_search(entries, key, HASH_ENTER_NULL, &found);
	if (entry != NULL)
	{
		if (!found)
		{
			pg_atomic_init_u64(&entry->statements, 0);
			pg_atomic_init_u64(&entry->rows, 0);
			pg_atomic_init_u64(&entry->last_seen, 0);
			entry->first_seen = GetCurrentTimestamp();
		}
		entry_count(entry, rows);
	}
	first_lost = entry == NULL && !shared->full;
	shared->full |= entry == NULL;
	LWLockRelease(&shared->lock);
	if (first_lost)
		ereport(LOG, (errmsg("the enforcement report of privacy_guard is full"),
		              errhint("Start it afresh with privacy_guard.reset_enforcement_report().")));
}

static ReportKey
make_key(const Frame *frame, const FrameTable *table, ReportReason reason)
{
	ReportKey key;

	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.role = frame->role;
	key.relation = table->table->relid;
	key.purpose = frame->purpose ? frame->purpose->id : 0;
	key.fingerprint = frame->query ? frame->query->plannedstmt->queryId : 0;
	key.reason = reason;
	key.monitored = table->monitored;
	return key;
}

void
report_refusal(Frame *frame, FrameTable *table, ReportReason reason)
{
	ReportKey key = make_key(frame, table, reason);

	count(&key, 0);
}

static void
count_rows(const Frame *frame, const FrameTable *table, ReportReason reason, uint64 rows)
{
	ReportKey key = make_key(frame, table, reason);

	if (rows > 0)
		count(&key, rows);
}

void
report_withheld(Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
	{
		FrameTable *table = &frame->tables[i];

		count_rows(frame, table, REPORT_ROWS, table->withheld - table->expired);
		count_rows(frame, table, REPORT_EXPIRED, table->expired);
		table->withheld = table->expired = 0;
	}
}

/* ---- SQL ---- */

static const char *const reason_names[] = {
    [REPORT_NO_PURPOSE] = "no_purpose", [REPORT_NOT_ENTITLED] = "not_entitled",
    [REPORT_NO_RULE] = "no_rule",       [REPORT_PROHIBITED] = "prohibited",
    [REPORT_ROWS] = "rows_withheld",    [REPORT_EXPIRED] = "rows_expired",
};

/*
 * report_read() returns (role oid, purpose_id int4, relation oid, fingerprint int8, reason text,
 * monitored bool, statements int8, rows int8, first_seen timestamptz, last_seen timestamptz) for
 * this database.
 */
Datum
report_read(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS seq;
	ReportEntry *entry;

	InitMaterializedSRF(fcinfo, 0);
	LWLockAcquire(&shared->lock, LW_SHARED);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		bool nulls[10] = {false};
		Datum values[10];

		if (entry->key.database != MyDatabaseId)
			continue;
		values[0] = ObjectIdGetDatum(entry->key.role);
		values[1] = Int32GetDatum(entry->key.purpose);
		values[2] = ObjectIdGetDatum(entry->key.relation);
		values[3] = Int64GetDatum((int64) entry->key.fingerprint);
		values[4] = CStringGetTextDatum(reason_names[entry->key.reason]);
		values[5] = BoolGetDatum(entry->key.monitored);
		values[6] = Int64GetDatum((int64) pg_atomic_read_u64(&entry->statements));
		values[7] = Int64GetDatum((int64) pg_atomic_read_u64(&entry->rows));
		values[8] = TimestampTzGetDatum(entry->first_seen);
		values[9] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&entry->last_seen));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	LWLockRelease(&shared->lock);
	return (Datum) 0;
}

/* Forget the counts of this database. */
Datum
report_reset(PG_FUNCTION_ARGS)
{
	HASH_SEQ_STATUS seq;
	ReportEntry *entry;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	hash_seq_init(&seq, entries);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->key.database == MyDatabaseId)
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	shared->full = false;
	LWLockRelease(&shared->lock);
	PG_RETURN_VOID();
}
