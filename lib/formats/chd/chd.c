/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chd.c - Compressed Hunks of Data: reading; chd.h has the layout */
#include <stdio.h>

#include "chd.h"

#include "cd.h"
#include "checksums.h"

static int
chd_probe(const struct pl_probe *probe)
{
	uint32_t version = get_be32(probe->head + VERSION);

	if (probe->size < VERSION + 4 || memcmp(probe->head, CHD_MAGIC, 8) != 0)
		return 0;
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	return version >= 1 && version <= 5 ? 96 : 64;
}

const char *
pl_chd_sha1_text(const uint8_t sha1[static SHA1_BYTES], char ret[static SHA1_TEXT])
{
	for (int i = 0; i < SHA1_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", sha1[i]);
	return ret;
}

/* Reading. */

static int
check_hunk(const struct hunk *hunk, const struct chd *c, uint64_t index, const uint8_t *bytes,
	   struct platter_error *err)
{
	uint32_t crc;
	int r;

	if (!hunk->has_crc || c->ignore_checksums)
		return 0;
	crc = c->version < 5 ? pl_crc32(0, bytes, c->hunk_size)
			     : pl_crc16_ccitt(0xffff, bytes, c->hunk_size);
	if (crc == hunk->crc)
		return 0;
	r = pl_corrupt(err, hunk->offset,
		       "hunk %" PRIu64 " has the checksum %0*x, and %0*x is stored", index,
		       c->version < 5 ? 8 : 4, crc, c->version < 5 ? 8 : 4, hunk->crc);
	pl_hint(err, "--ignore-checksums reads it as it is");
	return r;
}

static int
decode_hunk(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	struct chd *c = (struct chd *)((uintptr_t)decoder - offsetof(struct chd, decoder));
	uint64_t index = chunk_offset / c->hunk_size;
	struct hunk hunk;
	int r = pl_chd_map_look(c, index, &hunk, err);

	if (r < 0)
		return r;
	if (hunk.kind == HUNK_REPEAT) {
		for (size_t i = 0; i < out_size; i++)
			out[i] = in[i % 8];
	} else if (hunk.kind == HUNK_STORED) {
		memcpy(out, in, out_size);
	} else {
		r = c->codecs[hunk.codec]->decode(in, in_size, out, out_size, err);
	}
	if (r < 0) {
		pl_context(err, "hunk %" PRIu64 " (%s)", index, c->codecs[hunk.codec]->name);
		return r;
	}
	return check_hunk(&hunk, c, index, out, err);
}

/* Bytes of the parent, which a parent that is shorter than it should be may not have. */
static int
map_parent(struct chd *c, uint64_t offset, uint64_t at, struct pl_extent *ret,
	   struct platter_error *err)
{
	/* Without the parent, or where it has them in the same place, they are its holes. */
	if (!c->base || at == offset) {
		ret->kind = PLATTER_HOLE;
		return 0;
	}
	if (at >= c->base->size)
		return pl_corrupt(err, c->map.offset,
				  "byte %" PRIu64 " is at byte %" PRIu64
				  " of the parent, which has %" PRIu64,
				  offset, at, c->base->size);
	ret->kind = PLATTER_DATA;
	ret->below = c->base;
	ret->stored_offset = at;
	ret->length = PL_MIN(ret->length, c->base->size - at);
	return 0;
}

static int
map_stored(struct chd *c, uint64_t index, uint64_t in_hunk, const struct hunk *hunk,
	   struct pl_extent *ret, struct platter_error *err)
{
	int r;

	ret->kind = PLATTER_DATA;
	ret->below = c->file;
	ret->stored_offset = hunk->offset;
	/* What has no checksum is read where it stands. */
	if (hunk->kind == HUNK_STORED && !hunk->has_crc) {
		ret->stored_offset += in_hunk;
		if (ret->stored_offset < c->file->size)
			ret->length = PL_MIN(ret->length, c->file->size - ret->stored_offset);
		return 0;
	}
	ret->decoder = &c->decoder;
	ret->stored_length = hunk->length;
	ret->chunk_offset = index * c->hunk_size;
	ret->chunk_length = c->hunk_size;
	if (hunk->kind == HUNK_CODEC && !c->codecs[hunk->codec])
		return pl_corrupt(err, c->map.offset,
				  "hunk %" PRIu64 " is compressed with codec %u, which the header"
				  " does not name",
				  index, hunk->codec);
	if (pl_in_range(hunk->offset, hunk->length, c->file->size))
		return 0;
	r = pl_corrupt(err, c->map.offset,
		       "hunk %" PRIu64 ", stored in %" PRIu32 " bytes at byte %" PRIu64
		       ", passes the end of the file (%" PRIu64 " bytes)",
		       index, hunk->length, hunk->offset, c->file->size);
	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

static int
map_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct chd *c = chd_of(disk);
	uint64_t index = offset / c->hunk_size, in_hunk = offset % c->hunk_size;
	struct hunk hunk;
	int r = pl_chd_map_look(c, index, &hunk, err);

	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = c->hunk_size - in_hunk };
	if (hunk.kind == HUNK_ZERO) {
		uint64_t end = pl_div_round_up(PL_MIN(length, disk->size - offset) + in_hunk,
					       c->hunk_size);

		ret->kind = c->has_parent ? PLATTER_HOLE : PLATTER_ZERO;
		r = pl_block_table_skip(&c->map.table, index * 4, (index + end) * 4, &end, err);
		ret->length = PL_MAX(end / 4, index + 1) * c->hunk_size - offset;
		return r;
	}
	if (hunk.kind == HUNK_PARENT)
		return map_parent(c, offset, hunk.offset + in_hunk, ret, err);
	return map_stored(c, index, in_hunk, &hunk, ret, err);
}

