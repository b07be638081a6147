/*
 * consent_io.c
 *		Text, binary and jsonb forms of privacy_guard.consent.
 *
 * Text, with spaces between tokens as one likes:
 *
 *		consent   = "{" [ decision { "," decision } ] "}"
 *		decision  = key ":" status [ type ] [ "v" version ] time [ "until" ( time | "infinity" ) ]
 *		key       = purpose [ "/" channel ] [ "@" recipient ]		(no spaces inside)
 *		purpose   = label { "." label }								(purpose_path.h)
 *		channel, recipient = one label, in which "-" is allowed
 *		status, type = a label of privacy_guard.consent_status, consent_type
 *		version   = 1 to 32767
 *		time      = ISO 8601 with a zone							(consent_time.h)
 *
 * for example
 *
 *		{marketing.email: given expressed 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z,
 *		 marketing.email/sms@acme: withdrawn expressed v2 2026-03-01T12:00:00.5Z}
 *
 * Output is canonical: sorted by key, the type always, the version unless it is 1, times in UTC,
 * "until" only where there is an end. Input takes any order, but no key twice.
 *
 * Messages name the place in the input, never what stands there.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/consent.h"
#include "types/consent_time.h"
#include "types/purpose_path.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* Leads the binary form; a changed layout gets another number. */
#define CONSENT_WIRE_FORMAT 1

/* Smallest decision in the binary form: bits, version, two times, three lengths, one letter. */
#define WIRE_DECISION_MIN_BYTES 24

typedef struct DecisionList
{
	ConsentDecision *items;
	int count;
	int capacity;
} DecisionList;

typedef struct TextParser
{
	const char *start;
	const char *at;
	const char *end;
} TextParser;

PG_FUNCTION_INFO_V1(consent_in);
PG_FUNCTION_INFO_V1(consent_out);
PG_FUNCTION_INFO_V1(consent_recv);
PG_FUNCTION_INFO_V1(consent_send);
PG_FUNCTION_INFO_V1(consent_from_jsonb);
PG_FUNCTION_INFO_V1(consent_to_jsonb);

static ConsentDecision *list_add(DecisionList *list);
static void skip_space(TextParser *parser);
static void parse_decision(TextParser *parser, ConsentDecision *decision);
static void receive_decision(StringInfo buf, ConsentDecision *decision);
static void read_json_decision(JsonbContainer *object, ConsentDecision *decision);

static void
text_error(const TextParser *parser, const char *expected)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	         errmsg("invalid input syntax for type %s", "privacy_guard.consent"),
	         errdetail("Expected %s at byte %d.", expected, (int) (parser->at - parser->start) + 1),
	         errhint("Write {purpose[/channel][@recipient]: status [type] [vN] time [until time], "
	                 "...}, with times such as 2026-01-31T12:00:00Z.")));
}

static void
binary_error(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
	                errmsg("invalid binary format of type %s", "privacy_guard.consent"),
	                errdetail("The value has an invalid %s.", what),
	                errhint("Send what consent_send() produces.")));
}

static void
json_error(const char *what)
{
	ereport(
	    ERROR,
	    (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
	     errmsg("invalid jsonb for type %s", "privacy_guard.consent"), errdetail("%s", what),
	     errhint("Write an array of objects with the keys purpose, event_state, event_time and, "
	             "where they apply, channel, recipient, consent_type, valid_until, version.")));
}

