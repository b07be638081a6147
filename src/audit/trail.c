/*
 * trail.c
 *		What a backend has to say to the audit log, and when it is said.
 *
 * A record whose outcome depends on its transaction waits here, in this backend's memory and with
 * its space reserved in the ring, until the transaction ends.  At commit it says completed, after
 * an abort of its (sub)transaction rolled back.  When too many wait the oldest are said early; if
 * they are rolled back later, a record of its own says so.
 *
 * With durability "transaction" a commit waits, before it becomes one, until the log holds what was
 * said; an abort waits as well, but not for ever.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "audit/access.h"
#include "audit/ring.h"
#include "audit/trail.h"
#include "audit/what.h"
#include "audit/who.h"
#include "guc.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "types/subject_set.h"

/* So much may wait for the end of a transaction. */
#define MAX_KEPT_RECORDS 64
#define MAX_KEPT_BYTES (64 * 1024)

/* What a denial takes at most. */
#define DENIAL_SIZE 768

/* Of a rollback record, besides who acted. */
#define ROLLBACK_FIELDS_SIZE 96

typedef struct Kept
{
	struct Kept *next;
	int nest_level;
	Size reserved;
	TrailMessage message; /* points into what follows */
} Kept;

/* Executions that were said to be completed, before their transaction was. */
typedef struct SaidEarly
{
	struct SaidEarly *next;
	int nest_level;
	uint32 first;
	uint32 last;
	Size reserved;
	RecordFragment who; /* the catalogs cannot be asked when it is undone */
	uint8 *record;      /* memory for it */
	Size record_size;
} SaidEarly;

/* The last denial: equal ones are counted. */
typedef struct LastDenial
{
	Oid role;
	Oid relation;
	const char *reason; /* a constant of the library */
	char purpose[MAX_PURPOSE_LENGTH];
	uint64 again;        /* since it was said */
	RecordWriter record; /* as it was said, to be said again with a count */
	uint8 buffer[DENIAL_SIZE - sizeof(AuditMessage)];
} LastDenial;

static MemoryContext context = NULL;
static Kept *kept = NULL; /* the oldest first */
static Kept **kept_end = &kept;
static int n_kept = 0;
static Size kept_bytes = 0;
static SaidEarly *said_early = NULL;
static Size spoken_for = 0;     /* of what the ring has reserved for us */
static Size denial_reserve = 0; /* of that, for a refusal */
static RingPosition waited_for = 0;
static bool gave_up = false;  /* the commit has waited in vain, so the abort after it need not */
static bool tampered = false; /* the transaction may have locked what the writer needs */
static LastDenial last_denial;

static void end_of_transaction(XactEvent event, void *arg);
static void end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
                                  void *arg);

void
trail_init(void)
{
	verb_denial = errdenial;
	who_init();
	what_init();
	RegisterXactCallback(end_of_transaction, NULL);
	RegisterSubXactCallback(end_of_subtransaction, NULL);
}

bool
trail_is_on(void)
{
	return !creating_extension && !IsBinaryUpgrade && policy_state() != POLICY_ABSENT &&
	       policy_state() != POLICY_PENDING && !RecoveryInProgress() && !audit_ring_is_writer();
}

/* ---- space ---- */

void
trail_reserve(Size bytes)
{
	Size have = audit_ring_reserved();

	if (have < spoken_for + bytes)
		audit_ring_reserve(spoken_for + bytes - have);
	spoken_for += bytes;
}

static void
give_back(Size bytes)
{
	spoken_for -= Min(bytes, spoken_for);
}

void
trail_prepare(void)
{
	if (denial_reserve < DENIAL_SIZE && trail_is_on())
	{
		trail_reserve(DENIAL_SIZE - denial_reserve);
		denial_reserve = DENIAL_SIZE;
	}
}

void
trail_try_prepare(void)
{
	Size missing = DENIAL_SIZE - Min(denial_reserve, DENIAL_SIZE);

	if (missing > 0 && trail_is_on() && audit_ring_try_reserve(missing))
	{
		spoken_for += missing;
		denial_reserve += missing;
	}
}

/* ---- saying ---- */

void
trail_push(const TrailMessage *message, Size reserved)
{
	audit_ring_push(message->flags, message->record, message->record_length, message->keys,
	                message->keys_length);
	give_back(reserved);
}

static MemoryContext
trail_context(void)
{
	if (context == NULL)
		context =
		    AllocSetContextCreate(TopMemoryContext, "privacy_guard trail", ALLOCSET_DEFAULT_SIZES);
	return context;
}

