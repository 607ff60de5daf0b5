/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-place.c - parse what a user names
 *
 * The path is that of a small disk with an MBR in memory; the input is all that follows
 * it.  Beginning with '?' or '@' it cannot turn the path into that of another file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "place.h"

#define LONGEST   8192
#define DISK_SIZE KIB(64)

/* A file descriptor of the disk: two partitions of 16 KiB, the first one bootable. */
static int
make_disk(void)
{
	uint8_t mbr[512] = { [510] = 0x55, [511] = 0xaa };
	int fd = memfd_create("disk", MFD_CLOEXEC);

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *entry = mbr + 446 + 16 * i;

		entry[0] = i ? 0 : 0x80;
		entry[4] = 0x83;
		put_le32(entry + 8, 32 + 32 * i);
		put_le32(entry + 12, 32);
	}
	if (fd < 0 || ftruncate(fd, DISK_SIZE) < 0 ||
	    pwrite(fd, mbr, sizeof mbr, 0) != sizeof mbr) {
		perror("memfd");
		abort();
	}
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *place = NULL;
	char name[LONGEST + 64];

	if (size > LONGEST || (size && data[0] != '?' && data[0] != '@'))
		return 0;
	if (fd < 0)
		fd = make_disk();
	snprintf(name, sizeof name, "/proc/self/fd/%d%.*s", fd, (int)size, (const char *)data);
	if (pl_place_open(name, NULL, 0, &place, &err) == 0)
		pl_place_close(place);
	return 0;
}
