/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sparseimage.c - Apple's sparse images: reading and checking; sparseimage.h has the layout */
#include "sparseimage.h"

/* Bands whose places are kept in one piece of memory: 256 MiB of the disk in bands of 1 MiB. */
#define PAGE_BANDS 256u
/* 128 MiB of these, for 16 TiB wherever its bands lie, or bands of a larger disk near each other. */
#define MAX_PAGES (1u << 16)
/* As many as a kill may leave, and more: 32 MiB. */
#define MAX_TWICE (4u << 20)

static int
sparseimage_probe(const struct pl_probe *probe)
{
	if (probe->size < NODE_SIZE || memcmp(probe->head, MAGIC, MAGIC_SIZE) != 0)
		return 0;
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	return get_be32(probe->head + VERSION) == THIS_VERSION ? 64 : 32;
}

uint64_t
pl_sparseimage_get(const struct sparseimage *s, uint64_t band)
{
	const _Atomic(uint64_t) *page = atomic_load(&s->pages[band / PAGE_BANDS]);

	return page ? atomic_load(&page[band % PAGE_BANDS]) : 0;
}

int
pl_sparseimage_set(struct sparseimage *s, uint64_t band, uint64_t at, struct platter_error *err)
{
	_Atomic(uint64_t) *page = atomic_load(&s->pages[band / PAGE_BANDS]);

	if (!page && !at)
		return 0;
	if (!page && s->nr_used_pages == MAX_PAGES)
		return pl_over_limit(
			err, PLATTER_NO_OFFSET,
			"bands lie in more than %u places of the disk, each of %" PRIu64 " bytes",
			MAX_PAGES, (uint64_t)PAGE_BANDS * s->band);
	if (!page) {
		page = calloc(PAGE_BANDS, sizeof *page);
		if (!page)
			return pl_no_memory(err);
		s->nr_used_pages++;
		atomic_store(&s->pages[band / PAGE_BANDS], page);
	}
	atomic_store(&page[band % PAGE_BANDS], at);
	return 0;
}

int
pl_sparseimage_reserve(struct sparseimage *s, uint64_t nr_bands, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(nr_bands, PAGE_BANDS);
	_Atomic(_Atomic(uint64_t) *) *pages;

	if (nr <= s->nr_pages)
		return 0;
	/* Up to 128 MiB that the kernel hands out only where they are touched. */
	pages = calloc(nr, sizeof *pages);
	if (!pages)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < s->nr_pages; i++)
		if (atomic_load(&s->pages[i]))
			atomic_store(&pages[i], atomic_load(&s->pages[i]));
	free(s->pages);
	s->pages = pages;
	s->nr_pages = nr;
	return 0;
}

int
pl_sparseimage_add_node(struct sparseimage *s, uint64_t at, struct platter_error *err)
{
	if (s->nr_nodes == s->room) {
		size_t room = s->room ? s->room * 2 : 4;
		struct node *nodes = pl_realloc_array(s->nodes, room, sizeof *nodes);

		if (!nodes)
			return pl_no_memory(err);
		s->nodes = nodes;
		s->room = room;
	}
	s->nodes[s->nr_nodes++] = (struct node){ .at = at };
	return 0;
}

static int
band_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of(disk);
	uint64_t band = offset / s->band, in_band = offset % s->band, at;
	int r;

	(void)length;
	*ret = (struct pl_extent){ .kind = PLATTER_HOLE, .length = s->band - in_band };
	at = pl_sparseimage_get(s, band);
	if (!at) {
		/* Over pages without a band at once. */
		while (band % PAGE_BANDS == 0 && ret->length < length && band < s->nr_bands &&
		       !atomic_load(&s->pages[band / PAGE_BANDS])) {
			band += PAGE_BANDS;
			ret->length = band * s->band - offset;
		}
		return 0;
	}
	at += in_band;
	if (at >= s->file->size) {
		r = pl_corrupt(err, at,
			       "band %" PRIu64 " is stored at byte %" PRIu64
			       ", past the end of the file (%" PRIu64 " bytes)",
			       band, at, s->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = s->file;
	ret->stored_offset = at;
	ret->length = PL_MIN(ret->length, s->file->size - at);
	return 0;
}

static int
sparseimage_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		struct platter_error *err)
{
	int r = pl_blocks_map(disk, band_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, sparseimage_of(disk)->file->name);
	return r;
}

