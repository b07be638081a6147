/*
 * guard.c
 *		The function that lets a row pass, and its expression in a plan.
 *
 * guard() takes the row's subject key(s), or the foreign key that leads to them, and the row's own
 * consent and the start of its storage duration where the table has such columns.  Its first
 * argument is of type internal, so that SQL cannot call it: neither to ask about somebody's consent
 * nor as a decoy for the verifier.  What it is allowed to show was frozen in the frame of the
 * execution.
 *
 * It is declared leakproof: no path below raises an error that depends on a protected value.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "audit/trail.h"
#include "enforce/frame.h"
#include "enforce/guard.h"
#include "enforce/judge.h"

#define FIRST_COLUMN_ARG 2

PG_FUNCTION_INFO_V1(guard);
PG_FUNCTION_INFO_V1(guard_conflict);
PG_FUNCTION_INFO_V1(guard_support);
PG_FUNCTION_INFO_V1(library_loaded);

/* ---- expressions ---- */

static List *
first_args(Oid guarded_relid)
{
	return list_make2(makeNullConst(INTERNALOID, -1, InvalidOid),
	                  makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
	                            ObjectIdGetDatum(guarded_relid), false, true));
}

static Node *
make_call(Oid function, const GuardedRelation *relation, Index varno)
{
	List *args = first_args(relation->table->relid);

	for (int i = 0; i < relation->n_args; i++)
	{
		Oid type;
		Oid collation;
		int32 typmod;

		get_atttypetypmodcoll(relation->relid, relation->arg[i], &type, &typmod, &collation);
		args = lappend(args, makeVar(varno, relation->arg[i], type, typmod, collation, 0));
	}
	return (Node *) makeFuncExpr(function, BOOLOID, args, InvalidOid, InvalidOid,
	                             COERCE_EXPLICIT_CALL);
}

Node *
guard_expression(const GuardedRelation *relation, Index varno)
{
	return make_call(policy_guard_function(), relation, varno);
}

Node *
guard_conflict_expression(const GuardedRelation *relation, Index varno)
{
	return make_call(policy_conflict_guard_function(), relation, varno);
}

Node *
guard_note_expression(Oid guarded_relid)
{
	return (Node *) makeFuncExpr(policy_guard_function(), BOOLOID, first_args(guarded_relid),
	                             InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

bool
guard_is_call(Node *node)
{
	return node != NULL && IsA(node, FuncExpr) &&
	       (((FuncExpr *) node)->funcid == policy_guard_function() ||
	        ((FuncExpr *) node)->funcid == policy_conflict_guard_function());
}

/* ---- in plans ---- */

/* Core's own types of old are no domains. */
static Oid
base_type(Oid type)
{
	return type < FirstGenbkiObjectId ? type : getBaseType(type);
}

/* The start of the storage duration is the last column, and its type known from the table. */
static void
set_types(Judge *judge, FunctionCallInfo fcinfo)
{
	int n = judge->start_column > 0 ? judge->start_column : PG_NARGS() - FIRST_COLUMN_ARG;

	for (int i = 0; i < n; i++)
		judge->type[i] = base_type(get_fn_expr_argtype(fcinfo->flinfo, FIRST_COLUMN_ARG + i));
}

Judge *
guard_judge(FunctionCallInfo fcinfo, Frame *frame, bool at_scan)
{
	FrameTable *entry;
	Judge *judge;

	if (PG_NARGS() <= FIRST_COLUMN_ARG || PG_ARGISNULL(1))
		elog(ERROR, "privacy_guard: malformed guard");
	entry = frame_table(frame, PG_GETARG_OID(1));
	if (entry == NULL)
		elog(ERROR, "privacy_guard: guard called outside of a checked execution");
	judge = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Judge));
	judge_init(judge, frame, entry);
	judge->at_scan = at_scan;
	if (entry->table->n_subjects > 0)
		set_types(judge, fcinfo);
	judge->one_bigint = entry->verdict == FRAME_DECIDE && frame->judged == NULL &&
	                    entry->table->n_subjects == 1 && judge->type[0] == INT8OID &&
	                    !entry->mask.own_consent && decision_needs_facts(&entry->mask) &&
	                    !entry->monitored;
	fcinfo->flinfo->fn_extra = judge;
	return judge;
}

void
guard_set_note(FunctionCallInfo fcinfo, Judge *judge)
{
	Judge *note = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Judge));

	note->noted = judge;
	note->at_scan = true;
	fcinfo->flinfo->fn_extra = note;
}

