/*
 * frame.c
 *		What an execution that touches guarded tables was allowed when it started.
 *
 * The purpose, the role and the moment are frozen here, so that set_config() in the middle of a
 * scan changes nothing.  A parallel worker makes a frame of its own from the restored settings;
 * they cannot have changed, because core refuses to set anything during a parallel operation and
 * the leader compares its settings with its frame before each run.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "audit/trail.h"
#include "consent/change.h"
#include "enforce/exempt.h"
#include "enforce/frame.h"
#include "enforce/report.h"
#include "enforce/via.h"
#include "guc.h"
#include "policy/duration.h"
#include "policy/rule.h"

static Frame *open_frames = NULL;
static Frame *current = NULL;

static void check_table(Frame *frame, FrameTable *entry);
static void set_first_cutoff(Frame *frame, FrameTable *entry);
static void refuse_standby(const FrameTable *entry);

/* ---- what is allowed ---- */

static List *
guarded_among(List *relids)
{
	List *tables = NIL;
	ListCell *cell;

	foreach (cell, relids)
	{
		const GuardedRelation *relation = policy_guarded(lfirst_oid(cell));

		if (relation != NULL)
			tables = list_append_unique_ptr(tables, relation->table);
	}
	return tables;
}

static char *
name_of(const FrameTable *entry)
{
	return get_rel_name(entry->table->relid);
}

/* A restore may load rows; nobody may read them yet. */
static void
check_pending(FrameTable *entry)
{
	entry->verdict = FRAME_PASS;
	if (!entry->is_read)
		return;
	ereport(
	    ERROR,
	    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	     errmsg("guarded table \"%s\" is pending after a restore or copy", name_of(entry)),
	     errhint("A data steward can verify and release it with privacy_guard.finish_restore()."),
	     errdenial(entry->table->relid, "pending")));
}

static const Purpose *
declared_purpose(void)
{
	const Purpose *purpose;

	if (guc_purpose[0] == '\0')
		return NULL;
	purpose = policy_purpose(guc_purpose);
	if (purpose == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
		                errmsg("purpose \"%s\" does not exist", guc_purpose),
		                errhint("privacy_guard.purposes lists the purposes; a data steward can add "
		                        "one with privacy_guard.create_purpose()."),
		                errdenial(InvalidOid, "no_such_purpose")));
	return purpose;
}

/* Runs when the frame's context goes, at the end of the execution or after an error. */
static void
frame_forget(void *arg)
{
	Frame *frame = arg;

	for (Frame **link = &open_frames; *link != NULL; link = &(*link)->outer)
		if (*link == frame)
		{
			*link = frame->outer;
			break;
		}
	if (current == frame)
		current = NULL;
	policy_unpin(frame->pin);
}

/* Its memory is of the size that comes back without malloc(). */
static Frame *
frame_create(QueryDesc *query)
{
	MemoryContext context =
	    AllocSetContextCreate(CurrentMemoryContext, "privacy_guard frame", ALLOCSET_DEFAULT_SIZES);
	Frame *frame = MemoryContextAllocZero(context, sizeof(Frame));
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(*callback));

	frame->context = context;
	frame->query = query;
	frame->role = GetUserId();
	frame->now = GetCurrentTimestamp();
	frame->judged_until = DT_NOEND;
	frame->pin = policy_pin();
	frame->policy = policy_number();
	callback->func = frame_forget;
	callback->arg = frame;
	MemoryContextRegisterResetCallback(context, callback);
	return frame;
}

static bool
is_exempt(const Frame *frame)
{
	return frame->explain_only || frame->exempt != EXEMPT_NOT;
}

static bool
erases(const Frame *frame, const FrameTable *entry)
{
	return frame->own != NULL && frame->own->erases == entry->table->relid;
}

