/*
 * subject_set.c
 *		Stored form of privacy_guard.subject_set, and its text, binary, jsonb and array forms.
 *
 * A value is a format byte and the set in the portable 64-bit Roaring format, unaligned, each
 * container in the form that is shortest. The binary form is the same.
 *
 * Text: "{" [ item { "," item } ] "}" or one bare item, where an item is a number or a range
 * "first-last", with spaces between tokens as one likes. The bare item lets an untyped literal
 * stand beside an operator: set | '4711'. Output ascends, without spaces, with a range for three or
 * more neighbours: {1,2,5-9,4711}.
 *
 * Messages name the place in the input, never what stands there.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define SUBJECT_SET_FORMAT 1

/* The format byte. */
#define SUBJECT_SET_HEADER 1

/* As many elements as a jsonb array can grow to while it is built. */
#define SUBJECT_SET_MAX_JSON (1 << 24)

/* Numbers on their way into a set, since one call with many is fast. */
typedef struct NumberList
{
	SubjectBits *bits;
	int count;
	uint64 numbers[512];
} NumberList;

PG_FUNCTION_INFO_V1(subject_set_in);
PG_FUNCTION_INFO_V1(subject_set_out);
PG_FUNCTION_INFO_V1(subject_set_recv);
PG_FUNCTION_INFO_V1(subject_set_send);
PG_FUNCTION_INFO_V1(subject_set_from_jsonb);
PG_FUNCTION_INFO_V1(subject_set_to_jsonb);
PG_FUNCTION_INFO_V1(subject_set_from_array);
PG_FUNCTION_INFO_V1(subject_set_to_array);

const char *
subject_set_portable(const SubjectSet *set, Size *size)
{
	const char *payload = VARDATA_ANY(set);

	*size = VARSIZE_ANY_EXHDR(set);
	if (*size < SUBJECT_SET_HEADER + ROARING_EMPTY_BYTES || payload[0] != SUBJECT_SET_FORMAT)
		ereport(ERROR,
		        (errcode(ERRCODE_DATA_CORRUPTED),
		         errmsg("unsupported format of a stored value of type privacy_guard.subject_set"),
		         errhint("A newer version of privacy_guard may have written it.")));
	*size -= SUBJECT_SET_HEADER;
	return payload + SUBJECT_SET_HEADER;
}

bool
subject_set_contains(const SubjectSet *set, uint64 number)
{
	Size size;

	return roaring_contains(subject_set_portable(set, &size), number);
}

uint64
subject_set_count(const SubjectSet *set)
{
	Size size;

	return roaring_cardinality(subject_set_portable(set, &size));
}

SubjectBits *
subject_set_bits(MemoryContext context, const SubjectSet *set)
{
	SubjectBits *bits = subject_bits_create(context);
	Size size;
	const char *portable = subject_set_portable(set, &size);

	subject_bits_or_serialized(bits, portable, size);
	return bits;
}

SubjectSet *
subject_set_from_bits(SubjectBits *bits)
{
	SubjectSet *set;
	Size size;

	subject_bits_optimize(bits);
	size = VARHDRSZ + SUBJECT_SET_HEADER + subject_bits_serialized_size(bits);
	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("a set of subjects takes at most 1 GB"),
		                errhint("Split the set into several.")));
	set = palloc(size);
	SET_VARSIZE(set, size);
	set->payload[0] = SUBJECT_SET_FORMAT;
	subject_bits_serialize(bits, set->payload + SUBJECT_SET_HEADER);
	return set;
}

/* Makes a value of a set that nobody else needs. */
static SubjectSet *
form_and_clear(SubjectBits *bits)
{
	SubjectSet *set = subject_set_from_bits(bits);

	subject_bits_clear(bits);
	return set;
}

static void
list_flush(NumberList *list)
{
	subject_bits_add_many(list->bits, list->numbers, list->count);
	list->count = 0;
}

static void
list_begin(NumberList *list)
{
	list->bits = subject_bits_create(CurrentMemoryContext);
	list->count = 0;
}

