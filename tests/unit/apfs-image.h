/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs-image.h - APFS containers made in view, block by block
 *
 * For test-apfs, which includes it, and make-apfs, which writes them to files.
 */
#ifndef APFS_IMAGE_H
#define APFS_IMAGE_H

#include <openssl/sha.h>

#include "bytes.h"
#include "checksums.h"

#define BLOCK  4096u
#define BLOCKS 128u

/* Where everything is; each volume has STEP blocks of its own from VOLUME on. */
enum {
	DESC = 1, /* eight blocks: three checkpoints of a map and a superblock */
	NR_DESC = 8,
	DATA = 9, /* eight blocks: of each checkpoint a space manager */
	NR_DATA = 8,
	POOL = 17,
	NR_POOL = 2,
	CIB = 17, /* in the pool */
	BITS = 18,
	POOL_BITS = 19,
	OMAP = 20,
	OMAP_TREE = 21,
	VOLUME = 24,
	STEP = 24,
	APSB = 0, /* of a volume's own */
	VOLUME_OMAP = 1,
	VOLUME_OMAP_TREE = 2,
	SNAPSHOTS = 3,
	SEAL = 4,
	EXTENTS = 5,
	CATALOG = 6, /* root, then leaves, then those that a snapshot keeps */
	FILE_DATA = 16,
	FIRST_FREE = VOLUME + 3 * STEP
};
enum {
	SPACEMAN_OID = 1024,
	VOLUME_OID = 1026,
	CATALOG_OID = 1100 /* root; leaves follow */
};

/* Of objects: how they are reached, and what they are. */
enum {
	EPHEMERAL = (int)0x80000000,
	PHYSICAL = 0x40000000,
	VIRTUAL = 0
};

static uint8_t apfs_image[BLOCKS * BLOCK];

static uint8_t *
block(unsigned number)
{
	return apfs_image + (size_t)number * BLOCK;
}

static void
sign(unsigned number)
{
	uint8_t *b = block(number);
	const uint64_t m = UINT32_MAX;
	uint64_t a = 0, sum = 0, first;

	for (size_t i = 8; i < BLOCK; i += 4) {
		a = (a + get_le32(b + i)) % m;
		sum = (sum + a) % m;
	}
	first = m - (a + sum) % m;
	put_le64(b, (m - (a + first) % m) << 32 | first);
}

static uint8_t *
start_object(unsigned number, uint64_t oid, uint64_t xid, uint32_t type, uint32_t subtype)
{
	uint8_t *b = block(number);

	memset(b, 0, BLOCK);
	put_le64(b + 8, oid);
	put_le64(b + 16, xid);
	put_le32(b + 24, type);
	put_le32(b + 28, subtype);
	return b;
}

/* Records of a tree, in the order of their keys. */
struct record {
	uint8_t key[64], value[256];
	unsigned key_length, value_length;
};

static void
put_node(unsigned number, uint64_t oid, uint32_t storage, uint32_t subtype, unsigned flags,
	 unsigned level, const struct record *records, unsigned nr)
{
	bool root = flags & 1, fixed = flags & 4;
	uint8_t *b = start_object(number, oid, 3, storage | (root ? 2 : 3), subtype);
	unsigned entry = fixed ? 4 : 8, keys = 56 + 32 * entry, key = 0, value = 0;
	unsigned end = BLOCK - (root ? 40 : 0);

	put_le16(b + 32, (uint16_t)(flags | (level ? 0 : 2)));
	put_le16(b + 34, (uint16_t)level);
	put_le32(b + 36, nr);
	put_le16(b + 42, (uint16_t)(32 * entry));
	for (unsigned i = 0; i < nr; i++) {
		uint8_t *e = b + 56 + (size_t)i * entry;

		memcpy(b + keys + key, records[i].key, records[i].key_length);
		value += records[i].value_length;
		memcpy(b + end - value, records[i].value, records[i].value_length);
		put_le16(e, (uint16_t)key);
		if (fixed) {
			put_le16(e + 2, (uint16_t)value);
		} else {
			put_le16(e + 2, (uint16_t)records[i].key_length);
			put_le16(e + 4, (uint16_t)value);
			put_le16(e + 6, (uint16_t)records[i].value_length);
		}
		key += records[i].key_length;
	}
	if (root) {
		put_le32(b + end, storage & PHYSICAL ? 0x10 : 0);
		put_le32(b + end + 4, BLOCK);
		put_le32(b + end + 8, fixed ? 16 : 0);
		put_le32(b + end + 12, fixed ? 16 : 0);
		put_le64(b + end + 24, nr);
	}
	sign(number);
}

