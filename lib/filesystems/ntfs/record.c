/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/record.c - MFT records, and the nodes that they make up
 *
 *	offset  size  record
 *	     0     4  "FILE"
 *	     4     2  offset of the update sequence, 6: its count
 *	    16     2  sequence number of the reference
 *	    20     2  offset of the first attribute
 *	    22     2  flags: 1 in use, 2 folder
 *	    24     4  bytes used
 *	    32     8  base record, of what an attribute list names; else 0
 *
 *	offset  size  attribute
 *	     0     4  type, 0xffffffff ends them
 *	     4     4  length
 *	     8     1  0: resident
 *	     9     1  length of the name, 10: its offset
 *	    12     2  flags: compression, encrypted, sparse
 *	    16     4  resident: length of the value, 20: its offset
 *	    16     8  else: first cluster of the attribute that is mapped here
 *	    32     2  offset of the mapping pairs
 *	    34     1  compression unit, power of two of clusters
 *	    40     8  allocated, 48: size, 56: initialized, [64: bytes stored if compressed or sparse]
 *
 *	offset  size  entry of an attribute list
 *	     0     4  type, 4: length of the entry, 6: of the name, 7: offset of the name
 *	     8     8  first cluster
 *	    16     8  reference of the record
 */
#include "ntfs.h"

enum {
	RECORD_SEQUENCE = 16,
	RECORD_ATTRIBUTES = 20,
	RECORD_FLAGS = 22,
	RECORD_BASE = 32,
	RECORD_HEADER = 42,
};

enum {
	ATTR_TYPE = 0,
	ATTR_LENGTH = 4,
	ATTR_FORM = 8,
	ATTR_NAME_LENGTH = 9,
	ATTR_NAME = 10,
	ATTR_FLAGS = 12,
	ATTR_VALUE_LENGTH = 16,
	ATTR_VALUE = 20,
	ATTR_RESIDENT_HEADER = 24,
	ATTR_VCN = 16,
	ATTR_PAIRS = 32,
	ATTR_UNIT = 34,
	ATTR_ALLOCATED = 40,
	ATTR_SIZE = 48,
	ATTR_INITIALIZED = 56,
	ATTR_STORED = 64,
	ATTR_MAPPED_HEADER = 64,
	ATTR_PACKED_HEADER = 72,
};

enum {
	LIST_LENGTH = 4,
	LIST_VCN = 8,
	LIST_REFERENCE = 16,
	LIST_ENTRY = 26,
};

/* Largest shift that is not refused: 2^16 clusters; Windows uses 4. */
#define MAX_UNIT_SHIFT 16

/*
 * Records of a list that are not what it says: past these, no more are tried.  Those that are belong
 * to one file alone.
 */
#define MAX_DAMAGED 64

/* Attributes of one node: 8 bytes of each are the least that a list can spend, and 26 it does. */
#define MAX_ATTRIBUTES (64u << 10)

int
pl_ntfs_record_check(struct ntfs_fs *fs, uint64_t number, uint8_t *record, uint64_t at,
		     struct platter_error *err)
{
	if (memcmp(record, "FILE", 4))
		return pl_corrupt(err, at, "MFT record %" PRIu64 " does not begin with 'FILE'",
				  number);
	if (!pl_ntfs_apply_fixups(record, fs->boot.record_size, !fs->volume.ignore_checksums))
		return pl_corrupt(err, at + 4,
				  "MFT record %" PRIu64
				  " was written partly: its update sequence differs",
				  number);
	return 0;
}

/* The first records have a copy. */
static int
read_mirror(struct ntfs_fs *fs, uint64_t number, uint8_t *record)
{
	uint64_t at = fs->boot.mirror * fs->boot.cluster_size + number * fs->boot.record_size;
	int r;

	if (number > NTFS_RECORD_VOLUME || fs->boot.mirror >= fs->nr_clusters)
		return -ENOENT;
	r = pl_meta_read(fs->volume.meta, record, fs->boot.record_size, at, NULL);
	return r < 0 ? r : pl_ntfs_record_check(fs, number, record, at, NULL);
}

