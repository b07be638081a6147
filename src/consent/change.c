/*
 * change.c
 *		Telling every backend that decisions or rules have changed.
 *
 * Triggers on the extension's tables note what a transaction touches, whatever statement did it:
 * a function of ours, a restore, logical replication.  The change counters advance when the
 * transaction ends; at that moment a commit is visible to every new snapshot.  Until then the
 * transaction itself reads the tables and leaves the shared cache alone.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "consent/change.h"
#include "consent/stricter.h"
#include "consent/subject.h"
#include "policy/catalog.h"
#include "policy/policy.h"

/* What the running transaction has changed; empty between transactions. */
static bool changed = false;
static bool changed_all = false;
static uint8 changed_partition[CHANGE_PARTITIONS / 8];
static uint8 strict_partition[CHANGE_PARTITIONS / 8]; /* those that may be stricter now */
static uint64 own_strict_count = 0;

uint64 change_own_count = 0;

static void end_of_transaction(XactEvent event, void *arg);

PG_FUNCTION_INFO_V1(subject_changed);
PG_FUNCTION_INFO_V1(policy_changed);

void
change_init(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
}

bool
change_is_own(void)
{
	return changed;
}

uint64
change_own_strict_count(void)
{
	return own_strict_count;
}

static bool
is_marked(const uint8 *partitions, uint32 partition)
{
	return changed_all || (partitions[partition / 8] & (1 << (partition % 8))) != 0;
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (!changed)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			/* COMMIT PREPARED runs no callback that could announce the change. */
			ereport(ERROR,
			        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			         errmsg("cannot PREPARE a transaction that has changed consents or rules"),
			         errhint("Change them in a transaction of their own.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			for (uint32 i = 0; i < CHANGE_PARTITIONS; i++)
			{
				if (is_marked(changed_partition, i))
					consent_change_advance(i);
				if (event == XACT_EVENT_COMMIT && is_marked(strict_partition, i))
					consent_change_strict_advance(i);
			}
			changed = changed_all = false;
			memset(changed_partition, 0, sizeof(changed_partition));
			memset(strict_partition, 0, sizeof(strict_partition));
			break;
		default:
			break;
	}
}

static void
note_partition(uint32 partition, bool stricter)
{
	changed_partition[partition / 8] |= 1 << (partition % 8);
	if (stricter)
		strict_partition[partition / 8] |= 1 << (partition % 8);
}

/* Advance the counter of the subject that a row of subject_state is about. */
static void
note_subject(HeapTuple tuple, TupleDesc desc, void *arg)
{
	int32 category = catalog_int4(tuple, desc, STATE_CATEGORY);
	bool isnull;
	Datum key_int = catalog_column(tuple, desc, STATE_KEY_INT, &isnull);
	SubjectKey key;

	if (!isnull)
		key = subject_key_int(DatumGetInt64(key_int));
	else
	{
		char *text = catalog_text(tuple, desc, STATE_KEY);

		if (policy_category_kind(category) == KEY_UUID)
			key = subject_key_uuid(
			    DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)))->data);
		else
			key = subject_key_text(text, strlen(text));
	}
	note_partition(consent_change_partition(category, key), *(bool *) arg);
}

/* A row of subject_basis knows only the subject's number. */
static void
note_basis(HeapTuple tuple, TupleDesc desc, bool stricter)
{
	ScanKeyData scankey;
	bool isnull;

	ScanKeyInit(&scankey, STATE_SUBJECT, BTEqualStrategyNumber, F_INT8EQ,
	            catalog_column(tuple, desc, BASIS_SUBJECT, &isnull));
	catalog_scan(CATALOG_SUBJECT_STATE_NUMBER, &scankey, 1, note_subject, &stricter);
}

static void
note_row(TriggerData *trigger, HeapTuple tuple, bool stricter)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);

	if (tuple == NULL)
		return;
	if (RelationGetRelid(trigger->tg_relation) == catalog_relid(CATALOG_SUBJECT_BASIS))
		note_basis(tuple, desc, stricter);
	else
		note_subject(tuple, desc, &stricter);
}

static bool
row_is_stricter(const TriggerData *trigger)
{
	TriggerEvent event = trigger->tg_event;

	if (!TRIGGER_FIRED_FOR_ROW(event))
		return true;
	if (RelationGetRelid(trigger->tg_relation) == catalog_relid(CATALOG_SUBJECT_BASIS))
		return !TRIGGER_FIRED_BY_INSERT(event);
	if (TRIGGER_FIRED_BY_INSERT(event))
		return stricter_state(NULL, trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation));
	return stricter_state(trigger->tg_trigtuple, trigger->tg_newtuple,
	                      RelationGetDescr(trigger->tg_relation));
}

/*
 * subject_changed() is an AFTER trigger on subject_state and subject_basis: for each row, and for
 * TRUNCATE.
 */
Datum
subject_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool stricter;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("subject_changed() is a trigger function")));

	/* Reads the state; also finds where the extension's tables are. */
	(void) policy_state();
	changed = true;
	change_own_count++;
	stricter = row_is_stricter(trigger);
	own_strict_count += stricter;
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		changed_all = true;
	else if (!changed_all)
	{
		note_row(trigger, trigger->tg_trigtuple, stricter);
		note_row(trigger, trigger->tg_newtuple, stricter);
	}
	PG_RETURN_POINTER(NULL);
}

/* policy_changed() is an AFTER STATEMENT trigger on the tables of rules. */
Datum
policy_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("policy_changed() is a trigger function")));
	CacheInvalidateRelcache(trigger->tg_relation);
	PG_RETURN_POINTER(NULL);
}
