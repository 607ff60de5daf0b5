/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PASSED,
	FAILED,
	SKIPPED
};

static struct pl_test *tests;
static jmp_buf leave;
static char folder[64];

void
pl_test_register(struct pl_test *test)
{
	struct pl_test **end = &tests;

	while (*end)
		end = &(*end)->next;
	*end = test;
}

void
pl_test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	longjmp(leave, FAILED);
}

static char reason[256];

void
pl_test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	longjmp(leave, SKIPPED);
}

unsigned
pl_test_rounds(unsigned n)
{
	const char *is_long = getenv("PLATTER_LONG");

	return is_long && *is_long ? n : (n + 3) / 4;
}

const char *
pl_test_folder(void)
{
	if (!folder[0]) {
		snprintf(folder, sizeof folder, "/tmp/platter-test.XXXXXX");
		if (!mkdtemp(folder)) {
			perror(folder);
			exit(1);
		}
	}
	return folder;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int
main(int argc, char **argv)
{
	static volatile bool failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct pl_test *volatile t = tests; t; t = t->next) {
		if (argc > 1 && !strstr(t->name, argv[1]))
			continue;
		switch (setjmp(leave)) {
		case PASSED:
			t->run();
			printf("ok %s\n", t->name);
			break;
		case FAILED:
			printf("not ok %s\n", t->name);
			failed = true;
			break;
		default: printf("skip %s: %s\n", t->name, reason); break;
		}
		if (folder[0]) {
			nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
			folder[0] = '\0';
		}
	}
	return failed;
}
