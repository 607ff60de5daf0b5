/* SPDX-License-Identifier: GPL-3.0-or-later */
/* end.c - what stands behind the data fork of a new image: property list and trailer */
#include <stdarg.h>
#include <stdio.h>

#include "checksums.h"
#include "parent.h"
#include "text.h"
#include "writer.h"

/* Characters of base64 in a line, of a number of bytes divisible by 3. */
#define LINE_BYTES 57
/* What Apple's tools write as the resource `plst`. */
#define PLST_SIZE 1032

/* Text on its way into the file. */
struct output {
	struct dmg_writer *w;
	uint64_t at;
	uint8_t buf[KIB(64)];
	size_t n;
	uint8_t line[LINE_BYTES]; /* bytes to encode */
	size_t in_line;
	int r;
	struct platter_error *err;
};

static void
flush(struct output *o)
{
	if (o->r == 0 && o->n)
		o->r = pl_write(o->w->writer.file, o->buf, o->n, o->at, o->err);
	o->at += o->n;
	o->n = 0;
}

static void
put_bytes(struct output *o, const void *bytes, size_t n)
{
	if (n > sizeof o->buf - o->n)
		flush(o);
	memcpy(o->buf + o->n, bytes, n);
	o->n += n;
}

static void
put_text(struct output *o, const char *text)
{
	for (size_t n = strlen(text), part; n; text += part, n -= part) {
		part = PL_MIN(n, (size_t)KIB(1));
		put_bytes(o, text, part);
	}
}

/* Text between tags. */
static void
put_escaped(struct output *o, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			put_text(o, "&amp;");
		else if (*text == '<')
			put_text(o, "&lt;");
		else
			put_bytes(o, text, 1);
	}
}

static void
end_line(struct output *o)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[LINE_BYTES / 3 * 4 + 1];
	size_t n = 0;

	for (size_t i = 0; i < o->in_line; i += 3) {
		size_t have = PL_MIN(o->in_line - i, 3u);
		uint32_t bits = (uint32_t)o->line[i] << 16;

		bits |= have > 1 ? (uint32_t)o->line[i + 1] << 8 : 0;
		bits |= have > 2 ? o->line[i + 2] : 0;
		text[n++] = digits[bits >> 18];
		text[n++] = digits[bits >> 12 & 63];
		text[n++] = have > 1 ? digits[bits >> 6 & 63] : '=';
		text[n++] = have > 2 ? digits[bits & 63] : '=';
	}
	if (n) {
		text[n++] = '\n';
		put_bytes(o, text, n);
	}
	o->in_line = 0;
}

/* Bytes of a data element, in lines. */
static void
put_base64(struct output *o, const uint8_t *bytes, size_t n)
{
	while (n) {
		size_t part = PL_MIN(n, LINE_BYTES - o->in_line);

		memcpy(o->line + o->in_line, bytes, part);
		o->in_line += part;
		bytes += part;
		n -= part;
		if (o->in_line == LINE_BYTES)
			end_line(o);
	}
}

static void
put_sum(uint8_t *to, uint32_t crc)
{
	put_be32(to, SUM_CRC32);
	put_be32(to + 4, 32);
	put_be32(to + 8, crc);
}

static uint32_t
type_of(enum dmg_kind kind)
{
	switch (kind) {
	case DMG_ZERO: return TYPE_ZERO;
	case DMG_IGNORE: return TYPE_IGNORE;
	case DMG_RAW: return TYPE_RAW;
	default: return (uint32_t)TYPE_FIRST_CODEC + (kind - DMG_ADC);
	}
}

static void
put_chunk(struct output *o, uint32_t type, uint64_t first, uint64_t nr, uint64_t offset,
	  uint64_t length)
{
	uint8_t b[CHUNK_SIZE] = { 0 };

	put_be32(b + CHUNK_TYPE, type);
	put_be64(b + CHUNK_FIRST, first);
	put_be64(b + CHUNK_NR_SECTORS, nr);
	put_be64(b + CHUNK_OFFSET, offset);
	put_be64(b + CHUNK_LENGTH, length);
	put_base64(o, b, sizeof b);
}

/* The table that holds chunks up to `end`. */
static void
put_table(struct output *o, const struct dmg_new_table *t, size_t end)
{
	const struct dmg_writer *w = o->w;
	uint8_t b[MISH_SIZE] = { 0 };
	uint64_t offset = w->frontier;
	bool stored = false;

	for (size_t i = t->first_chunk; i < end; i++)
		stored = stored || dmg_is_stored(w->chunks[i].kind);
	memcpy(b, MISH_MAGIC, 4);
	put_be32(b + MISH_VERSION, 1);
	put_be64(b + MISH_FIRST, t->first);
	put_be64(b + MISH_NR_SECTORS, t->nr_sectors);
	/* A chunk, and the 8 sectors that hdiutil adds. */
	put_be32(b + MISH_BUFFERS, stored ? DMG_NEW_CHUNK / DMG_SECTOR + 8 : 0);
	put_be32(b + MISH_DESCRIPTOR, (uint32_t)t->descriptor);
	put_sum(b + MISH_SUM, t->crc);
	put_be32(b + MISH_NR_CHUNKS, (uint32_t)(end - t->first_chunk + 1));
	put_base64(o, b, sizeof b);
	for (size_t i = t->first_chunk; i < end; i++) {
		const struct dmg_chunk *c = &w->chunks[i];
		uint64_t next = i + 1 < end ? c[1].sector : t->first + t->nr_sectors;

		put_chunk(o, type_of(c->kind), c->sector - t->first, next - c->sector, c->offset,
			  dmg_is_stored(c->kind) ? c->stored : 0);
		offset = c->offset + (dmg_is_stored(c->kind) ? c->stored : 0);
	}
	put_chunk(o, (uint32_t)TYPE_TERMINATOR, t->nr_sectors, 0, offset, 0);
	end_line(o);
}