static int
chd_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, map_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, chd_of(disk)->file->name);
	return r;
}

static struct pl_disk *
chd_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? chd_of(disk)->file : NULL;
}

static void
chd_free(struct pl_disk *disk)
{
	struct chd *c = chd_of(disk);

	pl_chd_map_done(c);
	pl_chd_metadata_done(&c->metadata);
	pl_disk_unref(c->file);
	pl_disk_done(disk);
	free(c);
}

const struct pl_disk_ops pl_chd_ops = {
	.name = "chd",
	.map = chd_map,
	.below = chd_below,
	.describe = pl_chd_describe,
	.free = chd_free,
};

/* The header. */

static int
check_version(struct chd *c, size_t have, struct platter_error *err)
{
	static const uint32_t lengths[] = {
		[3] = V3_HEADER_BYTES, [4] = V4_HEADER_BYTES, [5] = HEADER_BYTES
	};
	const uint8_t *h = c->header;
	int r;

	if (have < VERSION + 4 || memcmp(h, CHD_MAGIC, 8) != 0)
		return pl_corrupt(err, 0, "no CHD signature");
	c->version = get_be32(h + VERSION);
	if (c->version == 1 || c->version == 2) {
		r = pl_unsupported(err, VERSION, "CHD version %" PRIu32 " is not readable",
				   c->version);
		pl_hint(err, "'chdman copy' of MAME makes version 5 of it");
		return r;
	}
	if (c->version < 3 || c->version > 5)
		return pl_unsupported(err, VERSION, "CHD version %" PRIu32 " is not known",
				      c->version);
	if (have < lengths[c->version])
		return pl_corrupt(err, 0,
				  "file of %zu bytes is too short for a CHD header of version"
				  " %" PRIu32,
				  have, c->version);
	if (get_be32(h + LENGTH) != lengths[c->version])
		return pl_corrupt(err, LENGTH,
				  "header of %" PRIu32 " bytes, that of version %" PRIu32
				  " has %" PRIu32,
				  get_be32(h + LENGTH), c->version, lengths[c->version]);
	return 0;
}

