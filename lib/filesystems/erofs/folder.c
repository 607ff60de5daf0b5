/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/folder.c - folders: blocks of entries, all in the order of their names' bytes
 *
 * A block begins with entries of 12 bytes: inode, 8 bytes; offset of the name in the block, 2;
 * type, 1.  The names follow, the first behind the last entry: its offset tells how many
 * there are.  A name ends where the next begins, the last at a NUL or the block's end.
 */
#include "erofs.h"

#define ENTRY_SIZE  12
#define NAME_LENGTH 255

/* So many damaged blocks end a listing: a size that is damage may be anything. */
#define MAX_DAMAGED 64

/* A folder being read, one block at a time. */
struct reader {
	struct pl_disk *contents;
	uint8_t *block;
	uint32_t block_size, length; /* of the block that is there */
	uint64_t nr_blocks;
	unsigned nr_entries;
};

static void
done(struct reader *r)
{
	pl_disk_unref(r->contents);
	free(r->block);
}

static int
start(struct erofs *fs, struct pl_node_id folder, struct reader *ret, struct platter_error *err)
{
	struct reader reader = { .block_size = fs->volume.block_size };
	struct erofs_inode i;
	int r = erofs_inode_read(fs, folder.inode, &i, err);

	if (r < 0)
		return r;
	if (i.type != PLATTER_FILE_FOLDER)
		return pl_fail(err, -ENOTDIR, "the node is no folder");
	r = erofs_open_contents(fs, &i, "folder", &reader.contents, err);
	if (r < 0)
		return r;
	reader.nr_blocks = pl_div_round_up(i.size, reader.block_size);
	reader.block = malloc(reader.block_size);
	if (!reader.block) {
		done(&reader);
		return pl_no_memory(err);
	}
	*ret = reader;
	return 0;
}

static int
read_block(struct reader *r, uint64_t number, struct platter_error *err)
{
	uint64_t offset = number * r->block_size;
	unsigned names;
	int e;

	r->nr_entries = 0;
	r->length = (uint32_t)PL_MIN(r->block_size, r->contents->size - offset);
	e = pl_read(r->contents, r->block, r->length, offset, err);
	if (e < 0)
		return e;
	if (r->length < ENTRY_SIZE)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "folder block of %" PRIu32 " bytes",
				  r->length);
	names = get_le16(r->block + 8);
	if (names < ENTRY_SIZE || names % ENTRY_SIZE || names > r->length)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "names begin at byte %u of a folder block of %" PRIu32, names,
				  r->length);
	r->nr_entries = names / ENTRY_SIZE;
	return 0;
}

static int
get_entry(const struct reader *r, unsigned index, struct pl_entry *ret, struct platter_error *err)
{
	const uint8_t *b = r->block + index * ENTRY_SIZE;
	uint32_t name = get_le16(b + 8), end = r->length;
	size_t n;

	if (index + 1 < r->nr_entries)
		end = get_le16(b + ENTRY_SIZE + 8);
	if (name >= end || end > r->length)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "name from byte %" PRIu32 " to %" PRIu32
				  " of a folder block of %" PRIu32,
				  name, end, r->length);
	n = end - name;
	if (index + 1 == r->nr_entries)
		n = strnlen((const char *)r->block + name, n);
	if (n > NAME_LENGTH)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "name of %zu bytes, limit is %d", n,
				  NAME_LENGTH);
	*ret = (struct pl_entry){
		.name = (const char *)r->block + name,
		.length = n,
		.id.inode = get_le64(b),
		.type = pl_type_of_entry(b[10]),
	};
	return 0;
}

/* Damage does not end a listing; the first error is kept. */
static void
note(int *first, int r, struct platter_error *err, const struct platter_error *why)
{
	if (*first)
		return;
	*first = r;
	if (err)
		*err = *why;
}

static int
list_block(const struct reader *reader, pl_entry_fn *fn, void *closure, int *damage,
	   struct platter_error *err)
{
	int r = 0;

	for (unsigned k = 0; k < reader->nr_entries && r == 0; k++) {
		struct platter_error why = PLATTER_ERROR_INIT;
		struct pl_entry e;
		int bad = get_entry(reader, k, &e, &why);

		if (bad < 0)
			note(damage, bad, err, &why);
		else
			r = fn(closure, &e, err);
	}
	return r;
}

int
erofs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct reader reader;
	unsigned nr_damaged = 0;
	int damage = 0, r = start(erofs_of(v), folder, &reader, err);

	if (r < 0)
		return r;
	for (uint64_t k = 0; k < reader.nr_blocks && nr_damaged < MAX_DAMAGED && r == 0; k++) {
		struct platter_error why = PLATTER_ERROR_INIT;
		int bad = read_block(&reader, k, &why);

		if (bad < 0)
			note(&damage, bad, err, &why);
		nr_damaged += bad < 0;
		r = list_block(&reader, fn, closure, &damage, err);
	}
	done(&reader);
	return r ? r : damage;
}

static int
compare_names(const char *a, size_t a_length, const struct pl_entry *b)
{
	int c = memcmp(a, b->name, PL_MIN(a_length, b->length));

	if (c)
		return c;
	return a_length < b->length ? -1 : a_length > b->length;
}

/* The last block whose first name is not behind `name`; it is read. */
static int
find_block(struct reader *reader, const char *name, size_t n, struct platter_error *err)
{
	uint64_t low = 0, high = reader->nr_blocks;
	struct pl_entry e;
	int r = 0;

	while (high - low > 1 && r == 0) {
		uint64_t mid = low + (high - low) / 2;

		r = read_block(reader, mid, err);
		if (r == 0)
			r = get_entry(reader, 0, &e, err);
		if (r < 0)
			return r;
		if (compare_names(name, n, &e) < 0)
			high = mid;
		else
			low = mid;
	}
	return read_block(reader, low, err);
}

static int
find_entry(const struct reader *reader, const char *name, size_t n, struct pl_node_id *ret,
	   struct platter_error *err)
{
	unsigned low = 0, high = reader->nr_entries;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		struct pl_entry e;
		int c, r = get_entry(reader, mid, &e, err);

		if (r < 0)
			return r;
		c = compare_names(name, n, &e);
		if (!c) {
			*ret = e.id;
			return 0;
		}
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

int
erofs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	     struct pl_node_id *ret, struct platter_error *err)
{
	struct reader reader;
	int r = start(erofs_of(v), folder, &reader, err);

	if (r < 0)
		return r;
	r = reader.nr_blocks ? find_block(&reader, name, n, err) : -ENOENT;
	if (r == 0)
		r = find_entry(&reader, name, n, ret, err);
	done(&reader);
	return r;
}
