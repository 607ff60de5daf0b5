/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disc-packs.c - texts of a disc made into CD-TEXT packs; disc-cdtext.c has their layout
 *
 * One block, in ISO 8859-1, which is all that players read.
 */
#include "checksums.h"
#include "disc.h"
#include "text.h"

enum {
	PACK = 18,
	PACK_TRACK = 1,
	PACK_SEQUENCE = 2,
	PACK_POSITION = 3,
	PACK_TEXT = 4,
	PACK_TEXT_BYTES = 12,
	PACK_CRC = 16,
	TYPE_TITLE = 0x80,
	TYPE_MESSAGE = 0x85,
	TYPE_GENRE = 0x87,
	TYPE_SIZES = 0x8f,
	NR_SIZES = 3,
	LANGUAGE_ENGLISH = 9,
	/* Sequence numbers are bytes. */
	MAX_PACKS = 256 - NR_SIZES,
};

struct packs {
	uint8_t *bytes;
	size_t nr, nr_of_type[16];
};

static const char *
text_of(const struct platter_disc_text *text, unsigned type)
{
	const char *const texts[] = { text->title,    text->performer, text->songwriter,
				      text->composer, text->arranger,  text->message };
	const char *found = type == TYPE_GENRE ? text->genre : texts[type - TYPE_TITLE];

	return found ? found : "";
}

static const struct platter_track *
track_of(const struct pl_disc *disc, unsigned number)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++)
		if (disc->tracks[i].number == number)
			return &disc->tracks[i];
	return NULL;
}

/* UTF-8 as ISO 8859-1, with a question mark for what that has not, and a NUL. */
static void
add_latin1(struct pl_str *s, const char *text)
{
	for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
		char c = (char)*p;

		if (*p >= 0x80) {
			c = *p == 0xc2 || *p == 0xc3 ? (char)((*p & 3) << 6 | (p[1] & 0x3f)) : '?';
			while ((p[1] & 0xc0) == 0x80)
				p++;
		}
		pl_str_add_bytes(s, &c, 1);
	}
	pl_str_add_bytes(s, "", 1);
}

static uint8_t *
add_pack(struct packs *p, unsigned type, unsigned track)
{
	uint8_t *pack = p->bytes + p->nr * PACK;

	pack[0] = (uint8_t)type;
	pack[PACK_TRACK] = (uint8_t)track;
	pack[PACK_SEQUENCE] = (uint8_t)p->nr++;
	p->nr_of_type[type & 15]++;
	return pack;
}

/* All texts of one type, unless there is no room for them. */
static void
add_type(struct packs *p, const struct pl_disc *disc, unsigned type)
{
	unsigned first = disc->tracks[0].number;
	unsigned last = disc->tracks[disc->info.nr_tracks - 1].number, track = 0;
	struct pl_str all = { 0 };
	bool is_any = text_of(&disc->info.text, type)[0] != '\0';
	size_t begun = 0;

	if (type == TYPE_GENRE)
		pl_str_add_bytes(&all, "\0", 2); /* no code of a genre */
	add_latin1(&all, text_of(&disc->info.text, type));
	for (unsigned i = first; i <= last && type != TYPE_GENRE; i++) {
		const struct platter_track *t = track_of(disc, i);

		is_any = is_any || (t && text_of(&t->text, type)[0]);
		add_latin1(&all, t ? text_of(&t->text, type) : "");
	}
	if (!is_any || all.failed ||
	    p->nr + pl_div_round_up(all.length, PACK_TEXT_BYTES) > MAX_PACKS)
		all.length = 0;
	for (size_t at = 0; at < all.length; at += PACK_TEXT_BYTES) {
		size_t n = PL_MIN(all.length - at, (size_t)PACK_TEXT_BYTES);
		uint8_t *pack = add_pack(p, type, track);

		pack[PACK_POSITION] = (uint8_t)PL_MIN(at - begun, 15u);
		memcpy(pack + PACK_TEXT, all.text + at, n);
		for (size_t i = at; i < at + n && type != TYPE_GENRE; i++)
			if (!all.text[i]) {
				track = track ? track + 1 : first;
				begun = i + 1;
			}
	}
	pl_str_done(&all);
}

static void
add_sizes(struct packs *p, const struct pl_disc *disc)
{
	uint8_t sizes[NR_SIZES * PACK_TEXT_BYTES] = { 0 };

	sizes[1] = (uint8_t)disc->tracks[0].number;
	sizes[2] = (uint8_t)disc->tracks[disc->info.nr_tracks - 1].number;
	p->nr_of_type[TYPE_SIZES & 15] = NR_SIZES;
	for (size_t i = 0; i < ARRAY_SIZE(p->nr_of_type); i++)
		sizes[4 + i] = (uint8_t)p->nr_of_type[i];
	sizes[20] = (uint8_t)(p->nr + NR_SIZES - 1);
	sizes[28] = LANGUAGE_ENGLISH;
	for (unsigned i = 0; i < NR_SIZES; i++)
		memcpy(add_pack(p, TYPE_SIZES, i) + PACK_TEXT, sizes + i * PACK_TEXT_BYTES,
		       PACK_TEXT_BYTES);
}

int
pl_disc_make_cdtext(const struct pl_disc *disc, uint8_t **ret, size_t *ret_n,
		    struct platter_error *err)
{
	struct packs p = { .bytes = calloc(MAX_PACKS + NR_SIZES, PACK) };

	if (!p.bytes)
		return pl_no_memory(err);
	for (unsigned type = TYPE_TITLE; type <= TYPE_MESSAGE; type++)
		add_type(&p, disc, type);
	add_type(&p, disc, TYPE_GENRE);
	if (p.nr)
		add_sizes(&p, disc);
	for (size_t i = 0; i < p.nr; i++) {
		uint8_t *pack = p.bytes + i * PACK;

		put_be16(pack + PACK_CRC, (uint16_t)~pl_crc16_ccitt(0, pack, PACK_CRC));
	}
	*ret = p.bytes;
	*ret_n = p.nr * PACK;
	return 0;
}
