/*
 * shmem.h
 *		Asking for shared memory, and attaching to it, once for all modules.
 */
#ifndef PRIVACY_GUARD_SHMEM_H
#define PRIVACY_GUARD_SHMEM_H

extern void shmem_init(void);

#endif
