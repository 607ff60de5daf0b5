/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vdi.c - VirtualBox disk images, version 1.1
 *
 * The disk is cut into blocks, usually of 1 MiB; the block map tells which block of the
 * file's data area holds each.  A differencing image names the image that it differs from
 * by UUID only.  All integers are little-endian; UUIDs are stored as Windows does.
 *
 *	offset  size  header field
 *	     0    64  text, "<<< Oracle VM VirtualBox Disk Image >>>\n" or any other
 *	    64     4  signature, 0xbeda107f
 *	    68     4  version, 0x00010001
 *	    72     4  header size from here on, at least 384
 *	    76     4  type: 1 dynamic, 2 fixed, 3 undo, 4 differencing
 *	    80     4  flags
 *	    84   256  description
 *	   340     4  block map: offset
 *	   344     4  data area: offset
 *	   348    12  cylinders, heads, sectors
 *	   360     4  sector size, 512
 *	   368     8  size of the disk
 *	   376     4  bytes of a block
 *	   380     4  bytes in front of each block in the file
 *	   384     4  blocks of the disk
 *	   388     4  blocks in the file
 *	   392    16  UUID of the image
 *	   408    16  UUID of its last modification
 *	   424    16  UUID of the parent
 *	   440    16  UUID of the parent's last modification when this was made of it
 */
#include "blocks.h"
#include "format.h"
#include "parent.h"
#include "store.h"
#include "text.h"
#include "uses.h"

#define HEADER_BYTES   456
#define SIGNATURE      0xbeda107fu
#define THIS_VERSION   0x00010001u
#define MIN_BLOCK_SIZE 512u
#define MAX_BLOCK_SIZE (256u << 20)

/* Block map entries that name no block. */
#define ABSENT    0xffffffffu /* never written: the parent's bytes */
#define DISCARDED 0xfffffffeu /* zeros */

enum {
	TEXT_SIGNATURE = 64,
	VERSION = 68,
	HEADER_SIZE = 72,
	TYPE = 76,
	DESCRIPTION = 84,
	MAP_OFFSET = 340,
	DATA_OFFSET = 344,
	SECTOR_SIZE = 360,
	SIZE = 368,
	BLOCK_SIZE = 376,
	BLOCK_EXTRA = 380,
	NR_BLOCKS = 384,
	NR_ALLOCATED = 388,
	UUID = 392,
	MODIFICATION = 408,
	PARENT_UUID = 424,
	PARENT_MODIFICATION = 440,
};

enum type {
	TYPE_DYNAMIC = 1,
	TYPE_FIXED = 2,
	TYPE_UNDO = 3,
	TYPE_DIFFERENCING = 4,
};

struct vdi {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint8_t header[HEADER_BYTES];
	uint32_t type, block_size, extra, data_offset;
	uint32_t nr_blocks, nr_allocated;
	struct pl_block_table map;
	struct pl_store store; /* of an image that is written */
};

static struct vdi *
vdi_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct vdi, disk);
}

static int
vdi_probe(const struct pl_probe *probe)
{
	if (probe->size < HEADER_BYTES || get_le32(probe->head + TEXT_SIGNATURE) != SIGNATURE)
		return 0;
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	return get_le32(probe->head + VERSION) == THIS_VERSION ? 64 : 32;
}

/* Where a block of the data area begins in the file. */
static uint64_t
block_at(const struct vdi *v, uint32_t block)
{
	return v->data_offset + (uint64_t)block * (v->block_size + v->extra) + v->extra;
}

static int
block_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	uint64_t index = offset / v->block_size, in_block = offset % v->block_size, end, at;
	const uint8_t *p;
	uint32_t entry;
	int r = pl_block_table_get(&v->map, index * 4, 4, &p, err);

	if (r < 0)
		return r;
	entry = get_le32(p);
	*ret = (struct pl_extent){ .length = v->block_size - in_block };
	if (entry == ABSENT) {
		ret->kind = PLATTER_HOLE;
		end = pl_div_round_up(PL_MIN(length, disk->size) + in_block, v->block_size);
		r = pl_block_table_skip(&v->map, index * 4, (index + end) * 4, &end, err);
		ret->length = PL_MAX(end / 4, index + 1) * v->block_size - offset;
		return r;
	}
	if (entry == DISCARDED) {
		ret->kind = PLATTER_ZERO;
		return 0;
	}
	at = block_at(v, entry) + in_block;
	if (at >= v->file->size) {
		r = pl_corrupt(err, v->map.offset + index * 4,
			       "block %" PRIu64 " is stored at byte %" PRIu64
			       ", past the end of the file (%" PRIu64 " bytes)",
			       index, at, v->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = v->file;
	ret->stored_offset = at;
	ret->length = PL_MIN(ret->length, v->file->size - at);
	return 0;
}

static int
vdi_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, block_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, vdi_of(disk)->file->name);
	return r;
}

