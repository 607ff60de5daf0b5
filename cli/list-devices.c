/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * list-devices.c - block devices for platter list: a tree of what stands on what, or JSON
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "commands.h"
#include "output.h"

/* In the order of the enumerations. */
static const char *const kind_names[] = { "drive",  "partition", "optical", "floppy", "loop", "nbd",
					  "mapper", "array",     "zram",    "ram",    "other" };
static const char *const nature_names[] = { "physical", "virtual", "remote", "image",
					    "derived",  "memory",  "unknown" };
static const char *const health_names[] = { "unknown", "good", "warning", "failing" };
static const char *const use_names[] = { "mount", "swap", "member", "loop", "btrfs", "held" };

static const char *const headings_of_natures[] = {
	"Physical drives:", "Virtual disks of this machine:", "Disks on the network:",
	"Disk images:",     "Made of other devices:",         "In memory:",
	"Other devices:",
};

/* How abbreviations of buses are written. */
static const struct {
	const char *bus, *text;
} bus_titles[] = {
	{ "sata", "SATA" },  { "ata", "ATA" },     { "usb", "USB" },
	{ "nvme", "NVMe" },  { "scsi", "SCSI" },   { "sas", "SAS" },
	{ "mmc", "MMC/SD" }, { "iscsi", "iSCSI" }, { "fc", "Fibre Channel" },
};

/* Lines of the tree that stands below one device. */
struct tree {
	const struct platter_device_list *list;
	struct table table;
	bool *shown; /* of each device of the list */
};

/* What a line of it is of. */
struct line {
	size_t device; /* PLATTER_NO_DEVICE: what the kernel does not show as one */
	const struct platter_partition *entry;
	const struct platter_logical_volume *volume;
	const char *disk; /* path of the disk of a partition that is no device */
};

struct lines {
	struct line *list;
	size_t nr;
};

/* `text` and `more` joined by `between`; frees `text`. */
static char *
joined(char *text, const char *between, const char *more)
{
	char *both = text_of("%s%s%s", text, *text && *more ? between : "", more);

	free(text);
	return both;
}

static void
add_line(struct lines *l, struct line line)
{
	l->list = grown(l->list, l->nr + 1, sizeof *l->list);
	l->list[l->nr++] = line;
}

/* The partition of `disk` that the kernel made of an entry of its table. */
static size_t
device_of_entry(const struct platter_device_list *list, size_t disk,
		const struct platter_partition *entry)
{
	const struct platter_device *d = &list->devices[disk];

	for (size_t i = 0; i < d->nr_children; i++)
		if (list->devices[d->children[i]].entry == entry)
			return d->children[i];
	return PLATTER_NO_DEVICE;
}

static bool
is_shown_entry(const struct platter_partition *p)
{
	return p->role != PLATTER_PARTITION_META && p->role != PLATTER_PARTITION_FREE;
}

/* Logical volumes of a physical volume that are not active. */
static void
add_volumes(struct lines *lines, const struct platter_content *contents, size_t nr)
{
	for (size_t i = 0; nr && i < contents[0].nr_volumes; i++)
		add_line(lines, (struct line){ .device = PLATTER_NO_DEVICE,
					       .volume = &contents[0].volumes[i] });
}

/* What stands below a device in the tree: the partitions of its table, then what stands on it. */
static struct lines
lines_below(const struct platter_device_list *list, size_t index)
{
	const struct platter_device *d = &list->devices[index];
	const struct platter_table *t =
		d->description && d->description->nr_tables ? d->description->tables : NULL;
	struct lines lines = { 0 };

	for (size_t i = 0; t && i < t->nr_partitions; i++)
		if (is_shown_entry(&t->partitions[i]))
			add_line(&lines, (struct line){ .device = device_of_entry(
								list, index, &t->partitions[i]),
							.entry = &t->partitions[i],
							.disk = d->path });
	for (size_t i = 0; i < d->nr_children; i++) {
		const struct platter_device *child = &list->devices[d->children[i]];

		if (!t || !child->entry || child->entry < t->partitions ||
		    child->entry >= t->partitions + t->nr_partitions)
			add_line(&lines, (struct line){ .device = d->children[i] });
	}
	if (!d->nr_children)
		add_volumes(&lines, d->contents, d->nr_contents);
	return lines;
}

