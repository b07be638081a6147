/*
 * utility_depend.h
 *		Code that guarded tables run without a command that names it.
 */
#ifndef PRIVACY_GUARD_UTILITY_DEPEND_H
#define PRIVACY_GUARD_UTILITY_DEPEND_H

#include "postgres.h"

/* A guarded table whose triggers, indexes, checks, ... call the function; InvalidOid for none. */
extern Oid utility_guarded_caller(Oid function);

/* A function that is not plain among those that the table's own expressions call. */
extern Oid utility_loose_function_of_table(Oid relid);

#endif
