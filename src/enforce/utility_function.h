/*
 * utility_function.h
 *		Which functions may run over guarded rows, or past them.
 */
#ifndef PRIVACY_GUARD_UTILITY_FUNCTION_H
#define PRIVACY_GUARD_UTILITY_FUNCTION_H

#include "enforce/utility.h"

extern void utility_function_init(void);

/* An expression is about to call the function: refuse what it must not. */
extern void utility_function_execute(Oid function);

/* May this function run over guarded rows on behalf of who alters their table? */
extern bool utility_function_is_plain(Oid function);
extern _Noreturn void utility_refuse_function(Oid function);

/* A function that is not plain among those that the object's expressions call. */
extern Oid utility_loose_function(Oid class, Oid object);

#endif