static struct lines
lines_below_line(const struct platter_device_list *list, const struct line *l)
{
	struct lines lines = { 0 };

	if (l->device != PLATTER_NO_DEVICE)
		return lines_below(list, l->device);
	if (l->entry)
		add_volumes(&lines, l->entry->contents, l->entry->nr_contents);
	return lines;
}

/* "on /, /home", "swap". */
static char *
use_text(const struct platter_device *d)
{
	char *text = text_of("%s", d->swap ? "swap" : "");

	for (size_t i = 0; i < d->nr_mounts; i++)
		text = joined(text, ", ", d->mounts[i]);
	if (d->nr_mounts) {
		AUTOFREE char *points = text;

		text = text_of("on %s", points);
	}
	return text;
}

static char *
type_text(const struct line *l, const struct platter_device *d)
{
	if (l->entry && strcmp(l->entry->type_name, "unknown type") != 0)
		return text_of("%s", l->entry->type_name);
	if (l->entry)
		return text_of("unknown type %s", l->entry->type);
	if (l->volume)
		return text_of("logical volume, not active");
	return text_of("%s%s%s", d->type, *d->state ? ", " : "", d->state);
}

static char *
name_text(const struct line *l, const struct platter_device *d)
{
	if (d)
		return text_of("%s", d->path);
	if (l->volume)
		return text_of("%s", *l->volume->place ? l->volume->place : l->volume->name);
	return text_of("%s@%" PRIu32, l->disk, l->entry->number);
}

static void
add_row(struct tree *tree, const struct line *l, const char *branch, bool again)
{
	const struct platter_device *d =
		l->device == PLATTER_NO_DEVICE ? NULL : &tree->list->devices[l->device];
	AUTOFREE char *name = name_text(l, d), *type = type_text(l, d),
		      *use = d ? use_text(d) : text_of("%s", "");
	AUTOFREE char *contents =
		l->volume  ? contents_text(l->volume->contents, l->volume->nr_contents)
		: l->entry ? contents_text(l->entry->contents, l->entry->nr_contents)
			   : contents_text(d->contents, d->nr_contents);

	table_cell(&tree->table, "%s%s", branch, name);
	table_cell(&tree->table, "%s",
		   size_text(l->entry    ? l->entry->length
			     : l->volume ? l->volume->size
					 : d->size)
			   .text);
	table_cell(&tree->table, "%s", again ? "as above" : type);
	table_cell(&tree->table, "%s", l->entry && !again ? l->entry->name : "");
	table_cell(&tree->table, "%s", again ? "" : contents);
	table_cell(&tree->table, "%s", again ? "" : use);
	table_cell(&tree->table, "%s", d && !again ? d->problem : "");
}

/* `before`: what stands in front of each line; what is below its lines goes on from there. */
static void
add_rows(struct tree *tree, struct lines lines, const char *before)
{
	bool utf8 = locale_is_utf8();

	for (size_t i = 0; i < lines.nr; i++) {
		const struct line *l = &lines.list[i];
		bool last = i + 1 == lines.nr;
		bool again = l->device != PLATTER_NO_DEVICE && tree->shown[l->device];
		AUTOFREE char *branch = text_of("%s%s", before,
						last   ? (utf8 ? "└─" : "`-")
						: utf8 ? "├─"
						       : "|-");
		AUTOFREE char *further = text_of("%s%s", before, last ? "  " : utf8 ? "│ " : "| ");

		add_row(tree, l, branch, again);
		if (again)
			continue;
		if (l->device != PLATTER_NO_DEVICE)
			tree->shown[l->device] = true;
		add_rows(tree, lines_below_line(tree->list, l), further);
	}
	free(lines.list);
}

