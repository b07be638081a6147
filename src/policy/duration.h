/*
 * duration.h
 *		When a storage duration has ended.
 */
#ifndef PRIVACY_GUARD_DURATION_H
#define PRIVACY_GUARD_DURATION_H

#include "postgres.h"

#include "utils/date.h"
#include "utils/timestamp.h"

/*
 * The greatest instant whose sum with the period is not later than at, in UTC and with months as
 * PostgreSQL adds them; -infinity or infinity where no timestamp is.  Raises nothing.  What begins
 * then or earlier has ended.
 */
extern TimestampTz duration_cutoff(TimestampTz at, const Interval *period);

/* The last date that begins, in UTC, not later than the instant. */
extern DateADT duration_cutoff_date(TimestampTz cutoff);

#endif
