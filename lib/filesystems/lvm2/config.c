/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm2/config.c - the language of LVM2's metadata, as it stands in its configuration files
 *
 *	section { ... }		name = value		# a comment, up to the line's end
 *	value: 12, "text with \" and \\", or [ value, value, ... ]
 *
 * Nothing is kept: a section is a span of the text, and its items are taken off it one by one.
 * Sections in each other are skipped by counting braces, so no depth can exhaust the stack.
 */
#include "lvm2.h"
#include "text.h"

struct lvm_span
pl_lvm_whole(const struct lvm_text *text)
{
	return (struct lvm_span){ text->text, text->text + text->length, text->text };
}

int
pl_lvm_bad_text(const struct lvm_span *span, const char *what, struct platter_error *err)
{
	size_t line = 1;

	for (const char *p = span->text; p < span->at; p++)
		line += *p == '\n';
	return pl_corrupt(err, PLATTER_NO_OFFSET, "%s in line %zu of the metadata text", what,
			  line);
}

static void
skip_blank(struct lvm_span *s)
{
	for (; s->at < s->end; s->at++)
		if (*s->at == '#')
			while (s->at + 1 < s->end && s->at[1] != '\n')
				s->at++;
		else if (!strchr(" \t\r\n", *s->at))
			return;
}

static bool
next_is(const struct lvm_span *s, char c)
{
	return s->at < s->end && *s->at == c;
}

/* A name, or a number: what is no blank and has no meaning of its own. */
static struct lvm_span
take_word(struct lvm_span *s)
{
	struct lvm_span word = *s;

	while (s->at < s->end && !strchr(" \t\r\n{}[]=,\"#", *s->at))
		s->at++;
	word.end = s->at;
	return word;
}

/* A string, from its first quote; *ret is what is inside. */
static int
take_string(struct lvm_span *s, struct lvm_span *ret, struct platter_error *err)
{
	struct lvm_span begin = *s;

	for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
		if (*s->at == '\\' && s->at + 1 < s->end)
			s->at++;
	if (s->at >= s->end)
		return pl_lvm_bad_text(&begin, "string without an end", err);
	*ret = (struct lvm_span){ begin.at + 1, s->at, s->text };
	s->at++;
	return 0;
}

/* From behind an opening bracket to the closing one that belongs to it, which is taken too. */
static int
take_inside(struct lvm_span *s, char opening, char closing, struct lvm_span *ret,
	    struct platter_error *err)
{
	struct lvm_span begin = *s, string;
	size_t depth = 1;

	for (skip_blank(s); s->at < s->end; skip_blank(s)) {
		if (*s->at == '"') {
			int r = take_string(s, &string, err);

			if (r < 0)
				return r;
			continue;
		}
		depth += *s->at == opening;
		if (*s->at == closing && --depth == 0) {
			*ret = (struct lvm_span){ begin.at, s->at, s->text };
			s->at++;
			return 0;
		}
		s->at++;
	}
	return pl_lvm_bad_text(&begin,
			       opening == '{' ? "section without an end" : "array without an end",
			       err);
}

static int
take_body(struct lvm_span *s, struct lvm_item *item, struct platter_error *err)
{
	if (next_is(s, '[')) {
		s->at++;
		return take_inside(s, '[', ']', &item->body, err);
	}
	item->body = *s;
	if (next_is(s, '"')) {
		struct lvm_span string;
		int r = take_string(s, &string, err);

		item->body.end = s->at;
		return r;
	}
	item->body = take_word(s);
	return item->body.at < item->body.end ? 0 : pl_lvm_bad_text(s, "no value", err);
}

int
pl_lvm_next(struct lvm_span *section, struct lvm_item *ret, struct platter_error *err)
{
	int r;

	skip_blank(section);
	if (section->at >= section->end)
		return 0;
	ret->name = take_word(section);
	if (ret->name.at == ret->name.end)
		return pl_lvm_bad_text(section, "no name", err);
	skip_blank(section);
	ret->is_section = next_is(section, '{');
	if (!ret->is_section && !next_is(section, '='))
		return pl_lvm_bad_text(section, "neither section nor value", err);
	section->at++;
	if (ret->is_section) {
		r = take_inside(section, '{', '}', &ret->body, err);
	} else {
		skip_blank(section);
		r = take_body(section, ret, err);
	}
	return r < 0 ? r : 1;
}

static uint64_t
number_of(struct lvm_span word)
{
	uint64_t n = 0;

	for (const char *p = word.at; p < word.end; p++) {
		if (*p < '0' || *p > '9' || n > INT64_MAX / 10 - 1)
			return UINT64_MAX;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	return n;
}

int
pl_lvm_value(struct lvm_span *value, struct lvm_value *ret, struct platter_error *err)
{
	struct lvm_span word;
	int r;

	for (skip_blank(value); next_is(value, ','); skip_blank(value))
		value->at++;
	if (value->at >= value->end)
		return 0;
	ret->is_string = *value->at == '"';
	ret->number = UINT64_MAX;
	if (ret->is_string) {
		r = take_string(value, &ret->string, err);
		return r < 0 ? r : 1;
	}
	word = take_word(value);
	if (word.at == word.end)
		return pl_lvm_bad_text(value, "neither number nor string", err);
	ret->number = number_of(word);
	return 1;
}

uint64_t
pl_lvm_number(const struct lvm_item *item)
{
	struct lvm_span body = item->body;
	struct lvm_value value;

	return !item->is_section && pl_lvm_value(&body, &value, NULL) == 1 ? value.number
									   : UINT64_MAX;
}

const char *
pl_lvm_string(struct pl_arena *arena, struct lvm_span string)
{
	struct pl_str s = { 0 };
	char *text;

	for (const char *p = string.at; p < string.end; p++) {
		if (*p == '\\' && p + 1 < string.end)
			p++;
		pl_str_add_bytes(&s, p, 1);
	}
	text = s.text ? pl_text_from_bytes(s.text, s.length) : s.failed ? NULL : strdup("");
	pl_str_done(&s);
	if (!text)
		arena->failed = true;
	return pl_arena_take(arena, text);
}

bool
pl_lvm_is(struct lvm_span span, const char *word)
{
	size_t n = (size_t)(span.end - span.at);

	return n == strlen(word) && !memcmp(span.at, word, n);
}
