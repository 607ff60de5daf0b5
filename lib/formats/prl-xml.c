/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * prl-xml.c - the disk that a DiskDescriptor.xml puts together, read only
 *
 * A folder NAME.hdd holds the descriptor and its images.  Spec: QEMU,
 * docs/interop/prl-xml.txt.
 *
 *	Parallels_disk_image
 *		Disk_Parameters		Disk_size, LogicSectorSize, Encryption/Engine
 *		StorageData
 *			Storage ...	Start, End: sectors of the disk
 *				Image ...	GUID: of its snapshot; Type; File
 *		Snapshots
 *			TopGUID		which is the disk now
 *			Shot ...	GUID, ParentGUID
 *
 * Each Storage is a part of the disk.  It has an image for each snapshot, whose holes are
 * those of the parent snapshot's image; images of type Plain are raw and have none.
 */
#include <strings.h>

#include "format.h"
#include "text.h"
#include "xml.h"

#define SECTOR       512u
#define MAX_XML      MIB(1)
#define MAX_STORAGES 1024
#define MAX_IMAGES   4096
#define MAX_SHOTS    1024
#define MAX_CHAIN    (PL_MAX_DEPTH - 2)

/* "{5fbaabe3-6958-40ff-92a7-860e329aab41}" */
#define GUID_TEXT 38
/* What the current state is called where nothing says which it is. */
#define DEFAULT_TOP "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
#define NO_GUID     "{00000000-0000-0000-0000-000000000000}"

struct image {
	size_t storage;
	char guid[GUID_TEXT + 1];
	bool plain;
	char *file;
	uint64_t at; /* byte of the descriptor */
};

struct storage {
	uint64_t start, end;  /* bytes of the disk */
	struct pl_disk *disk; /* a reference */
};

struct shot {
	char guid[GUID_TEXT + 1], parent[GUID_TEXT + 1];
};

struct bundle {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint64_t size;
	char top[GUID_TEXT + 1];
	struct storage *storages;
	size_t nr_storages, storages_capacity;
	struct image *images;
	size_t nr_images, images_capacity;
	struct shot *shots;
	size_t nr_shots, shots_capacity;
};

static struct bundle *
bundle_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct bundle, disk);
}

static int
bundle_probe(const struct pl_probe *probe)
{
	static const char root[] = "<Parallels_disk_image";

	if (probe->size < sizeof root || (probe->head[0] != '<' && probe->head[0] != 0xef))
		return 0;
	return memmem(probe->head, 1024, root, sizeof root - 1) ? 8 * (sizeof root - 1) : 0;
}

static int
bundle_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	struct bundle *b = bundle_of(disk);
	size_t low = 0, high = b->nr_storages;

	/* They follow each other without gaps. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		*(b->storages[middle].start <= offset ? &low : &high) = middle;
	}
	*ret = (struct pl_extent){ .length = b->storages[low].end - offset,
				   .kind = PLATTER_DATA,
				   .below = b->storages[low].disk,
				   .stored_offset = offset - b->storages[low].start };
	return 0;
}

static struct pl_disk *
bundle_below(struct pl_disk *disk, size_t index)
{
	struct bundle *b = bundle_of(disk);

	if (index == 0)
		return b->file;
	return index <= b->nr_storages ? b->storages[index - 1].disk : NULL;
}

static void
bundle_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct bundle *b = bundle_of(disk);

	pl_fact_number(facts, "parts", "Parts", b->nr_storages);
	pl_fact_number(facts, "snapshots", "Snapshots", b->nr_shots ? b->nr_shots - 1 : 0);
	pl_fact_text(facts, "snapshot", "Snapshot that is open", "%s", b->top);
}

static void
bundle_free(struct pl_disk *disk)
{
	struct bundle *b = bundle_of(disk);

	for (size_t i = 0; i < b->nr_storages; i++)
		pl_disk_unref(b->storages[i].disk);
	for (size_t i = 0; i < b->nr_images; i++)
		free(b->images[i].file);
	free(b->storages);
	free(b->images);
	free(b->shots);
	pl_disk_unref(b->file);
	pl_disk_done(disk);
	free(b);
}

static const struct pl_disk_ops bundle_ops = {
	.name = "prl-xml",
	.map = bundle_map,
	.below = bundle_below,
	.describe = bundle_describe,
	.free = bundle_free,
};

/* Room for one more of n elements; NULL: out of memory. */
static void *
grow(void *list, size_t n, size_t *capacity, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 8;
	void *p;

	if (n < *capacity)
		return list;
	p = pl_realloc_array(list, more, size);
	if (p) {
		memset((char *)p + n * size, 0, (more - n) * size);
		*capacity = more;
	}
	return p;
}

