/*
 * seal.c
 *		What the audit writer makes of messages: leaves of the tree and rows of the log.
 *
 * Private memory of the one audit writer of a database, so nothing is locked.  The tree grows with
 * the batch; after an abort the tables say where it stands.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/merge.h"
#include "audit/number.h"
#include "audit/origin.h"
#include "audit/record.h"
#include "audit/seal.h"
#include "audit/segment.h"
#include "audit/statement_seen.h"
#include "audit/store.h"
#include "audit/tree.h"
#include "types/roaring_format.h"
#include "types/subject_set.h"

/* Numbers are put into the union of a batch by so many. */
#define PENDING_NUMBERS 1024

/* The kinds of records that the column kinds has a bit for. */
#define MAX_KIND 30

/* Where the log stands when the transaction in progress commits; read anew after an abort. */
static LogEnd tip;
static bool is_open = false;
static volatile bool is_stale = false; /* the table of origins has changed */
static Oid origin_table = InvalidOid;

/* The messages of the batch. */
static MemoryContext batch_context = NULL;
static StringInfoData gathered;
static int n_gathered = 0;

/* The row in the making; leaves is 0 when there is none. */
static Segment segment;
static Size segment_bytes;
static SubjectBits *subjects;
static uint64 pending[PENDING_NUMBERS];
static int n_pending;

/* ---- where the log stands ---- */

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == origin_table)
		is_stale = true;
}

static bool
open_log(void)
{
	if (!OidIsValid(origin_table))
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	origin_table = store_table("audit_origin");
	is_stale = false;
	if (!origin_open(&tip))
		return false;
	is_open = true;
	return true;
}

bool
seal_start(void)
{
	if (!open_log())
		return false;
	segment_make_partition(segment_month(GetCurrentTimestamp()));
	return true;
}

/* ---- gathering ---- */

