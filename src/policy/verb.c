/*
 * verb.c
 *		The envelope in which the extension's own functions write its tables.
 *
 * A public function that writes ("verb") must run its body as the extension's owner, and must know
 * which role called it. A SECURITY DEFINER function cannot know that: its current_user is already
 * the owner. So every verb is one of the trampolines below under the public name. It notes the
 * caller, checks what the caller may do, and calls privacy_guard_internal.<same name>, a PL/pgSQL
 * function that nobody may call directly, as that function's owner.
 *
 * While a body runs, verb_in_progress() is true, and DML on the extension's tables is let through.
 * All state is of this backend; a nested call stacks it on the C stack and PG_FINALLY unstacks it,
 * so an error or a subtransaction's abort leaves nothing behind.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "policy/policy.h"
#include "policy/verb.h"

#define BODY_SCHEMA "privacy_guard_internal"

/*
 * What a body must not inherit from its caller: where names are looked up, and how its literals and
 * comparisons are read.
 */
static const struct
{
	const char *name;
	const char *value;
} body_settings[] = {
    {"search_path", "pg_catalog, pg_temp"}, {"standard_conforming_strings", "on"},
    {"transform_null_equals", "off"},       {"DateStyle", "ISO"},
    {"IntervalStyle", "postgres"},
};

typedef struct VerbBody
{
	Oid function;
	Oid owner;
} VerbBody;

static int deny_unrecorded(Oid relation, const char *reason);

int (*verb_denial)(Oid relation, const char *reason) = deny_unrecorded;

static int verb_depth = 0;
static Oid verb_caller = InvalidOid;
static bool verb_in_worker = false; /* which is called by nobody */

static Datum verb_call(FunctionCallInfo fcinfo);
static Datum verb_invoke(FunctionCallInfo fcinfo, Oid function);
static VerbBody verb_body_of(Oid trampoline);
static void verb_require_role(const char *role_name);
static void verb_fix_settings(void);
static void verb_require_own(Oid trampoline);

PG_FUNCTION_INFO_V1(verb_anyone);
PG_FUNCTION_INFO_V1(verb_steward);
PG_FUNCTION_INFO_V1(verb_auditor);
PG_FUNCTION_INFO_V1(verb_break_glass);
PG_FUNCTION_INFO_V1(verb_invoker_role);
PG_FUNCTION_INFO_V1(verb_recorder);
PG_FUNCTION_INFO_V1(verb_running);
PG_FUNCTION_INFO_V1(verb_is_member);
PG_FUNCTION_INFO_V1(verb_record_id);

/* A verb whose body decides itself who may call it. */
Datum
verb_anyone(PG_FUNCTION_ARGS)
{
	return verb_call(fcinfo);
}

Datum
verb_steward(PG_FUNCTION_ARGS)
{
	verb_require_role("privacy_guard_steward");
	return verb_call(fcinfo);
}

Datum
verb_auditor(PG_FUNCTION_ARGS)
{
	verb_require_role("privacy_guard_auditor");
	return verb_call(fcinfo);
}

Datum
verb_break_glass(PG_FUNCTION_ARGS)
{
	verb_require_role("privacy_guard_break_glass");
	return verb_call(fcinfo);
}

/* privacy_guard_internal.invoker() */
Datum
verb_invoker_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(verb_invoker());
}

/* privacy_guard_internal.recorder(): an unquoted role name holds no space, as a worker's does. */
Datum
verb_recorder(PG_FUNCTION_ARGS)
{
	Oid invoker = verb_invoker();

	if (verb_in_worker)
		PG_RETURN_TEXT_P(cstring_to_text(MyBgworkerEntry->bgw_type));
	PG_RETURN_TEXT_P(cstring_to_text(quote_identifier(GetUserNameFromId(invoker, false))));
}

/* privacy_guard_internal.in_verb() */
Datum
verb_running(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(verb_in_progress());
}