#define ADD(b, what, max, at, err)                                                        \
	__extension__({                                                                   \
		int r_ = 0;                                                               \
		void *list_ = NULL;                                                       \
		if ((b)->nr_##what == (max))                                              \
			r_ = pl_over_limit(err, at, "more than %d " #what, max);          \
		else if (!(list_ = grow((b)->what, (b)->nr_##what, &(b)->what##_capacity, \
					sizeof *(b)->what)))                              \
			r_ = pl_no_memory(err);                                           \
		else                                                                      \
			(b)->what = list_, (b)->nr_##what++;                              \
		r_;                                                                       \
	})

static int
begin_element(void *with, const char *path, uint64_t at, struct platter_error *err)
{
	struct bundle *b = with;
	int r;

	if (strcmp(path, "Parallels_disk_image/StorageData/Storage") == 0)
		return ADD(b, storages, MAX_STORAGES, at, err);
	if (strcmp(path, "Parallels_disk_image/Snapshots/Shot") == 0)
		return ADD(b, shots, MAX_SHOTS, at, err);
	if (strcmp(path, "Parallels_disk_image/StorageData/Storage/Image") != 0)
		return 0;
	r = ADD(b, images, MAX_IMAGES, at, err);
	if (r < 0)
		return r;
	b->images[b->nr_images - 1].storage = b->nr_storages - 1;
	b->images[b->nr_images - 1].at = at;
	return 0;
}

static int
take_guid(const char *text, uint64_t at, char ret[static GUID_TEXT + 1], struct platter_error *err)
{
	if (strlen(text) != GUID_TEXT || text[0] != '{' || text[GUID_TEXT - 1] != '}')
		return pl_corrupt(err, at, "'%.64s' is no GUID", text);
	memcpy(ret, text, GUID_TEXT + 1);
	return 0;
}

static int
take_number(const char *text, uint64_t at, uint64_t *ret, struct platter_error *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		return pl_corrupt(err, at, "'%.64s' is no number", text);
	return 0;
}

static int
take_sectors(const char *text, uint64_t at, uint64_t *ret, struct platter_error *err)
{
	int r = take_number(text, at, ret, err);

	if (r == 0 && *ret > INT64_MAX / SECTOR)
		r = pl_over_limit(err, at, "%" PRIu64 " sectors, limit is %" PRId64, *ret,
				  INT64_MAX / SECTOR);
	*ret *= SECTOR;
	return r;
}

static int
take_type(const char *text, uint64_t at, bool *ret_plain, struct platter_error *err)
{
	*ret_plain = strcmp(text, "Plain") == 0;
	if (!*ret_plain && strcmp(text, "Compressed") != 0)
		return pl_unsupported(err, at, "image type '%.64s' is not known", text);
	return 0;
}

/* Images are beside the descriptor, or below. */
static int
take_file(const char *text, uint64_t at, char **ret, struct platter_error *err)
{
	bool up = text[0] == '/';

	for (const char *p = text; *p && !up; p += strcspn(p, "/"), p += *p == '/')
		up = strncmp(p, "..", 2) == 0 && (!p[2] || p[2] == '/');
	if (up)
		return pl_corrupt(err, at, "image '%.256s' is outside of the bundle", text);
	if (!*text)
		return pl_corrupt(err, at, "an image without a file");
	free(*ret);
	*ret = strdup(text);
	return *ret ? 0 : pl_no_memory(err);
}

static int
take_parameter(struct bundle *b, const char *name, const char *text, uint64_t at,
	       struct platter_error *err)
{
	uint64_t n;
	int r;

	if (strcmp(name, "Disk_size") == 0)
		return take_sectors(text, at, &b->size, err);
	if (strcmp(name, "Encryption/Engine") == 0 && *text && strcmp(text, NO_GUID) != 0)
		return pl_unsupported(err, at,
				      "the disk is encrypted by %.64s, which is not readable",
				      text);
	if (strcmp(name, "LogicSectorSize") != 0)
		return 0;
	r = take_number(text, at, &n, err);
	if (r == 0 && n != SECTOR)
		r = pl_unsupported(err, at, "sectors of %" PRIu64 " bytes, only 512 are known", n);
	return r;
}

static int
take_storage(struct bundle *b, const char *name, const char *text, uint64_t at,
	     struct platter_error *err)
{
	struct storage *s = &b->storages[b->nr_storages - 1];

	if (strcmp(name, "Start") == 0)
		return take_sectors(text, at, &s->start, err);
	if (strcmp(name, "End") == 0)
		return take_sectors(text, at, &s->end, err);
	if (strcmp(name, "Image/GUID") == 0)
		return take_guid(text, at, b->images[b->nr_images - 1].guid, err);
	if (strcmp(name, "Image/Type") == 0)
		return take_type(text, at, &b->images[b->nr_images - 1].plain, err);
	if (strcmp(name, "Image/File") == 0)
		return take_file(text, at, &b->images[b->nr_images - 1].file, err);
	return 0;
}

static int
take_snapshot(struct bundle *b, const char *name, const char *text, uint64_t at,
	      struct platter_error *err)
{
	if (strcmp(name, "TopGUID") == 0)
		return take_guid(text, at, b->top, err);
	if (strcmp(name, "Shot/GUID") == 0)
		return take_guid(text, at, b->shots[b->nr_shots - 1].guid, err);
	if (strcmp(name, "Shot/ParentGUID") == 0)
		return take_guid(text, at, b->shots[b->nr_shots - 1].parent, err);
	return 0;
}

static int
end_element(void *with, const char *path, const char *text, uint64_t at, struct platter_error *err)
{
	static const struct {
		const char *prefix;
		int (*take)(struct bundle *b, const char *name, const char *text, uint64_t at,
			    struct platter_error *err);
	} parts[] = {
		{ "Parallels_disk_image/Disk_Parameters/", take_parameter },
		{ "Parallels_disk_image/StorageData/Storage/", take_storage },
		{ "Parallels_disk_image/Snapshots/", take_snapshot },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i].prefix);

		if (strncmp(path, parts[i].prefix, n) == 0)
			return parts[i].take(with, path + n, text, at, err);
	}
	return 0;
}

