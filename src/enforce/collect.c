/*
 * collect.c
 *		Putting on record whose rows an execution uses.
 *
 * What counts is which rows leave the scans of a guarded table, after all filters.  So the scan
 * nodes' ExecProcNode is wrapped: when a row comes out, the subjects that the guard judged last in
 * that very node are its subjects, because each row is judged before it comes out, and those that
 * were judged in between were not let out.  Where a condition or the projection of the scan runs
 * foreign code, which may tell or keep what it sees, a row counts from the moment when it gets
 * there.  Rows that no scan brings are recorded by the guard
 * itself: new ones, the existing one of ON CONFLICT, and those that EvalPlanQual looks at again.
 *
 * Parallel workers collect what their own scans bring, as parts of their leader's execution.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/execExpr.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "audit/statement.h"
#include "audit/trail.h"
#include "audit/who.h"
#include "compat.h"
#include "enforce/collect.h"
#include "enforce/foreign.h"
#include "enforce/guard.h"
#include "enforce/judge.h"

/* What tells a note from the guard: it has no columns. */
#define NOTE_ARGS 2

/* A scan node of a guarded relation. */
typedef struct WatchedScan
{
	PlanState *node; /* hash key */
	ExecProcNodeMtd next;
	Judge *judge;
	bool is_noted; /* before foreign code sees a row, so not when it leaves */
	char status;
} WatchedScan;

#define SH_PREFIX scans
#define SH_ELEMENT_TYPE WatchedScan
#define SH_KEY_TYPE PlanState *
#define SH_KEY node
#define SH_HASH_KEY(tb, key) murmurhash32((uint32) ((uintptr_t) (key) >> 4))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct CollectScans
{
	scans_hash *table;
	WatchedScan *last; /* that was asked for */
} CollectScans;

/* What the plan does with one guarded table. */
typedef struct TableUse
{
	FrameTable *entry;
	Oid named; /* the relation that the statement names */
	const Bitmapset *columns;
	const char *operation;
} TableUse;

/* ---- rows that leave the scans ---- */

static TupleTableSlot *
next_row(PlanState *node)
{
	CollectScans *watched = frame_current()->scans;
	WatchedScan *scan = watched->last;
	TupleTableSlot *slot;

	if (unlikely(scan == NULL || scan->node != node))
	{
		scan = scans_lookup(watched->table, node);
		watched->last = scan;
	}
	slot = scan->next(node);
	scan->judge->in_hand = false;
	if (!TupIsNull(slot) && !scan->is_noted)
		judge_record(scan->judge);
	return slot;
}

static void
record_in_hand(Frame *frame)
{
	scans_iterator iterator;
	WatchedScan *scan;

	scans_start_iterate(frame->scans->table, &iterator);
	while ((scan = scans_iterate(frame->scans->table, &iterator)) != NULL)
	{
		bool in_hand = scan->judge->in_hand;

		scan->judge->in_hand = false;
		if (in_hand)
			judge_record(scan->judge);
	}
}

/* The guard's call among the conditions of a node, or that of the note behind it. */
static FunctionCallInfo
guard_call(ExprState *condition, bool of_note)
{
	for (int i = 0; condition != NULL && i < condition->steps_len; i++)
	{
		ExprEvalStep *step = &condition->steps[i];

		switch (ExecEvalStepOp(condition, step))
		{
			case EEOP_FUNCEXPR:
			case EEOP_FUNCEXPR_FUSAGE:
				if (step->d.func.finfo->fn_oid == policy_guard_function() &&
				    (step->d.func.nargs == NOTE_ARGS) == of_note)
					return step->d.func.fcinfo_data;
				break;
			default:
				break;
		}
	}
	return NULL;
}

/*
 * Where rows of the scan are shown to foreign code: the place in its conditions from which on,
 * their number when only the projection shows them, -1 for nowhere.
 */
static int
place_of_note(ScanState *node)
{
	List *conditions = node->ps.plan->qual;
	bool judged = false;
	ListCell *cell;

	foreach (cell, conditions)
	{
		if (judged && foreign_code(lfirst(cell), node->ps.state))
			return foreach_current_index(cell);
		judged |= guard_is_call(lfirst(cell));
	}
	if (node->ps.ps_ProjInfo != NULL &&
	    foreign_code((Node *) node->ps.plan->targetlist, node->ps.state))
		return list_length(conditions);
	return -1;
}

/* The conditions of the scan anew, with the note at this place. */
static void
insert_note(ScanState *node, Oid guarded_relid, int place)
{
	MemoryContext old = MemoryContextSwitchTo(node->ps.state->es_query_cxt);
	List *conditions = list_copy(node->ps.plan->qual);
	List *subplans = node->ps.subPlan;

	conditions = list_insert_nth(conditions, place, guard_note_expression(guarded_relid));
	node->ps.qual = ExecInitQual(conditions, &node->ps);
	/* They are there already. */
	node->ps.subPlan = subplans;
	MemoryContextSwitchTo(old);
}

