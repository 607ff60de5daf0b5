/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new VMDK images, produced front to back
 *
 *	monolithicSparse  header | descriptor | directory and tables, twice | grains
 *	streamOptimized   header | descriptor | grains, table | ... | directory | footer
 *
 * Subformats of several files are in several.c.
 *
 * All tables of a monolithicSparse image have their places from the start, so a window of
 * them is filled as the copy passes and written in one piece; of a stream, whose size is
 * known only at its end, they are kept and come last.  A streamOptimized image is written
 * strictly in order, each grain deflated behind a marker, each table after its grains.
 */
#include <limits.h>
#include <sys/random.h>

#include "codec.h"
#include "writer.h"

/* Of libdeflate: its files are as large as those of zlib's default, 6, which everybody else uses. */
#define DEFAULT_LEVEL 5

#define GRAIN              VMDK_GRAIN
#define GT_ENTRIES         VMDK_GT_ENTRIES
#define GT_BYTES           VMDK_GT_BYTES
#define TABLE_SPAN         VMDK_TABLE_SPAN
#define DESCRIPTOR_SECTORS 20u
#define DESCRIPTOR_BYTES   (DESCRIPTOR_SECTORS * VMDK_SECTOR)
#define HEAD_BYTES         (VMDK_SECTOR + DESCRIPTOR_BYTES)
/* Entries in memory at once: the tables of 16 GiB of disk. */
#define WINDOW (MIB(1) / 4)
/* Places are sector numbers of 32 bits. */
#define MAX_FILE ((uint64_t)UINT32_MAX * VMDK_SECTOR)
/* As many as the reader takes: 512 TiB. */
#define MAX_TABLES (UINT64_C(1) << 24)

const struct platter_option_info pl_vmdk_options[] = {
	{ "subformat",
	  "monolithicSparse|monolithicFlat|twoGbMaxExtentSparse|twoGbMaxExtentFlat|streamOptimized",
	  "sparse or allocated, one file or pieces of 2 GiB, or compressed for transport;"
	  " monolithicSparse, streamOptimized if compressed" },
	{ "adapter_type", "ide|buslogic|lsilogic|legacyESX",
	  "what the virtual machine attaches it to; ide" },
	{ "hwversion", "1..99", "version of the virtual hardware; 4" },
	{ "compat6", "on|off", "the same as hwversion=6; off" },
	{ "backing_file", "PATH", "VMDK that holds what this one does not; none" },
	{ 0 },
};

struct vmdk_writer {
	struct pl_writer writer;
	struct vmdk_params params;
	bool sized; /* the disk's size is known from the start */
	uint64_t
		frontier; /* where the next grain goes; streamOptimized: 0 before the head is written */

	/* Entries of grain tables as in the file, number `first` on. */
	uint8_t *entries;
	uint64_t first, room;
	uint64_t dirty_from, dirty_to; /* entries that are to be written; none if alike */

	/* monolithicSparse; unless `sized` only known at the end. */
	uint64_t directory_at, tables_at, redundant_at, redundant_tables_at;

	/* streamOptimized: the directory as in the file. */
	uint8_t *directory;
	uint64_t directory_room;
};

static struct vmdk_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct vmdk_writer, writer);
}

/* Options. */

const char *
pl_vmdk_subformat_name(enum vmdk_subformat subformat)
{
	static const char *const names[] = { "monolithicSparse", "streamOptimized",
					     "monolithicFlat", "twoGbMaxExtentSparse",
					     "twoGbMaxExtentFlat" };

	return names[subformat];
}

static bool
is_stream(const struct vmdk_writer *w)
{
	return w->params.subformat == VMDK_STREAM_OPTIMIZED;
}

static int
bad_value(const char *key, const char *value, const char *allowed, struct platter_error *err)
{
	return pl_invalid(err, "option %s=%s: allowed is %s", key, value, allowed);
}

static int
read_subformat(const struct pl_create_request *request, struct vmdk_params *p,
	       struct platter_error *err)
{
	const char *text = pl_create_option(request, "subformat");
	int i = 0;

