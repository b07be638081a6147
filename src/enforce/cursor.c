/*
 * cursor.c
 *		Executions whose rows are fetched in pieces, or after their transaction.
 *
 * The guard judges rows as they leave the scans.  A portal that sorts, joins or calls functions
 * has judged rows that it has not yet returned, and a WITH HOLD portal keeps them in a tuplestore
 * past the executor.  So each portal that can be fetched again remembers for which purpose guarded
 * tables were read in it, and which partitions of data subjects were judged; a later FETCH is
 * refused under another purpose, without entitlement or rule, when a subject of one of those
 * partitions has decided more strictly since, or when the validity of a decision or the storage
 * duration of a row that was read has ended.
 *
 * The memory of a portal lives in the portal's context and goes with it.  A portal within a portal
 * (a loop in a function) counts for both.
 *
 * Not seen: the protocol's own Execute message, when a client sends it for a held SQL cursor.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/trail.h"
#include "consent/change.h"
#include "enforce/cursor.h"
#include "enforce/exempt.h"
#include "guc.h"
#include "policy/policy.h"
#include "policy/verb.h"

/* A guarded table that was read in the portal; the purpose of a function may be its own. */
typedef struct Reading
{
	Oid relid;
	Oid role;
	bool exempt;
	char purpose[MAX_PURPOSE_LENGTH];
	int version;        /* of the purpose */
	int64 oldest_start; /* of the rows that were let pass; see FrameTable */
} Reading;

typedef struct PortalMemory
{
	struct PortalMemory *next;
	Portal portal;
	Oid user;                         /* who ran it first, */
	char purpose[MAX_PURPOSE_LENGTH]; /* and for what */
	List *readings;
	uint64 own_changes;
	uint32 counter[CHANGE_PARTITIONS]; /* before the first row was judged */
	uint8 judged[JUDGED_BYTES];
	TimestampTz judged_until; /* the end of a validity; of a neighbour's at worst */
} PortalMemory;

static PortalMemory *memories = NULL;
static CursorRun *running = NULL;

/* ---- what a portal remembers ---- */

static void
forget(void *arg)
{
	for (PortalMemory **link = &memories; *link != NULL; link = &(*link)->next)
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
}

static PortalMemory *
find(Portal portal)
{
	for (PortalMemory *memory = memories; memory != NULL; memory = memory->next)
		if (memory->portal == portal)
			return memory;
	return NULL;
}

static PortalMemory *
remember(const CursorRun *run)
{
	MemoryContext context = run->portal->portalContext;
	PortalMemory *memory = MemoryContextAllocZero(context, sizeof(PortalMemory));
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	memory->portal = run->portal;
	memory->user = run->user;
	strlcpy(memory->purpose, run->purpose, sizeof(memory->purpose));
	memory->own_changes = change_own_strict_count();
	memory->judged_until = DT_NOEND;
	for (uint32 i = 0; i < CHANGE_PARTITIONS; i++)
		memory->counter[i] = consent_change_strict_counter(i);
	pg_memory_barrier();
	callback->func = forget;
	callback->arg = memory;
	MemoryContextRegisterResetCallback(context, callback);
	memory->next = memories;
	memories = memory;
	return memory;
}

static Reading *
find_reading(const PortalMemory *memory, const Frame *frame, const FrameTable *table)
{
	ListCell *cell;

	foreach (cell, memory->readings)
	{
		Reading *reading = lfirst(cell);

		if (reading->relid == table->table->relid && reading->role == frame->role &&
		    reading->exempt == frame->exempt &&
		    (frame->exempt || strcmp(reading->purpose, frame->purpose->path) == 0))
			return reading;
	}
	return NULL;
}

