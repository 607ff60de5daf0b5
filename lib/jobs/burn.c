/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * burn.c - an image is written to the disc in a drive
 *
 * What is to be done is planned before anything is; what a disc offers after it was blanked or
 * formatted is looked at again.  The drive does its work by itself, and is asked from time to time
 * how far it has come.
 */
#include "burn.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "burn-disc.h"
#include "burn-verify.h"
#include "progress.h"

/* Nanoseconds between two questions to the drive. */
#define POLL_INTERVAL 20000000

/* An image may be smaller than its last sector. */
#define WIPE_SECTORS 256
/* What holds the names of an ISO 9660 image and its like, and of partition tables: 64 KiB. */
#define WIPE_FAST_SECTORS 32

/* What is read to find out whether something is there that would be lost: 16 MiB, 64 KiB at once. */
#define LOOK_SECTORS 8192
#define LOOK_AT_ONCE 32

/* A buffer that was filled so far (percent) once may be asked how low it got. */
#define BUFFER_WAS_FULL 50

/* ECMA-119, 8.4 to 8.5: descriptors of a session, from its sector 16 on. */
#define ISO_DESCRIPTORS    16
#define ISO_NR_DESCRIPTORS 16
enum {
	ISO_TYPE_PRIMARY = 1,
	ISO_TYPE_SUPPLEMENTARY = 2,
	ISO_TYPE_END = 255,
	ISO_IDENTIFIER = 1,
	ISO_SPACE_SIZE = 80,
	ISO_ROOT_EXTENT = 158,
};

struct burn {
	struct pl_disk *image; /* NULL: none */
	struct pl_drive *drive;
	const struct platter_burn_options *options;
	struct platter_progress *progress;
	struct pl_burn_disc disc; /* of an image that is one */
	bool is_disc;
	struct pl_burn_plan plan;
	struct platter_burn_result *result;
};

static int
shape_of(struct pl_disk *image, struct pl_burn_shape *ret, struct platter_error *err)
{
	if (image->sequential) {
		int r = pl_unsupported(err, PLATTER_NO_OFFSET,
				       "how long a stream is cannot be told before it is burned");
		pl_hint(err, "write it to a file first");
		return r;
	}
	if (pl_burn_is_disc(image)) {
		PL_AUTOFREE struct pl_burn_disc *d = malloc(sizeof *d);
		int r = d ? pl_burn_disc_init(d, image, err) : pl_no_memory(err);

		if (r == 0)
			*ret = d->shape;
		if (d)
			pl_burn_disc_done(d);
		return r;
	}
	*ret = (struct pl_burn_shape){ .bytes = pl_round_up(image->size, PL_DISC_SECTOR),
				       .nr_tracks = 1,
				       .nr_sessions = 1 };
	return 0;
}

/* The descriptor at sector 16 + `index` of an image.  False: there is none. */
static bool
read_descriptor(struct pl_disk *image, size_t index, uint8_t buf[static PL_DISC_SECTOR])
{
	uint64_t at = (ISO_DESCRIPTORS + index) * PL_DISC_SECTOR;

	return pl_in_range(at, PL_DISC_SECTOR, image->size) &&
	       pl_read(image, buf, PL_DISC_SECTOR, at, NULL) == 0 &&
	       !memcmp(buf + ISO_IDENTIFIER, "CD001", 5);
}

/* An ISO 9660 image names its sectors as they are on the disc: it is made for where it begins. */
static int
check_start(struct pl_disk *image, const struct pl_drive *drive, int64_t start,
	    struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	uint8_t sector[PL_DISC_SECTOR];
	uint32_t root;
	int r;

	if (!read_descriptor(image, 0, sector) || sector[0] != ISO_TYPE_PRIMARY)
		return 0;
	root = get_le32(sector + ISO_ROOT_EXTENT);
	if (root >= start)
		return 0;
	r = pl_invalid(err,
		       "the image was made for another place: its root folder is at sector %" PRIu32
		       ", and it would begin at sector %" PRId64,
		       root, start);
	pl_hint(err, "make it with xorriso -as mkisofs -M %s -C %" PRId64 ",%" PRId64,
		drive->info.address, disc->last_session, start);
	return r;
}

