/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new VHD images, produced front to back
 *
 *	fixed		data | footer
 *	dynamic		footer's copy | header | parent's paths | block table | blocks | footer
 *
 * The table of a stream, whose size is known only at its end, comes after the blocks.  The
 * bitmap of a block stands right before its data, and the data at a multiple of 4096 bytes,
 * where it can be written and read without detours.  All bits of a bitmap are set: parts of
 * a block that are zero are holes of the file.
 */
#include <time.h>

#include "blocks.h"
#include "parent.h"
#include "text.h"
#include "vhd.h"

#define BLOCK_SIZE  ((uint32_t)MIB(2))
#define BITMAP_SIZE 512u
#define BLOCK_LEAD  4096u
#define CHUNK       ((uint32_t)KIB(64))
#define FIRST_PATH  (VHD_FOOTER_SIZE + VHD_HEADER_SIZE)

const struct platter_option_info pl_vhd_options[] = {
	{ "subformat", "dynamic|fixed", "allocate blocks as they are used, or all; dynamic" },
	{ "force_size", "on|off",
	  "keep the exact size, or round it up to a geometry for Virtual PC; on" },
	{ "azure", "on|off", "as Azure takes it: fixed, zeros up to a whole number of MiB; off" },
	{ "backing_file", "PATH", "VHD that holds what this one does not; none" },
	{ 0 },
};

struct vhd_writer {
	struct pl_writer writer;
	struct vhd_footer footer;
	bool exact, azure;

	struct pl_block_writer blocks;
	uint64_t first_block; /* where the first block's data goes */
	uint64_t table_offset;

	/* Of a differencing disk. */
	struct vhd_footer parent;
	uint64_t parent_size;
	struct pl_parent_paths paths;
};

static struct vhd_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct vhd_writer, writer);
}

/* The smallest size that geometry can say exactly; the same if there is none. */
static uint64_t
round_to_geometry(uint64_t size)
{
	struct vhd_footer f;

	for (uint64_t sectors = size / 512; sectors < VHD_MAX_CHS; sectors++) {
		pl_vhd_geometry(sectors * 512, &f);
		if (vhd_chs_size(&f) >= size)
			return vhd_chs_size(&f);
	}
	return size;
}

/* Bytes of the disk that the image says it has, for `size` bytes of data. */
static int
image_size(const struct vhd_writer *v, uint64_t size, uint64_t *ret, struct platter_error *err)
{
	int r;

	size = pl_round_up(size, v->azure ? MIB(1) : 512);
	if (!v->exact)
		size = round_to_geometry(size);
	if (size > VHD_MAX_SIZE) {
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "disk of %" PRIu64 " bytes, a VHD holds at most %" PRIu64, size,
				  (uint64_t)VHD_MAX_SIZE);
		pl_hint(err, "make a VHDX, which holds 64 TiB");
		return r;
	}
	*ret = size;
	return 0;
}

/* Fixed disks. */

static int
fixed_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	    uint64_t *ret_length, struct platter_error *err)
{
	*ret_at = offset;
	*ret_length = length;
	return 0;
}

static int
fixed_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	   struct platter_error *err)
{
	return 0;
}

/* Write the footer at byte `at` and, if `copy`, at the start too. */
static int
write_footer(struct vhd_writer *v, uint64_t size, uint64_t at, bool copy, struct platter_error *err)
{
	uint8_t bytes[VHD_FOOTER_SIZE];
	int r;

	v->footer.original_size = v->footer.current_size = size;
	pl_vhd_geometry(size, &v->footer);
	pl_vhd_footer_encode(&v->footer, bytes);
	r = pl_write(v->writer.file, bytes, sizeof bytes, at, err);
	if (r == 0 && copy)
		r = pl_write(v->writer.file, bytes, sizeof bytes, 0, err);
	return r;
}

static int
fixed_finish(struct pl_writer *w, struct platter_error *err)
{
	struct vhd_writer *v = writer_of(w);
	uint64_t size;
	int r = image_size(v, w->size, &size, err);

	if (r == 0)
		r = pl_resize(w->file, size, err);
	return r < 0 ? r : write_footer(v, size, size, false, err);
}

/* Dynamic and differencing disks. */

static int
dynamic_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
	      uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct vhd_writer *v = writer_of(w);

	return pl_block_writer_place(&v->blocks, offset, length, ret_at, ret_length, err);
}

