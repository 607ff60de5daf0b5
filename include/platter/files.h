/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/files.h - the files inside: list, read, find and extract them
 *
 * A *volume* is the tree of files of a file system: of a whole disk, a partition, an
 * image in any format.  A place (platter/disk.h) names it, and may name a file or folder
 * in it:
 *
 *	disk.vhdx@2:/etc/fstab		a file of partition 2
 *	disk.img			a disk with partitions: each is a folder, "1", "2", ...
 *	disc.iso?fs=joliet		one of several trees that the same files have
 *	a.img@2:/b.qcow2@1:/c		a file of an image inside a file system
 *
 * A file inside is a disk itself: platter_open() takes its place, so it is read, mapped,
 * hashed, converted and compared like any other.
 *
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_volume *volume;
 *
 *	if (platter_volume_open("disk.img@1", NULL, &volume, &err) == 0)
 *		platter_list(volume, "/", print_name, NULL, &err);
 *	platter_volume_close(volume);
 *
 * Paths begin at the volume's root, with '/' between names; symbolic links on the way are
 * followed inside the volume and never leave it.  Names are UTF-8 where the file system
 * says what its names are encoded in, and else the bytes that it stores.
 *
 * Any number of threads may use one volume at once.
 */
#ifndef PLATTER_FILES_H
#define PLATTER_FILES_H

#include <platter/describe.h>
#include <platter/disk.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

struct platter_volume;

enum platter_file_type {
	PLATTER_FILE_UNKNOWN, /* of an entry only: its platter_file tells */
	PLATTER_FILE_REGULAR,
	PLATTER_FILE_FOLDER,
	PLATTER_FILE_SYMLINK,
	PLATTER_FILE_FIFO,
	PLATTER_FILE_SOCKET,
	PLATTER_FILE_CHARACTER_DEVICE,
	PLATTER_FILE_BLOCK_DEVICE,
	PLATTER_FILE_OTHER, /* whiteouts, doors, unknown reparse points: `note` says what */
};

enum platter_file_attributes {
	PLATTER_FILE_READ_ONLY = 1 << 0,
	PLATTER_FILE_HIDDEN = 1 << 1,
	PLATTER_FILE_SYSTEM = 1 << 2,
	PLATTER_FILE_ARCHIVE = 1 << 3,
	PLATTER_FILE_COMPRESSED = 1 << 4,
	PLATTER_FILE_ENCRYPTED = 1 << 5, /* its contents (or names) cannot be read */
	PLATTER_FILE_SPARSE = 1 << 6,
	PLATTER_FILE_IMMUTABLE = 1 << 7,
	PLATTER_FILE_APPEND_ONLY = 1 << 8,
	PLATTER_FILE_METADATA = 1 << 9, /* the file system's own: $MFT, a journal */
	PLATTER_FILE_DELETED = 1 << 10,
	PLATTER_FILE_DAMAGED = 1 << 11, /* what the metadata says of it contradicts itself */
};

#define PLATTER_NO_TIME INT64_MIN

/* Seconds since 1970-01-01 00:00 UTC.  File systems that keep local time are taken as UTC. */
struct platter_time {
	int64_t seconds; /* PLATTER_NO_TIME: not recorded */
	uint32_t nanoseconds;
};

/* What a file system knows of one file. */
struct platter_file {
	enum platter_file_type type;
	uint32_t attributes; /* enum platter_file_attributes */
	uint32_t mode;       /* permission bits, 07777; meaningful if has_mode */
	uint32_t uid, gid;   /* meaningful if has_owner */
	bool has_mode, has_owner;
	uint32_t links;        /* names that it has; 1 where that is not counted */
	uint32_t major, minor; /* of devices */
	uint64_t inode;        /* its number in the file system; 0 if it has none */
	uint64_t size;         /* bytes of its contents; of a symbolic link: of its target */
	uint64_t allocated;    /* bytes of the disk that it takes up; UINT64_MAX unknown */
	struct platter_time modified, accessed, changed, created;
	const char *note; /* what is special about it, a literal, or NULL: "junction", ... */
};

#ifdef __cplusplus
}
#endif
#endif
