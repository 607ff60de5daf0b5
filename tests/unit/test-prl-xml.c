/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-prl-xml.c - disks put together by a DiskDescriptor.xml */
#include "images.h"
#include "xml.h"

#define TOP  "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
#define BASE "{11111111-2222-3333-4444-555555555555}"
#define NONE "{00000000-0000-0000-0000-000000000000}"

#define IMAGE(guid, type, file) \
	"<Image><GUID>" guid "</GUID><Type>" type "</Type><File>" file "</File></Image>"
#define STORAGE(start, end, images) \
	"<Storage><Start>" start "</Start><End>" end "</End>" images "</Storage>"
#define SHOT(guid, parent) "<Shot><GUID>" guid "</GUID><ParentGUID>" parent "</ParentGUID></Shot>"
#define DESCRIPTOR(size, storages, snapshots)                                            \
	"<?xml version='1.0'?>\n<!-- > -->\n<Parallels_disk_image Version=\"1.0\">"      \
	"<Disk_Parameters><Disk_size> " size "\n</Disk_size><Padding/>"                  \
	"<LogicSectorSize>512</LogicSectorSize></Disk_Parameters><StorageData>" storages \
	"</StorageData><Snapshots>" snapshots "</Snapshots></Parallels_disk_image>\n"

static void
write_descriptor(const char *text)
{
	write_file("DiskDescriptor.xml", text, strlen(text));
}

static int
try_descriptor(const char *text)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	write_descriptor(text);
	return try_open("DiskDescriptor.xml", 0, &disk);
}

/* A disk of 3 MiB in two parts: 1 MiB plain, 2 MiB expanding. */
#define TWO_PARTS                                                                      \
	DESCRIPTOR("6144",                                                             \
		   STORAGE("0", "2048", IMAGE(TOP, "Plain", "a &amp; b.raw"))          \
			   STORAGE("2048", "6144", IMAGE(TOP, "Compressed", "c.hds")), \
		   SHOT(TOP, NONE))

static uint8_t *
make_two_parts(void)
{
	uint8_t *bytes = make_raw("raw.img", MIB(3));

	need_qemu();
	write_file("a & b.raw", bytes, MIB(1));
	write_file("tail.raw", bytes + MIB(1), MIB(2));
	run("qemu-img convert -f raw -O parallels -o cluster_size=64k tail.raw c.hds");
	return bytes;
}

TEST(parts_follow_each_other)
{
	PL_AUTOFREE uint8_t *bytes = make_two_parts();

	write_descriptor(TWO_PARTS);
	expect_reads("DiskDescriptor.xml", "prl-xml", bytes, MIB(3));
}

TEST(an_image_that_is_missing_is_named)
{
	free(make_two_parts());
	run("rm c.hds");
	EXPECT_EQ(try_descriptor(TWO_PARTS), -ENOENT);
	EXPECT(strstr(err.message, "c.hds"));
}

/* A base, an image of its holes, and a snapshot between the two. */
#define CHAIN                                                            \
	DESCRIPTOR("4096",                                               \
		   STORAGE("0", "4096",                                  \
			   IMAGE(BASE, "Compressed", "base.hds")         \
				   IMAGE(TOP, "Compressed", "top.hds")), \
		   SHOT(BASE, NONE) SHOT(TOP, BASE))

TEST(holes_of_the_top_are_the_bytes_of_its_parent)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOUNREF struct pl_disk *alone = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOUNREF struct pl_disk *before = NULL;
	PL_AUTOFREE char *path = pl_format("%s/DiskDescriptor.xml", pl_test_folder());
	uint8_t buf[512];

	need_qemu();
	bytes = make_raw("raw.img", MIB(2));
	run("qemu-img convert -f raw -O parallels -o cluster_size=64k raw.img base.hds && "
	    "qemu-img create -f parallels -o cluster_size=64k top.hds 2M && "
	    "qemu-io -f parallels -c 'write -P 7 256k 128k' top.hds");
	write_descriptor(CHAIN);
	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_image_open(file, path, NULL, BASE, 0, &before, &err));
	expect_equal(before, bytes, MIB(2));
	EXPECT_EQ(pl_image_open(file, path, NULL, NONE, 0, &alone, &err), -ENOENT);
	memset(bytes + KIB(256), 7, KIB(128));
	expect_reads("DiskDescriptor.xml", "prl-xml", bytes, MIB(2));
	EXPECT_OK(try_open("DiskDescriptor.xml", PLATTER_OPEN_NO_BACKING, &alone));
	EXPECT_OK(pl_read(alone, buf, sizeof buf, 0, &err));
	EXPECT(pl_is_zero(buf, sizeof buf));
}

