/*
 * note_key.c
 *		Ed25519 keys that sign checkpoints, and their public halves that check them.
 *
 * Keys are kept as bytes, and OpenSSL's objects live no longer than a call in which no error is
 * raised: nothing leaks. The key file is read anew for each checkpoint, so that a new key counts
 * at once.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "storage/fd.h"

#include "audit/note_key.h"
#include "guc.h"
#include "key_file.h"

#define SIGNATURE_TYPE_ED25519 1
#define KEY_FILE_MAX 16384

/* ---- base64 ---- */

char *
note_base64(const void *bytes, Size length)
{
	char *text = palloc((length + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *) text, bytes, (int) length);
	return text;
}

/* Only what encoding yields is accepted: one value has one text. */
int
note_unbase64(const char *text, Size length, uint8 *out, Size size)
{
	Size bytes = length / 4 * 3;
	uint8 *buffer;
	bool is_good;

	if (length == 0 || length % 4 != 0)
		return -1;
	if (text[length - 1] == '=')
		bytes -= text[length - 2] == '=' ? 2 : 1;
	if (bytes > size)
		return -1;
	buffer = palloc(length / 4 * 3);
	is_good = EVP_DecodeBlock(buffer, (const unsigned char *) text, (int) length) >= 0 &&
	          strncmp(note_base64(buffer, bytes), text, length) == 0;
	memcpy(out, buffer, bytes);
	pfree(buffer);
	return is_good ? (int) bytes : -1;
}

/* ---- the key file ---- */

#define KEY_FILE_HINT                                                                              \
	"Make a key with: openssl genpkey -algorithm ed25519 -out FILE; chmod 600 FILE. It must "      \
	"belong to the user that runs the server."

static NoteKeyFile
refuse(int elevel, const char *reason)
{
	ereport(elevel, (errcode(ERRCODE_CONFIG_FILE_ERROR),
	                 errmsg("the file of privacy_guard.checkpoint_key_file %s", reason),
	                 errhint(KEY_FILE_HINT)));
	return NOTE_KEY_REFUSED;
}

/* The file is opened first, so that what is checked is what is read; a pipe must not block that. */
static const char *
read_key_file(char *buffer, int *length)
{
	int fd = OpenTransientFile(guc_checkpoint_key_file, O_RDONLY | O_NONBLOCK);
	struct stat file;
	const char *fault;

	if (fd < 0)
		return "cannot be opened";
	fault = key_file_fault(fd, &file);
	if (fault == NULL && (*length = (int) read(fd, buffer, KEY_FILE_MAX)) <= 0)
		fault = "cannot be read";
	CloseTransientFile(fd);
	return fault;
}

static int
no_password(char *buffer, int size, int writing, void *arg)
{
	return 0;
}

static bool
parse_private_key(const char *pem, int length, NoteKey *out)
{
	BIO *bio = BIO_new_mem_buf(pem, length);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	size_t private_size = NOTE_KEY_SIZE;
	size_t public_size = NOTE_KEY_SIZE;
	bool is_good = pkey && EVP_PKEY_base_id(pkey) == EVP_PKEY_ED25519 &&
	               EVP_PKEY_get_raw_private_key(pkey, out->private_key, &private_size) == 1 &&
	               EVP_PKEY_get_raw_public_key(pkey, out->public_key, &public_size) == 1;

	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	return is_good;
}

NoteKeyFile
note_key_load(int elevel, NoteKey *out)
{
	char pem[KEY_FILE_MAX];
	int length = 0;
	const char *fault;
	bool is_good;

	if (guc_checkpoint_key_file == NULL || guc_checkpoint_key_file[0] == '\0')
		return NOTE_KEY_NONE;
	fault = read_key_file(pem, &length);
	is_good = fault == NULL && parse_private_key(pem, length, out);
	explicit_bzero(pem, sizeof(pem));
	if (fault != NULL)
		return refuse(elevel, fault);
	if (!is_good)
		return refuse(elevel, "does not hold an Ed25519 private key without a password");
	return NOTE_KEY_LOADED;
}

/* ---- public keys ---- */

/* NULL where the key is no key; to be freed. */
static EVP_PKEY *
public_pkey(const NoteKey *key)
{
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->public_key, NOTE_KEY_SIZE);
}

