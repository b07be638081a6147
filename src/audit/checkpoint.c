/*
 * checkpoint.c
 *		Checkpoints: tree heads of the audit log, signed and shipped (C2SP tlog-checkpoint).
 *
 * Makers of checkpoints exclude each other by a lock of the table until the end of the transaction;
 * readers and the log itself are not held up. The audit writer does not wait for that lock, for it
 * would let a session with an open transaction stop everybody.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "pgtime.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "audit/checkpoint.h"
#include "audit/ship.h"
#include "audit/store.h"
#include "audit/stored_tree.h"
#include "guc.h"

#define SIGNATURE_PREFIX "\xe2\x80\x94 " /* em dash, space */

PG_FUNCTION_INFO_V1(checkpoint_make_now);
PG_FUNCTION_INFO_V1(checkpoint_key);

/* ---- the text ---- */

uint32
checkpoint_timeline(void)
{
	TimeLineID timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

static char *
utc(TimestampTz time)
{
	pg_time_t seconds = timestamptz_to_time_t(time);
	char text[32];

	pg_strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", pg_gmtime(&seconds));
	return pstrdup(text);
}

static char *
note_text(const StoredHead *head, const TreeHash *root, TimestampTz time)
{
	return psprintf("%s\n" UINT64_FORMAT "\n%s\nsystem_identifier " UINT64_FORMAT
	                "\ntimeline %u\ntime %s\n",
	                head->origin, head->frontier.size, note_base64(root, TREE_HASH_SIZE),
	                GetSystemIdentifier(), checkpoint_timeline(), utc(time));
}

static char *
signed_note(const char *text, const char *name, const NoteKey *key)
{
	uint8 signature[NOTE_KEY_ID_SIZE + NOTE_SIGNATURE_SIZE];

	note_key_id(key, name, signature);
	note_key_sign(key, text, strlen(text), signature + NOTE_KEY_ID_SIZE);
	return psprintf("%s\n" SIGNATURE_PREFIX "%s %s\n", text, name,
	                note_base64(signature, sizeof(signature)));
}

/* The next line without its end; NULL at the end, and at the empty line before the signatures. */
static char *
next_line(const char **at)
{
	Size length = strcspn(*at, "\n");
	char *line;

	if (length == 0)
		return NULL;
	line = pnstrdup(*at, length);
	*at += length + ((*at)[length] == '\n');
	return line;
}

static bool
parse_number(const char *text, uint64 most, uint64 *out)
{
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1] != '\0'))
		return false;
	errno = 0;
	*out = strtou64(text, &end, 10);
	return errno == 0 && *end == '\0' && *out <= most;
}

static void
parse_extension(const char *line, Checkpoint *out)
{
	uint64 number;

	if (strncmp(line, "system_identifier ", 18) == 0 &&
	    parse_number(line + 18, PG_UINT64_MAX, &number))
		out->system_identifier = number;
	if (strncmp(line, "timeline ", 9) == 0 && parse_number(line + 9, PG_UINT32_MAX, &number))
		out->timeline = (uint32) number;
}

bool
checkpoint_parse(const char *note, Checkpoint *out)
{
	uint64 size;
	char *root;
	char *line;

	memset(out, 0, sizeof(*out));
	out->origin = next_line(&note);
	if (out->origin == NULL || !parse_number(next_line(&note), PG_INT64_MAX, &size))
		return false;
	out->tree_size = (int64) size;
	root = next_line(&note);
	if (root == NULL ||
	    note_unbase64(root, strlen(root), out->root.byte, TREE_HASH_SIZE) != TREE_HASH_SIZE)
		return false;
	while ((line = next_line(&note)) != NULL)
		parse_extension(line, out);
	return true;
}

/* ---- signatures ---- */