Datum
consent_in(PG_FUNCTION_ARGS)
{
	const char *input = PG_GETARG_CSTRING(0);
	TextParser parser = {input, input, input + strlen(input)};
	DecisionList list = {0};
	Consent *result;

	skip_space(&parser);
	if (*parser.at != '{')
		text_error(&parser, "\"{\"");
	parser.at++;
	skip_space(&parser);
	if (*parser.at != '}')
	{
		for (;;)
		{
			parse_decision(&parser, list_add(&list));
			skip_space(&parser);
			if (*parser.at != ',')
				break;
			parser.at++;
			skip_space(&parser);
		}
		if (*parser.at != '}')
			text_error(&parser, "\",\" or \"}\"");
	}
	parser.at++;
	skip_space(&parser);
	if (parser.at != parser.end)
		text_error(&parser, "the end");
	if (!consent_sort(list.items, list.count))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
		                errmsg("invalid input syntax for type %s", "privacy_guard.consent"),
		                errdetail("Two decisions are on the same purpose, channel and recipient."),
		                errhint("Keep the later one.")));
	result = consent_form(list.items, list.count);
	PG_RETURN_POINTER(result);
}

Datum
consent_out(PG_FUNCTION_ARGS)
{
	Consent *consent = DatumGetConsentP(PG_GETARG_DATUM(0));
	int count = consent_count(consent);
	char time[CONSENT_TIME_BUFFER];
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoChar(&out, '{');
	for (int i = 0; i < count; i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		if (i > 0)
			appendStringInfoString(&out, ", ");
		appendBinaryStringInfo(&out, decision.purpose, decision.purpose_len);
		if (decision.channel_len > 0)
		{
			appendStringInfoChar(&out, '/');
			appendBinaryStringInfo(&out, decision.channel, decision.channel_len);
		}
		if (decision.recipient_len > 0)
		{
			appendStringInfoChar(&out, '@');
			appendBinaryStringInfo(&out, decision.recipient, decision.recipient_len);
		}
		appendStringInfo(&out, ": %s %s ", consent_status_name(decision.status),
		                 consent_type_name(decision.type));
		if (decision.version != 1)
			appendStringInfo(&out, "v%d ", decision.version);
		appendStringInfoString(&out, consent_time_format(decision.event_time, time));
		if (decision.valid_until != DT_NOEND)
			appendStringInfo(&out, " until %s", consent_time_format(decision.valid_until, time));
	}
	appendStringInfoChar(&out, '}');
	PG_RETURN_CSTRING(out.data);
}

Datum
consent_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	DecisionList list = {0};
	uint32 count;
	Consent *result;

	if (buf->len - buf->cursor < 5 || pq_getmsgbyte(buf) != CONSENT_WIRE_FORMAT)
		binary_error("format version");
	count = pq_getmsgint(buf, 4);
	if (count > (buf->len - buf->cursor) / WIRE_DECISION_MIN_BYTES)
		binary_error("number of decisions");
	for (uint32 i = 0; i < count; i++)
		receive_decision(buf, list_add(&list));
	if (!consent_sort(list.items, list.count))
		binary_error("key: one occurs twice");
	result = consent_form(list.items, list.count);
	PG_RETURN_POINTER(result);
}

Datum
consent_send(PG_FUNCTION_ARGS)
{
	Consent *consent = DatumGetConsentP(PG_GETARG_DATUM(0));
	int count = consent_count(consent);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, CONSENT_WIRE_FORMAT);
	pq_sendint32(&buf, count);
	for (int i = 0; i < count; i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		pq_sendbyte(&buf, decision.status);
		pq_sendbyte(&buf, decision.type);
		pq_sendint16(&buf, decision.version);
		pq_sendint64(&buf, decision.event_time);
		pq_sendint64(&buf, decision.valid_until);
		pq_sendbyte(&buf, decision.purpose_len);
		pq_sendbyte(&buf, decision.channel_len);
		pq_sendbyte(&buf, decision.recipient_len);
		pq_sendbytes(&buf, decision.purpose, decision.purpose_len);
		pq_sendbytes(&buf, decision.channel, decision.channel_len);
		pq_sendbytes(&buf, decision.recipient, decision.recipient_len);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
consent_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb *jsonb = PG_GETARG_JSONB_P(0);
	DecisionList list = {0};
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	Consent *result;

	if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb))
		json_error("It is not an array.");
	iterator = JsonbIteratorInit(&jsonb->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_END_ARRAY)
	{
		if (token != WJB_ELEM || value.type != jbvBinary ||
		    !JsonContainerIsObject(value.val.binary.data))
			json_error("An element of the array is not an object.");
		read_json_decision(value.val.binary.data, list_add(&list));
	}
	if (!consent_sort(list.items, list.count))
		json_error("Two decisions are on the same purpose, channel and recipient.");
	result = consent_form(list.items, list.count);
	PG_RETURN_POINTER(result);
}

