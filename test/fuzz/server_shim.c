/*
 * server_shim.c
 *		Memory, errors, binary messages, dates and jsonb for types that run outside a server.
 *
 * Only what src/types/ calls. Headers whose prototypes differ between server versions are not
 * included; the calling convention is the same in all of them.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include <setjmp.h>

#include "lib/stringinfo.h"
#include "server_shim.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#if __has_include("varatt.h")
#include "varatt.h"
#endif

int shim_sqlstate;
bool shim_has_hint;
char shim_message[1024];

static sigjmp_buf error_exit;
static bool error_exit_set;

/* Memory: a chain of blocks, so that a reset frees what errors left behind. */

typedef struct Block
{
	struct Block *previous;
	struct Block *next;
} Block;

static Block blocks = {&blocks, &blocks};

static void *
block_link(Block *block)
{
	if (block == NULL)
		abort();
	block->previous = &blocks;
	block->next = blocks.next;
	blocks.next->previous = block;
	blocks.next = block;
	return block + 1;
}

static Block *
block_unlink(void *pointer)
{
	Block *block = (Block *) pointer - 1;

	block->previous->next = block->next;
	block->next->previous = block->previous;
	return block;
}

void *
palloc(Size size)
{
	return block_link(malloc(sizeof(Block) + size));
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
repalloc(void *pointer, Size size)
{
	return block_link(realloc(block_unlink(pointer), sizeof(Block) + size));
}

void *
repalloc_huge(void *pointer, Size size)
{
	return repalloc(pointer, size);
}

void
pfree(void *pointer)
{
	free(block_unlink(pointer));
}

char *
pnstrdup(const char *in, Size len)
{
	char *out = palloc(len + 1);

	memcpy(out, in, len);
	out[len] = '\0';
	return out;
}

/* One memory context, which shim_reset() resets. */

MemoryContext CurrentMemoryContext;

static MemoryContextCallback *callbacks;

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return palloc0(size);
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *cb)
{
	cb->next = callbacks;
	callbacks = cb;
}

void
shim_reset(void)
{
	for (; callbacks != NULL; callbacks = callbacks->next)
		callbacks->func(callbacks->arg);
	while (blocks.next != &blocks)
		pfree(blocks.next + 1);
}

/* Errors. */

/* The server's symbol; its further arguments differ between versions. */
extern void assertion_failed(const char *condition) __asm__("ExceptionalCondition");

void
assertion_failed(const char *condition)
{
	fprintf(stderr, "assertion failed: %s\n", condition);
	abort();
}

bool
errstart(int elevel, const char *domain)
{
	if (elevel < ERROR)
		return false;
	shim_sqlstate = ERRCODE_INTERNAL_ERROR;
	shim_has_hint = false;
	shim_message[0] = '\0';
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

int
errcode(int sqlerrcode)
{
	shim_sqlstate = sqlerrcode;
	return 0;
}

static void
keep_message(const char *format, va_list args)
{
	Size used = strlen(shim_message);

	vsnprintf(shim_message + used, sizeof(shim_message) - used, format, args);
}

#define MESSAGE_FUNCTION(name)                                                                     \
	int name(const char *fmt, ...)                                                                 \
	{                                                                                              \
		va_list args;                                                                              \
		va_start(args, fmt);                                                                       \
		keep_message(fmt, args);                                                                   \
		va_end(args);                                                                              \
		return 0;                                                                                  \
	}

MESSAGE_FUNCTION(errmsg)
MESSAGE_FUNCTION(errmsg_internal)
MESSAGE_FUNCTION(errdetail)

int
errhint(const char *fmt, ...)
{
	shim_has_hint = true;
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	if (!error_exit_set)
	{
		fprintf(stderr, "error outside a call: %s\n", shim_message);
		abort();
	}
	siglongjmp(error_exit, 1);
}

bool
shim_call(PGFunction function, Datum argument, Datum *result)
{
	shim_sqlstate = 0;
	error_exit_set = true;
	if (sigsetjmp(error_exit, 0) != 0)
	{
		error_exit_set = false;
		return false;
	}
	*result = DirectFunctionCall1(function, argument);
	error_exit_set = false;
	return true;
}

/* Function calls. Nothing is ever toasted here. */

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0].value = arg1;
	fcinfo->args[0].isnull = false;
	return func(fcinfo);
}

