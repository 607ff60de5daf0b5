/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/folder.c - the folders of F2FS
 *
 * Entries stand in blocks, or in the inode in place of its addresses:
 *
 *	a bitmap of the slots that are taken, the lowest bit first
 *	unused, so that the rest ends with the block
 *	11 bytes for each slot: hash of the name (4), inode (4), length of the name (2), type (1)
 *	8 bytes for each slot: the name, which takes as many slots as it needs
 *
 * The blocks are a table of hashes in levels: level n has 2^(n + the folder's own) buckets of two
 * blocks, or of four from level 31 on; a name is in its bucket of some level.  See
 * fs/f2fs/dir.c of the Linux kernel.
 */
#include "f2fs.h"
#include "fscrypt.h"
#include "tea.h"

enum {
	ENTRY = 11,
	SLOT = 8,
	MAX_NAME = 255,
	MAX_LEVELS = 63,
	LARGE_BUCKETS = 31, /* levels from here on have no more buckets, and larger ones */
};

/* A block's slots, or an inode's. */
struct slots {
	const uint8_t *bitmap, *entries, *names;
	size_t nr;
	uint64_t at; /* on the disk, or that of the inode */
};

struct lister {
	const struct f2fs_inode *folder;
	pl_entry_fn *fn;
	void *closure;
	int ended;  /* what fn answered */
	int failed; /* the first damage */
	struct platter_error *err;
};

static struct slots
slots_of(const uint8_t *bytes, size_t size, uint64_t at)
{
	struct slots s = { .bitmap = bytes, .at = at };

	s.nr = size * 8 / ((ENTRY + SLOT) * 8 + 1);
	s.names = bytes + size - s.nr * SLOT;
	/* In a block and in an inode alike, what is unused is behind the bitmap. */
	s.entries = s.names - s.nr * ENTRY;
	return s;
}

static bool
is_encrypted(const struct f2fs_inode *i)
{
	return i->advise & F2FS_ADVISE_ENCRYPTED;
}

static void
damaged(struct lister *l, int code, const struct platter_error *why)
{
	if (l->failed)
		return;
	l->failed = code;
	if (l->err)
		*l->err = *why;
}

/* The entry in slot k, or the first behind it: 1; at the end 0; -EUCLEAN, and *k is behind it. */
static int
next_entry(const struct slots *s, size_t *k, const uint8_t **ret, size_t *ret_slot,
	   struct platter_error *err)
{
	size_t length, taken;

	while (*k < s->nr && !(s->bitmap[*k / 8] >> *k % 8 & 1))
		++*k;
	if (*k >= s->nr)
		return 0;
	*ret = s->entries + *k * ENTRY;
	*ret_slot = *k;
	length = get_le16(*ret + 8);
	taken = (length + SLOT - 1) / SLOT;
	if (!length || length > MAX_NAME || taken > s->nr - *k || !get_le32(*ret + 4)) {
		++*k;
		return pl_corrupt(err, s->at,
				  "F2FS folder entry of %zu bytes, inode %" PRIu32
				  ", in slot %zu of %zu",
				  length, get_le32(*ret + 4), *ret_slot, s->nr);
	}
	*k += taken;
	return 1;
}

static void
list_entry(struct lister *l, const struct slots *s, const uint8_t *p, size_t slot)
{
	const uint8_t *name = s->names + slot * SLOT;
	struct pl_entry e = {
		.name = (const char *)name,
		.length = get_le16(p + 8),
		.id.inode = get_le32(p + 4),
		.type = pl_type_of_entry(p[10]),
	};
	struct platter_error why = PLATTER_ERROR_INIT;
	char shown[PL_FSCRYPT_NAME];

	if (is_encrypted(l->folder)) {
		e.length = pl_fscrypt_name(name, e.length, get_le32(p), 0, shown);
		e.name = shown;
		if (!e.length) {
			damaged(l,
				pl_corrupt(&why, s->at,
					   "encrypted name of %u bytes in F2FS folder %" PRIu32,
					   get_le16(p + 8), l->folder->number),
				&why);
			return;
		}
	}
	l->ended = l->fn(l->closure, &e, l->failed ? NULL : l->err);
}

static void
list_slots(struct lister *l, const struct slots *s)
{
	size_t k = 0, slot;
	const uint8_t *p;
	int r = 1;

	while (r && !l->ended) {
		struct platter_error why = PLATTER_ERROR_INIT;

		r = next_entry(s, &k, &p, &slot, &why);
		if (r > 0)
			list_entry(l, s, p, slot);
		else if (r < 0)
			damaged(l, r, &why);
	}
}

static void
list_inline(struct lister *l)
{
	size_t n;
	const uint8_t *p = f2fs_inline(l->folder, &n);
	struct slots s = slots_of(p, n, l->folder->at);

	list_slots(l, &s);
}

static int
list_block(struct f2fs *fs, struct lister *l, struct pl_disk *file, uint64_t offset, uint8_t *b)
{
	size_t size = fs->volume.block_size;
	struct platter_error why = PLATTER_ERROR_INIT;
	struct slots s;
	int r;

	if (file->size - offset < size)
		r = pl_corrupt(&why, l->folder->at, "F2FS folder %" PRIu32 " of %" PRIu64 " bytes",
			       l->folder->number, file->size);
	else
		r = pl_read(file, b, size, offset, &why);
	if (r < 0) {
		damaged(l, r, &why);
		return r;
	}
	s = slots_of(b, size, l->folder->at);
	list_slots(l, &s);
	return 0;
}

/* All blocks of entries; a hole, as the table has many, is passed at once. */
static void
list_blocks(struct f2fs *fs, struct lister *l)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct platter_error why = PLATTER_ERROR_INIT;
	size_t size = fs->volume.block_size;
	/* No folder has more blocks than there are. */
	uint64_t budget = (uint64_t)fs->main_segments << F2FS_SEGMENT_BITS;
	PL_AUTOFREE uint8_t *b = malloc(size);
	int r = b ? f2fs_open_contents(fs, l->folder, true, "folder", &file, &why)
		  : pl_no_memory(&why);

	if (r < 0)
		damaged(l, r, &why);
	for (uint64_t at = 0; file && at < file->size && !l->ended; at += size) {
		enum platter_kind kind;
		uint64_t n;

		r = pl_span(file, at, file->size - at, &kind, &n, NULL);
		if (r == 0 && kind != PLATTER_DATA) {
			at += pl_round_up(n, size) - size;
			continue;
		}
		if (!budget--) {
			damaged(l,
				pl_corrupt(&why, l->folder->at,
					   "F2FS folder %" PRIu32 " has more blocks than there are",
					   l->folder->number),
				&why);
			return;
		}
		r = list_block(fs, l, file, at, b);
		if (r < 0 && r != -EUCLEAN && r != -EIO)
			return;
	}
}

