/* SPDX-License-Identifier: GPL-3.0-or-later */
/* koly.c - the trailer of UDIF images, and the checksums in it */
#include <stdio.h>

#include "dmg.h"

/* What may stand behind the trailer: padding of downloads and burning programs. */
#define MAX_BEHIND KIB(64)

bool
dmg_is_koly(const uint8_t bytes[static KOLY_SIZE])
{
	return !memcmp(bytes, KOLY_MAGIC, 4) && get_be32(bytes + KOLY_HEADER_SIZE) == KOLY_SIZE;
}

struct dmg_sum
dmg_sum_decode(const uint8_t bytes[static SUM_BYTES])
{
	return (struct dmg_sum){ .type = get_be32(bytes),
				 .bits = get_be32(bytes + 4),
				 .crc = get_be32(bytes + 8) };
}

char *
dmg_sum_text(const struct dmg_sum *sum, char ret[static 32])
{
	if (sum->type == SUM_NONE)
		strcpy(ret, "none");
	else if (sum->type == SUM_CRC32)
		snprintf(ret, 32, "CRC-32 %08" PRIx32, sum->crc);
	else
		snprintf(ret, 32, "type %" PRIu32, sum->type);
	return ret;
}

/* At the end, at the start as the oldest images have it, or with a little behind it. */
static int
find_koly(struct pl_disk *file, uint8_t ret[static KOLY_SIZE], uint64_t *ret_at,
	  struct platter_error *err)
{
	size_t n = (size_t)PL_MIN(file->size, MAX_BEHIND);
	PL_AUTOFREE uint8_t *tail = malloc(MAX_BEHIND);
	int r;

	if (!tail)
		return pl_no_memory(err);
	r = pl_read(file, tail, n, file->size - n, err);
	if (r < 0)
		return r;
	for (size_t at = n >= KOLY_SIZE ? n - KOLY_SIZE + 1 : 0; at-- > 0;)
		if (dmg_is_koly(tail + at)) {
			memcpy(ret, tail + at, KOLY_SIZE);
			*ret_at = file->size - n + at;
			return 0;
		}
	r = pl_read_padded(file, ret, KOLY_SIZE, 0, NULL, err);
	if (r < 0)
		return r;
	*ret_at = 0;
	if (dmg_is_koly(ret))
		return 0;
	r = pl_corrupt(err, file->size > KOLY_SIZE ? file->size - KOLY_SIZE : 0,
		       "there is no UDIF trailer ('koly') at the end of '%s'", file->name);
	pl_hint(err, "the file is cut short, or it holds the bytes of a disk as they are: open it"
		     " with ?format=raw");
	return r;
}

/* Where a part of the file lies, and the fields that say so. */
struct part {
	const char *what;
	unsigned field;
	uint64_t offset, length;
};

static int
check_parts(const struct pl_disk *file, const struct dmg_koly *k, struct platter_error *err)
{
	/* A trailer at the start has everything behind it. */
	uint64_t end = k->at ? k->at : file->size;
	const struct part parts[] = {
		{ "data fork", KOLY_DATA_OFFSET, k->data_offset, k->data_length },
		{ "property list", KOLY_XML_OFFSET, k->xml_offset, k->xml_length },
		{ "resource fork", KOLY_RSRC_OFFSET, k->rsrc_offset, k->rsrc_length },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct part *p = &parts[i];

		/* Nothing but the list is needed where there is one. */
		if (!strcmp(p->what, "resource fork") && k->xml_length)
			continue;
		if (p->length && !pl_in_range(p->offset, p->length, end))
			return pl_corrupt(err, k->at + p->field,
					  "a %s of %" PRIu64 " bytes at byte %" PRIu64
					  " in an image whose trailer leaves room up to %" PRIu64,
					  p->what, p->length, p->offset, end);
	}
	return 0;
}

