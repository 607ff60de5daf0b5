/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/journal.c - the journal of HFS Plus, read as if it had been replayed
 *
 * "Journal" of Technical Note TN1150, and core/hfs_journal.h of Apple's hfs for what came
 * later: checksums of blocks and sequence numbers.  The info block is big-endian, all else
 * is in the byte order of the machine that wrote it.
 *
 *	offset  size  journal info block
 *	     0     4  flags: 1 on this volume, 2 on another device, 4 not made yet
 *	    36     8  offset of the journal in the volume, 8 its size
 *
 *	offset  size  journal header
 *	     0     4  'JNLx'
 *	     4     4  0x12345678
 *	     8     8  start and, at 16, end of what was not written to its place; 24 size
 *	    32     4  size of a block list's header
 *	    36     4  checksum of the first 44 bytes, itself taken as 0
 *	    40     4  size of this header, and of a sector
 *
 *	offset  size  block list: its header, then the blocks' bytes
 *	     0     2  room for entries; at 2 their number, the first of which is no block
 *	     4     4  bytes of the list with its blocks
 *	     8     4  checksum of the first 32 bytes, itself taken as 0
 *	    12     4  flags: 1 blocks have checksums, 2 first list of a transaction
 *	    16    16  entries: sector 8, bytes 4, checksum of the block 4 (of the first: sequence)
 *
 * A transaction is lists up to the next that is a first one.  Behind the end there may be more
 * of them, written when the header was not yet; their sequence numbers tell.  As in Apple's
 * driver, a list that is damaged ends the replay with the transaction before its own.
 *
 * The blocks are not copied: the disk that is laid over the volume's shows them where they are
 * in the journal.
 */
#include <stdio.h>

#include "hfs.h"

enum {
	INFO_FLAGS = 0,
	INFO_OFFSET = 36,
	INFO_SIZE = 44,
	INFO_LENGTH = 52,
	INFO_HERE = 1,
	INFO_ELSEWHERE = 2,
	INFO_NOT_MADE = 4,
};

enum {
	JOURNAL_ENDIAN = 4,
	JOURNAL_START = 8,
	JOURNAL_END = 16,
	JOURNAL_SIZE = 24,
	JOURNAL_LIST_SIZE = 32,
	JOURNAL_CHECKSUM = 36,
	JOURNAL_HEADER_SIZE = 40,
	JOURNAL_LENGTH = 44, /* that the checksum covers */
};

enum {
	LIST_ROOM = 0,
	LIST_ENTRIES = 2,
	LIST_BYTES = 4,
	LIST_CHECKSUM = 8,
	LIST_FLAGS = 12,
	LIST_ENTRY = 16,
	LIST_LENGTH = 32, /* that the checksum covers */
	LIST_SEQUENCE = 28,
	BLOCKS_HAVE_CHECKSUMS = 1,
	FIRST_LIST = 2,
};

#define JOURNAL_MAGIC 0x4a4e4c78
#define ENDIAN_MAGIC  0x12345678

/* All lengths are multiples of this. */
#define SECTOR 512u

/* Apple's driver makes lists of 4 to 64 KiB. */
#define MAX_LIST MIB(1)

/* Of one block: more than any node, and than a piece of the allocation file. */
#define MAX_BLOCK MIB(16)

/* Sectors that wait in the journal: 1 GiB of them, in 32 MiB of memory. */
#define MAX_SECTORS (2u << 20)

/* A sector of the disk that is seen as one of the journal. */
struct moved {
	uint64_t sector;
	uint32_t journal_sector;
	uint32_t order; /* the last one counts */
};

struct journal {
	struct hfs *fs;
	bool little;
	uint64_t at; /* of the journal on the disk */
	uint64_t size, start, end;
	uint32_t list_size, header_size;
	struct moved *moved;
	size_t nr, capacity;
	size_t nr_good; /* of whole transactions */
	size_t nr_transactions;
	uint32_t sequence;
};

