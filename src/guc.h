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

extern char *guc_purpose;          /* "" when the session declares none */
extern char *guc_application_user; /* the person behind a shared role */
extern int guc_on_no_purpose;
extern int guc_on_withheld;
extern int guc_consent_cache_size; /* kB */

extern void guc_init(void);

/* Does the declared purpose last only as long as the transaction? */
extern bool guc_purpose_is_transactional(void);

#endif
