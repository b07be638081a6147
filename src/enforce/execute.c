/*
 * execute.c
 *		The executor's hooks: asking before, and remembering during, each execution.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "catalog/pg_class.h"
#include "access/htup_details.h"

#include "audit/disclose.h"
#include "audit/trail.h"
#include "audit/who.h"
#include "compat.h"
#include "consent/change.h"
#include "enforce/collect.h"
#include "enforce/cursor.h"
#include "enforce/execute.h"
#include "enforce/exempt.h"
#include "enforce/frame.h"
#include "enforce/hold_check.h"
#include "enforce/lineage.h"
#include "enforce/report.h"
#include "enforce/secrecy.h"
#include "enforce/utility.h"
#include "enforce/utility_role.h"
#include "enforce/verify.h"
#include "guc.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "retention/own_statement.h"

static ExecutorStart_hook_type prev_start_hook = NULL;
static ExecutorRun_hook_type prev_run_hook = NULL;
static ExecutorFinish_hook_type prev_finish_hook = NULL;

/* ---- before ---- */

static void
refuse_internal(Oid relid)
{
	if (!verb_in_progress() && !creating_extension)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("table \"%s\" is written by the functions of privacy_guard only",
		                       get_rel_name(relid)),
		                errhint("Call the function in schema privacy_guard that makes the change."),
		                errtamper(relid, "internal_table")));
}

/* What the guard relies on could be undone in the system catalogs. */
static void
refuse_catalog(Oid relid)
{
	/* allow_system_table_mods is any superuser's to set. */
	if (!creating_extension && !IsBinaryUpgrade && !exempt_glass_is_broken())
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("system catalog \"%s\" cannot be written while tables are guarded",
		                get_rel_name(relid)),
		         errhint("Use ordinary commands, or announce it with privacy_guard.break_glass()."),
		         errtamper(relid, "system_catalog")));
}

static void
check_written(Oid relid)
{
	const GuardedRelation *relation;

	if (relid < FirstNormalObjectId)
	{
		if (policy_state() > POLICY_EMPTY && IsCatalogNamespace(get_rel_namespace(relid)))
			refuse_catalog(relid);
		return;
	}
	relation = policy_relation(relid);
	if (relation != NULL && relation->internal)
		refuse_internal(relid);
}

/* Also refuses to write what only our own functions may. */
static FrameRequest
request_of(QueryDesc *query, int eflags)
{
	PlannedStmt *plan = query->plannedstmt;
	FrameRequest request = {.query = query, .explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0};
	ListCell *cell;
	int rti = 0;

	foreach (cell, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		bool is_result;

		rti++;
		if (rte->rtekind != RTE_RELATION)
			continue;
		is_result = plan->resultRelations != NIL && list_member_int(plan->resultRelations, rti);
		if (is_result && !request.explain_only)
			check_written(rte->relid);
		if (!is_result && !request.explain_only)
			secrecy_check_read(rte->relid, query->sourceText);
		if (policy_guarded(rte->relid) == NULL)
			continue;
		request.touched = lappend_oid(request.touched, rte->relid);
		if (is_result && plan->commandType != CMD_INSERT)
			request.changed = lappend_oid(request.changed, rte->relid);
		if (!is_result || plan->commandType != CMD_INSERT)
			request.read = lappend_oid(request.read, rte->relid);
	}
	return request;
}

/* In core's context: does the plan touch guarded tables, and has the planner let it? */
static bool
is_core_integrity(PlannedStmt *plan)
{
	VerifyResult verified = verify_plan(plan);

	return OidIsValid(verified.unguarded) && !verified.any_guard;
}

/* Core's own statement: no frame, and the rows that it writes are the parent's doing. */
static void
note_cascade(PlannedStmt *plan)
{
	ListCell *cell;

	foreach (cell, plan->resultRelations)
		exempt_note_cascade(rt_fetch(lfirst_int(cell), plan->rtable)->relid);
}

