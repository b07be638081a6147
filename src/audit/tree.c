/*
 * tree.c
 *		The Merkle tree of RFC 9162: hashes of leaves, of nodes, and of a tree that only grows.
 *
 * Each process has one digest context, initialised once and then only reset, so that a hash costs
 * no allocation and no look-up of the algorithm.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "port/pg_bitutils.h"

#include "audit/tree.h"

#define LEAF_PREFIX 0
#define NODE_PREFIX 1

static EVP_MD_CTX *digest = NULL;

/* A null type keeps the algorithm of the last call, which spares OpenSSL fetching it again. */
static void
digest_begin(void)
{
	const EVP_MD *type = NULL;

	if (digest == NULL)
	{
		digest = EVP_MD_CTX_new();
		type = EVP_sha256();
	}
	if (digest == NULL || EVP_DigestInit_ex(digest, type, NULL) != 1)
	{
		EVP_MD_CTX_free(digest);
		digest = NULL;
		elog(ERROR, "could not initialise SHA-256");
	}
}

static void
digest_add(const void *bytes, Size length)
{
	if (EVP_DigestUpdate(digest, bytes, length) != 1)
		elog(ERROR, "could not compute SHA-256");
}

static void
digest_end(TreeHash *out)
{
	if (EVP_DigestFinal_ex(digest, out->byte, NULL) != 1)
		elog(ERROR, "could not finish SHA-256");
}

void
tree_leaf_hash(const void *record, Size length, TreeHash *out)
{
	static const uint8 prefix = LEAF_PREFIX;

	digest_begin();
	digest_add(&prefix, 1);
	digest_add(record, length);
	digest_end(out);
}

void
tree_node_hash(const TreeHash *left, const TreeHash *right, TreeHash *out)
{
	uint8 node[1 + 2 * TREE_HASH_SIZE];

	node[0] = NODE_PREFIX;
	memcpy(node + 1, left, TREE_HASH_SIZE);
	memcpy(node + 1 + TREE_HASH_SIZE, right, TREE_HASH_SIZE);
	digest_begin();
	digest_add(node, sizeof(node));
	digest_end(out);
}

void
tree_init(TreeFrontier *frontier)
{
	frontier->size = 0;
	frontier->n_peaks = 0;
}

/* As in binary addition: each bit that carries merges two subtrees of the same size. */
bool
tree_append(TreeFrontier *frontier, const TreeHash *leaf, TreeHash *node)
{
	TreeHash hash = *leaf;
	bool completes = false;
	int level = 0;

	for (uint64 carry = frontier->size; carry & 1; carry >>= 1)
	{
		tree_node_hash(&frontier->peak[--frontier->n_peaks], &hash, &hash);
		if (++level == TREE_NODE_LEVEL)
		{
			*node = hash;
			completes = true;
		}
	}
	frontier->peak[frontier->n_peaks++] = hash;
	frontier->size++;
	return completes;
}

void
tree_root(const TreeFrontier *frontier, TreeHash *out)
{
	if (frontier->n_peaks == 0)
	{
		digest_begin();
		digest_end(out);
		return;
	}
	*out = frontier->peak[frontier->n_peaks - 1];
	for (int i = frontier->n_peaks - 2; i >= 0; i--)
		tree_node_hash(&frontier->peak[i], out, out);
}

Size
tree_frontier_bytes(const TreeFrontier *frontier)
{
	return (Size) frontier->n_peaks * TREE_HASH_SIZE;
}

bool
tree_frontier_load(TreeFrontier *frontier, uint64 size, const void *bytes, Size length)
{
	int n_peaks = pg_popcount64(size);

	if (length != (Size) n_peaks * TREE_HASH_SIZE)
		return false;
	frontier->size = size;
	frontier->n_peaks = n_peaks;
	memcpy(frontier->peak, bytes, length);
	return true;
}

bool
tree_frontier_peak(const TreeFrontier *frontier, uint64 first, int level, TreeHash *out)
{
	uint64 start = 0;
	int n = 0;

	for (int bit = 63; bit >= level; bit--)
	{
		if ((frontier->size >> bit & 1) == 0)
			continue;
		if (bit == level && start == first)
		{
			*out = frontier->peak[n];
			return true;
		}
		start += UINT64CONST(1) << bit;
		n++;
	}
	return false;
}
