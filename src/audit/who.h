/*
 * who.h
 *		Who acts, as records name him.
 */
#ifndef PRIVACY_GUARD_WHO_H
#define PRIVACY_GUARD_WHO_H

#include "postgres.h"

#include "audit/record.h"

extern void who_init(void);
extern Size who_shmem_size(void);
extern void who_shmem_attach(void);

/* The session, as %c of log_line_prefix writes it; in a parallel worker, its leader's. */
extern const char *who_session(void);

/*
 * FIELD_SESSION_USER (the role that logged in) to FIELD_PID; role is the present one.  Good until
 * the next call.
 */
extern RecordFragment who_fragment(Oid role);

/*
 * Executions are numbered within a session.  Parallel workers ask for the one that their leader
 * has announced; announce returns the one before, to be announced again afterwards.
 */
extern uint32 who_next_execution(void);
extern uint32 who_announce_execution(uint32 execution);
extern uint32 who_leader_execution(void);

#endif
