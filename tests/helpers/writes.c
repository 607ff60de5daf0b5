/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writes.c - carry out a script of writes on an image through libplatter
 *
 * usage: writes IMAGE <SCRIPT
 *
 *	write BYTE OFFSET LENGTH	fill with a byte
 *	stamp N OFFSET LENGTH		every 8 bytes: N, and the number of their sector (32 bits each)
 *	zero - OFFSET LENGTH
 *	discard - OFFSET LENGTH
 *	flush - 0 0
 *
 * After each line that was done its number, counted from 1, is printed at once: a test that
 * kills this program knows how far it came.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <platter/platter.h>

static char *
filled(const char *what, unsigned n, uint64_t offset, size_t length)
{
	char *buf = malloc(length + 8);

	if (!buf)
		exit(1);
	memset(buf, (int)n, length);
	for (size_t i = 0; strcmp(what, "stamp") == 0 && i < length; i += 8) {
		uint32_t stamp[2] = { n, (uint32_t)((offset + i) / 512) };

		memcpy(buf + i, stamp, 8);
	}
	return buf;
}

static int
carry_out(struct platter_disk *disk, const char *what, unsigned n, uint64_t offset, uint64_t length,
	  struct platter_error *err)
{
	char *buf;
	int r;

	if (strcmp(what, "flush") == 0)
		return platter_flush(disk, err);
	if (strcmp(what, "zero") == 0)
		return platter_zero(disk, offset, length, err);
	if (strcmp(what, "discard") == 0)
		return platter_discard(disk, offset, length, err);
	buf = filled(what, n, offset, length);
	r = platter_write(disk, buf, length, offset, err);
	free(buf);
	return r;
}

int
main(int argc, char **argv)
{
	struct platter_open_options options = { .size = sizeof options,
						.flags = PLATTER_OPEN_WRITE };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk;
	char line[128], what[16];
	uint64_t offset, length;
	unsigned n, number = 0;

	if (argc != 2)
		return 2;
	if (platter_open(argv[1], &options, &disk, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	while (fgets(line, sizeof line, stdin)) {
		n = 0;
		if (sscanf(line, "%15s - %" SCNu64 " %" SCNu64, what, &offset, &length) != 3 &&
		    sscanf(line, "%15s %u %" SCNu64 " %" SCNu64, what, &n, &offset, &length) != 4)
			return 2;
		if (carry_out(disk, what, n, offset, length, &err) < 0) {
			fprintf(stderr, "line %u: %s\n", number + 1, err.message);
			return 1;
		}
		dprintf(STDOUT_FILENO, "%u\n", ++number);
	}
	platter_close(disk);
	return 0;
}
