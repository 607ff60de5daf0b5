/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat/identify.c - FAT12, FAT16 and FAT32
 *
 * The boot sector has no magic worth the name, so its fields are checked against each
 * other.  Which FAT it is follows from the number of clusters alone; the words in the
 * boot sector are decoration ("FAT: General Overview of On-Disk Format", 1.03).
 */
#include "fat.h"
#include "superblock.h"

/* A label stands among the first entries; this many bytes of the root folder are looked at. */
#define ROOT_LIMIT KIB(64)

/* Serial number, label, type: where the boot sector has them, or NULL. */
static const uint8_t *
extended_part(const uint8_t *boot, const struct fat_boot *f, bool *ret_type)
{
	const uint8_t *ext = boot + (f->bits == 32 ? FAT_EXT_32 : FAT_EXT_16);

	*ret_type = !memcmp(ext + EXT_TYPE, "FAT", 3) || !memcmp(boot + 0x52, "MSWIN", 5) ||
		    !memcmp(boot + 0x36, "MSDOS", 5);
	if (*ret_type || ext[EXT_BOOT_SIGNATURE] == 0x28 || ext[EXT_BOOT_SIGNATURE] == 0x29)
		return ext;
	return NULL;
}

/* Does the FAT begin with the media byte and ones?  Then no boot code is needed (Atari). */
static bool
fat_begins(const struct pl_content *c, const uint8_t *boot, const struct fat_boot *f)
{
	uint64_t at = fat_at(f);

	return at + 3 <= PL_CONTENT_HEAD && c->head[at] == boot[FAT_MEDIA] &&
	       get_le16(c->head + at + 1) == 0xffff;
}

/* Bits of evidence beyond the geometry; 0 when it is not enough to call this FAT. */
static int
fat_evidence(const struct pl_content *c, const uint8_t *boot, const struct fat_boot *f, bool type)
{
	bool signature = get_le16(boot + FAT_SIGNATURE) == 0xaa55;
	bool jump = boot[0] == 0xeb || boot[0] == 0xe9;

	/* An encrypted or NTFS volume keeps such a geometry for old boot code. */
	if (!memcmp(boot + FAT_OEM, "-FVE-FS-", 8) || !memcmp(boot + FAT_OEM, "NTFS    ", 8))
		return 0;
	if (type || (signature && jump))
		return 16 * signature + 8 * jump + 24 * type;
	return fat_begins(c, boot, f) ? 16 : 0;
}

/* The next cluster of a FAT32 chain, or 0 at its end. */
static uint32_t
next_cluster(struct pl_disk *disk, struct pl_content *c, const struct fat_boot *f, uint32_t cluster)
{
	uint8_t entry[4];

	if ((uint64_t)cluster * 4 + 4 > (uint64_t)f->fat_sectors * f->sector_size ||
	    !pl_super_read(disk, c, entry, 4, fat_at(f) + (uint64_t)cluster * 4, "the FAT"))
		return 0;
	return get_le32(entry) & 0x0fffffff;
}

/* Looks through n bytes of folder.  True when there is no need to look further. */
static bool
find_label(struct pl_content *c, const uint8_t *folder, size_t n)
{
	for (const uint8_t *e = folder; e + 32 <= folder + n; e += 32) {
		uint8_t name[11];

		if (!e[0])
			return true;
		/* Not deleted, no part of a long name, no folder, no cluster. */
		if (e[0] == 0xe5 || (e[11] & 0x3f) == 0x0f || (e[11] & 0x18) != 0x08 ||
		    get_le16(e + 20) || get_le16(e + 26))
			continue;
		memcpy(name, e, sizeof name);
		if (name[0] == 0x05)
			name[0] = 0xe5;
		pl_super_label(c, name, sizeof name);
		return true;
	}
	return false;
}

static void
tell_label(struct pl_disk *disk, struct pl_content *c, const struct fat_boot *f)
{
	uint32_t cluster_size = f->sector_size * f->cluster_sectors;
	uint32_t cluster = f->root_cluster;
	PL_AUTOFREE uint8_t *buf = malloc(PL_MAX((size_t)cluster_size, (size_t)ROOT_LIMIT));

	if (!buf)
		return;
	if (f->bits != 32) {
		size_t n = PL_MIN((size_t)f->root_entries * 32, (size_t)ROOT_LIMIT);
		uint64_t at = fat_at(f) + (uint64_t)f->fats * f->fat_sectors * f->sector_size;

		if (pl_super_read(disk, c, buf, n, at, "the root folder"))
			find_label(c, buf, n);
		return;
	}
	for (uint32_t seen = 0; seen < ROOT_LIMIT; seen += cluster_size) {
		uint64_t at;

		if (cluster < 2 || cluster - 2 >= f->clusters)
			return;
		at = (f->data_start + (uint64_t)(cluster - 2) * f->cluster_sectors) *
		     f->sector_size;
		if (!pl_super_read(disk, c, buf, cluster_size, at, "the root folder") ||
		    find_label(c, buf, cluster_size))
			return;
		cluster = next_cluster(disk, c, f, cluster);
	}
}

