/*
 * guard.c
 *		The function that lets a row pass, and its expression in a plan.
 *
 * guard() takes the row's subject key(s), or the foreign key that leads to them, and the row's own
 * consent where the table has such a column.  Its first argument is of type internal, so that SQL
 * cannot call it: neither to ask about somebody's consent nor as a decoy for the verifier.  What it
 * is allowed to show was frozen in the frame of the execution.
 *
 * It is declared leakproof: no path below raises an error that depends on a protected value.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "enforce/exempt.h"
#include "enforce/frame.h"
#include "enforce/guard.h"
#include "enforce/via.h"
#include "types/consent.h"

#define FIRST_COLUMN_ARG 2

/* How the columns of one relation are judged for one execution. */
typedef struct Judge
{
	Frame *frame;
	FrameTable *entry;
	const GuardedTable *spec; /* whose columns are judged: the table, or where its path ends */
	int n_columns;
	Oid type[MAX_SUBJECT_COLUMNS + 1];
	SubjectReader reader;
} Judge;

PG_FUNCTION_INFO_V1(guard);
PG_FUNCTION_INFO_V1(guard_conflict);
PG_FUNCTION_INFO_V1(guard_support);
PG_FUNCTION_INFO_V1(check_new_row);
PG_FUNCTION_INFO_V1(library_loaded);

/* ---- expressions ---- */

static Node *
make_call(Oid function, const GuardedRelation *relation, Index varno)
{
	List *args = list_make2(makeNullConst(INTERNALOID, -1, InvalidOid),
	                        makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
	                                  ObjectIdGetDatum(relation->table->relid), false, true));

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

bool
guard_is_call(Node *node)
{
	return node != NULL && IsA(node, FuncExpr) &&
	       (((FuncExpr *) node)->funcid == policy_guard_function() ||
	        ((FuncExpr *) node)->funcid == policy_conflict_guard_function());
}

/* ---- judging ---- */

static void
judge_init(Judge *judge, Frame *frame, FrameTable *entry)
{
	const GuardedRelation *relation;

	judge->frame = frame;
	judge->entry = entry;
	judge->spec = entry->table;
	if (entry->verdict != FRAME_DECIDE)
		return;
	if (entry->table->n_subjects == 0)
	{
		if (entry->via == NULL)
			entry->via = via_create(entry->table, frame->context);
		relation = via_target(entry->via);
		judge->spec = relation->table;
		for (int i = 0; i < relation->n_args; i++)
			judge->type[i] = getBaseType(get_atttype(relation->relid, relation->arg[i]));
	}
	judge->n_columns = judge->spec->n_subjects;
	subject_reader_init(&judge->reader, frame->purpose, judge->spec->category,
	                    judge->spec->key_kind, frame->now);
}

static SubjectFacts
read_facts(Judge *judge, Oid type, Datum value)
{
	switch (type)
	{
		case INT8OID:
			return subject_facts_int(&judge->reader, DatumGetInt64(value));
		case INT4OID:
			return subject_facts_int(&judge->reader, DatumGetInt32(value));
		case INT2OID:
			return subject_facts_int(&judge->reader, DatumGetInt16(value));
		case UUIDOID:
			return subject_facts_uuid(&judge->reader, DatumGetUUIDP(value)->data);
		default:
		{
			struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

			return subject_facts_text(&judge->reader, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
		}
	}
}

static SubjectFacts
subject_facts(Judge *judge, Oid type, Datum value)
{
	SubjectFacts facts = read_facts(judge, type, value);
	uint8 *judged = judge->frame->judged;

	if (unlikely(judged != NULL))
		judged[judge->reader.partition / 8] |= 1 << (judge->reader.partition % 8);
	return facts;
}

/* The row's own consent decides as well as the recorded state, which may only refuse. */
static bool
own_consent_permits(Judge *judge, Datum consent, bool isnull, SubjectFacts facts)
{
	const Purpose *purpose = judge->frame->purpose;
	ConsentVerdict verdict;

	if (isnull || (facts & FACT_REFUSED) != 0)
		return false;
	consent_evaluate((Consent *) PG_DETOAST_DATUM(consent), purpose->path, strlen(purpose->path),
	                 purpose->version, judge->frame->now, &verdict);
	return verdict.level >= judge->entry->mask.consent_level;
}

/* All subjects of the row must permit. */
static bool
columns_permit(Judge *judge, const Datum *value, const bool *null)
{
	const DecisionMask *mask = &judge->entry->mask;
	int n = judge->n_columns;
	SubjectFacts all_facts = 0;

	for (int i = 0; i < n; i++)
	{
		SubjectFacts facts;

		if (null[i])
		{
			if (!judge->spec->show_null)
				return false;
			continue;
		}
		if (!decision_needs_facts(mask))
			continue;
		facts = subject_facts(judge, judge->type[i], value[i]);
		all_facts |= facts;
		if (!mask->own_consent && !decision_permits(mask, facts))
			return false;
	}
	return !mask->own_consent || own_consent_permits(judge, value[n], null[n], all_facts);
}

static bool
row_permitted(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot)
{
	const ViaRow *row;

	if (judge->entry->verdict != FRAME_DECIDE)
		return judge->entry->verdict == FRAME_PASS;
	if (judge->entry->table->n_subjects > 0)
		return columns_permit(judge, value, null);
	if (null[0])
		return judge->entry->table->show_null;
	row = via_follow(judge->entry->via, value[0], snapshot);
	return row->found && columns_permit(judge, row->value, row->null);
}

/* ---- in plans ---- */

static Judge *
judge_of_call(FunctionCallInfo fcinfo)
{
	Frame *frame = frame_current();
	FrameTable *entry;
	Judge *judge;

	if (PG_NARGS() <= FIRST_COLUMN_ARG || PG_ARGISNULL(1))
		elog(ERROR, "privacy_guard: malformed guard");
	entry = frame_table(frame, PG_GETARG_OID(1));
	if (entry == NULL)
		elog(ERROR, "privacy_guard: guard called outside of a checked execution");
	judge = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Judge));
	judge_init(judge, frame, entry);
	if (entry->table->n_subjects > 0)
		for (int i = FIRST_COLUMN_ARG; i < PG_NARGS(); i++)
			judge->type[i - FIRST_COLUMN_ARG] = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, i));
	fcinfo->flinfo->fn_extra = judge;
	return judge;
}

