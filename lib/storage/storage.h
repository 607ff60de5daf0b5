/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * storage.h - where bytes really are: files, devices, split parts, streams
 *
 * Each is a leaf disk.  Reading asks SEEK_HOLE for holes; writing is safe from any
 * thread.  A new file is written as PATH.part and takes its name when it is committed.
 */
#ifndef PL_STORAGE_H
#define PL_STORAGE_H

#include "disk.h"
#include "mapfile.h"

/*
 * Open what `path` names: a regular file, a block device, the first part of a split
 * image (".001", ".aa", ".000" with a second part beside it), or "-" for standard input
 * (a file if it is redirected from one).  Other kinds of file are refused without blocking.
 * What is opened for writing is kept from others who would write it: other disks of this room,
 * and programs that lock as QEMU's do; -EBUSY if they were first.
 * `flags`: PLATTER_OPEN_WRITE, _EXCLUSIVE, _DIRECT.  With PL_STORAGE_SINGLE split parts are
 * opened as the plain files that they are.
 */
#define PL_STORAGE_SINGLE (1u << 16)
int pl_storage_open(const char *path, unsigned flags, struct pl_disk **ret,
		    struct platter_error *err);

/*
 * The next bytes of a sequential disk that was opened as "-", fewer than n (*ret_n) only at
 * its end; disk->size, UINT64_MAX until then, is known from there on.
 */
int pl_stream_read(struct pl_disk *disk, void *buf, size_t n, size_t *ret_n,
		   struct platter_error *err);

struct pl_storage_create {
	uint64_t split; /* bytes a part, 0: one file */
	bool resume;    /* keep what an earlier PATH.part holds; a new one if there is none */
	bool overwrite; /* PATH may exist: it is replaced when committed */
	/*
	 * With it: what stands beside PATH stays, for the old file there names it until it is
	 * replaced.  Files beside the new one get other names.
	 */
	bool anew;
	bool direct; /* write past the page cache where the file system can: large images */
	/*
	 * PATH is a folder, and this the file in it that is written; others go beside that, see
	 * pl_storage_put_beside().  All of it is PATH.part/ until committed.  What is replaced may
	 * be a folder with such a file, and with `also` in it (NULL: that is all), which goes with
	 * all that it has.  NULL: PATH is a file.
	 */
	const char *inside, *also;
};

/*
 * A new file to write, reached through PATH.part until committed; "-" is standard
 * output (sequential, or a file if it is redirected to one).  The disk is growable and
 * starts empty, or with what PATH.part held if `resume`.
 * Errors: -EEXIST, -EBUSY (another process writes PATH.part), -ENOENT, -EACCES, ...
 */
int pl_storage_create(const char *path, const struct pl_storage_create *how, struct pl_disk **ret,
		      struct platter_error *err);

/*
 * Give a new file, and those beside it, the owner, group and mode of the file at `path`, as far as
 * we may.
 */
int pl_storage_mode_like(struct pl_disk *disk, const char *path, struct platter_error *err);

/*
 * Files beside a new one that are named after it and appear together with it: disk.vmdk gets
 * disk-flat.vmdk, or disk-s001.vmdk, disk-s002.vmdk and so on; made anew while such are there,
 * disk-2-s001.vmdk and so on, and when those are there, disk-3-s001.vmdk.
 */
struct pl_storage_beside {
	const char *tag;       /* what their names have more: "-flat", "-s", "" */
	const char *extension; /* theirs, without the dot; NULL: as that of the other */
	uint64_t split;        /* bytes that each has of the disk, numbered from 001; 0: one file */
	bool loose;            /* each ends where it was written to, not at `split` */
};

/*
 * Create them, once, as one growable disk, which makes files as it is written to.  It is
 * borrowed from `file` and committed or abandoned with it.  It may have others beside it itself.
 * Errors: those of pl_storage_create(); -ENOTSUP: `file` is not one that gets a name.
 */
int pl_storage_create_beside(struct pl_disk *file, const struct pl_storage_beside *how,
			     struct pl_disk **ret, struct platter_error *err);

/* The path that the index-th of them will have, malloc()ed; NULL: past the last, or no memory. */
char *pl_storage_beside_path(struct pl_disk *file, size_t index);

/* The path by which one of them, to be called `path`, is reached now; NULL: it is none. */
const char *pl_storage_beside_now(struct pl_disk *file, const char *path);

/* The folder that the file behind a disk is in, malloc()ed; NULL: there is none, or no memory. */
char *pl_storage_folder(struct pl_disk *file);

/*
 * The name of something in a folder that is not in the list, which ends with NULL: malloc()ed,
 * NULL if there is no such thing.
 */
int pl_storage_find_other(const char *folder, const char *const *names, char **ret,
			  struct platter_error *err);

/*
 * Put a file of these bytes beside `file`, or in place of the one that has this name: it is whole
 * and on stable storage under it, or not there.  Beside one that is counted it is counted.
 */
int pl_storage_put_beside(struct pl_disk *file, const char *name, const void *bytes, size_t n,
			  struct platter_error *err);

