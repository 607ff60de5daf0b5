/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * asif.c - Apple's sparse image format of macOS 26, read only
 *
 * The file is cut into chunks.  A directory names tables, which are chunks; a table is made of
 * groups, each with an entry for every chunk of data and one for a bitmap.  All integers are
 * big-endian.  Apple has published nothing: what is known was found out by others (the ASIF
 * notes of huven, dissect.hypervisor), and what they do not tell is refused.
 *
 *	offset  size  header field
 *	     0     4  "shdw"
 *	     4     4  version, 1
 *	     8     4  bytes of the header, 512
 *	    12     4  flags
 *	    16  8, 8  two directories: offsets
 *	    32    16  UUID
 *	    48     8  sectors of the disk
 *	    56     8  sectors that it may grow to
 *	    64     4  bytes of a chunk
 *	    68     2  bytes of a sector
 *	    70     2  segments, 0
 *
 * Directory: a number, the higher of which counts, then a chunk number for each table, 0: none.
 * Entry: state, 2 bits; reserved, 7; chunk number, 55.
 */
#include "blocks.h"
#include "format.h"
#include "text.h"

#define MAGIC        "shdw"
#define MAGIC_SIZE   4u
#define HEADER_SIZE  512u
#define THIS_VERSION 1u
#define MIN_SECTOR   512u
#define MAX_SECTOR   32768u
#define MAX_CHUNK    (64u << 20)
#define ENTRY_SIZE   8u
/* A bit for what a chunk of data is by itself, one for what is not known. */
#define SECTOR_BITS 2u
/* Pieces of tables and bitmaps that are kept in memory. */
#define PIECE 512u

enum {
	VERSION = 4,
	HEADER_BYTES = 8,
	FLAGS = 12,
	DIRECTORIES = 16,
	UUID = 32,
	SECTORS = 48,
	MAX_SECTORS = 56,
	CHUNK_SIZE = 64,
	SECTOR_SIZE = 68,
	SEGMENTS = 70,
};

enum state {
	STATE_ABSENT = 0,
	STATE_DATA = 1,
	STATE_UNMAPPED = 2,
	STATE_PARTLY = 3,
};

struct asif {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint8_t uuid[16];
	uint32_t chunk, sector, flags;
	uint64_t max_size;
	uint64_t group_chunks; /* of data in a group */
	uint64_t table_chunks; /* of data that a table tells of */
	struct pl_block_table directory;
};

static struct asif *
asif_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct asif, disk);
}

static int
asif_probe(const struct pl_probe *probe)
{
	if (probe->size < HEADER_SIZE || memcmp(probe->head, MAGIC, MAGIC_SIZE) != 0)
		return 0;
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	return get_be32(probe->head + VERSION) == THIS_VERSION ? 64 : 32;
}

/* Where chunk `number` is, that byte `named_at` of the file names. */
static int
chunk_at(const struct asif *a, uint64_t number, uint64_t named_at, uint64_t *ret,
	 struct platter_error *err)
{
	int r;

	if (number < pl_div_round_up(a->file->size, a->chunk)) {
		*ret = number * a->chunk;
		return 0;
	}
	r = pl_corrupt(err, named_at,
		       "chunk %" PRIu64 " of %" PRIu32
		       " bytes is past the end of the file (%" PRIu64 " bytes)",
		       number, a->chunk, a->file->size);
	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

/* n bytes at `at` that lie within a piece, zeros past the end of the file. */
static int
read_piece(struct asif *a, uint64_t at, size_t n, uint8_t *ret, struct platter_error *err)
{
	uint64_t start = pl_round_down(at, PIECE);
	uint8_t piece[PIECE];
	int r;

	if (!pl_in_range(start, PIECE, a->file->size))
		return pl_read_padded(a->file, ret, n, at, NULL, err);
	r = pl_block_cached(&a->disk, a->file, start, PIECE, piece, err);
	if (r == 0)
		memcpy(ret, piece + (at - start), n);
	return r;
}

/* Entry `index` of the table at `table`: its state, and where its chunk is. */
static int
read_entry(struct asif *a, uint64_t table, uint64_t index, enum state *ret_state, uint64_t *ret_at,
	   struct platter_error *err)
{
	uint64_t at = table + index * ENTRY_SIZE, number;
	uint8_t bytes[ENTRY_SIZE];
	int r = read_piece(a, at, sizeof bytes, bytes, err);

