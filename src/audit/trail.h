/*
 * trail.h
 *		What a backend has to say to the audit log, and when it is said.
 *
 * Records are kept, encoded and with their space reserved in the ring, until their (sub)transaction
 * ends and the outcome is known.
 */
#ifndef PRIVACY_GUARD_TRAIL_H
#define PRIVACY_GUARD_TRAIL_H

#include "postgres.h"

#include "audit/record.h"

extern void trail_init(void);

/* Is there anything to be recorded in this database, by this process? */
extern bool trail_is_on(void);

/*
 * A record other than of an access, made where waiting and errors are legal: who and when is filled
 * in.  NULL or 0 leaves a field out.
 */
typedef struct TrailEvent
{
	RecordKind kind;
	const char *purpose;
	const char *operation;
	const char *object;
	Oid relation;
	const char *sqlstate;
	const char *reason;
	const char *recipient;
	const char *old_value; /* JSON */
	const char *new_value; /* JSON */
	const char *text;
	uint64 rows;
	const uint64 *subjects; /* ascending */
	int n_subjects;
	const void *subject_bitmap; /* portable Roaring, in place of subjects */
	Size subject_bitmap_length;
	bool at_once; /* stands whatever becomes of the transaction: a denial, a read, tampering */
} TrailEvent;

extern void trail_event(const TrailEvent *event);

/* A refusal that is about to be raised.  Equal ones of a transaction become one, with their count.
 */
extern void trail_denial(Oid relation, const char *purpose, const char *operation,
                         const char *sqlstate, const char *reason);

/* Wait until everything that was said so far is in the log (privacy_guard_internal.audit_flush()).
 */
extern void trail_flush(void);

#endif
