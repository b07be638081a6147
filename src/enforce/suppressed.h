/*
 * suppressed.h
 *		Refusing new rows of data subjects that were erased.
 */
#ifndef PRIVACY_GUARD_SUPPRESSED_H
#define PRIVACY_GUARD_SUPPRESSED_H

#include "postgres.h"

#include "commands/trigger.h"
#include "enforce/frame.h"

/* Refuse the row that an AFTER ROW trigger was called for; where its table is monitored, count it.
 */
extern void suppressed_check(Frame *frame, FrameTable *entry, const GuardedRelation *relation,
                             const TriggerData *trigger);

#endif