static struct pl_disk *
sparseimage_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? sparseimage_of(disk)->file : NULL;
}

static void
sparseimage_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct sparseimage *s = sparseimage_of(disk);

	pl_fact_size(facts, "band_size", "Band size", s->band);
	pl_fact_number(facts, "stored_bands", "Bands in the file", s->nr_stored);
	pl_fact_number(facts, "index_nodes", "Index nodes", s->nr_nodes);
	if (s->nr_twice)
		pl_warn(facts, "%zu bands are stored twice, of which the first counts",
			s->nr_twice);
}

static void
sparseimage_free(struct pl_disk *disk)
{
	struct sparseimage *s = sparseimage_of(disk);

	for (uint64_t i = 0; i < s->nr_pages; i++)
		free(atomic_load(&s->pages[i]));
	free(s->pages);
	free(s->nodes);
	free(s->twice);
	free(s->left);
	pl_store_done(&s->store);
	pl_disk_unref(s->file);
	pl_disk_done(disk);
	free(s);
}

static const struct pl_disk_ops sparseimage_ops = {
	.name = "sparseimage",
	.map = sparseimage_map,
	.write = pl_sparseimage_write,
	.zero = pl_sparseimage_zero,
	.discard = pl_sparseimage_discard,
	.flush = pl_sparseimage_flush,
	.resize = pl_sparseimage_resize,
	.below = sparseimage_below,
	.describe = sparseimage_describe,
	.free = sparseimage_free,
};

static int
note_twice(struct sparseimage *s, size_t node, uint32_t slot, struct platter_error *err)
{
	if (s->nr_twice == MAX_TWICE)
		return pl_over_limit(err, id_at(s, node, slot),
				     "more than %u bands are stored twice", MAX_TWICE);
	if (s->nr_twice == s->twice_room) {
		size_t room = s->twice_room ? s->twice_room * 2 : 4;
		struct twice *twice = pl_realloc_array(s->twice, room, sizeof *twice);

		if (!twice)
			return pl_no_memory(err);
		s->twice = twice;
		s->twice_room = room;
	}
	s->twice[s->nr_twice++] = (struct twice){ (uint32_t)node, slot };
	return 0;
}

/* The bands in the slots of the node that was added last. */
static int
take_slots(struct sparseimage *s, const uint8_t *ids, struct platter_error *err)
{
	size_t node = s->nr_nodes - 1;
	int r = 0;

	for (uint32_t i = 0; i < nr_slots(node) && r == 0; i++) {
		uint32_t id = get_be32(ids + 4 * i);

		if (!id)
			continue;
		if (id > s->nr_bands)
			return pl_corrupt(err, id_at(s, node, i),
					  "a slot holds band %" PRIu32 ", the disk has %" PRIu64,
					  id - 1, s->nr_bands);
		s->nodes[node].used = i + 1;
		if (pl_sparseimage_get(s, id - 1)) {
			r = note_twice(s, node, i, err);
			continue;
		}
		r = pl_sparseimage_set(s, id - 1, slot_at(s, node, i), err);
		s->nr_stored++;
	}
	return r;
}

/* The node at `at`, which must lie behind the last one: so the chain comes to an end. */
static int
read_node(struct sparseimage *s, uint64_t at, uint64_t named_at, uint8_t *ret,
	  struct platter_error *err)
{
	uint64_t last = s->nodes[s->nr_nodes - 1].at;
	int r;