static int64_t
start_of(const struct pl_drive *drive, const struct pl_burn_plan *plan)
{
	const struct platter_drive_disc *disc = &drive->info.disc;

	if (plan->start >= 0)
		return plan->start;
	return disc->state == PLATTER_DISC_APPENDABLE && disc->next_writable > 0
		       ? disc->next_writable
		       : 0;
}

static int
make_plan(struct pl_disk *image, struct pl_drive *drive, const struct platter_burn_options *o,
	  struct pl_burn_plan *ret, struct platter_error *err)
{
	struct pl_burn_shape shape;
	int r = image ? shape_of(image, &shape, err) : 0;

	if (r == 0)
		r = pl_burn_plan(drive, image ? &shape : NULL, o, ret, err);
	if (r == 0 && image && o->append && !pl_burn_is_disc(image))
		r = check_start(image, drive, start_of(drive, ret), err);
	return r;
}

/*
 * Does anything stand on an overwritable disc where a session will be written that is appended?  What
 * cannot be read, or would take too long to, may be something.
 */
static int
is_anything_at(struct pl_drive *drive, int64_t start, uint64_t nr, bool *ret,
	       struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(LOOK_AT_ONCE * PL_DISC_SECTOR);
	uint64_t size = drive->info.disc.size / PL_DISC_SECTOR, at = (uint64_t)start;
	uint64_t end = PL_MIN(size, at + nr), look_end = PL_MIN(end, at + LOOK_SECTORS);

	if (!buf)
		return pl_no_memory(err);
	*ret = false;
	while (at < look_end && !*ret) {
		size_t part = (size_t)PL_MIN(look_end - at, LOOK_AT_ONCE), got;
		int r = drive->ops->read(drive, false, (int64_t)at, part, buf, &got, err);

		if (r < 0)
			return r;
		*ret = got < part || !pl_is_zero(buf, part * PL_DISC_SECTOR);
		at += part;
	}
	*ret |= look_end < end;
	return 0;
}

int
pl_burn_check(struct pl_disk *image, struct pl_drive *drive, const struct platter_burn_options *o,
	      int64_t *ret_lost, struct platter_error *err)
{
	struct pl_burn_plan plan;
	bool lost = false;
	int r = make_plan(image, drive, o, &plan, err);

	if (r == 0 && plan.overwrites && !o->simulate)
		r = is_anything_at(drive, plan.start, pl_div_round_up(image->size, PL_DISC_SECTOR),
				   &lost, err);
	if (r == 0)
		*ret_lost = plan.lost ? 0 : lost ? plan.start : -1;
	return r;
}

static void
take_buffer(struct burn *b, const struct pl_drive_state *state, bool *was_full)
{
	if (state->buffer < 0)
		return;
	*was_full |= state->buffer >= BUFFER_WAS_FULL;
	if (*was_full && (b->result->lowest_buffer < 0 || state->buffer < b->result->lowest_buffer))
		b->result->lowest_buffer = state->buffer;
}

