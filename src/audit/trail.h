/*
 * trail.h
 *		What a backend has to say to the audit log, and when it is said.
 *
 * Records are kept, with their space reserved in the ring, until their (sub)transaction ends and
 * the outcome is known.
 */
#ifndef PRIVACY_GUARD_TRAIL_H
#define PRIVACY_GUARD_TRAIL_H

#include "postgres.h"

#include "audit/record.h"

extern void trail_init(void);

/* Is there a log in this database, for this process to write to? */
extern bool trail_is_on(void);

/*
 * Before anything that may be refused or that makes records: sees to it that denials find space.
 * May wait and raise.
 */
extern void trail_prepare(void);

/* The same where nothing may wait: best effort. */
extern void trail_try_prepare(void);

/* A record other than of an access: who and when is filled in.  NULL or 0 leaves a field out. */
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
	const uint64 *subjects; /* ascending, at most RECORD_SUBJECT_ARRAY */
	int n_subjects;
	const void *subject_bitmap; /* portable Roaring, in place of subjects */
	Size subject_bitmap_length;
	bool at_once; /* stands whatever becomes of the transaction: a reading, tampering */
} TrailEvent;

/* May wait and raise. */
extern void trail_event(const TrailEvent *event);

/*
 * A refusal, as an argument of the ereport() that raises it: errdenial(relid, "no_purpose").  The
 * record is in the ring when it returns; equal ones that follow are counted and become another.
 * Never waits, never raises.
 */
extern int errdenial(Oid relation, const char *reason);

/* The same of an attempt to change what the guard or the log relies on. */
extern int errtamper(Oid relation, const char *reason);

/* Wait until the log holds everything that was said by anybody so far.  May raise. */
extern void trail_flush(void);

/* ---- for accesses ---- */

typedef struct TrailMessage
{
	uint32 flags;
	uint8 *record;
	Size record_length;
	const void *keys;
	Size keys_length;
	Size outcome_at; /* in the record; 0: has none */
	uint32 execution;
} TrailMessage;

/* Reserve so much of the ring for one purpose; may wait and raise. */
extern void trail_reserve(Size bytes);

/* Push now, out of what was reserved for it.  Never waits, never raises. */
extern void trail_push(const TrailMessage *message, Size reserved);

/* Push when the transaction of this level ends, with what then is the outcome.  May raise. */
extern void trail_keep(const TrailMessage *message, Size reserved, int nest_level);

/* Before rows leave the server: say everything, and wait until it is in the log.  May raise. */
extern void trail_disclose(void);

#endif
