/*
 * subject_key.c
 *		The key of a data subject in 16 bytes, for hashing and comparing.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "compat.h"
#include "policy/subject_key.h"

/* Text keys up to this length are their own. */
#define INLINE_KEY_LENGTH (sizeof(SubjectKey) - 1)

SubjectKey
subject_key_text(const char *text, int length)
{
	unsigned char bytes[sizeof(SubjectKey)] = {0};
	SubjectKey key;

	if (length <= (int) INLINE_KEY_LENGTH)
	{
		memcpy(bytes, text, length);
		bytes[INLINE_KEY_LENGTH] = (unsigned char) length;
	}
	else
	{
		uint8 digest[PG_SHA256_DIGEST_LENGTH];
		pg_cryptohash_ctx *sha = pg_cryptohash_create(PG_SHA256);

		if (sha == NULL || pg_cryptohash_init(sha) < 0 ||
		    pg_cryptohash_update(sha, (const uint8 *) text, length) < 0 ||
		    pg_cryptohash_final(sha, digest, sizeof(digest)) < 0)
			elog(ERROR, "could not compute the digest of a subject key");
		pg_cryptohash_free(sha);
		memcpy(bytes, digest, INLINE_KEY_LENGTH);
		bytes[INLINE_KEY_LENGTH] = 0xff;
	}
	memcpy(&key, bytes, sizeof(key));
	return key;
}

SubjectKey
subject_key_of(Oid type, Datum value)
{
	struct varlena *text;
	int64 key;

	if (subject_key_integer(type, value, &key))
		return (SubjectKey){{(uint64) key, 0}};
	if (type == UUIDOID)
		return subject_key_uuid(DatumGetUUIDP(value)->data);
	text = PG_DETOAST_DATUM_PACKED(value);
	return subject_key_text(VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}
