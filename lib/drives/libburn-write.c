/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libburn-write.c - discs written, blanked and formatted through libburn
 *
 * libburn's writer is a thread that takes sector by sector from a source.  Ours is a disk, read a
 * MiB at a time by the thread of a fifo in between, so that a source that is slow now and then does
 * not let the drive's buffer run dry.
 */
#include "libburn.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define FIFO_BYTES  MIB(16)
#define FEED_BYTES  MIB(1)
#define ERASE_STEPS 0x10000

/* Flags of burn_disc_format(): to the default size, again, and without certifying every block. */
#define FORMAT_FLAGS ((3 << 1) | (1 << 4) | (1 << 6))

/* burn_disc_close_damaged(): though nothing is damaged. */
#define CLOSE_FORCED 1

/* Types of CD-TEXT packs. */
enum {
	CDTEXT_TITLE = 0x80,
	CDTEXT_MESSAGE = 0x85,
};

/* Where the bytes of a track come from; belongs to the fifo's thread while that runs. */
struct pl_feed {
	struct pl_disk *disk; /* borrowed */
	uint64_t at, end;     /* of the disk */
	uint64_t padded;      /* bytes that the track has, whole sectors */
	uint64_t given;
	uint8_t *buf;
	size_t have, taken; /* in buf */
	_Atomic bool failed;
	struct platter_error err;
};

static int
feed_more(struct pl_feed *f)
{
	size_t n = (size_t)PL_MIN(f->end - f->at, FEED_BYTES);
	int r = pl_read_once(f->disk, f->buf, n, f->at, &f->err);

	if (r < 0) {
		f->failed = true;
		return r;
	}
	f->at += n;
	f->have = n;
	f->taken = 0;
	return 0;
}

/* As many bytes as are asked for, zeros behind the end of the disk; 0: the end. */
static int
feed_read(struct burn_source *source, unsigned char *buf, int size)
{
	struct pl_feed *f = source->data;
	size_t wanted = (size_t)PL_MIN((uint64_t)PL_MAX(size, 0), f->padded - f->given), done = 0;

	while (done < wanted) {
		size_t n;

		if (f->taken == f->have && f->at < f->end && feed_more(f) < 0)
			return -1;
		if (f->taken == f->have) {
			memset(buf + done, 0, wanted - done);
			break;
		}
		n = PL_MIN(wanted - done, f->have - f->taken);
		memcpy(buf + done, f->buf + f->taken, n);
		f->taken += n;
		done += n;
	}
	f->given += wanted;
	return (int)wanted;
}

static off_t
feed_size(struct burn_source *source)
{
	return (off_t)((struct pl_feed *)source->data)->padded;
}

/* The size is what it is. */
static int
feed_set_size(struct burn_source *source, off_t size)
{
	(void)source, (void)size;
	return 1;
}

/* The feed belongs to the burner. */
static void
feed_free(struct burn_source *source)
{
	source->data = NULL;
}

static void
feed_done(struct pl_feed *f)
{
	if (f)
		free(f->buf);
	free(f);
}

static uint32_t
sector_bytes(const struct pl_burn_track *t)
{
	return t->mode == PLATTER_TRACK_AUDIO ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;
}

static struct pl_feed *
feed_new(const struct pl_burn_track *t)
{
	struct pl_feed *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->disk = t->source;
	f->at = t->offset;
	f->end = t->offset + t->length;
	f->padded = pl_div_round_up(t->length, sector_bytes(t)) * sector_bytes(t);
	f->err = (struct platter_error)PLATTER_ERROR_INIT;
	f->buf = pl_alloc_aligned(FEED_BYTES);
	if (!f->buf) {
		free(f);
		return NULL;
	}
	return f;
}

