/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/examine.h - is anything left on a disk?  What was lost from its table?
 *
 * platter_examine() reads a disk, or a random sample of it, and tells what its sectors look
 * like, which remains of partition tables, file systems and files are on it, and what that
 * means in plain words.
 *
 *	struct platter_examination *e;
 *
 *	if (platter_examine(disk, NULL, NULL, &e, &err) == 0) {
 *		puts(e->verdict_text);
 *		platter_examination_free(e);
 *	}
 */
#ifndef PLATTER_EXAMINE_H
#define PLATTER_EXAMINE_H

#include <platter/device.h>
#include <platter/disk.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a sector of 512 bytes looks like. */
enum platter_class {
	PLATTER_CLASS_ZERO,
	PLATTER_CLASS_PATTERN, /* up to 16 bytes, repeated */
	PLATTER_CLASS_RANDOM,  /* encrypted, compressed, or overwritten with random bytes */
	PLATTER_CLASS_TEXT,
	PLATTER_CLASS_OTHER,
	PLATTER_CLASS_UNREADABLE,
	PLATTER_NR_CLASSES
};

#define PLATTER_MAX_PATTERN 16

struct platter_pattern {
	uint8_t bytes[PLATTER_MAX_PATTERN];
	unsigned length; /* of what repeats */
	uint64_t size;   /* bytes of the disk that are filled with it */
};

/*
 * A stretch of the disk, of one class in the main.  Stretches are as fine as a few thousand of
 * them allow; their boundaries are multiples of `granularity`.
 */
struct platter_region {
	uint64_t offset, length;
	enum platter_class main;            /* of most of what was looked at */
	uint64_t bytes[PLATTER_NR_CLASSES]; /* looked at; less than `length` where sampled */
};

enum platter_remains {
	PLATTER_REMAINS_DOCUMENTS,
	PLATTER_REMAINS_PICTURES,
	PLATTER_REMAINS_VIDEO,
	PLATTER_REMAINS_SOUND,
	PLATTER_REMAINS_MAIL,
	PLATTER_REMAINS_DATABASES,
	PLATTER_REMAINS_ARCHIVES,
	PLATTER_REMAINS_PROGRAMS,
	PLATTER_REMAINS_SYSTEM,   /* registry hives, logs, links, settings */
	PLATTER_REMAINS_KEYS,     /* certificates, keys, stores of passwords */
	PLATTER_REMAINS_IMAGES,   /* disk images */
	PLATTER_REMAINS_METADATA, /* records and folders of file systems */
	PLATTER_NR_REMAINS
};

/* Beginnings of one type of file, or records of one kind. */
struct platter_remains_type {
	const char *name;     /* "jpeg" */
	const char *longname; /* "JPEG picture" */
	enum platter_remains kind;
	uint64_t count;
	uint64_t unused; /* of these where no file system has anything in use */
	uint64_t first;  /* byte where the first begins */
};

enum platter_structure_type {
	PLATTER_STRUCTURE_TABLE,
	PLATTER_STRUCTURE_FILESYSTEM, /* or another container: encryption, RAID, LVM, swap */
};

/* A partition table, or what begins a partition; or a copy of it. */
struct platter_structure {
	enum platter_structure_type type;
	const char *name;     /* "gpt", "ext4", as platter_describe() has them */
	const char *longname; /* plain words */
	const char *label;    /* "" if none */
	const char *uuid;     /* "" if none */
	const char *evidence; /* "superblock", "backup superblock of group 1", ... */
	uint64_t at;          /* byte where that is */
	int64_t offset;       /* byte where what it tells of begins; below 0: not on this disk */
	uint64_t length;      /* by its own account; 0 unknown */
	bool present;         /* part of how the disk is divided now */
	bool backup;          /* told from a copy alone */
	bool opens;           /* its files can be listed */
};

/* A find, masked so that it can be shown around. */
struct platter_example {
	const char *what; /* "mail address", or the longname of a type of file */
	const char *text; /* "j***@e******.com"; "" for files */
	uint64_t offset;
};

enum platter_verdict {
	PLATTER_VERDICT_ZEROS,     /* new, wiped with zeros, or discarded */
	PLATTER_VERDICT_PATTERN,   /* wiped with a pattern */
	PLATTER_VERDICT_RANDOM,    /* wiped with random bytes, or encrypted without a header */
	PLATTER_VERDICT_EMPTY,     /* a table or file systems without files, and nothing else */
	PLATTER_VERDICT_FORMATTED, /* the same, but old contents are there */
	PLATTER_VERDICT_IN_USE,
	PLATTER_VERDICT_ENCRYPTED,
	PLATTER_VERDICT_PARTLY_WIPED,
	PLATTER_VERDICT_CONTENTS, /* no table or file system, but data */
	PLATTER_VERDICT_UNREADABLE,
};

/* What the drive tells of sectors that cannot be read through it. */
struct platter_hidden {
	bool asked;                    /* a drive that takes such questions */
	uint64_t hpa, dco;             /* bytes hidden; 0 none */
	uint64_t reallocated, pending; /* sectors; UINT64_MAX not told */
};

