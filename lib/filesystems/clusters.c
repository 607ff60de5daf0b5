/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clusters.c - chains of clusters, which of them are in use, and the times of DOS */
#include "clusters.h"

#include <platter/files.h>

#define SECTOR 512u

/* Entries that are read together: whole bytes, at most PL_TABLE_WINDOW. */
static uint32_t
entries_in_window(const struct pl_clusters *c)
{
	return c->bits > 16 ? PL_TABLE_WINDOW / 4 : PL_TABLE_WINDOW / 2;
}

/* Bytes that n entries take; 28 bits are stored in 32. */
static uint64_t
table_bytes(const struct pl_clusters *c, uint64_t n)
{
	return c->bits == 12 ? (n * 3 + 1) / 2 : n * (c->bits > 16 ? 4 : 2);
}

/* Is any of it known not to have been readable when the image was made?  It reads as zeros. */
static bool
is_bad(const struct pl_clusters *c, const uint8_t *bytes, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += SECTOR) {
		struct pl_piece p;

		if (pl_is_zero(bytes + i, PL_MIN(SECTOR, n - i)) &&
		    pl_resolve(c->disk, at + i, 1, 0, &p, NULL) == 0 && p.kind == PLATTER_BAD)
			return true;
	}
	return false;
}

/* n bytes at `skip` of the first table that gives them. */
static int
read_table(const struct pl_clusters *c, uint8_t *bytes, size_t n, uint64_t skip,
	   struct platter_error *err)
{
	int r = 0, first = 0;

	for (unsigned i = 0; i < c->nr_tables; i++) {
		r = pl_meta_read(c->meta, bytes, n, c->table[i] + skip, i ? NULL : err);
		if (r == 0 && !is_bad(c, bytes, n, c->table[i] + skip))
			return 0;
		if (i == 0)
			first = r < 0 ? r
				      : pl_fail_at(err, -EIO, c->table[0] + skip,
						   "the file allocation table is not readable");
	}
	return first;
}

static int
read_window(const struct pl_clusters *c, struct pl_table_window *w, uint32_t cluster,
	    struct platter_error *err)
{
	uint64_t end = (uint64_t)c->nr + PL_FIRST_CLUSTER, skip;
	size_t n;
	int r;

	w->first = cluster - cluster % entries_in_window(c);
	w->nr = (uint32_t)PL_MIN(entries_in_window(c), end - w->first);
	skip = table_bytes(c, w->first);
	n = (size_t)table_bytes(c, w->nr);
	w->bytes[n] = 0;
	r = read_table(c, w->bytes, n, skip, NULL);
	/* Sectors that are bad in one copy may be good in another. */
	for (size_t i = 0; r < 0 && i < n; i += SECTOR) {
		int e = read_table(c, w->bytes + i, PL_MIN(SECTOR, n - i), skip + i, err);

		if (e < 0) {
			w->nr = 0;
			return e;
		}
	}
	return 0;
}

int
pl_table_get(const struct pl_clusters *c, struct pl_table_window *w, uint32_t cluster,
	     uint32_t *ret, struct platter_error *err)
{
	const uint8_t *p;
	uint32_t i;

	if (cluster < w->first || cluster - w->first >= w->nr) {
		int r = read_window(c, w, cluster, err);

		if (r < 0)
			return r;
	}
	i = cluster - w->first;
	p = w->bytes + table_bytes(c, i) - (c->bits == 12 && i % 2);
	if (c->bits > 16)
		*ret = get_le32(p) & pl_table_last(c);
	else if (c->bits == 16)
		*ret = get_le16(p);
	else
		*ret = cluster % 2 ? get_le16(p) >> 4 : get_le16(p) & 0xfff;
	return 0;
}

uint32_t
pl_table_last(const struct pl_clusters *c)
{
	return UINT32_MAX >> (32 - c->bits);
}

