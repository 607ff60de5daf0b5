/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/catalog.c - folders and files
 *
 * The catalog's keys are the number (CNID) of a folder and a name in it; its records are
 * folders, files, and threads, which stand under a node's own number with an empty name and tell
 * its folder and name.
 *
 *	HFS	   1 length, 1 nothing, 4 folder, 1 length of the name, name
 *	HFS Plus   2 length, 4 folder, 2 units of the name, name
 *
 *	HFS  HFS Plus  record
 *	  0         0  type: folder, file (1 byte of HFS, 2 of HFS Plus)
 *	  2         2  flags
 *	  6/20      8  CNID of a folder/file
 *	 10/44     12  times: created, modified, (changed, accessed,) backed up
 *	           32  owner, group, flags, mode, "special": 16 bytes
 *	 22/4      48  Finder's information, 16 bytes
 *	 38/56     64  more of it, 16 bytes
 *	 24        88  files: data fork, resource fork
 */
#include <stdio.h>

#include "hfs.h"

enum {
	OLD_FOLDER_SIZE = 54,
	OLD_FILE_SIZE = 98,
	PLUS_FOLDER_SIZE = 80,
	PLUS_FILE_SIZE = 248,
};

/* A record of the longest key and the longest data. */
#define MAX_RECORD 1024

#define LINK_PREFIX        "iNode"
#define FOLDER_LINK_PREFIX "dir_"

unsigned
pl_hfs_record_type(const struct hfs *fs, const struct hfs_record *r)
{
	if (r->length < 2)
		return 0;
	return fs->plus ? get_be16(r->data) : r->data[0];
}

const uint8_t *
pl_hfs_key_name(const struct hfs *fs, const struct hfs_record *r, unsigned *ret_nr)
{
	unsigned nr;

	*ret_nr = 0;
	if (r->key_length < 6)
		return r->key;
	nr = fs->plus ? get_be16(r->key + 4) : r->key[5];
	/* What passes the key is cut, which no writer needs. */
	*ret_nr = PL_MIN(nr, (r->key_length - 6) / (fs->plus ? 2 : 1));
	return r->key + 6;
}

static uint32_t
key_folder(const struct hfs *fs, const uint8_t *key, unsigned n)
{
	if (n < (fs->plus ? 4 : 5))
		return 0;
	return get_be32(key + (fs->plus ? 0 : 1));
}

static void
decode_old(const struct hfs *fs, const uint8_t *p, struct hfs_node *n)
{
	const uint8_t *times = p + (n->folder ? 10 : 44);

	n->flags = n->folder ? 0 : p[2];
	n->cnid = get_be32(p + (n->folder ? 6 : 20));
	n->created = get_be32(times);
	n->modified = get_be32(times + 4);
	memcpy(n->finder, p + (n->folder ? 22 : 4), 16);
	memcpy(n->finder + 16, p + (n->folder ? 38 : 56), 16);
	if (n->folder)
		return;
	pl_hfs_fork_old(fs, get_be32(p + 26), get_be32(p + 30), p + 74, &n->data);
	pl_hfs_fork_old(fs, get_be32(p + 36), get_be32(p + 40), p + 86, &n->resource);
}

static void
decode_plus(const uint8_t *p, struct hfs_node *n)
{
	n->flags = get_be16(p + 2);
	n->cnid = get_be32(p + 8);
	n->created = get_be32(p + 12);
	n->modified = get_be32(p + 16);
	n->changed = get_be32(p + 20);
	n->accessed = get_be32(p + 24);
	n->uid = get_be32(p + 32);
	n->gid = get_be32(p + 36);
	n->bsd_flags = (unsigned)p[40] << 16 | p[41];
	n->mode = get_be16(p + 42);
	n->special = get_be32(p + 44);
	/* Mac OS 9 and makers of discs leave them empty. */
	n->has_permissions = n->mode & 0170000;
	memcpy(n->finder, p + 48, 32);
	if (n->folder)
		return;
	pl_hfs_fork_plus(p + 88, &n->data);
	pl_hfs_fork_plus(p + 168, &n->resource);
}

int
pl_hfs_node_decode(const struct hfs *fs, const struct hfs_record *r, struct hfs_node *ret,
		   struct platter_error *err)
{
	unsigned type = pl_hfs_record_type(fs, r), wanted;

	if (type != RECORD_FOLDER && type != RECORD_FILE)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "catalog record of type %u, neither folder nor file", type);
	*ret = (struct hfs_node){ .folder = type == RECORD_FOLDER,
				  .parent = key_folder(fs, r->key, r->key_length) };
	if (fs->plus)
		wanted = ret->folder ? PLUS_FOLDER_SIZE : PLUS_FILE_SIZE;
	else
		wanted = ret->folder ? OLD_FOLDER_SIZE : OLD_FILE_SIZE;
	if (r->length < wanted)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "catalog record of type %u has %u bytes, expected %u", type,
				  r->length, wanted);
	if (fs->plus)
		decode_plus(r->data, ret);
	else
		decode_old(fs, r->data, ret);
	return 0;
}