static struct pl_disk *
vdi_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? vdi_of(disk)->file : NULL;
}

static void
describe_uuid(struct vdi *v, size_t at, const char *key, const char *label, struct pl_facts *facts)
{
	char text[PL_UUID_TEXT];

	if (pl_is_zero(v->header + at, 16))
		return;
	pl_guid_text(v->header + at, text);
	pl_fact_text(facts, key, label, "%s", text);
}

static void
vdi_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	static const char *const types[] = { "", "dynamic", "fixed", "undo", "differencing" };
	struct vdi *v = vdi_of(disk);
	PL_AUTOFREE char *maker = pl_text_from_bytes(v->header, TEXT_SIGNATURE);
	PL_AUTOFREE char *description = pl_text_from_bytes(v->header + DESCRIPTION, 256);

	pl_fact_text(facts, "type", "Type", "%s", types[v->type]);
	if (maker && *maker)
		pl_fact_text(facts, "signature", "Signature", "%s", maker);
	if (description && *description)
		pl_fact_text(facts, "description", "Description", "%s", description);
	pl_fact_size(facts, "block_size", "Block size", v->block_size);
	pl_fact_number(facts, "allocated_blocks", "Blocks in the file", v->nr_allocated);
	describe_uuid(v, UUID, "uuid", "UUID", facts);
	describe_uuid(v, PARENT_UUID, "parent_uuid", "UUID of the parent", facts);
}

static void
vdi_free(struct pl_disk *disk)
{
	struct vdi *v = vdi_of(disk);

	pl_block_table_done(&v->map);
	pl_store_done(&v->store);
	pl_disk_unref(v->file);
	pl_disk_done(disk);
	free(v);
}

/* Random writes. */

static struct vdi *
vdi_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct vdi, store);
}

static int
get_block(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	struct pl_extent e;
	int r = block_run(&v->disk, index * v->block_size, 1, &e, err);

	if (r < 0)
		return r;
	*ret = (struct pl_stored_block){ .kind = e.kind, .at = e.stored_offset };
	if (e.kind == PLATTER_DATA && e.stored_offset < v->data_offset)
		return pl_corrupt(err, v->map.offset + index * 4,
				  "block %" PRIu64 " is stored before the data area", index);
	return 0;
}

static int
set_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	uint8_t entry[4];

	(void)fresh;
	if (block->kind == PLATTER_DATA)
		put_le32(entry, (uint32_t)((block->at - v->extra - v->data_offset) /
					   (v->block_size + v->extra)));
	else
		put_le32(entry, block->kind == PLATTER_ZERO ? DISCARDED : ABSENT);
	return pl_block_table_set(&v->map, index * 4, 4, entry, err);
}

/* Children that were made of the image as it was can tell by its modification's UUID. */
static int
begin_changes(struct pl_store *s, struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	uint64_t unit = (uint64_t)v->block_size + v->extra;
	uint64_t in_file = v->file->growable && v->file->size > v->data_offset
				   ? pl_div_round_up(v->file->size - v->data_offset, unit)
				   : 0;
	int r = pl_new_guid(v->header + MODIFICATION, err);

	s->frontier = v->data_offset + PL_MAX(in_file, v->nr_allocated) * unit;
	return r < 0 ? r : pl_write(v->file, v->header + MODIFICATION, 16, MODIFICATION, err);
}

/* Counted in the file before the map names them. */
static int
count_blocks(struct pl_store *s, struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);

	v->nr_allocated = (uint32_t)((s->frontier - v->data_offset) / (v->block_size + v->extra));
	put_le32(v->header + NR_ALLOCATED, v->nr_allocated);
	return pl_write(v->file, v->header + NR_ALLOCATED, 4, NR_ALLOCATED, err);
}