	p->subformat = request->codec ? VMDK_STREAM_OPTIMIZED : VMDK_MONOLITHIC_SPARSE;
	if (!text)
		return 0;
	while (i < VMDK_NR_SUBFORMATS && strcmp(text, pl_vmdk_subformat_name(i)) != 0)
		i++;
	if (i == VMDK_NR_SUBFORMATS)
		return bad_value("subformat", text,
				 "monolithicSparse, monolithicFlat, twoGbMaxExtentSparse,"
				 " twoGbMaxExtentFlat or streamOptimized",
				 err);
	p->subformat = (enum vmdk_subformat)i;
	if (request->codec && p->subformat != VMDK_STREAM_OPTIMIZED)
		return pl_invalid(err, "option subformat=%s stores nothing compressed", text);
	return 0;
}

static int
read_level(const struct pl_create_request *request, struct vmdk_params *p,
	   struct platter_error *err)
{
	const struct pl_codec *codec = &pl_codec_zlib;

	p->level = DEFAULT_LEVEL;
	if (!request->codec)
		return 0;
	if (*request->codec && strcmp(request->codec, "zlib") != 0)
		return pl_invalid(err, "compression '%s': vmdk has only zlib", request->codec);
	if (request->level != INT_MIN)
		p->level = request->level;
	if (p->level < codec->min_level || p->level > codec->max_level)
		return pl_invalid(err, "compression level %d: zlib has %d to %d", p->level,
				  codec->min_level, codec->max_level);
	return 0;
}

static int
read_hardware(const struct pl_create_request *request, struct vmdk_params *p,
	      struct platter_error *err)
{
	static const char *const adapters[] = { "ide", "buslogic", "lsilogic", "legacyESX" };
	const char *adapter = pl_create_option(request, "adapter_type");
	const char *version = pl_create_option(request, "hwversion");
	const char *compat6 = pl_create_option(request, "compat6");
	size_t i = 0;

	p->adapter_type = adapter ? adapter : adapters[0];
	while (i < ARRAY_SIZE(adapters) && strcmp(p->adapter_type, adapters[i]) != 0)
		i++;
	if (i == ARRAY_SIZE(adapters))
		return bad_value("adapter_type", adapter, "ide, buslogic, lsilogic or legacyESX",
				 err);
	if (compat6 && strcmp(compat6, "on") != 0 && strcmp(compat6, "off") != 0)
		return bad_value("compat6", compat6, "on or off", err);
	p->hw_version = version ? version : compat6 && !strcmp(compat6, "on") ? "6" : "4";
	if (!*p->hw_version || strlen(p->hw_version) > 2 ||
	    strspn(p->hw_version, "0123456789") != strlen(p->hw_version) || *p->hw_version == '0')
		return bad_value("hwversion", version, "a number from 1 to 99", err);
	return 0;
}

/* What the parent must have for its children: a content ID that is one. */
static int
take_parent(struct vmdk_params *p, struct pl_disk *parent, struct platter_error *err)
{
	const struct vmdk_descriptor *d = &vmdk_of(parent)->descriptor;

	if (!d->has_cid || d->cid == VMDK_NO_PARENT)
		return pl_invalid(err,
				  "'%s' has no content ID, by which an overlay knows its parent",
				  parent->name);
	p->parent_cid = d->cid;
	p->parent_size = parent->size;
	return 0;
}

static int
read_backing(const struct pl_create_request *request, struct vmdk_params *p,
	     struct platter_error *err)
{
	const char *name = pl_create_option(request, "backing_file");
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	int r;

