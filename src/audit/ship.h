/*
 * ship.h
 *		Getting checkpoints off the host: the server's log, a file, a command.
 *
 * Nothing here raises an error: a checkpoint that cannot be shipped is still stored.
 */
#ifndef PRIVACY_GUARD_SHIP_H
#define PRIVACY_GUARD_SHIP_H

#include "postgres.h"

/* To the server's log and to privacy_guard.checkpoint_file. */
extern void ship_note(const char *note, int64 tree_size);

/*
 * To privacy_guard.checkpoint_command, which runs beside the caller. A note that this process gave
 * to a command that succeeded is not given again; until then each call tries anew. One command runs
 * at a time.
 */
extern void ship_to_command(const char *note);

/*
 * Looks after the command that was started, without waiting for it. True while it runs, and when it
 * failed and its note was not delivered by another yet.
 */
extern bool ship_is_pending(void);

#endif
