/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lzma.c - LZMA as disc images have it: its properties are kept elsewhere, once for all pieces */
#include <lzma.h>

#include "codec.h"

/* The header of the .lzma container: properties, and a length that is not known. */
#define HEADER 13

int
pl_lzma_decode(const uint8_t properties[static 5], const uint8_t *in, size_t n, uint8_t *out,
	       size_t out_size, struct platter_error *err)
{
	uint8_t header[HEADER];
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r = lzma_alone_decoder(&s, PL_LZMA_MEMORY);
	size_t left;

	memset(header, 0xff, sizeof header);
	memcpy(header, properties, 5);
	s.next_in = header;
	s.avail_in = sizeof header;
	s.next_out = out;
	s.avail_out = out_size;
	if (r == LZMA_OK)
		r = lzma_code(&s, LZMA_RUN);
	if (r == LZMA_OK) {
		s.next_in = in;
		s.avail_in = n;
		r = lzma_code(&s, LZMA_FINISH);
	}
	left = s.avail_out;
	lzma_end(&s);
	if (!left)
		return 0;
	if (r == LZMA_MEM_ERROR)
		return pl_no_memory(err);
	if (r == LZMA_MEMLIMIT_ERROR)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "LZMA with a dictionary of %" PRIu32
				     " bytes takes more than %" PRIu64 " bytes of memory",
				     get_le32(properties + 1), PL_LZMA_MEMORY);
	return pl_corrupt(err, PLATTER_NO_OFFSET,
			  "damaged LZMA piece of %zu bytes: %zu of %zu bytes (%d)", n,
			  out_size - left, out_size, (int)r);
}