Datum
DirectFunctionCall2Coll(PGFunction func, Oid collation, Datum arg1, Datum arg2)
{
	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo, NULL, 2, collation, NULL, NULL);
	fcinfo->args[0].value = arg1;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = arg2;
	fcinfo->args[1].isnull = false;
	return func(fcinfo);
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

/* Binary messages, in network byte order; reading past the end is for the caller to prevent. */

extern int pq_getmsgbyte(StringInfo msg);
extern unsigned int pq_getmsgint(StringInfo msg, int b);
extern int64 pq_getmsgint64(StringInfo msg);
extern const char *pq_getmsgbytes(StringInfo msg, int datalen);
extern void pq_sendbytes(StringInfo buf, const void *data, int datalen);
extern void pq_begintypsend(StringInfo buf);
extern bytea *pq_endtypsend(StringInfo buf);

const char *
pq_getmsgbytes(StringInfo msg, int datalen)
{
	const char *bytes = msg->data + msg->cursor;

	if (datalen < 0 || datalen > msg->len - msg->cursor)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("insufficient data")));
	msg->cursor += datalen;
	return bytes;
}

static uint64
get_number(StringInfo msg, int size)
{
	const unsigned char *bytes = (const unsigned char *) pq_getmsgbytes(msg, size);
	uint64 number = 0;

	for (int i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

int
pq_getmsgbyte(StringInfo msg)
{
	return get_number(msg, 1);
}

unsigned int
pq_getmsgint(StringInfo msg, int b)
{
	return get_number(msg, b);
}

int64
pq_getmsgint64(StringInfo msg)
{
	return get_number(msg, 8);
}

void
pq_sendbytes(StringInfo buf, const void *data, int datalen)
{
	appendBinaryStringInfo(buf, data, datalen);
}

void
pq_begintypsend(StringInfo buf)
{
	initStringInfo(buf);
	appendStringInfoString(buf, "head");
}

bytea *
pq_endtypsend(StringInfo buf)
{
	SET_VARSIZE(buf->data, buf->len);
	return (bytea *) buf->data;
}

/* Dates: days are counted by their own rule, so that a round trip is a check of the caller too. */

int
date2j(int year, int month, int day)
{
	int shifted = month > 2 ? year : year - 1;
	int era = (shifted >= 0 ? shifted : shifted - 399) / 400;
	int year_of_era = shifted - era * 400;
	int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era + 1721120;
}

void
j2date(int jd, int *year, int *month, int *day)
{
	int days = jd - 1721120;
	int era = (days >= 0 ? days : days - 146096) / 146097;
	int doe = days - era * 146097;
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int shifted_month = (5 * doy + 2) / 153;

	*day = doy - (153 * shifted_month + 2) / 5 + 1;
	*month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	*year = yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

/* Numbers are long doubles, which hold every bigint. */

Numeric
int64_to_numeric(int64 val)
{
	long double *number = palloc(sizeof(long double));

	*number = val;
	return (Numeric) number;
}

int32
numeric_int4_opt_error(Numeric num, bool *have_error)
{
	long double number = *(long double *) num;

	*have_error = !(number > PG_INT32_MIN - 0.5 && number < PG_INT32_MAX + 0.5);
	return *have_error ? 0 : (int32) (number + (number < 0 ? -0.5 : 0.5));
}

Datum
numeric_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(*(long double *) PG_GETARG_POINTER(0) == *(long double *) PG_GETARG_POINTER(1));
}

/* Of the fractions it knows one. */
char *
numeric_normalize(Numeric num)
{
	long double number = *(long double *) num;
	long double size = number < 0 ? -number : number;
	char *digits = palloc(64);

	snprintf(digits, 64, "%s" UINT64_FORMAT "%s", number < 0 ? "-" : "", (uint64) size,
	         size > (uint64) size ? ".5" : "");
	return digits;
}

/*
 * jsonb: a container stands in a table, and what the types see is its number behind the flags that
 * the macros of jsonb.h test.
 */

#define MAX_CONTAINERS 4096

typedef struct ShimContainer
{
	uint32 header; /* as JsonbContainer */
	uint32 number;
} ShimContainer;

typedef struct ShimJsonb
{
	int32 vl_len_;
	ShimContainer root;
} ShimJsonb;

typedef struct Contents
{
	JsonbIteratorToken *tokens;
	JsonbValue *values;
	int count;
	int capacity;
} Contents;

typedef struct ShimIterator
{
	const ShimContainer *container;
	int next; /* -1: before the beginning */
} ShimIterator;

typedef struct ShimState
{
	struct ShimState *outer;
	ShimContainer *container;
} ShimState;

static Contents contents[MAX_CONTAINERS];
static int contents_used;

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	ShimIterator *iterator = palloc(sizeof(ShimIterator));

	iterator->container = (const ShimContainer *) container;
	iterator->next = -1;
	return (JsonbIterator *) iterator;
}

JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **it, JsonbValue *val, bool skipNested)
{
	ShimIterator *iterator = (ShimIterator *) *it;
	const Contents *inside = &contents[iterator->container->number];
	bool is_array = (iterator->container->header & JB_FARRAY) != 0;
	int i = iterator->next++;

	Assert(skipNested);
	if (i < 0)
		return is_array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT;
	if (i >= inside->count)
		return is_array ? WJB_END_ARRAY : WJB_END_OBJECT;
	*val = inside->values[i];
	return inside->tokens[i];
}

