/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-ntfs.c - files of NTFS, of an image built in view, whole and with one field broken */
#include "content.h"
#include "ntfs-images.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

enum {
	FOLDER = 16,
	CASE_UPPER,
	CASE_MIXED,
	COMPRESSED,
	TWO_NAMES,
	IN_PIECES,
	SECOND_PIECE,
	LINK,
	PACKED,
	JUNCTION,
	DEVICE,
	ALIAS,
	ENCRYPTED,
	DELETED,
	DELETED_FOLDER,
	DELETED_IN_FOLDER,
	CLOUD,
	STREAMS,
};

/* Clusters of files. */
enum {
	COMPRESSED_AT = 300,
	COMPRESSED_REST = 310,
	COMPRESSED_PLAIN = 320,
	PIECES_AT = 340,
	PIECES_REST = 350,
	DELETED_AT = 360,
};

#define COMPRESSED_SIZE        40000
#define COMPRESSED_INITIALIZED 36000

static const struct name smaller[] = {
	{ 0, "$MFT", 3, 6 },
	{ RECORD_ROOT, ".", 3, 0x10000006 },
	{ ALIAS, "alias", WIN32, 0x400 },
	{ CASE_UPPER, "CASE", POSIX, 0 },
	{ CASE_MIXED, "Case", POSIX, 0 },
	{ CLOUD, "cloud", WIN32, 0x400 },
	{ COMPRESSED, "compressed", WIN32, 0x800 },
	{ 0 },
};
static const struct name middle = { DEVICE, "device", WIN32, 0x400 };
static const struct name larger[] = {
	{ ENCRYPTED, "encrypted", WIN32, 0x4000 },
	{ FOLDER, "folder", WIN32, 0x10000000 },
	{ IN_PIECES, "in pieces", WIN32, 0 },
	{ JUNCTION, "junction", WIN32, 0x10000400 },
	{ LINK, "link", WIN32, 0x400 },
	{ PACKED, "packed", WIN32, 0x400 },
	{ STREAMS, "streams", WIN32, 0 },
	{ TWO_NAMES, "two names \xc3\xa4", WIN32, 0 },
	{ TWO_NAMES, "TWONAM~1", DOS, 0 },
	{ 0 },
};

static struct ntfs_writer
begin_file(uint8_t *image, unsigned number, const char *name, uint32_t flags)
{
	struct ntfs_writer w = begin_record(image, number, 1, 0);

	add_information(&w, flags);
	add_name(&w, RECORD_ROOT, name, WIN32, flags);
	return w;
}

static void
make_small(uint8_t *image, unsigned number, const char *name, const char *text)
{
	struct ntfs_writer w = begin_file(image, number, name, 0x20);

	add_resident(&w, 0x80, NULL, text, (unsigned)strlen(text));
	end_record(&w);
}

/*
 * Units of 16 clusters: one of a stored chunk and three of a repeated letter in five clusters
 * at two places, one that is not there, and one that is stored as it is.
 */
static void
make_compressed(uint8_t *image)
{
	static const uint8_t letters[] = { 0x03, 0xb0, 0x02, 'x', 0xfc, 0x0f };
	struct ntfs_writer w = begin_file(image, COMPRESSED, "compressed", 0x820);
	uint8_t unit[5 * CLUSTER] = { 0xff, 0x3f }, *p = unit + 2;

	for (unsigned i = 0; i < 4096; i++)
		*p++ = (uint8_t)(i % 251);
	for (unsigned i = 0; i < 3; i++, p += sizeof letters)
		memcpy(p, letters, sizeof letters);
	memcpy(image + COMPRESSED_AT * CLUSTER, unit, 2 * CLUSTER);
	memcpy(image + COMPRESSED_REST * CLUSTER, unit + 2 * CLUSTER, 3 * CLUSTER);
	memset(image + COMPRESSED_PLAIN * CLUSTER, 'p', 16 * CLUSTER);
	add_mapped(&w, &(struct mapped){ .type = 0x80,
					 .flags = 1,
					 .unit_shift = 4,
					 .size = COMPRESSED_SIZE,
					 .initialized = COMPRESSED_INITIALIZED,
					 .runs = { { 2, COMPRESSED_AT },
						   { 3, COMPRESSED_REST },
						   { 11 + 16, 0 },
						   { 16, COMPRESSED_PLAIN } } });
	end_record(&w);
}

