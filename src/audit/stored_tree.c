/*
 * stored_tree.c
 *		The Merkle tree of the audit log, as its stored segments hold it.
 *
 * A proof needs the hashes of a few subtrees. Large ones are peaks of the frontier that is stored
 * with the segment in which they end, or follow from those and from the stored hashes of 256
 * leaves; only the smaller ones are computed from records. So a proof reads a number of segments
 * that grows with the logarithm of the log. No locks beyond those of the queries.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "audit/proof.h"
#include "audit/segment.h"
#include "audit/store.h"
#include "audit/stored_tree.h"

/* What a proof has read of one segment. Records are read when a leaf of it is asked for. */
typedef struct StoredSegment
{
	int64 first;
	int64 end;
	Size n_nodes;
	const TreeHash *node;
	TreeFrontier frontier;
	bytea *records;
	int64 at_leaf; /* the record that begins at at_offset */
	Size at_offset;
} StoredSegment;

typedef struct StoredTree
{
	int32 origin_id;
	TreeFrontier pruned; /* what is known of the leaves that are there no more */
	List *segments;
} StoredTree;

PG_FUNCTION_INFO_V1(stored_frontier_root);
PG_FUNCTION_INFO_V1(stored_require_own_transaction);
PG_FUNCTION_INFO_V1(stored_inclusion_proof);
PG_FUNCTION_INFO_V1(stored_consistency_proof);

static void stored_subtree(void *source, uint64 first, int level, TreeHash *out);

/* ---- queries ---- */

void
stored_begin(void)
{
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
}

void
stored_end(void)
{
	SPI_finish();
	PopActiveSnapshot();
}

void
stored_query(SPIPlanPtr *plan, const char *sql, int n, Oid *types, Datum *values, const char *nulls)
{
	if (SPI_execute_plan(store_plan(plan, sql, n, types), values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not query the audit log");
}

static void
damaged(int64 leaf)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
	                errmsg("the audit log is damaged at leaf " INT64_FORMAT, leaf),
	                errhint("Ask privacy_guard.verify_audit_log() what is wrong.")));
}

static void
load_frontier(TreeFrontier *frontier, int64 size, Datum value)
{
	if (!store_load_frontier(frontier, size, value))
		damaged(size);
}

bool
stored_head(const int32 *origin_id, StoredHead *out)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(origin_id ? *origin_id : 0)};

	stored_query(&plan,
	             "SELECT h.origin_id, h.origin, h.tree_size, h.frontier"
	             "  FROM privacy_guard_internal.log_head($1) h",
	             1, types, values, origin_id ? " " : "n");
	if (SPI_processed == 0)
		return false;
	out->origin_id = DatumGetInt32(store_column(0, 1));
	out->origin = TextDatumGetCString(store_column(0, 2));
	load_frontier(&out->frontier, DatumGetInt64(store_column(0, 3)), store_column(0, 4));
	return true;
}

static void
read_pruned(StoredTree *tree)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID};
	Datum values[] = {Int32GetDatum(tree->origin_id)};

	tree_init(&tree->pruned);
	stored_query(&plan,
	             "SELECT p.tree_size, p.frontier FROM privacy_guard.audit_prune p"
	             " WHERE p.origin_id = $1 ORDER BY p.tree_size DESC LIMIT 1",
	             1, types, values, NULL);
	if (SPI_processed > 0)
		load_frontier(&tree->pruned, DatumGetInt64(store_column(0, 1)), store_column(0, 2));
}

static StoredSegment *
read_segment(StoredTree *tree, int64 leaf)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8OID};
	Datum values[] = {Int32GetDatum(tree->origin_id), Int64GetDatum(leaf)};
	StoredSegment *segment = palloc0(sizeof(StoredSegment));
	bytea *nodes;

	stored_query(&plan,
	             "SELECT s.first_leaf, s.first_leaf + s.leaves, s.nodes, s.frontier"
	             "  FROM privacy_guard.audit_segment s"
	             " WHERE s.origin_id = $1 AND s.first_leaf <= $2"
	             " ORDER BY s.first_leaf DESC LIMIT 1",
	             2, types, values, NULL);
	if (SPI_processed == 0)
		damaged(leaf);
	segment->first = segment->at_leaf = DatumGetInt64(store_column(0, 1));
	segment->end = DatumGetInt64(store_column(0, 2));
	nodes = DatumGetByteaPCopy(store_column(0, 3));
	segment->node = (const TreeHash *) VARDATA(nodes);
	segment->n_nodes = (VARSIZE(nodes) - VARHDRSZ) / TREE_HASH_SIZE;
	load_frontier(&segment->frontier, segment->end, store_column(0, 4));
	if (segment->end <= leaf)
		damaged(leaf);
	return segment;
}

