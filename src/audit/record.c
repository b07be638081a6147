/*
 * record.c
 *		One record of the audit log: the bytes that are hashed, stored and shown.
 *
 * No allocation and no errors: records are also closed while a transaction aborts.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/timestamp.h"

#include "audit/record.h"

/* The major types of CBOR. */
#define CBOR_UINT 0
#define CBOR_NEGATIVE 1
#define CBOR_BYTES 2
#define CBOR_TEXT 3
#define CBOR_ARRAY 4
#define CBOR_MAP 5

static const char *const kind_names[] = {
    [RECORD_ACCESS] = "access",       [RECORD_DENIAL] = "denial",
    [RECORD_ROLLBACK] = "rollback",   [RECORD_POLICY] = "policy",
    [RECORD_CONSENT] = "consent",     [RECORD_BREAK_GLASS] = "break_glass",
    [RECORD_READ] = "read",           [RECORD_WRITER] = "writer",
    [RECORD_STATEMENT] = "statement", [RECORD_TAMPER] = "tamper",
    [RECORD_RETENTION] = "retention",
};

static const char *const outcome_names[] = {
    [OUTCOME_OPEN] = "open",
    [OUTCOME_COMPLETED] = "completed",
    [OUTCOME_FAILED] = "failed",
    [OUTCOME_CANCELLED] = "cancelled",
    [OUTCOME_ROLLED_BACK] = "rolled_back",
};

const char *
record_kind_name(int kind)
{
	return kind > 0 && kind < lengthof(kind_names) ? kind_names[kind] : NULL;
}

const char *
record_outcome_name(int outcome)
{
	return outcome >= 0 && outcome < lengthof(outcome_names) ? outcome_names[outcome] : NULL;
}

/* ---- writing ---- */

static inline void
put(RecordWriter *writer, const void *bytes, Size length)
{
	if (writer->length + length <= writer->capacity)
		memcpy(writer->data + writer->length, bytes, length);
	writer->length += length;
}

/* The head of an item: its major type and a number in the shortest form. */
static int
head(uint8 *out, int major, uint64 number)
{
	int bytes = number < 24            ? 0
	            : number <= 0xff       ? 1
	            : number <= 0xffff     ? 2
	            : number <= 0xffffffff ? 4
	                                   : 8;

	out[0] = (uint8) (major << 5 | (bytes == 0   ? (int) number
	                                : bytes == 1 ? 24
	                                : bytes == 2 ? 25
	                                : bytes == 4 ? 26
	                                             : 27));
	for (int i = 0; i < bytes; i++)
		out[1 + i] = (uint8) (number >> (8 * (bytes - 1 - i)));
	return 1 + bytes;
}

static void
put_head(RecordWriter *writer, int major, uint64 number)
{
	uint8 bytes[9];

	put(writer, bytes, head(bytes, major, number));
}

static void
put_key(RecordWriter *writer, RecordField field)
{
	Assert((int) field > writer->last_field);
	put_head(writer, CBOR_UINT, field);
	writer->fields++;
	writer->last_field = field;
}

static void
put_text(RecordWriter *writer, const char *text)
{
	Size length = strlen(text);

	put_head(writer, CBOR_TEXT, length);
	put(writer, text, length);
}

void
record_begin(RecordWriter *writer, void *buffer, Size capacity)
{
	memset(writer, 0, sizeof(*writer));
	writer->data = buffer;
	writer->capacity = capacity;
	writer->length = RECORD_HEADER_SIZE;
}

void
record_uint(RecordWriter *writer, RecordField field, uint64 value)
{
	put_key(writer, field);
	if (field == FIELD_OUTCOME)
		writer->outcome_at = writer->length;
	put_head(writer, CBOR_UINT, value);
}

void
record_int(RecordWriter *writer, RecordField field, int64 value)
{
	put_key(writer, field);
	if (value >= 0)
		put_head(writer, CBOR_UINT, (uint64) value);
	else
		put_head(writer, CBOR_NEGATIVE, ~(uint64) value);
}

void
record_text(RecordWriter *writer, RecordField field, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	put_key(writer, field);
	put_text(writer, text);
}

void
record_text_array(RecordWriter *writer, RecordField field, const char *const *text, int n)
{
	if (n == 0)
		return;
	put_key(writer, field);
	put_head(writer, CBOR_ARRAY, n);
	for (int i = 0; i < n; i++)
		put_text(writer, text[i]);
}

