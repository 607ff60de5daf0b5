/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fake-drive.h - a drive without hardware, with any disc in it, that fails where it is told to
 *
 * Its disc is an array of sectors, of 2048 bytes of data or 2352 of sound.
 */
#ifndef FAKE_DRIVE_H
#define FAKE_DRIVE_H

#include <stdlib.h>
#include <time.h>

#include "drive.h"
#include "test.h"

enum {
	FAKE_MAX_TRACKS = 8,
	FAKE_MAX_SESSIONS = 4,
};

struct fake {
	struct pl_drive drive;
	uint8_t *bytes; /* PL_AUDIO_SECTOR of each sector */
	uint64_t nr;
	struct platter_drive_track tracks[FAKE_MAX_TRACKS];

	/* How it fails. */
	uint64_t bad_start, bad_nr; /* sectors that cannot be read, */
	unsigned bad_times;         /* so many times; 0: never */
	unsigned failed_times;
	size_t at_once; /* sectors that one read gives at most; 0: any number */
	bool gone;
	bool slow;            /* sleeps while it reads */
	int write_result;     /* of end() */
	bool flips;           /* writes one bit wrongly */
	uint64_t after_blank; /* free bytes of the disc then */
	int shift;            /* bytes that it is off when it reads sound */
	bool endless;         /* writes until it is cancelled */
	uint8_t *packs;
	size_t nr_packs;

	/* What it was asked to do. */
	uint64_t reads;
	_Atomic unsigned reading; /* calls at this moment */
	_Atomic bool overlapped;  /* there was more than one */
	unsigned looks, blanks, formats, closes, cancels, overwrites;
	unsigned polls_left;
	bool writing;
	size_t nr_sessions;
	struct pl_burn_session sessions[FAKE_MAX_SESSIONS];
	struct pl_burn_track written[FAKE_MAX_SESSIONS][FAKE_MAX_TRACKS];
	uint64_t done;
};

static struct fake *
fake_of(struct pl_drive *drive)
{
	return pl_container_of(drive, struct fake, drive);
}

static int
fake_look(struct pl_drive *drive, struct platter_error *err)
{
	(void)err;
	fake_of(drive)->looks++;
	return 0;
}

static bool
is_bad(struct fake *f, uint64_t sector)
{
	if (sector < f->bad_start || sector >= f->bad_start + f->bad_nr)
		return false;
	return !f->bad_times || f->failed_times++ < f->bad_times;
}

static void
read_sector(const struct fake *f, bool audio, int64_t sector, uint8_t *to)
{
	int64_t at = sector * PL_AUDIO_SECTOR - (audio ? f->shift : 0);

	if (!audio) {
		memcpy(to, f->bytes + at, PL_DISC_SECTOR);
		return;
	}
	for (size_t i = 0; i < PL_AUDIO_SECTOR; i++, at++)
		to[i] = at >= 0 && (uint64_t)at < f->nr * PL_AUDIO_SECTOR ? f->bytes[at] : 0;
}

static int
fake_read(struct pl_drive *drive, bool audio, int64_t lba, size_t nr, uint8_t *buf, size_t *ret_nr,
	  struct platter_error *err)
{
	struct fake *f = fake_of(drive);
	size_t bytes = audio ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;

	f->overlapped |= f->reading++ > 0;
	if (f->slow)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	f->reads += nr;
	f->reading--;
	*ret_nr = 0;
	if (f->gone)
		return pl_fail(err, -ENODEV, "the disc is gone");
	while (*ret_nr < nr && (!f->at_once || *ret_nr < f->at_once)) {
		int64_t sector = lba + (int64_t)*ret_nr;

		if (sector < 0 || (uint64_t)sector >= f->nr || is_bad(f, (uint64_t)sector))
			break;
		read_sector(f, audio, sector, buf + *ret_nr * bytes);
		++*ret_nr;
	}
	return 0;
}

static int
fake_cdtext(struct pl_drive *drive, uint8_t **ret, size_t *ret_n, struct platter_error *err)
{
	struct fake *f = fake_of(drive);

	(void)err;
	*ret = f->nr_packs ? malloc(f->nr_packs) : NULL;
	if (*ret)
		memcpy(*ret, f->packs, f->nr_packs);
	*ret_n = f->nr_packs;
	return 0;
}

