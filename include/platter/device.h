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

#include <platter/describe.h>
#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_device_kind {
	PLATTER_DEVICE_DRIVE,
	PLATTER_DEVICE_PARTITION,
	PLATTER_DEVICE_OPTICAL, /* platter/drive.h tells more of those */
	PLATTER_DEVICE_FLOPPY,
	PLATTER_DEVICE_LOOP,   /* shows a file, or another device, as a disk */
	PLATTER_DEVICE_NBD,    /* a disk of a server */
	PLATTER_DEVICE_MAPPER, /* LVM, dm-crypt, multipath, ... */
	PLATTER_DEVICE_ARRAY,  /* md */
	PLATTER_DEVICE_ZRAM,
	PLATTER_DEVICE_RAM,
	PLATTER_DEVICE_OTHER,
};

/* What a device is made of. */
enum platter_device_nature {
	PLATTER_NATURE_PHYSICAL, /* a drive that one can hold in the hand */
	PLATTER_NATURE_VIRTUAL,  /* a disk that a virtual machine monitor shows */
	PLATTER_NATURE_REMOTE,   /* a disk on a network */
	PLATTER_NATURE_IMAGE,    /* a file */
	PLATTER_NATURE_DERIVED,  /* other devices, or a part of one */
	PLATTER_NATURE_MEMORY,   /* lost when the computer is switched off */
	PLATTER_NATURE_UNKNOWN,
};

enum platter_health {
	PLATTER_HEALTH_UNKNOWN,
	PLATTER_HEALTH_GOOD,
	PLATTER_HEALTH_WARNING, /* worn, hot, or sectors were reallocated or wait for it */
	PLATTER_HEALTH_FAILING, /* the drive itself says that it is about to fail */
};

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

/* What a drive tells of its state; numbers that it does not tell are UINT64_MAX. */
struct platter_drive_health {
	enum platter_health health;
	const char *reason;                           /* one phrase; "" if good or unknown */
	uint64_t reallocated, pending, uncorrectable; /* sectors */
	uint64_t power_on_hours;
	uint64_t percent_used; /* of the life of flash */
	int temperature;       /* degrees Celsius; INT32_MIN: not told */
};

#define PLATTER_NO_DEVICE SIZE_MAX

/* Strings are "" where something is not known or does not apply. */
struct platter_device {
	const char *path;  /* "/dev/sda1", "/dev/mapper/vg-root" */
	const char *name;  /* the kernel's: "sda1", "dm-0" */
	const char *by_id; /* "/dev/disk/by-id/...": stays the same when others are plugged in */
	uint32_t major, minor;
	enum platter_device_kind kind;
	enum platter_device_nature nature;
	const char *type; /* "dm-crypt (LUKS2)", "LVM logical volume", "raid1", "loop device" */
	bool attached;    /* false: a loop device, drive, ... with nothing in it */
	uint64_t size;    /* bytes */
	uint64_t start;   /* of a partition: where it begins on its disk */
	uint32_t sector_size, physical_sector_size; /* 0 not known */
	const char *bus; /* "sata", "usb", "nvme", "scsi", "virtio", "mmc", ... */
	const char *vendor, *model, *serial, *wwn, *firmware;
	bool rotational, rotational_known;
	bool removable, read_only;
	const char *backing; /* the file of a loop device, what is known of the server of NBD */
	uint32_t partition;  /* number of a partition; 0: it is none */
	const char *state;   /* of an array that is not whole: "degraded, 1 of 2 members missing" */

	/* Indexes in the list.  What it stands on, the disk of a partition; what stands on it. */
	const size_t *parents, *children;
	size_t nr_parents, nr_children;

	const char *const *mounts; /* points */
	size_t nr_mounts;
	bool swap;
	const struct platter_device_use *uses; /* of it, its partitions, and what stands on them */
	size_t nr_uses;

	/*
	 * What was read of it; of a partition that its disk's table has, the entry in that and its
	 * contents, and no description of its own.
	 */
	bool examined;
	const struct platter_description *description;
	const struct platter_partition *entry;
	const struct platter_content *contents; /* best match first; several is ambiguous */
	size_t nr_contents;
	const struct platter_drive_health *health; /* of a whole drive; NULL: not asked */
	const char *problem; /* why it could not be examined: no permission, it hangs; "" */
};

struct platter_device_list {
	const struct platter_device *devices; /* by name, numbers in names as numbers */
	size_t nr_devices;
};

struct platter_device_list_options {
	size_t size;      /* sizeof(struct platter_device_list_options) */
	bool no_contents; /* do not read what is on them */
	bool no_health;   /* do not ask the drives how they are */
	unsigned timeout; /* seconds that one device may take to be examined; 0: ten */
};

/*
 * The block devices of this computer.  With `paths` (`nr_paths` of them), only those and what
 * stands on them are examined; the list has all devices all the same, since indexes lead to them.
 * Nothing is written, and devices are opened read-only.  A device that does not answer in time
 * gets a `problem`; a thread then stays behind that waits for it, and the process cannot end
 * before it does: call this in a child where that matters.
 * On success *ret must be freed with platter_device_list_free().  `options` may be NULL.
 * Errors: -ENOENT: one of the paths is not there, or there is no /sys; -ENOTBLK: it is no block
 * device; -ENOMEM.
 */
PLATTER_API int platter_device_list(const char *const *paths, size_t nr_paths,
				    const struct platter_device_list_options *options,
				    struct platter_device_list **ret, struct platter_error *err);
PLATTER_API void platter_device_list_free(struct platter_device_list *list); /* NULL is allowed */

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