	p->parent_cid = VMDK_NO_PARENT;
	if (!name || !*name)
		return 0;
	if (p->subformat != VMDK_MONOLITHIC_SPARSE && p->subformat != VMDK_SPLIT_SPARSE)
		return pl_invalid(err, "option backing_file=%s: a %s image has no parent", name,
				  pl_vmdk_subformat_name(p->subformat));
	for (const char *c = name; *c; c++)
		if (*c == '"' || (unsigned char)*c < ' ')
			return pl_invalid(err, "option backing_file: a name with quotes or control"
					       " characters cannot stand in a descriptor");
	if (!request->related)
		return pl_invalid(
			err, "option backing_file=%s: this target has no folder to find it from",
			name);
	r = request->related->open(request->related, name, "vmdk", false, &parent, err);
	if (r < 0) {
		pl_context(err, "backing file '%s'", name);
		return r;
	}
	p->parent = name;
	return take_parent(p, parent, err);
}

static int
read_params(const struct pl_create_request *request, struct vmdk_params *p,
	    struct platter_error *err)
{
	int r = read_subformat(request, p, err);

	if (r == 0)
		r = read_level(request, p, err);
	if (r == 0)
		r = read_hardware(request, p, err);
	if (r == 0)
		r = read_backing(request, p, err);
	return r;
}

/* Header and descriptor. */

static uint64_t
capacity_of(const struct vmdk_writer *w)
{
	return pl_div_round_up(w->writer.size, VMDK_SECTOR);
}

static uint64_t
nr_tables(const struct vmdk_writer *w)
{
	return pl_div_round_up(w->writer.size, TABLE_SPAN);
}

/* Bytes of the directory in whole sectors. */
static uint64_t
directory_bytes(const struct vmdk_writer *w)
{
	return pl_round_up(nr_tables(w) * 4, VMDK_SECTOR);
}

void
pl_vmdk_put_header(const struct vmdk_new_header *header, uint8_t ret[static VMDK_SECTOR])
{
	uint64_t directory = header->directory_at;

	memset(ret, 0, VMDK_SECTOR);
	put_le32(ret, HOSTED_MAGIC);
	put_le32(ret + HOSTED_VERSION, header->version);
	put_le32(ret + HOSTED_FLAGS, header->flags | HOSTED_FLAG_NEWLINES);
	put_le64(ret + HOSTED_CAPACITY, header->capacity / VMDK_SECTOR);
	put_le64(ret + HOSTED_GRAIN, GRAIN / VMDK_SECTOR);
	put_le64(ret + HOSTED_DESCRIPTOR, header->descriptor_at / VMDK_SECTOR);
	put_le64(ret + HOSTED_DESCRIPTOR_SECTORS, header->descriptor_bytes / VMDK_SECTOR);
	put_le32(ret + HOSTED_GT_ENTRIES, GT_ENTRIES);
	put_le64(ret + HOSTED_REDUNDANT, header->redundant_at / VMDK_SECTOR);
	put_le64(ret + HOSTED_DIRECTORY,
		 directory == HOSTED_AT_END ? HOSTED_AT_END : directory / VMDK_SECTOR);
	put_le64(ret + HOSTED_OVERHEAD, header->overhead / VMDK_SECTOR);
	memcpy(ret + HOSTED_NEWLINES, HOSTED_NEWLINE_TEXT, 4);
	put_le16(ret + HOSTED_COMPRESSION, header->flags & HOSTED_FLAG_COMPRESSED ? 1 : 0);
}

static void
build_header(const struct vmdk_writer *w, uint64_t directory_at, uint8_t h[static VMDK_SECTOR])
{
	struct vmdk_new_header header = {
		.version = 1,
		.flags = HOSTED_FLAG_REDUNDANT,
		.capacity = capacity_of(w) * VMDK_SECTOR,
		.descriptor_at = VMDK_SECTOR,
		.descriptor_bytes = DESCRIPTOR_BYTES,
		.redundant_at = w->redundant_at,
		.directory_at = directory_at,
		.overhead = is_stream(w) || !w->sized
				    ? GRAIN
				    : pl_round_up(w->tables_at + nr_tables(w) * GT_BYTES, GRAIN),
	};

	if (is_stream(w)) {
		header.version = 3;
		header.flags = HOSTED_FLAG_COMPRESSED | HOSTED_FLAG_MARKERS;
	} else if (w->params.parent) {
		header.version = 2;
		header.flags |= HOSTED_FLAG_ZEROED;
	}
	pl_vmdk_put_header(&header, h);
}

