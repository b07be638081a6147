/*
 * purpose_set.h
 *		privacy_guard.purpose_set: a sorted set of purpose paths.
 *
 * Values are checked when they are made, so readers trust them.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_PURPOSE_SET_H
#define PRIVACY_GUARD_PURPOSE_SET_H

#include "fmgr.h"

/* A detoasted value; a short varlena header is fine everywhere. */
typedef struct PurposeSet
{
	int32 vl_len_;
	char payload[FLEXIBLE_ARRAY_MEMBER];
} PurposeSet;

/* Not terminated; belongs to whatever it was read from. */
typedef struct PurposeSetMember
{
	const char *path;
	int len;
} PurposeSetMember;

#define DatumGetPurposeSetP(datum) ((PurposeSet *) PG_DETOAST_DATUM_PACKED(datum))

/*
 * Whether the path or one of its ancestors is in the set. Never allocates, never raises an error;
 * a value in an unknown format covers nothing (purpose_set_count() raises an error for it).
 */
extern bool purpose_set_covers(const PurposeSet *set, const char *path, int path_len);

/* Whether exactly this path is in the set. */
extern bool purpose_set_has(const PurposeSet *set, const char *path, int path_len);

/* Reading all members, in order. */
extern int purpose_set_count(const PurposeSet *set);
extern void purpose_set_get(const PurposeSet *set, int i, PurposeSetMember *out);

/* Makes a value of valid paths, in the current memory context; sorts the array, drops doubles. */
extern PurposeSet *purpose_set_form(PurposeSetMember *members, int count);

#endif /* PRIVACY_GUARD_PURPOSE_SET_H */
