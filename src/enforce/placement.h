/*
 * placement.h
 *		Security qualification or plain one: where in a query the guard does its work.
 */
#ifndef PRIVACY_GUARD_PLACEMENT_H
#define PRIVACY_GUARD_PLACEMENT_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Can nothing that this whole query computes before its target list tell about a hidden row? */
extern bool placement_is_harmless(Query *query);

/* AND the condition to where it filters this relation; false where no such place exists. */
extern bool placement_in_jointree(Query *query, Index varno, Node *condition);

#endif
