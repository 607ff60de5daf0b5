/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random writes into QCOW2 images: the same as qemu-io does to a twin of the image, and
 * afterwards an image with which qemu-img check finds nothing wrong, leaks included.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "storage.h"
#include "test.h"
#include "text.h"

static struct platter_error err = PLATTER_ERROR_INIT;
static uint64_t seed;

static uint64_t
rnd(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* Run a command in the test's folder; its output is shown only when it fails. */
static void
run(const char *format, ...)
{
	PL_AUTOFREE char *line = NULL;
	PL_AUTOFREE char *command = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	command =
		pl_format("cd %s && { %s; } >log 2>&1 || { tail -50 log | sed 's/^/# /'; false; }",
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

static struct pl_disk *
open_image(const char *name, unsigned flags)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_disk *disk = NULL;

	EXPECT_OK(pl_storage_open(path, flags & PLATTER_OPEN_WRITE, &file, &err));
	EXPECT_OK(pl_image_open(file, path, NULL, NULL, flags, &disk, &err));
	return disk;
}

enum what {
	WRITE,
	ZERO,
	UNMAP,
	DISCARD,
	FLUSH,
	NR_WHAT,
};

struct operation {
	enum what what;
	uint64_t offset, length;
	uint8_t byte;
};

static struct operation
random_operation(uint64_t size)
{
	static const uint64_t lengths[] = { 512, 3000, 70000, 700000, 3000000 };
	struct operation o = { .byte = (uint8_t)(1 + rnd(255)) };
	uint64_t pick = rnd(100);

	o.what = pick < 70   ? WRITE
		 : pick < 80 ? ZERO
		 : pick < 88 ? UNMAP
		 : pick < 97 ? DISCARD
			     : FLUSH;
	o.offset = rnd(size);
	o.length = 1 + rnd(lengths[rnd(rnd(20) ? 3 : 5)]);
	if (rnd(2)) {
		o.offset &= ~4095ull;
		o.length = (o.length + 4095) & ~4095ull;
	}
	o.length = PL_MIN(o.length, size - o.offset);
	return o;
}

static void
apply(struct pl_disk *disk, const struct operation *o)
{
	PL_AUTOFREE uint8_t *bytes = NULL;

	switch (o->what) {
	case WRITE:
		bytes = malloc(o->length);
		memset(bytes, o->byte, o->length);
		EXPECT_OK(pl_write(disk, bytes, o->length, o->offset, &err));
		break;
	case ZERO: EXPECT_OK(pl_zero(disk, o->offset, o->length, 0, &err)); break;
	case UNMAP: EXPECT_OK(pl_zero(disk, o->offset, o->length, PL_ZERO_MAY_UNMAP, &err)); break;
	case DISCARD: EXPECT_OK(pl_discard(disk, o->offset, o->length, &err)); break;
	default: EXPECT_OK(pl_flush(disk, &err));
	}
}

/* Ours reads as zeros what was discarded: the twin writes zeros there. */
static void
tell_qemu_io(FILE *f, const struct operation *o)
{
	switch (o->what) {
	case WRITE:
		fprintf(f, "write -P %d %" PRIu64 " %" PRIu64 "\n", o->byte, o->offset, o->length);
		break;
	case ZERO: fprintf(f, "write -z %" PRIu64 " %" PRIu64 "\n", o->offset, o->length); break;
	case FLUSH: break;
	default: fprintf(f, "write -z -u %" PRIu64 " %" PRIu64 "\n", o->offset, o->length);
	}
}

static void
tell(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
     const char *message)
{
	if (severity != PLATTER_NOTE)
		printf("# %" PRIu64 ": %s\n", offset, message);
}

/* By qemu-img's count, and by ours. */
static void
check_image(const char *name)
{
	struct pl_findings findings = { .found = tell };
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, 0);

	run("qemu-img check %s", name);
	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE] + findings.count[PLATTER_LEAK], 0);
}

