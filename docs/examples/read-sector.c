/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * read-sector.c - print one sector of any disk, in hexadecimal
 *
 *	cc read-sector.c $(pkg-config --cflags --libs libplatter) -o read-sector
 *	./read-sector disk.qcow2@1 0
 */
#include <platter/platter.h>
#include <stdio.h>
#include <stdlib.h>

static int
failed(const struct platter_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	if (err->hint[0])
		fprintf(stderr, "try: %s\n", err->hint);
	return 1;
}

int
main(int argc, char **argv)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk;
	unsigned char *sector;
	uint32_t n;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: %s PLACE SECTOR\n", argv[0]);
		return 2;
	}
	if (platter_open(argv[1], NULL, &disk, &err) < 0)
		return failed(&err);

	n = platter_sector_size(disk);
	sector = malloc(n);
	r = sector ? platter_read(disk, sector, n, strtoull(argv[2], NULL, 10) * n, &err) : -1;
	if (r == 0) {
		for (uint32_t i = 0; i < n; i++) {
			if (i % 16 == 0)
				printf("%04x:", i);
			printf(i % 16 == 15 ? " %02x\n" : " %02x", sector[i]);
		}
	}
	free(sector);
	platter_close(disk);
	return r < 0 ? failed(&err) : 0;
}
