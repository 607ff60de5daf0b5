/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.c - new VDI images, front to back */
#include "parent.h"
#include "vdi.h"

/* As VirtualBox has it: its tools and what the disk is stored on want data aligned. */
#define NEW_BLOCK_SIZE  (1u << 20)
#define NEW_HEADER_SIZE 400u
#define CHUNK           KIB(64)
/* QEMU's limit, which is 1 PiB. */
#define MAX_NEW_BLOCKS 0x3fffffffu
/* Room for the map of a stream: 4 TiB, most of which stays a hole. */
#define STREAM_BLOCKS (4u << 20)

struct vdi_writer {
	struct pl_writer writer;
	struct pl_block_writer blocks;
	bool fixed;
	uint64_t data_offset;
	uint64_t max_blocks; /* that the room for the map allows */

	uint8_t uuid[16], modification[16]; /* zero: to be made */

	/* Of a differencing image. */
	uint8_t parent_uuid[16], parent_modification[16];
	uint64_t parent_size;
};

static bool
is_child(const struct vdi_writer *v)
{
	return !pl_is_zero(v->parent_uuid, 16);
}

static struct vdi_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct vdi_writer, writer);
}

static int
vdi_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	  uint64_t *ret_length, struct platter_error *err)
{
	struct vdi_writer *v = writer_of(w);

	if (pl_div_round_up(offset + length, NEW_BLOCK_SIZE) > v->max_blocks) {
		int r = pl_over_limit(err, PLATTER_NO_OFFSET,
				      "the disk passes %" PRIu64 " bytes, what a VDI image of a"
				      " stream has room for",
				      v->max_blocks * NEW_BLOCK_SIZE);

		pl_hint(err, "store the stream as a raw image and convert that");
		return r;
	}
	return pl_block_writer_place(&v->blocks, offset, length, ret_at, ret_length, err);
}

/* A fixed image stores zeros too; the file is a hole there. */
static int
vdi_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	uint64_t at, n;
	int r = 0;

	/* Zeros hide what the parent has there. */
	if (kind != PLATTER_HOLE && offset < writer_of(w)->parent_size)
		return pl_block_writer_mark_zero(&writer_of(w)->blocks, offset,
						 PL_MIN(length, writer_of(w)->parent_size - offset),
						 err);
	for (; writer_of(w)->fixed && length && r == 0; offset += n, length -= n)
		r = vdi_place(w, offset, length, 0, &at, &n, err);
	return r;
}

static void
put_entry(const struct pl_block_writer *b, uint64_t place, uint8_t *entry)
{
	const struct vdi_writer *v =
		(const void *)((const char *)b - offsetof(struct vdi_writer, blocks));

	if (place == PL_BLOCK_ZERO)
		put_le32(entry, DISCARDED);
	else
		put_le32(entry,
			 place ? (uint32_t)((place - v->data_offset) / NEW_BLOCK_SIZE) : ABSENT);
}

static int
build_header(const struct vdi_writer *v, uint64_t size, uint64_t nr,
	     uint8_t ret[static HEADER_BYTES], struct platter_error *err)
{
	int r;

	memset(ret, 0, HEADER_BYTES);
	strcpy((char *)ret, "<<< Oracle VM VirtualBox Disk Image >>>\n");
	put_le32(ret + TEXT_SIGNATURE, SIGNATURE);
	put_le32(ret + VERSION, THIS_VERSION);
	put_le32(ret + HEADER_SIZE, NEW_HEADER_SIZE);
	put_le32(ret + TYPE, v->fixed      ? TYPE_FIXED
			     : is_child(v) ? TYPE_DIFFERENCING
					   : TYPE_DYNAMIC);
	memcpy(ret + PARENT_UUID, v->parent_uuid, 16);
	memcpy(ret + PARENT_MODIFICATION, v->parent_modification, 16);
	put_le32(ret + MAP_OFFSET, NEW_BLOCK_SIZE);
	put_le32(ret + DATA_OFFSET, (uint32_t)v->data_offset);
	put_le32(ret + SECTOR_SIZE, 512);
	put_le64(ret + SIZE, size);
	put_le32(ret + BLOCK_SIZE, NEW_BLOCK_SIZE);
	put_le32(ret + NR_BLOCKS, (uint32_t)nr);
	put_le32(ret + NR_ALLOCATED, (uint32_t)v->blocks.nr_begun);
	if (!pl_is_zero(v->uuid, 16)) {
		memcpy(ret + UUID, v->uuid, 16);
		memcpy(ret + MODIFICATION, v->modification, 16);
		return 0;
	}
	r = pl_new_guid(ret + UUID, err);
	return r < 0 ? r : pl_new_guid(ret + MODIFICATION, err);
}

