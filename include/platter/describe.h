/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/describe.h - what a disk is, layer by layer
 *
 * platter_describe() gathers everything that is known about an open disk without
 * reading its payload: the layers it is made of, from where the bytes really are
 * up to the disk itself; the chain of backing files; the partition tables on it;
 * and what each partition, or the whole disk, begins with.  The result is a tree
 * of plain structures owned by the description.
 */
#ifndef PLATTER_DESCRIBE_H
#define PLATTER_DESCRIBE_H

#include <platter/disc.h>
#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

enum platter_fact_type {
	PLATTER_FACT_TEXT,
	PLATTER_FACT_NUMBER,
	PLATTER_FACT_SIZE, /* a number of bytes */
	PLATTER_FACT_FLAG, /* 0 or 1 */
	PLATTER_FACT_TIME, /* seconds since 1970-01-01 00:00 UTC */
};

/* One particular of a layer, for people (`label`) and for programs (`key`). */
struct platter_fact {
	const char *key;   /* stable; lower case with '_' */
	const char *label; /* what people read */
	enum platter_fact_type type;
	const char *text; /* PLATTER_FACT_TEXT: valid UTF-8 without control characters */
	uint64_t number;  /* every other type */
};

/* Facts and warnings that one layer or volume gave. */
struct platter_facts {
	const struct platter_fact *facts;
	size_t nr_facts;
	const char *const *warnings; /* each one phrase: what is not as it should be */
	size_t nr_warnings;
};

struct platter_content;

/* A logical volume of a volume group: disk.img@2/root. */
struct platter_logical_volume {
	const char *name;
	const char *uuid;
	const char *type; /* "linear", "striped", "thin", "raid1", ...; "mixed" */
	uint64_t size;
	const char *place;      /* opens it; "" if it cannot be opened, */
	const char *reason;     /* and why: one phrase, or "" */
	const char *table;      /* the partition table on it: "gpt", "mbr", ..., or "" */
	uint32_t nr_partitions; /* in that */
	const struct platter_content *contents; /* best match first; several is ambiguous */
	size_t nr_contents;
};

/* A file system, container or image format that a disk or partition begins with. */
struct platter_content {
	const char
		*name; /* as blkid names them: "ext4", "ntfs", "vfat", "crypto_LUKS"; or a format */
	const char *longname; /* plain words */
	const char *usage;    /* "filesystem", "raid", "crypto", "other", "image" */
	const char *label;    /* "" if none; valid UTF-8 */
	const char *uuid;     /* "" if none; as blkid prints it */
	uint64_t size;        /* bytes it covers, 0 unknown */
	uint64_t free;        /* bytes free by its own count, UINT64_MAX unknown */
	uint32_t block_size;  /* 0 unknown */
	struct platter_facts facts;
	const struct platter_logical_volume *volumes; /* of a physical volume */
	size_t nr_volumes;
};

enum platter_partition_role {
	PLATTER_PARTITION,          /* an ordinary one */
	PLATTER_PARTITION_EXTENDED, /* a container of others */
	PLATTER_PARTITION_LOGICAL,  /* one inside an extended partition or a slice */
	PLATTER_PARTITION_META, /* the table's own: protective MBR entry, Apple_partition_map, ... */
	PLATTER_PARTITION_FREE, /* free space that the table itself lists (Apple_Free) */
};

struct platter_partition {
	uint32_t number; /* as Linux numbers it: disk.img@NUMBER; 0 none */
	enum platter_partition_role role;
	uint64_t offset, length;
	const char *type;      /* the raw type: "83", a GUID, "Apple_HFS" */
	const char *type_name; /* in plain words, "unknown type" if it is not known */
	const char *name;      /* the table's name for it, or "" */
	const char *uuid;      /* its GUID, or "" */
	const char *flags;     /* "bootable", "required, no automount", ... or "" */
	uint64_t raw_flags;    /* as stored */
	const struct platter_content *contents; /* best match first; several is ambiguous */
	size_t nr_contents;
};

struct platter_gap {
	uint64_t offset, length; /* belongs to no partition and to no table */
};

struct platter_table {
	const char *name; /* "gpt", "mbr", "apm", "bsd", "sun", "sgi" */
	const char *longname;
	const char *uuid;                           /* disk GUID or MBR signature, or "" */
	uint64_t size;                              /* bytes of the disk that carries it */
	uint32_t sector_size;                       /* unit that the table was written for */
	const struct platter_partition *partitions; /* in the table's order */
	size_t nr_partitions;
	const struct platter_gap *gaps; /* ordered, none shorter than a sector */
	size_t nr_gaps;
	struct platter_facts facts;
};

enum platter_layer_kind {
	PLATTER_LAYER_STORAGE, /* a file, device, split parts, a stream */
	PLATTER_LAYER_FORMAT,  /* an image format */
	PLATTER_LAYER_PARTITION,
	PLATTER_LAYER_FILE,    /* a file in a file system */
	PLATTER_LAYER_LOGICAL, /* a logical volume of a volume group */
};

struct platter_layer {
	enum platter_layer_kind kind;
	const char *name; /* "file", "block", "split", "raw", "qcow2", "partition" */
	const char *longname;
	const char *place; /* how this layer is reached */
	uint64_t size;     /* bytes seen through it */
	struct platter_facts facts;
	const char *backing; /* FORMAT: the place of its backing file, or NULL */
};

struct platter_snapshot {
	const char *id, *name;
	uint64_t size;          /* bytes of the disk then */
	int64_t seconds;        /* when, since 1970 UTC */
	uint64_t vm_state_size; /* 0: disk only */
};

struct platter_description {
	const char *place;
	uint64_t size;   /* bytes of the disk */
	uint64_t stored; /* bytes that its files take up, UINT64_MAX unknown */
	uint32_t sector_size, physical_sector_size;
	const struct platter_layer *layers; /* storage first */
	size_t nr_layers;
	const struct platter_layer *chain; /* backing files, nearest first: FORMAT layers */
	size_t nr_chain;
	const struct platter_snapshot *snapshots;
	size_t nr_snapshots;
	const struct platter_disc *disc;    /* that the disk is, or is a track of; else NULL */
	const struct platter_table *tables; /* the one to believe first */
	size_t nr_tables;
	const struct platter_content *contents; /* of the whole disk; best first */
	size_t nr_contents;
};

/*
 * Describe `disk`.  Damage is no failure: it is told as warnings.  Free the result
 * with platter_description_free(); it does not need the disk any more.
 * Errors: -EIO, -ENOMEM.
 */
PLATTER_API int platter_describe(struct platter_disk *disk, struct platter_description **ret,
				 struct platter_error *err);
PLATTER_API void platter_description_free(struct platter_description *description);

#ifdef __cplusplus
}
#endif
#endif