static uint8_t
compressed_byte(unsigned i)
{
	if (i >= COMPRESSED_INITIALIZED)
		return 0;
	return i < 4096 ? i % 251 : i < 16384 ? 'x' : i < 32768 ? 0 : 'p';
}

static void
make_in_pieces(uint8_t *image)
{
	struct ntfs_writer w = begin_file(image, IN_PIECES, "in pieces", 0x20);
	uint8_t list[64] = { 0 };

	for (unsigned i = 0; i < 2; i++) {
		put_le32(list + 32 * i, 0x80);
		put_le16(list + 32 * i + 4, 32);
		list[32 * i + 7] = 26;
		put_le64(list + 32 * i + 8, i ? 2 : 0);
		put_le64(list + 32 * i + 16, (i ? SECOND_PIECE : IN_PIECES) | 1ull << 48);
	}
	add_resident(&w, 0x20, NULL, list, sizeof list);
	add_mapped(&w,
		   &(struct mapped){ .type = 0x80, .size = 2500, .runs = { { 2, PIECES_AT } } });
	end_record(&w);
	w = begin_record(image, SECOND_PIECE, 1, IN_PIECES);
	add_mapped(&w, &(struct mapped){ .type = 0x80, .vcn = 2, .runs = { { 1, PIECES_REST } } });
	end_record(&w);
	memset(image + PIECES_AT * CLUSTER, '1', 2 * CLUSTER);
	memset(image + PIECES_REST * CLUSTER, '2', CLUSTER);
}

/* 6000 bytes in two chunks: XPRESS with a code of one bit for A and for B; 1904 bytes as they are. */
static void
make_packed(uint8_t *image)
{
	static const uint8_t wof[] = { 0x17, 0, 0, 0x80, 16, 0, 0, 0, 1, 0, 0, 0,
				       2,    0, 0, 0,    1,  0, 0, 0, 0, 0, 0, 0 };
	enum {
		FIRST = 256 + 512 + 4,
		STORED = 370
	};
	struct ntfs_writer w = begin_file(image, PACKED, "packed", 0x420);
	uint8_t *p = image + STORED * CLUSTER;

	put_le32(p, FIRST);
	p += 4;
	p['A' / 2] = 1 << 4;
	p['B' / 2] = 1;
	memset(p + 256, 0x55, 512); /* ABAB... */
	memset(p + FIRST, 'C', 1904);
	add_resident(&w, 0xc0, NULL, wof, sizeof wof);
	add_mapped(&w, &(struct mapped){
			       .type = 0x80, .flags = 0x8000, .size = 6000, .runs = { { 6, 0 } } });
	add_mapped(&w, &(struct mapped){ .type = 0x80,
					 .name = "WofCompressedData",
					 .size = 4 + FIRST + 1904,
					 .runs = { { 3, STORED } } });
	end_record(&w);
}

static void
make_reparse(uint8_t *image, unsigned number, const char *name, const uint8_t *value, unsigned n)
{
	struct ntfs_writer w = begin_file(image, number, name, 0x400);

	add_resident(&w, 0xc0, NULL, value, n);
	end_record(&w);
}