/* Counts the zero entries of a FAT of 12 or 16 bits: at most 128 KiB. */
static void
count_free(struct pl_disk *disk, struct pl_content *c, const struct fat_boot *f)
{
	size_t n = f->bits == 12 ? (f->clusters + 2) * 3 / 2 + 1 : (f->clusters + 2) * 2;
	PL_AUTOFREE uint8_t *fat = NULL;
	uint64_t nr = 0;

	if (n > (uint64_t)f->fat_sectors * f->sector_size || n > KIB(256))
		return;
	fat = malloc(n + 1);
	if (!fat || !pl_super_read(disk, c, fat, n, fat_at(f), "the FAT"))
		return;
	fat[n] = 0;
	for (uint32_t i = 2; i < f->clusters + 2; i++) {
		unsigned v = f->bits == 16 ? get_le16(fat + 2 * i) : get_le16(fat + i * 3 / 2);

		if (f->bits == 12)
			v = i & 1 ? v >> 4 : v & 0xfff;
		nr += !v;
	}
	pl_super_free(c, nr, f->sector_size * f->cluster_sectors);
}

/* FAT32 keeps the count; it is a hint, and all ones when nobody counted. */
static void
read_free(struct pl_disk *disk, struct pl_content *c, const struct fat_boot *f)
{
	uint8_t info[512];
	uint32_t nr;

	if (!f->fsinfo || f->fsinfo >= f->reserved ||
	    !pl_super_read(disk, c, info, sizeof info, (uint64_t)f->fsinfo * f->sector_size,
			   "the FSInfo sector") ||
	    memcmp(info, "RRaA", 4) || memcmp(info + 484, "rrAa", 4))
		return;
	nr = get_le32(info + 488);
	if (nr != UINT32_MAX)
		pl_super_free(c, nr, f->sector_size * f->cluster_sectors);
}

/* The first two entries of the FAT repeat the media byte and tell how it was left. */
static void
tell_state(struct pl_disk *disk, struct pl_content *c, const struct fat_boot *f, uint8_t media)
{
	uint8_t fat[8];
	bool clean, good;

	if (!pl_super_read(disk, c, fat, sizeof fat, fat_at(f), "the FAT"))
		return;
	if (fat[0] != media) {
		pl_warn(&c->facts, "the FAT begins with %#x, the boot sector says %#x", fat[0],
			media);
		return;
	}
	c->evidence += 8;
	if (f->bits == 12)
		return;
	clean = f->bits == 16 ? get_le16(fat + 2) & 0x8000 : get_le32(fat + 4) & 0x08000000;
	good = f->bits == 16 ? get_le16(fat + 2) & 0x4000 : get_le32(fat + 4) & 0x04000000;
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", clean);
	if (!good)
		pl_warn(&c->facts, "marked as having had read errors");
}

static int
fat_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	static const char *const names[] = { "FAT12", "FAT16", "FAT32" };
	const uint8_t *boot = c->head, *ext;
	struct fat_boot f;
	uint64_t entries;
	int evidence = 0;
	bool type;

	if (pl_fat_boot_decode(boot, &f, NULL) == 0) {
		ext = extended_part(boot, &f, &type);
		evidence = fat_evidence(c, boot, &f, type);
	}
	if (!evidence) {
		boot = pl_fat_backup_boot(c->head, PL_CONTENT_HEAD, &f);
		if (!boot)
			return -ENOENT;
		ext = extended_part(boot, &f, &type);
		evidence = fat_evidence(c, boot, &f, type);
		c->leftover = true;
		pl_warn(&c->facts, "the boot sector is gone: its copy in sector 6 is used");
	}
	c->evidence = evidence;
	c->content.longname = names[f.bits == 12 ? 0 : f.bits == 16 ? 1 : 2];
	pl_super_size(disk, c, 0, f.sectors, f.sector_size);
	c->content.block_size = f.sector_size * f.cluster_sectors;
	entries = (uint64_t)f.fat_sectors * f.sector_size * 8 / (unsigned)f.bits;
	if (entries < (uint64_t)f.clusters + 2)
		pl_warn(&c->facts, "the FAT has %" PRIu64 " entries for %" PRIu32 " clusters",
			entries, f.clusters);

	tell_label(disk, c, &f);
	if (ext && get_le32(ext + EXT_SERIAL))
		pl_super_uuid_text(c, "%04X-%04X", get_le16(ext + EXT_SERIAL + 2),
				   get_le16(ext + EXT_SERIAL));
	tell_state(disk, c, &f, boot[FAT_MEDIA]);
	if (f.bits == 32)
		read_free(disk, c, &f);
	else
		count_free(disk, c, &f);
	pl_fact_size(&c->facts, "sector_size", "sector size", f.sector_size);
	pl_fact_number(&c->facts, "clusters", "clusters", f.clusters);
	pl_fact_text(&c->facts, "creator", "made by", "%.8s", (const char *)boot + FAT_OEM);
	if (ext && memcmp(ext + EXT_LABEL, "NO NAME    ", 11))
		pl_fact_text(&c->facts, "boot_label", "label in the boot sector", "%.11s",
			     (const char *)ext + EXT_LABEL);
	return 0;
}

const struct pl_content_driver pl_content_fat = {
	.info = { .name = "vfat", .longname = "FAT12, FAT16, FAT32" },
	.usage = "filesystem",
	.identify = fat_identify,
	.open = pl_fat_open,
	.views = pl_fat_views,
};
