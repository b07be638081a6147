/*
 * seal.h
 *		Making records of messages, leaves of records, and a segment of leaves.
 */
#ifndef PRIVACY_GUARD_SEAL_H
#define PRIVACY_GUARD_SEAL_H

#include "postgres.h"

#include "audit/ring.h"

extern void seal_start(void);                      /* in a transaction, when the writer starts */
extern void seal_add(const AuditMessage *message); /* in a transaction */
extern void seal_own(const void *record, Size length); /* a record of the writer itself */
extern bool seal_is_full(void);
extern int seal_store(void); /* in the same transaction; the number of records */
extern void seal_committed(void);
extern void seal_aborted(void);

#endif
