/*
 * policy.c
 *		What the stored rules say, as each backend remembers it.
 *
 * A generation is everything that was learned since the rules last changed.  Relation cache
 * invalidations make it stale: of a table of rules (its trigger sends one with each change), of a
 * guarded relation (its columns may have changed), or of everything.  The next reader starts a
 * new generation; the old one is freed when the last execution that pinned it ends.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "policy/catalog.h"
#include "policy/hold.h"
#include "policy/policy.h"
#include "policy/rule.h"

#define RECENT 32

typedef struct RelationEntry
{
	GuardedRelation relation; /* starts with the key */
	bool resolved;
} RelationEntry;

typedef struct RuleKey
{
	Oid relid;
	int32 purpose;
} RuleKey;

typedef struct RuleEntry
{
	RuleKey key;
	Rule rule;
} RuleEntry;

typedef struct GrantKey
{
	Oid role;
	int32 purpose;
	bool collect;
} GrantKey;

typedef struct GrantEntry
{
	GrantKey key;
	bool granted;
} GrantEntry;

typedef struct Generation
{
	MemoryContext context;
	uint64 number;
	int pins;
	PolicyState state;
	Oid schema;
	Oid body_schema; /* with the partitions of the audit log */
	Oid guard;
	Oid conflict_guard;
	Oid trigger;
	Oid truncate_trigger;
	Oid library_check;
	Oid steward;
	HTAB *tables;    /* GuardedTable by relid */
	HTAB *relations; /* RelationEntry by relid */
	HTAB *purposes;  /* Purpose by path */
	HTAB *rules;     /* RuleEntry */
	HTAB *grants;    /* GrantEntry */
	HoldSet *holds;  /* NULL until somebody asks */
	bool any_mode;   /* some role has a mode of its own */
	bool any_exemption;
	/* The entries asked for last, by relid: every statement asks for the same few. */
	RelationEntry *recent_relation[RECENT];
	RuleEntry *recent_rule[RECENT];
	Purpose *recent_purpose;
	GrantEntry *recent_grant;
} Generation;

static Generation *current = NULL;
static bool stale = true;

static void relation_invalidated(Datum arg, Oid relid);
static void catalog_invalidated(Datum arg, int cacheid, uint32 hashvalue);
static Generation *generation(void);
static void generation_build(Generation *gen);
static void resolve_relation(Generation *gen, RelationEntry *entry);

void
policy_init(void)
{
	CacheRegisterRelcacheCallback(relation_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, catalog_invalidated, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_invalidated, (Datum) 0);
}

/*
 * Runs at any moment that processes invalidations, so it only marks.
 */
static void
relation_invalidated(Datum arg, Oid relid)
{
	RelationEntry *entry;

	if (current == NULL || stale)
		return;
	if (!OidIsValid(relid))
	{
		stale = true;
		return;
	}
	if (current->relations == NULL)
		return;
	entry = hash_search(current->relations, &relid, HASH_FIND, NULL);
	if (entry == NULL)
		return;
	if (entry->relation.table != NULL || entry->relation.internal)
		stale = true;
	else
		entry->resolved = false;
}

static void
catalog_invalidated(Datum arg, int cacheid, uint32 hashvalue)
{
	stale = true;
}

static HTAB *
generation_hash(Generation *gen, const char *name, Size key, Size entry, int flags)
{
	HASHCTL info = {.keysize = key, .entrysize = entry, .hcxt = gen->context};

	return hash_create(name, 64, &info, HASH_ELEM | HASH_CONTEXT | flags);
}

static Generation *
generation(void)
{
	static uint64 count = 0;
	MemoryContext context;
	Generation *gen;

	if (current != NULL && !stale)
		return current;

	/* Learned and forgotten in one step: an error half-way leaves no generation at all. */
	if (current != NULL && current->pins == 0)
		MemoryContextDelete(current->context);
	current = NULL;
	stale = false;

	context =
	    AllocSetContextCreate(CurrentMemoryContext, "privacy_guard policy", ALLOCSET_SMALL_SIZES);
	gen = MemoryContextAllocZero(context, sizeof(Generation));
	gen->context = context;
	gen->number = ++count;
	generation_build(gen);
	MemoryContextSetParent(context, TopMemoryContext);
	current = gen;
	return gen;
}

