/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs-images.h - small volumes of HFS Plus, made in memory from folders, files and attributes
 *
 * Nodes have 1 KiB, so that few files make a tree of several levels; Apple's catalogs have 4 KiB
 * at least.  fuzz/make-seeds uses it too: it needs nothing but bytes.h.
 */
#ifndef HFS_IMAGES_H
#define HFS_IMAGES_H

#include <uchar.h>

#include "bytes.h"

enum {
	MAKER_BLOCK = 512,
	MAKER_NODE = 1024,
	MAKER_RECORDS = 256,
};

/* 2020-01-01 00:00 UTC, since 1904. */
#define MAKER_TIME 3660681600u

struct maker_record {
	uint8_t bytes[900]; /* the key with its length, the data */
	unsigned key, length;
};

struct maker_tree {
	struct maker_record record[MAKER_RECORDS];
	unsigned nr;
};

struct maker {
	uint8_t *image;
	uint32_t nr_blocks, next_block, next_cnid, files, folders;
	struct maker_tree extents, catalog, attributes;
	bool binary;      /* HFSX, names compared as they are */
	uint32_t bits;    /* attributes of the volume besides "unmounted" */
	uint32_t journal; /* block of the journal's info, or 0 */
};

/* What a file has besides its name; zeros will do. */
struct maker_file {
	uint32_t cnid; /* 0: the next */
	unsigned flags, mode, bsd_flags;
	uint32_t uid, gid, special;
	const char *finder; /* 8 bytes: type and creator */
	const void *data, *resource;
	size_t data_size, resource_size;
	bool fragmented; /* data: a free block between any two */
};

static inline void
maker_init(struct maker *m, uint32_t nr_blocks)
{
	*m = (struct maker){ .nr_blocks = nr_blocks, .next_block = 4, .next_cnid = 16 };
	m->image = calloc(nr_blocks, MAKER_BLOCK);
}

static inline void
maker_use(struct maker *m, uint32_t block, uint32_t count)
{
	for (uint32_t b = block; b < block + count; b++)
		m->image[3 * MAKER_BLOCK + b / 8] |= (uint8_t)(0x80 >> b % 8);
}

/* Blocks for n bytes that are copied there; returns the first. */
static inline uint32_t
maker_store(struct maker *m, const void *bytes, size_t n)
{
	uint32_t first = m->next_block, count = (uint32_t)((n + MAKER_BLOCK - 1) / MAKER_BLOCK);

	if (n)
		memcpy(m->image + (size_t)first * MAKER_BLOCK, bytes, n);
	maker_use(m, first, count);
	m->next_block += count;
	return first;
}

static inline struct maker_record *
maker_add(struct maker_tree *t, unsigned key)
{
	struct maker_record *r = &t->record[t->nr++];

	r->key = key;
	put_be16(r->bytes, (uint16_t)(key - 2));
	return r;
}

/* A fork of 80 bytes at p; extents past the eighth go into their tree. */
static inline void
maker_fork(struct maker *m, uint8_t *p, uint32_t cnid, uint8_t kind, const void *bytes, size_t n,
	   bool fragmented)
{
	uint32_t blocks = (uint32_t)((n + MAKER_BLOCK - 1) / MAKER_BLOCK);
	uint8_t *extents = p + 16;

	put_be64(p, n);
	put_be32(p + 12, blocks);
	if (!fragmented) {
		if (n) {
			put_be32(extents, maker_store(m, bytes, n));
			put_be32(extents + 4, blocks);
		}
		return;
	}
	for (uint32_t i = 0; i < blocks; i++) {
		if (i && i % 8 == 0) {
			struct maker_record *r = maker_add(&m->extents, 12);

			r->bytes[2] = kind;
			put_be32(r->bytes + 4, cnid);
			put_be32(r->bytes + 8, i);
			r->length = 12 + 64;
			extents = r->bytes + 12;
		}
		put_be32(extents + 8 * (i % 8),
			 maker_store(m, (const uint8_t *)bytes + (size_t)i * MAKER_BLOCK,
				     PL_MIN(MAKER_BLOCK, n - (size_t)i * MAKER_BLOCK)));
		put_be32(extents + 8 * (i % 8) + 4, 1);
		m->next_block++;
	}
}

