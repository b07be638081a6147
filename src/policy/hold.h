/*
 * hold.h
 *		Which rows legal holds bind.
 */
#ifndef PRIVACY_GUARD_HOLD_H
#define PRIVACY_GUARD_HOLD_H

#include "postgres.h"

#include "policy/policy.h"

/* Could any hold bind rows of this table? */
extern bool hold_any(const GuardedTable *table);

/* Is the table itself under a hold? */
extern bool hold_on_table(const GuardedTable *table);

/* Is the subject with this key, or the table? */
extern bool hold_binds(const GuardedTable *table, int32 category, Oid key_type, Datum key);

#endif
