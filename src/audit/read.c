/*
 * read.c
 *		The records of a segment of the audit log as rows.
 *
 * Whatever the bytes are, nothing here reads past them, and one record that was damaged hides no
 * other: it becomes a row of kind "unreadable" with its bytes.  Only where the lengths between the
 * records do not add up, the rest of the segment is one such row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "audit/record.h"
#include "audit/segment.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"

/* The columns of log_record after the number of the leaf and before the record itself. */
typedef enum ColumnForm
{
	FORM_KIND,
	FORM_OUTCOME,
	FORM_TIME,
	FORM_INTEGER,
	FORM_OID,
	FORM_BIGINT,
	FORM_SIGNED,
	FORM_TEXT,
	FORM_TEXTS,
	FORM_JSON,
	FORM_SUBJECTS
} ColumnForm;

static const struct
{
	RecordField field;
	ColumnForm form;
} columns[] = {
    {FIELD_KIND, FORM_KIND},
    {FIELD_TIME, FORM_TIME},
    {FIELD_SESSION, FORM_TEXT},
    {FIELD_EXECUTION, FORM_BIGINT},
    {FIELD_LAST_EXECUTION, FORM_BIGINT},
    {FIELD_SESSION_USER, FORM_TEXT},
    {FIELD_CURRENT_USER, FORM_TEXT},
    {FIELD_APPLICATION_USER, FORM_TEXT},
    {FIELD_APPLICATION_NAME, FORM_TEXT},
    {FIELD_ADDRESS, FORM_TEXT},
    {FIELD_PID, FORM_INTEGER},
    {FIELD_PURPOSE, FORM_TEXT},
    {FIELD_PURPOSE_VERSION, FORM_INTEGER},
    {FIELD_LEGAL_BASIS, FORM_TEXT},
    {FIELD_RULE, FORM_INTEGER},
    {FIELD_OPERATION, FORM_TEXT},
    {FIELD_RELATION, FORM_TEXT},
    {FIELD_RELATION_OID, FORM_OID},
    {FIELD_COLUMNS, FORM_TEXTS},
    {FIELD_RECIPIENT, FORM_TEXT},
    {FIELD_FINGERPRINT, FORM_SIGNED},
    {FIELD_ROWS, FORM_BIGINT},
    {FIELD_SUBJECTS, FORM_SUBJECTS},
    {FIELD_WITHHELD, FORM_BIGINT},
    {FIELD_OUTCOME, FORM_OUTCOME},
    {FIELD_SQLSTATE, FORM_TEXT},
    {FIELD_REASON, FORM_TEXT},
    {FIELD_COUNT, FORM_BIGINT},
    {FIELD_OBJECT, FORM_TEXT},
    {FIELD_OLD, FORM_JSON},
    {FIELD_NEW, FORM_JSON},
    {FIELD_EXEMPT, FORM_TEXT},
    {FIELD_TEXT, FORM_TEXT},
};
#define ORIGIN_COLUMN 0
#define LEAF_COLUMN 1
#define FIRST_COLUMN 2 /* of the array above */
#define RECORD_COLUMN (FIRST_COLUMN + (int) lengthof(columns))
#define ALL_COLUMNS (RECORD_COLUMN + 1)

/* What the caller asked for; everything that is not given lets every record pass. */
typedef struct Filter
{
	bool by_subject;
	uint64 subject;
	int64 since; /* of FIELD_TIME */
	int64 until;
	uint32 kinds;
	const text *actor;
	const text *session;
	int64 newest; /* of those that pass, only the last so many; -1: all */
} Filter;

/* Where a record is, or what was left of a segment that is damaged. */
typedef struct Place
{
	const uint8 *data;
	Size length;
	int64 leaf;
	bool damaged;
} Place;

/* The last places that were kept, in a ring. */
typedef struct Tail
{
	Place *place;
	int64 size;
	int64 count;
} Tail;

typedef enum Verdict
{
	OMIT,
	SHOW,
	UNREADABLE
} Verdict;

typedef struct Output
{
	ReturnSetInfo *result;
	Datum values[ALL_COLUMNS];
	bool nulls[ALL_COLUMNS];
	int64 origin; /* -1: not told */
	int64 leaf;   /* of the record at hand */
} Output;

