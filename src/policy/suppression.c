/*
 * suppression.c
 *		Erased data subjects, recognised by a keyed hash of their key.
 *
 * The secret is in a file, so that who has the tables alone cannot find out whose keys were hashed
 * by hashing all that there are.  The file is made at first use, under a name of its own until it
 * is whole and on disk.  Each backend remembers the secret, and asks the file system at each use
 * whether the file is still the same.
 *
 * A lost or changed secret would silently let everybody come back.  So the table suppression holds
 * an identifier of the secret that was used, derived from it, and nothing is answered where it
 * does not fit.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "guc.h"
#include "key_file.h"
#include "policy/catalog.h"
#include "policy/policy.h"
#include "policy/suppression.h"
#include "policy/verb.h"

#define SECRET_SIZE 32
#define DIGEST_SIZE PG_SHA256_DIGEST_LENGTH

/* No category's name is empty, so these are never mistaken for a subject. */
static const char secret_domain[] = "\0secret";
static const char pseudonym_domain[] = "\0pseudonym";

typedef struct Secret
{
	bool loaded;
	char path[MAXPGPATH];
	dev_t device;
	ino_t inode;
	struct timespec changed;
	uint8 bytes[SECRET_SIZE];
	int64 id;
} Secret;

static Secret secret;

PG_FUNCTION_INFO_V1(suppression_subject_digest);
PG_FUNCTION_INFO_V1(suppression_secret_id);
PG_FUNCTION_INFO_V1(suppression_subject_number);

/* ---- the hash ---- */

/* HMAC-SHA-256 of two byte strings with a zero byte between them. */
static void
keyed_hash(const void *first, Size first_length, const void *second, Size second_length,
           uint8 *digest)
{
	static const uint8 separator = 0;
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);

	if (hmac == NULL || pg_hmac_init(hmac, secret.bytes, SECRET_SIZE) < 0 ||
	    pg_hmac_update(hmac, first, first_length) < 0 ||
	    pg_hmac_update(hmac, &separator, sizeof(separator)) < 0 ||
	    pg_hmac_update(hmac, second, second_length) < 0 ||
	    pg_hmac_final(hmac, digest, DIGEST_SIZE) < 0)
		elog(ERROR, "could not compute a keyed hash");
	pg_hmac_free(hmac);
}

static int64
identify_secret(void)
{
	uint8 digest[DIGEST_SIZE];
	int64 id;

	keyed_hash(secret_domain, sizeof(secret_domain) - 1, "", 0, digest);
	memcpy(&id, digest, sizeof(id));
	return pg_ntoh64(id);
}

/* ---- the file ---- */

static void
refuse_file(int elevel, const char *reason)
{
	ereport(elevel,
	        (errcode(ERRCODE_CONFIG_FILE_ERROR),
	         errmsg("the file of privacy_guard.suppression_key_file %s", reason),
	         errhint("It must be a regular file with mode 0600 that belongs to the user that runs "
	                 "the server and holds 64 hexadecimal digits. Put it back from its backup.")));
}

static bool
is_remembered(const struct stat *file)
{
	return secret.loaded && strcmp(secret.path, guc_suppression_key_file) == 0 &&
	       secret.device == file->st_dev && secret.inode == file->st_ino &&
	       secret.changed.tv_sec == file->st_ctim.tv_sec &&
	       secret.changed.tv_nsec == file->st_ctim.tv_nsec;
}

static const char *
parse_secret(char *text, ssize_t length)
{
	while (length > 0 && strchr(" \r\n\t", text[length - 1]) != NULL)
		length--;
	if (length != 2 * SECRET_SIZE || strspn(text, "0123456789abcdefABCDEF") < length)
		return "does not hold a secret";
	(void) hex_decode(text, length, (char *) secret.bytes);
	return NULL;
}

