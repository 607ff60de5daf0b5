/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/author.h - new discs and disks, filled with files: ISO 9660 images, partitioned disks
 * with file systems, DMGs
 *
 * What is made is written as TARGET.part and appears under its name when it is whole; after a
 * failure or a cancellation nothing of it is left.  With SOURCE_DATE_EPOCH in the environment (seconds
 * since 1970) the same files give the same bytes: no time is later, and identifiers are derived
 * from it.
 *
 *	struct platter_iso_options options = { .size = sizeof options, .label = "BACKUP" };
 *
 *	if (platter_author_iso("disc.iso", "folder", &options, NULL, NULL, &err) < 0)
 *		fprintf(stderr, "%s\n", err.message);
 */
#ifndef PLATTER_AUTHOR_H
#define PLATTER_AUTHOR_H

#include <platter/disk.h>
#include <platter/job.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Where a file's contents stand on a disc: those of higher weight first.  A pattern of the
 * shell's kind means names anywhere, or with '/' in it paths from the root; a folder's is that of
 * all that is in it.  The last pattern that fits counts; 0 where none does.
 */
struct platter_weight {
	const char *pattern;
	int weight;
};

/* Strings and arrays are borrowed during the call; NULL and 0: none. */
struct platter_iso_options {
	size_t size; /* sizeof(struct platter_iso_options) */

	/* Identifiers; ISO 9660 has room for 32 bytes of label and system, 128 of the others. */
	const char *label; /* NULL: the folder's name */
	const char *publisher, *preparer, *application, *system, *volume_set;

	bool no_rock_ridge; /* without the names, modes, owners and links of Unix */
	bool no_joliet;     /* without the names for Windows */
	bool hfsplus;     /* with a tree of HFS+ on the same contents, and an Apple partition map */
	bool udf;         /* refused (-ENOTSUP), with what to use instead: libisofs writes no UDF */
	bool implant_md5; /* with its MD5 in it, as implantisomd5 writes it; not to a stream */
	bool attributes; /* with extended attributes of the namespace "user", for libisofs's readers */

	const char *const *exclude; /* patterns, as of platter_weight, of what is left out */
	size_t nr_exclude;
	const struct platter_weight *weights;
	size_t nr_weights;

	/*
	 * What a BIOS boots: a file by its path on the disc, else one of this machine, which is put into
	 * the folder "boot" there.  4 sectors of it are loaded, without emulation of a disk; the table of
	 * ISOLINUX and GRUB is written into bytes 8 to 63 of it unless no_boot_table.
	 */
	const char *boot_bios;
	bool no_boot_table;
	/*
	 * It is GRUB 2's eltorito.img: its own address is written into it too, and `mbr`, if there is
	 * one, is GRUB's boot_hybrid.img.
	 */
	bool boot_grub2;
	/*
	 * What UEFI boots: a FAT image, by its path on the disc or of this machine, or a folder of
	 * this machine with EFI/BOOT in it, of which one is made.  It is appended as a partition too,
	 * so that a disc that is copied to a stick boots.
	 */
	const char *boot_uefi;
	/* A file with the code of a master boot record for sticks: ISOLINUX's isohdpfx.bin. */
	const char *mbr;

	/*
	 * A place: the new image begins with the session on that disc, and the folder is added to
	 * its tree in another; files of the same name take the place of the old ones.
	 */
	const char *append;
	/* A place: how that disc boots is kept; boot files that are not in the folder are taken from it. */
	const char *like;

	bool overwrite; /* replace an existing file */
	bool no_sync;   /* do not wait until the image is on stable storage */
	unsigned threads;
};

struct platter_author_result {
	uint64_t files, folders, links, others; /* that were put into it; links: symbolic ones */
	uint64_t bytes;                         /* contents of the files */
	uint64_t size;                          /* of the disc or disk */
	uint64_t stored; /* bytes that the target takes up; UINT64_MAX for a stream */
	double seconds;
};

/*
 * Make the ISO 9660 image `target` ("-": standard output) of what is in the folder `from`: one of
 * this machine, or a place that platter_volume_open() takes.  One image at a time is made in a
 * process; other threads wait.
 * Errors: -EEXIST, -ENOSPC, -EROFS, -EIO, -ENOTDIR, -ENOENT: no such folder or boot file;
 * -EINVAL: options that contradict each other; -EFBIG; -EAGAIN: a file was changed meanwhile;
 * -ENOTSUP; -ECANCELED; -ENOMEM.
 */
PLATTER_API int platter_author_iso(const char *target, const char *from,
				   const struct platter_iso_options *options,
				   struct platter_progress *progress,
				   struct platter_author_result *ret, struct platter_error *err);

/*
 * Make the DMG `target` of a folder: what a Mac mounts, and copies files from.  What is in it is a disc of
 * ISO 9660 and HFS+, as `disc` says (it may be NULL; hfsplus is implied); `image` (may be NULL) says
 * how the DMG is written, as platter_create() takes it; its format is "dmg" if it names none.
 * Errors: those of platter_author_iso() and platter_create().
 */
PLATTER_API int platter_author_dmg(const char *target, const char *from,
				   const struct platter_iso_options *disc,
				   const struct platter_create_options *image,
				   struct platter_progress *progress,
				   struct platter_author_result *ret, struct platter_error *err);

/* A partition to be made. */
struct platter_new_partition {
	uint64_t size; /* bytes, rounded up to 1 MiB; 0: the rest, for one of them */
	/*
	 * A name ("efi", "linux", "swap", "msdata", "home", "root-x86-64", ...), a GUID, or in an MBR
	 * two hexadecimal digits; NULL: as suits the file system.
	 */
	const char *type;
	const char *fs;    /* "ext4", "fat32", "ntfs", ...; NULL: it stays empty */
	const char *label; /* of the file system, and in a GPT of the partition; NULL: none */
	const char *from;  /* a folder, or a place, with what goes into it; NULL: nothing */
};

/* Strings and arrays are borrowed during the call; NULL and 0: none. */
struct platter_new_disk_options {
	size_t size;        /* sizeof(struct platter_new_disk_options) */
	uint64_t disk_size; /* 0: as large as the partitions and their table are */
	const char *table;  /* "gpt" or "mbr"; NULL: a GPT if there are partitions, else none */
	const struct platter_new_partition *partitions;
	size_t nr_partitions;
	const char *fs;    /* of a disk without a table */
	const char *label; /* of that */
	/* What goes into the last file system that has no `from` of its own. */
	const char *from;

	const char *format; /* of the image; NULL: by the target's extension, else raw */
	const struct platter_key_value *format_options;
	size_t nr_format_options;
	bool overwrite; /* replace an existing file */
	bool no_sync;   /* do not wait until the image is on stable storage */
	unsigned threads;
};

/*
 * Make a disk with partitions and file systems, filled or empty, in an image of any format that
 * platter_create() makes.  File systems are made by their own programs, which must be installed;
 * neither root nor a mount is needed.  A folder beside the target holds what they made until it is copied.
 * Errors: those of platter_create(); -ENOENT: a program, with its package as the hint, or a folder
 * is not there; -ENOTSUP: this file system cannot be filled unmounted; -ENOSPC: it does not fit; -EIO: a
 * program failed, with what it said; -EINVAL.
 */
PLATTER_API int platter_author_disk(const char *target,
				    const struct platter_new_disk_options *options,
				    struct platter_progress *progress,
				    struct platter_author_result *ret, struct platter_error *err);

/* Names of the file systems that it can make: index from 0, NULL past the last. */
PLATTER_API const char *platter_new_fs_name(size_t index);

#ifdef __cplusplus
}
#endif
#endif
