/*
 * walsender.c
 *		Logical replication connections.
 *
 * A walsender decodes rows from the log, past planner, executor and utility commands, and whatever
 * publications say: the client chooses the output plugin.  So a connection with
 * replication=database is refused to a database that guards tables, unless its role is exempt.
 * At authentication the catalogs cannot be read; they can at the end of the transaction in which
 * the backend starts, before it accepts the first command.
 *
 * Physical replication and base backups connect to no database and go on: they copy the files, as
 * any backup does, guards included.  A walsender that was connected before the first table was
 * guarded goes on as well, until its next command in SQL.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/walsender.h"

#include "enforce/walsender.h"
#include "policy/policy.h"

static void
check_walsender(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT || !am_db_walsender || policy_state() <= POLICY_EMPTY ||
	    policy_role_exempt(GetSessionUserId()))
		return;
	ereport(FATAL, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("logical replication connections to a database with guarded tables are "
	                       "refused"),
	                errhint("Let a data steward exempt the role with privacy_guard.exempt_role(). "
	                        "Physical replication is not affected.")));
}

void
walsender_init(void)
{
	RegisterXactCallback(check_walsender, NULL);
}
