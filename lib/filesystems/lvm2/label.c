/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm2/label.c - where the metadata of an LVM2 physical volume is, and its text
 *
 * The layout is that of lib/format_text/layout.h of LVM2.  Numbers are little-endian.
 *
 *	label, in one of the first four sectors
 *	 0  8	"LABELONE"		16 4	CRC from byte 20 to the sector's end
 *	 8  8	number of its sector	20 4	offset of the header that follows
 *	24  8	"LVM2 001"
 *	header of the physical volume
 *	 0 32	UUID			32 8	size of the device
 *	40	{offset, size} of each data area, {0, 0}, of each metadata area, {0, 0}
 *	metadata area, 512 bytes; a ring of texts follows
 *	 0  4	CRC from byte 4		24 8	offset of the area on the disk
 *	 4 16	" LVM2 x[5A%r0N*>"	32 8	its size, this header included
 *	20  4	version, 1		40	{offset, size, CRC 4, flags 4}: the text in use, ...
 */
#include "checksums.h"
#include "lvm2.h"

enum {
	LABEL_SECTOR = 8,
	LABEL_CRC = 16,
	LABEL_OFFSET = 20,
	LABEL_TYPE = 24
};
enum {
	PV_SIZE = 32,
	PV_AREAS = 40
};
enum {
	MDA_CRC = 0,
	MDA_MAGIC = 4,
	MDA_VERSION = 20,
	MDA_START = 24,
	MDA_SIZE = 32,
	MDA_LOCATION = 40
};
enum {
	LOCATION_OFFSET = 0,
	LOCATION_SIZE = 8,
	LOCATION_CRC = 16,
	LOCATION_FLAGS = 20
};
#define LOCATION_IGNORED 1

/* An area is 1 MiB by default and holds several texts; this is one of some 15000 volumes. */
#define MAX_TEXT MIB(8)

/* CRC-32 without inversions, begun with LVM's own number. */
static uint32_t
checksum(const void *bytes, size_t n)
{
	return ~pl_crc32(~0xf597a6cfu, bytes, n);
}

/* The list at `*at` of a sector, up to an entry of zeros; *at is behind it then. */
static size_t
take_areas(const uint8_t *sector, uint32_t *at, struct lvm_area *ret, size_t max)
{
	size_t nr = 0;

	for (; *at <= LVM_SECTOR - 16; *at += 16) {
		uint64_t offset = get_le64(sector + *at);

		if (!offset) {
			*at += 16;
			break;
		}
		if (nr < max)
			ret[nr++] = (struct lvm_area){ offset, get_le64(sector + *at + 8) };
	}
	return nr;
}

static void
decode_label(const uint8_t *label, struct lvm_label *ret)
{
	uint32_t offset = get_le32(label + LABEL_OFFSET), at = offset + PV_AREAS;
	const uint8_t *pv = label + offset;
	/* A UUID is written in groups. */
	static const uint8_t groups[] = { 6, 4, 4, 4, 4, 4, 6 };
	char *p = ret->uuid;

	for (size_t i = 0, from = 0; i < ARRAY_SIZE(groups); from += groups[i++]) {
		if (i)
			*p++ = '-';
		memcpy(p, pv + from, groups[i]);
		p += groups[i];
	}
	*p = '\0';
	ret->size = get_le64(pv + PV_SIZE);
	ret->checksum_matches = get_le32(label + LABEL_CRC) ==
				checksum(label + LABEL_OFFSET, LVM_SECTOR - LABEL_OFFSET);
	take_areas(label, &at, NULL, 0);
	ret->nr_areas = take_areas(label, &at, ret->area, LVM_MAX_AREAS);
}

bool
pl_lvm_label_find(const uint8_t *head, struct lvm_label *ret)
{
	for (uint32_t sector = 0; sector < LVM_LABEL_BYTES / LVM_SECTOR; sector++) {
		const uint8_t *label = head + sector * LVM_SECTOR;
		uint32_t offset = get_le32(label + LABEL_OFFSET);

		if (memcmp(label, "LABELONE", 8) || get_le64(label + LABEL_SECTOR) != sector ||
		    memcmp(label + LABEL_TYPE, "LVM2 001", 8) || offset < 32 ||
		    offset > LVM_SECTOR - PV_AREAS)
			continue;
		decode_label(label, ret);
		return true;
	}
	return false;
}

