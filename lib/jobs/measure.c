/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * measure.c - how large an image would be
 *
 * The format's own writer lays the image out, in a file that keeps nothing of it.  What the
 * disk stores is told by its map alone, as long as nobody asks for the zeros in it and
 * nothing is encoded; else the copy engine runs as it does for a real image.
 */
#include "measure.h"

#include "cdsa.h"
#include "copy.h"
#include "create.h"
#include "disc-source.h"
#include "progress.h"
#include "regions.h"
#include "storage.h"
#include "walk.h"

/* A fully allocated disk is placed in runs of this size, to be cancelled between them. */
#define RUN_SIZE GIB(1)
/* As the copy engine cuts what it writes into a file without a format. */
#define RAW_CHUNK KIB(4)

struct measuring {
	struct pl_disc_source disc;
	struct pl_disk *source; /* NULL: a disk without any data */
	uint64_t size;          /* of it; UINT64_MAX: a stream that was not read yet */
	uint32_t sector_size;
	const struct platter_measure_options *options;
	struct platter_create_options create; /* the same, for the writer */
	const struct pl_format *format;
	uint32_t key_bits; /* 0: the file is not encrypted as a whole */
	struct platter_progress *progress;
	struct platter_measure_result *result;
};

/* An image that is laid out. */
struct layout {
	struct pl_disk *file;
	struct pl_related *related;
	struct pl_arena arena;
	struct pl_writer *writer; /* NULL: raw */
};

static void
layout_done(struct layout *l)
{
	if (l->writer)
		l->writer->ops->free(l->writer);
	pl_related_free(l->related);
	pl_arena_done(&l->arena);
	pl_disk_unref(l->file);
}

/* A new image for a disk of `size` bytes. */
static int
layout_begin(struct measuring *m, uint64_t size, struct layout *l, struct platter_error *err)
{
	struct pl_create_request request = {
		.size = size,
		.sector_size = m->sector_size,
		.source = m->source,
		.disc = m->disc.disc,
		.track = m->disc.disk ? pl_disc_track_of(m->disc.disk) : NULL,
	};
	int r = pl_storage_count(&l->file, err);

	if (r < 0 || !m->format->create)
		return r;
	l->related = pl_related_new("image", err);
	if (!l->related)
		return err ? err->code : -ENOMEM;
	request.file = l->file;
	request.measured = true;
	request.dense = m->key_bits;
	request.related = l->related;
	r = pl_regions_of(m->source, m->format, &l->arena, &request, err);
	if (r < 0)
		return r;
	return pl_create_writer(m->format, &m->create, &request, &l->writer, err);
}

static int
layout_finish(struct layout *l, uint64_t size, struct platter_error *err)
{
	if (!l->writer)
		return pl_resize(l->file, size, err);
	l->writer->size = size;
	return l->writer->ops->finish(l->writer, err);
}

static int
cancelled(const struct measuring *m, struct platter_error *err)
{
	return pl_cancelled(m->progress) ? pl_fail(err, -ECANCELED, "stopped") : 0;
}

/* Give [offset, offset + length) a place, as it is, and take it for written. */
static int
place(struct layout *l, uint64_t offset, uint64_t length, struct platter_error *err)
{
	if (!l->writer) {
		pl_storage_count_range(l->file, offset, length);
		return 0;
	}
	while (length) {
		uint64_t at, n = length;
		int r = l->writer->ops->place(l->writer, offset, length, 0, &at, &n, err);

		if (r < 0)
			return r;
		pl_storage_count_range(l->writer->file, at, n);
		offset += n;
		length -= n;
	}
	return 0;
}

static int
skip(struct layout *l, uint64_t offset, uint64_t length, enum platter_kind kind,
     struct platter_error *err)
{
	if (!l->writer || !length)
		return 0;
	return l->writer->ops->skip(l->writer, offset, length, kind, err);
}

/* By the map. */

/* The kind of what lies at `at`, and where that ends, however far that is. */
static int
run_at(struct measuring *m, struct pl_walk *walk, uint64_t at, enum platter_kind *ret_kind,
       uint64_t *ret_end, struct platter_error *err)
{
	enum platter_kind kind = PLATTER_DATA;
	uint64_t end = at, length;

	while (end < m->size) {
		int r = cancelled(m, err);

		if (r == 0)
			r = pl_walk_at(walk, end, m->size - end, &kind, &length, err);
		if (r < 0)
			return r;
		if (end == at)
			*ret_kind = kind;
		else if (kind != *ret_kind)
			break;
		end += length;
	}
	*ret_end = end;
	return 0;
}

