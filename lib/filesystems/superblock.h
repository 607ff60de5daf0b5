/* SPDX-License-Identifier: GPL-3.0-or-later */
/* superblock.h - what the drivers that recognise superblocks share */
#ifndef PL_SUPERBLOCK_H
#define PL_SUPERBLOCK_H

#include "content.h"

/*
 * n bytes of the disk at `offset`, for what a superblock points to.  False if they are
 * not all there, or cannot be read: then a warning names `what`.
 */
bool pl_super_read(struct pl_disk *disk, struct pl_content *c, void *buf, size_t n, uint64_t offset,
		   const char *what);

/* The label, as pl_text_from_bytes() and its sisters make it fit to print. */
void pl_super_label(struct pl_content *c, const void *bytes, size_t n);
void pl_super_label_utf16le(struct pl_content *c, const void *units, size_t nr_units);
void pl_super_label_utf16be(struct pl_content *c, const void *units, size_t nr_units);

/* A UUID as stored, in lower case; sixteen zeros are none. */
void pl_super_uuid(struct pl_content *c, const uint8_t uuid[static 16]);

/* Any other identifier. */
void pl_super_uuid_text(struct pl_content *c, const char *format, ...) PL_PRINTF(2, 3);

/*
 * The space that the content says it covers, starting at byte `start` of the disk; warns
 * when that is more than there is.  False if the number does not fit 64 bits.
 */
bool pl_super_size(const struct pl_disk *disk, struct pl_content *c, uint64_t start,
		   uint64_t nr_blocks, uint32_t block_size);

/* Free blocks of `block_size` bytes; ignored where it passes the size. */
void pl_super_free(struct pl_content *c, uint64_t nr_blocks, uint32_t block_size);

/* A checksum of 32 bits or more was compared: evidence, or a warning. */
void pl_super_checksum(struct pl_content *c, bool matches);

#endif
