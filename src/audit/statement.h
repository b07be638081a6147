/*
 * statement.h
 *		Which statement an access came from, and what it read, in the log once.
 */
#ifndef PRIVACY_GUARD_STATEMENT_H
#define PRIVACY_GUARD_STATEMENT_H

#include "postgres.h"

#include "executor/execdesc.h"

extern void statement_init(void);

/*
 * Never 0.  The server's query identifier; where there is none, a hash of the text without
 * literals.
 */
extern int64 statement_fingerprint(const QueryDesc *query);

/*
 * Say to the log what text the fingerprint stands for, unless this backend has said so before.  It
 * stands whatever becomes of the transaction.  May raise what audit_ring_reserve() raises.
 */
extern void statement_note(const QueryDesc *query, int64 fingerprint);

/* The same of a utility statement, such as COPY FROM, and of the text that it is a part of. */
extern int64 statement_fingerprint_utility(const PlannedStmt *statement, const char *source);
extern void statement_note_utility(const PlannedStmt *statement, const char *source,
                                   int64 fingerprint);

#endif
