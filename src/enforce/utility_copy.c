/*
 * utility_copy.c
 *		COPY of guarded tables.
 *
 * For a role that row security skips, core copies straight from and to the heap, past planner and
 * executor.  So COPY TO becomes COPY of a query.  COPY FROM runs in a frame, as an execution does,
 * and the trigger check_new_row() judges the rows.  Core refuses COPY FROM to roles that row
 * security covers, because policies would have to be checked; where the guard is the only policy
 * that covers the role, it is run here with the same checks as DoCopy() makes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "audit/trail.h"
#include "compat.h"
#include "enforce/exempt.h"
#include "enforce/rls.h"
#include "enforce/secrecy.h"
#include "enforce/utility_copy.h"
#include "enforce/verify.h"
#include "policy/policy.h"

/* ---- COPY TO ---- */

static Node *
make_column(const char *name)
{
	ResTarget *target = makeNode(ResTarget);
	ColumnRef *column = makeNode(ColumnRef);

	column->fields = list_make1(makeString(pstrdup(name)));
	column->location = -1;
	target->val = (Node *) column;
	target->location = -1;
	return (Node *) target;
}

/* The named columns, or all that are not generated. */
static List *
copied_columns(Relation rel, List *names)
{
	TupleDesc desc = RelationGetDescr(rel);
	List *columns = NIL;
	ListCell *cell;

	foreach (cell, names)
		columns = lappend(columns, make_column(strVal(lfirst(cell))));
	for (int i = 0; names == NIL && i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && !column->attgenerated)
			columns = lappend(columns, make_column(NameStr(column->attname)));
	}
	return columns;
}

/* Core refuses it, too, but copies nothing, in silence, for a role that row security covers. */
static void
refuse_partitioned(Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
	                errmsg("cannot copy from partitioned table \"%s\"", get_rel_name(relid)),
	                errhint("Try the COPY (SELECT ...) TO variant.")));
}

PlannedStmt *
utility_copy_out(PlannedStmt *planned)
{
	CopyStmt *statement = (CopyStmt *) planned->utilityStmt;
	Oid relid = RangeVarGetRelid(statement->relation, AccessShareLock, true);
	Relation rel;
	SelectStmt *select;
	RangeVar *from;

	if (OidIsValid(relid))
		secrecy_check_read(relid, NULL);
	if (policy_guarded(relid) == NULL)
		return planned;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		refuse_partitioned(relid);
	if (get_rel_relkind(relid) != RELKIND_RELATION)
		return planned;

	planned = copyObject(planned);
	statement = (CopyStmt *) planned->utilityStmt;
	rel = table_open(relid, NoLock);
	from = makeRangeVar(get_namespace_name(RelationGetNamespace(rel)),
	                    pstrdup(RelationGetRelationName(rel)), -1);
	from->inh = false;
	select = makeNode(SelectStmt);
	select->targetList = copied_columns(rel, statement->attlist);
	select->fromClause = list_make1(from);
	table_close(rel, NoLock);

	statement->relation = NULL;
	statement->attlist = NIL;
	statement->query = (Node *) select;
	return planned;
}

/* ---- COPY FROM ---- */

Oid
utility_copy_in_target(const CopyStmt *statement)
{
	Oid relid = RangeVarGetRelid(statement->relation, RowExclusiveLock, true);
	const GuardedRelation *relation = OidIsValid(relid) ? policy_relation(relid) : NULL;

	if (relation != NULL && relation->internal && policy_state() != POLICY_PENDING)
		utility_refuse_internal(get_rel_name(relid));
	if (OidIsValid(relid) && IsCatalogNamespace(get_rel_namespace(relid)) && !IsBinaryUpgrade &&
	    !exempt_glass_is_broken())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("system catalog \"%s\" cannot be written while tables are guarded",
		                       get_rel_name(relid)),
		                errhint("Use ordinary commands, or announce it with "
		                        "privacy_guard.break_glass()."),
		                errtamper(relid, "system_catalog")));
	return policy_guarded(relid) != NULL ? relid : InvalidOid;
}

/* New rows are judged by the trigger; without it nothing would. */
Frame *
utility_copy_in_frame(Oid relid)
{
	Frame *frame = frame_prepare(&(FrameRequest){.touched = list_make1_oid(relid)});

	if (frame != NULL && policy_state() == POLICY_IN_FORCE && !verify_has_row_check(relid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("guarded table \"%s\" has lost the trigger that checks new rows",
		                       get_rel_name(relid)),
		                errhint("Let a data steward unprotect() and protect() the table again.")));
	return frame;
}

/* Does a policy that is not the guard's bear on the role? */
static bool
has_policy_for(Relation rel, const GuardedRelation *relation)
{
	bool owner = has_privs_of_role(GetUserId(), rel->rd_rel->relowner);
	ListCell *cell;

	if (relation->prior == PRIOR_FORCED || (relation->prior == PRIOR_ENABLED && !owner))
		return true;
	if (rel->rd_rsdesc == NULL)
		return false;
	foreach (cell, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		if (!policy->permissive && strcmp(policy->policy_name, RLS_POLICY_NAME) != 0)
			return true;
	}
	return false;
}

