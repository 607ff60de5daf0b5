/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vhd.c - disks of Virtual PC, Hyper-V (first generation) and Azure
 *
 * A fixed disk is its bytes and a footer.  A dynamic or differencing one has a table of
 * blocks, each with a bitmap of its sectors: what a dynamic disk lacks is zero, what a
 * differencing disk lacks is its parent's.  Spec: Microsoft, "Virtual Hard Disk Image Format
 * Specification" 1.0, 2006; vhd.h has the layout.
 */
#include <strings.h>

#include "vhd-image.h"
#include "parent.h"
#include "text.h"

/* One sector of a bitmap, and what of the disk it tells about. */
#define BITS_PIECE    512u
#define BITS_OF_PIECE (BITS_PIECE * 8)
#define PIECE_SPAN    ((uint64_t)BITS_OF_PIECE * 512)
/* A path of 4095 characters, the longest that can be opened, in UTF-16. */
#define MAX_LOCATOR_BYTES 8190u

/*
 * The last sectors of a disk that was cut where a VHD was stored on it look like a fixed
 * VHD of another size.  Named as one, it may still be one with a wrong field.
 */
static bool
is_cut_disk(const struct pl_probe *probe, const uint8_t *footer)
{
	return get_be32(footer + VHD_DISK_TYPE) == VHD_FIXED &&
	       get_be64(footer + VHD_CURRENT_SIZE) > probe->size - VHD_FOOTER_SIZE &&
	       strcasecmp(probe->extension, "vhd") != 0;
}

static int
vhd_probe(const struct pl_probe *probe)
{
	const uint8_t *tail = probe->tail;
	int bits = 0;

	if (probe->size < VHD_FOOTER_SIZE)
		return 0;
	tail += PL_MIN(probe->size, PL_PROBE_TAIL) - VHD_FOOTER_SIZE;
	if (!memcmp(tail, "conectix", 8)) {
		if (is_cut_disk(probe, tail))
			return 0;
		bits = 64;
		if (get_be32(tail + VHD_CHECKSUM) ==
		    pl_vhd_checksum(tail, VHD_FOOTER_SIZE, VHD_CHECKSUM))
			bits += 32;
	} else if (!memcmp(tail + 1, "conectix", 8) || !memcmp(probe->head, "conectix", 8)) {
		bits = 64;
	}
	return bits;
}

/* Mapping. */

static int
cut_short(const struct vhd *v, uint64_t index, uint64_t place, struct platter_error *err)
{
	int r = pl_corrupt(err, v->table_offset + index * 4,
			   "block %" PRIu64 " at byte %" PRIu64
			   " passes the end of the file (%" PRIu64 " bytes)",
			   index, place, v->file->size);

	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

/* A run of blocks that are not there, from the index-th on. */
static int
absent_run(struct vhd *v, uint64_t index, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	uint64_t last = PL_MIN((offset + length - 1) / v->block_size + 1, v->nr_blocks), end;
	int r = pl_block_table_skip(&v->table, index * 4, last * 4, &end, err);

	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = end / 4 * v->block_size - offset,
				   .kind = PLATTER_HOLE };
	return 0;
}

static int
vhd_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);
	uint64_t index = offset / v->block_size, in_block = offset % v->block_size;
	uint64_t piece = in_block / PIECE_SPAN, place, stored;
	uint32_t first = (uint32_t)(in_block % PIECE_SPAN / 512);
	uint32_t nr = (uint32_t)PL_MIN(v->block_size / 512 - piece * BITS_OF_PIECE, BITS_OF_PIECE);
	uint8_t bits[BITS_PIECE];
	const uint8_t *entry;
	bool there;
	int r = pl_block_table_get(&v->table, index * 4, 4, &entry, err);

	if (r < 0)
		return r;
	if (get_be32(entry) == VHD_NO_BLOCK)
		return absent_run(v, index, offset, length, ret, err);
	place = (uint64_t)get_be32(entry) * 512;
	if (!pl_in_range(place, v->bitmap_size, v->file->size))
		return cut_short(v, index, place, err);
	r = pl_block_cached(disk, v->tables, place + piece * BITS_PIECE, BITS_PIECE, bits, err);
	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .kind = PLATTER_HOLE };
	ret->length =
		(uint64_t)pl_bit_run(bits, first, nr, PL_MSB_FIRST, &there) * 512 - offset % 512;
	if (!there)
		return 0;
	stored = place + v->bitmap_size + in_block;
	if (stored >= v->file->size)
		return cut_short(v, index, place, err);
	ret->kind = PLATTER_DATA;
	ret->below = v->file;
	ret->stored_offset = stored;
	ret->length = PL_MIN(ret->length, v->file->size - stored);
	return 0;
}

