/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-erase.c - what the drive itself does, and what is read afterwards
 *
 * A drive that has erased itself may give back zeros, ones or anything.  So places from everywhere
 * are read before: that none of them is as it was is what can be verified.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "storage.h"
#include "wipe.h"

#define PLACES     256
#define PLACE_SIZE KIB(4)
#define PIECE      MIB(1)
#define STEP       GIB(1)

struct place_before {
	uint64_t offset;
	bool tells; /* not one byte all over */
};

struct before {
	struct place_before place[PLACES];
	uint8_t *bytes;
	size_t nr, telling;
};

static bool
is_uniform(const uint8_t *buf, size_t n)
{
	return n < 2 || memcmp(buf, buf + 1, n - 1) == 0;
}

static int
look_before(struct pl_wipe *w, struct before *b, struct platter_error *err)
{
	uint64_t places = w->size / PLACE_SIZE;
	uint8_t dice[8 * PLACES];
	int r = pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, UINT32_MAX - 2, w->state.seed, 0, dice,
			      sizeof dice, err);

	b->bytes = pl_alloc_aligned(PLACES * PLACE_SIZE);
	if (!b->bytes)
		return pl_no_memory(err);
	for (; b->nr < PLACES && b->nr < places && r == 0; b->nr++) {
		/* One somewhere in each of as many sections. */
		uint64_t start = places * b->nr / PLACES, end = places * (b->nr + 1) / PLACES;
		struct place_before *place = &b->place[b->nr];
		uint8_t *bytes = b->bytes + b->nr * PLACE_SIZE;

		place->offset =
			(start + get_be64(dice + 8 * b->nr) % PL_MAX(end - start, 1)) * PLACE_SIZE;
		r = pl_wipe_read(w, bytes, PLACE_SIZE, place->offset, err);
		place->tells = !is_uniform(bytes, PLACE_SIZE);
		b->telling += place->tells;
	}
	pl_ranges_done(&w->state.unread);
	return r;
}

static int
discard_step(const struct pl_wipe *w, uint64_t at, uint64_t n)
{
	uint64_t range[2] = { at, n };
	bool secure = w->method->how == PL_WIPE_SECURE_DISCARD;

	if (!w->report.drive.device)
		return fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				 (off_t)n) < 0
			       ? -errno
			       : 0;
	return ioctl(w->fd, secure ? BLKSECDISCARD : BLKDISCARD, range) < 0 ? -errno : 0;
}

static int
discard(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	uint64_t done = 0;
	int r = 0;

	while (done < w->size && r == 0) {
		uint64_t n = PL_MIN(STEP, w->size - done);

		if (pl_meter_cancelled(meter))
			return pl_fail(err, -ECANCELED, "stopped");
		r = discard_step(w, w->offset + done, n);
		pl_meter_add(meter, n, 0);
		done += n;
	}
	if (r == -EOPNOTSUPP || r == -ENOTTY || r == -EINVAL) {
		r = pl_fail(err, -ENOTSUP, "'%s' takes no %s", w->target, w->method->info.title);
		pl_hint(err, "'--method auto' finds what it does take");
	} else if (r < 0) {
		r = pl_fail_errno(err, r, "discard '%s'", w->target);
	}
	return r < 0 || fsync(w->fd) == 0 ? r
					  : pl_fail_errno(err, -errno, "wait for '%s'", w->target);
}

/* How far the drive says that it is, for the meter. */
struct watched {
	struct pl_wipe *w;
	struct pl_meter *meter;
	uint64_t told; /* bytes */
};

static bool
watch(double fraction, void *closure)
{
	struct watched *watched = closure;
	uint64_t done = fraction > 0 ? (uint64_t)(fraction * (double)watched->w->size) : 0;

	done = PL_MIN(done, watched->w->size);
	if (done > watched->told) {
		pl_meter_add(watched->meter, done - watched->told, 0);
		watched->told = done;
	} else {
		pl_meter_add(watched->meter, 0, 0);
	}
	return !pl_meter_cancelled(watched->meter);
}

