/*
 * subject_set.h
 *		privacy_guard.subject_set: a compressed set of subjects' numbers, from 1 to 2^63 - 1.
 *
 * Values are checked when they are made, so readers trust them.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_SUBJECT_SET_H
#define PRIVACY_GUARD_SUBJECT_SET_H

#include "fmgr.h"
#include "types/subject_bits.h"

/* A detoasted value; a short varlena header is fine everywhere. */
typedef struct SubjectSet
{
	int32 vl_len_;
	char payload[FLEXIBLE_ARRAY_MEMBER];
} SubjectSet;

#define DatumGetSubjectSetP(datum) ((SubjectSet *) PG_DETOAST_DATUM_PACKED(datum))
#define PG_GETARG_SUBJECT_SET(n) DatumGetSubjectSetP(PG_GETARG_DATUM(n))

/* The portable bytes in a value (roaring_format.h). Raises ERRCODE_DATA_CORRUPTED for a value in an
 * unknown format, as everything below does. */
extern const char *subject_set_portable(const SubjectSet *set, Size *size);

/* Whether the number is in the set, read in place. */
extern bool subject_set_contains(const SubjectSet *set, uint64 number);

extern uint64 subject_set_count(const SubjectSet *set);

/* A growing set with these members. */
extern SubjectBits *subject_set_bits(MemoryContext context, const SubjectSet *set);

/*
 * Makes a value, in the current memory context. Equal sets give equal bytes, whatever became of
 * them before; to that end the set is optimized. ERRCODE_PROGRAM_LIMIT_EXCEEDED when it takes 1 GB.
 */
extern SubjectSet *subject_set_from_bits(SubjectBits *bits);

/*
 * The same of portable bytes of unknown origin. Raises ERRCODE_INVALID_BINARY_REPRESENTATION for
 * bytes that roaring_check() objects to; who wants no error asks that first.
 */
extern SubjectSet *subject_set_from_portable(const char *bytes, Size size);

/* Raises ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, for a number below 1 or above 2^63 - 1. */
extern void subject_set_out_of_range(void);

#endif /* PRIVACY_GUARD_SUBJECT_SET_H */