static Filter filter_of(FunctionCallInfo fcinfo);
static Verdict judge(const Filter *filter, const RecordFields *fields);
static bool put_readable(Output *out, const RecordFields *fields, const uint8 *record, Size length);
static void put_unreadable(Output *out, const uint8 *record, Size length);
static bool form_value(ColumnForm form, const RecordValue *value, Datum *out);

PG_FUNCTION_INFO_V1(audit_decode);

static Verdict
read_record(const Filter *filter, const Place *place, RecordFields *fields)
{
	if (place->damaged || !record_parse(place->data, place->length, fields))
		return UNREADABLE;
	return judge(filter, fields);
}

static void
decode_record(Output *out, const Filter *filter, const Place *place)
{
	RecordFields fields;
	Verdict verdict = read_record(filter, place, &fields);

	out->leaf = place->leaf;
	if (verdict == SHOW && !put_readable(out, &fields, place->data, place->length))
		verdict = UNREADABLE;
	if (verdict == UNREADABLE)
		put_unreadable(out, place->data, place->length);
}

/* The next record, or what is left; false at the end. */
static bool
next_place(const uint8 **at, const uint8 *end, Place *place)
{
	CHECK_FOR_INTERRUPTS();
	place->leaf++;
	if (*at >= end)
		return false;
	place->damaged = !segment_next_record(at, end, &place->data, &place->length);
	if (place->damaged)
	{
		place->data = *at;
		place->length = end - *at;
		*at = end;
	}
	return true;
}

static void
keep_place(Tail *tail, const Filter *filter, const Place *place)
{
	RecordFields fields;

	if (read_record(filter, place, &fields) != OMIT)
		tail->place[tail->count++ % tail->size] = *place;
}

static void
decode_tail(Output *out, const Filter *filter, const Tail *tail, MemoryContext row_context)
{
	for (int64 i = Max(tail->count - tail->size, 0); i < tail->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		decode_record(out, filter, &tail->place[i % tail->size]);
		MemoryContextReset(row_context);
	}
}

/* To make a row of a record takes many times as long as to find it. */
static void
decode_segment(Output *out, const Filter *filter, const uint8 *at, const uint8 *end)
{
	MemoryContext row_context =
	    AllocSetContextCreate(CurrentMemoryContext, "audit record", ALLOCSET_DEFAULT_SIZES);
	Place place = {.leaf = out->leaf - 1};
	Tail tail = {.size = Min(filter->newest, (end - at) / 4 + 1)}; /* each follows its length */
	MemoryContext old;

	if (tail.size > 0)
		tail.place = palloc_extended(sizeof(Place) * tail.size, MCXT_ALLOC_HUGE);
	old = MemoryContextSwitchTo(row_context);
	while (tail.size != 0 && next_place(&at, end, &place))
	{
		if (tail.size > 0)
			keep_place(&tail, filter, &place);
		else
			decode_record(out, filter, &place);
		MemoryContextReset(row_context);
	}
	if (tail.size > 0)
		decode_tail(out, filter, &tail, row_context);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
}

/* privacy_guard_internal.audit_decode(records, first_leaf, what is wanted ..., origin_id) */
Datum
audit_decode(PG_FUNCTION_ARGS)
{
	Filter filter = filter_of(fcinfo);
	Output out;
	bytea *records;
	const uint8 *start;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	records = PG_GETARG_BYTEA_PP(0);
	start = (const uint8 *) VARDATA_ANY(records);
	out.leaf = PG_GETARG_INT64(1);
	out.origin = PG_ARGISNULL(8) ? -1 : PG_GETARG_INT32(8);
	out.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (out.result->setDesc->natts != ALL_COLUMNS)
		elog(ERROR, "audit_decode() must return %d columns", ALL_COLUMNS);
	decode_segment(&out, &filter, start, start + VARSIZE_ANY_EXHDR(records));
	return (Datum) 0;
}

/* ---- what is wanted ---- */

/* The infinite ones stay so. */
static int64
unix_time(TimestampTz time)
{
	int64 result;

	if (TIMESTAMP_IS_NOBEGIN(time) || pg_add_s64_overflow(time, UNIX_EPOCH_OFFSET, &result))
		return time;
	return result;
}

