/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bitmap.c - the directory of persistent dirty bitmaps
 *
 *	offset  size  entry, padded to 8 bytes
 *	     0     8  bitmap table offset
 *	     8     4  bitmap table entries
 *	    12     4  flags: 1 in use, 2 auto, 4 extra data may be ignored
 *	    16     1  type: 1
 *	    17     1  granularity_bits
 *	    18     2  name: bytes
 *	    20     4  extra data: bytes
 *	    24        extra data, name
 */
#include "image.h"

#define ENTRY_SIZE 24
/* 65535 entries with names of 1023 bytes are 67 MB. */
#define MAX_DIRECTORY_BYTES MIB(64)

int
pl_qcow2_bitmaps_read(struct pl_disk *file, const struct qcow2_header *h, struct qcow2_bitmaps *ret,
		      struct platter_error *err)
{
	struct qcow2_bitmaps b = { 0 };
	struct pl_cursor c;
	int r;

	/* Without the bit, somebody wrote the image who did not know of its bitmaps. */
	if (!h->nr_bitmaps || !(h->autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
		*ret = b;
		return 0;
	}
	if (h->bitmaps_size > MAX_DIRECTORY_BYTES)
		return pl_over_limit(err, h->bitmaps_offset,
				     "bitmap directory of %" PRIu64 " bytes, limit is %" PRIu64,
				     h->bitmaps_size, (uint64_t)MAX_DIRECTORY_BYTES);
	if (h->bitmaps_size / ENTRY_SIZE < h->nr_bitmaps)
		return pl_corrupt(err, h->bitmaps_offset,
				  "bitmap directory of %" PRIu64 " bytes for %" PRIu32 " bitmaps",
				  h->bitmaps_size, h->nr_bitmaps);
	r = pl_read_alloc(file, (size_t)h->bitmaps_size, h->bitmaps_offset, &b.buffer, err);
	if (r < 0)
		return r;
	b.list = calloc(h->nr_bitmaps, sizeof *b.list);
	if (!b.list)
		r = pl_no_memory(err);
	c = (struct pl_cursor){ b.buffer, b.buffer + h->bitmaps_size };
	for (; r == 0 && b.nr < h->nr_bitmaps; b.nr++) {
		struct qcow2_bitmap *e = &b.list[b.nr];
		const uint8_t *p = pl_take(&c, ENTRY_SIZE);
		uint32_t extra = p ? get_be32(p + 20) : 0;

		if (p) {
			*e = (struct qcow2_bitmap){
				.at = h->bitmaps_offset + (uint64_t)(p - b.buffer),
				.table_offset = get_be64(p),
				.table_entries = get_be32(p + 8),
				.flags = get_be32(p + 12),
				.granularity_bits = p[17],
				.name_size = get_be16(p + 18),
			};
			if (pl_take(&c, extra))
				e->name = pl_take(&c, e->name_size);
		}
		if (!e->name) {
			r = pl_corrupt(err, h->bitmaps_offset,
				       "bitmap %zu passes the end of the directory", b.nr + 1);
			break;
		}
		/* The padding of the last entry may be missing. */
		(void)pl_take(&c, PL_MIN((size_t)(c.end - c.p),
					 (size_t)(0 - (ENTRY_SIZE + extra + e->name_size)) & 7));
	}
	if (r < 0) {
		pl_qcow2_bitmaps_done(&b);
		return r;
	}
	*ret = b;
	return 0;
}

void
pl_qcow2_bitmaps_done(struct qcow2_bitmaps *b)
{
	free(b->buffer);
	free(b->list);
	*b = (struct qcow2_bitmaps){ 0 };
}
