/*
 * subject.h
 *		What is true of a data subject now.
 */
#ifndef PRIVACY_GUARD_SUBJECT_H
#define PRIVACY_GUARD_SUBJECT_H

#include "postgres.h"

#include "consent/consent_cache.h"
#include "policy/policy.h"

/*
 * A reader of facts for one purpose and one category, with the line that it read last: rows of a
 * scan are often neighbours.
 */
typedef struct SubjectReader
{
	const Purpose *purpose;
	int32 category;
	KeyKind key_kind;
	TimestampTz now; /* decisions are judged by this moment */

	bool filled; /* does the line below hold anything? */
	SubjectKey key;
	uint32 partition;
	uint64 own_change; /* of this backend's own transaction */
	CacheFacts line;
} SubjectReader;

extern void subject_reader_init(SubjectReader *reader, const Purpose *purpose, int32 category,
                                KeyKind key_kind, TimestampTz now);

/* The facts about the subject with this key.  May read tables, with a snapshot of its own. */
extern SubjectFacts subject_facts_int(SubjectReader *reader, int64 key);
extern SubjectFacts subject_facts_uuid(SubjectReader *reader, const unsigned char *bytes);
extern SubjectFacts subject_facts_text(SubjectReader *reader, const char *text, int length);

/* The cache key of an integer (and its neighbours), of a uuid's 16 bytes, or of a text key. */
extern SubjectKey subject_key_int(int64 key);
extern SubjectKey subject_key_uuid(const unsigned char *bytes);
extern SubjectKey subject_key_text(const char *text, int length);

#endif
