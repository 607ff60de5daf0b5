/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat/identify.c - FAT12, FAT16 and FAT32
 *
 * The boot sector has no magic worth the name, so its fields are checked against each
 * other.  Which FAT it is follows from the number of clusters alone; the words in the
 * boot sector are decoration ("FAT: General Overview of On-Disk Format", 1.03).
 */
#include "superblock.h"

enum {
	FAT_OEM = 3,
	FAT_SECTOR_SIZE = 11,
	FAT_CLUSTER_SECTORS = 13,
	FAT_RESERVED = 14,
	FAT_FATS = 16,
	FAT_ROOT_ENTRIES = 17,
	FAT_SECTORS_16 = 19,
	FAT_MEDIA = 21,
	FAT_FAT_SIZE_16 = 22,
	FAT_SECTORS_32 = 32,
	FAT_FAT_SIZE_32 = 36,
	FAT_ROOT_CLUSTER = 44,
	FAT_FSINFO = 48,
	FAT_SIGNATURE = 510,
	/* The extended part: behind the common fields, in FAT32 behind its own. */
	FAT_EXT_16 = 36,
	FAT_EXT_32 = 64,
	EXT_BOOT_SIGNATURE = 2,
	EXT_SERIAL = 3,
	EXT_LABEL = 7,
	EXT_TYPE = 18,
};

/* A label stands among the first entries; this many bytes of the root folder are looked at. */
#define ROOT_LIMIT KIB(64)

struct fat {
	uint32_t sector_size, cluster_sectors, reserved, fats, root_entries, fat_sectors, sectors;
	uint32_t root_cluster, fsinfo;
	uint32_t data_start; /* sector of cluster 2 */
	uint32_t clusters;
	int bits;           /* 12, 16, 32 */
	const uint8_t *ext; /* boot signature, serial number, label, type; NULL if absent */
};

static bool
fat_geometry(const uint8_t *boot, struct fat *f)
{
	uint64_t data_start;

	*f = (struct fat){
		.sector_size = get_le16(boot + FAT_SECTOR_SIZE),
		.cluster_sectors = boot[FAT_CLUSTER_SECTORS],
		.reserved = get_le16(boot + FAT_RESERVED),
		.fats = boot[FAT_FATS],
		.root_entries = get_le16(boot + FAT_ROOT_ENTRIES),
		.fat_sectors = get_le16(boot + FAT_FAT_SIZE_16),
		.sectors = get_le16(boot + FAT_SECTORS_16),
	};
	if (!pl_is_power_of_two(f->sector_size) || f->sector_size < 512 || f->sector_size > 4096 ||
	    !pl_is_power_of_two(f->cluster_sectors) || !f->reserved || !f->fats || f->fats > 4 ||
	    (boot[FAT_MEDIA] != 0xf0 && boot[FAT_MEDIA] < 0xf8))
		return false;
	if (!f->sectors)
		f->sectors = get_le32(boot + FAT_SECTORS_32);
	if (!f->fat_sectors) {
		f->fat_sectors = get_le32(boot + FAT_FAT_SIZE_32);
		f->root_cluster = get_le32(boot + FAT_ROOT_CLUSTER);
		f->fsinfo = get_le16(boot + FAT_FSINFO);
		f->bits = 32;
	}
	data_start = f->reserved + (uint64_t)f->fats * f->fat_sectors +
		     pl_div_round_up((uint64_t)f->root_entries * 32, f->sector_size);
	if (!f->fat_sectors || data_start >= f->sectors)
		return false;
	f->data_start = (uint32_t)data_start;
	f->clusters = (f->sectors - f->data_start) / f->cluster_sectors;
	if (!f->bits)
		f->bits = f->clusters < 4085 ? 12 : 16;
	return (uint64_t)f->fat_sectors * f->sector_size * 8 / (unsigned)f->bits >= 2;
}

