/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cso.c - reading CSO and ZSO; cso.h has the layout */
#include "cso.h"

#include "blocks.h"
#include "codec.h"

#define MAX_SHIFT 31

/* A GameCube's or Wii's disc in CISO has the size of its blocks at 4, and then a map of these bytes. */
#define GAMECUBE_MAP 0x7ff8

struct cso {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	enum pl_cso_kind kind;
	uint32_t block;
	unsigned shift;
	uint64_t nr_blocks;
	struct pl_block_table index;
};

static struct cso *
cso_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct cso, disk);
}

static int
probe_magic(const struct pl_probe *probe, const char *magic)
{
	uint32_t block = get_le32(probe->head + BLOCK_SIZE);

	if (probe->size < HEADER_BYTES || memcmp(probe->head, magic, 4) != 0)
		return 0;
	return pl_is_power_of_two(block) ? 56 : 32;
}

static int
cso_probe(const struct pl_probe *probe)
{
	/* JSO, which is only named here. */
	return PL_MAX(probe_magic(probe, "CISO"), probe_magic(probe, "JISO"));
}

static int
zso_probe(const struct pl_probe *probe)
{
	return probe_magic(probe, "ZISO");
}

/* Where the block's entry stands in the file. */
static uint64_t
entry_at(uint64_t block)
{
	return HEADER_BYTES + block * 4;
}

static int
get_entry(struct cso *c, uint64_t block, uint64_t *ret_offset, bool *ret_flag,
	  struct platter_error *err)
{
	const uint8_t *entry;
	int r = pl_block_table_get(&c->index, block * 4, 4, &entry, err);

	if (r < 0)
		return r;
	*ret_offset = (uint64_t)(get_le32(entry) & ~CSO_FLAG) << c->shift;
	*ret_flag = get_le32(entry) & CSO_FLAG;
	return 0;
}

/* Where a block is stored: how long it is there, and how it is encoded. */
struct stored {
	uint64_t offset, length;
	const struct pl_decoder *decoder; /* NULL: as it is */
};

static const struct pl_decoder *
decoder_of(const struct cso *c, bool flag, uint64_t length)
{
	switch (c->kind) {
	case CSO_1: return flag ? NULL : pl_codec_deflate.decoder;
	case ZSO: return flag ? NULL : pl_decoder_lz4_from_start;
	default: break;
	}
	if (length >= c->block)
		return NULL;
	return flag ? pl_decoder_lz4_from_start : pl_codec_deflate.decoder;
}

static int
find_block(struct cso *c, uint64_t block, struct stored *ret, struct platter_error *err)
{
	uint64_t wanted = PL_MIN(c->block, c->disk.size - block * c->block), start, end;
	bool flag, unused;
	int r = get_entry(c, block, &start, &flag, err);

	if (r == 0)
		r = get_entry(c, block + 1, &end, &unused, err);
	if (r < 0)
		return r;
	if (start > end)
		return pl_corrupt(err, entry_at(block + 1),
				  "block %" PRIu64 " ends at byte %" PRIu64
				  " and begins at byte %" PRIu64,
				  block, end, start);
	ret->decoder = decoder_of(c, flag, end - start);
	/* The end of the last one is rounded up, and the file need not be. */
	if (c->shift)
		end = PL_MIN(end, c->file->size);
	if (start >= end || end > c->file->size || (!ret->decoder && end - start < wanted)) {
		r = pl_corrupt(err, entry_at(block),
			       "block %" PRIu64 " at bytes %" PRIu64 " to %" PRIu64
			       " is not in the file (%" PRIu64 " bytes)",
			       block, start, end, c->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->offset = start;
	/* No encoder makes more of a block; what follows it is for alignment. */
	ret->length = PL_MIN(end - start, 2 * (uint64_t)c->block + 64);
	return 0;
}

static int
block_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	struct cso *c = cso_of(disk);
	uint64_t block = offset / c->block, first = block * c->block;
	uint32_t n = (uint32_t)PL_MIN(c->block, disk->size - first);
	struct stored stored;
	int r = find_block(c, block, &stored, err);

	(void)length;
	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = n - (offset - first),
				   .kind = PLATTER_DATA,
				   .below = c->file,
				   .stored_offset = stored.offset };
	if (!stored.decoder) {
		ret->stored_offset += offset - first;
		return 0;
	}
	ret->decoder = stored.decoder;
	ret->stored_length = stored.length;
	ret->chunk_offset = first;
	ret->chunk_length = n;
	return 0;
}

