/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ecm.c - discs without what can be computed: ECM, "error code modeler", read only
 *
 * Neill Corlett's ecm and unecm; the format is what they do.  "ECM\0", then records:
 *
 *	byte	bits 0 and 1: type; 2 to 6: the lowest bits of the count less one; 7: another follows
 *	byte...	0 to 6: the next higher bits of it; 7: another follows; four such bytes at most
 *	then as many as are counted of
 *	type 0	a byte, as it is
 *	type 1	minute, second, frame and 2048 bytes: a sector of mode 1, 2352 bytes
 *	type 2	subheader, 2048 bytes: a sector of form 1 from its byte 16 on, 2336 bytes
 *	type 3	subheader, 2324 bytes: one of form 2, as many
 *
 * A count less one whose 32 bits are all set ends them: fc ff ff ff 3f, or with another type.  The
 * EDC of the disc, little-endian, follows.
 *
 * Nothing tells where in the file a byte of the disc is.  The headers of records are read once,
 * and about every 64 KiB of the disc it is noted where it goes on: a chunk is what is between
 * two such notes, however many records that are.
 */
#include "blocks.h"
#include "sector.h"

#define MAGIC_BYTES 4
#define END         0xffffffffu
/* Bytes of the disc, and one unit more at most, in a chunk. */
#define CHUNK KIB(64)
/* Records of a disc: eight times the sectors of a DVD, each of which may be one. */
#define MAX_RECORDS (1u << 24)
/* Chunks of a disc: 128 GiB, more than any has, and 64 MiB of memory. */
#define MAX_NOTES   (1u << 21)
#define WINDOW      KIB(64)
#define CHECK_PIECE MIB(1)

static const uint8_t magic[MAGIC_BYTES] = { 'E', 'C', 'M', 0 };

/* Bytes of one unit of each type: on the disc, and in the file. */
static const uint16_t unit_bytes[] = { 1, PL_SECTOR_RAW, PL_SECTOR_MODE2_DATA,
				       PL_SECTOR_MODE2_DATA };
static const uint16_t unit_stored[] = { 1, 3 + PL_SECTOR_DATA, 4 + PL_SECTOR_DATA,
					4 + PL_SECTOR_FORM2_DATA };

/* Where a chunk begins: within a record of which `left` units are to come. */
struct note {
	uint64_t offset; /* on the disc */
	uint64_t at;     /* in the file */
	uint64_t left;   /* 0: a record begins */
	uint8_t type;
};

struct ecm;

struct ecm_decoder {
	struct pl_decoder decoder;
	const struct ecm *ecm;
};

struct ecm {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct ecm_decoder decoder;
	struct note *notes; /* the last one is the end of the disc */
	size_t nr_notes, room;
	uint64_t nr_records;
	uint64_t nr_sectors[4]; /* by type */
	uint64_t edc_at;        /* where the EDC stands */
	uint32_t edc;
};

static struct ecm *
ecm_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct ecm, disk);
}

static int
ecm_probe(const struct pl_probe *probe)
{
	if (probe->size < MAGIC_BYTES + 9 || memcmp(probe->head, magic, MAGIC_BYTES) != 0)
		return 0;
	return 32;
}

/* Headers of records.  Bytes come from a cursor: of a window of the file, or of a chunk. */

struct record {
	uint64_t count; /* 0: the end */
	uint8_t type;
	uint8_t bytes; /* of the header */
};

/* *ret->bytes is 0 if they end within it.  False: it counts too far. */
static bool
take_header(struct pl_cursor c, struct record *ret)
{
	const uint8_t *start = c.p, *p = pl_take(&c, 1);
	uint64_t count = p ? *p >> 2 & 0x1f : 0;
	unsigned shift = 5;

	*ret = (struct record){ .type = p ? *p & 3 : 0 };
	while (p && *p & 0x80) {
		p = pl_take(&c, 1);
		if (!p)
			return true;
		count |= (uint64_t)(*p & 0x7f) << shift;
		shift += 7;
		if (count > END || (shift > 32 && *p & 0x80))
			return false;
	}
	if (!p)
		return true;
	ret->bytes = (uint8_t)(p + 1 - start);
	ret->count = count == END ? 0 : count + 1;
	return true;
}

