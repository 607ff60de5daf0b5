/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/journal.c - what the journal holds is seen as if it had been replayed
 *
 * The journal is a file, by default inode 8: a superblock, then a ring of blocks, all of its
 * integers big-endian.  A transaction is descriptor blocks, each followed by the blocks that
 * it names; revoke blocks, which name blocks that older transactions are not to bring back;
 * a commit block.  All of these begin with
 *
 *	offset  size
 *	     0     4  magic, C03B3998; a journaled block that begins so has 0 there, and a flag
 *	     4     4  1 descriptor, 2 commit, 3 and 4 superblock, 5 revoke
 *	     8     4  number of the transaction
 *
 * The superblock says where the first transaction is and its number; the ring goes on as
 * long as numbers do.  Three walks: find the end, gather what is revoked, gather what goes
 * where.  Nothing is copied: the blocks are read from their place in the journal, but for
 * those with the flag.
 *
 * See Documentation/filesystems/ext4/journal.rst of the Linux kernel, and fs/jbd2/recovery.c.
 */
#include "checksums.h"
#include "ext.h"

#define MAGIC 0xc03b3998u

/* 64 MiB of each; mke2fs makes journals of at most 10 million blocks, by default 262144. */
#define MAX_MOVED   (4u << 20)
#define MAX_REVOKED (4u << 20)
/* Escaped blocks kept in memory: hardly any block begins with the magic by chance. */
#define MAX_PATCHED MIB(64)

enum {
	TYPE_DESCRIPTOR = 1,
	TYPE_COMMIT = 2,
	TYPE_SUPER_1 = 3,
	TYPE_SUPER_2 = 4,
	TYPE_REVOKE = 5,
};

enum {
	HEADER = 12,
	JS_BLOCK_SIZE = 12,
	JS_BLOCKS = 16,
	JS_FIRST = 20,
	JS_SEQUENCE = 24,
	JS_START = 28,
	JS_COMPAT = 36,
	JS_INCOMPAT = 40,
	JS_UUID = 48,
	JS_CHECKSUM_TYPE = 80,
	JS_FAST_COMMIT_BLOCKS = 84,
	JS_CHECKSUM = 252,
	JS_SIZE = 1024,
};

enum {
	JCOMPAT_CHECKSUM = 1, /* one CRC-32 for each transaction */
	JINCOMPAT_64BIT = 2,
	JINCOMPAT_ASYNC_COMMIT = 4,
	JINCOMPAT_CSUM_V2 = 8,
	JINCOMPAT_CSUM_V3 = 0x10,
	JINCOMPAT_FAST_COMMIT = 0x20,
	JINCOMPAT_KNOWN = 0x3f, /* 1: may hold revoke blocks */
};

enum {
	TAG_ESCAPED = 1,
	TAG_SAME_UUID = 2,
	TAG_LAST = 8,
};

enum {
	REVOKE_COUNT = 12, /* bytes in use, with the header */
	REVOKE_FIRST = 16,
	COMMIT_CHECKSUM_TYPE = 12,
	COMMIT_CHECKSUM_SIZE = 13,
	COMMIT_CHECKSUM = 16,
	COMMIT_SECONDS = 48,
	CHECKSUM_CRC32 = 1,
	CHECKSUM_CRC32C = 4,
	MIN_JOURNAL = 1024,         /* blocks that fast commits leave to the rest */
	DEFAULT_FAST_COMMITS = 256, /* blocks */
	FAST_COMMIT_HEAD = 9,
};

enum pass {
	FIND_END,
	GATHER_REVOKED,
	GATHER_MOVED,
};

struct revoked {
	uint64_t block;
	uint32_t sequence;
};

/* Block `log` of the journal goes to `block`; of several the last one in `order` counts. */
struct pending {
	uint64_t block;
	uint32_t log;
	uint32_t order_escaped; /* the flag is bit 0 */
};

struct log {
	struct ext *fs;
	struct pl_disk *disk; /* the journal */
	uint32_t block_size;
	uint32_t first, end; /* of the ring, end is behind it */
	uint32_t start, sequence;
	uint32_t end_sequence; /* the first that is not whole */
	uint32_t compat, incompat;
	uint32_t tag_size, tail_size;
	uint32_t fast_commits_at; /* block, 0: none */
	uint32_t seed;
	bool v1, checksums;  /* v2 or v3, and not to be ignored */
	uint8_t *buf, *data; /* a block each */
	struct revoked *revoked;
	struct pending *pending;
	size_t nr_revoked, revoked_capacity, nr_pending, pending_capacity;
	struct platter_error *err;    /* of what ends it */
	struct platter_error skipped; /* of the first block that was left out; code 0: none */
};