void
pl_vmdk_descriptor_text(const struct vmdk_params *p, uint64_t size,
			void (*add_extents)(struct pl_str *s, const void *with), const void *with,
			struct pl_str *ret)
{
	/* What BIOSes of these adapters make of disks; more than 16383 cylinders fit nowhere. */
	uint64_t heads = strcmp(p->adapter_type, "ide") ? 255 : 16;
	uint64_t cylinders = pl_div_round_up(size, VMDK_SECTOR) / (heads * 63);

	pl_str_addf(ret,
		    "# Disk DescriptorFile\nversion=1\nCID=%08" PRIx32 "\nparentCID=%08" PRIx32
		    "\ncreateType=\"%s\"\n",
		    p->cid, p->parent_cid, pl_vmdk_subformat_name(p->subformat));
	if (p->parent)
		pl_str_addf(ret, "parentFileNameHint=\"%s\"\n", p->parent);
	pl_str_add(ret, "\n# Extent description\n");
	add_extents(ret, with);
	pl_str_addf(ret,
		    "\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"%s\"\n"
		    "ddb.geometry.cylinders = \"%" PRIu64 "\"\nddb.geometry.heads = \"%" PRIu64
		    "\"\nddb.geometry.sectors = \"63\"\nddb.adapterType = \"%s\"\n",
		    p->hw_version, heads == 16 ? PL_MIN(cylinders, 16383u) : cylinders, heads,
		    p->adapter_type);
}

/* The file that the descriptor is in; readers take no notice of its name. */
static void
add_extent(struct pl_str *s, const void *with)
{
	const struct vmdk_writer *w = with;
	const struct pl_disk *file = w->writer.file;
	const char *slash = strrchr(file->name, '/');
	const char *name = file->sequential ? "disk.vmdk" : slash ? slash + 1 : file->name;

	pl_str_addf(s, "RW %" PRIu64 " SPARSE \"", capacity_of(w));
	for (; *name; name++)
		pl_str_addf(s, "%c", *name == '"' || (unsigned char)*name < ' ' ? '_' : *name);
	pl_str_add(s, "\"\n");
}

static int
build_descriptor(const struct vmdk_writer *w, uint8_t ret[static DESCRIPTOR_BYTES],
		 struct platter_error *err)
{
	struct pl_str s = { 0 };
	int r = 0;

	pl_vmdk_descriptor_text(&w->params, w->writer.size, add_extent, w, &s);
	if (s.failed)
		return pl_no_memory(err);
	memset(ret, 0, DESCRIPTOR_BYTES);
	if (s.length > DESCRIPTOR_BYTES)
		r = pl_over_limit(err, PLATTER_NO_OFFSET, "a descriptor of %zu bytes, limit is %u",
				  s.length, DESCRIPTOR_BYTES);
	else
		memcpy(ret, s.text, s.length);
	pl_str_done(&s);
	return r;
}

/* Both, as they begin the file. */
static int
write_head(const struct vmdk_writer *w, uint64_t directory_at, struct platter_error *err)
{
	uint8_t head[HEAD_BYTES];
	int r;

	build_header(w, directory_at, head);
	r = build_descriptor(w, head + VMDK_SECTOR, err);
	if (r < 0)
		return r;
	return pl_write(w->writer.file, head, sizeof head, 0, err);
}

static int
too_large(struct platter_error *err)
{
	int r = pl_over_limit(err, PLATTER_NO_OFFSET,
			      "the image file would pass %" PRIu64
			      " bytes, the limit of the format",
			      MAX_FILE);

	pl_hint(err, "compress it with subformat=streamOptimized, or choose another format");
	return r;
}

