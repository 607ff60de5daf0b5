/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chd.h - Compressed Hunks of Data, of MAME: layout, and what the parts share
 *
 * The data is cut into hunks, and each is compressed by one of up to four codecs, stored as it
 * is, or the same as another hunk of the file or of its parent, another CHD.  Metadata says what
 * the data is: a hard disk, a DVD, or the frames of a CD.  All integers are big-endian.
 *
 *	offset  size  header, version 5
 *	     0     8  "MComprHD"
 *	     8     4  bytes of the header, 124
 *	    12     4  version
 *	    16    16  codecs, four characters each; 0: none.  All 0: nothing is compressed
 *	    32     8  bytes of the data
 *	    40     8  where the map is
 *	    48     8  where the metadata begins; 0: there is none
 *	    56     4  bytes of a hunk
 *	    60     4  bytes of a unit, which references to the parent count in
 *	    64    20  SHA-1 of the data
 *	    84    20  SHA-1 of that and the metadata, by which children know their parent
 *	   104    20  the same of the parent; 0: there is none
 *
 *	              header, versions 3 (120 bytes) and 4 (108 bytes)
 *	    16     4  flags: 1 has a parent, 2 may be written
 *	    20     4  codec: 0 none, 1 and 2 deflate, 3 audio and video
 *	    24     4  hunks
 *	    28     8  bytes of the data
 *	    36     8  where the metadata begins
 *	    44        version 3: MD5 of the data and of the parent, bytes of a hunk, SHA-1 of the
 *	              data and of the parent
 *	    44        version 4: bytes of a hunk, SHA-1 with metadata, of the parent, of the data
 *	              then the map: 16 bytes a hunk
 *
 *	              entry of the metadata
 *	     0     4  tag
 *	     4     1  flags: 1 is in the SHA-1
 *	     5     3  bytes
 *	     8     8  where the next is; 0: none
 *	    16        the bytes
 */
#ifndef PL_CHD_H
#define PL_CHD_H

#include "blocks.h"
#include "format.h"

#define CHD_MAGIC    "MComprHD"
#define HEADER_BYTES 124
#define SHA1_BYTES   20
#define NR_CODECS    4

enum {
	LENGTH = 8,
	VERSION = 12,
	CODECS = 16,
	SIZE = 32,
	MAP_OFFSET = 40,
	META_OFFSET = 48,
	HUNK_SIZE = 56,
	UNIT_SIZE = 60,
	DATA_SHA1 = 64,
	WHOLE_SHA1 = 84,
	PARENT_SHA1 = 104,
};

enum {
	OLD_FLAGS = 16,
	OLD_CODEC = 20,
	OLD_NR_HUNKS = 24,
	OLD_SIZE = 28,
	OLD_META_OFFSET = 36,
	V3_HUNK_SIZE = 76,
	V3_SHA1 = 80,
	V3_PARENT_SHA1 = 100,
	V3_HEADER_BYTES = 120,
	V4_HUNK_SIZE = 44,
	V4_WHOLE_SHA1 = 48,
	V4_PARENT_SHA1 = 68,
	V4_DATA_SHA1 = 88,
	V4_HEADER_BYTES = 108,
	OLD_HAS_PARENT = 1,
};

enum {
	META_ENTRY_BYTES = 16,
	META_HASHED = 1, /* flag */
};

/* Four characters as a number. */
#define TAG(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define TAG_TEXT 5
static inline const char *
chd_tag_text(uint32_t tag, char ret[static TAG_TEXT])
{
	for (int i = 0; i < 4; i++) {
		char c = (char)(tag >> (24 - 8 * i));

		ret[i] = c >= ' ' && c <= '~' ? c : '?';
	}
	ret[4] = 0;
	return ret;
}

#define TAG_HARD_DISK TAG('G', 'D', 'D', 'D')
#define TAG_DVD       TAG('D', 'V', 'D', ' ')
#define TAG_CD_TRACK  TAG('C', 'H', 'T', '2')
#define TAG_CD_OLD    TAG('C', 'H', 'T', 'R')
#define TAG_GD_TRACK  TAG('C', 'H', 'G', 'D')
#define TAG_GD_OLD    TAG('C', 'H', 'G', 'T')

/* A frame of a CD: a sector and its subchannel. */
#define FRAME_BYTES  2448
#define SECTOR_BYTES 2352
#define SUB_BYTES    96
/* Tracks begin at multiples of so many frames. */
#define TRACK_PADDING 4

