/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "progress.h"
#include "text.h"

#define MAX_OUTPUT  KIB(4) /* of what a program says; the last of it counts */
#define CANCEL_POLL 200    /* milliseconds */

extern char **environ;

void
pl_command_add(struct pl_command *c, const char *word)
{
	char **words = pl_realloc_array(c->words, c->nr + 2, sizeof *words);
	char *copy = strdup(word);

	c->words = words ? words : c->words;
	if (!words || !copy) {
		free(copy);
		c->failed = true;
		return;
	}
	words[c->nr++] = copy;
	words[c->nr] = NULL;
}

void
pl_command_addf(struct pl_command *c, const char *format, ...)
{
	struct pl_str word = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&word, format, args);
	va_end(args);
	if (word.text)
		pl_command_add(c, word.text);
	else
		c->failed = true;
	pl_str_done(&word);
}

const char *
pl_path_prefix(const char *path)
{
	return *path == '/' || *path == '.' ? "" : "./";
}

void
pl_command_add_path(struct pl_command *c, const char *path)
{
	pl_command_addf(c, "%s%s", pl_path_prefix(path), path);
}

void
pl_command_done(struct pl_command *c)
{
	for (size_t i = 0; i < c->nr; i++)
		free(c->words[i]);
	free(c->words);
	*c = (struct pl_command){ 0 };
}

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The path of a program, or NULL: malloc()ed. */
static char *
find_tool(const char *name)
{
	const char *path = getenv("PATH");
	PL_AUTOFREE char *folders =
		pl_format("%s:/usr/sbin:/sbin:/usr/local/sbin", path ? path : "/usr/bin:/bin");
	char *rest = NULL;

	for (char *folder = folders ? strtok_r(folders, ":", &rest) : NULL; folder;
	     folder = strtok_r(NULL, ":", &rest)) {
		char *full = pl_format("%s/%s", folder, name);

		if (full && is_program(full))
			return full;
		free(full);
	}
	return NULL;
}

bool
pl_tool_exists(const char *name)
{
	PL_AUTOFREE char *path = find_tool(name);

	return path != NULL;
}

/* The child's environment: ours, in English, with what the command adds; malloc()ed pointers. */
static char **
environment_of(const struct pl_command *c)
{
	static char language[] = "LC_ALL=C.UTF-8";
	size_t ours = 0, more = 0, n = 0;
	char **list;

	while (environ[ours])
		ours++;
	while (c->environment && c->environment[more])
		more++;
	list = calloc(ours + more + 2, sizeof *list);
	if (!list)
		return NULL;
	for (size_t i = 0; i < ours; i++)
		if (strncmp(environ[i], "LC_ALL=", 7))
			list[n++] = environ[i];
	list[n++] = language;
	for (size_t i = 0; i < more; i++)
		list[n++] = (char *)(uintptr_t)c->environment[i];
	return list;
}

/* Only what may be called between fork() and exec(). */
__attribute__((noreturn)) static void
become(const char *path, char **words, char **environment, int output)
{
	int null = open("/dev/null", O_RDONLY);

	/* A session of its own has no terminal; Ctrl-C comes through us then. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(127);
	execve(path, words, environment);
	_exit(127);
}

/* Keep the last MAX_OUTPUT bytes. */
static void
keep(char *said, size_t *n, const char *more, size_t length)
{
	if (*n + length > MAX_OUTPUT) {
		size_t drop = *n + length - MAX_OUTPUT;

		memmove(said, said + drop, *n - drop);
		*n -= drop;
	}
	memcpy(said + *n, more, length);
	*n += length;
}

/* Read what it says until it has closed its end. */
static bool
listen_to(int fd, pid_t child, const struct platter_progress *progress, char *said, size_t *n)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	bool cancelled = false;
	char buf[KIB(1)];

	for (;;) {
		int ready = poll(&poll_fd, 1, CANCEL_POLL);
		ssize_t got;

		if (!cancelled && pl_cancelled(progress)) {
			cancelled = true;
			kill(child, SIGTERM);
		}
		if (ready == 0 || (ready < 0 && errno == EINTR))
			continue;
		got = read(fd, buf, sizeof buf);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return cancelled;
		keep(said, n, buf, (size_t)got);
	}
}

/* The last lines of what it said, as one. */
static char *
last_words(char *said, size_t n)
{
	char *text, *at, *best;

	while (n && (said[n - 1] == '\n' || said[n - 1] == ' '))
		n--;
	said[n] = '\0';
	best = said;
	for (unsigned lines = 0; (at = strrchr(said, '\n')) && lines < 3; lines++) {
		best = at + 1;
		*at = ';';
	}
	text = pl_text_from_bytes(best, strlen(best));
	return text;
}

static int
judge(const struct pl_command *c, int status, char *said, size_t n, struct platter_error *err)
{
	PL_AUTOFREE char *words = NULL;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	words = last_words(said, n);
	if (WIFSIGNALED(status))
		return pl_fail(err, -EIO, "%s was ended by signal %d", c->words[0],
			       WTERMSIG(status));
	return pl_fail(err, -EIO, "%s failed with status %d: %s", c->words[0], WEXITSTATUS(status),
		       words && *words ? words : "it said nothing");
}

static int
run(const struct pl_command *c, const char *path, char **environment,
    struct platter_progress *progress, struct platter_error *err)
{
	char said[MAX_OUTPUT + 1];
	int ends[2], status = 0;
	size_t n = 0;
	bool cancelled;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return pl_fail_errno(err, -errno, "run %s", c->words[0]);
	child = fork();
	if (child == 0)
		become(path, c->words, environment, ends[1]);
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return pl_fail_errno(err, -errno, "run %s", c->words[0]);
	}
	cancelled = listen_to(ends[0], child, progress, said, &n);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return cancelled || pl_cancelled(progress) ? pl_fail(err, -ECANCELED, "cancelled")
						   : judge(c, status, said, n, err);
}

int
pl_command_run(struct pl_command *c, struct platter_progress *progress, struct platter_error *err)
{
	PL_AUTOFREE char **environment = NULL;
	PL_AUTOFREE char *path = NULL;
	int r;

	if (c->failed || !c->nr)
		return pl_no_memory(err);
	path = find_tool(c->words[0]);
	if (!path) {
		r = pl_fail(err, -ENOENT, "there is no program %s", c->words[0]);
		if (c->package)
			pl_hint(err, "install Debian's package %s", c->package);
		return r;
	}
	environment = environment_of(c);
	return environment ? run(c, path, environment, progress, err) : pl_no_memory(err);
}
