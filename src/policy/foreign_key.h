/*
 * foreign_key.h
 *		Where a foreign key of one column leads.
 */
#ifndef PRIVACY_GUARD_FOREIGN_KEY_H
#define PRIVACY_GUARD_FOREIGN_KEY_H

#include "postgres.h"

#include "access/attnum.h"

typedef struct ForeignKey
{
	Oid referenced;
	AttrNumber column; /* of the referenced table */
	Oid index;         /* the unique one over it */
} ForeignKey;

/* The validated foreign key of this column alone, of several the oldest; false where there is none.
 */
extern bool foreign_key_find(Oid relid, AttrNumber column, ForeignKey *key);

#endif
