/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * map.c - from bytes of the disk to clusters of the file: L1 and L2
 *
 *	L1 entry	bits 9..55 offset of an L2 table, 63 copied
 *	L2 entry	bit 0 zero (version 3), 9..55 host offset, 63 copied; or, with bit 62:
 *			bits 0..x-1 host byte, x..61 further 512-byte sectors, x = 70 - cluster_bits
 *	extended	16 bytes: the same without bit 0, then a bitmap: bits 0..31 subcluster
 *			allocated, 32..63 subcluster reads as zeros
 */
#include "image.h"

/* Bits of an L1 entry that must be zero. */
#define L1_RESERVED 0x7f000000000001ffu
/* The same of an L2 entry that is not compressed; bit 0 is looked at by itself. */
#define L2_RESERVED 0x3f000000000001feu

int
pl_qcow2_l1_decode(const struct qcow2 *q, uint64_t entry, uint64_t at, uint64_t *ret_offset,
		   struct platter_error *err)
{
	uint64_t offset = entry & QCOW2_OFFSET_MASK;

	if (entry & L1_RESERVED)
		return pl_corrupt(err, at, "L1 entry 0x%016" PRIx64 " has reserved bits set",
				  entry);
	if (offset & (q->cluster_size - 1))
		return pl_corrupt(err, at, "L2 table at byte %" PRIu64 " does not begin a cluster",
				  offset);
	if (offset && !pl_in_range(offset, q->cluster_size, pl_disk_size(q->file))) {
		int r = pl_corrupt(err, at,
				   "L2 table of %" PRIu64 " bytes at byte %" PRIu64
				   " passes the end of the file (%" PRIu64 " bytes)",
				   q->cluster_size, offset, pl_disk_size(q->file));

		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	*ret_offset = offset;
	return 0;
}

static int
decode_compressed(const struct qcow2 *q, uint64_t word, uint64_t at, uint32_t index,
		  struct qcow2_entry *ret, struct platter_error *err)
{
	uint32_t x = 70 - q->header.cluster_bits;
	uint64_t host = word & ((1ull << x) - 1);
	uint64_t sectors = ((word >> x) & ((1ull << (62 - x)) - 1)) + 1;