	if (r < 0)
		return r;
	*ret_state = bytes[0] >> 6;
	number = get_be64(bytes) & ((UINT64_C(1) << 55) - 1);
	if ((*ret_state & 1) != (number != 0))
		return pl_unsupported(err, at,
				      "entry in state %d with chunk %" PRIu64
				      ", which is not known",
				      (int)*ret_state, number);
	*ret_at = 0;
	return number ? chunk_at(a, number, at, ret_at, err) : 0;
}

/* Sectors that a byte of a bitmap tells of. */
#define SECTORS_OF_BYTE (8 / SECTOR_BITS)

/* n bytes of a bitmap, which may be in several pieces. */
static int
read_bits(struct asif *a, uint64_t at, size_t n, uint8_t *ret, struct platter_error *err)
{
	int r = 0;

	while (n && r == 0) {
		size_t length = (size_t)PL_MIN((uint64_t)n, PIECE - at % PIECE);

		r = read_piece(a, at, length, ret, err);
		at += length;
		ret += length;
		n -= length;
	}
	return r;
}

/*
 * How far the sectors of a chunk that is partly valid go on as the one at `in`; `bitmap`: where
 * that begins which tells of the chunk.  It is looked at in pieces, of which one tells of 1 MiB or
 * more: what follows is the next extent.
 */
static int
partly_run(struct asif *a, uint64_t bitmap, uint64_t in, bool *ret_data, uint64_t *ret_length,
	   struct platter_error *err)
{
	uint64_t sector = in / a->sector, nr = a->chunk / a->sector, end;
	uint64_t byte = sector / SECTORS_OF_BYTE, at = bitmap + byte;
	size_t n = (size_t)PL_MIN(nr / SECTORS_OF_BYTE - byte, (uint64_t)PIECE);
	uint8_t bits[PIECE];
	int r = read_bits(a, at, n, bits, err);

	if (r < 0)
		return r;
	nr = PL_MIN(nr, (byte + n) * SECTORS_OF_BYTE);
	for (end = sector; end < nr; end++) {
		uint64_t i = end / SECTORS_OF_BYTE - byte;
		unsigned state = bits[i] >> end % SECTORS_OF_BYTE * SECTOR_BITS & 3;

		if (end == sector && state > 1)
			return pl_unsupported(err, at + i, "sector in state %u, which is not known",
					      state);
		if (end == sector)
			*ret_data = state;
		if (state != (unsigned)*ret_data)
			break;
	}
	*ret_length = end * a->sector - in;
	return 0;
}

/* A chunk of data that its table, at `table`, tells of; `index`: the chunk's there. */
static int
chunk_run(struct asif *a, uint64_t table, uint64_t index, uint64_t in, struct pl_extent *ret,
	  struct platter_error *err)
{
	uint64_t group = index / a->group_chunks, of = index % a->group_chunks, at, bitmap;
	uint64_t first = group * (a->group_chunks + 1);
	enum state state = STATE_ABSENT, bitmap_state = STATE_ABSENT;
	bool data;
	int r = read_entry(a, table, first + of, &state, &at, err);

	data = state == STATE_DATA;
	if (r == 0 && state == STATE_PARTLY)
		r = read_entry(a, table, first + a->group_chunks, &bitmap_state, &bitmap, err);
	if (r == 0 && state == STATE_PARTLY && bitmap_state != STATE_DATA)
		r = pl_unsupported(err, table + (first + a->group_chunks) * ENTRY_SIZE,
				   "bitmap in state %d, which is not known", (int)bitmap_state);
	if (r == 0 && state == STATE_PARTLY)
		r = partly_run(a, bitmap + of * (a->chunk / a->sector / (8 / SECTOR_BITS)), in,
			       &data, &ret->length, err);
	if (r < 0 || !data)
		return r;
	ret->kind = PLATTER_DATA;
	ret->below = a->file;
	ret->stored_offset = at + in;
	return 0;
}

static int
asif_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct asif *a = asif_of(disk);
	uint64_t index = offset / a->chunk, in = offset % a->chunk, table = index / a->table_chunks;
	uint64_t named_at = table * ENTRY_SIZE, end, at;
	const uint8_t *entry;
	int r = pl_block_table_get(&a->directory, named_at, ENTRY_SIZE, &entry, err);

