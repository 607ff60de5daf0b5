/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/catalog.c - what a volume's tree says of inodes, entries, attributes and extents
 *
 *	offset  size  inode (j_inode_val_t)
 *	     0     8  parent
 *	     8     8  data stream: what its extents are found by; a clone shares its original's
 *	    16   4x8  created, modified, changed, accessed: nanoseconds since 1970
 *	    48     8  flags
 *	    56     4  entries of a folder, names of anything else
 *	    68     4  BSD flags
 *	    72   2x4  owner, group
 *	    80     2  mode
 *	    84     8  size before compression, if a flag says so
 *	    92        extended fields: count, bytes used (2 each); type, flags (1 each) and size
 *	              (2) of each; then the fields, each padded to 8
 *
 *	offset  size  entry (j_drec_val_t)
 *	     0     8  inode
 *	     8     8  when it was added
 *	    16     2  type: mode >> 12
 *
 *	offset  size  attribute (j_xattr_val_t)
 *	     0     2  flags; 1: in a stream, 2: here
 *	     2     2  bytes that follow
 *	     4        value; or the stream's number (8), size, allocated size (8 each), ...
 *
 *	offset  size  extent (j_file_extent_val_t; of a sealed volume fext_tree_val_t)
 *	     0     8  length in bytes; the upper 8 bits are flags
 *	     8     8  block; 0: a hole
 */
#include "apfs.h"
#include "checksums.h"
#include "decmpfs.h"
#include "normalize.h"

enum {
	INODE_PARENT = 0,
	INODE_DATA = 8,
	INODE_CREATED = 16,
	INODE_MODIFIED = 24,
	INODE_CHANGED = 32,
	INODE_ACCESSED = 40,
	INODE_LINKS = 56,
	INODE_BSD_FLAGS = 68,
	INODE_OWNER = 72,
	INODE_GROUP = 76,
	INODE_MODE = 80,
	INODE_FIELDS = 92,
	FIELDS_HEADER = 4,
	FIELD_ENTRY = 4
};
enum {
	FIELD_STREAM = 8,
	FIELD_SPARSE = 13,
	FIELD_DEVICE = 14
};
enum {
	STREAM_SIZE = 0,
	STREAM_ALLOCATED = 8,
	STREAM_LENGTH = 40
};
enum {
	ENTRY_INODE = 0,
	ENTRY_FLAGS = 16,
	ENTRY_LENGTH = 18,
	ENTRY_TYPE_MASK = 15
};
enum {
	XATTR_FLAGS = 0,
	XATTR_LENGTH = 2,
	XATTR_VALUE = 4,
	XATTR_IN_STREAM = 1
};
enum {
	EXTENT_LENGTH = 0,
	EXTENT_BLOCK = 8,
	EXTENT_SIZE = 16
};
#define EXTENT_LENGTH_MASK UINT64_C(0x00ffffffffffffff)

#define HASH_SHIFT 10
#define HASH_MASK  0x3fffffu

void
pl_apfs_xattr_done(struct apfs_xattr *x)
{
	free(x->value);
	x->value = NULL;
}

static int
decode_xattr(const struct apfs_record *record, struct apfs_xattr *ret, struct platter_error *err)
{
	const uint8_t *v = record->value;
	uint32_t length;

	if (record->value_length < XATTR_VALUE)
		return pl_corrupt(err, record->at, "attribute record of %" PRIu32 " bytes",
				  record->value_length);
	length = get_le16(v + XATTR_LENGTH);
	if (length > record->value_length - XATTR_VALUE)
		return pl_corrupt(err, record->at,
				  "attribute of %" PRIu32 " bytes in a record of %" PRIu32, length,
				  record->value_length);
	*ret = (struct apfs_xattr){ .size = length };
	memcpy(ret->name, record->key.name, PL_MIN(record->key.name_length, APFS_MAX_NAME));
	if (get_le16(v + XATTR_FLAGS) & XATTR_IN_STREAM) {
		if (length < 8 + STREAM_ALLOCATED + 8)
			return pl_corrupt(err, record->at,
					  "attribute's stream record of %" PRIu32 " bytes", length);
		ret->stream_id = get_le64(v + XATTR_VALUE);
		ret->size = get_le64(v + XATTR_VALUE + 8 + STREAM_SIZE);
		ret->allocated = get_le64(v + XATTR_VALUE + 8 + STREAM_ALLOCATED);
		return 0;
	}
	ret->value = malloc(length + (size_t)1);
	if (!ret->value)
		return pl_no_memory(err);
	memcpy(ret->value, v + XATTR_VALUE, length);
	ret->value[length] = '\0';
	return 0;
}

