/*
 * erase.c
 *		One batch of an erasure: a statement of ours on one table, and what it erased.
 *
 * Whose rows they were, and when their storage durations began, the guard tells.  The plan is kept
 * for the batches that follow, under a name that the caller gives to the run: to make the statement
 * and to plan it takes as long as to erase hundreds of rows.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "policy/hold.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "retention/own_statement.h"
#include "types/subject_set.h"

/* Batches alternate between the partitions of a table at most. */
#define KEPT_PLANS 8

/* Seconds for which a rule that no transaction changes is taken as it was. */
#define RULE_HOLDS 1

typedef struct KeptPlan
{
	char *name;
	SPIPlanPtr plan;
	uint64 used; /* when, in calls */
} KeptPlan;

enum
{
	ERASED_READY,
	ERASED_ROWS,
	ERASED_FIRST_START,
	ERASED_LAST_START,
	ERASED_SUBJECTS,
	ERASED_UNNUMBERED,
	ERASED_WITHHELD,
	ERASED_COLUMNS
};

static KeptPlan kept[KEPT_PLANS];
static uint64 calls = 0;

/* The run whose rule was read last, and until when that need not be done again. */
static struct
{
	pg_uuid_t run;
	uint64 policy;
	TimestampTz until;
} checked;

PG_FUNCTION_INFO_V1(erase_batch);
PG_FUNCTION_INFO_V1(erase_whole);
PG_FUNCTION_INFO_V1(erase_pick);
PG_FUNCTION_INFO_V1(erase_claim);
PG_FUNCTION_INFO_V1(erase_rule_checked);
PG_FUNCTION_INFO_V1(erase_rule_holds);

/* ---- plans ---- */

static SPIPlanPtr
find_plan(const char *name)
{
	calls++;
	for (int i = 0; i < KEPT_PLANS; i++)
		if (kept[i].name != NULL && strcmp(kept[i].name, name) == 0)
		{
			kept[i].used = calls;
			return kept[i].plan;
		}
	return NULL;
}

static SPIPlanPtr
keep_plan(const char *name, SPIPlanPtr plan)
{
	KeptPlan *oldest = &kept[0];

	for (int i = 1; i < KEPT_PLANS; i++)
		if (kept[i].used < oldest->used)
			oldest = &kept[i];
	if (oldest->name != NULL)
	{
		pfree(oldest->name);
		oldest->name = NULL;
		SPI_freeplan(oldest->plan);
	}
	oldest->plan = plan;
	oldest->used = calls;
	oldest->name = MemoryContextStrdup(TopMemoryContext, name);
	return plan;
}

/* ---- what comes back ---- */

/* A trigger that keeps rows back would leave them in receipts of what is gone. */
static void
check_count(int result, void *arg)
{
	const OwnStatement *own = arg;

	if (SPI_processed != own->rows)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("a trigger keeps back rows that are due for erasure"),
		                errhint("Let the table's owner change the trigger, or hold the rows with "
		                        "privacy_guard.place_hold().")));
}

/* Is the member still one of the guarded table's?  From now on it stays one. */
static bool
is_member(Oid guarded, Oid member)
{
	const GuardedRelation *relation;

	LockRelationOid(member, RowExclusiveLock);
	relation = policy_guarded(member);
	return relation != NULL && relation->table->relid == guarded;
}