static void
refuse_unguarded(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("the plan reads or writes guarded table \"%s\" without its guard",
	                       get_rel_name(relid)),
	                errhint("Run the statement again. If it fails again, another extension may "
	                        "have changed the plan."),
	                errdenial(relid, "unguarded_plan")));
}

/* Does any table hide rows in this execution? */
static bool
hides_rows(const Frame *frame, bool read_only)
{
	for (int i = 0; i < frame->n_tables; i++)
	{
		const FrameTable *entry = &frame->tables[i];

		if (entry->verdict == FRAME_DECIDE && !entry->monitored && (entry->is_read || !read_only))
			return true;
	}
	return false;
}

/* It counts the rows that a filter removed, and so tells hidden from absent. */
static void
refuse_instrumented(const Frame *frame, const QueryDesc *query)
{
	if (utility_explains() && query->instrument_options != 0 && hides_rows(frame, false))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("EXPLAIN ANALYZE of guarded table \"%s\" would tell hidden rows "
		                       "from absent ones",
		                       get_rel_name(frame->tables[0].table->relid)),
		                errhint("Use EXPLAIN without ANALYZE, or announce it with "
		                        "privacy_guard.break_glass()."),
		                errdenial(frame->tables[0].table->relid, "explain_analyze")));
}

static bool
may_export(const Frame *frame)
{
	return !hides_rows(frame, true) || frame->purpose->export_allowed;
}

static bool
reads_rows(const Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].is_read)
			return true;
	return false;
}

static void
refuse_export(const Frame *frame, const char *target)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         target ? errmsg("rows read for purpose \"%s\" may not go into unguarded table \"%s\"",
	                         frame->purpose->path, target)
	                : errmsg("rows read for purpose \"%s\" may not go into an unguarded table",
	                         frame->purpose->path),
	         errhint("Use a temporary table, let a data steward protect() the target, or work for "
	                 "a purpose that allows export."),
	         errdenial(frame->tables[0].table->relid, "export")));
}

/* Rows of guarded tables must not settle where nothing guards them, or it is an export. */
static void
check_targets(Frame *frame, PlannedStmt *plan)
{
	Oid target;

	if (plan->resultRelations == NIL || !reads_rows(frame))
		return;
	target = lineage_unguarded_target(plan);
	if (!OidIsValid(target))
		return;
	if (!may_export(frame))
		refuse_export(frame, get_rel_name(target));
	frame->exports = true;
}

/* CREATE TABLE AS, SELECT INTO and materialized views. */
static void
check_receiver(Frame *frame, const DestReceiver *dest)
{
	if (dest == NULL || (dest->mydest != DestTransientRel &&
	                     (dest->mydest != DestIntoRel || utility_fills_temporary())))
		return;
	if (!may_export(frame))
		refuse_export(frame, NULL);
	frame->exports = true;
}

/*
 * A worker would neither know of a break-glass nor of the transaction's own changes of consent,
 * which must not enter the shared cache; and what it reads is on record only when it ends.
 */
static bool
must_stay_serial(const Frame *frame)
{
	return frame->exempt != EXEMPT_NOT || change_is_own() ||
	       guc_audit_durability == AUDIT_DISCLOSURE;
}

static void
stay_serial(QueryDesc *query)
{
	PlannedStmt *plan = MemoryContextAlloc(query->estate->es_query_cxt, sizeof(PlannedStmt));

	memcpy(plan, query->plannedstmt, sizeof(PlannedStmt));
	plan->parallelModeNeeded = false;
	query->plannedstmt = plan;
}

