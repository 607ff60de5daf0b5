/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs-images.h - builds NTFS in memory, attribute by attribute
 *
 * Clusters and records have 1 KiB, index blocks 4.  The MFT is in two pieces, of which record 15
 * tells the second.
 */
#ifndef NTFS_IMAGES_H
#define NTFS_IMAGES_H

#include <stdlib.h>

#include "bytes.h"
#include "text.h"

enum {
	CLUSTER = 1024,
	NR_CLUSTERS = 512,
	IMAGE = (NR_CLUSTERS + 1) * CLUSTER,
	MFT_FIRST = 4, /* records 0 to 23, */
	MFT_PIECE = 24,
	MFT_SECOND = 40, /* 24 to 47 */
	MIRROR = 64,
	LOGFILE = 68,
	BITMAP = 72,
	ROOT_BLOCKS = 76,
	UPCASE = 100,
	RECORD_ROOT = 5,
	RECORD_MFT_SECOND = 15,
	INDEX_BLOCK = 4096,
};

/* A record or block that is being written, and where its next byte goes. */
struct ntfs_writer {
	uint8_t *start, *p;
	unsigned id;
};

static inline uint8_t *
record_at(uint8_t *image, unsigned number)
{
	unsigned cluster =
		number < MFT_PIECE ? MFT_FIRST + number : MFT_SECOND + number - MFT_PIECE;

	return image + cluster * CLUSTER;
}

static inline struct ntfs_writer
begin_record(uint8_t *image, unsigned number, unsigned flags, unsigned base)
{
	struct ntfs_writer w = { .start = record_at(image, number) };

	memset(w.start, 0, CLUSTER);
	memcpy(w.start, "FILE", 4);
	put_le16(w.start + 4, 48); /* check values */
	put_le16(w.start + 6, 3);
	put_le16(w.start + 16, 1); /* sequence */
	put_le16(w.start + 18, 1);
	put_le16(w.start + 20, 56);
	put_le16(w.start + 22, (uint16_t)flags);
	put_le32(w.start + 28, CLUSTER);
	if (base)
		put_le64(w.start + 32, base | 1ull << 48);
	w.p = w.start + 56;
	return w;
}

/* The last two bytes of each 512 go into the array, and the check value in their place. */
static inline void
add_check_values(uint8_t *block, unsigned size)
{
	uint8_t *array = block + get_le16(block + 4);

	put_le16(array, 7);
	for (unsigned i = 1; i <= size / 512; i++) {
		memcpy(array + 2 * i, block + 512 * i - 2, 2);
		put_le16(block + 512 * i - 2, 7);
	}
}

static inline void
end_record(struct ntfs_writer *w)
{
	put_le32(w->p, UINT32_MAX);
	put_le32(w->start + 24, (uint32_t)(w->p + 8 - w->start));
	add_check_values(w->start, CLUSTER);
}

static inline uint8_t *
begin_attribute(struct ntfs_writer *w, unsigned type, const char *name, unsigned flags,
		unsigned header, unsigned *ret_body)
{
	unsigned n = name ? (unsigned)strlen(name) : 0;
	uint8_t *a = w->p;

	put_le32(a, type);
	a[9] = (uint8_t)n;
	put_le16(a + 10, (uint16_t)header);
	put_le16(a + 12, (uint16_t)flags);
	put_le16(a + 14, (uint16_t)w->id++);
	for (unsigned i = 0; i < n; i++)
		put_le16(a + header + 2 * i, (uint8_t)name[i]);
	*ret_body = (header + 2 * n + 7) / 8 * 8;
	return a;
}

static inline void
end_attribute(struct ntfs_writer *w, unsigned length)
{
	length = (length + 7) / 8 * 8;
	put_le32(w->p + 4, length);
	w->p += length;
}

static inline void
add_resident(struct ntfs_writer *w, unsigned type, const char *name, const void *value, unsigned n)
{
	unsigned body;
	uint8_t *a = begin_attribute(w, type, name, 0, 24, &body);

	put_le32(a + 16, n);
	put_le16(a + 20, (uint16_t)body);
	if (n)
		memcpy(a + body, value, n);
	end_attribute(w, body + n);
}

