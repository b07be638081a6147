/*
 * trail_sql.c
 *		What the extension's own SQL functions have to say to the audit log.
 *
 * Nobody else may call these: the functions of privacy_guard_internal are the owner's.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "audit/trail.h"
#include "policy/verb.h"
#include "types/subject_set.h"

PG_FUNCTION_INFO_V1(trail_audit_event);
PG_FUNCTION_INFO_V1(trail_audit_flush);

static const char *
text_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

static RecordKind
kind_of(const char *name)
{
	for (int kind = 1; name != NULL && record_kind_name(kind) != NULL; kind++)
		if (strcmp(name, record_kind_name(kind)) == 0)
			return kind;
	elog(ERROR, "unknown kind of audit record");
}

typedef struct FewNumbers
{
	uint64 number[RECORD_SUBJECT_ARRAY];
	int n;
} FewNumbers;

static bool
take_number(uint64 number, void *arg)
{
	FewNumbers *few = arg;

	few->number[few->n++] = number;
	return true;
}

static void
put_subjects(TrailEvent *event, const SubjectSet *set, FewNumbers *few)
{
	if (subject_set_count(set) > RECORD_SUBJECT_ARRAY)
	{
		event->subject_bitmap = subject_set_portable(set, &event->subject_bitmap_length);
		return;
	}
	subject_bits_iterate(subject_set_bits(CurrentMemoryContext, set), take_number, few);
	event->subjects = few->number;
	event->n_subjects = few->n;
}

static void
refuse_standby(void)
{
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("the audit log cannot be used on a standby"),
		                errhint("Use it on the primary, where reading it is on record.")));
}

/*
 * audit_event(kind text, operation text, object text, purpose text, relation oid, reason text,
 * old text, new text, subjects subject_set, rows bigint, recipient text, at_once boolean)
 */
Datum
trail_audit_event(PG_FUNCTION_ARGS)
{
	FewNumbers few = {.n = 0};
	TrailEvent event = {
	    .kind = kind_of(text_arg(fcinfo, 0)),
	    .operation = text_arg(fcinfo, 1),
	    .object = text_arg(fcinfo, 2),
	    .purpose = text_arg(fcinfo, 3),
	    .relation = PG_ARGISNULL(4) ? InvalidOid : PG_GETARG_OID(4),
	    .reason = text_arg(fcinfo, 5),
	    .old_value = text_arg(fcinfo, 6),
	    .new_value = text_arg(fcinfo, 7),
	    .rows = PG_ARGISNULL(9) ? 0 : (uint64) PG_GETARG_INT64(9),
	    .recipient = text_arg(fcinfo, 10),
	    .at_once = !PG_ARGISNULL(11) && PG_GETARG_BOOL(11),
	};

	if (!verb_in_progress())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("records are made by the functions of privacy_guard only"),
		                errhint("What sessions do is on record without being told."),
		                errtamper(InvalidOid, "forged_record")));
	refuse_standby();
	if (!PG_ARGISNULL(8))
		put_subjects(&event, PG_GETARG_SUBJECT_SET(8), &few);
	trail_event(&event);
	PG_RETURN_VOID();
}

/* audit_flush(): wait until the log holds everything that was said so far. */
Datum
trail_audit_flush(PG_FUNCTION_ARGS)
{
	refuse_standby();
	trail_flush();
	PG_RETURN_VOID();
}
