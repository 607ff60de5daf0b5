/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mapfile.c - which sectors of a disc could be read */
#include "drive.h"

/* The bad runs of a leaf, in bytes of the image. */
struct runs {
	struct pl_disk *leaf; /* NULL: there are none */
	uint32_t sector;      /* bytes of one on the leaf, */
	uint32_t sector_of_image;
	size_t next;
};

static bool
peek(const struct runs *r, uint64_t *ret_offset, uint64_t *ret_length)
{
	if (!r->leaf || !pl_drive_leaf_bad(r->leaf, r->next, ret_offset, ret_length))
		return false;
	*ret_offset = *ret_offset / r->sector * r->sector_of_image;
	*ret_length = *ret_length / r->sector * r->sector_of_image;
	return true;
}

static uint64_t
size_of(const struct runs *r)
{
	return r->leaf ? r->leaf->size / r->sector * r->sector_of_image : 0;
}

/* The next run of either, the first of the two first. */
static bool
take(struct runs *a, struct runs *b, uint64_t *ret_offset, uint64_t *ret_length)
{
	uint64_t offset, length;
	bool in_a = peek(a, ret_offset, ret_length), in_b = peek(b, &offset, &length);

	if (in_a && (!in_b || *ret_offset < offset)) {
		a->next++;
	} else if (in_b) {
		*ret_offset = offset;
		*ret_length = length;
		b->next++;
	}
	return in_a || in_b;
}

/* What is read up to `offset`, and that `length` bytes from there are bad. */
static int
append(struct pl_mapfile *m, uint64_t offset, uint64_t length, struct platter_error *err)
{
	int r = pl_mapfile_append(m, offset - m->size, PL_BLOCK_FINISHED, err);

	return r < 0 ? r : pl_mapfile_append(m, length, PL_BLOCK_BAD, err);
}

int
pl_drive_mapfile(struct pl_disk *data, struct pl_disk *sound, struct pl_mapfile *ret,
		 struct platter_error *err)
{
	uint32_t unit = sound ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;
	struct runs a = { .leaf = data, .sector = PL_DISC_SECTOR, .sector_of_image = unit };
	struct runs b = { .leaf = sound, .sector = PL_AUDIO_SECTOR, .sector_of_image = unit };
	uint64_t size = PL_MAX(size_of(&a), size_of(&b)), offset, length;
	int r = pl_mapfile_init(ret, 0, err);

	ret->phase = PL_BLOCK_FINISHED;
	ret->position = size;
	while (r == 0 && take(&a, &b, &offset, &length))
		r = append(ret, offset, length, err);
	if (r == 0)
		r = pl_mapfile_append(ret, size - ret->size, PL_BLOCK_FINISHED, err);
	if (r < 0)
		pl_mapfile_done(ret);
	return r;
}
