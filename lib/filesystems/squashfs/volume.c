/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * squashfs/volume.c - the files of SquashFS
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

#define SB_MAJOR    28
#define SQ_MAX_NAME 256

/* 8 TiB in blocks of 128 KiB. */
#define MAX_BLOCKS (1u << 26)

static struct squashfs *
squashfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct squashfs, volume);
}

static int
read_inode(struct squashfs *fs, struct pl_node_id id, struct sq_inode *ret,
	   struct platter_error *err)
{
	struct sq_position at = { fs->inodes + (id.inode >> 16), id.inode & 0xffff };

	if (id.inode >> 48)
		return pl_corrupt(err, fs->inodes, "inode at byte %" PRIu64 " of its table",
				  id.inode >> 16);
	return fs->layout->inode(fs, &at, ret, err);
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
	struct sq_inode i;
	int r = read_inode(fs, id, &i, err);

	if (r == 0)
		r = fs->layout->owners(fs, &i, &ret->uid, &ret->gid, err);
	if (r < 0)
		return r;
	ret->type = types[i.type];
	ret->has_mode = ret->has_owner = true;
	ret->mode = i.mode & 07777;
	ret->links = i.links;
	if (i.number)
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
	char name[SQ_MAX_NAME];
	struct sq_run run;
	int r = fs->layout->run(fs, at, &run, err);

	if (r < 0)
		return r;
	*left -= PL_MIN(*left, run.size);
	for (uint32_t i = 0; i < run.nr_entries && r == 0; i++) {
		struct sq_entry_head head;
		struct pl_entry e = { .name = name };

		r = fs->layout->entry(fs, at, &head, err);
		if (r < 0)
			break;
		if (head.length + head.size > *left || head.length > sizeof name)
			return pl_corrupt(err, at->block,
					  "name of %zu bytes in a folder with room for %" PRIu64,
					  head.length, *left);
		*left -= head.length + head.size;
		r = sq_read(fs, at, name, head.length, err);
		e.length = head.length;
		e.type = head.type && head.type <= TYPE_SOCKET ? types[head.type]
							       : PLATTER_FILE_UNKNOWN;
		e.id.inode = (uint64_t)run.block << 16 | head.offset;
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
	struct sq_inode i;
	uint64_t left;
	int r = read_inode(fs, folder, &i, err);

	if (r < 0)
		return r;
	if (i.type != TYPE_FOLDER)
		return pl_fail(err, -ENOTDIR, "the node is no folder");
	at = (struct sq_position){ fs->folders + i.start, i.offset };
	left = i.size;
	while (left && r == 0)
		r = list_run(fs, &at, &left, fn, closure, err);
	return r;
}

static int
squashfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct sq_inode i;
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
add_blocks(struct squashfs *fs, const struct sq_inode *i, uint64_t nr, struct pl_runs *runs,
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
		uint32_t told, length;

		r = fs->layout->block_length(fs, &at, &told, err);
		if (r < 0)
			break;
		length = told & (STORED_AS_IS - 1);
		if (!length)
			continue;
		if (length > block_size || (told & STORED_AS_IS && length < run.length))
			return pl_corrupt(err, at.block,
					  "block of %" PRIu32 " bytes for %" PRIu64 " of a file",
					  length, run.length);
		if (!(told & STORED_AS_IS)) {
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
add_tail(struct squashfs *fs, const struct sq_inode *i, struct pl_runs *runs,
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
	struct sq_inode i;
	int r = read_inode(fs, id, &i, err);

	if (r < 0)
		return r;
	(void)stream;
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
	int r;

	pthread_mutex_lock(&f->lock);
	*ret = f->fragment[index];
	pthread_mutex_unlock(&f->lock);
	if (ret->length)
		return 0;
	r = fs->layout->fragment(fs, (uint32_t)index, &ret->start, &ret->length, err);
	if (r < 0)
		return r;
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
	struct sq_inode i;
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
choose_layout(struct squashfs *fs, struct platter_error *err)
{
	uint8_t sb[SB_MAJOR + 2];
	int r = pl_meta_read(fs->volume.meta, sb, sizeof sb, 0, err);

	if (r < 0)
		return r;
	if (!memcmp(sb, "shsq", 4) || !memcmp(sb, "qshs", 4))
		return pl_unsupported(err, 0, "SquashFS compressed by a vendor's form of LZMA");
	if (memcmp(sb, "hsqs", 4) != 0 && memcmp(sb, "sqsh", 4) != 0)
		return pl_corrupt(err, 0, "no SquashFS: it does not begin with 'hsqs'");
	fs->big_endian = sb[0] == 's';
	fs->version = (uint16_t)sq_bits(fs->big_endian, sb, SB_MAJOR * 8, 16);
	if (!fs->version || fs->version > 4 || (fs->version == 4 && fs->big_endian))
		return pl_unsupported(err, SB_MAJOR, "SquashFS of version %u", fs->version);
	fs->layout = fs->version == 4 ? &sq_layout_4 : &sq_layout_old;
	return 0;
}

static int
read_superblock(struct squashfs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	uint8_t b[16];
	int r = choose_layout(fs, err);

	if (r == 0)
		r = fs->layout->superblock(fs, err);
	if (r < 0)
		return r;
	if (v->block_size < 4096 || v->block_size > MIB(1) || !pl_is_power_of_two(v->block_size))
		return pl_corrupt(err, 0, "SquashFS block size %" PRIu32, v->block_size);
	/* Offsets in a table are below 2^48; what is larger would wrap. */
	if (fs->inodes > INT64_MAX || fs->folders > INT64_MAX || fs->ids > INT64_MAX ||
	    fs->groups > INT64_MAX)
		return pl_corrupt(err, 0, "SquashFS table at byte %" PRIu64, fs->inodes);
	/* Each takes 8 bytes or more in the table, which compresses by less than a thousand. */
	if (fs->nr_fragments > pl_disk_size(v->disk) / 8 * 1000 + 1024 ||
	    fs->fragment_table > INT64_MAX)
		fs->nr_fragments = 0;
	v->size = PL_MIN(v->size, fs->bytes);
	v->free = 0;
	v->state = PLATTER_STATE_CLEAN;
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
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "the root of SquashFS is no folder");
	if (r < 0)
		squashfs_free(&fs->volume);
	else
		*ret = &fs->volume;
	return r;
}