static bool
is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Polynomial 04C11DB7, highest bit first, as the kernel's crc32_be(). */
static uint32_t
crc32_be(uint32_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint32_t)p[i] << 24;
		for (int k = 0; k < 8; k++)
			crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
	}
	return crc;
}

static int
read_block(struct log *l, uint32_t block, uint8_t *buf)
{
	int r = pl_read(l->disk, buf, l->block_size, (uint64_t)block * l->block_size, l->err);

	if (r < 0)
		pl_context(l->err, "block %" PRIu32 " of the journal", block);
	return r;
}

/* The block `n` further on in the ring. */
static uint32_t
advance(const struct log *l, uint32_t block, uint32_t n)
{
	uint64_t next = (uint64_t)block + n;

	while (next >= l->end)
		next -= l->end - l->first;
	return (uint32_t)next;
}

/* Of a whole block, with the 4 bytes at `at` taken as zeros. */
static bool
block_matches(const struct log *l, const uint8_t *buf, uint32_t at)
{
	uint32_t crc = pl_crc32c_raw(l->seed, buf, at);

	crc = pl_crc32c_raw(crc, "\0\0\0", 4);
	crc = pl_crc32c_raw(crc, buf + at + 4, l->block_size - at - 4);
	return !l->checksums || crc == get_be32(buf + at);
}

/* Tags from the front to the back of a descriptor block. */
struct tags {
	uint32_t at; /* 0 after the last one */
};

struct tag {
	uint64_t block;
	uint32_t flags, checksum;
};

static bool
next_tag(const struct log *l, const uint8_t *buf, struct tags *t, struct tag *ret)
{
	const uint8_t *p = buf + t->at;

	if (!t->at || t->at + l->tag_size > l->block_size - l->tail_size)
		return false;
	/* Flags have 16 bits in the older form, and 32 with the same bytes last in the younger. */
	*ret = (struct tag){ .block = get_be32(p), .flags = get_be16(p + 6) };
	if (l->incompat & JINCOMPAT_64BIT)
		ret->block |= (uint64_t)get_be32(p + 8) << 32;
	ret->checksum = l->incompat & JINCOMPAT_CSUM_V3 ? get_be32(p + 12) : get_be16(p + 4);
	t->at += l->tag_size + (ret->flags & TAG_SAME_UUID ? 0 : 16);
	if (ret->flags & TAG_LAST)
		t->at = 0;
	return true;
}

static bool
data_matches(const struct log *l, uint32_t sequence, const struct tag *tag)
{
	uint8_t number[4];
	uint32_t crc;

	put_be32(number, sequence);
	crc = pl_crc32c_raw(pl_crc32c_raw(l->seed, number, 4), l->data, l->block_size);
	return l->incompat & JINCOMPAT_CSUM_V3 ? crc == tag->checksum
					       : (crc & 0xffff) == tag->checksum;
}

static bool
is_revoked(const struct log *l, uint64_t block, uint32_t sequence)
{
	size_t low = 0, high = l->nr_revoked;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->revoked[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < l->nr_revoked && l->revoked[low].block == block; low++)
		if (!is_before(l->revoked[low].sequence, sequence))
			return true;
	return false;
}

static int
add_pending(struct log *l, uint64_t block, uint32_t log, bool escaped)
{
	if (l->nr_pending == l->pending_capacity) {
		size_t capacity = PL_MAX(1024, l->pending_capacity * 2);
		struct pending *p;

		if (capacity > MAX_MOVED)
			return pl_over_limit(l->err, PLATTER_NO_OFFSET,
					     "more than %u blocks in the journal", MAX_MOVED);
		p = pl_realloc_array(l->pending, capacity, sizeof *p);
		if (!p)
			return pl_no_memory(l->err);
		l->pending = p;
		l->pending_capacity = capacity;
	}
	l->pending[l->nr_pending] =
		(struct pending){ block, log, (uint32_t)l->nr_pending << 1 | escaped };
	l->nr_pending++;
	return 0;
}

