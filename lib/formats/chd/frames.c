/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * frames.c - the frames that a CHD of a CD holds, made of the sectors of the disc
 *
 * Each sector is filled up to 2448 bytes, each track to a multiple of 4 frames, and the bytes of
 * samples are swapped.
 */
#include "chd.h"
#include "disc.h"

/* Frames that are made at once: those of a hunk of the usual size. */
#define GROUP 8

struct track {
	struct pl_decoder decoder;
	struct frames *frames;
	struct frames_track told;
	uint64_t first, end; /* frames, those that fill up included */
};

struct frames {
	struct pl_disk disk;
	struct pl_disk *sectors; /* a reference */
	uint32_t sector_size;
	size_t nr;
	struct track tracks[PL_DISC_MAX_TRACKS];
};

static struct frames *
frames_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct frames, disk);
}

/* 12 bytes P, 12 bytes Q, ... become bytes that have a bit of each. */
static void
interleave(const uint8_t *packed, uint8_t *out)
{
	memset(out, 0, SUB_BYTES);
	for (unsigned channel = 0; channel < 8; channel++)
		for (unsigned i = 0; i < SUB_BYTES; i++)
			if (packed[channel * 12 + i / 8] >> (7 - i % 8) & 1)
				out[i] |= (uint8_t)(0x80 >> channel);
}

static int
make_frames(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct track *t =
		(const void *)((const char *)decoder - offsetof(struct track, decoder));
	size_t n = t->frames->sector_size;

	for (; out_size; out += FRAME_BYTES, out_size -= FRAME_BYTES, in += n) {
		size_t sector = PL_MIN(n, (size_t)SECTOR_BYTES);

		memcpy(out, in, sector);
		memset(out + sector, 0, FRAME_BYTES - sector);
		for (size_t i = 0; t->told.swap && i < SECTOR_BYTES; i += 2) {
			out[i] = in[i + 1];
			out[i + 1] = in[i];
		}
		if (n == FRAME_BYTES)
			interleave(in + SECTOR_BYTES, out + SECTOR_BYTES);
	}
	return 0;
}

static struct track *
find_track(struct frames *f, uint64_t frame)
{
	size_t i = 0;

	while (i + 1 < f->nr && frame >= f->tracks[i].end)
		i++;
	return &f->tracks[i];
}

/* Cut the extent where sectors that could not be read begin, or end. */
static int
look_for_bad(struct frames *f, uint64_t sector, uint64_t nr, struct pl_extent *ret,
	     uint64_t in_frame, struct platter_error *err)
{
	uint64_t at = sector * f->sector_size, end = (sector + nr) * f->sector_size, length;
	uint64_t start = at;
	enum platter_kind kind;
	int r = 0;

	for (; at < end; at += length) {
		r = pl_span(f->sectors, at, end - at, &kind, &length, err);
		if (r < 0)
			return r;
		if (kind == PLATTER_BAD)
			break;
	}
	if (at >= end)
		return 0;
	if (at - start < f->sector_size) {
		nr = pl_div_round_up(at + length - start, f->sector_size);
		*ret = (struct pl_extent){ .kind = PLATTER_BAD };
	} else {
		nr = (at - start) / f->sector_size;
	}
	ret->length = nr * FRAME_BYTES - in_frame;
	return 0;
}

static int
frames_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	struct frames *f = frames_of(disk);
	uint64_t frame = offset / FRAME_BYTES, first, end;
	struct track *t = find_track(f, frame);

	(void)length;
	if (frame - t->first >= t->told.nr) {
		*ret = (struct pl_extent){ .kind = PLATTER_ZERO,
					   .length = t->end * FRAME_BYTES - offset };
		return 0;
	}
	first = PL_MAX(pl_round_down(frame, GROUP), t->first);
	end = PL_MIN(pl_round_down(frame, GROUP) + GROUP, t->first + t->told.nr);
	*ret = (struct pl_extent){
		.length = end * FRAME_BYTES - offset,
		.kind = PLATTER_DATA,
		.below = f->sectors,
		.stored_offset = (t->told.position + first - t->first) * f->sector_size,
		.stored_length = (end - first) * f->sector_size,
		.decoder = &t->decoder,
		.chunk_offset = first * FRAME_BYTES,
		.chunk_length = (uint32_t)(end - first) * FRAME_BYTES,
	};
	return look_for_bad(f, t->told.position + frame - t->first, end - frame, ret,
			    offset % FRAME_BYTES, err);
}

static struct pl_disk *
frames_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? frames_of(disk)->sectors : NULL;
}

static void
frames_free(struct pl_disk *disk)
{
	pl_disk_unref(frames_of(disk)->sectors);
	pl_disk_done(disk);
	free(frames_of(disk));
}

static const struct pl_disk_ops frames_ops = {
	.name = "frames",
	.map = frames_map,
	.below = frames_below,
	.free = frames_free,
};

int
pl_chd_frames_new(struct pl_disk *sectors, uint32_t sector_size, const struct frames_track *tracks,
		  size_t nr, struct pl_disk **ret, struct platter_error *err)
{
	struct frames *f = calloc(1, sizeof *f);
	uint64_t frame = 0;
	int r;

	if (!f)
		return pl_no_memory(err);
	r = pl_disk_init(&f->disk, &frames_ops, sectors->name, err);
	if (r < 0) {
		free(f);
		return r;
	}
	f->sectors = pl_disk_ref(sectors);
	f->sector_size = sector_size;
	f->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		f->tracks[i] =
			(struct track){ .decoder = { .name = "frames", .decode = make_frames },
					.frames = f,
					.told = tracks[i],
					.first = frame };
		frame = f->tracks[i].end = frame + pl_round_up(tracks[i].nr, TRACK_PADDING);
	}
	f->disk.size = frame * FRAME_BYTES;
	r = pl_disk_stack(&f->disk, sectors, err);
	if (r < 0) {
		frames_free(&f->disk);
		return r;
	}
	*ret = &f->disk;
	return 0;
}
