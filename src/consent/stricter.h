/*
 * stricter.h
 *		May a change of a data subject's state have taken a permission away?
 */
#ifndef PRIVACY_GUARD_STRICTER_H
#define PRIVACY_GUARD_STRICTER_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

/* Rows of privacy_guard.subject_state; NULL for none.  True where that is not certain. */
extern bool stricter_state(HeapTuple before, HeapTuple after, TupleDesc desc);

#endif