static bool
call_permits(FunctionCallInfo fcinfo, Judge *judge)
{
	Datum value[MAX_SUBJECT_COLUMNS + 1];
	bool null[MAX_SUBJECT_COLUMNS + 1];
	int n = Min(PG_NARGS() - FIRST_COLUMN_ARG, MAX_SUBJECT_COLUMNS + 1);

	for (int i = 0; i < n; i++)
	{
		value[i] = PG_GETARG_DATUM(i + FIRST_COLUMN_ARG);
		null[i] = PG_ARGISNULL(i + FIRST_COLUMN_ARG);
	}
	return row_permitted(judge, value, null, GetActiveSnapshot());
}

/* guard(internal, regclass, columns): once for each row of a scan. */
Datum
guard(PG_FUNCTION_ARGS)
{
	Judge *judge = fcinfo->flinfo->fn_extra;

	if (unlikely(judge == NULL))
		judge = judge_of_call(fcinfo);
	if (likely(call_permits(fcinfo, judge)))
		PG_RETURN_BOOL(true);
	judge->entry->withheld++;
	PG_RETURN_BOOL(judge->entry->monitored);
}

/* guard_conflict(internal, regclass, columns): the row that ON CONFLICT would update. */
Datum
guard_conflict(PG_FUNCTION_ARGS)
{
	Judge *judge = fcinfo->flinfo->fn_extra;

	if (judge == NULL)
		judge = judge_of_call(fcinfo);
	if (!call_permits(fcinfo, judge))
	{
		judge->entry->withheld++;
		if (!judge->entry->monitored)
			ereport(
			    ERROR,
			    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			     errmsg(
			         "the existing row of guarded table \"%s\" may not be updated for this purpose",
			         get_rel_name(judge->entry->table->relid)),
			     errhint("Use ON CONFLICT DO NOTHING, or ask a data steward about "
			             "privacy_guard.explain_access().")));
	}
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

/* ---- new rows ---- */

/* Judge a tuple of a guarded relation. */
static bool
tuple_permitted(Frame *frame, FrameTable *entry, const GuardedRelation *relation, HeapTuple tuple,
                TupleDesc desc)
{
	Judge judge = {0};
	Datum value[MAX_SUBJECT_COLUMNS + 1];
	bool null[MAX_SUBJECT_COLUMNS + 1];

	judge_init(&judge, frame, entry);
	for (int i = 0; i < relation->n_args; i++)
	{
		value[i] = heap_getattr(tuple, relation->arg[i], desc, &null[i]);
		if (entry->table->n_subjects > 0)
			judge.type[i] = getBaseType(TupleDescAttr(desc, relation->arg[i] - 1)->atttypid);
	}
	return row_permitted(&judge, value, null, NULL);
}

/* Outside of any frame: core's cascades are the parent row's doing; other writers must be asked. */
static Frame *
frame_of_writer(const GuardedRelation *relation)
{
	Frame *frame = frame_current();

	if (frame_table(frame, relation->table->relid) != NULL)
		return frame;
	if (exempt_is_cascade(relation->relid) || policy_state() == POLICY_PENDING)
		return NULL;
	return frame_prepare(&(FrameRequest){.touched = list_make1_oid(relation->relid)});
}

/*
 * check_new_row() is an AFTER ROW trigger for INSERT and UPDATE on guarded tables: each new row
 * must be one that the purpose may see.  It runs after the statement, so that a parent and its
 * child may come in one.
 */
Datum
check_new_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const GuardedRelation *relation;
	HeapTuple tuple;
	Frame *frame;
	FrameTable *entry;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
	    !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("check_new_row() is an AFTER ROW trigger function")));
	tuple =
	    TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	relation = policy_relation(RelationGetRelid(trigger->tg_relation));
	if (relation == NULL || relation->table == NULL)
		PG_RETURN_POINTER(NULL);
	frame = frame_of_writer(relation);
	if (frame == NULL)
		PG_RETURN_POINTER(NULL);
	entry = frame_table(frame, relation->table->relid);
	if (!tuple_permitted(frame, entry, relation, tuple, RelationGetDescr(trigger->tg_relation)))
	{
		entry->withheld++;
		if (!entry->monitored)
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         errmsg("new row of guarded table \"%s\" is not permitted for purpose \"%s\"",
			                get_rel_name(relation->table->relid),
			                frame->purpose ? frame->purpose->path : ""),
			         errhint("Record the data subject's consent or other legal basis first, or "
			                 "work for a purpose that has one.")));
	}
	PG_RETURN_POINTER(NULL);
}
