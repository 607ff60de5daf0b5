/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-vmdk-qemu.c - what qemu-img makes in each subformat, read back; what we make, judged
 * by qemu-img
 */
#include <platter/platter.h>

#include "images.h"

/* Grains end in it, and so does the last table's range. */
#define SIZE (MIB(70) + 512 * 77)

/* Noise, text and gaps, in the file "raw". */
static uint8_t *
make_grains(size_t size)
{
	uint8_t *bytes = calloc(1, size);

	EXPECT(bytes);
	seed = 1;
	for (size_t at = 0; at < size; at += rnd(2) ? rnd(4000000) : rnd(200000)) {
		size_t want = rnd(150000), n = PL_MIN(size - at, want);
		bool noise = rnd(2);

		for (size_t i = 0; i < n; i++)
			bytes[at + i] =
				noise ? (uint8_t)rnd(256) : (uint8_t) "a grain of salt "[i % 16];
	}
	bytes[size - 1] = 'e';
	write_file("raw", bytes, size);
	return bytes;
}

static struct platter_disk *
open_place(const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	struct platter_disk *disk;

	EXPECT_OK(platter_open(path, NULL, &disk, &err));
	return disk;
}

static void
expect_vmdk(const char *name, const uint8_t *bytes, size_t size)
{
	struct platter_disk *disk = open_place(name);
	PL_AUTOFREE uint8_t *buf = malloc(size);

	EXPECT_STR(platter_format_name(disk), "vmdk");
	EXPECT_EQ(platter_size(disk), size);
	EXPECT_OK(platter_read(disk, buf, size, 0, &err));
	EXPECT_MEM(buf, bytes, size);
	for (int i = 0; i < 200; i++) {
		size_t at = rnd((uint32_t)size), want = rnd(200000);
		size_t n = PL_MIN(size - at, want);

		EXPECT_OK(platter_read(disk, buf, n, at, &err));
		EXPECT_MEM(buf, bytes + at, n);
	}
	platter_close(disk);
}

static const char *const subformats[] = { "monolithicSparse", "monolithicFlat",
					  "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
					  "streamOptimized" };

TEST(each_subformat_of_qemu_img_is_read)
{
	PL_AUTOFREE uint8_t *bytes = NULL;

	need_qemu();
	bytes = make_grains(SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		printf("# %s\n", subformats[i]);
		run("rm -f d*.vmdk; qemu-img convert -f raw -O vmdk -o subformat=%s raw d.vmdk",
		    subformats[i]);
		expect_vmdk("d.vmdk", bytes, SIZE);
	}
}

TEST(disks_of_several_2_gib_extents_are_read)
{
	struct platter_disk *disk;
	uint8_t buf[2048];

	need_qemu();
	for (size_t i = 2; i < 4; i++) {
		run("rm -f d*.vmdk; qemu-img create -f vmdk -o subformat=%s d.vmdk 5G",
		    subformats[i]);
		run("qemu-io -c 'write -P 1 2147483136 1k' -c 'write -P 2 4G 2k' d.vmdk");
		disk = open_place("d.vmdk");
		EXPECT_EQ(platter_size(disk), GIB(5));
		EXPECT_OK(platter_read(disk, buf, sizeof buf, 2147483136 - 512, &err));
		for (size_t k = 0; k < sizeof buf; k++)
			EXPECT_EQ(buf[k], k / 512 == 1 || k / 512 == 2);
		EXPECT_OK(platter_read(disk, buf, sizeof buf, GIB(4), &err));
		EXPECT_EQ(buf[0], 2);
		EXPECT_EQ(buf[2047], 2);
		platter_close(disk);
	}
}

TEST(a_chain_of_three_reads_as_qemu_reads_it)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOFREE uint8_t *have = malloc(MIB(8));
	PL_AUTOFREE char *path = pl_format("%s/flat", pl_test_folder());
	struct platter_disk *disk;
	FILE *f;

	need_qemu();
	run("qemu-img create -f vmdk base.vmdk 8M && qemu-io -c 'write -P 1 0 4M' base.vmdk &&"
	    "qemu-img create -f vmdk -b base.vmdk -F vmdk mid.vmdk &&"
	    "qemu-io -c 'write -P 2 1M 1M' mid.vmdk &&"
	    "qemu-img create -f vmdk -o zeroed_grain=on -b mid.vmdk -F vmdk top.vmdk &&"
	    "qemu-io -c 'write -P 3 3M 100k' -c 'write -z 1500k 256k' top.vmdk &&"
	    "qemu-img convert -O raw top.vmdk flat");
	bytes = malloc(MIB(8));
	f = fopen(path, "rb");
	EXPECT(f && fread(bytes, 1, MIB(8), f) == MIB(8));
	fclose(f);
	disk = open_place("top.vmdk");
	EXPECT_OK(platter_read(disk, have, MIB(8), 0, &err));
	EXPECT_MEM(have, bytes, MIB(8));
	platter_close(disk);
}

