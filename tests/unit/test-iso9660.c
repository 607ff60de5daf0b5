/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-iso9660.c - ISO 9660, Joliet, Rock Ridge, High Sierra: discs built in view, and broken */
#include "content.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

enum {
	SECTOR = 2048,
	PRIMARY = 16,
	JOLIET = 17,
	BOOT = 18,
	END = 19,
	ROOT = 20,
	JOLIET_ROOT = 21,
	CONTINUATION = 22,
	CATALOGUE = 23,
	DATA = 24, /* sector n of the contents is full of the byte n */
	NR_SECTORS = 64,
	SECOND = 40, /* session, in the tests that have one */
};

enum {
	FOLDER = 2,
	ASSOCIATED = 4,
	CONTINUED = 0x80
};

static uint8_t image[NR_SECTORS * SECTOR];

static uint8_t *
sector(unsigned n)
{
	return image + (size_t)n * SECTOR;
}

static void
put_both32(uint8_t *p, uint32_t n)
{
	put_le32(p, n);
	put_be32(p + 4, n);
}

static void
put_both16(uint8_t *p, uint16_t n)
{
	put_le16(p, n);
	put_be16(p + 2, n);
}

/* A directory record with n bytes of name; behind it what it is followed by. */
static uint8_t *
put_record(uint8_t *p, const char *name, size_t n, uint32_t block, uint32_t size, unsigned flags,
	   const void *system_use, size_t nr_system_use)
{
	size_t fixed = 33 + n + !(n & 1), length = fixed + nr_system_use;

	memset(p, 0, length);
	p[0] = (uint8_t)(length + (length & 1));
	put_both32(p + 2, block);
	put_both32(p + 10, size);
	memcpy(p + 18, "\x65\x09\x09\x01\x2e\x28\x04", 7); /* 2001-09-09 01:46:40 +01:00 */
	p[25] = (uint8_t)flags;
	put_both16(p + 28, 1);
	p[32] = (uint8_t)n;
	memcpy(p + 33, name, n);
	if (nr_system_use)
		memcpy(p + fixed, system_use, nr_system_use);
	return p + p[0];
}

static uint8_t *
put_file(uint8_t *p, const char *name, uint32_t block, uint32_t size)
{
	return put_record(p, name, strlen(name), block, size, 0, NULL, 0);
}

static void
put_descriptor(uint8_t *d, unsigned type, uint32_t blocks, uint32_t root)
{
	d[0] = (uint8_t)type;
	memcpy(d + 1, "CD001\1", 6);
	put_both32(d + 80, blocks);
	put_both16(d + 128, SECTOR);
	put_record(d + 156, "", 1, root, SECTOR, FOLDER, NULL, 0);
}

static uint8_t *
put_dots(uint8_t *p, uint32_t block, const void *system_use, size_t nr_system_use)
{
	p = put_record(p, "\0", 1, block, SECTOR, FOLDER, system_use, nr_system_use);
	return put_record(p, "\1", 1, block, SECTOR, FOLDER, NULL, 0);
}

/* A row of system use entries. */
struct row {
	uint8_t bytes[1024];
	size_t n;
};

static uint8_t *
add_entry(struct row *row, const char *signature, size_t length)
{
	uint8_t *e = row->bytes + row->n;

	memset(e, 0, length);
	memcpy(e, signature, 2);
	e[2] = (uint8_t)length;
	e[3] = 1;
	row->n += length;
	return e;
}

static void
add_name(struct row *row, const char *name, unsigned flags)
{
	uint8_t *e = add_entry(row, "NM", 5 + strlen(name));

	e[4] = (uint8_t)flags;
	memcpy(e + 5, name, strlen(name));
}

static void
add_attributes(struct row *row, uint32_t mode)
{
	uint8_t *e = add_entry(row, "PX", 44);

	put_both32(e + 4, mode);
	put_both32(e + 12, 1);
	put_both32(e + 20, 1000);
	put_both32(e + 28, 100);
	put_both32(e + 36, 4242);
}

