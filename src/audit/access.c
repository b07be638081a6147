/*
 * access.c
 *		One execution's access to one guarded table, while it goes on.
 *
 * An access must be on record however its execution ends.  So space for its record is reserved in
 * the ring when it is opened, and more of it while the subjects grow in number, where waiting and
 * errors are legal; what closes it only fills the space.  Memory for the message is got in advance
 * just so.  An error or the end of the session reaches it by the transaction's callbacks, or by the
 * memory context that it lives in, whatever comes first.
 *
 * All state is of this backend; the ring has its own lock.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "lib/qunique.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "audit/access.h"
#include "audit/trail.h"
#include "audit/what.h"
#include "audit/who.h"

/* What comes after the prefix: rows, withheld, outcome, sqlstate, exempt, and the heads of all. */
#define TAIL_SIZE 96

static Access *open_accesses = NULL;

static void forget(void *arg);
static void say_part(Access *access);

/* ---- opening ---- */

static void
encode_prefix(RecordWriter *writer, const AccessStart *start)
{
	RecordFragment who = who_fragment(start->role);
	RecordFragment what = what_fragment(start->relid, start->columns);

	record_uint(writer, FIELD_KIND, RECORD_ACCESS);
	record_time(writer, start->time);
	record_text(writer, FIELD_SESSION, who_session());
	record_uint(writer, FIELD_EXECUTION, start->execution);
	record_fragment(writer, &who);
	record_text(writer, FIELD_PURPOSE, start->purpose);
	if (start->purpose != NULL)
		record_uint(writer, FIELD_PURPOSE_VERSION, start->purpose_version);
	record_text(writer, FIELD_LEGAL_BASIS, start->legal_basis);
	if (start->rule != 0)
		record_uint(writer, FIELD_RULE, start->rule);
	record_text(writer, FIELD_OPERATION, start->operation);
	record_fragment(writer, &what);
	record_text(writer, FIELD_RECIPIENT, start->recipient);
	if (start->fingerprint != 0)
		record_int(writer, FIELD_FINGERPRINT, start->fingerprint);
}

/* The fragments' sizes are known only by encoding; most records fit at once. */
static void
make_prefix(Access *access, const AccessStart *start)
{
	Size size = 768;

	for (;;)
	{
		record_begin(&access->prefix, MemoryContextAlloc(access->context, size), size);
		encode_prefix(&access->prefix, start);
		if (access->prefix.length + TAIL_SIZE + ACCESS_FEW * 9 <= size)
			return;
		pfree(access->prefix.data);
		size = access->prefix.length + TAIL_SIZE + ACCESS_FEW * 9;
	}
}

/* Called when the memory goes: before that of what was registered earlier. */
static void
watch_memory(Access *access)
{
	MemoryContextCallback *callback =
	    MemoryContextAlloc(access->context, sizeof(MemoryContextCallback));

	callback->func = forget;
	callback->arg = access;
	MemoryContextRegisterResetCallback(access->context, callback);
}

/* ---- room ---- */

/* At most, for each number that goes into a bitmap: a bucket and a container of its own. */
#define BITMAP_GROWTH 32

/* Blocks of the message, by what they may hold at most. */
static Size
blocks_size(Size bitmap, int numbers, Size keys)
{
	return 5 * AUDIT_BLOCK_HEADER + bitmap + numbers * sizeof(uint64) + keys;
}

static Size
keys_size(const Access *access)
{
	return access->keys[0].maxlen + access->keys[1].maxlen + access->keys[2].maxlen;
}

/* The subjects fit into the record, as nearly always. */
static bool
is_small(const Access *access)
{
	return access->number == access->few && keys_size(access) == 0;
}

static void
reserve(Access *access, Size size)
{
	if (size <= access->reserved)
		return;
	trail_reserve(size - access->reserved);
	access->reserved = size;
}

static Size
record_size(const Access *access)
{
	return access->prefix.length + TAIL_SIZE + ACCESS_FEW * 9;
}

static void
make_small_room(Access *access)
{
	reserve(access, AUDIT_MESSAGE_SIZE(record_size(access), 0));
}