/* The blocks of one descriptor, the first at `block`: what goes where. */
static int
gather_moved(struct log *l, uint32_t sequence, uint32_t block)
{
	struct tags tags = { HEADER };
	struct tag tag;
	int r = 0;

	for (; r == 0 && next_tag(l, l->buf, &tags, &tag); block = advance(l, block, 1)) {
		struct platter_error *skipped = l->skipped.code ? NULL : &l->skipped;

		if (is_revoked(l, tag.block, sequence))
			continue;
		if (tag.block >= l->fs->sb.blocks) {
			pl_corrupt(skipped, PLATTER_NO_OFFSET,
				   "the journal has block %" PRIu64 " of %" PRIu64, tag.block,
				   l->fs->sb.blocks);
			continue;
		}
		if (l->checksums) {
			r = read_block(l, block, l->data);
			if (r == 0 && !data_matches(l, sequence, &tag)) {
				pl_corrupt(skipped, PLATTER_NO_OFFSET,
					   "checksum of the journal's block %" PRIu32
					   " does not match",
					   block);
				continue;
			}
		}
		if (r == 0)
			r = add_pending(l, tag.block, block, tag.flags & TAG_ESCAPED);
	}
	return r;
}

static int
gather_revoked(struct log *l, uint32_t sequence)
{
	uint32_t used = get_be32(l->buf + REVOKE_COUNT);
	uint32_t size = l->incompat & JINCOMPAT_64BIT ? 8 : 4;

	if (used > l->block_size - l->tail_size)
		return pl_corrupt(l->err, PLATTER_NO_OFFSET,
				  "revoke block of %" PRIu32 " bytes in the journal", used);
	for (uint32_t at = REVOKE_FIRST; at + size <= used; at += size) {
		if (l->nr_revoked == l->revoked_capacity) {
			size_t capacity = PL_MAX(1024, l->revoked_capacity * 2);
			struct revoked *p;

			if (capacity > MAX_REVOKED)
				return pl_over_limit(l->err, PLATTER_NO_OFFSET,
						     "more than %u blocks revoked in the journal",
						     MAX_REVOKED);
			p = pl_realloc_array(l->revoked, capacity, sizeof *p);
			if (!p)
				return pl_no_memory(l->err);
			l->revoked = p;
			l->revoked_capacity = capacity;
		}
		l->revoked[l->nr_revoked++] =
			(struct revoked){ size == 8 ? get_be64(l->buf + at) : get_be32(l->buf + at),
					  sequence };
	}
	return 0;
}

/* The state of one walk. */
struct pass_state {
	uint32_t sequence;     /* wanted next */
	uint32_t crc;          /* JCOMPAT_CHECKSUM: of the transaction so far */
	bool bad;              /* a checksum of the transaction did not match */
	uint64_t committed_at; /* seconds, the last whole one */
	bool over;
};

/* A descriptor's blocks pass by: count them, and add them to the transaction's checksum. */
static int
pass_by(struct log *l, uint32_t block, struct pass_state *s, uint32_t *ret_nr)
{
	bool sum = (l->compat & JCOMPAT_CHECKSUM) && !l->fs->volume.ignore_checksums;
	struct tags tags = { HEADER };
	struct tag tag;
	int r = 0;

	if (sum)
		s->crc = crc32_be(s->crc, l->buf, l->block_size);
	for (*ret_nr = 0; r == 0 && next_tag(l, l->buf, &tags, &tag); ++*ret_nr) {
		if (!sum)
			continue;
		r = read_block(l, advance(l, block, *ret_nr), l->data);
		if (r == 0)
			s->crc = crc32_be(s->crc, l->data, l->block_size);
	}
	return r;
}

static bool
transaction_matches(const struct log *l, const struct pass_state *s)
{
	unsigned type = l->buf[COMMIT_CHECKSUM_TYPE], size = l->buf[COMMIT_CHECKSUM_SIZE];
	uint32_t stored = get_be32(l->buf + COMMIT_CHECKSUM);

	if (!(l->compat & JCOMPAT_CHECKSUM) || l->fs->volume.ignore_checksums)
		return true;
	/* Before the feature was switched on there was none. */
	return (type == CHECKSUM_CRC32 && size == 4 && stored == s->crc) ||
	       (type == 0 && size == 0 && stored == 0);
}

/*
 * A commit block while the end is sought.  Blocks of a journal that was here before can look
 * like the next transaction, but not match their checksums, and are older.
 */
