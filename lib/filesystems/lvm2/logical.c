/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lvm2/logical.c - a logical volume as a disk */
#include "lvm2.h"

struct logical {
	struct pl_disk disk;
	struct pl_disk *below;
	struct lvm_segment *segment;
	size_t nr;
	uint64_t *stripe; /* those of all segments */
	char *group, *name, *type, *uuid;
};

/* The last segment that begins at `offset` or before. */
static const struct lvm_segment *
find_segment(const struct logical *l, uint64_t offset)
{
	size_t low = 0, high = l->nr;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (l->segment[mid].start <= offset)
			low = mid;
		else
			high = mid;
	}
	return &l->segment[low];
}

static int
logical_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct logical *l = pl_container_of(disk, struct logical, disk);
	const struct lvm_segment *s = find_segment(l, offset);
	uint64_t into = offset - s->start, left = s->length - into, end = pl_disk_size(l->below);
	const uint64_t *stripe = l->stripe + s->first_stripe;
	uint64_t stored;

	(void)length, (void)err;
	*ret = (struct pl_extent){ .kind = s->kind, .length = left };
	if (s->kind != PLATTER_DATA)
		return 0;
	if (s->nr_stripes == 1) {
		stored = stripe[0] + into;
	} else {
		uint64_t chunk = into / s->stripe_size, inside = into % s->stripe_size;

		stored = stripe[chunk % s->nr_stripes] + chunk / s->nr_stripes * s->stripe_size +
			 inside;
		ret->length = PL_MIN(left, s->stripe_size - inside);
	}
	/* A disk that was cut short: the rest was never stored. */
	if (stored >= end) {
		ret->kind = PLATTER_BAD;
		return 0;
	}
	ret->length = PL_MIN(ret->length, end - stored);
	ret->below = l->below;
	ret->stored_offset = stored;
	return 0;
}

static struct pl_disk *
logical_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct logical, disk)->below;
}

static void
logical_free(struct pl_disk *disk)
{
	struct logical *l = pl_container_of(disk, struct logical, disk);

	free(l->segment);
	free(l->stripe);
	free(l->group);
	free(l->name);
	free(l->type);
	free(l->uuid);
	pl_disk_unref(l->below);
	pl_disk_done(disk);
	free(l);
}

static void
logical_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct logical *l = pl_container_of(disk, struct logical, disk);

	pl_fact_text(facts, "volume_group", "volume group", "%s", l->group);
	pl_fact_text(facts, "name", "name", "%s", l->name);
	pl_fact_text(facts, "type", "type", "%s", l->type);
	pl_fact_text(facts, "uuid", "UUID", "%s", l->uuid);
}

static const struct pl_disk_ops logical_ops = {
	.name = "logical volume",
	.map = logical_map,
	.below = logical_below,
	.describe = logical_describe,
	.free = logical_free,
};

static int
copy_segments(struct logical *l, const struct lvm_segment *segment, size_t nr,
	      const uint64_t *stripe, struct platter_error *err)
{
	size_t nr_stripes = 0, at = 0;

	for (size_t i = 0; i < nr; i++)
		nr_stripes += segment[i].nr_stripes;
	l->segment = calloc(nr + 1, sizeof *l->segment);
	l->stripe = calloc(nr_stripes + 1, sizeof *l->stripe);
	if (!l->segment || !l->stripe)
		return pl_no_memory(err);
	for (size_t i = 0; i < nr; i++) {
		l->segment[i] = segment[i];
		l->segment[i].first_stripe = at;
		for (uint32_t k = 0; k < segment[i].nr_stripes; k++)
			l->stripe[at++] = stripe[segment[i].first_stripe + k];
		l->disk.size += segment[i].length;
	}
	l->nr = nr;
	return 0;
}

int
pl_lvm_logical_new(const struct pl_group *g, const struct pl_logical *of,
		   const struct lvm_segment *segment, size_t nr, const uint64_t *stripe,
		   const char *name, struct pl_disk **ret, struct platter_error *err)
{
	struct logical *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return pl_no_memory(err);
	r = pl_disk_init(&l->disk, &logical_ops, name, err);
	l->below = pl_disk_ref(g->disk);
	l->group = strdup(g->name);
	l->name = strdup(of->name);
	l->type = strdup(of->type);
	l->uuid = strdup(of->uuid);
	if (r == 0 && !(l->group && l->name && l->type && l->uuid))
		r = pl_no_memory(err);
	if (r == 0)
		r = pl_disk_stack(&l->disk, g->disk, err);
	if (r == 0)
		r = copy_segments(l, segment, nr, stripe, err);
	if (r < 0) {
		logical_free(&l->disk);
		return r;
	}
	l->disk.sector_size = g->disk->sector_size;
	l->disk.physical_sector_size = g->disk->physical_sector_size;
	*ret = &l->disk;
	return 0;
}
