/* SPDX-License-Identifier: GPL-3.0-or-later */
/* iso9660.h - what the files of the ISO 9660 driver share */
#ifndef PL_ISO9660_H
#define PL_ISO9660_H

#include "text.h"
#include "volume.h"

#define ISO_SECTOR 2048

/* Where a volume descriptor has the record of the root; High Sierra elsewhere. */
#define ISO_DESCRIPTOR_ROOT  156
#define ISO_HIGH_SIERRA_ROOT 180

/* The trees that the files of a disc can be seen in; names in pl_iso_views. */
enum iso_view {
	VIEW_PLAIN,
	VIEW_ROCK_RIDGE, /* the plain tree, with what POSIX wants behind each record */
	VIEW_JOLIET,
	VIEW_ENHANCED, /* ISO 9660:1999 */
	NR_VIEWS,
};
extern const char *const pl_iso_views[];

/* The catalogue of El Torito names more only if it is damaged. */
#define ISO_MAX_BOOT_IMAGES 64

struct iso_boot_image {
	uint8_t platform, media;
	bool bootable;
	uint32_t block;
	uint16_t nr_loaded; /* 512-byte sectors that the firmware reads */
};

struct iso_boot {
	uint64_t at; /* byte of the catalogue; 0: none */
	bool valid;  /* its checksum */
	struct iso_boot_image image[ISO_MAX_BOOT_IMAGES];
	unsigned nr;
};

struct iso_session {
	uint64_t start;          /* sector; its descriptors are 16 behind */
	uint64_t end;            /* sector behind the last, as far as the disk goes */
	uint64_t root[NR_VIEWS]; /* byte of the root's record, in a descriptor; 0: none */
	uint64_t boot_catalogue; /* sector, 0: none */
	uint32_t block_size;
	bool high_sierra;
};

/* A CD has 99 tracks at most, a DVD-R that was written in small steps a few hundred. */
#define ISO_MAX_SESSIONS 256

struct iso {
	struct pl_volume volume;
	enum iso_view view;
	bool high_sierra, has_rock_ridge;
	uint32_t block_size;
	uint32_t first_block; /* that the image holds: it may be of one session alone */
	uint8_t susp_skip;    /* bytes before the entries of each system use area */
	struct iso_session *session;
	unsigned nr_sessions, chosen;
	struct iso_boot boot;
	pthread_mutex_t boot_lock;               /* guards what follows */
	uint64_t boot_size[ISO_MAX_BOOT_IMAGES]; /* of the files that the images are, 0: none */
	uint64_t catalogue_size;
	bool boot_sized;
};

static inline struct iso *
iso_of(struct pl_volume *v)
{
	return pl_container_of(v, struct iso, volume);
}

/* --- record.c: records of folders */

enum iso_record_flags {
	RECORD_HIDDEN = 1 << 0,
	RECORD_FOLDER = 1 << 1,
	RECORD_ASSOCIATED = 1 << 2, /* a second fork, before the file of the same name */
	RECORD_CONTINUED = 1 << 7,  /* the next record has more of the same file */
};

struct iso_record {
	uint64_t at; /* where it is on the disk: the node's number */
	uint32_t block, size;
	uint8_t length, flags, unit, gap;
	uint8_t extended; /* blocks of the extended attribute record before the contents */
	uint8_t name_length, system_use_length;
	const uint8_t *name, *system_use; /* in `bytes` */
	struct platter_time recorded;
	uint8_t bytes[256];
};

/* A number in both byte orders: the little one, unless the other alone is within the limit. */
uint32_t pl_iso_both32(const uint8_t *field, uint64_t limit);

/* Seven bytes: years since 1900, month, day, hour, minute, second, quarters of an hour east. */
struct platter_time pl_iso_time(const uint8_t t[static 7]);
/* Seventeen: digits of year to hundredths, and the zone. */
struct platter_time pl_iso_long_time(const uint8_t t[static 17]);

/* Byte of the disk where a block is; -EUCLEAN past its end. */
int pl_iso_block_at(const struct iso *iso, uint32_t block, uint64_t *ret,
		    struct platter_error *err);

