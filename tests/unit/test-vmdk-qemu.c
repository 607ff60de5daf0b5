/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-vmdk-qemu.c - what qemu-img makes in each subformat, read back; what we make, judged
 * by qemu-img
 */
#include <platter/platter.h>
#include <stdarg.h>
#include <stdlib.h>

#include "bytes.h"
#include "test.h"
#include "text.h"

/* Grains end in it, and so does the last table's range. */
#define SIZE (MIB(70) + 512 * 77)

static struct platter_error err = PLATTER_ERROR_INIT;
static uint32_t seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Run a command in the test's folder; its output is shown only when it fails. */
static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	PL_AUTOFREE char *line = NULL;
	PL_AUTOFREE char *command = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	command = pl_format("cd %s && { %s; } >log 2>&1 || { sed 's/^/# /' log; false; }",
			    pl_test_folder(), line);
	if (system(command) != 0)
		pl_test_fail(__FILE__, __LINE__, "failed: %s", line);
}

static void
need_qemu(void)
{
	if (system("qemu-img --version >/dev/null 2>&1 && qemu-io --version >/dev/null 2>&1") != 0)
		SKIP("qemu-img and qemu-io are not installed");
}

/* Noise, text and gaps, in the file "raw". */
static uint8_t *
make_raw(size_t size)
{
	PL_AUTOFREE char *path = pl_format("%s/raw", pl_test_folder());
	uint8_t *bytes = calloc(1, size);
	FILE *f = fopen(path, "wb");

	EXPECT(bytes && f);
	seed = 1;
	for (size_t at = 0; at < size; at += rnd(2) ? rnd(4000000) : rnd(200000)) {
		size_t want = rnd(150000), n = PL_MIN(size - at, want);
		bool noise = rnd(2);

		for (size_t i = 0; i < n; i++)
			bytes[at + i] =
				noise ? (uint8_t)rnd(256) : (uint8_t) "a grain of salt "[i % 16];
	}
	bytes[size - 1] = 'e';
	EXPECT_EQ(fwrite(bytes, 1, size, f), size);
	fclose(f);
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
expect_reads(const char *name, const uint8_t *bytes, size_t size)
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
	bytes = make_raw(SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(subformats); i++) {
		printf("# %s\n", subformats[i]);
		run("rm -f d*.vmdk; qemu-img convert -f raw -O vmdk -o subformat=%s raw d.vmdk",
		    subformats[i]);
		expect_reads("d.vmdk", bytes, SIZE);
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

static void
create(const char *source, const char *target, const struct platter_key_value *option,
       const char *compress)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), target);
	struct platter_create_options options = { .size = sizeof options,
						  .options = option,
						  .nr_options = option ? 1 : 0,
						  .compress = compress,
						  .overwrite = true,
						  .no_sync = true };
	struct platter_copy_result result;
	struct platter_disk *disk = open_place(source);

	EXPECT_OK(platter_create(disk, path, &options, NULL, &result, &err));
	platter_close(disk);
}

/* Each is as large as it says and every tool reads the same from it. */
static void
expect_judged(const char *name)
{
	run("qemu-img check %s && qemu-img compare -f raw -F vmdk raw %s", name, name);
	if (system("7zz >/dev/null 2>&1") == 0)
		run("rm -rf x && 7zz e -y -ox %s && cmp raw x/*", name);
}

TEST(qemu_img_reads_what_is_written)
{
	static const struct platter_key_value options[] = {
		{ "subformat", "monolithicSparse" },
		{ "subformat", "streamOptimized" },
		{ "adapter_type", "lsilogic" },
		{ "hwversion", "13" },
	};
	static const size_t sizes[] = { 512, 65536 + 512, MIB(32), SIZE };

	need_qemu();
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		PL_AUTOFREE uint8_t *bytes = make_raw(sizes[k]);

		for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
			printf("# %zu bytes, %s\n", sizes[k], options[i].value);
			create("raw", "w.vmdk", &options[i], NULL);
			expect_judged("w.vmdk");
			expect_reads("w.vmdk", bytes, sizes[k]);
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
