/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-ova.c - appliances made with GNU tar and Python's tarfile, and hostile ones */
#include <sys/stat.h>

#include "images.h"
#include "tar.h"

#define SIZE (MIB(3) + 512)

static const char ovf_head[] =
	"<?xml version='1.0'?>\n<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'"
	" xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'>\n";
static const char ovf_tail[] =
	"<VirtualSystem ovf:id='vm'><Info>A machine</Info><Name>Testing &amp; more</Name>"
	"<ProductSection><Product>Thing</Product><Vendor>ACME</Vendor><Version>1.5</Version>"
	"</ProductSection></VirtualSystem></Envelope>\n";

/* The file "x.ovf" with these references and disks. */
static void
write_ovf(const char *references, const char *disks)
{
	PL_AUTOFREE char *text = pl_format("%s<References>%s</References>\n"
					   "<ovf:DiskSection>%s</ovf:DiskSection>\n%s",
					   ovf_head, references, disks, ovf_tail);

	write_file("x.ovf", text, strlen(text));
}

#define FILE_1 "<File ovf:href='disk1.vmdk' ovf:id='file1' ovf:size='1'/>"
#define FILE_2 "<File ovf:id='file2' ovf:href='sub%20folder/disk2.vmdk' ovf:size='1'/>"
#define DISK_1                                                                   \
	"<Disk ovf:capacity='3146240' ovf:diskId='vmdisk1' ovf:fileRef='file1'"  \
	" ovf:format='http://www.vmware.com/interfaces/specifications/vmdk.html" \
	"#streamOptimized'/>"
#define DISK_2                                                             \
	"<Disk ovf:capacity='1' ovf:capacityAllocationUnits='byte * 2^20'" \
	" ovf:diskId='vmdisk2' ovf:fileRef='file2'/>"
#define EMPTY "<Disk ovf:capacity='8' ovf:capacityAllocationUnits='byte * 2^30' ovf:diskId='e'/>"

/* "disk1.vmdk" of SIZE and "sub folder/disk2.vmdk" of 1 MiB; the bytes of the first. */
static uint8_t *
make_disks(void)
{
	uint8_t *bytes;

	need_qemu();
	free(make_raw("raw2", MIB(1)));
	bytes = make_raw("raw1", SIZE);
	run("mkdir -p 'sub folder'; for i in 1 2; do qemu-img convert -f raw -O vmdk"
	    " -o subformat=streamOptimized raw$i d$i; done; mv d1 disk1.vmdk;"
	    " mv d2 'sub folder/disk2.vmdk'");
	return bytes;
}

static int
try_disk(const char *name, const char *which, struct pl_disk **ret)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	return pl_image_open_given(file, path, NULL, NULL, which, 0, NULL, ret, &err);
}

TEST(appliances_of_every_kind_of_tar_are_read)
{
	static const char *const makers[] = {
		"tar -c --format=ustar -f a.ova x.ovf disk1.vmdk",
		"tar -c --format=gnu -f a.ova x.ovf disk1.vmdk",
		"tar -c --format=posix -f a.ova x.ovf disk1.vmdk",
		"tar -c --format=v7 -f a.ova ./x.ovf ./disk1.vmdk",
		"tar -c --format=oldgnu -b 1 --exclude a.ova --exclude 'raw*' -f a.ova ./",
		"/usr/bin/python3 -c \"import tarfile; t = tarfile.open('a.ova', 'w',"
		" format=tarfile.PAX_FORMAT, pax_headers={'comment': 'x' * 300});"
		" [t.add(n) for n in ('x.ovf', 'disk1.vmdk')]; t.close()\"",
		"/usr/bin/python3 -c \"import tarfile; t = tarfile.open('a.ova', 'w',"
		" format=tarfile.GNU_FORMAT); [t.add(n) for n in ('disk1.vmdk', 'x.ovf')];"
		" t.close()\"",
	};
	PL_AUTOFREE uint8_t *bytes = make_disks();

	write_ovf(FILE_1, DISK_1);
	run("rm -r 'sub folder'");
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		printf("# %s\n", makers[i]);
		run("rm -f a.ova; %s", makers[i]);
		expect_reads("a.ova", "ova", bytes, SIZE);
	}
}

