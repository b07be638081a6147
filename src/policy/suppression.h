/*
 * suppression.h
 *		Erased data subjects, recognised by a keyed hash of their key.
 */
#ifndef PRIVACY_GUARD_SUPPRESSION_H
#define PRIVACY_GUARD_SUPPRESSION_H

#include "postgres.h"

/*
 * The number in records of the erased subject with this canonical key; 0 where there is none that
 * must not come back.  Reads what is committed now.  Where the secret cannot be used, what elevel
 * says happens: below ERROR the answer is SUPPRESSION_UNKNOWN.
 */
#define SUPPRESSION_UNKNOWN (-1)
extern int64 suppression_find(int32 category, const char *key, Size length, int elevel);

/* A keyed hash of the value in hexadecimal digits, which is never that of a key. */
extern text *suppression_pseudonym(const text *value);

#endif