static void
list_add(NumberList *list, uint64 number)
{
	if (list->count == lengthof(list->numbers))
		list_flush(list);
	list->numbers[list->count++] = number;
}

static SubjectSet *
list_form(NumberList *list)
{
	list_flush(list);
	return form_and_clear(list->bits);
}

static void
text_error(const char *input, const char *at, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	                errmsg("invalid input syntax for type %s", "privacy_guard.subject_set"),
	                errdetail("Expected %s at byte %d.", expected, (int) (at - input) + 1),
	                errhint("Write numbers and ranges in braces, such as {1,5-9,4711}.")));
}

static void
binary_error(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
	                errmsg("invalid binary format of type %s", "privacy_guard.subject_set"),
	                errdetail("The value has an invalid %s.", what),
	                errhint("Send what subject_set_send() produces.")));
}

static void
json_error(const char *what)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	         errmsg("invalid jsonb for type %s", "privacy_guard.subject_set"),
	         errdetail("%s", what), errhint("Write an array of numbers, each that of a subject.")));
}

void
subject_set_out_of_range(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
	                errmsg("the number of a subject is out of range"),
	                errhint("Subjects have whole numbers from 1 to 9223372036854775807.")));
}

static const char *
skip_space(const char *at)
{
	return at + strspn(at, " \t\n\r\f\v");
}

/* Reads the digits that start here and returns their end. */
static const char *
read_number(const char *at, uint64 *number)
{
	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++)
	{
		uint64 digit = *at - '0';

		if (*number > (SUBJECT_MAX - digit) / 10)
			subject_set_out_of_range();
		*number = *number * 10 + digit;
	}
	if (*number == 0)
		subject_set_out_of_range();
	return at;
}

static const char *
parse_number(const char *input, const char *at, uint64 *number)
{
	if (*at < '0' || *at > '9')
		text_error(input, at, "the number of a subject");
	return read_number(at, number);
}

/* Adds the number or range that starts here and returns where the next token does. */
static const char *
parse_item(const char *input, const char *at, NumberList *list)
{
	uint64 first;
	uint64 last;
	const char *last_at;

	at = skip_space(parse_number(input, at, &first));
	if (*at != '-')
	{
		list_add(list, first);
		return at;
	}
	last_at = skip_space(at + 1);
	at = skip_space(parse_number(input, last_at, &last));
	if (last < first)
		text_error(input, last_at, "an end that is not below the beginning");
	subject_bits_add_range(list->bits, first, last);
	return at;
}

Datum
subject_set_in(PG_FUNCTION_ARGS)
{
	const char *input = PG_GETARG_CSTRING(0);
	const char *at = skip_space(input);
	NumberList list;

	list_begin(&list);
	if (*at != '{')
		at = parse_item(input, at, &list);
	else if (*(at = skip_space(at + 1)) == '}')
		at++;
	else
	{
		for (;;)
		{
			at = parse_item(input, at, &list);
			if (*at != ',')
				break;
			at = skip_space(at + 1);
		}
		if (*at++ != '}')
			text_error(input, at - 1, "\",\" or \"}\"");
	}
	at = skip_space(at);
	if (*at != '\0')
		text_error(input, at, "the end");
	PG_RETURN_POINTER(list_form(&list));
}

Datum
subject_set_out(PG_FUNCTION_ARGS)
{
	const SubjectSet *set = PG_GETARG_SUBJECT_SET(0);
	Size size;
	RoaringRanges ranges;
	uint64 first;
	uint64 last;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	roaring_ranges_begin(&ranges, subject_set_portable(set, &size));
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		if (out.len > 1)
			appendStringInfoChar(&out, ',');
		appendStringInfo(&out, UINT64_FORMAT, first);
		if (last > first)
			appendStringInfo(&out, "%c" UINT64_FORMAT, last == first + 1 ? ',' : '-', last);
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

SubjectSet *
subject_set_from_portable(const char *bytes, Size size)
{
	const char *problem = roaring_check(bytes, size);
	SubjectBits *bits;

	if (problem != NULL)
		binary_error(problem);
	bits = subject_bits_create(CurrentMemoryContext);
	subject_bits_or_serialized(bits, bytes, size);
	return form_and_clear(bits);
}

Datum
subject_set_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int size;

	if (buf->len - buf->cursor < SUBJECT_SET_HEADER || pq_getmsgbyte(buf) != SUBJECT_SET_FORMAT)
		binary_error("format version");
	size = buf->len - buf->cursor;
	PG_RETURN_POINTER(subject_set_from_portable(pq_getmsgbytes(buf, size), size));
}

