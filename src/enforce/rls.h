/*
 * rls.h
 *		Layer 1: the guard as a row-security policy, for the roles that row security covers.
 */
#ifndef PRIVACY_GUARD_RLS_H
#define PRIVACY_GUARD_RLS_H

extern void rls_init(void);

/* The name of the stored policy, and of those that the hooks supply. */
#define RLS_POLICY_NAME "privacy_guard"

#endif
