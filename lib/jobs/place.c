/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * place.c - opening what a user names: PATH[?options][@partition[/volume][?options]][:/path]...
 *
 * A path is the longest part before a '?', '@' or ":/" that names a file, so that names with
 * these characters work as they are; the same goes for paths inside.  What is stored inside
 * a partition or a file system is opened as an image only where the place says so, by its
 * format or by naming something in it, and never with files beside it: the guest that filled
 * the disk must not choose which files its host opens.
 */
#include "place.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#include "content.h"
#include "format.h"
#include "group.h"
#include "scheme.h"
#include "storage.h"
#include "text.h"
#include "tree.h"
#include "volumes.h"

/* Two paths' worth: longer ones are mistakes, and each '@' costs a look at the file system. */
#define MAX_PLACE_BYTES 8191

/* Partitions that a message lists before it only counts them. */
#define MAX_LISTED 16

struct element {
	const char *select;   /* what follows '@'; NULL: the file itself */
	const char *format;   /* or NULL */
	const char *snapshot; /* or NULL */
	const char *disk;     /* or NULL: one of several that an image may hold */
	const char *fs;       /* or NULL: which of the file systems that are on it */
	const char *map;      /* or NULL: the mapfile of what could not be read; "none": none is */
	bool no_backing;
	bool is_inside;       /* a file inside, which is on the stack already */
	bool leads_to_volume; /* what follows is in the file system on it */
	int end;              /* the place up to here names this element */
	/* A snapshot that the image does not have, and so is sought in its file system: */
	bool of_volume;
	struct platter_error not_in_image;
};

struct parsed {
	char *text; /* cut into the strings of all elements */
	const char *path;
	char *inside;              /* of a folder at `path`: the file that stands for it, or NULL */
	const char *folder_format; /* and what such a folder is, whatever that file looks like */
	struct element elements[PL_PLACE_MAX_ELEMENTS];
	size_t nr_elements;
	char *tail; /* what follows ':', from '/' on; NULL: nothing */
};

static bool
holds(const char *folder, const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", folder, name);
	struct stat st;

	return path && stat(path, &st) == 0;
}

/* The file that stands for a folder which is a disk as a whole, as a format says. */
static char *
file_of_bundle(const char *folder, const char **ret_format)
{
	for (size_t i = 0; pl_formats[i]; i++) {
		const struct pl_bundle *b = &pl_formats[i]->bundle;

		if (b->file && holds(folder, b->file) && (!b->also || holds(folder, b->also))) {
			*ret_format = pl_formats[i]->info.name;
			return pl_format("%s/%s", folder, b->file);
		}
	}
	return NULL;
}

static bool
is_bundle(const char *folder)
{
	const char *format;
	PL_AUTOFREE char *file = file_of_bundle(folder, &format);

	return file;
}

/* Is the start of `place` a file's name?  Other folders count only as the whole place. */
static bool
names_file(const char *place, size_t n)
{
	PL_AUTOFREE char *path = strndup(place, n);
	struct stat st;

	if (!path || !n)
		return false;
	if (strcmp(path, "-") == 0)
		return true;
	return stat(path, &st) == 0 && (!place[n] || !S_ISDIR(st.st_mode) || is_bundle(path));
}

/* "http" of "http://...", "repo" of "repo:..."; NULL if there is no such prefix. */
static char *
scheme_of(const char *place)
{
	size_t n = 0;

	while (isalnum((unsigned char)place[n]) || (n && strchr("+.-", place[n]) && place[n]))
		n++;
	if (n < 2 || !isalpha((unsigned char)place[0]))
		return NULL;
	if (strncmp(place + n, "://", 3) != 0 && strncmp(place, "repo:", 5) != 0)
		return NULL;
	return strndup(place, n);
}