/* Clusters of one run; lcn 0: not stored. */
struct run {
	unsigned length, lcn;
};

struct mapped {
	unsigned type, flags, vcn, unit_shift;
	const char *name;
	uint64_t size, initialized;
	struct run runs[8];
};

static inline void
add_mapped(struct ntfs_writer *w, const struct mapped *m)
{
	bool packed = m->flags & 0x8001 && m->unit_shift;
	unsigned body, nr = 0, stored = 0;
	uint8_t *a = begin_attribute(w, m->type, m->name, m->flags, packed ? 72 : 64, &body);
	uint8_t *p = a + body;
	int last = 0;

	a[8] = 1;
	for (const struct run *r = m->runs; r->length; r++) {
		int distance = (int)r->lcn - last;

		*p++ = r->lcn ? 0x22 : 0x02;
		put_le16(p, (uint16_t)r->length);
		p += 2;
		if (r->lcn) {
			put_le16(p, (uint16_t)distance);
			p += 2;
			last = (int)r->lcn;
			stored += r->length;
		}
		nr += r->length;
	}
	*p++ = 0;
	put_le64(a + 16, m->vcn);
	put_le64(a + 24, m->vcn + nr - 1);
	put_le16(a + 32, (uint16_t)body);
	a[34] = (uint8_t)m->unit_shift;
	put_le64(a + 40, (uint64_t)nr * CLUSTER);
	put_le64(a + 48, m->size);
	put_le64(a + 56, m->initialized ? m->initialized : m->size);
	if (packed)
		put_le64(a + 64, (uint64_t)stored * CLUSTER);
	end_attribute(w, (unsigned)(p - a));
}

/* Times of 2001-09-09 01:46:40 and the seconds behind it. */
#define A_TIME (116444736000000000ull + 1000000000ull * 10000000)

static inline void
add_information(struct ntfs_writer *w, uint32_t flags)
{
	uint8_t value[72] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		put_le64(value + 8 * i, A_TIME + i * 10000000 + 12345);
	put_le32(value + 32, flags);
	add_resident(w, 0x10, NULL, value, sizeof value);
}

enum {
	POSIX,
	WIN32,
	DOS
};

/* The value of $FILE_NAME; its length. */
static inline unsigned
make_name(uint8_t *value, unsigned parent, const char *name, unsigned space, uint32_t flags)
{
	size_t n;
	uint8_t *units = pl_utf16le_from_text(name, &n);

	memset(value, 0, 66);
	put_le64(value, parent | (parent == RECORD_ROOT ? 5ull : 1ull) << 48);
	put_le32(value + 56, flags);
	value[64] = (uint8_t)n;
	value[65] = (uint8_t)space;
	memcpy(value + 66, units, 2 * n);
	free(units);
	return 66 + 2 * (unsigned)n;
}

static inline void
add_name(struct ntfs_writer *w, unsigned parent, const char *name, unsigned space, uint32_t flags)
{
	uint8_t value[600];

	add_resident(w, 0x30, NULL, value, make_name(value, parent, name, space, flags));
}

/* An entry of a folder's index; block < 0: none before it, no name: the last. */
static inline uint8_t *
put_entry(uint8_t *p, unsigned number, const char *name, unsigned space, uint32_t flags, int block)
{
	unsigned key = name ? make_name(p + 16, RECORD_ROOT, name, space, flags) : 0;
	unsigned length = (16 + key + 7) / 8 * 8 + (block < 0 ? 0 : 8);

	put_le64(p, name ? number | (number == RECORD_ROOT ? 5ull : 1ull) << 48 : 0);
	put_le16(p + 8, (uint16_t)length);
	put_le16(p + 10, (uint16_t)key);
	put_le32(p + 12, (name ? 0 : 2) | (block < 0 ? 0 : 1));
	if (block >= 0)
		put_le64(p + length - 8, (uint64_t)block * (INDEX_BLOCK / CLUSTER));
	return p + length;
}

