/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/boot.c - El Torito: what firmware boots from a disc, and where it is
 *
 * ("El Torito" Bootable CD-ROM Format Specification 1.0; UEFI 2.10, 13.3.2.1)  The catalogue is
 * a table of 32-byte entries, little-endian:
 *
 *	validation	1, platform, .., 24 bytes for whom, checksum at 28, 55 aa at 30
 *	the default	88 or 0, medium, load segment, 2: type, .., sectors at 6, block at 8
 *	section header	90, or 91 for the last; platform, number of entries at 2, name
 *	its entries	as the default; 44: goes on in the next
 *
 * How long an image is stands nowhere: what the firmware reads is often less.  It is as long
 * as the file that begins at its block, the floppy that it stands for, the file system in it,
 * or else as what is read.
 */
#include <stdio.h>

#include "iso9660.h"

#define ENTRY 32

enum {
	ENTRY_PLATFORM = 1,
	VALIDATION_KEY = 30,
	SECTION_ENTRIES = 2,
	ENTRY_SECTORS = 6,
	ENTRY_BLOCK = 8
};
enum {
	ID_VALIDATION = 0x01,
	ID_CONTINUED = 0x44,
	ID_BOOTABLE = 0x88,
	ID_SECTION = 0x90,
	ID_LAST_SECTION = 0x91
};
enum {
	PLATFORM_BIOS = 0,
	PLATFORM_POWERPC = 1,
	PLATFORM_MAC = 2,
	PLATFORM_UEFI = 0xef
};
enum {
	MEDIA_NONE = 0,
	MEDIA_1200 = 1,
	MEDIA_1440 = 2,
	MEDIA_2880 = 3,
	MEDIA_HARD_DISK = 4,
	MEDIA_MASK = 15
};

/* 4 KiB: the catalogue of 64 images in sections of their own. */
#define MAX_CATALOGUE (ENTRY * 2 * ISO_MAX_BOOT_IMAGES)

/* Of the tree that is searched for the files that are images; distributions have 10 thousand. */
#define MAX_FOLDERS (1u << 16)
#define MAX_RECORDS (1u << 20)

static bool
validation_matches(const uint8_t *e)
{
	uint16_t sum = 0;

	for (int i = 0; i < ENTRY; i += 2)
		sum = (uint16_t)(sum + get_le16(e + i));
	return sum == 0 && e[VALIDATION_KEY] == 0x55 && e[VALIDATION_KEY + 1] == 0xaa;
}

static void
take_entry(struct iso_boot *boot, const uint8_t *e, uint8_t platform)
{
	if (boot->nr == ISO_MAX_BOOT_IMAGES || !get_le32(e + ENTRY_BLOCK))
		return;
	boot->image[boot->nr++] = (struct iso_boot_image){
		.platform = platform,
		.media = e[1] & MEDIA_MASK,
		.bootable = e[0] == ID_BOOTABLE,
		.block = get_le32(e + ENTRY_BLOCK),
		.nr_loaded = get_le16(e + ENTRY_SECTORS),
	};
}

void
pl_iso_boot_read(struct iso *iso, uint64_t sector)
{
	uint64_t size = pl_disk_size(iso->volume.disk), at = sector * ISO_SECTOR;
	struct iso_boot *boot = &iso->boot;
	uint8_t table[MAX_CATALOGUE] = { 0 }, platform;
	unsigned left = 0;
	size_t i;

	if (!sector || at >= size ||
	    pl_meta_read(iso->volume.meta, table, (size_t)PL_MIN(sizeof table, size - at), at,
			 NULL) < 0 ||
	    table[0] != ID_VALIDATION)
		return;
	boot->at = at;
	boot->valid = validation_matches(table);
	platform = table[ENTRY_PLATFORM];
	take_entry(boot, table + ENTRY, platform);
	for (i = 2 * ENTRY; i < sizeof table; i += ENTRY) {
		const uint8_t *e = table + i;

		if (left && e[0] == ID_CONTINUED)
			continue;
		if (left) {
			take_entry(boot, e, platform);
			left--;
		} else if (e[0] == ID_SECTION || e[0] == ID_LAST_SECTION) {
			platform = e[ENTRY_PLATFORM];
			left = get_le16(e + SECTION_ENTRIES);
		} else if (e[0] != ID_CONTINUED) {
			break;
		}
	}
	iso->catalogue_size = PL_MIN(pl_round_up(i, ISO_SECTOR), size - at);
}