TEST(long_names_are_put_together)
{
	static const char *const formats[] = { "gnu", "posix", "ustar" };
	char folder[121] = { 0 };
	PL_AUTOFREE uint8_t *bytes = make_disks();
	PL_AUTOFREE char *file = NULL;

	memset(folder, 'n', sizeof folder - 1);
	file = pl_format("<File ovf:id='file1' ovf:href='%s/disk1.vmdk'/>", folder);
	write_ovf(file, DISK_1);
	run("mkdir %s && mv disk1.vmdk %s/", folder, folder);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		run("rm -f a.ova; tar -c --format=%s -f a.ova x.ovf %s/disk1.vmdk", formats[i],
		    folder);
		expect_reads("a.ova", "ova", bytes, SIZE);
	}
}

TEST(one_of_several_disks_is_chosen_by_number_or_name)
{
	static const char *const second[] = { "2", "sub folder/disk2.vmdk", "disk2.vmdk",
					      "vmdisk2" };
	struct pl_disk *disk = NULL;

	free(make_disks());
	write_ovf(FILE_1 FILE_2, DISK_1 EMPTY DISK_2);
	run("tar -cf a.ova x.ovf disk1.vmdk 'sub folder'");
	EXPECT_EQ(try_disk("a.ova", NULL, &disk), -EINVAL);
	EXPECT(strstr(err.message, "2 disks: 1 'disk1.vmdk', 2 'sub folder/disk2.vmdk'"));
	EXPECT(strstr(err.hint, "?disk=1"));
	for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
		EXPECT_OK(try_disk("a.ova", second[i], &disk));
		EXPECT_EQ(disk->size, MIB(1));
		pl_disk_unref(disk);
	}
	EXPECT_OK(try_disk("a.ova", "1", &disk));
	EXPECT_EQ(disk->size, SIZE);
	pl_disk_unref(disk);
	EXPECT_EQ(try_disk("a.ova", "3", &disk), -ENOENT);
	EXPECT(strstr(err.hint, "1 'disk1.vmdk'"));
	EXPECT_EQ(try_disk("a.ova", "0", &disk), -ENOENT);
	EXPECT_EQ(try_disk("a.ova", "e", &disk), -ENOENT);
	EXPECT_EQ(try_disk("disk1.vmdk", "1", &disk), -ENOENT);
	EXPECT(strstr(err.message, "holds one disk"));
}

static bool
has_fact(struct pl_disk *disk, const char *key, const char *value)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	disk->ops->describe(disk, &facts);
	for (size_t i = 0; i < facts.list.nr_facts; i++)
		if (!strcmp(facts.list.facts[i].key, key) && facts.list.facts[i].text)
			found |= !strcmp(facts.list.facts[i].text, value);
	pl_arena_done(&arena);
	return found;
}

TEST(what_the_descriptor_tells_is_shown)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *other = NULL;

	free(make_disks());
	write_ovf(FILE_1, EMPTY DISK_1);
	run("tar -cf a.ova x.ovf disk1.vmdk");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	EXPECT(has_fact(disk, "name", "Testing & more"));
	EXPECT(has_fact(disk, "vendor", "ACME"));
	EXPECT(has_fact(disk, "product", "Thing"));
	EXPECT(has_fact(disk, "product_version", "1.5"));
	EXPECT(has_fact(disk, "disk", "disk1.vmdk"));
	EXPECT(has_fact(disk, "disk_format", "vmdk"));
	EXPECT(has_fact(disk, "subformat", "streamOptimized"));
	EXPECT(!warns_of(disk, "says that the disk has"));

	write_ovf(FILE_1, "<Disk ovf:capacity='7' ovf:capacityAllocationUnits='byte*2^20'"
			  " ovf:diskId='d' ovf:fileRef='file1'/>");
	run("tar -cf b.ova x.ovf disk1.vmdk");
	EXPECT_OK(try_open("b.ova", 0, &other));
	EXPECT(warns_of(other, "says that the disk has 7340032 bytes, it has 3146240"));
}

TEST(disks_of_other_formats_are_opened_too)
{
	PL_AUTOFREE uint8_t *bytes = make_disks();

	write_ovf("<File ovf:id='file1' ovf:href='d.vhd'/>",
		  "<Disk ovf:diskId='d' ovf:fileRef='file1' ovf:capacity='3146240'/>");
	run("qemu-img convert -f raw -O vpc -o force_size=on raw1 d.vhd && tar -cf a.ova x.ovf "
	    "d.vhd");
	expect_reads("a.ova", "ova", bytes, SIZE);
	write_ovf("<File ovf:id='file1' ovf:href='raw1'/>",
		  "<Disk ovf:diskId='d' ovf:fileRef='file1' ovf:capacity='3146240'/>");
	run("tar -cf a.ova x.ovf raw1");
	expect_reads("a.ova", "ova", bytes, SIZE);
}

