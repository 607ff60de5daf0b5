/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-contents.c - what is recognised, held against the tools that make it and blkid
 *
 * Each row of `made` is a file of so many MiB and the command that makes a file system in
 * it.  Type, label and UUID must be what blkid says.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksums.h"
#include "content.h"
#include "storage.h"
#include "test.h"

struct found {
	struct pl_arena arena;
	const struct platter_content *contents;
	size_t nr;
};

static void
identify(struct pl_disk *disk, struct found *ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	*ret = (struct found){ 0 };
	EXPECT_OK(pl_contents_identify(disk, &ret->arena, &ret->contents, &ret->nr, &err));
}

static void
identify_bytes(const void *bytes, size_t n, struct found *ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(bytes, n, "memory", &disk, &err));
	identify(disk, ret);
	pl_disk_unref(disk);
}

static void
identify_file(const char *path, struct found *ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;

	EXPECT_OK(pl_storage_open(path, 0, &disk, &err));
	identify(disk, ret);
	pl_disk_unref(disk);
}

static bool
warns(const struct platter_content *c, const char *words)
{
	for (size_t i = 0; i < c->facts.nr_warnings; i++)
		if (strstr(c->facts.warnings[i], words))
			return true;
	return false;
}

static bool
has_tool(const char *tool)
{
	char command[256];

	snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin command -v %s >/dev/null",
		 tool);
	return system(command) == 0;
}

/* First line of what a command prints, or "". */
static void
output_of(const char *command, char *ret, size_t n)
{
	FILE *f = popen(command, "r");

	ret[0] = '\0';
	if (f && fgets(ret, (int)n, f))
		ret[strcspn(ret, "\n")] = '\0';
	if (f)
		pclose(f);
}

/* One value that blkid prints, its escapes taken out: "\\ " and, as cat -v has them, "M-C". */
static void
blkid(const char *path, const char *key, char *ret, size_t n)
{
	char command[512], *to = ret;

	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin blkid -p -o export '%s' | sed -n 's/^%s=//p'", path,
		 key);
	output_of(command, ret, n);
	for (const char *from = ret; *from; from++)
		if (*from != '\\' || *++from)
			*to++ = *from;
	*to = '\0';
	to = ret;
	for (const char *from = ret; *from; from++) {
		bool meta = from[0] == 'M' && from[1] == '-' && from[2];
		bool control = meta && from[2] == '^' && from[3];

		from += 2 * meta + control;
		*to++ = (char)((*from ^ (control ? 0x40 : 0)) | (meta ? 0x80 : 0));
	}
	*to = '\0';
}

#define UUID "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"

