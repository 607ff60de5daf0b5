/* SPDX-License-Identifier: GPL-3.0-or-later */
/* traces.c - superblocks, boot sectors, tables and their copies, wherever they are */
#include "traces.h"

#include <pthread.h>

#include "checksums.h"
#include "content.h"
#include "gpt.h"
#include "text.h"
#include "volume.h"

struct pl_trace_kind {
	const char *driver; /* that recognises it; "gpt", "apm": a table */
	uint16_t at;        /* of the magic in its sector */
	uint8_t length;
	const char *magic;
	const char *what; /* "superblock" */
	/* Cheap tests of the fields beside the magic, and what it may tell of: how many. */
	size_t (*locate)(const uint8_t *p, uint64_t at, struct pl_candidate *ret);
};

/* Begin a structure `before` bytes before the trace; nothing that long is on any disk. */
static struct pl_candidate
candidate(uint64_t at, uint64_t before, uint64_t restore, bool copy)
{
	int64_t start;

	if (at > INT64_MAX || before > INT64_MAX ||
	    __builtin_sub_overflow((int64_t)at, (int64_t)before, &start))
		start = INT64_MIN;
	return (struct pl_candidate){ start, restore, copy };
}

/* One that stands where it belongs, `before` bytes from the start. */
static size_t
in_place(uint64_t at, uint64_t before, struct pl_candidate *ret)
{
	ret[0] = candidate(at, before, PL_TRACE_IN_PLACE, false);
	return 1;
}

static size_t
locate_here(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, 0, ret);
}

/* Superblock at 1024: a copy says which group it begins.  (ext4 documentation, "Super Block") */
static size_t
locate_ext(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint32_t log_block = get_le32(p + 24), group = get_le16(p + 90), first = get_le32(p + 20);
	uint64_t block_size, per_group = get_le32(p + 32);

	if (log_block > 6 || first > 1 || get_le32(p + 76) > 1 || !get_le32(p) ||
	    !get_le32(p + 4) || !per_group || !get_le32(p + 40) || get_le16(p + 58) > 7 ||
	    get_le32(p + 72) > 4)
		return 0;
	if (!group)
		return in_place(at, 1024, ret);
	block_size = UINT64_C(1024) << log_block;
	ret[0] = candidate(at, (group * per_group + first) * block_size, 1024, true);
	return 1;
}

/* The boot sector of NTFS has a copy in the sector behind the last that it counts. */
static size_t
locate_ntfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t sector = get_le16(p + 11), nr = get_le64(p + 40), size;

	if (get_le16(p + 510) != 0xaa55 || !pl_is_power_of_two(sector) || sector < 256 ||
	    sector > 4096 || !nr || __builtin_mul_overflow(sector, nr, &size))
		return 0;
	in_place(at, 0, ret);
	ret[1] = candidate(at, size, 0, true);
	return 2;
}

static size_t
locate_fat(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t sector = get_le16(p + 11);

	if (get_le16(p + 510) != 0xaa55 || (p[0] != 0xeb && p[0] != 0xe9) ||
	    !pl_is_power_of_two(sector) || sector < 512 || sector > 4096)
		return 0;
	in_place(at, 0, ret);
	if (memcmp(p + 82, "FAT32", 5) != 0 || get_le16(p + 50) != 6)
		return 1;
	ret[1] = candidate(at, 6 * sector, 0, true);
	return 2;
}

static size_t
locate_exfat(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	if (p[108] < 9 || p[108] > 12 || !pl_is_zero(p + 11, 53))
		return 0;
	in_place(at, 0, ret);
	ret[1] = candidate(at, UINT64_C(12) << p[108], 0, true);
	return 2;
}

