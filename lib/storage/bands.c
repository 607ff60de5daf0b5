/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bands.c - a disk cut into files of one folder, each named by its number; those that are not
 * there, and what lies behind the end of one that is, read as zeros
 *
 * Which are there is read once.  They are opened when they are used and closed when others are
 * wanted, so that a disk may have millions.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "leaf.h"
#include "text.h"

/* Files kept open at once; the usual limit for a process is 1024. */
#define MAX_OPEN 64
/* Their numbers are kept in memory: 128 MiB for so many. */
#define MAX_BANDS (16u << 20)
/* 16 digits and the end. */
#define NAME_SIZE 17

struct band {
	uint64_t number;
	struct pl_part *part;
	uint64_t size; /* of its file */
	unsigned users;
	bool unflushed;
	bool gone; /* its file was removed: the last user frees it */
	uint64_t last_use;
	struct band *next;
};

struct bands {
	struct pl_disk disk;
	char *path; /* of the folder, for messages */
	int folder;
	uint64_t band_size;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t flushed;
	unsigned nr_flushing; /* bands, or the folder, on their way to stable storage */
	uint64_t *numbers;    /* of the files that are there, ascending */
	size_t nr, room;
	struct band *open;
	size_t nr_open;
	uint64_t clock;
	bool names_changed; /* since the folder was brought to stable storage */
	int failed;         /* to flush something, which the kernel then forgets: told ever after */
};

static struct bands *
bands_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct bands, disk);
}