static bool
columns_of_call_permit(FunctionCallInfo fcinfo, Judge *judge)
{
	Datum value[MAX_GUARD_COLUMNS];
	bool null[MAX_GUARD_COLUMNS];
	int n = Min(PG_NARGS() - FIRST_COLUMN_ARG, MAX_GUARD_COLUMNS);

	if (judge->noted != NULL)
	{
		judge_record(judge->noted);
		judge->noted->in_hand = false;
		return true;
	}
	for (int i = 0; i < n; i++)
	{
		value[i] = PG_GETARG_DATUM(i + FIRST_COLUMN_ARG);
		null[i] = PG_ARGISNULL(i + FIRST_COLUMN_ARG);
	}
	return judge_permits(judge, value, null, GetActiveSnapshot());
}

static inline bool
start_has_ended(FunctionCallInfo fcinfo, Judge *judge)
{
	int start = FIRST_COLUMN_ARG + judge->start_column;

	judge->ended = !PG_ARGISNULL(start) && judge_has_ended(judge, PG_GETARG_DATUM(start));
	return judge->ended;
}

static inline bool
call_permits(FunctionCallInfo fcinfo, Judge *judge)
{
	if (likely(judge->one_bigint && !PG_ARGISNULL(FIRST_COLUMN_ARG)))
	{
		int64 key = PG_GETARG_INT64(FIRST_COLUMN_ARG);
		SubjectFacts facts;

		if (judge->entry->ends && start_has_ended(fcinfo, judge))
			return false;
		facts = subject_facts_int(&judge->reader, key);
		if (judge->reader.want_numbers)
		{
			judge->n_judged = 1;
			judge->judged[0] = (JudgedSubject){subject_number_int(&judge->reader, key), INT8OID,
			                                   Int64GetDatum(key)};
		}
		return decision_permits(&judge->entry->mask, facts);
	}
	return columns_of_call_permit(fcinfo, judge);
}

/* Dates and times without a zone are in UTC. */
static TimestampTz
start_time(const Judge *judge, Datum start)
{
	int overflow; /* what a timestamp cannot hold becomes infinite */

	if (!judge->entry->start_is_date)
		return DatumGetTimestampTz(start);
	return date2timestamp_opt_overflow(DatumGetDateADT(start), &overflow);
}

static void
note_erased(FunctionCallInfo fcinfo, Judge *judge)
{
	int start = FIRST_COLUMN_ARG + judge->start_column;

	judge_note_erased(judge);
	if (judge->start_column > 0 && !PG_ARGISNULL(start))
		own_statement_add_start(judge->own, start_time(judge, PG_GETARG_DATUM(start)));
}

/* The row passes: its subjects are on record now, or when it leaves the scan. */
static inline void
let_pass(FunctionCallInfo fcinfo, Judge *judge)
{
	judge->in_hand = judge->at_scan;
	if (likely(judge->at_scan))
		return;
	if (judge->entry->access != NULL)
		judge_record(judge);
	else if (judge->own != NULL)
		note_erased(fcinfo, judge);
}

/* guard(internal, regclass, columns): once for each row of a scan. */
Datum
guard(PG_FUNCTION_ARGS)
{
	Judge *judge = fcinfo->flinfo->fn_extra;

	if (unlikely(judge == NULL))
		judge = guard_judge(fcinfo, frame_current(), false);
	if (unlikely(!call_permits(fcinfo, judge)))
	{
		judge_withhold(judge);
		if (!judge->entry->monitored)
			PG_RETURN_BOOL(false);
	}
	let_pass(fcinfo, judge);
	PG_RETURN_BOOL(true);
}

/* guard_conflict(internal, regclass, columns): the row that ON CONFLICT would update. */
Datum
guard_conflict(PG_FUNCTION_ARGS)
{
	Judge *judge = fcinfo->flinfo->fn_extra;

	if (judge == NULL)
		judge = guard_judge(fcinfo, frame_current(), false);
	if (!call_permits(fcinfo, judge))
	{
		judge_withhold(judge);
		if (!judge->entry->monitored)
			ereport(
			    ERROR,
			    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			     errmsg(
			         "the existing row of guarded table \"%s\" may not be updated for this purpose",
			         get_rel_name(judge->entry->table->relid)),
			     errhint("Use ON CONFLICT DO NOTHING, or ask a data steward about "
			             "privacy_guard.explain_access()."),
			     errdenial(judge->entry->table->relid, "row")));
	}
	let_pass(fcinfo, judge);
	PG_RETURN_BOOL(true);
}

/* Most rows pass; the default for a boolean function would be a third. */
Datum
guard_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSelectivity))
	{
		((SupportRequestSelectivity *) request)->selectivity = 0.9;
		PG_RETURN_POINTER(request);
	}
	PG_RETURN_POINTER(NULL);
}

/*
 * The stored policy calls this.  Without the library it is an error, and so no row; with it, the
 * planner folds it away.
 */
Datum
library_loaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}
