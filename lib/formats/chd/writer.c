/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new CHDs, version 5
 *
 * Compressed: each hunk is what its best codec makes of it, one behind the other from the header
 * on, and one that was there before refers to it; the map and the metadata come behind them, and
 * the header last.  Not compressed: hunks lie at multiples of their size, and zeros nowhere.
 */
#include "writer.h"

#include <openssl/evp.h>

#include "checksums.h"
#include "per-thread.h"

/* What encode() notes of a hunk. */
enum {
	NOTE_SHA1 = 0,
	NOTE_CRC = 20,
	NOTE_TYPE = 22, /* in the map */
	NOTE_KNOWN = 23,
};

struct chd_writer {
	struct pl_writer writer;
	struct chd_plan plan;
	struct metadata_list metadata;
	struct hunk_map map; /* what hunks are, or where they are if they are not compressed */
	uint64_t nr_hunks;   /* in it */
	struct seen_hunks seen;
	uint64_t frontier; /* where the next hunk goes */
	EVP_MD_CTX *sha1;
	bool has_zeros; /* a hunk of zeros is in the file: */
	uint32_t zeros;
};

static struct chd_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct chd_writer, writer);
}

/* Room for a hunk, twice: filled up, and what a codec makes of it. */
struct scratch {
	uint8_t *bytes;
	size_t size;
};

static void
free_scratch(void *p)
{
	struct scratch *s = p;

	free(s->bytes);
	free(s);
}

static struct pl_per_thread scratches = PL_PER_THREAD_INIT(struct scratch, free_scratch);

static uint8_t *
take_scratch(size_t n)
{
	struct scratch *s = pl_per_thread_get(&scratches);

	if (s && s->size < n) {
		free(s->bytes);
		s->bytes = malloc(n);
		s->size = s->bytes ? n : 0;
	}
	return s ? s->bytes : NULL;
}

static int
no_sha1(struct platter_error *err)
{
	return pl_fail(err, -EIO, "SHA-1 is not to be had from OpenSSL");
}

/* A whole hunk, by the codec that makes least of it. */
static int
encode_hunk(const struct chd_plan *plan, const uint8_t *hunk, uint8_t *other,
	    struct pl_encoded *out, struct platter_error *err)
{
	uint16_t crc = pl_crc16_ccitt(0xffff, hunk, plan->hunk_size);
	uint8_t type = MAP_STORED;

	out->length = plan->hunk_size;
	for (size_t i = 0; i < plan->nr_codecs; i++) {
		size_t n = plan->codecs[i]->encode(hunk, plan->hunk_size, other, out->length - 1);

		if (!n)
			continue;
		memcpy(out->bytes, other, n);
		out->length = n;
		type = (uint8_t)i;
	}
	if (type == MAP_STORED)
		memcpy(out->bytes, hunk, plan->hunk_size);
	put_be16(out->note + NOTE_CRC, crc);
	out->note[NOTE_TYPE] = type;
	out->note[NOTE_KNOWN] = 1;
	if (!EVP_Digest(hunk, plan->hunk_size, out->note + NOTE_SHA1, NULL, EVP_sha1(), NULL))
		return no_sha1(err);
	return 0;
}

static int
chd_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
	   struct pl_encoded *out, struct platter_error *err)
{
	const struct chd_plan *plan = &writer_of(w)->plan;
	uint8_t *scratch = take_scratch(2 * (size_t)plan->hunk_size);

	(void)offset;
	if (!scratch)
		return pl_no_memory(err);
	if (n == plan->hunk_size)
		return encode_hunk(plan, in, scratch + plan->hunk_size, out, err);
	memcpy(scratch, in, n);
	memset(scratch + n, 0, plan->hunk_size - n);
	return encode_hunk(plan, scratch, scratch + plan->hunk_size, out, err);
}

