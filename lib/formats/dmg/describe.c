/* SPDX-License-Identifier: GPL-3.0-or-later */
/* describe.c - what is told of a UDIF image */
#include "dmg.h"
#include "facts.h"
#include "text.h"

/* Tables that are told one by one: a disk with all partitions that Macs make has a dozen. */
#define MAX_TOLD 64
/* Of a licence agreement; the longest that are known have a thousand. */
#define MAX_LINES 10000

/* How most images are named: after their codec, or as raw ones. */
static enum dmg_kind
main_kind(const struct dmg *d)
{
	for (enum dmg_kind kind = DMG_NR_KINDS; kind-- > DMG_ADC;)
		if (d->tables.kinds & 1u << kind)
			return kind;
	return DMG_RAW;
}

static void
describe_compression(const struct dmg *d, struct pl_facts *facts)
{
	struct pl_str names = { 0 };

	for (enum dmg_kind kind = DMG_ADC; kind < DMG_NR_KINDS; kind++)
		if (d->tables.kinds & 1u << kind)
			pl_str_addf(&names, "%s%s", names.length ? ", " : "", dmg_kind_name(kind));
	pl_fact_text(facts, "compression", "compression", "%s", names.text ? names.text : "none");
	pl_str_done(&names);
}

static void
describe_tables(const struct dmg *d, struct pl_facts *facts)
{
	size_t nr = d->raw ? 0 : d->tables.nr;
	char sum[32];

	pl_fact_number(facts, "tables", "tables of chunks", nr);
	for (size_t i = 0; i < PL_MIN(nr, (size_t)MAX_TOLD); i++) {
		const struct dmg_table *t = &d->tables.list[i];

		pl_fact_text(facts, "table", "table",
			     "%s: %" PRIu64 " sectors at %" PRIu64 ", checksum %s",
			     t->name && *t->name ? t->name : "unnamed", t->nr_sectors, t->first,
			     dmg_sum_text(&t->sum, sum));
	}
}

static void
describe_license(const struct dmg *d, struct pl_facts *facts)
{
	PL_AUTOFREE char *text = dmg_license(&d->resources);
	char *line = text, *next;

	pl_fact_flag(facts, "license", "licence agreement", text != NULL);
	for (size_t i = 0; line && i < MAX_LINES; line = next, i++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		pl_fact_text(facts, "license_text", "licence text", "%s", line);
	}
	if (line)
		pl_warn(facts, "the licence agreement has more than %d lines", MAX_LINES);
}

static void
warn(const struct dmg *d, struct pl_facts *facts)
{
	const struct dmg_tables *t = &d->tables;

	if (d->koly.list_moved)
		pl_warn(facts, "the trailer tells of another place of the property list");
	if (t->gap_sectors)
		pl_warn(facts,
			"%" PRIu64 " sectors are in none of the image's tables; they read as"
			" zeros",
			t->gap_sectors);
	if (d->koly.sectors > t->nr_sectors)
		pl_warn(facts,
			"the tables end at sector %" PRIu64 " of %" PRIu64
			"; what follows reads as zeros",
			t->nr_sectors, d->koly.sectors);
	if (d->koly.sectors && d->koly.sectors < t->nr_sectors)
		pl_warn(facts,
			"the trailer says that the disk has %" PRIu64
			" sectors, but the tables go on to %" PRIu64,
			d->koly.sectors, t->nr_sectors);
}

void
dmg_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	const struct dmg *d = dmg_of(disk);
	const struct dmg_koly *k = &d->koly;
	char text[PL_UUID_TEXT];
	char sum[32];

	pl_fact_text(facts, "subformat", "hdiutil format", "%s",
		     d->raw ? "UDRW" : dmg_kind_code(main_kind(d)));
	describe_compression(d, facts);
	describe_tables(d, facts);
	pl_fact_text(facts, "data_checksum", "data checksum", "%s",
		     dmg_sum_text(&k->data_sum, sum));
	pl_fact_text(facts, "master_checksum", "master checksum", "%s",
		     dmg_sum_text(&k->master_sum, sum));
	pl_fact_number(facts, "segments", "segments", PL_MAX(k->segments, 1u));
	if (!pl_is_zero(k->id, 16)) {
		pl_uuid_text(k->id, text);
		pl_fact_text(facts, "segment_id", "segment ID", "%s", text);
	}
	pl_fact_flag(facts, "signed", "signed", d->is_signed);
	if (k->flags & KOLY_INTERNET_ENABLED)
		pl_fact_flag(facts, "internet_enabled", "internet-enabled", true);
	describe_license(d, facts);
	warn(d, facts);
}

void
dmg_options_of(struct pl_disk *disk, struct pl_option_list *ret)
{
	enum dmg_kind kind = main_kind(dmg_of(disk));

	/* ADC is only read. */
	pl_option(ret, "format", "%s", dmg_kind_code(kind == DMG_ADC ? DMG_ZLIB : kind));
}