static int
dynamic_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	     struct platter_error *err)
{
	struct vhd_writer *v = writer_of(w);
	int r = 0;

	if (kind == PLATTER_HOLE || offset >= v->parent_size)
		return 0;
	/* Zeros hide what the parent has there: blocks that are never written read as such. */
	length = PL_MIN(length, v->parent_size - offset);
	while (length && r == 0) {
		uint64_t at, n;

		r = dynamic_place(w, offset, length, 0, &at, &n, err);
		if (r == 0) {
			offset += n;
			length -= n;
		}
	}
	return r;
}

static void
put_entry(const struct pl_block_writer *b, uint64_t place, uint8_t *entry)
{
	put_be32(entry, place ? (uint32_t)((place - BITMAP_SIZE) / 512) : VHD_NO_BLOCK);
}

static int
put_parent(struct vhd_writer *v, uint8_t *header, struct platter_error *err)
{
	struct pl_str stored = { 0 };
	int r = pl_vhd_put_parent(&v->parent, &v->paths, FIRST_PATH, header, &stored, err);

	if (r == 0)
		r = pl_write(v->writer.file, stored.text, stored.length, FIRST_PATH, err);
	pl_str_done(&stored);
	return r;
}

static int
write_header(struct vhd_writer *v, uint64_t nr_blocks, struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE] = { 0 };
	int r;

	memcpy(b, "cxsparse", 8);
	put_be64(b + 8, UINT64_MAX);
	put_be64(b + VHD_TABLE_OFFSET, v->table_offset);
	put_be32(b + VHD_HEADER_VERSION, VHD_VERSION_1);
	put_be32(b + VHD_MAX_ENTRIES, (uint32_t)nr_blocks);
	put_be32(b + VHD_BLOCK_SIZE, BLOCK_SIZE);
	if (v->footer.type == VHD_DIFFERENCING) {
		r = put_parent(v, b, err);
		if (r < 0)
			return r;
	}
	put_be32(b + VHD_HEADER_CHECKSUM, pl_vhd_checksum(b, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM));
	return pl_write(v->writer.file, b, sizeof b, VHD_FOOTER_SIZE, err);
}

/* Bytes of the table for a disk of `size`: whole sectors. */
static uint64_t
table_bytes(uint64_t size)
{
	return pl_round_up(pl_div_round_up(size, BLOCK_SIZE) * 4, 512);
}

/*
 * Write the bitmaps of all blocks.  Not when they are begun: then each would wait for the data
 * that another thread is writing to the file.
 */
static int
write_bitmaps(struct vhd_writer *v, struct platter_error *err)
{
	uint8_t bits[BITMAP_SIZE];
	int r = 0;

	memset(bits, 0xff, sizeof bits);
	for (uint64_t i = 0; r == 0 && i < v->blocks.nr_begun; i++)
		r = pl_write(v->writer.file, bits, sizeof bits,
			     v->first_block + i * (BLOCK_LEAD + BLOCK_SIZE) - BITMAP_SIZE, err);
	return r;
}

static int
dynamic_finish(struct pl_writer *w, struct platter_error *err)
{
	struct vhd_writer *v = writer_of(w);
	uint64_t size, end = v->blocks.frontier;
	int r = image_size(v, w->size, &size, err);

	if (r < 0)
		return r;
	if (!v->table_offset) {
		v->table_offset = end;
		end += table_bytes(size);
	}
	r = pl_resize(w->file, end, err);
	if (r == 0)
		r = write_bitmaps(v, err);
	if (r == 0)
		r = pl_block_writer_store(&v->blocks, w->file, v->table_offset,
					  table_bytes(size) / 4, 4, put_entry, err);
	if (r == 0)
		r = write_header(v, pl_div_round_up(size, BLOCK_SIZE), err);
	return r < 0 ? r : write_footer(v, size, end, true, err);
}

static void
vhd_writer_free(struct pl_writer *w)
{
	struct vhd_writer *v = writer_of(w);

	pl_block_writer_done(&v->blocks);
	pl_parent_paths_done(&v->paths);
	free(v);
}

static const struct pl_writer_ops fixed_ops = {
	.place = fixed_place,
	.skip = fixed_skip,
	.finish = fixed_finish,
	.free = vhd_writer_free,
};

static const struct pl_writer_ops dynamic_ops = {
	.place = dynamic_place,
	.skip = dynamic_skip,
	.finish = dynamic_finish,
	.free = vhd_writer_free,
};

/* Options. */

static int
read_switch(const struct pl_create_request *request, const char *key, bool *ret,
	    struct platter_error *err)
{
	const char *text = pl_create_option(request, key);

	if (!text)
		return 0;
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return pl_invalid(err, "option %s=%s: allowed is on or off", key, text);
	*ret = text[1] == 'n';
	return 0;
}