/* Bits of evidence beyond the geometry; 0 when it is not enough to call this FAT. */
static int
fat_evidence(const uint8_t *boot, struct fat *f)
{
	const uint8_t *ext = boot + (f->bits == 32 ? FAT_EXT_32 : FAT_EXT_16);
	bool signature = get_le16(boot + FAT_SIGNATURE) == 0xaa55;
	bool jump = boot[0] == 0xeb || boot[0] == 0xe9;
	bool type = !memcmp(ext + EXT_TYPE, "FAT", 3) || !memcmp(boot + 0x52, "MSWIN", 5) ||
		    !memcmp(boot + 0x36, "MSDOS", 5);

	/* An encrypted or NTFS volume keeps such a geometry for old boot code. */
	if (!memcmp(boot + FAT_OEM, "-FVE-FS-", 8) || !memcmp(boot + FAT_OEM, "NTFS    ", 8))
		return 0;
	if (!type && !(signature && jump))
		return 0;
	if (type || ext[EXT_BOOT_SIGNATURE] == 0x28 || ext[EXT_BOOT_SIGNATURE] == 0x29)
		f->ext = ext;
	return 16 * signature + 8 * jump + 24 * type;
}

static uint64_t
fat_at(const struct fat *f)
{
	return (uint64_t)f->reserved * f->sector_size;
}

/* The next cluster of a FAT32 chain, or 0 at its end. */
static uint32_t
next_cluster(struct pl_disk *disk, struct pl_content *c, const struct fat *f, uint32_t cluster)
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
tell_label(struct pl_disk *disk, struct pl_content *c, const struct fat *f)
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
count_free(struct pl_disk *disk, struct pl_content *c, const struct fat *f)
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
read_free(struct pl_disk *disk, struct pl_content *c, const struct fat *f)
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
tell_state(struct pl_disk *disk, struct pl_content *c, const struct fat *f, uint8_t media)
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
	const uint8_t *boot = c->head;
	struct fat f;
	uint64_t entries;
	int evidence;

	if (!fat_geometry(boot, &f))
		return -ENOENT;
	evidence = fat_evidence(boot, &f);
	if (!evidence)
		return -ENOENT;
	c->evidence = evidence;
	c->content.longname = names[f.bits == 12 ? 0 : f.bits == 16 ? 1 : 2];
	pl_super_size(disk, c, 0, f.sectors, f.sector_size);
	c->content.block_size = f.sector_size * f.cluster_sectors;
	entries = (uint64_t)f.fat_sectors * f.sector_size * 8 / (unsigned)f.bits;
	if (entries < (uint64_t)f.clusters + 2)
		pl_warn(&c->facts, "the FAT has %" PRIu64 " entries for %" PRIu32 " clusters",
			entries, f.clusters);

	tell_label(disk, c, &f);
	if (f.ext && get_le32(f.ext + EXT_SERIAL))
		pl_super_uuid_text(c, "%04X-%04X", get_le16(f.ext + EXT_SERIAL + 2),
				   get_le16(f.ext + EXT_SERIAL));
	tell_state(disk, c, &f, boot[FAT_MEDIA]);
	if (f.bits == 32)
		read_free(disk, c, &f);
	else
		count_free(disk, c, &f);
	pl_fact_size(&c->facts, "sector_size", "sector size", f.sector_size);
	pl_fact_number(&c->facts, "clusters", "clusters", f.clusters);
	pl_fact_text(&c->facts, "creator", "made by", "%.8s", (const char *)boot + FAT_OEM);
	if (f.ext && memcmp(f.ext + EXT_LABEL, "NO NAME    ", 11))
		pl_fact_text(&c->facts, "boot_label", "label in the boot sector", "%.11s",
			     (const char *)f.ext + EXT_LABEL);
	return 0;
}

const struct pl_content_driver pl_content_fat = {
	.info = { .name = "vfat", .longname = "FAT12, FAT16, FAT32" },
	.usage = "filesystem",
	.identify = fat_identify,
};
