/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QCOW2 images resized, with snapshots created, applied and deleted: they hold what a model
 * in memory holds, for us and for qemu-img, and qemu-img check finds nothing in them.
 */
#include "writes.h"

#include "contents.h"

static const struct pl_change_ops *
change_of(struct pl_disk *disk)
{
	return pl_format_of(disk)->change;
}

/* What the image is to hold. */
struct state {
	char name[32]; /* of the snapshot */
	uint8_t *bytes;
	size_t size;
};
#define MAX_SIZE      MIB(6)
#define MAX_SNAPSHOTS 5

struct model {
	struct state now, snapshots[MAX_SNAPSHOTS];
	size_t nr;
	unsigned names;
};

static void
model_done(struct model *m)
{
	free(m->now.bytes);
	for (size_t i = 0; i < m->nr; i++)
		free(m->snapshots[i].bytes);
}

static uint8_t *
copy_of(const uint8_t *bytes)
{
	uint8_t *copy = malloc(MAX_SIZE);

	EXPECT(copy);
	return memcpy(copy, bytes, MAX_SIZE);
}

/* Past its size, a state is all zeros. */
static void
model_resize(struct model *m, size_t size)
{
	m->now.size = size;
	memset(m->now.bytes + size, 0, MAX_SIZE - size);
}

static void
model_create(struct model *m)
{
	struct state *s = &m->snapshots[m->nr++];

	*s = m->now;
	s->bytes = copy_of(m->now.bytes);
	snprintf(s->name, sizeof s->name, "s%u", m->names++);
}

static void
model_apply(struct model *m, size_t i)
{
	memcpy(m->now.bytes, m->snapshots[i].bytes, MAX_SIZE);
	m->now.size = m->snapshots[i].size;
}

static void
model_delete(struct model *m, size_t i)
{
	free(m->snapshots[i].bytes);
	memmove(&m->snapshots[i], &m->snapshots[i + 1], (m->nr - i - 1) * sizeof m->snapshots[0]);
	m->nr--;
}

static void
expect_state(struct pl_disk *disk, const struct state *s)
{
	PL_AUTOFREE uint8_t *bytes = malloc(s->size + 1);

	EXPECT_EQ(disk->size, s->size);
	EXPECT_OK(pl_read(disk, bytes, s->size, 0, &err));
	EXPECT_MEM(bytes, s->bytes, s->size);
}

static void
expect_snapshots(struct pl_disk *disk, const struct model *m)
{
	const struct platter_snapshot *list;
	struct pl_arena arena = { 0 };
	size_t nr;

	EXPECT_OK(pl_format_of(disk)->snapshots(disk, &arena, &list, &nr, &err));
	EXPECT_EQ(nr, m->nr);
	for (size_t i = 0; i < nr; i++) {
		EXPECT_STR(list[i].name, m->snapshots[i].name);
		EXPECT_EQ(list[i].size, m->snapshots[i].size);
		for (size_t k = 0; k < i; k++)
			EXPECT(strcmp(list[i].id, list[k].id) != 0);
	}
	pl_arena_done(&arena);
}

/* The file holds what the model holds, by our reading and by qemu-img's. */
static void
expect_model(const char *name, const struct model *m)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, 0);

	expect_state(disk, &m->now);
	expect_snapshots(disk, m);
	expect_findings(disk, 0, 0);
	write_file("model.raw", m->now.bytes, m->now.size);
	run("qemu-img compare -f qcow2 -F raw %s model.raw", name);
	for (size_t i = 0; i < m->nr; i++) {
		const struct state *s = &m->snapshots[i];
		PL_AUTOUNREF struct pl_disk *file = NULL, *then = NULL;

		EXPECT_OK(pl_storage_open(path, 0, &file, &err));
		EXPECT_OK(pl_image_open(file, path, NULL, s->name, 0, &then, &err));
		expect_state(then, s);
		write_file("model.raw", s->bytes, s->size);
		/* qemu-img takes the size of the disk now for that of the snapshot. */
		run("qemu-img convert -l %s -O raw %s s.raw && cmp -n %zu s.raw model.raw", s->name,
		    name, PL_MIN(s->size, m->now.size));
	}
}

