/*
 * number.h
 *		From the keys of data subjects to the numbers that stand for them in records.
 *
 * Only the audit writer gives numbers.  It gathers the keys of a whole batch of messages, so that
 * they are looked up and made together, and each key once.
 */
#ifndef PRIVACY_GUARD_NUMBER_H
#define PRIVACY_GUARD_NUMBER_H

#include "postgres.h"

#include "types/subject_bits.h"

/* Forget the keys of the last batch; those of the next live in the context. */
extern void number_begin(MemoryContext context);

/*
 * Take the blocks of keys of one message (AuditKeyBlock in ring.h).  The bytes must stay where they
 * are until the batch is over.  False when they are not blocks of keys; then nothing was taken.
 */
extern bool number_gather(const uint8 *blocks, Size length);

/*
 * Find the number of each key, and give one to those that have none, in the current transaction.
 * Where another session's open transaction holds a key this does not wait: the number becomes an
 * alias of the one that will hold.  Needs a verb to be in progress.
 */
extern void number_resolve(void);

/*
 * The numbers of a message whose blocks were gathered and resolved: so many, in no order, and with
 * repetitions.  out has room for number_count().
 */
extern Size number_count(const uint8 *blocks, Size length);
extern Size number_list(const uint8 *blocks, Size length, uint64 *out);

/* The numbers that the message brings as bitmaps. */
extern void number_put_bitmaps(const uint8 *blocks, Size length, SubjectBits *bits);

#endif
