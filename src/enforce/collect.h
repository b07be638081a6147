/*
 * collect.h
 *		Putting on record whose rows an execution uses.
 */
#ifndef PRIVACY_GUARD_COLLECT_H
#define PRIVACY_GUARD_COLLECT_H

#include "postgres.h"

#include "enforce/frame.h"
#include "tcop/dest.h"

/* When the execution starts, so that the numbers of a subtransaction's executions are a range. */
extern void collect_number(Frame *frame);

/*
 * Before a frame's execution runs first: reserve space for its records, and watch its scans.  May
 * wait and raise.
 */
extern void collect_open(Frame *frame);

/*
 * An error ends the execution, and is its outcome.  Rows that a scan had in hand then have been
 * used: the error may tell their values.  NULL: does nothing.  May wait and raise.
 */
extern void collect_error(Frame *frame, int sqlerrcode);

/* The execution has come to its end.  May raise. */
extern void collect_close(Frame *frame);

#endif
