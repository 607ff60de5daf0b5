/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bzip2-decode.c - bzip2 streams, decoded
 *
 * libbz2 finds the text of a block by one chain of reads, each of which waits for the one before
 * to come out of a far cache; that takes most of its time.  Here many places of the text are begun
 * at once, without knowing where in it they are, and put in order at the end.  There is no
 * specification but the program itself (bzip2 1.0.8); bits are read from the highest of each
 * byte on.
 *
 *	bits  stream
 *	  24  "BZh"
 *	   8  "1" to "9": the largest block, in units of 100,000 bytes
 *	      blocks
 *	  48  0x177245385090
 *	  32  checksum of the blocks' checksums
 *	      up to a whole byte; another stream may follow
 *
 *	bits  block
 *	  48  0x314159265359
 *	  32  CRC-32 of what it decodes to, highest bit first
 *	   1  it is randomised, as bzip2 before 0.9.5 could do
 *	  24  where the text itself is among its sorted rotations
 *	  16  which sixteenths of all bytes occur; 16 more bits for each that does: which of them
 *	   3  number of Huffman tables, 2 to 6
 *	  15  number of selectors: each names the table of 50 symbols
 *	      the selectors, moved to front, in unary numbers
 *	      the tables: 5 bits for the length of the first code; before each is taken, 10 adds one to
 *	      the length, 11 takes one off, and 0 ends that
 *	      symbols: two that count a run of what is in front, places of bytes, and the end
 *
 * What is decoded from that is the last column of the sorted rotations; the text is found in it,
 * and in the text, four bytes alike are followed by the number of more of them.
 */
#include <bzlib.h>
#include <limits.h>

#include "bzip2-decode.h"
#include "checksums.h"
#include "per-thread.h"

#define BLOCK_MAGIC UINT64_C(0x314159265359)
#define END_MAGIC   UINT64_C(0x177245385090)

enum {
	UNIT = 100000,
	GROUP = 50, /* symbols */
	MAX_TABLES = 6,
	MAX_SYMBOLS = 258,
	MAX_CODE = 20,
	/* As many as blocks of 900,000 bytes use; some programs write a few more. */
	MAX_SELECTORS = 9 * UNIT / GROUP + 2,
	FAST_BITS = 10,
};

/*
 * The text is found in segments, which begin at every STRIDE-th row and at that of the text itself
 * and end before the next one begins.  LANES of them are followed at a time.  Their bytes
 * go to pages, for nobody knows before how long they are.
 */
enum {
	STRIDE = 1024,
	LANES = 8,
	PAGE = 512,
	MAX_SEGMENTS = 9 * UNIT / STRIDE + 2,
	MAX_PAGES = 9 * UNIT / PAGE + MAX_SEGMENTS + 1,
	BEGIN = 1 << 23, /* in what is left of an entry of `after`: a segment begins there */
};

struct page {
	uint16_t length;
	bool is_last;  /* of its segment */
	uint16_t next; /* page, or segment behind the last one */
};

struct table {
	/* By the next bits: symbol << 5 | length of its code; 0: longer, or none. */
	uint16_t fast[1 << FAST_BITS];
	/* Of each length: what is above its codes, left-aligned in MAX_CODE bits; and where
	 * the place of a code in `symbols` is counted from. */
	uint32_t limit[MAX_CODE + 1];
	int32_t base[MAX_CODE + 1];
	uint16_t symbols[MAX_SYMBOLS];
};

/* What a thread keeps between calls. */
struct context {
	uint32_t room;   /* bytes of a block */
	uint8_t *column; /* the last column; then the text */
	/* By the row of a rotation: the row of that which begins one byte later, perhaps with BEGIN,
	 * << 8 | the first byte. */
	uint32_t *after;
	uint8_t *bytes; /* of pages */
	struct page pages[MAX_PAGES];
	uint16_t first_page[MAX_SEGMENTS];
	uint8_t selectors[MAX_SELECTORS];
	struct table tables[MAX_TABLES];
};

