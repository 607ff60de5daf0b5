/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What qemu-img and qemu-io make, read back: each test makes an image with one feature
 * from a raw disk and compares random pieces of it with that disk.
 */
#include "images.h"

/* Options of `qemu-img convert`; size 0: the usual. */
static const struct {
	const char *convert;
	size_t size;
} conversions[] = {
	{ "-o compat=0.10", 0 },
	{ "-o compat=1.1", 0 },
	{ "-o cluster_size=512", 0 },
	{ "-o cluster_size=4k", 0 },
	{ "-o cluster_size=2M", 0 },
	{ "-c", 0 },
	{ "-c -o cluster_size=512", MIB(1) },
	{ "-c -o cluster_size=2M", 0 },
	{ "-c -o compat=0.10", 0 },
	{ "-c -o compression_type=zstd", 0 },
	{ "-c -o compression_type=zstd,cluster_size=2M", 0 },
	{ "-c -o compression_type=zstd,cluster_size=1k", MIB(1) },
	{ "-o extended_l2=on,cluster_size=128k", 0 },
	{ "-o extended_l2=on,cluster_size=16k", 0 },
	{ "-c -o extended_l2=on", 0 },
	{ "-o preallocation=metadata", 0 },
	{ "-o preallocation=falloc", 0 },
	{ "-o preallocation=full", 0 },
	{ "-o preallocation=metadata,extended_l2=on", 0 },
	{ "-o refcount_bits=1", 0 },
	{ "-o refcount_bits=64,lazy_refcounts=on", 0 },
	{ "-W -m 16 -c", 0 },
	{ "", 512 },
	{ "", 65536 + 512 },
	{ "-c", 65536 * 3 - 512 },
	{ "-o cluster_size=2M", MIB(2) + 1536 },
	{ "-o extended_l2=on", 65536 * 5 + 1536 },
};

TEST(what_qemu_converts_reads_the_same)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(conversions); i++) {
		size_t size = conversions[i].size ? conversions[i].size : MIB(5) + 512 * 37;
		PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", size);

		printf("# convert %s\n", conversions[i].convert);
		run("qemu-img convert -f raw -O qcow2 %s raw.img image.qcow2",
		    conversions[i].convert);
		expect_reads("image.qcow2", "qcow2", bytes, size);
	}
}

TEST(chains_of_backing_files_read_the_same)
{
	PL_AUTOFREE uint8_t *bytes = NULL;

	need_qemu();
	bytes = make_raw("base.img", MIB(3));
	run("mkdir -p sub && qemu-img create -f qcow2 -b ../base.img -F raw sub/one.qcow2 4M &&"
	    "qemu-img create -f qcow2 -o cluster_size=4k -b sub/one.qcow2 -F qcow2 two.qcow2 &&"
	    "qemu-img create -f qcow2 -o extended_l2=on -b file:$PWD/two.qcow2 -F qcow2 "
	    "three.qcow2 &&"
	    "qemu-io -c 'write -P 1 10k 99k' -c 'write -z 700k 640k' sub/one.qcow2 &&"
	    "qemu-io -c 'write -P 2 50k 1M' -c 'write -z -u 2M 12k' two.qcow2 &&"
	    "qemu-io -c 'write -P 3 60k 3k' -c 'write -P 4 3000k 1096k' -c 'write -z 70k 4k' "
	    "three.qcow2 &&"
	    "qemu-img convert -O raw three.qcow2 flat.img");
	bytes = realloc(bytes, MIB(4));
	{
		PL_AUTOUNREF struct pl_disk *flat = NULL;

		EXPECT_OK(try_open("flat.img", 0, &flat));
		EXPECT_STR(pl_format_of(flat)->info.name, "raw");
		EXPECT_OK(pl_read(flat, bytes, MIB(4), 0, &err));
	}
	expect_reads("three.qcow2", "qcow2", bytes, MIB(4));
}

TEST(an_overlay_opens_alone)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[4096];

	need_qemu();
	free(make_raw("base.img", MIB(1)));
	run("qemu-img create -f qcow2 -b base.img -F raw over.qcow2 && rm base.img");
	EXPECT_EQ(try_open("over.qcow2", 0, &disk), -ENOENT);
	EXPECT(strstr(err.message, "base.img") && strstr(err.message, "over.qcow2"));
	EXPECT(strstr(err.hint, "backing=no"));
	EXPECT_OK(try_open("over.qcow2", PLATTER_OPEN_NO_BACKING, &disk));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT(pl_is_zero(bytes, sizeof bytes));
}

TEST(a_chain_that_closes_on_itself_is_refused)
{
	struct pl_disk *disk;

	need_qemu();
	run("qemu-img create -f qcow2 a.qcow2 1M && qemu-img create -f qcow2 -b a.qcow2 -F qcow2 "
	    "b.qcow2 &&"
	    "ln b.qcow2 other-name.qcow2 && qemu-img rebase -u -b other-name.qcow2 -F qcow2 "
	    "a.qcow2 &&"
	    "qemu-img create -f qcow2 self.qcow2 1M && qemu-img rebase -u -b self.qcow2 -F raw "
	    "self.qcow2");
	EXPECT_EQ(try_open("b.qcow2", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "other-name.qcow2"));
	EXPECT_EQ(try_open("self.qcow2", 0, &disk), -EUCLEAN);
}