static int
check_area(const uint8_t *header, const struct lvm_area *area, bool ignore_checksums,
	   struct platter_error *err)
{
	uint64_t at = area->offset;

	if (memcmp(header + MDA_MAGIC, " LVM2 x[5A%r0N*>", 16))
		return pl_corrupt(err, at + MDA_MAGIC, "no metadata area where the label says");
	if (!ignore_checksums &&
	    get_le32(header + MDA_CRC) != checksum(header + MDA_MAGIC, LVM_SECTOR - MDA_MAGIC))
		return pl_corrupt(err, at, "checksum of the metadata area does not match");
	if (get_le32(header + MDA_VERSION) != 1)
		return pl_unsupported(err, at + MDA_VERSION, "metadata area of version %" PRIu32,
				      get_le32(header + MDA_VERSION));
	if (get_le64(header + MDA_START) != at)
		return pl_corrupt(err, at + MDA_START,
				  "metadata area says that it is at byte %" PRIu64,
				  get_le64(header + MDA_START));
	if (get_le64(header + MDA_SIZE) <= LVM_SECTOR)
		return pl_corrupt(err, at + MDA_SIZE, "metadata area of %" PRIu64 " bytes",
				  get_le64(header + MDA_SIZE));
	return 0;
}

/* The ring begins again behind the header. */
static int
read_ring(struct pl_disk *disk, uint64_t area, uint64_t size, uint64_t offset, uint8_t *text,
	  size_t n, struct platter_error *err)
{
	size_t first = (size_t)PL_MIN(n, size - offset);
	uint64_t end;
	int r;

	if (__builtin_add_overflow(area, size, &end))
		return pl_corrupt(err, area + MDA_SIZE,
				  "metadata area of %" PRIu64 " bytes wraps round", size);
	if (!pl_in_range(area + offset, first, disk->size) ||
	    !pl_in_range(area + LVM_SECTOR, n - first, disk->size))
		return pl_corrupt(err, area, "metadata of %zu bytes passes the disk's end", n);
	r = pl_read(disk, text, first, area + offset, err);
	return r < 0 || n == first ? r
				   : pl_read(disk, text + first, n - first, area + LVM_SECTOR, err);
}

int
pl_lvm_text_read(struct pl_disk *disk, const struct lvm_area *area, bool ignore_checksums,
		 struct lvm_text *ret, struct platter_error *err)
{
	uint8_t header[LVM_SECTOR];
	const uint8_t *location = header + MDA_LOCATION;
	PL_AUTOFREE uint8_t *text = NULL;
	uint64_t offset, n, size;
	int r;

	if (!pl_in_range(area->offset, sizeof header, disk->size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "metadata area at byte %" PRIu64 ", past the disk's end",
				  area->offset);
	r = pl_read(disk, header, sizeof header, area->offset, err);
	if (r == 0)
		r = check_area(header, area, ignore_checksums, err);
	if (r < 0)
		return r;
	offset = get_le64(location + LOCATION_OFFSET);
	n = get_le64(location + LOCATION_SIZE);
	size = get_le64(header + MDA_SIZE);
	if (!offset || get_le32(location + LOCATION_FLAGS) & LOCATION_IGNORED)
		return -ENOENT;
	if (offset < LVM_SECTOR || offset >= size || !n || n > size - LVM_SECTOR)
		return pl_corrupt(err, area->offset + MDA_LOCATION,
				  "metadata of %" PRIu64 " bytes at %" PRIu64
				  " of an area of %" PRIu64,
				  n, offset, size);
	if (n > MAX_TEXT)
		return pl_over_limit(err, area->offset + MDA_LOCATION + LOCATION_SIZE,
				     "metadata of %" PRIu64 " bytes, limit is %" PRIu64, n,
				     MAX_TEXT);
	text = malloc(n + 1);
	if (!text)
		return pl_no_memory(err);
	r = read_ring(disk, area->offset, size, offset, text, n, err);
	if (r < 0)
		return r;
	if (!ignore_checksums && checksum(text, n) != get_le32(location + LOCATION_CRC))
		return pl_corrupt(err, area->offset + offset,
				  "checksum of the metadata text does not match");
	text[n] = '\0';
	ret->length = strlen((char *)text);
	ret->text = (char *)PL_STEAL(text);
	return 0;
}