bool
utility_copy_in_is_ours(Oid relid)
{
	Relation rel;
	bool ours;

	if (check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED)
		return false;
	rel = table_open(relid, NoLock);
	ours = !has_policy_for(rel, policy_guarded(relid));
	table_close(rel, NoLock);
	return ours;
}

static void
check_source(const CopyStmt *statement)
{
	if (statement->filename == NULL)
		return;
	if (statement->is_program && !has_privs_of_role(GetUserId(), ROLE_PG_EXECUTE_SERVER_PROGRAM))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("must be superuser or have privileges of the "
		                       "pg_execute_server_program role to COPY to or from an external "
		                       "program"),
		                errhint("Anyone can COPY to stdout or from stdin. "
		                        "psql's \\copy command also works for anyone.")));
	if (!statement->is_program && !has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		                errmsg("must be superuser or have privileges of the "
		                       "pg_read_server_files role to COPY from a file"),
		                errhint("Anyone can COPY to stdout or from stdin. "
		                        "psql's \\copy command also works for anyone.")));
}

static void
require_column(Relation rel, AttrNumber column, AclMode mode)
{
	Oid relid = RelationGetRelid(rel);

	if (pg_class_aclcheck(relid, GetUserId(), mode) != ACLCHECK_OK &&
	    pg_attribute_aclcheck(relid, column, GetUserId(), mode) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(rel->rd_rel->relkind),
		               RelationGetRelationName(rel));
}

static void
check_written_columns(Relation rel, List *names)
{
	TupleDesc desc = RelationGetDescr(rel);
	ListCell *cell;

	foreach (cell, names)
	{
		AttrNumber column = get_attnum(RelationGetRelid(rel), strVal(lfirst(cell)));

		/* BeginCopyFrom() tells of columns that do not exist. */
		if (column > 0)
			require_column(rel, column, ACL_INSERT);
	}
	for (int i = 0; names == NIL && i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && !TupleDescAttr(desc, i)->attgenerated)
			require_column(rel, i + 1, ACL_INSERT);
}

static void
check_condition_columns(Relation rel, Node *condition)
{
	Bitmapset *columns = NULL;
	TupleDesc desc = RelationGetDescr(rel);
	int i = -1;

	pull_varattnos(condition, 1, &columns);
	if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns))
	{
		columns = bms_add_range(columns, 1 - FirstLowInvalidHeapAttributeNumber,
		                        desc->natts - FirstLowInvalidHeapAttributeNumber);
		columns = bms_del_member(columns, 0 - FirstLowInvalidHeapAttributeNumber);
	}
	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber column = i + FirstLowInvalidHeapAttributeNumber;

		if (column > 0 && TupleDescAttr(desc, column - 1)->attisdropped)
			continue;
		require_column(rel, column, ACL_SELECT);
		if (column > 0 && TupleDescAttr(desc, column - 1)->attgenerated)
			ereport(ERROR,
			        (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
			         errmsg("generated columns are not supported in COPY FROM WHERE conditions"),
			         errdetail("Column \"%s\" is a generated column.",
			                   NameStr(TupleDescAttr(desc, column - 1)->attname))));
	}
}

/* The WHERE clause as CopyFrom() wants it. */
static Node *
transform_condition(ParseState *parse, ParseNamespaceItem *item, Relation rel, Node *raw)
{
	Node *condition;

	if (raw == NULL)
		return NULL;
	addNSItemToQuery(parse, item, false, true, true);
	condition = transformExpr(parse, copyObject(raw), EXPR_KIND_COPY_WHERE);
	condition = coerce_to_boolean(parse, condition, "WHERE");
	assign_expr_collations(parse, condition);
	check_condition_columns(rel, condition);
	condition = eval_const_expressions(NULL, condition);
	condition = (Node *) canonicalize_qual((Expr *) condition, false);
	return (Node *) make_ands_implicit((Expr *) condition);
}

uint64
utility_copy_in(const PlannedStmt *planned, const char *source, QueryEnvironment *environment)
{
	CopyStmt *statement = copyObject((CopyStmt *) planned->utilityStmt);
	ParseState *parse = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Relation rel;
	Node *condition;
	CopyFromState state;
	uint64 rows;

	check_source(statement);
	parse->p_sourcetext = source;
	parse->p_queryEnv = environment;
	rel = table_openrv(statement->relation, RowExclusiveLock);
	item = addRangeTableEntryForRelation(parse, rel, RowExclusiveLock, NULL, false, false);
	condition = transform_condition(parse, item, rel, statement->whereClause);
	check_written_columns(rel, statement->attlist);
	if (XactReadOnly)
		PreventCommandIfReadOnly("COPY FROM");

	state = BeginCopyFrom(parse, rel, condition, statement->filename, statement->is_program, NULL,
	                      statement->attlist, statement->options);
	rows = CopyFrom(state);
	EndCopyFrom(state);
	table_close(rel, NoLock);
	free_parsestate(parse);
	return rows;
}
