/*
 * statement_seen.h
 *		Which statements have their text on record (privacy_guard.audit_statement).
 */
#ifndef PRIVACY_GUARD_STATEMENT_SEEN_H
#define PRIVACY_GUARD_STATEMENT_SEEN_H

#include "postgres.h"

#include "audit/record.h"

/*
 * Is the text of the statement that the record is about on record?  When it is not, it is put there
 * in the current transaction.
 */
extern bool statement_seen(const RecordFields *fields);

/* The transaction was aborted: what it put there is not.  Raises no error. */
extern void statement_forget(void);

#endif