uint64
policy_number(void)
{
	return generation()->number;
}

void *
policy_pin(void)
{
	Generation *gen = generation();

	gen->pins++;
	return gen;
}

void
policy_unpin(void *pin)
{
	Generation *gen = pin;

	if (--gen->pins == 0 && gen != current)
		MemoryContextDelete(gen->context);
}

/* ---- building ---- */

static Oid
function_in(Oid schema, const char *name)
{
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid found = InvalidOid;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->pronamespace == schema)
			found = proc->oid;
	}
	ReleaseCatCacheList(list);
	return found;
}

static void
read_identity(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;
	Datum system = catalog_column(tuple, desc, IDENTITY_SYSTEM, &isnull);
	Datum database = catalog_column(tuple, desc, IDENTITY_DATABASE, &isnull);

	if (DatumGetInt64(system) == (int64) GetSystemIdentifier() &&
	    DatumGetObjectId(database) == MyDatabaseId)
		*(bool *) arg = true;
}

static PriorRowSecurity
prior_of(const char *name)
{
	if (strcmp(name, "off") == 0)
		return PRIOR_OFF;
	return strcmp(name, "enabled") == 0 ? PRIOR_ENABLED : PRIOR_FORCED;
}

static AuditLevel
audit_level_of(const char *name)
{
	if (strcmp(name, "none") == 0)
		return AUDIT_NONE;
	return strcmp(name, "statement") == 0 ? AUDIT_STATEMENT : AUDIT_SUBJECT;
}

static void
read_table(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Generation *gen = arg;
	bool isnull;
	Oid relid = DatumGetObjectId(catalog_column(tuple, desc, GUARDED_RELATION, &isnull));
	Datum columns = catalog_column(tuple, desc, GUARDED_SUBJECT_COLUMNS, &isnull);
	Datum name;
	Datum *elements;
	int n;
	GuardedTable *table = hash_search(gen->tables, &relid, HASH_ENTER, NULL);

	memset((char *) table + sizeof(Oid), 0, sizeof(GuardedTable) - sizeof(Oid));
	table->category = catalog_int4(tuple, desc, GUARDED_CATEGORY);
	deconstruct_array(DatumGetArrayTypeP(columns), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
	                  &elements, NULL, &n);
	if (n > MAX_SUBJECT_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("guarded table %u has too many subject columns", relid)));
	table->n_subjects = n;
	for (int i = 0; i < n; i++)
		namestrcpy(&table->subject[i], NameStr(*DatumGetName(elements[i])));
	name = catalog_column(tuple, desc, GUARDED_SUBJECT_VIA, &isnull);
	if (!isnull)
		namestrcpy(&table->via, NameStr(*DatumGetName(name)));
	name = catalog_column(tuple, desc, GUARDED_CONSENT_COLUMN, &isnull);
	if (!isnull)
		namestrcpy(&table->consent_column, NameStr(*DatumGetName(name)));
	name = catalog_column(tuple, desc, GUARDED_RETENTION_START, &isnull);
	if (!isnull)
		namestrcpy(&table->retention_start, NameStr(*DatumGetName(name)));
	table->audit_level = audit_level_of(catalog_text(tuple, desc, GUARDED_AUDIT_LEVEL));
	table->show_null = strcmp(catalog_text(tuple, desc, GUARDED_NULL_SUBJECT), "show") == 0;
	table->monitor = strcmp(catalog_text(tuple, desc, GUARDED_MODE), "monitor") == 0;
	table->prior = prior_of(catalog_text(tuple, desc, GUARDED_PRIOR_ROW_SECURITY));
}

