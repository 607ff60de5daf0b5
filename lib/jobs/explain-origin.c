/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain-origin.c - where a disk comes from, and how it is detached, removed or erased
 */
#include "explain.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "format.h"
#include "guard.h"
#include "scheme.h"
#include "storage.h"
#include "text.h"

#define APPLE_IMAGES "dmg|sparseimage|sparsebundle|asif|encrcdsa"

const struct pl_origin_rule pl_origin_rules[] = {
	{ { { PL_CLUE_KIND, "logical" } },
	  "Not a drive: a logical volume of LVM that is not active, on {file}.",
	  "that is the way by which it was found" },
	{ { { PL_CLUE_KIND, "nested" } },
	  "A disk image in a file system that is itself on a disk: {place}. It is no drive.",
	  "that is the way by which it was found" },
	{ { { PL_CLUE_KIND, "image" }, { PL_CLUE_FORMAT, APPLE_IMAGES } },
	  "An image, not a drive: {format}, the file {file}. While a Mac has it open, Disk Utility "
	  "shows it as 'Apple disk image Media'.",
	  NULL },
	{ { { PL_CLUE_KIND, "image" }, { PL_CLUE_FORMAT, "*" } },
	  "An image, not a drive: {format}, the file {file}.",
	  NULL },
	{ { { PL_CLUE_KIND, "image" } },
	  "An image, not a drive: the file {file}, whose bytes are those of the disk.",
	  "it is a file that no format of images claims" },
	{ { { PL_CLUE_KIND, "stream" } }, "A stream of bytes, read once.", "it is no file" },
	{ { { PL_CLUE_KIND, "loop" }, { PL_CLUE_NATURE, "derived" } },
	  "Not a drive: the loop device {disk}, which shows the device {file} again.",
	  "the kernel names that device as what is behind it" },
	{ { { PL_CLUE_KIND, "loop" } },
	  "An image, not a drive: the loop device {disk} shows the file {file} as a disk.",
	  "the kernel names that file as what is behind it" },
	{ { { PL_CLUE_KIND, "nbd" } },
	  "Not a drive: {disk} shows a disk of a server, or an image that a program serves "
	  "({file}).",
	  "it is a device of the kernel's NBD client" },
	{ { { PL_CLUE_DRIVER, "dm-crypt*" } },
	  "Not a drive: {disk} is what is in an encrypted disk, opened with its key.",
	  NULL },
	{ { { PL_CLUE_DRIVER, "LVM*" } },
	  "Not a drive: {disk} is a logical volume of LVM, made of parts of other devices.",
	  NULL },
	{ { { PL_CLUE_DRIVER, "multipath" } },
	  "A drive that is reached by several paths, each of which is a device too; {disk} joins "
	  "them.",
	  NULL },
	{ { { PL_CLUE_KIND, "mapper" } },
	  "Not a drive: {disk} is made of other devices by the device mapper.",
	  NULL },
	{ { { PL_CLUE_KIND, "array" } },
	  "Not a drive: {disk} is an array that the kernel makes of several devices.",
	  NULL },
	{ { { PL_CLUE_NATURE, "memory" } },
	  "Not a drive: {disk} is in the computer's memory, and gone when it is switched off.",
	  NULL },
	{ { { PL_CLUE_KIND, "optical" } },
	  "The disc in the optical drive {disk}: {maker}.",
	  "the kernel lists it as an optical drive" },
	{ { { PL_CLUE_KIND, "drive|floppy" }, { PL_CLUE_NATURE, "physical" } },
	  "A physical drive: {disk}, {maker}.",
	  NULL },
	{ { { PL_CLUE_NATURE, "virtual" } },
	  "A virtual disk: {disk}. This computer is a virtual machine, and its host keeps the "
	  "disk, "
	  "mostly as an image.",
	  NULL },
	{ { { PL_CLUE_NATURE, "remote" } },
	  "A disk on the network: {disk}. Another computer keeps it.",
	  NULL },
	{ { { PL_CLUE_NATURE, "image" } }, "An image, not a drive: {disk}.", NULL },
	{ { { PL_CLUE_NONE, NULL } }, "A block device: {disk}.", "more is not known of it" },
};
const size_t pl_nr_origin_rules = ARRAY_SIZE(pl_origin_rules);

