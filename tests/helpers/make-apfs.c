/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make-apfs KIND FILE: write one of the containers of apfs-image.h */
#include "apfs-image.h"

#include <stdio.h>

static const struct {
	const char *kind;
	struct options options;
} kinds[] = {
	{ "one", { .nr_volumes = 1, .hashed = true, .names = { "Alone" } } },
	{ "plain", { .nr_volumes = 1, .names = { "Case-sensitive" } } },
	{ "several",
	  { .nr_volumes = 3, .hashed = true, .encrypted = 2, .names = { "Same", "Same", "a/b" } } },
	{ "snapshot", { .nr_volumes = 1, .hashed = true, .snapshot = true, .names = { "Old" } } },
	{ "sealed", { .nr_volumes = 1, .hashed = true, .sealed = true, .names = { "Seal" } } },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc == 3 && i < ARRAY_SIZE(kinds); i++) {
		FILE *f;

		if (strcmp(argv[1], kinds[i].kind) != 0)
			continue;
		make_container(&kinds[i].options);
		f = fopen(argv[2], "wb");
		if (!f || fwrite(apfs_image, sizeof apfs_image, 1, f) != 1 || fclose(f)) {
			perror(argv[2]);
			return 1;
		}
		return 0;
	}
	fputs("usage: make-apfs one|plain|several|snapshot|sealed FILE\n", stderr);
	return 2;
}
