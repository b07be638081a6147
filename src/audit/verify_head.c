/*
 * verify_head.c
 *		Comparing the audit log with its checkpoints.
 *
 * Stored checkpoints and the one that the auditor brought are met in the order of their tree sizes
 * while the segments go by.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "audit/store.h"
#include "audit/stored_tree.h"
#include "audit/verify.h"

#define HEADS_AT_ONCE 100

/* ---- which comes next ---- */

static void
set_next_size(Verification *v)
{
	v->next_size = PG_INT64_MAX;
	if (v->next_stored.waiting)
		v->next_size = v->next_stored.said.tree_size;
	if (v->brought.waiting)
		v->next_size = Min(v->next_size, v->brought.said.tree_size);
}

/* A stored checkpoint must say what its columns say, and its signature must hold. */
static void
check_stored(Verification *v, int64 size, const TreeHash *root, const char *note)
{
	Checkpoint said;

	v->n_stored++;
	if (!checkpoint_parse(note, &said) || strcmp(said.origin, v->origin) != 0 ||
	    said.tree_size != size || memcmp(&said.root, root, TREE_HASH_SIZE) != 0)
		verify_report(v, -1, "Table privacy_guard.audit_checkpoint was changed.",
		              "the stored checkpoint of " INT64_FORMAT " records differs from its note",
		              size);
	switch (checkpoint_signature(note, v->origin, v->keys, v->n_keys))
	{
		case CHECKPOINT_SIGNED:
			v->n_signed++;
			break;
		case CHECKPOINT_FORGED:
			verify_report(v, -1, "Table privacy_guard.audit_checkpoint was changed.",
			              "the signature of the stored checkpoint of " INT64_FORMAT
			              " records is wrong",
			              size);
			break;
		case CHECKPOINT_UNKNOWN_KEY:
			v->n_unknown_key++;
			break;
		case CHECKPOINT_UNSIGNED:
			break;
	}
}

static void
next_stored(Verification *v)
{
	VerifyHead *head = &v->next_stored;
	bytea *root;
	char *note;

	SPI_cursor_fetch(v->stored, true, 1);
	head->waiting = SPI_processed > 0;
	if (head->waiting)
	{
		head->said.tree_size = DatumGetInt64(store_column(0, 1));
		root = DatumGetByteaPP(store_column(0, 2));
		head->said.timeline = (uint32) DatumGetInt32(store_column(0, 3));
		head->said.system_identifier = GetSystemIdentifier();
		memset(&head->said.root, 0, TREE_HASH_SIZE);
		if (VARSIZE_ANY_EXHDR(root) == TREE_HASH_SIZE)
			memcpy(&head->said.root, VARDATA_ANY(root), TREE_HASH_SIZE);
		note = TextDatumGetCString(store_column(0, 4));
		check_stored(v, head->said.tree_size, &head->said.root, note);
		pfree(note);
	}
	SPI_freetuptable(SPI_tuptable);
	set_next_size(v);
}

static void
begin_external(Verification *v)
{
	v->brought.waiting = false;
	if (v->external_note == NULL || strcmp(v->external.origin, v->origin) != 0)
		return;
	v->external_met = true;
	v->brought.said = v->external;
	v->brought.waiting = true;
	switch (checkpoint_signature(v->external_note, v->origin, v->keys, v->n_keys))
	{
		case CHECKPOINT_SIGNED:
			return;
		case CHECKPOINT_FORGED:
			verify_report(v, -1, "It is not what the log's key signed.",
			              "the signature of the given checkpoint is wrong");
			return;
		case CHECKPOINT_UNKNOWN_KEY:
		case CHECKPOINT_UNSIGNED:
			break;
	}
	if (v->n_keys > 0)
		verify_report(v, -1, "Pass the public key that you keep as public_key.",
		              "the given checkpoint is not signed by a known key");
	else
		v->note = "No key is known: the given checkpoint is worth as much as the place where it "
		          "was kept.";
}

void
verify_heads_begin(Verification *v)
{
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(v->origin_id)};

	v->n_stored = v->n_signed = v->n_unknown_key = 0;
	begin_external(v);
	v->stored = SPI_cursor_open_with_args(
	    NULL,
	    "SELECT c.tree_size, c.root, c.timeline, c.note FROM privacy_guard.audit_checkpoint c"
	    " WHERE c.origin_id = $1 ORDER BY c.tree_size",
	    1, types, values, NULL, true, 0);
	next_stored(v);
	verify_heads_pass(v, v->first);
}

