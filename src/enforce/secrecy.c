/*
 * secrecy.c
 *		Who may read the tables of the audit log.
 *
 * Nobody, not even their owner or a superuser: an auditor's functions do it for him, and say so in
 * the log.  The exceptions are those of guarded tables, so that the dump of an exempt role is
 * whole.  An empty table has nothing to tell: a database that never guarded a table can be dumped
 * by anybody.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "audit/trail.h"
#include "enforce/exempt.h"
#include "enforce/secrecy.h"
#include "policy/policy.h"
#include "policy/verb.h"

/* The partitions are the only tables of the schema of bodies. */
static bool
belongs_to_log(Oid relid)
{
	char *name = get_rel_name(relid);

	return name != NULL && get_rel_relkind(relid) == RELKIND_RELATION &&
	       (get_rel_namespace(relid) != policy_schema() || strncmp(name, "audit_", 6) == 0);
}

static bool
is_empty(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	bool empty = RelationGetNumberOfBlocks(rel) == 0;

	relation_close(rel, NoLock);
	return empty;
}

void
secrecy_check_read(Oid relid, const char *source_text)
{
	const GuardedRelation *relation = policy_relation(relid);

	/* The leader of a parallel worker has been asked. */
	if (relation == NULL || !relation->internal || verb_in_progress() || creating_extension ||
	    IsParallelWorker() || !belongs_to_log(relid) || is_empty(relid) ||
	    exempt_execution(GetUserId(), source_text))
		return;
	ereport(
	    ERROR,
	    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	     errmsg("table \"%s\" is read by the functions of privacy_guard only", get_rel_name(relid)),
	     errhint("A member of role privacy_guard_auditor reads privacy_guard.audit_log. For "
	             "pg_dump, let a data steward exempt a role with "
	             "privacy_guard.exempt_role()."),
	     errdenial(relid, "audit_log")));
}
