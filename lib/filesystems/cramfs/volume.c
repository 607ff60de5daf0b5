/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cramfs/volume.c - the files of cramfs
 *
 * An inode of 12 bytes, with its name behind it, is an entry of a folder; a folder's entries follow
 * each other.  Numbers are bit fields as compilers lay them out: from a word's low end if it is
 * little-endian, else from its high end.
 *
 *	word  bits
 *	   0    16  mode
 *	        16  owner
 *	   1    24  size; of a device: its numbers
 *	         8  group
 *	   2     6  length of the name in words, with the zeros behind it
 *	        26  where the contents are, in words
 *
 * A file is blocks of 4096 bytes, compressed with zlib each.  Its contents begin with a pointer
 * for each, that tells where it ends, and so where the next begins.  Since Linux 4.15 a
 * pointer may instead tell where the block begins, and that it is not compressed.
 * See Documentation/filesystems/cramfs.rst of the Linux kernel, and linux/cramfs_fs.h.
 *
 * A node's number is where its inode is.
 */
#include "cramfs.h"

#include <sys/stat.h>

#include "checksums.h"
#include "codec.h"
#include "content.h"

#define INODE_SIZE 12
#define BLOCK      4096
#define MAX_NAME   (63 * 4)
#define MAX_BLOCKS (((1u << 24) + BLOCK - 1) / BLOCK)

/* The offsets of inodes and block pointers reach no further. */
#define MAX_SIZE MIB(288)

#define POINTER_AS_IS  (1u << 31)
#define POINTER_DIRECT (1u << 30) /* to the beginning, in words */
#define POINTER_MASK   (POINTER_DIRECT - 1)

struct cramfs {
	struct pl_volume volume;
	uint32_t start; /* of the superblock */
	uint32_t bytes, crc, edition;
	uint32_t flags;
	bool big_endian;
};

struct inode {
	enum platter_file_type type;
	uint16_t mode, uid;
	uint8_t gid;
	uint32_t size;
	unsigned name_length; /* with the zeros that fill it up */
	uint32_t contents;
};

static struct cramfs *
cramfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct cramfs, volume);
}

/* `bits` of a word, `before` bits behind its first. */
static uint32_t
field(bool big_endian, uint32_t word, unsigned before, unsigned bits)
{
	unsigned shift = big_endian ? 32 - before - bits : before;

	return word >> shift & ((1u << bits) - 1);
}

static int
read_inode(struct cramfs *fs, uint64_t at, struct inode *ret, struct platter_error *err)
{
	bool big = fs->big_endian;
	uint8_t b[INODE_SIZE];
	uint32_t word[3];
	int r = pl_meta_read(fs->volume.meta, b, sizeof b, at, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(word); i++)
		word[i] = cramfs_word(big, b + i * 4);
	*ret = (struct inode){
		.mode = (uint16_t)field(big, word[0], 0, 16),
		.uid = (uint16_t)field(big, word[0], 16, 16),
		.size = field(big, word[1], 0, 24),
		.gid = (uint8_t)field(big, word[1], 24, 8),
		.name_length = field(big, word[2], 0, 6) * 4,
		.contents = field(big, word[2], 6, 26) * 4,
	};
	ret->type = pl_type_of_mode(ret->mode);
	if (ret->type == PLATTER_FILE_UNKNOWN)
		return pl_corrupt(err, at, "inode of mode 0%o", ret->mode);
	return 0;
}

static int
cramfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	    struct platter_error *err)
{
	struct inode i;
	int r = read_inode(cramfs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	ret->type = i.type;
	ret->has_mode = ret->has_owner = true;
	ret->mode = i.mode & 07777;
	ret->uid = i.uid;
	ret->gid = i.gid;
	if (i.type == PLATTER_FILE_CHARACTER_DEVICE || i.type == PLATTER_FILE_BLOCK_DEVICE) {
		ret->major = i.size >> 8 & 0xff;
		ret->minor = i.size & 0xff;
	}
	if (i.type == PLATTER_FILE_REGULAR || i.type == PLATTER_FILE_SYMLINK)
		ret->size = i.size;
	return 0;
}

static int
cramfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	    struct platter_error *err)
{
	struct cramfs *fs = cramfs_of(v);
	struct inode i, entry;
	uint64_t at, end;
	int r = read_inode(fs, folder.inode, &i, err);

	if (r < 0)
		return r;
	if (i.type != PLATTER_FILE_FOLDER)
		return pl_fail(err, -ENOTDIR, "the node is no folder");
	at = i.contents;
	end = at + i.size;
	while (at < end && r == 0) {
		char name[MAX_NAME];
		struct pl_entry e = { .name = name, .id.inode = at };

		r = read_inode(fs, at, &entry, err);
		if (r < 0)
			break;
		if (!entry.name_length || INODE_SIZE + entry.name_length > end - at)
			return pl_corrupt(err, at + 8,
					  "name of %u bytes in a folder with %" PRIu64 " left",
					  entry.name_length, end - at);
		r = pl_meta_read(v->meta, name, entry.name_length, at + INODE_SIZE, err);
		at += INODE_SIZE + entry.name_length;
		e.length = strnlen(name, entry.name_length);
		e.type = entry.type;
		if (r == 0)
			r = fn(closure, &e, err);
	}
	return r;
}