/* The sector behind a superblock is the header of its allocation group, which has its number. */
static size_t
locate_xfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint32_t sector = get_be16(p + 102), block = get_be32(p + 4);
	uint64_t group = 0, blocks = get_be32(p + 84);

	if (!pl_is_power_of_two(block) || block < 512 || block > KIB(64) ||
	    !pl_is_power_of_two(sector) || sector < 512 || !blocks || !get_be32(p + 88))
		return 0;
	if (sector <= PL_TRACE_LOOK / 2 && !memcmp(p + sector, "XAGF", 4))
		group = get_be32(p + sector + 8);
	if (!group)
		return in_place(at, 0, ret);
	if (group >= get_be32(p + 88))
		return 0;
	ret[0] = candidate(at, group * blocks * block, 0, true);
	return 1;
}

/* A superblock says at which byte it is: 64 KiB, 64 MiB or 256 GiB. */
static size_t
locate_btrfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t self = get_le64(p + 48);

	if (self != KIB(64) && self != MIB(64) && self != GIB(256))
		return 0;
	ret[0] =
		candidate(at, self, self == KIB(64) ? PL_TRACE_IN_PLACE : KIB(64), self != KIB(64));
	return 1;
}

/* What says where it is has to say where it will be, under its checksum. */
static void
restore_btrfs(uint8_t *p)
{
	put_le64(p + 48, KIB(64));
	put_le32(p, pl_crc32c(0, p + 32, KIB(4) - 32));
}

/* The header at 1024, and its copy 1024 bytes before the end.  (TN1150) */
static size_t
locate_hfsplus(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t block = get_be32(p + 40), nr = get_be32(p + 44);

	if (!pl_is_power_of_two(block) || block < 512 || !nr || get_be32(p + 48) > nr)
		return 0;
	in_place(at, 1024, ret);
	ret[1] = candidate(at + 1024, nr * block, 1024, true);
	return 2;
}

/* "Inside Macintosh: Files": block size, name, bitmap of a master directory block. */
static size_t
locate_hfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t block = get_be32(p + 20), nr = get_be16(p + 18), first = get_be16(p + 28);

	if (block < 512 || block % 512 || block > MIB(64) || !nr || !p[36] || p[36] > 27 ||
	    get_be16(p + 14) != 3 || !first || get_be16(p + 34) > nr)
		return 0;
	in_place(at, 1024, ret);
	ret[1] = candidate(at + 1024, first * 512 + nr * block + 1024, 1024, true);
	return 2;
}

/* Block 0, and copies in the checkpoint descriptor area, where the last one ends a checkpoint. */
static size_t
locate_apfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t block = get_le32(p + 36), base = get_le64(p + 112), index = get_le32(p + 136);
	uint64_t nr = get_le32(p + 104) & 0x7fffffff, length = get_le32(p + 140);

	if (!pl_is_power_of_two(block) || block < 4096 || block > KIB(64) || !get_le64(p + 40))
		return 0;
	in_place(at, 0, ret);
	if (!nr || !length || length > nr || base > INT64_MAX / block / 2)
		return 1;
	ret[1] = candidate(at, (base + (index + length - 1) % nr) * block, 0, true);
	return 2;
}

static size_t
locate_luks(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint16_t version = get_be16(p + 6);

	return version == 1 || version == 2 ? in_place(at, 0, ret) : 0;
}

/* The driver finds the copy in its place by itself. */
static size_t
locate_luks_copy(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t own = get_be64(p + 256);

	if (get_be16(p + 6) != 2 || !pl_is_power_of_two(own) || own < KIB(16) || own > MIB(4))
		return 0;
	ret[0] = candidate(at, own, PL_TRACE_IN_PLACE, true);
	return 1;
}

static size_t
locate_lvm(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	if (memcmp(p + 24, "LVM2 001", 8) != 0 || get_le64(p + 8) > 3)
		return 0;
	return in_place(at, get_le64(p + 8) * 512, ret);
}

static size_t
locate_md(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint64_t own = get_le64(p + 144);

	if (get_le32(p + 4) != 1 || own > INT64_MAX / 512 || get_le32(p + 220) > 1920)
		return 0;
	return in_place(at, own * 512, ret);
}