TEST(without_a_descriptor_every_vmdk_is_a_disk)
{
	PL_AUTOFREE uint8_t *bytes = make_disks();
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	run("tar -cf a.ova raw2 disk1.vmdk");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	expect_equal(disk, bytes, SIZE);
	EXPECT(warns_of(disk, "no OVF descriptor"));
	expect_findings(disk, 1, 0);
	pl_disk_unref(disk);

	write_file("x.ovf", "<Envelope><References>", 22);
	run("tar -cf a.ova x.ovf disk1.vmdk");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	expect_equal(disk, bytes, SIZE);
	EXPECT(warns_of(disk, "is missing"));
	expect_findings(disk, 1, 0);
}

TEST(what_cannot_be_read_is_told)
{
	struct pl_disk *disk = NULL;

	free(make_disks());
	write_ovf("<File ovf:id='file1' ovf:href='disk1.vmdk' ovf:compression='gzip'/>", DISK_1);
	run("tar -cf a.ova x.ovf disk1.vmdk");
	EXPECT_EQ(try_open("a.ova", 0, &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "compressed"));
	write_ovf("<File ovf:id='file1' ovf:href='disk1.vmdk' ovf:chunkSize='1000'/>", DISK_1);
	run("tar -cf a.ova x.ovf disk1.vmdk");
	EXPECT_EQ(try_open("a.ova", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "'disk1.vmdk' is not in the archive"));
	write_ovf(FILE_1, DISK_1);
	run("tar -cf a.ova x.ovf");
	EXPECT_EQ(try_open("a.ova", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "'disk1.vmdk' is not in the archive"));
	write_ovf("", EMPTY);
	run("tar -cf a.ova x.ovf");
	EXPECT_EQ(try_open("a.ova", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "no disk is in the appliance"));
	run("truncate -s 5M disk1.vmdk");
	write_ovf(FILE_1, DISK_1);
	for (int i = 0; i < 2; i++) {
		run("tar -cSf a.ova --format=%s x.ovf disk1.vmdk", i ? "gnu" : "posix");
		EXPECT_EQ(try_open("a.ova", 0, &disk), -ENOTSUP);
		EXPECT(strstr(err.message, "sparse file"));
	}
}

TEST(a_disk_in_chunks_is_read_as_one)
{
	PL_AUTOFREE uint8_t *bytes = make_disks();
	PL_AUTOFREE char *file = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_disk *none = NULL;
	struct stat st;

	run("split -b 100000 -d -a 9 disk1.vmdk 'disk 1.vmdk.' && rm disk1.vmdk");
	file = pl_format("%s/disk 1.vmdk.000000001", pl_test_folder());
	EXPECT(stat(file, &st) == 0 && st.st_size == 100000);
	write_ovf("<File ovf:id='file1' ovf:href='disk%201.vmdk' ovf:chunkSize='100000'/>", DISK_1);
	/* In the archive they need not follow each other. */
	run("tar -cf a.ova x.ovf *1 *0 *[2-9]");
	EXPECT_OK(try_disk("a.ova", "disk%201.vmdk", &disk));
	expect_equal(disk, bytes, SIZE);
	expect_findings(disk, 0, 0);
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_OK(try_open("a.ova", 0, &disk));

	run("tar -cf a.ova x.ovf disk*0 disk*2");
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_OK(try_open("a.ova", 0, &disk));
	EXPECT_EQ(disk->size, SIZE);
	EXPECT(pl_read(disk, bytes, SIZE, 0, &err) < 0); /* what follows the gap is not there */
	run("truncate -s 99999 'disk 1.vmdk.000000001' && tar -cf a.ova x.ovf disk*");
	EXPECT_EQ(try_open("a.ova", 0, &none), -EUCLEAN);
	EXPECT(strstr(err.message, "a chunk has 100000"));
	run("truncate -s 100001 'disk 1.vmdk.000000001' && tar -cf a.ova x.ovf disk*");
	EXPECT_EQ(try_open("a.ova", 0, &none), -EUCLEAN);
	EXPECT(strstr(err.message, "has 100001 bytes"));
	run("rm 'disk 1.vmdk.000000001'; tar -cf a.ova x.ovf disk*");
	write_ovf("<File ovf:id='file1' ovf:href='disk%201.vmdk' ovf:size='100001'"
		  " ovf:chunkSize='100000'/>",
		  DISK_1);
	run("tar -cf a.ova x.ovf disk*");
	EXPECT_EQ(try_open("a.ova", 0, &none), -EUCLEAN);
	EXPECT(strstr(err.message, "100000 bytes of its 100001"));
}