static void
name_of(uint64_t number, char ret[static NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%" PRIx64, number);
}

/* The number that a file is named by; false: it is named otherwise. */
static bool
number_of(const char *name, uint64_t *ret)
{
	char same[NAME_SIZE];
	char *end;

	errno = 0;
	*ret = strtoull(name, &end, 16);
	/* Behind the last one no disk goes on. */
	if (errno || *end || strlen(name) >= NAME_SIZE || *ret == UINT64_MAX)
		return false;
	/* Without a sign, blanks, capitals or zeros in front. */
	name_of(*ret, same);
	return strcmp(name, same) == 0;
}

/* The first that is there from `number` on: its place in the list. */
static size_t
find_number(const struct bands *b, uint64_t number)
{
	size_t low = 0, high = b->nr;

	/* Mostly they are made in their order. */
	if (!high || b->numbers[high - 1] < number)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_there(const struct bands *b, uint64_t number)
{
	size_t i = find_number(b, number);

	return i < b->nr && b->numbers[i] == number;
}

static int
reserve_number(struct bands *b, struct platter_error *err)
{
	size_t room = b->room ? b->room * 2 : 64;
	uint64_t *numbers;

	if (b->nr < b->room)
		return 0;
	if (b->nr == MAX_BANDS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "'%s' has more than %u bands", b->path,
				     MAX_BANDS);
	numbers = pl_realloc_array(b->numbers, room, sizeof *numbers);
	if (!numbers)
		return pl_no_memory(err);
	b->numbers = numbers;
	b->room = room;
	return 0;
}

/* There is room. */
static void
add_number(struct bands *b, uint64_t number)
{
	size_t i = find_number(b, number);

	memmove(b->numbers + i + 1, b->numbers + i, (b->nr - i) * sizeof *b->numbers);
	b->numbers[i] = number;
	b->nr++;
}

static void
remove_number(struct bands *b, uint64_t number)
{
	size_t i = find_number(b, number);

	if (i == b->nr || b->numbers[i] != number)
		return;
	b->nr--;
	memmove(b->numbers + i, b->numbers + i + 1, (b->nr - i) * sizeof *b->numbers);
}

/* The band, if it is open. */
static struct band *
find_open(const struct bands *b, uint64_t number)
{
	struct band *band = b->open;

	while (band && band->number != number)
		band = band->next;
	return band;
}

static void
free_band(struct band *band)
{
	pl_part_free(band->part);
	free(band);
}

/* Take a band out of the open ones. */
static void
drop_band(struct bands *b, struct band *band)
{
	struct band **at = &b->open;

	while (*at != band)
		at = &(*at)->next;
	*at = band->next;
	b->nr_open--;
	band->gone = true;
	if (!band->users)
		free_band(band);
}

static void
release(struct band *band)
{
	if (--band->users == 0 && band->gone)
		free_band(band);
}

static int
sync_names(const struct bands *b, struct platter_error *err)
{
	if (fsync(b->folder) == 0 || errno == EINVAL)
		return 0;
	return pl_fail(err, -EIO, "the names in '%s' did not reach the medium: %s", b->path,
		       strerrordesc_np(errno));
}

/*
 * Bring a band, or the names (NULL), to stable storage, which nothing is marked as that has to be
 * any more.  The lock is held, but not meanwhile; whoever flushes waits for the end of it.
 */
static int
sync_unlocked(struct bands *b, struct band *band, struct platter_error *err)
{
	int r;

	b->nr_flushing++;
	if (band)
		band->users++;
	pthread_mutex_unlock(&b->lock);
	r = band ? pl_part_flush(band->part, err) : sync_names(b, err);
	pthread_mutex_lock(&b->lock);
	if (band)
		release(band);
	if (r < 0)
		b->failed = r;
	b->nr_flushing--;
	pthread_cond_broadcast(&b->flushed);
	return r;
}

/*
 * Close the band that was used longest ago; false: all are in use.  The lock may have been let go:
 * what is open has to be looked at again.
 */
static bool
make_room(struct bands *b)
{
	struct band *oldest = NULL;

	for (struct band *band = b->open; band; band = band->next)
		if (!band->users && (!oldest || band->last_use < oldest->last_use))
			oldest = band;
	if (!oldest)
		return false;
	/* It may be wanted again, or gone, when it is on stable storage. */
	if (oldest->unflushed) {
		oldest->unflushed = false;
		sync_unlocked(b, oldest, NULL);
	} else {
		drop_band(b, oldest);
	}
	return true;
}

static int
open_failed(const struct bands *b, const char *name, int code, struct platter_error *err)
{
	if (code == -ELOOP)
		return pl_invalid(err, "band '%s/%s' is a symbolic link", b->path, name);
	return pl_fail_errno(err, code, "open '%s/%s'", b->path, name);
}

/* Open the file of a band; `make`: also one that is not there. */
static int
open_band(struct bands *b, uint64_t number, bool make, struct band **ret, struct platter_error *err)
{
	int mode = b->disk.writable ? O_RDWR : O_RDONLY, fd, r;
	PL_AUTOFREE char *path = NULL;
	PL_AUTOFREE struct band *band = calloc(1, sizeof *band);
	char name[NAME_SIZE];

	name_of(number, name);
	path = pl_format("%s/%s", b->path, name);
	if (!band || !path)
		return pl_no_memory(err);
	fd = openat(b->folder, name,
		    mode | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW,
		    0666);
	if (fd < 0)
		return open_failed(b, name, -errno, err);
	r = pl_part_new(path, &band->part, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = pl_part_adopt(band->part, fd, b->disk.writable, err);
	if (r == 0 && band->part->device)
		r = pl_invalid(err, "band '%s' is a device", path);
	if (r == 0 && band->part->size > b->band_size) {
		r = pl_corrupt(err, b->band_size,
			       "band '%s' of %" PRIu64 " bytes is longer than bands are, %" PRIu64,
			       path, band->part->size, b->band_size);
		pl_error_place(err, path);
	}
	if (r < 0) {
		pl_part_free(band->part);
		return r;
	}
	band->number = number;
	band->size = band->part->size;
	*ret = PL_STEAL(band);
	return 0;
}

/* A band in use until it is put back; *ret is NULL if it is not there, and not to be made. */
static int
get_band(struct bands *b, uint64_t number, bool make, struct band **ret, struct platter_error *err)
{
	struct band *band;
	bool there;
	int r = 0;

	pthread_mutex_lock(&b->lock);
	do {
		band = find_open(b, number);
		there = band || is_there(b, number);
	} while (!band && (there || make) && b->nr_open >= MAX_OPEN && make_room(b));
	if (!band && (there || make)) {
		r = there ? 0 : reserve_number(b, err);
		if (r == 0)
			r = open_band(b, number, make, &band, err);
		if (r == 0) {
			band->next = b->open;
			b->open = band;
			b->nr_open++;
			if (!there)
				add_number(b, number);
			b->names_changed |= !there;
		}
	}
	if (r == 0 && band) {
		band->users++;
		band->last_use = ++b->clock;
	}
	pthread_mutex_unlock(&b->lock);
	*ret = r == 0 ? band : NULL;
	return r;
}

static void
put_band(struct bands *b, struct band *band)
{
	pthread_mutex_lock(&b->lock);
	release(band);
	pthread_mutex_unlock(&b->lock);
}

static uint64_t
size_of(struct bands *b, const struct band *band)
{
	uint64_t size;

	pthread_mutex_lock(&b->lock);
	size = band->size;
	pthread_mutex_unlock(&b->lock);
	return size;
}

/* What was written to it is not on stable storage; it is at least so long now. */
static void
changed(struct bands *b, struct band *band, uint64_t size)
{
	pthread_mutex_lock(&b->lock);
	band->unflushed = true;
	band->size = PL_MAX(band->size, size);
	pthread_mutex_unlock(&b->lock);
}

/* The first band that is there from `number` on; false: none is. */
static bool
next_there(struct bands *b, uint64_t number, uint64_t *ret)
{
	bool found;
	size_t i;

	pthread_mutex_lock(&b->lock);
	i = find_number(b, number);
	found = i < b->nr;
	if (found)
		*ret = b->numbers[i];
	pthread_mutex_unlock(&b->lock);
	return found;
}

static bool
last_there(struct bands *b, uint64_t *ret)
{
	bool found;

	pthread_mutex_lock(&b->lock);
	found = b->nr > 0;
	if (found)
		*ret = b->numbers[b->nr - 1];
	pthread_mutex_unlock(&b->lock);
	return found;
}

/* How far nothing is there, from a band that is not. */
static uint64_t
empty_bands(struct bands *b, uint64_t number)
{
	uint64_t next = UINT64_MAX;

	next_there(b, number, &next);
	return PL_MIN(next, UINT64_MAX / b->band_size) - number;
}

static int
bands_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	uint64_t number = offset / b->band_size, in = offset % b->band_size, size, run;
	struct band *band;
	int r = get_band(b, number, false, &band, err);
	bool hole;

	(void)length;
	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .kind = PLATTER_HOLE, .length = b->band_size - in };
	if (!band) {
		ret->length += (PL_MAX(empty_bands(b, number), 1u) - 1) * b->band_size;
		return 0;
	}
	size = size_of(b, band);
	if (in < size) {
		pl_part_map(band->part, in, &hole, &run);
		ret->kind = hole ? PLATTER_HOLE : PLATTER_DATA;
		ret->length = PL_MIN(run, size - in);
	}
	put_band(b, band);
	return 0;
}

static int
read_band(struct bands *b, uint8_t *buf, size_t n, uint64_t number, uint64_t in,
	  struct platter_error *err)
{
	struct band *band;
	size_t have = 0;
	int r = get_band(b, number, false, &band, err);

	if (r < 0)
		return r;
	if (band) {
		uint64_t size = size_of(b, band);

		have = in < size ? (size_t)PL_MIN((uint64_t)n, size - in) : 0;
		r = have ? pl_part_read(band->part, buf, have, in, err) : 0;
		put_band(b, band);
	}
	memset(buf + have, 0, n - have);
	return r;
}

static int
bands_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	uint8_t *p = buf;
	int r = 0;

	while (n && r == 0) {
		uint64_t in = offset % b->band_size;
		size_t length = (size_t)PL_MIN((uint64_t)n, b->band_size - in);

		r = read_band(b, p, length, offset / b->band_size, in, err);
		p += length;
		offset += length;
		n -= length;
	}
	return r;
}

