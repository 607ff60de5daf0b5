/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measuring by the map alone comes to what copying comes to; limits, bad sectors, cancelling. */
#include "measure.h"

#include <errno.h>
#include <stdlib.h>

#include "test.h"

static struct platter_error err; /* of the last call that failed */

/* A disk of runs; no byte of data in it is zero. */
struct runs {
	struct pl_disk disk;
	struct {
		uint64_t length;
		enum platter_kind kind;
	} run[64];
	size_t nr;
};

static int
runs_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *e)
{
	struct runs *d = pl_container_of(disk, struct runs, disk);
	uint64_t at = 0;
	size_t i = 0;

	while (at + d->run[i].length <= offset)
		at += d->run[i++].length;
	*ret = (struct pl_extent){ .length = at + d->run[i].length - offset,
				   .kind = d->run[i].kind };
	return 0;
}

static int
runs_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	memset(buf, 0xaa, n);
	return 0;
}

static void
runs_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
}

static const struct pl_disk_ops runs_ops = {
	.name = "runs", .map = runs_map, .read = runs_read, .free = runs_free
};

static void
runs_init(struct runs *d)
{
	*d = (struct runs){ 0 };
	EXPECT_OK(pl_disk_init(&d->disk, &runs_ops, "runs", &err));
}

static void
add_run(struct runs *d, uint64_t length, enum platter_kind kind)
{
	d->run[d->nr].length = length;
	d->run[d->nr++].kind = kind;
	d->disk.size += length;
}

/* Lengths of a few sectors, around clusters and of some MiB; neighbours are of different kinds. */
static void
add_any_runs(struct runs *d, unsigned seed)
{
	srand(seed);
	for (size_t i = 0; i < 40; i++) {
		static const uint64_t units[] = { 512, 4096, KIB(64), KIB(512) };
		uint64_t unit = units[rand() % 4];

		add_run(d, unit * (uint64_t)(1 + rand() % 5), i % 2 ? PLATTER_HOLE : PLATTER_DATA);
	}
}

static struct platter_measure_options
options_for(const char *format, const struct platter_key_value *pair)
{
	return (struct platter_measure_options){ .size = sizeof(struct platter_measure_options),
						 .format = format,
						 .options = pair,
						 .nr_options = pair ? 1 : 0 };
}

/* Measure both ways; what comes out is the same. */
static void
expect_same(struct runs *d, const char *format, const struct platter_key_value *pair)
{
	struct platter_measure_options o = options_for(format, pair);
	struct platter_measure_result by_map = { 0 }, by_reading = { 0 };

	EXPECT_OK(pl_measure(&d->disk, &o, NULL, &by_map, &err));
	o.look_for_zeros = true;
	EXPECT_OK(pl_measure(&d->disk, &o, NULL, &by_reading, &err));
	EXPECT_EQ(by_map.required, by_reading.required);
	EXPECT_EQ(by_map.data, by_reading.data);
	EXPECT_EQ(by_map.full, by_reading.full);
	/* Nothing that is placed is left unwritten. */
	EXPECT_EQ(by_map.written, by_reading.written);
}

TEST(the_map_is_cut_as_the_copy_engine_cuts_it)
{
	static const struct platter_key_value small = { "cluster_size", "512" },
					      large = { "cluster_size", "2M" };

	for (unsigned seed = 0; seed < 20; seed++) {
		struct runs d;

		runs_init(&d);
		add_any_runs(&d, seed);
		expect_same(&d, "raw", NULL);
		expect_same(&d, "qcow2", NULL);
		expect_same(&d, "qcow2", &small);
		expect_same(&d, "qcow2", &large);
		expect_same(&d, "vhd", NULL);
		expect_same(&d, "vmdk", NULL);
		expect_same(&d, "vdi", NULL);
		pl_disk_unref(&d.disk);
	}
}