static void
write_something(struct pl_disk *disk, struct model *m)
{
	for (uint64_t i = rnd(6); i; i--) {
		size_t at = (size_t)rnd(m->now.size), what = (size_t)rnd(10);
		size_t want = (size_t)(1 + rnd(rnd(2) ? 3000 : 300000));
		size_t n = PL_MIN(want, m->now.size - at);
		uint8_t byte = what < 7 ? (uint8_t)(1 + rnd(255)) : 0;

		memset(m->now.bytes + at, byte, n);
		if (what < 7)
			EXPECT_OK(pl_write(disk, m->now.bytes + at, n, at, &err));
		else
			EXPECT_OK(pl_zero(disk, at, n, what == 8 ? 0 : PL_ZERO_MAY_UNMAP, &err));
	}
}

static size_t
random_size(void)
{
	uint64_t sectors = MAX_SIZE / 512;

	return (size_t)(rnd(3) ? 1 + rnd(sectors) : (1 + rnd(sectors / 128)) * 128) * 512;
}

/* One change of snapshots or of the size, to the model and through platter. */
static void
change_something(struct pl_disk *disk, struct model *m, bool may_resize)
{
	const struct pl_change_ops *change = change_of(disk);
	size_t i = m->nr ? (size_t)rnd(m->nr) : 0;

	switch (rnd(may_resize ? 6 : 4)) {
	case 0:
	case 1:
		if (m->nr < MAX_SNAPSHOTS) {
			model_create(m);
			EXPECT_OK(
				change->snapshot_create(disk, m->snapshots[m->nr - 1].name, &err));
		}
		break;
	case 2:
		if (m->nr) {
			EXPECT_OK(change->snapshot_apply(disk, m->snapshots[i].name, &err));
			model_apply(m, i);
		}
		break;
	case 3:
		if (m->nr) {
			EXPECT_OK(change->snapshot_delete(disk, m->snapshots[i].name, &err));
			model_delete(m, i);
		}
		break;
	default: model_resize(m, random_size()); EXPECT_OK(pl_resize(disk, m->now.size, &err));
	}
	EXPECT_EQ(disk->size, m->now.size);
}

/* The same through qemu-img. */
static void
change_by_qemu(const char *name, struct model *m, bool may_resize)
{
	size_t i = m->nr ? (size_t)rnd(m->nr) : 0;

	switch (rnd(may_resize ? 4 : 3)) {
	case 0:
		if (m->nr < MAX_SNAPSHOTS) {
			model_create(m);
			run("qemu-img snapshot -c %s %s", m->snapshots[m->nr - 1].name, name);
		}
		break;
	case 1:
		if (m->nr) {
			run("qemu-img snapshot -a %s %s", m->snapshots[i].name, name);
			model_apply(m, i);
		}
		break;
	case 2:
		if (m->nr) {
			run("qemu-img snapshot -d %s %s", m->snapshots[i].name, name);
			model_delete(m, i);
		}
		break;
	default:
		model_resize(m, random_size());
		run("qemu-img resize --shrink -f qcow2 %s %zu", name, m->now.size);
	}
}

static void
begin_model(struct model *m, const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = open_image(name, 0);

	*m = (struct model){ .now = { .bytes = calloc(1, MAX_SIZE), .size = disk->size } };
	EXPECT(m->now.bytes && disk->size <= MAX_SIZE);
	EXPECT_OK(pl_read(disk, m->now.bytes, m->now.size, 0, &err));
}