static int
bands_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	    struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	const uint8_t *p = buf;
	int r = 0;

	while (n && r == 0) {
		uint64_t in = offset % b->band_size;
		size_t length = (size_t)PL_MIN((uint64_t)n, b->band_size - in);
		struct band *band;

		r = get_band(b, offset / b->band_size, true, &band, err);
		if (r < 0)
			break;
		r = pl_part_write(band->part, p, length, in, err);
		changed(b, band, r == 0 ? in + length : 0);
		put_band(b, band);
		p += length;
		offset += length;
		n -= length;
	}
	return r;
}

/* Nobody else writes the band, but others may be reading or flushing it. */
static int
unlink_band(struct bands *b, uint64_t number, struct platter_error *err)
{
	struct band *band;
	char name[NAME_SIZE];
	int r = 0;

	name_of(number, name);
	pthread_mutex_lock(&b->lock);
	if (unlinkat(b->folder, name, 0) < 0 && errno != ENOENT)
		r = pl_fail_errno(err, -errno, "remove '%s/%s'", b->path, name);
	if (r == 0) {
		band = find_open(b, number);
		if (band)
			drop_band(b, band);
		remove_number(b, number);
		b->names_changed = true;
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* End the file of a band at `size`. */
static int
cut_band(struct bands *b, struct band *band, uint64_t size, struct platter_error *err)
{
	int r = pl_part_cut(band->part, size, err);

	pthread_mutex_lock(&b->lock);
	if (r == 0)
		band->size = size;
	band->unflushed = true;
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* Where the file system cannot zero. */
static int
write_zeros(struct band *band, uint64_t in, uint64_t n, struct platter_error *err)
{
	size_t room = (size_t)PL_MIN(n, MIB(1));
	PL_AUTOFREE uint8_t *zeros = calloc(1, room);
	int r = zeros ? 0 : pl_no_memory(err);

	for (uint64_t done = 0; done < n && r == 0; done += room) {
		room = (size_t)PL_MIN((uint64_t)room, n - done);
		r = pl_part_write(band->part, zeros, room, in + done, err);
	}
	return r;
}

/* Zeros over bytes [in, in + n) of a band; `last`: nothing of the disk in it follows. */
static int
zero_band(struct bands *b, uint64_t number, uint64_t in, uint64_t n, bool last, unsigned flags,
	  struct platter_error *err)
{
	struct band *band;
	uint64_t size;
	int r = get_band(b, number, false, &band, err);

	if (r < 0 || !band)
		return r;
	size = size_of(b, band);
	if (in >= size) {
		put_band(b, band);
		return 0;
	}
	if (last && !in && flags & PL_ZERO_MAY_UNMAP) {
		put_band(b, band);
		return unlink_band(b, number, err);
	}
	n = PL_MIN(n, size - in);
	if (last && flags & PL_ZERO_MAY_UNMAP)
		r = cut_band(b, band, in, err);
	else
		r = pl_part_zero(band->part, in, n, flags, err);
	if (r == -ENOTSUP && !(flags & PL_ZERO_NO_FALLBACK))
		r = write_zeros(band, in, n, err);
	changed(b, band, 0);
	put_band(b, band);
	return r;
}

/* `hint`: what cannot be zeroed without being written may stay as it is. */
static int
zero_range(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags, bool hint,
	   struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	int r = 0;

	while (length && r == 0) {
		uint64_t number = offset / b->band_size, in = offset % b->band_size;
		uint64_t n = PL_MIN(length, b->band_size - in), run;
		bool last = in + n == b->band_size || offset + n == disk->size;

		run = in ? 0 : empty_bands(b, number) * b->band_size;
		if (run)
			n = PL_MIN(length, run);
		else
			r = zero_band(b, number, in, n, last, flags, err);
		if (r == -ENOTSUP && hint)
			r = 0;
		offset += n;
		length -= n;
	}
	return r;
}

static int
bands_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	   struct platter_error *err)
{
	return zero_range(disk, offset, length, flags, false, err);
}

static int
bands_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return zero_range(disk, offset, length, PL_ZERO_MAY_UNMAP | PL_ZERO_NO_FALLBACK, true, err);
}

static struct band *
find_unflushed(const struct bands *b)
{
	struct band *band = b->open;

	while (band && !band->unflushed)
		band = band->next;
	return band;
}

/* All that was written, and then the names; what others are flushing is waited for. */
static int
flush_all(struct bands *b, struct platter_error *err)
{
	int r = 0;

	while (r == 0) {
		struct band *band = find_unflushed(b);

		if (band) {
			band->unflushed = false;
			r = sync_unlocked(b, band, err);
		} else if (b->nr_flushing) {
			pthread_cond_wait(&b->flushed, &b->lock);
		} else if (b->names_changed) {
			b->names_changed = false;
			r = sync_unlocked(b, NULL, err);
		} else {
			break;
		}
	}
	return r;
}

static int
bands_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	int r;

	pthread_mutex_lock(&b->lock);
	r = flush_all(b, err);
	if (r == 0 && b->failed)
		r = pl_fail(err, b->failed, "what was written to '%s' did not reach the medium",
			    b->path);
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* What is behind the end of the disk would come back when it is made longer. */
static int
cut_behind(struct bands *b, uint64_t size, struct platter_error *err)
{
	uint64_t first = pl_div_round_up(size, b->band_size), number;
	struct band *band;
	int r = 0;

	while (r == 0 && last_there(b, &number) && number >= first)
		r = unlink_band(b, number, err);
	if (r < 0 || size % b->band_size == 0)
		return r;
	r = get_band(b, size / b->band_size, false, &band, err);
	if (r < 0 || !band)
		return r;
	if (size_of(b, band) > size % b->band_size)
		r = cut_band(b, band, size % b->band_size, err);
	put_band(b, band);
	return r;
}

static int
bands_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	int r = cut_behind(bands_of(disk), PL_MIN(size, disk->size), err);

	if (r == 0)
		r = bands_flush(disk, err);
	if (r == 0)
		__atomic_store_n(&disk->size, size, __ATOMIC_RELEASE);
	return r;
}

