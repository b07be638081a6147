/*
 * key_file.h
 *		May a file that holds a secret be trusted?
 */
#ifndef PRIVACY_GUARD_KEY_FILE_H
#define PRIVACY_GUARD_KEY_FILE_H

#include <sys/stat.h>

/*
 * What is wrong with an open file, to complete "the file ..."; NULL where nothing is, by the rule
 * for the server's own ssl_key_file.  Fills in its status.
 */
extern const char *key_file_fault(int fd, struct stat *file);

#endif
