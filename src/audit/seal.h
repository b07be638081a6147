/*
 * seal.h
 *		What the audit writer does with messages: leaves of the tree, and rows of the log.
 *
 * A batch is gathered, stored in one transaction, and confirmed when that has committed:
 *
 *		seal_add() ...; seal_store(); COMMIT; seal_committed();
 *
 * After an error: ROLLBACK; seal_aborted(); then the same messages again, with those of
 * seal_own().  Everything but seal_committed() and seal_aborted() needs a transaction in which a
 * verb is in progress, with search_path as verbs have it.
 */
#ifndef PRIVACY_GUARD_SEAL_H
#define PRIVACY_GUARD_SEAL_H

#include "postgres.h"

#include "audit/ring.h"

/*
 * When the writer starts, in a transaction of its own that seal_committed() or seal_aborted() also
 * ends: finds the end of the log, begins an origin where there is none, and makes the partition of
 * the month.  False while the database is pending after a restore: then nothing can be stored.
 */
extern bool seal_start(void);

/* One more message into the batch; its bytes are copied. */
extern void seal_add(const AuditMessage *message);

/* A record of the writer itself, into the batch. */
extern void seal_own(const void *record, Size length);

/* Should the batch be stored before more is added? */
extern bool seal_is_full(void);

/*
 * Store the batch: give numbers to subjects, drop statements that are on record, hash, and insert a
 * row.  Returns the number of records, which may be 0.
 */
extern int seal_store(void);

/* The transaction has ended.  Neither raises errors. */
extern void seal_committed(void);
extern void seal_aborted(void);

#endif
