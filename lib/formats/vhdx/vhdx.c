/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vhdx.c - disks of Hyper-V (second generation)
 *
 * A table of blocks of 1 to 256 MiB, protected by two headers, two region tables and a log.
 * A differencing disk has, besides, bitmaps of the sectors that partly filled blocks hold.
 * Spec: Microsoft, [MS-VHDX]; vhdx.h has the layout.
 */
#include <strings.h>

#include "vhdx-image.h"
#include "parent.h"
#include "text.h"

/* What of a bitmap is looked at at once: bits of 32768 sectors. */
#define BITS_PIECE    4096u
#define BITS_OF_PIECE (BITS_PIECE * 8)

static int
vhdx_probe(const struct pl_probe *probe)
{
	int bits = 0;

	if (probe->size < VHDX_UNIT || memcmp(probe->head, "vhdxfile", 8) != 0)
		return bits;
	return 64;
}

/* Mapping. */

/* Blocks whose entries are before the index-th. */
static uint64_t
blocks_before(const struct vhdx *v, uint64_t index)
{
	return index - index / (v->info.chunk_ratio + 1u);
}

int
pl_vhdx_get_entry(struct vhdx *v, uint64_t index, uint64_t *ret, struct platter_error *err)
{
	const uint8_t *p;
	int r = pl_block_table_get(&v->bat, index * 8, 8, &p, err);

	if (r == 0)
		*ret = get_le64(p);
	return r;
}

int
pl_vhdx_bad_entry(const struct vhdx *v, uint64_t index, uint64_t block, const char *what,
		  struct platter_error *err)
{
	return pl_corrupt(err, v->info.bat.offset + index * 8, "block %" PRIu64 " %s", block, what);
}

/* A run of the block's bytes at `in_block` that are stored from `place` on. */
static int
data_run(struct vhdx *v, uint64_t index, uint64_t block, uint64_t entry, uint64_t in_block,
	 struct pl_extent *ret, struct platter_error *err)
{
	uint64_t place = entry & VHDX_OFFSET_MASK, stored;
	int r;