static enum pl_chain_end
classify(const struct pl_clusters *c, uint32_t entry)
{
	uint32_t last = pl_table_last(c);

	if (pl_cluster_exists(c, entry))
		return PL_CHAIN_FULL;
	if (entry >= last - 7)
		return PL_CHAIN_ENDS;
	return entry == 0 ? PL_CHAIN_FREE : entry == last - 8 ? PL_CHAIN_BAD : PL_CHAIN_OUTSIDE;
}

int
pl_chain_follow(const struct pl_clusters *c, uint32_t first, uint64_t max, struct pl_runs *runs,
		struct pl_chain *ret, struct platter_error *err)
{
	struct pl_table_window w = { 0 };
	struct pl_chain chain = { .end = PL_CHAIN_FULL };
	uint32_t cluster = first, mark = first; /* of Brent: where every power of two was */
	uint64_t power = 1;
	int r = 0;

	if (!pl_cluster_exists(c, first))
		chain.end = first ? PL_CHAIN_OUTSIDE : PL_CHAIN_FREE;
	while (chain.end == PL_CHAIN_FULL && chain.nr < max && r == 0) {
		uint32_t entry;

		if (runs)
			r = pl_runs_add_data(runs, chain.nr * c->size, c->size,
					     pl_cluster_at(c, cluster), err);
		chain.last = cluster;
		if (++chain.nr == max)
			break;
		if (pl_table_get(c, &w, cluster, &entry, NULL) < 0) {
			chain.end = PL_CHAIN_UNREADABLE;
			break;
		}
		chain.end = classify(c, entry);
		if (chain.end == PL_CHAIN_FULL && entry == mark)
			chain.end = PL_CHAIN_LOOP;
		if (chain.nr == power) {
			power *= 2;
			mark = entry;
		}
		cluster = entry;
	}
	*ret = chain;
	return r;
}

/* A decoder that knows nothing to decode: its name says why. */
static int
decode_lost(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	(void)in, (void)in_size, (void)out, (void)out_size;
	return pl_corrupt(err, PLATTER_NO_OFFSET,
			  "byte %" PRIu64 " of the file is lost: its chain of clusters %s",
			  chunk_offset, decoder->name);
}

static const struct pl_decoder lost[] = {
	[PL_CHAIN_ENDS] = { "ends too early", decode_lost },
	[PL_CHAIN_FULL] = { "is too long", decode_lost },
	[PL_CHAIN_FREE] = { "leads to a free cluster", decode_lost },
	[PL_CHAIN_BAD] = { "leads to a bad cluster", decode_lost },
	[PL_CHAIN_OUTSIDE] = { "leads to a cluster that is not there", decode_lost },
	[PL_CHAIN_LOOP] = { "runs in a circle", decode_lost },
	[PL_CHAIN_UNREADABLE] = { "stands where the table cannot be read", decode_lost },
};

int
pl_chain_error(const struct pl_clusters *c, uint32_t first, const struct pl_chain *chain,
	       struct platter_error *err)
{
	uint64_t at = c->table[0] + table_bytes(c, chain->nr ? chain->last : first);

	if (chain->end == PL_CHAIN_ENDS)
		return 0;
	if (!chain->nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "first cluster %" PRIu32 ", volume has 2 to %" PRIu64, first,
				  (uint64_t)c->nr + 1);
	return pl_fail_at(err, chain->end == PL_CHAIN_UNREADABLE ? -EIO : -EUCLEAN, at,
			  "the chain of clusters from %" PRIu32 " %s, after cluster %" PRIu32,
			  first, lost[chain->end].name, chain->last);
}

int
pl_runs_add_lost(struct pl_runs *runs, uint64_t offset, uint64_t length, enum pl_chain_end why,
		 struct platter_error *err)
{
	int r = 0;

