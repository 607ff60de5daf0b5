/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include <platter/text.h>

/*
 * Decode the UTF-8 character at `s` (at least 1 byte before its NUL).  Returns its
 * length, or 0 if it is no well-formed one.
 */
static size_t
decode_utf8(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t c;

	if (n == 0 || s[0] >= 0xf8)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Controls, and the characters that reorder text: a name must not disguise itself. */
static bool
is_printable(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

_Noreturn static void
die_of_memory(void)
{
	fputs("platter: out of memory\n", stderr);
	exit(STATUS_FAILED);
}

char *
format_text(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		die_of_memory();
	return text;
}

char *
text_of(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	return text;
}

void *
grown(void *p, size_t nr, size_t size)
{
	p = reallocarray(p, nr, size);
	if (!p)
		die_of_memory();
	return p;
}

/* Bytes from the start of `s` on that can be printed as they are. */
static size_t
printable_bytes(const unsigned char *s)
{
	size_t at = 0;

	while (s[at]) {
		uint32_t c = s[at];
		size_t n = c < 0x80 ? 1 : decode_utf8(s + at, &c);

		if (!n || !is_printable(c))
			break;
		at += n;
	}
	return at;
}

static void
put_printable(FILE *to, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t good = printable_bytes(s), bad;
		uint32_t c;

		fwrite(s, 1, good, to);
		s += good;
		bad = *s ? decode_utf8(s, &c) : 0;
		bad = *s && !bad ? 1 : bad;
		for (size_t i = 0; i < bad; i++)
			fprintf(to, "\\x%02x", s[i]);
		s += bad;
	}
}

void
say_text(FILE *to, const char *text)
{
	put_printable(to, text);
	putc('\n', to);
}

void
say(FILE *to, const char *format, ...)
{
	AUTOFREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	say_text(to, text);
}

void
say_to_fd(int fd, const char *format, ...)
{
	AUTOFREE char *text = NULL, *printable = NULL;
	size_t n;
	va_list args;
	FILE *to;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	to = open_memstream(&printable, &n);
	if (!to)
		die_of_memory();
	put_printable(to, text);
	if (fclose(to) != 0)
		die_of_memory();
	dprintf(fd, "%s", printable);
}

void
ask(FILE *to, const char *format, ...)
{
	AUTOFREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	put_printable(to, text);
	fflush(to);
}

struct size_text
size_text(uint64_t bytes)
{
	struct size_text t;

	platter_format_size(bytes, t.text, sizeof t.text);
	return t;
}

struct exact_text
exact_size_text(uint64_t bytes)
{
	struct exact_text t;

	if (bytes < 1024)
		snprintf(t.text, sizeof t.text, "%" PRIu64 " %s", bytes,
			 bytes == 1 ? "byte" : "bytes");
	else
		snprintf(t.text, sizeof t.text, "%s (%" PRIu64 " bytes)", size_text(bytes).text,
			 bytes);
	return t;
}

struct count_text
count_text(uint64_t n, const char *singular, const char *plural)
{
	struct count_text t;

	snprintf(t.text, sizeof t.text, "%" PRIu64 " %s", n, n == 1 ? singular : plural);
	return t;
}

struct count_text
duration_text(double seconds)
{
	struct count_text t;
	unsigned long s = seconds < 0     ? 0
			  : seconds > 1e9 ? 1000000000
					  : (unsigned long)(seconds + 0.5);

	if (seconds < 10)
		snprintf(t.text, sizeof t.text, "%.1f s", seconds < 0 ? 0 : seconds);
	else if (s < 60)
		snprintf(t.text, sizeof t.text, "%lu s", s);
	else if (s < 3600)
		snprintf(t.text, sizeof t.text, "%lu min %lu s", s / 60, s % 60);
	else
		snprintf(t.text, sizeof t.text, "%lu h %lu min", s / 3600, s / 60 % 60);
	return t;
}

struct count_text
time_text(int64_t seconds)
{
	struct count_text t;
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || !strftime(t.text, sizeof t.text, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(t.text, sizeof t.text, "%" PRId64 " s since 1970", seconds);
	return t;
}

const char *
article(const char *word)
{
	/*
	 * Capitals are spelled, unless a vowel follows the first: an MBR, an NTFS file system
	 * and a UDF one, but a FAT32 one.  The letters are those whose names begin with a vowel.
	 */
	bool spelled = word[0] >= 'A' && word[0] <= 'Z' && word[1] >= 'A' && word[1] <= 'Z' &&
		       !strchr("AEIOU", word[1]);

	return word[0] && strchr(spelled ? "AEFHILMNORSX" : "AEIOUaeiou", word[0]) ? "an" : "a";
}

unsigned
line_width(FILE *to)
{
	struct winsize size;

	if (ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		return size.ws_col;
	return 80;
}

bool
locale_is_utf8(void)
{
	static int answer = -1;

	/* Asked only by what draws: loading a locale takes longer than a small create. */
	if (answer < 0) {
		setlocale(LC_CTYPE, "");
		answer = !strcmp(nl_langinfo(CODESET), "UTF-8");
	}
	return answer;
}

static unsigned
char_width(uint32_t c)
{
	int w = locale_is_utf8() ? wcwidth((wchar_t)c) : 1;

	return w < 0 ? 1 : (unsigned)w;
}

/* Bytes and columns of what say() makes of the character at `s`. */
static size_t
shown_width(const unsigned char *s, size_t *ret_bytes)
{
	uint32_t c;
	size_t n = decode_utf8(s, &c);

	*ret_bytes = n ? n : 1;
	return n && is_printable(c) ? char_width(c) : 4 * *ret_bytes;
}

size_t
text_width(const char *text)
{
	size_t width = 0, n;

	for (const unsigned char *s = (const unsigned char *)text; *s; s += n)
		width += shown_width(s, &n);
	return width;
}

void
table_init(struct table *t, const char *const *headings, size_t nr_columns)
{
	*t = (struct table){ .nr_columns = nr_columns, .headings = headings };
}

void
table_cell(struct table *t, const char *format, ...)
{
	va_list args;

	if (t->nr_cells % 64 == 0)
		t->cells = grown(t->cells, t->nr_cells + 64, sizeof *t->cells);
	va_start(args, format);
	t->cells[t->nr_cells++] = format_text(format, args);
	va_end(args);
}

static const char *
heading_text(const struct table *t, size_t column)
{
	return t->headings[column] + (t->headings[column][0] == '>');
}

/* 0: nothing stands in the column. */
static size_t
column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->nr_cells; i += t->nr_columns)
		if (text_width(t->cells[i]) > width)
			width = text_width(t->cells[i]);
	if (width && text_width(heading_text(t, column)) > width)
		width = text_width(heading_text(t, column));
	return width;
}

/* `cells` NULL: the headings. */
static void
print_row(const struct table *t, FILE *to, const char *indent, const size_t *widths, char **cells)
{
	size_t owed = 0; /* spaces to the next text: none end a line */

	fputs(indent, to);
	for (size_t c = 0; c < t->nr_columns; c++) {
		const char *text = cells ? cells[c] : heading_text(t, c);
		size_t pad = widths[c] ? widths[c] - text_width(text) : 0;

		if (!widths[c])
			continue;
		if (t->headings[c][0] == '>')
			owed += pad;
		if (*text) {
			fprintf(to, "%*s", (int)owed, "");
			put_printable(to, text);
			owed = 0;
		}
		if (t->headings[c][0] != '>')
			owed += pad;
		owed += 2;
	}
	putc('\n', to);
}

static bool
has_headings(const struct table *t)
{
	for (size_t c = 0; c < t->nr_columns; c++)
		if (*heading_text(t, c))
			return true;
	return false;
}

void
table_print(struct table *t, FILE *to, const char *indent)
{
	size_t *widths = grown(NULL, t->nr_columns, sizeof *widths);

	for (size_t c = 0; c < t->nr_columns; c++)
		widths[c] = column_width(t, c);
	if (has_headings(t))
		print_row(t, to, indent, widths, NULL);
	for (size_t i = 0; i + t->nr_columns <= t->nr_cells; i += t->nr_columns)
		print_row(t, to, indent, widths, t->cells + i);
	for (size_t i = 0; i < t->nr_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(widths);
	table_init(t, t->headings, t->nr_columns);
}

static int
by_offset(const void *a, const void *b)
{
	const struct bar_part *p = a, *q = b;

	return p->offset < q->offset ? -1 : p->offset > q->offset;
}

/* The end of the disk, or of what claims to lie past it: a disk may be cut short. */
static uint64_t
furthest_end(uint64_t size, const struct bar_part *parts, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t end;

		if (__builtin_add_overflow(parts[i].offset, parts[i].length, &end))
			end = UINT64_MAX;
		size = end > size ? end : size;
	}
	return size;
}

/* Drop the shortest part, so that the others can be told apart. */
static size_t
drop_shortest(struct bar_part *parts, size_t nr)
{
	size_t shortest = 0;

	for (size_t i = 1; i < nr; i++)
		if (parts[i].length < parts[shortest].length)
			shortest = i;
	free(parts[shortest].label);
	memmove(parts + shortest, parts + shortest + 1, (nr - shortest - 1) * sizeof *parts);
	return nr - 1;
}

/* The first `width` columns of `label`, padded to them. */
static void
put_cut(FILE *to, const char *label, size_t width)
{
	const unsigned char *s = (const unsigned char *)label;
	size_t n;

	for (; *s && shown_width(s, &n) <= width; s += n) {
		char one[8] = { 0 };

		memcpy(one, s, n);
		put_printable(to, one);
		width -= shown_width(s, &n);
	}
	fprintf(to, "%*s", (int)width, "");
}

/*
 * Columns of each part: one and the number's own each, the rest in proportion.  What
 * rounding leaves goes to the longest.
 */
static void
share_columns(const struct bar_part *parts, size_t nr, uint64_t size, size_t columns,
	      size_t *widths)
{
	size_t left = columns - 2 * nr, given = 0, longest = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t w = (size_t)((double)left * ((double)parts[i].length / (double)size));

		w = w < left - given ? w : left - given;
		widths[i] = 2 + w;
		given += w;
		if (parts[i].length > parts[longest].length)
			longest = i;
	}
	widths[longest] += left - given;
}