/* The folders that are still to be searched for files that are boot images. */
struct search {
	struct iso *iso;
	struct folder {
		uint32_t block, size;
		uint8_t extended;
	} * folder;
	size_t nr, capacity, nr_records;
	unsigned nr_missing;
};

static int
add_folder(struct search *s, const struct iso_record *r)
{
	if (s->nr == MAX_FOLDERS)
		return 1;
	if (s->nr == s->capacity) {
		size_t capacity = PL_MAX(64, s->capacity * 2);
		struct folder *p = pl_realloc_array(s->folder, capacity, sizeof *p);

		if (!p)
			return 1;
		s->folder = p;
		s->capacity = capacity;
	}
	s->folder[s->nr++] = (struct folder){ r->block, r->size, r->extended };
	return 0;
}

static int
search_record(void *closure, const struct iso_record *r, struct platter_error *err)
{
	struct search *s = closure;
	struct iso *iso = s->iso;
	uint64_t at;

	(void)err;
	if (iso_is_dots(r))
		return 0;
	if (++s->nr_records > MAX_RECORDS)
		return 1;
	if (r->flags & RECORD_FOLDER)
		return add_folder(s, r);
	if (!r->size || pl_iso_block_at(iso, r->block, &at, NULL) < 0)
		return 0;
	if (at == iso->boot.at)
		iso->catalogue_size = r->size;
	for (unsigned i = 0; i < iso->boot.nr; i++)
		if (iso->boot.image[i].block == r->block && !iso->boot_size[i]) {
			iso->boot_size[i] = r->size;
			s->nr_missing--;
		}
	return !s->nr_missing;
}

static void
find_files(struct iso *iso)
{
	struct search s = { .iso = iso, .nr_missing = iso->boot.nr + 1 };
	struct iso_record folder;

	if (pl_iso_read_record(iso, iso->session[iso->chosen].root[VIEW_PLAIN], &folder, NULL) == 0)
		add_folder(&s, &folder);
	for (size_t i = 0; i < s.nr; i++) {
		folder.block = s.folder[i].block;
		folder.size = s.folder[i].size;
		folder.extended = s.folder[i].extended;
		if (pl_iso_each_record(iso, &folder, search_record, &s, NULL) > 0)
			break;
	}
	free(s.folder);
}

/* Bytes of a FAT file system, 0 if there is none. */
static uint64_t
fat_size(const uint8_t *sector)
{
	uint32_t bytes = get_le16(sector + 11), sectors = get_le16(sector + 19);

	if (sector[510] != 0x55 || sector[511] != 0xaa || !pl_is_power_of_two(bytes) ||
	    bytes < 512 || bytes > 4096)
		return 0;
	return (uint64_t)bytes * (sectors ? sectors : get_le32(sector + 32));
}

/* Where the first partition of a hard disk's image ends, 0 if that has no table. */
static uint64_t
partition_end(const uint8_t *sector)
{
	const uint8_t *e = sector + 446;

	if (sector[510] != 0x55 || sector[511] != 0xaa || !e[4])
		return 0;
	return 512 * ((uint64_t)get_le32(e + 8) + get_le32(e + 12));
}

static uint64_t
guessed_size(struct iso *iso, const struct iso_boot_image *image, uint64_t at)
{
	uint64_t loaded = 512 * (uint64_t)image->nr_loaded, size = 0;
	uint8_t sector[512];

	switch (image->media) {
	case MEDIA_1200: return KIB(1200);
	case MEDIA_1440: return KIB(1440);
	case MEDIA_2880: return KIB(2880);
	default: break;
	}
	if (pl_meta_read(iso->volume.meta, sector, sizeof sector, at, NULL) == 0)
		size = image->media == MEDIA_HARD_DISK ? partition_end(sector) : fat_size(sector);
	return PL_MAX(size, loaded);
}

/* Byte and size of an image, which lies within the disk. */
static int
locate_image(struct iso *iso, unsigned i, uint64_t *ret_at, uint64_t *ret_size,
	     struct platter_error *err)
{
	const struct iso_boot_image *image = &iso->boot.image[i];
	uint64_t size;
	int r = pl_iso_block_at(iso, image->block, ret_at, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&iso->boot_lock);
	if (!iso->boot_sized)
		find_files(iso);
	iso->boot_sized = true;
	size = iso->boot_size[i];
	pthread_mutex_unlock(&iso->boot_lock);
	if (!size)
		size = guessed_size(iso, image, *ret_at);
	*ret_size = PL_MIN(size, pl_disk_size(iso->volume.disk) - *ret_at);
	return 0;
}