void
record_time(RecordWriter *writer, TimestampTz time)
{
	record_int(writer, FIELD_TIME, time + UNIX_EPOCH_OFFSET);
}

void
record_fragment(RecordWriter *writer, const RecordFragment *fragment)
{
	if (fragment->fields == 0)
		return;
	put(writer, fragment->bytes, fragment->length);
	writer->fields += fragment->fields;
	writer->last_field = fragment->last_field;
}

RecordFragment
record_as_fragment(const RecordWriter *writer)
{
	Assert(writer->length <= writer->capacity);
	return (RecordFragment){writer->data + RECORD_HEADER_SIZE, writer->length - RECORD_HEADER_SIZE,
	                        writer->fields, writer->last_field};
}

void
record_subject_array(RecordWriter *writer, const uint64 *subject, int n)
{
	Assert(n <= RECORD_SUBJECT_ARRAY);
	put_key(writer, FIELD_SUBJECTS);
	put_head(writer, CBOR_ARRAY, n);
	for (int i = 0; i < n; i++)
		put_head(writer, CBOR_UINT, subject[i]);
}

void
record_subject_bitmap(RecordWriter *writer, const void *portable, Size length)
{
	put_key(writer, FIELD_SUBJECTS);
	put_head(writer, CBOR_BYTES, length);
	put(writer, portable, length);
}

bool
record_end(RecordWriter *writer, int promised, uint8 **start, Size *length)
{
	uint8 bytes[9];
	int n = head(bytes, CBOR_MAP, writer->fields + promised);

	*start = writer->data + RECORD_HEADER_SIZE - n;
	*length = writer->length - RECORD_HEADER_SIZE + n;
	if (writer->length > writer->capacity)
		return false;
	memcpy(*start, bytes, n);
	return true;
}

/* ---- reading ---- */

typedef struct Reader
{
	const uint8 *at;
	const uint8 *end;
} Reader;

/* Only the shortest form of a number is accepted. */
static inline bool
is_shortest(int bytes, uint64 number)
{
	return bytes == 0 || (bytes == 1 ? number >= 24 : number >> (4 * bytes) != 0);
}

static inline bool
read_head(Reader *reader, int *major, uint64 *number)
{
	int bytes;
	uint8 info;

	if (reader->at >= reader->end)
		return false;
	*major = reader->at[0] >> 5;
	info = reader->at[0] & 31;
	bytes = info < 24 ? 0 : info == 24 ? 1 : info == 25 ? 2 : info == 26 ? 4 : info == 27 ? 8 : -1;
	if (bytes < 0 || reader->end - reader->at < 1 + bytes)
		return false;
	*number = bytes == 0 ? info : 0;
	for (int i = 0; i < bytes; i++)
		*number = *number << 8 | reader->at[1 + i];
	if (!is_shortest(bytes, *number))
		return false;
	reader->at += 1 + bytes;
	return true;
}

static bool
read_string(Reader *reader, uint64 length, RecordValue *value)
{
	if (length > (uint64) (reader->end - reader->at))
		return false;
	value->data = reader->at;
	value->length = length;
	reader->at += length;
	return true;
}

static bool
read_array(Reader *reader, uint64 n, int element_major, RecordValue *value)
{
	value->is_array = true;
	value->data = reader->at;
	value->length = n;
	for (uint64 i = 0; i < n; i++)
	{
		RecordValue element;
		uint64 number;
		int major;

		if (!read_head(reader, &major, &number) || major != element_major)
			return false;
		if (major == CBOR_TEXT && !read_string(reader, number, &element))
			return false;
	}
	return true;
}

/* Which major types a field may have. */
#define IS(major) (1 << (major))

