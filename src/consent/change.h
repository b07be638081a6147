/*
 * change.h
 *		Telling every backend that decisions or rules have changed.
 */
#ifndef PRIVACY_GUARD_CHANGE_H
#define PRIVACY_GUARD_CHANGE_H

#include "postgres.h"

extern void change_init(void);

/* Has this transaction changed decisions that it has not committed? */
extern bool change_is_own(void);

/* Goes up with each such change, and never down within a transaction. */
extern uint64 change_own_count;

/* Let every reader of this backend ask anew: time has passed since it did. */
static inline void
change_forget_lines(void)
{
	change_own_count++;
}

/* The same, of changes that may have taken a permission away. */
extern uint64 change_own_strict_count(void);

#endif