static void
push_string(JsonbParseState **state, const char *key, const char *string, int len)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = (char *) key;
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
	value.val.string.val = pnstrdup(string, len);
	value.val.string.len = len;
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_decision(JsonbParseState **state, const ConsentDecision *decision)
{
	const char *status = consent_status_name(decision->status);
	const char *type = consent_type_name(decision->type);
	char time[CONSENT_TIME_BUFFER];
	JsonbValue value;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_string(state, "purpose", decision->purpose, decision->purpose_len);
	if (decision->channel_len > 0)
		push_string(state, "channel", decision->channel, decision->channel_len);
	if (decision->recipient_len > 0)
		push_string(state, "recipient", decision->recipient, decision->recipient_len);
	push_string(state, "event_state", status, strlen(status));
	push_string(state, "consent_type", type, strlen(type));
	consent_time_format(decision->event_time, time);
	push_string(state, "event_time", time, strlen(time));
	if (decision->valid_until != DT_NOEND)
	{
		consent_time_format(decision->valid_until, time);
		push_string(state, "valid_until", time, strlen(time));
	}
	value.type = jbvString;
	value.val.string.val = "version";
	value.val.string.len = strlen("version");
	pushJsonbValue(state, WJB_KEY, &value);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(decision->version);
	pushJsonbValue(state, WJB_VALUE, &value);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

Datum
consent_to_jsonb(PG_FUNCTION_ARGS)
{
	Consent *consent = DatumGetConsentP(PG_GETARG_DATUM(0));
	int count = consent_count(consent);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
	{
		ConsentDecision decision;

		consent_get(consent, i, &decision);
		push_decision(&state, &decision);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
}

/* The new last element, with what input may leave out filled in. */
static ConsentDecision *
list_add(DecisionList *list)
{
	ConsentDecision *decision;

	if (list->items == NULL)
	{
		list->capacity = 8;
		list->items = palloc(sizeof(ConsentDecision) * list->capacity);
	}
	else if (list->count == list->capacity)
	{
		list->capacity *= 2;
		list->items = repalloc_huge(list->items, sizeof(ConsentDecision) * list->capacity);
	}
	decision = &list->items[list->count++];
	memset(decision, 0, sizeof(*decision));
	decision->channel = decision->recipient = "";
	decision->type = CONSENT_EXPRESSED;
	decision->version = 1;
	decision->valid_until = DT_NOEND;
	return decision;
}

/* Takes a run of characters of labels, dots where a path may stand; 0 bytes when there is none. */
static int
take_word(TextParser *parser, bool is_path, const char **word)
{
	static const char *const label_chars = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	static const char *const path_chars = "abcdefghijklmnopqrstuvwxyz0123456789_.";
	int len = strspn(parser->at, is_path ? path_chars : label_chars);

	*word = parser->at;
	parser->at += len;
	return len;
}

static void
parse_key(TextParser *parser, ConsentDecision *decision)
{
	const char *start = parser->at;
	int len = take_word(parser, true, &decision->purpose);

	if (!purpose_path_is_valid(decision->purpose, len))
	{
		parser->at = start;
		text_error(parser, "a purpose");
	}
	decision->purpose_len = len;
	if (*parser->at == '/')
	{
		start = ++parser->at;
		len = take_word(parser, false, &decision->channel);
		if (!purpose_path_is_label(decision->channel, len))
		{
			parser->at = start;
			text_error(parser, "a channel");
		}
		decision->channel_len = len;
	}
	if (*parser->at == '@')
	{
		start = ++parser->at;
		len = take_word(parser, false, &decision->recipient);
		if (!purpose_path_is_label(decision->recipient, len))
		{
			parser->at = start;
			text_error(parser, "a recipient");
		}
		decision->recipient_len = len;
	}
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
skip_space(TextParser *parser)
{
	while (is_space(*parser->at))
		parser->at++;
}

/* Digits after the "v", without a leading zero. */
static bool
parse_version(const char *word, int len, int16 *out)
{
	int version = 0;

	if (len < 2 || len > 6 || word[0] != 'v' || word[1] == '0')
		return false;
	for (int i = 1; i < len; i++)
	{
		if (word[i] < '0' || word[i] > '9')
			return false;
		version = version * 10 + (word[i] - '0');
	}
	if (version > PG_INT16_MAX)
		return false;
	*out = version;
	return true;
}

/* [ type ] [ version ], each followed by space; stops in front of the time. */
static void
parse_options(TextParser *parser, ConsentDecision *decision)
{
	const char *word;
	int len;

	if (*parser->at >= 'a' && *parser->at != 'v')
	{
		const char *start = parser->at;

		len = take_word(parser, false, &word);
		if (!consent_type_parse(word, len, &decision->type))
		{
			parser->at = start;
			text_error(parser, "a consent type, a version or a time");
		}
		skip_space(parser);
	}
	if (*parser->at == 'v')
	{
		const char *start = parser->at;

		len = take_word(parser, false, &word);
		if (!parse_version(word, len, &decision->version))
		{
			parser->at = start;
			text_error(parser, "a version from v1 to v32767");
		}
		skip_space(parser);
	}
}

static void
parse_decision(TextParser *parser, ConsentDecision *decision)
{
	const char *start;
	const char *word;
	int len;

	parse_key(parser, decision);
	skip_space(parser);
	if (*parser->at != ':')
		text_error(parser, "\":\"");
	parser->at++;
	skip_space(parser);
	start = parser->at;
	len = take_word(parser, false, &word);
	if (!consent_status_parse(word, len, &decision->status))
	{
		parser->at = start;
		text_error(parser, "a consent status");
	}
	skip_space(parser);
	parse_options(parser, decision);
	if (!consent_time_parse(&parser->at, parser->end, &decision->event_time))
		text_error(parser, "a time with a zone, in the years 0001 to 9999,");

	skip_space(parser);
	if (strncmp(parser->at, "until", 5) != 0)
		return;
	parser->at += 5;
	if (!is_space(*parser->at))
		text_error(parser, "space");
	skip_space(parser);
	if (strncmp(parser->at, "infinity", 8) == 0)
		parser->at += 8;
	else if (!consent_time_parse(&parser->at, parser->end, &decision->valid_until))
		text_error(parser, "a time with a zone, in the years 0001 to 9999,");
}

static void
receive_decision(StringInfo buf, ConsentDecision *decision)
{
	int total;

	if (buf->len - buf->cursor < WIRE_DECISION_MIN_BYTES)
		binary_error("length");
	decision->status = pq_getmsgbyte(buf);
	decision->type = pq_getmsgbyte(buf);
	decision->version = pq_getmsgint(buf, 2);
	decision->event_time = pq_getmsgint64(buf);
	decision->valid_until = pq_getmsgint64(buf);
	decision->purpose_len = pq_getmsgbyte(buf);
	decision->channel_len = pq_getmsgbyte(buf);
	decision->recipient_len = pq_getmsgbyte(buf);
	total = decision->purpose_len + decision->channel_len + decision->recipient_len;
	if (buf->len - buf->cursor < total)
		binary_error("length");
	decision->purpose = pq_getmsgbytes(buf, decision->purpose_len);
	decision->channel = pq_getmsgbytes(buf, decision->channel_len);
	decision->recipient = pq_getmsgbytes(buf, decision->recipient_len);
	if (!consent_decision_is_valid(decision))
		binary_error("decision");
}

static bool
key_is(const JsonbValue *key, const char *name)
{
	return key->val.string.len == strlen(name) &&
	       memcmp(key->val.string.val, name, key->val.string.len) == 0;
}

/* A string of at most 255 bytes, whose syntax consent_decision_is_valid() checks. */
static const char *
json_label(const JsonbValue *value, uint8 *len)
{
	if (value->type != jbvString || value->val.string.len < 1 ||
	    value->val.string.len > PG_UINT8_MAX)
		json_error("A purpose, channel or recipient is not a string of 1 to 255 bytes.");
	*len = value->val.string.len;
	return value->val.string.val;
}

static TimestampTz
json_time(const JsonbValue *value, bool allow_infinity)
{
	const char *at;
	const char *end;
	TimestampTz time;

	if (value->type != jbvString)
		json_error("A time is not a string.");
	at = value->val.string.val;
	end = at + value->val.string.len;
	if (allow_infinity && end - at == 8 && memcmp(at, "infinity", 8) == 0)
		return DT_NOEND;
	if (!consent_time_parse(&at, end, &time) || at != end)
		json_error("A time is not ISO 8601 with a zone, in the years 0001 to 9999.");
	return time;
}

static int16
json_version(const JsonbValue *value)
{
	bool overflow = false;
	int32 version = 0;

	if (value->type == jbvNumeric)
		version = numeric_int4_opt_error(value->val.numeric, &overflow);
	if (overflow || version < 1 || version > PG_INT16_MAX ||
	    !DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
	                                      NumericGetDatum(int64_to_numeric(version)))))
		json_error("A version is not a whole number from 1 to 32767.");
	return version;
}

/* Fills in one member; a null stands for a member that is not there. */
static void
read_json_member(const JsonbValue *key, const JsonbValue *value, ConsentDecision *decision,
                 bool *has_status, bool *has_time)
{
	if (key_is(key, "purpose"))
		decision->purpose = json_label(value, &decision->purpose_len);
	else if (key_is(key, "event_state"))
		*has_status =
		    value->type == jbvString &&
		    consent_status_parse(value->val.string.val, value->val.string.len, &decision->status);
	else if (key_is(key, "event_time"))
	{
		decision->event_time = json_time(value, false);
		*has_time = true;
	}
	else if (value->type == jbvNull)
	{
		if (!key_is(key, "channel") && !key_is(key, "recipient") && !key_is(key, "consent_type") &&
		    !key_is(key, "valid_until") && !key_is(key, "version"))
			json_error("A decision has an unknown key.");
	}
	else if (key_is(key, "channel"))
		decision->channel = json_label(value, &decision->channel_len);
	else if (key_is(key, "recipient"))
		decision->recipient = json_label(value, &decision->recipient_len);
	else if (key_is(key, "consent_type"))
	{
		if (value->type != jbvString ||
		    !consent_type_parse(value->val.string.val, value->val.string.len, &decision->type))
			json_error("A consent_type is not one of implied, expressed, explicitly_expressed.");
	}
	else if (key_is(key, "valid_until"))
		decision->valid_until = json_time(value, true);
	else if (key_is(key, "version"))
		decision->version = json_version(value);
	else
		json_error("A decision has an unknown key.");
}

static void
read_json_decision(JsonbContainer *object, ConsentDecision *decision)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue value;
	bool has_status = false;
	bool has_time = false;

	(void) JsonbIteratorNext(&iterator, &key, true);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_END_OBJECT)
	{
		if (token != WJB_KEY)
			elog(ERROR, "unexpected token in a jsonb object");
		(void) JsonbIteratorNext(&iterator, &value, true);
		read_json_member(&key, &value, decision, &has_status, &has_time);
	}
	if (decision->purpose_len == 0 || !has_status || !has_time)
		json_error("A decision lacks a purpose, an event_time or a valid event_state.");
	if (!consent_decision_is_valid(decision))
		json_error("A purpose, channel or recipient has invalid syntax.");
}
