/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.c - random writes into VMDK disks
 *
 * Flat extents are written as they lie in their files.  Hosted sparse extents get new grains
 * behind all others; both copies of the grain tables name them afterwards.  The first change
 * gives the disk another content ID, by which overlays notice that their parent was changed.
 */
#include <stdio.h>
#include <strings.h>

#include "parent.h"
#include "vmdk-store.h"

/* Would data at `at` be written over the header or a directory? */
static bool
is_metadata(const struct vmdk_sparse *s, uint64_t at)
{
	uint64_t n = (uint64_t)s->nr_tables * s->entry_size;

	return at < VMDK_SECTOR || (at + s->grain > s->directory_at && at < s->directory_at + n) ||
	       (s->redundant_at && at + s->grain > s->redundant_at && at < s->redundant_at + n);
}

static int
get_grain(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	static const enum platter_kind kinds[] = { PLATTER_HOLE, PLATTER_ZERO, PLATTER_DATA };
	const struct vmdk_sparse *sparse = vmdk_store_of(s)->sparse;
	struct vmdk_grain g;
	int r = pl_vmdk_grain_get(sparse, index, &g, err);

	if (r < 0)
		return r;
	if (g.kind == VMDK_GRAIN_DATA && is_metadata(sparse, g.at))
		return pl_corrupt(err, g.at,
				  "grain %" PRIu64 " lies over the header or a directory", index);
	*ret = (struct pl_stored_block){ .kind = kinds[g.kind], .at = g.at };
	return 0;
}

/* An empty grain table at the end of the file, named by a directory. */
static int
add_table(struct pl_store *s, uint64_t directory_at, uint64_t *tables_at, size_t number,
	  struct platter_error *err)
{
	const struct vmdk_sparse *sparse = vmdk_store_of(s)->sparse;
	uint8_t entry[4];
	uint64_t at;
	int r = pl_store_extend(s, pl_round_up(sparse->table_bytes, VMDK_SECTOR), &at, err);

	if (r < 0)
		return r;
	put_le32(entry, (uint32_t)(at / VMDK_SECTOR));
	r = pl_write(s->staged, entry, sizeof entry, directory_at + number * sizeof entry, err);
	if (r == 0)
		__atomic_store_n(&tables_at[number], at, __ATOMIC_RELEASE);
	return r;
}

static int
set_grain(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct vmdk_sparse *sparse = vmdk_store_of(s)->sparse;
	size_t number = (size_t)(index / sparse->gt_entries);
	uint64_t in_table = index % sparse->gt_entries * 4;
	uint64_t *copies = sparse->redundant_tables_at;
	uint8_t entry[4];
	int r = 0;

	(void)fresh;
	put_le32(entry, block->kind == PLATTER_DATA   ? (uint32_t)(block->at / VMDK_SECTOR)
			: block->kind == PLATTER_ZERO ? 1
						      : 0);
	if (!sparse->tables_at[number])
		r = add_table(s, sparse->directory_at, sparse->tables_at, number, err);
	if (r == 0 && copies && !copies[number])
		r = add_table(s, sparse->redundant_at, copies, number, err);
	if (r == 0)
		r = pl_write(s->staged, entry, 4, sparse->tables_at[number] + in_table, err);
	if (r == 0 && copies && copies[number] != sparse->tables_at[number])
		r = pl_write(s->staged, entry, 4, copies[number] + in_table, err);
	return r;
}

/* The digits of the content ID in the text of a descriptor, NULL: none that can be replaced. */
static char *
find_cid(char *text)
{
	char *p = text;

	while (p && strncasecmp(p, "CID=", 4) != 0) {
		p = strchr(p, '\n');
		p += p != NULL;
	}
	return p && strspn(p + 4, "0123456789abcdefABCDEF") == 8 ? p + 4 : NULL;
}

int
pl_vmdk_read_text(struct vmdk *v, char **ret, struct platter_error *err)
{
	uint8_t *bytes;
	int r = pl_read_alloc(v->files[0], (size_t)v->text_room, v->text_at, &bytes, err);

	if (r < 0)
		return r;
	*ret = strndup((char *)bytes, (size_t)v->text_room);
	free(bytes);
	return *ret ? 0 : pl_no_memory(err);
}

/* Give the disk this content ID, if it has one. */
static int
set_cid(struct vmdk *v, uint32_t new_cid, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	char digits[9], *cid;
	int r = pl_vmdk_read_text(v, &text, err);

	cid = r == 0 ? find_cid(text) : NULL;
	if (!cid)
		return r;
	snprintf(digits, sizeof digits, "%08" PRIx32, new_cid);
	r = pl_write(v->files[0], digits, 8, v->text_at + (uint64_t)(cid - text), err);
	if (r < 0)
		return r;
	v->descriptor.cid = new_cid;
	v->changed = true;
	return 0;
}