/* In the last ten bytes of the first page. */
static size_t
locate_swap(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, 4096 - 512, ret);
}

static size_t
locate_32k(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, KIB(32), ret);
}

static size_t
locate_1k(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, KIB(1), ret);
}

static size_t
locate_4k(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, KIB(4), ret);
}

static size_t
locate_64k(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, KIB(64), ret);
}

/* Two copies, one block apart.  (f2fs documentation) */
static size_t
locate_f2fs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	if (get_le32(p + 16) != 12 || get_le32(p + 12) > 4)
		return 0;
	in_place(at, 1024, ret);
	ret[1] = candidate(at, 1024 + 4096, 1024, true);
	return 2;
}

static size_t
locate_jfs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	if (!get_le32(p + 4) || get_le32(p + 4) > 2)
		return 0;
	in_place(at, KIB(32), ret);
	ret[1] = candidate(at, KIB(60), KIB(32), true);
	return 2;
}

static size_t
locate_ufs(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	(void)p;
	return in_place(at, KIB(65), ret);
}

/* Both copies have their own number and that of the other.  (UEFI 2.10, 5.3.2) */
static size_t
locate_gpt(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	static const uint32_t sectors[] = { 512, 4096 };
	uint32_t size = get_le32(p + GPT_HEADER_SIZE);
	uint64_t lba = get_le64(p + GPT_MY_LBA);
	size_t nr = 0;

	if (size < 92 || size > 512 || pl_gpt_header_crc(p, size) != get_le32(p + GPT_HEADER_CRC) ||
	    !lba || lba > INT64_MAX / 4096)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++)
		ret[nr++] = candidate(at, lba * sectors[i], PL_TRACE_IN_PLACE, lba != 1);
	return nr;
}

static size_t
locate_apm(const uint8_t *p, uint64_t at, struct pl_candidate *ret)
{
	uint32_t block = get_be16(p + 2);

	if ((block != 512 && block != 2048) || memcmp(p + block, "PM\0\0", 4) != 0)
		return 0;
	return in_place(at, 0, ret);
}

#define MAGIC(text) sizeof(text) - 1, text

