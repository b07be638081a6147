/*
 * consent_time.c
 *		ISO 8601 in and out, for the text and jsonb forms of consent.
 *
 * The server's own timestamp input accepts a wide language that depends on settings and on the
 * clock ('now', 'yesterday'); a dump must read back as what was written.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "types/consent.h"
#include "types/consent_time.h"
#include "utils/datetime.h"

/* Reads exactly `count` digits. */
static bool
take_digits(const char **at, const char *end, int count, int *out)
{
	if (end - *at < count)
		return false;
	*out = 0;
	for (int i = 0; i < count; i++)
	{
		char c = (*at)[i];

		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
	}
	*at += count;
	return true;
}

static bool
take_char(const char **at, const char *end, char wanted)
{
	if (*at >= end || **at != wanted)
		return false;
	(*at)++;
	return true;
}

static bool
take_date(const char **at, const char *end, int64 *days)
{
	int year;
	int month;
	int day;
	int back_year;
	int back_month;
	int back_day;
	int julian;

	if (!take_digits(at, end, 4, &year) || !take_char(at, end, '-') ||
	    !take_digits(at, end, 2, &month) || !take_char(at, end, '-') ||
	    !take_digits(at, end, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1)
		return false;
	julian = date2j(year, month, day);
	j2date(julian, &back_year, &back_month, &back_day);
	if (back_month != month || back_day != day)
		return false;
	*days = julian - POSTGRES_EPOCH_JDATE;
	return true;
}

static bool
take_clock(const char **at, const char *end, int64 *usecs)
{
	int hour;
	int minute;
	int second;
	int fraction = 0;

	if (!take_digits(at, end, 2, &hour) || !take_char(at, end, ':') ||
	    !take_digits(at, end, 2, &minute) || !take_char(at, end, ':') ||
	    !take_digits(at, end, 2, &second))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	if (take_char(at, end, '.'))
	{
		int digit;
		int scale = USECS_PER_SEC;

		while (scale > 1 && take_digits(at, end, 1, &digit))
			fraction += digit * (scale /= 10);
		if (scale == USECS_PER_SEC)
			return false;
	}
	*usecs = ((hour * MINS_PER_HOUR + minute) * (int64) SECS_PER_MINUTE + second) * USECS_PER_SEC +
	         fraction;
	return true;
}

/* Reads Z or an offset to the east of Greenwich. */
static bool
take_zone(const char **at, const char *end, int64 *usecs)
{
	int sign = 1;
	int hours;
	int minutes = 0;

	*usecs = 0;
	if (take_char(at, end, 'Z'))
		return true;
	if (take_char(at, end, '-'))
		sign = -1;
	else if (!take_char(at, end, '+'))
		return false;
	if (!take_digits(at, end, 2, &hours))
		return false;
	if (take_char(at, end, ':') && !take_digits(at, end, 2, &minutes))
		return false;
	if (hours > 15 || minutes > 59)
		return false;
	*usecs = sign * (hours * MINS_PER_HOUR + minutes) * (int64) SECS_PER_MINUTE * USECS_PER_SEC;
	return true;
}

bool
consent_time_parse(const char **at, const char *end, TimestampTz *out)
{
	const char *next = *at;
	int64 days;
	int64 usecs;
	int64 offset;
	TimestampTz time;

	if (!take_date(&next, end, &days) || !take_char(&next, end, 'T') ||
	    !take_clock(&next, end, &usecs) || !take_zone(&next, end, &offset))
		return false;
	time = days * USECS_PER_DAY + usecs - offset;
	if (!CONSENT_TIME_IS_VALID(time))
		return false;
	*at = next;
	*out = time;
	return true;
}

const char *
consent_time_format(TimestampTz time, char *buffer)
{
	int64 days = time / USECS_PER_DAY;
	int64 usecs = time % USECS_PER_DAY;
	int year;
	int month;
	int day;
	int seconds;
	int fraction;
	int len;

	if (usecs < 0)
	{
		usecs += USECS_PER_DAY;
		days--;
	}
	seconds = usecs / USECS_PER_SEC;
	fraction = usecs % USECS_PER_SEC;
	j2date(days + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	len = snprintf(buffer, CONSENT_TIME_BUFFER, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
	               seconds / SECS_PER_HOUR, seconds / SECS_PER_MINUTE % MINS_PER_HOUR,
	               seconds % SECS_PER_MINUTE);
	if (fraction != 0)
	{
		len += snprintf(buffer + len, CONSENT_TIME_BUFFER - len, ".%06d", fraction);
		while (buffer[len - 1] == '0')
			len--;
	}
	strcpy(buffer + len, "Z");
	return buffer;
}
