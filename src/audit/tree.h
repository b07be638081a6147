/*
 * tree.h
 *		The Merkle tree of RFC 9162: hashes of leaves, of nodes, and of a tree that only grows.
 *
 * Pure functions of bytes: no tables, no shared memory.  What calls them owns the locking.
 */
#ifndef PRIVACY_GUARD_TREE_H
#define PRIVACY_GUARD_TREE_H

#include "postgres.h"

#define TREE_HASH_SIZE 32
#define TREE_MAX_PEAKS 64

/* Complete subtrees of so many leaves have their hashes stored with the segment in which they end.
 */
#define TREE_NODE_LEAVES 256
#define TREE_NODE_LEVEL 8

typedef struct TreeHash
{
	uint8 byte[TREE_HASH_SIZE];
} TreeHash;

/*
 * The perfect subtrees that a tree of this size consists of, the largest (and leftmost) first: one
 * for each bit that is set in size.
 */
typedef struct TreeFrontier
{
	uint64 size;
	int n_peaks;
	TreeHash peak[TREE_MAX_PEAKS];
} TreeFrontier;

extern void tree_leaf_hash(const void *record, Size length, TreeHash *out);
extern void tree_node_hash(const TreeHash *left, const TreeHash *right, TreeHash *out);

extern void tree_init(TreeFrontier *frontier);

/*
 * Add one leaf.  True when it completes a subtree of TREE_NODE_LEAVES leaves, whose hash is put
 * into node.
 */
extern bool tree_append(TreeFrontier *frontier, const TreeHash *leaf, TreeHash *node);

/* The root of the whole tree; of an empty one, SHA-256 of nothing. */
extern void tree_root(const TreeFrontier *frontier, TreeHash *out);

/* The perfect subtree of 2^level leaves that begins at leaf first, when it is one of the peaks. */
extern bool tree_frontier_peak(const TreeFrontier *frontier, uint64 first, int level,
                               TreeHash *out);

/* The stored form: peaks one after the other.  Load is false when length does not suit the size. */
extern Size tree_frontier_bytes(const TreeFrontier *frontier);
extern bool tree_frontier_load(TreeFrontier *frontier, uint64 size, const void *bytes, Size length);

#endif
