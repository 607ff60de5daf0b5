/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/volume.c - the files of UDF (ECMA-167, OSTA UDF 1.02 to 2.60)
 *
 * The logical volume descriptor leads to a file set, that to the root folder.  A node's
 * number is the partition map and the block of its file entry.
 */
#include "udf.h"

#include "text.h"

enum {
	LOGICAL_BLOCK_SIZE = 212,
	LOGICAL_REVISION = 240,
	LOGICAL_FILE_SET = 248,
	LOGICAL_IMPLEMENTATION = 272,
	LOGICAL_INTEGRITY = 432
};
enum {
	PRIMARY_VOLUME = 24,
	PRIMARY_SET = 72,
	PRIMARY_APPLICATION = 344,
	PRIMARY_TIME = 376,
	PRIMARY_IMPLEMENTATION = 388
};
enum {
	SET_TIME = 16,
	SET_NUMBER = 44,
	SET_ROOT = 400,
	SET_NEXT = 448,
	SET_STREAMS = 464,
	SET_SIZE = 512
};
enum {
	INTEGRITY_TIME = 16,
	INTEGRITY_TYPE = 28,
	INTEGRITY_NEXT = 32,
	INTEGRITY_NR = 72,
	INTEGRITY_USE = 76,
	INTEGRITY_FREE = 80
};
enum {
	USE_FILES = 32,
	USE_FOLDERS = 36,
	USE_MIN_READ = 40,
	USE_MIN_WRITE = 42,
	USE_MAX_WRITE = 44,
	USE_SIZE = 46
};

/* File sets: one on all discs.  Integrity descriptors: one for every time it was mounted. */
#define MAX_FILE_SETS 64
#define MAX_INTEGRITY 4096

static struct pl_node_id
node_of(struct udf_address a)
{
	return (struct pl_node_id){ .inode = (uint64_t)a.map << 32 | a.block };
}

static int
read_node(const struct udf *fs, struct pl_node_id id, struct udf_icb *ret,
	  struct platter_error *err)
{
	return pl_udf_read_icb(fs, (unsigned)(id.inode >> 32), (uint32_t)id.inode, ret, err);
}

static enum platter_file_type
type_of(const struct udf_icb *icb)
{
	switch (icb->type) {
	case UDF_FOLDER:
	case UDF_STREAM_FOLDER: return PLATTER_FILE_FOLDER;
	case 0: /* not specified */
	case UDF_FILE:
	case UDF_REAL_TIME_FILE: return PLATTER_FILE_REGULAR;
	case UDF_BLOCK_DEVICE: return PLATTER_FILE_BLOCK_DEVICE;
	case UDF_CHARACTER_DEVICE: return PLATTER_FILE_CHARACTER_DEVICE;
	case UDF_FIFO: return PLATTER_FILE_FIFO;
	case UDF_SOCKET: return PLATTER_FILE_SOCKET;
	case UDF_SYMLINK: return PLATTER_FILE_SYMLINK;
	default: return PLATTER_FILE_OTHER;
	}
}

