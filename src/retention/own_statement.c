/*
 * own_statement.c
 *		Statements that the extension itself runs on guarded tables, as their owners.
 *
 * Carrying a decision into a consent column, or erasing a row, fires the table's triggers, checks
 * its constraints and maintains its indexes, and these are somebody else's code.  So the statement
 * runs as the table's owner in a security-restricted context, and with the verb suspended.  Only
 * the statement itself is exempt from the guard, recognised by the address of its text; what its
 * triggers start is not.
 *
 * All state is of this backend, and on the C stack while a statement runs.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "policy/verb.h"
#include "retention/own_statement.h"
#include "retention/owner_code.h"

/* Whom the code that runs now runs as, to be put back. */
typedef struct Owner
{
	Oid user;
	int context;
	int depth;
	int guc_level;
} Owner;

static OwnStatement *running = NULL;

PG_FUNCTION_INFO_V1(verb_mirror_consent);
PG_FUNCTION_INFO_V1(own_statement_run_as_owner);
PG_FUNCTION_INFO_V1(own_statement_immediate);

OwnStatement *
own_statement(const char *source_text)
{
	return running != NULL && source_text == running->source ? running : NULL;
}

void
own_statement_settle(OwnStatement *own)
{
	if (own->subjects != NULL && own->n_numbers > 0)
		subject_bits_add_many(own->subjects, own->number, own->n_numbers);
	own->n_numbers = 0;
}

void
own_statement_check_deferring(const ConstraintsSetStmt *statement)
{
	if (running != NULL && statement->deferred)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("constraints cannot be deferred while privacy_guard changes rows"),
		                errhint("Take SET CONSTRAINTS out of the triggers of the table.")));
}

void
own_statement_check_cascade(const PlannedStmt *plan)
{
	OwnerCodeEvent event = plan->commandType == CMD_DELETE ? OWNER_CODE_DELETE : OWNER_CODE_UPDATE;
	ListCell *cell;

	if (running == NULL)
		return;
	foreach (cell, plan->resultRelations)
		owner_code_check_cascade(rt_fetch(lfirst_int(cell), plan->rtable)->relid, event);
}

/* ---- as the owner ---- */

static Oid
owner_of(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	Oid owner = rel->rd_rel->relowner;

	table_close(rel, NoLock);
	return owner;
}

/* Row security may be off in the session; it has no say in own statements, but core would ask. */
static void
become_owner(Owner *was, Oid owner)
{
	(void) verb_invoker(); /* only from within a verb */
	GetUserIdAndSecContext(&was->user, &was->context);
	was->guc_level = NewGUCNestLevel();
	if (!row_security)
		(void) set_config_option("row_security", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
		                         true, 0, false);
	was->depth = verb_suspend();
	SetUserIdAndSecContext(owner, was->context | SECURITY_LOCAL_USERID_CHANGE |
	                                  SECURITY_RESTRICTED_OPERATION);
}

static void
leave_owner(const Owner *was)
{
	SetUserIdAndSecContext(was->user, was->context);
	verb_resume(was->depth);
}

/*
 * Triggers that are deferred run when the transaction ends, as whoever ends it.  In a worker that
 * is a superuser, and who erases by hand may be one.
 */
static bool
leaves_nothing(const OwnStatement *own)
{
	return OidIsValid(own->erases) || MyBackendType == B_BG_WORKER;
}

static void
fire_deferred(void)
{
	ConstraintsSetStmt all = {.type = T_ConstraintsSetStmt};

	AfterTriggerSetState(&all);
}

/* What the invoker's transaction has deferred before is no business of the owner's. */
static void
fire_deferred_of_invoker(void)
{
	Oid invoker = verb_invoker();
	Owner was;

	GetUserIdAndSecContext(&was.user, &was.context);
	was.depth = verb_suspend();
	SetUserIdAndSecContext(invoker, was.context);
	PG_TRY();
	{
		fire_deferred();
	}
	PG_FINALLY();
	{
		leave_owner(&was);
	}
	PG_END_TRY();
}

/* privacy_guard_internal.make_constraints_immediate() */
Datum
own_statement_immediate(PG_FUNCTION_ARGS)
{
	fire_deferred_of_invoker();
	PG_RETURN_VOID();
}