/* Sectors of the disk, `nr` from `sector` on, that are seen as those from `source` on. */
struct piece {
	uint64_t sector, nr, source;
};

struct overlay {
	struct pl_disk disk;
	struct pl_disk *below;
	struct piece *piece;
	size_t nr;
};

static uint16_t
get16(const struct journal *j, const uint8_t *p)
{
	return j->little ? get_le16(p) : get_be16(p);
}

static uint32_t
get32(const struct journal *j, const uint8_t *p)
{
	return j->little ? get_le32(p) : get_be32(p);
}

static uint64_t
get64(const struct journal *j, const uint8_t *p)
{
	return j->little ? get_le64(p) : get_be64(p);
}

static uint32_t
add_checksum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum << 8) ^ (sum + p[i]);
	return sum;
}

/* Of n bytes, in which the four at `at` count as zeros. */
static bool
checksum_matches(const struct journal *j, const uint8_t *p, size_t n, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t sum = add_checksum(0, p, at);

	sum = add_checksum(sum, zeros, 4);
	sum = add_checksum(sum, p + at + 4, n - at - 4);
	return j->fs->volume.ignore_checksums || ~sum == get32(j, p + at);
}

/* `offset` counted from the journal's start, past its end goes on behind its header. */
static uint64_t
wrap(const struct journal *j, uint64_t offset)
{
	return offset >= j->size ? offset - j->size + j->header_size : offset;
}

/* n < size bytes at `offset`, which may go on at the journal's beginning. */
static int
read_journal(const struct journal *j, void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	size_t part = (size_t)PL_MIN(n, j->size - offset);
	int r = pl_read(j->fs->volume.disk, buf, part, j->at + offset, err);

	if (r == 0 && part < n)
		r = pl_read(j->fs->volume.disk, (uint8_t *)buf + part, n - part,
			    j->at + j->header_size, err);
	return r;
}

static int
read_header(struct journal *j, struct platter_error *err)
{
	uint8_t h[JOURNAL_LENGTH];
	int r = pl_read(j->fs->volume.disk, h, sizeof h, j->at, err);
	uint64_t size;

	if (r < 0)
		return r;
	j->little = get_le32(h) == JOURNAL_MAGIC;
	if (get32(j, h) != JOURNAL_MAGIC || get32(j, h + JOURNAL_ENDIAN) != ENDIAN_MAGIC)
		return pl_corrupt(err, j->at, "it does not begin with 'JNLx'");
	if (!checksum_matches(j, h, JOURNAL_LENGTH, JOURNAL_CHECKSUM))
		return pl_corrupt(err, j->at + JOURNAL_CHECKSUM,
				  "the checksum of its header does not match");
	size = get64(j, h + JOURNAL_SIZE);
	j->start = get64(j, h + JOURNAL_START);
	j->end = get64(j, h + JOURNAL_END);
	j->list_size = get32(j, h + JOURNAL_LIST_SIZE);
	j->header_size = get32(j, h + JOURNAL_HEADER_SIZE);
	if (!j->header_size || j->header_size % SECTOR || size % SECTOR || size > j->size ||
	    size / SECTOR > UINT32_MAX || j->header_size >= size)
		return pl_corrupt(err, j->at, "%" PRIu64 " bytes with a header of %" PRIu32, size,
				  j->header_size);
	j->size = size;
	if (!j->list_size || j->list_size % SECTOR || j->list_size > MAX_LIST ||
	    j->list_size > size - j->header_size)
		return pl_corrupt(err, j->at + JOURNAL_LIST_SIZE,
				  "block lists of %" PRIu32 " bytes", j->list_size);
	if (j->start == size)
		j->start = j->header_size;
	if (j->end == size)
		j->end = j->header_size;
	if (j->start < j->header_size || j->start > size || j->start % SECTOR ||
	    j->end < j->header_size || j->end > size || j->end % SECTOR)
		return pl_corrupt(err, j->at + JOURNAL_START,
				  "it goes from byte %" PRIu64 " to %" PRIu64 " of %" PRIu64,
				  j->start, j->end, size);
	return 0;
}