static int
check_nr(uint64_t nr, struct platter_error *err)
{
	int r;

	if (nr <= MAX_HUNKS)
		return 0;
	r = pl_over_limit(err, PLATTER_NO_OFFSET, "more than %u hunks", MAX_HUNKS);
	pl_hint(err, "make them larger: -o hunk=64K");
	return r;
}

static int
refer(struct chd_writer *c, uint32_t to, uint64_t nr, struct platter_error *err)
{
	int r = check_nr(c->nr_hunks + nr, err);

	if (r == 0 && nr)
		r = pl_chd_map_add_references(&c->map, c->nr_hunks, MAP_SELF, to, 0, err);
	c->nr_hunks += nr;
	return r;
}

static int
chd_place_chunk(struct pl_writer *w, uint64_t offset, const struct pl_encoded *chunk,
		uint64_t *ret_at, struct platter_error *err)
{
	struct chd_writer *c = writer_of(w);
	uint32_t hunk = (uint32_t)c->nr_hunks, same = hunk;
	struct hunk_run run = { .first = hunk,
				.type = chunk->note[NOTE_TYPE],
				.length = (uint32_t)chunk->length,
				.value = c->frontier,
				.crc = get_be16(chunk->note + NOTE_CRC) };
	int r;

	(void)offset;
	*ret_at = PL_NOWHERE;
	/* Of a chunk that is only measured, what becomes of the zeros at its end is not known. */
	if (!chunk->note[NOTE_KNOWN]) {
		run.type = MAP_STORED;
		run.length = c->plan.hunk_size;
	}
	if (chunk->note[NOTE_KNOWN])
		same = pl_chd_seen(&c->seen, chunk->note + NOTE_SHA1, hunk);
	if (same != hunk)
		return refer(c, same, 1, err);
	r = check_nr(c->nr_hunks + 1, err);
	if (r == 0)
		r = pl_chd_map_add(&c->map, &run, err);
	if (r < 0)
		return r;
	*ret_at = c->frontier;
	c->frontier += run.length;
	c->nr_hunks++;
	return 0;
}

/* The first hunk of zeros is stored as any other. */
static int
store_zeros(struct chd_writer *c, struct platter_error *err)
{
	uint32_t n = c->plan.hunk_size;
	PL_AUTOFREE uint8_t *bytes = calloc(3, n);
	struct pl_encoded chunk = { .bytes = bytes, .capacity = n };
	uint64_t at;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	r = encode_hunk(&c->plan, bytes + n, bytes + 2 * (size_t)n, &chunk, err);
	c->zeros = (uint32_t)c->nr_hunks;
	c->has_zeros = true;
	if (r == 0)
		r = chd_place_chunk(&c->writer, 0, &chunk, &at, err);
	return r < 0 ? r : pl_write(c->writer.file, chunk.bytes, chunk.length, at, err);
}

static int
chd_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	struct chd_writer *c = writer_of(w);
	uint64_t nr = pl_div_round_up(length, c->plan.hunk_size);
	int r = 0;

	(void)offset;
	(void)kind;
	if (nr && !c->has_zeros) {
		r = store_zeros(c, err);
		nr--;
	}
	return r < 0 ? r : refer(c, c->zeros, nr, err);
}

static int
chd_see(struct pl_writer *w, const uint8_t *bytes, uint64_t n, struct platter_error *err)
{
	static const uint8_t zeros[KIB(64)];
	struct chd_writer *c = writer_of(w);

	while (n) {
		size_t part = bytes ? (size_t)n : (size_t)PL_MIN(n, sizeof zeros);

		if (!EVP_DigestUpdate(c->sha1, bytes ? bytes : zeros, part))
			return no_sha1(err);
		n -= part;
	}
	return 0;
}

/* Not compressed. */

/* Places are kept as references are: those that follow each other are one run. */
enum {
	PLACED = MAP_SELF,
	NOWHERE = MAP_STORED,
};

