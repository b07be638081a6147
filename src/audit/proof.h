/*
 * proof.h
 *		Inclusion and consistency proofs of RFC 9162 (2.1.3, 2.1.4): made and checked.
 *
 * Pure but for the source of the hashes; no locking.
 */
#ifndef PRIVACY_GUARD_PROOF_H
#define PRIVACY_GUARD_PROOF_H

#include "postgres.h"

#include "audit/tree.h"

/* Hash of the perfect subtree of 2^level leaves that begins at leaf first, a multiple of 2^level.
 */
typedef void (*ProofSubtree)(void *source, uint64 first, int level, TreeHash *out);

/* In the order in which it is used: from the leaves to the root. */
typedef struct Proof
{
	int n;
	TreeHash hash[TREE_MAX_PEAKS + 1];
} Proof;

/* That leaf index is in the tree of that size; index < size. */
extern void proof_inclusion(uint64 index, uint64 size, ProofSubtree subtree, void *source,
                            Proof *out);

/* That the tree of size second begins with that of size first; 0 < first <= second. */
extern void proof_consistency(uint64 first, uint64 second, ProofSubtree subtree, void *source,
                              Proof *out);

#endif