static void
read_retention(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Generation *gen = arg;
	bool isnull;
	Oid relid = DatumGetObjectId(catalog_column(tuple, desc, RETENTION_RELATION, &isnull));
	GuardedTable *table = hash_search(gen->tables, &relid, HASH_FIND, NULL);

	if (table != NULL && strcmp(catalog_text(tuple, desc, RETENTION_ACTION), "anonymise") == 0)
		table->anonymises = true;
}

static void
note_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(bool *) arg = true;
}

static bool
category_suppresses(int32 category)
{
	ScanKeyData key;
	bool suppresses = false;

	ScanKeyInit(&key, SUPPRESSION_CATEGORY, BTEqualStrategyNumber, F_INT4EQ,
	            Int32GetDatum(category));
	catalog_scan(CATALOG_SUPPRESSION, &key, 1, note_row, &suppresses);
	return suppresses;
}

static void
generation_build(Generation *gen)
{
	static const char *const function_names[] = {"guard", "guard_conflict", "check_new_row",
	                                             "library_loaded", "check_truncate"};
	Oid functions[lengthof(function_names)];
	HASH_SEQ_STATUS seq;
	GuardedTable *table;
	bool ours = false;

	/* pg_upgrade makes the objects one by one, and reads no row of a user. */
	gen->state = POLICY_ABSENT;
	if (IsBinaryUpgrade)
		return;
	gen->schema = get_namespace_oid("privacy_guard", true);
	gen->body_schema = get_namespace_oid("privacy_guard_internal", true);
	/* A schema of that name that is not the extension's guards nothing. */
	if (!OidIsValid(gen->schema) || !OidIsValid(get_extension_oid("privacy_guard", true)))
		return;
	if (!catalog_locate(gen->schema))
	{
		/* A parallel worker is not told that its leader installs; the leader asks for itself. */
		if (creating_extension || IsParallelWorker())
		{
			stale = true;
			return;
		}
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("a table of privacy_guard is missing"),
		                errhint("Restore the extension's objects from a backup.")));
	}
	for (int i = 0; i < lengthof(function_names); i++)
		functions[i] = function_in(gen->body_schema, function_names[i]);
	gen->guard = functions[0];
	gen->conflict_guard = functions[1];
	gen->trigger = functions[2];
	gen->library_check = functions[3];
	gen->truncate_trigger = functions[4];
	gen->steward = get_role_oid("privacy_guard_steward", true);
	gen->tables =
	    generation_hash(gen, "guarded tables", sizeof(Oid), sizeof(GuardedTable), HASH_BLOBS);
	gen->relations =
	    generation_hash(gen, "relations", sizeof(Oid), sizeof(RelationEntry), HASH_BLOBS);
	gen->purposes =
	    generation_hash(gen, "purposes", MAX_PURPOSE_LENGTH, sizeof(Purpose), HASH_STRINGS);
	gen->rules = generation_hash(gen, "rules", sizeof(RuleKey), sizeof(RuleEntry), HASH_BLOBS);
	gen->grants = generation_hash(gen, "grants", sizeof(GrantKey), sizeof(GrantEntry), HASH_BLOBS);

	catalog_scan(CATALOG_GUARDED_TABLE, NULL, 0, read_table, gen);
	catalog_scan(CATALOG_RETENTION, NULL, 0, read_retention, gen);
	catalog_scan(CATALOG_IDENTITY, NULL, 0, read_identity, &ours);
	catalog_scan(CATALOG_TABLE_MODE, NULL, 0, note_row, &gen->any_mode);
	catalog_scan(CATALOG_EXEMPT_ROLE, NULL, 0, note_row, &gen->any_exemption);
	if (hash_get_num_entries(gen->tables) == 0)
		gen->state = POLICY_EMPTY;
	else
		gen->state = ours ? POLICY_IN_FORCE : POLICY_PENDING;

	hash_seq_init(&seq, gen->tables);
	while ((table = hash_seq_search(&seq)) != NULL)
	{
		table->key_kind = policy_category_kind(table->category);
		table->suppresses = category_suppresses(table->category);
	}
	/* Known from the start, so that any change to one of them is noticed. */
	for (int i = 0; i < CATALOG_TABLES; i++)
	{
		Oid relid = catalog_relid(i);
		RelationEntry *entry = hash_search(gen->relations, &relid, HASH_ENTER, NULL);

		memset((char *) entry + sizeof(Oid), 0, sizeof(RelationEntry) - sizeof(Oid));
		entry->relation.internal = true;
		entry->resolved = true;
	}
}