static void
add_continuation(struct row *row, uint32_t block, uint32_t offset, uint32_t length)
{
	uint8_t *e = add_entry(row, "CE", 28);

	put_both32(e + 4, block);
	put_both32(e + 12, offset);
	put_both32(e + 20, length);
}

static struct row
root_row(void)
{
	struct row row = { .n = 0 };
	uint8_t *e = add_entry(&row, "SP", 7);

	e[4] = 0xbe;
	e[5] = 0xef;
	add_attributes(&row, 040755);
	return row;
}

/*
 * Plain: FILE.TXT;1, two sections BIG.;1, interleaved MIX;1 with an associated file before it,
 * LINK whose target is in pieces.  Rock Ridge: "a file", "big", "mix", "link".  Joliet: one name.
 */
static uint8_t *interleaved, *linked, *first_file;

static void
make_disc(void)
{
	struct row row = root_row();
	uint8_t *p;

	memset(image, 0, sizeof image);
	for (unsigned n = DATA; n < NR_SECTORS; n++)
		memset(sector(n), (int)n, SECTOR);
	put_descriptor(sector(PRIMARY), 1, NR_SECTORS, ROOT);
	put_descriptor(sector(JOLIET), 2, NR_SECTORS, JOLIET_ROOT);
	memcpy(sector(JOLIET) + 88, "%/E", 3);
	memcpy(sector(END),
	       "\xff"
	       "CD001\1",
	       7);

	p = put_dots(sector(ROOT), ROOT, row.bytes, row.n);
	row.n = 0;
	add_attributes(&row, 0100640);
	add_name(&row, "a ", 1);
	add_continuation(&row, CONTINUATION, 0, 9);
	first_file = p;
	p = put_record(p, "FILE.TXT;1", 10, DATA, 5000, 0, row.bytes, row.n);
	row.n = 0;
	add_name(&row, "file", 0);
	memcpy(sector(CONTINUATION), row.bytes, row.n);
	row.n = 0;
	add_name(&row, "big", 0);
	p = put_record(p, "BIG.;1", 6, DATA, SECTOR, CONTINUED, row.bytes, row.n);
	p = put_record(p, "BIG.;1", 6, DATA + 4, 100, 0, row.bytes, row.n);
	row.n = 0;
	add_name(&row, "mix", 0);
	p = put_record(p, "MIX;1", 5, DATA + 10, 1, ASSOCIATED, row.bytes, row.n);
	interleaved = p;
	p = put_record(p, "MIX;1", 5, DATA + 1, 3 * SECTOR, 0, row.bytes, row.n);
	interleaved[26] = 1; /* one block, then two of others */
	interleaved[27] = 2;
	row.n = 0;
	add_name(&row, "link", 0);
	add_attributes(&row, 0120777);
	memcpy(add_entry(&row, "SL", 13) + 4, "\1\10\0\0\2ab\1\0", 9);
	memcpy(add_entry(&row, "SL", 12) + 4, "\0\1\1c\0\1d\0\0", 8);
	linked = p;
	put_record(p, "LINK", 4, 0, 0, 0, row.bytes, row.n);

	p = put_dots(sector(JOLIET_ROOT), JOLIET_ROOT, NULL, 0);
	put_record(p, "\0N\0\xe4\0;\0001", 8, DATA, 5000, 0, NULL, 0);
}

static struct pl_volume *
open_view(const char *view, const char *snapshot)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume *v;

	EXPECT_OK(pl_memory_new(image, sizeof image, "disc", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, view, snapshot, 0, &v, &err));
	return v;
}

struct names {
	char text[512];
};

static int
add_text(void *closure, const struct pl_entry *e, struct platter_error *unused)
{
	struct names *names = closure;
	size_t n = strlen(names->text);

	(void)unused;
	snprintf(names->text + n, sizeof names->text - n, "%.*s|", (int)e->length, e->name);
	return 0;
}

