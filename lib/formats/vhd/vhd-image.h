/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhd-image.h - an open VHD image, shared by the parts of the driver */
#ifndef PL_VHD_IMAGE_H
#define PL_VHD_IMAGE_H

#include "blocks.h"
#include "store.h"
#include "vhd.h"

enum {
	NAME_RELATIVE,
	NAME_ABSOLUTE,
	NAME_PARENT,
	NR_NAMES
};

struct vhd {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct vhd_footer footer;
	uint64_t footer_at;
	uint64_t data_end; /* where the tail footer begins, or should have */
	unsigned damage;   /* enum vhd_damage */

	/* Not of a fixed disk. */
	struct pl_disk *tables; /* where they are read: `file`, or staged; borrowed */
	uint64_t header_at, table_offset;
	uint32_t max_entries, block_size, bitmap_size;
	uint64_t nr_blocks;
	struct pl_block_table table;

	/* Of a differencing disk. */
	uint8_t parent_uuid[16];
	uint32_t parent_time;
	char *names[NR_NAMES]; /* NULL: not there */

	/* Of one that is written. */
	struct pl_store store;
	uint8_t raw_footer[VHD_FOOTER_SIZE];
};

static inline struct vhd *
vhd_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct vhd, disk);
}

/* write.c */
extern const struct pl_store_ops pl_vhd_store_ops;
int pl_vhd_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		 struct platter_error *err);
int pl_vhd_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		struct platter_error *err);
int pl_vhd_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		   struct platter_error *err);
int pl_vhd_flush(struct pl_disk *disk, struct platter_error *err);
int pl_vhd_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_vhd_compact(struct pl_disk *disk, struct platter_error *err);

/* Write what the image lacks at its ends again; see pl_change_ops.repair. */
int pl_vhd_rewrite_ends(struct vhd *v, struct platter_error *err);

#endif