static int
set_places(struct chd_writer *c, uint64_t nr, uint32_t type, uint64_t place, uint32_t step,
	   struct platter_error *err)
{
	int r = check_nr(c->nr_hunks + nr, err);

	if (r == 0 && nr)
		r = pl_chd_map_add_references(&c->map, c->nr_hunks, type, place, step, err);
	c->nr_hunks += nr;
	return r;
}

static int
plain_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	    uint64_t *ret_length, struct platter_error *err)
{
	struct chd_writer *c = writer_of(w);
	uint64_t nr = pl_div_round_up(length, c->plan.hunk_size);
	uint64_t place = c->frontier / c->plan.hunk_size;

	(void)offset;
	(void)stored;
	*ret_at = c->frontier;
	*ret_length = length;
	c->frontier += nr * c->plan.hunk_size;
	return set_places(c, nr, PLACED, place, 1, err);
}

static int
plain_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	   struct platter_error *err)
{
	struct chd_writer *c = writer_of(w);

	(void)offset;
	(void)kind;
	return set_places(c, pl_div_round_up(length, c->plan.hunk_size), NOWHERE, 0, 0, err);
}

/* The place of each hunk, in hunks; 0: nowhere. */
#define PLACES_AT_ONCE 16384

static int
write_places(struct chd_writer *c, uint64_t *ret_end, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = malloc(PLACES_AT_ONCE * 4);
	/* The last hunk is whole, though the disk may end within it. */
	int r = bytes ? pl_resize(c->writer.file, c->frontier, err) : pl_no_memory(err);
	uint64_t hunk = 0;

	for (size_t i = 0; r == 0 && i < c->map.nr; i++) {
		const struct hunk_run *run = &c->map.runs[i];
		uint64_t end = i + 1 < c->map.nr ? c->map.runs[i + 1].first : c->nr_hunks;

		while (r == 0 && hunk < end) {
			size_t n = (size_t)PL_MIN(end - hunk, (uint64_t)PLACES_AT_ONCE);

			for (size_t k = 0; k < n; k++)
				put_be32(bytes + 4 * k, (uint32_t)(run->value + (hunk - run->first +
										 k) * run->length));
			r = pl_write(c->writer.file, bytes, n * 4, c->frontier + hunk * 4, err);
			hunk += n;
		}
	}
	*ret_end = c->frontier + c->nr_hunks * 4;
	return r;
}

/* All that is written last. */

static uint64_t
whole_units(const struct chd_writer *c)
{
	return c->plan.type == TYPE_RAW ? c->writer.size
					: pl_multiple_above(c->writer.size, c->plan.unit_size);
}

static int
write_header(struct chd_writer *c, uint64_t size, uint64_t map_at, uint64_t meta_at,
	     const uint8_t *data_sha1, struct platter_error *err)
{
	uint8_t h[HEADER_BYTES] = { 0 };
	int r = 0;

	memcpy(h, CHD_MAGIC, 8);
	put_be32(h + LENGTH, HEADER_BYTES);
	put_be32(h + VERSION, 5);
	for (size_t i = 0; i < c->plan.nr_codecs; i++)
		put_be32(h + CODECS + 4 * i, c->plan.codecs[i]->tag);
	put_be64(h + SIZE, size);
	put_be64(h + MAP_OFFSET, map_at);
	put_be64(h + META_OFFSET, meta_at);
	put_be32(h + HUNK_SIZE, c->plan.hunk_size);
	put_be32(h + UNIT_SIZE, c->plan.unit_size);
	/* MAME writes to those without codecs, and so keeps no sums of them. */
	if (c->plan.nr_codecs) {
		memcpy(h + DATA_SHA1, data_sha1, SHA1_BYTES);
		r = pl_chd_whole_sha1(data_sha1, &c->metadata, h + WHOLE_SHA1, err);
	}
	return r < 0 ? r : pl_write(c->writer.file, h, sizeof h, 0, err);
}