char *
note_key_pem(const NoteKey *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *pkey = public_pkey(key);
	char buffer[256];
	int length = 0;

	if (bio && pkey && PEM_write_bio_PUBKEY(bio, pkey) == 1)
		length = BIO_read(bio, buffer, sizeof(buffer));
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	if (length <= 0)
		elog(ERROR, "could not write a public key");
	return pnstrdup(buffer, length);
}

void
note_key_id(const NoteKey *key, const char *name, uint8 *id)
{
	Size name_length = strlen(name);
	uint8 *bytes = palloc(name_length + 2 + NOTE_KEY_SIZE);
	uint8 hash[EVP_MAX_MD_SIZE];

	memcpy(bytes, name, name_length);
	bytes[name_length] = '\n';
	bytes[name_length + 1] = SIGNATURE_TYPE_ED25519;
	memcpy(bytes + name_length + 2, key->public_key, NOTE_KEY_SIZE);
	if (EVP_Digest(bytes, name_length + 2 + NOTE_KEY_SIZE, hash, NULL, EVP_sha256(), NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	memcpy(id, hash, NOTE_KEY_ID_SIZE);
	pfree(bytes);
}

/* NAME+ID+KEY, as C2SP's tools take it. */
char *
note_key_verifier(const NoteKey *key, const char *name)
{
	uint8 typed[1 + NOTE_KEY_SIZE] = {SIGNATURE_TYPE_ED25519};
	uint8 id[NOTE_KEY_ID_SIZE];

	note_key_id(key, name, id);
	memcpy(typed + 1, key->public_key, NOTE_KEY_SIZE);
	return psprintf("%s+%02x%02x%02x%02x+%s", name, id[0], id[1], id[2], id[3],
	                note_base64(typed, sizeof(typed)));
}

static int
parse_pem(const char *text, NoteKey *out)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *pkey;
	int n = 0;

	while (bio && n >= 0 && n < NOTE_MAX_KEYS &&
	       (pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL)) != NULL)
	{
		size_t size = NOTE_KEY_SIZE;

		if (EVP_PKEY_base_id(pkey) == EVP_PKEY_ED25519 &&
		    EVP_PKEY_get_raw_public_key(pkey, out[n].public_key, &size) == 1)
			n++;
		else
			n = -1;
		EVP_PKEY_free(pkey);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n > 0 ? n : -1;
}

static bool
parse_verifier(const char *line, Size length, NoteKey *out)
{
	const char *id = memchr(line, '+', length);
	const char *key = id ? memchr(id + 1, '+', length - (id + 1 - line)) : NULL;
	uint8 typed[1 + NOTE_KEY_SIZE];

	if (key == NULL ||
	    note_unbase64(key + 1, length - (key + 1 - line), typed, sizeof(typed)) != sizeof(typed) ||
	    typed[0] != SIGNATURE_TYPE_ED25519)
		return false;
	memcpy(out->public_key, typed + 1, NOTE_KEY_SIZE);
	return strncmp(note_key_verifier(out, pnstrdup(line, id - line)), line, length) == 0;
}

int
note_keys_parse(const char *text, NoteKey *out)
{
	int n = 0;

	if (strstr(text, "-----BEGIN ") != NULL)
		return parse_pem(text, out);
	while (*text)
	{
		Size length = strcspn(text, " \t\r\n");

		if (length > 0 && (n == NOTE_MAX_KEYS || !parse_verifier(text, length, &out[n++])))
			return -1;
		text += length;
		text += strspn(text, " \t\r\n");
	}
	return n > 0 ? n : -1;
}

/* ---- signatures ---- */

void
note_key_sign(const NoteKey *key, const void *text, Size length, uint8 *signature)
{
	EVP_PKEY *pkey =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->private_key, NOTE_KEY_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = NOTE_SIGNATURE_SIZE;
	bool is_good = pkey && context && EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1 &&
	               EVP_DigestSign(context, signature, &size, text, length) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	if (!is_good)
		elog(ERROR, "could not sign with Ed25519");
}

bool
note_key_check(const NoteKey *key, const void *text, Size length, const uint8 *signature)
{
	EVP_PKEY *pkey = public_pkey(key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool is_good = pkey && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
	               EVP_DigestVerify(context, signature, NOTE_SIGNATURE_SIZE, text, length) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return is_good;
}
