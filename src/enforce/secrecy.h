/*
 * secrecy.h
 *		Who may read the tables of the audit log.
 */
#ifndef PRIVACY_GUARD_SECRECY_H
#define PRIVACY_GUARD_SECRECY_H

#include "postgres.h"

/*
 * Refuses to read one of these tables past the functions that check who asks, and put the reading
 * on record.  source_text may be NULL.
 */
extern void secrecy_check_read(Oid relid, const char *source_text);

#endif
