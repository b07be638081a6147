/*
 * key_block.c
 *		The keys of data subjects in a message of the ring (AuditKeyBlock in ring.h).
 *
 * Pure functions of bytes, which may be of any alignment.
 */
#include "postgres.h"

#include "utils/uuid.h"

#include "audit/key_block.h"
#include "types/roaring_format.h"

bool
key_block_next(const uint8 **at, const uint8 *end, KeyBlock *block)
{
	if (end - *at < AUDIT_BLOCK_HEADER)
		return false;
	block->kind = (AuditKeyBlock) * *at;
	memcpy(&block->category, *at + 1, sizeof(int32));
	memcpy(&block->count, *at + 1 + sizeof(int32), sizeof(uint32));
	*at += AUDIT_BLOCK_HEADER;
	block->bitmap = NULL;
	block->bitmap_length = 0;
	if (block->kind != AUDIT_BLOCK_BITMAP)
		return true;
	if ((Size) (end - *at) < block->count)
		return false;
	block->bitmap = *at;
	block->bitmap_length = block->count;
	block->count = 0;
	*at += block->bitmap_length;
	return true;
}

/* The number of bytes of a member, moving *at behind what states it; -1 when that is cut off. */
static int
member_size(AuditKeyBlock kind, const uint8 **at, const uint8 *end)
{
	uint16 length;

	switch (kind)
	{
		case AUDIT_BLOCK_NUMBERS:
		case AUDIT_BLOCK_INT:
			return sizeof(int64);
		case AUDIT_BLOCK_UUID:
			return UUID_LEN;
		case AUDIT_BLOCK_TEXT:
			if (end - *at < (ptrdiff_t) sizeof(length))
				return -1;
			memcpy(&length, *at, sizeof(length));
			*at += sizeof(length);
			return length;
		default:
			return -1;
	}
}

bool
key_block_member(AuditKeyBlock kind, const uint8 **at, const uint8 *end, AuditKey *key)
{
	int size = member_size(kind, at, end);

	if (size < 0 || end - *at < size)
		return false;
	if (kind == AUDIT_BLOCK_UUID || kind == AUDIT_BLOCK_TEXT)
		key->value.bytes = *at;
	else
		memcpy(&key->value.integer, *at, sizeof(int64));
	key->length = (uint32) size;
	key->number = 0;
	*at += size;
	return true;
}

static bool
bitmap_is_sound(const KeyBlock *block)
{
	return block->bitmap == NULL || roaring_check(block->bitmap, block->bitmap_length) == NULL;
}

bool
key_blocks_are_sound(const uint8 *blocks, Size length)
{
	const uint8 *at = blocks;
	const uint8 *end = blocks + length;

	while (at < end)
	{
		KeyBlock block;
		AuditKey key;

		if (!key_block_next(&at, end, &block) || !bitmap_is_sound(&block))
			return false;
		for (uint32 i = 0; i < block.count; i++)
		{
			if (!key_block_member(block.kind, &at, end, &key))
				return false;
			if (block.kind == AUDIT_BLOCK_NUMBERS && key.value.integer <= 0)
				return false;
		}
	}
	return true;
}
