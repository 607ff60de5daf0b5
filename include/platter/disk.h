/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/disk.h - opening disks and moving their bytes
 *
 * A *disk* is a numbered run of bytes: a device, an image in any format, a
 * partition in one of those.  A *place* names a disk:
 *
 *	PATH[?KEY=VALUE[&...]] [ @PARTITION[/VOLUME][?KEY=VALUE[&...]] ]... [ :/FILE ... ]
 *
 *	disk.qcow2			the disk in an image, its format found by looking
 *	/dev/sda			a device
 *	disk.img@2, disk.img@EFI	a partition by number, or by its name, label or GUID
 *	disk.img@2/root, disk.img@2/vg/root
 *					a logical volume of the LVM2 physical volume in partition 2
 *	pv.img@root, pv.img@/vg/root	the same, where the disk is a physical volume as a whole
 *	disk.qcow2?snapshot=monday	a snapshot that the image holds
 *	disc.cue?disk=2			a track of a disc; ?disk=raw: all its sectors, 2352 bytes each
 *	disk.img@1?format=qcow2@2	partition 2 of the QCOW2 image stored in partition 1
 *	disk.img@2:/vm/guest.qcow2	a file in a file system, as it is; followed by '@' or ":/"
 *					the image that it holds
 *	disk.img?map=disk.map		what this mapfile of ddrescue's does not call finished is bad
 *	disk.img.001			split raw images, by their first part
 *	disk.hdd			a disk of Parallels, by the folder of its DiskDescriptor.xml
 *	backup.sparsebundle		a sparse bundle of Apple's, by its folder
 *	-				standard input, as a raw stream
 *
 * Keys: format=NAME opens that element as this format instead of looking;
 * snapshot=NAME|ID, of an image or, if that has none of this name, of the file system on it;
 * fs=NAME chooses one of several file systems
 * or trees of files; backing=no opens an overlay without its backing file, its
 * holes reading as zeros; map=FILE names a mapfile, of what could not be read, other than
 * IMAGE.map, and map=none takes none.  A file whose name holds '?' or '@' is found first under
 * its whole name.
 *
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_disk *disk;
 *	char sector[512];
 *
 *	if (platter_open("disk.qcow2@1", NULL, &disk, &err) < 0 ||
 *	    platter_read(disk, sector, sizeof sector, 0, &err) < 0)
 *		fprintf(stderr, "%s\n", err.message);
 *	platter_close(disk);
 *
 * Offsets and lengths are bytes.  Any number of threads may read, map and query
 * one disk at once; writing calls exclude each other inside the library, and a
 * read that races with a write of the same bytes may return either state.
 */
#ifndef PLATTER_DISK_H
#define PLATTER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <platter/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PLATTER_API
#define PLATTER_API __attribute__((visibility("default")))
#endif

struct platter_disk;

enum platter_open_flags {
	PLATTER_OPEN_WRITE = 1 << 0,     /* for writing as well as reading */
	PLATTER_OPEN_EXCLUSIVE = 1 << 1, /* refuse a block device that anything else uses */
	PLATTER_OPEN_IGNORE_CHECKSUMS =
		1 << 2,                   /* take damaged metadata as it is: for rescuing data */
	PLATTER_OPEN_NO_BACKING = 1 << 3, /* an overlay alone; its holes read as zeros */
	PLATTER_OPEN_DIRECT = 1 << 4,     /* read from the medium, past the page cache */
};

struct platter_open_options {
	size_t size;        /* sizeof(struct platter_open_options) */
	unsigned flags;     /* enum platter_open_flags */
	const char *format; /* format of the outermost element, or NULL to look */

	/*
	 * Paths that stand for parents which are not found under their names, the first for the
	 * first that is missing, going down the chain.  A format that can tell whether it is the
	 * right one (by UUID, content ID) refuses another, unless checksums are ignored.
	 */
	const char *const *parents;
	size_t nr_parents;
};

/*
 * Open the disk at `place`.  `options` may be NULL.  On success *ret_disk must be
 * closed with platter_close().
 * An encrypted image needs its pass phrase: see platter/secret.h.
 * Errors: -ENOENT, -EACCES, -EUCLEAN, -ENOTSUP, -EFBIG, -EIO, -EBUSY, -EINVAL, -ENOKEY,
 * -EKEYREJECTED.
 */