	if (q->external)
		return pl_corrupt(err, at,
				  "L2 entry %" PRIu32
				  " is compressed, in an image with a data file",
				  index);
	if (word & QCOW2_COPIED)
		return pl_corrupt(err, at,
				  "L2 entry %" PRIu32 " is compressed and marked as copied", index);
	if (host < q->cluster_size || host >= pl_disk_size(q->file))
		return pl_corrupt(err, at,
				  "L2 entry %" PRIu32 ": compressed data at byte %" PRIu64
				  " is outside of the file (%" PRIu64 " bytes)",
				  index, host, pl_disk_size(q->file));
	*ret = (struct qcow2_entry){ .kind = QCOW2_ENTRY_COMPRESSED,
				     .host = host,
				     .stored = sectors * 512 - (host & 511),
				     .allocated = q->extended ? UINT32_MAX : 1 };
	return 0;
}

int
pl_qcow2_entry_decode(const struct qcow2 *q, const uint8_t *table, uint64_t table_offset,
		      uint32_t index, struct qcow2_entry *ret, struct platter_error *err)
{
	const uint8_t *p = table + (size_t)index * q->l2_entry_size;
	uint64_t at = table_offset + (uint64_t)index * q->l2_entry_size;
	uint64_t word = get_be64(p);
	uint64_t bitmap = q->extended ? get_be64(p + 8) : 0;
	struct qcow2_entry e = { .copied = word & QCOW2_COPIED, .host = word & QCOW2_OFFSET_MASK };

	if (word & QCOW2_COMPRESSED) {
		if (bitmap)
			return pl_corrupt(err, at + 8,
					  "L2 entry %" PRIu32 " is compressed and has subclusters",
					  index);
		return decode_compressed(q, word, at, index, ret, err);
	}
	if (word & L2_RESERVED || (word & QCOW2_ZERO && (q->extended || q->header.version < 3)))
		return pl_corrupt(err, at,
				  "L2 entry %" PRIu32 " (0x%016" PRIx64 ") has reserved bits set",
				  index, word);
	if (e.host & (q->cluster_size - 1))
		return pl_corrupt(err, at,
				  "L2 entry %" PRIu32 ": data at byte %" PRIu64
				  " does not begin a cluster",
				  index, e.host);
	/* In an external file the first cluster is at offset 0: only `copied` tells it apart. */
	if (e.host || (q->external && e.copied))
		e.kind = QCOW2_ENTRY_NORMAL;
	if (q->extended) {
		e.allocated = (uint32_t)bitmap;
		e.zero = (uint32_t)(bitmap >> 32);
		if (e.allocated & e.zero)
			return pl_corrupt(
				err, at + 8,
				"L2 entry %" PRIu32
				": subclusters are allocated and zero at once (0x%016" PRIx64 ")",
				index, bitmap);
		if (e.allocated && e.kind == QCOW2_ENTRY_NONE)
			return pl_corrupt(err, at + 8,
					  "L2 entry %" PRIu32
					  ": subclusters are allocated without a cluster",
					  index);
	} else {
		e.zero = word & QCOW2_ZERO ? 1 : 0;
		e.allocated = e.kind == QCOW2_ENTRY_NORMAL && !e.zero;
	}
	*ret = e;
	return 0;
}

/* A run of one kind that starts `in_cluster` bytes into a cluster. */
struct run {
	enum platter_kind kind;
	bool compressed;
	uint64_t host; /* DATA: where the run is stored; compressed: where the cluster is */
	uint64_t stored;
	uint64_t length;
};

static int
entry_run(const struct qcow2 *q, const uint8_t *table, uint64_t table_offset, uint32_t index,
	  uint64_t in_cluster, struct run *ret, struct platter_error *err)
{
	uint32_t first = (uint32_t)(in_cluster / q->subcluster_size), last, nr;
	struct qcow2_entry e;
	uint32_t mask;
	int r = pl_qcow2_entry_decode(q, table, table_offset, index, &e, err);

	if (r < 0)
		return r;
	nr = (uint32_t)(q->cluster_size / q->subcluster_size);
	*ret = (struct run){ .kind = PLATTER_HOLE, .length = q->cluster_size - in_cluster };
	if (e.kind == QCOW2_ENTRY_COMPRESSED) {
		ret->kind = PLATTER_DATA;
		ret->compressed = true;
		ret->host = e.host;
		ret->stored = PL_MIN(e.stored, pl_disk_size(q->file) - e.host);
		return 0;
	}
	if (e.allocated >> first & 1) {
		ret->kind = PLATTER_DATA;
		ret->host = e.host + in_cluster;
		mask = e.allocated;
	} else if (e.zero >> first & 1) {
		ret->kind = PLATTER_ZERO;
		mask = e.zero;
	} else {
		mask = ~(e.allocated | e.zero);
	}
	for (last = first + 1; last < nr && mask >> last & 1;)
		last++;
	ret->length = last * q->subcluster_size - in_cluster;
	if (ret->kind != PLATTER_DATA)
		return 0;
	if (e.host >= q->data->size || (!q->external && e.host < q->cluster_size)) {
		r = pl_corrupt(err, table_offset + (uint64_t)index * q->l2_entry_size,
			       "L2 entry %" PRIu32 ": data at byte %" PRIu64
			       " is outside of '%s' (%" PRIu64 " bytes)",
			       index, e.host, q->data->name, q->data->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	/* Files may end inside of their last cluster: what was never written there is zero. */
	if (ret->host >= q->data->size)
		ret->kind = PLATTER_ZERO;
	else
		ret->length = PL_MIN(ret->length, q->data->size - ret->host);
	return 0;
}

/* Does `b` go on where `a` ends? */
static bool
continues(const struct run *a, const struct run *b)
{
	return a->kind == b->kind && !a->compressed && !b->compressed &&
	       (a->kind != PLATTER_DATA || a->host + a->length == b->host);
}

static int
map_in_table(struct qcow2 *q, const uint8_t *table, uint64_t table_offset, uint64_t offset,
	     uint64_t length, struct pl_extent *ret, struct platter_error *err)
{
	uint32_t nr = 1u << q->l2_bits;
	uint32_t index = (uint32_t)(offset >> q->header.cluster_bits) & (nr - 1);
	uint64_t in_cluster = offset & (q->cluster_size - 1), at, end;
	struct run run, next;
	int r = entry_run(q, table, table_offset, index, in_cluster, &run, err);

	if (r < 0)
		return r;
	if (run.kind == PLATTER_DATA && q->encrypted)
		return pl_unsupported(err, run.host,
				      "data is encrypted with %s, which is not readable yet",
				      q->header.crypt_method == 1 ? "AES" : "LUKS");
	if (run.compressed) {
		*ret = (struct pl_extent){ .length = run.length,
					   .kind = PLATTER_DATA,
					   .below = q->file,
					   .stored_offset = run.host,
					   .decoder = q->decoder,
					   .stored_length = run.stored,
					   .chunk_offset = offset - in_cluster,
					   .chunk_length = (uint32_t)q->cluster_size };
		return 0;
	}
	/* Neighbours that cannot be read are reported when they are asked for. */
	end = (uint64_t)nr << q->header.cluster_bits;
	for (at = ((uint64_t)index << q->header.cluster_bits) + in_cluster + run.length;
	     at < end && run.length < length; at += next.length) {
		if (entry_run(q, table, table_offset, (uint32_t)(at >> q->header.cluster_bits),
			      at & (q->cluster_size - 1), &next, NULL) < 0 ||
		    !continues(&run, &next))
			break;
		run.length += next.length;
	}
	*ret = (struct pl_extent){ .length = run.length, .kind = run.kind };
	if (run.kind == PLATTER_DATA) {
		ret->below = q->data;
		ret->stored_offset = run.host;
	}
	return 0;
}

static int
map_locked(struct qcow2 *q, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	uint32_t shift = q->header.cluster_bits + q->l2_bits;
	uint32_t index = (uint32_t)(offset >> shift), end;
	struct qcow2_table *table;
	uint64_t l2_offset;
	int r = pl_qcow2_l1_decode(q, q->l1[index], q->l1_offset + (uint64_t)index * 8, &l2_offset,
				   err);

	if (r < 0)
		return r;
	if (!l2_offset) {
		for (end = index + 1; end < q->nr_l1 && !q->l1[end]; end++)
			if (((uint64_t)end << shift) - offset >= length)
				break;
		*ret = (struct pl_extent){ .length = ((uint64_t)end << shift) - offset,
					   .kind = PLATTER_HOLE };
		return 0;
	}
	r = pl_qcow2_table_get(q, l2_offset, &table, err);
	if (r < 0)
		return r;
	r = map_in_table(q, table->bytes, l2_offset, offset, length, ret, err);
	pl_qcow2_table_put(q, table);
	return r;
}

int
pl_qcow2_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	     struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	int r;

	pthread_rwlock_rdlock(&q->lock);
	r = map_locked(q, offset, length, ret, err);
	pthread_rwlock_unlock(&q->lock);
	if (r < 0)
		pl_error_place(err, q->file->name);
	return r;
}
