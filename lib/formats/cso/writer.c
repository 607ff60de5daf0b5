/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new CSO and ZSO images
 *
 *	header | index | blocks, each begun at a multiple of 1 << shift
 *
 * The index has room for the whole disc from the start, and is written in pieces while the
 * blocks pass.  Nothing in it says "zeros": a block of zeros is written for each of them.
 */
#include "cso.h"

#include <limits.h>

#include "codec.h"
#include "text.h"

#define MAX_NEW_BLOCK KIB(128)
/* A block as it is begins the next one where it ends: the alignment divides every block. */
#define MAX_NEW_SHIFT 11
/* As zlib's level 6: above, blocks of 2 KiB become hardly smaller. */
#define DEFAULT_LEVEL 6
/* LZ4 is decoded five times as fast as deflate; it may take 1/32 of the block more. */
#define LZ4_MAY_COST(block) ((block) / 32)
/* Entries that are kept back to be written together. */
#define KEPT 16384u
/* What encode() notes of a block of version 2: that LZ4 has encoded it. */
#define NOTE_LZ4 0
/* Zeros are written in pieces of about this size. */
#define ZERO_PIECE KIB(64)

struct cso_writer {
	struct pl_writer writer;
	enum pl_cso_kind kind;
	int level;
	unsigned shift;
	uint64_t nr_blocks;
	uint64_t frontier; /* where the next block goes */
	uint64_t next;     /* whose entry is the next one */
	uint8_t *kept;     /* the entries of the last ones before that, not in the file yet */
	size_t nr_kept;
	uint8_t *zero; /* a block of zeros, encoded */
	size_t zero_length;
	bool zero_flag; /* of its entries */
};

static struct cso_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct cso_writer, writer);
}

static uint64_t
align(const struct cso_writer *c, uint64_t offset)
{
	return pl_round_up(offset, 1ull << c->shift);
}

/* Encode one whole block; 0: it becomes no smaller. */
static size_t
encode_block(const struct cso_writer *c, const uint8_t *in, uint8_t *out, bool *ret_lz4)
{
	size_t block = c->writer.chunk, deflated = 0, packed = 0;
	PL_AUTOFREE uint8_t *other = NULL;

	*ret_lz4 = c->kind == ZSO;
	if (c->kind == ZSO)
		return pl_codec_lz4.encode(c->level, in, block, out, block - 1);
	deflated = pl_codec_deflate.encode(c->level, in, block, out, block - 1);
	if (c->kind == CSO_1)
		return deflated;
	other = malloc(block);
	if (other)
		packed = pl_codec_lz4.encode(
			pl_codec_lz4.default_level, in, block, other,
			deflated ? PL_MIN(deflated + LZ4_MAY_COST(block), block - 1) : block - 1);
	if (!packed)
		return deflated;
	memcpy(out, other, packed);
	*ret_lz4 = true;
	return packed;
}

static int
cso_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
	   struct pl_encoded *out, struct platter_error *err)
{
	struct cso_writer *c = writer_of(w);
	PL_AUTOFREE uint8_t *padded = NULL;
	bool lz4;

	(void)offset;
	/* Readers expect a whole block, at the disc's end too. */
	if (n < w->chunk) {
		padded = calloc(1, w->chunk);
		if (!padded)
			return pl_no_memory(err);
		memcpy(padded, in, n);
		in = padded;
	}
	out->length = encode_block(c, in, out->bytes, &lz4);
	/* A last block of noise too: what a full disc takes can then be told before. */
	out->as_is = !out->length || out->length >= n || align(c, out->length) >= w->chunk;
	if (c->kind != CSO_2)
		return 0;
	out->note[NOTE_LZ4] = lz4 && !out->as_is;
	if (out->as_is) {
		memcpy(out->bytes, in, w->chunk);
		out->length = w->chunk;
		out->as_is = false;
	}
	return 0;
}

static int
write_kept(struct cso_writer *c, struct platter_error *err)
{
	uint64_t first = c->next - c->nr_kept;
	size_t n = c->nr_kept * 4;

	c->nr_kept = 0;
	return n ? pl_write(c->writer.file, c->kept, n, HEADER_BYTES + first * 4, err) : 0;
}

/* The next block is at byte `at`. */
static int
add_entry(struct cso_writer *c, uint64_t at, bool flag, struct platter_error *err)
{
	uint64_t offset = at >> c->shift;

	if (offset >= CSO_FLAG)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "the image file would pass %" PRIu64
				     " bytes, what its index can point to",
				     (uint64_t)CSO_FLAG << c->shift);
	put_le32(c->kept + 4 * c->nr_kept++, (uint32_t)offset | (flag ? CSO_FLAG : 0));
	c->next++;
	return c->nr_kept == KEPT ? write_kept(c, err) : 0;
}

