/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/session.c - volume descriptors, and the sessions of a disc (ECMA-119 8)
 *
 *	offset  size  volume descriptor, 2048 bytes, from sector 16 of a session
 *	     0     1  0 boot record, 1 primary, 2 supplementary or enhanced, 255 the last
 *	     1     5  "CD001"
 *	     6     1  version: 2 is enhanced
 *	     7    23  boot record: "EL TORITO SPECIFICATION"; 71: sector of the catalogue
 *	    80     8  blocks, in both byte orders
 *	    88     3  supplementary: "%/@", "%/C" or "%/E": Joliet
 *	   128     4  block size, in both byte orders
 *	   156    34  directory record of the root
 *
 * High Sierra has everything 8 bytes later, "CDROM", and 24 more before the root's record.
 *
 * Nothing in a session tells of a later one.  In the image of a whole disc a later one begins
 * behind the blocks of the one before: at once, after the 150 sectors of a track's end, at a
 * multiple of 16 (growisofs) or 32 (libburn) sectors, or after lead-out and lead-in.  Where
 * a disc was overwritten (growisofs, libburn) the first descriptors are those of the last
 * session, and cover all.
 */
#include "iso9660.h"

enum {
	VD_TYPE = 0,
	VD_ID = 1,
	VD_VERSION = 6,
	VD_BOOT_SYSTEM = 7,
	VD_BOOT_CATALOGUE = 71,
	VD_BLOCKS = 80,
	VD_ESCAPES = 88,
	VD_BLOCK_SIZE = 128,
	HS_SHIFT = 8,
};
enum {
	TYPE_BOOT = 0,
	TYPE_PRIMARY = 1,
	TYPE_SUPPLEMENTARY = 2,
	TYPE_END = 255
};

#define FIRST_DESCRIPTOR 16

/* Real discs have two to five. */
#define MAX_DESCRIPTORS 64

/* Sectors behind the end of a session where the next one is looked for. */
#define SEARCHED 512

/* Lead-out and lead-in are 11400 sectors behind a first session, 6900 behind others. */
static const uint64_t gaps[] = { 6900, 6900 + 150, 11400, 11400 + 150 };

static bool
is_descriptor(const uint8_t *d, bool *ret_high_sierra)
{
	*ret_high_sierra = !memcmp(d + VD_ID + HS_SHIFT, "CDROM", 5);
	return *ret_high_sierra || !memcmp(d + VD_ID, "CD001", 5);
}

static void
take_primary(struct iso_session *s, const uint8_t *d, uint64_t at, uint64_t disk_sectors)
{
	const uint8_t *shifted = d + (s->high_sierra ? HS_SHIFT : 0);
	uint16_t little = get_le16(shifted + VD_BLOCK_SIZE);
	uint16_t big = get_be16(shifted + VD_BLOCK_SIZE + 2);
	uint64_t blocks = pl_iso_both32(shifted + VD_BLOCKS, UINT32_MAX);

	s->block_size = pl_is_power_of_two(little) && little >= 512 && little <= ISO_SECTOR ? little
			: pl_is_power_of_two(big) && big >= 512 && big <= ISO_SECTOR        ? big
										     : ISO_SECTOR;
	s->root[VIEW_PLAIN] = at + (s->high_sierra ? ISO_HIGH_SIERRA_ROOT : ISO_DESCRIPTOR_ROOT);
	s->end = PL_MIN(disk_sectors,
			s->start + pl_div_round_up(blocks * s->block_size, ISO_SECTOR));
}

static void
take_descriptor(struct iso_session *s, const uint8_t *d, uint64_t at, uint64_t disk_sectors)
{
	const uint8_t *escapes = d + VD_ESCAPES;
	unsigned type = d[VD_TYPE + (s->high_sierra ? HS_SHIFT : 0)];

	if (type == TYPE_PRIMARY && !s->root[VIEW_PLAIN])
		take_primary(s, d, at, disk_sectors);
	else if (s->high_sierra)
		return;
	else if (type == TYPE_BOOT && !memcmp(d + VD_BOOT_SYSTEM, "EL TORITO SPECIFICATION", 23))
		s->boot_catalogue = get_le32(d + VD_BOOT_CATALOGUE);
	else if (type == TYPE_SUPPLEMENTARY && d[VD_VERSION] == 2)
		s->root[VIEW_ENHANCED] = at + ISO_DESCRIPTOR_ROOT;
	else if (type == TYPE_SUPPLEMENTARY && !memcmp(escapes, "%/", 2) &&
		 (escapes[2] == '@' || escapes[2] == 'C' || escapes[2] == 'E'))
		s->root[VIEW_JOLIET] = at + ISO_DESCRIPTOR_ROOT;
}

