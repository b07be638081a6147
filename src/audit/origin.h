/*
 * origin.h
 *		Where the log of this database began, and how far it has come.
 */
#ifndef PRIVACY_GUARD_ORIGIN_H
#define PRIVACY_GUARD_ORIGIN_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "audit/tree.h"

typedef struct LogEnd
{
	int32 origin;
	TreeFrontier frontier;
	TimestampTz sealed_at; /* of the last segment; 0 when there is none */
} LogEnd;

/*
 * The end of the log of this cluster and database.  Begins a new origin where there is none, where
 * the log came from elsewhere, or where its end is missing.  False while the database is pending
 * after a restore: then nothing is made, because the restore may still be at it.  Needs a verb to
 * be in progress.
 */
extern bool origin_open(LogEnd *end);

#endif