static int
place_as_is(struct cso_writer *c, uint64_t length, struct platter_error *err)
{
	uint32_t block = c->writer.chunk;
	int r = 0;

	for (uint64_t done = 0; done < length && r == 0; done += block) {
		r = add_entry(c, c->frontier, true, err);
		c->frontier += block;
	}
	return r;
}

static int
cso_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	  uint64_t *ret_length, struct platter_error *err)
{
	struct cso_writer *c = writer_of(w);
	int r;

	(void)offset;
	*ret_at = c->frontier;
	*ret_length = length;
	if (!stored)
		return place_as_is(c, length, err);
	r = add_entry(c, c->frontier, false, err);
	c->frontier += align(c, stored);
	return r;
}

/* Of version 2: a block that takes all its bytes is stored as it is. */
static int
cso_place_chunk(struct pl_writer *w, uint64_t offset, const struct pl_encoded *chunk,
		uint64_t *ret_at, struct platter_error *err)
{
	struct cso_writer *c = writer_of(w);
	int r = add_entry(c, c->frontier, chunk->note[NOTE_LZ4], err);

	(void)offset;
	*ret_at = c->frontier;
	c->frontier += align(c, chunk->length);
	return r;
}

/* `nr` blocks of zeros, of which one piece of the file holds as many as fit. */
static int
cso_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	struct cso_writer *c = writer_of(w);
	uint64_t nr = pl_div_round_up(length, w->chunk), step = align(c, c->zero_length), many;
	PL_AUTOFREE uint8_t *piece = NULL;
	int r = 0;

	(void)offset, (void)kind;
	many = PL_MIN(nr, PL_MAX(ZERO_PIECE / step, (uint64_t)1));
	piece = calloc((size_t)many, (size_t)step);
	if (!piece)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < many; i++)
		memcpy(piece + i * step, c->zero, c->zero_length);
	for (uint64_t n; nr && r == 0; nr -= n) {
		n = PL_MIN(nr, many);
		r = pl_write(w->file, piece, (size_t)(n * step), c->frontier, err);
		for (uint64_t i = 0; i < n && r == 0; i++) {
			r = add_entry(c, c->frontier, c->zero_flag, err);
			c->frontier += step;
		}
	}
	return r;
}

static int
cso_finish(struct pl_writer *w, struct platter_error *err)
{
	struct cso_writer *c = writer_of(w);
	uint8_t h[HEADER_BYTES] = { 0 };
	int r = add_entry(c, c->frontier, false, err);

	if (r == 0)
		r = write_kept(c, err);
	if (r == 0)
		r = pl_resize(w->file, c->frontier, err);
	if (r < 0)
		return r;
	memcpy(h, c->kind == ZSO ? "ZISO" : "CISO", 4);
	put_le32(h + HEADER_SIZE, HEADER_BYTES);
	put_le64(h + DISC_SIZE, pl_round_up(w->size, CSO_SECTOR));
	put_le32(h + BLOCK_SIZE, w->chunk);
	h[VERSION] = c->kind == CSO_2 ? 2 : 1;
	h[SHIFT] = (uint8_t)c->shift;
	return pl_write(w->file, h, sizeof h, 0, err);
}

static void
cso_writer_free(struct pl_writer *w)
{
	struct cso_writer *c = writer_of(w);

	free(c->kept);
	free(c->zero);
	free(c);
}

static const struct pl_writer_ops writer_ops = {
	.encode = cso_encode,
	.place = cso_place,
	.skip = cso_skip,
	.finish = cso_finish,
	.free = cso_writer_free,
};

/* Which of two codecs has encoded a block is known only when it is placed. */
static const struct pl_writer_ops version_2_ops = {
	.encode = cso_encode,
	.place_chunk = cso_place_chunk,
	.skip = cso_skip,
	.finish = cso_finish,
	.free = cso_writer_free,
};

static int
read_block_size(const struct pl_create_request *request, uint32_t *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, "block_size");
	uint64_t n = CSO_SECTOR;

	if (text && (pl_parse_size(text, &n) < 0 || !pl_is_power_of_two(n) || n < CSO_SECTOR ||
		     n > MAX_NEW_BLOCK))
		return pl_invalid(err,
				  "option block_size=%s: allowed is a power of two from 2K to 128K",
				  text);
	*ret = (uint32_t)n;
	return 0;
}

static int
read_version(const struct pl_create_request *request, enum pl_cso_kind *kind,
	     struct platter_error *err)
{
	const char *text = pl_create_option(request, "version");

	if (*kind == ZSO || !text || strcmp(text, "1") == 0)
		return 0;
	if (strcmp(text, "2") != 0)
		return pl_invalid(err, "option version=%s: allowed is 1 or 2", text);
	*kind = CSO_2;
	return 0;
}

static int
read_level(const struct pl_create_request *request, enum pl_cso_kind kind, int *ret,
	   struct platter_error *err)
{
	const struct pl_codec *codec = kind == ZSO ? &pl_codec_lz4 : &pl_codec_deflate;
	const char *name = kind == ZSO ? "lz4" : "zlib";