static Filter
filter_of(FunctionCallInfo fcinfo)
{
	Filter filter = {
	    .since = PG_INT64_MIN, .until = PG_INT64_MAX, .kinds = ~(uint32) 0, .newest = -1};

	if (!PG_ARGISNULL(2))
	{
		filter.by_subject = true;
		filter.subject = PG_GETARG_INT64(2);
	}
	if (!PG_ARGISNULL(3))
		filter.since = unix_time(PG_GETARG_TIMESTAMPTZ(3));
	if (!PG_ARGISNULL(4))
		filter.until = unix_time(PG_GETARG_TIMESTAMPTZ(4));
	if (!PG_ARGISNULL(5))
		filter.kinds = PG_GETARG_INT32(5);
	if (!PG_ARGISNULL(6))
		filter.actor = PG_GETARG_TEXT_PP(6);
	if (!PG_ARGISNULL(7))
		filter.session = PG_GETARG_TEXT_PP(7);
	if (!PG_ARGISNULL(9))
		filter.newest = Max(PG_GETARG_INT64(9), 0);
	return filter;
}

/* Bytes that are no set may have been one with the subject. */
static Verdict
names_subject(const RecordValue *value, uint64 subject)
{
	const uint8 *at = value->data;

	if (!value->present)
		return OMIT;
	if (!value->is_array)
	{
		if (roaring_check(value->data, value->length) != NULL)
			return UNREADABLE;
		return roaring_contains(value->data, subject) ? SHOW : OMIT;
	}
	for (Size i = 0; i < value->length; i++)
	{
		uint64 number;

		record_next_number(&at, &number);
		if (number == subject)
			return SHOW;
	}
	return OMIT;
}

static bool
text_is(const RecordValue *value, const text *wanted)
{
	return value->present && value->length == VARSIZE_ANY_EXHDR(wanted) &&
	       memcmp(value->data, VARDATA_ANY(wanted), value->length) == 0;
}

static Verdict
judge(const Filter *filter, const RecordFields *fields)
{
	const RecordValue *value = fields->value;
	int64 time = (int64) value[FIELD_TIME].number;

	if (time < filter->since || time >= filter->until)
		return OMIT;
	if (value[FIELD_KIND].number < 32 && (filter->kinds & 1u << value[FIELD_KIND].number) == 0)
		return OMIT;
	if (filter->session && !text_is(&value[FIELD_SESSION], filter->session))
		return OMIT;
	if (filter->actor && !text_is(&value[FIELD_SESSION_USER], filter->actor) &&
	    !text_is(&value[FIELD_CURRENT_USER], filter->actor) &&
	    !text_is(&value[FIELD_APPLICATION_USER], filter->actor))
		return OMIT;
	return filter->by_subject ? names_subject(&value[FIELD_SUBJECTS], filter->subject) : SHOW;
}

/* ---- rows ---- */

static bytea *
make_bytea(const uint8 *data, Size length)
{
	bytea *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), data, length);
	return value;
}

static void
put_row(Output *out, const uint8 *record, Size length)
{
	out->values[ORIGIN_COLUMN] = Int32GetDatum((int32) out->origin);
	out->nulls[ORIGIN_COLUMN] = out->origin < 0;
	out->values[LEAF_COLUMN] = Int64GetDatum(out->leaf);
	out->nulls[LEAF_COLUMN] = false;
	out->values[RECORD_COLUMN] = PointerGetDatum(make_bytea(record, length));
	out->nulls[RECORD_COLUMN] = false;
	tuplestore_putvalues(out->result->setResult, out->result->setDesc, out->values, out->nulls);
}

/* It could be anybody's and of any time, so everyone sees it. */
static void
put_unreadable(Output *out, const uint8 *record, Size length)
{
	memset(out->nulls, true, sizeof(out->nulls));
	out->values[FIRST_COLUMN] = CStringGetTextDatum("unreadable");
	out->nulls[FIRST_COLUMN] = false;
	put_row(out, record, length);
}