static void
expect_names(struct pl_volume *v, struct pl_node_id folder, int code, const char *wanted)
{
	struct names names = { "" };

	EXPECT_EQ(pl_volume_list(v, folder, add_text, &names, &err), code);
	EXPECT_STR(names.text, wanted);
}

static struct pl_node_id
find(struct pl_volume *v, const char *name)
{
	struct pl_node_id id;

	EXPECT_OK(pl_volume_lookup(v, v->root, name, strlen(name), &id, &err));
	return id;
}

/* Is the file made of these sectors of contents, the last of `last` bytes? */
static void
expect_sectors(struct pl_volume *v, const char *name, size_t nr, const uint8_t *wanted, size_t last)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	uint8_t read[SECTOR], one[SECTOR];
	struct platter_file info;

	EXPECT_OK(pl_volume_open_file(v, find(v, name), NULL, name, &file, &err));
	EXPECT_OK(pl_volume_stat(v, find(v, name), &info, &err));
	EXPECT_EQ(file->size, (nr - 1) * SECTOR + last);
	EXPECT_EQ(info.size, file->size);
	for (size_t i = 0; i < nr; i++) {
		size_t n = i + 1 < nr ? SECTOR : last;

		memset(one, wanted[i], sizeof one);
		EXPECT_OK(pl_read(file, read, n, i * SECTOR, &err));
		EXPECT_MEM(read, one, n);
	}
}

TEST(each_tree_has_its_names)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *plain = NULL, *rr = NULL, *joliet = NULL,
					     *best = NULL;

	make_disc();
	plain = open_view("iso9660", NULL);
	rr = open_view("rockridge", NULL);
	joliet = open_view("joliet", NULL);
	best = open_view(NULL, NULL);
	expect_names(plain, plain->root, 0, "FILE.TXT|BIG|MIX|LINK|");
	expect_names(rr, rr->root, 0, "a file|big|mix|link|");
	expect_names(joliet, joliet->root, 0, "N\xc3\xa4|");
	expect_names(best, best->root, 0, "a file|big|mix|link|");
	EXPECT(plain->folds_case && joliet->folds_case && !rr->folds_case);
	find(plain, "file.txt");
	find(joliet, "n\xc3\x84");
	EXPECT_EQ(rr->size, sizeof image);
}

TEST(files_are_read_in_all_their_layouts)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_disc();
	v = open_view(NULL, NULL);
	expect_sectors(v, "a file", 3, (const uint8_t[]){ DATA, DATA + 1, DATA + 2 }, 904);
	expect_sectors(v, "big", 2, (const uint8_t[]){ DATA, DATA + 4 }, 100);
	expect_sectors(v, "mix", 3, (const uint8_t[]){ DATA + 1, DATA + 4, DATA + 7 }, SECTOR);
}

TEST(an_extended_attribute_record_comes_before_the_contents)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_disc();
	first_file[1] = 2;
	interleaved[1] = 1; /* has the first unit for itself */
	v = open_view(NULL, NULL);
	expect_sectors(v, "a file", 3, (const uint8_t[]){ DATA + 2, DATA + 3, DATA + 4 }, 904);
	expect_sectors(v, "mix", 3, (const uint8_t[]){ DATA + 4, DATA + 7, DATA + 10 }, SECTOR);
}

