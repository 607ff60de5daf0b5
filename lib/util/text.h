/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text.h - growing strings, encodings, sizes and identifiers as text */
#ifndef PL_TEXT_H
#define PL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A growing string.  Start from {0}; `text` is NULL until something was added, and
 * NUL-terminated after.  Running out of memory sets `failed` and drops the text;
 * check it once at the end.
 */
struct pl_str {
	char *text;
	size_t length, capacity;
	bool failed;
};

void pl_str_add(struct pl_str *s, const char *text);
void pl_str_add_bytes(struct pl_str *s, const void *bytes, size_t n);
void pl_str_addf(struct pl_str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pl_str_vaddf(struct pl_str *s, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
void pl_str_done(struct pl_str *s);

/* malloc()ed text, or NULL when out of memory. */
char *pl_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Text from an image made fit to print: valid UTF-8 without control characters.
 * Bytes that are no UTF-8 are taken as Latin-1; control characters become spaces,
 * trailing spaces are cut.  Stops at the first NUL.  malloc()ed; NULL: no memory.
 */
char *pl_text_from_bytes(const void *bytes, size_t n);

/* The same from UTF-16, `nr_units` units of 2 bytes; unpaired surrogates become U+FFFD. */
char *pl_text_from_utf16le(const void *units, size_t nr_units);
char *pl_text_from_utf16be(const void *units, size_t nr_units);

/*
 * Names of files, whole and unchanged but for unpaired surrogates, which become U+FFFD: the
 * UTF-8 of `nr_units` units, at most 3 bytes each, into `out`, NUL-terminated: it has room
 * for 3 * nr_units + 1 bytes.  Returns the bytes without the NUL.
 */
size_t pl_name_from_utf16le(const void *units, size_t nr_units, char *out);
size_t pl_name_from_utf16be(const void *units, size_t nr_units, char *out);

/*
 * The other way: UTF-16 of a text, without a NUL; bytes that are no UTF-8 are taken as Latin-1.
 * malloc()ed units of 2 bytes, *ret_nr_units of them; NULL: no memory.
 */
uint8_t *pl_utf16le_from_text(const char *text, size_t *ret_nr_units);
uint8_t *pl_utf16be_from_text(const char *text, size_t *ret_nr_units);

#define PL_UUID_TEXT 37
/* 16 bytes as xxxxxxxx-xxxx-... in lower case, in the order they are stored. */
void pl_uuid_text(const uint8_t uuid[static 16], char ret[static PL_UUID_TEXT]);
/* A GUID, whose first three fields are little-endian, in upper case as UEFI prints it. */
void pl_guid_text(const uint8_t guid[static 16], char ret[static PL_UUID_TEXT]);
/* The other way, in upper or lower case; false: it does not begin with one. */
bool pl_guid_parse(const char *text, uint8_t ret[static 16]);

/* As platter_parse_size() and platter_format_size() say. */
int pl_parse_size(const char *text, uint64_t *ret);
char *pl_format_size(uint64_t bytes, char *buf, size_t n);

#endif
