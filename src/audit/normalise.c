/*
 * normalise.c
 *		The text of a statement as it may be kept: without literals, comments and needless space.
 *
 * The server's own scanner says what is a literal.  How it reads a backslash depends on
 * standard_conforming_strings at the time when the statement was parsed, which may have been long
 * ago; so a text with a backslash is read in both ways, and kept where only one of them is possible
 * or where they agree: what the statement's own reading takes for a literal is never kept.
 *
 * A list is shortened while it is written: at the end of each member it is compared with the one
 * before, which is still in the output.
 */
#include "postgres.h"

#include "common/keywords.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "audit/normalise.h"

#define ELLIPSIS " ..."
#define MORE_MEMBERS ", ..."

/* Lists that are nested more deeply are not shortened. */
#define MAX_DEPTH 32

/* What the scanner calls its tokens.  The numbers are the same for every grammar upon it. */
enum
{
	TOKEN_END = 0,
	TOKEN_IDENT = 258,
	TOKEN_UIDENT,
	TOKEN_FCONST,
	TOKEN_SCONST,
	TOKEN_USCONST,
	TOKEN_BCONST,
	TOKEN_XCONST,
	TOKEN_OP,
	TOKEN_ICONST,
	TOKEN_PARAM,
	TOKEN_TYPECAST,
	TOKEN_DOT_DOT,
	TOKEN_COLON_EQUALS,
	TOKEN_EQUALS_GREATER,
	TOKEN_LESS_EQUALS,
	TOKEN_GREATER_EQUALS,
	TOKEN_NOT_EQUALS /* keywords follow */
};

typedef struct Token
{
	int kind;
	const char *text;
	int length;
	bool spaced; /* something is between it and the one before */
	const char *keyword;
} Token;

/* A member of a list; positions in the output. */
typedef struct Member
{
	int start; /* -1: nothing of it was written */
	int end;
} Member;

typedef struct Series
{
	Member current;
	Member previous;
	int end; /* of the previous one and the ellipsis after it */
	bool shortened;
} Series;

typedef struct Output
{
	/* Room for an ellipsis in place of a member, and one at the end. */
	char text[NORMALISE_MAX_LENGTH + sizeof(MORE_MEMBERS) + sizeof(ELLIPSIS)];
	int length;
	bool full;
	Token last;   /* kind TOKEN_END: none */
	Token sign;   /* of a number, if one follows */
	bool pending; /* a semicolon, if anything follows */
	int depth;
	Series list[MAX_DEPTH];
} Output;

typedef struct Source
{
	const char *window;
	int length;
	bool cut; /* there is more */
	int from; /* the statement's own part */
	int to;
} Source;

PG_FUNCTION_INFO_V1(normalise_statement);

/* ---- lists ---- */

static void
begin_list(Output *out)
{
	static const Series empty = {.current.start = -1};

	out->depth++;
	if (out->depth < MAX_DEPTH)
		out->list[out->depth] = empty;
}

static bool
is_repetition(const Output *out, const Series *list)
{
	const Member *current = &list->current;
	const Member *previous = &list->previous;
	int length = current->end - current->start;

	return length == previous->end - previous->start &&
	       memcmp(out->text + current->start, out->text + previous->start, length) == 0 &&
	       memchr(out->text + current->start, '?', length) != NULL;
}

static void
end_member(Output *out)
{
	Series *list;

	if (out->depth >= MAX_DEPTH)
		return;
	list = &out->list[out->depth];
	if (list->current.start < 0)
		return;
	list->current.end = out->length;
	if (is_repetition(out, list))
	{
		out->length = list->end;
		if (!list->shortened)
		{
			memcpy(out->text + out->length, MORE_MEMBERS, strlen(MORE_MEMBERS));
			out->length += strlen(MORE_MEMBERS);
		}
		list->shortened = true;
	}
	else
	{
		list->previous = list->current;
		list->shortened = false;
	}
	list->end = out->length;
	list->current.start = -1;
}

static void
end_list(Output *out)
{
	end_member(out);
	if (out->depth > 0)
		out->depth--;
}

