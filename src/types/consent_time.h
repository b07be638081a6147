/*
 * consent_time.h
 *		Points in time as text, independent of DateStyle and TimeZone.
 *
 *		time = YYYY-MM-DD "T" HH:MM:SS [ "." 1 to 6 digits ] ( "Z" | ("+" | "-") HH [ ":" MM ] )
 *
 * in the years 0001 to 9999. Written with Z, and without trailing zeros in the fraction.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_CONSENT_TIME_H
#define PRIVACY_GUARD_CONSENT_TIME_H

#include "datatype/timestamp.h"

#define CONSENT_TIME_BUFFER 32

/* Reads a time at *at and moves past it; false, with *at unchanged, when there is none. */
extern bool consent_time_parse(const char **at, const char *end, TimestampTz *out);

/* Returns buffer, of CONSENT_TIME_BUFFER bytes. */
extern const char *consent_time_format(TimestampTz time, char *buffer);

#endif /* PRIVACY_GUARD_CONSENT_TIME_H */
