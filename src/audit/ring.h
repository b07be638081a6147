/*
 * ring.h
 *		The way from the backends to the audit writer of their database, in shared memory.
 *
 * A ring is a queue of messages for one database.  Producers reserve space where they may wait and
 * fail, and push from what they reserved where they may not; the writer frees space only when what
 * it read is durable.  Positions count bytes since the server started and never wrap.
 */
#ifndef PRIVACY_GUARD_RING_H
#define PRIVACY_GUARD_RING_H

#include "postgres.h"

#include "port/atomics.h"

typedef uint64 RingPosition;

/* What a message carries after this header: record_length bytes, then keys_length bytes. */
typedef struct AuditMessage
{
	uint32 length; /* with this header, and rounded up */
	uint32 record_length;
	uint32 keys_length;
	uint32 flags;
} AuditMessage;

#define AUDIT_MESSAGE_NEEDS_SUBJECTS 1 /* the writer appends FIELD_SUBJECTS, from the keys */
#define AUDIT_MESSAGE_STATEMENT 2      /* dropped where the fingerprint is on record already */

/*
 * The keys of a message are blocks: kind (uint8), category (int32), count (uint32), all unaligned,
 * then the members: int64 each, 16 bytes each, or a length (uint16) and bytes each.
 */
typedef enum AuditKeyBlock
{
	AUDIT_BLOCK_NUMBERS, /* subjects whose number is known; category 0 */
	AUDIT_BLOCK_INT,
	AUDIT_BLOCK_UUID,
	AUDIT_BLOCK_TEXT,
	AUDIT_BLOCK_BITMAP /* known numbers in the portable Roaring format; count is its length */
} AuditKeyBlock;
#define AUDIT_BLOCK_HEADER 9

#define AUDIT_MESSAGE_SIZE(record_length, keys_length)                                             \
	MAXALIGN(sizeof(AuditMessage) + (Size) (record_length) + (Size) (keys_length))

extern Size audit_ring_shmem_size(void);
extern void audit_ring_shmem_attach(void);

/* Is this process an audit writer? */
extern bool audit_ring_is_writer(void);

/* ---- producers ---- */

/*
 * Reserve space for messages of this database, besides what this backend holds already; joins the
 * ring first.  Waits while there is none.  Raises 53400 after audit_timeout or when there is no
 * ring to be had, 57014 when cancelled.
 */
extern void audit_ring_reserve(Size bytes);
extern Size audit_ring_reserved(void);          /* what this backend holds */
extern void audit_ring_release(Size bytes);     /* give back what was not needed */
extern bool audit_ring_try_reserve(Size bytes); /* without waiting; never raises */

/* The longest message that can ever be reserved at once. */
extern Size audit_ring_max_message(void);

/*
 * Push one message out of what is reserved.  Never waits for space and never raises.  Returns the
 * position after it.
 */
extern RingPosition audit_ring_push(uint32 flags, const void *record, Size record_length,
                                    const void *keys, Size keys_length);

/* Position after the last message that this backend pushed; 0 for none. */
extern RingPosition audit_ring_pushed(void);

/* Position after the last message that anybody pushed; 0 when the database has no ring. */
extern RingPosition audit_ring_head(void);

/*
 * Wait until the log holds everything before the position.  May fail: raises 53400 after
 * audit_timeout, 57014 when cancelled.  May not: false after audit_timeout.
 */
extern bool audit_ring_wait(RingPosition position, bool may_fail);

#endif
