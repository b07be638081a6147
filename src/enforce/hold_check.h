/*
 * hold_check.h
 *		Legal holds against whatever erases: rows, tables, columns.
 *
 * Nobody is exempt: neither owners and superusers, nor break-glass, nor core's cascades.
 */
#ifndef PRIVACY_GUARD_HOLD_CHECK_H
#define PRIVACY_GUARD_HOLD_CHECK_H

#include "postgres.h"

#include "commands/trigger.h"
#include "executor/execdesc.h"

/*
 * After the executor's start.  Where no hold can bind a row, the execution is spared the trigger of
 * each row that it deletes.  May wait for a hold that is being placed.
 */
extern void hold_check_start(QueryDesc *query, int eflags);

/* AFTER ROW: refuse the deletion, or the change of its data subject, of a row that is held. */
extern void hold_check_row(const TriggerData *trigger);

/* Refuse what would erase rows of the relation unseen while a hold may bind one.  deed: see
 * utility.h. */
extern void hold_check_table(Oid relid, const char *deed);

/* Refuse if there is any hold at all. */
extern void hold_check_any(void);

#endif