PLATTER_API int platter_open(const char *place, const struct platter_open_options *options,
			     struct platter_disk **ret_disk, struct platter_error *err);

/*
 * Flush what was written and release the disk.  NULL is allowed.  Errors of the
 * flush are lost: call platter_flush() first where they matter.
 */
PLATTER_API void platter_close(struct platter_disk *disk);

/* Size in bytes.  UINT64_MAX: a stream whose end is not known yet. */
PLATTER_API uint64_t platter_size(const struct platter_disk *disk);

/* Logical and physical sector size in bytes, as far as known; else 512. */
PLATTER_API uint32_t platter_sector_size(const struct platter_disk *disk);
PLATTER_API uint32_t platter_physical_sector_size(const struct platter_disk *disk);

/* The place as given to platter_open(); valid until the disk is closed. */
PLATTER_API const char *platter_name(const struct platter_disk *disk);

/* Name of the format as platter_format_info() lists it ("raw", "qcow2", ...). */
PLATTER_API const char *platter_format_name(const struct platter_disk *disk);

/*
 * Copy disk bytes [offset, offset + n) into `buf`.  No alignment is needed; what
 * is not stored reads as zeros, and so do sectors known as bad (platter_map()
 * tells them apart).  There are no short reads; after a failure `buf` is undefined.
 * n = 0 succeeds anywhere up to and including the end.
 * Errors: -ERANGE past the end, -EUCLEAN, -ENOTSUP, -EIO, -ENOMEM.
 */
PLATTER_API int platter_read(struct platter_disk *disk, void *buf, size_t n, uint64_t offset,
			     struct platter_error *err);

/*
 * Write, in place, bytes [offset, offset + n).  The disk was opened for writing.
 * After platter_flush() the bytes survive a power cut; a kill at any moment leaves
 * an image that opens.
 * Errors: -EROFS, -ERANGE, -ENOTSUP, -ENOSPC, -EIO, -ENOMEM.
 */
PLATTER_API int platter_write(struct platter_disk *disk, const void *buf, size_t n, uint64_t offset,
			      struct platter_error *err);

/*
 * Make [offset, offset + length) read as zeros, storing nothing where the format
 * can.  Errors as platter_write().
 */
PLATTER_API int platter_zero(struct platter_disk *disk, uint64_t offset, uint64_t length,
			     struct platter_error *err);

/*
 * Tell the disk that [offset, offset + length) is not needed any more.  What it
 * reads as afterwards is not promised, except that it is zeros in every image
 * format platter writes.  Errors as platter_write().
 */
PLATTER_API int platter_discard(struct platter_disk *disk, uint64_t offset, uint64_t length,
				struct platter_error *err);

/* Bring everything written so far to stable storage.  Errors: -EIO, -ENOSPC. */
PLATTER_API int platter_flush(struct platter_disk *disk, struct platter_error *err);

enum platter_kind {
	PLATTER_DATA, /* stored bytes */
	PLATTER_ZERO, /* reads as zeros, nothing stored */
	PLATTER_HOLE, /* never written here: reads as zeros */
	PLATTER_BAD,  /* could not be read from the original; reads as zeros */
};

/* One run of a disk's map; see platter_map(). */
struct platter_extent {
	uint64_t offset; /* where it starts on the disk */
	uint64_t length; /* > 0 */
	enum platter_kind kind;
	bool compressed;        /* PLATTER_DATA: stored through a codec */
	uint32_t depth;         /* 0: in the image itself; 1: in its backing file; ... */
	uint64_t stored_offset; /* PLATTER_DATA: byte of `stored_in`, UINT64_MAX unknown */
	uint64_t stored_length; /* PLATTER_DATA: bytes stored; `length` unless compressed */
	/*
	 * PLATTER_DATA: the file or device that holds it, of split parts the first, whose offsets
	 * go on through all.  Valid until the disk is closed; NULL unknown.
	 */
	const char *stored_in;
};

/*
 * The extent that starts at `offset` (< size), at most `length` bytes of it.  Calling
 * again at ret->offset + ret->length walks the whole disk.
 * Errors: -ERANGE, -EUCLEAN, -EIO; -ENOTSUP: a stream has no map.
 */
PLATTER_API int platter_map(struct platter_disk *disk, uint64_t offset, uint64_t length,
			    struct platter_extent *ret, struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
