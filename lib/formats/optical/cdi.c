/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cdi.c - DiscJuggler's images of discs, read only
 *
 * The sectors of all tracks come first, each track with its pregap; a descriptor at the end says
 * what they are.  There is no specification: layout as known from cdirip, libmirage and Aaru.  All
 * integers are little-endian.
 *
 *	the last 8 bytes: version u32, 0x80000004 (2), 0x80000005 (3) or 0x80000006 (3.5 and 4);
 *			  u32 where the descriptor begins, or of 3.5: its bytes, up to the end
 *
 *	descriptor	sessions u16; of each: tracks u16, the tracks, 12 bytes (version 2) or 13
 *	header		u32; 8 more bytes if that is not 0; twice 00 00 01 00 00 00 ff ff ff ff; 4; name
 *			with a length u8; 19; u32; if that is 0x80000000: sectors of the medium u32, 2,
 *			kind of medium u16 (0x98 CD, 0x38 DVD)
 *	track		a header; indexes u16, the length of each u32, index 0 first; texts u32, each of
 *			18 with a length u8; 2; mode u32 (0 audio, 1, 2); 4; session u32; track u32; where
 *			index 0 begins u32, 0 at 00:00:00; sectors u32; 16; what is stored of a sector u32
 *			(0 2048, 1 2336, 2 2352, 3 2352+16, 4 2352+96); control u32; 9; ISRC 12; it is valid
 *			u32; from version 3 on 5, u32; 78 more bytes if that is 0xffffffff
 *	disc, of 3.5	u16 0; a header; sectors u32; volume name with a length u8; 9; MCN 13; it is valid
 *			u32; bytes of CD-TEXT u32; its packs
 */
#include "reader.h"

#define MAX_DESCRIPTOR MIB(1)
#define MAX_INDEX      (PL_DISC_MAX_INDEXES + 2)
#define MAX_TEXTS      64

#define VERSION_2  0x80000004u
#define VERSION_3  0x80000005u
#define VERSION_35 0x80000006u

enum {
	TRAILER = 8,
	MARK = 10,
	FIRST_MARK = 8, /* behind the numbers of sessions and tracks, and a u32 */
	BEHIND_NAME = 19,
	NR_FIELDS = 18,
	FIELD_TITLE = 10,
	MEDIUM_DVD = 0x38,
};

struct cdi {
	struct pl_disc *disc;
	struct pl_disk *file; /* borrowed */
	uint32_t version;
	const uint8_t *bytes; /* the descriptor, */
	uint64_t at;          /* and where it is in the file */
	struct pl_cursor c;
	uint64_t position; /* where the next track's sectors are in the file */
};

struct cdi_track {
	uint32_t nr_indexes, lengths[MAX_INDEX];
	uint32_t mode, start, length, stored_as, control;
	const uint8_t *isrc; /* NULL: none */
	const uint8_t *title;
	size_t title_bytes;
	uint64_t at;
};

static bool
is_version(uint32_t version)
{
	return version >= VERSION_2 && version <= VERSION_35;
}

/* Where the descriptor begins, from what the last bytes say. */
static uint64_t
descriptor_at(uint32_t version, uint32_t value, uint64_t size)
{
	return version == VERSION_35 ? size - value : value;
}

