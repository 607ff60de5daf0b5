/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "bytes.h"
#include "format.h"
#include "place.h"

/* Everything happens in a folder of its own, so that places are short. */
static void
enter_folder(void)
{
	EXPECT_EQ(chdir(pl_test_folder()), 0);
}

static void
make_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	EXPECT(f != NULL);
	EXPECT_EQ(fwrite(bytes, 1, n, f), n);
	EXPECT_EQ(fclose(f), 0);
}

static void
run(const char *command)
{
	if (system(command) != 0)
		SKIP("cannot run: %s", command);
}

/* A GPT disk of 16 MiB: an ESP, an unnamed partition with ext4, and two that share a name. */
static void
make_disk(const char *path)
{
	char command[1024];

	snprintf(command, sizeof command,
		 "{ truncate -s 16M %s && sfdisk -q %s && mkfs.ext4 -q -L rootfs "
		 "-U 11111111-2222-3333-4444-555555555555 -E offset=4194304 %s 4096; } >/dev/null "
		 "2>&1 <<E\n"
		 "label: gpt\n"
		 "start=2048, size=2048, type=uefi\n"
		 "start=8192, size=8192, uuid=AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE\n"
		 "start=18432, size=2048, name=twin\n"
		 "start=20480, size=2048, name=Twin\n"
		 "start=22528, size=2048, name=2024, type=swap\n"
		 "E\n",
		 path, path, path);
	run(command);
}

static void
expect_partition(const char *place, uint64_t offset)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;
	struct pl_piece piece;

	EXPECT_OK(pl_place_open(place, NULL, 0, &p, &err));
	EXPECT_OK(pl_resolve(p->disk, 0, 1, 0, &piece, &err));
	EXPECT_EQ(piece.leaf_offset, offset);
	EXPECT_STR(p->disk->name, place);
	EXPECT_EQ(p->nr_layers, 2);
	pl_place_close(p);
}

static void
expect_error(const char *place, const char *format, int code, const char *says)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;
	int r = pl_place_open(place, format, 0, &p, &err);

	if (r == 0)
		pl_place_close(p);
	EXPECT_EQ(r, code);
	if (!strstr(err.message, says))
		pl_test_fail(__FILE__, __LINE__, "'%s' says '%s', not '%s'", place, err.message,
			     says);
}

TEST(a_file_opens_under_its_whole_name_first)
{
	static const char *const names[] = { "plain.img", "a@1.img", "what?format=qcow2",
					     "x@1?y=z@2" };

	enter_folder();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct pl_place *p;

		make_file(names[i], "0123456789", 10);
		EXPECT_OK(pl_place_open(names[i], NULL, 0, &p, &err));
		EXPECT_EQ(p->disk->size, 10);
		EXPECT_STR(p->name, names[i]);
		EXPECT(p->storage == p->layers[0]);
		pl_place_close(p);
	}
}

TEST(the_longest_name_that_exists_is_the_path)
{
	enter_folder();
	make_file("d", "1", 1);
	make_disk("d@5.img");
	expect_partition("d@5.img@1", MIB(1));
	expect_partition("d@5.img?format=raw@1", MIB(1));
}

TEST(a_partition_is_found_by_number_name_kind_label_and_uuid)
{
	enter_folder();
	make_disk("disk.img");
	expect_partition("disk.img@2", MIB(4));
	expect_partition("disk.img@EFI", MIB(1));
	expect_partition("disk.img@esp", MIB(1));
	expect_partition("disk.img@efi system", MIB(1));
	expect_partition("disk.img@aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", MIB(4));
	expect_partition("disk.img@ROOTFS", MIB(4));
	expect_partition("disk.img@11111111-2222-3333-4444-555555555555", MIB(4));
	expect_partition("disk.img@2024", MIB(11));
	expect_partition("disk.img@swap", MIB(11));
}

TEST(what_is_not_there_or_not_clear_is_refused_with_what_there_is)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;

	enter_folder();
	make_disk("disk.img");
	expect_error("disk.img@twin", NULL, -EINVAL, "any of the partitions 3 'twin', 4 'Twin'");
	expect_error("disk.img@7", NULL, -ENOENT, "no partition '7' on 'disk.img'");
	EXPECT_EQ(pl_place_open("disk.img@nope", NULL, 0, &p, &err), -ENOENT);
	EXPECT(strstr(err.hint, "1 EFI System, 2 ") != NULL);
	EXPECT(strstr(err.hint, "5 '2024'") != NULL);
	make_file("empty.img", "", 0);
	expect_error("empty.img@1", NULL, -ENOENT, "'empty.img' has no partition table");
}

