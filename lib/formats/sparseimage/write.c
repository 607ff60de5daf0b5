/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.c - random writes into sparse images
 *
 * New bands go into slots behind all others, and a node follows the last slot of the one before.
 * A band that moves has two slots for a moment, of which the first counts: that it has left the old
 * one is written when the new one is on stable storage.
 */
#include "sparseimage.h"
#include "staged.h"

static struct sparseimage *
sparseimage_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct sparseimage, store);
}

static int
get_block(struct pl_store *store, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	uint64_t at = pl_sparseimage_get(sparseimage_of_store(store), index);

	*ret = (struct pl_stored_block){ .kind = at ? PLATTER_DATA : PLATTER_HOLE, .at = at };
	if (at >= store->file->size)
		return pl_corrupt(err, at,
				  "band %" PRIu64 " is stored past the end of the file (%" PRIu64
				  " bytes)",
				  index, store->file->size);
	return 0;
}

/* Stage that the slot at `at` holds what `id` says. */
static int
set_slot(struct sparseimage *s, uint64_t at, uint32_t id, struct platter_error *err)
{
	size_t low = 0, high = s->nr_nodes;
	uint8_t bytes[4];

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (s->nodes[middle].at < at)
			low = middle;
		else
			high = middle;
	}
	put_be32(bytes, id);
	at = (at - s->nodes[low].at - NODE_SIZE) / s->band;
	return pl_write(s->store.staged, bytes, sizeof bytes, id_at(s, low, (uint32_t)at), err);
}

static int
leave_slot(struct sparseimage *s, uint64_t at, struct platter_error *err)
{
	if (s->nr_left == s->left_room) {
		size_t room = s->left_room ? s->left_room * 2 : 64;
		uint64_t *left = pl_realloc_array(s->left, room, sizeof *left);

		if (!left)
			return pl_no_memory(err);
		s->left = left;
		s->left_room = room;
	}
	s->left[s->nr_left++] = at;
	return 0;
}

static int
set_block(struct pl_store *store, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of_store(store);
	uint64_t old = pl_sparseimage_get(s, index);
	uint64_t at = block->kind == PLATTER_DATA ? block->at : 0;
	int r = old && old != at ? leave_slot(s, old, err) : 0;

	(void)fresh;
	if (r == 0 && at)
		r = set_slot(s, at, (uint32_t)index + 1, err);
	if (r < 0)
		return r;
	s->nr_stored += (at != 0);
	s->nr_stored -= (old != 0);
	return pl_sparseimage_set(s, index, at, err);
}

static int
commit(struct pl_store *store, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of_store(store);
	int r = pl_staged_commit(store->staged, err);

	if (r == 0 && s->nr_left)
		r = pl_flush(store->file, err);
	for (size_t i = 0; i < s->nr_left && r == 0; i++)
		r = set_slot(s, s->left[i], 0, err);
	if (r == 0 && s->nr_left)
		r = pl_staged_commit(store->staged, err);
	if (r == 0)
		s->nr_left = 0;
	return r;
}

/* A node where the slots of the last one end, which then names it. */
static int
append_node(struct sparseimage *s, struct platter_error *err)
{
	size_t last = s->nr_nodes - 1;
	uint64_t at = slot_at(s, last, nr_slots(last));
	uint8_t node[NODE_SIZE] = MAGIC, next[8];
	int r;

	put_be32(node + NODE_NUMBER, (uint32_t)s->nr_nodes);
	put_be32(node + NODE_FLAGS, THIS_FLAGS);
	put_be64(next, at);
	if (!s->file->growable && !pl_in_range(at, NODE_SIZE, s->file->size))
		return pl_fail(err, -ENOSPC, "'%s' has no room for more data (%" PRIu64 " bytes)",
			       s->file->name, s->file->size);
	r = pl_write(s->file, node, sizeof node, at, err);
	if (r < 0)
		return r;
	pl_staged_follow(s->store.staged);
	r = pl_write(s->store.staged, next, sizeof next,
		     s->nodes[last].at + (last ? NODE_NEXT : HEADER_NEXT), err);
	if (r == 0)
		r = pl_sparseimage_add_node(s, at, err);
	if (r == 0)
		s->store.frontier = at + NODE_SIZE;
	return r;
}

/* Slots come to an end where the next node goes. */
static int
pass_full_node(struct pl_store *store, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of_store(store);
	size_t last = s->nr_nodes - 1;

	return store->frontier == slot_at(s, last, nr_slots(last)) ? append_node(s, err) : 0;
}

/* The second slot of a band would show what it holds when the first is given up. */
static int
clear_twice(struct sparseimage *s, struct platter_error *err)
{
	static const uint8_t unused[4];
	int r = 0;

	for (size_t i = 0; i < s->nr_twice && r == 0; i++)
		r = pl_write(s->store.staged, unused, sizeof unused,
			     id_at(s, s->twice[i].node, s->twice[i].slot), err);
	if (r == 0)
		s->nr_twice = 0;
	return r;
}