static void
begin_batch(void)
{
	MemoryContext old;

	if (batch_context == NULL)
		batch_context = AllocSetContextCreate(TopMemoryContext, "privacy_guard audit batch",
		                                      ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(batch_context);
	initStringInfo(&gathered);
	MemoryContextSwitchTo(old);
}

static void
end_batch(void)
{
	if (batch_context != NULL)
		MemoryContextReset(batch_context);
	n_gathered = 0;
	segment.leaves = 0;
}

void
seal_add(const AuditMessage *message)
{
	Size length = Max(MAXALIGN(message->length), sizeof(AuditMessage));

	if (n_gathered == 0)
		begin_batch();
	appendBinaryStringInfo(&gathered, (const char *) message, (int) length);
	n_gathered++;
}

void
seal_own(const void *record, Size length)
{
	AuditMessage header = {.length = AUDIT_MESSAGE_SIZE(length, 0), .record_length = length};

	if (n_gathered == 0)
		begin_batch();
	appendBinaryStringInfo(&gathered, (const char *) &header, sizeof(header));
	appendBinaryStringInfo(&gathered, record, (int) length);
	appendStringInfoSpaces(&gathered, header.length - sizeof(header) - length);
	n_gathered++;
}

bool
seal_is_full(void)
{
	return n_gathered > 0 &&
	       (n_gathered >= SEGMENT_MAX_LEAVES || gathered.len >= SEGMENT_MAX_BYTES);
}

static const AuditMessage *
next_message(Size *at)
{
	const AuditMessage *message = (const AuditMessage *) (gathered.data + *at);

	*at += Max(MAXALIGN(message->length), sizeof(AuditMessage));
	return message;
}

static const uint8 *
record_of(const AuditMessage *message)
{
	return (const uint8 *) (message + 1);
}

static const uint8 *
keys_of(const AuditMessage *message)
{
	return record_of(message) + message->record_length;
}

/* Do the lengths that it states fit into it? */
static bool
is_whole(const AuditMessage *message)
{
	return AUDIT_MESSAGE_SIZE(message->record_length, message->keys_length) <= message->length;
}

/* ---- the row in the making ---- */

static void
begin_segment(void)
{
	segment_bytes_init(&segment.records);
	segment_bytes_init(&segment.marks);
	segment_bytes_init(&segment.nodes);
	segment_bytes_init(&segment.frontier);
	segment.origin = tip.origin;
	segment.first_leaf = tip.frontier.size;
	segment.leaves = 0;
	segment.kinds = 0;
	segment.first_time = DT_NOEND;
	segment.last_time = DT_NOBEGIN;
	subjects = subject_bits_create(batch_context);
	n_pending = 0;
}

static void
flush_numbers(void)
{
	subject_bits_add_many(subjects, pending, n_pending);
	n_pending = 0;
}

static bool
is_subject(uint64 number)
{
	return number >= 1 && number <= SUBJECT_MAX;
}

static bool
are_subjects(const RecordValue *value)
{
	const uint8 *at = value->data;

	if (!value->present)
		return true;
	if (!value->is_array)
		return value->data != NULL && roaring_check(value->data, value->length) == NULL;
	for (Size i = 0; i < value->length; i++)
	{
		uint64 number;

		record_next_number(&at, &number);
		if (!is_subject(number))
			return false;
	}
	return true;
}

static void
unite_subjects(const RecordValue *value)
{
	const uint8 *at = value->data;

	if (!value->present)
		return;
	if (!value->is_array)
	{
		subject_bits_or_serialized(subjects, (const char *) value->data, value->length);
		return;
	}
	for (Size i = 0; i < value->length; i++)
	{
		record_next_number(&at, &pending[n_pending++]);
		if (n_pending == PENDING_NUMBERS)
			flush_numbers();
	}
}

static TimestampTz
time_of(const RecordFields *fields)
{
	const RecordValue *value = &fields->value[FIELD_TIME];
	TimestampTz time;

	if (record_value_time(value, &time))
		return time;
	return (int64) value->number < 0 ? MIN_TIMESTAMP : END_TIMESTAMP - 1;
}

static bool
is_sound(const RecordFields *fields)
{
	uint64 kind = fields->value[FIELD_KIND].number;

	return kind >= 1 && kind <= MAX_KIND && are_subjects(&fields->value[FIELD_SUBJECTS]);
}

/* The record stands at the end of the bytes, behind its length: it becomes a leaf. */
static void
add_leaf(const uint8 *record, Size length, const RecordFields *fields)
{
	TimestampTz time = time_of(fields);
	TreeHash leaf;
	TreeHash node;

	tree_leaf_hash(record, length, &leaf);
	appendBinaryStringInfo(&segment.marks, (const char *) leaf.byte, SEGMENT_MARK_SIZE);
	if (tree_append(&tip.frontier, &leaf, &node))
		appendBinaryStringInfo(&segment.nodes, (const char *) node.byte, TREE_HASH_SIZE);
	unite_subjects(&fields->value[FIELD_SUBJECTS]);
	segment.first_time = Min(segment.first_time, time);
	segment.last_time = Max(segment.last_time, time);
	segment.kinds |= 1 << fields->value[FIELD_KIND].number;
	segment.leaves++;
}

/* Room for the length of a record, which comes when it is there. */
static int
begin_record(void)
{
	int start = segment.records.len;

	appendStringInfoSpaces(&segment.records, sizeof(uint32));
	return start;
}

static uint8 *
end_record(int start, Size *length)
{
	uint32 size;

	*length = segment.records.len - start - sizeof(uint32);
	size = pg_hton32((uint32) *length);
	memcpy(segment.records.data + start, &size, sizeof(size));
	return (uint8 *) segment.records.data + start + sizeof(uint32);
}

/* ---- subjects by their keys ---- */

static bool
put_number(uint64 number, void *arg)
{
	uint64 **out = arg;

	*(*out)++ = number;
	return true;
}

/* Encodes the field by itself, and appends it to the record in the making. */
static void
append_field(const SubjectBits *bits)
{
	uint64 count = subject_bits_count(bits);
	Size portable = count <= RECORD_SUBJECT_ARRAY ? 0 : subject_bits_serialized_size(bits);
	RecordWriter writer = {.capacity = portable + 32 + 9 * RECORD_SUBJECT_ARRAY};
	uint64 number[RECORD_SUBJECT_ARRAY];
	uint64 *end = number;

	enlargeStringInfo(&segment.records, (int) writer.capacity);
	writer.data = (uint8 *) segment.records.data + segment.records.len;
	if (count <= RECORD_SUBJECT_ARRAY)
	{
		subject_bits_iterate(bits, put_number, &end);
		record_subject_array(&writer, number, (int) count);
	}
	else
	{
		char *bytes = palloc_extended(portable, MCXT_ALLOC_HUGE);

		subject_bits_serialize(bits, bytes);
		record_subject_bitmap(&writer, bytes, portable);
		pfree(bytes);
	}
	segment.records.len += (int) writer.length;
}

static void
append_subjects(const AuditMessage *message)
{
	MemoryContext work =
	    AllocSetContextCreate(batch_context, "privacy_guard subjects", ALLOCSET_SMALL_SIZES);
	Size count = number_count(keys_of(message), message->keys_length);
	uint64 *numbers = MemoryContextAllocHuge(work, (count + 1) * sizeof(uint64));
	SubjectBits *bits = subject_bits_create(work);

	count = number_list(keys_of(message), message->keys_length, numbers);
	subject_bits_add_many(bits, numbers, count);
	number_put_bitmaps(keys_of(message), message->keys_length, bits);
	subject_bits_optimize(bits);
	append_field(bits);
	MemoryContextDelete(work);
}

/* ---- messages ---- */

static void
hex_digest(const void *bytes, Size length, char *hex)
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *sha = pg_cryptohash_create(PG_SHA256);

	if (sha == NULL || pg_cryptohash_init(sha) < 0 ||
	    pg_cryptohash_update(sha, bytes, length) < 0 ||
	    pg_cryptohash_final(sha, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute the digest of a message");
	pg_cryptohash_free(sha);
	hex_encode((const char *) digest, sizeof(digest), hex);
	hex[2 * sizeof(digest)] = '\0';
}

/* What cannot be read must not stop the log, nor go unrecorded. */
static void
add_unreadable(const AuditMessage *message)
{
	char hex[2 * PG_SHA256_DIGEST_LENGTH + 1];
	char found[128];
	uint8 buffer[512];
	RecordWriter writer;
	RecordFields fields;
	uint8 *record;
	Size length;
	int start;

	hex_digest(message, message->length, hex);
	snprintf(found, sizeof(found), "{\"bytes\": %u, \"sha256\": \"%s\"}", message->length, hex);
	ereport(LOG, (errmsg("the audit writer received a message that it cannot read"),
	              errdetail("It had %u bytes.", message->length),
	              errhint("The audit log holds a record with its SHA-256.")));
	record_begin(&writer, buffer, sizeof(buffer));
	record_uint(&writer, FIELD_KIND, RECORD_TAMPER);
	record_time(&writer, GetCurrentTimestamp());
	record_text(&writer, FIELD_REASON, "unreadable message");
	record_text(&writer, FIELD_NEW, found);
	(void) record_end(&writer, 0, &record, &length);
	start = begin_record();
	appendBinaryStringInfo(&segment.records, (const char *) record, (int) length);
	record = end_record(start, &length);
	if (!record_parse(record, length, &fields))
		elog(ERROR, "could not make a record of an unreadable message");
	add_leaf(record, length, &fields);
}

static bool
needs_subjects(const AuditMessage *message)
{
	return (message->flags & AUDIT_MESSAGE_NEEDS_SUBJECTS) != 0;
}

static bool
is_dropped(const AuditMessage *message, const RecordFields *fields)
{
	return (message->flags & AUDIT_MESSAGE_STATEMENT) != 0 && statement_seen(fields);
}

static void
add_message(const AuditMessage *message, bool readable)
{
	RecordFields fields;
	uint8 *record;
	Size length;
	int start;

	if (!readable)
	{
		add_unreadable(message);
		return;
	}
	start = begin_record();
	appendBinaryStringInfo(&segment.records, (const char *) record_of(message),
	                       (int) message->record_length);
	if (needs_subjects(message))
		append_subjects(message);
	record = end_record(start, &length);
	if (record_parse(record, length, &fields) && is_sound(&fields))
	{
		if (!is_dropped(message, &fields))
		{
			add_leaf(record, length, &fields);
			return;
		}
		segment.records.len = start;
		return;
	}
	segment.records.len = start;
	add_unreadable(message);
}

/* Which messages can be read, by their outside; and the numbers of their subjects. */
static bool *
prepare_messages(void)
{
	bool *readable = palloc(n_gathered * sizeof(bool));
	bool any_keys = false;
	Size at = 0;

	number_begin(batch_context);
	for (int i = 0; i < n_gathered; i++)
	{
		const AuditMessage *message = next_message(&at);

		readable[i] = is_whole(message);
		if (!readable[i] || !needs_subjects(message))
			continue;
		readable[i] = number_gather(keys_of(message), message->keys_length);
		any_keys = true;
	}
	if (any_keys)
		number_resolve();
	return readable;
}

/* ---- storing ---- */

static void
end_segment(void)
{
	if (n_pending > 0)
		flush_numbers();
	segment.subjects = PointerGetDatum(subject_set_from_bits(subjects));
	appendBinaryStringInfo(&segment.frontier, (const char *) tip.frontier.peak,
	                       (int) tree_frontier_bytes(&tip.frontier));
	segment_bytes = segment_bytes_length(&segment.records);
	segment.level = segment_is_large(segment.leaves, segment_bytes) ? 1 : 0;
	tip.sealed_at = Max(tip.sealed_at, GetCurrentTimestamp());
	segment.sealed_at = tip.sealed_at;
}

static void
store_batch(void)
{
	bool *readable = prepare_messages();
	Size at = 0;

	begin_segment();
	for (int i = 0; i < n_gathered; i++)
		add_message(next_message(&at), readable[i]);
	if (segment.leaves == 0)
		return;
	end_segment();
	segment_insert(&segment);
}

int
seal_store(void)
{
	MemoryContext old;

	if (n_gathered == 0)
		return 0;
	if ((!is_open || is_stale) && !open_log())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("the audit log of a restored database has not begun"),
		                errhint("Let a data steward call privacy_guard.finish_restore().")));
	old = MemoryContextSwitchTo(batch_context);
	store_batch();
	MemoryContextSwitchTo(old);
	return segment.leaves;
}

void
seal_committed(void)
{
	if (segment.leaves > 0)
		merge_note(&segment, segment_bytes);
	end_batch();
}

void
seal_aborted(void)
{
	is_open = false;
	statement_forget();
	end_batch();
}