/* What the image names is its maker's word: nothing outside of the archive is opened. */
TEST(disk_may_name_files_of_the_archive_only)
{
	PL_AUTOFREE uint8_t *bytes = make_disks();
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_disk *none = NULL;

	run("mkdir d && qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentFlat raw1"
	    " d/e.vmdk");
	write_ovf("<File ovf:href='d/e.vmdk' ovf:id='file1'/>", DISK_1);
	run("tar -cf a.ova x.ovf d/e.vmdk");
	EXPECT_EQ(try_open("a.ova", 0, &none), -ENOENT);
	EXPECT(strstr(err.message, "'d/e-f001.vmdk' is not in the archive"));
	run("tar -cf a.ova x.ovf d && rm -r d");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	expect_equal(disk, bytes, SIZE);
	/* A parent is none of its files; it could be the disk itself. */
	run("qemu-img create -f vmdk disk1.vmdk 1M && qemu-img create -f vmdk -b disk1.vmdk -F vmdk"
	    " o.vmdk && mv o.vmdk disk1.vmdk");
	write_ovf(FILE_1, DISK_1);
	run("tar -cf a.ova x.ovf disk1.vmdk");
	EXPECT_EQ(try_open("a.ova", 0, &none), -ENOTSUP);
	EXPECT(strstr(err.message, "only extents"));
}

TEST(archive_that_is_cut_short_gives_what_is_there)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_findings findings = { .found = tell };

	free(make_disks());
	write_ovf(FILE_1, DISK_1);
	run("tar -cf a.ova x.ovf disk1.vmdk && truncate -s $(( $(stat -c %%s disk1.vmdk) * 2 / 3 "
	    ")) a.ova");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	EXPECT(warns_of(disk, "cut short"));
	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	EXPECT(findings.count[PLATTER_DAMAGE] >= 1);
}

TEST(damage_in_the_image_is_told_where_it_is_in_the_archive)
{
	PL_AUTOFREE uint8_t *bytes = make_disks();
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	write_ovf(FILE_1, DISK_1);
	run("tar -b 1 -cf a.ova x.ovf disk1.vmdk && (cat a.ova; echo something) >b.ova");
	EXPECT_OK(try_open("b.ova", 0, &disk));
	expect_findings(disk, 0, 0); /* what follows the end of a tar is no part of it */
	pl_disk_unref(disk);

	/* Where the mark of the end should be. */
	run("s=$(( $(stat -c %%s a.ova) - 1024 )); head -c $s a.ova >b.ova;"
	    " head -c 1024 /dev/zero | tr '\\0' x >>b.ova");
	EXPECT_OK(try_open("b.ova", 0, &disk));
	expect_equal(disk, bytes, SIZE);
	EXPECT(warns_of(disk, "damaged at byte"));
	expect_findings(disk, 1, 0);
}

static uint64_t
notes_of(struct pl_disk *disk)
{
	struct pl_findings findings = { .found = tell };

	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	return findings.count[PLATTER_NOTE];
}

TEST(files_are_compared_with_the_manifest)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	free(make_disks());
	write_ovf(FILE_1, DISK_1);
	for (int i = 0; i < 3; i++) {
		static const char *const sums[] = { "sha1", "sha256", "sha512" };

		/* The last as openssl-dgst of OpenSSL 3 has it. */
		run("%ssum --tag x.ovf disk1.vmdk | sed 's/ (/(/; s/) =/)=/; s/SHA512/SHA2-512/' "
		    ">x.mf;"
		    " tar -cf a.ova x.ovf x.mf disk1.vmdk",
		    sums[i]);
		EXPECT_OK(try_open("a.ova", 0, &disk));
		EXPECT_EQ(notes_of(disk), 0);
		expect_findings(disk, 0, 0);
		pl_disk_unref(disk);
	}
	/* An odd line, a file that is missing, one that is not what it was. */
	run("(echo; echo odd; sed 's/x.ovf/y.ovf/; s/)= ./) = g/; s/2-//' x.mf) >y.mf;"
	    " tar -cf a.ova x.ovf y.mf disk1.vmdk");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	expect_findings(disk, 2, 0);
	pl_disk_unref(disk);

	run("sed 's/SHA[0-9-]*/MD2/' x.mf >y.mf; tar -cf a.ova x.ovf y.mf disk1.vmdk");
	EXPECT_OK(try_open("a.ova", 0, &disk));
	expect_findings(disk, 0, 0);
	EXPECT_EQ(notes_of(disk), 2);
}

