/* SPDX-License-Identifier: GPL-3.0-or-later */
/* footer.c - the footer of a VHD: which of its two copies to believe, and geometry */
#include "vhd.h"

static const char cookie[8] = { 'c', 'o', 'n', 'e', 'c', 't', 'i', 'x' };

uint32_t
pl_vhd_checksum(const uint8_t *bytes, size_t n, size_t field)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (i < field || i >= field + 4)
			sum += bytes[i];
	return ~sum;
}

static bool
sum_matches(const uint8_t *b)
{
	return get_be32(b + VHD_CHECKSUM) == pl_vhd_checksum(b, VHD_FOOTER_SIZE, VHD_CHECKSUM);
}

static bool
has_cookie(const uint8_t *b)
{
	return memcmp(b, cookie, sizeof cookie) == 0;
}

static void
take_code(const uint8_t *b, char ret[static 5])
{
	for (size_t i = 0; i < 4; i++)
		ret[i] = b[i] >= 0x20 && b[i] < 0x7f ? (char)b[i] : ' ';
	ret[4] = '\0';
}

static void
decode(const uint8_t *b, struct vhd_footer *f)
{
	*f = (struct vhd_footer){
		.features = get_be32(b + VHD_FEATURES),
		.data_offset = get_be64(b + VHD_DATA_OFFSET),
		.timestamp = get_be32(b + VHD_TIMESTAMP),
		.creator_version = get_be32(b + VHD_CREATOR_VERSION),
		.original_size = get_be64(b + VHD_ORIGINAL_SIZE),
		.current_size = get_be64(b + VHD_CURRENT_SIZE),
		.cylinders = get_be16(b + VHD_GEOMETRY),
		.heads = b[VHD_GEOMETRY + 2],
		.sectors = b[VHD_GEOMETRY + 3],
		.type = get_be32(b + VHD_DISK_TYPE),
		.saved_state = b[VHD_SAVED_STATE],
	};
	take_code(b + VHD_CREATOR, f->creator);
	take_code(b + VHD_CREATOR_HOST, f->creator_host);
	memcpy(f->uuid, b + VHD_UUID, sizeof f->uuid);
}

static int
check(const uint8_t *b, uint64_t at, const struct vhd_footer *f, struct platter_error *err)
{
	uint32_t version = get_be32(b + VHD_VERSION);

	/* Minor versions change nothing that a reader must know, says the specification. */
	if (version >> 16 != VHD_VERSION_1 >> 16)
		return pl_unsupported(err, at + VHD_VERSION,
				      "VHD version %" PRIu32 ".%" PRIu32 " is not known",
				      version >> 16, version & 0xffff);
	if (f->type < VHD_FIXED || f->type > VHD_DIFFERENCING)
		return pl_unsupported(err, at + VHD_DISK_TYPE,
				      "VHD of type %" PRIu32
				      ", known are 2 (fixed), 3 (dynamic) and 4 (differencing)",
				      f->type);
	return 0;
}

/* The two places where a footer may stand, read. */
struct ends {
	uint8_t tail[VHD_FOOTER_SIZE], head[VHD_FOOTER_SIZE];
	uint64_t tail_at;
	bool tail_there, tail_good;
	bool head_there, head_good;
	bool is_short;
};

static int
read_ends(struct pl_disk *file, struct ends *e, struct platter_error *err)
{
	int r;

	if (file->size < VHD_FOOTER_SIZE)
		return pl_corrupt(err, 0, "file of %" PRIu64 " bytes is too short for a VHD",
				  file->size);
	e->tail_at = file->size - VHD_FOOTER_SIZE;
	r = pl_read(file, e->tail, VHD_FOOTER_SIZE, e->tail_at, err);
	if (r == 0)
		r = pl_read(file, e->head, VHD_FOOTER_SIZE, 0, err);
	if (r < 0)
		return r;
	/* Virtual PC releases before 2004 left out the last byte, a zero. */
	if (!has_cookie(e->tail) && has_cookie(e->tail + 1)) {
		memmove(e->tail, e->tail + 1, VHD_FOOTER_SIZE - 1);
		e->tail[VHD_FOOTER_SIZE - 1] = 0;
		e->tail_at++;
		e->is_short = true;
	}
	e->tail_there = has_cookie(e->tail);
	e->tail_good = e->tail_there && sum_matches(e->tail);
	e->head_there = has_cookie(e->head);
	e->head_good = e->head_there && sum_matches(e->head);
	return 0;
}