static void
free_context(void *p)
{
	struct context *c = p;

	free(c->column);
	free(c->after);
	free(c->bytes);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

/* Bits from the front of a buffer.  Behind its end there are zeros, which are counted. */
struct bits {
	const uint8_t *p, *end;
	uint64_t word; /* the next ones, left-aligned */
	unsigned nr;   /* that are in it */
	unsigned past; /* bytes taken from behind the end */
};

/* At least 56 bits. */
static inline void
bits_fill(struct bits *b)
{
	if (b->end - b->p >= 8) {
		b->word |= get_be64(b->p) >> b->nr;
		b->p += (63 - b->nr) / 8;
		b->nr |= 56;
		return;
	}
	for (; b->nr <= 56; b->nr += 8) {
		if (b->p < b->end)
			b->word |= (uint64_t)*b->p++ << (56 - b->nr);
		else
			b->past++;
	}
}

static inline void
bits_drop(struct bits *b, unsigned n)
{
	b->word <<= n;
	b->nr -= n;
}

/* n from 1 to 32. */
static uint32_t
bits_take(struct bits *b, unsigned n)
{
	uint32_t v;

	bits_fill(b);
	v = (uint32_t)(b->word >> (64 - n));
	bits_drop(b, n);
	return v;
}

/* Were more taken than there are? */
static bool
bits_are_over(const struct bits *b)
{
	return b->past * 8 > b->nr;
}

/* Drop what is left of a byte, and give those that were not used back. */
static void
bits_align(struct bits *b)
{
	b->p -= (b->nr / 8) - b->past;
	b->nr = b->past = 0;
	b->word = 0;
}

static int
damaged(struct platter_error *err, const char *what)
{
	return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged bzip2 data: %s", what);
}

/* Canonical codes.  False if there are more than fit. */
static bool
table_make(struct table *t, const uint8_t *lengths, unsigned nr)
{
	unsigned count[MAX_CODE + 1] = { 0 }, at[MAX_CODE + 1], first = 0;
	uint32_t code = 0; /* left-aligned in MAX_CODE bits */

	memset(t->fast, 0, sizeof t->fast);
	for (unsigned i = 0; i < nr; i++)
		count[lengths[i]]++;
	for (unsigned n = 1; n <= MAX_CODE; n++) {
		t->base[n] = (int32_t)first - (int32_t)(code >> (MAX_CODE - n));
		at[n] = first;
		first += count[n];
		code += count[n] << (MAX_CODE - n);
		if (code > 1u << MAX_CODE)
			return false;
		t->limit[n] = code;
	}
	for (unsigned i = 0; i < nr; i++) {
		unsigned n = lengths[i], place = at[n]++;
		uint32_t value = (uint32_t)((int32_t)place - t->base[n]);

		t->symbols[place] = (uint16_t)i;
		if (n > FAST_BITS)
			continue;
		for (uint32_t k = value << (FAST_BITS - n); k < (value + 1) << (FAST_BITS - n); k++)
			t->fast[k] = (uint16_t)(i << 5 | n);
	}
	return true;
}

/* A code longer than FAST_BITS, as an entry of `fast`; 0 if it is none. */
static uint32_t
long_code(const struct table *t, uint64_t word)
{
	uint32_t v = (uint32_t)(word >> (64 - MAX_CODE));

	for (unsigned n = FAST_BITS + 1; n <= MAX_CODE; n++)
		if (v < t->limit[n])
			return (uint32_t)t->symbols[(int32_t)(v >> (MAX_CODE - n)) + t->base[n]]
				       << 5 |
			       n;
	return 0;
}

/* Which bytes occur, in their order; returns how many. */
static unsigned
take_bytes(struct bits *b, uint8_t bytes[static 256])
{
	uint32_t sixteenths = bits_take(b, 16);
	unsigned nr = 0;

	for (unsigned i = 0; i < 16; i++) {
		uint32_t those = sixteenths >> (15 - i) & 1 ? bits_take(b, 16) : 0;

		for (unsigned k = 0; k < 16; k++)
			if (those >> (15 - k) & 1)
				bytes[nr++] = (uint8_t)(16 * i + k);
	}
	return nr;
}

/* False if one names no table. */
static bool
take_selectors(struct context *c, struct bits *b, unsigned nr, unsigned nr_tables)
{
	uint8_t order[MAX_TABLES] = { 0, 1, 2, 3, 4, 5 };

	for (unsigned i = 0; i < nr; i++) {
		unsigned place = 0;
		uint8_t table;

		bits_fill(b);
		place = (unsigned)__builtin_clzll(~b->word | 1);
		if (place >= nr_tables)
			return false;
		bits_drop(b, place + 1);
		table = order[place];
		memmove(order + 1, order, place);
		order[0] = table;
		if (i < MAX_SELECTORS)
			c->selectors[i] = table;
	}
	return true;
}

static bool
take_table(struct table *t, struct bits *b, unsigned nr_symbols)
{
	uint8_t lengths[MAX_SYMBOLS];
	unsigned length = bits_take(b, 5);

	for (unsigned i = 0; i < nr_symbols; i++) {
		for (;;) {
			if (length < 1 || length > MAX_CODE || bits_are_over(b))
				return false;
			if (!bits_take(b, 1))
				break;
			length += bits_take(b, 1) ? -1u : 1u;
		}
		lengths[i] = (uint8_t)length;
	}
	return table_make(t, lengths, nr_symbols);
}

/* Move what is at `place` to the front and return it. */
static inline uint8_t
move_to_front(uint8_t list[static 256], unsigned place)
{
	uint8_t byte = list[place];

	if (place < 8) {
		uint64_t v = get_le64(list), moved = (UINT64_C(2) << (8 * place + 7)) - 1;

		put_le64(list, (v & ~moved) | (v << 8 & moved) | byte);
	} else {
		memmove(list + 1, list, place);
		list[0] = byte;
	}
	return byte;
}

/*
 * The last column, with how often each byte is in it.  `order` are the bytes that occur, and
 * `nr_symbols` 2 more than these.
 */
static int
take_column(struct context *c, struct bits *bits, unsigned nr_selectors, unsigned nr_symbols,
	    uint8_t order[static 256], uint32_t room, uint32_t count[static 256], uint32_t *ret_n,
	    struct platter_error *err)
{
	struct bits b = *bits;
	uint32_t n = 0, run = 0, unit = 1;

	for (unsigned i = 0; i < nr_selectors; i++) {
		const struct table *t = &c->tables[c->selectors[i]];

		if (bits_are_over(&b))
			return damaged(err, "it ends within a block");
		for (unsigned k = 0; k < GROUP; k++) {
			uint32_t code;
			unsigned symbol;
			uint8_t byte;

			if (b.nr < MAX_CODE)
				bits_fill(&b);
			code = t->fast[b.word >> (64 - FAST_BITS)];
			if (!code)
				code = long_code(t, b.word);
			if (!code)
				return damaged(err, "a code stands for nothing");
			bits_drop(&b, code & 31);
			symbol = code >> 5;
			if (symbol < 2) {
				run += unit << symbol;
				unit *= 2;
				if (run > room - n)
					return damaged(err, "a block is too large");
				continue;
			}
			if (run) {
				memset(c->column + n, order[0], run);
				count[order[0]] += run;
				n += run;
				run = 0;
				unit = 1;
			}
			if (symbol == nr_symbols - 1) {
				*bits = b;
				*ret_n = n;
				return 0;
			}
			if (n == room)
				return damaged(err, "a block is too large");
			byte = move_to_front(order, symbol - 1);
			c->column[n++] = byte;
			count[byte]++;
		}
	}
	return damaged(err, "selectors are missing");
}

/* Rows are sorted by their first bytes, and those of one byte are in the order of the column. */
static void
make_chain(struct context *c, uint32_t n, uint32_t start, uint32_t count[static 256])
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 256; i++) {
		uint32_t k = count[i];

		count[i] = sum;
		sum += k;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint8_t byte = c->column[i];
		uint32_t begin = i % STRIDE == 0 || i == start ? BEGIN : 0;

		c->after[count[byte]++] = (i | begin) << 8 | byte;
	}
}