static Datum
erased_row(TupleDesc desc, OwnStatement *own)
{
	Datum values[ERASED_COLUMNS] = {0};
	bool nulls[ERASED_COLUMNS] = {false};

	values[ERASED_READY] = BoolGetDatum(true);
	values[ERASED_ROWS] = Int64GetDatum(own->rows);
	values[ERASED_UNNUMBERED] = Int64GetDatum(own->unnumbered);
	values[ERASED_WITHHELD] = Int64GetDatum(own->withheld);
	values[ERASED_SUBJECTS] = PointerGetDatum(subject_set_from_bits(own->subjects));
	values[ERASED_FIRST_START] = TimestampTzGetDatum(own->first_start);
	values[ERASED_LAST_START] = TimestampTzGetDatum(own->last_start);
	nulls[ERASED_FIRST_START] = nulls[ERASED_LAST_START] = own->first_start > own->last_start;
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* ready: false where the statement is wanted, NULL where the member is gone. */
static Datum
not_ready(TupleDesc desc, bool gone)
{
	Datum values[ERASED_COLUMNS] = {BoolGetDatum(false)};
	bool nulls[ERASED_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	nulls[ERASED_READY] = gone;
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* What masks overwrite is erased, too, and no trigger asks about that. */
static void
run(OwnStatement *own, Oid guarded, Oid member, OwnCall *call)
{
	hold_lock(guarded);
	call->take = check_count;
	call->arg = own;
	own->erases = guarded;
	own->first_start = PG_INT64_MAX;
	own->last_start = PG_INT64_MIN;
	own->subjects = subject_bits_create(CurrentMemoryContext);
	own_statement_run(own, member, call);
}

static TupleDesc
result_type(FunctionCallInfo fcinfo)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return desc;
}

/*
 * erase_batch(relation, member, plan text, statement text, arguments text[]): see
 * src/sql/erase.sql.
 *
 * However many rows the planner believes to be due, they are to be found in the order of the index
 * on their start, and by their places.
 */
Datum
erase_batch(PG_FUNCTION_ARGS)
{
	Oid guarded = PG_GETARG_OID(0);
	Oid member = PG_GETARG_OID(1);
	TupleDesc desc = result_type(fcinfo);
	OwnStatement *own = palloc0(sizeof(OwnStatement));
	OwnCall call = {.plan = NULL};
	static const char *const avoided[] = {"enable_seqscan", "enable_sort"};
	char *name;
	int guc_level;

	(void) verb_invoker(); /* only from within a verb */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(4))
		elog(ERROR, "only the statement of a batch may be null");
	name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	call.plan = find_plan(name);
	if (!is_member(guarded, member))
		PG_RETURN_DATUM(not_ready(desc, true));
	own_statement_text_args(&call, PG_GETARG_ARRAYTYPE_P(4));
	if (call.plan == NULL && PG_ARGISNULL(3))
		PG_RETURN_DATUM(not_ready(desc, false));
	if (call.plan == NULL)
		call.plan =
		    keep_plan(name, own_statement_prepare(member, text_to_cstring(PG_GETARG_TEXT_PP(3)),
		                                          call.n_args, call.types));
	guc_level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(avoided); i++)
		(void) set_config_option(avoided[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
		                         true, 0, false);
	(void) set_config_option("enable_tidscan", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
	                         true, 0, false);
	run(own, guarded, member, &call);
	AtEOXact_GUC(true, guc_level);
	PG_RETURN_DATUM(erased_row(desc, own));
}

/* erase_whole(relation, member, statement text): a SELECT of all rows */
Datum
erase_whole(PG_FUNCTION_ARGS)
{
	TupleDesc desc = result_type(fcinfo);
	OwnStatement *own = palloc0(sizeof(OwnStatement));
	OwnCall call = {.sql = text_to_cstring(PG_GETARG_TEXT_PP(2)), .receiver = None_Receiver};

	if (!is_member(PG_GETARG_OID(0), PG_GETARG_OID(1)))
		PG_RETURN_DATUM(not_ready(desc, true));
	run(own, PG_GETARG_OID(0), PG_GETARG_OID(1), &call);
	PG_RETURN_DATUM(erased_row(desc, own));
}

/* erase_pick(relation, member, statement text, VARIADIC arguments text[]): its one jsonb */
Datum
erase_pick(PG_FUNCTION_ARGS)
{
	OwnStatement *own = palloc0(sizeof(OwnStatement));
	Datum result;

	own->erases = PG_GETARG_OID(0);
	result = own_statement_jsonb(own, PG_GETARG_OID(1), text_to_cstring(PG_GETARG_TEXT_PP(2)),
	                             PG_GETARG_ARRAYTYPE_P(3));
	if (result == (Datum) 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/*
 * erase_claim(relation): until the end of the transaction no other session erases rows of the
 * table.  False where one does.  It keeps nobody else from anything.
 */
Datum
erase_claim(PG_FUNCTION_ARGS)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, fcinfo->flinfo->fn_oid, PG_GETARG_OID(0), 0);
	PG_RETURN_BOOL(LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL);
}

/*
 * erase_rule_checked(run): what is due by its rule has just been worked out, which takes as long
 * as to erase some hundred rows.
 */
Datum
erase_rule_checked(PG_FUNCTION_ARGS)
{
	checked.run = *PG_GETARG_UUID_P(0);
	checked.policy = policy_number();
	checked.until = GetCurrentTimestamp() + RULE_HOLDS * USECS_PER_SEC;
	PG_RETURN_VOID();
}

/* erase_rule_holds(run): no rule has changed since, nor had the time to come into effect. */
Datum
erase_rule_holds(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(memcmp(&checked.run, PG_GETARG_UUID_P(0), sizeof(pg_uuid_t)) == 0 &&
	               checked.policy == policy_number() && GetCurrentTimestamp() < checked.until);
}