int
pl_vmdk_begin(struct vmdk *v, struct platter_error *err)
{
	uint8_t random[16];
	int r;

	if (v->changed || !v->descriptor.has_cid)
		return 0;
	r = pl_new_uuid(random, err);
	/* All ones would say that there is none; its lowest bit is not needed. */
	return r == 0 ? set_cid(v, get_le32(random) & ~1u, err) : r;
}

/* The content ID of a parent when the overlay is committed into it; another than it was. */
static uint32_t
cid_after_commit(uint32_t was, const struct vmdk *overlay)
{
	uint8_t from[4], own[4], ret[4];
	uint32_t cid;

	put_le32(from, was);
	put_le32(own, overlay->descriptor.cid);
	pl_committed_id(from, own, sizeof ret, ret);
	cid = get_le32(ret) & ~1u;
	return cid == was ? cid ^ 2 : cid;
}

bool
pl_vmdk_was_begun(const struct vmdk *overlay, uint32_t parent_cid)
{
	return parent_cid == cid_after_commit(overlay->descriptor.parent_cid, overlay);
}

int
pl_vmdk_begin_commit(struct pl_disk *disk, struct pl_disk *overlay, struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	const struct vmdk *top = vmdk_of(overlay);
	uint32_t cid = v->descriptor.cid;
	int r;

	if (!v->descriptor.has_cid)
		return 0;
	r = set_cid(v, pl_vmdk_was_begun(top, cid) ? cid : cid_after_commit(cid, top), err);
	return r == 0 ? pl_flush(v->files[0], err) : r;
}

static int
set_unclean(const struct vmdk_sparse *s, uint8_t unclean, struct platter_error *err)
{
	return pl_write(s->file, &unclean, 1, HOSTED_UNCLEAN, err);
}

static int
begin_extent(struct pl_store *s, struct platter_error *err)
{
	struct vmdk_store *store = vmdk_store_of(s);
	int r = pl_vmdk_begin(store->image, err);

	s->frontier = pl_round_up(s->file->size, VMDK_SECTOR);
	return r == 0 ? set_unclean(store->sparse, 1, err) : r;
}

static const struct pl_store_ops store_ops = {
	.get = get_grain,
	.set = set_grain,
	.begin = begin_extent,
};

static int
not_writable(const struct vmdk_extent *e, struct platter_error *err)
{
	const struct vmdk_sparse *s = e->sparse;
	bool damaged;
	int r;

	if (!s || (s->type == VMDK_SPARSE && !(s->flags & HOSTED_FLAG_COMPRESSED))) {
		damaged = s && (s->salvaged || s->lost_directory || s->nr_replaced);
		if (!damaged)
			return 0;
		r = pl_corrupt(err, s->directory_field, "the grain directory of '%s' is damaged",
			       s->file->name);
		pl_hint(err, "repair the image first: platter repair");
		return r;
	}
	r = pl_unsupported(err, PLATTER_NO_OFFSET,
			   "'%s' is a %s extent, which cannot be written in place", s->file->name,
			   s->type == VMDK_COWD       ? "COWD"
			   : s->type == VMDK_SESPARSE ? "SESPARSE"
						      : "streamOptimized");
	pl_hint(err, "convert it: platter convert -O vmdk");
	return r;
}

int
pl_vmdk_prepare_extent(struct vmdk *v, struct vmdk_extent *e, struct platter_error *err)
{
	struct vmdk_store *store = calloc(1, sizeof *store);
	int r;

	if (!store)
		return pl_no_memory(err);
	store->image = v;
	store->sparse = e->sparse;
	store->store = (struct pl_store){
		.ops = &store_ops,
		.disk = &v->disk,
		.file = e->file,
		.base = e->start,
		.length = e->length,
		.block_size = (uint32_t)e->sparse->grain,
		.align = VMDK_SECTOR,
		.can_zero = e->sparse->flags & HOSTED_FLAG_ZEROED,
		.limit = (uint64_t)UINT32_MAX * VMDK_SECTOR,
	};
	e->store = store;
	r = pl_store_init(&store->store, err);
	if (r == 0)
		e->sparse->tables = store->store.staged;
	return r;
}