/* Entries that were put behind the 16 bytes of `header`. */
static inline void
end_entries(uint8_t *header, const uint8_t *end, unsigned first, bool has_blocks)
{
	put_le32(header, first);
	put_le32(header + 4, (uint32_t)(end - header));
	put_le32(header + 8, (uint32_t)(end - header));
	header[12] = has_blocks;
}

struct name {
	unsigned number;
	const char *name;
	unsigned space;
	uint32_t flags;
};

/* Block `number` of the root folder, with names up to one without a name. */
static inline void
make_block(uint8_t *image, unsigned number, const struct name *names)
{
	uint8_t *block = image + ROOT_BLOCKS * CLUSTER + number * INDEX_BLOCK, *p = block + 24 + 40;

	memset(block, 0, INDEX_BLOCK);
	memcpy(block, "INDX", 4);
	put_le16(block + 4, 40);
	put_le16(block + 6, INDEX_BLOCK / 512 + 1);
	put_le64(block + 16, number * (INDEX_BLOCK / CLUSTER));
	for (; names->name; names++)
		p = put_entry(p, names->number, names->name, names->space, names->flags, -1);
	p = put_entry(p, 0, NULL, 0, 0, -1);
	end_entries(block + 24, p, 40, false);
	add_check_values(block, INDEX_BLOCK);
}

/* A folder's index in its record: `first` between two blocks, or nothing. */
static inline void
add_index_root(struct ntfs_writer *w, const struct name *first)
{
	uint8_t value[512] = { 0 }, *p = value + 32;

	put_le32(value, 0x30);
	put_le32(value + 4, 1);
	put_le32(value + 8, INDEX_BLOCK);
	value[12] = INDEX_BLOCK / CLUSTER;
	if (first)
		p = put_entry(p, first->number, first->name, first->space, first->flags, 0);
	p = put_entry(p, 0, NULL, 0, 0, first ? 1 : -1);
	end_entries(value + 16, p, 16, first);
	add_resident(w, 0x90, "$I30", value, (unsigned)(p - value));
}

/* An entry of $EA; what follows it is at its end, rounded up to 4. */
static inline uint8_t *
put_ea(uint8_t *p, const char *name, const void *value, unsigned n)
{
	unsigned name_length = (unsigned)strlen(name),
		 length = (8 + name_length + 1 + n + 3) / 4 * 4;

	memset(p, 0, length);
	put_le32(p, length);
	p[5] = (uint8_t)name_length;
	put_le16(p + 6, (uint16_t)n);
	memcpy(p + 8, name, name_length);
	memcpy(p + 8 + name_length + 1, value, n);
	return p + length;
}

/* The target of a symbolic link or junction, twice, as Windows stores it; the value's length. */
static inline unsigned
make_reparse_link(uint8_t *value, uint32_t tag, const char *target, uint32_t flags)
{
	size_t n;
	uint8_t *units = pl_utf16le_from_text(target, &n);
	unsigned text = tag == 0xa000000c ? 20 : 16, length = 2 * (unsigned)n;

	memset(value, 0, text);
	put_le32(value, tag);
	put_le16(value + 4, (uint16_t)(text - 8 + 2 * length));
	put_le16(value + 10, (uint16_t)length);
	put_le16(value + 12, (uint16_t)length);
	put_le16(value + 14, (uint16_t)length);
	if (text == 20)
		put_le32(value + 16, flags);
	memcpy(value + text, units, length);
	memcpy(value + text + length, units, length);
	free(units);
	return text + 2 * length;
}

static inline void
set_used(uint8_t *image, unsigned cluster, unsigned nr)
{
	for (unsigned i = cluster; i < cluster + nr; i++)
		image[BITMAP * CLUSTER + i / 8] |= (uint8_t)(1 << i % 8);
}

