/*
 * ring_shared.h
 *		The rings in shared memory: how they are laid out, and which database has which.
 *
 * Private to ring.c (producers), ring_writer.c (the consumer), ring_hold.c (keeping the writer
 * away) and ring_shared.c (assignment).
 *
 * Two locks, both in tranche privacy_guard_audit_ring.  AuditRings.lock guards which ring belongs
 * to which database and who may serve it; AuditRing.lock guards what is in a ring.  Whoever needs
 * both takes AuditRings.lock first.  Both are held for a few copies at most, never while waiting.
 * Latches in shared memory live as long as the server, so that one may be set after the locks are
 * released, and whoever owns it by then is only woken for nothing.
 */
#ifndef PRIVACY_GUARD_RING_SHARED_H
#define PRIVACY_GUARD_RING_SHARED_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "audit/ring.h"

/* What the writer wants to be woken for. */
typedef enum RingSleep
{
	RING_AWAKE,   /* nothing: it looks again before it sleeps */
	RING_GATHERS, /* a wish, or a ring that is half full; else it wakes by itself */
	RING_IDLES    /* any message */
} RingSleep;

typedef struct AuditRing
{
	LWLock lock;

	/* Guarded by lock. */
	RingPosition head;        /* where the next message goes */
	pg_atomic_uint64 durable; /* the log holds all before it, and its room is free; also read
	                           * without the lock, for it only grows */
	uint64 reserved;          /* bytes that producers may push without asking */
	RingPosition wished;      /* somebody waits for durable to come here */
	RingSleep sleep;
	Latch *writer; /* NULL when there is none; changed under both locks */

	/* Guarded by AuditRings.lock. */
	Oid database; /* invalid when the ring is free */
	int producers;
	bool wanted;   /* the database shall have a writer */
	bool served;   /* a writer has told the log of its start since the server's */
	bool draining; /* the server stops: tell the writer when the last producer has left */
	bool closed;   /* and the writer has left, too */
	pg_atomic_uint32 writer_pid; /* 0 when there is none; also read without the lock */

	ConditionVariable room;    /* space became free, or a writer came */
	ConditionVariable flushed; /* durable has grown */
} AuditRing;

/* Databases whose writer has to stay away for the sake of a command. */
#define RING_HOLDS 64

typedef struct RingHold
{
	Oid database;
	int holders; /* 0: a free entry */
} RingHold;

typedef struct AuditRings
{
	LWLock lock;
	Latch *launcher; /* guarded by lock; also read without it */
	RingHold hold[RING_HOLDS];
	AuditRing ring[FLEXIBLE_ARRAY_MEMBER];
} AuditRings;

extern AuditRings *audit_rings;

extern Size audit_ring_size(void); /* bytes of each ring */
extern uint8 *audit_ring_bytes(const AuditRing *ring);

/* The ring of a database, or NULL.  The caller holds AuditRings.lock. */
extern AuditRing *audit_ring_find(Oid database);

/* The same, or else a free one; NULL when all are taken.  The caller holds it exclusively. */
extern AuditRing *audit_ring_assign(Oid database);

/* Is somebody keeping the writer away?  The caller holds AuditRings.lock. */
extern bool audit_hold_exists_locked(Oid database);

/* Where the next message goes, by a look of its own under the ring's lock. */
extern RingPosition audit_ring_head_of(AuditRing *ring);

/* What is in the ring and not yet durable.  The caller holds its lock. */
extern uint64 audit_ring_pending(const AuditRing *ring);

#endif
