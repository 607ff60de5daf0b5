/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disk.c - what is encrypted, as a disk
 *
 * Reading is left to the generic reader, which decodes chunks of blocks on all processors.
 * Writing encrypts on the caller's thread; only parts of blocks, and zeros in front of what is
 * written behind the end, are stored by one thread at a time.
 */
#include "layout.h"

/* Decoded at once: neither too much for a small read, nor too little for a processor. */
#define CHUNK KIB(64)

/* The start and the end of the period that holds `offset`. */
static uint64_t
period_start(const struct pl_cdsa_disk *c, uint64_t offset)
{
	return c->layout.period ? offset - offset % c->layout.period : 0;
}

static uint64_t
period_end(const struct pl_cdsa_disk *c, uint64_t offset)
{
	uint64_t end;

	if (!c->layout.period ||
	    __builtin_add_overflow(period_start(c, offset), c->layout.period, &end))
		return UINT64_MAX;
	return end;
}

/* The number of the block that holds `offset`. */
static uint64_t
block_of(const struct pl_cdsa_disk *c, uint64_t offset)
{
	return (offset - period_start(c, offset)) / c->cipher.block_size;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct pl_cdsa_disk *c =
		(const void *)((const char *)decoder - offsetof(struct pl_cdsa_disk, decoder));
	size_t whole = out_size - out_size % c->cipher.block_size;
	uint8_t last[CDSA_MAX_BLOCK];
	int r = pl_cdsa_decrypt(&c->cipher, in, out, whole, block_of(c, chunk_offset), err);

	if (r < 0 || whole == out_size)
		return r;
	/* Of the last block only the beginning is of the image. */
	r = pl_cdsa_decrypt(&c->cipher, in + whole, last, in_size - whole,
			    block_of(c, chunk_offset + whole), err);
	memcpy(out + whole, last, out_size - whole);
	return r;
}

/* Where what is stored around `offset` ends: of its period, or of all. */
static int
stored_end(const struct pl_cdsa_disk *c, uint64_t offset, uint64_t *ret, struct platter_error *err)
{
	if (c->layout.stored_end)
		return c->layout.stored_end(c->file, offset, ret, err);
	*ret = pl_disk_size(&c->disk);
	return 0;
}

static int
cdsa_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);
	uint64_t period = period_start(c, offset), size = pl_disk_size(disk), end;
	uint64_t chunk = period + pl_round_down(offset - period, CHUNK);
	int r = stored_end(c, offset, &end, err);

	if (r < 0)
		return r;
	if (offset >= end) {
		*ret = (struct pl_extent){ .kind = PLATTER_HOLE,
					   .length = period_end(c, offset) - offset };
		return 0;
	}
	end = PL_MIN(PL_MIN(end, size), PL_MIN(chunk + CHUNK, period_end(c, offset)));
	*ret = (struct pl_extent){
		.kind = PLATTER_DATA,
		.length = end - offset,
		.below = c->file,
		.decoder = &c->decoder,
		.stored_offset = c->layout.data_offset + chunk,
		.stored_length = pl_round_up(end - chunk, c->cipher.block_size),
		.chunk_offset = chunk,
		.chunk_length = (uint32_t)(end - chunk),
	};
	if (pl_in_range(ret->stored_offset, ret->stored_length, pl_disk_size(c->file)))
		return 0;
	r = pl_corrupt(err, ret->stored_offset,
		       "%" PRIu64 " encrypted bytes at byte %" PRIu64
		       " pass the end of the file (%" PRIu64 " bytes)",
		       ret->stored_length, ret->stored_offset, pl_disk_size(c->file));
	pl_hint(err, "the file is cut short: compare its size with the original, or open what is"
		     " there with --ignore-checksums");
	pl_error_place(err, c->file->name);
	return r;
}

/* The disk is at least so long now; any thread. */
static void
grown(struct pl_cdsa_disk *c, uint64_t size)
{
	uint64_t now = pl_disk_size(&c->disk);

	while (now < size)
		if (__atomic_compare_exchange_n(&c->disk.size, &now, size, false, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED)) {
			atomic_store(&c->longer, true);
			break;
		}
}

/* Encrypt whole blocks that lie within one period, and store them. */
static int
store_blocks(struct pl_cdsa_disk *c, const uint8_t *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *stored = malloc(PL_MIN(n, MIB(1)));
	int r = 0;

	if (!stored && n)
		return pl_no_memory(err);
	while (n && r == 0) {
		size_t piece = PL_MIN(n, MIB(1));

		r = pl_cdsa_encrypt(&c->cipher, buf, stored, piece, block_of(c, offset), err);
		if (r == 0)
			r = pl_write(c->file, stored, piece, c->layout.data_offset + offset, err);
		buf += piece;
		offset += piece;
		n -= piece;
	}
	return r;
}

