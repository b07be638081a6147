/*
 * frame.h
 *		What an execution that touches guarded tables was allowed when it started.
 */
#ifndef PRIVACY_GUARD_FRAME_H
#define PRIVACY_GUARD_FRAME_H

#include "postgres.h"

#include "audit/access.h"
#include "consent/subject.h"
#include "enforce/exempt.h"
#include "executor/execdesc.h"
#include "policy/policy.h"
#include "retention/own_statement.h"

typedef enum FrameVerdict
{
	FRAME_DECIDE, /* by subject */
	FRAME_PASS,   /* exempt */
	FRAME_ERASE,  /* what neither a hold nor a restriction keeps */
	FRAME_HIDE    /* no purpose, and the session asked for empty results */
} FrameVerdict;

typedef struct FrameTable
{
	const GuardedTable *table;
	FrameVerdict verdict;
	bool monitored; /* count what would be withheld, withhold nothing */
	bool is_read;
	bool is_changed;  /* by UPDATE, DELETE or MERGE */
	const Rule *rule; /* where it is decided by subject */
	DecisionMask mask;
	bool ends; /* rows whose start is not after the cutoff have ended */
	bool start_is_date;
	int64 cutoff;       /* in days or microseconds, as the start column has them; UTC */
	int64 oldest_start; /* of the rows that passed, where somebody asks; else PG_INT64_MAX */
	Access *access;     /* what puts the subjects on record; NULL where nothing does */
	uint64 withheld;
	uint64 expired;       /* of those withheld */
	struct ViaCache *via; /* parents looked up so far */
} FrameTable;

typedef struct Frame
{
	struct Frame *outer; /* the frame opened before this one */
	QueryDesc *query;    /* NULL for COPY FROM */
	void *pin;
	uint64 policy; /* policy_number() of what is pinned */
	MemoryContext context;
	const Purpose *purpose; /* NULL when exempt or empty */
	Oid role;
	TimestampTz now; /* when it started, or went on last */
	bool has_run;
	Exemption exempt;
	OwnStatement *own; /* NULL where it is not one */
	bool explain_only;
	bool exports; /* rows go into a table that nothing guards */
	bool collects;
	uint32 execution;  /* its number on record; 0: is not recorded */
	int64 fingerprint; /* of its statement; 0: unknown */
	struct CollectScans *scans;
	int n_tables;
	FrameTable *tables;
	uint8 *judged;            /* partitions of subjects, one bit each; NULL where nobody asks */
	TimestampTz judged_until; /* when the facts that were read begin to change by themselves */
} Frame;

#define JUDGED_BYTES (CHANGE_PARTITIONS / 8)

/* What an execution does with guarded relations; lists of their oids. */
typedef struct FrameRequest
{
	QueryDesc *query; /* NULL for COPY FROM */
	List *touched;    /* all of them */
	List *read;       /* those whose rows are read, also to be changed */
	List *changed;    /* those that UPDATE, DELETE or MERGE names */
	bool explain_only;
} FrameRequest;

/*
 * Ask whether the current role may work on these relations for the declared purpose, and remember
 * the answer.  Raises 42501, 42704 or 55000 with a hint where it may not.  NULL when none of the
 * relations is guarded.  The frame lives in a memory context of its own, a child of the current.
 */
extern Frame *frame_prepare(const FrameRequest *request);

/* Bind the frame to its execution: it ends with the memory context. */
extern void frame_open(Frame *frame, MemoryContext context);

/* Before each run of the execution: a portal may be fetched from at any later time. */
extern void frame_refresh(Frame *frame);

/*
 * The cutoff by the rule at this moment, in the units of the start column; false where rows do not
 * end.
 */
extern bool frame_cutoff(const Rule *rule, bool start_is_date, TimestampTz now, int64 *cutoff);

/* Give back what is open for the execution, at its end.  After an error the owner does it. */
extern void frame_close(Frame *frame);
extern Frame *frame_of_query(const QueryDesc *query);

/* The frame whose plan is being executed at this moment; set around each executor entry. */
extern Frame *frame_current(void);
extern Frame *frame_enter(Frame *frame); /* returns the one before */
extern void frame_leave(Frame *previous);

extern FrameTable *frame_table(Frame *frame, Oid guarded_relid);

/* Refuse to go on where the session's purpose is no longer the frame's. */
extern void frame_check_purpose(const Frame *frame);

#endif
