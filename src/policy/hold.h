/*
 * hold.h
 *		Legal holds: which rows may not be erased.
 *
 * Whoever erases rows of a guarded table takes hold_lock() first, and then asks; place_hold()
 * takes the lock that conflicts, before it writes.  So no erasure that has not seen a hold is
 * committed after it.
 */
#ifndef PRIVACY_GUARD_HOLD_H
#define PRIVACY_GUARD_HOLD_H

#include "postgres.h"

#include "policy/policy.h"
#include "utils/hsearch.h"

typedef struct HoldSet HoldSet;

/* For policy.c: all holds, in a memory context that becomes the parent's child. */
extern HoldSet *hold_read(HTAB *tables, MemoryContext parent);

/*
 * Until the end of the transaction no hold on rows of this table (not: partition) is placed, and
 * those that were are known.  May wait; honours lock_timeout.
 */
extern void hold_lock(Oid guarded_relid);

/* Is there any hold in this database? */
extern bool hold_exists(void);

/* Could a hold bind some row of the table? */
extern bool hold_any(const GuardedTable *table);

/* Is the table held as a whole? */
extern bool hold_on_table(const GuardedTable *table);

/* Is the table held, or this data subject in it?  The key is of an integer type, uuid or text. */
extern bool hold_binds(const GuardedTable *table, int32 category, Oid key_type, Datum key);

/*
 * Columns of the relation by which rows of other guarded tables reach their data subjects: who
 * changes one severs those rows.
 */
extern List *hold_key_columns(const GuardedRelation *relation);

#endif
