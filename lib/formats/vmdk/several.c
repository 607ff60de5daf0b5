/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * several.c - new VMDK images that are a descriptor and other files
 *
 *	monolithicFlat        disk.vmdk, disk-flat.vmdk: the disk's bytes
 *	twoGbMaxExtentFlat    disk.vmdk, disk-f001.vmdk, disk-f002.vmdk, ...: the same in pieces
 *	twoGbMaxExtentSparse  disk.vmdk, disk-s001.vmdk, ...: a sparse extent each,
 *			      header | directory and tables, twice | grains
 *
 * The engine writes to the other files, end to end as one disk; of sparse ones each has more
 * room there than it can take, and ends where it was written to.  The tables of one extent are
 * in memory at a time.
 */
#include "storage.h"
#include "writer.h"

#define PIECE VMDK_PIECE
/* Where one sparse extent after the other begins, for the engine. */
#define STRIDE GIB(4)
#define LIMIT  (PIECE * VMDK_MAX_EXTENTS)

struct several {
	struct pl_writer writer; /* its file are the extents */
	struct vmdk_params params;
	struct pl_disk *descriptor;
	bool flat;
	uint64_t piece; /* bytes of the disk in each extent */

	/* twoGbMaxExtentSparse: the extent that is being filled. */
	uint64_t index;
	uint64_t frontier; /* of its file: where the next grain goes */
	struct vmdk_new_extent extent;
};

static struct several *
several_of(struct pl_writer *w)
{
	return pl_container_of(w, struct several, writer);
}

static uint64_t
nr_extents(const struct several *v)
{
	return PL_MAX(pl_div_round_up(v->writer.size, v->piece), 1u);
}

/* Bytes of the disk that an extent has, in whole sectors. */
static uint64_t
extent_size(const struct several *v, uint64_t index)
{
	uint64_t start = index * v->piece;

	if (v->writer.size == UINT64_MAX)
		return v->piece;
	if (v->writer.size < start)
		return 0;
	return PL_MIN(pl_round_up(v->writer.size - start, VMDK_SECTOR), v->piece);
}

static int
check_size(const struct several *v, struct platter_error *err)
{
	int r;

	if (v->writer.size == UINT64_MAX || nr_extents(v) <= VMDK_MAX_EXTENTS)
		return 0;
	r = pl_over_limit(err, PLATTER_NO_OFFSET,
			  "a disk of %" PRIu64 " bytes in pieces of 2 GiB, limit is %" PRIu64,
			  v->writer.size, (uint64_t)LIMIT);
	pl_hint(err, "choose another subformat");
	return r;
}

/* The descriptor. */

static void
add_extents(struct pl_str *s, const void *with)
{
	const struct several *v = with;

	for (uint64_t i = 0; i < nr_extents(v); i++) {
		PL_AUTOFREE char *path = pl_storage_beside_path(v->descriptor, (size_t)i);
		const char *slash = path ? strrchr(path, '/') : NULL;

		s->failed |= !path;
		pl_str_addf(s, "RW %" PRIu64 " %s \"%s\"%s\n", extent_size(v, i) / VMDK_SECTOR,
			    v->flat ? "FLAT" : "SPARSE",
			    slash  ? slash + 1
			    : path ? path
				   : "",
			    v->flat ? " 0" : "");
	}
}

static int
write_descriptor(const struct several *v, struct platter_error *err)
{
	struct pl_str s = { 0 };
	int r;

	pl_vmdk_descriptor_text(&v->params, v->writer.size, add_extents, v, &s);
	if (s.failed)
		r = pl_no_memory(err);
	else if (s.length > VMDK_MAX_DESCRIPTOR)
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "a descriptor of %zu bytes, limit is %" PRIu64, s.length,
				  (uint64_t)VMDK_MAX_DESCRIPTOR);
	else
		r = pl_write(v->descriptor, s.text, s.length, 0, err);
	pl_str_done(&s);
	return r;
}

/* Flat extents. */

static int
flat_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	   uint64_t *ret_length, struct platter_error *err)
{
	*ret_at = offset;
	*ret_length = length;
	return 0;
}

/* New files read as zeros. */
static int
flat_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	  struct platter_error *err)
{
	return 0;
}