/* ---- comparing ---- */

static const char *
why_lost(const Checkpoint *said)
{
	uint32 timeline = checkpoint_timeline();

	if (said->system_identifier != 0 && said->system_identifier != GetSystemIdentifier())
		return "Another server made the checkpoint (its system identifier differs): this copy of "
		       "the log was restored from, or branched off, an earlier state.";
	if (said->timeline != 0 && said->timeline < timeline)
		return psprintf("The checkpoint is of timeline %u and the server is on %u: records were "
		                "lost by a failover or a restore. Their WAL, or the former primary, may "
		                "still have them.",
		                said->timeline, timeline);
	return "Server and timeline are those of the checkpoint, so neither a failover nor a restore "
	       "by "
	       "WAL explains it.";
}

static void
compare(Verification *v, const char *which, const Checkpoint *said)
{
	TreeHash root;

	tree_root(&v->tree, &root);
	if (memcmp(&root, &said->root, TREE_HASH_SIZE) != 0)
		verify_report(v, -1, why_lost(said),
		              "the %s checkpoint of " INT64_FORMAT
		              " records has another root: what it covers was replaced and recomputed",
		              which, said->tree_size);
}

void
verify_heads_meet(Verification *v, bool trusted)
{
	while (v->next_size == v->tree.size)
	{
		if (v->brought.waiting && v->brought.said.tree_size == v->tree.size)
		{
			v->brought.waiting = false;
			if (trusted)
				compare(v, "given", &v->brought.said);
			set_next_size(v);
		}
		if (v->next_stored.waiting && v->next_stored.said.tree_size == v->tree.size)
		{
			if (trusted)
				compare(v, "stored", &v->next_stored.said);
			next_stored(v);
		}
	}
}

/* The stored note of the same size vouches for a checkpoint whose records were pruned. */
static void
pass_brought(Verification *v)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8OID};
	Datum values[] = {Int32GetDatum(v->origin_id), Int64GetDatum(v->brought.said.tree_size)};
	bool agrees = false;

	v->brought.waiting = false;
	if (v->brought.said.tree_size >= v->first)
		return;
	stored_query(&plan,
	             "SELECT c.root FROM privacy_guard.audit_checkpoint c"
	             " WHERE c.origin_id = $1 AND c.tree_size = $2",
	             2, types, values, NULL);
	if (SPI_processed > 0)
	{
		bytea *root = DatumGetByteaPP(store_column(0, 1));

		agrees = VARSIZE_ANY_EXHDR(root) == TREE_HASH_SIZE &&
		         memcmp(VARDATA_ANY(root), &v->brought.said.root, TREE_HASH_SIZE) == 0;
	}
	if (agrees)
		v->note = "What the given checkpoint covers was pruned; the stored one of the same size "
		          "agrees with it.";
	else
		verify_report(v, -1, "Bring a later checkpoint.",
		              "what the given checkpoint covers was pruned, and no stored one agrees with "
		              "it");
}

void
verify_heads_pass(Verification *v, int64 size)
{
	while (v->next_size < size)
	{
		if (v->brought.waiting && v->brought.said.tree_size < size)
			pass_brought(v);
		if (v->next_stored.waiting && v->next_stored.said.tree_size < size)
			next_stored(v);
		set_next_size(v);
	}
}

static void
report_tail(Verification *v, const char *which, const Checkpoint *said)
{
	verify_report(v, (int64) v->tree.size, why_lost(said),
	              "the %s checkpoint covers " INT64_FORMAT
	              " records, the log ends after " UINT64_FORMAT ": its tail is missing",
	              which, said->tree_size, v->tree.size);
}

void
verify_heads_end(Verification *v)
{
	if (v->brought.waiting)
		report_tail(v, "given", &v->brought.said);
	v->brought.waiting = false;
	if (v->next_stored.waiting)
		report_tail(v, "stored", &v->next_stored.said);
	while (v->next_stored.waiting)
		next_stored(v);
	SPI_cursor_close(v->stored);
}

void
verify_external_unmet(Verification *v)
{
	const char *hint =
	    v->external.system_identifier != 0 && v->external.system_identifier != GetSystemIdentifier()
	        ? "Another server made it."
	        : "The log was removed, or the checkpoint is of another database.";

	v->origin = v->external.origin;
	verify_report(v, -1, hint, "there is no log of the given checkpoint's origin");
}
