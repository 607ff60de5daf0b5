/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * squashfs/volume.c - the files of SquashFS 4.0, little-endian
 *
 * Inodes, folders, IDs and extended attributes are in tables of compressed blocks (tables.c).
 * A file's contents are compressed block by block, whose stored lengths the inode lists; what is
 * left at its end may be a part of a *fragment*, a block that several files share.
 * See Documentation/filesystems/squashfs.rst of the Linux kernel.
 *
 * A node's number is where its inode is: the block's offset in the inode table << 16, and the
 * byte in it.
 */
#include "squashfs.h"

#include "content.h"

enum {
	SB_INODES = 4,
	SB_TIME = 8,
	SB_BLOCK_SIZE = 12,
	SB_FRAGMENTS = 16,
	SB_COMPRESSION = 20,
	SB_BLOCK_BITS = 22,
	SB_FLAGS = 24,
	SB_IDS = 26,
	SB_MAJOR = 28,
	SB_ROOT = 32,
	SB_BYTES_USED = 40,
	SB_ID_TABLE = 48,
	SB_XATTR_TABLE = 56,
	SB_INODE_TABLE = 64,
	SB_FOLDER_TABLE = 72,
	SB_FRAGMENT_TABLE = 80,
	SB_SIZE = 96,
};

enum {
	TYPE_FOLDER = 1,
	TYPE_FILE,
	TYPE_SYMLINK,
	TYPE_BLOCK,
	TYPE_CHARACTER,
	TYPE_FIFO,
	TYPE_SOCKET,
	EXTENDED = 7, /* more: the same with more fields */
	MAX_TYPE = 14,
};

#define NO_FRAGMENT 0xffffffffu
#define NO_XATTRS   0xffffffffu

/* Of a block's stored length: it is not compressed. */
#define STORED_AS_IS (1u << 24)

/* 8 TiB in blocks of 128 KiB. */
#define MAX_BLOCKS (1u << 26)

struct inode {
	unsigned type; /* a basic one */
	uint16_t mode, uid, gid;
	uint32_t mtime, number, links, xattr;
	uint64_t size;
	uint64_t start;    /* of a file: its blocks on the disk; of a folder: its block, */
	uint32_t offset;   /* and byte in that; of a file: in its fragment */
	uint32_t fragment; /* NO_FRAGMENT: none */
	uint32_t device;
	struct sq_position rest; /* what follows: block lengths, or a link's target */
};

static struct squashfs *
squashfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct squashfs, volume);
}

/* The fields of each type behind the common ones, at the specification's offsets less 16. */
static int
decode_inode(struct squashfs *fs, struct inode *i, unsigned type, struct sq_position *at,
	     struct platter_error *err)
{
	static const size_t lengths[MAX_TYPE + 1] = { 0,  16, 16, 8,  8,  8, 4, 4,
						      24, 40, 8,  12, 12, 8, 8 };
	uint8_t b[40];
	int r = sq_read(fs, at, b, lengths[type], err);

	if (r < 0)
		return r;
	i->links = 1;
	i->xattr = NO_XATTRS;
	i->fragment = NO_FRAGMENT;
	switch (type) {
	case TYPE_FOLDER:
		i->start = get_le32(b);
		i->links = get_le32(b + 4);
		i->size = get_le16(b + 8);
		i->offset = get_le16(b + 10);
		break;
	case EXTENDED + TYPE_FOLDER:
		i->links = get_le32(b);
		i->size = get_le32(b + 4);
		i->start = get_le32(b + 8);
		i->offset = get_le16(b + 18);
		i->xattr = get_le32(b + 20);
		break;
	case TYPE_FILE:
		i->start = get_le32(b);
		i->fragment = get_le32(b + 4);
		i->offset = get_le32(b + 8);
		i->size = get_le32(b + 12);
		break;
	case EXTENDED + TYPE_FILE:
		i->start = get_le64(b);
		i->size = get_le64(b + 8);
		i->links = get_le32(b + 24);
		i->fragment = get_le32(b + 28);
		i->offset = get_le32(b + 32);
		i->xattr = get_le32(b + 36);
		break;
	case TYPE_SYMLINK:
	case EXTENDED + TYPE_SYMLINK:
		i->links = get_le32(b);
		i->size = get_le32(b + 4);
		break;
	case EXTENDED + TYPE_BLOCK:
	case EXTENDED + TYPE_CHARACTER: i->xattr = get_le32(b + 8); __attribute__((fallthrough));
	case TYPE_BLOCK:
	case TYPE_CHARACTER:
		i->links = get_le32(b);
		i->device = get_le32(b + 4);
		break;
	default:
		i->links = get_le32(b);
		if (type > EXTENDED)
			i->xattr = get_le32(b + 4);
	}
	i->rest = *at;
	return 0;
}