/* The segments that are being followed. */
struct walk {
	struct context *c;
	uint32_t n, start; /* rows, and that of the text */
	uint32_t nr_begun; /* segments: 0 is that of the text, the others follow by rows */
	uint32_t nr_pages;
	unsigned nr;         /* lanes */
	uint32_t row[LANES]; /* where each is; with BEGIN: a segment begins there */
	uint8_t *to[LANES];
	uint32_t room[LANES]; /* of its page */
	uint16_t page[LANES];
};

static uint16_t
segment_at(const struct walk *w, uint32_t row)
{
	return row == w->start ? 0 : (uint16_t)(row / STRIDE + 1);
}

static void
begin_page(struct walk *w, unsigned lane)
{
	w->page[lane] = (uint16_t)w->nr_pages;
	w->to[lane] = w->c->bytes + (size_t)w->nr_pages++ * PAGE;
	w->room[lane] = PAGE;
}

/* Follow the next segment in this lane; false if all are begun. */
static bool
begin_segment(struct walk *w, unsigned lane)
{
	uint32_t i = w->nr_begun++, row = i ? (i - 1) * STRIDE : w->start;

	if (i && row == w->start) {
		i = w->nr_begun++;
		row += STRIDE;
	}
	if (row >= w->n)
		return false;
	begin_page(w, lane);
	w->c->first_page[i] = w->page[lane];
	w->row[lane] = row;
	return true;
}