/* The stored length of a block that a direct pointer leads to; it stands in front of it. */
static int
read_length(struct cramfs *fs, uint64_t at, uint32_t *ret, struct platter_error *err)
{
	uint8_t b[2];
	int r = pl_meta_read(fs->volume.meta, b, sizeof b, at, err);

	*ret = fs->big_endian ? get_be16(b) : get_le16(b);
	return r;
}

/* Where a block begins, and its stored length, by its pointer; *end: where it ends. */
static int
find_block(struct cramfs *fs, uint32_t pointer, uint32_t expected, uint64_t *start,
	   uint32_t *length, uint64_t *end, struct platter_error *err)
{
	int r = 0;

	if (!(pointer & POINTER_DIRECT)) {
		*start = *end;
		*end = pointer & POINTER_MASK;
		if (*end < *start || *end - *start > 2 * BLOCK)
			return pl_corrupt(err, *start, "block from byte %" PRIu64 " to %" PRIu64,
					  *start, *end);
		*length = (uint32_t)(*end - *start);
		return 0;
	}
	*start = (pointer & POINTER_MASK) * 4ull;
	*length = expected;
	*end = *start + BLOCK;
	if (pointer & POINTER_AS_IS)
		return 0;
	r = read_length(fs, *start, length, err);
	*start += 2;
	*end = *start + *length;
	return r;
}

static int
add_blocks(struct cramfs *fs, const struct inode *i, const uint8_t *pointers, uint32_t nr,
	   struct pl_runs *runs, struct platter_error *err)
{
	uint64_t end = i->contents + nr * 4ull;
	int r = 0;

	for (uint32_t k = 0; k < nr && r == 0; k++) {
		uint32_t pointer = cramfs_word(fs->big_endian, pointers + k * 4);
		struct pl_run run = { .offset = (uint64_t)k * BLOCK, .kind = PLATTER_DATA };
		uint32_t n = (uint32_t)PL_MIN(BLOCK, i->size - run.offset), length;

		r = find_block(fs, pointer, n, &run.stored, &length, &end, err);
		if (r < 0 || !length)
			continue;
		if (length > (pointer & POINTER_AS_IS ? BLOCK : 2 * BLOCK))
			return pl_corrupt(err, run.stored, "block of %" PRIu32 " bytes", length);
		run.length = n;
		if (pointer & POINTER_AS_IS) {
			run.length = PL_MIN(n, length);
		} else {
			run.decoder = &pl_unpack_zlib.decoder;
			run.stored_length = length;
			run.chunk_length = n;
		}
		r = pl_runs_add(runs, &run, err);
	}
	return r;
}

static int
open_contents(struct cramfs *fs, const struct inode *i, const char *name, struct pl_disk **ret,
	      struct platter_error *err)
{
	uint32_t nr = (uint32_t)pl_div_round_up(i->size, BLOCK);
	uint8_t pointers[MAX_BLOCKS * 4];
	struct pl_runs runs = { 0 };
	int r = 0;