Frame *
frame_prepare(const FrameRequest *request)
{
	Frame *frame;
	List *tables;
	List *read;
	List *changed;
	ListCell *cell;

	/* Rules may have changed since the plan was locked and made. */
	AcceptInvalidationMessages();
	if (policy_state() <= POLICY_EMPTY)
		return NULL;
	frame = frame_create(request->query);
	tables = guarded_among(request->touched);
	if (tables == NIL)
	{
		MemoryContextDelete(frame->context);
		return NULL;
	}
	frame->tables =
	    MemoryContextAllocZero(frame->context, list_length(tables) * sizeof(FrameTable));
	read = guarded_among(request->read);
	changed = guarded_among(request->changed);
	frame->explain_only = request->explain_only;
	frame->exempt =
	    exempt_execution(frame->role, request->query ? request->query->sourceText : NULL);
	if (request->query != NULL)
		frame->own = own_statement(request->query->sourceText);
	if (!is_exempt(frame))
		frame->purpose = declared_purpose();
	foreach (cell, tables)
	{
		FrameTable *entry = &frame->tables[frame->n_tables++];

		entry->table = lfirst(cell);
		entry->start_is_date = entry->table->start_is_date;
		entry->oldest_start = PG_INT64_MAX;
		entry->is_read = list_member_ptr(read, entry->table);
		entry->is_changed = list_member_ptr(changed, entry->table);
		if (is_exempt(frame))
			entry->verdict = erases(frame, entry) ? FRAME_ERASE : FRAME_PASS;
		else if (policy_state() == POLICY_PENDING)
			check_pending(entry);
		else if (RecoveryInProgress())
			refuse_standby(entry);
		else
			check_table(frame, entry);
	}
	return frame;
}

/* In monitor mode a refusal is counted and the table passes. */
static bool
monitored_refusal(Frame *frame, FrameTable *entry, ReportReason reason)
{
	if (!entry->monitored)
		return false;
	report_refusal(frame, entry, reason);
	entry->verdict = FRAME_PASS;
	return true;
}

/* Changes of consent reach a standby's tables, but nobody tells its cache, and no record can be
 * written. */
static void
refuse_standby(const FrameTable *entry)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("guarded table \"%s\" cannot be used on a standby", name_of(entry)),
	                errhint("Send the statement to the primary.")));
}

static void
check_table(Frame *frame, FrameTable *entry)
{
	const Purpose *purpose = frame->purpose;
	const Rule *rule;

	entry->monitored = policy_monitors(entry->table, frame->role);
	if (purpose == NULL)
	{
		if (monitored_refusal(frame, entry, REPORT_NO_PURPOSE))
			return;
		entry->verdict = FRAME_HIDE;
		if (guc_on_no_purpose == ON_NO_PURPOSE_ERROR)
			ereport(
			    ERROR,
			    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			     errmsg("no purpose is declared for guarded table \"%s\"", name_of(entry)),
			     errhint("Declare one in the transaction, as in SET LOCAL privacy_guard.purpose = "
			             "'billing', or give the role a default with ALTER ROLE ... SET."),
			     errdenial(entry->table->relid, "no_purpose")));
		return;
	}
	if (!policy_entitled(frame->role, purpose))
	{
		if (!monitored_refusal(frame, entry, REPORT_NOT_ENTITLED))
			ereport(
			    ERROR,
			    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			     errmsg("role \"%s\" may not process guarded table \"%s\" for purpose \"%s\"",
			            GetUserNameFromId(frame->role, false), name_of(entry), purpose->path),
			     errhint("A data steward can entitle the role with privacy_guard.grant_purpose()."),
			     errdenial(entry->table->relid, "not_entitled")));
		return;
	}
	rule = policy_rule(entry->table, purpose);
	if (!rule->permitted)
	{
		if (!monitored_refusal(frame, entry, rule->prohibited ? REPORT_PROHIBITED : REPORT_NO_RULE))
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         rule->prohibited
			             ? errmsg("purpose \"%s\" is prohibited on guarded table \"%s\"",
			                      purpose->path, name_of(entry))
			             : errmsg("no rule permits purpose \"%s\" on guarded table \"%s\"",
			                      purpose->path, name_of(entry)),
			         rule->prohibited
			             ? errhint("privacy_guard.rules shows the prohibition, of this purpose or "
			                       "one above it. A data steward can lift it with drop_rule(), or "
			                       "with a newer permit() of this very purpose.")
			             : errhint("A data steward can permit it with privacy_guard.permit()."),
			         errdenial(entry->table->relid, rule->prohibited ? "prohibited" : "no_rule")));
		return;
	}
	if (!row_security)
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("rows of guarded table \"%s\" cannot be read with row_security off",
		                name_of(entry)),
		         errhint("Leave row_security on. For a whole dump, let a data steward exempt the "
		                 "role with privacy_guard.exempt_role()."),
		         errdenial(entry->table->relid, "row_security_off")));
	entry->verdict = FRAME_DECIDE;
	entry->rule = rule;
	entry->mask = rule->mask;
	set_first_cutoff(frame, entry);
}

