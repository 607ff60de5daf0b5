/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QCOW2 images damaged and repaired: qemu-img check then finds nothing, leaks included, and
 * every byte that was there is there.
 */
#include "writes.h"

#include "contents.h"

#define COPIED      (1ull << 63)
#define OFFSET_MASK 0x00fffffffffffe00u

/* A file in memory, to be damaged. */
struct victim {
	uint8_t *bytes;
	size_t size;
};

static struct victim
load(const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	FILE *f = fopen(path, "rb");
	struct victim v = { .bytes = malloc(MIB(24)) };

	EXPECT(f && v.bytes);
	v.size = fread(v.bytes, 1, MIB(24), f);
	fclose(f);
	return v;
}

static size_t
cluster_size(const struct victim *v)
{
	return (size_t)1 << get_be32(v->bytes + 20);
}

static uint8_t *
refcount_table(const struct victim *v)
{
	return v->bytes + get_be64(v->bytes + 48);
}

static uint8_t *
l1(const struct victim *v)
{
	return v->bytes + get_be64(v->bytes + 40);
}

/* The index-th refcount block that there is, or NULL. */
static uint8_t *
block(const struct victim *v, size_t index)
{
	size_t nr = get_be32(v->bytes + 56) * cluster_size(v) / 8;

	for (size_t i = 0; i < nr; i++) {
		uint64_t at = get_be64(refcount_table(v) + i * 8);

		if (at && index-- == 0)
			return v->bytes + at;
	}
	return NULL;
}

/* The first L2 table that there is. */
static uint8_t *
l2(const struct victim *v)
{
	for (size_t i = 0; i < get_be32(v->bytes + 36); i++)
		if (get_be64(l1(v) + i * 8))
			return v->bytes + (get_be64(l1(v) + i * 8) & OFFSET_MASK);
	return NULL;
}

static void
zero_refcounts(struct victim *v)
{
	for (size_t i = 0; block(v, i); i++)
		memset(block(v, i), 0, cluster_size(v));
}

static void
bump_refcounts(struct victim *v)
{
	for (size_t i = 0; block(v, i); i++)
		for (size_t k = 1; k < cluster_size(v); k += 1 + rnd(50))
			block(v, i)[k]++;
}

static void
shuffle_refcounts(struct victim *v)
{
	for (size_t i = 0; block(v, i); i++)
		for (size_t k = 0; k < cluster_size(v); k++)
			block(v, i)[k] = (uint8_t)rnd(256);
}

static void
lose_a_block(struct victim *v)
{
	put_be64(refcount_table(v), 0);
}

static void
misplace_blocks(struct victim *v)
{
	put_be64(refcount_table(v), v->size + 3 * cluster_size(v));
	put_be64(refcount_table(v) + 8, cluster_size(v) + 512);
	put_be64(refcount_table(v) + 16, get_be64(v->bytes + 40)); /* the L1 table */
}

static void
lose_refcount_table(struct victim *v)
{
	put_be64(v->bytes + 48, v->size * 2);
}

static void
shorten_refcount_table(struct victim *v)
{
	put_be32(v->bytes + 56, 0);
}

static void
lengthen_refcount_table(struct victim *v)
{
	put_be32(v->bytes + 56, 0x7fffffff);
}

static void
flip_copied(struct victim *v)
{
	for (size_t i = 0; i < get_be32(v->bytes + 36); i++)
		if (get_be64(l1(v) + i * 8) && rnd(2))
			put_be64(l1(v) + i * 8, get_be64(l1(v) + i * 8) ^ COPIED);
	for (size_t i = 0; i < cluster_size(v) / 8; i += 2) {
		uint64_t entry = get_be64(l2(v) + i * 8);

		if (entry & OFFSET_MASK && !(entry >> 62 & 1))
			put_be64(l2(v) + i * 8, entry ^ COPIED);
	}
}