static void
watch_scan(Frame *frame, ScanState *node)
{
	Relation relation = node->ss_currentRelation;
	const GuardedRelation *guarded =
	    relation != NULL ? policy_guarded(RelationGetRelid(relation)) : NULL;
	FunctionCallInfo call;
	FrameTable *entry;
	WatchedScan *scan;
	int place;
	bool found;

	/* One expression may hold the same subquery several times. */
	if (guarded == NULL || scans_lookup(frame->scans->table, &node->ps) != NULL)
		return;
	entry = frame_table(frame, guarded->table->relid);
	if (entry == NULL || entry->access == NULL || guard_call(node->ps.qual, false) == NULL)
		return;
	place = place_of_note(node);
	if (place >= 0)
		insert_note(node, entry->table->relid, place);
	call = guard_call(node->ps.qual, false);
	scan = scans_insert(frame->scans->table, &node->ps, &found);
	scan->judge = guard_judge(call, frame, true);
	scan->is_noted = place >= 0;
	if (scan->is_noted)
		guard_set_note(guard_call(node->ps.qual, true), scan->judge);
	scan->next = node->ps.ExecProcNodeReal;
	node->ps.ExecProcNodeReal = next_row;
}

static bool
watch_walker(PlanState *node, Frame *frame)
{
	switch (nodeTag(node))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			watch_scan(frame, (ScanState *) node);
			break;
		default:
			break;
	}
	return planstate_tree_walker(node, watch_walker, frame);
}

static void
watch_scans(Frame *frame)
{
	frame->scans = MemoryContextAllocZero(frame->context, sizeof(CollectScans));
	frame->scans->table = scans_create(frame->context, 8, NULL);
	watch_walker(frame->query->planstate, frame);
}

/* ---- what the plan does ---- */

static TableUse *
use_of(Frame *frame, TableUse *uses, Oid relid)
{
	const GuardedRelation *relation = policy_guarded(relid);

	for (int i = 0; relation != NULL && i < frame->n_tables; i++)
		if (uses[i].entry->table->relid == relation->table->relid)
			return &uses[i];
	return NULL;
}

/* The columns by the numbers that they have in the relation that was named first. */
static void
add_columns(TableUse *use, Oid relid, const Bitmapset *columns)
{
	int i = -1;

	if (!OidIsValid(use->named))
		use->named = relid;
	if (relid == use->named)
	{
		use->columns = use->columns == NULL ? columns : bms_union(use->columns, columns);
		return;
	}
	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber number = i + FirstLowInvalidHeapAttributeNumber;

		if (number > 0)
			number = get_attnum(use->named, get_attname(relid, number, false));
		use->columns = bms_union(use->columns,
		                         bms_make_singleton(number - FirstLowInvalidHeapAttributeNumber));
	}
}

static void
find_columns(Frame *frame, TableUse *uses)
{
	PlannedStmt *plan = frame->query->plannedstmt;
	ListCell *cell;

	foreach (cell, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		TableUse *use = rte->rtekind == RTE_RELATION ? use_of(frame, uses, rte->relid) : NULL;

		if (use != NULL && compat_rte_is_named(rte))
			add_columns(use, rte->relid, compat_columns(compat_rte_permissions(plan, rte)));
	}
}

typedef struct OperationSearch
{
	Frame *frame;
	TableUse *uses;
} OperationSearch;

static const char *
operation_of(const ModifyTable *plan)
{
	if (plan->operation == CMD_DELETE)
		return "Erase";
	return plan->operation == CMD_INSERT && plan->onConflictAction != ONCONFLICT_UPDATE ? "Collect"
	                                                                                    : "Modify";
}

static bool
operation_walker(PlanState *node, OperationSearch *search)
{
	if (IsA(node, ModifyTableState))
	{
		ModifyTableState *modify = (ModifyTableState *) node;
		TableUse *use = use_of(search->frame, search->uses,
		                       RelationGetRelid(modify->rootResultRelInfo->ri_RelationDesc));

		if (use != NULL)
			use->operation = operation_of((ModifyTable *) node->plan);
	}
	return planstate_tree_walker(node, operation_walker, search);
}

static void
find_uses(Frame *frame, TableUse *uses)
{
	for (int i = 0; i < frame->n_tables; i++)
	{
		FrameTable *entry = &frame->tables[i];

		uses[i] = (TableUse){.entry = entry};
		uses[i].operation = frame->query == NULL               ? "Collect"
		                    : frame->exports && entry->is_read ? "Export"
		                                                       : "Access";
	}
	if (frame->query == NULL)
		return;
	find_columns(frame, uses);
	operation_walker(frame->query->planstate, &(OperationSearch){.frame = frame, .uses = uses});
}