static bool
has_name(const struct apfs_record *record, const char *name)
{
	return record->key.name_length == strlen(name) &&
	       !memcmp(record->key.name, name, record->key.name_length);
}

static void
decode_field(unsigned type, const uint8_t *p, uint32_t n, struct apfs_inode *ret)
{
	if (type == FIELD_STREAM && n >= STREAM_LENGTH) {
		ret->has_data = true;
		ret->size = get_le64(p + STREAM_SIZE);
		ret->allocated = get_le64(p + STREAM_ALLOCATED);
	} else if (type == FIELD_SPARSE && n >= 8) {
		ret->sparse = get_le64(p);
	} else if (type == FIELD_DEVICE && n >= 4) {
		ret->device = get_le32(p);
	}
}

static int
decode_inode(const struct apfs_record *record, struct apfs_inode *ret, struct platter_error *err)
{
	const uint8_t *v = record->value;
	struct pl_cursor entries, fields;
	const uint8_t *header;
	uint32_t nr;

	if (record->value_length < INODE_FIELDS)
		return pl_corrupt(err, record->at, "inode record of %" PRIu32 " bytes",
				  record->value_length);
	*ret = (struct apfs_inode){
		.parent = get_le64(v + INODE_PARENT),
		.data_id = get_le64(v + INODE_DATA),
		.created = (int64_t)get_le64(v + INODE_CREATED),
		.modified = (int64_t)get_le64(v + INODE_MODIFIED),
		.changed = (int64_t)get_le64(v + INODE_CHANGED),
		.accessed = (int64_t)get_le64(v + INODE_ACCESSED),
		.links = get_le32(v + INODE_LINKS),
		.bsd_flags = get_le32(v + INODE_BSD_FLAGS),
		.uid = get_le32(v + INODE_OWNER),
		.gid = get_le32(v + INODE_GROUP),
		.mode = get_le16(v + INODE_MODE),
	};
	entries = (struct pl_cursor){ v + INODE_FIELDS, v + record->value_length };
	header = pl_take(&entries, FIELDS_HEADER);
	if (!header)
		return 0;
	nr = get_le16(header);
	fields = entries;
	if (!pl_take(&fields, (size_t)nr * FIELD_ENTRY))
		return pl_corrupt(err, record->at,
				  "inode of %" PRIu32 " extended fields in a record of %" PRIu32
				  " bytes",
				  nr, record->value_length);
	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *entry = pl_take(&entries, FIELD_ENTRY);
		uint32_t size = get_le16(entry + 2);
		const uint8_t *field = pl_take(&fields, size);

		if (!field)
			return pl_corrupt(err, record->at,
					  "extended field %" PRIu32
					  " of an inode ends past its record",
					  i);
		decode_field(entry[0], field, size, ret);
		/* The last one's padding may be left out. */
		pl_take(&fields, PL_MIN(-size & 7u, (size_t)(fields.end - fields.p)));
	}
	return 0;
}

/* Size of a symbolic link, or of a compressed file: from the attributes behind the inode. */
static int
take_size(struct apfs *fs, const struct apfs_subvolume *s, const struct apfs_record *record,
	  struct apfs_inode *inode, struct platter_error *err)
{
	bool link = (inode->mode & 0170000) == 0120000;
	PL_AUTOUNREF struct pl_disk *stream = NULL;
	struct pl_decmpfs header;
	struct apfs_xattr x;
	uint8_t head[PL_DECMPFS_HEADER];
	int r;

