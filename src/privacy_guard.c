/*
 * privacy_guard.c
 *		What the library installs, in the order in which it does.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

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
}
