/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-vhdx-write.c - what is special to changing a VHDX: its log, its GUIDs, its two copies of
 * headers and region tables, and its table, which may have to move
 */
#include "create.h"
#include "vhdx/vhdx.h"
#include "writes.h"

/* A VHDX by our own writer, with blocks of 1 MiB, or a child of `parent`. */
static void
make(const char *name, uint64_t size, const char *parent)
{
	const struct platter_key_value options[] = { { "block_size", "1M" },
						     { "backing_file", parent } };
	const struct platter_create_options o = { .size = sizeof o,
						  .format = "vhdx",
						  .options = options,
						  .nr_options = parent ? 2 : 1,
						  .no_sync = true };
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);

	EXPECT_OK(pl_create_empty(path, size, &o, &err));
}

static void
put(struct pl_disk *disk, uint64_t at, uint8_t byte, size_t n)
{
	PL_AUTOFREE uint8_t *bytes = malloc(n);

	memset(bytes, byte, n);
	EXPECT_OK(pl_write(disk, bytes, n, at, &err));
}

static void
expect_filled(struct pl_disk *disk, uint64_t at, uint8_t byte, size_t n)
{
	PL_AUTOFREE uint8_t *bytes = malloc(n);

	EXPECT_OK(pl_read(disk, bytes, n, at, &err));
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != byte)
			pl_test_fail(__FILE__, __LINE__, "byte %" PRIu64 " is %02x, expected %02x",
				     at + i, bytes[i], byte);
}

/* What the current header says. */
static struct vhdx_header
header_of(const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, 0);

	return pl_vhdx_info_of(disk)->header;
}

static void
file_guid(const char *name, uint8_t guid[static 16])
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_read(file, guid, 16, header_of(name).at + VHDX_FILE_WRITE_GUID, &err));
}

TEST(guids_change_with_what_they_stand_for)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct vhdx_header before, after;
	uint8_t file_before[16], file_after[16];

	make("i", MIB(8), NULL);
	before = header_of("i");
	file_guid("i", file_before);
	disk = open_image("i", PLATTER_OPEN_WRITE);
	pl_disk_unref(PL_STEAL(disk));
	after = header_of("i");
	EXPECT_EQ(after.sequence, before.sequence);

	/* Compacting moves what children see elsewhere, and changes none of it. */
	disk = open_image("i", PLATTER_OPEN_WRITE);
	EXPECT_OK(pl_format_of(disk)->change->compact(disk, &err));
	pl_disk_unref(PL_STEAL(disk));
	after = header_of("i");
	file_guid("i", file_after);
	EXPECT_MEM(after.data_write_guid, before.data_write_guid, 16);
	EXPECT(memcmp(file_before, file_after, 16) != 0);

	disk = open_image("i", PLATTER_OPEN_WRITE);
	put(disk, 5, 'a', 1);
	pl_disk_unref(PL_STEAL(disk));
	after = header_of("i");
	EXPECT(memcmp(after.data_write_guid, before.data_write_guid, 16) != 0);
	EXPECT(vhdx_is_zero_guid(after.log_guid));
}

TEST(a_parent_that_was_written_is_told_by_its_child)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make("parent", MIB(8), NULL);
	make("i", MIB(8), "parent");
	disk = open_image("i", PLATTER_OPEN_WRITE);
	put(disk, MIB(2) + 512, 'b', 512);
	pl_disk_unref(PL_STEAL(disk));
	disk = open_image("parent", PLATTER_OPEN_WRITE);
	put(disk, MIB(2), 'a', 512);
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_EQ(try_open("i", 0, &disk), -EUCLEAN);
	EXPECT_OK(try_open("i", PLATTER_OPEN_WRITE | PLATTER_OPEN_NO_BACKING, &disk));
	EXPECT_EQ(pl_write(disk, "x", 1, 0, &err), -ENOTSUP);
}

TEST(the_log_is_in_use_until_the_image_is_closed)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *copy = NULL;

	make("i", MIB(8), NULL);
	disk = open_image("i", PLATTER_OPEN_WRITE);
	put(disk, MIB(3), 'a', 5000);
	EXPECT_OK(pl_flush(disk, &err));
	/* As a kill would leave it; and then as if nothing had reached its place. */
	run("cp i copy");
	EXPECT(!vhdx_is_zero_guid(header_of("copy").log_guid));
	run("dd if=/dev/zero of=copy bs=4096 count=1 seek=768 conv=notrunc");
	copy = open_image("copy", 0);
	expect_filled(copy, MIB(3), 'a', 5000);
	pl_disk_unref(PL_STEAL(copy));
	EXPECT(!vhdx_is_zero_guid(header_of("copy").log_guid));

	/* For writing it is replayed in the file. */
	copy = open_image("copy", PLATTER_OPEN_WRITE);
	EXPECT(vhdx_is_zero_guid(header_of("copy").log_guid));
	expect_filled(copy, MIB(3), 'a', 5000);
	pl_disk_unref(PL_STEAL(copy));
	run("cmp -i 2M:2M i copy");
	copy = open_image("copy", 0);
	expect_findings(copy, 0, 0);

	pl_disk_unref(PL_STEAL(disk));
	EXPECT(vhdx_is_zero_guid(header_of("i").log_guid));
}