TEST(rock_ridge_tells_of_owners_times_and_targets)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *target = NULL;
	struct platter_file info;

	make_disc();
	v = open_view(NULL, NULL);
	EXPECT_OK(pl_volume_stat(v, find(v, "a file"), &info, &err));
	EXPECT_EQ(info.mode, 0640);
	EXPECT_EQ(info.uid, 1000);
	EXPECT_EQ(info.gid, 100);
	EXPECT_EQ(info.inode, 4242);
	EXPECT_EQ(info.modified.seconds, 1000000000 - 3600);
	EXPECT_OK(pl_volume_stat(v, v->root, &info, &err));
	EXPECT_EQ(info.mode, 0755);
	EXPECT_OK(pl_volume_stat(v, find(v, "link"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_SYMLINK);
	EXPECT_OK(pl_volume_read_link(v, find(v, "link"), &target, &err));
	EXPECT_STR(target, "/ab/cd");
	EXPECT_EQ(info.size, strlen(target));
}

TEST(continuations_in_a_circle_end)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file info;
	struct row row = { .n = 0 };

	make_disc();
	add_name(&row, "file", 0);
	add_continuation(&row, CONTINUATION, 0, 37);
	memcpy(sector(CONTINUATION), row.bytes, row.n);
	put_both32(first_file + first_file[0] - 8, 37);
	v = open_view(NULL, NULL);
	expect_names(v, v->root, 0, "a file|big|mix|link|");
	EXPECT_OK(pl_volume_stat(v, find(v, "a file"), &info, &err));
	EXPECT(info.attributes & PLATTER_FILE_DAMAGED);
}

TEST(of_two_byte_orders_the_one_that_fits_counts)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_disc();
	put_le32(first_file + 2, 0x7fffffff);
	put_be32(interleaved + 6, 0x7fffffff);
	v = open_view(NULL, NULL);
	expect_sectors(v, "a file", 3, (const uint8_t[]){ DATA, DATA + 1, DATA + 2 }, 904);
	expect_sectors(v, "mix", 3, (const uint8_t[]){ DATA + 1, DATA + 4, DATA + 7 }, SECTOR);
}

TEST(blocks_may_be_smaller_than_sectors)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t *p;

	make_disc();
	memset(sector(JOLIET), 0, SECTOR);
	memcpy(sector(JOLIET), sector(END), 7);
	put_descriptor(sector(PRIMARY), 1, NR_SECTORS * 4, ROOT * 4);
	put_both16(sector(PRIMARY) + 128, 512);
	memset(sector(ROOT), 0, SECTOR);
	p = put_dots(sector(ROOT), ROOT * 4, NULL, 0);
	put_file(p, "A;1", DATA * 4 + 3, 513);
	/* The rest of the sector is empty, and so is the folder behind it. */
	put_both32(sector(ROOT) + 10, 2 * SECTOR);
	v = open_view(NULL, NULL);
	expect_names(v, v->root, 0, "A|");
	EXPECT_EQ(v->size, sizeof image);
	{
		PL_AUTOUNREF struct pl_disk *file = NULL;
		uint8_t read[513];

		EXPECT_OK(pl_volume_open_file(v, find(v, "A"), NULL, "A", &file, &err));
		EXPECT_OK(pl_read(file, read, sizeof read, 0, &err));
		EXPECT_EQ(read[511], DATA);
		EXPECT_EQ(read[512], DATA + 1);
	}
}

TEST(a_record_may_cross_sectors)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	char name[16];
	uint8_t *p;
	unsigned nr = 0;

	make_disc();
	/* Sector 21 is the root of Joliet, which is not looked at here. */
	memset(sector(ROOT), 0, 2 * SECTOR);
	put_both32(sector(PRIMARY) + 156 + 10, 2 * SECTOR);
	p = put_dots(sector(ROOT), ROOT, NULL, 0);
	for (; p < sector(ROOT) + SECTOR + 100; nr++) {
		snprintf(name, sizeof name, "F%04u", nr);
		p = put_record(p, name, 5, DATA, 1, 0, "................", 16);
	}
	v = open_view("iso9660", NULL);
	for (unsigned i = 0; i < nr; i++) {
		snprintf(name, sizeof name, "F%04u", i);
		find(v, name);
	}
}