static void
mark_dirty_and_corrupt(struct victim *v)
{
	put_be64(v->bytes + 72, get_be64(v->bytes + 72) | 3);
}

static void
everything(struct victim *v)
{
	flip_copied(v);
	shuffle_refcounts(v);
	misplace_blocks(v);
	mark_dirty_and_corrupt(v);
}

static struct pl_disk *
open_for_repair(const char *name, bool write)
{
	struct pl_disk *disk = NULL;

	EXPECT_OK(try_open(name,
			   PLATTER_OPEN_IGNORE_CHECKSUMS | PLATTER_OPEN_NO_BACKING |
				   (write ? PLATTER_OPEN_WRITE : 0),
			   &disk));
	return disk;
}

static void
hear(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
     const char *message)
{
	(void)findings, (void)severity, (void)offset, (void)message;
}

static struct pl_findings
repair(const char *name, bool dry_run)
{
	PL_AUTOUNREF struct pl_disk *disk = open_for_repair(name, !dry_run);
	struct pl_findings findings = { .found = hear };

	EXPECT_OK(pl_format_of(disk)->change->repair(disk, dry_run, &findings, &err));
	return findings;
}

static const char *const makes[] = {
	"qemu-img convert -f raw -O qcow2 base.img $i",
	"qemu-img convert -f raw -O qcow2 -o cluster_size=512 base.img $i",
	("qemu-img convert -c -f raw -O qcow2 -o cluster_size=4k base.img $i && "
	 "qemu-img snapshot -c s $i && qemu-io -c 'write -P 9 1M 1M' $i && "
	 "qemu-img snapshot -c t $i && qemu-io -c 'write -P 8 1500k 1M' $i"),
	("qemu-img convert -f raw -O qcow2 -o compat=0.10 base.img $i && "
	 "qemu-img snapshot -c s $i && qemu-io -c 'write -P 9 1M 1M' $i"),
	("qemu-img create -f qcow2 -b base.img -F raw $i && qemu-io -c 'write -P 9 1M 1M' $i && "
	 "qemu-img bitmap --add $i b && qemu-img bitmap --add $i c"),
	"qemu-img convert -f raw -O qcow2 -o extended_l2=on,refcount_bits=64 base.img $i",
	"qemu-img convert -f raw -O qcow2 -o refcount_bits=1,cluster_size=1k base.img $i",
};

static void
make_image(size_t m)
{
	run("rm -f *; { head -c 1M /dev/urandom; yes 'all work' | head -c 2M; head -c 1M /dev/zero;"
	    " head -c 1M /dev/urandom; } >base.img; i=whole.qcow2; %s",
	    makes[m]);
}

TEST(refcounts_and_flags_are_made_anew)
{
	static const struct {
		const char *label;
		void (*damage)(struct victim *v);
		bool only_v3;
	} ways[] = {
		{ "refcounts of 0", zero_refcounts, false },
		{ "refcounts that are too large", bump_refcounts, false },
		{ "random refcounts", shuffle_refcounts, false },
		{ "a lost refcount block", lose_a_block, false },
		{ "misplaced refcount blocks", misplace_blocks, false },
		{ "a lost refcount table", lose_refcount_table, false },
		{ "no refcount table", shorten_refcount_table, false },
		{ "a refcount table that is too long", lengthen_refcount_table, false },
		{ "wrong copied flags", flip_copied, false },
		{ "dirty and corrupt bits", mark_dirty_and_corrupt, true },
		{ "all of it", everything, true },
	};

	need_qemu();
	for (size_t m = 0; m < ARRAY_SIZE(makes); m++) {
		PL_AUTOFREE char *before = NULL;

		make_image(m);
		before = contents_of_file("whole.qcow2");
		for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
			struct victim v = load("whole.qcow2");
			PL_AUTOFREE char *after = NULL;
			PL_AUTOUNREF struct pl_disk *disk = NULL;
			struct pl_findings would, did;

			printf("# image %zu: %s\n", m, ways[i].label);
			if (ways[i].only_v3 && get_be32(v.bytes + 4) < 3) {
				free(v.bytes);
				continue;
			}
			ways[i].damage(&v);
			write_file("d.qcow2", v.bytes, v.size);
			would = repair("d.qcow2", true);
			EXPECT(would.count[PLATTER_REPAIRED] > 0);
			write_file("same", v.bytes, v.size);
			run("cmp same d.qcow2");
			free(v.bytes);
			did = repair("d.qcow2", false);
			EXPECT_EQ(did.count[PLATTER_REPAIRED], would.count[PLATTER_REPAIRED]);
			run("qemu-img check -U d.qcow2");
			after = contents_of_file("d.qcow2");
			EXPECT_STR(after, before);
			EXPECT_EQ(repair("d.qcow2", true).count[PLATTER_REPAIRED], 0);
			/* And it may be written again. */
			EXPECT_OK(try_open("d.qcow2", PLATTER_OPEN_WRITE, &disk));
			EXPECT_OK(pl_write(disk, "platter", 7, 123456, &err));
			EXPECT_OK(pl_flush(disk, &err));
			run("qemu-img check -U d.qcow2");
		}
	}
}