static SaidEarly *
make_said_early(int nest_level, uint32 execution)
{
	RecordFragment who = who_fragment(GetUserId());
	Size record_size = ROLLBACK_FIELDS_SIZE + who.length;
	Size reserved = AUDIT_MESSAGE_SIZE(record_size, 0);
	SaidEarly *early;

	trail_reserve(reserved);
	early = MemoryContextAllocZero(trail_context(), sizeof(SaidEarly) + record_size + who.length);
	early->nest_level = nest_level;
	early->first = execution;
	early->reserved = reserved;
	early->record = (uint8 *) (early + 1);
	early->record_size = record_size;
	early->who = who;
	early->who.bytes = memcpy(early->record + record_size, who.bytes, who.length);
	early->next = said_early;
	said_early = early;
	return early;
}

/* Before a record is said early: if its transaction fails, that has to be said as well. */
static void
note_said_early(int nest_level, uint32 execution)
{
	SaidEarly *early = said_early;

	while (early != NULL && early->nest_level != nest_level)
		early = early->next;
	if (early == NULL)
		early = make_said_early(nest_level, execution);
	early->first = Min(early->first, execution);
	early->last = Max(early->last, execution);
}

static void
say_oldest(void)
{
	Kept *oldest = kept;

	kept = oldest->next;
	if (kept == NULL)
		kept_end = &kept;
	n_kept--;
	kept_bytes -= oldest->message.record_length + oldest->message.keys_length;
	trail_push(&oldest->message, oldest->reserved);
	pfree(oldest);
}

static void
say_oldest_early(void)
{
	note_said_early(kept->nest_level, kept->message.execution);
	say_oldest();
}

/* Errors come from here only: before the caller has handed over his record. */
static Kept *
make_kept(Size size)
{
	while (n_kept >= MAX_KEPT_RECORDS || (kept_bytes + size > MAX_KEPT_BYTES && n_kept > 0))
		say_oldest_early();
	return MemoryContextAllocHuge(trail_context(), sizeof(Kept) + size);
}

void
trail_keep(const TrailMessage *message, Size reserved, int nest_level)
{
	Size size = message->record_length + message->keys_length;
	Kept *one = make_kept(size);
	uint8 *bytes = (uint8 *) (one + 1);

	one->next = NULL;
	one->nest_level = nest_level;
	one->reserved = AUDIT_MESSAGE_SIZE(message->record_length, message->keys_length);
	one->message = *message;
	one->message.record = memcpy(bytes, message->record, message->record_length);
	one->message.keys = bytes + message->record_length;
	if (message->keys_length > 0)
		memcpy(bytes + message->record_length, message->keys, message->keys_length);
	give_back(reserved - one->reserved);
	*kept_end = one;
	kept_end = &one->next;
	n_kept++;
	kept_bytes += size;
}

/* ---- events ---- */

static void
put_event(RecordWriter *writer, const TrailEvent *event, uint32 execution)
{
	/* In a function of ours, who called it. */
	RecordFragment who = who_fragment(verb_in_progress() ? verb_invoker() : GetUserId());

	record_uint(writer, FIELD_KIND, event->kind);
	record_time(writer, GetCurrentTimestamp());
	record_text(writer, FIELD_SESSION, who_session());
	if (execution != 0)
		record_uint(writer, FIELD_EXECUTION, execution);
	record_fragment(writer, &who);
	record_text(writer, FIELD_PURPOSE, event->purpose);
	record_text(writer, FIELD_OPERATION, event->operation);
	if (OidIsValid(event->relation))
	{
		RecordFragment what = what_fragment(event->relation, NULL);

		record_fragment(writer, &what);
	}
	record_text(writer, FIELD_RECIPIENT, event->recipient);
	if (event->rows > 0)
		record_uint(writer, FIELD_ROWS, event->rows);
	if (!event->at_once)
		record_uint(writer, FIELD_OUTCOME, OUTCOME_COMPLETED);
	record_text(writer, FIELD_SQLSTATE, event->sqlstate);
	record_text(writer, FIELD_REASON, event->reason);
	record_text(writer, FIELD_OBJECT, event->object);
	record_text(writer, FIELD_OLD, event->old_value);
	record_text(writer, FIELD_NEW, event->new_value);
	record_text(writer, FIELD_TEXT, event->text);
	if (event->subject_bitmap_length > 0)
		record_subject_bitmap(writer, event->subject_bitmap, event->subject_bitmap_length);
	else if (event->n_subjects > 0)
		record_subject_array(writer, event->subjects, event->n_subjects);
}