/* Encrypted zeros over [start, end), whole blocks within one period. */
static int
store_zeros(struct pl_cdsa_disk *c, uint64_t start, uint64_t end, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = start < end ? calloc(1, PL_MIN(end - start, MIB(1))) : NULL;
	int r = 0;

	if (start < end && !zeros)
		return pl_no_memory(err);
	while (start < end && r == 0) {
		size_t n = PL_MIN(end - start, MIB(1));

		r = store_blocks(c, zeros, n, start, err);
		start += n;
	}
	return r;
}

/* The block at `at` as it is; `end`: where what is stored ends. */
static int
load_block(struct pl_cdsa_disk *c, uint64_t at, uint64_t end, uint8_t *ret,
	   struct platter_error *err)
{
	uint8_t stored[CDSA_MAX_BLOCK];
	uint32_t n = c->cipher.block_size;
	int r;

	memset(ret, 0, n);
	if (at >= end)
		return 0;
	r = pl_read(c->file, stored, n, c->layout.data_offset + at, err);
	if (r == 0)
		r = pl_cdsa_decrypt(&c->cipher, stored, ret, n, block_of(c, at), err);
	/* What fills the last block up is nobody's. */
	if (end - at < n)
		memset(ret + (end - at), 0, n - (end - at));
	return r;
}

/* Whole blocks of a period that a thread is storing. */
struct pl_cdsa_writing {
	uint64_t end;
	struct pl_cdsa_writing *next;
};

static void
add_writing(struct pl_cdsa_disk *c, struct pl_cdsa_writing *w)
{
	w->next = c->writing;
	c->writing = w;
}

static void
remove_writing(struct pl_cdsa_disk *c, struct pl_cdsa_writing *w)
{
	struct pl_cdsa_writing **at = &c->writing;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

/* The same as stored_end(), with what is on its way. */
static int
taken_end(const struct pl_cdsa_disk *c, uint64_t offset, uint64_t *ret, struct platter_error *err)
{
	int r = stored_end(c, offset, ret, err);

	for (const struct pl_cdsa_writing *w = c->writing; w; w = w->next)
		if (w->end > period_start(c, offset) && w->end <= period_end(c, offset))
			*ret = PL_MAX(*ret, w->end);
	return r;
}

/* Write within one block, of which the rest stays. */
static int
write_part(struct pl_cdsa_disk *c, const uint8_t *buf, size_t n, uint64_t offset,
	   struct platter_error *err)
{
	uint64_t at = offset - (offset - period_start(c, offset)) % c->cipher.block_size, end;
	uint8_t block[CDSA_MAX_BLOCK];
	int r = stored_end(c, offset, &end, err);

	if (r == 0)
		r = load_block(c, at, end, block, err);
	if (r < 0)
		return r;
	memcpy(block + (offset - at), buf, n);
	r = store_blocks(c, block, c->cipher.block_size, at, err);
	if (r == 0)
		grown(c, offset + n);
	return r;
}

/* What of a period precedes `offset` must read as zeros, but what follows its end is not. */
static int
fill_gap(struct pl_cdsa_disk *c, uint64_t offset, struct platter_error *err)
{
	uint64_t block = c->cipher.block_size, start = period_start(c, offset), end;
	int r = taken_end(c, offset, &end, err);

	if (r < 0)
		return r;
	return store_zeros(c, start + pl_round_up(end - start, block),
			   start + pl_round_down(offset - start, block), err);
}

/* How [offset, offset + n) lies in blocks: part of one, whole ones, part of one. */
struct span {
	size_t head, whole, tail;
};

static struct span
span_of(const struct pl_cdsa_disk *c, uint64_t offset, size_t n)
{
	uint64_t block = c->cipher.block_size, in = (offset - period_start(c, offset)) % block;
	struct span s = { .head = in ? (size_t)PL_MIN((uint64_t)n, block - in) : 0 };

	s.tail = (n - s.head) % block;
	s.whole = n - s.head - s.tail;
	return s;
}

/* Write what is not cut into periods. */
static int
write_plainly(struct pl_cdsa_disk *c, const uint8_t *buf, size_t n, uint64_t offset,
	      struct platter_error *err)
{
	struct span s = span_of(c, offset, n);
	int r = 0;

	if (s.head) {
		pthread_mutex_lock(&c->edges);
		r = write_part(c, buf, s.head, offset, err);
		pthread_mutex_unlock(&c->edges);
	}
	if (s.whole && r == 0)
		r = store_blocks(c, buf + s.head, s.whole, offset + s.head, err);
	if (s.whole && r == 0)
		grown(c, offset + s.head + s.whole);
	if (s.tail && r == 0) {
		pthread_mutex_lock(&c->edges);
		r = write_part(c, buf + s.head + s.whole, s.tail, offset + s.head + s.whole, err);
		pthread_mutex_unlock(&c->edges);
	}
	return r;
}

/*
 * Write within one period.  Zeros in front of it and parts of blocks are stored first, one thread
 * at a time; then nobody else has to do with the whole blocks, and whoever stores something behind
 * them sees that they are on their way.
 */
static int
write_in_period(struct pl_cdsa_disk *c, const uint8_t *buf, size_t n, uint64_t offset,
		struct platter_error *err)
{
	struct span s = span_of(c, offset, n);
	struct pl_cdsa_writing w = { offset + s.head + s.whole, NULL };
	int r;

	pthread_mutex_lock(&c->edges);
	r = fill_gap(c, offset, err);
	if (s.head && r == 0)
		r = write_part(c, buf, s.head, offset, err);
	/* The end of what is stored must not pass them before others see that they come. */
	if (s.whole)
		add_writing(c, &w);
	if (s.tail && r == 0)
		r = write_part(c, buf + s.head + s.whole, s.tail, w.end, err);
	pthread_mutex_unlock(&c->edges);
	if (!s.whole)
		return r;
	if (r == 0)
		r = store_blocks(c, buf + s.head, s.whole, offset + s.head, err);
	pthread_mutex_lock(&c->edges);
	remove_writing(c, &w);
	pthread_mutex_unlock(&c->edges);
	return r;
}

/* Their numbers have 32 bits. */
static int
check_blocks(const struct pl_cdsa_disk *c, uint64_t end, struct platter_error *err)
{
	uint32_t block = c->cipher.block_size;

	if (c->layout.period || pl_div_round_up(end, block) <= UINT64_C(1) << 32)
		return 0;
	return pl_over_limit(err, PLATTER_NO_OFFSET,
			     "%" PRIu64 " bytes are more than 2^32 encrypted blocks of %" PRIu32,
			     end, block);
}

/* Files that grow: every byte in front of the end is written some time, or resize() fills it. */
static int
cdsa_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	   struct platter_error *err)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);
	const uint8_t *p = buf;
	int r = check_blocks(c, offset + n, err);

	while (n && r == 0) {
		size_t length = (size_t)PL_MIN((uint64_t)n, period_end(c, offset) - offset);

		r = c->layout.period ? write_in_period(c, p, length, offset, err)
				     : write_plainly(c, p, length, offset, err);
		p += length;
		offset += length;
		n -= length;
	}
	return r;
}

