/*
 * foreign.h
 *		Code that may tell, or keep, what it is given.
 */
#ifndef PRIVACY_GUARD_FOREIGN_H
#define PRIVACY_GUARD_FOREIGN_H

#include "postgres.h"

#include "nodes/execnodes.h"

/*
 * Does the expression, or list of them, call a function that is not built in, or is volatile; or
 * hand the row to a subquery that does?
 */
extern bool foreign_code(Node *expression, EState *estate);

#endif
