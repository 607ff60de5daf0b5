/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tool.h - other programs, run without a shell */
#ifndef PL_TOOL_H
#define PL_TOOL_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct platter_progress;

/* Words of a command line, owned by it; start from {0}. */
struct pl_command {
	char **words; /* NULL-terminated */
	size_t nr;
	bool failed;                    /* out of memory; pl_command_run() says so */
	const char *package;            /* Debian's, that the program is in */
	const char *const *environment; /* NAME=VALUE, NULL-terminated, beside ours; or NULL */
};
void pl_command_add(struct pl_command *c, const char *word);
void pl_command_addf(struct pl_command *c, const char *format, ...) PL_PRINTF(2, 3);
void pl_command_add_path(struct pl_command *c, const char *path); /* with pl_path_prefix() */
void pl_command_done(struct pl_command *c);

/*
 * "./" for a path that some program could take for something else, an option or a drive of DOS, "-x"
 * or "c:x"; else "".
 */
const char *pl_path_prefix(const char *path);

/*
 * Run it and wait; SIGTERM ends it when the work is cancelled, or when we are gone.  It has no
 * terminal that it could ask on.  What it says is shown only if it fails.  words[0] is looked for in PATH and in the folders of the administrator's programs.
 * Errors: -ENOENT: there is no such program, with the package to install as the hint; -EIO: it
 * ended with another status than 0, with the last of what it said; -ECANCELED; -ENOMEM.
 */
int pl_command_run(struct pl_command *c, struct platter_progress *progress,
		   struct platter_error *err);

/* Whether there is a program of this name. */
bool pl_tool_exists(const char *name);

#endif