static int
vdi_finish(struct pl_writer *w, struct platter_error *err)
{
	struct vdi_writer *v = writer_of(w);
	uint64_t size = pl_round_up(w->size, 512), nr = pl_div_round_up(size, NEW_BLOCK_SIZE);
	uint8_t header[HEADER_BYTES];
	int r;

	if (nr > v->max_blocks)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit is %" PRIu64, size,
				     v->max_blocks * NEW_BLOCK_SIZE);
	r = build_header(v, size, nr, header, err);
	if (r == 0)
		r = pl_resize(w->file, v->blocks.frontier, err);
	if (r == 0)
		r = pl_block_writer_store(&v->blocks, w->file, NEW_BLOCK_SIZE, nr, 4, put_entry,
					  err);
	if (r == 0)
		r = pl_write(w->file, header, sizeof header, 0, err);
	return r;
}

static void
vdi_writer_free(struct pl_writer *w)
{
	struct vdi_writer *v = writer_of(w);

	pl_block_writer_done(&v->blocks);
	free(v);
}

static const struct pl_writer_ops writer_ops = {
	.place = vdi_place,
	.skip = vdi_skip,
	.finish = vdi_finish,
	.free = vdi_writer_free,
};

static int
read_static(const struct pl_create_request *request, bool *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, "static");

	if (text && strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return pl_invalid(err, "option static=%s: allowed is on or off", text);
	*ret = text && text[1] == 'n';
	return 0;
}

/* VirtualBox knows a parent by its UUID alone: no path is stored. */
static int
read_backing(struct vdi_writer *v, const struct pl_create_request *request,
	     struct platter_error *err)
{
	const char *name = pl_create_option(request, "backing_file");
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	struct pl_parent_paths paths;
	const uint8_t *h;
	int r;

	if (!name || !*name)
		return 0;
	if (v->fixed)
		return pl_invalid(err, "option backing_file=%s: a fixed VDI has no parent", name);
	r = pl_parent_look(request, name, "vdi", &parent, &paths, err);
	if (r < 0)
		return r;
	pl_parent_paths_done(&paths);
	h = vdi_of(parent)->header;
	if (pl_is_zero(h + UUID, 16))
		return pl_invalid(err, "backing file '%s' has no UUID to be known by", name);
	memcpy(v->parent_uuid, h + UUID, 16);
	memcpy(v->parent_modification, h + MODIFICATION, 16);
	v->parent_size = parent->size;
	/* A block of a differencing image is all its own, or all zeros. */
	v->writer.chunk = NEW_BLOCK_SIZE;
	return 0;
}

int
pl_vdi_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	uint64_t nr = STREAM_BLOCKS;
	struct vdi_writer *v;
	bool fixed;
	int r = read_static(request, &fixed, err);

	if (r < 0)
		return r;
	if (request->file->sequential) {
		r = pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"a VDI image cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	if (request->size != UINT64_MAX)
		nr = pl_div_round_up(request->size, NEW_BLOCK_SIZE);
	if (nr > MAX_NEW_BLOCKS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit of VDI is %" PRIu64,
				     request->size, (uint64_t)MAX_NEW_BLOCKS * NEW_BLOCK_SIZE);
	v = calloc(1, sizeof *v);
	if (!v)
		return pl_no_memory(err);
	v->writer = (struct pl_writer){
		.ops = &writer_ops, .file = request->file, .size = request->size, .chunk = CHUNK
	};
	v->fixed = fixed;
	v->max_blocks = nr;
	v->data_offset = pl_round_up(NEW_BLOCK_SIZE + nr * 4, NEW_BLOCK_SIZE);
	if (request->like) {
		memcpy(v->uuid, vdi_of(request->like)->header + UUID, 16);
		memcpy(v->modification, vdi_of(request->like)->header + MODIFICATION, 16);
	}
	r = read_backing(v, request, err);
	if (r < 0) {
		free(v);
		return r;
	}
	pl_block_writer_init(&v->blocks, NEW_BLOCK_SIZE, 0);
	v->blocks.frontier = v->data_offset;
	/* What an earlier run left is of no use: only the map would tell what it is. */
	r = pl_resize(request->file, 0, err);
	if (r < 0) {
		vdi_writer_free(&v->writer);
		return r;
	}
	*ret = &v->writer;
	return 0;
}

const struct platter_option_info pl_vdi_options[] = {
	{ "static", "on|off", "a fixed image: blocks in the order of the disk, all of them; off" },
	{ "backing_file", "PATH", "VDI that holds what this one does not; none" },
	{ 0 },
};
