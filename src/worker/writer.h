/*
 * writer.h
 *		The audit writer of a database: a background worker.
 */
#ifndef PRIVACY_GUARD_WRITER_H
#define PRIVACY_GUARD_WRITER_H

#include "postgres.h"

#define WRITER_FUNCTION "privacy_guard_writer_main"
#define WRITER_TYPE "privacy_guard audit writer"

/* The argument is the database. */
extern PGDLLEXPORT void privacy_guard_writer_main(Datum database);

#endif
