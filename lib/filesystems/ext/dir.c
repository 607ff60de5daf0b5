/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/dir.c - folders: blocks full of entries
 *
 *	offset  size  entry
 *	     0     4  inode, 0: not in use
 *	     4     2  length of the entry, a multiple of 4; the last one ends with the block
 *	     6     1  length of the name
 *	     7     1  type, with the feature filetype
 *	     8        name; with casefold and encryption its hash after it, 8 bytes
 *
 * With metadata_csum the last 12 bytes look like an entry not in use, of type DE, with the
 * checksum in place of the name.  Nodes of an index (index.c) look like blocks with one
 * entry that is not in use.  Deleting an entry makes the one before it longer.
 */
#include "checksums.h"
#include "ext.h"

enum {
	ENTRY_HEADER = 8,
	ENTRY_MIN = 12,
	TAIL = 12,
	TAIL_TYPE = 0xde,
	NODE_ENTRY = 8,
	ROOT_INFO = 24, /* behind "." and ".." of 12 bytes each */
	NODE_TAIL = 8,
};

bool
ext_dir_has_index(const struct ext *fs, const struct ext_inode *dir)
{
	return (fs->sb.compat & COMPAT_DIR_INDEX) && (dir->flags & INODE_INDEX) &&
	       !(dir->flags & INODE_INLINE_DATA);
}

bool
ext_dir_stores_hashes(const struct ext_inode *dir)
{
	return (dir->flags & INODE_CASEFOLD) && (dir->flags & INODE_ENCRYPTED);
}

/* Blocks of 64 KiB do not fit 16 bits: the lowest two, always 0, are the highest then. */
static uint32_t
entry_length(const struct ext *fs, const uint8_t *e)
{
	uint32_t n = get_le16(e + 4);

	if (fs->sb.block_size < KIB(64))
		return n;
	return n == 0 || n == 0xffff ? (uint32_t)KIB(64) : (n & 0xfffc) | (n & 3) << 16;
}

bool
ext_dir_node_decode(const struct ext *fs, const uint8_t *block, bool first,
		    struct ext_dir_node *ret)
{
	uint32_t size = fs->sb.block_size;

	*ret = (struct ext_dir_node){ .entries_at = ENTRY_HEADER };
	if (first) {
		const uint8_t *info = block + ROOT_INFO;

		if (entry_length(fs, block) != ENTRY_MIN ||
		    entry_length(fs, block + ENTRY_MIN) != size - ENTRY_MIN || get_le32(info) ||
		    info[5] != 8)
			return false;
		ret->hash_version = info[4];
		ret->levels = info[6];
		ret->entries_at = ROOT_INFO + 8;
	} else if (get_le32(block) || entry_length(fs, block) != size) {
		return false;
	}
	ret->limit = get_le16(block + ret->entries_at);
	ret->count = get_le16(block + ret->entries_at + 2);
	return ret->count && ret->count <= ret->limit &&
	       ret->limit <= (size - ret->entries_at) / NODE_ENTRY;
}

static bool
node_matches(const struct ext *fs, const struct ext_inode *dir, const uint8_t *block,
	     const struct ext_dir_node *node)
{
	const uint8_t *tail = block + node->entries_at + NODE_ENTRY * (size_t)node->limit;
	uint32_t crc;

	if (tail + NODE_TAIL > block + fs->sb.block_size)
		return false;
	crc = pl_crc32c_raw(dir->checksum_seed, block,
			    node->entries_at + NODE_ENTRY * (size_t)node->count);
	crc = pl_crc32c_raw(crc, tail, 4);
	crc = pl_crc32c_raw(crc, "\0\0\0", 4);
	return crc == get_le32(tail + 4);
}

bool
ext_dir_checksum_matches(const struct ext *fs, const struct ext_inode *dir, const uint8_t *block,
			 bool first)
{
	const uint8_t *tail = block + fs->sb.block_size - TAIL;
	struct ext_dir_node node;

	if (!fs->sb.metadata_csum || fs->volume.ignore_checksums)
		return true;
	if (ext_dir_has_index(fs, dir) && ext_dir_node_decode(fs, block, first, &node))
		return node_matches(fs, dir, block, &node);
	return get_le32(tail) == 0 && get_le16(tail + 4) == TAIL && tail[6] == 0 &&
	       tail[7] == TAIL_TYPE &&
	       pl_crc32c_raw(dir->checksum_seed, block, fs->sb.block_size - TAIL) ==
		       get_le32(tail + 8);
}

