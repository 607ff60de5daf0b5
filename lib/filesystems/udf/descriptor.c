/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/descriptor.c - anchors and volume descriptors of UDF (ECMA-167 part 3, OSTA UDF 2.60)
 *
 *	offset  size  tag of every descriptor, little-endian
 *	     0     2  identifier, see udf_tag
 *	     4     1  sum of the other 15 bytes
 *	     8     2  CRC-16 of what follows the tag
 *	    10     2  over how many bytes
 *	    12     4  block that it is in
 *
 * An anchor is at sector 256, 512 or counted from the end, N - 1 or N - 257.  It names two
 * sequences of volume descriptors, of which the second is a copy.  In each the descriptor
 * with the highest sequence number of its kind counts.
 */
#include "calendar.h"
#include "checksums.h"
#include "text.h"
#include "udf.h"

enum {
	TAG_SUM = 4,
	TAG_CRC = 8,
	TAG_CRC_LENGTH = 10,
	TAG_LOCATION = 12,
	TAG_SIZE = 16
};
enum {
	ANCHOR_MAIN = 16,
	ANCHOR_RESERVE = 24
};
enum {
	DESCRIPTOR_SEQUENCE = 16,
	POINTER_NEXT = 20
};
enum {
	PARTITION_NUMBER = 22,
	PARTITION_TABLE = 56,
	PARTITION_BITMAP = 64,
	PARTITION_ACCESS = 184,
	PARTITION_START = 188,
	PARTITION_BLOCKS = 192,
};

/* Sequences on discs are 16 or 32 sectors long; pointers to more are counted too. */
#define MAX_SEQUENCE 256

/* Of sectors that may hold an anchor. */
#define MAX_ANCHORS 6

int
pl_udf_check_tag(const struct udf *fs, const uint8_t *d, size_t n, unsigned tag, uint32_t block,
		 uint64_t at, struct platter_error *err)
{
	unsigned found = get_le16(d), length = get_le16(d + TAG_CRC_LENGTH);
	uint8_t sum = 0;

	if (tag && found != tag)
		return pl_corrupt(err, at, "UDF descriptor %u where %u should be", found, tag);
	if (fs->volume.ignore_checksums)
		return 0;
	for (int i = 0; i < TAG_SIZE; i++)
		sum = (uint8_t)(sum + (i == TAG_SUM ? 0 : d[i]));
	if (sum != d[TAG_SUM])
		return pl_corrupt(err, at + TAG_SUM, "UDF tag with sum %02x, it is %02x",
				  d[TAG_SUM], sum);
	if (get_le32(d + TAG_LOCATION) != block)
		return pl_corrupt(err, at + TAG_LOCATION,
				  "UDF descriptor of block %" PRIu32 " in block %" PRIu32,
				  get_le32(d + TAG_LOCATION), block);
	if (length > n - TAG_SIZE ||
	    pl_crc16_ccitt(0, d + TAG_SIZE, length) != get_le16(d + TAG_CRC))
		return pl_corrupt(
			err, at + TAG_CRC,
			"the checksum of UDF descriptor %u, over %u bytes, does not match", found,
			length);
	return 0;
}

struct platter_time
pl_udf_time(const uint8_t t[static 12])
{
	unsigned type = get_le16(t) >> 12;
	int zone = get_le16(t) & 0xfff;
	struct platter_time ret;

	/* Twelve bits with a sign, minutes east; -2047: not known. */
	zone = zone >= 0x800 ? zone - 0x1000 : zone;
	ret.seconds = pl_seconds_of_date((int16_t)get_le16(t + 2), t[4], t[5], t[6], t[7], t[8]);
	ret.nanoseconds = 0;
	if (ret.seconds == PLATTER_NO_TIME)
		return ret;
	if (type == 1 && zone >= -1440 && zone <= 1440)
		ret.seconds -= (int64_t)zone * 60;
	if (t[9] < 100 && t[10] < 100 && t[11] < 100)
		ret.nanoseconds = (t[9] * 10000u + t[10] * 100u + t[11]) * 1000u;
	return ret;
}

