/*
 * new_row.c
 *		Checking the rows that a statement has written or deleted, after it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "audit/trail.h"
#include "enforce/collect.h"
#include "enforce/exempt.h"
#include "enforce/frame.h"
#include "enforce/hold_check.h"
#include "enforce/judge.h"
#include "enforce/suppressed.h"
#include "types/consent.h"

PG_FUNCTION_INFO_V1(check_new_row);

typedef enum NewRow
{
	ROW_PERMITTED,
	ROW_WITHHELD,
	ROW_EXPIRED
} NewRow;

/* Judge a tuple of a guarded relation, and record whose it is. */
static NewRow
judge_tuple(Frame *frame, FrameTable *entry, const GuardedRelation *relation,
            const TriggerData *trigger)
{
	bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple tuple = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	Judge judge = {0};
	Datum value[MAX_GUARD_COLUMNS];
	bool null[MAX_GUARD_COLUMNS];

	/* A parent that the same statement has written must be seen, as foreign keys do. */
	if (entry->table->n_subjects == 0)
		CommandCounterIncrement();
	judge_init(&judge, frame, entry);
	for (int i = 0; i < relation->n_args; i++)
	{
		value[i] = heap_getattr(tuple, relation->arg[i], desc, &null[i]);
		if (entry->table->n_subjects > 0)
			judge.type[i] = getBaseType(TupleDescAttr(desc, relation->arg[i] - 1)->atttypid);
	}
	if (!judge_permits(&judge, value, null, NULL))
	{
		judge_withhold(&judge);
		if (!entry->monitored)
			return judge.ended ? ROW_EXPIRED : ROW_WITHHELD;
	}
	if (entry->access != NULL)
	{
		/* A scan has counted the row that a statement changes. */
		entry->access->rows += !is_update || frame != frame_current();
		judge_record_subjects(&judge);
	}
	return ROW_PERMITTED;
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
	trail_prepare();
	frame = frame_prepare(&(FrameRequest){.touched = list_make1_oid(relation->relid)});
	if (frame != NULL)
		collect_open(frame);
	return frame;
}

static void
refuse_row(const GuardedRelation *relation, const Purpose *purpose)
{
	const char *name = get_rel_name(relation->table->relid);

	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         purpose == NULL
	             ? errmsg("no purpose is declared for guarded table \"%s\"", name)
	             : errmsg("new row of guarded table \"%s\" is not permitted for purpose \"%s\"",
	                      name, purpose->path),
	         errhint("Record the data subject's consent or other legal basis first, or work for a "
	                 "purpose that has one."),
	         errdenial(relation->table->relid, "new_row")));
}

static void
refuse_expired(const GuardedRelation *relation, const Purpose *purpose)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("the storage duration of the new row of guarded table \"%s\" for purpose "
	                "\"%s\" has ended",
	                get_rel_name(relation->table->relid), purpose->path),
	         errhint("It counts from column \"%s\"; privacy_guard.storage_durations shows it.",
	                 NameStr(relation->table->retention_start)),
	         errdenial(relation->table->relid, "expired")));
}

static void
refuse_consent(const GuardedRelation *relation)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("the consent column of guarded table \"%s\" cannot be written like this",
	                get_rel_name(relation->table->relid)),
	         errhint("Record decisions with privacy_guard.record_consent(); a new row may bring "
	                 "consent only for purposes that the role may collect it for."),
	         errdenial(relation->table->relid, "consent_column")));
}

/* Nobody consents for another by accident: not by UPDATE, and on INSERT only who may collect. */
static void
check_own_consent(const GuardedRelation *relation, TriggerData *trigger, Oid role)
{
	AttrNumber column = relation->arg[relation->table->n_subjects];
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	bool isnull;
	bool was_null;
	Datum value;
	Datum was;
	Consent *consent;

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		value = heap_getattr(trigger->tg_newtuple, column, desc, &isnull);
		was = heap_getattr(trigger->tg_trigtuple, column, desc, &was_null);
		if (isnull != was_null || (!isnull && !datum_image_eq(value, was, false, -1)))
			refuse_consent(relation);
		return;
	}
	value = heap_getattr(trigger->tg_trigtuple, column, desc, &isnull);
	if (isnull)
		return;
	consent = DatumGetConsentP(value);
	for (int i = 0; i < consent_count(consent); i++)
	{
		ConsentDecision decision;
		const Purpose *purpose;

		consent_get(consent, i, &decision);
		if (!CONSENT_IS_POSITIVE(decision.status))
			continue;
		purpose = policy_purpose(pnstrdup(decision.purpose, decision.purpose_len));
		if (purpose == NULL || !policy_may_collect(role, purpose))
			refuse_consent(relation);
	}
}

/*
 * check_new_row() is an AFTER ROW trigger on guarded tables: each new row must be one that the
 * purpose may see, and no row that goes, or leaves its data subject, may be under a legal hold.  It
 * runs after the statement, so that a parent and its child may come in one.
 */
Datum
check_new_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const GuardedRelation *relation;
	Frame *frame;
	FrameTable *entry;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
	    !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("check_new_row() is an AFTER ROW trigger function")));
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		hold_check_row(trigger);
	relation = policy_guarded(RelationGetRelid(trigger->tg_relation));
	if (relation == NULL || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		PG_RETURN_POINTER(NULL);
	frame = frame_of_writer(relation);
	if (frame == NULL)
		PG_RETURN_POINTER(NULL);
	entry = frame_table(frame, relation->table->relid);
	if (NameStr(relation->table->consent_column)[0] != '\0' && !frame->exempt)
		check_own_consent(relation, trigger, frame->role);
	switch (judge_tuple(frame, entry, relation, trigger))
	{
		case ROW_PERMITTED:
			break;
		case ROW_WITHHELD:
			refuse_row(relation, frame->purpose);
			break;
		case ROW_EXPIRED:
			refuse_expired(relation, frame->purpose);
			break;
	}
	if (frame->exempt != EXEMPT_OWN)
		suppressed_check(frame, entry, relation, trigger);
	if (frame != frame_current())
		collect_close(frame);
	PG_RETURN_POINTER(NULL);
}