static const struct pl_store_ops store_ops = {
	.get = get_block,
	.set = set_block,
	.begin = begin_changes,
	.extended = count_blocks,
};

static int
vdi_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	  struct platter_error *err)
{
	return pl_store_write(&vdi_of(disk)->store, buf, n, offset, err);
}

static int
vdi_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	 struct platter_error *err)
{
	return pl_store_zero(&vdi_of(disk)->store, offset, length, flags, err);
}

static int
vdi_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_store_zero(&vdi_of(disk)->store, offset, length, PL_ZERO_MAY_UNMAP, err);
}

static int
vdi_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_store_flush(&vdi_of(disk)->store, err);
}

/* Entries [first, nr) of the map at byte `at` of the file, of blocks that were never written. */
static int
blank_entries(struct vdi *v, uint64_t at, uint64_t first, uint64_t nr, struct platter_error *err)
{
	uint8_t piece[4096];
	int r = 0;

	/* A parent may have bytes there, which must not show. */
	for (size_t i = 0; i < sizeof piece; i += 4)
		put_le32(piece + i, v->disk.parent ? DISCARDED : ABSENT);
	for (; first < nr && r == 0; first += sizeof piece / 4)
		r = pl_write(v->file, piece, (size_t)PL_MIN(sizeof piece, (nr - first) * 4),
			     at + first * 4, err);
	return r;
}

/* The header's fields that tell sizes and places lie in one sector: they change at once. */
static int
switch_header(struct vdi *v, uint64_t map_offset, struct platter_error *err)
{
	uint8_t *h = v->header;
	int r = pl_flush(v->file, err);

	put_le32(h + MAP_OFFSET, (uint32_t)map_offset);
	put_le32(h + DATA_OFFSET, v->data_offset);
	put_le64(h + SIZE, v->disk.size);
	put_le32(h + NR_BLOCKS, v->nr_blocks);
	put_le32(h + NR_ALLOCATED, v->nr_allocated);
	if (r == 0)
		r = pl_write(v->file, h, HEADER_BYTES, 0, err);
	return r == 0 ? pl_flush(v->file, err) : r;
}

/* The map again, from the file. */
static int
reload_map(struct vdi *v, uint64_t map_offset, struct platter_error *err)
{
	struct pl_block_table map = { 0 };
	int r = pl_block_table_init(&map, v->store.staged, map_offset, (uint64_t)v->nr_blocks * 4,
				    0xff, err);

	if (r < 0)
		return r;
	pl_block_table_done(&v->map);
	v->map = map;
	return 0;
}

/* A map that has no room where it is: into the room of the first blocks, which move. */
static int
move_map(struct vdi *v, uint64_t nr, struct platter_error *err)
{
	uint64_t unit = (uint64_t)v->block_size + v->extra, at = v->data_offset;
	uint64_t gone = pl_div_round_up(nr * 4, unit), data = at + gone * unit;
	uint8_t entry[4];
	int r = 0;

	if (data > UINT32_MAX)
		return pl_over_limit(err, DATA_OFFSET, "a block map of %" PRIu64 " bytes", nr * 4);
	if (v->store.frontier < data)
		r = pl_store_extend(&v->store, data - v->store.frontier, &(uint64_t){ 0 }, err);
	if (r == 0)
		r = pl_store_vacate(&v->store, at, data, err);
	if (r == 0)
		r = blank_entries(v, at, 0, nr, err);
	for (uint64_t i = 0; i < v->nr_blocks && r == 0; i++) {
		const uint8_t *p;
		uint32_t old;

		r = pl_block_table_get(&v->map, i * 4, 4, &p, err);
		old = r == 0 ? get_le32(p) : ABSENT;
		put_le32(entry, old < DISCARDED ? old - (uint32_t)gone : old);
		if (r == 0 && (old != ABSENT || v->disk.parent))
			r = pl_write(v->file, entry, 4, at + i * 4, err);
	}
	if (r < 0)
		return r;
	v->data_offset = (uint32_t)data;
	v->nr_allocated -= (uint32_t)gone;
	return 0;
}

/* What follows the old end in its block was nobody's; and a parent may be longer. */
static int
clear_after(struct vdi *v, uint64_t old, struct platter_error *err)
{
	uint64_t end = PL_MIN(pl_round_up(old, v->block_size), v->disk.size);

	return old < end ? pl_store_zero(&v->store, old, end - old, 0, err) : 0;
}

