/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vdi.c - VirtualBox disk images: reading and checking; vdi.h has the layout */
#include "parent.h"
#include "text.h"
#include "uses.h"
#include "vdi.h"

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

int
pl_vdi_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
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
	int r = pl_blocks_map(disk, pl_vdi_run, offset, length, ret, err);

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

/* The fields are all in the first sector: a kill or a power cut leaves the old or the new ones. */
static int
vdi_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
	       struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	uint8_t h[HEADER_BYTES];
	int r;

	if (parent && parent->ops != disk->ops)
		return pl_fail(err, -ENOTSUP,
			       "the parent of a VDI image must be one too, and '%s' is not",
			       parent->name);
	if (parent && v->type == TYPE_FIXED)
		return pl_fail(err, -ENOTSUP, "'%s' is a fixed VDI image, which has no parent",
			       disk->name);
	if (parent && pl_is_zero(vdi_of(parent)->header + UUID, 16))
		return pl_fail(err, -ENOTSUP, "'%s' has no UUID to be known by", parent->name);
	r = pl_disk_stack(disk, parent, err);
	if (r == 0)
		r = pl_flush(disk, err);
	if (r < 0)
		return r;
	memcpy(h, v->header, sizeof h);
	put_le32(h + TYPE, parent                  ? TYPE_DIFFERENCING
			   : v->type == TYPE_FIXED ? TYPE_FIXED
						   : TYPE_DYNAMIC);
	memset(h + PARENT_UUID, 0, 16);
	memset(h + PARENT_MODIFICATION, 0, 16);
	if (parent) {
		memcpy(h + PARENT_UUID, vdi_of(parent)->header + UUID, 16);
		memcpy(h + PARENT_MODIFICATION, vdi_of(parent)->header + MODIFICATION, 16);
	}
	r = pl_write(v->file, h, sizeof h, 0, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	memcpy(v->header, h, sizeof h);
	v->type = get_le32(h + TYPE);
	pl_disk_unref(disk->parent);
	disk->parent = parent ? pl_disk_ref(parent) : NULL;
	return 0;
}

/* What the modification UUID of a parent becomes when the image is committed into it. */
static void
modification_after_commit(const uint8_t *parent_modification, const struct vdi *overlay,
			  uint8_t ret[static 16])
{
	pl_committed_id(parent_modification, overlay->header + MODIFICATION, 16, ret);
}

/* Is that done already? */
static bool
was_begun(const struct vdi *overlay, const uint8_t *modification)
{
	uint8_t next[16];

	modification_after_commit(overlay->header + PARENT_MODIFICATION, overlay, next);
	return !memcmp(modification, next, 16);
}

static int
vdi_begin_commit(struct pl_disk *disk, struct pl_disk *overlay, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	uint8_t *own = v->header + MODIFICATION;
	int r;

	if (!was_begun(vdi_of(overlay), own))
		modification_after_commit(own, vdi_of(overlay), own);
	r = pl_write(v->file, own, 16, MODIFICATION, err);
	v->modified = r == 0;
	return r == 0 ? pl_flush(v->file, err) : r;
}

static const struct pl_disk_ops vdi_ops = {
	.name = "vdi",
	.map = vdi_map,
	.write = pl_vdi_write,
	.zero = pl_vdi_zero,
	.discard = pl_vdi_discard,
	.flush = pl_vdi_flush,
	.resize = pl_vdi_resize,
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
			.ops = &pl_vdi_store_ops,
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
	uint8_t begun[16];
	int r;

	pl_guid_text(wanted.uuid, text);
	if (!request->related)
		return pl_fail(err, -ENOTSUP, "its parent %s cannot be reached from here", text);
	if (!pl_is_zero(modification, 16))
		wanted.modification = modification;
	r = look_for(request->related, &wanted, ret_name, err);
	if (r < 0 || *ret_name || !wanted.modification)
		goto out;
	modification_after_commit(modification, v, begun);
	wanted.modification = begun;
	r = look_for(request->related, &wanted, ret_name, err);
	if (r == 0 && *ret_name)
		return pl_parent_was_begun(request->flags, v->file->name, *ret_name, err);
	/* One that was changed since is worth naming. */
	wanted.modification = NULL;
	r = look_for(request->related, &wanted, ret_name, err);
	if (r < 0 || !*ret_name || request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS)
		goto out;
	r = pl_corrupt(err, PARENT_MODIFICATION,
		       "its parent '%s' was changed after this image was made of it", *ret_name);
	pl_hint(err,
		"say where the parent as it was is with --parent FILE; --ignore-checksums takes"
		" it as it is, ?backing=no opens the image alone");
	return r;
out:
	if (r < 0 || *ret_name)
		return r;
	r = pl_fail(
		err, -ENOENT,
		"the parent of '%s', the image %s, is none of the .vdi files in its folder or the"
		" one above",
		v->file->name, text);
	pl_hint(err,
		"say where it is with --parent FILE, or open the image alone with ?backing=no");
	return r;
}