/* One signature line; text is what was signed. */
static CheckpointSignature
line_signature(const char *line, const char *origin, const NoteKey *keys, int n_keys,
               const char *text, Size length)
{
	uint8 signature[NOTE_KEY_ID_SIZE + NOTE_SIGNATURE_SIZE];
	Size prefix = strlen(SIGNATURE_PREFIX);
	Size name = strlen(origin);

	if (strncmp(line, SIGNATURE_PREFIX, prefix) != 0 || strncmp(line + prefix, origin, name) != 0 ||
	    line[prefix + name] != ' ')
		return CHECKPOINT_UNKNOWN_KEY;
	line += prefix + name + 1;
	if (note_unbase64(line, strlen(line), signature, sizeof(signature)) != sizeof(signature))
		return CHECKPOINT_UNKNOWN_KEY;
	for (int i = 0; i < n_keys; i++)
	{
		uint8 id[NOTE_KEY_ID_SIZE];

		note_key_id(&keys[i], origin, id);
		if (memcmp(id, signature, NOTE_KEY_ID_SIZE) == 0)
			return note_key_check(&keys[i], text, length, signature + NOTE_KEY_ID_SIZE)
			           ? CHECKPOINT_SIGNED
			           : CHECKPOINT_FORGED;
	}
	return CHECKPOINT_UNKNOWN_KEY;
}

CheckpointSignature
checkpoint_signature(const char *note, const char *origin, const NoteKey *keys, int n_keys)
{
	const char *blank = strstr(note, "\n\n");
	const char *at = blank ? blank + 2 : "";
	CheckpointSignature result = CHECKPOINT_UNSIGNED;
	char *line;

	while ((line = next_line(&at)) != NULL)
	{
		CheckpointSignature one =
		    line_signature(line, origin, keys, n_keys, note, blank + 1 - note);

		result = Max(result, one);
		pfree(line);
	}
	return result;
}

/* ---- making ---- */

typedef struct Made
{
	char *note; /* NULL: none */
	int64 tree_size;
	bool is_new;
} Made;

static char *
stored_note(const StoredHead *head)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8OID};
	Datum values[] = {Int32GetDatum(head->origin_id), Int64GetDatum(head->frontier.size)};

	stored_query(&plan,
	             "SELECT c.note FROM privacy_guard.audit_checkpoint c"
	             " WHERE c.origin_id = $1 AND c.tree_size = $2",
	             2, types, values, NULL);
	return SPI_processed > 0 ? TextDatumGetCString(store_column(0, 1)) : NULL;
}