static int
grow(struct vdi *v, uint64_t size, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, v->block_size), old = v->disk.size;
	uint64_t map_offset = v->map.offset;
	int r = 0;

	if (nr > DISCARDED)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes has more than %u blocks", size,
				     DISCARDED);
	v->disk.size = size;
	/* The last block of now, as it is mapped by the old table. */
	if (old % v->block_size)
		r = clear_after(v, old, err);
	if (r == 0)
		r = pl_store_commit(&v->store, err);
	if (r == 0 && nr * 4 <= v->map.bytes)
		return switch_header(v, map_offset, err);
	if (r == 0 && map_offset < v->data_offset && map_offset + nr * 4 > v->data_offset) {
		map_offset = v->data_offset;
		r = move_map(v, nr, err);
	} else if (r == 0) {
		r = blank_entries(v, map_offset, v->nr_blocks, nr, err);
	}
	if (r < 0) {
		v->disk.size = old;
		return r;
	}
	v->nr_blocks = (uint32_t)nr;
	r = switch_header(v, map_offset, err);
	return r == 0 ? reload_map(v, map_offset, err) : r;
}

static int
shrink(struct vdi *v, uint64_t size, struct platter_error *err)
{
	int r = pl_store_zero(&v->store, size, v->disk.size - size, PL_ZERO_MAY_UNMAP, err);

	if (r == 0)
		r = pl_store_flush(&v->store, err);
	if (r < 0)
		return r;
	v->disk.size = size;
	v->nr_blocks = (uint32_t)pl_div_round_up(size, v->block_size);
	r = switch_header(v, v->map.offset, err);
	return r == 0 ? reload_map(v, v->map.offset, err) : r;
}

static int
vdi_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	int r;

	if (size % 512)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	if (v->type == TYPE_FIXED && size != disk->size) {
		r = pl_unsupported(err, TYPE, "a fixed VDI image keeps its size");
		pl_hint(err, "convert it to a dynamic one: platter convert -O vdi");
		return r;
	}
	r = pl_store_begin(&v->store, err);
	if (r < 0 || size == disk->size)
		return r;
	return size > disk->size ? grow(v, size, err) : shrink(v, size, err);
}

static int
vdi_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	struct pl_range kept[] = { { 0, PL_MAX((uint64_t)v->data_offset,
					       v->map.offset + v->map.bytes) } };

	return pl_store_compact(&v->store, kept, ARRAY_SIZE(kept), err);
}

static const struct pl_change_ops change_ops = {
	.compact = vdi_compact,
};

static const struct pl_disk_ops vdi_ops = {
	.name = "vdi",
	.map = vdi_map,
	.write = vdi_write,
	.zero = vdi_zero,
	.discard = vdi_discard,
	.flush = vdi_flush,
	.resize = vdi_resize,
	.below = vdi_below,
	.describe = vdi_describe,
	.free = vdi_free,
};

static int
check_identity(const uint8_t *h, size_t have, struct platter_error *err)
{
	uint32_t version = get_le32(h + VERSION), type = get_le32(h + TYPE);

	if (have < HEADER_BYTES)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a VDI header", have);
	if (get_le32(h + TEXT_SIGNATURE) != SIGNATURE)
		return pl_corrupt(err, TEXT_SIGNATURE, "no VDI signature");
	if (version != THIS_VERSION)
		return pl_unsupported(err, VERSION,
				      "VDI version %" PRIu32 ".%" PRIu32 " is not known",
				      version >> 16, version & 0xffff);
	if (get_le32(h + HEADER_SIZE) < HEADER_BYTES - HEADER_SIZE)
		return pl_corrupt(err, HEADER_SIZE, "header of %" PRIu32 " bytes, minimum is %d",
				  get_le32(h + HEADER_SIZE), HEADER_BYTES - HEADER_SIZE);
	if (type == TYPE_UNDO)
		return pl_unsupported(err, TYPE, "undo images are not readable");
	if (type < TYPE_DYNAMIC || type > TYPE_DIFFERENCING)
		return pl_unsupported(err, TYPE, "image type %" PRIu32 " is not known", type);
	return 0;
}

