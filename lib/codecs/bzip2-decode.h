/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bzip2-decode.h - the decoder of bzip2.c */
#ifndef PL_BZIP2_DECODE_H
#define PL_BZIP2_DECODE_H

#include "codec.h"

/* As a pl_decoder: one stream or several that follow each other; what is behind is ignored. */
int pl_bzip2_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size,
		    uint8_t *out, size_t out_size, uint64_t chunk_offset,
		    struct platter_error *err);

#endif