	if (place < VHDX_UNIT)
		return pl_vhdx_bad_entry(v, index, block,
					 "is said to be in the first MiB of the file", err);
	if (__builtin_add_overflow(place, in_block, &stored) || stored >= v->stored->size) {
		r = pl_corrupt(err, v->info.bat.offset + index * 8,
			       "block %" PRIu64 " at byte %" PRIu64
			       " passes the end of the file (%" PRIu64 " bytes)",
			       block, place, v->stored->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = v->stored;
	ret->stored_offset = stored;
	ret->length = PL_MIN(ret->length, v->stored->size - stored);
	return 0;
}

int
pl_vhdx_find_bitmap(struct vhdx *v, uint64_t block, uint64_t *ret, struct platter_error *err)
{
	uint64_t index = vhdx_entry_of_bitmap(v, block), entry = 0, at;
	int r = pl_vhdx_get_entry(v, index, &entry, err);

	if (r < 0)
		return r;
	at = entry & VHDX_OFFSET_MASK;
	if ((entry & VHDX_STATE_MASK) != VHDX_FULLY_PRESENT)
		at = 0;
	else if (at < VHDX_UNIT || !pl_in_range(at, VHDX_UNIT, v->stored->size))
		return pl_vhdx_bad_entry(v, index, block,
					 "has a bitmap that is not within the file", err);
	*ret = at;
	return 0;
}

static int
partial_run(struct vhdx *v, uint64_t index, uint64_t block, uint64_t entry, uint64_t in_block,
	    struct pl_extent *ret, struct platter_error *err)
{
	uint32_t sector_size = v->info.sector_size;
	uint64_t at;
	uint64_t sector =
		(block % v->info.chunk_ratio * v->info.block_size + in_block) / sector_size;
	uint32_t first = (uint32_t)(sector % BITS_OF_PIECE), nr;
	uint8_t bits[BITS_PIECE];
	bool there;
	int r;

	if (!(v->info.flags & VHDX_HAS_PARENT))
		return pl_vhdx_bad_entry(v, index, block,
					 "is partly there in a disk without a parent", err);
	r = pl_vhdx_find_bitmap(v, block, &at, err);
	if (r < 0)
		return r;
	if (!at)
		return pl_vhdx_bad_entry(v, vhdx_entry_of_bitmap(v, block), block,
					 "is partly there, and has no bitmap", err);
	r = pl_block_cached(&v->disk, v->meta, at + sector / BITS_OF_PIECE * BITS_PIECE, BITS_PIECE,
			    bits, err);
	if (r < 0)
		return r;
	nr = (uint32_t)PL_MIN(BITS_OF_PIECE, first + pl_div_round_up(ret->length, sector_size));
	ret->length =
		PL_MIN(ret->length,
		       (uint64_t)pl_bit_run(bits, first, nr, PL_LSB_FIRST, &there) * sector_size -
			       in_block % sector_size);
	if (!there) {
		ret->kind = PLATTER_HOLE;
		return 0;
	}
	return data_run(v, index, block, entry, in_block, ret, err);
}

/* Blocks without an entry, from the one at `index` on. */
static int
absent_run(struct vhdx *v, uint64_t index, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	uint64_t last = PL_MIN((offset + length - 1) / v->info.block_size, v->info.nr_blocks - 1);
	uint64_t end, block;
	int r = pl_block_table_skip(&v->bat, index * 8, (vhdx_entry_of_block(v, last) + 1) * 8,
				    &end, err);

	if (r < 0)
		return r;
	block = blocks_before(v, end / 8);
	*ret = (struct pl_extent){ .length = block * v->info.block_size - offset,
				   .kind = PLATTER_HOLE };
	return 0;
}

static int
vhdx_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	uint64_t block = offset / v->info.block_size, in_block = offset % v->info.block_size;
	uint64_t index = vhdx_entry_of_block(v, block), entry = 0;
	int r = pl_vhdx_get_entry(v, index, &entry, err);

	if (r < 0)
		return r;
	if (!entry)
		return absent_run(v, index, offset, length, ret, err);
	*ret = (struct pl_extent){ .length = v->info.block_size - in_block };
	switch (entry & VHDX_STATE_MASK) {
	case VHDX_NOT_PRESENT: ret->kind = PLATTER_HOLE; return 0;
	/* These hide the parent; what they held before need not read as zeros, but may. */
	case VHDX_UNDEFINED:
	case VHDX_ZERO:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_V095: ret->kind = PLATTER_ZERO; return 0;
	case VHDX_FULLY_PRESENT: return data_run(v, index, block, entry, in_block, ret, err);
	case VHDX_PARTIALLY_PRESENT: return partial_run(v, index, block, entry, in_block, ret, err);
	default:
		return pl_vhdx_bad_entry(v, index, block, "is in state 4, which is not known", err);
	}
}

static int
vhdx_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	int r = pl_blocks_map(disk, vhdx_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, vhdx_of(disk)->file->name);
	return r;
}

/* Particulars. */

static const char *
subformat(const struct vhdx *v)
{
	if (v->info.flags & VHDX_HAS_PARENT)
		return "differencing";
	return v->info.flags & VHDX_LEAVE_ALLOCATED ? "fixed" : "dynamic";
}

static const struct {
	unsigned bit;
	enum platter_severity severity;
	uint64_t at;
	const char *words;
} damages[] = {
	{ VHDX_HEADER_LOST, PLATTER_NOTE, VHDX_HEADER_1,
	  "one of the two headers is not sound, as after a crash" },
	{ VHDX_HEADERS_DIFFER, PLATTER_DAMAGE, VHDX_HEADER_1,
	  "the two headers differ and have the same sequence number" },
	{ VHDX_REGIONS_LOST, PLATTER_DAMAGE, VHDX_REGIONS_1,
	  "one of the two region tables is not sound" },
	{ VHDX_REGIONS_DIFFER, PLATTER_DAMAGE, VHDX_REGIONS_1, "the two region tables differ" },
	{ VHDX_LOG_EMPTY, PLATTER_NOTE, VHDX_HEADER_1,
	  "the log is not marked as empty, and holds no whole entry to replay" },
	{ VHDX_CRC_IGNORED, PLATTER_DAMAGE, VHDX_HEADER_1,
	  "the checksum of a header or region table does not match" },
};