static const struct pl_trace_kind kinds[] = {
	{ "ext4", 56, MAGIC("\x53\xef"), "superblock", locate_ext },
	{ "ntfs", 3, MAGIC("NTFS    "), "boot sector", locate_ntfs },
	{ "vfat", 82, MAGIC("FAT32   "), "boot sector", locate_fat },
	{ "vfat", 54, MAGIC("FAT16   "), "boot sector", locate_fat },
	{ "vfat", 54, MAGIC("FAT12   "), "boot sector", locate_fat },
	{ "exfat", 3, MAGIC("EXFAT   "), "boot sector", locate_exfat },
	{ "xfs", 0, MAGIC("XFSB"), "superblock", locate_xfs },
	{ "btrfs", 64, MAGIC("_BHRfS_M"), "superblock", locate_btrfs },
	{ "hfsplus", 0, MAGIC("H+\0\4"), "volume header", locate_hfsplus },
	{ "hfsplus", 0, MAGIC("HX\0\5"), "volume header", locate_hfsplus },
	{ "hfs", 0, MAGIC("BD"), "master directory block", locate_hfs },
	{ "apfs", 32, MAGIC("NXSB"), "container superblock", locate_apfs },
	{ "crypto_LUKS", 0, MAGIC("LUKS\xba\xbe"), "header", locate_luks },
	{ "crypto_LUKS", 0, MAGIC("SKUL\xba\xbe"), "header", locate_luks_copy },
	{ "BitLocker", 3, MAGIC("-FVE-FS-"), "boot sector", locate_here },
	{ "LVM2_member", 0, MAGIC("LABELONE"), "label", locate_lvm },
	{ "linux_raid_member", 0, MAGIC("\xfc\x4e\x2b\xa9"), "superblock", locate_md },
	{ "swap", 502, MAGIC("SWAPSPACE2"), "signature", locate_swap },
	{ "swap", 502, MAGIC("SWAP-SPACE"), "signature", locate_swap },
	{ "iso9660", 0, MAGIC("\1CD001\1"), "volume descriptor", locate_32k },
	{ "udf", 0, MAGIC("\0BEA01\1"), "volume recognition sequence", locate_32k },
	{ "f2fs", 0, MAGIC("\x10\x20\xf5\xf2"), "superblock", locate_f2fs },
	{ "jfs", 0, MAGIC("JFS1"), "superblock", locate_jfs },
	{ "reiserfs", 52, MAGIC("ReIsEr"), "superblock", locate_64k },
	{ "ufs", 348, MAGIC("\x19\x01\x54\x19"), "superblock", locate_ufs },
	{ "squashfs", 0, MAGIC("hsqs"), "superblock", locate_here },
	{ "erofs", 0, MAGIC("\xe2\xe1\xf5\xe0"), "superblock", locate_1k },
	{ "cramfs", 0, MAGIC("\x45\x3d\xcd\x28"), "superblock", locate_here },
	{ "romfs", 0, MAGIC("-rom1fs-"), "superblock", locate_here },
	{ "bcache", 24, MAGIC("\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
	  "superblock", locate_4k },
	{ "ReFS", 3, MAGIC("ReFS\0\0\0\0"), "boot sector", locate_here },
	{ "gpt", 0, MAGIC("EFI PART"), "header", locate_gpt },
	{ "apm", 0, MAGIC("ER"), "driver descriptor", locate_apm },
};

/* Where magics are in a sector, and for each place the bytes that one begins with. */
static struct {
	uint16_t at[16];
	bool first[16][256];
	size_t nr;
} places;
static pthread_once_t places_made = PTHREAD_ONCE_INIT;

static void
make_places(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t k = 0;

		while (k < places.nr && places.at[k] != kinds[i].at)
			k++;
		if (k == places.nr)
			places.at[places.nr++] = kinds[i].at;
		places.first[k][(uint8_t)kinds[i].magic[0]] = true;
	}
}

const struct pl_trace_kind *
pl_trace_find(const uint8_t *p)
{
	struct pl_candidate c[PL_MAX_CANDIDATES];
	bool any = false;

	pthread_once(&places_made, make_places);
	for (size_t i = 0; i < places.nr; i++)
		any |= places.first[i][p[places.at[i]]];
	for (size_t i = 0; any && i < ARRAY_SIZE(kinds); i++) {
		const struct pl_trace_kind *k = &kinds[i];

		if (!memcmp(p + k->at, k->magic, k->length) && k->locate(p, 0, c))
			return k;
	}
	return NULL;
}

size_t
pl_trace_candidates(const struct pl_trace_kind *kind, const uint8_t *p, uint64_t at,
		    struct pl_candidate ret[static PL_MAX_CANDIDATES])
{
	return kind->locate(p, at, ret);
}

/* A disk from `start` of another one on, in which a copy was put back in its place. */
struct restored {
	struct pl_disk disk;
	struct pl_disk *below, *copy; /* references; */
	uint64_t start, at;
};

static int
restored_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	     struct platter_error *err)
{
	struct restored *s = pl_container_of(disk, struct restored, disk);
	uint64_t n = s->copy ? s->copy->size : 0;

	(void)err;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA,
				   .length = length,
				   .below = s->below,
				   .stored_offset = s->start + offset };
	if (!n)
		return 0;
	if (offset < s->at) {
		ret->length = PL_MIN(length, s->at - offset);
	} else if (offset - s->at < n) {
		ret->below = s->copy;
		ret->stored_offset = offset - s->at;
		ret->length = PL_MIN(length, n - ret->stored_offset);
	}
	return 0;
}

static struct pl_disk *
restored_below(struct pl_disk *disk, size_t index)
{
	struct restored *s = pl_container_of(disk, struct restored, disk);

	return index == 0 ? s->below : index == 1 ? s->copy : NULL;
}

