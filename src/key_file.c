/*
 * key_file.c
 *		May a file that holds a secret be trusted?
 *
 * It is asked of a file that is open already, so that what is checked is what is read.
 */
#include "postgres.h"

#include <unistd.h>

#include "key_file.h"

const char *
key_file_fault(int fd, struct stat *file)
{
	if (fstat(fd, file) != 0)
		return "cannot be examined";
	if (!S_ISREG(file->st_mode))
		return "is not a regular file";
	if (file->st_uid != geteuid() && file->st_uid != 0)
		return "belongs to somebody else than the server's user or root";
	if (file->st_uid == geteuid() && (file->st_mode & (S_IRWXG | S_IRWXO)))
		return "is accessible to its group or to others";
	if (file->st_uid == 0 && (file->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)))
		return "can be written by its group or is accessible to others";
	return NULL;
}
