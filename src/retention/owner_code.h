/*
 * owner_code.h
 *		Whose code a change of a table would run, and as whom.
 */
#ifndef PRIVACY_GUARD_RETENTION_OWNER_CODE_H
#define PRIVACY_GUARD_RETENTION_OWNER_CODE_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef enum OwnerCodeEvent
{
	OWNER_CODE_DELETE,
	OWNER_CODE_UPDATE
} OwnerCodeEvent;

/*
 * Would the event run somebody's code as a superuser, because one owns the table?  Also true where
 * rewrite rules would put statements into ours.
 */
extern bool owner_code_of_table(Oid relid, OwnerCodeEvent event);

/* Is a function in the expression that is not of PostgreSQL itself? */
extern bool owner_code_calls_user_function(Node *node);

/* An error where rules or triggers of the table itself stand against changing it as its owner. */
extern void owner_code_check(Oid relid);

/* The same where core cascades an event to a table: it may have got a trigger meanwhile. */
extern void owner_code_check_cascade(Oid relid, OwnerCodeEvent event);

#endif /* PRIVACY_GUARD_RETENTION_OWNER_CODE_H */