/* ---- tokens ---- */

static bool
is_number(const Token *token)
{
	return token->kind == TOKEN_ICONST || token->kind == TOKEN_FCONST;
}

static bool
is_literal(const Token *token)
{
	switch (token->kind)
	{
		case TOKEN_FCONST:
		case TOKEN_SCONST:
		case TOKEN_USCONST:
		case TOKEN_BCONST:
		case TOKEN_XCONST:
		case TOKEN_ICONST:
			return true;
		default:
			return false;
	}
}

/* May a value end here, so that a sign after it is an operator? */
static bool
ends_value(const Token *token)
{
	static const char *const introduces_value[] = {
	    "and",    "between", "by",     "else", "limit", "not",   "offset", "or",       "set",
	    "select", "then",    "values", "when", "with",  "where", "return", "returning"};

	if (token->kind > TOKEN_NOT_EQUALS)
	{
		for (int i = 0; i < lengthof(introduces_value); i++)
		{
			if (strcmp(token->keyword, introduces_value[i]) == 0)
				return false;
		}
		return true;
	}
	return token->kind == TOKEN_IDENT || token->kind == TOKEN_UIDENT ||
	       token->kind == TOKEN_PARAM || token->kind == ')' || token->kind == ']' ||
	       is_literal(token);
}

static bool
needs_space(const Token *last, const Token *token)
{
	switch (last->kind)
	{
		case TOKEN_END:
		case TOKEN_TYPECAST:
		case '(':
		case '[':
		case '.':
			return false;
	}
	switch (token->kind)
	{
		case TOKEN_TYPECAST:
		case ')':
		case ']':
		case '.':
		case ',':
		case ';':
			return false;
		case '(':
		case '[':
			return token->spaced;
		default:
			return true;
	}
}

static void
write_token(Output *out, const Token *token)
{
	bool space = needs_space(&out->last, token);
	const char *text = is_literal(token) ? "?" : token->text;
	int length = is_literal(token) ? 1 : token->length;

	if (out->length + space + length > NORMALISE_MAX_LENGTH)
	{
		out->full = true;
		return;
	}
	if (space)
		out->text[out->length++] = ' ';
	if (out->depth < MAX_DEPTH && out->list[out->depth].current.start < 0)
		out->list[out->depth].current.start = out->length;
	memcpy(out->text + out->length, text, length);
	out->length += length;
	out->last = *token;
}

static void
write_separator(Output *out, const Token *token)
{
	/* Its own member has ended; the next has not begun. */
	if (out->length < NORMALISE_MAX_LENGTH)
		out->text[out->length++] = token->kind;
	else
		out->full = true;
	out->last = *token;
}

/* What was held back until it was known what follows. */
static void
write_held(Output *out, const Token *next)
{
	Token sign = out->sign;

	out->sign.kind = TOKEN_END;
	if (sign.kind != TOKEN_END && !is_number(next))
		write_token(out, &sign);
	if (out->pending && next->kind != ';')
	{
		Token semicolon = {.kind = ';'};

		out->pending = false;
		write_separator(out, &semicolon);
	}
}

static void
add_token(Output *out, const Token *token)
{
	write_held(out, token);
	switch (token->kind)
	{
		case '(':
		case '[':
			write_token(out, token);
			begin_list(out);
			break;
		case ')':
		case ']':
			end_list(out);
			write_token(out, token);
			break;
		case ',':
			end_member(out);
			write_separator(out, token);
			break;
		case ';':
			end_member(out);
			out->depth = -1;
			begin_list(out);
			out->pending = true;
			break;
		case '+':
		case '-':
			if (!ends_value(&out->last))
			{
				out->sign = *token;
				break;
			}
			/* FALLTHROUGH */
		default:
			write_token(out, token);
	}
}

/* ---- reading ---- */

static void
begin_output(Output *out)
{
	out->length = 0;
	out->full = false;
	out->last.kind = TOKEN_END;
	out->sign.kind = TOKEN_END;
	out->pending = false;
	out->depth = -1;
	begin_list(out);
}

