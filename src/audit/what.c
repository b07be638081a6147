/*
 * what.c
 *		Which columns of which relation, as records name them.
 *
 * The encoded fields are kept for each set of columns that was asked for, and all forgotten when
 * one of the relations, or any schema, changes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "audit/what.h"

#define MAX_KNOWN 1024

typedef struct WhatKey
{
	Oid relid;
	uint32 columns_hash;
} WhatKey;

typedef struct KnownWhat
{
	WhatKey key;
	Bitmapset *columns;
	RecordFragment fragment;
} KnownWhat;

static MemoryContext context = NULL;
static HTAB *known = NULL;
static bool stale = false;

static void
relation_changed(Datum arg, Oid relid)
{
	stale = true;
}

static void
schema_changed(Datum arg, int cache_id, uint32 hash)
{
	stale = true;
}

void
what_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schema_changed, (Datum) 0);
}

static void
start_afresh(void)
{
	HASHCTL info = {.keysize = sizeof(WhatKey), .entrysize = sizeof(KnownWhat)};

	known = NULL;
	if (context == NULL)
		context =
		    AllocSetContextCreate(TopMemoryContext, "privacy_guard what", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	info.hcxt = context;
	known = hash_create("privacy_guard what", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	stale = false;
}

static Size
encode(RecordWriter *writer, Oid relid, const char *name, const char *const *column, int n)
{
	record_text(writer, FIELD_RELATION, name);
	record_uint(writer, FIELD_RELATION_OID, relid);
	record_text_array(writer, FIELD_COLUMNS, column, n);
	return writer->length;
}

static RecordFragment
make_fragment(Oid relid, const Bitmapset *columns)
{
	const char **column = palloc(sizeof(char *) * (bms_num_members(columns) + 1));
	char *schema = get_namespace_name(get_rel_namespace(relid));
	char *relation = get_rel_name(relid);
	char *name = psprintf("%s.%s", schema ? schema : "?", relation ? relation : "?");
	RecordWriter writer;
	Size size;
	int n = 0;
	int i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber number = i + FirstLowInvalidHeapAttributeNumber;
		char *text = number == InvalidAttrNumber ? "*" : get_attname(relid, number, true);

		if (text != NULL)
			column[n++] = text;
	}
	record_begin(&writer, NULL, 0);
	size = encode(&writer, relid, name, column, n);
	record_begin(&writer, MemoryContextAlloc(context, size), size);
	encode(&writer, relid, name, column, n);
	return record_as_fragment(&writer);
}

RecordFragment
what_fragment(Oid relid, const Bitmapset *columns)
{
	WhatKey key = {relid, bms_hash_value(columns)};
	KnownWhat *entry;
	RecordFragment fragment;
	bool found;

	if (known == NULL || stale || hash_get_num_entries(known) >= MAX_KNOWN)
		start_afresh();
	entry = hash_search(known, &key, HASH_FIND, NULL);
	if (entry != NULL && bms_equal(entry->columns, columns))
		return entry->fragment;
	fragment = make_fragment(relid, columns);
	if (!stale)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Bitmapset *copy = bms_copy(columns);

		MemoryContextSwitchTo(old);
		entry = hash_search(known, &key, HASH_ENTER, &found);
		entry->columns = copy;
		entry->fragment = fragment;
	}
	return fragment;
}
