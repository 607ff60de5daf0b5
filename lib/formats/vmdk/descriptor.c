/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * descriptor.c - the text that says what a VMDK disk is made of
 *
 *	# Disk DescriptorFile
 *	version=1
 *	CID=fffffffe
 *	parentCID=ffffffff
 *	createType="twoGbMaxExtentFlat"
 *	RW 4192256 FLAT "disk-f001.vmdk" 0
 *	ddb.adapterType = "lsilogic"
 *
 * Keys are the same in upper and lower case.  Lines that nobody knows are passed over: every
 * version of VMware's programs adds some.
 */
#include <strings.h>

#include "vmdk.h"

#define FIRST_LINE "# Disk DescriptorFile"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *
skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* Without blanks around it, and quotes. */
static char *
trim(char *p)
{
	size_t n;

	p = skip_blanks(p);
	n = strlen(p);
	while (n && is_blank(p[n - 1]))
		n--;
	if (n >= 2 && p[0] == '"' && p[n - 1] == '"') {
		p++;
		n -= 2;
	}
	p[n] = '\0';
	return p;
}

/* Cut the next word off *p: up to a blank, or what stands in quotes.  NULL: there is none. */
static char *
next_word(char **p)
{
	char *word = skip_blanks(*p), *end;

	if (!*word)
		return NULL;
	if (*word == '"') {
		word++;
		end = strchr(word, '"');
		if (!end)
			return NULL;
	} else {
		for (end = word; *end && !is_blank(*end);)
			end++;
	}
	*p = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Digits of a base that are the whole text. */
static bool
read_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	/* strtoull() would take a sign and blanks. */
	if (!strchr("0123456789abcdefABCDEF", text[0]) || !text[0])
		return false;
	errno = 0;
	*ret = strtoull(text, &end, base);
	return !errno && !*end && *ret <= max;
}

