/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * slow-read.c - to be preloaded: reads of byte SLOW_AT of SLOW_FILE take SLOW_MS longer
 *
 * Others are not held up by them, as they are behind FUSE and loop devices.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int
is_file(int fd, const char *path)
{
	struct stat a, b;

	return path && fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

__attribute__((visibility("default"))) ssize_t
pread64(int fd, void *buf, size_t n, off64_t offset)
{
	ssize_t (*real)(int, void *, size_t, off64_t) =
		(ssize_t(*)(int, void *, size_t, off64_t))(uintptr_t)dlsym(RTLD_NEXT, "pread64");
	const char *at = getenv("SLOW_AT"), *ms = getenv("SLOW_MS");
	off64_t slow = at ? atoll(at) : -1;

	if (slow >= offset && slow < offset + (off64_t)n && is_file(fd, getenv("SLOW_FILE"))) {
		long wait = ms ? atol(ms) : 0;
		struct timespec t = { wait / 1000, wait % 1000 * 1000000 };

		nanosleep(&t, NULL);
	}
	return real(fd, buf, n, offset);
}
