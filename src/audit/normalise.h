/*
 * normalise.h
 *		The text of a statement as it may be kept: without literals, comments and needless space.
 *
 * Each literal, with its sign, becomes "?"; a list of equal members, of which literals are a part,
 * becomes its first member and "...".  Names, operators and parameters stay as they were written.
 * The same text comes out whatever the settings of the session are.
 */
#ifndef PRIVACY_GUARD_NORMALISE_H
#define PRIVACY_GUARD_NORMALISE_H

#include "postgres.h"

/* What stands for a text that cannot be told apart into literals and the rest. */
#define NORMALISE_UNAVAILABLE "statement text not available"

/* A longer text ends after a token, with " ...". */
#define NORMALISE_MAX_LENGTH 8192

/* What lies further behind in the source is not looked at. */
#define NORMALISE_MAX_SOURCE (256 * 1024)

/*
 * A statement is at byte location of its source, length bytes long; 0: to the end, and location -1:
 * all of it.  The result is palloc'd.  Nothing in the source can raise an error.
 */
extern char *normalise_statement_text(const char *source, int location, int length);

#endif