TEST(an_image_that_is_well_is_left_alone)
{
	need_qemu();
	for (size_t m = 0; m < ARRAY_SIZE(makes); m++) {
		struct pl_findings findings;

		make_image(m);
		run("cp whole.qcow2 d.qcow2");
		findings = repair("d.qcow2", false);
		EXPECT_EQ(findings.count[PLATTER_REPAIRED] + findings.count[PLATTER_DAMAGE], 0);
		run("cmp whole.qcow2 d.qcow2");
	}
}

TEST(what_is_lost_stays_lost_and_is_said)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_findings findings;
	struct victim v, base;
	size_t cluster;

	need_qemu();
	make_image(0);
	v = load("whole.qcow2");
	cluster = cluster_size(&v);
	/* Data past the end of the file, and at no cluster's start. */
	put_be64(l2(&v) + 3 * 8, (v.size + 5 * cluster) | COPIED);
	put_be64(l2(&v) + 5 * 8, get_be64(l2(&v) + 5 * 8) + 512);
	zero_refcounts(&v);
	put_be64(v.bytes + 72, 2);
	write_file("d.qcow2", v.bytes, v.size);
	free(v.bytes);
	findings = repair("d.qcow2", false);
	EXPECT(findings.count[PLATTER_REPAIRED] > 0);
	EXPECT(findings.count[PLATTER_DAMAGE] > 0);
	v = load("d.qcow2");
	/* It is still marked as corrupt, for it is; and what the entries meant is not forgotten. */
	EXPECT_EQ(get_be64(v.bytes + 72) & 2, 2);
	EXPECT(get_be64(l2(&v) + 5 * 8) & 512);
	free(v.bytes);
	base = load("base.img");
	EXPECT_OK(try_open("d.qcow2", 0, &disk));
	for (size_t c = 0; c < 80; c++) {
		uint8_t bytes[65536];

		if (c == 3 || c == 5)
			continue;
		EXPECT_OK(pl_read(disk, bytes, sizeof bytes, c * sizeof bytes, &err));
		EXPECT_MEM(bytes, base.bytes + c * sizeof bytes, sizeof bytes);
	}
	free(base.bytes);
}

TEST(a_file_cut_within_its_last_cluster_is_repaired)
{
	PL_AUTOFREE char *before = NULL;
	PL_AUTOFREE char *after = NULL;

	need_qemu();
	make_image(0);
	run("cp whole.qcow2 d.qcow2; truncate -s -1000 d.qcow2");
	before = contents_of_file("d.qcow2");
	{
		struct victim v = load("d.qcow2");

		bump_refcounts(&v);
		write_file("d.qcow2", v.bytes, v.size);
		free(v.bytes);
	}
	EXPECT(repair("d.qcow2", false).count[PLATTER_REPAIRED] > 0);
	run("qemu-img check -U d.qcow2");
	after = contents_of_file("d.qcow2");
	EXPECT_STR(after, before);
}

