/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drive.h - optical drives behind a few operations
 *
 * The one driver is libburn's (libburn.c); the tests have another, without hardware.  What can
 * be decided without a drive is decided above it: whether a disc must be blanked, what fits, how a
 * bad sector is tried again.
 */
#ifndef PL_DRIVE_H
#define PL_DRIVE_H

#include <pthread.h>

#include <platter/drive.h>

#include "disk.h"
#include "facts.h"
#include "mapfile.h"

#define PL_DISC_SECTOR  2048
#define PL_AUDIO_SECTOR 2352

/* Room for a catalogue number of 13 digits or an ISRC of 12 characters. */
#define PL_DRIVE_NUMBER 16

/* Numbers of profiles that MMC gives to kinds of discs. */
enum pl_profile {
	PL_PROFILE_CD_ROM = 0x08,
	PL_PROFILE_CD_R = 0x09,
	PL_PROFILE_CD_RW = 0x0a,
	PL_PROFILE_DVD_ROM = 0x10,
	PL_PROFILE_DVD_R = 0x11,
	PL_PROFILE_DVD_RAM = 0x12,
	PL_PROFILE_DVD_RW_OVERWRITE = 0x13,
	PL_PROFILE_DVD_RW = 0x14,
	PL_PROFILE_DVD_R_DL = 0x15,
	PL_PROFILE_DVD_PLUS_RW = 0x1a,
	PL_PROFILE_DVD_PLUS_R = 0x1b,
	PL_PROFILE_DVD_PLUS_R_DL = 0x2b,
	PL_PROFILE_BD_ROM = 0x40,
	PL_PROFILE_BD_R = 0x41,
	PL_PROFILE_BD_RE = 0x43,
	PL_PROFILE_FILE = 0xffff,
};

/* A track to be written. */
struct pl_burn_track {
	struct pl_disk *source;  /* borrowed: its sectors */
	uint64_t offset, length; /* bytes of it; the last sector is filled up with zeros */
	enum platter_track_mode mode;
	unsigned flags; /* enum platter_track_flags */
	int64_t pregap; /* sectors of silence before it that are not in `source`; -1: as usual */
	unsigned
		first_index; /* number of the first of these: 0, if they begin with the pregap; or 1 */
	const uint32_t *indexes; /* sectors of the source before each; NULL: one index */
	size_t nr_indexes;
	const char *isrc;                     /* or "" */
	const struct platter_disc_text *text; /* or NULL */
};

/* One session. */
struct pl_burn_session {
	struct pl_burn_track *tracks;
	size_t nr_tracks;
	uint32_t first_number; /* of its first track */
	const char *mcn;       /* or "" */
	const struct platter_disc_text *text;
	bool simulate, multi;
	uint32_t speed; /* kB/s; 0: the fastest */
	int64_t start;  /* LBA, of overwritable discs; -1: where the drive says */
};

/* How far what the drive is doing has come. */
struct pl_drive_state {
	bool busy;
	const char *phase; /* "burning", "blanking", "formatting", "closing" */
	double fraction;   /* 0 to 1; -1: not known */
	uint64_t done;     /* "burning": bytes that the drive was given */
	int buffer, ahead; /* percent that the drive's buffer, and ours, is filled; -1: not known */
};

struct pl_drive;

/*
 * One call at a time, but for cancel().  What begins work returns at once; then poll() is asked
 * until the drive is not busy, and end() tells how it went.
 */
struct pl_drive_ops {
	/* Find out what is in the drive: fills drive->info.disc, with drive->arena. */
	int (*look)(struct pl_drive *drive, struct platter_error *err);

	/*
	 * Read `nr` sectors of data (2048 bytes) or sound (2352).  *ret_nr of them, from the first,
	 * were read; fewer than `nr`: the one behind could not be.  A negative return is a drive that
	 * cannot go on.
	 */
	int (*read)(struct pl_drive *drive, bool audio, int64_t lba, size_t nr, uint8_t *buf,
		    size_t *ret_nr, struct platter_error *err);

	/* CD-TEXT packs, 18 bytes each, malloc()ed; *ret_n bytes, 0: there is none. */
	int (*cdtext)(struct pl_drive *drive, uint8_t **ret, size_t *ret_n,
		      struct platter_error *err);

	/* The catalogue number of the disc (track 0) or the ISRC of a track; "": there is none. */
	void (*number)(struct pl_drive *drive, uint32_t track, char ret[static PL_DRIVE_NUMBER]);

	/* Begin to write, blank, format, or close the disc. */
	int (*write)(struct pl_drive *drive, const struct pl_burn_session *session,
		     struct platter_error *err);
	int (*blank)(struct pl_drive *drive, bool fast, struct platter_error *err);
	int (*format)(struct pl_drive *drive, struct platter_error *err);
	int (*close)(struct pl_drive *drive, struct platter_error *err);

	void (*poll)(struct pl_drive *drive, struct pl_drive_state *ret);
	void (*cancel)(struct pl_drive *drive); /* writing; the rest cannot be stopped */
	int (*end)(struct pl_drive *drive, struct platter_error *err);