static const uint8 field_types[RECORD_FIELDS] = {
    [FIELD_KIND] = IS(CBOR_UINT),
    [FIELD_TIME] = IS(CBOR_UINT) | IS(CBOR_NEGATIVE),
    [FIELD_SESSION] = IS(CBOR_TEXT),
    [FIELD_EXECUTION] = IS(CBOR_UINT),
    [FIELD_SESSION_USER] = IS(CBOR_TEXT),
    [FIELD_CURRENT_USER] = IS(CBOR_TEXT),
    [FIELD_APPLICATION_USER] = IS(CBOR_TEXT),
    [FIELD_APPLICATION_NAME] = IS(CBOR_TEXT),
    [FIELD_ADDRESS] = IS(CBOR_TEXT),
    [FIELD_PID] = IS(CBOR_UINT),
    [FIELD_PURPOSE] = IS(CBOR_TEXT),
    [FIELD_PURPOSE_VERSION] = IS(CBOR_UINT),
    [FIELD_LEGAL_BASIS] = IS(CBOR_TEXT),
    [FIELD_RULE] = IS(CBOR_UINT),
    [FIELD_OPERATION] = IS(CBOR_TEXT),
    [FIELD_RELATION] = IS(CBOR_TEXT),
    [FIELD_RELATION_OID] = IS(CBOR_UINT),
    [FIELD_COLUMNS] = IS(CBOR_ARRAY),
    [FIELD_RECIPIENT] = IS(CBOR_TEXT),
    [FIELD_FINGERPRINT] = IS(CBOR_UINT) | IS(CBOR_NEGATIVE),
    [FIELD_ROWS] = IS(CBOR_UINT),
    [FIELD_WITHHELD] = IS(CBOR_UINT),
    [FIELD_OUTCOME] = IS(CBOR_UINT),
    [FIELD_SQLSTATE] = IS(CBOR_TEXT),
    [FIELD_REASON] = IS(CBOR_TEXT),
    [FIELD_COUNT] = IS(CBOR_UINT),
    [FIELD_OBJECT] = IS(CBOR_TEXT),
    [FIELD_OLD] = IS(CBOR_TEXT),
    [FIELD_NEW] = IS(CBOR_TEXT),
    [FIELD_TEXT] = IS(CBOR_TEXT),
    [FIELD_LAST_EXECUTION] = IS(CBOR_UINT),
    [FIELD_EXEMPT] = IS(CBOR_TEXT),
    [FIELD_SUBJECTS] = IS(CBOR_ARRAY) | IS(CBOR_BYTES),
};

static bool
read_value(Reader *reader, RecordField field, RecordValue *value)
{
	uint64 number;
	int major;

	if (!read_head(reader, &major, &number) || (field_types[field] & IS(major)) == 0)
		return false;
	value->present = true;
	switch (major)
	{
		case CBOR_UINT:
			value->number = number;
			return number <= PG_INT64_MAX || (field_types[field] & IS(CBOR_NEGATIVE)) == 0;
		case CBOR_NEGATIVE:
			value->number = ~number;
			return number <= PG_INT64_MAX;
		case CBOR_BYTES:
		case CBOR_TEXT:
			return read_string(reader, number, value);
		case CBOR_ARRAY:
			return read_array(reader, number, field == FIELD_COLUMNS ? CBOR_TEXT : CBOR_UINT,
			                  value);
		default:
			return false;
	}
}

bool
record_parse(const void *bytes, Size length, RecordFields *out)
{
	Reader reader = {bytes, (const uint8 *) bytes + length};
	uint64 n;
	uint64 last = 0;
	int major;

	memset(out, 0, sizeof(*out));
	if (!read_head(&reader, &major, &n) || major != CBOR_MAP || n >= RECORD_FIELDS)
		return false;
	for (uint64 i = 0; i < n; i++)
	{
		uint64 key;

		if (!read_head(&reader, &major, &key) || major != CBOR_UINT || key <= last ||
		    key >= RECORD_FIELDS || !read_value(&reader, key, &out->value[key]))
			return false;
		last = key;
	}
	return reader.at == reader.end && out->value[FIELD_KIND].present &&
	       out->value[FIELD_TIME].present;
}

/* The array was parsed before, so that its elements are known to be whole. */
static const uint8 *
next_head(const uint8 *at, uint64 *number)
{
	Reader reader = {at, at + 9};
	int major;

	(void) read_head(&reader, &major, number);
	return reader.at;
}

bool
record_value_time(const RecordValue *value, TimestampTz *time)
{
	int64 result;

	if (pg_sub_s64_overflow((int64) value->number, UNIX_EPOCH_OFFSET, &result) ||
	    !IS_VALID_TIMESTAMP(result))
		return false;
	*time = result;
	return true;
}

void
record_next_number(const uint8 **at, uint64 *number)
{
	*at = next_head(*at, number);
}

void
record_next_text(const uint8 **at, const char **text, Size *length)
{
	uint64 n = 0;

	*at = next_head(*at, &n);
	*text = (const char *) *at;
	*length = n;
	*at += n;
}
