/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * format.h - what an image format's driver gives, and the registry of them
 *
 * A driver turns the disk of a file into the disk that the image holds.  The table
 * in registry.c lists every driver.
 */
#ifndef PL_FORMAT_H
#define PL_FORMAT_H

#include <platter/format.h>
#include <platter/job.h>

#include "disk.h"
#include "facts.h"
#include "writer.h"

/* The start and the end of a file, read once for all probes.  Short files are zero-padded. */
#define PL_PROBE_HEAD KIB(64)
#define PL_PROBE_TAIL KIB(1)
struct pl_probe {
	struct pl_disk *file;
	uint64_t size;       /* of the file */
	const uint8_t *head; /* PL_PROBE_HEAD bytes */
	const uint8_t
		*tail; /* PL_PROBE_TAIL bytes, the file's last; meaningless if size is smaller */
	const char *extension; /* of the file's name, without the dot, or "" */
};

/*
 * How a driver reaches other files that its image names (a backing file, an external
 * data file).  The opener knows the folder of the image, refuses what an image may not
 * name, stops cycles and bounds the depth.
 */
struct pl_related {
	/*
	 * `format` NULL: look.  `name` is as the image has it, at most 4095 bytes.  When it fails,
	 * `missing` tells whether that is because the name leads to no file.
	 */
	int (*open)(struct pl_related *related, const char *name, const char *format, bool writable,
		    struct pl_disk **ret, struct platter_error *err);
	/*
	 * For images that know another only by an identifier that it holds: hands each file of
	 * `folder` ("." or "..", from the image's own) whose name has the extension to `look`,
	 * which returns 1 when it is the one.  *ret_name is for open(), malloc()ed; NULL: none.
	 * Files that cannot be opened are passed over.
	 */
	int (*find)(struct pl_related *related, const char *folder, const char *extension,
		    int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
		    char **ret_name, struct platter_error *err);

	struct pl_parents *given; /* or NULL; see pl_open_given() */
	bool missing;
};

/*
 * Files that the user gave to stand for parents that are not found under their names: the first
 * for the first that is missing, going down the chain.
 */
struct pl_parents {
	const char *const *paths; /* from the current folder; borrowed */
	size_t nr, used;
};

/*
 * With PLATTER_OPEN_WRITE and _NO_BACKING: only to name another parent, so that the present one
 * need not be there, or be the right one.  Nothing else may be written.
 */
#define PL_OPEN_RELINK (1u << 17)

/*
 * To commit the image into its parent: that may be one with which an interrupted commit has begun,
 * see pl_committed_id().  Not passed on to what is below.
 */
#define PL_OPEN_COMMIT (1u << 18)

struct pl_open_request {
	struct pl_disk *file;       /* the driver takes its own reference */
	unsigned flags;             /* enum platter_open_flags, PL_OPEN_RELINK, PL_OPEN_COMMIT */
	const char *snapshot;       /* id or name, or NULL for the active disk */
	const char *disk;           /* with many_disks: number or name of one, or NULL */
	struct pl_related *related; /* NULL: nothing else may be opened */
};

struct pl_disc;
struct platter_track;

/* A range that the partition table of a disk tells of. */
enum pl_region_role {
	PL_REGION_TABLE, /* the table itself, or a part of it */
	PL_REGION_PARTITION,
	PL_REGION_FREE, /* of no partition */
};

struct pl_region {
	uint64_t offset, length; /* bytes, multiples of 512 */
	enum pl_region_role role;
	const char *name, *type; /* of a partition, as struct platter_partition has them; else "" */
};

struct pl_create_request {
	struct pl_disk *file; /* growable, empty unless `resume`; outlives the writer */
	uint64_t size;        /* of the disk; UINT64_MAX: a stream, known at the end */
	uint32_t sector_size;
	const struct platter_key_value *options;
	size_t nr_options;
	const char *codec; /* NULL: do not compress; "": the format's default; a pl_codec's name */
	int level;         /* INT_MIN: the codec's default */
	struct pl_disk *like; /* an image of this format whose identifiers to take, or NULL */
	bool resume;          /* `file` may hold the part of an earlier run */
	bool measured;        /* only its length counts: nobody need be asked for a pass phrase */
	bool dense; /* what of `file` is not written does not read as zeros, but after pl_resize() */
	struct pl_related *related; /* to look at a backing file; NULL: none may be named */
	struct pl_disk *source;     /* what is written, or NULL: nothing yet; borrowed */
	struct pl_disc *disc;       /* that is this disc, see enum pl_takes; or NULL; borrowed */
	const struct platter_track *track; /* if a track of it is all that is written */
	/* With wants_regions, if there is a partition table: all of the disk, in order. */
	const struct pl_region *regions;
	size_t nr_regions;
	const char *scheme;         /* "gpt", "apm", ... */
	uint32_t table_sector_size; /* that it was written for */
};