/* Go on until a segment or a page ends, at most `most` bytes; returns how many. */
static inline uint32_t
follow(struct walk *w, unsigned nr, uint32_t most)
{
	const uint32_t *after = w->c->after;
	uint32_t row[LANES], i = 0, all = 0;
	uint8_t *to[LANES];

	for (unsigned k = 0; k < nr; k++) {
		row[k] = w->row[k];
		to[k] = w->to[k];
	}
	for (; i < most && !(all & BEGIN); i++) {
		for (unsigned k = 0; k < nr; k++) {
			uint32_t entry = after[row[k]];

			to[k][i] = (uint8_t)entry;
			row[k] = entry >> 8;
			all |= row[k];
		}
	}
	for (unsigned k = 0; k < nr; k++)
		w->row[k] = row[k];
	return i;
}

/* The segment in this lane is over. */
static void
end_segment(struct walk *w, unsigned lane)
{
	uint16_t segment = segment_at(w, w->row[lane] & ~(uint32_t)BEGIN);

	w->c->pages[w->page[lane]] =
		(struct page){ (uint16_t)(PAGE - w->room[lane]), true, segment };
	if (begin_segment(w, lane))
		return;
	w->nr--;
	w->row[lane] = w->row[w->nr];
	w->to[lane] = w->to[w->nr];
	w->room[lane] = w->room[w->nr];
	w->page[lane] = w->page[w->nr];
}

/* After `done` more bytes in each lane: from the last one, whose place may be taken by none. */
static void
turn_pages(struct walk *w, uint32_t done)
{
	for (unsigned k = w->nr; k--;) {
		w->to[k] += done;
		w->room[k] -= done;
		if (w->row[k] & BEGIN) {
			end_segment(w, k);
		} else if (!w->room[k]) {
			uint16_t full = w->page[k];

			begin_page(w, k);
			w->c->pages[full] = (struct page){ PAGE, false, w->page[k] };
		}
	}
}

static void
find_segments(struct context *c, uint32_t n, uint32_t start)
{
	struct walk w = { .c = c, .n = n, .start = start };

	while (w.nr < LANES && begin_segment(&w, w.nr))
		w.nr++;
	while (w.nr) {
		uint32_t most = PAGE;

		for (unsigned k = 0; k < w.nr; k++)
			most = PL_MIN(most, w.room[k]);
		turn_pages(&w, w.nr == LANES ? follow(&w, LANES, most) : follow(&w, w.nr, most));
	}
}

/*
 * From the last column to the text, whose row is `start`.  A text that repeats itself goes round
 * in a circle that is shorter than it.
 */
