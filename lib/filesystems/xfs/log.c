/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/log.c - was it unmounted?  The last record of the log tells
 *
 * The log is a circle of 512-byte blocks; a record begins with 0xfeedbabe, its cycle and
 * number, which only grow.  If the last one holds nothing but the operation "unmount", nothing
 * is to be replayed.
 */
#include "xfs.h"

#define BASIC_BLOCK  512
#define RECORD_MAGIC 0xfeedbabe
#define UNMOUNT      0x20

/* mkfs makes logs of up to 2 GiB; what is larger is not looked through. */
#define MAX_LOG GIB(2)

enum {
	RECORD_LENGTH = 12,
	RECORD_LSN = 16,
	RECORD_NR_OPS = 40,
	RECORD_UUID = 304,
	OP_FLAGS = 9,
};

int
xfs_log_is_clean(struct xfs *fs, bool *ret, struct platter_error *err)
{
	uint64_t size = (uint64_t)fs->log_blocks << fs->block_bits, start, last_at = 0, last = 0;
	PL_AUTOFREE uint8_t *piece = NULL;
	uint8_t b[BASIC_BLOCK + OP_FLAGS + 1];
	int r;

	if (!fs->log_start)
		return pl_unsupported(err, 48, "its log is on another device");
	if (size > MAX_LOG)
		return pl_over_limit(err, 96, "log of %" PRIu64 " bytes", size);
	r = xfs_block_offset(fs, fs->log_start, &start, err);
	if (r < 0)
		return r;
	if (!pl_in_range(start, size, fs->volume.size))
		return pl_corrupt(err, 48, "log of %" PRIu64 " bytes at %" PRIu64, size, start);
	piece = malloc(MIB(1));
	if (!piece)
		return pl_no_memory(err);
	for (uint64_t at = 0; at < size; at += MIB(1)) {
		size_t n = (size_t)PL_MIN(MIB(1), size - at);

		r = pl_read(fs->volume.disk, piece, n, start + at, err);
		if (r < 0)
			return r;
		for (size_t i = 0; i + BASIC_BLOCK <= n; i += BASIC_BLOCK)
			if (get_be32(piece + i) == RECORD_MAGIC &&
			    !memcmp(piece + i + RECORD_UUID, fs->uuid, 16) &&
			    get_be64(piece + i + RECORD_LSN) >= last) {
				last = get_be64(piece + i + RECORD_LSN);
				last_at = start + at + i;
			}
	}
	*ret = false;
	if (!last_at || !pl_in_range(last_at, sizeof b, start + size))
		return 0;
	r = pl_read(fs->volume.disk, b, sizeof b, last_at, err);
	*ret = r == 0 && get_be32(b + RECORD_NR_OPS) == 1 && b[BASIC_BLOCK + OP_FLAGS] & UNMOUNT;
	return r;
}
