/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs-write.c - an image taken from libisofs and written, its contents read on the way
 *
 * One thread takes the image as libisofs makes it, in windows.  Others look for the blocks in
 * a window that name contents (isofs-stream.c), read them into their places, and write the
 * window with one call.  The small files of a folder thus go out together.
 */
#include <pthread.h>
#include <time.h>

#include "isofs.h"
#include "pool.h"

#define WINDOW      MIB(1)
#define MAX_THREADS 16

struct window {
	uint8_t *bytes;
	size_t length;
	uint64_t offset;
	struct window *next;
};

struct writing {
	struct pl_isofs *work;
	struct pl_disk *file;
	uint64_t at, end;
	struct pl_meter meter;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t full;  /* a window is to be written, or no more will come */
	pthread_cond_t empty; /* one may be filled, or the work has failed */
	struct window *to_write, **last, *to_fill;
	bool ended;
	int failed;
	struct platter_error err;
};

/* ---- contents ---- */

/* The file that was last read from stays open: its next piece often follows. */
struct reader {
	struct pl_isofs *work;
	struct pl_item_file file;
};

static int
read_contents(struct reader *r, const struct pl_item *item, uint64_t offset, uint8_t *to, size_t n,
	      struct platter_error *err)
{
	int code = 0;

	if (r->file.item != item) {
		pl_item_close(&r->file);
		code = pl_item_open(r->work->source, item, &r->file, err);
	}
	if (code < 0)
		return code;
	code = pl_item_read(r->work->source, &r->file, to, n, offset, err);
	/* A small file is read once. */
	if (offset + n >= item->file.size)
		pl_item_close(&r->file);
	return code;
}

/* Whether the block names contents, and which. */
static bool
names_contents(const struct pl_isofs *w, const uint8_t *block, uint64_t *ret_number,
	       uint64_t *ret_block)
{
	if (memcmp(block, w->mark, sizeof w->mark) != 0)
		return false;
	*ret_number = get_le64(block + 16);
	*ret_block = get_le64(block + 24);
	return *ret_number < w->nr_contents;
}

/* How many blocks from here on name the ones that follow in the same contents. */
static size_t
run_of_contents(const struct pl_isofs *w, const uint8_t *p, size_t nr_blocks, uint64_t number,
		uint64_t block)
{
	uint64_t other, next;
	size_t n = 1;

	while (n < nr_blocks && names_contents(w, p + n * ISO_BLOCK, &other, &next) &&
	       other == number && next == block + n)
		n++;
	return n;
}

static int
fill_contents(struct reader *reader, struct window *window, struct platter_error *err)
{
	const struct pl_isofs *w = reader->work;
	size_t nr = window->length / ISO_BLOCK, n;
	uint64_t number, block;
	int r = 0;

	for (size_t i = 0; r == 0 && i < nr; i += n) {
		uint8_t *p = window->bytes + i * ISO_BLOCK;
		uint64_t offset, length;

		n = 1;
		if (!names_contents(w, p, &number, &block))
			continue;
		n = run_of_contents(w, p, nr - i, number, block);
		offset = block * ISO_BLOCK;
		length = PL_MIN(n * ISO_BLOCK, w->contents[number]->file.size - offset);
		memset(p + length, 0, n * ISO_BLOCK - length);
		r = read_contents(reader, w->contents[number], offset, p, length, err);
	}
	return r;
}

/* ---- threads ---- */

static void
fail(struct writing *w, int code, const struct platter_error *err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->failed) {
		w->failed = code;
		w->err = *err;
	}
	pthread_cond_broadcast(&w->empty);
	pthread_cond_broadcast(&w->full);
	pthread_mutex_unlock(&w->lock);
}

static struct window *
take_full(struct writing *w)
{
	struct window *window;

	pthread_mutex_lock(&w->lock);
	while (!w->to_write && !w->ended && !w->failed)
		pthread_cond_wait(&w->full, &w->lock);
	window = w->failed ? NULL : w->to_write;
	if (window) {
		w->to_write = window->next;
		if (!w->to_write)
			w->last = &w->to_write;
	}
	pthread_mutex_unlock(&w->lock);
	return window;
}

static void
give_back(struct writing *w, struct window *window)
{
	pthread_mutex_lock(&w->lock);
	window->next = w->to_fill;
	w->to_fill = window;
	pthread_cond_signal(&w->empty);
	pthread_mutex_unlock(&w->lock);
}

/* Windows of zeros are left out as holes; but for the last, which says where the file ends. */
static int
write_window(struct writing *w, const struct window *window, struct platter_error *err)
{
	if (!w->file->sequential && window->offset + window->length < w->end &&
	    pl_is_zero(window->bytes, window->length))
		return 0;
	return pl_write(w->file, window->bytes, window->length, window->offset, err);
}

