/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * aiff.c - sound of CDs in AIFF and AIFF-C files, read only
 *
 * Audio Interchange File Format 1.3 (Apple, 1989), and its draft for compressed sound (1991).  All
 * integers are big-endian; chunks begin at even offsets, and may be in any order.
 *
 *	offset  size
 *	     0     4  "FORM"; 4: length of what follows
 *	     8     4  "AIFF", or "AIFC"
 *	    12        chunks: 4 letters, length of 4 bytes, contents
 *
 *	"COMM"  2 bytes: channels; 4: samples of a channel; 2: bits of a sample; 10: samples a second,
 *		a number of 80 bits with a point; of AIFC 4: "NONE", "twos", or "sowt": the low
 *		byte comes first; any other is compressed
 *	"SSND"  4 bytes: what is before the samples; 4; that; the samples
 *
 * Only what a CD has is read: 44100 samples a second, 2 channels, 16 bits.
 */
#include "disc.h"

enum {
	FORM_HEADER = 12,
	CHUNK_HEADER = 8,
	COMM_BYTES = 18,
	COMM_CODEC = 18,
	COMM_CODEC_BYTES = 22,
	SSND_HEADER = 8,
};

#define SAMPLES_PER_SECOND 44100
#define BYTES_PER_SAMPLE   4

/* Chunks that are looked at for the two. */
#define MAX_CHUNKS 1000

/* Samples that are turned at once. */
#define PIECE KIB(64)

struct aiff {
	struct pl_disk disk;
	struct pl_disk *file;
	uint64_t data_at,
		data_bytes;  /* what the file has of the samples; 0: no chunk of them yet */
	uint64_t told_bytes; /* by COMM */
	bool has_format, little_endian, cut;
};

static struct aiff *
aiff_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct aiff, disk);
}

static int
turn(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
     size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	(void)decoder, (void)in_size, (void)chunk_offset, (void)err; /* as many bytes as it makes */
	for (size_t i = 0; i + 1 < out_size; i += 2)
		put_le16(out + i, get_be16(in + i));
	return 0;
}

static const struct pl_decoder turn_samples = { .name = "big-endian", .decode = turn };

static int
aiff_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	const struct aiff *a = aiff_of(disk);
	uint64_t begin = pl_round_down(offset, PIECE), end = PL_MIN(begin + PIECE, disk->size);

	(void)length, (void)err; /* it goes on to the end, and nothing can fail */
	*ret = (struct pl_extent){ .kind = PLATTER_DATA, .below = a->file };
	if (a->little_endian) {
		ret->length = disk->size - offset;
		ret->stored_offset = a->data_at + offset;
		return 0;
	}
	ret->length = end - offset;
	ret->stored_offset = a->data_at + begin;
	ret->stored_length = end - begin;
	ret->decoder = &turn_samples;
	ret->chunk_offset = begin;
	ret->chunk_length = (uint32_t)(end - begin);
	return 0;
}

static struct pl_disk *
aiff_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? aiff_of(disk)->file : NULL;
}

static void
aiff_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	pl_fact_text(facts, "sound", "sound", "44100 Hz, 2 channels, 16 bits");
	pl_fact_number(facts, "seconds", "seconds",
		       disk->size / BYTES_PER_SAMPLE / SAMPLES_PER_SECOND);
	if (aiff_of(disk)->cut)
		pl_warn(facts, "the file ends before its samples do");
}

static void
aiff_free(struct pl_disk *disk)
{
	struct aiff *a = aiff_of(disk);

	pl_disk_unref(a->file);
	pl_disk_done(disk);
	free(a);
}

static const struct pl_disk_ops aiff_ops = {
	.name = "aiff",
	.map = aiff_map,
	.below = aiff_below,
	.describe = aiff_describe,
	.free = aiff_free,
};

/* A number of 80 bits: sign and exponent, then 64 bits of which the first is before the point. */
static uint64_t
whole_of_extended(const uint8_t *p)
{
	unsigned exponent = get_be16(p);

	if (exponent < 16383 || exponent > 16383 + 62)
		return 0;
	return get_be64(p + 2) >> (63 - (exponent - 16383));
}

static int
take_format(struct aiff *a, uint64_t at, uint32_t length, bool is_aifc, struct platter_error *err)
{
	uint32_t least = is_aifc ? COMM_CODEC_BYTES : COMM_BYTES;
	uint8_t f[COMM_CODEC_BYTES] = { 0 };
	char codec[5] = "NONE";
	int r;

	if (length < least)
		return pl_corrupt(err, at, "format of %" PRIu32 " bytes, %" PRIu32 " are expected",
				  length, least);
	if (!pl_in_range(at, least, a->file->size))
		return pl_corrupt(err, at, "the file ends within its format");
	r = pl_read(a->file, f, least, at, err);
	if (r < 0)
		return r;
	for (size_t i = 0; is_aifc && i < 4; i++)
		codec[i] = f[COMM_CODEC + i] >= ' ' && f[COMM_CODEC + i] <= '~'
				   ? (char)f[COMM_CODEC + i]
				   : '?';
	a->little_endian = strcmp(codec, "sowt") == 0;
	a->told_bytes = (uint64_t)get_be32(f + 2) * BYTES_PER_SAMPLE;
	a->has_format = true;
	if (get_be16(f) == 2 && get_be16(f + 6) == 16 &&
	    whole_of_extended(f + 8) == SAMPLES_PER_SECOND &&
	    (a->little_endian || strcmp(codec, "NONE") == 0 || strcmp(codec, "twos") == 0))
		return 0;
	r = pl_unsupported(err, at,
			   "sound of kind '%s' with %u channels, %" PRIu64
			   " samples a second and %u bits; a CD has 2, 44100 and 16, and they are"
			   " not compressed",
			   codec, get_be16(f), whole_of_extended(f + 8), get_be16(f + 6));
	pl_hint(err, "convert it with a sound program first");
	return r;
}