/* Opened first, so that what is checked is what is read; a pipe must not block that. */
static const char *
read_file(int fd)
{
	char text[4 * SECRET_SIZE] = {0};
	struct stat file;
	const char *fault = key_file_fault(fd, &file);
	ssize_t length;

	if (fault != NULL)
		return fault;
	length = read(fd, text, sizeof(text) - 1);
	fault = length < 0 ? "cannot be read" : parse_secret(text, length);
	explicit_bzero(text, sizeof(text));
	if (fault != NULL)
		return fault;
	secret.device = file.st_dev;
	secret.inode = file.st_ino;
	secret.changed = file.st_ctim;
	strlcpy(secret.path, guc_suppression_key_file, sizeof(secret.path));
	secret.id = identify_secret();
	secret.loaded = true;
	return NULL;
}

static const char *
write_secret(int fd)
{
	uint8 bytes[SECRET_SIZE];
	char text[2 * SECRET_SIZE + 1];
	bool is_written;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		return "cannot be made for want of randomness";
	(void) hex_encode((const char *) bytes, sizeof(bytes), text);
	text[2 * SECRET_SIZE] = '\n';
	is_written = write(fd, text, sizeof(text)) == sizeof(text) && pg_fsync(fd) == 0;
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(text, sizeof(text));
	return is_written ? NULL : "cannot be written";
}

/* Whoever comes first makes the secret: the file appears under its name whole or not at all. */
static void
make_file(void)
{
	char draft[MAXPGPATH];
	char directory[MAXPGPATH];
	const char *fault;
	bool is_linked;
	int fd;

	snprintf(draft, sizeof(draft), "%s.%d.tmp", guc_suppression_key_file, MyProcPid);
	(void) unlink(draft); /* of a process that died */
	fd = OpenTransientFilePerm(draft, O_CREAT | O_EXCL | O_WRONLY, S_IRUSR | S_IWUSR);
	if (fd < 0)
		refuse_file(ERROR, "cannot be made");
	fault = write_secret(fd);
	CloseTransientFile(fd);
	is_linked = fault == NULL && (link(draft, guc_suppression_key_file) == 0 || errno == EEXIST);
	(void) unlink(draft);
	if (!is_linked)
		refuse_file(ERROR, fault ? fault : "cannot be made");
	strlcpy(directory, guc_suppression_key_file, sizeof(directory));
	get_parent_directory(directory);
	fsync_fname(directory[0] == '\0' ? "." : directory, true);
}

/* Have the secret in memory; make_missing: also where there is no file yet. */
static bool
load_secret(bool make_missing, int elevel)
{
	struct stat file;
	const char *fault;
	int fd;

	if (stat(guc_suppression_key_file, &file) == 0)
	{
		if (is_remembered(&file))
			return true;
	}
	else if (errno == ENOENT && make_missing)
		make_file();

	secret.loaded = false;
	fd = OpenTransientFile(guc_suppression_key_file, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
	{
		refuse_file(elevel, errno == ENOENT ? "is missing" : "cannot be opened");
		return false;
	}
	fault = read_file(fd);
	CloseTransientFile(fd);
	if (fault != NULL)
		refuse_file(elevel, fault);
	return fault == NULL;
}

/* ---- erased subjects ---- */

static void
name_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(char **) arg = catalog_text(tuple, desc, CATEGORY_NAME);
}

static void
hash_subject(int32 category, const char *key, Size length, uint8 *digest)
{
	ScanKeyData scankey;
	char *name = NULL;

	ScanKeyInit(&scankey, CATEGORY_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(category));
	catalog_scan(CATALOG_SUBJECT_CATEGORY, &scankey, 1, name_row, &name);
	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("no such subject category"),
		                errhint("It was dropped meanwhile.")));
	keyed_hash(name, strlen(name), key, length, digest);
	pfree(name);
}

typedef struct UsedSecret
{
	bool found;
	int64 id;
} UsedSecret;

static void
secret_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;

	*(UsedSecret *) arg =
	    (UsedSecret){true, DatumGetInt64(catalog_column(tuple, desc, SUPPRESSION_SECRET, &isnull))};
}

static UsedSecret
used_secret(int32 category)
{
	ScanKeyData key;
	UsedSecret used = {false, 0};

	ScanKeyInit(&key, SUPPRESSION_CATEGORY, BTEqualStrategyNumber, F_INT4EQ,
	            Int32GetDatum(category));
	catalog_scan(CATALOG_SUPPRESSION, &key, 1, secret_row, &used);
	return used;
}