static void
describe_parent(const struct vhdx_info *info, struct pl_facts *facts)
{
	if (info->linkage)
		pl_fact_text(facts, "parent_linkage", "parent's write GUID", "%s", info->linkage);
	if (info->relative_path)
		pl_fact_text(facts, "parent_relative", "parent's relative path", "%s",
			     info->relative_path);
	if (info->absolute_path)
		pl_fact_text(facts, "parent_absolute", "parent's absolute path", "%s",
			     info->absolute_path);
	if (info->volume_path)
		pl_fact_text(facts, "parent_volume", "parent's path on its volume", "%s",
			     info->volume_path);
}

static void
vhdx_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct vhdx *v = vhdx_of(disk);
	const struct vhdx_info *info = &v->info;
	char guid[PL_UUID_TEXT];

	pl_fact_text(facts, "subformat", "kind", "%s", subformat(v));
	pl_fact_size(facts, "block_size", "block size", info->block_size);
	if (*info->creator)
		pl_fact_text(facts, "creator", "made by", "%s", info->creator);
	pl_guid_text(info->disk_id, guid);
	pl_fact_text(facts, "disk_id", "disk id", "%s", guid);
	pl_guid_text(info->header.data_write_guid, guid);
	pl_fact_text(facts, "data_write_guid", "write GUID", "%s", guid);
	if (info->flags & VHDX_HAS_PARENT)
		describe_parent(info, facts);
	if (v->nr_replayed && !v->disk.writable)
		pl_fact_number(facts, "log_entries_replayed", "log entries replayed in memory",
			       v->nr_replayed);
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (info->damage & damages[i].bit)
			pl_warn(facts, "%s", damages[i].words);
}

/* Checking. */

/* One entry of the table; `is_bitmap`: of a sector bitmap. */
static int
check_entry(struct vhdx *v, uint64_t index, uint64_t entry, bool is_bitmap,
	    struct pl_claims *claims, struct pl_findings *findings, struct platter_error *err)
{
	uint64_t at = v->info.bat.offset + index * 8, place = entry & VHDX_OFFSET_MASK;
	uint64_t number = is_bitmap ? index / (v->info.chunk_ratio + 1u) : blocks_before(v, index);
	uint64_t length = is_bitmap ? VHDX_UNIT : v->info.block_size;
	unsigned state = (unsigned)(entry & VHDX_STATE_MASK);
	const char *what = is_bitmap ? "sector bitmap" : "block";

	if (entry & VHDX_RESERVED_MASK)
		pl_found(findings, PLATTER_DAMAGE, at,
			 "%s %" PRIu64 ": reserved bits of its entry (0x%016" PRIx64 ") are set",
			 what, number, entry);
	if (state == 4 || (is_bitmap && state != VHDX_NOT_PRESENT && state != VHDX_FULLY_PRESENT) ||
	    (state == VHDX_PARTIALLY_PRESENT && !(v->info.flags & VHDX_HAS_PARENT)))
		pl_found(findings, PLATTER_DAMAGE, at, "%s %" PRIu64 " is in state %u", what,
			 number, state);
	if (state != VHDX_FULLY_PRESENT && state != VHDX_PARTIALLY_PRESENT)
		return 0;
	if (place < VHDX_UNIT || !pl_in_range(place, length, v->stored->size)) {
		pl_found(findings, PLATTER_DAMAGE, at,
			 "%s %" PRIu64 " at byte %" PRIu64 " is not within the file (%" PRIu64
			 " bytes)",
			 what, number, place, v->stored->size);
		return 0;
	}
	return pl_claim(claims, place, length, what, number, err);
}

int
pl_vhdx_next_entry(struct vhdx *v, uint64_t *index, uint64_t *ret, struct platter_error *err)
{
	uint64_t nr = v->info.nr_entries, end;
	int r = pl_block_table_skip(&v->bat, PL_MIN(*index, nr) * 8, nr * 8, &end, err);

	if (r < 0)
		return r;
	*index = end / 8;
	*ret = 0;
	return *index == nr ? 0 : pl_vhdx_get_entry(v, *index, ret, err);
}

