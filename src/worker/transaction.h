/*
 * transaction.h
 *		A worker's transaction: as the extension's owner, and with errors reported, not raised.
 */
#ifndef PRIVACY_GUARD_WORKER_TRANSACTION_H
#define PRIVACY_GUARD_WORKER_TRANSACTION_H

#include "postgres.h"

/* What is done inside; it may raise. */
typedef void (*WorkerStep)(void);

typedef enum WorkerResult
{
	WORKER_DONE,
	WORKER_FAILED, /* aborted */
	WORKER_ABSENT  /* the extension is not in this database; the step did not run */
} WorkerResult;

/* How the steps of a worker run, and how their errors are reported. */
typedef struct WorkerManner
{
	const char *hint;        /* for the errors in the log */
	int timeout;             /* of a step, in ms; 0: none */
	bool runs_others_code;   /* whose messages may hold values, so that they are left out */
	bool waits_for_standbys; /* where the server is so configured */
} WorkerManner;

/* Once; it also fixes the settings that statements depend on, whatever database and server say. */
extern void worker_begin(const WorkerManner *manner);

/*
 * One step in one transaction, committed to disk at least locally.  What says in words what could
 * not be done; an error is logged once until the step succeeds or fails otherwise, and never when
 * it is NULL.
 */
extern WorkerResult worker_run(WorkerStep step, const char *what);

/* Why the last step failed. */
typedef struct WorkerError
{
	int sqlstate;
	char message[256];
	bool timed_out; /* the step's own time was over */
} WorkerError;

extern const WorkerError *worker_error(void);

/* SIGTERM: sets ShutdownRequestPending, and ends a wait for a synchronous standby. */
extern void worker_handle_sigterm(SIGNAL_ARGS);

/* SIGINT: ends a wait for a lock after lock_timeout, and nothing else. */
extern void worker_handle_sigint(SIGNAL_ARGS);

/* SIGINT, for a worker that may be cancelled: ends the step that is running, if any. */
extern void worker_handle_cancel(SIGNAL_ARGS);

#endif
