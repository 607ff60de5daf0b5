/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-gpt-fit.c - a GPT brought to the size of another disk, judged by sgdisk and sfdisk */
#include "tables.h"

static struct pl_disk *
grown(const struct gpt_image *g, uint64_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(g->bytes, g->size, "test", &disk, &err));
	EXPECT_OK(pl_resize(disk, size, &err));
	return disk;
}

/* Both copies are good and the backup is at the end. */
static void
expect_fitted(struct pl_disk *disk)
{
	look_at(disk, 0);
	EXPECT_STR(names(), "gpt");
	EXPECT_STR(warnings(&found.tables[0]), "");
	EXPECT_STR(parts(&found.tables[0]),
		   "1:40+10 " LINUX_TYPE ", 3:60+40 EBD0A0A2-B9E5-4433-87C0-68B6B72699C7");
}

TEST(gpt_fit_moves_the_backup_to_the_end)
{
	/* Also by less than a table is long, so that the new backup overlaps the old one. */
	static const uint64_t more[] = { 1, 3, 4, 5, 6, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct gpt_image g = make_gpt(SECTOR);
		PL_AUTOUNREF struct pl_disk *disk = grown(&g, g.size + more[i] * SECTOR);
		uint8_t sector[SECTOR];
		bool changed;

		EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
		EXPECT(changed);
		expect_fitted(disk);
		EXPECT_OK(pl_read(disk, sector, sizeof sector, 0, &err));
		EXPECT_EQ(get_le32(sector + 446 + 12), GPT_SECTORS - 1 + more[i]);
		/* Nothing of the old backup's header is left to be found. */
		EXPECT_OK(pl_read(disk, sector, sizeof sector, (GPT_SECTORS - 1) * SECTOR, &err));
		EXPECT(memcmp(sector, "EFI PART", 8) != 0);
		EXPECT_OK(pl_gpt_fit(disk, disk->size, &changed, &err));
		EXPECT(!changed);
		free(g.bytes);
	}
}

TEST(gpt_fit_rebuilds_a_damaged_primary)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	bool changed;

	memset(g.primary, 0, SECTOR + GPT_ENTRIES * 128);
	disk = grown(&g, 2 * g.size);
	EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
	EXPECT(changed);
	expect_fitted(disk);
	free(g.bytes);
}

TEST(gpt_fit_keeps_a_hybrid_mbr)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t sector[SECTOR];
	bool changed;

	put_entry(g.bytes, 0, 0, 0xee, 1, 39);
	put_entry(g.bytes, 1, 0x80, 0x83, 40, 10);
	disk = grown(&g, 2 * g.size);
	EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
	EXPECT(changed);
	EXPECT_OK(pl_read(disk, sector, sizeof sector, 0, &err));
	EXPECT_MEM(sector, g.bytes, SECTOR);
	free(g.bytes);
}

/* What stands on the disk must be the same before and after a refusal. */
static void
expect_refused(struct pl_disk *disk, uint64_t source_size, int code, const char *message)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *before = malloc(disk->size), *after = malloc(disk->size);
	bool changed = false;

	EXPECT_OK(pl_read(disk, before, disk->size, 0, &err));
	EXPECT_EQ(pl_gpt_fit(disk, source_size, &changed, &err), code);
	EXPECT_STR(err.message, message);
	EXPECT(!changed);
	EXPECT_OK(pl_read(disk, after, disk->size, 0, &err));
	EXPECT_MEM(after, before, disk->size);
}

TEST(gpt_fit_refuses_what_it_cannot_mend_and_writes_nothing)
{
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = grown(&g, 2 * g.size);

	expect_refused(disk, g.size - SECTOR, -EUCLEAN,
		       "partition table of a disk of 256 sectors, the source has only 255");
	expect_refused(disk, disk->size + 1, -EINVAL, "source of 262145 bytes on a disk of 262144");
	disk->sector_size = 4096;
	expect_refused(
		disk, g.size, -ENOTSUP,
		"partition table for sectors of 512 bytes on a disk whose sectors have 4096");
	free(g.bytes);
}

TEST(gpt_fit_leaves_other_disks_alone)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image mbr = { .bytes = make_mbr(), .size = MBR_SIZE };
	PL_AUTOUNREF struct pl_disk *disk = grown(&mbr, 2 * MBR_SIZE);
	PL_AUTOFREE uint8_t *after = malloc(MBR_SIZE);
	bool changed = true;

	EXPECT_OK(pl_gpt_fit(disk, MBR_SIZE, &changed, &err));
	EXPECT(!changed);
	EXPECT_OK(pl_read(disk, after, MBR_SIZE, 0, &err));
	EXPECT_MEM(after, mbr.bytes, MBR_SIZE);
	free(mbr.bytes);
}

TEST(gpt_fit_satisfies_sgdisk_and_sfdisk)
{
	static const char *const damage[] = {
		"true",
		"dd if=/dev/zero of=d bs=512 seek=1 count=33 conv=notrunc status=none",
	};

	need("sgdisk");
	need("sfdisk");
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		char *text;
		uint64_t size;
		bool changed;

		free(run(NULL, "rm -f d && truncate -s 16M d && sgdisk -n1:0:+2M -n2:0:+4M d && %s",
			 damage[i]));
		disk = load("d");
		size = disk->size;
		EXPECT_OK(pl_resize(disk, MIB(40), &err));
		EXPECT_OK(pl_gpt_fit(disk, size, &changed, &err));
		EXPECT(changed);
		save(disk, "d");
		text = run(NULL, "sgdisk -v d 2>&1");
		EXPECT(strstr(text, "No problems found"));
		EXPECT(!strstr(text, "aution"));
		EXPECT(!strstr(text, "arning"));
		free(text);
		text = run(NULL, "sfdisk --verify d 2>&1");
		EXPECT(strstr(text, "No errors detected"));
		free(text);
	}
}
