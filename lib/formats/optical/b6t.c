/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * b6t.c - BlindWrite's images of discs, versions 5 and 6, read only
 *
 * A sheet, NAME.b5t or NAME.b6t, and the sectors in files of their own, NAME.b5i and so on.  There
 * is no specification: layout as known from libmirage.  All integers are little-endian.
 *
 *	offset  size  header of 260 bytes
 *	     0    16  "BWT5 STREAM SIGN"
 *	    48     2  profile of the medium: 8 CD-ROM, 9 CD-R, 0xa CD-RW, 0x10 DVD-ROM, ...
 *	    50     2  sessions
 *	    64     1  the MCN is valid; 65: 13 MCN
 *	    96     2  bytes of PMA; 98: 2 of ATIP; 100: 2 of CD-TEXT; 102: 2 of what a CD is
 *	   104     4  bytes of BCA; 120: 4 of a DVD's structures; 124: 4 of what a DVD is
 *	   160    48  who made the drive
 *	   208    32  volume name
 *	   240     4  bytes of mode page 2A; 244: 4 unknown; 248: 4 data blocks; 252: 4 sessions;
 *		      256: 4 measured positions
 *	then those: mode page, unknown, PMA, ATIP, CD-TEXT, BCA, structures, what it is, and
 *	data blocks	number u32; path of the drive with a length u32; of each: kind u32, bytes u32, 16,
 *			offset in the file u32, 12, LBA s32, sectors u32, name with a length u32 in
 *			UTF-16, 4
 *	sessions	16 bytes: number u16, entries u8, 1, LBA s32, lead-out s32, first and last track
 *			u16; then its entries: 64 bytes, those of tracks of CDs 72
 *	entry		offset  size
 *			     0     1  0 no track, 1 audio, 2 mode 1, 3 mode 2, 4 form 1, 5 form 2, 6 DVD
 *			    10     1  control; 12: 1 point
 *			    22     4  sectors of the pregap
 *			    42     4  LBA of index 0; 46: 4 sectors, with the pregap
 *	"BWT5 STREAM FOOT"
 *
 * What of a sector is stored tell the bytes and the sectors of a data block.
 */
#include "reader.h"
#include "text.h"

#define MAX_BLOCKS 1024
#define MAX_NAME   4094

enum {
	SIGNATURE = 16,
	PROFILE = 48,
	NR_SESSIONS = 50,
	MCN_IS_VALID = 64,
	MCN = 65,
	PMA_BYTES = 96,
	ATIP_BYTES = 98,
	TEXT_BYTES = 100,
	CD_BYTES = 102,
	BCA_BYTES = 104,
	STRUCTURE_BYTES = 120,
	DVD_BYTES = 124,
	MODE_PAGE_BYTES = 240,
	UNKNOWN_BYTES = 244,
	HEADER = 260,

	BLOCK_BYTES = 4,
	BLOCK_OFFSET = 24,
	BLOCK_LBA = 40,
	BLOCK_SECTORS = 44,
	BLOCK_NAME_BYTES = 48,
	BLOCK_HEADER = 52,

	SESSION_NR_ENTRIES = 2,
	SESSION_LEAD_OUT = 8,
	SESSION = 16,

	ENTRY_CONTROL = 10,
	ENTRY_POINT = 12,
	ENTRY_PREGAP = 22,
	ENTRY_LBA = 42,
	ENTRY_SECTORS = 46,
	ENTRY = 64,
	ENTRY_MORE = 8,

	KIND_DVD = 6,
};

struct block {
	int64_t lba;
	uint64_t nr;
	uint64_t offset;
	uint32_t stride;
	struct pl_disk *file; /* a reference */
};

struct b6t {
	const struct pl_open_request *request;
	struct pl_disc *disc;
	const uint8_t *bytes;
	struct pl_cursor c;
	struct block *blocks;
	size_t nr_blocks;
	int64_t end;         /* LBA behind the last track */
	const uint8_t *text; /* CD-TEXT */
};

static int
b6t_probe(const struct pl_probe *probe)
{
	return memcmp(probe->head, "BWT5 STREAM SIGN", SIGNATURE) == 0 ? 128 : 0;
}

static uint64_t
offset_of(const struct b6t *b, const uint8_t *p)
{
	return (uint64_t)(p - b->bytes);
}

static int
cut_short(struct platter_error *err, const char *what)
{
	return pl_corrupt(err, PLATTER_NO_OFFSET, "the sheet ends within its %s", what);
}

/* ---- data blocks ---- */

static int
open_block(struct b6t *b, const uint8_t *name, size_t n, struct block *block,
	   struct platter_error *err)
{
	PL_AUTOFREE char *text = malloc(3 * (n / 2) + 1);

	if (!text)
		return pl_no_memory(err);
	pl_name_from_utf16le(name, n / 2, text);
	if (!*text)
		return pl_corrupt(err, offset_of(b, name), "data block without the name of a file");
	return pl_sheet_open_file(b->request, text, "raw", &block->file, err);
}