static const char *
bus_title(const char *bus)
{
	for (size_t i = 0; i < ARRAY_SIZE(bus_titles); i++)
		if (!strcmp(bus_titles[i].bus, bus))
			return bus_titles[i].text;
	return bus;
}

/* "SATA, rotating, serial number S5Y1, firmware SVT01, read-only". */
static char *
details_text(const struct platter_device *d)
{
	char *text = text_of("%s", bus_title(d->bus));

	if (d->rotational_known && *d->bus)
		text = joined(text, ", ", d->rotational ? "rotating" : "solid state");
	if (*d->serial) {
		AUTOFREE char *serial = text_of("serial number %s", d->serial);

		text = joined(text, ", ", serial);
	}
	if (*d->firmware) {
		AUTOFREE char *firmware = text_of("firmware %s", d->firmware);

		text = joined(text, ", ", firmware);
	}
	if (d->sector_size > 512 || d->physical_sector_size > d->sector_size) {
		AUTOFREE char *sectors = text_of("sectors of %" PRIu32 " bytes, physical %" PRIu32,
						 d->sector_size, d->physical_sector_size);

		text = joined(text, ", ", sectors);
	}
	if (d->removable)
		text = joined(text, ", ", "removable");
	if (d->read_only)
		text = joined(text, ", ", "read-only");
	return text;
}

static void
say_health(const struct platter_drive_health *h)
{
	AUTOFREE char *text = text_of("health: %s%s%s", health_names[h->health],
				      *h->reason ? ", " : "", h->reason);

	if (h->temperature != INT32_MIN) {
		AUTOFREE char *before = text;

		text = text_of("%s, %d degrees Celsius", before, h->temperature);
	}
	if (h->power_on_hours != UINT64_MAX) {
		AUTOFREE char *before = text;

		text = text_of("%s, on for %" PRIu64 " hours", before, h->power_on_hours);
	}
	if (h->health != PLATTER_HEALTH_UNKNOWN)
		say(stdout, "    %s", text);
}

/* What is directly on it: a table, file systems beside or instead, and its use as a whole. */
static void
say_contents(const struct platter_device *d)
{
	AUTOFREE char *use = use_text(d), *contents = contents_text(d->contents, d->nr_contents);
	const struct platter_table *t =
		d->description && d->description->nr_tables ? d->description->tables : NULL;

	if (t)
		say(stdout, "    %s", t->longname);
	if (*contents)
		say(stdout, "    %s %s", t ? "its start can also be read as" : "holds", contents);
	else if (!t && d->examined && d->kind != PLATTER_DEVICE_OPTICAL)
		say(stdout, "    holds nothing that platter knows");
	if (*use)
		say(stdout, "    in use: %s", use);
}

void
say_disc_contents(const struct platter_device_list *list, const char *address)
{
	for (size_t i = 0; i < list->nr_devices; i++)
		if (list->devices[i].kind == PLATTER_DEVICE_OPTICAL &&
		    !strcmp(list->devices[i].path, address))
			say_contents(&list->devices[i]);
}

static void
say_device(struct tree *tree, size_t index)
{
	static const char *const headings[] = { "", ">", "", "", "", "", "" };
	const struct platter_device *d = &tree->list->devices[index];
	AUTOFREE char *details = details_text(d);
	AUTOFREE char *who = *d->backing ? text_of("image %s", d->backing)
			     : *d->model
				     ? text_of("%s%s%s", d->vendor, *d->vendor ? " " : "", d->model)
				     : text_of("%s%s%s", d->type, *d->state ? ", " : "", d->state);

	tree->shown[index] = true;
	say(stdout, "  %s  %s  %s", d->path, size_text(d->size).text,
	    d->attached ? who : "nothing is attached");
	if (*details)
		say(stdout, "    %s", details);
	if (d->health)
		say_health(d->health);
	if (*d->problem)
		say(stdout, "    cannot be examined: %s", d->problem);
	say_contents(d);
	table_init(&tree->table, headings, ARRAY_SIZE(headings));
	add_rows(tree, lines_below(tree->list, index), "");
	table_print(&tree->table, stdout, "    ");
}