static int
try_create(const char *source, const char *target, const struct platter_key_value *option,
	   size_t nr_options, const char *compress)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), target);
	struct platter_create_options options = { .size = sizeof options,
						  .options = option,
						  .nr_options = nr_options,
						  .compress = compress,
						  .overwrite = true,
						  .verify = true,
						  .no_sync = true };
	struct platter_copy_result result;
	struct platter_disk *disk = open_place(source);
	int r = platter_create(disk, path, &options, NULL, &result, &err);

	platter_close(disk);
	return r;
}

static void
create(const char *source, const char *target, const struct platter_key_value *option,
       const char *compress)
{
	EXPECT_OK(try_create(source, target, option, option ? 1 : 0, compress));
}

static void
create_empty(const char *target, uint64_t size, const struct platter_key_value *options,
	     size_t nr_options)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), target);
	struct platter_create_options how = {
		.size = sizeof how, .options = options, .nr_options = nr_options, .no_sync = true
	};

	EXPECT_OK(platter_create_empty(path, size, &how, &err));
}

/* Two places read the same, through platter and through qemu-img. */
static void
expect_same(const char *name, const char *raw)
{
	struct platter_disk *a = open_place(name), *b = open_place(raw);
	struct platter_compare_result result;

	EXPECT_OK(platter_compare(a, b, NULL, &result, &err));
	EXPECT(result.equal);
	platter_close(a);
	platter_close(b);
	run("qemu-img compare -f vmdk -F raw %s %s", name, raw);
}

/* Each is as large as it says and every tool reads the same from it. */
static void
expect_judged(const char *name)
{
	run("qemu-img check %s && qemu-img compare -f raw -F vmdk raw %s", name, name);
	/* It takes descriptors for text. */
	if (system("7zz >/dev/null 2>&1") == 0)
		run("head -c 4 %s | grep -q KDMV || exit 0; rm -rf x && 7zz e -y -ox %s && cmp raw "
		    "x/*",
		    name, name);
}

TEST(qemu_img_reads_what_is_written)
{
	static const struct platter_key_value options[] = {
		{ "subformat", "monolithicSparse" },
		{ "subformat", "streamOptimized" },
		{ "subformat", "monolithicFlat" },
		{ "subformat", "twoGbMaxExtentSparse" },
		{ "subformat", "twoGbMaxExtentFlat" },
		{ "adapter_type", "lsilogic" },
		{ "hwversion", "13" },
	};
	static const size_t sizes[] = { 512, 65536 + 512, MIB(32), SIZE };

	need_qemu();
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		PL_AUTOFREE uint8_t *bytes = make_grains(sizes[k]);

		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			printf("# %zu bytes, %s\n", sizes[k], options[i].value);
			create("raw", "w.vmdk", &options[i], NULL);
			expect_judged("w.vmdk");
			expect_vmdk("w.vmdk", bytes, sizes[k]);
			run("grep -a '\"%s\"' w.vmdk", options[i].value);
		}
		create("raw", "w.vmdk", NULL, "zlib:1");
		expect_judged("w.vmdk");
		run("grep -a streamOptimized w.vmdk");
	}
}

TEST(tables_far_apart_are_all_written)
{
	need_qemu();
	run("qemu-img create -f qcow2 far.qcow2 200G && qemu-io -c 'write -P 1 0 64k'"
	    " -c 'write -P 2 17179803648 128k' -c 'write -P 3 100G 1M'"
	    " -c 'write -P 4 214748299264 65536' far.qcow2");
	for (int stream = 0; stream < 2; stream++) {
		create("far.qcow2", "far.vmdk", NULL, stream ? "" : NULL);
		run("qemu-img check far.vmdk && qemu-img compare far.qcow2 far.vmdk");
	}
}

/* A sparse disk with something at the end and on both sides of where extents meet. */
static void
make_far_apart(const char *name)
{
	run("qemu-img create -f raw %s 4999999488 && qemu-io -f raw -c 'write -P 1 0 64k'"
	    " -c 'write -P 2 2146403328 64k' -c 'write -P 3 4292804608 131072'"
	    " -c 'write -P 4 4999998976 512' %s",
	    name, name);
}