TEST(a_chain_of_a_hundred_is_refused)
{
	struct pl_disk *disk;

	need_qemu();
	run("qemu-img create -f qcow2 0.qcow2 1M && cp 0.qcow2 t.qcow2 && for i in $(seq 100); do"
	    " cp t.qcow2 $i.qcow2; qemu-img rebase -u -b $((i-1)).qcow2 -F qcow2 $i.qcow2 || exit; "
	    "done");
	EXPECT_EQ(try_open("100.qcow2", 0, &disk), -EFBIG);
}

TEST(an_image_reaches_files_only)
{
	static const struct {
		const char *name;
		int code;
	} names[] = {
		{ "nbd://localhost/x", -ENOTSUP },
		{ "json:{\\\"driver\\\":\\\"null-co\\\"}", -ENOTSUP },
		{ "fat:rw:/etc", -ENOTSUP },
		{ "missing.img", -ENOENT },
		{ "sub/", -ENOENT },
	};
	struct pl_disk *disk;

	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		run("qemu-img create -f qcow2 x.qcow2 1M && qemu-img rebase -u -b \"%s\" -F raw "
		    "x.qcow2",
		    names[i].name);
		EXPECT_EQ(try_open("x.qcow2", 0, &disk), names[i].code);
	}
	run("mkfifo fifo && qemu-img create -f qcow2 x.qcow2 1M && qemu-img rebase -u -b fifo -F "
	    "raw x.qcow2");
	EXPECT(try_open("x.qcow2", 0, &disk) < 0);
	free(make_raw("y.img", 512));
	run("qemu-img convert -f raw -O vpc y.img y.vhd && qemu-img rebase -u -b y.vhd -F vpc "
	    "x.qcow2");
	EXPECT_OK(try_open("x.qcow2", 0, &disk));
	pl_disk_unref(disk);
	run("qemu-img rebase -u -b y.img -F bochs x.qcow2");
	EXPECT_EQ(try_open("x.qcow2", 0, &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "bochs"));
}

TEST(snapshots_read_as_the_disk_was)
{
	PL_AUTOFREE uint8_t *before = NULL;
	PL_AUTOFREE uint8_t *after = NULL;
	PL_AUTOUNREF struct pl_disk *none = NULL;

	need_qemu();
	before = make_raw("before.img", MIB(2));
	run("qemu-img convert -f raw -c -O qcow2 before.img s.qcow2 && qemu-img snapshot -c monday "
	    "s.qcow2 &&"
	    "qemu-img resize s.qcow2 3M && qemu-io -c 'write -P 7 100k 800k' -c 'discard 1M 128k' "
	    "s.qcow2 &&"
	    "qemu-img snapshot -c 1 s.qcow2 && qemu-io -c 'write -P 8 0 3M' s.qcow2");
	after = malloc(MIB(3));
	memset(after, 8, MIB(3));
	expect_reads("s.qcow2", "qcow2", after, MIB(3));
	expect_snapshot_reads("s.qcow2", "qcow2", "monday", before, MIB(2));
	expect_snapshot_reads("s.qcow2", "qcow2", "1", before, MIB(2)); /* the id, not the name */
	EXPECT_EQ(try_open_snapshot("s.qcow2", "tuesday", 0, &none), -ENOENT);
}

TEST(data_in_another_file_reads_the_same)
{
	PL_AUTOFREE uint8_t *bytes = NULL;

	need_qemu();
	bytes = make_raw("raw.img", MIB(2));
	for (int raw = 0; raw < 2; raw++) {
		run("rm -f data.bin; qemu-img create -f qcow2 -o "
		    "data_file=data.bin,data_file_raw=%s d.qcow2 2M &&"
		    "qemu-img convert -n -f raw -O qcow2 raw.img d.qcow2",
		    raw ? "on" : "off");
		expect_reads("d.qcow2", "qcow2", bytes, MIB(2));
	}
}

/* QEMU times its key derivation first, and on some machines it cannot. */
static bool
make_encrypted(void)
{
	PL_AUTOFREE char *command =
		pl_format("cd %s && qemu-img create --object secret,id=s,data=abc -f qcow2"
			  " -o encrypt.format=luks,encrypt.key-secret=s l.qcow2 1M >/dev/null 2>&1",
			  pl_test_folder());

	return system(command) == 0;
}

TEST(encrypted_images_open_but_their_data_does_not)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[512];

	need_qemu();
	if (!make_encrypted())
		SKIP("qemu-img cannot make encrypted images here");
	run("qemu-io --object secret,id=s,data=abc --image-opts -c 'write -P 5 0 64k'"
	    " driver=qcow2,file.filename=l.qcow2,encrypt.format=luks,encrypt.key-secret=s");
	EXPECT_OK(try_open("l.qcow2", 0, &disk));
	EXPECT_EQ(pl_read(disk, bytes, sizeof bytes, 0, &err), -ENOTSUP);
	EXPECT(strstr(err.message, "LUKS"));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, KIB(512), &err));
	expect_findings(disk, 0, 0);
}
