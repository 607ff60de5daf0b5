/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new VHDX images, produced front to back
 *
 *	headers | log | metadata | block table | blocks
 *
 * The table of a stream, whose size is known only at its end, comes after the blocks.
 * Nothing of a new file needs to go through the log: until the headers are written, which is
 * last, it is no image.  Parts of a block that are zero are holes of the file.
 */
#include "blocks.h"
#include "parent.h"
#include "text.h"
#include "vhdx.h"

#define CHUNK ((uint32_t)KIB(64))
/* Up to 4 TiB a table of blocks of 2 MiB takes 16 MiB at most; beyond that, 32 MiB a block. */
#define SMALL_BLOCK ((uint32_t)MIB(2))
#define LARGE_BLOCK ((uint32_t)MIB(32))
#define LARGE_DISK  TIB(4)
/* Blocks of differencing disks are copied in one piece each, or in several of this size. */
#define MAX_WHOLE ((uint32_t)MIB(16))
/* The table is encoded in pieces of so many entries. */
#define TABLE_PIECE   32768u
#define METADATA_SIZE MIB(1)

const struct platter_option_info pl_vhdx_options[] = {
	{ "subformat", "dynamic|fixed", "allocate blocks as they are used, or all; dynamic" },
	{ "block_size", "1M..256M",
	  "unit of allocation, a power of two; 2M, from 4 TiB on and for streams 32M" },
	{ "sector_size", "512|4096", "of the disk that the guest sees; the source's" },
	{ "log_size", "1M..64M", "room for changes to the metadata, whole MiB; 1M" },
	{ "backing_file", "PATH", "VHDX that holds what this one does not; none" },
	{ 0 },
};

struct vhdx_writer {
	struct pl_writer writer;
	struct vhdx_info info; /* sizes and places as they will be */
	bool fixed;
	uint64_t first_block;          /* where the first block goes */
	struct pl_block_writer blocks; /* not of a fixed disk */

	/* Of a differencing disk. */
	uint8_t parent_guid[16];
	uint64_t parent_size;
	struct pl_parent_paths paths;
};

static struct vhdx_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct vhdx_writer, writer);
}

static int
check_size(uint64_t size, struct platter_error *err)
{
	if (size > VHDX_MAX_SIZE)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "disk of %" PRIu64 " bytes, a VHDX holds at most %" PRIu64,
				     size, (uint64_t)VHDX_MAX_SIZE);
	return 0;
}

/* Placing. */

static int
vhdx_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	   uint64_t *ret_length, struct platter_error *err)
{
	struct vhdx_writer *v = writer_of(w);

	if (!v->fixed)
		return pl_block_writer_place(&v->blocks, offset, length, ret_at, ret_length, err);
	*ret_at = v->first_block + offset;
	*ret_length = length;
	return 0;
}

/* Zeros up to `end` hide what the parent has there: whole blocks, else a part of one. */
static int
hide(struct vhdx_writer *v, uint64_t offset, uint64_t end, uint64_t *ret_length,
     struct platter_error *err)
{
	uint64_t in_block = offset % v->info.block_size, at;
	uint64_t length = end == v->writer.size ? end - offset
						: pl_round_down(end - offset, v->info.block_size);

	if (!in_block && length) {
		*ret_length = length;
		return pl_block_writer_mark_zero(&v->blocks, offset, length, err);
	}
	/* The rest of the block may hold data.  What is not written of it is zeros. */
	return pl_block_writer_place(&v->blocks, offset,
				     PL_MIN(end - offset, v->info.block_size - in_block), &at,
				     ret_length, err);
}

static int
vhdx_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	  struct platter_error *err)
{
	struct vhdx_writer *v = writer_of(w);
	uint64_t end, n;
	int r = 0;

	if (kind == PLATTER_HOLE)
		return 0;
	/* Past the parent's end is nothing to hide, but for the rest of a block. */
	end = PL_MIN(offset + length, pl_round_up(v->parent_size, v->info.block_size));
	for (; offset < end && r == 0; offset += n)
		r = hide(v, offset, end, &n, err);
	return r;
}

/* Finishing. */

/* The index-th entry of the block table. */
static uint64_t
table_entry(const struct vhdx_writer *v, uint64_t index)
{
	uint64_t group = v->info.chunk_ratio + 1u, block = index - index / group, at;

	/* No block is partly present, so there are no bitmaps. */
	if (index % group == v->info.chunk_ratio || block >= v->info.nr_blocks)
		return VHDX_NOT_PRESENT;
	if (v->fixed)
		return (v->first_block + block * v->info.block_size) | VHDX_FULLY_PRESENT;
	at = pl_block_writer_at(&v->blocks, block);
	if (at == PL_BLOCK_ZERO)
		return VHDX_ZERO;
	return at ? at | VHDX_FULLY_PRESENT : VHDX_NOT_PRESENT;
}