TEST(disks_of_several_2_gib_extents_are_written)
{
	static const struct platter_key_value options[] = {
		{ "subformat", "twoGbMaxExtentSparse" },
		{ "subformat", "twoGbMaxExtentFlat" },
		{ "subformat", "monolithicFlat" },
	};

	need_qemu();
	make_far_apart("far");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		printf("# %s\n", options[i].value);
		run("rm -f w*.vmdk");
		create("far", "w.vmdk", &options[i], NULL);
		expect_same("w.vmdk", "far");
		run("qemu-img check w.vmdk; qemu-img info w.vmdk | grep 'create type: %s'",
		    options[i].value);
		run("ls w-%s", i == 0 ? "s003.vmdk" : i == 1 ? "f003.vmdk" : "flat.vmdk");
		run("test -z \"$(ls | grep part)\"");
		if (i < 2)
			run("test $(ls w-*.vmdk | wc -l) = 3; "
			    "test $(stat -c %%s w-?001.vmdk) -lt 2147483648");
	}
}

TEST(extents_that_exist_are_replaced_only_if_they_may)
{
	static const struct platter_key_value flat = { "subformat", "monolithicFlat" };
	struct platter_create_options options = {
		.size = sizeof options, .options = &flat, .nr_options = 1, .no_sync = true
	};
	PL_AUTOFREE char *path = pl_format("%s/d.vmdk", pl_test_folder());
	PL_AUTOFREE uint8_t *bytes = make_grains(MIB(1));
	struct platter_copy_result result;
	struct platter_disk *disk = open_place("raw");

	run("echo precious >d-flat.vmdk");
	EXPECT_EQ(platter_create(disk, path, &options, NULL, &result, &err), -EEXIST);
	EXPECT(strstr(err.message, "d-flat.vmdk"));
	run("grep precious d-flat.vmdk; test -z \"$(ls | grep -v raw | grep part)\"; ! test -e "
	    "d.vmdk");
	platter_close(disk);
	/* It would take its place while it is read. */
	run("cp raw d-flat.vmdk");
	EXPECT_EQ(try_create("d-flat.vmdk", "d.vmdk", &flat, 1, NULL), -EINVAL);
	EXPECT(strstr(err.message, "part of the source"));
	run("cmp raw d-flat.vmdk");
	create("raw", "d.vmdk", &flat, NULL);
	expect_vmdk("d.vmdk", bytes, MIB(1));
}

TEST(extents_are_named_after_their_descriptor)
{
	static const struct platter_key_value flat = { "subformat", "monolithicFlat" };
	static const char *const bad[] = { "a:b.vmdk", "a\"b.vmdk", "a\\b.vmdk", "a\nb.vmdk" };
	PL_AUTOFREE uint8_t *bytes = make_grains(MIB(1));
	PL_AUTOFREE char *folder = pl_format("mkdir -p '%s/a.dir'", pl_test_folder());
	static const struct platter_key_value vmdk[] = { { "subformat", "monolithicFlat" } };

	EXPECT_EQ(system(folder), 0);
	create("raw", "a.dir/My disk.VMDK", vmdk, NULL);
	expect_vmdk("a.dir/My disk.VMDK", bytes, MIB(1));
	run("cmp raw 'a.dir/My disk-flat.VMDK'");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(try_create("raw", bad[i], &flat, 1, NULL), -EINVAL);
		EXPECT(strstr(err.message, "cannot stand in a descriptor"));
	}
	run("test $(ls | wc -l) = 3"); /* raw, a.dir and the log */
}

static const char *const overlay_subformats[] = { "monolithicSparse", "twoGbMaxExtentSparse" };

TEST(overlays_of_a_chain_of_three_are_written)
{
	need_qemu();
	for (size_t i = 0; i < 2; i++) {
		struct platter_key_value options[] = { { "subformat", overlay_subformats[i] },
						       { "backing_file", "base.vmdk" } };

		run("rm -f *.vmdk");
		run("qemu-img create -f vmdk base.vmdk 70M &&"
		    "qemu-io -c 'write -P 1 0 40M' base.vmdk");
		create_empty("mid.vmdk", MIB(70), options, 2);
		run("qemu-io -c 'write -P 2 1M 1M' -c 'write -P 2 50M 1M' mid.vmdk");
		options[1].value = "mid.vmdk";
		create_empty("top.vmdk", MIB(72), options, 2);
		run("qemu-io -c 'write -P 3 1500k 100k' -c 'write -P 3 71M 1M' top.vmdk");
		run("qemu-img convert -O raw top.vmdk raw");
		expect_same("top.vmdk", "raw");
		run("qemu-io -c 'read -P 1 0 1M' -c 'read -P 2 1M 400k' -c 'read -P 3 1500k 100k'"
		    " -c 'read -P 2 50M 1M' -c 'read -P 3 71M 1M' top.vmdk | grep -c '^read' |"
		    " grep 5 && qemu-img check top.vmdk && qemu-img info --backing-chain top.vmdk");
	}
}