static void
make_specials(uint8_t *image)
{
	static const uint8_t alias[] = { 0x1b, 0, 0, 0x80, 4, 0, 0, 0, 3, 0, 0, 0 };
	static const uint8_t device[] = { 0x25, 0, 0, 0x80, 0, 0, 0, 0 };
	static const uint8_t cloud[] = { 0x1a, 0x90, 0, 0x90, 0, 0, 0, 0 };
	uint8_t value[400], numbers[8], *p = value;
	struct ntfs_writer w;

	make_reparse(image, ALIAS, "alias", alias, sizeof alias);
	make_reparse(image, LINK, "link", value,
		     make_reparse_link(value, 0xa000000c, "folder\\..\\CASE", 1));
	make_reparse(image, JUNCTION, "junction", value,
		     make_reparse_link(value, 0xa0000003, "\\??\\C:\\folder\\", 0));

	w = begin_file(image, DEVICE, "device", 0x400);
	add_resident(&w, 0xc0, NULL, device, sizeof device);
	put_le32(numbers, 5);
	put_le32(numbers + 4, 7);
	p = value;
	p = put_ea(p, "$LXDEV", numbers, 8);
	put_le32(numbers, 020640);
	p = put_ea(p, "$LXMOD", numbers, 4);
	put_le32(numbers, 1000);
	p = put_ea(p, "$LXUID", numbers, 4);
	p = put_ea(p, "user.color", "green", 5);
	put_le32(p - 24, 0); /* the last */
	add_resident(&w, 0xe0, NULL, value, (unsigned)(p - value));
	end_record(&w);

	w = begin_file(image, ENCRYPTED, "encrypted", 0x4020);
	add_mapped(&w, &(struct mapped){
			       .type = 0x80, .flags = 0x4000, .size = 10, .runs = { { 1, 380 } } });
	end_record(&w);
	w = begin_file(image, CLOUD, "cloud", 0x401420);
	add_resident(&w, 0xc0, NULL, cloud, sizeof cloud);
	add_mapped(&w, &(struct mapped){
			       .type = 0x80, .flags = 0x8000, .size = 2000, .runs = { { 2, 0 } } });
	end_record(&w);
	w = begin_file(image, STREAMS, "streams", 0x20);
	add_resident(&w, 0x50, NULL, "descriptor", 10);
	add_resident(&w, 0x80, NULL, "main", 4);
	add_resident(&w, 0x80, "other", "alternate", 9);
	end_record(&w);
}

static void
make_deleted(uint8_t *image)
{
	struct ntfs_writer w = begin_record(image, DELETED, 0, 0);

	add_information(&w, 0x20);
	add_name(&w, FOLDER, "gone", WIN32, 0);
	add_mapped(&w,
		   &(struct mapped){ .type = 0x80, .size = 2000, .runs = { { 2, DELETED_AT } } });
	end_record(&w);
	set_used(image, DELETED_AT, 1);
	w = begin_record(image, DELETED_FOLDER, 2, 0);
	put_le16(w.start + 16, 2);
	add_information(&w, 0);
	add_name(&w, FOLDER, "old", WIN32, 0x10000000);
	add_index_root(&w, NULL);
	end_record(&w);
	w = begin_record(image, DELETED_IN_FOLDER, 0, 0);
	add_information(&w, 0x20);
	add_name(&w, DELETED_FOLDER, "small", WIN32, 0);
	add_resident(&w, 0x80, NULL, "still here", 10);
	end_record(&w);
}

static uint8_t *
make_image(void)
{
	uint8_t *image = calloc(1, IMAGE);
	struct ntfs_writer w;

	make_system_files(image);
	make_root(image, smaller, &middle, larger);
	w = begin_record(image, FOLDER, 3, 0);
	add_information(&w, 0);
	add_name(&w, RECORD_ROOT, "folder", WIN32, 0x10000000);
	add_index_root(&w, NULL);
	end_record(&w);
	make_small(image, CASE_UPPER, "CASE", "upper");
	make_small(image, CASE_MIXED, "Case", "mixed");
	w = begin_file(image, TWO_NAMES, "two names \xc3\xa4", 0x21);
	add_name(&w, RECORD_ROOT, "TWONAM~1", DOS, 0x21);
	add_name(&w, FOLDER, "hard link", POSIX, 0x21);
	add_resident(&w, 0x80, NULL, "two", 3);
	end_record(&w);
	make_compressed(image);
	make_in_pieces(image);
	make_packed(image);
	make_specials(image);
	make_deleted(image);
	return image;
}