	/* Write sectors of an overwritable disc, and wait for it. */
	int (*overwrite)(struct pl_drive *drive, int64_t lba, size_t nr, const uint8_t *buf,
			 struct platter_error *err);

	void (*free)(struct pl_drive *drive, bool eject);
};

struct pl_drive {
	const struct pl_drive_ops *ops;
	struct platter_drive_info info;
	struct pl_arena arena; /* of `info` */
	bool can_simulate;     /* with the disc that is in it */
	bool can_append;       /* sessions, by `multi` */
	pthread_mutex_t lock;  /* of the leaves on it: one reads at a time, whatever its threads */
};

/* What a driver begins with; the rest of the structure is zeros. */
void pl_drive_init(struct pl_drive *drive, const struct pl_drive_ops *ops);

/* Open the drive at an address through libburn, and look at its disc; `load`: close its tray. */
int pl_drive_open(const char *address, bool load, struct pl_drive **ret, struct platter_error *err);
void pl_drive_close(struct pl_drive *drive, bool eject); /* NULL is allowed */

/* Look again: the disc was written, blanked or exchanged. */
int pl_drive_look(struct pl_drive *drive, struct platter_error *err);

/* list.c: the drives at `addresses`, or all if there are none; what is in `ret` (start from {0}) lasts until it is done. */
struct pl_listed {
	struct pl_drive *drive; /* NULL: it could not be opened */
	struct platter_drive_info info;
};
struct pl_drive_listing {
	struct pl_listed *list;
	size_t nr;
	struct pl_arena arena;
};
int pl_drive_list(const char *const *addresses, size_t nr_addresses, struct pl_drive_listing *ret,
		  struct platter_error *err);
void pl_drive_list_done(struct pl_drive_listing *list);

/* The path in "stdio:PATH", or the address itself. */
const char *pl_drive_path(const char *address);
bool pl_drive_is_file(const char *address);

/* medium.c: what a profile is. */
const char *pl_profile_medium(unsigned profile);    /* "CD", "DVD", "BD", "file", "" */
uint32_t pl_profile_single_speed(unsigned profile); /* kB/s of 1x; 0 */
bool pl_profile_overwritable(unsigned profile);
bool pl_profile_can_blank(unsigned profile);
bool pl_profile_can_format(unsigned profile);

/*
 * track.c: sectors of a track of data that can be there, fewer than it counts where those at its end
 * cannot be read because of what they are.
 */
int pl_drive_data_sectors(struct pl_drive *drive, size_t track, uint64_t *ret,
			  struct platter_error *err);

/* leaf.c */
struct pl_drive_leaf_options {
	unsigned retries;
	bool audio;       /* sectors of 2352 bytes of sound; else 2048 of data */
	int64_t start;    /* LBA of its first sector */
	uint64_t nr;      /* sectors */
	const char *name; /* of the disk */
};

/*
 * Sectors of the disc in a drive, which must outlive it, as a disk.  Its map() reads them, to tell
 * which are bad, and read() hands out what map() has read.
 */
int pl_drive_leaf(struct pl_drive *drive, const struct pl_drive_leaf_options *options,
		  struct pl_disk **ret, struct platter_error *err);

/* Sectors that were found bad so far, as runs in order: index from 0; false past the last. */
bool pl_drive_leaf_bad(struct pl_disk *leaf, size_t index, uint64_t *ret_offset,
		       uint64_t *ret_length);

/*
 * mapfile.c: what could be read so far, all of which was tried; pl_mapfile_done() it.  With `sound`,
 * which may be NULL, both leaves are of one disc, from its sector 0 on, and positions are those of an
 * image that has 2352 bytes of each sector; else they are those of `data`.
 */
int pl_drive_mapfile(struct pl_disk *data, struct pl_disk *sound, struct pl_mapfile *ret,
		     struct platter_error *err);

/* plan.c: what is to be done to the disc that is in the drive. */
struct pl_burn_plan {
	bool blank; /* by the drive */
	bool fast;  /* only the start of it */
	bool wipe;  /* an overwritable disc: zeros are written instead */
	bool format;
	bool close;
	bool write;
	bool overwrites; /* a disc on which a session that is appended has to name itself */
	bool lost;       /* what stands on the disc is lost */
	int64_t start;   /* LBA, or -1; of pl_burn_session */
};

/* What is to be written. */
struct pl_burn_shape {
	uint64_t bytes; /* of data, or sectors of 2352 bytes of sound counted as 2048 */
	size_t nr_tracks, nr_sessions;
	bool audio; /* some of it is */
};

/*
 * `shape` NULL: nothing is written.  Errors: as platter_burn_check() says.
 */
int pl_burn_plan(const struct pl_drive *drive, const struct pl_burn_shape *shape,
		 const struct platter_burn_options *options, struct pl_burn_plan *ret,
		 struct platter_error *err);

#endif