static void
remember_reading(PortalMemory *memory, const Frame *frame, const FrameTable *table)
{
	MemoryContext old;
	Reading *reading;

	if (find_reading(memory, frame, table) != NULL)
		return;
	old = MemoryContextSwitchTo(memory->portal->portalContext);
	reading = palloc0(sizeof(Reading));
	reading->relid = table->table->relid;
	reading->role = frame->role;
	reading->exempt = frame->exempt;
	reading->oldest_start = PG_INT64_MAX;
	if (!frame->exempt)
	{
		strlcpy(reading->purpose, frame->purpose->path, sizeof(reading->purpose));
		reading->version = frame->purpose->version;
	}
	memory->readings = lappend(memory->readings, reading);
	MemoryContextSwitchTo(old);
}

/* ---- may it go on? ---- */

static bool
still_permitted(const PortalMemory *memory, const Reading *reading)
{
	Oid role = reading->role == memory->user ? GetUserId() : reading->role;
	const GuardedRelation *relation = policy_guarded(reading->relid);
	const Purpose *purpose;

	if (relation == NULL)
		return true;
	if (reading->exempt)
		return exempt_execution(role, NULL) != EXEMPT_NOT;
	purpose = policy_purpose(reading->purpose);
	return purpose != NULL && purpose->version == reading->version &&
	       policy_entitled(role, purpose) && policy_rule(relation->table, purpose)->permitted;
}

/* Has the storage duration of a row that was read ended? */
static bool
has_expired(const Reading *reading)
{
	const GuardedRelation *relation = policy_guarded(reading->relid);
	const Rule *rule;
	int64 cutoff;

	if (reading->exempt || relation == NULL || policy_monitors(relation->table, reading->role))
		return false;
	rule = policy_rule(relation->table, policy_purpose(reading->purpose));
	return frame_cutoff(rule, relation->table->start_is_date, GetCurrentTimestamp(), &cutoff) &&
	       reading->oldest_start <= cutoff;
}

static void
check_readings(const PortalMemory *memory)
{
	ListCell *cell;

	foreach (cell, memory->readings)
	{
		const Reading *reading = lfirst(cell);

		if (!reading->exempt && strcmp(memory->purpose, guc_purpose) != 0)
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         errmsg("the statement was started for purpose \"%s\" and cannot go on for "
			                "another",
			                memory->purpose),
			         errhint("Close the cursor and open it again for the present purpose."),
			         errdenial(reading->relid, "other_purpose")));
		if (!still_permitted(memory, reading))
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         errmsg("the cursor may not go on with rows of guarded table \"%s\"",
			                get_rel_name(reading->relid)),
			         errhint("It was opened under another role, or rules have changed since."),
			         errdenial(reading->relid, "cursor")));
		if (has_expired(reading))
			ereport(ERROR,
			        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			         errmsg("the storage duration of a row of guarded table \"%s\" has ended since "
			                "the cursor read it",
			                get_rel_name(reading->relid)),
			         errhint("Close the cursor and open it again."),
			         errdenial(reading->relid, "expired")));
	}
}

static void
check_decisions(const PortalMemory *memory)
{
	bool changed = memory->own_changes != change_own_strict_count();

	for (uint32 i = 0; i < CHANGE_PARTITIONS && !changed; i++)
		changed = (memory->judged[i / 8] & (1 << (i % 8))) != 0 &&
		          memory->counter[i] != consent_change_strict_counter(i);
	if (changed)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("a data subject has decided otherwise since the cursor was opened"),
		                errhint("Close the cursor and open it again."),
		                errdenial(InvalidOid, "consent_changed")));
}

static void
check_validity(const PortalMemory *memory)
{
	if (memory->judged_until <= GetCurrentTimestamp())
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("the decision of a data subject has ended since the cursor was opened"),
		         errhint("Close the cursor and open it again."),
		         errdenial(InvalidOid, "consent_changed")));
}

static void
check(const PortalMemory *memory)
{
	if (memory == NULL)
		return;
	AcceptInvalidationMessages();
	if (policy_state() <= POLICY_EMPTY)
		return;
	check_readings(memory);
	check_decisions(memory);
	check_validity(memory);
}