static int
vhd_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);
	int r;

	if (v->footer.type == VHD_FIXED) {
		*ret = (struct pl_extent){ .length = disk->size - offset,
					   .kind = PLATTER_DATA,
					   .below = v->file,
					   .stored_offset = offset };
		return 0;
	}
	r = pl_blocks_map(disk, vhd_run, offset, length, ret, err);
	if (r < 0)
		pl_error_place(err, v->file->name);
	return r;
}

/* Particulars. */

static const char *
subformat(const struct vhd *v)
{
	switch (v->footer.type) {
	case VHD_FIXED: return "fixed";
	case VHD_DYNAMIC: return "dynamic";
	default: return "differencing";
	}
}

/* What is wrong at the ends of the file, one bit of `damage` after the other. */
static const struct {
	unsigned bit;
	const char *words;
} damages[] = {
	{ VHD_TAIL_MISSING, "no footer at the end of the file; its copy at the start is used" },
	{ VHD_TAIL_SUM, "checksum of the footer at the end of the file does not match" },
	{ VHD_TAIL_SHORT, "the footer has 511 bytes, as old releases of Virtual PC wrote it" },
	{ VHD_COPY_MISSING, "no copy of the footer at the start of the file" },
	{ VHD_COPY_SUM, "checksum of the footer's copy at the start of the file does not match" },
	{ VHD_COPY_DIFFERS, "the footer's copy at the start of the file differs from it" },
	{ VHD_HEADER_SUM, "checksum of the dynamic header does not match" },
};

static void
describe_parent(struct vhd *v, struct pl_facts *facts)
{
	char uuid[PL_UUID_TEXT];

	pl_uuid_text(v->parent_uuid, uuid);
	pl_fact_text(facts, "parent_uuid", "parent's UUID", "%s", uuid);
	if (v->names[NAME_PARENT])
		pl_fact_text(facts, "parent_name", "parent's name", "%s", v->names[NAME_PARENT]);
	if (v->names[NAME_RELATIVE])
		pl_fact_text(facts, "parent_relative", "parent's relative path", "%s",
			     v->names[NAME_RELATIVE]);
	if (v->names[NAME_ABSOLUTE])
		pl_fact_text(facts, "parent_absolute", "parent's absolute path", "%s",
			     v->names[NAME_ABSOLUTE]);
}

static void
vhd_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct vhd *v = vhd_of(disk);
	const struct vhd_footer *f = &v->footer;
	uint64_t chs = vhd_chs_size(f);
	char uuid[PL_UUID_TEXT];

	pl_uuid_text(f->uuid, uuid);
	pl_fact_text(facts, "subformat", "kind", "%s", subformat(v));
	if (f->type != VHD_FIXED)
		pl_fact_size(facts, "block_size", "block size", v->block_size);
	pl_fact_text(facts, "creator", "made by", "'%s' %" PRIu32 ".%" PRIu32 " on '%s'",
		     f->creator, f->creator_version >> 16, f->creator_version & 0xffff,
		     f->creator_host);
	pl_fact_time(facts, "created", "made", (int64_t)f->timestamp + VHD_EPOCH);
	pl_fact_text(facts, "uuid", "UUID", "%s", uuid);
	pl_fact_text(facts, "geometry", "geometry", "%u cylinders, %u heads, %u sectors",
		     f->cylinders, f->heads, f->sectors);
	if (f->current_size != chs) {
		pl_fact_size(facts, "current_size", "size in the footer", f->current_size);
		pl_fact_size(facts, "chs_size", "size by its geometry", chs);
	}
	if (f->features & 1)
		pl_fact_flag(facts, "temporary", "temporary", true);
	if (f->saved_state)
		pl_fact_flag(facts, "saved_state", "belongs to a saved machine", true);
	if (f->type == VHD_DIFFERENCING)
		describe_parent(v, facts);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (v->damage & damages[i].bit)
			pl_warn(facts, "%s", damages[i].words);
}