/* The walk looks a GiB ahead: what goes on behind that is no end of a run. */
TEST(a_long_hole_that_begins_at_an_odd_place_is_one)
{
	struct platter_measure_options o = options_for("qcow2", NULL);
	struct platter_measure_result result = { 0 };
	struct runs d;

	runs_init(&d);
	add_run(&d, 4096, PLATTER_DATA);
	add_run(&d, GIB(5), PLATTER_HOLE);
	add_run(&d, 4096, PLATTER_DATA);
	EXPECT_OK(pl_measure(&d.disk, &o, NULL, &result, &err));
	EXPECT_EQ(result.data, KIB(64) + 8192);
	pl_disk_unref(&d.disk);
}

TEST(bad_sectors_are_counted_and_not_stored)
{
	struct platter_measure_options o = options_for("qcow2", NULL);
	struct platter_measure_result result = { 0 };
	struct runs d;

	runs_init(&d);
	add_run(&d, KIB(64), PLATTER_DATA);
	add_run(&d, KIB(128), PLATTER_BAD);
	add_run(&d, KIB(64), PLATTER_DATA);
	EXPECT_OK(pl_measure(&d.disk, &o, NULL, &result, &err));
	EXPECT_EQ(result.bad, KIB(128));
	EXPECT_EQ(result.data, KIB(128));
	EXPECT_EQ(result.size, KIB(256));
	pl_disk_unref(&d.disk);
}

TEST(what_a_format_cannot_become_is_unknown_and_what_it_cannot_hold_an_error)
{
	struct platter_measure_options vmdk = options_for("vmdk", NULL),
				       vhd = options_for("vhd", NULL);
	struct platter_measure_result result = { 0 };

	EXPECT_OK(pl_measure_empty(TIB(4), &vmdk, NULL, &result, &err));
	EXPECT(result.required < GIB(1));
	EXPECT(result.full == UINT64_MAX);
	EXPECT_EQ(pl_measure_empty(TIB(4), &vhd, NULL, &result, &err), -EFBIG);
}

TEST(an_empty_disk_and_one_without_bytes_are_measured)
{
	static const char *const formats[] = { "raw", "qcow2", "vhdx", "vmdk", "vdi", "parallels" };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct platter_measure_options o = options_for(formats[i], NULL);
		struct platter_measure_result result = { 0 };

		EXPECT_OK(pl_measure_empty(MIB(3), &o, NULL, &result, &err));
		EXPECT_EQ(result.data, 0);
		EXPECT(result.full > MIB(3) || i == 0);
		EXPECT_OK(pl_measure_empty(0, &o, NULL, &result, &err));
		EXPECT(result.required <= result.full);
	}
}

TEST(compressed_is_really_encoded)
{
	struct platter_measure_options o = options_for("qcow2", NULL);
	struct platter_measure_result plain = { 0 }, packed = { 0 };
	struct runs d;

	runs_init(&d);
	add_run(&d, MIB(4), PLATTER_DATA);
	EXPECT_OK(pl_measure(&d.disk, &o, NULL, &plain, &err));
	o.compress = "";
	EXPECT_OK(pl_measure(&d.disk, &o, NULL, &packed, &err));
	EXPECT(packed.required < MIB(1));
	EXPECT_EQ(packed.full, plain.full);
	pl_disk_unref(&d.disk);
}

TEST(measuring_is_cancelled)
{
	struct platter_measure_options o = options_for("qcow2", NULL);
	struct platter_measure_result result = { 0 };
	struct platter_progress progress = { 0 };

	platter_cancel(&progress);
	EXPECT_EQ(pl_measure_empty(TIB(16), &o, &progress, &result, &err), -ECANCELED);
}

TEST(unknown_options_are_refused)
{
	static const struct platter_key_value pair = { "nonesuch", "1" };
	struct platter_measure_options o = options_for("qcow2", &pair);
	struct platter_measure_result result = { 0 };

	EXPECT_EQ(pl_measure_empty(MIB(1), &o, NULL, &result, &err), -EINVAL);
	o = options_for("qed", NULL);
	EXPECT_EQ(pl_measure_empty(MIB(1), &o, NULL, &result, &err), -ENOTSUP);
}