static void
restored_free(struct pl_disk *disk)
{
	struct restored *s = pl_container_of(disk, struct restored, disk);

	pl_disk_unref(s->below);
	pl_disk_unref(s->copy);
	pl_disk_done(disk);
	free(s);
}

static const struct pl_disk_ops restored_ops = {
	.name = "restored",
	.map = restored_map,
	.below = restored_below,
	.free = restored_free,
};

/* `copy` may be NULL; else its n bytes are put back at byte `at` of it. */
static struct pl_disk *
restored_new(struct pl_disk *below, uint64_t start, const uint8_t *copy, size_t n, uint64_t at)
{
	struct restored *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	if (pl_disk_init(&s->disk, &restored_ops, below->name, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->below = pl_disk_ref(below);
	s->start = start;
	s->at = at;
	s->disk.size = below->size - start;
	s->disk.sector_size = below->sector_size;
	s->disk.physical_sector_size = below->physical_sector_size;
	if (pl_disk_stack(&s->disk, below, NULL) < 0 ||
	    (copy && pl_memory_new(copy, n, below->name, &s->copy, NULL) < 0)) {
		pl_disk_unref(&s->disk);
		return NULL;
	}
	return &s->disk;
}

/* What systems put into every root by themselves. */
static bool
is_users(const char *name)
{
	static const char *const systems[] = {
		"lost+found",      "System Volume Information",
		"RECYCLER",        "Recycled",
		"desktop.ini",     ".fseventsd",
		".Spotlight-V100", ".Trashes",
		".journal",        ".journal_info_block",
		".TemporaryItems", ".DocumentRevisions-V100",

	};

	if (name[0] == '$')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(systems); i++)
		if (!strcmp(name, systems[i]))
			return false;
	return true;
}

struct lister {
	struct pl_volume *v;
	uint64_t nr;
};

static int
count_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct lister *l = closure;

	(void)err;
	l->nr += is_users(e->name);
	/* It is enough to know that there are many. */
	return l->nr < 1000 ? 0 : -EFBIG;
}

int
pl_root_entries(struct pl_disk *disk, uint64_t *ret)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct lister l = { 0 };
	int r = pl_volume_open(disk, NULL, NULL, 0, &v, NULL);

	if (r < 0)
		return r;
	r = pl_volume_list(v, v->root, count_entry, &l, NULL);
	*ret = l.nr;
	return r == -EFBIG ? 0 : r;
}

static const char *
evidence_text(struct pl_arena *arena, const struct pl_trace_kind *kind, bool copy)
{
	return copy ? pl_arena_format(arena, "copy of the %s", kind->what) : kind->what;
}

static bool
look_at_table(struct pl_disk *disk, const struct pl_trace_kind *kind, const uint8_t *p,
	      const struct pl_candidate *c, struct pl_arena *arena, struct pl_traced *ret)
{
	bool gpt = !strcmp(kind->driver, "gpt");
	uint64_t sector = get_le64(p + GPT_MY_LBA);
	PL_AUTOFREE uint8_t *array = NULL;
	struct platter_structure *s = &ret->structure;
	char guid[PL_UUID_TEXT];
	uint32_t nr, size, used = 0;
	uint64_t at;

	s->type = PLATTER_STRUCTURE_TABLE;
	s->name = kind->driver;
	s->label = s->uuid = "";
	ret->usage = "table";
	ret->evidence = 96;
	if (!gpt) {
		s->longname = "Apple partition map";
		s->length = (uint64_t)get_be16(p + 2) * get_be32(p + 4);
		return true;
	}
	sector = (s->at - (uint64_t)c->start) / sector;
	nr = get_le32(p + GPT_NR_ENTRIES);
	size = get_le32(p + GPT_ENTRY_SIZE);
	if ((sector != 512 && sector != 4096) || size < 128 || size > 4096 || nr > 1024 ||
	    __builtin_mul_overflow(get_le64(p + GPT_ARRAY_LBA), sector, &at) ||
	    __builtin_add_overflow(at, (uint64_t)c->start, &at) ||
	    !pl_in_range(at, (uint64_t)nr * size, disk->size) ||
	    pl_read_alloc(disk, (size_t)nr * size, at, &array, NULL) < 0 ||
	    pl_crc32(0, array, (size_t)nr * size) != get_le32(p + GPT_ARRAY_CRC))
		return false;
	for (uint32_t i = 0; i < nr; i++)
		used += !pl_is_zero(array + (size_t)i * size, 16);
	s->longname = pl_arena_format(arena, "GPT, %u partition%s", used, used == 1 ? "" : "s");
	pl_guid_text(p + GPT_DISK_GUID, guid);
	s->uuid = pl_arena_strdup(arena, guid);
	s->length =
		(PL_MAX(get_le64(p + GPT_MY_LBA), get_le64(p + GPT_ALTERNATE_LBA)) + 1) * sector;
	return true;
}