TEST(snapshots_are_listed_without_the_disk_itself)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	const struct platter_snapshot *list = NULL;
	struct pl_arena arena = { 0 };
	size_t nr = 0;

	need_qemu();
	run("qemu-img create -f parallels base.hds 2M && cp base.hds top.hds");
	write_descriptor(CHAIN);
	EXPECT_OK(try_open("DiskDescriptor.xml", 0, &disk));
	EXPECT_OK(pl_format_of(disk)->snapshots(disk, &arena, &list, &nr, &err));
	EXPECT_EQ(nr, 1);
	EXPECT_STR(list[0].id, BASE);
	pl_arena_done(&arena);
}

#define ONE(size, start, end, guid, type, file, shots) \
	DESCRIPTOR(size, STORAGE(start, end, IMAGE(guid, type, file)), shots)

TEST(descriptors_that_cannot_be_are_refused)
{
	static const struct {
		const char *text;
		int code;
		const char *message;
	} cases[] = {
		{ ONE("8", "0", "8", TOP, "Plain", "../a.raw", ""), -EUCLEAN, "outside" },
		{ ONE("8", "0", "8", TOP, "Plain", "x/../../a.raw", ""), -EUCLEAN, "outside" },
		{ ONE("8", "0", "8", TOP, "Plain", "/etc/passwd", ""), -EUCLEAN, "outside" },
		{ ONE("8", "0", "8", TOP, "Plain", "nbd:a.raw", ""), -ENOTSUP, "protocol" },
		{ ONE("8", "0", "8", TOP, "Plain", "", ""), -EUCLEAN, "without a file" },
		{ ONE("8", "0", "8", TOP, "Plain", "DiskDescriptor.xml", ""), -EUCLEAN,
		  "own chain" },
		{ ONE("8", "0", "8", TOP, "Compressed", "other.xml", ""), -EUCLEAN, "magic" },
		{ ONE("8", "0", "8", TOP, "Other", "a.raw", ""), -ENOTSUP, "type 'Other'" },
		{ ONE("8", "0", "8", "{1}", "Plain", "a.raw", ""), -EUCLEAN, "GUID" },
		{ ONE("9", "0", "8", TOP, "Plain", "a.raw", ""), -EUCLEAN, "with parts of" },
		{ ONE("8", "1", "8", TOP, "Plain", "a.raw", ""), -EUCLEAN, "part 1" },
		{ ONE("8", "0", "-8", TOP, "Plain", "a.raw", ""), -EUCLEAN, "number" },
		{ ONE("8", "0", "99999999999999999999", TOP, "Plain", "a.raw", ""), -EUCLEAN,
		  "number" },
		{ ONE("18014398509481984", "0", "18014398509481984", TOP, "Plain", "a.raw", ""),
		  -EFBIG, "limit" },
		{ ONE("9", "0", "9", TOP, "Plain", "a.raw", ""), -EUCLEAN, "holds 4096 bytes" },
		{ ONE("8", "0", "8", BASE, "Plain", "a.raw", SHOT(TOP, NONE)), -EUCLEAN,
		  "no image of snapshot" },
		/* Snapshots that are each other's parent. */
		{ DESCRIPTOR("8",
			     STORAGE("0", "8",
				     IMAGE(TOP, "Compressed", "s.hds")
					     IMAGE(BASE, "Compressed", "s.hds")),
			     SHOT(TOP, BASE) SHOT(BASE, TOP)),
		  -EFBIG, "on each other" },
		{ DESCRIPTOR("0", "", ""), -EUCLEAN, "parts" },
	};
	uint8_t zeros[4096] = { 0 };

	write_file("a.raw", zeros, sizeof zeros);
	write_file("other.xml", CHAIN, strlen(CHAIN));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		printf("# case %zu\n", i);
		EXPECT_EQ(try_descriptor(cases[i].text), cases[i].code);
		printf("# %s\n", err.message);
		EXPECT(strstr(err.message, cases[i].message));
	}
}

TEST(an_encrypted_disk_is_refused_by_its_engine)
{
	EXPECT_EQ(try_descriptor("<Parallels_disk_image><Disk_Parameters><Encryption><Engine>" BASE
				 "</Engine></Encryption></Disk_Parameters>"
				 "</Parallels_disk_image>"),
		  -ENOTSUP);
	EXPECT(strstr(err.message, BASE));
}

TEST(other_xml_is_left_alone)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	static const char text[] = "<?xml version='1.0'?><plist><dict/></plist>                ";

	EXPECT_OK(try_bytes(text, sizeof text, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "raw");
}

/* What the parser hands over, in a line. */
static char seen[512];

static int
seen_open(void *with, const char *path, uint64_t at, struct platter_error *e)
{
	snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "+%s ", path);
	return 0;
}

