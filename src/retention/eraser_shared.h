/*
 * eraser_shared.h
 *		In shared memory: which databases need their eraser, when, and what it is doing.
 *
 * A database has a slot from when it is woken for the first time until nothing is to be erased
 * there for good.
 */
#ifndef PRIVACY_GUARD_ERASER_SHARED_H
#define PRIVACY_GUARD_ERASER_SHARED_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

extern Size eraser_shmem_size(void);
extern void eraser_shmem_attach(void);

/* The eraser of the database shall come soon, also if it is there and about to leave. */
extern void eraser_wake(Oid database);

/* ---- for the launcher ---- */

/* The databases whose eraser is to be started now: none of those that are held (ring_hold.h). */
extern List *eraser_due(void);

/* When the next one is to be started; DT_NOEND: not before somebody wakes it. */
extern TimestampTz eraser_next_start(void);

extern bool eraser_is_running(Oid database);

/* The database is gone. */
extern void eraser_forget(Oid database);

/* ---- for commands that need a database alone ---- */

/* Ask it to leave after its batch.  Returns its process, or 0. */
extern int eraser_send_away(Oid database);

/* ---- for the eraser itself ---- */

typedef enum EraserPhase
{
	ERASER_LOOKS,  /* for what is due */
	ERASER_ERASES, /* a batch */
	ERASER_PAUSES  /* for the sake of erase_rate */
} EraserPhase;

/* Become the eraser of this database.  False when it has one, or when no slot is left. */
extern bool eraser_attach(void);

/* Has it been sent away? */
extern bool eraser_is_unwanted(void);

/*
 * Cease to be it: all is done, and more is to do at that time (DT_NOEND: never); there is more to
 * do, later; or nothing can be done, and the next try comes after a pause that grows.  One that
 * exits without any of these has failed.
 */
extern void eraser_detach_done(TimestampTz due);
extern void eraser_detach_unfinished(void);
extern void eraser_detach_failed(void);

extern void eraser_report_task(const char *task, Oid relation);
extern void eraser_report_phase(EraserPhase phase);
extern void eraser_report_batch(int64 rows);

#endif