static const struct made {
	const char *tool;
	unsigned mib;
	const char *command; /* $F is the file, $D a folder with a few files */
	const char *name;
} made[] = {
	{ "mkfs.vfat", 2, "mkfs.vfat -F12 -n 'LABEL TWELF' -i 1234abcd $F", "vfat" },
	{ "mkfs.vfat", 20, "mkfs.vfat -F16 -n SIXTEEN -i 00ab0001 $F", "vfat" },
	{ "mkfs.vfat", 40, "mkfs.vfat -F32 -s1 -n THIRTYTWO -i deadbeef $F", "vfat" },
	{ "mkfs.vfat", 40, "mkfs.vfat -F32 -s1 $F", "vfat" },
	{ "mkfs.vfat", 20, "mkfs.vfat -S4096 -n BIGSECTOR $F", "vfat" },
	{ "mkfs.exfat", 8, "mkfs.exfat -L 'ex fät' $F", "exfat" },
	{ "mkntfs", 8, "mkntfs -F -L 'an NT volume' $F", "ntfs" },
	{ "mkntfs", 8, "mkntfs -F -c 65536 $F", "ntfs" },
	{ "mke2fs", 4, "mke2fs -F -t ext2 -L two -U " UUID " $F", "ext2" },
	{ "mke2fs", 8, "mke2fs -F -t ext3 -L three -U " UUID " $F", "ext3" },
	{ "mke2fs", 8, "mke2fs -F -t ext4 -b 4096 -L 'four and more' -U " UUID " $F", "ext4" },
	{ "mke2fs", 8, "mke2fs -F -t ext4 -O ^has_journal,64bit $F", "ext4" },
	{ "mke2fs", 8, "mke2fs -F -O journal_dev -b 4096 -L journal $F", "jbd" },
	{ "mkfs.xfs", 320, "mkfs.xfs -f -L 'x label' -m uuid=" UUID " $F", "xfs" },
	{ "mkfs.xfs", 320, "mkfs.xfs -f -m crc=0,finobt=0 $F", "xfs" },
	{ "mkfs.btrfs", 128, "mkfs.btrfs -f -L butter -U " UUID " $F", "btrfs" },
	{ "mkfs.f2fs", 64, "mkfs.f2fs -f -l 'flash ü' $F", "f2fs" },
	{ "mkswap", 1, "mkswap -L swapped -U " UUID " $F", "swap" },
	{ "mksquashfs", 0, "mksquashfs $D $F -noappend", "squashfs" },
	{ "mkfs.erofs", 0, "mkfs.erofs -U " UUID " $F $D", "erofs" },
	{ "mkfs.cramfs", 0, "mkfs.cramfs -n crammed $D $F", "cramfs" },
	{ "mkudffs", 8, "mkudffs -l 'a UDF' $F", "udf" },
	{ "mkudffs", 8, "mkudffs --utf8 -b 512 -l 'Ωmega' --media-type=hd $F", "udf" },
	{ "mkudffs", 8, "mkudffs -b 4096 -u 0123456789abcdef $F", "udf" },
	{ "genisoimage", 0, "genisoimage -quiet -R -V PLAIN_ROCK -o $F $D", "iso9660" },
	{ "genisoimage", 0, "genisoimage -quiet -J -V 'A Joliet label beyond 16' -o $F $D",
	  "iso9660" },
	{ "xorriso", 0, "xorriso -as mkisofs -quiet -J -V XORRISO -o $F $D", "iso9660" },
	{ "genisoimage", 0, "genisoimage -quiet -udf -V BRIDGE -o $F $D", "udf" },
	{ "mkreiserfs", 40, "mkreiserfs -q -f -l reiser -u " UUID " $F", "reiserfs" },
	{ "mkfs.jfs", 20, "mkfs.jfs -q -L jay $F", "jfs" },
	{ "cryptsetup", 8,
	  "echo secret | cryptsetup -q luksFormat --type luks1 --iter-time 10 --uuid " UUID " $F -",
	  "crypto_LUKS" },
	{ "cryptsetup", 20,
	  "echo secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 "
	  "--pbkdf-force-iterations 1000 --label 'locked up' --uuid " UUID " $F -",
	  "crypto_LUKS" },
};

static void
make(const struct made *m, char *path, size_t n)
{
	char command[1024];

	snprintf(path, n, "%s/image", pl_test_folder());
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin; D=%s/folder F=%s; rm -f $F; mkdir -p $D; echo hello "
		 ">$D/hello; "
		 "[ %u = 0 ] || truncate -s %uM $F; (%s) >/dev/null 2>&1",
		 pl_test_folder(), path, m->mib, m->mib, m->command);
	if (system(command) != 0)
		pl_test_fail(__FILE__, __LINE__, "this failed: %s", m->command);
}