/* Until the drive is idle again; `total` bytes of phase `phase`, as far as that can be told. */
static int
wait_for_drive(struct burn *b, const char *phase, uint64_t total, struct platter_error *err)
{
	static const struct timespec interval = { .tv_nsec = POLL_INTERVAL };
	bool writing = !strcmp(phase, "burning"), cancelled = false, was_full = false;
	struct pl_drive *drive = b->drive;
	struct pl_drive_state state;
	struct pl_meter meter;
	uint64_t done = 0;

	pl_meter_start(&meter, b->progress, phase, total);
	for (;;) {
		uint64_t now;

		drive->ops->poll(drive, &state);
		if (!state.busy)
			break;
		if (strcmp(state.phase, phase) != 0 && !strcmp(state.phase, "closing")) {
			pl_meter_finish(&meter);
			phase = state.phase;
			pl_meter_start(&meter, b->progress, phase, UINT64_MAX);
			done = state.done;
		}
		now = state.fraction >= 0 ? (uint64_t)(state.fraction * (double)total) : state.done;
		pl_meter_set_fill(&meter, state.buffer, state.ahead);
		pl_meter_add(&meter, now > done ? now - done : 0, now > done ? now - done : 0);
		done = PL_MAX(done, now);
		take_buffer(b, &state, &was_full);
		if (writing && !cancelled && pl_cancelled(b->progress)) {
			cancelled = true;
			drive->ops->cancel(drive);
		}
		nanosleep(&interval, NULL);
	}
	if (meter.total != UINT64_MAX && done < total && !cancelled)
		pl_meter_add(&meter, total - done, total - done);
	pl_meter_finish(&meter);
	return drive->ops->end(drive, err);
}

/* The capacity of the disc is what blanking it goes through. */
static uint64_t
capacity(const struct pl_drive *drive)
{
	return PL_MAX(drive->info.disc.size, drive->info.disc.free);
}

/* Zeros on an overwritable disc. */
static int
wipe(struct burn *b, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = calloc(WIPE_SECTORS, PL_DISC_SECTOR);
	uint64_t nr = b->drive->info.disc.size / PL_DISC_SECTOR;
	struct pl_meter meter;
	int r = 0;

	if (!zeros)
		return pl_no_memory(err);
	if (b->plan.fast)
		nr = PL_MIN(nr, WIPE_FAST_SECTORS);
	pl_meter_start(&meter, b->progress, "blanking", nr * PL_DISC_SECTOR);
	for (uint64_t at = 0; at < nr && r == 0; at += WIPE_SECTORS) {
		size_t part = (size_t)PL_MIN(nr - at, WIPE_SECTORS);

		if (pl_meter_cancelled(&meter))
			r = pl_fail(err, -ECANCELED, "stopped");
		else
			r = b->drive->ops->overwrite(b->drive, (int64_t)at, part, zeros, err);
		pl_meter_add(&meter, part * PL_DISC_SECTOR, part * PL_DISC_SECTOR);
	}
	pl_meter_finish(&meter);
	return r;
}

/* Make the disc what it has to be before it is written. */
static int
empty_disc(struct burn *b, struct platter_error *err)
{
	struct pl_drive *drive = b->drive;
	int r = 0;

	if (b->plan.blank) {
		r = drive->ops->blank(drive, b->plan.fast, err);
		if (r == 0)
			r = wait_for_drive(b, "blanking", capacity(drive), err);
	} else if (b->plan.wipe) {
		r = wipe(b, err);
	}
	b->result->blanked = r == 0 && (b->plan.blank || b->plan.wipe);
	if (r == 0 && b->plan.format) {
		r = drive->ops->format(drive, err);
		if (r == 0)
			r = wait_for_drive(b, "formatting", capacity(drive), err);
		b->result->formatted = r == 0;
	}
	if (r == 0)
		r = pl_drive_look(drive, err);
	/* The drive goes on with this to the end. */
	if (r == 0 && pl_cancelled(b->progress))
		r = pl_fail(err, -ECANCELED, "stopped");
	return r;
}

/* Plan again, for the disc as it is now. */
static int
plan_emptied(struct burn *b, struct platter_error *err)
{
	struct platter_burn_options rest = *b->options;

	if (!b->image)
		return 0;
	rest.blank = PLATTER_BLANK_NONE;
	rest.format = false;
	return make_plan(b->image, b->drive, &rest, &b->plan, err);
}

