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
#include "types/consent.h"

void
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
	{
		uint32 partition = consent_change_partition(judge->reader.category, judge->reader.key);

		judged[partition / 8] |= 1 << (partition % 8);
	}
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

bool
judge_permits(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot)
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