static int
cso_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, block_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, cso_of(disk)->file->name);
	return r;
}

static struct pl_disk *
cso_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? cso_of(disk)->file : NULL;
}

static void
cso_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	static const char *const methods[] = {
		[CSO_1] = "deflate", [CSO_2] = "deflate, lz4", [ZSO] = "lz4"
	};
	struct cso *c = cso_of(disk);

	if (c->kind != ZSO)
		pl_fact_number(facts, "version", "Version", c->kind == CSO_2 ? 2 : 1);
	pl_fact_size(facts, "block_size", "Block size", c->block);
	pl_fact_text(facts, "compression", "Compression", "%s", methods[c->kind]);
}

static void
cso_free(struct pl_disk *disk)
{
	struct cso *c = cso_of(disk);

	pl_block_table_done(&c->index);
	pl_disk_unref(c->file);
	pl_disk_done(disk);
	free(c);
}

#define OPS(title)                                                                             \
	{                                                                                      \
		.name = (title), .map = cso_map, .below = cso_below, .describe = cso_describe, \
		.free = cso_free,                                                              \
	}

static const struct pl_disk_ops cso_ops = OPS("cso"), zso_ops = OPS("zso");

/* Another format of the same name: its map has a byte for each block, 0 or 1. */
static bool
is_gamecube(const uint8_t *h)
{
	if (!pl_is_power_of_two(get_le32(h + HEADER_SIZE)) ||
	    get_le32(h + HEADER_SIZE) < GAMECUBE_MAP)
		return false;
	for (size_t i = DISC_SIZE; i < HEADER_BYTES; i++)
		if (h[i] > 1)
			return false;
	return true;
}

static int
check_fields(const uint8_t *h, size_t have, bool zso, struct platter_error *err)
{
	uint32_t block = get_le32(h + BLOCK_SIZE);
	unsigned version = h[VERSION], newest = zso ? 1 : 2;

	if (have < HEADER_BYTES)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a %s header", have,
				  zso ? "ZSO" : "CSO");
	if (!zso && memcmp(h, "JISO", 4) == 0)
		return pl_unsupported(err, 0, "this is a JSO image, which is not read");
	if (memcmp(h, zso ? "ZISO" : "CISO", 4) != 0)
		return pl_corrupt(err, 0, "no %s magic", zso ? "ZSO" : "CSO");
	if (!zso && is_gamecube(h))
		return pl_unsupported(err, HEADER_SIZE,
				      "this is the CISO of a GameCube's or Wii's disc");
	if (version > newest)
		return pl_unsupported(err, VERSION, "version %u is not known, the newest is %u",
				      version, newest);
	if (!pl_is_power_of_two(block) || block < 512 || block > PL_MAX_CHUNK)
		return pl_corrupt(err, BLOCK_SIZE,
				  "blocks of %" PRIu32
				  " bytes, must be a power of two from 512 to %" PRIu64,
				  block, PL_MAX_CHUNK);
	if (h[SHIFT] > MAX_SHIFT)
		return pl_corrupt(err, SHIFT, "offsets are shifted by %u bits, limit is %d",
				  h[SHIFT], MAX_SHIFT);
	if (get_le64(h + DISC_SIZE) > INT64_MAX)
		return pl_over_limit(err, DISC_SIZE, "disc of %" PRIu64 " bytes, limit is %" PRId64,
				     get_le64(h + DISC_SIZE), INT64_MAX);
	return 0;
}