	if (!has_name(record, link ? APFS_SYMLINK : PL_DECMPFS_ATTRIBUTE) &&
	    !(has_name(record, APFS_RESOURCE_FORK) && !link))
		return 0;
	r = decode_xattr(record, &x, err);
	if (r < 0)
		return r;
	if (link) {
		/* With a NUL. */
		inode->size = x.value ? strnlen((char *)x.value, x.size) : x.size;
	} else if (has_name(record, APFS_RESOURCE_FORK)) {
		inode->allocated += x.allocated;
	} else {
		r = pl_apfs_xattr_open(fs, s, &x, "attribute", &stream, err);
		if (r == 0)
			r = pl_read(stream, head, PL_MIN(sizeof head, x.size), 0, err);
		if (r == 0)
			r = pl_decmpfs_decode(head, PL_MIN(sizeof head, x.size), &header, err);
		inode->compressed = true;
		inode->size = r == 0 ? header.size : 0;
	}
	pl_apfs_xattr_done(&x);
	return r;
}

int
pl_apfs_inode(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
	      struct apfs_inode *ret, struct platter_error *err)
{
	const struct apfs_key key = { .id = number, .type = RECORD_INODE, .name = "" };
	struct apfs_record record;
	struct apfs_cursor c;
	bool found;
	int r, end;

	pl_apfs_cursor_seek(&c, fs, &s->catalog, &key);
	found = pl_apfs_cursor_next(&c, &record) && record.key.id == number &&
		record.key.type == RECORD_INODE;
	r = found ? decode_inode(&record, ret, err) : 0;
	if (found && r == 0 &&
	    ((ret->mode & 0170000) == 0120000 || ret->bsd_flags & BSD_COMPRESSED))
		while (r == 0 && pl_apfs_cursor_next(&c, &record) && record.key.id == number &&
		       record.key.type <= RECORD_XATTR)
			if (record.key.type == RECORD_XATTR)
				r = take_size(fs, s, &record, ret, err);
	end = pl_apfs_cursor_end(&c, r ? NULL : err);
	if (r == 0)
		r = end;
	if (r == 0 && !found)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "inode %" PRIu64 " is not in volume '%s'",
				  number, s->name);
	return r;
}

int
pl_apfs_xattrs(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number, apfs_xattr_fn *fn,
	       void *closure, struct platter_error *err)
{
	const struct apfs_key key = { .id = number, .type = RECORD_XATTR, .name = "" };
	struct platter_error why = PLATTER_ERROR_INIT;
	struct apfs_record record;
	struct apfs_cursor c;
	int r = 0, end, first = 0;

	pl_apfs_cursor_seek(&c, fs, &s->catalog, &key);
	while (r == 0 && pl_apfs_cursor_next(&c, &record) && record.key.id == number &&
	       record.key.type == RECORD_XATTR) {
		struct apfs_xattr x;

		end = decode_xattr(&record, &x, first ? NULL : &why);
		if (end < 0) {
			first = first ? first : end;
			continue;
		}
		r = fn(closure, &x, err);
		pl_apfs_xattr_done(&x);
	}
	end = pl_apfs_cursor_end(&c, r ? NULL : err);
	if (r || !first)
		return r ? r : end;
	if (err)
		*err = why;
	return first;
}

int
pl_apfs_xattr_find(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
		   const char *name, struct apfs_xattr *ret, struct platter_error *err)
{
	const struct apfs_key key = { .id = number, .type = RECORD_XATTR, .name = "" };
	struct apfs_record record;
	struct apfs_cursor c;
	int r = -ENOENT, end;

	pl_apfs_cursor_seek(&c, fs, &s->catalog, &key);
	while (r == -ENOENT && pl_apfs_cursor_next(&c, &record) && record.key.id == number &&
	       record.key.type == RECORD_XATTR)
		if (has_name(&record, name))
			r = decode_xattr(&record, ret, err);
	end = pl_apfs_cursor_end(&c, r == -ENOENT ? err : NULL);
	return r == -ENOENT && end < 0 ? end : r;
}

