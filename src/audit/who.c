/*
 * who.c
 *		Who acts, as records name him.
 *
 * The encoded fields are kept until one of the things that they say changes.  So that the records
 * of parallel workers can name their leader's session and execution, each process says its own in
 * shared memory: in the entry of its number, which only it writes and which its workers read while
 * it waits for them.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "common/ip.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "audit/who.h"
#include "compat.h"
#include "guc.h"

typedef struct SessionEntry
{
	pg_time_t start;
	int pid;
	uint32 execution;
} SessionEntry;

/* What the kept fragment says. */
typedef struct KnownWho
{
	bool valid;
	Oid login;
	Oid role;
	char application_name[NAMEDATALEN];
	char *application_user;
	RecordFragment fragment;
	MemoryContext context;
} KnownWho;

static SessionEntry *sessions = NULL;
static uint32 last_execution = 0;
static KnownWho known;

static void
forget(Datum arg, int cache_id, uint32 hash)
{
	known.valid = false;
}

void
who_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, forget, (Datum) 0);
}

Size
who_shmem_size(void)
{
	return mul_size(MaxBackends, sizeof(SessionEntry));
}

void
who_shmem_attach(void)
{
	bool found;

	sessions = ShmemInitStruct("privacy_guard sessions", who_shmem_size(), &found);
	if (!found)
		memset(sessions, 0, who_shmem_size());
}

/* ---- session and execution ---- */

static SessionEntry *
entry_of(PGPROC *proc)
{
	return &sessions[compat_proc_number(proc)];
}

static SessionEntry *
own_entry(void)
{
	SessionEntry *entry = entry_of(MyProc);

	if (entry->pid != MyProcPid || entry->start != MyStartTime)
		*entry = (SessionEntry){MyStartTime, MyProcPid, 0};
	return entry;
}

const char *
who_session(void)
{
	static char text[40];

	if (text[0] == '\0')
	{
		const SessionEntry *entry =
		    IsParallelWorker() ? entry_of(MyProc->lockGroupLeader) : own_entry();

		snprintf(text, sizeof(text), "%llx.%x", (long long) entry->start, entry->pid);
	}
	return text;
}

uint32
who_next_execution(void)
{
	return ++last_execution;
}

uint32
who_announce_execution(uint32 execution)
{
	SessionEntry *entry = own_entry();
	uint32 before = entry->execution;

	entry->execution = execution;
	return before;
}

uint32
who_leader_execution(void)
{
	return entry_of(MyProc->lockGroupLeader)->execution;
}

/* ---- the fields ---- */

/* Numeric, and "" for a local client. */
static void
put_address(RecordWriter *writer)
{
	char host[NI_MAXHOST] = "";

	if (MyBEEntry != NULL && (MyBEEntry->st_clientaddr.addr.ss_family == AF_INET ||
	                          MyBEEntry->st_clientaddr.addr.ss_family == AF_INET6))
		(void) pg_getnameinfo_all(&MyBEEntry->st_clientaddr.addr, MyBEEntry->st_clientaddr.salen,
		                          host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	record_text(writer, FIELD_ADDRESS, host);
}

static void
encode(Oid role)
{
	MemoryContext old;
	RecordWriter writer;
	Size size = 4 * NAMEDATALEN + strlen(guc_application_user) + NI_MAXHOST + 64;

	if (known.context == NULL)
		known.context =
		    AllocSetContextCreate(TopMemoryContext, "privacy_guard who", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(known.context);
	old = MemoryContextSwitchTo(known.context);
	known.login = GetAuthenticatedUserId();
	known.role = role;
	strlcpy(known.application_name, application_name, sizeof(known.application_name));
	known.application_user = pstrdup(guc_application_user);

	record_begin(&writer, palloc(size), size);
	record_text(&writer, FIELD_SESSION_USER, GetUserNameFromId(known.login, true));
	record_text(&writer, FIELD_CURRENT_USER, GetUserNameFromId(role, true));
	record_text(&writer, FIELD_APPLICATION_USER, known.application_user);
	record_text(&writer, FIELD_APPLICATION_NAME, known.application_name);
	put_address(&writer);
	record_uint(&writer, FIELD_PID, MyProcPid);
	known.fragment = record_as_fragment(&writer);
	known.valid = true;
	MemoryContextSwitchTo(old);
}

RecordFragment
who_fragment(Oid role)
{
	if (!known.valid || known.login != GetAuthenticatedUserId() || known.role != role ||
	    strcmp(known.application_user, guc_application_user) != 0 ||
	    strcmp(known.application_name, application_name) != 0)
	{
		known.valid = false;
		encode(role);
	}
	return known.fragment;
}