static int
write_table(const struct vhdx_writer *v, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = malloc(TABLE_PIECE * 8);
	int r = 0;

	if (!bytes)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < v->info.nr_entries && r == 0; i += TABLE_PIECE) {
		size_t n = (size_t)PL_MIN(TABLE_PIECE, v->info.nr_entries - i);

		for (size_t k = 0; k < n; k++)
			put_le64(bytes + k * 8, table_entry(v, i + k));
		/* The file has zeros already. */
		if (!pl_is_zero(bytes, n * 8))
			r = pl_write(v->writer.file, bytes, n * 8, v->info.bat.offset + i * 8, err);
	}
	return r;
}

/* Metadata being put together: a table and the items that follow it. */
struct metadata {
	uint8_t *bytes;
	uint32_t nr, end;
};

/* Add an item of n bytes; returns where they go. */
static uint8_t *
add_item(struct metadata *m, const uint8_t *guid, uint32_t n, uint32_t flags)
{
	uint8_t *e = m->bytes + 32 + m->nr * 32u, *item = m->bytes + m->end;

	memcpy(e, guid, 16);
	put_le32(e + 16, m->end);
	put_le32(e + 20, n);
	put_le32(e + 24, flags);
	put_le16(m->bytes + 10, (uint16_t)++m->nr);
	m->end += (uint32_t)pl_round_up(n, 8);
	return item;
}

static int
add_locator(const struct vhdx_writer *v, struct metadata *m, struct platter_error *err)
{
	uint32_t n;
	int r = pl_vhdx_locator_build(v->parent_guid, &v->paths, m->bytes + m->end,
				      (uint32_t)METADATA_SIZE - m->end, &n, err);

	if (r == 0)
		(void)add_item(m, pl_vhdx_guid_locator, n, VHDX_META_REQUIRED);
	return r;
}

static int
write_metadata(const struct vhdx_writer *v, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = calloc(1, METADATA_SIZE);
	struct metadata m = { .bytes = bytes, .end = VHDX_TABLE_SIZE };
	const uint32_t of_disk = VHDX_META_DISK | VHDX_META_REQUIRED;
	uint8_t *p;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	memcpy(bytes, "metadata", 8);
	p = add_item(&m, pl_vhdx_guid_parameters, 8, VHDX_META_REQUIRED);
	put_le32(p, v->info.block_size);
	put_le32(p + 4, v->info.flags);
	p = add_item(&m, pl_vhdx_guid_size, 8, of_disk);
	put_le64(p, v->info.size);
	p = add_item(&m, pl_vhdx_guid_id, 16, of_disk);
	memcpy(p, v->info.disk_id, 16);
	p = add_item(&m, pl_vhdx_guid_sector, 4, of_disk);
	put_le32(p, v->info.sector_size);
	p = add_item(&m, pl_vhdx_guid_physical, 4, of_disk);
	put_le32(p, v->info.physical_sector_size);
	if (v->info.flags & VHDX_HAS_PARENT) {
		r = add_locator(v, &m, err);
		if (r < 0)
			return r;
	}
	return pl_write(v->writer.file, bytes, m.end, v->info.metadata.offset, err);
}

static void
put_region(uint8_t *e, const uint8_t *guid, const struct vhdx_region *region)
{
	memcpy(e, guid, 16);
	put_le64(e + 16, region->offset);
	put_le32(e + 24, (uint32_t)region->length);
	put_le32(e + 28, 1);
}

static int
write_regions(const struct vhdx_writer *v, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = calloc(1, VHDX_TABLE_SIZE);
	int r;

	if (!table)
		return pl_no_memory(err);
	memcpy(table, "regi", 4);
	put_le32(table + 8, 2);
	put_region(table + 16, pl_vhdx_guid_bat, &v->info.bat);
	put_region(table + 48, pl_vhdx_guid_metadata, &v->info.metadata);
	put_le32(table + VHDX_CRC, pl_vhdx_crc(table, VHDX_TABLE_SIZE));
	r = pl_write(v->writer.file, table, VHDX_TABLE_SIZE, VHDX_REGIONS_1, err);
	if (r == 0)
		r = pl_write(v->writer.file, table, VHDX_TABLE_SIZE, VHDX_REGIONS_2, err);
	return r;
}

