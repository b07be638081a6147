/*
 * utility_function.c
 *		Which functions may run over guarded rows, or past them.
 *
 * While the owner alters a guarded table, core computes expressions over all of its rows: checks,
 * index columns, conversions.  Each function that an expression calls passes the object access
 * hook first, also one that an operator or an implicit cast calls; a user's function is refused
 * there, before it sees a row.  Event triggers fire within a command and may call what they like,
 * so for their time the refusal is off.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "audit/trail.h"
#include "enforce/exempt.h"
#include "enforce/utility_function.h"
#include "policy/policy.h"

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;

/* ---- which functions ---- */

bool
utility_function_is_plain(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool plain;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	/* Without arguments a function learns nothing of the row. C functions are the superuser's. */
	plain = form->pronargs == 0 || function == F_NEXTVAL ||
	        (form->provolatile != PROVOLATILE_VOLATILE &&
	         (form->prolang == INTERNALlanguageId || form->prolang == ClanguageId));
	/* SQL functions of the system catalog are bodies of built-in ones. */
	if (function < FirstNormalObjectId && form->provolatile != PROVOLATILE_VOLATILE)
		plain = true;
	ReleaseSysCache(tuple);
	return plain;
}

Oid
utility_loose_function(Oid class, Oid object)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	Oid found = InvalidOid;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(class));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		Oid function = InvalidOid;

		if (form->refclassid == ProcedureRelationId)
			function = form->refobjid;
		else if (form->refclassid == OperatorRelationId)
			function = get_opcode(form->refobjid);
		if (OidIsValid(function) && !utility_function_is_plain(function))
			found = function;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
utility_refuse_function(Oid function)
{
	ereport(ERROR,
	        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	         errmsg("function %s cannot run over the rows of a guarded table",
	                format_procedure(function)),
	         errhint("Indexes, checks, statistics and conversions of guarded tables use built-in "
	                 "functions. A data steward may use others."),
	         errdenial(InvalidOid, "function")));
}

/*
 * While core checks a foreign key, it reads every row in plain queries.  Nothing that could run
 * such a query of its own may be called, as table_to_xml().
 */
static bool
is_pure(Oid function)
{
	return utility_function_is_plain(function) &&
	       (function == F_NEXTVAL || func_volatile(function) == PROVOLATILE_IMMUTABLE ||
	        (function < FirstNormalObjectId && get_func_nargs(function) == 0));
}

/* ---- executed ---- */

/* Functions that show rows of any table, past every guard. */
static bool
reads_past_guards(Oid function)
{
	static const char *const libraries[] = {"pageinspect", "pg_walinspect"};
	HeapTuple tuple;
	bool found = false;
	Datum library;
	bool isnull;

	if (function < FirstNormalObjectId)
		return function == F_PG_LOGICAL_SLOT_GET_CHANGES ||
		       function == F_PG_LOGICAL_SLOT_PEEK_CHANGES ||
		       function == F_PG_LOGICAL_SLOT_GET_BINARY_CHANGES ||
		       function == F_PG_LOGICAL_SLOT_PEEK_BINARY_CHANGES;
	if (function == policy_guard_function()) /* in every guarded plan: not worth a look */
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
	if (!isnull && ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		char *path = TextDatumGetCString(library);

		for (int i = 0; i < lengthof(libraries); i++)
			if (strstr(path, libraries[i]) != NULL)
				found = true;
		pfree(path);
	}
	ReleaseSysCache(tuple);
	return found;
}

void
utility_function_execute(Oid function)
{
	UtilityCommand *command = utility_current();

	if (command != NULL && !command->in_event_trigger &&
	    ((command->plain_expressions && !utility_function_is_plain(function)) ||
	     (command->validates && !is_pure(function))))
		utility_refuse_function(function);
	if (IsTransactionState() && policy_state() > POLICY_EMPTY && reads_past_guards(function) &&
	    !exempt_execution(GetUserId(), NULL))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("function %s shows rows past the guards of this database",
		                       format_procedure(function)),
		                errhint("Announce it with privacy_guard.break_glass(), or let a data "
		                        "steward exempt the role with privacy_guard.exempt_role()."),
		                errdenial(InvalidOid, "function")));
}

/* ---- event triggers are nobody's expression ---- */

static bool
wants_fmgr(Oid function)
{
	UtilityCommand *command = utility_current();

	if (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function))
		return true;
	return command != NULL && (command->plain_expressions || command->validates) &&
	       get_func_rettype(function) == EVENT_TRIGGEROID;
}

static void
on_fmgr(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	UtilityCommand *command = utility_current();

	if (prev_fmgr_hook)
		prev_fmgr_hook(event, flinfo, private);
	if (command == NULL || get_func_rettype(flinfo->fn_oid) != EVENT_TRIGGEROID)
		return;
	command->in_event_trigger = event == FHET_START;
	(void) exempt_set_validating(command->validates && event != FHET_START);
}

void
utility_function_init(void)
{
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = wants_fmgr;
	prev_fmgr_hook = fmgr_hook;
	fmgr_hook = on_fmgr;
}
