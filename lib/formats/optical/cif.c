/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cif.c - images of discs of Adaptec's and Roxio's Easy CD Creator, read only
 *
 * RIFF chunks one behind the other: "imag", "disc", "ofs " and those of the tracks.  There is no
 * specification: layout as known from libmirage.  All integers are little-endian.
 *
 *	chunk	"RIFF", length u32 (with the type), type 4, data; then 1 byte if the length is odd
 *	"ofs "	8; tracks u16; of each: "RIFF", length u32, type 4, where its type is u32, 6
 *	"disc"	8; descriptors, each of which begins with its length u16:
 *		disc	2: sessions u16, 4: tracks u16, 6: length of the title u16, 16: title and
 *			artist, with a NUL
 *		session	2: tracks u16
 *		track	4: sectors u32, 10: type u16; 229: ISRC and 293: title of audio
 *
 * Type 0 is audio, with 2352 bytes a sector; 1 mode 1, 2048; 2 mode 2, form 1, 2056; 4 mode 2 of
 * both forms, 2332.  Pregaps are not stored.
 */
#include "reader.h"

#define MAX_DISC MIB(1)
/* Chunks that are passed over to find two: each track has one. */
#define MAX_CHUNKS 1000

enum {
	CHUNK_HEADER = 12,
	BEFORE_DATA = 8, /* in "disc" and "ofs " */
	OFS_HEADER = BEFORE_DATA + 2,
	OFS_LENGTH = 4,
	OFS_OFFSET = 12,
	OFS_ENTRY = 22,
	DISC_NR_SESSIONS = 2,
	DISC_TITLE_BYTES = 6,
	DISC_TITLE = 16,
	SESSION_NR_TRACKS = 2,
	SESSION = 4,
	TRACK_SECTORS = 4,
	TRACK_TYPE = 10,
	TRACK = 24,
	TRACK_ISRC = 229,
	TRACK_TITLE = 293,
	/* Shorter tracks are filled up to what the standard asks for. */
	LEAST_SECTORS = 300,
};

struct chunk {
	uint64_t at; /* of its data */
	uint32_t length;
};

struct cif {
	struct pl_disc *disc;
	struct pl_disk *file;           /* borrowed */
	uint8_t *offsets, *descriptors; /* owned */
	struct chunk ofs, text;
	struct pl_cursor c; /* in the descriptors */
	int64_t lba;        /* behind the last track */
	uint32_t last_type;
};

static int
cif_probe(const struct pl_probe *probe)
{
	if (probe->size < CHUNK_HEADER || memcmp(probe->head, "RIFF", 4) != 0 ||
	    memcmp(probe->head + 8, "imag", 4) != 0)
		return 0;
	return 64;
}

/* ---- chunks ---- */

static int
find_chunks(struct cif *c, struct platter_error *err)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < MAX_CHUNKS && pl_in_range(at, CHUNK_HEADER, c->file->size); i++) {
		uint8_t h[CHUNK_HEADER];
		struct chunk chunk = { .at = at + CHUNK_HEADER };
		int r = pl_read(c->file, h, sizeof h, at, err);

		if (r < 0)
			return r;
		if (memcmp(h, "RIFF", 4) != 0)
			return pl_corrupt(err, at, "no chunk begins at byte %" PRIu64, at);
		if (get_le32(h + 4) < 4)
			return pl_corrupt(err, at + 4, "chunk of %" PRIu32 " bytes, the least is 4",
					  get_le32(h + 4));
		chunk.length = get_le32(h + 4) - 4;
		if (memcmp(h + 8, "disc", 4) == 0)
			c->text = chunk;
		else if (memcmp(h + 8, "ofs ", 4) == 0)
			c->ofs = chunk;
		if (c->text.at && c->ofs.at)
			return 0;
		at = chunk.at + chunk.length + chunk.length % 2;
	}
	return pl_corrupt(err, at, "no chunk '%s'", c->text.at ? "ofs " : "disc");
}

