/*
 * utility.c
 *		Layer 4: utility commands, which reach guarded rows and rules past planner and executor.
 *
 * Commands that touch neither tables nor roles go straight on, as does everything in a database
 * that guards nothing.  For the others this file knows on whose behalf they run, and what has to
 * be done before (utility_table.c, utility_copy.c, utility_role.c), meanwhile and afterwards
 * (utility_objects.c).  The state of the innermost command is on the C stack; PG_FINALLY takes it
 * off again.
 *
 * A command of one of our own functions passes.  While it runs, the function counts as suspended:
 * an event trigger is somebody else's code.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "audit/statement.h"
#include "audit/trail.h"
#include "compat.h"
#include "enforce/collect.h"
#include "enforce/cursor.h"
#include "enforce/exempt.h"
#include "enforce/utility.h"
#include "enforce/utility_copy.h"
#include "enforce/utility_function.h"
#include "enforce/utility_objects.h"
#include "enforce/utility_role.h"
#include "enforce/utility_table.h"
#include "guc.h"
#include "policy/catalog.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "retention/own_statement.h"
#include "worker/database.h"

#define UTILITY_PARAMS                                                                             \
	PlannedStmt *planned, const char *source, bool read_only_tree, ProcessUtilityContext context,  \
	    ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,                   \
	    QueryCompletion *completion
#define UTILITY_ARGS planned, source, read_only_tree, context, params, environment, dest, completion

static ProcessUtility_hook_type prev_utility_hook = NULL;

static UtilityCommand *current = NULL;
static bool explains = false;
static bool fills_temporary = false;

UtilityCommand *
utility_current(void)
{
	return current;
}

bool
utility_explains(void)
{
	return explains;
}

bool
utility_fills_temporary(void)
{
	return fills_temporary;
}

/* ---- refusals ---- */

void
utility_refuse(Oid relid, const char *deed)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("only a data steward may %s guarded table \"%s\"", deed, get_rel_name(relid)),
	         errhint("Ask a member of role privacy_guard_steward to run the command."),
	         errdenial(relid, "steward_only")));
}

void
utility_refuse_always(Oid relid, const char *deed)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
	                errmsg("cannot %s guarded table \"%s\"", deed, get_rel_name(relid)),
	                errhint("Let a data steward take the guard off first, with "
	                        "privacy_guard.unprotect()."),
	                errdenial(relid, "ddl")));
}

void
utility_refuse_internal(const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                what ? errmsg("\"%s\" belongs to privacy_guard while tables are guarded", what)
	                     : errmsg("objects of privacy_guard cannot be changed while tables are "
	                              "guarded"),
	                errhint("Use the functions in schema privacy_guard; a new version comes with "
	                        "ALTER EXTENSION privacy_guard UPDATE."),
	                errtamper(InvalidOid, "internal_object")));
}

/* ---- on whose behalf ---- */

static UtilityAuthority
authority(ProcessUtilityContext context)
{
	if (verb_in_progress())
		return AUTHORITY_OURS;
	if (creating_extension && CurrentExtensionObject == get_extension_oid("privacy_guard", true))
		return AUTHORITY_OURS;
	/* Part of a command that has been judged as a whole. */
	if (context == PROCESS_UTILITY_SUBCOMMAND && current != NULL &&
	    current->authority == AUTHORITY_OURS)
		return AUTHORITY_OURS;
	if (policy_is_steward(GetUserId()) || policy_state() == POLICY_PENDING)
		return AUTHORITY_STEWARD;
	return AUTHORITY_NONE;
}

static void
call_next(UTILITY_PARAMS)
{
	if (prev_utility_hook)
		prev_utility_hook(UTILITY_ARGS);
	else
		standard_ProcessUtility(UTILITY_ARGS);
}

/* ---- commands that change tables and what belongs to them ---- */