static void
bands_free(struct pl_disk *disk)
{
	struct bands *b = bands_of(disk);

	while (b->open)
		drop_band(b, b->open);
	if (b->folder >= 0)
		close(b->folder);
	free(b->numbers);
	free(b->path);
	pthread_cond_destroy(&b->flushed);
	pthread_mutex_destroy(&b->lock);
	pl_disk_done(disk);
	free(b);
}

static const struct pl_disk_ops bands_ops = {
	.name = "bands",
	.map = bands_map,
	.read = bands_read,
	.write = bands_write,
	.zero = bands_zero,
	.discard = bands_discard,
	.flush = bands_flush,
	.resize = bands_resize,
	.free = bands_free,
	.parallel_writes = true,
};

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What else is in the folder is none of ours. */
static int
list_bands(struct bands *b, struct platter_error *err)
{
	int fd = openat(b->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		r = pl_fail_errno(err, -errno, "look into '%s'", b->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(dir))) {
		uint64_t number;

		if (!number_of(e->d_name, &number))
			continue;
		r = reserve_number(b, err);
		if (r == 0)
			b->numbers[b->nr++] = number;
	}
	closedir(dir);
	if (b->nr)
		qsort(b->numbers, b->nr, sizeof *b->numbers, by_number);
	return r;
}