static const uint8_t mark[MARK] = { 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

/* Raw sectors stand first: the mark of the first track outweighs what they look like. */
static int
cdi_probe(const struct pl_probe *probe)
{
	const uint8_t *t = probe->tail + PL_PROBE_TAIL - TRAILER;
	uint32_t version = get_le32(t), value = get_le32(t + 4);
	uint8_t head[FIRST_MARK + MARK + 8];
	uint64_t at;

	if (probe->size < PL_PROBE_TAIL || !is_version(version) || value > probe->size)
		return 0;
	at = descriptor_at(version, value, probe->size);
	if (!pl_in_range(at, sizeof head, probe->size) ||
	    pl_read(probe->file, head, sizeof head, at, NULL) < 0)
		return 0;
	if (get_le32(head + FIRST_MARK - 4) ? memcmp(head + FIRST_MARK + 8, mark, MARK) != 0
					    : memcmp(head + FIRST_MARK, mark, MARK) != 0)
		return 0;
	return 256;
}

/* ---- pieces of the descriptor ---- */

static uint32_t
take_u32(struct cdi *d)
{
	const uint8_t *p = pl_take(&d->c, 4);

	return p ? get_le32(p) : 0;
}

static uint32_t
take_u16(struct cdi *d)
{
	const uint8_t *p = pl_take(&d->c, 2);

	return p ? get_le16(p) : 0;
}

static uint8_t
take_u8(struct cdi *d)
{
	const uint8_t *p = pl_take(&d->c, 1);

	return p ? *p : 0;
}

static uint64_t
here(const struct cdi *d)
{
	return d->c.p ? d->at + (uint64_t)(d->c.p - d->bytes) : d->at;
}

static int
cut_short(const struct cdi *d, struct platter_error *err)
{
	return pl_corrupt(err, d->at, "the descriptor at byte %" PRIu64 " ends within a track",
			  d->at);
}

static int
take_header(struct cdi *d, struct platter_error *err)
{
	const uint8_t *p;

	if (take_u32(d))
		pl_take(&d->c, 8);
	for (int i = 0; i < 2; i++) {
		uint64_t at = here(d);

		p = pl_take(&d->c, MARK);
		if (p && memcmp(p, mark, MARK) != 0)
			return pl_corrupt(err, at, "no mark of the beginning of a track");
	}
	pl_take(&d->c, 4);
	pl_take(&d->c, take_u8(d));
	pl_take(&d->c, BEHIND_NAME);
	if (take_u32(d) == 0x80000000u) {
		p = pl_take(&d->c, 8);
		if (p && get_le16(p + 6) == MEDIUM_DVD)
			d->disc->info.medium = "DVD";
	}
	return d->c.p ? 0 : cut_short(d, err);
}

static int
take_texts(struct cdi *d, struct cdi_track *t, struct platter_error *err)
{
	uint64_t at = here(d);
	uint32_t nr = take_u32(d);

	if (nr > MAX_TEXTS)
		return pl_over_limit(err, at, "%" PRIu32 " texts of a track, limit is %d", nr,
				     MAX_TEXTS);
	for (uint32_t i = 0; i < nr * NR_FIELDS; i++) {
		uint8_t n = take_u8(d);
		const uint8_t *p = pl_take(&d->c, n);

		if (p && n && i == FIELD_TITLE) {
			t->title = p;
			t->title_bytes = n;
		}
	}
	return 0;
}

static int
take_track(struct cdi *d, struct cdi_track *t, struct platter_error *err)
{
	const uint8_t *isrc;
	int r = take_header(d, err);

	if (r < 0)
		return r;
	t->at = here(d);
	t->nr_indexes = take_u16(d);
	if (t->nr_indexes > MAX_INDEX)
		return pl_corrupt(err, t->at, "track with %" PRIu32 " indexes, limit is %d",
				  t->nr_indexes, MAX_INDEX);
	for (uint32_t i = 0; i < t->nr_indexes; i++)
		t->lengths[i] = take_u32(d);
	r = take_texts(d, t, err);
	if (r < 0)
		return r;
	pl_take(&d->c, 2);
	t->mode = take_u32(d);
	pl_take(&d->c, 12);
	t->start = take_u32(d);
	t->length = take_u32(d);
	pl_take(&d->c, 16);
	t->stored_as = take_u32(d);
	t->control = take_u32(d);
	pl_take(&d->c, 9);
	isrc = pl_take(&d->c, 12);
	t->isrc = take_u32(d) ? isrc : NULL;
	if (d->version != VERSION_2) {
		pl_take(&d->c, 5);
		if (take_u32(d) == 0xffffffffu)
			pl_take(&d->c, 78);
	}
	return d->c.p ? 0 : cut_short(d, err);
}

/* ---- tracks ---- */

static int
decode_storage(const struct cdi_track *t, struct pl_disc_run *run, enum platter_track_mode *ret,
	       struct platter_error *err)
{
	static const struct {
		uint32_t main_bytes;
		enum pl_subchannel sub;
	} kinds[] = {
		{ 2048, PL_SUB_NONE }, { 2336, PL_SUB_NONE },  { 2352, PL_SUB_NONE },
		{ 2352, PL_SUB_Q16 },  { 2352, PL_SUB_RAW96 },
	};
	static const enum platter_track_mode modes[] = { PLATTER_TRACK_AUDIO, PLATTER_TRACK_MODE1,
							 PLATTER_TRACK_MODE2 };

	if (t->mode >= ARRAY_SIZE(modes))
		return pl_unsupported(err, t->at, "track of mode %" PRIu32 ", which is not known",
				      t->mode);
	if (t->stored_as >= ARRAY_SIZE(kinds))
		return pl_unsupported(err, t->at,
				      "track with sectors stored as %" PRIu32
				      ", which is not known",
				      t->stored_as);
	*ret = modes[t->mode];
	run->main_bytes = kinds[t->stored_as].main_bytes;
	run->sub = kinds[t->stored_as].sub;
	run->stride = run->main_bytes + (run->sub == PL_SUB_Q16     ? 16
					 : run->sub == PL_SUB_RAW96 ? 96
								    : 0);
	return 0;
}

/* Indexes from 2 on begin where the one before ends. */
static int
set_indexes(struct cdi *d, const struct cdi_track *t, size_t track, struct platter_error *err)
{
	int64_t list[PL_DISC_MAX_INDEXES], lba = d->disc->tracks[track].start;
	size_t nr = t->nr_indexes > 2 ? t->nr_indexes - 2 : 0;

	for (size_t i = 0; i < nr; i++)
		list[i] = lba += t->lengths[i + 1];
	return pl_disc_set_indexes(d->disc, track, list, nr, err);
}

static int
add_track(struct cdi *d, const struct cdi_track *t, uint32_t session, struct platter_error *err)
{
	uint32_t pregap = t->nr_indexes ? t->lengths[0] : 0;
	struct platter_track track = {
		.number = (uint32_t)d->disc->info.nr_tracks + 1,
		.session = session,
		.pregap = pregap,
		.flags = pl_reader_flags(t->control),
	};
	struct pl_disc_run run = { .nr = t->length, .file = d->file, .offset = d->position };
	int r = decode_storage(t, &run, &track.mode, err);

	if (r < 0)
		return r;
	run.lba = (int64_t)t->start - PL_DISC_PREGAP;
	if (pregap > t->length)
		return pl_corrupt(err, t->at,
				  "track of %" PRIu32 " sectors with a pregap of %" PRIu32,
				  t->length, pregap);
	track.start = run.lba + pregap;
	if (t->isrc)
		track.isrc = pl_reader_isrc(d->disc, t->isrc);
	if (t->title)
		track.text.title = pl_disc_text(d->disc, (const char *)t->title, t->title_bytes);
	r = pl_disc_add_track(d->disc, &track, &run.track, err);
	if (r == 0)
		r = set_indexes(d, t, run.track, err);
	if (r < 0)
		return r;
	d->position += (uint64_t)t->length * run.stride;
	return pl_disc_add_run(d->disc, &run, err);
}

static int
add_session(struct cdi *d, uint32_t session, struct platter_error *err)
{
	uint32_t nr = take_u16(d);
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++) {
		struct cdi_track t = { 0 };

		r = take_track(d, &t, err);
		if (r == 0)
			r = add_track(d, &t, session, err);
	}
	pl_take(&d->c, d->version == VERSION_2 ? 12 : 13);
	return r;
}

