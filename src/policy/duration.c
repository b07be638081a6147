/*
 * duration.c
 *		When a storage duration has ended.
 *
 * Adding a period adds its months, then its days, then its time.  Of an instant in UTC the last two
 * can be taken off again.  Months cannot: several days at the end of January are carried to 28
 * February, and none of February to 31 March.  So the last day is found that is not carried too
 * far.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"

#include "policy/duration.h"

/* Days are counted from 2000-01-01, as in a date. */
#define FIRST_DAY (DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE)
#define END_OF_DAYS (TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)

PG_FUNCTION_INFO_V1(duration_cutoff_at);
PG_FUNCTION_INFO_V1(duration_safe_cutoff_at);

static int
length_of_month(int year, int month)
{
	return day_tab[isleap(year)][month - 1];
}

/*
 * The last day that so many months do not carry beyond the given one.  is_whole: they carry it to
 * an earlier one, so that no time of it is carried too far.
 */
static int64
take_off_months(int64 day, int32 months, bool *is_whole)
{
	int year;
	int month;
	int of_month;
	int64 total;
	bool is_last;
	int length;

	j2date((int) day + POSTGRES_EPOCH_JDATE, &year, &month, &of_month);
	is_last = of_month == length_of_month(year, month);
	/* Counted from the first year of all, so that nothing is negative. */
	total = (int64) (year - JULIAN_MINYEAR) * MONTHS_PER_YEAR + month - 1 - months;
	if (total < 0)
		return PG_INT32_MIN;
	if (total >= (int64) (JULIAN_MAXYEAR - JULIAN_MINYEAR) * MONTHS_PER_YEAR)
		return PG_INT32_MAX;
	year = (int) (total / MONTHS_PER_YEAR) + JULIAN_MINYEAR;
	month = (int) (total % MONTHS_PER_YEAR) + 1;
	length = length_of_month(year, month);
	*is_whole = length < of_month;
	return date2j(year, month, is_last ? length : Min(of_month, length)) - POSTGRES_EPOCH_JDATE;
}

TimestampTz
duration_cutoff(TimestampTz at, const Interval *period)
{
	int64 day;
	int64 time;
	bool is_whole = false;

	if (TIMESTAMP_NOT_FINITE(at))
		return at;
	day = at / USECS_PER_DAY - period->day - period->time / USECS_PER_DAY;
	time = at % USECS_PER_DAY - period->time % USECS_PER_DAY;
	while (time < 0)
	{
		day--;
		time += USECS_PER_DAY;
	}
	if (time >= USECS_PER_DAY)
	{
		day++;
		time -= USECS_PER_DAY;
	}
	if (period->month != 0 && day >= FIRST_DAY && day < END_OF_DAYS)
		day = take_off_months(day, period->month, &is_whole);
	if (day < FIRST_DAY)
		return DT_NOBEGIN;
	if (day >= END_OF_DAYS)
		return DT_NOEND;
	return day * USECS_PER_DAY + (is_whole ? USECS_PER_DAY - 1 : time);
}

/* Days that a month may be longer than the one that it is carried to. */
#define CARRIED_DAYS 3

TimestampTz
duration_safe_cutoff(TimestampTz at, const Interval *period)
{
	TimestampTz cutoff = duration_cutoff(at, period);
	int64 last;

	if (period->month == 0 || TIMESTAMP_NOT_FINITE(cutoff))
		return cutoff;
	last = duration_cutoff_date(cutoff);
	for (int64 day = Max(last - CARRIED_DAYS, FIRST_DAY); day < last; day++)
	{
		TimestampTz end = DatumGetTimestamp(
		    DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(day * USECS_PER_DAY),
		                        IntervalPGetDatum((Interval *) period)));

		if (at - end < USECS_PER_DAY - 1)
			return day * USECS_PER_DAY + Max(at - end, -1);
	}
	return cutoff;
}

DateADT
duration_cutoff_date(TimestampTz cutoff)
{
	if (TIMESTAMP_IS_NOBEGIN(cutoff))
		return DATEVAL_NOBEGIN;
	if (TIMESTAMP_IS_NOEND(cutoff))
		return DATEVAL_NOEND;
	return (DateADT) (cutoff / USECS_PER_DAY - (cutoff % USECS_PER_DAY < 0));
}

/* duration_cutoff(at timestamptz, period interval) */
Datum
duration_cutoff_at(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(duration_cutoff(PG_GETARG_TIMESTAMPTZ(0), PG_GETARG_INTERVAL_P(1)));
}

/* duration_safe_cutoff(at timestamptz, period interval) */
Datum
duration_safe_cutoff_at(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(duration_safe_cutoff(PG_GETARG_TIMESTAMPTZ(0), PG_GETARG_INTERVAL_P(1)));
}