static int
check_blocks(struct vhdx *v, struct pl_claims *claims, struct pl_findings *findings,
	     struct platter_error *err)
{
	for (uint64_t i = 0;; i++) {
		uint64_t entry;
		int r = pl_vhdx_next_entry(v, &i, &entry, err);

		if (r == 0 && i < v->info.nr_entries)
			r = check_entry(v, i, entry, vhdx_is_bitmap(v, i), claims, findings, err);
		if (r < 0 || i == v->info.nr_entries)
			return r;
	}
}

static int
claim_fixed_parts(const struct vhdx_info *info, struct pl_claims *claims, struct platter_error *err)
{
	int r = pl_claim(claims, 0, VHDX_UNIT, "the headers", PL_ONLY, err);

	if (r == 0)
		r = pl_claim(claims, info->bat.offset, info->bat.length, "the block table", PL_ONLY,
			     err);
	if (r == 0)
		r = pl_claim(claims, info->metadata.offset, info->metadata.length, "the metadata",
			     PL_ONLY, err);
	if (r == 0 && info->header.log_offset >= VHDX_UNIT)
		r = pl_claim(claims, info->header.log_offset, info->header.log_length, "the log",
			     PL_ONLY, err);
	return r;
}

int
pl_vhdx_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	struct pl_claims claims = { 0 };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (v->info.damage & damages[i].bit)
			pl_found(findings, damages[i].severity, damages[i].at, "%s",
				 damages[i].words);
	if (v->nr_replayed && !v->disk.writable)
		pl_found(findings, PLATTER_NOTE, v->info.header.log_offset,
			 "log entries that had to be replayed in memory: %zu", v->nr_replayed);
	r = claim_fixed_parts(&v->info, &claims, err);
	if (r == 0)
		r = check_blocks(v, &claims, findings, err);
	if (r == 0)
		pl_claims_report(&claims, findings);
	pl_claims_done(&claims);
	return r;
}

static struct pl_disk *
vhdx_below(struct pl_disk *disk, size_t index)
{
	struct vhdx *v = vhdx_of(disk);

	return index == 0 ? v->file : index == 1 && v->stored != v->file ? v->stored : NULL;
}

static void
vhdx_free(struct pl_disk *disk)
{
	struct vhdx *v = vhdx_of(disk);

	pl_vhdx_close_store(v);
	pl_vhdx_info_done(&v->info);
	pl_block_table_done(&v->bat);
	pl_disk_unref(v->stored);
	pl_disk_unref(v->file);
	pl_disk_done(disk);
	free(v);
}

static const struct pl_disk_ops vhdx_ops = {
	.name = "vhdx",
	.map = vhdx_map,
	.write = pl_vhdx_write,
	.zero = pl_vhdx_zero,
	.discard = pl_vhdx_discard,
	.flush = pl_vhdx_flush,
	.resize = pl_vhdx_resize,
	.below = vhdx_below,
	.describe = vhdx_describe,
	.free = vhdx_free,
};

const struct vhdx_info *
pl_vhdx_info_of(struct pl_disk *disk)
{
	return disk->ops == &vhdx_ops ? &vhdx_of(disk)->info : NULL;
}

/* Opening. */

/* "{XXXXXXXX-...}" as the locator has it, in either case, and a GUID. */
static bool
is_linkage(const char *text, const char *guid)
{
	if (!text)
		return false;
	text += *text == '{';
	return strncasecmp(text, guid, PL_UUID_TEXT - 1) == 0;
}

/* Has a commit of this overlay given its parent the write GUID that it has? */
static bool
was_begun(const struct vhdx *overlay, const uint8_t *guid)
{
	const char *links[] = { overlay->info.linkage, overlay->info.linkage2 };
	uint8_t was[16], next[16];

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (!links[i] || !pl_guid_parse(links[i] + (*links[i] == '{'), was))
			continue;
		pl_committed_id(was, overlay->info.header.data_write_guid, 16, next);
		if (!memcmp(guid, next, 16))
			return true;
	}
	return false;
}

