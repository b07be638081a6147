/*
 * judge.h
 *		Whether the columns of one row let it pass, for one execution.
 */
#ifndef PRIVACY_GUARD_JUDGE_H
#define PRIVACY_GUARD_JUDGE_H

#include "postgres.h"

#include "consent/subject.h"
#include "enforce/frame.h"
#include "utils/date.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* A data subject of the row that was judged last. */
typedef struct JudgedSubject
{
	int64 number; /* 0: has none yet */
	Oid type;     /* of the key */
	Datum key;
} JudgedSubject;

typedef struct Judge
{
	Frame *frame;
	FrameTable *entry;
	const GuardedTable *spec; /* whose columns are judged: the table, or where its path ends */
	int n_columns;
	bool one_bigint;  /* the row's one subject is a bigint that decides alone: nearly every table */
	int start_column; /* of the row's own columns, where its table has a start; else 0 */
	bool ended;       /* the row that was judged last was past its storage duration */
	Oid type[MAX_GUARD_COLUMNS]; /* base types; the caller sets them for a table's own */
	SubjectReader reader;
	bool at_scan; /* the scan says which rows have left it; otherwise all that pass have */
	/* A row has passed and not yet left the scan; others may have been filtered out. */
	bool in_hand;
	/* This is no judge: the call says that a row of that one is shown to others. */
	struct Judge *noted;
	OwnStatement *own; /* it judges the rows that this one erases */
	/* Who deletes has the lock that keeps it true; who reads only is late by one statement. */
	bool may_be_held;
	int n_judged;
	JudgedSubject judged[MAX_SUBJECT_COLUMNS];
} Judge;

extern void judge_init(Judge *judge, Frame *frame, FrameTable *entry);

/*
 * Values and nulls in the order of GuardedRelation.arg.  Parents are read under the snapshot; with
 * NULL as they are now.
 */
extern bool judge_permits(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot);

/* Is a row that began then past its storage duration? */
static inline bool
judge_has_ended(const Judge *judge, Datum start)
{
	const FrameTable *entry = judge->entry;

	return (entry->start_is_date ? DatumGetDateADT(start) : DatumGetTimestamp(start)) <=
	       entry->cutoff;
}

/* Put the subjects of the row that was judged last on record.  May wait and raise. */
extern void judge_record_subjects(Judge *judge);

static inline void
judge_record(Judge *judge)
{
	Access *access = judge->entry->access;

	access->rows++;
	if (judge->n_judged == 1 && judge->judged[0].number != 0)
		access_add_number(access, judge->judged[0].number);
	else
		judge_record_subjects(judge);
}

/* The own statement erases the row that was judged last. */
extern void judge_note_erased(Judge *judge);

/* The row was withheld, or would have been. */
static inline void
judge_withhold(Judge *judge)
{
	judge->entry->withheld++;
	judge->entry->expired += judge->entry->ends && judge->ended;
	if (judge->entry->access != NULL)
		judge->entry->access->withheld++;
}

#endif