static int
read_descriptor(struct bundle *b, struct platter_error *err)
{
	static const struct pl_xml_handler handler = { .open = begin_element,
						       .close = end_element };
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	if (b->file->size > MAX_XML)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a descriptor of %" PRIu64 " bytes, limit is %" PRIu64,
				     b->file->size, (uint64_t)MAX_XML);
	r = pl_read_alloc(b->file, (size_t)b->file->size, 0, &bytes, err);
	return r < 0 ? r
		     : pl_xml_parse((const char *)bytes, (size_t)b->file->size, &handler, b, err);
}

/* The parts are the whole disk, one after the other. */
static int
check_storages(struct bundle *b, struct platter_error *err)
{
	uint64_t end = 0;

	for (size_t i = 0; i < b->nr_storages; i++) {
		const struct storage *s = &b->storages[i];

		if (s->start != end || s->end <= s->start)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "part %zu of the disk is bytes %" PRIu64 " to %" PRIu64
					  ", and the one before ends at %" PRIu64,
					  i + 1, s->start, s->end, end);
		end = s->end;
	}
	if (!b->nr_storages || end != b->size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "a disk of %" PRIu64 " bytes with parts of %" PRIu64, b->size,
				  end);
	b->disk.size = b->size;
	return 0;
}

static const struct shot *
find_shot(const struct bundle *b, const char *guid)
{
	for (size_t i = 0; i < b->nr_shots; i++)
		if (strcasecmp(b->shots[i].guid, guid) == 0)
			return &b->shots[i];
	return NULL;
}

