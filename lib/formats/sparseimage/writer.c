/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.c - new sparse images, front to back */
#include "cdsa.h"
#include "sparseimage.h"

#define CHUNK KIB(64)

/* Bands are counted as if they followed each other in a file that begins with one of nothing. */
#define FIRST_PLACE NEW_BAND

struct sparseimage_writer {
	struct pl_writer writer;
	struct pl_block_writer bands;
};

static struct sparseimage_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct sparseimage_writer, writer);
}

/* The node whose slots slot `slot` of the image is among, and *ret_in: which of them it is. */
static uint64_t
node_of(uint64_t slot, uint32_t *ret_in)
{
	uint64_t node = slot < HEADER_SLOTS ? 0 : 1 + (slot - HEADER_SLOTS) / NODE_SLOTS;

	*ret_in = (uint32_t)(node ? (slot - HEADER_SLOTS) % NODE_SLOTS : slot);
	return node;
}

static uint64_t
node_at(uint64_t node)
{
	if (!node)
		return 0;
	return NODE_SIZE + (uint64_t)HEADER_SLOTS * NEW_BAND +
	       (node - 1) * (NODE_SIZE + (uint64_t)NODE_SLOTS * NEW_BAND);
}

/* Where in the file what is at `place` really is, and *ret_length: how far, up to the next node. */
static uint64_t
real_place(uint64_t place, uint64_t *ret_length)
{
	uint64_t slot = (place - FIRST_PLACE) / NEW_BAND, node, in_band = place % NEW_BAND;
	uint32_t in;

	node = node_of(slot, &in);
	*ret_length = (uint64_t)((node ? NODE_SLOTS : HEADER_SLOTS) - in) * NEW_BAND - in_band;
	return node_at(node) + NODE_SIZE + (uint64_t)in * NEW_BAND + in_band;
}

static int
sparseimage_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
		  uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct sparseimage_writer *s = writer_of(w);
	uint64_t place, most;
	int r;

	(void)stored;
	/* Not so much at once that its end would be placed twice. */
	length = PL_MIN(length, (uint64_t)NODE_SLOTS * NEW_BAND);
	if (pl_div_round_up(offset + length, NEW_BAND) > MAX_BANDS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "the disk passes %" PRIu64
				     " bytes, the limit of sparse images",
				     (uint64_t)MAX_BANDS * NEW_BAND);
	r = pl_block_writer_place(&s->bands, offset, length, &place, ret_length, err);
	if (r < 0)
		return r;
	*ret_at = real_place(place, &most);
	*ret_length = PL_MIN(*ret_length, most);
	return 0;
}

/* What is in no band reads as zeros. */
static int
sparseimage_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
		 struct platter_error *err)
{
	return 0;
}

static void
begin_node(const struct sparseimage_writer *s, uint64_t node, uint64_t nr_nodes, uint8_t *ret)
{
	uint64_t next = node + 1 < nr_nodes ? node_at(node + 1) : 0;
	uint64_t sectors = pl_div_round_up(s->writer.size, SECTOR);

	memset(ret, 0, NODE_SIZE);
	memcpy(ret, MAGIC, MAGIC_SIZE);
	if (node) {
		put_be32(ret + NODE_NUMBER, (uint32_t)node);
		put_be32(ret + NODE_FLAGS, THIS_FLAGS);
		put_be64(ret + NODE_NEXT, next);
		return;
	}
	put_be32(ret + VERSION, THIS_VERSION);
	put_be32(ret + BAND_SECTORS, NEW_BAND / SECTOR);
	put_be32(ret + FLAGS, THIS_FLAGS);
	put_be32(ret + SECTORS_LOW, (uint32_t)sectors);
	put_be64(ret + HEADER_NEXT, next);
	put_be64(ret + SECTORS, sectors);
}

/* The nodes, filled from the runs, which are in the order of the slots. */
static int
write_nodes(const struct sparseimage_writer *s, struct platter_error *err)
{
	uint64_t nr = s->bands.nr_begun, nr_nodes, done = 0;
	uint8_t node[NODE_SIZE];
	uint32_t in;
	int r = 0;

	nr_nodes = nr ? node_of(nr - 1, &in) + 1 : 1;
	begin_node(s, 0, nr_nodes, node);
	for (size_t i = 0; i < s->bands.nr_runs && r == 0; i++) {
		const struct pl_block_run *run = &s->bands.runs[i];

		for (uint64_t k = 0; k < run->nr && r == 0; k++) {
			uint64_t of = node_of((run->place - FIRST_PLACE) / NEW_BAND + k, &in);

			if (of != done) {
				r = pl_write(s->writer.file, node, sizeof node, node_at(done), err);
				begin_node(s, of, nr_nodes, node);
				done = of;
			}
			put_be32(node + (of ? NODE_IDS : HEADER_IDS) + 4 * in,
				 (uint32_t)(run->first + k + 1));
		}
	}
	return r == 0 ? pl_write(s->writer.file, node, sizeof node, node_at(done), err) : r;
}

static int
sparseimage_finish(struct pl_writer *w, struct platter_error *err)
{
	struct sparseimage_writer *s = writer_of(w);
	uint64_t end = NODE_SIZE, length;
	int r;

	if (pl_div_round_up(w->size, NEW_BAND) > MAX_BANDS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit is %" PRIu64, w->size,
				     (uint64_t)MAX_BANDS * NEW_BAND);
	if (s->bands.nr_begun)
		end = real_place(s->bands.frontier - NEW_BAND, &length) + NEW_BAND;
	r = pl_resize(w->file, end, err);
	return r == 0 ? write_nodes(s, err) : r;
}

static void
sparseimage_writer_free(struct pl_writer *w)
{
	struct sparseimage_writer *s = writer_of(w);

	pl_block_writer_done(&s->bands);
	free(s);
}

static const struct pl_writer_ops writer_ops = {
	.place = sparseimage_place,
	.skip = sparseimage_skip,
	.finish = sparseimage_finish,
	.free = sparseimage_writer_free,
};

static int
check_target(const struct pl_create_request *request, struct platter_error *err)
{
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"a sparse image cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	if (request->size != UINT64_MAX && pl_div_round_up(request->size, NEW_BAND) > MAX_BANDS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64
				     " bytes, limit of sparse images is %" PRIu64,
				     request->size, (uint64_t)MAX_BANDS * NEW_BAND);
	return 0;
}

int
pl_sparseimage_create(const struct pl_create_request *request, struct pl_writer **ret,
		      struct platter_error *err)
{
	struct sparseimage_writer *s;
	int r = check_target(request, err);

	if (r < 0)
		return r;
	s = calloc(1, sizeof *s);
	if (!s)
		return pl_no_memory(err);
	s->writer = (struct pl_writer){ .ops = &writer_ops,
					.file = request->file,
					.size = request->size,
					/* Nothing may be left between what is written. */
					.chunk = request->dense ? NEW_BAND : CHUNK };
	pl_block_writer_init(&s->bands, NEW_BAND, 0);
	s->bands.frontier = FIRST_PLACE;
	/* What an earlier run left is of no use: only the nodes would tell what it is. */
	r = pl_resize(request->file, 0, err);
	if (r < 0) {
		sparseimage_writer_free(&s->writer);
		return r;
	}
	*ret = &s->writer;
	return 0;
}

const struct platter_option_info pl_sparseimage_options[] = { CDSA_OPTION, { 0 } };
