/*
 * erasing.h
 *		Keeping rows of a data subject from appearing while he is being erased.
 */
#ifndef PRIVACY_GUARD_ERASING_H
#define PRIVACY_GUARD_ERASING_H

#include "postgres.h"

extern Size erasing_shmem_size(void);
extern void erasing_shmem_attach(void);
extern void erasing_init(void);

/*
 * For who has written rows: is any erasure under way on this server?  Before the answer "no" is
 * given, this backend has heard of the rules that the last one has changed.
 */
extern bool erasing_any(void);

/* Is another session erasing the subject with this canonical key just now? */
extern bool erasing_is_under_way(int32 category, const char *key, Size length);

#endif
