/*
 * what.h
 *		Which columns of which relation, as records name them.
 */
#ifndef PRIVACY_GUARD_WHAT_H
#define PRIVACY_GUARD_WHAT_H

#include "postgres.h"

#include "audit/record.h"

#include "nodes/bitmapset.h"

extern void what_init(void);

/*
 * FIELD_RELATION to FIELD_COLUMNS.  Columns are numbered as in RangeTblEntry.selectedCols; the
 * whole row is "*".  Good until the next call.
 */
extern RecordFragment what_fragment(Oid relid, const Bitmapset *columns);

#endif