/* A source behind a fifo; libburn's, to be freed with burn_source_free(). */
static struct burn_source *
fifo_new(struct pl_feed *f, uint32_t sector, size_t nr_tracks)
{
	struct burn_source *source = calloc(1, sizeof *source), *fifo;
	/* Those of two tracks are there at once, for a moment. */
	uint64_t bytes = nr_tracks > 1 ? FIFO_BYTES / 2 : FIFO_BYTES;

	if (!source)
		return NULL;
	source->refcount = 1;
	source->read = feed_read;
	source->get_size = feed_size;
	source->set_size = feed_set_size;
	source->free_data = feed_free;
	source->data = f;
	fifo = burn_fifo_source_new(source, (int)sector, (int)(bytes / sector), 0);
	burn_source_free(source);
	return fifo;
}

static void
burning_done(struct pl_burning *g)
{
	if (g->opts)
		burn_write_opts_free(g->opts);
	for (size_t i = 0; i < g->nr_tracks; i++) {
		if (g->tracks[i])
			burn_track_free(g->tracks[i]);
		if (g->fifos[i])
			burn_source_free(g->fifos[i]);
	}
	if (g->session)
		burn_session_free(g->session);
	if (g->disc)
		burn_disc_free(g->disc);
	/* The fifos' threads are gone with the fifos. */
	for (size_t i = 0; i < g->nr_tracks; i++)
		feed_done(g->feeds[i]);
	*g = (struct pl_burning){ 0 };
}

static int
mode_of(const struct pl_burn_track *t)
{
	int mode = t->mode == PLATTER_TRACK_AUDIO ? BURN_AUDIO : BURN_MODE1;

	if (t->flags & PLATTER_TRACK_COPY)
		mode |= BURN_COPY;
	if (t->flags & PLATTER_TRACK_PREEMPHASIS)
		mode |= BURN_PREEMPHASIS;
	if (t->flags & PLATTER_TRACK_FOUR_CHANNELS)
		mode |= BURN_4CH;
	if (t->flags & PLATTER_TRACK_SCMS)
		mode |= BURN_SCMS;
	return mode;
}

/* What only the CD has: indexes, gaps and the number of the recording. */
static int
set_track_details(struct burn_track *track, const struct pl_burn_track *t,
		  struct platter_error *err)
{
	if (t->pregap >= 0 && burn_track_set_pregap_size(track, (int)t->pregap, 0) <= 0)
		return pl_burn_fail(err, -EINVAL, "libburn takes no pregap of %" PRId64 " sectors",
				    t->pregap);
	for (size_t i = 0; i < t->nr_indexes; i++)
		if (burn_track_set_index(track, (int)(t->first_index + i), t->indexes[i], 0) <= 0)
			return pl_burn_fail(err, -EINVAL,
					    "libburn takes no index at sector %" PRIu32,
					    t->indexes[i]);
	if (t->isrc && strlen(t->isrc) == 12 &&
	    burn_track_set_isrc_string(track, (char *)(uintptr_t)t->isrc, 0) <= 0)
		return pl_burn_fail(err, -EINVAL, "'%s' is no ISRC", t->isrc);
	return 0;
}

static int
add_track(struct pl_burning *g, const struct pl_burn_session *s, const struct pl_burn_track *t,
	  struct platter_error *err)
{
	size_t i = g->nr_tracks++;

	g->feeds[i] = feed_new(t);
	g->tracks[i] = burn_track_create();
	if (!g->feeds[i] || !g->tracks[i])
		return pl_no_memory(err);
	g->bytes[i] = g->feeds[i]->padded;
	g->fifos[i] = fifo_new(g->feeds[i], sector_bytes(t), s->nr_tracks);
	if (!g->fifos[i])
		return pl_no_memory(err);
	burn_track_define_data(g->tracks[i], 0, 0, 1, mode_of(t));
	if (burn_track_set_source(g->tracks[i], g->fifos[i]) != BURN_SOURCE_OK ||
	    burn_session_add_track(g->session, g->tracks[i], BURN_POS_END) <= 0)
		return pl_burn_fail(err, -EIO, "libburn takes no track");
	return set_track_details(g->tracks[i], t, err);
}

/* CD-TEXT has one byte a character, of ISO 8859-1; malloc()ed, NULL: no memory. */
static char *
text_of_cd(const char *utf8)
{
	size_t nr, n = 0;
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(utf8, &nr);
	char *text = units ? malloc(nr + 1) : NULL;

	for (size_t i = 0; text && i < nr; i++) {
		uint16_t unit = get_le16(units + 2 * i);

		text[n++] = unit && unit < 0x100 ? (char)unit : '?';
	}
	if (text)
		text[n] = '\0';
	return text;
}