const struct pl_advice_rule pl_advice_rules[] = {
	{ { { PL_CLUE_KIND, "loop" } },
	  "detach the image; its file stays",
	  "losetup -d {disk}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "nbd" }, { PL_CLUE_BACKING, "*qemu-nbd*" } },
	  "detach the image; it stays",
	  "qemu-nbd -d {disk}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "nbd" } },
	  "detach the server's disk; it stays",
	  "nbd-client -d {disk}",
	  "Linux" },
	{ { { PL_CLUE_DRIVER, "dm-crypt*" } },
	  "lock it; what is in it stays encrypted on its disk",
	  "cryptsetup close {name}",
	  "Linux" },
	{ { { PL_CLUE_DRIVER, "LVM*" } },
	  "deactivate the logical volume; it stays",
	  "lvchange -an {disk}",
	  "Linux" },
	{ { { PL_CLUE_DRIVER, "LVM*" } },
	  "remove the logical volume for good",
	  "lvremove {disk}",
	  "Linux" },
	{ { { PL_CLUE_DRIVER, "multipath" } },
	  "take the joined device away; the drive stays",
	  "multipath -f {name}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "array" } },
	  "stop the array; its members stay",
	  "mdadm --stop {disk}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "zram" } },
	  "give its memory back; what is on it is lost",
	  "zramctl --reset {disk}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "optical" } }, "take out the disc", "eject {disk}", "Linux" },
	{ { { PL_CLUE_KIND, "drive" }, { PL_CLUE_BUS, "usb" } },
	  "switch it off, so that it can be pulled out; what is on it stays",
	  "udisksctl power-off -b {disk}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "drive|floppy|optical" }, { PL_CLUE_NATURE, "physical" } },
	  "on a Mac: find its number, N below",
	  "diskutil list",
	  "macOS" },
	{ { { PL_CLUE_KIND, "drive|floppy|optical" }, { PL_CLUE_NATURE, "physical" } },
	  "on a Mac: eject it; what is on it stays",
	  "diskutil eject /dev/diskN",
	  "macOS" },
	{ { { PL_CLUE_KIND, "image|nested" }, { PL_CLUE_FORMAT, APPLE_IMAGES } },
	  "on a Mac that has it open: find its number, N below, at 'disk image'",
	  "diskutil list",
	  "macOS" },
	{ { { PL_CLUE_KIND, "image|nested" }, { PL_CLUE_FORMAT, APPLE_IMAGES } },
	  "on a Mac that has it open: eject it; its file stays",
	  "hdiutil detach /dev/diskN",
	  "macOS" },
	{ { { PL_CLUE_KIND, "image" },
	    { PL_CLUE_SIZE, "whole" },
	    { PL_CLUE_FORMAT, "sparsebundle" } },
	  "delete the image, and all that is in it",
	  "rm -r {file}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "image" }, { PL_CLUE_SIZE, "whole" }, { PL_CLUE_BACKING, "file" } },
	  "delete the image, and all that is in it",
	  "rm {file}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "drive|loop|mapper|array|floppy|nbd" },
	    { PL_CLUE_SIZE, "part" },
	    { PL_CLUE_TABLE, "*" } },
	  "take the partition out of the table; its bytes stay until something is written there",
	  "sfdisk --delete {disk} {number}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "drive|loop|mapper|array|floppy|nbd" }, { PL_CLUE_SIZE, "part" } },
	  "erase all that is on it, for good",
	  "platter wipe {path}",
	  "Linux" },
	{ { { PL_CLUE_KIND, "drive|loop|mapper|array|floppy|nbd" }, { PL_CLUE_SIZE, "whole" } },
	  "erase all that is on it, for good",
	  "platter wipe {path}",
	  "Linux" },
};
const size_t pl_nr_advice_rules = ARRAY_SIZE(pl_advice_rules);