static void
open_image(const uint8_t *image, unsigned flags, struct pl_volume **ret)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(image, IMAGE, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, "ntfs", NULL, flags, ret, &err));
}

static struct pl_node_id
look_up(struct pl_volume *v, const char *name)
{
	struct pl_node_id id = { 0 };

	EXPECT_OK(pl_volume_lookup(v, v->root, name, strlen(name), &id, &err));
	return id;
}

static int
add_line(void *closure, const struct pl_entry *e, struct platter_error *why)
{
	struct pl_str *s = closure;

	(void)why;
	pl_str_addf(s, "%.*s%s\n", (int)e->length, e->name,
		    e->type == PLATTER_FILE_FOLDER ? "/" : "");
	return 0;
}

static int
list_names(struct pl_volume *v, struct pl_node_id folder, char **ret)
{
	struct pl_str s = { 0 };
	int r = pl_volume_list(v, folder, add_line, &s, &err);

	*ret = s.text;
	return r;
}

#define ALL_NAMES                                                                       \
	"alias\nCASE\nCase\ncloud\ncompressed\ndevice\nencrypted\nfolder/\nin pieces\n" \
	"junction\nlink\npacked\nstreams\ntwo names \xc3\xa4\n"

TEST(a_folder_lists_in_order_without_metadata_and_names_for_dos)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *names = NULL;

	open_image(image, 0, &v);
	EXPECT_OK(list_names(v, v->root, &names));
	EXPECT_STR(names, ALL_NAMES);
	EXPECT_EQ(v->size, NR_CLUSTERS * CLUSTER + 512);
	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	EXPECT(v->folds_case);
}

TEST(names_are_found_by_any_case_and_exactly_first)
{
	static const struct {
		const char *name;
		unsigned number;
	} rows[] = {
		{ "CASE", CASE_UPPER },    { "Case", CASE_MIXED },
		{ "case", CASE_UPPER },    { "FOLDER", FOLDER },
		{ "twonam~1", TWO_NAMES }, { "Two Names \xc3\x84", TWO_NAMES },
		{ "Device", DEVICE },      { "$mft", 0 },
	};
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id;

	open_image(image, 0, &v);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(look_up(v, rows[i].name).inode & 0xffff, rows[i].number);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "missing", 7, &id, &err), -ENOENT);
	EXPECT_EQ(pl_volume_lookup(v, look_up(v, "CASE"), "x", 1, &id, &err), -ENOTDIR);
}

TEST(names_are_told_apart_by_case_in_a_folder_that_is_marked_so)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id;

	/* "Version 1" in the root's $STANDARD_INFORMATION, its first attribute. */
	put_le32(record_at(image, RECORD_ROOT) + 56 + 24 + 40, 1);
	open_image(image, 0, &v);
	EXPECT_EQ(look_up(v, "Case").inode & 0xffff, CASE_MIXED);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "case", 4, &id, &err), -ENOENT);
}

static void
open_file(struct pl_volume *v, const char *name, const char *stream, struct pl_disk **ret)
{
	EXPECT_OK(pl_volume_open_file(v, look_up(v, name), stream, name, ret, &err));
}