static struct record
omap_record(uint64_t oid, uint64_t xid, uint32_t flags, unsigned at)
{
	struct record r = { .key_length = 16, .value_length = 16 };

	put_le64(r.key, oid);
	put_le64(r.key + 8, xid);
	put_le32(r.value, flags);
	put_le32(r.value + 4, BLOCK);
	put_le64(r.value + 8, at);
	return r;
}

static void
put_omap(unsigned number, unsigned tree, const struct record *records, unsigned nr)
{
	uint8_t *b = start_object(number, number, 3, PHYSICAL | 11, 0);

	put_le64(b + 48, tree);
	sign(number);
	put_node(tree, tree, PHYSICAL, 11, 1 | 4, 0, records, nr);
}

/* The records of a volume. */
struct catalog {
	struct record record[48];
	unsigned nr;
	bool hashed;
};

static struct record *
add(struct catalog *c, uint64_t id, unsigned type)
{
	struct record *r = &c->record[c->nr++];

	if (c->nr > ARRAY_SIZE(c->record))
		abort();
	put_le64(r->key, id | (uint64_t)type << 60);
	r->key_length = 8;
	return r;
}

/* One more extended field behind an inode's fixed part. */
static void
add_field(struct record *r, unsigned type, const void *bytes, unsigned n)
{
	uint8_t *blob = r->value + 92;
	unsigned nr = get_le16(blob), used = get_le16(blob + 2), padded = (n + 7) & ~7u;

	memmove(blob + 4 + (nr + 1) * 4, blob + 4 + nr * 4, used);
	blob[4 + nr * 4] = (uint8_t)type;
	put_le16(blob + 4 + nr * 4 + 2, (uint16_t)n);
	memcpy(blob + 4 + (nr + 1) * 4 + used, bytes, n);
	put_le16(blob, (uint16_t)(nr + 1));
	put_le16(blob + 2, (uint16_t)(used + padded));
	r->value_length = 92 + 4 + (nr + 1) * 4 + used + padded;
}

/* Times count up from 2001-09-09 01:46:40. */
#define BILLION UINT64_C(1000000000)

static struct record *
add_inode(struct catalog *c, uint64_t id, const char *name, unsigned mode, uint32_t bsd_flags)
{
	struct record *r = add(c, id, 3);

	put_le64(r->value + 8, id);
	for (unsigned i = 0; i < 4; i++)
		put_le64(r->value + 16 + (size_t)i * 8, (BILLION + i) * BILLION + 7 + i);
	put_le32(r->value + 56, 1);
	put_le32(r->value + 68, bsd_flags);
	put_le32(r->value + 72, 501);
	put_le32(r->value + 76, 20);
	put_le16(r->value + 80, (uint16_t)mode);
	r->value_length = 92;
	add_field(r, 4, name, (unsigned)strlen(name) + 1);
	return r;
}

static void
add_stream(struct record *inode, uint64_t size, uint64_t allocated)
{
	uint8_t stream[40] = { 0 };

	put_le64(stream, size);
	put_le64(stream + 8, allocated);
	add_field(inode, 8, stream, sizeof stream);
}

static void
put_name(struct record *r, unsigned at, const char *name)
{
	memcpy(r->key + at, name, strlen(name) + 1);
	r->key_length = at + (unsigned)strlen(name) + 1;
}

static uint32_t
hash_of(const char *name)
{
	uint32_t crc = UINT32_MAX;

	for (; *name; name++) {
		uint8_t c[4] = { (uint8_t)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name) };

		crc = pl_crc32c_raw(crc, c, 4);
	}
	return (crc & 0x3fffff) << 10;
}