static int
no_such_file(const char *place, struct platter_error *err)
{
	PL_AUTOFREE char *scheme = scheme_of(place);
	size_t n = strcspn(place, "?@");
	struct stat st;

	if (scheme)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' places are not supported by this build", scheme);
	if (stat(place, &st) < 0 && errno != ENOENT && errno != ENOTDIR)
		return pl_fail_errno(err, -errno, "open '%s'", place);
	if (!place[n] || !n)
		return pl_fail(err, -ENOENT, "no file '%s'", place);
	return pl_fail(err, -ENOENT, "no file '%s', nor one called '%.*s'", place, (int)n, place);
}

/* May a path end before `text`? */
static bool
ends_path(const char *text)
{
	return !text[0] || text[0] == '?' || text[0] == '@' || (text[0] == ':' && text[1] == '/');
}

/* Length of the path that `place` begins with. */
static int
find_path(const char *place, size_t *ret, struct platter_error *err)
{
	size_t n = strlen(place);

	if (!n)
		return pl_invalid(err, "the name of the disk is empty");
	if (n > MAX_PLACE_BYTES)
		return pl_invalid(err, "the name of the disk has %zu bytes, limit is %d", n,
				  MAX_PLACE_BYTES);
	for (size_t i = n; i > 0; i--)
		if (ends_path(place + i) && names_file(place, i)) {
			*ret = i;
			return 0;
		}
	return no_such_file(place, err);
}

static int
parse_option(struct element *e, char *option, struct platter_error *err)
{
	char *value = strchr(option, '=');
	int r;

	if (value && value[1])
		*value++ = '\0';
	else
		value = NULL;
	if (value && strcmp(option, "format") == 0) {
		e->format = value;
		return 0;
	}
	if (value && strcmp(option, "snapshot") == 0) {
		e->snapshot = value;
		return 0;
	}
	if (value && strcmp(option, "disk") == 0) {
		e->disk = value;
		return 0;
	}
	if (value && strcmp(option, "fs") == 0) {
		e->fs = value;
		return 0;
	}
	if (value && strcmp(option, "map") == 0) {
		e->map = value;
		return 0;
	}
	if (value && strcmp(option, "backing") == 0) {
		e->no_backing = strcmp(value, "no") == 0;
		if (e->no_backing || strcmp(value, "yes") == 0)
			return 0;
		return pl_invalid(err, "backing is 'yes' or 'no', not '%s'", value);
	}
	r = value ? pl_invalid(err, "unknown option '%s'", option)
		  : pl_invalid(err, "option '%s' is not of the form KEY=VALUE", option);
	pl_hint(err, "options are format=NAME, snapshot=NAME, disk=NAME, fs=NAME, map=FILE and "
		     "backing=no, with '&' between them");
	return r;
}

/* `text` is "KEY=VALUE&..." */
static int
parse_options(struct element *e, char *text, struct platter_error *err)
{
	int r = 0;

	while (text && r == 0) {
		char *option = strsep(&text, "&");

		r = parse_option(e, option, err);
	}
	return r;
}

/*
 * One element, [SELECTOR][?OPTIONS], cut off the front of *rest; one without a selector is the
 * file that came before.  Afterwards *rest is what follows the next '@', or NULL.
 */
static int
parse_element(struct parsed *p, bool selects, char **rest, struct platter_error *err)
{
	struct element *e = &p->elements[p->nr_elements];
	char *text = strsep(rest, "@"), *options = text;
	int r;

	*e = (struct element){ .end = (int)(text + strlen(text) - p->text) };
	text = strsep(&options, "?");
	if (selects && !text[0])
		return pl_invalid(err, "no partition is named after '@'");
	if (selects)
		e->select = text;
	p->nr_elements++;
	r = parse_options(e, options, err);
	if (r == 0 && e->select && !e->format && (e->disk || e->no_backing)) {
		r = pl_invalid(err, "options of partition '%s' need its format", text);
		pl_hint(err, "a partition's content is opened as an image with ?format=NAME only");
	}
	return r;
}

static void
parsed_done(struct parsed *p)
{
	free(p->text);
	free(p->inside);
}

