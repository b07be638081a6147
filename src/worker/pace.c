/*
 * pace.c
 *		How many rows may be erased now, so that erase_rate is kept.
 *
 * A batch begins when all of it has been earned, and costs what it did erase: so at no time has
 * more been erased than the rate allows, and what a late start or a slow batch left over is made up
 * for, up to the size of a batch.  Small rates make small batches, so that they are spread evenly.
 */
#include "postgres.h"

#include <math.h>

#include "worker/pace.h"

#define BATCHES_PER_SECOND 5
#define MICROSECONDS 1000000.0

void
pace_begin(Pace *pace, uint64 now)
{
	pace->rate = 0;
	pace->earned = 0;
	pace->counted = now;
}

int
pace_batch(Pace *pace, int rate, int wanted)
{
	if (rate != pace->rate)
		pace->earned = 0;
	pace->rate = rate;
	return rate == 0 ? wanted : Min(wanted, Max(rate / BATCHES_PER_SECOND, 1));
}

long
pace_wait(Pace *pace, int batch, uint64 now)
{
	pace->earned += (now - pace->counted) * (pace->rate / MICROSECONDS);
	pace->earned = Min(pace->earned, 2.0 * batch);
	pace->counted = now;
	if (pace->rate == 0 || pace->earned >= batch)
		return 0;
	return (long) ceil((batch - pace->earned) * 1000 / pace->rate);
}

void
pace_spend(Pace *pace, int64 rows)
{
	pace->earned -= rows;
}
