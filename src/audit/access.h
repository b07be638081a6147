/*
 * access.h
 *		One execution's access to one guarded table, while it goes on.
 *
 * It gathers the subjects whose rows left the scans (or were written), and holds enough space in
 * the ring at every moment to say so: when the execution ends, by whatever way.
 */
#ifndef PRIVACY_GUARD_ACCESS_H
#define PRIVACY_GUARD_ACCESS_H

#include "postgres.h"

#include "audit/record.h"
#include "audit/ring.h"
#include "audit/what.h"
#include "lib/stringinfo.h"
#include "types/subject_set.h"

#define ACCESS_FEW RECORD_SUBJECT_ARRAY /* subjects that fit into the record itself */
#define ACCESS_MANY 1024                /* gathered before they go into the bitmap */

typedef struct Access
{
	struct Access *next; /* of those that are open */
	MemoryContext context;
	int nest_level; /* of the transaction that it belongs to */
	bool closed;
	bool by_subject;  /* or only the statement */
	bool worker_part; /* of a parallel worker: the leader has the record that closes it */
	uint32 execution;
	const char *exempt;
	int error; /* what ended the execution; 0: nothing so far */
	uint64 rows;
	uint64 withheld;

	RecordWriter prefix; /* the fields up to FIELD_FINGERPRINT */
	Size reserved;       /* of the ring */

	/* The subjects.  Numbers first wait in an array; keys are of subjects that have no number. */
	uint64 few[ACCESS_FEW];
	uint64 *number;
	int n_numbers;
	int max_numbers;
	SubjectBits *bits;
	Size bits_size;         /* when written */
	StringInfoData keys[3]; /* by AuditKeyBlock, from AUDIT_BLOCK_INT on */
	int n_keys[3];
	Size last_length[3];
	int32 category; /* of the keys: their judge knows it */
	uint8 *scratch; /* the blocks of the message */
	Size scratch_size;
} Access;

typedef struct AccessStart
{
	int nest_level; /* of the transaction whose end decides the outcome */
	Oid role;
	TimestampTz time;
	uint32 execution;
	const char *purpose; /* NULL when exempt */
	int purpose_version;
	const char *legal_basis;
	int32 rule;
	const char *operation;
	Oid relid;
	const Bitmapset *columns;
	const char *recipient;
	int64 fingerprint;
	const char *exempt;
	bool by_subject;
	bool worker_part;
} AccessStart;

/* May wait and raise, as audit_ring_reserve().  It is closed at the latest when the context goes.
 */
extern Access *access_open(MemoryContext context, const AccessStart *start);

/* May wait and raise. */
extern void access_settle(Access *access);
extern void access_add_key(Access *access, AuditKeyBlock kind, const void *key, Size length);

/* A subject whose row was used.  May wait and raise. */
static inline void
access_add_number(Access *access, uint64 number)
{
	if (access->n_numbers > 0 && access->number[access->n_numbers - 1] == number)
		return;
	if (unlikely(access->n_numbers == access->max_numbers))
		access_settle(access);
	access->number[access->n_numbers++] = number;
}

/* The execution came to its end: the record waits for the end of its transaction.  May raise. */
extern void access_close(Access *access);

/* An error ends the execution, and will be its outcome. */
extern void access_note_error(Access *access, int sqlerrcode);

/*
 * All open ones of this (sub)transaction and those within it did not come to their end: their
 * records go into the ring at once.  Never waits, never raises.
 */
extern void access_abandon_all(int nest_level);
extern void access_inherit_all(int nest_level); /* they go on in the transaction around it */

/* Of all open ones: what was gathered since the last part, and that more may follow.  May raise. */
extern void access_say_parts(void);

#endif
