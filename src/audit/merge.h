/*
 * merge.h
 *		Makes few large rows of the log out of many small ones.
 */
#ifndef PRIVACY_GUARD_MERGE_H
#define PRIVACY_GUARD_MERGE_H

#include "postgres.h"

#include "audit/segment.h"

/*
 * Merge once, in a transaction of its own in which a verb is in progress.  False when there was
 * nothing to merge.
 */
extern bool merge_step(void);

/* A row was committed.  Raises no error. */
extern void merge_note(const Segment *segment, Size bytes);

#endif
