/*
 * via.h
 *		The data subjects of a row that knows them only through a foreign key.
 */
#ifndef PRIVACY_GUARD_VIA_H
#define PRIVACY_GUARD_VIA_H

#include "postgres.h"

#include "policy/policy.h"
#include "utils/snapshot.h"

/* What the row at the end of the path says. */
typedef struct ViaRow
{
	bool found;
	Datum value[MAX_GUARD_COLUMNS];
	bool null[MAX_GUARD_COLUMNS];
} ViaRow;

typedef struct ViaCache ViaCache;

/* The path of a table with subject_via; context bounds its life. */
extern ViaCache *via_create(const GuardedTable *table, MemoryContext context);

/* The table at the end of the path, which has subject columns of its own. */
extern const GuardedRelation *via_target(const ViaCache *cache);

/*
 * Follow the foreign key.  Rows read under a statement's snapshot are remembered; with a NULL
 * snapshot the present is read, and nothing remembered.  The result is good until the next call.
 */
extern const ViaRow *via_follow(ViaCache *cache, Datum value, Snapshot snapshot);

/* Close what via_follow() left open.  Not after an error, when the resource owner has done it. */
extern void via_close(ViaCache *cache);

#endif