/* Headers byte by byte. */

static void
seal(uint8_t h[static PL_TAR_BLOCK])
{
	unsigned sum = 0;

	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < PL_TAR_BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

static void
put_header(uint8_t h[static PL_TAR_BLOCK], const char *name, char type, uint64_t size)
{
	memset(h, 0, PL_TAR_BLOCK);
	strcpy((char *)h, name);
	h[124] = 0x80;
	put_be64(h + 128, size);
	h[156] = (uint8_t)type;
	memcpy(h + 257, "ustar\00000", 8);
	seal(h);
}

static int
list(const uint8_t *bytes, size_t n, struct pl_tar *ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_memory_new(bytes, n, "archive", &file, &err));
	return pl_tar_read(file, ret, &err);
}

TEST(headers_that_cannot_be_are_refused)
{
	uint8_t tar[4 * PL_TAR_BLOCK] = { 0 };
	struct pl_tar list_of;

	put_header(tar, "a", '0', 0);
	tar[0] = 'b';
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EUCLEAN);
	EXPECT_EQ(err.offset, 0);
	put_header(tar, "a", '0', UINT64_MAX);
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EUCLEAN);
	put_header(tar, "a", 'L', MIB(1));
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EFBIG);
	EXPECT_EQ(err.offset, 124);

	put_header(tar, "a", 'x', 20);
	memcpy(tar + 512, "20 size=99999999999", 20);
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EUCLEAN);
	EXPECT_EQ(err.offset, 512);
	memcpy(tar + 512, "99 path=x\n", 11);
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EUCLEAN);
	memcpy(tar + 512, "2 path=x\n", 10);
	EXPECT_EQ(list(tar, sizeof tar, &list_of), -EUCLEAN);
}

TEST(sizes_at_the_limit_end_with_the_archive)
{
	uint8_t tar[6 * PL_TAR_BLOCK] = { 0 };
	struct pl_tar t;

	put_header(tar, "a", '0', INT64_MAX);
	EXPECT_OK(list(tar, sizeof tar, &t));
	EXPECT_EQ(t.nr, 1);
	EXPECT_EQ(t.members[0].size, sizeof tar - PL_TAR_BLOCK);
	EXPECT(t.members[0].cut);
	pl_tar_done(&t);

	/* A folder and a link have nothing that follows them. */
	put_header(tar, "a", '5', INT64_MAX);
	put_header(tar + 512, "b", '1', 100);
	put_header(tar + 1024, "c", '0', 3);
	put_header(tar + 2048, "./d", '0', 0);
	EXPECT_OK(list(tar, sizeof tar, &t));
	EXPECT_EQ(t.nr, 2);
	EXPECT_STR(t.members[0].name, "c");
	EXPECT_EQ(t.members[0].offset, 1536);
	EXPECT_EQ(t.members[0].size, 3);
	EXPECT_STR(t.members[1].name, "d");
	pl_tar_done(&t);
}

TEST(archive_of_very_many_files_is_refused)
{
	size_t nr = 65537, n = nr * PL_TAR_BLOCK;
	PL_AUTOFREE uint8_t *tar = malloc(n);
	struct pl_tar t;

	put_header(tar, "a", '0', 0);
	for (size_t i = 1; i < nr; i++)
		memcpy(tar + i * PL_TAR_BLOCK, tar, PL_TAR_BLOCK);
	EXPECT_EQ(list(tar, n, &t), -EFBIG);
	EXPECT_OK(list(tar, n - PL_TAR_BLOCK, &t));
	EXPECT_EQ(t.nr, nr - 1);
	pl_tar_done(&t);
}

TEST(other_archives_are_no_appliances)
{
	const struct pl_format *format;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *path = pl_format("%s/a.tar", pl_test_folder());

	run("echo x >y && tar -cf a.tar y");
	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_format_probe(file, &format, &err));
	EXPECT_STR(format->info.name, "raw");
}