/* A stream's extents, from the volume's tree or, of a sealed volume, from one of their own. */
static int
add_extents(struct apfs *fs, const struct apfs_subvolume *s, uint64_t stream_id, uint64_t size,
	    struct pl_runs *runs, struct platter_error *err)
{
	const struct apfs_tree *tree = s->sealed ? &s->extents : &s->catalog;
	const struct apfs_key key = { .id = stream_id,
				      .type = s->sealed ? 0 : RECORD_EXTENT,
				      .name = "" };
	struct apfs_record record;
	struct apfs_cursor c;
	int r = 0, end;

	pl_apfs_cursor_seek(&c, fs, tree, &key);
	while (r == 0 && pl_apfs_cursor_next(&c, &record) && record.key.id == stream_id &&
	       record.key.type == key.type && record.key.number < size) {
		uint64_t length, block, at;

		if (record.value_length < EXTENT_SIZE) {
			r = pl_corrupt(err, record.at, "extent record of %" PRIu32 " bytes",
				       record.value_length);
			break;
		}
		length = get_le64(record.value + EXTENT_LENGTH) & EXTENT_LENGTH_MASK;
		block = get_le64(record.value + EXTENT_BLOCK);
		if (length % fs->block_size) {
			r = pl_corrupt(err, record.at,
				       "extent of %" PRIu64 " bytes in blocks of %" PRIu32, length,
				       fs->block_size);
			break;
		}
		if (!block)
			continue;
		r = pl_apfs_locate(fs, block, length / fs->block_size, "extent", &at, err);
		if (r == 0)
			r = pl_runs_add_data(runs, record.key.number, length, at, err);
	}
	end = pl_apfs_cursor_end(&c, r ? NULL : err);
	return r ? r : end;
}

int
pl_apfs_stream_open(struct apfs *fs, const struct apfs_subvolume *s, uint64_t stream_id,
		    uint64_t size, const char *name, struct pl_disk **ret,
		    struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r = size ? add_extents(fs, s, stream_id, size, &runs, err) : 0;

	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(fs->volume.disk, &runs, size, name, ret, err);
}

int
pl_apfs_xattr_open(struct apfs *fs, const struct apfs_subvolume *s, const struct apfs_xattr *x,
		   const char *name, struct pl_disk **ret, struct platter_error *err)
{
	if (x->value)
		return pl_file_of_bytes(x->value, (size_t)x->size, name, ret, err);
	return pl_apfs_stream_open(fs, s, x->stream_id, x->size, name, ret, err);
}

static enum platter_file_type
entry_type(const struct apfs_record *record)
{
	static const enum platter_file_type types[] = {
		[1] = PLATTER_FILE_FIFO,
		[2] = PLATTER_FILE_CHARACTER_DEVICE,
		[4] = PLATTER_FILE_FOLDER,
		[6] = PLATTER_FILE_BLOCK_DEVICE,
		[8] = PLATTER_FILE_REGULAR,
		[10] = PLATTER_FILE_SYMLINK,
		[12] = PLATTER_FILE_SOCKET,
		[14] = PLATTER_FILE_OTHER,
		[ENTRY_TYPE_MASK] = PLATTER_FILE_UNKNOWN,
	};

	return types[get_le16(record->value + ENTRY_FLAGS) & ENTRY_TYPE_MASK];
}

int
pl_apfs_list(struct apfs *fs, const struct apfs_subvolume *s, uint64_t folder, pl_entry_fn *fn,
	     void *closure, struct platter_error *err)
{
	const struct apfs_key key = { .id = folder, .type = RECORD_ENTRY, .name = "" };
	struct apfs_record record;
	struct apfs_cursor c;
	int r = 0, end;

	pl_apfs_cursor_seek(&c, fs, &s->catalog, &key);
	while (r == 0 && pl_apfs_cursor_next(&c, &record) && record.key.id == folder &&
	       record.key.type == RECORD_ENTRY) {
		struct pl_entry e = {
			.name = record.key.name,
			.length = record.key.name_length,
			.id.tree = s->index,
		};

		if (record.value_length < ENTRY_LENGTH) {
			if (!c.error)
				c.error =
					pl_corrupt(&c.why, record.at,
						   "entry of %" PRIu32 " bytes in folder %" PRIu64,
						   record.value_length, folder);
			continue;
		}
		e.id.inode = get_le64(record.value + ENTRY_INODE);
		e.type = entry_type(&record);
		r = fn(closure, &e, err);
	}
	end = pl_apfs_cursor_end(&c, r ? NULL : err);
	return r ? r : end;
}