/* In the order of the enumerations. */
static const char *const kinds[] = { "drive",  "partition", "optical", "floppy", "loop", "nbd",
				     "mapper", "array",     "zram",    "ram",    "other" };
static const char *const natures[] = { "physical", "virtual", "remote", "image",
				       "derived",  "memory",  "unknown" };

/* Words that rules may use: "{path}". */
struct word {
	const char *name, *value;
};

struct owned {
	struct platter_explanation explanation;
	struct pl_arena arena;
};

struct origin {
	struct pl_arena *arena;
	struct platter_explanation *e;
	struct pl_clues clues;
	struct pl_inventory inventory;
	const struct platter_device *device; /* the place's, which may be a partition; or NULL */
	const struct platter_device *disk;   /* that, or the disk of the partition */
	struct word words[16];
	size_t nr_words;
	struct platter_advice *advice;
	size_t nr_advice, advice_capacity;
};

static void
add_word(struct origin *o, const char *name, const char *value)
{
	if (o->nr_words < ARRAY_SIZE(o->words))
		o->words[o->nr_words++] = (struct word){ name, value };
}

static const char *
find_word(const struct origin *o, const char *name, size_t n)
{
	for (size_t i = 0; i < o->nr_words; i++)
		if (strlen(o->words[i].name) == n && strncmp(o->words[i].name, name, n) == 0)
			return o->words[i].value;
	return "";
}

/* As a shell takes it. */
static void
add_quoted(struct pl_str *s, const char *word)
{
	if (*word && word[strcspn(word, " \t\n'\"\\$`*?[]{}()<>|&;!#~")] == '\0') {
		pl_str_add(s, word);
		return;
	}
	pl_str_add(s, "'");
	for (; *word; word++) {
		if (*word == '\'')
			pl_str_add(s, "'\\''");
		else
			pl_str_add_bytes(s, word, 1);
	}
	pl_str_add(s, "'");
}

/* `text` with its words filled in; in a command they are quoted. */
static const char *
filled(struct origin *o, const char *text, bool command)
{
	struct pl_str s = { 0 };
	const char *ret;

	while (*text) {
		size_t n = strcspn(text, "{");
		const char *end = text[n] ? strchr(text + n, '}') : NULL;

		pl_str_add_bytes(&s, text, end ? n : strlen(text));
		if (!end)
			break;
		if (command)
			add_quoted(&s, find_word(o, text + n + 1, (size_t)(end - text) - n - 1));
		else
			pl_str_add(&s, find_word(o, text + n + 1, (size_t)(end - text) - n - 1));
		text = end + 1;
	}
	if (s.failed)
		o->arena->failed = true;
	ret = pl_arena_strdup(o->arena, s.text ? s.text : "");
	pl_str_done(&s);
	return ret;
}

static void
add_advice(struct origin *o, const char *what, const char *command, const char *system)
{
	if (!o->advice) {
		o->advice_capacity = 64;
		o->advice = pl_arena_alloc(o->arena, o->advice_capacity * sizeof *o->advice);
	}
	if (!o->advice || o->nr_advice == o->advice_capacity)
		return;
	for (size_t i = 0; i < o->nr_advice; i++)
		if (strcmp(o->advice[i].command, command) == 0)
			return;
	o->advice[o->nr_advice++] = (struct platter_advice){ what, command, system };
}

/* What uses it comes first: nothing else can be done before. */
static int
advise_on_uses(struct origin *o, const char *path, struct platter_error *err)
{
	struct pl_users users;
	int r = pl_users_find(path, &users, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < users.nr; i++) {
		const struct pl_user *u = &users.list[i];

		o->e->in_use = true;
		o->e->system = o->e->system || u->system;
		if (*u->release)
			add_advice(o, pl_arena_format(o->arena, "end its use: %s", u->text),
				   pl_arena_strdup(o->arena, u->release), "Linux");
	}
	/* What the system runs from is not taken away under it. */
	if (o->e->system)
		o->nr_advice = 0;
	pl_users_done(&users);
	return 0;
}