Datum
subject_set_send(PG_FUNCTION_ARGS)
{
	Size size;
	const char *portable = subject_set_portable(PG_GETARG_SUBJECT_SET(0), &size);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SUBJECT_SET_FORMAT);
	pq_sendbytes(&buf, portable, size);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
subject_set_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	NumberList list;
	JsonbIterator *iterator;
	JsonbValue value;

	if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb))
		json_error("It is not an array.");
	list_begin(&list);
	iterator = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while (JsonbIteratorNext(&iterator, &value, true) != WJB_END_ARRAY)
	{
		char *digits;
		uint64 number;

		if (value.type != jbvNumeric)
			json_error("An element of the array is not a number.");
		digits = numeric_normalize(value.val.numeric);
		if (*digits == '-')
			subject_set_out_of_range();
		if (digits[strspn(digits, "0123456789")] != '\0')
			json_error("An element of the array is not a whole number.");
		(void) read_number(digits, &number);
		list_add(&list, number);
		pfree(digits);
	}
	PG_RETURN_POINTER(list_form(&list));
}

Datum
subject_set_to_jsonb(PG_FUNCTION_ARGS)
{
	const SubjectSet *set = PG_GETARG_SUBJECT_SET(0);
	JsonbParseState *state = NULL;
	Size size;
	RoaringRanges ranges;
	uint64 first;
	uint64 last;

	if (subject_set_count(set) > SUBJECT_SET_MAX_JSON)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("a jsonb array holds at most %d subjects", SUBJECT_SET_MAX_JSON),
		                errhint("Use subjects() to read the set row by row.")));
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	roaring_ranges_begin(&ranges, subject_set_portable(set, &size));
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		for (uint64 number = first; number <= last; number++)
		{
			JsonbValue value;

			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(number);
			pushJsonbValue(&state, WJB_ELEM, &value);
		}
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
}

/* Of any dimensions; raises 22004 for a NULL among the elements. */
Datum
subject_set_from_array(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const int64 *numbers = (const int64 *) ARR_DATA_PTR(array);
	SubjectBits *bits;

	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
		                errmsg("a set of subjects cannot contain NULL"),
		                errhint("Use array_remove() to drop the NULLs.")));
	for (int i = 0; i < count; i++)
	{
		if (numbers[i] < 1)
			subject_set_out_of_range();
	}
	bits = subject_bits_create(CurrentMemoryContext);
	subject_bits_add_many(bits, (const uint64 *) numbers, count);
	PG_RETURN_POINTER(form_and_clear(bits));
}

Datum
subject_set_to_array(PG_FUNCTION_ARGS)
{
	const SubjectSet *set = PG_GETARG_SUBJECT_SET(0);
	uint64 count = subject_set_count(set);
	Size size;
	RoaringRanges ranges;
	uint64 first;
	uint64 last;
	ArrayType *array;
	int64 *element;

	if (count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
	if (count > MaxArraySize - ARR_OVERHEAD_NONULLS(1) / sizeof(int64))
		ereport(ERROR,
		        (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("an array takes at most 1 GB"),
		         errhint("Use subjects() to read the set row by row.")));
	size = ARR_OVERHEAD_NONULLS(1) + count * sizeof(int64);
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = INT8OID;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	element = (int64 *) ARR_DATA_PTR(array);
	roaring_ranges_begin(&ranges, subject_set_portable(set, &size));
	while (roaring_ranges_next(&ranges, &first, &last))
	{
		for (uint64 number = first; number <= last; number++)
			*element++ = number;
	}
	PG_RETURN_ARRAYTYPE_P(array);
}