static int
count_bad(struct pl_disk *image, uint64_t *ret, struct platter_error *err)
{
	uint64_t length;

	for (uint64_t at = 0; at < image->size; at += length) {
		enum platter_kind kind;
		int r = pl_span(image, at, image->size - at, &kind, &length, err);

		if (r < 0)
			return r;
		if (kind == PLATTER_BAD)
			*ret += length;
	}
	return 0;
}

/*
 * What is read at sector 16 of an overwritable disc becomes that of the session which begins at
 * `start`, so that it is the one that is found.
 */
static int
name_session(struct burn *b, int64_t start, struct platter_error *err)
{
	uint32_t size =
		(uint32_t)(start + (int64_t)pl_div_round_up(b->image->size, PL_DISC_SECTOR));
	PL_AUTOFREE uint8_t *buf = calloc(ISO_NR_DESCRIPTORS, PL_DISC_SECTOR);
	size_t nr = 0;

	if (!buf)
		return pl_no_memory(err);
	while (nr < ISO_NR_DESCRIPTORS &&
	       read_descriptor(b->image, nr, buf + nr * PL_DISC_SECTOR)) {
		uint8_t *one = buf + nr++ * PL_DISC_SECTOR;

		if (*one == ISO_TYPE_PRIMARY || *one == ISO_TYPE_SUPPLEMENTARY) {
			put_le32(one + ISO_SPACE_SIZE, size);
			put_be32(one + ISO_SPACE_SIZE + 4, size);
		}
		if (*one == ISO_TYPE_END)
			break;
	}
	if (!nr)
		return 0;
	return b->drive->ops->overwrite(b->drive, ISO_DESCRIPTORS, ISO_NR_DESCRIPTORS, buf, err);
}

static int
write_data(struct burn *b, struct platter_error *err)
{
	struct pl_burn_track track = {
		.source = b->image,
		.length = b->image->size,
		.mode = PLATTER_TRACK_MODE1,
		.pregap = -1,
		.isrc = "",
	};
	struct pl_burn_session session = {
		.tracks = &track,
		.nr_tracks = 1,
		.first_number = 1,
		.mcn = "",
		.simulate = b->options->simulate,
		.multi = b->options->multi && b->drive->can_append,
		.speed = b->options->speed,
		.start = b->plan.start,
	};
	uint64_t bytes = pl_round_up(b->image->size, PL_DISC_SECTOR);
	int64_t start = start_of(b->drive, &b->plan);
	int r = count_bad(b->image, &b->result->bad, err);

	if (r == 0)
		r = b->drive->ops->write(b->drive, &session, err);
	if (r == 0)
		r = wait_for_drive(b, "burning", bytes, err);
	if (r == 0 && b->plan.overwrites && !b->options->simulate)
		r = name_session(b, start, err);
	if (r < 0)
		return r;
	b->result->size = b->image->size;
	b->result->written = bytes;
	b->result->start = start;
	b->result->tracks = b->result->sessions = 1;
	return 0;
}

/* The drive begins a session where it does; what names its own sectors has to stand there. */
static int
check_session_start(const struct burn *b, size_t index, int64_t wanted, struct platter_error *err)
{
	int64_t start = start_of(b->drive, &b->plan);

	if (wanted < 0 || start == wanted)
		return 0;
	return pl_unsupported(err, PLATTER_NO_OFFSET,
			      "session %zu has to begin at sector %" PRId64
			      ", and the drive begins it at %" PRId64,
			      index + 1, wanted, start);
}