static void
put_plist(struct output *o)
{
	static const uint8_t plst[PLST_SIZE];
	const struct dmg_writer *w = o->w;
	char number[64];

	put_text(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\""
		    " \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
		    "<plist version=\"1.0\">\n<dict>\n<key>resource-fork</key>\n<dict>\n"
		    "<key>blkx</key>\n<array>\n");
	for (size_t i = 0; i < w->nr_tables; i++) {
		const struct dmg_new_table *t = &w->tables[i];

		put_text(o, "<dict>\n<key>Attributes</key>\n<string>0x0050</string>\n"
			    "<key>CFName</key>\n<string>");
		put_escaped(o, t->name);
		put_text(o, "</string>\n<key>Data</key>\n<data>\n");
		put_table(o, t, i + 1 < w->nr_tables ? t[1].first_chunk : w->nr_chunks);
		snprintf(number, sizeof number, "%" PRId32, t->id);
		put_text(o, "</data>\n<key>ID</key>\n<string>");
		put_text(o, number);
		put_text(o, "</string>\n<key>Name</key>\n<string>");
		put_escaped(o, t->name);
		put_text(o, "</string>\n</dict>\n");
	}
	put_text(o, "</array>\n<key>plst</key>\n<array>\n<dict>\n<key>Attributes</key>\n"
		    "<string>0x0050</string>\n<key>Data</key>\n<data>\n");
	put_base64(o, plst, sizeof plst);
	end_line(o);
	put_text(o, "</data>\n<key>ID</key>\n<string>0</string>\n<key>Name</key>\n"
		    "<string></string>\n</dict>\n</array>\n</dict>\n</dict>\n</plist>\n");
}

static uint32_t
master_crc(const struct dmg_writer *w)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < w->nr_tables; i++) {
		uint8_t bytes[4];

		put_be32(bytes, w->tables[i].crc);
		crc = pl_crc32(crc, bytes, sizeof bytes);
	}
	return crc;
}

/* Random, or where the image is to be the same each time, from what it holds. */
static int
choose_id(const struct dmg_writer *w, uint8_t ret[static 16], struct platter_error *err)
{
	if (w->has_id) {
		memcpy(ret, w->id, 16);
		return 0;
	}
	if (!getenv("SOURCE_DATE_EPOCH"))
		return pl_new_uuid(ret, err);
	put_be32(ret, w->fork_crc);
	put_be32(ret + 4, master_crc(w));
	put_be64(ret + 8, w->sectors);
	return 0;
}

static void
put_koly(struct output *o, const uint8_t id[static 16], uint64_t plist_length)
{
	const struct dmg_writer *w = o->w;
	uint8_t b[KOLY_SIZE] = { 0 };

	memcpy(b, KOLY_MAGIC, 4);
	put_be32(b + KOLY_VERSION, KOLY_VERSION_4);
	put_be32(b + KOLY_HEADER_SIZE, KOLY_SIZE);
	put_be32(b + KOLY_FLAGS, KOLY_FLATTENED);
	put_be64(b + KOLY_DATA_LENGTH, w->frontier);
	put_be32(b + KOLY_SEGMENT, 1);
	put_be32(b + KOLY_SEGMENTS, 1);
	memcpy(b + KOLY_SEGMENT_ID, id, 16);
	put_sum(b + KOLY_DATA_SUM, w->fork_crc);
	put_be64(b + KOLY_XML_OFFSET, w->frontier);
	put_be64(b + KOLY_XML_LENGTH, plist_length);
	put_sum(b + KOLY_MASTER_SUM, master_crc(w));
	put_be32(b + KOLY_VARIANT, w->partitioned ? 1 : 2);
	put_be64(b + KOLY_SECTORS, w->sectors);
	put_bytes(o, b, sizeof b);
}

int
dmg_write_end(struct dmg_writer *w, struct platter_error *err)
{
	struct output *o = calloc(1, sizeof *o);
	uint8_t id[16];
	int r;

	if (!o)
		return pl_no_memory(err);
	*o = (struct output){ .w = w, .at = w->frontier, .err = err };
	o->r = choose_id(w, id, err);
	if (o->r == 0) {
		put_plist(o);
		put_koly(o, id, o->at + o->n - w->frontier);
		flush(o);
	}
	r = o->r;
	free(o);
	return r;
}