static bool
is_device_at(const struct platter_device *d, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) && major(st.st_rdev) == d->major &&
	       minor(st.st_rdev) == d->minor;
}

/* What stands on nothing else, or of those that were named, the named. */
static bool
is_root(const struct platter_device_list *list, size_t index, const char *const *paths, size_t nr)
{
	const struct platter_device *d = &list->devices[index];

	for (size_t i = 0; i < nr; i++)
		if (is_device_at(d, paths[i]))
			return true;
	return !nr && !d->nr_parents && d->attached && d->kind != PLATTER_DEVICE_OPTICAL;
}

/* "Nothing is attached to 8 loop devices." */
static void
say_unattached(const struct platter_device_list *list)
{
	static const struct {
		enum platter_device_kind kind;
		const char *one, *many;
	} kinds[] = {
		{ PLATTER_DEVICE_LOOP, "loop device", "loop devices" },
		{ PLATTER_DEVICE_NBD, "network block device", "network block devices" },
		{ PLATTER_DEVICE_ZRAM, "compressed memory", "compressed memories" },
		{ PLATTER_DEVICE_RAM, "memory disk", "memory disks" },
		{ PLATTER_DEVICE_FLOPPY, "floppy drive", "floppy drives" },
		{ PLATTER_DEVICE_DRIVE, "drive without a medium", "drives without media" },
	};
	char *text = text_of("%s", "");

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		size_t nr = 0;

		for (size_t i = 0; i < list->nr_devices; i++)
			nr += list->devices[i].kind == kinds[k].kind && !list->devices[i].attached;
		if (nr)
			text = joined(text, ", ", count_text(nr, kinds[k].one, kinds[k].many).text);
	}
	if (*text)
		say(stdout, "Nothing is in %s.", text);
	free(text);
}

/* With an empty line above all but the first. */
static void
say_heading(const char *text, bool *any)
{
	if (*any)
		putchar('\n');
	say(stdout, "%s", text);
	*any = true;
}

void
say_devices(const struct platter_device_list *list, const char *const *paths, size_t nr)
{
	struct tree tree = { .list = list };
	bool any = false;

	tree.shown = grown(NULL, list->nr_devices + 1, sizeof *tree.shown);
	memset(tree.shown, 0, list->nr_devices + 1);
	for (size_t n = 0; n < ARRAY_SIZE(headings_of_natures); n++) {
		bool titled = false;

		for (size_t i = 0; i < list->nr_devices; i++) {
			if (list->devices[i].nature != (enum platter_device_nature)n ||
			    !is_root(list, i, paths, nr))
				continue;
			if (!titled)
				say_heading(headings_of_natures[n], &any);
			titled = true;
			say_device(&tree, i);
		}
	}
	if (!nr)
		say_unattached(list);
	free(tree.shown);
}

static json_t *
json_paths(const struct platter_device_list *list, const size_t *indexes, size_t nr)
{
	json_t *array = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(array, json_text(list->devices[indexes[i]].path));
	return array;
}

