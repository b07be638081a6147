/*
 * checkpoint.h
 *		Checkpoints: tree heads of the audit log, signed and shipped (C2SP tlog-checkpoint).
 */
#ifndef PRIVACY_GUARD_CHECKPOINT_H
#define PRIVACY_GUARD_CHECKPOINT_H

#include "postgres.h"

#include "audit/note_key.h"
#include "audit/tree.h"

/*
 * For the audit writer: makes a checkpoint of what is sealed when there is none yet, and ships the
 * last one. In a transaction of its own, as the extension's owner in the envelope of verbs. True
 * when there is a new one. Whatever fails in signing or shipping is logged, not raised; another
 * session that makes one is not waited for.
 */
extern bool checkpoint_make(void);

/* Is checkpoint_make() to be called again, though nothing was added: the command is at work, or
 * failed? */
extern bool checkpoint_is_pending(void);

/* What a note says. */
typedef struct Checkpoint
{
	char *origin;
	int64 tree_size;
	TreeHash root;
	uint64 system_identifier; /* 0 when it does not say */
	uint32 timeline;          /* 0 when it does not say */
} Checkpoint;

/* False when the text is no checkpoint; signatures are another question. */
extern bool checkpoint_parse(const char *note, Checkpoint *out);

typedef enum CheckpointSignature
{
	CHECKPOINT_UNSIGNED,
	CHECKPOINT_UNKNOWN_KEY,
	CHECKPOINT_SIGNED,
	CHECKPOINT_FORGED /* by its id a key that is known signed, and it did not */
} CheckpointSignature;

extern CheckpointSignature checkpoint_signature(const char *note, const char *origin,
                                                const NoteKey *keys, int n_keys);

/* The timeline on which the server writes, or which it replays. */
extern uint32 checkpoint_timeline(void);

#endif