static const struct {
	const char *label, *make;
	enum {
		ANY,
		NO_RESIZE,   /* a version that does not keep the sizes of snapshots */
		NOT_BY_QEMU, /* which refuses snapshots beside dirty bitmaps */
	} changes;
} images[] = {
	{ "64 KiB clusters", "qemu-img create -f qcow2 $i 5M", ANY },
	{ "512-byte clusters", "qemu-img create -f qcow2 -o cluster_size=512 $i 3M", ANY },
	{ "2 MiB clusters", "qemu-img create -f qcow2 -o cluster_size=2M $i 4M", ANY },
	{ "version 2", "qemu-img create -f qcow2 -o compat=0.10 $i 3M", NO_RESIZE },
	{ "backing", "qemu-img create -f qcow2 -b base.img -F raw $i 2M", ANY },
	{ "512-byte clusters, backing",
	  "qemu-img create -f qcow2 -o cluster_size=512 -b base.img -F raw $i 2000384", ANY },
	{ "compressed content, 4 KiB clusters",
	  "qemu-img convert -c -f raw -O qcow2 -o cluster_size=4k base.img $i", ANY },
	{ "subclusters, backing",
	  "qemu-img create -f qcow2 -o extended_l2=on,cluster_size=16k -b base.img -F raw $i 1M",
	  ANY },
	{ "64-bit refcounts, 512-byte clusters",
	  "qemu-img create -f qcow2 -o refcount_bits=64,cluster_size=512 $i 3M", ANY },
	{ "8-bit refcounts", "qemu-img create -f qcow2 -o refcount_bits=8,cluster_size=1k $i 3M",
	  ANY },
	{ "a dirty bitmap", "qemu-img create -f qcow2 $i 5M && qemu-img bitmap --add $i b",
	  NOT_BY_QEMU },
	{ "lazy refcounts", "qemu-img create -f qcow2 -o lazy_refcounts=on $i 5M", ANY },
};

static void
make_image(const char *make)
{
	run("rm -f *; { head -c 1M /dev/urandom; yes 'all work' | head -c 2M; head -c 1M /dev/zero;"
	    " head -c 1M /dev/urandom; } >base.img; i=c.qcow2; %s",
	    make);
}

TEST(random_changes_equal_a_model)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct model m;

		printf("# %s\n", images[i].label);
		make_image(images[i].make);
		begin_model(&m, "c.qcow2");
		for (unsigned round = 0; round < pl_test_rounds(5); round++) {
			struct pl_disk *disk = open_image("c.qcow2", PLATTER_OPEN_WRITE);

			EXPECT_EQ(disk->size, m.now.size);
			for (uint64_t k = 1 + rnd(5); k; k--) {
				write_something(disk, &m);
				change_something(disk, &m, images[i].changes != NO_RESIZE);
				EXPECT_OK(pl_flush(disk, &err));
				run("qemu-img check -U c.qcow2");
			}
			write_something(disk, &m);
			expect_state(disk, &m.now);
			pl_disk_unref(disk);
			run("qemu-img check c.qcow2");
			expect_model("c.qcow2", &m);
			if (images[i].changes != NOT_BY_QEMU)
				change_by_qemu("c.qcow2", &m,
					       images[i].changes != NO_RESIZE && !m.nr);
		}
		expect_model("c.qcow2", &m);
		model_done(&m);
	}
}

/* One change of the disk; `arg` is a size or tells which. */
enum change {
	CREATE,
	APPLY,
	DELETE,
	RESIZE,
};

static int
do_change(struct pl_disk *disk, enum change what, uint64_t arg)
{
	const struct pl_change_ops *change = change_of(disk);

	switch (what) {
	case CREATE: return change->snapshot_create(disk, "new", &err);
	case APPLY: return change->snapshot_apply(disk, arg ? "two" : "one", &err);
	case DELETE: return change->snapshot_delete(disk, arg ? "two" : "one", &err);
	default: return pl_resize(disk, arg, &err);
	}
}

/*
 * Do it with the power going at write number `cut`; false: it took fewer writes.  The file
 * that is left must hold what it held before, or what it was to hold.
 */