size_t
pl_udf_name(const uint8_t *s, size_t n, char *out)
{
	size_t length = 0;

	if (n < 2)
		return 0;
	/* 254 and 255 mark names of what was deleted. */
	if (s[0] == 16 || s[0] == 255)
		return pl_name_from_utf16be(s + 1, (n - 1) / 2, out);
	if (s[0] != 8 && s[0] != 254)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s[i] < 0x80) {
			out[length++] = (char)s[i];
		} else {
			out[length++] = (char)(0xc0 | s[i] >> 6);
			out[length++] = (char)(0x80 | (s[i] & 0x3f));
		}
	}
	return length;
}

char *
pl_udf_text(const uint8_t *s, size_t size)
{
	char name[3 * 256 + 1];
	size_t n = PL_MIN(PL_MIN((size_t)s[size - 1], size - 1), (size_t)256);

	return pl_text_from_bytes(name, pl_udf_name(s, n, name));
}

static int
read_sector(const struct udf *fs, uint32_t sector, uint8_t *buf, size_t n,
	    struct platter_error *err)
{
	return pl_meta_read(fs->volume.meta, buf, n, (uint64_t)sector * fs->sector_size, err);
}

struct anchor {
	uint32_t sector;
	struct udf_extent main, reserve;
};

static unsigned
find_anchors(struct udf *fs, uint32_t sector_size, struct anchor found[static MAX_ANCHORS])
{
	uint64_t nr = pl_disk_size(fs->volume.disk) / sector_size;
	/* The last is of discs with 150 blocks of padding behind, as mkisofs makes them. */
	const uint64_t places[MAX_ANCHORS] = { 256, nr - 1, nr - 257, nr - 256, 512, nr - 151 };
	bool ignored = fs->volume.ignore_checksums;
	unsigned n = 0;

	fs->sector_size = sector_size;
	fs->last_anchor = 0;
	/* Without its checksum an anchor is two bytes: anything. */
	fs->volume.ignore_checksums = false;
	for (size_t i = 0; i < MAX_ANCHORS; i++) {
		uint8_t d[UDF_DESCRIPTOR];
		uint32_t sector = (uint32_t)places[i];

		if (places[i] >= nr || places[i] > UINT32_MAX ||
		    read_sector(fs, sector, d, sizeof d, NULL) < 0 ||
		    pl_udf_check_tag(fs, d, sizeof d, TAG_ANCHOR, sector, 0, NULL) < 0)
			continue;
		fs->last_anchor = PL_MAX(fs->last_anchor, sector);
		found[n++] = (struct anchor){ sector, udf_extent_at(d + ANCHOR_MAIN),
					      udf_extent_at(d + ANCHOR_RESERVE) };
	}
	fs->volume.ignore_checksums = ignored;
	return n;
}

static void
take_partition(struct udf_sequence *seq, const uint8_t *d)
{
	struct udf_partition p = {
		.sequence = get_le32(d + DESCRIPTOR_SEQUENCE),
		.number = get_le16(d + PARTITION_NUMBER),
		.access = get_le32(d + PARTITION_ACCESS),
		.start = get_le32(d + PARTITION_START),
		.nr_blocks = get_le32(d + PARTITION_BLOCKS),
		.space_table = udf_extent_at(d + PARTITION_TABLE),
		.space_bitmap = udf_extent_at(d + PARTITION_BITMAP),
	};

	for (unsigned i = 0; i < seq->nr_partitions; i++)
		if (seq->partition[i].number == p.number) {
			if (seq->partition[i].sequence <= p.sequence)
				seq->partition[i] = p;
			return;
		}
	if (seq->nr_partitions < UDF_MAX_PARTITIONS)
		seq->partition[seq->nr_partitions++] = p;
}

