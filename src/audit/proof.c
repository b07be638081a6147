/*
 * proof.c
 *		Inclusion and consistency proofs of RFC 9162 (2.1.3, 2.1.4): made and checked.
 *
 * The SQL functions here are for whoever holds records, proofs and tree heads, wherever they come
 * from: they read no table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "audit/proof.h"

PG_FUNCTION_INFO_V1(proof_merkle_root);
PG_FUNCTION_INFO_V1(proof_verify_inclusion);
PG_FUNCTION_INFO_V1(proof_verify_consistency);

/* ---- making ---- */

static inline bool
is_power_of_two(uint64 n)
{
	return (n & (n - 1)) == 0;
}

/* The level of the left subtree of a tree of n > 1 leaves. */
static inline int
left_level(uint64 n)
{
	return pg_leftmost_one_pos64(n - 1);
}

static void
push_subtree(Proof *proof, uint64 first, uint64 n, ProofSubtree subtree, void *source)
{
	TreeFrontier peaks;

	tree_init(&peaks);
	for (uint64 rest = n; rest > 0;)
	{
		int level = pg_leftmost_one_pos64(rest);

		subtree(source, first, level, &peaks.peak[peaks.n_peaks++]);
		first += UINT64CONST(1) << level;
		rest -= UINT64CONST(1) << level;
	}
	tree_root(&peaks, &proof->hash[proof->n++]);
}

static void
reverse(Proof *proof)
{
	for (int i = 0, j = proof->n - 1; i < j; i++, j--)
	{
		TreeHash swap = proof->hash[i];

		proof->hash[i] = proof->hash[j];
		proof->hash[j] = swap;
	}
}

void
proof_inclusion(uint64 index, uint64 size, ProofSubtree subtree, void *source, Proof *out)
{
	uint64 first = 0;

	out->n = 0;
	while (size > 1)
	{
		uint64 left = UINT64CONST(1) << left_level(size);

		if (index - first < left)
		{
			push_subtree(out, first + left, size - left, subtree, source);
			size = left;
		}
		else
		{
			push_subtree(out, first, left, subtree, source);
			first += left;
			size -= left;
		}
	}
	reverse(out);
}

void
proof_consistency(uint64 first, uint64 second, ProofSubtree subtree, void *source, Proof *out)
{
	uint64 start = 0;
	bool is_whole_tree = true; /* the verifier knows the hash of what remains of the first tree */

	out->n = 0;
	while (first != second)
	{
		uint64 left = UINT64CONST(1) << left_level(second);

		if (first <= left)
		{
			push_subtree(out, start + left, second - left, subtree, source);
			second = left;
		}
		else
		{
			push_subtree(out, start, left, subtree, source);
			start += left;
			first -= left;
			second -= left;
			is_whole_tree = false;
		}
	}
	if (!is_whole_tree)
		push_subtree(out, start, first, subtree, source);
	reverse(out);
}

/* ---- checking: the names are those of the algorithms in the RFC ---- */

static inline bool
same_hash(const TreeHash *a, const TreeHash *b)
{
	return memcmp(a, b, TREE_HASH_SIZE) == 0;
}