/* A symbolic link's extended attributes stand behind its target. */
static int
read_link_xattr(struct squashfs *fs, struct inode *i, struct platter_error *err)
{
	struct sq_position at = i->rest;
	uint8_t b[4];
	int r = i->size > PL_MAX_TARGET ? 0 : sq_read(fs, &at, NULL, (size_t)i->size, err);

	if (r == 0 && i->size <= PL_MAX_TARGET)
		r = sq_read(fs, &at, b, sizeof b, err);
	if (r == 0 && i->size <= PL_MAX_TARGET)
		i->xattr = get_le32(b);
	return r;
}

static int
read_inode(struct squashfs *fs, struct pl_node_id id, struct inode *ret, struct platter_error *err)
{
	struct sq_position at = { fs->inodes + (id.inode >> 16), id.inode & 0xffff };
	uint8_t b[16];
	unsigned type;
	int r;

	if (id.inode >> 48)
		return pl_corrupt(err, fs->inodes, "inode at byte %" PRIu64 " of its table",
				  id.inode >> 16);
	r = sq_read(fs, &at, b, sizeof b, err);
	if (r < 0)
		return r;
	type = get_le16(b);
	if (!type || type > MAX_TYPE)
		return pl_corrupt(err, at.block, "inode of type %u", type);
	*ret = (struct inode){
		.type = type > EXTENDED ? type - EXTENDED : type,
		.mode = get_le16(b + 2),
		.uid = get_le16(b + 4),
		.gid = get_le16(b + 6),
		.mtime = get_le32(b + 8),
		.number = get_le32(b + 12),
	};
	r = decode_inode(fs, ret, type, &at, err);
	if (r == 0 && type == EXTENDED + TYPE_SYMLINK)
		r = read_link_xattr(fs, ret, err);
	return r;
}

static int
read_id(struct squashfs *fs, uint16_t index, uint32_t *ret, struct platter_error *err)
{
	uint8_t b[4];
	int r;

	if (index >= fs->nr_ids)
		return pl_corrupt(err, fs->ids, "owner %u of %" PRIu32, index, fs->nr_ids);
	r = sq_entry(fs, fs->ids, index, b, sizeof b, err);
	*ret = get_le32(b);
	return r;
}

static const enum platter_file_type types[] = {
	[TYPE_FOLDER] = PLATTER_FILE_FOLDER,
	[TYPE_FILE] = PLATTER_FILE_REGULAR,
	[TYPE_SYMLINK] = PLATTER_FILE_SYMLINK,
	[TYPE_BLOCK] = PLATTER_FILE_BLOCK_DEVICE,
	[TYPE_CHARACTER] = PLATTER_FILE_CHARACTER_DEVICE,
	[TYPE_FIFO] = PLATTER_FILE_FIFO,
	[TYPE_SOCKET] = PLATTER_FILE_SOCKET,
};

