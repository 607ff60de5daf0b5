/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parallels.h - Parallels expanding images, .hdd and .hds: layout, and what the parts share
 *
 * A header, a table (BAT) of one entry for each cluster of the disk, and the clusters.
 * Spec: QEMU, docs/interop/parallels.txt.  All integers are little-endian.
 *
 *	offset  size  header field
 *	     0    16  "WithoutFreeSpace": BAT entries count sectors;
 *	              "WithouFreSpacExt": they count clusters
 *	    16     4  version, 2
 *	    20     8  heads, cylinders
 *	    28     4  sectors of a cluster
 *	    32     4  BAT entries
 *	    36     8  sectors of the disk; the old magic has only the low 4 bytes
 *	    44     4  in use: 0x746f6e59 while open for writing
 *	    48     4  where data begins, in sectors; 0: behind the BAT
 *	    52     4  flags
 *	    56     8  format extension, in sectors; 0: none
 *	    64        BAT: 4 bytes a cluster, counted from the start of the file, 0: absent
 *
 * The format extension is a cluster of sections: dirty bitmaps.
 */
#ifndef PL_PARALLELS_H
#define PL_PARALLELS_H

#include "blocks.h"
#include "format.h"
#include "store.h"

#define HEADER_SIZE 64
#define MAGIC_SIZE  16
#define SECTOR      512u
#define OLD_MAGIC   "WithoutFreeSpace"
#define NEW_MAGIC   "WithouFreSpacExt"
#define IN_USE      0x746f6e59u
#define CLOSED      0x312e3276u

/* 1 GiB. */
#define MAX_CLUSTER_SECTORS (1u << 21)

enum {
	VERSION = 16,
	HEADS = 20,
	CYLINDERS = 24,
	CLUSTER_SECTORS = 28,
	NR_ENTRIES = 32,
	NR_SECTORS = 36,
	STATE = 44,
	DATA_OFFSET = 48,
	EXTENSION = 56,
};

struct parallels {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	bool old;             /* the magic */
	uint32_t state;
	uint64_t cluster; /* bytes */
	uint64_t unit;    /* bytes that an entry counts */
	uint64_t bat_end;
	uint64_t data_offset; /* bytes; where the first cluster may be */
	uint64_t extension;   /* bytes, 0: none */
	struct pl_block_table bat;
	struct pl_store store; /* of an image that is written */
	uint64_t anchor;       /* of one: where clusters begin, modulo their size */
};

static inline struct parallels *
parallels_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct parallels, disk);
}

/* Where the cluster of an entry is, checked. */
int pl_parallels_entry(const struct parallels *p, uint64_t index, uint32_t entry, uint64_t *ret,
		       struct platter_error *err);

/* write.c */
extern const struct pl_store_ops pl_parallels_store_ops;
int pl_parallels_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		       struct platter_error *err);
int pl_parallels_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		      struct platter_error *err);
int pl_parallels_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
			 struct platter_error *err);
int pl_parallels_flush(struct pl_disk *disk, struct platter_error *err);
int pl_parallels_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err);
int pl_parallels_compact(struct pl_disk *disk, struct platter_error *err);
/* The header's field for an image that is in use, or closed. */
int pl_parallels_set_state(struct parallels *p, uint32_t state, struct platter_error *err);

/* writer.c */
int pl_parallels_create(const struct pl_create_request *request, struct pl_writer **ret,
			struct platter_error *err);
extern const struct platter_option_info pl_parallels_options[];

#endif
