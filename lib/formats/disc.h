/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disc.h - optical discs, as every format of their images fills them in and opens them
 *
 * A driver reads its sheet into a struct pl_disc: tracks, and *runs*, which say where the
 * sectors of a track are stored and what is stored of each.  pl_disc_open() makes of it the disk
 * that was asked for:
 *
 *	?disk=N		a track: of data its user data, 2048 bytes a sector; of sound its samples
 *	?disk=raw	all sectors of all tracks, 2352 bytes each, sessions one behind the other
 *	?disk=raw+sub	the same with 96 bytes of subchannel behind each, channels one by one
 *	otherwise	data: user data of all data tracks at their LBA, as a drive shows the disc;
 *			raw, if there is no data
 *
 * Whatever is stored, what is asked for is there: headers, EDC and ECC are taken off or made.
 * EDC is checked and ECC corrects; a sector that cannot be corrected is BAD in the map, and so is one
 * that is made of what is BAD below.
 */
#ifndef PL_DISC_H
#define PL_DISC_H

#include <platter/disc.h>

#include "disk.h"
#include "facts.h"
#include "format.h"
#include "sector.h"

#define PL_DISC_MAX_TRACKS   99
#define PL_DISC_MAX_SESSIONS 99
#define PL_DISC_MAX_INDEXES  98

/* Of a DVD or BD; a CD has 450000 at most.  2^31 sectors are 4 TiB. */
#define PL_DISC_MAX_SECTORS INT32_MAX

/* Sectors between a session's lead-out and the first track of the next. */
#define PL_DISC_FIRST_GAP 11400
#define PL_DISC_OTHER_GAP 6900

/* Sectors before LBA 0 that a disc has; no LBA is less than this, negated. */
#define PL_DISC_PREGAP 150

/* Of a sector in mode 2 also: */
enum {
	PL_DISC_FORM1_SUBHEADER = 2056, /* subheader and user data of form 1, */
	PL_DISC_FORM2_EDC = 2328,       /* user data of form 2 and EDC, */
	PL_DISC_FORM2_SUBHEADER = 2332, /* subheader and user data of form 2 */
};

enum pl_subchannel {
	PL_SUB_NONE,
	PL_SUB_Q16,      /* 16 bytes: Q, and zeros */
	PL_SUB_RAW96,    /* interleaved: bit 7 of each byte is P, bit 6 is Q, ... */
	PL_SUB_PACKED96, /* 12 bytes P, 12 bytes Q, ..., 12 bytes W */
};

/*
 * Sectors of one track that are stored alike, one behind the other.  `main_bytes` says what
 * is stored of each: 2352 all; 2336 all behind the header; 2324 user data of form 2; 2048 user
 * data; or one of the lengths above.
 */
struct pl_disc_run {
	int64_t lba;
	uint64_t nr;          /* sectors, > 0 */
	size_t track;         /* index in the disc's tracks */
	struct pl_disk *file; /* the disc's reference; NULL: silence, or sectors of zeros */
	uint64_t offset;      /* of the first sector in it */
	uint32_t stride;      /* bytes from one sector to the next; 0: main_bytes and subchannel */
	uint32_t main_bytes;
	enum pl_subchannel sub;   /* behind each sector's main_bytes, */
	struct pl_disk *sub_file; /* or in a file of its own: 96 bytes a sector; or NULL */
	uint64_t sub_offset;
	bool big_endian; /* samples are */
};

struct pl_disc {
	struct platter_disc info; /* filled in by pl_disc_finish(), but for medium, mcn and text */
	struct pl_arena arena;    /* of all texts */
	struct platter_track tracks[PL_DISC_MAX_TRACKS];
	struct platter_session sessions[PL_DISC_MAX_SESSIONS];
	struct pl_disc_run *runs; /* by LBA, after pl_disc_finish() */
	size_t nr_runs, runs_capacity;
	struct pl_disk **files; /* what it stands on, each once */
	size_t nr_files;
	struct pl_disk *nothing; /* below what is not stored anywhere */
	uint64_t nr_missing;     /* sectors that the sheet has and the files do not */
	int64_t told_end[PL_DISC_MAX_SESSIONS + 1];
	bool is_told[PL_DISC_MAX_SESSIONS + 1];
	atomic_uint refs;
};

/* A disc without tracks, of medium "CD"; NULL: no memory. */
struct pl_disc *pl_disc_new(struct platter_error *err);
struct pl_disc *pl_disc_ref(struct pl_disc *disc);
void pl_disc_unref(struct pl_disc *disc); /* NULL is allowed */

/*
 * Add the next track, with number, session, mode, start and whatever else is known; pregap,
 * length and stored_* are filled in by pl_disc_finish(), which also takes a pregap that is
 * given but not stored.  Numbers and sessions do not fall.  *ret (may be NULL) is its index.
 */
