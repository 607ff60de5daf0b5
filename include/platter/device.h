/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/device.h - the block devices of this computer, and what keeps them from being overwritten
 * by mistake
 *
 * Whoever is to destroy what stands on a device checks it first, shows what will be lost, asks, and
 * gives the identity that he took before asking to the function that writes:
 *
 *	struct platter_restore_options options = { .size = sizeof options };
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_identity *identity;
 *
 *	if (platter_device_check("/dev/sdb", &identity, &err) < 0)
 *		return fprintf(stderr, "%s\n", err.message);
 *	printf("type %s to overwrite it: ", platter_identity_word(identity, NULL));
 *	...
 *	options.identity = identity;
 *	platter_restore(source, "/dev/sdb", &options, NULL, NULL, &err);
 *	platter_identity_free(identity);
 */
#ifndef PLATTER_DEVICE_H
#define PLATTER_DEVICE_H

#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_use_kind {
	PLATTER_USE_MOUNT,
	PLATTER_USE_SWAP,
	PLATTER_USE_MEMBER, /* the device mapper, an array or another driver stands on it */
	PLATTER_USE_LOOP,   /* a loop device shows it */
	PLATTER_USE_BTRFS,  /* of a mounted Btrfs of several devices */
	PLATTER_USE_HELD,   /* by somebody whom the kernel does not name */
};

/* One use of a device, of a partition of it, or of what stands on it. */
struct platter_device_use {
	enum platter_use_kind kind;
	const char *device;  /* "/dev/sda2", "/dev/mapper/vg-root": what is used */
	const char *user;    /* the mount point, or the device that stands on it; "" */
	const char *text;    /* "'/dev/sda2' is mounted on '/home'" */
	const char *release; /* the command that ends the use; "" if there is none to be told */
	bool system;         /* the running system goes with it */
};

struct platter_device_uses {
	const struct platter_device_use *uses; /* in the order in which they can be ended */
	size_t nr_uses;
};

/*
 * Everything that uses the device, or the image file, that `place` begins with: "/dev/sda",
 * "/dev/sda@2".  On success *ret must be freed with platter_device_uses_free().
 * Errors: -ENOENT, -ENOMEM.
 */
PLATTER_API int platter_device_uses(const char *place, struct platter_device_uses **ret,
				    struct platter_error *err);
PLATTER_API void platter_device_uses_free(struct platter_device_uses *uses); /* NULL is allowed */

/* Which device, or file, a name stands for now. */
struct platter_identity;

/*
 * Answer whether the device, or the image file, that `place` begins with may be overwritten.
 * If so, and `ret` is not NULL, *ret is what it is: device number, sequence number of its medium,
 * size, world-wide name, serial number and model; to be freed with platter_identity_free().
 * Errors: -EBUSY: in use, the message names the users and the hint how to end that; -ENOENT,
 * -EACCES, -EINVAL: neither a device nor a file; -ENOMEM.
 */
PLATTER_API int platter_device_check(const char *place, struct platter_identity **ret,
				     struct platter_error *err);

/* The same without asking whether it may be overwritten: of what one has opened oneself. */
PLATTER_API int platter_identity_take(const char *place, struct platter_identity **ret,
				      struct platter_error *err);

enum platter_word_kind {
	PLATTER_WORD_NONE, /* of a file: there is nothing to be mistaken for another */
	PLATTER_WORD_SERIAL,
	PLATTER_WORD_MODEL,
	PLATTER_WORD_PATH,
};

/*
 * What somebody is to type who means this device: its serial number, or its model if it has no
 * serial number, or its path if it has neither; "" of a file.  Valid as long as the identity.
 * *ret_kind (may be NULL) says which.
 */
PLATTER_API const char *platter_identity_word(const struct platter_identity *identity,
					      enum platter_word_kind *ret_kind);

/*
 * Does `place` begin with the same device or file still?  Functions that write compare by
 * themselves, when they have opened it, what is given to them as an identity.
 * Errors: -ENODEV: it is another, or was changed for another medium.
 */
PLATTER_API int platter_identity_check(const struct platter_identity *identity, const char *place,
				       struct platter_error *err);
PLATTER_API void platter_identity_free(struct platter_identity *identity); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