static bool
block_matches(const struct journal *j, uint64_t offset, uint32_t n, uint32_t wanted,
	      struct platter_error *err)
{
	uint8_t buf[8 * SECTOR];
	uint32_t sum = 0;

	while (n) {
		uint32_t part = (uint32_t)PL_MIN(n, sizeof buf);

		if (read_journal(j, buf, part, offset, err) < 0)
			return false;
		sum = add_checksum(sum, buf, part);
		offset = wrap(j, offset + part);
		n -= part;
	}
	return ~sum == wanted || j->fs->volume.ignore_checksums;
}

/* Sectors from `sector` on are seen as `n` bytes of the journal. */
static int
add_moved(struct journal *j, uint64_t sector, uint64_t offset, uint32_t n,
	  struct platter_error *err)
{
	for (uint32_t i = 0; i < n / SECTOR; i++) {
		if (j->nr == j->capacity) {
			size_t capacity = PL_MAX(256, j->capacity * 2);
			struct moved *p;

			if (j->nr == MAX_SECTORS)
				return pl_over_limit(err, j->at, "more than %u sectors wait in it",
						     MAX_SECTORS);
			p = pl_realloc_array(j->moved, capacity, sizeof *p);
			if (!p)
				return pl_no_memory(err);
			j->moved = p;
			j->capacity = capacity;
		}
		j->moved[j->nr] =
			(struct moved){ sector + i, (uint32_t)(offset / SECTOR), (uint32_t)j->nr };
		j->nr++;
		offset = wrap(j, offset + SECTOR);
	}
	return 0;
}

/* The blocks of the list at `offset`, whose header is in `list`. */
static int
take_blocks(struct journal *j, const uint8_t *list, uint64_t offset, struct platter_error *err)
{
	unsigned nr = get16(j, list + LIST_ENTRIES);
	bool sums = get32(j, list + LIST_FLAGS) & BLOCKS_HAVE_CHECKSUMS;
	uint64_t used = j->list_size, disk = pl_disk_size(j->fs->volume.disk);
	int r = 0;

	offset = wrap(j, offset + j->list_size);
	for (unsigned i = 1; r == 0 && i < nr; i++) {
		const uint8_t *e = list + LIST_ENTRY + 16 * (size_t)i;
		uint64_t number = get64(j, e), at;
		uint32_t n = get32(j, e + 8), sum = get32(j, e + 12);

		used += n;
		if (!n || n % SECTOR || n > MAX_BLOCK || used > j->size - j->header_size)
			return pl_corrupt(err, j->at + offset, "a block of %" PRIu32 " bytes", n);
		/* All ones: given up later in the same transaction. */
		if (number != UINT64_MAX) {
			if (__builtin_mul_overflow(number, (uint64_t)j->header_size, &at) ||
			    !pl_in_range(at, n, disk))
				return pl_corrupt(err, j->at + offset,
						  "a block for sector %" PRIu64
						  " of a disk of %" PRIu64 " bytes",
						  number, disk);
			if (sums && sum && !block_matches(j, offset, n, sum, err))
				return pl_corrupt(err, j->at + offset,
						  "the checksum of a block does not match");
			r = add_moved(j, at / SECTOR, offset, n, err);
		}
		offset = wrap(j, offset + n);
	}
	return r;
}

/*
 * The list at `offset`.  *ret_length: how much of the journal it is; 0: it is none, behind
 * the end.
 */
static int
take_list(struct journal *j, uint64_t offset, bool past_end, uint8_t *list, uint64_t *ret_length,
	  struct platter_error *err)
{
	int r = read_journal(j, list, j->list_size, offset, err);
	uint32_t sequence, bytes;
	unsigned nr, room;

