/*
 * merge.h
 *		Making few large segments of many small ones.
 */
#ifndef PRIVACY_GUARD_MERGE_H
#define PRIVACY_GUARD_MERGE_H

#include "postgres.h"

/* In a transaction of its own: merges once.  False when there is nothing to merge. */
extern bool merge_step(void);

#endif
