/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs.h - libisofs, as ISO images are made with it: the pieces of one piece of work
 *
 * libisofs lays the image out and writes all its structures.  It does not get the contents of
 * files to see: it is given blocks that only name what stands there (isofs-stream.c), and
 * whoever takes the image from it reads the contents into their places on all processors.
 */
#ifndef PL_ISOFS_H
#define PL_ISOFS_H

#include <stdint.h>
#include <sys/types.h>

/* It then brings struct burn_source itself. */
#define LIBISOFS_WITHOUT_LIBBURN
#include <libisofs/libisofs.h>

#include <platter/author.h>

#include "place.h"
#include "progress.h"
#include "source.h"
#include "storage.h"

#define ISO_BLOCK       2048
#define ISO_SYSTEM_AREA 32768

struct pl_isofs {
	const struct platter_iso_options *options;
	const struct pl_source *source;
	struct platter_progress *progress;
	IsoImage *image;
	IsoWriteOpts *write;
	int64_t epoch; /* SOURCE_DATE_EPOCH, or -1 */
	time_t now;    /* of what has no time of its own */

	/* What names contents to come: 16 random bytes in front of each block. */
	uint8_t mark[16];
	const struct pl_item **contents; /* by number */
	size_t nr_contents, capacity;
	uint32_t *rank; /* by serial: order of the contents by weight, or NULL */

	/* The disc that is appended to, or whose boot set-up is kept. */
	struct pl_place *old;
	IsoDataSource *old_source;
	uint64_t old_blocks;
	uint8_t *overwrite; /* ... the first 64 KiB of an image that got another session */

	/* Files that libisofs opens by a path while it writes. */
	int fds[8];
	size_t nr_fds;
};

/* Turn what libisofs last said of `code` into an error. */
int pl_isofs_fail(struct platter_error *err, int code, const char *format, ...) PL_PRINTF(3, 4);

/* isofs-stream.c: a stream of blocks that name the contents of `item`. */
int pl_isofs_stream_new(struct pl_isofs *w, const struct pl_item *item, IsoStream **ret,
			struct platter_error *err);

/* isofs-tree.c: put the whole source below the root of the image. */
int pl_isofs_add_tree(struct pl_isofs *w, struct platter_error *err);
/* Put bytes, which are copied, there as a file at `path`; folders are made. */
int pl_isofs_add_bytes(struct pl_isofs *w, const char *path, const uint8_t *bytes, size_t n,
		       struct platter_error *err);
/* The node at `path`, which need not begin with '/'; NULL: none. */
IsoNode *pl_isofs_node(struct pl_isofs *w, const char *path);
/* The folder at `path`, made if it is not there. */
int pl_isofs_folder(struct pl_isofs *w, const char *path, IsoDir **ret, struct platter_error *err);

/* isofs-boot.c: El Torito, master boot record and partitions, as the options want them. */
int pl_isofs_add_boot(struct pl_isofs *w, struct platter_error *err);
/*
 * Let libisofs see the contents of a boot file: of the source, or else of this machine, which gets
 * into the folder "boot" of the disc.  *ret_path: where it is there, malloc()ed.
 */
int pl_isofs_show(struct pl_isofs *w, const char *path, char **ret_path, struct platter_error *err);
/* Make the file at `path` boot; the first brings the boot catalog, which no tree shows. */
int pl_isofs_add_boot_image(struct pl_isofs *w, const char *path, bool first,
			    enum eltorito_boot_media_type type, ElToritoBootImage **ret,
			    struct platter_error *err);

/* isofs-old.c: open a disc that there is already, and load its tree. */
int pl_isofs_import(struct pl_isofs *w, const char *place, struct platter_error *err);
/* Prepare for another session behind that disc. */
int pl_isofs_prepare_session(struct pl_isofs *w, struct platter_error *err);

/* isofs-like.c: take its files away, before the source's are added; remember how it boots. */
struct pl_isofs_like;
int pl_isofs_like_begin(struct pl_isofs *w, struct pl_isofs_like **ret, struct platter_error *err);
int pl_isofs_like_end(struct pl_isofs *w, struct pl_isofs_like *like, struct platter_error *err);
void pl_isofs_like_free(struct pl_isofs_like *like); /* NULL is allowed */

/* isofs-write.c: write the image, from byte `at` of the file on. */
int pl_isofs_write(struct pl_isofs *w, struct pl_disk *file, uint64_t at,
		   struct platter_error *err);

#endif
