/*
 * ring_writer.h
 *		The consumer's side of a ring.  One process, the audit writer of the database, is attached.
 */
#ifndef PRIVACY_GUARD_RING_WRITER_H
#define PRIVACY_GUARD_RING_WRITER_H

#include "postgres.h"

#include "audit/ring.h"

/* Has the database a ring with producers or messages, or is it said to need a writer? */
extern bool audit_ring_is_wanted(void);

/*
 * Become the writer of this database.  False when it has one, when it is held (ring_hold.h), or
 * when there is no ring left; only the last is reported.
 */
extern bool audit_ring_attach_writer(void);

/*
 * Cease to be it.  With wanted, another shall come; without, false is returned and nothing done
 * when there is something to write.  A writer that exits without either is missed by the launcher.
 */
extern bool audit_ring_detach_writer(bool wanted);

/* Has another writer served this ring since the server started?  If so, nothing can be lost. */
extern bool audit_ring_was_served(void);
extern void audit_ring_set_served(void);

typedef enum RingCall
{
	RING_QUIET, /* nothing that would be urgent */
	RING_FLUSH  /* somebody waits, it has been long enough, or the ring gets full */
} RingCall;

/* Sleep until there is something to do, the latch is set, or so many milliseconds have gone. */
extern RingCall audit_ring_rest(long timeout);

extern RingPosition audit_ring_durable(void);
extern bool audit_ring_is_empty(void);

/*
 * The message at *position, which is moved behind it; NULL when there is none.  It is good until
 * the next call.
 */
extern const AuditMessage *audit_ring_read(RingPosition *position);

/* All before the position is durable: its room is free, and who waited for it goes on. */
extern void audit_ring_free(RingPosition position);

/*
 * The server is stopping.  True when no producer is left and all is written: then nobody can join
 * any more.  Otherwise the latch is set when the last one has left.
 */
extern bool audit_ring_close(void);

#endif
