/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext/overlay.c - a disk some of whose blocks are read from elsewhere on it: from its journal */
#include "ext.h"

struct overlay {
	struct pl_disk disk;
	struct pl_disk *below, *patched;
	struct ext_moved *moved;
	size_t nr;
	unsigned block_bits;
};

/* The first moved block that is not before `block`. */
static size_t
find(const struct overlay *o, uint64_t block)
{
	size_t low = 0, high = o->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->moved[mid].block < block)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
overlay_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	const struct overlay *o = pl_container_of(disk, struct overlay, disk);
	uint64_t block = offset >> o->block_bits, end = offset + length;
	uint64_t into = offset & ((1ull << o->block_bits) - 1);
	size_t i = find(o, block);

	(void)err;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA, .below = o->below };
	if (i == o->nr || o->moved[i].block > block) {
		if (i < o->nr)
			end = PL_MIN(end, o->moved[i].block << o->block_bits);
		ret->stored_offset = offset;
		ret->length = end - offset;
		return 0;
	}
	ret->stored_offset = o->moved[i].stored + into;
	ret->length = (1ull << o->block_bits) - into;
	if (o->moved[i].patched)
		ret->below = o->patched;
	for (; i + 1 < o->nr && ret->length < length; i++) {
		const struct ext_moved *a = &o->moved[i], *b = a + 1;

		if (b->block != a->block + 1 || b->patched != a->patched ||
		    b->stored != a->stored + (1ull << o->block_bits))
			break;
		ret->length += 1ull << o->block_bits;
	}
	return 0;
}

static struct pl_disk *
overlay_below(struct pl_disk *disk, size_t index)
{
	const struct overlay *o = pl_container_of(disk, struct overlay, disk);

	return index == 0 ? o->below : index == 1 ? o->patched : NULL;
}

static void
overlay_free(struct pl_disk *disk)
{
	struct overlay *o = pl_container_of(disk, struct overlay, disk);

	free(o->moved);
	pl_disk_unref(o->below);
	pl_disk_unref(o->patched);
	pl_disk_done(disk);
	free(o);
}

static const struct pl_disk_ops overlay_ops = {
	.name = "replayed journal",
	.map = overlay_map,
	.below = overlay_below,
	.free = overlay_free,
};

int
ext_overlay_new(struct pl_disk *below, struct pl_disk *patched, struct ext_moved *moved, size_t nr,
		unsigned block_bits, struct pl_disk **ret, struct platter_error *err)
{
	struct overlay *o = calloc(1, sizeof *o);
	int r;

	if (!o) {
		free(moved);
		return pl_no_memory(err);
	}
	o->moved = moved;
	o->nr = nr;
	o->block_bits = block_bits;
	o->below = pl_disk_ref(below);
	if (patched)
		o->patched = pl_disk_ref(patched);
	r = pl_disk_init(&o->disk, &overlay_ops, below->name, err);
	o->disk.size = pl_disk_size(below);
	o->disk.sector_size = below->sector_size;
	o->disk.physical_sector_size = below->physical_sector_size;
	if (r == 0)
		r = pl_disk_stack(&o->disk, below, err);
	if (r == 0 && patched)
		r = pl_disk_stack(&o->disk, patched, err);
	if (r < 0) {
		overlay_free(&o->disk);
		return r;
	}
	*ret = &o->disk;
	return 0;
}