struct window {
	uint8_t *bytes;
	uint64_t at;
	size_t n;
};

static int
read_record(struct ecm *e, struct window *w, uint64_t at, struct record *ret,
	    struct platter_error *err)
{
	int r;

	if (at < w->at || at - w->at > w->n || w->n - (at - w->at) < 8) {
		r = pl_read_padded(e->file, w->bytes, WINDOW, at, &w->n, err);
		if (r < 0)
			return r;
		w->at = at;
	}
	if (!take_header((struct pl_cursor){ w->bytes + (at - w->at), w->bytes + w->n }, ret))
		return pl_corrupt(err, at, "a record counts further than 32 bits");
	if (!ret->bytes) {
		r = pl_corrupt(err, at,
			       "the file ends at byte %" PRIu64 " without the mark of the end",
			       e->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	return 0;
}

/* The chunks. */

static int
add_note(struct ecm *e, uint64_t at, const struct record *record, uint64_t left,
	 struct platter_error *err)
{
	if (e->nr_notes == MAX_NOTES)
		return pl_over_limit(err, at, "a disc of more than %" PRIu64 " bytes",
				     (uint64_t)MAX_NOTES * CHUNK);
	if (e->nr_notes == e->room) {
		size_t room = e->room ? e->room * 2 : 256;
		struct note *notes = pl_realloc_array(e->notes, room, sizeof *notes);

		if (!notes)
			return pl_no_memory(err);
		e->notes = notes;
		e->room = room;
	}
	e->notes[e->nr_notes++] = (struct note){
		.offset = e->disk.size, .at = at, .left = left, .type = record->type
	};
	return 0;
}

/* Pass over a record whose units begin at byte `at`, which has been found to be in the file. */
static int
note_record(struct ecm *e, uint64_t at, const struct record *record, struct platter_error *err)
{
	uint64_t left = record->count, unit = unit_bytes[record->type], n;
	int r = 0;

	for (; left && r == 0; left -= n) {
		uint64_t next = e->notes[e->nr_notes - 1].offset + CHUNK;

		if (e->disk.size >= next) {
			r = add_note(e, at, record, left, err);
			next = e->disk.size + CHUNK;
		}
		n = PL_MIN(left, pl_div_round_up(next - e->disk.size, unit));
		at += n * unit_stored[record->type];
		e->disk.size += n * unit;
	}
	return r;
}

static int
scan(struct ecm *e, struct window *w, struct platter_error *err)
{
	uint64_t at = MAGIC_BYTES, file_size = e->file->size;
	struct record record = { 0 };
	int r = add_note(e, at, &record, 0, err);

	while (r == 0) {
		uint64_t stored;

		r = read_record(e, w, at, &record, err);
		if (r < 0 || !record.count)
			break;
		if (++e->nr_records > MAX_RECORDS)
			return pl_over_limit(err, at, "more than %u records", MAX_RECORDS);
		stored = record.count * unit_stored[record.type];
		if (!pl_in_range(at + record.bytes, stored, file_size)) {
			r = pl_corrupt(err, at,
				       "a record of %" PRIu64
				       " bytes passes the end of the file (%" PRIu64 " bytes)",
				       stored, file_size);
			pl_hint(err, "the file is cut short: compare its size with the original");
			return r;
		}
		/* A chunk may begin with the header of a record. */
		if (e->disk.size >= e->notes[e->nr_notes - 1].offset + CHUNK)
			r = add_note(e, at, &record, 0, err);
		if (r == 0)
			r = note_record(e, at + record.bytes, &record, err);
		e->nr_sectors[record.type] += record.count;
		at += record.bytes + stored;
	}
	e->edc_at = at + record.bytes;
	return r < 0 ? r : add_note(e, at, &record, 0, err);
}

/* Decoding. */

static size_t
find_note(const struct ecm *e, uint64_t offset)
{
	size_t low = 0, high = e->nr_notes - 1;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (offset < e->notes[middle].offset)
			high = middle;
		else
			low = middle;
	}
	return low;
}

/* One unit of a type that is a sector, the part of it that the disc has. */
static void
make_sector(uint8_t type, const uint8_t *in, uint8_t *out)
{
	uint8_t sector[PL_SECTOR_RAW];

	if (type == 1) {
		pl_sector_put_header(out, 0, 1);
		memcpy(out + PL_SECTOR_HEADER, in, 3);
		memcpy(out + PL_SECTOR_MODE1_AT, in + 3, PL_SECTOR_DATA);
		pl_sector_protect(out, PL_SECTOR_MODE1);
		return;
	}
	pl_sector_put_header(sector, 0, 2);
	memcpy(sector + PL_SECTOR_SUBHEADER, in, 4);
	memcpy(sector + PL_SECTOR_SUBHEADER + 4, in, 4);
	memcpy(sector + PL_SECTOR_XA_AT, in + 4, unit_stored[type] - 4);
	pl_sector_protect(sector, type == 2 ? PL_SECTOR_FORM1 : PL_SECTOR_FORM2);
	memcpy(out, sector + PL_SECTOR_SUBHEADER, PL_SECTOR_MODE2_DATA);
}

/* As many units as `in` and the room have; returns those. */
static size_t
decode_units(uint8_t type, uint64_t count, struct pl_cursor *in, uint8_t *out, size_t room)
{
	size_t have = (size_t)(in->end - in->p) / unit_stored[type];
	size_t n = (size_t)PL_MIN(count, PL_MIN(have, room / unit_bytes[type]));
	const uint8_t *p = pl_take(in, n * unit_stored[type]);

	if (!type)
		memcpy(out, p, n);
	for (size_t i = 0; type && i < n; i++)
		make_sector(type, p + i * unit_stored[type], out + i * unit_bytes[type]);
	return n;
}

static int
ecm_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	   size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	const struct ecm *e = ((const struct ecm_decoder *)(const void *)decoder)->ecm;
	const struct note *note = &e->notes[find_note(e, chunk_offset)];
	struct record record = { .count = note->left, .type = note->type };
	struct pl_cursor c = { in, in + in_size };
	size_t done = 0;

