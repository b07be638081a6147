/*
 * utility_role.h
 *		Memberships and attributes that would lead around the guards.
 */
#ifndef PRIVACY_GUARD_UTILITY_ROLE_H
#define PRIVACY_GUARD_UTILITY_ROLE_H

#include "postgres.h"

#include "nodes/nodes.h"

extern Size utility_role_shmem_size(void);
extern void utility_role_shmem_attach(void);

/* Remember for all databases that this one guards tables. */
extern void utility_role_note_guards(void);

/* Before a command, in any database: refuse what only a data steward may do to roles. */
extern void utility_role_check(Node *statement);

#endif
