/* SPDX-License-Identifier: GPL-3.0-or-later */
/* guard.h - what uses a block device, so that it is not destroyed by surprise */
#ifndef PL_GUARD_H
#define PL_GUARD_H

#include "block-devices.h"
#include "disk.h"
#include "storage.h"

enum pl_user_kind {
	PL_USER_MOUNT,
	PL_USER_SWAP,
	PL_USER_MEMBER, /* the device mapper, md or another driver stands on it */
	PL_USER_LOOP,   /* a loop device shows it */
	PL_USER_BTRFS,  /* of a mounted Btrfs, which names another of its devices */
	PL_USER_HELD,   /* somebody, or something, whom the kernel does not name */
};

/* One use of a device, of a part of it, or of what stands on it. */
struct pl_user {
	enum pl_user_kind kind;
	char *device;  /* "/dev/sda2", "/dev/mapper/vg-root": what is used */
	char *by;      /* the mount point, or the device that stands on it; "" */
	char *text;    /* "it is mounted on '/home'", "'/dev/sda2' is swap space" */
	char *release; /* the command that ends the use; "" if there is none to be told */
	bool system;   /* the running system goes with it */
};

/* In the order in which they can be ended. */
struct pl_users {
	struct pl_user *list;
	size_t nr;
};

/* Everything that uses the device, or the file, at `path`; none if it is not there. */
int pl_users_find(const char *path, struct pl_users *ret, struct platter_error *err);
/* The same from a tree that was read: of the device at `index`. */
int pl_users_of_block(const struct pl_blocks *blocks, size_t index, struct pl_users *ret,
		      struct platter_error *err);
void pl_users_done(struct pl_users *uses);

/* -EBUSY, naming the users and what to do, or 0 if there are none. */
int pl_users_refuse(const struct pl_users *uses, const char *path, struct platter_error *err);

/*
 * Refuse (-EBUSY, naming the users) a block device that is mounted, or one of whose partitions
 * is, or on which something stands that is; that is swap; that the device mapper, md or a loop
 * device stands on.  Also a file that a loop device stands on, or that is swap.  To be asked
 * before the device is opened exclusively.
 * 0: it may be overwritten.
 */
int pl_guard_device(const char *path, struct platter_error *err);

/*
 * The file that shows as the loop device `path`, or as the one that `path` is a partition
 * of: writing to the device writes to that file.  False if it is no loop device.
 */
bool pl_loop_file(const char *path, struct pl_file_id *ret);

#endif