/* privacy_guard_internal.is_member(role, of_role) */
Datum
verb_is_member(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_member_of_role_nosuper(PG_GETARG_OID(0), PG_GETARG_OID(1)));
}

/* Random bytes by the page: an import takes a million times ten of them. */
static void
verb_random(unsigned char *bytes, int count)
{
	static unsigned char pool[4096];
	static int used = sizeof(pool);

	if (used + count > sizeof(pool))
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
			        (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"),
			         errhint("Check the server's source of randomness and try again.")));
		used = 0;
	}
	memcpy(bytes, pool + used, count);
	used += count;
}

/*
 * privacy_guard_internal.record_id(): a version 7 UUID (RFC 9562), which begins with the time, so
 * that a ledger's index grows at its end.
 */
Datum
verb_record_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));
	uint64 now = GetCurrentTimestamp() + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	uint64 millis = now / 1000;

	verb_random(uuid->data, UUID_LEN);
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (millis >> (8 * (5 - i)));
	uuid->data[6] = (uuid->data[6] & 0x0f) | 0x70;
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
	PG_RETURN_UUID_P(uuid);
}

bool
verb_in_progress(void)
{
	return verb_depth > 0;
}

Oid
verb_invoker(void)
{
	if (verb_depth == 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("no function of privacy_guard is in progress"),
		                errhint("Call the function of the same name in schema privacy_guard.")));
	return verb_caller;
}

int
verb_suspend(void)
{
	int depth = verb_depth;

	verb_depth = 0;
	return depth;
}

void
verb_resume(int depth)
{
	verb_depth = depth;
}

static int
deny_unrecorded(Oid relation, const char *reason)
{
	return 0;
}

/*
 * Being a superuser makes nobody a member, nor does SET ROLE: who keeps the rules is named, and on
 * record.
 */
static void
verb_require_role(const char *role_name)
{
	Oid role = get_role_oid(role_name, true);

	if (!policy_acts_as(GetUserId(), role))
		ereport(
		    ERROR,
		    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		     errmsg("must be a member of role \"%s\"", role_name),
		     errhint("Superusers and SET ROLE are no exception. GRANT %s TO the role that logs in.",
		             role_name),
		     verb_denial(InvalidOid, "not_a_member")));
}

/* What a body runs as: whom it runs for is kept for verb_invoker(). */
typedef struct VerbEnvelope
{
	Oid outer_caller;
	int outer_depth;
	Oid caller;
	int caller_context;
	int guc_level;
} VerbEnvelope;

static void
verb_enter(VerbEnvelope *envelope, Oid owner)
{
	envelope->outer_caller = verb_caller;
	envelope->outer_depth = verb_depth;
	GetUserIdAndSecContext(&envelope->caller, &envelope->caller_context);
	envelope->guc_level = NewGUCNestLevel();
	verb_fix_settings();
	SetUserIdAndSecContext(owner, envelope->caller_context | SECURITY_LOCAL_USERID_CHANGE);
	verb_caller = envelope->caller;
	verb_depth = envelope->outer_depth + 1;
}

static void
verb_leave(const VerbEnvelope *envelope)
{
	verb_depth = envelope->outer_depth;
	verb_caller = envelope->outer_caller;
	SetUserIdAndSecContext(envelope->caller, envelope->caller_context);
}

static Datum
verb_call(FunctionCallInfo fcinfo)
{
	VerbBody body = verb_body_of(fcinfo->flinfo->fn_oid);
	VerbEnvelope envelope;
	Datum result = (Datum) 0;

	verb_enter(&envelope, body.owner);
	PG_TRY();
	{
		result = verb_invoke(fcinfo, body.function);
	}
	PG_FINALLY();
	{
		verb_leave(&envelope);
	}
	PG_END_TRY();

	/* After an error the abort of the (sub)transaction does this. */
	AtEOXact_GUC(true, envelope.guc_level);
	return result;
}

static void
verb_call_void(Oid function, Oid argument)
{
	LOCAL_FCINFO(call, 1);
	FmgrInfo flinfo;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(argument);
	call->args[0].isnull = false;
	(void) FunctionCallInvoke(call);
}

