/*
 * guc.h
 *		The settings, all under "privacy_guard.".
 */
#ifndef PRIVACY_GUARD_GUC_H
#define PRIVACY_GUARD_GUC_H

typedef enum OnNoPurpose
{
	ON_NO_PURPOSE_ERROR,
	ON_NO_PURPOSE_EMPTY
} OnNoPurpose;

typedef enum OnWithheld
{
	ON_WITHHELD_AUTO, /* error for the table's owner, silent for others */
	ON_WITHHELD_SILENT,
	ON_WITHHELD_NOTICE,
	ON_WITHHELD_ERROR
} OnWithheld;

typedef enum AuditDurability
{
	AUDIT_ASYNC,
	AUDIT_TRANSACTION,
	AUDIT_DISCLOSURE
} AuditDurability;

extern char *guc_purpose;          /* "" when the session declares none */
extern char *guc_application_user; /* the person behind a shared role */
extern int guc_on_no_purpose;
extern int guc_on_withheld;
extern int guc_consent_cache_size; /* kB */

extern int guc_audit_durability;
extern int guc_audit_buffers; /* kB, of each database's ring */
extern int guc_audit_databases;
extern int guc_audit_timeout;       /* milliseconds */
extern int guc_checkpoint_interval; /* seconds; 0: only on demand */
extern char *guc_checkpoint_key_file;
extern char *guc_checkpoint_file;
extern char *guc_checkpoint_command;

extern int guc_erase_interval; /* seconds; 0: only by hand */
extern int guc_erase_batch_size;
extern int guc_erase_rate; /* rows per second; 0: no limit */

extern char *guc_suppression_key_file; /* relative to the data directory */

extern void guc_init(void);

/* Does the declared purpose last only as long as the transaction? */
extern bool guc_purpose_is_transactional(void);

#endif