/* MAME takes up to 512 KiB; a length has 24 bits. */
#define MAX_HUNK_SIZE 0xffffffu
/* 1 TiB in hunks of 4 KiB. */
#define MAX_HUNKS (1u << 28)

/* codecs.c and its fellows */

struct chd_codec {
	uint32_t tag;
	const char *name;
	bool cd; /* hunks are frames */
	/* Fill `out` from all of `in`. */
	int (*decode)(const uint8_t *in, size_t n, uint8_t *out, size_t out_size,
		      struct platter_error *err);
	/* Returns the length, 0: it does not fit into `room`.  NULL: is only decoded. */
	size_t (*encode)(const uint8_t *in, size_t n, uint8_t *out, size_t room);
};

extern const struct chd_codec *const pl_chd_codecs[]; /* NULL-terminated */
const struct chd_codec *pl_chd_codec_by_tag(uint32_t tag);
/* By a name of four characters that ends at `n`. */
const struct chd_codec *pl_chd_codec_by_name(const char *name, size_t n);

/* lzma.c */
int pl_chd_decode_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t out_size,
		       struct platter_error *err);
size_t pl_chd_encode_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t room);

/*
 * flac.c: FLAC frames without a header, of two channels of 16 bits: `out` is samples in the order
 * that is asked for.  *ret_used (may be NULL): how many bytes of `in` they took.
 */
int pl_chd_decode_frames(const uint8_t *in, size_t n, bool big_endian, uint8_t *out,
			 size_t out_size, size_t *ret_used, struct platter_error *err);
/* `max_block`: samples that a frame may have. */
size_t pl_chd_encode_frames(const uint8_t *in, size_t n, bool big_endian, uint32_t max_block,
			    uint8_t *out, size_t room);

/* map.c */

/* What one hunk is. */
enum hunk_kind {
	HUNK_CODEC,  /* compressed; `codec` tells which */
	HUNK_STORED, /* as it is */
	HUNK_ZERO,   /* nothing: zeros, or what the parent has there */
	HUNK_PARENT, /* bytes of the parent from `offset` on */
	HUNK_REPEAT, /* the 8 bytes at `offset` of the file, again and again */
};

struct hunk {
	enum hunk_kind kind;
	uint8_t codec;   /* index in the header */
	uint64_t offset; /* in the file, or in the parent */
	uint32_t length; /* stored */
	bool has_crc;
	uint32_t crc; /* CRC-16, of versions 3 and 4 CRC-32 */
};

/* Types of hunks in a compressed map. */
enum {
	MAP_CODEC_0 = 0, /* to 3 */
	MAP_STORED = 4,
	MAP_SELF = 5,
	MAP_PARENT = 6,
	/* Those below do not appear in the expanded map. */
	MAP_REPEAT_SHORT = 7,
	MAP_REPEAT_LONG = 8,
	MAP_SELF_SAME = 9,
	MAP_SELF_NEXT = 10,
	MAP_PARENT_SELF = 11,
	MAP_PARENT_SAME = 12,
	MAP_PARENT_NEXT = 13,
	MAP_NR_TYPES = 16,
};
#define MAP_HEADER_BYTES 16
#define MAP_ENTRY_BYTES  12

/* Hunks that follow each other and are told by one rule: as a rule one, or many that repeat. */
struct hunk_run {
	uint32_t first;
	uint32_t type : 8, length : 24; /* bytes stored, or of references the step to the next */
	uint64_t value : 48, crc : 16;  /* offset; hunk; unit */
};

/*
 * 1 GiB of them, 256 GiB in hunks of 4 KiB of which none is as another.  Those of references take a
 * few bits of the file each.
 */
#define MAX_RUNS (1u << 26)

struct hunk_map {
	struct hunk_run *runs; /* of a compressed map */
	size_t nr, capacity;
	struct pl_block_table table; /* of any other */
	uint64_t offset;             /* in the file */
	uint16_t crc;                /* that a compressed map should have */
};

/* Add a run behind the others.  -EFBIG: there are MAX_RUNS already. */
int pl_chd_map_add(struct hunk_map *m, const struct hunk_run *run, struct platter_error *err);
/* The same of references, unless the last run goes on with them. */
int pl_chd_map_add_references(struct hunk_map *m, uint64_t hunk, uint32_t type, uint64_t value,
			      uint32_t step, struct platter_error *err);