TEST(type_label_and_uuid_are_what_blkid_says)
{
	if (!has_tool("blkid"))
		SKIP("no blkid");
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		char path[256], value[512];
		struct found f;

		if (!has_tool(made[i].tool)) {
			printf("# skipped, no %s: %s\n", made[i].tool, made[i].command);
			continue;
		}
		make(&made[i], path, sizeof path);
		identify_file(path, &f);
		if (!f.nr)
			pl_test_fail(__FILE__, __LINE__, "not recognised: %s", made[i].command);
		EXPECT_STR(f.contents[0].name, made[i].name);
		blkid(path, "TYPE", value, sizeof value);
		EXPECT_STR(f.contents[0].name, value);
		blkid(path, "LABEL", value, sizeof value);
		EXPECT_STR(f.contents[0].label, value);
		blkid(path, "UUID", value, sizeof value);
		EXPECT_STR(f.contents[0].uuid, value);
		if (f.contents[0].facts.nr_warnings)
			pl_test_fail(__FILE__, __LINE__, "%s: warns '%s'", made[i].command,
				     f.contents[0].facts.warnings[0]);
		pl_arena_done(&f.arena);
	}
}

TEST(physical_volume_of_lvm_is_told_with_its_group)
{
	char command[768], path[128], loop[64], value[256];
	struct found f;

	if (geteuid() != 0 || !has_tool("pvcreate") || !has_tool("losetup"))
		SKIP("needs root, LVM and loop devices");
	snprintf(path, sizeof path, "%s/pv", pl_test_folder());
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin; truncate -s 16M %s && losetup -f --show %s "
		 "2>/dev/null",
		 path, path);
	output_of(command, loop, sizeof loop);
	if (!loop[0])
		SKIP("no loop device");
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin; pvcreate -qq -y %s >/dev/null 2>&1; r=$?; sync; "
		 "losetup -d %s; "
		 "exit $r",
		 loop, loop);
	if (system(command) != 0)
		SKIP("pvcreate failed");
	identify_file(path, &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_STR(f.contents[0].name, "LVM2_member");
	/* As it is: a random UUID may hold "M-", which blkid() would take for an escape. */
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin blkid -p -s UUID -o value '%s'", path);
	output_of(command, value, sizeof value);
	EXPECT_STR(f.contents[0].uuid, value);
	EXPECT_EQ(f.contents[0].facts.nr_warnings, 0);
	pl_arena_done(&f.arena);
}

TEST(free_space_is_what_the_file_system_says)
{
	static const struct made ext = { "mke2fs", 8, "mke2fs -F -q -t ext4 -b 1024 $F", "ext4" };
	char path[256], command[512], value[64];
	struct found f;

	if (!has_tool("mke2fs") || !has_tool("dumpe2fs"))
		SKIP("no mke2fs");
	make(&ext, path, sizeof path);
	identify_file(path, &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_EQ(f.contents[0].size, MIB(8));
	EXPECT_EQ(f.contents[0].block_size, 1024);
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin dumpe2fs -h '%s' 2>/dev/null | sed -n 's/^Free "
		 "blocks: *//p'",
		 path);
	output_of(command, value, sizeof value);
	EXPECT_EQ(f.contents[0].free, strtoull(value, NULL, 10) * 1024);
	pl_arena_done(&f.arena);
}

TEST(bridge_disc_shows_udf_before_iso)
{
	static const struct made bridge = { "genisoimage", 0,
					    "genisoimage -quiet -udf -V BRIDGE -o $F $D", "udf" };
	char path[256];
	struct found f;

	if (!has_tool("genisoimage"))
		SKIP("no genisoimage");
	make(&bridge, path, sizeof path);
	identify_file(path, &f);
	EXPECT_EQ(f.nr, 2);
	EXPECT_STR(f.contents[0].name, "udf");
	EXPECT_STR(f.contents[1].name, "iso9660");
	EXPECT_STR(f.contents[1].label, "BRIDGE");
	pl_arena_done(&f.arena);
}

/* An ext2 superblock as small as one can be. */
static uint8_t *
ext2_bytes(size_t n)
{
	uint8_t *disk = calloc(1, n), *sb = disk + 1024;

	put_le32(sb, 16);
	put_le32(sb + 4, (uint32_t)(n / 1024));
	put_le32(sb + 20, 1);
	put_le32(sb + 32, 8192);
	put_le32(sb + 40, 16);
	put_le16(sb + 56, 0xef53);
	put_le16(sb + 58, 1);
	memcpy(sb + 120, "small", 5);
	return disk;
}