/* NULL: nothing to guard. */
static Frame *
check_execution(QueryDesc *query, int eflags)
{
	FrameRequest request;
	VerifyResult verified;
	Frame *frame;

	if (policy_state() == POLICY_ABSENT)
		return NULL;
	if (policy_state() > POLICY_EMPTY)
		utility_role_note_guards();
	request = request_of(query, eflags);
	if (request.touched == NIL)
		return NULL;

	if (!request.explain_only)
		trail_prepare();
	frame = frame_prepare(&request);
	if (frame == NULL)
		return NULL;
	verified = verify_plan(query->plannedstmt);
	if (OidIsValid(verified.unguarded))
		refuse_unguarded(verified.unguarded);
	if (!request.explain_only)
	{
		refuse_instrumented(frame, query);
		check_targets(frame, query->plannedstmt);
	}
	return frame;
}

static void
call_start(QueryDesc *query, int eflags)
{
	if (prev_start_hook)
		prev_start_hook(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * After core's own start, so that a role without privileges learns nothing from us; nothing of the
 * plan is evaluated before ExecutorRun.
 */
static void
start(QueryDesc *query, int eflags)
{
	Frame *frame;

	call_start(query, eflags);
	if (exempt_integrity_context())
		own_statement_check_cascade(query->plannedstmt);
	if (exempt_integrity_context() && own_statement(query->sourceText) == NULL &&
	    is_core_integrity(query->plannedstmt))
	{
		note_cascade(query->plannedstmt);
		hold_check_start(query, eflags);
		return;
	}
	frame = check_execution(query, eflags);
	if (frame == NULL)
		return;
	if (query->plannedstmt->parallelModeNeeded && must_stay_serial(frame))
		stay_serial(query);
	frame_open(frame, query->estate->es_query_cxt);
	collect_number(frame);
	hold_check_start(query, eflags);
}

/* ---- during ---- */

/* What surrounds a statement that is entered. */
typedef struct Entered
{
	Frame *frame;
	bool integrity;
	bool announced; /* to parallel workers */
	uint32 execution;
} Entered;

/*
 * Inside a guarded execution even an unguarded one must be entered, since its rows are not ours;
 * and so must core's own, since what user code starts within is not core's.
 */
static bool
can_pass_by(void)
{
	return frame_current() == NULL && !exempt_integrity_context();
}

static Entered
enter(Frame *frame)
{
	Entered entered;

	entered.integrity = exempt_enter_integrity();
	entered.frame = frame_enter(frame);
	entered.announced = frame != NULL && frame->execution != 0 && frame->query != NULL &&
	                    frame->query->plannedstmt->parallelModeNeeded && !IsParallelWorker();
	if (entered.announced)
		entered.execution = who_announce_execution(frame->execution);
	return entered;
}

static void
leave(const Entered *entered)
{
	if (entered->announced)
		who_announce_execution(entered->execution);
	frame_leave(entered->frame);
	exempt_leave_integrity(entered->integrity);
}

static void
call_run(COMPAT_RUN_PARAMS)
{
	if (prev_run_hook)
		prev_run_hook(COMPAT_RUN_ARGS);
	else
		standard_ExecutorRun(COMPAT_RUN_ARGS);
}

static void
run_in_frame(Frame *frame, COMPAT_RUN_PARAMS)
{
	Entered entered = enter(frame);

	PG_TRY();
	{
		call_run(COMPAT_RUN_ARGS);
	}
	PG_CATCH();
	{
		leave(&entered);
		collect_error(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	leave(&entered);
}

static void
release_rows(void *arg)
{
	trail_disclose();
}

/* Nothing leaves the server, or the function that asked, before it is on record. */
static void
run_disclosing(Frame *frame, COMPAT_RUN_PARAMS)
{
	DestReceiver *receiver = query->dest;
	bool wraps = disclose_leaves_server(receiver);

	if (wraps)
		query->dest = disclose_wrap(receiver, release_rows, NULL);
	PG_TRY();
	{
		run_in_frame(frame, COMPAT_RUN_ARGS);
		if (wraps)
			disclose_finish(query->dest);
		else
			trail_disclose();
	}
	PG_CATCH();
	{
		query->dest = receiver;
		collect_error(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	query->dest = receiver;
}

static void
run_guarded(COMPAT_RUN_PARAMS)
{
	Frame *frame = frame_of_query(query);

	if (frame == NULL && can_pass_by())
	{
		call_run(COMPAT_RUN_ARGS);
		return;
	}
	if (frame != NULL)
	{
		frame_check_purpose(frame);
		frame_refresh(frame);
		check_receiver(frame, query->dest);
		cursor_watch(frame);
		collect_open(frame);
	}
	if (frame != NULL && guc_audit_durability == AUDIT_DISCLOSURE)
		run_disclosing(frame, COMPAT_RUN_ARGS);
	else
		run_in_frame(frame, COMPAT_RUN_ARGS);
	if (frame != NULL)
		cursor_collect(frame);
}

static void
run(COMPAT_RUN_PARAMS)
{
	CursorRun cursor;

	if (policy_state() <= POLICY_EMPTY || !cursor_begin(&cursor, query, count))
	{
		run_guarded(COMPAT_RUN_ARGS);
		return;
	}
	PG_TRY();
	{
		run_guarded(COMPAT_RUN_ARGS);
	}
	PG_FINALLY();
	{
		cursor_end(&cursor);
	}
	PG_END_TRY();
}

/* ---- after ---- */

static bool
is_owner(const Frame *frame, const FrameTable *entry)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(entry->table->relid));
	bool owner;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = is_member_of_role_nosuper(frame->role, ((Form_pg_class) GETSTRUCT(tuple))->relowner);
	ReleaseSysCache(tuple);
	return owner;
}

/* A migration that believes to have changed all rows must hear that it has not. */
static void
tell_withheld(Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
	{
		FrameTable *entry = &frame->tables[i];
		int level = guc_on_withheld;

		if (!entry->is_changed || entry->withheld == 0 || entry->monitored)
			continue;
		if (level == ON_WITHHELD_AUTO)
			level = is_owner(frame, entry) ? ON_WITHHELD_ERROR : ON_WITHHELD_SILENT;
		if (level == ON_WITHHELD_SILENT)
			continue;
		ereport(level == ON_WITHHELD_ERROR ? ERROR : NOTICE,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("the statement passed over withheld rows of guarded table \"%s\"",
		                get_rel_name(entry->table->relid)),
		         errhint("To change every row, announce it with privacy_guard.break_glass(); to go "
		                 "on without them, SET privacy_guard.on_withheld = silent.")));
	}
}

/* What it may not erase stays for another time, and its function says how much. */
static void
count_withheld(Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		frame->own->withheld += frame->tables[i].withheld;
}

static void
call_finish(QueryDesc *query)
{
	if (prev_finish_hook)
		prev_finish_hook(query);
	else
		standard_ExecutorFinish(query);
}

static void
finish_in_frame(Frame *frame, QueryDesc *query)
{
	if (frame != NULL && frame->own != NULL)
		count_withheld(frame);
	else if (frame != NULL)
		tell_withheld(frame);
	call_finish(query);
	if (frame != NULL)
	{
		frame_close(frame);
		collect_close(frame);
	}
}

/* Triggers run here, so the frame is current here as well. */
static void
finish(QueryDesc *query)
{
	Frame *frame = frame_of_query(query);
	Entered entered;

	if (frame == NULL && can_pass_by())
	{
		call_finish(query);
		return;
	}
	entered = enter(frame);
	PG_TRY();
	{
		finish_in_frame(frame, query);
	}
	PG_CATCH();
	{
		leave(&entered);
		collect_error(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	leave(&entered);
	if (frame != NULL && frame->own == NULL)
		report_withheld(frame);
}

void
execute_init(void)
{
	prev_start_hook = ExecutorStart_hook;
	ExecutorStart_hook = start;
	prev_run_hook = ExecutorRun_hook;
	ExecutorRun_hook = run;
	prev_finish_hook = ExecutorFinish_hook;
	ExecutorFinish_hook = finish;
}
