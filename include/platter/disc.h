/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/disc.h - what an optical disc is made of: sessions and tracks
 *
 * Sectors are numbered by LBA, which on a CD is 0 at 00:02:00; those before it are negative.
 * Where a length or position is in sectors, it says so.
 */
#ifndef PLATTER_DISC_H
#define PLATTER_DISC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_track_mode {
	PLATTER_TRACK_AUDIO, /* 2352 bytes of sound: 588 samples, 2 channels, 16 bits */
	PLATTER_TRACK_MODE0, /* nothing */
	PLATTER_TRACK_MODE1, /* 2048 bytes of data; also the tracks of DVDs and BDs */
	PLATTER_TRACK_MODE2, /* with forms, or 2336 bytes without */
};

enum platter_track_flags {
	PLATTER_TRACK_PREEMPHASIS = 1 << 0,
	PLATTER_TRACK_COPY = 1 << 1, /* copying is permitted */
	PLATTER_TRACK_FOUR_CHANNELS = 1 << 2,
	PLATTER_TRACK_SCMS = 1 << 3,
};

/* Texts of a disc or track, of CD-TEXT or of a sheet; "" where there is none. */
struct platter_disc_text {
	const char *title, *performer, *songwriter, *composer, *arranger, *message, *genre;
};

struct platter_track {
	uint32_t number;  /* 1 to 99 */
	uint32_t session; /* its number, from 1 */
	enum platter_track_mode mode;
	int64_t start;          /* LBA of index 1 */
	uint64_t pregap;        /* sectors of index 0, before it */
	uint64_t length;        /* sectors from index 1 to the track's end */
	const int64_t *indexes; /* LBAs of index 2 and those after it */
	size_t nr_indexes;
	unsigned flags;             /* enum platter_track_flags */
	const char *isrc;           /* 12 characters, or "" */
	uint32_t stored_bytes;      /* that the image stores of a sector, without subchannel */
	uint32_t stored_subchannel; /* bytes of subchannel stored of a sector: 0, 16 or 96 */
	struct platter_disc_text text;
};

struct platter_session {
	uint32_t number; /* from 1 */
	int64_t start;   /* LBA of its first track */
	int64_t end;     /* LBA of its lead-out */
	uint32_t first_track, last_track;
};

struct platter_disc {
	const char *medium; /* "CD", "DVD", "BD" */
	const char *mcn;    /* media catalogue number: 13 digits, or "" */
	struct platter_disc_text text;
	const struct platter_session *sessions;
	size_t nr_sessions;
	const struct platter_track *tracks; /* in order of their numbers */
	size_t nr_tracks;
};

#ifdef __cplusplus
}
#endif
#endif
