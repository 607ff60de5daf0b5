/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * unfold.h - inputs that stand for larger images
 *
 * Images of some formats and file systems are megabytes of mostly zeros.  An input may be such
 * an image folded up: "unfold\n\0", the size of the image in sectors, then pieces {offset,
 * length, bytes} of it, numbers of 32 bits and little-endian.
 */
#ifndef UNFOLD_H
#define UNFOLD_H

#include "bytes.h"

/* The image that an input is, at most `max` bytes of it, malloc()ed; NULL: it is not folded. */
static inline uint8_t *
unfold(const uint8_t *data, size_t size, size_t max, size_t *ret_size)
{
	struct pl_cursor c = { data, data + size };
	const uint8_t *p = pl_take(&c, 12);
	uint8_t *image;

	if (!p || memcmp(p, "unfold\n", 8) != 0)
		return NULL;
	*ret_size = (size_t)PL_MIN((uint64_t)get_le32(p + 8) * 512, max);
	image = calloc(1, *ret_size + 1);
	while (image && (p = pl_take(&c, 8))) {
		uint32_t offset = get_le32(p), n = get_le32(p + 4);

		p = pl_take(&c, n);
		if (!p || !pl_in_range(offset, n, *ret_size))
			break;
		memcpy(image + offset, p, n);
	}
	return image;
}

#endif
