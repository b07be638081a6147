/*
 * utility_table.h
 *		Commands that name tables: an allow-list.
 */
#ifndef PRIVACY_GUARD_UTILITY_TABLE_H
#define PRIVACY_GUARD_UTILITY_TABLE_H

#include "enforce/utility.h"

/* Before the command. */
extern void utility_table_check(UtilityCommand *command);

/* LOCK TABLE of the extension's own tables, also behind views. */
extern void utility_table_check_lock(const LockStmt *statement);

#endif