TEST(high_sierra_is_read)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t *d = sector(PRIMARY), *p;

	make_disc();
	memset(d, 0, 3 * SECTOR);
	d[8] = 1;
	memcpy(d + 9, "CDROM\1", 6);
	put_both32(d + 88, NR_SECTORS);
	put_both16(d + 136, SECTOR);
	put_record(d + 180, "", 1, ROOT, SECTOR, FOLDER, NULL, 0);
	d[180 + 24] = FOLDER;
	d[SECTOR + 8] = 255;
	memcpy(d + SECTOR + 9, "CDROM\1", 6);
	memset(sector(ROOT), 0, SECTOR);
	p = put_dots(sector(ROOT), ROOT, NULL, 0);
	sector(ROOT)[24] = p[-34 + 24] = FOLDER;
	put_file(p, "OLD.TXT;1", DATA, 10)[0] = 0;
	p[24] = p[25] = 0;
	v = open_view(NULL, NULL);
	expect_names(v, v->root, 0, "OLD.TXT|");
	expect_sectors(v, "OLD.TXT", 1, (const uint8_t[]){ DATA }, 10);
}

TEST(the_last_session_is_seen_and_others_are_chosen)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *last = NULL, *first = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume *none;
	uint8_t *p;

	make_disc();
	/* The first ends at 30, and the second begins at 40, neither rounded nor at once. */
	put_both32(sector(PRIMARY) + 80, 30);
	memset(sector(SECOND), 0, (NR_SECTORS - SECOND) * SECTOR);
	put_descriptor(sector(SECOND + 16), 1, NR_SECTORS - SECOND, SECOND + 18);
	memcpy(sector(SECOND + 17), sector(END), 7);
	p = put_dots(sector(SECOND + 18), SECOND + 18, NULL, 0);
	put_file(p, "NEW.TXT;1", DATA, 10);
	last = open_view(NULL, NULL);
	expect_names(last, last->root, 0, "NEW.TXT|");
	first = open_view(NULL, "1");
	expect_names(first, first->root, 0, "a file|big|mix|link|");
	EXPECT_OK(pl_memory_new(image, sizeof image, "disc", &disk, &err));
	EXPECT_EQ(pl_volume_open(disk, "iso9660", "3", 0, &none, &err), -ENOENT);
}

TEST(another_disc_behind_is_no_session)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_disc();
	put_both32(sector(PRIMARY) + 80, 30);
	/* Its root is at 20 from its own beginning, which is before it on this disc. */
	put_descriptor(sector(SECOND + 16), 1, NR_SECTORS - SECOND, 20);
	v = open_view(NULL, NULL);
	expect_names(v, v->root, 0, "a file|big|mix|link|");
	EXPECT_EQ(v->size, 30 * SECTOR);
}

static void
put_catalogue(void)
{
	uint8_t *c = sector(CATALOGUE), *d = sector(BOOT);
	uint16_t sum = 0;

	memset(d, 0, SECTOR);
	memcpy(d, "\0CD001\1EL TORITO SPECIFICATION", 30);
	put_le32(d + 71, CATALOGUE);
	c[0] = 1;
	c[30] = 0x55;
	c[31] = 0xaa;
	for (int i = 0; i < 32; i += 2)
		sum = (uint16_t)(sum + get_le16(c + i));
	put_le16(c + 28, (uint16_t)-sum);
	c[32] = 0x88;
	put_le16(c + 38, 4);
	put_le32(c + 40, DATA + 20); /* in no folder: as long as what is loaded */
	c[64] = 0x91;
	c[65] = 0xef;
	put_le16(c + 66, 1);
	c[96] = 0x88;
	put_le16(c + 102, 1);
	put_le32(c + 104, DATA + 4); /* the second section of BIG begins there */
}