/* What create() wants to be given. */
enum pl_takes {
	PL_TAKES_DISK,
	/* request->disc and all its sectors as ?disk=raw has them; a plain disk becomes one track. */
	PL_TAKES_DISC,
	/*
	 * A disc with its sectors as ?disk=raw has them, or ?disk=raw+sub if subchannels are
	 * stored, and other disks as they are.
	 */
	PL_TAKES_BOTH,
	/* Samples: an audio track, which request->track is then, or another file of sound. */
	PL_TAKES_SOUND,
};

/* What check() reports through; see platter_verify(). */
struct pl_findings {
	void (*found)(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
		      const char *message);
	uint64_t count[4]; /* by severity; kept by pl_found() */

	/*
	 * For a check() that compares the data with checksums of the format: it tells how many bytes
	 * more of the disk it has read, and ends with -ECANCELED when the answer is false.  NULL:
	 * nobody wants to know.  One thread at a time.
	 */
	bool (*go_on)(struct pl_findings *findings, uint64_t bytes);
	/* Set by it: all data was read, and what cannot be was found.  It need not be read again. */
	bool data_read;
};
void pl_found(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	      const char *format, ...) PL_PRINTF(4, 5);
/* Tell findings->go_on, if there is one, what was read.  -ECANCELED: do not go on. */
int pl_check_goes_on(struct pl_findings *findings, uint64_t bytes, struct platter_error *err);

/*
 * What can be done to an open, writable image besides writing to it (and pl_resize()).  NULL:
 * not in this format.  One call at a time, while nobody writes; ordered like write(), and on
 * stable storage when they return.
 */
struct pl_change_ops {
	/*
	 * Name another parent, NULL: none, the holes then read as zeros.  disk->parent is
	 * exchanged too.  `name` is the parent's path as seen from the folder of the image.
	 */
	int (*set_parent)(struct pl_disk *disk, struct pl_disk *parent, const char *name,
			  struct platter_error *err);

	/*
	 * The first step of committing `overlay`, an image of this format, into the image, its
	 * parent: give that the identifier of pl_committed_id(), unless an interrupted commit did.
	 * The caller tells the overlay by set_parent().  NULL: overlays know an image by nothing
	 * that changes.
	 */
	int (*begin_commit)(struct pl_disk *disk, struct pl_disk *overlay,
			    struct platter_error *err);

	/* Ids and names as platter_snapshot_create() and its fellows have them. */
	int (*snapshot_create)(struct pl_disk *disk, const char *name, struct platter_error *err);
	int (*snapshot_apply)(struct pl_disk *disk, const char *snapshot,
			      struct platter_error *err);
	int (*snapshot_delete)(struct pl_disk *disk, const char *snapshot,
			       struct platter_error *err);

	/*
	 * Report what check() would, and put right what can be: that is reported as
	 * PLATTER_REPAIRED.  The disk was opened with PLATTER_OPEN_IGNORE_CHECKSUMS.
	 * dry_run: it is open for reading, and nothing is written.
	 */
	int (*repair)(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		      struct platter_error *err);

	/*
	 * Give back what is free in the file itself: blocks that hold only zeros were discarded
	 * already.  NULL: through a new file.
	 */
	int (*compact)(struct pl_disk *disk, struct platter_error *err);
};

/* Options of create(), as options_of() tells them. */
#define PL_MAX_OPTIONS 16
struct pl_option_list {
	struct pl_arena *arena; /* holds the values */
	struct platter_key_value list[PL_MAX_OPTIONS];
	size_t nr;
};
/* `key` is a string literal.  Running out of memory shows in the arena. */
void pl_option(struct pl_option_list *list, const char *key, const char *format, ...)
	PL_PRINTF(3, 4);

struct pl_format {
	struct platter_format_info info;

