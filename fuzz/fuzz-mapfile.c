/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-mapfile.c - read a hostile mapfile, change it, and read what is written of it */
#include <stdlib.h>

#include "fuzz.h"
#include "mapfile.h"

/* Cover it with changes that the input chooses. */
static void
change(struct pl_mapfile *m, const uint8_t *data, size_t size)
{
	static const char statuses[] = "?*/-+";

	for (size_t i = 0; i + 4 <= size && i < 256 && m->size; i += 4) {
		uint64_t offset = m->size / 256 * data[i], length = m->size / 256 * data[i + 1];
		enum pl_block_status status = (enum pl_block_status)statuses[data[i + 2] % 5];
		struct pl_block run;

		length = PL_MIN(length, m->size - offset);
		if (data[i + 3] % 2)
			pl_mapfile_set(m, offset, length, status, NULL);
		else
			pl_mapfile_set_unfinished(m, offset, length, status, NULL);
		pl_mapfile_next(m, offset, m->size, "-/", &run);
		pl_mapfile_previous(m, 0, offset, "?*", &run);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_mapfile m, again;
	uint64_t sum = 0;
	char *text;

	if (pl_mapfile_parse((const char *)data, size, &m, NULL) < 0)
		return 0;
	change(&m, data, size);
	for (const char *s = "?*/-+"; *s; s++)
		sum += pl_mapfile_bytes(&m, (enum pl_block_status) * s);
	text = pl_mapfile_text(&m);
	if (sum != m.size || !text || pl_mapfile_parse(text, strlen(text), &again, NULL) < 0 ||
	    again.nr != m.nr || again.size != m.size)
		abort();
	free(text);
	pl_mapfile_done(&m);
	pl_mapfile_done(&again);
	return 0;
}