/* File identifier and both headers: from here on it is an image. */
static int
write_headers(const struct vhdx_writer *v, struct platter_error *err)
{
	static const char creator[] = "platter";
	uint8_t id[512] = { 0 }, b[VHDX_HEADER_SIZE] = { 0 };
	int r;

	memcpy(id, "vhdxfile", 8);
	for (size_t i = 0; creator[i]; i++)
		put_le16(id + 8 + i * 2, (uint8_t)creator[i]);
	memcpy(b, "head", 4);
	memcpy(b + VHDX_DATA_WRITE_GUID, v->info.header.data_write_guid, 16);
	r = pl_new_guid(b + VHDX_FILE_WRITE_GUID, err);
	if (r < 0)
		return r;
	put_le16(b + VHDX_VERSION, 1);
	put_le32(b + VHDX_LOG_LENGTH, v->info.header.log_length);
	put_le64(b + VHDX_LOG_OFFSET, v->info.header.log_offset);
	for (uint64_t i = 0; i < 2 && r == 0; i++) {
		put_le64(b + VHDX_SEQUENCE, i + 1);
		put_le32(b + VHDX_CRC, pl_vhdx_crc(b, sizeof b));
		r = pl_write(v->writer.file, b, sizeof b, i ? VHDX_HEADER_2 : VHDX_HEADER_1, err);
	}
	return r < 0 ? r : pl_write(v->writer.file, id, sizeof id, 0, err);
}

/* Fix the disk's size and what follows from it. */
static int
set_size(struct vhdx_writer *v, uint64_t size, struct platter_error *err)
{
	v->info.size = pl_round_up(size, v->info.sector_size);
	pl_vhdx_count_entries(&v->info);
	/* One entry at least, for programs that expect a table. */
	v->info.bat.length = pl_round_up(PL_MAX(v->info.nr_entries, 1) * 8, VHDX_UNIT);
	return check_size(v->info.size, err);
}

static int
vhdx_finish(struct pl_writer *w, struct platter_error *err)
{
	struct vhdx_writer *v = writer_of(w);
	uint64_t end;
	int r = set_size(v, w->size, err);

	if (r < 0)
		return r;
	end = v->fixed ? v->first_block + v->info.nr_blocks * v->info.block_size
		       : v->blocks.frontier;
	if (!v->info.bat.offset) {
		v->info.bat.offset = end;
		end += v->info.bat.length;
	}
	r = pl_resize(w->file, end, err);
	if (r == 0)
		r = write_table(v, err);
	if (r == 0)
		r = write_metadata(v, err);
	if (r == 0)
		r = write_regions(v, err);
	return r < 0 ? r : write_headers(v, err);
}

static void
vhdx_writer_free(struct pl_writer *w)
{
	struct vhdx_writer *v = writer_of(w);

	pl_block_writer_done(&v->blocks);
	pl_parent_paths_done(&v->paths);
	free(v);
}

static const struct pl_writer_ops vhdx_writer_ops = {
	.place = vhdx_place,
	.skip = vhdx_skip,
	.finish = vhdx_finish,
	.free = vhdx_writer_free,
};

/* Options. */

static int
read_size(const struct pl_create_request *request, const char *key, uint64_t min, uint64_t max,
	  uint32_t *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, key);
	uint64_t n;

	if (!text)
		return 0;
	if (pl_parse_size(text, &n) < 0 || n < min || n > max)
		return pl_invalid(err, "option %s=%s: allowed is %" PRIu64 " to %" PRIu64 " bytes",
				  key, text, min, max);
	*ret = (uint32_t)n;
	return 0;
}

static int
read_sector_size(struct vhdx_writer *v, const struct pl_create_request *request,
		 struct platter_error *err)
{
	int r;

	v->info.sector_size = request->sector_size == 4096 ? 4096 : 512;
	r = read_size(request, "sector_size", 512, 4096, &v->info.sector_size, err);
	if (r == 0 && v->info.sector_size != 512 && v->info.sector_size != 4096)
		return pl_invalid(err, "option sector_size=%" PRIu32 ": allowed is 512 or 4096",
				  v->info.sector_size);
	/* As Hyper-V has it, whatever the disks below have. */
	v->info.physical_sector_size = 4096;
	return r;
}

static int
read_backing(struct vhdx_writer *v, const struct pl_create_request *request,
	     struct platter_error *err)
{
	const char *name = pl_create_option(request, "backing_file");
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	const struct vhdx_info *info;
	int r;

