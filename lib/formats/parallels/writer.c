/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.c - new Parallels images, front to back */
#include "parallels.h"
#include "text.h"

#define NEW_CLUSTER MIB(1)
#define MIN_CLUSTER KIB(4)
#define MAX_CLUSTER MIB(256)
#define MAX_CHUNK   KIB(64)
/* QEMU's limit. */
#define MAX_NEW_ENTRIES 0x1fffffffu
/* Room for the table of a stream: 4 TiB of clusters of 1 MiB; most of it stays a hole. */
#define STREAM_ENTRIES (4u << 20)

struct parallels_writer {
	struct pl_writer writer;
	struct pl_block_writer clusters;
	uint64_t data_offset;
	uint64_t max_clusters; /* that the room for the table allows */
};

static struct parallels_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct parallels_writer, writer);
}

static int
over_room(const struct parallels_writer *p, struct platter_error *err)
{
	int r = pl_over_limit(err, PLATTER_NO_OFFSET,
			      "the disk passes %" PRIu64
			      " bytes, what a Parallels image of a stream has room for",
			      p->max_clusters * p->clusters.block_size);

	pl_hint(err, "store the stream as a raw image and convert that");
	return r;
}

static int
parallels_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
		uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct parallels_writer *p = writer_of(w);

	if (pl_div_round_up(offset + length, p->clusters.block_size) > p->max_clusters)
		return over_room(p, err);
	return pl_block_writer_place(&p->clusters, offset, length, ret_at, ret_length, err);
}

/* What is in no cluster reads as zeros. */
static int
parallels_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	       struct platter_error *err)
{
	return 0;
}

static void
put_entry(const struct pl_block_writer *b, uint64_t place, uint8_t *entry)
{
	put_le32(entry, (uint32_t)(place / b->block_size));
}

static int
parallels_finish(struct pl_writer *w, struct platter_error *err)
{
	struct parallels_writer *p = writer_of(w);
	uint64_t sectors = pl_div_round_up(w->size, SECTOR);
	uint64_t nr = pl_div_round_up(w->size, p->clusters.block_size);
	uint8_t h[HEADER_SIZE] = { 0 };
	int r;

	if (nr > p->max_clusters)
		return over_room(p, err);
	memcpy(h, NEW_MAGIC, MAGIC_SIZE);
	put_le32(h + VERSION, 2);
	put_le32(h + HEADS, 16);
	put_le32(h + CYLINDERS, (uint32_t)PL_MIN(sectors / (16 * 32), UINT32_MAX));
	put_le32(h + CLUSTER_SECTORS, p->clusters.block_size / SECTOR);
	put_le32(h + NR_ENTRIES, (uint32_t)nr);
	put_le64(h + NR_SECTORS, sectors);
	put_le32(h + STATE, CLOSED);
	put_le32(h + DATA_OFFSET, (uint32_t)(p->data_offset / SECTOR));
	r = pl_resize(w->file, p->clusters.frontier, err);
	if (r == 0)
		r = pl_block_writer_store(&p->clusters, w->file, HEADER_SIZE, nr, 4, put_entry,
					  err);
	if (r == 0)
		r = pl_write(w->file, h, sizeof h, 0, err);
	return r;
}

static void
parallels_writer_free(struct pl_writer *w)
{
	struct parallels_writer *p = writer_of(w);

	pl_block_writer_done(&p->clusters);
	free(p);
}

static const struct pl_writer_ops writer_ops = {
	.place = parallels_place,
	.skip = parallels_skip,
	.finish = parallels_finish,
	.free = parallels_writer_free,
};

static int
read_cluster_size(const struct pl_create_request *request, uint64_t *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, "cluster_size");

	*ret = NEW_CLUSTER;
	if (!text)
		return 0;
	if (pl_parse_size(text, ret) < 0 || !pl_is_power_of_two(*ret) || *ret < MIN_CLUSTER ||
	    *ret > MAX_CLUSTER)
		return pl_invalid(
			err, "option cluster_size=%s: allowed is a power of two from 4K to 256M",
			text);
	return 0;
}

static int
check_target(const struct pl_create_request *request, uint64_t cluster, struct platter_error *err)
{
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"a Parallels image cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	if (request->size != UINT64_MAX && request->size > MAX_NEW_ENTRIES * cluster) {
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "a disk of %" PRIu64 " bytes, limit is %" PRIu64
				  " with clusters of %" PRIu64,
				  request->size, MAX_NEW_ENTRIES * cluster, cluster);
		pl_hint(err, "choose a larger cluster_size, up to 256M");
		return r;
	}
	return 0;
}

int
pl_parallels_create(const struct pl_create_request *request, struct pl_writer **ret,
		    struct platter_error *err)
{
	uint64_t cluster, nr = STREAM_ENTRIES;
	struct parallels_writer *p;
	int r = read_cluster_size(request, &cluster, err);

	if (r == 0)
		r = check_target(request, cluster, err);
	if (r < 0)
		return r;
	if (request->size != UINT64_MAX)
		nr = pl_div_round_up(request->size, cluster);
	p = calloc(1, sizeof *p);
	if (!p)
		return pl_no_memory(err);
	p->writer = (struct pl_writer){ .ops = &writer_ops,
					.file = request->file,
					.size = request->size,
					.chunk = (uint32_t)PL_MIN(cluster, MAX_CHUNK) };
	p->max_clusters = nr;
	p->data_offset = pl_round_up(HEADER_SIZE + nr * 4, cluster);
	pl_block_writer_init(&p->clusters, (uint32_t)cluster, 0);
	/* What an earlier run left is of no use: only the table would tell what it is. */
	r = pl_resize(request->file, 0, err);
	if (r < 0) {
		parallels_writer_free(&p->writer);
		return r;
	}
	p->clusters.frontier = p->data_offset;
	*ret = &p->writer;
	return 0;
}

const struct platter_option_info pl_parallels_options[] = {
	{ "cluster_size", "4K..256M", "unit of allocation, a power of two; 1M" },
	{ 0 },
};