static int
erase(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct watched watched = { w, meter, 0 };
	int r = pl_hardware_erase(w->hardware, (enum pl_erase)w->erase, watch, &watched, err);

	pl_meter_add(meter, w->size - watched.told, 0);
	return r;
}

/* What is read of the drive afterwards. */
struct after {
	uint64_t zeros, ones; /* bytes of pieces that hold nothing else */
	size_t same;          /* places that hold what they held before */
};

static int
read_all(struct pl_wipe *w, struct pl_meter *meter, struct after *ret, struct platter_error *err)
{
	const struct pl_extents *x = w->sample.nr ? &w->sample : &w->extents;
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(PIECE);
	int r = buf ? 0 : pl_no_memory(err);

	for (size_t i = 0; i < x->nr && r == 0; i++)
		for (uint64_t at = x->range[i].start; at < x->range[i].end && r == 0;) {
			size_t n = (size_t)PL_MIN(PIECE, x->range[i].end - at);

			if (pl_meter_cancelled(meter))
				return pl_fail(err, -ECANCELED, "stopped");
			r = pl_wipe_read(w, buf, n, at, err);
			if (r == 0 && is_uniform(buf, n)) {
				ret->zeros += buf[0] == 0x00 ? n : 0;
				ret->ones += buf[0] == 0xff ? n : 0;
			}
			w->report.verified += n;
			pl_meter_add(meter, n, n);
			at += n;
		}
	return r;
}

static int
compare_places(struct pl_wipe *w, const struct before *b, struct after *ret,
	       struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(PLACE_SIZE);
	int r = buf ? 0 : pl_no_memory(err);

	for (size_t i = 0; i < b->nr && r == 0; i++) {
		if (!b->place[i].tells)
			continue;
		r = pl_wipe_read(w, buf, PLACE_SIZE, b->place[i].offset, err);
		if (r == 0 && !memcmp(buf, b->bytes + i * PLACE_SIZE, PLACE_SIZE)) {
			ret->same++;
			r = pl_ranges_add(&w->state.now, b->place[i].offset, PLACE_SIZE, err);
		}
	}
	return r;
}

static const char *
reads_as(const struct pl_wipe *w, const struct after *a)
{
	if (a->zeros == w->report.verified)
		return "all of it reads as zeros";
	if (a->ones == w->report.verified)
		return "all of it reads as ones";
	return "it reads neither as zeros nor as ones throughout";
}

static int
look_after(struct pl_wipe *w, const struct before *b, struct pl_meter *meter,
	   struct platter_error *err)
{
	struct platter_wipe_report *report = &w->report;
	struct after a = { 0 };
	int r;

	report->verify_started = time(NULL);
	if (report->drive.device)
		ioctl(w->fd, BLKFLSBUF, 0);
	r = read_all(w, meter, &a, err);
	if (r == 0)
		r = compare_places(w, b, &a, err);
	if (r < 0)
		return r;
	report->verify_finished = time(NULL);
	pl_ranges_finish(&w->state.unread, w->size);
	report->unreadable = pl_ranges_bytes(&w->state.unread);
	report->different = a.same * PLACE_SIZE;
	if (b->telling)
		snprintf(w->verify_text, sizeof w->verify_text,
			 "%zu of %zu places hold what they held before; %s", a.same, b->telling,
			 reads_as(w, &a));
	else
		snprintf(w->verify_text, sizeof w->verify_text,
			 "nothing stood where it was looked before; %s", reads_as(w, &a));
	return 0;
}

int
pl_wipe_erase(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct before b = { 0 };
	int r = look_before(w, &b, err);

	if (r == 0)
		r = w->erase ? erase(w, meter, err) : discard(w, meter, err);
	if (r == 0 && w->report.verify != PLATTER_WIPE_VERIFY_NONE)
		r = look_after(w, &b, meter, err);
	if (r == 0 && w->report.drive.device)
		pl_storage_reread_table(w->storage, NULL);
	free(b.bytes);
	return r;
}
