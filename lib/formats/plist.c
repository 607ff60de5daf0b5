/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plist.c - property lists in XML, read front to back */
#include "plist.h"

#define BUFFER KIB(64)
/* Decoded bytes that are handed on at once, a multiple of 3. */
#define PIECE 3072
#define NAME  16

struct container {
	bool dict;
	size_t path_length; /* without the key of what is in it */
};

struct reader {
	struct pl_disk *file;
	uint64_t next, end; /* bytes of the file that are not in `buf` yet */
	uint8_t *buf;
	size_t pos, n;
	const struct pl_plist_handler *handler;
	void *with;
	struct container stack[PL_PLIST_DEPTH];
	size_t depth;
	char path[PL_PLIST_PATH];
	bool keyed; /* the path ends with the key of the value to come */
	char text[PL_PLIST_TEXT];
	size_t text_length;
	bool done;
};

/* <NAME>, </NAME> or <NAME/>; an empty name: a comment or a declaration. */
struct tag {
	char name[NAME];
	bool closing, empty;
	uint64_t at;
};

static uint64_t
here(const struct reader *p)
{
	return p->next - (p->n - p->pos);
}

/* The next byte, which stays; -EUCLEAN at the end. */
static int
peek(struct reader *p, uint8_t *ret, struct platter_error *err)
{
	if (p->pos == p->n) {
		size_t n = (size_t)PL_MIN(BUFFER, p->end - p->next);
		int r;

		if (!n)
			return pl_corrupt(err, p->end, "the property list ends too early");
		r = pl_read(p->file, p->buf, n, p->next, err);
		if (r < 0)
			return r;
		p->next += n;
		p->pos = 0;
		p->n = n;
	}
	*ret = p->buf[p->pos];
	return 0;
}

static int
take(struct reader *p, uint8_t *ret, struct platter_error *err)
{
	int r = peek(p, ret, err);

	if (r == 0)
		p->pos++;
	return r;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Go on behind `mark`, of 1 to 3 bytes. */
static int
pass(struct reader *p, const char *mark, struct platter_error *err)
{
	size_t n = strlen(mark);
	char last[3] = { 0 };
	int r = 0;

	while (r == 0 && memcmp(last + 3 - n, mark, n) != 0) {
		uint8_t c = 0;

		r = take(p, &c, err);
		memmove(last, last + 1, 2);
		last[2] = (char)c;
	}
	return r;
}

/* Behind "<!": a comment, or a document type without anything of its own. */
static int
pass_declaration(struct reader *p, struct platter_error *err)
{
	uint8_t c = 0;
	int r = take(p, &c, err);

	if (r == 0 && c == '-')
		return pass(p, "-->", err);
	while (r == 0 && c != '>' && c != '[')
		r = take(p, &c, err);
	if (r == 0 && c == '[')
		return pl_unsupported(err, here(p) - 1,
				      "a property list with a document type of its own");
	return r;
}

/* The tag at the next byte, a '<'. */
static int
take_tag(struct reader *p, struct tag *ret, struct platter_error *err)
{
	uint8_t c = 0, before = 0;
	size_t n = 0;
	int r;

	*ret = (struct tag){ .at = here(p) };
	p->pos++;
	r = peek(p, &c, err);
	if (r == 0 && (c == '?' || c == '!')) {
		p->pos++;
		return c == '?' ? pass(p, "?>", err) : pass_declaration(p, err);
	}
	if (r == 0 && c == '/') {
		ret->closing = true;
		p->pos++;
	}
	while (r == 0 && (r = take(p, &c, err)) == 0 && c != '>' && c != '/' && !is_space(c)) {
		if (n + 1 == NAME)
			return pl_corrupt(err, ret->at, "an element that no property list knows");
		ret->name[n++] = (char)c;
	}
	for (; r == 0 && c != '>'; r = take(p, &c, err))
		before = c;
	ret->empty = before == '/' && !ret->closing;
	if (r == 0 && !n)
		return pl_corrupt(err, ret->at, "an element without a name");
	return r;
}

/* Pass the space in front of the next tag, and take that. */
static int
next_tag(struct reader *p, struct tag *ret, struct platter_error *err)
{
	int r;

	do {
		uint8_t c = ' ';

		while ((r = peek(p, &c, err)) == 0 && is_space(c))
			p->pos++;
		if (r < 0)
			return r;
		/* The mark of UTF-8, EF BB BF, may stand in front of all. */
		if (c >= 0x80 && !p->depth) {
			p->pos++;
			*ret = (struct tag){ 0 };
			continue;
		}
		if (c != '<')
			return pl_corrupt(err, here(p),
					  "text between the elements of the property list");
		r = take_tag(p, ret, err);
	} while (r == 0 && !ret->name[0]);
	return r;
}

static int
expect_end(struct reader *p, const char *name, struct platter_error *err)
{
	struct tag tag;
	int r = take_tag(p, &tag, err);

	if (r == 0 && (!tag.closing || strcmp(tag.name, name) != 0))
		r = pl_corrupt(err, tag.at, "the end of an element <%s> is missing", name);
	return r;
}

static void
add_text(struct reader *p, char c)
{
	if (p->text_length + 1 < sizeof p->text)
		p->text[p->text_length++] = c;
}

/* Behind '&': of the entities only those that every XML has become what they stand for. */
static int
take_entity(struct reader *p, struct platter_error *err)
{
	static const char *const known[] = { "&amp;", "<lt;", ">gt;", "\"quot;", "'apos;" };
	char name[8] = { 0 };
	size_t n = 0;
	uint8_t c = 0;
	int r = 0;

	while (r == 0 && c != ';' && n < sizeof name - 1) {
		r = take(p, &c, err);
		name[n++] = (char)c;
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i] + 1, name)) {
			add_text(p, known[i][0]);
			return 0;
		}
	add_text(p, '?');
	return 0;
}

