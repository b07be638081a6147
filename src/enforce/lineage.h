/*
 * lineage.h
 *		Where the values that a plan writes come from.
 */
#ifndef PRIVACY_GUARD_LINEAGE_H
#define PRIVACY_GUARD_LINEAGE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * An unguarded permanent table into which the plan writes values of guarded rows; InvalidOid when
 * there is none.  A condition on guarded rows is not a value, nor is a count of them.
 */
extern Oid lineage_unguarded_target(PlannedStmt *plan);

#endif