static const char *
text_by_type(const struct platter_disc_text *t, int type)
{
	const char *const texts[] = { t->title,    t->performer, t->songwriter,
				      t->composer, t->arranger,  t->message };

	return texts[type - CDTEXT_TITLE] ? texts[type - CDTEXT_TITLE] : "";
}

/* Is there any text of this type? */
static bool
has_text(const struct pl_burn_session *s, int type)
{
	bool found = s->text && *text_by_type(s->text, type);

	for (size_t i = 0; i < s->nr_tracks && !found; i++)
		found = s->tracks[i].text && *text_by_type(s->tracks[i].text, type);
	return found;
}

/* A type that is there at all is there of the disc and of each track. */
static int
set_text(struct pl_burning *g, const struct pl_burn_session *s, int type, struct platter_error *err)
{
	for (size_t i = 0; i <= s->nr_tracks; i++) {
		const struct platter_disc_text *t = i ? s->tracks[i - 1].text : s->text;
		PL_AUTOFREE char *text = text_of_cd(t ? text_by_type(t, type) : "");
		int r;

		if (!text)
			return pl_no_memory(err);
		r = i ? burn_track_set_cdtext(g->tracks[i - 1], 0, type, NULL,
					      (unsigned char *)text, (int)strlen(text) + 1, 0)
		      : burn_session_set_cdtext(g->session, 0, type, NULL, (unsigned char *)text,
						(int)strlen(text) + 1, 0);
		if (r <= 0)
			return pl_burn_fail(err, -EINVAL, "libburn takes no CD-TEXT '%.40s'", text);
	}
	return 0;
}

static int
set_texts(struct pl_burning *g, const struct pl_burn_session *s, struct platter_error *err)
{
	int r = 0;

	for (int type = CDTEXT_TITLE; type <= CDTEXT_MESSAGE && r == 0; type++)
		if (has_text(s, type))
			r = set_text(g, s, type, err);
	return r;
}

/*
 * Tracks of DVD+R and BD-R may be of open size, which asks less of the drive: some have no command
 * that reserves a track.
 */
static bool
has_open_tracks(const struct pl_burn_session *s, unsigned profile)
{
	return s->nr_tracks == 1 &&
	       (profile == PL_PROFILE_DVD_PLUS_R || profile == PL_PROFILE_DVD_PLUS_R_DL ||
		profile == PL_PROFILE_BD_R);
}

static int
choose_type(struct pl_burning *g, const struct pl_burn_session *s, unsigned profile,
	    struct platter_error *err)
{
	char reasons[BURN_REASONS_LEN] = "";
	bool sound = false, data = false;

	for (size_t i = 0; i < s->nr_tracks; i++)
		*(s->tracks[i].mode == PLATTER_TRACK_AUDIO ? &sound : &data) = true;
	/* Gaps and indexes are as they should be only in sessions that are written at once. */
	if (sound && !data) {
		if (burn_write_opts_set_write_type(g->opts, BURN_WRITE_SAO, BURN_BLOCK_SAO))
			return set_texts(g, s, err);
	} else if (has_open_tracks(s, profile) &&
		   burn_write_opts_set_write_type(g->opts, BURN_WRITE_TAO, BURN_BLOCK_MODE1)) {
		return 0;
	} else if (burn_write_opts_auto_write_type(g->opts, g->disc, reasons, 0) !=
		   BURN_WRITE_NONE) {
		return 0;
	}
	pl_burn_forget_messages();
	return pl_unsupported(err, PLATTER_NO_OFFSET,
			      "the drive cannot write this to this disc%s%.200s",
			      *reasons ? ": " : "", reasons);
}