int
pl_vmdk_prepare(struct vmdk *v, unsigned flags, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < v->nr_extents && r == 0; i++) {
		struct vmdk_extent *e = &v->extents[i];

		/* The descriptor can be another also where extents cannot. */
		r = flags & (PLATTER_OPEN_IGNORE_CHECKSUMS | PL_OPEN_RELINK) ? 0
									     : not_writable(e, err);
		if (r == 0 && e->sparse && e->sparse->type == VMDK_SPARSE)
			r = pl_vmdk_prepare_extent(v, e, err);
	}
	if (r == 0)
		v->disk.writable = true;
	return r;
}

void
pl_vmdk_close(struct vmdk_extent *e)
{
	struct vmdk_store *store = e->store;

	if (!store)
		return;
	/* Whoever opens it next may trust it, unless changes were lost. */
	if (store->store.begun && pl_store_flush(&store->store, NULL) == 0)
		(void)set_unclean(store->sparse, 0, NULL);
	pl_store_done(&store->store);
	free(store);
}

/* The part of a range that lies in one extent. */
static struct vmdk_extent *
extent_at(struct vmdk *v, uint64_t offset, uint64_t length, uint64_t *ret_length)
{
	struct vmdk_extent *e = pl_vmdk_extent_at(v, offset);

	*ret_length = PL_MIN(length, e->start + e->length - offset);
	return e;
}

static int
no_storage(const struct vmdk_extent *e, struct platter_error *err)
{
	return pl_fail(err, -EROFS,
		       "bytes %" PRIu64 " to %" PRIu64
		       " of the disk are zeros by its descriptor, and cannot be written",
		       e->start, e->start + e->length);
}

int
pl_vmdk_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	      struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	const uint8_t *p = buf;
	int r = pl_vmdk_begin(v, err);

	while (n && r == 0) {
		uint64_t length;
		struct vmdk_extent *e = extent_at(v, offset, n, &length);

		if (e->store)
			r = pl_store_write(&e->store->store, p, (size_t)length, offset, err);
		else if (e->type == VMDK_FLAT)
			r = pl_write(e->file, p, (size_t)length,
				     e->file_offset + (offset - e->start), err);
		else
			r = no_storage(e, err);
		p += length;
		offset += length;
		n -= (size_t)length;
	}
	return r;
}

int
pl_vmdk_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	     struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	int r = pl_vmdk_begin(v, err);

	while (length && r == 0) {
		uint64_t n;
		struct vmdk_extent *e = extent_at(v, offset, length, &n);

		if (e->store)
			r = pl_store_zero(&e->store->store, offset, n, flags, err);
		else if (e->type == VMDK_FLAT)
			r = pl_zero(e->file, e->file_offset + (offset - e->start), n, flags, err);
		offset += n;
		length -= n;
	}
	return r;
}

int
pl_vmdk_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_vmdk_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_vmdk_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	int r = 0;

	for (size_t i = 0; i < v->nr_extents && r == 0; i++) {
		struct vmdk_extent *e = &v->extents[i];

		if (e->store)
			r = pl_store_flush(&e->store->store, err);
		else if (e->file)
			r = pl_flush(e->file, err);
	}
	/* The content ID is in the descriptor, which may be a file of its own. */
	return r == 0 ? pl_flush(v->files[0], err) : r;
}

static int
compact_extent(struct pl_store *store, struct platter_error *err)
{
	const struct vmdk_sparse *s = vmdk_store_of(store)->sparse;
	uint64_t directory = (uint64_t)s->nr_tables * s->entry_size;
	struct pl_range *kept = pl_realloc_array(NULL, s->nr_tables * 2 + 4, sizeof *kept);
	size_t nr = 0;
	int r;

	if (!kept)
		return pl_no_memory(err);
	kept[nr++] = (struct pl_range){ 0, VMDK_SECTOR };
	kept[nr++] = (struct pl_range){ s->descriptor_at, s->descriptor_at + s->descriptor_bytes };
	kept[nr++] = (struct pl_range){ s->directory_at, s->directory_at + directory };
	if (s->redundant_at)
		kept[nr++] = (struct pl_range){ s->redundant_at, s->redundant_at + directory };
	for (size_t i = 0; i < s->nr_tables; i++) {
		uint64_t copy = s->redundant_tables_at ? s->redundant_tables_at[i] : 0;

		if (s->tables_at[i])
			kept[nr++] = (struct pl_range){ s->tables_at[i],
							s->tables_at[i] + s->table_bytes };
		if (copy)
			kept[nr++] = (struct pl_range){ copy, copy + s->table_bytes };
	}
	r = pl_store_compact(store, kept, nr, err);
	free(kept);
	return r;
}

int
pl_vmdk_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	int r = 0;

	for (size_t i = 0; i < v->nr_extents && r == 0; i++)
		if (v->extents[i].store)
			r = compact_extent(&v->extents[i].store->store, err);
	return r;
}