static int
squashfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	      struct platter_error *err)
{
	struct squashfs *fs = squashfs_of(v);
	struct inode i;
	int r = read_inode(fs, id, &i, err);

	if (r == 0)
		r = read_id(fs, i.uid, &ret->uid, err);
	if (r == 0)
		r = read_id(fs, i.gid, &ret->gid, err);
	if (r < 0)
		return r;
	ret->type = types[i.type];
	ret->has_mode = ret->has_owner = true;
	ret->mode = i.mode & 07777;
	ret->links = i.links;
	ret->inode = i.number;
	ret->size = i.type == TYPE_FILE || i.type == TYPE_SYMLINK ? i.size : 0;
	/* As Linux encodes device numbers. */
	ret->major = (i.device >> 8) & 0xfff;
	ret->minor = (i.device & 0xff) | ((i.device >> 12) & 0xfff00);
	ret->modified = ret->changed = ret->accessed = (struct platter_time){ .seconds = i.mtime };
	return 0;
}

/* One run of entries whose inodes are in one block of the table; *left: bytes of the folder. */
static int
list_run(struct squashfs *fs, struct sq_position *at, uint64_t *left, pl_entry_fn *fn,
	 void *closure, struct platter_error *err)
{
	uint8_t head[12], b[8];
	char name[65536];
	uint32_t count;
	int r = sq_read(fs, at, head, sizeof head, err);

	if (r < 0)
		return r;
	count = get_le32(head);
	if (count > 255)
		return pl_corrupt(err, at->block, "%" PRIu32 " entries in a run, limit is 255",
				  count);
	*left -= PL_MIN(*left, sizeof head);
	for (uint32_t i = 0; i <= count && r == 0; i++) {
		struct pl_entry e = { .name = name };
		unsigned type;

		r = sq_read(fs, at, b, sizeof b, err);
		if (r < 0)
			break;
		e.length = get_le16(b + 6) + 1u;
		if (e.length + sizeof b > *left || e.length > 256)
			return pl_corrupt(err, at->block,
					  "name of %zu bytes in a folder with room for %" PRIu64,
					  e.length, *left);
		*left -= e.length + sizeof b;
		r = sq_read(fs, at, name, e.length, err);
		type = get_le16(b + 4);
		e.type = type && type <= TYPE_SOCKET ? types[type] : PLATTER_FILE_UNKNOWN;
		e.id.inode = (uint64_t)get_le32(head + 4) << 16 | get_le16(b);
		if (r == 0)
			r = fn(closure, &e, err);
	}
	return r;
}

static int
squashfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	      struct platter_error *err)
{
	struct squashfs *fs = squashfs_of(v);
	struct sq_position at;
	struct inode i;
	uint64_t left;
	int r = read_inode(fs, folder, &i, err);

	if (r < 0)
		return r;
	if (i.type != TYPE_FOLDER)
		return pl_fail(err, -ENOTDIR, "the node is no folder");
	at = (struct sq_position){ fs->folders + i.start, i.offset };
	/* It counts 3 bytes for "." and "..", which are not stored. */
	left = i.size > 3 ? i.size - 3 : 0;
	while (left && r == 0)
		r = list_run(fs, &at, &left, fn, closure, err);
	return r;
}

static int
squashfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct inode i;
	int r = read_inode(squashfs_of(v), id, &i, err);

	if (r < 0)
		return r;
	if (i.type != TYPE_SYMLINK)
		return pl_invalid(err, "the node is no symbolic link");
	if (i.size > PL_MAX_TARGET)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "target of %" PRIu64 " bytes, limit is %" PRIu64, i.size,
				     (uint64_t)PL_MAX_TARGET);
	*ret = calloc(1, (size_t)i.size + 1);
	if (!*ret)
		return pl_no_memory(err);
	r = sq_read(squashfs_of(v), &i.rest, *ret, (size_t)i.size, err);
	if (r < 0)
		free(PL_STEAL(*ret));
	return r;
}

/* The blocks of a file that are its own. */
static int
add_blocks(struct squashfs *fs, const struct inode *i, uint64_t nr, struct pl_runs *runs,
	   struct platter_error *err)
{
	uint32_t block_size = fs->volume.block_size;
	struct sq_position at = i->rest;
	uint64_t stored = i->start;
	int r = 0;