/* Believe the tail (false: the copy)?  Errors: neither can be believed. */
static int
choose(const struct ends *e, unsigned flags, bool *ret_tail, struct platter_error *err)
{
	int r;

	*ret_tail = true;
	if (e->tail_good)
		return 0;
	if (e->head_good) {
		*ret_tail = false;
		return 0;
	}
	/* Two equal copies were not damaged; whoever wrote them could not add up. */
	if (e->tail_there && e->head_there && !memcmp(e->tail, e->head, VHD_FOOTER_SIZE))
		return 0;
	*ret_tail = e->tail_there;
	if (!e->tail_there && !e->head_there)
		return pl_corrupt(err, e->tail_at,
				  "no VHD footer, neither at the end of the file"
				  " nor at its start");
	if (flags & PLATTER_OPEN_IGNORE_CHECKSUMS)
		return 0;
	r = pl_corrupt(err, (e->tail_there ? e->tail_at : 0) + VHD_CHECKSUM,
		       "checksum of the VHD footer does not match, and there is no copy of it");
	pl_hint(err, "compare the file with the original; it was damaged");
	return r;
}

static unsigned
damage_of(const struct ends *e, const struct vhd_footer *f)
{
	unsigned damage = 0;

	if (!e->tail_there)
		damage |= VHD_TAIL_MISSING;
	else if (!e->tail_good)
		damage |= VHD_TAIL_SUM;
	if (e->is_short)
		damage |= VHD_TAIL_SHORT;
	if (f->type == VHD_FIXED)
		return damage;
	if (!e->head_there)
		damage |= VHD_COPY_MISSING;
	else if (!e->head_good)
		damage |= VHD_COPY_SUM;
	else if (e->tail_good && memcmp(e->tail, e->head, VHD_FOOTER_SIZE) != 0)
		damage |= VHD_COPY_DIFFERS;
	return damage;
}

int
pl_vhd_footer_read(struct pl_disk *file, unsigned flags, struct vhd_footer *ret, uint64_t *ret_at,
		   uint64_t *ret_end, unsigned *ret_damage, struct platter_error *err)
{
	struct ends e = { 0 };
	struct vhd_footer f;
	uint64_t at;
	bool tail;
	int r = read_ends(file, &e, err);

	if (r == 0)
		r = choose(&e, flags, &tail, err);
	if (r < 0)
		return r;
	at = tail ? e.tail_at : 0;
	decode(tail ? e.tail : e.head, &f);
	r = check(tail ? e.tail : e.head, at, &f, err);
	if (r < 0)
		return r;
	if (!tail && f.type == VHD_FIXED)
		return pl_corrupt(err, e.tail_at, "no VHD footer at the end of a fixed disk");
	*ret = f;
	*ret_at = at;
	*ret_end = e.tail_there ? e.tail_at : file->size;
	*ret_damage = damage_of(&e, &f);
	return 0;
}

void
pl_vhd_geometry(uint64_t size, struct vhd_footer *ret)
{
	uint64_t total = PL_MIN(size / 512, VHD_MAX_CHS), tracks; /* cylinders times heads */
	uint64_t heads = 16, sectors;

	if (total >= 65535ull * 16 * 63) {
		sectors = 255;
		tracks = total / sectors;
	} else {
		sectors = 17;
		tracks = total / sectors;
		heads = PL_MAX(4, pl_div_round_up(tracks, 1024));
		if (tracks >= heads * 1024 || heads > 16) {
			sectors = 31;
			heads = 16;
			tracks = total / sectors;
		}
		if (tracks >= heads * 1024) {
			sectors = 63;
			heads = 16;
			tracks = total / sectors;
		}
	}
	ret->cylinders = (uint16_t)(tracks / heads);
	ret->heads = (uint8_t)heads;
	ret->sectors = (uint8_t)sectors;
}

void
pl_vhd_footer_encode(const struct vhd_footer *f, uint8_t b[static VHD_FOOTER_SIZE])
{
	memset(b, 0, VHD_FOOTER_SIZE);
	memcpy(b, cookie, sizeof cookie);
	put_be32(b + VHD_FEATURES, f->features);
	put_be32(b + VHD_VERSION, VHD_VERSION_1);
	put_be64(b + VHD_DATA_OFFSET, f->data_offset);
	put_be32(b + VHD_TIMESTAMP, f->timestamp);
	memcpy(b + VHD_CREATOR, f->creator, 4);
	put_be32(b + VHD_CREATOR_VERSION, f->creator_version);
	memcpy(b + VHD_CREATOR_HOST, f->creator_host, 4);
	put_be64(b + VHD_ORIGINAL_SIZE, f->original_size);
	put_be64(b + VHD_CURRENT_SIZE, f->current_size);
	put_be16(b + VHD_GEOMETRY, f->cylinders);
	b[VHD_GEOMETRY + 2] = f->heads;
	b[VHD_GEOMETRY + 3] = f->sectors;
	put_be32(b + VHD_DISK_TYPE, f->type);
	memcpy(b + VHD_UUID, f->uuid, sizeof f->uuid);
	b[VHD_SAVED_STATE] = f->saved_state;
	put_be32(b + VHD_CHECKSUM, pl_vhd_checksum(b, VHD_FOOTER_SIZE, VHD_CHECKSUM));
}