	*ret_length = 0;
	if (r < 0)
		return r;
	sequence = get32(j, list + LIST_SEQUENCE);
	if (!checksum_matches(j, list, LIST_LENGTH, LIST_CHECKSUM))
		return past_end ? 0
				: pl_corrupt(err, j->at + offset,
					     "the checksum of a block list does not match");
	if (past_end && (!sequence || (sequence != j->sequence && sequence != j->sequence + 1)))
		return 0;
	if (j->sequence && sequence && sequence != j->sequence && sequence != j->sequence + 1)
		return pl_corrupt(err, j->at + offset, "transaction %" PRIu32 " follows %" PRIu32,
				  sequence, j->sequence);
	room = get16(j, list + LIST_ROOM);
	nr = get16(j, list + LIST_ENTRIES);
	bytes = get32(j, list + LIST_BYTES);
	if (!nr || nr > room || LIST_ENTRY + 16 * (size_t)nr > j->list_size ||
	    bytes < j->list_size || bytes % SECTOR || bytes > j->size - j->header_size)
		return pl_corrupt(err, j->at + offset,
				  "a block list of %u of %u entries and %" PRIu32 " bytes", nr,
				  room, bytes);
	if (get32(j, list + LIST_FLAGS) & FIRST_LIST) {
		/* What was before is whole. */
		j->nr_good = j->nr;
		j->nr_transactions++;
	}
	j->sequence = sequence;
	r = take_blocks(j, list, offset, err);
	if (r == 0)
		*ret_length = bytes;
	return r;
}

/* All lists up to the end, and those behind it that were whole. */
static int
take_lists(struct journal *j, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *list = malloc(j->list_size);
	uint64_t offset = j->start, length, taken = 0;
	bool past_end = false;
	int r = 0;

	if (!list)
		return pl_no_memory(err);
	while (r == 0 && taken < j->size - j->header_size) {
		past_end = past_end || offset == j->end;
		/* Without sequence numbers nothing tells old lists from new ones. */
		if (past_end && !j->sequence)
			break;
		r = take_list(j, offset, past_end, list, &length, err);
		if (r < 0 || !length)
			break;
		offset = wrap(j, offset + length);
		taken += length;
	}
	if (r < 0 && r != -ENOMEM && j->nr_good) {
		/* Without the transaction that is damaged. */
		j->nr = j->nr_good;
		j->nr_transactions--;
		return 0;
	}
	return r;
}

static int
order_moved(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	if (x->sector != y->sector)
		return x->sector < y->sector ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int
overlay_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct overlay *o = pl_container_of(disk, struct overlay, disk);
	size_t low = 0, high = o->nr;
	const struct piece *p;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if ((o->piece[mid].sector + o->piece[mid].nr) * SECTOR <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	p = &o->piece[low];
	*ret = (struct pl_extent){
		.kind = PLATTER_DATA, .below = o->below, .length = length, .stored_offset = offset
	};
	if (low == o->nr)
		return 0;
	if (p->sector * SECTOR > offset) {
		ret->length = p->sector * SECTOR - offset;
	} else {
		ret->length = (p->sector + p->nr) * SECTOR - offset;
		ret->stored_offset = p->source + (offset - p->sector * SECTOR);
	}
	return 0;
}

static struct pl_disk *
overlay_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct overlay, disk)->below;
}

static void
overlay_free(struct pl_disk *disk)
{
	struct overlay *o = pl_container_of(disk, struct overlay, disk);

	free(o->piece);
	pl_disk_unref(o->below);
	pl_disk_done(disk);
	free(o);
}

static const struct pl_disk_ops overlay_ops = {
	.name = "replayed journal",
	.map = overlay_map,
	.below = overlay_below,
	.free = overlay_free,
};

/* One piece for each run of sectors; of sectors that were written often the last counts. */
static void
make_pieces(const struct journal *j, struct overlay *o)
{
	for (size_t i = 0; i < j->nr; i++) {
		const struct moved *m = &j->moved[i];
		uint64_t source = j->at + (uint64_t)m->journal_sector * SECTOR;
		struct piece *last = o->nr ? &o->piece[o->nr - 1] : NULL;

		if (i + 1 < j->nr && j->moved[i + 1].sector == m->sector)
			continue;
		if (last && last->sector + last->nr == m->sector &&
		    last->source + last->nr * SECTOR == source)
			last->nr++;
		else
			o->piece[o->nr++] = (struct piece){ m->sector, 1, source };
	}
}