	for (uint64_t k = 0; k < nr && r == 0; k++) {
		uint64_t offset = k * block_size;
		struct pl_run run = {
			.offset = offset,
			.length = PL_MIN(block_size, i->size - offset),
			.stored = stored,
			.kind = PLATTER_DATA,
		};
		uint8_t b[4];
		uint32_t length;

		r = sq_read(fs, &at, b, sizeof b, err);
		if (r < 0)
			break;
		length = get_le32(b) & (STORED_AS_IS - 1);
		if (!length)
			continue;
		if (length > block_size || (get_le32(b) & STORED_AS_IS && length < run.length))
			return pl_corrupt(err, at.block,
					  "block of %" PRIu32 " bytes for %" PRIu64 " of a file",
					  length, run.length);
		if (!(get_le32(b) & STORED_AS_IS)) {
			run.decoder = &fs->unpacker->decoder;
			run.stored_length = length;
			run.chunk_length = (uint32_t)run.length;
		}
		r = pl_runs_add(runs, &run, err);
		stored += length;
	}
	return r;
}

/* The end of a file, in a fragment that it shares. */
static int
add_tail(struct squashfs *fs, const struct inode *i, struct pl_runs *runs,
	 struct platter_error *err)
{
	uint32_t block_size = fs->volume.block_size;
	uint64_t at = (uint64_t)i->fragment * (block_size + 4);
	struct pl_run run = {
		.offset = i->size - i->size % block_size,
		.length = i->size % block_size,
		.stored = at + i->offset,
		.below = fs->fragments,
		.kind = PLATTER_DATA,
	};
	uint8_t length[4];
	int r;

	if (i->fragment >= fs->nr_fragments)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "fragment %" PRIu32 " of %" PRIu32,
				  i->fragment, fs->nr_fragments);
	r = pl_read(fs->fragments, length, sizeof length, at + block_size, err);
	if (r < 0)
		return r;
	if (!pl_in_range(i->offset, run.length, get_le32(length)))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "bytes %" PRIu32 " to %" PRIu64 " of a fragment of %" PRIu32,
				  i->offset, i->offset + run.length, get_le32(length));
	return pl_runs_add(runs, &run, err);
}

