/*
 * statement_seen.c
 *		Which statements have their text on record (privacy_guard.audit_statement).
 *
 * Only the audit writer adds to the table, and remembers the fingerprints that it has looked up.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "audit/statement_seen.h"
#include "audit/store.h"

/* So many fingerprints are remembered; then it begins anew. */
#define MAX_SEEN 65536

static HTAB *seen = NULL;

static bool
is_stored(int64 fingerprint)
{
	Relation rel = table_open(store_table("audit_statement"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(fingerprint));
	scan = systable_beginscan(rel, store_table("audit_statement_pkey"), true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
is_text(const RecordValue *value)
{
	return value->present && value->data != NULL && !value->is_array &&
	       memchr(value->data, '\0', value->length) == NULL &&
	       pg_verify_mbstr(GetDatabaseEncoding(), (const char *) value->data, value->length, true);
}

static void
store(int64 fingerprint, const RecordValue *value)
{
	text *statement = cstring_to_text_with_len((const char *) value->data, value->length);
	Datum values[] = {Int64GetDatum(fingerprint), PointerGetDatum(statement),
	                  TimestampTzGetDatum(GetCurrentTimestamp())};

	store_insert(store_table("audit_statement"), values);
}

static bool
remember(int64 fingerprint)
{
	HASHCTL info = {.keysize = sizeof(int64), .entrysize = sizeof(int64)};
	bool known;

	if (seen != NULL && hash_get_num_entries(seen) >= MAX_SEEN)
		statement_forget();
	if (seen == NULL)
		seen =
		    hash_create("privacy_guard statements on record", 1024, &info, HASH_ELEM | HASH_BLOBS);
	(void) hash_search(seen, &fingerprint, HASH_ENTER, &known);
	return known;
}

bool
statement_seen(const RecordFields *fields)
{
	const RecordValue *value = &fields->value[FIELD_TEXT];
	int64 fingerprint = (int64) fields->value[FIELD_FINGERPRINT].number;

	if (!fields->value[FIELD_FINGERPRINT].present || !is_text(value))
		return false;
	if (remember(fingerprint) || is_stored(fingerprint))
		return true;
	store(fingerprint, value);
	return false;
}

void
statement_forget(void)
{
	if (seen != NULL)
		hash_destroy(seen);
	seen = NULL;
}
