/* SPDX-License-Identifier: GPL-3.0-or-later */
/* header.c - the start of a VHDX: which of the two headers is the current one */
#include "checksums.h"
#include "parent.h"
#include "text.h"
#include "vhdx.h"

/* 2DC27766-F623-4200-9D64-115E9BFD4A08 */
const uint8_t pl_vhdx_guid_bat[16] = { 0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
				       0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08 };
/* 8B7CA206-4790-4B9A-B8FE-575F050F886E */
const uint8_t pl_vhdx_guid_metadata[16] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
					    0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
/* CAA16737-FA36-4D43-B3B6-33F0AA44E76B */
const uint8_t pl_vhdx_guid_parameters[16] = { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
					      0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b };
/* 2FA54224-CD1B-4876-B211-5DBED83BF4B8 */
const uint8_t pl_vhdx_guid_size[16] = { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
					0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 };
/* BECA12AB-B2E6-4523-93EF-C309E000C746 */
const uint8_t pl_vhdx_guid_id[16] = { 0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
				      0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46 };
/* 8141BF1D-A96F-4709-BA47-F233A8FAAB5F */
const uint8_t pl_vhdx_guid_sector[16] = { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
					  0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f };
/* CDA348C7-445D-4471-9CC9-E9885251C556 */
const uint8_t pl_vhdx_guid_physical[16] = { 0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
					    0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56 };
/* A8D35F2D-B30B-454D-ABF7-D3D84834AB0C */
const uint8_t pl_vhdx_guid_locator[16] = { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
					   0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c };
/* B04AEFB7-D19E-4A81-B789-25B8E9445913 */
const uint8_t pl_vhdx_guid_locator_type[16] = { 0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a,
						0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13 };

uint32_t
pl_vhdx_crc(const uint8_t *bytes, size_t n)
{
	static const uint8_t zero[4];
	uint32_t crc = pl_crc32c(0, bytes, VHDX_CRC);

	crc = pl_crc32c(crc, zero, sizeof zero);
	return pl_crc32c(crc, bytes + VHDX_CRC + 4, n - VHDX_CRC - 4);
}

static void
decode(const uint8_t *b, uint64_t at, struct vhdx_header *h)
{
	*h = (struct vhdx_header){
		.at = at,
		.sequence = get_le64(b + VHDX_SEQUENCE),
		.log_length = get_le32(b + VHDX_LOG_LENGTH),
		.log_offset = get_le64(b + VHDX_LOG_OFFSET),
	};
	memcpy(h->data_write_guid, b + VHDX_DATA_WRITE_GUID, 16);
	memcpy(h->log_guid, b + VHDX_LOG_GUID, 16);
}

static bool
is_header(const uint8_t *b)
{
	return memcmp(b, "head", 4) == 0;
}

static bool
is_good(const uint8_t *b)
{
	return is_header(b) && get_le32(b + VHDX_CRC) == pl_vhdx_crc(b, VHDX_HEADER_SIZE);
}

/* The fields of the header that was chosen. */
static int
check(const uint8_t *b, const struct pl_disk *file, const struct vhdx_header *h,
      struct platter_error *err)
{
	if (get_le16(b + VHDX_VERSION) != 1)
		return pl_unsupported(err, h->at + VHDX_VERSION, "VHDX version %u is not known",
				      get_le16(b + VHDX_VERSION));
	if (vhdx_is_zero_guid(h->log_guid))
		return 0;
	if (get_le16(b + VHDX_LOG_VERSION) != 0)
		return pl_unsupported(err, h->at + VHDX_LOG_VERSION,
				      "log of version %u is not known",
				      get_le16(b + VHDX_LOG_VERSION));
	if (h->log_length % VHDX_UNIT || !h->log_length)
		return pl_corrupt(err, h->at + VHDX_LOG_LENGTH,
				  "log of %" PRIu32 " bytes, which are no whole MiB",
				  h->log_length);
	if (h->log_offset % VHDX_UNIT || h->log_offset < VHDX_UNIT ||
	    !pl_in_range(h->log_offset, h->log_length, file->size))
		return pl_corrupt(err, h->at + VHDX_LOG_OFFSET,
				  "log of %" PRIu32 " bytes at byte %" PRIu64
				  ": not at a whole MiB after the first within the file (%" PRIu64
				  " bytes)",
				  h->log_length, h->log_offset, file->size);
	return 0;
}