static void
add_entry(struct catalog *c, uint64_t folder, const char *name, uint64_t id, unsigned type)
{
	struct record *r = add(c, folder, 9);

	if (c->hashed) {
		put_le32(r->key + 8, hash_of(name) | (uint32_t)(strlen(name) + 1));
		put_name(r, 12, name);
	} else {
		put_le16(r->key + 8, (uint16_t)(strlen(name) + 1));
		put_name(r, 10, name);
	}
	put_le64(r->value, id);
	put_le16(r->value + 16, (uint16_t)type);
	r->value_length = 18;
}

static void
add_xattr(struct catalog *c, uint64_t id, const char *name, const void *value, unsigned n)
{
	struct record *r = add(c, id, 4);

	put_le16(r->key + 8, (uint16_t)(strlen(name) + 1));
	put_name(r, 10, name);
	put_le16(r->value, 2);
	put_le16(r->value + 2, (uint16_t)n);
	memcpy(r->value + 4, value, n);
	r->value_length = 4 + n;
}

static void
add_xattr_stream(struct catalog *c, uint64_t id, const char *name, uint64_t stream, uint64_t size)
{
	uint8_t value[48] = { 0 };

	put_le64(value, stream);
	put_le64(value + 8, size);
	put_le64(value + 16, BLOCK);
	add_xattr(c, id, name, value, sizeof value);
	put_le16(c->record[c->nr - 1].value, 1);
}

static void
add_extent(struct catalog *c, uint64_t stream, uint64_t offset, uint64_t length, unsigned at)
{
	struct record *r = add(c, stream, 8);

	put_le64(r->key + 8, offset);
	r->key_length = 16;
	put_le64(r->value, length);
	put_le64(r->value + 8, at);
	r->value_length = 24;
}

static bool sorts_hashed;

static int
compare_records(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	const uint64_t mask = UINT64_MAX >> 4;
	uint64_t p = get_le64(x->key), q = get_le64(y->key);
	unsigned type = (unsigned)(p >> 60);

	if ((p & mask) != (q & mask))
		return (p & mask) < (q & mask) ? -1 : 1;
	if (p >> 60 != q >> 60)
		return p >> 60 < q >> 60 ? -1 : 1;
	if (type == 8)
		return get_le64(x->key + 8) < get_le64(y->key + 8) ? -1 : 1;
	if (type == 9 && sorts_hashed)
		return get_le32(x->key + 8) < get_le32(y->key + 8) ? -1 : 1;
	return strcmp((const char *)x->key + 10, (const char *)y->key + 10);
}

/* What a test wants to be different. */
struct options {
	unsigned nr_volumes; /* 1 to 3 */
	bool hashed, sealed;
	bool snapshot;      /* of the first volume: one in which "file" has other bytes */
	uint64_t encrypted; /* bit i: volume i */
	const char *names[3];
};

enum {
	ROOT_INODE = 2,
	FOLDER_INODE = 16,
	FILE_INODE,
	LINK_INODE,
	DEVICE_INODE,
	PACKED_INODE,
	ATTRIBUTE_STREAM,
	NR_LEAVES = 3
};

static const char long_value[] = "what is in a stream of its own";