/* Encoded into memory of the current context. */
static TrailMessage
make_event(const TrailEvent *event)
{
	TrailMessage message = {0};
	RecordWriter writer;
	Size size;

	/* What waits for its transaction has a number, by which a rollback can name it. */
	message.execution = event->at_once ? 0 : who_next_execution();
	record_begin(&writer, NULL, 0);
	put_event(&writer, event, message.execution);
	size = writer.length;
	record_begin(&writer, MemoryContextAllocHuge(CurrentMemoryContext, size), size);
	put_event(&writer, event, message.execution);
	record_end(&writer, 0, &message.record, &message.record_length);
	if (writer.outcome_at > 0)
		message.outcome_at = writer.data + writer.outcome_at - message.record;
	return message;
}

void
trail_event(const TrailEvent *event)
{
	TrailMessage message;
	Size size;

	if (!trail_is_on())
		return;
	message = make_event(event);
	size = AUDIT_MESSAGE_SIZE(message.record_length, 0);
	trail_reserve(size);
	if (event->at_once)
		trail_push(&message, size);
	else
		trail_keep(&message, size, GetCurrentTransactionNestLevel());
}

/* ---- denials ---- */

static bool
is_last_denial(Oid relation, const char *reason)
{
	return last_denial.reason != NULL && last_denial.role == GetUserId() &&
	       last_denial.relation == relation && strcmp(last_denial.reason, reason) == 0 &&
	       strcmp(last_denial.purpose, guc_purpose) == 0;
}

/*
 * Out of the standing reserve, and from memory that exists: an error is being raised, or the
 * transaction is ending.  False when there is no space: statements that are refused ask for it
 * before, so this is for refusals in the middle of others.
 */
static bool
say_denial(uint64 count)
{
	TrailMessage message = {0};
	RecordWriter writer = last_denial.record;
	Size size;

	if (count > 1)
		record_uint(&writer, FIELD_COUNT, count);
	(void) record_end(&writer, 0, &message.record, &message.record_length);
	size = AUDIT_MESSAGE_SIZE(message.record_length, 0);
	if (denial_reserve < size)
		trail_try_prepare();
	if (denial_reserve < size)
		return false;
	trail_push(&message, size);
	denial_reserve -= size;
	return true;
}

static void
say_counted_denials(void)
{
	if (last_denial.again > 0 && say_denial(last_denial.again))
		last_denial.again = 0;
}

/* Equal denials of different transactions are records of their own. */
static void
end_counting(void)
{
	say_counted_denials();
	if (last_denial.again == 0)
		last_denial.reason = NULL;
}

/* Long names: leave out what is least needed. */
static void
encode_denial(RecordKind kind, Oid relation, const char *reason)
{
	TrailEvent event = {.kind = kind,
	                    .purpose = guc_purpose,
	                    .relation = relation,
	                    .sqlstate = "42501",
	                    .reason = reason,
	                    .at_once = true};

	for (int attempt = 0; attempt < 2; attempt++)
	{
		record_begin(&last_denial.record, last_denial.buffer, sizeof(last_denial.buffer) - 16);
		put_event(&last_denial.record, &event, 0);
		last_denial.record.capacity += 16; /* for the count */
		if (last_denial.record.length <= sizeof(last_denial.buffer) - 16)
			return;
		event.purpose = NULL;
	}
}

static int
deny(RecordKind kind, Oid relation, const char *reason)
{
	if (IsParallelWorker() || !trail_is_on())
		return 0;
	if (is_last_denial(relation, reason))
	{
		last_denial.again++;
		return 0;
	}
	say_counted_denials();
	if (last_denial.again > 0)
		ereport(LOG, (errmsg("%llu refusals found no space in the audit log",
		                     (unsigned long long) last_denial.again),
		              errhint("Raise privacy_guard.audit_buffers.")));
	last_denial.role = GetUserId();
	last_denial.relation = relation;
	last_denial.reason = reason;
	strlcpy(last_denial.purpose, guc_purpose, sizeof(last_denial.purpose));
	encode_denial(kind, relation, reason);
	last_denial.again = say_denial(1) ? 0 : 1;
	return 0;
}

int
errdenial(Oid relation, const char *reason)
{
	return deny(RECORD_DENIAL, relation, reason);
}

int
errtamper(Oid relation, const char *reason)
{
	tampered = true;
	return deny(RECORD_TAMPER, relation, reason);
}

