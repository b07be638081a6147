/*
 * launcher.h
 *		The process that sees to it that each database has the workers that it needs.
 */
#ifndef PRIVACY_GUARD_LAUNCHER_H
#define PRIVACY_GUARD_LAUNCHER_H

#include "postgres.h"

extern void launcher_init(void);
extern PGDLLEXPORT void privacy_guard_launcher_main(Datum argument);

#endif
