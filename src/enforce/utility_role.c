/*
 * utility_role.c
 *		Memberships and attributes that would lead around the guards.
 *
 * On PostgreSQL 15 CREATEROLE can grant nearly any membership, also to itself.  Without a data
 * steward nobody becomes a member, directly or through others, of
 *
 *		the three roles of privacy_guard,
 *		superusers and roles with BYPASSRLS (so also exempt ones),
 *		roles that read or write files of the server or run programs on it,
 *		owners of guarded tables,
 *
 * nor gets such an attribute or a password for such a role.  Roles belong to the cluster, so this
 * holds in each of its databases: from the moment on when the extension is installed in one of
 * them for its own three roles (a shared dependency tells), and for the others once tables are
 * guarded in one of them.  The latter is a flag in shared memory, set by the first statement on a
 * guarded database after the start.  The owners of tables of other databases cannot be known.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "audit/trail.h"
#include "enforce/utility_role.h"
#include "policy/policy.h"
#include "policy/verb.h"

typedef struct RoleShared
{
	pg_atomic_uint32 guards_exist; /* in some database; never unset */
} RoleShared;

static RoleShared *shared = NULL;

static const char *const our_roles[] = {"privacy_guard_steward", "privacy_guard_auditor",
                                        "privacy_guard_break_glass"};

Size
utility_role_shmem_size(void)
{
	return sizeof(RoleShared);
}

void
utility_role_shmem_attach(void)
{
	bool found;

	shared = ShmemInitStruct("privacy_guard roles", sizeof(RoleShared), &found);
	if (!found)
		pg_atomic_init_u32(&shared->guards_exist, 0);
}

void
utility_role_note_guards(void)
{
	static bool noted = false;

	if (!noted)
		pg_atomic_write_u32(&shared->guards_exist, 1);
	noted = true;
}

/* ---- who must be kept apart ---- */

/* Something in some database depends on the steward's role: the extension's own privileges. */
static bool
is_installed_somewhere(Oid steward)
{
	Relation rel = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(steward));
	scan = systable_beginscan(rel, SharedDependReferenceIndexId, true, NULL, 2, key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
is_ours(const char *name)
{
	for (int i = 0; i < lengthof(our_roles); i++)
		if (name != NULL && strcmp(name, our_roles[i]) == 0)
			return true;
	return false;
}

static bool
reaches_ours(Oid role)
{
	for (int i = 0; i < lengthof(our_roles); i++)
	{
		Oid ours = get_role_oid(our_roles[i], true);

		if (OidIsValid(ours) && is_member_of_role_nosuper(role, ours))
			return true;
	}
	return false;
}

static bool
reaches_attribute(Oid role)
{
	Relation rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	bool found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		if (form->rolsuper || form->rolbypassrls)
			found = is_member_of_role_nosuper(role, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
reaches_server(Oid role)
{
	return is_member_of_role_nosuper(role, ROLE_PG_EXECUTE_SERVER_PROGRAM) ||
	       is_member_of_role_nosuper(role, ROLE_PG_READ_SERVER_FILES) ||
	       is_member_of_role_nosuper(role, ROLE_PG_WRITE_SERVER_FILES);
}

static bool
reaches_owner(Oid role)
{
	ListCell *cell;

	if (policy_state() <= POLICY_EMPTY)
		return false;
	foreach (cell, policy_tables())
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(cell)));
		Oid owner;

		if (!HeapTupleIsValid(tuple))
			continue;
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
		if (is_member_of_role_nosuper(role, owner))
			return true;
	}
	return false;
}

/* What a member of the role could do that leads around the guards; NULL for nothing. */
static const char *
danger_of(Oid role, bool guards_exist)
{
	if (!OidIsValid(role))
		return NULL;
	if (reaches_ours(role))
		return "keeps or watches the rules";
	if (!guards_exist)
		return NULL;
	if (reaches_attribute(role))
		return "is a superuser or has BYPASSRLS";
	if (reaches_server(role))
		return "reaches files or programs of the server";
	if (reaches_owner(role))
		return "owns guarded tables";
	return NULL;
}

static void
refuse_member(Oid role, const char *danger)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("only a data steward may make members of role \"%s\", which %s",
	                       GetUserNameFromId(role, false), danger),
	                errhint("Ask a member of role privacy_guard_steward to run the command."),
	                errdenial(InvalidOid, "steward_only")));
}

/* ---- commands ---- */

static void
check_roles(List *names, bool guards_exist)
{
	ListCell *cell;

	foreach (cell, names)
	{
		Node *node = lfirst(cell);
		Oid role = IsA(node, AccessPriv) ? get_role_oid(((AccessPriv *) node)->priv_name, true)
		                                 : get_rolespec_oid((RoleSpec *) node, true);
		const char *danger = danger_of(role, guards_exist);

		if (danger != NULL)
			refuse_member(role, danger);
	}
}

