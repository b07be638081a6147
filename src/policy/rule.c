/*
 * rule.c
 *		What a purpose may do with a table, and who may work for it: read from the stored rules.
 *
 * Nothing is remembered here; policy.c does that.
 */
#include "postgres.h"

#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "policy/catalog.h"
#include "policy/duration.h"
#include "policy/rule.h"

/*
 * Call visit() for the purpose and each one above it, nearest first, until it returns false.
 */
static void
purpose_ascend(const char *path, bool (*visit)(const char *path, int height, void *arg), void *arg)
{
	char name[MAX_PURPOSE_LENGTH];
	char *dot;

	strlcpy(name, path, sizeof(name));
	for (int height = 0; visit(name, height, arg) && (dot = strrchr(name, '.')) != NULL; height++)
		*dot = '\0';
}

void
rule_read_purpose(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Purpose *purpose = arg;
	bool isnull;

	purpose->known = true;
	purpose->id = catalog_int4(tuple, desc, PURPOSE_ID);
	purpose->version = DatumGetInt16(catalog_column(tuple, desc, PURPOSE_VERSION, &isnull));
	purpose->basis = catalog_enum_position(
	    DatumGetObjectId(catalog_column(tuple, desc, PURPOSE_LEGAL_BASIS, &isnull)));
	purpose->consent_level = 1 + catalog_enum_position(DatumGetObjectId(
	                                 catalog_column(tuple, desc, PURPOSE_CONSENT_TYPE, &isnull)));
	purpose->record_basis = catalog_bool(tuple, desc, PURPOSE_RECORD_BASIS);
	purpose->export_allowed = catalog_bool(tuple, desc, PURPOSE_EXPORT);
	purpose->exempt_from_restriction =
	    catalog_bool(tuple, desc, PURPOSE_LEGAL_CLAIMS) ||
	    catalog_bool(tuple, desc, PURPOSE_RIGHTS_OF_OTHERS) ||
	    catalog_bool(tuple, desc, PURPOSE_IMPORTANT_PUBLIC_INTEREST) ||
	    catalog_bool(tuple, desc, PURPOSE_SUBJECT_RIGHTS);
}

typedef struct RuleSearch
{
	const GuardedTable *table;
	int height;
	int n;
	struct
	{
		int32 id;
		int height;
		bool permit;
		bool specific; /* names the subject category */
		int basis;     /* -1: the purpose's own */
		TimestampTz created_at;
	} found[4 * MAX_PURPOSE_DEPTH];
} RuleSearch;

static void
read_rule(HeapTuple tuple, TupleDesc desc, void *arg)
{
	RuleSearch *search = arg;
	bool any_category;
	bool own_basis;
	Datum category = catalog_column(tuple, desc, RULE_CATEGORY, &any_category);
	Datum basis = catalog_column(tuple, desc, RULE_LEGAL_BASIS, &own_basis);
	Datum created_at = catalog_column(tuple, desc, RULE_CREATED_AT, &(bool){false});
	int i = search->n;

	if (!any_category && DatumGetInt32(category) != search->table->category)
		return;
	if (i >= lengthof(search->found))
		elog(ERROR, "too many rules for one purpose");
	search->found[i].id = catalog_int4(tuple, desc, RULE_ID);
	search->found[i].height = search->height;
	search->found[i].permit = strcmp(catalog_text(tuple, desc, RULE_EFFECT), "permit") == 0;
	search->found[i].specific = !any_category;
	search->found[i].basis = own_basis ? -1 : catalog_enum_position(DatumGetObjectId(basis));
	search->found[i].created_at = DatumGetTimestampTz(created_at);
	search->n++;
}

static bool
search_rules_at(const char *path, int height, void *arg)
{
	RuleSearch *search = arg;
	ScanKeyData keys[2];

	search->height = height;
	ScanKeyInit(&keys[0], RULE_RELATION, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(search->table->relid));
	ScanKeyInit(&keys[1], RULE_PURPOSE, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(path));
	catalog_scan(CATALOG_RULE, keys, 2, read_rule, search);
	return true;
}

/*
 * Permission reaches down the tree, and so does a prohibition; that one touches only permissions
 * older than itself.  Of several permissions the nearest decides about the legal basis.
 */
static void
fold_rules(const RuleSearch *search, const Purpose *purpose, Rule *rule)
{
	int best = -1;

	for (int i = 0; i < search->n; i++)
	{
		bool overruled = false;

		if (!search->found[i].permit)
			continue;
		for (int j = 0; j < search->n; j++)
			if (!search->found[j].permit &&
			    search->found[j].created_at >= search->found[i].created_at)
				overruled = true;
		rule->prohibited |= overruled;
		if (overruled)
			continue;
		if (best < 0 || search->found[i].height < search->found[best].height ||
		    (search->found[i].height == search->found[best].height && search->found[i].specific))
			best = i;
	}
	for (int j = 0; best >= 0 && j < search->n; j++)
	{
		/* A newer permission further up does not lift a prohibition nearer to the purpose. */
		if (!search->found[j].permit && search->found[j].height < search->found[best].height)
		{
			best = -1;
			rule->prohibited = true;
		}
	}
	if (best < 0)
		return;
	rule->permitted = true;
	rule->prohibited = false;
	rule->id = search->found[best].id;
	rule->basis = search->found[best].basis >= 0 ? search->found[best].basis : purpose->basis;
}