/* The text up to the next tag, into p->text. */
static int
take_text(struct reader *p, struct platter_error *err)
{
	uint8_t c = 0;
	int r;

	p->text_length = 0;
	while ((r = peek(p, &c, err)) == 0 && c != '<') {
		p->pos++;
		if (c == '&')
			r = take_entity(p, err);
		else
			add_text(p, (char)c);
		if (r < 0)
			return r;
	}
	p->text[p->text_length] = '\0';
	return r;
}

/* The value of a digit of base64, 64 for '=', 65 for space, 255: none of them. */
static uint8_t
digit_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	if (c == '+' || c == '/')
		return c == '+' ? 62 : 63;
	if (c == '=')
		return 64;
	return is_space(c) ? 65 : 255;
}

static int
give_text(struct reader *p, const char *text, uint64_t at, struct platter_error *err)
{
	return p->handler->text ? p->handler->text(p->with, p->path, text, at, err) : 0;
}

static int
give_data(struct reader *p, const uint8_t *bytes, size_t n, uint64_t at, struct platter_error *err)
{
	return p->handler->data ? p->handler->data(p->with, p->path, bytes, n, at, err) : 0;
}

/* The bytes up to the next tag, handed on in pieces. */
static int
take_data(struct reader *p, uint64_t at, struct platter_error *err)
{
	uint8_t out[PIECE], c = 0;
	uint32_t bits = 0;
	unsigned digits = 0;
	size_t n = 0;
	int r;

	while ((r = peek(p, &c, err)) == 0 && c != '<') {
		uint8_t value = digit_value(c);

		if (value == 255)
			return pl_corrupt(err, here(p), "a byte that is not base64");
		p->pos++;
		if (value >= 64)
			continue;
		bits = bits << 6 | value;
		if (digits++ % 4 == 0)
			continue;
		out[n++] = (uint8_t)(bits >> (6 - 2 * ((digits - 1) % 4)));
		if (n == PIECE) {
			r = give_data(p, out, n, at, err);
			n = 0;
		}
		if (r < 0)
			return r;
	}
	if (r == 0 && n)
		r = give_data(p, out, n, at, err);
	return r < 0 ? r : give_data(p, NULL, 0, at, err);
}

