/*
 * consent.h
 *		privacy_guard.consent: the current decisions of one data subject.
 *
 * A decision is keyed by purpose and, where given, channel and recipient; a consent holds at most
 * one decision for each key, sorted by key. Values are checked when they are made (consent_in,
 * consent_recv, casts, consent_form), so readers trust them.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_CONSENT_H
#define PRIVACY_GUARD_CONSENT_H

#include "datatype/timestamp.h"
#include "fmgr.h"

/* In the order of the SQL enum privacy_guard.consent_status. Stored: never renumber. */
typedef enum ConsentStatus
{
	CONSENT_UNKNOWN,
	CONSENT_REQUESTED,
	CONSENT_REQUEST_DEFERRED,
	CONSENT_REFUSED,
	CONSENT_GIVEN,
	CONSENT_RENEWED,
	CONSENT_WITHDRAWN,
	CONSENT_REVOKED,
	CONSENT_EXPIRED,
	CONSENT_INVALIDATED
} ConsentStatus;

#define CONSENT_STATUS_COUNT (CONSENT_INVALIDATED + 1)

/* The SQL enum privacy_guard.consent_type; the value is the level it reaches. Stored. */
typedef enum ConsentType
{
	CONSENT_IMPLIED = 1,
	CONSENT_EXPRESSED,
	CONSENT_EXPLICITLY_EXPRESSED
} ConsentType;

/* A detoasted value; a short varlena header is fine everywhere. */
typedef struct Consent
{
	int32 vl_len_;
	char payload[FLEXIBLE_ARRAY_MEMBER];
} Consent;

/* The strings are not terminated and belong to whatever the decision was read from. */
typedef struct ConsentDecision
{
	const char *purpose;
	const char *channel;   /* length 0: none, for every channel */
	const char *recipient; /* length 0: none, for the controller itself */
	uint8 purpose_len;
	uint8 channel_len;
	uint8 recipient_len;
	ConsentStatus status;
	ConsentType type;
	int16 version; /* of the purpose; from 1 */
	TimestampTz event_time;
	TimestampTz valid_until; /* DT_NOEND: no end */
} ConsentDecision;

typedef struct ConsentVerdict
{
	int level;              /* what is validly given: 0 nothing, else a ConsentType */
	bool refused;           /* a negative decision for the purpose, or a newer one of an ancestor */
	TimestampTz changes_at; /* when the answer changes by itself; DT_NOEND: never */
} ConsentVerdict;

/* Times are microseconds in the years 1 to 9999, so that each has one ISO 8601 form. */
#define CONSENT_TIME_MIN (INT64CONST(-730119) * USECS_PER_DAY)
#define CONSENT_TIME_END (INT64CONST(2921940) * USECS_PER_DAY)
#define CONSENT_TIME_IS_VALID(t) ((t) >= CONSENT_TIME_MIN && (t) < CONSENT_TIME_END)

#define CONSENT_IS_POSITIVE(status) ((status) == CONSENT_GIVEN || (status) == CONSENT_RENEWED)
/* Not expired: that consent has ended by itself says nothing about other decisions. */
#define CONSENT_IS_NEGATIVE(status)                                                                \
	((status) == CONSENT_REFUSED || (status) == CONSENT_WITHDRAWN ||                               \
	 (status) == CONSENT_REVOKED || (status) == CONSENT_INVALIDATED)

#define DatumGetConsentP(datum) ((Consent *) PG_DETOAST_DATUM_PACKED(datum))

/*
 * What the decisions say about a purpose at a time. Never allocates, never raises an error.
 *
 * Only the base decisions (no channel, no recipient) count. A given or renewed decision counts for
 * exactly its purpose, from event_time until before valid_until, and, where version > 0, for that
 * version of the purpose alone. A negative decision (refused, withdrawn, revoked, invalidated)
 * counts for its purpose and every purpose below it, against decisions that are not
 * newer; it holds for every version and at every `at`, also before its event_time, so that a clock
 * that runs ahead cannot delay a withdrawal. A value in an unknown format is refused.
 */
extern void consent_evaluate(const Consent *consent, const char *path, int path_len, int version,
                             TimestampTz at, ConsentVerdict *out);

/*
 * When the first given or renewed decision, of any purpose, channel and recipient, ends: DT_NOEND
 * when none does.  Never before its event_time, so that a decision with status expired of that
 * moment takes its place.  Never allocates, never raises an error; a value in an unknown format
 * does not end.
 */
extern TimestampTz consent_ends_at(const Consent *consent);

/* The same of one decision. */
static inline TimestampTz
consent_decision_ends_at(const ConsentDecision *decision)
{
	return CONSENT_IS_POSITIVE(decision->status) ? Max(decision->valid_until, decision->event_time)
	                                             : DT_NOEND;
}

/* Reading all decisions, in key order. */
extern int consent_count(const Consent *consent);
extern void consent_get(const Consent *consent, int i, ConsentDecision *out);

/*
 * Making a value, in the current memory context. Each decision must pass
 * consent_decision_is_valid() and they must be in the order of consent_sort(), which is false when
 * two have the same key.
 */
extern bool consent_decision_is_valid(const ConsentDecision *decision);
extern bool consent_sort(ConsentDecision *decisions, int count);
extern Consent *consent_form(const ConsentDecision *decisions, int count);

/* Per key the latest event_time wins, on a tie the least permissive. */
extern Consent *consent_combine(const Consent *left, const Consent *right);

/* Order of keys, and a total order of whole decisions that agrees with it. */
extern int consent_compare_keys(const ConsentDecision *left, const ConsentDecision *right);
extern int consent_compare_decisions(const ConsentDecision *left, const ConsentDecision *right);

extern const char *consent_status_name(ConsentStatus status);
extern const char *consent_type_name(ConsentType type);
extern bool consent_status_parse(const char *name, int len, ConsentStatus *out);
extern bool consent_type_parse(const char *name, int len, ConsentType *out);

#endif /* PRIVACY_GUARD_CONSENT_H */
