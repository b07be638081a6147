/*
 * verb_source.c
 *		Reads a table for a verb, as the role that called the verb.
 *
 * A view, a domain or a column's type may run somebody's code when it is read. So a body never
 * reads a table of its caller itself: the query runs as the caller, with the verb suspended and
 * with row_security off, so that core refuses what it would filter.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "policy/verb.h"

static void source_read(const char *query, ReturnSetInfo *result);

PG_FUNCTION_INFO_V1(verb_read_source);

/* privacy_guard_internal.read_source(query): the query yields the columns of the function. */
Datum
verb_read_source(PG_FUNCTION_ARGS)
{
	char *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid invoker = verb_invoker();
	Oid user;
	int context;
	int guc_level;
	int depth;

	InitMaterializedSRF(fcinfo, 0);
	GetUserIdAndSecContext(&user, &context);
	guc_level = NewGUCNestLevel();
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
	                         true, 0, false);
	depth = verb_suspend();
	PG_TRY();
	{
		SetUserIdAndSecContext(invoker, context | SECURITY_LOCAL_USERID_CHANGE |
		                                    SECURITY_RESTRICTED_OPERATION);
		source_read(query, (ReturnSetInfo *) fcinfo->resultinfo);
	}
	PG_FINALLY();
	{
		SetUserIdAndSecContext(user, context);
		verb_resume(depth);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, guc_level);
	return (Datum) 0;
}

static void
source_read(const char *query, ReturnSetInfo *result)
{
	DestReceiver *store = CreateTuplestoreDestReceiver();
	SPIExecuteOptions options = {.read_only = true, .must_return_tuples = true, .dest = store};

	SetTuplestoreDestReceiverParams(store, result->setResult,
	                                result->econtext->ecxt_per_query_memory, false, result->setDesc,
	                                NULL);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_extended(query, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not read the source of an import");
	SPI_finish();
	store->rDestroy(store);
}
