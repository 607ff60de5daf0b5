/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sound.c - sound of CDs through libcdio-paranoia
 *
 * A drive finds its place on sound only roughly.  Paranoia reads with overlap, puts what it has read
 * together by what is the same in it, and reads again what was read differently.
 */
#include "sound.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cdio/cdio.h>
#include <cdio/logging.h>
#include <cdio/paranoia/cdda.h>
#include <cdio/paranoia/paranoia.h>

/* How often paranoia reads a place again before it gives up. */
#define MAX_RETRIES 20

struct pl_sound {
	CdIo_t *cdio;
	cdrom_drive_t *drive;
	cdrom_paranoia_t *paranoia; /* NULL: not begun */
	int64_t first, end;         /* that it was begun for */
	int64_t next;               /* LBA that it gives next */
};

/* Paranoia's callback has no closure; a drive is read by one thread at a time. */
static _Thread_local bool gave_up;

static void
watch(long position, paranoia_cb_mode_t what)
{
	(void)position;
	if (what == PARANOIA_CB_SKIP)
		gave_up = true;
}

int
pl_sound_open(const char *path, struct pl_sound **ret, struct platter_error *err)
{
	struct pl_sound *s = calloc(1, sizeof *s);
	char *messages = NULL;

	if (!s)
		return pl_no_memory(err);
	cdio_loglevel_default = CDIO_LOG_ASSERT;
	s->cdio = cdio_open(path, DRIVER_UNKNOWN);
	if (s->cdio)
		s->drive = cdio_cddap_identify_cdio(s->cdio, CDDA_MESSAGE_FORGETIT, &messages);
	if (!s->drive || cdio_cddap_open(s->drive) != 0) {
		pl_sound_close(s);
		return pl_fail(err, -EIO, "cannot read the sound of '%s'", path);
	}
	cdio_cddap_verbose_set(s->drive, CDDA_MESSAGE_FORGETIT, CDDA_MESSAGE_FORGETIT);
	*ret = s;
	return 0;
}

void
pl_sound_close(struct pl_sound *s)
{
	if (!s)
		return;
	if (s->paranoia)
		cdio_paranoia_free(s->paranoia);
	if (s->drive)
		cdio_cddap_close_no_free_cdio(s->drive);
	if (s->cdio)
		cdio_destroy(s->cdio);
	free(s);
}

/* Make `lba` the next sector. */
static bool
seek(struct pl_sound *s, int64_t first, int64_t end, int64_t lba)
{
	if (s->paranoia && s->first == first && s->end == end && s->next == lba)
		return true;
	if (s->paranoia)
		cdio_paranoia_free(s->paranoia);
	s->paranoia = cdio_paranoia_init(s->drive);
	if (!s->paranoia)
		return false;
	cdio_paranoia_modeset(s->paranoia, PARANOIA_MODE_FULL ^ PARANOIA_MODE_NEVERSKIP);
	cdio_paranoia_set_range(s->paranoia, (long)first, (long)end - 1);
	s->first = first;
	s->end = end;
	s->next = lba;
	return cdio_paranoia_seek(s->paranoia, (int32_t)lba, SEEK_SET) >= 0;
}

void
pl_sound_read(struct pl_sound *s, int64_t first, int64_t end, int64_t lba, size_t nr, uint8_t *buf,
	      size_t *ret_nr)
{
	*ret_nr = 0;
	if (!seek(s, first, end, lba))
		return;
	while (*ret_nr < nr) {
		const int16_t *samples;
		uint8_t *to = buf + *ret_nr * PL_AUDIO_SECTOR;

		gave_up = false;
		samples = cdio_paranoia_read_limited(s->paranoia, watch, MAX_RETRIES);
		s->next++;
		if (!samples || gave_up) {
			/* What is tried again is read afresh. */
			s->next = INT64_MIN;
			return;
		}
		for (size_t i = 0; i < PL_AUDIO_SECTOR / 2; i++)
			put_le16(to + 2 * i, (uint16_t)samples[i]);
		++*ret_nr;
	}
}

void
pl_sound_number(struct pl_sound *s, uint32_t track, char ret[static PL_DRIVE_NUMBER])
{
	char *number = track ? cdio_get_track_isrc(s->cdio, (track_t)track) : cdio_get_mcn(s->cdio);
	bool good = number && *number && strlen(number) < PL_DRIVE_NUMBER;

	for (const char *c = number; good && *c; c++)
		good = isalnum((unsigned char)*c);
	/* Drives that find none tell zeros. */
	good = good && number[strspn(number, "0")];
	snprintf(ret, PL_DRIVE_NUMBER, "%s", good ? number : "");
	cdio_free(number);
}
