/*
 * verb_mirror.c
 *		Carries decisions into the consent columns of guarded tables.
 *
 * The UPDATE fires the table's triggers, which are somebody else's code. So it runs as the table's
 * owner in a security-restricted context, and with the verb suspended. Only the statement itself is
 * exempt from the guard, recognised by the address of its text (verb_owns_statement).
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
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

static void mirror_update(const char *sql, Oid key_type, Datum key, Oid consent_type,
                          Datum consent);
static void mirror_run(const char *sql, Oid *types, Datum *values);
static bool mirror_would_run_foreign_code(Relation rel);

PG_FUNCTION_INFO_V1(verb_mirror_consent);

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
	Oid key_type = get_fn_expr_argtype(fcinfo->flinfo, 2);
	Oid consent_type = get_fn_expr_argtype(fcinfo->flinfo, 3);
	Oid owner = rel->rd_rel->relowner;
	bool refused = superuser_arg(owner) && mirror_would_run_foreign_code(rel);
	Oid user;
	int context;

	table_close(rel, NoLock);
	(void) verb_invoker(); /* only from within a verb */
	if (refused)
		PG_RETURN_BOOL(false);

	GetUserIdAndSecContext(&user, &context);
	PG_TRY();
	{
		SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE |
		                                  SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
		mirror_update(sql, key_type, PG_GETARG_DATUM(2), consent_type, PG_GETARG_DATUM(3));
	}
	PG_FINALLY();
	{
		SetUserIdAndSecContext(user, context);
	}
	PG_END_TRY();
	PG_RETURN_BOOL(true);
}

static void
mirror_update(const char *sql, Oid key_type, Datum key, Oid consent_type, Datum consent)
{
	Oid types[2] = {key_type, consent_type};
	Datum values[2] = {key, consent};
	int depth = verb_suspend();
	const char *outer = mirror_source;

	PG_TRY();
	{
		mirror_run(sql, types, values);
	}
	PG_FINALLY();
	{
		mirror_source = outer;
		verb_resume(depth);
	}
	PG_END_TRY();
}

static void
mirror_run(const char *sql, Oid *types, Datum *values)
{
	SPIPlanPtr plan;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(sql, 2, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed");
	mirror_source = ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(plan)))->query_string;
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not carry decisions into a consent column");
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