int
f2fs_list_folder(struct f2fs *fs, const struct f2fs_inode *i, pl_entry_fn *fn, void *closure,
		 struct platter_error *err)
{
	struct lister l = { .folder = i, .fn = fn, .closure = closure, .err = err };

	if (i->inlined & F2FS_INLINE_FOLDER)
		list_inline(&l);
	else
		list_blocks(fs, &l);
	return l.ended ? l.ended : l.failed;
}

/* ---- one name ---- */

static uint32_t
hash_of(const char *name, size_t n)
{
	uint32_t state[2] = { 0x67452301, 0xefcdab89 }, words[4];

	for (size_t i = 0; i < n; i += sizeof words) {
		pl_tea_pack((const uint8_t *)name + i, n - i, true, words, ARRAY_SIZE(words));
		pl_tea(state, words);
	}
	return state[0];
}

static int
lookup_in_list(struct f2fs *fs, const struct f2fs_inode *i, const char *name, size_t n,
	       struct pl_node_id *ret, struct platter_error *err)
{
	struct pl_finder f = {
		.name = name,
		.n = n,
		.folds_case = i->flags & F2FS_FLAG_CASEFOLD && !is_encrypted(i),
	};
	int r = f2fs_list_folder(fs, i, pl_finder_take, &f, err);

	return pl_finder_answer(&f, r, ret);
}

/* 0 if a block has the name, -ENOENT if not. */
static int
lookup_in_block(struct f2fs *fs, const struct f2fs_inode *i, uint64_t index, struct pl_finder *f,
		uint8_t *b, struct platter_error *err)
{
	struct lister l = { .folder = i, .fn = pl_finder_take, .closure = f, .err = err };
	struct slots s;
	uint32_t block;
	int r = f2fs_map_block(fs, i, index, &block, err);

	if (r < 0)
		return r;
	if (block == F2FS_HOLE || block == F2FS_NEW)
		return -ENOENT;
	if (!f2fs_is_main(fs, block))
		return pl_corrupt(err, i->at,
				  "block %" PRIu64 " of F2FS inode %" PRIu32
				  " is at block %" PRIu32,
				  index, i->number, block);
	r = f2fs_read_block(fs, block, b, err);
	if (r < 0)
		return r;
	s = slots_of(b, fs->volume.block_size, (uint64_t)block << fs->block_bits);
	list_slots(&l, &s);
	return f->found ? 0 : l.failed ? l.failed : -ENOENT;
}

static int
lookup_by_hash(struct f2fs *fs, const struct f2fs_inode *i, const char *name, size_t n,
	       struct pl_node_id *ret, struct platter_error *err)
{
	struct pl_finder f = { .name = name, .n = n };
	PL_AUTOFREE uint8_t *b = malloc(fs->volume.block_size);
	uint32_t hash = hash_of(name, n);
	uint64_t first = 0;

	if (!b)
		return pl_no_memory(err);
	for (unsigned level = 0; level < PL_MIN(i->depth, MAX_LEVELS); level++) {
		unsigned bits = PL_MIN(level + i->folder_level, LARGE_BUCKETS - 1);
		unsigned blocks = level < LARGE_BUCKETS ? 2 : 4;
		uint64_t bucket = first + (hash & ((1u << bits) - 1)) * (uint64_t)blocks;

		for (unsigned k = 0; k < blocks; k++) {
			int r = lookup_in_block(fs, i, bucket + k, &f, b, err);

			if (r == 0)
				*ret = f.id;
			if (r != -ENOENT)
				return r;
		}
		first += (uint64_t)blocks << bits;
	}
	return -ENOENT;
}

int
f2fs_lookup(struct f2fs *fs, const struct f2fs_inode *i, const char *name, size_t n,
	    struct pl_node_id *ret, struct platter_error *err)
{
	bool hashed = !(i->inlined & F2FS_INLINE_FOLDER) && !(i->flags & F2FS_FLAG_CASEFOLD) &&
		      !is_encrypted(i);
	int r = hashed ? lookup_by_hash(fs, i, name, n, ret, err) : -EUCLEAN;

	/* Whatever is wrong with the table, the list may have it. */
	return r == 0 || r == -ENOENT || r == -ENOMEM ? r
						      : lookup_in_list(fs, i, name, n, ret, err);
}
