/*
 * database.h
 *		Commands that need a database alone: its audit writer and its eraser step aside.
 */
#ifndef PRIVACY_GUARD_DATABASE_H
#define PRIVACY_GUARD_DATABASE_H

#include "postgres.h"

#include "nodes/nodes.h"

extern void database_init(void);

/* Before a utility command.  They come back when the transaction ends, however it does. */
extern void database_step_aside(Node *statement);

#endif
