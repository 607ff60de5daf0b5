/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compose.h"

struct composed {
	struct pl_disk disk;
	struct pl_disk *base;
	struct pl_component *components;
	size_t nr;
};

static int
composed_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	     struct platter_error *err)
{
	const struct composed *c = pl_container_of(disk, struct composed, disk);
	uint64_t end = disk->size;

	(void)length, (void)err;
	for (size_t i = 0; i < c->nr; i++) {
		const struct pl_component *one = &c->components[i];

		if (offset < one->offset) {
			end = one->offset;
			break;
		}
		if (offset - one->offset < one->disk->size) {
			*ret = (struct pl_extent){
				.length = one->disk->size - (offset - one->offset),
				.kind = PLATTER_DATA,
				.below = one->disk,
				.stored_offset = offset - one->offset,
			};
			return 0;
		}
	}
	*ret = (struct pl_extent){ .length = end - offset,
				   .kind = PLATTER_DATA,
				   .below = c->base,
				   .stored_offset = offset };
	return 0;
}

static struct pl_disk *
composed_below(struct pl_disk *disk, size_t index)
{
	const struct composed *c = pl_container_of(disk, struct composed, disk);

	if (index == 0)
		return c->base;
	return index <= c->nr ? c->components[index - 1].disk : NULL;
}

static void
composed_free(struct pl_disk *disk)
{
	struct composed *c = pl_container_of(disk, struct composed, disk);

	for (size_t i = 0; i < c->nr; i++)
		pl_disk_unref(c->components[i].disk);
	pl_disk_unref(c->base);
	free(c->components);
	pl_disk_done(disk);
	free(c);
}

static const struct pl_disk_ops composed_ops = {
	.name = "composed",
	.map = composed_map,
	.below = composed_below,
	.free = composed_free,
};

int
pl_compose(struct pl_disk *base, const struct pl_component *components, size_t nr, const char *name,
	   struct pl_disk **ret, struct platter_error *err)
{
	struct composed *c = calloc(1, sizeof *c);
	int r = c ? pl_disk_init(&c->disk, &composed_ops, name, err) : pl_no_memory(err);

	if (r < 0) {
		free(c);
		return r;
	}
	c->components = calloc(nr + 1, sizeof *c->components);
	c->base = pl_disk_ref(base);
	c->disk.size = base->size;
	c->disk.sector_size = base->sector_size;
	c->disk.physical_sector_size = base->physical_sector_size;
	r = c->components ? pl_disk_stack(&c->disk, base, err) : pl_no_memory(err);
	for (size_t i = 0; r == 0 && i < nr; i++) {
		c->components[i] = components[i];
		pl_disk_ref(components[i].disk);
		c->nr++;
		r = pl_disk_stack(&c->disk, components[i].disk, err);
	}
	if (r < 0)
		pl_disk_unref(&c->disk);
	else
		*ret = &c->disk;
	return r;
}
