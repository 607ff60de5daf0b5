/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sound.h - sectors of sound, read so that jitter and scratches are repaired */
#ifndef PL_SOUND_H
#define PL_SOUND_H

#include "drive.h"

struct pl_sound;

/*
 * `path` is the device of a drive; or, for tests, a cue sheet or TOC file, which libcdio reads as if
 * it were one.  Errors: -EIO, -ENOMEM.
 */
int pl_sound_open(const char *path, struct pl_sound **ret, struct platter_error *err);
void pl_sound_close(struct pl_sound *s); /* NULL is allowed */

/*
 * Read sectors of 2352 bytes, little-endian, one behind the other.  [first, end) are the LBAs of
 * the tracks of sound that they are in: nothing outside is touched.  *ret_nr: as many as could
 * be read, from the first on.
 */
void pl_sound_read(struct pl_sound *s, int64_t first, int64_t end, int64_t lba, size_t nr,
		   uint8_t *buf, size_t *ret_nr);

/* The catalogue number of the disc (track 0) or the ISRC of a track; "": there is none. */
void pl_sound_number(struct pl_sound *s, uint32_t track, char ret[static PL_DRIVE_NUMBER]);

#endif
