/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libburn.h - what the two sources of libburn's driver share */
#ifndef PL_LIBBURN_H
#define PL_LIBBURN_H

#include <sys/types.h>

#include <libburn/libburn.h>

#include "drive.h"

struct pl_feed;
struct pl_sound;

/* What is being written, from write() to end(). */
struct pl_burning {
	struct burn_write_opts *opts;
	struct burn_disc *disc;
	struct burn_session *session;
	struct burn_track *tracks[99];
	struct burn_source *fifos[99];
	struct pl_feed *feeds[99];
	uint64_t bytes[99]; /* of each track */
	size_t nr_tracks;
};

struct pl_burner {
	struct pl_drive drive;
	struct burn_drive_info *infos; /* of this one drive; NULL: not open */
	struct burn_drive *d;
	struct pl_sound *sound; /* NULL: none was read yet */
	struct pl_burning burning;
	bool cancelled;
};

static inline struct pl_burner *
pl_burner_of(struct pl_drive *drive)
{
	return pl_container_of(drive, struct pl_burner, drive);
}

/* Forget what libburn has said so far. */
void pl_burn_forget_messages(void);

/*
 * Wait until libburn's thread that writes has ended: when writing failed, it goes on for half a second
 * after the drive is idle.  `ret`: the first that libburn said of a failure, or "".
 */
void pl_burn_await_writer(char ret[static BURN_MSGS_MESSAGE_LEN]);

/* "WHAT: the worst that libburn has to say", or WHAT alone.  Returns `code`. */
int pl_burn_fail(struct platter_error *err, int code, const char *format, ...) PL_PRINTF(3, 4);

/* libburn-write.c: the operations that change a disc. */
int pl_burner_write(struct pl_drive *drive, const struct pl_burn_session *session,
		    struct platter_error *err);
int pl_burner_blank(struct pl_drive *drive, bool fast, struct platter_error *err);
int pl_burner_format(struct pl_drive *drive, struct platter_error *err);
int pl_burner_close(struct pl_drive *drive, struct platter_error *err);
void pl_burner_poll(struct pl_drive *drive, struct pl_drive_state *ret);
void pl_burner_cancel(struct pl_drive *drive);
int pl_burner_end(struct pl_drive *drive, struct platter_error *err);
int pl_burner_overwrite(struct pl_drive *drive, int64_t lba, size_t nr, const uint8_t *buf,
			struct platter_error *err);

#endif
