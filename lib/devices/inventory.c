/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory.c - the block devices of a computer
 *
 * Documentation/ABI/{stable,testing}/sysfs-block, sysfs-block-dm, sysfs-block-loop; admin-guide/md.
 */
#include "inventory.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "guard.h"
#include "identity.h"
#include "text.h"

/* Kinds by the kernel's names: a prefix, before a number. */
static const struct {
	const char *prefix;
	enum platter_device_kind kind;
	enum platter_device_nature nature;
	const char *type;
} kinds[] = {
	{ "loop", PLATTER_DEVICE_LOOP, PLATTER_NATURE_IMAGE, "loop device" },
	{ "nbd", PLATTER_DEVICE_NBD, PLATTER_NATURE_REMOTE, "network block device" },
	{ "dm-", PLATTER_DEVICE_MAPPER, PLATTER_NATURE_DERIVED, "device mapper" },
	{ "md", PLATTER_DEVICE_ARRAY, PLATTER_NATURE_DERIVED, "disk array" },
	{ "md_d", PLATTER_DEVICE_ARRAY, PLATTER_NATURE_DERIVED, "disk array" },
	{ "sr", PLATTER_DEVICE_OPTICAL, PLATTER_NATURE_PHYSICAL, "optical drive" },
	{ "fd", PLATTER_DEVICE_FLOPPY, PLATTER_NATURE_PHYSICAL, "floppy drive" },
	{ "zram", PLATTER_DEVICE_ZRAM, PLATTER_NATURE_MEMORY, "compressed memory" },
	{ "ram", PLATTER_DEVICE_RAM, PLATTER_NATURE_MEMORY, "memory disk" },
	{ "bcache", PLATTER_DEVICE_OTHER, PLATTER_NATURE_DERIVED, "bcache" },
	{ "drbd", PLATTER_DEVICE_OTHER, PLATTER_NATURE_REMOTE, "DRBD" },
	{ "rbd", PLATTER_DEVICE_OTHER, PLATTER_NATURE_REMOTE, "Ceph block device" },
	{ "zd", PLATTER_DEVICE_OTHER, PLATTER_NATURE_DERIVED, "ZFS volume" },
	{ "nullb", PLATTER_DEVICE_OTHER, PLATTER_NATURE_MEMORY, "null block device" },
	{ "mtdblock", PLATTER_DEVICE_OTHER, PLATTER_NATURE_PHYSICAL, "flash memory" },
	{ "pmem", PLATTER_DEVICE_DRIVE, PLATTER_NATURE_PHYSICAL, "persistent memory" },
};

/* Who made a device of the device mapper, by its UUID. */
static const struct {
	const char *prefix, *type;
} mappers[] = {
	{ "CRYPT-LUKS1-", "dm-crypt (LUKS1)" },
	{ "CRYPT-LUKS2-", "dm-crypt (LUKS2)" },
	{ "CRYPT-PLAIN-", "dm-crypt (plain)" },
	{ "CRYPT-BITLK-", "dm-crypt (BitLocker)" },
	{ "CRYPT-TCRYPT-", "dm-crypt (TrueCrypt, VeraCrypt)" },
	{ "CRYPT-VERITY-", "dm-verity" },
	{ "CRYPT-INTEGRITY-", "dm-integrity" },
	{ "CRYPT-", "dm-crypt" },
	{ "LVM-", "LVM logical volume" },
	{ "mpath-", "multipath" },
	{ "DMRAID-", "RAID of the firmware" },
	{ "stratis-", "Stratis" },
};

/* Disks that are not what they seem, by what they call themselves; NULL: whatever it is. */
static const struct {
	const char *vendor, *model;
	enum platter_device_nature nature;
} makers[] = {
	{ "QEMU", NULL, PLATTER_NATURE_VIRTUAL },
	{ NULL, "QEMU", PLATTER_NATURE_VIRTUAL },
	{ "VMware", NULL, PLATTER_NATURE_VIRTUAL },
	{ NULL, "VMware", PLATTER_NATURE_VIRTUAL },
	{ "VBOX", NULL, PLATTER_NATURE_VIRTUAL },
	{ NULL, "VBOX", PLATTER_NATURE_VIRTUAL },
	{ "Msft", "Virtual Disk", PLATTER_NATURE_VIRTUAL },
	{ "Google", "PersistentDisk", PLATTER_NATURE_VIRTUAL },
	{ NULL, "Amazon Elastic Block Store", PLATTER_NATURE_VIRTUAL },
	{ NULL, "Amazon EC2", PLATTER_NATURE_VIRTUAL },
	{ NULL, "Virtual HD", PLATTER_NATURE_VIRTUAL },
	{ "LIO-ORG", NULL, PLATTER_NATURE_REMOTE },
	{ "IET", NULL, PLATTER_NATURE_REMOTE },
	{ "Linux", "scsi_debug", PLATTER_NATURE_MEMORY },
	{ "Linux", "File-CD Gadget", PLATTER_NATURE_IMAGE },
};

