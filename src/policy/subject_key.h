/*
 * subject_key.h
 *		The key of a data subject in 16 bytes, for hashing and comparing.
 */
#ifndef PRIVACY_GUARD_SUBJECT_KEY_H
#define PRIVACY_GUARD_SUBJECT_KEY_H

#include "postgres.h"

typedef struct SubjectKey
{
	uint64 word[2];
} SubjectKey;

static inline SubjectKey
subject_key_uuid(const unsigned char *bytes)
{
	SubjectKey key;

	memcpy(&key, bytes, sizeof(key));
	return key;
}

/* Short texts are their own key, of longer ones it is a digest. */
extern SubjectKey subject_key_text(const char *text, int length);

#endif