/* CRC-16 of the expanded map. */
uint16_t pl_chd_map_crc(const struct hunk_run *runs, size_t nr, uint64_t nr_hunks);

struct chd;
int pl_chd_map_open(struct chd *c, struct platter_error *err);
void pl_chd_map_done(struct chd *c);
int pl_chd_map_look(struct chd *c, uint64_t index, struct hunk *ret, struct platter_error *err);
/* Has the compressed map the CRC-16 that it should have? */
int pl_chd_map_check_crc(const struct chd *c, struct platter_error *err);

/*
 * map-write.c: write the compressed map at byte `at` of `file`: hunks are stored one behind the
 * other from byte `first` on, and refer to none of a parent.  *ret_end is where it ends.
 */
int pl_chd_map_write(const struct hunk_map *m, uint64_t nr_hunks, uint64_t first,
		     struct pl_disk *file, uint64_t at, uint64_t *ret_end,
		     struct platter_error *err);

/* metadata.c */

struct metadata {
	uint64_t at; /* of the entry in the file */
	uint32_t tag, length;
	uint8_t flags;
	uint8_t *bytes; /* NUL-terminated behind `length` */
};

struct metadata_list {
	struct metadata *list;
	size_t nr, capacity;
};

int pl_chd_metadata_read(struct pl_disk *file, uint64_t at, struct metadata_list *ret,
			 struct platter_error *err);
void pl_chd_metadata_done(struct metadata_list *m);
int pl_chd_metadata_add(struct metadata_list *m, uint32_t tag, const void *bytes, size_t n,
			struct platter_error *err);
/* Write the list at byte `at` of the file; *ret_end is where it ends. */
int pl_chd_metadata_write(const struct metadata_list *m, struct pl_disk *file, uint64_t at,
			  uint64_t *ret_end, struct platter_error *err);
const struct metadata *pl_chd_metadata_find(const struct metadata_list *m, uint32_t tag);
/* The number behind "NAME:" in a text; false: it is not there, or passes INT32_MAX. */
bool pl_chd_metadata_number(const char *text, const char *name, uint32_t *ret);
/* The word behind "NAME:", of at most n - 1 characters. */
bool pl_chd_metadata_word(const char *text, const char *name, char *ret, size_t n);
/* SHA-1 of the data and of the metadata that counts. */
int pl_chd_whole_sha1(const uint8_t data[static SHA1_BYTES], const struct metadata_list *m,
		      uint8_t ret[static SHA1_BYTES], struct platter_error *err);

/* chd.c */

struct chd {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_disk *base; /* the parent's data, or NULL; a reference is in disk.parent */
	struct pl_decoder decoder;
	uint8_t header[HEADER_BYTES];
	uint32_t version, hunk_size, unit_size;
	uint64_t nr_hunks, meta_offset;
	uint64_t table_at; /* of versions 3 and 4 */
	const struct chd_codec *codecs[NR_CODECS];
	const uint8_t *data_sha1, *whole_sha1, *parent_sha1; /* in the header; NULL: it has none */
	bool has_parent, compressed_map, ignore_checksums;
	struct hunk_map map;
	struct metadata_list metadata;
};

static inline struct chd *
chd_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct chd, disk);
}

#define SHA1_TEXT (2 * SHA1_BYTES + 1)
const char *pl_chd_sha1_text(const uint8_t sha1[static SHA1_BYTES], char ret[static SHA1_TEXT]);

extern const struct pl_disk_ops pl_chd_ops;

/* parent.c */
int pl_chd_parent_open(struct chd *c, const struct pl_open_request *request,
		       struct platter_error *err);

/* describe.c */
void pl_chd_describe(struct pl_disk *disk, struct pl_facts *facts);

/* check.c */
int pl_chd_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err);

/* frames.c */

/*
 * The frames of a CD whose sectors, all of a disc's tracks one behind the other, are `sectors`:
 * 2048, 2352 or, with packed subchannels, 2448 bytes each.
 */
struct frames_track {
	uint64_t position, nr; /* of its first sector in `sectors`, and how many */
	bool swap;             /* samples, which are stored high byte first */
};
int pl_chd_frames_new(struct pl_disk *sectors, uint32_t sector_size,
		      const struct frames_track *tracks, size_t nr, struct pl_disk **ret,
		      struct platter_error *err);

/* writer.c */
int pl_chd_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);
extern const struct platter_option_info pl_chd_options[];

#endif
