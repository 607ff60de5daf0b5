/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * refcount.c - how often each cluster of the file is used
 *
 * The refcount table lists refcount blocks of one cluster each, whose entries are
 * 1 << refcount_order bits wide; those narrower than a byte start at its lowest bit.
 */
#include "image.h"

int
pl_qcow2_refcounts_load(struct qcow2 *q, struct platter_error *err)
{
	size_t nr =
		(size_t)(((uint64_t)q->header.refcount_table_clusters << q->header.cluster_bits) /
			 8);
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	if (q->refcount_table)
		return 0;
	r = pl_read_alloc(q->file, nr * 8, q->header.refcount_table_offset, &bytes, err);
	if (r < 0)
		return r;
	q->refcount_table = calloc(nr + 1, sizeof *q->refcount_table);
	if (!q->refcount_table)
		return pl_no_memory(err);
	q->nr_refcount_table = nr;
	for (size_t i = 0; i < nr; i++)
		q->refcount_table[i] = get_be64(bytes + i * 8);
	return 0;
}

int
pl_qcow2_refcount_block(const struct qcow2 *q, size_t index, uint64_t *ret_offset,
			struct platter_error *err)
{
	uint64_t entry = index < q->nr_refcount_table ? q->refcount_table[index] : 0;

	if (entry & (q->cluster_size - 1) ||
	    (entry && !pl_in_range(entry, q->cluster_size, q->file->size)))
		return pl_corrupt(err, q->header.refcount_table_offset + index * 8,
				  "refcount block at byte %" PRIu64
				  " does not begin a cluster of the file (%" PRIu64 " bytes)",
				  entry, q->file->size);
	*ret_offset = entry;
	return 0;
}

uint64_t
pl_qcow2_refcount_decode(const uint8_t *block, uint64_t index, uint32_t order)
{
	switch (order) {
	case 3: return block[index];
	case 4: return get_be16(block + index * 2);
	case 5: return get_be32(block + index * 4);
	case 6: return get_be64(block + index * 8);
	default:
		/* 8 >> order entries a byte, each 1 << order bits. */
		return block[index >> (3 - order)] >> ((index & ((8u >> order) - 1)) << order) &
		       ((1u << (1u << order)) - 1);
	}
}

void
pl_qcow2_refcount_encode(uint8_t *block, uint64_t index, uint32_t order, uint64_t value)
{
	uint32_t shift;

	switch (order) {
	case 3: block[index] = (uint8_t)value; break;
	case 4: put_be16(block + index * 2, (uint16_t)value); break;
	case 5: put_be32(block + index * 4, (uint32_t)value); break;
	case 6: put_be64(block + index * 8, value); break;
	default:
		shift = (uint32_t)((index & ((8u >> order) - 1)) << order);
		block += index >> (3 - order);
		*block = (uint8_t)((*block & ~(((1u << (1u << order)) - 1) << shift)) |
				   (uint32_t)value << shift);
	}
}

int
pl_qcow2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret, struct platter_error *err)
{
	struct qcow2_table *block;
	uint64_t offset;
	int r = pl_qcow2_refcount_block(q, (size_t)(cluster >> qcow2_refcount_bits(q)), &offset,
					err);

	if (r < 0)
		return r;
	if (!offset) {
		*ret = 0;
		return 0;
	}
	r = pl_qcow2_table_get(q, offset, &block, err);
	if (r < 0)
		return r;
	*ret = pl_qcow2_refcount_decode(block->bytes,
					cluster & ((1ull << qcow2_refcount_bits(q)) - 1),
					q->header.refcount_order);
	pl_qcow2_table_put(q, block);
	return 0;
}