void
verb_run_as_owner(const char *function, Oid argument)
{
	Oid schema = get_namespace_oid(BODY_SCHEMA, false);
	CatCList *candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(function));
	VerbBody body = {InvalidOid, InvalidOid};
	VerbEnvelope envelope;

	for (int i = 0; i < candidates->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&candidates->members[i]->tuple);

		if (form->pronamespace == schema && form->pronargs == 1)
			body = (VerbBody){form->oid, form->proowner};
	}
	ReleaseCatCacheList(candidates);
	if (!OidIsValid(body.function))
		elog(ERROR, "function %s is missing", function);

	verb_enter(&envelope, body.owner);
	PG_TRY();
	{
		verb_call_void(body.function, argument);
	}
	PG_FINALLY();
	{
		verb_leave(&envelope);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, envelope.guc_level);
}

/* A worker has its settings for itself, and is called by nobody. */
void
verb_begin_worker(Oid owner)
{
	Assert(verb_depth == 0);
	verb_caller = GetUserId();
	verb_depth = 1;
	verb_in_worker = true;
	SetUserIdAndSecContext(owner, SECURITY_LOCAL_USERID_CHANGE);
}

void
verb_end_worker(void)
{
	if (verb_depth > 0)
		SetUserIdAndSecContext(verb_caller, 0);
	verb_depth = 0;
	verb_caller = InvalidOid;
	verb_in_worker = false;
}

/* Call with the same arguments; a set goes through resultinfo, as PL/pgSQL materializes it. */
static Datum
verb_invoke(FunctionCallInfo fcinfo, Oid function)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	FmgrInfo flinfo;
	Datum result;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, fcinfo->nargs, fcinfo->fncollation, NULL,
	                         fcinfo->resultinfo);
	for (int i = 0; i < fcinfo->nargs; i++)
		call->args[i] = fcinfo->args[i];
	result = FunctionCallInvoke(call);
	fcinfo->isnull = call->isnull;
	return result;
}

/* A superuser can declare another function upon the library's symbols, one that asks for no role.
 */
static void
verb_require_own(Oid trampoline)
{
	Oid schema = get_namespace_oid(BODY_SCHEMA, false);

	if (getExtensionOfObject(ProcedureRelationId, trampoline) !=
	    getExtensionOfObject(NamespaceRelationId, schema))
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		         errmsg("function \"%s\" is none of privacy_guard's", get_func_name(trampoline)),
		         errhint("Call the function of the same name in schema privacy_guard."),
		         verb_denial(InvalidOid, "forged_function")));
}

/* The body has the name and the argument types of its trampoline. */
static VerbBody
verb_body_of(Oid trampoline)
{
	HeapTuple verb_tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(trampoline));
	Oid schema = get_namespace_oid(BODY_SCHEMA, false);
	Form_pg_proc verb;
	HeapTuple body_tuple;
	VerbBody body;

	if (!HeapTupleIsValid(verb_tuple))
		elog(ERROR, "cache lookup failed for function %u", trampoline);
	verb_require_own(trampoline);
	verb = (Form_pg_proc) GETSTRUCT(verb_tuple);
	body_tuple = SearchSysCache3(PROCNAMEARGSNSP, NameGetDatum(&verb->proname),
	                             PointerGetDatum(&verb->proargtypes), ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(body_tuple))
		elog(ERROR, "function %s has no body", NameStr(verb->proname));
	body.function = ((Form_pg_proc) GETSTRUCT(body_tuple))->oid;
	body.owner = ((Form_pg_proc) GETSTRUCT(body_tuple))->proowner;
	ReleaseSysCache(body_tuple);
	ReleaseSysCache(verb_tuple);
	return body;
}

static void
verb_fix_settings(void)
{
	for (int i = 0; i < lengthof(body_settings); i++)
		(void) set_config_option(body_settings[i].name, body_settings[i].value, PGC_USERSET,
		                         PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