static bool
secret_fits(const UsedSecret *used, int elevel)
{
	if (used->found && used->id != secret.id)
	{
		refuse_file(elevel, "holds another secret than that of the subjects that were erased");
		return false;
	}
	return true;
}

static void
number_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool isnull;

	(void) catalog_column(tuple, desc, SUPPRESSED_READMITTED_AT, &isnull);
	if (isnull)
		*(int64 *) arg = DatumGetInt64(catalog_column(tuple, desc, SUPPRESSED_SUBJECT, &isnull));
}

int64
suppression_find(int32 category, const char *key, Size length, int elevel)
{
	uint8 digest[DIGEST_SIZE];
	ScanKeyData keys[2];
	UsedSecret used;
	bytea *hash;
	int64 number = 0;

	/* Also finds where the extension's tables are. */
	if (policy_state() == POLICY_ABSENT)
		return 0;
	used = used_secret(category);
	if (!used.found)
		return 0;
	if (!load_secret(false, elevel) || !secret_fits(&used, elevel))
		return SUPPRESSION_UNKNOWN;
	hash_subject(category, key, length, digest);
	hash = palloc(VARHDRSZ + DIGEST_SIZE);
	SET_VARSIZE(hash, VARHDRSZ + DIGEST_SIZE);
	memcpy(VARDATA(hash), digest, DIGEST_SIZE);
	ScanKeyInit(&keys[0], SUPPRESSED_CATEGORY, BTEqualStrategyNumber, F_INT4EQ,
	            Int32GetDatum(category));
	ScanKeyInit(&keys[1], SUPPRESSED_KEY, BTEqualStrategyNumber, F_BYTEAEQ, PointerGetDatum(hash));
	catalog_scan(CATALOG_SUPPRESSED, keys, 2, number_row, &number);
	pfree(hash);
	return number;
}

static void
any_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(bool *) arg = true;
}

/* Have the secret.  A new one is made only where no hash was made with an old one. */
static void
require_secret(void)
{
	bool used = false;

	(void) policy_state(); /* finds where the extension's tables are */
	catalog_scan(CATALOG_SUPPRESSION, NULL, 0, any_row, &used);
	(void) load_secret(!used, ERROR);
}

text *
suppression_pseudonym(const text *value)
{
	uint8 digest[DIGEST_SIZE];
	char digits[2 * DIGEST_SIZE];

	require_secret();
	keyed_hash(pseudonym_domain, sizeof(pseudonym_domain) - 1, VARDATA_ANY(value),
	           VARSIZE_ANY_EXHDR(value), digest);
	(void) hex_encode((const char *) digest, sizeof(digest), digits);
	return cstring_to_text_with_len(digits, sizeof(digits));
}

/* ---- SQL: only from within verbs ---- */

/* privacy_guard_internal.subject_digest(category_id, canonical key) */
Datum
suppression_subject_digest(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(1);
	bytea *digest = palloc(VARHDRSZ + DIGEST_SIZE);
	UsedSecret used;

	(void) verb_invoker();
	require_secret();
	used = used_secret(PG_GETARG_INT32(0));
	(void) secret_fits(&used, ERROR);
	SET_VARSIZE(digest, VARHDRSZ + DIGEST_SIZE);
	hash_subject(PG_GETARG_INT32(0), VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key),
	             (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}

/* privacy_guard_internal.secret_id(): of the secret, which is made where there is none. */
Datum
suppression_secret_id(PG_FUNCTION_ARGS)
{
	(void) verb_invoker();
	require_secret();
	PG_RETURN_INT64(secret.id);
}

/* privacy_guard_internal.suppressed_number(category_id, canonical key) */
Datum
suppression_subject_number(PG_FUNCTION_ARGS)
{
	text *key = PG_GETARG_TEXT_PP(1);
	int64 number;

	(void) verb_invoker();
	number = suppression_find(PG_GETARG_INT32(0), VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), ERROR);
	if (number == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(number);
}
