/*
 * utility.h
 *		Layer 4: utility commands, which reach guarded rows and rules past planner and executor.
 */
#ifndef PRIVACY_GUARD_UTILITY_H
#define PRIVACY_GUARD_UTILITY_H

#include "postgres.h"

#include "nodes/plannodes.h"
#include "tcop/utility.h"

/* On whose behalf a command runs. */
typedef enum UtilityAuthority
{
	AUTHORITY_NONE,
	AUTHORITY_STEWARD, /* or the owner, while guards are pending after a restore */
	AUTHORITY_OURS     /* a function or the script of this extension */
} UtilityAuthority;

/* A utility command while it runs. */
typedef struct UtilityCommand
{
	struct UtilityCommand *outer;
	PlannedStmt *planned;
	const char *source;
	UtilityAuthority authority;
	bool validates;         /* may check a foreign key of whole tables */
	bool plain_expressions; /* expressions run over guarded rows: no user's functions */
	bool retypes;           /* a column's values may be computed anew */
	bool in_event_trigger;  /* which calls what it likes */
	List *adopted;          /* roots that get a new partition or child */
	List *released;         /* partitions and children that leave */
	MemoryContext context;  /* outlives transactions that the command ends itself */
	List *objects;          /* what it has made or altered: see utility_objects.c */
	List *dropped_tables;   /* guarded ones, by their oids */
	List *dropped_roles;
} UtilityCommand;

extern void utility_init(void);

/* The innermost command that runs now, or NULL. */
extern UtilityCommand *utility_current(void);

/* Does an EXPLAIN ANALYZE, or a CREATE TABLE AS with a temporary target, run now? */
extern bool utility_explains(void);
extern bool utility_fills_temporary(void);

/* Refusals.  deed completes "only a data steward may ...". */
extern _Noreturn void utility_refuse(Oid relid, const char *deed);
extern _Noreturn void utility_refuse_always(Oid relid, const char *deed);
extern _Noreturn void utility_refuse_internal(const char *what);

#endif