/* Both images get the same `nr` operations; then they must be equal, and ours whole. */
static void
write_both(const char *ours, const char *twin, size_t nr)
{
	PL_AUTOFREE char *script = pl_format("%s/script", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *disk = open_image(ours, PLATTER_OPEN_WRITE);
	FILE *f = fopen(script, "w");

	EXPECT(f);
	for (size_t i = 0; i < nr; i++) {
		struct operation o = random_operation(disk->size);

		tell_qemu_io(f, &o);
		apply(disk, &o);
	}
	fclose(f);
	pl_disk_unref(disk);
	disk = NULL;
	run("qemu-io -f qcow2 %s <script", twin);
	check_image(ours);
	run("qemu-img compare -f qcow2 -F qcow2 %s %s", ours, twin);
}

/*
 * How the image is made: a shell command that makes $i, given base.img and a folder of its
 * own; then the number of operations.
 */
static const struct {
	const char *label, *make;
	size_t nr;
} images[] = {
	{ "64 KiB clusters", "qemu-img create -f qcow2 $i 20M", 1000 },
	{ "512-byte clusters", "qemu-img create -f qcow2 -o cluster_size=512 $i 9M", 1000 },
	{ "2 MiB clusters", "qemu-img create -f qcow2 -o cluster_size=2M $i 41M", 1000 },
	{ "a disk that ends in a cluster", "qemu-img create -f qcow2 $i 5000704", 1000 },
	{ "version 2", "qemu-img create -f qcow2 -o compat=0.10 $i 20M", 1000 },
	{ "version 2, backing", "qemu-img create -f qcow2 -o compat=0.10 -b base.img -F raw $i",
	  1000 },
	{ "backing", "qemu-img create -f qcow2 -b base.img -F raw $i", 1000 },
	{ "smaller backing", "qemu-img create -f qcow2 -b base.img -F raw $i 31M", 1000 },
	{ "larger backing", "qemu-img create -f qcow2 -b base.img -F raw $i 7M", 1000 },
	{ "512-byte clusters, backing",
	  "qemu-img create -f qcow2 -o cluster_size=512 -b base.img -F raw $i 9M", 1000 },
	{ "2 MiB clusters, backing",
	  "qemu-img create -f qcow2 -o cluster_size=2M -b base.img -F raw $i", 1000 },
	{ "compressed content", "qemu-img convert -c -f raw -O qcow2 base.img $i", 1000 },
	{ "zstd content",
	  "qemu-img convert -c -f raw -O qcow2 -o compression_type=zstd base.img $i", 1000 },
	{ "compressed content, 4 KiB clusters",
	  "qemu-img convert -c -f raw -O qcow2 -o cluster_size=4k base.img $i", 1000 },
	{ "subclusters", "qemu-img create -f qcow2 -o extended_l2=on,cluster_size=128k $i 20M",
	  1000 },
	{ "subclusters, backing",
	  "qemu-img create -f qcow2 -o extended_l2=on,cluster_size=128k -b base.img -F raw $i",
	  1000 },
	{ "subclusters of 512 bytes, backing",
	  "qemu-img create -f qcow2 -o extended_l2=on,cluster_size=16k -b base.img -F raw $i",
	  1000 },
	{ "subclusters, compressed content",
	  "qemu-img convert -c -f raw -O qcow2 -o extended_l2=on base.img $i", 1000 },
	{ "a snapshot", "qemu-img convert -f raw -O qcow2 base.img $i && qemu-img snapshot -c s $i",
	  1000 },
	{ "a snapshot, compressed content, subclusters",
	  "qemu-img convert -c -f raw -O qcow2 -o extended_l2=on base.img $i && qemu-img snapshot "
	  "-c s $i",
	  1000 },
	{ "snapshots, 4 KiB clusters",
	  "qemu-img convert -f raw -O qcow2 -o cluster_size=4k base.img $i && qemu-img snapshot -c "
	  "s $i &&"
	  " qemu-io -c 'write 1M 2M' $i && qemu-img snapshot -c t $i",
	  1000 },
	{ "preallocated", "qemu-img create -f qcow2 -o preallocation=metadata $i 20M", 1000 },
	{ "1-bit refcounts", "qemu-img create -f qcow2 -o refcount_bits=1,cluster_size=4k $i 20M",
	  1000 },
	{ "2-bit refcounts",
	  "qemu-img convert -f raw -O qcow2 -o refcount_bits=2,cluster_size=4k base.img"
	  " $i && qemu-img snapshot -c s $i",
	  1000 },
	{ "64-bit refcounts", "qemu-img create -f qcow2 -o refcount_bits=64,cluster_size=512 $i 9M",
	  1000 },
	{ "lazy refcounts", "qemu-img create -f qcow2 -o lazy_refcounts=on $i 20M", 1000 },
	{ "a dirty bitmap", "qemu-img create -f qcow2 $i 20M && qemu-img bitmap --add $i b", 1000 },
	{ "data file", "qemu-img create -f qcow2 -o data_file=$i.bin $i 20M", 1000 },
	{ "raw data file", "qemu-img create -f qcow2 -o data_file=$i.bin,data_file_raw=on $i 20M",
	  1000 },
};

TEST(a_thousand_writes_equal_those_of_qemu_io)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		printf("# %s\n", images[i].label);
		seed = 0x9e3779b97f4a7c15u + i;
		run("rm -f *; { head -c 2M /dev/urandom; yes 'all work and no play' | head -c 9M;"
		    " head -c 3M /dev/zero; head -c 3M /dev/urandom; } >base.img");
		run("i=ours.qcow2; %s", images[i].make);
		run("i=twin.qcow2; %s", images[i].make);
		write_both("ours.qcow2", "twin.qcow2", images[i].nr);
		/* Again, into what has been written. */
		write_both("ours.qcow2", "twin.qcow2", images[i].nr / 4);
	}
}