/* The file of another block that is called the same. */
static struct pl_disk *
file_of_same_name(const struct b6t *b, const uint8_t *const *names, const uint8_t *name, size_t n)
{
	for (size_t i = 0; i < b->nr_blocks; i++)
		if (get_le32(names[i] - 4) == n && memcmp(names[i], name, n) == 0)
			return pl_disk_ref(b->blocks[i].file);
	return NULL;
}

static int
decode_block(const struct b6t *b, const uint8_t *h, struct block *ret, struct platter_error *err)
{
	uint32_t bytes = get_le32(h + BLOCK_BYTES), nr = get_le32(h + BLOCK_SECTORS);

	if (!nr || nr > PL_DISC_MAX_SECTORS || bytes % nr || !(bytes / nr))
		return pl_corrupt(err, offset_of(b, h) + BLOCK_SECTORS,
				  "data block of %" PRIu32 " bytes with %" PRIu32 " sectors", bytes,
				  nr);
	*ret = (struct block){ .lba = (int32_t)get_le32(h + BLOCK_LBA),
			       .nr = nr,
			       .offset = get_le32(h + BLOCK_OFFSET),
			       .stride = bytes / nr };
	return 0;
}

static int
take_block(struct b6t *b, const uint8_t **names, struct platter_error *err)
{
	struct block *block = &b->blocks[b->nr_blocks];
	const uint8_t *h = pl_take(&b->c, BLOCK_HEADER), *name;
	uint32_t n;
	int r;

	if (!h)
		return cut_short(err, "data blocks");
	n = get_le32(h + BLOCK_NAME_BYTES);
	if (n > MAX_NAME)
		return pl_corrupt(err, offset_of(b, h) + BLOCK_NAME_BYTES,
				  "name of %" PRIu32 " bytes, limit is %d", n, MAX_NAME);
	name = pl_take(&b->c, n);
	pl_take(&b->c, 4);
	if (!b->c.p)
		return cut_short(err, "data blocks");
	r = decode_block(b, h, block, err);
	if (r < 0)
		return r;
	block->file = file_of_same_name(b, names, name, n);
	if (!block->file)
		r = open_block(b, name, n, block, err);
	if (r < 0)
		return r;
	names[b->nr_blocks++] = name;
	return 0;
}

static int
by_lba(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return x->lba < y->lba ? -1 : x->lba > y->lba;
}

static int
take_blocks(struct b6t *b, struct platter_error *err)
{
	PL_AUTOFREE const uint8_t **names = NULL;
	const uint8_t *h = pl_take(&b->c, 8);
	int r = 0;

	if (!h || !pl_take(&b->c, get_le32(h + 4)))
		return cut_short(err, "data blocks");
	if (get_le32(h) > MAX_BLOCKS)
		return pl_over_limit(err, offset_of(b, h), "%" PRIu32 " data blocks, limit is %d",
				     get_le32(h), MAX_BLOCKS);
	b->blocks = calloc(MAX_BLOCKS, sizeof *b->blocks);
	names = calloc(MAX_BLOCKS, sizeof *names);
	if (!b->blocks || !names)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < get_le32(h) && r == 0; i++)
		r = take_block(b, names, err);
	qsort(b->blocks, b->nr_blocks, sizeof *b->blocks, by_lba);
	return r;
}

/* ---- tracks ---- */

/* Add sectors [lba, end) of a track, from whatever blocks they are in. */
static int
add_sectors(struct b6t *b, size_t track, int64_t lba, int64_t end, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < b->nr_blocks && lba < end && r == 0; i++) {
		const struct block *block = &b->blocks[i];
		int64_t block_end = block->lba + (int64_t)block->nr;
		struct pl_disc_run run = { .track = track, .file = block->file };

		if (block_end <= lba || block->lba >= end)
			continue;
		run.lba = PL_MAX(lba, block->lba);
		run.nr = (uint64_t)(PL_MIN(end, block_end) - run.lba);
		run.offset = block->offset + (uint64_t)(run.lba - block->lba) * block->stride;
		run.stride = block->stride;
		run.main_bytes = block->stride;
		if (block->stride > PL_SECTOR_RAW) {
			run.main_bytes = PL_SECTOR_RAW;
			run.sub = block->stride - PL_SECTOR_RAW == 16   ? PL_SUB_Q16
				  : block->stride - PL_SECTOR_RAW == 96 ? PL_SUB_PACKED96
									: PL_SUB_NONE;
		}
		r = pl_disc_add_run(b->disc, &run, err);
		lba = run.lba + (int64_t)run.nr;
	}
	return r;
}