	/* 262144 pieces; no file that was is missing so much. */
	if (length > TIB(16))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "the file's chain of clusters ends %" PRIu64
				  " bytes before the file",
				  length);
	while (length && r == 0) {
		struct pl_run run = {
			.offset = offset,
			.length = PL_MIN(length, PL_MAX_CHUNK),
			.kind = PLATTER_DATA,
			.decoder = &lost[why],
		};

		run.chunk_length = (uint32_t)run.length;
		r = pl_runs_add(runs, &run, err);
		offset += run.length;
		length -= run.length;
	}
	return r;
}

static int
by_stored(const void *a, const void *b)
{
	const struct pl_run *x = a, *y = b;

	return (x->stored > y->stored) - (x->stored < y->stored);
}

/* Where a cluster comes for the second time, or UINT64_MAX. */
static int
find_repeated(const struct pl_runs *runs, uint64_t *ret, struct platter_error *err)
{
	struct pl_run *sorted = pl_realloc_array(NULL, runs->nr, sizeof *sorted);
	const struct pl_run *longest = sorted;

	*ret = UINT64_MAX;
	if (!sorted)
		return pl_no_memory(err);
	memcpy(sorted, runs->run, runs->nr * sizeof *sorted);
	qsort(sorted, runs->nr, sizeof *sorted, by_stored);
	for (size_t i = 1; i < runs->nr; i++) {
		const struct pl_run *later = &sorted[i];

		if (sorted[i].stored < longest->stored + longest->length) {
			if (longest->offset > later->offset)
				later = longest;
			*ret = PL_MIN(*ret, later->offset + (sorted[i].stored - later->stored));
		}
		if (sorted[i].stored + sorted[i].length > longest->stored + longest->length)
			longest = &sorted[i];
	}
	free(sorted);
	return 0;
}

/* Drop what lies behind byte `end` of the file. */
static void
cut_runs(struct pl_runs *runs, uint64_t end)
{
	while (runs->nr && runs->run[runs->nr - 1].offset >= end)
		runs->nr--;
	if (runs->nr) {
		struct pl_run *last = &runs->run[runs->nr - 1];

		last->length = PL_MIN(last->length, end - last->offset);
	}
}

/* A chain that ends where the file does has no cluster twice; one that goes on may have. */
static bool
may_be_circle(const struct pl_clusters *c, const struct pl_chain *chain)
{
	struct pl_table_window w = { 0 };
	uint32_t entry;

	if (chain->end != PL_CHAIN_FULL)
		return chain->end == PL_CHAIN_LOOP;
	return pl_table_get(c, &w, chain->last, &entry, NULL) == 0 &&
	       classify(c, entry) != PL_CHAIN_ENDS;
}

int
pl_chain_runs(const struct pl_clusters *c, uint32_t first, uint64_t size, struct pl_runs *runs,
	      struct platter_error *err)
{
	uint64_t end, repeated = UINT64_MAX;
	struct pl_chain chain;
	int r;

	if (!size)
		return 0;
	r = pl_chain_follow(c, first, pl_div_round_up(size, c->size), runs, &chain, err);
	if (r == 0 && runs->nr > 1 && may_be_circle(c, &chain))
		r = find_repeated(runs, &repeated, err);
	if (r < 0)
		return r;
	end = PL_MIN(size, chain.nr * c->size);
	if (repeated < end) {
		chain.end = PL_CHAIN_LOOP;
		end = repeated;
	}
	cut_runs(runs, end);
	return pl_runs_add_lost(runs, end, size - end, chain.end, err);
}

#define STEP 512u

int
pl_cluster_map_init(struct pl_cluster_map *map, uint8_t *bits, uint32_t nr,
		    struct platter_error *err)
{
	size_t steps = nr / STEP + 1, bytes = ((size_t)nr + 7) / 8;