/* Five bits for others, the group and the owner: execute, write, read, attributes, delete. */
static uint32_t
mode_of(const struct udf_icb *icb)
{
	static const uint8_t bits[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	uint32_t p = icb->permissions, mode;

	mode = bits[p & 7] | bits[p >> 5 & 7] << 3 | bits[p >> 10 & 7] << 6;
	return mode | (icb->flags & 0x40 ? 04000 : 0) | (icb->flags & 0x80 ? 02000 : 0) |
	       (icb->flags & 0x100 ? 01000 : 0);
}

/*
 * Components of a target: type, length of the name, 2 bytes, name.  Root, "..", "." and names;
 * type 1 with a name is a root that only its writer knows.
 */
static int
decode_target(const uint8_t *p, size_t n, struct pl_str *out)
{
	bool slash = false;

	while (n >= 4) {
		char name[3 * 256 + 1];
		size_t length = p[1];

		if (length > n - 4)
			return -EUCLEAN;
		if (slash && p[0] >= 3)
			pl_str_add(out, "/");
		slash = true;
		switch (p[0]) {
		case 1:
		case 2:
			if (p[0] == 1 && length)
				return -EUCLEAN;
			out->length = 0;
			pl_str_add(out, "/");
			slash = false;
			break;
		case 3: pl_str_add(out, ".."); break;
		case 4: pl_str_add(out, "."); break;
		case 5: pl_str_add_bytes(out, name, pl_udf_name(p + 4, length, name)); break;
		default: return -EUCLEAN;
		}
		p += 4 + length;
		n -= 4 + length;
	}
	return out->failed || (out->text && strlen(out->text) == out->length) ? 0 : -EUCLEAN;
}

static int
read_target(const struct udf *fs, const struct udf_icb *icb, struct pl_str *ret,
	    struct platter_error *err)
{
	PL_AUTOFREE uint8_t *path = NULL;
	struct pl_runs runs = { 0 };
	int r;

	if (icb->size > PL_MAX_TARGET)
		return pl_over_limit(err, icb->at, "target of %" PRIu64 " bytes, limit is %" PRIu64,
				     icb->size, PL_MAX_TARGET);
	path = malloc((size_t)icb->size + 1);
	if (!path)
		return pl_no_memory(err);
	r = pl_udf_runs(fs, icb, &runs, err);
	if (r == 0)
		r = pl_udf_read(fs, &runs, path, (size_t)icb->size, 0, err);
	pl_runs_done(&runs);
	if (r < 0)
		return r;
	r = decode_target(path, (size_t)icb->size, ret);
	if (r < 0)
		r = pl_corrupt(err, icb->at, "symbolic link whose target is not understood");
	else if (ret->failed)
		r = pl_no_memory(err);
	if (r < 0)
		pl_str_done(ret);
	return r;
}

static int
udf_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct pl_str target = { 0 };
	struct udf_icb icb;
	int r = read_node(fs, id, &icb, err);

	if (r < 0)
		return r;
	ret->type = type_of(&icb);
	ret->inode = icb.unique ? icb.unique : id.inode;
	ret->has_mode = true;
	ret->mode = mode_of(&icb);
	/* All ones: whose it is is not recorded. */
	ret->has_owner = icb.uid != UINT32_MAX && icb.gid != UINT32_MAX;
	if (ret->has_owner) {
		ret->uid = icb.uid;
		ret->gid = icb.gid;
	}
	ret->links = PL_MAX(icb.links, 1u);
	ret->major = icb.major;
	ret->minor = icb.minor;
	ret->size = icb.size;
	ret->allocated = icb.nr_blocks <= UINT64_MAX / fs->block_size
				 ? icb.nr_blocks * fs->block_size
				 : UINT64_MAX;
	ret->modified = icb.modified;
	ret->accessed = icb.accessed;
	ret->changed = icb.changed;
	ret->created = icb.created;
	if (ret->type == PLATTER_FILE_OTHER)
		ret->note = "file of UDF's own";
	if (ret->type == PLATTER_FILE_SYMLINK && read_target(fs, &icb, &target, NULL) == 0)
		ret->size = target.length;
	else if (ret->type == PLATTER_FILE_SYMLINK)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	pl_str_done(&target);
	pl_udf_icb_done(&icb);
	return 0;
}

/* Blocks that are set aside, as a file in the root (OSTA UDF 2.3.13): nobody's. */
static bool
is_system_file(const struct udf_entry *e, const char *name, size_t n)
{
	static const char reserved[] = "Non-Allocatable ";

	return e->characteristics & ENTRY_HIDDEN && n > strlen(reserved) &&
	       !memcmp(name, reserved, strlen(reserved));
}

struct lister {
	pl_entry_fn *fn;
	void *closure;
};

static int
list_entry(void *closure, const struct udf_entry *e, struct platter_error *err)
{
	struct lister *l = closure;
	char name[3 * 256 + 1];
	const struct pl_entry entry = {
		.name = name,
		.length = pl_udf_name(e->name, e->name_length, name),
		.id = node_of(e->icb),
		.type = e->characteristics & ENTRY_FOLDER ? PLATTER_FILE_FOLDER
							  : PLATTER_FILE_UNKNOWN,
	};

	if (is_system_file(e, name, entry.length))
		return 0;
	return l->fn(l->closure, &entry, err);
}