static const char *
maker_of(struct origin *o, const struct platter_device *d)
{
	const char *maker = pl_arena_format(o->arena, "%s%s%s", d->vendor,
					    *d->vendor && *d->model ? " " : "", d->model);

	return maker && *maker ? maker : "its maker is not known";
}

/* The number of the partition that the place names, by '@' or by its device; 0: it is none. */
static uint32_t
number_of(const struct origin *o, const struct pl_place *place)
{
	uint32_t number = place->partition[place->nr_layers - 1];

	return number ? number : o->device ? o->device->partition : 0;
}

static void
add_device_clues(struct origin *o, const struct pl_place *place)
{
	const struct platter_device *d = o->disk;
	uint32_t number = number_of(o, place);
	const char *maker = maker_of(o, d);

	pl_clue_add(&o->clues, PL_CLUE_KIND, kinds[d->kind],
		    pl_arena_format(o->arena, "%s as the kernel lists it",
				    d->kind == PLATTER_DEVICE_DRIVE ? "a drive" : d->type));
	pl_clue_add(&o->clues, PL_CLUE_NATURE, natures[d->nature],
		    d->nature == PLATTER_NATURE_PHYSICAL
			    ? "behind a bus of this computer, and calls "
			      "itself as no virtual disk does"
			    : natures[d->nature]);
	if (*d->bus)
		pl_clue_add(&o->clues, PL_CLUE_BUS, d->bus, NULL);
	if (*d->model)
		pl_clue_add(&o->clues, PL_CLUE_MAKER, maker, NULL);
	pl_clue_add(&o->clues, PL_CLUE_DRIVER, d->type, NULL);
	if (*d->backing)
		pl_clue_add(&o->clues, PL_CLUE_BACKING, d->backing, NULL);
	pl_clue_add(&o->clues, PL_CLUE_SIZE, number ? "part" : "whole", NULL);
	add_word(o, "path",
		 number == o->device->partition ? o->device->path
						: pl_arena_strdup(o->arena, place->name));
	add_word(o, "disk", d->path);
	add_word(o, "file", *d->backing ? d->backing : "not known");
	add_word(o, "name", strncmp(d->path, "/dev/mapper/", 12) == 0 ? d->path + 12 : d->path);
	add_word(o, "maker",
		 *d->serial ? pl_arena_format(o->arena, "%s, serial number %s", maker, d->serial)
			    : maker);
	add_word(o, "number", pl_arena_format(o->arena, "%" PRIu32, number));
}

/* Is it a part of a device, or something in a file or logical volume on that? */
static bool
is_on_device(const struct origin *o, const struct pl_place *place)
{
	for (size_t i = 0; i < place->nr_layers; i++) {
		const struct pl_format *format = pl_format_of(place->layers[i]);

		if (place->is_file[i] || place->is_logical[i] || (format && format->probe))
			return false;
	}
	return o->device;
}

/* The image that is nearest to the disk, and whether it is in a file of another disk. */
static void
add_image_clues(struct origin *o, const struct pl_place *place)
{
	const struct pl_format *format = NULL;
	bool nested = false, logical = false, part = false;

	for (size_t i = 0; i < place->nr_layers; i++) {
		const struct pl_format *f = pl_format_of(place->layers[i]);

		nested = nested || place->is_file[i];
		logical = place->is_logical[i];
		part = place->partition[i] || place->is_logical[i] || place->is_file[i];
		format = f && f->probe ? f : format;
	}
	pl_clue_add(&o->clues, PL_CLUE_KIND,
		    logical                      ? "logical"
		    : nested                     ? "nested"
		    : place->storage->sequential ? "stream"
						 : "image",
		    "a file");
	if (format) {
		pl_clue_add(&o->clues, PL_CLUE_FORMAT, format->info.name, format->info.longname);
		add_word(o, "format", format->info.longname);
	}
	pl_clue_add(&o->clues, PL_CLUE_SIZE, part ? "part" : "whole", NULL);
	add_word(o, "file",
		 pl_arena_strdup(o->arena, pl_storage_path(place->storage, 0)
						   ? pl_storage_path(place->storage, 0)
						   : "-"));
}