/* ---- storage durations ---- */

bool
frame_cutoff(const Rule *rule, bool start_is_date, TimestampTz now, int64 *cutoff)
{
	TimestampTz instant;

	if (!rule_cutoff(rule, now, &instant))
		return false;
	*cutoff = start_is_date ? duration_cutoff_date(instant) : instant;
	return true;
}

static void
set_cutoff(Frame *frame, FrameTable *entry, const Rule *rule)
{
	entry->ends = frame_cutoff(rule, entry->start_is_date, frame->now, &entry->cutoff);
}

/* An execution has its cutoff when it runs; until then, all rows have ended. */
static void
set_first_cutoff(Frame *frame, FrameTable *entry)
{
	if (frame->query == NULL)
		set_cutoff(frame, entry, entry->rule);
	else if (NameStr(entry->table->retention_start)[0] != '\0')
	{
		entry->ends = true;
		entry->cutoff = PG_INT64_MAX;
	}
}

/* Durations may have been changed since the execution started; what else it was allowed stays. */
static void
refresh_table(Frame *frame, FrameTable *entry)
{
	const GuardedRelation *relation;

	if (policy_number() == frame->policy)
	{
		set_cutoff(frame, entry, entry->rule);
		return;
	}
	relation = policy_guarded(entry->table->relid);
	if (relation == NULL)
		entry->ends = false;
	else
		set_cutoff(frame, entry, policy_rule(relation->table, frame->purpose));
}

void
frame_refresh(Frame *frame)
{
	frame->now = GetCurrentTimestamp();
	if (frame->has_run)
	{
		AcceptInvalidationMessages();
		change_forget_lines();
	}
	frame->has_run = true;
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].verdict == FRAME_DECIDE &&
		    NameStr(frame->tables[i].table->retention_start)[0] != '\0')
			refresh_table(frame, &frame->tables[i]);
}

/* ---- open frames ---- */

void
frame_open(Frame *frame, MemoryContext context)
{
	frame->outer = open_frames;
	open_frames = frame;
	MemoryContextSetParent(frame->context, context);
}

void
frame_close(Frame *frame)
{
	for (int i = 0; i < frame->n_tables; i++)
		if (frame->tables[i].via != NULL)
			via_close(frame->tables[i].via);
}

Frame *
frame_of_query(const QueryDesc *query)
{
	for (Frame *frame = open_frames; frame != NULL; frame = frame->outer)
		if (frame->query == query)
			return frame;
	return NULL;
}

Frame *
frame_current(void)
{
	return current;
}

Frame *
frame_enter(Frame *frame)
{
	Frame *previous = current;

	current = frame;
	return previous;
}

void
frame_leave(Frame *previous)
{
	current = previous;
}

FrameTable *
frame_table(Frame *frame, Oid guarded_relid)
{
	for (int i = 0; frame != NULL && i < frame->n_tables; i++)
		if (frame->tables[i].table->relid == guarded_relid)
			return &frame->tables[i];
	return NULL;
}

void
frame_check_purpose(const Frame *frame)
{
	if (frame->purpose != NULL && strcmp(frame->purpose->path, guc_purpose) != 0)
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("the statement was started for purpose \"%s\" and cannot go on for another",
		                frame->purpose->path),
		         errhint("Close the cursor and open it again for the present purpose."),
		         errdenial(frame->tables[0].table->relid, "other_purpose")));
}
