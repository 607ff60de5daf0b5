/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * output.h - what the command says: lines, sizes, tables, bars, errors, JSON
 *
 * Names and messages may hold bytes from hostile images and file systems.  Everything
 * for people goes through say(), which lets no control character and no broken UTF-8
 * reach the terminal.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdarg.h>
#include <stdio.h>

#include <jansson.h>
#include <platter/describe.h>

#include "options.h"

#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* One line; a newline inside it is shown as \x0a. */
void say(FILE *to, const char *format, ...) PRINTF(2, 3);
/* The same without its end: a question, whose answer stands behind it. */
void ask(FILE *to, const char *format, ...) PRINTF(2, 3);

/* The same of a text that is not to be formatted: for lists that are long. */
void say_text(FILE *to, const char *text);

/* The same without the end of the line, on a file descriptor: a question. */
void say_to_fd(int fd, const char *format, ...) PRINTF(2, 3);

/* Formatted text to be freed with free(); leaves the program when out of memory. */
char *text_of(const char *format, ...) PRINTF(1, 2);
char *format_text(const char *format, va_list args) PRINTF(1, 0);

/* realloc() of `nr` elements of `size` bytes; leaves the program when out of memory. */
void *grown(void *p, size_t nr, size_t size);

#define AUTOFREE __attribute__((cleanup(autofree)))
static inline void
autofree(void *p)
{
	free(*(void **)p);
}

/* "4.0 GiB". */
struct size_text {
	char text[24];
};
struct size_text size_text(uint64_t bytes);

/* "4.0 GiB (4294967296 bytes)"; below 1 KiB the bytes alone. */
struct exact_text {
	char text[64];
};
struct exact_text exact_size_text(uint64_t bytes);

/* "1 partition", "3 partitions". */
struct count_text {
	char text[64];
};
struct count_text count_text(uint64_t n, const char *singular, const char *plural);

/* "3.4 s", "2 min 5 s", "1 h 20 min". */
struct count_text duration_text(double seconds);

/* 2026-11-22 18:02:36 UTC */
struct count_text time_text(int64_t seconds);

/* "a" or "an", as the word that follows is spoken: "a QCOW2 image", "an ext4 file system". */
const char *article(const char *word);

/* Columns that a line of output may take: the terminal's, or 80. */
unsigned line_width(FILE *to);

/* True if the locale's characters are UTF-8: bars may be drawn with line-drawing characters. */
bool locale_is_utf8(void);

/* Columns that `text` takes on a terminal. */
size_t text_width(const char *text);

/*
 * A table with aligned columns.  table_cell() fills it row by row; columns without
 * any content are left out.
 */
struct table {
	size_t nr_columns;
	const char *const *headings; /* one that begins with '>' is aligned to the right */
	char **cells;
	size_t nr_cells;
};
void table_init(struct table *t, const char *const *headings, size_t nr_columns);
void table_cell(struct table *t, const char *format, ...) PRINTF(2, 3);
void table_print(struct table *t, FILE *to, const char *indent); /* and empties it */

/* What is drawn of one stretch of a disk, in proportion to its length. */
struct bar_part {
	uint64_t offset, length;
	char *label; /* cut to what fits; NULL: free space */
};
/* Takes `parts` and their labels, which are from malloc(). */
void bar_print(FILE *to, const char *indent, uint64_t size, struct bar_part *parts, size_t nr);

/* A word as a shell takes it, quoted where it must be; to be freed. */
char *shell_quoted(const char *word);

/*
 * Report a failure: "platter: CONTEXT: MESSAGE" on standard error, with the place and
 * the hint below; with --json an object on standard output.  Returns STATUS_FAILED.
 */
int report(const struct arguments *args, const struct platter_error *err, const char *format, ...)
	PRINTF(3, 4);

/*
 * The same for work that can go on where it stopped: `kept` is the unfinished file, or
 * NULL; `command` the command line that goes on, or NULL.
 */
int report_kept(const struct arguments *args, const struct platter_error *err, const char *context,
		const char *kept, const char *command);

/* The same for a wrong command line; `args` may lack a verb.  Returns STATUS_USAGE. */
int report_usage(const struct arguments *args, const char *format, ...) PRINTF(2, 3);

/* JSON.  Objects keep the order in which members are added. */
json_t *json_answer(const struct arguments *args);             /* with its "platter" member */
void json_put(json_t *object, const char *key, json_t *value); /* takes `value` */
json_t *json_text(const char *text); /* NULL: null; bytes that are no UTF-8: U+FFFD */
json_t *json_number(uint64_t n);     /* UINT64_MAX: null; past 2^63: a decimal string */
json_t *json_error(const struct platter_error *err, const char *context);
json_t *json_facts(const struct platter_facts *facts);
json_t *json_hashes(const struct platter_hash *hashes, size_t nr);
void json_print(json_t *answer, FILE *to); /* and releases it */

#endif
