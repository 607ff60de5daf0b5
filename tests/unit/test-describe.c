/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "bytes.h"
#include "describe.h"
#include "format.h"

static void
run(const char *command)
{
	if (system(command) != 0)
		SKIP("cannot run: %s", command);
}

/* In the folder of the test: a GPT disk with ext4 and, in its second partition, an image. */
static void
make_disk(void)
{
	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("{ truncate -s 16M disk.img && sfdisk -q disk.img && "
	    "mkfs.ext4 -q -L rootfs -E offset=1048576 disk.img 4096 && "
	    "qemu-img create -q -f qcow2 -b /no/such/file -F raw -u in.qcow2 5M && "
	    "dd if=in.qcow2 of=disk.img bs=1M seek=9 conv=notrunc; } >/dev/null 2>&1 <<E\n"
	    "label: gpt\n"
	    "start=2048, size=8192, name=first, type=linux\n"
	    "start=18432, size=4096\n"
	    "E\n");
}

static struct platter_description *
describe(const char *name)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d;
	struct pl_place *place;

	EXPECT_OK(pl_place_open(name, NULL, 0, &place, &err));
	EXPECT_OK(pl_describe(place, &d, &err));
	/* The description stands on its own. */
	pl_place_close(place);
	return d;
}

static const char *
fact(const struct platter_facts *facts, const char *key)
{
	for (size_t i = 0; i < facts->nr_facts; i++)
		if (strcmp(facts->facts[i].key, key) == 0)
			return facts->facts[i].text;
	return "(no such fact)";
}

TEST(a_partitioned_file_is_described_from_storage_to_contents)
{
	struct platter_description *d;
	const struct platter_partition *p;

	make_disk();
	d = describe("disk.img");
	EXPECT_STR(d->place, "disk.img");
	EXPECT_EQ(d->size, MIB(16));
	EXPECT(d->stored <= MIB(16));
	EXPECT_EQ(d->nr_layers, 2);
	EXPECT_EQ(d->layers[0].kind, PLATTER_LAYER_STORAGE);
	EXPECT_STR(d->layers[0].name, "file");
	EXPECT_STR(fact(&d->layers[0].facts, "path"), "disk.img");
	EXPECT_EQ(d->layers[1].kind, PLATTER_LAYER_FORMAT);
	EXPECT_STR(d->layers[1].name, "raw");
	EXPECT_EQ(d->layers[1].size, MIB(16));
	EXPECT(d->nr_tables > 0);
	EXPECT_STR(d->tables[0].name, "gpt");
	EXPECT_EQ(d->tables[0].nr_partitions, 2);
	EXPECT_EQ(d->nr_contents, 0);

	p = d->tables[0].partitions;
	EXPECT_STR(p[0].name, "first");
	EXPECT_EQ(p[0].nr_contents, 1);
	EXPECT_STR(p[0].contents[0].name, "ext4");
	EXPECT_STR(p[0].contents[0].label, "rootfs");
	pl_description_free(d);
}

TEST(an_image_in_a_partition_is_shown_without_following_what_it_names)
{
	struct platter_description *d;
	const struct platter_content *c;

	make_disk();
	d = describe("disk.img");
	EXPECT_EQ(d->tables[0].partitions[1].nr_contents, 1);
	c = d->tables[0].partitions[1].contents;
	EXPECT_STR(c->name, "qcow2");
	EXPECT_STR(c->usage, "image");
	EXPECT_EQ(c->size, MIB(5));
	pl_description_free(d);
}

TEST(a_partition_is_a_layer_with_the_words_of_its_table)
{
	struct platter_description *d;
	const struct platter_layer *layer;

	make_disk();
	d = describe("disk.img@1");
	EXPECT_EQ(d->nr_layers, 3);
	layer = &d->layers[2];
	EXPECT_EQ(layer->kind, PLATTER_LAYER_PARTITION);
	EXPECT_STR(layer->place, "disk.img@1");
	EXPECT_STR(layer->longname, "partition 1");
	EXPECT_STR(fact(&layer->facts, "name"), "first");
	EXPECT_STR(fact(&layer->facts, "type_name"), "Linux file system");
	EXPECT_EQ(d->nr_tables, 0);
	EXPECT_EQ(d->nr_contents, 1);
	EXPECT_STR(d->contents[0].name, "ext4");
	pl_description_free(d);
}

TEST(a_chain_of_overlays_is_listed_nearest_first)
{
	struct platter_description *d;

	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("truncate -s 1M base.raw && "
	    "qemu-img create -q -f qcow2 -b base.raw -F raw mid.qcow2 && "
	    "qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 top.qcow2 && "
	    "qemu-img snapshot -c monday top.qcow2");
	d = describe("top.qcow2");
	EXPECT_EQ(d->nr_layers, 2);
	EXPECT_STR(d->layers[1].name, "qcow2");
	EXPECT(d->layers[1].backing && strstr(d->layers[1].backing, "mid.qcow2"));
	EXPECT_EQ(d->nr_chain, 2);
	EXPECT_STR(d->chain[0].name, "qcow2");
	EXPECT(strstr(d->chain[0].place, "mid.qcow2") != NULL);
	EXPECT_STR(d->chain[1].name, "raw");
	EXPECT(d->chain[1].backing == NULL);
	pl_description_free(d);
}

TEST(snapshots_in_an_image_are_listed)
{
	struct platter_description *d;

	if (!pl_format_by_name("qcow2")->snapshots)
		SKIP("the qcow2 driver lists no snapshots");
	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("qemu-img create -q -f qcow2 s.qcow2 1M && qemu-img snapshot -c monday s.qcow2");
	d = describe("s.qcow2");
	EXPECT_EQ(d->nr_snapshots, 1);
	EXPECT_STR(d->snapshots[0].name, "monday");
	pl_description_free(d);
}

TEST(split_parts_are_one_layer)
{
	struct platter_description *d;

	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("head -c 3000000 /dev/zero | split -b 1000000 -d -a 3 --numeric-suffixes=1 - s.");
	d = describe("s.001");
	EXPECT_STR(d->layers[0].name, "split");
	EXPECT_EQ(d->size, 3000000);
	EXPECT(strstr(fact(&d->layers[0].facts, "last_part"), "s.003") != NULL);
	pl_description_free(d);
}

TEST(a_damaged_table_is_a_warning_and_no_failure)
{
	struct platter_description *d;

	make_disk();
	run("printf XXXX | dd of=disk.img bs=1 seek=1040 conv=notrunc status=none");
	d = describe("disk.img");
	EXPECT(d->nr_tables > 0);
	EXPECT_EQ(d->tables[0].nr_partitions, 2);
	EXPECT(d->tables[0].facts.nr_warnings > 0);
	pl_description_free(d);
}

TEST(a_file_system_of_the_whole_disk_is_shown_beside_a_table)
{
	struct platter_description *d;

	EXPECT_EQ(chdir(pl_test_folder()), 0);
	run("{ truncate -s 16M old.img && mkfs.ext4 -q old.img && "
	    "echo 'label: dos\nstart=2048' | sfdisk -q --wipe never old.img; } >/dev/null 2>&1");
	d = describe("old.img");
	EXPECT_EQ(d->nr_tables, 1);
	EXPECT_STR(d->tables[0].name, "mbr");
	EXPECT_EQ(d->nr_contents, 1);
	EXPECT_STR(d->contents[0].name, "ext4");
	pl_description_free(d);
}
