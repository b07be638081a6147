/*
 * basis.h
 *		Does anybody still need the data of a subject?
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_RETENTION_BASIS_H
#define PRIVACY_GUARD_RETENTION_BASIS_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"

/* What a table permits, as it was when the policy had this number. */
typedef struct BasisRules BasisRules;

extern BasisRules *basis_rules(Oid relid, MemoryContext context);

/* Do the rules still say the same about this table? */
extern bool basis_rules_hold(const BasisRules *rules, Oid relid);

/*
 * Has some purpose that the table permits a legal basis for the data of a subject: by this row of
 * privacy_guard.subject_state; NULL stands for a subject about which nothing is on record.
 */
extern bool basis_is_live(const BasisRules *rules, HeapTuple state, TupleDesc desc,
                          TimestampTz now);

#endif
