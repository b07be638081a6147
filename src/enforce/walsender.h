/*
 * walsender.h
 *		Logical replication connections.
 */
#ifndef PRIVACY_GUARD_WALSENDER_H
#define PRIVACY_GUARD_WALSENDER_H

extern void walsender_init(void);

#endif
