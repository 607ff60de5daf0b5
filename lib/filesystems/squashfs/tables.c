/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * squashfs/tables.c - the tables of SquashFS: blocks of up to 8192 bytes, each compressed
 * alone, with 16 bits in front that tell its stored length and whether it is compressed
 */
#include "squashfs.h"

#define NR_KEPT         512 /* 4 MiB of unpacked tables */
#define IS_STORED_AS_IS 0x8000

struct kept {
	pthread_mutex_t lock; /* guards what follows */
	uint8_t *bytes;
	uint64_t block, next; /* its offset on the disk, and that of the block behind it */
	uint32_t length;
};

struct sq_cache {
	struct kept kept[NR_KEPT];
};

int
sq_cache_new(struct squashfs *fs, struct platter_error *err)
{
	fs->cache = calloc(1, sizeof *fs->cache);
	if (!fs->cache)
		return pl_no_memory(err);
	for (size_t i = 0; i < NR_KEPT; i++)
		pthread_mutex_init(&fs->cache->kept[i].lock, NULL);
	return 0;
}

void
sq_cache_free(struct sq_cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < NR_KEPT; i++) {
		pthread_mutex_destroy(&c->kept[i].lock);
		free(c->kept[i].bytes);
	}
	free(c);
}

static int
unpack(struct squashfs *fs, struct kept *k, uint64_t block, struct platter_error *err)
{
	uint8_t stored[SQ_METADATA], head[2];
	uint64_t at = block + fs->head_size;
	size_t length, n = 0;
	uint16_t told;
	int r = pl_meta_read(fs->volume.meta, head, sizeof head, block, err);

	if (r < 0)
		return r;
	told = fs->big_endian ? get_be16(head) : get_le16(head);
	length = told & ~IS_STORED_AS_IS;
	if (!length || length > SQ_METADATA)
		return pl_corrupt(err, block, "table block of %zu bytes, limit is %d", length,
				  SQ_METADATA);
	if (!k->bytes)
		k->bytes = malloc(SQ_METADATA);
	if (!k->bytes)
		return pl_no_memory(err);
	k->length = 0;
	r = pl_meta_read(fs->volume.meta, stored, length, at, err);
	if (r < 0)
		return r;
	if (told & IS_STORED_AS_IS)
		memcpy(k->bytes, stored, n = length);
	else
		r = fs->unpacker->unpack(stored, length, k->bytes, SQ_METADATA, &n, err);
	if (r < 0) {
		if (err && err->offset == PLATTER_NO_OFFSET)
			err->offset = block;
		return r;
	}
	k->block = block;
	k->next = at + length;
	k->length = (uint32_t)n;
	return 0;
}

/* Up to n bytes at *at, which moves behind them; *ret_n: how many, more than 0. */
static int
read_some(struct squashfs *fs, struct sq_position *at, void *buf, size_t n, size_t *ret_n,
	  struct platter_error *err)
{
	struct kept *k = &fs->cache->kept[at->block * 0x9e3779b97f4a7c15u >> 55];
	int r = 0;

	pthread_mutex_lock(&k->lock);
	if (!k->length || k->block != at->block)
		r = unpack(fs, k, at->block, err);
	if (r == 0 && at->offset >= k->length) {
		r = pl_corrupt(err, at->block, "byte %" PRIu32 " of a table block of %" PRIu32,
			       at->offset, k->length);
	} else if (r == 0) {
		n = PL_MIN(n, k->length - at->offset);
		if (buf)
			memcpy(buf, k->bytes + at->offset, n);
		at->offset += (uint32_t)n;
		if (at->offset == k->length)
			*at = (struct sq_position){ k->next, 0 };
		*ret_n = n;
	}
	pthread_mutex_unlock(&k->lock);
	return r;
}

int
sq_read(struct squashfs *fs, struct sq_position *at, void *buf, size_t n, struct platter_error *err)
{
	uint8_t *p = buf;
	int r = 0;

	while (n && r == 0) {
		size_t done = 0;

		r = read_some(fs, at, p, n, &done, err);
		p = p ? p + done : NULL;
		n -= done;
	}
	return r;
}

int
sq_entry(struct squashfs *fs, uint64_t list, uint32_t index, void *buf, size_t size,
	 struct platter_error *err)
{
	uint32_t each = (uint32_t)(SQ_METADATA / size);
	struct sq_position at = { .offset = (uint32_t)(index % each * size) };
	uint8_t pointer[8];
	int r = pl_meta_read(fs->volume.meta, pointer, fs->pointer_size,
			     list + (uint64_t)(index / each) * fs->pointer_size, err);

	if (r < 0)
		return r;
	at.block = sq_bits(fs->big_endian, pointer, 0, fs->pointer_size * 8u);
	return sq_read(fs, &at, buf, size, err);
}

uint64_t
sq_bits(bool big_endian, const uint8_t *b, unsigned at, unsigned n)
{
	uint64_t value = 0;

	for (unsigned k = 0; k < n; k++) {
		unsigned bit = at + k;

		if (big_endian)
			value = value << 1 | (b[bit / 8] >> (7 - bit % 8) & 1);
		else
			value |= (uint64_t)(b[bit / 8] >> bit % 8 & 1) << k;
	}
	return value;
}