static int
open_container(struct reader *p, bool dict, uint64_t at, struct platter_error *err)
{
	if (p->depth == PL_PLIST_DEPTH)
		return pl_over_limit(err, at, "a property list of more than %d levels",
				     PL_PLIST_DEPTH);
	p->stack[p->depth++] = (struct container){ dict, strlen(p->path) };
	p->keyed = !dict;
	return dict && p->handler->begin ? p->handler->begin(p->with, p->path, at, err) : 0;
}

/* A value has ended: back to the path of what it is in. */
static void
end_value(struct reader *p)
{
	const struct container *c = p->depth ? &p->stack[p->depth - 1] : NULL;

	p->path[c ? c->path_length : 0] = '\0';
	p->keyed = c && !c->dict;
	p->done = !c;
}

static int
close_container(struct reader *p, const struct tag *tag, struct platter_error *err)
{
	bool dict = !strcmp(tag->name, "dict");
	int r = 0;

	if (!p->depth || p->stack[p->depth - 1].dict != dict || (dict && p->keyed) ||
	    (!dict && strcmp(tag->name, "array") != 0))
		return pl_corrupt(err, tag->at, "the end of an element <%s> that is not open",
				  tag->name);
	p->path[p->stack[p->depth - 1].path_length] = '\0';
	if (dict && p->handler->end)
		r = p->handler->end(p->with, p->path, tag->at, err);
	p->depth--;
	end_value(p);
	return r;
}

static int
take_key(struct reader *p, const struct tag *tag, struct platter_error *err)
{
	size_t length = strlen(p->path);
	int r;

	if (!p->depth || !p->stack[p->depth - 1].dict || p->keyed || tag->empty)
		return pl_corrupt(err, tag->at, "a key where none belongs");
	r = take_text(p, err);
	if (r == 0 && length + 1 + p->text_length >= sizeof p->path)
		return pl_over_limit(err, tag->at, "a key of %zu bytes", p->text_length);
	if (r < 0)
		return r;
	if (length)
		p->path[length++] = '/';
	memcpy(p->path + length, p->text, p->text_length + 1);
	p->keyed = true;
	return expect_end(p, "key", err);
}

static int
take_scalar(struct reader *p, const struct tag *tag, struct platter_error *err)
{
	static const char *const texts[] = { "string", "integer", "real", "date" };
	bool text = false, flag = !strcmp(tag->name, "true") || !strcmp(tag->name, "false");
	uint64_t at = here(p);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		text = text || !strcmp(tag->name, texts[i]);
	if (!text && !flag && strcmp(tag->name, "data") != 0)
		return pl_corrupt(err, tag->at, "an element that no property list knows");
	if (tag->empty && !text && !flag)
		return give_data(p, NULL, 0, at, err);
	if (tag->empty || flag)
		return give_text(p, flag ? tag->name : "", at, err);
	if (!text)
		r = take_data(p, at, err);
	else if ((r = take_text(p, err)) == 0)
		r = give_text(p, p->text, at, err);
	return r < 0 ? r : expect_end(p, tag->name, err);
}

static int
step(struct reader *p, struct platter_error *err)
{
	struct tag tag;
	int r = next_tag(p, &tag, err);
	bool dict;

	if (r < 0 || !strcmp(tag.name, "plist"))
		return r;
	if (tag.closing)
		return close_container(p, &tag, err);
	if (!strcmp(tag.name, "key"))
		return take_key(p, &tag, err);
	if (p->depth && !p->keyed)
		return pl_corrupt(err, tag.at, "a value without a key");
	dict = !strcmp(tag.name, "dict");
	if (dict || !strcmp(tag.name, "array")) {
		r = open_container(p, dict, tag.at, err);
		return r < 0 || !tag.empty ? r : close_container(p, &tag, err);
	}
	r = take_scalar(p, &tag, err);
	end_value(p);
	return r;
}

int
pl_plist_read(struct pl_disk *file, uint64_t offset, uint64_t length,
	      const struct pl_plist_handler *handler, void *with, struct platter_error *err)
{
	struct reader p = { .file = file,
			    .next = offset,
			    .end = offset + length,
			    .handler = handler,
			    .with = with };
	int r = 0;

	p.buf = malloc(BUFFER);
	if (!p.buf)
		return pl_no_memory(err);
	while (r == 0 && !p.done)
		r = step(&p, err);
	free(p.buf);
	return r;
}
