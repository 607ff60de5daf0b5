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
__attribute__((format(printf, 1, 2))) static void
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
	run("qemu-io -t unsafe -f qcow2 %s <script", twin);
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

/*
 * A file as a power cut leaves it: what was written since the last flush may be there or
 * not, sector by sector.
 */
struct fragile {
	struct pl_disk disk;
	uint8_t *now, *flushed;
	uint64_t flushed_size;
	bool *touched;        /* by sector, since the last flush */
	uint64_t writes_left; /* until the power goes; 0: it has gone */
	uint8_t *cut;         /* the file then */
	uint64_t cut_size;
};
#define FRAGILE_MAX MIB(24)

static int
fragile_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *e)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
fragile_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	memcpy(buf, pl_container_of(disk, struct fragile, disk)->now + offset, n);
	return 0;
}

static void
cut_power(struct fragile *f)
{
	f->cut_size = rnd(2) ? f->disk.size : f->flushed_size;
	memcpy(f->cut, f->flushed, FRAGILE_MAX);
	for (size_t s = 0; s < FRAGILE_MAX / 512; s++)
		if (f->touched[s] && rnd(2)) {
			memcpy(f->cut + s * 512, f->now + s * 512, 512);
			f->cut_size = PL_MAX(f->cut_size, PL_MIN((s + 1) * 512, f->disk.size));
		}
}

static int
fragile_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	      struct platter_error *e)
{
	struct fragile *f = pl_container_of(disk, struct fragile, disk);

	if (offset + n > FRAGILE_MAX)
		return pl_fail(e, -ENOSPC, "the test's file is full");
	memcpy(f->now + offset, buf, n);
	disk->size = PL_MAX(disk->size, offset + n);
	for (uint64_t s = offset / 512; s * 512 < offset + n; s++)
		f->touched[s] = true;
	if (f->writes_left && --f->writes_left == 0)
		cut_power(f);
	return 0;
}

static int
fragile_resize(struct pl_disk *disk, uint64_t size, struct platter_error *e)
{
	if (size > FRAGILE_MAX)
		return pl_fail(e, -ENOSPC, "the test's file is full");
	disk->size = size;
	return 0;
}

static int
fragile_flush(struct pl_disk *disk, struct platter_error *e)
{
	struct fragile *f = pl_container_of(disk, struct fragile, disk);

	memcpy(f->flushed, f->now, FRAGILE_MAX);
	memset(f->touched, 0, FRAGILE_MAX / 512);
	f->flushed_size = disk->size;
	return 0;
}

static void
fragile_free(struct pl_disk *disk)
{
	struct fragile *f = pl_container_of(disk, struct fragile, disk);

	free(f->now);
	free(f->flushed);
	free(f->touched);
	free(f->cut);
	pl_disk_done(disk);
	free(f);
}

static const struct pl_disk_ops fragile_ops = {
	.name = "fragile",
	.map = fragile_map,
	.read = fragile_read,
	.write = fragile_write,
	.flush = fragile_flush,
	.resize = fragile_resize,
	.free = fragile_free,
};

static struct fragile *
new_fragile(const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	struct fragile *f = calloc(1, sizeof *f);
	FILE *in = fopen(path, "rb");

	EXPECT(f && in);
	EXPECT_OK(pl_disk_init(&f->disk, &fragile_ops, name, &err));
	f->now = calloc(1, FRAGILE_MAX);
	f->flushed = calloc(1, FRAGILE_MAX);
	f->touched = calloc(FRAGILE_MAX / 512, sizeof *f->touched);
	f->cut = calloc(1, FRAGILE_MAX);
	EXPECT(f->now && f->flushed && f->touched && f->cut);
	f->disk.size = fread(f->now, 1, FRAGILE_MAX, in);
	fclose(in);
	f->disk.writable = f->disk.growable = true;
	return (void)fragile_flush(&f->disk, NULL), f;
}

/* Put the file that the cut left where qemu-img finds it. */
static void
save_cut(const struct fragile *f, const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	FILE *out = fopen(path, "wb");

	EXPECT(out);
	EXPECT_EQ(fwrite(f->cut, 1, f->cut_size, out), f->cut_size);
	fclose(out);
}

/* Write until the power goes; then what was flushed and not written again must be there. */
static void
write_until_cut(const char *image, uint64_t writes)
{
	struct fragile *f = new_fragile(image);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *model = NULL;
	PL_AUTOFREE uint8_t *flushed = NULL;
	PL_AUTOFREE bool *changed = NULL;
	PL_AUTOFREE uint8_t *after = NULL;
	size_t size;

	EXPECT_OK(pl_image_open(&f->disk, NULL, NULL, NULL, PLATTER_OPEN_WRITE, &disk, &err));
	size = (size_t)disk->size;
	model = malloc(size);
	flushed = malloc(size);
	after = malloc(size);
	changed = calloc(size, sizeof *changed);
	EXPECT(model && flushed && after && changed);
	EXPECT_OK(pl_read(disk, model, size, 0, &err));
	memcpy(flushed, model, size);
	f->writes_left = writes;
	while (f->writes_left) {
		struct operation o = random_operation(size);

		if (o.what == WRITE)
			memset(model + o.offset, o.byte, o.length);
		else if (o.what != FLUSH)
			memset(model + o.offset, 0, o.length);
		if (o.what != FLUSH)
			memset(changed + o.offset, 1, o.length);
		apply(disk, &o);
		if (o.what == FLUSH && f->writes_left) {
			memcpy(flushed, model, size);
			memset(changed, 0, size);
		}
	}
	save_cut(f, "cut.qcow2");
	pl_disk_unref(disk);
	pl_disk_unref(&f->disk);
	run("qemu-img check cut.qcow2 || [ $? = 3 ]");
	disk = open_image("cut.qcow2", 0);
	EXPECT_OK(pl_read(disk, after, size, 0, &err));
	for (size_t i = 0; i < size; i++)
		if (!changed[i] && after[i] != flushed[i])
			pl_test_fail(__FILE__, __LINE__, "byte %zu was flushed as %02x and is %02x",
				     i, flushed[i], after[i]);
}

TEST(a_power_cut_loses_nothing_that_was_flushed)
{
	static const char *const makes[] = {
		"qemu-img create -f qcow2 -o cluster_size=512 i.qcow2 3M",
		"qemu-img convert -c -f raw -O qcow2 -o cluster_size=4k base.img i.qcow2 &&"
		" qemu-img snapshot -c s i.qcow2",
		"qemu-img convert -f raw -O qcow2 -o extended_l2=on,cluster_size=16k base.img "
		"i.qcow2 &&"
		" qemu-img snapshot -c s i.qcow2",
		"qemu-img create -f qcow2 -o cluster_size=512,refcount_bits=64 i.qcow2 3M",
		"qemu-img create -f qcow2 -o compat=0.10 i.qcow2 3M",
	};

	need_qemu();
	run("{ head -c 1M /dev/urandom; yes platter | head -c 2M; } >base.img");
	for (size_t m = 0; m < ARRAY_SIZE(makes); m++) {
		run("%s", makes[m]);
		for (unsigned i = 0; i < 20; i++) {
			seed = 1000 * (m + 1) + i;
			write_until_cut("i.qcow2", 1 + rnd(i % 2 ? 200 : 2500));
		}
	}
}
