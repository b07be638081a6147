/*
 * disclose.h
 *		Holding rows back until it is on record that they were read.
 */
#ifndef PRIVACY_GUARD_DISCLOSE_H
#define PRIVACY_GUARD_DISCLOSE_H

#include "postgres.h"

#include "tcop/dest.h"

/*
 * Returns when everything that was read so far is durably on record; raises where it cannot be.
 */
typedef void (*DiscloseRelease)(void *arg);

/* Do rows leave the server through this receiver while the executor runs? */
extern bool disclose_leaves_server(const DestReceiver *receiver);

/*
 * For one run of the executor: a receiver that keeps the rows and passes them to the inner one
 * after each release, which happens when it holds many, and at the end of the run.  The executor
 * has then run ahead of an inner receiver that wants no more rows; they are on record as read.
 *
 * Finish follows the run, on success: it releases a run that gave no rows, since even its end
 * tells something, and frees the receiver.  On an error nothing was passed on that was not
 * released; the receiver goes with the current memory context of disclose_wrap().
 */
extern DestReceiver *disclose_wrap(DestReceiver *inner, DiscloseRelease release, void *arg);
extern void disclose_finish(DestReceiver *receiver);

#endif