static void
commit(struct log *l, struct pass_state *s)
{
	uint64_t now = get_be64(l->buf + COMMIT_SECONDS);
	bool matches =
		!s->bad && block_matches(l, l->buf, COMMIT_CHECKSUM) && transaction_matches(l, s);

	s->crc = ~0u;
	if (matches) {
		s->committed_at = now;
		s->sequence++;
		return;
	}
	s->over = true;
	if (now >= s->committed_at && (s->bad || !(l->incompat & JINCOMPAT_ASYNC_COMMIT)))
		pl_corrupt(l->skipped.code ? NULL : &l->skipped, PLATTER_NO_OFFSET,
			   "checksum of the journal's transaction %" PRIu32 " does not match",
			   s->sequence);
}

static int
visit_block(struct log *l, enum pass pass, uint32_t next, struct pass_state *s, uint32_t *ret_nr)
{
	bool bad;
	int r;

	*ret_nr = 0;
	switch (get_be32(l->buf + 4)) {
	case TYPE_DESCRIPTOR:
		bad = !block_matches(l, l->buf, l->block_size - 4);
		s->bad |= bad;
		r = pass_by(l, next, s, ret_nr);
		if (r < 0 || pass != GATHER_MOVED)
			return r;
		return gather_moved(l, s->sequence, next);
	case TYPE_REVOKE:
		bad = !block_matches(l, l->buf, l->block_size - 4);
		s->bad |= bad;
		return pass == GATHER_REVOKED ? gather_revoked(l, s->sequence) : 0;
	case TYPE_COMMIT:
		if (pass == FIND_END)
			commit(l, s);
		else
			s->sequence++;
		return 0;
	default: s->over = true; return 0;
	}
}

static int
walk(struct log *l, enum pass pass)
{
	struct pass_state s = { .sequence = l->sequence, .crc = ~0u };
	uint32_t block = l->start;
	int r = 0;

	/* Once round the ring at most. */
	for (uint32_t steps = 0; steps < l->end - l->first && r == 0 && !s.over; steps++) {
		uint32_t nr;

		if (pass != FIND_END && !is_before(s.sequence, l->end_sequence))
			break;
		r = read_block(l, block, l->buf);
		if (r < 0 || get_be32(l->buf) != MAGIC || get_be32(l->buf + 8) != s.sequence)
			break;
		block = advance(l, block, 1);
		r = visit_block(l, pass, block, &s, &nr);
		block = advance(l, block, nr);
		steps += nr;
	}
	if (pass == FIND_END)
		l->end_sequence = s.sequence;
	return r;
}