static void
contents_add(Contents *inside, JsonbIteratorToken token, const JsonbValue *value)
{
	if (inside->count == inside->capacity)
	{
		inside->capacity = inside->capacity * 2 + 8;
		inside->tokens = realloc(inside->tokens, inside->capacity * sizeof(*inside->tokens));
		inside->values = realloc(inside->values, inside->capacity * sizeof(*inside->values));
	}
	inside->tokens[inside->count] = token;
	inside->values[inside->count++] = *value;
}

JsonbValue *
pushJsonbValue(JsonbParseState **pstate, JsonbIteratorToken seq, JsonbValue *jbval)
{
	ShimState *state = (ShimState *) *pstate;

	if (seq == WJB_BEGIN_ARRAY || seq == WJB_BEGIN_OBJECT)
	{
		ShimState *inner = palloc(sizeof(ShimState));

		if (state == NULL)
			contents_used = 0;
		if (contents_used == MAX_CONTAINERS)
			abort();
		inner->outer = state;
		inner->container = palloc(sizeof(ShimContainer));
		inner->container->header = seq == WJB_BEGIN_ARRAY ? JB_FARRAY : JB_FOBJECT;
		inner->container->number = contents_used;
		contents[contents_used++].count = 0;
		*pstate = (JsonbParseState *) inner;
		return NULL;
	}
	if (seq == WJB_END_ARRAY || seq == WJB_END_OBJECT)
	{
		JsonbValue *value = palloc(sizeof(JsonbValue));

		value->type = jbvBinary;
		value->val.binary.len = sizeof(ShimContainer);
		value->val.binary.data = (JsonbContainer *) state->container;
		if (state->outer != NULL)
		{
			bool in_array = (state->outer->container->header & JB_FARRAY) != 0;

			contents_add(&contents[state->outer->container->number],
			             in_array ? WJB_ELEM : WJB_VALUE, value);
		}
		*pstate = (JsonbParseState *) state->outer;
		return value;
	}
	contents_add(&contents[state->container->number], seq, jbval);
	return NULL;
}

Jsonb *
JsonbValueToJsonb(JsonbValue *val)
{
	ShimJsonb *jsonb = palloc(sizeof(ShimJsonb));

	SET_VARSIZE(jsonb, sizeof(ShimJsonb));
	jsonb->root = *(ShimContainer *) val->val.binary.data;
	return (Jsonb *) jsonb;
}

void
shim_json_begin(JsonbParseState **state, bool object)
{
	pushJsonbValue(state, object ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY, NULL);
}

JsonbValue *
shim_json_end(JsonbParseState **state, bool object)
{
	return pushJsonbValue(state, object ? WJB_END_OBJECT : WJB_END_ARRAY, NULL);
}

void
shim_json_string(JsonbParseState **state, JsonbIteratorToken token, const char *bytes, int len)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = palloc(len);
	value.val.string.len = len;
	memcpy(value.val.string.val, bytes, len);
	pushJsonbValue(state, token, &value);
}

void
shim_json_number(JsonbParseState **state, JsonbIteratorToken token, long double number)
{
	JsonbValue value = {.type = jbvNumeric};
	long double *stored = palloc(sizeof(long double));

	*stored = number;
	value.val.numeric = (Numeric) stored;
	pushJsonbValue(state, token, &value);
}

void
shim_json_other(JsonbParseState **state, JsonbIteratorToken token, enum jbvType type)
{
	JsonbValue value = {.type = type};

	pushJsonbValue(state, token, &value);
}