static int
squashfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		   struct pl_disk **ret, struct platter_error *err)
{
	struct squashfs *fs = squashfs_of(v);
	struct pl_runs runs = { 0 };
	uint64_t nr;
	struct inode i;
	int r = read_inode(fs, id, &i, err);

	if (r < 0)
		return r;
	if (stream)
		return pl_fail(err, -ENOENT, "SquashFS has no streams");
	if (i.type != TYPE_FILE)
		return pl_fail(err, i.type == TYPE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	nr = i.fragment == NO_FRAGMENT ? pl_div_round_up(i.size, v->block_size)
				       : i.size / v->block_size;
	if (nr > MAX_BLOCKS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "file of %" PRIu64 " bytes in blocks of %" PRIu32, i.size,
				     v->block_size);
	r = add_blocks(fs, &i, nr, &runs, err);
	if (r == 0 && i.fragment != NO_FRAGMENT && i.size % v->block_size)
		r = add_tail(fs, &i, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(v->disk, &runs, i.size, name, ret, err);
}

/* ---- fragments ---- */

/*
 * Every fragment unpacked, at a multiple of block_size + 4 bytes: the block, filled up with
 * zeros, and its true length.  So what many small files share is unpacked once.
 */
struct fragments {
	struct pl_disk disk;
	struct squashfs *fs; /* used while a file is opened: what it needs is kept in `fragment` */
	struct pl_disk *below;
	uint32_t block_size;
	uint16_t codec;
	pthread_mutex_t lock; /* guards what follows */
	struct fragment {
		uint64_t start;
		uint32_t length; /* 0: not looked up yet */
	} * fragment;
};

/* The decoders are one for each codec: those of fragments differ in what they fill up. */
struct fragment_decoder {
	struct pl_decoder decoder;
	const struct pl_unpacker *unpacker; /* NULL: stored as is */
};

static int
decode_fragment(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
		size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct fragment_decoder *d = (const void *)decoder;
	size_t room = out_size - 4, n = in_size;
	int r = 0;

	(void)chunk_offset;
	memset(out, 0, out_size);
	if (d->unpacker)
		r = d->unpacker->unpack(in, in_size, out, room, &n, err);
	else if (n > room)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "fragment of %zu bytes, limit is %zu", n,
			       room);
	else
		memcpy(out, in, n);
	if (r == 0)
		put_le32(out + room, (uint32_t)n);
	return r;
}

#define FRAGMENTS_OF(x)                                             \
	{                                                           \
		{ #x " fragment", decode_fragment }, &pl_unpack_##x \
	}
static const struct fragment_decoder fragment_decoders[] = {
	{ { "fragment", decode_fragment }, NULL },
	FRAGMENTS_OF(zlib),
	FRAGMENTS_OF(lzma),
	FRAGMENTS_OF(lzo),
	FRAGMENTS_OF(xz),
	FRAGMENTS_OF(lz4),
	FRAGMENTS_OF(zstd),
};

static int
find_fragment(struct fragments *f, uint64_t index, struct fragment *ret, struct platter_error *err)
{
	struct squashfs *fs = f->fs;
	uint8_t b[16];
	int r;

	pthread_mutex_lock(&f->lock);
	*ret = f->fragment[index];
	pthread_mutex_unlock(&f->lock);
	if (ret->length)
		return 0;
	r = sq_entry(fs, fs->fragment_table, (uint32_t)index, b, sizeof b, err);
	if (r < 0)
		return r;
	*ret = (struct fragment){ get_le64(b), get_le32(b + 8) };
	if (!(ret->length & (STORED_AS_IS - 1)) ||
	    (ret->length & (STORED_AS_IS - 1)) > f->block_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "fragment %" PRIu64 " of %" PRIu32 " bytes", index,
				  ret->length & (STORED_AS_IS - 1));
	pthread_mutex_lock(&f->lock);
	f->fragment[index] = *ret;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int
fragments_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	      struct platter_error *err)
{
	struct fragments *f = pl_container_of(disk, struct fragments, disk);
	uint64_t stride = f->block_size + 4ull, index = offset / stride;
	struct fragment at;
	int r = find_fragment(f, index, &at, err);

	(void)length;
	if (r < 0)
		return r;
	*ret = (struct pl_extent){
		.length = stride - offset % stride,
		.kind = PLATTER_DATA,
		.below = f->below,
		.stored_offset = at.start,
		.decoder = &fragment_decoders[at.length & STORED_AS_IS ? 0 : f->codec].decoder,
		.stored_length = at.length & (STORED_AS_IS - 1),
		.chunk_offset = index * stride,
		.chunk_length = (uint32_t)stride,
	};
	return 0;
}

static void
fragments_free(struct pl_disk *disk)
{
	struct fragments *f = pl_container_of(disk, struct fragments, disk);

	pthread_mutex_destroy(&f->lock);
	pl_disk_unref(f->below);
	free(f->fragment);
	pl_disk_done(disk);
	free(f);
}

static const struct pl_disk_ops fragments_ops = {
	.name = "fragments",
	.map = fragments_map,
	.free = fragments_free,
};

static int
make_fragments(struct squashfs *fs, struct platter_error *err)
{
	struct fragments *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return pl_no_memory(err);
	pthread_mutex_init(&f->lock, NULL);
	r = pl_disk_init(&f->disk, &fragments_ops, fs->volume.disk->name, err);
	if (r == 0)
		r = pl_disk_stack(&f->disk, fs->volume.disk, err);
	f->fs = fs;
	f->below = pl_disk_ref(fs->volume.disk);
	f->block_size = fs->volume.block_size;
	f->codec = fs->codec;
	f->disk.size = (uint64_t)fs->nr_fragments * (f->block_size + 4);
	f->fragment = calloc(fs->nr_fragments + 1ul, sizeof *f->fragment);
	if (r == 0 && !f->fragment)
		r = pl_no_memory(err);
	if (r < 0)
		fragments_free(&f->disk);
	else
		fs->fragments = &f->disk;
	return r;
}

/* ---- extended attributes ---- */

static int
read_xattr(struct squashfs *fs, struct sq_position *at, pl_attribute_fn *fn, void *closure,
	   struct platter_error *err)
{
	static const char *const prefixes[] = { "user.", "trusted.", "security." };
	char name[16 + 65536];
	PL_AUTOFREE uint8_t *value = NULL;
	struct sq_position away, *from = at;
	struct pl_attribute a = { .name = name };
	uint8_t b[8];
	unsigned type;
	size_t n, prefix;
	int r = sq_read(fs, at, b, 4, err);

	if (r < 0)
		return r;
	type = get_le16(b);
	n = get_le16(b + 2);
	if ((type & 0xff) >= ARRAY_SIZE(prefixes))
		return pl_unsupported(err, at->block, "extended attribute of type %u", type);
	prefix = strlen(prefixes[type & 0xff]);
	memcpy(name, prefixes[type & 0xff], prefix);
	r = sq_read(fs, at, name + prefix, n, err);
	name[prefix + n] = '\0';
	if (r == 0)
		r = sq_read(fs, at, b, 4, err);
	/* The value may be stored once for several files. */
	if (r == 0 && type & 0x100) {
		r = sq_read(fs, at, b, 8, err);
		away = (struct sq_position){ fs->xattrs + (get_le64(b) >> 16),
					     get_le64(b) & 0xffff };
		from = &away;
		if (r == 0)
			r = sq_read(fs, from, b, 4, err);
	}
	if (r < 0)
		return r;
	a.size = get_le32(b);
	if (a.size > PL_MAX_XATTR)
		return pl_over_limit(err, from->block, "extended attribute of %" PRIu64 " bytes",
				     a.size);
	value = malloc((size_t)a.size + 1);
	if (!value)
		return pl_no_memory(err);
	r = sq_read(fs, from, value, (size_t)a.size, err);
	a.value = value;
	return r < 0 ? r : fn(closure, &a, err);
}

static int
squashfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		struct platter_error *err)
{
	struct squashfs *fs = squashfs_of(v);
	struct sq_position at;
	struct inode i;
	uint8_t b[16];
	int r = read_inode(fs, id, &i, err);

	if (r < 0 || i.xattr == NO_XATTRS || fs->xattr_ids == UINT64_MAX)
		return r;
	if (i.xattr >= fs->nr_xattrs)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "attributes %" PRIu32 " of %" PRIu32,
				  i.xattr, fs->nr_xattrs);
	r = sq_entry(fs, fs->xattr_ids, i.xattr, b, sizeof b, err);
	at = (struct sq_position){ fs->xattrs + (get_le64(b) >> 16), get_le64(b) & 0xffff };
	for (uint32_t k = 0; k < get_le32(b + 8) && r == 0; k++)
		r = read_xattr(fs, &at, fn, closure, err);
	return r;
}

