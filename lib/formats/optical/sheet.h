/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sheet.h - what the formats share that describe a disc in one file and store it in others */
#ifndef PL_SHEET_H
#define PL_SHEET_H

#include "disc.h"
#include "storage.h"
#include "text.h"

/* Text sheets are some KiB; one with CD-TEXT and 99 tracks stays far below this. */
#define PL_SHEET_MAX MIB(1)

/*
 * Open a file that the sheet names, as an image of `format`.  Names are often not quite those
 * of the files: of a path only its last part counts when the whole leads nowhere, upper and
 * lower case may differ, and at last the file is taken that is called like the sheet.
 */
int pl_sheet_open_file(const struct pl_open_request *request, const char *name, const char *format,
		       struct pl_disk **ret, struct platter_error *err);

/* The name of the sheet, without a folder, with another extension; malloc()ed, NULL: no memory. */
char *pl_sheet_named_like(const struct pl_disk *sheet, const char *extension);

/* The whole sheet as a string, at most PL_SHEET_MAX bytes. */
int pl_sheet_read(struct pl_disk *file, char **ret, struct platter_error *err);

/*
 * Cut the next word off *line: up to a blank, or what is between quotes, in which \" is a quote
 * if `escapes`.  NULL: there is none.  The line is changed.
 */
char *pl_sheet_word(char **line, bool escapes);

/*
 * A writer of a disc: all its sectors go as they are into the data file, and what describes
 * them comes in the end.
 */
struct pl_sheet_writer {
	struct pl_writer writer;
	struct pl_disc *disc;  /* a reference */
	struct pl_disk *sheet; /* borrowed: the file that was asked for */
	struct pl_disk *data;  /* borrowed: that of the sectors */
	uint64_t data_at;      /* where they begin in it */
	char *data_name;       /* of that file, without a folder; owned */
	struct pl_disk *more;  /* borrowed: another file beside, of formats that have one */
	/* Write the sheet; all sectors are in the data file. */
	int (*finish)(struct pl_sheet_writer *w, struct platter_error *err);
};

/*
 * Begin one.  `extension`: of the data file beside the sheet; NULL: the sectors are in the
 * file itself.  The writer is freed by its free().
 */
int pl_sheet_writer_new(const struct pl_create_request *request, const char *extension,
			int (*finish)(struct pl_sheet_writer *w, struct platter_error *err),
			struct pl_writer **ret, struct platter_error *err);

/*
 * Refuse what those formats cannot say: DVDs, whose sectors they have as user data alone, and
 * positions past 99:59:74.
 */
int pl_sheet_needs_cd(const struct pl_create_request *request, const char *format,
		      struct platter_error *err);

/*
 * Is it to be written as a DVD?  That is any disc which says so, or has data beyond what a CD can
 * have.
 */
bool pl_sheet_is_dvd(const struct pl_disc *disc);

/*
 * Begin one of a DVD, whose user data alone goes into the data file, as pl_sheet_writer_new().
 * -ENOTSUP: the disc is not a single track of data.
 */
int pl_sheet_writer_new_dvd(const struct pl_create_request *request, const char *format,
			    const char *extension,
			    int (*finish)(struct pl_sheet_writer *w, struct platter_error *err),
			    struct pl_writer **ret, struct platter_error *err);

/* The same object, for finish() and formats that have more to set up. */
struct pl_sheet_writer *pl_sheet_writer_of(struct pl_writer *w);

/*
 * LBA of the first sector that the image has of a session, or of a track, with what of its pregap
 * is there.
 */
int64_t pl_sheet_session_start(const struct pl_disc *disc, size_t index);
int64_t pl_sheet_track_start(const struct pl_disc *disc, const struct platter_track *track);

/* Write text as the whole of the sheet's file. */
int pl_sheet_write(struct pl_sheet_writer *w, const struct pl_str *text, struct platter_error *err);

#endif
