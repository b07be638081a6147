/*
 * pace.h
 *		How many rows may be erased now, so that erase_rate is kept.
 */
#ifndef PRIVACY_GUARD_PACE_H
#define PRIVACY_GUARD_PACE_H

#include "postgres.h"

typedef struct Pace
{
	int rate;       /* rows a second; 0: no limit */
	double earned;  /* rows that may be erased now */
	uint64 counted; /* until when earned is counted, in microseconds of any clock that only grows */
} Pace;

/* Nothing is earned at the start. */
extern void pace_begin(Pace *pace, uint64 now);

/* The size of the next batch, not larger than wanted. */
extern int pace_batch(Pace *pace, int rate, int wanted);

/* How long until it is earned, in milliseconds, rounded up; 0: it may begin. */
extern long pace_wait(Pace *pace, int batch, uint64 now);

extern void pace_spend(Pace *pace, int64 rows);

#endif
