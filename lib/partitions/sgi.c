/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sgi.c - SGI volume headers
 *
 * IRIX, and Linux on the same machines.  Described in vh(7M) and <sys/dvh.h>.  Big-endian.
 *
 *	offset  size  volume header
 *	     0     4  0BE5A941
 *	     4     2  root partition
 *	     6     2  swap partition
 *	   312 16*12  number of blocks, first block and type of each partition
 *	   504     4  checksum: the sum of all 32-bit words is 0
 */
#include "scheme.h"

#include "types.h"

enum {
	SGI_MAGIC = 0x0be5a941,
	SGI_ROOT = 4,
	SGI_SWAP = 6,
	SGI_PARTITIONS = 312,
	SGI_NR_PARTITIONS = 16,
	SGI_CHECKSUM = 504,
};

enum {
	SGI_VOLUME_HEADER = 0,
	SGI_WHOLE_DISK = 6,
};

#define SECTOR 512

static uint32_t
checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < SECTOR; i += 4)
		sum += get_be32(header + i);
	return sum;
}

static int
add_partition(struct pl_table *t, const uint8_t *header, uint32_t index, struct platter_error *err)
{
	const uint8_t *p = header + SGI_PARTITIONS + index * 12;
	uint32_t type = get_be32(p + 8);
	struct platter_partition part = {
		.number = index + 1,
		.role = type == SGI_VOLUME_HEADER || type == SGI_WHOLE_DISK ? PLATTER_PARTITION_META
									    : PLATTER_PARTITION,
		.offset = (uint64_t)get_be32(p + 4) * SECTOR,
		.length = (uint64_t)get_be32(p) * SECTOR,
		.type = pl_arena_format(t->arena, "%x", type),
		.type_name = pl_sgi_type_name(type),
		.flags = index == get_be16(header + SGI_ROOT)   ? "root"
			 : index == get_be16(header + SGI_SWAP) ? "swap"
								: "",
	};

	if (!part.length)
		return 0;
	if (type == SGI_VOLUME_HEADER)
		pl_table_own(t, part.offset, part.length);
	return pl_table_add(t, &part, err);
}

static int
sgi_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	uint8_t header[SECTOR];
	int r = pl_read_padded(disk, header, sizeof header, 0, NULL, err);

	if (r < 0)
		return r;
	if (get_be32(header) != SGI_MAGIC)
		return -ENOENT;
	if (checksum(header) != 0) {
		if (!(t->flags & PLATTER_OPEN_IGNORE_CHECKSUMS))
			return pl_corrupt(err, SGI_CHECKSUM,
					  "checksum of the volume header is wrong");
		pl_warn(&t->facts, "checksum of the volume header is wrong");
	}
	t->table.sector_size = SECTOR;
	pl_table_own(t, 0, SECTOR);
	for (uint32_t i = 0; i < SGI_NR_PARTITIONS && r == 0; i++)
		r = add_partition(t, header, i, err);
	return r;
}

const struct pl_scheme pl_scheme_sgi = {
	.info = { .name = "sgi", .longname = "SGI volume header", .abilities = PLATTER_CAN_READ },
	.read = sgi_read,
};