TEST(qemu_and_platter_write_in_turn)
{
	size_t size = MIB(20);
	PL_AUTOFREE uint8_t *model = calloc(1, size);

	need_qemu();
	make("i", size, NULL);
	for (unsigned round = 0; round < 4; round++) {
		PL_AUTOUNREF struct pl_disk *disk = open_image("i", PLATTER_OPEN_WRITE);

		for (int i = 0; i < 60; i++) {
			struct operation o = random_operation(size);

			apply(disk, &o);
			apply_to_model(model, &o);
		}
		pl_disk_unref(PL_STEAL(disk));
		for (int i = 0; i < 8; i++) {
			struct operation o = random_operation(size);

			o.offset &= ~511ull;
			o.length = PL_MIN(pl_round_up(o.length, 512), size - o.offset);
			o.what = WRITE;
			apply_to_model(model, &o);
			run("qemu-io -f vhdx -c 'write -P %u %" PRIu64 " %" PRIu64 "' i", o.byte,
			    o.offset, o.length);
		}
		expect_reads("i", "vhdx", model, size);
	}
	write_file("model", model, size);
	run("qemu-img compare -f vhdx -F raw i model");
	run("if command -v vhdiinfo; then vhdiinfo i; fi");
}

TEST(libvhdi_reads_blocks_that_are_partly_written)
{
	size_t size = MIB(8);
	PL_AUTOFREE uint8_t *model = calloc(1, size);
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	if (system("command -v vhdimount >/dev/null && test -w /dev/fuse") != 0)
		SKIP("no vhdimount, or no FUSE");
	make("parent.vhdx", size, NULL);
	disk = open_image("parent.vhdx", PLATTER_OPEN_WRITE);
	put(disk, 0, 'p', size);
	memset(model, 'p', size);
	pl_disk_unref(PL_STEAL(disk));
	make("i.vhdx", size, "parent.vhdx");
	disk = open_image("i.vhdx", PLATTER_OPEN_WRITE);
	for (int i = 0; i < 200; i++) {
		/* Not zeros over a parent, which it takes from that. */
		struct operation o = random_operation(size);

		o.what = WRITE;
		o.length = PL_MIN(o.length, 20000u);
		apply(disk, &o);
		apply_to_model(model, &o);
	}
	pl_disk_unref(PL_STEAL(disk));
	write_file("model", model, size);
	run("mkdir mnt && vhdimount i.vhdx mnt && { cmp mnt/vhdi2 model; r=$?; umount mnt;"
	    " exit $r; }");
}

/* A disk of 1 GiB with something in its first and last MiB. */
static void
make_with_ends(const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	run("rm -f %s", name);
	make(name, GIB(1), NULL);
	disk = open_image(name, PLATTER_OPEN_WRITE);
	put(disk, 1000, 'a', 70000);
	put(disk, GIB(1) - 600, 'z', 600);
	EXPECT_OK(pl_flush(disk, &err));
}

static void
expect_ends(struct pl_disk *disk)
{
	expect_filled(disk, 1000, 'a', 70000);
	expect_filled(disk, GIB(1) - 600, 'z', 600);
	expect_filled(disk, MIB(500), 0, 70000);
	if (disk->size > GIB(1)) {
		expect_filled(disk, GIB(1), 0, 70000);
		expect_filled(disk, disk->size - 70000, 0, 70000);
	}
}

TEST(a_table_without_room_moves)
{
	/* One of a MiB is enough for 128 GiB or so. */
	static const uint64_t sizes[] = { GIB(200), GIB(64), GIB(900) + 512, GIB(1), TIB(3) };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint64_t table, last = 0;

	make_with_ends("i");
	disk = open_image("i", PLATTER_OPEN_WRITE);
	table = pl_vhdx_info_of(disk)->bat.offset;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_OK(pl_resize(disk, sizes[i], &err));
		expect_ends(disk);
		if (sizes[i] > GIB(1)) {
			last = sizes[i] - 512;
			put(disk, last, 'm', 512);
			expect_filled(disk, last, 'm', 512);
			EXPECT_OK(pl_resize(disk, last, &err));
		}
		EXPECT_OK(pl_flush(disk, &err));
		pl_disk_unref(PL_STEAL(disk));
		disk = open_image("i", PLATTER_OPEN_WRITE);
		expect_ends(disk);
		expect_findings(disk, 0, 0);
	}
	EXPECT(pl_vhdx_info_of(disk)->bat.offset != table);
	EXPECT_EQ(pl_resize(disk, 513, &err), -EINVAL);
	EXPECT_EQ(pl_resize(disk, VHDX_MAX_SIZE + 512, &err), -EFBIG);
	EXPECT_OK(pl_format_of(disk)->change->compact(disk, &err));
	expect_ends(disk);
	pl_disk_unref(PL_STEAL(disk));
	need_qemu();
	run("qemu-io -r -f vhdx -c 'read -P 97 1000 70000' -c 'read -P 122 1073741224 600'"
	    " -c 'read -P 0 %" PRIu64 " 512' i | tee q; ! grep -q failed q",
	    last - 512);
}