static int
udf_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct lister l = { fn, closure };
	struct udf_icb icb;
	int r = read_node(fs, folder, &icb, err);

	if (r < 0)
		return r;
	if (type_of(&icb) != PLATTER_FILE_FOLDER)
		r = pl_fail_at(err, -ENOTDIR, icb.at, "UDF node is no folder");
	else
		r = pl_udf_each_entry(fs, &icb, list_entry, &l, err);
	pl_udf_icb_done(&icb);
	return r;
}

static int
udf_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct pl_str target = { 0 };
	struct udf_icb icb;
	int r = read_node(fs, id, &icb, err);

	if (r < 0)
		return r;
	if (icb.type == UDF_SYMLINK)
		r = read_target(fs, &icb, &target, err);
	else
		r = pl_invalid(err, "UDF node is no symbolic link");
	pl_udf_icb_done(&icb);
	if (r == 0)
		*ret = target.text;
	return r;
}

/* Alternate streams are the files of a folder that no other folder knows. */
static int
each_stream(const struct udf *fs, const struct udf_icb *icb, udf_entry_fn *fn, void *closure,
	    struct platter_error *err)
{
	struct udf_icb folder;
	int r;

	if (!icb->streams.length)
		return 0;
	r = pl_udf_read_icb(fs, icb->streams.map, icb->streams.block, &folder, err);
	if (r < 0)
		return r;
	if (type_of(&folder) == PLATTER_FILE_FOLDER)
		r = pl_udf_each_entry(fs, &folder, fn, closure, err);
	else
		r = pl_corrupt(err, folder.at, "folder of streams of type %u", folder.type);
	pl_udf_icb_done(&folder);
	return r;
}

struct stream_lister {
	const struct udf *fs;
	pl_attribute_fn *fn;
	void *closure;
};

static int
list_stream(void *closure, const struct udf_entry *e, struct platter_error *err)
{
	struct stream_lister *l = closure;
	char name[3 * 256 + 1];
	size_t n = pl_udf_name(e->name, e->name_length, name);
	struct pl_attribute attribute = { .name = name };
	struct udf_icb icb;
	int r = pl_udf_read_icb(l->fs, e->icb.map, e->icb.block, &icb, err);

	if (r < 0)
		return r;
	name[n] = '\0';
	attribute.size = icb.size;
	pl_udf_icb_done(&icb);
	return n ? l->fn(l->closure, &attribute, err) : 0;
}

static int
udf_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	    struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct stream_lister l = { fs, fn, closure };
	struct udf_icb icb;
	int r = read_node(fs, id, &icb, err);

	if (r < 0)
		return r;
	r = each_stream(fs, &icb, list_stream, &l, err);
	pl_udf_icb_done(&icb);
	return r;
}

struct stream_finder {
	const char *name;
	struct udf_address found;
	bool any;
};

static int
find_stream(void *closure, const struct udf_entry *e, struct platter_error *err)
{
	struct stream_finder *f = closure;
	char name[3 * 256 + 1];
	size_t n = pl_udf_name(e->name, e->name_length, name);

	(void)err;
	if (n != strlen(f->name) || memcmp(name, f->name, n))
		return 0;
	f->found = e->icb;
	f->any = true;
	return 1;
}

/* The entry of a stream in place of that of its file. */
static int
switch_to_stream(const struct udf *fs, struct udf_icb *icb, const char *stream,
		 struct platter_error *err)
{
	struct stream_finder f = { .name = stream };
	int r = each_stream(fs, icb, find_stream, &f, err);

	pl_udf_icb_done(icb);
	if (!f.any)
		return r < 0 ? r : pl_fail(err, -ENOENT, "no stream '%s'", stream);
	return pl_udf_read_icb(fs, f.found.map, f.found.block, icb, err);
}