/* Ask the drivers what begins at a candidate's place. */
static bool
look_at_content(struct pl_disk *disk, const struct pl_trace_kind *kind, const uint8_t *p,
		const struct pl_candidate *c, struct pl_arena *arena, struct pl_traced *ret)
{
	struct platter_structure *s = &ret->structure;
	PL_AUTOUNREF struct pl_disk *from = NULL;
	PL_AUTOFREE uint8_t *copy = NULL;
	struct pl_content *found;
	size_t nr;

	if (c->restore != PL_TRACE_IN_PLACE) {
		copy = malloc(PL_TRACE_LOOK);
		if (!copy)
			return false;
		memcpy(copy, p, PL_TRACE_LOOK);
		if (!strcmp(kind->driver, "btrfs"))
			restore_btrfs(copy);
	}
	from = restored_new(disk, (uint64_t)c->start, copy, copy ? PL_TRACE_LOOK : 0, c->restore);
	if (!from || pl_contents_find(from, arena, &found, &nr, NULL) < 0)
		return false;
	for (size_t i = 0; i < nr; i++) {
		const struct pl_content *content = &found[i];

		if (strcmp(content->driver->info.name, kind->driver) != 0 ||
		    (content->leftover && !c->copy))
			continue;
		s->type = PLATTER_STRUCTURE_FILESYSTEM;
		s->name = content->content.name;
		s->longname = content->content.longname;
		s->label = content->content.label;
		s->uuid = content->content.uuid;
		s->length = content->content.size;
		ret->usage = content->content.usage;
		ret->evidence = content->evidence;
		if (content->driver->open && pl_root_entries(from, &ret->entries) == 0) {
			s->opens = true;
			ret->evidence += 64;
		}
		return true;
	}
	return false;
}

bool
pl_trace_look(struct pl_disk *disk, const struct pl_trace_kind *kind, uint64_t at,
	      struct pl_arena *arena, struct pl_traced *ret)
{
	struct pl_candidate candidates[PL_MAX_CANDIDATES];
	uint8_t p[PL_TRACE_LOOK];
	bool found = false;
	size_t nr;

	if (pl_read_padded(disk, p, sizeof p, at, NULL, NULL) < 0)
		return false;
	nr = kind->locate(p, at, candidates);
	for (size_t i = 0; i < nr; i++) {
		struct pl_traced one = { .structure = { .at = at,
							.offset = candidates[i].start,
							.backup = candidates[i].copy } };
		bool table = !strcmp(kind->driver, "gpt") || !strcmp(kind->driver, "apm");

		if (candidates[i].start < 0 || (uint64_t)candidates[i].start >= disk->size)
			continue;
		if (!(table ? look_at_table : look_at_content)(disk, kind, p, &candidates[i], arena,
							       &one) ||
		    (found && one.evidence <= ret->evidence))
			continue;
		one.structure.evidence = evidence_text(arena, kind, candidates[i].copy);
		*ret = one;
		found = true;
	}
	return found;
}