	(void)length;
	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .kind = PLATTER_HOLE, .length = a->chunk - in };
	if (!get_be64(entry)) {
		/* Over tables that are not there at once. */
		r = pl_block_table_skip(&a->directory, named_at, a->directory.bytes, &end, err);
		end = PL_MAX(end / ENTRY_SIZE, table + 1) * a->table_chunks * a->chunk;
		ret->length = end - offset;
		return r;
	}
	r = chunk_at(a, get_be64(entry), a->directory.offset + named_at, &at, err);
	return r < 0 ? r : chunk_run(a, at, index % a->table_chunks, in, ret, err);
}

static int
asif_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	int r = pl_blocks_map(disk, asif_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, asif_of(disk)->file->name);
	return r;
}

static struct pl_disk *
asif_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? asif_of(disk)->file : NULL;
}

static void
asif_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct asif *a = asif_of(disk);
	char uuid[PL_UUID_TEXT];

	pl_uuid_text(a->uuid, uuid);
	pl_fact_size(facts, "chunk_size", "Chunk size", a->chunk);
	pl_fact_size(facts, "maximum_size", "May grow to", a->max_size);
	pl_fact_text(facts, "uuid", "UUID", "%s", uuid);
	if (a->flags)
		pl_fact_number(facts, "flags", "Flags", a->flags);
}

static void
asif_free(struct pl_disk *disk)
{
	struct asif *a = asif_of(disk);

	pl_block_table_done(&a->directory);
	pl_disk_unref(a->file);
	pl_disk_done(disk);
	free(a);
}

static const struct pl_disk_ops asif_ops = {
	.name = "asif",
	.map = asif_map,
	.below = asif_below,
	.describe = asif_describe,
	.free = asif_free,
};

static int
check_identity(const uint8_t *h, size_t have, struct platter_error *err)
{
	if (have < HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for an ASIF header",
				  have);
	if (memcmp(h, MAGIC, MAGIC_SIZE) != 0)
		return pl_corrupt(err, 0, "no ASIF magic");
	if (get_be32(h + VERSION) != THIS_VERSION)
		return pl_unsupported(err, VERSION, "ASIF version %" PRIu32 ", only %u is known",
				      get_be32(h + VERSION), THIS_VERSION);
	if (get_be32(h + HEADER_BYTES) != HEADER_SIZE)
		return pl_unsupported(err, HEADER_BYTES,
				      "header of %" PRIu32 " bytes, only %u is known",
				      get_be32(h + HEADER_BYTES), HEADER_SIZE);
	if (get_be16(h + SEGMENTS))
		return pl_unsupported(err, SEGMENTS, "image of %d segments, only one is readable",
				      get_be16(h + SEGMENTS));
	return 0;
}

/* A group's bitmap fills a chunk, since there are 4 chunks of data for each byte of a sector. */
static int
check_geometry(struct asif *a, struct platter_error *err)
{
	uint64_t group_bytes;

	if (a->sector < MIN_SECTOR || a->sector > MAX_SECTOR || !pl_is_power_of_two(a->sector))
		return pl_corrupt(err, SECTOR_SIZE,
				  "sectors of %" PRIu32
				  " bytes, must be a power of two from %u to %u",
				  a->sector, MIN_SECTOR, MAX_SECTOR);
	a->group_chunks = 4ull * a->sector;
	group_bytes = ENTRY_SIZE * (a->group_chunks + 1);
	if (a->chunk % (4 * a->sector) || a->chunk < group_bytes || a->chunk > MAX_CHUNK)
		return pl_corrupt(err, CHUNK_SIZE,
				  "chunks of %" PRIu32
				  " bytes, must be fours of sectors of %" PRIu32 " from %" PRIu64
				  " to %u",
				  a->chunk, a->sector, group_bytes, MAX_CHUNK);
	a->table_chunks = a->chunk / group_bytes * a->group_chunks;
	return 0;
}