static void
fake_number(struct pl_drive *drive, uint32_t track, char ret[static PL_DRIVE_NUMBER])
{
	(void)drive;
	if (track == 0)
		snprintf(ret, PL_DRIVE_NUMBER, "4006381333931");
	else if (track == 1)
		snprintf(ret, PL_DRIVE_NUMBER, "DEXYZ0512345");
	else
		ret[0] = '\0';
}

/* All tracks of a session, as they come from their sources. */
static int
fake_write(struct pl_drive *drive, const struct pl_burn_session *session, struct platter_error *err)
{
	struct fake *f = fake_of(drive);
	struct pl_burn_session *kept = &f->sessions[f->nr_sessions];
	uint64_t at = session->start > 0 ? (uint64_t)session->start
		      : drive->info.disc.next_writable > 0 && session->start < 0
			      ? (uint64_t)drive->info.disc.next_writable
			      : 0;
	int r = 0;

	EXPECT(session->nr_tracks <= FAKE_MAX_TRACKS && f->nr_sessions < FAKE_MAX_SESSIONS);
	*kept = *session;
	memcpy(f->written[f->nr_sessions], session->tracks,
	       session->nr_tracks * sizeof *session->tracks);
	kept->tracks = f->written[f->nr_sessions++];
	for (size_t i = 0; i < session->nr_tracks && r == 0; i++) {
		const struct pl_burn_track *t = &session->tracks[i];
		size_t bytes = t->mode == PLATTER_TRACK_AUDIO ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;

		at += (uint64_t)PL_MAX(t->pregap, 0);
		for (uint64_t done = 0; done < t->length && r == 0; done += bytes, at++) {
			size_t n = (size_t)PL_MIN(bytes, t->length - done);

			EXPECT(at < f->nr);
			if (!session->simulate)
				r = pl_read(t->source, f->bytes + at * PL_AUDIO_SECTOR, n,
					    t->offset + done, err);
			f->done += n;
		}
	}
	if (f->flips)
		f->bytes[5 * PL_AUDIO_SECTOR + 7] ^= 1;
	f->writing = true;
	f->polls_left = 3;
	drive->info.disc.size = PL_MAX(drive->info.disc.size, at * PL_DISC_SECTOR);
	return r;
}

static int
fake_blank(struct pl_drive *drive, bool fast, struct platter_error *err)
{
	struct fake *f = fake_of(drive);

	(void)fast, (void)err;
	f->blanks++;
	f->polls_left = 2;
	drive->info.disc.state = PLATTER_DISC_BLANK;
	drive->info.disc.size = 0;
	drive->info.disc.nr_sessions = 0;
	drive->info.disc.free = f->after_blank;
	return 0;
}

static int
fake_format(struct pl_drive *drive, struct platter_error *err)
{
	struct fake *f = fake_of(drive);

	(void)err;
	f->formats++;
	f->polls_left = 2;
	drive->info.disc.state = PLATTER_DISC_OVERWRITABLE;
	drive->info.disc.free = f->after_blank;
	return 0;
}

static int
fake_close_disc(struct pl_drive *drive, struct platter_error *err)
{
	(void)err;
	fake_of(drive)->closes++;
	drive->info.disc.state = PLATTER_DISC_CLOSED;
	return 0;
}

static void
fake_poll(struct pl_drive *drive, struct pl_drive_state *ret)
{
	struct fake *f = fake_of(drive);
	bool busy = f->polls_left > 0;

	*ret = (struct pl_drive_state){
		.busy = busy,
		.phase = f->writing ? f->polls_left == 1 ? "closing" : "burning" : "blanking",
		.fraction = f->writing ? -1 : 0.5,
		.done = f->writing ? f->done : 0,
		.buffer = f->writing ? 60 + 10 * (int)f->polls_left : -1,
		.ahead = f->writing ? 50 : -1,
	};
	if (busy && !(f->endless && f->writing && !f->cancels))
		f->polls_left--;
}