	if (at < last + NODE_SIZE)
		return pl_corrupt(err, named_at,
				  "index node at byte %" PRIu64
				  " is not behind the one before it, at byte %" PRIu64,
				  at, last);
	if (!pl_in_range(at, NODE_SIZE, s->file->size)) {
		r = pl_corrupt(err, named_at,
			       "index node at byte %" PRIu64 " passes the end of the file (%" PRIu64
			       " bytes)",
			       at, s->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	r = pl_read(s->file, ret, NODE_SIZE, at, err);
	if (r < 0)
		return r;
	if (memcmp(ret, MAGIC, MAGIC_SIZE) != 0)
		return pl_corrupt(err, at, "no magic of an index node");
	return pl_sparseimage_add_node(s, at, err);
}

static int
read_nodes(struct sparseimage *s, const uint8_t *header, struct platter_error *err)
{
	uint64_t next = get_be64(header + HEADER_NEXT), named_at = HEADER_NEXT;
	uint8_t node[NODE_SIZE];
	int r = pl_sparseimage_add_node(s, 0, err);

	if (r == 0)
		r = take_slots(s, header + HEADER_IDS, err);
	while (next && r == 0) {
		r = read_node(s, next, named_at, node, err);
		if (r == 0)
			r = take_slots(s, node + NODE_IDS, err);
		named_at = next + NODE_NEXT;
		next = get_be64(node + NODE_NEXT);
	}
	return r;
}

static int
check_header(const uint8_t *h, size_t have, struct platter_error *err)
{
	uint32_t band = get_be32(h + BAND_SECTORS);

	if (have < NODE_SIZE)
		return pl_corrupt(err, 0,
				  "file of %zu bytes is too short for the header of a sparse image",
				  have);
	if (memcmp(h, MAGIC, MAGIC_SIZE) != 0)
		return pl_corrupt(err, 0, "no magic of a sparse image");
	if (get_be32(h + VERSION) != THIS_VERSION)
		return pl_unsupported(err, VERSION,
				      "sparse image version %" PRIu32 ", only %u is known",
				      get_be32(h + VERSION), THIS_VERSION);
	if (!band || band > MAX_BAND / SECTOR)
		return pl_corrupt(err, BAND_SECTORS,
				  "bands of %" PRIu32 " sectors, limits are 1 and %u", band,
				  MAX_BAND / SECTOR);
	if (get_be32(h + FLAGS) & ~THIS_FLAGS)
		return pl_unsupported(err, FLAGS, "unknown flags 0x%" PRIx32,
				      get_be32(h + FLAGS) & ~THIS_FLAGS);
	return 0;
}

static int
read_header(struct sparseimage *s, uint8_t *h, struct platter_error *err)
{
	uint64_t sectors;
	size_t have;
	int r = pl_read_padded(s->file, h, NODE_SIZE, 0, &have, err);

	if (r == 0)
		r = check_header(h, have, err);
	if (r < 0)
		return r;
	/* Old writers left the long field alone. */
	sectors = get_be64(h + SECTORS);
	if (!sectors)
		sectors = get_be32(h + SECTORS_LOW);
	s->band = get_be32(h + BAND_SECTORS) * SECTOR;
	s->nr_bands = pl_div_round_up(sectors, s->band / SECTOR);
	if (s->nr_bands > MAX_BANDS || sectors > INT64_MAX / SECTOR)
		return pl_corrupt(err, SECTORS,
				  "disk of %" PRIu64 " sectors, more than 2^32 bands of %" PRIu32
				  " bytes or than any disk",
				  sectors, s->band);
	s->disk.size = sectors * SECTOR;
	return pl_sparseimage_reserve(s, s->nr_bands, err);
}

static int
open_store(struct sparseimage *s, struct platter_error *err)
{
	s->store = (struct pl_store){
		.ops = &pl_sparseimage_store_ops,
		.disk = &s->disk,
		.file = s->file,
		.block_size = s->band,
		.align = 1,
		.limit = INT64_MAX,
	};
	s->disk.writable = true;
	return pl_store_init(&s->store, err);
}

static int
open_parts(struct sparseimage *s, const struct pl_open_request *request, struct platter_error *err)
{
	uint8_t header[NODE_SIZE];
	int r = pl_disk_stack(&s->disk, s->file, err);

	if (r == 0)
		r = read_header(s, header, err);
	if (r == 0)
		r = read_nodes(s, header, err);
	if (r == 0 && request->flags & PLATTER_OPEN_WRITE && s->file->writable)
		r = open_store(s, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a sparse image, which has no snapshots",
			    s->file->name);
	return r;
}

static int
sparseimage_open(const struct pl_open_request *request, struct pl_disk **ret,
		 struct platter_error *err)
{
	struct sparseimage *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return pl_no_memory(err);
	r = pl_disk_init(&s->disk, &sparseimage_ops, request->file->name, err);
	if (r < 0) {
		free(s);
		return r;
	}
	s->file = pl_disk_ref(request->file);
	r = open_parts(s, request, err);
	if (r < 0) {
		pl_error_place(err, s->file->name);
		sparseimage_free(&s->disk);
		return r;
	}
	*ret = &s->disk;
	return 0;
}

/* A band and its place in the file. */
static int
check_band(struct sparseimage *s, uint64_t band, uint64_t at, struct pl_claims *claims,
	   struct pl_findings *findings, struct platter_error *err)
{
	uint64_t end = PL_MIN(s->band, s->disk.size - band * s->band);

	if (!pl_in_range(at, end, s->file->size))
		pl_found(findings, PLATTER_DAMAGE, at,
			 "band %" PRIu64 " at byte %" PRIu64 " passes the end of the file (%" PRIu64
			 " bytes)",
			 band, at, s->file->size);
	return pl_claim(claims, at, s->band, "band", band, err);
}

static int
check_bands(struct sparseimage *s, struct pl_claims *claims, struct pl_findings *findings,
	    struct platter_error *err)
{
	int r = 0;

	for (uint64_t i = 0; i < s->nr_bands && r == 0; i++) {
		uint64_t at = 0;

		if (atomic_load(&s->pages[i / PAGE_BANDS]))
			at = pl_sparseimage_get(s, i);
		else
			i = pl_round_down(i, PAGE_BANDS) + PAGE_BANDS - 1;
		if (at)
			r = check_band(s, i, at, claims, findings, err);
	}
	return r;
}

/* Slots that are in the file, up to the next node. */
static uint64_t
slots_in_file(const struct sparseimage *s, size_t node)
{
	uint64_t start = slot_at(s, node, 0);
	uint64_t end = node + 1 < s->nr_nodes ? s->nodes[node + 1].at : s->file->size;

	return PL_MIN(nr_slots(node), end > start ? pl_div_round_up(end - start, s->band) : 0);
}

static void
check_slots(struct sparseimage *s, struct pl_findings *findings)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < s->nr_nodes; i++)
		slots += slots_in_file(s, i);
	for (size_t i = 0; i < s->nr_twice; i++)
		pl_found(findings, PLATTER_NOTE, id_at(s, s->twice[i].node, s->twice[i].slot),
			 "a band has a slot before this one, which counts");
	if (slots > s->nr_stored)
		pl_found(findings, PLATTER_LEAK, slot_at(s, 0, 0),
			 "%" PRIu64 " slots (%" PRIu64 " bytes) hold no band", slots - s->nr_stored,
			 (slots - s->nr_stored) * s->band);
}

static int
sparseimage_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of(disk);
	struct pl_claims claims = { 0 };
	int r = 0;

	for (size_t i = 0; i < s->nr_nodes && r == 0; i++)
		r = pl_claim(&claims, s->nodes[i].at, NODE_SIZE, "index node", i, err);
	if (r == 0)
		r = check_bands(s, &claims, findings, err);
	if (r == 0) {
		pl_claims_report(&claims, findings);
		check_slots(s, findings);
	}
	pl_claims_done(&claims);
	return r;
}

static const struct pl_change_ops change_ops = { .compact = pl_sparseimage_compact };

static const char *const extensions[] = { "sparseimage", NULL };

const struct pl_format pl_format_sparseimage = {
	.info = {
		.name = "sparseimage",
		.longname = "Apple sparse image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = pl_sparseimage_options,
	},
	.probe = sparseimage_probe,
	.open = sparseimage_open,
	.create = pl_sparseimage_create,
	.check = sparseimage_check,
	.change = &change_ops,
	.disk_ops = &sparseimage_ops,
};