void
bar_print(FILE *to, const char *indent, uint64_t size, struct bar_part *parts, size_t nr)
{
	const char *wall = locale_is_utf8() ? "│" : "|", *nothing = locale_is_utf8() ? "·" : ".";
	size_t width = line_width(to);
	size_t widths[64];

	width = (width > 100 ? 100 : width) - strlen(indent) - 1;
	qsort(parts, nr, sizeof *parts, by_offset);
	/* A part takes two columns and a wall at least. */
	while (nr > ARRAY_SIZE(widths) || (nr > 1 && 3 * nr + 1 > width))
		nr = drop_shortest(parts, nr);
	if (nr && size)
		share_columns(parts, nr, furthest_end(size, parts, nr), width - nr - 1, widths);
	else
		goto done;
	fprintf(to, "%s%s", indent, wall);
	for (size_t i = 0; i < nr; i++) {
		if (parts[i].label)
			put_cut(to, parts[i].label, widths[i]);
		else
			for (size_t n = 0; n < widths[i]; n++)
				fputs(nothing, to);
		fputs(wall, to);
	}
	putc('\n', to);
done:
	for (size_t i = 0; i < nr; i++)
		free(parts[i].label);
	free(parts);
}

char *
shell_quoted(const char *word)
{
	char *quoted, *to;

	if (*word && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789%+,-./:=@_")] == '\0')
		return text_of("%s", word);
	quoted = to = grown(NULL, strlen(word) + 1, 4);
	*to++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *word;
	}
	strcpy(to, "'");
	return quoted;
}

