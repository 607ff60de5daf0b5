/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resources.c - the resources of UDIF images: tables of chunks, licence agreements
 *
 * In the property list, they are dicts in arrays that are named by their type:
 *
 *	resource-fork
 *		blkx
 *			CFName, Name	"disk image (Apple_HFS : 4)"
 *			ID		"3"
 *			Data		the resource
 *
 * Older images have them in a resource fork of Mac OS ("Inside Macintosh: More Macintosh
 * Toolbox", 1-121), all numbers big-endian:
 *
 *	offset  size
 *	     0     4  where the resources are, from here
 *	     4     4  where the map is
 *	     8   4,4  their lengths
 *
 *	map     size
 *	    24     2  where the list of types is, from the map
 *	    26     2  where the list of names is
 *
 * The list of types has 2 bytes with the number of types less 1, and for each 4 bytes of type, 2 of
 * the number of resources less 1, 2 of where their list is from that of types.  An entry of that
 * has 12 bytes: the ID in 2, where the name is in 2 (0xffff: it has none), 1 of attributes, 3 of where
 * the resource is from the first, 4 unused.  Resources begin with 4 bytes of length, names with 1.
 */
#include "dmg.h"
#include "plist.h"
#include "text.h"

/* Offsets of 24 bits, and the map. */
#define MAX_FORK (MIB(16) + KIB(1024))
/* Licences in dozens of languages are less. */
#define MAX_KEPT      MIB(4)
#define MAX_RESOURCES 4096
#define BLKX          "blkx"

void
dmg_resources_done(struct dmg_resources *r)
{
	for (size_t i = 0; i < r->nr; i++)
		free(r->list[i].bytes);
	free(r->list);
	*r = (struct dmg_resources){ 0 };
}

bool
dmg_resource_is_kept(const char *type)
{
	return !strcmp(type, "LPic") || !strcmp(type, "TEXT") || !strcmp(type, "RTF ");
}

int
dmg_resource_add(struct dmg_resources *r, const char *type, int id, const uint8_t *bytes, size_t n,
		 struct platter_error *err)
{
	struct dmg_resource *list, *one;

	if (r->nr == MAX_RESOURCES || n > MAX_KEPT - r->bytes)
		return 0;
	list = pl_realloc_array(r->list, r->nr + 1, sizeof *list);
	if (!list)
		return pl_no_memory(err);
	r->list = list;
	one = &list[r->nr];
	*one = (struct dmg_resource){ .id = id, .n = n, .bytes = malloc(n ? n : 1) };
	if (!one->bytes)
		return pl_no_memory(err);
	memcpy(one->type, type, 4);
	memcpy(one->bytes, bytes, n);
	r->bytes += n;
	r->nr++;
	return 0;
}

/* The property list. */

/* One dict of a type, or the list as a whole. */
struct plist_reader {
	struct dmg_tables *tables;
	struct dmg_resources *resources;
	uint64_t fork_size;
	char type[5]; /* of the dict that is open, or "" */
	char *name;
	int id;
	bool in_table;
	struct dmg_table_reader table;
	uint8_t *bytes; /* of a resource that is kept */
	size_t n;
};

#define TOP "resource-fork/"

/* The type, if the path is of a resource or of a value in it; *ret_key is that's key, or "". */
static bool
resource_path(const char *path, char ret_type[static 5], const char **ret_key)
{
	const char *type = path + strlen(TOP), *slash;

	if (strncmp(path, TOP, strlen(TOP)) != 0)
		return false;
	slash = strchr(type, '/');
	*ret_key = slash ? slash + 1 : "";
	memset(ret_type, 0, 5);
	if ((slash ? (size_t)(slash - type) : strlen(type)) != 4)
		return false;
	memcpy(ret_type, type, 4);
	return true;
}

static int
begin_dict(void *with, const char *path, uint64_t at, struct platter_error *err)
{
	struct plist_reader *p = with;
	const char *key;

	(void)at, (void)err;
	if (!resource_path(path, p->type, &key) || *key)
		return 0;
	free(PL_STEAL(p->name));
	p->id = 0;
	p->n = 0;
	p->in_table = false;
	if (!strcmp(p->type, "bcem"))
		p->resources->ndif = true;
	return 0;
}

static int
end_dict(void *with, const char *path, uint64_t at, struct platter_error *err)
{
	struct plist_reader *p = with;
	const char *key;

	(void)at;
	if (!resource_path(path, p->type, &key) || *key)
		return 0;
	if (p->in_table) {
		p->in_table = false;
		return dmg_table_end(&p->table, PL_STEAL(p->name), err);
	}
	if (p->n && dmg_resource_is_kept(p->type))
		return dmg_resource_add(p->resources, p->type, p->id, p->bytes, p->n, err);
	return 0;
}

/* CFName has it in UTF-8 where Name may be empty. */
static int
take_text(void *with, const char *path, const char *text, uint64_t at, struct platter_error *err)
{
	struct plist_reader *p = with;
	const char *key;

	(void)at;
	if (!resource_path(path, p->type, &key))
		return 0;
	if (!strcmp(key, "ID"))
		p->id = (int)strtol(text, NULL, 10);
	if ((!strcmp(key, "CFName") || !strcmp(key, "Name")) && *text && !p->name) {
		p->name = pl_text_from_bytes(text, strlen(text));
		return p->name ? 0 : pl_no_memory(err);
	}
	return 0;
}

static int
keep_bytes(struct plist_reader *p, const uint8_t *bytes, size_t n, struct platter_error *err)
{
	uint8_t *more;

	if (n > MAX_KEPT - p->n)
		return 0;
	more = realloc(p->bytes, p->n + n);
	if (!more)
		return pl_no_memory(err);
	p->bytes = more;
	memcpy(more + p->n, bytes, n);
	p->n += n;
	return 0;
}

static int
take_data(void *with, const char *path, const uint8_t *bytes, size_t n, uint64_t at,
	  struct platter_error *err)
{
	struct plist_reader *p = with;
	const char *key;

	if (!resource_path(path, p->type, &key) || strcmp(key, "Data") != 0 || !n)
		return 0;
	if (dmg_resource_is_kept(p->type))
		return keep_bytes(p, bytes, n, err);
	if (strcmp(p->type, BLKX) != 0)
		return 0;
	if (!p->in_table)
		dmg_table_begin(&p->table, p->tables, p->fork_size, at);
	p->in_table = true;
	return dmg_table_feed(&p->table, bytes, n, err);
}

int
dmg_read_plist(struct pl_disk *file, const struct dmg_koly *koly, uint64_t fork_size,
	       struct dmg_tables *tables, struct dmg_resources *resources,
	       struct platter_error *err)
{
	static const struct pl_plist_handler handler = {
		.begin = begin_dict, .end = end_dict, .text = take_text, .data = take_data
	};
	struct plist_reader p = { .tables = tables,
				  .resources = resources,
				  .fork_size = fork_size };
	int r = pl_plist_read(file, koly->xml_offset, koly->xml_length, &handler, &p, err);

	free(p.name);
	free(p.bytes);
	return r;
}

/* The resource fork. */

struct fork_reader {
	struct dmg_tables *tables;
	struct dmg_resources *resources;
	uint64_t fork_size;
	uint64_t at; /* of the fork in the file */
	const uint8_t *bytes;
	size_t n;
	size_t data, map, types, names; /* in `bytes`, each checked to be there */
};

static int
fork_passes(const struct fork_reader *f, size_t at, const char *what, struct platter_error *err)
{
	return pl_corrupt(err, f->at + at, "%s of a resource fork of %zu bytes passes its end",
			  what, f->n);
}

static int
find_map(struct fork_reader *f, struct platter_error *err)
{
	size_t types, names;

	if (f->n < 16)
		return fork_passes(f, 0, "the header", err);
	f->data = get_be32(f->bytes);
	f->map = get_be32(f->bytes + 4);
	if (f->data > f->n)
		return fork_passes(f, 0, "the data", err);
	if (!pl_in_range(f->map, 30, f->n))
		return fork_passes(f, 4, "the map", err);
	types = get_be16(f->bytes + f->map + 24);
	names = get_be16(f->bytes + f->map + 26);
	if (!pl_in_range(f->map + types, 2, f->n))
		return fork_passes(f, f->map + 24, "the list of types", err);
	f->types = f->map + types;
	f->names = PL_MIN(f->map + names, f->n);
	return 0;
}

/* Pascal's string at `offset` in the list of names, or NULL. */
static char *
resource_name(const struct fork_reader *f, size_t offset)
{
	size_t at = f->names + offset;

	if (offset == 0xffff || at >= f->n || !pl_in_range(at + 1, f->bytes[at], f->n))
		return NULL;
	return pl_text_from_bytes(f->bytes + at + 1, f->bytes[at]);
}

static int
take_resource(struct fork_reader *f, const char *type, const uint8_t *entry,
	      struct platter_error *err)
{
	size_t at = f->data + (get_be32(entry + 4) & 0xffffff), n;
	struct dmg_table_reader table;
	int r;

	if (!pl_in_range(at, 4, f->n) || !pl_in_range(at + 4, get_be32(f->bytes + at), f->n))
		return fork_passes(f, (size_t)(entry - f->bytes) + 4, "a resource", err);
	n = get_be32(f->bytes + at);
	at += 4;
	if (dmg_resource_is_kept(type))
		return dmg_resource_add(f->resources, type, (int16_t)get_be16(entry), f->bytes + at,
					n, err);
	dmg_table_begin(&table, f->tables, f->fork_size, f->at + at);
	r = dmg_table_feed(&table, f->bytes + at, n, err);
	if (r < 0)
		return r;
	return dmg_table_end(&table, resource_name(f, get_be16(entry + 2)), err);
}

/* All of one type; `entry` of 8 bytes is in the list of types. */
static int
take_type(struct fork_reader *f, const uint8_t *entry, struct platter_error *err)
{
	char type[5] = { 0 };
	size_t nr = (size_t)get_be16(entry + 4) + 1, at = f->types + get_be16(entry + 6);
	int r = 0;

	memcpy(type, entry, 4);
	f->resources->ndif = f->resources->ndif || !strcmp(type, "bcem");
	if (strcmp(type, BLKX) != 0 && !dmg_resource_is_kept(type))
		return 0;
	if (!pl_in_range(at, nr * 12, f->n))
		return fork_passes(f, (size_t)(entry - f->bytes), "a list of resources", err);
	for (size_t i = 0; r == 0 && i < nr; i++)
		r = take_resource(f, type, f->bytes + at + i * 12, err);
	return r;
}

static int
take_fork(struct fork_reader *f, struct platter_error *err)
{
	int r = find_map(f, err);
	size_t nr;

	if (r < 0)
		return r;
	/* Less 1, and so 0xffff for none. */
	nr = (get_be16(f->bytes + f->types) + 1u) & 0xffff;
	if (!pl_in_range(f->types + 2, nr * 8, f->n))
		return fork_passes(f, f->types, "the list of types", err);
	for (size_t i = 0; r == 0 && i < nr; i++)
		r = take_type(f, f->bytes + f->types + 2 + i * 8, err);
	return r;
}

int
dmg_read_resource_fork(struct pl_disk *file, const struct dmg_koly *koly, uint64_t fork_size,
		       struct dmg_tables *tables, struct dmg_resources *resources,
		       struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	struct fork_reader f = { .tables = tables,
				 .resources = resources,
				 .fork_size = fork_size,
				 .at = koly->rsrc_offset,
				 .n = (size_t)koly->rsrc_length };
	int r;

	if (koly->rsrc_length > MAX_FORK)
		return pl_over_limit(err, koly->at + KOLY_RSRC_LENGTH,
				     "a resource fork of %" PRIu64 " bytes, limit is %" PRIu64,
				     koly->rsrc_length, (uint64_t)MAX_FORK);
	r = pl_read_alloc(file, f.n, f.at, &bytes, err);
	f.bytes = bytes;
	return r < 0 ? r : take_fork(&f, err);
}