static StoredSegment *
segment_of(StoredTree *tree, int64 leaf)
{
	ListCell *cell;
	StoredSegment *segment;

	foreach (cell, tree->segments)
	{
		segment = lfirst(cell);
		if (segment->first <= leaf && leaf < segment->end)
			return segment;
	}
	segment = read_segment(tree, leaf);
	tree->segments = lappend(tree->segments, segment);
	return segment;
}

static void
read_records(StoredTree *tree, StoredSegment *segment)
{
	static SPIPlanPtr plan = NULL;
	Oid types[] = {INT4OID, INT8OID};
	Datum values[] = {Int32GetDatum(tree->origin_id), Int64GetDatum(segment->first)};

	stored_query(&plan,
	             "SELECT s.records FROM privacy_guard.audit_segment s"
	             " WHERE s.origin_id = $1 AND s.first_leaf = $2",
	             2, types, values, NULL);
	if (SPI_processed == 0)
		damaged(segment->first);
	segment->records = DatumGetByteaPCopy(store_column(0, 1));
}

/* ---- subtrees ---- */

static void
refuse_pruned(const StoredTree *tree)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
	                errmsg("leaves before " UINT64_FORMAT " were pruned", tree->pruned.size),
	                errhint("Proofs can be made of later leaves, and from later tree sizes.")));
}

/* Leaves are asked for in ascending order, so that the walk seldom begins anew. */
static void
hash_leaf(StoredTree *tree, StoredSegment *segment, int64 leaf, TreeHash *out)
{
	const uint8 *data;
	const uint8 *at;
	const uint8 *end;

	if (segment->records == NULL)
		read_records(tree, segment);
	data = (const uint8 *) VARDATA(segment->records);
	end = data + VARSIZE(segment->records) - VARHDRSZ;
	if (leaf < segment->at_leaf)
	{
		segment->at_leaf = segment->first;
		segment->at_offset = 0;
	}
	at = data + segment->at_offset;
	for (;;)
	{
		const uint8 *record;
		Size length;

		if (!segment_next_record(&at, end, &record, &length))
			damaged(segment->at_leaf);
		if (segment->at_leaf == leaf)
		{
			tree_leaf_hash(record, length, out);
			return;
		}
		segment->at_offset = at - data;
		segment->at_leaf++;
	}
}

/* Of the complete subtrees of 256 leaves, a segment holds those whose last leaf is in it. */
static void
stored_node(const StoredSegment *segment, uint64 first, TreeHash *out)
{
	uint64 n = first / TREE_NODE_LEAVES - segment->first / TREE_NODE_LEAVES;

	if (n >= segment->n_nodes)
		damaged(first);
	*out = segment->node[n];
}

static void
stored_subtree(void *source, uint64 first, int level, TreeHash *out)
{
	StoredTree *tree = source;
	uint64 end = first + (UINT64CONST(1) << level);
	StoredSegment *segment;
	TreeHash left;
	TreeHash right;

	if (tree_frontier_peak(&tree->pruned, first, level, out))
		return;
	if (end <= tree->pruned.size)
		refuse_pruned(tree);
	segment = segment_of(tree, end - 1);
	if (tree_frontier_peak(&segment->frontier, first, level, out))
		return;
	if (level == TREE_NODE_LEVEL)
	{
		stored_node(segment, first, out);
		return;
	}
	if (level == 0)
	{
		hash_leaf(tree, segment, first, out);
		return;
	}
	stored_subtree(tree, first, level - 1, &left);
	stored_subtree(tree, first + (UINT64CONST(1) << (level - 1)), level - 1, &right);
	tree_node_hash(&left, &right, out);
}

/* ---- SQL ---- */