/* Core reports the key of the row that it found; the row may be hidden. */
static void
rethrow_without_key(UtilityCommand *command)
{
	ErrorData *error;

	MemoryContextSwitchTo(command->context);
	error = CopyErrorData();
	if (error->sqlerrcode != ERRCODE_FOREIGN_KEY_VIOLATION)
		PG_RE_THROW();
	FlushErrorState();
	error->detail = error->detail_log = NULL;
	ReThrowError(error);
}

static void
call_validating(UtilityCommand *command, UTILITY_PARAMS)
{
	PG_TRY();
	{
		call_next(UTILITY_ARGS);
	}
	PG_CATCH();
	{
		if (command->validates)
			rethrow_without_key(command);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* What follows from it in the extension's own tables. */
static void
follow_up(UtilityCommand *command)
{
	ListCell *cell;

	if (command->adopted != NIL || command->dropped_tables != NIL || command->released != NIL)
	{
		CacheInvalidateRelcacheByRelid(catalog_relid(CATALOG_GUARDED_TABLE));
		CommandCounterIncrement();
	}
	/* finish_restore() adopts what a restore has made. */
	foreach (cell, policy_state() == POLICY_IN_FORCE ? command->adopted : NIL)
		verb_run_as_owner("adopt", lfirst_oid(cell));
	foreach (cell, command->released)
		verb_run_as_owner("release_child", lfirst_oid(cell));
	foreach (cell, command->dropped_tables)
		verb_run_as_owner("forget_table", lfirst_oid(cell));
	foreach (cell, command->dropped_roles)
		verb_run_as_owner("forget_role", lfirst_oid(cell));
}

/*
 * The commands that change objects and roles of PostgreSQL 15 to 18.  What they may do to guarded
 * tables is judged by utility_table.c and utility_objects.c; what came later is not judged.
 */
static bool
is_known(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterCollationStmt:
		case T_AlterDatabaseRefreshCollStmt:
		case T_AlterDatabaseSetStmt:
		case T_AlterDatabaseStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterDomainStmt:
		case T_AlterEnumStmt:
		case T_AlterEventTrigStmt:
		case T_AlterExtensionContentsStmt:
		case T_AlterExtensionStmt:
		case T_AlterFdwStmt:
		case T_AlterForeignServerStmt:
		case T_AlterFunctionStmt:
		case T_AlterObjectDependsStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOpFamilyStmt:
		case T_AlterOperatorStmt:
		case T_AlterOwnerStmt:
		case T_AlterPolicyStmt:
		case T_AlterPublicationStmt:
		case T_AlterRoleSetStmt:
		case T_AlterRoleStmt:
		case T_AlterSeqStmt:
		case T_AlterStatsStmt:
		case T_AlterSubscriptionStmt:
		case T_AlterSystemStmt:
		case T_AlterTSConfigurationStmt:
		case T_AlterTSDictionaryStmt:
		case T_AlterTableMoveAllStmt:
		case T_AlterTableSpaceOptionsStmt:
		case T_AlterTableStmt:
		case T_AlterTypeStmt:
		case T_AlterUserMappingStmt:
		case T_ClusterStmt:
		case T_CommentStmt:
		case T_CompositeTypeStmt:
		case T_CreateAmStmt:
		case T_CreateCastStmt:
		case T_CreateConversionStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateEventTrigStmt:
		case T_CreateExtensionStmt:
		case T_CreateFdwStmt:
		case T_CreateForeignServerStmt:
		case T_CreateForeignTableStmt:
		case T_CreateFunctionStmt:
		case T_CreateOpClassStmt:
		case T_CreateOpFamilyStmt:
		case T_CreatePLangStmt:
		case T_CreatePolicyStmt:
		case T_CreatePublicationStmt:
		case T_CreateRangeStmt:
		case T_CreateRoleStmt:
		case T_CreateSchemaStmt:
		case T_CreateSeqStmt:
		case T_CreateStatsStmt:
		case T_CreateStmt:
		case T_CreateSubscriptionStmt:
		case T_CreateTableAsStmt:
		case T_CreateTableSpaceStmt:
		case T_CreateTransformStmt:
		case T_CreateTrigStmt:
		case T_CreateUserMappingStmt:
		case T_CreatedbStmt:
		case T_DefineStmt:
		case T_DropOwnedStmt:
		case T_DropRoleStmt:
		case T_DropStmt:
		case T_DropSubscriptionStmt:
		case T_DropTableSpaceStmt:
		case T_DropUserMappingStmt:
		case T_DropdbStmt:
		case T_GrantRoleStmt:
		case T_GrantStmt:
		case T_ImportForeignSchemaStmt:
		case T_IndexStmt:
		case T_ReassignOwnedStmt:
		case T_RefreshMatViewStmt:
		case T_ReindexStmt:
		case T_RenameStmt:
		case T_RuleStmt:
		case T_SecLabelStmt:
		case T_TruncateStmt:
		case T_VacuumStmt:
		case T_ViewStmt:
			return true;
		default:
			return false;
	}
}

static void
check_command(UtilityCommand *command)
{
	if (command->authority == AUTHORITY_OURS)
		return;
	if (command->authority == AUTHORITY_NONE && !is_known(command->planned->utilityStmt))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		                errmsg("privacy_guard does not know this command"),
		                errhint("Ask a member of role privacy_guard_steward to run it."),
		                errdenial(InvalidOid, "unknown_command")));
	utility_table_check(command);
}

