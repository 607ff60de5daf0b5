/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapfile.c - which sectors of a disc could be read, in the form of GNU ddrescue
 *
 * GNU ddrescue manual, chapter 9 "Mapfile structure": comments; a line with the position, status
 * and pass ('+': finished); a line for each block with its position, size and status ('+': read,
 * '-': bad), which together cover the disk without gaps.
 */
#include "drive.h"
#include "text.h"

static void
add_block(struct pl_str *s, uint64_t offset, uint64_t length, char status)
{
	if (length)
		pl_str_addf(s, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", offset, length, status);
}

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

char *
pl_drive_mapfile(struct pl_disk *data, struct pl_disk *sound)
{
	uint32_t unit = sound ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;
	struct runs a = { .leaf = data, .sector = PL_DISC_SECTOR, .sector_of_image = unit };
	struct runs b = { .leaf = sound, .sector = PL_AUDIO_SECTOR, .sector_of_image = unit };
	uint64_t size = PL_MAX(size_of(&a), size_of(&b)), at = 0, offset, length;
	struct pl_str s = { 0 };

	pl_str_add(&s, PL_MAPFILE_START " Created by platter " PLATTER_VERSION "\n"
					"# current_pos  current_status  current_pass\n");
	pl_str_addf(&s, "0x%08" PRIX64 "     +               1\n", size);
	pl_str_add(&s, "#      pos        size  status\n");
	while (take(&a, &b, &offset, &length)) {
		add_block(&s, at, offset - at, '+');
		add_block(&s, offset, length, '-');
		at = offset + length;
	}
	add_block(&s, at, size - at, '+');
	if (s.failed)
		pl_str_done(&s);
	return s.text;
}