int pl_disc_add_track(struct pl_disc *disc, const struct platter_track *track, size_t *ret,
		      struct platter_error *err);

/* Copy the LBAs of index 2 and those after it of track `index` into the disc. */
int pl_disc_set_indexes(struct pl_disc *disc, size_t index, const int64_t *lbas, size_t nr,
			struct platter_error *err);

/* Add where sectors are stored.  The disc takes references to the files of its own. */
int pl_disc_add_run(struct pl_disc *disc, const struct pl_disc_run *run, struct platter_error *err);

/* LBA of the end of a session that the sheet tells; else it ends with its last track's runs. */
int pl_disc_end_session(struct pl_disc *disc, uint32_t session, int64_t end,
			struct platter_error *err);

/*
 * Put the runs in order, cut those that their file is too short for (a warning of describe
 * tells), and find pregaps, lengths and sessions.  ISRCs and an MCN that are none are left
 * out, and so are indexes that do not ascend within their track.
 * -EUCLEAN: no track, runs that overlap, a run outside of its track, a file that is too short
 * for a single sector of a track.
 */
int pl_disc_finish(struct pl_disc *disc, struct platter_error *err);

/* Copy a text of a sheet (UTF-8, or else ISO 8859-1) into the disc. */
const char *pl_disc_text(struct pl_disc *disc, const char *bytes, size_t n);

/* Is it an ISRC (12 letters and digits), an MCN (13 digits)? */
bool pl_is_isrc(const char *text);
bool pl_is_mcn(const char *text);

/* Take CD-TEXT packs, n bytes of 18 each, in whatever order they are; damaged ones are left out. */
void pl_disc_take_cdtext(struct pl_disc *disc, const uint8_t *packs, size_t n);

/*
 * The other way: packs of the texts of a finished disc, malloc()ed; *ret_n bytes, 0 if it has none.
 * There are at most 256 packs: kinds of text that do not fit are left out.
 */
int pl_disc_make_cdtext(const struct pl_disc *disc, uint8_t **ret, size_t *ret_n,
			struct platter_error *err);

/*
 * What pl_disc_finish()ed `disc`, whose reference is taken over also in failure, opens as:
 * see above.  `ops` are the driver's, made by PL_DISC_OPS(), so that its disks are known as its.
 */
int pl_disc_open(struct pl_disc *disc, const struct pl_disk_ops *ops,
		 const struct pl_open_request *request, struct pl_disk **ret,
		 struct platter_error *err);

/* The disc that a disk shows, or NULL.  Borrowed. */
struct pl_disc *pl_disc_of(const struct pl_disk *disk);

/* Is it a single track of it, and which?  NULL: the disc as a whole. */
const struct platter_track *pl_disc_track_of(const struct pl_disk *disk);

/*
 * The disc with all its sectors, in the order of ?disk=raw: what a writer of discs is given.
 * pl_disc_position() tells where a sector is in it; -1: not there (a gap between sessions).
 */
int pl_disc_raw(struct pl_disc *disc, bool with_sub, const char *name, struct pl_disk **ret,
		struct platter_error *err);
int64_t pl_disc_position(const struct pl_disc *disc, int64_t lba);

/* The disc's data, as it opens without ?disk=: 2048 bytes a sector. */
int pl_disc_user(struct pl_disc *disc, const char *name, struct pl_disk **ret,
		 struct platter_error *err);

/* A disc of one data track, mode 1, whose user data is `data`. */
int pl_disc_of_data(struct pl_disk *data, struct pl_disc **ret, struct platter_error *err);

/*
 * Subchannel of `nr` sectors from `lba` on, packed, 96 bytes each: as stored, else P and Q are
 * made from the tracks, MCN and ISRCs.
 */
int pl_disc_read_sub(struct pl_disc *disc, int64_t lba, uint64_t nr, uint8_t *out,
		     struct platter_error *err);
bool pl_disc_has_sub(const struct pl_disc *disc);

/* For format->check(): every sector's header, EDC and ECC, on all processors. */
int pl_disc_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

/* minutes:seconds:frames; of negative numbers the absolute value. */
#define PL_MSF_TEXT 16
const char *pl_msf_text(int64_t sectors, char ret[static PL_MSF_TEXT]);
/* "mm:ss:ff" as sectors; the end of it in *ret_end.  -1: it is not one. */
int64_t pl_msf_parse(const char *text, const char **ret_end);

int pl_disc_view_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		     struct platter_error *err);
struct pl_disk *pl_disc_view_below(struct pl_disk *disk, size_t index);
void pl_disc_view_describe(struct pl_disk *disk, struct pl_facts *facts);
void pl_disc_view_free(struct pl_disk *disk);

#define PL_DISC_OPS(format_name)                                                           \
	{                                                                                  \
		.name = format_name, .map = pl_disc_view_map, .below = pl_disc_view_below, \
		.describe = pl_disc_view_describe, .free = pl_disc_view_free               \
	}

#endif