/* Names of the codes that platter/error.h promises, as errno.h spells them. */
static const char *
code_name(int code)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {
		{ EUCLEAN, "EUCLEAN" },     { ENOTSUP, "ENOTSUP" },
		{ EFBIG, "EFBIG" },         { EIO, "EIO" },
		{ ENOENT, "ENOENT" },       { EACCES, "EACCES" },
		{ EPERM, "EPERM" },         { EBUSY, "EBUSY" },
		{ ENOSPC, "ENOSPC" },       { EROFS, "EROFS" },
		{ EEXIST, "EEXIST" },       { ECANCELED, "ECANCELED" },
		{ EINVAL, "EINVAL" },       { ENOMEM, "ENOMEM" },
		{ ERANGE, "ERANGE" },       { EILSEQ, "EILSEQ" },
		{ EISDIR, "EISDIR" },       { ENOTDIR, "ENOTDIR" },
		{ ENODEV, "ENODEV" },       { ENXIO, "ENXIO" },
		{ ELOOP, "ELOOP" },         { EMFILE, "EMFILE" },
		{ EPIPE, "EPIPE" },         { ENAMETOOLONG, "ENAMETOOLONG" },
		{ ENOMEDIUM, "ENOMEDIUM" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].code == -code)
			return names[i].name;
	return "EOTHER";
}

static void
say_details(const struct platter_error *err)
{
	if (err->offset != PLATTER_NO_OFFSET && err->place[0])
		say(stderr, "  where: byte 0x%" PRIx64 " of '%s'", err->offset, err->place);
	else if (err->offset != PLATTER_NO_OFFSET)
		say(stderr, "  where: byte 0x%" PRIx64, err->offset);
	if (err->hint[0])
		say(stderr, "  try:   %s", err->hint);
}

