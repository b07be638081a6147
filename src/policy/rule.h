/*
 * rule.h
 *		What a purpose may do with a table, and who may work for it: read from the stored rules.
 */
#ifndef PRIVACY_GUARD_RULE_H
#define PRIVACY_GUARD_RULE_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "policy/policy.h"

/* Fill the Purpose that arg points to from its row, but for the path. */
extern void rule_read_purpose(HeapTuple tuple, TupleDesc desc, void *arg);

/* Rules of the purpose and of those above it, folded into one. */
extern Rule rule_find(const GuardedTable *table, const Purpose *purpose);

/* Rows that began at the cutoff or earlier have ended at this moment; false: none ends. */
extern bool rule_cutoff(const Rule *rule, TimestampTz now, TimestampTz *cutoff);

/* Was the role, or one that it is a member of, granted the purpose or one above it? */
extern bool rule_grants(Oid role, const Purpose *purpose, bool collect);

#endif
