/* SPDX-License-Identifier: GPL-3.0-or-later */
/* passphrase.c - where the command takes pass phrases from */
#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <platter/secret.h>

#include "output.h"

#define VARIABLE "PLATTER_PASSPHRASE"

/* How often a person is asked. */
#define MAX_ATTEMPTS 3

struct phrase {
	char bytes[PLATTER_PASSPHRASE_MAX];
	int n; /* bytes, or negative errno; 0 with `known` unset: not asked yet */
	bool known;
};

/* One job may open an image several times: a file is read and a person asked once. */
static const struct arguments *arguments;
static struct phrase from_file;
static struct phrase typed;
static char *typed_for; /* the image that it is of */

static int
copy_phrase(const struct phrase *p, char *buf, size_t room)
{
	if (p->n < 0)
		return p->n;
	if ((size_t)p->n > room)
		return -EOVERFLOW;
	memcpy(buf, p->bytes, (size_t)p->n);
	return p->n;
}

/* Bytes up to the end of the line or of the file, one at a time: what follows may be another's. */
static int
read_line(int fd, char *buf, size_t room, volatile sig_atomic_t *stopped)
{
	size_t n = 0;

	for (;;) {
		char c;
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR && !(stopped && *stopped))
			continue;
		if (got < 0)
			return -errno;
		if (got == 0 || c == '\n')
			break;
		if (n == room)
			return -EOVERFLOW;
		buf[n++] = c;
	}
	if (n && buf[n - 1] == '\r')
		n--;
	return (int)n;
}

static int
read_file(const char *path, struct phrase *ret)
{
	int fd = !strcmp(path, "-") ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	ret->n = read_line(fd, ret->bytes, sizeof ret->bytes, NULL);
	if (fd != STDIN_FILENO)
		close(fd);
	return ret->n;
}

static int
ask_file(const char *path, char *buf, size_t room)
{
	if (!from_file.known) {
		from_file.known = true;
		from_file.n = read_file(path, &from_file);
		if (from_file.n < 0)
			say(stderr, "platter: cannot read a pass phrase from '%s': %s", path,
			    strerror(-from_file.n));
	}
	return copy_phrase(&from_file, buf, room);
}

static int
ask_environment(const char *text, char *buf, size_t room)
{
	size_t n = strlen(text);

	if (n > room)
		return -EOVERFLOW;
	memcpy(buf, text, n);
	return (int)n;
}

static volatile sig_atomic_t caught;

static void catch (int signal)
{
	caught = signal;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

/* A line from the terminal that does not show; a signal finds the terminal as it was. */
static int
read_hidden(int fd, char *buf, size_t room)
{
	struct sigaction action = { .sa_handler = catch }, earlier[ARRAY_SIZE(signals)];
	struct termios shown, hidden;
	int n;

	if (tcgetattr(fd, &shown) < 0)
		return -ENOKEY;
	caught = 0;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, &earlier[i]);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(fd, TCSAFLUSH, &hidden);
	n = read_line(fd, buf, room, &caught);
	tcsetattr(fd, TCSAFLUSH, &shown);
	dprintf(fd, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &earlier[i], NULL);
	if (caught)
		raise(caught);
	return caught ? -ECANCELED : n;
}

static int
prompt(int fd, const char *question, const char *what, struct phrase *ret)
{
	say_to_fd(fd, "%s '%s': ", question, what);
	ret->n = read_hidden(fd, ret->bytes, sizeof ret->bytes);
	ret->known = ret->n >= 0;
	return ret->n;
}

/* The same is typed again: 1, or 0: something else is; or negative errno. */
static int
confirm(int fd, const char *what)
{
	struct phrase again = { 0 };
	int n = prompt(fd, "Once more, the pass phrase for", what, &again);
	bool same = n >= 0 && n == typed.n && !memcmp(again.bytes, typed.bytes, (size_t)n);

	explicit_bzero(&again, sizeof again);
	return n < 0 ? n : same;
}

/*
 * One that is to be new is typed twice: nobody could read the image if it were mistyped.  One that
 * is not confirmed is forgotten.
 */
static int
prompt_new(int fd, const char *what)
{
	int r = 0;

	for (unsigned attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
		r = prompt(fd, "New pass phrase for", what, &typed);
		if (r >= 0)
			r = confirm(fd, what);
		if (r > 0)
			return typed.n;
		explicit_bzero(&typed, sizeof typed);
		if (r < 0)
			return r;
		dprintf(fd, "They are not the same.\n");
	}
	return -ECANCELED;
}

static int
ask_person(const struct platter_passphrase_request *request, char *buf, size_t room)
{
	bool same = typed_for && !strcmp(typed_for, request->what);
	int fd, n;

	if (request->attempt == 1 && same && typed.known)
		return copy_phrase(&typed, buf, room);
	if (request->attempt > MAX_ATTEMPTS)
		return -ENOKEY;
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -ENOKEY;
	free(typed_for);
	typed_for = strdup(request->what);
	if (request->attempt > 1)
		dprintf(fd, "This is not it.\n");
	n = request->is_new ? prompt_new(fd, request->what)
			    : prompt(fd, "Pass phrase of", request->what, &typed);
	close(fd);
	return n < 0 ? n : copy_phrase(&typed, buf, room);
}

/* A file and the environment have one answer, which does not get better by asking again. */
static int
provide(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	const struct option_value *file = &arguments->option[OPT_PASSPHRASE_FILE];
	const char *variable = getenv(VARIABLE);

	(void)closure;
	if (!file->given && !variable)
		return ask_person(request, buf, room);
	if (request->attempt > 1)
		return -ENOKEY;
	return file->given ? ask_file(file->text, buf, room) : ask_environment(variable, buf, room);
}

/* Also with what follows it: "-?format=raw", "-@1". */
static bool
is_standard_input(const char *place)
{
	return place[0] == '-' && (!place[1] || place[1] == '?' || place[1] == '@');
}

int
passphrase_begin(const struct arguments *args)
{
	const struct option_value *file = &args->option[OPT_PASSPHRASE_FILE];

	for (size_t i = 0; file->given && !strcmp(file->text, "-") && i < args->nr_operands; i++)
		if (is_standard_input(args->operands[i])) {
			report_usage(args,
				     "standard input cannot be both a disk and a pass phrase");
			return -1;
		}
	arguments = args;
	platter_set_passphrase_provider(provide, NULL);
	return 0;
}

void
passphrase_end(void)
{
	platter_set_passphrase_provider(NULL, NULL);
	explicit_bzero(&from_file, sizeof from_file);
	explicit_bzero(&typed, sizeof typed);
	free(typed_for);
	typed_for = NULL;
}
