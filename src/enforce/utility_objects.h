/*
 * utility_objects.h
 *		What commands do to single objects, also by CASCADE and by recursion.
 */
#ifndef PRIVACY_GUARD_UTILITY_OBJECTS_H
#define PRIVACY_GUARD_UTILITY_OBJECTS_H

#include "enforce/utility.h"

extern void utility_objects_init(void);

/* After the command: refuse it for what it has made or altered. */
extern void utility_objects_check(UtilityCommand *command);

/* The guarded table that relid, or one of its children, is part of; InvalidOid for none. */
extern Oid utility_guarded_root(Oid relid);

/*
 * The table that a trigger, index, constraint, ... belongs to; InvalidOid for what is no such part.
 * computes, if given: are its expressions computed from the table's rows?
 */
extern Oid utility_table_of_part(Oid class, Oid id, bool *computes);

/* Is the object in one of the extension's schemas? */
extern bool utility_namespace_is_ours(Oid namespace);

#endif