TEST(compressed_units_are_decoded_where_they_are_in_pieces)
{
	PL_AUTOFREE uint8_t *image = make_image(), *bytes = malloc(COMPRESSED_SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct platter_file info;
	struct pl_extent e;

	open_image(image, 0, &v);
	open_file(v, "compressed", NULL, &file);
	EXPECT_EQ(file->size, COMPRESSED_SIZE);
	EXPECT_OK(pl_read(file, bytes, COMPRESSED_SIZE, 0, &err));
	for (unsigned i = 0; i < COMPRESSED_SIZE; i++)
		EXPECT_EQ(bytes[i], compressed_byte(i));
	EXPECT_OK(pl_map(file, 16384, 16384, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_OK(pl_map(file, COMPRESSED_INITIALIZED, 1000, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "compressed"), &info, &err));
	EXPECT(info.attributes & PLATTER_FILE_COMPRESSED);
	EXPECT_EQ(info.allocated, 21 * CLUSTER);
}

TEST(an_attribute_list_is_followed)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	char bytes[2500];

	open_image(image, 0, &v);
	open_file(v, "in pieces", NULL, &file);
	EXPECT_EQ(file->size, sizeof bytes);
	EXPECT_OK(pl_read(file, bytes, sizeof bytes, 0, &err));
	for (unsigned i = 0; i < sizeof bytes; i++)
		EXPECT_EQ(bytes[i], i < 2048 ? '1' : '2');
}

TEST(system_compressed_files_are_decoded)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct platter_file info;
	char bytes[6000];

	open_image(image, 0, &v);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "packed"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(info.size, sizeof bytes);
	EXPECT_EQ(info.allocated, 3 * CLUSTER);
	EXPECT_STR(info.note, "compressed with XPRESS, 4 KiB");
	open_file(v, "packed", NULL, &file);
	EXPECT_OK(pl_read(file, bytes, sizeof bytes, 0, &err));
	for (unsigned i = 0; i < sizeof bytes; i++)
		EXPECT_EQ(bytes[i], i >= 4096 ? 'C' : i % 2 ? 'B' : 'A');
}

TEST(links_have_targets_with_slashes)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *link = NULL, *junction = NULL, *none = NULL;
	struct platter_file info;

	open_image(image, 0, &v);
	EXPECT_OK(pl_volume_read_link(v, look_up(v, "link"), &link, &err));
	EXPECT_STR(link, "folder/../CASE");
	EXPECT_OK(pl_volume_read_link(v, look_up(v, "junction"), &junction, &err));
	EXPECT_STR(junction, "/folder");
	EXPECT_OK(pl_volume_stat(v, look_up(v, "junction"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_SYMLINK);
	EXPECT_EQ(info.size, 7);
	EXPECT_STR(info.note, "junction");
	EXPECT_EQ(pl_volume_read_link(v, look_up(v, "Case"), &none, &err), -EINVAL);
}

TEST(a_device_of_wsl_has_its_numbers_mode_and_owner)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file info;

	open_image(image, 0, &v);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "device"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_CHARACTER_DEVICE);
	EXPECT_EQ(info.major, 5);
	EXPECT_EQ(info.minor, 7);
	EXPECT(info.has_mode && info.has_owner);
	EXPECT_EQ(info.mode, 0640);
	EXPECT_EQ(info.uid, 1000);
}

TEST(times_flags_and_links_are_told)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file info;

	open_image(image, 0, &v);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "TWONAM~1"), &info, &err));
	EXPECT_EQ(info.created.seconds, 1000000000);
	EXPECT_EQ(info.created.nanoseconds, 1234500);
	EXPECT_EQ(info.modified.seconds, 1000000001);
	EXPECT_EQ(info.changed.seconds, 1000000002);
	EXPECT_EQ(info.accessed.seconds, 1000000003);
	EXPECT_EQ(info.attributes, PLATTER_FILE_READ_ONLY | PLATTER_FILE_ARCHIVE);
	EXPECT_EQ(info.links, 2);
	EXPECT_EQ(info.inode, TWO_NAMES);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "$MFT"), &info, &err));
	EXPECT(info.attributes & PLATTER_FILE_METADATA);
}