static inline unsigned
maker_length(const char16_t *name)
{
	unsigned n = 0;

	while (name[n])
		n++;
	return n;
}

static inline struct maker_record *
maker_catalog(struct maker *m, uint32_t folder, const char16_t *name, unsigned n, unsigned type)
{
	struct maker_record *r = maker_add(&m->catalog, 8 + 2 * n);

	put_be32(r->bytes + 2, folder);
	put_be16(r->bytes + 6, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		put_be16(r->bytes + 8 + 2 * i, name[i]);
	put_be16(r->bytes + r->key, (uint16_t)type);
	return r;
}

static inline void
maker_thread(struct maker *m, uint32_t cnid, uint32_t folder, const char16_t *name, unsigned n,
	     unsigned type)
{
	struct maker_record *r = maker_catalog(m, cnid, u"", 0, type);

	put_be32(r->bytes + r->key + 4, folder);
	put_be16(r->bytes + r->key + 8, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		put_be16(r->bytes + r->key + 10 + 2 * i, name[i]);
	r->length = r->key + 10 + 2 * n;
}

/* A folder with a name of n units; returns its CNID. */
static inline uint32_t
maker_folder_n(struct maker *m, uint32_t folder, const char16_t *name, unsigned n, uint32_t cnid)
{
	struct maker_record *r = maker_catalog(m, folder, name, n, 1);
	uint8_t *p = r->bytes + r->key;

	if (!cnid)
		cnid = m->next_cnid++;
	put_be32(p + 8, cnid);
	put_be32(p + 12, MAKER_TIME);
	put_be32(p + 16, MAKER_TIME + 1);
	put_be16(p + 42, 040755);
	r->length = r->key + 88;
	maker_thread(m, cnid, folder, name, n, 3);
	m->folders++;
	return cnid;
}

static inline uint32_t
maker_folder(struct maker *m, uint32_t folder, const char16_t *name)
{
	return maker_folder_n(m, folder, name, maker_length(name), 0);
}

static inline uint32_t
maker_file(struct maker *m, uint32_t folder, const char16_t *name, const struct maker_file *f)
{
	unsigned n = maker_length(name);
	uint32_t cnid = f->cnid ? f->cnid : m->next_cnid++;
	struct maker_record *r = maker_catalog(m, folder, name, n, 2);
	uint8_t *p = r->bytes + r->key;

	put_be16(p + 2, (uint16_t)f->flags);
	put_be32(p + 8, cnid);
	for (unsigned i = 0; i < 4; i++)
		put_be32(p + 12 + 4 * i, MAKER_TIME + i);
	put_be32(p + 32, f->uid);
	put_be32(p + 36, f->gid);
	p[40] = (uint8_t)(f->bsd_flags >> 16);
	p[41] = (uint8_t)f->bsd_flags;
	put_be16(p + 42, (uint16_t)f->mode);
	put_be32(p + 44, f->special);
	if (f->finder)
		memcpy(p + 48, f->finder, 8);
	maker_fork(m, p + 88, cnid, 0, f->data, f->data_size, f->fragmented);
	maker_fork(m, p + 168, cnid, 0xff, f->resource, f->resource_size, false);
	r->length = r->key + 248;
	maker_thread(m, cnid, folder, name, n, 4);
	m->files++;
	return cnid;
}

static inline struct maker_record *
maker_attribute_key(struct maker *m, uint32_t cnid, const char16_t *name, uint32_t block,
		    uint32_t kind)
{
	unsigned n = maker_length(name);
	struct maker_record *r = maker_add(&m->attributes, 14 + 2 * n);

	put_be32(r->bytes + 4, cnid);
	put_be32(r->bytes + 8, block);
	put_be16(r->bytes + 12, (uint16_t)n);
	for (unsigned i = 0; i < n; i++)
		put_be16(r->bytes + 14 + 2 * i, name[i]);
	put_be32(r->bytes + r->key, kind);
	return r;
}

static inline void
maker_attribute(struct maker *m, uint32_t cnid, const char16_t *name, const void *value, size_t n)
{
	struct maker_record *r = maker_attribute_key(m, cnid, name, 0, 0x10);

	put_be32(r->bytes + r->key + 12, (uint32_t)n);
	memcpy(r->bytes + r->key + 16, value, n);
	r->length = r->key + 16 + (unsigned)n;
}

/* In a fork of single blocks, of which those past the eighth need a record of their own. */
static inline void
maker_large_attribute(struct maker *m, uint32_t cnid, const char16_t *name, const void *value,
		      size_t n)
{
	struct maker_record *r = maker_attribute_key(m, cnid, name, 0, 0x20);
	uint32_t blocks = (uint32_t)((n + MAKER_BLOCK - 1) / MAKER_BLOCK);
	uint8_t *extents = r->bytes + r->key + 24;

	put_be64(r->bytes + r->key + 8, n);
	put_be32(r->bytes + r->key + 20, blocks);
	r->length = r->key + 88;
	for (uint32_t i = 0; i < blocks; i++) {
		if (i && i % 8 == 0) {
			r = maker_attribute_key(m, cnid, name, i, 0x30);
			r->length = r->key + 72;
			extents = r->bytes + r->key + 8;
		}
		put_be32(extents + 8 * (i % 8),
			 maker_store(m, (const uint8_t *)value + (size_t)i * MAKER_BLOCK,
				     PL_MIN(MAKER_BLOCK, n - (size_t)i * MAKER_BLOCK)));
		put_be32(extents + 8 * (i % 8) + 4, 1);
		m->next_block++;
	}
}

static bool maker_binary;

/* The catalog's names of the tests are ASCII, and NUL which comes last. */
static inline unsigned
maker_fold(unsigned c)
{
	return maker_binary ? c : !c ? 0xffff : c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static inline int
maker_order_catalog(const void *a, const void *b)
{
	const uint8_t *x = ((const struct maker_record *)a)->bytes;
	const uint8_t *y = ((const struct maker_record *)b)->bytes;
	int order = memcmp(x + 2, y + 2, 4), nx = get_be16(x + 6), ny = get_be16(y + 6);

	for (int i = 0; !order && i < nx && i < ny; i++)
		order = (int)maker_fold(get_be16(x + 8 + 2 * i)) -
			(int)maker_fold(get_be16(y + 8 + 2 * i));
	return order ? order : nx - ny;
}

static inline int
maker_order_extents(const void *a, const void *b)
{
	const uint8_t *x = ((const struct maker_record *)a)->bytes;
	const uint8_t *y = ((const struct maker_record *)b)->bytes;
	int order = memcmp(x + 4, y + 4, 4);

	order = order ? order : x[2] - y[2];
	return order ? order : memcmp(x + 8, y + 8, 4);
}

static inline int
maker_order_attributes(const void *a, const void *b)
{
	const uint8_t *x = ((const struct maker_record *)a)->bytes;
	const uint8_t *y = ((const struct maker_record *)b)->bytes;
	int order = memcmp(x + 4, y + 4, 4), nx = get_be16(x + 12), ny = get_be16(y + 12);

	order = order ? order : memcmp(x + 14, y + 14, 2 * (size_t)PL_MIN(nx, ny));
	order = order ? order : nx - ny;
	return order ? order : memcmp(x + 8, y + 8, 4);
}

/* Put records into nodes from `node` on, all of one height; returns how many. */
static inline unsigned
maker_level(uint8_t *nodes, unsigned node, unsigned height, struct maker_record *r, unsigned nr)
{
	unsigned first = node, at = MAKER_NODE, in_node = 0;
	uint8_t *p = NULL;

	for (unsigned i = 0; i < nr; i++) {
		unsigned length = r[i].length + (r[i].length & 1);

		if (!p || at + length + 2 * (in_node + 2) > MAKER_NODE) {
			p = nodes + (size_t)node * MAKER_NODE;
			if (node > first)
				put_be32(p - MAKER_NODE, node);
			put_be32(p + 4, node > first ? node - 1 : 0);
			p[8] = height == 1 ? 0xff : 0;
			p[9] = (uint8_t)height;
			at = 14;
			in_node = 0;
			node++;
			put_be16(p + MAKER_NODE - 2, 14);
		}
		memcpy(p + at, r[i].bytes, r[i].length);
		at += length;
		put_be16(p + MAKER_NODE - 2 * (++in_node + 1), (uint16_t)at);
		put_be16(p + 10, (uint16_t)in_node);
	}
	return node - first;
}

/* Build a tree and its fork in the header. */
static inline void
maker_tree(struct maker *m, struct maker_tree *t, uint8_t *fork, uint32_t cnid,
	   int (*order)(const void *a, const void *b), unsigned max_key, uint32_t attributes)
{
	uint8_t *nodes = calloc(MAKER_RECORDS, MAKER_NODE), *h = nodes + 14;
	unsigned node = 1, depth = 0, first, nr;

	qsort(t->record, t->nr, sizeof *t->record, order);
	put_be32(h + 6, t->nr);
	for (nr = t->nr; nr; nr = node - first > 1 ? node - first : 0) {
		first = node;
		node += maker_level(nodes, node, ++depth, t->record, nr);
		/* The first key of each node, and its number. */
		for (unsigned i = first; i < node; i++) {
			const uint8_t *key = nodes + (size_t)i * MAKER_NODE + 14;
			struct maker_record *r = &t->record[i - first];
			unsigned length = get_be16(key) + 2u;

			memcpy(r->bytes, key, length);
			put_be32(r->bytes + length, i);
			r->length = length + 4;
		}
	}
	nodes[8] = 1;
	put_be16(nodes + 10, 3);
	put_be16(h, (uint16_t)depth);
	put_be32(h + 2, depth ? node - 1 : 0);
	put_be32(h + 10, depth ? 1 : 0);
	put_be16(h + 18, MAKER_NODE);
	put_be16(h + 20, (uint16_t)max_key);
	put_be32(h + 22, node);
	h[37] = m->binary ? 0xbc : 0xcf;
	put_be32(h + 38, attributes);
	maker_fork(m, fork, cnid, 0, nodes, (size_t)node * MAKER_NODE, false);
	free(nodes);
}

/* The whole volume, of nr_blocks blocks: m->image. */
static inline void
maker_finish(struct maker *m)
{
	uint8_t *h = m->image + 1024;

	maker_folder_n(m, 1, u"Volume", 6, 2);
	maker_binary = m->binary;
	memcpy(h, m->binary ? "HX\0\5" : "H+\0\4", 4);
	put_be32(h + 4, 0x100 | m->bits);
	memcpy(h + 8, "10.0", 4);
	put_be32(h + 12, m->journal);
	put_be32(h + 16, MAKER_TIME);
	put_be32(h + 20, MAKER_TIME + 5);
	put_be32(h + 32, m->files);
	put_be32(h + 36, m->folders - 1);
	put_be32(h + 40, MAKER_BLOCK);
	put_be32(h + 44, m->nr_blocks);
	put_be32(h + 80, 2);
	memcpy(h + 104, "\1\2\3\4\5\6\7\10", 8);
	put_be64(h + 112, MAKER_BLOCK);
	put_be32(h + 124, 1);
	put_be32(h + 128, 3);
	put_be32(h + 132, 1);
	maker_tree(m, &m->attributes, h + 352, 8, maker_order_attributes, 266, 6);
	maker_tree(m, &m->catalog, h + 272, 4, maker_order_catalog, 516, 6);
	maker_tree(m, &m->extents, h + 192, 3, maker_order_extents, 10, 2);
	maker_use(m, 0, 4);
	maker_use(m, m->nr_blocks - 2, 2);
	put_be32(h + 48, m->nr_blocks);
	for (uint32_t b = 0; b < m->nr_blocks; b++)
		if (m->image[3 * MAKER_BLOCK + b / 8] & (0x80 >> b % 8))
			put_be32(h + 48, get_be32(h + 48) - 1);
	memcpy(m->image + ((size_t)m->nr_blocks - 2) * MAKER_BLOCK, h, MAKER_BLOCK);
}

/* --- journals */

enum {
	MAKER_JOURNAL_SECTORS = 32,
	MAKER_LIST = 512,
};

struct maker_journal {
	uint8_t *p; /* in the image */
	bool little;
	uint32_t at, sequence; /* of the next list */
};

static inline void
maker_put16(const struct maker_journal *j, uint8_t *p, uint16_t v)
{
	j->little ? put_le16(p, v) : put_be16(p, v);
}

static inline void
maker_put32(const struct maker_journal *j, uint8_t *p, uint32_t v)
{
	j->little ? put_le32(p, v) : put_be32(p, v);
}

static inline void
maker_put64(const struct maker_journal *j, uint8_t *p, uint64_t v)
{
	j->little ? put_le64(p, v) : put_be64(p, v);
}

static inline uint32_t
maker_checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = (sum << 8) ^ (sum + p[i]);
	return ~sum;
}

/* An empty journal in the volume that is being made; `at` is where its first list will be. */
static inline struct maker_journal
maker_add_journal(struct maker *m, bool little, uint32_t at)
{
	struct maker_journal j = { .little = little, .at = at, .sequence = 7 };
	uint8_t info[180] = { 0, 0, 0, 1 }, sectors[MAKER_JOURNAL_SECTORS * 512] = { 0 };
	uint32_t block = maker_store(m, sectors, sizeof sectors);

	j.p = m->image + (size_t)block * MAKER_BLOCK;
	put_be64(info + 36, (uint64_t)block * MAKER_BLOCK);
	put_be64(info + 44, sizeof sectors);
	m->journal = maker_store(m, info, sizeof info);
	m->bits = 1u << 13;
	return j;
}

static inline void
maker_finish_journal(struct maker_journal *j, uint32_t start, uint32_t end)
{
	maker_put32(j, j->p, 0x4a4e4c78);
	maker_put32(j, j->p + 4, 0x12345678);
	maker_put64(j, j->p + 8, start);
	maker_put64(j, j->p + 16, end);
	maker_put64(j, j->p + 24, MAKER_JOURNAL_SECTORS * 512);
	maker_put32(j, j->p + 32, MAKER_LIST);
	maker_put32(j, j->p + 36, 0);
	maker_put32(j, j->p + 40, 512);
	maker_put32(j, j->p + 36, maker_checksum(j->p, 44));
}

static inline void
maker_journal_sector(struct maker_journal *j, const uint8_t *bytes)
{
	memcpy(j->p + j->at, bytes, 512);
	j->at = j->at + 512 == MAKER_JOURNAL_SECTORS * 512 ? 512 : j->at + 512;
}

/* A transaction of one list with one sector, and one that was given up. */
static inline void
maker_transaction(struct maker_journal *j, uint64_t sector, const uint8_t *bytes)
{
	uint8_t list[MAKER_LIST] = { 0 };

	maker_put16(j, list, 20);
	maker_put16(j, list + 2, 3);
	maker_put32(j, list + 4, MAKER_LIST + 2 * 512);
	maker_put32(j, list + 12, 3);
	maker_put32(j, list + 28, j->sequence++);
	maker_put64(j, list + 32, UINT64_MAX);
	maker_put32(j, list + 40, 512);
	maker_put64(j, list + 48, sector);
	maker_put32(j, list + 56, 512);
	maker_put32(j, list + 60, maker_checksum(bytes, 512));
	maker_put32(j, list + 8, maker_checksum(list, 32));
	maker_journal_sector(j, list);
	maker_journal_sector(j, list);
	maker_journal_sector(j, bytes);
}

#endif
