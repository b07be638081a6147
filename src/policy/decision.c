/*
 * decision.c
 *		From a rule to the masks that decide for each subject.
 */
#include "postgres.h"

#include "policy/decision.h"

static SubjectFacts
consent_fact(int level)
{
	switch (level)
	{
		case 1:
			return FACT_CONSENT_IMPLIED;
		case 2:
			return FACT_CONSENT_EXPRESSED;
		default:
			return FACT_CONSENT_EXPLICIT;
	}
}

const char *
decision_basis_name(LegalBasis basis)
{
	static const char *const names[] = {
	    [BASIS_CONSENT] = "consent",
	    [BASIS_CONTRACT] = "contract",
	    [BASIS_ENTER_INTO_CONTRACT] = "enter_into_contract",
	    [BASIS_LEGAL_OBLIGATION] = "legal_obligation",
	    [BASIS_VITAL_INTEREST] = "vital_interest",
	    [BASIS_PUBLIC_INTEREST] = "public_interest",
	    [BASIS_OFFICIAL_AUTHORITY] = "official_authority",
	    [BASIS_LEGITIMATE_INTEREST] = "legitimate_interest",
	};

	return names[basis];
}

DecisionMask
decision_mask(LegalBasis basis, int consent_level, bool exempt_from_restriction, bool record_basis)
{
	DecisionMask mask = {.consent_level = consent_level};

	/* What the subject consents to goes on under a restriction: Art. 18(2). */
	if (!exempt_from_restriction && basis != BASIS_CONSENT)
		mask.deny |= FACT_RESTRICTED;

	switch (basis)
	{
		case BASIS_CONSENT:
			mask.require = consent_fact(consent_level);
			return mask;
		case BASIS_PUBLIC_INTEREST:
		case BASIS_OFFICIAL_AUTHORITY:
		case BASIS_LEGITIMATE_INTEREST:
			mask.deny |= FACT_OBJECTED;
			break;
		case BASIS_CONTRACT:
		case BASIS_ENTER_INTO_CONTRACT:
		case BASIS_LEGAL_OBLIGATION:
		case BASIS_VITAL_INTEREST:
			break;
	}
	if (record_basis)
		mask.require = FACT_BASIS(basis);
	return mask;
}