TEST(a_snapshot_keeps_its_bytes)
{
	need_qemu();
	run("head -c 4M /dev/urandom >base.img && qemu-img convert -c -f raw -O qcow2 base.img "
	    "s.qcow2 &&"
	    "qemu-io -c 'write -P 3 1M 1M' s.qcow2 && qemu-img snapshot -c s s.qcow2 &&"
	    "qemu-img convert -l s -O raw s.qcow2 before.img");
	{
		PL_AUTOUNREF struct pl_disk *disk = open_image("s.qcow2", PLATTER_OPEN_WRITE);

		seed = 5;
		for (int i = 0; i < 300; i++) {
			struct operation o = random_operation(disk->size);

			apply(disk, &o);
		}
	}
	run("qemu-img check s.qcow2 && qemu-img convert -l s -O raw s.qcow2 after.img &&"
	    "cmp before.img after.img");
}

TEST(a_raw_data_file_reads_as_the_disk)
{
	need_qemu();
	run("qemu-img create -f qcow2 -o data_file=d.bin,data_file_raw=on d.qcow2 8M");
	{
		PL_AUTOUNREF struct pl_disk *disk = open_image("d.qcow2", PLATTER_OPEN_WRITE);

		seed = 6;
		for (int i = 0; i < 300; i++) {
			struct operation o = random_operation(disk->size);

			apply(disk, &o);
		}
	}
	run("qemu-img check d.qcow2 && qemu-img compare -f qcow2 -F raw d.qcow2 d.bin");
}

/* The writer is killed at a random moment: leaks are allowed, damage is not (exit 2). */
TEST(a_kill_leaves_an_image_that_opens)
{
	need_qemu();
	run("head -c 8M /dev/urandom >base.img");
	for (int i = 0; i < 40; i++) {
		pid_t child;
		int status;

		run("rm -f k.qcow2; qemu-img create -f qcow2 -o cluster_size=%s -b base.img -F raw "
		    "k.qcow2 &&"
		    "qemu-io -c 'write 1M 3M' k.qcow2 && qemu-img snapshot -c s k.qcow2",
		    i % 2 ? "4k" : "512");
		child = fork();
		if (child == 0) {
			struct pl_disk *disk = open_image("k.qcow2", PLATTER_OPEN_WRITE);

			seed = 77 + (uint64_t)i;
			for (;;) {
				struct operation o = random_operation(disk->size);

				apply(disk, &o);
			}
		}
		EXPECT(child > 0);
		usleep(1000 + (useconds_t)(i * 7919 % 60000));
		kill(child, SIGKILL);
		EXPECT_EQ(waitpid(child, &status, 0), child);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		run("qemu-img check k.qcow2 || [ $? = 3 ]");
	}
}
