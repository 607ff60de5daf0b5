/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disc-cdtext.c - CD-TEXT, as it is stored in the lead-in (IEC 61866, SCSI MMC annex J)
 *
 *	offset  size  a pack of 18 bytes
 *	     0     1  0x80 title, 81 performer, 82 songwriter, 83 composer, 84 arranger, 85 message,
 *		      87 genre, 8e MCN and ISRC, 8f sizes, and others
 *	     1     1  track that the first text in it is of; 0: the disc
 *	     2     1  sequence number
 *	     3     1  bits 4 to 6: block, one for each language; bit 7: two bytes a character
 *	     4    12  text; what does not fit goes on in the next pack of its type
 *	    16     2  CRC, CCITT, inverted
 *
 * Texts of all tracks stand one behind the other, each with a 0 at its end; a tab says that it is
 * that of the track before.
 */
#include "checksums.h"
#include "disc.h"

#include "text.h"

enum {
	PACK = 18,
	PACK_TRACK = 1,
	PACK_BLOCK = 3,
	PACK_TEXT = 4,
	PACK_TEXT_BYTES = 12,
	PACK_CRC = 16,
	TYPE_TITLE = 0x80,
	TYPE_MESSAGE = 0x85,
	TYPE_GENRE = 0x87,
	TYPE_CODES = 0x8e,
	TWO_BYTES = 0x80,
};

/* A sound pack of the first block; some programs write no CRC. */
static bool
is_wanted(const uint8_t *pack, unsigned type)
{
	uint16_t stored = get_be16(pack + PACK_CRC), crc;

	if (pack[0] != type || pack[PACK_BLOCK] & ~0x0f)
		return false;
	crc = (uint16_t)~pl_crc16_ccitt(0, pack, PACK_CRC);
	return !stored || stored == crc;
}

static const char **
field_of(struct platter_disc_text *text, unsigned type)
{
	switch (type) {
	case TYPE_TITLE: return &text->title;
	case 0x81: return &text->performer;
	case 0x82: return &text->songwriter;
	case 0x83: return &text->composer;
	case 0x84: return &text->arranger;
	case TYPE_MESSAGE: return &text->message;
	default: return &text->genre;
	}
}

static struct platter_track *
track_of(struct pl_disc *disc, unsigned number)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++)
		if (disc->tracks[i].number == number)
			return &disc->tracks[i];
	return NULL;
}

static void
set_code(struct pl_disc *disc, unsigned track, const char *text, size_t n)
{
	struct platter_track *t = track_of(disc, track);

	if (track == 0 && n == 13 && !disc->info.mcn[0])
		disc->info.mcn = pl_disc_text(disc, text, n);
	else if (t && n == 12 && !t->isrc[0])
		t->isrc = pl_disc_text(disc, text, n);
}

static void
set_text(struct pl_disc *disc, unsigned type, unsigned track, const char *text, size_t n)
{
	struct platter_track *t = track_of(disc, track),
			     *before = track ? track_of(disc, track - 1) : NULL;
	const char **field;

	if (track && !t)
		return;
	field = field_of(t ? &t->text : &disc->info.text, type);
	/* What a sheet says goes before it. */
	if (*field && **field)
		return;
	if (n == 1 && text[0] == '\t' && before)
		*field = *field_of(&before->text, type);
	else if (n)
		*field = pl_disc_text(disc, text, n);
}

/* All texts of one type. */
static void
take_type(struct pl_disc *disc, unsigned type, const uint8_t *packs, size_t n)
{
	unsigned track = 0, first = disc->info.nr_tracks ? disc->tracks[0].number : 1;
	struct pl_str all = { 0 };
	bool begun = false;

	for (size_t at = 0; at + PACK <= n; at += PACK) {
		if (!is_wanted(packs + at, type))
			continue;
		if (!begun)
			track = packs[at + PACK_TRACK];
		begun = true;
		pl_str_add_bytes(&all, packs + at + PACK_TEXT, PACK_TEXT_BYTES);
	}
	/* That of the disc is followed by those of its tracks. */
	for (size_t at = 0; at < all.length && track <= PL_DISC_MAX_TRACKS;
	     track = track ? track + 1 : first) {
		const char *text = all.text + at;
		size_t length = strnlen(text, all.length - at);

		/* A genre begins with a code of two bytes. */
		if (type == TYPE_GENRE && at == 0 && all.length > 2) {
			text += 2;
			length = strnlen(text, all.length - 2);
			at += 2;
		}
		if (type == TYPE_CODES)
			set_code(disc, track, text, length);
		else
			set_text(disc, type, track, text, length);
		at += length + 1;
		if (type == TYPE_GENRE)
			break;
	}
	pl_str_done(&all);
}

void
pl_disc_take_cdtext(struct pl_disc *disc, const uint8_t *packs, size_t n)
{
	/* A lead-in read from a drive has a header of 4 bytes. */
	if (n % PACK == 4 && packs[0] < TYPE_TITLE) {
		packs += 4;
		n -= 4;
	}
	for (unsigned type = TYPE_TITLE; type <= TYPE_MESSAGE; type++)
		take_type(disc, type, packs, n);
	take_type(disc, TYPE_GENRE, packs, n);
	take_type(disc, TYPE_CODES, packs, n);
}