/* ---- storage durations ---- */

typedef struct DurationSearch
{
	const char *path;
	bool found[MAX_PURPOSE_DEPTH + 1]; /* by the depth of the purpose; 0: the general one */
	RuleDuration duration[MAX_PURPOSE_DEPTH + 1];
} DurationSearch;

/* How many labels the path of a purpose has. */
static int
purpose_depth(const char *path)
{
	int depth = 1;

	for (const char *dot = path; (dot = strchr(dot, '.')) != NULL; dot++)
		depth++;
	return depth;
}

static bool
purpose_covers(const char *above, const char *path)
{
	size_t length = strlen(above);

	return strncmp(path, above, length) == 0 && (path[length] == '\0' || path[length] == '.');
}

static void
read_duration(HeapTuple tuple, TupleDesc desc, void *arg)
{
	DurationSearch *search = arg;
	char *purpose = catalog_text(tuple, desc, RETENTION_PURPOSE);
	bool endless;
	Datum period = catalog_column(tuple, desc, RETENTION_PERIOD, &endless);
	Datum effective_from = catalog_column(tuple, desc, RETENTION_EFFECTIVE_FROM, &(bool){false});
	int depth = purpose != NULL ? purpose_depth(purpose) : 0;

	if (endless || depth > MAX_PURPOSE_DEPTH ||
	    (purpose != NULL && !purpose_covers(purpose, search->path)))
		return;
	search->found[depth] = true;
	search->duration[depth].period = *DatumGetIntervalP(period);
	search->duration[depth].effective_from = DatumGetTimestampTz(effective_from);
}

static void
find_durations(const GuardedTable *table, const Purpose *purpose, Rule *rule)
{
	DurationSearch search = {.path = purpose->path};
	ScanKeyData key;

	if (NameStr(table->retention_start)[0] == '\0')
		return;
	ScanKeyInit(&key, RETENTION_RELATION, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(table->relid));
	catalog_scan(CATALOG_RETENTION, &key, 1, read_duration, &search);
	for (int depth = MAX_PURPOSE_DEPTH; depth >= 0; depth--)
		if (search.found[depth])
			rule->duration[rule->n_durations++] = search.duration[depth];
}

bool
rule_cutoff(const Rule *rule, TimestampTz now, TimestampTz *cutoff)
{
	for (int i = 0; i < rule->n_durations; i++)
		if (rule->duration[i].effective_from <= now)
		{
			*cutoff = duration_cutoff(now, &rule->duration[i].period);
			return true;
		}
	return false;
}

Rule
rule_find(const GuardedTable *table, const Purpose *purpose)
{
	RuleSearch search = {.table = table};
	Rule rule = {.permitted = false};

	purpose_ascend(purpose->path, search_rules_at, &search);
	fold_rules(&search, purpose, &rule);
	if (rule.permitted)
	{
		rule.mask = decision_mask(rule.basis, purpose->consent_level,
		                          purpose->exempt_from_restriction, purpose->record_basis);
		rule.mask.own_consent =
		    rule.basis == BASIS_CONSENT && NameStr(table->consent_column)[0] != '\0';
		find_durations(table, purpose, &rule);
	}
	return rule;
}

/* ---- grants ---- */

typedef struct GrantSearch
{
	Oid role;
	const char *privilege;
	bool granted;
} GrantSearch;

static void
read_grant(HeapTuple tuple, TupleDesc desc, void *arg)
{
	GrantSearch *search = arg;
	bool isnull;
	Oid role = DatumGetObjectId(catalog_column(tuple, desc, GRANT_ROLE, &isnull));

	if (strcmp(catalog_text(tuple, desc, GRANT_PRIVILEGE), search->privilege) == 0 &&
	    is_member_of_role_nosuper(search->role, role))
		search->granted = true;
}

static bool
search_grants_at(const char *path, int height, void *arg)
{
	GrantSearch *search = arg;
	ScanKeyData key;

	ScanKeyInit(&key, GRANT_PURPOSE, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(path));
	catalog_scan(CATALOG_PURPOSE_GRANT, &key, 1, read_grant, search);
	return !search->granted;
}

bool
rule_grants(Oid role, const Purpose *purpose, bool collect)
{
	GrantSearch search = {.role = role, .privilege = collect ? "collect" : "process"};

	purpose_ascend(purpose->path, search_grants_at, &search);
	return search.granted;
}