static SPIPlanPtr
prepare(const char *sql, int n_args, Oid *types, int options)
{
	SPIPlanPtr plan = SPI_prepare_cursor(sql, n_args, types, options);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* Also in a CTE.  A kept plan that could not be made anew has lost its queries: it may. */
static bool
changes_rows(CachedPlanSource *source)
{
	ListCell *cell;

	if (source->query_list == NIL)
		return true;
	foreach (cell, source->query_list)
	{
		Query *query = lfirst_node(Query, cell);

		if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
			return true;
	}
	return false;
}

static ParamListInfo
params_of(const OwnCall *call)
{
	ParamListInfo params = makeParamList(call->n_args);

	for (int i = 0; i < call->n_args; i++)
		params->params[i] = (ParamExternData){
		    .value = call->values[i],
		    .isnull = call->isnull != NULL && call->isnull[i],
		    .pflags = PARAM_FLAG_CONST,
		    .ptype = call->types[i],
		};
	return params;
}

static void
execute(OwnStatement *own, Oid relid, const OwnCall *call)
{
	SPIExecuteOptions options = {.dest = call->receiver};
	SPIPlanPtr plan = call->plan;
	CachedPlanSource *source;
	bool changes;
	int result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	options.params = params_of(call);
	if (plan == NULL)
		plan = prepare(call->sql, call->n_args, call->types, 0);
	source = linitial(SPI_plan_get_plan_sources(plan));
	own->source = source->query_string;
	changes = changes_rows(source);
	if (changes)
		owner_code_check(relid);
	result = SPI_execute_plan_extended(plan, &options);
	if (changes && leaves_nothing(own))
		fire_deferred();
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	if (call->take != NULL)
		call->take(result, call->arg);
	SPI_finish();
}

void
own_statement_run(OwnStatement *own, Oid relid, const OwnCall *call)
{
	Oid owner = owner_of(relid);
	Owner was;

	if (leaves_nothing(own))
		fire_deferred_of_invoker();
	own->outer = running;
	own->source = NULL;
	become_owner(&was, owner);
	PG_TRY();
	{
		running = own;
		execute(own, relid, call);
	}
	PG_FINALLY();
	{
		running = own->outer;
		leave_owner(&was);
	}
	PG_END_TRY();
	AtEOXact_GUC(false, was.guc_level); /* what somebody's trigger has set, too */
	own_statement_settle(own);
}

SPIPlanPtr
own_statement_prepare(Oid relid, const char *sql, int n_args, Oid *types)
{
	Oid owner = owner_of(relid);
	SPIPlanPtr plan = NULL;
	Owner was;

	become_owner(&was, owner);
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		plan = prepare(sql, n_args, types, CURSOR_OPT_GENERIC_PLAN);
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed");
		SPI_finish();
	}
	PG_FINALLY();
	{
		leave_owner(&was);
	}
	PG_END_TRY();
	AtEOXact_GUC(false, was.guc_level); /* what somebody's trigger has set, too */
	return plan;
}

void
own_statement_text_args(OwnCall *call, ArrayType *arguments)
{
	deconstruct_array(arguments, TEXTOID, -1, false, TYPALIGN_INT, &call->values, &call->isnull,
	                  &call->n_args);
	call->types = palloc(sizeof(Oid) * call->n_args);
	for (int i = 0; i < call->n_args; i++)
		call->types[i] = TEXTOID;
}

/* NULL where the statement brought no row, or a null. */
static void
take_jsonb(int result, void *arg)
{
	bool isnull;
	Datum value;

	if (SPI_processed == 0 || SPI_tuptable == NULL)
		return;
	if (SPI_tuptable->tupdesc->natts != 1 || SPI_gettypeid(SPI_tuptable->tupdesc, 1) != JSONBOID)
		elog(ERROR, "an own statement returns one jsonb");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		*(Datum *) arg = SPI_datumTransfer(value, false, -1);
}

Datum
own_statement_jsonb(OwnStatement *own, Oid relid, const char *sql, ArrayType *arguments)
{
	Datum result = (Datum) 0;
	OwnCall call = {.sql = sql, .take = take_jsonb, .arg = &result};

	own_statement_text_args(&call, arguments);
	own_statement_run(own, relid, &call);
	return result;
}

/* ---- for the verbs ---- */

/*
 * privacy_guard_internal.mirror_to_table(relation, sql, key, consent)
 *
 * sql takes the key as $1 (its type is that of the argument) and the decisions as $2. Returns false
 * where nothing was done because a superuser's table has triggers of somebody else.
 */
Datum
verb_mirror_consent(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	Oid types[2] = {get_fn_expr_argtype(fcinfo->flinfo, 2), get_fn_expr_argtype(fcinfo->flinfo, 3)};
	Datum values[2] = {PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	OwnStatement own = {.erases = InvalidOid};
	OwnCall call = {.sql = text_to_cstring(PG_GETARG_TEXT_PP(1)),
	                .n_args = 2,
	                .types = types,
	                .values = values};
	Relation rel = table_open(relid, RowExclusiveLock);

	table_close(rel, NoLock);
	(void) verb_invoker();
	if (owner_code_of_table(relid, OWNER_CODE_UPDATE))
		PG_RETURN_BOOL(false);
	own_statement_run(&own, relid, &call);
	PG_RETURN_BOOL(true);
}

/*
 * privacy_guard_internal.run_as_owner(relation, statement, VARIADIC arguments text[]): the
 * arguments are $1 and so on; what comes back is the one column of the one row.
 */
Datum
own_statement_run_as_owner(PG_FUNCTION_ARGS)
{
	OwnStatement own = {.erases = InvalidOid};
	Datum result = own_statement_jsonb(
	    &own, PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_GETARG_ARRAYTYPE_P(2));

	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
