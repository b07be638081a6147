/*
 * record.h
 *		One record of the audit log: the bytes that are hashed, stored and shown.
 *
 * A record is a map of CBOR in its deterministic encoding (RFC 8949, 4.2.1) with the numbers below
 * as keys.  Released numbers never change their meaning.
 */
#ifndef PRIVACY_GUARD_RECORD_H
#define PRIVACY_GUARD_RECORD_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* What FIELD_TIME is ahead of a TimestampTz. */
#define UNIX_EPOCH_OFFSET ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

typedef enum RecordKind
{
	RECORD_ACCESS = 1,
	RECORD_DENIAL,
	RECORD_ROLLBACK,
	RECORD_POLICY,
	RECORD_CONSENT,
	RECORD_BREAK_GLASS,
	RECORD_READ,
	RECORD_WRITER,
	RECORD_STATEMENT,
	RECORD_TAMPER,
	RECORD_RETENTION
} RecordKind;

typedef enum RecordField
{
	FIELD_KIND = 1,
	FIELD_TIME, /* microseconds since 1970-01-01 00:00 UTC */
	FIELD_SESSION,
	FIELD_EXECUTION,
	FIELD_SESSION_USER,
	FIELD_CURRENT_USER,
	FIELD_APPLICATION_USER,
	FIELD_APPLICATION_NAME,
	FIELD_ADDRESS,
	FIELD_PID,
	FIELD_PURPOSE,
	FIELD_PURPOSE_VERSION,
	FIELD_LEGAL_BASIS,
	FIELD_RULE,
	FIELD_OPERATION,
	FIELD_RELATION,
	FIELD_RELATION_OID,
	FIELD_COLUMNS, /* array of text */
	FIELD_RECIPIENT,
	FIELD_FINGERPRINT,
	FIELD_ROWS,
	FIELD_WITHHELD,
	FIELD_OUTCOME, /* RecordOutcome, always one byte */
	FIELD_SQLSTATE,
	FIELD_REASON,
	FIELD_COUNT, /* equal denials */
	FIELD_OBJECT,
	FIELD_OLD, /* JSON */
	FIELD_NEW, /* JSON */
	FIELD_TEXT,
	FIELD_LAST_EXECUTION, /* of a rollback: FIELD_EXECUTION is the first */
	FIELD_EXEMPT,
	FIELD_SUBJECTS, /* numbers, or the portable 64-bit Roaring format; always the last */
	RECORD_FIELDS
} RecordField;

typedef enum RecordOutcome
{
	OUTCOME_OPEN, /* more of the execution follows */
	OUTCOME_COMPLETED,
	OUTCOME_FAILED,
	OUTCOME_CANCELLED,
	OUTCOME_ROLLED_BACK
} RecordOutcome;

/* So many subjects are written as an array of numbers, more of them as a Roaring bitmap. */
#define RECORD_SUBJECT_ARRAY 32

extern const char *record_kind_name(int kind); /* NULL for an unknown one */
extern const char *record_outcome_name(int outcome);

/* ---- writing ---- */

/* Fields that were encoded before, to be used more than once. */
typedef struct RecordFragment
{
	const uint8 *bytes;
	Size length;
	int fields;
	RecordField last_field;
} RecordFragment;

/*
 * A map in the making.  Fields come in ascending order; those left out cost nothing.  Bytes beyond
 * the capacity are counted and not written, so that overflow shows in length.
 */
typedef struct RecordWriter
{
	uint8 *data;
	Size capacity;
	Size length;
	Size outcome_at; /* where the byte of FIELD_OUTCOME is; 0 when there is none */
	int fields;
	int last_field;
} RecordWriter;

/* Room for the map's own header, which comes when the fields have been counted. */
#define RECORD_HEADER_SIZE 3

extern void record_begin(RecordWriter *writer, void *buffer, Size capacity);
extern void record_uint(RecordWriter *writer, RecordField field, uint64 value);
extern void record_int(RecordWriter *writer, RecordField field, int64 value);
extern void record_text(RecordWriter *writer, RecordField field,
                        const char *text); /* NULL, "": left out */
extern void record_text_array(RecordWriter *writer, RecordField field, const char *const *text,
                              int n);
extern void record_time(RecordWriter *writer, TimestampTz time);

extern void record_fragment(RecordWriter *writer, const RecordFragment *fragment);

/* The fields written so far, good as long as the writer's buffer. */
extern RecordFragment record_as_fragment(const RecordWriter *writer);

/* The subjects as numbers, ascending, at most RECORD_SUBJECT_ARRAY; or as portable Roaring bytes.
 */
extern void record_subject_array(RecordWriter *writer, const uint64 *subject, int n);
extern void record_subject_bitmap(RecordWriter *writer, const void *portable, Size length);

/*
 * Counts the fields; with promised = 1 the map counts one that the audit writer will append.  The
 * record then begins at *start in the buffer and has *length bytes.
 */
extern bool record_end(RecordWriter *writer, int promised, uint8 **start, Size *length);

/* ---- reading ---- */

typedef struct RecordValue
{
	bool present;
	uint64 number;     /* unsigned, or two's complement of a signed one */
	const uint8 *data; /* text or bytes; of an array, its first element */
	Size length;       /* of text or bytes; of an array, the number of elements */
	bool is_array;
} RecordValue;

typedef struct RecordFields
{
	RecordValue value[RECORD_FIELDS];
} RecordFields;

/*
 * False when the bytes are not a record in the encoding above, with each field of its type; never
 * reads past length.  Texts are not looked into.
 */
extern bool record_parse(const void *bytes, Size length, RecordFields *out);

/* A parsed FIELD_TIME; false when no clock can have said so. */
extern bool record_value_time(const RecordValue *value, TimestampTz *time);

/* The next element of a parsed array of numbers or of texts.  Start with *at = value->data. */
extern void record_next_number(const uint8 **at, uint64 *number);
extern void record_next_text(const uint8 **at, const char **text, Size *length);

#endif