static void *
write_windows(void *closure)
{
	struct writing *w = closure;
	struct reader reader = { .work = w->work, .file = { .fd = -1 } };
	struct window *window;

	pl_set_on_worker(true);
	while ((window = take_full(w))) {
		struct platter_error err = PLATTER_ERROR_INIT;
		int r = fill_contents(&reader, window, &err);

		if (r == 0)
			r = write_window(w, window, &err);
		if (r < 0)
			fail(w, r, &err);
		else
			pl_meter_add(&w->meter, window->length, window->length);
		give_back(w, window);
	}
	pl_item_close(&reader.file);
	return NULL;
}

static struct window *
take_empty(struct writing *w)
{
	struct window *window;

	pthread_mutex_lock(&w->lock);
	while (!w->to_fill && !w->failed)
		pthread_cond_wait(&w->empty, &w->lock);
	window = w->failed ? NULL : w->to_fill;
	if (window)
		w->to_fill = window->next;
	pthread_mutex_unlock(&w->lock);
	return window;
}

static void
put_full(struct writing *w, struct window *window)
{
	window->next = NULL;
	pthread_mutex_lock(&w->lock);
	*w->last = window;
	w->last = &window->next;
	pthread_cond_signal(&w->full);
	pthread_mutex_unlock(&w->lock);
}

/*
 * Wait until libisofs has made as much as a window takes: a reader that waits inside of
 * libisofs is woken for every single block.
 */
static void
wait_for(struct burn_source *source, size_t n)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	size_t size, room;

	while (iso_ring_buffer_get_status(source, &size, &room) == 1 && size - room < n)
		nanosleep(&pause, NULL);
}

/* Fill windows until the image ends, `total` bytes from here. */
static int
take_image(struct writing *w, struct burn_source *source, uint64_t total, struct platter_error *err)
{
	for (uint64_t done = 0, n; done < total; done += n) {
		struct window *window = take_empty(w);

		if (!window)
			return 0;
		n = PL_MIN(WINDOW, total - done);
		window->offset = w->at + done;
		window->length = n;
		if (pl_meter_cancelled(&w->meter)) {
			give_back(w, window);
			return pl_fail(err, -ECANCELED, "cancelled");
		}
		wait_for(source, n);
		if (source->read_xt(source, window->bytes, (int)n) <= 0) {
			give_back(w, window);
			return pl_isofs_fail(err, (int)ISO_WRITE_ERROR, "cannot lay out the disc");
		}
		put_full(w, window);
	}
	return 0;
}

static int
run_threads(struct writing *w, struct burn_source *source, unsigned nr_threads, uint64_t total,
	    struct platter_error *err)
{
	struct platter_error own = PLATTER_ERROR_INIT;
	pthread_t threads[MAX_THREADS];
	unsigned started = 0;
	int r = 0;

	while (started < nr_threads &&
	       pthread_create(&threads[started], NULL, write_windows, w) == 0)
		started++;
	if (!started)
		r = pl_fail(&own, -EAGAIN, "cannot start a thread");
	else
		r = take_image(w, source, total, &own);
	if (r < 0)
		fail(w, r, &own);
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	pthread_cond_broadcast(&w->full);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (w->failed && err)
		*err = w->err;
	return w->failed;
}

static void
free_windows(struct window *window)
{
	while (window) {
		struct window *next = window->next;

		free(window->bytes);
		free(window);
		window = next;
	}
}

static int
make_windows(struct writing *w, unsigned nr, struct platter_error *err)
{
	for (unsigned i = 0; i < nr; i++) {
		struct window *window = calloc(1, sizeof *window);

		if (!window)
			return pl_no_memory(err);
		window->next = w->to_fill;
		w->to_fill = window;
		window->bytes = pl_alloc_aligned(WINDOW);
		if (!window->bytes)
			return pl_no_memory(err);
	}
	return 0;
}

static int
write_image(struct writing *w, struct burn_source *source, struct platter_error *err)
{
	unsigned nr = w->work->options->threads ? w->work->options->threads : pl_nr_processors();
	uint64_t total = (uint64_t)source->get_size(source);
	int r;

	w->end = w->at + total;
	nr = PL_MIN(nr, MAX_THREADS);
	r = make_windows(w, 2 * nr + 2, err);
	pl_meter_start(&w->meter, w->work->progress, "writing", total);
	if (r == 0)
		r = run_threads(w, source, nr, total, err);
	pl_meter_finish(&w->meter);
	free_windows(w->to_fill);
	free_windows(w->to_write);
	return r;
}

int
pl_isofs_write(struct pl_isofs *work, struct pl_disk *file, uint64_t at, struct platter_error *err)
{
	struct writing w = {
		.work = work,
		.file = file,
		.at = at,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.full = PTHREAD_COND_INITIALIZER,
		.empty = PTHREAD_COND_INITIALIZER,
		.err = PLATTER_ERROR_INIT,
	};
	struct burn_source *source;
	int r, code;

	w.last = &w.to_write;
	code = iso_image_create_burn_source(work->image, work->write, &source);
	if (code < 0)
		return pl_isofs_fail(err, code, "cannot lay out the disc");
	r = write_image(&w, source, err);
	/* Ends its thread, if that still runs. */
	if (source->cancel)
		source->cancel(source);
	source->free_data(source);
	free(source);
	return r;
}
