/*
 * execute.h
 *		The executor's hooks: asking before, and remembering during, each execution.
 */
#ifndef PRIVACY_GUARD_EXECUTE_H
#define PRIVACY_GUARD_EXECUTE_H

extern void execute_init(void);

#endif