TEST(damaged_bitmaps_are_given_up)
{
	PL_AUTOFREE char *before = NULL;
	PL_AUTOFREE char *after = NULL;
	struct victim v;
	size_t at = 104;

	need_qemu();
	make_image(4);
	before = contents_of_file("whole.qcow2");
	v = load("whole.qcow2");
	while (get_be32(v.bytes + at) != 0x23852875)
		at += 8 + ((get_be32(v.bytes + at + 4) + 7) & ~7u);
	/* The first bitmap's table is somewhere in the dark. */
	put_be64(v.bytes + get_be64(v.bytes + at + 24), v.size * 4);
	write_file("d.qcow2", v.bytes, v.size);
	free(v.bytes);
	EXPECT(repair("d.qcow2", false).count[PLATTER_REPAIRED] > 0);
	EXPECT_EQ(repair("d.qcow2", true).count[PLATTER_DAMAGE], 0);
	run("qemu-img check -U d.qcow2");
	after = contents_of_file("d.qcow2");
	EXPECT_STR(after, before);
}

TEST(a_power_cut_while_repairing_loses_nothing)
{
	PL_AUTOFREE char *before = NULL;
	bool was_cut = true;

	need_qemu();
	make_image(2);
	before = contents_of_file("whole.qcow2");
	{
		struct victim v = load("whole.qcow2");

		everything(&v);
		write_file("d.qcow2", v.bytes, v.size);
		free(v.bytes);
	}
	for (uint64_t cut = 1; was_cut; cut++) {
		struct fragile *f = new_fragile("d.qcow2");
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct pl_findings findings = { .found = hear };
		PL_AUTOFREE char *after = NULL;

		EXPECT_OK(pl_image_open(&f->disk, NULL, NULL, NULL,
					PLATTER_OPEN_WRITE | PLATTER_OPEN_IGNORE_CHECKSUMS, &disk,
					&err));
		f->writes_left = cut;
		EXPECT_OK(pl_format_of(disk)->change->repair(disk, false, &findings, &err));
		was_cut = f->writes_left == 0;
		if (was_cut)
			save_cut(f, "cut.qcow2");
		pl_disk_unref(disk);
		pl_disk_unref(&f->disk);
		disk = NULL;
		if (!was_cut)
			break;
		(void)repair("cut.qcow2", false);
		run("qemu-img check cut.qcow2");
		after = contents_of_file("cut.qcow2");
		EXPECT_STR(after, before);
	}
}

TEST(a_device_without_room_is_told_so)
{
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	struct pl_findings findings = { .found = hear };
	struct victim v;

	need_qemu();
	make_image(0);
	v = load("whole.qcow2");
	zero_refcounts(&v);
	EXPECT_OK(pl_memory_new(v.bytes, v.size, "device", &file, &err));
	file->growable = false;
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL,
				PLATTER_OPEN_WRITE | PLATTER_OPEN_IGNORE_CHECKSUMS, &disk, &err));
	EXPECT_EQ(pl_format_of(disk)->change->repair(disk, false, &findings, &err), -ENOSPC);
	pl_disk_unref(disk);
	pl_disk_unref(file);
	disk = file = NULL;
	/* With some room behind the image, it is done in that. */
	memset(v.bytes + v.size, 0, MIB(1));
	EXPECT_OK(pl_memory_new(v.bytes, v.size + MIB(1), "device", &file, &err));
	file->growable = false;
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL,
				PLATTER_OPEN_WRITE | PLATTER_OPEN_IGNORE_CHECKSUMS, &disk, &err));
	EXPECT_OK(pl_format_of(disk)->change->repair(disk, false, &findings, &err));
	expect_findings(disk, 0, 0);
	free(v.bytes);
}