/* Room for these blocks, in the ring and in memory; before there is anything to put into it. */
static void
make_room(Access *access, Size blocks)
{
	uint8 *old = access->scratch;

	reserve(access, AUDIT_MESSAGE_SIZE(record_size(access), blocks));
	if (access->scratch_size >= blocks)
		return;
	access->scratch = MemoryContextAllocHuge(access->context, blocks);
	access->scratch_size = blocks;
	if (old != NULL)
		pfree(old);
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static void
sort_numbers(Access *access)
{
	qsort(access->number, access->n_numbers, sizeof(uint64), compare_numbers);
	access->n_numbers = qunique(access->number, access->n_numbers, sizeof(uint64), compare_numbers);
}

static void
grow(Access *access)
{
	uint64 *more = MemoryContextAlloc(access->context, ACCESS_MANY * sizeof(uint64));

	make_room(access, blocks_size(access->bits_size, ACCESS_MANY, keys_size(access)));
	memcpy(more, access->few, access->n_numbers * sizeof(uint64));
	access->number = more;
	access->max_numbers = ACCESS_MANY;
}

static void
move_into_bitmap(Access *access)
{
	Size growth = (access->n_numbers + 1) * BITMAP_GROWTH;

	make_room(access, blocks_size(access->bits_size + growth, ACCESS_MANY, keys_size(access)));
	if (access->bits == NULL)
	{
		access->bits = subject_bits_create(access->context);
		watch_memory(access);
	}
	subject_bits_add_many(access->bits, access->number, access->n_numbers);
	access->n_numbers = 0;
	access->bits_size = subject_bits_serialized_size(access->bits);
}

static void
say_part_if_long(Access *access)
{
	if (access->reserved > audit_ring_max_message() / 4)
		say_part(access);
}

/* The array of numbers is full: make it shorter, or longer, or move it into the bitmap. */
void
access_settle(Access *access)
{
	if (access->number == access->few)
	{
		sort_numbers(access);
		if (access->n_numbers <= ACCESS_FEW * 3 / 4)
			return;
		grow(access);
	}
	else
		move_into_bitmap(access);
	say_part_if_long(access);
}

static void
enlarge_keys(Access *access, StringInfo keys, Size length)
{
	Size size = Max(1024, 2 * (Size) keys->maxlen);

	while (size <= keys->len + length)
		size *= 2;
	make_room(access, blocks_size(access->bits_size, access->max_numbers,
	                              keys_size(access) - keys->maxlen + size));
	if (keys->data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(access->context);

		initStringInfo(keys);
		MemoryContextSwitchTo(old);
	}
	enlargeStringInfo(keys, size - keys->len - 1);
}

void
access_add_key(Access *access, AuditKeyBlock kind, const void *key, Size length)
{
	int i = kind - AUDIT_BLOCK_INT;
	StringInfo keys = &access->keys[i];
	uint16 text_length = (uint16) length;

	/* The rows of one subject often come one after the other. */
	if (keys->len > 0 && access->last_length[i] == length &&
	    memcmp(keys->data + keys->len - length, key, length) == 0)
		return;
	if (keys->len + length + sizeof(text_length) >= keys->maxlen)
		say_part_if_long(access);
	if (keys->len + length + sizeof(text_length) >= keys->maxlen)
		enlarge_keys(access, keys, length + sizeof(text_length));
	if (kind == AUDIT_BLOCK_TEXT)
		appendBinaryStringInfo(keys, (char *) &text_length, sizeof(text_length));
	appendBinaryStringInfo(keys, key, length);
	access->n_keys[i]++;
	access->last_length[i] = length;
}

Access *
access_open(MemoryContext context, const AccessStart *start)
{
	Access *access = MemoryContextAllocZero(context, sizeof(Access));

	access->context = context;
	access->nest_level = start->nest_level;
	access->by_subject = start->by_subject;
	access->worker_part = start->worker_part;
	access->execution = start->execution;
	access->exempt = start->exempt;
	access->number = access->few;
	access->max_numbers = ACCESS_FEW;
	make_prefix(access, start);
	make_small_room(access);
	watch_memory(access);
	access->next = open_accesses;
	open_accesses = access;
	return access;
}

/* ---- closing ---- */

static uint8 *
put_block(uint8 *at, AuditKeyBlock kind, int32 category, uint32 n, const void *bytes, Size length)
{
	at[0] = (uint8) kind;
	memcpy(at + 1, &category, sizeof(category));
	memcpy(at + 5, &n, sizeof(n));
	if (bytes != NULL)
		memcpy(at + AUDIT_BLOCK_HEADER, bytes, length);
	return at + AUDIT_BLOCK_HEADER + length;
}

/* The subjects as blocks, in the scratch space; their length. */
static Size
put_blocks(Access *access)
{
	uint8 *at = access->scratch;

	if (access->bits != NULL)
	{
		Size length = subject_bits_serialized_size(access->bits);

		subject_bits_serialize(access->bits, (char *) at + AUDIT_BLOCK_HEADER);
		at = put_block(at, AUDIT_BLOCK_BITMAP, 0, (uint32) length, NULL, length);
	}
	if (access->n_numbers > 0)
		at = put_block(at, AUDIT_BLOCK_NUMBERS, 0, access->n_numbers, access->number,
		               access->n_numbers * sizeof(uint64));
	for (int i = 0; i < lengthof(access->keys); i++)
		if (access->n_keys[i] > 0)
			at = put_block(at, AUDIT_BLOCK_INT + i, access->category, access->n_keys[i],
			               access->keys[i].data, access->keys[i].len);
	return at - access->scratch;
}

/* The message is put together in memory that exists already. */
static void
make_message(Access *access, RecordOutcome outcome, const char *sqlstate, TrailMessage *message)
{
	RecordWriter writer = access->prefix;
	bool small = is_small(access);

	record_uint(&writer, FIELD_ROWS, access->rows);
	if (access->withheld > 0)
		record_uint(&writer, FIELD_WITHHELD, access->withheld);
	record_uint(&writer, FIELD_OUTCOME, outcome);
	record_text(&writer, FIELD_SQLSTATE, sqlstate);
	record_text(&writer, FIELD_EXEMPT, access->exempt);
	if (small && access->n_numbers > 0)
	{
		sort_numbers(access);
		record_subject_array(&writer, access->number, access->n_numbers);
	}
	message->flags = small ? 0 : AUDIT_MESSAGE_NEEDS_SUBJECTS;
	message->keys = small ? NULL : access->scratch;
	message->keys_length = small ? 0 : put_blocks(access);
	message->execution = access->execution;
	record_end(&writer, small ? 0 : 1, &message->record, &message->record_length);
	message->outcome_at = writer.data + writer.outcome_at - message->record;
}

static void
start_again(Access *access)
{
	access->rows = access->withheld = 0;
	access->n_numbers = 0;
	if (access->bits != NULL)
		subject_bits_clear(access->bits);
	access->bits_size = 0;
	for (int i = 0; i < lengthof(access->keys); i++)
	{
		access->keys[i].len = 0;
		access->n_keys[i] = 0;
	}
}

static void
push_now(Access *access, RecordOutcome outcome, const char *sqlstate)
{
	TrailMessage message;

	make_message(access, access->worker_part ? OUTCOME_OPEN : outcome, sqlstate, &message);
	trail_push(&message, access->reserved);
	access->reserved = 0;
}

/* Room for the message that closes it comes first: it must be there whatever happens. */
static void
say_part(Access *access)
{
	Size small = AUDIT_MESSAGE_SIZE(record_size(access), 0);

	if (access->rows == 0 && access->withheld == 0 && access->n_numbers == 0 &&
	    access->bits_size == 0)
		return;
	trail_reserve(small);
	push_now(access, OUTCOME_OPEN, NULL);
	access->reserved = small;
	start_again(access);
	if (!is_small(access))
		make_room(access, blocks_size(0, access->max_numbers, keys_size(access)));
}

static void
unlink_access(Access *access)
{
	for (Access **link = &open_accesses; *link != NULL; link = &(*link)->next)
		if (*link == access)
		{
			*link = access->next;
			break;
		}
	access->closed = true;
}

void
access_close(Access *access)
{
	if (access->closed)
		return;
	if (access->worker_part)
	{
		unlink_access(access);
		push_now(access, OUTCOME_OPEN, NULL);
	}
	else
	{
		TrailMessage message;

		make_message(access, OUTCOME_COMPLETED, NULL, &message);
		trail_keep(&message, access->reserved, access->nest_level);
		unlink_access(access);
	}
}

void
access_note_error(Access *access, int sqlerrcode)
{
	access->error = sqlerrcode;
}

static void
abandon(Access *access)
{
	RecordOutcome outcome = OUTCOME_ROLLED_BACK;

	if (access->closed)
		return;
	if (access->error != 0)
		outcome = access->error == ERRCODE_QUERY_CANCELED ? OUTCOME_CANCELLED : OUTCOME_FAILED;
	else if (proc_exit_inprogress)
		outcome = OUTCOME_CANCELLED;
	unlink_access(access);
	push_now(access, outcome, access->error ? unpack_sql_state(access->error) : NULL);
}

/* The memory goes, and nobody has said how the execution ended. */
static void
forget(void *arg)
{
	abandon(arg);
}

void
access_abandon_all(int nest_level)
{
	Access *next;

	for (Access *access = open_accesses; access != NULL; access = next)
	{
		next = access->next;
		if (access->nest_level >= nest_level)
			abandon(access);
	}
}

void
access_inherit_all(int nest_level)
{
	for (Access *access = open_accesses; access != NULL; access = access->next)
		access->nest_level = Min(access->nest_level, nest_level - 1);
}

void
access_say_parts(void)
{
	for (Access *access = open_accesses; access != NULL; access = access->next)
		say_part(access);
}