/* Cut `text`, "[?OPTIONS][@SELECTOR[?OPTIONS]]...[:/PATH...]", into elements. */
static int
parse_elements(struct parsed *p, char *text, struct platter_error *err)
{
	char *tail = strstr(text, ":/"), *rest = text;
	bool selects = false;
	int r = 0;

	p->tail = tail ? tail + 1 : NULL;
	if (tail)
		*tail = '\0';
	for (; rest && r == 0; selects = true) {
		if (p->nr_elements == PL_PLACE_MAX_ELEMENTS)
			r = pl_invalid(err, "more than %d elements in a place",
				       PL_PLACE_MAX_ELEMENTS);
		else
			r = parse_element(p, selects, &rest, err);
	}
	return r;
}

static int
parse(const char *place, struct parsed *ret, struct platter_error *err)
{
	size_t n = 0;
	int r = find_path(place, &n, err);

	if (r < 0)
		return r;
	/* The path keeps a place of its own, so that the rest can be cut where it stands. */
	ret->text = malloc(strlen(place) + 1 + n + 1);
	if (!ret->text)
		return pl_no_memory(err);
	strcpy(ret->text, place);
	ret->path = memcpy(ret->text + strlen(place) + 1, place, n);
	ret->text[strlen(place) + 1 + n] = '\0';
	if (strcmp(ret->path, "-") != 0)
		ret->inside = file_of_bundle(ret->path, &ret->folder_format);
	r = parse_elements(ret, ret->text + n, err);
	if (r < 0)
		pl_context(err, "'%s'", place);
	return r;
}

