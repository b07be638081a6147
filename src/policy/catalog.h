/*
 * catalog.h
 *		Reading the extension's own tables.
 *
 * The column numbers follow src/sql/catalog.sql; columns are only ever added at the end.
 */
#ifndef PRIVACY_GUARD_CATALOG_H
#define PRIVACY_GUARD_CATALOG_H

#include "postgres.h"

#include "access/htup.h"
#include "access/skey.h"
#include "access/tupdesc.h"

typedef enum CatalogTable
{
	CATALOG_PURPOSE,
	CATALOG_PURPOSE_GRANT,
	CATALOG_SUBJECT_CATEGORY,
	CATALOG_GUARDED_TABLE,
	CATALOG_GUARDED_CHILD,
	CATALOG_TABLE_MODE,
	CATALOG_RULE,
	CATALOG_RETENTION,
	CATALOG_HOLD,
	CATALOG_SUPPRESSION,
	CATALOG_SUPPRESSED,
	CATALOG_SUBJECT_STATE,
	CATALOG_SUBJECT_STATE_INT,    /* the same table by its integer key */
	CATALOG_SUBJECT_STATE_NUMBER, /* and by the subject's number */
	CATALOG_SUBJECT_BASIS,
	CATALOG_EXEMPT_ROLE,
	CATALOG_IDENTITY,
	CATALOG_TABLES
} CatalogTable;

enum
{
	PURPOSE_ID = 1,
	PURPOSE_PATH,
	PURPOSE_VERSION,
	PURPOSE_LEGAL_BASIS,
	PURPOSE_CONSENT_TYPE,
	PURPOSE_DESCRIPTION,
	PURPOSE_RECORD_BASIS,
	PURPOSE_DOUBLE_OPT_IN,
	PURPOSE_AUTOMATED_DECISIONS,
	PURPOSE_EXPORT,
	PURPOSE_LEGAL_CLAIMS,
	PURPOSE_RIGHTS_OF_OTHERS,
	PURPOSE_IMPORTANT_PUBLIC_INTEREST,
	PURPOSE_SUBJECT_RIGHTS
};

enum
{
	GRANT_PURPOSE = 1,
	GRANT_ROLE,
	GRANT_PRIVILEGE
};

enum
{
	CATEGORY_ID = 1,
	CATEGORY_NAME,
	CATEGORY_KEY_TYPE
};

enum
{
	GUARDED_RELATION = 1,
	GUARDED_CATEGORY,
	GUARDED_SUBJECT_COLUMNS,
	GUARDED_SUBJECT_VIA,
	GUARDED_CONSENT_COLUMN,
	GUARDED_NULL_SUBJECT,
	GUARDED_AUDIT_LEVEL,
	GUARDED_MODE,
	GUARDED_PRIOR_ROW_SECURITY,
	GUARDED_PROTECTED_BY,
	GUARDED_PROTECTED_AT,
	GUARDED_RETENTION_START
};

enum
{
	CHILD_RELATION = 1,
	CHILD_ROOT,
	CHILD_PRIOR_ROW_SECURITY
};

enum
{
	MODE_RELATION = 1,
	MODE_ROLE,
	MODE_MODE
};

enum
{
	RULE_ID = 1,
	RULE_RELATION,
	RULE_PURPOSE,
	RULE_CATEGORY,
	RULE_EFFECT,
	RULE_LEGAL_BASIS,
	RULE_CREATED_BY,
	RULE_CREATED_AT
};

enum
{
	RETENTION_ID = 1,
	RETENTION_RELATION,
	RETENTION_PURPOSE,
	RETENTION_PERIOD,
	RETENTION_ACTION,
	RETENTION_MASKS,
	RETENTION_PARTITIONS,
	RETENTION_ERASE_UNNEEDED_AFTER,
	RETENTION_EFFECTIVE_FROM
};

enum
{
	HOLD_ID = 1,
	HOLD_MATTER,
	HOLD_CATEGORY,
	HOLD_SUBJECT,
	HOLD_RELATION
};

enum
{
	SUPPRESSION_CATEGORY = 1,
	SUPPRESSION_SECRET
};

enum
{
	SUPPRESSED_SUBJECT = 1,
	SUPPRESSED_CATEGORY,
	SUPPRESSED_KEY,
	SUPPRESSED_ALIASES,
	SUPPRESSED_ERASED_AT,
	SUPPRESSED_PROOF_UNTIL,
	SUPPRESSED_READMITTED_AT
};

enum
{
	STATE_SUBJECT = 1,
	STATE_CATEGORY,
	STATE_KEY,
	STATE_KEY_INT,
	STATE_CONSENT,
	STATE_OBJECTIONS,
	STATE_RESTRICTED,
	STATE_NEXT_EXPIRY
};

enum
{
	BASIS_SUBJECT = 1,
	BASIS_PURPOSE,
	BASIS_LEGAL_BASIS,
	BASIS_VALID_UNTIL
};

enum
{
	EXEMPT_ROLE = 1,
	EXEMPT_REASON,
	EXEMPT_VALID_UNTIL
};

enum
{
	IDENTITY_SYSTEM = 1,
	IDENTITY_DATABASE
};

typedef void (*CatalogRow)(HeapTuple tuple, TupleDesc desc, void *arg);

/*
 * Find the tables and their indexes in the extension's schema.  False when one is missing, as
 * while the install script runs.
 */
extern bool catalog_locate(Oid schema);
extern Oid catalog_relid(CatalogTable table);

/*
 * Call row() for each row that matches the keys, read under a snapshot taken now, so that what
 * other sessions have committed is seen even in an old REPEATABLE READ transaction, and in the
 * middle of a parallel operation.
 */
extern void catalog_scan(CatalogTable table, ScanKey keys, int n_keys, CatalogRow row, void *arg);

extern Datum catalog_column(HeapTuple tuple, TupleDesc desc, int column, bool *isnull);
extern bool catalog_bool(HeapTuple tuple, TupleDesc desc, int column);
extern int32 catalog_int4(HeapTuple tuple, TupleDesc desc, int column);
extern char *catalog_text(HeapTuple tuple, TupleDesc desc, int column); /* NULL for null */
extern int catalog_enum_position(Oid label); /* counted from 0; how SQL declared it */

#endif
