/*
 * subject_bits.h
 *		Sets of subjects' numbers that grow: what privacy_guard.subject_set is made from.
 *
 * Numbers are from 1 to 2^63 - 1; who has numbers of unknown origin checks them first.
 *
 * CRoaring takes its memory from malloc(), not from the memory context, so accounting does not see
 * it. The context owns it all the same: it goes when the context is reset or deleted, after an
 * error too. Where CRoaring would crash for want of memory, functions raise ERRCODE_OUT_OF_MEMORY
 * beforehand, and they raise ERRCODE_PROGRAM_LIMIT_EXCEEDED when a set gets more than
 * ROARING_MAX_CONTAINERS containers, which takes numbers of 2^36 and above. After an error a set
 * has all, some or none of what was to be put in, and may be used on.
 *
 * "Portable" bytes are in the 64-bit Roaring format (roaring_format.h).
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_SUBJECT_BITS_H
#define PRIVACY_GUARD_SUBJECT_BITS_H

#define SUBJECT_MAX ((uint64) PG_INT64_MAX)

typedef struct SubjectBits SubjectBits;

/* An empty set that lives in this context. */
extern SubjectBits *subject_bits_create(MemoryContext context);

/*
 * Putting numbers in, in any order. One call with many numbers is much faster than many calls, most
 * of all when they ascend.
 */
extern void subject_bits_add(SubjectBits *bits, uint64 number);
extern void subject_bits_add_many(SubjectBits *bits, const uint64 *numbers, Size count);
extern void subject_bits_add_range(SubjectBits *bits, uint64 first, uint64 last);

/* Puts in the members of a set in portable bytes, which must be right (roaring_check()). */
extern void subject_bits_or_serialized(SubjectBits *bits, const char *portable, Size size);

/* Puts in what is in the other set; keeps what is in both; takes out what is in the other. */
extern void subject_bits_or(SubjectBits *bits, const SubjectBits *other);
extern void subject_bits_and(SubjectBits *bits, const SubjectBits *other);
extern void subject_bits_subtract(SubjectBits *bits, const SubjectBits *other);

/* Makes it empty and gives its memory back. */
extern void subject_bits_clear(SubjectBits *bits);

extern uint64 subject_bits_count(const SubjectBits *bits);
extern bool subject_bits_is_empty(const SubjectBits *bits);

/* Whether every member of the second is one of the first; whether they have one in common. */
extern bool subject_bits_contain(const SubjectBits *bits, const SubjectBits *other);
extern bool subject_bits_overlap(const SubjectBits *bits, const SubjectBits *other);

/* Calls visit for each member in ascending order, until it returns false. */
extern void subject_bits_iterate(const SubjectBits *bits, bool (*visit)(uint64 number, void *arg),
                                 void *arg);

/* Makes the set, and its bytes, as small as they can be. */
extern void subject_bits_optimize(SubjectBits *bits);

/*
 * Portable bytes of the set as it is, optimized or not. Both visit each container once, do not
 * raise errors and need no memory that was not there before: they may run while a transaction
 * aborts. The size may be asked for now and then while a set grows.
 */
extern Size subject_bits_serialized_size(const SubjectBits *bits);
extern void subject_bits_serialize(const SubjectBits *bits, char *out);

#endif /* PRIVACY_GUARD_SUBJECT_BITS_H */