/* False when a value is not what its field should hold. */
static bool
put_readable(Output *out, const RecordFields *fields, const uint8 *record, Size length)
{
	for (int i = 0; i < lengthof(columns); i++)
	{
		const RecordValue *value = &fields->value[columns[i].field];
		int column = FIRST_COLUMN + i;

		out->nulls[column] = !value->present;
		if (value->present && !form_value(columns[i].form, value, &out->values[column]))
			return false;
	}
	put_row(out, record, length);
	return true;
}

/* ---- values ---- */

static bool
form_text(const char *data, Size length, Datum *out)
{
	if (memchr(data, '\0', length) != NULL || !pg_verifymbstr(data, length, true))
		return false;
	*out = PointerGetDatum(cstring_to_text_with_len(data, length));
	return true;
}

static bool
form_texts(const RecordValue *value, Datum *out)
{
	const uint8 *at = value->data;
	Datum *elements = palloc(sizeof(Datum) * Max(value->length, 1));

	for (Size i = 0; i < value->length; i++)
	{
		const char *data;
		Size length;

		record_next_text(&at, &data, &length);
		if (!form_text(data, length, &elements[i]))
			return false;
	}
	*out =
	    PointerGetDatum(construct_array(elements, value->length, TEXTOID, -1, false, TYPALIGN_INT));
	return true;
}

/*
 * The input function is pure: what it leaves behind after an error is memory of the row's context.
 * So a subtransaction would have nothing to undo.
 */
static bool
form_json(const RecordValue *value, Datum *out)
{
	MemoryContext context = CurrentMemoryContext;
	Datum as_text;
	volatile bool valid = true;

	if (!form_text((const char *) value->data, value->length, &as_text))
		return false;
	PG_TRY();
	{
		*out = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(as_text)));
	}
	PG_CATCH();
	{
		int category = ERRCODE_TO_CATEGORY(geterrcode());

		MemoryContextSwitchTo(context);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		valid = false;
	}
	PG_END_TRY();
	return valid;
}

static bool
form_time(const RecordValue *value, Datum *out)
{
	TimestampTz time;

	if (!record_value_time(value, &time))
		return false;
	*out = TimestampTzGetDatum(time);
	return true;
}

static bool
form_name(const char *name, Datum *out)
{
	if (name == NULL)
		return false;
	*out = CStringGetTextDatum(name);
	return true;
}

static bool
form_subjects(const RecordValue *value, Datum *out)
{
	const uint8 *at = value->data;
	SubjectBits *bits;

	if (!value->is_array)
	{
		if (roaring_check(value->data, value->length) != NULL)
			return false;
		*out =
		    PointerGetDatum(subject_set_from_portable((const char *) value->data, value->length));
		return true;
	}
	bits = subject_bits_create(CurrentMemoryContext);
	for (Size i = 0; i < value->length; i++)
	{
		uint64 number;

		record_next_number(&at, &number);
		if (number < 1 || number > SUBJECT_MAX)
			return false;
		subject_bits_add(bits, number);
	}
	*out = PointerGetDatum(subject_set_from_bits(bits));
	return true;
}

static bool
form_value(ColumnForm form, const RecordValue *value, Datum *out)
{
	switch (form)
	{
		case FORM_KIND:
			return form_name(value->number <= INT_MAX ? record_kind_name(value->number) : NULL,
			                 out);
		case FORM_OUTCOME:
			return form_name(value->number <= INT_MAX ? record_outcome_name(value->number) : NULL,
			                 out);
		case FORM_TIME:
			return form_time(value, out);
		case FORM_INTEGER:
			*out = Int32GetDatum((int32) value->number);
			return value->number <= PG_INT32_MAX;
		case FORM_OID:
			*out = ObjectIdGetDatum((Oid) value->number);
			return value->number <= OID_MAX;
		case FORM_BIGINT:
			*out = Int64GetDatum((int64) value->number);
			return value->number <= PG_INT64_MAX;
		case FORM_SIGNED:
			*out = Int64GetDatum((int64) value->number);
			return true;
		case FORM_TEXT:
			return form_text((const char *) value->data, value->length, out);
		case FORM_TEXTS:
			return form_texts(value, out);
		case FORM_JSON:
			return form_json(value, out);
		case FORM_SUBJECTS:
			return form_subjects(value, out);
	}
	return false;
}
