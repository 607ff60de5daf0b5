/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reads.c - read an image at random places through libplatter and compare with a raw file
 *
 * usage: reads IMAGE RAW SEED COUNT
 *
 * COUNT reads a thread, from four threads at once.  Offsets and lengths lie around
 * multiples of 512, 4096 and 64 KiB as often as anywhere else.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <platter/platter.h>

#define THREADS 4
#define LONGEST (300 << 10)

static struct platter_disk *disk;
static int raw;
static unsigned long count;

/* splitmix64 */
static uint64_t
next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A number up to `max` that is often within 2 of a boundary. */
static uint64_t
pick(uint64_t *state, uint64_t max)
{
	static const uint32_t units[] = { 1, 1, 512, 4096, 65536 };
	uint64_t unit = units[next(state) % 5];
	uint64_t n = next(state) % (max + 1);

	if (unit > 1)
		n = n / unit * unit + next(state) % 5 - 2;
	return n > max ? max : n; /* 0 - 2 wraps, and is cut too */
}

static void
read_one(uint64_t *state, char *got, char *wanted)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t size = platter_size(disk);
	uint64_t offset = pick(state, size);
	size_t n = pick(state, size - offset < LONGEST ? size - offset : LONGEST);

	memset(got, 0xa5, n);
	if (platter_read(disk, got, n, offset, &err) < 0) {
		printf("reading %zu bytes at %llu: %s\n", n, (unsigned long long)offset,
		       err.message);
		exit(1);
	}
	if (pread(raw, wanted, n, (off_t)offset) != (ssize_t)n) {
		printf("the raw file has no %zu bytes at %llu\n", n, (unsigned long long)offset);
		exit(1);
	}
	for (size_t i = 0; i < n; i++) {
		if (got[i] != wanted[i]) {
			printf("read of %zu at %llu: byte %zu is %02x, should be %02x\n", n,
			       (unsigned long long)offset, i, (unsigned char)got[i],
			       (unsigned char)wanted[i]);
			exit(1);
		}
	}
}

static void *
read_many(void *seed)
{
	uint64_t state = *(uint64_t *)seed;
	char *got = malloc(LONGEST), *wanted = malloc(LONGEST);

	if (!got || !wanted)
		exit(1);
	for (unsigned long i = 0; i < count; i++)
		read_one(&state, got, wanted);
	free(got);
	free(wanted);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	pthread_t threads[THREADS];
	uint64_t seeds[THREADS];

	if (argc != 5)
		return 2;
	count = strtoul(argv[4], NULL, 10);
	raw = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (raw < 0 || platter_open(argv[1], NULL, &disk, &err) < 0) {
		printf("cannot open: %s\n", err.message);
		return 1;
	}
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = strtoull(argv[3], NULL, 10) * THREADS + (uint64_t)i;
		if (pthread_create(&threads[i], NULL, read_many, &seeds[i]) != 0)
			return 1;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	platter_close(disk);
	return 0;
}
