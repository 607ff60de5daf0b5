/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzo-rle.c - LZO1X with runs of zeros, which Linux calls lzo-rle: Documentation/staging/lzo.rst
 * of the Linux kernel
 *
 * A stream of instructions, each of which copies what was decoded before and then up to three
 * bytes of the stream, or copies longer stretches of the stream.  Byte 17 at the start and a
 * version before the first instruction tell that one of them may also make zeros.
 */
#include "codec.h"

enum {
	MARK_VERSION = 17, /* of a stream that has a version, the first byte */
	M2_DISTANCE = 0x800,
	M4_DISTANCE = 0x4000,
	MIN_ZEROS = 4,
};

/* How the last instruction ended, which the meaning of those below 16 depends on. */
enum state {
	AFTER_COPY, /* with no bytes of the stream; 1 to 3: so many */
	AFTER_LITERALS = 4,
};

struct stream {
	struct pl_cursor in;
	uint8_t *out;
	size_t n, room;
};

static bool
put_literals(struct stream *s, size_t n)
{
	const uint8_t *p = n <= s->room - s->n ? pl_take(&s->in, n) : NULL;

	if (!p)
		return false;
	memcpy(s->out + s->n, p, n);
	s->n += n;
	return true;
}

/* What is copied may reach into what it makes. */
static bool
put_copy(struct stream *s, size_t distance, size_t n)
{
	uint8_t *to = s->out + s->n;

	if (distance > s->n || n > s->room - s->n)
		return false;
	for (size_t i = 0; i < n; i++)
		to[i] = to[(ptrdiff_t)i - (ptrdiff_t)distance];
	s->n += n;
	return true;
}

static bool
put_zeros(struct stream *s, size_t n)
{
	if (n > s->room - s->n)
		return false;
	memset(s->out + s->n, 0, n);
	s->n += n;
	return true;
}

/* A length that did not fit: 255 for each zero byte, and the byte that follows; 0: the end. */
static size_t
long_length(struct stream *s, size_t base)
{
	const uint8_t *p;

	while ((p = pl_take(&s->in, 1)) && !*p)
		base += 255;
	return p ? base + *p : 0;
}

/* The copy that instruction `t` makes; *ret_next: how many bytes of the stream follow it. */
static bool
copy(struct stream *s, unsigned t, enum state state, size_t *ret_next)
{
	const uint8_t *p;

	if (t >= 64) {
		*ret_next = t & 3;
		p = pl_take(&s->in, 1);
		return p && put_copy(s, 1 + (t >> 2 & 7) + (size_t)*p * 8, (t >> 5) + 1);
	}
	if (t >= 32) {
		size_t n = t & 31 ? (t & 31) + 2 : long_length(s, 33);

		p = n ? pl_take(&s->in, 2) : NULL;
		*ret_next = p ? p[0] & 3 : 0;
		return p && put_copy(s, 1 + (size_t)(get_le16(p) >> 2), n);
	}
	*ret_next = t & 3;
	p = pl_take(&s->in, 1);
	if (state == AFTER_LITERALS)
		return p && put_copy(s, 1 + M2_DISTANCE + (t >> 2) + (size_t)*p * 4, 3);
	return p && put_copy(s, 1 + (t >> 2) + (size_t)*p * 4, 2);
}

/* Instructions 16 to 31: a copy from far, zeros, or the end, which *ret_end tells. */
static bool
far_copy(struct stream *s, unsigned t, unsigned version, size_t *ret_next, bool *ret_end)
{
	size_t left = (size_t)(s->in.end - s->in.p), n, distance;
	const uint8_t *p = s->in.p;

	if (version && left >= 3 && (t & 8) && (get_le16(p) & 0xfffc) == 0xfffc) {
		p = pl_take(&s->in, 3);
		*ret_next = p[0] & 3;
		return put_zeros(s, (t & 7) + (size_t)p[2] * 8 + MIN_ZEROS);
	}
	n = t & 7 ? (t & 7) + 2 : long_length(s, 9);
	p = n ? pl_take(&s->in, 2) : NULL;
	if (!p)
		return false;
	*ret_next = p[0] & 3;
	distance = M4_DISTANCE + ((t & 8) << 11) + (get_le16(p) >> 2);
	*ret_end = distance == M4_DISTANCE;
	return *ret_end ? n == 3 : put_copy(s, distance, n);
}

static bool
run(struct stream *s)
{
	enum state state = AFTER_COPY;
	unsigned version = 0;
	bool end = false;

	if (s->in.end - s->in.p >= 5 && s->in.p[0] == MARK_VERSION)
		version = pl_take(&s->in, 2)[1];
	if (s->in.p<s->in.end && * s->in.p> 17) {
		size_t n = *pl_take(&s->in, 1) - 17u;

		if (!put_literals(s, n))
			return false;
		state = n < 4 ? (enum state)n : AFTER_LITERALS;
	}
	for (;;) {
		const uint8_t *p = pl_take(&s->in, 1);
		size_t next = 0;
		bool fine;

		if (!p)
			return false;
		if (*p < 16 && state == AFTER_COPY) {
			size_t n = *p ? *p + 3u : long_length(s, 18);

			if (!n || !put_literals(s, n))
				return false;
			state = AFTER_LITERALS;
			continue;
		}
		fine = *p >= 16 && *p < 32 ? far_copy(s, *p, version, &next, &end)
					   : copy(s, *p, state, &next);
		if (!fine || end)
			return fine;
		if (!put_literals(s, next))
			return false;
		state = (enum state)next;
	}
}

static int
unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
       struct platter_error *err)
{
	struct stream s = { .in = { in, in + n }, .out = out, .room = room };

	if (!run(&s))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged lzo-rle piece of %zu bytes", n);
	*ret = s.n;
	return 0;
}

const struct pl_unpacker pl_unpack_lzo_rle = {
	.decoder = { .name = "lzo-rle", .decode = pl_unpack_exactly },
	.unpack = unpack,
};
