/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random writes into QCOW2 images: the same as qemu-io does to a twin of the image, and
 * afterwards an image with which qemu-img check finds nothing wrong, leaks included.
 */
#include <signal.h>
#include <sys/wait.h>

#include "writes.h"

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

/* By qemu-img's count, and by ours. */
static void
check_image(const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, 0);

	run("qemu-img check %s", name);
	expect_findings(disk, 0, 0);
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
	for (unsigned i = 0; i < pl_test_rounds(40); i++) {
		pid_t child;
		int status;

		run("rm -f k.qcow2; qemu-img create -f qcow2 -o cluster_size=%s -b base.img -F raw "
		    "k.qcow2 &&"
		    "qemu-io -c 'write 1M 3M' k.qcow2 && qemu-img snapshot -c s k.qcow2",
		    i % 2 ? "4k" : "512");
		child = fork();
		if (child == 0) {
			struct pl_disk *disk = open_image("k.qcow2", PLATTER_OPEN_WRITE);

			seed = 77 + i;
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
		for (unsigned i = 0; i < pl_test_rounds(20); i++) {
			seed = 1000 * (m + 1) + i;
			write_until_cut("i.qcow2", "qcow2", 1 + rnd(i % 2 ? 200 : 2500),
					"qemu-img check cut || [ $? = 3 ]");
		}
	}
}