static void
find_text(struct context *c, uint32_t n, uint32_t start, uint32_t count[static 256])
{
	uint32_t at = 0, page;

	make_chain(c, n, start, count);
	find_segments(c, n, start);
	page = c->first_page[0];
	while (at < n) {
		const struct page *p = &c->pages[page];
		uint32_t length = PL_MIN(p->length, n - at);

		memcpy(c->column + at, c->bytes + (size_t)page * PAGE, length);
		at += length;
		page = p->is_last ? c->first_page[p->next] : p->next;
	}
}

/* Do 9 bytes here have two neighbours alike? */
static inline bool
has_twins(const uint8_t *p)
{
	uint64_t x = get_le64(p) ^ get_le64(p + 1);

	return ((x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080)) != 0;
}

/* The text with its runs.  False if there is no room for it; *ret_n: its length. */
static bool
put_text(const uint8_t *text, uint32_t n, uint8_t *out, size_t room, size_t *ret_n)
{
	size_t made = 0;
	uint32_t i = 0;

	while (i < n) {
		uint8_t byte = text[i];
		unsigned alike = 1;

		if (n - i > 8 && room - made >= 8 && !has_twins(text + i)) {
			/* The last of the nine may be the first of four. */
			memcpy(out + made, text + i, 8);
			i += 8;
			made += 8;
			continue;
		}
		while (alike < 4 && i + alike < n && text[i + alike] == byte)
			alike++;
		i += alike;
		if (alike == 4 && i < n)
			alike += text[i++];
		if (alike > room - made)
			return false;
		memset(out + made, byte, alike);
		made += alike;
	}
	*ret_n = made;
	return true;
}

static uint64_t
reverse_bits_of_bytes(uint64_t v)
{
	v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
	v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
	return (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
}

/* CRC-32, highest bit first: that of the bytes turned round, turned round. */
static uint32_t
checksum(const uint8_t *p, size_t n)
{
	uint64_t turned[512];
	uint32_t crc = 0;

	while (n) {
		size_t part = PL_MIN(n, sizeof turned), words = (part + 7) / 8;

		turned[words - 1] = 0;
		memcpy(turned, p, part);
		for (size_t i = 0; i < words; i++)
			turned[i] = reverse_bits_of_bytes(turned[i]);
		crc = pl_crc32(crc, turned, part);
		p += part;
		n -= part;
	}
	return __builtin_bswap32((uint32_t)reverse_bits_of_bytes(crc));
}

/* Room for blocks of that many bytes. */
static bool
context_grow(struct context *c, uint32_t room)
{
	uint32_t pages = room / PAGE + room / STRIDE + 3;

	if (c->room >= room)
		return true;
	free(c->column);
	free(c->after);
	free(c->bytes);
	c->column = malloc(room);
	c->after = malloc(room * sizeof *c->after);
	c->bytes = malloc((size_t)pages * PAGE);
	c->room = c->column && c->after && c->bytes ? room : 0;
	return c->room;
}

/* A block behind its magic.  *crc becomes its checksum; *ret_randomised: it must be left to others. */
static int
decode_block(struct context *c, struct bits *b, uint32_t max_block, uint8_t *out, size_t room,
	     uint32_t *crc, size_t *ret_n, bool *ret_randomised, struct platter_error *err)
{
	uint8_t order[256];
	uint32_t count[256] = { 0 }, start, n = 0;
	unsigned nr_symbols, nr_tables, nr_selectors;
	int r;

	*crc = bits_take(b, 32);
	*ret_randomised = bits_take(b, 1);
	if (*ret_randomised)
		return 0;
	start = bits_take(b, 24);
	nr_symbols = take_bytes(b, order) + 2;
	nr_tables = bits_take(b, 3);
	nr_selectors = bits_take(b, 15);
	if (nr_symbols == 2)
		return damaged(err, "a block without bytes");
	if (nr_tables < 2 || nr_tables > MAX_TABLES || !nr_selectors)
		return damaged(err, "the number of tables or selectors is not right");
	if (!take_selectors(c, b, nr_selectors, nr_tables))
		return damaged(err, "a selector names no table");
	for (unsigned i = 0; i < nr_tables; i++)
		if (!take_table(&c->tables[i], b, nr_symbols))
			return damaged(err, "the lengths of codes are not right");
	/* Five bytes of the text are at least four of what it stands for. */
	max_block = (uint32_t)PL_MIN(max_block, room + room / 4 + 1);
	if (!context_grow(c, max_block))
		return pl_no_memory(err);
	r = take_column(c, b, PL_MIN(nr_selectors, MAX_SELECTORS), nr_symbols, order, max_block,
			count, &n, err);
	if (r < 0)
		return r;
	if (start >= n)
		return damaged(err, "the text is not among its rotations");
	find_text(c, n, start, count);
	if (!put_text(c->column, n, out, room, ret_n))
		return damaged(err, "more bytes than expected");
	if (checksum(out, *ret_n) != *crc)
		return damaged(err, "the checksum of a block is wrong");
	return 0;
}

/* One stream.  *ret_used: its length, 0: it has a randomised block. */
static int
decode_stream(struct context *c, const uint8_t *in, size_t in_size, uint8_t *out, size_t room,
	      size_t *ret_used, size_t *ret_n, struct platter_error *err)
{
	struct bits b = { .p = in + 4, .end = in + in_size };
	uint32_t max_block = (uint32_t)(in[3] - '0') * UNIT, all = 0, crc;
	size_t made = 0, n = 0;

	*ret_used = *ret_n = 0;
	for (;;) {
		uint64_t magic = (uint64_t)bits_take(&b, 24) << 24;
		bool randomised;
		int r;

		magic |= bits_take(&b, 24);
		if (magic == END_MAGIC)
			break;
		if (bits_are_over(&b))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "bzip2 data ends after %zu of %zu bytes", made, room);
		if (magic != BLOCK_MAGIC)
			return damaged(err, "neither a block nor the end");
		r = decode_block(c, &b, max_block, out + made, room - made, &crc, &n, &randomised,
				 err);
		if (r < 0)
			return r;
		if (randomised)
			return 0;
		all = (all << 1 | all >> 31) ^ crc;
		made += n;
	}
	crc = bits_take(&b, 32);
	if (bits_are_over(&b))
		return damaged(err, "it ends within its checksum");
	if (crc != all)
		return damaged(err, "the checksum of all blocks is wrong");
	bits_align(&b);
	*ret_used = (size_t)(b.p - in);
	*ret_n = made;
	return 0;
}