int
pl_hfs_node_read(struct hfs *fs, uint64_t at, struct hfs_node *ret, struct platter_error *err)
{
	const struct hfs_tree *t = &fs->catalog;
	uint8_t bytes[MAX_RECORD];
	size_t n = (size_t)PL_MIN(MAX_RECORD, t->node_size - at % t->node_size);
	struct hfs_record record;
	int r = pl_hfs_read(fs, &t->runs, bytes, n, at, err);

	if (r < 0)
		return r;
	if (!pl_hfs_record_decode(t, true, bytes, (unsigned)n, &record))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "record at byte %" PRIu64 " of the catalog is not right", at);
	return pl_hfs_node_decode(fs, &record, ret, err);
}

struct wanted {
	const struct hfs *fs;
	uint32_t folder;
	const uint8_t *units; /* NULL: every name */
	unsigned nr;
};

static int
order_catalog(const void *wanted, const uint8_t *key, unsigned n)
{
	const struct wanted *w = wanted;
	const struct hfs_record record = { .key = key, .key_length = n };
	uint32_t folder = key_folder(w->fs, key, n);
	const uint8_t *name;
	unsigned nr;

	if (folder != w->folder)
		return folder < w->folder ? -1 : 1;
	if (!w->units)
		return 0;
	name = pl_hfs_key_name(w->fs, &record, &nr);
	return pl_hfs_name_order(w->fs->catalog.binary, name, nr, w->units, w->nr);
}

struct folder_walk {
	const struct hfs *fs;
	hfs_record_fn *fn;
	void *closure;
};

static int
pass_named(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	struct folder_walk *f = closure;
	unsigned type = pl_hfs_record_type(f->fs, record);

	if (type == RECORD_FOLDER_THREAD || type == RECORD_FILE_THREAD)
		return 0;
	return f->fn(f->closure, record, err);
}

int
pl_hfs_folder_walk(struct hfs *fs, uint32_t cnid, hfs_record_fn *fn, void *closure,
		   struct platter_error *err)
{
	const struct wanted w = { .fs = fs, .folder = cnid };
	struct folder_walk f = { fs, fn, closure };

	return pl_hfs_tree_walk(fs, &fs->catalog, order_catalog, &w, pass_named, &f, err);
}

static int
take_place(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	*(uint64_t *)closure = record->at;
	return 1;
}

int
pl_hfs_find(struct hfs *fs, uint32_t folder, const uint8_t *units, unsigned nr, uint64_t *ret,
	    struct platter_error *err)
{
	const struct wanted w = { fs, folder, units, nr };
	struct folder_walk f = { fs, take_place, ret };
	int r = pl_hfs_tree_walk(fs, &fs->catalog, order_catalog, &w, pass_named, &f, err);

	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

bool
pl_hfs_is_link(const struct hfs_node *node)
{
	if (node->folder)
		return false;
	if (!memcmp(node->finder, "hlnkhfs+", 8))
		return true;
	/* The alias of a folder, to systems that know no links to folders. */
	return !memcmp(node->finder, "fdrpMACS", 8) && (node->flags & FLAG_LINK_CHAIN);
}

int
pl_hfs_follow(struct hfs *fs, const struct hfs_node *node, uint64_t *ret, struct platter_error *err)
{
	bool to_folder = node->finder[0] == 'f';
	uint32_t folder = to_folder ? fs->private_folders : fs->private_files;
	uint8_t units[2 * 32];
	char name[32];
	int n;

	if (!fs->plus || !pl_hfs_is_link(node))
		return 0;
	if (!folder)
		return -ENOENT;
	n = snprintf(name, sizeof name, "%s%" PRIu32, to_folder ? FOLDER_LINK_PREFIX : LINK_PREFIX,
		     node->special);
	for (int i = 0; i < n; i++)
		put_be16(units + 2 * i, (uint8_t)name[i]);
	return pl_hfs_find(fs, folder, units, (unsigned)n, ret, err);
}

enum platter_file_type
pl_hfs_type(const struct hfs_node *node)
{
	if (node->folder)
		return PLATTER_FILE_FOLDER;
	switch (node->mode & 0170000) {
	case 0120000: return PLATTER_FILE_SYMLINK;
	case 0010000: return PLATTER_FILE_FIFO;
	case 0140000: return PLATTER_FILE_SOCKET;
	case 0020000: return PLATTER_FILE_CHARACTER_DEVICE;
	case 0060000: return PLATTER_FILE_BLOCK_DEVICE;
	case 0160000: return PLATTER_FILE_OTHER; /* a whiteout */
	default: return PLATTER_FILE_REGULAR;
	}
}