/* A whole disk into an overlay: where it has zeros, those of the parent must not show. */
TEST(zeros_hide_what_the_parent_has)
{
	need_qemu();
	for (size_t i = 0; i < 2; i++) {
		struct platter_key_value options[] = { { "subformat", overlay_subformats[i] },
						       { "backing_file", "base.vmdk" } };
		PL_AUTOFREE uint8_t *bytes = NULL;

		run("rm -f *.vmdk");
		run("qemu-img create -f vmdk base.vmdk 40M && qemu-io -c 'write -P 1 0 40M' "
		    "base.vmdk");
		bytes = make_grains(SIZE);
		EXPECT_OK(try_create("raw", "top.vmdk", options, 2, NULL));
		expect_vmdk("top.vmdk", bytes, SIZE);
		expect_same("top.vmdk", "raw");
		run("qemu-img check top.vmdk");
	}
}

TEST(overlay_knows_its_parent_by_its_content_id)
{
	struct platter_key_value options[] = { { "backing_file", "base.vmdk" },
					       { "subformat", "monolithicFlat" } };
	PL_AUTOFREE char *path = pl_format("%s/top.vmdk", pl_test_folder());
	struct platter_disk *disk;

	need_qemu();
	free(make_grains(MIB(1)));
	run("qemu-img create -f vmdk base.vmdk 1M; qemu-img create -f qcow2 base.qcow2 1M");
	create_empty("top.vmdk", MIB(1), options, 1);
	run("grep -a '^parentFileNameHint=\"base.vmdk\"$' top.vmdk");
	run("qemu-io -c 'write -P 1 0 64k' base.vmdk"); /* changes the ID */
	EXPECT_EQ(platter_open(path, NULL, &disk, &err), -EUCLEAN);
	EXPECT(strstr(err.message, "content ID"));

	EXPECT_EQ(try_create("raw", "flat.vmdk", options, 2, NULL), -EINVAL);
	options[1].value = "streamOptimized";
	EXPECT_EQ(try_create("raw", "stream.vmdk", options, 2, NULL), -EINVAL);
	options[0].value = "base.qcow2";
	EXPECT(try_create("raw", "other.vmdk", options, 1, NULL) < 0);
	options[0].value = "missing.vmdk";
	EXPECT_EQ(try_create("raw", "other.vmdk", options, 1, NULL), -ENOENT);
	run("! ls other* flat* stream*");
}

/* The bytes of the disk that the map calls holes, in how many steps. */
static uint64_t
holes_of(const char *name, unsigned *ret_steps)
{
	struct platter_disk *disk = open_place(name);
	uint64_t size = platter_size(disk), at = 0, holes = 0;

	for (*ret_steps = 0; at < size; (*ret_steps)++) {
		struct platter_extent e;

		EXPECT_OK(platter_map(disk, at, size - at, &e, &err));
		holes += e.kind == PLATTER_HOLE ? e.length : 0;
		at += e.length;
	}
	platter_close(disk);
	return holes;
}

/* The tables of 2 KiB, 16384 of them, are a hole of the file: it is not read piece by piece. */
TEST(blank_tables_in_a_hole_of_the_file_are_passed_in_one_step)
{
	unsigned sparse, dense;

	need_qemu();
	run("truncate -s 512G big && printf x | dd of=big bs=1 seek=256G conv=notrunc &&"
	    " printf y | dd of=big bs=1 seek=384G conv=notrunc");
	create("big", "big.vmdk", NULL, NULL);
	EXPECT_EQ(holes_of("big.vmdk", &sparse), GIB(512) - KIB(128));
	EXPECT(sparse < 20);
	/* The same tables, stored as zeros. */
	run("cp --sparse=never big.vmdk dense.vmdk");
	EXPECT_EQ(holes_of("dense.vmdk", &dense), GIB(512) - KIB(128));
}
