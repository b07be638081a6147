/*
 * basis.c
 *		Does anybody still need the data of a subject?
 *
 * The guard shows a row for a purpose when the masks of the table's rule let the facts of each of
 * its subjects pass.  So where no permitted purpose lets a subject's facts pass, no row about that
 * subject is ever shown, whoever else it is about: nobody needs it.  The masks and the facts are
 * the guard's own; they differ in what must not make data unneeded:
 *
 * A restriction suspends processing and ends no basis.  A consent column of the row may permit what
 * the recorded state does not know of, so there only a refusal ends the basis.  Storage durations
 * are not looked at.  A table that permits nothing, and one whose guard is pending, is needed.
 *
 * Facts come from the state row at hand, not through the shared cache: a pass over all subjects
 * would displace what the application asks for.  Takes no locks beyond those of reading.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "consent/subject.h"
#include "policy/catalog.h"
#include "policy/policy.h"

typedef struct BasisRule
{
	Purpose purpose;
	DecisionMask mask;
} BasisRule;

/* What a table permits, as it was when the policy had this number. */
typedef struct BasisRules
{
	Oid relid;
	uint64 policy;
	bool always; /* whatever is on record about the subject */
	int n;
	BasisRule rule[FLEXIBLE_ARRAY_MEMBER];
} BasisRules;

PG_FUNCTION_INFO_V1(basis_of_state);
PG_FUNCTION_INFO_V1(basis_of_subject);

/* Those that need no look at another table first. */
static int
compare_rules(const void *left, const void *right)
{
	return (int) ((const BasisRule *) left)->purpose.record_basis -
	       (int) ((const BasisRule *) right)->purpose.record_basis;
}

static void
add_rule(BasisRules *rules, const GuardedTable *table, const Purpose *purpose)
{
	const Rule *rule = policy_rule(table, purpose);

	if (!rule->permitted)
		return;
	rules->rule[rules->n].purpose = *purpose;
	rules->rule[rules->n].mask = rule->mask;
	rules->rule[rules->n].mask.deny &= ~FACT_RESTRICTED;
	rules->n++;
}

static void
collect_rules(BasisRules *rules, const GuardedTable *table, List *paths)
{
	ListCell *cell;

	foreach (cell, paths)
	{
		const Purpose *known = policy_purpose(lfirst(cell));
		Purpose purpose;

		if (known == NULL)
			continue;
		/* A copy: the rules may change from one to the next. */
		purpose = *known;
		add_rule(rules, table, &purpose);
	}
	qsort(rules->rule, rules->n, sizeof(BasisRule), compare_rules);
}

static BasisRules *
read_rules(Oid relid, MemoryContext context)
{
	void *pin = policy_pin();
	uint64 number = policy_number();
	const GuardedRelation *relation = policy_guarded(relid);
	List *paths = relation != NULL ? policy_purposes() : NIL;
	BasisRules *rules = MemoryContextAllocZero(context, offsetof(BasisRules, rule) +
	                                                        list_length(paths) * sizeof(BasisRule));

	rules->relid = relid;
	rules->policy = number;
	if (relation != NULL && policy_state() == POLICY_IN_FORCE)
		collect_rules(rules, relation->table, paths);
	rules->always = rules->n == 0;
	list_free_deep(paths);
	policy_unpin(pin);
	return rules;
}

/* Do the rules still say the same about this table? */
static bool
rules_hold(const BasisRules *rules, Oid relid)
{
	return rules->relid == relid && rules->policy == policy_number();
}

static bool
rule_lets_pass(const BasisRule *rule, SubjectFacts facts)
{
	if (rule->mask.own_consent)
		return (facts & FACT_REFUSED) == 0;
	return decision_permits(&rule->mask, facts);
}

/* By this row of privacy_guard.subject_state; NULL: nothing is on record about the subject. */
static bool
is_live(const BasisRules *rules, HeapTuple state, TupleDesc desc, TimestampTz now)
{
	if (rules->always)
		return true;
	for (int i = 0; i < rules->n; i++)
	{
		const BasisRule *rule = &rules->rule[i];
		SubjectFacts facts = 0;
		TimestampTz changes_at;

		if (state != NULL)
			facts = subject_state_facts(state, desc, &rule->purpose, now, &changes_at);
		if (rule_lets_pass(rule, facts))
			return true;
	}
	return false;
}

/* ---- in SQL ---- */

/* What a call site remembers. */
typedef struct BasisCall
{
	BasisRules *rules;
	TupleDesc desc; /* of subject_state */
} BasisCall;

static BasisCall *
basis_call(FunctionCallInfo fcinfo)
{
	BasisCall *call = fcinfo->flinfo->fn_extra;
	Oid relid = PG_GETARG_OID(0);

	if (call == NULL)
	{
		call = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(BasisCall));
		fcinfo->flinfo->fn_extra = call;
	}
	if (call->rules != NULL && !rules_hold(call->rules, relid))
	{
		pfree(call->rules);
		call->rules = NULL;
	}
	if (call->rules == NULL)
		call->rules = read_rules(relid, fcinfo->flinfo->fn_mcxt);
	return call;
}

/* privacy_guard_internal.has_live_basis(relation, state) */
Datum
basis_of_state(PG_FUNCTION_ARGS)
{
	BasisCall *call = basis_call(fcinfo);
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
	HeapTupleData state = {.t_len = HeapTupleHeaderGetDatumLength(row), .t_data = row};

	if (call->desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		call->desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(row),
		                                         HeapTupleHeaderGetTypMod(row));
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_BOOL(is_live(call->rules, &state, call->desc, GetCurrentTimestamp()));
}

typedef struct SubjectQuestion
{
	const BasisRules *rules;
	bool found;
	bool live;
} SubjectQuestion;

static void
ask_state(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SubjectQuestion *question = arg;

	question->found = true;
	question->live = is_live(question->rules, tuple, desc, GetCurrentTimestamp());
}

/* privacy_guard_internal.has_live_basis(relation, subject) */
Datum
basis_of_subject(PG_FUNCTION_ARGS)
{
	SubjectQuestion question = {basis_call(fcinfo)->rules, false, false};
	ScanKeyData key;

	ScanKeyInit(&key, STATE_SUBJECT, BTEqualStrategyNumber, F_INT8EQ, PG_GETARG_DATUM(1));
	catalog_scan(CATALOG_SUBJECT_STATE_NUMBER, &key, 1, ask_state, &question);
	if (!question.found)
		question.live = is_live(question.rules, NULL, NULL, GetCurrentTimestamp());
	PG_RETURN_BOOL(question.live);
}