TEST(boot_images_are_files_of_a_folder_that_is_not_listed)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_node_id boot, bios, efi;
	struct platter_file info;
	uint8_t byte;

	make_disc();
	put_catalogue();
	v = open_view(NULL, NULL);
	expect_names(v, v->root, 0, "a file|big|mix|link|");
	boot = find(v, "[BOOT]");
	expect_names(v, boot, 0, "1-BIOS-noemul.img|2-UEFI.img|boot.cat|");
	EXPECT_OK(pl_volume_stat(v, boot, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_FOLDER);
	EXPECT_OK(pl_volume_lookup(v, boot, "1-BIOS-noemul.img", 17, &bios, &err));
	EXPECT_OK(pl_volume_stat(v, bios, &info, &err));
	EXPECT_EQ(info.size, 2048);
	EXPECT_OK(pl_volume_lookup(v, boot, "2-UEFI.img", 10, &efi, &err));
	EXPECT_OK(pl_volume_stat(v, efi, &info, &err));
	EXPECT_EQ(info.size, 100);
	EXPECT_OK(pl_volume_open_file(v, bios, NULL, "bios", &file, &err));
	EXPECT_OK(pl_read(file, &byte, 1, 2047, &err));
	EXPECT_EQ(byte, DATA + 20);
	EXPECT_EQ(pl_volume_lookup(v, boot, "3", 1, &efi, &err), -ENOENT);
}

/* Each row breaks one field of the disc: in the root's record, or that of the first file. */
static const struct {
	const char *label;
	bool in_root;
	unsigned at;
	uint8_t value;
	int open, list, read; /* codes; names that are left are those behind */
	const char *names;
} broken[] = {
	{ "record too short for a name", false, 0, 20, 0, -EUCLEAN, 0, "" },
	{ "name longer than its record", false, 32, 200, 0, -EUCLEAN, 0, "" },
	{ "name of no bytes", false, 32, 0, 0, -EUCLEAN, 0, "" },
	{ "extent past the end", false, 4, 1, 0, 0, -EUCLEAN, "FILE.TXT|BIG|MIX|LINK|" },
	{ "size past the end", false, 12, 16, 0, 0, -EUCLEAN, "FILE.TXT|BIG|MIX|LINK|" },
	{ "root past the end", true, 4, 1, -EUCLEAN, 0, 0, "" },
	{ "root larger than the disc", true, 12, 16, 0, -EUCLEAN, 0, "FILE.TXT|BIG|MIX|LINK|" },
};

TEST(iso9660_names_the_broken_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
		struct names names = { "" };
		uint8_t *record, last;
		int r;

		make_disc();
		memset(sector(JOLIET), 0xff, 1);
		record = broken[i].in_root ? sector(PRIMARY) + 156 : first_file;
		/* Both byte orders. */
		record[broken[i].at] = broken[i].value;
		if (broken[i].at == 4 || broken[i].at == 12)
			record[broken[i].at + 3] = broken[i].value;
		EXPECT_OK(pl_memory_new(image, sizeof image, broken[i].label, &disk, &err));
		r = pl_volume_open(disk, "iso9660", NULL, 0, &v, &err);
		EXPECT_EQ(r, broken[i].open);
		if (r < 0)
			continue;
		r = pl_volume_list(v, v->root, add_text, &names, &err);
		EXPECT_EQ(r, broken[i].list);
		if (!broken[i].read)
			continue;
		EXPECT_STR(names.text, broken[i].names);
		r = pl_volume_open_file(v, find(v, "FILE.TXT"), NULL, "file", &file, &err);
		if (r == 0)
			r = pl_read(file, &last, 1, file->size - 1, &err);
		EXPECT_EQ(r, broken[i].read);
	}
}

TEST(no_iso9660_is_refused)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume_request request = { 0 };
	struct pl_volume *v;
	size_t i = 0;

	make_disc();
	sector(PRIMARY)[0] = 3;
	EXPECT_OK(pl_memory_new(image, sizeof image, "disc", &disk, &err));
	request.disk = disk;
	while (strcmp(pl_content_drivers[i]->info.name, "iso9660") != 0)
		i++;
	EXPECT_EQ(pl_content_drivers[i]->open(&request, &v, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, 32768);
}
