/*
 * judge.h
 *		Whether the columns of one row let it pass, for one execution.
 */
#ifndef PRIVACY_GUARD_JUDGE_H
#define PRIVACY_GUARD_JUDGE_H

#include "postgres.h"

#include "consent/subject.h"
#include "enforce/frame.h"
#include "utils/snapshot.h"

typedef struct Judge
{
	Frame *frame;
	FrameTable *entry;
	const GuardedTable *spec; /* whose columns are judged: the table, or where its path ends */
	int n_columns;
	bool one_bigint; /* the row's one subject is a bigint that decides alone: nearly every table */
	Oid type[MAX_SUBJECT_COLUMNS + 1]; /* base types; the caller sets them for a table's own */
	SubjectReader reader;
} Judge;

extern void judge_init(Judge *judge, Frame *frame, FrameTable *entry);

/*
 * Values and nulls in the order of GuardedRelation.arg.  Parents are read under the snapshot; with
 * NULL as they are now.
 */
extern bool judge_permits(Judge *judge, const Datum *value, const bool *null, Snapshot snapshot);

#endif
