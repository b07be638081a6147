/*
 * eraser.h
 *		The eraser of a database: a background worker.
 */
#ifndef PRIVACY_GUARD_ERASER_H
#define PRIVACY_GUARD_ERASER_H

#include "postgres.h"

#define ERASER_FUNCTION "privacy_guard_eraser_main"
#define ERASER_TYPE "privacy_guard eraser"

/* The argument is the database. */
extern PGDLLEXPORT void privacy_guard_eraser_main(Datum database);

#endif