static int
read_chunk(const struct cif *c, const struct chunk *chunk, uint8_t **ret, struct platter_error *err)
{
	if (chunk->length > MAX_DISC)
		return pl_over_limit(err, chunk->at - 8,
				     "chunk of %" PRIu32 " bytes, limit is %" PRIu64, chunk->length,
				     MAX_DISC);
	if (chunk->length < OFS_HEADER || !pl_in_range(chunk->at, chunk->length, c->file->size))
		return pl_corrupt(err, chunk->at - 8,
				  "chunk of %" PRIu32 " bytes at byte %" PRIu64
				  " of a file of %" PRIu64 " bytes",
				  chunk->length, chunk->at, c->file->size);
	return pl_read_alloc(c->file, chunk->length, chunk->at, ret, err);
}

/* The next descriptor, of at least so many bytes. */
static int
take_descriptor(struct cif *c, size_t least, const uint8_t **ret, size_t *ret_n,
		struct platter_error *err)
{
	uint64_t at = c->text.at + (uint64_t)(c->c.p - c->descriptors);
	size_t n;

	if (c->c.end - c->c.p < 2)
		return pl_corrupt(err, at, "the descriptors end too early");
	n = get_le16(c->c.p);
	if (n < least || n > (size_t)(c->c.end - c->c.p))
		return pl_corrupt(err, at, "descriptor of %zu bytes, limits are %zu and %zu", n,
				  least, (size_t)(c->c.end - c->c.p));
	*ret = pl_take(&c->c, n);
	*ret_n = n;
	return 0;
}

/* ---- tracks ---- */

/* Where the sectors of a track are. */
static int
find_sectors(const struct cif *c, size_t index, struct chunk *ret, struct platter_error *err)
{
	const uint8_t *e = c->offsets + OFS_HEADER + index * OFS_ENTRY;
	uint64_t at = c->ofs.at + OFS_HEADER + index * OFS_ENTRY;

	if (index >= get_le16(c->offsets + BEFORE_DATA) ||
	    !pl_in_range(OFS_HEADER + index * OFS_ENTRY, OFS_ENTRY, c->ofs.length))
		return pl_corrupt(err, c->ofs.at, "no offset of track %zu", index + 1);
	if (memcmp(e, "RIFF", 4) != 0 || get_le32(e + OFS_LENGTH) < 4)
		return pl_corrupt(err, at, "no chunk of track %zu", index + 1);
	ret->at = (uint64_t)get_le32(e + OFS_OFFSET) + 4;
	ret->length = get_le32(e + OFS_LENGTH) - 4;
	return 0;
}

static const struct {
	enum platter_track_mode mode;
	uint32_t main_bytes;
} types[] = {
	{ PLATTER_TRACK_AUDIO, PL_SECTOR_RAW },
	{ PLATTER_TRACK_MODE1, PL_SECTOR_DATA },
	{ PLATTER_TRACK_MODE2, PL_DISC_FORM1_SUBHEADER },
	{ PLATTER_TRACK_MODE0, 0 }, /* not known */
	{ PLATTER_TRACK_MODE2, PL_DISC_FORM2_SUBHEADER },
};

static void
take_texts(struct cif *c, const uint8_t *d, size_t n, struct platter_track *track)
{
	const char *title = (const char *)d + TRACK_TITLE;

	if (n >= TRACK_ISRC + 12)
		track->isrc = pl_reader_isrc(c->disc, d + TRACK_ISRC);
	if (n > TRACK_TITLE)
		track->text.title = pl_disc_text(c->disc, title, strnlen(title, n - TRACK_TITLE));
}