/* Snapshots that a message lists before it only counts them. */
#define MAX_LISTED 8

static void
hint_shots(const struct bundle *b, struct platter_error *err)
{
	struct pl_str guids = { 0 };

	for (size_t i = 0; i < b->nr_shots && i < MAX_LISTED; i++)
		pl_str_addf(&guids, "%s%s", i ? ", " : "", b->shots[i].guid);
	if (b->nr_shots > MAX_LISTED)
		pl_str_addf(&guids, " and %zu more", b->nr_shots - MAX_LISTED);
	pl_hint(err, "the snapshots are %s", guids.text ? guids.text : "none");
	pl_str_done(&guids);
}

static bool
is_parent(const struct bundle *b, const char *guid)
{
	for (size_t i = 0; i < b->nr_shots; i++)
		if (strcasecmp(b->shots[i].parent, guid) == 0)
			return true;
	return false;
}

/* Which snapshot is the disk: the one asked for, the top, the only one that is no parent. */
static int
choose_top(struct bundle *b, const char *snapshot, struct platter_error *err)
{
	const struct shot *s = snapshot ? find_shot(b, snapshot) : NULL;

	if (snapshot && !s) {
		int r = pl_fail(err, -ENOENT, "'%s' has no snapshot '%s'", b->file->name, snapshot);

		hint_shots(b, err);
		return r;
	}
	if (!s && !b->top[0])
		s = find_shot(b, DEFAULT_TOP);
	for (size_t i = 0; i < b->nr_shots && !s && !b->top[0]; i++)
		if (!is_parent(b, b->shots[i].guid))
			s = &b->shots[i];
	if (s)
		memcpy(b->top, s->guid, sizeof b->top);
	else if (!b->top[0] && b->nr_images)
		memcpy(b->top, b->images[0].guid, sizeof b->top);
	return 0;
}

static const struct image *
find_image(const struct bundle *b, size_t storage, const char *guid)
{
	for (size_t i = 0; i < b->nr_images; i++)
		if (b->images[i].storage == storage && strcasecmp(b->images[i].guid, guid) == 0)
			return &b->images[i];
	return NULL;
}

/* The images of a part, the top one first. */
static int
find_chain(const struct bundle *b, size_t storage, const struct image *ret[static MAX_CHAIN],
	   size_t *ret_nr, struct platter_error *err)
{
	const char *guid = b->top;

	for (*ret_nr = 0; *guid && strcmp(guid, NO_GUID) != 0;) {
		const struct image *image = find_image(b, storage, guid);
		const struct shot *shot = find_shot(b, guid);

		if (!image || !image->file)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "part %zu of the disk has no image of snapshot %s",
					  storage + 1, guid);
		if (*ret_nr == MAX_CHAIN)
			return pl_over_limit(err, image->at, "more than %d images on each other",
					     MAX_CHAIN);
		ret[(*ret_nr)++] = image;
		if (image->plain || !shot)
			return 0;
		guid = shot->parent;
	}
	if (!*ret_nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no snapshot is said to be the disk");
	return 0;
}

/* Open an image onto *disk, which it takes over as its parent. */
static int
open_image(const struct image *image, struct pl_related *related, struct pl_disk **disk,
	   struct platter_error *err)
{
	struct pl_disk *top;
	int r = related->open(related, image->file, image->plain ? "raw" : "parallels", false, &top,
			      err);

	if (r < 0)
		return r;
	if (*disk) {
		top->parent = *disk;
		r = pl_disk_stack(top, *disk, err);
	}
	*disk = top;
	return r;
}

