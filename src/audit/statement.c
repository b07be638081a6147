/*
 * statement.c
 *		Which statement an access came from, and what it read, in the log once.
 *
 * The writer keeps one text of each fingerprint.  A backend remembers which it has said, and the
 * fingerprints that it had to find out by reading a text; both memories are small, and are begun
 * anew when they are full.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/normalise.h"
#include "audit/record.h"
#include "audit/ring.h"
#include "audit/statement.h"
#include "compat.h"

#define MEMORY_LIMIT 4096

/* Room for the record beside its text. */
#define RECORD_OVERHEAD 64

typedef struct MemoryEntry
{
	uint64 key;
	int64 fingerprint;
	char status;
} MemoryEntry;

#define SH_PREFIX memory
#define SH_ELEMENT_TYPE MemoryEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static memory_hash *said = NULL;      /* by fingerprint */
static memory_hash *found_out = NULL; /* by hash of the text as it was sent */

void
statement_init(void)
{
	EnableQueryId();
}

static const MemoryEntry *
recall(memory_hash *memory, uint64 key)
{
	return memory == NULL ? NULL : memory_lookup(memory, key);
}

static void
remember(memory_hash **memory, uint64 key, int64 fingerprint)
{
	bool found;

	if (*memory == NULL)
		*memory = memory_create(TopMemoryContext, 64, NULL);
	else if ((*memory)->members >= MEMORY_LIMIT)
		memory_reset(*memory);
	memory_insert(*memory, key, &found)->fingerprint = fingerprint;
}

/* ---- fingerprints ---- */

static int64
never_zero(uint64 hash)
{
	return hash == 0 ? 1 : (int64) hash;
}

/* The part of the source that the text is made of. */
static uint64
hash_source(const PlannedStmt *statement, const char *source)
{
	int end = strnlen(source, NORMALISE_MAX_SOURCE);
	int start = Min(Max(statement->stmt_location, 0), end);
	int length = end - start;

	if (statement->stmt_location >= 0 && statement->stmt_len > 0)
		length = Min(length, statement->stmt_len);
	return hash_bytes_extended((const unsigned char *) source + start, length, 0);
}

static char *
text_of(const PlannedStmt *statement, const char *source)
{
	return normalise_statement_text(source, statement->stmt_location, statement->stmt_len);
}

int64
statement_fingerprint_utility(const PlannedStmt *statement, const char *source)
{
	uint64 key = hash_source(statement, source);
	const MemoryEntry *known = recall(found_out, key);
	int64 fingerprint;
	char *text;

	if (known != NULL)
		return known->fingerprint;
	text = text_of(statement, source);
	fingerprint = never_zero(hash_bytes_extended((const unsigned char *) text, strlen(text), 0));
	pfree(text);
	remember(&found_out, key, fingerprint);
	return fingerprint;
}

int64
statement_fingerprint(const QueryDesc *query)
{
	if (query->plannedstmt->queryId != 0)
		return (int64) query->plannedstmt->queryId;
	return statement_fingerprint_utility(query->plannedstmt, query->sourceText);
}

/* ---- texts ---- */

static void
say(int64 fingerprint, const char *text)
{
	Size capacity = strlen(text) + RECORD_OVERHEAD;
	uint8 *buffer = palloc(capacity);
	RecordWriter record;
	uint8 *start;
	Size length;

	record_begin(&record, buffer, capacity);
	record_uint(&record, FIELD_KIND, RECORD_STATEMENT);
	record_time(&record, GetCurrentTimestamp());
	record_int(&record, FIELD_FINGERPRINT, fingerprint);
	record_text(&record, FIELD_TEXT, text);
	if (!record_end(&record, 0, &start, &length))
		elog(ERROR, "record of a statement of %zu bytes does not fit", strlen(text));
	audit_ring_reserve(AUDIT_MESSAGE_SIZE(length, 0));
	audit_ring_push(AUDIT_MESSAGE_STATEMENT, start, length, NULL, 0);
	pfree(buffer);
}

void
statement_note_utility(const PlannedStmt *statement, const char *source, int64 fingerprint)
{
	char *text;

	if (recall(said, (uint64) fingerprint) != NULL)
		return;
	text = text_of(statement, source);
	say(fingerprint, text);
	pfree(text);
	remember(&said, (uint64) fingerprint, fingerprint);
}

void
statement_note(const QueryDesc *query, int64 fingerprint)
{
	statement_note_utility(query->plannedstmt, query->sourceText, fingerprint);
}
