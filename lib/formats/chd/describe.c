/* SPDX-License-Identifier: GPL-3.0-or-later */
/* describe.c - what is told of a CHD */
#include <stdio.h>

#include "chd.h"
#include "text.h"

static void
describe_codecs(const struct chd *c, struct pl_facts *facts)
{
	char text[NR_CODECS * 8] = "";

	for (int i = 0; i < NR_CODECS && c->version == 5; i++)
		if (c->codecs[i])
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
				 *text ? ", " : "", c->codecs[i]->name);
	if (c->version < 5 && get_be32(c->header + OLD_CODEC))
		strcpy(text, "zlib");
	pl_fact_text(facts, "compression", "compression", "%s", *text ? text : "none");
}

static const char *
kind_of(const struct chd *c)
{
	static const struct {
		uint32_t tag;
		const char *kind;
	} kinds[] = {
		{ TAG_HARD_DISK, "hard disk" }, { TAG_DVD, "DVD" },
		{ TAG_CD_TRACK, "CD" },         { TAG_CD_OLD, "CD" },
		{ TAG_GD_TRACK, "GD-ROM" },     { TAG_GD_OLD, "GD-ROM" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (pl_chd_metadata_find(&c->metadata, kinds[i].tag))
			return kinds[i].kind;
	return "raw data";
}

static void
describe_geometry(const struct chd *c, struct pl_facts *facts)
{
	const struct metadata *e = pl_chd_metadata_find(&c->metadata, TAG_HARD_DISK);
	const char *text = e ? (const char *)e->bytes : "";
	uint32_t cylinders, heads, sectors;

	if (pl_chd_metadata_number(text, "CYLS", &cylinders) &&
	    pl_chd_metadata_number(text, "HEADS", &heads) &&
	    pl_chd_metadata_number(text, "SECS", &sectors))
		pl_fact_text(facts, "geometry", "geometry",
			     "%" PRIu32 " cylinders, %" PRIu32 " heads, %" PRIu32 " sectors",
			     cylinders, heads, sectors);
}

static void
describe_sha1(struct pl_facts *facts, const char *key, const char *label, const uint8_t *sha1)
{
	char text[SHA1_TEXT];

	if (!pl_is_zero(sha1, SHA1_BYTES))
		pl_fact_text(facts, key, label, "%s", pl_chd_sha1_text(sha1, text));
}

void
pl_chd_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	const struct chd *c = chd_of(disk);

	pl_fact_number(facts, "version", "version", c->version);
	pl_fact_text(facts, "contents", "holds", "%s", kind_of(c));
	pl_fact_size(facts, "hunk_size", "hunk size", c->hunk_size);
	describe_codecs(c, facts);
	describe_geometry(c, facts);
	describe_sha1(facts, "sha1", "SHA-1", c->whole_sha1);
	describe_sha1(facts, "data_sha1", "SHA-1 of the data", c->data_sha1);
	if (c->has_parent)
		describe_sha1(facts, "parent_sha1", "SHA-1 of the parent", c->parent_sha1);
}