	while (done < out_size) {
		size_t n;

		if (!record.count) {
			if (!take_header(c, &record) || !record.bytes || !record.count)
				break;
			(void)pl_take(&c, record.bytes);
		}
		n = decode_units(record.type, record.count, &c, out + done, out_size - done);
		if (!n)
			break;
		record.count -= n;
		done += n * unit_bytes[record.type];
	}
	if (done != out_size)
		return pl_corrupt(err, note->at, "records hold %zu bytes, expected %zu", done,
				  out_size);
	return 0;
}

/* The disk. */

static int
ecm_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct ecm *e = ecm_of(disk);
	const struct note *note = &e->notes[find_note(e, offset)];
	uint64_t skip = offset - note->offset, n = note[1].offset - note->offset;

	(void)length, (void)err;
	*ret = (struct pl_extent){ .length = n - skip,
				   .kind = PLATTER_DATA,
				   .below = e->file,
				   .stored_offset = note->at };
	if (!note->type && note->left >= n) {
		ret->stored_offset += skip;
		return 0;
	}
	ret->decoder = &e->decoder.decoder;
	ret->stored_length = note[1].at - note->at;
	ret->chunk_offset = note->offset;
	ret->chunk_length = (uint32_t)n;
	return 0;
}

static int
ecm_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	return pl_blocks_map(disk, ecm_run, offset, length, ret, err);
}

static struct pl_disk *
ecm_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? ecm_of(disk)->file : NULL;
}

static void
ecm_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	static const struct {
		const char *key, *label;
	} kinds[] = { { "bytes", "Bytes as they are" },
		      { "mode1_sectors", "Sectors of mode 1" },
		      { "form1_sectors", "Sectors of form 1" },
		      { "form2_sectors", "Sectors of form 2" } };
	struct ecm *e = ecm_of(disk);

	pl_fact_number(facts, "records", "Records", e->nr_records);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		pl_fact_number(facts, kinds[i].key, kinds[i].label, e->nr_sectors[i]);
	pl_fact_text(facts, "edc", "EDC of the disc", "%08" PRIx32, e->edc);
}

