/*
 * purpose_set.c
 *		Stored form of privacy_guard.purpose_set, and its text, binary, jsonb and array forms.
 *
 * A value is an item array (item_array.h) of format 1, one item a path, in the order of
 * purpose_path_compare(), none twice.
 *
 * Text: "{" [ path { "," path } ] "}", with spaces between tokens as one likes, or one bare path.
 * The bare path lets an untyped literal stand beside an operator: set || 'billing'. Output is
 * sorted and without spaces: {billing,marketing.email}.
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
#include "types/item_array.h"
#include "types/purpose_path.h"
#include "types/purpose_set.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define PURPOSE_SET_FORMAT 1

/* Leads the binary form; a changed layout gets another number. */
#define PURPOSE_SET_WIRE_FORMAT 1

typedef struct MemberList
{
	PurposeSetMember *items;
	int count;
	int capacity;
} MemberList;

PG_FUNCTION_INFO_V1(purpose_set_in);
PG_FUNCTION_INFO_V1(purpose_set_out);
PG_FUNCTION_INFO_V1(purpose_set_recv);
PG_FUNCTION_INFO_V1(purpose_set_send);
PG_FUNCTION_INFO_V1(purpose_set_from_jsonb);
PG_FUNCTION_INFO_V1(purpose_set_to_jsonb);
PG_FUNCTION_INFO_V1(purpose_set_from_array);
PG_FUNCTION_INFO_V1(purpose_set_to_array);

static int
compare_for_sort(const void *left, const void *right)
{
	const PurposeSetMember *l = left;
	const PurposeSetMember *r = right;

	return purpose_path_compare(l->path, l->len, r->path, r->len);
}

PurposeSet *
purpose_set_form(PurposeSetMember *members, int count)
{
	ItemArray array;
	Size item_bytes = 0;
	int distinct = 0;
	struct varlena *value;

	if (count > 1)
		qsort(members, count, sizeof(PurposeSetMember), compare_for_sort);
	for (int i = 0; i < count; i++)
	{
		if (i > 0 && compare_for_sort(&members[distinct - 1], &members[i]) == 0)
			continue;
		members[distinct++] = members[i];
		item_bytes += members[i].len;
	}
	if (distinct > ITEM_ARRAY_MAX_COUNT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
		                errmsg("a purpose set holds at most %d purposes", ITEM_ARRAY_MAX_COUNT),
		                errhint("Name a common ancestor instead of its descendants.")));
	value = item_array_create(PURPOSE_SET_FORMAT, distinct, item_bytes, &array);
	for (int i = 0; i < distinct; i++)
	{
		Assert(purpose_path_is_valid(members[i].path, members[i].len));
		memcpy(item_array_put(&array, i, members[i].len), members[i].path, members[i].len);
	}
	return (PurposeSet *) value;
}

int
purpose_set_count(const PurposeSet *set)
{
	ItemArray array;

	if (!item_array_open(set, PURPOSE_SET_FORMAT, &array))
		ereport(ERROR,
		        (errcode(ERRCODE_DATA_CORRUPTED),
		         errmsg("unsupported format of a stored value of type privacy_guard.purpose_set"),
		         errhint("A newer version of privacy_guard may have written it.")));
	return array.count;
}

void
purpose_set_get(const PurposeSet *set, int i, PurposeSetMember *out)
{
	ItemArray array;

	if (!item_array_open(set, PURPOSE_SET_FORMAT, &array) || i < 0 || i >= array.count)
		elog(ERROR, "no member %d in a purpose set", i);
	out->path = item_array_get(&array, i, &out->len);
}

static bool
has_item(const ItemArray *array, const char *path, int path_len)
{
	int low = 0;
	int high = array->count;

	while (low < high)
	{
		int middle = (low + high) / 2;
		int len;
		const char *item = item_array_get(array, middle, &len);
		int order = purpose_path_compare(item, len, path, path_len);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool
purpose_set_has(const PurposeSet *set, const char *path, int path_len)
{
	ItemArray array;

	return item_array_open(set, PURPOSE_SET_FORMAT, &array) && has_item(&array, path, path_len);
}

bool
purpose_set_covers(const PurposeSet *set, const char *path, int path_len)
{
	ItemArray array;

	if (!item_array_open(set, PURPOSE_SET_FORMAT, &array) || array.count == 0)
		return false;
	for (int len = path_len; len > 0; len = purpose_path_parent(path, len))
	{
		if (has_item(&array, path, len))
			return true;
	}
	return false;
}

static void
list_add(MemberList *list, const char *path, int len)
{
	if (list->items == NULL)
	{
		list->capacity = 16;
		list->items = palloc(sizeof(PurposeSetMember) * list->capacity);
	}
	else if (list->count == list->capacity)
	{
		list->capacity *= 2;
		list->items = repalloc_huge(list->items, sizeof(PurposeSetMember) * list->capacity);
	}
	list->items[list->count].path = path;
	list->items[list->count++].len = len;
}

static void
text_error(const char *input, const char *at, const char *expected)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	                errmsg("invalid input syntax for type %s", "privacy_guard.purpose_set"),
	                errdetail("Expected %s at byte %d.", expected, (int) (at - input) + 1),
	                errhint("Write purposes in braces, such as {billing,marketing.email}.")));
}

