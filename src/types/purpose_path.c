/*
 * purpose_path.c
 *		Syntax of purposes, channels and recipients.
 *
 * Copyright (c) 2026, privacy_guard contributors
 */
#include "postgres.h"

#include "types/purpose_path.h"

static inline bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static inline bool
is_label_rest(char c)
{
	return is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

bool
purpose_path_is_valid(const char *path, int len)
{
	int labels = 1;
	int label_len = 0;

	if (len < 1 || len > PURPOSE_PATH_MAX_BYTES)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (path[i] == '.')
		{
			if (label_len == 0 || ++labels > PURPOSE_PATH_MAX_LABELS)
				return false;
			label_len = 0;
			continue;
		}
		if (label_len == 0 ? !is_lower(path[i]) : !is_label_rest(path[i]))
			return false;
		if (++label_len > PURPOSE_LABEL_MAX_BYTES)
			return false;
	}
	return label_len > 0;
}

void
purpose_path_check(const char *path, int len)
{
	if (!purpose_path_is_valid(path, len))
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid purpose path"),
		         errhint("A purpose is up to 16 labels joined by dots, at most 255 bytes; each "
		                 "label is a lower-case letter followed by up to 62 lower-case letters, "
		                 "digits or underscores.")));
}

bool
purpose_path_is_label(const char *label, int len)
{
	if (len < 1 || len > PURPOSE_LABEL_MAX_BYTES || !is_lower(label[0]))
		return false;
	for (int i = 1; i < len; i++)
	{
		if (!is_label_rest(label[i]) && label[i] != '-')
			return false;
	}
	return true;
}
