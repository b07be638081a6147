/*
 * judge.c
 *		Whether the columns of one row let it pass, for one execution.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "enforce/judge.h"
#include "enforce/via.h"
#include "policy/hold.h"
#include "types/consent.h"

static bool
records_subjects(const FrameTable *entry)
{
	return entry->access != NULL && entry->access->by_subject;
}

void
judge_init(Judge *judge, Frame *frame, FrameTable *entry)
{
	const GuardedRelation *relation;

	judge->frame = frame;
	judge->entry = entry;
	judge->spec = entry->table;
	if (NameStr(entry->table->retention_start)[0] != '\0')
		judge->start_column =
		    Max(entry->table->n_subjects, 1) + (NameStr(entry->table->consent_column)[0] != '\0');
	judge->may_be_held = entry->verdict == FRAME_ERASE && hold_any(entry->table);
	if (entry->verdict != FRAME_DECIDE && entry->verdict != FRAME_ERASE && !records_subjects(entry))
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
	                    judge->spec->key_kind, &frame->now);
	judge->reader.want_numbers = records_subjects(entry);
	if (entry->access != NULL)
		entry->access->category = judge->spec->category;
}

static int64
number_of(const Judge *judge, Oid type, Datum value)
{
	int64 key;

	return subject_key_integer(type, value, &key) ? subject_number_int(&judge->reader, key)
	                                              : subject_number_single(&judge->reader);
}

static SubjectFacts
subject_facts(Judge *judge, Oid type, Datum value)
{
	SubjectFacts facts = subject_facts_of(&judge->reader, type, value);
	uint8 *judged = judge->frame->judged;

	if (unlikely(judged != NULL))
	{
		uint32 partition = consent_change_partition(judge->reader.category, judge->reader.key);

		judged[partition / 8] |= 1 << (partition % 8);
		judge->frame->judged_until = Min(judge->frame->judged_until, judge->reader.line.changes_at);
	}
	if (judge->reader.want_numbers)
		judge->judged[judge->n_judged++] =
		    (JudgedSubject){number_of(judge, type, value), type, value};
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
		if (!decision_needs_facts(mask) && !judge->reader.want_numbers)
			continue;
		facts = subject_facts(judge, judge->type[i], value[i]);
		all_facts |= facts;
		if (!mask->own_consent && !decision_permits(mask, facts))
			return false;
	}
	return !mask->own_consent || own_consent_permits(judge, value[n], null[n], all_facts);
}

/* Who the row is about, where that does not decide. */
static void
identify(Judge *judge, const Datum *value, const bool *null)
{
	judge->n_judged = 0;
	for (int i = 0; i < judge->n_columns; i++)
		if (!null[i])
			(void) subject_facts(judge, judge->type[i], value[i]);
}

/* Not while a subject of the row is under a hold, or processing is restricted (GDPR Art. 18). */
static bool
may_be_erased(Judge *judge, const Datum *value, const bool *null)
{
	const GuardedTable *table = judge->entry->table;

	for (int i = 0; i < judge->n_columns; i++)
		if (!null[i] && ((subject_facts(judge, judge->type[i], value[i]) & FACT_RESTRICTED) != 0 ||
		                 (judge->may_be_held &&
		                  hold_binds(table, judge->spec->category, judge->type[i], value[i]))))
			return false;
	return true;
}

static bool
row_permits(Judge *judge, const Datum *value, const bool *null)
{
	bool permitted = judge->entry->verdict == FRAME_PASS;

	if (judge->entry->verdict == FRAME_ERASE)
		return may_be_erased(judge, value, null);
	if (judge->entry->verdict == FRAME_DECIDE)
		permitted = columns_permit(judge, value, null);
	if (records_subjects(judge->entry) &&
	    (permitted ? judge->entry->verdict == FRAME_PASS : judge->entry->monitored))
		identify(judge, value, null);
	return permitted;
}

static bool
subjects_permit(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot)
{
	bool without_subject =
	    judge->entry->verdict == FRAME_PASS || judge->entry->verdict == FRAME_ERASE;
	const ViaRow *row;

	if (judge->may_be_held && hold_on_table(judge->entry->table))
		return false;
	if (judge->entry->table->n_subjects > 0)
		return row_permits(judge, value, null);
	if (null[0])
		return without_subject || judge->entry->table->show_null;
	row = via_follow(judge->entry->via, value[0], snapshot);
	if (!row->found)
		return without_subject;
	return row_permits(judge, row->value, row->null);
}

/* Does the row count from a start?  What anonymise has left does not. */
static bool
has_start(const Judge *judge, const bool *null)
{
	const GuardedTable *table = judge->entry->table;

	if (judge->start_column == 0 || null[judge->start_column])
		return false;
	for (int i = 0; table->anonymises && i < Max(table->n_subjects, 1); i++)
		if (!null[i])
			return true;
	return !table->anonymises;
}

static void
note_start(FrameTable *entry, Datum start)
{
	int64 began = entry->start_is_date ? DatumGetDateADT(start) : DatumGetTimestamp(start);

	entry->oldest_start = Min(entry->oldest_start, began);
}

bool
judge_permits(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot)
{
	FrameTable *entry = judge->entry;
	bool counts;

	judge->n_judged = 0;
	judge->ended = false;
	if (entry->verdict == FRAME_HIDE || (entry->verdict == FRAME_PASS && !records_subjects(entry)))
		return entry->verdict == FRAME_PASS;
	counts = entry->verdict == FRAME_DECIDE && has_start(judge, null);
	judge->ended = counts && entry->ends && judge_has_ended(judge, value[judge->start_column]);
	if (judge->ended && !entry->monitored)
		return false;
	if (!subjects_permit(judge, value, null, snapshot) || judge->ended)
		return false;
	if (counts && judge->frame->judged != NULL)
		note_start(entry, value[judge->start_column]);
	return true;
}

static void
record_key(Access *access, const JudgedSubject *subject)
{
	struct varlena *text;
	int64 key;

	if (subject_key_integer(subject->type, subject->key, &key))
	{
		access_add_key(access, AUDIT_BLOCK_INT, &key, sizeof(key));
		return;
	}
	if (subject->type == UUIDOID)
	{
		access_add_key(access, AUDIT_BLOCK_UUID, DatumGetUUIDP(subject->key)->data, UUID_LEN);
		return;
	}
	text = PG_DETOAST_DATUM_PACKED(subject->key);
	access_add_key(access, AUDIT_BLOCK_TEXT, VARDATA_ANY(text),
	               Min(VARSIZE_ANY_EXHDR(text), PG_UINT16_MAX));
	if ((Pointer) text != DatumGetPointer(subject->key))
		pfree(text);
}

void
judge_record_subjects(Judge *judge)
{
	Access *access = judge->entry->access;

	for (int i = 0; i < judge->n_judged; i++)
		if (judge->judged[i].number != 0)
			access_add_number(access, judge->judged[i].number);
		else
			record_key(access, &judge->judged[i]);
}

void
judge_note_erased(Judge *judge)
{
	judge->own->rows++;
	for (int i = 0; i < judge->n_judged; i++)
		own_statement_add_subject(judge->own, judge->judged[i].number);
}
