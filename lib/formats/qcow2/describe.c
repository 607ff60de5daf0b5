/* SPDX-License-Identifier: GPL-3.0-or-later */
/* describe.c - what there is to say about a QCOW2 image */
#include "image.h"
#include "text.h"

static void
describe_bitmaps(struct qcow2 *q, struct pl_facts *facts)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2_bitmaps bitmaps;

	if (q->header.nr_bitmaps && !(q->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS)) {
		pl_warn(facts, "its %" PRIu32 " dirty bitmaps are out of date",
			q->header.nr_bitmaps);
		return;
	}
	if (pl_qcow2_bitmaps_read(q->file, &q->header, &bitmaps, &err) < 0) {
		pl_warn(facts, "%s", err.message);
		return;
	}
	for (size_t i = 0; i < bitmaps.nr; i++) {
		const struct qcow2_bitmap *b = &bitmaps.list[i];
		PL_AUTOFREE char *name = pl_text_from_bytes(b->name, b->name_size);
		char size[32];

		if (!name || b->granularity_bits > 63)
			continue;
		pl_format_size(1ull << b->granularity_bits, size, sizeof size);
		pl_fact_text(facts, "bitmap", "Dirty bitmap", "%s, one bit for %s%s", name, size,
			     b->flags & QCOW2_BITMAP_IN_USE ? ", out of date" : "");
	}
	pl_qcow2_bitmaps_done(&bitmaps);
}

/* Names of the features that are switched on, as the image or the format calls them. */
static void
describe_features(const struct qcow2_header *h, struct pl_facts *facts)
{
	static const char *const known[3][5] = {
		{ "dirty bit", "corrupt bit", "external data file", "compression type",
		  "extended L2 entries" },
		{ "lazy refcounts" },
		{ "bitmaps", "raw external data" },
	};
	const uint64_t bits[3] = { h->incompatible, h->compatible, h->autoclear };
	struct pl_str names = { 0 };

	for (size_t type = 0; type < ARRAY_SIZE(bits); type++)
		for (size_t bit = 0; bit < 64; bit++) {
			const char *name = h->feature_names[type][bit];

			if (!(bits[type] >> bit & 1))
				continue;
			if (bit < ARRAY_SIZE(known[type]) && known[type][bit])
				name = known[type][bit];
			pl_str_addf(&names, "%s%s", names.text ? ", " : "",
				    name && *name ? name : "unnamed");
		}
	if (names.text)
		pl_fact_text(facts, "features", "Features", "%s", names.text);
	pl_str_done(&names);
}

static void
describe_name(struct pl_facts *facts, const char *key, const char *label, const char *name)
{
	PL_AUTOFREE char *text = name ? pl_text_from_bytes(name, strlen(name)) : NULL;

	if (text)
		pl_fact_text(facts, key, label, "%s", text);
}

static void
warn(const struct qcow2 *q, struct pl_facts *facts)
{
	const struct qcow2_header *h = &q->header;

	if (h->incompatible & QCOW2_INCOMPAT_DIRTY)
		pl_warn(facts, "it was not closed: its refcounts may be out of date");
	if (h->incompatible & QCOW2_INCOMPAT_CORRUPT)
		pl_warn(facts, "it is marked as corrupt");
	if (h->backing_name && !h->backing_format)
		pl_warn(facts,
			"the format of its backing file is not recorded; it was found by looking");
	if (h->crypt_method == 1)
		pl_warn(facts,
			"AES encryption of this format is broken, and its data is not readable");
	if (h->crypt_method == 2)
		pl_warn(facts, "its data is encrypted with LUKS, which is not readable yet");
}

void
pl_qcow2_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct qcow2 *q = qcow2_of(disk);
	const struct qcow2_header *h = &q->header;

	pl_fact_number(facts, "version", "Version", h->version);
	pl_fact_size(facts, "cluster_size", "Cluster size", q->cluster_size);
	if (q->extended)
		pl_fact_size(facts, "subcluster_size", "Subcluster size", q->subcluster_size);
	pl_fact_text(facts, "compression", "Compression", "%s",
		     h->compression_type ? "zstd" : "zlib");
	pl_fact_number(facts, "refcount_bits", "Refcount bits", 1u << h->refcount_order);
	describe_name(facts, "backing_file", "Backing file", h->backing_name);
	describe_name(facts, "backing_format", "Backing format", h->backing_format);
	describe_name(facts, "data_file", "Data file", h->data_name);
	if (h->crypt_method)
		pl_fact_text(facts, "encryption", "Encryption", "%s",
			     h->crypt_method == 1 ? "AES" : "LUKS");
	if (h->nr_snapshots)
		pl_fact_number(facts, "snapshots", "Snapshots", h->nr_snapshots);
	describe_bitmaps(q, facts);
	describe_features(h, facts);
	warn(q, facts);
}

int
pl_qcow2_snapshots(struct pl_disk *disk, struct pl_arena *arena,
		   const struct platter_snapshot **ret, size_t *ret_nr, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	struct platter_snapshot *list;
	struct qcow2_snapshots s;
	int r = pl_qcow2_snapshots_read(q->file, &q->header, &s, err);

	if (r < 0)
		return r;
	list = pl_arena_alloc(arena, s.nr * sizeof *list);
	for (size_t i = 0; list && i < s.nr; i++)
		list[i] = (struct platter_snapshot){
			.id = pl_arena_take(arena,
					    pl_text_from_bytes(s.list[i].id, s.list[i].id_size)),
			.name = pl_arena_take(arena, pl_text_from_bytes(s.list[i].name,
									s.list[i].name_size)),
			.size = s.list[i].size,
			.seconds = s.list[i].seconds,
			.vm_state_size = s.list[i].vm_state_size,
		};
	*ret = list;
	*ret_nr = s.nr;
	pl_qcow2_snapshots_done(&s);
	return arena->failed ? pl_no_memory(err) : 0;
}
