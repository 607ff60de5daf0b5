/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sectors.c - raw sectors of a CD without anything that describes them, read only
 *
 * Dumps called .bin, .img, .mdf, .sub and much else: sectors of 2352 bytes, each of which begins
 * with a sync pattern; with 96 bytes of subchannel behind it; or, of mode 2, 2336 bytes from the
 * subheader on, which are known by the volume descriptor of ISO 9660.  They are one data track.
 */
#include "reader.h"

/* The volume descriptor is in sector 16. */
#define DESCRIPTOR_SECTOR 16

struct layout {
	uint32_t stride, main_bytes;
	enum pl_subchannel sub;
	enum platter_track_mode mode;
};

/* Sync patterns at the start of the first sectors. */
static bool
has_syncs(const uint8_t *head, uint64_t n, uint32_t stride)
{
	for (uint64_t at = 0; at < 3ull * stride && at + PL_SECTOR_RAW <= n; at += stride)
		if (!pl_sector_has_sync(head + at))
			return false;
	return n >= PL_SECTOR_RAW;
}

static enum platter_track_mode
mode_of(const uint8_t *sector)
{
	uint8_t settled[PL_SECTOR_RAW];

	memcpy(settled, sector, sizeof settled);
	if (pl_sector_is_scrambled(settled))
		pl_sector_scramble(settled);
	return pl_sector_kind(settled) == PL_SECTOR_MODE1 ? PLATTER_TRACK_MODE1
							  : PLATTER_TRACK_MODE2;
}

/* Evidence in bits, and how sectors lie in a file of `size` bytes that begins with `head`. */
static int
recognise(const uint8_t *head, uint64_t size, struct layout *ret)
{
	static const struct {
		uint32_t stride;
		enum pl_subchannel sub;
	} raw[] = { { PL_SECTOR_RAW, PL_SUB_NONE },
		    { PL_SECTOR_RAW + 96, PL_SUB_RAW96 },
		    { PL_SECTOR_RAW + 16, PL_SUB_Q16 } };
	uint64_t n = PL_MIN(size, (uint64_t)PL_PROBE_HEAD);
	const uint8_t *descriptor = head + DESCRIPTOR_SECTOR * PL_SECTOR_MODE2_DATA + 8;

	for (size_t i = 0; i < ARRAY_SIZE(raw); i++)
		if (has_syncs(head, n, raw[i].stride)) {
			*ret = (struct layout){ .stride = raw[i].stride,
						.main_bytes = PL_SECTOR_RAW,
						.sub = raw[i].sub,
						.mode = mode_of(head) };
			return 96;
		}
	if (n > DESCRIPTOR_SECTOR * PL_SECTOR_MODE2_DATA + KIB(2) &&
	    !memcmp(descriptor, "\1CD001", 6)) {
		*ret = (struct layout){ .stride = PL_SECTOR_MODE2_DATA,
					.main_bytes = PL_SECTOR_MODE2_DATA,
					.mode = PLATTER_TRACK_MODE2 };
		return 48;
	}
	return 0;
}

static int
sectors_probe(const struct pl_probe *probe)
{
	struct layout layout;

	return recognise(probe->head, probe->size, &layout);
}

static int
sectors_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	PL_AUTOFREE uint8_t *head = malloc(PL_PROBE_HEAD);
	struct platter_track track = { .number = 1, .session = 1 };
	struct pl_disc_run run = { .file = file };
	struct layout layout;
	int r;

	if (!head)
		return pl_no_memory(err);
	r = pl_read_padded(file, head, PL_PROBE_HEAD, 0, NULL, err);
	if (r < 0)
		return r;
	if (!recognise(head, file->size, &layout)) {
		r = pl_corrupt(err, 0, "no sectors of a data track: sync patterns are missing");
		pl_hint(err, "sound, and discs of several tracks, need their .cue, .toc or .ccd");
		return r;
	}
	track.mode = layout.mode;
	run.main_bytes = layout.main_bytes;
	run.stride = layout.stride;
	run.sub = layout.sub;
	run.nr = PL_MAX(file->size / layout.stride, (uint64_t)1);
	r = pl_disc_add_track(disc, &track, NULL, err);
	return r < 0 ? r : pl_disc_add_run(disc, &run, err);
}

static const struct pl_disk_ops sectors_ops = PL_DISC_OPS("sectors");

static int
sectors_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &sectors_ops, sectors_read, ret, err);
}

static const char *const extensions[] = { NULL };

const struct pl_format pl_format_sectors = {
	.info = {
		.name = "sectors",
		.longname = "raw sectors of a CD",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.holds = PLATTER_HOLDS_DISC,
	},
	.probe = sectors_probe,
	.open = sectors_open,
	.check = pl_disc_check,
	.many_disks = true,
	.disk_ops = &sectors_ops,
};