static uint32_t
room_for_name(const struct ext_inode *dir, uint32_t length)
{
	uint32_t n = ENTRY_HEADER + length;

	return (uint32_t)pl_round_up(n, 4) + (ext_dir_stores_hashes(dir) ? 8 : 0);
}

static void
decode_entry(const struct ext *fs, const struct ext_inode *dir, const uint8_t *p, uint32_t room,
	     struct ext_entry *ret)
{
	*ret = (struct ext_entry){ .name = p + ENTRY_HEADER, .length = p[6], .inode = get_le32(p) };
	if (fs->sb.incompat & INCOMPAT_FILETYPE)
		ret->type = fs->sb.incompat & INCOMPAT_DIRDATA ? p[7] & 0xf : p[7];
	if (ext_dir_stores_hashes(dir) && room >= room_for_name(dir, p[6])) {
		const uint8_t *hash = p + pl_round_up(ENTRY_HEADER + (uint32_t)p[6], 4);

		ret->hash = get_le32(hash);
		ret->minor_hash = get_le32(hash + 4);
	}
}

static bool
is_name(const uint8_t *name, size_t n)
{
	return n && !memchr(name, 0, n) && !memchr(name, '/', n);
}

/* Entries that were here before [at, end) became part of another entry. */
static void
visit_slack(const struct ext *fs, const struct ext_inode *dir, const uint8_t *block, uint32_t at,
	    uint32_t end, uint32_t length, struct ext_dir_visitor *v, struct platter_error *err)
{
	while (end - at >= ENTRY_MIN && !v->ended) {
		const uint8_t *p = block + at;
		uint32_t n = entry_length(fs, p), room = room_for_name(dir, p[6]);
		uint32_t inode = get_le32(p);
		struct ext_entry e;

		if (inode < fs->sb.first_inode || inode > fs->sb.inodes || n % 4 || n < room ||
		    n > length - at || room > end - at ||
		    ((fs->sb.incompat & INCOMPAT_FILETYPE) && p[7] > 7) ||
		    (!(dir->flags & INODE_ENCRYPTED) && !is_name(p + ENTRY_HEADER, p[6]))) {
			at += 4;
			continue;
		}
		decode_entry(fs, dir, p, room, &e);
		v->ended = v->slack(v->closure, &e, err);
		at += room;
	}
}

int
ext_dir_block_walk(const struct ext *fs, const struct ext_inode *dir, const uint8_t *block,
		   uint32_t length, uint64_t at, struct ext_dir_visitor *v,
		   struct platter_error *err)
{
	uint32_t n, room;
	int r = 0;

	for (uint32_t i = 0; length - i >= ENTRY_HEADER && !v->ended; i += n) {
		const uint8_t *p = block + i;
		uint32_t inode = get_le32(p);
		struct ext_entry e;

		n = entry_length(fs, p);
		if (n < ENTRY_HEADER || n % 4 || n > length - i || p[6] > n - ENTRY_HEADER)
			return pl_corrupt(err, at + i,
					  "folder %" PRIu32 " has an entry of %" PRIu32
					  " bytes with a name of %u, %" PRIu32 " are left",
					  dir->number, n, p[6], length - i);
		room = inode ? room_for_name(dir, p[6]) : 0;
		if (inode > fs->sb.inodes || (inode && !p[6])) {
			if (r == 0)
				r = pl_corrupt(err, at + i,
					       "folder %" PRIu32 " has an entry for inode %" PRIu32
					       " of %" PRIu32 ", name of %u bytes",
					       dir->number, inode, fs->sb.inodes, p[6]);
		} else if (inode && !(dir->flags & INODE_ENCRYPTED) &&
			   !is_name(p + ENTRY_HEADER, p[6])) {
			if (r == 0)
				r = pl_corrupt(err, at + i,
					       "folder %" PRIu32
					       " has a name with '/' or zeros in it",
					       dir->number);
		} else if (inode) {
			decode_entry(fs, dir, p, n, &e);
			v->ended = v->entry(v->closure, &e, err);
		}
		if (v->slack && room < n)
			visit_slack(fs, dir, block, i + room, i + n, length, v, err);
	}
	return r;
}

/* Of a folder in its inode, the first four bytes are the parent. */
static int
walk_inline(const struct ext *fs, const struct ext_inode *dir, struct ext_dir_visitor *v,
	    struct platter_error *err)
{
	uint64_t at = dir->at + EXT_I_BLOCK;
	const uint8_t *more;
	uint32_t n;
	int r = ext_xattr_inline_data(fs, dir, &more, &n, err);
	int first = ext_dir_block_walk(fs, dir, dir->block + 4, EXT_NR_INLINE - 4, at + 4, v,
				       r < 0 ? NULL : err);