static int
check_size(const struct vmdk_writer *w, struct platter_error *err)
{
	if (nr_tables(w) > MAX_TABLES)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit of vmdk is %" PRIu64,
				     w->writer.size, MAX_TABLES * TABLE_SPAN);
	return 0;
}

/* monolithicSparse. */

/* Where directories and tables go, from byte `at` on; *ret_end is where they end. */
static void
lay_out(struct vmdk_writer *w, uint64_t at, uint64_t *ret_end)
{
	uint64_t tables = nr_tables(w) * GT_BYTES;

	w->redundant_at = at;
	w->redundant_tables_at = w->redundant_at + directory_bytes(w);
	w->directory_at = w->redundant_tables_at + tables;
	w->tables_at = w->directory_at + directory_bytes(w);
	*ret_end = w->tables_at + tables;
}

static int
write_directory(const struct vmdk_writer *w, uint64_t at, uint64_t tables_at,
		struct platter_error *err)
{
	size_t n = (size_t)directory_bytes(w);
	PL_AUTOFREE uint8_t *bytes = calloc(1, n + 1);

	if (!bytes)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < nr_tables(w); i++)
		put_le32(bytes + i * 4, (uint32_t)((tables_at + i * GT_BYTES) / VMDK_SECTOR));
	return pl_write(w->writer.file, bytes, n, at, err);
}

static int
write_directories(const struct vmdk_writer *w, struct platter_error *err)
{
	int r = write_directory(w, w->redundant_at, w->redundant_tables_at, err);

	if (r == 0)
		r = write_directory(w, w->directory_at, w->tables_at, err);
	return r;
}

/* Write what was filled in of the window, to both tables. */
static int
write_window(struct vmdk_writer *w, struct platter_error *err)
{
	uint64_t at = w->dirty_from * 4, n = (w->dirty_to - w->dirty_from) * 4;
	const uint8_t *bytes = w->entries + (w->dirty_from - w->first) * 4;
	int r = 0;

	if (n)
		r = pl_write(w->writer.file, bytes, (size_t)n, w->redundant_tables_at + at, err);
	if (n && r == 0)
		r = pl_write(w->writer.file, bytes, (size_t)n, w->tables_at + at, err);
	return r;
}

/* Of a disk whose size is not known all entries stay. */
static int
grow_entries(struct vmdk_writer *w, uint64_t nr, struct platter_error *err)
{
	uint64_t room = PL_MAX(nr, w->room * 2);
	uint8_t *entries;

	if (nr <= w->room)
		return 0;
	entries = pl_realloc_array(w->entries, (size_t)room, 4);
	if (!entries)
		return pl_no_memory(err);
	memset(entries + w->room * 4, 0, (size_t)(room - w->room) * 4);
	w->entries = entries;
	w->room = room;
	return 0;
}

/* See that the entry of a grain is in the window. */
static int
enter_window(struct vmdk_writer *w, uint64_t number, struct platter_error *err)
{
	int r;

	if (number - w->first < w->room)
		return 0;
	if (!w->sized)
		return grow_entries(w, number + 1, err);
	r = write_window(w, err);
	if (r < 0)
		return r;
	memset(w->entries, 0, w->room * 4);
	w->first = pl_round_down(number, w->room);
	w->dirty_from = w->dirty_to = number;
	return 0;
}

static int
set_entry(struct vmdk_writer *w, uint64_t number, uint32_t value, struct platter_error *err)
{
	int r = enter_window(w, number, err);

	if (r < 0)
		return r;
	put_le32(w->entries + (number - w->first) * 4, value);
	if (w->dirty_from == w->dirty_to)
		w->dirty_from = number;
	w->dirty_to = number + 1;
	return 0;
}