static inline void
make_system_files(uint8_t *image)
{
	static const uint8_t volume[12] = { [8] = 3, 1 };
	uint8_t list[96] = { 0 };
	struct ntfs_writer w;

	memcpy(image + 3, "NTFS    ", 8);
	put_le16(image + 11, 512);
	image[13] = 2;
	put_le64(image + 40, NR_CLUSTERS * 2);
	put_le64(image + 48, MFT_FIRST);
	put_le64(image + 56, MIRROR);
	image[64] = 0xf6; /* 2^10 */
	put_le64(image + 72, 0x1122334455667788);

	/* The MFT's list: its contents are here and in record 15. */
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *e = list + 32 * i;

		put_le32(e, i ? 0x80 : 0x10);
		put_le16(e + 4, 32);
		e[7] = 26;
		put_le64(e + 8, i == 2 ? MFT_PIECE : 0);
		put_le64(e + 16, (i == 2 ? RECORD_MFT_SECOND : 0) | 1ull << 48);
	}
	w = begin_record(image, 0, 1, 0);
	add_information(&w, 6);
	add_resident(&w, 0x20, NULL, list, sizeof list);
	add_name(&w, RECORD_ROOT, "$MFT", 3, 6);
	add_mapped(&w, &(struct mapped){ .type = 0x80,
					 .size = 2 * MFT_PIECE * CLUSTER,
					 .runs = { { MFT_PIECE, MFT_FIRST } } });
	end_record(&w);
	w = begin_record(image, RECORD_MFT_SECOND, 1, 0);
	put_le64(w.start + 32, 1ull << 48); /* base: record 0 */
	add_mapped(&w, &(struct mapped){ .type = 0x80,
					 .vcn = MFT_PIECE,
					 .runs = { { MFT_PIECE, MFT_SECOND } } });
	end_record(&w);
	w = begin_record(image, 2, 1, 0);
	add_information(&w, 6);
	add_mapped(&w, &(struct mapped){ .type = 0x80, .size = 4096, .runs = { { 4, LOGFILE } } });
	end_record(&w);
	memset(image + LOGFILE * CLUSTER, 0xff, 4 * CLUSTER);
	w = begin_record(image, 3, 1, 0);
	add_information(&w, 6);
	add_resident(&w, 0x70, NULL, volume, sizeof volume);
	end_record(&w);
	w = begin_record(image, 6, 1, 0);
	add_information(&w, 6);
	add_mapped(&w, &(struct mapped){
			       .type = 0x80, .size = NR_CLUSTERS / 8, .runs = { { 1, BITMAP } } });
	end_record(&w);
	w = begin_record(image, 10, 1, 0);
	add_information(&w, 6);
	add_mapped(&w,
		   &(struct mapped){ .type = 0x80, .size = 131072, .runs = { { 128, UPCASE } } });
	end_record(&w);
	for (unsigned i = 0; i < 65536; i++)
		put_le16(image + UPCASE * CLUSTER + 2 * i,
			 (uint16_t)((i >= 'a' && i <= 'z') || (i >= 0xe0 && i <= 0xfe) ? i - 32
										       : i));
	memcpy(image + MIRROR * CLUSTER, image + MFT_FIRST * CLUSTER, 4 * CLUSTER);
	set_used(image, 0, 1);
	set_used(image, MFT_FIRST, MFT_PIECE);
	set_used(image, MFT_SECOND, MFT_PIECE);
	set_used(image, MIRROR, UPCASE + 128 - MIRROR);
}

/* The root folder: names of two blocks, and the one between. */
static inline void
make_root(uint8_t *image, const struct name *smaller, const struct name *middle,
	  const struct name *larger)
{
	static const uint8_t in_use[8] = { 3 };
	struct ntfs_writer w = begin_record(image, RECORD_ROOT, 3, 0);

	put_le16(w.start + 16, 5);
	add_information(&w, 6);
	add_name(&w, RECORD_ROOT, ".", 3, 0x10000006);
	add_index_root(&w, middle);
	add_mapped(&w, &(struct mapped){ .type = 0xa0,
					 .name = "$I30",
					 .size = 2 * INDEX_BLOCK,
					 .runs = { { 8, ROOT_BLOCKS } } });
	add_resident(&w, 0xb0, "$I30", in_use, sizeof in_use);
	end_record(&w);
	make_block(image, 0, smaller);
	make_block(image, 1, larger);
}

#endif
