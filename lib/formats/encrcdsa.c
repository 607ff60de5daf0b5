/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * encrcdsa.c - Apple's encrypted disk images: a file that is encrypted as a whole; cdsa.h has the
 * layout
 *
 * What is encrypted is the file of another image (UDIF, a sparse image) or of none, which is
 * looked for in it.  Images of before Mac OS X 10.4 have their keys behind the data, and are
 * refused.
 */
#include "cdsa.h"

static bool
is_old(const struct pl_probe *probe)
{
	return probe->size >= PL_PROBE_TAIL && memcmp(probe->tail + PL_PROBE_TAIL - CDSA_MAGIC_SIZE,
						      CDSA_OLD_MAGIC, CDSA_MAGIC_SIZE) == 0;
}

static int
encrcdsa_probe(const struct pl_probe *probe)
{
	if (memcmp(probe->head, CDSA_MAGIC, CDSA_MAGIC_SIZE) == 0)
		return get_be32(probe->head + CDSA_MAGIC_SIZE) == 2 ? 96 : 64;
	return is_old(probe) ? 64 : 0;
}

/* The keys of the first version are at the end. */
static int
refuse_old(struct pl_disk *file, struct platter_error *err)
{
	uint8_t magic[CDSA_MAGIC_SIZE];
	int r;

	if (file->size < sizeof magic)
		return 0;
	r = pl_read(file, magic, sizeof magic, file->size - sizeof magic, err);
	if (r < 0 || memcmp(magic, CDSA_OLD_MAGIC, sizeof magic) != 0)
		return r;
	r = pl_unsupported(err, file->size - sizeof magic,
			   "encrypted images of version 1 (cdsaencr, before Mac OS X 10.4) are not"
			   " readable");
	pl_hint(err, "convert it with hdiutil on a Mac that still opens it");
	return r;
}

/* What of it is there, in whole blocks. */
static uint64_t
stored_length(const struct pl_disk *file, const struct pl_cdsa_header *header)
{
	if (file->size < header->data_offset)
		return 0;
	return pl_round_down(file->size - header->data_offset, header->block_size);
}

static int
open_parts(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	struct pl_cdsa_layout layout = { .has_header = true };
	struct pl_cdsa_header header;
	struct pl_cdsa_keys keys;
	int r = pl_cdsa_read_header(file, &header, err);

	if (r == 0)
		r = pl_cdsa_check_place(&header, err);
	if (r == 0)
		r = pl_cdsa_unlock(file, &header, &keys, err);
	if (r < 0)
		return r;
	layout.data_offset = header.data_offset;
	layout.length = header.length;
	if (request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS)
		layout.length = PL_MIN(layout.length, stored_length(file, &header));
	r = pl_cdsa_disk_new(file, &header, &keys, &layout, request->flags & PLATTER_OPEN_WRITE,
			     ret, err);
	pl_cdsa_wipe(&keys, sizeof keys);
	return r;
}

static int
encrcdsa_open(const struct pl_open_request *request, struct pl_disk **ret,
	      struct platter_error *err)
{
	uint8_t magic[CDSA_MAGIC_SIZE];
	int r = pl_read_padded(request->file, magic, sizeof magic, 0, NULL, err);

	if (r == 0 && memcmp(magic, CDSA_MAGIC, sizeof magic) != 0)
		r = refuse_old(request->file, err);
	if (r == 0)
		r = open_parts(request, ret, err);
	if (r < 0)
		pl_error_place(err, request->file->name);
	return r;
}

static const char *const extensions[] = { NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_encrcdsa = {
	.info = {
		.name = "encrcdsa",
		.longname = "Apple encrypted disk image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE,
		.options = options,
	},
	.probe = encrcdsa_probe,
	.open = encrcdsa_open,
	.wraps = true,
	.disk_ops = &pl_cdsa_disk_ops,
};