/* Checking. */

static int
check_blocks(struct vhd *v, struct pl_claims *claims, struct pl_findings *findings,
	     struct platter_error *err)
{
	uint64_t bytes = (uint64_t)v->bitmap_size + v->block_size;
	int r = 0;

	for (uint64_t i = 0; i < v->nr_blocks && r == 0; i++) {
		const uint8_t *entry;
		uint64_t place;

		/* Over what is not there at once. */
		r = pl_block_table_skip(&v->table, i * 4, v->nr_blocks * 4, &place, err);
		i = place / 4;
		if (r < 0 || i == v->nr_blocks)
			break;
		r = pl_block_table_get(&v->table, i * 4, 4, &entry, err);
		if (r < 0)
			break;
		place = (uint64_t)get_be32(entry) * 512;
		if (!pl_in_range(place, bytes, v->data_end))
			pl_found(findings, PLATTER_DAMAGE, v->table_offset + i * 4,
				 "block %" PRIu64 " at byte %" PRIu64
				 " passes the end of the data at byte %" PRIu64,
				 i, place, v->data_end);
		else
			r = pl_claim(claims, place, bytes, "block", i, err);
	}
	return r;
}

static int
claim_fixed_parts(struct vhd *v, struct pl_claims *claims, struct platter_error *err)
{
	int r = 0;

	if (!(v->damage & VHD_COPY_MISSING))
		r = pl_claim(claims, 0, VHD_FOOTER_SIZE, "the footer's copy", PL_ONLY, err);
	if (r == 0)
		r = pl_claim(claims, v->header_at, VHD_HEADER_SIZE, "the dynamic header", PL_ONLY,
			     err);
	if (r == 0)
		r = pl_claim(claims, v->table_offset, v->nr_blocks * 4, "the block table", PL_ONLY,
			     err);
	return r;
}

/* Where what `damages[i]` speaks of stands. */
static uint64_t
damage_at(const struct vhd *v, size_t i)
{
	if (damages[i].bit >= VHD_HEADER_SUM)
		return v->header_at;
	return damages[i].bit >= VHD_COPY_MISSING ? 0 : v->data_end;
}

static int
check_table(struct vhd *v, struct pl_findings *findings, struct platter_error *err)
{
	struct pl_claims claims = { 0 };
	int r = claim_fixed_parts(v, &claims, err);

	if (r == 0)
		r = check_blocks(v, &claims, findings, err);
	if (r == 0)
		pl_claims_report(&claims, findings);
	pl_claims_done(&claims);
	return r;
}

static int
vhd_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (v->damage & damages[i].bit)
			pl_found(findings,
				 damages[i].bit == VHD_TAIL_SHORT ? PLATTER_NOTE : PLATTER_DAMAGE,
				 damage_at(v, i), "%s", damages[i].words);
	return v->footer.type == VHD_FIXED ? 0 : check_table(v, findings, err);
}

static int
vhd_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
	   struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);
	int r = v->damage && !dry_run ? pl_vhd_rewrite_ends(v, err) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (v->damage & damages[i].bit)
			pl_found(findings, PLATTER_REPAIRED, damage_at(v, i), "%s",
				 damages[i].words);
	return v->footer.type == VHD_FIXED ? 0 : check_table(v, findings, err);
}

static struct pl_disk *
vhd_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : vhd_of(disk)->file;
}