int pl_iso_read_record(struct iso *iso, uint64_t at, struct iso_record *ret,
		       struct platter_error *err);

/* Other than 0 ends the walk, which then returns that. */
typedef int iso_record_fn(void *closure, const struct iso_record *r, struct platter_error *err);

/*
 * Every record of a folder, "." and ".." too, those that continue a file too.  Goes on
 * behind damage, and returns the first error at the end.
 */
int pl_iso_each_record(struct iso *iso, const struct iso_record *folder, iso_record_fn *fn,
		       void *closure, struct platter_error *err);

static inline bool
iso_is_dots(const struct iso_record *r)
{
	return r->name_length == 1 && r->name[0] <= 1;
}

/* The runs of a file, all its sections, and its size. */
int pl_iso_runs(struct iso *iso, const struct iso_record *first, struct pl_runs *ret,
		uint64_t *ret_size, struct platter_error *err);
/* The size alone; *ret_allocated: with what is lost in blocks. */
int pl_iso_file_size(struct iso *iso, const struct iso_record *first, uint64_t *ret,
		     uint64_t *ret_allocated, struct platter_error *err);

/* --- rockridge.c */

#define ISO_MAX_NAME 1024 /* 255 by every writer, in UTF-8 */

enum iso_wanted {
	WANT_TARGET = 1 << 0,
	WANT_ATTRIBUTES = 1 << 1,
};

struct iso_rock_ridge {
	bool has_sp, has_any; /* of SUSP; of Rock Ridge */
	bool has_attributes, has_device, has_name, has_child, relocated, damaged;
	uint32_t mode, links, uid, gid, serial; /* PX */
	uint32_t device_high, device_low;       /* PN */
	uint32_t child;                         /* CL: block of the folder that was moved */
	char name[ISO_MAX_NAME + 1];            /* NM */
	size_t name_length;
	struct pl_str target; /* SL */
	struct platter_time modified, accessed, changed, created;
	uint8_t zisofs; /* version, 0: none */
	uint8_t zisofs_algorithm[2];
	uint64_t zisofs_size;
	bool sparse;
	uint64_t sparse_size;
	uint8_t skip; /* SP */
	/* AL: each component as a length in 4 bytes of this machine's order and its bytes. */
	struct pl_str components;
};

/* The system use area of a record; damage in it ends it, and sets `damaged`. */
void pl_iso_rock_ridge(struct iso *iso, const struct iso_record *r, unsigned wanted,
		       struct iso_rock_ridge *ret);
void pl_iso_rock_ridge_done(struct iso_rock_ridge *rr);

/* Calls `fn` for each extended attribute of the components, access control lists too. */
int pl_iso_each_attribute(const struct iso_rock_ridge *rr, pl_attribute_fn *fn, void *closure,
			  struct platter_error *err);

/* --- zisofs.c: what `stored`, a file, is when decoded */
int pl_iso_zisofs_open(struct pl_disk *stored, uint64_t size, const char *name,
		       struct pl_disk **ret, struct platter_error *err);

/* --- boot.c: El Torito, and its images as files of the folder "[BOOT]" */

#define ISO_BOOT_FOLDER "[BOOT]"
#define ISO_BOOT_TREE   1 /* pl_node_id.tree of it: inode 0, images from 1, the catalogue last */

void pl_iso_boot_read(struct iso *iso, uint64_t sector);
int pl_iso_boot_stat(struct iso *iso, uint64_t inode, struct platter_file *ret,
		     struct platter_error *err);
int pl_iso_boot_list(struct iso *iso, pl_entry_fn *fn, void *closure, struct platter_error *err);
int pl_iso_boot_open(struct iso *iso, uint64_t inode, const char *name, struct pl_disk **ret,
		     struct platter_error *err);
void pl_iso_boot_describe(struct iso *iso, struct pl_facts *facts);

/* --- session.c: volume descriptors */

/* All sessions of the disk, at least one. */
int pl_iso_find_sessions(struct iso *iso, struct platter_error *err);

/* --- volume.c */

int pl_iso_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);

#endif
