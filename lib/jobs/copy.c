/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * copy.c - the copy engine
 *
 * The source is cut into pieces, numbered in order.  Worker threads take the next task
 * that can run:
 *
 *	order	hand a filled piece to the writer: where do its bytes go? (one at a time, in order)
 *	hash	feed a filled piece to one of the hashes, or to a writer that wants to see all
 *		bytes (one at a time for each, in order)
 *	write	write a piece whose place is known (behind a page cache one at a time: a second
 *		writer would only spin on the lock of the file)
 *	fill	plan the next piece, read it, find its zeros, encode it
 *
 * To wake a thread costs as much as to copy a small piece.  So what a task makes possible is
 * left to the thread that did it, which looks for its next one anyway, and a thread that takes a
 * task wakes one other if more are left.  No more threads than processors are kept awake, unless
 * reading or writing waits for storage.
 *
 * The pieces in flight live in a ring of slots, which bounds the memory.  A slot is free
 * again when its piece has been written and passed every lane.
 */
#include "copy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "hash.h"
#include "pool.h"
#include "progress.h"
#include "storage.h"

/* Bytes of a piece: large enough to hide the price of a task, small enough for the L2 cache. */
#define PIECE_SIZE MIB(1)
/* Zeros are cut into pieces of this size while hashing, so that cancelling is quick. */
#define ZERO_PIECE_SIZE     MIB(64)
#define SPARSE_AUTO_BLOCK   KIB(64)
#define SPARSE_ALWAYS_BLOCK KIB(4)
/* Copying starts and ends at multiples of this where the source allows: direct I/O needs it. */
#define TARGET_CHUNK KIB(4)
/* How far to look ahead in the source's map. */
#define SPAN_SIZE GIB(1)
/* Nanoseconds between two checkpoints of a writer. */
#define CHECKPOINT_INTERVAL 1000000000

/* A run within a piece: left out, or stored. */
struct segment {
	uint32_t start, length; /* in the piece */
	bool zero;
	size_t stored;               /* bytes encoded, 0: as is */
	const uint8_t *bytes;        /* what is stored */
	uint8_t note[PL_NOTE_BYTES]; /* of the chunk that was encoded */
};

/* A run of stored bytes and where it goes in the writer's file. */
struct run {
	const uint8_t *bytes;
	size_t length;
	uint64_t at;
};

struct runs {
	struct run *list;
	size_t nr, capacity;
};

enum {
	MAX_LANES = 2 + PLATTER_MAX_HASHES
};

struct slot {
	uint64_t offset, length; /* of the piece on the disk */
	enum platter_kind kind;  /* DATA: in `buf`; else nothing is stored at all */
	bool busy;               /* holds a piece that is not done with */
	bool filled;
	unsigned lanes_left; /* lanes that have yet to see it */
	bool unwritten;      /* its place is known, its bytes are not there yet */
	bool writing;
	uint8_t *buf, *encoded;
	struct segment *segments;
	size_t nr_segments;
	struct runs runs; /* what the writer said of its place */
};

/* Sees the pieces one at a time, in order. */
struct lane {
	uint64_t next; /* number of the piece it wants */
	bool busy;
};

struct engine {
	struct pl_copy *copy;
	struct pl_meter meter;
	uint64_t size; /* of the source; UINT64_MAX until a stream ends */
	uint64_t piece_size;
	uint64_t chunk; /* pieces start and end at multiples of it */
	uint64_t sparse_block;

	/* The planner's own, whoever plans: */
	uint64_t position;           /* where the next piece starts */
	enum platter_kind span_kind; /* of what lies at [span_start, span_end) */
	uint64_t span_start, span_end;