	/* Evidence: number of bits verified, 0 not mine.  Cheap, never trusts a length. */
	int (*probe)(const struct pl_probe *probe);

	/* Does not lean on probe: the user may have named the format. */
	int (*open)(const struct pl_open_request *request, struct pl_disk **ret,
		    struct platter_error *err);

	/* NULL: cannot be created.  Unknown options are refused by the caller. */
	int (*create)(const struct pl_create_request *request, struct pl_writer **ret,
		      struct platter_error *err);

	/*
	 * Check the structure of an open image of this format, and its payload only where the
	 * format has checksums of it.  NULL: it has none.  Returns 0 however much was found.
	 */
	int (*check)(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

	/* Snapshots of an open image, in the arena of `facts`.  NULL: the format has none. */
	int (*snapshots)(struct pl_disk *disk, struct pl_arena *arena,
			 const struct platter_snapshot **ret, size_t *ret_nr,
			 struct platter_error *err);

	/*
	 * The options that make an image like this one, as far as it tells them and they can be
	 * asked for, but for its parent.  NULL: there are none.
	 */
	void (*options_of)(struct pl_disk *disk, struct pl_option_list *ret);

	const struct pl_change_ops *change; /* NULL: nothing of it */
	bool wants_regions;                 /* create() makes use of them */
	/*
	 * Its disk is the file of another image, which is looked for in it, once: encryption, ECM.  It
	 * has no snapshots, and nothing beside it.
	 */
	bool wraps;
	bool many_disks; /* a file may hold several: open() knows request->disk */
	enum pl_takes takes;
	/*
	 * A folder that is a disk as a whole: the file in it that is opened, and what else must be
	 * in it for that, or NULL.
	 */
	struct pl_bundle {
		const char *file, *also;
		/* With creates_folder, all that may go when it is made anew; NULL-terminated. */
		const char *const *own;
	} bundle;
	bool creates_folder; /* create() makes such a folder; request->file is that file in it */
	const struct pl_disk_ops *disk_ops; /* what its disks have: tells whose a disk is */
	const struct pl_disk_ops *disc_ops; /* and its discs, if that is another; or NULL */
};

/* Every format, NULL-terminated; raw is last and has no probe: it is what is left. */
extern const struct pl_format *const pl_formats[];

const struct pl_format *pl_format_by_name(const char *name);
/* By a file name's extension; NULL if none claims it. */
const struct pl_format *pl_format_by_extension(const char *path);
/* The format that made `disk`, or NULL for a disk of another room. */
const struct pl_format *pl_format_of(const struct pl_disk *disk);

/* The format of `file` by what it holds: raw if nothing else claims it.  A tie is an error. */
int pl_format_probe(struct pl_disk *file, const struct pl_format **ret, struct platter_error *err);

/*
 * Open `file` as an image with everything it names beside it.  `path` is where `file`
 * came from (relative names count from its folder), or NULL: nothing beside may be opened.
 * format NULL: look.
 */
int pl_image_open(struct pl_disk *file, const char *path, const char *format, const char *snapshot,
		  unsigned flags, struct pl_disk **ret, struct platter_error *err);
/*
 * The same, of one of several disks that the file may hold (its number or name, or NULL), with
 * files to stand for missing parents (NULL: none).
 */
int pl_image_open_given(struct pl_disk *file, const char *path, const char *format,
			const char *snapshot, const char *disk, unsigned flags,
			struct pl_parents *given, struct pl_disk **ret, struct platter_error *err);

/*
 * For a driver's open(): open the next file that was given, in place of a parent that was not
 * found.  1: there is none, and *err is as it was.
 */
int pl_open_given(struct pl_related *related, const char *format, struct pl_disk **ret,
		  struct platter_error *err);

/*
 * For a driver's open(): make the file `name` what the holes of `disk` fall through to, unless
 * there is none (NULL) or the request wants none.  format NULL: look.
 */
int pl_open_backing(struct pl_disk *disk, const struct pl_open_request *request, const char *name,
		    const char *format, struct platter_error *err);

/* A pl_related for a new image at `path`, so that a writer can look at its backing file. */
struct pl_related *pl_related_new(const char *path, struct platter_error *err);
void pl_related_free(struct pl_related *related);

/* Value of an option in a request, or NULL. */
const char *pl_create_option(const struct pl_create_request *request, const char *key);

#endif