static int
sparse_place(struct pl_writer *writer, uint64_t offset, uint64_t length, size_t stored,
	     uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	uint64_t number = offset / GRAIN, nr = pl_div_round_up(length, GRAIN);

	(void)stored; /* nothing is encoded */
	if (!pl_in_range(w->frontier, nr * GRAIN, MAX_FILE))
		return too_large(err);
	for (uint64_t i = 0; i < nr; i++) {
		int r = set_entry(w, number + i,
				  (uint32_t)((w->frontier + i * GRAIN) / VMDK_SECTOR), err);

		if (r < 0)
			return r;
	}
	*ret_at = w->frontier;
	*ret_length = length;
	w->frontier += nr * GRAIN;
	return 0;
}

/* Entries are 0 from the start; but zeros must hide what the parent has there. */
static int
sparse_skip(struct pl_writer *writer, uint64_t offset, uint64_t length, enum platter_kind kind,
	    struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	uint64_t end = PL_MIN(offset + length, w->params.parent_size);
	int r = 0;

	if (kind == PLATTER_HOLE)
		return 0;
	for (; r == 0 && offset < end; offset += GRAIN)
		r = set_entry(w, offset / GRAIN, VMDK_ENTRY_ZERO, err);
	return r;
}

static int
sparse_finish(struct pl_writer *writer, struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	uint64_t end = w->frontier;
	int r = 0;

	if (!w->sized) {
		r = check_size(w, err);
		if (r < 0)
			return r;
		lay_out(w, w->frontier, &end);
		if (end > MAX_FILE)
			return too_large(err);
		r = write_directories(w, err);
	}
	if (r == 0)
		r = write_window(w, err);
	/* The last grain is stored whole, and so are the tables. */
	if (r == 0)
		r = pl_resize(writer->file, end, err);
	if (r == 0)
		r = write_head(w, w->directory_at, err);
	return r;
}

static int
sparse_prepare(struct vmdk_writer *w, struct platter_error *err)
{
	uint64_t end;
	int r;

	w->frontier = GRAIN;
	if (!w->sized)
		return 0;
	lay_out(w, HEAD_BYTES, &end);
	w->frontier = pl_round_up(end, GRAIN);
	w->room = WINDOW;
	w->entries = calloc(w->room, 4);
	if (!w->entries)
		return pl_no_memory(err);
	r = pl_resize(w->writer.file, w->frontier, err);
	if (r == 0)
		r = write_directories(w, err);
	return r;
}

/* streamOptimized. */

static int
stream_encode(struct pl_writer *writer, uint64_t offset, const uint8_t *in, size_t n,
	      struct pl_encoded *out, struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	PL_AUTOFREE uint8_t *padded = NULL;
	size_t size, end;

	/* Readers expect a whole grain, at the disk's end too. */
	if (n < GRAIN) {
		padded = calloc(1, GRAIN);
		if (!padded)
			return pl_no_memory(err);
		memcpy(padded, in, n);
		in = padded;
	}
	size = pl_codec_zlib.encode(w->params.level, in, GRAIN, out->bytes + MARKER_DATA,
				    out->capacity - MARKER_DATA);
	/* There is room for whatever it can become. */
	if (!size)
		return pl_no_memory(err);
	put_le64(out->bytes + MARKER_VALUE, offset / VMDK_SECTOR);
	put_le32(out->bytes + MARKER_SIZE, (uint32_t)size);
	end = (size_t)pl_round_up(MARKER_DATA + size, VMDK_SECTOR);
	memset(out->bytes + MARKER_DATA + size, 0, end - MARKER_DATA - size);
	out->length = end;
	return 0;
}

/* Append a marker and what it announces, whole sectors. */
static int
append(struct vmdk_writer *w, uint32_t type, const uint8_t *bytes, size_t n,
       struct platter_error *err)
{
	uint8_t marker[VMDK_SECTOR] = { 0 };
	int r;

	if (!pl_in_range(w->frontier, VMDK_SECTOR + n, MAX_FILE))
		return too_large(err);
	put_le64(marker + MARKER_VALUE, n / VMDK_SECTOR);
	put_le32(marker + MARKER_TYPE, type);
	r = pl_write(w->writer.file, marker, sizeof marker, w->frontier, err);
	if (r == 0 && n)
		r = pl_write(w->writer.file, bytes, n, w->frontier + VMDK_SECTOR, err);
	w->frontier += VMDK_SECTOR + n;
	return r;
}

