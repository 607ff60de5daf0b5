/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random writes into images made of blocks: what is read afterwards, by us and by QEMU, is
 * what was written; and a kill or a power cut loses nothing that was flushed.
 */
#include <glob.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "create.h"
#include "writes.h"

/* An image by our own writer, with an option of its own and on a parent, or NULL for either. */
static void
make_ours(const char *name, const char *format, uint64_t size, const char *key, const char *value,
	  const char *parent)
{
	struct platter_key_value options[2];
	struct platter_create_options o = {
		.size = sizeof o, .format = format, .options = options, .no_sync = true
	};
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);

	if (key)
		options[o.nr_options++] = (struct platter_key_value){ key, value };
	if (parent)
		options[o.nr_options++] = (struct platter_key_value){ "backing_file", parent };
	EXPECT_OK(pl_create_empty(path, size, &o, &err));
}

/*
 * How an image is made: a shell command that makes "i", given base.img of 17 MiB; or NULL: by
 * our own writer, `format` and one option.
 */
static const struct image {
	const char *label, *make;
	const char *overlay; /* format of an overlay to put on it, which is written then; or NULL */
	const char *qemu;    /* QEMU's name of the format; NULL: it does not read this */
	uint64_t size;       /* of the overlay (0: its parent's), or of what our writer makes */
	const char *format, *key, *value;
	bool keeps_blocks; /* does not get smaller */
	bool several_files;
} images[] = {
	{ "VDI", "qemu-img create -f vdi i 20M", .qemu = "vdi" },
	{ "VDI with data", "qemu-img convert -f raw -O vdi base.img i", .qemu = "vdi" },
	{ "VDI, fixed", "qemu-img convert -f raw -O vdi -o static=on base.img i", .qemu = "vdi",
	  .keeps_blocks = true },
	{ "VDI of an odd size", "qemu-img create -f vdi i 5000704", .qemu = "vdi" },
	{ "VHD", "qemu-img create -f vpc i 20M", .qemu = "vpc" },
	{ "VHD of an odd size", "qemu-img create -f vpc -o force_size=on i 5000704",
	  .qemu = "vpc" },
	{ "VHD with data", "qemu-img convert -f raw -O vpc base.img i", .qemu = "vpc" },
	{ "VHD, fixed",
	  "qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on base.img i",
	  .qemu = "vpc", .keeps_blocks = true },
	{ "VMDK", "qemu-img create -f vmdk i 20M", .qemu = "vmdk" },
	{ "VMDK with zeroed grains", "qemu-img create -f vmdk -o zeroed_grain=on i 5000704",
	  .qemu = "vmdk" },
	{ "VMDK with data", "qemu-img convert -f raw -O vmdk base.img i", .qemu = "vmdk" },
	{ "VMDK, flat",
	  "qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat base.img i.vmdk && mv "
	  "i.vmdk i",
	  .qemu = "vmdk", .keeps_blocks = true, .several_files = true },
	{ "VMDK, sparse, of several files",
	  "qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse base.img i.vmdk && mv "
	  "i.vmdk i",
	  .qemu = "vmdk", .several_files = true },
	{ "VMDK over a parent", "qemu-img convert -f raw -O vmdk base.img i", .overlay = "vmdk",
	  .qemu = "vmdk" },
	{ "Parallels", "qemu-img create -f parallels i 20M", .qemu = "parallels" },
	{ "Parallels of an odd size", "qemu-img create -f parallels -o cluster_size=64k i 5000704",
	  .qemu = "parallels" },
	{ "Parallels with data", "qemu-img convert -f raw -O parallels base.img i",
	  .qemu = "parallels" },
	{ "VHD over a parent", "qemu-img convert -f raw -O vpc base.img i", .overlay = "vhd" },
	{ "VHDX", "qemu-img create -f vhdx -o block_size=4M i 20M", .qemu = "vhdx" },
	{ "VHDX with data, blocks of 1 MiB",
	  "qemu-img convert -f raw -O vhdx -o block_size=1M base.img i", .qemu = "vhdx" },
	{ "VHDX with data, blocks of 32 MiB",
	  "qemu-img convert -f raw -O vhdx -o block_size=32M base.img i", .qemu = "vhdx",
	  .keeps_blocks = true },
	{ "VHDX, fixed", "qemu-img convert -f raw -O vhdx -o subformat=fixed base.img i",
	  .qemu = "vhdx", .keeps_blocks = true },
	{ "VHDX of an odd size", "qemu-img create -f vhdx -o block_size=1M i 5000704",
	  .qemu = "vhdx" },
	{ "our VHDX", .qemu = "vhdx", .size = 20 << 20, .format = "vhdx", .key = "block_size",
	  .value = "2M" },
	{ "our VHDX, sectors of 4096 bytes", .size = 20 << 20, .format = "vhdx",
	  .key = "sector_size", .value = "4096" },
	{ "our sparse image", .size = 20 << 20, .format = "sparseimage" },
	{ "our sparse image of an odd size", .size = 5000704, .format = "sparseimage" },
	{ "VHDX over a parent", "qemu-img convert -f raw -O vhdx base.img i", .overlay = "vhdx",
	  .size = 21 << 20 },
	{ "VHDX over a longer parent",
	  "qemu-img convert -f raw -O vhdx -o block_size=1M base.img i", .overlay = "vhdx",
	  .size = 5000704 },
	{ "VHDX over a parent, sectors of 4096 bytes", .overlay = "vhdx", .size = 20 << 20,
	  .format = "vhdx", .key = "sector_size", .value = "4096" },
};

