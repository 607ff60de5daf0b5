/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/data.c - where the contents of files are
 *
 *	offset  size  extent item, whose key's offset is the byte of the file
 *	     8     8  bytes that it decodes to
 *	    16     1  compression: 0 none, 1 zlib, 2 LZO, 3 zstd
 *	    17     1  encryption, 0
 *	    20     1  type: 0 inline, 1 regular, 2 preallocated
 *	    21        inline: the contents; else:
 *	    21     8  where it is stored, logical; 0 a hole
 *	    29     8  bytes stored
 *	    37     8  what of (the decoded) it the file shows, from here
 *	    45     8  this many bytes
 */
#include "btrfs.h"

enum {
	EXTENT_DECODED = 8,
	EXTENT_COMPRESSION = 16,
	EXTENT_ENCRYPTION = 17,
	EXTENT_ENCODING = 18,
	EXTENT_TYPE = 20,
	EXTENT_INLINE = 21,
	EXTENT_STORED = 21,
	EXTENT_STORED_LENGTH = 29,
	EXTENT_SKIP = 37,
	EXTENT_LENGTH = 45,
	EXTENT_SIZE = 53,
};

enum {
	TYPE_INLINE,
	TYPE_REGULAR,
	TYPE_PREALLOCATED,
};

/* Linux compresses pieces of 128 KiB at most. */
#define MAX_COMPRESSED MIB(1)

struct file {
	struct btrfs *fs;
	struct pl_runs runs;
	uint64_t size;
};

static int
add_compressed(struct file *f, struct pl_run *run, unsigned method, uint64_t stored_length,
	       uint64_t decoded, uint64_t skip, uint64_t at, struct platter_error *err)
{
	run->decoder = pl_btrfs_decoder(f->fs, method);
	if (!run->decoder)
		return pl_unsupported(err, at + EXTENT_COMPRESSION,
				      "compression of the unknown method %u", method);
	if (stored_length > MAX_COMPRESSED || decoded > MAX_COMPRESSED || !stored_length)
		return pl_over_limit(err, at,
				     "compressed extent of %" PRIu64 " bytes in %" PRIu64
				     ", limit is %" PRIu64,
				     decoded, stored_length, (uint64_t)MAX_COMPRESSED);
	if (!pl_in_range(skip, run->length, decoded))
		return pl_corrupt(err, at + EXTENT_SKIP,
				  "extent of %" PRIu64 " bytes at %" PRIu64 " of %" PRIu64
				  " compressed ones",
				  run->length, skip, decoded);
	run->stored_length = (uint32_t)stored_length;
	run->chunk_length = (uint32_t)decoded;
	run->skip = (uint32_t)skip;
	return pl_runs_add(&f->runs, run, err);
}

static int
add_inline(struct file *f, const struct btrfs_cursor *c, struct platter_error *err)
{
	uint64_t decoded = get_le64(c->data + EXTENT_DECODED);
	uint64_t stored = c->size - EXTENT_INLINE;
	unsigned method = c->data[EXTENT_COMPRESSION];
	struct pl_run run = {
		.offset = c->key.offset,
		.length = method ? decoded : PL_MIN(decoded, stored),
		.stored = c->at + EXTENT_INLINE,
		.kind = PLATTER_DATA,
	};

	if (!method)
		return pl_runs_add(&f->runs, &run, err);
	return add_compressed(f, &run, method, stored, decoded, 0, c->at, err);
}

/* Data that is stored as is; it may pass from one chunk into the next. */
static int
add_plain(struct file *f, uint64_t offset, uint64_t length, uint64_t logical,
	  struct platter_error *err)
{
	while (length) {
		const struct btrfs_chunk *chunk;
		uint64_t into, n;
		int r = pl_btrfs_map(f->fs, logical, &chunk, err);

		if (r < 0)
			return r;
		into = logical - chunk->logical;
		n = PL_MIN(length, chunk->length - into);
		r = pl_runs_add_data(&f->runs, offset, n, chunk->physical[0] + into, err);
		if (r < 0)
			return r;
		offset += n;
		logical += n;
		length -= n;
	}
	return 0;
}

