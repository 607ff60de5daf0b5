/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dax.c - compressed ISO images of the PSP's first loader, DAX, read only
 *
 * Frames of 8 KiB, each a zlib stream, or as it is where an area of frames says so.  What is
 * known of it is what maxcso reads and writes.  All integers are little-endian.
 *
 *	offset  size  field
 *	     0     4  "DAX\0"
 *	     4     4  size of the disc
 *	     8     4  version, 0 or 1
 *	    12     4  areas as they are, of version 1
 *	    32        offset of each frame, 4 bytes; then its length, 2 bytes; then of each area its
 *	              first frame and how many, 4 bytes each
 */
#include "blocks.h"
#include "codec.h"

#define HEADER_BYTES 32
#define FRAME        8192u
#define AREA_BYTES   8

enum {
	DISC_SIZE = 4,
	VERSION = 8,
	NR_AREAS = 12,
};

struct dax {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint32_t version;
	uint32_t nr_frames;
	struct pl_block_table offsets, lengths;
	uint8_t *as_is; /* a bit for each frame */
};

static struct dax *
dax_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct dax, disk);
}

static int
dax_probe(const struct pl_probe *probe)
{
	if (probe->size < HEADER_BYTES || memcmp(probe->head, "DAX", 4) != 0)
		return 0;
	return get_le32(probe->head + VERSION) <= 1 ? 48 : 32;
}

static int
frame_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	struct dax *d = dax_of(disk);
	uint32_t frame = (uint32_t)(offset / FRAME);
	uint64_t first = (uint64_t)frame * FRAME;
	uint32_t n = (uint32_t)PL_MIN(FRAME, disk->size - first);
	bool as_is = d->as_is[frame / 8] >> frame % 8 & 1;
	const uint8_t *e;
	int r = pl_block_table_get(&d->offsets, frame * 4ull, 4, &e, err);

	(void)length;
	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = n - (offset - first),
				   .kind = PLATTER_DATA,
				   .below = d->file,
				   .stored_offset = get_le32(e) };
	r = pl_block_table_get(&d->lengths, frame * 2ull, 2, &e, err);
	if (r < 0)
		return r;
	ret->stored_length = as_is ? n : get_le16(e);
	if (!pl_in_range(ret->stored_offset, ret->stored_length, d->file->size)) {
		r = pl_corrupt(err, HEADER_BYTES + frame * 4ull,
			       "frame %" PRIu32 ", %" PRIu64 " bytes at byte %" PRIu64
			       ", is not in the file (%" PRIu64 " bytes)",
			       frame, ret->stored_length, ret->stored_offset, d->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	if (as_is) {
		ret->stored_offset += offset - first;
		return 0;
	}
	ret->decoder = pl_codec_zlib.decoder;
	ret->chunk_offset = first;
	ret->chunk_length = n;
	return 0;
}

static int
dax_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, frame_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, dax_of(disk)->file->name);
	return r;
}

static struct pl_disk *
dax_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? dax_of(disk)->file : NULL;
}

static void
dax_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	pl_fact_number(facts, "version", "Version", dax_of(disk)->version);
}

static void
dax_free(struct pl_disk *disk)
{
	struct dax *d = dax_of(disk);

	pl_block_table_done(&d->offsets);
	pl_block_table_done(&d->lengths);
	free(d->as_is);
	pl_disk_unref(d->file);
	pl_disk_done(disk);
	free(d);
}

static const struct pl_disk_ops dax_ops = {
	.name = "dax",
	.map = dax_map,
	.below = dax_below,
	.describe = dax_describe,
	.free = dax_free,
};