/* Lay out what the map says, in chunks as the copy engine would cut it. */
static int
follow_map(struct measuring *m, struct layout *l, struct pl_meter *meter, struct platter_error *err)
{
	struct pl_walk walk = { .disk = m->source };
	uint64_t chunk = l->writer ? l->writer->chunk : RAW_CHUNK, at = 0, end = 0;
	bool all = m->options->sparse == PLATTER_SPARSE_NEVER;
	int r = 0;

	for (; r == 0 && at < m->size; at = end) {
		enum platter_kind kind = PLATTER_DATA;

		r = run_at(m, &walk, at, &kind, &end, err);
		if (r < 0)
			return r;
		if (kind == PLATTER_BAD)
			m->result->bad += end - at;
		if (kind != PLATTER_DATA && !all && (end == m->size || end - at >= chunk)) {
			end = end == m->size ? end : pl_multiple_below(end, chunk);
			r = skip(l, at, end - at, kind, err);
		} else {
			end = PL_MIN(pl_multiple_above(end, chunk), m->size);
			r = place(l, at, end - at, err);
			m->result->data += end - at;
		}
		pl_meter_add(meter, end - at, 0);
	}
	return r;
}

/* By reading. */

static int
read_all(struct measuring *m, struct layout *l, struct platter_error *err)
{
	struct pl_disk *own = l->writer ? l->writer->source : NULL;
	struct pl_copy copy = { .source = own ? own : m->source,
				.writer = l->writer,
				.target = l->writer ? NULL : l->file,
				.target_is_zero = true,
				.sparse = m->options->sparse,
				.threads = m->options->threads,
				.progress = m->progress,
				.phase = "measuring" };
	int r = pl_copy_run(&copy, err);

	m->size = copy.size;
	m->result->data = copy.data;
	m->result->bad = copy.bad;
	return r;
}

static bool
must_read(const struct measuring *m, const struct layout *l)
{
	if (m->source->sequential || (l->writer && l->writer->ops->encode))
		return true;
	return m->options->look_for_zeros && m->options->sparse != PLATTER_SPARSE_NEVER;
}

static int
measure_source(struct measuring *m, struct layout *l, struct platter_error *err)
{
	struct pl_meter meter;
	int r;

	if (!m->source)
		return skip(l, 0, m->size, PLATTER_HOLE, err);
	if (must_read(m, l))
		return read_all(m, l, err);
	pl_meter_start(&meter, m->progress, "measuring", m->size);
	r = follow_map(m, l, &meter, err);
	pl_meter_finish(&meter);
	return r;
}

static bool
has_option(const struct measuring *m, const char *key)
{
	for (size_t i = 0; i < m->create.nr_options; i++)
		if (strcmp(m->create.options[i].key, key) == 0)
			return true;
	return false;
}

static int
measure_required(struct measuring *m, struct platter_error *err)
{
	struct layout l = { 0 };
	int r = layout_begin(m, m->size, &l, err);

	if (r == 0)
		r = measure_source(m, &l, err);
	if (r == 0)
		r = layout_finish(&l, m->size, err);
	if (r == 0)
		pl_storage_counted(l.file, &m->result->required, &m->result->written);
	if (r == 0 && m->key_bits)
		m->result->required = pl_cdsa_stored_length(m->result->required);
	/* What is encrypted has no holes. */
	if (r == 0 && has_option(m, "encryption"))
		m->result->written = m->result->required;
	layout_done(&l);
	return r;
}

/* Fully allocated. */

/* Bytes that no codec makes shorter. */
static void
fill_with_noise(uint8_t *bytes, size_t n)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)(x >> 32);
	}
}

/* How many bytes a chunk of n bytes of noise takes when it is encoded; 0: it is stored as it is. */
static int
encoded_size(struct pl_writer *w, const uint8_t *noise, uint64_t offset, size_t n, size_t *ret,
	     struct platter_error *err)
{
	struct pl_encoded out = { .capacity = w->encoded_max };
	int r;

	out.bytes = malloc(out.capacity);
	if (!out.bytes)
		return pl_no_memory(err);
	r = w->ops->encode(w, offset, noise, n, &out, err);
	*ret = out.as_is ? 0 : out.length;
	free(out.bytes);
	return r;
}

/* A chunk in `stored` bytes of which nothing was noted. */
static int
place_chunk(struct layout *l, uint64_t offset, uint64_t n, size_t stored, struct platter_error *err)
{
	struct pl_encoded chunk = { .length = stored };
	struct pl_writer *w = l->writer;
	uint64_t at = PL_NOWHERE;
	int r = w->ops->place_chunk ? w->ops->place_chunk(w, offset, &chunk, &at, err)
				    : w->ops->place(w, offset, n, stored, &at, &n, err);

	if (r == 0 && at != PL_NOWHERE)
		pl_storage_count_range(w->file, at, stored);
	return r;
}