/* The block of the disc is worth having, and the tracks are read without it. */
static void
take_disc(struct cdi *d)
{
	const uint8_t *mcn, *packs;
	uint32_t n;

	if (d->version != VERSION_35 || !d->c.p || take_u16(d) || take_header(d, NULL) < 0)
		return;
	pl_take(&d->c, 4);
	pl_take(&d->c, take_u8(d));
	pl_take(&d->c, 9);
	mcn = pl_take(&d->c, 13);
	if (take_u32(d) && mcn)
		d->disc->info.mcn = pl_reader_mcn(d->disc, mcn);
	n = take_u32(d);
	packs = pl_take(&d->c, n);
	if (packs)
		pl_disc_take_cdtext(d->disc, packs, n);
}

static int
take_descriptor(struct cdi *d, size_t n, struct platter_error *err)
{
	uint32_t nr;
	int r = 0;

	d->c = (struct pl_cursor){ d->bytes, d->bytes + n };
	nr = take_u16(d);
	if (nr > PL_DISC_MAX_SESSIONS)
		return pl_corrupt(err, d->at, "%" PRIu32 " sessions, limit is %d", nr,
				  PL_DISC_MAX_SESSIONS);
	for (uint32_t i = 1; i <= nr && r == 0; i++)
		r = add_session(d, i, err);
	if (r == 0)
		take_disc(d);
	return r;
}

static int
cdi_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	struct cdi d = { .disc = disc, .file = file };
	PL_AUTOFREE uint8_t *bytes = NULL;
	uint64_t end = file->size - TRAILER;
	uint8_t trailer[TRAILER];
	int r;

	if (file->size < TRAILER)
		return pl_corrupt(err, 0, "file of %" PRIu64 " bytes, the least is %d", file->size,
				  TRAILER);
	r = pl_read(file, trailer, sizeof trailer, end, err);
	if (r < 0)
		return r;
	d.version = get_le32(trailer);
	if (!is_version(d.version))
		return pl_corrupt(err, end,
				  "version 0x%08" PRIx32
				  " of the format, 0x%08x to 0x%08x are known",
				  d.version, VERSION_2, VERSION_35);
	d.at = descriptor_at(d.version, get_le32(trailer + 4), file->size);
	if (d.at >= end)
		return pl_corrupt(err, end + 4,
				  "descriptor %s %" PRIu32 ", and the file has %" PRIu64 " bytes",
				  d.version == VERSION_35 ? "of bytes" : "at byte",
				  get_le32(trailer + 4), file->size);
	if (end - d.at > MAX_DESCRIPTOR)
		return pl_over_limit(err, end + 4,
				     "descriptor of %" PRIu64 " bytes, limit is %" PRIu64,
				     end - d.at, MAX_DESCRIPTOR);
	r = pl_read_alloc(file, (size_t)(end - d.at), d.at, &bytes, err);
	if (r < 0)
		return r;
	d.bytes = bytes;
	return take_descriptor(&d, (size_t)(end - d.at), err);
}

static const struct pl_disk_ops cdi_ops = PL_DISC_OPS("cdi");

static int
cdi_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &cdi_ops, cdi_read, ret, err);
}

static const char *const extensions[] = { "cdi", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_cdi = {
	.info = {
		.name = "cdi",
		.longname = "DiscJuggler image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = cdi_probe,
	.open = cdi_open,
	.check = pl_disc_check,
	.many_disks = true,
	.disk_ops = &cdi_ops,
};