static uint8_t *
swap_bytes(size_t n)
{
	uint8_t *disk = calloc(1, n);

	put_le32(disk + 1024, 1);
	put_le32(disk + 1028, (uint32_t)(n / 4096 - 1));
	memcpy(disk + 4086, "SWAPSPACE2", 10);
	return disk;
}

TEST(empty_disk_holds_nothing)
{
	static uint8_t zeros[MIB(1)];
	struct found f;

	identify_bytes(zeros, 0, &f);
	EXPECT_EQ(f.nr, 0);
	identify_bytes(zeros, 1, &f);
	EXPECT_EQ(f.nr, 0);
	identify_bytes(zeros, sizeof zeros, &f);
	EXPECT_EQ(f.nr, 0);
}

TEST(boot_sector_of_a_partitioned_disk_is_no_fat)
{
	uint8_t mbr[KIB(64)] = { 0xeb, 0x63, 0x90 };
	struct found f;

	put_le16(mbr + 510, 0xaa55);
	mbr[446 + 4] = 0x83;
	identify_bytes(mbr, sizeof mbr, &f);
	EXPECT_EQ(f.nr, 0);
}

TEST(file_system_larger_than_its_disk_is_told_with_a_warning)
{
	PL_AUTOFREE uint8_t *disk = ext2_bytes(MIB(1));
	struct found f;

	identify_bytes(disk, KIB(512), &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_STR(f.contents[0].name, "ext2");
	EXPECT_STR(f.contents[0].label, "small");
	EXPECT_EQ(f.contents[0].size, MIB(1));
	EXPECT(warns(&f.contents[0], "cut short"));
	pl_arena_done(&f.arena);
}

TEST(wrong_superblock_checksum_is_a_warning)
{
	PL_AUTOFREE uint8_t *disk = ext2_bytes(MIB(1));
	struct found f;

	put_le32(disk + 1024 + 100, 0x400);
	put_le32(disk + 1024 + 1020, pl_crc32c_raw(~0u, disk + 1024, 1020));
	identify_bytes(disk, MIB(1), &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_EQ(f.contents[0].facts.nr_warnings, 0);
	pl_arena_done(&f.arena);

	disk[1024 + 1020] ^= 1;
	identify_bytes(disk, MIB(1), &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_STR(f.contents[0].name, "ext4");
	EXPECT(warns(&f.contents[0], "checksum does not match"));
	pl_arena_done(&f.arena);
}

TEST(encryption_goes_before_an_old_swap)
{
	PL_AUTOFREE uint8_t *disk = swap_bytes(KIB(256));
	struct found f;

	memcpy(disk + KIB(16), "SKUL\xba\xbe\0\2", 8);
	memcpy(disk + KIB(16) + 168, UUID, sizeof UUID);
	put_be64(disk + KIB(16) + 256, KIB(16));
	identify_bytes(disk, KIB(256), &f);
	EXPECT_EQ(f.nr, 2);
	EXPECT_STR(f.contents[0].name, "crypto_LUKS");
	EXPECT_STR(f.contents[0].uuid, UUID);
	EXPECT(warns(&f.contents[0], "first header is gone"));
	EXPECT_STR(f.contents[1].name, "swap");
	pl_arena_done(&f.arena);
}

TEST(hibernated_system_in_swap_is_told)
{
	PL_AUTOFREE uint8_t *disk = swap_bytes(KIB(256));
	struct found f;

	memcpy(disk + 4086, "S1SUSPEND\0", 10);
	identify_bytes(disk, KIB(256), &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_STR(f.contents[0].name, "swsuspend");
	EXPECT(warns(&f.contents[0], "hibernated"));
	pl_arena_done(&f.arena);
}

/* The member's superblock is at the end; a file system shows at the beginning. */
TEST(raid_member_goes_before_the_file_system_in_it)
{
	PL_AUTOFREE uint8_t *disk = ext2_bytes(MIB(1));
	uint8_t *sb = disk + MIB(1) - KIB(8);
	uint64_t sum = 0;
	struct found f;

	put_le32(sb, 0xa92b4efc);
	put_le32(sb + 4, 1);
	memset(sb + 16, 0x5a, 16);
	memcpy(sb + 32, "host:0", 6);
	put_le32(sb + 72, 1);
	put_le64(sb + 144, (MIB(1) - KIB(8)) / 512);
	for (int i = 0; i < 256; i += 4)
		sum += get_le32(sb + i);
	put_le32(sb + 216, (uint32_t)(sum + (sum >> 32)));
	identify_bytes(disk, MIB(1), &f);
	EXPECT_EQ(f.nr, 2);
	EXPECT_STR(f.contents[0].name, "linux_raid_member");
	EXPECT_STR(f.contents[0].label, "host:0");
	EXPECT_STR(f.contents[0].uuid, "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
	EXPECT_EQ(f.contents[0].facts.nr_warnings, 0);
	EXPECT_STR(f.contents[1].name, "ext2");
	pl_arena_done(&f.arena);
}

TEST(fat_root_that_links_to_itself_ends)
{
	PL_AUTOFREE uint8_t *disk = calloc(1, MIB(1));
	struct found f;

	/* FAT32: cluster 2 is the root, full of deleted entries, and its own successor. */
	memcpy(disk, "\xeb\x58\x90mkfs.fat", 11);
	put_le16(disk + 11, 512);
	disk[13] = 1;
	put_le16(disk + 14, 32);
	disk[16] = 1;
	disk[21] = 0xf8;
	put_le32(disk + 32, 2048);
	put_le32(disk + 36, 16);
	put_le32(disk + 44, 2);
	disk[66] = 0x29;
	put_le32(disk + 67, 0x12345678);
	memcpy(disk + 82, "FAT32   ", 8);
	put_le16(disk + 510, 0xaa55);
	put_le32(disk + 32 * 512, 0x0ffffff8);
	put_le32(disk + 32 * 512 + 4, 0x0fffffff);
	put_le32(disk + 32 * 512 + 8, 2);
	memset(disk + 48 * 512, 0xe5, 512);
	identify_bytes(disk, MIB(1), &f);
	EXPECT_EQ(f.nr, 1);
	EXPECT_STR(f.contents[0].longname, "FAT32");
	EXPECT_STR(f.contents[0].uuid, "1234-5678");
	EXPECT_STR(f.contents[0].label, "");
	pl_arena_done(&f.arena);
}

/* Every field of a real superblock set to what hurts: no crash, no endless loop. */
TEST(hostile_fields_do_no_harm)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		PL_AUTOFREE uint8_t *bytes = NULL;
		static const uint32_t starts[] = { 0, 1024, 32768, 34816, 65536 };
		struct pl_disk *file, *disk;
		char path[256];
		size_t n;

		if (made[i].mib > 20 || !has_tool(made[i].tool))
			continue;
		make(&made[i], path, sizeof path);
		EXPECT_OK(pl_storage_open(path, 0, &file, &err));
		n = PL_MIN(file->size, MIB(1));
		EXPECT_OK(pl_read_alloc(file, n, 0, &bytes, &err));
		EXPECT_OK(pl_memory_new(bytes, n, "memory", &disk, &err));
		for (size_t k = 0; k < 5 * 64 * ARRAY_SIZE(values); k++) {
			uint64_t at = starts[k % 5] + k / 5 % 64 * 4;
			uint8_t field[4];
			struct found f;

			if (!pl_in_range(at, 4, n))
				continue;
			memset(field, values[k / (5 * 64)], 4);
			EXPECT_OK(pl_write(disk, field, 4, at, &err));
			identify(disk, &f);
			pl_arena_done(&f.arena);
			EXPECT_OK(pl_write(disk, bytes + at, 4, at, &err));
		}
		pl_disk_unref(disk);
		pl_disk_unref(file);
	}
}