	if (r < 0)
		return r;
	if (n && !v->ended)
		r = ext_dir_block_walk(fs, dir, more, n, dir->at + (uint64_t)(more - dir->raw), v,
				       first < 0 ? NULL : err);
	return first < 0 ? first : r;
}

struct walk {
	const struct ext *fs;
	const struct ext_inode *dir;
	struct ext_dir_visitor *visitor;
	uint8_t *buf;
	int failed; /* first error */
	struct platter_error *err;
};

/* Where the words of an error go: the first one is kept. */
static struct platter_error *
words(struct walk *w)
{
	return w->failed ? NULL : w->err;
}

static void
failed(struct walk *w, int r)
{
	if (r < 0 && !w->failed)
		w->failed = r;
}

static void
walk_blocks(struct walk *w, const struct pl_run *run, uint64_t end)
{
	const struct ext *fs = w->fs;
	uint32_t size = fs->sb.block_size;

	for (uint64_t i = 0; i < run->length && run->offset + i < end && !w->visitor->ended;) {
		size_t n = (size_t)PL_MIN(EXT_MAX_BLOCK, run->length - i);
		int r;

		n = (size_t)PL_MIN(n, end - run->offset - i);
		r = pl_meta_read(fs->volume.meta, w->buf, n, run->stored + i,
				 n > size ? NULL : words(w));
		/* One bad sector hides one block. */
		if (r < 0 && n > size) {
			n = size;
			r = pl_meta_read(fs->volume.meta, w->buf, n, run->stored + i, words(w));
		}
		failed(w, r);
		i += n;
		if (r < 0)
			continue;
		for (size_t k = 0; k < n && !w->visitor->ended; k += size) {
			uint64_t at = run->stored + i - n + k;

			if (!ext_dir_checksum_matches(fs, w->dir, w->buf + k,
						      run->offset + i - n + k == 0))
				failed(w, pl_corrupt(words(w), at,
						     "checksum of a block of folder %" PRIu32
						     " does not match",
						     w->dir->number));
			failed(w, ext_dir_block_walk(fs, w->dir, w->buf + k, size, at, w->visitor,
						     words(w)));
		}
	}
}

static void
hole(struct walk *w, uint64_t at)
{
	failed(w,
	       pl_corrupt(words(w), PLATTER_NO_OFFSET,
			  "folder %" PRIu32 " of %" PRIu64 " bytes has a hole at its byte %" PRIu64,
			  w->dir->number, w->dir->size, at));
}

int
ext_dir_walk(const struct ext *fs, const struct ext_inode *dir, struct ext_dir_visitor *v,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = NULL;
	struct walk w = { .fs = fs, .dir = dir, .visitor = v, .err = err };
	uint64_t end = pl_round_up(dir->size, fs->sb.block_size), at = 0;
	struct pl_runs runs = { 0 };

	v->ended = 0;
	if (dir->flags & INODE_INLINE_DATA) {
		int r = walk_inline(fs, dir, v, err);

		return v->ended ? v->ended : r;
	}
	w.buf = buf = malloc(EXT_MAX_BLOCK);
	if (!buf)
		return pl_no_memory(err);
	failed(&w, ext_map(fs, dir, &runs, err));
	for (size_t i = 0; i < runs.nr && !v->ended && runs.run[i].offset < end; i++) {
		const struct pl_run *run = &runs.run[i];

		if (run->offset > at || run->kind != PLATTER_DATA)
			hole(&w, at);
		if (run->kind == PLATTER_DATA)
			walk_blocks(&w, run, end);
		at = run->offset + run->length;
	}
	if (!v->ended && at < end)
		hole(&w, at);
	pl_runs_done(&runs);
	return v->ended ? v->ended : w.failed;
}

int
ext_dir_block_read(const struct ext *fs, const struct ext_inode *dir, const struct pl_runs *runs,
		   uint32_t logical, uint8_t *buf, uint64_t *ret_at, struct platter_error *err)
{
	uint64_t offset = (uint64_t)logical << fs->sb.block_bits;
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].offset + runs->run[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == runs->nr || runs->run[low].offset > offset ||
	    runs->run[low].kind != PLATTER_DATA || offset >= dir->size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "index of folder %" PRIu32 " of %" PRIu64
				  " bytes leads to its block %" PRIu32,
				  dir->number, dir->size, logical);
	*ret_at = runs->run[low].stored + (offset - runs->run[low].offset);
	return pl_meta_read(fs->volume.meta, buf, fs->sb.block_size, *ret_at, err);
}