static const struct {
	const char *bus;
	enum platter_device_nature nature;
} natures[] = {
	{ "virtio", PLATTER_NATURE_VIRTUAL },
	{ "xen", PLATTER_NATURE_VIRTUAL },
	{ "iscsi", PLATTER_NATURE_REMOTE },
	{ "fc", PLATTER_NATURE_REMOTE },
};

/* For each device while its members are filled in. */
struct filling {
	const struct pl_blocks *blocks;
	struct pl_arena *arena;
	size_t index;
	const struct pl_block_device *block;
	struct platter_device *device;
};

static bool
begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static const char *
text_attribute(const struct filling *f, const char *attribute)
{
	char text[PATH_MAX];

	if (!pl_block_text(f->blocks, f->index, attribute, text, sizeof text))
		return "";
	return pl_arena_take(f->arena, pl_text_from_bytes(text, strlen(text)));
}

/* An attribute of the queue, which partitions share with their disk. */
static uint64_t
queue_number(const struct filling *f, const char *name)
{
	char attribute[64];

	snprintf(attribute, sizeof attribute, "%squeue/%s", f->block->partition ? "../" : "", name);
	return pl_block_number(f->blocks, f->index, attribute, UINT64_MAX);
}

static void
fill_kind(struct filling *f)
{
	struct platter_device *d = f->device;

	d->kind = *d->bus ? PLATTER_DEVICE_DRIVE : PLATTER_DEVICE_OTHER;
	d->nature = *d->bus ? PLATTER_NATURE_PHYSICAL : PLATTER_NATURE_UNKNOWN;
	d->type = *d->bus ? "drive" : "block device";
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *rest = f->block->name + strlen(kinds[i].prefix);

		if (!begins_with(f->block->name, kinds[i].prefix) || !isdigit((unsigned char)*rest))
			continue;
		d->kind = kinds[i].kind;
		d->nature = kinds[i].nature;
		d->type = kinds[i].type;
	}
	for (size_t i = 0; i < ARRAY_SIZE(natures); i++)
		if (strcmp(natures[i].bus, d->bus) == 0)
			d->nature = natures[i].nature;
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		const char *vendor = makers[i].vendor, *model = makers[i].model;

		if (*d->bus && (!vendor || begins_with(d->vendor, vendor)) &&
		    (!model || begins_with(d->model, model)))
			d->nature = makers[i].nature;
	}
}

static void
fill_partition(struct filling *f)
{
	struct platter_device *d = f->device;

	d->kind = PLATTER_DEVICE_PARTITION;
	d->nature = PLATTER_NATURE_DERIVED;
	d->type = "partition";
	d->partition = f->block->partition;
	d->start = f->block->start;
}

static void
fill_mapper(struct filling *f)
{
	const char *uuid = f->block->dm_uuid ? f->block->dm_uuid : "";
	struct platter_device *d = f->device;
	unsigned number;

	/* Partitions of a device with several paths are mappings too: "part1-mpath-...". */
	if (sscanf(uuid, "part%u-", &number) == 1)
		d->type = pl_arena_format(f->arena, "partition %u of a mapping", number);
	for (size_t i = 0; i < ARRAY_SIZE(mappers); i++)
		if (begins_with(uuid, mappers[i].prefix)) {
			d->type = mappers[i].type;
			return;
		}
}

