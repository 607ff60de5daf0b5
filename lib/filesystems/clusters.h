/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * clusters.h - what FAT and exFAT share: chains of clusters, and the times of DOS
 *
 * A table (the FAT) has an entry for each cluster, which names the one that follows it in
 * its file.  Clusters are numbered from 2.
 */
#ifndef PL_CLUSTERS_H
#define PL_CLUSTERS_H

#include "file.h"
#include "meta.h"
#include "ranges.h"

#define PL_FIRST_CLUSTER 2u

#define PL_MAX_TABLES 4

/* Does not change after the volume is open. */
struct pl_clusters {
	struct pl_disk *disk; /* borrowed, as `meta` */
	struct pl_meta *meta;
	uint64_t table[PL_MAX_TABLES]; /* bytes where the copies are; the first is believed */
	unsigned nr_tables;
	unsigned bits; /* of an entry: 12, 16, 28 (of 32), 32 */
	uint32_t nr;   /* clusters PL_FIRST_CLUSTER .. nr + 1 exist and have an entry */
	uint32_t size; /* bytes of one, a power of two */
	uint64_t heap; /* byte where the first one begins */
};

static inline bool
pl_cluster_exists(const struct pl_clusters *c, uint32_t cluster)
{
	return cluster >= PL_FIRST_CLUSTER && cluster - PL_FIRST_CLUSTER < c->nr;
}

static inline uint64_t
pl_cluster_at(const struct pl_clusters *c, uint32_t cluster)
{
	return c->heap + (uint64_t)(cluster - PL_FIRST_CLUSTER) * c->size;
}

/* Part of the table, read together; start from {0}. */
#define PL_TABLE_WINDOW 4096
struct pl_table_window {
	uint32_t first, nr; /* entries in it */
	uint8_t bytes[PL_TABLE_WINDOW + 1];
};

/*
 * The entry of any number below nr + 2, as stored.  What the first table does not give is
 * taken from its copies.
 */
int pl_table_get(const struct pl_clusters *c, struct pl_table_window *w, uint32_t cluster,
		 uint32_t *ret, struct platter_error *err);

/* The largest value of an entry; from 7 less up a chain ends, 8 less is a bad cluster. */
uint32_t pl_table_last(const struct pl_clusters *c);

enum pl_chain_end {
	PL_CHAIN_ENDS,
	PL_CHAIN_FULL, /* as long as was asked for */
	PL_CHAIN_FREE,
	PL_CHAIN_BAD,
	PL_CHAIN_OUTSIDE,
	PL_CHAIN_LOOP,
	PL_CHAIN_UNREADABLE,
};

struct pl_chain {
	enum pl_chain_end end;
	uint32_t last; /* cluster in it */
	uint64_t nr;   /* clusters */
};

/*
 * Follow the chain that begins with a cluster, for at most `max` clusters: what it is made
 * of is added to `runs` (may be NULL), and *ret tells how it ended.  Fails only for want of
 * memory, or past PL_MAX_RUNS.
 */
int pl_chain_follow(const struct pl_clusters *c, uint32_t first, uint64_t max, struct pl_runs *runs,
		    struct pl_chain *ret, struct platter_error *err);

/* 0 if a chain ended as it should, else what is wrong with it. */
int pl_chain_error(const struct pl_clusters *c, uint32_t first, const struct pl_chain *chain,
		   struct platter_error *err);

/*
 * Bytes [offset, offset + length) of a file, which its chain does not reach: reading them
 * fails, with the reason.
 */
int pl_runs_add_lost(struct pl_runs *runs, uint64_t offset, uint64_t length, enum pl_chain_end why,
		     struct platter_error *err);

/* The runs of the first `size` bytes of a chain; what it does not reach is lost. */
int pl_chain_runs(const struct pl_clusters *c, uint32_t first, uint64_t size, struct pl_runs *runs,
		  struct platter_error *err);

/* Which clusters are in use: bit 0 is that of PL_FIRST_CLUSTER, the lowest bits first. */
struct pl_cluster_map {
	uint8_t *bits;
	uint64_t *before; /* for every 512 clusters: how many before them are in use */
	uint32_t nr;
	uint64_t nr_used;
};

/* Takes `bits` over, (nr + 7) / 8 bytes, in failure too. */
int pl_cluster_map_init(struct pl_cluster_map *map, uint8_t *bits, uint32_t nr,
			struct platter_error *err);
void pl_cluster_map_done(struct pl_cluster_map *map);

/* How many of the clusters first .. first + nr - 1 are in use; what does not exist is. */
uint64_t pl_cluster_map_used(const struct pl_cluster_map *map, uint32_t first, uint64_t nr);

/* The first cluster from `cluster` on whose bit is `used`; past the last if there is none. */
uint64_t pl_cluster_map_find(const struct pl_cluster_map *map, uint64_t cluster, bool used);

/*
 * A deleted file of which only its first cluster and its size are known: it is taken to be
 * in the clusters from there on that are free.
 */
int pl_cluster_map_runs(const struct pl_cluster_map *map, const struct pl_clusters *c,
			uint32_t first, uint64_t size, struct pl_runs *runs,
			struct platter_error *err);

/* A date and time of DOS, with hundredths of a second; no date, or a wrong one, is none. */
struct platter_time pl_dos_time(unsigned date, unsigned time, unsigned hundredths);

#endif