void
cursor_check_fetch(const char *portal_name)
{
	Portal portal;

	Frame *frame;

	if (!IsTransactionState())
		return;
	portal = GetPortalByName(portal_name);
	if (!PortalIsValid(portal))
		return;
	check(find(portal));
	/* Said here, it leaves the portal usable. */
	frame = portal->queryDesc != NULL ? frame_of_query(portal->queryDesc) : NULL;
	if (frame != NULL)
		frame_check_purpose(frame);
}

/* ---- runs ---- */

static bool
outlives_transaction(Portal portal)
{
	return (portal->cursorOptions & CURSOR_OPT_HOLD) != 0 || portal->portalPinned;
}

bool
cursor_begin(CursorRun *run, QueryDesc *query, uint64 count)
{
	Portal portal = ActivePortal;

	if (portal == NULL || portal->queryDesc != query ||
	    (count == 0 && portal->name[0] == '\0' && !outlives_transaction(portal)))
		return false;
	check(find(portal));
	run->outer = running;
	run->portal = portal;
	run->query = query;
	run->user = GetUserId();
	strlcpy(run->purpose, guc_purpose, sizeof(run->purpose));
	running = run;
	return true;
}

void
cursor_end(CursorRun *run)
{
	running = run->outer;
}

/* Does a node of the plan keep rows that it has not returned yet?  Unknown ones may. */
static bool
keeps_rows(Plan *node)
{
	ListCell *cell;
	List *children = NIL;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_BitmapIndexScan:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_TidScan:
		case T_TidRangeScan:
		case T_Result:
		case T_Limit:
		case T_LockRows:
			break;
		case T_SubqueryScan:
			children = list_make1(((SubqueryScan *) node)->subplan);
			break;
		case T_Append:
			children = ((Append *) node)->appendplans;
			break;
		default:
			return true;
	}
	foreach (cell, children)
		if (keeps_rows(lfirst(cell)))
			return true;
	return keeps_rows(outerPlan(node)) || keeps_rows(innerPlan(node));
}

void
cursor_watch(Frame *frame)
{
	/* The answers of our own functions are theirs. */
	if (verb_in_progress())
		return;
	for (CursorRun *run = running; run != NULL; run = run->outer)
	{
		PortalMemory *memory;

		/* Otherwise each FETCH judges its rows anew. */
		if (run->query == frame->query && !outlives_transaction(run->portal) &&
		    frame->query->plannedstmt->subplans == NIL &&
		    !keeps_rows(frame->query->plannedstmt->planTree))
			continue;
		memory = find(run->portal);
		if (memory == NULL)
			memory = remember(run);
		for (int i = 0; i < frame->n_tables; i++)
			if (frame->exempt || frame->tables[i].verdict == FRAME_DECIDE)
				remember_reading(memory, frame, &frame->tables[i]);
		if (frame->judged == NULL)
			frame->judged = MemoryContextAllocZero(frame->context, JUDGED_BYTES);
	}
}

static void
collect_start(PortalMemory *memory, const Frame *frame, const FrameTable *table)
{
	Reading *reading;

	if (table->oldest_start == PG_INT64_MAX)
		return;
	reading = find_reading(memory, frame, table);
	if (reading != NULL)
		reading->oldest_start = Min(reading->oldest_start, table->oldest_start);
}

void
cursor_collect(Frame *frame)
{
	for (CursorRun *run = running; frame->judged != NULL && run != NULL; run = run->outer)
	{
		PortalMemory *memory = find(run->portal);

		if (memory == NULL)
			continue;
		for (int i = 0; i < JUDGED_BYTES; i++)
			memory->judged[i] |= frame->judged[i];
		memory->judged_until = Min(memory->judged_until, frame->judged_until);
		for (int i = 0; i < frame->n_tables; i++)
			collect_start(memory, frame, &frame->tables[i]);
	}
}
