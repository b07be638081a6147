/*
 * exempt.c
 *		Which single execution sees every row, and why.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "enforce/exempt.h"
#include "policy/policy.h"
#include "policy/verb.h"
#include "retention/own_statement.h"

/* Break-glass: announced in one transaction, open from its commit on. */
static TimestampTz glass_announced = 0;
static TimestampTz glass_open_until = 0;

/* Relations that core's cascades have written to in this transaction. */
static List *cascades = NIL;

static bool validating_foreign_key = false;

/* Is a statement being run that was started in core's context? */
static bool integrity_running = false;

static void end_of_transaction(XactEvent event, void *arg);

PG_FUNCTION_INFO_V1(exempt_announce_break_glass);
PG_FUNCTION_INFO_V1(exempt_close_break_glass);

void
exempt_init(void)
{
	RegisterXactCallback(end_of_transaction, NULL);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && glass_announced != 0)
		glass_open_until = glass_announced;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		glass_announced = 0;
		list_free(cascades);
		cascades = NIL;
	}
}

/* Only once the record of it is committed does the glass open. */
Datum
exempt_announce_break_glass(PG_FUNCTION_ARGS)
{
	if (!verb_in_progress())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("break-glass is opened by privacy_guard.break_glass() only")));
	glass_announced = PG_GETARG_TIMESTAMPTZ(0);
	PG_RETURN_VOID();
}

Datum
exempt_close_break_glass(PG_FUNCTION_ARGS)
{
	bool was_open = exempt_glass_is_broken();

	glass_announced = glass_open_until = 0;
	PG_RETURN_BOOL(was_open);
}

bool
exempt_glass_is_broken(void)
{
	return glass_open_until != 0 && GetCurrentTimestamp() < glass_open_until;
}

/*
 * An exempted role must be the one that logged in: SET ROLE, SET SESSION AUTHORIZATION and definer
 * functions do not lend its exemption.
 */
static bool
exempt_by_role(Oid role)
{
	return role == GetSessionUserId() && role == GetAuthenticatedUserId() &&
	       policy_role_exempt(role);
}

Exemption
exempt_execution(Oid role, const char *source_text)
{
	if (own_statement(source_text) != NULL)
		return EXEMPT_OWN;
	if (exempt_glass_is_broken())
		return EXEMPT_BY_GLASS;
	return exempt_by_role(role) ? EXEMPT_BY_ROLE : EXEMPT_NOT;
}

/* ---- referential integrity ---- */

bool
exempt_set_validating(bool validating)
{
	bool was = validating_foreign_key;

	validating_foreign_key = validating;
	return was;
}

bool
exempt_is_validating(void)
{
	return validating_foreign_key;
}

/*
 * User code can run in core's context only while core's own statement runs: in its row triggers,
 * operators and checks.  So whatever starts in there is not core's.
 */
bool
exempt_integrity_context(void)
{
	return (InNoForceRLSOperation() || validating_foreign_key) && !integrity_running;
}

bool
exempt_enter_integrity(void)
{
	bool was = integrity_running;

	integrity_running = InNoForceRLSOperation() || validating_foreign_key;
	return was;
}

void
exempt_leave_integrity(bool was)
{
	integrity_running = was;
}

/*
 * The columns of one foreign key on the side of a relation, by range table index.  Core's
 * statements touch no others, so neither may those that look like them.
 */
typedef struct KeyColumns
{
	Bitmapset *columns[2]; /* of the first two range table entries */
} KeyColumns;

static Bitmapset *
foreign_key_columns(Oid relid)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(constraints, InvalidOid, false, NULL, 0, NULL);
	Bitmapset *columns = NULL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		AttrNumber here[INDEX_MAX_KEYS];
		AttrNumber there[INDEX_MAX_KEYS];
		Oid op[INDEX_MAX_KEYS];
		int n;

		if (form->contype != CONSTRAINT_FOREIGN ||
		    (form->conrelid != relid && form->confrelid != relid))
			continue;
		DeconstructFkConstraintRow(tuple, &n, here, there, op, op, op, NULL, NULL);
		for (int i = 0; i < n; i++)
		{
			if (form->conrelid == relid)
				columns = bms_add_member(columns, here[i]);
			if (form->confrelid == relid)
				columns = bms_add_member(columns, there[i]);
		}
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return columns;
}

/* Everything that the query computes: key columns, parameters, constants, equality, null tests. */
static bool
strange_walker(Node *node, KeyColumns *keys)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		{
			Var *var = (Var *) node;

			return var->varno < 1 || var->varno > 2 || var->varattno < 1 ||
			       !bms_is_member(var->varattno, keys->columns[var->varno - 1]);
		}
		case T_OpExpr:
			if (((OpExpr *) node)->opno >= FirstNormalObjectId)
				return true;
			break;
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcid >= FirstNormalObjectId ||
			    ((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CALL)
				return true;
			break;
		case T_List:
		case T_TargetEntry:
		case T_FromExpr:
		case T_JoinExpr:
		case T_RangeTblRef:
		case T_Param:
		case T_Const:
		case T_RelabelType:
		case T_NullTest:
		case T_BoolExpr:
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, strange_walker, keys);
}

static bool
find_key_columns(Query *query, KeyColumns *keys)
{
	int n = 0;
	ListCell *cell;

	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_JOIN && validating_foreign_key)
			continue;
		if (rte->rtekind != RTE_RELATION || n == (validating_foreign_key ? 2 : 1))
			return false;
		keys->columns[n++] = foreign_key_columns(rte->relid);
	}
	return n > 0;
}

/*
 * Core asks SELECT 1 ... FOR KEY SHARE, and cascades by DELETE or UPDATE with parameters, on one
 * table each.  Only while a foreign key is validated does it read columns, the keys of both.
 */
bool
exempt_integrity_query(Query *query)
{
	KeyColumns keys = {{NULL}};
	bool lookup = query->commandType == CMD_SELECT && !validating_foreign_key;

	if (!exempt_integrity_context() || query->commandType == CMD_INSERT ||
	    query->commandType == CMD_MERGE || query->cteList != NIL || query->hasSubLinks ||
	    query->setOperations != NULL || query->returningList != NIL || query->hasAggs ||
	    query->hasTargetSRFs || query->hasWindowFuncs || query->limitCount != NULL ||
	    query->havingQual != NULL || query->groupClause != NIL)
		return false;
	if (lookup && (query->rowMarks == NIL || list_length(query->targetList) != 1 ||
	               !IsA(linitial_node(TargetEntry, query->targetList)->expr, Const)))
		return false;
	return find_key_columns(query, &keys) && !strange_walker((Node *) query->targetList, &keys) &&
	       !strange_walker((Node *) query->jointree, &keys);
}

void
exempt_note_cascade(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	cascades = list_append_unique_oid(cascades, relid);
	MemoryContextSwitchTo(old);
}

bool
exempt_is_cascade(Oid relid)
{
	return list_member_oid(cascades, relid);
}