static int
seen_close(void *with, const char *path, const char *text, uint64_t at, struct platter_error *e)
{
	snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "-%s=%s ", path, text);
	return 0;
}

static int
parse(const char *text)
{
	static const struct pl_xml_handler handler = { .open = seen_open, .close = seen_close };

	seen[0] = 0;
	return pl_xml_parse(text, strlen(text), &handler, NULL, &err);
}

TEST(elements_are_handed_over_with_their_paths)
{
	EXPECT_OK(parse(
		"\xef\xbb\xbf<?xml?><a x='>'><b> 1 &lt;2 </b><c y=\"/\"/><!-- <d> -->\n</a >\n"));
	EXPECT_STR(seen, "+a +a/b -a/b=1 <2 +a/c -a/c= -a= ");
}

TEST(characters_by_number_and_cdata_are_text)
{
	EXPECT_OK(parse("<a>&#65;&#xe9;&#x20AC;&#x1f600;<![CDATA[ <&> ]]></a>"));
	EXPECT_STR(seen, "+a -a=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 <&> ");
}

static int
seen_attribute(void *with, const char *path, const char *name, const char *value, uint64_t at,
	       struct platter_error *e)
{
	snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s.%s=%s ", path, name, value);
	return 0;
}

static int
parse_all(const char *text)
{
	static const struct pl_xml_handler handler = {
		.open = seen_open, .close = seen_close, .attribute = seen_attribute, .cut = true
	};

	seen[0] = 0;
	return pl_xml_parse(text, strlen(text), &handler, NULL, &err);
}

TEST(attributes_are_handed_over_after_their_element)
{
	PL_AUTOFREE char *wide = calloc(1, 6000);

	EXPECT_OK(parse_all("<a x='>' y = \"1 &amp; '2'\"\n><b n:z=\"\"/>text</a>"));
	EXPECT_STR(seen, "+a a.x=> a.y=1 & '2' +a/b a/b.n:z= -a/b= -a=text ");
	EXPECT_EQ(parse_all("<a x></a>"), -EUCLEAN);
	EXPECT_EQ(parse_all("<a x=1></a>"), -EUCLEAN);
	EXPECT_EQ(parse_all("<a x='1' y=></a>"), -EUCLEAN);
	EXPECT_EQ(parse_all("<a x=\"&bad;\"></a>"), -ENOTSUP);

	memset(wide, 'x', 5000);
	memcpy(wide, "<a>", 3);
	memcpy(wide + 5000, "</a>", 4);
	EXPECT_OK(parse_all(wide));
}

TEST(xml_that_is_not_well_formed_is_refused_where_it_breaks)
{
	static const struct {
		const char *text;
		int code;
		uint64_t at;
	} cases[] = {
		{ "", -EUCLEAN, 0 },
		{ "<a>", -EUCLEAN, 3 },
		{ "<a></b>", -EUCLEAN, 6 },
		{ "</a>", -EUCLEAN, 3 },
		{ "<a/><b/>", -EUCLEAN, 6 },
		{ "<a", -EUCLEAN, 2 },
		{ "<a b='>", -EUCLEAN, 7 },
		{ "<>", -EUCLEAN, 1 },
		{ "<a/>text", -EUCLEAN, 4 },
		{ "<!-- ", -EUCLEAN, 0 },
		{ "<a><!-- --</a>", -EUCLEAN, 3 },
		{ "<a>&nbsp;</a>", -ENOTSUP, 3 },
		{ "<!DOCTYPE a []><a/>", -ENOTSUP, 0 },
		{ "<a><!ELEMENT b></a>", -ENOTSUP, 3 },
		{ "<a><![CDATA[x]></a>", -EUCLEAN, 19 },
		{ "<![CDATA[x]]><a/>", -ENOTSUP, 0 },
		{ "<a>&#x;</a>", -EUCLEAN, 3 },
		{ "<a>&#0;</a>", -EUCLEAN, 3 },
		{ "<a>&#55296;</a>", -EUCLEAN, 3 },
		{ "<a>&#x110000;</a>", -EUCLEAN, 3 },
		{ "<a>&#12a;</a>", -EUCLEAN, 3 },
	};
	PL_AUTOFREE char *deep = calloc(1, 4000);
	PL_AUTOFREE char *wide = calloc(1, 6000);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		printf("# %s\n", cases[i].text);
		EXPECT_EQ(parse(cases[i].text), cases[i].code);
		EXPECT_EQ(err.offset, cases[i].at);
	}
	for (size_t i = 0; i < 1000; i++)
		memcpy(deep + i * 3, "<a>", 3);
	EXPECT_EQ(parse(deep), -EFBIG);
	memset(wide, 'x', 5000);
	memcpy(wide, "<a>", 3);
	EXPECT_EQ(parse(wide), -EFBIG);
}