/* A parent needs something to hold. */
static void
fill(const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, PLATTER_OPEN_WRITE);
	PL_AUTOUNREF struct pl_disk *base = open_image("base.img", 0);
	PL_AUTOFREE uint8_t *bytes = malloc((size_t)base->size);

	EXPECT_OK(pl_read(base, bytes, (size_t)base->size, 0, &err));
	EXPECT_OK(pl_write(disk, bytes, (size_t)base->size, 0, &err));
	EXPECT_OK(pl_flush(disk, &err));
}

static void
make_image(const struct image *image)
{
	PL_AUTOUNREF struct pl_disk *parent = NULL;

	run("rm -f *; { head -c 2M /dev/urandom; yes 'all work and no play' | head -c 9M;"
	    " head -c 3M /dev/zero; head -c 3M /dev/urandom; } >base.img");
	if (image->make)
		run("%s", image->make);
	else
		make_ours("i", image->format, image->size, image->key, image->value, NULL);
	if (!image->overlay)
		return;
	if (!image->make)
		fill("i");
	run("mv i parent");
	parent = open_image("parent", 0);
	make_ours("i", image->overlay, image->size ? image->size : parent->size, NULL, NULL,
		  "parent");
}

/* `nr` operations on "i"; the model follows. */
static void
change(uint8_t *model, size_t nr)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image("i", PLATTER_OPEN_WRITE);

	for (size_t i = 0; i < nr; i++) {
		struct operation o = random_operation(disk->size);

		apply(disk, &o);
		apply_to_model(model, &o);
		if (i % 64 == 0) {
			uint64_t at = rnd(disk->size), want = rnd(200000);
			size_t n = (size_t)PL_MIN(want, disk->size - at);
			PL_AUTOFREE uint8_t *buf = malloc(n + 1);

			EXPECT_OK(pl_read(disk, buf, n, at, &err));
			EXPECT_MEM(buf, model + at, n);
		}
	}
	EXPECT_OK(pl_flush(disk, &err));
}

static void
expect_model(const struct image *image, const uint8_t *model, size_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image("i", 0);
	struct pl_findings findings = { .found = tell };

	expect_equal(disk, model, size);
	expect_whole_map(disk);
	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE], 0);
	write_file("model", model, size);
	if (image->qemu)
		run("qemu-img compare -f %s -F raw i model", image->qemu);
}

