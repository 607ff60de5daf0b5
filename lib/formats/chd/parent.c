/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parent.c - the CHD that another one differs from, which it knows by SHA-1 alone */
#include "cd.h"
#include "chd.h"

/* The SHA-1 by which children know the CHD with this header; NULL: it is none, or too old. */
static const uint8_t *
identity(const uint8_t h[static HEADER_BYTES])
{
	if (memcmp(h, CHD_MAGIC, 8) != 0)
		return NULL;
	switch (get_be32(h + VERSION)) {
	case 3: return h + V3_SHA1;
	case 4: return h + V4_WHOLE_SHA1;
	case 5: return h + WHOLE_SHA1;
	default: return NULL;
	}
}

static int
is_parent(struct pl_disk *file, const void *wanted)
{
	uint8_t h[HEADER_BYTES];

	if (pl_read_padded(file, h, sizeof h, 0, NULL, NULL) < 0)
		return 0;
	return identity(h) && !memcmp(identity(h), wanted, SHA1_BYTES);
}

static int
find_parent(struct chd *c, const struct pl_open_request *request, char **ret_name,
	    struct platter_error *err)
{
	char text[SHA1_TEXT];
	int r;

	pl_chd_sha1_text(c->parent_sha1, text);
	if (!request->related)
		return pl_fail(err, -ENOTSUP,
			       "its parent, the CHD with the SHA-1 %s, cannot be"
			       " reached from here",
			       text);
	r = request->related->find(request->related, ".", "chd", is_parent, c->parent_sha1,
				   ret_name, err);
	if (r < 0 || *ret_name)
		return r;
	r = pl_fail(
		err, -ENOENT,
		"the parent of '%s', the CHD with the SHA-1 %s, is none of the .chd files in its"
		" folder",
		c->file->name, text);
	pl_hint(err,
		"say where it is with --parent FILE, or open the image alone with ?backing=no");
	return r;
}

/* Is this the one that was wanted? */
static int
check_parent(const struct chd *c, struct chd *parent, struct platter_error *err)
{
	char found[SHA1_TEXT], wanted[SHA1_TEXT];
	int r;

	if (c->ignore_checksums || !memcmp(parent->whole_sha1, c->parent_sha1, SHA1_BYTES))
		return 0;
	r = pl_corrupt(err, (uint64_t)(c->parent_sha1 - c->header),
		       "'%s' is not the parent of '%s': its SHA-1 is %s, that of the parent is %s",
		       parent->file->name, c->file->name,
		       pl_chd_sha1_text(parent->whole_sha1, found),
		       pl_chd_sha1_text(c->parent_sha1, wanted));
	pl_hint(err, "--ignore-checksums takes it all the same, ?backing=no opens the image alone");
	return r;
}

/* What was opened as an image, be it a disc, as the data that its hunks are. */
static int
take_parent(struct chd *c, struct pl_disk *image, struct platter_error *err)
{
	struct chd *parent = pl_chd_of_image(image);
	int r;

	if (!parent)
		return pl_invalid(err, "'%s' is no CHD", image->name);
	r = check_parent(c, parent, err);
	if (r == 0)
		r = pl_disk_stack(&c->disk, &parent->disk, err);
	if (r == 0) {
		c->disk.parent = pl_disk_ref(&parent->disk);
		c->base = c->disk.parent;
	}
	return r;
}

int
pl_chd_parent_open(struct chd *c, const struct pl_open_request *request, struct platter_error *err)
{
	struct platter_error given = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *image = NULL;
	PL_AUTOFREE char *name = NULL;
	int r, r2;

	if (!c->has_parent || request->flags & PLATTER_OPEN_NO_BACKING)
		return 0;
	r = find_parent(c, request, &name, err);
	if (r == 0)
		r = request->related->open(request->related, name, "chd", false, &image, err);
	if (r < 0) {
		r2 = request->related ? pl_open_given(request->related, "chd", &image, &given) : 1;
		if (r2 == 1)
			return r;
		if (r2 < 0 && err)
			*err = given;
		r = r2;
	}
	return r < 0 ? r : take_parent(c, image, err);
}
