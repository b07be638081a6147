/*
 * server_shim.h
 *		The few server facilities that the types use, outside a server, so that sanitizers see every
 *		byte: each allocation is its own malloc, each error a longjmp.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef SERVER_SHIM_H
#define SERVER_SHIM_H

#include "fmgr.h"
#include "utils/jsonb.h"

/* What the last error said; shim_sqlstate is 0 after a call that raised none. */
extern int shim_sqlstate;
extern bool shim_has_hint;
extern char shim_message[1024];

/* Calls a function of one argument; false when it raised an error. */
extern bool shim_call(PGFunction function, Datum argument, Datum *result);

/* Frees what was allocated since the last reset. */
extern void shim_reset(void);

/* jsonb values for use with the shim's iterator. Strings are copied to their exact length. */
extern void shim_json_begin(JsonbParseState **state, bool object);
extern JsonbValue *shim_json_end(JsonbParseState **state, bool object);
extern void shim_json_string(JsonbParseState **state, JsonbIteratorToken token, const char *bytes,
                             int len);
extern void shim_json_number(JsonbParseState **state, JsonbIteratorToken token, long double number);
extern void shim_json_other(JsonbParseState **state, JsonbIteratorToken token, enum jbvType type);

#endif /* SERVER_SHIM_H */