static int
flat_finish(struct pl_writer *w, struct platter_error *err)
{
	struct several *v = several_of(w);
	int r = check_size(v, err);

	if (r == 0)
		r = pl_resize(w->file, pl_round_up(w->size, VMDK_SECTOR), err);
	return r < 0 ? r : write_descriptor(v, err);
}

/* Sparse extents. */

int
pl_vmdk_extent_begin(struct vmdk_new_extent *e, uint64_t size, struct platter_error *err)
{
	uint64_t nr_tables = pl_div_round_up(size, VMDK_TABLE_SPAN);
	uint64_t directory = pl_round_up(nr_tables * 4, VMDK_SECTOR);
	uint64_t tables = nr_tables * VMDK_GT_BYTES;

	e->redundant_tables_at = VMDK_SECTOR + directory;
	e->directory_at = e->redundant_tables_at + tables;
	e->tables_at = e->directory_at + directory;
	e->overhead = pl_round_up(e->tables_at + tables, VMDK_GRAIN);
	free(e->head);
	e->head = calloc(1, (size_t)e->overhead);
	if (!e->head)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < nr_tables; i++) {
		uint64_t at = i * VMDK_GT_BYTES;

		put_le32(e->head + VMDK_SECTOR + i * 4,
			 (uint32_t)((e->redundant_tables_at + at) / VMDK_SECTOR));
		put_le32(e->head + e->directory_at + i * 4,
			 (uint32_t)((e->tables_at + at) / VMDK_SECTOR));
	}
	return 0;
}

void
pl_vmdk_extent_set(struct vmdk_new_extent *e, uint64_t offset, uint32_t value)
{
	put_le32(e->head + e->tables_at + offset / VMDK_GRAIN * 4, value);
}

int
pl_vmdk_extent_write(struct vmdk_new_extent *e, uint64_t size, bool over_parent,
		     struct pl_disk *file, uint64_t at, struct platter_error *err)
{
	struct vmdk_new_header header = {
		.version = over_parent ? 2 : 1,
		.flags = HOSTED_FLAG_REDUNDANT | (over_parent ? HOSTED_FLAG_ZEROED : 0),
		.capacity = size,
		.redundant_at = VMDK_SECTOR,
		.directory_at = e->directory_at,
		.overhead = e->overhead,
	};

	pl_vmdk_put_header(&header, e->head);
	memcpy(e->head + e->redundant_tables_at, e->head + e->tables_at,
	       (size_t)(pl_div_round_up(size, VMDK_TABLE_SPAN) * VMDK_GT_BYTES));
	return pl_write(file, e->head, (size_t)e->overhead, at, err);
}

static int
begin_extent(struct several *v, uint64_t index, struct platter_error *err)
{
	int r = pl_vmdk_extent_begin(&v->extent, extent_size(v, index), err);

	v->index = index;
	v->frontier = v->extent.overhead;
	return r;
}

static int
end_extent(struct several *v, struct platter_error *err)
{
	return pl_vmdk_extent_write(&v->extent, extent_size(v, v->index), v->params.parent,
				    v->writer.file, v->index * STRIDE, err);
}

/* See that the extent that holds byte `offset` of the disk is the one that is being filled. */
static int
enter_extent(struct several *v, uint64_t offset, struct platter_error *err)
{
	int r = 0;

	if (offset >= LIMIT)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk in pieces of 2 GiB has at most %" PRIu64 " bytes",
				     (uint64_t)LIMIT);
	while (r == 0 && v->index < offset / PIECE) {
		r = end_extent(v, err);
		if (r == 0)
			r = begin_extent(v, v->index + 1, err);
	}
	return r;
}

static int
sparse_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	     uint64_t *ret_length, struct platter_error *err)
{
	static const uint8_t zeros[VMDK_GRAIN];
	struct several *v = several_of(w);
	int r = enter_extent(v, offset, err);

	if (r < 0)
		return r;
	length = PL_MIN(length, PIECE - offset % PIECE);
	*ret_at = v->index * STRIDE + v->frontier;
	*ret_length = length;
	for (uint64_t at = 0; at < length; at += VMDK_GRAIN, v->frontier += VMDK_GRAIN)
		pl_vmdk_extent_set(&v->extent, (offset + at) % PIECE,
				   (uint32_t)(v->frontier / VMDK_SECTOR));
	/* The last grain of the disk is stored whole. */
	if (length % VMDK_GRAIN)
		r = pl_write(w->file, zeros, VMDK_GRAIN - (size_t)(length % VMDK_GRAIN),
			     *ret_at + length, err);
	return r;
}