int
report_kept(const struct arguments *args, const struct platter_error *err, const char *context,
	    const char *kept, const char *command)
{
	if (args->json) {
		json_t *answer = json_answer(args), *error = json_error(err, context);

		if (kept)
			json_put(error, "kept", json_text(kept));
		if (command)
			json_put(error, "resume", json_text(command));
		json_put(answer, "error", error);
		json_print(answer, stdout);
		return STATUS_FAILED;
	}
	/* What was said so far comes first, also where both go to one file. */
	fflush(stdout);
	say(stderr, "platter: %s: %s", context, err->message);
	say_details(err);
	if (kept)
		say(stderr, "  kept:  '%s' holds what was written so far", kept);
	if (command)
		say(stderr, "  go on: %s", command);
	return STATUS_FAILED;
}

int
report(const struct arguments *args, const struct platter_error *err, const char *format, ...)
{
	AUTOFREE char *context = NULL;
	va_list ap;

	va_start(ap, format);
	context = format_text(format, ap);
	va_end(ap);
	return report_kept(args, err, context, NULL, NULL);
}

int
report_usage(const struct arguments *args, const char *format, ...)
{
	struct platter_error err = { .code = -EINVAL, .offset = PLATTER_NO_OFFSET };
	const char *verb = args->verb ? args->verb->name : NULL;
	va_list ap;

	va_start(ap, format);
	vsnprintf(err.message, sizeof err.message, format, ap);
	va_end(ap);
	snprintf(err.hint, sizeof err.hint, "platter %s%s--help", verb ? verb : "",
		 verb ? " " : "");
	if (args->json) {
		json_t *answer = json_answer(args);

		json_put(answer, "error", json_error(&err, NULL));
		json_print(answer, stdout);
		return STATUS_USAGE;
	}
	say(stderr, "platter: %s%s%s", verb ? verb : "", verb ? ": " : "", err.message);
	say_details(&err);
	return STATUS_USAGE;
}

json_t *
json_answer(const struct arguments *args)
{
	json_t *answer = json_object(), *version = json_object();

	json_put(version, "schema", json_integer(1));
	json_put(version, "command", json_text(args->verb ? args->verb->name : NULL));
	json_put(answer, "platter", version);
	return answer;
}

void
json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		die_of_memory();
}

json_t *
json_text(const char *text)
{
	json_t *value;
	char *clean, *to;

	if (!text)
		return json_null();
	value = json_string(text);
	if (value)
		return value;
	clean = to = grown(NULL, strlen(text) + 1, 3);
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		uint32_t c;
		size_t n = decode_utf8(s, &c);

		to = n ? mempcpy(to, s, n) : mempcpy(to, "\xef\xbf\xbd", 3);
		s += n ? n : 1;
	}
	*to = '\0';
	value = json_string(clean);
	free(clean);
	return value;
}

json_t *
json_number(uint64_t n)
{
	char digits[24];

	if (n == UINT64_MAX)
		return json_null();
	if (n <= INT64_MAX)
		return json_integer((json_int_t)n);
	snprintf(digits, sizeof digits, "%" PRIu64, n);
	return json_string(digits);
}

json_t *
json_error(const struct platter_error *err, const char *context)
{
	json_t *error = json_object();

	json_put(error, "code", json_text(code_name(err->code)));
	json_put(error, "context", json_text(context));
	json_put(error, "message", json_text(err->message));
	json_put(error, "place", json_text(err->place[0] ? err->place : NULL));
	json_put(error, "offset", json_number(err->offset));
	json_put(error, "hint", json_text(err->hint[0] ? err->hint : NULL));
	return error;
}

static json_t *
fact_value(const struct platter_fact *fact)
{
	switch (fact->type) {
	case PLATTER_FACT_TEXT: return json_text(fact->text);
	case PLATTER_FACT_FLAG: return json_boolean(fact->number != 0);
	case PLATTER_FACT_TIME: return json_integer((json_int_t)fact->number);
	default: return json_number(fact->number);
	}
}

json_t *
json_facts(const struct platter_facts *facts)
{
	json_t *object = json_object();

	for (size_t i = 0; i < facts->nr_facts; i++) {
		const char *key = facts->facts[i].key;
		json_t *value = fact_value(&facts->facts[i]),
		       *earlier = json_object_get(object, key);

		if (json_is_array(earlier)) {
			json_array_append_new(earlier, value);
		} else if (earlier) {
			json_put(object, key, json_pack("[O,o]", earlier, value));
		} else {
			json_put(object, key, value);
		}
	}
	return object;
}

json_t *
json_hashes(const struct platter_hash *hashes, size_t nr)
{
	json_t *object = json_object();

	for (size_t i = 0; i < nr; i++)
		json_put(object, hashes[i].name, json_text(hashes[i].hex));
	return object;
}

void
json_print(json_t *answer, FILE *to)
{
	AUTOFREE char *text = json_dumps(answer, JSON_INDENT(2) | JSON_REAL_PRECISION(9));

	if (!text)
		die_of_memory();
	fputs(text, to);
	putc('\n', to);
	json_decref(answer);
}