TEST(what_is_written_is_read)
{
	need_qemu();
	for (size_t k = 0; k < ARRAY_SIZE(images); k++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		PL_AUTOFREE uint8_t *model = NULL;
		size_t size;

		printf("# %s\n", images[k].label);
		seed = 0x9e3779b97f4a7c15u + k;
		make_image(&images[k]);
		disk = open_image("i", 0);
		size = (size_t)disk->size;
		model = malloc(size);
		EXPECT(model);
		EXPECT_OK(pl_read(disk, model, size, 0, &err));
		change(model, pl_test_rounds(600));
		expect_model(&images[k], model, size);
		/* Again, into what has been written. */
		change(model, pl_test_rounds(200));
		expect_model(&images[k], model, size);
	}
}

/*
 * The log of the VHDX "cut" is replayed by QEMU in a copy, by us in memory, and then in the
 * file itself: all three read alike.
 */
static void
expect_same_after_replay(void)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image("cut", 0), *raw = NULL;
	struct pl_findings findings = { .found = tell };
	PL_AUTOFREE uint8_t *bytes = malloc((size_t)disk->size + 1);

	need_qemu();
	run("cp cut q; qemu-img check -q -f vhdx -r all q; qemu-img convert -f vhdx -O raw q "
	    "q.raw");
	raw = open_image("q.raw", 0);
	EXPECT_OK(pl_read(raw, bytes, (size_t)raw->size, 0, &err));
	expect_equal(disk, bytes, (size_t)raw->size);
	pl_disk_unref(PL_STEAL(disk));
	disk = open_image("cut", PLATTER_OPEN_WRITE);
	expect_equal(disk, bytes, (size_t)raw->size);
	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE], 0);
	pl_disk_unref(PL_STEAL(disk));
	run("qemu-img compare -f vhdx -F raw cut q.raw");
}

TEST(a_power_cut_loses_nothing_that_was_flushed)
{
	for (size_t k = 0; k < ARRAY_SIZE(images); k++) {
		if (images[k].several_files)
			continue;
		printf("# %s\n", images[k].label);
		make_image(&images[k]);
		for (unsigned i = 0; i < pl_test_rounds(12); i++) {
			seed = 1000 * (k + 1) + i;
			write_until_cut("i", NULL, 1 + rnd(i % 2 ? 60 : 600), "true");
			if (images[k].qemu && !strcmp(images[k].qemu, "vhdx"))
				expect_same_after_replay();
		}
	}
}

/* How far the process came that is killed: operations begun, and flushed. */
struct progress {
	_Atomic uint64_t begun, flushed;
};

/* Change "i" until somebody stops it; the operations follow from `from`. */
_Noreturn static void
change_for_ever(uint64_t from, struct progress *progress)
{
	struct pl_disk *disk = open_image("i", PLATTER_OPEN_WRITE);

	seed = from;
	for (uint64_t i = 1;; i++) {
		struct operation o = random_operation(disk->size);

		progress->begun = i;
		apply(disk, &o);
		if (o.what == FLUSH)
			progress->flushed = i;
	}
}

/* What must be there: the model after what was flushed, but for what was changed later. */
static void
expect_flushed(const struct progress *progress, uint64_t from, uint8_t *model, size_t size)
{
	PL_AUTOFREE bool *changed = calloc(size, sizeof *changed);
	PL_AUTOFREE uint8_t *after = malloc(size);
	PL_AUTOUNREF struct pl_disk *disk = open_image("i", 0);

	EXPECT(changed && after);
	seed = from;
	for (uint64_t i = 1; i <= progress->begun; i++) {
		struct operation o = random_operation(size);

		if (i <= progress->flushed)
			apply_to_model(model, &o);
		else if (o.what != FLUSH)
			memset(changed + o.offset, 1, o.length);
	}
	EXPECT_OK(pl_read(disk, after, size, 0, &err));
	for (size_t i = 0; i < size; i++)
		if (!changed[i] && after[i] != model[i])
			pl_test_fail(__FILE__, __LINE__, "byte %zu was flushed as %02x and is %02x",
				     i, model[i], after[i]);
	write_file("after", after, size);
}