static void
read_key_type(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;
	Oid type = DatumGetObjectId(catalog_column(tuple, desc, CATEGORY_KEY_TYPE, &isnull));

	*(KeyKind *) arg = type == INT8OID ? KEY_INT : type == UUIDOID ? KEY_UUID : KEY_TEXT;
}

KeyKind
policy_category_kind(int32 category)
{
	ScanKeyData key;
	KeyKind kind = KEY_TEXT;

	ScanKeyInit(&key, CATEGORY_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(category));
	catalog_scan(CATALOG_SUBJECT_CATEGORY, &key, 1, read_key_type, &kind);
	return kind;
}

/* ---- reading ---- */

PolicyState
policy_state(void)
{
	if (current != NULL && !stale)
		return current->state;
	if (!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return POLICY_ABSENT;
	return generation()->state;
}

Oid
policy_schema(void)
{
	return generation()->schema;
}

Oid
policy_guard_function(void)
{
	return generation()->guard;
}

Oid
policy_conflict_guard_function(void)
{
	return generation()->conflict_guard;
}

Oid
policy_library_function(void)
{
	return generation()->library_check;
}

Oid
policy_trigger_function(void)
{
	return generation()->trigger;
}

bool
policy_is_guard_trigger(Oid function)
{
	return OidIsValid(function) &&
	       (function == generation()->trigger || function == generation()->truncate_trigger);
}

/* NULL where the relation is neither guarded nor one of the extension's own. */
const GuardedRelation *
policy_relation(Oid relid)
{
	Generation *gen = generation();
	RelationEntry *entry = gen->recent_relation[relid % RECENT];
	bool found;

	if (relid < FirstNormalObjectId || gen->relations == NULL)
		return NULL;
	if (entry == NULL || entry->relation.relid != relid)
	{
		entry = hash_search(gen->relations, &relid, HASH_ENTER, &found);
		if (!found)
			entry->resolved = false;
		gen->recent_relation[relid % RECENT] = entry;
	}
	if (!entry->resolved)
		resolve_relation(gen, entry);
	return entry->relation.table != NULL || entry->relation.internal ? &entry->relation : NULL;
}

List *
policy_tables(void)
{
	Generation *gen = generation();
	List *relids = NIL;
	HASH_SEQ_STATUS seq;
	GuardedTable *table;

	if (gen->tables == NULL)
		return NIL;
	hash_seq_init(&seq, gen->tables);
	while ((table = hash_seq_search(&seq)) != NULL)
		relids = lappend_oid(relids, table->relid);
	list_sort(relids, list_oid_cmp);
	return relids;
}

/* Read as late as this, because most statements erase nothing. */
const HoldSet *
policy_holds(void)
{
	Generation *gen = generation();

	if (gen->holds == NULL)
		gen->holds = hold_read(gen->tables, gen->context);
	return gen->holds;
}

/* NULL where the relation is not guarded. */
const GuardedRelation *
policy_guarded(Oid relid)
{
	const GuardedRelation *relation = policy_relation(relid);

	return relation != NULL && relation->table != NULL ? relation : NULL;
}

/* The guarded table among relid and what it inherits from. */
static GuardedTable *
guarding_table(Generation *gen, Oid relid)
{
	GuardedTable *found = hash_search(gen->tables, &relid, HASH_FIND, NULL);
	Relation inherits;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	if (found != NULL)
		return found;
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(relid));
	inherits = table_open(InheritsRelationId, AccessShareLock);
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (found == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = guarding_table(gen, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return found;
}

static AttrNumber
column_of(Oid relid, const NameData *name)
{
	AttrNumber attno = get_attnum(relid, NameStr(*name));

	if (attno == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("guarded table \"%s\" has lost a column that its guard reads",
		                       get_rel_name(relid)),
		                errhint("Let a data steward unprotect() and protect() the table again.")));
	return attno;
}

static void
read_child(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(PriorRowSecurity *) arg = prior_of(catalog_text(tuple, desc, CHILD_PRIOR_ROW_SECURITY));
}

/* Row security of a relation as it was before; a partition that came later had none. */
static PriorRowSecurity
prior_row_security(Oid relid, const GuardedTable *table)
{
	PriorRowSecurity prior = PRIOR_OFF;
	ScanKeyData key;

	if (relid == table->relid)
		return table->prior;
	ScanKeyInit(&key, CHILD_RELATION, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	catalog_scan(CATALOG_GUARDED_CHILD, &key, 1, read_child, &prior);
	return prior;
}

static void
resolve_relation(Generation *gen, RelationEntry *entry)
{
	GuardedRelation *relation = &entry->relation;
	char kind = get_rel_relkind(relation->relid);
	Oid schema = get_rel_namespace(relation->relid);
	GuardedTable *table = NULL;

	relation->table = NULL;
	relation->n_args = 0;
	relation->internal = schema == gen->schema || schema == gen->body_schema;
	if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
	    kind == RELKIND_FOREIGN_TABLE)
		table = guarding_table(gen, relation->relid);
	if (table != NULL)
	{
		relation->prior = prior_row_security(relation->relid, table);
		for (int i = 0; i < table->n_subjects; i++)
			relation->arg[relation->n_args++] = column_of(relation->relid, &table->subject[i]);
		if (table->n_subjects == 0)
			relation->arg[relation->n_args++] = column_of(relation->relid, &table->via);
		if (NameStr(table->consent_column)[0] != '\0')
			relation->arg[relation->n_args++] = column_of(relation->relid, &table->consent_column);
		if (NameStr(table->retention_start)[0] != '\0')
		{
			AttrNumber start = column_of(relation->relid, &table->retention_start);

			relation->arg[relation->n_args++] = start;
			table->start_is_date = getBaseType(get_atttype(relation->relid, start)) == DATEOID;
		}
	}
	relation->table = table;
	entry->resolved = true;
}

/* NULL for a purpose that does not exist. */
const Purpose *
policy_purpose(const char *path)
{
	Generation *gen = generation();
	Purpose *purpose = gen->recent_purpose;
	bool found;
	char name[MAX_PURPOSE_LENGTH];

	if (purpose != NULL && strcmp(purpose->path, path) == 0)
		return purpose;
	if (gen->purposes == NULL || strlen(path) >= MAX_PURPOSE_LENGTH)
		return NULL;
	strlcpy(name, path, sizeof(name));
	purpose = hash_search(gen->purposes, name, HASH_FIND, NULL);
	if (purpose == NULL)
	{
		Purpose read = {.known = false};
		ScanKeyData key;

		strlcpy(read.path, path, sizeof(read.path));
		ScanKeyInit(&key, PURPOSE_PATH, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(path));
		catalog_scan(CATALOG_PURPOSE, &key, 1, rule_read_purpose, &read);
		/* Misspelt names are not worth remembering: a session may send any number of them. */
		if (!read.known)
			return NULL;
		purpose = hash_search(gen->purposes, name, HASH_ENTER, &found);
		*purpose = read;
	}
	gen->recent_purpose = purpose;
	return purpose;
}

static void
read_path(HeapTuple tuple, TupleDesc desc, void *arg)
{
	List **paths = arg;

	*paths = lappend(*paths, catalog_text(tuple, desc, PURPOSE_PATH));
}

List *
policy_purposes(void)
{
	List *paths = NIL;

	(void) generation();
	catalog_scan(CATALOG_PURPOSE, NULL, 0, read_path, &paths);
	return paths;
}

/* ---- rules ---- */

/* Never NULL: a rule that permits nothing stands for none. */
const Rule *
policy_rule(const GuardedTable *table, const Purpose *purpose)
{
	Generation *gen = generation();
	RuleKey key = {.relid = table->relid, .purpose = purpose->id};
	RuleEntry *entry = gen->recent_rule[key.relid % RECENT];

	if (entry != NULL && entry->key.relid == key.relid && entry->key.purpose == key.purpose)
		return &entry->rule;
	entry = hash_search(gen->rules, &key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		Rule rule = rule_find(table, purpose);

		entry = hash_search(gen->rules, &key, HASH_ENTER, NULL);
		entry->rule = rule;
	}
	gen->recent_rule[key.relid % RECENT] = entry;
	return &entry->rule;
}

/* ---- entitlement ---- */

static bool
grant_reaches(Oid role, const Purpose *purpose, bool collect)
{
	Generation *gen = generation();
	GrantKey key;
	GrantEntry *entry = gen->recent_grant;

	if (entry != NULL && entry->key.role == role && entry->key.purpose == purpose->id &&
	    entry->key.collect == collect)
		return entry->granted;
	memset(&key, 0, sizeof(key));
	key.role = role;
	key.purpose = purpose->id;
	key.collect = collect;
	entry = hash_search(gen->grants, &key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		bool granted = rule_grants(role, purpose, collect);

		entry = hash_search(gen->grants, &key, HASH_ENTER, NULL);
		entry->granted = granted;
	}
	gen->recent_grant = entry;
	return entry->granted;
}

/* Being a superuser or an owner entitles to nothing. */
bool
policy_entitled(Oid role, const Purpose *purpose)
{
	return grant_reaches(role, purpose, false);
}

bool
policy_may_collect(Oid role, const Purpose *purpose)
{
	return grant_reaches(role, purpose, true);
}

/* ---- modes and exemptions: few rows, asked once per execution ---- */

static void
read_mode(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(int *) arg = strcmp(catalog_text(tuple, desc, MODE_MODE), "monitor") == 0;
}

bool
policy_monitors(const GuardedTable *table, Oid role)
{
	ScanKeyData keys[2];
	int monitor = -1;

	if (!generation()->any_mode)
		return table->monitor;
	ScanKeyInit(&keys[0], MODE_RELATION, BTEqualStrategyNumber, F_OIDEQ,
	            ObjectIdGetDatum(table->relid));
	ScanKeyInit(&keys[1], MODE_ROLE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	catalog_scan(CATALOG_TABLE_MODE, keys, 2, read_mode, &monitor);
	return monitor < 0 ? table->monitor : monitor;
}

static void
read_exemption(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;
	Datum until = catalog_column(tuple, desc, EXEMPT_VALID_UNTIL, &isnull);

	*(bool *) arg = DatumGetTimestampTz(until) > GetCurrentTimestamp();
}

/* The role itself, not its members: an exemption is not inherited.  It needs BYPASSRLS. */
bool
policy_role_exempt(Oid role)
{
	ScanKeyData key;
	bool exempt = false;

	if (!generation()->any_exemption || !has_bypassrls_privilege(role))
		return false;
	ScanKeyInit(&key, EXEMPT_ROLE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	catalog_scan(CATALOG_EXEMPT_ROLE, &key, 1, read_exemption, &exempt);
	return exempt;
}

/* The role and who has logged in: a superuser can SET ROLE to anybody. */
bool
policy_acts_as(Oid role, Oid office)
{
	Oid login = OidIsValid(MyProc->roleId) ? MyProc->roleId : GetSessionUserId();

	return OidIsValid(office) && is_member_of_role_nosuper(role, office) &&
	       is_member_of_role_nosuper(login, office);
}

bool
policy_is_steward(Oid role)
{
	return policy_acts_as(role, generation()->steward);
}