static uint64_t
byte_of_record(const struct ntfs_fs *fs, uint64_t number)
{
	uint64_t offset = number * fs->boot.record_size;
	const struct ntfs_run *run =
		pl_ntfs_runs_find(&fs->mft.runs, offset / fs->boot.cluster_size);

	if (!run || run->lcn == NTFS_NOT_STORED)
		return PLATTER_NO_OFFSET;
	return (run->lcn - run->vcn) * fs->boot.cluster_size + offset;
}

int
pl_ntfs_record_read(struct ntfs_fs *fs, uint64_t number, uint8_t *record, struct platter_error *err)
{
	int r;

	if (number >= fs->nr_records)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "MFT record %" PRIu64 " is named, there are %" PRIu64, number,
				  fs->nr_records);
	r = pl_ntfs_stream_read(fs, &fs->mft, record, fs->boot.record_size,
				number * fs->boot.record_size, err);
	if (r == 0)
		r = pl_ntfs_record_check(fs, number, record, byte_of_record(fs, number), err);
	if (r < 0 && read_mirror(fs, number, record) == 0)
		r = 0;
	return r;
}

static struct ntfs_attribute *
next_attribute(struct ntfs_node *n)
{
	if (n->nr == n->capacity) {
		size_t capacity = n->capacity ? n->capacity * 2 : NTFS_FEW_ATTRIBUTES;
		struct ntfs_attribute *p = n->few;

		if (n->capacity) {
			p = pl_realloc_array(n->attribute == n->few ? NULL : n->attribute, capacity,
					     sizeof *p);
			if (!p)
				return NULL;
			if (n->attribute == n->few)
				memcpy(p, n->few, sizeof n->few);
		}
		n->attribute = p;
		n->capacity = capacity;
	}
	return &n->attribute[n->nr++];
}

/* The attribute of `length` bytes at `p`. */
static int
decode_attribute(const uint8_t *p, uint32_t length, uint64_t at, struct ntfs_attribute *ret,
		 struct platter_error *err)
{
	unsigned name = get_le16(p + ATTR_NAME), value;

	ret->type = get_le32(p + ATTR_TYPE);
	ret->flags = get_le16(p + ATTR_FLAGS);
	ret->resident = !p[ATTR_FORM];
	ret->at = at;
	ret->name_units = p[ATTR_NAME_LENGTH];
	ret->name = p + name;
	if (ret->name_units && !pl_in_range(name, ret->name_units * 2, length))
		return pl_corrupt(err, at + ATTR_NAME,
				  "name at byte %u of an attribute of %" PRIu32 " bytes", name,
				  length);
	if (ret->resident) {
		value = get_le16(p + ATTR_VALUE);
		ret->length = get_le32(p + ATTR_VALUE_LENGTH);
		if (!pl_in_range(value, ret->length, length))
			return pl_corrupt(err, at + ATTR_VALUE_LENGTH,
					  "value of %" PRIu32 " bytes in an attribute of %" PRIu32,
					  ret->length, length);
		ret->size = ret->initialized = ret->length;
		ret->value = p + value;
		ret->vcn = ret->allocated = 0;
		ret->unit_shift = 0;
		return 0;
	}
	value = get_le16(p + ATTR_PAIRS);
	ret->vcn = get_le64(p + ATTR_VCN);
	if (length < ATTR_MAPPED_HEADER || value > length)
		return pl_corrupt(err, at + ATTR_PAIRS,
				  "mapping pairs at byte %u of an attribute of %" PRIu32 " bytes",
				  value, length);
	ret->value = p + value;
	ret->length = length - value;
	ret->unit_shift = p[ATTR_UNIT];
	ret->allocated = get_le64(p + ATTR_ALLOCATED);
	ret->size = get_le64(p + ATTR_SIZE);
	ret->initialized = PL_MIN(ret->size, get_le64(p + ATTR_INITIALIZED));
	if (ret->unit_shift > MAX_UNIT_SHIFT)
		return pl_corrupt(err, at + ATTR_UNIT, "compression unit of 2^%u clusters",
				  ret->unit_shift);
	/* Only beginnings tell the sizes. */
	if (ret->vcn)
		return 0;
	if (ret->size > INT64_MAX)
		return pl_corrupt(err, at + ATTR_SIZE, "attribute of %" PRIu64 " bytes", ret->size);
	if (ret->flags & (NTFS_COMPRESSION | NTFS_SPARSE) && value >= ATTR_PACKED_HEADER &&
	    ret->unit_shift)
		ret->allocated = get_le64(p + ATTR_STORED);
	return 0;
}

