/* SPDX-License-Identifier: GPL-3.0-or-later */
/* map-write.c - the compressed map of a new CHD; map.c has the layout */
#include "chd.h"
#include "huffman.h"

/* Repetitions of a type that is there already. */
enum {
	SHORT_LEAST = 3,
	LONG_LEAST = 19,
	LONG_MOST = LONG_LEAST + 255,
};

/* The types as symbols: first only counted, then written. */
struct type_writer {
	uint32_t counts[MAP_NR_TYPES];
	struct pl_huffman *code;
	struct pl_bit_sink *sink; /* NULL: count */
	uint32_t type;            /* that is held back, */
	uint64_t nr;              /* and how often */
};

static void
put_symbol(struct type_writer *w, unsigned symbol)
{
	if (w->sink)
		pl_huffman_encode(w->code, w->sink, symbol);
	else
		w->counts[symbol]++;
}

static void
put_held(struct type_writer *w)
{
	uint64_t left = w->nr;

	if (left)
		put_symbol(w, w->type);
	for (left -= left > 0; left;) {
		unsigned n = (unsigned)PL_MIN(left, (uint64_t)LONG_MOST);

		if (n >= LONG_LEAST) {
			put_symbol(w, MAP_REPEAT_LONG);
			put_symbol(w, (n - LONG_LEAST) >> 4);
			put_symbol(w, (n - LONG_LEAST) & 15);
		} else if (n >= SHORT_LEAST) {
			put_symbol(w, MAP_REPEAT_SHORT);
			put_symbol(w, n - SHORT_LEAST);
		} else {
			put_symbol(w, w->type);
			n = 1;
		}
		left -= n;
	}
	w->nr = 0;
}

static void
put_type(struct type_writer *w, uint32_t type, uint64_t nr)
{
	if (w->type != type) {
		put_held(w);
		w->type = type;
	}
	w->nr += nr;
}

/* How a hunk that is as another is told, when the last such was as hunk `last`. */
static uint32_t
self_type(uint64_t value, uint64_t last)
{
	return value == last ? MAP_SELF_SAME : value == last + 1 ? MAP_SELF_NEXT : MAP_SELF;
}

static uint64_t
run_length(const struct hunk_map *m, size_t i, uint64_t nr_hunks)
{
	return (i + 1 < m->nr ? m->runs[i + 1].first : nr_hunks) - m->runs[i].first;
}

static void
put_types(struct type_writer *w, const struct hunk_map *m, uint64_t nr_hunks)
{
	uint64_t last = 0;

	for (size_t i = 0; i < m->nr; i++) {
		const struct hunk_run *run = &m->runs[i];
		uint64_t n = run_length(m, i, nr_hunks);

		if (run->type != MAP_SELF) {
			put_type(w, run->type, n);
			continue;
		}
		put_type(w, self_type(run->value, last), 1);
		if (n > 1)
			put_type(w, run->length ? MAP_SELF_NEXT : MAP_SELF_SAME, n - 1);
		last = run->value + run->length * (n - 1);
	}
	put_held(w);
}

static unsigned
bits_of(uint64_t n)
{
	unsigned bits = 0;

	for (; n; n >>= 1)
		bits++;
	return bits;
}

/* Bits of the largest length and of the largest reference that is told. */
static void
measure(const struct hunk_map *m, uint64_t nr_hunks, unsigned *ret_length, unsigned *ret_self)
{
	uint64_t length = 0, self = 0, last = 0;

	for (size_t i = 0; i < m->nr; i++) {
		const struct hunk_run *run = &m->runs[i];

		if (run->type < MAP_STORED)
			length = PL_MAX(length, (uint64_t)run->length);
		if (run->type != MAP_SELF)
			continue;
		if (self_type(run->value, last) == MAP_SELF)
			self = PL_MAX(self, (uint64_t)run->value);
		last = run->value + run->length * (run_length(m, i, nr_hunks) - 1);
	}
	*ret_length = bits_of(length);
	*ret_self = bits_of(self);
}

/* What the types want to know. */
static void
put_fields(struct pl_bit_sink *sink, const struct hunk_map *m, uint64_t nr_hunks,
	   unsigned length_bits, unsigned self_bits)
{
	uint64_t last = 0;

	for (size_t i = 0; i < m->nr; i++) {
		const struct hunk_run *run = &m->runs[i];

		if (run->type < MAP_STORED)
			pl_bit_sink_put(sink, run->length, length_bits);
		if (run->type <= MAP_STORED)
			pl_bit_sink_put(sink, run->crc, 16);
		if (run->type != MAP_SELF)
			continue;
		if (self_type(run->value, last) == MAP_SELF)
			pl_bit_sink_put(sink, run->value, self_bits);
		last = run->value + run->length * (run_length(m, i, nr_hunks) - 1);
	}
}

/* The bytes behind the header; *ret_n tells how many. */
static int
encode_map(const struct hunk_map *m, uint64_t nr_hunks, unsigned length_bits, unsigned self_bits,
	   uint8_t **ret, size_t *ret_n, struct platter_error *err)
{
	PL_AUTOFREE struct pl_huffman *code = calloc(1, sizeof *code);
	struct type_writer w = { .code = code };
	struct pl_bit_sink sink;
	size_t room = 64;
	uint8_t *bytes;

	if (!code)
		return pl_no_memory(err);
	code->nr = MAP_NR_TYPES;
	code->max_bits = 8;
	put_types(&w, m, nr_hunks);
	/* A symbol has 8 bits at most, and what a run wants to know 48. */
	for (int i = 0; i < MAP_NR_TYPES; i++)
		room += w.counts[i];
	room += m->nr * 6;
	bytes = malloc(room);
	if (!bytes)
		return pl_no_memory(err);
	pl_huffman_build(code, w.counts);
	pl_bit_sink_init(&sink, bytes, room);
	pl_huffman_write_runs(code, &sink);
	w = (struct type_writer){ .code = code, .sink = &sink };
	put_types(&w, m, nr_hunks);
	put_fields(&sink, m, nr_hunks, length_bits, self_bits);
	*ret_n = (size_t)(pl_bit_sink_flush(&sink) - bytes);
	*ret = bytes;
	return 0;
}

int
pl_chd_map_write(const struct hunk_map *m, uint64_t nr_hunks, uint64_t first, struct pl_disk *file,
		 uint64_t at, uint64_t *ret_end, struct platter_error *err)
{
	uint8_t h[MAP_HEADER_BYTES] = { 0 };
	PL_AUTOFREE uint8_t *bytes = NULL;
	unsigned length_bits, self_bits;
	size_t n;
	int r;

	measure(m, nr_hunks, &length_bits, &self_bits);
	r = encode_map(m, nr_hunks, length_bits, self_bits, &bytes, &n, err);
	if (r < 0)
		return r;
	if (n > UINT32_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "a map of %zu bytes", n);
	put_be32(h, (uint32_t)n);
	put_be16(h + 4, (uint16_t)(first >> 32));
	put_be32(h + 6, (uint32_t)first);
	put_be16(h + 10, pl_chd_map_crc(m->runs, m->nr, nr_hunks));
	h[12] = (uint8_t)length_bits;
	h[13] = (uint8_t)self_bits;
	r = pl_write(file, h, sizeof h, at, err);
	if (r == 0)
		r = pl_write(file, bytes, n, at + sizeof h, err);
	*ret_end = at + sizeof h + n;
	return r;
}