/* Zeros over what is stored: whole blocks, which nobody else has to do with, behind parts. */
static int
zero_stored(struct pl_cdsa_disk *c, uint64_t offset, size_t n, struct platter_error *err)
{
	static const uint8_t zeros[CDSA_MAX_BLOCK];
	struct span s = span_of(c, offset, n);
	uint64_t whole = offset + s.head, tail = whole + s.whole;
	int r = 0;

	pthread_mutex_lock(&c->edges);
	if (s.head)
		r = write_part(c, zeros, s.head, offset, err);
	if (s.tail && r == 0)
		r = write_part(c, zeros, s.tail, tail, err);
	pthread_mutex_unlock(&c->edges);
	return r == 0 ? store_zeros(c, whole, tail, err) : r;
}

/* Zeros within one period, which are not stored behind what is. */
static int
zero_in_period(struct pl_cdsa_disk *c, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t start = period_start(c, offset), end, block = c->cipher.block_size;
	uint64_t rest = PL_MIN(period_end(c, offset), c->disk.size) - offset;
	int r = -ENOTSUP;

	/* All of the period: what is not there reads as zeros; written ones would not, decrypted. */
	if (offset == start && length == rest)
		r = pl_zero(c->file, offset, pl_round_up(length, block),
			    PL_ZERO_MAY_UNMAP | PL_ZERO_NO_FALLBACK, err);
	if (r != -ENOTSUP)
		return r;
	pthread_mutex_lock(&c->edges);
	r = taken_end(c, offset, &end, err);
	pthread_mutex_unlock(&c->edges);
	end = r == 0 ? PL_MIN(end, offset + length) : offset;
	return offset < end ? zero_stored(c, offset, (size_t)(end - offset), err) : r;
}

static int
cdsa_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	  struct platter_error *err)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);
	int r = 0;

	if (!c->layout.period)
		return -ENOTSUP;
	while (length && r == 0) {
		uint64_t n = PL_MIN(length, period_end(c, offset) - offset);

		r = zero_in_period(c, offset, n, err);
		offset += n;
		length -= n;
	}
	return r;
}