/* Areas may not overlap: so marking them takes no longer than the disc has frames. */
static int
mark_areas(struct dax *d, uint64_t at, uint32_t nr, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *areas = NULL;
	int r;

	d->as_is = calloc(d->nr_frames / 8 + 1, 1);
	if (!d->as_is)
		return pl_no_memory(err);
	if (nr > d->nr_frames || !pl_in_range(at, (uint64_t)nr * AREA_BYTES, d->file->size))
		return pl_corrupt(err, NR_AREAS,
				  "%" PRIu32 " areas of a disc of %" PRIu32
				  " frames, in a file of %" PRIu64 " bytes",
				  nr, d->nr_frames, d->file->size);
	r = pl_read_alloc(d->file, (size_t)nr * AREA_BYTES, at, &areas, err);
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		uint32_t first = get_le32(areas + i * AREA_BYTES);
		uint32_t count = get_le32(areas + i * AREA_BYTES + 4);

		if (!pl_in_range(first, count, d->nr_frames))
			return pl_corrupt(err, at + i * (uint64_t)AREA_BYTES,
					  "area of %" PRIu32 " frames at frame %" PRIu32
					  ", and the disc has %" PRIu32,
					  count, first, d->nr_frames);
		for (uint32_t f = first; f < first + count; f++) {
			if (d->as_is[f / 8] >> f % 8 & 1)
				return pl_corrupt(err, at + i * (uint64_t)AREA_BYTES,
						  "frame %" PRIu32 " is in two areas", f);
			d->as_is[f / 8] |= (uint8_t)(1u << f % 8);
		}
	}
	return r;
}

static int
read_header(struct dax *d, struct platter_error *err)
{
	uint64_t lengths_at, areas_at;
	uint8_t h[HEADER_BYTES];
	size_t have;
	int r = pl_read_padded(d->file, h, sizeof h, 0, &have, err);

	if (r < 0)
		return r;
	if (memcmp(h, "DAX", 4) != 0)
		return pl_corrupt(err, 0, "no DAX magic");
	if (have < HEADER_BYTES)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a DAX header", have);
	d->version = get_le32(h + VERSION);
	if (d->version > 1)
		return pl_unsupported(err, VERSION,
				      "version %" PRIu32 " is not known, the newest is 1",
				      d->version);
	d->disk.size = get_le32(h + DISC_SIZE);
	d->nr_frames = (uint32_t)pl_div_round_up(d->disk.size, FRAME);
	lengths_at = HEADER_BYTES + d->nr_frames * 4ull;
	areas_at = lengths_at + d->nr_frames * 2ull;
	r = pl_block_table_init(&d->offsets, d->file, HEADER_BYTES, d->nr_frames * 4ull, 0, err);
	if (r == 0)
		r = pl_block_table_init(&d->lengths, d->file, lengths_at, d->nr_frames * 2ull, 0,
					err);
	if (r == 0)
		r = mark_areas(d, areas_at, d->version ? get_le32(h + NR_AREAS) : 0, err);
	return r;
}

static int
open_parts(struct dax *d, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&d->disk, d->file, err);

	if (r == 0)
		r = read_header(d, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a DAX image, which has no snapshots",
			    d->file->name);
	return r;
}

static int
dax_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct dax *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return pl_no_memory(err);
	r = pl_disk_init(&d->disk, &dax_ops, request->file->name, err);
	if (r < 0) {
		free(d);
		return r;
	}
	d->file = pl_disk_ref(request->file);
	r = open_parts(d, request, err);
	if (r < 0) {
		pl_error_place(err, d->file->name);
		dax_free(&d->disk);
		return r;
	}
	*ret = &d->disk;
	return 0;
}

static int
dax_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	for (uint64_t at = 0; at < disk->size; at += FRAME) {
		struct platter_error found = PLATTER_ERROR_INIT;
		struct pl_extent e;
		int r = frame_run(disk, at, FRAME, &e, &found);

		if (r == -EUCLEAN) {
			pl_found(findings, PLATTER_DAMAGE, found.offset, "%s", found.message);
		} else if (r < 0) {
			if (err)
				*err = found;
			return r;
		}
	}
	return 0;
}

static const char *const extensions[] = { "dax", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_dax = {
	.info = {
		.name = "dax",
		.longname = "Compressed ISO image (DAX)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = dax_probe,
	.open = dax_open,
	.check = dax_check,
	.disk_ops = &dax_ops,
};