/* Is this the image that `v` was made of, as it was then? */
static int
check_parent(const struct vdi *v, struct pl_disk *parent, unsigned flags, struct platter_error *err)
{
	static const struct {
		size_t own, wanted;
		const char *what;
	} links[] = {
		{ UUID, PARENT_UUID, "UUID" },
		{ MODIFICATION, PARENT_MODIFICATION, "modification UUID" },
	};
	const uint8_t *h = vdi_of(parent)->header;
	char found[PL_UUID_TEXT], wanted[PL_UUID_TEXT];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const uint8_t *want = v->header + links[i].wanted;

		/* VirtualBox leaves out the second where it does not know it. */
		if (memcmp(h + links[i].own, want, 16) == 0 || (i && pl_is_zero(want, 16)))
			continue;
		if (i && was_begun(v, h + MODIFICATION))
			return pl_parent_was_begun(flags, v->file->name, parent->name, err);
		pl_guid_text(h + links[i].own, found);
		pl_guid_text(want, wanted);
		r = pl_corrupt(err, links[i].wanted,
			       "'%s' is not the parent of '%s' as it was: its %s is %s, that of the"
			       " parent was %s",
			       parent->name, v->file->name, links[i].what, found, wanted);
		pl_hint(err, "--ignore-checksums takes it all the same, ?backing=no opens the image"
			     " alone");
		return r;
	}
	return 0;
}

/* The file that was given for a parent that is not found.  1: there is none. */
static int
open_given(struct vdi *v, const struct pl_open_request *request, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	int r = request->related ? pl_open_given(request->related, "vdi", &parent, err) : 1;

	if (r)
		return r;
	if (!(request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS))
		r = check_parent(v, parent, request->flags, err);
	if (r == 0)
		r = pl_disk_stack(&v->disk, parent, err);
	if (r == 0)
		v->disk.parent = PL_STEAL(parent);
	return r;
}

static int
open_parent(struct vdi *v, const struct pl_open_request *request, struct platter_error *err)
{
	struct platter_error given = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *name = NULL;
	int r, r2;

	/* Whatever its type says: without the parent its holes would be wrong. */
	if (request->flags & PLATTER_OPEN_NO_BACKING || pl_is_zero(v->header + PARENT_UUID, 16))
		return 0;
	r = find_parent(v, request, &name, err);
	if (r == 0)
		return pl_open_backing(&v->disk, request, name, "vdi", err);
	r2 = open_given(v, request, &given);
	if (r2 == 1)
		return r;
	if (r2 < 0 && err)
		*err = given;
	return r2;
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

static void
vdi_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	if (vdi_of(disk)->type == TYPE_FIXED)
		pl_option(ret, "static", "on");
}

/* Blocks in the file, counted again: one more than the last that the map names. */
static int
count_again(struct vdi *v, uint32_t *ret, struct platter_error *err)
{
	uint64_t at = 0;
	const uint8_t *p;

	*ret = 0;
	for (;; at += 4) {
		int r = pl_block_table_skip(&v->map, at, v->map.bytes, &at, err);

		at = pl_round_down(at, 4);
		if (r < 0 || at >= v->map.bytes)
			return r;
		r = pl_block_table_get(&v->map, at, 4, &p, err);
		if (r < 0)
			return r;
		if (get_le32(p) != DISCARDED && block_at(v, get_le32(p)) < v->file->size)
			*ret = PL_MAX(*ret, get_le32(p) + 1);
	}
}

static int
vdi_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
	   struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	uint32_t nr, before = v->nr_allocated;
	uint8_t field[4];
	int r = count_again(v, &nr, err);

	if (r < 0)
		return r;
	put_le32(field, nr);
	if (nr > before && !dry_run)
		r = pl_write(v->file, field, sizeof field, NR_ALLOCATED, err);
	if (r == 0 && nr > before && !dry_run)
		r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	if (nr > before) {
		v->nr_allocated = nr;
		pl_found(findings, PLATTER_REPAIRED, NR_ALLOCATED,
			 "%" PRIu32 " blocks are in the file, and %" PRIu32
			 " were said to be allocated",
			 nr, before);
	}
	return vdi_check(disk, findings, err);
}

static const struct pl_change_ops change_ops = {
	.repair = vdi_repair,
	.set_parent = vdi_set_parent,
	.begin_commit = vdi_begin_commit,
	.compact = pl_vdi_compact,
};

static const char *const extensions[] = { "vdi", NULL };
const struct pl_format pl_format_vdi = {
	.info = {
		.name = "vdi",
		.longname = "VirtualBox disk image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE |
			     PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = pl_vdi_options,
	},
	.probe = vdi_probe,
	.open = vdi_open,
	.create = pl_vdi_create,
	.check = vdi_check,
	.options_of = vdi_options_of,
	.change = &change_ops,
	.disk_ops = &vdi_ops,
};