int
pl_storage_bands(const char *folder, uint64_t band_size, uint64_t size, bool writable,
		 struct pl_disk **ret, struct platter_error *err)
{
	struct bands *b = calloc(1, sizeof *b);
	int r = b ? pl_disk_init(&b->disk, &bands_ops, folder, err) : pl_no_memory(err);

	if (r < 0) {
		free(b);
		return r;
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->flushed, NULL);
	b->band_size = band_size;
	b->disk.size = size;
	b->disk.writable = b->disk.growable = writable;
	b->path = strdup(folder);
	b->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->folder < 0)
		r = pl_fail_errno(err, -errno, "open '%s'", folder);
	else if (!b->path)
		r = pl_no_memory(err);
	else
		r = list_bands(b, err);
	if (r < 0) {
		bands_free(&b->disk);
		return r;
	}
	*ret = &b->disk;
	return 0;
}

static struct bands *
bands_or_null(struct pl_disk *disk)
{
	return disk->ops == &bands_ops ? bands_of(disk) : NULL;
}

int
pl_storage_band_end(struct pl_disk *disk, uint64_t offset, uint64_t *ret, struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	struct band *band;
	int r = get_band(b, offset / b->band_size, false, &band, err);

	if (r < 0)
		return r;
	*ret = offset - offset % b->band_size;
	if (!band)
		return 0;
	*ret += size_of(b, band);
	put_band(b, band);
	return 0;
}

int
pl_storage_each_band(struct pl_disk *disk,
		     int (*each)(void *closure, uint64_t number, uint64_t length,
				 struct platter_error *err),
		     void *closure, struct platter_error *err)
{
	struct bands *b = bands_of(disk);
	int r = 0;

	for (uint64_t number = 0; r == 0 && next_there(b, number, &number); number++) {
		char name[NAME_SIZE];
		struct stat st;

		name_of(number, name);
		if (fstatat(b->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return pl_fail_errno(err, -errno, "examine '%s/%s'", b->path, name);
		r = each(closure, number, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : UINT64_MAX,
			 err);
	}
	return r;
}

bool
pl_bands_allocated(struct pl_disk *disk, uint64_t *ret)
{
	struct bands *b = bands_or_null(disk);

	*ret = 0;
	for (uint64_t number = 0; b && next_there(b, number, &number); number++) {
		char name[NAME_SIZE];
		struct stat st;

		name_of(number, name);
		if (fstatat(b->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*ret += (uint64_t)st.st_blocks * 512;
	}
	return b;
}

bool
pl_bands_id(struct pl_disk *disk, size_t index, struct pl_file_id *ret)
{
	struct bands *b = bands_or_null(disk);
	struct stat st;

	if (!b || index > 1 || fstatat(b->folder, index ? ".." : ".", &st, 0) < 0)
		return false;
	*ret = (struct pl_file_id){ st.st_dev, st.st_ino };
	return true;
}