/* ---- the ends of transactions ---- */

static void
say_all_kept(void)
{
	while (kept != NULL)
		say_oldest();
}

static void
say_all_kept_early(void)
{
	while (kept != NULL)
		say_oldest_early();
}

static void
roll_back_kept(int nest_level)
{
	for (Kept *one = kept; one != NULL; one = one->next)
		if (one->nest_level >= nest_level && one->message.outcome_at > 0 &&
		    one->message.record[one->message.outcome_at] == OUTCOME_COMPLETED)
			one->message.record[one->message.outcome_at] = OUTCOME_ROLLED_BACK;
}

/* Its memory and its space are there already. */
static void
say_rollback(const SaidEarly *early)
{
	TrailMessage message = {0};
	RecordWriter writer;

	record_begin(&writer, early->record, early->record_size);
	record_uint(&writer, FIELD_KIND, RECORD_ROLLBACK);
	record_time(&writer, GetCurrentTimestamp());
	record_text(&writer, FIELD_SESSION, who_session());
	record_uint(&writer, FIELD_EXECUTION, early->first);
	record_fragment(&writer, &early->who);
	record_uint(&writer, FIELD_LAST_EXECUTION, early->last);
	(void) record_end(&writer, 0, &message.record, &message.record_length);
	trail_push(&message, early->reserved);
}

/* What was said early by the transactions of this level and deeper is undone, or is not. */
static void
end_said_early(int nest_level, bool undone)
{
	SaidEarly **link = &said_early;

	while (*link != NULL)
	{
		SaidEarly *early = *link;

		if (early->nest_level < nest_level)
		{
			link = &early->next;
			continue;
		}
		*link = early->next;
		if (undone)
			say_rollback(early);
		else
			give_back(early->reserved);
		pfree(early);
	}
}

static void
inherit_said_early(int nest_level)
{
	for (SaidEarly *early = said_early; early != NULL; early = early->next)
		early->nest_level = Min(early->nest_level, nest_level - 1);
	for (Kept *one = kept; one != NULL; one = one->next)
		one->nest_level = Min(one->nest_level, nest_level - 1);
}

static bool
must_wait(void)
{
	return guc_audit_durability != AUDIT_ASYNC && audit_ring_pushed() > waited_for;
}

/* The ring keeps a little of it for the session's next statement. */
static void
settle_reserve(void)
{
	give_back(denial_reserve);
	denial_reserve = 0;
	if (audit_ring_reserved() > spoken_for)
		audit_ring_release(audit_ring_reserved() - spoken_for);
}

/* The commit may still fail, so what is said now is said early. */
static void
say_at_commit(void)
{
	end_counting();
	say_all_kept_early();
	/* Where this transaction drops the log, its writer waits for us. */
	if (must_wait() && policy_state() != POLICY_ABSENT)
	{
		gave_up = true;
		(void) audit_ring_wait(audit_ring_pushed(), true);
		gave_up = false;
		waited_for = audit_ring_pushed();
	}
}

static void
say_at_abort(void)
{
	access_abandon_all(1);
	end_counting();
	roll_back_kept(1);
	say_all_kept();
	end_said_early(1, true);
	spoken_for = denial_reserve; /* an error may have left more behind */
	/* Locks are still held; a command that was refused may have taken those of the log. */
	if (must_wait() && !tampered && !proc_exit_inprogress && !IsParallelWorker())
	{
		if (!gave_up)
			(void) audit_ring_wait(audit_ring_pushed(), false);
		waited_for = audit_ring_pushed();
	}
	gave_up = tampered = false;
	settle_reserve();
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			say_at_commit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			end_said_early(1, false);
			tampered = false;
			settle_reserve();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			say_at_abort();
			break;
		default:
			break;
	}
}

static void
end_of_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int nest_level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		access_abandon_all(nest_level);
		roll_back_kept(nest_level);
		end_said_early(nest_level, true);
		inherit_said_early(nest_level);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		access_inherit_all(nest_level);
		inherit_said_early(nest_level);
	}
}

void
trail_flush(void)
{
	if (audit_ring_head() > 0)
		(void) audit_ring_wait(audit_ring_head(), true);
}

void
trail_disclose(void)
{
	access_say_parts();
	say_all_kept_early();
	if (audit_ring_pushed() > waited_for)
	{
		(void) audit_ring_wait(audit_ring_pushed(), true);
		waited_for = audit_ring_pushed();
	}
}
