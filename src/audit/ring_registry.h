/*
 * ring_registry.h
 *		The launcher, and which databases it is to send an audit writer to.
 */
#ifndef PRIVACY_GUARD_RING_REGISTRY_H
#define PRIVACY_GUARD_RING_REGISTRY_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The calling process is the launcher, until it exits: its latch is set when there is news. */
extern void audit_ring_register_launcher(void);

/* There is. */
extern void audit_ring_wake_launcher(void);

/* The databases that have a ring to be served, no writer, and nobody who holds them. */
extern List *audit_ring_unserved(void);

extern bool audit_ring_has_writer(Oid database);

/* The database is gone: so is what was to be written there. */
extern void audit_ring_forget(Oid database);

#endif