struct platter_examination {
	uint64_t size;                      /* bytes of the disk */
	uint64_t examined;                  /* of these that were classified */
	uint64_t read;                      /* of these read: holes are not */
	uint64_t bytes[PLATTER_NR_CLASSES]; /* of `examined` */
	double seconds;

	/* Of a sample; 0 if all was looked at. */
	uint64_t samples; /* places that were looked at */
	uint64_t seed;    /* gives the same places again */
	double missed;    /* share that could hold something unseen, at 99 % confidence */

	const struct platter_pattern *patterns; /* the most frequent first */
	size_t nr_patterns;
	uint64_t granularity;
	const struct platter_region *regions;
	size_t nr_regions;
	/*
	 * Chi-square of all random-looking bytes together: about 255 if they are random or
	 * encrypted, far more if some are compressed.
	 */
	double chi_square;
	bool even; /* no difference from random bytes */

	const struct platter_structure *structures; /* in the order of the disk */
	size_t nr_structures;
	uint64_t structures_found;                /* with those that were too many to keep */
	const struct platter_remains_type *types; /* that were found, the most frequent first */
	size_t nr_types;
	uint64_t remains[PLATTER_NR_REMAINS]; /* how many of each kind */
	uint64_t mail_addresses;
	double false_alarms; /* expected among `types`, if all that looks random is random */
	const struct platter_example *examples;
	size_t nr_examples;

	uint64_t unused;      /* bytes that a file system says it does not use */
	uint64_t unused_data; /* of these neither zero nor a pattern */

	struct platter_hidden hidden;

	enum platter_verdict verdict;
	bool left;                /* something recognisable is left */
	const char *verdict_name; /* "zeros", "in-use", ... */
	const char *verdict_text; /* one sentence */
	const char *const *notes; /* further ones */
	size_t nr_notes;
};

struct platter_examine_options {
	size_t size;       /* sizeof(struct platter_examine_options) */
	uint64_t sample;   /* look at so many bytes in random places; 0: at all */
	uint64_t seed;     /* of these places; 0: a random one */
	unsigned examples; /* keep so many finds of each kind, masked */
};

/*
 * Examine `disk`, which must not be a stream.  Sectors that cannot be read are counted and no
 * failure.  Free the result with platter_examination_free(); it does not need the disk any more.
 * Errors: -ENOTSUP (a stream), -EIO (nothing could be read), -ECANCELED, -ENOMEM, -EINVAL.
 */
PLATTER_API int platter_examine(struct platter_disk *disk,
				const struct platter_examine_options *options,
				struct platter_progress *progress, struct platter_examination **ret,
				struct platter_error *err);
PLATTER_API void platter_examination_free(struct platter_examination *examination);

/* A partition that the table does not have. */
struct platter_lost_partition {
	struct platter_structure structure; /* by which it was found */
	uint64_t offset, length; /* of the partition that it was, as far as can be told */
	const char *type;        /* for a new table: "linux", "efi", "msdata", "swap", ... */
	bool fits;               /* into the table: no overlap with others, all of it on the disk */
};

struct platter_lost {
	uint64_t size;        /* bytes of the disk */
	uint32_t sector_size; /* that a table counts in */
	const char *table;    /* that is there now: "gpt", "mbr", ...; "" none */
	bool damaged;         /* part of that is wrong or missing */
	uint64_t searched;    /* bytes that were looked at */
	uint64_t nr_present;  /* partitions of the table */
	const struct platter_lost_partition *partitions; /* in the order of the disk */
	size_t nr_partitions;
	double seconds;
};

/*
 * Look for file systems and other contents of partitions where the table of `disk` has none: in
 * its gaps, and in partitions that begin with nothing known.  The result does not need the disk
 * any more.
 * Errors: -ENOTSUP (a stream), -ECANCELED, -ENOMEM.
 */
PLATTER_API int platter_find_lost(struct platter_disk *disk, struct platter_progress *progress,
				  struct platter_lost **ret, struct platter_error *err);
PLATTER_API void platter_lost_free(struct platter_lost *lost);

struct platter_table_options {
	size_t size;        /* sizeof(struct platter_table_options) */
	const char *format; /* of the image; NULL: look */
	bool gpt;           /* else an MBR */
	/*
	 * What was there before is kept in files called SAVE-OFFSET.bak, OFFSET in hexadecimal, of
	 * which none may be there; NULL: nothing is kept.
	 */
	const char *save;
	bool dry_run; /* only check that it can be done */
	/* What `target` was when somebody was asked about it; another is refused.  NULL: nobody was. */
	const struct platter_identity *identity;
	void (*saved)(const char *file, uint64_t offset, uint64_t length, void *closure);
	void *closure;
};

/*
 * Write those of `partitions` that fit into the table on the device or in the image `target`,
 * beside the entries that it has; where it has no table of that kind a new one is made, and a
 * damaged GPT is made whole.  Only sectors of the table are written.  `saved` (may be NULL) is
 * told of each file before its sectors are overwritten.
 * Errors: -EINVAL: too many for an MBR, or overlap; -EEXIST: a file is there; -EBUSY: in use;
 * those of opening for writing.
 */
PLATTER_API int platter_write_table(const char *target,
				    const struct platter_lost_partition *partitions, size_t nr,
				    const struct platter_table_options *options,
				    struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
