/*
 * stricter.c
 *		May a change of a data subject's state have taken a permission away?
 *
 * An open cursor goes on when somebody consents, and must not when somebody withdraws.
 */
#include "postgres.h"

#include "access/htup_details.h"

#include "consent/stricter.h"
#include "policy/catalog.h"
#include "types/consent.h"
#include "types/purpose_set.h"

static bool
new_objection(const PurposeSet *before, const PurposeSet *after)
{
	for (int i = 0; i < purpose_set_count(after); i++)
	{
		PurposeSetMember member;

		purpose_set_get(after, i, &member);
		if (before == NULL || !purpose_set_covers(before, member.path, member.len))
			return true;
	}
	return false;
}

static bool
find_decision(const Consent *consent, const ConsentDecision *key, ConsentDecision *found)
{
	for (int i = 0; consent != NULL && i < consent_count(consent); i++)
	{
		consent_get(consent, i, found);
		if (consent_compare_keys(found, key) == 0)
			return true;
	}
	return false;
}

static bool
stricter_decision(const ConsentDecision *before, const ConsentDecision *after)
{
	if (CONSENT_IS_NEGATIVE(after->status))
		return before == NULL || consent_compare_decisions(before, after) != 0;
	if (before == NULL || !CONSENT_IS_POSITIVE(before->status))
		return false;
	/* On record now, but time had ended it before. */
	if (after->status == CONSENT_EXPIRED && after->event_time >= before->valid_until)
		return false;
	return !CONSENT_IS_POSITIVE(after->status) || after->type < before->type ||
	       after->version != before->version || after->valid_until < before->valid_until ||
	       after->event_time > before->event_time;
}

static bool
stricter_consent(const Consent *before, const Consent *after)
{
	ConsentDecision old;
	ConsentDecision new;

	for (int i = 0; i < consent_count(after); i++)
	{
		bool known;

		consent_get(after, i, &new);
		known = find_decision(before, &new, &old);
		if (stricter_decision(known ? &old : NULL, &new))
			return true;
	}
	for (int i = 0; before != NULL && i < consent_count(before); i++)
	{
		consent_get(before, i, &old);
		if (CONSENT_IS_POSITIVE(old.status) && !find_decision(after, &old, &new))
			return true;
	}
	return false;
}

static Datum
column(HeapTuple tuple, TupleDesc desc, int number)
{
	bool isnull;

	return catalog_column(tuple, desc, number, &isnull);
}

bool
stricter_state(HeapTuple before, HeapTuple after, TupleDesc desc)
{
	const PurposeSet *objections = NULL;
	const Consent *consent = NULL;

	if (after == NULL)
		return true;
	if (before != NULL)
	{
		if (DatumGetInt64(column(before, desc, STATE_SUBJECT)) !=
		        DatumGetInt64(column(after, desc, STATE_SUBJECT)) ||
		    catalog_int4(before, desc, STATE_CATEGORY) !=
		        catalog_int4(after, desc, STATE_CATEGORY) ||
		    strcmp(catalog_text(before, desc, STATE_KEY), catalog_text(after, desc, STATE_KEY)) !=
		        0)
			return true;
		objections = DatumGetPurposeSetP(column(before, desc, STATE_OBJECTIONS));
		consent = DatumGetConsentP(column(before, desc, STATE_CONSENT));
	}
	return (catalog_bool(after, desc, STATE_RESTRICTED) &&
	        (before == NULL || !catalog_bool(before, desc, STATE_RESTRICTED))) ||
	       new_objection(objections, DatumGetPurposeSetP(column(after, desc, STATE_OBJECTIONS))) ||
	       stricter_consent(consent, DatumGetConsentP(column(after, desc, STATE_CONSENT)));
}