static int
prepare(struct pl_burner *b, const struct pl_burn_session *s, struct platter_error *err)
{
	struct pl_burning *g = &b->burning;
	int r = 0;

	g->opts = burn_write_opts_new(b->d);
	g->disc = burn_disc_create();
	g->session = burn_session_create();
	if (!g->opts || !g->disc || !g->session ||
	    burn_disc_add_session(g->disc, g->session, BURN_POS_END) <= 0)
		return pl_no_memory(err);
	for (size_t i = 0; i < s->nr_tracks && r == 0; i++)
		r = add_track(g, s, &s->tracks[i], err);
	if (r < 0)
		return r;
	if (s->first_number > 1)
		burn_session_set_start_tno(g->session, (int)s->first_number, 0);
	burn_write_opts_set_perform_opc(g->opts, 0);
	burn_write_opts_set_underrun_proof(g->opts, 1);
	burn_write_opts_set_multi(g->opts, s->multi);
	burn_write_opts_set_simulate(g->opts, s->simulate);
	if (s->start > 0)
		burn_write_opts_set_start_byte(g->opts, (off_t)s->start * PL_DISC_SECTOR);
	if (s->mcn && strlen(s->mcn) == 13) {
		burn_write_opts_set_mediacatalog(g->opts, (unsigned char *)(uintptr_t)s->mcn);
		burn_write_opts_set_has_mediacatalog(g->opts, 1);
	}
	burn_drive_set_speed(b->d, 0, (int)s->speed);
	return choose_type(g, s, b->drive.info.disc.profile, err);
}

int
pl_burner_write(struct pl_drive *drive, const struct pl_burn_session *session,
		struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);
	struct pl_feed *first;
	int r;

	pl_burn_forget_messages();
	b->cancelled = false;
	if (session->nr_tracks > ARRAY_SIZE(b->burning.tracks))
		return pl_over_limit(err, PLATTER_NO_OFFSET, "%zu tracks, a disc has 99 at most",
				     session->nr_tracks);
	r = prepare(b, session, err);
	/* A source that fails at once does so before the disc is touched. */
	if (r == 0)
		burn_fifo_fill(b->burning.fifos[0], 0, 1);
	first = b->burning.feeds[0];
	if (r == 0 && first->failed) {
		r = first->err.code;
		if (err)
			*err = first->err;
	}
	if (r < 0) {
		burning_done(&b->burning);
		return pl_negative(r);
	}
	burn_disc_write(b->burning.opts, b->burning.disc);
	return 0;
}

int
pl_burner_blank(struct pl_drive *drive, bool fast, struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);

	(void)err;
	pl_burn_forget_messages();
	b->cancelled = false;
	burn_disc_erase(b->d, fast);
	return 0;
}

int
pl_burner_format(struct pl_drive *drive, struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);

	(void)err;
	pl_burn_forget_messages();
	b->cancelled = false;
	burn_disc_format(b->d, 0, FORMAT_FLAGS);
	return 0;
}

int
pl_burner_close(struct pl_drive *drive, struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);
	struct burn_write_opts *opts = burn_write_opts_new(b->d);
	int r;

	if (!opts)
		return pl_no_memory(err);
	pl_burn_forget_messages();
	burn_write_opts_set_write_type(opts, BURN_WRITE_TAO, BURN_BLOCK_MODE1);
	burn_write_opts_set_multi(opts, 0);
	r = burn_disc_close_damaged(opts, CLOSE_FORCED);
	burn_write_opts_free(opts);
	return r > 0 ? 0 : pl_burn_fail(err, -EIO, "the drive could not close the disc");
}

/* Bytes of the tracks before the one that is written, and of that. */
static uint64_t
bytes_written(const struct pl_burning *g, const struct burn_progress *p)
{
	uint64_t done = 0;
	off_t read, written = 0;

	for (size_t i = 0; i < g->nr_tracks && (int)i < p->track; i++)
		done += g->bytes[i];
	if (p->track >= 0 && (size_t)p->track < g->nr_tracks) {
		burn_track_get_counters(g->tracks[p->track], &read, &written);
		done += PL_MIN((uint64_t)PL_MAX(written, 0), g->bytes[p->track]);
	}
	return done;
}

