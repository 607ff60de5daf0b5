/* SPDX-License-Identifier: GPL-3.0-or-later */
/* udif.c - Apple's disk images (.dmg): opening them, and the map */
#include "dmg.h"
#include "text.h"

/* MacBinary, which old disk images were sent in: its header, and where it has the file's type. */
#define MACBINARY_HEADER 128u
#define MACBINARY_TYPE   65u
#define MACBINARY_MAKER  69u

/* Of an embedded code signature. */
#define SIGNATURE_MAGIC 0xfade0cc0u

/* NDIF keeps its block map in a resource fork that files elsewhere than on a Mac do not have. */
static bool
is_macbinary_ndif(const uint8_t *head, uint64_t size)
{
	static const char *const types[] = {
		"rohd", "hdro", "rwhd", "hdrw", "dImg", "dimg", "devr"
	};
	bool known = false;

	if (size < MACBINARY_HEADER || head[0] || !head[1] || head[1] > 63 || head[74] ||
	    head[82] || memcmp(head + MACBINARY_MAKER, "ddsk", 4) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known = known || !memcmp(head + MACBINARY_TYPE, types[i], 4);
	return known;
}

/* Signature, version and size of the trailer; of an image of Disk Copy, maker, type and zeros. */
static int
dmg_probe(const struct pl_probe *probe)
{
	if (probe->size >= PL_PROBE_TAIL)
		for (size_t at = PL_PROBE_TAIL - KOLY_SIZE + 1; at-- > 0;)
			if (dmg_is_koly(probe->tail + at))
				return at == PL_PROBE_TAIL - KOLY_SIZE ? 96 : 64;
	if (probe->size >= KOLY_SIZE && dmg_is_koly(probe->head))
		return 96;
	if (probe->size >= KOLY_SIZE && probe->size < PL_PROBE_TAIL &&
	    dmg_is_koly(probe->head + (probe->size - KOLY_SIZE)))
		return 96;
	return is_macbinary_ndif(probe->head, probe->size) ? 72 : 0;
}

static int
refuse_ndif(uint64_t at, struct platter_error *err)
{
	int r = pl_unsupported(err, at,
			       "an image in the format of Disk Copy 6 (NDIF), which is"
			       " not supported");

	pl_hint(err, "on a Mac with Mac OS 10.2 to 10.14, 'hdiutil convert OLD -format UDZO -o NEW'"
		     " makes a .dmg of it");
	return r;
}

/* An image without tables: the bytes of the disk, with a trailer behind them (UDRW). */
static int
make_raw(struct dmg *d, struct platter_error *err)
{
	uint64_t nr = d->koly.sectors ? d->koly.sectors : d->fork_length / DMG_SECTOR;
	struct dmg_tables *t = &d->tables;

	if (d->resources.ndif)
		return refuse_ndif(d->koly.at, err);
	if (!nr || nr > d->fork_length / DMG_SECTOR)
		return pl_corrupt(err, d->koly.at + KOLY_SECTORS,
				  "a disk of %" PRIu64 " sectors without a table, in a data fork of"
				  " %" PRIu64 " bytes",
				  nr, d->fork_length);
	d->raw = true;
	t->list = calloc(1, sizeof *t->list);
	t->chunks = calloc(1, sizeof *t->chunks);
	if (!t->list || !t->chunks)
		return pl_no_memory(err);
	t->chunks[0] = (struct dmg_chunk){ .kind = DMG_RAW };
	t->list[0] = (struct dmg_table){ .nr_sectors = nr, .at = d->koly.at, .nr_chunks = 1 };
	t->nr = t->nr_chunks = 1;
	t->kinds = 1u << DMG_RAW;
	t->stored_end = nr * DMG_SECTOR;
	return 0;
}

static int
read_resources(struct dmg *d, struct platter_error *err)
{
	const struct dmg_koly *k = &d->koly;
	uint64_t fork_size = d->fork->size - d->fork_base;
	int r = 0;

	if (k->xml_length)
		r = dmg_read_plist(d->file, k, fork_size, &d->tables, &d->resources, err);
	else if (k->rsrc_length)
		r = dmg_read_resource_fork(d->file, k, fork_size, &d->tables, &d->resources, err);
	if (r == 0 && !d->tables.nr)
		r = make_raw(d, err);
	return r == 0 ? dmg_tables_order(&d->tables, err) : r;
}

static int
find_fork(struct dmg *d, const struct pl_open_request *request, struct platter_error *err)
{
	int r = 0;

	if (d->koly.segments > 1 || d->koly.segment > 1) {
		r = dmg_join_segments(request, &d->koly, &d->fork, &d->segments, err);
		if (r == 0)
			d->fork_length = d->fork->size;
	} else {
		d->fork = pl_disk_ref(request->file);
		d->fork_base = d->koly.data_offset;
		d->fork_length = d->koly.data_length;
		if (d->fork_base > d->fork->size)
			r = pl_corrupt(err, d->koly.at + KOLY_DATA_OFFSET,
				       "a data fork at byte %" PRIu64 " of a file of %" PRIu64,
				       d->fork_base, d->fork->size);
	}
	return r == 0 ? pl_disk_stack(&d->disk, d->fork, err) : r;
}

/* Old images have anything in the fields of the signature: it must be one, which begins so. */
static int
look_for_signature(struct dmg *d, struct platter_error *err)
{
	const struct dmg_koly *k = &d->koly;
	uint8_t magic[4];
	int r;

	if (k->signature_length < sizeof magic ||
	    !pl_in_range(k->signature_offset, k->signature_length, d->file->size))
		return 0;
	r = pl_read(d->file, magic, sizeof magic, k->signature_offset, err);
	d->is_signed = r == 0 && get_be32(magic) == SIGNATURE_MAGIC;
	return r;
}

static int
read_image(struct dmg *d, const struct pl_open_request *request, struct platter_error *err)
{
	int r = dmg_koly_read(d->file, &d->koly, err);

	if (r == 0)
		r = find_fork(d, request, err);
	if (r == 0)
		r = read_resources(d, err);
	if (r == 0)
		r = look_for_signature(d, err);
	if (r == 0)
		d->disk.size = PL_MAX(d->koly.sectors, d->tables.nr_sectors) * DMG_SECTOR;
	return r;
}

static int
dmg_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct dmg *d = dmg_of(disk);
	const struct dmg_table *table;
	const struct dmg_chunk *c;
	uint64_t end, start;

	(void)length, (void)err;
	if (!dmg_find(&d->tables, offset / DMG_SECTOR, &table, &c, &end)) {
		end = PL_MIN(end, disk->size / DMG_SECTOR);
		*ret = (struct pl_extent){ .kind = PLATTER_HOLE,
					   .length = end * DMG_SECTOR - offset };
		return 0;
	}
	start = c->sector * DMG_SECTOR;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA, .length = end * DMG_SECTOR - offset };
	if (!dmg_is_stored(c->kind)) {
		ret->kind = c->kind == DMG_ZERO ? PLATTER_ZERO : PLATTER_HOLE;
		return 0;
	}
	ret->below = d->fork;
	ret->stored_offset = d->fork_base + c->offset;
	ret->decoder = dmg_decoder(c->kind);
	if (!ret->decoder) {
		ret->stored_offset += offset - start;
		return 0;
	}
	ret->stored_length = c->stored;
	ret->chunk_offset = start;
	ret->chunk_length = (uint32_t)(end * DMG_SECTOR - start);
	return 0;
}