static int
take_codecs(struct chd *c, struct platter_error *err)
{
	char text[TAG_TEXT];

	for (int i = 0; i < NR_CODECS; i++) {
		uint32_t tag = get_be32(c->header + CODECS + 4 * i);
		int r;

		if (!tag)
			continue;
		c->compressed_map = true;
		c->codecs[i] = pl_chd_codec_by_tag(tag);
		if (c->codecs[i])
			continue;
		r = pl_unsupported(err, CODECS + 4 * i, "codec '%s' is not readable%s",
				   chd_tag_text(tag, text),
				   tag == TAG('a', 'v', 'h', 'u') ? ": it holds a laserdisc" : "");
		if (tag == TAG('a', 'v', 'h', 'u'))
			pl_hint(err, "'chdman extractld' of MAME makes a video of it");
		return r;
	}
	return 0;
}

static int
take_header(struct chd *c, struct platter_error *err)
{
	const uint8_t *h = c->header;

	c->disk.size = get_be64(h + SIZE);
	c->map.offset = get_be64(h + MAP_OFFSET);
	c->meta_offset = get_be64(h + META_OFFSET);
	c->hunk_size = get_be32(h + HUNK_SIZE);
	c->unit_size = get_be32(h + UNIT_SIZE);
	c->data_sha1 = h + DATA_SHA1;
	c->whole_sha1 = h + WHOLE_SHA1;
	c->parent_sha1 = h + PARENT_SHA1;
	c->has_parent = !pl_is_zero(c->parent_sha1, SHA1_BYTES);
	return take_codecs(c, err);
}

static int
take_old_header(struct chd *c, struct platter_error *err)
{
	const uint8_t *h = c->header;
	uint32_t codec = get_be32(h + OLD_CODEC);

	if (codec > 2)
		return pl_unsupported(err, OLD_CODEC,
				      "codec %" PRIu32 " of old CHDs is not readable", codec);
	c->codecs[0] = pl_chd_codec_by_tag(TAG('z', 'l', 'i', 'b'));
	c->disk.size = get_be64(h + OLD_SIZE);
	c->meta_offset = get_be64(h + OLD_META_OFFSET);
	c->has_parent = get_be32(h + OLD_FLAGS) & OLD_HAS_PARENT;
	if (c->version == 3) {
		c->hunk_size = get_be32(h + V3_HUNK_SIZE);
		c->data_sha1 = c->whole_sha1 = h + V3_SHA1;
		c->parent_sha1 = h + V3_PARENT_SHA1;
		c->map.offset = V3_HEADER_BYTES;
	} else {
		c->hunk_size = get_be32(h + V4_HUNK_SIZE);
		c->data_sha1 = h + V4_DATA_SHA1;
		c->whole_sha1 = h + V4_WHOLE_SHA1;
		c->parent_sha1 = h + V4_PARENT_SHA1;
		c->map.offset = V4_HEADER_BYTES;
	}
	c->unit_size = c->hunk_size;
	return 0;
}

static int
check_sizes(struct chd *c, struct platter_error *err)
{
	bool old = c->version < 5;
	uint64_t at = old ? (c->version == 3 ? V3_HUNK_SIZE : V4_HUNK_SIZE) : HUNK_SIZE;

	if (!c->hunk_size || c->hunk_size > MAX_HUNK_SIZE)
		return pl_corrupt(err, at, "hunks of %" PRIu32 " bytes, must be 1 to %u",
				  c->hunk_size, MAX_HUNK_SIZE);
	if (!c->unit_size || c->hunk_size % c->unit_size)
		return pl_corrupt(err, UNIT_SIZE, "units of %" PRIu32 " bytes in hunks of %" PRIu32,
				  c->unit_size, c->hunk_size);
	c->nr_hunks = pl_div_round_up(c->disk.size, c->hunk_size);
	if (c->nr_hunks > MAX_HUNKS)
		return pl_over_limit(err, old ? OLD_SIZE : SIZE,
				     "%" PRIu64 " bytes in hunks of %" PRIu32 " are %" PRIu64
				     " hunks, limit is %u",
				     c->disk.size, c->hunk_size, c->nr_hunks, MAX_HUNKS);
	if (old && c->nr_hunks > get_be32(c->header + OLD_NR_HUNKS))
		return pl_corrupt(err, OLD_NR_HUNKS,
				  "%" PRIu32 " hunks of %" PRIu32 " bytes for %" PRIu64 " bytes",
				  get_be32(c->header + OLD_NR_HUNKS), c->hunk_size, c->disk.size);
	for (int i = 0; i < NR_CODECS; i++)
		if (c->codecs[i] && c->codecs[i]->cd && c->hunk_size % FRAME_BYTES)
			return pl_corrupt(err, at,
					  "hunks of %" PRIu32 " bytes are not whole frames of %d,"
					  " which the codec %s wants",
					  c->hunk_size, FRAME_BYTES, c->codecs[i]->name);
	return 0;
}