/*
 * A disk of `size` bytes cut into files of a folder, which are named by their numbers in lower-case
 * hexadecimal.  What is not there reads as zeros, and so does what follows the end of one that is
 * shorter than band_size; a longer one is an error where it is read.  Files are made when they are
 * written to, and go when all of them is zeroed and may be unmapped.  pl_resize() removes what lies
 * behind the end, old or new.  It is for whoever has the folder to itself.
 */
int pl_storage_bands(const char *folder, uint64_t band_size, uint64_t size, bool writable,
		     struct pl_disk **ret, struct platter_error *err);

/*
 * The same in a new folder of this name beside `file`, which is one that was created.  Beside one
 * that is counted it is counted.
 */
int pl_storage_create_bands(struct pl_disk *file, const char *name, uint64_t band_size,
			    uint64_t size, struct pl_disk **ret, struct platter_error *err);

/* Where what is stored of the band that holds `offset` ends; its start if it is not there. */
int pl_storage_band_end(struct pl_disk *disk, uint64_t offset, uint64_t *ret,
			struct platter_error *err);

/* Tell of every file, in the order of their numbers; length UINT64_MAX: it is no regular file. */
int pl_storage_each_band(struct pl_disk *disk,
			 int (*each)(void *closure, uint64_t number, uint64_t length,
				     struct platter_error *err),
			 void *closure, struct platter_error *err);

/*
 * A growable file that keeps nothing of what is written to it but how long it is and how much
 * was written.  Nothing can be read back.  It has files beside it that are like it.
 */
int pl_storage_count(struct pl_disk **ret, struct platter_error *err);

/* Count [at, at + n) as written. */
void pl_storage_count_range(struct pl_disk *disk, uint64_t at, uint64_t n);

/* How long it is and how much was written, together with the files beside it. */
void pl_storage_counted(struct pl_disk *disk, uint64_t *ret_length, uint64_t *ret_written);

/*
 * The file is whole: bring it to stable storage (unless !sync) and give it its name,
 * without replacing a file that appeared meanwhile unless `overwrite` was set.
 */
int pl_storage_commit(struct pl_disk *disk, bool sync, struct platter_error *err);

/* The file is not whole: leave PATH.part if `keep`, else remove it. */
void pl_storage_abandon(struct pl_disk *disk, bool keep);

/* Bytes that the file, or all parts, take up on their file system; UINT64_MAX unknown. */
uint64_t pl_storage_allocated(struct pl_disk *disk);

/* Paths of the files behind a disk of this room: index from 0, NULL past the last. */
const char *pl_storage_path(struct pl_disk *disk, size_t index);

/* Device and inode of the index-th file; of a device: st_rdev with inode 0.  False past the last. */
struct pl_file_id {
	uint64_t device, inode;
};
bool pl_storage_id(struct pl_disk *disk, size_t index, struct pl_file_id *ret);

bool pl_storage_is_device(struct pl_disk *disk);

/* -EBUSY: another program says by its locks that it writes one of the files. */
int pl_storage_check_unwritten(struct pl_disk *disk, struct platter_error *err);

/*
 * Share [from, from + length) of `source` with `target` at `to` instead of copying:
 * reflink, or a copy that the file system does itself.  Both are leaves of this room.
 * -ENOTSUP: they can't; nothing was done.
 */
int pl_storage_share(struct pl_disk *source, uint64_t from, struct pl_disk *target, uint64_t to,
		     uint64_t length, struct platter_error *err);

/* Ask the kernel to read the partition table of a device again.  No-op for files. */
int pl_storage_reread_table(struct pl_disk *disk, struct platter_error *err);

/*
 * How many threads may usefully write `disk` at once: behind a page cache one, which the
 * lock of the file lets in; many where writes go to the device.
 */
unsigned pl_storage_writers(struct pl_disk *disk);

/* A mapfile; -EUCLEAN: the file is none. */
int pl_storage_load_mapfile(const char *path, struct pl_mapfile *ret, struct platter_error *err);
/* Put it in place of the one at `path`; on stable storage when it returns. */
int pl_storage_save_mapfile(const struct pl_mapfile *m, const char *path,
			    struct platter_error *err);

/*
 * What the mapfile at `path` does not call finished is BAD on the disk of an image, or where it
 * is as long as the file of an image of a disc, in that.  `path` NULL: IMAGE.map, if that is there
 * and begins as a mapfile.  -EINVAL: the mapfile is of a disk of another size.
 */
int pl_storage_set_lost(struct pl_disk *disk, const char *image, const char *path,
			struct platter_error *err);

/* -EEXIST: what is there is no mapfile, and must not be replaced by one. */
int pl_storage_check_mapfile(const char *path, struct platter_error *err);
/* Remove a mapfile; what is there and is none stays. */
void pl_storage_remove_mapfile(const char *path);

/* Write past the page cache from now on, where the file system can: what is large and to be kept. */
void pl_storage_write_direct(struct pl_disk *disk);

/* Forget cached pages, so that the next read comes from the medium.  Best effort. */
void pl_storage_drop_cache(struct pl_disk *disk);

#endif