int
pl_ntfs_node_add(struct ntfs_fs *fs, struct ntfs_node *n, const uint8_t *record, uint64_t at,
		 struct platter_error *err)
{
	uint32_t size = fs->boot.record_size, offset = get_le16(record + RECORD_ATTRIBUTES);

	/* Each is at least as long as its header, so this ends. */
	while (pl_in_range(offset, 8, size)) {
		const uint8_t *p = record + offset;
		uint32_t type = get_le32(p + ATTR_TYPE), length = get_le32(p + ATTR_LENGTH);
		struct ntfs_attribute *a;
		int r;

		if (type == (uint32_t)NTFS_END)
			return 0;
		if (length < ATTR_RESIDENT_HEADER || !pl_in_range(offset, length, size))
			return pl_corrupt(err, at + offset + ATTR_LENGTH,
					  "attribute of %" PRIu32
					  " bytes at byte %u of an MFT record of %" PRIu32,
					  length, offset, size);
		if (n->nr >= MAX_ATTRIBUTES)
			return pl_over_limit(err, at + offset, "more than %u attributes",
					     MAX_ATTRIBUTES);
		a = next_attribute(n);
		if (!a)
			return pl_no_memory(err);
		r = decode_attribute(p, length, at + offset, a, err);
		if (r < 0) {
			n->nr--;
			return r;
		}
		offset += length;
	}
	return pl_corrupt(err, at + offset, "attributes of an MFT record without an end");
}

static struct ntfs_record *
new_record(struct ntfs_fs *fs, struct ntfs_node *n, uint64_t number)
{
	struct ntfs_record *record = malloc(sizeof *record + fs->boot.record_size);

	if (record) {
		record->next = n->records;
		record->number = number;
		n->records = record;
	}
	return record;
}

static void
damaged(struct ntfs_node *n, int r, const struct platter_error *why)
{
	n->nr_damaged++;
	if (n->damage)
		return;
	n->damage = r;
	n->why = *why;
}

/* A record that the attribute list names. */
static void
add_extension(struct ntfs_fs *fs, struct ntfs_node *n, uint64_t reference)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	uint64_t number = pl_ntfs_number(reference), at;
	uint16_t sequence = (uint16_t)(reference >> NTFS_SEQUENCE_SHIFT);
	struct ntfs_record *record = new_record(fs, n, number);
	bool live = n->flags & NTFS_IN_USE;
	int r;

	if (!record) {
		damaged(n, pl_no_memory(&why), &why);
		return;
	}
	r = pl_ntfs_record_read(fs, number, record->bytes, &why);
	at = byte_of_record(fs, number);
	/* The records of a deleted file are counted up when they are freed. */
	if (r == 0 && pl_ntfs_number(get_le64(record->bytes + RECORD_BASE)) != n->number)
		r = pl_corrupt(&why, at + RECORD_BASE,
			       "MFT record %" PRIu64 " belongs to record %" PRIu64
			       ", not to %" PRIu64,
			       number, pl_ntfs_number(get_le64(record->bytes + RECORD_BASE)),
			       n->number);
	if (r == 0 && live && sequence && get_le16(record->bytes + RECORD_SEQUENCE) != sequence)
		r = pl_corrupt(&why, at + RECORD_SEQUENCE,
			       "MFT record %" PRIu64
			       " has sequence %u, the attribute list of %" PRIu64 " wants %u",
			       number, get_le16(record->bytes + RECORD_SEQUENCE), n->number,
			       sequence);
	if (r == 0)
		r = pl_ntfs_node_add(fs, n, record->bytes, at, &why);
	if (r < 0)
		damaged(n, r, &why);
}

static bool
has_record(const struct ntfs_node *n, uint64_t number)
{
	for (const struct ntfs_record *r = n->records; r; r = r->next)
		if (r->number == number)
			return true;
	return false;
}