static int
read_type(const char *word, uint64_t at, enum vmdk_type *ret, struct platter_error *err)
{
	static const struct {
		const char *word;
		enum vmdk_type type;
	} types[] = {
		{ "FLAT", VMDK_FLAT },       { "VMFS", VMDK_FLAT },
		{ "ZERO", VMDK_ZERO },       { "SPARSE", VMDK_SPARSE },
		{ "VMFSSPARSE", VMDK_COWD }, { "SESPARSE", VMDK_SESPARSE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcasecmp(word, types[i].word)) {
			*ret = types[i].type;
			return 0;
		}
	return pl_unsupported(err, at, "extent of type '%.32s', which is not supported", word);
}

/* What follows the access of an extent. */
static int
parse_extent(char *p, struct vmdk_line *line, struct platter_error *err)
{
	char *sectors = next_word(&p), *type = next_word(&p), *offset;
	int r;

	if (!sectors || !read_number(sectors, 10, INT64_MAX / VMDK_SECTOR, &line->sectors))
		return pl_corrupt(err, line->at, "extent without a number of sectors");
	if (!type)
		return pl_corrupt(err, line->at, "extent without a type");
	r = read_type(type, line->at, &line->type, err);
	if (r < 0 || line->type == VMDK_ZERO)
		return r;
	line->name = next_word(&p);
	if (!line->name || !*line->name)
		return pl_corrupt(err, line->at, "extent without the name of its file");
	offset = next_word(&p);
	if (offset && line->type == VMDK_FLAT &&
	    !read_number(offset, 10, INT64_MAX / VMDK_SECTOR, &line->file_sector))
		return pl_corrupt(err, line->at, "extent with the offset '%.32s'", offset);
	return 0;
}

static int
add_extent(struct vmdk_descriptor *d, char *p, bool no_access, uint64_t at,
	   struct platter_error *err)
{
	struct vmdk_line line = { .at = at, .no_access = no_access };
	int r = parse_extent(p, &line, err);

	if (r < 0)
		return r;
	if (d->nr_lines == VMDK_MAX_EXTENTS)
		return pl_over_limit(err, at, "more than %u extents", VMDK_MAX_EXTENTS);
	/* A power of two: time to make room. */
	if (!(d->nr_lines & (d->nr_lines - 1))) {
		size_t room = d->nr_lines ? d->nr_lines * 2 : 1;
		struct vmdk_line *lines = pl_realloc_array(d->lines, room, sizeof *lines);

		if (!lines)
			return pl_no_memory(err);
		d->lines = lines;
	}
	d->lines[d->nr_lines++] = line;
	return 0;
}

static int
set_number(const char *key, const char *value, int base, uint64_t at, uint32_t *ret,
	   struct platter_error *err)
{
	uint64_t n;

	if (!read_number(value, base, UINT32_MAX, &n))
		return pl_corrupt(err, at, "%s=%.32s is not a number", key, value);
	*ret = (uint32_t)n;
	return 0;
}

static int
set_key(struct vmdk_descriptor *d, const char *key, const char *value, uint64_t at,
	struct platter_error *err)
{
	const struct {
		const char *key, **value;
	} texts[] = {
		{ "createType", &d->create_type },
		{ "parentFileNameHint", &d->parent_hint },
		{ "ddb.adapterType", &d->adapter_type },
		{ "ddb.virtualHWVersion", &d->hw_version },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strcasecmp(key, texts[i].key)) {
			*texts[i].value = value;
			return 0;
		}
	if (!strcasecmp(key, "version"))
		return set_number("version", value, 10, at, &d->version, err);
	if (!strcasecmp(key, "parentCID"))
		return set_number("parentCID", value, 16, at, &d->parent_cid, err);
	if (!strcasecmp(key, "CID")) {
		d->has_cid = true;
		return set_number("CID", value, 16, at, &d->cid, err);
	}
	if (!strncasecmp(key, "encryption.", 11))
		d->encrypted = true;
	return 0;
}

static int
parse_line(struct vmdk_descriptor *d, char *line, uint64_t at, struct platter_error *err)
{
	static const char *const accesses[] = { "RW", "RDONLY", "NOACCESS" };
	char *p = skip_blanks(line), *equals;

	if (*p == '#')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
		size_t n = strlen(accesses[i]);

		if (!strncasecmp(p, accesses[i], n) && is_blank(p[n]))
			return add_extent(d, p + n, i == 2, at, err);
	}
	equals = strchr(p, '=');
	if (!equals)
		return 0;
	*equals = '\0';
	return set_key(d, trim(p), trim(equals + 1), at, err);
}

int
pl_vmdk_descriptor_parse(const uint8_t *bytes, size_t n, uint64_t at, struct vmdk_descriptor *ret,
			 struct platter_error *err)
{
	struct vmdk_descriptor d = { .parent_cid = VMDK_NO_PARENT };
	char *line, *next;
	int r = 0;

	d.text = strndup((const char *)bytes, n);
	if (!d.text)
		return pl_no_memory(err);
	for (line = d.text; r == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = parse_line(&d, line, at + (uint64_t)(line - d.text), err);
	}
	if (r == 0 && d.version > 3)
		r = pl_unsupported(err, at, "descriptor of version %" PRIu32 ", known are 1 to 3",
				   d.version);
	if (r == 0 && d.encrypted)
		r = pl_unsupported(err, at, "the disk is encrypted, which is not supported");
	if (r < 0) {
		pl_vmdk_descriptor_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void
pl_vmdk_descriptor_done(struct vmdk_descriptor *d)
{
	free(d->text);
	free(d->lines);
	*d = (struct vmdk_descriptor){ 0 };
}

int
pl_vmdk_descriptor_probe(const uint8_t *bytes, size_t n)
{
	const char *p = (const char *)bytes, *end = p + n;

	while (p < end && (is_blank(*p) || *p == '\n'))
		p++;
	if ((size_t)(end - p) < sizeof FIRST_LINE ||
	    strncasecmp(p, FIRST_LINE, sizeof FIRST_LINE - 1) != 0)
		return 0;
	return 8 * (sizeof FIRST_LINE - 1);
}