static int
udf_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct pl_runs runs = { 0 };
	enum platter_file_type type;
	struct udf_icb icb;
	int r = read_node(fs, id, &icb, err);

	if (r == 0 && stream)
		r = switch_to_stream(fs, &icb, stream, err);
	if (r < 0)
		return r;
	type = type_of(&icb);
	if (type != PLATTER_FILE_REGULAR && !stream)
		r = pl_fail(err, type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			    "'%s' is no regular file", name);
	if (r == 0)
		r = pl_udf_runs(fs, &icb, &runs, err);
	if (r == 0)
		r = pl_file_new(v->disk, &runs, icb.size, name, ret, err);
	pl_udf_icb_done(&icb);
	return r;
}

static void
tell_revision(struct pl_facts *facts, const char *key, const char *label, uint16_t revision)
{
	if (revision)
		pl_fact_text(facts, key, label, "%x.%02x", revision >> 8, revision & 0xff);
}

static void
tell_text(struct pl_facts *facts, const char *key, const char *label, char *text)
{
	if (text && *text)
		pl_fact_text(facts, key, label, "%s", text);
	free(text);
}

/* Who wrote it: flags, 23 characters, a suffix. */
static void
tell_id(struct pl_facts *facts, const char *key, const char *label, const uint8_t *id)
{
	tell_text(facts, key, label, pl_text_from_bytes(id + 1, 23));
}

static void
tell_time(struct pl_facts *facts, const char *key, const char *label, struct platter_time t)
{
	if (t.seconds != PLATTER_NO_TIME)
		pl_fact_time(facts, key, label, t.seconds);
}

static void
tell_partitions(const struct udf *fs, struct pl_facts *facts)
{
	static const char *const kinds[] = {
		[MAP_PHYSICAL] = "physical", [MAP_VIRTUAL] = "virtual", [MAP_SPARABLE] = "sparable",
		[MAP_METADATA] = "metadata", [MAP_UNKNOWN] = "unknown",
	};
	static const char *const accesses[] = { NULL, "read only", "write once", "rewritable",
						"overwritable" };
	struct pl_str text = { 0 };

	for (unsigned i = 0; i < fs->nr_maps; i++) {
		pl_str_addf(&text, "%s%s", i ? ", " : "", kinds[fs->map[i].kind]);
		if (fs->map[i].nr_spares)
			pl_str_addf(&text, " (%u packets replaced)", fs->map[i].nr_spares);
	}
	if (text.text)
		pl_fact_text(facts, "partition_maps", "partition maps", "%s", text.text);
	pl_str_done(&text);
	if (fs->seq.partition[0].access && fs->seq.partition[0].access < ARRAY_SIZE(accesses))
		pl_fact_text(facts, "access", "access", "%s",
			     accesses[fs->seq.partition[0].access]);
	for (unsigned i = 0; i < fs->nr_maps; i++) {
		const struct udf_map *m = &fs->map[i];

		if (m->kind == MAP_METADATA && !m->metadata.nr)
			pl_warn(facts, "the metadata file is damaged; its copy is read");
		else if (m->kind == MAP_METADATA && !m->mirror.nr && m->mirror_block != UINT32_MAX)
			pl_warn(facts, "the copy of the metadata file is damaged");
	}
}

static void
udf_describe(struct pl_volume *v, struct pl_facts *facts)
{
	const struct udf *fs = udf_of(v);
	const uint8_t *primary = fs->seq.primary, *logical = fs->seq.logical;

	tell_partitions(fs, facts);
	tell_revision(facts, "min_read", "readers must know", fs->min_read);
	tell_revision(facts, "min_write", "writers must know", fs->min_write);
	tell_revision(facts, "max_write", "written with", fs->max_write);
	if (fs->seq.has_primary) {
		tell_text(facts, "volume", "volume", pl_udf_text(primary + PRIMARY_VOLUME, 32));
		tell_text(facts, "volume_set", "volume set",
			  pl_udf_text(primary + PRIMARY_SET, 128));
		tell_id(facts, "application", "made for", primary + PRIMARY_APPLICATION);
		tell_id(facts, "maker", "made by", primary + PRIMARY_IMPLEMENTATION);
		tell_time(facts, "created", "created", pl_udf_time(primary + PRIMARY_TIME));
	}
	tell_id(facts, "writer", "written by", logical + LOGICAL_IMPLEMENTATION);
	tell_time(facts, "file_set_created", "file set made", fs->file_set_time);
	if (fs->has_integrity) {
		tell_time(facts, "written", "last written", fs->integrity_time);
		pl_fact_number(facts, "files", "files by its own count", fs->nr_files);
		pl_fact_number(facts, "folders", "folders by its own count", fs->nr_folders);
	}
	if (fs->system_streams.length)
		pl_fact_flag(facts, "system_streams", "streams of the volume", true);
	if (v->state == PLATTER_STATE_DIRTY)
		pl_warn(facts, "it was not closed: what was written last may be missing");
}