	*ret = kind == ZSO ? codec->default_level : DEFAULT_LEVEL;
	if (request->codec && *request->codec && strcmp(request->codec, name) != 0)
		return pl_invalid(err, "compression '%s': %s has only %s", request->codec,
				  kind == ZSO ? "zso" : "cso", name);
	if (request->codec && request->level != INT_MIN)
		*ret = request->level;
	if (*ret < codec->min_level || *ret > codec->max_level)
		return pl_invalid(err, "compression level %d: %s has %d to %d", *ret, name,
				  codec->min_level, codec->max_level);
	return 0;
}

/* The index precedes what it tells of: the size has to be known, and the file to be rewritten. */
static int
check_target(const struct pl_create_request *request, const char *name, struct platter_error *err)
{
	bool to = request->file->sequential;
	int r;

	if (!to && request->size != UINT64_MAX)
		return 0;
	r = pl_unsupported(err, PLATTER_NO_OFFSET,
			   "a %s image cannot be %s a stream: its index comes first", name,
			   to ? "written to" : "made of");
	pl_hint(err, to ? "write it to a file, or write a raw image"
			: "store the stream as a raw image and convert that");
	return r;
}

/* The smallest shift by which the file can be pointed to, were nothing compressed. */
static int
choose_shift(struct cso_writer *c, uint64_t size, const char *name, struct platter_error *err)
{
	uint64_t block = c->writer.chunk;
	uint64_t most = pl_round_down((uint64_t)CSO_FLAG << MAX_NEW_SHIFT, block) / (block + 4);

	c->nr_blocks = pl_div_round_up(size, block);
	if (c->nr_blocks >= most)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit of %s is %" PRIu64, size,
				     name, (most - 1) * block);
	c->frontier = HEADER_BYTES + (c->nr_blocks + 1) * 4;
	while ((align(c, c->frontier) + c->nr_blocks * block) >> c->shift >= CSO_FLAG)
		c->shift++;
	c->frontier = align(c, c->frontier);
	return 0;
}

static int
make_zero(struct cso_writer *c, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *block = calloc(1, c->writer.chunk);
	bool lz4 = false;

	c->zero = malloc(c->writer.encoded_max);
	c->kept = malloc(KEPT * 4);
	if (!block || !c->zero || !c->kept)
		return pl_no_memory(err);
	c->zero_length = encode_block(c, block, c->zero, &lz4);
	if (!c->zero_length)
		return pl_no_memory(err);
	c->zero_flag = c->kind == CSO_2 && lz4;
	/* The alignment may make it as large as one that is not encoded, and be taken for that. */
	if (align(c, c->zero_length) >= c->writer.chunk) {
		memset(c->zero, 0, c->writer.chunk);
		c->zero_length = c->writer.chunk;
		c->zero_flag = c->kind != CSO_2;
	}
	return 0;
}

static int
prepare(struct cso_writer *c, const struct pl_create_request *request, struct platter_error *err)
{
	const char *name = c->kind == ZSO ? "ZSO" : "CSO";
	uint32_t block = 0;
	int r = check_target(request, name, err);

	if (r == 0)
		r = read_version(request, &c->kind, err);
	if (r == 0)
		r = read_block_size(request, &block, err);
	if (r == 0)
		r = read_level(request, c->kind, &c->level, err);
	if (r < 0)
		return r;
	c->writer = (struct pl_writer){ .ops = c->kind == CSO_2 ? &version_2_ops : &writer_ops,
					.file = request->file,
					.size = request->size,
					.chunk = block,
					.encoded_max = block };
	r = choose_shift(c, request->size, name, err);
	if (r == 0)
		r = make_zero(c, err);
	/* What an earlier run left is of no use: its index is not known to be whole. */
	if (r == 0)
		r = pl_resize(request->file, 0, err);
	return r;
}

static int
create_as(enum pl_cso_kind kind, const struct pl_create_request *request, struct pl_writer **ret,
	  struct platter_error *err)
{
	struct cso_writer *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	c->kind = kind;
	r = prepare(c, request, err);
	if (r < 0) {
		cso_writer_free(&c->writer);
		return r;
	}
	*ret = &c->writer;
	return 0;
}

int
pl_cso_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	return create_as(CSO_1, request, ret, err);
}

int
pl_zso_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	return create_as(ZSO, request, ret, err);
}

#define OPTION_BLOCK_SIZE                                                                  \
	{                                                                                  \
		"block_size", "2K..128K", "a power of two; 2K, all that consoles can read" \
	}

const struct platter_option_info pl_cso_options[] = {
	{ "version", "1|2", "2: each block by deflate or LZ4; 1" },
	OPTION_BLOCK_SIZE,
	{ 0 },
};
const struct platter_option_info pl_zso_options[] = { OPTION_BLOCK_SIZE, { 0 } };