static void
add_extensions(struct ntfs_fs *fs, struct ntfs_node *n, const struct ntfs_attribute *list,
	       enum ntfs_extent extent)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *entries = NULL;
	uint64_t at = list->at;
	size_t length, offset = 0;
	int r = pl_ntfs_value_load(fs, n, list, NTFS_MAX_LIST, &entries, &length, &why);

	if (r < 0) {
		damaged(n, r, &why);
		return;
	}
	while (length - offset >= LIST_ENTRY && n->nr_damaged < MAX_DAMAGED) {
		const uint8_t *p = entries + offset;
		uint16_t step = get_le16(p + LIST_LENGTH);
		uint64_t reference = get_le64(p + LIST_REFERENCE);

		if (step < LIST_ENTRY || step > length - offset) {
			r = pl_corrupt(&why, at,
				       "entry of %u bytes in the attribute list of %" PRIu64, step,
				       n->number);
			damaged(n, r, &why);
			return;
		}
		if ((extent == NTFS_WHOLE || !get_le64(p + LIST_VCN)) &&
		    !has_record(n, pl_ntfs_number(reference)))
			add_extension(fs, n, reference);
		offset += step;
	}
}

/* Is the record what the reference means? */
static int
check_reference(struct ntfs_node *n, const uint8_t *record, uint64_t reference,
		struct platter_error *err)
{
	uint16_t wanted = (uint16_t)(reference >> NTFS_SEQUENCE_SHIFT);
	bool deleted = reference & NTFS_DELETED;

	if (n->sequence != wanted && wanted)
		return pl_corrupt(err, n->at + RECORD_SEQUENCE,
				  "MFT record %" PRIu64
				  " was used again: it has sequence %u, not %u",
				  n->number, n->sequence, wanted);
	if (!(n->flags & NTFS_IN_USE) != deleted)
		return pl_corrupt(err, n->at + RECORD_FLAGS, "MFT record %" PRIu64 " is %s",
				  n->number, deleted ? "in use again" : "not in use");
	if (get_le64(record + RECORD_BASE))
		return pl_corrupt(err, n->at + RECORD_BASE,
				  "MFT record %" PRIu64 " is a part of record %" PRIu64, n->number,
				  pl_ntfs_number(get_le64(record + RECORD_BASE)));
	return 0;
}

int
pl_ntfs_node_load(struct ntfs_fs *fs, uint64_t reference, enum ntfs_extent extent,
		  struct ntfs_node *ret, struct platter_error *err)
{
	const struct ntfs_attribute *list;
	struct platter_error why = PLATTER_ERROR_INIT;
	struct ntfs_record *record;
	int r;

	/* All but the attributes and the words. */
	ret->number = pl_ntfs_number(reference);
	ret->records = NULL;
	ret->attribute = ret->few;
	ret->nr = ret->capacity = 0;
	ret->damage = 0;
	ret->nr_damaged = 0;
	record = new_record(fs, ret, ret->number);
	if (!record)
		return pl_no_memory(err);
	r = pl_ntfs_record_read(fs, ret->number, record->bytes, err);
	if (r < 0)
		return r;
	ret->at = byte_of_record(fs, ret->number);
	ret->sequence = get_le16(record->bytes + RECORD_SEQUENCE);
	ret->flags = get_le16(record->bytes + RECORD_FLAGS);
	r = check_reference(ret, record->bytes, reference, err);
	if (r < 0)
		return r;
	r = pl_ntfs_node_add(fs, ret, record->bytes, ret->at, &why);
	if (r < 0)
		damaged(ret, r, &why);
	list = pl_ntfs_find(ret, NTFS_ATTRIBUTE_LIST, NULL);
	if (list) {
		/* The array may move. */
		const struct ntfs_attribute copy = *list;

		add_extensions(fs, ret, &copy, extent);
	}
	return 0;
}

void
pl_ntfs_node_done(struct ntfs_node *n)
{
	while (n->records) {
		struct ntfs_record *next = n->records->next;

		free(n->records);
		n->records = next;
	}
	if (n->attribute != n->few)
		free(n->attribute);
}

static bool
has_name(const struct ntfs_attribute *a, const char *name)
{
	size_t n = name ? strlen(name) : 0;

	if (a->name_units != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (get_le16(a->name + 2 * i) != (uint8_t)name[i])
			return false;
	return true;
}

const struct ntfs_attribute *
pl_ntfs_find(const struct ntfs_node *n, uint32_t type, const char *name)
{
	for (size_t i = 0; i < n->nr; i++)
		if (n->attribute[i].type == type && !n->attribute[i].vcn &&
		    has_name(&n->attribute[i], name))
			return &n->attribute[i];
	return NULL;
}