static json_t *
json_uses(const struct platter_device *d)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->nr_uses; i++) {
		const struct platter_device_use *u = &d->uses[i];
		json_t *one = json_object();

		json_put(one, "kind", json_text(use_names[u->kind]));
		json_put(one, "device", json_text(u->device));
		json_put(one, "user", json_text(*u->user ? u->user : NULL));
		json_put(one, "text", json_text(u->text));
		json_put(one, "release", json_text(*u->release ? u->release : NULL));
		json_put(one, "system", json_boolean(u->system));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_health(const struct platter_drive_health *h)
{
	json_t *one;

	if (!h)
		return json_null();
	one = json_object();
	json_put(one, "state", json_text(health_names[h->health]));
	json_put(one, "reason", json_text(*h->reason ? h->reason : NULL));
	json_put(one, "reallocated", json_number(h->reallocated));
	json_put(one, "pending", json_number(h->pending));
	json_put(one, "uncorrectable", json_number(h->uncorrectable));
	json_put(one, "power_on_hours", json_number(h->power_on_hours));
	json_put(one, "temperature",
		 h->temperature == INT32_MIN ? json_null() : json_integer(h->temperature));
	json_put(one, "percent_used", json_number(h->percent_used));
	return one;
}

static json_t *
json_known(const char *text)
{
	return json_text(*text ? text : NULL);
}

static json_t *
json_sectors(uint32_t size)
{
	return size ? json_number(size) : json_null();
}

static json_t *
json_device(const struct platter_device_list *list, size_t index)
{
	const struct platter_device *d = &list->devices[index];
	json_t *one = json_object(), *mounts = json_array();

	for (size_t i = 0; i < d->nr_mounts; i++)
		json_array_append_new(mounts, json_text(d->mounts[i]));
	json_put(one, "path", json_text(d->path));
	json_put(one, "name", json_text(d->name));
	json_put(one, "by_id", json_known(d->by_id));
	json_put(one, "major", json_number(d->major));
	json_put(one, "minor", json_number(d->minor));
	json_put(one, "kind", json_text(kind_names[d->kind]));
	json_put(one, "nature", json_text(nature_names[d->nature]));
	json_put(one, "type", json_text(d->type));
	json_put(one, "attached", json_boolean(d->attached));
	json_put(one, "size", json_number(d->size));
	json_put(one, "start", d->partition ? json_number(d->start) : json_null());
	json_put(one, "partition", d->partition ? json_number(d->partition) : json_null());
	json_put(one, "sector_size", json_sectors(d->sector_size));
	json_put(one, "physical_sector_size", json_sectors(d->physical_sector_size));
	json_put(one, "bus", json_known(d->bus));
	json_put(one, "vendor", json_known(d->vendor));
	json_put(one, "model", json_known(d->model));
	json_put(one, "serial", json_known(d->serial));
	json_put(one, "wwn", json_known(d->wwn));
	json_put(one, "firmware", json_known(d->firmware));
	json_put(one, "rotational",
		 d->rotational_known ? json_boolean(d->rotational) : json_null());
	json_put(one, "removable", json_boolean(d->removable));
	json_put(one, "read_only", json_boolean(d->read_only));
	json_put(one, "backing", json_known(d->backing));
	json_put(one, "state", json_known(d->state));
	json_put(one, "parents", json_paths(list, d->parents, d->nr_parents));
	json_put(one, "children", json_paths(list, d->children, d->nr_children));
	json_put(one, "mounts", mounts);
	json_put(one, "swap", json_boolean(d->swap));
	json_put(one, "uses", json_uses(d));
	json_put(one, "examined", json_boolean(d->examined));
	json_put(one, "entry", d->entry ? json_partition(d->entry) : json_null());
	json_put(one, "tables", d->description ? json_tables(d->description) : json_array());
	json_put(one, "contents", json_contents(d->contents, d->nr_contents));
	json_put(one, "health", json_health(d->health));
	json_put(one, "problem", json_known(d->problem));
	return one;
}

/* Those that were named, and what stands on them; all if none was. */
static bool
is_listed(const struct platter_device_list *list, size_t index, const char *const *paths, size_t nr)
{
	const struct platter_device *d = &list->devices[index];

	for (size_t i = 0; i < nr; i++)
		if (is_device_at(d, paths[i]))
			return true;
	for (size_t i = 0; i < d->nr_parents && nr; i++)
		if (is_listed(list, d->parents[i], paths, nr))
			return true;
	return !nr;
}

void
print_device_paths(const struct platter_device_list *list, const char *const *paths, size_t nr)
{
	for (size_t i = 0; i < list->nr_devices; i++)
		if (list->devices[i].attached && is_listed(list, i, paths, nr))
			say(stdout, "%s", list->devices[i].path);
}

json_t *
json_devices(const struct platter_device_list *list, const char *const *paths, size_t nr)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->nr_devices; i++)
		if (is_listed(list, i, paths, nr))
			json_array_append_new(array, json_device(list, i));
	return array;
}
