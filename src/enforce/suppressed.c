/*
 * suppressed.c
 *		Refusing new rows of data subjects that were erased.
 *
 * Only a subject without a number can have been erased, so the hash of a key is computed for these
 * alone, and only where the rules say that the category has erased subjects.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "audit/trail.h"
#include "enforce/suppressed.h"
#include "enforce/via.h"
#include "policy/suppression.h"
#include "retention/erasing.h"

/* The subject columns of a row, of the table itself or where its path ends. */
typedef struct Subjects
{
	int n;
	Oid type[MAX_SUBJECT_COLUMNS]; /* base types */
	Datum value[MAX_SUBJECT_COLUMNS + 1];
	bool null[MAX_SUBJECT_COLUMNS + 1];
} Subjects;

static HeapTuple
new_tuple(const TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
	                                                  : trigger->tg_trigtuple;
}

static void
take_own(Subjects *subjects, const GuardedRelation *relation, const TriggerData *trigger)
{
	HeapTuple tuple = new_tuple(trigger);
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);

	subjects->n = relation->table->n_subjects;
	for (int i = 0; i < subjects->n; i++)
	{
		subjects->value[i] = heap_getattr(tuple, relation->arg[i], desc, &subjects->null[i]);
		subjects->type[i] = getBaseType(TupleDescAttr(desc, relation->arg[i] - 1)->atttypid);
	}
}

static void
take_parents(Subjects *subjects, Frame *frame, FrameTable *entry, const GuardedRelation *relation,
             const TriggerData *trigger)
{
	const GuardedRelation *target;
	const ViaRow *row;
	bool isnull;
	Datum via = heap_getattr(new_tuple(trigger), relation->arg[0],
	                         RelationGetDescr(trigger->tg_relation), &isnull);

	subjects->n = 0;
	if (isnull)
		return;
	/* A parent that the same statement has written must be seen. */
	CommandCounterIncrement();
	if (entry->via == NULL)
		entry->via = via_create(entry->table, frame->context);
	row = via_follow(entry->via, via, NULL);
	if (!row->found)
		return;
	target = via_target(entry->via);
	subjects->n = target->table->n_subjects;
	memcpy(subjects->value, row->value, sizeof(subjects->value));
	memcpy(subjects->null, row->null, sizeof(subjects->null));
	for (int i = 0; i < subjects->n; i++)
		subjects->type[i] = getBaseType(get_atttype(target->relid, target->arg[i]));
}

/* The canonical text of a key, as privacy_guard_internal.canonical_key() has it. */
static text *
canonical_key(Oid type, Datum value)
{
	int64 key;

	if (subject_key_integer(type, value, &key))
		return cstring_to_text(psprintf(INT64_FORMAT, key));
	if (type == UUIDOID)
		return cstring_to_text(DatumGetCString(DirectFunctionCall1(uuid_out, value)));
	return DatumGetTextPP(value);
}

static void
refuse_erased(const GuardedTable *table)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("new row of guarded table \"%s\" is about a data subject that was erased",
	                get_rel_name(table->relid)),
	         errhint("Leave the row out. If the person came back, a data steward can allow it with "
	                 "privacy_guard.readmit_subject()."),
	         errdenial(table->relid, "erased_subject")));
}

static void
refuse_erasing(const GuardedTable *table)
{
	ereport(ERROR,
	        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	         errmsg("new row of guarded table \"%s\" is about a data subject that is being erased",
	                get_rel_name(table->relid)),
	         errhint("Leave the row out, or try again when the erasure is over."),
	         errdenial(table->relid, "erased_subject")));
}

/* Has one of the subjects been erased? */
static bool
is_erased(const Subjects *subjects, int i, SubjectReader *reader)
{
	text *key;

	if ((subject_facts_of(reader, subjects->type[i], subjects->value[i]) & FACT_KNOWN) != 0)
		return false;
	key = canonical_key(subjects->type[i], subjects->value[i]);
	return suppression_find(reader->category, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), ERROR) != 0;
}

static bool
is_being_erased(const Subjects *subjects, int i, int32 category)
{
	text *key = canonical_key(subjects->type[i], subjects->value[i]);

	return erasing_is_under_way(category, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
}

static void
withhold(FrameTable *entry)
{
	entry->withheld++;
	if (entry->access != NULL)
		entry->access->withheld++;
}

void
suppressed_check(Frame *frame, FrameTable *entry, const GuardedRelation *relation,
                 const TriggerData *trigger)
{
	Oid relid = relation->relid;
	bool erasing = erasing_any();
	/* Of the present rules, for the frame's may be older than an erasure; and they may go again. */
	const GuardedRelation *present = policy_guarded(relid);
	GuardedRelation own;
	GuardedTable table;
	Subjects subjects;
	SubjectReader reader;

	if (present == NULL || (!erasing && !present->table->suppresses))
		return;
	own = *present;
	table = *present->table;
	own.table = &table;
	if (table.n_subjects > 0)
		take_own(&subjects, &own, trigger);
	else
		take_parents(&subjects, frame, entry, &own, trigger);
	subject_reader_init(&reader, frame->purpose, table.category, table.key_kind, &frame->now);
	for (int i = 0; i < subjects.n; i++)
	{
		if (subjects.null[i])
			continue;
		if (erasing && is_being_erased(&subjects, i, table.category))
			refuse_erasing(&table);
		if (!table.suppresses || !is_erased(&subjects, i, &reader))
			continue;
		if (!entry->monitored)
			refuse_erased(&table);
		withhold(entry);
	}
}