static void
fake_cancel(struct pl_drive *drive)
{
	fake_of(drive)->cancels++;
}

static int
fake_end(struct pl_drive *drive, struct platter_error *err)
{
	struct fake *f = fake_of(drive);
	bool was_writing = f->writing;

	f->writing = false;
	if (f->cancels)
		return pl_fail(err, -ECANCELED, "stopped");
	return was_writing && f->write_result ? pl_fail(err, f->write_result, "the laser is tired")
					      : 0;
}

static int
fake_overwrite(struct pl_drive *drive, int64_t lba, size_t nr, const uint8_t *buf,
	       struct platter_error *err)
{
	struct fake *f = fake_of(drive);

	(void)err;
	f->overwrites++;
	for (size_t i = 0; i < nr; i++) {
		EXPECT((uint64_t)lba + i < f->nr);
		memcpy(f->bytes + ((uint64_t)lba + i) * PL_AUDIO_SECTOR, buf + i * PL_DISC_SECTOR,
		       PL_DISC_SECTOR);
	}
	return 0;
}

static void
fake_free(struct pl_drive *drive, bool eject)
{
	(void)eject;
	free(fake_of(drive)->bytes);
	free(fake_of(drive));
}

static const struct pl_drive_ops fake_ops = {
	.look = fake_look,
	.read = fake_read,
	.cdtext = fake_cdtext,
	.number = fake_number,
	.write = fake_write,
	.blank = fake_blank,
	.format = fake_format,
	.close = fake_close_disc,
	.poll = fake_poll,
	.cancel = fake_cancel,
	.end = fake_end,
	.overwrite = fake_overwrite,
	.free = fake_free,
};

/* A drive with a disc of `nr` sectors, all different, of some profile and state. */
static struct fake *
fake_new(enum pl_profile profile, enum platter_disc_state state, uint64_t nr)
{
	struct fake *f = calloc(1, sizeof *f);
	struct platter_drive_disc *disc;

	EXPECT(f && (f->bytes = calloc(nr + 1, PL_AUDIO_SECTOR)));
	f->nr = nr;
	for (uint64_t i = 0; i < nr * PL_AUDIO_SECTOR; i++)
		f->bytes[i] = (uint8_t)(i * 31 + i / PL_AUDIO_SECTOR * 7 + (i >> 13));
	pl_drive_init(&f->drive, &fake_ops);
	f->drive.info = (struct platter_drive_info){
		.address = "fake", .vendor = "", .model = "", .revision = "", .problem = ""
	};
	f->drive.can_simulate = f->drive.can_append = true;
	disc = &f->drive.info.disc;
	*disc = (struct platter_drive_disc){
		.state = state,
		.profile = (uint16_t)profile,
		.profile_name = "fake disc",
		.medium = pl_profile_medium(profile),
		.manufacturer = "",
		.rewritable = pl_profile_overwritable(profile) || pl_profile_can_blank(profile),
		.next_writable = -1,
		.last_session = -1,
		.single_speed = pl_profile_single_speed(profile),
	};
	if (state == PLATTER_DISC_BLANK)
		disc->free = nr * PL_DISC_SECTOR;
	else
		disc->size = nr * PL_DISC_SECTOR;
	if (state == PLATTER_DISC_OVERWRITABLE)
		disc->free = nr * PL_DISC_SECTOR;
	f->after_blank = nr * PL_DISC_SECTOR;
	return f;
}

/* Its table of contents gets a track. */
static void
fake_add_track(struct fake *f, int64_t start, uint64_t length, bool audio, uint32_t session)
{
	struct platter_drive_disc *disc = &f->drive.info.disc;

	EXPECT(disc->nr_tracks < FAKE_MAX_TRACKS);
	f->tracks[disc->nr_tracks] = (struct platter_drive_track){
		.number = (uint32_t)disc->nr_tracks + 1,
		.session = session,
		.start = start,
		.length = length,
		.audio = audio,
	};
	disc->tracks = f->tracks;
	disc->nr_tracks++;
	disc->nr_sessions = session;
}

#endif