	pthread_mutex_t lock; /* guards all below, and the slots' flags */
	pthread_cond_t work;
	unsigned awake, idle; /* threads; the idle ones wait for `work` */
	unsigned enough;      /* threads awake, as long as storage is not waited for */
	bool waited;          /* the last read or write did wait */
	bool waking;          /* an idle thread was told, and has not looked yet */
	bool planning, ended, stop;
	uint64_t planned; /* pieces planned so far: the number of the next one */
	struct slot *slots;
	size_t nr_slots, nr_busy;
	struct lane lanes[MAX_LANES]; /* [0]: the ordered sink; then the hashes */
	size_t nr_lanes;
	bool ordered; /* lane 0 is in use */
	bool seen;    /* the last lane is the writer's */
	unsigned writers, max_writers;
	uint64_t last_checkpoint; /* nanoseconds */
	int result;
	struct platter_error err;
};

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The kind of what lies at the planner's `at`, and where that ends. */
static int
look(struct engine *e, uint64_t at, enum platter_kind *ret_kind, uint64_t *ret_end,
     struct platter_error *err)
{
	if (at < e->span_start || at >= e->span_end) {
		uint64_t length;
		int r = pl_span(e->copy->source, at, PL_MIN(e->size - at, SPAN_SIZE), &e->span_kind,
				&length, err);

		if (r < 0)
			return r;
		e->span_start = at;
		e->span_end = at + length;
		if (e->span_kind == PLATTER_BAD)
			e->copy->bad += length;
	}
	*ret_kind = e->span_kind;
	*ret_end = e->span_end;
	return 0;
}

/* Plan the piece at the planner's position (< size): all data, or all left out. */
static int
plan_mapped(struct engine *e, struct slot *s, struct platter_error *err)
{
	uint64_t start = e->position, end = start;
	uint64_t limit = PL_MIN(pl_multiple_below(start, e->piece_size) + e->piece_size, e->size);
	enum platter_kind kind;
	int r = look(e, start, &kind, &end, err);

	if (r < 0)
		return r;
	if (kind != PLATTER_DATA && e->copy->sparse != PLATTER_SPARSE_NEVER &&
	    (end == e->size || end - start >= e->chunk)) {
		if (end != e->size)
			end = pl_multiple_below(end, e->chunk);
		if (e->nr_lanes > 1)
			end = PL_MIN(end, start + ZERO_PIECE_SIZE);
		if (start < e->copy->withhold)
			end = PL_MIN(end, e->copy->withhold);
		s->kind = kind;
		s->length = end - start;
		return 0;
	}
	/* Data, with the gaps in it that are smaller than a chunk. */
	for (;;) {
		uint64_t next, to = PL_MIN(pl_multiple_above(end, e->chunk), limit);

		/* The rest of the chunk goes with it, but what is bad in it counts. */
		for (; end < to; end = next) {
			r = look(e, end, &kind, &next, err);
			if (r < 0)
				return r;
		}
		end = to;
		if (end == limit)
			break;
		r = look(e, end, &kind, &next, err);
		if (r < 0)
			return r;
		if (kind != PLATTER_DATA && e->copy->sparse != PLATTER_SPARSE_NEVER &&
		    (next == e->size || next - end >= e->chunk))
			break;
		end = next;
	}
	s->kind = PLATTER_DATA;
	s->length = end - start;
	return 0;
}

/* The next piece of a stream: planning it is reading it. */
static int
plan_stream(struct engine *e, struct slot *s, struct platter_error *err)
{
	size_t n;
	int r = pl_stream_read(e->copy->source, s->buf, (size_t)e->piece_size, &n, err);

	if (r < 0)
		return r;
	if (n < e->piece_size)
		e->size = e->position + n;
	s->kind = PLATTER_DATA;
	s->length = n;
	return 0;
}

static void
add_segment(struct slot *s, size_t start, size_t length, bool zero, size_t stored,
	    const uint8_t *bytes)
{
	struct segment *last = s->nr_segments ? &s->segments[s->nr_segments - 1] : NULL;

	/* Zeros, and runs stored as they are, grow together. */
	if (last && !stored && !last->stored && last->zero == zero) {
		last->length += (uint32_t)length;
		return;
	}
	s->segments[s->nr_segments++] = (struct segment){ .start = (uint32_t)start,
							  .length = (uint32_t)length,
							  .zero = zero,
							  .stored = stored,
							  .bytes = bytes };
}