static bool
check_inclusion(const TreeHash *leaf, uint64 index, uint64 size, const Proof *proof,
                const TreeHash *root)
{
	uint64 fn = index;
	uint64 sn = size - 1;
	TreeHash r = *leaf;

	if (index >= size)
		return false;
	for (int i = 0; i < proof->n; i++)
	{
		if (sn == 0)
			return false;
		if ((fn & 1) == 1 || fn == sn)
		{
			tree_node_hash(&proof->hash[i], &r, &r);
			while ((fn & 1) == 0 && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			tree_node_hash(&r, &proof->hash[i], &r);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same_hash(&r, root);
}

static bool
check_consistency(uint64 first, const TreeHash *first_root, uint64 second,
                  const TreeHash *second_root, const Proof *proof)
{
	uint64 fn = first - 1;
	uint64 sn = second - 1;
	TreeHash fr;
	TreeHash sr;
	int i = 0;

	if (first == 0 || first > second)
		return false;
	if (first == second)
		return proof->n == 0 && same_hash(first_root, second_root);
	if (proof->n == 0)
		return false;
	fr = sr = is_power_of_two(first) ? *first_root : proof->hash[i++];
	while (fn & 1)
	{
		fn >>= 1;
		sn >>= 1;
	}
	for (; i < proof->n; i++)
	{
		const TreeHash *c = &proof->hash[i];

		if (sn == 0)
			return false;
		if ((fn & 1) == 1 || fn == sn)
		{
			tree_node_hash(c, &fr, &fr);
			tree_node_hash(c, &sr, &sr);
			while ((fn & 1) == 0 && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			tree_node_hash(&sr, c, &sr);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same_hash(&fr, first_root) && same_hash(&sr, second_root);
}

/* ---- SQL ---- */

static int
bytea_elements(ArrayType *array, Datum **element)
{
	int n;

	if (array_contains_nulls(array))
		ereport(ERROR,
		        (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("an element of the array is null"),
		         errhint("Pass every record or hash; an empty record is ''.")));
	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, element, NULL, &n);
	return n;
}

/* False for what cannot be a hash: nothing that is proven with it holds. */
static bool
read_hash(Datum value, TreeHash *out)
{
	bytea *bytes = DatumGetByteaPP(value);

	if (VARSIZE_ANY_EXHDR(bytes) != TREE_HASH_SIZE)
		return false;
	memcpy(out, VARDATA_ANY(bytes), TREE_HASH_SIZE);
	return true;
}

static bool
read_proof(ArrayType *array, Proof *out)
{
	Datum *element;

	out->n = bytea_elements(array, &element);
	if (out->n > lengthof(out->hash))
		return false;
	for (int i = 0; i < out->n; i++)
		if (!read_hash(element[i], &out->hash[i]))
			return false;
	return true;
}

/* privacy_guard.merkle_root(records) */
Datum
proof_merkle_root(PG_FUNCTION_ARGS)
{
	Datum *record;
	int n = bytea_elements(PG_GETARG_ARRAYTYPE_P(0), &record);
	bytea *result = palloc(VARHDRSZ + TREE_HASH_SIZE);
	TreeFrontier frontier;

	tree_init(&frontier);
	for (int i = 0; i < n; i++)
	{
		bytea *bytes = DatumGetByteaPP(record[i]);
		TreeHash hash;

		tree_leaf_hash(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), &hash);
		tree_append(&frontier, &hash, &hash);
	}
	tree_root(&frontier, (TreeHash *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + TREE_HASH_SIZE);
	PG_RETURN_BYTEA_P(result);
}

/* privacy_guard.verify_inclusion(record, leaf_index, tree_size, proof, root) */
Datum
proof_verify_inclusion(PG_FUNCTION_ARGS)
{
	bytea *record = PG_GETARG_BYTEA_PP(0);
	int64 index = PG_GETARG_INT64(1);
	int64 size = PG_GETARG_INT64(2);
	TreeHash leaf;
	TreeHash root;
	Proof proof;

	tree_leaf_hash(VARDATA_ANY(record), VARSIZE_ANY_EXHDR(record), &leaf);
	PG_RETURN_BOOL(index >= 0 && size > 0 && read_proof(PG_GETARG_ARRAYTYPE_P(3), &proof) &&
	               read_hash(PG_GETARG_DATUM(4), &root) &&
	               check_inclusion(&leaf, index, size, &proof, &root));
}

/* privacy_guard.verify_consistency(first, first_root, second, second_root, proof) */
Datum
proof_verify_consistency(PG_FUNCTION_ARGS)
{
	int64 first = PG_GETARG_INT64(0);
	int64 second = PG_GETARG_INT64(2);
	TreeHash first_root;
	TreeHash second_root;
	Proof proof;

	PG_RETURN_BOOL(first > 0 && second > 0 && read_hash(PG_GETARG_DATUM(1), &first_root) &&
	               read_hash(PG_GETARG_DATUM(3), &second_root) &&
	               read_proof(PG_GETARG_ARRAYTYPE_P(4), &proof) &&
	               check_consistency(first, &first_root, second, &second_root, &proof));
}