static struct pl_disk *
dmg_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? dmg_of(disk)->fork : NULL;
}

static void
dmg_free(struct pl_disk *disk)
{
	struct dmg *d = dmg_of(disk);

	free(d->segments);
	dmg_tables_done(&d->tables);
	dmg_resources_done(&d->resources);
	pl_disk_unref(d->fork);
	pl_disk_unref(d->file);
	pl_disk_done(disk);
	free(d);
}

static const struct pl_disk_ops dmg_ops = {
	.name = "dmg",
	.map = dmg_map,
	.below = dmg_below,
	.describe = dmg_describe,
	.free = dmg_free,
};

static int
check_request(const struct pl_open_request *request, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	uint8_t head[MACBINARY_HEADER];
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is a UDIF image, which has no snapshots",
			       file->name);
	r = pl_read_padded(file, head, sizeof head, 0, NULL, err);
	return r == 0 && is_macbinary_ndif(head, file->size) ? refuse_ndif(MACBINARY_TYPE, err) : r;
}

static int
dmg_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct dmg *d;
	int r = check_request(request, err);

	if (r < 0)
		return r;
	d = calloc(1, sizeof *d);
	if (!d)
		return pl_no_memory(err);
	r = pl_disk_init(&d->disk, &dmg_ops, request->file->name, err);
	if (r < 0) {
		free(d);
		return r;
	}
	d->file = pl_disk_ref(request->file);
	r = read_image(d, request, err);
	if (r < 0) {
		pl_disk_unref(&d->disk);
		return r;
	}
	*ret = &d->disk;
	return 0;
}

static const char *const extensions[] = { "dmg", NULL };

const struct pl_format pl_format_dmg = {
	.info = {
		.name = "dmg",
		.longname = "Apple disk image (UDIF)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_COMPRESS |
			     PLATTER_CAN_CHECK,
		.options = dmg_options,
	},
	.probe = dmg_probe,
	.open = dmg_open,
	.create = dmg_create,
	.check = dmg_check,
	.options_of = dmg_options_of,
	.wants_regions = true,
	.disk_ops = &dmg_ops,
};