static int
encode_piece(struct engine *e, struct slot *s, struct platter_error *err)
{
	struct pl_writer *w = e->copy->writer;
	size_t used = 0;

	for (size_t at = 0; at < s->length; at += w->chunk) {
		size_t n = (size_t)PL_MIN(s->length - at, w->chunk);
		struct pl_encoded out = { .capacity = w->encoded_max };
		int r;

		if (e->copy->sparse != PLATTER_SPARSE_NEVER && pl_is_zero(s->buf + at, n)) {
			add_segment(s, at, n, true, 0, NULL);
			continue;
		}
		if (!w->ops->encode) {
			add_segment(s, at, n, false, 0, s->buf + at);
			continue;
		}
		out.bytes = s->encoded + used;
		r = w->ops->encode(w, s->offset + at, s->buf + at, n, &out, err);
		if (r < 0)
			return r;
		if (out.as_is) {
			add_segment(s, at, n, false, 0, s->buf + at);
		} else {
			add_segment(s, at, n, false, out.length, out.bytes);
			memcpy(s->segments[s->nr_segments - 1].note, out.note, sizeof out.note);
			used += out.length;
		}
	}
	return 0;
}

static void
split_zeros(struct engine *e, struct slot *s)
{
	if (e->copy->sparse == PLATTER_SPARSE_NEVER) {
		add_segment(s, 0, (size_t)s->length, false, 0, s->buf);
		return;
	}
	for (size_t at = 0; at < s->length;) {
		bool zero;
		size_t n = pl_zero_run(s->buf + at, (size_t)s->length - at, (size_t)e->sparse_block,
				       &zero);

		add_segment(s, at, n, zero, 0, s->buf + at);
		at += n;
	}
}

/* Does the target already hold these bytes?  (bytes NULL: zeros) */
static int
target_holds(struct pl_disk *target, uint64_t offset, const uint8_t *bytes, size_t n, bool *ret,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *have = NULL;
	enum platter_kind kind;
	uint64_t length;
	int r;

	*ret = false;
	if (!pl_in_range(offset, n, pl_disk_size(target)))
		return 0;
	r = pl_span(target, offset, n, &kind, &length, err);
	if (r < 0)
		return r;
	if (kind != PLATTER_DATA && length == n) {
		*ret = bytes ? pl_is_zero(bytes, n) : true;
		return 0;
	}
	have = pl_alloc_aligned(n);
	if (!have)
		return pl_no_memory(err);
	r = pl_read_once(target, have, n, offset, err);
	if (r == 0)
		*ret = bytes ? !memcmp(have, bytes, n) : pl_is_zero(have, n);
	return r;
}