/* Names for types that no table spells alike: a GPT's GUID, an MBR's byte, an APM's text. */
static const struct {
	const char *word;
	const char *types[4];
} short_types[] = {
	{ "efi", { "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef" } },
	{ "esp", { "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef" } },
	{ "swap", { "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "82" } },
	{ "home", { "933AC7E1-2EB4-4F13-B844-0E14E2AEF915" } },
	{ "lvm", { "E6D6D379-F507-44C2-A23C-238F2A3DF928", "8e" } },
	{ "raid", { "A19D880F-05FC-4D3B-A006-743F0F84911E", "fd" } },
	{ "bios", { "21686148-6449-6E6F-744E-656564454649" } },
	{ "msr", { "E3C9E316-0B5C-4DB8-817D-F92DF00215AE" } },
	{ "recovery", { "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "27" } },
	{ "hfs", { "48465300-0000-11AA-AA11-00306543ECAC", "af", "Apple_HFS" } },
	{ "apfs", { "7C3457EF-0000-11AA-AA11-00306543ECAC", "Apple_APFS" } },
};

static bool
is_type(const struct platter_partition *p, const char *select)
{
	if (strcasecmp(select, p->type_name) == 0 || strcasecmp(select, p->type) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(short_types); i++)
		for (size_t j = 0; j < ARRAY_SIZE(short_types[i].types); j++)
			if (short_types[i].types[j] &&
			    strcasecmp(short_types[i].word, select) == 0 &&
			    strcasecmp(short_types[i].types[j], p->type) == 0)
				return true;
	return false;
}

/* Does what the partition begins with carry this label or UUID? */
static bool
has_content(struct pl_disk *disk, const struct platter_partition *p, const char *select)
{
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	struct pl_arena arena = { 0 };
	const struct platter_content *contents;
	bool found = false;
	size_t nr;

	if (pl_slice_new(disk, p->offset, p->length, disk->name, &slice, NULL) < 0)
		return false;
	if (pl_contents_identify(slice, &arena, &contents, &nr, NULL) == 0)
		for (size_t i = 0; i < nr && !found; i++)
			found = strcasecmp(select, contents[i].label) == 0 ||
				strcasecmp(select, contents[i].uuid) == 0;
	pl_arena_done(&arena);
	return found;
}

static bool
is_called(struct pl_disk *disk, const struct platter_partition *p, const char *select)
{
	return strcasecmp(select, p->name) == 0 || strcasecmp(select, p->uuid) == 0 ||
	       has_content(disk, p, select);
}

/* "1 'EFI system partition', 2 Linux filesystem, ..." of those in `wanted` (NULL: of all). */
static char *
list(const struct platter_table *t, const bool *wanted)
{
	struct pl_str s = { 0 };
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_partitions; i++) {
		const struct platter_partition *p = &t->partitions[i];

		if (!p->number || (wanted && !wanted[i]))
			continue;
		if (++nr > MAX_LISTED)
			continue;
		if (p->name[0])
			pl_str_addf(&s, "%s%" PRIu32 " '%s'", nr > 1 ? ", " : "", p->number,
				    p->name);
		else
			pl_str_addf(&s, "%s%" PRIu32 " %s", nr > 1 ? ", " : "", p->number,
				    p->type_name);
	}
	if (nr > MAX_LISTED)
		pl_str_addf(&s, " and %zu more", nr - MAX_LISTED);
	if (!nr)
		pl_str_add(&s, "none");
	return s.text;
}

/* The one partition that `select` names, or an error that says which there are. */
static int
select_partition(struct pl_disk *disk, const struct platter_table *t, const char *select,
		 const struct platter_partition **ret, struct platter_error *err)
{
	PL_AUTOFREE bool *matches = calloc(t->nr_partitions + 1, sizeof *matches);
	PL_AUTOFREE char *names = NULL;
	size_t nr = 0, length = strlen(select);
	int r;

	if (!matches)
		return pl_no_memory(err);
	if (length < 10 && strspn(select, "0123456789") == length)
		for (size_t i = 0; i < t->nr_partitions; i++)
			if (t->partitions[i].number &&
			    t->partitions[i].number == strtoul(select, NULL, 10)) {
				*ret = &t->partitions[i];
				return 0;
			}
	/* What a partition is called goes before what kind it is. */
	for (int by_type = 0; by_type < 2 && !nr; by_type++)
		for (size_t i = 0; i < t->nr_partitions; i++) {
			const struct platter_partition *p = &t->partitions[i];

			if (p->role == PLATTER_PARTITION_META || p->role == PLATTER_PARTITION_FREE)
				continue;
			matches[i] = by_type ? is_type(p, select) : is_called(disk, p, select);
			nr += matches[i];
			if (matches[i])
				*ret = p;
		}
	if (nr == 1)
		return 0;
	names = list(t, nr ? matches : NULL);
	if (nr) {
		r = pl_invalid(err, "'%s' could be any of the partitions %s of '%s'", select,
			       names ? names : "", disk->name);
		pl_hint(err, "name the partition by its number");
	} else {
		r = pl_fail(err, -ENOENT, "no partition '%s' on '%s'", select, disk->name);
		pl_hint(err, "the partitions are %s", names ? names : "");
	}
	return r;
}

/* Put `disk`, whose reference is taken over, on top of the stack. */
static void
push(struct pl_place *place, struct pl_disk *disk)
{
	place->layers[place->nr_layers++] = disk;
	pl_disk_unref(place->disk);
	place->disk = pl_disk_ref(disk);
}

/* Put partition `select` of what is on top there, as a disk called `name`. */
static int
push_partition(struct pl_place *place, const char *select, const char *name,
	       struct platter_error *err)
{
	struct pl_disk *disk = place->disk, *slice;
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	const struct platter_partition *p;
	const struct platter_table *tables;
	size_t nr;
	int r;

	if (disk->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "partitions of a stream cannot be opened");
		pl_hint(err, "save the stream as a file first");
		return r;
	}
	r = pl_tables_read(disk, place->flags, &arena, &tables, &nr, &facts, err);
	if (r == 0 && !nr) {
		r = pl_fail(err, -ENOENT, "'%s' has no partition table", disk->name);
		if (facts.list.nr_warnings)
			pl_hint(err, "%s", facts.list.warnings[0]);
	}
	if (r == 0)
		r = select_partition(disk, &tables[0], select, &p, err);
	if (r == 0)
		r = pl_slice_new(disk, p->offset, p->length, name, &slice, err);
	if (r == 0) {
		place->partition[place->nr_layers] = p->number;
		push(place, slice);
	}
	pl_arena_done(&arena);
	return r;
}

/*
 * Put logical volume `select` of the volume group on top there, as a disk called `name`.
 * *ret_none: there is no group.
 */
static int
push_logical(struct pl_place *place, const char *select, const char *name, bool *ret_none,
	     struct platter_error *err)
{
	struct pl_disk *disk;
	struct pl_group *g;
	size_t index;
	int r = pl_group_open(place->disk, place->flags, &g, err);

	*ret_none = r == -ENOENT;
	if (r == -ENOENT)
		return pl_fail(err, r,
			       "'%s' is no physical volume, and so has no logical volume '%s'",
			       place->disk->name, select);
	if (r < 0)
		return r;
	r = pl_group_find(g, select, &index, err);
	if (r == 0)
		r = pl_group_open_logical(g, index, name, &disk, err);
	if (r == 0) {
		place->is_logical[place->nr_layers] = true;
		push(place, disk);
	}
	pl_group_close(g);
	return r;
}

/*
 * What follows an '@': a partition, a logical volume of one as "2/root" or "2/group/root", or
 * where the disk is a physical volume itself, "root", "group/root" or "/group/root".
 */
static int
push_selected(struct pl_place *place, const char *select, const char *name,
	      struct platter_error *err)
{
	const char *slash = strchr(select, '/');
	PL_AUTOFREE char *partition = slash ? strndup(select, (size_t)(slash - select)) : NULL;
	PL_AUTOFREE char *below = slash ? strndup(name, strlen(name) - strlen(slash)) : NULL;
	int r = slash == select ? -ENOENT : push_partition(place, select, name, err);
	struct platter_error why = PLATTER_ERROR_INIT;
	bool no_group;
	int logical;

	if (r != -ENOENT)
		return r;
	logical = push_logical(place, select, name, &no_group, &why);
	if (!no_group || slash == select) {
		if (logical < 0 && err)
			*err = why;
		return logical;
	}
	if (!slash)
		return r;
	if (!partition || !below)
		return pl_no_memory(err);
	r = push_partition(place, partition, below, err);
	return r < 0 ? r : push_logical(place, slash + 1, name, &no_group, err);
}

/* Of a disk no file system is looked into, and so no snapshot of one can be meant. */
static void
hint_volume(const char *snapshot, struct platter_error *err)
{
	pl_hint(err, "a snapshot of the file system shows its files: PLACE?snapshot=%.200s:/PATH",
		snapshot);
}

/* Open what is on top as an image; what it has no snapshot of, its file system may have. */
static int
open_image(struct pl_place *place, struct element *e, const char *path, const char *format,
	   struct pl_parents *given, struct pl_disk **ret, struct platter_error *err)
{
	unsigned flags = place->flags | (e->no_backing ? PLATTER_OPEN_NO_BACKING : 0);
	struct pl_parents fresh = given ? *given : (struct pl_parents){ 0 };
	int r = pl_image_open_given(place->disk, path, format, e->snapshot, e->disk, flags, given,
				    ret, &e->not_in_image);

	if ((r == -ENOENT || r == -ENOTSUP) && e->snapshot && e->leads_to_volume) {
		if (given)
			*given = fresh;
		e->of_volume = pl_image_open_given(place->disk, path, format, NULL, e->disk, flags,
						   given, ret, NULL) == 0;
	}
	if (e->of_volume)
		return 0;
	if (r == -ENOENT && e->snapshot && !e->not_in_image.hint[0])
		hint_volume(e->snapshot, &e->not_in_image);
	if (r < 0 && err)
		*err = e->not_in_image;
	return r;
}

/* Put what wraps `image` between it and its file on top. */
static void
push_wrapper(struct pl_place *place, struct pl_disk *image)
{
	struct pl_disk *disk = image->ops->below ? image->ops->below(image, 0) : NULL;
	const struct pl_format *format = disk ? pl_format_of(disk) : NULL;

	if (format && format->wraps)
		push(place, pl_disk_ref(disk));
}

static int
push_image(struct pl_place *place, struct element *e, const char *path, const char *format,
	   struct pl_parents *given, struct platter_error *err)
{
	struct pl_disk *below = place->disk, *image;
	int r;

	/* A stream can be looked at only once: by the one who copies it. */
	if (below->sequential) {
		if ((format && strcmp(format, "raw") != 0) || e->snapshot || e->disk)
			return pl_unsupported(err, PLATTER_NO_OFFSET,
					      "a stream can be read as raw only, not as '%s'",
					      format ? format : "an image");
		return 0;
	}
	r = open_image(place, e, path, format, given, &image, err);
	if (r < 0)
		return r;
	if (image == below) {
		pl_disk_unref(image);
		return 0;
	}
	push_wrapper(place, image);
	push(place, image);
	return 0;
}

static bool
is_disc(struct pl_disk *disk)
{
	const struct pl_format *format = pl_format_of(disk);

	return format && (format->takes == PL_TAKES_DISC || format->takes == PL_TAKES_SOUND);
}

/*
 * What a mapfile says that could not be read of the disk on top: the one that the element names, or
 * that of the image at `path`.  Who writes into an image makes it what it is from then on.
 */
static int
take_mapfile(struct pl_place *place, const struct element *e, const char *path,
	     struct platter_error *err)
{
	int r;

	if (e->map && strcmp(e->map, "none") == 0)
		return 0;
	if (e->map && (place->disk->sequential || place->flags & PLATTER_OPEN_WRITE))
		return pl_invalid(err, "%s takes no mapfile",
				  place->disk->sequential ? "a stream"
							  : "a disk that is opened for writing");
	if (!e->map && (!path || place->flags & PLATTER_OPEN_WRITE || place->disk->sequential ||
			pl_storage_is_device(place->storage)))
		return 0;
	r = pl_storage_set_lost(place->disk, path, e->map, err);
	/* That of a disc of sound counts its sectors, which an image of it need not store as they are. */
	return r == -EINVAL && !e->map && is_disc(place->disk) ? 0 : r;
}

static int
open_element(struct pl_place *place, const struct parsed *p, struct element *e, const char *format,
	     bool files, struct pl_parents *given, struct platter_error *err)
{
	const char *path = p->inside ? p->inside : p->path;
	bool is_last = e == &p->elements[p->nr_elements - 1];
	struct pl_disk *disk;
	int r;

	e->leads_to_volume = is_last && (p->tail || files);
	/* What follows names something in it, so it is an image; else it is what it is. */
	if (e->is_inside) {
		r = e->format || !is_last || p->tail || e->snapshot
			    ? push_image(place, e, NULL, e->format, NULL, err)
			    : 0;
		return r < 0 ? r : take_mapfile(place, e, NULL, err);
	}
	if (e->select) {
		PL_AUTOFREE char *name = strndup(place->name, (size_t)e->end);

		if (!name)
			return pl_no_memory(err);
		r = push_selected(place, e->select, name, err);
		if (r == 0 && e->snapshot && !e->format && !e->leads_to_volume) {
			r = pl_fail(err, -ENOENT, "'%s' has no snapshot '%s'", name, e->snapshot);
			hint_volume(e->snapshot, err);
		}
		e->of_volume = !e->format;
		if (r == 0 && e->format)
			r = push_image(place, e, NULL, e->format, NULL, err);
		return r < 0 ? r : take_mapfile(place, e, NULL, err);
	}
	if (format && e->format && strcmp(format, e->format) != 0)
		return pl_invalid(err, "'%s' is to be opened as '%s' and as '%s'", place->name,
				  e->format, format);
	r = pl_storage_open(path, place->flags, &disk, err);
	if (r < 0)
		return r;
	push(place, disk);
	place->storage = disk;
	format = e->format ? e->format : format ? format : p->folder_format;
	r = push_image(place, e, strcmp(path, "-") == 0 ? NULL : path, format, given, err);
	return r < 0 ? r : take_mapfile(place, e, p->path, err);
}

static int
not_writable(const struct pl_place *place, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(place->disk);
	int r;

	if (!format || format->info.abilities & PLATTER_CAN_WRITE)
		return pl_fail(err, -EROFS, "'%s' cannot be written", place->name);
	r = pl_fail(err, -EROFS, "'%s' cannot be written: images of format '%s' are only read",
		    place->name, format->info.name);
	pl_hint(err, "convert it to one that can, qcow2 or raw, and back afterwards");
	return r;
}

/* Neither has it: what the file system says, and if the image could have had it, what that says. */
static void
join_errors(const struct pl_place *place, const struct element *e, struct platter_error *err)
{
	const struct platter_error image = e->not_in_image;
	const struct pl_format *format = pl_format_of(place->disk);
	struct platter_error volume = *err;

	if (!image.code || !format || !format->snapshots)
		return;
	pl_fail(err, volume.code, "%.500s, nor has what is on it: %.500s", image.message,
		volume.message);
	pl_hint(err, "of the image %.240s; of what is on it %.240s", image.hint,
		volume.hint[0] ? volume.hint : "there are none");
}

/* A volume on what is on top of the stack. */
static int
open_volume(struct pl_place *place, const struct element *e, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct pl_volume *v;
	int r = pl_volumes_open(place->disk, e->fs, e->of_volume ? e->snapshot : NULL, place->flags,
				&v, &why);

	if (r < 0) {
		if (r == -ENOENT && e->of_volume)
			join_errors(place, e, &why);
		if (err)
			*err = why;
		return r;
	}
	pl_volume_unref(place->volume);
	place->volume = v;
	place->node = v->root;
	return 0;
}

/*
 * The file or folder that `tail` begins with: the longest part that names one.  Returns its
 * length, or negative errno.
 */
static int
find_inside(struct pl_place *place, const char *tail, struct platter_error *err)
{
	struct pl_volume *v = place->volume;
	size_t n = strlen(tail);
	int first = 0;

	for (size_t i = n; i > 0; i--) {
		PL_AUTOFREE char *path = NULL;
		struct platter_error why = PLATTER_ERROR_INIT;
		int r;

		if (!ends_path(tail + i))
			continue;
		path = strndup(tail, i);
		if (!path)
			return pl_no_memory(err);
		r = pl_path_find(v, v->root, path, 0, &place->node, &place->file, &why);
		if (r == 0) {
			free(place->path);
			place->path = PL_STEAL(path);
			return (int)i;
		}
		/* Of all that it could mean the shortest is most likely what was meant. */
		first = r;
		if (err)
			*err = why;
		if (r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	return first;
}

/* Put the file that was found on the stack. */
static int
push_file(struct pl_place *place, const char *name, struct platter_error *err)
{
	struct pl_disk *file;
	int r;

	if (place->file.type == PLATTER_FILE_FOLDER) {
		r = pl_fail(err, -EISDIR, "'%s' is a folder", name);
		pl_hint(err, "'platter ls' lists it, 'platter extract' copies what is in it");
		return r;
	}
	if (place->file.type != PLATTER_FILE_REGULAR)
		return pl_invalid(err, "'%s' is no regular file", name);
	if (place->flags & PLATTER_OPEN_WRITE)
		return pl_fail(err, -EROFS, "files inside, as '%s', are only read", name);
	r = pl_volume_open_file(place->volume, place->node, NULL, name, &file, err);
	if (r < 0)
		return r;
	place->is_file[place->nr_layers] = true;
	push(place, file);
	return 0;
}

/*
 * Open what follows ":/", again and again: a file in a file system, then perhaps an image in
 * it, its partitions, and a file in one of those.  With `files` the last one is only found.
 */
static int
open_inside(struct pl_place *place, struct parsed *p, bool files, struct platter_error *err)
{
	while (p->tail) {
		const struct element *last = &p->elements[p->nr_elements - 1];
		PL_AUTOFREE char *name = NULL;
		size_t i = p->nr_elements;
		char *tail = p->tail;
		int r = open_volume(place, last, err), n;

		if (r < 0)
			return r;
		n = find_inside(place, tail, err);
		if (n < 0)
			return n;
		if (!tail[n] && files)
			return 0;
		name = strndup(place->name, (size_t)(tail - p->text) + (size_t)n);
		if (!name)
			return pl_no_memory(err);
		r = push_file(place, name, err);
		if (r < 0 || !tail[n])
			return r;
		r = parse_elements(p, tail + n, err);
		if (r == 0)
			p->elements[i].is_inside = true;
		for (; i < p->nr_elements && r == 0; i++)
			r = open_element(place, p, &p->elements[i], NULL, files, NULL, err);
		if (r < 0)
			return r;
	}
	return files ? open_volume(place, &p->elements[p->nr_elements - 1], err) : 0;
}

static int
open_place(const char *name, const char *format, unsigned flags, struct pl_parents *given,
	   bool files, struct pl_place **ret, struct platter_error *err)
{
	struct pl_place *place = calloc(1, sizeof *place);
	struct parsed p = { 0 };
	int r;

	if (!place)
		return pl_no_memory(err);
	place->flags = flags;
	place->name = strdup(name);
	r = place->name ? parse(name, &p, err) : pl_no_memory(err);
	for (size_t i = 0; i < p.nr_elements && r == 0; i++)
		r = open_element(place, &p, &p.elements[i], format, files, given, err);
	if (r == 0)
		r = open_inside(place, &p, files, err);
	if (r == 0 && files && !place->path) {
		place->path = strdup("/");
		r = place->path ? pl_volume_stat(place->volume, place->node, &place->file, err)
				: pl_no_memory(err);
	}
	if (r == 0 && (flags & PLATTER_OPEN_WRITE) && !place->disk->writable)
		r = not_writable(place, err);
	parsed_done(&p);
	if (r < 0)
		pl_place_close(place);
	else
		*ret = place;
	return r;
}

int
pl_place_open_given(const char *name, const char *format, unsigned flags, struct pl_parents *given,
		    struct pl_place **ret, struct platter_error *err)
{
	return open_place(name, format, flags, given, false, ret, err);
}

int
pl_place_open_files(const char *name, const char *format, unsigned flags, struct pl_parents *given,
		    struct pl_place **ret, struct platter_error *err)
{
	return open_place(name, format, flags, given, true, ret, err);
}

int
pl_place_open(const char *name, const char *format, unsigned flags, struct pl_place **ret,
	      struct platter_error *err)
{
	return pl_place_open_given(name, format, flags, NULL, ret, err);
}

int
pl_place_of_disk(const struct pl_place *place, struct pl_disk *disk, bool is_file, const char *name,
		 struct pl_place **ret, struct platter_error *err)
{
	struct pl_place *p = calloc(1, sizeof *p);

	if (p)
		p->name = strdup(name);
	if (!p || !p->name || place->nr_layers == ARRAY_SIZE(p->layers)) {
		pl_place_close(p);
		return pl_no_memory(err);
	}
	p->flags = place->flags;
	p->storage = place->storage;
	for (size_t i = 0; i < place->nr_layers; i++) {
		p->partition[i] = place->partition[i];
		p->is_logical[i] = place->is_logical[i];
		p->is_file[i] = place->is_file[i];
		push(p, pl_disk_ref(place->layers[i]));
	}
	p->is_file[p->nr_layers] = is_file;
	push(p, disk);
	*ret = p;
	return 0;
}

int
pl_place_of_leaf(struct pl_disk *leaf, struct pl_place **ret, struct platter_error *err)
{
	struct pl_place *p = calloc(1, sizeof *p);

	if (p)
		p->name = strdup(leaf->name);
	if (!p || !p->name) {
		pl_place_close(p);
		return pl_no_memory(err);
	}
	p->storage = leaf;
	push(p, leaf);
	*ret = p;
	return 0;
}

void
pl_place_close(struct pl_place *place)
{
	if (!place)
		return;
	pl_volume_unref(place->volume);
	free(place->path);
	pl_disk_unref(place->disk);
	while (place->nr_layers)
		pl_disk_unref(place->layers[--place->nr_layers]);
	free(place->name);
	free(place);
}
