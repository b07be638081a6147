/*
 * segment.c
 *		Rows of privacy_guard.audit_segment, as the audit writer makes them.
 *
 * The writer knows the partition by its month, and so inserts into it directly.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#include "audit/segment.h"
#include "audit/store.h"

void
segment_bytes_init(StringInfo bytes)
{
	initStringInfo(bytes);
	bytes->len = VARHDRSZ;
}

Size
segment_bytes_length(const StringInfoData *bytes)
{
	return bytes->len - VARHDRSZ;
}

static Datum
bytes_datum(StringInfo bytes)
{
	SET_VARSIZE(bytes->data, bytes->len);
	return PointerGetDatum(bytes->data);
}

bool
segment_next_record(const uint8 **at, const uint8 *end, const uint8 **record, Size *length)
{
	uint32 n;

	if (end - *at < (ptrdiff_t) sizeof(n))
		return false;
	memcpy(&n, *at, sizeof(n));
	n = pg_ntoh32(n);
	if (n == 0 || n > end - *at - sizeof(n))
		return false;
	*record = *at + sizeof(n);
	*length = n;
	*at = *record + n;
	return true;
}

int
segment_month(TimestampTz sealed_at)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(sealed_at, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "a time is out of range");
	return tm.tm_year * 100 + tm.tm_mon;
}

void
segment_partition_name(int month, char *name)
{
	snprintf(name, NAMEDATALEN, "audit_segment_%06d", month);
}

void
segment_make_partition(int month)
{
	static SPIPlanPtr plan = NULL;
	char name[NAMEDATALEN];
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(month)};

	segment_partition_name(month, name);
	if (OidIsValid(store_internal_table(name, true)))
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	(void) store_query(&plan, "SELECT privacy_guard_internal.make_audit_partition($1)", 1, types,
	                   values, SPI_OK_SELECT);
	SPI_finish();
}

static Oid
partition_of(int month)
{
	char name[NAMEDATALEN];
	Oid relid;

	segment_make_partition(month);
	segment_partition_name(month, name);
	relid = store_internal_table(name, false);
	if (get_partition_parent(relid, false) != store_table("audit_segment"))
		elog(ERROR, "\"%s\" is not a partition of the audit log", name);
	return relid;
}

void
segment_insert(Segment *segment)
{
	Datum values[SEGMENT_COLUMNS + 1];

	values[SEGMENT_ORIGIN] = Int32GetDatum(segment->origin);
	values[SEGMENT_FIRST_LEAF] = Int64GetDatum(segment->first_leaf);
	values[SEGMENT_LEAVES] = Int32GetDatum(segment->leaves);
	values[SEGMENT_SEALED_AT] = TimestampTzGetDatum(segment->sealed_at);
	values[SEGMENT_LEVEL] = Int16GetDatum(Min(segment->level, PG_INT16_MAX));
	values[SEGMENT_FIRST_TIME] = TimestampTzGetDatum(segment->first_time);
	values[SEGMENT_LAST_TIME] = TimestampTzGetDatum(segment->last_time);
	values[SEGMENT_KINDS] = Int32GetDatum(segment->kinds);
	values[SEGMENT_SUBJECTS] = segment->subjects;
	values[SEGMENT_RECORDS] = bytes_datum(&segment->records);
	values[SEGMENT_MARKS] = bytes_datum(&segment->marks);
	values[SEGMENT_NODES] = bytes_datum(&segment->nodes);
	values[SEGMENT_FRONTIER] = bytes_datum(&segment->frontier);
	store_insert(partition_of(segment_month(segment->sealed_at)), values + 1);
}