TEST(a_place_that_does_not_parse_says_which_part)
{
	static const struct {
		const char *place;
		int code;
		const char *says;
	} rows[] = {
		{ "", -EINVAL, "empty" },
		{ "nofile", -ENOENT, "no file 'nofile'" },
		{ "nofile@1", -ENOENT, "no file 'nofile@1', nor one called 'nofile'" },
		{ "d?", -EINVAL, "option '' is not of the form KEY=VALUE" },
		{ "d?format", -EINVAL, "option 'format' is not of the form" },
		{ "d?format=", -EINVAL, "option 'format=' is not of the form" },
		{ "d?colour=red", -EINVAL, "unknown option 'colour'" },
		{ "d?backing=maybe", -EINVAL, "backing is 'yes' or 'no', not 'maybe'" },
		{ "d?format=raw&&", -EINVAL, "option '' is not" },
		{ "d?format=nonsense", -ENOTSUP, "nonsense" },
		{ "d@", -EINVAL, "no partition is named after '@'" },
		{ "d@1?disk=x", -EINVAL, "options of partition '1' need its format" },
		{ "d?disk=", -EINVAL, "KEY=VALUE" },
		{ "d?disk=2", -ENOENT, "holds one disk" },
		{ "d@1@1@1@1@1@1@1@1@1@1@1@1@1@1@1@1", -EINVAL, "more than 16 elements" },
		{ "d:/etc/fstab", -ENOENT, "no file system is recognised on 'd'" },
		{ "d@2:/etc/fstab", -ENOENT, "'d' has no partition table" },
		{ "http://example.org/d.img", -ENOTSUP, "'http' places are not supported" },
		{ "s3://bucket/d.qcow2@1", -ENOTSUP, "'s3' places are not supported" },
		{ "nbd+unix://x", -ENOTSUP, "'nbd+unix' places are not supported" },
		{ "repo:/srv/backups#latest/sda", -ENOTSUP, "'repo' places are not supported" },
	};

	enter_folder();
	make_file("d", "0123", 4);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_error(rows[i].place, NULL, rows[i].code, rows[i].says);
	expect_error("d?format=raw", "qcow2", -EINVAL, "as 'raw' and as 'qcow2'");
}

TEST(a_folder_is_no_disk)
{
	enter_folder();
	EXPECT_EQ(system("mkdir -p folder"), 0);
	expect_error("folder@1", NULL, -ENOENT, "no file 'folder@1'");
}

TEST(a_bundle_opens_by_its_folder)
{
	static const char descriptor[] =
		"<Parallels_disk_image><Disk_Parameters><Disk_size>32768</Disk_size>"
		"</Disk_Parameters><StorageData><Storage><Start>0</Start><End>32768</End><Image>"
		"<GUID>{5fbaabe3-6958-40ff-92a7-860e329aab41}</GUID><Type>Plain</Type>"
		"<File>disk.raw</File></Image></Storage></StorageData></Parallels_disk_image>";
	static const char *const places[] = { "disk.hdd", "disk.hdd/", "disk.hdd?format=prl-xml",
					      "disk.hdd/DiskDescriptor.xml" };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;

	enter_folder();
	EXPECT_EQ(system("mkdir -p disk.hdd"), 0);
	make_disk("disk.hdd/disk.raw");
	expect_error("disk.hdd", NULL, -EISDIR, "'disk.hdd' is a folder");
	make_file("disk.hdd/DiskDescriptor.xml", descriptor, sizeof descriptor - 1);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		EXPECT_OK(pl_place_open(places[i], NULL, 0, &p, &err));
		EXPECT_STR(pl_format_of(p->disk)->info.name, "prl-xml");
		EXPECT_EQ(p->disk->size, MIB(16));
		pl_place_close(p);
	}
	EXPECT_OK(pl_place_open("disk.hdd@1", NULL, 0, &p, &err));
	EXPECT_EQ(p->disk->size, MIB(1));
	pl_place_close(p);
}

TEST(an_image_in_a_partition_is_opened_only_when_asked)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;

	enter_folder();
	make_disk("disk.img");
	run("qemu-img create -q -f qcow2 in.qcow2 5M && "
	    "dd if=in.qcow2 of=disk.img bs=1M seek=9 conv=notrunc status=none");
	expect_partition("disk.img@3", MIB(9));
	EXPECT_OK(pl_place_open("disk.img@3?format=qcow2", NULL, 0, &p, &err));
	EXPECT_EQ(p->disk->size, MIB(5));
	EXPECT_EQ(p->nr_layers, 3);
	EXPECT_EQ(p->partition[1], 3);
	EXPECT_EQ(p->partition[2], 0);
	pl_place_close(p);
}

TEST(a_guest_cannot_name_files_of_its_host)
{
	enter_folder();
	make_disk("disk.img");
	make_file("secret", "0123", 4);
	run("qemu-img create -q -f qcow2 -b $PWD/secret -F raw in.qcow2 5M && "
	    "dd if=in.qcow2 of=disk.img bs=1M seek=9 conv=notrunc status=none");
	expect_error("disk.img@3?format=qcow2", NULL, -ENOTSUP, "secret");
}

TEST(an_overlay_opens_without_its_backing_file_when_asked)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;
	uint8_t byte;

	enter_folder();
	run("printf x > base && truncate -s 1M base && "
	    "qemu-img create -q -f qcow2 -b base -F raw over.qcow2");
	EXPECT_OK(pl_place_open("over.qcow2", NULL, 0, &p, &err));
	EXPECT_OK(pl_read(p->disk, &byte, 1, 0, &err));
	EXPECT_EQ(byte, 'x');
	pl_place_close(p);
	EXPECT_OK(pl_place_open("over.qcow2?backing=no", NULL, 0, &p, &err));
	EXPECT_OK(pl_read(p->disk, &byte, 1, 0, &err));
	EXPECT_EQ(byte, 0);
	pl_place_close(p);
}

TEST(writing_to_a_partition_goes_to_its_file)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *p;
	char text[4];
	FILE *f;

	enter_folder();
	make_disk("disk.img");
	EXPECT_OK(pl_place_open("disk.img@3", NULL, PLATTER_OPEN_WRITE, &p, &err));
	EXPECT_OK(pl_write(p->disk, "here", 4, 1000, &err));
	pl_place_close(p);
	f = fopen("disk.img", "rb");
	EXPECT_EQ(fseek(f, (long)MIB(9) + 1000, SEEK_SET), 0);
	EXPECT_EQ(fread(text, 1, 4, f), 4);
	fclose(f);
	EXPECT_MEM(text, "here", 4);
}
