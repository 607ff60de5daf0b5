/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * romfs/volume.c - the files of romfs
 *
 * A chain of file headers for each folder, every one at a multiple of 16, big-endian; the
 * contents follow the header whole.  See Documentation/filesystems/romfs.rst of the Linux
 * kernel, which also tells what "spec.info" is for each type.
 *
 *	offset  size  file header
 *	     0     4  offset of the next header, with type (bits 0-2) and "executable" (bit 3)
 *	     4     4  spec.info: folder: first header in it; hard link: its target; device: numbers
 *	     8     4  size
 *	    12     4  checksum
 *	    16        name, NUL-terminated, padded to 16
 *
 * A node's number is where its header is.
 */
#include "romfs.h"

enum {
	ROMFS_NEXT = 0,
	ROMFS_SPEC = 4,
	ROMFS_SIZE = 8,
	ROMFS_NAME = 16
};

enum {
	TYPE_HARD_LINK,
	TYPE_FOLDER,
	TYPE_FILE,
	TYPE_SYMLINK,
	TYPE_BLOCK,
	TYPE_CHARACTER,
	TYPE_SOCKET,
	TYPE_FIFO,
	TYPE_MASK = 7,
	TYPE_EXECUTABLE = 8,
};

#define MAX_NAME 256

struct romfs {
	struct pl_volume volume;
};

struct header {
	uint32_t next, spec, size;
	unsigned type;
	bool executable;
	char name[MAX_NAME + 1];
	size_t name_length;
	uint64_t contents; /* offset */
};

static int
read_header(struct pl_volume *v, uint64_t at, struct header *ret, struct platter_error *err)
{
	uint8_t fixed[ROMFS_NAME];
	size_t room = (size_t)PL_MIN(MAX_NAME, v->size - PL_MIN(v->size, at + ROMFS_NAME));
	int r = pl_meta_read(v->meta, fixed, sizeof fixed, at, err);

	if (r == 0)
		r = pl_meta_read(v->meta, ret->name, room, at + ROMFS_NAME, err);
	if (r < 0)
		return r;
	ret->name[room] = '\0';
	ret->next = get_be32(fixed + ROMFS_NEXT) & ~15u;
	ret->type = get_be32(fixed + ROMFS_NEXT) & TYPE_MASK;
	ret->executable = get_be32(fixed + ROMFS_NEXT) & TYPE_EXECUTABLE;
	ret->spec = get_be32(fixed + ROMFS_SPEC);
	ret->size = get_be32(fixed + ROMFS_SIZE);
	ret->name_length = strlen(ret->name);
	if (ret->name_length == room)
		return pl_corrupt(err, at + ROMFS_NAME, "romfs name without an end");
	ret->contents = pl_round_up(at + ROMFS_NAME + ret->name_length + 1, 16);
	return 0;
}

/* The header that a hard link means; links to links are followed a few times. */
static int
read_node(struct pl_volume *v, uint64_t *at, struct header *ret, struct platter_error *err)
{
	int r = read_header(v, *at, ret, err);

	for (int i = 0; r == 0 && ret->type == TYPE_HARD_LINK; i++) {
		if (i == 8)
			return pl_corrupt(err, *at + ROMFS_SPEC, "romfs hard links in a circle");
		*at = ret->spec & ~15u;
		r = read_header(v, *at, ret, err);
	}
	return r;
}

static const enum platter_file_type types[] = {
	[TYPE_HARD_LINK] = PLATTER_FILE_UNKNOWN,  [TYPE_FOLDER] = PLATTER_FILE_FOLDER,
	[TYPE_FILE] = PLATTER_FILE_REGULAR,       [TYPE_SYMLINK] = PLATTER_FILE_SYMLINK,
	[TYPE_BLOCK] = PLATTER_FILE_BLOCK_DEVICE, [TYPE_CHARACTER] = PLATTER_FILE_CHARACTER_DEVICE,
	[TYPE_SOCKET] = PLATTER_FILE_SOCKET,      [TYPE_FIFO] = PLATTER_FILE_FIFO,
};

