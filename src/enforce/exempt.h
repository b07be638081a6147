/*
 * exempt.h
 *		Which single execution sees every row, and why.
 */
#ifndef PRIVACY_GUARD_EXEMPT_H
#define PRIVACY_GUARD_EXEMPT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

extern void exempt_init(void);

typedef enum Exemption
{
	EXEMPT_NOT,
	EXEMPT_OWN,      /* one statement that our own functions run on guarded tables */
	EXEMPT_BY_GLASS, /* an open break-glass */
	EXEMPT_BY_ROLE   /* a role that was exempted for backups */
} Exemption;

/* source_text may be NULL. */
extern Exemption exempt_execution(Oid role, const char *source_text);

/* Does a break-glass of this session stand open now? */
extern bool exempt_glass_is_broken(void);

/*
 * Core's own referential-integrity statements, recognised by the flag that core sets around them
 * and by their shape, because a user's trigger may run inside the same flag.
 */
extern bool exempt_integrity_query(Query *query);

/*
 * Is the flag set?  The planner leaves the guard out of such queries only, so a plan without any
 * guard that is run while it is set is one of them.
 */
extern bool exempt_integrity_context(void);

/* Around the run of a statement; leave with what enter returned, also on error. */
extern bool exempt_enter_integrity(void);
extern void exempt_leave_integrity(bool was);

/* Remember that such a statement has written to this relation: its rows are the parent's doing. */
extern void exempt_note_cascade(Oid relid);
extern bool exempt_is_cascade(Oid relid);

/* While ALTER TABLE validates a foreign key: core's check of both whole tables. */
extern bool exempt_set_validating(bool validating); /* returns what it was */
extern bool exempt_is_validating(void);

#endif
