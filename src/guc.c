/*
 * guc.c
 *		The settings, and the end of a declared purpose with its transaction.
 *
 * A pooler hands one session to many clients.  With purpose_scope = transaction, what a client
 * declares therefore ends with its transaction, however it was set: before each commit the two
 * declarations go back to the default of the role or connection.  After an abort they are back
 * already, because nothing that was set before the transaction can have survived.
 */
#include "postgres.h"

#include <limits.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "utils/guc.h"

#include "guc.h"

char *guc_purpose = NULL;
char *guc_application_user = NULL;
int guc_on_no_purpose = ON_NO_PURPOSE_ERROR;
int guc_on_withheld = ON_WITHHELD_AUTO;
int guc_consent_cache_size = 128 * 1024;

int guc_audit_durability = AUDIT_TRANSACTION;
int guc_audit_buffers = 8 * 1024;
int guc_audit_databases = 8;
int guc_audit_timeout = 10000;
int guc_checkpoint_interval = 60;
char *guc_checkpoint_key_file = NULL;
char *guc_checkpoint_file = NULL;
char *guc_checkpoint_command = NULL;

int guc_erase_interval = 60;
int guc_erase_batch_size = 1000;
int guc_erase_rate = 0;

char *guc_suppression_key_file = NULL;

typedef enum PurposeScope
{
	SCOPE_TRANSACTION,
	SCOPE_SESSION
} PurposeScope;

static int purpose_scope = SCOPE_TRANSACTION;

static const struct config_enum_entry scope_options[] = {
    {"transaction", SCOPE_TRANSACTION, false},
    {"session", SCOPE_SESSION, false},
    {NULL, 0, false},
};

static const struct config_enum_entry no_purpose_options[] = {
    {"error", ON_NO_PURPOSE_ERROR, false},
    {"empty", ON_NO_PURPOSE_EMPTY, false},
    {NULL, 0, false},
};

static const struct config_enum_entry withheld_options[] = {
    {"auto", ON_WITHHELD_AUTO, false},
    {"silent", ON_WITHHELD_SILENT, false},
    {"notice", ON_WITHHELD_NOTICE, false},
    {"error", ON_WITHHELD_ERROR, false},
    {NULL, 0, false},
};

static const struct config_enum_entry durability_options[] = {
    {"async", AUDIT_ASYNC, false},
    {"transaction", AUDIT_TRANSACTION, false},
    {"disclosure", AUDIT_DISCLOSURE, false},
    {NULL, 0, false},
};

/* Which of the two has SET declared since the last transaction ended? */
static bool purpose_declared = false;
static bool application_user_declared = false;

static bool check_purpose(char **newval, void **extra, GucSource source);
static bool check_application_user(char **newval, void **extra, GucSource source);
static void end_declarations(XactEvent event, void *arg);