static int
check_layout(const uint8_t *h, struct platter_error *err)
{
	uint32_t block_size = get_le32(h + BLOCK_SIZE), extra = get_le32(h + BLOCK_EXTRA);
	uint32_t nr = get_le32(h + NR_BLOCKS);
	uint64_t size = get_le64(h + SIZE);

	if (get_le32(h + SECTOR_SIZE) != 512)
		return pl_unsupported(err, SECTOR_SIZE,
				      "sectors of %" PRIu32 " bytes, only 512 are known",
				      get_le32(h + SECTOR_SIZE));
	if (!pl_is_power_of_two(block_size) || block_size < MIN_BLOCK_SIZE ||
	    block_size > MAX_BLOCK_SIZE)
		return pl_corrupt(err, BLOCK_SIZE,
				  "blocks of %" PRIu32
				  " bytes, must be a power of two from %u to %u",
				  block_size, MIN_BLOCK_SIZE, MAX_BLOCK_SIZE);
	if (extra > block_size)
		return pl_corrupt(err, BLOCK_EXTRA,
				  "%" PRIu32
				  " bytes in front of each block, more than its %" PRIu32,
				  extra, block_size);
	if (size > (uint64_t)nr * block_size)
		return pl_corrupt(err, SIZE,
				  "disk of %" PRIu64 " bytes, its %" PRIu32 " blocks hold %" PRIu64,
				  size, nr, (uint64_t)nr * block_size);
	if (get_le32(h + MAP_OFFSET) < HEADER_BYTES)
		return pl_corrupt(err, MAP_OFFSET,
				  "block map at byte %" PRIu32 " is within the header",
				  get_le32(h + MAP_OFFSET));
	if (get_le32(h + DATA_OFFSET) < HEADER_BYTES)
		return pl_corrupt(err, DATA_OFFSET, "data at byte %" PRIu32 " is within the header",
				  get_le32(h + DATA_OFFSET));
	if (get_le32(h + TYPE) == TYPE_DIFFERENCING && pl_is_zero(h + PARENT_UUID, 16))
		return pl_corrupt(err, PARENT_UUID,
				  "a differencing image that does not name its parent");
	return 0;
}

static int
read_header(struct vdi *v, struct platter_error *err)
{
	const uint8_t *h = v->header;
	size_t have;
	int r = pl_read_padded(v->file, v->header, sizeof v->header, 0, &have, err);

	if (r == 0)
		r = check_identity(h, have, err);
	if (r == 0)
		r = check_layout(h, err);
	if (r < 0)
		return r;
	v->disk.size = get_le64(h + SIZE);
	v->type = get_le32(h + TYPE);
	v->block_size = get_le32(h + BLOCK_SIZE);
	v->extra = get_le32(h + BLOCK_EXTRA);
	v->data_offset = get_le32(h + DATA_OFFSET);
	v->nr_blocks = get_le32(h + NR_BLOCKS);
	v->nr_allocated = get_le32(h + NR_ALLOCATED);
	return 0;
}

/* The map, and what writing takes. */
static int
open_map(struct vdi *v, bool writable, struct platter_error *err)
{
	struct pl_disk *file = v->file;
	int r;

	if (writable) {
		v->store = (struct pl_store){
			.ops = &store_ops,
			.disk = &v->disk,
			.file = v->file,
			.block_size = v->block_size,
			.lead = v->extra,
			.align = 1,
			.can_zero = true,
			.limit = v->data_offset +
				 (uint64_t)(DISCARDED - 1) * (v->block_size + v->extra),
		};
		r = pl_store_init(&v->store, err);
		if (r < 0)
			return r;
		v->disk.writable = true;
		file = v->store.staged;
	}
	return pl_block_table_init(&v->map, file, get_le32(v->header + MAP_OFFSET),
				   (uint64_t)v->nr_blocks * 4, 0xff, err);
}

/* What is known of a parent: its UUID, and that of its last modification or NULL for any. */
struct wanted {
	const uint8_t *uuid, *modification;
};

static int
is_parent(struct pl_disk *file, const void *wanted)
{
	const struct wanted *w = wanted;
	uint8_t h[HEADER_BYTES];

	if (pl_read_padded(file, h, sizeof h, 0, NULL, NULL) < 0 ||
	    get_le32(h + TEXT_SIGNATURE) != SIGNATURE || memcmp(h + UUID, w->uuid, 16) != 0)
		return 0;
	return !w->modification || memcmp(h + MODIFICATION, w->modification, 16) == 0;
}