static int
take_track(struct cif *c, uint32_t session, bool is_first, struct platter_error *err)
{
	size_t index = c->disc->info.nr_tracks, n;
	struct platter_track track = { .number = (uint32_t)index + 1, .session = session };
	struct pl_disc_run run = { .file = c->file };
	const uint8_t *d;
	struct chunk sectors;
	uint32_t type;
	int r = take_descriptor(c, TRACK, &d, &n, err);

	if (r == 0)
		r = find_sectors(c, index, &sectors, err);
	if (r < 0)
		return r;
	type = get_le16(d + TRACK_TYPE);
	if (type >= ARRAY_SIZE(types) || !types[type].main_bytes)
		return pl_unsupported(err, c->text.at + (uint64_t)(d - c->descriptors) + TRACK_TYPE,
				      "track of type %" PRIu32 ", which is not known", type);
	track.mode = types[type].mode;
	run.main_bytes = types[type].main_bytes;
	run.nr = PL_MAX(get_le32(d + TRACK_SECTORS),
			PL_MIN(LEAST_SECTORS, sectors.length / run.main_bytes));
	if (run.nr * run.main_bytes > sectors.length)
		return pl_corrupt(err, c->ofs.at + OFS_HEADER + index * OFS_ENTRY + OFS_LENGTH,
				  "track %zu of %" PRIu64 " sectors in %" PRIu32 " bytes",
				  index + 1, run.nr, sectors.length);
	if (is_first || (type == 0) != (c->last_type == 0))
		track.pregap = PL_DISC_PREGAP;
	if (index && track.pregap && !is_first)
		c->lba += PL_DISC_PREGAP;
	if (type == 0)
		take_texts(c, d, n, &track);
	track.start = run.lba = c->lba;
	run.offset = sectors.at;
	c->lba += (int64_t)run.nr;
	c->last_type = type;
	r = pl_disc_add_track(c->disc, &track, &run.track, err);
	return r < 0 ? r : pl_disc_add_run(c->disc, &run, err);
}

static int
take_session(struct cif *c, uint32_t session, struct platter_error *err)
{
	const uint8_t *d;
	size_t n;
	int r = take_descriptor(c, SESSION, &d, &n, err);

	if (r < 0)
		return r;
	if (session > 1)
		c->lba += session == 2 ? PL_DISC_FIRST_GAP : PL_DISC_OTHER_GAP;
	for (unsigned i = 0; i < get_le16(d + SESSION_NR_TRACKS) && r == 0; i++)
		r = take_track(c, session, i == 0, err);
	return r;
}

static int
take_disc(struct cif *c, struct platter_error *err)
{
	const uint8_t *d;
	const char *title;
	size_t n, title_bytes;
	uint32_t nr;
	int r = take_descriptor(c, DISC_TITLE, &d, &n, err);

	if (r < 0)
		return r;
	title = (const char *)d + DISC_TITLE;
	title_bytes = PL_MIN(get_le16(d + DISC_TITLE_BYTES), n - DISC_TITLE);
	c->disc->info.text.title = pl_disc_text(c->disc, title, title_bytes);
	c->disc->info.text.performer =
		pl_disc_text(c->disc, title + title_bytes,
			     strnlen(title + title_bytes, n - DISC_TITLE - title_bytes));
	nr = get_le16(d + DISC_NR_SESSIONS);
	for (uint32_t i = 1; i <= nr && r == 0; i++)
		r = take_session(c, i, err);
	return r;
}

static int
cif_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct cif c = { .disc = disc, .file = request->file };
	uint8_t h[CHUNK_HEADER];
	int r = pl_read_padded(c.file, h, sizeof h, 0, NULL, err);

	if (r < 0)
		return r;
	if (memcmp(h, "RIFF", 4) != 0 || memcmp(h + 8, "imag", 4) != 0)
		return pl_corrupt(err, 0, "the file does not begin with a chunk 'imag'");
	r = find_chunks(&c, err);
	if (r == 0)
		r = read_chunk(&c, &c.ofs, &c.offsets, err);
	if (r == 0)
		r = read_chunk(&c, &c.text, &c.descriptors, err);
	if (r == 0) {
		c.c = (struct pl_cursor){ c.descriptors + BEFORE_DATA,
					  c.descriptors + c.text.length };
		r = take_disc(&c, err);
	}
	free(c.offsets);
	free(c.descriptors);
	return r;
}

static const struct pl_disk_ops cif_ops = PL_DISC_OPS("cif");

static int
cif_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &cif_ops, cif_read, ret, err);
}

static const char *const extensions[] = { "cif", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_cif = {
	.info = {
		.name = "cif",
		.longname = "Easy CD Creator image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = cif_probe,
	.open = cif_open,
	.check = pl_disc_check,
	.many_disks = true,
	.disk_ops = &cif_ops,
};