static void
store_note(const StoredHead *head, const TreeHash *root, TimestampTz time, const char *note)
{
	Oid types[] = {INT4OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, INT4OID, TEXTOID};
	bytea *root_bytes = palloc(VARHDRSZ + TREE_HASH_SIZE);
	Datum values[] = {Int32GetDatum(head->origin_id),
	                  Int64GetDatum(head->frontier.size),
	                  PointerGetDatum(root_bytes),
	                  TimestampTzGetDatum(time),
	                  Int32GetDatum((int32) checkpoint_timeline()),
	                  CStringGetTextDatum(note)};

	SET_VARSIZE(root_bytes, VARHDRSZ + TREE_HASH_SIZE);
	memcpy(VARDATA(root_bytes), root, TREE_HASH_SIZE);
	if (SPI_execute_with_args("INSERT INTO privacy_guard.audit_checkpoint"
	                          " (origin_id, tree_size, root, signed_at, timeline, note)"
	                          " VALUES ($1, $2, $3, $4, $5, $6)"
	                          " ON CONFLICT (origin_id, tree_size) DO UPDATE"
	                          " SET signed_at = excluded.signed_at, note = excluded.note",
	                          lengthof(types), types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store a checkpoint");
}

static void
say_unsigned(void)
{
	static bool said = false;

	if (!said)
		ereport(LOG, (errmsg("checkpoints of the audit log are not signed"),
		              errhint("Make a key with: openssl genpkey -algorithm ed25519 -out FILE; "
		                      "chmod 600 FILE; and name it in "
		                      "privacy_guard.checkpoint_key_file.")));
	said = true;
}

/* NULL when the key was refused, which has been said with elevel. */
static char *
new_note(const StoredHead *head, const TreeHash *root, TimestampTz time, int elevel)
{
	char *text = note_text(head, root, time);
	NoteKey key;

	switch (note_key_load(elevel, &key))
	{
		case NOTE_KEY_REFUSED:
			return NULL;
		case NOTE_KEY_NONE:
			say_unsigned();
			return text;
		case NOTE_KEY_LOADED:
			text = signed_note(text, head->origin, &key);
			explicit_bzero(&key, sizeof(key));
			break;
	}
	return text;
}

/* Without it the makers of two sessions would meet in the unique index, and one wait there. */
static bool
lock_makers(bool wait)
{
	Oid table = store_table("audit_checkpoint");

	if (!wait)
		return ConditionalLockRelationOid(table, ShareRowExclusiveLock);
	LockRelationOid(table, ShareRowExclusiveLock);
	return true;
}

/* The signatures of a note follow an empty line; what was made without a key has none. */
static bool
is_signed(const char *note)
{
	return strstr(note, "\n\n") != NULL && strstr(note, "\n\n")[2] != '\0';
}

/* Under the lock. */
static Made
make(const int32 *origin_id, int elevel)
{
	Made made = {NULL};
	StoredHead head;
	TreeHash root;
	TimestampTz now = GetCurrentTimestamp();

	if (!stored_head(origin_id, &head) || head.frontier.size == 0)
		return made;
	made.tree_size = (int64) head.frontier.size;
	made.note = stored_note(&head);
	if (made.note != NULL && (is_signed(made.note) || guc_checkpoint_key_file[0] == '\0'))
		return made;
	tree_root(&head.frontier, &root);
	made.note = new_note(&head, &root, now, elevel);
	if (made.note == NULL)
		return made;
	store_note(&head, &root, now, made.note);
	made.is_new = true;
	return made;
}

bool
checkpoint_make(void)
{
	Made made;

	if (!lock_makers(false))
		return false;
	stored_begin();
	made = make(NULL, LOG);
	if (made.is_new)
		ship_note(made.note, made.tree_size);
	if (made.note != NULL)
		ship_to_command(made.note);
	stored_end();
	return made.is_new;
}

bool
checkpoint_is_pending(void)
{
	return ship_is_pending();
}

/* privacy_guard_internal.make_checkpoint(origin) */
Datum
checkpoint_make_now(PG_FUNCTION_ARGS)
{
	int32 origin_id = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	MemoryContext caller = CurrentMemoryContext;
	Made made;
	text *result;

	(void) lock_makers(true);
	stored_begin();
	made = make(PG_ARGISNULL(0) ? NULL : &origin_id, ERROR);
	if (made.note == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("there is no audit log yet"),
		                errhint("It begins with the first guarded table.")));
	if (made.is_new)
		ship_note(made.note, made.tree_size);
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(made.note);
	stored_end();
	PG_RETURN_TEXT_P(result);
}

/* privacy_guard_internal.checkpoint_public_key() */
Datum
checkpoint_key(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[2];
	bool nulls[2] = {false, true};
	MemoryContext caller = CurrentMemoryContext;
	StoredHead head;
	NoteKey key;

	if (note_key_load(ERROR, &key) != NOTE_KEY_LOADED)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("checkpoints of the audit log are not signed"),
		                errhint("Set privacy_guard.checkpoint_key_file.")));
	explicit_bzero(key.private_key, sizeof(key.private_key));
	InitMaterializedSRF(fcinfo, 0);
	values[0] = CStringGetTextDatum(note_key_pem(&key));
	stored_begin();
	if (stored_head(NULL, &head))
	{
		MemoryContextSwitchTo(caller);
		values[1] = CStringGetTextDatum(note_key_verifier(&key, head.origin));
		nulls[1] = false;
	}
	stored_end();
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	return (Datum) 0;
}
