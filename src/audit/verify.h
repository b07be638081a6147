/*
 * verify.h
 *		Walking the audit log: does everything that is stored fit together?
 *
 * The verification of one origin, shared by verify.c (segments and the report),
 * verify_subject.c and verify_head.c (checkpoints). The caller is connected to SPI, and one
 * snapshot holds for all of it.
 */
#ifndef PRIVACY_GUARD_VERIFY_H
#define PRIVACY_GUARD_VERIFY_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/portal.h"

#include "audit/checkpoint.h"
#include "audit/record.h"
#include "audit/tree.h"

/* Of an origin: a log that is all wrong need not say so of each record. */
#define VERIFY_MAX_FINDINGS 100

typedef struct Finding
{
	int64 first_bad_leaf; /* -1: none in particular */
	const char *finding;
	const char *hint;
} Finding;

/* A checkpoint to compare with: one that is stored, or the one that the auditor brought. */
typedef struct VerifyHead
{
	bool waiting; /* not compared yet */
	Checkpoint said;
} VerifyHead;

typedef struct Verification
{
	/* The same for all origins */
	MemoryContext context; /* of findings and what lives as long as an origin */
	NoteKey keys[NOTE_MAX_KEYS];
	int n_keys;
	const char *external_note; /* NULL: none was given */
	Checkpoint external;
	bool external_met; /* its origin was found */

	/* Of one origin */
	int32 origin_id;
	char *origin;
	int64 first; /* what was pruned ends here */
	TreeFrontier tree;
	bool follows; /* tree is that of everything up to tree.size */
	TimestampTz last_sealed;
	List *findings;
	int n_findings;
	const char *note; /* a remark although all is well */

	/* Checkpoints of the origin, in the order of their sizes */
	Portal stored;
	VerifyHead next_stored;
	VerifyHead brought;
	int64 next_size; /* the tree size at which one of the two is to be compared */
	int64 n_stored;
	int64 n_signed;
	int64 n_unknown_key;
} Verification;

extern void verify_report(Verification *v, int64 leaf, const char *hint, const char *finding, ...)
    pg_attribute_printf(4, 5);

/* ---- verify_subject.c ---- */

/* What a segment says it names. */
typedef struct VerifySubjects VerifySubjects;

/* A stored subject_set, whoever wrote it; NULL when it is none. In the current memory context. */
extern VerifySubjects *verify_subjects_open(Datum stored);

/* Are all subjects that the record names in it? Not so when either is malformed. */
extern bool verify_subjects_within(VerifySubjects *subjects, const RecordFields *fields);

/* ---- verify_head.c ---- */

/* Begins the origin's checkpoints; what lies before the tree's present size is passed. */
extern void verify_heads_begin(Verification *v);

/* The tree has reached v->next_size: compare. Not trusted: the records were found changed. */
extern void verify_heads_meet(Verification *v, bool trusted);

/* Everything up to size was passed without a tree to compare with. */
extern void verify_heads_pass(Verification *v, int64 size);

/* The log ends: what is left is of a tail that is missing. */
extern void verify_heads_end(Verification *v);

/* The auditor's checkpoint, when no origin was its own. */
extern void verify_external_unmet(Verification *v);

#endif
