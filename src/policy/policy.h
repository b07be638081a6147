/*
 * policy.h
 *		What the stored rules say, as each backend remembers it.
 *
 * Everything here is read lazily, under a snapshot of its own, and forgotten when one of the
 * tables of rules changes.  A pointer stays good until the policy is unpinned; executions pin.
 */
#ifndef PRIVACY_GUARD_POLICY_H
#define PRIVACY_GUARD_POLICY_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "datatype/timestamp.h"
#include "policy/decision.h"
#include "utils/relcache.h"

#define MAX_SUBJECT_COLUMNS 8
#define MAX_PURPOSE_LENGTH 256
#define MAX_PURPOSE_DEPTH 16

/* What the guard takes at most: subject columns, own consent, start of the storage duration. */
#define MAX_GUARD_COLUMNS (MAX_SUBJECT_COLUMNS + 2)

typedef enum KeyKind
{
	KEY_INT,
	KEY_UUID,
	KEY_TEXT
} KeyKind;

typedef enum AuditLevel
{
	AUDIT_SUBJECT,
	AUDIT_STATEMENT,
	AUDIT_NONE
} AuditLevel;

typedef enum PriorRowSecurity
{
	PRIOR_OFF,
	PRIOR_ENABLED,
	PRIOR_FORCED
} PriorRowSecurity;

typedef struct Purpose
{
	char path[MAX_PURPOSE_LENGTH]; /* hash key */
	bool known;
	int32 id;
	int version;
	LegalBasis basis;
	int consent_level;
	bool record_basis;
	bool export_allowed;
	bool exempt_from_restriction;
} Purpose;

typedef struct GuardedTable
{
	Oid relid; /* hash key */
	int32 category;
	KeyKind key_kind;
	int n_subjects; /* 0 when the subject is reached through a foreign key */
	NameData subject[MAX_SUBJECT_COLUMNS];
	NameData via;
	NameData consent_column;  /* empty when there is none */
	NameData retention_start; /* empty where no storage duration was ever set */
	bool start_is_date;       /* otherwise a timestamp; known as soon as one of its relations is */
	bool anonymises;          /* rows without subject are what a rule leaves, and so without end */
	bool show_null;
	bool monitor;
	bool suppresses; /* some subjects of its category were erased and must not come back */
	AuditLevel audit_level;
	PriorRowSecurity prior;
} GuardedTable;

/* A guarded table, or a partition or inheritance child of one. */
typedef struct GuardedRelation
{
	Oid relid;           /* hash key */
	GuardedTable *table; /* NULL: not guarded */
	bool internal;       /* one of the extension's own tables */
	PriorRowSecurity prior;
	int n_args; /* what the guard takes: subject columns or via, own consent, start of duration */
	AttrNumber arg[MAX_GUARD_COLUMNS];
} GuardedRelation;

/* How long a row may live for a purpose, once that is in effect. */
typedef struct RuleDuration
{
	Interval period;
	TimestampTz effective_from;
} RuleDuration;

typedef struct Rule
{
	bool permitted;
	bool prohibited; /* why it is not */
	int32 id;        /* of the permission that decides */
	LegalBasis basis;
	DecisionMask mask;
	int n_durations; /* of the purpose and those above it, then the general one; first wins */
	RuleDuration duration[MAX_PURPOSE_DEPTH + 1];
} Rule;

typedef enum PolicyState
{
	POLICY_ABSENT,  /* the extension is not in this database */
	POLICY_EMPTY,   /* nothing is guarded */
	POLICY_PENDING, /* restored or copied from elsewhere: nothing may be read */
	POLICY_IN_FORCE
} PolicyState;

extern void policy_init(void);
extern PolicyState policy_state(void);

/* Another number whenever the rules may have changed; never 0. */
extern uint64 policy_number(void);

/* Keep what has been handed out valid until unpinned, also across changes of the rules. */
extern void *policy_pin(void);
extern void policy_unpin(void *pin);

extern const GuardedRelation *policy_relation(Oid relid);
extern const GuardedRelation *policy_guarded(Oid relid);
extern List *policy_tables(void); /* the oids of all guarded tables, without their children */
extern const Purpose *policy_purpose(const char *path);
extern List *policy_purposes(void); /* the paths of all, as char * */
extern const Rule *policy_rule(const GuardedTable *table, const Purpose *purpose);
extern const struct HoldSet *policy_holds(void);
extern bool policy_entitled(Oid role, const Purpose *purpose);
extern bool policy_may_collect(Oid role, const Purpose *purpose);
extern bool policy_monitors(const GuardedTable *table, Oid role);
extern bool policy_role_exempt(Oid role);
extern bool policy_is_steward(Oid role);
extern bool policy_acts_as(Oid role, Oid office); /* also where nothing is guarded */
extern KeyKind policy_category_kind(int32 category);

/* The extension's own objects; InvalidOid where it is absent. */
extern Oid policy_schema(void);
extern Oid policy_guard_function(void);
extern Oid policy_conflict_guard_function(void);
extern Oid policy_trigger_function(void);
extern bool policy_is_guard_trigger(Oid function);
extern Oid policy_library_function(void);

#endif