static int
grow_directory(struct vmdk_writer *w, uint64_t nr, struct platter_error *err)
{
	uint64_t room = pl_round_up(PL_MAX(nr, w->directory_room * 2), VMDK_SECTOR / 4);
	uint8_t *directory;

	if (nr <= w->directory_room)
		return 0;
	directory = pl_realloc_array(w->directory, (size_t)room, 4);
	if (!directory)
		return pl_no_memory(err);
	memset(directory + w->directory_room * 4, 0, (size_t)(room - w->directory_room) * 4);
	w->directory = directory;
	w->directory_room = room;
	return 0;
}

static int
stream_skip(struct pl_writer *writer, uint64_t offset, uint64_t length, enum platter_kind kind,
	    struct platter_error *err)
{
	return 0; /* entries are 0 from the start */
}

/* The table comes after the last of its grains. */
static int
append_table(struct vmdk_writer *w, struct platter_error *err)
{
	uint64_t index = w->first / GT_ENTRIES;
	int r;

	if (w->dirty_from == w->dirty_to)
		return 0;
	w->dirty_from = w->dirty_to = 0;
	r = grow_directory(w, index + 1, err);
	if (r < 0)
		return r;
	put_le32(w->directory + index * 4, (uint32_t)(w->frontier / VMDK_SECTOR + 1));
	return append(w, MARKER_TABLE, w->entries, GT_BYTES, err);
}

/* What comes before the first grain; of a disk of unknown size it is written again in the end. */
static int
begin_stream(struct vmdk_writer *w, struct platter_error *err)
{
	static const uint8_t zeros[GRAIN - HEAD_BYTES];
	int r;

	if (w->frontier)
		return 0;
	w->frontier = GRAIN;
	if (!w->sized)
		return 0;
	r = write_head(w, HOSTED_AT_END, err);
	if (r == 0)
		r = pl_write(w->writer.file, zeros, sizeof zeros, HEAD_BYTES, err);
	return r;
}

static int
stream_place(struct pl_writer *writer, uint64_t offset, uint64_t length, size_t stored,
	     uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	uint64_t number = offset / GRAIN;
	int r = begin_stream(w, err);

	if (r < 0)
		return r;
	/*
	 * The engine's pieces do not cross the range of a table, so that into a pipe too all
	 * grains of the table before were written by now.
	 */
	if (number - w->first >= GT_ENTRIES) {
		r = append_table(w, err);
		if (r < 0)
			return r;
		memset(w->entries, 0, GT_BYTES);
		w->first = pl_round_down(number, GT_ENTRIES);
	}
	if (!pl_in_range(w->frontier, stored, MAX_FILE))
		return too_large(err);
	put_le32(w->entries + (number - w->first) * 4, (uint32_t)(w->frontier / VMDK_SECTOR));
	w->dirty_to = w->dirty_from + 1;
	*ret_at = w->frontier;
	*ret_length = length;
	w->frontier += stored;
	return 0;
}

static int
stream_finish(struct pl_writer *writer, struct platter_error *err)
{
	struct vmdk_writer *w = writer_of(writer);
	uint8_t footer[VMDK_SECTOR];
	uint64_t directory_at;
	int r = begin_stream(w, err);

	if (r == 0)
		r = append_table(w, err);
	if (r == 0)
		r = check_size(w, err);
	if (r == 0)
		r = grow_directory(w, nr_tables(w), err);
	if (r < 0)
		return r;
	directory_at = w->frontier + VMDK_SECTOR;
	r = append(w, MARKER_DIRECTORY, w->directory, (size_t)directory_bytes(w), err);
	if (r < 0)
		return r;
	build_header(w, directory_at, footer);
	r = append(w, MARKER_FOOTER, footer, sizeof footer, err);
	if (r == 0)
		r = append(w, MARKER_END, NULL, 0, err);
	if (r == 0 && !w->sized)
		r = write_head(w, HOSTED_AT_END, err);
	return r;
}