static int
cdsa_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	int r = cdsa_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);

	return r == -ENOTSUP ? 0 : r;
}

/* The header follows what is written: it never tells of more than is on stable storage. */
static int
flush_header(struct pl_cdsa_disk *c, struct platter_error *err)
{
	bool longer = atomic_exchange(&c->longer, false);
	uint8_t length[8];
	int r;

	put_be64(length, pl_disk_size(&c->disk));
	r = pl_flush(c->file, err);
	if (longer && r == 0)
		r = pl_write(c->file, length, sizeof length, LENGTH, err);
	if (longer && r == 0)
		r = pl_flush(c->file, err);
	if (longer && r < 0)
		atomic_store(&c->longer, true);
	return r;
}

static int
cdsa_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);
	int r;

	if (!c->layout.has_header)
		return pl_flush(c->file, err);
	pthread_mutex_lock(&c->flushing);
	r = flush_header(c, err);
	pthread_mutex_unlock(&c->flushing);
	return r;
}

static int
cdsa_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);
	uint64_t block = c->cipher.block_size, old = pl_disk_size(disk);
	static const uint8_t zeros[CDSA_MAX_BLOCK];
	int r = 0;

	if (!c->layout.has_header)
		return pl_fail(err, -ENOTSUP, "the size of '%s' cannot be changed", disk->name);
	r = check_blocks(c, size, err);
	while (old < size && r == 0) {
		uint64_t n = PL_MIN(size - old, MIB(1));

		/* Up to a block's end, then whole ones. */
		n = old % block || n < block ? PL_MIN(n, block - old % block)
					     : pl_round_down(n, block);
		r = n % block ? cdsa_write(disk, zeros, (size_t)n, old, err)
			      : store_zeros(c, old, old + n, err);
		old += n;
		if (r == 0)
			grown(c, old);
	}
	if (r < 0 || size == pl_disk_size(disk))
		return r;
	__atomic_store_n(&disk->size, size, __ATOMIC_RELEASE);
	atomic_store(&c->longer, true);
	r = cdsa_flush(disk, err);
	return r == 0 ? pl_resize(c->file, c->layout.data_offset + pl_round_up(size, block), err)
		      : r;
}

static struct pl_disk *
cdsa_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? pl_cdsa_disk_of(disk)->file : NULL;
}

static void
cdsa_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	pl_cdsa_describe(&pl_cdsa_disk_of(disk)->header, facts);
}

static void
cdsa_free(struct pl_disk *disk)
{
	struct pl_cdsa_disk *c = pl_cdsa_disk_of(disk);

	pl_cdsa_wipe(&c->cipher, sizeof c->cipher);
	pthread_mutex_destroy(&c->edges);
	pthread_mutex_destroy(&c->flushing);
	pl_disk_unref(c->file);
	pl_disk_done(disk);
	free(c);
}

const struct pl_disk_ops pl_cdsa_disk_ops = {
	.name = "encrcdsa",
	.map = cdsa_map,
	.write = cdsa_write,
	.zero = cdsa_zero,
	.discard = cdsa_discard,
	.flush = cdsa_flush,
	.resize = cdsa_resize,
	.below = cdsa_below,
	.describe = cdsa_describe,
	.free = cdsa_free,
	.parallel_writes = true,
};

int
pl_cdsa_disk_new(struct pl_disk *file, const struct pl_cdsa_header *header,
		 const struct pl_cdsa_keys *keys, const struct pl_cdsa_layout *layout,
		 bool writable, struct pl_disk **ret, struct platter_error *err)
{
	struct pl_cdsa_disk *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	r = pl_disk_init(&c->disk, &pl_cdsa_disk_ops, file->name, err);
	if (r == 0)
		r = pl_disk_stack(&c->disk, file, err);
	if (r < 0) {
		pl_disk_done(&c->disk);
		free(c);
		return r;
	}
	pthread_mutex_init(&c->edges, NULL);
	pthread_mutex_init(&c->flushing, NULL);
	c->file = pl_disk_ref(file);
	c->header = *header;
	c->layout = *layout;
	c->decoder = (struct pl_decoder){ .name = "AES", .decode = decode };
	pl_cdsa_cipher_init(&c->cipher, header, keys);
	c->disk.size = layout->length;
	c->disk.writable = writable && file->writable;
	c->disk.growable = c->disk.writable && file->growable && layout->has_header;
	*ret = &c->disk;
	return 0;
}

void
pl_cdsa_set_length(struct pl_disk *disk, uint64_t length)
{
	__atomic_store_n(&disk->size, length, __ATOMIC_RELEASE);
}
