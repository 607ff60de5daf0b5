/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writes.h - random changes of an image, and files that a power cut damages */
#ifndef PL_TEST_WRITES_H
#define PL_TEST_WRITES_H

#include "images.h"

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

static inline struct operation
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

static inline void
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

/* What the operation makes of the disk's bytes. */
static inline void
apply_to_model(uint8_t *model, const struct operation *o)
{
	if (o->what != FLUSH)
		memset(model + o->offset, o->what == WRITE ? o->byte : 0, o->length);
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
#define FRAGILE_MAX MIB(80)

static inline int
fragile_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *e)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static inline int
fragile_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	memcpy(buf, pl_container_of(disk, struct fragile, disk)->now + offset, n);
	return 0;
}

static inline void
cut_power(struct fragile *f)
{
	f->cut_size = rnd(2) ? f->disk.size : f->flushed_size;
	memcpy(f->cut, f->flushed, PL_MAX(f->disk.size, f->flushed_size));
	for (size_t s = 0; s < FRAGILE_MAX / 512; s++)
		if (f->touched[s] && rnd(2)) {
			memcpy(f->cut + s * 512, f->now + s * 512, 512);
			f->cut_size = PL_MAX(f->cut_size, PL_MIN((s + 1) * 512, f->disk.size));
		}
}

static inline int
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

static inline int
fragile_resize(struct pl_disk *disk, uint64_t size, struct platter_error *e)
{
	if (size > FRAGILE_MAX)
		return pl_fail(e, -ENOSPC, "the test's file is full");
	disk->size = size;
	return 0;
}

static inline int
fragile_flush(struct pl_disk *disk, struct platter_error *e)
{
	struct fragile *f = pl_container_of(disk, struct fragile, disk);

	for (size_t s = 0; s < FRAGILE_MAX / 512; s++)
		if (f->touched[s])
			memcpy(f->flushed + s * 512, f->now + s * 512, 512);
	memset(f->touched, 0, FRAGILE_MAX / 512);
	f->flushed_size = disk->size;
	return 0;
}

static inline void
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

static inline struct fragile *
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
	f->disk.size = f->flushed_size = fread(f->now, 1, FRAGILE_MAX, in);
	fclose(in);
	memcpy(f->flushed, f->now, f->disk.size);
	f->disk.writable = f->disk.growable = true;
	return f;
}

/* Put the file that the cut left where qemu-img finds it. */
static inline void
save_cut(const struct fragile *f, const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	FILE *out = fopen(path, "wb");

	EXPECT(out);
	EXPECT_EQ(fwrite(f->cut, 1, f->cut_size, out), f->cut_size);
	fclose(out);
}

static inline struct pl_disk *
open_image(const char *name, unsigned flags)
{
	struct pl_disk *disk = NULL;

	EXPECT_OK(try_open(name, flags, &disk));
	return disk;
}

/*
 * Write until the power goes; then `check` must find nothing wrong with the file "cut", and
 * what was flushed and not written again must be there.
 */
static inline void
write_until_cut(const char *image, const char *format, uint64_t writes, const char *check)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), image);
	struct fragile *f = new_fragile(image);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *model = NULL;
	PL_AUTOFREE uint8_t *flushed = NULL;
	PL_AUTOFREE bool *changed = NULL;
	PL_AUTOFREE uint8_t *after = NULL;
	size_t size;

	EXPECT_OK(pl_image_open(&f->disk, path, format, NULL, PLATTER_OPEN_WRITE, &disk, &err));
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

		apply_to_model(model, &o);
		if (o.what != FLUSH)
			memset(changed + o.offset, 1, o.length);
		apply(disk, &o);
		if (o.what == FLUSH && f->writes_left) {
			memcpy(flushed, model, size);
			memset(changed, 0, size);
		}
	}
	save_cut(f, "cut");
	pl_disk_unref(disk);
	pl_disk_unref(&f->disk);
	run("%s", check);
	disk = open_image("cut", 0);
	EXPECT_OK(pl_read(disk, after, size, 0, &err));
	for (size_t i = 0; i < size; i++)
		if (!changed[i] && after[i] != flushed[i])
			pl_test_fail(__FILE__, __LINE__, "byte %zu was flushed as %02x and is %02x",
				     i, flushed[i], after[i]);
}

#endif
