/*
 * subject.h
 *		What is true of a data subject now.
 */
#ifndef PRIVACY_GUARD_SUBJECT_H
#define PRIVACY_GUARD_SUBJECT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "compat.h"
#include "consent/change.h"
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
	const TimestampTz *now; /* decisions are judged by this moment, as it is when they are read */
	bool want_numbers;      /* of the subjects, for the audit */

	SubjectKey key;
	pg_atomic_uint32 *counter; /* of changes to the key's partition */
	uint64 own_change;         /* of this backend's own transaction */
	CacheFacts line;
} SubjectReader;

/* Without a purpose only the subjects' numbers are read. */
extern void subject_reader_init(SubjectReader *reader, const Purpose *purpose, int32 category,
                                KeyKind key_kind, const TimestampTz *now);

/* The cache key of an integer and its neighbours; those of uuid and text have one each. */
static inline SubjectKey
subject_key_int(int64 key)
{
	return (SubjectKey){{(uint64) (key >> 3), 0}};
}

/*
 * The facts of one row of privacy_guard.subject_state, and until when they hold by themselves.
 * Recorded bases, where the purpose asks for them, are read as they are now.
 */
extern SubjectFacts subject_state_facts(HeapTuple state, TupleDesc desc, const Purpose *purpose,
                                        TimestampTz now, TimestampTz *changes_at);

/* Get the line of a key.  May read tables, with a snapshot of its own; text is the key as text. */
extern void subject_read_line(SubjectReader *reader, SubjectKey key, const char *text, int length);

/* Is the line that was read last about this key, and does it still hold? */
static inline bool
subject_line_holds(const SubjectReader *reader, SubjectKey key)
{
	return reader->key.word[0] == key.word[0] && reader->key.word[1] == key.word[1] &&
	       reader->line.change == pg_atomic_read_u32(reader->counter) &&
	       reader->own_change == change_own_count;
}

/* The number of the subject whose facts were read last from this line; 0 when it has none. */
static inline int64
subject_number_int(const SubjectReader *reader, int64 value)
{
	return reader->line.number[value & (CACHE_LINE_SUBJECTS - 1)];
}

static inline int64
subject_number_single(const SubjectReader *reader)
{
	return reader->line.number[0];
}

/* The facts about the subject with this key; here, because each row of a scan asks. */
static inline SubjectFacts
subject_facts_int(SubjectReader *reader, int64 value)
{
	SubjectKey key = subject_key_int(value);

	if (unlikely(!subject_line_holds(reader, key)))
		subject_read_line(reader, key, NULL, 0);
	return reader->line.facts[value & (CACHE_LINE_SUBJECTS - 1)];
}

static inline SubjectFacts
subject_facts_uuid(SubjectReader *reader, const unsigned char *bytes)
{
	SubjectKey key = subject_key_uuid(bytes);

	if (!subject_line_holds(reader, key))
		subject_read_line(reader, key, NULL, 0);
	return reader->line.facts[0];
}

static inline SubjectFacts
subject_facts_text(SubjectReader *reader, const char *text, int length)
{
	SubjectKey key = subject_key_text(text, length);

	if (!subject_line_holds(reader, key))
		subject_read_line(reader, key, text, length);
	return reader->line.facts[0];
}

/* The facts about the subject with a key of this base type. */
static inline SubjectFacts
subject_facts_of(SubjectReader *reader, Oid type, Datum value)
{
	struct varlena *text;
	int64 key;

	if (subject_key_integer(type, value, &key))
		return subject_facts_int(reader, key);
	if (type == UUIDOID)
		return subject_facts_uuid(reader, DatumGetUUIDP(value)->data);
	text = PG_DETOAST_DATUM_PACKED(value);
	return subject_facts_text(reader, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

#endif