/* The power goes after so many writes of a resize; false: it was done before. */
static bool
resize_until_cut(uint64_t size, uint64_t writes)
{
	struct fragile *f = new_fragile("i");
	PL_AUTOUNREF struct pl_disk *file = &f->disk, *disk = NULL;

	EXPECT_OK(pl_image_open(file, NULL, "vhdx", NULL, PLATTER_OPEN_WRITE, &disk, &err));
	f->writes_left = writes;
	EXPECT_OK(pl_resize(disk, size, &err));
	if (f->writes_left)
		return false;
	save_cut(f, "cut");
	return true;
}

TEST(a_power_cut_leaves_the_old_size_or_the_new_one)
{
	static const uint64_t sizes[] = { GIB(200), MIB(1100), MIB(3) };
	bool old = false, new = false;

	need_qemu();
	make_with_ends("i");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (uint64_t n = 1; resize_until_cut(sizes[i], n); n++) {
			PL_AUTOUNREF struct pl_disk *disk = open_image("cut", 0);

			old |= disk->size == GIB(1);
			new |= disk->size == sizes[i];
			EXPECT(disk->size == GIB(1) || disk->size == sizes[i]);
			expect_filled(disk, 1000, 'a', 70000);
			if (sizes[i] > GIB(1))
				expect_ends(disk);
			expect_findings(disk, 0, 0);
			run("cp cut q && qemu-img check -f vhdx -r all q"
			    " && qemu-io -r -f vhdx -c 'read -P 97 1000 70000' q");
			pl_disk_unref(PL_STEAL(disk));
			disk = open_image("cut", PLATTER_OPEN_WRITE);
			put(disk, 1000, 'a', 70000);
			EXPECT_OK(pl_resize(disk, sizes[i], &err));
			if (sizes[i] > GIB(1))
				expect_ends(disk);
			expect_findings(disk, 0, 0);
		}
	}
	EXPECT(old && new);
}

/* Blocks so far from each other that each has a sector of the table for itself. */
#define NR_FAR 300u
#define FAR    (512 * MIB(1))

TEST(a_commit_of_several_log_entries_can_be_cut_anywhere)
{
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	unsigned some = 0;

	make("parent", NR_FAR * FAR, NULL);
	disk = open_image("parent", PLATTER_OPEN_WRITE);
	for (uint64_t i = 0; i < NR_FAR; i++)
		put(disk, i * FAR, 'p', 512);
	pl_disk_unref(PL_STEAL(disk));
	make("i", NR_FAR * FAR, "parent");
	for (uint64_t n = 1; n < 60; n += 2) {
		struct fragile *f = new_fragile("i");
		PL_AUTOUNREF struct pl_disk *file = &f->disk, *after = NULL;
		unsigned nr = 0;

		EXPECT_OK(pl_image_open(file, path, "vhdx", NULL, PLATTER_OPEN_WRITE, &disk, &err));
		/* Some that need a bitmap, whose entry the first 126 sectors do not hold. */
		for (uint64_t i = 0; i < NR_FAR; i++)
			if (i >= 120 && i < 126)
				put(disk, i * FAR + 512, 'c', 512);
			else
				EXPECT_OK(pl_zero(disk, i * FAR, MIB(1), PL_ZERO_MAY_UNMAP, &err));
		f->writes_left = n * n / 2 + 1;
		EXPECT_OK(pl_flush(disk, &err));
		if (f->writes_left) {
			pl_disk_unref(PL_STEAL(disk));
			break;
		}
		save_cut(f, "cut");
		pl_disk_unref(PL_STEAL(disk));
		after = open_image("cut", n % 4 == 1 ? PLATTER_OPEN_WRITE : 0);
		expect_findings(after, 0, 0);
		for (uint64_t i = 0; i < NR_FAR; i++) {
			uint8_t b[512];

			EXPECT_OK(pl_read(after, b, sizeof b, i * FAR, &err));
			EXPECT((b[0] == 'p' || !b[0]) && b[0] == b[511]);
			nr += !b[0];
		}
		some += nr && nr < NR_FAR - 6;
	}
	EXPECT(some);
}