static int
find_device(struct origin *o, const struct pl_place *place, struct platter_error *err)
{
	struct pl_file_id id;
	size_t index;
	int r;

	if (!pl_storage_is_device(place->storage) || !pl_storage_id(place->storage, 0, &id))
		return 0;
	r = pl_inventory_read("", &o->inventory, err);
	if (r < 0)
		return r;
	index = pl_blocks_by_number(o->inventory.blocks, (dev_t)id.device);
	if (index == PL_NO_BLOCK)
		return 0;
	o->device = o->disk = &o->inventory.list[index];
	if (o->device->partition && o->device->nr_parents)
		o->disk = &o->inventory.list[o->device->parents[0]];
	return 0;
}

/* The entry that a partition has in the table of its disk; *ret NULL: it has none. */
static void
entry_at(struct pl_disk *disk, unsigned flags, uint32_t number, struct pl_arena *arena,
	 const struct platter_table **ret_table, const struct platter_partition **ret)
{
	const struct platter_table *tables;
	size_t nr = 0;

	if (pl_tables_read(disk, flags, arena, &tables, &nr, NULL, NULL) < 0 || !nr)
		return;
	for (size_t i = 0; i < tables[0].nr_partitions; i++)
		if (tables[0].partitions[i].number == number) {
			*ret_table = &tables[0];
			*ret = &tables[0].partitions[i];
		}
}

static void
find_entry(struct origin *o, const struct pl_place *place, const struct platter_table **ret_table,
	   const struct platter_partition **ret)
{
	size_t last = place->nr_layers - 1;

	if (last && place->partition[last]) {
		entry_at(place->layers[last - 1], place->flags, place->partition[last], o->arena,
			 ret_table, ret);
	} else if (!last && o->device && o->device != o->disk) {
		struct pl_place *disk;

		if (pl_place_open(o->disk->path, "raw", 0, &disk, NULL) < 0)
			return;
		entry_at(disk->disk, 0, o->device->partition, o->arena, ret_table, ret);
		pl_place_close(disk);
	}
}

static void
explain_origin(struct origin *o, const struct pl_place *place)
{
	size_t last = place->nr_layers - 1;
	const char *because = "";

	for (size_t i = 0; i < pl_nr_origin_rules; i++) {
		const struct pl_origin_rule *rule = &pl_origin_rules[i];

		if (!pl_clues_meet(&o->clues, rule->when, &because))
			continue;
		o->e->origin = filled(o, rule->origin, false);
		o->e->because = rule->because ? rule->because : because;
		break;
	}
	if (!place->is_file[last] && !place->is_logical[last] && number_of(o, place))
		o->e->origin = pl_arena_format(o->arena, "Partition %" PRIu32 " of: %s",
					       number_of(o, place), o->e->origin);
}

static void
advise(struct origin *o)
{
	for (size_t i = 0; i < pl_nr_advice_rules && !o->e->system; i++) {
		const struct pl_advice_rule *rule = &pl_advice_rules[i];

		if (pl_clues_meet(&o->clues, rule->when, NULL))
			add_advice(o, rule->what, filled(o, rule->command, true), rule->system);
	}
	o->e->advice = o->advice;
	o->e->nr_advice = o->nr_advice;
}