static int
add_attribute(void *closure, const struct pl_attribute *a, struct platter_error *why)
{
	struct pl_str *s = closure;

	(void)why;
	if (a->value)
		pl_str_addf(s, "%s=%.*s\n", a->name, (int)a->size, (const char *)a->value);
	else
		pl_str_addf(s, "%s: %" PRIu64 "\n", a->name, a->size);
	return 0;
}

TEST(streams_and_extended_attributes_are_listed_and_opened)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL, *none = NULL;
	struct pl_str s = { 0 };
	char text[9];

	open_image(image, 0, &v);
	EXPECT_OK(v->ops->streams(v, look_up(v, "streams"), add_attribute, &s, &err));
	EXPECT_OK(v->ops->streams(v, look_up(v, "packed"), add_attribute, &s, &err));
	EXPECT_OK(v->ops->xattrs(v, look_up(v, "streams"), add_attribute, &s, &err));
	EXPECT_OK(v->ops->xattrs(v, look_up(v, "two names \xc3\xa4"), add_attribute, &s, &err));
	EXPECT_STR(s.text, "other: 9\nsystem.ntfs_acl=descriptor\nsystem.ntfs_dos_name=TWONAM~1\n");
	pl_str_done(&s);
	open_file(v, "streams", "OTHER", &file);
	EXPECT_EQ(file->size, sizeof text);
	EXPECT_OK(pl_read(file, text, sizeof text, 0, &err));
	EXPECT_MEM(text, "alternate", sizeof text);
	EXPECT_EQ(pl_volume_open_file(v, look_up(v, "streams"), "none", "x", &none, &err), -ENOENT);
	EXPECT_OK(v->ops->xattrs(v, look_up(v, "device"), add_attribute, &s, &err));
	EXPECT(strstr(s.text, "user.color=green\n"));
	pl_str_done(&s);
}

TEST(what_has_no_contents_here_is_refused)
{
	static const struct {
		const char *name, *words;
		int code;
	} rows[] = {
		{ "encrypted", "encrypted by Windows", -ENOTSUP },
		{ "cloud", "not all of it here", -ENOTSUP },
		{ "alias", "no regular file", -EINVAL },
		{ "link", "no regular file", -EINVAL },
		{ "folder", "is a folder", -EISDIR },
	};
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file info;

	open_image(image, 0, &v);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		PL_AUTOUNREF struct pl_disk *file = NULL;

		EXPECT_EQ(pl_volume_open_file(v, look_up(v, rows[i].name), NULL, rows[i].name,
					      &file, &err),
			  rows[i].code);
		EXPECT(strstr(err.message, rows[i].words));
	}
	EXPECT_OK(pl_volume_stat(v, look_up(v, "encrypted"), &info, &err));
	EXPECT(info.attributes & PLATTER_FILE_ENCRYPTED);
	EXPECT_OK(pl_volume_stat(v, look_up(v, "alias"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_OTHER);
}

struct found_deleted {
	struct pl_volume *v;
	struct pl_str s;
};

static int
add_deleted(void *closure, const struct pl_deleted *d, struct platter_error *why)
{
	struct found_deleted *f = closure;
	PL_AUTOUNREF struct pl_disk *file = NULL;

	(void)why;
	EXPECT(d->file.attributes & PLATTER_FILE_DELETED);
	EXPECT_OK(pl_volume_open_file(f->v, d->id, NULL, d->path, &file, &err));
	EXPECT_EQ(file->size, d->file.size);
	pl_str_addf(&f->s, "%s %" PRIu64 " %u\n", d->path, d->file.size, (unsigned)d->recovery);
	return 0;
}

TEST(deleted_files_are_found_with_their_paths)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct found_deleted f = { 0 };

	open_image(image, 0, &v);
	f.v = v;
	EXPECT_OK(v->ops->deleted(v, add_deleted, &f, &err));
	EXPECT_STR(f.s.text, "folder/gone 2000 1\nfolder/old/small 10 0\n");
	pl_str_done(&f.s);
}