	if (!name || !*name)
		return 0;
	if (v->fixed)
		return pl_invalid(err, "option backing_file=%s: a fixed VHDX has no parent", name);
	r = pl_parent_look(request, name, "vhdx", &parent, &v->paths, err);
	if (r < 0)
		return r;
	info = pl_vhdx_info_of(parent);
	if (info->sector_size != v->info.sector_size && pl_create_option(request, "sector_size"))
		return pl_invalid(err,
				  "option sector_size=%" PRIu32
				  ": the sectors of the parent have %" PRIu32 " bytes",
				  v->info.sector_size, info->sector_size);
	v->info.sector_size = info->sector_size;
	v->info.flags |= VHDX_HAS_PARENT;
	memcpy(v->parent_guid, info->header.data_write_guid, 16);
	/* The same along a chain: what a guest sees of it stays one disk. */
	memcpy(v->info.disk_id, info->disk_id, 16);
	v->parent_size = parent->size;
	return 0;
}

static int
read_block_size(struct vhdx_writer *v, const struct pl_create_request *request,
		struct platter_error *err)
{
	bool parent = v->info.flags & VHDX_HAS_PARENT;
	int r;

	v->info.block_size = !parent && request->size >= LARGE_DISK ? LARGE_BLOCK : SMALL_BLOCK;
	r = read_size(request, "block_size", MIB(1), MIB(256), &v->info.block_size, err);
	if (r == 0 && !pl_is_power_of_two(v->info.block_size))
		return pl_invalid(err, "option block_size=%" PRIu32 ": it must be a power of two",
				  v->info.block_size);
	return r;
}

static int
read_options(struct vhdx_writer *v, const struct pl_create_request *request,
	     struct platter_error *err)
{
	const char *subformat = pl_create_option(request, "subformat");
	int r;

	if (subformat && !strcmp(subformat, "fixed")) {
		v->fixed = true;
		v->info.flags |= VHDX_LEAVE_ALLOCATED;
	} else if (subformat && strcmp(subformat, "dynamic") != 0) {
		return pl_invalid(err, "option subformat=%s: allowed is dynamic or fixed",
				  subformat);
	}
	v->info.header.log_length = (uint32_t)MIB(1);
	r = read_size(request, "log_size", MIB(1), MIB(64), &v->info.header.log_length, err);
	if (r == 0 && v->info.header.log_length % VHDX_UNIT)
		r = pl_invalid(err, "option log_size=%" PRIu32 ": it must be whole MiB",
			       v->info.header.log_length);
	if (r == 0)
		r = read_sector_size(v, request, err);
	if (r == 0)
		r = read_backing(v, request, err);
	if (r == 0)
		r = read_block_size(v, request, err);
	return r;
}

/* Where things go in the file. */
static int
lay_out(struct vhdx_writer *v, uint64_t size, struct platter_error *err)
{
	uint64_t at;
	int r = 0;

	v->info.header.log_offset = VHDX_UNIT;
	v->info.metadata.offset = VHDX_UNIT + v->info.header.log_length;
	v->info.metadata.length = METADATA_SIZE;
	at = v->info.metadata.offset + METADATA_SIZE;
	if (size != UINT64_MAX) {
		r = set_size(v, size, err);
		v->info.bat.offset = at;
		at += v->info.bat.length;
	}
	if (r == 0 && !v->fixed)
		pl_block_writer_init(&v->blocks, v->info.block_size, 0);
	v->first_block = v->blocks.frontier = at;
	return r;
}

static int
prepare(struct vhdx_writer *v, const struct pl_create_request *request, struct platter_error *err)
{
	int r = read_options(v, request, err);

	if (r == 0 && request->like) {
		const struct vhdx_info *like = pl_vhdx_info_of(request->like);

		memcpy(v->info.disk_id, like->disk_id, 16);
		memcpy(v->info.header.data_write_guid, like->header.data_write_guid, 16);
	} else if (r == 0) {
		if (!(v->info.flags & VHDX_HAS_PARENT))
			r = pl_new_guid(v->info.disk_id, err);
		if (r == 0)
			r = pl_new_guid(v->info.header.data_write_guid, err);
	}
	if (r == 0)
		r = lay_out(v, request->size, err);
	if (r == 0)
		r = pl_resize(request->file, 0, err);
	if (r < 0)
		return r;
	v->writer = (struct pl_writer){
		.ops = &vhdx_writer_ops,
		.file = request->file,
		.size = request->size,
		/* A block of a differencing disk is all its own, or all zeros. */
		.chunk = v->info.flags & VHDX_HAS_PARENT ? PL_MIN(v->info.block_size, MAX_WHOLE)
							 : CHUNK,
	};
	return 0;
}

int
pl_vhdx_create(const struct pl_create_request *request, struct pl_writer **ret,
	       struct platter_error *err)
{
	struct vhdx_writer *v;
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a VHDX cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	v = calloc(1, sizeof *v);
	if (!v)
		return pl_no_memory(err);
	r = prepare(v, request, err);
	if (r < 0) {
		vhdx_writer_free(&v->writer);
		return r;
	}
	*ret = &v->writer;
	return 0;
}