static int
locate(struct iso *iso, uint64_t inode, uint64_t *ret_at, uint64_t *ret_size,
       struct platter_error *err)
{
	if (!inode || inode > iso->boot.nr + 1)
		return pl_fail(err, -ENOENT, "no boot image %" PRIu64, inode);
	if (inode <= iso->boot.nr)
		return locate_image(iso, (unsigned)inode - 1, ret_at, ret_size, err);
	*ret_at = iso->boot.at;
	pthread_mutex_lock(&iso->boot_lock);
	*ret_size = PL_MIN(iso->catalogue_size, pl_disk_size(iso->volume.disk) - *ret_at);
	pthread_mutex_unlock(&iso->boot_lock);
	return 0;
}

static void
name_image(const struct iso *iso, unsigned i, char *buf, size_t n)
{
	const struct iso_boot_image *image = &iso->boot.image[i];
	const char *media = "";
	char platform[24];

	switch (image->platform) {
	case PLATFORM_BIOS: snprintf(platform, sizeof platform, "BIOS"); break;
	case PLATFORM_POWERPC: snprintf(platform, sizeof platform, "PowerPC"); break;
	case PLATFORM_MAC: snprintf(platform, sizeof platform, "Mac"); break;
	case PLATFORM_UEFI: snprintf(platform, sizeof platform, "UEFI"); break;
	default: snprintf(platform, sizeof platform, "platform-%02x", image->platform); break;
	}
	switch (image->media) {
	case MEDIA_NONE: media = image->platform == PLATFORM_UEFI ? "" : "-noemul"; break;
	case MEDIA_1200: media = "-floppy-1.2"; break;
	case MEDIA_1440: media = "-floppy-1.44"; break;
	case MEDIA_2880: media = "-floppy-2.88"; break;
	case MEDIA_HARD_DISK: media = "-harddisk"; break;
	default: break;
	}
	snprintf(buf, n, "%u-%s%s.img", i + 1, platform, media);
}

int
pl_iso_boot_list(struct iso *iso, pl_entry_fn *fn, void *closure, struct platter_error *err)
{
	int r = 0;

	for (unsigned i = 0; i <= iso->boot.nr && r == 0; i++) {
		char name[64] = "boot.cat";

		if (i < iso->boot.nr)
			name_image(iso, i, name, sizeof name);
		r = fn(closure,
		       &(struct pl_entry){ .name = name,
					   .length = strlen(name),
					   .id = { i + 1, ISO_BOOT_TREE },
					   .type = PLATTER_FILE_REGULAR },
		       err);
	}
	return r;
}

int
pl_iso_boot_stat(struct iso *iso, uint64_t inode, struct platter_file *ret,
		 struct platter_error *err)
{
	uint64_t at;
	int r;

	ret->inode = 0;
	ret->attributes = PLATTER_FILE_METADATA;
	if (!inode) {
		ret->type = PLATTER_FILE_FOLDER;
		return 0;
	}
	ret->type = PLATTER_FILE_REGULAR;
	r = locate(iso, inode, &at, &ret->size, err);
	ret->allocated = ret->size;
	return r;
}

int
pl_iso_boot_open(struct iso *iso, uint64_t inode, const char *name, struct pl_disk **ret,
		 struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	uint64_t at, size;
	int r;

	if (!inode)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	r = locate(iso, inode, &at, &size, err);
	if (r == 0)
		r = pl_runs_add_data(&runs, 0, size, at, err);
	return r < 0 ? r : pl_file_new(iso->volume.disk, &runs, size, name, ret, err);
}

void
pl_iso_boot_describe(struct iso *iso, struct pl_facts *facts)
{
	struct pl_str text = { 0 };

	if (!iso->boot.at)
		return;
	for (unsigned i = 0; i < iso->boot.nr; i++) {
		const struct iso_boot_image *image = &iso->boot.image[i];
		uint64_t at, size = 0;
		char name[64];

		name_image(iso, i, name, sizeof name);
		if (locate_image(iso, i, &at, &size, NULL) < 0)
			pl_warn(facts, "boot image %s is past the end of the disc", name);
		pl_str_addf(&text, "%s%s (%" PRIu64 " bytes at block %" PRIu32 "%s)", i ? ", " : "",
			    name, size, image->block, image->bootable ? "" : ", not bootable");
	}
	if (text.text)
		pl_fact_text(facts, "boot_images", "boot images in " ISO_BOOT_FOLDER, "%s",
			     text.text);
	pl_str_done(&text);
	if (!iso->boot.valid)
		pl_warn(facts, "the checksum of the boot catalogue does not match");
}
