/*
 * rls.c
 *		Layer 1: the guard as a row-security policy, for the roles that row security covers.
 *
 * Core then carries it through views, rules, inlined functions and every command.  Permissive
 * policies are ORed, so the guard is always a restrictive one; a permissive TRUE is added only
 * where row security was off before protect(), or for the owner where it was not forced, so that
 * a table's own policies keep their meaning.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/rel.h"

#include "enforce/exempt.h"
#include "enforce/guard.h"
#include "enforce/rls.h"
#include "policy/policy.h"

static row_security_policy_hook_type prev_permissive_hook = NULL;
static row_security_policy_hook_type prev_restrictive_hook = NULL;

static RowSecurityPolicy *
make_policy(Oid role, Expr *qual, char command)
{
	RowSecurityPolicy *policy = palloc0(sizeof(RowSecurityPolicy));
	Datum roles = ObjectIdGetDatum(role);

	policy->policy_name = pstrdup(RLS_POLICY_NAME);
	policy->polcmd = command;
	policy->roles = construct_array(&roles, 1, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	policy->permissive = true;
	policy->qual = qual;
	return policy;
}

static const GuardedRelation *
guarded(Relation relation)
{
	return policy_state() > POLICY_EMPTY ? policy_guarded(RelationGetRelid(relation)) : NULL;
}

static List *
restrictive(CmdType command, Relation relation)
{
	List *policies = prev_restrictive_hook ? prev_restrictive_hook(command, relation) : NIL;
	const GuardedRelation *found = guarded(relation);

	/* Core checks a foreign key as the owner; whatever else is run then, the planner guards. */
	if (found != NULL && !exempt_is_validating())
	{
		RowSecurityPolicy *policy =
		    make_policy(ACL_ID_PUBLIC, (Expr *) guard_expression(found, 1), '*');

		policy->permissive = false;
		policies = lappend(policies, policy);
	}
	return policies;
}

static List *
permissive(CmdType command, Relation relation)
{
	List *policies = prev_permissive_hook ? prev_permissive_hook(command, relation) : NIL;
	const GuardedRelation *found = guarded(relation);

	if (found != NULL && found->prior != PRIOR_FORCED)
		policies =
		    lappend(policies, make_policy(found->prior == PRIOR_OFF ? ACL_ID_PUBLIC
		                                                            : relation->rd_rel->relowner,
		                                  (Expr *) makeBoolConst(true, false), '*'));
	return policies;
}

void
rls_init(void)
{
	prev_permissive_hook = row_security_policy_hook_permissive;
	row_security_policy_hook_permissive = permissive;
	prev_restrictive_hook = row_security_policy_hook_restrictive;
	row_security_policy_hook_restrictive = restrictive;
}