static int
read_header(struct chd *c, struct platter_error *err)
{
	size_t have;
	int r = pl_read_padded(c->file, c->header, sizeof c->header, 0, &have, err);

	if (r == 0)
		r = check_version(c, have, err);
	if (r == 0)
		r = c->version < 5 ? take_old_header(c, err) : take_header(c, err);
	return r == 0 ? check_sizes(c, err) : r;
}

/* What the metadata tells of the sectors. */
static void
find_sector_size(struct chd *c)
{
	const struct metadata *hard_disk = pl_chd_metadata_find(&c->metadata, TAG_HARD_DISK);
	uint32_t n;

	if (pl_chd_metadata_find(&c->metadata, TAG_DVD))
		c->disk.sector_size = c->disk.physical_sector_size = 2048;
	if (hard_disk && pl_chd_metadata_number((const char *)hard_disk->bytes, "BPS", &n) &&
	    pl_is_power_of_two(n) && n >= 512 && n <= 4096)
		c->disk.sector_size = c->disk.physical_sector_size = n;
}

static int
open_parts(struct chd *c, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&c->disk, c->file, err);

	if (r == 0)
		r = read_header(c, err);
	if (r == 0)
		r = pl_chd_metadata_read(c->file, c->meta_offset, &c->metadata, err);
	if (r == 0)
		r = pl_chd_map_open(c, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a CHD, which holds no snapshots", c->file->name);
	if (r == 0)
		r = pl_chd_parent_open(c, request, err);
	if (r == 0)
		find_sector_size(c);
	return r;
}

static int
open_data(const struct pl_open_request *request, struct chd **ret, struct platter_error *err)
{
	struct chd *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	r = pl_disk_init(&c->disk, &pl_chd_ops, request->file->name, err);
	if (r < 0) {
		free(c);
		return r;
	}
	c->file = pl_disk_ref(request->file);
	c->decoder = (struct pl_decoder){ .name = "chd", .decode = decode_hunk };
	c->ignore_checksums = request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS;
	r = open_parts(c, request, err);
	if (r < 0) {
		pl_error_place(err, c->file->name);
		chd_free(&c->disk);
		return r;
	}
	*ret = c;
	return 0;
}

static int
chd_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	bool frames = request->disk && !strcmp(request->disk, "frames");
	struct chd *c;
	int r = open_data(request, &c, err);

	if (r < 0)
		return r;
	if (pl_chd_is_cd(c) && !frames) {
		r = pl_chd_open_disc(c, request, ret, err);
		pl_disk_unref(&c->disk);
		return r;
	}
	if (request->disk && !frames) {
		r = pl_fail(err, -ENOENT,
			    "'%s' is a CHD of no CD, which holds one disk: there is no disk '%s' to"
			    " choose",
			    c->file->name, request->disk);
		pl_disk_unref(&c->disk);
		return r;
	}
	*ret = &c->disk;
	return 0;
}

static const char *const extensions[] = { "chd", NULL };
const struct pl_format pl_format_chd = {
	.info = {
		.name = "chd",
		.longname = "MAME compressed hunks of data",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_COMPRESS |
			     PLATTER_CAN_CHECK,
		.options = pl_chd_options,
	},
	.probe = chd_probe,
	.open = chd_open,
	.create = pl_chd_create,
	.check = pl_chd_check,
	.many_disks = true,
	.takes = PL_TAKES_BOTH,
	.disk_ops = &pl_chd_ops,
	.disc_ops = &pl_chd_disc_ops,
};
