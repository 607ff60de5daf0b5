/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libburn.c - drives through libburn: opening, looking, reading
 *
 * libburn knows each drive once and keeps it from others by O_EXCL.  Its messages wait in a queue
 * of the process; what went wrong is taken from there.
 */
#include "libburn.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sound.h"
#include "text.h"

#define FILE_VENDOR "libburn"
#define FILE_MODEL  "file as a drive"

/* Flags of burn_read_data() and burn_read_audio(). */
enum {
	READ_QUIET = 1 << 1,
	READ_ONCE = 1 << 2,
	READ_REPORT_AS_DEBUG = 1 << 5,
};

/* Code of the message that the thread which writes has ended, and how long it is waited for: 2 s. */
#define WRITER_ENDED   0x20178
#define AWAIT_INTERVAL 10000000
#define AWAIT_TIMES    200

/* Sense key and code of a drive without a disc, as libburn's messages have them. */
#define NO_MEDIUM "[2 3A"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned nr_open;

static int
library_up(struct platter_error *err)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	if (nr_open++ == 0) {
		r = burn_initialize() ? 0 : pl_fail(err, -EIO, "libburn does not start");
		if (r < 0)
			nr_open--;
		else
			burn_msgs_set_severities((char *)(uintptr_t) "DEBUG",
						 (char *)(uintptr_t) "NEVER",
						 (char *)(uintptr_t) "");
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static void
library_down(void)
{
	pthread_mutex_lock(&lock);
	if (--nr_open == 0)
		burn_finish();
	pthread_mutex_unlock(&lock);
}

/* The next message of at least this severity. */
static bool
next_message(const char *severity, char text[BURN_MSGS_MESSAGE_LEN])
{
	char name[80];
	int code, number;

	return burn_msgs_obtain((char *)(uintptr_t)severity, &code, text, &number, name) == 1;
}

void
pl_burn_forget_messages(void)
{
	char text[BURN_MSGS_MESSAGE_LEN];

	while (next_message("ALL", text))
		;
}

void
pl_burn_await_writer(char ret[static BURN_MSGS_MESSAGE_LEN])
{
	static const struct timespec interval = { .tv_nsec = AWAIT_INTERVAL };
	char text[BURN_MSGS_MESSAGE_LEN], name[80], all[] = "ALL", sorry[] = "SORRY";
	int code = 0, number, severity, bad = 0;

	ret[0] = '\0';
	burn_text_to_sev(sorry, &bad, 0);
	for (unsigned i = 0; i < AWAIT_TIMES && code != WRITER_ENDED;) {
		if (burn_msgs_obtain(all, &code, text, &number, name) != 1) {
			code = 0;
			nanosleep(&interval, NULL);
			i++;
		} else if (!*ret && burn_text_to_sev(name, &severity, 0) > 0 && severity >= bad) {
			memcpy(ret, text, sizeof text);
		}
	}
}

int
pl_burn_fail(struct platter_error *err, int code, const char *format, ...)
{
	char said[BURN_MSGS_MESSAGE_LEN], what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	if (next_message("SORRY", said))
		pl_set_error(err, code, PLATTER_NO_OFFSET, "%s: %.300s", what, said);
	else
		pl_set_error(err, code, PLATTER_NO_OFFSET, "%s", what);
	pl_burn_forget_messages();
	return code;
}

static enum platter_disc_state
state_of(struct burn_drive *d, unsigned profile)
{
	switch (burn_disc_get_status(d)) {
	case BURN_DISC_EMPTY: return PLATTER_DISC_NONE;
	case BURN_DISC_BLANK:
		return pl_profile_overwritable(profile) ? PLATTER_DISC_OVERWRITABLE
							: PLATTER_DISC_BLANK;
	case BURN_DISC_APPENDABLE: return PLATTER_DISC_APPENDABLE;
	case BURN_DISC_FULL: return PLATTER_DISC_CLOSED;
	default: return PLATTER_DISC_UNKNOWN;
	}
}

static void
take_track(struct platter_drive_track *to, struct burn_track *track, uint32_t session)
{
	struct burn_toc_entry e;

	burn_track_get_entry(track, &e);
	to->number = e.point;
	to->session = session;
	to->audio = !(e.control & 4);
	to->flags = (e.control & 1 && to->audio ? PLATTER_TRACK_PREEMPHASIS : 0) |
		    (e.control & 2 ? PLATTER_TRACK_COPY : 0) |
		    (e.control & 8 && to->audio ? PLATTER_TRACK_FOUR_CHANNELS : 0);
	if (e.extensions_valid & 1) {
		to->number |= (uint32_t)e.point_msb << 8;
		to->start = e.start_lba;
		to->length = (uint64_t)PL_MAX(e.track_blocks, 0);
	} else {
		to->start = burn_msf_to_lba(e.pmin, e.psec, e.pframe);
		to->length = (uint64_t)PL_MAX(burn_track_get_sectors(track), 0);
	}
}

static void
take_tracks(struct pl_burner *b, struct platter_drive_disc *disc)
{
	struct burn_disc *toc = burn_drive_get_disc(b->d);
	struct burn_session **sessions;
	struct platter_drive_track *tracks;
	int nr_sessions = 0;
	size_t nr = 0;

	if (!toc)
		return;
	sessions = burn_disc_get_sessions(toc, &nr_sessions);
	disc->nr_sessions = (uint32_t)PL_MAX(nr_sessions, 0);
	for (int pass = 0; pass < 2; pass++) {
		tracks = pass ? pl_arena_alloc(&b->drive.arena, nr * sizeof *tracks) : NULL;
		nr = 0;
		for (int s = 0; s < nr_sessions; s++) {
			int in_session = 0;
			struct burn_track **list =
				burn_session_get_tracks(sessions[s], &in_session);

			for (int t = 0; t < in_session; t++, nr++)
				if (tracks)
					take_track(&tracks[nr], list[t], (uint32_t)s + 1);
		}
		if (!nr)
			break;
		disc->tracks = tracks;
	}
	disc->nr_tracks = disc->tracks ? nr : 0;
	burn_disc_free(toc);
}

static int
compare_speeds(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
take_speeds(struct pl_burner *b, struct platter_drive_disc *disc)
{
	struct burn_speed_descriptor *all = NULL;
	uint32_t *speeds;
	size_t nr = 0, kept = 0;

	if (burn_drive_get_speedlist(b->d, &all) <= 0 || !all)
		return;
	for (struct burn_speed_descriptor *s = all; s; s = s->next)
		nr += s->write_speed > 0;
	speeds = nr ? pl_arena_alloc(&b->drive.arena, nr * sizeof *speeds) : NULL;
	nr = 0;
	for (struct burn_speed_descriptor *s = all; s && speeds; s = s->next)
		if (s->write_speed > 0)
			speeds[nr++] = (uint32_t)s->write_speed;
	burn_drive_free_speedlist(&all);
	if (!speeds)
		return;
	qsort(speeds, nr, sizeof *speeds, compare_speeds);
	for (size_t i = 0; i < nr; i++)
		if (!i || speeds[i] != speeds[kept - 1])
			speeds[kept++] = speeds[i];
	disc->speeds = speeds;
	disc->nr_speeds = kept;
}

static void
take_manufacturer(struct pl_burner *b, struct platter_drive_disc *disc)
{
	char *id = NULL, *code1 = NULL, *code2 = NULL, *book = NULL, *name;

	if (burn_disc_get_media_id(b->d, &id, &code1, &code2, &book, 0) > 0 && code1 && code2) {
		name = burn_guess_manufacturer(disc->profile, code1, code2, 0);
		if (name && strncmp(name, "Unknown ", 8) != 0)
			disc->manufacturer = pl_arena_take(&b->drive.arena,
							   pl_text_from_bytes(name, strlen(name)));
		free(name);
	}
	free(id);
	free(code1);
	free(code2);
	free(book);
}

static void
take_abilities(struct pl_burner *b)
{
	struct burn_multi_caps *caps = NULL;

	b->drive.can_simulate = b->drive.can_append = false;
	if (burn_disc_get_multi_caps(b->d, BURN_WRITE_NONE, &caps, 0) > 0) {
		b->drive.can_simulate = caps->might_simulate;
		b->drive.can_append = caps->multi_session;
	}
	if (caps)
		burn_disc_free_multi_caps(&caps);
}

static void
take_places(struct pl_burner *b, struct platter_drive_disc *disc)
{
	int capacity = 0, lba, nwa;
	off_t room;

	if (disc->state != PLATTER_DISC_BLANK && burn_get_read_capacity(b->d, &capacity, 0) > 0 &&
	    capacity > 0)
		disc->size = (uint64_t)capacity * PL_DISC_SECTOR;
	room = disc->state == PLATTER_DISC_CLOSED ? 0 : burn_disc_available_space(b->d, NULL);
	disc->free = (uint64_t)PL_MAX(room, 0);
	if (disc->state == PLATTER_DISC_APPENDABLE &&
	    burn_disc_track_lba_nwa(b->d, NULL, 0, &lba, &nwa) > 0)
		disc->next_writable = nwa;
	if (disc->nr_sessions && burn_disc_get_msc1(b->d, &lba) > 0)
		disc->last_session = lba;
}

static int
burner_look(struct pl_drive *drive, struct platter_error *err)
{
	struct pl_burner *b = pl_burner_of(drive);
	struct platter_drive_disc *disc = &drive->info.disc;
	char name[80] = "";
	int profile = 0;

	if (burn_drive_re_assess(b->d, 0) <= 0)
		return pl_burn_fail(err, -EIO, "cannot look into '%s'", drive->info.address);
	*disc = (struct platter_drive_disc){ .next_writable = -1,
					     .last_session = -1,
					     .manufacturer = "" };
	burn_disc_get_profile(b->d, &profile, name);
	disc->profile = (uint16_t)profile;
	disc->profile_name = pl_arena_strdup(&drive->arena, name);
	disc->medium = pl_profile_medium(disc->profile);
	disc->single_speed = pl_profile_single_speed(disc->profile);
	disc->state = state_of(b->d, disc->profile);
	if (disc->state == PLATTER_DISC_NONE || disc->state == PLATTER_DISC_UNKNOWN)
		return 0;
	disc->rewritable = pl_profile_overwritable(disc->profile) || burn_disc_erasable(b->d);
	take_tracks(b, disc);
	take_places(b, disc);
	take_speeds(b, disc);
	take_abilities(b);
	if (!drive->info.is_file)
		take_manufacturer(b, disc);
	pl_burn_forget_messages();
	return 0;
}

/* Is the disc, or the drive, gone? */
static bool
is_gone(const struct pl_drive *drive)
{
	char text[BURN_MSGS_MESSAGE_LEN];
	bool gone = access(pl_drive_path(drive->info.address), F_OK) < 0;

	while (next_message("ALL", text))
		gone |= strstr(text, NO_MEDIUM) != NULL;
	return gone;
}

/* The last sector of a file that is no multiple of it. */
static bool
is_end_of_file(const struct pl_drive *drive, uint64_t end)
{
	struct stat st;

	return drive->info.is_file && stat(pl_drive_path(drive->info.address), &st) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == end;
}

/* The tracks of sound, one behind the other, that a sector is in. */
static void
find_sound(const struct platter_drive_disc *disc, int64_t lba, int64_t *ret_first, int64_t *ret_end)
{
	*ret_first = lba;
	*ret_end = lba;
	for (size_t i = disc->nr_tracks; i-- > 0;) {
		const struct platter_drive_track *t = &disc->tracks[i];
		int64_t end = t->start + (int64_t)t->length;

		if (t->audio && t->start <= *ret_first && end >= *ret_first)
			*ret_first = t->start;
	}
	for (size_t i = 0; i < disc->nr_tracks; i++) {
		const struct platter_drive_track *t = &disc->tracks[i];
		int64_t end = t->start + (int64_t)t->length;

		if (t->audio && t->start <= *ret_end && end > *ret_end)
			*ret_end = end;
	}
}

static int
read_sound(struct pl_burner *b, int64_t lba, size_t nr, uint8_t *buf, size_t *ret_nr,
	   struct platter_error *err)
{
	int64_t first, end;
	int r = 0;

	if (!b->sound)
		r = pl_sound_open(b->drive.info.address, &b->sound, err);
	if (r < 0)
		return r;
	find_sound(&b->drive.info.disc, lba, &first, &end);
	pl_sound_read(b->sound, first, end, lba, nr, buf, ret_nr);
	return 0;
}

static int
burner_read(struct pl_drive *drive, bool audio, int64_t lba, size_t nr, uint8_t *buf,
	    size_t *ret_nr, struct platter_error *err)
{
	int flags = READ_QUIET | READ_ONCE | READ_REPORT_AS_DEBUG, r;
	struct pl_burner *b = pl_burner_of(drive);
	size_t n = nr * PL_DISC_SECTOR;
	off_t got = 0;

	if (audio) {
		r = read_sound(b, lba, nr, buf, ret_nr, err);
		if (r < 0 || *ret_nr == nr)
			return r;
	} else {
		r = burn_read_data(b->d, (off_t)lba * PL_DISC_SECTOR, (char *)buf, (off_t)n, &got,
				   flags);
		got = PL_MAX(PL_MIN(got, (off_t)n), 0);
		*ret_nr = r > 0 ? nr : (size_t)got / PL_DISC_SECTOR;
		if (r > 0)
			return 0;
		if (*ret_nr < nr && (size_t)got % PL_DISC_SECTOR &&
		    is_end_of_file(drive, (uint64_t)lba * PL_DISC_SECTOR + (uint64_t)got)) {
			memset(buf + got, 0, PL_DISC_SECTOR - (size_t)got % PL_DISC_SECTOR);
			++*ret_nr;
		}
	}
	if (is_gone(drive))
		return pl_fail(err, -ENODEV, "the disc is gone from '%s'", drive->info.address);
	return 0;
}

static int
burner_cdtext(struct pl_drive *drive, uint8_t **ret, size_t *ret_n, struct platter_error *err)
{
	unsigned char *packs = NULL;
	int nr = 0;

	*ret = NULL;
	*ret_n = 0;
	if (burn_disc_get_leadin_text(pl_burner_of(drive)->d, &packs, &nr, 0) > 0 && packs) {
		*ret = packs;
		*ret_n = (size_t)PL_MAX(nr, 0) * 18;
	}
	pl_burn_forget_messages();
	return 0;
}

static void
burner_number(struct pl_drive *drive, uint32_t track, char ret[static PL_DRIVE_NUMBER])
{
	struct pl_burner *b = pl_burner_of(drive);

	ret[0] = '\0';
	if (b->sound || pl_sound_open(drive->info.address, &b->sound, NULL) == 0)
		pl_sound_number(b->sound, track, ret);
}

static void
burner_free(struct pl_drive *drive, bool eject)
{
	struct pl_burner *b = pl_burner_of(drive);

	pl_sound_close(b->sound);
	if (b->infos) {
		burn_drive_release(b->d, eject);
		burn_drive_info_free(b->infos);
	}
	library_down();
	free(b);
}

static const struct pl_drive_ops burner_ops = {
	.look = burner_look,
	.read = burner_read,
	.cdtext = burner_cdtext,
	.number = burner_number,
	.write = pl_burner_write,
	.blank = pl_burner_blank,
	.format = pl_burner_format,
	.close = pl_burner_close,
	.poll = pl_burner_poll,
	.cancel = pl_burner_cancel,
	.end = pl_burner_end,
	.overwrite = pl_burner_overwrite,
	.free = burner_free,
};

/* What libburn takes for a drive of its own making is refused where it would not be one. */
static int
check_file(const char *address, struct platter_error *err)
{
	const char *path = pl_drive_path(address);
	struct stat st;

	if (!*path)
		return pl_invalid(err, "'%s' names no file", address);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : pl_fail_errno(err, -errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return pl_invalid(err, "'%s' is neither a file nor a device", path);
	return 0;
}

static int
check_device(const char *path, struct platter_error *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return pl_fail_errno(err, -errno, "find the drive '%s'", path);
	if (S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))
		return 0;
	r = pl_invalid(err, "'%s' is no drive", path);
	pl_hint(err, "a file that behaves like a drive is stdio:%s", path);
	return r;
}

/* libburn only says that it could not; the kernel says why. */
static int
why_not(const char *address, struct platter_error *err)
{
	const char *path = pl_drive_path(address);
	int fd = open(path, O_RDWR | O_EXCL | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0 && errno == EBUSY) {
		r = pl_fail(err, -EBUSY, "'%s' is in use", path);
		pl_hint(err, "unmount it, or end the program that uses it");
		return r;
	}
	if (fd < 0)
		return pl_fail_errno(err, -errno, "open '%s'", path);
	close(fd);
	return pl_burn_fail(err, -EINVAL, "'%s' is no optical drive", path);
}

/* Profiles of discs that can be written at all, of those that the drive knows. */
static void
take_writes(struct pl_burner *b)
{
	int nr = 0, numbers[64];
	char is_current[64];
	const char **names;
	size_t kept = 0;

	if (b->drive.info.is_file ||
	    burn_drive_get_all_profiles(b->d, &nr, numbers, is_current) <= 0)
		nr = 0;
	names = pl_arena_alloc(&b->drive.arena, ((size_t)nr + 1) * sizeof *names);
	for (int i = 0; names && i < nr; i++) {
		char name[80];

		if (*pl_profile_medium((unsigned)numbers[i]) && numbers[i] != PL_PROFILE_CD_ROM &&
		    numbers[i] != PL_PROFILE_DVD_ROM && numbers[i] != PL_PROFILE_BD_ROM &&
		    burn_obtain_profile_name(numbers[i], name) > 0)
			names[kept++] = pl_arena_strdup(&b->drive.arena, name);
	}
	b->drive.info.writes = names;
}

static void
take_drive(struct pl_burner *b, const char *address)
{
	const struct burn_drive_info *i = &b->infos[0];
	struct pl_arena *a = &b->drive.arena;

	b->drive.info = (struct platter_drive_info){
		.address = pl_arena_strdup(a, address),
		.is_file = pl_drive_is_file(address),
		.problem = "",
	};
	if (b->drive.info.is_file) {
		b->drive.info.vendor = FILE_VENDOR;
		b->drive.info.model = FILE_MODEL;
		b->drive.info.revision = "";
	} else {
		b->drive.info.vendor =
			pl_arena_take(a, pl_text_from_bytes(i->vendor, sizeof i->vendor));
		b->drive.info.model =
			pl_arena_take(a, pl_text_from_bytes(i->product, sizeof i->product));
		b->drive.info.revision =
			pl_arena_take(a, pl_text_from_bytes(i->revision, sizeof i->revision));
	}
	take_writes(b);
}

int
pl_drive_open(const char *address, bool load, struct pl_drive **ret, struct platter_error *err)
{
	char resolved[BURN_DRIVE_ADR_LEN];
	struct pl_burner *b;
	int r;

	if (strlen(address) >= sizeof resolved)
		return pl_invalid(err, "the address of the drive is too long");
	r = pl_drive_is_file(address) ? check_file(address, err) : check_device(address, err);
	if (r == 0)
		r = library_up(err);
	if (r < 0)
		return r;
	b = calloc(1, sizeof *b);
	if (!b) {
		library_down();
		return pl_no_memory(err);
	}
	pl_drive_init(&b->drive, &burner_ops);
	snprintf(resolved, sizeof resolved, "%s", address);
	if (!pl_drive_is_file(address))
		burn_drive_convert_fs_adr((char *)(uintptr_t)address, resolved);
	if (burn_drive_scan_and_grab(&b->infos, resolved, load) > 0) {
		b->d = b->infos[0].drive;
		take_drive(b, address);
		r = pl_drive_look(&b->drive, err);
	} else {
		b->infos = NULL;
		r = why_not(address, err);
	}
	if (r < 0)
		pl_drive_close(&b->drive, false);
	else
		*ret = &b->drive;
	return r;
}
