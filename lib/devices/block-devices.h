/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * block-devices.h - the block devices that the kernel lists, what stands on what, and what uses them
 *
 * All of it is read at once from /sys and /proc, without opening a device.  The root under which
 * those are is given, so that a recorded tree can stand for a computer: "" for this one.
 */
#ifndef PL_BLOCK_DEVICES_H
#define PL_BLOCK_DEVICES_H

#include <sys/types.h>

#include "bytes.h"
#include "error.h"
#include "storage.h"

#define PL_NO_BLOCK SIZE_MAX

struct pl_block_device {
	char *name; /* the kernel's: "sda1", "dm-0" */
	char *path; /* "/dev/sda1", "/dev/mapper/vg-root" */
	char *link; /* its folder in /sys, all links resolved: "/sys/devices/..." */
	dev_t number;
	size_t disk;        /* that it is a partition of, or PL_NO_BLOCK */
	uint32_t partition; /* its number there; 0: none */
	uint64_t start;     /* of a partition, in bytes */
	uint64_t size;      /* bytes */
	uint64_t sequence;  /* changes with the medium; 0: the kernel does not tell */
	bool read_only;
	char *dm_name, *dm_uuid; /* of the device mapper; NULL: another kind */
	char *loop_file; /* what a loop device shows; NULL: no file is attached, or no loop */
	char *md_level;  /* "raid1", ...; NULL: no array of md */
	/* Members are opened and not closed: md, dm, bcache, and loop devices on devices. */
	size_t *above, *below;
	size_t nr_above, nr_below;
};

/* A line of the mount table. */
struct pl_mount {
	size_t block; /* that it is of, or PL_NO_BLOCK */
	dev_t number; /* as the kernel shows it */
	char *point, *type, *source;
};

struct pl_swap {
	size_t block;         /* PL_NO_BLOCK: a file */
	struct pl_file_id id; /* of that */
	char *path;
};

/* A Btrfs that is mounted, with a device of it; one each. */
struct pl_btrfs_member {
	char uuid[40];
	size_t block;
};

struct pl_blocks {
	char *root;                   /* "" or the folder of a recorded tree */
	struct pl_block_device *list; /* in the order of their names, numbers in these as numbers */
	size_t nr;
	struct pl_mount *mounts; /* in the order in which they were made */
	size_t nr_mounts;
	struct pl_swap *swaps;
	size_t nr_swaps;
	struct pl_btrfs_member *btrfs;
	size_t nr_btrfs;
};

/* Free with pl_blocks_free().  Errors: -ENOMEM; -ENOENT: there is no /sys. */
int pl_blocks_read(const char *root, struct pl_blocks **ret, struct platter_error *err);
void pl_blocks_free(struct pl_blocks *blocks); /* NULL is allowed */

/* Index of a device by its number, its kernel's name, or a path that leads to it; or PL_NO_BLOCK. */
size_t pl_blocks_by_number(const struct pl_blocks *blocks, dev_t number);
size_t pl_blocks_by_name(const struct pl_blocks *blocks, const char *name);
size_t pl_blocks_by_path(const struct pl_blocks *blocks, const char *path);

/*
 * The first line of an attribute of a device: "queue/rotational", "../serial".  False: it has no
 * such, or an empty one.  `n` includes the NUL; blanks around it are cut off.
 */
bool pl_block_text(const struct pl_blocks *blocks, size_t index, const char *attribute, char *ret,
		   size_t n);
/* The same as a number, `otherwise` if there is none. */
uint64_t pl_block_number(const struct pl_blocks *blocks, size_t index, const char *attribute,
			 uint64_t otherwise);
/* The bytes of a binary attribute, at most `n` of them; how many. */
size_t pl_block_bytes(const struct pl_blocks *blocks, size_t index, const char *attribute,
		      uint8_t *ret, size_t n);

#endif