TEST(a_kill_loses_nothing_that_was_flushed)
{
	struct progress *progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need_qemu();
	EXPECT(progress != MAP_FAILED);
	for (unsigned i = 0; i < pl_test_rounds(4 * ARRAY_SIZE(images)); i++) {
		const struct image *image = &images[i % ARRAY_SIZE(images)];
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		PL_AUTOFREE uint8_t *model = NULL;
		size_t size;
		pid_t child;
		int status;

		make_image(image);
		disk = open_image("i", 0);
		size = (size_t)disk->size;
		model = malloc(size);
		EXPECT(model);
		EXPECT_OK(pl_read(disk, model, size, 0, &err));
		*progress = (struct progress){ 0 };
		child = fork();
		if (child == 0)
			change_for_ever(77 + i, progress);
		EXPECT(child > 0);
		usleep(1000 + (useconds_t)(i * 7919 % 80000));
		kill(child, SIGKILL);
		EXPECT_EQ(waitpid(child, &status, 0), child);
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		expect_flushed(progress, 77 + i, model, size);
		if (image->qemu)
			run("cp i k && qemu-img check -r all -f %s k >/dev/null 2>&1;"
			    " qemu-img compare -f %s -F raw k after",
			    image->qemu, image->qemu);
	}
	munmap(progress, sizeof *progress);
}

/* Bring an image to `size`, and the model of `have` bytes with it. */
static uint8_t *
resize_both(uint8_t *model, size_t have, size_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image("i", PLATTER_OPEN_WRITE);

	EXPECT_OK(pl_resize(disk, size, &err));
	EXPECT_EQ(disk->size, size);
	model = realloc(model, size);
	EXPECT(model);
	if (size > have)
		memset(model + have, 0, size - have);
	return model;
}

TEST(a_resized_image_keeps_its_bytes_and_adds_zeros)
{
	static const size_t sizes[] = { 20 << 20, (20 << 20) + 512, 29 << 20,
					7001088,  (7 << 20) + 512,  23000576 };

	need_qemu();
	for (size_t k = 0; k < ARRAY_SIZE(images); k++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t *model;
		size_t size;

		printf("# %s\n", images[k].label);
		make_image(&images[k]);
		disk = open_image("i", 0);
		size = (size_t)disk->size;
		model = malloc(size);
		EXPECT(model);
		EXPECT_OK(pl_read(disk, model, size, 0, &err));
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			size_t new_size = (size_t)pl_round_up(sizes[i], disk->sector_size);

			model = resize_both(model, size, new_size);
			size = new_size;
			expect_model(&images[k], model, size);
			change(model, 40);
			expect_model(&images[k], model, size);
		}
		free(model);
	}
}

static uint64_t
file_size(const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	return file->size;
}

/* "i", and what it keeps its blocks in where that is in other files. */
static uint64_t
image_size(void)
{
	PL_AUTOFREE char *pattern = pl_format("%s/i-*.vmdk", pl_test_folder());
	uint64_t size = file_size("i");
	glob_t found;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			size += file_size(strrchr(found.gl_pathv[i], '/') + 1);
	globfree(&found);
	return size;
}