/* Readers compute where the slots are: what is changed must be as macOS writes it. */
static int
check_nodes(const struct sparseimage *s, struct platter_error *err)
{
	for (size_t i = 0; i + 1 < s->nr_nodes; i++) {
		uint64_t at = s->nodes[i + 1].at, wanted = slot_at(s, i, nr_slots(i));
		int r;

		if (at == wanted)
			continue;
		r = pl_unsupported(err, at,
				   "index node %zu does not stand behind the %" PRIu32
				   " slots of the one before it, at byte %" PRIu64
				   ": such an image is only read",
				   i + 1, nr_slots(i), wanted);
		pl_hint(err, "`platter compact --copy` makes it anew");
		return r;
	}
	return 0;
}

/* Behind the last slot that is used, in the last node: what others leave there is junk. */
static int
begin_changes(struct pl_store *store, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of_store(store);
	size_t last = s->nr_nodes - 1;
	int r = check_nodes(s, err);

	if (r < 0)
		return r;
	store->frontier = slot_at(s, last, s->nodes[last].used);
	r = pass_full_node(store, err);
	return r == 0 ? clear_twice(s, err) : r;
}

const struct pl_store_ops pl_sparseimage_store_ops = {
	.get = get_block,
	.set = set_block,
	.begin = begin_changes,
	.extended = pass_full_node,
	.commit = commit,
};

int
pl_sparseimage_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		     struct platter_error *err)
{
	return pl_store_write(&sparseimage_of(disk)->store, buf, n, offset, err);
}

int
pl_sparseimage_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		    struct platter_error *err)
{
	return pl_store_zero(&sparseimage_of(disk)->store, offset, length, flags, err);
}

int
pl_sparseimage_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		       struct platter_error *err)
{
	return pl_sparseimage_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_sparseimage_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_store_flush(&sparseimage_of(disk)->store, err);
}

/* Both fields of the size lie in one sector: they change at once. */
static int
switch_size(struct sparseimage *s, uint64_t size, struct platter_error *err)
{
	uint8_t h[SECTORS + 8];
	int r = pl_store_commit(&s->store, err);

	if (r == 0)
		r = pl_flush(s->file, err);
	if (r == 0)
		r = pl_read(s->store.staged, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	put_be32(h + SECTORS_LOW, (uint32_t)(size / SECTOR));
	put_be64(h + SECTORS, size / SECTOR);
	r = pl_write(s->file, h, sizeof h, 0, err);
	return r == 0 ? pl_flush(s->file, err) : r;
}

static int
grow(struct sparseimage *s, uint64_t size, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, s->band), old = s->disk.size, old_nr = s->nr_bands;
	int r;

	if (nr > MAX_BANDS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "%" PRIu64 " bands of %" PRIu32 " bytes, limit is %u", nr,
				     s->band, MAX_BANDS);
	r = pl_sparseimage_reserve(s, nr, err);
	if (r < 0)
		return r;
	s->disk.size = size;
	s->nr_bands = nr;
	r = pl_store_clear_from(&s->store, old, err);
	if (r == 0)
		r = switch_size(s, size, err);
	if (r < 0) {
		s->disk.size = old;
		s->nr_bands = old_nr;
	}
	return r;
}

int
pl_sparseimage_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of(disk);
	int r;

	if (size % SECTOR)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	r = pl_store_begin(&s->store, err);
	if (r < 0 || size == disk->size)
		return r;
	if (size > disk->size)
		return grow(s, size, err);
	r = pl_store_cut(&s->store, size, err);
	if (r < 0)
		return r;
	disk->size = size;
	s->nr_bands = pl_div_round_up(size, s->band);
	return switch_size(s, size, err);
}

/* Nodes that the bands, which all lie in the first slots, have no need of. */
static size_t
nodes_needed(const struct sparseimage *s)
{
	if (s->nr_stored <= HEADER_SLOTS)
		return 1;
	return 1 + (size_t)pl_div_round_up(s->nr_stored - HEADER_SLOTS, NODE_SLOTS);
}

/* The last node is the last that is needed from now on; bands in the others have moved. */
static int
drop_nodes(struct sparseimage *s, size_t nr, struct platter_error *err)
{
	static const uint8_t none[8];
	int r = pl_write(s->store.staged, none, sizeof none,
			 s->nodes[nr - 1].at + (nr > 1 ? NODE_NEXT : HEADER_NEXT), err);

	if (r == 0)
		r = pl_store_flush(&s->store, err);
	if (r == 0)
		s->nr_nodes = nr;
	return r;
}

static int
compact_once(struct sparseimage *s, struct platter_error *err)
{
	struct pl_range *kept = pl_realloc_array(NULL, s->nr_nodes, sizeof *kept);
	int r;

	if (!kept)
		return pl_no_memory(err);
	for (size_t i = 0; i < s->nr_nodes; i++)
		kept[i] = (struct pl_range){ s->nodes[i].at, s->nodes[i].at + NODE_SIZE };
	r = pl_store_compact(&s->store, kept, s->nr_nodes, err);
	free(kept);
	return r;
}

/* Bands move in front of nodes that are not needed; when the chain ends there, they can go. */
int
pl_sparseimage_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct sparseimage *s = sparseimage_of(disk);
	int r = compact_once(s, err);

	if (r < 0 || nodes_needed(s) == s->nr_nodes)
		return r;
	r = drop_nodes(s, nodes_needed(s), err);
	return r == 0 ? compact_once(s, err) : r;
}