static void
udf_free(struct pl_volume *v)
{
	struct udf *fs = udf_of(v);

	pl_udf_maps_done(fs);
	free(fs->seq.logical);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops udf_ops = {
	.stat = udf_stat,
	.list = udf_list,
	.read_link = udf_read_link,
	.open = udf_open_file,
	.streams = udf_streams,
	.used = pl_udf_used,
	.describe = udf_describe,
	.free = udf_free,
};

/* The free blocks of each partition, its size, and then what UDF adds. */
static void
take_integrity(struct udf *fs, const uint8_t *d)
{
	uint32_t nr = get_le32(d + INTEGRITY_NR), room = fs->sector_size - INTEGRITY_FREE;
	uint64_t use = INTEGRITY_FREE + UINT64_C(8) * nr;

	fs->has_integrity = true;
	fs->is_closed = get_le32(d + INTEGRITY_TYPE) == 1;
	fs->integrity_time = pl_udf_time(d + INTEGRITY_TIME);
	fs->free_blocks = nr > room / 8 ? UINT64_MAX : 0;
	for (unsigned i = 0; i < nr && i < fs->nr_maps && fs->free_blocks != UINT64_MAX; i++) {
		uint32_t blocks = get_le32(d + INTEGRITY_FREE + 4 * (size_t)i);

		if (fs->map[i].kind != MAP_PHYSICAL && fs->map[i].kind != MAP_SPARABLE)
			continue;
		fs->free_blocks =
			blocks > fs->map[i].nr_blocks ? UINT64_MAX : fs->free_blocks + blocks;
	}
	if (get_le32(d + INTEGRITY_USE) < USE_SIZE || use + USE_SIZE > fs->sector_size)
		return;
	d += use;
	fs->nr_files = get_le32(d + USE_FILES);
	fs->nr_folders = get_le32(d + USE_FOLDERS);
	fs->min_read = get_le16(d + USE_MIN_READ);
	fs->min_write = get_le16(d + USE_MIN_WRITE);
	fs->max_write = get_le16(d + USE_MAX_WRITE);
}

/* The last of the descriptors in a row, which may go on elsewhere, counts. */
static int
read_integrity(struct udf *fs, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *d = malloc(fs->sector_size);
	struct udf_extent e = udf_extent_at(fs->seq.logical + LOGICAL_INTEGRITY);
	uint32_t left = e.length / fs->sector_size;

	if (!d)
		return pl_no_memory(err);
	fs->integrity = e;
	fs->free_blocks = UINT64_MAX;
	for (unsigned i = 0; i < MAX_INTEGRITY && left; i++, left--, e.sector++) {
		uint64_t at = (uint64_t)e.sector * fs->sector_size;

		if (pl_meta_read(fs->volume.meta, d, fs->sector_size, at, NULL) < 0 ||
		    pl_udf_check_tag(fs, d, fs->sector_size, TAG_INTEGRITY, e.sector, at, NULL) < 0)
			break;
		take_integrity(fs, d);
		if (get_le32(d + INTEGRITY_NEXT) >= fs->sector_size) {
			e = udf_extent_at(d + INTEGRITY_NEXT);
			left = e.length / fs->sector_size + 1;
			e.sector--;
		}
	}
	return 0;
}

/* Of several the one with the highest number counts; on media written once they follow each other. */
static int
read_file_sets(struct udf *fs, struct platter_error *err)
{
	struct udf_address a = udf_address_at(fs->seq.logical + LOGICAL_FILE_SET);
	uint32_t left = (a.length & 0x3fffffff) / fs->block_size, newest = 0;
	uint8_t d[SET_SIZE];
	bool any = false;
	int r = 0;

	for (unsigned i = 0; i < MAX_FILE_SETS && left; i++, left--, a.block++) {
		struct platter_error *why = i ? NULL : err;
		uint64_t at, length;

		r = pl_udf_translate(fs, a.map, a.block, false, &at, &length, why);
		if (r == 0)
			r = pl_meta_read(fs->volume.meta, d, sizeof d, at, why);
		if (r == 0)
			r = pl_udf_check_tag(fs, d, sizeof d, TAG_FILE_SET, a.block, at, why);
		if (r < 0)
			break;
		if (!any || get_le32(d + SET_NUMBER) >= newest) {
			newest = get_le32(d + SET_NUMBER);
			fs->root = udf_address_at(d + SET_ROOT);
			fs->file_set_time = pl_udf_time(d + SET_TIME);
			if (fs->revision >= 0x200)
				fs->system_streams = udf_address_at(d + SET_STREAMS);
		}
		any = true;
		if (get_le32(d + SET_NEXT)) {
			a = udf_address_at(d + SET_NEXT);
			left = (a.length & 0x3fffffff) / fs->block_size + 1;
			a.block--;
		}
	}
	if (any)
		return 0;
	return r < 0 ? r : pl_corrupt(err, PLATTER_NO_OFFSET, "UDF without a file set descriptor");
}

static int
check_logical(struct udf *fs, struct platter_error *err)
{
	const uint8_t *d = fs->seq.logical;

	fs->block_size = get_le32(d + LOGICAL_BLOCK_SIZE);
	fs->revision = get_le16(d + LOGICAL_REVISION);
	if (!pl_is_power_of_two(fs->block_size) || fs->block_size < 512 ||
	    fs->block_size > UDF_MAX_BLOCK)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "UDF blocks of %" PRIu32 " bytes",
				  fs->block_size);
	return 0;
}

