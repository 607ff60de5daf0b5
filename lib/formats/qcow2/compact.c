/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compact.c - a QCOW2 image whose file ends behind the last cluster in use */
#include "image.h"

/* The last cluster that the refcounts say is in use. */
static int
find_last(struct qcow2 *q, uint64_t *ret, struct platter_error *err)
{
	uint64_t per_block = 1ull << qcow2_refcount_bits(q);

	for (size_t i = q->nr_refcount_table; i-- > 0;) {
		uint64_t offset;
		struct qcow2_table *block;
		int r = pl_qcow2_refcount_block(q, i, &offset, err);

		if (r == 0 && !offset)
			continue;
		if (r == 0)
			r = pl_qcow2_table_get(q, offset, &block, err);
		if (r < 0)
			return r;
		for (uint64_t k = per_block; k-- > 0;)
			if (pl_qcow2_refcount_decode(block->bytes, k, q->header.refcount_order)) {
				pl_qcow2_table_put(q, block);
				*ret = i * per_block + k;
				return 0;
			}
		pl_qcow2_table_put(q, block);
	}
	return pl_corrupt(err, q->header.refcount_table_offset, "no cluster is in use");
}

/* Free clusters before it are holes of the file already. */
int
pl_qcow2_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	uint64_t last = 0, end;
	int r = pl_qcow2_prepare(q, err);

	if (r == 0)
		r = pl_qcow2_flush(disk, err);
	if (r == 0)
		r = find_last(q, &last, err);
	if (r < 0)
		return r;
	end = (last + 1) << q->header.cluster_bits;
	if (!q->file->growable || end >= q->file->size)
		return 0;
	r = pl_resize(q->file, end, err);
	return r == 0 ? pl_flush(q->file, err) : r;
}