	*map = (struct pl_cluster_map){ .bits = bits, .nr = nr };
	map->before = calloc(steps, sizeof *map->before);
	if (!map->before) {
		pl_cluster_map_done(map);
		return pl_no_memory(err);
	}
	/* What is counted lies wholly in the map. */
	if (nr % 8)
		bits[bytes - 1] &= (uint8_t)(0xff >> (8 - nr % 8));
	for (size_t i = 0; i < bytes; i++) {
		if (i % (STEP / 8) == 0)
			map->before[i / (STEP / 8)] = map->nr_used;
		map->nr_used += (unsigned)__builtin_popcount(bits[i]);
	}
	if (nr % STEP == 0)
		map->before[nr / STEP] = map->nr_used;
	return 0;
}

void
pl_cluster_map_done(struct pl_cluster_map *map)
{
	free(map->bits);
	free(map->before);
	*map = (struct pl_cluster_map){ 0 };
}

/* Used ones below bit n <= nr. */
static uint64_t
used_below(const struct pl_cluster_map *map, uint64_t n)
{
	uint64_t i = n / STEP * STEP, used = map->before[n / STEP];

	for (; i + 8 <= n; i += 8)
		used += (unsigned)__builtin_popcount(map->bits[i / 8]);
	if (i < n)
		used += (unsigned)__builtin_popcount(map->bits[i / 8] & (0xff >> (8 - (n - i))));
	return used;
}

uint64_t
pl_cluster_map_used(const struct pl_cluster_map *map, uint32_t first, uint64_t nr)
{
	uint64_t start, inside;

	if (first < PL_FIRST_CLUSTER || first - PL_FIRST_CLUSTER >= map->nr)
		return nr;
	start = first - PL_FIRST_CLUSTER;
	inside = PL_MIN(nr, map->nr - start);
	return used_below(map, start + inside) - used_below(map, start) + (nr - inside);
}

uint64_t
pl_cluster_map_find(const struct pl_cluster_map *map, uint64_t cluster, bool used)
{
	uint64_t i = cluster - PL_FIRST_CLUSTER;
	uint8_t other = used ? 0 : 0xff;

	while (i < map->nr) {
		if (i % 8 == 0 && map->bits[i / 8] == other)
			i += 8;
		else if ((map->bits[i / 8] >> i % 8 & 1) == used)
			break;
		else
			i++;
	}
	return PL_MIN(i, map->nr) + PL_FIRST_CLUSTER;
}

int
pl_cluster_map_runs(const struct pl_cluster_map *map, const struct pl_clusters *c, uint32_t first,
		    uint64_t size, struct pl_runs *runs, struct platter_error *err)
{
	uint64_t offset = 0, cluster = first, end = (uint64_t)map->nr + PL_FIRST_CLUSTER;
	int r = 0;

	while (offset < size && pl_cluster_exists(c, first) && cluster < end && r == 0) {
		uint64_t start = pl_cluster_map_find(map, cluster, false);
		uint64_t length;

		cluster = pl_cluster_map_find(map, start, true);
		length = PL_MIN((cluster - start) * c->size, size - offset);
		if (start == end)
			break;
		r = pl_runs_add_data(runs, offset, length, pl_cluster_at(c, (uint32_t)start), err);
		offset += length;
	}
	if (r == 0 && offset < size)
		r = pl_runs_add_lost(runs, offset, size - offset, PL_CHAIN_FREE, err);
	return r;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March. */
static int64_t
days_to(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2);
	unsigned of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

struct platter_time
pl_dos_time(unsigned date, unsigned time, unsigned hundredths)
{
	unsigned month = date >> 5 & 15, day = date & 31;
	unsigned hour = time >> 11, minute = time >> 5 & 63, second = (time & 31) * 2;

	if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59)
		return (struct platter_time){ .seconds = PLATTER_NO_TIME };
	if (hundredths > 199)
		hundredths = 0;
	return (struct platter_time){
		.seconds = days_to(1980 + (date >> 9 & 127), month, day) * 86400 + hour * 3600 +
			   minute * 60 + second + hundredths / 100,
		.nanoseconds = hundredths % 100 * 10000000,
	};
}