static void
fill_catalog(struct catalog *c, unsigned base)
{
	uint8_t packed[16 + 5] = "fpmc", sparse[8] = { 0 }, device[4];
	struct record *r;

	add_inode(c, ROOT_INODE, "root", 0040755, 0);
	add_entry(c, ROOT_INODE, "Folder", FOLDER_INODE, 4);
	add_entry(c, ROOT_INODE, "link", LINK_INODE, 10);
	add_entry(c, ROOT_INODE, "packed", PACKED_INODE, 8);
	add_entry(c, ROOT_INODE, "device", DEVICE_INODE, 2);
	add_entry(c, ROOT_INODE, "h\xc3\xa4rd", FILE_INODE, 8);
	add_inode(c, FOLDER_INODE, "Folder", 0040700, 0x8000);
	add_entry(c, FOLDER_INODE, "file", FILE_INODE, 8);

	/* A block, a hole of two, a block that the file's end cuts. */
	r = add_inode(c, FILE_INODE, "file", 0100644, 0x2);
	put_le32(r->value + 56, 2);
	add_stream(r, 3 * BLOCK + 100, 4 * BLOCK);
	put_le64(sparse, 2 * BLOCK);
	add_field(r, 13, sparse, sizeof sparse);
	add_extent(c, FILE_INODE, 0, BLOCK, base + FILE_DATA);
	add_extent(c, FILE_INODE, BLOCK, 2 * BLOCK, 0);
	add_extent(c, FILE_INODE, 3 * BLOCK, BLOCK, base + FILE_DATA + 1);
	memset(block(base + FILE_DATA), 'a', BLOCK);
	memset(block(base + FILE_DATA + 1), 'b', BLOCK);
	add_xattr(c, FILE_INODE, "com.apple.ResourceFork", "fork", 4);
	add_xattr_stream(c, FILE_INODE, "long", ATTRIBUTE_STREAM, sizeof long_value);
	add_xattr(c, FILE_INODE, "small", "value", 5);
	add_extent(c, ATTRIBUTE_STREAM, 0, BLOCK, base + FILE_DATA + 2);
	memcpy(block(base + FILE_DATA + 2), long_value, sizeof long_value);

	add_inode(c, LINK_INODE, "link", 0120755, 0);
	add_xattr(c, LINK_INODE, "com.apple.fs.symlink", "Folder/file", 12);
	put_le32(device, 4u << 24 | 64);
	add_field(add_inode(c, DEVICE_INODE, "device", 0020600, 0), 14, device, sizeof device);
	add_inode(c, PACKED_INODE, "packed", 0100644, 0x20);
	put_le32(packed + 4, 1);
	put_le64(packed + 8, 5);
	memcpy(packed + 16, "plain", 5);
	add_xattr(c, PACKED_INODE, "com.apple.decmpfs", packed, sizeof packed);
	sorts_hashed = c->hashed;
	qsort(c->record, c->nr, sizeof c->record[0], compare_records);
}

/* The catalog as a root above NR_LEAVES leaves, at blocks from `at` on. */
static void
put_catalog(const struct catalog *c, unsigned at, bool sealed)
{
	unsigned flags = sealed ? 8 | 16 : 0, each = c->nr / NR_LEAVES + 1;
	struct record children[NR_LEAVES];

	for (unsigned i = 0; i < NR_LEAVES; i++) {
		const struct record *first = &c->record[(size_t)i * each];
		struct record *child = &children[i];

		put_node(at + 1 + i, CATALOG_OID + 1 + i, VIRTUAL, 14, flags, 0, first,
			 PL_MIN(each, c->nr - i * each));
		*child = *first;
		child->value_length = 8;
		put_le64(child->value, (sealed ? 0 : CATALOG_OID) + 1 + i);
		if (sealed) {
			memset(block(at + 1 + i), 0, 32);
			SHA256(block(at + 1 + i), BLOCK, child->value + 8);
			child->value_length = 40;
		}
	}
	put_node(at, CATALOG_OID, VIRTUAL, 14, flags | 1, 1, children, NR_LEAVES);
	if (sealed)
		memset(block(at), 0, 32);
}

static void
put_extents_tree(const struct catalog *c, unsigned at)
{
	struct record records[8];
	unsigned nr = 0;

	for (unsigned i = 0; i < c->nr; i++) {
		if (get_le64(c->record[i].key) >> 60 != 8)
			continue;
		records[nr] = c->record[i];
		put_le64(records[nr].key, get_le64(records[nr].key) & UINT64_MAX >> 4);
		records[nr++].value_length = 16;
	}
	put_node(at, at, PHYSICAL, 31, 1 | 4, 0, records, nr);
}

static void
put_seal(unsigned base)
{
	uint8_t *b = start_object(base + SEAL, 1200, 3, VIRTUAL | 30, 0);

	put_le32(b + 32, 1);
	put_le32(b + 40, 1); /* SHA-256 */
	put_le32(b + 44, 128);
	SHA256(block(base + CATALOG), BLOCK, b + 128);
	sign(base + SEAL);
}