TEST(used_is_what_the_bitmap_says_and_what_is_behind_it)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	PL_AUTOFREE char *why = NULL;
	uint64_t nr = 0;

	for (unsigned i = 0; i < NR_CLUSTERS; i++)
		nr += image[BITMAP * CLUSTER + i / 8] >> i % 8 & 1;
	open_image(image, 0, &v);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(pl_ranges_bytes(&used), nr * CLUSTER + 512);
	EXPECT_EQ(v->free, (NR_CLUSTERS - nr) * CLUSTER);
	pl_ranges_done(&used);
}

/* Each row changes one field; all of the volume is in use then. */
static const struct {
	const char *label;
	unsigned at, value;
	enum platter_volume_state state;
} unclean[] = {
	{ "dirty", (MFT_FIRST + 3) * CLUSTER + 56 + 96 + 24 + 10, 1, PLATTER_STATE_DIRTY },
	{ "log with a client", LOGFILE *CLUSTER + 0x30 + 12, 0, PLATTER_STATE_DIRTY },
};

TEST(a_volume_that_was_not_unmounted_is_wholly_in_use)
{
	for (size_t i = 0; i < ARRAY_SIZE(unclean); i++) {
		PL_AUTOFREE uint8_t *image = make_image();
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		struct pl_ranges used = { 0 };
		PL_AUTOFREE char *why = NULL;

		if (i == 1) {
			memset(image + LOGFILE * CLUSTER, 0, 4096);
			memcpy(image + LOGFILE * CLUSTER, "RSTR", 4);
			put_le16(image + LOGFILE * CLUSTER + 24, 0x30);
		}
		put_le16(image + unclean[i].at, (uint16_t)unclean[i].value);
		open_image(image, 0, &v);
		EXPECT_EQ(v->state, unclean[i].state);
		EXPECT_OK(pl_volume_used(v, &used, &why, &err));
		EXPECT(why);
		EXPECT_EQ(pl_ranges_bytes(&used), v->size);
		pl_ranges_done(&used);
	}
}

TEST(a_sleeping_windows_is_told)
{
	static const struct name hibernation[] = { { STREAMS, "hiberfil.sys", WIN32, 0 }, { 0 } };
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_block(image, 1, hibernation);
	make_small(image, STREAMS, "hiberfil.sys", "HIBRxxxx");
	open_image(image, 0, &v);
	EXPECT_EQ(v->state, PLATTER_STATE_HIBERNATED);
}

TEST(damage_in_one_block_of_an_index_hides_no_other)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *names = NULL;

	/* One check value of the first block. */
	image[ROOT_BLOCKS * CLUSTER + 1022] ^= 1;
	open_image(image, 0, &v);
	EXPECT_EQ(list_names(v, v->root, &names), -EUCLEAN);
	EXPECT_EQ(err.offset, ROOT_BLOCKS * CLUSTER + 4);
	EXPECT_STR(names, strstr(ALL_NAMES, "device"));
	EXPECT_EQ(look_up(v, "link").inode & 0xffff, LINK);
}

TEST(check_values_are_waved_through_when_asked)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *names = NULL;

	image[ROOT_BLOCKS * CLUSTER + 1022] ^= 1;
	open_image(image, PLATTER_OPEN_IGNORE_CHECKSUMS, &v);
	EXPECT_OK(list_names(v, v->root, &names));
	EXPECT_STR(names, ALL_NAMES);
}

TEST(an_index_whose_blocks_are_a_circle_ends)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *names = NULL;
	uint8_t *block = image + ROOT_BLOCKS * CLUSTER, *p = block + 24 + 40;

	/* Block 0 has one entry, before which is block 0. */
	memset(p, 0, INDEX_BLOCK - 64);
	p = put_entry(p, CASE_UPPER, "CASE", POSIX, 0, 0);
	p = put_entry(p, 0, NULL, 0, 0, -1);
	end_entries(block + 24, p, 40, true);
	add_check_values(block, INDEX_BLOCK);
	open_image(image, 0, &v);
	EXPECT_EQ(list_names(v, v->root, &names), -EUCLEAN);
	EXPECT(strstr(err.message, "twice"));
	EXPECT(!strncmp(names, "CASE\ndevice\n", 12));
}