static int
stream_prepare(struct vmdk_writer *w, struct platter_error *err)
{
	w->room = GT_ENTRIES;
	w->entries = calloc(w->room, 4);
	return w->entries ? 0 : pl_no_memory(err);
}

static void
vmdk_free(struct pl_writer *writer)
{
	struct vmdk_writer *w = writer_of(writer);

	free(w->entries);
	free(w->directory);
	free(w);
}

static const struct pl_writer_ops sparse_ops = {
	.place = sparse_place,
	.skip = sparse_skip,
	.finish = sparse_finish,
	.free = vmdk_free,
};

static const struct pl_writer_ops stream_ops = {
	.encode = stream_encode,
	.place = stream_place,
	.skip = stream_skip,
	.finish = stream_finish,
	.free = vmdk_free,
};

/* A content ID: any number that does not say "no parent". */
static uint32_t
new_cid(void)
{
	uint32_t cid = 0;

	if (getrandom(&cid, sizeof cid, GRND_NONBLOCK) != sizeof cid || cid == VMDK_NO_PARENT)
		cid = 0xfffffffe;
	return cid;
}

static int
refuse_stream(const struct pl_create_request *request, const struct vmdk_params *p,
	      struct platter_error *err)
{
	int r;

	if (!request->file->sequential)
		return 0;
	if (p->subformat > VMDK_STREAM_OPTIMIZED) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a %s image is several files, which cannot be written to a"
				   " stream",
				   pl_vmdk_subformat_name(p->subformat));
		pl_hint(err, "choose subformat=streamOptimized");
		return r;
	}
	if (p->subformat != VMDK_STREAM_OPTIMIZED) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a %s image cannot be written to a stream: its header comes"
				   " last",
				   pl_vmdk_subformat_name(p->subformat));
		pl_hint(err, "choose subformat=streamOptimized");
		return r;
	}
	if (request->size == UINT64_MAX)
		return pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"an image cannot be written to a stream from a disk of unknown"
			" size: its header tells the size");
	return 0;
}

static int
prepare(struct vmdk_writer *w, const struct pl_create_request *request, struct platter_error *err)
{
	int r = 0;

	w->sized = request->size != UINT64_MAX;
	w->writer = (struct pl_writer){
		.ops = is_stream(w) ? &stream_ops : &sparse_ops,
		.file = request->file,
		.size = request->size,
		.chunk = GRAIN,
		.encoded_max =
			(size_t)pl_round_up(MARKER_DATA + pl_codec_zlib.bound(GRAIN), VMDK_SECTOR),
	};
	if (w->sized)
		r = check_size(w, err);
	/* What an earlier run left cannot be gone on with. */
	if (r == 0 && !request->file->sequential)
		r = pl_resize(request->file, 0, err);
	if (r < 0)
		return r;
	return is_stream(w) ? stream_prepare(w, err) : sparse_prepare(w, err);
}

int
pl_vmdk_create(const struct pl_create_request *request, struct pl_writer **ret,
	       struct platter_error *err)
{
	struct vmdk_params params = { 0 };
	struct vmdk_writer *w;
	int r = read_params(request, &params, err);

	if (r == 0)
		r = refuse_stream(request, &params, err);
	if (r < 0)
		return r;
	params.cid = request->like && vmdk_of(request->like)->descriptor.has_cid
			     ? vmdk_of(request->like)->descriptor.cid
			     : new_cid();
	if (params.subformat > VMDK_STREAM_OPTIMIZED)
		return pl_vmdk_several_create(request, &params, ret, err);
	w = calloc(1, sizeof *w);
	if (!w)
		return pl_no_memory(err);
	w->params = params;
	r = prepare(w, request, err);
	if (r < 0) {
		vmdk_free(&w->writer);
		return r;
	}
	*ret = &w->writer;
	return 0;
}