static int
write_session(struct burn *b, size_t index, size_t nr, struct platter_error *err)
{
	struct pl_burn_session session;
	uint64_t bytes = 0;
	int64_t wanted;
	int r;

	pl_burn_disc_session(&b->disc, index, &session, &wanted);
	r = check_session_start(b, index, wanted, err);
	if (r < 0)
		return r;
	session.simulate = b->options->simulate;
	session.multi = b->options->multi || index + 1 < nr;
	session.speed = b->options->speed;
	for (size_t i = 0; i < session.nr_tracks; i++)
		bytes += session.tracks[i].length;
	r = b->drive->ops->write(b->drive, &session, err);
	if (r == 0)
		r = wait_for_drive(b, "burning", bytes, err);
	if (r < 0)
		return r;
	b->result->written += bytes;
	b->result->tracks += (uint32_t)session.nr_tracks;
	b->result->sessions++;
	return index + 1 < nr ? pl_drive_look(b->drive, err) : 0;
}

/* Sessions one behind the other. */
static int
write_disc(struct burn *b, struct platter_error *err)
{
	size_t nr = b->disc.shape.nr_sessions;
	int r = count_bad(b->disc.raw, &b->result->bad, err);

	b->result->start = start_of(b->drive, &b->plan);
	for (size_t i = 0; i < nr && r == 0; i++)
		r = write_session(b, i, nr, err);
	if (r == 0)
		b->result->size = b->disc.raw->size;
	return r;
}

static int
verify_data(struct burn *b, struct platter_error *err)
{
	const struct pl_burn_track track = { .source = b->image, .length = b->image->size };
	int r = pl_burn_verify_data(b->drive, &track, b->result->start, b->progress, err);

	b->result->verified = r == 0;
	return r;
}

/* All tracks, one by one. */
static int
verify_disc(struct burn *b, struct platter_error *err)
{
	const struct platter_drive_disc *toc = &b->drive->info.disc;
	size_t first = toc->nr_tracks - PL_MIN(b->result->tracks, toc->nr_tracks);
	int r = 0;

	if (toc->nr_tracks < b->result->tracks)
		return pl_fail(err, -EILSEQ, "the disc has %zu tracks, %" PRIu32 " were written",
			       toc->nr_tracks, b->result->tracks);
	for (size_t i = 0; i < b->result->tracks && r == 0; i++)
		r = pl_burn_verify_track(b->drive, &b->disc.tracks[i], &toc->tracks[first + i],
					 b->progress, err);
	b->result->verified = r == 0;
	return r;
}

static int
run(struct burn *b, struct platter_error *err)
{
	struct pl_drive *drive = b->drive;
	int r = make_plan(b->image, drive, b->options, &b->plan, err);

	if (r == 0 && (b->plan.blank || b->plan.wipe || b->plan.format)) {
		r = empty_disc(b, err);
		if (r == 0)
			r = plan_emptied(b, err);
	}
	if (r == 0 && b->plan.close)
		r = drive->ops->close(drive, err);
	if (r < 0 || !b->image)
		return r;
	r = b->is_disc ? write_disc(b, err) : write_data(b, err);
	/* Also after a failure: what it left is told. */
	if (pl_drive_look(drive, r == 0 ? err : NULL) < 0 && r == 0)
		return err ? err->code : -EIO;
	if (r < 0 || !b->options->verify)
		return r;
	return b->is_disc ? verify_disc(b, err) : verify_data(b, err);
}

int
pl_burn(struct pl_disk *image, struct pl_drive *drive, const struct platter_burn_options *options,
	struct platter_progress *progress, struct platter_burn_result *ret,
	struct platter_error *err)
{
	struct burn b = {
		.image = image,
		.drive = drive,
		.options = options,
		.progress = progress,
		.result = ret,
	};
	struct pl_meter clock;
	int r;

	*ret = (struct platter_burn_result){ .lowest_buffer = -1 };
	pl_meter_start(&clock, NULL, "", 0);
	b.is_disc = image && !image->sequential && pl_burn_is_disc(image);
	r = b.is_disc ? pl_burn_disc_init(&b.disc, image, err) : 0;
	if (r == 0)
		r = run(&b, err);
	pl_burn_disc_done(&b.disc);
	ret->seconds = pl_meter_seconds(&clock);
	return r;
}
