/*
 * witness.h
 *		What the audit writer says of itself: that it started, stopped, and what nobody witnessed.
 */
#ifndef PRIVACY_GUARD_WITNESS_H
#define PRIVACY_GUARD_WITNESS_H

#include "postgres.h"

/* Why a writer stops, as its record says. */
#define STOP_SHUTDOWN "shutdown"
#define STOP_TERMINATED "terminated"
#define STOP_ASIDE "stepped aside"
#define STOP_UNGUARDED "nothing is guarded"

/*
 * For the first writer of a database since the server started, each in a transaction: find what the
 * one before it said last, and how the server fared since.  The second may fail: then it is not
 * known.
 */
extern void witness_recall(void);
extern void witness_read_wal(void);

/* Leave a mark in the WAL that the server runs with the library. */
extern void witness_mark_run(void);

/* Add the records to the batch: of a gap where there is one, and of the start. */
extern void witness_start(bool first);
extern void witness_stop(const char *reason);

#endif