static int
fifo_fill(const struct pl_burning *g, const struct burn_progress *p)
{
	int size = 0, room = 0;
	char *words;

	if (p->track < 0 || (size_t)p->track >= g->nr_tracks ||
	    burn_fifo_inquire_status(g->fifos[p->track], &size, &room, &words) != 1 || size <= 0)
		return -1;
	return (int)(100 * ((int64_t)size - room) / size);
}

void
pl_burner_cancel(struct pl_drive *drive)
{
	struct pl_burner *b = pl_burner_of(drive);

	b->cancelled = true;
	burn_drive_cancel(b->d);
}

/* The error of a source, behind which libburn would write zeros to the end of the track. */
static const struct platter_error *
failed_feed(const struct pl_burning *g)
{
	for (size_t i = 0; i < g->nr_tracks; i++)
		if (g->feeds[i]->failed)
			return &g->feeds[i]->err;
	return NULL;
}

void
pl_burner_poll(struct pl_drive *drive, struct pl_drive_state *ret)
{
	struct pl_burner *b = pl_burner_of(drive);
	struct burn_progress p = { 0 };
	enum burn_drive_status status = burn_drive_get_status(b->d, &p);

	if (!b->cancelled && failed_feed(&b->burning))
		pl_burner_cancel(drive);
	*ret = (struct pl_drive_state){
		.busy = status != BURN_DRIVE_IDLE,
		.phase = "burning",
		.fraction = -1,
		.buffer = -1,
		.ahead = -1,
	};
	switch (status) {
	case BURN_DRIVE_ERASING: ret->phase = "blanking"; break;
	case BURN_DRIVE_FORMATTING: ret->phase = "formatting"; break;
	case BURN_DRIVE_CLOSING_TRACK:
	case BURN_DRIVE_CLOSING_SESSION:
	case BURN_DRIVE_WRITING_LEADOUT: ret->phase = "closing"; break;
	default: break;
	}
	if ((status == BURN_DRIVE_ERASING || status == BURN_DRIVE_FORMATTING) && p.sector > 0)
		ret->fraction = PL_MIN((double)p.sector / ERASE_STEPS, 1);
	if (!b->burning.nr_tracks || status == BURN_DRIVE_SPAWNING)
		return;
	ret->done = bytes_written(&b->burning, &p);
	ret->ahead = fifo_fill(&b->burning, &p);
	if (status == BURN_DRIVE_WRITING && p.buffer_capacity &&
	    p.buffer_available <= p.buffer_capacity)
		ret->buffer = (int)(100 * (uint64_t)(p.buffer_capacity - p.buffer_available) /
				    p.buffer_capacity);
}

int
pl_burner_end(struct pl_drive *drive, struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);
	bool well = burn_drive_wrote_well(b->d);
	const struct platter_error *source = failed_feed(&b->burning);
	char said[BURN_MSGS_MESSAGE_LEN] = "";
	int r = 0;

	if (b->burning.nr_tracks)
		pl_burn_await_writer(said);
	if (source) {
		r = pl_negative(source->code);
		if (err)
			*err = *source;
	} else if (b->cancelled) {
		r = pl_fail(err, -ECANCELED, "stopped");
	} else if (!well && *said) {
		r = pl_fail(err, -EIO, "the drive failed to write: %.300s", said);
	} else if (!well) {
		r = pl_burn_fail(err, -EIO, "the drive failed to write");
	}
	if (r < 0)
		pl_burn_forget_messages();
	burning_done(&b->burning);
	return r;
}

int
pl_burner_overwrite(struct pl_drive *drive, int64_t lba, size_t nr, const uint8_t *buf,
		    struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);
	int r;

	pl_burn_forget_messages();
	burn_drive_reset_simulate(b->d, 0);
	r = burn_random_access_write(b->d, (off_t)lba * PL_DISC_SECTOR, (char *)(uintptr_t)buf,
				     (off_t)(nr * PL_DISC_SECTOR), 1);
	if (r > 0)
		return 0;
	return pl_burn_fail(err, -EIO, "cannot write %zu sectors from sector %" PRId64 " on", nr,
			    lba);
}