/* ---- opening and closing ---- */

/* Also those whose log cannot be written: they are refused where the guard lets nobody pass. */
static bool
is_recorded(const Frame *frame, const FrameTable *entry)
{
	return entry->table->audit_level != AUDIT_NONE && frame->exempt != EXEMPT_OWN;
}

static const char *
exemption_name(const Frame *frame, const FrameTable *entry)
{
	switch (frame->exempt)
	{
		case EXEMPT_BY_GLASS:
			return "break_glass";
		case EXEMPT_BY_ROLE:
			return "exempt_role";
		default:
			return entry->monitored ? "monitor" : NULL;
	}
}

/*
 * A cursor may be fetched from in a subtransaction of the one that it belongs to, and goes on when
 * that is rolled back.
 */
static int
nest_level_of(const Frame *frame)
{
	if (frame->query != NULL && ActivePortal != NULL && ActivePortal->queryDesc == frame->query)
		return ActivePortal->createLevel;
	return GetCurrentTransactionNestLevel();
}

static void
open_access(Frame *frame, const TableUse *use)
{
	FrameTable *entry = use->entry;
	AccessStart start = {
	    .nest_level = nest_level_of(frame),
	    .role = frame->role,
	    .time = frame->now,
	    .execution = frame->execution,
	    .purpose = frame->purpose ? frame->purpose->path : NULL,
	    .purpose_version = frame->purpose ? frame->purpose->version : 0,
	    .legal_basis = entry->rule ? decision_basis_name(entry->rule->basis) : NULL,
	    .rule = entry->rule ? entry->rule->id : 0,
	    .operation = use->operation,
	    .relid = OidIsValid(use->named) ? use->named : entry->table->relid,
	    .columns = use->columns,
	    .fingerprint = frame->fingerprint,
	    .exempt = exemption_name(frame, entry),
	    .by_subject = entry->table->audit_level == AUDIT_SUBJECT,
	    .worker_part = IsParallelWorker(),
	};

	entry->access = access_open(frame->context, &start);
}

void
collect_number(Frame *frame)
{
	if (frame->execution == 0 && !frame->explain_only && trail_is_on())
		frame->execution = IsParallelWorker() ? who_leader_execution() : who_next_execution();
}

/* What is not on record does not go on. */
static void
check_open(const Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].access != NULL && frame->tables[i].access->closed)
			elog(ERROR, "privacy_guard: the record of this execution is closed");
}

static bool
is_frame_recorded(const Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		if (is_recorded(frame, &frame->tables[i]))
			return true;
	return false;
}

/*
 * Whose rows an own statement erases: the guard of the scan below the change judges each of them,
 * and no other, if it knows them by their places.  A plain scan tells whose rows a whole table has.
 */
static void
watch_erased(PlanState *node, Frame *frame)
{
	bool changes = IsA(node, ModifyTableState);
	PlanState *scan = changes ? outerPlanState(node) : node;
	FunctionCallInfo call;
	Judge *judge;

	if (!changes && !IsA(scan, SeqScanState))
		return;
	call = guard_call(scan->qual, false);
	if ((changes && !IsA(scan, TidScanState)) || call == NULL)
		elog(ERROR, "privacy_guard: what is erased is not known by its place");
	judge = guard_judge(call, frame, false);
	judge->own = frame->own;
	judge->reader.want_numbers = frame->own->subjects != NULL;
}

void
collect_open(Frame *frame)
{
	TableUse *uses;

	if (frame->own != NULL && OidIsValid(frame->own->erases) && !frame->collects)
		watch_erased(frame->query->planstate, frame);
	if (frame->collects)
		check_open(frame);
	if (frame->collects || frame->explain_only || !trail_is_on())
		return;
	frame->collects = true;
	if (!is_frame_recorded(frame))
		return;
	collect_number(frame);
	if (frame->query != NULL)
	{
		frame->fingerprint = statement_fingerprint(frame->query);
		statement_note(frame->query, frame->fingerprint);
	}
	uses = palloc(sizeof(TableUse) * frame->n_tables);
	find_uses(frame, uses);
	for (int i = 0; i < frame->n_tables; i++)
		if (is_recorded(frame, uses[i].entry))
			open_access(frame, &uses[i]);
	if (frame->query != NULL)
		watch_scans(frame);
}

void
collect_error(Frame *frame, int sqlerrcode)
{
	if (frame == NULL || !frame->collects)
		return;
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].access != NULL)
			access_note_error(frame->tables[i].access, sqlerrcode);
	if (frame->scans != NULL)
		record_in_hand(frame);
}

void
collect_close(Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].access != NULL)
			access_close(frame->tables[i].access);
}