static int
read_header(struct asif *a, uint64_t *ret_directories, struct platter_error *err)
{
	uint8_t h[HEADER_SIZE];
	uint64_t sectors, most;
	size_t have;
	int r = pl_read_padded(a->file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_identity(h, have, err);
	if (r < 0)
		return r;
	a->chunk = get_be32(h + CHUNK_SIZE);
	a->sector = get_be16(h + SECTOR_SIZE);
	a->flags = get_be32(h + FLAGS);
	memcpy(a->uuid, h + UUID, sizeof a->uuid);
	r = check_geometry(a, err);
	if (r < 0)
		return r;
	sectors = get_be64(h + SECTORS);
	most = get_be64(h + MAX_SECTORS);
	if (most > INT64_MAX / a->sector)
		return pl_corrupt(err, MAX_SECTORS,
				  "it may grow to %" PRIu64 " sectors, more than any disk", most);
	if (sectors > most)
		return pl_corrupt(err, SECTORS,
				  "disk of %" PRIu64 " sectors, it may grow to %" PRIu64, sectors,
				  most);
	a->disk.size = sectors * a->sector;
	a->max_size = most * a->sector;
	ret_directories[0] = get_be64(h + DIRECTORIES);
	ret_directories[1] = get_be64(h + DIRECTORIES + 8);
	return 0;
}

/* The directory with the higher number: the other is its predecessor. */
static int
open_directory(struct asif *a, const uint64_t directories[static 2], struct platter_error *err)
{
	uint64_t span = a->table_chunks * a->chunk, best = 0, highest = 0;
	uint64_t bytes = pl_div_round_up(a->max_size, span) * ENTRY_SIZE;

	for (int i = 0; i < 2; i++) {
		uint8_t number[ENTRY_SIZE];
		int r;

		if (!pl_in_range(directories[i], ENTRY_SIZE, a->file->size) ||
		    directories[i] < HEADER_SIZE)
			return pl_corrupt(err, DIRECTORIES + 8u * (unsigned)i,
					  "directory at byte %" PRIu64
					  " is within the header, or past the end of the file"
					  " (%" PRIu64 " bytes)",
					  directories[i], a->file->size);
		r = pl_read(a->file, number, sizeof number, directories[i], err);
		if (r < 0)
			return r;
		if (!i || get_be64(number) > highest) {
			highest = get_be64(number);
			best = directories[i];
		}
	}
	return pl_block_table_init(&a->directory, a->file, best + ENTRY_SIZE, bytes, 0, err);
}

static int
open_parts(struct asif *a, const struct pl_open_request *request, struct platter_error *err)
{
	uint64_t directories[2];
	int r = pl_disk_stack(&a->disk, a->file, err);

	if (r == 0)
		r = read_header(a, directories, err);
	if (r == 0)
		r = open_directory(a, directories, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is an ASIF image, which has no snapshots",
			    a->file->name);
	return r;
}

static int
asif_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct asif *a = calloc(1, sizeof *a);
	int r;

	if (!a)
		return pl_no_memory(err);
	r = pl_disk_init(&a->disk, &asif_ops, request->file->name, err);
	if (r < 0) {
		free(a);
		return r;
	}
	a->file = pl_disk_ref(request->file);
	r = open_parts(a, request, err);
	if (r < 0) {
		pl_error_place(err, a->file->name);
		asif_free(&a->disk);
		return r;
	}
	*ret = &a->disk;
	return 0;
}

static const char *const extensions[] = { "asif", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_asif = {
	.info = {
		.name = "asif",
		.longname = "Apple sparse image format (ASIF)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ,
		.options = options,
	},
	.probe = asif_probe,
	.open = asif_open,
	.disk_ops = &asif_ops,
};