static int
explain_place(struct origin *o, struct pl_place *place, struct platter_error *err)
{
	const struct platter_partition *entry = NULL;
	const struct platter_table *table = NULL;
	const char *path = pl_storage_path(place->storage, 0);
	int r = find_device(o, place, err);

	if (r < 0)
		return r;
	add_word(o, "place", pl_arena_strdup(o->arena, place->name));
	if (is_on_device(o, place))
		add_device_clues(o, place);
	else
		add_image_clues(o, place);
	find_entry(o, place, &table, &entry);
	if (entry && o->device)
		pl_clue_add(&o->clues, PL_CLUE_TABLE, table->name, NULL);
	if (!o->device && path && place->nr_layers && !place->storage->sequential)
		pl_clue_add(&o->clues, PL_CLUE_BACKING, "file", NULL);
	explain_origin(o, place);
	r = path ? advise_on_uses(o, path, err) : 0;
	if (r == 0)
		r = pl_explain_disk(place, table, entry, o->arena, &o->e->top, err);
	if (r == 0)
		advise(o);
	return r;
}

/* The device whose file system is mounted on the folder `path`; to be freed. */
static int
device_of_folder(const char *path, char **ret, struct platter_error *err)
{
	PL_AUTOFREE char *folder = realpath(path, NULL);
	struct pl_blocks *blocks;
	int r = pl_blocks_read("", &blocks, err);

	if (r < 0)
		return r;
	*ret = NULL;
	/* What was mounted last lies on top. */
	for (size_t i = blocks->nr_mounts; folder && i-- > 0 && !*ret;)
		if (strcmp(blocks->mounts[i].point, folder) == 0 &&
		    blocks->mounts[i].block != PL_NO_BLOCK)
			*ret = strdup(blocks->list[blocks->mounts[i].block].path);
	pl_blocks_free(blocks);
	if (*ret)
		return 0;
	r = pl_fail(err, -EISDIR, "no block device is mounted on the folder '%s'", path);
	pl_hint(err, "name a device, an image, or the folder on which one is mounted");
	return r;
}

static int
open_place(const char *name, const char *format, unsigned flags, struct pl_parents *given,
	   struct pl_place **ret, struct platter_error *err)
{
	PL_AUTOFREE char *device = NULL;
	struct stat st;
	int r;

	if (stat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
		/* A folder may be an image as a whole. */
		if (pl_place_open_given(name, format, flags, given, ret, NULL) == 0)
			return 0;
		r = device_of_folder(name, &device, err);
		return r < 0 ? r : pl_place_open(device, "raw", flags, ret, err);
	}
	/* What a device holds is on it, also if an image was written there. */
	if (!format && stat(name, &st) == 0 && S_ISBLK(st.st_mode))
		format = "raw";
	r = pl_place_open_given(name, format, flags, given, ret, err);
	/* That it is encrypted can be told without its key. */
	if ((r == -ENOKEY || r == -EKEYREJECTED) && !format &&
	    pl_place_open(name, "raw", flags, ret, NULL) == 0)
		return 0;
	return r;
}

int
pl_explain(const char *name, const char *format, unsigned flags, struct pl_parents *given,
	   struct platter_explanation **ret, struct platter_error *err)
{
	struct owned *owned = calloc(1, sizeof *owned);
	struct pl_place *place = NULL;
	struct origin o = { .arena = owned ? &owned->arena : NULL };
	int r;

	if (!owned)
		return pl_no_memory(err);
	o.e = &owned->explanation;
	o.clues.arena = o.arena;
	o.e->place = pl_arena_strdup(o.arena, name);
	r = open_place(name, format, flags, given, &place, err);
	if (r == 0) {
		r = explain_place(&o, place, err);
		pl_place_close(place);
	}
	if (r == 0 && o.arena->failed)
		r = pl_no_memory(err);
	if (o.inventory.blocks)
		pl_inventory_done(&o.inventory);
	if (r < 0)
		pl_explanation_free(o.e);
	else
		*ret = o.e;
	return r;
}

void
pl_explanation_free(struct platter_explanation *explanation)
{
	struct owned *owned =
		explanation ? pl_container_of(explanation, struct owned, explanation) : NULL;

	if (!owned)
		return;
	pl_arena_done(&owned->arena);
	free(owned);
}
