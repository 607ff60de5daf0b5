/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "bytes.h"
#include "format.h"
#include "verify.h"

struct log {
	size_t nr, nr_damages;
	char last[1200];
	uint64_t offset;
};

static void
remember(const struct platter_finding *finding, void *closure)
{
	struct log *log = closure;

	log->nr++;
	if (finding->severity != PLATTER_DAMAGE)
		return;
	log->nr_damages++;
	log->offset = finding->offset;
	snprintf(log->last, sizeof log->last, "%s", finding->message);
}

static void
run(const char *command)
{
	if (system(command) != 0)
		SKIP("cannot run: %s", command);
}

static struct platter_verify_result
verify(const char *name, const char *hashes, struct log *log)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_verify_result result;
	struct pl_place *place;

	*log = (struct log){ 0 };
	EXPECT_OK(pl_place_open(name, NULL, 0, &place, &err));
	EXPECT_OK(pl_verify(place, hashes, remember, log, NULL, &result, &err));
	pl_place_close(place);
	EXPECT_EQ(result.damages, log->nr_damages);
	return result;
}

/* 40 MiB: data, a hole longer than what is hashed at once, and data up to an odd end. */
static void
make_raw(void)
{
	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("seq 1 400000 > disk.raw && truncate -s 38M disk.raw && seq 1 300000 >> disk.raw && "
	    "truncate -s 41943552 disk.raw");
}

static void
expect_sum(const char *command, const char *hex)
{
	char line[200];
	FILE *f = popen(command, "r");

	EXPECT(f != NULL);
	EXPECT(fgets(line, sizeof line, f) != NULL);
	pclose(f);
	line[strlen(hex)] = '\0';
	EXPECT_STR(hex, line);
}

TEST(hashes_are_those_of_the_whole_disk)
{
	static const char *const images[] = { "disk.raw", "disk.qcow2" };

	make_raw();
	run("qemu-img convert -c -O qcow2 disk.raw disk.qcow2");
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct log log;
		struct platter_verify_result r = verify(images[i], "sha256,md5", &log);

		EXPECT_EQ(r.damages, 0);
		EXPECT_EQ(r.size, 41943552);
		EXPECT(r.read > 0 && r.read < MIB(20));
		EXPECT_EQ(r.nr_hashes, 2);
		expect_sum("sha256sum disk.raw", r.hashes[0].hex);
		expect_sum("md5sum disk.raw", r.hashes[1].hex);
	}
}

TEST(each_damaged_cluster_is_found_and_the_rest_is_read)
{
	struct platter_verify_result whole, damaged;
	struct log log;

	make_raw();
	run("qemu-img convert -c -O qcow2 disk.raw disk.qcow2");
	whole = verify("disk.qcow2", NULL, &log);
	EXPECT_EQ(log.nr, 0);
	/* Compressed clusters follow each other from the sixth cluster on. */
	run("for i in 400000 500000; do head -c 3000 /dev/zero | tr '\\0' '\\377' | "
	    "dd of=disk.qcow2 bs=1 seek=$i conv=notrunc status=none; done");
	damaged = verify("disk.qcow2", "sha256", &log);
	EXPECT(damaged.damages >= 2);
	EXPECT(damaged.damages <= 4);
	EXPECT(strstr(log.last, "bytes of the disk at") != NULL);
	EXPECT(log.offset > 430000 && log.offset < 503000);
	EXPECT(damaged.read < whole.read);
	EXPECT(damaged.read >= whole.read - damaged.damages * KIB(64));
	/* There is no hash of what could not all be read. */
	EXPECT_EQ(damaged.nr_hashes, 0);
}

TEST(an_image_cut_short_is_damaged)
{
	struct platter_verify_result r;
	struct log log;

	make_raw();
	run("qemu-img convert -O qcow2 disk.raw disk.qcow2 && truncate -s 2M disk.qcow2");
	r = verify("disk.qcow2", NULL, &log);
	EXPECT(r.damages > 0);
}

TEST(a_damaged_backing_file_is_named)
{
	struct log log;

	make_raw();
	run("qemu-img convert -c -O qcow2 disk.raw base.qcow2 && "
	    "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2");
	EXPECT_EQ(verify("top.qcow2", NULL, &log).damages, 0);
	run("head -c 3000 /dev/zero | tr '\\0' '\\377' | "
	    "dd of=base.qcow2 bs=1 seek=400000 conv=notrunc status=none");
	EXPECT(verify("top.qcow2", NULL, &log).damages > 0);
}

static void
cancel(const struct platter_progress_event *event, void *closure)
{
	if (strcmp(event->phase, "reading") == 0)
		platter_cancel(*(struct platter_progress **)closure);
}

TEST(a_cancelled_verification_says_so)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_progress progress = { .report = cancel }, *closure = &progress;
	struct platter_verify_result result;
	struct pl_place *place;

	make_raw();
	progress.closure = &closure;
	EXPECT_OK(pl_place_open("disk.raw", NULL, 0, &place, &err));
	EXPECT_EQ(pl_verify(place, "md5", NULL, NULL, &progress, &result, &err), -ECANCELED);
	pl_place_close(place);
}

TEST(unknown_hashes_are_refused)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_verify_result result;
	struct pl_place *place;

	make_raw();
	EXPECT_OK(pl_place_open("disk.raw", NULL, 0, &place, &err));
	EXPECT_EQ(pl_verify(place, "crc64", NULL, NULL, NULL, &result, &err), -EINVAL);
	pl_place_close(place);
}

/* A GPT disk of 16 MiB with one partition up to its end. */
static void
make_gpt(void)
{
	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("{ truncate -s 16M gpt.raw && sfdisk -q gpt.raw; } >/dev/null 2>&1 <<E\n"
	    "label: gpt\n"
	    "start=2048\n"
	    "E\n");
}

TEST(a_damaged_partition_table_is_damage)
{
	struct log log;

	make_gpt();
	EXPECT_EQ(verify("gpt.raw", NULL, &log).damages, 0);
	run("printf XXXX | dd of=gpt.raw bs=1 seek=1040 conv=notrunc status=none");
	EXPECT_EQ(verify("gpt.raw", NULL, &log).damages, 1);
	EXPECT(strstr(log.last, "partition table: the primary GPT is damaged") != NULL);
}

TEST(a_disk_that_lost_its_end_is_damaged)
{
	struct log log;

	make_gpt();
	EXPECT_EQ(truncate("gpt.raw", 8 << 20), 0);
	EXPECT(verify("gpt.raw", NULL, &log).damages > 0);
}

TEST(a_table_on_a_disk_that_has_grown_is_no_damage)
{
	struct platter_verify_result r;
	struct log log;

	make_gpt();
	EXPECT_EQ(truncate("gpt.raw", 32 << 20), 0);
	r = verify("gpt.raw", NULL, &log);
	EXPECT_EQ(r.damages, 0);
	EXPECT(r.notes > 0);
}
