/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relink.c - another parent for a VMDK: two lines of its descriptor
 *
 * They stand in the first few hundred bytes, so the text is rewritten where it is, up to where
 * it ended before, in one write.
 */
#include <strings.h>

#include "text.h"
#include "vmdk.h"

/* The text of a descriptor, and where it is. */
struct place {
	struct pl_disk *file;
	uint64_t at, room; /* room: UINT64_MAX for a file of its own */
	size_t n;          /* bytes of the text now */
	uint8_t *bytes;
};

static int
find_text(struct vmdk *v, struct place *p, struct platter_error *err)
{
	const struct vmdk_sparse *s = v->nr_extents ? v->extents[0].sparse : NULL;
	uint8_t magic[8];
	uint64_t n;
	int r;

	p->file = v->files[0];
	r = pl_read_padded(p->file, magic, sizeof magic, 0, NULL, err);
	if (r < 0)
		return r;
	n = p->file->size;
	p->room = UINT64_MAX;
	if (get_le32(magic) == HOSTED_MAGIC) {
		if (!s || s->file != p->file || !s->descriptor_bytes)
			return pl_unsupported(err, 0, "'%s' has no descriptor of its own",
					      v->disk.name);
		p->at = s->descriptor_at;
		p->room = n = s->descriptor_bytes;
	} else if (get_le32(magic) == COWD_MAGIC || get_le64(magic) == SE_MAGIC) {
		return pl_unsupported(err, 0, "'%s' has no descriptor of its own", v->disk.name);
	}
	if (n > VMDK_MAX_DESCRIPTOR)
		return pl_over_limit(err, p->at, "a descriptor of %" PRIu64 " bytes", n);
	r = pl_read_alloc(p->file, (size_t)n, p->at, &p->bytes, err);
	if (r == 0)
		p->n = strnlen((const char *)p->bytes, (size_t)n);
	return r;
}

/* Does a line of n bytes set this key? */
static bool
sets(const char *line, size_t n, const char *key)
{
	size_t length = strlen(key);

	while (n && (*line == ' ' || *line == '\t'))
		line++, n--;
	if (n <= length || strncasecmp(line, key, length) != 0)
		return false;
	line += length;
	n -= length;
	while (n && (*line == ' ' || *line == '\t'))
		line++, n--;
	return n && *line == '=';
}

/* The text with the lines of the parent replaced; name NULL: none. */
static void
edit(const struct place *p, uint32_t cid, const char *name, struct pl_str *ret)
{
	const char *text = (const char *)p->bytes, *end = text + p->n;

	for (const char *line = text; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((newline ? newline + 1 : end) - line);

		if (!sets(line, n, "parentCID") && !sets(line, n, "parentFileNameHint")) {
			pl_str_add_bytes(ret, line, n);
			if (!newline)
				pl_str_add(ret, "\n");
		}
		if (sets(line, n, "CID")) {
			pl_str_addf(ret, "parentCID=%08" PRIx32 "\n", cid);
			if (name)
				pl_str_addf(ret, "parentFileNameHint=\"%s\"\n", name);
		}
		line += n;
	}
}

/* Over the old text; what is left of that becomes empty lines, or nothing. */
static int
write_text(const struct place *p, struct pl_str *text, struct platter_error *err)
{
	char rest = p->room == UINT64_MAX ? '\n' : '\0';
	int r;

	if (text->length >= p->room)
		return pl_fail(err, -ENOSPC,
			       "the descriptor has room for %" PRIu64 " bytes, and would need %zu",
			       p->room - 1, text->length);
	while (text->length < p->n && !text->failed)
		pl_str_add_bytes(text, &rest, 1);
	if (text->failed)
		return pl_no_memory(err);
	r = pl_write(p->file, text->text, text->length, p->at, err);
	return r == 0 ? pl_flush(p->file, err) : r;
}

static int
change_text(struct vmdk *v, uint32_t cid, const char *name, struct platter_error *err)
{
	struct vmdk_descriptor d = { 0 };
	struct pl_str text = { 0 };
	struct place p = { 0 };
	int r = find_text(v, &p, err);

	if (r == 0) {
		edit(&p, cid, name, &text);
		r = text.failed || !text.text ? pl_no_memory(err) : 0;
	}
	/* Is it the descriptor that it is meant to be? */
	if (r == 0)
		r = pl_vmdk_descriptor_parse((const uint8_t *)text.text, text.length, p.at, &d,
					     err);
	if (r == 0 && (!d.has_cid || d.parent_cid != cid))
		r = pl_corrupt(err, p.at, "the descriptor has no line with a CID");
	if (r == 0)
		r = write_text(&p, &text, err);
	if (r == 0) {
		pl_vmdk_descriptor_done(&v->descriptor);
		v->descriptor = d;
		v->text_room = PL_MAX(v->text_room, text.length);
	} else {
		pl_vmdk_descriptor_done(&d);
	}
	free(p.bytes);
	pl_str_done(&text);
	return r;
}

int
pl_vmdk_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
		   struct platter_error *err)
{
	const struct vmdk_descriptor *d = parent ? &vmdk_of(parent)->descriptor : NULL;
	uint32_t cid = VMDK_NO_PARENT;
	int r;

	if (parent && parent->ops != disk->ops)
		return pl_fail(err, -ENOTSUP,
			       "the parent of a VMDK image must be one too, and '%s' is not",
			       parent->name);
	if (d && (!d->has_cid || d->cid == VMDK_NO_PARENT))
		return pl_fail(err, -ENOTSUP,
			       "'%s' has no content ID, by which an overlay knows its parent",
			       parent->name);
	for (const char *c = name; c && *c; c++)
		if (*c == '"' || (unsigned char)*c < ' ')
			return pl_fail(err, -EINVAL,
				       "a name with quotes or control characters cannot stand in a"
				       " descriptor");
	if (d)
		cid = d->cid;
	r = pl_disk_stack(disk, parent, err);
	if (r == 0)
		r = pl_flush(disk, err);
	if (r == 0)
		r = change_text(vmdk_of(disk), cid, parent ? name : NULL, err);
	if (r < 0)
		return r;
	pl_disk_unref(disk->parent);
	disk->parent = parent ? pl_disk_ref(parent) : NULL;
	return 0;
}

void
pl_vmdk_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	/* The subformats that are created. */
	static const char *const known[] = { "monolithicSparse", "monolithicFlat",
					     "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
					     "streamOptimized" };
	static const char *const adapters[] = { "ide", "buslogic", "lsilogic", "legacyESX" };
	const struct vmdk_descriptor *d = &vmdk_of(disk)->descriptor;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (d->create_type && !strcasecmp(d->create_type, known[i]))
			pl_option(ret, "subformat", "%s", known[i]);
	for (size_t i = 0; i < ARRAY_SIZE(adapters); i++)
		if (d->adapter_type && !strcasecmp(d->adapter_type, adapters[i]))
			pl_option(ret, "adapter_type", "%s", adapters[i]);
	if (d->hw_version && *d->hw_version && strlen(d->hw_version) < 3 &&
	    strspn(d->hw_version, "0123456789") == strlen(d->hw_version) && *d->hw_version != '0')
		pl_option(ret, "hwversion", "%s", d->hw_version);
}