static const struct {
	const char *label;
	uint64_t at;
	uint64_t reported;
} lost[] = {
	{ "header 1", VHDX_HEADER_1, VHDX_HEADER_1 },
	{ "header 2", VHDX_HEADER_2, VHDX_HEADER_2 },
	{ "region table 1", VHDX_REGIONS_1, VHDX_REGIONS_1 },
	{ "region table 2", VHDX_REGIONS_2, VHDX_REGIONS_2 },
};

static uint64_t reported_at;

static void
note_repair(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	    const char *message)
{
	tell(findings, severity, offset, message);
	if (severity == PLATTER_REPAIRED)
		reported_at = offset;
}

/* What repairing "i" reports as repaired. */
static uint64_t
repair(bool dry_run)
{
	unsigned flags = PLATTER_OPEN_IGNORE_CHECKSUMS | (dry_run ? 0 : PLATTER_OPEN_WRITE);
	PL_AUTOUNREF struct pl_disk *disk = open_image("i", flags);
	struct pl_findings findings = { .found = note_repair };

	EXPECT_OK(pl_format_of(disk)->change->repair(disk, dry_run, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE], 0);
	return findings.count[PLATTER_REPAIRED];
}

TEST(a_lost_copy_is_made_again)
{
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct vhdx_header before;

		printf("# %s\n", lost[i].label);
		make_with_ends("i");
		before = header_of("i");
		patch_file("i", lost[i].at + 40, "damage", 6);
		run("cp i before");
		EXPECT_EQ(repair(true), 1);
		run("cmp i before");
		EXPECT_EQ(repair(false), 1);
		EXPECT_EQ(reported_at, lost[i].reported);
		EXPECT_EQ(repair(false), 0);
		disk = open_image("i", 0);
		expect_ends(disk);
		expect_findings(disk, 0, 0);
		EXPECT_EQ(pl_vhdx_info_of(disk)->damage, 0);
		EXPECT_MEM(pl_vhdx_info_of(disk)->header.data_write_guid, before.data_write_guid,
			   16);
	}
}

TEST(a_log_that_was_left_is_replayed_by_repair)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_with_ends("a");
	disk = open_image("a", PLATTER_OPEN_WRITE);
	put(disk, MIB(3), 'a', 5000);
	EXPECT_OK(pl_flush(disk, &err));
	run("cp a i; cp i before");
	EXPECT_EQ(repair(true), 1);
	run("cmp i before");
	EXPECT_EQ(repair(false), 1);
	EXPECT(vhdx_is_zero_guid(header_of("i").log_guid));
	EXPECT_EQ(repair(false), 0);
}

TEST(what_no_sound_copy_vouches_for_is_only_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_with_ends("i");
	patch_file("i", VHDX_HEADER_1 + 100, "damage", 6);
	patch_file("i", VHDX_HEADER_2 + 100, "damage", 6);
	disk = open_image("i", PLATTER_OPEN_IGNORE_CHECKSUMS | PLATTER_OPEN_WRITE);
	EXPECT(!disk->writable);
	expect_ends(disk);
}

TEST(blocks_over_the_structure_are_not_written)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t entry[8];
	uint64_t bat;

	make_with_ends("i");
	disk = open_image("i", 0);
	bat = pl_vhdx_info_of(disk)->bat.offset;
	pl_disk_unref(PL_STEAL(disk));
	put_le64(entry, bat | VHDX_FULLY_PRESENT);
	patch_file("i", bat + 16, entry, 8);
	disk = open_image("i", PLATTER_OPEN_WRITE);
	EXPECT_EQ(pl_write(disk, "x", 1, MIB(2), &err), -EUCLEAN);
	EXPECT_EQ(err.offset, bat + 16);
	put(disk, MIB(3), 'x', 1);
}

TEST(a_device_has_room_up_to_its_end)
{
	struct fragile *f;
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	uint64_t i;
	int r = 0;

	make_with_ends("i");
	run("truncate -s +8M i");
	f = new_fragile("i");
	file = &f->disk;
	file->growable = false;
	EXPECT_OK(pl_image_open(file, NULL, "vhdx", NULL, PLATTER_OPEN_WRITE, &disk, &err));
	for (i = 1; i < 20 && r == 0; i++)
		r = pl_write(disk, "x", 1, MIB(i), &err);
	EXPECT_EQ(r, -ENOSPC);
	EXPECT_EQ(i, 10);
	EXPECT_OK(pl_flush(disk, &err));
	expect_ends(disk);
	expect_findings(disk, 0, 0);
	expect_filled(disk, MIB(8), 'x', 1);
}