static void
vhd_free(struct pl_disk *disk)
{
	struct vhd *v = vhd_of(disk);

	for (size_t i = 0; i < NR_NAMES; i++)
		free(v->names[i]);
	pl_block_table_done(&v->table);
	pl_store_done(&v->store);
	pl_disk_unref(v->file);
	pl_disk_done(disk);
	free(v);
}

static const struct pl_disk_ops vhd_ops = {
	.name = "vhd",
	.map = vhd_map,
	.write = pl_vhd_write,
	.zero = pl_vhd_zero,
	.discard = pl_vhd_discard,
	.flush = pl_vhd_flush,
	.resize = pl_vhd_resize,
	.below = vhd_below,
	.describe = vhd_describe,
	.free = vhd_free,
};

const struct vhd_footer *
pl_vhd_footer_of(struct pl_disk *disk)
{
	return disk->ops == &vhd_ops ? &vhd_of(disk)->footer : NULL;
}

/* Opening. */

/*
 * Which of two sizes the disk has.  Virtual PC, and QEMU in its name, count the geometry
 * and round the current size to it; Hyper-V and what followed count the current size, and
 * store the nearest geometry below.  So the larger one is right, except where the geometry
 * is at its limit, or is more than the file has.
 */
static uint64_t
choose_size(const struct vhd_footer *f, uint64_t room)
{
	static const char *const exact[] = { "win ", "d2v ", "qem2", "tap ", "CTXS", "wa  " };
	uint64_t chs = vhd_chs_size(f);

	if (f->current_size >= chs || chs >= VHD_MAX_CHS * 512 || chs > room)
		return f->current_size;
	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (!memcmp(f->creator, exact[i], 4))
			return f->current_size;
	return chs;
}