static int
romfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	   struct platter_error *err)
{
	struct header h;
	int r = read_node(v, &id.inode, &h, err);

	if (r < 0)
		return r;
	ret->type = types[h.type];
	ret->inode = id.inode;
	/* What the kernel's driver gives: all is root's, and readable. */
	ret->has_mode = ret->has_owner = true;
	ret->mode = h.type == TYPE_SYMLINK ? 0777 : h.executable ? 0555 : 0444;
	if (h.type == TYPE_FILE || h.type == TYPE_SYMLINK)
		ret->size = ret->allocated = h.size;
	if (h.type == TYPE_BLOCK || h.type == TYPE_CHARACTER) {
		ret->major = h.spec >> 16;
		ret->minor = h.spec & 0xffff;
	}
	return 0;
}

static int
romfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct header h;
	uint64_t at = folder.inode;
	int r = read_node(v, &at, &h, err);

	if (r < 0)
		return r;
	if (h.type != TYPE_FOLDER)
		return pl_fail_at(err, -ENOTDIR, at, "romfs node is no folder");
	at = h.spec & ~15u;
	/* A chain that comes back to an entry passed at a power of two is a loop (Brent). */
	for (uint64_t i = 1, passed = 0; at && r == 0; i++) {
		struct pl_entry e = { .name = h.name };

		if (at == passed)
			return pl_corrupt(err, at, "romfs folder whose entries go in a circle");
		if ((i & (i - 1)) == 0)
			passed = at;
		r = read_header(v, at, &h, err);
		if (r < 0)
			break;
		e.length = h.name_length;
		e.type = types[h.type];
		e.id.inode = h.type == TYPE_HARD_LINK ? h.spec & ~15u : at;
		r = fn(closure, &e, err);
		at = h.next;
	}
	return r;
}

static int
romfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct header h;
	int r = read_node(v, &id.inode, &h, err);

	if (r < 0)
		return r;
	if (h.type != TYPE_SYMLINK)
		return pl_invalid(err, "romfs node is no symbolic link");
	if (h.size > PL_MAX_TARGET)
		return pl_over_limit(err, id.inode + ROMFS_SIZE,
				     "target of %" PRIu32 " bytes, limit is %" PRIu64, h.size,
				     (uint64_t)PL_MAX_TARGET);
	*ret = calloc(1, h.size + 1);
	if (!*ret)
		return pl_no_memory(err);
	r = pl_meta_read(v->meta, *ret, h.size, h.contents, err);
	if (r < 0)
		free(PL_STEAL(*ret));
	return r;
}

static int
romfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		struct pl_disk **ret, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	struct header h;
	int r = read_node(v, &id.inode, &h, err);

	if (r < 0)
		return r;
	(void)stream;
	if (h.type != TYPE_FILE)
		return pl_fail(err, h.type == TYPE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	r = pl_runs_add_data(&runs, 0, h.size, h.contents, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(v->disk, &runs, h.size, name, ret, err);
}

static int
romfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	return pl_ranges_add(used, 0, v->size, err);
}

static void
romfs_free(struct pl_volume *v)
{
	pl_volume_done(v);
	free(pl_container_of(v, struct romfs, volume));
}

static const struct pl_volume_ops romfs_ops = {
	.stat = romfs_stat,
	.list = romfs_list,
	.read_link = romfs_read_link,
	.open = romfs_open_file,
	.used = romfs_used,
	.free = romfs_free,
};

int
pl_romfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	      struct platter_error *err)
{
	struct romfs *fs = calloc(1, sizeof *fs);
	uint8_t sb[ROMFS_NAME];
	struct header h;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &romfs_ops, request, err);
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, sb, sizeof sb, 0, err);
	if (r == 0 && memcmp(sb, "-rom1fs-", 8))
		r = pl_corrupt(err, 0, "no romfs: it does not begin with '-rom1fs-'");
	if (r == 0) {
		/* The superblock is as long as a file header, and the root follows it. */
		fs->volume.size = PL_MIN(fs->volume.size, get_be32(sb + ROMFS_SIZE));
		fs->volume.block_size = 1024;
		fs->volume.free = 0;
		fs->volume.state = PLATTER_STATE_CLEAN;
		r = read_header(&fs->volume, 0, &h, err);
	}
	if (r < 0) {
		romfs_free(&fs->volume);
		return r;
	}
	fs->volume.root.inode = h.contents;
	*ret = &fs->volume;
	return 0;
}
