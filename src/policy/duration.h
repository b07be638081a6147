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

/*
 * The greatest instant up to which all sums with the period are not later than at.  It differs
 * where months carry several days to the same one: then the last hours of an earlier day end after
 * the first of a later one.  Hiding goes by the other, which may be hours early; erasing by this.
 */
extern TimestampTz duration_safe_cutoff(TimestampTz at, const Interval *period);

/* The last date that begins, in UTC, not later than the instant. */
extern DateADT duration_cutoff_date(TimestampTz cutoff);

#endif
