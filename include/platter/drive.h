/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/drive.h - optical drives: what is in them, burning and reading discs
 *
 * A drive is named by its device, "/dev/sr0", or is a file that behaves like a drive with an
 * overwritable disc in it: "stdio:PATH", also of a block device.
 *
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *	struct platter_drive *drive;
 *
 *	if (platter_drive_open("/dev/sr0", &drive, &err) < 0 ||
 *	    platter_burn(image, drive, NULL, NULL, NULL, &err) < 0)
 *		fprintf(stderr, "%s\n", err.message);
 *	platter_drive_close(drive, false);
 *
 * A drive is used by one thread at a time.
 */
#ifndef PLATTER_DRIVE_H
#define PLATTER_DRIVE_H

#include <platter/disc.h>
#include <platter/disk.h>
#include <platter/job.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_disc_state {
	PLATTER_DISC_NONE,         /* there is no disc in the drive */
	PLATTER_DISC_UNKNOWN,      /* there is one that the drive can neither read nor write */
	PLATTER_DISC_BLANK,        /* nothing was written yet */
	PLATTER_DISC_APPENDABLE,   /* written, and another session can follow */
	PLATTER_DISC_CLOSED,       /* written, or pressed, for ever; see `rewritable` */
	PLATTER_DISC_OVERWRITABLE, /* any sector may be written at any time */
};

/* A track as the drive tells of it. */
struct platter_drive_track {
	uint32_t number, session;
	int64_t start;   /* LBA */
	uint64_t length; /* sectors */
	bool audio;
	unsigned flags; /* enum platter_track_flags */
};

/* The disc in a drive. */
struct platter_drive_disc {
	enum platter_disc_state state;
	uint16_t profile;         /* as MMC numbers them; 0xffff: a file */
	const char *profile_name; /* "DVD+RW", "CD-R", "stdio file", "" */
	const char *medium;       /* "CD", "DVD", "BD", "file", "" */
	const char *manufacturer; /* of the disc, as far as it is known; "" */
	bool rewritable;          /* can be blanked, or written over */
	uint64_t size;            /* bytes that can be read of it, in sectors of 2048 */
	uint64_t free;            /* bytes that can be written now, the same */
	int64_t next_writable;    /* LBA at which a session that is appended begins; -1: none can */
	int64_t last_session;     /* LBA at which the last session begins; -1: there is none */
	uint32_t nr_sessions;
	const struct platter_drive_track *tracks;
	size_t nr_tracks;
	const uint32_t *speeds; /* in kB/s (1000 bytes), for writing, the slowest first */
	size_t nr_speeds;
	uint32_t single_speed; /* kB/s that are "1x" of this kind of disc; 0: there is no such */
};

struct platter_drive_info {
	const char *address; /* "/dev/sr0", "stdio:PATH" */
	const char *vendor, *model, *revision;
	bool is_file;
	const char *const *writes; /* profiles of discs that it can write, ended by NULL */
	const char *problem; /* why it could not be asked for more: in use, no permission; or "" */
	struct platter_drive_disc disc;
};

struct platter_drive_list {
	const struct platter_drive_info *drives;
	size_t nr_drives;
};

/*
 * The drives at `addresses` (`nr_addresses` of them), or if there are none, the optical drives of
 * this computer.  A drive that cannot be asked is in the list too, see platter_drive_info.problem.
 * On success *ret must be freed with platter_drive_list_free().
 * Errors: -ENOMEM, -EINVAL: a plain file.
 */
PLATTER_API int platter_drive_list(const char *const *addresses, size_t nr_addresses,
				   struct platter_drive_list **ret, struct platter_error *err);
PLATTER_API void platter_drive_list_free(struct platter_drive_list *list); /* NULL is allowed */

struct platter_drive;

/*
 * Open a drive and load the disc in it; on success *ret must be closed with
 * platter_drive_close().  It is kept from other programs meanwhile.
 * Errors: -ENOENT, -EACCES, -EBUSY (mounted, or another program uses it), -EINVAL (no drive), -EIO.
 */
PLATTER_API int platter_drive_open(const char *address, struct platter_drive **ret,
				   struct platter_error *err);

/* Give the drive back; `eject`: with its tray open.  NULL is allowed. */
PLATTER_API void platter_drive_close(struct platter_drive *drive, bool eject);

/* What it is and what is in it; borrowed, valid until the disc is written or the drive closed. */
PLATTER_API const struct platter_drive_info *platter_drive_info(const struct platter_drive *drive);

