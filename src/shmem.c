/*
 * shmem.c
 *		Asking for shared memory, and attaching to it, once for all modules.
 *
 * Each module owns its ..._shmem_size() and ..._shmem_attach(); this file owns the hooks.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "audit/ring.h"
#include "audit/who.h"
#include "consent/consent_cache.h"
#include "enforce/report.h"
#include "enforce/utility_role.h"
#include "retention/eraser_shared.h"
#include "retention/erasing.h"
#include "shmem.h"

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(consent_cache_shmem_size());
	RequestAddinShmemSpace(who_shmem_size());
	RequestAddinShmemSpace(audit_ring_shmem_size());
	RequestAddinShmemSpace(eraser_shmem_size());
	RequestAddinShmemSpace(report_shmem_size());
	RequestAddinShmemSpace(utility_role_shmem_size());
	RequestAddinShmemSpace(erasing_shmem_size());
}

static void
startup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	consent_cache_shmem_attach();
	who_shmem_attach();
	audit_ring_shmem_attach();
	eraser_shmem_attach();
	report_shmem_attach();
	utility_role_shmem_attach();
	erasing_shmem_attach();
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
}