static int
open_storage(struct bundle *b, size_t index, const struct pl_open_request *request,
	     struct platter_error *err)
{
	const struct image *chain[MAX_CHAIN];
	struct storage *s = &b->storages[index];
	size_t nr;
	int r = find_chain(b, index, chain, &nr, err);

	if (r == 0 && request->flags & PLATTER_OPEN_NO_BACKING)
		nr = 1;
	for (size_t i = nr; r == 0 && i-- > 0;)
		r = open_image(chain[i], request->related, &s->disk, err);
	if (r == 0 && s->disk->size < s->end - s->start)
		r = pl_corrupt(err, chain[0]->at,
			       "'%s' holds %" PRIu64 " bytes, its part of the disk has %" PRIu64,
			       chain[0]->file, s->disk->size, s->end - s->start);
	return r < 0 ? r : pl_disk_stack(&b->disk, s->disk, err);
}

static int
open_parts(struct bundle *b, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&b->disk, b->file, err);

	if (r == 0)
		r = read_descriptor(b, err);
	if (r == 0)
		r = check_storages(b, err);
	if (r == 0)
		r = choose_top(b, request->snapshot, err);
	if (r == 0 && !request->related)
		r = pl_fail(err, -ENOTSUP, "the images of '%s' cannot be reached from here",
			    b->file->name);
	for (size_t i = 0; i < b->nr_storages && r == 0; i++)
		r = open_storage(b, i, request, err);
	return r;
}

static int
bundle_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct bundle *b = calloc(1, sizeof *b);
	int r;

	if (!b)
		return pl_no_memory(err);
	r = pl_disk_init(&b->disk, &bundle_ops, request->file->name, err);
	if (r < 0) {
		free(b);
		return r;
	}
	b->file = pl_disk_ref(request->file);
	r = open_parts(b, request, err);
	if (r < 0) {
		pl_error_place(err, b->file->name);
		bundle_free(&b->disk);
		return r;
	}
	*ret = &b->disk;
	return 0;
}

/* All that are not the disk itself; Parallels keeps their names elsewhere. */
static int
bundle_snapshots(struct pl_disk *disk, struct pl_arena *arena, const struct platter_snapshot **ret,
		 size_t *ret_nr, struct platter_error *err)
{
	struct bundle *b = bundle_of(disk);
	struct platter_snapshot *list = pl_arena_alloc(arena, b->nr_shots * sizeof *list);
	size_t nr = 0;

	for (size_t i = 0; list && i < b->nr_shots; i++)
		if (is_parent(b, b->shots[i].guid))
			list[nr++] = (struct platter_snapshot){
				.id = pl_arena_strdup(arena, b->shots[i].guid),
				.name = "",
				.size = b->size,
			};
	*ret = list;
	*ret_nr = nr;
	return arena->failed ? pl_no_memory(err) : 0;
}

/* Passes on what is found in one of the images. */
struct forward {
	struct pl_findings findings, *to;
	const char *name;
};

static void
forward(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	const char *message)
{
	struct forward *f = pl_container_of(findings, struct forward, findings);

	pl_found(f->to, severity, offset, "'%s': %s", f->name, message);
}

static int
bundle_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct bundle *b = bundle_of(disk);
	int r = 0;

	for (size_t i = 0; i < b->nr_storages && r == 0; i++)
		for (struct pl_disk *d = b->storages[i].disk; d && r == 0; d = d->parent) {
			const struct pl_format *format = pl_format_of(d);
			struct forward f = { .findings.found = forward,
					     .to = findings,
					     .name = d->name };

			if (format && format->check)
				r = format->check(d, &f.findings, err);
		}
	return r;
}

static const char *const extensions[] = { NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_prl_xml = {
	.info = {
		.name = "prl-xml",
		.longname = "Parallels disk of several images",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_SNAPSHOT | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = bundle_probe,
	.open = bundle_open,
	.bundle = { .file = "DiskDescriptor.xml" },
	.check = bundle_check,
	.snapshots = bundle_snapshots,
	.disk_ops = &bundle_ops,
};