/* The session that begins at a sector; -ENOENT: none does. */
static int
read_session(struct iso *iso, uint64_t start, struct iso_session *ret, struct platter_error *err)
{
	uint64_t disk_size = pl_disk_size(iso->volume.disk);
	uint8_t d[ISO_SECTOR];

	*ret = (struct iso_session){ .start = start };
	for (unsigned i = 0; i < MAX_DESCRIPTORS; i++) {
		uint64_t at = (start + FIRST_DESCRIPTOR + i) * ISO_SECTOR;
		bool high_sierra;
		int r;

		if (!pl_in_range(at, sizeof d, disk_size))
			break;
		r = pl_meta_read(iso->volume.meta, d, sizeof d, at, err);
		if (r < 0)
			return r;
		if (!is_descriptor(d, &high_sierra) || (i && high_sierra != ret->high_sierra))
			break;
		ret->high_sierra = high_sierra;
		if (d[VD_TYPE + (high_sierra ? HS_SHIFT : 0)] == TYPE_END)
			break;
		take_descriptor(ret, d, at, disk_size / ISO_SECTOR);
	}
	return ret->root[VIEW_PLAIN] ? 0 : -ENOENT;
}

/*
 * Is this a later session, and not the image of another disc in a file or partition behind?
 * That would count its blocks from its own beginning.
 */
static bool
is_later(struct iso *iso, uint64_t start, struct iso_session *ret)
{
	struct iso at_home = *iso;
	struct iso_record root;

	if (read_session(iso, start, ret, NULL) < 0 || ret->high_sierra)
		return false;
	at_home.block_size = ret->block_size;
	at_home.first_block = 0;
	at_home.high_sierra = false;
	return pl_iso_read_record(&at_home, ret->root[VIEW_PLAIN], &root, NULL) == 0 &&
	       (uint64_t)root.block * ret->block_size >= start * ISO_SECTOR;
}

/* The session that follows one that ends before the disk does. */
static bool
find_next(struct iso *iso, uint64_t end, struct iso_session *ret)
{
	uint64_t sectors = pl_disk_size(iso->volume.disk) / ISO_SECTOR;

	for (uint64_t start = end; start < end + SEARCHED + ARRAY_SIZE(gaps); start++) {
		uint64_t tried =
			start < end + SEARCHED ? start : end + gaps[start - end - SEARCHED];
		uint8_t id[6];

		if (tried + FIRST_DESCRIPTOR >= sectors)
			continue;
		if (pl_meta_read(iso->volume.meta, id, sizeof id,
				 (tried + FIRST_DESCRIPTOR) * ISO_SECTOR, NULL) == 0 &&
		    id[0] == TYPE_PRIMARY && !memcmp(id + VD_ID, "CD001", 5) &&
		    is_later(iso, tried, ret))
			return true;
	}
	return false;
}

int
pl_iso_find_sessions(struct iso *iso, struct platter_error *err)
{
	uint64_t sectors = pl_disk_size(iso->volume.disk) / ISO_SECTOR;
	struct iso_session s;
	int r = read_session(iso, 0, &s, err);

	if (r == -ENOENT)
		return pl_corrupt(err, FIRST_DESCRIPTOR * ISO_SECTOR,
				  "no ISO 9660: there is no primary volume descriptor");
	while (r == 0) {
		struct iso_session *more =
			pl_realloc_array(iso->session, iso->nr_sessions + 1, sizeof *more);

		if (!more)
			return pl_no_memory(err);
		iso->session = more;
		iso->session[iso->nr_sessions++] = s;
		if (iso->nr_sessions == ISO_MAX_SESSIONS || s.end <= s.start + FIRST_DESCRIPTOR ||
		    s.end >= sectors || !find_next(iso, s.end, &s))
			break;
	}
	return r;
}
