/*
 * key_block.h
 *		The keys of data subjects in a message of the ring (AuditKeyBlock in ring.h).
 */
#ifndef PRIVACY_GUARD_KEY_BLOCK_H
#define PRIVACY_GUARD_KEY_BLOCK_H

#include "postgres.h"

#include "audit/ring.h"

/* One member: an integer (or a known number), or the bytes of a uuid or text in the message. */
typedef struct AuditKey
{
	union
	{
		int64 integer;
		const uint8 *bytes;
	} value;
	uint32 length; /* of bytes */
	uint64 number; /* that stands for it; 0: not known yet */
} AuditKey;

typedef struct KeyBlock
{
	AuditKeyBlock kind;
	int32 category;
	uint32 count;        /* of members */
	const uint8 *bitmap; /* of AUDIT_BLOCK_BITMAP, which has no members */
	uint32 bitmap_length;
} KeyBlock;

/* Are these whole blocks and nothing else, with numbers that subjects can have? */
extern bool key_blocks_are_sound(const uint8 *blocks, Size length);

/*
 * Walk over blocks and over the members of each, moving *at.  False at the end, or when what should
 * be there does not end before end.
 */
extern bool key_block_next(const uint8 **at, const uint8 *end, KeyBlock *block);
extern bool key_block_member(AuditKeyBlock kind, const uint8 **at, const uint8 *end, AuditKey *key);

#endif