TEST(the_mft_is_found_by_its_copy)
{
	PL_AUTOFREE uint8_t *image = make_image();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *names = NULL;

	memset(image + MFT_FIRST * CLUSTER, 0, CLUSTER);
	open_image(image, 0, &v);
	EXPECT_OK(list_names(v, v->root, &names));
	EXPECT_STR(names, ALL_NAMES);
	EXPECT_EQ(look_up(v, "packed").inode & 0xffff, PACKED);
}

/* Each row breaks a field of one file's record; the offsets are in the record. */
static const struct {
	const char *label, *file;
	unsigned record, at, value, bytes;
	int stat, open;
} broken[] = {
	{ "sequence number", "CASE", CASE_UPPER, 16, 9, 2, -EUCLEAN, -EUCLEAN },
	{ "not in use", "CASE", CASE_UPPER, 22, 0, 2, -EUCLEAN, -EUCLEAN },
	{ "signature", "CASE", CASE_UPPER, 0, 'B', 1, -EUCLEAN, -EUCLEAN },
	{ "is a part", "CASE", CASE_UPPER, 32, 20, 2, -EUCLEAN, -EUCLEAN },
	{ "further record of another", "in pieces", SECOND_PIECE, 32, 99, 2, 0, -EUCLEAN },
	{ "run past the volume", "in pieces", SECOND_PIECE, 56 + 64 + 3, 600, 2, 0, -EUCLEAN },
	{ "run without a length", "in pieces", SECOND_PIECE, 56 + 64, 0x20, 1, 0, -EUCLEAN },
	{ "missing further record", "in pieces", SECOND_PIECE, 22, 0, 2, 0, 0 },
};

TEST(a_broken_field_of_a_record_is_named)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOFREE uint8_t *image = make_image();
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		PL_AUTOUNREF struct pl_disk *file = NULL;
		uint8_t *p = record_at(image, broken[i].record) + broken[i].at;
		struct platter_file info;
		struct pl_node_id id;

		*p = (uint8_t)broken[i].value;
		if (broken[i].bytes == 2)
			put_le16(p, (uint16_t)broken[i].value);
		open_image(image, 0, &v);
		id = look_up(v, broken[i].file);
		if (pl_volume_stat(v, id, &info, &err) != broken[i].stat ||
		    pl_volume_open_file(v, id, NULL, "x", &file, &err) != broken[i].open)
			pl_test_fail(__FILE__, __LINE__, "%s", broken[i].label);
	}
}

/* Fields of the boot sector. */
static const struct {
	const char *label;
	unsigned at;
	uint64_t value;
} broken_boot[] = {
	{ "sector size", 11, 500 },
	{ "MFT past the end", 48, 10000 },
	{ "sectors that wrap", 40, UINT64_MAX },
};

TEST(a_broken_boot_sector_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_boot); i++) {
		PL_AUTOFREE uint8_t *image = make_image();
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct pl_volume_request request = { 0 };
		struct pl_volume *v = NULL;
		const struct pl_content_driver *const *d = pl_content_drivers;

		if (broken_boot[i].at == 11)
			put_le16(image + 11, (uint16_t)broken_boot[i].value);
		else
			put_le64(image + broken_boot[i].at, broken_boot[i].value);
		if (broken_boot[i].at == 48)
			put_le64(image + 56, 20000);
		EXPECT_OK(pl_memory_new(image, IMAGE, "disk", &disk, &err));
		request.disk = disk;
		while (strcmp((*d)->info.name, "ntfs") != 0)
			d++;
		EXPECT_EQ((*d)->open(&request, &v, &err), -EUCLEAN);
	}
}