static int
add_metadata(struct chd_writer *c, uint64_t size, struct platter_error *err)
{
	if (c->plan.type == TYPE_HD)
		return pl_chd_add_geometry(&c->metadata, size, c->plan.unit_size, err);
	if (c->plan.type == TYPE_DVD)
		return pl_chd_metadata_add(&c->metadata, TAG_DVD, "", 1, err);
	return 0;
}

static int
chd_finish(struct pl_writer *w, struct platter_error *err)
{
	struct chd_writer *c = writer_of(w);
	uint64_t size = whole_units(c), map_at = c->frontier, meta_at, end;
	uint8_t sha1[SHA1_BYTES];
	int r = chd_see(w, NULL, size - w->size, err);

	if (r == 0 && !EVP_DigestFinal_ex(c->sha1, sha1, NULL))
		r = no_sha1(err);
	if (r == 0)
		r = add_metadata(c, size, err);
	if (r == 0)
		r = c->plan.nr_codecs ? pl_chd_map_write(&c->map, c->nr_hunks, HEADER_BYTES,
							 w->file, map_at, &meta_at, err)
				      : write_places(c, &meta_at, err);
	if (r == 0)
		r = pl_chd_metadata_write(&c->metadata, w->file, meta_at, &end, err);
	if (r == 0)
		r = write_header(c, size, map_at, c->metadata.nr ? meta_at : 0, sha1, err);
	return r;
}

static void
chd_writer_free(struct pl_writer *w)
{
	struct chd_writer *c = writer_of(w);

	EVP_MD_CTX_free(c->sha1);
	pl_chd_metadata_done(&c->metadata);
	pl_chd_seen_done(&c->seen);
	pl_disk_unref(w->source);
	free(c->map.runs);
	free(c);
}

static const struct pl_writer_ops compressed_ops = {
	.encode = chd_encode,
	.place_chunk = chd_place_chunk,
	.see = chd_see,
	.skip = chd_skip,
	.finish = chd_finish,
	.free = chd_writer_free,
};

static const struct pl_writer_ops plain_ops = {
	.place = plain_place,
	.skip = plain_skip,
	.finish = chd_finish,
	.free = chd_writer_free,
};

static int
begin(struct chd_writer *c, const struct pl_create_request *request, struct platter_error *err)
{
	bool compressed = c->plan.nr_codecs > 0;
	uint64_t most = (uint64_t)MAX_HUNKS * c->plan.hunk_size;
	int r = 0;

	if (request->size != UINT64_MAX && request->size > most) {
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "a disk of %" PRIu64 " bytes, limit with hunks of %" PRIu32
				  " is %" PRIu64,
				  request->size, c->plan.hunk_size, most);
		pl_hint(err, "make the hunks larger: -o hunk=64K");
		return r;
	}

	c->writer = (struct pl_writer){ .ops = compressed ? &compressed_ops : &plain_ops,
					.file = request->file,
					.size = request->size,
					.chunk = c->plan.hunk_size,
					.encoded_max = c->plan.hunk_size };
	c->frontier =
		compressed ? HEADER_BYTES : pl_multiple_above(HEADER_BYTES, c->plan.hunk_size);
	c->sha1 = EVP_MD_CTX_new();
	if (!c->sha1 || !EVP_DigestInit_ex(c->sha1, EVP_sha1(), NULL))
		return pl_no_memory(err);
	if (c->plan.type == TYPE_CD)
		r = pl_chd_plan_cd(request, &c->metadata, &c->writer.source, err);
	/* What an earlier run left is of no use: only the map would tell what it is. */
	return r < 0 ? r : pl_resize(request->file, 0, err);
}

int
pl_chd_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	struct chd_writer *c;
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a CHD cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		return pl_no_memory(err);
	r = pl_chd_plan(request, &c->plan, err);
	if (r == 0)
		r = begin(c, request, err);
	if (r < 0) {
		chd_writer_free(&c->writer);
		return r;
	}
	*ret = &c->writer;
	return 0;
}