/* Place [offset, end), each chunk of it in `stored` bytes, or as it is if that is 0. */
static int
place_run(struct measuring *m, struct layout *l, uint64_t offset, uint64_t end, size_t stored,
	  struct platter_error *err)
{
	uint64_t step = stored ? l->writer->chunk : RUN_SIZE;
	int r = 0;

	for (; r == 0 && offset < end; offset += step) {
		uint64_t n = PL_MIN(end - offset, step);

		if (offset % RUN_SIZE == 0)
			r = cancelled(m, err);
		if (r == 0 && !stored)
			r = place(l, offset, n, err);
		else if (r == 0)
			r = place_chunk(l, offset, n, stored, err);
	}
	return r;
}

static int
place_all(struct measuring *m, struct layout *l, struct platter_error *err)
{
	struct pl_writer *w = l->writer;
	PL_AUTOFREE uint8_t *noise = NULL;
	size_t whole = 0, rest = 0;
	uint64_t last;
	int r;

	if (!w || !w->ops->encode || !m->size)
		return place_run(m, l, 0, m->size, 0, err);
	noise = malloc(w->chunk);
	if (!noise)
		return pl_no_memory(err);
	fill_with_noise(noise, w->chunk);
	/* The last chunk may be less than one, and what it is filled up with compresses. */
	last = pl_multiple_below(m->size - 1, w->chunk);
	r = encoded_size(w, noise, 0, w->chunk, &whole, err);
	if (r == 0)
		r = encoded_size(w, noise, last, (size_t)(m->size - last), &rest, err);
	if (r == 0)
		r = place_run(m, l, 0, last, whole, err);
	return r < 0 ? r : place_run(m, l, last, m->size, rest, err);
}

static int
measure_full(struct measuring *m, uint64_t declared, struct platter_error *err)
{
	struct layout l = { 0 };
	struct platter_error full_err = PLATTER_ERROR_INIT;
	uint64_t written;
	int r = layout_begin(m, declared, &l, &full_err);

	if (r == 0)
		r = place_all(m, &l, &full_err);
	if (r == 0)
		r = layout_finish(&l, m->size, &full_err);
	m->result->full = UINT64_MAX;
	if (r == 0)
		pl_storage_counted(l.file, &m->result->full, &written);
	if (r == 0 && m->key_bits)
		m->result->full = pl_cdsa_stored_length(m->result->full);
	layout_done(&l);
	/* That it cannot become so large is an answer. */
	if (r == -EFBIG)
		return 0;
	if (r < 0 && err)
		*err = full_err;
	return r;
}

/* Of a disc, what the format is written from. */
static int
choose_view(struct measuring *m, struct platter_error *err)
{
	int r;

	if (!m->source)
		return pl_refuse_empty(m->format, err);
	r = pl_disc_source_init(&m->disc, m->format, m->source, err);
	if (r < 0)
		return r;
	m->source = m->disc.disk;
	m->size = m->source->size;
	return 0;
}

static int
measure(struct measuring *m, struct platter_error *err)
{
	const struct platter_measure_options *o = m->options;
	uint64_t declared;
	int r;

	m->create = (struct platter_create_options){
		.size = sizeof m->create,
		.format = o->format ? o->format : "raw",
		.options = o->options,
		.nr_options = o->nr_options,
		.compress = o->compress,
		.sparse = o->sparse,
	};
	r = pl_create_format("image", &m->create, &m->format, err);
	if (r == 0)
		r = choose_view(m, err);
	declared = m->size;
	if (r == 0)
		r = pl_create_encryption(m->format, &m->create, &m->key_bits, err);
	if (r == 0)
		r = measure_required(m, err);
	m->result->size = m->size;
	if (r == 0)
		r = measure_full(m, declared, err);
	pl_disc_source_done(&m->disc);
	return r;
}

int
pl_measure(struct pl_disk *source, const struct platter_measure_options *options,
	   struct platter_progress *progress, struct platter_measure_result *ret,
	   struct platter_error *err)
{
	struct measuring m = { .source = source,
			       .size = source->size,
			       .sector_size = source->sector_size,
			       .options = options,
			       .progress = progress,
			       .result = ret };

	return measure(&m, err);
}

int
pl_measure_empty(uint64_t size, const struct platter_measure_options *options,
		 struct platter_progress *progress, struct platter_measure_result *ret,
		 struct platter_error *err)
{
	struct measuring m = { .size = size,
			       .sector_size = 512,
			       .options = options,
			       .progress = progress,
			       .result = ret };

	return measure(&m, err);
}
