/*
 * hold.c
 *		Which rows legal holds bind.
 */
#include "postgres.h"

#include "policy/hold.h"

bool
hold_any(const GuardedTable *table)
{
	return false;
}

bool
hold_on_table(const GuardedTable *table)
{
	return false;
}

bool
hold_binds(const GuardedTable *table, int32 category, Oid key_type, Datum key)
{
	return false;
}
