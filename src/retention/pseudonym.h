/*
 * pseudonym.h
 *		Keyed pseudonyms, in our own statements and nowhere else.
 */
#ifndef PRIVACY_GUARD_RETENTION_PSEUDONYM_H
#define PRIVACY_GUARD_RETENTION_PSEUDONYM_H

#include "postgres.h"

#include "nodes/primnodes.h"

/* Let a call of privacy_guard.pseudonym() in a statement of ours do what its name says. */
extern void pseudonym_enable(FuncExpr *call);

#endif /* PRIVACY_GUARD_RETENTION_PSEUDONYM_H */
