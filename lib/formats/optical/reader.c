/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reader.c - what the readers of disc images share */
#include "reader.h"

int
pl_reader_load(struct pl_disk *file, size_t least, uint8_t **ret, size_t *ret_n,
	       struct platter_error *err)
{
	if (file->size < least)
		return pl_corrupt(err, 0, "file of %" PRIu64 " bytes, the least is %zu", file->size,
				  least);
	if (file->size > PL_READER_MAX)
		return pl_over_limit(err, 0, "file of %" PRIu64 " bytes, limit is %" PRIu64,
				     file->size, PL_READER_MAX);
	*ret_n = (size_t)file->size;
	return pl_read_alloc(file, *ret_n, 0, ret, err);
}

int
pl_reader_open(const struct pl_open_request *request, const struct pl_disk_ops *ops,
	       int (*read)(const struct pl_open_request *request, struct pl_disc *disc,
			   struct platter_error *err),
	       struct pl_disk **ret, struct platter_error *err)
{
	struct pl_disc *disc = pl_disc_new(err);
	int r;

	if (!disc)
		return -ENOMEM;
	r = read(request, disc, err);
	if (r == 0)
		r = pl_disc_finish(disc, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		pl_disc_unref(disc);
		return r;
	}
	return pl_disc_open(disc, ops, request, ret, err);
}

/* Q has them in another order than a sheet of flags. */
static const struct {
	unsigned control, flag;
} control_bits[] = {
	{ 1, PLATTER_TRACK_PREEMPHASIS },
	{ 2, PLATTER_TRACK_COPY },
	{ 8, PLATTER_TRACK_FOUR_CHANNELS },
};

unsigned
pl_reader_flags(unsigned control)
{
	unsigned flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(control_bits); i++)
		if (control & control_bits[i].control)
			flags |= control_bits[i].flag;
	return flags;
}

unsigned
pl_reader_control(const struct platter_track *track)
{
	unsigned control = track->mode == PLATTER_TRACK_AUDIO ? 0 : PL_CONTROL_DATA;

	for (size_t i = 0; i < ARRAY_SIZE(control_bits); i++)
		if (track->flags & control_bits[i].flag)
			control |= control_bits[i].control;
	return control;
}

const char *
pl_reader_isrc(struct pl_disc *disc, const uint8_t *bytes)
{
	char text[13] = "";

	memcpy(text, bytes, 12);
	return pl_is_isrc(text) ? pl_disc_text(disc, text, 12) : "";
}

const char *
pl_reader_mcn(struct pl_disc *disc, const uint8_t *bytes)
{
	char text[14] = "";

	memcpy(text, bytes, 13);
	/* Zeros stand for none. */
	return pl_is_mcn(text) && strspn(text, "0") < 13 ? pl_disc_text(disc, text, 13) : "";
}
