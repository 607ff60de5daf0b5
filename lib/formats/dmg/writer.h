/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.h - what the two parts of the writer of UDIF images share */
#ifndef DMG_WRITER_H
#define DMG_WRITER_H

#include <pthread.h>

#include "codec.h"
#include "dmg.h"

/* 2048 sectors, as hdiutil has it; a whole chunk is what the copy engine reads at once. */
#define DMG_NEW_CHUNK MIB(1)

/* A table of the new image: a range of the disk that has one, in the order of the disk. */
struct dmg_new_table {
	char *name;
	uint64_t first, nr_sectors; /* the last of a stream: UINT64_MAX until its end */
	bool free;                  /* zeros in it are no data */
	int32_t id, descriptor;
	uint32_t crc;
	size_t first_chunk;
};

struct dmg_writer {
	struct pl_writer writer;
	enum dmg_kind kind;
	const struct pl_codec *codec; /* NULL: as it is */
	int level;

	struct dmg_new_table *tables;
	size_t nr_tables;
	bool partitioned;
	size_t current; /* table that chunks are added to */

	struct dmg_chunk *chunks;
	size_t nr_chunks, chunk_room;
	uint64_t sectors;  /* that have chunks */
	uint64_t frontier; /* bytes of the data fork */
	uint32_t fork_crc;

	uint8_t id[16];
	bool has_id; /* from the image that is made anew */

	pthread_mutex_t lock;
	struct encoded *encoded; /* chunks that have no place yet; guarded by `lock` */
};

/* The ranges that get tables: those of the request, or the whole disk.  Sizes in sectors. */
int dmg_make_tables(const struct pl_create_request *request, struct dmg_writer *w,
		    struct platter_error *err);

/* Behind the data fork: property list and trailer. */
int dmg_write_end(struct dmg_writer *w, struct platter_error *err);

#endif