static int
choose(const uint8_t *b1, const uint8_t *b2, unsigned flags, struct vhdx_info *info,
       const uint8_t **ret, struct platter_error *err)
{
	bool good1 = is_good(b1), good2 = is_good(b2);
	uint64_t s1 = get_le64(b1 + VHDX_SEQUENCE), s2 = get_le64(b2 + VHDX_SEQUENCE);
	int r;

	if (!good1 && !good2 && flags & PLATTER_OPEN_IGNORE_CHECKSUMS) {
		good1 = is_header(b1);
		good2 = is_header(b2);
		info->damage |= VHDX_CRC_IGNORED;
	}
	if (!good1 && !good2) {
		r = pl_corrupt(err, VHDX_HEADER_1 + (is_header(b1) ? VHDX_CRC : 0),
			       "neither header of the VHDX is sound");
		pl_hint(err, "compare the file with the original; it was damaged");
		return r;
	}
	if (!good1 || !good2)
		info->damage |= VHDX_HEADER_LOST;
	else if (s1 == s2 && memcmp(b1, b2, VHDX_HEADER_SIZE) != 0)
		info->damage |= VHDX_HEADERS_DIFFER;
	*ret = good1 && (!good2 || s1 >= s2) ? b1 : b2;
	return 0;
}

int
pl_vhdx_header_read(struct pl_disk *file, unsigned flags, struct vhdx_info *info,
		    struct platter_error *err)
{
	uint8_t id[512], b1[VHDX_HEADER_SIZE], b2[VHDX_HEADER_SIZE];
	const uint8_t *b;
	int r;

	if (file->size < VHDX_UNIT)
		return pl_corrupt(err, 0, "file of %" PRIu64 " bytes is too short for a VHDX",
				  file->size);
	r = pl_read(file, id, sizeof id, 0, err);
	if (r == 0)
		r = pl_read(file, b1, sizeof b1, VHDX_HEADER_1, err);
	if (r == 0)
		r = pl_read(file, b2, sizeof b2, VHDX_HEADER_2, err);
	if (r < 0)
		return r;
	if (memcmp(id, "vhdxfile", 8) != 0)
		return pl_corrupt(err, 0, "no VHDX signature");
	info->creator = pl_text_from_utf16le(id + 8, 252);
	if (!info->creator)
		return pl_no_memory(err);
	r = choose(b1, b2, flags, info, &b, err);
	if (r < 0)
		return r;
	decode(b, b == b1 ? VHDX_HEADER_1 : VHDX_HEADER_2, &info->header);
	return check(b, file, &info->header, err);
}

/* Make the header that is not the current one so. */
static int
write_other(struct pl_disk *file, uint8_t *b, struct vhdx_header *h, struct platter_error *err)
{
	uint64_t at = h->at == VHDX_HEADER_1 ? VHDX_HEADER_2 : VHDX_HEADER_1;
	int r;

	put_le64(b + VHDX_SEQUENCE, h->sequence + 1);
	put_le32(b + VHDX_CRC, pl_vhdx_crc(b, VHDX_HEADER_SIZE));
	r = pl_write(file, b, VHDX_HEADER_SIZE, at, err);
	if (r == 0)
		r = pl_flush(file, err);
	if (r < 0)
		return r;
	h->at = at;
	h->sequence++;
	return 0;
}

/* `guid`: the DataWriteGuid, NULL: as it was. */
static int
update(struct pl_disk *file, struct vhdx_header *h, bool changes_file, const uint8_t *guid,
       struct platter_error *err)
{
	uint8_t b[VHDX_HEADER_SIZE];
	int r = pl_read(file, b, sizeof b, h->at, err);

	if (r == 0 && h->sequence > UINT64_MAX - 2)
		r = pl_corrupt(err, h->at + VHDX_SEQUENCE,
			       "the header's sequence number is the last");
	if (r == 0 && changes_file)
		r = pl_new_guid(b + VHDX_FILE_WRITE_GUID, err);
	if (r < 0)
		return r;
	if (guid)
		memcpy(b + VHDX_DATA_WRITE_GUID, guid, 16);
	memcpy(b + VHDX_LOG_GUID, h->log_guid, 16);
	r = write_other(file, b, h, err);
	/* Then no older one is left that could count if this is damaged. */
	if (r == 0)
		r = write_other(file, b, h, err);
	if (r == 0)
		memcpy(h->data_write_guid, b + VHDX_DATA_WRITE_GUID, 16);
	return r;
}

int
pl_vhdx_header_update(struct pl_disk *file, struct vhdx_header *h, unsigned changes,
		      struct platter_error *err)
{
	bool changes_data = changes & VHDX_CHANGES_DATA;
	uint8_t guid[16];
	int r = changes_data ? pl_new_guid(guid, err) : 0;

	if (r < 0)
		return r;
	return update(file, h, changes & VHDX_CHANGES_FILE, changes_data ? guid : NULL, err);
}

int
pl_vhdx_header_name(struct pl_disk *file, struct vhdx_header *h,
		    const uint8_t data_write_guid[static 16], struct platter_error *err)
{
	return update(file, h, false, data_write_guid, err);
}
