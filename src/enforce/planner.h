/*
 * planner.h
 *		Layer 2: the guard where row security was not asked.
 */
#ifndef PRIVACY_GUARD_PLANNER_H
#define PRIVACY_GUARD_PLANNER_H

extern void planner_init(void);

#endif
