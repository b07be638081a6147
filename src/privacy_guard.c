/*
 * privacy_guard.c
 *		What the library installs, in the order in which it does.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "audit/statement.h"
#include "audit/trail.h"
#include "consent/change.h"
#include "enforce/execute.h"
#include "enforce/exempt.h"
#include "enforce/planner.h"
#include "enforce/rls.h"
#include "enforce/utility.h"
#include "enforce/walsender.h"
#include "guc.h"
#include "policy/policy.h"
#include "retention/erasing.h"
#include "shmem.h"
#include "worker/database.h"
#include "worker/launcher.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR,
		        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		         errmsg("privacy_guard must be loaded by shared_preload_libraries"),
		         errhint("Add privacy_guard to shared_preload_libraries and restart the server.")));

	guc_init();
	shmem_init();
	policy_init();
	change_init();
	erasing_init();
	trail_init();
	exempt_init();
	rls_init();
	planner_init();
	execute_init();
	utility_init();
	walsender_init();
	statement_init();
	database_init();
	launcher_init();
}