static bool
is_list(struct pl_disk *file, uint64_t at)
{
	static const char *const beginnings[] = { "<?xml", "<!DOCTYPE plist", "<plist" };
	uint8_t bytes[19];
	const uint8_t *p = bytes;

	if (pl_read_padded(file, bytes, sizeof bytes, at, NULL, NULL) < 0)
		return false;
	/* The mark of UTF-8. */
	if (!memcmp(p, "\xef\xbb\xbf", 3))
		p += 3;
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (!memcmp(p, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

/*
 * Some packers write a wrong place or length of the property list, over which hdiutil passes.
 * Where none is there, one that begins right behind the data fork is taken; its own end ends it.
 */
static void
find_list(struct pl_disk *file, struct dmg_koly *k)
{
	uint64_t end = k->at ? k->at : file->size, behind;

	if (!k->xml_offset && !k->xml_length)
		return;
	if (k->xml_length && pl_in_range(k->xml_offset, k->xml_length, end) &&
	    is_list(file, k->xml_offset))
		return;
	if (__builtin_add_overflow(k->data_offset, k->data_length, &behind) || behind >= end ||
	    !is_list(file, behind))
		return;
	k->list_moved = behind != k->xml_offset || k->xml_length > end - behind;
	if (!k->list_moved)
		return;
	k->xml_offset = behind;
	k->xml_length = PL_MIN(end - behind, DMG_MAX_PLIST);
}

int
dmg_koly_read(struct pl_disk *file, struct dmg_koly *ret, struct platter_error *err)
{
	uint8_t b[KOLY_SIZE];
	uint64_t at;
	int r = find_koly(file, b, &at, err);

	if (r < 0)
		return r;
	if (get_be32(b + KOLY_VERSION) != KOLY_VERSION_4)
		return pl_unsupported(err, at + KOLY_VERSION,
				      "version %" PRIu32 " of UDIF; 4 is known",
				      get_be32(b + KOLY_VERSION));
	*ret = (struct dmg_koly){
		.at = at,
		.flags = get_be32(b + KOLY_FLAGS),
		.running = get_be64(b + KOLY_RUNNING_OFFSET),
		.data_offset = get_be64(b + KOLY_DATA_OFFSET),
		.data_length = get_be64(b + KOLY_DATA_LENGTH),
		.rsrc_offset = get_be64(b + KOLY_RSRC_OFFSET),
		.rsrc_length = get_be64(b + KOLY_RSRC_LENGTH),
		.segment = get_be32(b + KOLY_SEGMENT),
		.segments = get_be32(b + KOLY_SEGMENTS),
		.data_sum = dmg_sum_decode(b + KOLY_DATA_SUM),
		.xml_offset = get_be64(b + KOLY_XML_OFFSET),
		.xml_length = get_be64(b + KOLY_XML_LENGTH),
		.signature_offset = get_be64(b + KOLY_SIGNATURE_OFFSET),
		.signature_length = get_be64(b + KOLY_SIGNATURE_LENGTH),
		.master_sum = dmg_sum_decode(b + KOLY_MASTER_SUM),
		.variant = get_be32(b + KOLY_VARIANT),
		.sectors = get_be64(b + KOLY_SECTORS),
	};
	memcpy(ret->id, b + KOLY_SEGMENT_ID, 16);
	if (ret->sectors > DMG_MAX_SECTORS)
		return pl_over_limit(err, at + KOLY_SECTORS,
				     "a disk of %" PRIu64 " sectors, limit is %" PRIu64,
				     ret->sectors, DMG_MAX_SECTORS);
	find_list(file, ret);
	if (ret->xml_length > DMG_MAX_PLIST)
		return pl_over_limit(err, at + KOLY_XML_LENGTH,
				     "a property list of %" PRIu64 " bytes, limit is %" PRIu64,
				     ret->xml_length, (uint64_t)DMG_MAX_PLIST);
	return check_parts(file, ret, err);
}