static void
check_attribute(const DefElem *option, bool guards_exist)
{
	static const char *const attributes[] = {"superuser", "bypassrls", "isreplication"};

	for (int i = 0; guards_exist && i < lengthof(attributes); i++)
		if (strcmp(option->defname, attributes[i]) == 0 && boolVal(option->arg))
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         errmsg("only a data steward may give roles SUPERUSER, BYPASSRLS or "
			                "REPLICATION where tables are guarded"),
			         errhint("Ask a member of role privacy_guard_steward to run the command."),
			         errdenial(InvalidOid, "steward_only")));
}

static void
check_create(const CreateRoleStmt *statement, bool guards_exist)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		check_attribute(option, guards_exist);
		if (strcmp(option->defname, "addroleto") == 0)
			check_roles((List *) option->arg, guards_exist);
	}
}

/* Who sets the password of a role can be that role. */
static bool
opens_role(const DefElem *option)
{
	return strcmp(option->defname, "password") == 0 || strcmp(option->defname, "validUntil") == 0 ||
	       (strcmp(option->defname, "canlogin") == 0 && boolVal(option->arg));
}

static void
check_alter(const AlterRoleStmt *statement, bool guards_exist)
{
	Oid role = get_rolespec_oid(statement->role, true);
	const char *danger = danger_of(role, guards_exist);
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		check_attribute(option, guards_exist);
		if (danger == NULL)
			continue;
		if (strcmp(option->defname, "rolemembers") == 0)
		{
			if (statement->action > 0)
				refuse_member(role, danger);
		}
		else if (role != GetUserId() && opens_role(option))
			ereport(ERROR,
			        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			         errmsg("only a data steward may alter role \"%s\", which %s",
			                GetUserNameFromId(role, false), danger),
			         errhint("Ask a member of role privacy_guard_steward to run the command."),
			         errdenial(InvalidOid, "steward_only")));
	}
}

static void
check_rename(const RenameStmt *statement)
{
	if (is_ours(statement->subname) || is_ours(statement->newname))
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("the roles of privacy_guard cannot be renamed"),
		         errhint("They are known by their names."), errdenial(InvalidOid, "steward_only")));
}

/* What would leave the server without the library after the next start. */
static void
check_system(const AlterSystemStmt *statement)
{
	const char *name = statement->setstmt->name;

	if (statement->setstmt->kind != VAR_RESET_ALL &&
	    strcmp(name, "shared_preload_libraries") != 0 &&
	    strcmp(name, "allow_system_table_mods") != 0 &&
	    strncmp(name, "privacy_guard.", strlen("privacy_guard.")) != 0)
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("only a data steward may change settings that privacy_guard needs"),
	                errhint("Ask a member of role privacy_guard_steward to run the command."),
	                errdenial(InvalidOid, "steward_only")));
}

static void
check_statement(Node *statement, bool guards_exist)
{
	switch (nodeTag(statement))
	{
		case T_GrantRoleStmt:
			if (((GrantRoleStmt *) statement)->is_grant)
				check_roles(((GrantRoleStmt *) statement)->granted_roles, guards_exist);
			break;
		case T_CreateRoleStmt:
			check_create((CreateRoleStmt *) statement, guards_exist);
			break;
		case T_AlterRoleStmt:
			check_alter((AlterRoleStmt *) statement, guards_exist);
			break;
		case T_AlterSystemStmt:
			if (guards_exist)
				check_system((AlterSystemStmt *) statement);
			break;
		default:
			break;
	}
}

void
utility_role_check(Node *statement)
{
	Oid steward;
	bool guards_exist;

	if (!IsA(statement, GrantRoleStmt) && !IsA(statement, CreateRoleStmt) &&
	    !IsA(statement, AlterRoleStmt) && !IsA(statement, AlterSystemStmt) &&
	    !(IsA(statement, RenameStmt) && ((RenameStmt *) statement)->renameType == OBJECT_ROLE))
		return;
	if (verb_in_progress() || creating_extension || !IsTransactionState())
		return;
	steward = get_role_oid(our_roles[0], true);
	if (!OidIsValid(steward) || !is_installed_somewhere(steward))
		return;
	if (IsA(statement, RenameStmt))
		check_rename((RenameStmt *) statement);
	if (policy_acts_as(GetUserId(), steward))
		return;
	guards_exist = policy_state() > POLICY_EMPTY || pg_atomic_read_u32(&shared->guards_exist) != 0;
	check_statement(statement, guards_exist);
}
