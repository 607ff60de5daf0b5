/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vdi.h - VirtualBox disk images, version 1.1: layout, and what the parts share
 *
 * The disk is cut into blocks, usually of 1 MiB; the block map tells which block of the
 * file's data area holds each.  A differencing image names the image that it differs from
 * by UUID only.  All integers are little-endian; UUIDs are stored as Windows does.
 *
 *	offset  size  header field
 *	     0    64  text, "<<< Oracle VM VirtualBox Disk Image >>>\n" or any other
 *	    64     4  signature, 0xbeda107f
 *	    68     4  version, 0x00010001
 *	    72     4  header size from here on, at least 384
 *	    76     4  type: 1 dynamic, 2 fixed, 3 undo, 4 differencing
 *	    80     4  flags
 *	    84   256  description
 *	   340     4  block map: offset
 *	   344     4  data area: offset
 *	   348    12  cylinders, heads, sectors
 *	   360     4  sector size, 512
 *	   368     8  size of the disk
 *	   376     4  bytes of a block
 *	   380     4  bytes in front of each block in the file
 *	   384     4  blocks of the disk
 *	   388     4  blocks in the file
 *	   392    16  UUID of the image
 *	   408    16  UUID of its last modification
 *	   424    16  UUID of the parent
 *	   440    16  UUID of the parent's last modification when this was made of it
 */
#ifndef PL_VDI_H
#define PL_VDI_H

#include "blocks.h"
#include "format.h"
#include "store.h"

#define HEADER_BYTES   456
#define SIGNATURE      0xbeda107fu
#define THIS_VERSION   0x00010001u
#define MIN_BLOCK_SIZE 512u
#define MAX_BLOCK_SIZE (256u << 20)

/* Block map entries that name no block. */
#define ABSENT    0xffffffffu /* never written: the parent's bytes */
#define DISCARDED 0xfffffffeu /* zeros */

enum {
	TEXT_SIGNATURE = 64,
	VERSION = 68,
	HEADER_SIZE = 72,
	TYPE = 76,
	DESCRIPTION = 84,
	MAP_OFFSET = 340,
	DATA_OFFSET = 344,
	SECTOR_SIZE = 360,
	SIZE = 368,
	BLOCK_SIZE = 376,
	BLOCK_EXTRA = 380,
	NR_BLOCKS = 384,
	NR_ALLOCATED = 388,
	UUID = 392,
	MODIFICATION = 408,
	PARENT_UUID = 424,
	PARENT_MODIFICATION = 440,
};

enum type {
	TYPE_DYNAMIC = 1,
	TYPE_FIXED = 2,
	TYPE_UNDO = 3,
	TYPE_DIFFERENCING = 4,
};

struct vdi {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint8_t header[HEADER_BYTES];
	uint32_t type, block_size, extra, data_offset;
	uint32_t nr_blocks, nr_allocated;
	struct pl_block_table map;
	struct pl_store store;
	bool modified; /* its modification UUID is new */ /* of an image that is written */
};

static inline struct vdi *
vdi_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct vdi, disk);
}

/* The extent of a block, or of several. */
int pl_vdi_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	       struct platter_error *err);

/* write.c */
extern const struct pl_store_ops pl_vdi_store_ops;
int pl_vdi_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		 struct platter_error *err);
int pl_vdi_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		struct platter_error *err);
int pl_vdi_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		   struct platter_error *err);
int pl_vdi_flush(struct pl_disk *disk, struct platter_error *err);
int pl_vdi_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_vdi_compact(struct pl_disk *disk, struct platter_error *err);

/* writer.c */
int pl_vdi_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);
extern const struct platter_option_info pl_vdi_options[];

#endif