static void
fill_array(struct filling *f)
{
	uint64_t members = pl_block_number(f->blocks, f->index, "md/raid_disks", 0);
	uint64_t missing = pl_block_number(f->blocks, f->index, "md/degraded", 0);
	const char *state = text_attribute(f, "md/array_state");

	if (f->block->md_level)
		f->device->type = pl_arena_strdup(f->arena, f->block->md_level);
	f->device->attached = strcmp(state, "clear") != 0;
	if (missing)
		f->device->state =
			pl_arena_format(f->arena,
					"degraded, %" PRIu64 " of %" PRIu64 " members missing",
					missing, members);
	else if (strcmp(state, "inactive") == 0)
		f->device->state = "inactive: it was not started";
}

/* The command line of a process, blanks between its words. */
static const char *
command_line(struct filling *f, const char *pid)
{
	char path[PATH_MAX], text[1024];
	size_t n;
	FILE *file;

	snprintf(path, sizeof path, "%s/proc/%s/cmdline", f->blocks->root, pid);
	file = fopen(path, "re");
	if (!file)
		return "";
	n = fread(text, 1, sizeof text, file);
	fclose(file);
	while (n && !text[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = ' ';
	return pl_arena_take(f->arena, pl_text_from_bytes(text, n));
}

/* The kernel has a socket, and no name of whom it leads to; who connected it may tell. */
static void
fill_nbd(struct filling *f)
{
	const char *pid = text_attribute(f, "pid"), *backend = text_attribute(f, "backend");

	f->device->attached = *pid != '\0' || f->device->size;
	f->device->backing = *backend ? backend : *pid ? command_line(f, pid) : "";
}

static void
fill_loop(struct filling *f)
{
	f->device->attached = f->block->loop_file;
	if (f->block->loop_file)
		f->device->backing =
			pl_arena_take(f->arena, pl_text_from_bytes(f->block->loop_file,
								   strlen(f->block->loop_file)));
	if (f->block->nr_below)
		f->device->nature = PLATTER_NATURE_DERIVED;
}

static void
fill_by_kind(struct filling *f)
{
	f->device->attached = true;
	switch (f->device->kind) {
	case PLATTER_DEVICE_LOOP: fill_loop(f); break;
	case PLATTER_DEVICE_NBD: fill_nbd(f); break;
	case PLATTER_DEVICE_MAPPER: fill_mapper(f); break;
	case PLATTER_DEVICE_ARRAY: fill_array(f); break;
	case PLATTER_DEVICE_RAM: f->device->attached = f->block->nr_above; break;
	case PLATTER_DEVICE_PARTITION:
	case PLATTER_DEVICE_OPTICAL: break;
	default: f->device->attached = f->block->size; break;
	}
}

/* The drive's names, which are those of the disk, belong to that alone; a partition has a link. */
static void
fill_names(struct filling *f)
{
	struct platter_device *d = f->device;
	struct pl_drive_names names;
	bool whole = !f->block->partition;

	pl_drive_names_read(f->blocks, f->index, &names);
	d->by_id = pl_arena_strdup(f->arena, names.by_id);
	d->bus = whole ? pl_arena_strdup(f->arena, names.bus) : "";
	d->vendor = whole ? pl_arena_strdup(f->arena, names.vendor) : "";
	d->model = whole ? pl_arena_strdup(f->arena, names.model) : "";
	d->serial = whole ? pl_arena_strdup(f->arena, names.serial) : "";
	d->wwn = whole ? pl_arena_strdup(f->arena, names.wwn) : "";
	d->firmware = whole ? pl_arena_strdup(f->arena, names.revision) : "";
}

static void
fill_queue(struct filling *f)
{
	uint64_t logical = queue_number(f, "logical_block_size"),
		 physical = queue_number(f, "physical_block_size"),
		 rotational = queue_number(f, "rotational");

	f->device->sector_size = logical <= UINT32_MAX ? (uint32_t)logical : 0;
	f->device->physical_sector_size = physical <= UINT32_MAX ? (uint32_t)physical : 0;
	f->device->rotational = rotational == 1;
	/* Bridges on USB, and what is no drive, say "rotational" without knowing. */
	f->device->rotational_known = rotational == 0 || (rotational == 1 && *f->device->bus &&
							  strcmp(f->device->bus, "usb") != 0 &&
							  strcmp(f->device->bus, "virtio") != 0);
}

/* Appends to a list in the arena, which has room. */
static void
fill_relatives(struct filling *f)
{
	const struct pl_blocks *b = f->blocks;
	size_t *parents = pl_arena_alloc(f->arena, (f->block->nr_below + 1) * sizeof *parents);
	size_t *children = pl_arena_alloc(f->arena, (b->nr + 1) * sizeof *children);
	struct platter_device *d = f->device;

	if (!parents || !children)
		return;
	if (f->block->disk != PL_NO_BLOCK)
		parents[d->nr_parents++] = f->block->disk;
	for (size_t i = 0; i < f->block->nr_below; i++)
		parents[d->nr_parents++] = f->block->below[i];
	for (size_t i = 0; i < b->nr; i++)
		if (b->list[i].disk == f->index)
			children[d->nr_children++] = i;
	for (size_t i = 0; i < f->block->nr_above && d->nr_children < b->nr; i++)
		children[d->nr_children++] = f->block->above[i];
	d->parents = parents;
	d->children = children;
}

static void
fill_mounts(struct filling *f)
{
	const struct pl_blocks *b = f->blocks;
	const char **mounts = pl_arena_alloc(f->arena, (b->nr_mounts + 1) * sizeof *mounts);

	for (size_t i = 0; i < b->nr_mounts && mounts; i++)
		if (b->mounts[i].block == f->index)
			mounts[f->device->nr_mounts++] = pl_arena_take(
				f->arena,
				pl_text_from_bytes(b->mounts[i].point, strlen(b->mounts[i].point)));
	f->device->mounts = mounts;
	for (size_t i = 0; i < b->nr_swaps; i++)
		f->device->swap = f->device->swap || b->swaps[i].block == f->index;
}

static int
fill_uses(struct filling *f, struct platter_error *err)
{
	struct platter_device_use *list;
	struct pl_users users;
	int r = pl_users_of_block(f->blocks, f->index, &users, err);

	if (r < 0)
		return r;
	list = pl_arena_alloc(f->arena, (users.nr + 1) * sizeof *list);
	for (size_t i = 0; i < users.nr && list; i++) {
		const struct pl_user *u = &users.list[i];

		list[i] = (struct platter_device_use){
			.kind = (enum platter_use_kind)u->kind,
			.device = pl_arena_strdup(f->arena, u->device),
			.user = pl_arena_strdup(f->arena, u->by),
			.text = pl_arena_strdup(f->arena, u->text),
			.release = pl_arena_strdup(f->arena, u->release),
			.system = u->system,
		};
	}
	f->device->uses = list;
	f->device->nr_uses = list ? users.nr : 0;
	pl_users_done(&users);
	return 0;
}

static int
fill_device(struct filling *f, struct platter_error *err)
{
	const struct pl_block_device *b = f->block;

	*f->device = (struct platter_device){
		.path = pl_arena_strdup(f->arena, b->path),
		.name = pl_arena_strdup(f->arena, b->name),
		.major = major(b->number),
		.minor = minor(b->number),
		.size = b->size,
		.backing = "",
		.state = "",
		.problem = "",
		.read_only = b->read_only,
		.removable = pl_block_number(f->blocks, f->index,
					     b->partition ? "../removable" : "removable", 0),
	};
	fill_names(f);
	fill_queue(f);
	if (b->partition)
		fill_partition(f);
	else
		fill_kind(f);
	fill_by_kind(f);
	fill_relatives(f);
	fill_mounts(f);
	return fill_uses(f, err);
}

int
pl_inventory_read(const char *root, struct pl_inventory *ret, struct platter_error *err)
{
	struct pl_inventory inventory = { .blocks = NULL };
	int r = pl_blocks_read(root, &inventory.blocks, err);

	if (r < 0)
		return r;
	inventory.list = pl_arena_alloc(&inventory.arena,
					(inventory.blocks->nr + 1) * sizeof *inventory.list);
	for (size_t i = 0; i < inventory.blocks->nr && inventory.list && r == 0; i++)
		r = fill_device(&(struct filling){ .blocks = inventory.blocks,
						   .arena = &inventory.arena,
						   .index = i,
						   .block = &inventory.blocks->list[i],
						   .device = &inventory.list[i] },
				err);
	if (r == 0 && inventory.arena.failed)
		r = pl_no_memory(err);
	if (r < 0)
		pl_inventory_done(&inventory);
	else
		*ret = inventory;
	return r;
}

void
pl_inventory_done(struct pl_inventory *inventory)
{
	pl_arena_done(&inventory->arena);
	pl_blocks_free(inventory->blocks);
	*inventory = (struct pl_inventory){ .blocks = NULL };
}
