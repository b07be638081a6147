/*
 * segment.h
 *		Rows of privacy_guard.audit_segment, as the audit writer makes them.
 */
#ifndef PRIVACY_GUARD_SEGMENT_H
#define PRIVACY_GUARD_SEGMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

/* No row is made larger than this, unless a single message is. */
#define SEGMENT_MAX_LEAVES 16384
#define SEGMENT_MAX_BYTES (4 * 1024 * 1024)

/* Of each leaf hash, column marks has so many bytes. */
#define SEGMENT_MARK_SIZE 8

/* Half of that is not merged with more, and so gets into the index of subjects. */
static inline bool
segment_is_large(int64 leaves, Size bytes)
{
	return leaves >= SEGMENT_MAX_LEAVES / 2 || bytes >= SEGMENT_MAX_BYTES / 2;
}

/* The columns, in the order of src/sql/audit_tables.sql. */
enum
{
	SEGMENT_ORIGIN = 1,
	SEGMENT_FIRST_LEAF,
	SEGMENT_LEAVES,
	SEGMENT_SEALED_AT,
	SEGMENT_LEVEL,
	SEGMENT_FIRST_TIME,
	SEGMENT_LAST_TIME,
	SEGMENT_KINDS,
	SEGMENT_SUBJECTS,
	SEGMENT_RECORDS,
	SEGMENT_MARKS,
	SEGMENT_NODES,
	SEGMENT_FRONTIER
};
#define SEGMENT_COLUMNS SEGMENT_FRONTIER

typedef struct Segment
{
	int32 origin;
	int64 first_leaf;
	int32 leaves;
	TimestampTz sealed_at;
	int level; /* 1: in the index of subjects, because it is not merged any more */
	TimestampTz first_time;
	TimestampTz last_time;
	int32 kinds;
	Datum subjects;         /* of type subject_set */
	StringInfoData records; /* these begin with a varlena header: see segment_bytes_init() */
	StringInfoData marks;
	StringInfoData nodes;
	StringInfoData frontier;
} Segment;

/* Bytes in the making, and the value of type bytea that they are. */
extern void segment_bytes_init(StringInfo bytes);
extern Size segment_bytes_length(const StringInfoData *bytes);

/*
 * The record at *at in the column records, where each follows its length in 4 bytes; *at moves
 * behind it.  False, and nothing moves, where no whole record is.
 */
extern bool segment_next_record(const uint8 **at, const uint8 *end, const uint8 **record,
                                Size *length);

/* The month in UTC by which a row is partitioned: 202511. */
extern int segment_month(TimestampTz sealed_at);
extern void segment_partition_name(int month, char *name); /* NAMEDATALEN */

/* Inserts a row in the current transaction, into the partition of its month, made when missing. */
extern void segment_insert(Segment *segment);

/* Makes the partition when it is missing. */
extern void segment_make_partition(int month);

#endif