static int
add_track(struct b6t *b, const uint8_t *e, uint32_t session, struct platter_error *err)
{
	static const enum platter_track_mode modes[] = {
		PLATTER_TRACK_MODE0, /* no track */
		PLATTER_TRACK_AUDIO, PLATTER_TRACK_MODE1, PLATTER_TRACK_MODE2,
		PLATTER_TRACK_MODE2, PLATTER_TRACK_MODE2, PLATTER_TRACK_MODE1,
	};
	int64_t lba = (int32_t)get_le32(e + ENTRY_LBA);
	uint32_t pregap = get_le32(e + ENTRY_PREGAP), nr = get_le32(e + ENTRY_SECTORS);
	struct platter_track track = {
		.number = e[ENTRY_POINT],
		.session = session,
		.start = lba + pregap,
		.pregap = pregap,
		.flags = pl_reader_flags(e[ENTRY_CONTROL]),
	};
	size_t index;
	int r;

	if (e[0] >= ARRAY_SIZE(modes))
		return pl_unsupported(err, offset_of(b, e), "track of kind %u, which is not known",
				      e[0]);
	if (pregap > nr || nr > PL_DISC_MAX_SECTORS)
		return pl_corrupt(err, offset_of(b, e) + ENTRY_PREGAP,
				  "track of %" PRIu32 " sectors with a pregap of %" PRIu32, nr,
				  pregap);
	track.mode = modes[e[0]];
	b->end = lba + nr;
	r = pl_disc_add_track(b->disc, &track, &index, err);
	return r < 0 ? r : add_sectors(b, index, lba, lba + nr, err);
}

static int
take_session(struct b6t *b, struct platter_error *err)
{
	const uint8_t *s = pl_take(&b->c, SESSION);
	int r = 0;

	if (!s)
		return cut_short(err, "sessions");
	for (unsigned i = 0; i < s[SESSION_NR_ENTRIES] && r == 0; i++) {
		const uint8_t *e = pl_take(&b->c, ENTRY);

		if (!e)
			return cut_short(err, "tracks");
		if (!e[0])
			continue;
		if (e[0] != KIND_DVD)
			pl_take(&b->c, ENTRY_MORE);
		r = add_track(b, e, get_le16(s), err);
	}
	if (r == 0 && (int32_t)get_le32(s + SESSION_LEAD_OUT) >= b->end)
		r = pl_disc_end_session(b->disc, get_le16(s),
					(int32_t)get_le32(s + SESSION_LEAD_OUT), err);
	return r;
}

static void
take_medium(struct b6t *b, unsigned profile)
{
	if (profile >= 0x10 && profile < 0x40)
		b->disc->info.medium = "DVD";
	else if (profile >= 0x40 && profile < 0x50)
		b->disc->info.medium = "BD";
}

/* What lies before the data blocks; only CD-TEXT is of use. */
static int
pass_over(struct b6t *b, const uint8_t *h, struct platter_error *err)
{
	unsigned profile = get_le16(h + PROFILE);
	bool is_cd = profile >= 0x08 && profile <= 0x0a;
	const uint8_t *text;

	pl_take(&b->c, get_le32(h + MODE_PAGE_BYTES));
	pl_take(&b->c, get_le32(h + UNKNOWN_BYTES));
	pl_take(&b->c, get_le16(h + PMA_BYTES));
	pl_take(&b->c, get_le16(h + ATIP_BYTES));
	text = pl_take(&b->c, get_le16(h + TEXT_BYTES));
	pl_take(&b->c, get_le32(h + BCA_BYTES));
	pl_take(&b->c, get_le32(h + STRUCTURE_BYTES));
	pl_take(&b->c, is_cd ? get_le16(h + CD_BYTES) : get_le32(h + DVD_BYTES));
	if (!b->c.p)
		return cut_short(err, "description of the disc");
	take_medium(b, profile);
	if (h[MCN_IS_VALID])
		b->disc->info.mcn = pl_reader_mcn(b->disc, h + MCN);
	b->text = text;
	return 0;
}

static int
take_sheet(struct b6t *b, struct platter_error *err)
{
	const uint8_t *h = pl_take(&b->c, HEADER);
	int r;

	if (memcmp(h, "BWT5 STREAM SIGN", SIGNATURE) != 0)
		return pl_corrupt(err, 0, "the file does not begin with 'BWT5 STREAM SIGN'");
	r = pass_over(b, h, err);
	if (r == 0)
		r = take_blocks(b, err);
	for (unsigned i = 0; i < get_le16(h + NR_SESSIONS) && r == 0; i++)
		r = take_session(b, err);
	if (r == 0)
		pl_disc_take_cdtext(b->disc, b->text, get_le16(h + TEXT_BYTES));
	return r;
}

static int
b6t_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct b6t b = { .request = request, .disc = disc };
	PL_AUTOFREE uint8_t *bytes = NULL;
	size_t n;
	int r = pl_reader_load(request->file, HEADER, &bytes, &n, err);

	if (r < 0)
		return r;
	b.bytes = bytes;
	b.c = (struct pl_cursor){ bytes, bytes + n };
	r = take_sheet(&b, err);
	for (size_t i = 0; i < b.nr_blocks; i++)
		pl_disk_unref(b.blocks[i].file);
	free(b.blocks);
	return r;
}

static const struct pl_disk_ops b6t_ops = PL_DISC_OPS("b6t");

static int
b6t_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &b6t_ops, b6t_read, ret, err);
}

static const char *const extensions[] = { "b6t", "b5t", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_b6t = {
	.info = {
		.name = "b6t",
		.longname = "BlindWrite 5 and 6 image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = b6t_probe,
	.open = b6t_open,
	.check = pl_disc_check,
	.many_disks = true,
	.disk_ops = &b6t_ops,
};