static int
check_size(struct vhd *v, uint64_t room, struct platter_error *err)
{
	uint64_t size = choose_size(&v->footer, room);
	int r;

	if (size % 512 || size > INT64_MAX)
		return pl_corrupt(err, v->footer_at + VHD_CURRENT_SIZE,
				  "disk of %" PRIu64 " bytes, which is no number of sectors", size);
	if (size > room) {
		r = pl_corrupt(err, v->footer_at + VHD_CURRENT_SIZE,
			       "disk of %" PRIu64 " bytes in an image with room for %" PRIu64, size,
			       room);
		if (v->footer.type == VHD_FIXED)
			pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	v->disk.size = size;
	return 0;
}

static int
take_names(struct vhd *v, const uint8_t *header, struct platter_error *err)
{
	v->names[NAME_PARENT] =
		pl_text_from_utf16be(header + VHD_PARENT_NAME, VHD_PARENT_NAME_UNITS);
	if (!v->names[NAME_PARENT])
		return pl_no_memory(err);
	for (size_t i = 0; i < VHD_NR_LOCATORS; i++) {
		const uint8_t *l = header + VHD_LOCATORS + i * VHD_LOCATOR_SIZE;
		bool relative = !memcmp(l, "W2ru", 4);
		uint32_t n = get_be32(l + 8);
		uint64_t at = get_be64(l + 16);
		PL_AUTOFREE uint8_t *data = NULL;
		char **name = &v->names[relative ? NAME_RELATIVE : NAME_ABSOLUTE];
		int r;

		/* One that makes no sense only leaves the others. */
		if ((!relative && memcmp(l, "W2ku", 4) != 0) || *name || n < 2 ||
		    n > MAX_LOCATOR_BYTES || !pl_in_range(at, n, v->file->size))
			continue;
		r = pl_read_alloc(v->file, n, at, &data, err);
		if (r < 0)
			return r;
		*name = pl_text_from_utf16le(data, n / 2);
		if (!*name)
			return pl_no_memory(err);
	}
	return 0;
}

/* The block table, and what writing takes. */
static int
open_table(struct vhd *v, struct platter_error *err)
{
	int r;

	v->tables = v->file;
	if (v->disk.writable) {
		v->store = (struct pl_store){
			.ops = &pl_vhd_store_ops,
			.disk = &v->disk,
			.file = v->file,
			.block_size = v->block_size,
			.lead = v->bitmap_size,
			.align = 512,
			.limit = (uint64_t)VHD_NO_BLOCK * 512,
		};
		r = pl_store_init(&v->store, err);
		if (r < 0)
			return r;
		v->tables = v->store.staged;
	}
	r = pl_block_table_init(&v->table, v->tables, v->table_offset, v->nr_blocks * 4, 0xff, err);
	if (r == -EUCLEAN && err)
		err->offset = v->header_at + VHD_TABLE_OFFSET;
	return r;
}

static int
read_header(struct vhd *v, struct platter_error *err)
{
	uint64_t at = v->header_at = v->footer.data_offset, room;
	uint8_t b[VHD_HEADER_SIZE];
	int r;

	if (!pl_in_range(at, VHD_HEADER_SIZE, v->file->size))
		return pl_corrupt(err, v->footer_at + VHD_DATA_OFFSET,
				  "dynamic header at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  at, v->file->size);
	r = pl_read(v->file, b, sizeof b, at, err);
	if (r < 0)
		return r;
	if (memcmp(b, "cxsparse", 8) != 0)
		return pl_corrupt(err, at, "no dynamic header where the footer says");
	if (get_be32(b + VHD_HEADER_VERSION) >> 16 != VHD_VERSION_1 >> 16)
		return pl_unsupported(err, at + VHD_HEADER_VERSION,
				      "dynamic header of version 0x%08" PRIx32 " is not known",
				      get_be32(b + VHD_HEADER_VERSION));
	/*
	 * There is no copy of the header to compare with, and some tools that change it forget
	 * the sum; all that is used of it is checked by itself.
	 */
	if (get_be32(b + VHD_HEADER_CHECKSUM) !=
	    pl_vhd_checksum(b, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM))
		v->damage |= VHD_HEADER_SUM;
	v->table_offset = get_be64(b + VHD_TABLE_OFFSET);
	v->max_entries = get_be32(b + VHD_MAX_ENTRIES);
	v->block_size = get_be32(b + VHD_BLOCK_SIZE);
	if (v->block_size < 512 || !pl_is_power_of_two(v->block_size))
		return pl_corrupt(err, at + VHD_BLOCK_SIZE,
				  "block size of %" PRIu32
				  " bytes is no power of two of 512 or more",
				  v->block_size);
	v->bitmap_size = (uint32_t)pl_round_up(pl_div_round_up(v->block_size / 512, 8), 512);
	if (__builtin_mul_overflow((uint64_t)v->max_entries, v->block_size, &room))
		room = INT64_MAX;
	r = check_size(v, room, err);
	if (r < 0)
		return r;
	v->nr_blocks = pl_div_round_up(v->disk.size, v->block_size);
	r = open_table(v, err);
	if (r < 0)
		return r;
	memcpy(v->parent_uuid, b + VHD_PARENT_UUID, 16);
	v->parent_time = get_be32(b + VHD_PARENT_TIME);
	return v->footer.type == VHD_DIFFERENCING ? take_names(v, b, err) : 0;
}

static int
check_parent(struct pl_disk *child, struct pl_disk *parent, unsigned flags,
	     struct platter_error *err)
{
	struct vhd *v = vhd_of(child);
	const struct vhd_footer *f = pl_vhd_footer_of(parent);
	char wanted[PL_UUID_TEXT], found[PL_UUID_TEXT];
	int r;

	if (f && !memcmp(f->uuid, v->parent_uuid, 16))
		return 0;
	pl_uuid_text(v->parent_uuid, wanted);
	if (f)
		pl_uuid_text(f->uuid, found);
	r = pl_corrupt(err, v->header_at + VHD_PARENT_UUID,
		       "'%s' is not the parent of '%s': its UUID is %s, that of the parent is %s",
		       parent->name, child->name, f ? found : "not there", wanted);
	pl_error_place(err, v->file->name);
	pl_hint(err, "say where the image with this UUID is with --parent FILE; --ignore-checksums"
		     " takes one with another, ?backing=no opens the image alone");
	return r;
}

static int
open_parts(struct vhd *v, const struct pl_open_request *request, struct platter_error *err)
{
	struct pl_parent_link link = { .format = "vhd", .check = check_parent };
	int r = pl_disk_stack(&v->disk, v->file, err);

	if (r == 0)
		r = pl_vhd_footer_read(v->file, request->flags, &v->footer, &v->footer_at,
				       &v->data_end, &v->damage, err);
	if (r < 0)
		return r;
	v->disk.writable = request->flags & PLATTER_OPEN_WRITE && v->file->writable;
	if (v->footer.type == VHD_FIXED)
		return check_size(v, v->data_end, err);
	r = read_header(v, err);
	if (r < 0 || v->footer.type != VHD_DIFFERENCING)
		return r;
	for (size_t i = 0; i < NR_NAMES; i++)
		link.names[i] = v->names[i];
	return pl_parent_open(request, &link, &v->disk, err);
}

static int
vhd_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct vhd *v = calloc(1, sizeof *v);
	int r;

	if (!v)
		return pl_no_memory(err);
	r = pl_disk_init(&v->disk, &vhd_ops, request->file->name, err);
	if (r < 0) {
		free(v);
		return r;
	}
	v->file = pl_disk_ref(request->file);
	r = request->snapshot ? pl_fail(err, -ENOENT, "a VHD has no snapshots")
			      : open_parts(v, request, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		vhd_free(&v->disk);
		return r;
	}
	*ret = &v->disk;
	return 0;
}

/* Changing. */

/* What relinking changed of what is known. */
static int
read_again(struct vhd *v, struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE];
	int r = pl_vhd_footer_read(v->file, 0, &v->footer, &v->footer_at, &v->data_end, &v->damage,
				   err);

	if (r == 0)
		r = pl_read(v->file, b, sizeof b, v->header_at, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < NR_NAMES; i++)
		free(PL_STEAL(v->names[i]));
	memcpy(v->parent_uuid, b + VHD_PARENT_UUID, 16);
	v->parent_time = get_be32(b + VHD_PARENT_TIME);
	/* The next block goes behind the paths. */
	v->store.begun = false;
	return v->footer.type == VHD_DIFFERENCING ? take_names(v, b, err) : 0;
}

