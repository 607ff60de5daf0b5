/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * swap/identify.c - Linux swap: a signature in the last ten bytes of the first page, whose
 * size is the maker's, and since version 1 a header at byte 1024
 *
 * A hibernated system replaces the signature; its memory is what the swap then holds.
 */
#include "superblock.h"

enum {
	SWAP_VERSION = 1024,
	SWAP_LAST_PAGE = 1028,
	SWAP_BAD_PAGES = 1032,
	SWAP_UUID = 1036,
	SWAP_LABEL = 1052
};

static const struct {
	const char *signature;
	bool version_1, hibernated;
} kinds[] = {
	{ "SWAPSPACE2", true, false },
	{ "SWAP-SPACE", false, false },
	{ "S1SUSPEND", true, true },
	{ "S2SUSPEND", true, true },
	{ "ULSUSPEND", true, true },
	{ "LINHIB0001", true, true },
	{ "\xed\xc3\x02\xe9\x98\x56\xe5\x0c", true, true },
};

static bool
tell_version_1(struct pl_disk *disk, struct pl_content *c, uint32_t page)
{
	const uint8_t *head = c->head;
	bool big_endian = get_be32(head + SWAP_VERSION) == 1;
	uint32_t last =
		big_endian ? get_be32(head + SWAP_LAST_PAGE) : get_le32(head + SWAP_LAST_PAGE);
	uint32_t bad =
		big_endian ? get_be32(head + SWAP_BAD_PAGES) : get_le32(head + SWAP_BAD_PAGES);

	if ((!big_endian && get_le32(head + SWAP_VERSION) != 1) || !last)
		return false;
	c->evidence += 32;
	pl_super_label(c, head + SWAP_LABEL, 16);
	pl_super_uuid(c, head + SWAP_UUID);
	pl_super_size(disk, c, 0, (uint64_t)last + 1, page);
	if (bad)
		pl_fact_number(&c->facts, "bad_pages", "bad pages", bad);
	return true;
}

static int
swap_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	for (uint32_t page = 4096; page <= KIB(64); page *= 2) {
		const uint8_t *at = c->head + page - 10;

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			size_t n = strlen(kinds[i].signature);

			if (memcmp(at, kinds[i].signature, n))
				continue;
			c->evidence = (int)n * 8;
			if (kinds[i].hibernated) {
				c->content.name = "swsuspend";
				c->content.longname = "Linux swap holding a hibernated system";
				pl_warn(&c->facts,
					"a hibernated system is stored here: its disks must "
					"not be changed before it resumes");
			}
			if (kinds[i].version_1 && !tell_version_1(disk, c, page) &&
			    !kinds[i].hibernated)
				continue;
			c->content.block_size = page;
			pl_fact_number(&c->facts, "version", "version", kinds[i].version_1);
			return 0;
		}
	}
	return -ENOENT;
}

/* Pages that were swapped out are worthless after a start; only what mkswap wrote stays. */
static int
swap_used(struct pl_disk *disk, struct pl_ranges *used, struct platter_error *err)
{
	uint8_t head[KIB(64)];
	int r = pl_read_padded(disk, head, sizeof head, 0, NULL, err);

	for (uint32_t page = 4096; page <= sizeof head && r == 0; page *= 2)
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!memcmp(head + page - 10, kinds[i].signature,
				    strlen(kinds[i].signature)))
				return kinds[i].hibernated
					       ? pl_unsupported(err, PLATTER_NO_OFFSET,
								"it holds a hibernated system")
					       : pl_ranges_add(used, 0, page, err);
	return r < 0 ? r : pl_corrupt(err, 4086, "the signature of swap is gone");
}

const struct pl_content_driver pl_content_swap = {
	.info = { .name = "swap", .longname = "Linux swap" },
	.usage = "other",
	.identify = swap_identify,
	.used = swap_used,
};