/* Does `d` replace the descriptor that is kept? */
static bool
is_newer(bool has, const uint8_t *kept, const uint8_t *d)
{
	return !has || get_le32(kept + DESCRIPTOR_SEQUENCE) <= get_le32(d + DESCRIPTOR_SEQUENCE);
}

/* A damaged descriptor does not hide those behind it; one that is all zeros ends them. */
static void
read_sequence(const struct udf *fs, struct udf_extent extent, struct udf_sequence *seq, uint8_t *d)
{
	uint32_t sector = extent.sector, left = extent.length / fs->sector_size;

	for (unsigned steps = 0; steps < MAX_SEQUENCE && left; steps++, left--, sector++) {
		if (read_sector(fs, sector, d, fs->sector_size, NULL) < 0)
			continue;
		if (pl_is_zero(d, TAG_SIZE))
			return;
		if (pl_udf_check_tag(fs, d, fs->sector_size, 0, sector, 0, NULL) < 0)
			continue;
		switch (get_le16(d)) {
		case TAG_PRIMARY:
			if (is_newer(seq->has_primary, seq->primary, d))
				memcpy(seq->primary, d, UDF_DESCRIPTOR);
			seq->has_primary = true;
			break;
		case TAG_PARTITION: take_partition(seq, d); break;
		case TAG_LOGICAL:
			if (is_newer(seq->has_logical, seq->logical, d))
				memcpy(seq->logical, d, fs->sector_size);
			seq->has_logical = true;
			break;
		case TAG_POINTER:
			left = get_le32(d + POINTER_NEXT) / fs->sector_size + 1;
			sector = get_le32(d + POINTER_NEXT + 4) - 1;
			break;
		case TAG_TERMINATOR: return;
		default: break;
		}
	}
}

/* What the anchor leads to; false: not enough of it. */
static bool
follow_anchor(struct udf *fs, const struct anchor *a, uint8_t *buf)
{
	uint8_t *logical = fs->seq.logical;

	memset(&fs->seq, 0, sizeof fs->seq);
	fs->seq.logical = logical;
	read_sequence(fs, a->main, &fs->seq, buf);
	if (!fs->seq.has_primary || !fs->seq.has_logical || !fs->seq.nr_partitions)
		read_sequence(fs, a->reserve, &fs->seq, buf);
	fs->anchor = a->sector;
	fs->main = a->main;
	fs->reserve = a->reserve;
	return fs->seq.has_logical && fs->seq.nr_partitions;
}

/* Later sessions have sequences of their own, behind those of earlier ones. */
static int
compare_anchors(const void *a, const void *b)
{
	const struct anchor *x = a, *y = b;

	if (x->main.sector != y->main.sector)
		return x->main.sector < y->main.sector ? 1 : -1;
	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

int
pl_udf_read_sequences(struct udf *fs, struct platter_error *err)
{
	static const uint32_t sizes[] = { 2048, 512, 4096, 1024, 8192, 16384, 32768 };
	struct anchor found[MAX_ANCHORS];
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned nr = find_anchors(fs, sizes[i], found);
		PL_AUTOFREE uint8_t *buf = NULL;

		if (!nr)
			continue;
		any = true;
		free(fs->seq.logical);
		fs->seq.logical = malloc(sizes[i]);
		buf = malloc(sizes[i]);
		if (!fs->seq.logical || !buf)
			return pl_no_memory(err);
		qsort(found, nr, sizeof *found, compare_anchors);
		for (unsigned k = 0; k < nr; k++)
			if (follow_anchor(fs, &found[k], buf))
				return 0;
	}
	if (!any)
		return pl_corrupt(err, 256 * 2048,
				  "no UDF: there is no anchor at block 256 or the end");
	return pl_corrupt(err, PLATTER_NO_OFFSET,
			  "UDF without a logical volume and partition descriptor");
}
