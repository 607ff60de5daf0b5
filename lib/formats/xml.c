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
	if (x->text_length + 1 >= sizeof x->text)
		return pl_over_limit(err, here(x), "XML: text of more than %zu bytes",
				     sizeof x->text - 1);
	if (!c)
		return pl_corrupt(err, here(x), "XML: a NUL in text");
	x->text[x->text_length++] = c;
	return 0;
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

static int
open_element(struct parser *x, struct platter_error *err)
{
	const char *name;
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
	r = pass_attributes(x, &empty, err);
	if (r == 0)
		r = x->handler->open(x->with, x->path, here(x), err);
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

static int
step(struct parser *x, struct platter_error *err)
{
	char c = *x->p;

	if (c == '<') {
		if (starts_with(x, "<?"))
			return pass(x, "?>", err);
		if (starts_with(x, "<!--"))
			return pass(x, "-->", err);
		if (starts_with(x, "<!"))
			return pl_unsupported(err, here(x), "XML: document types and CDATA");
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