static int
read_header(struct cso *c, struct platter_error *err)
{
	uint8_t h[HEADER_BYTES];
	size_t have;
	int r = pl_read_padded(c->file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_fields(h, have, c->kind == ZSO, err);
	if (r < 0)
		return r;
	if (c->kind != ZSO)
		c->kind = h[VERSION] == 2 ? CSO_2 : CSO_1;
	c->disk.size = get_le64(h + DISC_SIZE);
	c->block = get_le32(h + BLOCK_SIZE);
	c->shift = h[SHIFT];
	c->nr_blocks = pl_div_round_up(c->disk.size, c->block);
	if (c->nr_blocks >= c->file->size / 4)
		return pl_corrupt(err, DISC_SIZE,
				  "disc of %" PRIu64 " bytes needs an index of %" PRIu64
				  " entries, and the file has %" PRIu64 " bytes",
				  c->disk.size, c->nr_blocks + 1, c->file->size);
	return pl_block_table_init(&c->index, c->file, HEADER_BYTES, (c->nr_blocks + 1) * 4, 0,
				   err);
}

static int
open_as(enum pl_cso_kind kind, const struct pl_open_request *request, struct pl_disk **ret,
	struct platter_error *err)
{
	struct cso *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	r = pl_disk_init(&c->disk, kind == ZSO ? &zso_ops : &cso_ops, request->file->name, err);
	if (r < 0) {
		free(c);
		return r;
	}
	c->file = pl_disk_ref(request->file);
	c->kind = kind;
	r = pl_disk_stack(&c->disk, c->file, err);
	if (r == 0)
		r = read_header(c, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a compressed ISO image, which has no snapshots",
			    c->file->name);
	if (r < 0) {
		pl_error_place(err, c->file->name);
		cso_free(&c->disk);
		return r;
	}
	*ret = &c->disk;
	return 0;
}

static int
cso_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return open_as(CSO_1, request, ret, err);
}

static int
zso_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return open_as(ZSO, request, ret, err);
}

static int
cso_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct cso *c = cso_of(disk);
	uint64_t start, end;
	bool flag;
	int r = 0;

	for (uint64_t i = 0; i < c->nr_blocks && r == 0; i++) {
		struct platter_error found = PLATTER_ERROR_INIT;
		struct stored stored;

		r = find_block(c, i, &stored, &found);
		if (r == 0 && stored.offset < entry_at(c->nr_blocks + 1))
			r = pl_corrupt(&found, entry_at(i),
				       "block %" PRIu64 " at byte %" PRIu64 " is in the index", i,
				       stored.offset);
		if (r == -EUCLEAN) {
			pl_found(findings, PLATTER_DAMAGE, found.offset, "%s", found.message);
			r = 0;
		} else if (r < 0 && err) {
			*err = found;
		}
	}
	if (r == 0)
		r = get_entry(c, 0, &start, &flag, err);
	if (r == 0)
		r = get_entry(c, c->nr_blocks, &end, &flag, err);
	if (r == 0 && end < c->file->size)
		pl_found(findings, PLATTER_NOTE, end, "%" PRIu64 " bytes follow the last block",
			 c->file->size - end);
	return r;
}

static void
options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	const struct cso *c = cso_of(disk);

	if (c->kind == CSO_2)
		pl_option(ret, "version", "2");
	pl_option(ret, "block_size", "%" PRIu32, c->block);
}

static const char *const cso_extensions[] = { "cso", "ciso", NULL };
static const char *const zso_extensions[] = { "zso", "ziso", NULL };

#define ABILITIES (PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_COMPRESS | PLATTER_CAN_CHECK)

const struct pl_format pl_format_cso = {
	.info = {
		.name = "cso",
		.longname = "Compressed ISO image (CISO)",
		.extensions = cso_extensions,
		.abilities = ABILITIES,
		.options = pl_cso_options,
	},
	.probe = cso_probe,
	.open = cso_open,
	.create = pl_cso_create,
	.check = cso_check,
	.options_of = options_of,
	.disk_ops = &cso_ops,
};

const struct pl_format pl_format_zso = {
	.info = {
		.name = "zso",
		.longname = "Compressed ISO image with LZ4 (ZISO)",
		.extensions = zso_extensions,
		.abilities = ABILITIES,
		.options = pl_zso_options,
	},
	.probe = zso_probe,
	.open = zso_open,
	.create = pl_zso_create,
	.check = cso_check,
	.options_of = options_of,
	.disk_ops = &zso_ops,
};