static int
add_extent(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	const struct btrfs_chunk *chunk;
	struct file *f = closure;
	const uint8_t *p = c->data;
	uint64_t stored, stored_length, skip, sum, offset = c->key.offset;
	unsigned method;
	int r;

	/* What lies past the end, preallocated as a rule, is not seen. */
	if (offset >= f->size)
		return 0;
	if (c->size < EXTENT_INLINE)
		return pl_corrupt(err, c->at, "extent item of %" PRIu32 " bytes", c->size);
	method = p[EXTENT_COMPRESSION];
	if (p[EXTENT_ENCRYPTION] || get_le16(p + EXTENT_ENCODING))
		return pl_unsupported(err, c->at + EXTENT_ENCRYPTION,
				      "extent of unknown encryption %u or encoding %u",
				      p[EXTENT_ENCRYPTION], get_le16(p + EXTENT_ENCODING));
	if (p[EXTENT_TYPE] == TYPE_INLINE)
		return add_inline(f, c, err);
	if (p[EXTENT_TYPE] > TYPE_PREALLOCATED)
		return pl_corrupt(err, c->at + EXTENT_TYPE, "extent of type %u", p[EXTENT_TYPE]);
	if (c->size < EXTENT_SIZE)
		return pl_corrupt(err, c->at, "extent item of %" PRIu32 " bytes", c->size);
	stored = get_le64(p + EXTENT_STORED);
	stored_length = get_le64(p + EXTENT_STORED_LENGTH);
	skip = get_le64(p + EXTENT_SKIP);
	if (!stored)
		return 0;
	if (p[EXTENT_TYPE] == TYPE_PREALLOCATED)
		return pl_runs_add_zero(&f->runs, offset, get_le64(p + EXTENT_LENGTH), err);
	if (!method) {
		uint64_t length = PL_MIN(get_le64(p + EXTENT_LENGTH), f->size - offset);

		if (!pl_in_range(skip, length, stored_length) ||
		    __builtin_add_overflow(stored, stored_length, &sum))
			return pl_corrupt(err, c->at + EXTENT_SKIP,
					  "%" PRIu64 " bytes at %" PRIu64
					  " of an extent of %" PRIu64,
					  length, skip, stored_length);
		return add_plain(f, offset, length, stored + skip, err);
	}
	r = pl_btrfs_map(f->fs, stored, &chunk, err);
	if (r < 0)
		return r;
	if (chunk->length - (stored - chunk->logical) < stored_length)
		return pl_corrupt(err, c->at + EXTENT_STORED,
				  "compressed extent passes the end of its chunk");
	return add_compressed(f,
			      &(struct pl_run){
				      .offset = offset,
				      .length = get_le64(p + EXTENT_LENGTH),
				      .stored = chunk->physical[0] + (stored - chunk->logical),
				      .kind = PLATTER_DATA,
			      },
			      method, stored_length, get_le64(p + EXTENT_DECODED), skip, c->at,
			      err);
}

int
pl_btrfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		   struct pl_disk **ret, struct platter_error *err)
{
	struct file f = { .fs = pl_btrfs_of(v) };
	struct btrfs_inode inode;
	struct platter_file file;
	int r = pl_volume_stat(v, id, &file, err);

	if (r < 0)
		return r;
	(void)stream;
	if (file.type != PLATTER_FILE_REGULAR)
		return pl_fail(err, file.type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	r = pl_btrfs_read_inode(f.fs, id, &inode, err);
	f.size = file.size;
	if (r == 0)
		r = pl_btrfs_each(f.fs, &inode.tree, id.inode, BTRFS_EXTENT_DATA, add_extent, &f,
				  err);
	if (r < 0) {
		pl_runs_done(&f.runs);
		return r;
	}
	return pl_file_new(v->disk, &f.runs, f.size, name, ret, err);
}

int
pl_btrfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct btrfs *fs = pl_btrfs_of(v);
	struct btrfs_key key = { .objectid = id.inode, .type = BTRFS_EXTENT_DATA };
	struct btrfs_inode inode;
	struct btrfs_cursor c;
	int r = pl_btrfs_read_inode(fs, id, &inode, err);

	if (r < 0)
		return r;
	if ((get_le32(inode.item + INODE_MODE) & 0170000) != 0120000)
		return pl_invalid(err, "Btrfs inode is no symbolic link");
	r = pl_btrfs_find(fs, &inode.tree, &key, &c, err);
	if (r == -ENOENT)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "symbolic link without a target");
	else if (r == 0 && (c.size <= EXTENT_INLINE || c.data[EXTENT_TYPE] != TYPE_INLINE ||
			    c.data[EXTENT_COMPRESSION]))
		r = pl_corrupt(err, c.at, "target of a symbolic link that is not inline");
	if (r == 0) {
		*ret = strndup((const char *)c.data + EXTENT_INLINE, c.size - EXTENT_INLINE);
		if (!*ret)
			r = pl_no_memory(err);
	}
	pl_btrfs_leave(&c);
	return r;
}