/* What of a table can be taken from its copy, and its copy made the same. */
static int
repair_table(struct vmdk_sparse *s, size_t number, bool dry_run, bool *ret_repaired,
	     struct platter_error *err)
{
	uint64_t at = s->tables_at[number], copy_at = s->redundant_tables_at[number];
	uint64_t first = (uint64_t)number * s->gt_entries;
	uint8_t table[VMDK_MAX_TABLE], copy[VMDK_MAX_TABLE];
	int r;

	*ret_repaired = false;
	if (!at || !copy_at || at == copy_at || !pl_in_range(at, s->table_bytes, s->file->size) ||
	    !pl_in_range(copy_at, s->table_bytes, s->file->size))
		return 0;
	r = pl_vmdk_table_read(s, at, table, err);
	if (r == 0)
		r = pl_vmdk_table_read(s, copy_at, copy, err);
	if (r < 0 || !memcmp(table, copy, s->table_bytes))
		return r;
	for (uint32_t i = 0;
	     i < s->gt_entries && first + i < pl_div_round_up(s->capacity, s->grain); i++) {
		struct vmdk_grain g;

		if (pl_vmdk_grain_decode(s, table, at, i, first, &g, NULL) < 0 &&
		    pl_vmdk_grain_decode(s, copy, copy_at, i, first, &g, NULL) == 0)
			memcpy(table + (size_t)i * 4, copy + (size_t)i * 4, 4);
	}
	*ret_repaired = true;
	if (dry_run)
		return 0;
	r = pl_write(s->file, table, s->table_bytes, at, err);
	if (r == 0)
		r = pl_write(s->file, table, s->table_bytes, copy_at, err);
	/* The cache holds them as they were. */
	atomic_fetch_add(&s->tables->generation, 1);
	return r;
}

/* The directory from what is known of its tables, which its copy may have told. */
static int
repair_directory(struct vmdk_sparse *s, bool dry_run, bool *ret_repaired, struct platter_error *err)
{
	uint64_t n = (uint64_t)s->nr_tables * 4;
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	*ret_repaired = false;
	if (!(s->lost_directory || s->nr_replaced) || s->salvaged ||
	    !pl_in_range(s->directory_at, n, s->file->size))
		return 0;
	*ret_repaired = true;
	if (dry_run)
		return 0;
	bytes = malloc((size_t)n + 1);
	if (!bytes)
		return pl_no_memory(err);
	for (size_t i = 0; i < s->nr_tables; i++)
		put_le32(bytes + i * 4, (uint32_t)(s->tables_at[i] / VMDK_SECTOR));
	r = pl_write(s->file, bytes, (size_t)n, s->directory_at, err);
	if (r == 0) {
		s->lost_directory = false;
		s->nr_replaced = 0;
	}
	return r;
}

static int
repair_extent(struct vmdk_sparse *s, bool dry_run, struct pl_findings *findings,
	      struct platter_error *err)
{
	bool repaired;
	int r = repair_directory(s, dry_run, &repaired, err);

	if (r == 0 && repaired)
		pl_found(findings, PLATTER_REPAIRED, s->directory_at,
			 "'%s': the grain directory is damaged; its copy tells what it was",
			 s->file->name);
	for (size_t i = 0; s->redundant_tables_at && i < s->nr_tables && r == 0; i++) {
		r = repair_table(s, i, dry_run, &repaired, err);
		if (r == 0 && repaired)
			pl_found(findings, PLATTER_REPAIRED, s->tables_at[i],
				 "'%s': grain table %zu and its copy differ", s->file->name, i);
	}
	if (r == 0 && s->unclean && !dry_run)
		r = set_unclean(s, 0, err);
	if (r == 0 && s->unclean) {
		pl_found(findings, PLATTER_REPAIRED, HOSTED_UNCLEAN, "'%s' was not closed",
			 s->file->name);
		s->unclean = false;
	}
	return r == 0 && !dry_run ? pl_flush(s->file, err) : r;
}

int
pl_vmdk_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
	       struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	uint64_t before = findings->count[PLATTER_REPAIRED];
	int r = 0;

	for (size_t i = 0; i < v->nr_extents && r == 0; i++)
		if (v->extents[i].sparse && v->extents[i].sparse->type == VMDK_SPARSE)
			r = repair_extent(v->extents[i].sparse, dry_run, findings, err);
	/* What is still wrong; before anything is written that is more than what will be left. */
	if (r == 0 && (!dry_run || findings->count[PLATTER_REPAIRED] == before))
		r = pl_vmdk_check(disk, findings, err);
	return r;
}
