/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * license.c - the licence agreement that an image shows before it is opened
 *
 * The resource `LPic` says in which languages it is there (Apple's Technote "Software licence
 * agreements"; all numbers big-endian):
 *
 *	offset  size
 *	     0     2  region code of the default language
 *	     2     2  number of languages
 *	     4   6*n  region code, number of its resources less 5000, 1: its letters have two bytes
 *
 * The text of number 5000 + n is in `TEXT`, in the script of the language, or in `RTF `.
 */
#include "dmg.h"
#include "roman.h"
#include "text.h"

#define FIRST_ID 5000

/* None of them needs more than 3 bytes. */
static void
add_letter(struct pl_str *s, uint8_t c)
{
	uint16_t u = pl_mac_roman(c);
	char utf8[3] = { (char)u };
	size_t n = 1;

	if (c == '\r') {
		utf8[0] = '\n';
	} else if (u >= 0x800) {
		utf8[0] = (char)(0xe0 | u >> 12);
		utf8[1] = (char)(0x80 | (u >> 6 & 0x3f));
		utf8[2] = (char)(0x80 | (u & 0x3f));
		n = 3;
	} else if (u >= 0x80) {
		utf8[0] = (char)(0xc0 | u >> 6);
		utf8[1] = (char)(0x80 | (u & 0x3f));
		n = 2;
	}
	if (u)
		pl_str_add_bytes(s, utf8, n);
}

static int
hex_value(uint8_t c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c | 0x20) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Behind a backslash of RTF: a letter in hexadecimal, the end of a line, or what only forms it. */
static void
add_control(struct pl_str *s, struct pl_cursor *c, unsigned depth, unsigned *skip)
{
	static const char *const tables[] = { "fonttbl", "colortbl", "stylesheet", "info", "*" };
	char word[16] = { 0 };
	size_t n = 0;
	const uint8_t *p = pl_take(c, 1);

	if (!p)
		return;
	if (*p == '\'') {
		const uint8_t *hex = pl_take(c, 2);
		int high = hex ? hex_value(hex[0]) : -1, low = hex ? hex_value(hex[1]) : -1;

		if (high >= 0 && low >= 0 && !*skip)
			add_letter(s, (uint8_t)(high << 4 | low));
		return;
	}
	for (; (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'; p++) {
		if (n + 1 < sizeof word)
			word[n++] = (char)*p;
		if (!pl_take(c, 1))
			return;
	}
	/* A number, and one space, belong to the word. */
	if (n) {
		while (*p == '-' || (*p >= '0' && *p <= '9'))
			if (!(p = pl_take(c, 1)))
				return;
		if (*p != ' ')
			c->p = p;
	} else {
		word[0] = (char)*p;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strcmp(word, tables[i]) && !*skip)
			*skip = depth;
	if (*skip)
		return;
	if (!strcmp(word, "par") || !strcmp(word, "line") || word[0] == '\n' || word[0] == '\r')
		pl_str_add(s, "\n");
	else if (!strcmp(word, "tab"))
		pl_str_add(s, "\t");
	else if (word[0] == '\\' || word[0] == '{' || word[0] == '}')
		add_letter(s, (uint8_t)word[0]);
}

/* The letters of RTF, without what says how they look. */
static void
add_rtf(struct pl_str *s, const uint8_t *bytes, size_t n)
{
	struct pl_cursor c = { bytes, bytes + n };
	unsigned depth = 0, skip = 0; /* the depth whose group is left out */
	const uint8_t *p;

	while ((p = pl_take(&c, 1))) {
		if (*p == '{') {
			depth++;
		} else if (*p == '}') {
			if (skip == depth)
				skip = 0;
			depth -= depth > 0;
		} else if (*p == '\\') {
			add_control(s, &c, depth, &skip);
		} else if (!skip && *p != '\r' && *p != '\n') {
			add_letter(s, *p);
		}
	}
}

static const struct dmg_resource *
find_resource(const struct dmg_resources *r, const char *type, int id)
{
	for (size_t i = 0; i < r->nr; i++)
		if (!strcmp(r->list[i].type, type) && (id < 0 || r->list[i].id == id))
			return &r->list[i];
	return NULL;
}

/* The number of the resources in the default language; one that is in Roman letters if it is not. */
static int
default_id(const struct dmg_resources *r)
{
	const struct dmg_resource *list = find_resource(r, "LPic", -1);
	const uint8_t *best = NULL;
	size_t nr;

	if (!list || list->n < 4)
		return -1;
	nr = PL_MIN(get_be16(list->bytes + 2), (list->n - 4) / 6);
	for (size_t i = 0; i < nr; i++) {
		const uint8_t *one = list->bytes + 4 + i * 6;

		if (get_be16(one + 4))
			continue;
		if (!best || get_be16(one) == get_be16(list->bytes))
			best = one;
	}
	return best ? FIRST_ID + get_be16(best + 2) : -1;
}

char *
dmg_license(const struct dmg_resources *r)
{
	const struct dmg_resource *text;
	struct pl_str s = { 0 };
	int id = default_id(r);

	text = find_resource(r, "TEXT", id);
	for (size_t i = 0; text && i < text->n; i++)
		add_letter(&s, text->bytes[i]);
	if (!text && (text = find_resource(r, "RTF ", id)))
		add_rtf(&s, text->bytes, text->n);
	if (s.failed)
		pl_str_done(&s);
	return s.text;
}