static int
check_parent(struct pl_disk *child, struct pl_disk *parent, unsigned flags,
	     struct platter_error *err)
{
	struct vhdx *v = vhdx_of(child);
	const struct vhdx_info *info = pl_vhdx_info_of(parent);
	char guid[PL_UUID_TEXT] = "";
	int r;

	if (info)
		pl_guid_text(info->header.data_write_guid, guid);
	if (info && (is_linkage(v->info.linkage, guid) || is_linkage(v->info.linkage2, guid)))
		return 0;
	if (info && was_begun(v, info->header.data_write_guid))
		return pl_parent_was_begun(flags, v->file->name, parent->name, err);
	r = pl_corrupt(err, v->info.locator_at,
		       "'%s' is not as it was when '%s' was made from it: its write GUID is {%s},"
		       " that of the parent was %s",
		       parent->name, child->name, guid,
		       v->info.linkage ? v->info.linkage : "not recorded");
	pl_error_place(err, v->file->name);
	pl_hint(err,
		"say where the parent as it was is with --parent FILE; --ignore-checksums takes"
		" it as it is, ?backing=no opens the image alone");
	return r;
}

int
pl_vhdx_load_table(struct vhdx *v, struct platter_error *err)
{
	struct pl_block_table bat = { 0 };
	int r = pl_block_table_init(&bat, v->meta, v->info.bat.offset, v->info.nr_entries * 8, 0,
				    err);

	if (r < 0)
		return r;
	pl_block_table_done(&v->bat);
	v->bat = bat;
	return 0;
}

static int
open_parent(struct vhdx *v, const struct pl_open_request *request, struct platter_error *err)
{
	const struct vhdx_info *info = &v->info;
	struct pl_parent_link link = {
		.format = "vhdx",
		.names = { info->relative_path, info->absolute_path, info->volume_path },
		.check = check_parent,
	};

	return info->flags & VHDX_HAS_PARENT ? pl_parent_open(request, &link, &v->disk, err) : 0;
}

/* What a checksum does not vouch for is only read. */
static bool
may_write(const struct vhdx *v, const struct pl_open_request *request)
{
	return request->flags & PLATTER_OPEN_WRITE && v->file->writable &&
	       !(v->info.damage & VHDX_CRC_IGNORED);
}

static int
open_parts(struct vhdx *v, const struct pl_open_request *request, struct platter_error *err)
{
	struct vhdx_info *info = &v->info;
	int r = pl_vhdx_header_read(v->file, request->flags, info, err);

	if (r == 0)
		r = pl_vhdx_replay(v->file, info, &v->stored, &v->nr_replayed, err);
	if (r == 0)
		r = pl_disk_stack(&v->disk, v->stored, err);
	if (r == 0)
		r = pl_vhdx_metadata_read(v->stored, request->flags, info, err);
	if (r < 0)
		return r;
	v->meta = v->stored;
	v->disk.size = info->size;
	v->disk.sector_size = info->sector_size;
	v->disk.physical_sector_size = info->physical_sector_size;
	r = open_parent(v, request, err);
	if (r == 0 && may_write(v, request))
		r = pl_vhdx_open_store(v, err);
	return r == 0 ? pl_vhdx_load_table(v, err) : r;
}

static int
vhdx_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct vhdx *v = calloc(1, sizeof *v);
	int r;

	if (!v)
		return pl_no_memory(err);
	r = pl_disk_init(&v->disk, &vhdx_ops, request->file->name, err);
	if (r < 0) {
		free(v);
		return r;
	}
	v->file = pl_disk_ref(request->file);
	r = request->snapshot ? pl_fail(err, -ENOENT, "a VHDX has no snapshots")
			      : open_parts(v, request, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		vhdx_free(&v->disk);
		return r;
	}
	*ret = &v->disk;
	return 0;
}

/* Changing. */

static int
check_link(const struct vhdx *v, const struct pl_disk *parent, const struct vhdx_info *info,
	   struct platter_error *err)
{
	int r;