static int
vhd_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
	       struct platter_error *err)
{
	const struct vhd_footer *f = parent ? pl_vhd_footer_of(parent) : NULL;
	struct pl_parent_paths paths = { 0 };
	struct vhd *v = vhd_of(disk);
	int r;

	if (parent && !f)
		return pl_fail(err, -ENOTSUP,
			       "the parent of a VHD must be one too, and '%s' is not",
			       parent->name);
	r = pl_disk_stack(disk, parent, err);
	if (r == 0)
		r = pl_flush(disk, err);
	if (r == 0 && parent)
		r = pl_parent_paths(v->file, parent, name, &paths, err);
	if (r == 0)
		r = pl_vhd_relink(v->file, f, &paths, err);
	pl_parent_paths_done(&paths);
	if (r == 0)
		r = read_again(v, err);
	if (r < 0)
		return r;
	pl_disk_unref(disk->parent);
	disk->parent = parent ? pl_disk_ref(parent) : NULL;
	return 0;
}

static const struct pl_change_ops change_ops = {
	.set_parent = vhd_set_parent,
	.repair = vhd_repair,
	.compact = pl_vhd_compact,
};

static void
vhd_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	if (vhd_of(disk)->footer.type == VHD_FIXED)
		pl_option(ret, "subformat", "fixed");
}

static const char *const extensions[] = { "vhd", "avhd", "vud", NULL };

const struct pl_format pl_format_vhd = {
	.info = {
		.name = "vhd",
		.longname = "Microsoft virtual hard disk (Virtual PC, Hyper-V, Azure)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE |
			     PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = pl_vhd_options,
	},
	.probe = vhd_probe,
	.open = vhd_open,
	.create = pl_vhd_create,
	.check = vhd_check,
	.options_of = vhd_options_of,
	.change = &change_ops,
	.disk_ops = &vhd_ops,
};