/* Beside the image, and above: VirtualBox keeps differences in a folder below their base. */
static int
look_for(struct pl_related *related, const struct wanted *wanted, char **ret_name,
	 struct platter_error *err)
{
	int r = related->find(related, ".", "vdi", is_parent, wanted, ret_name, err);

	if (r == 0 && !*ret_name)
		r = related->find(related, "..", "vdi", is_parent, wanted, ret_name, err);
	return r;
}

static int
find_parent(struct vdi *v, const struct pl_open_request *request, char **ret_name,
	    struct platter_error *err)
{
	const uint8_t *modification = v->header + PARENT_MODIFICATION;
	struct wanted wanted = { .uuid = v->header + PARENT_UUID };
	char text[PL_UUID_TEXT];
	int r;

	pl_guid_text(wanted.uuid, text);
	if (!request->related)
		return pl_fail(err, -ENOTSUP, "its parent %s cannot be reached from here", text);
	if (!pl_is_zero(modification, 16))
		wanted.modification = modification;
	r = look_for(request->related, &wanted, ret_name, err);
	if (r < 0 || *ret_name || !wanted.modification)
		goto out;
	/* One that was changed since is worth naming. */
	wanted.modification = NULL;
	r = look_for(request->related, &wanted, ret_name, err);
	if (r < 0 || !*ret_name || request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS)
		goto out;
	r = pl_corrupt(err, PARENT_MODIFICATION,
		       "its parent '%s' was changed after this image was made of it", *ret_name);
	pl_hint(err, "open the image alone with ?backing=no, or restore the parent as it was");
	return r;
out:
	if (r < 0 || *ret_name)
		return r;
	r = pl_fail(err, -ENOENT,
		    "its parent %s is none of the .vdi files in its folder or the one above", text);
	pl_hint(err, "put the parent beside it, or open the image alone with ?backing=no");
	return r;
}

static int
open_parent(struct vdi *v, const struct pl_open_request *request, struct platter_error *err)
{
	PL_AUTOFREE char *name = NULL;
	int r;

	/* Whatever its type says: without the parent its holes would be wrong. */
	if (request->flags & PLATTER_OPEN_NO_BACKING || pl_is_zero(v->header + PARENT_UUID, 16))
		return 0;
	r = find_parent(v, request, &name, err);
	return r < 0 ? r : pl_open_backing(&v->disk, request, name, "vdi", err);
}

static int
open_parts(struct vdi *v, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&v->disk, v->file, err);

	if (r == 0)
		r = read_header(v, err);
	if (r == 0)
		r = open_map(v, request->flags & PLATTER_OPEN_WRITE && v->file->writable, err);
	if (r == 0 && request->snapshot) {
		r = pl_fail(err, -ENOENT, "'%s' is a VDI image, which holds no snapshots",
			    v->file->name);
		pl_hint(err, "VirtualBox keeps them as images of their own: open one of those");
	}
	if (r == 0)
		r = open_parent(v, request, err);
	return r;
}

static int
vdi_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct vdi *v = calloc(1, sizeof *v);
	int r;

	if (!v)
		return pl_no_memory(err);
	r = pl_disk_init(&v->disk, &vdi_ops, request->file->name, err);
	if (r < 0) {
		free(v);
		return r;
	}
	v->file = pl_disk_ref(request->file);
	r = open_parts(v, request, err);
	if (r < 0) {
		pl_error_place(err, v->file->name);
		vdi_free(&v->disk);
		return r;
	}
	*ret = &v->disk;
	return 0;
}

static void
check_entry(struct vdi *v, uint64_t index, uint32_t entry, struct pl_uses *uses,
	    struct pl_findings *findings)
{
	uint64_t at = v->map.offset + index * 4, taken;
	uint64_t end =
		PL_MIN(v->block_size, v->disk.size - PL_MIN(v->disk.size, index * v->block_size));

	if (!pl_in_range(block_at(v, entry), end, v->file->size))
		pl_found(findings, PLATTER_DAMAGE, at,
			 "block %" PRIu64 ", stored at byte %" PRIu64
			 ", passes the end of the file (%" PRIu64 " bytes)",
			 index, block_at(v, entry), v->file->size);
	else if (!pl_use(uses, entry, entry, &taken))
		pl_found(findings, PLATTER_DAMAGE, at,
			 "block %" PRIu64 " is stored where another is, at byte %" PRIu64, index,
			 block_at(v, entry));
}

