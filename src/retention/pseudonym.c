/*
 * pseudonym.c
 *		Keyed pseudonyms, in our own statements and nowhere else.
 *
 * Who can have any value turned into its pseudonym can find the person behind one, by trying.  But
 * the statement that pseudonymises runs as the table's owner, and with it his triggers.  So the
 * function that the statement names does nothing but refuse; the planner puts another in its place,
 * in statements of ours only, whose first argument is of type internal: SQL cannot call it.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "policy/suppression.h"
#include "retention/pseudonym.h"

PG_FUNCTION_INFO_V1(pseudonym_refuse);
PG_FUNCTION_INFO_V1(pseudonym_of);

static Oid
function_of(const char *schema, const char *name, const Oid *types, int n)
{
	oidvector *arguments = buildoidvector(types, n);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
	                       PointerGetDatum(arguments),
	                       ObjectIdGetDatum(get_namespace_oid(schema, false)));
}

void
pseudonym_enable(FuncExpr *call)
{
	static const Oid placeholder[] = {TEXTOID};
	static const Oid real[] = {INTERNALOID, TEXTOID};

	if (list_length(call->args) != 1 ||
	    call->funcid != function_of("privacy_guard", "pseudonym", placeholder, 1))
		return;
	call->funcid = function_of("privacy_guard_internal", "pseudonym", real, 2);
	call->args = lcons(makeNullConst(INTERNALOID, -1, InvalidOid), call->args);
}

/* privacy_guard.pseudonym(value text) */
Datum
pseudonym_refuse(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
	                errmsg("pseudonyms are made by the eraser only"),
	                errhint("Give a storage duration the action pseudonymise and the mask "
	                        "pseudonym; see privacy_guard.retain().")));
}

/* privacy_guard_internal.pseudonym(internal, value text) */
Datum
pseudonym_of(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(suppression_pseudonym(PG_GETARG_TEXT_PP(1)));
}
