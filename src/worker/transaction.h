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

/* The settings under which the statements of a worker run, whatever database and configuration say.
 */
extern void worker_fix_settings(void);

/*
 * One step in one transaction, committed to disk at least locally.  What says in words what could
 * not be done; an error is logged once until the step succeeds or fails otherwise, and never when
 * it is NULL.
 */
extern WorkerResult worker_run(WorkerStep step, const char *what);

/* SIGTERM: sets ShutdownRequestPending, and ends a wait for a synchronous standby. */
extern void worker_handle_sigterm(SIGNAL_ARGS);

/* SIGINT: ends a wait for a lock after lock_timeout, and nothing else. */
extern void worker_handle_sigint(SIGNAL_ARGS);

#endif