static ArrayType *
proof_array(const Proof *proof)
{
	Datum hash[lengthof(proof->hash)];

	for (int i = 0; i < proof->n; i++)
	{
		bytea *bytes = palloc(VARHDRSZ + TREE_HASH_SIZE);

		SET_VARSIZE(bytes, VARHDRSZ + TREE_HASH_SIZE);
		memcpy(VARDATA(bytes), &proof->hash[i], TREE_HASH_SIZE);
		hash[i] = PointerGetDatum(bytes);
	}
	return construct_array(hash, proof->n, BYTEAOID, -1, false, TYPALIGN_INT);
}

/* Argument number n of the call, an int4 or null, is the origin. */
static int64
open_tree(FunctionCallInfo fcinfo, int n, StoredTree *tree)
{
	StoredHead head;
	int32 origin_id = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);

	if (!stored_head(PG_ARGISNULL(n) ? NULL : &origin_id, &head) || head.frontier.size == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
		                errmsg("there is no audit log of this origin"),
		                errhint("Leave the origin out for the present log; table "
		                        "privacy_guard.audit_origin lists them.")));
	tree->origin_id = head.origin_id;
	tree->segments = NIL;
	read_pruned(tree);
	return head.frontier.size;
}

static int64
required_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
		                errmsg("parameter \"%s\" must not be null", name),
		                errhint("Pass a value for \"%s\".", name)));
	return PG_GETARG_INT64(n);
}

static void
require_range(const char *name, int64 value, int64 least, int64 most)
{
	if (value < least || value > most)
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is out of range", name),
		         errhint("Pass a number from " INT64_FORMAT " to " INT64_FORMAT ".", least, most)));
}

/* privacy_guard_internal.frontier_root(tree_size, frontier) */
Datum
stored_frontier_root(PG_FUNCTION_ARGS)
{
	bytea *result = palloc(VARHDRSZ + TREE_HASH_SIZE);
	TreeFrontier frontier;

	load_frontier(&frontier, PG_GETARG_INT64(0), PG_GETARG_DATUM(1));
	tree_root(&frontier, (TreeHash *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + TREE_HASH_SIZE);
	PG_RETURN_BYTEA_P(result);
}

/*
 * privacy_guard_internal.require_own_transaction(): for what takes locks that hold up the audit
 * writer, and must not keep them while a session is idle.
 */
Datum
stored_require_own_transaction(PG_FUNCTION_ARGS)
{
	if (IsTransactionBlock() || IsSubTransaction())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
		                errmsg("the function cannot run in a transaction block"),
		                errhint("Call it in a statement of its own; it would hold up the audit "
		                        "writer until the transaction ends.")));
	PG_RETURN_VOID();
}

/* privacy_guard_internal.audit_inclusion_proof(leaf_index, tree_size, origin) */
Datum
stored_inclusion_proof(PG_FUNCTION_ARGS)
{
	int64 index = required_argument(fcinfo, 0, "leaf_index");
	StoredTree tree;
	Proof proof;
	int64 size;

	stored_begin();
	size = open_tree(fcinfo, 2, &tree);
	if (!PG_ARGISNULL(1))
	{
		require_range("tree_size", PG_GETARG_INT64(1), 1, size);
		size = PG_GETARG_INT64(1);
	}
	require_range("leaf_index", index, 0, size - 1);
	if (index < tree.pruned.size)
		refuse_pruned(&tree);
	proof_inclusion(index, size, stored_subtree, &tree, &proof);
	stored_end();
	PG_RETURN_ARRAYTYPE_P(proof_array(&proof));
}

/* privacy_guard_internal.audit_consistency_proof(first, second, origin) */
Datum
stored_consistency_proof(PG_FUNCTION_ARGS)
{
	int64 first = required_argument(fcinfo, 0, "first");
	StoredTree tree;
	Proof proof;
	int64 size;

	stored_begin();
	size = open_tree(fcinfo, 2, &tree);
	if (!PG_ARGISNULL(1))
	{
		require_range("second", PG_GETARG_INT64(1), 1, size);
		size = PG_GETARG_INT64(1);
	}
	require_range("first", first, 1, size);
	proof_consistency(first, size, stored_subtree, &tree, &proof);
	stored_end();
	PG_RETURN_ARRAYTYPE_P(proof_array(&proof));
}