static int
squashfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	return pl_ranges_add(used, 0, v->size, err);
}

static void
squashfs_free(struct pl_volume *v)
{
	struct squashfs *fs = squashfs_of(v);

	pl_disk_unref(fs->fragments);
	sq_cache_free(fs->cache);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops squashfs_ops = {
	.stat = squashfs_stat,
	.list = squashfs_list,
	.read_link = squashfs_read_link,
	.open = squashfs_open_file,
	.xattrs = squashfs_xattrs,
	.used = squashfs_used,
	.free = squashfs_free,
};

static int
read_superblock(struct squashfs *fs, struct platter_error *err)
{
	static const struct pl_unpacker *const unpackers[] = {
		NULL,          &pl_unpack_zlib, &pl_unpack_lzma, &pl_unpack_lzo,
		&pl_unpack_xz, &pl_unpack_lz4,  &pl_unpack_zstd,
	};
	struct pl_volume *v = &fs->volume;
	uint8_t sb[SB_SIZE], b[16];
	int r = pl_meta_read(v->meta, sb, sizeof sb, 0, err);

	if (r < 0)
		return r;
	if (memcmp(sb, "hsqs", 4) != 0 || get_le16(sb + SB_MAJOR) != 4)
		return !memcmp(sb, "hsqs", 4) || !memcmp(sb, "sqsh", 4)
			       ? pl_unsupported(
					 err, SB_MAJOR,
					 "the files of SquashFS before version 4 are not read")
			       : pl_corrupt(err, 0, "no SquashFS: it does not begin with 'hsqs'");
	fs->codec = get_le16(sb + SB_COMPRESSION);
	if (!fs->codec || fs->codec >= ARRAY_SIZE(unpackers))
		return pl_unsupported(err, SB_COMPRESSION, "SquashFS compressed by method %u",
				      fs->codec);
	fs->unpacker = unpackers[fs->codec];
	v->block_size = get_le32(sb + SB_BLOCK_SIZE);
	if (v->block_size < 4096 || v->block_size > MIB(1) || !pl_is_power_of_two(v->block_size))
		return pl_corrupt(err, SB_BLOCK_SIZE, "block size %" PRIu32, v->block_size);
	fs->nr_inodes = get_le32(sb + SB_INODES);
	fs->nr_fragments = get_le32(sb + SB_FRAGMENTS);
	fs->nr_ids = get_le16(sb + SB_IDS);
	fs->created = get_le32(sb + SB_TIME);
	fs->flags = get_le16(sb + SB_FLAGS);
	fs->ids = get_le64(sb + SB_ID_TABLE);
	fs->inodes = get_le64(sb + SB_INODE_TABLE);
	fs->folders = get_le64(sb + SB_FOLDER_TABLE);
	fs->fragment_table = get_le64(sb + SB_FRAGMENT_TABLE);
	fs->xattr_ids = get_le64(sb + SB_XATTR_TABLE);
	/* Offsets in a table are below 2^48; what is larger would wrap. */
	if (fs->inodes > INT64_MAX || fs->folders > INT64_MAX || fs->ids > INT64_MAX)
		return pl_corrupt(err, SB_INODE_TABLE, "table at byte %" PRIu64, fs->inodes);
	/* Each takes 16 bytes in the table, which compresses by less than a thousand. */
	if (fs->nr_fragments > pl_disk_size(v->disk) / 16 * 1000 + 512 ||
	    fs->fragment_table > INT64_MAX)
		fs->nr_fragments = 0;
	v->size = PL_MIN(v->size, get_le64(sb + SB_BYTES_USED));
	v->free = 0;
	v->state = PLATTER_STATE_CLEAN;
	v->root.inode = get_le64(sb + SB_ROOT);
	if (fs->xattr_ids > INT64_MAX)
		return 0;
	r = pl_meta_read(v->meta, b, sizeof b, fs->xattr_ids, err);
	fs->xattrs = get_le64(b);
	fs->nr_xattrs = get_le32(b + 8);
	fs->xattr_ids += sizeof b;
	if (r < 0 || fs->xattrs > INT64_MAX)
		fs->xattr_ids = UINT64_MAX;
	return 0;
}

int
pl_squashfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		 struct platter_error *err)
{
	struct squashfs *fs = calloc(1, sizeof *fs);
	struct platter_file root = { 0 };
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &squashfs_ops, request, err);
	if (r == 0)
		r = sq_cache_new(fs, err);
	if (r == 0)
		r = read_superblock(fs, err);
	if (r == 0)
		r = make_fragments(fs, err);
	if (r == 0)
		r = squashfs_stat(&fs->volume, fs->volume.root, &root, err);
	if (r == 0 && root.type != PLATTER_FILE_FOLDER)
		r = pl_corrupt(err, SB_ROOT, "the root of SquashFS is no folder");
	if (r < 0)
		squashfs_free(&fs->volume);
	else
		*ret = &fs->volume;
	return r;
}