struct platter_drive_read_options {
	size_t size;      /* sizeof(struct platter_drive_read_options) */
	unsigned retries; /* times that a sector which cannot be read is tried again */
	int64_t start; /* LBA of the first sector; platter_rip() takes a disc from its start only */
};

/*
 * The data on the disc as a disk: sectors of 2048 bytes that cannot be read are bad in its map.
 * It must be closed with platter_close(), before the drive is.  `options` may be NULL.
 * Errors: -ENOMEDIUM, -ENOTSUP (a disc of sound), -ENOMEM.
 */
PLATTER_API int platter_drive_disk(struct platter_drive *drive,
				   const struct platter_drive_read_options *options,
				   struct platter_disk **ret, struct platter_error *err);

enum platter_blank {
	PLATTER_BLANK_NONE,
	PLATTER_BLANK_FAST, /* only what names the contents: they could be found again */
	PLATTER_BLANK_FULL, /* every sector */
};

struct platter_burn_options {
	size_t size;              /* sizeof(struct platter_burn_options) */
	uint32_t speed;           /* kB/s; 0: as fast as disc and drive can */
	bool simulate;            /* with the laser off: nothing is written */
	bool verify;              /* read back and compare */
	bool multi;               /* leave the disc appendable */
	bool append;              /* as another session behind those that are there */
	bool close;               /* close a disc to which nothing more is written */
	bool format;              /* format a rewritable disc first */
	enum platter_blank blank; /* before that, or alone */
	/* What a "stdio:PATH" was when somebody was asked, as in platter_restore_options. */
	const struct platter_identity *identity;
};

struct platter_burn_result {
	uint64_t size;    /* bytes of the image, as sectors of its tracks */
	uint64_t written; /* bytes written to the disc; of a simulation, that would have been */
	uint64_t bad;     /* of `size` unreadable in the original: zeros stand there */
	int64_t start;    /* LBA at which the first track begins */
	uint32_t tracks, sessions; /* written */
	bool blanked, formatted, verified;
	int lowest_buffer; /* percent to which the drive's buffer was filled at the least; -1 unknown */
	double seconds;
};

/*
 * Answer whether `image` (NULL: nothing, only blank, format or close) can be burned, as
 * `options` (NULL: none) say, on the disc that is in the drive.  *ret_lost (may be NULL): LBA from
 * which on what stands on the disc is lost by it; -1: nothing is.  Of what an appended session would
 * be written over, 16 MiB are read to see whether there is anything.  Nothing is written.
 * Errors: -ENOMEDIUM, -ENOSPC, -EROFS (closed), -ENOTSUP, -EINVAL.
 */
PLATTER_API int platter_burn_check(struct platter_disk *image, struct platter_drive *drive,
				   const struct platter_burn_options *options, int64_t *ret_lost,
				   struct platter_error *err);

/*
 * Burn it, after the checks of platter_burn_check().  The image is read ahead, so that the drive's
 * buffer does not run dry.  Cancelled, the drive is idle when this returns.  `ret` may be NULL.
 * Errors: those of the check; -EIO, -EUCLEAN, -ECANCELED, -ENOMEM; -EILSEQ from `verify`; -ENODEV:
 * it is not options->identity any more.
 */
PLATTER_API int platter_burn(struct platter_disk *image, struct platter_drive *drive,
			     const struct platter_burn_options *options,
			     struct platter_progress *progress, struct platter_burn_result *ret,
			     struct platter_error *err);

struct platter_rip_result {
	struct platter_copy_result copy;
	bool mapped; /* TARGET.map was written: it lists what could not be read */
};

/*
 * Make the image `target` of the disc in the drive, as platter_create() does of a disk.  Sectors
 * that cannot be read are tried again; if some remain bad, they are listed in the file
 * TARGET.map, in the form that GNU ddrescue reads.  Of a disc of data its positions are those of the
 * image; of one with sound those of all its sectors as 2352 bytes each, from sector 0 on.  Tracks of
 * sound are read with repair of jitter and scratches.
 * Errors: those of platter_drive_disk() and of platter_create(); -EEXIST also of TARGET.map.
 */
PLATTER_API int platter_rip(struct platter_drive *drive, const char *target,
			    const struct platter_drive_read_options *how,
			    const struct platter_create_options *options,
			    struct platter_progress *progress, struct platter_rip_result *ret,
			    struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