static bool
cut_at(const char *image, enum change what, uint64_t arg, uint64_t cut, const char *before,
       const char *after)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), image);
	PL_AUTOFREE char *contents = NULL;
	struct fragile *f = new_fragile(image);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	bool was_cut;

	EXPECT_OK(pl_image_open(&f->disk, path, NULL, NULL, PLATTER_OPEN_WRITE, &disk, &err));
	f->writes_left = cut;
	EXPECT_OK(do_change(disk, what, arg));
	EXPECT_OK(pl_flush(disk, &err));
	was_cut = f->writes_left == 0;
	if (was_cut)
		save_cut(f, "cut.qcow2");
	pl_disk_unref(disk);
	pl_disk_unref(&f->disk);
	disk = NULL;
	if (!was_cut)
		return false;
	/* Leaks are allowed, damage is not. */
	run("qemu-img check cut.qcow2 || [ $? = 3 ]");
	contents = contents_of_file("cut.qcow2");
	if (strcmp(contents, before) != 0)
		EXPECT_STR(contents, after);
	return true;
}

TEST(a_power_cut_leaves_the_state_before_or_after)
{
	static const struct {
		enum change what;
		uint64_t arg;
	} changes[] = {
		{ CREATE, 0 },       { APPLY, 0 },       { APPLY, 1 },
		{ DELETE, 0 },       { DELETE, 1 },      { RESIZE, 5242880 },
		{ RESIZE, 3 << 20 }, { RESIZE, 600064 }, { RESIZE, 1 << 19 },
	};
	static const char *const makes[] = {
		"qemu-img create -f qcow2 -o cluster_size=512 -b base.img -F raw i.qcow2 1500160",
		"qemu-img convert -c -f raw -O qcow2 -o cluster_size=4k base.img i.qcow2",
		"qemu-img create -f qcow2 -o cluster_size=64k -b base.img -F raw i.qcow2 1M",
	};

	need_qemu();
	run("{ head -c 1M /dev/urandom; yes platter | head -c 1M; } >base.img");
	for (size_t m = 0; m < ARRAY_SIZE(makes); m++) {
		run("%s && qemu-io -c 'write -P 1 0 200k' i.qcow2 && qemu-img snapshot -c one "
		    "i.qcow2"
		    " && qemu-io -c 'write -P 2 100k 400k' i.qcow2 &&"
		    " qemu-img snapshot -c two i.qcow2 && qemu-io -c 'write -P 3 300k 100k' "
		    "i.qcow2",
		    makes[m]);
		for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
			PL_AUTOFREE char *before = contents_of_file("i.qcow2");
			PL_AUTOFREE char *after = NULL;
			PL_AUTOUNREF struct pl_disk *disk = NULL;
			uint64_t step = 1;

			run("cp i.qcow2 after.qcow2");
			disk = open_image("after.qcow2", PLATTER_OPEN_WRITE);
			EXPECT_OK(do_change(disk, changes[i].what, changes[i].arg));
			pl_disk_unref(disk);
			disk = NULL;
			run("qemu-img check after.qcow2");
			after = contents_of_file("after.qcow2");
			for (uint64_t cut = 1;
			     cut_at("i.qcow2", changes[i].what, changes[i].arg, cut, before, after);
			     cut += step)
				if (cut > 20)
					step = cut / 4;
		}
	}
}

