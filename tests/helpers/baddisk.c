/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * baddisk.c - an nbdkit plugin: a file as a disk that fails
 *
 *	nbdkit ./baddisk.so file=PATH [fault=RANGES]... [slowms=N] [die=N] [log=PATH]
 *
 * RANGES are "FIRST[+COUNT],...", in sectors of 512 bytes.  The faults:
 *
 *	bad	cannot be read, until it is written: as a drive that remaps sectors
 *	weak	can be read every third time
 *	slow	takes slowms longer to read
 *
 * After die=N requests every one fails.  Each read is a line "OFFSET LENGTH RESULT" of the log, RESULT 1 if it went well.
 */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#define SECTOR       512
#define MAX_SECTORS  (1 << 24)

enum fault {
	BAD = 1 << 0,
	WEAK = 1 << 1,
	SLOW = 1 << 2,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that is counted */
static int fd = -1;
static FILE *log_file;
static uint8_t *faults, *tries; /* of each sector */
static uint64_t nr_sectors;
static long slow_ms = 500, dies_after = -1, requests;
static char *specs[3]; /* as given, in the order of the faults */

/* "100,2000+8": set a fault.  The size is known. */
static int
set_faults(const char *spec, uint8_t fault)
{
	while (*spec) {
		char *end;
		uint64_t first = strtoull(spec, &end, 10), count = 1;

		if (*end == '+')
			count = strtoull(end + 1, &end, 10);
		if (end == spec || (*end && *end != ',') || first > nr_sectors ||
		    count > nr_sectors - first) {
			nbdkit_error("'%s' is no range of sectors", spec);
			return -1;
		}
		for (uint64_t i = first; i < first + count; i++)
			faults[i] |= fault;
		spec = *end ? end + 1 : end;
	}
	return 0;
}

static int
baddisk_config(const char *key, const char *value)
{
	static const char *const names[] = { "bad", "weak", "slow" };

	for (size_t i = 0; i < 3; i++)
		if (!strcmp(key, names[i])) {
			free(specs[i]);
			specs[i] = strdup(value);
			return specs[i] ? 0 : -1;
		}
	if (!strcmp(key, "file")) {
		fd = open(value, O_RDWR | O_CLOEXEC);
		return fd < 0 ? -1 : 0;
	}
	if (!strcmp(key, "log")) {
		log_file = fopen(value, "ae");
		return log_file ? 0 : -1;
	}
	if (!strcmp(key, "slowms")) {
		slow_ms = strtol(value, NULL, 10);
		return 0;
	}
	if (!strcmp(key, "die")) {
		dies_after = strtol(value, NULL, 10);
		return 0;
	}
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int
baddisk_config_complete(void)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		nbdkit_error("no file= that can be opened");
		return -1;
	}
	nr_sectors = ((uint64_t)st.st_size + SECTOR - 1) / SECTOR;
	if (nr_sectors > MAX_SECTORS) {
		nbdkit_error("the file is too large");
		return -1;
	}
	faults = calloc(nr_sectors + 1, 1);
	tries = calloc(nr_sectors + 1, 1);
	if (!faults || !tries)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (specs[i] && set_faults(specs[i], (uint8_t)(1 << i)) < 0)
			return -1;
	return 0;
}

static void *
baddisk_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

/* Without it nbdfuse asks for one thing after the other. */
static int
baddisk_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

static int64_t
baddisk_get_size(void *handle)
{
	struct stat st;

	(void)handle;
	return fstat(fd, &st) < 0 ? -1 : st.st_size;
}

static int
baddisk_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = SECTOR;
	*preferred = 4096;
	*maximum = 32 << 20;
	return 0;
}

/* A request is made, and the disk is alive.  With the lock. */
static bool
is_alive(void)
{
	requests++;
	return dies_after < 0 || requests <= dies_after;
}

static void
wait_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Can these sectors be read this time?  With the lock. */
static bool
reads_well(uint64_t first, uint64_t past, bool *ret_slow)
{
	bool well = is_alive();

	*ret_slow = false;
	for (uint64_t i = first; i < past; i++) {
		*ret_slow |= faults[i] & SLOW;
		if (faults[i] & BAD || (faults[i] & WEAK && ++tries[i] % 3))
			well = false;
	}
	return well;
}

static int
baddisk_pread(void *handle, void *buf, uint32_t n, uint64_t offset, uint32_t flags)
{
	bool well, slow;

	(void)handle, (void)flags;
	pthread_mutex_lock(&lock);
	well = reads_well(offset / SECTOR, (offset + n + SECTOR - 1) / SECTOR, &slow) &&
	       pread(fd, buf, n, (off_t)offset) == (ssize_t)n;
	if (log_file) {
		fprintf(log_file, "%llu %u %d\n", (unsigned long long)offset, n, well);
		fflush(log_file);
	}
	pthread_mutex_unlock(&lock);
	/* Others are served meanwhile. */
	if (slow)
		wait_ms(slow_ms);
	if (well)
		return 0;
	nbdkit_set_error(EIO);
	return -1;
}

static int
baddisk_pwrite(void *handle, const void *buf, uint32_t n, uint64_t offset, uint32_t flags)
{
	bool well;

	(void)handle, (void)flags;
	pthread_mutex_lock(&lock);
	well = is_alive() && pwrite(fd, buf, n, (off_t)offset) == (ssize_t)n;
	for (uint64_t i = (offset + SECTOR - 1) / SECTOR; well && i < (offset + n) / SECTOR; i++)
		faults[i] = 0;
	pthread_mutex_unlock(&lock);
	if (well)
		return 0;
	nbdkit_set_error(EIO);
	return -1;
}

static int
baddisk_flush(void *handle, uint32_t flags)
{
	(void)handle, (void)flags;
	return fdatasync(fd);
}

static struct nbdkit_plugin plugin = {
	.name = "baddisk",
	.config = baddisk_config,
	.config_complete = baddisk_config_complete,
	.open = baddisk_open,
	.get_size = baddisk_get_size,
	.can_multi_conn = baddisk_can_multi_conn,
	.block_size = baddisk_block_size,
	.pread = baddisk_pread,
	.pwrite = baddisk_pwrite,
	.flush = baddisk_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