/* Nobody may weaken the audit for himself, so all of it comes from the server's configuration. */
static void
define_audit(void)
{
	DefineCustomEnumVariable(
	    "privacy_guard.audit_durability", "When an access must be in the audit log.",
	    "async: soon; transaction: before its transaction is reported ended; disclosure: before "
	    "any row of it leaves the server.",
	    &guc_audit_durability, AUDIT_TRANSACTION, durability_options, PGC_SIGHUP, 0, NULL, NULL,
	    NULL);
	DefineCustomIntVariable(
	    "privacy_guard.audit_buffers",
	    "Shared memory between the backends of a database and its audit writer.",
	    "When it is full, guarded statements wait.", &guc_audit_buffers, 8 * 1024, 512,
	    MAX_KILOBYTES, PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("privacy_guard.audit_databases",
	                        "How many databases of the server can have guarded tables.", NULL,
	                        &guc_audit_databases, 8, 1, 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("privacy_guard.audit_timeout",
	                        "How long a guarded statement waits for the audit log before it fails.",
	                        NULL, &guc_audit_timeout, 10000, 10, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	                        NULL, NULL, NULL);
}

static void
define_checkpoints(void)
{
	DefineCustomIntVariable("privacy_guard.checkpoint_interval",
	                        "How often the audit log's tree head is signed and shipped.",
	                        "0: only by audit_checkpoint().", &guc_checkpoint_interval, 60, 0,
	                        INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("privacy_guard.checkpoint_key_file",
	                           "The Ed25519 private key (PEM) that signs checkpoints.", NULL,
	                           &guc_checkpoint_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL,
	                           NULL, NULL);
	DefineCustomStringVariable(
	    "privacy_guard.checkpoint_file", "A file to which each checkpoint is appended.", NULL,
	    &guc_checkpoint_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("privacy_guard.checkpoint_command",
	                           "A shell command that gets each checkpoint as its standard input.",
	                           NULL, &guc_checkpoint_command, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	                           NULL, NULL, NULL);
}

static void
define_erasure(void)
{
	DefineCustomIntVariable("privacy_guard.erase_interval",
	                        "How often the eraser looks for rows past their storage duration.",
	                        "0: they are hidden, but erased only by run_retention().",
	                        &guc_erase_interval, 60, 0, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S,
	                        NULL, NULL, NULL);
	DefineCustomIntVariable(
	    "privacy_guard.erase_batch_size", "At most so many rows are erased in one transaction.",
	    NULL, &guc_erase_batch_size, 1000, 1, 1000000, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
	    "privacy_guard.erase_rate", "At most so many rows are erased in a second, by each eraser.",
	    "0: no limit.", &guc_erase_rate, 0, 0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable(
	    "privacy_guard.suppression_key_file",
	    "The secret with which the keys of erased data subjects are hashed.",
	    "It is made at first use. Keep it apart from the backups of the data.",
	    &guc_suppression_key_file, "privacy_guard_suppression.key", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
	    NULL, NULL, NULL);
}

void
guc_init(void)
{
	DefineCustomStringVariable(
	    "privacy_guard.purpose", "The purpose that the session works for.",
	    "A dotted path, as in marketing.email. Declares only: the role must be entitled to it.",
	    &guc_purpose, "", PGC_USERSET, 0, check_purpose, NULL, NULL);
	DefineCustomStringVariable(
	    "privacy_guard.application_user", "The person for whom a shared database role works.", NULL,
	    &guc_application_user, "", PGC_USERSET, 0, check_application_user, NULL, NULL);
	DefineCustomEnumVariable("privacy_guard.purpose_scope", "How long a declared purpose lasts.",
	                         "transaction: until the end of the transaction, however it was set; "
	                         "session: as any setting. Set at connection time.",
	                         &purpose_scope, SCOPE_TRANSACTION, scope_options, PGC_BACKEND, 0, NULL,
	                         NULL, NULL);
	DefineCustomEnumVariable(
	    "privacy_guard.on_no_purpose",
	    "What a statement on a guarded table does when no purpose is declared.", NULL,
	    &guc_on_no_purpose, ON_NO_PURPOSE_ERROR, no_purpose_options, PGC_USERSET, 0, NULL, NULL,
	    NULL);
	DefineCustomEnumVariable("privacy_guard.on_withheld",
	                         "What an UPDATE or DELETE does that passed over withheld rows.",
	                         "auto: an error for the table's owner, nothing for others.",
	                         &guc_on_withheld, ON_WITHHELD_AUTO, withheld_options, PGC_USERSET, 0,
	                         NULL, NULL, NULL);
	DefineCustomIntVariable(
	    "privacy_guard.consent_cache_size",
	    "Shared memory for the decisions of data subjects that were read lately.",
	    "One line of 128 bytes holds eight neighbouring integer keys, or one uuid or text key, for "
	    "one purpose.",
	    &guc_consent_cache_size, 128 * 1024, 128, MAX_KILOBYTES, PGC_POSTMASTER, GUC_UNIT_KB, NULL,
	    NULL, NULL);
	define_audit();
	define_checkpoints();
	define_erasure();
	MarkGUCPrefixReserved("privacy_guard");
	RegisterXactCallback(end_declarations, NULL);
}

bool
guc_purpose_is_transactional(void)
{
	return purpose_scope == SCOPE_TRANSACTION;
}

/*
 * Syntax only: whether the purpose exists and the role may have it is asked at each execution, and
 * a parallel worker restores settings before it can read any table.
 */
static bool
check_purpose(char **newval, void **extra, GucSource source)
{
	const char *s = *newval;
	bool label_start = true;

	purpose_declared |= source == PGC_S_SESSION;
	if (*s == '\0')
		return true;
	if (strlen(s) > 255)
	{
		GUC_check_errdetail("A purpose is at most 255 bytes long.");
		return false;
	}
	for (; *s; s++)
	{
		if (*s == '.' && !label_start)
			label_start = true;
		else if ((*s >= 'a' && *s <= 'z') ||
		         (!label_start && (*s == '_' || (*s >= '0' && *s <= '9'))))
			label_start = false;
		else
			break;
	}
	if (*s != '\0' || label_start)
	{
		GUC_check_errdetail("A purpose is a dotted path of lower-case labels.");
		GUC_check_errhint("Write it as in marketing.email.");
		return false;
	}
	return true;
}

static bool
check_application_user(char **newval, void **extra, GucSource source)
{
	application_user_declared |= source == PGC_S_SESSION;
	for (const char *s = *newval; *s; s++)
		if ((unsigned char) *s < 0x20 || *s == 0x7f)
		{
			GUC_check_errdetail("Control characters are not allowed.");
			return false;
		}
	return true;
}

static void
end_declaration(const char *setting, bool *declared)
{
	/* A NULL value from the session's own source means RESET. */
	if (*declared)
		(void) set_config_option(setting, NULL, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0,
		                         false);
	*declared = false;
}

static void
end_declarations(XactEvent event, void *arg)
{
	if ((event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE) ||
	    purpose_scope != SCOPE_TRANSACTION || IsParallelWorker())
		return;
	end_declaration("privacy_guard.purpose", &purpose_declared);
	end_declaration("privacy_guard.application_user", &application_user_declared);
}