static void
put_volume_super(unsigned number, unsigned index, const struct options *o, uint64_t xid)
{
	unsigned base = VOLUME + index * STEP;
	uint8_t *b = start_object(number, VOLUME_OID + index, xid, VIRTUAL | 13, 0);

	memcpy(b + 32, "APSB", 4);
	put_le32(b + 36, index);
	put_le64(b + 56, (o->hashed ? 1 : 0) | (o->sealed ? 0x20 : 0));
	put_le64(b + 88, 10);
	put_le32(b + 116, 2);
	put_le64(b + 128, base + VOLUME_OMAP);
	put_le64(b + 136, CATALOG_OID);
	put_le64(b + 152, base + SNAPSHOTS);
	put_le64(b + 184, 3);
	memset(b + 240, 0x11 + (int)index, 16);
	put_le64(b + 264, o->encrypted >> index & 1 ? 8 : 1);
	memcpy(b + 272, "newfs_apfs", 11);
	put_le64(b + 272 + 32, BILLION * BILLION);
	memcpy(b + 704, o->names[index], strlen(o->names[index]) + 1);
	put_le16(b + 964, index == 0 ? 1 : index == 1 ? 0x40 : 0);
	memset(b + 1008, 0x77, index < 2 ? 16 : 0);
	if (o->sealed) {
		put_le64(b + 1024, 1200);
		put_le64(b + 1032, base + EXTENTS);
	}
	sign(number);
}

/* One snapshot, of transaction 2, whose leaf with the file's extents is another. */
static unsigned
put_snapshot(const struct catalog *c, unsigned base, const struct options *o,
	     struct record snapshots[2])
{
	struct catalog old = *c;
	unsigned super = base + FILE_DATA + 4, data = base + FILE_DATA + 5;

	for (unsigned i = 0; i < old.nr; i++)
		if (get_le64(old.record[i].key) == (FILE_INODE | UINT64_C(8) << 60) &&
		    get_le64(old.record[i].key + 8) == 0)
			put_le64(old.record[i].value + 8, data);
	memset(block(data), 'o', BLOCK);
	put_catalog(&old, base + CATALOG + NR_LEAVES + 1, false);
	put_volume_super(super, 0, o, 2);
	snapshots[0] = (struct record){ .key_length = 8, .value_length = 50 + 5 };
	put_le64(snapshots[0].key, 2 | UINT64_C(1) << 60);
	put_le64(snapshots[0].value + 8, super);
	put_le64(snapshots[0].value + 16, BILLION * BILLION);
	put_le16(snapshots[0].value + 48, 5);
	memcpy(snapshots[0].value + 50, "then", 5);
	snapshots[1] = (struct record){ .key_length = 10 + 5, .value_length = 8 };
	put_le64(snapshots[1].key, UINT64_MAX >> 4 | UINT64_C(11) << 60);
	put_le16(snapshots[1].key + 8, 5);
	memcpy(snapshots[1].key + 10, "then", 5);
	put_le64(snapshots[1].value, 2);
	return 2;
}

static void
put_volume(unsigned index, const struct options *o)
{
	unsigned base = VOLUME + index * STEP, nr = 0, nr_snapshots = 0;
	struct catalog c = { .hashed = o->hashed };
	struct record records[16], snapshots[2];

	fill_catalog(&c, base);
	put_catalog(&c, base + CATALOG, o->sealed);
	if (o->snapshot && index == 0)
		nr_snapshots = put_snapshot(&c, base, o, snapshots);
	for (unsigned i = 0; i <= NR_LEAVES; i++) {
		uint32_t flags = o->sealed ? 8 : 0;

		if (nr_snapshots)
			records[nr++] = omap_record(CATALOG_OID + i, 2, flags,
						    base + CATALOG + NR_LEAVES + 1 + i);
		records[nr++] = omap_record(CATALOG_OID + i, nr_snapshots ? 3 : 1, flags,
					    base + CATALOG + i);
	}
	if (o->sealed) {
		put_extents_tree(&c, base + EXTENTS);
		put_seal(base);
		records[nr++] = omap_record(1200, 1, 0, base + SEAL);
	}
	put_omap(base + VOLUME_OMAP, base + VOLUME_OMAP_TREE, records, nr);
	put_node(base + SNAPSHOTS, base + SNAPSHOTS, PHYSICAL, 16, 1, 0, snapshots, nr_snapshots);
	put_volume_super(base + APSB, index, o, 3);
}