static int
by_block_revoked(const void *a, const void *b)
{
	const struct revoked *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

static int
by_block_and_order(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;

	if (x->block != y->block)
		return x->block > y->block ? 1 : -1;
	return (x->order_escaped > y->order_escaped) - (x->order_escaped < y->order_escaped);
}

/* Only the last one for each block, in order. */
static void
drop_older(struct log *l)
{
	size_t nr = 0;

	if (l->nr_pending)
		qsort(l->pending, l->nr_pending, sizeof *l->pending, by_block_and_order);
	for (size_t i = 0; i < l->nr_pending; i++)
		if (i + 1 == l->nr_pending || l->pending[i + 1].block != l->pending[i].block)
			l->pending[nr++] = l->pending[i];
	l->nr_pending = nr;
}

/* The block as it was before the magic was taken from it, at `at` of `patched`. */
static int
unescape(struct log *l, struct pl_disk *patched, uint32_t block, uint64_t at)
{
	int r = read_block(l, block, l->data);

	if (r < 0)
		return r;
	put_be32(l->data, MAGIC);
	return pl_write(patched, l->data, l->block_size, at, l->err);
}

static int
make_overlay(struct log *l, struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *patched = NULL;
	PL_AUTOFREE struct ext_moved *moved = malloc(PL_MAX(l->nr_pending, 1) * sizeof *moved);
	int r = 0;

	if (!moved)
		return pl_no_memory(l->err);
	for (size_t i = 0; i < l->nr_pending && r == 0; i++) {
		const struct pending *p = &l->pending[i];
		struct pl_extent e;

		moved[i] = (struct ext_moved){ .block = p->block, .patched = p->order_escaped & 1 };
		if (!moved[i].patched) {
			r = pl_map(l->disk, (uint64_t)p->log * l->block_size, l->block_size, &e,
				   l->err);
			moved[i].stored = e.stored_offset;
			if (r == 0 && (e.kind != PLATTER_DATA || e.length < l->block_size))
				r = pl_corrupt(l->err, PLATTER_NO_OFFSET,
					       "the journal has a hole at its block %" PRIu32,
					       p->log);
			continue;
		}
		if (!patched)
			r = pl_memory_new(NULL, 0, l->disk->name, &patched, l->err);
		if (r < 0)
			break;
		moved[i].stored = pl_disk_size(patched);
		if (moved[i].stored >= MAX_PATCHED)
			return pl_over_limit(l->err, PLATTER_NO_OFFSET,
					     "the journal has more than %" PRIu64
					     " bytes of blocks that begin as its own do",
					     (uint64_t)MAX_PATCHED);
		r = unescape(l, patched, p->log, moved[i].stored);
	}
	if (r < 0)
		return r;
	return ext_overlay_new(l->fs->volume.disk, patched, PL_STEAL(moved), l->nr_pending,
			       l->fs->sb.block_bits, ret, l->err);
}

static int
decode_super(struct log *l)
{
	const uint8_t *js = l->buf;
	uint32_t type, blocks, fast;
	int r = read_block(l, 0, l->buf);

	if (r < 0)
		return r;
	type = get_be32(js + 4);
	if (get_be32(js) != MAGIC || (type != TYPE_SUPER_1 && type != TYPE_SUPER_2))
		return pl_corrupt(l->err, PLATTER_NO_OFFSET,
				  "the journal begins with %#" PRIx32 ", type %" PRIu32,
				  get_be32(js), type);
	blocks = get_be32(js + JS_BLOCKS);
	l->first = get_be32(js + JS_FIRST);
	l->start = get_be32(js + JS_START);
	l->sequence = get_be32(js + JS_SEQUENCE);
	if (type == TYPE_SUPER_2) {
		l->compat = get_be32(js + JS_COMPAT);
		l->incompat = get_be32(js + JS_INCOMPAT);
	}
	if (get_be32(js + JS_BLOCK_SIZE) != l->block_size)
		return pl_corrupt(l->err, PLATTER_NO_OFFSET,
				  "the journal has blocks of %" PRIu32 " bytes, not %" PRIu32,
				  get_be32(js + JS_BLOCK_SIZE), l->block_size);
	if (l->incompat & ~(uint32_t)JINCOMPAT_KNOWN)
		return pl_unsupported(l->err, PLATTER_NO_OFFSET,
				      "the journal has unknown features %#" PRIx32,
				      l->incompat & ~(uint32_t)JINCOMPAT_KNOWN);
	l->end = blocks;
	if (l->incompat & JINCOMPAT_FAST_COMMIT) {
		fast = get_be32(js + JS_FAST_COMMIT_BLOCKS);
		fast = fast ? fast : DEFAULT_FAST_COMMITS;
		if (blocks >= MIN_JOURNAL && fast <= blocks - MIN_JOURNAL) {
			l->end = blocks - fast;
			l->fast_commits_at = l->end + 1;
		}
	}
	if (blocks > l->disk->size / l->block_size || l->first == 0 || l->first >= l->end ||
	    l->start >= l->end || (l->start && l->start < l->first))
		return pl_corrupt(l->err, PLATTER_NO_OFFSET,
				  "the journal's ring begins at block %" PRIu32 " of %" PRIu32
				  ", is used from %" PRIu32 ", the file has %" PRIu64,
				  l->first, blocks, l->start, l->disk->size / l->block_size);
	if (!(l->incompat & (JINCOMPAT_CSUM_V2 | JINCOMPAT_CSUM_V3)))
		return 0;
	l->tail_size = 4;
	l->seed = pl_crc32c_raw(~0u, js + JS_UUID, 16);
	l->checksums = !l->fs->volume.ignore_checksums;
	if (l->checksums) {
		uint32_t crc = pl_crc32c_raw(~0u, js, JS_CHECKSUM);

		crc = pl_crc32c_raw(crc, "\0\0\0", 4);
		crc = pl_crc32c_raw(crc, js + JS_CHECKSUM + 4, JS_SIZE - JS_CHECKSUM - 4);
		if (js[JS_CHECKSUM_TYPE] != CHECKSUM_CRC32C || crc != get_be32(js + JS_CHECKSUM))
			return pl_corrupt(l->err, PLATTER_NO_OFFSET,
					  "checksum of the journal's superblock does not match");
	}
	return 0;
}

/* Fast commits that follow the last transaction begin with its successor's number. */
static int
look_for_fast_commits(struct log *l)
{
	int r;

	if (!l->fast_commits_at)
		return 0;
	r = read_block(l, l->fast_commits_at, l->buf);
	if (r == 0 && get_le16(l->buf) == FAST_COMMIT_HEAD && get_le16(l->buf + 2) == 8 &&
	    get_le32(l->buf + 8) == l->end_sequence)
		l->fs->journal.fast_commits = true;
	return r;
}

static int
replay(struct log *l, struct pl_disk **ret)
{
	int r = decode_super(l);

	/* 0: it was emptied. */
	if (r < 0 || !l->start)
		return r;
	if (l->incompat & JINCOMPAT_CSUM_V3)
		l->tag_size = 16;
	else
		l->tag_size = 8 + (l->incompat & JINCOMPAT_64BIT ? 4 : 0) +
			      (l->incompat & JINCOMPAT_CSUM_V2 ? 2 : 0);
	r = walk(l, FIND_END);
	if (r == 0)
		r = walk(l, GATHER_REVOKED);
	if (r < 0)
		return r;
	if (l->nr_revoked)
		qsort(l->revoked, l->nr_revoked, sizeof *l->revoked, by_block_revoked);
	r = walk(l, GATHER_MOVED);
	if (r < 0)
		return r;
	drop_older(l);
	l->fs->journal.nr_transactions = l->end_sequence - l->sequence;
	l->fs->journal.nr_blocks = (uint32_t)l->nr_pending;
	r = look_for_fast_commits(l);
	if (r == 0 && l->nr_pending)
		r = make_overlay(l, ret);
	return r;
}

/* The map of the journal by its inode, or by the superblock's copy of that. */
static int
map_journal(struct ext *fs, struct ext_inode *inode, struct pl_runs *runs,
	    struct platter_error *err)
{
	int r = ext_inode_read(fs, fs->sb.journal_inode, inode, err);

	if (r == 0 && (ext_inode_type(inode) != PLATTER_FILE_REGULAR || !inode->links))
		r = pl_corrupt(err, inode->at, "inode %" PRIu32 " is no journal", inode->number);
	if (r == 0)
		r = ext_map(fs, inode, runs, err);
	/* The inode may itself be one of the blocks that only the journal holds. */
	if (r != -EUCLEAN || !fs->sb.has_journal_copy)
		return r;
	pl_runs_done(runs);
	*inode = (struct ext_inode){ .number = fs->sb.journal_inode,
				     .size = fs->sb.journal_size,
				     .block = fs->sb.journal_copy };
	if (get_le16(inode->block) == EXT_NODE_MAGIC)
		inode->flags = INODE_EXTENTS;
	r = ext_map(fs, inode, runs, err);
	if (r == 0 && err)
		*err = (struct platter_error)PLATTER_ERROR_INIT;
	return r;
}

/* The journal's inode as a disk. */
static int
open_journal(struct ext *fs, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOFREE struct ext_inode *inode = malloc(sizeof *inode);
	struct pl_runs runs = { 0 };
	int r;

	if (!inode)
		return pl_no_memory(err);
	if (!(fs->sb.compat & COMPAT_JOURNAL) || (!fs->sb.journal_inode && !fs->sb.journal_device))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "there is no journal");
	if (!fs->sb.journal_inode) {
		fs->journal.external = true;
		return pl_unsupported(err, PLATTER_NO_OFFSET, "the journal is on another device");
	}
	r = map_journal(fs, inode, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	fs->journal.size = inode->size;
	return pl_file_new(fs->volume.disk, &runs, inode->size, fs->volume.disk->name, ret, err);
}

int
ext_journal_replay(struct ext *fs, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *journal = NULL;
	struct platter_error why = PLATTER_ERROR_INIT;
	struct log l = { .fs = fs, .block_size = fs->sb.block_size, .err = &why };
	int r;

	*ret = NULL;
	l.buf = malloc(2 * (size_t)l.block_size);
	if (!l.buf)
		return pl_no_memory(err);
	l.data = l.buf + l.block_size;
	r = open_journal(fs, &journal, &why);
	l.disk = journal;
	if (r == 0)
		r = replay(&l, ret);
	if (r == 0 && l.skipped.code)
		why = l.skipped;
	free(l.buf);
	free(l.revoked);
	free(l.pending);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (!why.code)
		return 0;
	fs->journal.problem = strdup(why.message);
	return fs->journal.problem ? 0 : pl_no_memory(err);
}