static uint64_t
end_of(const struct udf *fs, struct udf_extent e)
{
	return (uint64_t)e.sector * fs->sector_size + e.length;
}

static void
tell_size(struct udf *fs)
{
	struct pl_volume *v = &fs->volume;
	uint64_t end = ((uint64_t)fs->last_anchor + 1) * fs->sector_size;

	end = PL_MAX(end, PL_MAX(end_of(fs, fs->main), end_of(fs, fs->reserve)));
	end = PL_MAX(end, end_of(fs, fs->integrity));
	for (unsigned i = 0; i < fs->nr_maps; i++)
		end = PL_MAX(end,
			     fs->map[i].start + (uint64_t)fs->map[i].nr_blocks * fs->block_size);
	v->size = PL_MIN(v->size, end);
	v->block_size = fs->block_size;
	if (fs->free_blocks != UINT64_MAX && fs->free_blocks * fs->block_size <= v->size)
		v->free = fs->free_blocks * fs->block_size;
	if (fs->has_integrity)
		v->state = fs->is_closed ? PLATTER_STATE_CLEAN : PLATTER_STATE_DIRTY;
	/* Written once, the integrity descriptor stays open; a table at the end closes it. */
	for (unsigned i = 0; i < fs->nr_maps; i++)
		if (fs->map[i].kind == MAP_VIRTUAL)
			v->state = PLATTER_STATE_CLEAN;
}

int
pl_udf_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct udf *fs = calloc(1, sizeof *fs);
	struct udf_icb root;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &udf_ops, request, err);
	if (r == 0)
		r = pl_udf_read_sequences(fs, err);
	if (r == 0)
		r = check_logical(fs, err);
	if (r == 0)
		r = pl_udf_read_maps(fs, err);
	if (r == 0)
		r = read_integrity(fs, err);
	if (r == 0)
		r = read_file_sets(fs, err);
	if (r == 0) {
		tell_size(fs);
		fs->volume.root = node_of(fs->root);
		r = read_node(fs, fs->volume.root, &root, err);
	}
	if (r < 0) {
		udf_free(&fs->volume);
		return r;
	}
	pl_udf_icb_done(&root);
	*ret = &fs->volume;
	return 0;
}