/*
 * CRC-32C over the name's characters as 32-bit words, decomposed and, on volumes that fold
 * case, in lower case; 22 bits of it.  Of ASCII that takes no tables; false: it is no ASCII.
 */
static bool
hash_ascii(const char *name, size_t n, bool folds_case, uint32_t *ret)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		uint8_t c[4] = { (uint8_t)name[i] };

		if (c[0] >= 0x80)
			return false;
		if (folds_case && c[0] >= 'A' && c[0] <= 'Z')
			c[0] += 'a' - 'A';
		crc = pl_crc32c_raw(crc, c, sizeof c);
	}
	*ret = crc & HASH_MASK;
	return true;
}

struct wanted {
	const struct apfs_subvolume *s;
	const char *name;
	size_t n;
	char *decomposed; /* where names that differ in that alone are one */
	size_t decomposed_n;
};

/* Is a stored name the wanted one, but for what its volume makes no difference of? */
static bool
matches(const struct wanted *w, const char *name, size_t n)
{
	PL_AUTOFREE char *decomposed = NULL;
	size_t length = 0;

	if (w->s->folds_case && pl_names_equal_folded(name, n, w->name, w->n))
		return true;
	decomposed = w->decomposed ? pl_text_decompose(name, n, &length) : NULL;
	if (!decomposed)
		return false;
	if (w->s->folds_case)
		return pl_names_equal_folded(decomposed, length, w->decomposed, w->decomposed_n);
	return length == w->decomposed_n && !memcmp(decomposed, w->decomposed, length);
}

/* The entries that begin with `key`: with one hash, or all of the folder. */
static int
search(struct apfs *fs, const struct wanted *w, const struct apfs_key *key, bool hashed,
       uint64_t *ret, struct platter_error *err)
{
	bool found = false, found_like = false;
	struct apfs_record record;
	struct apfs_cursor c;
	int end;

	pl_apfs_cursor_seek(&c, fs, &w->s->catalog, key);
	while (!found && pl_apfs_cursor_next(&c, &record) && record.key.id == key->id &&
	       record.key.type == RECORD_ENTRY) {
		if (hashed && record.key.number >> HASH_SHIFT != key->number >> HASH_SHIFT)
			break;
		if (record.value_length < ENTRY_LENGTH)
			continue;
		found = record.key.name_length == w->n && !memcmp(record.key.name, w->name, w->n);
		if (found || (!found_like && matches(w, record.key.name, record.key.name_length))) {
			*ret = get_le64(record.value + ENTRY_INODE);
			found_like = true;
		}
		/* Without hashes the first one not less than the name is the one, or none is. */
		if (!w->s->catalog.hashed_names)
			break;
	}
	end = pl_apfs_cursor_end(&c, found_like ? NULL : err);
	if (found_like)
		return 0;
	return end < 0 ? end : -ENOENT;
}

/*
 * A name is looked up by its hash if it is ASCII, or becomes so when it is decomposed; the
 * folder is searched for any other.
 */
int
pl_apfs_lookup(struct apfs *fs, const struct apfs_subvolume *s, uint64_t folder, const char *name,
	       size_t n, uint64_t *ret, struct platter_error *err)
{
	struct apfs_key key = { .id = folder, .type = RECORD_ENTRY, .name = "" };
	struct wanted w = { .s = s, .name = name, .n = n };
	PL_AUTOFREE char *decomposed = NULL;
	uint32_t hash = 0;
	bool hashed;

	if (!s->catalog.hashed_names) {
		key.name = name;
		key.name_length = n;
		return search(fs, &w, &key, false, ret, err);
	}
	decomposed = pl_text_decompose(name, n, &w.decomposed_n);
	if (!decomposed)
		return pl_no_memory(err);
	w.decomposed = decomposed;
	hashed = hash_ascii(decomposed, w.decomposed_n, s->folds_case, &hash);
	if (hashed)
		key.number = (uint64_t)hash << HASH_SHIFT;
	return search(fs, &w, &key, hashed, ret, err);
}
