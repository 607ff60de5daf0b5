/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xml.c - the little XML that descriptors of disk images are written in */
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "xml.h"

struct parser {
	const char *start, *p, *end;
	const struct pl_xml_handler *handler;
	void *with;
	char path[PL_XML_PATH];
	size_t path_length;
	char text[PL_XML_TEXT];
	size_t text_length;
	bool seen_root;
};

static uint64_t
here(const struct parser *x)
{
	return (uint64_t)(x->p - x->start);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
starts_with(const struct parser *x, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

/* Go on behind the next `mark`. */
static int
pass(struct parser *x, const char *mark, struct platter_error *err)
{
	const char *found = memmem(x->p, (size_t)(x->end - x->p), mark, strlen(mark));

	if (!found)
		return pl_corrupt(err, here(x), "XML: '%s' is missing", mark);
	x->p = found + strlen(mark);
	return 0;
}

static int
add_text(struct parser *x, char c, struct platter_error *err)
{
	if (x->text_length + 1 >= sizeof x->text && x->handler->cut)
		return 0;
	if (x->text_length + 1 >= sizeof x->text)
		return pl_over_limit(err, here(x), "XML: text of more than %zu bytes",
				     sizeof x->text - 1);
	if (!c)
		return pl_corrupt(err, here(x), "XML: a NUL in text");
	x->text[x->text_length++] = c;
	return 0;
}

/* "&#233;" or "&#xe9;": a character by its number, which becomes UTF-8. */
static int
take_number(struct parser *x, struct platter_error *err)
{
	bool hex = starts_with(x, "&#x");
	const char *p = x->p + (hex ? 3 : 2);
	const char *digits = "0123456789abcdef";
	uint32_t c = 0;
	int r = 0;

	for (; p < x->end && *p != ';'; p++) {
		const char *digit = memchr(digits, *p | 0x20, hex ? 16 : 10);

		if (!hex && (*p < '0' || *p > '9'))
			digit = NULL;
		if (!digit || c > 0x10ffff)
			return pl_corrupt(err, here(x), "XML: the number of a character");
		c = c * (hex ? 16 : 10) + (uint32_t)(digit - digits);
	}
	if (p == x->end || !c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return pl_corrupt(err, here(x), "XML: the number of a character");
	if (c < 0x80)
		r = add_text(x, (char)c, err);
	for (int shift = c < 0x800 ? 6 : c < 0x10000 ? 12 : 18, first = 1; c >= 0x80; shift -= 6) {
		uint32_t lead = shift == 6 ? 0xc0 : shift == 12 ? 0xe0 : 0xf0;

		if (r == 0)
			r = add_text(x,
				     (char)(first ? lead | c >> shift : 0x80 | (c >> shift & 0x3f)),
				     err);
		first = 0;
		if (!shift)
			break;
	}
	x->p = p + 1;
	return r;
}

static int
take_entity(struct parser *x, struct platter_error *err)
{
	static const struct {
		const char *name;
		char c;
	} known[] = { { "&amp;", '&' },
		      { "&lt;", '<' },
		      { "&gt;", '>' },
		      { "&quot;", '"' },
		      { "&apos;", '\'' } };

	if (starts_with(x, "&#"))
		return take_number(x, err);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (starts_with(x, known[i].name)) {
			int r = add_text(x, known[i].c, err);

			x->p += strlen(known[i].name);
			return r;
		}
	return pl_unsupported(err, here(x), "XML: an entity that is not known");
}

/* The text so far, ended, without the space around it. */
static const char *
trimmed(struct parser *x)
{
	char *s = x->text;

	while (x->text_length && is_space(x->text[x->text_length - 1]))
		x->text_length--;
	x->text[x->text_length] = 0;
	while (is_space(*s))
		s++;
	return s;
}

static int
close_element(struct parser *x, struct platter_error *err)
{
	char *slash;
	int r = x->handler->close(x->with, x->path, trimmed(x), here(x), err);

	slash = strrchr(x->path, '/');
	x->path_length = slash ? (size_t)(slash - x->path) : 0;
	x->path[x->path_length] = 0;
	x->text_length = 0;
	return r;
}

/* The name at x->p, which goes on behind it. */
static int
take_name(struct parser *x, const char **ret, size_t *ret_length, struct platter_error *err)
{
	*ret = x->p;
	while (x->p < x->end && !is_space(*x->p) && *x->p != '>' && *x->p != '/' && *x->p != '<' &&
	       *x->p)
		x->p++;
	*ret_length = (size_t)(x->p - *ret);
	if (!*ret_length)
		return pl_corrupt(err, here(x), "XML: an element without a name");
	return 0;
}

/* What stands between the name and the end of a tag. */
static int
pass_attributes(struct parser *x, bool *ret_empty, struct platter_error *err)
{
	char quote = 0;

	for (*ret_empty = false; x->p < x->end; x->p++) {
		if (quote) {
			quote = *x->p == quote ? 0 : quote;
		} else if (*x->p == '"' || *x->p == '\'') {
			quote = *x->p;
		} else if (*x->p == '>') {
			*ret_empty = x->p[-1] == '/';
			x->p++;
			return 0;
		}
	}
	return pl_corrupt(err, here(x), "XML: a tag without an end");
}

/* The value in quotes at x->p, into the text. */
static int
take_value(struct parser *x, struct platter_error *err)
{
	char quote = x->p < x->end ? *x->p : 0;
	int r = 0;

	if (quote != '"' && quote != '\'')
		return pl_corrupt(err, here(x), "XML: an attribute without a value in quotes");
	x->text_length = 0;
	for (x->p++; r == 0 && x->p < x->end && *x->p != quote;) {
		if (*x->p == '&')
			r = take_entity(x, err);
		else
			r = add_text(x, *x->p++, err);
	}
	if (r == 0 && x->p == x->end)
		r = pl_corrupt(err, here(x), "XML: an attribute without an end");
	x->p++;
	return r;
}

static void
pass_space(struct parser *x)
{
	while (x->p < x->end && is_space(*x->p))
		x->p++;
}

/* The attributes at x->p, up to `end`, where the tag ends. */
static int
take_attributes(struct parser *x, const char *end, struct platter_error *err)
{
	char name[64];
	int r = 0;

	for (pass_space(x); r == 0 && x->p < end && *x->p != '>' && *x->p != '/'; pass_space(x)) {
		size_t n = 0;

		for (; x->p < end && *x->p != '=' && !is_space(*x->p); x->p++)
			if (n + 1 < sizeof name)
				name[n++] = *x->p;
		name[n] = 0;
		pass_space(x);
		if (x->p >= end || *x->p != '=')
			return pl_corrupt(err, here(x), "XML: an attribute without a value");
		x->p++;
		pass_space(x);
		r = take_value(x, err);
		if (r == 0)
			r = x->handler->attribute(x->with, x->path, name, trimmed(x), here(x), err);
	}
	x->text_length = 0;
	x->p = end;
	return r;
}

static int
open_element(struct parser *x, struct platter_error *err)
{
	const char *name, *attributes;
	size_t n;
	bool empty;
	int r;

	x->p++;
	r = take_name(x, &name, &n, err);
	if (r < 0)
		return r;
	if (!x->path_length && x->seen_root)
		return pl_corrupt(err, here(x), "XML: more than one outer element");
	x->seen_root = true;
	if (x->path_length + 1 + n >= sizeof x->path)
		return pl_over_limit(err, here(x), "XML: elements nested too deeply");
	if (x->path_length)
		x->path[x->path_length++] = '/';
	memcpy(x->path + x->path_length, name, n);
	x->path_length += n;
	x->path[x->path_length] = 0;
	x->text_length = 0;
	attributes = x->p;
	r = pass_attributes(x, &empty, err);
	if (r == 0)
		r = x->handler->open(x->with, x->path, here(x), err);
	if (r == 0 && x->handler->attribute) {
		const char *end = x->p;

		x->p = attributes;
		r = take_attributes(x, end, err);
	}
	if (r == 0 && empty)
		r = close_element(x, err);
	return r;
}

static int
end_element(struct parser *x, struct platter_error *err)
{
	const char *open = strrchr(x->path, '/'), *name;
	size_t n;
	int r;

	x->p += 2;
	r = take_name(x, &name, &n, err);
	if (r < 0)
		return r;
	open = open ? open + 1 : x->path;
	if (strlen(open) != n || memcmp(open, name, n) != 0)
		return pl_corrupt(err, here(x), "XML: the end of an element that is not open");
	r = pass(x, ">", err);
	return r < 0 ? r : close_element(x, err);
}

/* "<![CDATA[" ... "]]>" */
static int
take_cdata(struct parser *x, struct platter_error *err)
{
	int r = 0;

	for (x->p += 9; r == 0 && x->p < x->end && !starts_with(x, "]]>");)
		r = add_text(x, *x->p++, err);
	return r < 0 ? r : pass(x, "]]>", err);
}

static int
step(struct parser *x, struct platter_error *err)
{
	char c = *x->p;

	if (c == '<') {
		if (starts_with(x, "<?"))
			return pass(x, "?>", err);
		if (starts_with(x, "<!--"))
			return pass(x, "-->", err);
		if (x->path_length && starts_with(x, "<![CDATA["))
			return take_cdata(x, err);
		if (starts_with(x, "<!"))
			return pl_unsupported(err, here(x), "XML: document types");
		return starts_with(x, "</") ? end_element(x, err) : open_element(x, err);
	}
	if (!x->path_length) {
		if (!is_space(c))
			return pl_corrupt(err, here(x), "XML: text outside of all elements");
		x->p++;
		return 0;
	}
	if (c == '&')
		return take_entity(x, err);
	x->p++;
	/* Between elements there is only space, and however much. */
	if (is_space(c) && !x->text_length)
		return 0;
	return add_text(x, c, err);
}

int
pl_xml_parse(const char *text, size_t n, const struct pl_xml_handler *handler, void *with,
	     struct platter_error *err)
{
	struct parser x = {
		.start = text, .p = text, .end = text + n, .handler = handler, .with = with
	};

	if (starts_with(&x, "\xef\xbb\xbf"))
		x.p += 3;
	while (x.p < x.end) {
		int r = step(&x, err);

		if (r < 0)
			return r;
	}
	if (x.path_length || !x.seen_root)
		return pl_corrupt(err, n, "XML: the end of %s%s%s is missing",
				  x.path_length ? "'" : "all", x.path, x.path_length ? "'" : "");
	return 0;
}