/* The container's superblock of transaction `xid`, whose checkpoint begins with block `index`. */
static void
put_super(unsigned number, uint64_t xid, unsigned index, unsigned nr_volumes)
{
	uint8_t *b = start_object(number, 1, xid, EPHEMERAL | 1, 0);

	memcpy(b + 32, "NXSB", 4);
	put_le32(b + 36, BLOCK);
	put_le64(b + 40, BLOCKS);
	put_le64(b + 64, 2);
	memset(b + 72, 0x42, 16);
	put_le32(b + 104, NR_DESC);
	put_le32(b + 108, NR_DATA);
	put_le64(b + 112, DESC);
	put_le64(b + 120, DATA);
	put_le32(b + 136, index);
	put_le32(b + 140, 2);
	put_le64(b + 152, SPACEMAN_OID);
	put_le64(b + 160, OMAP);
	put_le32(b + 180, 100);
	for (unsigned i = 0; i < nr_volumes; i++)
		put_le64(b + 184 + (size_t)i * 8, VOLUME_OID + i);
	sign(number);
}

/* A checkpoint: map and superblock at `index` of the descriptor area, space manager in the data. */
static void
put_checkpoint(uint64_t xid, unsigned index, unsigned nr_volumes)
{
	unsigned map = DESC + index, spaceman = DATA + index / 2;
	uint8_t *b = start_object(map, map, xid, PHYSICAL | 12, 0);

	put_le32(b + 32, 1);
	put_le32(b + 36, 1);
	put_le32(b + 40, EPHEMERAL | 5);
	put_le32(b + 48, BLOCK);
	put_le64(b + 64, SPACEMAN_OID);
	put_le64(b + 72, spaceman);
	sign(map);
	b = start_object(spaceman, SPACEMAN_OID, xid, EPHEMERAL | 5, 0);
	put_le32(b + 32, BLOCK);
	put_le32(b + 36, BLOCK * 8);
	put_le32(b + 40, 126);
	put_le64(b + 48, BLOCKS);
	put_le64(b + 56, 1);
	put_le32(b + 64, 1);
	put_le64(b + 72, BLOCKS - FIRST_FREE);
	put_le32(b + 80, 2048);
	put_le64(b + 152, NR_POOL);
	put_le32(b + 164, 1);
	put_le64(b + 168, POOL_BITS);
	put_le64(b + 176, POOL);
	put_le64(b + 2048, CIB);
	sign(spaceman);
	put_super(DESC + index + 1, xid, index, nr_volumes);
}

static void
put_bitmap(void)
{
	uint8_t *b = start_object(CIB, CIB, 3, PHYSICAL | 7, 0);

	put_le32(b + 36, 1);
	put_le32(b + 40 + 16, BLOCKS);
	put_le32(b + 40 + 20, BLOCKS - FIRST_FREE);
	put_le64(b + 40 + 24, BITS);
	sign(CIB);
	memset(block(BITS), 0, BLOCK);
	for (unsigned i = 0; i < FIRST_FREE; i++)
		block(BITS)[i / 8] |= (uint8_t)(1u << i % 8);
}

static const struct options one_volume = { .nr_volumes = 1, .hashed = true, .names = { "Alone" } };

static void
make_container(const struct options *o)
{
	struct record records[3];

	memset(apfs_image, 0, sizeof apfs_image);
	for (unsigned i = 0; i < o->nr_volumes; i++) {
		put_volume(i, o);
		records[i] = omap_record(VOLUME_OID + i, 1, 0, VOLUME + i * STEP + APSB);
	}
	put_omap(OMAP, OMAP_TREE, records, o->nr_volumes);
	put_bitmap();
	put_checkpoint(1, 0, o->nr_volumes);
	put_checkpoint(2, 2, o->nr_volumes);
	put_checkpoint(3, 4, o->nr_volumes);
	put_super(0, 3, 4, o->nr_volumes);
}

#endif
