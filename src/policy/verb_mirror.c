/*
 * verb_mirror.c
 *		What verbs do with the rows of guarded tables: they count them, and carry decisions into
 *		consent columns.
 *
 * An UPDATE fires the table's triggers, which are somebody else's code. So it runs as the table's
 * owner in a security-restricted context, and with the verb suspended. Only the statement itself is
 * exempt from the guard, recognised by the address of its text (verb_owns_statement).
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "policy/verb.h"
#include "policy/verb_mirror.h"

static const char *mirror_source = NULL;

/* A statement and its parameters; of a SELECT the bigint that it returns. */
typedef struct OwnerStatement
{
	const char *sql;
	int n;
	Oid *types;
	Datum *values;
	char *nulls;
	int64 result;
} OwnerStatement;

static void run_as_owner(Oid owner, OwnerStatement *statement);
static void run_own(OwnerStatement *statement);
static bool mirror_would_run_foreign_code(Relation rel);

PG_FUNCTION_INFO_V1(verb_mirror_consent);
PG_FUNCTION_INFO_V1(verb_count_rows);

bool
verb_owns_statement(const char *source_text)
{
	return mirror_source != NULL && source_text == mirror_source;
}

/*
 * privacy_guard_internal.mirror_to_table(relation, sql, key, consent)
 *
 * sql takes the key as $1 (its type is that of the argument) and the decisions as $2. Returns false
 * where nothing was done because a superuser's table has triggers of somebody else.
 */
Datum
verb_mirror_consent(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid types[2] = {get_fn_expr_argtype(fcinfo->flinfo, 2), get_fn_expr_argtype(fcinfo->flinfo, 3)};
	Datum values[2] = {PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	OwnerStatement statement = {.sql = sql, .n = 2, .types = types, .values = values};
	Oid owner = rel->rd_rel->relowner;
	bool refused = superuser_arg(owner) && mirror_would_run_foreign_code(rel);

	table_close(rel, NoLock);
	(void) verb_invoker(); /* only from within a verb */
	if (refused)
		PG_RETURN_BOOL(false);
	run_as_owner(owner, &statement);
	PG_RETURN_BOOL(true);
}

/*
 * privacy_guard_internal.count_as_owner(relation, sql, arguments text[])
 *
 * sql selects one bigint; the arguments are its $1, $2, ...
 */
Datum
verb_count_rows(PG_FUNCTION_ARGS)
{
	Relation rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	OwnerStatement statement = {.sql = text_to_cstring(PG_GETARG_TEXT_PP(1))};
	Oid owner = rel->rd_rel->relowner;
	bool *isnull;

	table_close(rel, NoLock);
	(void) verb_invoker();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &statement.values,
	                  &isnull, &statement.n);
	statement.types = palloc(sizeof(Oid) * (statement.n + 1));
	statement.nulls = palloc(statement.n + 1);
	for (int i = 0; i < statement.n; i++)
	{
		statement.types[i] = TEXTOID;
		statement.nulls[i] = isnull[i] ? 'n' : ' ';
	}
	run_as_owner(owner, &statement);
	PG_RETURN_INT64(statement.result);
}

static void
run_as_owner(Oid owner, OwnerStatement *statement)
{
	const char *outer = mirror_source;
	Oid user;
	int context;
	int depth = verb_suspend();

	GetUserIdAndSecContext(&user, &context);
	PG_TRY();
	{
		SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE |
		                                  SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
		run_own(statement);
	}
	PG_FINALLY();
	{
		mirror_source = outer;
		SetUserIdAndSecContext(user, context);
		verb_resume(depth);
	}
	PG_END_TRY();
}

static void
run_own(OwnerStatement *statement)
{
	SPIPlanPtr plan;
	bool isnull;
	int code;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(statement->sql, statement->n, statement->types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed");
	mirror_source = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->query_string;
	code = SPI_execute_plan(plan, statement->values, statement->nulls, false, 0);
	if (code == SPI_OK_SELECT && SPI_processed == 1)
		statement->result =
		    DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	else if (code != SPI_OK_UPDATE)
		elog(ERROR, "a statement on a guarded table did not do what it should");
	SPI_finish();
}

/* Who holds TRIGGER on a superuser's table must not make it run code as the superuser. */
static bool
mirror_would_run_foreign_code(Relation rel)
{
	Oid ours = get_namespace_oid("privacy_guard_internal", false);

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_UPDATE(trigger->tgtype) && !trigger->tgisinternal &&
		    trigger->tgenabled != TRIGGER_DISABLED && get_func_namespace(trigger->tgfoid) != ours)
			return true;
	}
	return false;
}