TEST(a_compacted_image_has_no_gaps)
{
	need_qemu();
	for (size_t k = 0; k < ARRAY_SIZE(images); k++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		PL_AUTOFREE uint8_t *model = NULL;
		struct pl_findings findings = { .found = tell };
		size_t size;
		uint64_t before;

		if (images[k].keeps_blocks)
			continue;
		printf("# %s\n", images[k].label);
		make_image(&images[k]);
		disk = open_image("i", PLATTER_OPEN_WRITE);
		if (!pl_format_of(disk)->change || !pl_format_of(disk)->change->compact)
			continue;
		size = (size_t)disk->size;
		model = calloc(1, size);
		EXPECT(model);
		for (size_t at = 0; at < size; at += 4096)
			memset(model + at, (int)(at >> 12) | 1, PL_MIN(size - at, 4096u));
		EXPECT_OK(pl_write(disk, model, size, 0, &err));
		EXPECT_OK(pl_flush(disk, &err));
		before = image_size();
		for (size_t at = 0; at + (4 << 20) <= size; at += 6 << 20) {
			memset(model + at, 0, 4 << 20);
			EXPECT_OK(pl_discard(disk, at, 4 << 20, &err));
		}
		EXPECT_OK(pl_format_of(disk)->change->compact(disk, &err));
		pl_disk_unref(PL_STEAL(disk));
		if (!images[k].overlay)
			EXPECT(image_size() < before);
		expect_model(&images[k], model, size);
		disk = open_image("i", 0);
		EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
		EXPECT_EQ(findings.count[PLATTER_LEAK], 0);
		pl_disk_unref(PL_STEAL(disk));
		change(model, 40);
		expect_model(&images[k], model, size);
	}
}

/* Repair "i": first say what would be done, and leave the file alone; then do it. */
static void
repair(uint64_t repaired)
{
	for (int dry = 1; dry >= 0; dry--) {
		unsigned flags = PLATTER_OPEN_IGNORE_CHECKSUMS | (dry ? 0 : PLATTER_OPEN_WRITE);
		PL_AUTOUNREF struct pl_disk *disk = open_image("i", flags);
		struct pl_findings findings = { .found = tell };

		run("cp i before");
		EXPECT_OK(pl_format_of(disk)->change->repair(disk, dry, &findings, &err));
		EXPECT_EQ(findings.count[PLATTER_REPAIRED], repaired);
		EXPECT_EQ(findings.count[PLATTER_DAMAGE], 0);
		if (dry)
			run("cmp i before");
	}
}

TEST(what_has_a_copy_is_repaired)
{
	static const uint8_t garbage[512] = { 1, 2, 3 };
	PL_AUTOFREE char *path = NULL;
	uint8_t sector[512];
	FILE *f;

	need_qemu();
	run("head -c 9M /dev/urandom >base.img; qemu-img convert -f raw -O vpc base.img i;"
	    " cp i whole");
	patch_file("i", (size_t)file_size("i") - 512, garbage, 512);
	repair(1);
	run("cmp i whole");
	patch_file("i", 0, garbage, 512);
	repair(1);
	run("cmp i whole");
	patch_file("i", 512 + 700, garbage, 8);
	repair(1);
	run("qemu-img compare -f vpc -F vpc i whole");

	run("qemu-img convert -f raw -O vmdk base.img i && cp i whole");
	path = pl_format("%s/i", pl_test_folder());
	f = fopen(path, "rb");
	EXPECT(f && fread(sector, 1, 512, f) == 512);
	fclose(f);
	/* The directory, then a table of it, which follows. */
	patch_file("i", (size_t)get_le64(sector + 56) * 512, "\377\377\377\377", 4);
	repair(1);
	/* The table is the copy's then. */
	run("qemu-img compare -f vmdk -F vmdk i whole && cp whole i");
	patch_file("i", (size_t)get_le64(sector + 56) * 512 + 512 + 40, "\377\377\377\377", 4);
	repair(1);
	run("cmp i whole");
	patch_file("i", 72, "\1", 1);
	repair(1);
	run("cmp i whole");

	run("qemu-img convert -f raw -O parallels base.img i && cp i whole");
	patch_file("i", 44, "Ynot", 4);
	repair(1);
	run("qemu-img compare -f parallels -F parallels i whole");

	run("qemu-img convert -f raw -O vdi base.img i && cp i whole");
	patch_file("i", 388, "\2\0\0", 4);
	repair(1);
	run("cmp i whole");
}