static int
read_backing(struct vhd_writer *v, const struct pl_create_request *request,
	     struct platter_error *err)
{
	const char *name = pl_create_option(request, "backing_file");
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	int r;

	if (!name || !*name)
		return 0;
	if (v->footer.type == VHD_FIXED)
		return pl_invalid(err, "option backing_file=%s: a fixed VHD has no parent", name);
	r = pl_parent_look(request, name, "vhd", &parent, &v->paths, err);
	if (r < 0)
		return r;
	v->parent = *pl_vhd_footer_of(parent);
	v->parent_size = parent->size;
	v->footer.type = VHD_DIFFERENCING;
	return 0;
}

static int
read_options(struct vhd_writer *v, const struct pl_create_request *request,
	     struct platter_error *err)
{
	const char *subformat = pl_create_option(request, "subformat");
	int r = read_switch(request, "azure", &v->azure, err);

	v->exact = true;
	if (r == 0)
		r = read_switch(request, "force_size", &v->exact, err);
	if (r < 0)
		return r;
	v->footer.type = v->azure ? VHD_FIXED : VHD_DYNAMIC;
	if (subformat && !strcmp(subformat, "fixed"))
		v->footer.type = VHD_FIXED;
	else if (subformat && strcmp(subformat, "dynamic") != 0)
		return pl_invalid(err, "option subformat=%s: allowed is dynamic or fixed",
				  subformat);
	else if (subformat && v->azure)
		return pl_invalid(err, "option subformat=dynamic: Azure takes fixed disks only");
	if (v->azure && !v->exact)
		return pl_invalid(err, "option force_size=off: Azure takes whole MiB only");
	return read_backing(v, request, err);
}

/* Where things go in the file. */
static void
lay_out(struct vhd_writer *v, uint64_t size)
{
	uint64_t at = FIRST_PATH;

	if (v->footer.type == VHD_FIXED) {
		v->footer.data_offset = UINT64_MAX;
		return;
	}
	v->footer.data_offset = VHD_FOOTER_SIZE;
	/* A name takes no more units of UTF-16 than bytes of UTF-8. */
	if (v->paths.relative)
		at += pl_round_up(strlen(v->paths.relative) * 2, 512);
	if (v->paths.absolute)
		at += pl_round_up(strlen(v->paths.absolute) * 2, 512);
	pl_block_writer_init(&v->blocks, BLOCK_SIZE, BLOCK_LEAD);
	if (size != UINT64_MAX) {
		v->table_offset = at;
		at += table_bytes(size);
	}
	v->blocks.frontier = pl_round_up(at, BLOCK_LEAD);
	v->blocks.limit = (uint64_t)VHD_NO_BLOCK * 512;
	v->first_block = v->blocks.frontier + BLOCK_LEAD;
}

static int
prepare(struct vhd_writer *v, const struct pl_create_request *request, struct platter_error *err)
{
	uint64_t size = request->size;
	bool fixed;
	int r = read_options(v, request, err);

	if (r == 0 && size != UINT64_MAX)
		r = image_size(v, size, &size, err);
	if (r < 0)
		return r;
	lay_out(v, size);
	if (request->like)
		memcpy(v->footer.uuid, pl_vhd_footer_of(request->like)->uuid, 16);
	else
		r = pl_new_uuid(v->footer.uuid, err);
	if (r == 0)
		r = pl_resize(request->file, 0, err);
	if (r < 0)
		return r;
	v->footer.features = 2;
	v->footer.timestamp = (uint32_t)(time(NULL) - VHD_EPOCH);
	/* In whose name every reader takes the current size, not the geometry. */
	memcpy(v->footer.creator, "win ", 5);
	v->footer.creator_version = 0x000a0000;
	memcpy(v->footer.creator_host, "Wi2k", 5);
	fixed = v->footer.type == VHD_FIXED;
	v->writer = (struct pl_writer){
		.ops = fixed ? &fixed_ops : &dynamic_ops,
		.file = request->file,
		.size = request->size,
		/* Blocks of a differencing disk are written whole: their bitmaps are full. */
		.chunk = v->footer.type == VHD_DIFFERENCING ? BLOCK_SIZE : CHUNK,
	};
	return 0;
}

int
pl_vhd_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	struct vhd_writer *v;
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a VHD cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	v = calloc(1, sizeof *v);
	if (!v)
		return pl_no_memory(err);
	r = prepare(v, request, err);
	if (r < 0) {
		vhd_writer_free(&v->writer);
		return r;
	}
	*ret = &v->writer;
	return 0;
}
