/*
 * ring_hold.h
 *		Keeping the workers out of a database for a command that needs it alone.
 */
#ifndef PRIVACY_GUARD_RING_HOLD_H
#define PRIVACY_GUARD_RING_HOLD_H

#include "postgres.h"

/*
 * Until this backend ends its holds, or exits, no worker stays in the database: those that are
 * there begin to leave.  Returns the process of the writer, or 0.  Holds of several backends add
 * up.
 */
extern int audit_hold_begin(Oid database);
extern void audit_hold_end_all(void);

extern bool audit_hold_is_mine(Oid database);
extern bool audit_hold_exists(Oid database);

#endif