static void
run_command(UTILITY_PARAMS)
{
	UtilityCommand command = {.outer = current, .planned = planned, .source = source};
	bool was_validating;
	int depth;

	command.authority = authority(context);
	command.context =
	    AllocSetContextCreate(CurrentMemoryContext, "privacy_guard command", ALLOCSET_SMALL_SIZES);
	check_command(&command);

	was_validating = exempt_set_validating(command.validates);
	depth = verb_suspend();
	current = &command;
	PG_TRY();
	{
		call_validating(&command, UTILITY_ARGS);
	}
	PG_FINALLY();
	{
		current = command.outer;
		verb_resume(depth);
		(void) exempt_set_validating(was_validating);
	}
	PG_END_TRY();

	if (policy_state() > POLICY_ABSENT)
	{
		utility_objects_check(&command);
		follow_up(&command);
	}
	MemoryContextDelete(command.context);
}

/* ---- commands that run a query ---- */

static bool
is_analyze(const ExplainStmt *statement)
{
	bool analyze = false;
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

static void
run_explain(UTILITY_PARAMS)
{
	bool was = explains;

	explains = is_analyze((ExplainStmt *) planned->utilityStmt);
	PG_TRY();
	{
		call_next(UTILITY_ARGS);
	}
	PG_FINALLY();
	{
		explains = was;
	}
	PG_END_TRY();
}

static bool
is_temporary(const RangeVar *name)
{
	return name->relpersistence == RELPERSISTENCE_TEMP ||
	       isTempNamespace(RangeVarGetCreationNamespace(name));
}

static void
run_create_as(UTILITY_PARAMS)
{
	bool was = fills_temporary;

	fills_temporary = is_temporary(((CreateTableAsStmt *) planned->utilityStmt)->into->rel);
	PG_TRY();
	{
		run_command(UTILITY_ARGS);
	}
	PG_FINALLY();
	{
		fills_temporary = was;
	}
	PG_END_TRY();
}

static void
copy_in(Oid relid, UTILITY_PARAMS)
{
	if (utility_copy_in_is_ours(relid))
	{
		uint64 rows = utility_copy_in(planned, source, environment);

		if (completion)
			SetQueryCompletion(completion, CMDTAG_COPY, rows);
	}
	else
		call_next(UTILITY_ARGS);
}

static void
run_copy_in(UTILITY_PARAMS)
{
	Oid relid = utility_copy_in_target((CopyStmt *) planned->utilityStmt);
	MemoryContext context_of_copy;
	Frame *frame;
	Frame *previous;

	if (!OidIsValid(relid))
	{
		call_next(UTILITY_ARGS);
		return;
	}
	context_of_copy =
	    AllocSetContextCreate(CurrentMemoryContext, "privacy_guard COPY", ALLOCSET_SMALL_SIZES);
	frame = utility_copy_in_frame(relid);
	if (frame != NULL)
	{
		frame_open(frame, context_of_copy);
		frame->fingerprint = statement_fingerprint_utility(planned, source);
		if (trail_is_on())
			statement_note_utility(planned, source, frame->fingerprint);
		collect_open(frame);
	}
	previous = frame_enter(frame);
	PG_TRY();
	{
		copy_in(relid, UTILITY_ARGS);
	}
	PG_CATCH();
	{
		frame_leave(previous);
		collect_error(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	frame_leave(previous);
	if (frame != NULL)
		collect_close(frame);
	MemoryContextDelete(context_of_copy);
}

static void
run_copy(UTILITY_PARAMS)
{
	CopyStmt *statement = (CopyStmt *) planned->utilityStmt;

	if (statement->relation == NULL || verb_in_progress())
		call_next(UTILITY_ARGS);
	else if (statement->is_from)
		run_copy_in(UTILITY_ARGS);
	else
	{
		planned = utility_copy_out(planned);
		call_next(UTILITY_ARGS);
	}
}

/* ---- all commands ---- */

/* A declaration that ends with the statement that makes it is a mistake. */
static void
warn_of_lost_setting(const VariableSetStmt *statement, ProcessUtilityContext context)
{
	if (statement->kind != VAR_SET_VALUE || statement->is_local ||
	    !guc_purpose_is_transactional() ||
	    (strcmp(statement->name, "privacy_guard.purpose") != 0 &&
	     strcmp(statement->name, "privacy_guard.application_user") != 0) ||
	    IsInTransactionBlock(context == PROCESS_UTILITY_TOPLEVEL))
		return;
	ereport(WARNING,
	        (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
	         errmsg("SET %s can only be used in transaction blocks", statement->name),
	         errhint("Use SET LOCAL after BEGIN, give the role a default with ALTER ROLE ... SET, "
	                 "or connect with privacy_guard.purpose_scope = session.")));
}

/* Commands that touch neither tables nor roles, or run statements that come here by themselves. */
static bool
is_harmless(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
		case T_ClosePortalStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_NotifyStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_LoadStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_DiscardStmt:
		case T_LockStmt:
		case T_ConstraintsSetStmt:
		case T_CheckPointStmt:
			return true;
		default:
			return false;
	}
}

/* Where nothing is guarded yet, or any more. */
static bool
is_harmless_unguarded(Node *statement)
{
	return !IsA(statement, DropRoleStmt) &&
	       !(IsA(statement, CopyStmt) && !((CopyStmt *) statement)->is_from);
}

static void
process(UTILITY_PARAMS)
{
	Node *statement = planned->utilityStmt;

	if (IsA(statement, VariableSetStmt))
		warn_of_lost_setting((VariableSetStmt *) statement, context);
	if (IsA(statement, ConstraintsSetStmt))
		own_statement_check_deferring((ConstraintsSetStmt *) statement);
	if (IsA(statement, FetchStmt))
		cursor_check_fetch(((FetchStmt *) statement)->portalname);
	if (IsA(statement, LockStmt) && policy_state() == POLICY_IN_FORCE && !verb_in_progress())
		utility_table_check_lock((LockStmt *) statement);
	utility_role_check(statement);
	database_step_aside(statement);
	if (is_harmless(statement) || !IsTransactionState() || policy_state() < POLICY_EMPTY ||
	    (policy_state() == POLICY_EMPTY && is_harmless_unguarded(statement)))
	{
		call_next(UTILITY_ARGS);
		return;
	}
	trail_try_prepare();
	switch (nodeTag(statement))
	{
		case T_CopyStmt:
			run_copy(UTILITY_ARGS);
			break;
		case T_ExplainStmt:
			run_explain(UTILITY_ARGS);
			break;
		case T_CreateTableAsStmt:
			run_create_as(UTILITY_ARGS);
			break;
		default:
			run_command(UTILITY_ARGS);
			break;
	}
}

void
utility_init(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process;
	utility_objects_init();
	utility_function_init();
}