static int
sparse_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	    struct platter_error *err)
{
	struct several *v = several_of(w);
	uint64_t end = PL_MIN(offset + length, v->params.parent_size);
	int r = 0;

	/* Entries are 0 from the start; but zeros must hide what the parent has there. */
	if (kind == PLATTER_HOLE)
		return 0;
	for (; r == 0 && offset < end; offset += VMDK_GRAIN) {
		r = enter_extent(v, offset, err);
		if (r == 0)
			pl_vmdk_extent_set(&v->extent, offset % PIECE, VMDK_ENTRY_ZERO);
	}
	return r;
}

static int
sparse_finish(struct pl_writer *w, struct platter_error *err)
{
	struct several *v = several_of(w);
	int r = check_size(v, err);

	if (r == 0 && w->size)
		r = enter_extent(v, w->size - 1, err);
	if (r == 0)
		r = end_extent(v, err);
	return r < 0 ? r : write_descriptor(v, err);
}

static void
several_free(struct pl_writer *w)
{
	struct several *v = several_of(w);

	free(v->extent.head);
	free(v);
}

static const struct pl_writer_ops flat_ops = {
	.place = flat_place,
	.skip = flat_skip,
	.finish = flat_finish,
	.free = several_free,
};

static const struct pl_writer_ops sparse_ops = {
	.place = sparse_place,
	.skip = sparse_skip,
	.finish = sparse_finish,
	.free = several_free,
};

/* Readers take ':' for a protocol, '\' for a folder, and what is in quotes for the name. */
static int
check_name(struct pl_disk *file, struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_storage_beside_path(file, 0);
	const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
	int r;

	if (!name)
		return pl_no_memory(err);
	for (const char *c = name; *c; c++)
		if (strchr("\"\\:", *c) || (unsigned char)*c < ' ') {
			r = pl_invalid(err, "the name '%s' cannot stand in a descriptor", name);
			pl_hint(err, "choose a name without quotes, colons and backslashes");
			return r;
		}
	return 0;
}

static int
prepare(struct several *v, const struct pl_create_request *request, struct platter_error *err)
{
	bool whole = v->params.subformat == VMDK_MONOLITHIC_FLAT;
	struct pl_storage_beside beside = {
		.tag = whole     ? "-flat"
		       : v->flat ? "-f"
				 : "-s",
		.split = whole     ? 0
			 : v->flat ? PIECE
				   : STRIDE,
		.loose = !v->flat,
	};
	int r;

	v->piece = whole ? INT64_MAX - INT64_MAX % VMDK_SECTOR : PIECE;
	v->writer = (struct pl_writer){
		.ops = v->flat ? &flat_ops : &sparse_ops,
		.size = request->size,
		.chunk = VMDK_GRAIN,
	};
	r = check_size(v, err);
	/* What an earlier run left cannot be gone on with. */
	if (r == 0)
		r = pl_resize(request->file, 0, err);
	if (r == 0)
		r = pl_storage_create_beside(request->file, &beside, &v->writer.file, err);
	if (r == 0)
		r = check_name(request->file, err);
	if (r < 0)
		return r;
	if (!v->flat)
		return begin_extent(v, 0, err);
	/* At its full size from the start: extending writes would wait for each other. */
	return request->size == UINT64_MAX
		       ? 0
		       : pl_resize(v->writer.file, pl_round_up(request->size, VMDK_SECTOR), err);
}

int
pl_vmdk_several_create(const struct pl_create_request *request, const struct vmdk_params *p,
		       struct pl_writer **ret, struct platter_error *err)
{
	struct several *v = calloc(1, sizeof *v);
	int r;

	if (!v)
		return pl_no_memory(err);
	v->params = *p;
	v->descriptor = request->file;
	v->flat = p->subformat != VMDK_SPLIT_SPARSE;
	r = prepare(v, request, err);
	if (r < 0) {
		several_free(&v->writer);
		return r;
	}
	*ret = &v->writer;
	return 0;
}