TEST(what_snapshots_and_sizes_cannot_be_is_refused)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *v2 = NULL, *narrow = NULL, *external = NULL;

	need_qemu();
	run("qemu-img create -f qcow2 a.qcow2 1M && qemu-io -c 'write 0 128k' a.qcow2 &&"
	    " qemu-img create -f qcow2 -o compat=0.10 v2.qcow2 1M && qemu-img snapshot -c s "
	    "v2.qcow2 &&"
	    " qemu-img create -f qcow2 -o refcount_bits=1 n.qcow2 1M &&"
	    " qemu-io -c 'write 0 128k' n.qcow2 &&"
	    " qemu-img create -f qcow2 -o data_file=d.bin d.qcow2 1M");
	disk = open_image("a.qcow2", PLATTER_OPEN_WRITE);
	EXPECT_OK(change_of(disk)->snapshot_create(disk, "s", &err));
	EXPECT_EQ(change_of(disk)->snapshot_create(disk, "s", &err), -EEXIST);
	EXPECT_EQ(change_of(disk)->snapshot_create(disk, "1", &err), -EEXIST);
	EXPECT_EQ(change_of(disk)->snapshot_create(disk, "", &err), -EINVAL);
	EXPECT_EQ(change_of(disk)->snapshot_apply(disk, "t", &err), -ENOENT);
	EXPECT_EQ(change_of(disk)->snapshot_delete(disk, "2", &err), -ENOENT);
	EXPECT_EQ(pl_resize(disk, INT64_MAX, &err), -EFBIG);
	EXPECT_EQ(pl_resize(disk, 1ull << 60, &err), -EFBIG);
	EXPECT_EQ(disk->size, MIB(1));
	v2 = open_image("v2.qcow2", PLATTER_OPEN_WRITE);
	EXPECT_EQ(pl_resize(v2, MIB(2), &err), -ENOTSUP);
	narrow = open_image("n.qcow2", PLATTER_OPEN_WRITE);
	EXPECT_EQ(change_of(narrow)->snapshot_create(narrow, "s", &err), -EFBIG);
	external = open_image("d.qcow2", PLATTER_OPEN_WRITE);
	EXPECT_EQ(change_of(external)->snapshot_create(external, "s", &err), -ENOTSUP);
	/* What was refused changed nothing. */
	run("for i in a v2 n d; do qemu-img check -U $i.qcow2 || exit 1; done");
}

TEST(an_external_data_file_is_resized_too)
{
	static const char *const raw[] = { "off", "on" };

	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(raw); i++) {
		struct pl_disk *disk;

		run("rm -f d.*; qemu-img create -f qcow2 -o data_file=d.bin,data_file_raw=%s "
		    "d.qcow2 1M"
		    " && qemu-io -c 'write -P 5 0 1M' d.qcow2",
		    raw[i]);
		disk = open_image("d.qcow2", PLATTER_OPEN_WRITE);
		EXPECT_OK(pl_resize(disk, 3 << 19, &err));
		pl_disk_unref(disk);
		run("[ $(stat -c %%s d.bin) = 1572864 ] && qemu-img check d.qcow2 &&"
		    " qemu-io -c 'read -P 5 0 1M' -c 'read -P 0 1M 512k' d.qcow2");
		disk = open_image("d.qcow2", PLATTER_OPEN_WRITE);
		EXPECT_OK(pl_resize(disk, 100352, &err));
		EXPECT_OK(pl_resize(disk, 1 << 20, &err));
		pl_disk_unref(disk);
		run("[ $(stat -c %%s d.bin) = 1048576 ] && qemu-img check d.qcow2 &&"
		    " qemu-io -c 'read -P 5 0 100352' -c 'read -P 0 100352 948224' d.qcow2");
	}
}

/* Snapshots of an image with many refcount blocks, whose table has to grow. */
TEST(the_refcount_table_grows_with_a_snapshot)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	need_qemu();
	run("qemu-img create -f qcow2 -o cluster_size=512,refcount_bits=64 i.qcow2 20M &&"
	    " qemu-io -c 'write -P 7 0 2020k' i.qcow2");
	disk = open_image("i.qcow2", PLATTER_OPEN_WRITE);
	for (unsigned i = 0; i < 40; i++) {
		char name[16];
		uint8_t byte = (uint8_t)i;

		snprintf(name, sizeof name, "s%u", i);
		EXPECT_OK(change_of(disk)->snapshot_create(disk, name, &err));
		EXPECT_OK(pl_write(disk, &byte, 1, i * 32768, &err));
	}
	for (unsigned i = 0; i < 40; i += 3) {
		char name[16];

		snprintf(name, sizeof name, "s%u", i);
		EXPECT_OK(change_of(disk)->snapshot_delete(disk, name, &err));
	}
	EXPECT_OK(pl_flush(disk, &err));
	run("qemu-img check -U i.qcow2 && qemu-img convert -U -l s20 -O raw i.qcow2 s.raw &&"
	    " qemu-io -c 'read -P 7 655360 1k' s.raw");
}