	if (nr)
		r = pl_meta_read(fs->volume.meta, pointers, nr * 4, i->contents, err);
	if (r == 0)
		r = add_blocks(fs, i, pointers, nr, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(fs->volume.disk, &runs, i->size, name, ret, err);
}

static int
cramfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		 struct pl_disk **ret, struct platter_error *err)
{
	struct inode i;
	int r = read_inode(cramfs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	(void)stream;
	if (i.type != PLATTER_FILE_REGULAR)
		return pl_fail(err, i.type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	return open_contents(cramfs_of(v), &i, name, ret, err);
}

static int
cramfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *contents = NULL;
	PL_AUTOFREE char *target = NULL;
	struct inode i;
	int r = read_inode(cramfs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	if (i.type != PLATTER_FILE_SYMLINK)
		return pl_invalid(err, "the node is no symbolic link");
	if (i.size > PL_MAX_TARGET)
		return pl_over_limit(err, id.inode,
				     "target of %" PRIu32 " bytes, limit is %" PRIu64, i.size,
				     (uint64_t)PL_MAX_TARGET);
	r = open_contents(cramfs_of(v), &i, "symbolic link", &contents, err);
	if (r < 0)
		return r;
	target = calloc(1, i.size + 1ul);
	if (!target)
		return pl_no_memory(err);
	r = pl_read(contents, target, i.size, 0, err);
	if (r == 0)
		*ret = PL_STEAL(target);
	return r;
}

static int
cramfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	return pl_ranges_add(used, 0, v->size, err);
}

/* Of all from the superblock on, its own field taken as zeros. */
static int
compute_crc(struct cramfs *fs, uint32_t *ret, struct platter_error *err)
{
	const size_t piece = KIB(256);
	PL_AUTOFREE uint8_t *buf = malloc(piece);
	uint32_t crc = 0;

	if (!buf)
		return pl_no_memory(err);
	for (uint64_t at = fs->start; at < fs->bytes;) {
		size_t n = (size_t)PL_MIN(piece, fs->bytes - at);
		int r = pl_read_once(fs->volume.disk, buf, n, at, err);

		if (r < 0)
			return r;
		if (at == fs->start)
			memset(buf + SB_CRC, 0, 4);
		crc = pl_crc32(crc, buf, n);
		at += n;
	}
	*ret = crc;
	return 0;
}

static void
cramfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct cramfs *fs = cramfs_of(v);
	uint32_t crc;

	pl_fact_number(facts, "version", "version", fs->flags & FLAG_VERSION_2 ? 2 : 1);
	if (!(fs->flags & FLAG_VERSION_2))
		return;
	pl_fact_number(facts, "edition", "edition", fs->edition);
	if (fs->bytes < fs->start + SB_SIZE || fs->bytes > MAX_SIZE)
		pl_warn(facts, "a size of %" PRIu32 " bytes cannot be", fs->bytes);
	else if (compute_crc(fs, &crc, NULL) < 0)
		pl_warn(facts, "not all of it can be read");
	else if (crc != fs->crc)
		pl_warn(facts, "its checksum does not match");
}

static void
cramfs_free(struct pl_volume *v)
{
	pl_volume_done(v);
	free(cramfs_of(v));
}

static const struct pl_volume_ops cramfs_ops = {
	.stat = cramfs_stat,
	.list = cramfs_list,
	.read_link = cramfs_read_link,
	.open = cramfs_open_file,
	.used = cramfs_used,
	.describe = cramfs_describe,
	.free = cramfs_free,
};

static int
read_superblock(struct cramfs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	uint8_t sb[SB_SIZE];
	int r = pl_meta_read(v->meta, sb, sizeof sb, 0, err);

	if (r == 0 && !cramfs_is_superblock(sb)) {
		fs->start = CRAMFS_SHIFTED;
		r = pl_meta_read(v->meta, sb, sizeof sb, fs->start, err);
	}
	if (r < 0)
		return r;
	if (!cramfs_is_superblock(sb))
		return pl_corrupt(err, 0, "no cramfs: it has no '" CRAMFS_SIGNATURE "'");
	fs->big_endian = get_be32(sb) == CRAMFS_MAGIC;
	fs->flags = cramfs_word(fs->big_endian, sb + SB_FLAGS);
	if (fs->flags & ~(uint32_t)FLAG_KNOWN)
		return pl_unsupported(err, fs->start + SB_FLAGS,
				      "cramfs with unknown features 0x%" PRIx32,
				      fs->flags & ~(uint32_t)FLAG_KNOWN);
	fs->bytes = cramfs_word(fs->big_endian, sb + SB_BYTES);
	fs->crc = cramfs_word(fs->big_endian, sb + SB_CRC);
	fs->edition = cramfs_word(fs->big_endian, sb + SB_EDITION);
	/* Version 1 does not tell its size. */
	if (fs->flags & FLAG_VERSION_2)
		v->size = PL_MIN(v->size, fs->bytes);
	v->block_size = BLOCK;
	v->free = 0;
	v->state = PLATTER_STATE_CLEAN;
	v->root.inode = fs->start + SB_ROOT;
	return 0;
}

int
pl_cramfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	       struct platter_error *err)
{
	struct cramfs *fs = calloc(1, sizeof *fs);
	struct inode root;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &cramfs_ops, request, err);
	if (r == 0)
		r = read_superblock(fs, err);
	if (r == 0)
		r = read_inode(fs, fs->volume.root.inode, &root, err);
	if (r == 0 && root.type != PLATTER_FILE_FOLDER)
		r = pl_corrupt(err, fs->volume.root.inode, "the root of cramfs is no folder");
	if (r < 0)
		cramfs_free(&fs->volume);
	else
		*ret = &fs->volume;
	return r;
}
