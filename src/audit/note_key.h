/*
 * note_key.h
 *		Ed25519 keys that sign checkpoints, and their public halves that check them.
 */
#ifndef PRIVACY_GUARD_NOTE_KEY_H
#define PRIVACY_GUARD_NOTE_KEY_H

#include "postgres.h"

#define NOTE_KEY_SIZE 32
#define NOTE_KEY_ID_SIZE 4
#define NOTE_SIGNATURE_SIZE 64

typedef struct NoteKey
{
	uint8 public_key[NOTE_KEY_SIZE];
	uint8 private_key[NOTE_KEY_SIZE]; /* of the key that signs */
} NoteKey;

typedef enum NoteKeyFile
{
	NOTE_KEY_NONE,    /* no file is configured */
	NOTE_KEY_REFUSED, /* said why, with elevel */
	NOTE_KEY_LOADED
} NoteKeyFile;

/* The private key of privacy_guard.checkpoint_key_file. */
extern NoteKeyFile note_key_load(int elevel, NoteKey *out);

/* Public keys, in PEM or as verifier keys, in any number; -1 when the text holds none or others. */
#define NOTE_MAX_KEYS 16
extern int note_keys_parse(const char *text, NoteKey *out);

/* The two forms in which the public half is given away. */
extern char *note_key_pem(const NoteKey *key);
extern char *note_key_verifier(const NoteKey *key, const char *name);

/* What names the key in a signature line. */
extern void note_key_id(const NoteKey *key, const char *name, uint8 *id);

extern void note_key_sign(const NoteKey *key, const void *text, Size length, uint8 *signature);
extern bool note_key_check(const NoteKey *key, const void *text, Size length,
                           const uint8 *signature);

/* Base64 with padding. Decode returns -1 for what is not, or is longer than size. */
extern char *note_base64(const void *bytes, Size length);
extern int note_unbase64(const char *text, Size length, uint8 *out, Size size);

#endif