static int
take_samples(struct aiff *a, uint64_t at, uint32_t length, struct platter_error *err)
{
	uint64_t left = a->file->size - at;
	uint8_t h[SSND_HEADER];
	uint64_t before;
	int r;

	if (length < sizeof h || left < sizeof h)
		return pl_corrupt(err, at, "samples in %" PRIu32 " bytes, the least is %d", length,
				  SSND_HEADER);
	r = pl_read(a->file, h, sizeof h, at, err);
	if (r < 0)
		return r;
	before = sizeof h + (uint64_t)get_be32(h);
	if (before > length || before > left)
		return pl_corrupt(err, at,
				  "samples begin at byte %" PRIu64
				  " of their chunk, which has %" PRIu64,
				  before, PL_MIN(left, (uint64_t)length));
	a->data_at = at + before;
	a->cut = length > left;
	a->data_bytes = PL_MIN(left, (uint64_t)length) - before;
	return 0;
}

static int
read_chunks(struct aiff *a, bool is_aifc, struct platter_error *err)
{
	uint64_t at = FORM_HEADER;

	for (unsigned i = 0; i < MAX_CHUNKS && pl_in_range(at, CHUNK_HEADER, a->file->size) &&
			     !(a->has_format && a->data_at);
	     i++) {
		uint8_t h[CHUNK_HEADER];
		uint32_t length;
		int r = pl_read(a->file, h, sizeof h, at, err);

		if (r < 0)
			return r;
		length = get_be32(h + 4);
		at += CHUNK_HEADER;
		if (!memcmp(h, "COMM", 4))
			r = take_format(a, at, length, is_aifc, err);
		else if (!memcmp(h, "SSND", 4))
			r = take_samples(a, at, length, err);
		if (r < 0)
			return r;
		at += (uint64_t)length + length % 2;
	}
	if (!a->has_format || !a->data_at)
		return pl_corrupt(err, at, "no %s in the first %d chunks",
				  a->has_format ? "samples" : "format", MAX_CHUNKS);
	a->disk.size = pl_round_down(PL_MIN(a->data_bytes, a->told_bytes), BYTES_PER_SAMPLE);
	return 0;
}

static int
read_header(struct aiff *a, struct platter_error *err)
{
	uint8_t h[FORM_HEADER];
	int r;

	if (a->file->size < sizeof h)
		return pl_corrupt(err, 0, "%" PRIu64 " bytes are no AIFF file", a->file->size);
	r = pl_read(a->file, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	if (memcmp(h, "FORM", 4) != 0 ||
	    (memcmp(h + 8, "AIFF", 4) != 0 && memcmp(h + 8, "AIFC", 4) != 0))
		return pl_corrupt(err, 0, "no AIFF header");
	return read_chunks(a, h[11] == 'C', err);
}

static int
aiff_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct aiff *a;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is sound, which has no snapshots",
			       request->file->name);
	a = calloc(1, sizeof *a);
	if (!a)
		return pl_no_memory(err);
	r = pl_disk_init(&a->disk, &aiff_ops, request->file->name, err);
	if (r < 0) {
		free(a);
		return r;
	}
	a->file = pl_disk_ref(request->file);
	r = read_header(a, err);
	if (r == 0)
		r = pl_disk_stack(&a->disk, a->file, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		aiff_free(&a->disk);
		return r;
	}
	*ret = &a->disk;
	return 0;
}

static int
aiff_probe(const struct pl_probe *probe)
{
	return probe->size >= FORM_HEADER && !memcmp(probe->head, "FORM", 4) &&
			       (!memcmp(probe->head + 8, "AIFF", 4) ||
				!memcmp(probe->head + 8, "AIFC", 4))
		       ? 64
		       : 0;
}

static const char *const extensions[] = { "aiff", "aif", "aifc", NULL };

const struct pl_format pl_format_aiff = {
	.info = {
		.name = "aiff",
		.longname = "sound in an AIFF file",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ,
		.holds = PLATTER_HOLDS_SOUND,
	},
	.probe = aiff_probe,
	.open = aiff_open,
	.takes = PL_TAKES_SOUND,
	.disk_ops = &aiff_ops,
};
