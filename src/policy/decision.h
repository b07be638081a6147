/*
 * decision.h
 *		May a row of this subject be used?  A pure function of facts and rule.
 *
 * The facts about one subject for one purpose fit into 16 bits, so that the shared cache can hold
 * eight neighbouring subjects in a cache line.  A rule becomes two masks over the same bits.
 */
#ifndef PRIVACY_GUARD_DECISION_H
#define PRIVACY_GUARD_DECISION_H

#include "postgres.h"

typedef uint16 SubjectFacts;

#define FACT_CONSENT_IMPLIED 0x0001 /* consent of at least this type is given and valid */
#define FACT_CONSENT_EXPRESSED 0x0002
#define FACT_CONSENT_EXPLICIT 0x0004
#define FACT_REFUSED 0x0008    /* a standing refusal or withdrawal, of the purpose or above it */
#define FACT_OBJECTED 0x0010   /* GDPR Art. 21, to the purpose or one above it */
#define FACT_RESTRICTED 0x0020 /* GDPR Art. 18 */
#define FACT_KNOWN 0x0040      /* the subject has a number */
#define FACT_BASIS_SHIFT 7     /* a recorded basis, one bit each, in the order of LegalBasis */

/* In the order of the SQL enum privacy_guard.legal_basis. */
typedef enum LegalBasis
{
	BASIS_CONSENT,
	BASIS_CONTRACT,
	BASIS_ENTER_INTO_CONTRACT,
	BASIS_LEGAL_OBLIGATION,
	BASIS_VITAL_INTEREST,
	BASIS_PUBLIC_INTEREST,
	BASIS_OFFICIAL_AUTHORITY,
	BASIS_LEGITIMATE_INTEREST
} LegalBasis;

extern const char *decision_basis_name(LegalBasis basis);

#define FACT_BASIS(basis) ((SubjectFacts) (1 << (FACT_BASIS_SHIFT + (basis))))

typedef struct DecisionMask
{
	SubjectFacts deny;    /* any of these hides the row */
	SubjectFacts require; /* at least one of these shows it; none: nothing is required */
	bool own_consent;     /* a consent column of the row itself decides as well */
	int consent_level;    /* 1 implied, 2 expressed, 3 explicit: what own_consent must give */
} DecisionMask;

/*
 * The masks of a rule.  consent_level is what the purpose demands; exempt_from_restriction is
 * true for the purposes that GDPR Art. 18(2) lets go on; record_basis demands a recorded basis.
 */
extern DecisionMask decision_mask(LegalBasis basis, int consent_level, bool exempt_from_restriction,
                                  bool record_basis);

/* Without looking at the row's own consent. */
static inline bool
decision_permits(const DecisionMask *mask, SubjectFacts facts)
{
	return (facts & mask->deny) == 0 && (mask->require == 0 || (facts & mask->require) != 0);
}

/* Is the answer the same for every subject? */
static inline bool
decision_needs_facts(const DecisionMask *mask)
{
	return (mask->deny | mask->require) != 0;
}

#endif
