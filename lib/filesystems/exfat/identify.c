/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/identify.c - the boot sector of exFAT, and the label and allocation bitmap in its
 * root folder ("exFAT file system specification", Microsoft, 2019)
 */
#include "exfat.h"
#include "superblock.h"

/* Both entries stand at the beginning of the root folder; this much of it is looked at. */
#define ROOT_LIMIT KIB(64)
/* A bitmap up to this size (4 Mi clusters) is counted. */
#define BITMAP_LIMIT KIB(512)

/* Byte of the disk where a cluster begins; 0 if there is no such cluster. */
static uint64_t
cluster_at(const struct exfat_boot *x, uint32_t cluster)
{
	if (cluster < 2 || cluster - 2 >= x->clusters)
		return 0;
	return ((uint64_t)x->heap_offset << x->sector_bits) +
	       ((uint64_t)(cluster - 2) << x->cluster_bits);
}

static void
count_free(struct pl_disk *disk, struct pl_content *c, const struct exfat_boot *x,
	   const uint8_t *entry)
{
	uint64_t at = cluster_at(x, get_le32(entry + 20));
	size_t n = (size_t)x->clusters / 8 + 1;
	PL_AUTOFREE uint8_t *bits = NULL;
	uint64_t used = 0;

	if (!at || n > BITMAP_LIMIT || get_le64(entry + 24) < pl_div_round_up(x->clusters, 8))
		return;
	bits = calloc(1, n);
	if (!bits || !pl_super_read(disk, c, bits, (size_t)pl_div_round_up(x->clusters, 8), at,
				    "the allocation bitmap"))
		return;
	for (uint32_t i = 0; i < x->clusters; i++)
		used += bits[i / 8] >> i % 8 & 1;
	pl_super_free(c, x->clusters - used, 1u << x->cluster_bits);
}

static bool
look_through(struct pl_disk *disk, struct pl_content *c, const struct exfat_boot *x,
	     const uint8_t *folder, size_t n)
{
	for (const uint8_t *e = folder; e + 32 <= folder + n; e += 32) {
		if (!e[0])
			return true;
		if (e[0] == ENTRY_LABEL)
			pl_super_label_utf16le(c, e + 2, PL_MIN(e[1], 11));
		else if (e[0] == ENTRY_BITMAP && !(e[1] & 1))
			count_free(disk, c, x, e);
	}
	return false;
}

static void
read_root(struct pl_disk *disk, struct pl_content *c, const struct exfat_boot *x)
{
	size_t n = PL_MIN((size_t)1 << x->cluster_bits, (size_t)ROOT_LIMIT);
	PL_AUTOFREE uint8_t *buf = malloc(n);
	uint32_t cluster = x->root_cluster;

	for (size_t seen = 0; buf && seen < ROOT_LIMIT; seen += n) {
		uint64_t at = cluster_at(x, cluster);
		uint8_t entry[4];

		if (!at || !pl_super_read(disk, c, buf, n, at, "the root folder") ||
		    look_through(disk, c, x, buf, n))
			return;
		if ((uint64_t)cluster * 4 + 4 > (uint64_t)x->fat_length << x->sector_bits ||
		    !pl_super_read(disk, c, entry, 4,
				   ((uint64_t)x->fat_offset << x->sector_bits) +
					   (uint64_t)cluster * 4,
				   "the FAT"))
			return;
		cluster = get_le32(entry);
	}
}

static int
exfat_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *boot = c->head;
	struct exfat_boot x;

	if (pl_exfat_boot_decode(boot, &x, NULL) < 0) {
		boot = pl_exfat_backup_boot(c->head, PL_CONTENT_HEAD, &x);
		if (!boot)
			return -ENOENT;
		c->leftover = true;
		pl_warn(&c->facts, "the boot region is gone: its copy is used");
	}
	c->evidence = 64 + 53 * 8;
	pl_super_size(disk, c, 0, x.sectors, 1u << x.sector_bits);
	c->content.block_size = 1u << x.cluster_bits;
	if (get_le32(boot + EXFAT_SERIAL))
		pl_super_uuid_text(c, "%04X-%04X", get_le16(boot + EXFAT_SERIAL + 2),
				   get_le16(boot + EXFAT_SERIAL));
	if (!pl_exfat_boot_checksum_matches(boot, x.sector_bits))
		pl_warn(&c->facts, "boot sector checksum does not match");
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", !(x.flags & FLAG_DIRTY));
	if (x.flags & FLAG_MEDIA_FAILURE)
		pl_warn(&c->facts, "marked as having had read errors");
	pl_fact_text(&c->facts, "version", "version", "%u.%02u", boot[EXFAT_REVISION + 1],
		     boot[EXFAT_REVISION]);
	pl_fact_size(&c->facts, "sector_size", "sector size", UINT64_C(1) << x.sector_bits);
	read_root(disk, c, &x);
	return 0;
}

const struct pl_content_driver pl_content_exfat = {
	.info = { .name = "exfat", .longname = "Microsoft exFAT" },
	.usage = "filesystem",
	.identify = exfat_identify,
	.open = pl_exfat_open,
};
