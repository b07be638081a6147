/*
 * ship.c
 *		Getting checkpoints off the host: the server's log, a file, a command.
 *
 * The command runs beside the audit writer, which never waits for it: sessions wait for the writer.
 * State is of this process; only the writer starts commands.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "audit/ship.h"
#include "guc.h"

extern char **environ;

static pid_t command_pid = 0;
static char *command_note = NULL; /* what the command, or the last one that succeeded, was given */
static bool has_failed = false;   /* the last one, and its note is to be given again */

/* ---- log and file ---- */

static void
complain(const char *what)
{
	ereport(LOG, (errcode_for_file_access(), errmsg("could not %s the checkpoint file: %m", what),
	              errhint("Mend privacy_guard.checkpoint_file. The checkpoint is in table "
	                      "privacy_guard.audit_checkpoint.")));
}

/* One write, so that notes of several processes do not mix; an empty line ends each. */
static void
append_to_file(const char *path, const char *note)
{
	char *text = psprintf("%s\n", note);
	Size length = strlen(text);
	int fd =
	    OpenTransientFilePerm(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, S_IRUSR | S_IWUSR);

	if (fd < 0)
	{
		complain("open");
		return;
	}
	errno = 0;
	if (write(fd, text, length) != (ssize_t) length)
	{
		if (errno == 0)
			errno = ENOSPC;
		complain("write");
	}
	else if (pg_fsync(fd) != 0)
		complain("flush");
	if (CloseTransientFile(fd) != 0)
		complain("close");
	pfree(text);
}

void
ship_note(const char *note, int64 tree_size)
{
	ereport(LOG, (errmsg("audit log checkpoint of " INT64_FORMAT " records", tree_size),
	              errdetail("%s", note)));
	if (guc_checkpoint_file != NULL && guc_checkpoint_file[0] != '\0')
		append_to_file(guc_checkpoint_file, note);
}

/* ---- command ---- */

#define COMMAND_HINT                                                                               \
	"Mend privacy_guard.checkpoint_command. The checkpoint is kept and will be given to it again."

static void
set_note(const char *note)
{
	if (command_note != NULL)
		pfree(command_note);
	command_note = note ? MemoryContextStrdup(TopMemoryContext, note) : NULL;
	has_failed = note == NULL;
}

static void
reap(void)
{
	int status;
	pid_t pid;

	if (command_pid == 0)
		return;
	pid = waitpid(command_pid, &status, WNOHANG);
	if (pid == 0 || (pid < 0 && errno == EINTR))
		return;
	command_pid = 0;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	set_note(NULL);
	if (pid < 0)
		ereport(LOG, (errmsg("lost track of the checkpoint command: %m"), errhint(COMMAND_HINT)));
	else if (WIFEXITED(status))
		ereport(LOG,
		        (errmsg("the checkpoint command failed with exit code %d", WEXITSTATUS(status)),
		         errhint(COMMAND_HINT)));
	else
		ereport(LOG,
		        (errmsg("the checkpoint command was terminated by signal %d", WTERMSIG(status)),
		         errhint(COMMAND_HINT)));
}

bool
ship_is_pending(void)
{
	reap();
	return command_pid != 0 || has_failed;
}

/* The shell gets the note's pipe as its standard input, and no signal that the server ignores. */
static int
spawn_shell(const char *command, int input)
{
	char *arguments[] = {"sh", "-c", unconstify(char *, command), NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t all;
	sigset_t none;
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(&command_pid, "/bin/sh", &files, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* A note is far shorter than what a pipe holds, so writing it before anybody reads cannot block. */
static int
start_command(const char *command, const char *note)
{
	int ends[2];
	int error;

	if (pipe(ends) != 0)
		return errno;
	(void) fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	(void) fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	error = write(ends[1], note, strlen(note)) < 0 ? errno : spawn_shell(command, ends[0]);
	close(ends[0]);
	close(ends[1]);
	return error;
}

void
ship_to_command(const char *note)
{
	int error;

	reap();
	if (guc_checkpoint_command == NULL || guc_checkpoint_command[0] == '\0')
	{
		has_failed = false;
		return;
	}
	if (command_note != NULL && strcmp(command_note, note) == 0)
		return;
	if (command_pid != 0)
	{
		ereport(LOG, (errmsg("the checkpoint command still runs with an earlier checkpoint"),
		              errhint("Later checkpoints wait for it. Stop process %d, and mend "
		                      "privacy_guard.checkpoint_command.",
		                      (int) command_pid)));
		return;
	}
	error = start_command(guc_checkpoint_command, note);
	if (error != 0)
	{
		command_pid = 0;
		set_note(NULL);
		errno = error;
		ereport(LOG, (errmsg("could not start the checkpoint command: %m"), errhint(COMMAND_HINT)));
		return;
	}
	set_note(note);
}