/* libbz2 knows the table of how blocks were randomised. */
static int
decode_by_library(const uint8_t *in, size_t in_size, uint8_t *out, size_t room, size_t *ret_used,
		  size_t *ret_n, struct platter_error *err)
{
	bz_stream s = {
		.next_in = (char *)(uintptr_t)in,
		.avail_in = (unsigned)PL_MIN(in_size, UINT_MAX),
		.next_out = (char *)out,
		.avail_out = (unsigned)PL_MIN(room, UINT_MAX),
	};
	int r = BZ2_bzDecompressInit(&s, 0, 0);

	if (r == BZ_OK)
		r = BZ2_bzDecompress(&s);
	*ret_used = (size_t)(s.next_in - (const char *)in);
	*ret_n = (size_t)(s.next_out - (char *)out);
	BZ2_bzDecompressEnd(&s);
	if (r == BZ_MEM_ERROR)
		return pl_no_memory(err);
	return r == BZ_STREAM_END ? 0 : damaged(err, "a randomised block is not right");
}

int
pl_bzip2_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
		size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	size_t made = 0;

	if (!c)
		return pl_no_memory(err);
	do {
		size_t used = 0, n = 0;
		int r;

		if (in_size < 4 || memcmp(in, "BZh", 3) != 0 || in[3] < '1' || in[3] > '9')
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "no bzip2 stream after %zu of %zu bytes", made, out_size);
		r = decode_stream(c, in, in_size, out + made, out_size - made, &used, &n, err);
		if (r == 0 && !used)
			r = decode_by_library(in, in_size, out + made, out_size - made, &used, &n,
					      err);
		if (r < 0)
			return r;
		in += used;
		in_size -= used;
		made += n;
	} while (made < out_size && in_size);
	if (made != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "bzip2 data holds %zu bytes, expected %zu", made, out_size);
	return 0;
}
