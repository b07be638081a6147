/*
 * purpose_path.h
 *		Dotted names of purposes, such as marketing.email.
 *
 * A path is 1 to 16 labels joined by dots, at most 255 bytes. A label is a lower-case ASCII letter
 * followed by up to 62 lower-case letters, digits or underscores. Paths are compared byte by byte,
 * so an ancestor sorts before everything below it.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#ifndef PRIVACY_GUARD_PURPOSE_PATH_H
#define PRIVACY_GUARD_PURPOSE_PATH_H

#define PURPOSE_PATH_MAX_BYTES 255
#define PURPOSE_PATH_MAX_LABELS 16
#define PURPOSE_LABEL_MAX_BYTES 63

extern bool purpose_path_is_valid(const char *path, int len);

/* Raises 22P02, with a hint, unless the path is valid. Never quotes it. */
extern void purpose_path_check(const char *path, int len);

/* A channel or a recipient: one label, in which '-' is allowed after the first letter. */
extern bool purpose_path_is_label(const char *label, int len);

/*
 * Length of the parent's path, which is a prefix of the child's; 0 for a path of one label. Walk
 * the ancestors with: for (n = purpose_path_parent(p, len); n > 0; n = purpose_path_parent(p, n))
 */
static inline int
purpose_path_parent(const char *path, int len)
{
	while (len > 0 && path[--len] != '.')
		;
	return len;
}

/* Like memcmp, with the shorter of two equal prefixes first. */
static inline int
purpose_path_compare(const char *left, int left_len, const char *right, int right_len)
{
	int common = Min(left_len, right_len);
	int order = common > 0 ? memcmp(left, right, common) : 0;

	return order != 0 ? order : left_len - right_len;
}

#endif /* PRIVACY_GUARD_PURPOSE_PATH_H */