static void
scan_source(const Source *source, bool conforming, Output *out)
{
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE location;
	core_yyscan_t scanner = scanner_init(source->window, &extra, &ScanKeywords, ScanKeywordTokens);
	int end = 0;

	extra.standard_conforming_strings = conforming;
	extra.backslash_quote = BACKSLASH_QUOTE_ON;
	extra.escape_string_warning = false;
	while (!out->full)
	{
		Token token = {.kind = core_yylex(&value, &location, scanner)};

		if (token.kind == TOKEN_END || location >= source->to)
			break;
		/* The scanner keeps the end of the token that it is at terminated. */
		token.text = extra.scanbuf + location;
		token.length = strlen(token.text);
		token.spaced = location > end;
		token.keyword = token.kind > TOKEN_NOT_EQUALS ? value.keyword : NULL;
		end = location + token.length;
		/* It might go on behind the window. */
		if (source->cut && end >= source->length)
			break;
		if (location >= source->from)
			add_token(out, &token);
	}
	end_member(out);
	scanner_finish(scanner);
}

/*
 * False where the source cannot be read so.  The scanner holds nothing but memory when it raises an
 * error, so that there is nothing to be rolled back.
 */
static bool
try_scan(const Source *source, bool conforming, Output *out)
{
	MemoryContext context = CurrentMemoryContext;
	int client_level = client_min_messages;
	int server_level = log_min_messages;
	volatile bool readable = true;

	begin_output(out);
	/* The user has been told before that a name is too long. */
	client_min_messages = log_min_messages = ERROR;
	PG_TRY();
	{
		error_context_stack = NULL;
		scan_source(source, conforming, out);
	}
	PG_CATCH();
	{
		int category = ERRCODE_TO_CATEGORY(geterrcode());

		client_min_messages = client_level;
		log_min_messages = server_level;
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR) &&
		    category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		/* What comes before the end of the window has been read as it should. */
		readable = source->cut;
	}
	PG_END_TRY();
	client_min_messages = client_level;
	log_min_messages = server_level;
	if (out->full || source->cut)
	{
		memcpy(out->text + out->length, ELLIPSIS, strlen(ELLIPSIS));
		out->length += strlen(ELLIPSIS);
	}
	out->text[out->length] = '\0';
	return readable && out->last.kind != TOKEN_END;
}

static const char *
scan_both_ways(const Source *source)
{
	Output *out = palloc(2 * sizeof(Output));
	bool conforming = try_scan(source, true, &out[0]);
	bool escaping;

	if (memchr(source->window, '\\', source->length) == NULL)
		return conforming ? out[0].text : NORMALISE_UNAVAILABLE;
	escaping = try_scan(source, false, &out[1]);
	if (conforming && escaping && strcmp(out[0].text, out[1].text) != 0)
		return NORMALISE_UNAVAILABLE;
	return conforming ? out[0].text : escaping ? out[1].text : NORMALISE_UNAVAILABLE;
}

char *
normalise_statement_text(const char *string, int location, int length)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext own =
	    AllocSetContextCreate(caller, "privacy_guard statement text", ALLOCSET_DEFAULT_SIZES);
	Source source;
	char *result;

	MemoryContextSwitchTo(own);
	source.from = Max(location, 0);
	/* A length without a location comes from elsewhere than this source. */
	source.to = location >= 0 && length > 0 && location <= PG_INT32_MAX - length ? location + length
	                                                                             : PG_INT32_MAX;
	source.length = strnlen(string, Min(source.to, NORMALISE_MAX_SOURCE));
	source.cut = source.length == NORMALISE_MAX_SOURCE && string[source.length] != '\0';
	source.window = pnstrdup(string, source.length);
	result = MemoryContextStrdup(caller, scan_both_ways(&source));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(own);
	return result;
}

/* privacy_guard.normalise_statement(text) */
Datum
normalise_statement(PG_FUNCTION_ARGS)
{
	char *statement = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(normalise_statement_text(statement, -1, 0)));
}