static void
ecm_free(struct pl_disk *disk)
{
	struct ecm *e = ecm_of(disk);

	free(e->notes);
	pl_disk_unref(e->file);
	pl_disk_done(disk);
	free(e);
}

static const struct pl_disk_ops ecm_ops = {
	.name = "ecm",
	.map = ecm_map,
	.below = ecm_below,
	.describe = ecm_describe,
	.free = ecm_free,
};

static int
read_records(struct ecm *e, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = malloc(WINDOW);
	struct window w = { .bytes = bytes };
	uint8_t edc[4];
	int r;

	if (!bytes)
		return pl_no_memory(err);
	r = scan(e, &w, err);
	if (r < 0)
		return r;
	if (!pl_in_range(e->edc_at, 4, e->file->size))
		return pl_corrupt(err, e->edc_at,
				  "the EDC of the disc passes the end of the file (%" PRIu64
				  " bytes)",
				  e->file->size);
	r = pl_read(e->file, edc, 4, e->edc_at, err);
	if (r == 0)
		e->edc = get_le32(edc);
	return r;
}

static int
open_parts(struct ecm *e, const struct pl_open_request *request, struct platter_error *err)
{
	uint8_t head[MAGIC_BYTES];
	int r = pl_disk_stack(&e->disk, e->file, err);

	if (r == 0)
		r = pl_read_padded(e->file, head, sizeof head, 0, NULL, err);
	if (r == 0 && memcmp(head, magic, MAGIC_BYTES) != 0)
		r = pl_corrupt(err, 0, "no ECM magic");
	if (r == 0)
		r = read_records(e, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is an ECM file, which has no snapshots",
			    e->file->name);
	return r;
}

static int
ecm_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct ecm *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return pl_no_memory(err);
	r = pl_disk_init(&e->disk, &ecm_ops, request->file->name, err);
	if (r < 0) {
		free(e);
		return r;
	}
	e->file = pl_disk_ref(request->file);
	e->decoder = (struct ecm_decoder){ { .name = "ecm", .decode = ecm_decode }, e };
	r = open_parts(e, request, err);
	if (r < 0) {
		pl_error_place(err, e->file->name);
		ecm_free(&e->disk);
		return r;
	}
	*ret = &e->disk;
	return 0;
}

/* The EDC is all that there is to check, and is of the whole disc. */
static int
ecm_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct ecm *e = ecm_of(disk);
	PL_AUTOFREE uint8_t *piece = malloc(CHECK_PIECE);
	uint32_t edc = 0;

	if (!piece)
		return pl_no_memory(err);
	for (uint64_t at = 0; at < disk->size; at += CHECK_PIECE) {
		size_t n = (size_t)PL_MIN(disk->size - at, CHECK_PIECE);
		int r = pl_read_once(disk, piece, n, at, err);

		if (r < 0)
			return r;
		edc = pl_sector_edc(edc, piece, n);
		r = pl_check_goes_on(findings, n, err);
		if (r < 0)
			return r;
	}
	findings->data_read = true;
	if (edc != e->edc)
		pl_found(findings, PLATTER_DAMAGE, e->edc_at,
			 "EDC of the disc is %08" PRIx32 ", recorded is %08" PRIx32, edc, e->edc);
	if (e->edc_at + 4 < e->file->size)
		pl_found(findings, PLATTER_NOTE, e->edc_at + 4, "%" PRIu64 " bytes follow the end",
			 e->file->size - e->edc_at - 4);
	return 0;
}

static const char *const extensions[] = { "ecm", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_ecm = {
	.info = {
		.name = "ecm",
		.longname = "Disc image without its error codes (ECM)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = ecm_probe,
	.open = ecm_open,
	.check = ecm_check,
	.wraps = true,
	.disk_ops = &ecm_ops,
};