	if (parent && !info)
		return pl_fail(err, -ENOTSUP,
			       "the parent of a VHDX must be one too, and '%s' is not",
			       parent->name);
	if (!parent || !(v->info.flags & VHDX_HAS_PARENT)) {
		r = pl_fail(err, -ENOTSUP, "a VHDX is made with a parent or without, and stays so");
		pl_hint(err, parent ? "make an overlay: platter create --parent FILE IMAGE"
				    : "make it whole: platter flatten IMAGE");
		return r;
	}
	if (info->sector_size != v->info.sector_size)
		return pl_fail(err, -ENOTSUP,
			       "the sectors of '%s' have %" PRIu32 " bytes, those of its overlay"
			       " %" PRIu32,
			       parent->name, info->sector_size, v->info.sector_size);
	if (v->stored != v->file || !vhdx_is_zero_guid(v->info.header.log_guid))
		return pl_fail(err, -ENOTSUP, "'%s' has a log that is to be replayed first",
			       v->disk.name);
	return 0;
}

static int
vhdx_set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
		struct platter_error *err)
{
	const struct vhdx_info *info = parent ? pl_vhdx_info_of(parent) : NULL;
	struct pl_parent_paths paths = { 0 };
	struct vhdx *v = vhdx_of(disk);
	int r = pl_flush(disk, err);

	if (r == 0 && v->store.staged)
		r = pl_vhdx_close_log(v, err);
	if (r == 0)
		r = check_link(v, parent, info, err);
	if (r == 0)
		r = pl_disk_stack(disk, parent, err);
	if (r == 0)
		r = pl_parent_paths(v->file, parent, name, &paths, err);
	if (r == 0)
		r = pl_vhdx_header_update(v->file, &v->info.header, VHDX_CHANGES_FILE, err);
	if (r == 0)
		r = pl_vhdx_relink(v->file, &v->info.metadata, info->header.data_write_guid, &paths,
				   err);
	pl_parent_paths_done(&paths);
	if (r < 0)
		return r;
	pl_disk_unref(disk->parent);
	disk->parent = pl_disk_ref(parent);
	return 0;
}

static int
vhdx_begin_commit(struct pl_disk *disk, struct pl_disk *overlay, struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk), *top = vhdx_of(overlay);
	struct vhdx_header *h = &v->info.header;
	uint8_t guid[16];
	int r = pl_store_begin(&v->store, err);

	memcpy(guid, h->data_write_guid, 16);
	if (!was_begun(top, guid))
		pl_committed_id(guid, top->info.header.data_write_guid, 16, guid);
	if (r == 0)
		r = pl_vhdx_header_name(v->file, h, guid, err);
	v->touched |= r == 0;
	return r;
}

static const struct pl_change_ops change_ops = {
	.set_parent = vhdx_set_parent,
	.begin_commit = vhdx_begin_commit,
	.repair = pl_vhdx_repair,
	.compact = pl_vhdx_compact,
};

static void
vhdx_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	const struct vhdx_info *info = &vhdx_of(disk)->info;

	if (info->flags & VHDX_LEAVE_ALLOCATED)
		pl_option(ret, "subformat", "fixed");
	pl_option(ret, "block_size", "%" PRIu32, info->block_size);
	pl_option(ret, "sector_size", "%" PRIu32, info->sector_size);
	if (info->header.log_length)
		pl_option(ret, "log_size", "%" PRIu32, info->header.log_length);
}

static const char *const extensions[] = { "vhdx", "avhdx", NULL };

const struct pl_format pl_format_vhdx = {
	.info = {
		.name = "vhdx",
		.longname = "Microsoft virtual hard disk v2 (Hyper-V)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE |
			     PLATTER_CAN_BACK | PLATTER_CAN_CHECK,
		.options = pl_vhdx_options,
	},
	.probe = vhdx_probe,
	.open = vhdx_open,
	.create = pl_vhdx_create,
	.check = pl_vhdx_check,
	.options_of = vhdx_options_of,
	.change = &change_ops,
	.disk_ops = &vhdx_ops,
};