/* Make a range of the target zero, which may be very long. */
static int
clear_target(struct engine *e, uint64_t offset, uint64_t length, struct platter_error *err)
{
	struct pl_copy *copy = e->copy;
	unsigned flags = copy->sparse == PLATTER_SPARSE_NEVER ? 0 : PL_ZERO_MAY_UNMAP;

	if (!copy->update)
		return copy->target_is_zero ? 0 : pl_zero(copy->target, offset, length, flags, err);
	while (length) {
		enum platter_kind kind = PLATTER_ZERO;
		uint64_t n = length;
		bool holds = true;
		int r = 0;

		/* Past its end a file that grows reads as zeros; the rest has no such place. */
		if (offset >= pl_disk_size(copy->target))
			return copy->target->growable
				       ? 0
				       : pl_zero(copy->target, offset, length, flags, err);
		r = pl_span(copy->target, offset,
			    PL_MIN(length, pl_disk_size(copy->target) - offset), &kind, &n, err);
		if (r == 0 && kind == PLATTER_DATA) {
			n = PL_MIN(n, PIECE_SIZE);
			r = target_holds(copy->target, offset, NULL, (size_t)n, &holds, err);
		}
		if (r == 0 && !holds)
			r = pl_zero(copy->target, offset, n, flags, err);
		if (r < 0)
			return r;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Into a target that is written at random offsets. */
static int
write_target(struct engine *e, struct slot *s, struct platter_error *err)
{
	struct pl_copy *copy = e->copy;

	if (s->kind != PLATTER_DATA)
		return clear_target(e, s->offset, s->length, err);
	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct segment *g = &s->segments[i];
		bool holds = false;
		int r = 0;

		if (g->zero) {
			r = clear_target(e, s->offset + g->start, g->length, err);
		} else {
			if (copy->update)
				r = target_holds(copy->target, s->offset + g->start, g->bytes,
						 g->length, &holds, err);
			if (r == 0 && !holds)
				r = pl_write(copy->target, g->bytes, g->length,
					     s->offset + g->start, err);
		}
		if (r < 0)
			return r;
		if (holds)
			__atomic_fetch_add(&copy->kept, g->length, __ATOMIC_RELAXED);
	}
	return 0;
}

/* Read, find the zeros, encode. */
static int
fill(struct engine *e, struct slot *s, struct platter_error *err)
{
	struct pl_copy *copy = e->copy;
	int r = 0;

	s->nr_segments = 0;
	if (s->kind == PLATTER_DATA) {
		if (!copy->source->sequential)
			r = pl_read_once(copy->source, s->buf, (size_t)s->length, s->offset, err);
		if (r < 0)
			return r;
		if (copy->writer)
			r = encode_piece(e, s, err);
		else if (copy->target)
			split_zeros(e, s);
	}
	return r;
}

/* A stream of output: zeros are written too. */
static int
write_stream(struct pl_disk *target, const struct slot *s, struct platter_error *err)
{
	if (s->kind == PLATTER_DATA)
		return pl_write(target, s->buf, (size_t)s->length, s->offset, err);
	return pl_zero(target, s->offset, s->length, 0, err);
}

static int
add_run(struct runs *runs, const uint8_t *bytes, size_t length, uint64_t at,
	struct platter_error *err)
{
	struct run *last = runs->nr ? &runs->list[runs->nr - 1] : NULL;

	if (last && last->bytes + last->length == bytes && last->at + last->length == at) {
		last->length += length;
		return 0;
	}
	if (runs->nr == runs->capacity) {
		size_t capacity = runs->capacity ? runs->capacity * 2 : 16;
		struct run *list = pl_realloc_array(runs->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		runs->list = list;
		runs->capacity = capacity;
	}
	runs->list[runs->nr++] = (struct run){ bytes, length, at };
	return 0;
}

/* Ask the writer where an encoded chunk goes. */
static int
place_chunk(struct pl_writer *w, struct slot *s, const struct segment *g, struct platter_error *err)
{
	struct pl_encoded chunk = { .bytes = (uint8_t *)(uintptr_t)g->bytes, .length = g->stored };
	uint64_t at;
	int r;

	memcpy(chunk.note, g->note, sizeof chunk.note);
	r = w->ops->place_chunk(w, s->offset + g->start, &chunk, &at, err);
	return r < 0 || at == PL_NOWHERE ? r : add_run(&s->runs, g->bytes, g->stored, at, err);
}

/* Ask the writer where a piece goes. */
static int
place(struct pl_writer *w, struct slot *s, struct platter_error *err)
{
	s->runs.nr = 0;
	if (s->kind != PLATTER_DATA)
		return w->ops->skip(w, s->offset, s->length, s->kind, err);
	for (size_t i = 0; i < s->nr_segments; i++) {
		const struct segment *g = &s->segments[i];
		uint64_t offset = s->offset + g->start, left = g->length;
		const uint8_t *bytes = g->bytes;
		int r;

		if (g->zero) {
			r = w->ops->skip(w, offset, left, PLATTER_ZERO, err);
			if (r < 0)
				return r;
			continue;
		}
		if (w->ops->place_chunk) {
			r = place_chunk(w, s, g, err);
			if (r < 0)
				return r;
			continue;
		}
		while (left) {
			uint64_t at, length = left;

			r = w->ops->place(w, offset, left, g->stored, &at, &length, err);
			if (r == 0)
				r = add_run(&s->runs, bytes, g->stored ? g->stored : (size_t)length,
					    at, err);
			if (r < 0)
				return r;
			offset += length;
			bytes += length;
			left -= length;
		}
	}
	return 0;
}

static int
write_runs(struct pl_disk *file, const struct runs *runs, struct platter_error *err)
{
	for (size_t i = 0; i < runs->nr; i++) {
		const struct run *run = &runs->list[i];
		int r = pl_write(file, run->bytes, run->length, run->at, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What follows is called with the lock. */

static void
fail(struct engine *e, int r, const struct platter_error *err)
{
	if (e->result == 0) {
		e->result = r;
		e->err = *err;
	}
	e->stop = true;
	pthread_cond_broadcast(&e->work);
}

static struct slot *
slot_of(struct engine *e, uint64_t number)
{
	return &e->slots[number % e->nr_slots];
}

static void
count_data(struct pl_copy *copy, const struct slot *s)
{
	uint64_t zero = 0;

	for (size_t i = 0; i < s->nr_segments; i++)
		if (s->segments[i].zero)
			zero += s->segments[i].length;
	copy->zero += zero;
	copy->data += s->length - zero;
}

/* The slot is free when its piece was written and every lane saw it. */
static void
maybe_release(struct engine *e, struct slot *s)
{
	if (s->lanes_left || s->unwritten || s->writing || !s->filled)
		return;
	s->busy = s->filled = false;
	e->nr_busy--;
	if (s->kind == PLATTER_ZERO)
		e->copy->zero += s->length;
	else if (s->kind == PLATTER_DATA)
		count_data(e->copy, s);
	pl_meter_add(&e->meter, s->length, s->kind == PLATTER_DATA ? s->length : 0);
}

/* Start of the oldest piece that is not wholly written: all before it is in the file. */
static uint64_t
written_up_to(struct engine *e)
{
	uint64_t first = e->planned > e->nr_slots ? e->planned - e->nr_slots : 0;

	for (uint64_t n = first; n < e->planned; n++) {
		const struct slot *s = slot_of(e, n);

		if (s->busy)
			return s->offset;
	}
	return e->position;
}

/* A lane whose next piece is there. */
static bool
lane_can_run(struct engine *e, size_t lane)
{
	const struct lane *l = &e->lanes[lane];

	return !l->busy && l->next < e->planned && slot_of(e, l->next)->filled;
}

/* The oldest piece that may be written now, or NULL. */
static struct slot *
to_write(struct engine *e)
{
	uint64_t first = e->planned > e->nr_slots ? e->planned - e->nr_slots : 0;

	if (e->writers == e->max_writers)
		return NULL;
	for (uint64_t n = first; n < e->planned; n++) {
		struct slot *s = slot_of(e, n);

		if (s->filled && s->unwritten)
			return s;
	}
	return NULL;
}

/* A hash whose next piece is there, or 0. */
static size_t
to_hash(struct engine *e)
{
	for (size_t lane = 1; lane < e->nr_lanes; lane++)
		if (lane_can_run(e, lane))
			return lane;
	return 0;
}

static bool
can_fill(struct engine *e)
{
	return !e->planning && !e->ended && !slot_of(e, e->planned)->busy;
}

/* How often this thread has waited for something. */
static long
nr_waits(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nvcsw;
}

/*
 * Called by a thread that has taken a task.  A few slots to fill are left to those who are
 * awake, else a thread would be woken for each piece when writing is slower than reading.
 */
static void
wake_another(struct engine *e)
{
	if (!e->idle || e->waking || (!e->waited && e->awake >= e->enough))
		return;
	if ((e->ordered && lane_can_run(e, 0)) || to_write(e) || to_hash(e) ||
	    (can_fill(e) && e->nr_busy <= e->nr_slots / 2)) {
		e->waking = true;
		pthread_cond_signal(&e->work);
	}
}

static void
wait_for_work(struct engine *e)
{
	e->idle++;
	e->awake--;
	pthread_cond_wait(&e->work, &e->lock);
	e->awake++;
	e->idle--;
	e->waking = false;
}

/* Hand the piece that lane 0 waits for to the ordered sink. */
static void
run_order(struct engine *e)
{
	struct slot *s = slot_of(e, e->lanes[0].next);
	struct pl_writer *w = e->copy->writer;
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t checkpoint = UINT64_MAX;
	int r;

	e->lanes[0].busy = true;
	if (w && w->ops->checkpoint && now() - e->last_checkpoint > CHECKPOINT_INTERVAL)
		checkpoint = written_up_to(e);
	wake_another(e);
	pthread_mutex_unlock(&e->lock);

	r = w ? place(w, s, &err) : write_stream(e->copy->target, s, &err);
	if (r == 0 && w && w->file->sequential) {
		r = write_runs(w->file, &s->runs, &err);
		s->runs.nr = 0;
	}
	if (r == 0 && checkpoint != UINT64_MAX)
		r = w->ops->checkpoint(w, checkpoint, &err);

	pthread_mutex_lock(&e->lock);
	if (checkpoint != UINT64_MAX)
		e->last_checkpoint = now();
	e->lanes[0].busy = false;
	e->lanes[0].next++;
	s->lanes_left--;
	s->unwritten = s->runs.nr > 0;
	if (r < 0)
		fail(e, r, &err);
	maybe_release(e, s);
}

static void
run_write(struct engine *e, struct slot *s)
{
	struct pl_writer *w = e->copy->writer;
	struct platter_error err = PLATTER_ERROR_INIT;
	long waits;
	int r;

	s->unwritten = false;
	s->writing = true;
	e->writers++;
	wake_another(e);
	pthread_mutex_unlock(&e->lock);
	waits = -nr_waits();
	r = w ? write_runs(w->file, &s->runs, &err) : write_target(e, s, &err);
	waits += nr_waits();
	pthread_mutex_lock(&e->lock);
	e->waited = waits > 0;
	e->writers--;
	s->writing = false;
	if (r < 0)
		fail(e, r, &err);
	maybe_release(e, s);
}

/* To the hashes, and last to the writer. */
static int
show(struct engine *e, size_t lane, const struct slot *s, struct platter_error *err)
{
	const uint8_t *bytes = s->kind == PLATTER_DATA ? s->buf : NULL;

	if (e->seen && lane == e->nr_lanes - 1)
		return e->copy->writer->ops->see(e->copy->writer, bytes, s->length, err);
	if (bytes)
		pl_hasher_update(e->copy->hasher, lane - 1, bytes, (size_t)s->length);
	else
		pl_hasher_update_zeros(e->copy->hasher, lane - 1, s->length);
	return 0;
}

static void
run_hash(struct engine *e, size_t lane)
{
	struct slot *s = slot_of(e, e->lanes[lane].next);
	struct platter_error err = PLATTER_ERROR_INIT;
	int r;

	e->lanes[lane].busy = true;
	wake_another(e);
	pthread_mutex_unlock(&e->lock);
	r = show(e, lane, s, &err);
	pthread_mutex_lock(&e->lock);
	e->lanes[lane].busy = false;
	e->lanes[lane].next++;
	s->lanes_left--;
	if (r < 0)
		fail(e, r, &err);
	maybe_release(e, s);
}

static void
run_fill(struct engine *e)
{
	struct slot *s = slot_of(e, e->planned);
	struct platter_error err = PLATTER_ERROR_INIT;
	long waits;
	int r;

	e->planning = true;
	pthread_mutex_unlock(&e->lock);
	waits = -nr_waits();
	s->offset = e->position;
	r = e->copy->source->sequential ? plan_stream(e, s, &err) : plan_mapped(e, s, &err);
	waits += nr_waits();
	pthread_mutex_lock(&e->lock);
	e->planning = false;
	if (r < 0) {
		fail(e, r, &err);
		return;
	}
	e->position += s->length;
	if (e->position == e->size)
		e->ended = true;
	if (!s->length)
		return;
	s->busy = true;
	e->nr_busy++;
	s->lanes_left = (unsigned)(e->nr_lanes - !e->ordered);
	e->planned++;
	wake_another(e);
	pthread_mutex_unlock(&e->lock);

	waits -= nr_waits();
	r = fill(e, s, &err);
	waits += nr_waits();

	pthread_mutex_lock(&e->lock);
	e->waited = waits > 0;
	if (r < 0) {
		fail(e, r, &err);
		return;
	}
	s->filled = true;
	s->unwritten = e->copy->target && !e->ordered && s->offset >= e->copy->withhold;
	maybe_release(e, s);
}

static bool
all_done(struct engine *e)
{
	if (!e->ended || e->planning)
		return false;
	for (size_t i = 0; i < e->nr_slots; i++)
		if (e->slots[i].busy)
			return false;
	return true;
}

static void *
worker(void *closure)
{
	struct engine *e = closure;

	pl_set_on_worker(true);
	pthread_mutex_lock(&e->lock);
	e->awake++;
	while (!e->stop && !all_done(e)) {
		struct slot *s;
		size_t lane;

		if (pl_meter_cancelled(&e->meter)) {
			struct platter_error err = PLATTER_ERROR_INIT;

			fail(e, pl_fail(&err, -ECANCELED, "stopped"), &err);
			break;
		}
		if (!e->waited && e->awake > e->enough)
			wait_for_work(e);
		else if (e->ordered && lane_can_run(e, 0))
			run_order(e);
		else if ((s = to_write(e)))
			run_write(e, s);
		else if ((lane = to_hash(e)))
			run_hash(e, lane);
		else if (can_fill(e))
			run_fill(e);
		else
			wait_for_work(e);
	}
	e->awake--;
	pthread_cond_broadcast(&e->work);
	pthread_mutex_unlock(&e->lock);
	pl_set_on_worker(false);
	return NULL;
}

static void
free_slots(struct engine *e)
{
	for (size_t i = 0; e->slots && i < e->nr_slots; i++) {
		free(e->slots[i].buf);
		free(e->slots[i].encoded);
		free(e->slots[i].segments);
		free(e->slots[i].runs.list);
	}
	free(e->slots);
}

static int
make_slots(struct engine *e, unsigned threads, struct platter_error *err)
{
	const struct pl_writer *w = e->copy->writer;
	size_t block = (size_t)PL_MIN(e->chunk, e->sparse_block);

	e->nr_slots = threads + 4;
	e->slots = calloc(e->nr_slots, sizeof *e->slots);
	if (!e->slots)
		return pl_no_memory(err);
	for (size_t i = 0; i < e->nr_slots; i++) {
		struct slot *s = &e->slots[i];

		s->buf = pl_alloc_aligned((size_t)e->piece_size);
		s->segments = calloc((size_t)(e->piece_size / block), sizeof *s->segments);
		if (w && w->ops->encode)
			s->encoded = malloc((size_t)(e->piece_size / w->chunk) * w->encoded_max);
		if (!s->buf || !s->segments || (w && w->ops->encode && !s->encoded))
			return pl_no_memory(err);
	}
	return 0;
}

static void
run_workers(struct engine *e, unsigned threads)
{
	pthread_t thread[256];
	unsigned n = 0;

	for (; n + 1 < threads && n < ARRAY_SIZE(thread); n++)
		if (pthread_create(&thread[n], NULL, worker, e))
			break;
	worker(e);
	while (n)
		pthread_join(thread[--n], NULL);
}

int
pl_copy_run(struct pl_copy *copy, struct platter_error *err)
{
	struct pl_writer *w = copy->writer;
	struct engine e = {
		.copy = copy,
		.size = copy->source->size,
		.chunk = w ? w->chunk : TARGET_CHUNK,
		.sparse_block = copy->sparse == PLATTER_SPARSE_ALWAYS ? SPARSE_ALWAYS_BLOCK
								      : SPARSE_AUTO_BLOCK,
		.position = w ? w->resumed : 0,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.ordered = w || (copy->target && copy->target->sequential),
		.last_checkpoint = now(),
	};
	/* Encoding keeps every processor busy; the rest may wait for storage now and then. */
	unsigned threads =
		copy->threads ? copy->threads : pl_nr_processors() + (w && w->ops->encode ? 0 : 2);
	int r;

	e.enough = copy->threads ? copy->threads : pl_nr_processors();
	e.max_writers = w              ? pl_storage_writers(w->file)
			: copy->target ? pl_storage_writers(copy->target)
				       : 0;
	e.piece_size = PL_MAX(pl_multiple_below(PIECE_SIZE, e.chunk), e.chunk);
	e.seen = w && w->ops->see;
	e.nr_lanes = 1 + (copy->hasher ? pl_hasher_count(copy->hasher) : 0) + e.seen;
	e.ended = e.position == e.size;
	pl_meter_start(&e.meter, copy->progress, copy->phase ? copy->phase : "copying", e.size);
	if (e.position)
		pl_meter_add(&e.meter, e.position, 0);
	r = make_slots(&e, threads, err);
	if (r == 0) {
		run_workers(&e, threads);
		r = e.result;
		if (r < 0 && err)
			*err = e.err;
	}
	pl_meter_finish(&e.meter);
	free_slots(&e);
	copy->size = e.position;
	return r;
}