/* Put the disk with the changes in place of the volume's. */
static int
lay_over(struct journal *j, struct platter_error *err)
{
	struct pl_volume *v = &j->fs->volume;
	struct overlay *o = calloc(1, sizeof *o);
	struct pl_meta *meta = NULL;
	int r;

	if (!o)
		return pl_no_memory(err);
	qsort(j->moved, j->nr, sizeof *j->moved, order_moved);
	r = pl_disk_init(&o->disk, &overlay_ops, v->disk->name, err);
	o->below = pl_disk_ref(v->disk);
	o->disk.size = pl_disk_size(v->disk);
	o->disk.sector_size = v->disk->sector_size;
	o->disk.physical_sector_size = v->disk->physical_sector_size;
	o->piece = pl_realloc_array(NULL, j->nr, sizeof *o->piece);
	if (r == 0 && !o->piece)
		r = pl_no_memory(err);
	if (r == 0)
		r = pl_disk_stack(&o->disk, o->below, err);
	if (r == 0)
		r = pl_meta_new(&o->disk, &meta, err);
	if (r < 0) {
		overlay_free(&o->disk);
		return r;
	}
	make_pieces(j, o);
	pl_meta_free(v->meta);
	pl_disk_unref(v->disk);
	v->disk = &o->disk;
	v->meta = meta;
	return 0;
}

/* Where the journal is; false: there is none to look at. */
static bool
find_journal(struct hfs *fs, struct platter_error *err)
{
	struct hfs_journal *found = &fs->journal;
	uint64_t block = get_be32(fs->header + VH_JOURNAL), offset, limit;
	uint8_t info[INFO_LENGTH];
	uint32_t flags;

	if (!block || block >= fs->nr_blocks) {
		pl_corrupt(err, VH_JOURNAL, "its info block is block %" PRIu64 " of %" PRIu32,
			   block, fs->nr_blocks);
		return false;
	}
	if (pl_meta_read(fs->volume.meta, info, sizeof info, fs->start + block * fs->block_size,
			 err) < 0)
		return false;
	flags = get_be32(info + INFO_FLAGS);
	if (flags & INFO_NOT_MADE)
		return false;
	found->elsewhere = (flags & INFO_ELSEWHERE) || !(flags & INFO_HERE);
	if (found->elsewhere) {
		pl_unsupported(err, PLATTER_NO_OFFSET, "it is on another device");
		return false;
	}
	offset = get_be64(info + INFO_OFFSET);
	found->size = get_be64(info + INFO_SIZE);
	limit = (uint64_t)fs->nr_blocks * fs->block_size;
	if (!pl_in_range(offset, found->size, limit) ||
	    !pl_in_range(fs->start + offset, found->size, pl_disk_size(fs->volume.disk)) ||
	    found->size < SECTOR) {
		pl_corrupt(err, PLATTER_NO_OFFSET,
			   "%" PRIu64 " bytes at byte %" PRIu64 " of a volume of %" PRIu64,
			   found->size, offset, limit);
		return false;
	}
	found->at = fs->start + offset;
	return true;
}

int
pl_hfs_journal(struct hfs *fs, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct journal j = { .fs = fs };
	int r = 0;

	fs->journal.present = true;
	if (find_journal(fs, &why)) {
		j.at = fs->journal.at;
		j.size = fs->journal.size;
		r = read_header(&j, &why);
		if (r == 0 && j.start != j.end)
			r = take_lists(&j, &why);
		if (r == 0 && j.nr)
			r = lay_over(&j, &why);
		if (r == 0 && j.nr) {
			fs->journal.replayed = true;
			fs->journal.nr_transactions = j.nr_transactions;
		}
	}
	free(j.moved);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	snprintf(fs->journal.problem, sizeof fs->journal.problem, "%.159s", why.message);
	return 0;
}