static void
binary_error(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
	                errmsg("invalid binary format of type %s", "privacy_guard.purpose_set"),
	                errdetail("The value has an invalid %s.", what),
	                errhint("Send what purpose_set_send() produces.")));
}

static void
json_error(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	                errmsg("invalid jsonb for type %s", "privacy_guard.purpose_set"),
	                errdetail("%s", what), errhint("Write an array of purposes, each a string.")));
}

static const char *
skip_space(const char *at)
{
	return at + strspn(at, " \t\n\r\f\v");
}

/* Adds the path that starts here and returns its end. */
static const char *
parse_path(const char *input, const char *at, MemberList *list)
{
	int len = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_.");

	if (!purpose_path_is_valid(at, len))
		text_error(input, at, "a purpose");
	list_add(list, at, len);
	return at + len;
}

Datum
purpose_set_in(PG_FUNCTION_ARGS)
{
	const char *input = PG_GETARG_CSTRING(0);
	const char *at = skip_space(input);
	MemberList list = {0};

	if (*at != '{')
		at = parse_path(input, at, &list);
	else if (*(at = skip_space(at + 1)) == '}')
		at++;
	else
	{
		for (;;)
		{
			at = skip_space(parse_path(input, at, &list));
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
	PG_RETURN_POINTER(purpose_set_form(list.items, list.count));
}

Datum
purpose_set_out(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = DatumGetPurposeSetP(PG_GETARG_DATUM(0));
	int count = purpose_set_count(set);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < count; i++)
	{
		PurposeSetMember member;

		purpose_set_get(set, i, &member);
		if (i > 0)
			appendStringInfoChar(&out, ',');
		appendBinaryStringInfo(&out, member.path, member.len);
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

Datum
purpose_set_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	MemberList list = {0};
	uint32 count;

	if (buf->len - buf->cursor < 5 || pq_getmsgbyte(buf) != PURPOSE_SET_WIRE_FORMAT)
		binary_error("format version");
	count = pq_getmsgint(buf, 4);
	if (count > (buf->len - buf->cursor) / 2)
		binary_error("number of members");
	for (uint32 i = 0; i < count; i++)
	{
		const char *path;
		int len;

		if (buf->len - buf->cursor < 1)
			binary_error("length");
		len = pq_getmsgbyte(buf);
		if (buf->len - buf->cursor < len)
			binary_error("length");
		path = pq_getmsgbytes(buf, len);
		if (!purpose_path_is_valid(path, len))
			binary_error("purpose");
		list_add(&list, path, len);
	}
	PG_RETURN_POINTER(purpose_set_form(list.items, list.count));
}

Datum
purpose_set_send(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = DatumGetPurposeSetP(PG_GETARG_DATUM(0));
	int count = purpose_set_count(set);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, PURPOSE_SET_WIRE_FORMAT);
	pq_sendint32(&buf, count);
	for (int i = 0; i < count; i++)
	{
		PurposeSetMember member;

		purpose_set_get(set, i, &member);
		pq_sendbyte(&buf, member.len);
		pq_sendbytes(&buf, member.path, member.len);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
purpose_set_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	MemberList list = {0};
	JsonbIterator *iterator;
	JsonbValue value;

	if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb))
		json_error("It is not an array.");
	iterator = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while (JsonbIteratorNext(&iterator, &value, true) != WJB_END_ARRAY)
	{
		if (value.type != jbvString ||
		    !purpose_path_is_valid(value.val.string.val, value.val.string.len))
			json_error("An element of the array is not a purpose.");
		list_add(&list, value.val.string.val, value.val.string.len);
	}
	PG_RETURN_POINTER(purpose_set_form(list.items, list.count));
}

Datum
purpose_set_to_jsonb(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = DatumGetPurposeSetP(PG_GETARG_DATUM(0));
	int count = purpose_set_count(set);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
	{
		PurposeSetMember member;
		JsonbValue value;

		purpose_set_get(set, i, &member);
		value.type = jbvString;
		value.val.string.val = (char *) member.path;
		value.val.string.len = member.len;
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
}

/* Of any dimensions; raises 22004 for a NULL among the elements. */
Datum
purpose_set_from_array(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	MemberList list = {0};
	Datum *elements;
	bool *nulls;
	int count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		text *path;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			                errmsg("a purpose set cannot contain NULL"),
			                errhint("Use array_remove() to drop the NULLs.")));
		path = DatumGetTextPP(elements[i]);
		purpose_path_check(VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));
		list_add(&list, VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path));
	}
	PG_RETURN_POINTER(purpose_set_form(list.items, list.count));
}

Datum
purpose_set_to_array(PG_FUNCTION_ARGS)
{
	const PurposeSet *set = DatumGetPurposeSetP(PG_GETARG_DATUM(0));
	int count = purpose_set_count(set);
	Datum *elements = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
	{
		PurposeSetMember member;

		purpose_set_get(set, i, &member);
		elements[i] = PointerGetDatum(cstring_to_text_with_len(member.path, member.len));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}