static int
check_map(struct vdi *v, struct pl_uses *uses, uint64_t *ret_nr, struct pl_findings *findings,
	  struct platter_error *err)
{
	uint64_t at = 0, end = v->map.bytes;
	const uint8_t *p;
	int r;

	*ret_nr = 0;
	for (;; at += 4) {
		r = pl_block_table_skip(&v->map, at, end, &at, err);
		at = pl_round_down(at, 4);
		if (r < 0 || at >= end)
			return r;
		r = pl_block_table_get(&v->map, at, 4, &p, err);
		if (r < 0)
			return r;
		if (get_le32(p) == DISCARDED)
			continue;
		++*ret_nr;
		check_entry(v, at / 4, get_le32(p), uses, findings);
	}
}

static int
vdi_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	uint64_t room = v->file->size - PL_MIN(v->file->size, v->data_offset), nr, first = 0,
		 unused;
	struct pl_uses uses;
	int r;

	if (v->map.offset < v->data_offset
		    ? v->map.bytes > v->data_offset - v->map.offset
		    : v->map.offset < block_at(v, v->nr_allocated) - v->extra)
		pl_found(findings, PLATTER_DAMAGE, MAP_OFFSET,
			 "the block map, %" PRIu64 " bytes at byte %" PRIu64
			 ", lies over the data at byte %" PRIu32,
			 v->map.bytes, v->map.offset, v->data_offset);
	r = pl_uses_init(&uses, pl_div_round_up(room, v->block_size + v->extra), findings, err);
	if (r)
		return r < 0 ? r : 0;
	r = check_map(v, &uses, &nr, findings, err);
	if (r == 0) {
		if (nr != v->nr_allocated)
			pl_found(findings, nr > v->nr_allocated ? PLATTER_DAMAGE : PLATTER_LEAK,
				 NR_ALLOCATED,
				 "%" PRIu64 " blocks are in the map, and %" PRIu32
				 " are said to be allocated",
				 nr, v->nr_allocated);
		unused = pl_unused(&uses, 0, &first);
		if (unused)
			pl_found(findings, PLATTER_LEAK, block_at(v, (uint32_t)first),
				 "%" PRIu64 " blocks (%" PRIu64 " bytes) are used by nothing",
				 unused, unused * v->block_size);
	}
	pl_uses_done(&uses);
	return r;
}

/* Writing. */

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
};

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

	for (; writer_of(w)->fixed && length && r == 0; offset += n, length -= n)
		r = vdi_place(w, offset, length, 0, &at, &n, err);
	return r;
}

static void
put_entry(const struct pl_block_writer *b, uint64_t place, uint8_t *entry)
{
	const struct vdi_writer *v =
		(const void *)((const char *)b - offsetof(struct vdi_writer, blocks));

	put_le32(entry, place ? (uint32_t)((place - v->data_offset) / NEW_BLOCK_SIZE) : ABSENT);
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
	put_le32(ret + TYPE, v->fixed ? TYPE_FIXED : TYPE_DYNAMIC);
	put_le32(ret + MAP_OFFSET, NEW_BLOCK_SIZE);
	put_le32(ret + DATA_OFFSET, (uint32_t)v->data_offset);
	put_le32(ret + SECTOR_SIZE, 512);
	put_le64(ret + SIZE, size);
	put_le32(ret + BLOCK_SIZE, NEW_BLOCK_SIZE);
	put_le32(ret + NR_BLOCKS, (uint32_t)nr);
	put_le32(ret + NR_ALLOCATED, (uint32_t)v->blocks.nr_begun);
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

static int
vdi_create(const struct pl_create_request *request, struct pl_writer **ret,
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
	r = pl_block_writer_init(&v->blocks, request->size, NEW_BLOCK_SIZE, 0, err);
	if (r < 0) {
		free(v);
		return r;
	}
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

static const char *const extensions[] = { "vdi", NULL };
static const struct platter_option_info options[] = {
	{ "static", "on|off", "a fixed image: blocks in the order of the disk, all of them; off" },
	{ 0 },
};

const struct pl_format pl_format_vdi = {
	.info = {
		.name = "vdi",
		.longname = "VirtualBox disk image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE |
			     PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = vdi_probe,
	.open = vdi_open,
	.create = vdi_create,
	.check = vdi_check,
	.change = &change_ops,
	.disk_ops = &vdi_ops,
};
