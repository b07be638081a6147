/*
 * subject_key.h
 *		The key of a data subject in 16 bytes, for hashing and comparing.
 */
#ifndef PRIVACY_GUARD_SUBJECT_KEY_H
#define PRIVACY_GUARD_SUBJECT_KEY_H

#include "postgres.h"

#include "catalog/pg_type.h"

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

/* Integer keys of every width; false for the others. */
static inline bool
subject_key_integer(Oid type, Datum value, int64 *key)
{
	switch (type)
	{
		case INT8OID:
			*key = DatumGetInt64(value);
			return true;
		case INT4OID:
			*key = DatumGetInt32(value);
			return true;
		case INT2OID:
			*key = DatumGetInt16(value);
			return true;
		default:
			return false;
	}
}

/* Short texts are their own key, of longer ones it is a digest. */
extern SubjectKey subject_key_text(const char *text, int length);

/* Of a value of a subject column's base type. Integers are exact. */
extern SubjectKey subject_key_of(Oid type, Datum value);

#endif
