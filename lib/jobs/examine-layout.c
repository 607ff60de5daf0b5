/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine-layout.c - how a disk that is examined is divided now, and what of it is in use */
#include "examination.h"
#include "hardware.h"
#include "scheme.h"
#include "storage.h"
#include "used.h"

static const char *
kept(struct pl_examination *x, const char *text)
{
	return pl_arena_strdup(&x->arena, text);
}

/* What a partition, or the whole disk, begins with; what is only left over does not count. */
static int
add_volume(struct pl_examination *x, uint64_t offset, uint64_t size, struct platter_error *err)
{
	struct pl_examined_volume *v = &x->volumes[x->nr_volumes];
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	struct pl_content *found = NULL;
	size_t nr = 0;
	int r;

	if (x->nr_volumes == PL_EXAMINE_VOLUMES || !pl_in_range(offset, size, x->disk->size))
		return 0;
	r = pl_slice_new(x->disk, offset, size, x->disk->name, &slice, err);
	if (r < 0)
		return r;
	*v = (struct pl_examined_volume){ .offset = offset,
					  .size = size,
					  .name = "",
					  .longname = "",
					  .usage = "",
					  .used = size };
	if (pl_contents_find(slice, &x->arena, &found, &nr, NULL) < 0)
		nr = 0;
	x->nr_volumes++;
	if (!nr || found[0].leftover)
		return 0;
	v->name = found[0].content.name;
	v->longname = found[0].content.longname;
	v->usage = found[0].content.usage;
	v->opens = found[0].driver->open && pl_root_entries(slice, &v->entries) == 0;
	return 0;
}

static void
take_used(const struct platter_used_volume *u, void *closure)
{
	struct pl_examination *x = closure;

	if (u->logical)
		return;
	for (size_t i = 0; i < x->nr_volumes; i++)
		if (x->volumes[i].offset == u->offset && !u->whole) {
			x->volumes[i].used = u->used;
			x->volumes[i].counted = true;
		}
}

int
pl_examine_layout(struct pl_examination *x, struct pl_place *place, struct platter_error *err)
{
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	size_t nr = 0;
	int r = 0;

	if (pl_tables_read(x->disk, place->flags, &arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	if (nr)
		x->table = kept(x, tables[0].name);
	for (size_t i = 0; nr && i < tables[0].nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &tables[0].partitions[i];

		if (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL)
			r = add_volume(x, p->offset, p->length, err);
	}
	if (r == 0 && x->disk->size) {
		r = add_volume(x, 0, x->disk->size, err);
		/* The whole is a volume only if something begins it. */
		if (r == 0 && x->nr_volumes && !*x->volumes[x->nr_volumes - 1].name &&
		    !x->volumes[x->nr_volumes - 1].offset)
			x->nr_volumes--;
	}
	pl_arena_done(&arena);
	/* What cannot be told to be free is in use. */
	if (r == 0 && pl_place_used(place, take_used, x, &x->used, &x->e.unused, NULL) < 0) {
		x->used = NULL;
		x->e.unused = 0;
	}
	return r;
}

/* Partitions, loop devices and files have nothing to tell, which is no failure. */
void
pl_examine_hidden(const struct pl_place *place, struct platter_hidden *ret)
{
	const char *path = pl_storage_path(place->storage, 0);
	const struct pl_hardware_info *info;
	struct pl_hardware *hw;

	*ret = (struct platter_hidden){ .reallocated = UINT64_MAX, .pending = UINT64_MAX };
	if (!path || !pl_storage_is_device(place->storage) || pl_hardware_open(path, &hw, NULL) < 0)
		return;
	if (pl_hardware_look(hw, &info, NULL) == 0 && info->protocol != PL_PROTOCOL_NONE) {
		ret->asked = true;
		ret->hpa = info->native_size - PL_MIN(info->size, info->native_size);
		ret->dco = info->real_size - PL_MIN(info->native_size, info->real_size);
		ret->reallocated = info->reallocated;
		ret->pending = info->pending;
	}
	pl_hardware_close(hw);
}
